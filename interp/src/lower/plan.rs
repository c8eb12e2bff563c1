//! Analysis before emission: one backward pass finds aliases, folding, lifetimes, and when slots change.
//!
//! When the pass comes to an operation it has seen all users of its value, so everything that depends on them is settled
//! right there.

use super::{Home, Lowerer, NEVER};
use crate::body::float::{Filling, boxable, filling};
use tern_core::ir::{Block, Exit, Inst, Op, Ref, Ty, fp::FpAttr};
use tern_core::state::{NEAR, Slot};

/// Operations whose low 32 result bits depend on nothing but the low 32 bits of the operands.
fn narrows(op: Op) -> bool {
    matches!(op, Op::Add | Op::Sub | Op::Mul | Op::And | Op::Or | Op::Xor | Op::Andn | Op::Orn | Op::Xnor)
}

/// What lowering knows of an operation and its value.
#[derive(Clone, Copy)]
pub(super) struct Value {
    /// What it is an alias of; itself if of nothing.  Known when emission has passed it.
    pub(super) root: Ref,
    /// Where it is used last, through aliases and folded operations too; 0 if nowhere.
    pub(super) last: u32,
    /// The first Set of it to a near slot.
    pub(super) set_at: u32,
    /// Set and Get: where the slot is next written after this position.
    pub(super) kill: u32,
    /// Set: the last position before it that touches the slot.
    pub(super) touched: u32,
    /// The next observing operation after this position.
    pub(super) observed: u32,
    /// Where it is.
    pub(super) home: Home,
    /// Direct uses, as far as it matters whether there is more than one.
    uses: u8,
    /// Who emits it.
    pub(super) form: Form,
    /// What a 32-bit operation makes of the upper half of its result.
    pub(super) upper: Upper,
    /// A comparison that decides a branch.
    tested: bool,
    /// A jump target whose bit 0 is cleared.
    evened: bool,
    /// Its low half is sign-extended.
    narrowed: bool,
}

/// Who emits an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// It is emitted where it stands.
    Own,
    /// Nobody: its value is another name of its operand.
    Alias,
    /// Its user, and not on its own.
    Deferred,
}

/// The upper half of a 32-bit operation's result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Upper {
    /// Nobody cares.
    Any,
    /// Sign-extended: somebody wants that.
    Sign,
    /// Zero: somebody wants that.
    Zero,
}

impl Value {
    pub(super) const NEW: Value = Value {
        root: Ref::NONE,
        last: 0,
        set_at: NEVER,
        kill: NEVER,
        touched: NEVER,
        observed: NEVER,
        home: Home::None,
        uses: 0,
        form: Form::Own,
        upper: Upper::Any,
        tested: false,
        evened: false,
        narrowed: false,
    };
}

/// When slots are written, as the backward pass sees it.
struct Slots {
    /// Where each near slot is next written; [`NEVER`] if it is not.
    next: [u32; NEAR],
    /// The next operation that may write any slot.
    all: u32,
}

impl Slots {
    /// Slot `slot` is touched at `at`, and written if `writes`; where it is next written after that.
    fn touch(&mut self, values: &mut [Value], slot: usize, at: u32, writes: bool) -> u32 {
        let Some(next) = self.next.get_mut(slot) else { return NEVER };
        let kill = *next;
        if let Some(writer) = values.get_mut(kill as usize)
            && writer.touched == NEVER
        {
            writer.touched = at;
        }
        if writes {
            *next = at;
        }
        kill.min(self.all)
    }
}

impl Lowerer {
    pub(super) fn plan(&mut self, block: &Block<'_>) {
        let n = block.insts.len();
        self.values.clear();
        self.values.resize(n, Value::NEW);
        let values = self.values.as_mut_slice();
        let mut slots = Slots { next: [NEVER; NEAR], all: NEVER };
        let mut observed = NEVER;
        if let Some(r) = block.exit.operand() {
            let value = &mut values[r.index()];
            value.last = n as u32;
            value.uses = 1;
            value.tested = matches!(block.exit, Exit::Branch(..));
            value.evened = matches!(block.exit, Exit::Indirect(..)) && clears_bit0(block, r);
        }
        let mut at = n as u32;
        for inst in block.insts.iter().rev() {
            at -= 1;
            values[at as usize].observed = observed;
            if inst.op.observes() {
                observed = at;
            }
            match inst.op {
                Op::Insn | Op::Const => continue,
                Op::Get => values[at as usize].kill = slots.touch(values, inst.imm as usize, at, false),
                Op::Set => {
                    values[at as usize].kill = slots.touch(values, inst.imm as usize, at, true);
                    if (inst.imm as usize) < NEAR {
                        values[inst.args[0].index()].set_at = at;
                    }
                }
                Op::Helper => slots.all = at,
                Op::ExitIf | Op::BrIf | Op::TrapIf => values[inst.args[0].index()].tested = true,
                op if op.is_fp() => {
                    slots.touch(values, flags_slot(inst), at, true);
                    if let Some(args) = boxed(block, inst) {
                        spread(values, args, at);
                        continue;
                    }
                }
                op => fold(values, block, op, at),
            }
            spread(values, inst.args, at);
        }
    }

    /// The root of an operand.
    pub(super) fn root(&self, r: Ref) -> Ref {
        self.values[r.index()].root
    }

