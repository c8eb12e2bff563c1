//! Operand types of every operation: what the verifier checks, the text form leaves out and the random generator supplies.

use super::fp::{Fmt, FpAttr};
use super::{Inst, Op, Ty, convert_types};

/// What an operand position takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// Nothing: must be [`super::Ref::NONE`].
    Absent,
    /// A value of this type.
    Is(Ty),
    /// A value of any type, or none (arguments of helpers; those that are there come first).
    Optional,
}

/// Operands of an instruction, given its `op`, `ty` and `imm`.
#[must_use]
pub fn operands(inst: &Inst) -> [Operand; 3] {
    use Operand::{Absent, Is, Optional};
    let ty = Is(inst.ty);
    let (b, i64) = (Is(Ty::Bool), Is(Ty::I64));
    let op = inst.op;
    if op.is_binary() || op.is_compare() {
        return [ty, ty, Absent];
    }
    if op.is_unary() {
        return [ty, Absent, Absent];
    }
    if let Some((_, from)) = convert_types(op) {
        return [Is(from), Absent, Absent];
    }
    if op.is_fp() {
        return fp_operands(op, FpAttr::unpack(inst.imm as u32).fmt);
    }
    match op {
        Op::Select => [b, ty, ty],
        Op::BoolInt | Op::ExitIf | Op::BrIf => [b, Absent, Absent],
        Op::Set | Op::SetLocal => [ty, Absent, Absent],
        Op::Load | Op::Probe => [i64, Absent, Absent],
        Op::Store | Op::Rmw => [i64, ty, Absent],
        Op::Cas => [i64, ty, ty],
        Op::Helper => [Optional; 3],
        Op::TrapIf => [b, i64, Absent],
        _ => [Absent; 3],
    }
}

fn fp_operands(op: Op, fmt: Fmt) -> [Operand; 3] {
    use Operand::{Absent, Is};
    let v = Is(fmt.ty());
    match op {
        Op::FFromS32 | Op::FFromU32 => [Is(Ty::I32), Absent, Absent],
        Op::FFromS64 | Op::FFromU64 => [Is(Ty::I64), Absent, Absent],
        Op::FMulAdd => [v, v, v],
        Op::FSqrt
        | Op::FRint
        | Op::FClass
        | Op::FCvt
        | Op::FToS32
        | Op::FToU32
        | Op::FToS64
        | Op::FToU64
        | Op::FToModS32 => [v, Absent, Absent],
        _ => [v, v, Absent],
    }
}

/// May an instruction with this operation have this type?  `imm` as in [`Inst::imm`].
#[must_use]
pub fn type_allowed(op: Op, ty: Ty, imm: u64) -> bool {
    if let Some((to, _)) = convert_types(op) {
        return ty == to;
    }
    if op.is_fp() {
        let attr = FpAttr::unpack(imm as u32);
        return match op {
            Op::FClass => ty != Ty::Bool,
            Op::FCvt => ty == Fmt::from_bits(u32::from(attr.kind)).ty(),
            Op::FToS32 | Op::FToU32 | Op::FToModS32 => ty == Ty::I32,
            Op::FToS64 | Op::FToU64 => ty == Ty::I64,
            _ => ty == attr.fmt.ty(),
        };
    }
    match op {
        Op::And | Op::Or | Op::Xor => true,
        Op::Const | Op::Select | Op::Get | Op::Set | Op::GetLocal | Op::SetLocal | Op::Helper => true,
        _ => fixed_type(op).map_or(ty != Ty::Bool, |fixed| ty == fixed),
    }
}

/// The type field of operations that have no choice.
#[must_use]
pub fn fixed_type(op: Op) -> Option<Ty> {
    match op {
        Op::Probe | Op::Fence | Op::Icount | Op::Insn => Some(Ty::I64),
        Op::ExitIf | Op::TrapIf | Op::BrIf | Op::Br | Op::Bind => Some(Ty::Bool),
        _ => None,
    }
}

/// Number of values that `kind` of a floating-point operation may take; 64 where it means nothing.
#[must_use]
pub fn fp_kinds(op: Op) -> u8 {
    match op {
        Op::FMin | Op::FMax => super::fp::MIN_MAX_RULES.len() as u8,
        Op::FCvt => 4,
        Op::FRint => 2,
        Op::FMulAdd => 4,
        Op::FToS32 | Op::FToU32 | Op::FToS64 | Op::FToU64 => super::fp::INT_STYLES.len() as u8,
        _ => 64,
    }
}
