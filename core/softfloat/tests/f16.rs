//! binary16 and bfloat16 against an oracle that shares no code with the crate: results are looked up in a sorted table
//! of every value of the format, and flags follow from where the exact value lies. Exact values come from binary64,
//! which holds every sum, product and quotient comparison of such operands exactly.

mod common;

use common::{Rng, is_nan, run};
use tern_softfloat::{
    BF16, Env, F16, F32, F64, Flags, Format, IntStyle, Rm, Style, add, convert, div, from_i64, mul, mul_add, round_int,
    sqrt, sub, to_i32_modular, to_i64,
};

/// The value of an encoding, computed from its fields.
fn value<F: Format<Bits = u16>>(bits: u16) -> f64 {
    let field = i32::from(bits & 0x7fff) >> F::FRAC_BITS;
    let fraction = f64::from(bits & ((1 << F::FRAC_BITS) - 1));
    let sign = if bits >> 15 != 0 { -1.0 } else { 1.0 };
    let unit = |exponent: i32| 2f64.powi(exponent - F::FRAC_BITS as i32);
    if field == F::EXP_ONES as i32 {
        return if fraction == 0.0 { sign * f64::INFINITY } else { f64::NAN };
    }
    if field == 0 {
        sign * fraction * unit(F::EMIN)
    } else {
        sign * (fraction + 2f64.powi(F::FRAC_BITS as i32)) * unit(field - F::BIAS)
    }
}

/// What an exact non-zero value rounds to and raises. `side` places the exact value relative to `exact`: equal, or
/// nearer to zero (negative) or further from it (positive) by less than any rounding boundary.
fn oracle<F: Format<Bits = u16>>(exact: f64, side: i32, rm: Rm, tininess_before: bool) -> (u16, Flags) {
    let sign = exact < 0.0;
    let magnitude = exact.abs();
    // Non-negative encodings ascend with their values, so that the table is the identity.
    let infinity = F::INFINITY;
    let (mut low, mut high) = (0u16, infinity);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let at = value::<F>(middle);
        if at < magnitude || (at == magnitude && side >= 0) { low = middle } else { high = middle }
    }
    let below = value::<F>(low);
    let signed = |bits: u16| bits | u16::from(sign) << 15;
    if below == magnitude && side == 0 {
        return (signed(low), Flags::NONE);
    }
    // Overflow is rounding with an unbounded exponent, where the next value after the largest is the next power of two.
    let unbounded = |bits: u16| if bits == infinity { 2f64.powi(F::BIAS + 1) } else { value::<F>(bits) };
    let middle = (below + unbounded(low + 1)) / 2.0;
    let beyond = match magnitude.total_cmp(&middle) {
        std::cmp::Ordering::Equal => side.cmp(&0),
        other => other,
    };
    let up = match rm {
        Rm::Rne => beyond.is_gt() || (beyond.is_eq() && low & 1 != 0),
        Rm::Rmm => beyond.is_ge(),
        Rm::Rtz => false,
        Rm::Rdn => sign,
        Rm::Rup => !sign,
        Rm::Odd => low & 1 == 0,
    };
    let odd_at_top = rm == Rm::Odd && low + 1 == infinity;
    let result = if up && !odd_at_top { low + 1 } else { low };
    let mut flags = Flags::NX;
    if result == infinity || magnitude >= 2f64.powi(F::BIAS + 1) {
        return (signed(result), Flags::NX | Flags::OF);
    }
    let smallest = value::<F>(F::MIN_NORMAL);
    // After rounding: tiny unless the value rounds up to the smallest normal with one bit more than subnormals have.
    let last = smallest * (1.0 - 2f64.powi(-(F::PRECISION as i32)));
    let tiny = if tininess_before {
        magnitude < smallest || (magnitude == smallest && side < 0)
    } else {
        let half = (last + smallest) / 2.0;
        let at_least = |limit: f64| magnitude > limit || (magnitude == limit && side >= 0);
        let above = |limit: f64| magnitude > limit || (magnitude == limit && side > 0);
        !match rm {
            Rm::Rne | Rm::Rmm => at_least(half),
            Rm::Rtz | Rm::Odd => at_least(smallest),
            Rm::Rdn => {
                if sign {
                    above(last)
                } else {
                    at_least(smallest)
                }
            }
            Rm::Rup => {
                if sign {
                    at_least(smallest)
                } else {
                    above(last)
                }
            }
        }
    };
    if tiny {
        flags |= Flags::UF;
    }
    (signed(result), flags)
}

