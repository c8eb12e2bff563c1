//! Breakpoints and watchpoints of the engine, on a toy guest: where they stop, and that they change nothing.

mod common;

use common::{BASE, Toy, add, r};
use tern_core::bare::BareMachine;
use tern_core::engine::Stop;
use tern_core::ir::{Exit, I64};
use tern_core::mem::{MemOp, RmwOp, Size};
use tern_core::stops::{Stops, Touched, Watchpoint};
use tern_interp::{CpuId, Dispatch, Engine, Options};

fn engines(program: &[common::Insn]) -> impl Iterator<Item = (Engine, CpuId, BareMachine)> {
    let program = program.to_vec();
    let ways = [Dispatch::Loop, Dispatch::Tail].into_iter().filter(|d| d.available());
    let ways = ways.flat_map(|dispatch| [None, Some(0), Some(2)].map(|hot| (dispatch, hot)));
    ways.map(move |(dispatch, hot)| {
        let mut e = Engine::new(Toy::new(program.clone()), Options { dispatch, hot, ..Options::default() });
        let cpu = e.add_cpu();
        e.state_mut(cpu).set_pc(BASE);
        (e, cpu, BareMachine::new(0, 16))
    })
}

/// r1 counts down; then a system call.
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

fn breaks(at: &[u64]) -> Stops {
    Stops::new(at.to_vec(), vec![])
}

#[test]
fn a_breakpoint_stops_before_every_run_of_its_instruction() {
    for at in [BASE, BASE + 4, BASE + 8] {
        for (mut e, cpu, mut p) in engines(&countdown()) {
            e.state_mut(cpu).set(r(1), 1000);
            // Blocks are there that know nothing of it.
            assert_eq!(e.run(cpu, &mut p, 900), Stop::Limit);
            e.set_stops(&breaks(&[at]));
            let mut hits = 0;
            loop {
                match e.run(cpu, &mut p, u64::MAX) {
                    Stop::Breakpoint => {
                        let at_of_round = (at - BASE) / 4;
                        assert_eq!((e.state(cpu).pc(), e.icount(cpu) % 3), (at, at_of_round));
                        hits += 1;
                    }
                    stop => {
                        assert_eq!(stop, Stop::Syscall);
                        break;
                    }
                }
            }
            assert_eq!((hits, e.icount(cpu), e.state(cpu).get(r(2))), (700, 3001, 3000));
        }
    }
}

#[test]
fn a_breakpoint_at_the_end_of_a_run_is_seen_by_the_next_one() {
    for (mut e, cpu, mut p) in engines(&countdown()) {
        e.state_mut(cpu).set(r(1), 1000);
        e.set_stops(&breaks(&[BASE + 4]));
        assert_eq!(e.run(cpu, &mut p, 1), Stop::Limit);
        assert_eq!(e.run(cpu, &mut p, 100), Stop::Breakpoint);
        assert_eq!(e.icount(cpu), 1);
        // It has been reported.
        assert_eq!(e.run(cpu, &mut p, 1), Stop::Limit);
        assert_eq!(e.icount(cpu), 2);
        // It may be passed by.
        assert_eq!(e.run(cpu, &mut p, 2), Stop::Limit);
        e.pass(cpu);
        assert_eq!(e.run(cpu, &mut p, 2), Stop::Limit);
        e.set_stops(&Stops::default());
        assert_eq!(e.run(cpu, &mut p, u64::MAX), Stop::Syscall);
        assert_eq!(e.icount(cpu), 3001);
    }
}

/// Stores r3 at r1, adds the eight bytes at r4 to r5, swaps four bytes at r6; r2 counts the rounds.
fn accesses() -> Vec<common::Insn> {
    vec![
        |b, _| add(b, 3, 1),
        |b, _| {
            let (a, v) = (b.get::<I64>(r(1)), b.get::<I64>(r(3)));
            b.store(MemOp::le(Size::B8), a, 0, v);
        },
        |b, _| {
            let a = b.get::<I64>(r(4));
            let v = b.load::<I64>(MemOp::le(Size::B8), a, 0);
            let sum = b.get::<I64>(r(5));
            let sum = b.add(sum, v);
            b.set(r(5), sum);
        },
        |b, _| {
            let (a, v) = (b.get::<I64>(r(6)), b.get::<I64>(r(3)));
            let old = b.rmw(MemOp::le(Size::B4).aligned(), RmwOp::Add, a, v);
            b.set(r(0), old);
        },
        |b, _| {
            add(b, 2, -1);
            let v = b.get::<I64>(r(2));
            let more = b.is_nonzero(v);
            b.exit_if(more, BASE);
        },
        |b, pc| b.exit(Exit::Syscall(pc + 4)),
    ]
}

const STORED: u64 = 0x4ffc;
const LOADED: u64 = 0x6100;
const SWAPPED: u64 = 0x7200;

fn prepare(e: &mut Engine, cpu: CpuId) {
    for (n, value) in [(1, STORED), (2, 300), (4, LOADED), (6, SWAPPED)] {
        e.state_mut(cpu).set(r(n), value);
    }
}

fn watch(addr: u64, len: u64, read: bool, write: bool) -> Watchpoint {
    Watchpoint { addr, len, read, write }
}

