//! Analysis before emission: aliases, folding, lifetimes.

use super::{Lowerer, NEVER};
use tern_core::ir::{Block, Exit, Inst, Op, Ref, Ty, fp::FpAttr};
use tern_core::state::{NEAR, Slot};

/// Operations whose low 32 result bits depend on nothing but the low 32 bits of the operands.
fn narrows(op: Op) -> bool {
    matches!(op, Op::Add | Op::Sub | Op::Mul | Op::And | Op::Or | Op::Xor | Op::Andn | Op::Orn | Op::Xnor)
}

impl Lowerer {
    pub(super) fn plan(&mut self, block: &Block<'_>) {
        let n = block.insts.len();
        for list in [&mut self.uses, &mut self.last] {
            list.clear();
            list.resize(n, 0);
        }
        for list in [&mut self.kill, &mut self.touched, &mut self.set_at, &mut self.observed] {
            list.clear();
            list.resize(n, NEVER);
        }
        for list in [&mut self.deferred, &mut self.extends, &mut self.zero_extended] {
            list.clear();
            list.resize(n, false);
        }
        self.root.clear();
        self.root.extend((0..n as u32).map(Ref));
        for r in block.insts.iter().flat_map(Inst::operands).chain(block.exit.operand()) {
            self.uses[r.index()] += 1;
        }
        self.fold(block);
        self.lifetimes(block);
        self.slots(block);
    }

    /// The root of an operand.
    pub(super) fn root(&self, r: Ref) -> Ref {
        self.root[r.index()]
    }

    /// Aliases and operations that their only user emits.
    fn fold(&mut self, block: &Block<'_>) {
        for at in 0..block.insts.len() {
            let inst = &block.insts[at];
            match inst.op {
                Op::Trunc | Op::BoolInt => self.root[at] = self.root[inst.args[0].index()],
                Op::Zext32 => {
                    // A 32-bit operation leaves its result zero-extended, unless it was made sign-extending.
                    let from = inst.args[0].index();
                    let op = block.insts[from].op;
                    if (op.is_binary() || op.is_unary()) && !self.extends[from] && !self.deferred[from] {
                        self.root[at] = inst.args[0];
                        self.zero_extended[from] = true;
                    }
                }
                Op::Sext32 => self.fold_sext(block, at),
                Op::ExitIf | Op::BrIf | Op::TrapIf => self.fold_compare(block, inst.args[0]),
                _ => {}
            }
        }
        match block.exit {
            Exit::Branch(cond, ..) => self.fold_compare(block, cond),
            Exit::Indirect(target, _) if self.uses[target.index()] == 1 => {
                self.deferred[target.index()] = clears_bit0(block, target);
            }
            _ => {}
        }
    }

    /// What a jump target is before its bit 0 is cleared, if the jump does that.
    pub(super) fn evened(&self, block: &Block<'_>, target: Ref) -> Option<Ref> {
        self.deferred[target.index()].then(|| block.insts[target.index()].args[0])
    }

    fn fold_compare(&mut self, block: &Block<'_>, cond: Ref) {
        if self.uses[cond.index()] == 1 && block.insts[cond.index()].op.is_compare() {
            self.deferred[cond.index()] = true;
        }
    }

    /// `sext32` of a 32-bit operation makes that operation sign-extend its result, which is as good a 32-bit value as
    /// any; of the low half of a 64-bit operation that nobody else wants, it becomes a form of that operation.
    fn fold_sext(&mut self, block: &Block<'_>, at: usize) {
        let from = block.insts[at].args[0];
        let inner = &block.insts[from.index()];
        if (inner.op.is_binary() || inner.op.is_unary()) && !self.zero_extended[from.index()] {
            self.extends[from.index()] = true;
            self.root[at] = from;
        } else if inner.op == Op::Load && inner.ty == Ty::I32 && inner.mem().0.signed {
            self.root[at] = from;
        } else if inner.op == Op::Trunc {
            let wide = inner.args[0];
            let op = &block.insts[wide.index()];
            if self.uses[wide.index()] == 1 && self.uses[from.index()] == 1 && narrows(op.op) && op.ty == Ty::I64 {
                self.deferred[wide.index()] = true;
                self.deferred[from.index()] = true;
            }
        }
    }

