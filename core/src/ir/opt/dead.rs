//! Dead stores to slots and dead values.

use crate::ir::{Block, Op, Ref};
use crate::state::NEAR;

/// Drops a store to a slot that is overwritten before anybody can see it.  The flags of Arm, x86 and 68k die here.
///
/// Backward: `dead` holds the slots that will be overwritten before the next operation that observes the state.
pub(super) fn stores(block: &mut Block<'_>) {
    let mut dead = [false; NEAR];
    for inst in block.insts.iter_mut().rev() {
        match inst.op {
            Op::Set => {
                if let Some(flag) = dead.get_mut(inst.imm as usize) {
                    if *flag {
                        nop(inst);
                    } else {
                        *flag = true;
                    }
                }
            }
            Op::Get => {
                if let Some(flag) = dead.get_mut(inst.imm as usize) {
                    *flag = false;
                }
            }
            // Floating-point operations read their control and flags slots.
            op if op.observes() || op.is_fp() => dead = [false; NEAR],
            _ => {}
        }
    }
}

/// Drops pure operations whose value nobody uses; tells how often each value is used.
pub(super) fn values(block: &mut Block<'_>) -> Vec<u32> {
    let mut uses = vec![0; block.insts.len()];
    if let Some(r) = block.exit.operand() {
        uses[r.index()] += 1;
    }
    for at in (0..block.insts.len()).rev() {
        let inst = block.insts[at];
        if inst.op.is_pure() && uses[at] == 0 {
            nop(&mut block.insts[at]);
            continue;
        }
        for r in inst.operands() {
            uses[r.index()] += 1;
        }
    }
    uses
}

/// Turns an instruction into one that does nothing; positions of others stay.
fn nop(inst: &mut crate::ir::Inst) {
    inst.op = Op::Const;
    inst.args = [Ref::NONE; 3];
    inst.imm = 0;
}
