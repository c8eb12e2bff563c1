//! The style of an ISA: its NaN table row, tininess, flushing and denormal-flag rules.

/// Fraction of the default NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultFraction {
    /// Only the quiet bit.
    QuietBit,
    /// All ones.
    Ones,
    /// All ones but the top bit (legacy MIPS: a clear top bit means quiet).
    OnesBelowTop,
    /// Only the bit below the top bit (PA-RISC).
    BelowTop,
}

/// How a signalling NaN becomes quiet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quieting {
    /// The top fraction bit is set.
    SetTop,
    /// It is replaced by the default NaN, because clearing the top fraction bit could leave an infinity.
    Default,
    /// The top fraction bit is cleared and the one below it set (PA-RISC).
    ClearTopSetNext,
}

/// Which operand a two-operand operation takes its NaN from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Two {
    /// The first operand if it is a NaN, else the second.
    Ab,
    /// The second operand if it is a NaN, else the first.
    Ba,
    /// The first signalling operand, else the first quiet one.
    SignallingAb,
    /// The second operand if signalling, else the first if signalling, else the second if quiet, else the first.
    SignallingBa,
    /// x87: a quiet NaN beats a signalling one, else the larger significand, else the positive one.
    X87,
}

/// Which operand of `a * b + c` its NaN is taken from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Three {
    /// In the order a, b, c.
    Abc,
    /// In the order a, c, b (Power names the addend second).
    Acb,
    /// In the order b, a, c.
    Bac,
    /// Signalling before quiet, in the order a, b, c.
    SignallingAbc,
    /// Signalling before quiet, in the order c, a, b.
    SignallingCab,
    /// Signalling before quiet, in the order c, b, a.
    SignallingCba,
}

/// What `inf * 0 + NaN` gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InfZeroNan {
    /// The default NaN, and invalid.
    Default,
    /// The default NaN when the addend is quiet (and invalid), else the quieted addend.
    DefaultIfQuiet,
    /// The addend, quieted, and invalid.
    Addend,
    /// The addend, quieted; invalid only when it is signalling.
    AddendSilently,
}

/// One row of the NaN table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NanTraits {
    /// Sign of the default NaN.
    pub default_sign: bool,
    /// Fraction of the default NaN.
    pub default_fraction: DefaultFraction,
    /// True when a set top fraction bit means signalling (IEEE 754-1985 left that open).
    pub signalling_bit_is_one: bool,
    /// How a propagated signalling NaN is made quiet.
    pub quieting: Quieting,
    /// True when every NaN result is the default NaN.
    pub always_default: bool,
    /// Selection among two operands.
    pub two: Two,
    /// Selection among the operands of a fused multiply-add.
    pub three: Three,
    /// The result of `inf * 0 + NaN`.
    pub inf_zero_nan: InfZeroNan,
}

/// NaN behaviour of an ISA: a row of [`NanTraits`], see [`NanStyle::traits`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum NanStyle {
    /// Always the canonical NaN (RISC-V unprivileged ISA, "NaN Generation and Propagation").
    RiscV,
    /// Arm ARM (DDI 0487) `FPProcessNaNs`, `FPProcessNaNs3`, `FPMulAdd`.
    Arm,
    /// SSE, AVX and FMA (Intel SDM volume 1, tables 4-7 and 14-18).
    X86,
    /// x87 (Intel SDM volume 1, table 4-7).
    X87,
    /// MIPS with `FCSR.NAN2008` = 0: a set top fraction bit signals.
    MipsLegacy,
    /// MIPS with `FCSR.NAN2008` = 1.
    Mips2008,
    /// Power ISA book I, section 4.3.2.
    PowerPc,
    /// SPARC V9 manual, section B.2.
    Sparc,
    /// M68000 Family Programmer's Reference Manual, section 1.6.5.
    M68k,
    /// z/Architecture Principles of Operation, chapter 9, "IEEE Computational Operations".
    S390,
    /// LoongArch reference manual, section 3.1.1.3.
    LoongArch,
    /// Alpha Architecture Reference Manual, section 4.7.
    Alpha,
    /// PA-RISC 1.1: a set top fraction bit signals.
    Hppa,
    /// SH-4: a set top fraction bit signals, results are always the default NaN.
    Sh4,
}

