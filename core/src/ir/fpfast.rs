//! The same floating-point operations on host arithmetic where it provably agrees, for slow paths that are not that slow.
//!
//! `tern_softfloat::fast` returns the bits and flags of its namesakes in the crate root, which are the reference.

use super::Op;
use super::fp::{Fmt, FpAttr, INT_STYLES, MIN_MAX_RULES, eval_fp, fma_signs};
use tern_softfloat::fast;
use tern_softfloat::{Env, F32, F64};

/// [`eval_fp`], faster.
#[must_use]
pub fn eval_fp_host(op: Op, attr: FpAttr, args: [u64; 3], env: &mut Env) -> u64 {
    let [x, y, z] = if op == Op::FMulAdd { fma_signs(attr, args) } else { args };
    let (a, b, c) = (x as u32, y as u32, z as u32);
    let rm = env.rm;
    let rule = MIN_MAX_RULES[usize::from(attr.kind) % MIN_MAX_RULES.len()];
    let style = INT_STYLES[usize::from(attr.kind) % INT_STYLES.len()];
    match (attr.fmt, op) {
        (Fmt::F32, Op::FAdd) => u64::from(fast::add::<F32>(a, b, env)),
        (Fmt::F64, Op::FAdd) => fast::add::<F64>(x, y, env),
        (Fmt::F32, Op::FSub) => u64::from(fast::sub::<F32>(a, b, env)),
        (Fmt::F64, Op::FSub) => fast::sub::<F64>(x, y, env),
        (Fmt::F32, Op::FMul) => u64::from(fast::mul::<F32>(a, b, env)),
        (Fmt::F64, Op::FMul) => fast::mul::<F64>(x, y, env),
        (Fmt::F32, Op::FDiv) => u64::from(fast::div::<F32>(a, b, env)),
        (Fmt::F64, Op::FDiv) => fast::div::<F64>(x, y, env),
        (Fmt::F32, Op::FSqrt) => u64::from(fast::sqrt::<F32>(a, env)),
        (Fmt::F64, Op::FSqrt) => fast::sqrt::<F64>(x, env),
        (Fmt::F32, Op::FMulAdd) => u64::from(fast::mul_add_f32(a, b, c, env)),
        (Fmt::F64, Op::FMulAdd) => fast::mul_add_f64(x, y, z, env),
        (Fmt::F32, Op::FMin) => u64::from(fast::min::<F32>(a, b, rule, env)),
        (Fmt::F64, Op::FMin) => fast::min::<F64>(x, y, rule, env),
        (Fmt::F32, Op::FMax) => u64::from(fast::max::<F32>(a, b, rule, env)),
        (Fmt::F64, Op::FMax) => fast::max::<F64>(x, y, rule, env),
        (Fmt::F32, Op::FRint) => u64::from(fast::round_int::<F32>(a, rm, attr.kind & 1 != 0, env)),
        (Fmt::F64, Op::FRint) => fast::round_int::<F64>(x, rm, attr.kind & 1 != 0, env),
        (Fmt::F32, Op::FCvt) if attr.kind == Fmt::F64 as u8 => fast::f32_to_f64(a, env),
        (Fmt::F64, Op::FCvt) if attr.kind == Fmt::F32 as u8 => u64::from(fast::f64_to_f32(x, env)),
        (Fmt::F32, Op::FToS32) => fast::to_i32::<F32>(a, rm, style, env) as u32 as u64,
        (Fmt::F64, Op::FToS32) => fast::to_i32::<F64>(x, rm, style, env) as u32 as u64,
        (Fmt::F32, Op::FToU32) => u64::from(fast::to_u32::<F32>(a, rm, style, env)),
        (Fmt::F64, Op::FToU32) => u64::from(fast::to_u32::<F64>(x, rm, style, env)),
        (Fmt::F32, Op::FToS64) => fast::to_i64::<F32>(a, rm, style, env) as u64,
        (Fmt::F64, Op::FToS64) => fast::to_i64::<F64>(x, rm, style, env) as u64,
        (Fmt::F32, Op::FToU64) => fast::to_u64::<F32>(a, rm, style, env),
        (Fmt::F64, Op::FToU64) => fast::to_u64::<F64>(x, rm, style, env),
        (Fmt::F32, Op::FFromS32) => u64::from(fast::from_i32::<F32>(a as i32, env)),
        (Fmt::F64, Op::FFromS32) => fast::from_i32::<F64>(a as i32, env),
        (Fmt::F32, Op::FFromU32) => u64::from(fast::from_u32::<F32>(a, env)),
        (Fmt::F64, Op::FFromU32) => fast::from_u32::<F64>(a, env),
        (Fmt::F32, Op::FFromS64) => u64::from(fast::from_i64::<F32>(x as i64, env)),
        (Fmt::F64, Op::FFromS64) => fast::from_i64::<F64>(x as i64, env),
        (Fmt::F32, Op::FFromU64) => u64::from(fast::from_u64::<F32>(x, env)),
        (Fmt::F64, Op::FFromU64) => fast::from_u64::<F64>(x, env),
        _ => eval_fp(op, attr, args, env),
    }
}
