//! Control flow: branches, gotos, indirect jumps, exits, fusion.

use super::int::{Compare, width};
use super::{Body, Coded, Regs, Step, slot, slot_before, variant};
use crate::cx::{Cx, JumpEntry, Leave, RETURNS, jump_index};
use crate::dispatch::code;
use crate::word::Word;
use core::marker::PhantomData;
use core::mem::offset_of;

/// Takes a branch: charges `n`, goes `rel` words on, leaves if the budget is used up.
#[inline(always)]
unsafe fn take(cx: *mut Cx, regs: &mut Regs) -> Step {
    // SAFETY: the caller is a body; branch targets are words of the code area.
    unsafe {
        let w = &*regs.pc;
        regs.budget -= w.n();
        regs.pc = regs.pc.offset(w.rel());
        if regs.budget < 0 {
            (*cx).leave = Leave::Budget;
            return Step::Leave;
        }
    }
    Step::Jump
}

/// Compare and branch.
pub(crate) struct Branch<O, const W: u8, const V: u8>(PhantomData<O>);

impl<O: Compare, const W: u8, const V: u8> Coded for Branch<O, W, V> {
    const CODE: u16 = code::branch(O::OP, W, V);
}

impl<O: Compare, const W: u8, const V: u8> Body for Branch<O, W, V> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let w = &*regs.pc;
            let a = match V {
                _ if variant::first_last(V) => regs.acc,
                _ if variant::first_before(V) => slot_before(cx, regs, w.d()),
                _ => slot(cx, w.d()),
            };
            let b = match V {
                _ if variant::second_last(V) => regs.acc,
                _ if variant::second_before(V) => slot_before(cx, regs, w.a()),
                _ if variant::immediate(V) => w.a() as i8 as i64 as u64,
                _ => slot(cx, w.a()),
            };
            let taken = if W == width::W32 { O::w32(a as u32, b as u32) } else { O::w64(a, b) };
            if taken { take(cx, regs) } else { Step::Next }
        }
    }
}

/// Goes on elsewhere.
pub(crate) struct Goto;

impl Coded for Goto {
    const CODE: u16 = code::GOTO;
}

impl Body for Goto {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe { take(cx, regs) }
    }
}

/// Leaves with exit record `imm32`.
pub(crate) struct Exit;

impl Coded for Exit {
    const CODE: u16 = code::EXIT;
}

impl Body for Exit {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            (*cx).exit = (*regs.pc).imm32() as u32;
            (*cx).leave = Leave::Exit;
        }
        Step::Leave
    }
}

/// Leaves with exit record `imm32` unless the jump cache knows the address in the literal that follows: an exit to another
/// page, which is not linked, since the page may be mapped elsewhere by the time.
pub(crate) struct Far;

impl Coded for Far {
    const CODE: u16 = code::FAR;
}

impl Body for Far {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours; the literal follows; cached words belong to live blocks.
        unsafe {
            let target = (*regs.pc.add(1)).number();
            let at = offset_of!(Cx, jumps);
            let index = jump_index(target) * size_of::<JumpEntry>();
            let pc = cx.byte_add(index).byte_add(at + offset_of!(JumpEntry, pc)).cast::<u64>().read();
            if pc == target {
                regs.pc = cx.byte_add(index).byte_add(at + offset_of!(JumpEntry, word)).cast::<*const Word>().read();
                return Step::Jump;
            }
            (*cx).exit = (*regs.pc).imm32() as u32;
            (*cx).leave = Leave::Exit;
        }
        Step::Leave
    }
}

/// Jumps to the address in slot `d` (or the last result), `n` instructions retired; `EVEN`: with bit 0 cleared.
pub(crate) struct Jump<const A: bool, const EVEN: bool>;

/// Where a jump goes.
#[inline(always)]
unsafe fn target<const A: bool, const EVEN: bool>(cx: *mut Cx, regs: &Regs) -> u64 {
    // SAFETY: the caller is a body.
    let target = if A { regs.acc } else { unsafe { slot(cx, (*regs.pc).d()) } };
    if EVEN { target & !1 } else { target }
}

