//! A lost tail call would eat stack with every word: hundreds of millions of words on a small stack.

mod common;

use common::{BASE, Toy, add, r};
use tern_core::bare::BareMachine;
use tern_core::engine::Stop;
use tern_core::ir::{Exit, I64};
use tern_core::mem::{MemOp, Size};
use tern_interp::{Dispatch, Engine, Options};

fn torture(dispatch: Dispatch, rounds: u64) {
    let program: Vec<common::Insn> = vec![
        |b, _| {
            // Every round touches a new page now and then, so that slow paths are on the way too.
            let (i, base) = (b.get::<I64>(r(1)), b.iconst::<I64>(0x10000));
            let page = b.andi(i, 0xff_f000);
            let at = b.add(base, page);
            let v = b.load::<I64>(MemOp::le(Size::B8), at, 0);
            let v = b.add(v, i);
            b.store(MemOp::le(Size::B8), at, 8, v);
        },
        |b, _| add(b, 2, 7),
        |b, _| {
            let v = b.get::<I64>(r(2));
            let v = b.rotl(v, v);
            b.set(r(3), v);
        },
        |b, _| add(b, 1, -1),
        |b, _| {
            let v = b.get::<I64>(r(1));
            let more = b.is_nonzero(v);
            b.exit_if(more, BASE);
        },
        |b, pc| b.exit(Exit::Syscall(pc + 4)),
    ];
    let mut e = Engine::new(Toy::new(program), Options { dispatch, ..Options::default() });
    let mut p = BareMachine::new(0, 0x1100);
    let cpu = e.add_cpu();
    e.state_mut(cpu).set_pc(BASE);
    e.state_mut(cpu).set(r(1), rounds);
    assert_eq!(e.run(cpu, &mut p, u64::MAX), Stop::Syscall);
    assert_eq!(e.icount(cpu), rounds * 5 + 1);
    assert_eq!(e.state(cpu).get(r(2)), rounds * 7);
}

#[test]
fn hundreds_of_millions_of_words_on_a_small_stack() {
    for dispatch in [Dispatch::Loop, Dispatch::Tail].into_iter().filter(|d| d.available()) {
        // An optimised build does about 300 million words; an unoptimised one would take minutes for them.
        let rounds = if cfg!(debug_assertions) { 2_000_000 } else { 40_000_000 };
        std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || torture(dispatch, rounds))
            .expect("a thread can be started")
            .join()
            .expect("the stack holds");
    }
}
