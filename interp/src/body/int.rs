//! Integer words: every pure row of the op table in every width and operand variant.

use super::{Body, Coded, Regs, Step, set_slot, slot, slot_before, variant};
use crate::cx::Cx;
use crate::dispatch::code;
use tern_core::ir::Op;

/// Widths of an operation.
pub(crate) mod width {
    /// I32; the result is zero-extended in its slot.
    pub(crate) const W32: u8 = 0;
    /// I64.
    pub(crate) const W64: u8 = 1;
    /// I32, the result sign-extended to I64.
    pub(crate) const SX: u8 = 2;
}

/// A binary row.
pub(crate) trait Pure2 {
    const OP: Op;
    fn w32(a: u32, b: u32) -> u32;
    fn w64(a: u64, b: u64) -> u64;
}
/// A comparison row.
pub(crate) trait Compare {
    const OP: Op;
    fn w32(a: u32, b: u32) -> bool;
    fn w64(a: u64, b: u64) -> bool;
}
/// A unary row.
pub(crate) trait Pure1 {
    const OP: Op;
    fn w32(a: u32) -> u32;
    fn w64(a: u64) -> u64;
}
/// A conversion row.
pub(crate) trait Convert {
    const OP: Op;
    fn convert(a: u64) -> u64;
}

macro_rules! rows {
    ( binary { $($(#[$bm:meta])* $b:ident $bf:ident ($ba:ident, $bb:ident) = $be:expr;)* }
      compare { $($(#[$cm:meta])* $c:ident $cf:ident ($ca:ident, $cb:ident) = $ce:expr;)* }
      unary { $($(#[$um:meta])* $u:ident $uf:ident ($ua:ident) = $ue:expr;)* }
      convert { $($(#[$vm:meta])* $v:ident $vf:ident ($va:ident: $vt:ident $vti:ty) -> $vr:ident $vri:ty = $ve:expr;)* } ) => {
        /// One type per row.
        #[allow(dead_code, clippy::cast_lossless, clippy::unnecessary_cast, clippy::double_parens,
                reason = "rows serve both widths and not every row needs every alias")]
        pub(crate) mod row {
            use super::{Compare, Convert, Op, Pure1, Pure2};
            $(pub(crate) struct $b;
              impl Pure2 for $b {
                  const OP: Op = Op::$b;
                  #[inline(always)]
                  fn w32($ba: u32, $bb: u32) -> u32 {
                      type T = u32; type S = i32; type W = u64; type SW = i64; $be
                  }
                  #[inline(always)]
                  fn w64($ba: u64, $bb: u64) -> u64 {
                      type T = u64; type S = i64; type W = u128; type SW = i128; $be
                  }
              })*
            $(pub(crate) struct $c;
              impl Compare for $c {
                  const OP: Op = Op::$c;
                  #[inline(always)]
                  fn w32($ca: u32, $cb: u32) -> bool { type S = i32; $ce }
                  #[inline(always)]
                  fn w64($ca: u64, $cb: u64) -> bool { type S = i64; $ce }
              })*
            $(pub(crate) struct $u;
              impl Pure1 for $u {
                  const OP: Op = Op::$u;
                  #[inline(always)]
                  fn w32($ua: u32) -> u32 { type T = u32; type S = i32; $ue }
                  #[inline(always)]
                  fn w64($ua: u64) -> u64 { type T = u64; type S = i64; $ue }
              })*
            $(pub(crate) struct $v;
              impl Convert for $v {
                  const OP: Op = Op::$v;
                  #[inline(always)]
                  fn convert(x: u64) -> u64 { let $va = x as $vti; let y: $vri = $ve; y as u64 }
              })*
        }
    };
}
tern_core::with_pure_ops!(rows);

/// First operand of a three-slot or immediate word.
#[inline(always)]
unsafe fn first(cx: *mut Cx, regs: &Regs, v: u8) -> u64 {
    // SAFETY: the caller is a body; see `slot`.
    unsafe {
        match v {
            _ if variant::first_last(v) => regs.acc,
            _ if variant::first_before(v) => slot_before(cx, regs, (*regs.pc).a()),
            _ => slot(cx, (*regs.pc).a()),
        }
    }
}

/// Second operand of a three-slot or immediate word.
#[inline(always)]
unsafe fn second(cx: *mut Cx, regs: &Regs, v: u8) -> u64 {
    // SAFETY: the caller is a body; `pc` points to its word.
    unsafe {
        match v {
            _ if variant::second_last(v) => regs.acc,
            _ if variant::second_before(v) => slot_before(cx, regs, (*regs.pc).b()),
            _ if variant::immediate(v) => (*regs.pc).imm32(),
            _ => slot(cx, (*regs.pc).b()),
        }
    }
}

/// Writes the result to the word's `d` and to the accumulator.
#[inline(always)]
unsafe fn result(cx: *mut Cx, regs: &mut Regs, value: u64) -> Step {
    // SAFETY: the caller is a body; `pc` points to its word.
    unsafe { set_slot(cx, (*regs.pc).d(), value) };
    regs.note(value);
    Step::Next
}

/// Binary operation `O` in width `W`, operand variant `V`.
pub(crate) struct Bin<O, const W: u8, const V: u8>(core::marker::PhantomData<O>);

impl<O: Pure2, const W: u8, const V: u8> Coded for Bin<O, W, V> {
    const CODE: u16 = code::binary(O::OP, W, V);
}

impl<O: Pure2, const W: u8, const V: u8> Body for Bin<O, W, V> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let (a, b) = (first(cx, regs, V), second(cx, regs, V));
            let value = match W {
                width::W32 => u64::from(O::w32(a as u32, b as u32)),
                width::W64 => O::w64(a, b),
                _ => O::w32(a as u32, b as u32) as i32 as i64 as u64,
            };
            result(cx, regs, value)
        }
    }
}

/// Comparison `O` giving 0 or 1.
pub(crate) struct Cmp<O, const W: u8, const V: u8>(core::marker::PhantomData<O>);

impl<O: Compare, const W: u8, const V: u8> Coded for Cmp<O, W, V> {
    const CODE: u16 = code::compare(O::OP, W, V);
}

impl<O: Compare, const W: u8, const V: u8> Body for Cmp<O, W, V> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let (a, b) = (first(cx, regs, V), second(cx, regs, V));
            let value = if W == width::W32 { O::w32(a as u32, b as u32) } else { O::w64(a, b) };
            result(cx, regs, u64::from(value))
        }
    }
}

/// Unary operation; `A`: the operand is the last result.
pub(crate) struct Un<O, const W: u8, const A: bool>(core::marker::PhantomData<O>);

impl<O: Pure1, const W: u8, const A: bool> Coded for Un<O, W, A> {
    const CODE: u16 = code::unary(O::OP, W, A);
}

impl<O: Pure1, const W: u8, const A: bool> Body for Un<O, W, A> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let a = first(cx, regs, if A { variant::AS } else { variant::SS });
            let value = match W {
                width::W32 => u64::from(O::w32(a as u32)),
                width::W64 => O::w64(a),
                _ => O::w32(a as u32) as i32 as i64 as u64,
            };
            result(cx, regs, value)
        }
    }
}

/// Conversion.
pub(crate) struct Conv<O, const A: bool>(core::marker::PhantomData<O>);

impl<O: Convert, const A: bool> Coded for Conv<O, A> {
    const CODE: u16 = code::convert(O::OP, A);
}

impl<O: Convert, const A: bool> Body for Conv<O, A> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let a = first(cx, regs, if A { variant::AS } else { variant::SS });
            result(cx, regs, O::convert(a))
        }
    }
}

