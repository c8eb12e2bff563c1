//! What a guest ISA provides: its layout, its translator, its helpers.  A frontend reads instruction bytes and the block
//! key, writes IR, and knows no device and no OS.

use crate::engine::Platform;
use crate::ir::{BlockKey, Builder};
use crate::mem::MemFault;
use crate::state::{State, StateLayout};
use crate::system::{Flush, System, Virtual};

/// Code bytes for the translator.
pub trait Fetch {
    /// Reads `buf.len()` bytes of code at virtual address `addr` and notes the page they came from.
    ///
    /// # Errors
    /// The fetch fault.
    fn fetch(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemFault>;

    /// Must an instruction at `pc` begin a block of its own?  To be asked before each instruction but the first; a block that
    /// would go on there ends with a jump to it.
    fn begins_block(&mut self, pc: u64) -> bool {
        let _ = pc;
        false
    }

    /// Which side of a conditional branch goes to `taken`, or else on to `next`, belongs to the path that is translated.
    /// A hint: any answer to any question gives a right block.
    fn side(&mut self, taken: u64, next: u64) -> Side {
        let _ = (taken, next);
        Side::Next
    }
}

/// Where a block goes on at a conditional branch; see [`Fetch::side`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// After the branch, which leaves if it is taken.
    Next,
    /// At its target: the block leaves if the branch is not taken.
    Taken,
    /// Nowhere: the block ends with the branch.
    Neither,
}

/// Bounds of one translation.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At most this many guest instructions, at least 1.
    pub insns: u32,
    /// Follow direct jumps and calls into the same block.
    pub follow: bool,
    /// The block stays in the virtual page in which it begins; only its first instruction may reach into the next one.
    pub one_page: bool,
}

/// Why a helper did not finish normally.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HelperExit {
    /// The instruction faults; the helper has changed nothing that the architecture forbids.
    Fault(MemFault),
    /// The instruction traps.
    Trap {
        /// The frontend's number of the cause.
        cause: u32,
        /// What goes with it.
        value: u64,
    },
}

/// What a helper works on.
pub struct HelperCx<'a> {
    /// The CPU's slots, complete.
    pub state: &'a mut State,
    /// Time, events, and memory as the platform has it: physical where there is a privileged side.
    pub platform: &'a mut dyn Platform,
    /// The privileged side.
    pub system: Option<&'a dyn System>,
    /// What the engine shall forget when the helper is done; the instruction must end its block with
    /// [`crate::ir::Exit::Resync`].
    pub flush: Flush,
    /// Instructions retired before the current one.
    pub icount: u64,
}

impl HelperCx<'_> {
    /// Memory as instructions see it.
    pub fn memory(&mut self) -> Virtual<'_> {
        Virtual { system: self.system, state: self.state, platform: self.platform }
    }
}

/// A helper's code: arguments in order (missing ones are 0; the upper half of an `I32` is not defined) and the constant
/// payload.  A result that IR takes as a Bool must be 0 or 1.
pub type HelperFn = fn(&mut HelperCx<'_>, args: [u64; 3], payload: u64) -> Result<u64, HelperExit>;

/// A helper's row: its name and declared effects.
#[derive(Clone, Copy)]
pub struct Helper {
    /// Name in the text form and logs.
    pub name: &'static str,
    /// The code.
    pub call: HelperFn,
    /// It reads slots.
    pub reads: bool,
    /// It writes slots.
    pub writes: bool,
    /// It may fault or trap.
    pub faults: bool,
}

/// One guest ISA, configured (features fixed).
pub trait Frontend {
    /// Its state.
    fn layout(&self) -> &StateLayout;

    /// Its helpers; IR names them by index.
    fn helpers(&self) -> &'static [Helper];

    /// The mode word of the block that would run next in `state`.
    fn mode(&self, state: &State) -> u32;

    /// MMU mode for instruction fetches under mode word `mode`.
    fn fetch_mode(&self, mode: u32) -> u8 {
        let _ = mode;
        0
    }

    /// Translates from `b.key()` on.  It returns the address where the block ends if it set no exit.
    ///
    /// # Errors
    /// The fetch fault, if not even the first instruction could be read.
    fn translate(&self, fetch: &mut dyn Fetch, b: &mut Builder<'_>, limits: Limits) -> Result<u64, MemFault>;

    /// The privileged side, if this CPU has one.
    fn system(&self) -> Option<&dyn System> {
        None
    }

    /// The control registers that this CPU has: number and name, by number.
    fn control_registers(&self) -> Vec<(u32, &'static str)> {
        Vec::new()
    }

    /// Reads control register `number`, or writes it: as [`System::control_register`], of CPUs that run programs too.
    fn control_register(&self, cx: &mut HelperCx<'_>, number: u32, write: Option<u64>) -> Option<u64> {
        self.system().and_then(|system| system.control_register(cx, number, write))
    }

    /// Disassembles the instruction at the start of `bytes`: text and length.  `None` if `bytes` is too short.
    fn disassemble(&self, bytes: &[u8], pc: u64, mode: u32) -> Option<(String, usize)>;

    /// The mode word and key at `pc`.
    fn key(&self, state: &State) -> BlockKey {
        BlockKey { pc: state.pc(), mode: self.mode(state) }
    }
}
