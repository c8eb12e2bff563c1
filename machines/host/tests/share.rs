//! Shared folders: what a guest can do in one, and that it cannot leave it.
#![cfg(target_os = "linux")]

mod common;

use common::Dir;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use tern_core::backend::fs::{FileSystem, FsError, Make, New, Node, Open, SetAttr, SetTime, Stamp, mode};
use tern_host::share::{Options, Security, Share};

fn share(dir: &Dir, security: Security, read_only: bool) -> Share {
    Share::new(&Options { root: dir.0.join("root"), security, read_only }).unwrap()
}

fn folder(name: &str) -> Dir {
    let dir = Dir::new(name);
    std::fs::create_dir(dir.0.join("root")).unwrap();
    dir
}

fn p(path: &str) -> Vec<Vec<u8>> {
    path.split('/').filter(|s| !s.is_empty()).map(|s| s.as_bytes().to_vec()).collect()
}

const RW: Open =
    Open { read: true, write: true, append: false, truncate: false, directory: false, exclusive: false, sync: false };
const RO: Open = Open { write: false, ..RW };
const DIR: Open = Open { directory: true, ..RO };

fn new(mode: u32) -> New {
    New { mode, uid: 1234, gid: 2345 }
}

fn names(s: &mut Share, handle: u32) -> Vec<String> {
    let (mut from, mut all) = (0, Vec::new());
    loop {
        let part = s.read_dir(handle, from, 1024).unwrap();
        let Some(last) = part.last() else { break };
        from = last.next;
        all.extend(part.iter().map(|e| String::from_utf8(e.name.clone()).unwrap()));
    }
    all.sort();
    all
}