    /// The operation that `sext32` at `inst` folds, if it does.
    pub(super) fn folded_sext<'b>(&self, block: &'b Block<'_>, inst: &Inst) -> Option<&'b Inst> {
        let from = inst.args[0];
        if inst.op != Op::Sext32 || !self.deferred[from.index()] {
            return None;
        }
        let inner = &block.insts[from.index()];
        Some(&block.insts[inner.args[0].index()])
    }

    /// Calls `f` with the roots that emitting the instruction at `at` reads.
    pub(super) fn reads(&self, block: &Block<'_>, at: usize, mut f: impl FnMut(Ref)) {
        let inst = &block.insts[at];
        if let Some(inner) = self.folded_sext(block, inst) {
            inner.operands().for_each(|r| f(self.root(r)));
            return;
        }
        for r in inst.operands() {
            let user = &block.insts[r.index()];
            if self.deferred[r.index()] && user.op.is_compare() {
                user.operands().for_each(|r| f(self.root(r)));
            } else {
                f(self.root(r));
            }
        }
    }

    fn lifetimes(&mut self, block: &Block<'_>) {
        let n = block.insts.len();
        let mut last = core::mem::take(&mut self.last);
        for at in 0..n {
            let inst = &block.insts[at];
            // Aliases read nothing themselves: their users read the root.
            if self.deferred[at] || self.root[at] != Ref(at as u32) {
                continue;
            }
            self.reads(block, at, |r| last[r.index()] = at as u32);
            if inst.op == Op::Set {
                let root = self.root(inst.args[0]);
                if self.set_at[root.index()] == NEVER && (inst.imm as usize) < NEAR {
                    self.set_at[root.index()] = at as u32;
                }
            }
        }
        if let Some(r) = block.exit.operand() {
            let user = &block.insts[r.index()];
            if self.deferred[r.index()] {
                user.operands().for_each(|r| last[self.root(r).index()] = n as u32);
            } else {
                last[self.root(r).index()] = n as u32;
            }
        }
        self.last = last;
    }

    /// When slots are written and touched, when state is observed.
    fn slots(&mut self, block: &Block<'_>) {
        let n = block.insts.len();
        let mut next_write = [NEVER; NEAR];
        let mut all = NEVER;
        let mut observed = NEVER;
        for at in (0..n).rev() {
            let inst = &block.insts[at];
            self.observed[at] = observed;
            if inst.op.observes() {
                observed = at as u32;
            }
            match inst.op {
                Op::Get | Op::Set => {
                    if let Some(next) = next_write.get_mut(inst.imm as usize) {
                        self.kill[at] = (*next).min(all);
                        if inst.op == Op::Set {
                            *next = at as u32;
                        }
                    }
                }
                Op::Helper => all = at as u32,
                op if op.is_fp() => next_write[flags_slot(inst)] = at as u32,
                _ => {}
            }
        }
        let mut touched = [NEVER; NEAR];
        for at in 0..n {
            let inst = &block.insts[at];
            match inst.op {
                Op::Get | Op::Set => {
                    if let Some(t) = touched.get_mut(inst.imm as usize) {
                        self.touched[at] = *t;
                        *t = at as u32;
                    }
                }
                op if op.is_fp() => touched[flags_slot(inst)] = at as u32,
                _ => {}
            }
        }
    }
}

/// Is it some value with bit 0 cleared?
fn clears_bit0(block: &Block<'_>, r: Ref) -> bool {
    let inst = &block.insts[r.index()];
    let mask = inst.args[1].some().map(|m| &block.insts[m.index()]);
    inst.op == Op::And && inst.ty == Ty::I64 && mask.is_some_and(|m| m.op == Op::Const && m.imm == !1)
}

fn flags_slot(inst: &Inst) -> usize {
    Slot::fp_flags(FpAttr::unpack(inst.imm as u32).env).0 as usize
}
