//! Floating-point operations: their table, attributes and reference meaning.
//!
//! Values travel as bits: F16, BF16 and F32 in `I32` (upper bits ignored), F64 in `I64`.  An operation names one of four
//! floating-point environments of the state (flags slot, control slot, the layout's style) and a rounding source.

use super::Ty;
use crate::state::{FP_DAZ, FP_DEFAULT_NAN, FP_FTZ, FP_RM_MASK, Slot, State};
use tern_softfloat as sf;

/// Formats that IR knows.  Wider ones (X87, F128) go through helpers over slot pairs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fmt {
    /// binary16.
    F16 = 0,
    /// bfloat16.
    Bf16 = 1,
    /// binary32.
    F32 = 2,
    /// binary64.
    F64 = 3,
}

impl Fmt {
    /// From its number modulo 4.
    #[must_use]
    pub const fn from_bits(n: u32) -> Fmt {
        match n & 3 {
            0 => Fmt::F16,
            1 => Fmt::Bf16,
            2 => Fmt::F32,
            _ => Fmt::F64,
        }
    }

    /// The type of its values.
    #[must_use]
    pub const fn ty(self) -> Ty {
        if matches!(self, Fmt::F64) { Ty::I64 } else { Ty::I32 }
    }
}

/// Where the rounding mode comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Round {
    /// The environment's control slot.
    Dynamic,
    /// Fixed in the instruction.
    Static(sf::Rm),
}

/// Attributes of a floating-point operation, packed into [`super::Inst::imm`] and bytecode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FpAttr {
    /// Format of the operands.
    pub fmt: Fmt,
    /// Environment 0 to 3.
    pub env: u8,
    /// Rounding source.
    pub round: Round,
    /// Operation-specific: destination format of `FCvt`, rule number of `FMin`/`FMax`, result style of `FTo*`, whether
    /// `FRint` raises inexact, signs of `FMulAdd` ([`FMA_NEG_PRODUCT`], [`FMA_NEG_ADDEND`]).
    pub kind: u8,
}

impl FpAttr {
    /// Dynamic rounding in environment 0.
    #[must_use]
    pub const fn new(fmt: Fmt) -> FpAttr {
        FpAttr { fmt, env: 0, round: Round::Dynamic, kind: 0 }
    }

    /// The same with another rounding source.
    #[must_use]
    pub const fn round(self, round: Round) -> FpAttr {
        FpAttr { round, ..self }
    }

    /// The same with another kind.
    #[must_use]
    pub const fn kind(self, kind: u8) -> FpAttr {
        FpAttr { kind, ..self }
    }

    /// 13 bits: fmt, env, rounding (7 = dynamic), kind.
    #[must_use]
    pub const fn pack(self) -> u32 {
        let rm = match self.round {
            Round::Dynamic => 7,
            Round::Static(rm) => rm as u32,
        };
        self.fmt as u32 | (self.env as u32 & 3) << 2 | rm << 4 | (self.kind as u32 & 63) << 7
    }

    /// The inverse of [`FpAttr::pack`].
    #[must_use]
    pub fn unpack(bits: u32) -> FpAttr {
        let round = match sf::Rm::from_bits((bits >> 4 & 7) as u8) {
            Some(rm) => Round::Static(rm),
            None => Round::Dynamic,
        };
        FpAttr { fmt: Fmt::from_bits(bits), env: (bits >> 2 & 3) as u8, round, kind: (bits >> 7 & 63) as u8 }
    }
}

/// Reads an environment out of the state.  An invalid dynamic mode counts as RNE: frontends trap on it before.
#[must_use]
pub fn env_of(state: &State, layout_styles: &[sf::Style; 4], attr: FpAttr) -> sf::Env {
    let control = state.get(Slot::fp_control(attr.env));
    let rm = match attr.round {
        Round::Static(rm) => rm,
        Round::Dynamic => sf::Rm::from_bits((control & FP_RM_MASK) as u8).unwrap_or(sf::Rm::Rne),
    };
    let mut style = layout_styles[usize::from(attr.env & 3)];
    style.ftz |= control & FP_FTZ != 0;
    style.daz |= control & FP_DAZ != 0;
    style.default_nan |= control & FP_DEFAULT_NAN != 0;
    sf::Env { rm, flags: sf::Flags(state.get(Slot::fp_flags(attr.env)) as u8), style }
}

/// The rules that `kind` of `FMin` and `FMax` numbers.
pub const MIN_MAX_RULES: [sf::MinMax; 4] =
    [sf::MinMax::Num2019, sf::MinMax::Num2008, sf::MinMax::Prop, sf::MinMax::X86];

/// The out-of-range styles that `kind` of `FTo*` numbers.
pub const INT_STYLES: [sf::IntStyle; 6] = [
    sf::IntStyle::RiscV,
    sf::IntStyle::Arm,
    sf::IntStyle::X86,
    sf::IntStyle::Power,
    sf::IntStyle::MipsLegacy,
    sf::IntStyle::SignedNan,
];

/// Bit of the kind of `FMulAdd`: the sign of the first operand is turned beforehand, NaN or not.
pub const FMA_NEG_PRODUCT: u8 = 1;
/// Bit of the kind of `FMulAdd`: the sign of the third operand is turned beforehand, NaN or not.
pub const FMA_NEG_ADDEND: u8 = 2;

