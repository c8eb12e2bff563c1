//! Floating-point words.
//!
//! Hot forms run on host arithmetic when the result provably equals softfloat's: environment 0, rounding to nearest even,
//! nothing flushed, operands and result zero or normal, and inexact already raised or the result known to be exact by a
//! cheap test.  Everything else takes the slow path, which runs on host arithmetic too where it can and has all the tests.
//!
//! A word names the slots of all its operands, whatever its variant, so the slow path needs to know none.  `x16` holds the
//! 13 bits of the attributes and [`BOXED`].
//!
//! A binary32 result fills its slot as a NaN-boxed value, a 32-bit integer result is sign-extended ([`filling`]).

use super::slow::FloatSlow;
use super::{Body, Coded, Regs, Step, set_slot, slot};
use crate::cx::{Cx, FP_CONTROL};
use crate::dispatch::{SlowPath, code};
use tern_core::ir::Op;
use tern_core::ir::fp::{FMA_NEG_ADDEND, FMA_NEG_PRODUCT, Fmt, FpAttr};
use tern_softfloat::fast::{HOST_HAS_FMA, HOST_IS_IEEE};

/// Bits of `x16` that hold the attributes.
pub(crate) const ATTR_MASK: u16 = 0x1fff;
/// Bit of `x16`: binary32 operands are NaN-boxed, and the quiet NaN if they are not (`Op::Unbox32`).
pub(crate) const BOXED: u16 = 1 << 13;
/// The upper half of a boxed value.
const BOX: u64 = 0xffff_ffff_0000_0000;

/// Operand variants.
pub(crate) mod from {
    /// All operands in slots.
    pub(crate) const SLOTS: u8 = 0;
    /// The first is the last result.
    pub(crate) const A: u8 = 1;
    /// The second is the last result.
    pub(crate) const B: u8 = 2;
    /// The third is the last result.
    pub(crate) const C: u8 = 3;
    /// First and second are the last result.
    pub(crate) const AB: u8 = 3;
    /// How many there are.
    pub(crate) const COUNT: u16 = 4;
}

/// How a result fills its slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    /// All 64 bits are the value, or nobody relies on the upper half.
    Plain,
    /// NaN-boxed: `Op::Oext32` of it is the slot as it is.
    Boxed,
    /// Sign-extended: so is `Op::Sext32`.
    Signed,
}

/// How the result of an operation fills its slot.
pub(crate) fn filling(op: Op, attr: FpAttr) -> Filling {
    match op {
        Op::FToS32 | Op::FToU32 | Op::FToModS32 => Filling::Signed,
        Op::FCvt if attr.kind == Fmt::F32 as u8 => Filling::Boxed,
        Op::FAdd | Op::FSub | Op::FMul | Op::FDiv | Op::FMin | Op::FMax | Op::FSqrt | Op::FRint | Op::FMulAdd
            if attr.fmt == Fmt::F32 =>
        {
            Filling::Boxed
        }
        Op::FFromS32 | Op::FFromU32 | Op::FFromS64 | Op::FFromU64 if attr.fmt == Fmt::F32 => Filling::Boxed,
        _ => Filling::Plain,
    }
}

/// Can this operation take NaN-boxed operands?
pub(crate) fn boxable(op: Op, attr: FpAttr) -> bool {
    attr.fmt == Fmt::F32 && !matches!(op, Op::FFromS32 | Op::FFromU32 | Op::FFromS64 | Op::FFromU64)
}

/// A result as its slot has it.
pub(crate) fn fill(op: Op, attr: FpAttr, value: u64) -> u64 {
    match filling(op, attr) {
        Filling::Plain => value,
        Filling::Boxed => value | BOX,
        Filling::Signed => value as i32 as i64 as u64,
    }
}

/// An operand out of a word with [`BOXED`].
pub(crate) fn unbox(raw: u64) -> u64 {
    if raw >= BOX { raw } else { 0x7fc0_0000 }
}

/// Is there nothing to find out but the result's range?
#[inline(always)]
unsafe fn ready(cx: *mut Cx) -> bool {
    // SAFETY: the caller is a body.
    unsafe { (*cx).fp_ready != 0 }
}

/// Does environment 0 round to nearest even and flush nothing?
#[inline(always)]
unsafe fn plain(cx: *mut Cx) -> bool {
    // SAFETY: the caller is a body.
    unsafe { slot(cx, FP_CONTROL as u8) == 0 }
}