#[test]
fn files_of_every_model() {
    for security in [Security::None, Security::MappedXattr, Security::Passthrough] {
        let dir = folder(&format!("share-{security:?}"));
        let mut s = share(&dir, security, false);
        // Passthrough needs the right to give files away.
        let root = tern_host::sys::cred::getresuid().unwrap().effective == 0;
        if security == Security::Passthrough && !root {
            eprintln!("SKIPPED: passthrough needs root");
            continue;
        }
        if security == Security::MappedXattr && s.set_xattr(&p(""), b"user.t", b"1", 0) == Err(FsError::EOPNOTSUPP) {
            eprintln!("SKIPPED: the file system of {} has no user attributes", dir.0.display());
            continue;
        }
        let mapped = security == Security::MappedXattr;
        s.make(&p("d"), Make::Directory, new(0o750)).unwrap();
        s.create(1, &p("d/f"), Open { exclusive: true, ..RW }, new(0o640)).unwrap();
        assert_eq!(s.create(2, &p("d/f"), Open { exclusive: true, ..RW }, new(0o640)), Err(FsError::EEXIST));
        assert_eq!(s.write(1, 3, b"hello"), Ok(5));
        let mut buf = [9; 16];
        assert_eq!(s.read(1, 0, &mut buf), Ok(8));
        assert_eq!(&buf[..9], b"\0\0\0hello\x09");
        s.sync(1, true).unwrap();
        s.sync(1, false).unwrap();
        let attr = s.stat(Node::Path(&p("d/f"))).unwrap();
        assert_eq!((attr.mode, attr.size, attr.nlink), (mode::REGULAR | 0o640, 8, 1));
        if root || mapped {
            assert_eq!((attr.uid, attr.gid), (1234, 2345));
        }
        assert_eq!(s.stat(Node::Open(1)), Ok(attr));
        assert_eq!(s.stat(Node::Path(&p("d"))).unwrap().mode, mode::DIRECTORY | 0o750);
        let on_host = std::fs::metadata(dir.0.join("root/d/f")).unwrap();
        assert_eq!(on_host.permissions().mode() & 0o777, if mapped { 0o600 } else { 0o640 });
        assert_eq!(attr.ino, on_host.ino());

        let at = Stamp { sec: 1_000_000_007, nsec: 123_456_789 };
        let set = SetAttr {
            mode: Some(0o4711),
            size: Some(4),
            atime: Some(SetTime::At(at)),
            mtime: Some(SetTime::At(at)),
            ..SetAttr::default()
        };
        s.set_attr(Node::Path(&p("d/f")), &set).unwrap();
        let attr = s.stat(Node::Path(&p("d/f"))).unwrap();
        assert_eq!((attr.mode, attr.size, attr.atime, attr.mtime), (mode::REGULAR | 0o4711, 4, at, at));
        s.set_attr(Node::Open(1), &SetAttr { mode: Some(0o600), size: Some(2), ..SetAttr::default() }).unwrap();
        let now = SetAttr { mtime: Some(SetTime::Now), ..SetAttr::default() };
        s.set_attr(Node::Open(1), &now).unwrap();
        let attr = s.stat(Node::Open(1)).unwrap();
        assert_eq!((attr.mode & 0o7777, attr.size, attr.atime), (0o600, 2, at));
        assert!(attr.mtime.sec > at.sec);
        if root || mapped {
            let own = SetAttr { uid: Some(77), ..SetAttr::default() };
            s.set_attr(Node::Path(&p("d/f")), &own).unwrap();
            let attr = s.stat(Node::Path(&p("d/f"))).unwrap();
            assert_eq!((attr.uid, attr.gid), (77, 2345));
        }

        s.make(&p("d/l"), Make::Symlink(b"../elsewhere"), new(0o777)).unwrap();
        assert_eq!(s.read_link(&p("d/l")), Ok(b"../elsewhere".to_vec()));
        let attr = s.stat(Node::Path(&p("d/l"))).unwrap();
        assert_eq!((attr.mode & mode::TYPE, attr.size), (mode::SYMLINK, 12));
        assert_eq!(s.open(3, &p("d/l"), RO), Err(FsError::ELOOP));
        s.make(&p("d/pipe"), Make::Node(mode::FIFO, (0, 0)), new(0o600)).unwrap();
        assert_eq!(s.stat(Node::Path(&p("d/pipe"))).unwrap().mode, mode::FIFO | 0o600);
        assert_eq!(s.open(3, &p("d/pipe"), RO), Err(FsError::ENXIO));
        if mapped {
            s.make(&p("d/disk"), Make::Node(mode::BLOCK, (0x1234, 0x56789)), new(0o660)).unwrap();
            let attr = s.stat(Node::Path(&p("d/disk"))).unwrap();
            assert_eq!((attr.mode, attr.rdev), (mode::BLOCK | 0o660, (0x1234, 0x56789)));
            assert!(std::fs::metadata(dir.0.join("root/d/disk")).unwrap().is_file());
            s.remove(&p("d/disk"), false).unwrap();
        }

        s.link(&p("d/f"), &p("g")).unwrap();
        assert_eq!(s.stat(Node::Path(&p("g"))).unwrap().nlink, 2);
        s.rename(&p("g"), &p("d/h")).unwrap();
        s.open(4, &p("d"), DIR).unwrap();
        assert_eq!(names(&mut s, 4), [".", "..", "f", "h", "l", "pipe"]);
        let kinds = s.read_dir(4, 0, 1 << 16).unwrap();
        let kind = |name: &[u8]| kinds.iter().find(|e| e.name == name).unwrap().kind;
        assert_eq!((kind(b"f"), kind(b"l"), kind(b"pipe")), (mode::REGULAR, mode::SYMLINK, mode::FIFO));
        assert_eq!(s.remove(&p("d"), true), Err(FsError::ENOTEMPTY));
        assert_eq!(s.remove(&p("d"), false), Err(FsError::EISDIR));
        for name in ["d/f", "d/h", "d/l", "d/pipe"] {
            s.remove(&p(name), false).unwrap();
        }
        // An open file outlives its names.
        assert_eq!(s.stat(Node::Path(&p("d/f"))), Err(FsError::ENOENT));
        assert_eq!(s.stat(Node::Open(1)).unwrap().nlink, 0);
        assert_eq!(s.write(1, 0, b"x"), Ok(1));
        s.close(1);
        assert_eq!(s.read(1, 0, &mut buf), Err(FsError::EBADF));
        s.remove(&p("d"), true).unwrap();
        let fs = s.stat_fs(&p("")).unwrap();
        assert!(fs.bsize > 0 && fs.blocks > 0 && fs.namelen >= 255);
    }
}

#[test]
fn many_names() {
    let dir = folder("share-many");
    let mut s = share(&dir, Security::None, false);
    for n in 0..500 {
        std::fs::write(dir.0.join(format!("root/file-with-a-long-name-{n:03}")), "").unwrap();
    }
    s.open(7, &[], DIR).unwrap();
    let all = names(&mut s, 7);
    assert_eq!(
        (all.len(), all[2].as_str(), all[501].as_str()),
        (502, "file-with-a-long-name-000", "file-with-a-long-name-499")
    );
    // The root is its own parent.
    let entries = s.read_dir(7, 0, 1 << 16).unwrap();
    let ino = |name: &[u8]| entries.iter().find(|e| e.name == name).map(|e| e.ino);
    assert_eq!(ino(b".").or(ino(b"..")), Some(s.stat(Node::Path(&[])).unwrap().ino));
    assert!(ino(b"..").is_none_or(|i| i == s.stat(Node::Path(&[])).unwrap().ino));
}

