//! Unpacking encodings and packing results: classes, rounding, tininess, overflow, flushing, NaN selection.

use crate::env::{Env, Flags, Rm};
use crate::format::{Format, IntegerBit};
use crate::style::{DefaultFraction, DenormalFlag, FlushRule, InfZeroNan, NanTraits, Quieting, Three, Two};
use crate::wide::shr_jam;

/// Class of an operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    Zero,
    Finite,
    Inf,
    QuietNan,
    SignallingNan,
    /// An x87 encoding without a value: operating on it is invalid.
    Unsupported,
}

/// An operand taken apart. A finite value is `sig / 2^127 * 2^exp` with bit 127 of `sig` set; the significand of a NaN
/// has its top fraction bit at bit 126.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) class: Class,
    pub(crate) sign: bool,
    pub(crate) denormal: bool,
    pub(crate) exp: i32,
    pub(crate) sig: u128,
}

/// The top fraction bit of a NaN significand.
const TOP_FRACTION: u128 = 1 << 126;

impl Parts {
    pub(crate) fn is_nan(&self) -> bool {
        matches!(self.class, Class::QuietNan | Class::SignallingNan | Class::Unsupported)
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.class == Class::Zero
    }

    pub(crate) fn is_inf(&self) -> bool {
        self.class == Class::Inf
    }

    pub(crate) fn is_signalling(&self) -> bool {
        self.class == Class::SignallingNan
    }

    /// Flips the sign if `negate`.
    pub(crate) fn negated(self, negate: bool) -> Parts {
        Parts { sign: self.sign ^ negate, ..self }
    }
}

/// Takes `bits` apart; denormal operands become zero when the style says so.
pub(crate) fn unpack<F: Format>(bits: F::Bits, env: &mut Env) -> Parts {
    let parts = decode::<F>(bits, env.style.nan.traits().signalling_bit_is_one);
    if parts.denormal && env.style.daz {
        if env.style.denormal == DenormalFlag::WhenFlushed {
            env.raise(Flags::DN);
        }
        return Parts { class: Class::Zero, denormal: false, ..parts };
    }
    parts
}

/// Takes `bits` apart without looking at an environment.
pub(crate) fn decode<F: Format>(bits: F::Bits, signalling_bit_is_one: bool) -> Parts {
    let raw = F::to_u128(bits);
    let sign = raw >> (F::WIDTH - 1) & 1 != 0;
    let field = (raw >> (F::WIDTH - 1 - F::EXP_BITS)) as u32 & F::EXP_ONES;
    // The fraction, its top bit at bit 126.
    let frac = (raw & ((1 << F::FRAC_BITS) - 1)) << (127 - F::FRAC_BITS);
    let integer = match F::INTEGER_BIT {
        IntegerBit::Hidden => field != 0,
        _ => raw >> F::FRAC_BITS & 1 != 0,
    };
    let sig = frac | u128::from(integer) << 127;
    let parts = |class, exp, sig| Parts { class, sign, denormal: false, exp, sig };
    if F::INTEGER_BIT == IntegerBit::Required && field != 0 && !integer {
        return parts(Class::Unsupported, 0, frac);
    }
    if field == F::EXP_ONES {
        return match (frac, (frac & TOP_FRACTION != 0) == signalling_bit_is_one) {
            (0, _) => parts(Class::Inf, 0, 0),
            (_, true) => parts(Class::SignallingNan, 0, frac),
            (_, false) => parts(Class::QuietNan, 0, frac),
        };
    }
    if sig == 0 {
        return parts(Class::Zero, 0, 0);
    }
    let shift = sig.leading_zeros();
    let exp = if field == 0 { F::EMIN } else { field as i32 - F::BIAS };
    let denormal = match F::INTEGER_BIT {
        IntegerBit::Any => exp - (shift as i32) < F::EMIN,
        _ => field == 0,
    };
    Parts { class: Class::Finite, sign, denormal, exp: exp - shift as i32, sig: sig << shift }
}

/// The encoding with this sign, exponent field and significand (integer bit at bit `FRAC_BITS`, dropped when hidden).
fn encode<F: Format>(sign: bool, field: u32, sig: u128) -> F::Bits {
    let frac = match F::INTEGER_BIT {
        IntegerBit::Hidden => sig & ((1 << F::FRAC_BITS) - 1),
        _ => sig,
    };
    F::from_u128(u128::from(sign) << (F::WIDTH - 1) | u128::from(field) << (F::WIDTH - 1 - F::EXP_BITS) | frac)
}

/// Zero with this sign.
pub(crate) fn zero<F: Format>(sign: bool) -> F::Bits {
    encode::<F>(sign, 0, 0)
}

/// Infinity with this sign.
pub(crate) fn infinity<F: Format>(sign: bool) -> F::Bits {
    F::from_u128(F::to_u128(F::INFINITY) | u128::from(sign) << (F::WIDTH - 1))
}

