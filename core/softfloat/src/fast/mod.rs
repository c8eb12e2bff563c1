//! The hardware fast path: binary32 and binary64 operations on the host's arithmetic where that provably gives the
//! same bits and flags, and the soft path everywhere else.
//!
//! Host arithmetic rounds to nearest even and shows no flags. An operation runs on it when the environment asks for
//! that rounding and every operand is zero or normal and the result is zero by construction or lies strictly above the
//! smallest normal number and is finite: then no NaN, no invalid, no division by zero, no overflow, no tininess and no
//! flushing is involved and NX is the only flag in question. If NX is already set there is nothing left to find out;
//! else the rounding error decides: the error term of `TwoSum` for sums (Knuth, TAOCP volume 2, 4.2.2), trailing zeros
//! of the significands for products, and multiplying back for quotients and roots. Conversions and comparisons follow
//! the same rule with tests of their own.
//!
//! Every function here returns the bits and raises the flags of its namesake in the crate root; the tests hold the two
//! against each other.

mod arith;
mod convert;
mod fma;
mod host;

pub use arith::{add, div, eq, le, lt, max, min, mul, sqrt, sub};
pub use convert::{f32_to_f64, f64_to_f32, from_i32, from_i64, from_u32, from_u64, round_int};
pub use convert::{to_i32, to_i64, to_u32, to_u64};
pub use fma::HOST_HAS_FMA;
pub use host::{HOST_IS_IEEE, Host};

use crate::compare::MinMax;
use crate::convert::IntStyle;
use crate::env::{Env, Rm};
use crate::format::{F32, F64};

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $op:path: ($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name($($arg: $ty,)* env: &mut Env) -> $ret {
            $op($($arg,)* env)
        }
    )*};
}

named! {
    /// binary32 `a + b`.
    add_f32 = add::<F32>: (a: u32, b: u32) -> u32;
    /// binary64 `a + b`.
    add_f64 = add::<F64>: (a: u64, b: u64) -> u64;
    /// binary32 `a - b`.
    sub_f32 = sub::<F32>: (a: u32, b: u32) -> u32;
    /// binary64 `a - b`.
    sub_f64 = sub::<F64>: (a: u64, b: u64) -> u64;
    /// binary32 `a * b`.
    mul_f32 = mul::<F32>: (a: u32, b: u32) -> u32;
    /// binary64 `a * b`.
    mul_f64 = mul::<F64>: (a: u64, b: u64) -> u64;
    /// binary32 `a / b`.
    div_f32 = div::<F32>: (a: u32, b: u32) -> u32;
    /// binary64 `a / b`.
    div_f64 = div::<F64>: (a: u64, b: u64) -> u64;
    /// binary32 square root.
    sqrt_f32 = sqrt::<F32>: (a: u32) -> u32;
    /// binary64 square root.
    sqrt_f64 = sqrt::<F64>: (a: u64) -> u64;
    /// binary32 `a * b + c`, fused.
    mul_add_f32 = fma::mul_add_f32: (a: u32, b: u32, c: u32) -> u32;
    /// binary64 `a * b + c`, fused.
    mul_add_f64 = fma::mul_add_f64: (a: u64, b: u64, c: u64) -> u64;
    /// binary32 quiet `a == b`.
    eq_f32 = eq::<F32>: (a: u32, b: u32) -> bool;
    /// binary64 quiet `a == b`.
    eq_f64 = eq::<F64>: (a: u64, b: u64) -> bool;
    /// binary32 signalling `a < b`.
    lt_f32 = lt::<F32>: (a: u32, b: u32) -> bool;
    /// binary64 signalling `a < b`.
    lt_f64 = lt::<F64>: (a: u64, b: u64) -> bool;
    /// binary32 signalling `a <= b`.
    le_f32 = le::<F32>: (a: u32, b: u32) -> bool;
    /// binary64 signalling `a <= b`.
    le_f64 = le::<F64>: (a: u64, b: u64) -> bool;
    /// binary32 minimum.
    min_f32 = min::<F32>: (a: u32, b: u32, rule: MinMax) -> u32;
    /// binary64 minimum.
    min_f64 = min::<F64>: (a: u64, b: u64, rule: MinMax) -> u64;
    /// binary32 maximum.
    max_f32 = max::<F32>: (a: u32, b: u32, rule: MinMax) -> u32;
    /// binary64 maximum.
    max_f64 = max::<F64>: (a: u64, b: u64, rule: MinMax) -> u64;
    /// binary32 rounded to an integral value.
    round_int_f32 = round_int::<F32>: (a: u32, rm: Rm, exact: bool) -> u32;
    /// binary64 rounded to an integral value.
    round_int_f64 = round_int::<F64>: (a: u64, rm: Rm, exact: bool) -> u64;
    /// binary32 to `i32`.
    f32_to_i32 = to_i32::<F32>: (a: u32, rm: Rm, style: IntStyle) -> i32;
    /// binary64 to `i32`.
    f64_to_i32 = to_i32::<F64>: (a: u64, rm: Rm, style: IntStyle) -> i32;
    /// binary32 to `u32`.
    f32_to_u32 = to_u32::<F32>: (a: u32, rm: Rm, style: IntStyle) -> u32;
    /// binary64 to `u32`.
    f64_to_u32 = to_u32::<F64>: (a: u64, rm: Rm, style: IntStyle) -> u32;
    /// binary32 to `i64`.
    f32_to_i64 = to_i64::<F32>: (a: u32, rm: Rm, style: IntStyle) -> i64;
    /// binary64 to `i64`.
    f64_to_i64 = to_i64::<F64>: (a: u64, rm: Rm, style: IntStyle) -> i64;
    /// binary32 to `u64`.
    f32_to_u64 = to_u64::<F32>: (a: u32, rm: Rm, style: IntStyle) -> u64;
    /// binary64 to `u64`.
    f64_to_u64 = to_u64::<F64>: (a: u64, rm: Rm, style: IntStyle) -> u64;
    /// `i32` to binary32.
    i32_to_f32 = from_i32::<F32>: (value: i32) -> u32;
    /// `i32` to binary64.
    i32_to_f64 = from_i32::<F64>: (value: i32) -> u64;
    /// `u32` to binary32.
    u32_to_f32 = from_u32::<F32>: (value: u32) -> u32;
    /// `u32` to binary64.
    u32_to_f64 = from_u32::<F64>: (value: u32) -> u64;
    /// `i64` to binary32.
    i64_to_f32 = from_i64::<F32>: (value: i64) -> u32;
    /// `i64` to binary64.
    i64_to_f64 = from_i64::<F64>: (value: i64) -> u64;
    /// `u64` to binary32.
    u64_to_f32 = from_u64::<F32>: (value: u64) -> u32;
    /// `u64` to binary64.
    u64_to_f64 = from_u64::<F64>: (value: u64) -> u64;
}
