//! Floating-point arithmetic (chapter 13).

use super::{Group, R, Unit, V, family, ones};
use tern_core::ir::Op;
use tern_core::ir::fp::{Fmt, FpAttr, env_of};
use tern_core::ir::fpfast::eval_fp_host;
use tern_core::state::Slot;
use tern_softfloat::{Env, Flags, Rm, Style};

/// The arithmetic of one instruction: a format, the rounding mode, the flags so far.
pub(crate) struct Floats {
    pub(crate) fmt: Fmt,
    pub(crate) env: Env,
    /// Width in bits.
    bits: u32,
}

/// The format of elements of this width, 16, 32 or 64.
pub(crate) fn format_of(bits: u32) -> Fmt {
    match bits {
        16 => Fmt::F16,
        32 => Fmt::F32,
        _ => Fmt::F64,
    }
}

/// Is there arithmetic on elements of this width?
pub(crate) fn check_float(v: &V<'_, '_>, bits: u32) -> R<()> {
    let there = match bits {
        16 => Unit::F16,
        32 => Unit::F32,
        64 => Unit::F64,
        _ => 0,
    };
    v.require(v.unit.fp & there != 0)
}

/// The scalar operand of a floating-point register as an element: the default NaN unless it is boxed.
pub(crate) fn unboxed(v: &V<'_, '_>) -> R<u64> {
    check_float(v, v.sew)?;
    let boxed = v.sew == 64 || v.scalar >> v.sew == u64::MAX >> v.sew;
    let nan = if v.sew == 16 { 0x7e00 } else { 0x7fc0_0000 };
    Ok(if boxed { v.scalar & ones(v.sew) } else { nan })
}

impl Floats {
    pub(crate) fn of(v: &V<'_, '_>, bits: u32) -> Floats {
        let fmt = format_of(bits);
        Floats { fmt, env: env_of(v.cx.state, &[Style::RISCV; 4], FpAttr::new(fmt)), bits }
    }

    /// Accrues the flags.
    pub(crate) fn note(&self, v: &mut V<'_, '_>) {
        v.cx.state.set(Slot::fp_flags(0), u64::from(self.env.flags.0));
    }

    pub(crate) fn op(&mut self, op: Op, a: u64, b: u64, c: u64) -> u64 {
        eval_fp_host(op, FpAttr::new(self.fmt), [a, b, c], &mut self.env)
    }

    /// From the format half as wide.
    pub(crate) fn widen(&mut self, a: u64) -> u64 {
        let narrow = FpAttr::new(format_of(self.bits / 2)).kind(self.fmt as u8);
        eval_fp_host(Op::FCvt, narrow, [a, 0, 0], &mut self.env)
    }

    fn sign(&self) -> u64 {
        1 << (self.bits - 1)
    }

    fn fused(&mut self, a: u64, b: u64, c: u64) -> u64 {
        self.op(Op::FMulAdd, a, b, c)
    }

    fn test(&mut self, op: Op, a: u64, b: u64) -> bool {
        self.op(op, a, b, 0) & 1 != 0
    }
}

/// `a` is the element of `vs2`, `b` that of `vs1` or the scalar.
type Two = fn(f: &mut Floats, a: u64, b: u64) -> u64;
/// The same with the old destination `d`.
type Three = fn(f: &mut Floats, a: u64, b: u64, d: u64) -> u64;

family! {
    /// Operands and result have one width.
    Binary float V_FLOAT_BINARY (Two) by same_width;
    Add = |f, a, b| f.op(Op::FAdd, a, b, 0);
    Sub = |f, a, b| f.op(Op::FSub, a, b, 0);
    Rsub = |f, a, b| f.op(Op::FSub, b, a, 0);
    Mul = |f, a, b| f.op(Op::FMul, a, b, 0);
    Div = |f, a, b| f.op(Op::FDiv, a, b, 0);
    Rdiv = |f, a, b| f.op(Op::FDiv, b, a, 0);
    Min = |f, a, b| f.op(Op::FMin, a, b, 0);
    Max = |f, a, b| f.op(Op::FMax, a, b, 0);
    Sgnj = |f, a, b| a & !f.sign() | b & f.sign();
    Sgnjn = |f, a, b| a & !f.sign() | !b & f.sign();
    Sgnjx = |f, a, b| a ^ b & f.sign();
}