/// The first and third operand of `FMulAdd` with the signs that its kind asks for.
#[must_use]
pub fn fma_signs(attr: FpAttr, [a, b, c]: [u64; 3]) -> [u64; 3] {
    let sign = match attr.fmt {
        Fmt::F16 | Fmt::Bf16 => 1 << 15,
        Fmt::F32 => 1 << 31,
        Fmt::F64 => 1 << 63,
    };
    let turn = |v: u64, bit: u8| if attr.kind & bit != 0 { v ^ sign } else { v };
    [turn(a, FMA_NEG_PRODUCT), b, turn(c, FMA_NEG_ADDEND)]
}

/// Meaning of a floating-point operation on bits; flags accumulate in `env`.
#[must_use]
pub fn eval_fp(op: super::Op, attr: FpAttr, args: [u64; 3], env: &mut sf::Env) -> u64 {
    match attr.fmt {
        Fmt::F16 => eval_as::<sf::F16>(op, attr, args, env),
        Fmt::Bf16 => eval_as::<sf::BF16>(op, attr, args, env),
        Fmt::F32 => eval_as::<sf::F32>(op, attr, args, env),
        Fmt::F64 => eval_as::<sf::F64>(op, attr, args, env),
    }
}

/// Containers of the formats that fit a slot.
trait Container: sf::Format {
    /// From the low bits of a slot.
    fn of(raw: u64) -> Self::Bits;
    /// To a slot.
    fn raw(bits: Self::Bits) -> u64;
}

macro_rules! containers {
    ($($format:ident $int:ty),*) => { $(impl Container for sf::$format {
        fn of(raw: u64) -> $int {
            raw as $int
        }
        fn raw(bits: $int) -> u64 {
            u64::from(bits)
        }
    })* };
}
containers!(F16 u16, BF16 u16, F32 u32, F64 u64);

fn eval_as<F: Container>(op: super::Op, attr: FpAttr, args: [u64; 3], env: &mut sf::Env) -> u64 {
    use super::Op;
    let [x, y, z] = if op == Op::FMulAdd { fma_signs(attr, args) } else { args };
    let (a, b, c) = (F::of(x), F::of(y), F::of(z));
    let rm = env.rm;
    let rule = MIN_MAX_RULES[usize::from(attr.kind) % MIN_MAX_RULES.len()];
    let style = INT_STYLES[usize::from(attr.kind) % INT_STYLES.len()];
    match op {
        Op::FAdd => F::raw(sf::add::<F>(a, b, env)),
        Op::FSub => F::raw(sf::sub::<F>(a, b, env)),
        Op::FMul => F::raw(sf::mul::<F>(a, b, env)),
        Op::FDiv => F::raw(sf::div::<F>(a, b, env)),
        Op::FMin => F::raw(sf::min::<F>(a, b, rule, env)),
        Op::FMax => F::raw(sf::max::<F>(a, b, rule, env)),
        Op::FSqrt => F::raw(sf::sqrt::<F>(a, env)),
        Op::FRint => F::raw(sf::round_int::<F>(a, rm, attr.kind & 1 != 0, env)),
        Op::FMulAdd => F::raw(sf::mul_add::<F>(a, b, c, env)),
        Op::FEq => u64::from(sf::eq::<F>(a, b, env)),
        Op::FLt => u64::from(sf::lt::<F>(a, b, env)),
        Op::FLe => u64::from(sf::le::<F>(a, b, env)),
        Op::FLtQuiet => u64::from(sf::lt_quiet::<F>(a, b, env)),
        Op::FLeQuiet => u64::from(sf::le_quiet::<F>(a, b, env)),
        Op::FClass => u64::from(sf::classify::<F>(a, env)),
        Op::FCvt => match Fmt::from_bits(u32::from(attr.kind)) {
            Fmt::F16 => u64::from(sf::convert::<F, sf::F16>(a, env)),
            Fmt::Bf16 => u64::from(sf::convert::<F, sf::BF16>(a, env)),
            Fmt::F32 => u64::from(sf::convert::<F, sf::F32>(a, env)),
            Fmt::F64 => sf::convert::<F, sf::F64>(a, env),
        },
        Op::FToS32 => sf::to_i32::<F>(a, rm, style, env) as u32 as u64,
        Op::FToU32 => u64::from(sf::to_u32::<F>(a, rm, style, env)),
        Op::FToS64 => sf::to_i64::<F>(a, rm, style, env) as u64,
        Op::FToU64 => sf::to_u64::<F>(a, rm, style, env),
        Op::FToModS32 => sf::to_i32_modular::<F>(a, env) as u32 as u64,
        Op::FFromS32 => F::raw(sf::from_i32::<F>(x as u32 as i32, env)),
        Op::FFromU32 => F::raw(sf::from_u32::<F>(x as u32, env)),
        Op::FFromS64 => F::raw(sf::from_i64::<F>(x as i64, env)),
        Op::FFromU64 => F::raw(sf::from_u64::<F>(x, env)),
        _ => 0,
    }
}
