//! The verifier: what every pass and every tier may rely on.

use super::fp::FpAttr;
use super::signature::{Operand, fp_kinds, operands, type_allowed};
use super::{Block, Exit, Inst, Op, Ref, Ty};
use crate::mem::{RmwOp, Size};
use crate::state::{Slot, StateLayout};

/// Which invariant of [`verify`] does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Rule 1: an operand is missing, or there is one too many.
    OperandCount,
    /// Rule 1: an operand is defined later, not at all, or by an operation without result.
    OperandUndefined(Ref),
    /// Rule 1: an operand has another type.
    OperandType(Ref, Ty),
    /// Rule 2: the operation does not exist in this type.
    Type,
    /// Rule 3: the constant part has bits that mean nothing.
    Immediate,
    /// Rule 4: the layout has no such slot.
    SlotUnknown(u64),
    /// Rule 4: the layout declares the slot with another type.
    SlotType(u64),
    /// Rule 4: the block touches the program counter's slot.
    SlotPc,
    /// Rule 5: the number of the local is too high.
    LocalUnknown(u64),
    /// Rule 5: the local is used with two types.
    LocalType(u64),
    /// Rule 5: some path reads the local before it is set.
    LocalUnset(u64),
    /// Rule 6: the number of the label is too high.
    LabelUnknown(u64),
    /// Rule 6: the label is bound twice.
    LabelTwice(u64),
    /// Rule 6: a branch goes to a label that is bound earlier.
    LabelBackward(u64),
    /// Rule 6: a branch goes to a label that is never bound.
    LabelUnbound(u64),
    /// Rule 7: the operand was made after a branch to a label that has been bound since.
    CrossesLabel(Ref),
    /// Rule 8: something observes the state before the first instruction marker.
    NoInsn,
    /// Rule 8: a branch skips the marker.
    InsnSkipped,
    /// Rule 8: the number of markers is not what the block says.
    InsnCount,
    /// Rule 9: an access is wider than the value.
    AccessWidth,
    /// Rule 10: there is no such helper.
    HelperUnknown(u64),
}

/// A broken invariant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// Position of the instruction; the number of instructions stands for the exit and the block as a whole.
    pub at: usize,
    /// What is wrong.
    pub rule: Rule,
}

impl core::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "operation {}: ", self.at)?;
        match self.rule {
            Rule::OperandCount => write!(f, "an operand is missing or too many"),
            Rule::OperandUndefined(r) => write!(f, "v{} is not defined before", r.0),
            Rule::OperandType(r, ty) => write!(f, "v{} must be of type {ty:?}", r.0),
            Rule::Type => write!(f, "it does not exist in this type"),
            Rule::Immediate => write!(f, "bad constant part"),
            Rule::SlotUnknown(s) => write!(f, "the layout has no slot {s}"),
            Rule::SlotType(s) => write!(f, "slot {s} has another type"),
            Rule::SlotPc => write!(f, "the slot of the program counter is not for blocks"),
            Rule::LocalUnknown(n) => write!(f, "there is no local {n}"),
            Rule::LocalType(n) => write!(f, "local {n} has another type"),
            Rule::LocalUnset(n) => write!(f, "local {n} is not set on every path"),
            Rule::LabelUnknown(n) => write!(f, "there is no label {n}"),
            Rule::LabelTwice(n) => write!(f, "label {n} is bound twice"),
            Rule::LabelBackward(n) => write!(f, "label {n} is behind"),
            Rule::LabelUnbound(n) => write!(f, "label {n} is never bound"),
            Rule::CrossesLabel(r) => write!(f, "v{} is not defined on every path", r.0),
            Rule::NoInsn => write!(f, "no guest instruction has begun"),
            Rule::InsnSkipped => write!(f, "a branch skips the beginning of this guest instruction"),
            Rule::InsnCount => write!(f, "the block counts its guest instructions wrongly"),
            Rule::AccessWidth => write!(f, "the access is wider than the value"),
            Rule::HelperUnknown(n) => write!(f, "there is no helper {n}"),
        }
    }
}

