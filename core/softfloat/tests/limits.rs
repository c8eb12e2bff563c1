//! The ends of the range by hand: tininess before and after rounding, overflow by mode, flushing, denormal flags,
//! precision control.

mod common;

use common::{make, run};
use tern_softfloat::{
    DenormalFlag, Env, F32, F64, F128, Flags, Format, IntFormat, IntStyle, M68kX, MinMax, MulAdd, Quotient, Rm, Style,
    X87, X87Precision, add, classify, convert, div, eq, from_int, min, mul, mul_add, mul_add_with, rem_with_quotient,
    round_int, sqrt, sub, to_i32_modular, to_int,
};

const NX_UF: Flags = Flags(3);
const BEFORE: Style = Style { tininess_before: true, ..Style::RISCV };

/// (2^-126 (1 - 2^-24)) rounds to 2^-126 in 24 bits: tiny before rounding only. RISC-V detects tininess after rounding
/// (unprivileged ISA, "F" chapter), Arm before (Arm ARM, `FPRound`).
#[test]
fn tininess() {
    let largest_subnormal = 0x007f_ffff;
    // (1 - 2^-23) * 2^-126 * (1 + 2^-23) = 2^-126 (1 - 2^-46): rounds to the smallest normal either way.
    let above_one = 0x3f80_0001;
    let product = |style| run(style, Rm::Rne, |e| mul::<F32>(largest_subnormal, above_one, e));
    assert_eq!(product(Style::RISCV), (0x0080_0000, Flags::NX));
    assert_eq!(product(Style::ARM), (0x0080_0000, NX_UF));
    assert_eq!(product(BEFORE), (0x0080_0000, NX_UF));
    // 1.25 * 2^-127 (1 + 2^-23) stays subnormal: underflow under both rules.
    for style in [Style::RISCV, BEFORE] {
        let (a, b) = (make::<F32>(false, 1, 1), make::<F32>(false, 126, 1 << 21));
        assert_eq!(run(style, Rm::Rne, |e| mul::<F32>(a, b, e)), (0x0050_0000 + 1, NX_UF));
    }
    // Exact subnormals are not underflow under either rule (clause 7.5).
    for style in [Style::RISCV, BEFORE] {
        assert_eq!(run(style, Rm::Rne, |e| mul::<F32>(0x0080_0000, 0x3f00_0000, e)), (0x0040_0000, Flags::NONE));
    }
    // The boundary of the after-rounding rule in binary64: 2^-1022 (1 - 2^-54) is half way in 53 bits.
    let almost = make::<F64>(false, 1, 0);
    let below_one = 0x3fef_ffff_ffff_ffff;
    let (result, flags) = run(Style::RISCV, Rm::Rne, |e| mul::<F64>(almost, below_one, e));
    // (1 - 2^-53) is exact in 53 bits with an unbounded exponent, so it is tiny; the subnormal rounds to even, up.
    assert_eq!((result, flags), (almost, NX_UF));
    let addend = make::<F64>(false, 0, 0);
    assert_eq!(run(Style::RISCV, Rm::Rne, |e| mul_add::<F64>(almost, below_one, addend, e)), (almost, NX_UF));
}

#[test]
fn smallest_results_by_mode() {
    let smallest = 1u64;
    let half = 0x3fe0_0000_0000_0000;
    let rows = [(Rm::Rne, 0, 0), (Rm::Rtz, 0, 0), (Rm::Rdn, 0, 1), (Rm::Rup, 1, 0), (Rm::Rmm, 1, 1), (Rm::Odd, 1, 1)];
    for (rm, positive, negative) in rows {
        assert_eq!(run(Style::RISCV, rm, |e| mul::<F64>(smallest, half, e)), (positive, NX_UF), "{rm:?}");
        let minus = smallest | F64::NEG_ZERO;
        assert_eq!(run(Style::RISCV, rm, |e| mul::<F64>(minus, half, e)), (negative | F64::NEG_ZERO, NX_UF), "{rm:?}");
    }
    // Far below, where the alignment shift exceeds any register.
    let tiny = make::<F128>(false, 1, 0);
    for (rm, want) in [(Rm::Rne, 0), (Rm::Rup, 1), (Rm::Odd, 1)] {
        assert_eq!(run(Style::RISCV, rm, |e| mul::<F128>(tiny, tiny, e)), (want, NX_UF));
    }
}

