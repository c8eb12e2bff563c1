//! Bodies: what one word does.  A body is written once; the dispatchers and fusions are compositions of bodies.

pub(crate) mod float;
pub(crate) mod flow;
pub(crate) mod int;
pub(crate) mod memory;
pub(crate) mod slow;

use crate::cx::Cx;
use crate::word::Word;

/// The values that travel in registers from word to word.
pub(crate) struct Regs {
    /// The current word.
    pub(crate) pc: *const Word,
    /// The last result.
    pub(crate) acc: u64,
    /// The result before the last one, inside of a fused sequence; each dispatch forgets it.
    pub(crate) before: Option<u64>,
    /// Guest instructions that may still retire.
    pub(crate) budget: i64,
}

impl Regs {
    /// Notes a result.
    #[inline(always)]
    pub(crate) fn note(&mut self, value: u64) {
        self.before = Some(self.acc);
        self.acc = value;
    }
}

/// What follows a word.
pub(crate) enum Step {
    /// The next word.
    Next,
    /// The word that `pc` now points to.
    Jump,
    /// This slow path, then the next word.
    Slow(&'static crate::dispatch::SlowPath),
    /// Back to the engine; `Cx::leave` says why.
    Leave,
}

/// One word's work.
///
/// # Safety
/// `run` may be called only by a dispatcher: `cx` is the context of the current run and nobody else uses it, `regs.pc`
/// points to a word that the lowering emitted for this body.
pub(crate) trait Body {
    /// Does the work.
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step;
}

/// A body with a code of its own.
pub(crate) trait Coded: Body {
    /// The code.
    const CODE: u16;
}

/// The slow path of a word: like a body, but free to call anything.
///
/// # Safety
/// As for [`Body`].
pub(crate) trait Slow {
    /// Words that the operation takes, literals included.
    const WORDS: usize = 1;
    /// The code of a word that is nothing but this slow path.
    const CODE: u16 = crate::dispatch::code::BAD;
    /// Does the work; `Some` is the new last result, `None` leaves.
    unsafe fn run(cx: &mut Cx, pc: *const Word, acc: u64, budget: i64) -> Option<u64>;
}

/// Slot `n`.
#[inline(always)]
pub(crate) unsafe fn slot(cx: *mut Cx, n: u8) -> u64 {
    // SAFETY: `cx` is valid by the contract of `Body`; `Cx` is repr(C) and begins with 256 slots, which any u8 indexes.
    unsafe { *cx.cast::<u64>().add(n as usize) }
}

/// Slot `n`, which the result before the last stands in.
#[inline(always)]
pub(crate) unsafe fn slot_before(cx: *mut Cx, regs: &Regs, n: u8) -> u64 {
    // SAFETY: as in `slot`.
    let held = unsafe { slot(cx, n) };
    if cfg!(debug_assertions) {
        assert!(regs.before.is_none_or(|value| value == held), "the lowering knows the result before the last");
    }
    regs.before.unwrap_or(held)
}

/// Sets slot `n`.
#[inline(always)]
pub(crate) unsafe fn set_slot(cx: *mut Cx, n: u8, value: u64) {
    // SAFETY: as in `slot`.
    unsafe { *cx.cast::<u64>().add(n as usize) = value }
}

/// Operand variants.
pub(crate) mod variant {
    /// Both operands in slots.
    pub(crate) const SS: u8 = 0;
    /// First operand is the last result.
    pub(crate) const AS: u8 = 1;
    /// Second operand is the last result.
    pub(crate) const SA: u8 = 2;
    /// Second operand is the immediate.
    pub(crate) const SI: u8 = 3;
    /// First operand is the last result, second the immediate.
    pub(crate) const AI: u8 = 4;
    /// First operand is the result before the last (`P`, for previous), which its slot holds too.
    pub(crate) const PS: u8 = 5;
    /// Second operand is the result before the last.
    pub(crate) const SP: u8 = 6;
    /// First operand is the result before the last, second the immediate.
    pub(crate) const PI: u8 = 7;
    /// The last result and the one before it.
    pub(crate) const AP: u8 = 8;
    /// The result before the last, and the last.
    pub(crate) const PA: u8 = 9;
    /// How many there are.
    pub(crate) const COUNT: u16 = 10;
    /// Is the first operand the last result?
    pub(crate) const fn first_last(v: u8) -> bool {
        matches!(v, AS | AI | AP)
    }
    /// Is the first operand the result before the last?
    pub(crate) const fn first_before(v: u8) -> bool {
        matches!(v, PS | PI | PA)
    }
    /// Is the second operand the last result?
    pub(crate) const fn second_last(v: u8) -> bool {
        matches!(v, SA | PA)
    }
    /// Is the second operand the result before the last?
    pub(crate) const fn second_before(v: u8) -> bool {
        matches!(v, SP | AP)
    }
    /// Is the second operand the immediate?
    pub(crate) const fn immediate(v: u8) -> bool {
        matches!(v, SI | AI | PI)
    }
}
