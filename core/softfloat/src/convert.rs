//! Conversions between formats, to and from integers, and rounding to integral values (IEEE 754-2019 clauses 5.3.1,
//! 5.4.1, 5.4.2 and 5.8).

use crate::env::{Env, Flags, Rm};
use crate::format::{Format, IntegerBit};
use crate::parts::{Class, Parts, denormals_used, infinity, nan_one, round_at, round_pack, unpack, zero};
use crate::wide::shr_jam;

/// `a` in format `D`. NaN payloads keep their most significant bits where the style propagates NaNs.
pub fn convert<S: Format, D: Format>(a: S::Bits, env: &mut Env) -> D::Bits {
    let a = unpack::<S>(a, env);
    if a.is_nan() {
        return nan_one::<D>(&a, env);
    }
    denormals_used(&[&a], env);
    match a.class {
        Class::Inf => infinity::<D>(a.sign),
        Class::Zero => zero::<D>(a.sign),
        _ => round_pack::<D>(a.sign, a.exp, a.sig, env),
    }
}

/// The magnitude of a finite `p` times `2^scale` rounded to an integer, which is below 2^126, and whether that was
/// inexact. The exponent after scaling is at most 125.
fn to_integral(p: &Parts, scale: i32, rm: Rm) -> (u128, bool) {
    // Two fraction bits, the lower one sticky, decide every rounding.
    let shift = 125 - (p.exp + scale);
    round_at(shr_jam(p.sig, shift as u32), 2, p.sign, rm)
}

/// `a` rounded to an integral value in its own format with `rm`; raises NX for a changed value only if `exact`
/// (roundToIntegralExact, RISC-V `froundnx`, Arm `FRINTX`). Of the x86 instructions `FRNDINT` raises the denormal flag,
/// `ROUNDSD` and its kin do not (Intel SDM volume 2).
pub fn round_int<F: Format>(a: F::Bits, rm: Rm, exact: bool, env: &mut Env) -> F::Bits {
    let p = unpack::<F>(a, env);
    if p.is_nan() {
        return nan_one::<F>(&p, env);
    }
    if F::INTEGER_BIT == IntegerBit::Required {
        denormals_used(&[&p], env);
    }
    match p.class {
        Class::Inf => return infinity::<F>(p.sign),
        Class::Zero => return zero::<F>(p.sign),
        _ if p.exp >= F::PRECISION as i32 - 1 => return round_pack::<F>(p.sign, p.exp, p.sig, env),
        _ => {}
    }
    let (integer, inexact) = to_integral(&p, 0, rm);
    if inexact && exact {
        env.raise(Flags::NX);
    }
    if integer == 0 {
        return zero::<F>(p.sign);
    }
    let shift = integer.leading_zeros();
    round_pack::<F>(p.sign, 127 - shift as i32, integer << shift, env)
}

/// What a conversion to an integer gives for a NaN or a value out of range; both raise NV alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IntStyle {
    /// Saturates; a NaN gives the largest integer (RISC-V unprivileged ISA, "Single-Precision Floating-Point Conversion
    /// and Move Instructions"; LoongArch saturates alike but see [`IntStyle::Arm`] for its NaNs).
    RiscV,
    /// Saturates; a NaN gives zero (Arm `FPToFixed`; LoongArch, MIPS with `NAN2008` = 1).
    Arm,
    /// The integer indefinite: the smallest signed integer, all ones when unsigned (Intel SDM volume 1, table E-1).
    X86,
    /// Saturates; a NaN gives the smallest integer (Power `fcti*`, z/Architecture `CFEBR`).
    Power,
    /// The largest integer whatever the sign (MIPS with `NAN2008` = 0).
    MipsLegacy,
    /// Saturates; a NaN gives the largest or, when its sign bit is set, the smallest integer (SPARC, 68881).
    SignedNan,
}

/// The integer side of a conversion, for widths and fixed-point positions other than the common four.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IntFormat {
    /// Width in bits, 1 to 64.
    pub bits: u32,
    /// Two's complement if set.
    pub signed: bool,
    /// Fraction bits: the integer stands for `value * 2^fraction` (Arm fixed-point conversions). 0 to 64.
    pub fraction: u32,
}

impl IntFormat {
    /// 32-bit signed.
    pub const I32: IntFormat = IntFormat { bits: 32, signed: true, fraction: 0 };
    /// 32-bit unsigned.
    pub const U32: IntFormat = IntFormat { bits: 32, signed: false, fraction: 0 };
    /// 64-bit signed.
    pub const I64: IntFormat = IntFormat { bits: 64, signed: true, fraction: 0 };
    /// 64-bit unsigned.
    pub const U64: IntFormat = IntFormat { bits: 64, signed: false, fraction: 0 };

    /// Largest magnitude with this sign.
    const fn limit(self, negative: bool) -> u128 {
        match (self.signed, negative) {
            (true, true) => 1 << (self.bits - 1),
            (true, false) => (1 << (self.bits - 1)) - 1,
            (false, true) => 0,
            (false, false) => (1 << self.bits) - 1,
        }
    }
}

