//! NaN results of every style, comparisons, minimum and maximum, classification and integer conversions of NaNs.

mod common;

use common::{grid, make, run};
use std::cmp::Ordering;
use tern_softfloat::{
    BF16, Env, F16, F32, F64, F128, Flags, Format, IntStyle, MinMax, NanStyle, Rm, Style, X87, add, classify, compare,
    convert, div, eq, le, le_quiet, lt, lt_quiet, max, min, mul, mul_add, sqrt, sub, to_i32, to_i64, to_u32, to_u64,
};

const Q1: u32 = 0x7fc0_0001;
const Q2: u32 = 0xffc0_0002;
const Q3: u32 = 0x7fc0_0003;
const S1: u32 = 0x7f80_0011;
const S2: u32 = 0xff80_0012;
const S3: u32 = 0x7f80_0013;
const ONE: u32 = 0x3f80_0000;
const INF: u32 = F32::INFINITY;
/// The quiet bit.
const Q: u32 = 0x0040_0000;
const NV: Flags = Flags::NV;
const NONE: Flags = Flags::NONE;

#[test]
fn default_nans() {
    for (style, want) in [
        (Style::RISCV, 0x7fc0_0000u32),
        (Style::ARM, 0x7fc0_0000),
        (Style::X86, 0xffc0_0000),
        (Style::X87, 0xffc0_0000),
        (Style::MIPS_LEGACY, 0x7fbf_ffff),
        (Style::MIPS_2008, 0x7fc0_0000),
        (Style::POWERPC, 0x7fc0_0000),
        (Style::SPARC, 0x7fff_ffff),
        (Style::M68K, 0x7fff_ffff),
        (Style::S390, 0x7fc0_0000),
        (Style::LOONGARCH, 0x7fc0_0000),
        (Style::ALPHA, 0xffc0_0000),
        (Style::HPPA, 0x7fa0_0000),
        (Style::SH4, 0x7fbf_ffff),
    ] {
        let minus_inf = INF | F32::NEG_ZERO;
        assert_eq!(run(style, Rm::Rne, |e| add::<F32>(INF, minus_inf, e)), (want, NV), "{:?}", style.nan);
        assert_eq!(run(style, Rm::Rne, |e| sub::<F32>(INF, INF, e)), (want, NV));
        assert_eq!(run(style, Rm::Rne, |e| mul::<F32>(INF, 0, e)), (want, NV));
        assert_eq!(run(style, Rm::Rne, |e| div::<F32>(0, 0, e)), (want, NV));
        assert_eq!(run(style, Rm::Rne, |e| div::<F32>(INF, INF, e)), (want, NV));
        assert_eq!(run(style, Rm::Rne, |e| sqrt::<F32>(ONE | F32::NEG_ZERO, e)), (want, NV));
        assert_eq!(run(style, Rm::Rne, |e| mul_add::<F32>(INF, 0, ONE, e)), (want, NV));
        assert_eq!(run(style, Rm::Rne, |e| mul_add::<F32>(INF, ONE, minus_inf, e)), (want, NV));
    }
}

/// Two operands: quiet-quiet, signalling-quiet, quiet-signalling, signalling-signalling.
#[test]
fn two_operands() {
    let rows: [(Style, [u32; 4]); 7] = [
        (Style::RISCV, [0x7fc0_0000; 4]),
        (Style::ARM, [Q1, S1 | Q, S2 | Q, S1 | Q]),
        (Style { default_nan: true, ..Style::ARM }, [0x7fc0_0000; 4]),
        (Style::X86, [Q1, S1 | Q, Q1, S1 | Q]),
        (Style::X87, [Q2, Q2, Q1, S2 | Q]),
        (Style::POWERPC, [Q1, S1 | Q, Q1, S1 | Q]),
        (Style::SPARC, [Q2, S1 | Q, S2 | Q, S2 | Q]),
    ];
    for (style, want) in rows {
        let pairs = [(Q1, Q2, NONE), (S1, Q2, NV), (Q1, S2, NV), (S1, S2, NV)];
        for ((a, b, flags), want) in pairs.into_iter().zip(want) {
            for op in [add::<F32>, sub::<F32>, mul::<F32>, div::<F32>] {
                assert_eq!(run(style, Rm::Rne, |e| op(a, b, e)), (want, flags), "{:?} {a:x} {b:x}", style.nan);
            }
        }
        if want[0] != 0x7fc0_0000 {
            assert_eq!(run(style, Rm::Rne, |e| add::<F32>(ONE, Q2, e)), (Q2, NONE));
            assert_eq!(run(style, Rm::Rne, |e| add::<F32>(S1, INF, e)), (S1 | Q, NV));
        }
    }
    // x87: equal significands leave the positive operand.
    for (a, b) in [(Q1, Q1 | F32::NEG_ZERO), (Q1 | F32::NEG_ZERO, Q1)] {
        assert_eq!(run(Style::X87, Rm::Rne, |e| add::<F32>(a, b, e)).0, Q1);
    }
}

