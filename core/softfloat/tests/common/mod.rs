//! Operands for the tests: a seeded generator and grids of special values.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use tern_softfloat::{Env, Flags, Format, IntegerBit, Rm, Style};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// A fraction that is random, or a run of ones or zeros, or has few bits: where rounding is decided.
    fn fraction(&mut self, bits: u32) -> u128 {
        let mask = (1u128 << bits) - 1;
        let at = self.below(u64::from(bits)) as u32;
        mask & match self.below(6) {
            0 | 1 => self.wide(),
            2 => mask << at,
            3 => mask >> at,
            4 => (1 << at) | (1 << self.below(u64::from(bits))),
            _ => (mask << at) ^ (self.below(5) as u128),
        }
    }

    /// An operand: any class, the exponents of normal numbers near each other, anywhere or at the ends of the range.
    pub(crate) fn operand<F: Format>(&mut self) -> F::Bits {
        let grid = grid::<F>();
        let ones = u64::from(F::EXP_ONES);
        let bias = F::BIAS as u64;
        let field = match self.below(8) {
            0 => return grid[self.below(grid.len() as u64) as usize],
            1 => self.below(ones + 1),
            2 => self.below(u64::from(F::PRECISION).min(ones) + 2),
            3 => ones - self.below(4),
            _ => bias - 6 + self.below(13),
        };
        let fraction = self.fraction(F::FRAC_BITS);
        make::<F>(self.next() & 1 != 0, field as u32, fraction)
    }

    /// A normal binary64 or binary32 operand with the exponent field in a range.
    pub(crate) fn in_range<F: Format>(&mut self, low: u32, high: u32) -> F::Bits {
        let field = low + self.below(u64::from(high - low + 1)) as u32;
        let fraction = self.fraction(F::FRAC_BITS);
        make::<F>(self.next() & 1 != 0, field, fraction)
    }
}

/// The encoding of these fields, with the integer bit that the exponent implies.
pub(crate) fn make<F: Format>(sign: bool, field: u32, fraction: u128) -> F::Bits {
    let integer = u128::from(F::INTEGER_BIT != IntegerBit::Hidden && field != 0) << F::FRAC_BITS;
    let exponent = u128::from(field) << (F::WIDTH - 1 - F::EXP_BITS);
    F::from_u128(u128::from(sign) << (F::WIDTH - 1) | exponent | integer | fraction)
}

/// Both signs of zeros, subnormals, the ends of the normal range, small integers, powers of two with their neighbours,
/// infinity, quiet and signalling NaNs.
pub(crate) fn grid<F: Format>() -> Vec<F::Bits> {
    let top = 1u128 << (F::FRAC_BITS - 1);
    let all = 2 * top - 1;
    let (bias, ones) = (F::BIAS as u32, F::EXP_ONES);
    let mut fields = vec![
        (0, 0),
        (0, 1),
        (0, 2),
        (0, top),
        (0, all),
        (1, 0),
        (1, 1),
        (1, all),
        (2, 0),
        (ones - 1, 0),
        (ones - 1, all),
        (ones, 0),
        (ones, 1),
        (ones, top),
        (ones, top | 1),
        (ones, all),
        (bias, top),
        (bias + 1, top),
    ];
    let p = F::PRECISION;
    for field in [bias - p, bias - 2, bias - 1, bias, bias + 1, bias + p - 2, bias + p - 1, bias + p] {
        if field >= 1 && field < ones {
            fields.extend([(field, 0), (field, 1), (field, all)]);
        }
    }
    fields.into_iter().flat_map(|(f, m)| [make::<F>(false, f, m), make::<F>(true, f, m)]).collect()
}

/// The five rounding modes of IEEE 754.
pub(crate) const IEEE_MODES: [Rm; 5] = [Rm::Rne, Rm::Rtz, Rm::Rdn, Rm::Rup, Rm::Rmm];

/// Runs `op` in a fresh environment and returns what it did.
pub(crate) fn run<T>(style: Style, rm: Rm, op: impl FnOnce(&mut Env) -> T) -> (T, Flags) {
    let mut env = Env::with_rm(style, rm);
    let result = op(&mut env);
    (result, env.flags)
}

/// True for NaN encodings, whatever their kind.
pub(crate) fn is_nan<F: Format>(bits: F::Bits) -> bool {
    let (result, _) = run(Style::RISCV, Rm::Rne, |e| tern_softfloat::classify::<F>(bits, e));
    result >> 8 != 0
}