family! {
    /// Fused multiply and add.
    Accumulate float V_FLOAT_ACCUMULATE (Three) by accumulate;
    Macc = |f, a, b, d| f.fused(a, b, d);
    Nmacc = |f, a, b, d| f.fused(a ^ f.sign(), b, d ^ f.sign());
    Msac = |f, a, b, d| f.fused(a, b, d ^ f.sign());
    Nmsac = |f, a, b, d| f.fused(a ^ f.sign(), b, d);
    Madd = |f, a, b, d| f.fused(d, b, a);
    Nmadd = |f, a, b, d| f.fused(d ^ f.sign(), b, a ^ f.sign());
    Msub = |f, a, b, d| f.fused(d, b, a ^ f.sign());
    Nmsub = |f, a, b, d| f.fused(d ^ f.sign(), b, a);
}

family! {
    /// The result is twice as wide as the operands, which are widened first.
    Widen float V_FLOAT_WIDEN (Three) by widen;
    Add = |f, a, b, _| f.op(Op::FAdd, a, b, 0);
    Sub = |f, a, b, _| f.op(Op::FSub, a, b, 0);
    Mul = |f, a, b, _| f.op(Op::FMul, a, b, 0);
    Macc = |f, a, b, d| f.fused(a, b, d);
    Nmacc = |f, a, b, d| f.fused(a ^ f.sign(), b, d ^ f.sign());
    Msac = |f, a, b, d| f.fused(a, b, d ^ f.sign());
    Nmsac = |f, a, b, d| f.fused(a ^ f.sign(), b, d);
}

family! {
    /// The result and the first operand are twice as wide as the second.
    WidenFirst float V_FLOAT_WIDEN_FIRST (Two) by widen_first;
    Add = |f, a, b| f.op(Op::FAdd, a, b, 0);
    Sub = |f, a, b| f.op(Op::FSub, a, b, 0);
}

family! {
    /// Comparisons; the result is a mask.
    Compare float V_FLOAT_COMPARE (fn(&mut Floats, u64, u64) -> bool) by compare;
    Eq = |f, a, b| f.test(Op::FEq, a, b);
    Ne = |f, a, b| !f.test(Op::FEq, a, b);
    Lt = |f, a, b| f.test(Op::FLt, a, b);
    Le = |f, a, b| f.test(Op::FLe, a, b);
    Gt = |f, a, b| f.test(Op::FLt, b, a);
    Ge = |f, a, b| f.test(Op::FLe, b, a);
}

family! {
    /// One operand.
    Unary float V_FLOAT_UNARY (fn(&mut Floats, u64) -> u64) by unary;
    Sqrt = |f, a| f.op(Op::FSqrt, a, 0, 0);
    Rsqrt7 = Floats::reciprocal_root;
    Rec7 = Floats::reciprocal;
    Class = |f, a| f.op(Op::FClass, a, 0, 0);
}

/// The operand groups of an instruction whose result is twice as wide if `scale` is 1; the scalar unboxed.
fn operands(v: &mut V<'_, '_>, scale: i32, scale_a: i32) -> R<(Group, Group)> {
    v.configured()?;
    check_float(v, v.sew)?;
    check_float(v, v.sew << scale)?;
    let (d, a) = (v.group(v.vd(), scale)?, v.group(v.vs2(), scale_a)?);
    v.spares_mask(d)?;
    v.overlap(d, a)?;
    if v.vector_operand() {
        let b = v.group(v.vs1(), 0)?;
        v.overlap(d, b)?;
    } else {
        v.scalar = unboxed(v)?;
    }
    Ok((d, a))
}

fn same_width(v: &mut V<'_, '_>, op: Two) -> R<u64> {
    let (d, a) = operands(v, 0, 0)?;
    let mut f = Floats::of(v, d.eew);
    let end = v.each(|v, i| {
        let value = op(&mut f, v.get(a.reg, i, a.eew), v.second(i, a.eew));
        v.set(d.reg, i, d.eew, value);
    });
    f.note(v);
    end
}

