//! Addition, subtraction, multiplication, division and square root (IEEE 754-2019 clause 5.4.1).

use crate::env::{Env, Flags, Rm};
use crate::format::Format;
use crate::parts::{Parts, denormals_used, infinity, invalid, nan_one, nan_two, round_pack_controlled, unpack, zero};
use crate::wide::{U256, shr_jam};

/// `a + b`.
pub fn add<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> F::Bits {
    add_signed::<F>(a, b, false, env)
}

/// `a - b`. A NaN `b` keeps its sign.
pub fn sub<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> F::Bits {
    add_signed::<F>(a, b, true, env)
}

fn add_signed<F: Format>(a: F::Bits, b: F::Bits, negate_b: bool, env: &mut Env) -> F::Bits {
    let (a, b) = (unpack::<F>(a, env), unpack::<F>(b, env));
    if a.is_nan() || b.is_nan() {
        return nan_two::<F>(&a, &b, env);
    }
    let b = b.negated(negate_b);
    if a.is_inf() && b.is_inf() && a.sign != b.sign {
        return invalid::<F>(env);
    }
    denormals_used(&[&a, &b], env);
    if a.is_inf() || b.is_inf() {
        return infinity::<F>(if a.is_inf() { a.sign } else { b.sign });
    }
    match (a.is_zero(), b.is_zero()) {
        (true, true) => zero::<F>(zero_sum_sign(a.sign, b.sign, env.rm)),
        (true, false) => round_pack_controlled::<F>(b.sign, b.exp, b.sig, env),
        (false, true) => round_pack_controlled::<F>(a.sign, a.exp, a.sig, env),
        (false, false) => add_finite::<F>(&a, &b, env),
    }
}

/// Sign of a sum of two zeros, or of an exact zero sum of `x` and `-x` (clause 6.3).
pub(crate) fn zero_sum_sign(a: bool, b: bool, rm: Rm) -> bool {
    if a == b { a } else { rm == Rm::Rdn }
}

fn add_finite<F: Format>(a: &Parts, b: &Parts, env: &mut Env) -> F::Bits {
    let (big, small) = if (a.exp, a.sig) >= (b.exp, b.sig) { (a, b) } else { (b, a) };
    // One bit of headroom for the carry: no format uses the low 15 bits.
    let big_sig = big.sig >> 1;
    let small_sig = shr_jam(small.sig >> 1, big.exp.abs_diff(small.exp));
    let sum = if big.sign == small.sign { big_sig + small_sig } else { big_sig - small_sig };
    if sum == 0 {
        return zero::<F>(env.rm == Rm::Rdn);
    }
    let shift = sum.leading_zeros();
    round_pack_controlled::<F>(big.sign, big.exp + 1 - shift as i32, sum << shift, env)
}

/// `a * b`.
pub fn mul<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> F::Bits {
    let (a, b) = (unpack::<F>(a, env), unpack::<F>(b, env));
    if a.is_nan() || b.is_nan() {
        return nan_two::<F>(&a, &b, env);
    }
    if (a.is_inf() && b.is_zero()) || (a.is_zero() && b.is_inf()) {
        return invalid::<F>(env);
    }
    denormals_used(&[&a, &b], env);
    let sign = a.sign ^ b.sign;
    if a.is_inf() || b.is_inf() {
        return infinity::<F>(sign);
    }
    if a.is_zero() || b.is_zero() {
        return zero::<F>(sign);
    }
    let (sig, shift) = product::<F>(&a, &b);
    round_pack_controlled::<F>(sign, a.exp + b.exp + 1 - shift as i32, sig, env)
}

/// The top 128 bits of the product, normalised and jammed, and the normalising shift.
fn product<F: Format>(a: &Parts, b: &Parts) -> (u128, u32) {
    if F::PRECISION <= 64 {
        let exact = (a.sig >> 64) * (b.sig >> 64);
        let shift = exact.leading_zeros();
        return (exact << shift, shift);
    }
    U256::product(a.sig, b.sig).normalise()
}

/// `a / b`.
pub fn div<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> F::Bits {
    let (a, b) = (unpack::<F>(a, env), unpack::<F>(b, env));
    if a.is_nan() || b.is_nan() {
        return nan_two::<F>(&a, &b, env);
    }
    if (a.is_inf() && b.is_inf()) || (a.is_zero() && b.is_zero()) {
        return invalid::<F>(env);
    }
    let sign = a.sign ^ b.sign;
    if b.is_zero() && !a.is_inf() {
        env.raise(Flags::DZ);
        return infinity::<F>(sign);
    }
    denormals_used(&[&a, &b], env);
    if a.is_inf() {
        return infinity::<F>(sign);
    }
    if a.is_zero() || b.is_inf() {
        return zero::<F>(sign);
    }
    let exp = a.exp - b.exp - i32::from(a.sig < b.sig);
    round_pack_controlled::<F>(sign, exp, quotient::<F>(a.sig, b.sig), env)
}

/// The quotient of two normalised significands, normalised and jammed.
fn quotient<F: Format>(a: u128, b: u128) -> u128 {
    let low = u32::from(a < b);
    if F::PRECISION <= 64 {
        let (n, d) = ((a >> 64) << (63 + low), b >> 64);
        let (q, r) = (n / d, n % d);
        if F::PRECISION <= 62 {
            return q << 64 | u128::from(r != 0);
        }
        let n = r << 64;
        return (q << 64) | (n / d) | u128::from(n % d != 0);
    }
    // 113-bit operands: 14 quotient bits a step keep the remainder in 128 bits.
    let (n, d) = ((a >> 15) << low, b >> 15);
    let (mut q, mut r) = (1, n - d);
    for _ in 0..9 {
        let n = r << 14;
        q = (q << 14) | (n / d);
        r = n % d;
    }
    q << 1 | u128::from(r != 0)
}

/// The square root of `a`.
pub fn sqrt<F: Format>(a: F::Bits, env: &mut Env) -> F::Bits {
    let a = unpack::<F>(a, env);
    if a.is_nan() {
        return nan_one::<F>(&a, env);
    }
    if a.is_zero() {
        return zero::<F>(a.sign);
    }
    if a.sign {
        return invalid::<F>(env);
    }
    denormals_used(&[&a], env);
    if a.is_inf() {
        return infinity::<F>(false);
    }
    let odd = a.exp & 1 != 0;
    let radicand = if odd { a.sig } else { a.sig >> 1 };
    round_pack_controlled::<F>(false, a.exp >> 1, root::<F>(radicand), env)
}

/// The root of a radicand in [2^126, 2^128), normalised and jammed.
fn root<F: Format>(radicand: u128) -> u128 {
    let mut root = radicand.isqrt();
    let mut rest = radicand - root * root;
    if F::PRECISION <= 62 {
        return root << 64 | u128::from(rest != 0);
    }
    // Digit by digit from here: the radicand's remaining digits are zero. 118 bits are enough for 113 and rounding.
    for _ in 0..54 {
        rest <<= 2;
        let trial = root << 2 | 1;
        root <<= 1;
        if rest >= trial {
            rest -= trial;
            root |= 1;
        }
    }
    root << 10 | u128::from(rest != 0)
}
