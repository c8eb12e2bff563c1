//! Memory that machines share (QEMU, docs/specs/ivshmem-spec.rst): without interrupts.

use crate::catalogue::Class;
use crate::model::{Build, Model, Prop, PropKind};
use crate::pci::config::ConfigState;
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use tern_core::backend::Memory;
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

const NAME: &str = "ivshmem-plain";

/// The device's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Misc,
    about: "memory that machines share (QEMU ivshmem-spec.rst)",
    parents: &["ivshmem-common"],
    props: &[
        Prop::new("memdev", PropKind::Link("memory-backend"), "the memory"),
        Prop::only("master", &["off", "auto"]),
    ],
    bus: None,
    build: Build::Pci(|kit, wants| {
        let memory = wants.memory("memdev")?.ok_or("You must specify a 'memdev'")?;
        let size = memory.size();
        if !size.is_power_of_two() {
            return Err(format!("memdev: {size} bytes are not a power of two"));
        }
        Ok(Box::new(Ivshmem::new(kit, memory)))
    }),
}];

registers! {
    static REGS: Ivshmem, "ivshmem-mmio", sizes [1, 2, 4];
    0x00 MASK 4 rw reset 0, "PCI device registers", read |d, _| u64::from(d.state.mask), write |d, _, v| d.state.mask = v as u32;
    0x04 STATUS 4 rw reset 0, "PCI device registers", read |d, _| u64::from(core::mem::take(&mut d.state.status)),
        write |d, _, v| d.state.status = v as u32;
    0x08 POSITION 4 ro reset 0, "PCI device registers", read |_, _| 0;
    0x0c DOORBELL 4 wo, "PCI device registers", write |_, _, _| {};
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    mask: u32,
    status: u32,
}

/// The device.
pub struct Ivshmem {
    kit: Kit,
    config: Config,
    memory: Rc<dyn Memory>,
    state: State,
}

impl Ivshmem {
    /// A new one that shows this memory, whose size is a power of two.
    #[must_use]
    pub fn new(kit: Kit, memory: Rc<dyn Memory>) -> Ivshmem {
        let subsystem = Some((0x1af4, 0x1100));
        let mut config =
            Config::new(Identity { vendor: 0x1af4, device: 0x1110, revision: 1, class: 0x05_0000, subsystem });
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: 0x100 });
        config.add_bar(Bar { number: 2, kind: BarKind::Memory64, size: memory.size() });
        config.seal();
        Ivshmem { kit, config, memory, state: State::default() }
    }

    /// Does an access lie in the memory?
    fn is_inside(&self, offset: u64, size: Size) -> bool {
        let inside = offset.checked_add(size.bytes()).is_some_and(|end| end <= self.memory.size());
        if !inside {
            self.kit.report.guest_error(format_args!("access at {offset:#x}, behind the memory"));
        }
        inside
    }
}

impl PciFunction for Ivshmem {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        if bar == 0 {
            let report = self.kit.report.clone();
            return REGS.read(self, &report, offset, size);
        }
        let mut bytes = [0; 8];
        if self.is_inside(offset, size) {
            self.memory.read(offset, &mut bytes[..size.bytes() as usize]);
        }
        u64::from_le_bytes(bytes)
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        if bar == 0 {
            let report = self.kit.report.clone();
            return REGS.write(self, &report, offset, size, value);
        }
        if self.is_inside(offset, size) {
            self.memory.write(offset, &value.to_le_bytes()[..size.bytes() as usize]);
        }
    }

    fn reset(&mut self) {
        self.config.reset();
        self.state = State::default();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &(self.config.save(), &self.state))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (config, state): (ConfigState, State) = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&config)?;
        self.config.load(config);
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Bench, BenchBackends};
    use crate::model::Backends;

    #[test]
    fn registers_and_memory_are_there() {
        let mut bench = Bench::new();
        let memory = BenchBackends::new(&bench).memory("shared").unwrap();
        let mut d = Ivshmem::new(bench.kit(NAME), memory.clone());
        d.write(0, 0, Size::B4, 0xffff_ffff);
        d.write(0, 4, Size::B4, 1);
        d.write(0, 12, Size::B4, 8 << 16);
        assert_eq!([0, 4, 4, 8].map(|at| d.read(0, at, Size::B4)), [0xffff_ffff, 1, 0, 0]);
        let size = memory.size();
        d.write(2, size - 3, Size::B2, 0xabcd);
        let mut bytes = [0; 3];
        memory.read(size - 3, &mut bytes);
        assert_eq!((bytes, d.read(2, size - 4, Size::B4)), ([0xcd, 0xab, 0], 0x00ab_cd00));
        assert_eq!(bench.guest_errors(), 0);
        for at in [size - 1, size, u64::MAX] {
            d.write(2, at, Size::B8, 1);
            assert_eq!(d.read(2, at, Size::B8), 0);
        }
        assert_eq!(bench.guest_errors(), 6);
    }
}
