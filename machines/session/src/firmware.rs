//! What stands in for the guest's most privileged software, so that a kernel runs without a firmware image: it answers the
//! traps that such software would have answered, in Rust.

use crate::machine::CpuState;
use tern_core::device::{Bus, Request};
use tern_core::engine::Stop;
use tern_core::mem::{MemFault, Size};
use tern_core::snapshot::StateError;
use tern_core::state::State;
use tern_core::system::{Flush, Reset};

/// The machine as firmware sees it.
pub trait FirmwareHost {
    /// Number of CPUs.
    fn cpus(&self) -> usize;

    /// A CPU's slots.
    fn state(&mut self, cpu: usize) -> &mut State;

    /// Whether a CPU has something to do.
    fn cpu_state(&self, cpu: usize) -> CpuState;

    /// Switches a CPU off.  If it is the one that trapped, it runs no further instruction.
    fn stop_cpu(&mut self, cpu: usize);

    /// Lets the CPU wait for an interrupt.
    fn wait_cpu(&mut self, cpu: usize);

    /// Starts a CPU from its reset state; firmware then sets its registers.
    fn start_cpu(&mut self, cpu: usize, reset: Reset);

    /// Drives an interrupt input of a CPU.
    fn set_line(&mut self, cpu: usize, line: u32, level: bool);

    /// Drives input `line` of a CPU up at guest time `at_ns`; takes it down until then.
    fn set_timer(&mut self, cpu: usize, line: u32, at_ns: Option<u64>);

    /// Guest time.
    fn time_ns(&mut self) -> u64;

    /// Lets a CPU forget about address translation.
    fn flush(&mut self, cpu: usize, flush: Flush);

    /// Memory, by physical address.
    fn memory(&self) -> &dyn Bus;

    /// Loads from memory as instructions of a CPU do.
    ///
    /// # Errors
    /// The fault that the CPU would take; a load across the edge of a page is one, too.
    fn load_virtual(&mut self, cpu: usize, addr: u64, size: Size) -> Result<u64, MemFault>;

    /// Loads from a device by physical address; `None`: none is there.
    fn load(&mut self, addr: u64, size: Size) -> Option<u64>;

    /// Stores to a device by physical address; false: none is there.
    fn store(&mut self, addr: u64, size: Size, value: u64) -> bool;

    /// Asks something of the whole machine.
    fn request(&mut self, request: Request);
}

/// The software that is stood in for.
pub trait Firmware {
    /// The machine has been switched on or reset; CPUs are in their reset states.
    fn reset(&mut self, host: &mut dyn FirmwareHost);

    /// CPU `cpu` has stopped for `stop`, with the state as [`Stop`] says.  True: this is dealt with, and pc is where the CPU
    /// goes on.  False: it is an exception for the guest.
    fn trap(&mut self, host: &mut dyn FirmwareHost, cpu: usize, stop: Stop) -> bool;

    /// Its state.
    ///
    /// # Errors
    /// A state that cannot be encoded.
    fn save(&self) -> Result<Vec<u8>, StateError>;

    /// Takes a saved state on.
    ///
    /// # Errors
    /// A state that is not one of this firmware.
    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError>;
}
