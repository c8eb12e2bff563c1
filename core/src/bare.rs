//! A guest without instructions and a machine without devices, to run IR that comes as text or from the random generator.

use crate::engine::{Event, Platform};
use crate::frontend::{Fetch, Frontend, Helper, HelperCx, HelperExit, Limits};
use crate::ir::{Builder, Exit, Ty};
use crate::mem::{Access, FlatMemory, GuestMemory, MemFault, PageRef};
use crate::state::{LayoutBuilder, Role, Slot, State, StateLayout};
use tern_softfloat::Style;

/// A guest every encoding of which is illegal.  Its state has slots of every kind:
///
/// * `x0`-`x15` (64 bits), `w0`-`w7` (32 bits), `b0`-`b3` (one bit), near; `y0`-`y3` (64), `z0`-`z1` (32), far;
/// * floating-point environments 0 to 3 in the styles of RISC-V, Arm, x86 and Power.
pub struct BareGuest {
    layout: StateLayout,
}

/// Cause of the trap that every encoding raises.
pub const ILLEGAL: u32 = 2;

/// The helpers of [`BareGuest`], one for each kind of effect.
pub static HELPERS: [Helper; 5] = [
    // The sum of payload and arguments.
    Helper { name: "sum", call: sum, reads: false, writes: false, faults: false },
    // Adds the first argument to x0; gives the old x0.
    Helper { name: "bump", call: bump, reads: true, writes: true, faults: false },
    // Traps with the payload as cause and the second argument as value if the first one is zero.
    Helper { name: "trap_if_zero", call: trap_if_zero, reads: false, writes: false, faults: true },
    // Instructions retired before this one.
    Helper { name: "position", call: position, reads: false, writes: false, faults: false },
    // The address of this instruction.
    Helper { name: "here", call: here, reads: true, writes: false, faults: false },
];

fn sum(_: &mut HelperCx<'_>, args: [u64; 3], payload: u64) -> Result<u64, HelperExit> {
    Ok(args.into_iter().fold(payload, u64::wrapping_add))
}

fn bump(cx: &mut HelperCx<'_>, args: [u64; 3], _: u64) -> Result<u64, HelperExit> {
    let old = cx.state.get(Slot::FIRST);
    cx.state.set(Slot::FIRST, old.wrapping_add(args[0]));
    Ok(old)
}

fn trap_if_zero(_: &mut HelperCx<'_>, args: [u64; 3], payload: u64) -> Result<u64, HelperExit> {
    match args[0] {
        0 => Err(HelperExit::Trap { cause: payload as u32, value: args[1] }),
        other => Ok(other),
    }
}

fn position(cx: &mut HelperCx<'_>, _: [u64; 3], _: u64) -> Result<u64, HelperExit> {
    Ok(cx.icount)
}

fn here(cx: &mut HelperCx<'_>, _: [u64; 3], _: u64) -> Result<u64, HelperExit> {
    Ok(cx.state.pc())
}

impl BareGuest {
    /// The guest.
    #[must_use]
    pub fn new() -> BareGuest {
        let mut b = LayoutBuilder::new(64, &[Style::RISCV, Style::ARM, Style::X86, Style::POWERPC]);
        for n in 0..16 {
            b.near(format!("x{n}"), Ty::I64, 64, Role::Gpr(n));
        }
        for n in 0..8 {
            b.near(format!("w{n}"), Ty::I32, 32, Role::Control(n));
        }
        for n in 0..4 {
            b.near(format!("b{n}"), Ty::Bool, 1, Role::Flag);
        }
        for n in 0..4 {
            b.far(format!("y{n}"), Ty::I64, 64, Role::Vector(n, 0));
        }
        for n in 0..2 {
            b.far(format!("z{n}"), Ty::I32, 32, Role::Control(8 + n));
        }
        BareGuest { layout: b.finish() }
    }
}

impl Default for BareGuest {
    fn default() -> BareGuest {
        BareGuest::new()
    }
}

impl Frontend for BareGuest {
    fn layout(&self) -> &StateLayout {
        &self.layout
    }

    fn helpers(&self) -> &'static [Helper] {
        &HELPERS
    }

    fn mode(&self, _: &State) -> u32 {
        0
    }

    fn translate(&self, fetch: &mut dyn Fetch, b: &mut Builder<'_>, _: Limits) -> Result<u64, MemFault> {
        let pc = b.key().pc;
        let mut byte = [0];
        fetch.fetch(pc, &mut byte)?;
        b.insn(pc);
        let value = b.iconst::<crate::ir::I64>(u64::from(byte[0]));
        b.exit(Exit::Trap(ILLEGAL, value.raw()));
        Ok(pc.wrapping_add(1))
    }

    fn disassemble(&self, bytes: &[u8], _: u64, _: u32) -> Option<(String, usize)> {
        let byte = bytes.first()?;
        Some((format!(".byte {byte:#04x}"), 1))
    }
}

/// RAM, a clock of one nanosecond per instruction, and counters of events.
pub struct BareMachine {
    /// The RAM.
    pub memory: FlatMemory,
    /// Guest mistakes counted.
    pub guest_errors: u64,
    /// Missing features counted.
    pub unimplemented: u64,
}

impl BareMachine {
    /// `pages` zeroed pages at `base`.
    #[must_use]
    pub fn new(base: u64, pages: usize) -> BareMachine {
        BareMachine { memory: FlatMemory::new(base, pages), guest_errors: 0, unimplemented: 0 }
    }

    /// All of RAM.
    #[must_use]
    pub fn contents(&mut self) -> Vec<u8> {
        let (base, len) = self.memory.extent();
        let mut bytes = vec![0; len as usize];
        let memory: &mut dyn GuestMemory = &mut self.memory;
        memory.read(base, &mut bytes, Access::Load, 0).expect("every page of RAM can be read");
        bytes
    }
}

impl GuestMemory for BareMachine {
    fn page(&mut self, addr: u64, access: Access, mode: u8) -> Result<PageRef, MemFault> {
        self.memory.page(addr, access, mode)
    }

    fn generation(&self) -> u64 {
        self.memory.generation()
    }

    fn set_code(&mut self, phys: u64, code: bool) {
        self.memory.set_code(phys, code);
    }

    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        self.memory.take_invalidated(pages);
    }
}

impl Platform for BareMachine {
    fn time_ns(&mut self, icount: u64) -> u64 {
        icount
    }

    fn event(&mut self, event: Event, _: core::fmt::Arguments<'_>) {
        match event {
            Event::GuestError => self.guest_errors += 1,
            Event::Unimplemented => self.unimplemented += 1,
        }
    }
}
