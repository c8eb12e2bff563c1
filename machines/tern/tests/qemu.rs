//! The command line of QEMU's user-mode emulators.

mod common;

use common::{Dir, EXIT, PUTS, Ran, command, finish, hello, tern};
use std::path::{Path, PathBuf};
use std::process::Command;

/// tern under one of QEMU's names.
fn link(dir: &Dir, name: &str) -> PathBuf {
    let path = dir.path(name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tern"), &path).expect("link");
    path
}

fn call(emulator: &Path, args: &[&str]) -> Ran {
    finish(Command::new(emulator).env_clear().args(args))
}

fn echo() -> String {
    format!(
        "_start: addi s0, sp, 8
         2: ld a0, 0(s0)
            addi s0, s0, 8
            beqz a0, 3f
            call puts
            j 2b
         3: ld a0, 0(s0)
            addi s0, s0, 8
            beqz a0, 4f
            call puts
            j 3b
         4: li a0, 3
            call exit
         {PUTS}{EXIT}"
    )
}

#[test]
fn by_name_and_by_verb() {
    let dir = Dir::new("qemu-name");
    let wide = dir.program("wide", "riscv64", &hello());
    let narrow = dir.program("narrow", "riscv32", &hello());
    for (name, program) in [("qemu-riscv64", &wide), ("qemu-riscv64-static", &wide), ("qemu-riscv32", &narrow)] {
        let ran = call(&link(&dir, name), &[program.to_str().unwrap()]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), "hello\n"), "{name}: {ran:?}");
        let ran = tern([name, program.to_str().unwrap()]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), "hello\n"), "{name}: {ran:?}");
    }
    let ran = tern(["qemu-riscv32", wide.to_str().unwrap()]);
    assert_eq!(ran.code, Some(255));
    assert_eq!(ran.err, format!("qemu-riscv32: {}: Invalid ELF image for this architecture\n", wide.display()));
}

#[test]
fn options_and_variables() {
    let dir = Dir::new("qemu-options");
    let program = dir.program("echo", "riscv64", &echo());
    let program = program.to_str().unwrap();
    let ran_ = tern([
        "qemu-riscv64",
        "-L",
        "/",
        "-s",
        "1M",
        "-0",
        "zero",
        "-E",
        "A=1,B=2",
        "-E",
        "C=3",
        "-U",
        "B",
        program,
        "-E",
    ]);
    assert_eq!((ran_.code, ran_.out.as_str()), (Some(3), "zero\n-E\nA=1\nC=3\n"), "{ran_:?}");
    let mut with = command();
    with.env("QEMU_SET_ENV", "A=1,B=2").env("QEMU_UNSET_ENV", "QEMU_SET_ENV").env("QEMU_ARGV0", "zero");
    with.env("QEMU_UNAME", "5.0").args(["qemu-riscv64", program]);
    let out = finish(&mut with).out;
    let mut lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.remove(0), "zero");
    lines.sort_unstable();
    assert_eq!(lines, ["A=1", "B=2", "QEMU_ARGV0=zero", "QEMU_UNAME=5.0", "QEMU_UNSET_ENV=QEMU_SET_ENV"]);
    let ran =
        tern(["qemu-riscv64", "-strace", "-d", "in_asm,op,nochain", "-D", "/dev/null", "-one-insn-per-tb", program]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(3), ""));
    let ran = tern(["qemu-riscv64", "-strace", program]);
    assert!(ran.err.contains("write(1"), "{ran:?}");
}

#[test]
fn texts_and_statuses_that_scripts_see() {
    let dir = Dir::new("qemu-texts");
    let cases: &[(&[&str], i32, &str)] = &[
        (&[], 1, "qemu: no user program specified\n"),
        (&["-nonsense"], 1, "qemu: unknown option 'nonsense'\n"),
        (&["-L"], 1, "qemu: missing argument for option 'L'\n"),
        (&["-cpu", "nonsense", "x"], 1, "qemu-riscv64: unable to find CPU model 'nonsense'\n"),
        (&["-p", "1000", "x"], 1, "page size must be a power of two\n"),
        (&["-R", "1X", "x"], 1, "Unrecognised -R size suffix 'X'\n"),
        (&["/no/such/file"], 1, "Error while loading /no/such/file: No such file or directory\n"),
        (&["-g", "1234", "/no/such/file"], 1, "Error while loading /no/such/file: No such file or directory\n"),
        (&["-plugin", "x.so", "x"], 1, "qemu-riscv64: -plugin: there are no plugins\n"),
    ];
    for (args, status, text) in cases {
        let ran = tern(["qemu-riscv64"].iter().chain(*args));
        assert_eq!((ran.code, ran.err.as_str()), (Some(*status), *text), "{args:?}");
    }
    let version = tern(["qemu-riscv64", "-version"]);
    assert_eq!(version.code, Some(0));
    assert!(version.out.starts_with("qemu-riscv64 version "), "{version:?}");
    let help = tern(["qemu-riscv64", "-h"]);
    assert_eq!(help.code, Some(0));
    assert!(help.out.starts_with("usage: qemu-riscv64 [options] program [arguments...]\n"), "{help:?}");
    let cpus = tern(["qemu-riscv64", "-cpu", "help"]);
    assert!(cpus.code == Some(0) && cpus.out.lines().any(|l| l == "rv64"), "{cpus:?}");
    let text = dir.file("text", b"text\n", 0o755);
    let ran = tern(["qemu-riscv64", text.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.err, format!("Error while loading {}: Exec format error\n", text.display()));
    let illegal = dir.program("illegal", "riscv64", ".word 0");
    let ran = tern(["qemu-riscv64", illegal.to_str().unwrap()]);
    assert_eq!(ran.signal, Some(4));
    assert!(ran.err.starts_with("qemu: uncaught target signal 4 (Illegal instruction)"), "{ran:?}");
}
