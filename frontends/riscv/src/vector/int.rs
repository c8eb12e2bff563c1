//! Integer and fixed-point arithmetic (chapters 11 and 12).

use super::{Group, R, V, family, ones, sext};
use crate::state::VCSR;

/// What an operation on one element can see besides its operands.
pub(crate) struct Element {
    /// Width of the narrow operands in bits.
    pub(crate) bits: u32,
    /// Fixed-point rounding mode.
    vxrm: u8,
    /// Something has saturated.
    sat: bool,
}

/// `a` is the element of `vs2`, `b` that of `vs1` or the scalar, both zero-extended; the result is cut to its width.
pub(crate) type Two = fn(a: u64, b: u64, e: &mut Element) -> u64;
/// The same with the old destination `d`.
pub(crate) type Three = fn(a: u64, b: u64, d: u64, e: &mut Element) -> u64;

impl Element {
    fn of(v: &V<'_, '_>) -> Element {
        Element { bits: v.sew, vxrm: (v.cx.state.get(VCSR) >> 1 & 3) as u8, sat: false }
    }

    fn note(&self, v: &mut V<'_, '_>) {
        if self.sat {
            let old = v.cx.state.get(VCSR);
            v.cx.state.set(VCSR, old | 1);
        }
    }

    pub(crate) fn s(&self, v: u64) -> i64 {
        sext(v, self.bits)
    }

    /// Twice as wide.
    fn s2(&self, v: u64) -> i64 {
        sext(v, 2 * self.bits)
    }

    /// A shift amount of an element of `bits` bits.
    fn amount(&self, b: u64) -> u32 {
        b as u32 & (self.bits - 1)
    }

    /// `a` rotated by less than its width.
    fn rotate_left(&self, a: u64, by: u32) -> u64 {
        a << by | a >> ((self.bits - by) & (self.bits - 1))
    }

    /// `value / 2^shift`, rounded as `vxrm` says (section 3.8).
    fn round(&self, value: i128, shift: u32) -> i128 {
        if shift == 0 {
            return value;
        }
        let lost = value & ((1 << shift) - 1);
        let half = 1 << (shift - 1);
        let odd = value >> shift & 1 != 0;
        let up = match self.vxrm {
            0 => lost >= half,
            1 => lost > half || (lost == half && odd),
            2 => false,
            _ => lost != 0 && !odd,
        };
        (value >> shift) + i128::from(up)
    }

    /// Saturates to a signed element.
    fn signed(&mut self, value: i128) -> u64 {
        let most = i128::from(ones(self.bits - 1));
        let kept = value.clamp(-most - 1, most);
        self.sat |= kept != value;
        kept as u64
    }

    /// Saturates to an unsigned element.
    fn unsigned(&mut self, value: i128) -> u64 {
        let kept = value.clamp(0, i128::from(ones(self.bits)));
        self.sat |= kept != value;
        kept as u64
    }
}

fn wide(v: i64) -> i128 {
    i128::from(v)
}

fn zext(v: u64) -> i128 {
    i128::from(v)
}

fn divide(a: i64, b: i64) -> i64 {
    if b == 0 { -1 } else { a.wrapping_div(b) }
}

fn remainder(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { a.wrapping_rem(b) }
}