/// Whether this host, in this process, has an instruction for the fused product.
pub(crate) fn has_fma() -> bool {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if std::arch::is_x86_feature_detected!("fma") {
        return true;
    }
    HOST_HAS_FMA
}

/// Makes the fused product of a build that does not assume the instruction.
macro_rules! fma_by {
    ($name:ident, $f:ty, $insn:literal) => {
        /// `a * b + c`, only where [`has_fma`].
        #[cfg(all(target_arch = "x86_64", not(target_feature = "fma"), not(miri)))]
        #[inline(always)]
        fn $name(mut a: $f, b: $f, c: $f) -> $f {
            // SAFETY: the lowering emits words that come here only if the processor has the instruction; it computes on
            // registers and nothing else.
            unsafe {
                core::arch::asm!(
                    concat!($insn, " {0}, {1}, {2}"),
                    inout(xmm_reg) a, in(xmm_reg) b, in(xmm_reg) c,
                    options(pure, nomem, nostack, preserves_flags)
                );
            }
            a
        }
        /// `a * b + c`.
        #[cfg(not(all(target_arch = "x86_64", not(target_feature = "fma"), not(miri))))]
        #[inline(always)]
        fn $name(a: $f, b: $f, c: $f) -> $f {
            a.mul_add(b, c)
        }
    };
}
fma_by!(fma32, f32, "vfmadd213ss");
fma_by!(fma64, f64, "vfmadd213sd");

/// A host type.
pub(crate) trait Float:
    Copy
    + PartialOrd
    + core::ops::Add<Output = Self>
    + core::ops::Sub<Output = Self>
    + core::ops::Mul<Output = Self>
    + core::ops::Div<Output = Self>
    + core::ops::Neg<Output = Self>
{
    /// Neither zero, subnormal, of the least exponent, infinite nor NaN: no flag but inexact can be due.
    fn normal(self) -> bool;
    /// Zero of either sign.
    fn zero(self) -> bool;
    /// Are these, which are no NaNs, different numbers?
    fn differs(self, o: Self) -> bool;
    fn nan(self) -> bool;
    fn sqrt(self) -> Self;
    fn fma(self, b: Self, c: Self) -> Self;
    /// Do both significands have so few bits that their product has no more than one?
    fn short(self, o: Self) -> bool;
}

macro_rules! float {
    ($f:ty, $u:ty, $mant:literal, $emax:literal, $fma:ident) => {
        impl Float for $f {
            #[inline(always)]
            fn normal(self) -> bool {
                // The upper 32 bits without the sign.
                const AT: u32 = if $mant == 52 { 21 } else { 24 };
                let e = if $mant == 52 { (self.to_bits() as u64 >> 31) as u32 } else { (self.to_bits() as u32) << 1 };
                e.wrapping_sub(2 << AT) < ($emax - 2) << AT
            }
            #[inline(always)]
            fn zero(self) -> bool {
                self == 0.0
            }
            #[inline(always)]
            fn differs(self, o: $f) -> bool {
                let (less, more) = (self < o, self > o);
                less || more
            }
            #[inline(always)]
            fn nan(self) -> bool {
                self != self
            }
            #[inline(always)]
            fn sqrt(self) -> $f {
                <$f>::sqrt(self)
            }
            #[inline(always)]
            fn fma(self, b: $f, c: $f) -> $f {
                $fma(self, b, c)
            }
            #[inline(always)]
            fn short(self, o: $f) -> bool {
                (self.to_bits() | o.to_bits()) & ((1 << ($mant / 2 + 1)) - 1) == 0
            }
        }
    };
}
float!(f32, u32, 23, 0xff, fma32);
float!(f64, u64, 52, 0x7ff, fma64);

/// How a host type is in slots.
pub(crate) trait Form {
    type Host: Float;
    /// In codes.
    const N: u16;
    /// Value of a slot's content, and whether it is fit to be one.
    fn of(raw: u64) -> (Self::Host, bool);
    fn raw(v: Self::Host) -> u64;
    /// The value of slot `n`, whatever is known of it.
    #[inline(always)]
    unsafe fn again(cx: *mut Cx, n: u8) -> Self::Host {
        // SAFETY: the caller is a body; see `slot`.
        Self::of(unsafe { cx.cast::<u64>().add(n as usize).read_volatile() }).0
    }
    /// Value and fitness of slot `n`.
    #[inline(always)]
    unsafe fn load(cx: *mut Cx, n: u8) -> (Self::Host, bool) {
        // SAFETY: the caller is a body.
        Self::of(unsafe { slot(cx, n) })
    }
}

