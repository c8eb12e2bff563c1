//! The session's engine as tern-linux wants it.

use tern_core::engine::{Platform, Stop};
use tern_core::state::State;
use tern_core::stops::Stops;
use tern_linux::CpuId;

/// An engine that runs the threads of a process.
pub(crate) struct ProcessEngine(pub(crate) tern_session::Engine);

fn inner(id: CpuId) -> tern_session::CpuId {
    tern_session::CpuId(id.0)
}

impl tern_linux::Engine for ProcessEngine {
    fn add_cpu(&mut self) -> CpuId {
        CpuId(self.0.add_cpu().0)
    }
    fn remove_cpu(&mut self, id: CpuId) {
        self.0.remove_cpu(inner(id));
    }
    fn state(&self, id: CpuId) -> &State {
        self.0.state(inner(id))
    }
    fn state_mut(&mut self, id: CpuId) -> &mut State {
        self.0.state_mut(inner(id))
    }
    fn run(&mut self, id: CpuId, platform: &mut dyn Platform, insns: u64) -> Stop {
        self.0.run(inner(id), platform, insns)
    }
    fn set_stops(&mut self, stops: &Stops) {
        self.0.set_stops(stops);
    }
    fn pass(&mut self, id: CpuId) {
        self.0.pass(inner(id));
    }
    fn total_icount(&self) -> u64 {
        self.0.total_icount()
    }
    fn icount(&self, id: CpuId) -> u64 {
        self.0.icount(inner(id))
    }
}

#[cfg(test)]
mod tests {
    use tern_session::ident::Ident;

    #[test]
    fn both_lists_of_isas_agree() {
        for isa in tern_session::isa::ALL {
            let linux = tern_linux::isa::by_name(isa.name).expect("a guest without Linux has no place here yet");
            let (machine, is64, endian) = (linux.machine, linux.abi.is64(), linux.abi.endian);
            assert_eq!(isa.elf, Ident { machine, is64, endian });
            assert!((linux.flags_ok)(isa.elf_flags));
        }
    }
}
