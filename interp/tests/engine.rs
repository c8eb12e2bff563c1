//! The engine on a toy guest: exact positions, faults, code that changes, cache limits, both dispatchers.

mod common;

use common::{BASE, Toy, add, r};
use std::cell::Cell;
use std::rc::Rc;
use tern_core::bare::BareMachine;
use tern_core::engine::Stop;
use tern_core::ir::{Exit, Hint, I64};
use tern_core::mem::{Access, FaultKind, MemFault, MemOp, Size};
use tern_interp::{Dispatch, Engine, LogItem, LogSink, Options};

fn dispatchers() -> impl Iterator<Item = Dispatch> {
    [Dispatch::Loop, Dispatch::Tail].into_iter().filter(|d| d.available())
}

fn options(dispatch: Dispatch) -> Options {
    Options { dispatch, ..Options::default() }
}

/// r1 counts down from its start value; then a system call.
fn countdown() -> Vec<common::Insn> {
    vec![
        |b, _| add(b, 2, 3),
        |b, _| add(b, 1, -1),
        |b, _| {
            let v = b.get::<I64>(r(1));
            let more = b.is_nonzero(v);
            b.exit_if(more, BASE);
        },
        |b, pc| b.exit(Exit::Syscall(pc + 4)),
    ]
}

#[test]
fn a_loop_runs_to_its_end() {
    for d in dispatchers() {
        let mut e = Engine::new(Toy::new(countdown()), options(d));
        let mut p = BareMachine::new(0, 16);
        let cpu = e.add_cpu();
        e.state_mut(cpu).set_pc(BASE);
        e.state_mut(cpu).set(r(1), 1000);
        assert_eq!(e.run(cpu, &mut p, u64::MAX), Stop::Syscall);
        assert_eq!(e.state(cpu).get(r(2)), 3000);
        assert_eq!(e.state(cpu).pc(), BASE + 16);
        assert_eq!(e.icount(cpu), 3001);
    }
}

#[test]
fn every_position_can_be_reached_exactly() {
    for d in dispatchers() {
        for stop_at in [1, 2, 3, 63, 64, 65, 66, 67, 128, 129, 200, 999, 1000, 1001] {
            let mut e = Engine::new(Toy::new(countdown()), options(d));
            let mut p = BareMachine::new(0, 16);
            let cpu = e.add_cpu();
            e.state_mut(cpu).set_pc(BASE);
            e.state_mut(cpu).set(r(1), 1000);
            assert_eq!(e.run(cpu, &mut p, stop_at), Stop::Limit);
            assert_eq!(e.icount(cpu), stop_at);
            let (rounds, rest) = (stop_at / 3, stop_at % 3);
            assert_eq!(e.state(cpu).get(r(2)), 3 * (rounds + u64::from(rest > 0)), "{d:?} at {stop_at}");
            assert_eq!(e.state(cpu).get(r(1)), 1000 - rounds - u64::from(rest > 1));
            assert_eq!(e.state(cpu).pc(), BASE + 4 * rest);
        }
    }
}

#[test]
fn a_fault_shows_the_exact_instruction() {
    let program: Vec<common::Insn> = vec![
        |b, _| add(b, 2, 1),
        |b, _| {
            let a = b.get::<I64>(r(1));
            let v = b.load::<I64>(MemOp::le(Size::B8), a, 4);
            b.set(r(3), v);
        },
        |b, _| add(b, 2, 1),
        |b, pc| b.exit(Exit::Syscall(pc + 4)),
    ];
    for d in dispatchers() {
        let mut e = Engine::new(Toy::new(program.clone()), options(d));
        let mut p = BareMachine::new(0, 16);
        let cpu = e.add_cpu();
        e.state_mut(cpu).set_pc(BASE);
        e.state_mut(cpu).set(r(1), 0xfff8);
        let kind = FaultKind::Unmapped;
        // The load crosses the end of memory: its first bad byte is the next page's first.
        assert_eq!(e.run(cpu, &mut p, 1000), Stop::Fault(MemFault { addr: 0x10000, access: Access::Load, kind }));
        assert_eq!((e.state(cpu).pc(), e.icount(cpu)), (BASE + 4, 1));
        assert_eq!((e.state(cpu).get(r(2)), e.state(cpu).get(r(3))), (1, 0));
        e.state_mut(cpu).set(r(1), 0x8000);
        assert_eq!(e.run(cpu, &mut p, 1000), Stop::Syscall);
        assert_eq!((e.state(cpu).get(r(2)), e.icount(cpu)), (2, 4));
    }
}

