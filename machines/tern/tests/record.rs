//! Recording machines and replaying the recordings.

mod common;

use common::{Dir, Ran, command, finish, ran};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use tern_session::{Dispatch, Options, image, isa};

/// Where a machine-mode program begins.
const RAM: u64 = 0x8000_0000;

/// A program that waits for interrupts of the timer and of its serial port, counts the former, echoes what comes from the
/// latter, and ends at a `q` with the number of bytes as its status.  In between it computes.
const ECHO: &str = "_start: la t0, trap
        csrw mtvec, t0
        li s1, 0x10000000
        li t0, 1
        sb t0, 1(s1)
        li t0, 0x0c002000
        li t1, 0x400
        sw t1, 0(t0)
        li t0, 0x0c000028
        li t1, 1
        sw t1, 0(t0)
        li t0, 0x880
        csrw mie, t0
        call arm
        csrsi mstatus, 8
     1: li t0, 1000
     2: addi t0, t0, -1
        mul s4, s4, t0
        add s4, s4, s3
        bnez t0, 2b
        .word 0x10500073
        j 1b
   arm: li t0, 0x0200bff8
        ld t1, 0(t0)
        li t2, 10000
        add t1, t1, t2
        li t0, 0x02004000
        sd t1, 0(t0)
        ret
  trap: csrr t3, mcause
        andi t3, t3, 15
        li t4, 7
        bne t3, t4, 4f
        addi s3, s3, 1
        call arm
        .word 0x30200073
     4: li t0, 0x0c200004
        lw t5, 0(t0)
     5: lbu t1, 5(s1)
        andi t1, t1, 1
        beqz t1, 6f
        lbu t1, 0(s1)
        addi s5, s5, 1
        sb t1, 0(s1)
        li t2, 0x71
        bne t1, t2, 5b
        slli s5, s5, 16
        li t2, 0x3333
        or s5, s5, t2
        li t0, 0x100000
        sw s5, 0(t0)
     7: j 7b
     6: li t0, 0x0c200004
        sw t5, 0(t0)
        .word 0x30200073";

