//! `tern record ... run`, `tern replay` and `tern log` of Linux programs: what is replayed is what ran, whatever the
//! program does, and logs that are not good say so.

mod common;

use common::{Dir, EXIT, PUTS, Ran, command, finish, hello, tern};
use std::path::{Path, PathBuf};
use tern_session::Dispatch;

/// Replays of each log, on both dispatchers.
const TIMES: usize = 3;

fn record(program: &Path, log: &Path, options: &[&str]) -> Ran {
    finish(command().args(["record", "-o"]).arg(log).args(options).arg("run").arg(program))
}

fn replay(log: &Path, options: &[&str]) -> Ran {
    finish(command().arg("replay").arg(log).args(options))
}

/// Records a program and replays it on both dispatchers; what the recording gave.
fn both(dir: &Dir, name: &str, source: &str) -> (Ran, PathBuf) {
    let program = dir.program(name, "riscv64", source);
    let log = dir.path(&format!("{name}.log"));
    let ran = record(&program, &log, &[]);
    same(&ran, &log);
    (ran, log)
}

/// The dispatchers that this build has.
fn dispatchers() -> &'static [&'static str] {
    if Dispatch::Tail.available() { &["loop", "tail"] } else { &["loop"] }
}

/// The log gives what the recording gave.
fn same(ran: &Ran, log: &Path) {
    let mut digests = None;
    for dispatch in dispatchers() {
        for _ in 0..TIMES {
            let again = replay(log, &["--dispatch", dispatch]);
            assert_eq!((again.status(), &again.out), (ran.status(), &ran.out), "{}: {again:?}", log.display());
        }
        let listed = replay(log, &["--quiet", "--digest-every", "1000", "--dispatch", dispatch]);
        assert_eq!(listed.code, ran.code, "{listed:?}");
        assert_eq!(digests.get_or_insert(listed.out.clone()), &listed.out, "{}", log.display());
    }
}

/// A call with its number in `a7`.
fn call(nr: u32, args: &[&str]) -> String {
    let set = args.iter().enumerate().map(|(n, arg)| match arg.parse::<i64>() {
        Ok(value) => format!("li a{n}, {value}\n"),
        Err(_) if arg.len() == 2 && arg.starts_with(['s', 'a']) => format!("mv a{n}, {arg}\n"),
        Err(_) => format!("la a{n}, {arg}\n"),
    });
    format!("{}li a7, {nr}\n ecall\n", set.collect::<String>())
}

#[test]
fn hello_is_replayed() {
    let dir = Dir::new("hello-log");
    let (ran, log) = both(&dir, "hello", &hello());
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "hello\n", ""));
    let quiet = replay(&log, &["--quiet"]);
    assert_eq!((quiet.code, quiet.out.as_str()), (Some(0), ""));
    let first = replay(&log, &["--until", "5"]);
    assert_eq!((first.code, first.out.as_str()), (Some(0), ""), "{first:?}");
}

#[test]
fn statuses_and_signals_are_the_recordings() {
    let dir = Dir::new("status-log");
    assert_eq!(both(&dir, "status", &format!("li a0, 42\n{EXIT}")).0.code, Some(42));
    assert_eq!(both(&dir, "group", "li a0, 7\n li a7, 94\n ecall").0.code, Some(7));
    assert_eq!(both(&dir, "illegal", ".word 0").0.status(), Some(132));
    assert_eq!(both(&dir, "null", "li a0, 8\n lw a0, 0(a0)").0.status(), Some(139));
}

/// A handler for signals that counts in `count`, and is installed for signal `signo`.
fn handler(signo: u32) -> String {
    format!(
        "install: la a1, action
                 la t0, on
                 sd t0, 0(a1)
                 li a0, {signo}
                 li a2, 0
                 li a3, 8
                 li a7, 134
                 ecall
                 ret
         on:     la t0, count
                 ld t1, 0(t0)
                 addi t1, t1, 1
                 sd t1, 0(t0)
                 ret\n"
    )
}