family! {
    /// Operands and result have one width.
    Binary int V_BINARY (Two) by same_width;
    Add = |a, b, _| a.wrapping_add(b);
    Sub = |a, b, _| a.wrapping_sub(b);
    Rsub = |a, b, _| b.wrapping_sub(a);
    Minu = |a, b, _| a.min(b);
    Min = |a, b, e| e.s(a).min(e.s(b)) as u64;
    Maxu = |a, b, _| a.max(b);
    Max = |a, b, e| e.s(a).max(e.s(b)) as u64;
    And = |a, b, _| a & b;
    Or = |a, b, _| a | b;
    Xor = |a, b, _| a ^ b;
    Sll = |a, b, e| a << e.amount(b);
    Srl = |a, b, e| a >> e.amount(b);
    Sra = |a, b, e| (e.s(a) >> e.amount(b)) as u64;
    Mul = |a, b, _| a.wrapping_mul(b);
    Divu = |a, b, _| a.checked_div(b).unwrap_or(u64::MAX);
    Div = |a, b, e| divide(e.s(a), e.s(b)) as u64;
    Remu = |a, b, _| a.checked_rem(b).unwrap_or(a);
    Rem = |a, b, e| remainder(e.s(a), e.s(b)) as u64;
    Saddu = |a, b, e| e.unsigned(zext(a) + zext(b));
    Sadd = |a, b, e| e.signed(wide(e.s(a)) + wide(e.s(b)));
    Ssubu = |a, b, e| e.unsigned(zext(a) - zext(b));
    Ssub = |a, b, e| e.signed(wide(e.s(a)) - wide(e.s(b)));
    Aaddu = |a, b, e| e.round(zext(a) + zext(b), 1) as u64;
    Aadd = |a, b, e| e.round(wide(e.s(a)) + wide(e.s(b)), 1) as u64;
    Asubu = |a, b, e| e.round(zext(a) - zext(b), 1) as u64;
    Asub = |a, b, e| e.round(wide(e.s(a)) - wide(e.s(b)), 1) as u64;
    Ssrl = |a, b, e| e.round(zext(a), e.amount(b)) as u64;
    Ssra = |a, b, e| e.round(wide(e.s(a)), e.amount(b)) as u64;
    Andn = |a, b, _| a & !b;
    Rol = |a, b, e| e.rotate_left(a, e.amount(b));
    Ror = |a, b, e| e.rotate_left(a, e.amount(b.wrapping_neg()));
}

family! {
    /// High halves of products: not of 64-bit elements in the embedded subsets (section 18.2).
    High int V_HIGH (Two) by high;
    Mulhu = |a, b, e| ((u128::from(a) * u128::from(b)) >> e.bits) as u64;
    Mulhsu = |a, b, e| ((wide(e.s(a)) * zext(b)) >> e.bits) as u64;
    Mulh = |a, b, e| ((wide(e.s(a)) * wide(e.s(b))) >> e.bits) as u64;
    Smul = |a, b, e| { let product = e.round(wide(e.s(a)) * wide(e.s(b)), e.bits - 1); e.signed(product) };
}

family! {
    /// Carry-less products, of 64-bit elements alone (Zvbc).
    CarryLess int V_CARRY_LESS (Two) by carry_less;
    Low = |a, b, _| carry_less_product(a, b) as u64;
    High = |a, b, _| (carry_less_product(a, b) >> 64) as u64;
}

family! {
    /// One operand: the element and its width.
    One int V_ONE (fn(u64, u32) -> u64) by one;
    Brev8 = |a, _| a.reverse_bits().swap_bytes();
    Rev8 = |a, w| a.swap_bytes() >> (64 - w);
    Brev = |a, w| a.reverse_bits() >> (64 - w);
    Clz = |a, w| u64::from(a.leading_zeros() - (64 - w));
    Ctz = |a, w| u64::from(a.trailing_zeros().min(w));
    Cpop = |a, _| u64::from(a.count_ones());
}

family! {
    /// Multiply and accumulate.
    Accumulate int V_ACCUMULATE (Three) by accumulate;
    Macc = |a, b, d, _| d.wrapping_add(a.wrapping_mul(b));
    Nmsac = |a, b, d, _| d.wrapping_sub(a.wrapping_mul(b));
    Madd = |a, b, d, _| a.wrapping_add(d.wrapping_mul(b));
    Nmsub = |a, b, d, _| a.wrapping_sub(d.wrapping_mul(b));
}

family! {
    /// The result is twice as wide as the operands.
    Widen int V_WIDEN (Three) by widen;
    Addu = |a, b, _, _| a + b;
    Add = |a, b, _, e| (e.s(a) + e.s(b)) as u64;
    Subu = |a, b, _, _| a.wrapping_sub(b);
    Sub = |a, b, _, e| (e.s(a) - e.s(b)) as u64;
    Mulu = |a, b, _, _| a * b;
    Mulsu = |a, b, _, e| (e.s(a) as u64).wrapping_mul(b);
    Mul = |a, b, _, e| e.s(a).wrapping_mul(e.s(b)) as u64;
    Maccu = |a, b, d, _| d.wrapping_add(a * b);
    Macc = |a, b, d, e| d.wrapping_add(e.s(a).wrapping_mul(e.s(b)) as u64);
    Maccsu = |a, b, d, e| d.wrapping_add(a.wrapping_mul(e.s(b) as u64));
    Maccus = |a, b, d, e| d.wrapping_add((e.s(a) as u64).wrapping_mul(b));
    Sll = |a, b, _, e| a << (b as u32 & (2 * e.bits - 1));
}

