//! The soft path against `rustc_apfloat`, in every format and rounding mode both have.
//!
//! NaN results are compared as NaNs only: payloads are the business of `nan.rs`. APFloat raises underflow when the
//! delivered result is subnormal and inexact, which is neither tininess rule where rounding reaches the smallest normal
//! number, and no overflow when rounding delivers the largest finite value; those flags are left to `limits.rs`.

mod common;

use common::{IEEE_MODES, Rng, grid, is_nan, run};
use rustc_apfloat::{Float, FloatConvert, Round, Status, StatusAnd, ieee};
use tern_softfloat::{
    BF16, Env, F16, F32, F64, F128, Flags, Format, IntFormat, IntStyle, Rm, Style, X87, add, convert, div, from_i64,
    from_u64, mul, mul_add, rem, round_int, sqrt, sub, to_int,
};

/// A format with its APFloat counterpart.
trait Oracle: Format {
    type Ap: Float;
}

macro_rules! oracles {
    ($($format:ty: $ap:ty;)*) => {$(
        impl Oracle for $format {
            type Ap = $ap;
        }
    )*};
}

oracles! {
    F16: ieee::Half;
    BF16: ieee::BFloat;
    F32: ieee::Single;
    F64: ieee::Double;
    X87: ieee::X87DoubleExtended;
    F128: ieee::Quad;
}

fn ap<F: Oracle>(bits: F::Bits) -> F::Ap {
    F::Ap::from_bits(F::to_u128(bits))
}

fn round(rm: Rm) -> Round {
    match rm {
        Rm::Rne => Round::NearestTiesToEven,
        Rm::Rtz | Rm::Odd => Round::TowardZero,
        Rm::Rdn => Round::TowardNegative,
        Rm::Rup => Round::TowardPositive,
        Rm::Rmm => Round::NearestTiesToAway,
    }
}

fn flags(status: Status) -> Flags {
    let pairs = [
        (Status::INEXACT, Flags::NX),
        (Status::UNDERFLOW, Flags::UF),
        (Status::OVERFLOW, Flags::OF),
        (Status::DIV_BY_ZERO, Flags::DZ),
        (Status::INVALID_OP, Flags::NV),
    ];
    pairs.into_iter().filter(|(s, _)| status.contains(*s)).fold(Flags::NONE, |all, (_, f)| all | f)
}

/// Fails unless `ours` and APFloat's result agree.
fn agree<F: Oracle>(what: &str, rm: Rm, operands: &[F::Bits], ours: (F::Bits, Flags), theirs: StatusAnd<F::Ap>) {
    let (bits, mut got) = ours;
    let mut want = flags(theirs.status);
    let magnitude = F::to_u128(bits) & !F::to_u128(F::NEG_ZERO);
    if want.contains(Flags::NX) && magnitude == F::to_u128(F::MIN_NORMAL) {
        (got, want) = (got & !Flags::UF, want & !Flags::UF);
    }
    if want.contains(Flags::NX) && magnitude == F::to_u128(F::MAX) {
        (got, want) = (got & !Flags::OF, want & !Flags::OF);
    }
    let same = if theirs.value.is_nan() { is_nan::<F>(bits) } else { F::to_u128(bits) == theirs.value.to_bits() };
    assert!(
        same && got == want,
        "{} {what} {rm:?} of {operands:x?}: got {bits:x?} {got:?}, APFloat {:x} {want:?}",
        F::NAME,
        theirs.value.to_bits()
    );
}

type Binary<F> = fn(<F as Format>::Bits, <F as Format>::Bits, &mut Env) -> <F as Format>::Bits;