const DATA: &str = ".balign 4096
    _data:   .dword 0
    count:   .dword 0
    action:  .dword 0, 0x10000000, 0
    timer:   .dword 0, 2000, 0, 2000
    ends:    .dword 0
    status:  .dword 0
    word:    .dword 1
    buffer:  .dword 0, 0, 0, 0, 0, 0, 0, 0\n";

#[test]
fn signals_come_where_they_came() {
    let dir = Dir::new("signals-log");
    // Counts until the timer has struck ten times; the low bits of the count are the status.
    let source = format!(
        "_start: call install
         {}
                 la s0, count
                 li s1, 0
         1:      addi s1, s1, 1
                 ld t0, 0(s0)
                 li t1, 10
                 blt t0, t1, 1b
                 andi a0, s1, 255
                 call exit\n{}{EXIT}{DATA}",
        call(103, &["0", "timer", "0"]),
        handler(14)
    );
    let (ran, _) = both(&dir, "alarm", &source);
    assert!(ran.code.is_some(), "{ran:?}");
}

#[test]
fn a_handler_of_a_fault_runs() {
    let dir = Dir::new("fault-log");
    // The handler sets the pc in the frame (sp + 128 + 176: siginfo, then the context's registers) to `back`.
    let source = format!(
        "_start: la s1, back\n call install\n li t0, 8\n sw zero, 0(t0)\n li a0, 1\n call exit\n back: li a0, 5\n call exit\n{}{EXIT}{DATA}",
        handler(11).replace("on:     la t0, count", "on:     addi t2, sp, 304\n sd s1, 0(t2)\n la t0, count")
    );
    let (ran, _) = both(&dir, "fault", &source);
    assert_eq!(ran.code, Some(5), "{ran:?}");
}

#[test]
fn threads_and_futexes_take_the_same_turns() {
    let dir = Dir::new("threads-log");
    let source = format!(
        "_start: {}
                 li t0, 65536
                 add s2, a0, t0
                 li a0, 0x350f00
                 mv a1, s2
                 la a2, tid
                 li a3, 0
                 la a4, tid
                 li a7, 220
                 ecall
                 beqz a0, thread
                 li s3, 300000
         1:      la t0, count
                 ld t1, 0(t0)
                 addi t1, t1, 1
                 sd t1, 0(t0)
                 addi s3, s3, -1
                 bnez s3, 1b
         2:      la t0, tid
                 lw t1, 0(t0)
                 beqz t1, 3f
                 mv a0, t0
                 li a1, 0
                 mv a2, t1
                 li a3, 0
                 li a7, 98
                 ecall
                 j 2b
         3:      la t0, count
                 ld a0, 0(t0)
                 andi a0, a0, 127
                 call exit
         thread: li s3, 300000
         4:      la t0, count
                 ld t1, 0(t0)
                 addi t1, t1, 1
                 sd t1, 0(t0)
                 addi s3, s3, -1
                 bnez s3, 4b
                 li a0, 0
                 call exit\n{EXIT}{DATA}tid: .dword 0\n",
        call(222, &["0", "65536", "3", "34", "-1", "0"])
    );
    let (ran, _) = both(&dir, "threads", &source);
    assert!(ran.code.is_some(), "{ran:?}");
    let program = dir.path("threads");
    let mut seen = std::collections::BTreeSet::new();
    for seed in ["1", "2", "3", "4"] {
        let log = dir.path("seed.log");
        let ran = record(&program, &log, &["--chaos", "--schedule-seed", seed]);
        let again = record(&program, &dir.path("again.log"), &["--chaos", "--schedule-seed", seed]);
        assert_eq!(ran.code, again.code, "a seed gives the same turns");
        same(&ran, &log);
        seen.insert(ran.code);
    }
    assert!(seen.len() > 1, "chaos loses updates at different places: {seen:?}");
}

