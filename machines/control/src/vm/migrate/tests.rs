//! Machines that go from one to another in one process, streams that nobody should take on, and machines that go back.

use crate::run::RunOptions;
use crate::vm::save::Nodes;
use crate::vm::{RunState, Vm};
use std::path::PathBuf;
use tern_board::config::{Drive, Medium};
use tern_board::host::Host;
use tern_board::{BoardConfig, Plan, config::Bios};
use tern_host::channel::Place;
use tern_host::entropy::Seeded;
use tern_host::image::{Format, create};
use tern_host::net::Address;
use tern_session::machine::Settings;

/// Iterations of the program: a few hundred thousand stores all over 256 KiB.
const ROUNDS: u32 = 0x100;

fn r(f7: u32, rs2: u32, rs1: u32, f3: u32, rd: u32) -> u32 {
    f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | 0x33
}

fn i(op: u32, imm: i32, rs1: u32, f3: u32, rd: u32) -> u32 {
    (imm as u32) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op
}

fn s(imm: u32, rs2: u32, rs1: u32, f3: u32) -> u32 {
    (imm >> 5) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | (imm & 31) << 7 | 0x23
}

/// Stores a sequence of numbers all over memory, then switches the machine off.
fn program() -> Vec<u8> {
    let (base, count, x, t, at, old) = (5, 6, 7, 28, 29, 30);
    let words = [
        0x100 << 12 | base << 7 | 0x17,   // auipc base, 0x100
        ROUNDS << 12 | count << 7 | 0x37, // lui count, ROUNDS
        i(0x13, 1, 0, 0, x),              // li x, 1
        // The loop: x = 5 x + 1.
        i(0x13, 2, x, 1, t),
        r(0, t, x, 0, x),
        i(0x13, 1, x, 0, x),
        // 8-byte word number bits 26..44 of x.
        i(0x13, 20, x, 1, at),
        i(0x13, 46, at, 5, at),
        i(0x13, -8, at, 7, at),
        r(0, base, at, 0, at),
        i(0x03, 0, at, 3, old),
        r(0, x, old, 4, old),
        s(0, old, at, 3),
        i(0x13, -1, count, 0, count),
        // bnez count, 11 words back
        0xfc00_0000 | count << 15 | 1 << 12 | 0b1_0101 << 7 | 0x63,
        // The board's finisher: 0x5555 at 0x100000.
        0x100 << 12 | base << 7 | 0x37,
        5 << 12 | count << 7 | 0x37,
        i(0x13, 0x555, count, 0, count),
        s(0, count, base, 2),
        0x6f,
    ];
    words.iter().flat_map(|w: &u32| w.to_le_bytes()).collect()
}

fn vm(memory: u64, incoming: bool, drive: Option<&Drive>) -> Result<Vm, String> {
    let mut config = BoardConfig { memory, bios: Bios::None, ..BoardConfig::new("riscv64/virt") };
    config.serials = vec![None];
    if let Some(drive) = drive {
        let medium = Medium { id: "disk".to_owned(), node: String::new(), drive: Some(drive.clone()) };
        config.drives.push(medium);
    }
    let mut options = RunOptions::new("tests");
    options.incoming = incoming.then(|| "defer".to_owned());
    let plan = Plan::new(&config, &mut Seeded::new(1)).map_err(|e| e.to_string())?;
    let make = if incoming { Host::incoming } else { Host::new };
    let mut host = make(&config, std::rc::Rc::new(|_| {}))?;
    let board = tern_board::build(plan, &config, Settings::default(), &mut host).map_err(|e| e.to_string())?;
    let mut vm = Vm::new(board, host.clone(), config, options);
    vm.board.machine.set_outside(Box::new(host));
    vm.board.power_on().map_err(|e| e.to_string())?;
    vm.set_patience(Some(1_000_000));
    Ok(vm)
}

fn source(drive: Option<&Drive>) -> Vm {
    let vm = vm(16 << 20, false, drive).unwrap();
    let ram = vm.board.machine.space().blocks().into_iter().find(|b| b.size() == 16 << 20).unwrap();
    assert!(ram.write(0, &program()));
    vm
}

/// What a machine has come to: the contents of its memory, and its position.
fn result(vm: &Vm) -> (u64, u64) {
    (vm.board.machine.space().digest(), vm.board.machine.retired())
}

fn run_to_end(vm: &mut Vm) -> (u64, u64) {
    while vm.ended().is_none() {
        vm.turn().unwrap();
    }
    assert_eq!(vm.ended(), Some(0));
    result(vm)
}

fn undisturbed() -> (u64, u64) {
    run_to_end(&mut source(None))
}

/// Lets both machines have their turns until neither has anything to do with the other.
fn together(from: &mut Vm, to: &mut Vm) {
    for _ in 0..20_000 {
        from.turn().unwrap();
        if to.ended().is_some() || (!from.is_migrating() && to.status() != RunState::Inmigrate) {
            return;
        }
        to.turn().unwrap();
    }
    panic!("it never ends: {:?}, {:?}", from.status(), to.status());
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tern-migrate-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn names(vm: &mut Vm) -> Vec<&'static str> {
    vm.take_events().into_iter().map(|e| e.name).collect()
}

