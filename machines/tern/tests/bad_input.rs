//! Files that are no programs: one line that names file and reason, and a shell's status.

mod common;

use common::{Dir, command, elf, finish, hello, run, tern};

fn refused(dir: &Dir, name: &str, bytes: &[u8], status: i32, reason: &str) {
    let path = dir.file(name, bytes, 0o755);
    let ran = run(&path);
    assert_eq!(ran.code, Some(status), "{name}: {ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{name}: {}", ran.err);
    assert!(ran.err.starts_with(&format!("tern: {}: ", path.display())), "{name}: {}", ran.err);
    assert!(ran.err.contains(reason), "{name}: {}", ran.err);
}

#[test]
fn files_that_are_not_programs() {
    let dir = Dir::new("files");
    let good = elf("riscv64", &hello());
    refused(&dir, "empty", b"", 126, "");
    refused(&dir, "text", b"hello\n", 126, "neither an ELF program nor a script");
    refused(&dir, "magic", &good[..4], 126, "truncated");
    refused(&dir, "header", &good[..63], 126, "truncated");
    refused(&dir, "segments", &good[..100], 126, "truncated");
    refused(&dir, "code", &good[..4096], 126, "truncated");
    let mut amd64 = good.clone();
    amd64[18] = 62;
    #[cfg(target_arch = "x86_64")]
    refused(&dir, "amd64", &amd64, 126, "x86-64 program; this tern runs riscv32, riscv64");
    let mut arm = good.clone();
    arm[18] = 183;
    #[cfg(not(target_arch = "aarch64"))]
    refused(&dir, "arm64", &arm, 126, "AArch64 program; this tern runs riscv32, riscv64");
    let mut class = good.clone();
    class[4] = 9;
    refused(&dir, "class", &class, 126, "");
    let mut phnum = good.clone();
    phnum[56..58].fill(0xff);
    refused(&dir, "phnum", &phnum, 126, "");
    let mut huge = good;
    // p_memsz of the first segment.
    huge[64 + 40..64 + 48].fill(0xff);
    refused(&dir, "memsz", &huge, 126, "");
}

#[test]
fn damaged_programs_never_make_tern_panic() {
    let dir = Dir::new("damage");
    let good = elf("riscv64", &hello());
    for at in (0..120).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        let ran = run(&dir.file("bad", &bad, 0o755));
        assert!(ran.code.is_some() && !ran.err.contains("internal error"), "byte {at}: {ran:?}");
    }
}

#[test]
fn names_that_lead_nowhere() {
    let dir = Dir::new("names");
    let cases = [("nothing", 127, "No such file or directory"), ("", 126, "")];
    for (name, status, reason) in cases {
        let path = dir.path(name);
        let ran = run(&path);
        assert_eq!(ran.code, Some(status), "{ran:?}");
        assert!(ran.err.starts_with(&format!("tern: {}: ", path.display())) && ran.err.contains(reason), "{ran:?}");
    }
    let plain = dir.file("plain", &elf("riscv64", &hello()), 0o644);
    let ran = run(&plain);
    assert_eq!(ran.code, Some(126), "{ran:?}");
    assert!(ran.err.contains("ermission denied"), "{ran:?}");
    let under = plain.join("x");
    assert_eq!(run(&under).code, Some(127));
}

#[test]
fn a_missing_interpreter_is_named() {
    let dir = Dir::new("interp");
    // A second program header, PT_INTERP, over the one of the data segment.
    let mut dynamic = elf("riscv64", &format!("{}\n .balign 4096\n_data: .asciz \"/lib/ld-none.so.1\"\n", hello()));
    let second = 64 + 56;
    dynamic[second..second + 4].copy_from_slice(&3_u32.to_le_bytes());
    let path = dir.file("dynamic", &dynamic, 0o755);
    let ran = run(&path);
    assert_eq!(ran.code, Some(127), "{ran:?}");
    assert!(ran.err.contains("/lib/ld-none.so.1") && ran.err.contains("--sysroot DIR"), "{ran:?}");
    let root = dir.path("root");
    std::fs::create_dir(&root).unwrap();
    let ran = tern(["run", "--sysroot", root.to_str().unwrap(), path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(127), "{ran:?}");
    assert!(ran.err.contains("/lib/ld-none.so.1"), "{ran:?}");
}

#[test]
fn options_that_make_no_sense() {
    let dir = Dir::new("options");
    let program = dir.program("hello", "riscv64", &hello());
    let program = program.to_str().unwrap();
    for (options, reason) in [
        (&["--cpu", "nonsense"][..], "nonsense"),
        (&["--cpu", "rv64,nonsense=on"], "nonsense"),
        (&["--cpu", "rv32gc"], "32 bits"),
        (&["--log", "nonsense"], "nonsense"),
        (&["--dispatch", "nonsense"], "nonsense"),
        (&["--stack", "nonsense"], "nonsense"),
        (&["--cache-words", "1"], "16384"),
        (&["--nonsense"], "nonsense"),
    ] {
        let ran = tern(["run"].iter().chain(options).chain(&[program]));
        assert_eq!(ran.code, Some(2), "{options:?}: {ran:?}");
        assert!(ran.out.is_empty() && ran.err.contains(reason), "{options:?}: {ran:?}");
    }
    let ran = tern(["run", "--sysroot", "/no/such/dir", program]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.err.contains("/no/such/dir"), "{ran:?}");
    let ran = tern(["run", "--log", "int", "--log-file", "/no/such/dir/log", program]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), "tern: /no/such/dir/log: No such file or directory\n"));
}

#[test]
fn a_disabled_extension_is_illegal() {
    let dir = Dir::new("extension");
    let source = format!("mul a0, a0, a0\n li a0, 0\n{}", common::EXIT);
    let program = dir.program("mul", "riscv64", &source);
    let program = program.to_str().unwrap();
    assert_eq!(tern(["run", program]).code, Some(0));
    assert_eq!(tern(["run", "--cpu", "rv64i", program]).code, Some(132));
    let mut with = command();
    with.env("QEMU_CPU", "rv64i").args(["qemu-riscv64", program]);
    assert_eq!(finish(&mut with).signal, Some(4));
}