#[test]
fn overflow_by_mode() {
    let (max, two) = (F32::MAX, 0x4000_0000);
    let of = Flags::OF | Flags::NX;
    for (rm, to_infinity, negative_to_infinity) in [
        (Rm::Rne, true, true),
        (Rm::Rtz, false, false),
        (Rm::Rdn, false, true),
        (Rm::Rup, true, false),
        (Rm::Rmm, true, true),
        (Rm::Odd, false, false),
    ] {
        let want = |infinite, sign| (if infinite { F32::INFINITY } else { max }) | sign;
        assert_eq!(run(Style::RISCV, rm, |e| mul::<F32>(max, two, e)), (want(to_infinity, 0), of), "{rm:?}");
        let negative = max | F32::NEG_ZERO;
        let got = run(Style::RISCV, rm, |e| mul::<F32>(negative, two, e));
        assert_eq!(got, (want(negative_to_infinity, F32::NEG_ZERO), of), "{rm:?}");
    }
    // Half of the last place above the largest value: only ties away from zero and the even tie overflow.
    let half_ulp = make::<F32>(false, 127 + 103, 0);
    for (rm, want) in [(Rm::Rne, (F32::INFINITY, of)), (Rm::Rtz, (max, Flags::NX)), (Rm::Rmm, (F32::INFINITY, of))] {
        assert_eq!(run(Style::RISCV, rm, |e| add::<F32>(max, half_ulp, e)), want, "{rm:?}");
    }
    assert_eq!(run(Style::RISCV, Rm::Rne, |e| add::<F32>(max, half_ulp - 1, e)), (max, Flags::NX));
}

#[test]
fn flushing() {
    let (smallest, half, third) = (0x0080_0000u32, 0x3f00_0000, 0x3eaa_aaab);
    let arm = Style { ftz: true, daz: true, ..Style::ARM };
    let x86 = Style { ftz: true, ..Style::X86 };
    // An exact subnormal is flushed as well. Arm: underflow alone; x86: underflow and inexact.
    assert_eq!(run(arm, Rm::Rne, |e| mul::<F32>(smallest, half, e)), (0, Flags::UF));
    assert_eq!(run(arm, Rm::Rup, |e| mul::<F32>(smallest | 1 << 31, third, e)), (1 << 31, Flags::UF));
    assert_eq!(run(x86, Rm::Rup, |e| mul::<F32>(smallest, third, e)), (0, NX_UF));
    // A result that rounds up to the smallest normal: Arm flushes it, x86 does not.
    let (a, b) = (0x3f80_0001u32, 0x007f_ffff);
    let undaz = Style { daz: false, ..arm };
    assert_eq!(run(undaz, Rm::Rne, |e| mul::<F32>(a, b, e)), (0, Flags::UF));
    assert_eq!(run(x86, Rm::Rne, |e| mul::<F32>(a, b, e)), (smallest, Flags::NX | Flags::DN));
    // Denormal operands: Arm flags the flush, x86 the use.
    assert_eq!(run(arm, Rm::Rne, |e| add::<F32>(1, half, e)), (half, Flags::DN));
    assert_eq!(run(x86, Rm::Rne, |e| add::<F32>(1, half, e)), (half, Flags::NX | Flags::DN));
    assert_eq!(run(Style { daz: true, ..x86 }, Rm::Rne, |e| add::<F32>(1, half, e)), (half, Flags::NONE));
    let silent = Style { denormal: DenormalFlag::Never, ..arm };
    assert_eq!(run(silent, Rm::Rne, |e| add::<F32>(1, half, e)), (half, Flags::NONE));
    // Flushed operands are zeros everywhere: division, roots, comparison, minimum, integers.
    let daz = Style { daz: true, ..Style::ARM };
    assert_eq!(run(daz, Rm::Rne, |e| div::<F32>(half, 1, e)), (F32::INFINITY, Flags::DZ | Flags::DN));
    assert_eq!(run(daz, Rm::Rne, |e| sqrt::<F32>(1 << 31 | 1, e)), (1 << 31, Flags::DN));
    assert_eq!(run(daz, Rm::Rne, |e| eq::<F32>(1, 0, e)), (true, Flags::DN));
    assert_eq!(run(daz, Rm::Rne, |e| min::<F32>(1, half, MinMax::Prop, e)), (0, Flags::DN));
    assert_eq!(run(daz, Rm::Rup, |e| round_int::<F32>(1, Rm::Rup, true, e)), (0, Flags::DN));
    assert_eq!(run(daz, Rm::Rup, |e| to_int::<F32>(1, Rm::Rup, IntFormat::I32, IntStyle::Arm, e)), (0, Flags::DN));
    // ROUNDSD says nothing of denormals, FRNDINT does.
    assert_eq!(run(Style::X86, Rm::Rne, |e| round_int::<F32>(1, Rm::Rne, true, e)), (0, Flags::NX));
    let got = run(Style::X87, Rm::Rne, |e| round_int::<X87>(1, Rm::Rne, true, e));
    assert_eq!(got, (0, Flags::NX | Flags::DN));
    // x86: division by zero and invalid come before the denormal flag (SDM volume 1, 4.9.2).
    assert_eq!(run(Style::X86, Rm::Rne, |e| div::<F32>(1, 0, e)), (F32::INFINITY, Flags::DZ));
    assert_eq!(run(Style::X86, Rm::Rne, |e| sqrt::<F32>(1 << 31 | 1, e)).1, Flags::NV);
}