fn styles() -> [(Style, bool); 2] {
    [(Style::RISCV, false), (Style { tininess_before: true, ..Style::RISCV }, true)]
}

fn check<F: Format<Bits = u16>>(what: &str, exact: f64, side: i32, op: impl Fn(&mut Env) -> u16) {
    for (style, before) in styles() {
        for rm in Rm::ALL {
            let got = run(style, rm, &op);
            let want = oracle::<F>(exact, side, rm, before);
            assert_eq!(got, want, "{} {what} = {exact:e} ({side}) {rm:?} before {before}", F::NAME);
        }
    }
}

/// Which side of the rounded `root` the exact square root of `a` is on, by an exact comparison in integers: both are
/// scaled so that the 53-bit `root` squares into 128 bits.
fn root_side(a: f64, root: f64) -> i32 {
    let scale = |v: f64| {
        let field = (v.to_bits() >> 52 & 0x7ff) as i32;
        ((v.to_bits() & ((1 << 52) - 1)) | 1 << 52, field - 1075)
    };
    let ((m, e), (r, s)) = (scale(a), scale(root));
    // a = m 2^e against r^2 2^(2s)
    (u128::from(m) << (e - 2 * s)).cmp(&(u128::from(r) * u128::from(r))) as i32
}

#[test]
fn every_square_root() {
    for bits in 1..F16::INFINITY {
        let a = value::<F16>(bits);
        let root = a.sqrt();
        check::<F16>(&format!("sqrt {bits:x}"), root, root_side(a, root), |e| sqrt::<F16>(bits, e));
    }
    for bits in (1..BF16::INFINITY).step_by(3) {
        let a = value::<BF16>(bits);
        let root = a.sqrt();
        check::<BF16>(&format!("sqrt {bits:x}"), root, root_side(a, root), |e| sqrt::<BF16>(bits, e));
    }
}

fn pairs<F: Format<Bits = u16>>(seed: u64, count: u32) {
    let mut rng = Rng(seed);
    for _ in 0..count {
        let (a, b, c) = (rng.operand::<F>(), rng.operand::<F>(), rng.operand::<F>());
        let (x, y, z) = (value::<F>(a), value::<F>(b), value::<F>(c));
        let what = format!("{a:x} {b:x} {c:x}");
        let finite = |v: f64| v.is_finite() && v != 0.0;
        // Sums: the binary64 one may be inexact for bfloat16, whose exponents lie far apart; the error says which way.
        for (sum, w, op) in [(x + y, y, add::<F> as fn(u16, u16, &mut Env) -> u16), (x - y, -y, sub::<F>)] {
            if finite(sum) {
                let part = sum - x;
                let error = (x - (sum - part)) + (w - part);
                let side = if error == 0.0 {
                    0
                } else if (error > 0.0) == (sum > 0.0) {
                    1
                } else {
                    -1
                };
                check::<F>(&what, sum, side, |e| op(a, b, e));
            }
        }
        if finite(x * y) {
            check::<F>(&what, x * y, 0, |e| mul::<F>(a, b, e));
            let sum = x * y + z;
            let part = sum - x * y;
            if finite(sum) && z != 0.0 {
                let error = (x * y - (sum - part)) + (z - part);
                let side = if error == 0.0 {
                    0
                } else if (error > 0.0) == (sum > 0.0) {
                    1
                } else {
                    -1
                };
                check::<F>(&what, sum, side, |e| mul_add::<F>(a, b, c, e));
            }
        }
        let quotient = x / y;
        if finite(quotient) {
            // The residual of a quotient of such short operands is exact through the fused operation of the host.
            let residual = (-quotient).mul_add(y, x);
            let side = if residual == 0.0 {
                0
            } else if (residual > 0.0) == (x > 0.0) {
                1
            } else {
                -1
            };
            check::<F>(&what, quotient, side, |e| div::<F>(a, b, e));
        }
    }
}

