//! Fused multiply-add (IEEE 754-2019 clause 5.4.1, fusedMultiplyAdd).

use crate::arith::zero_sum_sign;
use crate::env::{Env, Rm};
use crate::format::Format;
use crate::parts::{Parts, denormals_used, infinity, invalid, nan_three, round_pack_controlled, unpack, zero};
use crate::wide::U256;

/// What a fused multiply-add does besides `a * b + c`. Negations here leave NaN operands alone, as x86 and Power do;
/// an ISA that negates operands first (Arm) flips their sign bits before the call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MulAdd {
    /// Negate the product.
    pub negate_product: bool,
    /// Negate the addend.
    pub negate_addend: bool,
    /// Negate the rounded result unless it is a NaN (Power `fnmadd`).
    pub negate_result: bool,
    /// Halve the exact sum before rounding (Arm `FRSQRTS`).
    pub halve: bool,
}

/// `a * b + c`, rounded once.
pub fn mul_add<F: Format>(a: F::Bits, b: F::Bits, c: F::Bits, env: &mut Env) -> F::Bits {
    mul_add_with::<F>(a, b, c, MulAdd::default(), env)
}

/// As [`mul_add`] with the variations of `op`.
pub fn mul_add_with<F: Format>(a: F::Bits, b: F::Bits, c: F::Bits, op: MulAdd, env: &mut Env) -> F::Bits {
    let (a, b, c) = (unpack::<F>(a, env), unpack::<F>(b, env), unpack::<F>(c, env));
    let inf_zero = (a.is_inf() && b.is_zero()) || (a.is_zero() && b.is_inf());
    if a.is_nan() || b.is_nan() || c.is_nan() {
        return nan_three::<F>(&a, &b, &c, inf_zero, env);
    }
    let product_sign = a.sign ^ b.sign ^ op.negate_product;
    let c = c.negated(op.negate_addend);
    let product_inf = a.is_inf() || b.is_inf();
    if inf_zero || (product_inf && c.is_inf() && c.sign != product_sign) {
        return invalid::<F>(env);
    }
    denormals_used(&[&a, &b, &c], env);
    let result = if product_inf || c.is_inf() {
        infinity::<F>(if product_inf { product_sign } else { c.sign })
    } else if a.is_zero() || b.is_zero() {
        if c.is_zero() {
            zero::<F>(zero_sum_sign(product_sign, c.sign, env.rm))
        } else {
            round_pack_controlled::<F>(c.sign, c.exp - i32::from(op.halve), c.sig, env)
        }
    } else {
        fused::<F>(&a, &b, &c, product_sign, op.halve, env)
    };
    if op.negate_result { F::from_u128(F::to_u128(result) ^ F::to_u128(F::NEG_ZERO)) } else { result }
}

/// The sum of a finite non-zero product and a finite or zero addend.
fn fused<F: Format>(a: &Parts, b: &Parts, c: &Parts, product_sign: bool, halve: bool, env: &mut Env) -> F::Bits {
    // Bit 254 weighs 2^exp from here on and both operands lie below 2^255, so that no sum wraps. The products of the
    // widest format have 226 bits: the headroom costs nothing, and a jammed operand lies far below the rounding position
    // of whatever it is added to.
    let product = U256::product(a.sig, b.sig).shr_jam(1);
    let product_exp = a.exp + b.exp + 1;
    let (sum, sign, exp) = if c.is_zero() {
        (product, product_sign, product_exp)
    } else {
        let addend = U256 { hi: c.sig >> 1, lo: 0 };
        let exp = product_exp.max(c.exp);
        let product = product.shr_jam(exp.abs_diff(product_exp));
        let addend = addend.shr_jam(exp.abs_diff(c.exp));
        if product_sign == c.sign {
            (product.add(addend), product_sign, exp)
        } else if product == addend {
            return zero::<F>(env.rm == Rm::Rdn);
        } else if product > addend {
            (product.sub(addend), product_sign, exp)
        } else {
            (addend.sub(product), c.sign, exp)
        }
    };
    let (sig, shift) = sum.normalise();
    round_pack_controlled::<F>(sign, exp + 1 - shift as i32 - i32::from(halve), sig, env)
}