/// binary32, NaN-boxed.
pub(crate) struct Boxed;

/// Forms in codes.
pub(crate) mod form {
    pub(crate) const F32: u16 = 0;
    pub(crate) const F64: u16 = 1;
    pub(crate) const BOXED: u16 = 2;
    /// How many there are.
    pub(crate) const COUNT: u16 = 3;
}

impl Form for f32 {
    type Host = f32;
    const N: u16 = form::F32;
    #[inline(always)]
    fn of(raw: u64) -> (f32, bool) {
        (f32::from_bits(raw as u32), true)
    }
    #[inline(always)]
    fn raw(v: f32) -> u64 {
        u64::from(v.to_bits()) | BOX
    }
}

impl Form for Boxed {
    type Host = f32;
    const N: u16 = form::BOXED;
    #[inline(always)]
    fn of(raw: u64) -> (f32, bool) {
        (f32::from_bits(raw as u32), raw >= BOX)
    }
    #[inline(always)]
    fn raw(v: f32) -> u64 {
        u64::from(v.to_bits()) | BOX
    }
}

impl Form for f64 {
    type Host = f64;
    const N: u16 = form::F64;
    #[inline(always)]
    fn of(raw: u64) -> (f64, bool) {
        (f64::from_bits(raw), true)
    }
    #[inline(always)]
    fn raw(v: f64) -> u64 {
        v.to_bits()
    }
    #[inline(always)]
    unsafe fn load(cx: *mut Cx, n: u8) -> (f64, bool) {
        // SAFETY: as in `slot`.  Read as what it is, or it comes by way of a general register.
        (unsafe { *cx.cast::<f64>().add(n as usize) }, true)
    }
}

/// Does an integer have at most `bits` bits, or one more and is a power of two?
#[inline(always)]
fn short(v: i64, bits: u32) -> bool {
    v.wrapping_add(1 << bits) as u64 <= 2 << bits
}

/// Number of an operation, as an `Op` discriminant.
pub(crate) mod arith {
    use tern_core::ir::Op;
    pub(crate) const ADD: u8 = Op::FAdd as u8;
    pub(crate) const SUB: u8 = Op::FSub as u8;
    pub(crate) const MUL: u8 = Op::FMul as u8;
    pub(crate) const DIV: u8 = Op::FDiv as u8;
    pub(crate) const SQRT: u8 = Op::FSqrt as u8;
    pub(crate) const MIN: u8 = Op::FMin as u8;
    pub(crate) const EQ: u8 = Op::FEq as u8;
    pub(crate) const LT: u8 = Op::FLt as u8;
    pub(crate) const LTQ: u8 = Op::FLtQuiet as u8;
    pub(crate) const CVT: u8 = Op::FCvt as u8;
    pub(crate) const TOS32: u8 = Op::FToS32 as u8;
    pub(crate) const TOS64: u8 = Op::FToS64 as u8;
    pub(crate) const FROMS32: u8 = Op::FFromS32 as u8;
    pub(crate) const FROMU32: u8 = Op::FFromU32 as u8;
    pub(crate) const FROMS64: u8 = Op::FFromS64 as u8;
    pub(crate) const MULADD: u8 = Op::FMulAdd as u8;
}

/// Operands `a` and `b`, and whether both are fit.
#[inline(always)]
unsafe fn operands<F: Form, const V: u8>(cx: *mut Cx, regs: &Regs) -> (F::Host, F::Host, bool) {
    // SAFETY: the caller is a body.
    unsafe {
        let w = &*regs.pc;
        let a = if matches!(V, from::A | from::AB) { F::of(regs.acc) } else { F::load(cx, w.a()) };
        let b = if matches!(V, from::B | from::AB) { F::of(regs.acc) } else { F::load(cx, w.b()) };
        (a.0, b.0, a.1 && b.1)
    }
}

