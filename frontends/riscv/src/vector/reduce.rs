//! Reductions (chapter 14).

use super::fp::{Floats, check_float};
use super::{R, V, family, sext};
use tern_core::ir::Op;

family! {
    /// Integers; operands and result are zero-extended, of the given width.
    Reduce int V_REDUCE (fn(u64, u64, u32) -> u64) by reduce;
    Sum = |a, b, _| a.wrapping_add(b);
    And = |a, b, _| a & b;
    Or = |a, b, _| a | b;
    Xor = |a, b, _| a ^ b;
    Minu = |a, b, _| a.min(b);
    Min = |a, b, w| sext(a, w).min(sext(b, w)) as u64;
    Maxu = |a, b, _| a.max(b);
    Max = |a, b, w| sext(a, w).max(sext(b, w)) as u64;
}

family! {
    /// Sums of integers twice as wide as the elements: signed?
    ReduceWide int V_REDUCE_WIDE (bool) by reduce_wide;
    Sumu = false;
    Sum = true;
}

family! {
    /// Floating-point numbers.  The unordered sum is computed in order, which is one of the orders allowed.
    ReduceFloat float V_REDUCE_FLOAT (Op) by reduce_float;
    Sum = Op::FAdd;
    Min = Op::FMin;
    Max = Op::FMax;
}

family! {
    /// Sum of floating-point numbers, twice as wide.
    ReduceFloatWide float V_REDUCE_FLOAT_WIDE (()) by |v, ()| reduce_float_wide(v);
    Sum = ();
}

/// Folds the active elements of `vs2` into element 0 of `vs1`, of width `wide`.
fn fold(v: &mut V<'_, '_>, wide: u32, mut f: impl FnMut(u64, u64) -> u64) -> R<u64> {
    v.starts_at_zero()?;
    let a = v.group(v.vs2(), 0)?;
    v.require(wide <= u32::from(v.unit.elen))?;
    if v.vl > 0 {
        let mut sum = v.get(v.vs1(), 0, wide);
        for i in 0..v.vl {
            if v.active(i) {
                sum = f(sum, v.get(a.reg, i, a.eew));
            }
        }
        v.set(v.vd(), 0, wide, sum);
    }
    v.complete(0)
}

fn reduce(v: &mut V<'_, '_>, f: fn(u64, u64, u32) -> u64) -> R<u64> {
    v.configured()?;
    let sew = v.sew;
    fold(v, sew, |a, b| f(a, b, sew))
}

fn reduce_wide(v: &mut V<'_, '_>, signed: bool) -> R<u64> {
    v.configured()?;
    let sew = v.sew;
    fold(v, 2 * sew, |a, b| a.wrapping_add(if signed { sext(b, sew) as u64 } else { b }))
}

fn reduce_float(v: &mut V<'_, '_>, op: Op) -> R<u64> {
    v.configured()?;
    let sew = v.sew;
    check_float(v, sew)?;
    let mut floats = Floats::of(v, sew);
    let end = fold(v, sew, |a, b| floats.op(op, a, b, 0));
    floats.note(v);
    end
}

fn reduce_float_wide(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    let sew = v.sew;
    check_float(v, sew)?;
    check_float(v, 2 * sew)?;
    let mut floats = Floats::of(v, 2 * sew);
    let end = fold(v, 2 * sew, |a, b| {
        let b = floats.widen(b);
        floats.op(Op::FAdd, a, b, 0)
    });
    floats.note(v);
    end
}