#[test]
fn sums_products_quotients() {
    pairs::<F16>(201, 60_000);
    pairs::<BF16>(202, 60_000);
}

#[test]
fn every_widening_is_exact_and_returns() {
    for bits in 0..=u16::MAX {
        let (wide, flags) = run(Style::ARM, Rm::Rne, |e| convert::<F16, F64>(bits, e));
        if is_nan::<F16>(bits) {
            assert!(f64::from_bits(wide).is_nan());
            let signalling = bits & 0x200 == 0;
            assert_eq!(flags, if signalling { Flags::NV } else { Flags::NONE });
            let (back, _) = run(Style::ARM, Rm::Rne, |e| convert::<F64, F16>(wide, e));
            assert_eq!(back, bits | 0x200, "payloads survive widening");
            continue;
        }
        assert_eq!(f64::from_bits(wide).to_bits(), value::<F16>(bits).to_bits());
        assert_eq!(flags, Flags::NONE);
        for rm in Rm::ALL {
            assert_eq!(run(Style::RISCV, rm, |e| convert::<F64, F16>(wide, e)), (bits, Flags::NONE));
        }
        let (single, _) = run(Style::RISCV, Rm::Rne, |e| convert::<F16, F32>(bits, e));
        assert_eq!(f64::from(f32::from_bits(single)), value::<F16>(bits));
    }
}

#[test]
fn narrowing() {
    let mut rng = Rng(203);
    for bits in 1..F16::INFINITY {
        let (low, high) = (value::<F16>(bits - 1), value::<F16>(bits).min(65536.0));
        let middle = (low + high) / 2.0;
        for exact in [middle, middle.next_up(), middle.next_down(), high.next_down(), low.next_up()] {
            let exact = if rng.next() & 1 == 0 { exact } else { -exact };
            check::<F16>("narrow", exact, 0, |e| convert::<F64, F16>(exact.to_bits(), e));
        }
    }
    for _ in 0..40_000 {
        let exact = f64::from_bits(rng.operand::<F64>());
        if exact.is_finite() && exact != 0.0 {
            check::<F16>("narrow", exact, 0, |e| convert::<F64, F16>(exact.to_bits(), e));
            check::<BF16>("narrow", exact, 0, |e| convert::<F64, BF16>(exact.to_bits(), e));
        }
    }
}

/// `v` rounded to an integer by comparing with its floor.
fn integer(v: f64, rm: Rm) -> f64 {
    let floor = v.floor();
    let rest = v - floor;
    let odd = floor.rem_euclid(2.0) == 1.0;
    let up = match rm {
        Rm::Rne => rest > 0.5 || (rest == 0.5 && odd),
        Rm::Rmm => rest > 0.5 || (rest == 0.5 && v > 0.0),
        Rm::Rtz => v < 0.0 && rest > 0.0,
        Rm::Rdn => false,
        Rm::Rup => rest > 0.0,
        Rm::Odd => rest > 0.0 && !odd,
    };
    if up { floor + 1.0 } else { floor }
}

#[test]
fn every_integer() {
    for bits in (0..=u16::MAX).filter(|b| b & 0x7fff < F16::INFINITY) {
        let v = value::<F16>(bits);
        for rm in Rm::ALL {
            let want = integer(v, rm);
            let inexact = if want == v { Flags::NONE } else { Flags::NX };
            let (rounded, flags) = run(Style::RISCV, rm, |e| round_int::<F16>(bits, rm, true, e));
            assert_eq!((value::<F16>(rounded), flags), (want, inexact), "{bits:x} {rm:?}");
            assert_eq!(rounded >> 15, bits >> 15, "the sign stays, of zeros too");
            let (int, flags) = run(Style::RISCV, rm, |e| to_i64::<F16>(bits, rm, IntStyle::RiscV, e));
            assert_eq!((int as f64, flags), (want, inexact));
        }
        let (modular, _) = run(Style::RISCV, Rm::Rne, |e| to_i32_modular::<F16>(bits, e));
        assert_eq!(f64::from(modular), integer(v, Rm::Rtz));
    }
    for int in -70_000..70_000i64 {
        if int != 0 {
            check::<F16>("from_i64", int as f64, 0, |e| from_i64::<F16>(int, e));
        }
    }
}
