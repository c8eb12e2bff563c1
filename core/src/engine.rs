//! What an execution tier reports, and the platform it runs on.

use crate::mem::{GuestMemory, MemFault};
use crate::stops::Touched;

/// Why a run stopped.  The state is complete and pc tells where (I2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The wanted position is reached; pc is the next instruction.
    Limit,
    /// A system call instruction has retired; pc is the one after it.
    Syscall,
    /// The instruction at pc trapped.
    Trap {
        /// The frontend's number of the cause.
        cause: u32,
        /// What goes with it (the illegal instruction's bits, say).
        value: u64,
    },
    /// The instruction at pc made a bad access.
    Fault(MemFault),
    /// The CPU waits for something to happen; pc is the next instruction.
    Halt,
    /// The CPU waits in a loop for another one, which had better run now; pc is the next instruction.
    Yield,
    /// The instruction before pc asked for the engine's attention (a mode changed, code was written).
    Resync,
    /// There is a breakpoint at pc ([`crate::stops::Stops`]); the instruction there has not run.
    Breakpoint,
    /// The instruction before pc touched watched memory; besides, as [`Stop::Resync`].  If stops are before accesses: the one
    /// at pc would touch it, and has not retired.
    Watch(Touched),
}

/// What a running CPU can reach besides its own state.
pub trait Platform: GuestMemory {
    /// The running CPU is about to run one instruction at position `icount`, which may reach devices.
    fn at(&mut self, icount: u64) {
        let _ = icount;
    }

    /// Nanoseconds of guest time at position `icount` (instructions retired by this CPU).  All clock registers derive
    /// from it (I1).
    fn time_ns(&mut self, icount: u64) -> u64;

    /// Sets or clears a timer of the running CPU: at guest time `at_ns` its interrupt line `timer` goes up.  A machine
    /// takes it down again when the timer is set anew.
    fn set_timer(&mut self, timer: u32, at_ns: Option<u64>) {
        let _ = (timer, at_ns);
    }

    /// Reads and, with (value, mask of the bits to change), writes a CPU register that lies outside of the CPU (an interrupt
    /// controller's); the old value.  `None`: nothing answers to that number.
    fn cpu_register(&mut self, register: u32, write: Option<(u64, u64)>) -> Option<u64> {
        let _ = (register, write);
        None
    }

    /// Counts a guest mistake (`guest_errors`) or something that tern has not built (`unimp`).
    fn event(&mut self, event: Event, text: core::fmt::Arguments<'_>);
}

/// Two kinds of thing worth counting; see STYLE 18.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The guest did something that its architecture forbids.
    GuestError,
    /// The guest asked for something that tern does not do yet.
    Unimplemented,
}
