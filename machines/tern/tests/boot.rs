//! Whole machines: `tern boot`, and the command line of QEMU's system emulators.

mod common;

use common::{Dir, Ran, command, finish, tern};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tern_session::{image, isa};

/// Where a machine-mode program begins.
const RAM: u64 = 0x8000_0000;

/// A machine-mode program that ends with this status after `loops` turns.
fn program(dir: &Dir, name: &str, isa: &str, loops: u32, end: u32) -> PathBuf {
    let source = format!(
        "_start: li t0, 0x10000000
            li t1, 0x41
            sb t1, 0(t0)
            li t1, 10
            sb t1, 0(t0)
            li t2, {loops}
         1: addi t2, t2, -1
            add t3, t3, t2
            bnez t2, 1b
            li t0, 0x100000
            li t1, {end}
            sw t1, 0(t0)
         2: j 2b"
    );
    let isa = isa::by_name(isa).expect("ISA is built");
    let assembler = isa.assembler(None).expect("assembler");
    let code = assembler.assemble_image(&source, RAM, &BTreeMap::new()).expect("source is right");
    dir.file(name, &image::executable(isa, &code, RAM).expect("image is right"), 0o755)
}

/// Values of SiFive's test finisher: pass, fail with a status, reset.
const PASS: u32 = 0x5555;
const FAIL_3: u32 = 0x3_3333;
const RESET: u32 = 0x7777;

fn boot(kernel: &Path, args: &[&str]) -> Ran {
    let kernel = kernel.to_str().unwrap();
    finish(command().args(["boot", "--bios", "none", "--kernel", kernel]).args(args).stdin(Stdio::null()))
}

/// tern under the name of QEMU's emulator.
fn qemu(dir: &Dir, args: &[&str]) -> Ran {
    let path = dir.path("qemu-system-riscv64");
    if !path.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tern"), &path).expect("link");
    }
    finish(Command::new(path).env_clear().args(args).stdin(Stdio::null()))
}

#[test]
fn a_machine_runs_and_ends_as_its_guest_says() {
    let dir = Dir::new("boot-run");
    for isa in ["riscv64", "riscv32"] {
        let board = format!("{isa}/virt");
        for (name, end, code) in [("pass", PASS, 0), ("fail", FAIL_3, 3)] {
            let kernel = program(&dir, &format!("{name}-{isa}"), isa, 1, end);
            let ran = boot(&kernel, &["--board", &board]);
            assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(code), "A\n", ""), "{isa} {name}");
        }
    }
    let kernel = program(&dir, "reset", "riscv64", 1, RESET);
    let ran = boot(&kernel, &["--no-reboot"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "A\n"));
    let ran = boot(&kernel, &["--until", "1000", "--serial", &format!("file:{}", dir.path("out").display())]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    assert!(std::fs::read_to_string(dir.path("out")).unwrap().starts_with("A\nA\n"), "it begins again and again");
}

