//! The two dispatchers, made from one table of bodies.
//!
//! *Loop*: `loop { (pc, acc) = table[code](cx, pc, acc) }`, portable, the reference.  *Tail*: each handler ends in a call of
//! the next one through the table, which optimised builds turn into a jump; up to twice as fast.  Both compose the same
//! bodies.  Handlers aligned to 64 bytes, one codegen unit, or the host's newest instructions change nothing measurable.

#![allow(unsafe_code, reason = "handlers follow raw pointers into the code area; the engine keeps both alive")]

mod table;

use crate::body::{Body, Regs, Slow, Step};
use crate::cx::{Cx, Leave};
use crate::word::Word;

pub(crate) use table::{TABLE, Table, code};

/// A handler of the tail dispatcher.
pub(crate) type Tail = unsafe fn(*mut Cx, *const Word, u64, i64, *const Entry);
/// A handler of the loop dispatcher: next word (null to leave) and last result.
pub(crate) type Plain = unsafe fn(*mut Cx, *const Word, u64) -> (*const Word, u64);

/// What the tail table holds; a type of its own, since a handler takes a pointer to it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Entry(Tail);

/// A slow path in the form that each dispatcher calls.
pub(crate) struct SlowPath {
    tail: Tail,
    plain: unsafe fn(&mut Cx, *const Word, u64, i64) -> Option<u64>,
    words: usize,
}

impl SlowPath {
    /// Of a slow path that is followed by the next word.
    pub(crate) const fn of<S: Slow>() -> SlowPath {
        SlowPath { tail: slow_tail::<S>, plain: S::run, words: S::WORDS }
    }
}

/// Which dispatcher runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dispatch {
    /// The portable loop.
    Loop,
    /// Threaded tail calls; only in builds that promise them (see `build.rs`).
    Tail,
}

impl Dispatch {
    /// The best that this build has.
    #[must_use]
    pub const fn best() -> Dispatch {
        if cfg!(tern_tail) { Dispatch::Tail } else { Dispatch::Loop }
    }

    /// Can this build run it?
    #[must_use]
    pub const fn available(self) -> bool {
        matches!(self, Dispatch::Loop) || cfg!(tern_tail)
    }
}

/// Runs from `pc` until something leaves; `cx` says why and where.
///
/// # Safety
/// `pc` is the first word of a live block, `cx.platform` and `cx.cache` are set and stay valid.
pub(crate) unsafe fn run(dispatch: Dispatch, cx: *mut Cx, pc: *const Word, budget: i64) {
    // SAFETY: nobody else uses the context yet.
    unsafe { (*cx).settle_fp() };
    match dispatch {
        Dispatch::Tail if cfg!(tern_tail) => {
            // SAFETY: same contract; the first word's code is a valid index, as every code that lowering emits.
            unsafe {
                let table = TABLE.tail.as_ptr().cast::<Entry>();
                ((*table.add((*pc).code() as usize)).0)(cx, pc, 0, budget, table);
            }
        }
        _ => {
            let (mut pc, mut acc) = (pc, 0);
            // SAFETY: same contract.
            unsafe {
                (*cx).budget = budget;
                while !pc.is_null() && (*cx).profile.is_some() {
                    let code = (*pc).code();
                    if let Some(profile) = &mut (*cx).profile {
                        profile.note(pc, code);
                    }
                    (pc, acc) = (TABLE.plain[usize::from(code)])(cx, pc, acc);
                }
                while !pc.is_null() {
                    (pc, acc) = (TABLE.plain[(*pc).code() as usize])(cx, pc, acc);
                }
            }
        }
    }
}

/// Jumps to the handler of the word at `pc`.
macro_rules! go {
    ($cx:expr, $pc:expr, $acc:expr, $budget:expr, $table:expr) => {{
        let pc: *const Word = $pc;
        // SAFETY: `pc` points to a word of a live block, whose code is below the table's length.
        return unsafe { ((*$table.add((*pc).code() as usize)).0)($cx, pc, $acc, $budget, $table) };
    }};
}

/// The tail handler of a body.
pub(crate) unsafe fn tail<B: Body>(cx: *mut Cx, pc: *const Word, acc: u64, budget: i64, table: *const Entry) {
    let mut regs = Regs { pc, acc, before: None, budget };
    // SAFETY: called by the dispatcher with the word's own body.
    match unsafe { B::run(cx, &mut regs) } {
        Step::Next => go!(cx, regs.pc.wrapping_add(1), regs.acc, regs.budget, table),
        Step::Jump => go!(cx, regs.pc, regs.acc, regs.budget, table),
        // SAFETY: the slow path of the word at `pc`.
        Step::Slow(slow) => unsafe { (slow.tail)(cx, regs.pc, regs.acc, regs.budget, table) },
        Step::Leave => {
            // SAFETY: `cx` is the context of the run.
            unsafe {
                (*cx).pc = regs.pc;
                (*cx).budget = regs.budget;
            }
        }
    }
}

/// A slow path as a tail handler.
#[inline(never)]
unsafe fn slow_tail<S: Slow>(cx: *mut Cx, pc: *const Word, acc: u64, budget: i64, table: *const Entry) {
    // SAFETY: nobody else uses the context while the slow path runs.
    match unsafe { S::run(&mut *cx, pc, acc, budget) } {
        Some(acc) => go!(cx, pc.wrapping_add(S::WORDS), acc, budget, table),
        // SAFETY: as above.
        None => unsafe { (*cx).budget = budget },
    }
}

/// The loop handler of a body.
pub(crate) unsafe fn plain<B: Body>(cx: *mut Cx, pc: *const Word, acc: u64) -> (*const Word, u64) {
    // SAFETY: called by the dispatcher with the word's own body.
    unsafe {
        let mut regs = Regs { pc, acc, before: None, budget: (*cx).budget };
        match B::run(cx, &mut regs) {
            Step::Next => (regs.pc.wrapping_add(1), regs.acc),
            Step::Jump => {
                (*cx).budget = regs.budget;
                (regs.pc, regs.acc)
            }
            Step::Slow(slow) => match (slow.plain)(&mut *cx, regs.pc, regs.acc, regs.budget) {
                Some(acc) => (regs.pc.wrapping_add(slow.words), acc),
                None => (core::ptr::null(), 0),
            },
            Step::Leave => {
                (*cx).pc = regs.pc;
                (*cx).budget = regs.budget;
                (core::ptr::null(), 0)
            }
        }
    }
}

/// A word that must never run: a literal, or a code that the table does not know.
pub(crate) struct Bad;

impl Body for Bad {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, _regs: &mut Regs) -> Step {
        // SAFETY: `cx` is the context of the run.
        unsafe {
            (*cx).exit = u32::MAX;
            (*cx).leave = Leave::Exit;
        }
        Step::Leave
    }
}