#[test]
fn precision_control() {
    let one = make::<X87>(false, 0x3fff, 0);
    let three = make::<X87>(false, 0x4000, 1 << 62);
    let third =
        |precision| run(Style { x87_precision: precision, ..Style::X87 }, Rm::Rne, |e| div::<X87>(one, three, e));
    assert_eq!(third(X87Precision::Extended), (0x3ffd_aaaa_aaaa_aaaa_aaab, Flags::NX));
    assert_eq!(third(X87Precision::Double), (0x3ffd_aaaa_aaaa_aaaa_a800, Flags::NX));
    assert_eq!(third(X87Precision::Single), (0x3ffd_aaaa_ab00_0000_0000, Flags::NX));
    // The exponent range stays that of the format, conversions ignore the control.
    let single = Style { x87_precision: X87Precision::Single, ..Style::X87 };
    let tiny = X87::MIN_NORMAL;
    assert_eq!(run(single, Rm::Rne, |e| mul::<X87>(tiny, one, e)), (tiny, Flags::NONE));
    let double = 0x3ff5_5555_5555_5555u64;
    let (wide, flags) = run(single, Rm::Rne, |e| convert::<F64, X87>(double, e));
    assert_eq!((run(single, Rm::Rne, |e| convert::<X87, F64>(wide, e)).0, flags), (double, Flags::NONE));
    let (max, flags) = run(single, Rm::Rtz, |e| mul::<X87>(X87::MAX, X87::MAX, e));
    assert_eq!((max, flags), (0x7ffe_ffff_ff00_0000_0000, Flags::OF | Flags::NX));
}

