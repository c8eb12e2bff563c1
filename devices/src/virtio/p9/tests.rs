//! The 9P server as a guest's client sees it.

use tern_core::device::Device as _;
use super::{KIND, P9, wire::Reader, wire::Writer};
use crate::bench::{Folder, Synth};
use crate::virtio::VirtioDevice;
use crate::virtio::testing::Driver;
use tern_core::mem::Size;

/// A client: fid numbers and flags are the tests' own.
struct Client(Driver);

/// The body of a reply, or the error.
type Answer = Result<Vec<u8>, u32>;

fn body(f: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::default();
    f(&mut w);
    w.bytes().to_vec()
}

fn message(kind: u8, tag: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 7).to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(tag.to_le_bytes());
    bytes.extend(body);
    bytes
}

impl Client {
    fn fresh() -> Client {
        Client(Driver::split(1, |_| Box::new(P9::new(Box::new(Folder::new()), "home"))))
    }

    /// Mounted: fid 0 is the root, user 1000.
    fn new() -> Client {
        let mut c = Client::fresh();
        assert_eq!(c.version(8192, b"9P2000.L"), Ok(body(|w| (w.u32(8192), w.text(b"9P2000.L")).1)));
        let attach = body(|w| {
            w.u32(0);
            w.u32(u32::MAX);
            w.text(b"user");
            w.text(b"");
            w.u32(1000);
        });
        assert_eq!(c.ask(104, &attach).unwrap()[0], 0x80, "the root is a folder");
        c
    }

    fn version(&mut self, msize: u32, version: &[u8]) -> Answer {
        self.ask(100, &body(|w| (w.u32(msize), w.text(version)).1))
    }

    fn ask(&mut self, kind: u8, body: &[u8]) -> Answer {
        let m = message(kind, 0x1234, body);
        // Head and body apart, as with Linux' zero-copy requests.
        let (head, rest) = m.split_at(m.len().min(11));
        let done = self.0.ask(0, &[head, rest], &[11, 9000]);
        let data = &done.data[..done.len as usize];
        assert_eq!(u32::from_le_bytes(data[..4].try_into().unwrap()), done.len, "size");
        assert_eq!(data[5..7], [0x34, 0x12], "tag");
        match data[4] {
            7 => Err(u32::from_le_bytes(data[7..].try_into().unwrap())),
            reply => {
                assert_eq!(reply, kind + 1);
                Ok(data[7..].to_vec())
            }
        }
    }

    fn walk(&mut self, fid: u32, new: u32, names: &[&str]) -> Result<u16, u32> {
        let reply = self.ask(
            110,
            &body(|w| {
                w.u32(fid);
                w.u32(new);
                w.u16(names.len() as u16);
                names.iter().for_each(|n| w.text(n.as_bytes()));
            }),
        )?;
        let count = u16::from_le_bytes([reply[0], reply[1]]);
        assert_eq!(reply.len(), 2 + 13 * usize::from(count));
        Ok(count)
    }

    /// Makes and opens `name` as fid `new`, beside fid 0.
    fn create(&mut self, new: u32, name: &str, flags: u32) -> Answer {
        self.walk(0, new, &[]).unwrap();
        self.ask(
            14,
            &body(|w| {
                w.u32(new);
                w.text(name.as_bytes());
                w.u32(flags);
                w.u32(0o644);
                w.u32(100);
            }),
        )
    }

    fn open(&mut self, fid: u32, flags: u32) -> Answer {
        self.ask(12, &body(|w| (w.u32(fid), w.u32(flags)).1))
    }

    fn write(&mut self, fid: u32, offset: u64, data: &[u8]) -> Answer {
        self.ask(118, &body(|w| (w.u32(fid), w.u64(offset), w.u32(data.len() as u32), w.put(data)).3))
    }

    fn read(&mut self, fid: u32, offset: u64, count: u32) -> Answer {
        let reply = self.ask(116, &body(|w| (w.u32(fid), w.u64(offset), w.u32(count)).2))?;
        assert_eq!(u32::from_le_bytes(reply[..4].try_into().unwrap()) as usize, reply.len() - 4);
        Ok(reply[4..].to_vec())
    }

