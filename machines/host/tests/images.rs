//! Disk images: every stack against a model, durability, locks, full disks, malformed qcow2.
#![cfg(target_os = "linux")]

mod common;

use common::Dir;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tern_core::backend::{Block, BlockError};
use tern_host::image::overlay::Overlay;
use tern_host::image::{Backing, Cache, Format, ImageError, Options, Snapshot, create, memory, open, raw, wrap};

/// xorshift64*: the tests' random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

fn qcow2_img(args: &[&str]) -> Option<String> {
    let output = match Command::new("qemu-img").args(args).output() {
        Ok(output) => output,
        Err(e) => {
            eprintln!("SKIPPED: qemu-img {}: {e}", args.join(" "));
            return None;
        }
    };
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "qemu-img {}: {text}", args.join(" "));
    Some(text)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the tests' names are text")
}

fn options() -> Options {
    Options { discard: true, ..Options::default() }
}

const SIZE: u64 = 3 << 20;

/// Random operations on a disk and on bytes in memory. Discarded bytes may be anything that they were, or zero: they are
/// read and become the model's.
fn churn(name: &str, disk: &mut dyn Block, model: &mut [u8], seed: u64, steps: usize) {
    let mut random = Random(seed);
    let size = model.len() as u64;
    assert_eq!(disk.size(), size, "{name}");
    for step in 0..steps {
        let at = |what: &str| format!("{name}, step {step}: {what}");
        let offset = random.below(size);
        let longest = [1, 600, 5000, 70_000, 300_000][random.below(5) as usize];
        let len = random.below(longest.min(size - offset) + 1);
        // Half of the operations are whole sectors.
        let (offset, len) = if random.below(2) == 0 { (offset & !511, len & !511) } else { (offset, len) };
        let range = offset as usize..(offset + len) as usize;
        match random.below(12) {
            0..=3 => {
                let mut buf = vec![0xa5; len as usize];
                disk.read(offset, &mut buf).unwrap_or_else(|e| panic!("{}: {e}", at("read")));
                assert!(buf == model[range], "{}", at("read other bytes"));
            }
            4..=7 => {
                let fill = random.next();
                let buf: Vec<u8> = (0..len).map(|i| (fill >> (i % 8 * 8)) as u8 ^ i as u8).collect();
                disk.write(offset, &buf).unwrap_or_else(|e| panic!("{}: {e}", at("write")));
                model[range].copy_from_slice(&buf);
            }
            8 | 9 => {
                disk.write_zeroes(offset, len, random.below(2) == 0)
                    .unwrap_or_else(|e| panic!("{}: {e}", at("write_zeroes")));
                model[range].fill(0);
            }
            10 => {
                disk.discard(offset, len).unwrap_or_else(|e| panic!("{}: {e}", at("discard")));
                let mut buf = vec![0; len as usize];
                disk.read(offset, &mut buf).unwrap_or_else(|e| panic!("{}: {e}", at("read after discard")));
                for (new, old) in buf.iter().zip(&mut model[range]) {
                    assert!(*new == *old || *new == 0, "{}", at("discard made up bytes"));
                    *old = *new;
                }
            }
            _ => disk.flush().unwrap_or_else(|e| panic!("{}: {e}", at("flush"))),
        }
    }
    same(name, disk, model);
    for (offset, len) in [(size, 1), (size - 1, 2), (u64::MAX, 1), (u64::MAX - 5, 10)] {
        let mut buf = vec![0; len];
        assert_eq!(disk.read(offset, &mut buf), Err(BlockError::OutOfRange), "{name}");
        assert_eq!(disk.write(offset, &buf), Err(BlockError::OutOfRange), "{name}");
        assert_eq!(disk.discard(offset, len as u64), Err(BlockError::OutOfRange), "{name}");
        assert_eq!(disk.write_zeroes(offset, len as u64, true), Err(BlockError::OutOfRange), "{name}");
    }
}

fn same(name: &str, disk: &mut dyn Block, model: &[u8]) {
    let mut all = vec![0; model.len()];
    disk.read(0, &mut all).unwrap();
    if let Some(at) = all.iter().zip(model).position(|(a, b)| a != b) {
        panic!("{name}: byte {at:#x} is {:#x}, not {:#x}", all[at], model[at]);
    }
}