fn accumulate(v: &mut V<'_, '_>, op: Three) -> R<u64> {
    let (d, a) = operands(v, 0, 0)?;
    let mut f = Floats::of(v, d.eew);
    let end = v.each(|v, i| {
        let value = op(&mut f, v.get(a.reg, i, a.eew), v.second(i, a.eew), v.get(d.reg, i, d.eew));
        v.set(d.reg, i, d.eew, value);
    });
    f.note(v);
    end
}

fn widen(v: &mut V<'_, '_>, op: Three) -> R<u64> {
    let (d, a) = operands(v, 1, 0)?;
    let mut f = Floats::of(v, d.eew);
    let end = v.each(|v, i| {
        let (x, y) = (f.widen(v.get(a.reg, i, a.eew)), f.widen(v.second(i, a.eew)));
        let value = op(&mut f, x, y, v.get(d.reg, i, d.eew));
        v.set(d.reg, i, d.eew, value);
    });
    f.note(v);
    end
}

fn widen_first(v: &mut V<'_, '_>, op: Two) -> R<u64> {
    let (d, a) = operands(v, 1, 1)?;
    let mut f = Floats::of(v, d.eew);
    let sew = v.sew;
    let end = v.each(|v, i| {
        let y = f.widen(v.second(i, sew));
        let value = op(&mut f, v.get(a.reg, i, a.eew), y);
        v.set(d.reg, i, d.eew, value);
    });
    f.note(v);
    end
}

fn compare(v: &mut V<'_, '_>, op: fn(&mut Floats, u64, u64) -> bool) -> R<u64> {
    let (d, a) = super::int::to_mask(v)?;
    check_float(v, v.sew)?;
    if !v.vector_operand() {
        v.scalar = unboxed(v)?;
    }
    let mut f = Floats::of(v, a.eew);
    let end = v.each(|v, i| {
        let value = op(&mut f, v.get(a.reg, i, a.eew), v.second(i, a.eew));
        v.set(d.reg, i, 1, u64::from(value));
    });
    f.note(v);
    end
}

fn unary(v: &mut V<'_, '_>, op: fn(&mut Floats, u64) -> u64) -> R<u64> {
    v.configured()?;
    check_float(v, v.sew)?;
    let (d, a) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?);
    v.spares_mask(d)?;
    let mut f = Floats::of(v, d.eew);
    let end = v.each(|v, i| {
        let value = op(&mut f, v.get(a.reg, i, a.eew));
        v.set(d.reg, i, d.eew, value);
    });
    f.note(v);
    end
}

/// A finite number that is not zero: sign, biased exponent (0 and below for subnormal numbers) and fraction without the
/// leading 1.
struct Finite {
    negative: bool,
    exp: i64,
    fraction: u64,
}

impl Floats {
    fn fraction_bits(&self) -> u32 {
        match self.bits {
            16 => 10,
            32 => 23,
            _ => 52,
        }
    }

    fn exponent_ones(&self) -> u64 {
        ones(self.bits - 1 - self.fraction_bits())
    }

    fn bias(&self) -> i64 {
        (self.exponent_ones() >> 1) as i64
    }

    fn infinity(&self) -> u64 {
        self.exponent_ones() << self.fraction_bits()
    }

    fn nan(&self) -> u64 {
        self.infinity() | 1 << (self.fraction_bits() - 1)
    }

    fn finite(&self, a: u64) -> Finite {
        let n = self.fraction_bits();
        let (mut exp, mut fraction) = ((a >> n & self.exponent_ones()) as i64, a & ones(n));
        if exp == 0 {
            let up = fraction.leading_zeros() - (63 - n);
            exp = 1 - i64::from(up);
            fraction = fraction << up & ones(n);
        }
        Finite { negative: a & self.sign() != 0, exp, fraction }
    }

    fn pack(&self, negative: bool, exp: i64, fraction: u64) -> u64 {
        let sign = if negative { self.sign() } else { 0 };
        sign | (exp as u64) << self.fraction_bits() | fraction
    }