/// The only operand, twice.
#[inline(always)]
unsafe fn operand<F: Form, const V: u8>(cx: *mut Cx, regs: &Regs) -> (F::Host, F::Host, bool) {
    // SAFETY: the caller is a body.
    let (a, fit) = unsafe { if V == from::A { F::of(regs.acc) } else { F::load(cx, (*regs.pc).a()) } };
    (a, a, fit)
}

/// Writes the result.
#[inline(always)]
unsafe fn result(cx: *mut Cx, regs: &mut Regs, value: u64) -> Step {
    // SAFETY: the caller is a body.
    unsafe { set_slot(cx, (*regs.pc).d(), value) };
    regs.note(value);
    Step::Next
}

/// `FAdd FSub FMul FDiv FSqrt` in form `F`, operand variant `V`.
pub(crate) struct Arith<F, const O: u8, const V: u8>(core::marker::PhantomData<F>);

impl<F, const O: u8, const V: u8> Arith<F, O, V> {
    const SLOW: SlowPath = SlowPath::of::<FloatSlow<O>>();
}

impl<F: Form, const O: u8, const V: u8> Coded for Arith<F, O, V> {
    const CODE: u16 = code::host(super::slow::op(O), F::N, V);
}

impl<F: Form, const O: u8, const V: u8> Arith<F, O, V> {
    /// Is the result right although the environment is not ready, or although it is not normal?
    #[inline(always)]
    unsafe fn exact(cx: *mut Cx, regs: &Regs, v: F::Host) -> bool {
        use arith::{ADD, DIV, MUL, SUB};
        // SAFETY: the caller is a body.
        unsafe {
            if !plain(cx) {
                return false;
            }
            // Word and slots are read again, so that the hot way keeps nothing for this one.
            let w = regs.pc.read_volatile();
            let a = if matches!(V, from::A | from::AB) { F::of(regs.acc).0 } else { F::again(cx, w.a()) };
            let b = match (O, V) {
                (arith::SQRT, _) => a,
                (_, from::B | from::AB) => F::of(regs.acc).0,
                _ => F::again(cx, w.b()),
            };
            if !v.normal() {
                // A zero is exact in sums; elsewhere it may be an underflow unless an operand was zero (and then 0/0 or
                // 0*inf would have given a NaN).
                return v.zero()
                    && match O {
                        MUL => a.zero() || b.zero(),
                        DIV => a.zero(),
                        _ => true,
                    };
            }
            // If both differences are right, so is the one that Dekker's FastTwoSum computes exactly, and then the sum
            // is exact.  Nothing here is a NaN, since `v` is finite.
            match O {
                ADD => !((v - a).differs(b) || (v - b).differs(a)),
                SUB => !((a - v).differs(b) || (v + b).differs(a)),
                MUL => a.short(b),
                _ => false,
            }
        }
    }
}

impl<F: Form, const O: u8, const V: u8> Body for Arith<F, O, V> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        use arith::{ADD, DIV, MUL, SQRT, SUB};
        // SAFETY: same contract as ours.
        unsafe {
            let (a, b, fit) = if O == SQRT { operand::<F, V>(cx, regs) } else { operands::<F, V>(cx, regs) };
            let v = match O {
                ADD => a + b,
                SUB => a - b,
                MUL => a * b,
                DIV => a / b,
                _ => a.sqrt(),
            };
            if !(fit && (v.normal() && ready(cx) || Self::exact(cx, regs, v))) {
                return Step::Slow(&Self::SLOW);
            }
            result(cx, regs, F::raw(v))
        }
    }
}

/// Is `v`, which is normal, exactly `a * b + c`?  No, if that is not easily told.
#[inline(always)]
fn exact_fma<F: Float>(a: F, b: F, c: F, v: F) -> bool {
    // A short product is exact, if it is normal; then the sum decides, as in `Arith`.
    let p = a * b;
    a.short(b) && p.normal() && !(v - p).differs(c) && !(v - c).differs(p)
}

/// `FMulAdd` in form `F`, signs `S` (the attributes' kind), operand variant `V`.
pub(crate) struct MulAdd<F, const S: u8, const V: u8>(core::marker::PhantomData<F>);

impl<F, const S: u8, const V: u8> MulAdd<F, S, V> {
    const SLOW: SlowPath = SlowPath::of::<FloatSlow<{ arith::MULADD }>>();
}

impl<F: Form, const S: u8, const V: u8> Coded for MulAdd<F, S, V> {
    const CODE: u16 = code::mul_add(S, F::N, V);
}

