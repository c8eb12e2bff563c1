//! `tern run` on programs made by the table assembler: output, statuses, arguments, environment, signals, exec.

mod common;

use common::{Dir, EXIT, PUTS, command, elf, finish, hello, run, tern};
use std::os::unix::process::ExitStatusExt;

/// The ISAs and the instruction that loads a pointer there.
const ISAS: [(&str, &str, u32); 2] = [("riscv64", "ld", 8), ("riscv32", "lw", 4)];

#[test]
fn hello_on_both_word_sizes_and_dispatchers() {
    let dir = Dir::new("hello");
    for (isa, ..) in ISAS {
        let program = dir.program(isa, isa, &hello());
        let plain = run(&program);
        assert_eq!((plain.code, plain.out.as_str(), plain.err.as_str()), (Some(0), "hello\n", ""), "{isa}");
        let program = program.to_str().unwrap();
        for options in [&["--dispatch", "loop"][..], &["--one-insn"], &["--cache-words", "16384"]] {
            let ran = tern(["run"].iter().chain(options).chain(&[program]));
            assert_eq!((ran.code, ran.out.as_str()), (Some(0), "hello\n"), "{isa} {options:?}");
        }
    }
}

#[test]
fn exit_statuses_are_the_guests() {
    let dir = Dir::new("status");
    for status in [0, 1, 42, 127, 255] {
        let program = dir.program("status", "riscv64", &format!("li a0, {status}\n{EXIT}"));
        assert_eq!(run(&program).code, Some(status));
    }
    let program = dir.program("group", "riscv64", "li a0, 0x307\n li a7, 94\n ecall");
    assert_eq!(run(&program).code, Some(7), "low 8 bits");
}

/// Prints all arguments, then all of the environment.
fn echo(load: &str, word: u32) -> String {
    format!(
        "_start: addi s0, sp, {word}
         2: {load} a0, 0(s0)
            addi s0, s0, {word}
            beqz a0, 3f
            call puts
            j 2b
         3: {load} a0, 0(s0)
            addi s0, s0, {word}
            beqz a0, 4f
            call puts
            j 3b
         4: li a0, 0
            call exit
         {PUTS}{EXIT}"
    )
}

#[test]
fn arguments_and_environment_reach_the_guest() {
    let dir = Dir::new("echo");
    for (isa, load, word) in ISAS {
        let program = dir.program(isa, isa, &echo(load, word));
        let name = program.to_str().unwrap();
        let ran = tern(["run", "--env", "A=1", "--env=B=x y", name, "-x", "--strace", "", "--", "ü"]);
        assert_eq!(ran.out, format!("{name}\n-x\n--strace\n\n--\nü\nA=1\nB=x y\n"), "{isa}");
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    }
    let program = dir.program("env", "riscv64", &echo("ld", 8));
    let mut with = command();
    with.env("KEEP", "k").env("GONE", "g").env("GONER", "h").env("CHANGED", "old");
    with.args(["run", "--unset", "GONE", "--env", "CHANGED=new", "--argv0", "-sh"]).arg(&program);
    let mut lines: Vec<String> = finish(&mut with).out.lines().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), "-sh");
    lines.sort();
    assert_eq!(lines, ["CHANGED=new", "GONER=h", "KEEP=k"]);
    assert_eq!(tern(["run", "--env", "novalue", program.to_str().unwrap()]).code, Some(2));
}

/// Does the program call `kill`?
fn source_sends(source: &str) -> bool {
    source.contains("li a7, 129")
}

#[test]
fn uncaught_signals_are_reported_as_a_shell_does() {
    let dir = Dir::new("signals");
    let kill = |signo| format!("li a7, 172\n ecall\n li a1, {signo}\n li a7, 129\n ecall\n li a0, 0\n{EXIT}");
    let cases = [
        ("illegal", ".word 0".to_owned(), 4, "Illegal instruction"),
        ("load", "li a0, 8\n lw a0, 0(a0)".to_owned(), 11, "Segmentation fault"),
        ("jump", "li a0, 8\n jr a0".to_owned(), 11, "Segmentation fault"),
        (
            "text",
            "la a0, _start\n _start: sw zero, 0(a0)\n .balign 4096\n _data: .word 0".to_owned(),
            11,
            "Segmentation fault",
        ),
        ("trap", "ebreak".to_owned(), 5, "Trace/breakpoint trap"),
        ("abort", kill(6), 6, "Aborted"),
        ("term", kill(15), 15, "Terminated"),
        ("kill", kill(9), 9, "Killed"),
    ];
    for (name, source, signo, text) in cases {
        let program = dir.program(name, "riscv64", &source);
        let ran = run(&program);
        // A signal that the guest sends itself may end tern as it does.
        assert_eq!(ran.status(), Some(128 + signo), "{name}: {ran:?}");
        if ran.signal.is_some() && source_sends(&source) {
            continue;
        }
        assert_eq!(ran.code, Some(128 + signo), "{name}: {ran:?}");
        assert_eq!(ran.err, format!("tern: {}: {text}\n", program.display()));
    }
}