#[inline(always)]
unsafe fn jump(cx: *mut Cx, regs: &mut Regs, target: u64) -> Step {
    // SAFETY: the caller is a body; cached words belong to live blocks, since invalidation flushes the cache.
    unsafe {
        regs.budget -= (*regs.pc).n();
        let at = offset_of!(Cx, jumps);
        let index = jump_index(target) * size_of::<JumpEntry>();
        let pc = cx.byte_add(index).byte_add(at + offset_of!(JumpEntry, pc)).cast::<u64>().read();
        if pc == target && regs.budget >= 0 {
            regs.pc = cx.byte_add(index).byte_add(at + offset_of!(JumpEntry, word)).cast::<*const Word>().read();
            return Step::Jump;
        }
        (*cx).target = target;
        (*cx).leave = Leave::Indirect;
    }
    Step::Leave
}

impl<const A: bool, const EVEN: bool> Coded for Jump<A, EVEN> {
    const CODE: u16 = code::JUMP + A as u16 + 2 * EVEN as u16;
}

impl<const A: bool, const EVEN: bool> Body for Jump<A, EVEN> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let target = target::<A, EVEN>(cx, regs);
            jump(cx, regs, target)
        }
    }
}

/// The same for a return: the return stack is asked first.
pub(crate) struct Return<const A: bool, const EVEN: bool>;

impl<const A: bool, const EVEN: bool> Coded for Return<A, EVEN> {
    const CODE: u16 = code::RETURN + A as u16 + 2 * EVEN as u16;
}

impl<const A: bool, const EVEN: bool> Body for Return<A, EVEN> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours; `top` stays below RETURNS.
        unsafe {
            let target = target::<A, EVEN>(cx, regs);
            let top = (*cx).top & (RETURNS - 1);
            let entry = &raw const (*cx).returns[top];
            // Any address can be a target, so an empty entry is told by its word.
            if (*entry).pc == target && !(*entry).word.is_null() {
                regs.budget -= (*regs.pc).n();
                if regs.budget >= 0 {
                    (*cx).top = top.wrapping_sub(1);
                    regs.pc = (*entry).word;
                    return Step::Jump;
                }
                (*cx).target = target;
                (*cx).leave = Leave::Indirect;
                return Step::Leave;
            }
            jump(cx, regs, target)
        }
    }
}

/// Notes a call: the return address is the literal `imm32` words ahead, the word to return to follows the literal.
///
/// With returns by the jump cache instead python3 takes 1.2 % fewer host instructions; the return stack stays, since the
/// returns of large programs would meet in that cache.
pub(crate) struct PushReturn;

impl Coded for PushReturn {
    const CODE: u16 = code::PUSH_RETURN;
}

impl Body for PushReturn {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: the lowering put literal and goto into the same block.
        unsafe {
            let literal = regs.pc.offset((*regs.pc).imm32() as isize);
            let top = (*cx).top.wrapping_add(1) & (RETURNS - 1);
            (*cx).top = top;
            let entry = &raw mut (*cx).returns[top];
            (*entry).pc = (*literal).number();
            (*entry).word = literal.add(1);
        }
        Step::Next
    }
}

/// First word of a cold block: counts `imm32` down in place, leaves when it has been zero.
pub(crate) struct Count;

impl Coded for Count {
    const CODE: u16 = code::COUNT;
}

impl Body for Count {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: words are reached from the cache's own mutable pointer to its area ([`crate::cache::Cache::entry`]),
        // and while a CPU runs nobody else writes to them but its slow paths.
        unsafe {
            if (*regs.pc.cast_mut()).count_down() {
                (*cx).leave = Leave::Hot;
                return Step::Leave;
            }
        }
        Step::Next
    }
}

/// The bodies of two consecutive words.  Nested for longer runs.
pub(crate) struct Fuse<X, Y>(PhantomData<(X, Y)>);

impl<X: Body, Y: Body> Body for Fuse<X, Y> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: the lowering fuses only words that stand next to each other, each with its own body's encoding.
        unsafe {
            match X::run(cx, regs) {
                Step::Next => {
                    regs.pc = regs.pc.add(1);
                    Y::run(cx, regs)
                }
                other => other,
            }
        }
    }
}