/// A raw file of `SIZE` random bytes.
fn base(dir: &Dir) -> (PathBuf, Vec<u8>) {
    let path = dir.0.join("base.raw");
    let mut random = Random(99);
    let bytes: Vec<u8> = (0..SIZE).map(|_| random.next() as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

#[test]
fn raw_follows_the_model() {
    let dir = Dir::new("images-raw");
    for (n, cache) in [Cache::WriteBack, Cache::WriteThrough, Cache::Unsafe].into_iter().enumerate() {
        let path = dir.0.join(format!("{n}.raw"));
        create(&path, Format::Raw, Some(SIZE), None).unwrap();
        let mut model = vec![0; SIZE as usize];
        let steps = if cache == Cache::WriteThrough { 60 } else { 600 };
        churn("raw", &mut *open(&path, &Options { cache, ..options() }).unwrap(), &mut model, n as u64 + 1, steps);
        assert!(std::fs::read(&path).unwrap() == model);
        same("raw again", &mut *open(&path, &options()).unwrap(), &model);
    }
    // What the file lacks of its last sector is zeros, until it is written.
    let path = dir.0.join("odd.raw");
    std::fs::write(&path, [7; 700]).unwrap();
    let mut disk = open(&path, &options()).unwrap();
    assert_eq!(disk.size(), 1024);
    let mut tail = [1; 512];
    disk.read(512, &mut tail).unwrap();
    assert_eq!((tail[187], tail[188], tail[511]), (7, 0, 0));
    disk.write(1000, &[9]).unwrap();
    drop(disk);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1001);
}

#[test]
fn direct_follows_the_model() {
    let dir = Dir::new("images-direct");
    let path = dir.0.join("a.raw");
    create(&path, Format::Raw, Some(SIZE), None).unwrap();
    let direct = Options { cache: Cache::None, format: Some(Format::Raw), ..options() };
    let mut disk = match open(&path, &direct) {
        Ok(disk) => disk,
        Err(ImageError::Io { error, .. }) if error.kind() == std::io::ErrorKind::InvalidInput => {
            eprintln!("SKIPPED: the file system of {} knows no O_DIRECT", dir.0.display());
            return;
        }
        Err(e) => panic!("{e}"),
    };
    let mut model = vec![0; SIZE as usize];
    churn("raw, cache=none", &mut *disk, &mut model, 5, 200);
    drop(disk);
    assert!(std::fs::read(&path).unwrap() == model);
    let path = dir.0.join("a.qcow2");
    create(&path, Format::Qcow2, Some(SIZE), None).unwrap();
    let mut model = vec![0; SIZE as usize];
    churn(
        "qcow2, cache=directsync",
        &mut *open(&path, &Options { cache: Cache::DirectSync, ..options() }).unwrap(),
        &mut model,
        6,
        60,
    );
    qcow2_img(&["check", text(&path)]);
}

#[test]
fn qcow2_follows_the_model() {
    let dir = Dir::new("images-qcow2");
    let path = dir.0.join("a.qcow2");
    create(&path, Format::Qcow2, Some(SIZE), None).unwrap();
    let mut model = vec![0; SIZE as usize];
    for round in 0..3 {
        churn("qcow2", &mut *open(&path, &options()).unwrap(), &mut model, round + 20, 400);
        qcow2_img(&["check", text(&path)]);
    }
    let flat = dir.0.join("flat.raw");
    std::fs::write(&flat, &model).unwrap();
    qcow2_img(&["compare", "-f", "qcow2", "-F", "raw", text(&path), text(&flat)]);
    let mut read_only = open(&path, &Options { read_only: true, ..options() }).unwrap();
    same("qcow2, read-only", &mut *read_only, &model);
    assert_eq!(read_only.write(0, &[1]), Err(BlockError::ReadOnly));
}

#[test]
fn backing_chain_follows_the_model() {
    let dir = Dir::new("images-chain");
    let (raw, mut model) = base(&dir);
    // Longer than what is behind it: the rest is zeros.
    let backing = |name: &str, format| Backing { name: name.to_owned(), format };
    let (middle, top) = (dir.0.join("middle.qcow2"), dir.0.join("top.qcow2"));
    create(&middle, Format::Qcow2, Some(SIZE + (1 << 20)), Some(&backing("base.raw", Format::Raw))).unwrap();
    model.resize((SIZE + (1 << 20)) as usize, 0);
    churn("middle", &mut *open(&middle, &options()).unwrap(), &mut model, 31, 200);
    let before = model.clone();
    create(&top, Format::Qcow2, None, Some(&backing("middle.qcow2", Format::Qcow2))).unwrap();
    churn("top", &mut *open(&top, &options()).unwrap(), &mut model, 32, 200);
    qcow2_img(&["check", text(&top)]);
    let flat = dir.0.join("flat.raw");
    std::fs::write(&flat, &model).unwrap();
    qcow2_img(&["compare", "-f", "qcow2", "-F", "raw", text(&top), text(&flat)]);
    same("middle, unchanged", &mut *open(&middle, &Options { read_only: true, ..options() }).unwrap(), &before);
    // While the chain is open its lower images are in use.
    let _open = open(&top, &options()).unwrap();
    for (below, format) in [(&raw, Format::Raw), (&middle, Format::Qcow2)] {
        let wrong = open(below, &Options { format: Some(format), ..options() }).err();
        assert!(matches!(wrong, Some(ImageError::Locked { .. })), "{wrong:?}");
    }
}

#[test]
fn images_of_qemu() {
    let dir = Dir::new("images-qemu");
    let (raw, mut model) = base(&dir);
    // Something that compresses.
    model[..1 << 20].fill(b'x');
    model[SIZE as usize - 5000..].fill(0);
    std::fs::write(&raw, &model).unwrap();
    let cases: [(&str, &[&str]); 6] = [
        ("v2", &["-o", "compat=0.10"]),
        ("small clusters", &["-o", "cluster_size=512"]),
        ("large clusters", &["-o", "cluster_size=2M,refcount_bits=64"]),
        ("lazy", &["-o", "compat=1.1,lazy_refcounts=on,refcount_bits=1"]),
        ("compressed", &["-c"]),
        ("data file", &["-o", "data_file=DATA"]),
    ];
    for (seed, (name, args)) in cases.into_iter().enumerate() {
        let path = dir.0.join(format!("{}.qcow2", name.replace(' ', "-")));
        let data = format!("data_file={}", dir.0.join("data.raw").display());
        let mut all = vec!["convert", "-f", "raw", "-O", "qcow2"];
        all.extend(args.iter().map(|a| if a.starts_with("data_file") { data.as_str() } else { a }));
        all.extend([text(&raw), text(&path)]);
        if qcow2_img(&all).is_none() {
            return;
        }
        let mut model = model.clone();
        let mut disk = open(&path, &options()).unwrap();
        same(name, &mut *disk, &model);
        churn(name, &mut *disk, &mut model, seed as u64 + 50, 150);
        drop(disk);
        qcow2_img(&["check", text(&path)]);
        let flat = dir.0.join("flat.raw");
        std::fs::write(&flat, &model).unwrap();
        qcow2_img(&["compare", "-f", "qcow2", "-F", "raw", text(&path), text(&flat)]);
    }
    // An internal snapshot keeps what it has.
    let path = dir.0.join("v2.qcow2");
    let before = {
        let mut all = vec![0; SIZE as usize];
        open(&path, &options()).unwrap().read(0, &mut all).unwrap();
        all
    };
    qcow2_img(&["snapshot", "-c", "before", text(&path)]);
    let mut now = before.clone();
    churn("with a snapshot", &mut *open(&path, &options()).unwrap(), &mut now, 70, 200);
    qcow2_img(&["check", text(&path)]);
    qcow2_img(&["snapshot", "-a", "before", text(&path)]);
    same("snapshot", &mut *open(&path, &options()).unwrap(), &before);
    // What is not supported has its reason.
    for (args, field) in [
        ("compression_type=zstd", "incompatible_features"),
        ("extended_l2=on", "incompatible_features"),
        ("encryption=on", "crypt_method"),
    ] {
        let path = dir.0.join("other.qcow2");
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-o", args, text(&path), "1M"])
            .stdin(Stdio::null())
            .status();
        if !made.is_ok_and(|s| s.success()) {
            eprintln!("SKIPPED: this qemu-img makes no image with {args}");
            continue;
        }
        match open(&path, &options()).err() {
            Some(ImageError::Header { field: f, .. }) => assert_eq!(f, field, "{args}"),
            other => panic!("{args}: {other:?}"),
        }
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn overlays_keep_the_lower_disk() {
    let dir = Dir::new("images-overlay");
    let (path, bytes) = base(&dir);
    for (seed, place) in [Snapshot::File, Snapshot::Memory].into_iter().enumerate() {
        let mut model = bytes.clone();
        let options = Options { snapshot: Some(place), format: Some(Format::Raw), ..options() };
        churn("snapshot", &mut *open(&path, &options).unwrap(), &mut model, seed as u64 + 80, 600);
        assert!(std::fs::read(&path).unwrap() == bytes);
        let read_only = Options { read_only: true, ..options };
        assert_eq!(open(&path, &read_only).unwrap().write(0, &[1]), Err(BlockError::ReadOnly));
    }
    // Two of them on each other, of an odd size, counted.
    let size = 100_000;
    let lower = Box::new(memory::Memory::new(size));
    let stack = Overlay::new(
        Box::new(Overlay::new(lower, Box::new(memory::Memory::new(size)))),
        Box::new(raw::Raw::temporary(size.next_multiple_of(4096)).unwrap()),
    );
    let (mut stack, counts) = wrap::Statistics::new(Box::new(stack));
    churn("stack", &mut stack, &mut vec![0; size as usize], 90, 2000);
    let counts = counts.get();
    assert!(counts.rd_operations > 400 && counts.wr_operations > 600 && counts.flush_operations > 50, "{counts:?}");
    assert!(counts.rd_bytes > 100_000 && counts.wr_bytes > 100_000 && counts.unmap_operations > 50, "{counts:?}");
    let failed = (counts.failed_rd_operations, counts.failed_wr_operations, counts.failed_unmap_operations);
    assert_eq!((failed, counts.failed_flush_operations), ((4, 8, 4), 0));
}

#[test]
fn discarded_space_goes_back_to_the_host() {
    use std::os::unix::fs::MetadataExt;
    let dir = Dir::new("images-holes");
    let path = dir.0.join("a.raw");
    create(&path, Format::Raw, Some(SIZE), None).unwrap();
    let blocks = || std::fs::metadata(&path).unwrap().blocks() * 512;
    let mut disk = open(&path, &Options { format: Some(Format::Raw), ..options() }).unwrap();
    disk.write(0, &vec![1; SIZE as usize]).unwrap();
    disk.flush().unwrap();
    assert!(blocks() >= SIZE);
    disk.discard(0, SIZE / 2).unwrap();
    disk.flush().unwrap();
    assert!(blocks() <= SIZE / 2 + (64 << 10), "{} bytes are in use", blocks());
    disk.write_zeroes(SIZE / 2, SIZE / 2, true).unwrap();
    disk.flush().unwrap();
    assert!(blocks() <= 64 << 10, "{} bytes are in use", blocks());
    drop(disk);
    // Unless the user does not want it.
    let mut disk = open(&path, &Options { discard: false, format: Some(Format::Raw), ..options() }).unwrap();
    disk.write(0, &vec![1; SIZE as usize]).unwrap();
    disk.discard(0, SIZE).unwrap();
    disk.flush().unwrap();
    assert!(blocks() >= SIZE);
}

#[test]
fn two_cannot_use_one_image() {
    let dir = Dir::new("images-locks");
    for (name, format) in [("a.raw", Format::Raw), ("a.qcow2", Format::Qcow2)] {
        let path = dir.0.join(name);
        create(&path, format, Some(1 << 20), None).unwrap();
        let how = |read_only| Options { read_only, format: Some(format), ..Options::default() };
        let locked = |read_only| matches!(open(&path, &how(read_only)), Err(ImageError::Locked { .. }));
        let writer = open(&path, &how(false)).unwrap();
        assert!(locked(false) && locked(true));
        assert!(open(&path, &Options { unlocked: true, ..how(true) }).is_ok());
        // QEMU sees our lock.
        if let Ok(output) = Command::new("qemu-img").args(["resize", "-f", format.name(), text(&path), "2M"]).output() {
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && error.contains("lock"), "{error}");
        }
        drop(writer);
        let _one = open(&path, &how(true)).unwrap();
        let _two = open(&path, &how(true)).unwrap();
        assert!(locked(false));
    }
}

/// Not a test of its own: the process that [`flushed_data_survive_a_kill`] kills. It writes block after block to the image
/// of `TERN_IMAGE` and says the number of each when it is flushed.
#[test]
#[ignore = "the child of another test"]
fn writer_to_be_killed() {
    let Ok(path) = std::env::var("TERN_IMAGE") else { return };
    let mut disk = open(Path::new(&path), &options()).unwrap();
    for n in 0.. {
        let (offset, buf) = killed_block(n);
        disk.write(offset, &buf).unwrap();
        disk.flush().unwrap();
        println!("flushed {n}");
    }
}

/// Where the `n`-th write of the killed process goes, and what it writes.
fn killed_block(n: u64) -> (u64, Vec<u8>) {
    let mut random = Random(n + 1);
    let offset = random.below((64 << 20) / 4096 - 4) * 4096;
    (offset, (0..8192).map(|_| random.next() as u8).collect())
}

#[test]
fn flushed_data_survive_a_kill() {
    let dir = Dir::new("images-kill");
    for (name, format) in [("a.raw", Format::Raw), ("a.qcow2", Format::Qcow2)] {
        let path = dir.0.join(name);
        create(&path, format, Some(64 << 20), None).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_to_be_killed", "--ignored", "--nocapture"])
            .env("TERN_IMAGE", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The harness prints on the first of these lines too.
            if let Some((_, n)) = line.split_once("flushed ") {
                acknowledged = n.parse::<u64>().unwrap() + 1;
                if acknowledged == 150 {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(acknowledged >= 150, "{name}: the writer stopped after {acknowledged} blocks");
        // The write after the last flush may be there or not, in whole or in part.
        let unsure = killed_block(acknowledged).0;
        let mut model = vec![0; 64 << 20];
        for n in 0..acknowledged {
            let (offset, buf) = killed_block(n);
            model[offset as usize..][..buf.len()].copy_from_slice(&buf);
        }
        let mut all = vec![0; model.len()];
        open(&path, &options()).unwrap().read(0, &mut all).unwrap();
        let unsure = unsure as usize..unsure as usize + 8192;
        let lost = (0..all.len()).find(|i| all[*i] != model[*i] && !unsure.contains(i));
        assert_eq!(lost, None, "{name}: a flushed byte is lost");
        if format == Format::Qcow2 {
            // Leaked clusters (status 3) are harmless.
            if let Ok(output) = Command::new("qemu-img").args(["check", text(&path)]).output() {
                let code = output.status.code();
                assert!(code == Some(0) || code == Some(3), "{}", String::from_utf8_lossy(&output.stdout));
            }
        }
    }
}

/// The child of [`a_full_host_disk_is_an_error`]: files may not grow beyond `TERN_LIMIT` bytes here.
#[test]
#[ignore = "the child of another test"]
fn writer_without_room() {
    let Ok(path) = std::env::var("TERN_IMAGE") else { return };
    let mut disk = open(Path::new(&path), &options()).unwrap();
    tern_host::signal::ignore(tern_host::sys::host::SIGXFSZ).unwrap();
    let limit = 1 << 20;
    let sizes = tern_host::sys::proc::Limit { soft: limit, hard: limit };
    tern_host::sys::proc::prlimit(0, tern_host::sys::host::RLIMIT_FSIZE, Some(sizes)).unwrap();
    let data = vec![3; 256 << 10];
    let mut full = 0;
    let mut written = Vec::new();
    for n in 0..16 {
        match disk.write(n * data.len() as u64, &data) {
            Ok(()) => written.push(n),
            Err(e) => {
                assert_eq!(e, BlockError::NoSpace);
                full += 1;
            }
        }
    }
    assert!(full >= 12 && !written.is_empty(), "{full} {written:?}");
    for n in &written {
        let mut buf = vec![0; data.len()];
        disk.read(n * data.len() as u64, &mut buf).unwrap();
        assert!(buf == data);
    }
    disk.flush().unwrap();
    println!("kept {}", written.len());
}

#[test]
fn a_full_host_disk_is_an_error() {
    let dir = Dir::new("images-full");
    for (name, format) in [("a.raw", Format::Raw), ("a.qcow2", Format::Qcow2)] {
        let path = dir.0.join(name);
        create(&path, format, Some(8 << 20), None).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_without_room", "--ignored", "--nocapture"])
            .env("TERN_IMAGE", &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("kept "), "{name}: {said}");
        if format == Format::Qcow2 {
            qcow2_img(&["check", text(&path)]);
        }
    }
}

#[test]
fn files_that_vanish_or_shrink() {
    let dir = Dir::new("images-vanish");
    let path = dir.0.join("a.raw");
    let missing = open(&path, &options()).err().unwrap().to_string();
    assert!(missing.contains("a.raw: cannot open: No such file"), "{missing}");
    for (path, is) in [("/dev/null", "a character device"), ("/tmp", "a directory")] {
        let wrong = open(Path::new(path), &Options { read_only: true, ..options() }).err().unwrap().to_string();
        assert_eq!(wrong, format!("{path}: {is} is no disk image"));
    }
    create(&path, Format::Raw, Some(1 << 20), None).unwrap();
    let mut disk = open(&path, &Options { format: Some(Format::Raw), ..options() }).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
    let mut buf = [1; 512];
    disk.read(0, &mut buf).unwrap();
    let short = disk.read(8192, &mut buf).err().unwrap().to_string();
    assert!(short.contains("the file ends at byte 8192"), "{short}");
    // Without its name the file still is one.
    std::fs::remove_file(&path).unwrap();
    disk.write(8192, &[5; 512]).unwrap();
    disk.flush().unwrap();
    disk.read(8192, &mut buf).unwrap();
    assert_eq!(buf, [5; 512]);
}

/// A small image with data, of which tests spoil bytes.
fn healthy(dir: &Dir) -> Vec<u8> {
    let path = dir.0.join("healthy.qcow2");
    create(&path, Format::Qcow2, Some(1 << 20), None).unwrap();
    let mut disk = open(&path, &options()).unwrap();
    disk.write(5000, &[0x77; 200_000]).unwrap();
    disk.write_zeroes(1 << 19, 1 << 18, true).unwrap();
    disk.flush().unwrap();
    drop(disk);
    std::fs::read(&path).unwrap()
}

#[test]
fn malformed_headers_are_named() {
    let dir = Dir::new("images-header");
    let good = healthy(&dir);
    let path = dir.0.join("bad.qcow2");
    let l1 = u64::from_be_bytes(good[40..48].try_into().unwrap()) as usize;
    let reftable = u64::from_be_bytes(good[48..56].try_into().unwrap()) as usize;
    let cases: &[(&str, usize, &[u8])] = &[
        ("version", 7, &[9]),
        ("cluster_bits", 23, &[8]),
        ("cluster_bits", 20, &[0xff; 4]),
        ("crypt_method", 35, &[1]),
        ("size", 24, &[0xff; 8]),
        ("size", 24, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("l1_size", 36, &[0xff; 4]),
        ("l1_size", 36, &[0; 4]),
        ("l1_table_offset", 40, &[0xff; 8]),
        ("l1_table_offset", 47, &[1]),
        ("l1_table_offset", 40, &[0; 8]),
        ("L1 table", l1, &[0xff; 8]),
        ("L1 table", l1 + 6, &[0x12]),
        ("refcount_table_offset", 48, &[0; 8]),
        ("refcount_table_offset", 55, &[8]),
        ("refcount_table_clusters", 56, &[0; 4]),
        ("refcount_table_clusters", 56, &[0xff; 4]),
        ("refcount table", reftable, &[0xff; 8]),
        ("nb_snapshots", 60, &[0xff; 4]),
        ("snapshots_offset", 63, &[1, 0xff]),
        ("incompatible_features", 79, &[1]),
        ("incompatible_features", 79, &[2]),
        ("incompatible_features", 72, &[0x80]),
        ("refcount_order", 99, &[7]),
        ("header_length", 103, &[96]),
        ("header_length", 100, &[0xff; 4]),
        ("header extensions", 108, &[0xff; 4]),
        ("backing_file_size", 15, &[200]),
        ("backing_file_size", 15, &[200, 0xff, 0, 0, 0]),
        ("backing_file_offset", 8, &[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]),
    ];
    for (field, at, bytes) in cases {
        let mut bad = good.clone();
        bad[*at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(&path, &bad).unwrap();
        for read_only in [false, true] {
            let wrong = open(&path, &Options { read_only, ..options() }).err();
            let wrong = wrong.unwrap_or_else(|| panic!("{field} at {at}: opened")).to_string();
            let begin = format!("{}: qcow2 {field}: ", path.display());
            assert!(wrong.starts_with(&begin) && !wrong.contains('\n'), "{field} at {at}: {wrong}");
        }
        assert!(std::fs::read(&path).unwrap() == bad, "{field} at {at}: written to");
    }
    for len in [4, 71, 80, 103, 110, l1, reftable] {
        std::fs::write(&path, &good[..len]).unwrap();
        let wrong = open(&path, &options()).err();
        assert!(matches!(wrong, Some(ImageError::Header { .. })), "{len} bytes: {wrong:?}");
    }
    // Behind itself.
    create(&path, Format::Qcow2, Some(1 << 20), Some(&Backing { name: "bad.qcow2".into(), format: Format::Qcow2 }))
        .unwrap();
    let wrong = open(&path, &Options { read_only: true, ..options() }).err().unwrap().to_string();
    assert!(wrong.contains("more than 64 images"), "{wrong}");
    for (name, why) in [("nbd://localhost", "no file of this host"), ("absent", "cannot open: No such file")] {
        create(&path, Format::Qcow2, Some(1 << 20), Some(&Backing { name: name.into(), format: Format::Raw })).unwrap();
        let wrong = open(&path, &options()).err().unwrap().to_string();
        assert!(wrong.contains(why), "{wrong}");
    }
}

#[test]
fn spoiled_images_do_no_harm() {
    let dir = Dir::new("images-spoiled");
    let good = healthy(&dir);
    let path = dir.0.join("bad.qcow2");
    // Header and all tables lie in the first clusters; the rest of the file is mostly data.
    let tables: Vec<usize> = (0..good.len()).filter(|i| i % 65536 < 256).collect();
    let mut random = Random(7);
    let (mut opened, mut refused, mut failed) = (0, 0, 0);
    for _ in 0..1500 {
        let mut bad = good.clone();
        for _ in 0..=random.below(3) {
            let at = tables[random.below(tables.len() as u64) as usize];
            bad[at] = if random.below(2) == 0 { random.next() as u8 } else { bad[at] ^ 1 << random.below(8) };
        }
        if random.below(8) == 0 {
            bad.truncate(random.below(bad.len() as u64) as usize);
        }
        std::fs::write(&path, &bad).unwrap();
        let how = Options { format: Some(Format::Qcow2), read_only: random.below(4) == 0, ..options() };
        let Ok(mut disk) = open(&path, &how) else {
            refused += 1;
            continue;
        };
        opened += 1;
        let mut model = vec![0; 70_000];
        for _ in 0..12 {
            let offset = random.below(1 << 20).min(disk.size());
            let len = random.below(70_000).min(disk.size() - offset);
            let buf = &mut model[..len as usize];
            let result = match random.below(5) {
                0 | 1 => disk.read(offset, buf),
                2 => disk.write(offset, buf),
                3 => disk.write_zeroes(offset, len, true),
                _ => disk.flush(),
            };
            failed += usize::from(result.is_err());
        }
        // A spoiled table may lead to far places of the file, but not fill the host's disk.
        let used = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap()) * 512;
        assert!(used < 16 << 20, "the image has grown to {used} bytes");
    }
    assert!(opened > 200 && refused > 100 && failed > 50, "{opened} {refused} {failed}");
}
