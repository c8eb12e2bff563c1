//! Fused multiply-add on host arithmetic: binary32 through binary64, binary64 by the algorithm of Boldo and Melquiond
//! ("Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE Transactions on
//! Computers 57(4), 2008) or by an instruction where the build has one.

use crate::env::{Env, Flags};
use crate::fast::arith::rounds_like_host;
use crate::fast::host::{exponent, is_denormal, is_normal, is_safe, is_zero};
use crate::format::{F32, F64, Format};

/// Whether `mul_add` of the host is an instruction; elsewhere it is a slow call, and not of every C library a correct one.
pub const HOST_HAS_FMA: bool = cfg!(any(
    target_feature = "fma",
    target_arch = "aarch64",
    target_arch = "riscv64",
    target_arch = "powerpc64",
    target_arch = "s390x",
    target_arch = "loongarch64"
));

/// `x + y` rounded and its exact error, barring overflow.
#[inline(always)]
fn two_sum(x: f64, y: f64) -> (f64, f64) {
    let sum = x + y;
    let y_part = sum - x;
    let x_part = sum - y_part;
    (sum, (x - x_part) + (y - y_part))
}

/// `x * y` rounded and its exact error, given that neither over- nor underflows (Veltkamp and Dekker).
#[inline(always)]
fn two_product(x: f64, y: f64) -> (f64, f64) {
    let product = x * y;
    if HOST_HAS_FMA {
        return (product, x.mul_add(y, -product));
    }
    let split = |v: f64| {
        let c = 134_217_729.0 * v;
        let high = c - (c - v);
        (high, v - high)
    };
    let ((xh, xl), (yh, yl)) = (split(x), split(y));
    (product, xl * yl - (((product - xh * yh) - xl * yh) - xh * yl))
}

/// `x + y` rounded to odd, barring overflow and underflow.
#[inline(always)]
fn sum_to_odd(x: f64, y: f64) -> f64 {
    let (sum, error) = two_sum(x, y);
    if error == 0.0 || sum.to_bits() & 1 != 0 {
        return sum;
    }
    // Both neighbours of an even significand are odd; the exact sum lies on the side of the error.
    let outwards = (error > 0.0) == (sum > 0.0);
    f64::from_bits(if outwards { sum.to_bits() + 1 } else { sum.to_bits() - 1 })
}

/// binary32 `a * b + c`. The product is exact in binary64, and a sum rounded to odd in 53 bits rounds to 24 bits as the
/// exact sum does, because 53 >= 24 + 2.
#[inline]
pub(super) fn mul_add_f32(a: u32, b: u32, c: u32, env: &mut Env) -> u32 {
    if rounds_like_host(env) && !is_denormal::<F32>(a) && !is_denormal::<F32>(b) && !is_denormal::<F32>(c) {
        let product = f64::from(f32::from_bits(a)) * f64::from(f32::from_bits(b));
        let sum = sum_to_odd(product, f64::from(f32::from_bits(c)));
        let result = sum as f32;
        if is_safe::<F32>(result.to_bits()) {
            if f64::from(result) != sum {
                env.raise(Flags::NX);
            }
            return result.to_bits();
        }
    }
    crate::mul_add::<F32>(a, b, c, env)
}

/// binary64 `a * b + c`.
#[inline]
pub(super) fn mul_add_f64(a: u64, b: u64, c: u64, env: &mut Env) -> u64 {
    if rounds_like_host(env) {
        if HOST_HAS_FMA && env.flags.contains(Flags::NX) {
            let result = f64::from_bits(a).mul_add(f64::from_bits(b), f64::from_bits(c)).to_bits();
            if is_safe::<F64>(result) && !is_denormal::<F64>(a) && !is_denormal::<F64>(b) && !is_denormal::<F64>(c) {
                return result;
            }
        } else if let Some(result) = emulated(a, b, c, env) {
            return result;
        }
    }
    crate::mul_add::<F64>(a, b, c, env)
}

/// Whether the exponent of `bits` is within `reach` of zero.
#[inline(always)]
fn is_moderate(bits: u64, reach: i32) -> bool {
    exponent::<F64>(bits).wrapping_sub(F64::BIAS - reach) as u32 <= 2 * reach as u32
}

/// The fused operation without an instruction for it, for operands whose exponents keep every intermediate normal:
/// factors within 2^±440 put the product within 2^±881 and its error above 2^-987, all far inside the range.
#[inline(always)]
fn emulated(a: u64, b: u64, c: u64, env: &mut Env) -> Option<u64> {
    if !is_moderate(a, 440) || !is_moderate(b, 440) {
        let zero_product = (is_zero::<F64>(a) && is_normal::<F64>(b)) || (is_zero::<F64>(b) && is_normal::<F64>(a));
        return (zero_product && is_normal::<F64>(c)).then_some(c);
    }
    if !is_moderate(c, 880) && !is_zero::<F64>(c) {
        return None;
    }
    let (product, product_error) = two_product(f64::from_bits(a), f64::from_bits(b));
    let (low, low_error) = two_sum(f64::from_bits(c), product_error);
    let (high, high_error) = two_sum(product, low);
    let rest = sum_to_odd(low_error, high_error);
    let (result, error) = two_sum(high, rest);
    // A zero result is an exact cancellation, +0 in this rounding mode. `rest` is odd, hence not a multiple of the last place of `result`, when rounding it lost anything.
    if error != 0.0 {
        env.raise(Flags::NX);
    }
    Some(result.to_bits())
}
