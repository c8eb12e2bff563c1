//! Snapshots inside of qcow2 images: against a model, against qemu-img, and in damaged images.
#![cfg(target_os = "linux")]

mod common;

use common::Dir;
use std::path::Path;
use std::process::Command;
use tern_core::backend::{Block, BlockError, SnapshotInfo, Snapshots};
use tern_host::image::{Cache, Format, Options, create, open};

/// xorshift64*: the tests' random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn bytes(&mut self, n: u64) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// What qemu-img says; none, and a note, where it is not installed.
fn qemu_img(args: &[&str]) -> Option<String> {
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

/// qemu-img finds no error, and no cluster that is counted too often.
fn sound(path: &Path) {
    if let Some(text) = qemu_img(&["check", path.to_str().unwrap()]) {
        assert!(text.contains("No errors were found"), "{text}");
    }
}

fn options() -> Options {
    // What is tested here needs no power cuts.
    Options { format: Some(Format::Qcow2), cache: Cache::Unsafe, ..Options::default() }
}

fn snapshots(disk: &mut Box<dyn Block>) -> &mut dyn Snapshots {
    disk.snapshots().expect("qcow2 images have snapshots")
}

fn named(name: &str) -> SnapshotInfo {
    SnapshotInfo { name: name.to_owned(), date_ns: 1_700_000_000_000_000_007, clock_ns: 5, ..SnapshotInfo::default() }
}

fn contents(disk: &mut dyn Block) -> Vec<u8> {
    let mut all = vec![0; disk.size() as usize];
    disk.read(0, &mut all).unwrap();
    all
}

const SIZE: u64 = 5 << 20;

#[test]
fn a_disk_goes_back_to_where_it_was() {
    let dir = Dir::new("snapshots");
    let path = dir.0.join("disk.qcow2");
    create(&path, Format::Qcow2, Some(SIZE), None).unwrap();
    let mut disk = open(&path, &options()).unwrap();
    let mut random = Random(7);
    let mut saved: Vec<(String, Vec<u8>, Vec<u8>)> = Vec::new();
    for round in 0..24u64 {
        for _ in 0..4 {
            let len = random.next() % 200_000;
            let at = random.next() % (SIZE - len);
            let bytes = random.bytes(len);
            match random.next() % 4 {
                0 => disk.write_zeroes(at, len, true).unwrap(),
                _ => disk.write(at, &bytes).unwrap(),
            }
        }
        match random.next() % 3 {
            0 if !saved.is_empty() => {
                let (name, bytes, state) = &saved[random.next() as usize % saved.len()];
                let all = snapshots(&mut disk).list().unwrap();
                let id = all.iter().find(|s| s.name == *name).unwrap().id.clone();
                assert!(snapshots(&mut disk).state(&id).unwrap() == *state, "round {round}: another state");
                snapshots(&mut disk).apply(&id).unwrap();
                assert!(contents(&mut *disk) == *bytes, "round {round}: another disk than in {name}");
            }
            1 if saved.len() > 3 => {
                let (name, ..) = saved.remove(random.next() as usize % saved.len());
                let all = snapshots(&mut disk).list().unwrap();
                let id = all.iter().find(|s| s.name == name).unwrap().id.clone();
                snapshots(&mut disk).delete(&id).unwrap();
            }
            _ => {
                let n = random.next() % 700_000;
                let (name, state) = (format!("round{round}"), random.bytes(n));
                let before = contents(&mut *disk);
                snapshots(&mut disk).create(&named(&name), &state).unwrap();
                assert!(contents(&mut *disk) == before, "round {round}: a snapshot changes the disk");
                saved.push((name, before, state));
            }
        }
        disk.flush().unwrap();
        let names: Vec<String> = snapshots(&mut disk).list().unwrap().into_iter().map(|s| s.name).collect();
        assert_eq!(names, saved.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>(), "round {round}");
        let copy = dir.0.join("copy.qcow2");
        std::fs::copy(&path, &copy).unwrap();
        sound(&copy);
    }
    let now = contents(&mut *disk);
    drop(disk);
    let mut disk = open(&path, &options()).unwrap();
    assert!(contents(&mut *disk) == now);
    for (name, bytes, state) in &saved {
        let all = snapshots(&mut disk).list().unwrap();
        let found = all.iter().find(|s| s.name == *name).unwrap();
        assert_eq!((found.state_size, found.clock_ns), (state.len() as u64, 5), "{name}");
        assert_eq!((found.date_ns, found.icount), (1_700_000_000_000_000_007, None), "{name}");
        assert!(snapshots(&mut disk).state(&found.id).unwrap() == *state, "{name}");
        snapshots(&mut disk).apply(&found.id).unwrap();
        assert!(contents(&mut *disk) == *bytes, "{name}");
    }
    assert!(snapshots(&mut disk).apply("none").unwrap_err().to_string().contains("'none'"));
}

#[test]
fn qemu_img_agrees() {
    let dir = Dir::new("snapshots-qemu");
    let path = dir.0.join("disk.qcow2");
    let text = path.to_str().unwrap().to_owned();
    // Small clusters: refcount blocks and tables that grow.
    if qemu_img(&["create", "-q", "-f", "qcow2", "-o", "cluster_size=512", &text, "3M"]).is_none() {
        return;
    }
    let mut random = Random(3);
    let (first, state) = (random.bytes(3 << 20), random.bytes(2_000_001));
    let mut disk = open(&path, &options()).unwrap();
    disk.write(0, &first).unwrap();
    snapshots(&mut disk).create(&SnapshotInfo { icount: Some(99), ..named("one") }, &state).unwrap();
    disk.write(1000, &[7; 100_000]).unwrap();
    let second = contents(&mut *disk);
    snapshots(&mut disk).create(&named("two"), &[]).unwrap();
    disk.write(0, &[9; 50_000]).unwrap();
    disk.flush().unwrap();
    drop(disk);
    sound(&path);
    let list = qemu_img(&["snapshot", "-l", &text]).unwrap();
    assert!(list.contains("one") && list.contains("two") && list.contains("1.91 MiB"), "{list}");
    qemu_img(&["snapshot", "-a", "one", &text]).unwrap();
    sound(&path);
    let mut disk = open(&path, &options()).unwrap();
    assert!(contents(&mut *disk) == first);
    let one = snapshots(&mut disk).list().unwrap()[0].clone();
    assert_eq!((one.name.as_str(), one.icount), ("one", Some(99)));
    assert!(snapshots(&mut disk).state(&one.id).unwrap() == state);
    // QEMU has left the machine's state in the active table: that is nobody's business but its own.
    snapshots(&mut disk).create(&named("three"), &state[..5]).unwrap();
    drop(disk);
    sound(&path);
    qemu_img(&["snapshot", "-c", "four", &text]).unwrap();
    qemu_img(&["snapshot", "-d", "one", &text]).unwrap();
    sound(&path);
    let mut disk = open(&path, &options()).unwrap();
    for (name, bytes) in [("two", &second), ("four", &first), ("three", &first)] {
        let all = snapshots(&mut disk).list().unwrap();
        let id = all.iter().find(|s| s.name == name).unwrap().id.clone();
        snapshots(&mut disk).apply(&id).unwrap();
        assert!(contents(&mut *disk) == *bytes, "{name}");
        disk.write(70_000, &[1; 3000]).unwrap();
    }
    for info in snapshots(&mut disk).list().unwrap() {
        snapshots(&mut disk).delete(&info.id).unwrap();
    }
    drop(disk);
    sound(&path);
    assert!(!qemu_img(&["snapshot", "-l", &text]).unwrap().contains("two"));
}

#[test]
fn compressed_clusters_backing_files_and_version_2() {
    let dir = Dir::new("snapshots-kinds");
    let (raw, path) = (dir.0.join("base.raw"), dir.0.join("disk.qcow2"));
    let mut bytes = Random(1).bytes(1 << 20);
    bytes[..600_000].fill(0x55);
    std::fs::write(&raw, &bytes).unwrap();
    let (raw, text) = (raw.to_str().unwrap(), path.to_str().unwrap());
    for kind in ["compressed", "backing", "version 2"] {
        let made = match kind {
            "compressed" => qemu_img(&["convert", "-q", "-c", "-f", "raw", "-O", "qcow2", raw, text]),
            "backing" => qemu_img(&["create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", text]),
            _ => qemu_img(&["convert", "-q", "-f", "raw", "-O", "qcow2", "-o", "compat=0.10", raw, text]),
        };
        if made.is_none() {
            return;
        }
        let mut disk = open(&path, &options()).unwrap();
        snapshots(&mut disk).create(&named("before"), b"state").unwrap();
        disk.write(10_000, &[3; 300_000]).unwrap();
        snapshots(&mut disk).create(&named("after"), b"").unwrap();
        snapshots(&mut disk).apply("1").unwrap();
        assert!(contents(&mut *disk) == bytes, "{kind}");
        snapshots(&mut disk).delete("1").unwrap();
        disk.write(0, &[4; 10]).unwrap();
        drop(disk);
        sound(&path);
        let mut disk = open(&path, &options()).unwrap();
        snapshots(&mut disk).delete("2").unwrap();
        drop(disk);
        sound(&path);
        std::fs::remove_file(&path).unwrap();
    }
    let wide = dir.0.join("wide.qcow2");
    qemu_img(&["create", "-q", "-f", "qcow2", "-o", "refcount_bits=8", wide.to_str().unwrap(), "1M"]);
    let mut disk = open(&wide, &options()).unwrap();
    let error = snapshots(&mut disk).create(&named("x"), b"").unwrap_err();
    assert!(error.to_string().contains("16 bits"), "{error}");
    disk.write(0, &[1]).unwrap();
}

/// Whatever bytes of the tables are damaged: an error, or an image that holds together.
#[test]
fn damaged_images_are_left_alone() {
    let dir = Dir::new("snapshots-damaged");
    let (path, copy) = (dir.0.join("disk.qcow2"), dir.0.join("copy.qcow2"));
    create(&path, Format::Qcow2, Some(1 << 20), None).unwrap();
    let mut disk = open(&path, &options()).unwrap();
    disk.write(100_000, &[1; 300_000]).unwrap();
    snapshots(&mut disk).create(&named("one"), b"a machine").unwrap();
    disk.write(200_000, &[2; 10_000]).unwrap();
    drop(disk);
    let good = std::fs::read(&path).unwrap();
    let places: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0 && good[*at] > 2 || at % 65536 < 120).collect();
    let mut random = Random(11);
    let mut refused = 0;
    for _ in 0..300 {
        let mut bad = good.clone();
        let at = places[random.next() as usize % places.len()];
        bad[at] ^= 1 << (random.next() % 8);
        std::fs::write(&copy, &bad).unwrap();
        let Ok(mut disk) = open(&copy, &options()) else {
            refused += 1;
            continue;
        };
        let Some(all) = disk.snapshots() else { continue };
        let result: Result<(), BlockError> = all.list().and_then(|list| {
            let id = list.first().map_or(String::new(), |s| s.id.clone());
            all.state(&id)?;
            all.create(&named("two"), b"another")?;
            all.apply(&id)?;
            all.delete(&id)
        });
        refused += u32::from(result.is_err());
    }
    assert!(refused > 30, "{refused}");
    // A cluster of data that is a table, too, and one that is counted too rarely.
    let l1 = u64::from_be_bytes(good[40..48].try_into().unwrap()) as usize;
    let l2 = (u64::from_be_bytes(good[l1..l1 + 8].try_into().unwrap()) & 0x00ff_ffff_ffff_fe00) as usize;
    let mut bad = good.clone();
    bad.copy_within(l1..l1 + 8, l2 + 8);
    std::fs::write(&copy, &bad).unwrap();
    let error = snapshots(&mut open(&copy, &options()).unwrap()).create(&named("x"), b"").unwrap_err();
    assert!(error.to_string().contains("two ways") || error.to_string().contains("counted"), "{error}");
    assert!(std::fs::read(&copy).unwrap() == bad, "a damaged image was changed");
}
