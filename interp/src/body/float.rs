//! Floating-point words.
//!
//! Hot forms run on host arithmetic when the result provably equals softfloat's: rounding to nearest even, nothing
//! flushed, inexact already raised, operands and result zero or normal.  Everything else takes the slow path.
//!
//! `x16` holds the low 13 bits of the attributes; its top bits say how far the control slot is shifted before it must be
//! zero: 0 for dynamic rounding (the mode itself must be RNE), 3 for a static mode.

use super::slow::FloatSlow;
use super::{Body, Coded, Regs, Step, set_slot, slot};
use crate::cx::Cx;
use crate::dispatch::{SlowPath, code};
use tern_softfloat::Flags;

/// Bits of `x16` that hold the attributes.
pub(crate) const ATTR_MASK: u16 = 0x1fff;
/// Where the shift is in `x16`.
pub(crate) const SHIFT_AT: u32 = 14;

/// May host arithmetic be used?  `inexact`: only if NX is already raised.
#[inline(always)]
unsafe fn plain(cx: *mut Cx, x16: u16, inexact: bool) -> bool {
    let env = (x16 >> 2 & 3) as u8;
    // SAFETY: the caller is a body; environment slots are 1 to 8.
    let (flags, control) = unsafe { (slot(cx, 1 + 2 * env), slot(cx, 2 + 2 * env)) };
    control >> (x16 >> SHIFT_AT) == 0 && (!inexact || flags & u64::from(Flags::NX.0) != 0)
}

/// A host format.
pub(crate) trait Host: Copy {
    /// From a slot.
    fn of(raw: u64) -> Self;
    /// To a slot.
    fn raw(self) -> u64;
    /// Neither subnormal, the least normal, infinite nor NaN: no flag but inexact can be due.
    fn normal(self) -> bool;
    /// Zero of either sign.
    fn zero(self) -> bool;
    fn add(self, o: Self) -> Self;
    fn sub(self, o: Self) -> Self;
    fn mul(self, o: Self) -> Self;
    fn div(self, o: Self) -> Self;
    fn sqrt(self) -> Self;
    fn fma(self, b: Self, c: Self) -> Self;
    fn eq(self, o: Self) -> bool;
    fn lt(self, o: Self) -> bool;
    fn le(self, o: Self) -> bool;
    fn nan(self) -> bool;
    fn neg(self) -> Self;
    /// Is `v`, the rounded sum of `a` and `b`, exact?  The error term of Knuth's TwoSum is zero then.
    fn sum_is_exact(a: Self, b: Self, v: Self) -> bool;
    /// Is the product exact because the significands have few enough bits?
    fn product_is_exact(a: Self, b: Self) -> bool;
    /// Is it binary64?
    const F64: bool;
}

macro_rules! host {
    ($f:ty, $u:ty, $mant:literal, $emax:literal) => {
        impl Host for $f {
            const F64: bool = $mant == 52;
            #[inline(always)]
            fn of(raw: u64) -> $f {
                <$f>::from_bits(raw as $u)
            }
            #[inline(always)]
            fn raw(self) -> u64 {
                u64::from(self.to_bits())
            }
            #[inline(always)]
            fn normal(self) -> bool {
                let e = (self.to_bits() << 1) >> ($mant + 1);
                e.wrapping_sub(2) < $emax - 2
            }
            #[inline(always)]
            fn zero(self) -> bool {
                self.to_bits() << 1 == 0
            }
            #[inline(always)]
            fn add(self, o: $f) -> $f {
                self + o
            }
            #[inline(always)]
            fn sub(self, o: $f) -> $f {
                self - o
            }
            #[inline(always)]
            fn mul(self, o: $f) -> $f {
                self * o
            }
            #[inline(always)]
            fn div(self, o: $f) -> $f {
                self / o
            }
            #[inline(always)]
            fn sqrt(self) -> $f {
                <$f>::sqrt(self)
            }
            #[inline(always)]
            fn fma(self, b: $f, c: $f) -> $f {
                <$f>::mul_add(self, b, c)
            }
            #[inline(always)]
            fn eq(self, o: $f) -> bool {
                self == o
            }
            #[inline(always)]
            fn lt(self, o: $f) -> bool {
                self < o
            }
            #[inline(always)]
            fn le(self, o: $f) -> bool {
                self <= o
            }
            #[inline(always)]
            fn nan(self) -> bool {
                self != self
            }
            #[inline(always)]
            fn neg(self) -> $f {
                -self
            }
            #[inline(always)]
            fn sum_is_exact(a: $f, b: $f, v: $f) -> bool {
                let c = v - a;
                (a - (v - c)) + (b - c) == 0.0
            }
            #[inline(always)]
            fn product_is_exact(a: $f, b: $f) -> bool {
                // The hidden bit stops the count; a significand of zeros alone counts as its full length.
                let zeros = |x: $f| (x.to_bits() | 1 << $mant).trailing_zeros();
                zeros(a) + zeros(b) > $mant
            }
        }
    };
}
host!(f32, u32, 23, 0xff);
host!(f64, u64, 52, 0x7ff);

/// Number of an arithmetic operation, as an `Op` discriminant.
pub(crate) mod arith {
    use tern_core::ir::Op;
    pub(crate) const ADD: u8 = Op::FAdd as u8;
    pub(crate) const SUB: u8 = Op::FSub as u8;
    pub(crate) const MUL: u8 = Op::FMul as u8;
    pub(crate) const DIV: u8 = Op::FDiv as u8;
    pub(crate) const SQRT: u8 = Op::FSqrt as u8;
    pub(crate) const EQ: u8 = Op::FEq as u8;
    pub(crate) const LT: u8 = Op::FLt as u8;
    pub(crate) const LTQ: u8 = Op::FLtQuiet as u8;
    pub(crate) const CVT: u8 = Op::FCvt as u8;
    pub(crate) const TOS32: u8 = Op::FToS32 as u8;
    pub(crate) const FROMS32: u8 = Op::FFromS32 as u8;
    pub(crate) const FROMU32: u8 = Op::FFromU32 as u8;
    pub(crate) const FROMS64: u8 = Op::FFromS64 as u8;
}