family! {
    /// The result and the first operand are twice as wide as the second.
    WidenFirst int V_WIDEN_FIRST (Two) by widen_first;
    Addu = |a, b, _| a.wrapping_add(b);
    Add = |a, b, e| a.wrapping_add(e.s(b) as u64);
    Subu = |a, b, _| a.wrapping_sub(b);
    Sub = |a, b, e| a.wrapping_sub(e.s(b) as u64);
}

family! {
    /// The first operand is twice as wide as the result.
    Narrow int V_NARROW (Two) by narrow;
    Srl = |a, b, e| a >> (b as u32 & (2 * e.bits - 1));
    Sra = |a, b, e| (e.s2(a) >> (b as u32 & (2 * e.bits - 1))) as u64;
    Clipu = |a, b, e| { let v = e.round(zext(a), b as u32 & (2 * e.bits - 1)); e.unsigned(v) };
    Clip = |a, b, e| { let v = e.round(wide(e.s2(a)), b as u32 & (2 * e.bits - 1)); e.signed(v) };
}

family! {
    /// Comparisons; the result is a mask.
    Compare int V_COMPARE (fn(u64, u64, &Element) -> bool) by compare;
    Eq = |a, b, _| a == b;
    Ne = |a, b, _| a != b;
    Ltu = |a, b, _| a < b;
    Lt = |a, b, e| e.s(a) < e.s(b);
    Leu = |a, b, _| a <= b;
    Le = |a, b, e| e.s(a) <= e.s(b);
    Gtu = |a, b, _| a > b;
    Gt = |a, b, e| e.s(a) > e.s(b);
}

/// With carry or borrow.
pub(crate) type Carrying = fn(i128, i128, i128) -> i128;

family! {
    /// Sum and difference with the mask as carry (section 11.4).
    Carry int V_CARRY (Carrying) by carry;
    Adc = |a, b, c| a + b + c;
    Sbc = |a, b, c| a - b - c;
}

family! {
    /// Carry and borrow out, with the mask as carry in if the instruction is "masked".
    CarryOut int V_CARRY_OUT (Carrying) by carry_out;
    Adc = |a, b, c| a + b + c;
    Sbc = |a, b, c| a - b - c;
}

family! {
    /// Zero (false) and sign extension from a fraction of the width, as log2.
    Extend int V_EXTEND ((bool, i32)) by extend;
    Zero2 = (false, 1);
    Zero4 = (false, 2);
    Zero8 = (false, 3);
    Sign2 = (true, 1);
    Sign4 = (true, 2);
    Sign8 = (true, 3);
}

/// The second operand's group checked, if it is a vector.
fn second(v: &V<'_, '_>) -> R<Option<Group>> {
    v.vector_operand().then(|| v.group(v.vs1(), 0)).transpose()
}

fn same_width(v: &mut V<'_, '_>, f: Two) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    second(v)?;
    v.spares_mask(d)?;
    let mut e = Element::of(v);
    let sew = v.sew;
    let end = v.each(|v, i| {
        let value = f(v.get(a.reg, i, sew), v.second(i, sew), &mut e);
        v.set(d.reg, i, sew, value);
    });
    e.note(v);
    end
}

fn high(v: &mut V<'_, '_>, f: Two) -> R<u64> {
    v.require(v.sew < 64 || v.unit.full)?;
    same_width(v, f)
}

fn carry_less(v: &mut V<'_, '_>, f: Two) -> R<u64> {
    v.require(v.sew == 64)?;
    same_width(v, f)
}

fn carry_less_product(a: u64, b: u64) -> u128 {
    // No branch depends on operands (Zvkt).
    (0..64).fold(0, |sum, i| sum ^ u128::from(a & (b >> i & 1).wrapping_neg()) << i)
}

fn one(v: &mut V<'_, '_>, f: fn(u64, u32) -> u64) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    v.spares_mask(d)?;
    v.each(|v, i| {
        let value = f(v.get(a.reg, i, a.eew), a.eew);
        v.set(d.reg, i, d.eew, value);
    })
}