/// Copies slot `a` (or the last result) to slot `d`.
pub(crate) struct Mov<const A: bool>;

impl<const A: bool> Coded for Mov<A> {
    const CODE: u16 = code::MOV + A as u16;
}

impl<const A: bool> Body for Mov<A> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let a = first(cx, regs, if A { variant::AS } else { variant::SS });
            result(cx, regs, a)
        }
    }
}

/// d = a, where d is a slot of floating-point environment 0.
pub(crate) struct SetEnv;

impl Coded for SetEnv {
    const CODE: u16 = code::SET_ENV;
}

impl Body for SetEnv {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let value = slot(cx, (*regs.pc).a());
            let step = result(cx, regs, value);
            (*cx).settle_fp();
            step
        }
    }
}

/// The sign-extended 32-bit immediate.
pub(crate) struct Imm;

impl Coded for Imm {
    const CODE: u16 = code::IMM;
}

impl Body for Imm {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let v = (*regs.pc).imm32();
            result(cx, regs, v)
        }
    }
}

/// The literal word `rel` words ahead.
pub(crate) struct Literal;

impl Coded for Literal {
    const CODE: u16 = code::LITERAL;
}

impl Body for Literal {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: the lowering put the literal into the same block.
        unsafe {
            let v = (*regs.pc.offset((*regs.pc).imm32() as isize)).number();
            result(cx, regs, v)
        }
    }
}

/// Slot `d` becomes slot `b` if slot `a` is not zero, else slot `c`; `A`: the last result is the condition.
pub(crate) struct Select<const A: bool>;

impl<const A: bool> Coded for Select<A> {
    const CODE: u16 = code::SELECT + A as u16;
}

impl<const A: bool> Body for Select<A> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let w = &*regs.pc;
            let (b, c) = (slot(cx, w.b()), slot(cx, w.c()));
            let cond = if A { regs.acc } else { slot(cx, w.a()) };
            let v = if cond != 0 { b } else { c };
            result(cx, regs, v)
        }
    }
}

/// Slot `d` becomes far slot `imm32` (an index into the far slots).
pub(crate) struct GetFar;

impl Coded for GetFar {
    const CODE: u16 = code::GET_FAR;
}

impl Body for GetFar {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours; the index is checked.
        unsafe {
            let far: &[u64] = &(*cx).state.far;
            let v = far.get((*regs.pc).imm32() as usize).copied().unwrap_or(0);
            result(cx, regs, v)
        }
    }
}

/// Far slot `imm32` becomes slot `a`.
pub(crate) struct SetFar;

impl Coded for SetFar {
    const CODE: u16 = code::SET_FAR;
}

impl Body for SetFar {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours; the index is checked.
        unsafe {
            let v = slot(cx, (*regs.pc).a());
            let far: &mut [u64] = &mut (*cx).state.far;
            if let Some(cell) = far.get_mut((*regs.pc).imm32() as usize) {
                *cell = v;
            }
            Step::Next
        }
    }
}

/// The position: retired instructions so far in the run, plus `imm32` in this block.
pub(crate) struct Icount;

impl Coded for Icount {
    const CODE: u16 = code::ICOUNT;
}

impl Body for Icount {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let v = (*cx).horizon.wrapping_sub(regs.budget as u64).wrapping_add((*regs.pc).imm32());
            result(cx, regs, v)
        }
    }
}