impl<F: Form, const S: u8, const V: u8> Body for MulAdd<F, S, V> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let w = &*regs.pc;
            let (mut a, a_fit) = if V == from::A { F::of(regs.acc) } else { F::load(cx, w.a()) };
            let (b, b_fit) = if V == from::B { F::of(regs.acc) } else { F::load(cx, w.b()) };
            let (mut c, c_fit) = if V == from::C { F::of(regs.acc) } else { F::load(cx, w.c()) };
            if S & FMA_NEG_PRODUCT != 0 {
                a = -a;
            }
            if S & FMA_NEG_ADDEND != 0 {
                c = -c;
            }
            let v = a.fma(b, c);
            if !(a_fit && b_fit && c_fit && v.normal() && (ready(cx) || plain(cx) && exact_fma(a, b, c, v))) {
                return Step::Slow(&Self::SLOW);
            }
            result(cx, regs, F::raw(v))
        }
    }
}

/// `FMin FMax` of operands that differ: no rule of NaNs or signed zeros comes in.
pub(crate) struct MinMax<F, const O: u8, const V: u8>(core::marker::PhantomData<F>);

impl<F, const O: u8, const V: u8> MinMax<F, O, V> {
    const SLOW: SlowPath = SlowPath::of::<FloatSlow<O>>();
}

impl<F: Form, const O: u8, const V: u8> Coded for MinMax<F, O, V> {
    const CODE: u16 = code::host(super::slow::op(O), F::N, V);
}

impl<F: Form, const O: u8, const V: u8> Body for MinMax<F, O, V> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let (a, b, fit) = operands::<F, V>(cx, regs);
            let (less, more) = (a < b, a > b);
            if !(fit && plain(cx) && (less || more)) {
                return Step::Slow(&Self::SLOW);
            }
            let first = if O == arith::MIN { less } else { more };
            result(cx, regs, F::raw(if first { a } else { b }))
        }
    }
}

/// `FEq FLt FLe` and the quiet ones: without NaNs no flag is due.
pub(crate) struct Compare<F, const O: u8, const V: u8>(core::marker::PhantomData<F>);

impl<F, const O: u8, const V: u8> Compare<F, O, V> {
    const SLOW: SlowPath = SlowPath::of::<FloatSlow<O>>();
}

impl<F: Form, const O: u8, const V: u8> Coded for Compare<F, O, V> {
    const CODE: u16 = code::host(super::slow::op(O), F::N, V);
}

impl<F: Form, const O: u8, const V: u8> Body for Compare<F, O, V> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let (a, b, fit) = operands::<F, V>(cx, regs);
            if !fit || !plain(cx) || a.nan() || b.nan() {
                return Step::Slow(&Self::SLOW);
            }
            let holds = match O {
                arith::EQ => a == b,
                arith::LT | arith::LTQ => a < b,
                _ => a <= b,
            };
            result(cx, regs, u64::from(holds))
        }
    }
}

/// Conversions worth a form of their own.  `F` is the format with the attributes' number: what is converted from, and to
/// where an integer is converted.  `A`: the operand is the last result.
pub(crate) struct Conv<F, const O: u8, const V: u8>(core::marker::PhantomData<F>);

impl<F, const O: u8, const V: u8> Conv<F, O, V> {
    const SLOW: SlowPath = SlowPath::of::<FloatSlow<O>>();
}

impl<F: Form, const O: u8, const V: u8> Coded for Conv<F, O, V> {
    const CODE: u16 = code::host(super::slow::op(O), F::N, V);
}