#[test]
fn pipes_children_and_their_own_logs() {
    let dir = Dir::new("fork-log");
    // The child writes three bytes into a pipe and ends with 9; the parent reads them, prints them and waits.
    let source = format!(
        "_start: {pipe}
                 {fork}
                 beqz a0, child
                 la t0, ends
                 lw a0, 0(t0)
                 {read}
                 {print}
                 {wait}
                 la t0, status
                 lbu a0, 1(t0)
                 call exit
         child:  la t0, ends
                 lw a0, 4(t0)
                 {write}
                 {own}
                 li a0, 9
                 call exit\n{EXIT}text: .asciz \"ab\\n\"\n.balign 4\n{DATA}",
        pipe = call(59, &["ends", "0"]),
        fork = call(220, &["17", "0", "0", "0", "0"]),
        read = "la a1, buffer\n li a2, 3\n li a7, 63\n ecall\n",
        print = call(64, &["1", "buffer", "3"]),
        wait = call(260, &["-1", "status", "0", "0"]),
        write = "la a1, text\n li a2, 3\n li a7, 64\n ecall\n",
        own = call(64, &["1", "text", "2"]),
    );
    let program = dir.program("fork", "riscv64", &source);
    let log = dir.path("fork.log");
    let ran = record(&program, &log, &[]);
    assert_eq!((ran.code, ran.out.len()), (Some(9), 5), "{ran:?}");
    let parent = replay(&log, &[]);
    assert_eq!((parent.code, parent.out.as_str()), (Some(9), "ab\n"), "{parent:?}");
    let child = dir.path("fork.log.1");
    let ran = replay(&child, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(9), "ab"), "{ran:?}");
    same(&ran, &child);
    std::fs::remove_file(&log).unwrap();
    let alone = replay(&child, &[]);
    assert_eq!(alone.code, Some(1));
    assert!(alone.err.contains("fork.log"), "{}", alone.err);
}

#[test]
fn mapped_files_and_programs_must_be_what_they_were() {
    let dir = Dir::new("files-log");
    let data = dir.file("data", &[b'x'; 8192], 0o644);
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(&data).unwrap().set_modified(old).unwrap();
    let source = format!(
        "_start: {open} mv a4, a0\n li a0, 0\n li a1, 8192\n li a2, 3\n li a3, 2\n li a5, 0\n li a7, 222\n ecall
                 mv s1, a0
                 lbu a0, 5(s1)
                 li t0, 4100
                 add t0, t0, s1
                 sb a0, 0(t0)
                 call exit\n{EXIT}name: .asciz \"{}\"\n",
        data.display(),
        open = call(56, &["-100", "name", "0", "0"]),
    );
    let (ran, log) = both(&dir, "map", &source);
    assert_eq!(ran.code, Some(i32::from(b'x')), "{ran:?}");
    let packed = dir.path("packed");
    let pack = finish(command().arg("pack").arg(&log).arg("-o").arg(&packed));
    assert_eq!((pack.code, pack.err.as_str()), (Some(0), ""));
    std::fs::write(&data, [b'y'; 8192]).unwrap();
    let changed = finish(command().arg("pack").arg(&log).arg("-o").arg(dir.path("bad")));
    assert!(changed.code == Some(1) && changed.err.contains("has changed"), "{changed:?}");
    let ran = replay(&packed, &[]);
    assert_eq!(ran.code, Some(i32::from(b'x')), "{ran:?}");
    let changed = replay(&log, &[]);
    assert_eq!(changed.code, Some(1), "{changed:?}");
    assert!(changed.err.contains(&format!("{} has changed since the recording", data.display())), "{}", changed.err);
    // A file that is newer than the recording may still change: the log has its contents.
    let later = std::time::UNIX_EPOCH + std::time::Duration::from_secs(4_000_000_000);
    std::fs::File::options().write(true).open(&data).unwrap().set_modified(later).unwrap();
    let program = dir.path("map");
    let ran = record(&program, &log, &[]);
    assert_eq!(ran.code, Some(i32::from(b'y')));
    std::fs::write(&data, [b'z'; 8192]).unwrap();
    assert_eq!(replay(&log, &[]).code, Some(i32::from(b'y')));
    std::fs::remove_file(&data).unwrap();
    same(&ran, &log);
}

