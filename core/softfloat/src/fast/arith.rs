//! The basic operations, comparisons, minimum and maximum on host arithmetic.

use crate::compare::MinMax;
use crate::env::{Env, Flags, Rm};
use crate::fast::host::{
    HOST_IS_IEEE, Host, exponent, is_denormal, is_nan, is_normal, is_safe, is_zero, trailing_zeros,
};
use crate::style::DenormalFlag;

/// Whether host arithmetic rounds as `env` asks.
#[inline(always)]
pub(super) fn rounds_like_host(env: &Env) -> bool {
    HOST_IS_IEEE && env.rm == Rm::Rne
}

/// `a + b`.
#[inline]
pub fn add<F: Host>(a: F::Bits, b: F::Bits, env: &mut Env) -> F::Bits {
    if rounds_like_host(env) {
        let (x, y) = (F::float(a), F::float(b));
        let sum = x + y;
        if sum_is_safe::<F>(a, b, sum, x, y, env) {
            return F::bits(sum);
        }
    }
    crate::add::<F>(a, b, env)
}

/// `a - b`.
#[inline]
pub fn sub<F: Host>(a: F::Bits, b: F::Bits, env: &mut Env) -> F::Bits {
    if rounds_like_host(env) {
        let (x, y) = (F::float(a), F::float(b));
        let difference = x - y;
        let negated = F::float(F::from_u128(F::to_u128(b) ^ F::to_u128(F::NEG_ZERO)));
        if sum_is_safe::<F>(a, b, difference, x, negated, env) {
            return F::bits(difference);
        }
    }
    crate::sub::<F>(a, b, env)
}

/// Whether `sum` = `x + y` stands, having raised NX if it is inexact. A zero sum is exact.
#[inline(always)]
fn sum_is_safe<F: Host>(a: F::Bits, b: F::Bits, sum: F::Float, x: F::Float, y: F::Float, env: &mut Env) -> bool {
    let bits = F::bits(sum);
    if is_denormal::<F>(a) || is_denormal::<F>(b) || !(is_normal::<F>(bits) || is_zero::<F>(bits)) {
        return false;
    }
    if !env.flags.contains(Flags::NX) {
        // TwoSum is exact unless one of its steps overflows, which none does this far from the end of the range.
        let large = F::EXP_ONES as i32 - 3;
        if exponent::<F>(a) > large || exponent::<F>(b) > large {
            return false;
        }
        let y_part = sum - x;
        let x_part = sum - y_part;
        let error = (x - x_part) + (y - y_part);
        if !is_zero::<F>(F::bits(error)) {
            env.raise(Flags::NX);
        }
    }
    true
}

/// `a * b`.
#[inline]
pub fn mul<F: Host>(a: F::Bits, b: F::Bits, env: &mut Env) -> F::Bits {
    if rounds_like_host(env) && !is_denormal::<F>(a) && !is_denormal::<F>(b) {
        let product = F::bits(F::float(a) * F::float(b));
        if is_safe::<F>(product) {
            if !env.flags.contains(Flags::NX) && !product_is_exact::<F>(a, b, product) {
                env.raise(Flags::NX);
            }
            return product;
        }
        if is_zero::<F>(product) && (is_zero::<F>(a) || is_zero::<F>(b)) {
            return product;
        }
    }
    crate::mul::<F>(a, b, env)
}

/// Whether normal `a` times normal `b` is exactly `product`, to which it rounds. The product of two `p`-bit
/// significands has `2p - 1` or `2p` bits, as the exponent of `product` tells, and as many trailing zeros as both
/// together; it is exact when no more than `p` bits are left. Rounding up to the next binade only claims a bit too many
/// of a product that is inexact anyway.
#[inline(always)]
fn product_is_exact<F: Host>(a: F::Bits, b: F::Bits, product: F::Bits) -> bool {
    let carry = exponent::<F>(product) - (exponent::<F>(a) + exponent::<F>(b) - F::BIAS);
    trailing_zeros::<F>(a) + trailing_zeros::<F>(b) >= F::FRAC_BITS as i32 + carry
}