/// `a` rounded with `rm` to an integer of format `to`, sign-extended to 64 bits if signed. Out of range, NaN and
/// infinity raise NV and give what `style` says; otherwise a changed value raises NX.
pub fn to_int<F: Format>(a: F::Bits, rm: Rm, to: IntFormat, style: IntStyle, env: &mut Env) -> u64 {
    debug_assert!((1..=64).contains(&to.bits) && to.fraction <= 64);
    let p = unpack::<F>(a, env);
    let (magnitude, inexact) = match p.class {
        Class::Zero => return 0,
        Class::Finite if p.exp + (to.fraction as i32) < 65 => to_integral(&p, to.fraction as i32, rm),
        _ => (u128::MAX, false),
    };
    if magnitude > to.limit(p.sign) {
        env.raise(Flags::NV);
        return out_of_range(&p, to, style);
    }
    if inexact {
        env.raise(Flags::NX);
    }
    signed(p.sign, magnitude)
}

fn signed(negative: bool, magnitude: u128) -> u64 {
    let low = magnitude as u64;
    if negative { low.wrapping_neg() } else { low }
}

#[cold]
fn out_of_range(p: &Parts, to: IntFormat, style: IntStyle) -> u64 {
    let end = |negative| signed(negative, to.limit(negative));
    match style {
        IntStyle::X86 if to.signed => end(true),
        IntStyle::X86 | IntStyle::MipsLegacy => end(false),
        _ if !p.is_nan() => end(p.sign),
        IntStyle::RiscV => end(false),
        IntStyle::Arm => 0,
        IntStyle::Power => end(true),
        IntStyle::SignedNan => end(p.sign),
    }
}

/// `a` as a signed 32-bit integer; see [`to_int`].
pub fn to_i32<F: Format>(a: F::Bits, rm: Rm, style: IntStyle, env: &mut Env) -> i32 {
    to_int::<F>(a, rm, IntFormat::I32, style, env) as i32
}

/// `a` as an unsigned 32-bit integer; see [`to_int`].
pub fn to_u32<F: Format>(a: F::Bits, rm: Rm, style: IntStyle, env: &mut Env) -> u32 {
    to_int::<F>(a, rm, IntFormat::U32, style, env) as u32
}

/// `a` as a signed 64-bit integer; see [`to_int`].
pub fn to_i64<F: Format>(a: F::Bits, rm: Rm, style: IntStyle, env: &mut Env) -> i64 {
    to_int::<F>(a, rm, IntFormat::I64, style, env) as i64
}

/// `a` as an unsigned 64-bit integer; see [`to_int`].
pub fn to_u64<F: Format>(a: F::Bits, rm: Rm, style: IntStyle, env: &mut Env) -> u64 {
    to_int::<F>(a, rm, IntFormat::U64, style, env)
}

/// `a` truncated, modulo 2^32 (RISC-V Zfa `fcvtmod.w.d`, Arm `FJCVTZS`). NaN and infinity give zero. Flags are those of
/// a saturating conversion: NV out of range, else NX for a changed value.
pub fn to_i32_modular<F: Format>(a: F::Bits, env: &mut Env) -> i32 {
    let p = unpack::<F>(a, env);
    match p.class {
        Class::Zero => return 0,
        Class::Finite => {}
        _ => {
            env.raise(Flags::NV);
            return 0;
        }
    }
    let (low, inexact) = match p.exp {
        ..=125 => to_integral(&p, 0, Rm::Rtz),
        126..=158 => (p.sig.checked_shl((p.exp - 127).max(0) as u32).unwrap_or(0) >> u32::from(p.exp == 126), false),
        _ => (0, false),
    };
    if p.exp > 31 || low > IntFormat::I32.limit(p.sign) {
        env.raise(Flags::NV);
    } else if inexact {
        env.raise(Flags::NX);
    }
    signed(p.sign, low) as i32
}

/// An integer with `fraction` fraction bits rounded to format `F` under `env`.
pub fn from_int<F: Format>(negative: bool, magnitude: u64, fraction: u32, env: &mut Env) -> F::Bits {
    if magnitude == 0 {
        return zero::<F>(false);
    }
    let sig = u128::from(magnitude) << 64;
    let shift = sig.leading_zeros();
    round_pack::<F>(negative, 63 - shift as i32 - fraction as i32, sig << shift, env)
}

/// A signed 32-bit integer rounded to format `F`.
pub fn from_i32<F: Format>(value: i32, env: &mut Env) -> F::Bits {
    from_i64::<F>(i64::from(value), env)
}

/// An unsigned 32-bit integer rounded to format `F`.
pub fn from_u32<F: Format>(value: u32, env: &mut Env) -> F::Bits {
    from_int::<F>(false, u64::from(value), 0, env)
}

/// A signed 64-bit integer rounded to format `F`.
pub fn from_i64<F: Format>(value: i64, env: &mut Env) -> F::Bits {
    from_int::<F>(value < 0, value.unsigned_abs(), 0, env)
}

/// An unsigned 64-bit integer rounded to format `F`.
pub fn from_u64<F: Format>(value: u64, env: &mut Env) -> F::Bits {
    from_int::<F>(false, value, 0, env)
}