#[test]
fn unusual_extended_encodings() {
    let one = make::<X87>(false, 0x3fff, 0);
    // Unnormal, pseudo-infinity and pseudo-NaN are unsupported: invalid, real indefinite (SDM volume 1, table 8-3).
    for unsupported in [0x3fff_4000_0000_0000_0000, 0x7fff_0000_0000_0000_0000, 0x7fff_4000_0000_0000_0000u128] {
        let got = run(Style::X87, Rm::Rne, |e| add::<X87>(unsupported, one, e));
        assert_eq!(got, (0xffff_c000_0000_0000_0000, Flags::NV));
        assert_eq!(run(Style::X87, Rm::Rne, |e| eq::<X87>(unsupported, one, e)), (false, Flags::NV));
    }
    // A pseudo-denormal has the value of exponent field 1 and counts as a denormal operand.
    let pseudo = 0x0000_8000_0000_0000_0000u128;
    assert_eq!(run(Style::X87, Rm::Rne, |e| mul::<X87>(pseudo, one, e)), (X87::MIN_NORMAL, Flags::DN));
    // The 68881 gives all of them a value; exponent field 0 weighs 2^-16383.
    let unnormal = 0x3fff_4000_0000_0000_0000u128;
    let one_m68k = 0x3fff_8000_0000_0000_0000;
    assert_eq!(run(Style::M68K, Rm::Rne, |e| add::<M68kX>(unnormal, 0, e)), (0x3ffe_8000_0000_0000_0000, Flags::NONE));
    assert_eq!(run(Style::M68K, Rm::Rne, |e| mul::<M68kX>(M68kX::MIN_NORMAL, one_m68k, e)).0, M68kX::MIN_NORMAL);
    let half = 0x3ffe_8000_0000_0000_0000;
    let (denormal, flags) = run(Style::M68K, Rm::Rne, |e| mul::<M68kX>(M68kX::MIN_NORMAL, half, e));
    assert_eq!((denormal, flags), (0x0000_4000_0000_0000_0000, Flags::NONE));
    let env = Env::new(Style::M68K);
    assert_eq!(classify::<M68kX>(M68kX::MIN_NORMAL, &env), 1 << 6);
    assert_eq!(classify::<M68kX>(denormal, &env), 1 << 5);
    let two = 0x4000_8000_0000_0000_0000;
    assert_eq!(run(Style::M68K, Rm::Rne, |e| mul::<M68kX>(denormal, two, e)).0, M68kX::MIN_NORMAL);
    let (zero, flags) = run(Style::M68K, Rm::Rne, |e| sub::<M68kX>(M68kX::INFINITY, 0x7fff_8000_0000_0000_0000, e));
    assert_eq!((zero, flags), (0x7fff_ffff_ffff_ffff_ffff, Flags::NV), "an infinity's integer bit is ignored");
}

#[test]
fn fixed_point_and_modular_integers() {
    let q8 = IntFormat { bits: 16, signed: true, fraction: 8 };
    let fixed = |v: f64, rm| run(Style::ARM, rm, |e| to_int::<F64>(v.to_bits(), rm, q8, IntStyle::Arm, e));
    assert_eq!(fixed(1.5, Rm::Rtz), (0x180, Flags::NONE));
    assert_eq!(fixed(-127.998, Rm::Rtz), ((-32767i64) as u64, Flags::NX));
    assert_eq!(fixed(128.0, Rm::Rtz), (32767, Flags::NV));
    assert_eq!(fixed(-128.0, Rm::Rtz), (-32768i64 as u64, Flags::NONE));
    assert_eq!(run(Style::ARM, Rm::Rne, |e| from_int::<F64>(true, 0x180, 8, e)).0, (-1.5f64).to_bits());
    let modular = |v: f64| run(Style::RISCV, Rm::Rne, |e| to_i32_modular::<F64>(v.to_bits(), e));
    assert_eq!(modular(4294967296.0 + 5.0), (5, Flags::NV));
    assert_eq!(modular(-4294967296.0 - 5.5), (-5, Flags::NV));
    assert_eq!(modular(2147483648.0), (i32::MIN, Flags::NV));
    assert_eq!(modular(-2147483648.0), (i32::MIN, Flags::NONE));
    assert_eq!(modular(-2147483648.5), (i32::MIN, Flags::NX));
    assert_eq!(modular(2147483647.5), (i32::MAX, Flags::NX));
    assert_eq!(modular(-0.75), (0, Flags::NX));
    assert_eq!(modular(2f64.powi(84) - 2f64.powi(31)), (i32::MIN, Flags::NV));
    assert_eq!(modular(1e300), (0, Flags::NV));
    for v in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        assert_eq!(modular(v), (0, Flags::NV));
    }
    let wide = |exponent, fraction| {
        let bits = make::<F128>(false, exponent + 16383, fraction);
        run(Style::RISCV, Rm::Rne, |e| to_i32_modular::<F128>(bits, e))
    };
    for exponent in 112..=143u32 {
        // 2^exponent (1 + 2^-112): the low bit weighs 2^(exponent - 112).
        assert_eq!(wide(exponent, 1), ((1u32 << (exponent - 112)) as i32, Flags::NV));
    }
    assert_eq!(wide(144, 1), (0, Flags::NV));
}