/// `a / b`.
#[inline]
pub fn div<F: Host>(a: F::Bits, b: F::Bits, env: &mut Env) -> F::Bits {
    if rounds_like_host(env) && !is_denormal::<F>(a) && is_normal::<F>(b) {
        let bits = F::bits(F::float(a) / F::float(b));
        if is_safe::<F>(bits) {
            // `quotient * b` is off `a` by at most half a place of the quotient times `b`, which is less than a place of
            // `a`: when that product is a number of the format, it is `a`.
            if !env.flags.contains(Flags::NX) && !product_is_exact::<F>(bits, b, a) {
                env.raise(Flags::NX);
            }
            return bits;
        }
        if is_zero::<F>(a) {
            return bits;
        }
    }
    crate::div::<F>(a, b, env)
}

/// Square root of `a`.
#[inline]
pub fn sqrt<F: Host>(a: F::Bits, env: &mut Env) -> F::Bits {
    if rounds_like_host(env) && is_normal::<F>(a) && F::to_u64(a) < F::to_u64(F::INFINITY) {
        let root = F::sqrt(F::float(a));
        let bits = F::bits(root);
        let exact = || root * root == F::float(a) && product_is_exact::<F>(bits, bits, a);
        if !env.flags.contains(Flags::NX) && !exact() {
            env.raise(Flags::NX);
        }
        return bits;
    }
    crate::sqrt::<F>(a, env)
}

/// Whether the style treats denormal operands of comparisons as plain numbers, or there are none.
#[inline(always)]
fn denormals_are_plain<F: Host>(a: F::Bits, b: F::Bits, env: &Env) -> bool {
    let plain = !env.style.daz && env.style.denormal != DenormalFlag::WhenUsed;
    plain || (!is_denormal::<F>(a) && !is_denormal::<F>(b))
}

#[inline(always)]
fn comparable<F: Host>(a: F::Bits, b: F::Bits, env: &Env) -> bool {
    !is_nan::<F>(a) && !is_nan::<F>(b) && denormals_are_plain::<F>(a, b, env)
}

/// Quiet `a == b`.
#[inline]
pub fn eq<F: Host>(a: F::Bits, b: F::Bits, env: &mut Env) -> bool {
    if comparable::<F>(a, b, env) { F::float(a) == F::float(b) } else { crate::eq::<F>(a, b, env) }
}

/// Signalling `a < b`.
#[inline]
pub fn lt<F: Host>(a: F::Bits, b: F::Bits, env: &mut Env) -> bool {
    if comparable::<F>(a, b, env) { F::float(a) < F::float(b) } else { crate::lt::<F>(a, b, env) }
}

/// Signalling `a <= b`.
#[inline]
pub fn le<F: Host>(a: F::Bits, b: F::Bits, env: &mut Env) -> bool {
    if comparable::<F>(a, b, env) { F::float(a) <= F::float(b) } else { crate::le::<F>(a, b, env) }
}

/// Lesser of `a` and `b`.
#[inline]
pub fn min<F: Host>(a: F::Bits, b: F::Bits, rule: MinMax, env: &mut Env) -> F::Bits {
    if comparable::<F>(a, b, env) {
        let (x, y) = (F::float(a), F::float(b));
        if x != y {
            return if x < y { a } else { b };
        }
    }
    crate::min::<F>(a, b, rule, env)
}

/// Greater of `a` and `b`.
#[inline]
pub fn max<F: Host>(a: F::Bits, b: F::Bits, rule: MinMax, env: &mut Env) -> F::Bits {
    if comparable::<F>(a, b, env) {
        let (x, y) = (F::float(a), F::float(b));
        if x != y {
            return if x > y { a } else { b };
        }
    }
    crate::max::<F>(a, b, rule, env)
}
