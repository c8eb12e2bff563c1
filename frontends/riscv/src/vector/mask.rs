//! Mask instructions (chapter 15).

use super::{R, V, Whole, family, whole};

family! {
    /// Logic on masks, bit by bit; the operands are the bits of `vs2` and `vs1`.
    Logic int V_MASK_LOGIC (fn(u64, u64) -> u64) by logic;
    And = |a, b| a & b;
    Nand = |a, b| !(a & b);
    Andn = |a, b| a & !b;
    Xor = |a, b| a ^ b;
    Or = |a, b| a | b;
    Nor = |a, b| !(a | b);
    Orn = |a, b| a | !b;
    Xnor = |a, b| !(a ^ b);
}

family! {
    /// What counts and finds bits.
    Bits int V_MASK_BITS (Whole) by whole;
    Cpop = population;
    First = first;
    SetBefore = |v| set_around(v, |before, _| before);
    SetIncluding = |v| set_around(v, |before, at| before || at);
    SetOnly = |v| set_around(v, |_, at| at);
    Iota = iota;
    Id = |v| {
        v.configured()?;
        let d = v.group(v.vd(), 0)?;
        v.spares_mask(d)?;
        v.each(|v, i| v.set(d.reg, i, d.eew, i))
    };
}

fn logic(v: &mut V<'_, '_>, f: fn(u64, u64) -> u64) -> R<u64> {
    v.configured()?;
    for i in v.vstart..v.vl {
        let value = f(v.get(v.vs2(), i, 1), v.get(v.vs1(), i, 1));
        v.set(v.vd(), i, 1, value);
    }
    v.complete(0)
}

fn is_set(v: &V<'_, '_>, i: u64) -> bool {
    v.active(i) && v.get(v.vs2(), i, 1) != 0
}

fn population(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    v.starts_at_zero()?;
    let count = (0..v.vl).filter(|&i| is_set(v, i)).count();
    v.complete(count as u64)
}

fn first(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    v.starts_at_zero()?;
    let found = (0..v.vl).find(|&i| is_set(v, i));
    v.complete(found.unwrap_or(u64::MAX))
}

/// `f` makes the result's bit of whether no set bit has been seen yet and none is here, and whether the first is here.
fn set_around(v: &mut V<'_, '_>, f: fn(bool, bool) -> bool) -> R<u64> {
    v.configured()?;
    v.starts_at_zero()?;
    let (d, a) = (v.mask(v.vd()), v.mask(v.vs2()));
    v.spares_mask(d)?;
    v.apart(d, a)?;
    let mut seen = false;
    v.each(|v, i| {
        let at = !seen && v.get(a.reg, i, 1) != 0;
        seen |= at;
        v.set(d.reg, i, 1, u64::from(f(!seen, at)));
    })
}

fn iota(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    v.starts_at_zero()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.mask(v.vs2()));
    v.spares_mask(d)?;
    v.apart(d, a)?;
    let mut count = 0;
    v.each(|v, i| {
        v.set(d.reg, i, d.eew, count);
        count += v.get(a.reg, i, 1);
    })
}