#[test]
fn a_program_ends_as_if_nothing_had_happened() {
    let dir = folder("sockets");
    let wanted = undisturbed();
    for kind in ["tcp", "unix"] {
        let (mut from, mut to) = (source(None), vm(16 << 20, true, None).unwrap());
        let listen = match kind {
            "tcp" => Address::inet("127.0.0.1", 0),
            _ => Address::unix(dir.join("socket")),
        };
        to.migrate_incoming(&Place::Address(listen), true).unwrap();
        let address = to.migration_address().unwrap();
        from.turn().unwrap();
        from.migrate(&Place::Address(address)).unwrap();
        together(&mut from, &mut to);
        assert_eq!((from.status(), to.status()), (RunState::Postmigrate, RunState::Running), "{kind}");
        let figures = from.qmp.migration.figures;
        assert!(figures.syncs >= 2 && figures.normal > 20 && figures.remaining == 0, "{kind}: {figures:?}");
        assert!(figures.precopy_bytes > 0 && figures.downtime_ms.is_some(), "{kind}: {figures:?}");
        assert_eq!(figures.transferred as u64, figures.precopy_bytes + figures.downtime_bytes, "{kind}");
        assert_eq!((names(&mut from), names(&mut to)), (vec!["STOP"], vec!["RESUME"]), "{kind}");
        assert_eq!(run_to_end(&mut to), wanted, "{kind}");
    }
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn files_commands_and_a_machine_that_stands() {
    let dir = folder("files");
    let wanted = undisturbed();
    let shell = |text: String| Place::Command(vec!["/bin/sh".to_owned(), "-c".to_owned(), text]);
    let (a, b) = (dir.join("a"), dir.join("b"));
    let cases = [
        (Place::File(a.clone(), 100), Place::File(a, 100)),
        (shell(format!("cat > {}", b.display())), shell(format!("cat {}", b.display()))),
    ];
    for (out, back) in cases {
        let mut from = source(None);
        from.turn().unwrap();
        from.stop();
        from.migrate(&out).unwrap();
        while from.is_migrating() {
            from.turn().unwrap();
        }
        assert_eq!(from.status(), RunState::Postmigrate, "{out:?}");
        let mut to = vm(16 << 20, true, None).unwrap();
        to.options.paused = true;
        to.migrate_incoming(&back, true).unwrap();
        while to.status() == RunState::Inmigrate {
            to.turn().unwrap();
        }
        assert_eq!((to.status(), result(&to)), (RunState::Paused, result(&from)), "{back:?}");
        to.cont().unwrap();
        assert_eq!(run_to_end(&mut to), wanted);
    }
    // A command that fails, a file that cannot be: the machine goes on.
    let mut from = source(None);
    assert!(from.migrate(&Place::File(dir.join("no/where"), 0)).is_err());
    from.migrate(&shell("exit 3".to_owned())).unwrap();
    assert_eq!(run_to_end(&mut from), wanted);
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn a_machine_goes_on_where_it_is_if_it_cannot_go() {
    let wanted = undisturbed();
    // Nobody is there.
    let mut from = source(None);
    from.migrate(&Place::Address(Address::inet("127.0.0.1", 1))).unwrap();
    assert_eq!(run_to_end(&mut from), wanted);
    // The other machine is made otherwise.
    let (mut from, mut to) = (source(None), vm(32 << 20, true, None).unwrap());
    to.migrate_incoming(&Place::Address(Address::inet("127.0.0.1", 0)), true).unwrap();
    from.migrate(&Place::Address(to.migration_address().unwrap())).unwrap();
    together(&mut from, &mut to);
    assert_eq!(to.ended(), Some(1));
    drop(to);
    assert_eq!(run_to_end(&mut from), wanted);
    // It is called back; the other side waits for another one.
    let (mut from, mut to) = (source(None), vm(16 << 20, true, None).unwrap());
    to.migrate_incoming(&Place::Address(Address::inet("127.0.0.1", 0)), false).unwrap();
    from.migrate(&Place::Address(to.migration_address().unwrap())).unwrap();
    to.turn().unwrap();
    from.migrate_cancel();
    assert!(!from.is_migrating() && from.is_running());
    for _ in 0..100 {
        to.turn().unwrap();
    }
    assert_eq!((to.status(), to.ended()), (RunState::Inmigrate, None));
    to.migrate_incoming(&Place::Address(Address::inet("127.0.0.1", 0)), true).unwrap();
    from.migrate(&Place::Address(to.migration_address().unwrap())).unwrap();
    together(&mut from, &mut to);
    assert_eq!(run_to_end(&mut to), wanted);
}

#[test]
fn disks_are_with_one_machine_at_a_time() {
    let dir = folder("disks");
    let path = dir.join("disk.raw");
    std::fs::write(&path, vec![0; 1 << 20]).unwrap();
    let drive = Drive { format: Some("raw".to_owned()), ..Drive::new(path) };
    let mut from = source(Some(&drive));
    assert!(vm(16 << 20, false, Some(&drive)).is_err_and(|e| e.contains("another process")));
    let mut to = vm(16 << 20, true, Some(&drive)).unwrap();
    to.migrate_incoming(&Place::Address(Address::inet("127.0.0.1", 0)), true).unwrap();
    from.migrate(&Place::Address(to.migration_address().unwrap())).unwrap();
    together(&mut from, &mut to);
    assert_eq!((from.status(), to.status()), (RunState::Postmigrate, RunState::Running));
    assert!(from.cont().is_err_and(|e| e.contains("another process")));
    drop(to);
    from.cont().unwrap();
    assert!(vm(16 << 20, false, Some(&drive)).is_err());
    // What is written in this process only cannot go.
    drop(from);
    let mut from = source(Some(&Drive { snapshot: true, ..drive }));
    assert!(from.migrate(&Place::File(dir.join("out"), 0)).is_err_and(|e| e.contains("snapshot=on")));
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn rubbish_is_refused_in_one_line() {
    let dir = folder("rubbish");
    let (good, bad) = (dir.join("good"), dir.join("bad"));
    let mut from = source(None);
    from.turn().unwrap();
    from.stop();
    from.migrate(&Place::File(good.clone(), 0)).unwrap();
    while from.is_migrating() {
        from.turn().unwrap();
    }
    let stream = std::fs::read(&good).unwrap();
    let len = stream.len();
    let mut cases: Vec<Vec<u8>> = vec![Vec::new(), b"rubbish that is no stream".to_vec(), vec![0xff; 5000]];
    cases.extend([1, 11, 13, 20, 100, len / 2, len - 1].map(|n| stream[..n].to_vec()));
    let places = (0..40).chain((0..60).map(|n| 40 + n * (len - 80) / 60)).chain(len - 40..len);
    for at in places {
        let mut damaged = stream.clone();
        damaged[at] ^= 0x10;
        cases.push(damaged);
    }
    let mut to = vm(16 << 20, true, None).unwrap();
    for (n, case) in cases.iter().enumerate() {
        std::fs::write(&bad, case).unwrap();
        to.migrate_incoming(&Place::File(bad.clone(), 0), false).unwrap();
        while matches!(to.migration, super::Migration::In(_)) {
            to.turn().unwrap();
        }
        assert_eq!(to.status(), RunState::Inmigrate, "case {n} was taken on");
        let why = to.qmp.migration.error().unwrap_or_default().to_owned();
        assert!(!why.is_empty() && !why.contains('\n'), "case {n}: {why}");
    }
    // The whole one is still taken on after all that.
    to.migrate_incoming(&Place::File(good, 0), false).unwrap();
    while to.status() == RunState::Inmigrate {
        to.turn().unwrap();
    }
    assert_eq!(run_to_end(&mut to), undisturbed());
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn a_snapshot_takes_the_machine_back() {
    let dir = folder("snapshots");
    let (path, raw) = (dir.join("disk.qcow2"), dir.join("disk.raw"));
    create(&path, Format::Qcow2, Some(1 << 20), None).unwrap();
    std::fs::write(&raw, vec![0; 1 << 20]).unwrap();
    let drive = |path: PathBuf, format: &str| Drive { format: Some(format.to_owned()), ..Drive::new(path) };
    let (qcow2, raw) = (drive(path, "qcow2"), drive(raw, "raw"));
    let mut machine = source(Some(&qcow2));
    machine.turn().unwrap();
    let before = result(&machine);
    machine.save_image("one").unwrap();
    assert!(machine.is_running());
    assert_eq!(names(&mut machine), ["STOP", "RESUME"]);
    let images = machine.images().unwrap();
    assert_eq!((images.len(), images[0].tag.as_str(), images[0].retired), (1, "one", before.1));
    machine.turn().unwrap();
    assert_ne!(result(&machine), before);
    machine.load_image("one").unwrap();
    assert_eq!((result(&machine), machine.is_running()), (before, true));
    let nodes = machine.host.world().blocks.snapshot_nodes(None).unwrap();
    let here = Nodes { keeper: Some(&nodes[0]), all: Some(&nodes) };
    assert!(machine.save_in("one", here, false).is_err_and(|e| e.contains("already exists")));
    let none = machine.load_image("none").unwrap_err();
    assert_eq!(none, "Snapshot 'none' does not exist in one or more devices");
    drop(machine);
    let mut machine = vm(16 << 20, false, Some(&qcow2)).unwrap();
    machine.begin_with_image("one").unwrap();
    assert_eq!(result(&machine), before);
    assert_eq!(run_to_end(&mut machine), undisturbed());
    machine.delete_image("one").unwrap();
    assert!(machine.images().unwrap().is_empty());
    let mut machine = source(Some(&raw));
    let why = machine.save_image("one").unwrap_err();
    assert_eq!(why, "Device 'disk' is writable but does not support snapshots");
    assert!(source(None).save_image("one").unwrap_err().contains("no block device can store vmstate"));
    let _ = std::fs::remove_dir_all(&dir);
}