const POSITIVE_QUIET: NanTraits = NanTraits {
    default_sign: false,
    default_fraction: DefaultFraction::QuietBit,
    signalling_bit_is_one: false,
    quieting: Quieting::SetTop,
    always_default: false,
    two: Two::SignallingAb,
    three: Three::SignallingAbc,
    inf_zero_nan: InfZeroNan::Default,
};
const RISCV: NanTraits = NanTraits { always_default: true, ..POSITIVE_QUIET };
const ARM: NanTraits =
    NanTraits { three: Three::SignallingCab, inf_zero_nan: InfZeroNan::DefaultIfQuiet, ..POSITIVE_QUIET };
const X86: NanTraits = NanTraits {
    default_sign: true,
    two: Two::Ab,
    three: Three::Abc,
    inf_zero_nan: InfZeroNan::AddendSilently,
    ..POSITIVE_QUIET
};
const X87: NanTraits = NanTraits { two: Two::X87, ..X86 };
const MIPS_LEGACY: NanTraits = NanTraits {
    default_fraction: DefaultFraction::OnesBelowTop,
    signalling_bit_is_one: true,
    quieting: Quieting::Default,
    ..POSITIVE_QUIET
};
const MIPS_2008: NanTraits =
    NanTraits { three: Three::SignallingCab, inf_zero_nan: InfZeroNan::Addend, ..POSITIVE_QUIET };
const POWERPC: NanTraits =
    NanTraits { two: Two::Ab, three: Three::Acb, inf_zero_nan: InfZeroNan::Addend, ..POSITIVE_QUIET };
const SPARC: NanTraits = NanTraits {
    default_fraction: DefaultFraction::Ones,
    two: Two::SignallingBa,
    three: Three::SignallingCba,
    inf_zero_nan: InfZeroNan::Addend,
    ..POSITIVE_QUIET
};
const M68K: NanTraits =
    NanTraits { default_fraction: DefaultFraction::Ones, two: Two::Ab, three: Three::Abc, ..POSITIVE_QUIET };
const S390: NanTraits = POSITIVE_QUIET;
const LOONGARCH: NanTraits =
    NanTraits { three: Three::SignallingCab, inf_zero_nan: InfZeroNan::Addend, ..POSITIVE_QUIET };
const ALPHA: NanTraits = NanTraits { default_sign: true, two: Two::Ba, three: Three::Bac, ..POSITIVE_QUIET };
const HPPA: NanTraits = NanTraits {
    default_fraction: DefaultFraction::BelowTop,
    signalling_bit_is_one: true,
    quieting: Quieting::ClearTopSetNext,
    three: Three::Abc,
    inf_zero_nan: InfZeroNan::Addend,
    ..POSITIVE_QUIET
};
const SH4: NanTraits = NanTraits { always_default: true, ..MIPS_LEGACY };

impl NanStyle {
    /// The table row of this style.
    #[inline]
    pub const fn traits(self) -> &'static NanTraits {
        match self {
            NanStyle::RiscV => &RISCV,
            NanStyle::Arm => &ARM,
            NanStyle::X86 => &X86,
            NanStyle::X87 => &X87,
            NanStyle::MipsLegacy => &MIPS_LEGACY,
            NanStyle::Mips2008 => &MIPS_2008,
            NanStyle::PowerPc => &POWERPC,
            NanStyle::Sparc => &SPARC,
            NanStyle::M68k => &M68K,
            NanStyle::S390 => &S390,
            NanStyle::LoongArch => &LOONGARCH,
            NanStyle::Alpha => &ALPHA,
            NanStyle::Hppa => &HPPA,
            NanStyle::Sh4 => &SH4,
        }
    }
}

/// When [`Flags::DN`](crate::Flags::DN) is raised.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum DenormalFlag {
    /// Never.
    Never,
    /// When an operand is flushed to zero because of [`Style::daz`] (Arm `FPSR.IDC`).
    WhenFlushed,
    /// When an arithmetic operation uses a denormal operand and signals neither invalid nor division by zero
    /// (x86 `DE`; Intel SDM volume 1, section 4.9.2 for the precedence).
    WhenUsed,
}