#[test]
fn stores_into_code_take_effect() {
    // Instruction 1 stores r3's low byte at address r1; when that is inside the running block the rest of the block must
    // be the new one.
    let program: Vec<common::Insn> = vec![
        |b, _| add(b, 2, 1),
        |b, _| {
            let (a, v) = (b.get::<I64>(r(1)), b.get::<I64>(r(3)));
            b.store(MemOp::le(Size::B1), a, 0, v);
        },
        |b, _| add(b, 2, 1),
        |b, pc| b.exit(Exit::Syscall(pc + 4)),
    ];
    for d in dispatchers() {
        let mut e = Engine::new(Toy::new(program.clone()), options(d));
        let mut p = BareMachine::new(0, 16);
        let cpu = e.add_cpu();
        for (round, value) in [(0, 0), (1, 5), (2, 7)] {
            e.state_mut(cpu).set_pc(BASE);
            e.state_mut(cpu).set(r(7), 0);
            e.state_mut(cpu).set(r(1), BASE + 8);
            e.state_mut(cpu).set(r(3), value);
            assert_eq!(e.run(cpu, &mut p, 1000), Stop::Syscall);
            assert_eq!(e.state(cpu).get(r(7)), value, "{d:?} round {round}");
            assert_eq!(e.icount(cpu), 4 * (round + 1));
        }
        assert!(e.stats().invalidations > 0);
    }
}

#[test]
fn a_small_cache_is_flushed_and_nothing_changes() {
    // 3000 blocks of one instruction each, in a ring, several times round: more words than the cache holds.
    fn hop(b: &mut tern_core::ir::Builder<'_>, pc: u64) {
        add(b, 2, 1);
        let n = (pc - BASE) / 4;
        b.exit(if n == 2999 { Exit::Syscall(BASE) } else { Exit::Goto(pc + 4) });
    }
    for d in dispatchers() {
        let mut e = Engine::new(Toy::new(vec![hop; 3000]), Options { cache_words: 1 << 12, ..options(d) });
        let mut p = BareMachine::new(0, 16);
        let cpu = e.add_cpu();
        e.state_mut(cpu).set_pc(BASE);
        for round in 1..=5 {
            assert_eq!(e.run(cpu, &mut p, u64::MAX), Stop::Syscall);
            assert_eq!((e.state(cpu).get(r(2)), e.icount(cpu)), (3000 * round, 3000 * round));
        }
        assert!(e.stats().flushes >= 5, "{:?}", e.stats());
    }
}

#[test]
fn a_hot_block_takes_the_place_of_the_cold_one() {
    for d in dispatchers() {
        for (hot, blocks, again) in
            [(None, 1, 0), (Some(0), 1, 0), (Some(1), 2, 1), (Some(7), 2, 1), (Some(2000), 1, 0)]
        {
            let mut e = Engine::new(Toy::new(countdown()), Options { hot, ..options(d) });
            let mut p = BareMachine::new(0, 16);
            let cpu = e.add_cpu();
            e.state_mut(cpu).set_pc(BASE);
            e.state_mut(cpu).set(r(1), 1000);
            assert_eq!(e.run(cpu, &mut p, u64::MAX), Stop::Syscall);
            assert_eq!((e.state(cpu).get(r(2)), e.icount(cpu)), (3000, 3001));
            assert_eq!((e.stats().blocks, e.stats().hot), (blocks, again), "{d:?}, {hot:?}");
        }
    }
}

#[test]
fn the_log_shows_each_entry_once() {
    for d in dispatchers() {
        let entries = Rc::new(Cell::new(0));
        let counter = Rc::clone(&entries);
        let sink: LogSink = Rc::new(move |_, _| counter.set(counter.get() + 1));
        let log = Some((LogItem::Exec as u32, sink));
        let mut e = Engine::new(Toy::new(countdown()), Options { hot: Some(3), log, ..options(d) });
        let mut p = BareMachine::new(0, 16);
        let cpu = e.add_cpu();
        e.state_mut(cpu).set_pc(BASE);
        e.state_mut(cpu).set(r(1), 100);
        assert_eq!(e.run(cpu, &mut p, u64::MAX), Stop::Syscall);
        assert_eq!((entries.get(), e.stats().hot), (100, 1));
    }
}

#[test]
fn calls_and_returns_go_where_registers_say() {
    // 0: call 3 (returns to 1)   1: r2 += 1, loop while r1   2: syscall   3: r2 += 100   4: return to r5
    let program: Vec<common::Insn> = vec![
        |b, pc| {
            let ret = b.iconst::<I64>(pc + 4);
            b.set(r(5), ret);
            b.exit(Exit::Call(BASE + 12, pc + 4));
        },
        |b, _| {
            add(b, 2, 1);
            add(b, 1, -1);
            let v = b.get::<I64>(r(1));
            let more = b.is_nonzero(v);
            b.exit_if(more, BASE);
        },
        |b, pc| b.exit(Exit::Syscall(pc + 4)),
        |b, _| add(b, 2, 100),
        |b, _| {
            let v = b.get::<I64>(r(5));
            b.exit(Exit::Indirect(v.raw(), Hint::Return));
        },
    ];
    for d in dispatchers() {
        let mut e = Engine::new(Toy::new(program.clone()), options(d));
        let mut p = BareMachine::new(0, 16);
        let cpu = e.add_cpu();
        e.state_mut(cpu).set_pc(BASE);
        e.state_mut(cpu).set(r(1), 500);
        assert_eq!(e.run(cpu, &mut p, u64::MAX), Stop::Syscall);
        assert_eq!(e.state(cpu).get(r(2)), 500 * 101);
        assert_eq!(e.icount(cpu), 500 * 4 + 1);
    }
}
