//! Emission of control flow: side exits, traps, labels, block ends.

use super::emit::{Operand, width_of};
use super::plan::Form;
use super::{Lowerer, TooComplex};
use crate::body::variant;
use crate::cache::{ExitKind, TrapValue};
use crate::dispatch::code;
use crate::word::Word;
use tern_core::ir::{Block, Exit, Hint, Inst, Op, Ref, Ty};

impl Lowerer {
    pub(super) fn control(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        match inst.op {
            Op::ExitIf => {
                let word = self.branch_if(block, inst.args[0], self.begun)?;
                let exit = self.new_exit(ExitKind::Goto, inst.imm, 0);
                self.stubs.push((word, exit));
            }
            Op::TrapIf => {
                let value = self.trap_value(block, inst.args[1])?;
                let word = self.branch_if(block, inst.args[0], 0)?;
                let exit = self.new_exit(ExitKind::Trap(inst.imm as u32, value), self.pc, self.begun.saturating_sub(1));
                self.stubs.push((word, exit));
            }
            Op::BrIf => {
                let word = self.branch_if(block, inst.args[0], 0)?;
                self.jumps.push((word, inst.imm));
            }
            Op::Br => {
                let word = self.push(Word::branch(code::GOTO, 0, 0, 0, 0));
                self.jumps.push((word, inst.imm));
            }
            Op::Bind => {
                self.labels[inst.imm as usize] = self.out.words.len() as u32;
                self.acc = None;
                self.before = None;
                // A constant may have been put into its temporary on one path only.
                for r in core::mem::take(&mut self.consts) {
                    if let super::Home::Temp(t) = self.values[r.index()].home {
                        self.free.push(t);
                    }
                    self.values[r.index()].home = super::Home::None;
                }
            }
            _ => {}
        }
        self.release(block, at);
        Ok(())
    }

    /// A branch taken if `cond` holds; its target is filled in later.
    fn branch_if(&mut self, block: &Block<'_>, cond: Ref, n: u32) -> Result<u32, TooComplex> {
        let inst = block.insts[cond.index()];
        let (op, width, x, y) = if self.values[cond.index()].form == Form::Deferred {
            (inst.op, width_of(inst.ty), inst.args[0], Some(inst.args[1]))
        } else {
            (Op::Ne, width_of(Ty::Bool), cond, None)
        };
        let small = match y {
            None => Some(0),
            Some(y) => self.immediate(block, self.root(y)).and_then(|v| i8::try_from(v).ok()),
        };
        let (v, a, b) = match (small, y) {
            (Some(imm), _) => {
                let slot = self.slot_of(block, x)?;
                let v = if self.acc == Some(self.root(x)) { variant::AI } else { variant::SI };
                (self.previous(v, x, None), slot, imm as u8)
            }
            (None, Some(y)) => {
                if self.immediate(block, self.root(y)).is_some() {
                    self.slot_of(block, y)?;
                }
                match self.pair(block, x, y)? {
                    (v, a, Operand::Slot(b)) => (v, a, b),
                    // The accumulator holds the constant that was just put into its slot, or the immediate does.
                    (v, a, Operand::Acc) => (v, a, 0),
                    (v, a, Operand::Imm(_)) => {
                        let v = if v == variant::AI { variant::AS } else { variant::SS };
                        let b = self.slot_of(block, y)?;
                        (self.previous(v, x, Some(y)), a, b)
                    }
                }
            }
            (None, None) => return Err(TooComplex),
        };
        Ok(self.push(Word::branch(code::branch(op, width, v), a, b, n as u8, 0)))
    }

    fn trap_value(&mut self, block: &Block<'_>, r: Ref) -> Result<TrapValue, TooComplex> {
        if r == Ref::NONE {
            return Ok(TrapValue::Const(0));
        }
        let inst = &block.insts[self.root(r).index()];
        if inst.op == Op::Const {
            return Ok(TrapValue::Const(inst.imm));
        }
        self.slot_of(block, r).map(TrapValue::Slot)
    }

    /// The words of the block's end.
    pub(super) fn exit(&mut self, block: &Block<'_>) -> Result<(), TooComplex> {
        let n = self.begun;
        match block.exit {
            Exit::Goto(pc) => self.goto(pc, n),
            Exit::Call(pc, ret) => {
                self.push_return(ret);
                self.goto(pc, n);
            }
            Exit::Branch(cond, taken, next) => {
                let word = self.branch_if(block, cond, n)?;
                let exit = self.new_exit(ExitKind::Goto, taken, 0);
                self.stubs.push((word, exit));
                self.goto(next, n);
            }
            Exit::Indirect(target, hint) => {
                if let Hint::Call(ret) = hint {
                    self.push_return(ret);
                }
                let (target, even) = match self.evened(block, target) {
                    Some(inner) => (inner, true),
                    None => (target, false),
                };
                let slot = self.slot_of(block, target)?;
                let acc = self.acc == Some(self.root(target));
                let code = if hint == Hint::Return { code::RETURN } else { code::JUMP };
                self.push(Word::branch(code + u16::from(acc) + 2 * u16::from(even), slot, 0, n as u8, 0));
            }
            Exit::Syscall(pc) => self.stop(ExitKind::Syscall, pc, n),
            Exit::Resync(pc) => self.stop(ExitKind::Resync, pc, n),
            Exit::Halt(pc) => self.stop(ExitKind::Halt, pc, n),
            Exit::Yield(pc) => self.stop(ExitKind::Yield, pc, n),
            Exit::Trap(cause, value) => {
                let value = self.trap_value(block, value)?;
                let pc = self.pc;
                self.stop(ExitKind::Trap(cause, value), pc, n.saturating_sub(1));
            }
        }
        Ok(())
    }

    fn goto(&mut self, pc: u64, n: u32) {
        let word = self.push(Word::branch(code::GOTO, 0, 0, n as u8, 0));
        let exit = self.new_exit(ExitKind::Goto, pc, 0);
        self.stubs.push((word, exit));
    }

    /// An exit that the engine handles; it charges the instructions itself.
    fn stop(&mut self, kind: ExitKind, pc: u64, n: u32) {
        let exit = self.new_exit(kind, pc, n);
        let word = self.push(Word::imm(code::EXIT, 0, 0, exit as i32));
        let rec = &mut self.out.exits[exit as usize];
        rec.branch = word;
        rec.stub = word;
    }

    /// Notes a call on the return stack: a literal with the return address, then a goto there.  They stand out of line.
    fn push_return(&mut self, ret: u64) {
        let word = self.push(Word::imm(code::PUSH_RETURN, 0, 0, 0));
        self.returns.push((word, ret));
    }

    /// Writes the out-of-line parts of calls.
    pub(super) fn finish_returns(&mut self) {
        for (word, ret) in core::mem::take(&mut self.returns) {
            let literal = self.push(Word::literal(ret));
            self.goto(ret, 0);
            let code = self.out.words[word as usize].code();
            self.out.words[word as usize] = Word::imm(code, 0, 0, literal as i32 - word as i32);
        }
    }
}