#[test]
fn inverted_quiet_bit() {
    // 0x7fc00001 signals where the top fraction bit means so; 0x7f800011 is quiet.
    let legacy = Style::MIPS_LEGACY;
    assert_eq!(run(legacy, Rm::Rne, |e| add::<F32>(S1, ONE, e)), (S1, NONE));
    assert_eq!(run(legacy, Rm::Rne, |e| add::<F32>(Q1, S1, e)), (0x7fbf_ffff, NV));
    assert_eq!(run(Style::HPPA, Rm::Rne, |e| add::<F32>(0x7fc0_0000, ONE, e)), (0x7fa0_0000, NV));
    assert_eq!(run(Style::SH4, Rm::Rne, |e| add::<F32>(S1, ONE, e)), (0x7fbf_ffff, NONE));
    // A quiet payload that narrowing would empty becomes the default NaN, not an infinity.
    let low = 0x7ff0_0000_0000_0001u64;
    assert_eq!(run(legacy, Rm::Rne, |e| convert::<F64, F32>(low, e)), (0x7fbf_ffff, NONE));
    let env = Env::new(legacy);
    assert_eq!((classify::<F32>(Q1, &env), classify::<F32>(S1, &env)), (1 << 8, 1 << 9));
}

#[test]
fn three_operands() {
    let rows: [(Style, u32, u32, u32); 8] = [
        // (q, q, q), (q, s, s), (1, q, s)
        (Style::ARM, Q3, S3 | Q, S3 | Q),
        (Style::X86, Q1, Q1, Q2),
        (Style::POWERPC, Q1, Q1, S3 | Q),
        (Style::SPARC, Q3, S3 | Q, S3 | Q),
        (Style::S390, Q1, S2 | Q, S3 | Q),
        (Style::MIPS_2008, Q3, S3 | Q, S3 | Q),
        (Style::LOONGARCH, Q3, S3 | Q, S3 | Q),
        (Style::RISCV, 0x7fc0_0000, 0x7fc0_0000, 0x7fc0_0000),
    ];
    for (style, quiet, mixed, last) in rows {
        let fma = |a, b, c| run(style, Rm::Rne, |e| mul_add::<F32>(a, b, c, e));
        assert_eq!(fma(Q1, Q2, Q3), (quiet, NONE), "{:?}", style.nan);
        assert_eq!(fma(Q1, S2, S3), (mixed, NV), "{:?}", style.nan);
        assert_eq!(fma(ONE, Q2, S3), (last, NV), "{:?}", style.nan);
    }
}

#[test]
fn infinity_times_zero_plus_nan() {
    let rows = [
        (Style::RISCV, (0x7fc0_0000, NV), (0x7fc0_0000, NV)),
        (Style::ARM, (0x7fc0_0000, NV), (S3 | Q, NV)),
        (Style::X86, (Q3, NONE), (S3 | Q, NV)),
        (Style::POWERPC, (Q3, NV), (S3 | Q, NV)),
        (Style::S390, (0x7fc0_0000, NV), (0x7fc0_0000, NV)),
        (Style::MIPS_2008, (Q3, NV), (S3 | Q, NV)),
    ];
    for (style, quiet, signalling) in rows {
        for (a, b) in [(INF, 0), (F32::NEG_ZERO, INF)] {
            assert_eq!(run(style, Rm::Rne, |e| mul_add::<F32>(a, b, Q3, e)), quiet, "{:?}", style.nan);
            assert_eq!(run(style, Rm::Rne, |e| mul_add::<F32>(a, b, S3, e)), signalling, "{:?}", style.nan);
        }
    }
}

#[test]
fn conversions_keep_payload_tops() {
    let wide = 0x7ff4_2000_0000_0001u64;
    assert_eq!(run(Style::ARM, Rm::Rne, |e| convert::<F64, F32>(wide, e)), (0x7fe1_0000, NV));
    assert_eq!(run(Style::ARM, Rm::Rne, |e| convert::<F64, F16>(wide, e)), (0x7f08, NV));
    assert_eq!(run(Style::ARM, Rm::Rne, |e| convert::<F64, BF16>(wide, e)), (0x7fe1, NV));
    assert_eq!(run(Style::X87, Rm::Rne, |e| convert::<F32, X87>(Q2, e)), (0xffff_c000_0200_0000_0000, NONE));
    assert_eq!(run(Style::ARM, Rm::Rne, |e| convert::<F32, F128>(Q2, e)), (0xffff_8000_0400 << 80, NONE));
    assert_eq!(run(Style::RISCV, Rm::Rne, |e| convert::<F32, F64>(Q2, e)), (0x7ff8 << 48, NONE));
}

