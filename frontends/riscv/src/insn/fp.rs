//! What the floating-point chapters share: operations written once for all formats.

use crate::translate::Tr;
use tern_core::ir::fp::{FMA_NEG_ADDEND, FMA_NEG_PRODUCT, Fmt, FpAttr};
use tern_core::ir::{I32, I64, IntTy, Op, Val};
use tern_core::mem::Size;

/// A format as registers hold it.
pub(super) trait Format {
    /// Type of its values in IR.
    type T: IntTy;
    /// The format.
    const FMT: Fmt;
    /// Its size in memory.
    const SIZE: Size;
    /// Its sign bit.
    const SIGN: u64;
    /// Register `n`, unboxed.
    fn read(t: &mut Tr<'_>, n: i64) -> Val<Self::T>;
    /// Sets register `n`, boxed.
    fn write(t: &mut Tr<'_>, n: i64, v: Val<Self::T>);
}

/// binary16.
pub(super) enum H {}
/// bfloat16.
pub(super) enum B {}
/// binary32.
pub(super) enum S {}
/// binary64.
pub(super) enum D {}

impl Format for H {
    type T = I32;
    const FMT: Fmt = Fmt::F16;
    const SIZE: Size = Size::B2;
    const SIGN: u64 = 0x8000;
    fn read(t: &mut Tr<'_>, n: i64) -> Val<I32> {
        t.f16(n, 0x7e00)
    }
    fn write(t: &mut Tr<'_>, n: i64, v: Val<I32>) {
        t.set_f16(n, v);
    }
}

impl Format for B {
    type T = I32;
    const FMT: Fmt = Fmt::Bf16;
    const SIZE: Size = Size::B2;
    const SIGN: u64 = 0x8000;
    fn read(t: &mut Tr<'_>, n: i64) -> Val<I32> {
        t.f16(n, 0x7fc0)
    }
    fn write(t: &mut Tr<'_>, n: i64, v: Val<I32>) {
        t.set_f16(n, v);
    }
}

impl Format for S {
    type T = I32;
    const FMT: Fmt = Fmt::F32;
    const SIZE: Size = Size::B4;
    const SIGN: u64 = 0x8000_0000;
    fn read(t: &mut Tr<'_>, n: i64) -> Val<I32> {
        t.f32(n)
    }
    fn write(t: &mut Tr<'_>, n: i64, v: Val<I32>) {
        t.set_f32(n, v);
    }
}

impl Format for D {
    type T = I64;
    const FMT: Fmt = Fmt::F64;
    const SIZE: Size = Size::B8;
    const SIGN: u64 = 1 << 63;
    fn read(t: &mut Tr<'_>, n: i64) -> Val<I64> {
        t.f64(n)
    }
    fn write(t: &mut Tr<'_>, n: i64, v: Val<I64>) {
        t.set_f64(n, v);
    }
}

/// Loads and boxes.
pub(super) fn load<F: Format>(t: &mut Tr<'_>, d: i64, a: i64, i: i64) {
    let op = t.mem(F::SIZE);
    let base = t.x(a);
    let v = t.b.load::<F::T>(op, base, i as i32);
    F::write(t, d, v);
}

/// Stores the low bits, boxed or not.
pub(super) fn store<F: Format>(t: &mut Tr<'_>, b: i64, a: i64, i: i64) {
    let op = t.mem(F::SIZE);
    let (base, v) = (t.x(a), t.f64(b));
    t.b.store(op, base, i as i32, v);
}

/// `fadd fsub fmul fdiv`.
pub(super) fn arith<F: Format>(t: &mut Tr<'_>, op: Op, d: i64, a: i64, b: i64, r: i64) {
    let Some(round) = t.round(r) else { return };
    let (a, b) = (F::read(t, a), F::read(t, b));
    let v = t.b.fp2(op, FpAttr::new(F::FMT).round(round), a, b);
    F::write(t, d, v);
}

/// `fsqrt`, `fround` (`kind` 0) and `froundnx` (`kind` 1).
pub(super) fn unary<F: Format>(t: &mut Tr<'_>, op: Op, kind: u8, d: i64, a: i64, r: i64) {
    let Some(round) = t.round(r) else { return };
    let a = F::read(t, a);
    let v = t.b.fp1(op, FpAttr::new(F::FMT).round(round).kind(kind), a);
    F::write(t, d, v);
}

/// Signs of product and addend of a fused multiply-add.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Fused {
    /// `a * b + c`.
    Madd = 0,
    /// `a * b - c`.
    Msub = FMA_NEG_ADDEND,
    /// `-(a * b) + c`.
    Nmsub = FMA_NEG_PRODUCT,
    /// `-(a * b) - c`.
    Nmadd = FMA_NEG_PRODUCT | FMA_NEG_ADDEND,
}

/// `fmadd fmsub fnmsub fnmadd`; `regs` are d, a, b, c.
pub(super) fn fused<F: Format>(t: &mut Tr<'_>, kind: Fused, regs: [i64; 4], r: i64) {
    let Some(round) = t.round(r) else { return };
    let [d, a, b, c] = regs;
    let (a, b, c) = (F::read(t, a), F::read(t, b), F::read(t, c));
    // Turning signs beforehand is exact, and a NaN's sign does not show in the result.
    let v = t.b.fp_mul_add(FpAttr::new(F::FMT).round(round).kind(kind as u8), a, b, c);
    F::write(t, d, v);
}

/// How sign injection makes the new sign.
#[derive(Clone, Copy)]
pub(super) enum Sign {
    /// The sign of `b`.
    Copy,
    /// Its opposite.
    Not,
    /// The exclusive or of both signs.
    Xor,
}

/// `fsgnj fsgnjn fsgnjx`; with equal operands these are move, negate and absolute value.
pub(super) fn inject<F: Format>(t: &mut Tr<'_>, kind: Sign, d: i64, a: i64, b: i64) {
    let (x, y) = (F::read(t, a), F::read(t, b));
    let sign = t.b.iconst::<F::T>(F::SIGN);
    let v = match (kind, a == b) {
        (Sign::Copy, true) => x,
        (Sign::Not, true) => t.b.xor(x, sign),
        (Sign::Xor, true) => t.b.andn(x, sign),
        _ => {
            let (magnitude, bit) = match kind {
                Sign::Copy => (t.b.andn(x, sign), t.b.and(y, sign)),
                Sign::Not => (t.b.andn(x, sign), t.b.andn(sign, y)),
                Sign::Xor => (x, t.b.and(y, sign)),
            };
            t.b.xor(magnitude, bit)
        }
    };
    F::write(t, d, v);
}

/// `fmin fmax` (`kind` 0: minimumNumber) and `fminm fmaxm` (`kind` 2: NaNs propagate).
pub(super) fn minmax<F: Format>(t: &mut Tr<'_>, op: Op, kind: u8, d: i64, a: i64, b: i64) {
    let (a, b) = (F::read(t, a), F::read(t, b));
    let v = t.b.fp2(op, FpAttr::new(F::FMT).kind(kind), a, b);
    F::write(t, d, v);
}

/// `feq flt fle fltq fleq`.
pub(super) fn compare<F: Format>(t: &mut Tr<'_>, op: Op, d: i64, a: i64, b: i64) {
    let (a, b) = (F::read(t, a), F::read(t, b));
    let v = t.b.fp_compare(op, FpAttr::new(F::FMT), a, b);
    t.set_bool(d, v);
}

/// `fclass`.
pub(super) fn classify<F: Format>(t: &mut Tr<'_>, d: i64, a: i64) {
    let a = F::read(t, a);
    let v = t.b.fp_convert::<F::T, I64>(Op::FClass, FpAttr::new(F::FMT), a);
    t.put_x(d, v);
}

/// Between formats.
pub(super) fn convert<From: Format, To: Format>(t: &mut Tr<'_>, d: i64, a: i64, r: i64) {
    let Some(round) = t.round(r) else { return };
    let a = From::read(t, a);
    let v = t.b.fp_format::<From::T, To::T>(FpAttr::new(From::FMT).round(round), To::FMT, a);
    To::write(t, d, v);
}

/// To a 32-bit integer, sign-extended even if unsigned.
pub(super) fn to_word<F: Format>(t: &mut Tr<'_>, op: Op, d: i64, a: i64, r: i64) {
    let Some(round) = t.round(r) else { return };
    let a = F::read(t, a);
    let v = t.b.fp_convert::<F::T, I32>(op, FpAttr::new(F::FMT).round(round), a);
    // The operation may raise flags, so it stays even if the result goes to x0.
    t.set_w(d, v);
}

/// To a 64-bit integer.
pub(super) fn to_long<F: Format>(t: &mut Tr<'_>, op: Op, d: i64, a: i64, r: i64) {
    let Some(round) = t.round(r) else { return };
    let a = F::read(t, a);
    let v = t.b.fp_convert::<F::T, I64>(op, FpAttr::new(F::FMT).round(round), a);
    t.put_x(d, v);
}

/// From a 32-bit integer.
pub(super) fn from_word<F: Format>(t: &mut Tr<'_>, op: Op, d: i64, a: i64, r: i64) {
    let Some(round) = t.round(r) else { return };
    let a = t.w(a);
    let v = t.b.fp_convert::<I32, F::T>(op, FpAttr::new(F::FMT).round(round), a);
    F::write(t, d, v);
}

/// From a 64-bit integer.
pub(super) fn from_long<F: Format>(t: &mut Tr<'_>, op: Op, d: i64, a: i64, r: i64) {
    let Some(round) = t.round(r) else { return };
    let a = t.x(a);
    let v = t.b.fp_convert::<I64, F::T>(op, FpAttr::new(F::FMT).round(round), a);
    F::write(t, d, v);
}
