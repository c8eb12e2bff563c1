//! tern-softfloat: IEEE 754 arithmetic, bit-exact on every host, with a hardware fast path.
#![forbid(unsafe_code)]

mod arith;
mod compare;
mod convert;
mod env;
pub mod fast;
mod fma;
mod format;
mod parts;
mod rem;
mod style;
mod wide;

pub use arith::{add, div, mul, sqrt, sub};
pub use compare::{MinMax, classify, compare, eq, le, le_quiet, lt, lt_quiet, max, min};
pub use convert::{
    IntFormat, IntStyle, convert, from_i32, from_i64, from_int, from_u32, from_u64, round_int, to_i32, to_i32_modular,
    to_i64, to_int, to_u32, to_u64,
};
pub use env::{Env, Flags, Rm};
pub use fma::{MulAdd, mul_add, mul_add_with};
pub use format::{BF16, F16, F32, F64, F128, Format, IntegerBit, M68kX, X87};
pub use rem::{Quotient, rem, rem_with_quotient};
pub use style::{
    DefaultFraction, DenormalFlag, FlushRule, InfZeroNan, NanStyle, NanTraits, Quieting, Style, Three, Two,
    X87Precision,
};