impl core::error::Error for VerifyError {}

/// What the verifier knows besides the block.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// Slots that exist; without it any slot does.
    pub layout: Option<&'a StateLayout>,
    /// Number of helpers; without it any index goes.
    pub helpers: Option<usize>,
}

/// Checks a block.  These are the invariants:
///
/// 1. Every operand position is filled or empty as [`operands`] says ([`Ref::NONE`] only where a position is empty, after
///    the last argument of a helper, and in [`Exit::Trap`]); it refers to an earlier operation whose result has the type.
/// 2. An operation exists in the type it has: arithmetic in `I32` and `I64`, `And`, `Or`, `Xor` also in `Bool`, comparisons
///    not in `Bool`, conversions and floating-point operations in the types of their formats.  Operations without result
///    and without choice have the type that the builder gives them.
/// 3. The constant part holds nothing but what [`Op`] says: a constant fits its type, a floating-point operation's kind is
///    one that exists, an atomic operation has no displacement, all other bits are zero.
/// 4. Slots are in the layout, have the type that the layout declares, and are not [`Slot::PC`]; a floating-point
///    operation's environment is in the layout.
/// 5. Locals are below [`Block::locals`], have one type, and are set before they are read, on every path.
/// 6. A label is below [`Block::labels`] and bound at most once; branches go forward, to labels that are bound.
/// 7. A value that is used after a [`Op::Bind`] was made after it or before every branch to it.
/// 8. An [`Op::Insn`] precedes everything that can observe the state, [`Op::Icount`], and the exit;
///    [`Block::insns`] is the number of markers.  No branch skips a marker, so that the position within the block tells
///    how many instructions have begun.
/// 9. An `I32` is loaded, stored and swapped in at most four bytes.
/// 10. A helper's index is below the number of helpers, where that is known.
///
/// # Errors
/// The first rule that does not hold.
pub fn verify(block: &Block<'_>, layout: Option<&StateLayout>) -> Result<(), VerifyError> {
    verify_in(block, Context { layout, helpers: None })
}

/// As [`verify`], with all that is known.
///
/// # Errors
/// The first rule that does not hold.
pub fn verify_in(block: &Block<'_>, context: Context<'_>) -> Result<(), VerifyError> {
    let mut v = Verifier::new(block, context);
    for (at, inst) in block.insts.iter().enumerate() {
        v.inst(at, inst).map_err(|rule| VerifyError { at, rule })?;
    }
    v.end().map_err(|rule| VerifyError { at: block.insts.len(), rule })
}

struct Verifier<'a> {
    block: &'a Block<'a>,
    context: Context<'a>,
    /// Which values may be used here.
    usable: Vec<bool>,
    /// Position of each label's bind.
    binds: Vec<Option<usize>>,
    /// Position of the first branch to each label.
    first_branch: Vec<Option<usize>>,
    /// Number of labels that are branched to and not bound yet.
    open: usize,
    local_ty: Vec<Option<Ty>>,
    /// Which locals are set here; all of them where control does not come.
    set: Vec<bool>,
    /// Which locals are set on every branch to a label so far.
    set_at: Vec<Option<Vec<bool>>>,
    insns: u32,
}

