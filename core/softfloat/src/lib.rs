//! tern-softfloat: IEEE 754 arithmetic, bit-exact on every host, with a hardware fast path.
//!
//! Operations are generic over a [`Format`] and work on encodings: `add::<F64>(a, b, &mut env)`. The [`Env`] carries the
//! rounding mode, the accrued [`Flags`] and the [`Style`], which is everything in which ISAs differ: NaN selection (one
//! [`NanTraits`] row each), tininess before or after rounding, flushing, the denormal flag, x87 precision control.
//! [`fast`] offers the binary32 and binary64 operations on host arithmetic wherever that gives the same bits and flags.
//!
//! ```
//! use tern_softfloat::{Env, F64, Flags, Rm, Style, fast, mul};
//!
//! let mut env = Env::with_rm(Style::RISCV, Rm::Rup);
//! let tenth = 0.1f64.to_bits();
//! assert_eq!(f64::from_bits(mul::<F64>(tenth, tenth, &mut env)), 0.010000000000000002);
//! assert_eq!(env.flags, Flags::NX);
//!
//! let mut env = Env::new(Style::RISCV);
//! assert_eq!(f64::from_bits(fast::add_f64(1f64.to_bits(), 2f64.to_bits(), &mut env)), 3.0);
//! assert!(env.flags.is_empty());
//! ```
//!
//! # How it works
//!
//! Operands are unpacked to a sign, an exponent and a 128-bit significand with its top bit set; every format has at
//! least 15 bits to spare below its precision. Operations produce an exact or jammed (last bit sticky) significand, and
//! one routine rounds, detects tininess and overflow, flushes, raises NX, UF and OF and packs (IEEE 754-2019 clauses
//! 4.3 and 7.4 to 7.6). Fused multiply-add works in 256 bits. Quotients and roots are integer divisions and integer
//! roots with their remainders as sticky bits.
//!
//! # Why not `rustc_apfloat` underneath
//!
//! `rustc_apfloat` is a well-kept port of LLVM's APFloat, and the oracle of `tests/apfloat.rs`. As the slow path it
//! would need a second implementation beside it: it has no square root, no rounding to odd, no choice of tininess rule
//! (it raises underflow by the delivered result), raises no overflow when rounding delivers the largest finite value,
//! and knows neither NaN styles nor denormal flags nor flushing nor precision control.
//!
//! # Sources
//!
//! IEEE 754-2019; RISC-V unprivileged ISA, chapters F, D, Q, Zfh, Zfa; Arm ARM DDI 0487, shared pseudocode
//! (`FPRound`, `FPProcessNaNs`, `FPProcessNaNs3`, `FPMulAdd`, `FPToFixed`); Intel SDM volume 1, chapters 4, 8, 10, 11,
//! 14 and volume 2; and what the rows of [`NanStyle`] name.
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