#[test]
fn a_program_that_executes_another_stays_in_the_guest() {
    let dir = Dir::new("exec");
    let second = dir.program("second", "riscv32", &echo("lw", 4));
    let first = format!(
        "_start: la a0, path\n la a1, argv\n la a2, envp\n li a7, 221\n ecall\n li a0, 99\n call exit\n{EXIT}
         path: .asciz \"{}\"\n zero: .asciz \"-zero\"\n one: .asciz \"one\"\n env: .asciz \"K=V\"\n .balign 8
         argv: .dword zero, one, 0\n envp: .dword env, 0\n",
        second.display()
    );
    let ran = run(&dir.program("first", "riscv64", &first));
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "-zero\none\nK=V\n", ""));
    let illegal = dir.program("illegal", "riscv64", ".word 0");
    let exec = first.replace(second.to_str().unwrap(), illegal.to_str().unwrap());
    let ran = run(&dir.program("first", "riscv64", &exec));
    assert_eq!((ran.signal, ran.err.as_str()), (Some(4), ""), "what a guest executed dies by its signal");
}

#[test]
fn scripts_run_their_interpreter_from_the_sysroot() {
    let dir = Dir::new("script");
    let program = elf("riscv64", &echo("ld", 8));
    dir.file("root/bin/echo-args", &program, 0o755);
    let script = dir.file("script", b"#!/bin/echo-args  -a b \nignored\n", 0o755);
    let (root, script) = (dir.path("root"), script.to_str().unwrap());
    let ran = tern(["run", "--sysroot", root.to_str().unwrap(), script, "c"]);
    assert_eq!(ran.out, format!("/bin/echo-args\n-a b\n{script}\nc\n"), "{ran:?}");
    let ran = tern(["run", script]);
    assert_eq!(ran.code, Some(127), "{ran:?}");
    assert_eq!(ran.err, "tern: /bin/echo-args: No such file or directory\n");
}

#[test]
fn logs_and_figures() {
    let dir = Dir::new("logs");
    let program = dir.program("hello", "riscv64", &hello());
    let program = program.to_str().unwrap();
    let log = dir.path("log-%d");
    let ran = tern(["run", "--log", "in_asm,exec,int,page", "--log-file", log.to_str().unwrap(), program]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("hello\n", ""));
    let name = std::fs::read_dir(dir.path("")).unwrap().map(|e| e.unwrap().path());
    let name = name.into_iter().find(|p| p.file_name().unwrap().to_str().unwrap().starts_with("log-")).unwrap();
    assert!(!name.to_str().unwrap().contains('%'));
    let text = std::fs::read_to_string(name).unwrap();
    for part in ["IN: \n0x00010000:  auipc a0, 0x0\n", "\n0x10000\n", "cpu 0 syscall before", " r-x\n", "ecall"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    let ran = tern(["run", "--strace", program]);
    assert!(ran.err.contains("write(1") && ran.err.contains("exit(0)"), "{}", ran.err);
    let ran = tern(["run", "--stats", program]);
    assert!(ran.err.contains("guest instructions in"), "{}", ran.err);
    let counted = |what: &str| {
        let ran = tern(["run", "--stats", "--count", what, program]);
        let word = |line: &str| line.trim().split(' ').next().and_then(|n| n.parse::<u64>().ok());
        let line = ran.err.lines().find(|l| l.trim_end().ends_with(what) || l.contains("words run"));
        (ran.out, line.and_then(word).unwrap_or_else(|| panic!("nothing was counted: {}", ran.err)))
    };
    let ((out, dispatches), (same, words)) = (counted("dispatches"), counted("words"));
    assert!(dispatches > 0 && dispatches <= words && out == same, "{dispatches} dispatches of {words} words");
    assert_eq!(tern(["run", "--count", "words", program]).code, Some(2), "--count without --stats says nothing");
    let missing = dir.program("missing", "riscv64", &format!("li a7, 5000\n ecall\n sub a0, zero, a0\n{EXIT}"));
    let ran = tern(["run", "--log", "unimp", missing.to_str().unwrap()]);
    assert_eq!((ran.code, ran.err.contains("5000")), (Some(38), true), "ENOSYS: {}", ran.err);
}

#[test]
fn a_reader_that_leaves_kills_the_guest() {
    let dir = Dir::new("pipe");
    let source = format!("_start: la a0, text\n call puts\n j _start\n{PUTS}text: .asciz \"y\"\n");
    let program = dir.program("yes", "riscv64", &source);
    let mut child = command().arg("run").arg(&program).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert_eq!(status.code().or(status.signal().map(|s| 128 + s)), Some(128 + 13));
}

#[test]
fn the_demonstration_runs() {
    let ran = tern(["demo"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.starts_with("Hello from Linux "), "{}", ran.out);
    let lines: Vec<&str> = ran.out.lines().collect();
    // A blank line on either side of the picture, whose axis of symmetry is the thirteenth row.
    assert_eq!(lines.len(), 2 + 24 + 2, "{}", ran.out);
    assert!(lines[2..26].iter().all(|l| l.len() == 78));
    assert_eq!(lines[2 + 11], lines[2 + 13]);
    assert!(lines[27].contains("guest instructions in"));
}