    fn clunk(&mut self, fid: u32) -> Answer {
        self.ask(120, &fid.to_le_bytes())
    }

    /// Mode, owner, group, links, size.
    fn attr(&mut self, fid: u32) -> Result<(u32, u32, u32, u64, u64), u32> {
        let reply = self.ask(24, &body(|w| (w.u32(fid), w.u64(0x3fff)).1))?;
        assert_eq!(reply.len(), 8 + 13 + 12 + 15 * 8);
        assert_eq!(reply[..8], 0x7ffu64.to_le_bytes());
        let u32_at = |at: usize| u32::from_le_bytes(reply[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(reply[at..at + 8].try_into().unwrap());
        Ok((u32_at(21), u32_at(25), u32_at(29), u64_at(33), u64_at(49)))
    }

    fn names(&mut self, fid: u32, count: u32) -> Vec<(u8, String)> {
        let (mut from, mut all) = (0, Vec::new());
        loop {
            let reply = self.ask(40, &body(|w| (w.u32(fid), w.u64(from), w.u32(count)).2)).unwrap();
            assert!(reply.len() - 4 <= count as usize);
            let mut r = Reader::new(&reply[4..]);
            if r.is_empty() {
                return all;
            }
            while !r.is_empty() {
                let ok = |_| panic!("a cut entry");
                r.bytes(13).unwrap_or_else(ok);
                from = r.u64().unwrap_or_else(|_| panic!("a cut entry"));
                let kind = r.u8().unwrap_or_else(|_| panic!("a cut entry"));
                let name = r.text().unwrap_or_else(|_| panic!("a cut entry"));
                all.push((kind, String::from_utf8(name.to_vec()).unwrap()));
            }
        }
    }
}

const O_WRONLY: u32 = 1;
const O_RDWR: u32 = 2;
const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
const O_DIRECTORY: u32 = 0o200000;
const ENOENT: u32 = 2;
const EBADF: u32 = 9;
const EEXIST: u32 = 17;
const EINVAL: u32 = 22;
const EPROTO: u32 = 71;

#[test]
fn the_tag_is_in_the_configuration_space() {
    let mut c = Client::fresh();
    let bytes: Vec<u8> = (0..6).map(|n| c.0.device.read(0, 0x100 + n, Size::B1) as u8).collect();
    assert_eq!(bytes, b"\x04\0home");
    assert_eq!((KIND.id, P9::new(Box::new(Folder::new()), "x").features()), (9, 1));
}

#[test]
fn versions() {
    let mut c = Client::fresh();
    assert_eq!(c.ask(24, &[0; 12]), Err(EPROTO), "no version yet");
    assert_eq!(c.version(100_000_000, b"9P2000.L"), Ok(body(|w| (w.u32(1 << 20), w.text(b"9P2000.L")).1)));
    assert_eq!(c.version(8192, b"9P2000.u"), Ok(body(|w| (w.u32(8192), w.text(b"unknown")).1)));
    assert_eq!(c.ask(24, &[0; 12]), Err(EPROTO), "a version that is none");
    assert_eq!(c.version(1000, b"9P2000.L"), Err(EINVAL));
    // A new version forgets fids.
    let mut c = Client::new();
    assert!(c.attr(0).is_ok());
    c.version(8192, b"9P2000.L").unwrap();
    assert_eq!(c.attr(0), Err(ENOENT));
}

#[test]
fn files_are_made_read_written_renamed_and_removed() {
    let mut c = Client::new();
    let made = c.create(1, "file", O_RDWR | O_EXCL).unwrap();
    assert_eq!((made[0], u32::from_le_bytes(made[13..].try_into().unwrap())), (0, 8192 - 24));
    assert_eq!(c.write(1, 2, b"hello"), Ok(5u32.to_le_bytes().to_vec()));
    assert_eq!(c.read(1, 0, 100), Ok(b"\0\0hello".to_vec()));
    assert_eq!(c.read(1, 5, 1), Ok(b"l".to_vec()));
    assert_eq!(c.read(1, u64::MAX, 100), Ok(Vec::new()));
    assert_eq!(c.attr(1), Ok((0o100644, 1000, 100, 1, 7)));
    assert_eq!(c.ask(50, &body(|w| (w.u32(1), w.u32(1)).1)), Ok(Vec::new()));
    assert_eq!(c.create(2, "file", O_EXCL), Err(EEXIST));
    // A read is never longer than the agreed size.
    c.write(1, 0, &[7; 8000]).unwrap();
    c.write(1, 8000, &[8; 8000]).unwrap();
    assert_eq!(c.read(1, 0, 1 << 20).unwrap().len(), 8192 - 11);
    // A fid that walked below a folder follows it when that is renamed.
    let mkdir = |name: &str| body(|w| (w.u32(0), w.text(name.as_bytes()), w.u32(0o750), w.u32(5)).3);
    assert_eq!(c.ask(72, &mkdir("d")).unwrap()[0], 0x80);
    assert_eq!(c.ask(74, &body(|w| (w.u32(0), w.text(b"file"), w.u32(3), w.text(b"f")).3)), Err(ENOENT));
    assert_eq!(c.walk(0, 3, &["d"]), Ok(1));
    assert_eq!(c.ask(74, &body(|w| (w.u32(0), w.text(b"file"), w.u32(3), w.text(b"f")).3)), Ok(Vec::new()));
    assert_eq!(c.walk(0, 4, &["d", "f"]), Ok(2));
    assert_eq!(c.ask(20, &body(|w| (w.u32(3), w.u32(0), w.text(b"e")).2)), Ok(Vec::new()));
    assert_eq!(c.attr(4).unwrap().4, 16000);
    assert_eq!(c.walk(0, 5, &["d"]), Err(ENOENT));
    assert_eq!(c.walk(0, 5, &["e", "g", "h"]), Ok(1), "as far as it came");
    assert_eq!(c.attr(5), Err(ENOENT), "and no fid");
    // Links.
    assert_eq!(c.ask(70, &body(|w| (w.u32(0), w.u32(4), w.text(b"hard")).2)), Ok(Vec::new()));
    assert_eq!(c.attr(4).unwrap().3, 2);
    assert_eq!(c.ask(16, &body(|w| (w.u32(0), w.text(b"soft"), w.text(b"e/f"), w.u32(5)).3)).unwrap()[0], 2);
    c.walk(0, 6, &["soft"]).unwrap();
    assert_eq!(c.ask(22, &6u32.to_le_bytes()), Ok(body(|w| w.text(b"e/f"))));
    assert_eq!(c.ask(18, &body(|w| (w.u32(0), w.text(b"n"), w.u32(0o20600), w.u32(5), w.u32(300), w.u32(5)).5)).unwrap()[0], 0);
    c.walk(0, 2, &["n"]).unwrap_err();
    c.walk(0, 12, &["n"]).unwrap();
    let attr = c.ask(24, &body(|w| (w.u32(12), w.u64(0x3fff)).1)).unwrap();
    assert_eq!(attr[41..49], (5u64 << 8 | 44 | 1 << 20).to_le_bytes(), "device number");
    // Removing: a folder only if asked for and empty; Tremove ends its fid even if it fails.
    let unlink = |name: &str, flags: u32| body(|w| (w.u32(0), w.text(name.as_bytes()), w.u32(flags)).2);
    assert_eq!(c.ask(76, &unlink("e", 0)), Err(21));
    assert_eq!(c.ask(76, &unlink("e", 0x200)), Err(39));
    assert_eq!(c.ask(76, &unlink("soft", 0)), Ok(Vec::new()));
    assert_eq!(c.ask(122, &3u32.to_le_bytes()), Err(39));
    assert_eq!(c.attr(3), Err(ENOENT));
    assert_eq!(c.ask(122, &4u32.to_le_bytes()), Ok(Vec::new()));
    assert_eq!(c.ask(76, &unlink("e", 0x200)), Ok(Vec::new()));
    assert_eq!(c.read(1, 0, 1), Ok(vec![7]), "an open file outlives its names");
    assert_eq!(c.clunk(1), Ok(Vec::new()));
    assert_eq!(c.clunk(1), Err(ENOENT));
    assert_eq!(c.0.bench.guest_errors(), 0);
}

#[test]
fn folders_are_read_in_pieces() {
    let mut c = Client::new();
    for n in 0..60 {
        c.create(1, &format!("name-{n:02}"), O_WRONLY).unwrap();
        c.clunk(1).unwrap();
    }
    c.walk(0, 2, &[]).unwrap();
    assert_eq!(c.ask(40, &body(|w| (w.u32(2), w.u64(0), w.u32(1000)).2)), Err(EBADF), "not open");
    assert_eq!(c.open(2, O_DIRECTORY).unwrap()[0], 0x80);
    for count in [40, 500, 8000] {
        let all = c.names(2, count);
        assert_eq!((all.len(), &all[0], &all[61]), (62, &(4, ".".into()), &(8, "name-59".into())), "{count}");
    }
    assert_eq!(c.ask(40, &body(|w| (w.u32(2), w.u64(0), w.u32(20)).2)), Err(EINVAL), "no room for one");
    assert_eq!(c.read(2, 0, 10), Err(21));
    c.create(3, "file", O_RDWR).unwrap();
    assert_eq!(c.ask(40, &body(|w| (w.u32(3), w.u64(0), w.u32(1000)).2)), Err(20));
    let statfs = c.ask(8, &3u32.to_le_bytes()).unwrap();
    assert_eq!((statfs.len(), statfs[4..8].to_vec()), (60, 4096u32.to_le_bytes().to_vec()));
}

#[test]
fn status_is_changed() {
    let mut c = Client::new();
    c.create(1, "file", O_RDWR).unwrap();
    c.walk(0, 2, &["file"]).unwrap();
    let set = |fid: u32, valid: u32| {
        body(|w| {
            for field in [fid, valid, 0o4711, 7, 8] {
                w.u32(field);
            }
            for field in [3u64, 100, 5, 200, 6] {
                w.u64(field);
            }
        })
    };
    assert_eq!(c.ask(26, &set(2, 0)), Ok(Vec::new()));
    assert_eq!(c.attr(2), Ok((0o100644, 1000, 100, 1, 0)));
    assert_eq!(c.ask(26, &set(1, 1 | 8)), Ok(Vec::new()));
    assert_eq!(c.attr(2), Ok((0o104711, 1000, 100, 1, 3)));
    assert_eq!(c.ask(26, &set(2, 2 | 4 | 0x10 | 0x20 | 0x80 | 0x100)), Ok(Vec::new()));
    assert_eq!(c.attr(1), Ok((0o104711, 7, 8, 1, 3)));
    let attr = c.ask(24, &body(|w| (w.u32(1), w.u64(0x3fff)).1)).unwrap();
    let times: Vec<u64> = attr[73..105].chunks(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(times, [100, 5, 200, 6]);
    assert_eq!(c.open(2, O_RDWR | O_TRUNC).unwrap()[0], 0);
    assert_eq!(c.attr(1).unwrap().4, 0);
    assert_eq!(c.open(2, O_RDWR), Err(16), "it is open");
}

#[test]
fn attributes_take_effect_when_the_fid_ends() {
    let mut c = Client::new();
    c.create(1, "file", O_RDWR).unwrap();
    let create = |fid: u32, size: u64| body(|w| (w.u32(fid), w.text(b"user.x"), w.u64(size), w.u32(0)).3);
    let walk = |new: u32, name: &str| body(|w| (w.u32(1), w.u32(new), w.text(name.as_bytes())).2);
    c.walk(0, 2, &["file"]).unwrap();
    assert_eq!(c.ask(32, &create(2, 5)), Ok(Vec::new()));
    c.write(2, 0, b"val").unwrap();
    assert_eq!(c.write(2, 0, b"x"), Err(28), "in order only");
    assert_eq!(c.write(2, 3, b"long"), Err(28));
    assert_eq!(c.ask(30, &walk(3, "user.x")), Err(61));
    c.write(2, 3, b"ue").unwrap();
    assert_eq!(c.clunk(2), Ok(Vec::new()));
    assert_eq!(c.ask(30, &walk(3, "user.x")), Ok(5u64.to_le_bytes().to_vec()));
    assert_eq!(c.read(3, 1, 3), Ok(b"alu".to_vec()));
    assert_eq!(c.read(3, 9, 3), Ok(Vec::new()));
    assert_eq!(c.ask(30, &walk(4, "")), Ok(7u64.to_le_bytes().to_vec()));
    assert_eq!(c.read(4, 0, 100), Ok(b"user.x\0".to_vec()));
    // What was announced must come; size 0 removes.
    c.walk(0, 5, &["file"]).unwrap();
    c.ask(32, &create(5, 9)).unwrap();
    assert_eq!(c.clunk(5), Err(EINVAL));
    assert_eq!(c.clunk(5), Err(ENOENT), "the fid has ended in any case");
    c.walk(0, 5, &["file"]).unwrap();
    c.ask(32, &create(5, 0)).unwrap();
    c.clunk(5).unwrap();
    assert_eq!(c.ask(30, &walk(6, "user.x")), Err(61));
    c.walk(0, 5, &["file"]).unwrap();
    assert_eq!(c.ask(32, &create(5, 1 << 40)), Err(7));
}

#[test]
fn locks() {
    let mut c = Client::new();
    c.create(1, "file", O_RDWR).unwrap();
    c.walk(0, 2, &["file"]).unwrap();
    c.open(2, O_RDWR).unwrap();
    let lock = |fid: u32, kind: u8, start: u64, len: u64, process: u32| {
        body(|w| (w.u32(fid), w.u8(kind), w.u32(0), w.u64(start), w.u64(len), w.u32(process), w.text(b"guest")).6)
    };
    let mut set = |fid, kind, start, len, process| c.ask(52, &lock(fid, kind, start, len, process)).unwrap()[0];
    assert_eq!(set(1, 1, 10, 10, 1), 0);
    assert_eq!(set(2, 0, 15, 1, 2), 1, "blocked");
    assert_eq!(set(2, 0, 20, 0, 2), 0, "beside it");
    assert_eq!(set(2, 1, 12, 2, 1), 0, "a process does not block itself");
    // The middle of it is given back.
    assert_eq!(set(1, 2, 12, 4, 1), 0);
    assert_eq!(set(2, 1, 12, 4, 2), 0);
    assert_eq!((set(2, 0, 11, 1, 2), set(2, 0, 16, 1, 2)), (1, 1));
    let query = body(|w| (w.u32(2), w.u8(0), w.u64(0), w.u64(0), w.u32(2), w.text(b"guest")).5);
    let first = body(|w| (w.u8(1), w.u64(10), w.u64(2), w.u32(1), w.text(b"guest")).4);
    assert_eq!(c.ask(54, &query), Ok(first));
    c.clunk(1).unwrap();
    let none = body(|w| (w.u8(2), w.u64(0), w.u64(0), w.u32(2), w.text(b"guest")).4);
    assert_eq!(c.ask(54, &query), Ok(none));
    assert_eq!(c.ask(52, &lock(2, 3, 0, 0, 1)), Err(EINVAL));
}

#[test]
fn a_loaded_state_is_the_one_that_was_saved() {
    let mut c = Client::new();
    c.create(1, "file", O_RDWR).unwrap();
    c.write(1, 0, b"before").unwrap();
    let saved = c.0.device.save().unwrap();
    // Other files under the same numbers in between.
    c.clunk(1).unwrap();
    c.create(1, "other", O_RDWR).unwrap();
    c.create(2, "third", O_RDWR).unwrap();
    c.write(1, 0, b"after").unwrap();
    c.0.device.load(&saved).unwrap();
    assert_eq!(c.0.device.save().unwrap(), saved);
    // The driver's memory would be restored as well; here it goes on where the rings are.
    c.0.device.reset();
    c.0.start(u64::MAX);
    assert_eq!(c.attr(0), Err(EPROTO));
}

#[test]
fn a_state_is_taken_on_with_its_files() {
    use tern_core::backend::fs::{FileSystem, New, Open};
    let mut folder = Folder::new();
    let how = Open { read: true, write: true, ..Open::default() };
    folder.create(9, &[b"f".to_vec()], how, New { mode: 0o600, ..New::default() }).unwrap();
    folder.write(9, 0, b"text").unwrap();
    let mut a = P9::new(Box::new(folder), "t");
    a.state.msize = 8192;
    let fid = super::Fid { path: vec![b"f".to_vec()], uid: 0, usage: super::Use::Opened(how.into()) };
    a.state.fids.insert(5, fid);
    let saved = a.save().unwrap();
    a.state.fids.clear();
    a.load(&saved).unwrap();
    assert_eq!(a.save().unwrap(), saved);
    a.restore();
    let mut buf = [0; 4];
    assert_eq!(a.fs.read(5, 0, &mut buf), Ok(4));
    // A path that leads out is refused.
    let evil = super::Fid { path: vec![b"..".to_vec()], uid: 0, usage: super::Use::Named };
    a.state.fids.insert(6, evil);
    let bad = a.save().unwrap();
    assert!(a.load(&bad).is_err_and(|e| e.to_string().contains("field path")));
    let clock = crate::bench::Bench::new().kit("9p").clock;
    a.reset(&clock);
    assert_eq!(a.fs.read(5, 0, &mut buf), Err(tern_core::backend::fs::FsError::EBADF), "a reset closes files");
}

#[test]
fn nonsense_is_answered_with_errors() {
    let mut c = Client::new();
    for (name, error) in [("", ENOENT), (".", EINVAL), ("a/b", ENOENT), ("a\0b", ENOENT)] {
        assert_eq!(c.walk(0, 9, &[name]), Err(error), "{name:?}");
        assert_eq!(c.create(8, name, O_RDWR), Err(error));
        c.clunk(8).unwrap();
    }
    assert_eq!(c.walk(0, 9, &["..", "..", ".."]), Ok(3), "the root is above itself");
    assert_eq!(c.create(8, "..", O_RDWR), Err(EINVAL));
    assert_eq!(c.walk(0, 0, &["a"; 17]), Err(EINVAL));
    assert_eq!(c.walk(0, 9, &[]), Err(EINVAL), "in use");
    assert_eq!(c.ask(102, &[]), Err(95));
    assert_eq!(c.ask(200, &[]), Err(95));
    assert_eq!(c.0.bench.unimplemented(), 1);
    // Every message cut off everywhere is refused and counted.
    let before = c.0.bench.guest_errors();
    let mut cut = 0;
    for kind in [8, 12, 14, 16, 18, 20, 22, 24, 26, 30, 32, 40, 50, 52, 54, 70, 72, 74, 76, 104, 108, 110, 116, 118, 120, 122] {
        assert_eq!(c.ask(kind, &[0]), Err(EPROTO), "message {kind}");
        cut += 1;
    }
    assert_eq!(c.0.bench.guest_errors(), before + cut);
    // A size that lies, a message that is none, no room for the reply.
    let mut lie = message(24, 1, &[0; 12]);
    lie[0] = 200;
    let done = c.0.ask(0, &[&lie], &[100]);
    assert_eq!(done.data[4], 7);
    let walk = message(24, 1, &body(|w| (w.u32(0), w.u64(0x7ff)).1));
    let done = c.0.ask(0, &[&walk], &[50]);
    assert_eq!(done.data[4], 7, "a cut reply is an error");
    assert!(!c.0.is_broken());
    c.0.add(0, &[&walk], &[5], false);
    c.0.kick(0);
    assert!(c.0.is_broken());
    let mut c = Client::new();
    c.0.add(0, &[b"abc"], &[100], false);
    c.0.kick(0);
    assert!(c.0.is_broken());
}

#[test]
fn random_messages_do_no_harm() {
    let mut c = Client::new();
    let mut seed = 7u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    // What the messages hold: f a fid, n a name, 1 to 8 a number of so many bytes.
    let shapes = [
        (8, "f"), (12, "f4"), (14, "fn444"), (16, "fnn4"), (18, "fn4444"), (20, "ffn"), (22, "f"), (24, "f8"),
        (26, "f44448888"), (30, "ffn"), (32, "fn84"), (40, "f84"), (50, "f4"), (52, "f14884n"), (54, "f1884n"),
        (70, "ffn"), (72, "fn44"), (74, "fnfn"), (76, "fn4"), (104, "ff2n4"), (110, "ff2nn"), (116, "f84"),
        (118, "f84n"), (120, "f"), (122, "f"),
    ];
    let mut fine = 0;
    for _ in 0..30_000 {
        if c.attr(0).is_err() {
            let _ = c.clunk(0);
            c.ask(104, &body(|w| (w.u32(0), w.u32(u32::MAX), w.text(b""), w.text(b""), w.u32(0)).4)).unwrap();
        }
        let (kind, shape) = shapes[random() as usize % shapes.len()];
        let mut bytes = Vec::new();
        for field in shape.bytes() {
            // Numbers are small, so that they are often fids, flags and places that are there.
            let number = random() % if random().is_multiple_of(16) { u64::MAX } else { 4 };
            match field {
                b'n' => bytes.extend([1, 0, b'a' + random() as u8 % 4]),
                b'f' => bytes.extend((random() as u32 % 6).to_le_bytes()),
                size => bytes.extend(&number.to_le_bytes()[..usize::from(size - b'0')]),
            }
        }
        if random().is_multiple_of(8) {
            let at = random() as usize % bytes.len();
            bytes[at] ^= 1 << (random() % 8);
            bytes.truncate(bytes.len() - random() as usize % 3);
        }
        fine += usize::from(c.ask(kind, &bytes).is_ok());
    }
    assert!(fine > 1000, "{fine}");
    assert!(!c.0.is_broken());
}

/// A client of the synthetic file system, mounted.
fn synth(limit: Option<u32>) -> Client {
    let mut c = Client(Driver::split(1, |_| Box::new(P9::new(Box::new(Synth::new(limit)), "home"))));
    c.version(32768, b"9P2000.L").unwrap();
    let attach = body(|w| (w.u32(0), w.u32(u32::MAX), w.text(b""), w.text(b""), w.u32(0)).4);
    c.ask(104, &attach).unwrap();
    c
}

#[test]
fn a_request_that_blocks_waits_until_it_is_flushed() {
    let mut c = synth(None);
    c.walk(0, 1, &["FLUSH"]).unwrap();
    c.open(1, 1).unwrap();
    let write = |byte: u8| body(|w| (w.u32(1), w.u64(0), w.u32(1), w.u8(byte)).3);
    let send = |c: &mut Client, kind: u8, tag: u16, body: &[u8]| {
        c.0.add(0, &[&message(kind, tag, body)], &[4096], false);
        c.0.kick(0);
    };
    send(&mut c, 118, 5, &write(1));
    send(&mut c, 118, 6, &write(1));
    assert!(c.0.done(0).is_none(), "both wait");
    assert_eq!(c.write(1, 0, &[0]), Ok(1u32.to_le_bytes().to_vec()), "others do not");
    let saved = c.0.device.save().unwrap();
    c.0.device.load(&saved).unwrap();
    c.0.bench.advance(&mut *c.0.device, 0, 10_000_000);
    assert!(c.0.done(0).is_none(), "they have been tried again");
    send(&mut c, 108, 7, &5u16.to_le_bytes());
    let done = [(); 2].map(|()| c.0.done(0).unwrap());
    assert_eq!((done[0].len, done[1].len, done[1].data[4]), (0, 7, 109), "first the request, without an answer");
    assert!(c.0.done(0).is_none());
    // What is not there any more when it is tried again is answered.
    c.0.add(0, &[&message(120, 8, &1u32.to_le_bytes())], &[4096], false);
    c.0.kick(0);
    assert_eq!(c.0.done(0).map(|done| done.data[4]), Some(121));
    c.0.bench.advance(&mut *c.0.device, 0, 20_000_000);
    let done = c.0.done(0).unwrap();
    assert_eq!((done.data[4], done.data[5], done.data[7]), (7, 6, ENOENT as u8));
    // A new session gives up what the old one waited for.
    c.walk(0, 1, &["FLUSH"]).unwrap();
    c.open(1, 1).unwrap();
    send(&mut c, 118, 9, &write(1));
    send(&mut c, 100, 10, &body(|w| (w.u32(8192), w.text(b"9P2000.L")).1));
    assert_eq!([(); 2].map(|()| c.0.done(0).unwrap().len), [0, 21]);
    c.0.bench.advance(&mut *c.0.device, 0, 40_000_000);
    assert!(c.0.done(0).is_none());
}

#[test]
fn attributes_in_transfer_are_counted_and_limited() {
    let mut c = synth(Some(3));
    let count = |c: &mut Client| {
        c.walk(0, 99, &["stat", "xattr_count"]).unwrap();
        c.open(99, 0).unwrap();
        let count = c.read(99, 0, 8).unwrap();
        c.clunk(99).unwrap();
        u64::from_le_bytes(count.try_into().unwrap())
    };
    let create = |fid: u32, flags: u32| body(|w| (w.u32(fid), w.text(b"user.x"), w.u64(4), w.u32(flags)).3);
    for fid in 1..=4 {
        c.walk(0, fid, &["WRITE"]).unwrap();
    }
    assert_eq!(c.ask(32, &create(1, 8)), Err(EINVAL));
    for fid in 1..=3 {
        c.ask(32, &create(fid, 0)).unwrap();
        assert_eq!(count(&mut c), u64::from(fid));
    }
    assert_eq!(c.ask(32, &create(4, 0)), Err(28));
    let saved = c.0.device.save().unwrap();
    c.0.device.load(&saved).unwrap();
    assert_eq!(count(&mut c), 3);
    for fid in 1..=3 {
        c.write(fid, 0, b"1234").unwrap();
        c.clunk(fid).unwrap();
    }
    assert_eq!((count(&mut c), c.clunk(4)), (0, Ok(Vec::new())));
}

#[test]
fn the_synthetic_tree_is_as_its_tests_know_it() {
    let mut c = synth(None);
    let levels: Vec<String> = (0..16).map(|n| format!("WALK{n}")).collect();
    let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
    assert_eq!(c.walk(0, 1, &levels), Ok(16));
    assert_eq!(c.walk(0, 2, &["WALK0", "non-existent"]), Ok(1));
    assert_eq!(c.attr(2), Err(ENOENT), "a walk that ends early makes no fid");
    assert_eq!(c.walk(0, 2, &[" /"]), Err(ENOENT));
    c.walk(0, 2, &["ReadDirDir"]).unwrap();
    c.open(2, 0o200000).unwrap();
    let (mut seen, mut at, mut count) = (0, 0u64, 128);
    loop {
        let reply = c.ask(40, &body(|w| (w.u32(2), w.u64(at), w.u32(count)).2)).unwrap();
        let mut entries = &reply[4..];
        // As QEMU's test does it.
        count = entries.len() as u32;
        if entries.is_empty() {
            break;
        }
        while let [_, rest @ ..] = entries {
            at = u64::from_le_bytes(rest[12..20].try_into().unwrap());
            entries = &entries[24 + usize::from(entries[22])..];
            seen += 1;
        }
    }
    assert_eq!(seen, 102);
    assert_eq!(c.ask(72, &body(|w| (w.u32(0), w.text(b"d"), w.u32(0o755), w.u32(0)).3)), Err(1));
}

#[test]
fn paths_may_be_deep_when_there_are_few_fids() {
    let mut c = Client::new();
    let name = "A".repeat(255);
    let mut at = 0;
    for fid in 1..=300 {
        c.ask(72, &body(|w| (w.u32(at), w.text(name.as_bytes()), w.u32(0o755), w.u32(0)).3)).unwrap();
        assert_eq!(c.walk(at, fid, &[&name]), Ok(1));
        at = fid;
    }
    assert!(c.attr(at).is_ok());
    let saved = c.0.device.save().unwrap();
    c.0.device.load(&saved).unwrap();
    // Lower still it cannot get by renaming what is above.
    for fid in 1000..1256 {
        c.ask(72, &body(|w| (w.u32(if fid == 1000 { 0 } else { fid - 1 }), w.text(b"b"), w.u32(0o755), w.u32(0)).3)).unwrap();
        assert_eq!(c.walk(if fid == 1000 { 0 } else { fid - 1 }, fid, &["b"]), Ok(1));
    }
    let rename = |to: u32| body(|w| (w.u32(0), w.text(name.as_bytes()), w.u32(to), w.text(b"c")).3);
    assert!(c.ask(74, &rename(1255)).is_ok(), "there is room for 512 more bytes");
    assert!(c.attr(at).is_ok());
}