#[test]
fn nobody_leaves_the_folder() {
    let dir = folder("share-escape");
    std::fs::write(dir.0.join("secret"), "secret").unwrap();
    std::fs::create_dir(dir.0.join("root/d")).unwrap();
    for (at, to) in [("up", ".."), ("abs", "/"), ("secret", "../secret"), ("d/up", "../.."), ("self", "d")] {
        symlink(to, dir.0.join("root").join(at)).unwrap();
    }
    let mut s = share(&dir, Security::None, false);
    let refused = [FsError::ELOOP, FsError::ENOTDIR, FsError::EXDEV, FsError::EINVAL, FsError::EEXIST];
    let mut wrong = |path: &[Vec<u8>]| {
        let results = [
            s.open(1, path, RO).err(),
            s.create(2, path, RW, new(0o600)).err(),
            s.make(path, Make::Directory, new(0o700)).err(),
            s.set_attr(Node::Path(path), &SetAttr { size: Some(0), ..SetAttr::default() }).err(),
        ];
        for result in results {
            assert!(result.is_some_and(|e| refused.contains(&e)), "{path:?}: {result:?}");
        }
    };
    for path in ["up/secret", "abs/etc/passwd", "secret", "d/up/secret", "self/x"] {
        wrong(&p(path));
    }
    let odd: [&[&[u8]]; 6] =
        [&[b".."], &[b"..", b"secret"], &[b"d", b"..", b"..", b"secret"], &[b"../secret"], &[b""], &[b"a\0b"]];
    for path in odd {
        wrong(&path.iter().map(|n| n.to_vec()).collect::<Vec<_>>());
    }
    assert_eq!(std::fs::read(dir.0.join("secret")).unwrap(), b"secret");
    // A link itself can be looked at, moved, removed, and given a mode only where links have one.
    assert_eq!(s.stat(Node::Path(&p("secret"))).unwrap().mode & mode::TYPE, mode::SYMLINK);
    s.rename(&p("secret"), &p("d/s")).unwrap();
    let changed = s.set_attr(Node::Path(&p("d/s")), &SetAttr { mode: Some(0o666), ..SetAttr::default() });
    assert_eq!(changed, Err(FsError::EOPNOTSUPP));
    let times = SetAttr { mtime: Some(SetTime::At(Stamp { sec: 5, nsec: 0 })), ..SetAttr::default() };
    s.set_attr(Node::Path(&p("d/s")), &times).unwrap();
    assert_ne!(std::fs::metadata(dir.0.join("secret")).unwrap().mtime(), 5);
    s.remove(&p("d/s"), false).unwrap();
    assert!(dir.0.join("secret").exists());
}

#[test]
fn read_only() {
    let dir = folder("share-read-only");
    std::fs::write(dir.0.join("root/f"), "text").unwrap();
    let mut s = share(&dir, Security::None, true);
    s.open(1, &p("f"), RO).unwrap();
    let mut buf = [0; 4];
    assert_eq!(s.read(1, 0, &mut buf), Ok(4));
    let f = p("f");
    let all = [
        s.open(2, &f, RW).err(),
        s.open(2, &f, Open { truncate: true, ..RO }).err(),
        s.create(2, &p("g"), RW, new(0o600)).err(),
        s.write(1, 0, b"x").err(),
        s.make(&p("g"), Make::Directory, new(0o700)).err(),
        s.link(&f, &p("g")).err(),
        s.rename(&f, &p("g")).err(),
        s.remove(&f, false).err(),
        s.set_attr(Node::Path(&f), &SetAttr { mode: Some(0), ..SetAttr::default() }).err(),
        s.set_xattr(&f, b"user.x", b"1", 0).err(),
        s.remove_xattr(&f, b"user.x").err(),
    ];
    assert!(all.iter().all(|e| *e == Some(FsError::EROFS)), "{all:?}");
}

#[test]
fn extended_attributes() {
    let dir = folder("share-xattr");
    for security in [Security::None, Security::MappedXattr] {
        let mut s = share(&dir, security, false);
        let f = p(&format!("{security:?}"));
        s.create(1, &f, RW, new(0o644)).unwrap();
        match s.set_xattr(&f, b"user.one", b"1", 0) {
            Err(FsError::EOPNOTSUPP) => {
                eprintln!("SKIPPED: the file system of {} has no user attributes", dir.0.display());
                return;
            }
            result => result.unwrap(),
        }
        s.set_xattr(&f, b"user.two", &[7; 300], 1).unwrap();
        assert_eq!(s.set_xattr(&f, b"user.two", b"", 1), Err(FsError::EEXIST));
        assert_eq!(s.set_xattr(&f, b"user.three", b"", 2), Err(FsError::ENODATA));
        assert_eq!(s.xattr(&f, b"user.two"), Ok(vec![7; 300]));
        let list = s.xattr(&f, b"").unwrap();
        let mut list: Vec<_> = list.split(|b| *b == 0).filter(|n| !n.is_empty()).collect();
        list.sort();
        assert_eq!(list, [b"user.one".as_slice(), b"user.two"]);
        s.remove_xattr(&f, b"user.one").unwrap();
        assert_eq!(s.xattr(&f, b"user.one"), Err(FsError::ENODATA));
        assert_eq!(s.xattr(&f, b"user.virtfs.uid"), Err(FsError::EPERM));
        assert_eq!(s.set_xattr(&f, b"user.virtfs.mode", b"abcd", 0), Err(FsError::EPERM));
    }
}