    /// What a jump target is before its bit 0 is cleared, if the jump does that.
    pub(super) fn evened(&self, block: &Block<'_>, target: Ref) -> Option<Ref> {
        (self.values[target.index()].form == Form::Deferred).then(|| block.insts[target.index()].args[0])
    }

    /// The operation that `sext32` at `inst` folds, if it does.
    pub(super) fn folded_sext<'b>(&self, block: &'b Block<'_>, inst: &Inst) -> Option<&'b Inst> {
        if inst.op != Op::Sext32 {
            return None;
        }
        let inner = &block.insts[inst.args[0].index()];
        (inner.op == Op::Trunc && self.values[inner.args[0].index()].form == Form::Deferred)
            .then(|| &block.insts[inner.args[0].index()])
    }
}

/// Aliases, and operations that their only user emits.
fn fold(values: &mut [Value], block: &Block<'_>, op: Op, at: u32) {
    let inst = &block.insts[at as usize];
    match op {
        Op::Trunc | Op::BoolInt => {
            let value = &mut values[at as usize];
            value.form = Form::Alias;
            let narrowed = value.narrowed && value.uses == 1;
            values[inst.args[0].index()].narrowed |= narrowed;
        }
        Op::Zext32 => {
            // A 32-bit operation leaves its result zero-extended, unless it was made sign-extending.
            let from = inst.args[0].index();
            let op = block.insts[from].op;
            if (op.is_binary() || op.is_unary()) && values[from].upper != Upper::Sign {
                values[at as usize].form = Form::Alias;
                values[from].upper = Upper::Zero;
            }
        }
        Op::Sext32 => fold_sext(values, block, at),
        Op::Oext32 if fills(block, inst.args[0]) == Filling::Boxed => values[at as usize].form = Form::Alias,
        // All its users take the boxed value.
        Op::Unbox32 if values[at as usize].uses == 0 => values[at as usize].form = Form::Deferred,
        op => {
            let value = &mut values[at as usize];
            let compares = value.tested && op.is_compare();
            let narrows = value.narrowed && narrows(op) && inst.ty == Ty::I64;
            if value.uses == 1 && (compares || narrows || value.evened) {
                value.form = Form::Deferred;
            }
        }
    }
}

/// `sext32` of a 32-bit operation makes that operation sign-extend its result, which is as good a 32-bit value as any; of
/// the low half of a 64-bit operation that nobody else wants, it becomes a form of that operation.
fn fold_sext(values: &mut [Value], block: &Block<'_>, at: u32) {
    let from = block.insts[at as usize].args[0].index();
    let inner = &block.insts[from];
    if inner.op.is_binary() || inner.op.is_unary() {
        if values[from].upper != Upper::Zero {
            values[from].upper = Upper::Sign;
            values[at as usize].form = Form::Alias;
        }
    } else if fills(block, Ref(from as u32)) == Filling::Signed {
        values[at as usize].form = Form::Alias;
    } else if inner.op == Op::Load {
        if inner.ty == Ty::I32 && inner.mem().0.signed {
            values[at as usize].form = Form::Alias;
        }
    } else if inner.op == Op::Trunc {
        values[from].narrowed = true;
    }
}

/// Notes the uses that the operation at `at` makes of its operands.  Aliases and what is emitted by its user read nothing
/// themselves: their users do.
#[inline]
fn spread(values: &mut [Value], args: [Ref; 3], at: u32) {
    let Value { form, last, set_at, .. } = values[at as usize];
    let reads = if form == Form::Own { at } else { last };
    for r in args {
        let Some(operand) = values.get_mut(r.index()) else { break };
        operand.last = operand.last.max(reads);
        operand.uses = operand.uses.saturating_add(1);
        if form == Form::Alias {
            operand.set_at = operand.set_at.min(set_at);
        }
    }
}

/// Is it some value with bit 0 cleared?
fn clears_bit0(block: &Block<'_>, r: Ref) -> bool {
    let inst = &block.insts[r.index()];
    let mask = inst.args[1].some().map(|m| &block.insts[m.index()]);
    inst.op == Op::And && inst.ty == Ty::I64 && mask.is_some_and(|m| m.op == Op::Const && m.imm == !1)
}

/// How a value fills its slot, as far as floating-point operations say so.
fn fills(block: &Block<'_>, r: Ref) -> Filling {
    let inst = &block.insts[r.index()];
    if inst.op.is_fp() { filling(inst.op, FpAttr::unpack(inst.imm as u32)) } else { Filling::Plain }
}

/// The operands of a floating-point operation in NaN-boxed form, if it can take them so and they are all there.
pub(super) fn boxed(block: &Block<'_>, inst: &Inst) -> Option<[Ref; 3]> {
    if !boxable(inst.op, FpAttr::unpack(inst.imm as u32)) {
        return None;
    }
    let mut args = inst.args;
    for to in &mut args {
        let Some(r) = to.some() else { break };
        let value = &block.insts[r.index()];
        let next = &block.insts[r.index() + 1];
        *to = if value.op == Op::Unbox32 {
            value.args[0]
        } else if fills(block, r) == Filling::Boxed {
            r
        } else if next.op == Op::Oext32 && next.args[0] == r {
            Ref(r.0 + 1)
        } else {
            return None;
        };
    }
    Some(args)
}

fn flags_slot(inst: &Inst) -> usize {
    Slot::fp_flags(FpAttr::unpack(inst.imm as u32).env).0 as usize
}
