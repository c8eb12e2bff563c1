//! Memory that machines share (QEMU, docs/specs/ivshmem-spec.rst): `ivshmem-plain` is memory alone; `ivshmem-doorbell` gets
//! it from a server, through which machines also interrupt each other.

use crate::catalogue::Class;
use crate::model::{Build, Model, Prop, PropKind};
use crate::pci::config::ConfigState;
use crate::pci::msi::{MSIX_SIZE, MsixState};
use crate::pci::{Bar, BarKind, Config, Identity, Msix, PciFunction};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use tern_core::backend::{Memory, Peers};
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const PLAIN: &str = "ivshmem-plain";
const DOORBELL: &str = "ivshmem-doorbell";
/// Base address with the vectors.
const BAR_MSIX: u8 = 1;

/// The devices' rows.
pub static MODELS: &[Model] = &[
    Model {
        name: PLAIN,
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
            Ok(Box::new(Ivshmem::plain(kit, fitting(memory)?)))
        }),
    },
    Model {
        name: DOORBELL,
        aliases: &[],
        class: Class::Misc,
        about: "memory that machines share, and interrupts between them (QEMU ivshmem-spec.rst)",
        parents: &["ivshmem-common"],
        props: &[
            Prop::new("chardev", PropKind::Chardev, "the connection to the server"),
            Prop::new("vectors", PropKind::Number(32, 1), "interrupt vectors"),
            Prop::only("ioeventfd", &["on", "off"]),
            Prop::only("master", &["off", "auto"]),
        ],
        bus: None,
        build: Build::Pci(|kit, wants| {
            let vectors = wants.props.number("vectors");
            let vectors = u16::try_from(vectors).ok().filter(|n| (1..=MAX_VECTORS).contains(n));
            let vectors = vectors.ok_or_else(|| format!("vectors: 1 to {MAX_VECTORS}"))?;
            let peers = wants.peers("chardev", 0, vectors)?;
            fitting(peers.memory())?;
            Ok(Box::new(Ivshmem::doorbell(kit, peers, vectors)))
        }),
    },
];

/// Most vectors: QEMU's limit of a device's MSI-X vectors.
const MAX_VECTORS: u16 = crate::pci::msi::MAX_VECTORS;

/// The memory, if a base address can decode it.
fn fitting(memory: Rc<dyn Memory>) -> Result<Rc<dyn Memory>, String> {
    let size = memory.size();
    if size.is_power_of_two() { Ok(memory) } else { Err(format!("shared memory: {size} bytes are not a power of two")) }
}

registers! {
    static REGS: Ivshmem, "ivshmem-mmio", sizes [1, 2, 4];
    0x00 MASK 4 rw reset 0, "PCI device registers", read |d, _| u64::from(d.state.mask), write |d, _, v| d.state.mask = v as u32;
    0x04 STATUS 4 rw reset 0, "PCI device registers", read |d, _| u64::from(core::mem::take(&mut d.state.status)),
        write |d, _, v| d.state.status = v as u32;
    0x08 POSITION 4 ro, "PCI device registers", read |d, _| d.peers.as_ref().map_or(0, |p| u64::from(p.id()));
    0x0c DOORBELL 4 wo, "PCI device registers", write |d, _, v| d.ring(v as u32);
}

registers! {
    static VECTORS: Ivshmem, "ivshmem-msix", sizes [4, 8];
    0x0000 area 0x8000 MSI_X_TABLE, "PCI 6.8.2", read |d, at, size| d.table(at, size),
        write |d, at, size, v| d.set_table(at, size, v);
    0x8000 area 0x8000 MSI_X_PBA, "PCI 6.8.2", read |d, at, size| d.msix.as_ref().map_or(0, |m| m.pending(at, size)),
        write |_, _, _, _| {};
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
    peers: Option<Box<dyn Peers>>,
    msix: Option<Msix>,
    /// Bytes of a vector's number that came without the rest.
    begun: Option<u8>,
    state: State,
}