/// What [`Style::ftz`] does to a tiny result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FlushRule {
    /// Tiny before rounding; raises underflow only (Arm `FPRound`).
    UnderflowOnly,
    /// Tiny by [`Style::tininess_before`]; raises underflow and inexact (x86 `MXCSR.FTZ`, MIPS `FCSR.FS`).
    UnderflowInexact,
}

/// Rounding precision of results in the 80-bit formats (x87 `FPCW.PC`, 68881 `FPCR.PREC` keeps the wide exponent too).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum X87Precision {
    /// 24 bits.
    Single = 24,
    /// 53 bits.
    Double = 53,
    /// 64 bits.
    Extended = 64,
}

/// How an ISA departs from what IEEE 754 leaves open.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Style {
    /// NaN table row.
    pub nan: NanStyle,
    /// Tininess is detected before rounding (IEEE 754-2019 clause 7.5 allows either).
    pub tininess_before: bool,
    /// Tiny results become zero, see [`FlushRule`].
    pub ftz: bool,
    /// Denormal operands become zero.
    pub daz: bool,
    /// NaN results are the default NaN whatever the operands were (Arm `FPCR.DN`).
    pub default_nan: bool,
    /// When the denormal flag is raised.
    pub denormal: DenormalFlag,
    /// Flags of a flushed result.
    pub flush: FlushRule,
    /// Rounding precision of arithmetic results in [`X87`](crate::X87) and [`M68kX`](crate::M68kX).
    pub x87_precision: X87Precision,
}

const PLAIN: Style = Style {
    nan: NanStyle::RiscV,
    tininess_before: false,
    ftz: false,
    daz: false,
    default_nan: false,
    denormal: DenormalFlag::Never,
    flush: FlushRule::UnderflowInexact,
    x87_precision: X87Precision::Extended,
};

impl Style {
    /// RISC-V: tininess after rounding, canonical NaN, no flushing.
    pub const RISCV: Style = PLAIN;
    /// Arm with `FPCR` = 0: tininess before rounding. `FPCR.FZ` sets `ftz` and `daz`, `FPCR.DN` sets `default_nan`;
    /// for `FPCR.FZ16` also set `denormal` to [`DenormalFlag::Never`].
    pub const ARM: Style = Style {
        nan: NanStyle::Arm,
        tininess_before: true,
        denormal: DenormalFlag::WhenFlushed,
        flush: FlushRule::UnderflowOnly,
        ..PLAIN
    };
    /// SSE and AVX with all exceptions masked: tininess after rounding. `MXCSR.FTZ` and `DAZ` set `ftz` and `daz`.
    pub const X86: Style = Style { nan: NanStyle::X86, denormal: DenormalFlag::WhenUsed, ..PLAIN };
    /// x87 with all exceptions masked.
    pub const X87: Style = Style { nan: NanStyle::X87, ..Style::X86 };
    /// MIPS with `NAN2008` = 0.
    pub const MIPS_LEGACY: Style = Style { nan: NanStyle::MipsLegacy, ..PLAIN };
    /// MIPS with `NAN2008` = 1.
    pub const MIPS_2008: Style = Style { nan: NanStyle::Mips2008, ..PLAIN };
    /// Power.
    pub const POWERPC: Style = Style { nan: NanStyle::PowerPc, tininess_before: true, ..PLAIN };
    /// SPARC.
    pub const SPARC: Style = Style { nan: NanStyle::Sparc, tininess_before: true, ..PLAIN };
    /// 68881, 68882, 68040.
    pub const M68K: Style = Style { nan: NanStyle::M68k, tininess_before: true, ..PLAIN };
    /// z/Architecture.
    pub const S390: Style = Style { nan: NanStyle::S390, tininess_before: true, ..PLAIN };
    /// LoongArch.
    pub const LOONGARCH: Style = Style { nan: NanStyle::LoongArch, ..PLAIN };
    /// Alpha.
    pub const ALPHA: Style = Style { nan: NanStyle::Alpha, ..PLAIN };
    /// PA-RISC.
    pub const HPPA: Style = Style { nan: NanStyle::Hppa, tininess_before: true, ..PLAIN };
    /// SH-4.
    pub const SH4: Style = Style { nan: NanStyle::Sh4, ..PLAIN };
}