/// Rounds `sig`, of which the low `drop` bits (1 to 127) are below the last place: the kept integer and whether
/// anything was lost.
#[inline]
pub(crate) fn round_at(sig: u128, drop: u32, sign: bool, rm: Rm) -> (u128, bool) {
    let kept = sig >> drop;
    let rest = sig & ((1 << drop) - 1);
    let half = 1 << (drop - 1);
    let up = match rm {
        Rm::Rne => rest > half || (rest == half && kept & 1 != 0),
        Rm::Rmm => rest >= half,
        Rm::Rtz => false,
        Rm::Rdn => sign && rest != 0,
        Rm::Rup => !sign && rest != 0,
        Rm::Odd => return (kept | u128::from(rest != 0), rest != 0),
    };
    (kept + u128::from(up), rest != 0)
}

/// Rounds `sig / 2^127 * 2^exp` (bit 127 set, bit 0 sticky) to the format under `env` and encodes it, raising NX, UF
/// and OF (IEEE 754-2019 clauses 7.4 to 7.6).
#[inline]
pub(crate) fn round_pack<F: Format>(sign: bool, exp: i32, sig: u128, env: &mut Env) -> F::Bits {
    round_pack_at::<F>(sign, exp, sig, F::PRECISION, env)
}

/// As [`round_pack`], for the basic operations of the 80-bit formats, which round to the precision control.
#[inline]
pub(crate) fn round_pack_controlled<F: Format>(sign: bool, exp: i32, sig: u128, env: &mut Env) -> F::Bits {
    let precision = match F::INTEGER_BIT {
        IntegerBit::Hidden => F::PRECISION,
        _ => env.style.x87_precision as u32,
    };
    round_pack_at::<F>(sign, exp, sig, precision, env)
}

fn round_pack_at<F: Format>(sign: bool, exp: i32, sig: u128, precision: u32, env: &mut Env) -> F::Bits {
    debug_assert!(sig >> 127 == 1, "round_pack needs a normalised significand");
    let drop = 128 - precision;
    let rm = env.rm;
    let below = exp < F::EMIN;
    let (mut exp, mut sig) = (exp, sig);
    let mut tiny = false;
    if below {
        // After rounding with an unbounded exponent only a carry out of the binade just below can reach EMIN.
        tiny = env.style.tininess_before || exp < F::EMIN - 1 || round_at(sig, drop, sign, rm).0 >> precision == 0;
        if env.style.ftz {
            match env.style.flush {
                FlushRule::UnderflowOnly => {
                    env.raise(Flags::UF);
                    return zero::<F>(sign);
                }
                FlushRule::UnderflowInexact if tiny => {
                    env.raise(Flags::UF | Flags::NX);
                    return zero::<F>(sign);
                }
                FlushRule::UnderflowInexact => {}
            }
        }
        sig = shr_jam(sig, F::EMIN.abs_diff(exp));
        exp = F::EMIN;
    }
    let (mut kept, inexact) = round_at(sig, drop, sign, rm);
    if kept >> precision != 0 {
        kept >>= 1;
        exp += 1;
    }
    if exp > F::BIAS {
        return overflow::<F>(sign, precision, env);
    }
    if inexact {
        env.raise(if tiny { Flags::NX | Flags::UF } else { Flags::NX });
    }
    kept <<= F::PRECISION - precision;
    let smallest_field = if F::INTEGER_BIT == IntegerBit::Any { 0 } else { 1 };
    let field = if kept >> F::FRAC_BITS != 0 { (exp - F::EMIN) as u32 + smallest_field } else { 0 };
    encode::<F>(sign, field, kept)
}

/// The overflow result of clause 7.4: infinity or the largest finite value, by rounding direction.
#[cold]
fn overflow<F: Format>(sign: bool, precision: u32, env: &mut Env) -> F::Bits {
    env.raise(Flags::OF | Flags::NX);
    let to_infinity = match env.rm {
        Rm::Rne | Rm::Rmm => true,
        Rm::Rtz | Rm::Odd => false,
        Rm::Rdn => sign,
        Rm::Rup => !sign,
    };
    if to_infinity {
        return infinity::<F>(sign);
    }
    let ones = ((1 << precision) - 1) << (F::PRECISION - precision);
    encode::<F>(sign, F::EXP_ONES - 1, ones)
}

/// The default NaN of the style.
pub(crate) fn default_nan<F: Format>(traits: &NanTraits) -> F::Bits {
    let top = 1 << (F::FRAC_BITS - 1);
    let frac = match traits.default_fraction {
        DefaultFraction::QuietBit => top,
        DefaultFraction::Ones => top | (top - 1),
        DefaultFraction::OnesBelowTop => top - 1,
        DefaultFraction::BelowTop => top >> 1,
    };
    encode::<F>(traits.default_sign, F::EXP_ONES, frac | 1 << F::FRAC_BITS)
}

/// Raises invalid and gives the default NaN (clause 7.2).
#[cold]
pub(crate) fn invalid<F: Format>(env: &mut Env) -> F::Bits {
    env.raise(Flags::NV);
    default_nan::<F>(env.style.nan.traits())
}

