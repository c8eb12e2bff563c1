//! What tern-linux needs of an execution engine.

use tern_core::engine::{Platform, Stop};
use tern_core::state::State;
use tern_core::stops::Stops;

/// A CPU of an engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CpuId(pub u32);

/// Runs CPUs on a [`Platform`]; one per process.
pub trait Engine {
    /// A new CPU in its reset state.
    fn add_cpu(&mut self) -> CpuId;

    /// Removes a CPU; its number may be given out again.
    fn remove_cpu(&mut self, id: CpuId);

    /// A CPU's slots.
    fn state(&self, id: CpuId) -> &State;

    /// A CPU's slots, to change between runs.
    fn state_mut(&mut self, id: CpuId) -> &mut State;

    /// Runs a CPU for at most `insns` instructions (at block granularity).
    fn run(&mut self, id: CpuId, platform: &mut dyn Platform, insns: u64) -> Stop;

    /// From now on these stop the CPUs.
    fn set_stops(&mut self, stops: &Stops) {
        let _ = stops;
    }

    /// A breakpoint where the CPU stands does not stop it this time.
    fn pass(&mut self, id: CpuId) {
        let _ = id;
    }

    /// Instructions that all CPUs have retired, those that are gone too.
    fn total_icount(&self) -> u64 {
        0
    }

    /// Instructions that the CPU has retired.
    fn icount(&self, id: CpuId) -> u64;
}
