//! A guest made of closures: address `0x1000 + 4 * n` holds instruction n of a little program.

use std::rc::Rc;
use tern_core::frontend::{Fetch, Frontend, Helper, Limits};
use tern_core::ir::{Builder, I64, Ty};
use tern_core::mem::MemFault;
use tern_core::state::{LayoutBuilder, Role, Slot, State, StateLayout};
use tern_softfloat::Style;

/// An instruction: writes its IR; gets its own address.
pub(crate) type Insn = fn(&mut Builder<'_>, u64);

/// Where programs begin.
pub(crate) const BASE: u64 = 0x1000;

/// The guest: registers r0 to r7.
pub(crate) struct Toy {
    layout: StateLayout,
    program: Vec<Insn>,
}

impl Toy {
    /// With this program.
    pub(crate) fn new(program: Vec<Insn>) -> Rc<Toy> {
        let mut b = LayoutBuilder::new(64, &[Style::RISCV]);
        for n in 0..8 {
            b.near(format!("r{n}"), Ty::I64, 64, Role::Gpr(n));
        }
        b.far("big", Ty::I64, 64, Role::Control(0));
        Rc::new(Toy { layout: b.finish(), program })
    }
}

/// Register n.
pub(crate) const fn r(n: u32) -> Slot {
    Slot(Slot::FIRST.0 + n)
}

/// Adds a constant to a register.
pub(crate) fn add(b: &mut Builder<'_>, n: u32, value: i64) {
    let v = b.get::<I64>(r(n));
    let v = b.addi(v, value);
    b.set(r(n), v);
}

impl Frontend for Toy {
    fn layout(&self) -> &StateLayout {
        &self.layout
    }
    fn helpers(&self) -> &'static [Helper] {
        &[]
    }
    fn mode(&self, _state: &State) -> u32 {
        0
    }
    fn translate(&self, fetch: &mut dyn Fetch, b: &mut Builder<'_>, limits: Limits) -> Result<u64, MemFault> {
        let mut pc = b.key().pc;
        while b.insns() < limits.insns && !b.ended() {
            if b.insns() > 0 && fetch.begins_block(pc) {
                break;
            }
            let mut bytes = [0; 4];
            match fetch.fetch(pc, &mut bytes) {
                Err(fault) if b.insns() == 0 => return Err(fault),
                Err(_) => break,
                Ok(()) => {}
            }
            // A program may patch itself: the byte at pc, if not zero, adds to r7.
            b.insn(pc);
            let n = (pc - BASE) / 4;
            match self.program.get(n as usize) {
                Some(insn) => insn(b, pc),
                None => break,
            }
            if bytes[0] != 0 {
                add(b, 7, i64::from(bytes[0]));
            }
            pc += 4;
        }
        Ok(pc)
    }
    fn disassemble(&self, _bytes: &[u8], pc: u64, _mode: u32) -> Option<(String, usize)> {
        Some((format!("insn {}", (pc - BASE) / 4), 4))
    }
}