fn order<F: Format>(a: F::Bits, b: F::Bits) -> Option<Ordering> {
    run(Style::RISCV, Rm::Rne, |e| compare::<F>(a, b, false, e)).0
}

#[test]
fn comparisons() {
    for a in grid::<F64>() {
        for b in grid::<F64>() {
            let (x, y) = (f64::from_bits(a), f64::from_bits(b));
            assert_eq!(order::<F64>(a, b), x.partial_cmp(&y));
            let signalling = |v: u64| f64::from_bits(v).is_nan() && v & 1 << 51 == 0;
            let on_snan = if signalling(a) || signalling(b) { NV } else { NONE };
            let on_nan = if x.is_nan() || y.is_nan() { NV } else { NONE };
            let got = |op: fn(u64, u64, &mut Env) -> bool| run(Style::RISCV, Rm::Rne, |e| op(a, b, e));
            assert_eq!(got(eq::<F64>), (x == y, on_snan));
            assert_eq!(got(lt_quiet::<F64>), (x < y, on_snan));
            assert_eq!(got(le_quiet::<F64>), (x <= y, on_snan));
            assert_eq!(got(lt::<F64>), (x < y, on_nan));
            assert_eq!(got(le::<F64>), (x <= y, on_nan));
        }
    }
    assert_eq!(order::<X87>(make::<X87>(false, 1, 0), 1 << 63), Some(Ordering::Equal), "pseudo-denormal");
    assert_eq!(order::<F128>(F128::NEG_ZERO | 1, F128::NEG_ZERO), Some(Ordering::Less));
}

#[test]
fn minimum_and_maximum() {
    let two = 0x4000_0000;
    let pick = |style, rule, a, b| {
        (run(style, Rm::Rne, |e| min::<F32>(a, b, rule, e)), run(style, Rm::Rne, |e| max::<F32>(a, b, rule, e)))
    };
    for rule in [MinMax::Num2008, MinMax::Num2019, MinMax::Prop, MinMax::X86] {
        assert_eq!(pick(Style::ARM, rule, ONE, two), ((ONE, NONE), (two, NONE)));
        assert_eq!(pick(Style::ARM, rule, two, ONE), ((ONE, NONE), (two, NONE)));
        let (minus, plus) = (F32::NEG_ZERO, 0);
        let zeros = pick(Style::ARM, rule, plus, minus);
        let want = if rule == MinMax::X86 { (minus, minus) } else { (minus, plus) };
        assert_eq!((zeros.0.0, zeros.1.0), want, "{rule:?}");
    }
    let both = |want: (u32, Flags)| (want, want);
    // Arm FMINNM: a quiet NaN loses, a signalling one does not. FMIN: NaNs win.
    assert_eq!(pick(Style::ARM, MinMax::Num2008, Q1, two), both((two, NONE)));
    assert_eq!(pick(Style::ARM, MinMax::Num2008, two, S1), both((S1 | Q, NV)));
    assert_eq!(pick(Style::ARM, MinMax::Num2008, Q1, S2), both((S2 | Q, NV)));
    assert_eq!(pick(Style::ARM, MinMax::Num2008, Q1, Q2), both((Q1, NONE)));
    assert_eq!(pick(Style::ARM, MinMax::Prop, two, Q2), both((Q2, NONE)));
    assert_eq!(pick(Style::ARM, MinMax::Prop, S1, two), both((S1 | Q, NV)));
    // RISC-V fmin, fmax: any NaN loses; fminm, fmaxm: the canonical NaN.
    assert_eq!(pick(Style::RISCV, MinMax::Num2019, Q2, two), both((two, NONE)));
    assert_eq!(pick(Style::RISCV, MinMax::Num2019, two, S2), both((two, NV)));
    assert_eq!(pick(Style::RISCV, MinMax::Num2019, Q1, S2), both((0x7fc0_0000, NV)));
    assert_eq!(pick(Style::RISCV, MinMax::Prop, two, Q2), both((0x7fc0_0000, NONE)));
    // SSE: the second operand as it is, and any NaN is invalid.
    assert_eq!(pick(Style::X86, MinMax::X86, S1, two), both((two, NV)));
    assert_eq!(pick(Style::X86, MinMax::X86, two, S1), both((S1, NV)));
    assert_eq!(pick(Style::X86, MinMax::X86, Q1, Q2), both((Q2, NV)));
}