#[test]
fn multiply_add_variations() {
    let (two, three, five) = (2f64.to_bits(), 3f64.to_bits(), 5f64.to_bits());
    let with = |op| f64::from_bits(run(Style::POWERPC, Rm::Rne, |e| mul_add_with::<F64>(two, three, five, op, e)).0);
    assert_eq!(with(MulAdd::default()), 11.0);
    assert_eq!(with(MulAdd { negate_product: true, ..MulAdd::default() }), -1.0);
    assert_eq!(with(MulAdd { negate_addend: true, ..MulAdd::default() }), 1.0);
    assert_eq!(with(MulAdd { negate_result: true, ..MulAdd::default() }), -11.0);
    assert_eq!(with(MulAdd { halve: true, ..MulAdd::default() }), 5.5);
    // Halving is before rounding, so that a sum beyond the largest value does not overflow.
    let halve = MulAdd { halve: true, ..MulAdd::default() };
    let one = 1f64.to_bits();
    let got = run(Style::ARM, Rm::Rne, |e| mul_add_with::<F64>(F64::MAX, one, F64::MAX, halve, e));
    assert_eq!(got, (F64::MAX, Flags::NONE));
    // A NaN keeps its sign under every negation.
    let op = MulAdd { negate_product: true, negate_addend: true, negate_result: true, halve: false };
    let nan = 0x7ff8_0000_0000_0001;
    assert_eq!(run(Style::X86, Rm::Rne, |e| mul_add_with::<F64>(nan, two, three, op, e)).0, nan);
    // Exact cancellation: the sign of zero follows the mode (clause 6.3).
    let six = 6f64.to_bits();
    let minus = MulAdd { negate_addend: true, ..MulAdd::default() };
    assert_eq!(run(Style::ARM, Rm::Rne, |e| mul_add_with::<F64>(two, three, six, minus, e)).0, 0);
    assert_eq!(run(Style::ARM, Rm::Rdn, |e| mul_add_with::<F64>(two, three, six, minus, e)).0, F64::NEG_ZERO);
}

#[test]
fn remainders_with_quotients() {
    let rem = |a: f64, b: f64, rule| {
        let ((r, q), flags) = run(Style::X87, Rm::Rne, |e| rem_with_quotient::<F64>(a.to_bits(), b.to_bits(), rule, e));
        (f64::from_bits(r), q, flags)
    };
    assert_eq!(rem(7.0, 2.0, Quotient::Nearest), (-1.0, 4, Flags::NONE));
    assert_eq!(rem(7.0, 2.0, Quotient::Truncated), (1.0, 3, Flags::NONE));
    assert_eq!(rem(5.0, 2.0, Quotient::Nearest), (1.0, 2, Flags::NONE));
    assert_eq!(rem(-7.0, 2.0, Quotient::Truncated), (-1.0, 3, Flags::NONE));
    assert_eq!(rem(1.5, 2.0, Quotient::Nearest), (-0.5, 1, Flags::NONE));
    assert_eq!(rem(0.9, 2.0, Quotient::Nearest), (0.9, 0, Flags::NONE));
    assert_eq!(rem(1.5, 2.0, Quotient::Truncated), (1.5, 0, Flags::NONE));
    let mut rng = common::Rng(301);
    for _ in 0..100_000 {
        let (a, b) = (f64::from_bits(rng.operand::<F64>()), f64::from_bits(rng.operand::<F64>()));
        let (got, q, _) = rem(a, b, Quotient::Truncated);
        // The host's fmod is exact.
        let want = a % b;
        assert!(got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()), "{a:e} {b:e} {got:e} {want:e}");
        let quotient = (a / b).abs().trunc();
        // Small quotients are exact up to a rounding of the division at an integer boundary.
        if quotient < 1e15 {
            assert!((q as f64 - quotient).abs() <= 1.0, "{a:e} {b:e} {q}");
        }
    }
}
