//! States of replayed processes: whatever way leads to a position, the state there is the same.

mod common;
#[path = "../src/engine.rs"]
mod engine;

use common::{Dir, EXIT, PUTS, command, finish, hello};
use engine::ProcessEngine as Engine;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use tern_linux::CpuModel;
use tern_linux::record::checkpoint::Checkpoint;
use tern_linux::record::item::{Bytes, Ending, Item, Setup, Signal, What, Write};
use tern_linux::record::replay::{Log, Replay, Stopped};
use tern_linux::signal::SigInfo;
use tern_session::record::Writer;
use tern_session::{Dispatch, Options, isa};

fn replay(logs: &[&Path], dispatch: Dispatch) -> Replay {
    let open = |path: &&Path| Log::new(Box::new(BufReader::new(File::open(path).unwrap()))).unwrap();
    let mut make = |setup: &Setup| {
        let cpu = isa::by_name(&setup.isa).unwrap().cpu(None).unwrap();
        let layout = cpu.frontend.layout().clone();
        let model = CpuModel { layout, isa_string: cpu.isa_string, hwcap: cpu.hwcap, probe: cpu.probe };
        let engine = tern_session::Engine::new(cpu.frontend, Options { dispatch, ..Options::default() });
        Ok((model, Box::new(Engine(engine)) as Box<dyn tern_linux::Engine>))
    };
    Replay::new(logs.iter().map(open).collect(), &mut make).unwrap()
}

/// Saves at many positions, goes back to each in an order that jumps, and runs on from there.
fn jumps(logs: &[&Path]) {
    for dispatch in [Dispatch::Loop, Dispatch::Tail].into_iter().filter(|d| d.available()) {
        let mut one = replay(logs, dispatch);
        let end = replay_end(logs, dispatch);
        let step = (end / 40).max(1);
        let mut states: Vec<(u64, (u64, u64), Checkpoint)> = Vec::new();
        for at in (0..end).step_by(step as usize) {
            assert_eq!(one.run(at).unwrap(), Stopped::Limit);
            assert_eq!(one.position(), at);
            states.push((at, one.digest(), one.save()));
        }
        let last = one.run(u64::MAX).unwrap();
        let final_digest = one.digest();
        for n in 0..states.len() {
            // Every state once, far from the one before.
            let from = n * 17 % states.len();
            let (at, digest, saved) = &states[from];
            let decoded = Checkpoint::decode(&saved.encode().unwrap()).unwrap();
            one.load(if n % 2 == 0 { saved } else { &decoded }).unwrap();
            assert_eq!((one.position(), one.digest()), (*at, *digest), "state {from}");
            for (at, digest, _) in states.iter().skip(from + 1).take(3) {
                assert_eq!(one.run(*at).unwrap(), Stopped::Limit);
                assert_eq!(one.digest(), *digest, "from {from} to {at}");
            }
        }
        one.load(&states[0].2).unwrap();
        assert_eq!((one.run(u64::MAX).unwrap(), one.digest()), (last, final_digest));
        // Another replay takes them, too.
        let mut other = replay(logs, dispatch);
        assert_eq!(other.run(u64::MAX).unwrap(), one.run(u64::MAX).unwrap());
        let (at, digest, saved) = &states[states.len() / 2];
        let decoded = Checkpoint::decode(&saved.encode().unwrap()).unwrap();
        other.load(&decoded).unwrap();
        assert_eq!((other.position(), other.digest()), (*at, *digest));
        for cut in [0, 7, 100] {
            let bytes = saved.encode().unwrap();
            assert!(Checkpoint::decode(&bytes[..bytes.len().min(cut)]).is_err());
        }
    }
}

fn replay_end(logs: &[&Path], dispatch: Dispatch) -> u64 {
    let mut replay = replay(logs, dispatch);
    let _ = replay.run(u64::MAX).unwrap();
    replay.position()
}

