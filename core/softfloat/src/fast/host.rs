//! Host floating-point types behind the formats, and the tests on encodings that the fast path branches on.

use core::fmt::Debug;
use core::ops::{Add, Div, Mul, Sub};

use crate::format::{F32, F64, Format};

/// False on hosts whose `f32` and `f64` arithmetic carries excess precision: x87 and 68881.
pub const HOST_IS_IEEE: bool = !cfg!(any(all(target_arch = "x86", not(target_feature = "sse2")), target_arch = "m68k"));

/// A format that the host has a type for.
pub trait Host: Format {
    /// That type.
    type Float: Copy
        + Debug
        + PartialOrd
        + Add<Output = Self::Float>
        + Sub<Output = Self::Float>
        + Mul<Output = Self::Float>
        + Div<Output = Self::Float>;

    /// The host value of an encoding.
    fn float(bits: Self::Bits) -> Self::Float;
    /// The encoding of a host value that is not a NaN.
    fn bits(value: Self::Float) -> Self::Bits;
    /// Widens an encoding.
    fn to_u64(bits: Self::Bits) -> u64;
    /// Correctly rounded square root.
    fn sqrt(value: Self::Float) -> Self::Float;
    /// Exact widening.
    fn to_f64(value: Self::Float) -> f64;
    /// Narrowing of a value that the format can represent.
    fn from_f64(value: f64) -> Self::Float;
    /// Rounded conversion.
    fn from_i64(value: i64) -> Self::Float;
    /// Rounded conversion.
    fn from_u64(value: u64) -> Self::Float;
}

macro_rules! host {
    ($format:ty, $float:ty, $bits:ty) => {
        impl Host for $format {
            type Float = $float;
            #[inline(always)]
            fn float(bits: $bits) -> $float {
                <$float>::from_bits(bits)
            }
            #[inline(always)]
            fn bits(value: $float) -> $bits {
                value.to_bits()
            }
            #[inline(always)]
            fn to_u64(bits: $bits) -> u64 {
                u64::from(bits)
            }
            #[inline(always)]
            fn sqrt(value: $float) -> $float {
                value.sqrt()
            }
            #[inline(always)]
            fn to_f64(value: $float) -> f64 {
                f64::from(value)
            }
            #[inline(always)]
            fn from_f64(value: f64) -> $float {
                value as $float
            }
            #[inline(always)]
            fn from_i64(value: i64) -> $float {
                value as $float
            }
            #[inline(always)]
            fn from_u64(value: u64) -> $float {
                value as $float
            }
        }
    };
}

host!(F32, f32, u32);
host!(F64, f64, u64);

/// The encoding without its sign.
#[inline(always)]
pub(super) fn magnitude<F: Host>(bits: F::Bits) -> u64 {
    F::to_u64(bits) & (F::to_u64(F::NEG_ZERO) - 1)
}

#[inline(always)]
pub(super) fn is_zero<F: Host>(bits: F::Bits) -> bool {
    magnitude::<F>(bits) == 0
}

#[inline(always)]
pub(super) fn is_denormal<F: Host>(bits: F::Bits) -> bool {
    magnitude::<F>(bits).wrapping_sub(1) < F::to_u64(F::MIN_NORMAL) - 1
}

#[inline(always)]
pub(super) fn is_nan<F: Host>(bits: F::Bits) -> bool {
    magnitude::<F>(bits) > F::to_u64(F::INFINITY)
}

#[inline(always)]
pub(super) fn is_normal<F: Host>(bits: F::Bits) -> bool {
    magnitude::<F>(bits).wrapping_sub(F::to_u64(F::MIN_NORMAL)) < F::to_u64(F::INFINITY) - F::to_u64(F::MIN_NORMAL)
}

/// Finite and strictly above the smallest normal: a rounded result like this was neither tiny nor an overflow.
#[inline(always)]
pub(super) fn is_safe<F: Host>(bits: F::Bits) -> bool {
    let above = F::to_u64(F::MIN_NORMAL) + 1;
    magnitude::<F>(bits).wrapping_sub(above) < F::to_u64(F::INFINITY) - above
}

/// The exponent field.
#[inline(always)]
pub(super) fn exponent<F: Host>(bits: F::Bits) -> i32 {
    (magnitude::<F>(bits) >> F::FRAC_BITS) as i32
}

/// Trailing zeros of the significand of a normal number.
#[inline(always)]
pub(super) fn trailing_zeros<F: Host>(bits: F::Bits) -> i32 {
    (F::to_u64(bits) | 1 << F::FRAC_BITS).trailing_zeros() as i32
}