fn accumulate(v: &mut V<'_, '_>, f: Three) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    second(v)?;
    v.spares_mask(d)?;
    let mut e = Element::of(v);
    let sew = v.sew;
    v.each(|v, i| {
        let value = f(v.get(a.reg, i, sew), v.second(i, sew), v.get(d.reg, i, sew), &mut e);
        v.set(d.reg, i, sew, value);
    })
}

fn widen(v: &mut V<'_, '_>, f: Three) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 1)?, v.group(v.vs2(), 0)?);
    let b = second(v)?;
    v.spares_mask(d)?;
    v.overlap(d, a)?;
    b.map_or(Ok(()), |b| v.overlap(d, b))?;
    let mut e = Element::of(v);
    let sew = v.sew;
    v.each(|v, i| {
        let value = f(v.get(a.reg, i, sew), v.second(i, sew), v.get(d.reg, i, 2 * sew), &mut e);
        v.set(d.reg, i, 2 * sew, value);
    })
}

fn widen_first(v: &mut V<'_, '_>, f: Two) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 1)?, v.group(v.vs2(), 1)?);
    let b = second(v)?;
    v.spares_mask(d)?;
    b.map_or(Ok(()), |b| v.overlap(d, b))?;
    let mut e = Element::of(v);
    let sew = v.sew;
    v.each(|v, i| {
        let value = f(v.get(a.reg, i, 2 * sew), v.second(i, sew), &mut e);
        v.set(d.reg, i, 2 * sew, value);
    })
}

fn narrow(v: &mut V<'_, '_>, f: Two) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 1)?);
    second(v)?;
    v.spares_mask(d)?;
    v.overlap(d, a)?;
    let mut e = Element::of(v);
    let sew = v.sew;
    let end = v.each(|v, i| {
        let value = f(v.get(a.reg, i, 2 * sew), v.second(i, sew), &mut e);
        v.set(d.reg, i, sew, value);
    });
    e.note(v);
    end
}

/// Checks an instruction whose result is a mask; gives destination and first operand.
pub(crate) fn to_mask(v: &V<'_, '_>) -> R<(Group, Group)> {
    v.configured()?;
    let (d, a) = (v.mask(v.vd()), v.group(v.vs2(), 0)?);
    v.overlap(d, a)?;
    second(v)?.map_or(Ok(()), |b| v.overlap(d, b))?;
    Ok((d, a))
}

fn compare(v: &mut V<'_, '_>, f: fn(u64, u64, &Element) -> bool) -> R<u64> {
    let (d, a) = to_mask(v)?;
    let e = Element::of(v);
    let sew = v.sew;
    v.each(|v, i| {
        let value = f(v.get(a.reg, i, sew), v.second(i, sew), &e);
        v.set(d.reg, i, 1, u64::from(value));
    })
}

/// All of the body: the mask is an operand.
fn carries(v: &mut V<'_, '_>, mut f: impl FnMut(&mut V<'_, '_>, u64, i128)) -> R<u64> {
    for i in v.vstart..v.vl {
        let carry = if v.masked() { zext(v.get(0, i, 1)) } else { 0 };
        f(v, i, carry);
    }
    v.complete(0)
}

fn carry(v: &mut V<'_, '_>, f: Carrying) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    second(v)?;
    v.require(d.reg != 0)?;
    let sew = v.sew;
    carries(v, |v, i, c| {
        let value = f(zext(v.get(a.reg, i, sew)), zext(v.second(i, sew)), c);
        v.set(d.reg, i, sew, value as u64);
    })
}

fn carry_out(v: &mut V<'_, '_>, f: Carrying) -> R<u64> {
    let (d, a) = to_mask(v)?;
    let sew = v.sew;
    carries(v, |v, i, c| {
        let value = f(zext(v.get(a.reg, i, sew)), zext(v.second(i, sew)), c);
        v.set(d.reg, i, 1, (value >> sew) as u64 & 1);
    })
}

fn extend(v: &mut V<'_, '_>, (signed, factor): (bool, i32)) -> R<u64> {
    v.configured()?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), -factor)?);
    v.spares_mask(d)?;
    v.overlap(d, a)?;
    v.each(|v, i| {
        let value = v.get(a.reg, i, a.eew);
        v.set(d.reg, i, d.eew, if signed { sext(value, a.eew) as u64 } else { value });
    })
}