fn record(program: &Path, log: &Path, options: &[&str]) {
    let ran = finish(command().args(["record", "-o"]).arg(log).args(options).arg("run").arg(program));
    assert!(ran.code.is_some_and(|code| code != 1), "{ran:?}");
}

#[test]
fn two_threads() {
    let dir = Dir::new("checkpoint-threads");
    let source = format!(
        "_start: li a0, 0\n li a1, 65536\n li a2, 3\n li a3, 34\n li a4, -1\n li a5, 0\n li a7, 222\n ecall
                 mv s4, a0
                 li t0, 65536
                 add a1, a0, t0
                 li a0, 0x350f00
                 la a2, tid\n la a4, tid\n li a3, 0\n li a7, 220\n ecall
                 beqz a0, work
         1:      la a0, tid
                 lw a2, 0(a0)
                 beqz a2, 2f
                 li a1, 0\n li a3, 0\n li a7, 98\n ecall
                 j 1b
         2:      lbu a0, 64(s4)
                 ori a0, a0, 2
                 call exit
         work:   li s3, 4000
                 mv t2, s4
         3:      lw t0, 0(t2)
                 add t0, t0, s3
                 sw t0, 64(t2)
                 addi t2, t2, 4
                 addi s3, s3, -1
                 bnez s3, 3b
                 li a0, 0\n li a1, 8192\n li a2, 3\n li a3, 34\n li a4, -1\n li a5, 0\n li a7, 222\n ecall
                 sd a0, 0(a0)
                 li a1, 4096\n li a7, 215\n ecall
                 li a0, 0
                 call exit\n{EXIT}.balign 4096\n_data: .dword 0\ntid: .dword 1\n"
    );
    let program = dir.program("threads", "riscv64", &source);
    let log = dir.path("log");
    record(&program, &log, &["--chaos", "--schedule-seed", "5"]);
    jumps(&[&log]);
}

#[test]
fn a_child_and_an_executed_program() {
    let dir = Dir::new("checkpoint-exec");
    let second = dir.program("second", "riscv64", &hello());
    let source = format!(
        "_start: li s3, 300
         1:      la a0, text\n call puts\n addi s3, s3, -10\n bgtz s3, 1b
                 li a0, 17\n li a1, 0\n li a2, 0\n li a3, 0\n li a4, 0\n li a7, 220\n ecall
                 bnez a0, 2f
                 la a0, path\n la a1, argv\n la a2, envp\n li a7, 221\n ecall
         2:      li a0, -1\n li a1, 0\n li a2, 0\n li a3, 0\n li a7, 260\n ecall
                 li a0, 7
                 call exit\n{PUTS}{EXIT}text: .asciz \"x\"\n path: .asciz \"{}\"\n .balign 8\n argv: .dword path, 0\n envp: .dword 0\n",
        second.display()
    );
    let program = dir.program("first", "riscv64", &source);
    let log = dir.path("log");
    record(&program, &log, &[]);
    jumps(&[&log]);
    jumps(&[&dir.path("log.1"), &log]);
}

