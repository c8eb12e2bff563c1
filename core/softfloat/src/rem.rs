//! Remainders: the IEEE one and the truncating one of `fmod`, x87 and the 68881.

use crate::env::Env;
use crate::format::Format;
use crate::parts::{Parts, denormals_used, invalid, nan_two, round_pack, unpack, zero};

/// How the quotient of a remainder is rounded to an integer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Quotient {
    /// To nearest, ties to even (IEEE 754-2019 clause 5.3.1 remainder, x87 `FPREM1`, 68881 `FREM`).
    Nearest,
    /// Towards zero (C `fmod`, x87 `FPREM`, 68881 `FMOD`).
    Truncated,
}

/// IEEE remainder of `a` by `b`: always exact, zero results take the sign of `a`.
pub fn rem<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> F::Bits {
    rem_with_quotient::<F>(a, b, Quotient::Nearest, env).0
}

/// The remainder and the low 64 bits of the magnitude of the integer quotient (zero for NaN results).
pub fn rem_with_quotient<F: Format>(a: F::Bits, b: F::Bits, rule: Quotient, env: &mut Env) -> (F::Bits, u64) {
    let (a, b) = (unpack::<F>(a, env), unpack::<F>(b, env));
    if a.is_nan() || b.is_nan() {
        return (nan_two::<F>(&a, &b, env), 0);
    }
    if a.is_inf() || b.is_zero() {
        return (invalid::<F>(env), 0);
    }
    denormals_used(&[&a, &b], env);
    if a.is_zero() {
        return (zero::<F>(a.sign), 0);
    }
    if b.is_inf() || a.exp < b.exp - 1 {
        return (round_pack::<F>(a.sign, a.exp, a.sig, env), 0);
    }
    rem_finite::<F>(&a, &b, rule, env)
}

/// Remainder of non-zero finite operands with `a.exp >= b.exp - 1`.
fn rem_finite<F: Format>(a: &Parts, b: &Parts, rule: Quotient, env: &mut Env) -> (F::Bits, u64) {
    let unused = 128 - F::PRECISION;
    let mut rest = a.sig >> unused;
    let mut divisor = b.sig >> unused;
    let mut quotient = 0u64;
    let mut unit = b.exp;
    if a.exp < b.exp {
        divisor <<= 1;
        unit = a.exp;
    }
    // `rest` and `divisor` count in units of 2^(unit - PRECISION + 1); `left` more bits of `a` are shifted in below.
    let mut left = a.exp.abs_diff(unit);
    quotient = quotient.wrapping_add((rest / divisor) as u64);
    rest %= divisor;
    while left > 0 {
        let step = left.min(unused - 1);
        let shifted = rest << step;
        quotient = quotient.checked_shl(step).unwrap_or(0).wrapping_add((shifted / divisor) as u64);
        rest = shifted % divisor;
        left -= step;
    }
    let mut sign = a.sign;
    let twice = rest << 1;
    if rule == Quotient::Nearest && (twice > divisor || (twice == divisor && quotient & 1 != 0)) {
        rest = divisor - rest;
        sign = !sign;
        quotient = quotient.wrapping_add(1);
    }
    if rest == 0 {
        return (zero::<F>(a.sign), quotient);
    }
    let shift = rest.leading_zeros();
    let exp = unit + 128 - F::PRECISION as i32 - shift as i32;
    (round_pack::<F>(sign, exp, rest << shift, env), quotient)
}
