//! Access to a control and status register from outside of the CPU: the IR that an instruction of machine mode would be
//! translated to, run by the reference evaluator.

use crate::helper::HELPERS;
use crate::insn::csr::any_mode;
use crate::privileged::M;
use crate::state::{PRIVILEGE, VIRTUAL};
use crate::translate::{Cpu, Mode, Tr};
use bumpalo::Bump;
use tern_core::frontend::{Fetch, Frontend, Helper, HelperCx, Limits};
use tern_core::ir::eval::eval_block;
use tern_core::ir::{Builder, Exit, Hint};
use tern_core::mem::MemFault;
use tern_core::state::{Slot, State, StateLayout};
use tern_core::system::System;

/// A CPU whose every block is one access, and goes to the value that the register had.
struct Access<'a> {
    cpu: Cpu,
    layout: &'a StateLayout,
    system: Option<&'a dyn System>,
    number: u16,
    write: Option<u64>,
}

impl Access<'_> {
    /// Writes the block; `None`: there is no such access.
    fn build(&self, b: &mut Builder<'_>) -> Option<()> {
        let mut t = Tr::new(b.take(), self.cpu, Limits { insns: 1, follow: false, one_page: true });
        t.b.insn(t.pc);
        let old = any_mode(&mut t, self.number, self.write);
        if let Some(old) = old {
            t.b.exit(Exit::Indirect(old.raw(), Hint::Jump));
        }
        *b = t.b;
        old.map(|_| ())
    }
}

impl Frontend for Access<'_> {
    fn layout(&self) -> &StateLayout {
        self.layout
    }

    fn helpers(&self) -> &'static [Helper] {
        HELPERS
    }

    fn mode(&self, state: &State) -> u32 {
        Mode::of(state, self.cpu.privileged).word()
    }

    fn translate(&self, _: &mut dyn Fetch, b: &mut Builder<'_>, _: Limits) -> Result<u64, MemFault> {
        // Whoever has a block of this CPU has built it here.
        let pc = b.key().pc;
        self.build(b);
        Ok(pc)
    }

    fn system(&self) -> Option<&dyn System> {
        self.system
    }

    fn disassemble(&self, _: &[u8], _: u64, _: u32) -> Option<(String, usize)> {
        None
    }
}

/// See [`System::control_register`].
pub(crate) fn control_register(
    cx: &mut HelperCx<'_>,
    cpu: Cpu,
    layout: &StateLayout,
    number: u32,
    write: Option<u64>,
) -> Option<u64> {
    let number = u16::try_from(number).ok().filter(|n| *n < 0x1000)?;
    let write = write.map(|value| cpu.privileged.xlen(value));
    let access = Access { cpu, layout, system: cx.system, number, write };
    // Neither is a register that software reaches, so that no access changes them.
    let outside = [Slot::PC, PRIVILEGE, VIRTUAL].map(|slot| (slot, cx.state.get(slot)));
    cx.state.set(PRIVILEGE, M);
    cx.state.set(VIRTUAL, 0);
    let arena = Bump::new();
    let mut b = Builder::new(&arena, access.key(cx.state));
    let value = access.build(&mut b).and_then(|()| {
        let block = b.finish(0);
        let end = eval_block(&block, &access, cx.state, cx.platform, cx.icount);
        cx.flush = cx.flush.and(end.flush);
        end.stop.is_none().then(|| cx.state.pc())
    });
    for (slot, value) in outside {
        cx.state.set(slot, value);
    }
    value.map(|value| if cpu.rv32 { value & 0xffff_ffff } else { value })
}