/// Encodes NaN operand `nan` as a result, quieted.
fn quiet<F: Format>(nan: &Parts, traits: &NanTraits) -> F::Bits {
    let frac = match traits.quieting {
        _ if !nan.is_signalling() => nan.sig,
        Quieting::SetTop => nan.sig | TOP_FRACTION,
        Quieting::Default => 0,
        Quieting::ClearTopSetNext => nan.sig & !TOP_FRACTION | TOP_FRACTION >> 1,
    };
    // A payload can also vanish in a narrowing conversion where quiet NaNs have a clear top bit.
    let frac = frac >> (127 - F::FRAC_BITS);
    if frac == 0 {
        return default_nan::<F>(traits);
    }
    encode::<F>(nan.sign, F::EXP_ONES, frac | 1 << F::FRAC_BITS)
}

/// Raises invalid for signalling operands; the default NaN if no operand is to be propagated.
fn nan_prologue<F: Format>(operands: &[&Parts], env: &mut Env) -> Option<F::Bits> {
    let traits = env.style.nan.traits();
    let unsupported = operands.iter().any(|p| p.class == Class::Unsupported);
    if unsupported || operands.iter().any(|p| p.is_signalling()) {
        env.raise(Flags::NV);
    }
    (unsupported || traits.always_default || env.style.default_nan).then(|| default_nan::<F>(traits))
}

/// The result of an operation on one NaN.
#[cold]
pub(crate) fn nan_one<F: Format>(a: &Parts, env: &mut Env) -> F::Bits {
    nan_prologue::<F>(&[a], env).unwrap_or_else(|| quiet::<F>(a, env.style.nan.traits()))
}

/// The result of a two-operand operation of which at least one operand is a NaN (clause 6.2.3).
#[cold]
pub(crate) fn nan_two<F: Format>(a: &Parts, b: &Parts, env: &mut Env) -> F::Bits {
    if let Some(default) = nan_prologue::<F>(&[a, b], env) {
        return default;
    }
    let traits = env.style.nan.traits();
    let chosen = match traits.two {
        Two::Ab => first_nan([a, b]),
        Two::Ba => first_nan([b, a]),
        Two::SignallingAb => first_signalling([a, b]),
        Two::SignallingBa => first_signalling([b, a]),
        Two::X87 => x87_choice(a, b),
    };
    quiet::<F>(chosen, traits)
}

/// The result of `a * b + c` with at least one NaN; `inf_zero` says that the product is infinity times zero.
#[cold]
pub(crate) fn nan_three<F: Format>(a: &Parts, b: &Parts, c: &Parts, inf_zero: bool, env: &mut Env) -> F::Bits {
    let traits = env.style.nan.traits();
    if inf_zero && traits.inf_zero_nan != InfZeroNan::AddendSilently {
        env.raise(Flags::NV);
    }
    if let Some(default) = nan_prologue::<F>(&[a, b, c], env) {
        return default;
    }
    if inf_zero {
        return match traits.inf_zero_nan {
            InfZeroNan::Default => default_nan::<F>(traits),
            InfZeroNan::DefaultIfQuiet if !c.is_signalling() => default_nan::<F>(traits),
            _ => quiet::<F>(c, traits),
        };
    }
    let chosen = match traits.three {
        Three::Abc => first_nan([a, b, c]),
        Three::Acb => first_nan([a, c, b]),
        Three::Bac => first_nan([b, a, c]),
        Three::SignallingAbc => first_signalling([a, b, c]),
        Three::SignallingCab => first_signalling([c, a, b]),
        Three::SignallingCba => first_signalling([c, b, a]),
    };
    quiet::<F>(chosen, traits)
}

fn first_nan<const N: usize>(order: [&Parts; N]) -> &Parts {
    order.into_iter().find(|p| p.is_nan()).unwrap_or(order[N - 1])
}

fn first_signalling<const N: usize>(order: [&Parts; N]) -> &Parts {
    order.into_iter().find(|p| p.is_signalling()).unwrap_or_else(|| first_nan(order))
}

fn x87_choice<'a>(a: &'a Parts, b: &'a Parts) -> &'a Parts {
    match (a.is_nan(), b.is_nan()) {
        (true, false) => return a,
        (false, true) => return b,
        _ => {}
    }
    match (a.is_signalling(), b.is_signalling()) {
        (true, false) => b,
        (false, true) => a,
        _ if a.sig != b.sig => [a, b][usize::from(b.sig > a.sig)],
        _ => [a, b][usize::from(a.sign && !b.sign)],
    }
}

/// Raises the denormal flag of an operation that used its operands (x86 `DE`).
#[inline]
pub(crate) fn denormals_used(operands: &[&Parts], env: &mut Env) {
    if env.style.denormal == DenormalFlag::WhenUsed && operands.iter().any(|p| p.denormal) {
        env.raise(Flags::DN);
    }
}