#[test]
fn classes() {
    let env = Env::new(Style::RISCV);
    let table = [
        (0xff80_0000, 0),
        (0xbf80_0000, 1),
        (0x8000_0001, 2),
        (0x8000_0000, 3),
        (0, 4),
        (1, 5),
        (ONE, 6),
        (0x7f80_0000, 7),
        (S1, 8),
        (S2, 8),
        (Q1, 9),
        (Q2, 9),
    ];
    for (bits, class) in table {
        assert_eq!(classify::<F32>(bits, &env), 1 << class, "{bits:x}");
    }
}

#[test]
fn integers_of_nans_and_beyond() {
    use IntStyle::{Arm, MipsLegacy, Power, RiscV, SignedNan, X86};
    let inf = F64::INFINITY;
    let minus = inf | F64::NEG_ZERO;
    let (nan, minus_nan) = (F64::QUIET_NAN, F64::QUIET_NAN | F64::NEG_ZERO);
    // Signed: NaN, negative NaN, +inf, -inf.
    for (style, want) in [
        (RiscV, [i32::MAX, i32::MAX, i32::MAX, i32::MIN]),
        (Arm, [0, 0, i32::MAX, i32::MIN]),
        (X86, [i32::MIN; 4]),
        (Power, [i32::MIN, i32::MIN, i32::MAX, i32::MIN]),
        (MipsLegacy, [i32::MAX; 4]),
        (SignedNan, [i32::MAX, i32::MIN, i32::MAX, i32::MIN]),
    ] {
        for (bits, want) in [nan, minus_nan, inf, minus].into_iter().zip(want) {
            assert_eq!(run(Style::RISCV, Rm::Rtz, |e| to_i32::<F64>(bits, Rm::Rtz, style, e)), (want, NV), "{style:?}");
            let (wide, _) = run(Style::RISCV, Rm::Rtz, |e| to_i64::<F64>(bits, Rm::Rtz, style, e));
            let want = match want {
                i32::MAX => i64::MAX,
                i32::MIN => i64::MIN,
                other => i64::from(other),
            };
            assert_eq!(wide, want, "{style:?}");
        }
    }
    for (style, want) in [
        (RiscV, [u32::MAX, u32::MAX, u32::MAX, 0]),
        (Arm, [0, 0, u32::MAX, 0]),
        (X86, [u32::MAX; 4]),
        (Power, [0, 0, u32::MAX, 0]),
    ] {
        for (bits, want) in [nan, minus_nan, inf, minus].into_iter().zip(want) {
            assert_eq!(run(Style::RISCV, Rm::Rtz, |e| to_u32::<F64>(bits, Rm::Rtz, style, e)), (want, NV), "{style:?}");
            let (wide, _) = run(Style::RISCV, Rm::Rtz, |e| to_u64::<F64>(bits, Rm::Rtz, style, e));
            assert_eq!(wide, if want == u32::MAX { u64::MAX } else { 0 }, "{style:?}");
        }
    }
    // RISC-V table of valid inputs: -1 < x < 0 converts to unsigned 0 inexactly, -1 is invalid.
    let to_u = |v: f64| run(Style::RISCV, Rm::Rtz, |e| to_u32::<F64>(v.to_bits(), Rm::Rtz, RiscV, e));
    assert_eq!(to_u(-0.9), (0, Flags::NX));
    assert_eq!(to_u(-1.0), (0, NV));
    assert_eq!(to_u(4294967295.5), (u32::MAX, Flags::NX));
    assert_eq!(to_u(4294967296.0), (u32::MAX, NV));
}

#[test]
fn every_style_has_a_row() {
    // Styles that propagate must quiet what they propagate.
    for style in [
        NanStyle::Arm,
        NanStyle::X86,
        NanStyle::X87,
        NanStyle::Mips2008,
        NanStyle::PowerPc,
        NanStyle::Sparc,
        NanStyle::M68k,
        NanStyle::S390,
        NanStyle::LoongArch,
        NanStyle::Alpha,
        NanStyle::Hppa,
        NanStyle::MipsLegacy,
    ] {
        let env = Env::new(Style { nan: style, ..Style::RISCV });
        for a in grid::<F32>() {
            for b in grid::<F32>() {
                let (sum, _) = run(env.style, Rm::Rne, |e| add::<F32>(a, b, e));
                assert_ne!(classify::<F32>(sum, &env), 1 << 8, "{style:?} {a:x} {b:x} gave a signalling NaN");
            }
        }
    }
}