#[test]
fn executed_programs_are_in_the_same_log() {
    let dir = Dir::new("exec-log");
    let second = dir.program("second", "riscv64", &hello());
    let first = format!(
        "_start: la a0, path\n la a1, argv\n la a2, envp\n li a7, 221\n ecall\n li a0, 99\n call exit\n{EXIT}
         path: .asciz \"{}\"\n zero: .asciz \"zero\"\n .balign 8\n argv: .dword zero, 0\n envp: .dword 0\n",
        second.display()
    );
    let (ran, log) = both(&dir, "first", &first);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "hello\n"), "{ran:?}");
    let missing = dir.program("missing", "riscv64", &first.replace("second", "secund"));
    let ran = record(&missing, &log, &[]);
    assert_eq!(ran.code, Some(99));
    same(&ran, &log);
}

#[test]
fn damage_is_noticed_and_cut_logs_are_replayed_as_far_as_they_go() {
    let dir = Dir::new("bad-log");
    let source = format!(
        "_start: li s3, 200\n 1: la a0, text\n call puts\n addi s3, s3, -1\n bnez s3, 1b\n li a0, 0\n call exit\n{PUTS}{EXIT}text: .asciz \"line\"\n"
    );
    let (ran, log) = both(&dir, "lines", &source);
    let bytes = std::fs::read(&log).unwrap();
    let bad = dir.path("bad.log");
    for cut in (0..bytes.len()).step_by(bytes.len() / 23 + 1) {
        std::fs::write(&bad, &bytes[..cut]).unwrap();
        let cut = replay(&bad, &[]);
        assert_eq!(cut.code, Some(1), "{cut:?}");
        assert!(ran.out.starts_with(&cut.out) && cut.err.lines().count() == 1, "{cut:?}");
    }
    for at in (0..bytes.len()).step_by(bytes.len() / 41 + 1) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        std::fs::write(&bad, &damaged).unwrap();
        let ended = replay(&bad, &[]);
        assert!(ended.code == Some(1) && ended.err.lines().count() == 1, "byte {at}: {ended:?}");
    }
    std::fs::write(&bad, b"hello").unwrap();
    assert_eq!(replay(&bad, &[]).code, Some(1));
    let full = record(&dir.path("lines"), Path::new("/dev/full"), &[]);
    assert_eq!(full.code, Some(1), "{full:?}");
    assert!(full.err.contains("frame 0"), "{}", full.err);
}

#[test]
fn killed_recordings_are_replayed_to_their_last_whole_frame() {
    let dir = Dir::new("killed-log");
    let source = format!(
        "_start: la a0, text\n call puts\n li t0, 20000\n 1: addi t0, t0, -1\n bnez t0, 1b\n j _start\n{PUTS}text: .asciz \"line\"\n"
    );
    let program = dir.program("forever", "riscv64", &source);
    let log = dir.path("killed.log");
    for n in 0..50u64 {
        let mut child = command();
        child.args(["record", "-o"]).arg(&log).arg("run").arg(&program).stdout(std::process::Stdio::null());
        let mut child = child.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(2000 + n * n * 137));
        child.kill().unwrap();
        child.wait().unwrap();
        let ran = replay(&log, &["--dispatch", dispatchers()[n as usize % dispatchers().len()]]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.out.lines().all(|line| line == "line"), "{}", ran.out);
        let early = ["No such file", "is no log", "is cut off", "nothing had run", "where the recorder was killed"];
        assert!(early.iter().any(|text| ran.err.contains(text)), "{}", ran.err);
    }
}

#[test]
fn the_options_are_for_programs() {
    assert_eq!(tern(["record", "-o", "/dev/null", "--chaos", "boot"]).code, Some(2));
    assert_eq!(tern(["record", "-o", "/dev/null", "run"]).code, Some(2));
    assert_eq!(tern(["record", "-o", "/nonexistent/log", "run", "/bin/true"]).code, Some(126));
}