fn kernel(dir: &Dir) -> PathBuf {
    let isa = isa::by_name("riscv64").expect("ISA is built");
    let assembler = isa.assembler(None).expect("assembler");
    let code = assembler.assemble_image(ECHO, RAM, &BTreeMap::new()).expect("source is right");
    dir.file("kernel", &image::executable(isa, &code, RAM).expect("image is right"), 0o755)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Begins to record; what it types is the test's matter.
fn record(log: &Path, kernel: &Path) -> Child {
    let mut command = command();
    command.args(["record", "-o", text(log), "boot", "--bios", "none", "--serial", "stdio", "--kernel", text(kernel)]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tern runs")
}

/// Types words with pauses between them, and waits for the end.
fn recorded(log: &Path, kernel: &Path, words: &[&str]) -> Ran {
    let mut child = record(log, kernel);
    let mut stdin = child.stdin.take().unwrap();
    for word in words {
        stdin.write_all(word.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    ran(&child.wait_with_output().unwrap())
}

fn replay(log: &Path, args: &[&str]) -> Ran {
    finish(command().args(["replay", text(log)]).args(args).stdin(Stdio::null()))
}

#[test]
fn what_was_typed_comes_again_at_the_same_places() {
    let dir = Dir::new("record-echo");
    let (kernel, log) = (kernel(&dir), dir.path("log"));
    let ran = recorded(&log, &kernel, &["ab", "c", "defg", "q"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(8), "abcdefgq", ""));
    let mut said = None;
    for n in 0..20 {
        // Development builds have the loop only.
        let both = Options::default().dispatch == Dispatch::Tail;
        let dispatch = if both && n % 2 == 0 { "tail" } else { "loop" };
        let again = replay(&log, &["--dispatch", dispatch, "--digest-every", "1000000"]);
        assert_eq!((again.code, again.out.as_str()), (Some(8), "abcdefgq"), "{}", again.err);
        assert!(again.err.contains("digests are equal"), "{}", again.err);
        assert_eq!(*said.get_or_insert(again.err.clone()), again.err);
    }
    let quiet = replay(&log, &["--check"]);
    assert_eq!((quiet.code, quiet.out.as_str()), (Some(8), ""));
    let part = replay(&log, &["--until", "1000"]);
    assert_eq!((part.code, part.out.as_str()), (Some(0), ""));
    assert!(part.err.starts_with("tern: replayed up to 1000."), "{}", part.err);
    let list = finish(command().args(["log", text(&log)]));
    assert_eq!(list.code, Some(0));
    assert!(list.out.contains("inputs: ") && list.out.contains(" with 8 bytes"), "{}", list.out);
    let lines = finish(command().args(["log", "--json", text(&log)])).out;
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn logs_that_are_cut_or_damaged_are_good_up_to_there() {
    let dir = Dir::new("record-cut");
    let (kernel, log) = (kernel(&dir), dir.path("log"));
    assert_eq!(recorded(&log, &kernel, &["ab", "cd", "q"]).code, Some(5));
    let whole = fs::read(&log).unwrap();
    let bad = dir.path("bad");
    for part in 1..8 {
        let cut = whole.len() * part / 8;
        fs::write(&bad, &whole[..cut]).unwrap();
        let ran = replay(&bad, &["--check"]);
        assert!(ran.err.contains("the log goes no further") || ran.err.contains("cut off"), "{}", ran.err);
        let mut damaged = whole.clone();
        damaged[cut] ^= 0x55;
        fs::write(&bad, &damaged).unwrap();
        let ran = replay(&bad, &["--check"]);
        assert!(ran.err.contains("frame "), "{}", ran.err);
    }
    fs::write(&bad, b"#!/bin/sh\n").unwrap();
    let ran = replay(&bad, &[]);
    assert_eq!((ran.code, ran.err), (Some(1), format!("{}: this is no log of tern's\n", bad.display())));
    // Another kernel than the one that was recorded.
    fs::write(&kernel, b"something else").unwrap();
    let ran = replay(&log, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("kernel has changed since the recording"), "{}", ran.err);
}

#[test]
fn killed_recorders_leave_logs_that_replay() {
    let dir = Dir::new("record-kill");
    let (kernel, log) = (kernel(&dir), dir.path("log"));
    for n in 0..50 {
        let mut child = record(&log, &kernel);
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(b"some words");
        std::thread::sleep(std::time::Duration::from_millis(n * 7 % 160));
        child.kill().unwrap();
        child.wait().unwrap();
        if fs::metadata(&log).map_or(0, |m| m.len()) == 0 {
            continue;
        }
        let ran = replay(&log, &["--check"]);
        assert!(ran.err.contains("the log goes no further") || ran.err.contains("cut off"), "{n}: {}", ran.err);
        assert!(!ran.err.contains("not the recorded run"), "{n}: {}", ran.err);
        fs::remove_file(&log).unwrap();
    }
}

#[test]
fn a_full_disk_ends_the_recording_with_a_word() {
    let dir = Dir::new("record-full");
    let kernel = kernel(&dir);
    let ran = recorded(Path::new("/dev/full"), &kernel, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("frame 0"), "{}", ran.err);
}

#[test]
fn a_packed_log_needs_nothing_else() {
    let dir = Dir::new("record-pack");
    let (kernel, log, packed) = (kernel(&dir), dir.path("log"), dir.path("packed"));
    assert_eq!(recorded(&log, &kernel, &["abcd", "q"]).code, Some(5));
    let ran = finish(command().args(["pack", text(&log), "-o", text(&packed)]));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    fs::remove_file(&kernel).unwrap();
    fs::remove_file(&log).unwrap();
    let ran = replay(&packed, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(5), "abcdq"), "{}", ran.err);
}

#[test]
fn what_cannot_be_recorded_says_so() {
    let dir = Dir::new("record-refuse");
    let (kernel, log) = (kernel(&dir), dir.path("log"));
    let record = |args: &[&str]| finish(command().args(["record", "-o", text(&log)]).args(args).stdin(Stdio::null()));
    let share = record(&["boot", "--kernel", text(&kernel), "--share", "/tmp"]);
    assert_eq!((share.code, share.err.as_str()), (Some(1), "tern: a machine with shared folders cannot be recorded\n"));
    let nothing = record(&["list", "isas"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("boot or qemu-system-ISA is wanted"), "{}", nothing.err);
}

#[test]
fn the_same_by_the_options_of_qemu() {
    let dir = Dir::new("record-qemu");
    let (kernel, log) = (kernel(&dir), dir.path("log"));
    let call = |rr: &str, stdin: Stdio| {
        let icount = format!("shift=0,rr={rr},rrfile={}", text(&log));
        let mut command = command();
        command.args([
            "qemu-system-riscv64",
            "-M",
            "virt",
            "-bios",
            "none",
            "-kernel",
            text(&kernel),
            "-display",
            "none",
        ]);
        command.args(["-monitor", "none", "-serial", "stdio", "-icount", &icount]);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tern runs")
    };
    let mut child = call("record", Stdio::piped());
    child.stdin.take().unwrap().write_all(b"xyzq").unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), &out.stdout[..]), (Some(4), &b"xyzq"[..]));
    let again = call("replay", Stdio::null()).wait_with_output().unwrap();
    assert_eq!((again.status.code(), &again.stdout[..]), (Some(4), &b"xyzq"[..]));
    assert_eq!(replay(&log, &["--check"]).code, Some(4));
}

/// Answers of `tern debug`, one for each command.
fn debug(log: &Path, commands: &[String]) -> Vec<serde_json::Value> {
    let mut call = command();
    call.args(["debug", "--json", text(log)]);
    commands.iter().for_each(|line| drop(call.args(["-e", line])));
    let ran = finish(call.stdin(Stdio::null()));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
    ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn any_position_is_reached_from_any_other() {
    let dir = Dir::new("record-seek");
    let (kernel, log) = (kernel(&dir), dir.path("log"));
    assert_eq!(recorded(&log, &kernel, &["ab", "cdef", "q"]).code, Some(7));
    let end = debug(&log, &["continue".to_owned()])[0]["position"].as_u64().unwrap();
    let places: Vec<u64> = (1..20).map(|n| end * n / 20).collect();
    let at = |place: &u64| [format!("seek {place}"), "digest".to_owned()];
    let forwards = debug(&log, &places.iter().flat_map(at).collect::<Vec<_>>());
    // There and back, with steps over the same places.
    let order: Vec<u64> = (0..places.len()).map(|n| places[n * 7 % places.len()]).collect();
    let mixed = debug(&log, &order.iter().flat_map(at).collect::<Vec<_>>());
    for (place, answer) in order.iter().zip(mixed.chunks(2)) {
        let n = places.iter().position(|p| p == place).unwrap();
        assert_eq!(answer[1], forwards[2 * n + 1], "position {place}");
    }
    let middle = places[10];
    let steps =
        [format!("seek {middle}"), "digest".into(), "back 3".into(), "step".into(), "step 2".into(), "digest".into()];
    let steps = debug(&log, &steps);
    assert_eq!((steps[1].clone(), steps[2]["position"].as_u64()), (steps[5].clone(), Some(middle - 3)));
}

#[test]
fn going_back_finds_breakpoints_and_the_last_write() {
    let dir = Dir::new("record-back");
    let (kernel, log) = (kernel(&dir), dir.path("log"));
    assert_eq!(recorded(&log, &kernel, &["abc", "q"]).code, Some(4));
    let trap = |answer: &serde_json::Value| answer["pc"].as_u64();
    // The handler begins where mtvec says.
    let look = debug(&log, &["seek 100".to_owned(), "registers".to_owned()]);
    let vector = look[1]["mtvec"].as_str().map(str::to_owned).expect("mtvec is a register");
    let forth = ["break ".to_owned() + &vector, "continue".into(), "continue".into(), "continue".into()];
    let back = ["reverse".to_owned(), "reverse".into(), "reverse".into()];
    let both = debug(&log, &[&forth[..], &back].concat());
    let positions: Vec<u64> = both[1..].iter().map(|a| a["position"].as_u64().unwrap()).collect();
    assert!(positions[0] < positions[1] && positions[1] < positions[2], "{both:?}");
    assert_eq!((positions[3], positions[4]), (positions[1], positions[0]));
    assert_eq!((both[6]["stop"].as_str(), positions[5]), (Some("beginning"), 0));
    assert!(both[1..6].iter().all(|a| trap(a) == Some(u64::from_str_radix(&vector[2..], 16).unwrap())));
}