impl<F: Form, const O: u8, const V: u8> Conv<F, O, V> {
    /// Value, is it right given plain rounding, is it certainly exact, whatever the rounding?
    #[inline(always)]
    fn value(raw: u64) -> (u64, bool, bool) {
        use arith::{CVT, FROMS32, FROMS64, FROMU32, TOS32};
        const DOUBLE: u16 = form::F64;

        match O {
            // binary32 to binary64 is exact.
            CVT if F::N != DOUBLE => {
                let a = f32::from_bits(raw as u32);
                let fine = a.normal() || a.zero();
                (f64::from(a).to_bits(), fine, fine)
            }
            CVT => {
                let a = f64::from_bits(raw);
                let v = a as f32;
                (<f32 as Form>::raw(v), v.normal() || a.zero(), false)
            }
            FROMS32 if F::N == DOUBLE => (f64::from(raw as u32 as i32).to_bits(), true, true),
            FROMU32 if F::N == DOUBLE => (f64::from(raw as u32).to_bits(), true, true),
            FROMS64 if F::N == DOUBLE => ((raw as i64 as f64).to_bits(), true, short(raw as i64, 53)),
            FROMS32 => {
                let a = raw as u32 as i32;
                (<f32 as Form>::raw(a as f32), true, short(i64::from(a), 24))
            }
            FROMU32 => (<f32 as Form>::raw(raw as u32 as f32), true, raw as u32 <= 1 << 24),
            FROMS64 => (<f32 as Form>::raw(raw as i64 as f32), true, short(raw as i64, 24)),
            // Truncating conversions to integers; the lowering chooses this form only for RTZ.
            _ => {
                let a = if F::N == DOUBLE { f64::from_bits(raw) } else { f64::from(f32::from_bits(raw as u32)) };
                let limit = if O == TOS32 { 2_147_483_648.0 } else { 9_223_372_036_854_775_808.0 };
                if a.is_nan() || a.abs() >= limit {
                    return (0, false, false);
                }
                if O == TOS32 {
                    // SAFETY: the value is in the range.
                    let v: i32 = unsafe { a.to_int_unchecked() };
                    (v as i64 as u64, true, false)
                } else {
                    // SAFETY: the value is in the range.
                    let v: i64 = unsafe { a.to_int_unchecked() };
                    (v as u64, true, false)
                }
            }
        }
    }

    /// Is the result exact?
    #[inline(always)]
    fn exact(raw: u64, value: u64) -> bool {
        match O {
            arith::CVT => f64::from(f32::from_bits(value as u32)).to_bits() == raw,
            arith::TOS32 | arith::TOS64 if F::N == form::F64 => value as i64 as f64 == f64::from_bits(raw),
            arith::TOS32 | arith::TOS64 => value as i64 as f64 == f64::from(f32::from_bits(raw as u32)),
            _ => false,
        }
    }
}

impl<F: Form, const O: u8, const V: u8> Body for Conv<F, O, V> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: same contract as ours.
        unsafe {
            let raw = if V == from::A { regs.acc } else { slot(cx, (*regs.pc).a()) };
            let (value, fine, certain) = Self::value(raw);
            let fit = matches!(O, arith::FROMS32 | arith::FROMU32 | arith::FROMS64) || F::of(raw).1;
            let fine = fine && fit && (certain || ready(cx) || plain(cx) && Self::exact(raw, value));
            if !fine {
                return Step::Slow(&Self::SLOW);
            }
            result(cx, regs, value)
        }
    }
}

/// Code of the host form of an operation, if it has one: `boxed` operands, variant `v`.
pub(crate) fn host_code(op: Op, attr: FpAttr, boxed: bool, fma: bool, v: u8) -> Option<u16> {
    use tern_core::ir::fp::Round;
    use tern_softfloat::Rm;
    let f = match attr.fmt {
        Fmt::F64 => form::F64,
        Fmt::F32 if boxed => form::BOXED,
        Fmt::F32 => form::F32,
        _ => return None,
    };
    if !HOST_IS_IEEE || attr.env != 0 {
        return None;
    }
    let nearest = matches!(attr.round, Round::Dynamic | Round::Static(Rm::Rne));
    let host = match op {
        Op::FAdd | Op::FSub | Op::FMul | Op::FDiv | Op::FSqrt => nearest,
        Op::FFromS32 | Op::FFromU32 | Op::FFromS64 => nearest,
        // Without the instruction, softfloat's way through several host operations is as good.
        Op::FMulAdd if nearest && fma => return Some(code::mul_add(attr.kind & 3, f, v)),
        Op::FEq | Op::FLt | Op::FLe | Op::FLtQuiet | Op::FLeQuiet | Op::FMin | Op::FMax => true,
        Op::FCvt if attr.kind == Fmt::F64 as u8 => f != form::F64,
        Op::FCvt if attr.kind == Fmt::F32 as u8 => f == form::F64 && nearest,
        Op::FToS32 | Op::FToS64 => attr.round == Round::Static(Rm::Rtz),
        _ => false,
    };
    host.then(|| code::host(op, f, v))
}
