//! Dead stores to slots and dead values.

use crate::ir::{Block, Inst, Op, Ref};
use crate::state::NEAR;
use bumpalo::collections::Vec as BumpVec;

/// Drops stores to slots that are overwritten before anybody can see them (the flags of Arm, x86 and 68k die here), and
/// pure operations whose value nobody uses.
///
/// Backward: `dead` holds the slots that will be overwritten before the next operation that observes the state, `uses` how
/// often each value is used (as far as that is less than 255), which is the result.
pub(super) fn code<'a>(block: &mut Block<'a>) -> BumpVec<'a, u8> {
    let mut dead = SlotSet::default();
    let mut uses = BumpVec::new_in(block.insts.bump());
    uses.resize(block.insts.len(), 0u8);
    if let Some(r) = block.exit.operand() {
        uses[r.index()] = 1;
    }
    let counts = uses.as_mut_slice();
    let mut at = counts.len();
    for inst in block.insts.iter_mut().rev() {
        at -= 1;
        if inst.op == Op::Insn {
            continue;
        }
        if inst.op.is_pure() && counts[at] == 0 {
            nop(inst);
            continue;
        }
        match inst.op {
            Op::Set if dead.insert(inst.imm) => {
                nop(inst);
                continue;
            }
            Op::Get => dead.remove(inst.imm),
            // Floating-point operations read their control and flags slots.
            op if op.observes() || op.is_fp() => dead = SlotSet::default(),
            _ => {}
        }
        for r in inst.args {
            let Some(n) = counts.get_mut(r.index()) else { break };
            *n = n.saturating_add(1);
        }
    }
    uses
}

/// A set of near slots.
#[derive(Default)]
struct SlotSet([u64; NEAR / 64]);

impl SlotSet {
    /// Puts a near slot in; was it there?
    #[inline]
    fn insert(&mut self, slot: u64) -> bool {
        let Some(bits) = self.0.get_mut(slot as usize / 64) else { return false };
        let bit = 1 << (slot % 64);
        let was = *bits & bit != 0;
        *bits |= bit;
        was
    }

    #[inline]
    fn remove(&mut self, slot: u64) {
        if let Some(bits) = self.0.get_mut(slot as usize / 64) {
            *bits &= !(1 << (slot % 64));
        }
    }
}

/// Turns an instruction into one that does nothing; positions of others stay.
fn nop(inst: &mut Inst) {
    inst.op = Op::Const;
    inst.args = [Ref::NONE; 3];
    inst.imm = 0;
}