/// An operation, ours, and what APFloat makes of it.
type Row<F> = (&'static str, Binary<F>, StatusAnd<<F as Oracle>::Ap>);

fn binary_pair<F: Oracle>(a: F::Bits, b: F::Bits) {
    let (x, y) = (ap::<F>(a), ap::<F>(b));
    for rm in IEEE_MODES {
        let r = round(rm);
        let rows: [Row<F>; 4] = [
            ("add", add::<F>, x.add_r(y, r)),
            ("sub", sub::<F>, x.sub_r(y, r)),
            ("mul", mul::<F>, x.mul_r(y, r)),
            ("div", div::<F>, x.div_r(y, r)),
        ];
        for (what, ours, theirs) in rows {
            agree::<F>(what, rm, &[a, b], run(Style::RISCV, rm, |e| ours(a, b, e)), theirs);
        }
    }
}

fn binary<F: Oracle>(seed: u64, count: u32) {
    let grid = grid::<F>();
    for &a in &grid {
        for &b in &grid {
            binary_pair::<F>(a, b);
        }
    }
    let mut rng = Rng(seed);
    for _ in 0..count {
        binary_pair::<F>(rng.operand::<F>(), rng.operand::<F>());
    }
}

#[test]
fn add_sub_mul_div() {
    binary::<F16>(1, 20_000);
    binary::<BF16>(2, 20_000);
    binary::<F32>(3, 40_000);
    binary::<F64>(4, 40_000);
    binary::<X87>(5, 20_000);
    binary::<F128>(6, 20_000);
}

fn fused<F: Oracle>(seed: u64, count: u32) {
    let mut rng = Rng(seed);
    for _ in 0..count {
        let (a, b) = (rng.operand::<F>(), rng.operand::<F>());
        // Half of the time the addend nearly cancels the product.
        let c = if rng.next() & 1 == 0 {
            rng.operand::<F>()
        } else {
            let product = ap::<F>(a).mul_r(ap::<F>(b), Round::TowardZero).value;
            F::from_u128((-product).to_bits() ^ u128::from(rng.below(3)))
        };
        for rm in IEEE_MODES {
            let theirs = ap::<F>(a).mul_add_r(ap::<F>(b), ap::<F>(c), round(rm));
            agree::<F>("mul_add", rm, &[a, b, c], run(Style::RISCV, rm, |e| mul_add::<F>(a, b, c, e)), theirs);
        }
    }
}

#[test]
fn mul_add_of_every_format() {
    fused::<F16>(11, 40_000);
    fused::<BF16>(12, 40_000);
    fused::<F32>(13, 60_000);
    fused::<F64>(14, 60_000);
    fused::<X87>(15, 30_000);
    fused::<F128>(16, 30_000);
}

/// APFloat has no square root, but its fused operation decides one: the residual of a truncated root is not negative,
/// that of the next number is. In squared units of the last place the residual is an integer of at most one bit more
/// than the format has, so that rounding it down disturbs no comparison made here.
fn roots<F: Oracle>(seed: u64, count: u32) {
    let mut rng = Rng(seed);
    let down = Round::TowardNegative;
    for _ in 0..count {
        // Perfect squares and their neighbours among the rest.
        let mut a = F::from_u128(F::to_u128(rng.operand::<F>()) & !F::to_u128(F::NEG_ZERO));
        if rng.below(3) == 0 {
            a = F::from_u128(
                ap::<F>(a).mul_r(ap::<F>(a), Round::TowardZero).value.to_bits() ^ u128::from(rng.below(2)),
            );
        }
        let x = ap::<F>(a);
        if !x.is_finite_non_zero() || x.is_denormal() || x.ilogb() < F::EMIN + 2 * F::PRECISION as i32 {
            continue;
        }
        let (bits, flags) = run(Style::RISCV, Rm::Rtz, |e| sqrt::<F>(a, e));
        let root = ap::<F>(bits);
        let next = root.next_up().value;
        let residual = (-root).mul_add_r(root, x, down);
        assert!(!residual.value.is_negative() || residual.value.is_zero(), "{} sqrt {a:x?}: {bits:x?}", F::NAME);
        let beyond = (-next).mul_add_r(next, x, down).value;
        assert!(beyond.is_negative() && !beyond.is_zero(), "{} sqrt {a:x?}: {bits:x?}", F::NAME);
        let exact = residual.value.is_zero();
        assert_eq!(flags, if exact { Flags::NONE } else { Flags::NX });
        // (root + ulp / 2)^2 exceeds root^2 + root ulp by a quarter unit, less than any difference of residuals.
        let ulp = next.sub_r(root, down).value;
        let above_half = residual.value > root.mul_r(ulp, down).value;
        let up = F::from_u128(next.to_bits());
        let odd = if F::to_u128(bits) & 1 == 0 && !exact { up } else { bits };
        for (rm, want) in [
            (Rm::Rne, if above_half { up } else { bits }),
            (Rm::Rmm, if above_half { up } else { bits }),
            (Rm::Rdn, bits),
            (Rm::Rup, if exact { bits } else { up }),
            (Rm::Odd, odd),
        ] {
            assert_eq!(run(Style::RISCV, rm, |e| sqrt::<F>(a, e)), (want, flags), "{} {rm:?} {a:x?}", F::NAME);
        }
    }
}

#[test]
fn square_roots() {
    roots::<F32>(71, 20_000);
    roots::<F64>(72, 20_000);
    roots::<X87>(73, 20_000);
    roots::<F128>(74, 20_000);
}

fn remainder<F: Oracle>(seed: u64, count: u32) {
    let mut rng = Rng(seed);
    for _ in 0..count {
        let (a, b) = (rng.operand::<F>(), rng.operand::<F>());
        let theirs = ap::<F>(a).ieee_rem(ap::<F>(b));
        agree::<F>("rem", Rm::Rne, &[a, b], run(Style::RISCV, Rm::Rne, |e| rem::<F>(a, b, e)), theirs);
    }
}

#[test]
fn remainder_of_every_format() {
    remainder::<F16>(21, 20_000);
    remainder::<F32>(22, 20_000);
    remainder::<F64>(23, 5_000);
    remainder::<X87>(24, 300);
    remainder::<F128>(25, 300);
}

fn integral<F: Oracle>(seed: u64, count: u32) {
    let mut rng = Rng(seed);
    for a in grid::<F>().into_iter().chain((0..count).map(|_| rng.operand::<F>())).collect::<Vec<_>>() {
        for rm in IEEE_MODES {
            let theirs = ap::<F>(a).round_to_integral(round(rm));
            agree::<F>("round_int", rm, &[a], run(Style::RISCV, rm, |e| round_int::<F>(a, rm, true, e)), theirs);
            let (quiet, raised) = run(Style::RISCV, rm, |e| round_int::<F>(a, rm, false, e));
            assert!(is_nan::<F>(quiet) || F::to_u128(quiet) == theirs.value.to_bits());
            assert_eq!(raised, flags(theirs.status) & !Flags::NX);
        }
    }
}

#[test]
fn rounding_to_integral_values() {
    integral::<F16>(31, 20_000);
    integral::<BF16>(32, 20_000);
    integral::<F32>(33, 20_000);
    integral::<F64>(34, 20_000);
    integral::<X87>(35, 20_000);
    integral::<F128>(36, 20_000);
}

fn narrowing<S: Oracle, D: Oracle>(seed: u64, count: u32)
where
    S::Ap: FloatConvert<D::Ap>,
{
    let mut rng = Rng(seed);
    for a in grid::<S>().into_iter().chain((0..count).map(|_| rng.operand::<S>())).collect::<Vec<_>>() {
        for rm in IEEE_MODES {
            let theirs = ap::<S>(a).convert_r(round(rm), &mut false);
            let (bits, got) = run(Style::RISCV, rm, |e| convert::<S, D>(a, e));
            agree::<D>(S::NAME, rm, &[bits], (bits, got), theirs);
        }
    }
}

macro_rules! conversions {
    ($($from:ty => $($to:ty),*;)*) => {
        #[test]
        fn conversions_between_formats() {
            $($(narrowing::<$from, $to>(41, 6_000);)*)*
        }
    };
}

conversions! {
    F16 => BF16, F32, F64, X87, F128;
    BF16 => F16, F32, F64, X87, F128;
    F32 => F16, BF16, F64, X87, F128;
    F64 => F16, BF16, F32, X87, F128;
    X87 => F16, BF16, F32, F64, F128;
    F128 => F16, BF16, F32, F64, X87;
}

fn integers<F: Oracle>(seed: u64, count: u32) {
    let mut rng = Rng(seed);
    for a in grid::<F>().into_iter().chain((0..count).map(|_| rng.operand::<F>())).collect::<Vec<_>>() {
        for (bits, signed) in [(8, true), (16, false), (32, true), (32, false), (64, true), (64, false)] {
            let to = IntFormat { bits, signed, fraction: 0 };
            for rm in IEEE_MODES {
                let (got, raised) = run(Style::RISCV, rm, |e| to_int::<F>(a, rm, to, IntStyle::Arm, e));
                // APFloat's out-of-range results are Arm's: saturated, NaN to zero.
                let theirs = if signed {
                    ap::<F>(a).to_i128_r(bits as usize, round(rm), &mut false).map(|v| v as u64)
                } else {
                    ap::<F>(a).to_u128_r(bits as usize, round(rm), &mut false).map(|v| v as u64)
                };
                assert_eq!((got, raised), (theirs.value, flags(theirs.status)), "{} {a:x?} {to:?} {rm:?}", F::NAME);
            }
        }
    }
}

#[test]
fn conversions_to_integers() {
    integers::<F16>(51, 10_000);
    integers::<BF16>(52, 10_000);
    integers::<F32>(53, 10_000);
    integers::<F64>(54, 10_000);
    integers::<X87>(55, 10_000);
    integers::<F128>(56, 10_000);
}

fn from_integers<F: Oracle>(seed: u64, count: u32) {
    let mut rng = Rng(seed);
    for _ in 0..count {
        let value = rng.next() >> rng.below(64) << rng.below(64);
        for rm in IEEE_MODES {
            let theirs = F::Ap::from_u128_r(u128::from(value), round(rm));
            agree::<F>("from_u64", rm, &[], run(Style::RISCV, rm, |e| from_u64::<F>(value, e)), theirs);
            let value = value as i64;
            let theirs = F::Ap::from_i128_r(i128::from(value), round(rm));
            agree::<F>("from_i64", rm, &[], run(Style::RISCV, rm, |e| from_i64::<F>(value, e)), theirs);
        }
    }
}

#[test]
fn conversions_from_integers() {
    from_integers::<F16>(61, 10_000);
    from_integers::<BF16>(62, 10_000);
    from_integers::<F32>(63, 10_000);
    from_integers::<F64>(64, 10_000);
    from_integers::<X87>(65, 10_000);
    from_integers::<F128>(66, 10_000);
}