impl Ivshmem {
    /// One that shows this memory, whose size is a power of two.
    #[must_use]
    pub fn plain(kit: Kit, memory: Rc<dyn Memory>) -> Ivshmem {
        Ivshmem::new(kit, memory, None)
    }

    /// One that shows its peers' memory, whose size is a power of two, and has `vectors` interrupt vectors.
    #[must_use]
    pub fn doorbell(kit: Kit, peers: Box<dyn Peers>, vectors: u16) -> Ivshmem {
        Ivshmem::new(kit, peers.memory(), Some((peers, vectors)))
    }

    fn new(kit: Kit, memory: Rc<dyn Memory>, peers: Option<(Box<dyn Peers>, u16)>) -> Ivshmem {
        let subsystem = Some((0x1af4, 0x1100));
        let mut config =
            Config::new(Identity { vendor: 0x1af4, device: 0x1110, revision: 1, class: 0x05_0000, subsystem });
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: 0x100 });
        let (peers, msix) = match peers {
            None => (None, None),
            Some((peers, vectors)) => {
                config.add_bar(Bar { number: BAR_MSIX, kind: BarKind::Memory32, size: MSIX_SIZE });
                (Some(peers), Some(Msix::new(&mut config, vectors, BAR_MSIX)))
            }
        };
        config.add_bar(Bar { number: 2, kind: BarKind::Memory64, size: memory.size() });
        config.seal();
        Ivshmem { kit, config, memory, peers, msix, begun: None, state: State::default() }
    }

    /// Interrupts a peer.
    fn ring(&mut self, value: u32) {
        if let Some(peers) = &mut self.peers {
            peers.ring((value >> 16) as u16, value as u16);
        }
    }

    fn table(&mut self, at: u64, size: Size) -> u64 {
        self.msix.as_ref().map_or(0, |msix| msix.read(at, size))
    }

    fn set_table(&mut self, at: u64, size: Size, value: u64) {
        if let Some(msix) = &mut self.msix {
            msix.write(&self.kit.report, at, size, value);
            msix.written(&self.config, &self.kit.messenger);
        }
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
        if self.peers.is_some() { DOORBELL } else { PLAIN }
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.config.write(at, size, value);
        if let Some(msix) = &mut self.msix {
            msix.written(&self.config, &self.kit.messenger);
        }
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        match bar {
            0 => return REGS.read(self, &report, offset, size),
            BAR_MSIX => return VECTORS.read(self, &report, offset, size),
            _ => {}
        }
        let mut bytes = [0; 8];
        if self.is_inside(offset, size) {
            self.memory.read(offset, &mut bytes[..size.bytes() as usize]);
        }
        u64::from_le_bytes(bytes)
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        match bar {
            0 => REGS.write(self, &report, offset, size, value),
            BAR_MSIX => VECTORS.write(self, &report, offset, size, value),
            _ if self.is_inside(offset, size) => {
                self.memory.write(offset, &value.to_le_bytes()[..size.bytes() as usize]);
            }
            _ => {}
        }
    }

    fn room(&mut self, port: u32) -> usize {
        // Vectors are numbers of two bytes; interrupts never wait.
        if port == 0 && self.peers.is_some() { 64 } else { 0 }
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        let Some(msix) = self.msix.as_mut().filter(|_| port == 0) else { return };
        for byte in data {
            match self.begun.take() {
                None => self.begun = Some(*byte),
                Some(low) => {
                    let vector = u16::from_le_bytes([low, *byte]);
                    msix.notify(&self.config, &self.kit.messenger, vector);
                }
            }
        }
    }

    fn reset(&mut self) {
        self.config.reset();
        self.state = State::default();
        self.begun = None;
        if let Some(msix) = &mut self.msix {
            msix.reset();
        }
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let msix = self.msix.as_ref().map(Msix::save);
        snapshot::save(self.kind(), 1, &(self.config.save(), &self.state, msix, self.begun))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (config, state, msix, begun): (ConfigState, State, Option<MsixState>, Option<u8>) =
            snapshot::load(self.kind(), 1, bytes)?;
        self.config.check(&config)?;
        check(msix.is_some() == self.msix.is_some(), "MSI-X", || "there is some, or none".into())?;
        if let (Some(own), Some(saved)) = (&mut self.msix, msix) {
            own.check(&saved)?;
            own.load(saved);
        }
        self.config.load(config);
        (self.state, self.begun) = (state, begun);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Bench, BenchBackends};
    use crate::model::Backends;
    use crate::pci::config::reg;
    use std::cell::RefCell;
    use tern_core::device::Signal;

    #[test]
    fn registers_and_memory_are_there() {
        let mut bench = Bench::new();
        let memory = BenchBackends::new(&bench).memory("shared").unwrap();
        let mut d = Ivshmem::plain(bench.kit(PLAIN), memory.clone());
        d.write(0, 0, Size::B4, 0xffff_ffff);
        d.write(0, 4, Size::B4, 1);
        d.write(0, 12, Size::B4, 8 << 16);
        assert_eq!([0, 4, 4, 8].map(|at| d.read(0, at, Size::B4)), [0xffff_ffff, 1, 0, 0]);
        let size = memory.size();
        d.write(2, size - 3, Size::B2, 0xabcd);
        let mut bytes = [0; 3];
        memory.read(size - 3, &mut bytes);
        assert_eq!((bytes, d.read(2, size - 4, Size::B4)), ([0xcd, 0xab, 0], 0x00ab_cd00));
        assert_eq!((bench.guest_errors(), d.room(0)), (0, 0));
        for at in [size - 1, size, u64::MAX] {
            d.write(2, at, Size::B8, 1);
            assert_eq!(d.read(2, at, Size::B8), 0);
        }
        assert_eq!(bench.guest_errors(), 6);
    }

    /// Peers that write down who was rung.
    struct Bell(Rc<dyn Memory>, Rc<RefCell<Vec<(u16, u16)>>>);

    impl Peers for Bell {
        fn id(&self) -> u16 {
            3
        }

        fn memory(&self) -> Rc<dyn Memory> {
            self.0.clone()
        }

        fn ring(&mut self, peer: u16, vector: u16) {
            self.1.borrow_mut().push((peer, vector));
        }
    }

    #[test]
    fn peers_are_rung_and_ring() {
        let mut bench = Bench::new();
        let memory = BenchBackends::new(&bench).memory("shared").unwrap();
        let rung = Rc::<RefCell<Vec<_>>>::default();
        let mut d = Ivshmem::doorbell(bench.kit(DOORBELL), Box::new(Bell(memory, rung.clone())), 2);
        d.write(0, 12, Size::B4, 0x0007_0001);
        assert_eq!((d.read(0, 8, Size::B4), rung.take()), (3, vec![(7, 1)]));
        d.write_config(reg::COMMAND, Size::B2, 6);
        let msix = usize::from(d.config.byte_at(reg::CAPABILITIES));
        d.write_config(msix + 2, Size::B2, 0x8000);
        // Masked: it waits.
        d.receive(0, &[1, 0]);
        assert_eq!((bench.signals(), d.read(1, 0x8000, Size::B4)), (vec![], 2));
        for (at, value) in [(0x10, 0x2800_0000), (0x14, 0), (0x18, 9), (0x1c, 0)] {
            d.write(1, at, Size::B4, value);
        }
        assert_eq!(bench.signals(), [Signal::Message { addr: 0x2800_0000, data: 9 }]);
        // In pieces, and one that there is not.
        d.receive(0, &[1]);
        d.receive(0, &[0, 0xff, 0xff]);
        assert_eq!(bench.signals(), [Signal::Message { addr: 0x2800_0000, data: 9 }]);
        assert_eq!(bench.guest_errors(), 0);
    }
}
