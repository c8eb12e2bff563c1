//! Conversions and rounding to integral values on host arithmetic.

use crate::convert::IntStyle;
use crate::env::{Env, Flags, Rm};
use crate::fast::arith::rounds_like_host;
use crate::fast::host::{Host, is_denormal, is_nan, is_normal, is_safe, is_zero, magnitude};
use crate::format::{F32, F64, Format};

/// binary32 to binary64.
#[inline]
pub fn f32_to_f64(a: u32, env: &mut Env) -> u64 {
    if is_normal::<F32>(a) || is_zero::<F32>(a) {
        return f64::from(f32::from_bits(a)).to_bits();
    }
    crate::convert::<F32, F64>(a, env)
}

/// binary64 to binary32.
#[inline]
pub fn f64_to_f32(a: u64, env: &mut Env) -> u32 {
    if rounds_like_host(env) && !is_nan::<F64>(a) {
        let wide = f64::from_bits(a);
        let narrow = wide as f32;
        if is_safe::<F32>(narrow.to_bits()) {
            if f64::from(narrow) != wide {
                env.raise(Flags::NX);
            }
            return narrow.to_bits();
        }
    }
    crate::convert::<F64, F32>(a, env)
}

/// `value` rounded to an integral value; exact on every host.
#[inline(always)]
fn integral(value: f64, rm: Rm) -> Option<f64> {
    match rm {
        Rm::Rne => Some(value.round_ties_even()),
        Rm::Rtz => Some(value.trunc()),
        Rm::Rdn => Some(value.floor()),
        Rm::Rup => Some(value.ceil()),
        Rm::Rmm => Some(value.round()),
        Rm::Odd => None,
    }
}

/// `a` rounded to an integral value.
#[inline]
pub fn round_int<F: Host>(a: F::Bits, rm: Rm, exact: bool, env: &mut Env) -> F::Bits {
    let value = F::to_f64(F::float(a));
    if is_normal::<F>(a)
        && let Some(result) = integral(value, rm)
    {
        if exact && result != value {
            env.raise(Flags::NX);
        }
        return F::bits(F::from_f64(result));
    }
    crate::round_int::<F>(a, rm, exact, env)
}

/// `a` rounded to an `i64` if it is zero or normal and below 2^63 in magnitude, and whether that was inexact.
#[inline(always)]
fn to_integer<F: Host>(a: F::Bits, rm: Rm) -> Option<(i64, bool)> {
    let limit = u64::from(F::BIAS as u32 + 63) << F::FRAC_BITS;
    if is_denormal::<F>(a) || magnitude::<F>(a) >= limit {
        return None;
    }
    let value = F::to_f64(F::float(a));
    // The cast truncates.
    let integer = if rm == Rm::Rtz { value as i64 } else { integral(value, rm)? as i64 };
    Some((integer, integer as f64 != value))
}

macro_rules! to_integers {
    ($($(#[$doc:meta])* $name:ident -> $int:ty;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name<F: Host>(a: F::Bits, rm: Rm, style: IntStyle, env: &mut Env) -> $int {
            if let Some((integer, inexact)) = to_integer::<F>(a, rm)
                && let Ok(result) = <$int>::try_from(integer)
            {
                if inexact {
                    env.raise(Flags::NX);
                }
                return result;
            }
            crate::$name::<F>(a, rm, style, env)
        }
    )*};
}

to_integers! {
    /// `a` as an `i32`.
    to_i32 -> i32;
    /// `a` as a `u32`.
    to_u32 -> u32;
    /// `a` as an `i64`.
    to_i64 -> i64;
    /// `a` as a `u64`.
    to_u64 -> u64;
}

/// Whether `magnitude` has no more significant bits than the format.
#[inline(always)]
fn fits<F: Format>(magnitude: u64) -> bool {
    64 - magnitude.leading_zeros() <= F::PRECISION
        || 64 - magnitude.leading_zeros() - magnitude.trailing_zeros() <= F::PRECISION
}

/// `value` in format `F`.
#[inline]
pub fn from_i64<F: Host>(value: i64, env: &mut Env) -> F::Bits {
    if !fits::<F>(value.unsigned_abs()) {
        if !rounds_like_host(env) {
            return crate::from_i64::<F>(value, env);
        }
        env.raise(Flags::NX);
    }
    F::bits(F::from_i64(value))
}

/// `value` in format `F`.
#[inline]
pub fn from_u64<F: Host>(value: u64, env: &mut Env) -> F::Bits {
    if !fits::<F>(value) {
        if !rounds_like_host(env) {
            return crate::from_u64::<F>(value, env);
        }
        env.raise(Flags::NX);
    }
    F::bits(F::from_u64(value))
}

/// `value` in format `F`.
#[inline]
pub fn from_i32<F: Host>(value: i32, env: &mut Env) -> F::Bits {
    from_i64::<F>(i64::from(value), env)
}

/// `value` in format `F`.
#[inline]
pub fn from_u32<F: Host>(value: u32, env: &mut Env) -> F::Bits {
    from_u64::<F>(u64::from(value), env)
}