/// The stops of 300 rounds with one watchpoint, and the final registers.
fn watched(point: Watchpoint) -> Vec<Touched> {
    let mut all: Option<Vec<Touched>> = None;
    for (mut e, cpu, mut p) in engines(&accesses()) {
        prepare(&mut e, cpu);
        assert_eq!(e.run(cpu, &mut p, 50), Stop::Limit);
        e.set_stops(&Stops::new(vec![], vec![point]));
        let mut seen = Vec::new();
        loop {
            match e.run(cpu, &mut p, u64::MAX) {
                Stop::Watch(touched) => {
                    assert_eq!(e.state(cpu).pc(), touched.pc + 4, "the next instruction is next");
                    assert_eq!(e.icount(cpu) % 5, (e.state(cpu).pc() - BASE) / 4);
                    seen.push(touched);
                }
                stop => {
                    assert_eq!(stop, Stop::Syscall);
                    break;
                }
            }
        }
        let end = [0, 2, 3, 5].map(|n| e.state(cpu).get(r(n)));
        assert_eq!((end, e.icount(cpu)), ([299 * 300 / 2, 0, 300, 0], 1501));
        assert_eq!(*all.get_or_insert(seen.clone()), seen);
    }
    all.unwrap_or_default()
}

#[test]
fn a_store_across_pages_is_seen_on_either_side() {
    let touched = |addr| Touched { pc: BASE + 4, addr, write: true };
    // Ten rounds were not watched.
    assert_eq!(watched(watch(0x4ffe, 1, false, true)), vec![touched(0x4ffe); 290]);
    assert_eq!(watched(watch(0x5003, 9, true, true)), vec![touched(0x5003); 290]);
    assert_eq!(watched(watch(0x5004, 4, true, true)), vec![], "behind it");
    assert_eq!(watched(watch(0x4ff0, 12, true, true)), vec![], "before it");
}

#[test]
fn loads_and_stores_are_told_apart() {
    let load = Touched { pc: BASE + 8, addr: LOADED + 4, write: false };
    assert_eq!(watched(watch(LOADED + 4, 1, true, false)), vec![load; 290]);
    assert_eq!(watched(watch(LOADED, 8, false, true)), vec![]);
    assert_eq!(watched(watch(STORED, 8, true, false)), vec![]);
}

#[test]
fn atomic_operations_read_and_write() {
    let touched = |write| Touched { pc: BASE + 12, addr: SWAPPED, write };
    assert_eq!(watched(watch(SWAPPED, 1, true, false)), vec![touched(false); 290]);
    assert_eq!(watched(watch(SWAPPED, 1, false, true)), vec![touched(true); 290]);
}

#[test]
fn stops_may_be_before_the_access() {
    for (mut e, cpu, mut p) in engines(&accesses()) {
        prepare(&mut e, cpu);
        let points = vec![watch(STORED, 1, false, true), watch(SWAPPED, 4, true, true)];
        e.set_stops(&Stops::new(vec![], points).before_access());
        let mut seen = 0;
        loop {
            match e.run(cpu, &mut p, u64::MAX) {
                Stop::Watch(t) => {
                    assert_eq!((e.state(cpu).pc(), e.icount(cpu) % 5), (t.pc, (t.pc - BASE) / 4));
                    assert_eq!(t.pc, BASE + 4 + 8 * (seen % 2));
                    seen += 1;
                }
                stop => {
                    assert_eq!(stop, Stop::Syscall);
                    break;
                }
            }
        }
        assert_eq!((seen, e.icount(cpu), e.state(cpu).get(r(0))), (600, 1501, 299 * 300 / 2));
    }
}

#[test]
fn a_fault_at_watched_memory_is_a_fault() {
    for (mut e, cpu, mut p) in engines(&accesses()) {
        prepare(&mut e, cpu);
        e.state_mut(cpu).set(r(1), 0x10_0000);
        e.set_stops(&Stops::new(vec![BASE + 4], vec![watch(0x10_0000, 8, true, true)]));
        assert_eq!(e.run(cpu, &mut p, 1000), Stop::Breakpoint);
        assert!(matches!(e.run(cpu, &mut p, 1000), Stop::Fault(f) if f.addr == 0x10_0000));
        assert_eq!((e.state(cpu).pc(), e.icount(cpu)), (BASE + 4, 1));
    }
}

#[test]
fn all_that_is_watched_is_watched_on_every_cpu() {
    let mut e = Engine::new(Toy::new(accesses()), Options::default());
    let mut p = BareMachine::new(0, 16);
    let (first, second) = (e.add_cpu(), e.add_cpu());
    for cpu in [first, second] {
        e.state_mut(cpu).set_pc(BASE);
        prepare(&mut e, cpu);
        assert_eq!(e.run(cpu, &mut p, 200), Stop::Limit);
    }
    // What a CPU that is gone knew of memory is not given to the next one.
    e.remove_cpu(second);
    e.set_stops(&Stops::new(vec![], vec![watch(LOADED, 1, true, true)]));
    let third = e.add_cpu();
    e.state_mut(third).set_pc(BASE);
    prepare(&mut e, third);
    for cpu in [first, third] {
        assert!(matches!(e.run(cpu, &mut p, 200), Stop::Watch(t) if t.pc == BASE + 8));
    }
}
