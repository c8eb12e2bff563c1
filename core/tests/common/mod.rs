//! What the tests of the IR share.
#![allow(dead_code, reason = "every test crate uses its own part")]

use tern_core::bare::{BareGuest, BareMachine, HELPERS};
use tern_core::frontend::Frontend;
use tern_core::ir::eval::{EvalEnd, eval_block};
use tern_core::ir::random::{self, Plan};
use tern_core::ir::{Block, BlockKey};
use tern_core::mem::GuestMemory;
use tern_core::state::State;

/// Where the window of memory is.
pub(crate) const BASE: u64 = 0x10000;
/// Its length.
pub(crate) const LEN: u64 = 0x2000;

/// Everything that random blocks can contain.
pub(crate) fn plan(guest: &BareGuest, faults: bool) -> Plan<'_> {
    Plan { layout: guest.layout(), helpers: &HELPERS, base: BASE, len: LEN, ops: 60, faults, fp: true, control: true }
}

/// The key of blocks under test.
pub(crate) const KEY: BlockKey = BlockKey { pc: 0x1000, mode: 0 };

/// A machine with random bytes in the window; the page behind it is mapped only if nothing is to fault.
pub(crate) fn machine(faults: bool, next: &mut dyn FnMut() -> u64) -> BareMachine {
    let pages = (LEN >> 12) as usize + usize::from(!faults);
    let mut m = BareMachine::new(BASE, pages);
    let bytes: Vec<u8> = (0..64).flat_map(|_| next().to_le_bytes()).collect();
    let memory: &mut dyn GuestMemory = &mut m.memory;
    for at in (0..LEN).step_by(bytes.len()) {
        memory.write(BASE + at, &bytes, 0).expect("the window is mapped");
    }
    if faults && next() & 3 == 0 {
        m.memory.protect(BASE + LEN - 1, true);
    }
    m
}

/// What a run leaves behind.
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) end: EvalEnd,
    /// The slots.
    pub(crate) state: State,
    /// RAM.
    pub(crate) ram: Vec<u8>,
}

/// Runs a block on a state and memory made from `seed`.
pub(crate) fn run(block: &Block<'_>, guest: &BareGuest, faults: bool, seed: u64) -> Outcome {
    let mut next = random::splitmix(seed);
    let mut state = random::state(guest.layout(), &mut next);
    let mut m = machine(faults, &mut next);
    let end = eval_block(block, guest, &mut state, &mut m, seed & 0xffff);
    Outcome { end, state, ram: m.contents() }
}

/// Panics, with the blocks, if two runs differ in anything that a guest can see.
pub(crate) fn same(a: &Outcome, b: &Outcome, guest: &BareGuest, what: &dyn core::fmt::Display) {
    assert_eq!(a.end, b.end, "ends differ\n{what}");
    if let Some(slot) = a.state.first_difference(&b.state, guest.layout()) {
        let name = guest.layout().by_slot(slot).map_or("?", |r| &r.name);
        panic!("{name}: {:#x} and {:#x}\n{what}", a.state.get(slot), b.state.get(slot));
    }
    assert!(a.ram == b.ram, "memory differs\n{what}");
}