/// `FAdd FSub FMul FDiv FSqrt FMulAdd` on host format `F`.
pub(crate) struct Arith<F, const O: u8>(core::marker::PhantomData<F>);

impl<F, const O: u8> Arith<F, O> {
    const SLOW: SlowPath = SlowPath::of::<FloatSlow<O>>();
}

impl<F: Host, const O: u8> Coded for Arith<F, O> {
    const CODE: u16 = code::host(super::slow::op(O), F::F64);
}

impl<F: Host, const O: u8> Body for Arith<F, O> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        use arith::{ADD, DIV, MUL, SQRT, SUB};
        // SAFETY: same contract as ours.
        unsafe {
            let w = &*regs.pc;
            let (a, b) = (F::of(slot(cx, w.a())), F::of(slot(cx, w.b())));
            let v = match O {
                ADD => a.add(b),
                SUB => a.sub(b),
                MUL => a.mul(b),
                DIV => a.div(b),
                SQRT => a.sqrt(),
                _ => a.fma(b, F::of(slot(cx, w.c()))),
            };
            // A zero is exact in sums; elsewhere it may be an underflow unless an operand was zero (and then 0/0 or
            // 0*inf would have given a NaN).
            let fine = v.normal()
                || v.zero()
                    && match O {
                        ADD | SUB | SQRT => true,
                        MUL => a.zero() || b.zero(),
                        DIV => a.zero(),
                        _ => false,
                    };
            let exact = match O {
                ADD => F::sum_is_exact(a, b, v),
                SUB => F::sum_is_exact(a, b.neg(), v),
                MUL => F::product_is_exact(a, b),
                _ => false,
            };
            if !(fine && plain(cx, w.x16(), !exact)) {
                return Step::Slow(&Self::SLOW);
            }
            regs.acc = v.raw();
            set_slot(cx, w.d(), regs.acc);
            Step::Next
        }
    }
}

/// `FEq FLt FLe` and the quiet ones: without NaNs no flag is due.
pub(crate) struct Compare<F, const O: u8>(core::marker::PhantomData<F>);

impl<F, const O: u8> Compare<F, O> {
    const SLOW: SlowPath = SlowPath::of::<FloatSlow<O>>();
}

impl<F: Host, const O: u8> Coded for Compare<F, O> {
    const CODE: u16 = code::host(super::slow::op(O), F::F64);
}

impl<F: Host, const O: u8> Body for Compare<F, O> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let w = &*regs.pc;
            let (a, b) = (F::of(slot(cx, w.a())), F::of(slot(cx, w.b())));
            if a.nan() || b.nan() || !plain(cx, w.x16() | 3 << SHIFT_AT, false) {
                return Step::Slow(&Self::SLOW);
            }
            regs.acc = u64::from(match O {
                arith::EQ => a.eq(b),
                arith::LT | arith::LTQ => a.lt(b),
                _ => a.le(b),
            });
            set_slot(cx, w.d(), regs.acc);
            Step::Next
        }
    }
}

/// Conversions worth a form of their own.  `S` is the source or destination host format, see `run`.
pub(crate) struct Conv<const O: u8, const F64: bool>;

impl<const O: u8, const F64: bool> Conv<O, F64> {
    const SLOW: SlowPath = SlowPath::of::<FloatSlow<O>>();
}

impl<const O: u8, const F64: bool> Coded for Conv<O, F64> {
    const CODE: u16 = code::host(super::slow::op(O), F64);
}

impl<const O: u8, const F64: bool> Body for Conv<O, F64> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        use arith::{CVT, FROMS32, FROMS64, FROMU32, TOS32};
        // SAFETY: same contract as ours.
        unsafe {
            let w = &*regs.pc;
            let raw = slot(cx, w.a());
            // Value, is it right, does it need NX raised already?
            let (value, fine, inexact) = match O {
                // F64: from F32, exact; else to F32.
                CVT if F64 => {
                    let a = f32::of(raw);
                    (f64::from(a).raw(), a.normal() || a.zero(), false)
                }
                CVT => {
                    let a = f64::of(raw);
                    let v = a as f32;
                    (v.raw(), v.normal() || a.zero(), true)
                }
                FROMS32 if F64 => (f64::from(raw as u32 as i32).raw(), true, false),
                FROMU32 if F64 => (f64::from(raw as u32).raw(), true, false),
                FROMS32 => ((raw as u32 as i32 as f32).raw(), true, true),
                FROMU32 => ((raw as u32 as f32).raw(), true, true),
                FROMS64 if F64 => ((raw as i64 as f64).raw(), true, true),
                FROMS64 => ((raw as i64 as f32).raw(), true, true),
                // Truncating conversions to integers; the lowering chooses this form only for RTZ.
                _ => {
                    let a = if F64 { f64::of(raw) } else { f64::from(f32::of(raw)) };
                    let limit = if O == TOS32 { 2_147_483_648.0 } else { 9_223_372_036_854_775_808.0 };
                    let v = if O == TOS32 { a as i32 as u32 as u64 } else { a as i64 as u64 };
                    (v, a.abs() < limit, true)
                }
            };
            if !(fine && plain(cx, w.x16(), inexact)) {
                return Step::Slow(&Self::SLOW);
            }
            regs.acc = value;
            set_slot(cx, w.d(), value);
            Step::Next
        }
    }
}
