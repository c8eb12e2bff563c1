//! Permutations, merges and moves (chapters 11.15, 11.16, 13.15, 13.16 and 16).

use super::fp::unboxed;
use super::{R, V, Whole, family, sext, whole};

family! {
    /// Instructions without floating-point operands.
    Permute int V_PERMUTE (Whole) by whole;
    SlideUp = slide_up;
    SlideDown = slide_down;
    Slide1Up = slide_1_up;
    Slide1Down = slide_1_down;
    Gather = gather;
    Gather16 = |v| gather_by(v, 4 - v.sew.trailing_zeros() as i32 );
    Compress = compress;
    Merge = merge;
    Splat = splat;
    WholeMove = whole_move;
    ToX = |v| {
        v.configured()?;
        let value = sext(v.get(v.vs2(), 0, v.sew), v.sew);
        v.complete(value as u64)
    };
    FromX = from_scalar;
}

family! {
    /// Instructions with a floating-point scalar.
    PermuteFloat float V_PERMUTE_FLOAT (Whole) by with_float;
    Slide1Up = slide_1_up;
    Slide1Down = slide_1_down;
    Merge = merge;
    Splat = splat;
    ToF = |v| {
        let value = v.get(v.vs2(), 0, v.sew);
        v.complete(if v.sew == 64 { value } else { value | u64::MAX << v.sew })
    };
    FromF = from_scalar;
}

fn with_float(v: &mut V<'_, '_>, f: Whole) -> R<u64> {
    v.configured()?;
    v.scalar = unboxed(v)?;
    f(v)
}

/// An index or offset from a scalar register.
fn index(v: &V<'_, '_>) -> u64 {
    if v.unit.rv32 { v.scalar & 0xffff_ffff } else { v.scalar }
}

fn slide_up(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    v.spares_mask(d)?;
    v.apart(d, a)?;
    let offset = index(v);
    v.each(|v, i| {
        if i >= offset {
            v.set(d.reg, i, d.eew, v.get(a.reg, i - offset, a.eew));
        }
    })
}

fn slide_down(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    v.spares_mask(d)?;
    let (offset, vlmax) = (index(v), v.vlmax());
    v.each(|v, i| {
        let from = i.saturating_add(offset);
        let value = if from < vlmax { v.get(a.reg, from, a.eew) } else { 0 };
        v.set(d.reg, i, d.eew, value);
    })
}

fn slide_1_up(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    v.spares_mask(d)?;
    v.apart(d, a)?;
    v.each(|v, i| {
        let value = if i == 0 { v.scalar } else { v.get(a.reg, i - 1, a.eew) };
        v.set(d.reg, i, d.eew, value);
    })
}

fn slide_1_down(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    v.spares_mask(d)?;
    v.each(|v, i| {
        let value = if i + 1 == v.vl { v.scalar } else { v.get(a.reg, i + 1, a.eew) };
        v.set(d.reg, i, d.eew, value);
    })
}

fn gather(v: &mut V<'_, '_>) -> R<u64> {
    gather_by(v, 0)
}

/// Indices are as wide as elements, times 2 to the power `scale`.
fn gather_by(v: &mut V<'_, '_>, scale: i32) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    v.spares_mask(d)?;
    v.apart(d, a)?;
    let by = v.vector_operand().then(|| v.group(v.vs1(), scale)).transpose()?;
    by.map_or(Ok(()), |by| v.apart(d, by))?;
    let vlmax = v.vlmax();
    v.each(|v, i| {
        let from = by.map_or(index(v), |by| v.get(by.reg, i, by.eew));
        let value = if from < vlmax { v.get(a.reg, from, a.eew) } else { 0 };
        v.set(d.reg, i, d.eew, value);
    })
}

fn compress(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    v.starts_at_zero()?;
    let (d, a, by) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?, v.mask(v.vs1()));
    v.apart(d, a)?;
    v.apart(d, by)?;
    let mut to = 0;
    for i in 0..v.vl {
        if v.get(by.reg, i, 1) != 0 {
            v.set(d.reg, to, d.eew, v.get(a.reg, i, a.eew));
            to += 1;
        }
    }
    v.complete(0)
}

fn merge(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    if v.vector_operand() {
        v.group(v.vs1(), 0)?;
    }
    v.spares_mask(d)?;
    for i in v.vstart..v.vl {
        let value = if v.get(0, i, 1) != 0 { v.second(i, d.eew) } else { v.get(a.reg, i, a.eew) };
        v.set(d.reg, i, d.eew, value);
    }
    v.complete(0)
}

/// `vmv.v.*`: also copies a vector.
fn splat(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    let d = v.group(v.vd(), 0)?;
    if v.vector_operand() {
        v.group(v.vs1(), 0)?;
    }
    v.each(|v, i| v.set(d.reg, i, d.eew, v.second(i, d.eew)))
}

fn from_scalar(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    if v.vstart < v.vl {
        v.set(v.vd(), 0, v.sew, v.scalar);
    }
    v.complete(0)
}

/// [`V::scalar`] is the number of registers.
fn whole_move(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    let count = v.scalar as u32;
    let (d, a) = (v.vd(), v.vs2());
    v.require(d.is_multiple_of(count) && a.is_multiple_of(count))?;
    for i in v.vstart..u64::from(count) * u64::from(v.unit.vlen / v.sew) {
        v.set(d, i, v.sew, v.get(a, i, v.sew));
    }
    v.complete(0)
}