impl<'a> Verifier<'a> {
    fn new(block: &'a Block<'a>, context: Context<'a>) -> Verifier<'a> {
        let (labels, locals) = (block.labels as usize, block.locals as usize);
        Verifier {
            block,
            context,
            usable: vec![false; block.insts.len()],
            binds: vec![None; labels],
            first_branch: vec![None; labels],
            open: 0,
            local_ty: vec![None; locals],
            set: vec![false; locals],
            set_at: vec![None; labels],
            insns: 0,
        }
    }

    fn inst(&mut self, at: usize, inst: &Inst) -> Result<(), Rule> {
        if !type_allowed(inst.op, inst.ty, inst.imm) {
            return Err(Rule::Type);
        }
        immediate(inst)?;
        self.args(at, inst)?;
        if (inst.op.observes() || inst.op == Op::Icount) && self.insns == 0 {
            return Err(Rule::NoInsn);
        }
        match inst.op {
            Op::Insn if self.open != 0 => return Err(Rule::InsnSkipped),
            Op::Insn => self.insns += 1,
            Op::Get | Op::Set => self.slot(inst)?,
            Op::GetLocal | Op::SetLocal => self.local(inst)?,
            Op::Br | Op::BrIf => self.branch(at, inst)?,
            Op::Bind => self.bind(at, inst.imm)?,
            Op::Helper if self.context.helpers.is_some_and(|n| (inst.imm & 0xffff) as usize >= n) => {
                return Err(Rule::HelperUnknown(inst.imm & 0xffff));
            }
            op if op.is_fp() => self.environment(inst)?,
            _ => {}
        }
        self.usable[at] = inst.result().is_some();
        Ok(())
    }

    fn args(&self, at: usize, inst: &Inst) -> Result<(), Rule> {
        let mut ended = false;
        for (r, wanted) in inst.args.into_iter().zip(operands(inst)) {
            match (r.some(), wanted) {
                (None, Operand::Absent) => {}
                (None, Operand::Optional) => ended = true,
                (Some(r), Operand::Is(ty)) => self.operand(at, r, Some(ty))?,
                (Some(r), Operand::Optional) if !ended => self.operand(at, r, None)?,
                _ => return Err(Rule::OperandCount),
            }
        }
        Ok(())
    }

    fn operand(&self, at: usize, r: Ref, ty: Option<Ty>) -> Result<(), Rule> {
        let Some(result) = self.block.insts.get(r.index()).filter(|_| r.index() < at).and_then(Inst::result) else {
            return Err(Rule::OperandUndefined(r));
        };
        if let Some(ty) = ty
            && ty != result
        {
            return Err(Rule::OperandType(r, ty));
        }
        if self.usable[r.index()] { Ok(()) } else { Err(Rule::CrossesLabel(r)) }
    }

    fn slot(&self, inst: &Inst) -> Result<(), Rule> {
        if inst.imm == u64::from(Slot::PC.0) {
            return Err(Rule::SlotPc);
        }
        let Ok(number) = u32::try_from(inst.imm) else { return Err(Rule::SlotUnknown(inst.imm)) };
        let Some(layout) = self.context.layout else { return Ok(()) };
        match layout.by_slot(Slot(number)) {
            None => Err(Rule::SlotUnknown(inst.imm)),
            Some(row) if row.ty != inst.ty => Err(Rule::SlotType(inst.imm)),
            Some(_) => Ok(()),
        }
    }

    fn environment(&self, inst: &Inst) -> Result<(), Rule> {
        let flags = Slot::fp_flags(FpAttr::unpack(inst.imm as u32).env);
        match self.context.layout {
            Some(layout) if layout.by_slot(flags).is_none() => Err(Rule::SlotUnknown(u64::from(flags.0))),
            _ => Ok(()),
        }
    }

    fn local(&mut self, inst: &Inst) -> Result<(), Rule> {
        let n = inst.imm;
        let index = usize::try_from(n).map_err(|_| Rule::LocalUnknown(n))?;
        let ty = self.local_ty.get_mut(index).ok_or(Rule::LocalUnknown(n))?;
        if ty.is_some_and(|ty| ty != inst.ty) {
            return Err(Rule::LocalType(n));
        }
        *ty = Some(inst.ty);
        match inst.op {
            Op::SetLocal => self.set[index] = true,
            _ if !self.set[index] => return Err(Rule::LocalUnset(n)),
            _ => {}
        }
        Ok(())
    }

    fn branch(&mut self, at: usize, inst: &Inst) -> Result<(), Rule> {
        let label = self.label(inst.imm)?;
        if self.binds[label].is_some() {
            return Err(Rule::LabelBackward(inst.imm));
        }
        if self.first_branch[label].is_none() {
            self.first_branch[label] = Some(at);
            self.open += 1;
        }
        match &mut self.set_at[label] {
            Some(there) => meet(there, &self.set),
            none => *none = Some(self.set.clone()),
        }
        if inst.op == Op::Br {
            self.set.fill(true);
        }
        Ok(())
    }

    fn bind(&mut self, at: usize, n: u64) -> Result<(), Rule> {
        let label = self.label(n)?;
        if self.binds[label].replace(at).is_some() {
            return Err(Rule::LabelTwice(n));
        }
        if let Some(first) = self.first_branch[label] {
            self.usable[first..at].fill(false);
            self.open -= 1;
        }
        if let Some(there) = &self.set_at[label] {
            meet(&mut self.set, there);
        }
        Ok(())
    }

    fn label(&self, n: u64) -> Result<usize, Rule> {
        match usize::try_from(n) {
            Ok(index) if index < self.binds.len() => Ok(index),
            _ => Err(Rule::LabelUnknown(n)),
        }
    }

    fn end(&self) -> Result<(), Rule> {
        let unbound = |label: &usize| self.first_branch[*label].is_some() && self.binds[*label].is_none();
        if let Some(label) = (0..self.binds.len()).find(unbound) {
            return Err(Rule::LabelUnbound(label as u64));
        }
        if self.insns == 0 {
            return Err(Rule::NoInsn);
        }
        if self.insns != self.block.insns {
            return Err(Rule::InsnCount);
        }
        let at = self.block.insts.len();
        match self.block.exit {
            Exit::Branch(r, ..) => self.exit_operand(at, r, Ty::Bool),
            Exit::Indirect(r, _) => self.exit_operand(at, r, Ty::I64),
            Exit::Trap(_, r) if r != Ref::NONE => self.exit_operand(at, r, Ty::I64),
            _ => Ok(()),
        }
    }

    fn exit_operand(&self, at: usize, r: Ref, ty: Ty) -> Result<(), Rule> {
        if r == Ref::NONE { Err(Rule::OperandCount) } else { self.operand(at, r, Some(ty)) }
    }
}

fn meet(into: &mut [bool], other: &[bool]) {
    for (a, b) in into.iter_mut().zip(other) {
        *a &= *b;
    }
}

/// Rules 3 and 9.
fn immediate(inst: &Inst) -> Result<(), Rule> {
    let imm = inst.imm;
    let good = match inst.op {
        Op::Const => imm & !inst.ty.mask() == 0,
        Op::Load | Op::Store | Op::Rmw | Op::Cas | Op::Probe => {
            let (op, disp) = inst.mem();
            if inst.ty == Ty::I32 && op.size == Size::B8 {
                return Err(Rule::AccessWidth);
            }
            let extra = (imm >> 16 & 0xff) as usize;
            let atomic = matches!(inst.op, Op::Rmw | Op::Cas);
            Inst::mem_imm(op, extra as u8, disp) == imm
                && extra < if inst.op == Op::Rmw { RmwOp::ALL.len() } else { 1 }
                && !(atomic && disp != 0)
        }
        Op::TrapIf => u32::try_from(imm).is_ok(),
        Op::Get | Op::Set | Op::GetLocal | Op::SetLocal | Op::Helper | Op::Insn | Op::ExitIf => true,
        Op::Br | Op::BrIf | Op::Bind => true,
        op if op.is_fp() => {
            let attr = FpAttr::unpack(imm as u32);
            u64::from(attr.pack()) == imm && attr.kind < fp_kinds(op)
        }
        _ => imm == 0,
    };
    if good { Ok(()) } else { Err(Rule::Immediate) }
}
