//! Comparisons, minimum and maximum, classification (IEEE 754-2019 clauses 5.6.1, 5.7.2 and 9.6).

use core::cmp::Ordering;

use crate::env::{Env, Flags};
use crate::format::Format;
use crate::parts::{Class, Parts, decode, denormals_used, nan_one, nan_two, unpack, zero};

/// Orders `a` and `b`; `None` when unordered. A signalling NaN raises invalid, a quiet one only if `signalling`.
pub fn compare<F: Format>(a: F::Bits, b: F::Bits, signalling: bool, env: &mut Env) -> Option<Ordering> {
    let (a, b) = (unpack::<F>(a, env), unpack::<F>(b, env));
    if a.is_nan() || b.is_nan() {
        if signalling || [a, b].iter().any(raises_invalid) {
            env.raise(Flags::NV);
        }
        return None;
    }
    denormals_used(&[&a, &b], env);
    Some(order(&a, &b))
}

fn raises_invalid(p: &Parts) -> bool {
    matches!(p.class, Class::SignallingNan | Class::Unsupported)
}

/// Order of two operands that are not NaNs; zeros are equal.
fn order(a: &Parts, b: &Parts) -> Ordering {
    let key = |p: &Parts| match p.class {
        Class::Zero => (0, 0, 0),
        Class::Inf => (2, 0, 0),
        _ => (1, p.exp, p.sig),
    };
    match (a.sign && !a.is_zero(), b.sign && !b.is_zero()) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => key(a).cmp(&key(b)),
        (true, true) => key(b).cmp(&key(a)),
    }
}

/// `a == b`, quiet.
pub fn eq<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> bool {
    compare::<F>(a, b, false, env) == Some(Ordering::Equal)
}

/// `a < b`, signalling.
pub fn lt<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> bool {
    compare::<F>(a, b, true, env) == Some(Ordering::Less)
}

/// `a <= b`, signalling.
pub fn le<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> bool {
    compare::<F>(a, b, true, env).is_some_and(Ordering::is_le)
}

/// `a < b`, quiet.
pub fn lt_quiet<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> bool {
    compare::<F>(a, b, false, env) == Some(Ordering::Less)
}

/// `a <= b`, quiet.
pub fn le_quiet<F: Format>(a: F::Bits, b: F::Bits, env: &mut Env) -> bool {
    compare::<F>(a, b, false, env).is_some_and(Ordering::is_le)
}

/// Which minimum and maximum. Except under `X86`, -0 is less than +0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MinMax {
    /// IEEE 754-2008 minNum and maxNum: a quiet NaN loses to a number, a signalling one gives a NaN (Arm `FMINNM`).
    Num2008,
    /// IEEE 754-2019 minimumNumber and maximumNumber: any NaN loses to a number (RISC-V `fmin`, `fmax`).
    Num2019,
    /// IEEE 754-2019 minimum and maximum: NaNs propagate (RISC-V `fminm`, `fmaxm`; Arm `FMIN`, `FMAX`).
    Prop,
    /// SSE `MINSD`, `MAXSD`: the second operand, unchanged, unless the first is strictly less or greater; any NaN is
    /// invalid (Intel SDM volume 2, MINSD).
    X86,
}

/// The lesser of `a` and `b` under `rule`.
pub fn min<F: Format>(a: F::Bits, b: F::Bits, rule: MinMax, env: &mut Env) -> F::Bits {
    select::<F>(a, b, Ordering::Less, rule, env)
}

/// The greater of `a` and `b` under `rule`.
pub fn max<F: Format>(a: F::Bits, b: F::Bits, rule: MinMax, env: &mut Env) -> F::Bits {
    select::<F>(a, b, Ordering::Greater, rule, env)
}

/// `a` if it orders as `wanted` to `b`, else `b`, with the NaN and zero cases of `rule`.
fn select<F: Format>(a: F::Bits, b: F::Bits, wanted: Ordering, rule: MinMax, env: &mut Env) -> F::Bits {
    let (pa, pb) = (unpack::<F>(a, env), unpack::<F>(b, env));
    // What an operand is as a result: itself, or the zero it was flushed to.
    let value = |p: &Parts, bits| if p.is_zero() { zero::<F>(p.sign) } else { bits };
    if pa.is_nan() || pb.is_nan() {
        return select_nan::<F>((&pa, value(&pa, a)), (&pb, value(&pb, b)), rule, env);
    }
    denormals_used(&[&pa, &pb], env);
    let first = match order(&pa, &pb) {
        Ordering::Equal if rule == MinMax::X86 => false,
        Ordering::Equal => pa.sign == (wanted == Ordering::Less),
        other => other == wanted,
    };
    if first { value(&pa, a) } else { value(&pb, b) }
}

fn select_nan<F: Format>(a: (&Parts, F::Bits), b: (&Parts, F::Bits), rule: MinMax, env: &mut Env) -> F::Bits {
    let ((pa, a), (pb, b)) = (a, b);
    let any_invalid = raises_invalid(pa) || raises_invalid(pb);
    let number = match (pa.is_nan(), pb.is_nan()) {
        (true, false) => Some(b),
        (false, true) => Some(a),
        _ => None,
    };
    match (rule, number) {
        (MinMax::X86, _) => {
            env.raise(Flags::NV);
            b
        }
        (MinMax::Num2019, Some(number)) => {
            if any_invalid {
                env.raise(Flags::NV);
            }
            number
        }
        (MinMax::Num2008, Some(number)) if !any_invalid => number,
        _ if pb.is_nan() && pa.is_nan() => nan_two::<F>(pa, pb, env),
        _ => nan_one::<F>(if pa.is_nan() { pa } else { pb }, env),
    }
}

/// The class of `a` as the one-bit mask of RISC-V `fclass` (unprivileged ISA, "Floating-Point Classify Instruction"):
/// from bit 0, -inf, -normal, -subnormal, -0, +0, +subnormal, +normal, +inf, signalling NaN, quiet NaN. Unsupported
/// x87 encodings count as signalling NaNs. `env` gives the meaning of the quiet bit; nothing is raised or flushed.
pub fn classify<F: Format>(a: F::Bits, env: &Env) -> u16 {
    let p = decode::<F>(a, env.style.nan.traits().signalling_bit_is_one);
    let (negative, positive) = match p.class {
        Class::Inf => (0, 7),
        Class::Finite if p.denormal => (2, 5),
        Class::Finite => (1, 6),
        Class::Zero => (3, 4),
        Class::SignallingNan | Class::Unsupported => (8, 8),
        Class::QuietNan => (9, 9),
    };
    1 << if p.sign { negative } else { positive }
}