    /// `vfrsqrt7`: seven bits of the reciprocal of the square root (section 13.9).
    fn reciprocal_root(&mut self, a: u64) -> u64 {
        match self.op(Op::FClass, a, 0, 0).trailing_zeros() {
            0..=2 | 8 => {
                self.env.flags.raise(Flags::NV);
                self.nan()
            }
            9 => self.nan(),
            7 => 0,
            3 | 4 => {
                self.env.flags.raise(Flags::DZ);
                self.infinity() | a & self.sign()
            }
            _ => {
                let n = self.fraction_bits();
                let x = self.finite(a);
                let odd = x.exp & 1 != 0;
                let top = (x.fraction >> (n - 6)) as u32;
                let exp = (3 * self.bias() - 1 - x.exp) >> 1;
                self.pack(false, exp, u64::from(root_estimate(odd, top)) << (n - 7))
            }
        }
    }

    /// `vfrec7`: seven bits of the reciprocal (section 13.10).
    fn reciprocal(&mut self, a: u64) -> u64 {
        match self.op(Op::FClass, a, 0, 0).trailing_zeros() {
            8 => {
                self.env.flags.raise(Flags::NV);
                self.nan()
            }
            9 => self.nan(),
            0 | 7 => a & self.sign(),
            3 | 4 => {
                self.env.flags.raise(Flags::DZ);
                self.infinity() | a & self.sign()
            }
            _ => self.reciprocal_of(&self.finite(a)),
        }
    }

    fn reciprocal_of(&mut self, x: &Finite) -> u64 {
        let n = self.fraction_bits();
        if x.exp < -1 {
            self.env.flags.raise(Flags(Flags::OF.0 | Flags::NX.0));
            let to_finite = match self.env.rm {
                Rm::Rtz => true,
                Rm::Rdn => !x.negative,
                Rm::Rup => x.negative,
                _ => false,
            };
            let magnitude = self.infinity() - u64::from(to_finite);
            return magnitude | if x.negative { self.sign() } else { 0 };
        }
        let exp = 2 * self.bias() - 1 - x.exp;
        let fraction = u64::from(estimate((x.fraction >> (n - 7)) as u32)) << (n - 7);
        // A subnormal result shows the leading 1.
        match exp {
            1.. => self.pack(x.negative, exp, fraction),
            0 => self.pack(x.negative, 0, fraction >> 1 | 1 << (n - 1)),
            _ => self.pack(x.negative, 0, (fraction >> 1 | 1 << (n - 1)) >> 1),
        }
    }
}

/// Seven bits after the point of twice the reciprocal of `1 + (top + 1/2) / 128`, rounded to nearest: what the table
/// "vfrec7.v common-case lookup table contents" lists.
const fn estimate(top: u32) -> u32 {
    // 256 / (n / 256), n = 257 + 2 * top.
    let n = 257 + 2 * top;
    (2 * 65536 + n) / (2 * n) - 128
}

/// Seven bits after the point of twice the reciprocal root of `m = 1 + (top + 1/2) / 64`, or of `2 m` if the biased
/// exponent is even, rounded to nearest: the table of `vfrsqrt7.v`.
fn root_estimate(odd: bool, top: u32) -> u32 {
    let n = u64::from(129 + 2 * top) << u32::from(!odd);
    // The largest q with q - 1/2 <= 256 / sqrt(n / 128).
    let fits = |q: u64| (2 * q - 1) * (2 * q - 1) * n <= 512 * 512 * 128;
    let q = (128..256).rev().find(|&q| fits(q)).unwrap_or(128);
    q as u32 - 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_the_tables_of_the_specification() {
        let first: Vec<u32> = (0..8).map(estimate).collect();
        assert_eq!(first, [127, 125, 123, 121, 119, 117, 116, 114]);
        assert_eq!(estimate(127), 0);
        let even: Vec<u32> = (0..8).map(|i| root_estimate(false, i)).collect();
        assert_eq!(even, [52, 51, 50, 48, 47, 46, 44, 43]);
        let odd: Vec<u32> = (0..8).map(|i| root_estimate(true, i)).collect();
        assert_eq!(odd, [127, 125, 123, 121, 119, 118, 116, 114]);
    }
}