/// What a hostile log could have in an item's place.
fn lies(item: &Item) -> Vec<Item> {
    let with = |what| Item { after: item.after, what };
    let info = |signo| SigInfo { signo, addr: 8, ..SigInfo::default() };
    let signal =
        |signo, call| What::Signal(Box::new(Signal { info: info(signo), temporary_mask: Some(u64::MAX), call }));
    let mut list: Vec<Item> = [0, 1, 1000, u64::MAX].map(|after| Item { after, what: item.what.clone() }).into();
    list.extend([-1, 0, 1, i32::MAX].map(|tid| with(What::Thread(tid))));
    list.extend([-1, 0, 9, 11, 19, 64, 65].map(|signo| with(signal(signo, Ending::None))));
    list.extend([Ending::Again, Ending::Value(-4), Ending::Value(i64::MIN)].map(|call| with(signal(11, call))));
    list.extend([
        with(What::Fault(info(11))),
        with(What::Fault(info(99))),
        with(What::Fork(1)),
        with(What::Registers(0)),
    ]);
    let write = |addr| Write { addr, bytes: Bytes(vec![1; 9]) };
    list.extend([0, 0x10000, u64::MAX - 4].map(|addr| with(What::Writes(vec![write(addr)]))));
    if let What::Call(call) = &item.what {
        let mut change = |f: &dyn Fn(&mut tern_linux::record::item::Call)| {
            let mut call = call.clone();
            f(&mut call);
            list.push(with(What::Call(call)));
        };
        change(&|c| c.nr ^= 1);
        change(&|c| c.nr = u64::MAX);
        change(&|c| c.args[1] ^= 0x1000);
        for result in [None, Some(0), Some(-1), Some(-4096), Some(i64::MIN), Some(i64::MAX)] {
            change(&|c| c.result = result);
        }
        change(&|c| c.writes.push(write(u64::MAX - 4)));
        change(&|c| c.writes.push(write(0x3f_ffff_f000)));
        change(&|c| c.grown.extend([0, 8, 0x3f_ffff_0000, u64::MAX]));
        change(&|c| c.extra = None);
    }
    list
}

#[test]
fn hostile_items_are_errors() {
    let dir = Dir::new("hostile-items");
    let second = dir.program("second", "riscv64", &hello());
    let source = format!(
        "_start: la a0, text\n call puts
                 li a0, 0\n li a1, 8192\n li a2, 3\n li a3, 34\n li a4, -1\n li a5, 0\n li a7, 222\n ecall
                 mv s1, a0\n sd s1, 8(s1)\n li a1, 4096\n li a7, 215\n ecall
                 li a0, 0\n li a7, 214\n ecall
                 li t0, 65536\n add a0, a0, t0\n li a7, 214\n ecall
                 li a0, 0x350f00\n addi a1, sp, -1024\n la a2, text\n la a4, text\n li a3, 0\n li a7, 220\n ecall
                 beqz a0, 3f
                 li a7, 124\n ecall
                 la a0, path\n la a1, argv\n la a2, envp\n li a7, 221\n ecall
         3:      li a0, 3\n call exit\n{PUTS}{EXIT}path: .asciz \"{}\"\n.balign 4096\n_data: text: .asciz \"xxxxxxx\"
         argv: .dword path, 0\n envp: .dword 0\n",
        second.display()
    );
    let program = dir.program("first", "riscv64", &source);
    let log = dir.path("log");
    for file in [&program, &second] {
        // They have not changed lately, so that the log has no blobs.
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
    }
    record(&program, &log, &[]);
    let bad = dir.path("bad");
    let mut reader = Log::new(Box::new(BufReader::new(File::open(&log).unwrap()))).unwrap();
    let mut items = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        items.push(item);
    }
    let try_log = |items: &[Item]| {
        let mut writer = Writer::new(Box::new(File::create(&bad).unwrap()), reader.header()).unwrap();
        items.iter().for_each(|item| writer.push(item).unwrap());
        writer.end().unwrap();
        let mut replay = replay(&[&bad], Options::default().dispatch);
        replay.run(5_000_000).is_ok()
    };
    assert!(try_log(&items) && items.len() > 10);
    let mut wrong = 0;
    for n in 1..items.len() {
        for lie in lies(&items[n]) {
            let mut other = items.clone();
            other[n] = lie;
            wrong += usize::from(!try_log(&other));
        }
        let mut other = items.clone();
        other.remove(n);
        wrong += usize::from(!try_log(&other));
        other.insert(n, items[n].clone());
        other.insert(n, items[n].clone());
        wrong += usize::from(!try_log(&other));
    }
    assert!(wrong > items.len() * 20, "{wrong} of the changes to {} items were noticed", items.len());
}
