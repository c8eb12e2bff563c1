//! The verbs that run nothing.

mod common;

use common::{Dir, command, elf, hello, tern};
use std::process::Stdio;

#[test]
fn alone_tern_helps_and_succeeds() {
    let ran = tern([""; 0]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("tern demo") && ran.out.lines().count() < 20);
    for args in [&["--help"][..], &["run", "--help"], &["disasm", "--help"], &["--version"]] {
        let ran = tern(args);
        assert!(ran.code == Some(0) && !ran.out.is_empty() && ran.err.is_empty(), "{args:?}: {ran:?}");
    }
    assert_eq!(tern(["nonsense"]).code, Some(2));
}

#[test]
fn what_is_assembled_is_disassembled_with_labels() {
    let dir = Dir::new("asm");
    let source = dir.file("hello.s", hello().as_bytes(), 0o644);
    let (source, out) = (source.to_str().unwrap(), dir.path("hello"));
    let out = out.to_str().unwrap();
    let ran = tern(["asm", "--isa", "riscv64", source, "-o", out]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read(out).unwrap(), elf("riscv64", &hello()));
    assert_eq!(tern(["run", out]).out, "hello\n", "the file is executable");
    let text = tern(["disasm", out]).out;
    for part in ["<_start>:\n", "<puts>:\n", "ecall\n", "ret\n"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    let part = tern(["disasm", "--start", "0x10000", "--stop", "0x10008", out]).out;
    assert_eq!(part.lines().filter(|l| l.contains(":  ")).count(), 2, "{part}");
    let raw = dir.path("raw");
    let raw = raw.to_str().unwrap();
    assert_eq!(tern(["asm", "--isa", "rv32", "--raw", "--base", "0", source, "-o", raw]).code, Some(0));
    let text = tern(["disasm", "--raw", "--isa", "riscv32", "--base", "0x400", raw]).out;
    assert!(text.trim_start().starts_with("400:  "), "{text}");
}

#[test]
fn errors_of_the_assembler_name_the_line() {
    let dir = Dir::new("asm-errors");
    let source = dir.file("bad.s", b"nop\nbogus a0\n", 0o644);
    let ran = tern(["asm", "--isa", "riscv64", source.to_str().unwrap(), "-o", "/dev/null"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.err, format!("tern: {}: line 2: unknown mnemonic `bogus`\n", source.display()));
    let ran = tern(["asm", "--isa", "pdp11", source.to_str().unwrap(), "-o", "/dev/null"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(2), "tern: no guest ISA `pdp11`; this tern has riscv32, riscv64\n"));
    let ran = tern(["disasm", "/no/such/file"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(127), "tern: /no/such/file: No such file or directory\n"));
    let ran = tern(["disasm", source.to_str().unwrap()]);
    assert_eq!(ran.code, Some(126), "{ran:?}");
}

#[test]
fn damaged_files_are_disassembled_or_refused() {
    let dir = Dir::new("disasm-damage");
    let good = elf("riscv64", &hello());
    for at in 0..64 {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        let ran = tern(["disasm", dir.file("bad", &bad, 0o644).to_str().unwrap()]);
        assert!(ran.code.is_some() && !ran.err.contains("internal error"), "byte {at}: {ran:?}");
    }
    for len in [0, 4, 19, 63, 100, good.len() - 1] {
        let ran = tern(["disasm", dir.file("short", &good[..len], 0o644).to_str().unwrap()]);
        assert!(ran.code.is_some_and(|c| c != 0 && c != 101) && ran.err.lines().count() == 1, "{len}: {ran:?}");
    }
}

#[test]
fn lists() {
    let isas = tern(["list", "isas"]).out;
    assert!(isas.contains("riscv64") && isas.contains("riscv32"));
    assert!(tern(["list", "cpus", "--isa", "riscv64"]).out.contains("zba"));
    let calls = tern(["list", "syscalls", "--isa", "riscv64"]).out;
    let line = |name: &str| calls.lines().find(|l| l.split_whitespace().nth(1) == Some(name)).map(str::to_owned);
    assert!(line("mmap").is_some_and(|l| l.ends_with("yes")), "{calls}");
    assert!(line("kexec_load").is_some_and(|l| l.ends_with("ENOSYS")), "{calls}");
    assert!(tern(["list", "log"]).out.contains("out_asm"));
    assert_eq!(tern(["list", "nonsense"]).code, Some(2));
}

#[test]
fn a_reader_that_leaves_ends_a_list() {
    let mut list = command();
    list.args(["list", "syscalls"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = list.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141), "{output:?}");
}