#[test]
fn the_same_by_the_name_of_qemu() {
    let dir = Dir::new("boot-qemu");
    let kernel = program(&dir, "fail", "riscv64", 1, FAIL_3);
    let kernel = kernel.to_str().unwrap();
    let pid = dir.path("pid");
    let line = ["-M", "virt", "-display", "none", "-serial", "stdio", "-monitor", "none", "-bios", "none", "-kernel"];
    let ran = qemu(&dir, &[&line[..], &[kernel, "-pidfile", pid.to_str().unwrap()]].concat());
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(3), "A\n", ""));
    assert!(!pid.exists(), "removed at the end");
    let ran = tern([&["qemu-system-riscv64"], &line[..], &[kernel]].concat());
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), "A\n"));
    let ran = qemu(&dir, &["-M", "virt", "-foo"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), "qemu-system-riscv64: -foo: invalid option\n"));
    let ran = qemu(&dir, &["-M", "virt", "-display", "none", "-bios", "/no/such/file"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with("qemu-system-riscv64: ") && ran.err.contains("/no/such/file"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    let ran = qemu(&dir, &["-version"]);
    assert!(ran.code == Some(0) && ran.out.starts_with("QEMU emulator version "));
}

#[test]
fn two_runs_are_the_same_and_a_restored_one_too() {
    let dir = Dir::new("boot-digest");
    let kernel = program(&dir, "loop", "riscv64", 300_000, PASS);
    let base = ["--rtc", "2020-01-02", "--seed", "1", "--clock", "instructions,unpaced"];
    let args = [&base[..], &["--digest-every", "250k"]].concat();
    let one = boot(&kernel, &args);
    assert_eq!((one.code, one.err.lines().count()), (Some(0), 4), "{}", one.err);
    assert!(one.err.starts_with("tern: digest 256000 "), "{}", one.err);
    let digests: Vec<&str> = one.err.lines().collect();
    assert!(digests.windows(2).all(|w| w[0] != w[1]));
    assert_eq!(boot(&kernel, &args).err, one.err);
    let snapshot = dir.path("snapshot");
    let snapshot = snapshot.to_str().unwrap();
    let ran =
        boot(&kernel, &[&base[..], &["--snapshot-at", "300000", "--save", snapshot, "--until", "300000"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let ran = boot(&kernel, &[&args[..], &["--load", snapshot]].concat());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "the letter was written before: {}", ran.err);
    assert_eq!(ran.err.lines().collect::<Vec<_>>(), digests[1..]);
    std::fs::write(snapshot, b"nonsense").unwrap();
    let ran = boot(&kernel, &["--load", snapshot]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.err, format!("tern: {snapshot}: not a snapshot of a machine: it ends in the middle\n"));
}

#[test]
fn device_trees_are_written() {
    let dir = Dir::new("boot-dtb");
    let (one, two) = (dir.path("one"), dir.path("two"));
    let ran = tern(["boot", "--bios", "none", "--seed", "1", "--dump-dtb", one.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    let line = format!("virt,dumpdtb={}", two.display());
    assert_eq!(qemu(&dir, &["-M", &line, "-m", "512M", "-seed", "1", "-bios", "none"]).code, Some(0));
    let bytes = std::fs::read(&one).unwrap();
    assert_eq!(bytes[..4], [0xd0, 0x0d, 0xfe, 0xed], "a device tree");
    assert_eq!(bytes, std::fs::read(&two).unwrap());
}

#[test]
fn wrong_options_are_refused_in_words() {
    for (args, why) in [
        (&["--memory", "0"][..], "a size as 512M or 2G is wanted"),
        (&["--memory", "x"], "a size as 512M or 2G is wanted"),
        (&["--smp", "0"], "a number of CPUs, sockets, cores or threads is 0"),
        (&["--smp", "2,foo=1"], "Invalid parameter 'foo'"),
        (&["--board", "virt,aia=x"], "Invalid AIA interrupt controller type (none, aplic, aplic-imsic)"),
        (&["--disk", ""], "a file is wanted"),
        (&["--disk", "x,format=vdi"], "format=vdi: raw or qcow2 is wanted"),
        (&["--disk", "x,cache=y"], "cache=y: writeback, none, writethrough, directsync or unsafe is wanted"),
        (&["--disk", "x,bus=isa"], "bus=isa: mmio or pci is wanted"),
        (&["--disk", "x,queues=0"], "queues=0: a number from 1 on is wanted"),
        (&["--net", "vde"], "`vde`: user, tap, socket or none is wanted"),
        (&["--net", "user,mac=x"], "'x' is no Ethernet address"),
        (&["--share", ".,security_model=x"], "security_model=x: none, passthrough or mapped-xattr is wanted"),
        (&["--serial", "foo"], "character device \"foo\": none of null, stdio"),
        (&["--rng", "foo"], "Invalid parameter 'foo'"),
        (&["--clock", "sun"], "`sun`: instructions or host is wanted"),
        (&["--clock", "instructions,shift=11"], "shift: a number from 0 to 10 is wanted"),
        (&["--rtc", "yesterday"], "utc or a date as 2006-06-17T16:01:21 is wanted"),
        (&["--digest-every", "0"], "a number from 1 on is wanted"),
        (&["--log", "foo"], "no log item `foo`; see `tern list log`"),
        (&["--snapshot-at", "5"], "--save <FILE>"),
        (&["--initrd", "x"], "--kernel <FILE>"),
    ] {
        let ran = tern([&["boot"], args].concat());
        assert!(ran.code == Some(2) && ran.err.contains(why) && ran.out.is_empty(), "{args:?}: {ran:?}");
        assert!(ran.err.starts_with("tern: ") && ran.err.lines().count() == 1, "{args:?}: {ran:?}");
    }
    for (args, why) in [
        (&["--board", "arm64/virt"][..], "no board is called `arm64/virt`; see tern list boards"),
        (&["--cpu", "nonsense", "--bios", "none"], "nonsense"),
        (&["--bios", "none", "--kernel", "/no/such/file"], "/no/such/file: No such file or directory\n"),
        (&["--bios", "none", "--disk", "/no/such/file"], "/no/such/file"),
        (&["--share", "a,tag=t", "--share", "b,tag=t"], "--share: two folders have the tag `t`"),
        (&["--flash", "a", "--flash", "b", "--flash", "c"], "--flash: there are 2 banks"),
        (&["--bios", "none", "--load", "/no/such/file"], "/no/such/file: No such file or directory\n"),
        (&["--bios", "none", "--load", "/dev/zero"], "/dev/zero: file is longer than 1677721600 bytes"),
        (&["--bios", "none", "--save", "/no/such/file"], "/no/such/file: No such file or directory\n"),
        (&["--bios", "/dev/null"], "firmware /dev/null: the file is empty"),
        (&["--bios", "/dev"], "firmware /dev: is a directory"),
        (&["--bios", "none", "--memory", "64G", "--kernel", "/dev/zero"], "file is longer than 1073741824 bytes"),
        (&["--bios", "none", "--share", "/no/such/dir"], "/no/such/dir: No such file or directory\n"),
        (&["--bios", "none", "--net", "user,junk=1"], "netdev user: junk: tern does not know this option"),
    ] {
        let ran = finish(command().arg("boot").args(args).stdin(Stdio::null()));
        assert!(ran.code == Some(1) && ran.err.contains(why) && ran.err.lines().count() == 1, "{args:?}: {ran:?}");
    }
}

#[test]
fn boards_and_devices_are_listed() {
    let boards = tern(["list", "boards"]).out;
    assert!(boards.lines().any(|l| l.starts_with("riscv64/virt ")), "{boards}");
    let some = tern(["list", "boards", "--isa", "riscv32"]).out;
    assert!(some.lines().all(|l| l.starts_with("riscv32/")) && !some.is_empty(), "{some}");
    let devices = tern(["list", "devices"]).out;
    for name in ["ns16550a ", "virtio-blk-device ", "sifive-plic "] {
        assert!(devices.lines().any(|l| l.starts_with(name)), "{devices}");
    }
}
