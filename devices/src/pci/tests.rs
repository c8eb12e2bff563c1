//! The host bridge and virtio-pci, driven as a kernel does it: enumerate, size, assign, walk capabilities, run.

use super::bridge::Header;
use super::config::{BarKind, reg};
use super::host::{PciError, PciHost};
use super::port::{Numbers, RootPort};
use crate::bench::{Bench, RAM};
use crate::virtio::blk::{Blk, Config};
use crate::virtio::pci::Interface;
use crate::virtio::{Options, VirtioPci};
use tern_core::device::{Device, Dma, Reporter, Signal, Sink};
use tern_core::mem::Size;

struct Machine {
    bench: Bench,
    host: PciHost,
    dma: Dma,
}

fn quiet() -> Reporter {
    Reporter::new("test", |_, _| {})
}

impl Machine {
    fn new() -> Machine {
        let mut bench = Bench::new();
        let host = PciHost::new(bench.kit("gpex-pcihost"), core::array::from_fn(|_| bench.line()));
        let dma = bench.dma();
        Machine { bench, host, dma }
    }

    fn blk(&mut self, parent: Option<usize>, place: Option<(u8, u8)>, interface: Interface) -> Result<usize, PciError> {
        let blk = Box::new(Blk::new(self.bench.disk(1 << 16), Config { queues: 2, ..Config::default() }));
        let report = self.bench.kit("blk").report;
        self.host.add(parent, place, report, |kit| Box::new(VirtioPci::new(kit, blk, Options::default(), interface)))
    }

    /// A root port.
    fn port(&mut self, place: Option<(u8, u8)>) -> usize {
        let numbers = Numbers { port: 1, slot: 5 };
        let report = self.bench.kit("port").report;
        self.host.add(None, place, report, |kit| Box::new(RootPort::new(kit, numbers, true))).unwrap()
    }

    fn read(&mut self, bdf: u64, at: usize, size: Size) -> u64 {
        self.host.read(0, bdf << 12 | at as u64, size) & size.mask()
    }

    fn write(&mut self, bdf: u64, at: usize, size: Size, value: u64) {
        self.host.write(0, bdf << 12 | at as u64, size, value);
    }

    /// The capabilities of a function: offset and ID.
    fn capabilities(&mut self, bdf: u64) -> Vec<(usize, u8)> {
        let mut list = Vec::new();
        let mut at = self.read(bdf, reg::CAPABILITIES, Size::B1) as usize;
        while at != 0 && list.len() < 48 {
            list.push((at, self.read(bdf, at, Size::B1) as u8));
            at = self.read(bdf, at + 1, Size::B1) as usize;
        }
        list
    }

    /// Where a function's base address registers are decoded, by window.
    fn mapped(&mut self) -> Vec<(u32, Option<u64>)> {
        self.bench.maps().into_iter().map(|((_, window), at)| (window, at)).collect()
    }
}

/// A request for sector 1, answered at RAM + 0x3000, in rings at RAM.
fn build_request(dma: &Dma) {
    dma.write(RAM + 0x2000, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    for (n, (addr, len, flags)) in
        [(RAM + 0x2000, 16u32, 1u16), (RAM + 0x3000, 512, 3), (RAM + 0x4000, 1, 2)].into_iter().enumerate()
    {
        let at = RAM + 16 * n as u64;
        dma.write(at, &addr.to_le_bytes()).unwrap();
        dma.write(at + 8, &len.to_le_bytes()).unwrap();
        dma.write(at + 12, &flags.to_le_bytes()).unwrap();
        dma.write(at + 14, &(n as u16 + 1).to_le_bytes()).unwrap();
    }
    dma.write(RAM + 0x4000, &[0xff]).unwrap();
}

#[test]
fn functions_are_found_sized_and_mapped() {
    let mut m = Machine::new();
    assert_eq!(m.blk(None, Some((0, 0)), Interface::Modern), Err(PciError::Taken(0, 0)));
    assert_eq!(m.blk(Some(0), None, Interface::Modern), Err(PciError::NoBridge(0)));
    assert_eq!(m.blk(None, None, Interface::Transitional), Ok(1));
    let bdf = 1 << 3;
    assert_eq!(m.read(0, 0, Size::B4), 0x0008_1b36);
    assert_eq!((m.read(bdf, 0, Size::B4), m.read(bdf, 8, Size::B4)), (0x1001_1af4, 0x0100_0000));
    assert_eq!((m.read(bdf, 0x2c, Size::B4), m.read(bdf, 0x3d, Size::B1)), (0x0002_1af4, 1));
    assert_eq!((m.read(2 << 3, 0, Size::B4), m.read(1 << 8, 0, Size::B4)), (0xffff_ffff, 0xffff_ffff));
    assert_eq!(m.read(bdf, 0x100, Size::B4), 0);
    let sizes: Vec<u64> = (0..6)
        .map(|n| {
            m.write(bdf, 0x10 + 4 * n, Size::B4, 0xffff_ffff);
            m.read(bdf, 0x10 + 4 * n, Size::B4)
        })
        .collect();
    assert_eq!(sizes, [0xffff_ff81, 0xffff_0000, 0, 0, 0xffff_c00c, 0xffff_ffff]);
    assert_eq!(m.mapped(), []);
    for (n, value) in [(0, 0x1001), (1, 0x4000_0000), (4, 0x8000_0000), (5, 0x4)] {
        m.write(bdf, 0x10 + 4 * n, Size::B4, value);
    }
    m.write(bdf, 4, Size::B2, 7);
    // The ports begin at a multiple of their size.
    assert_eq!(m.mapped(), [(1, Some(0x1000)), (2, Some(0x4000_0000)), (3, Some(0x4_8000_0000))]);
    let kinds = [BarKind::Io, BarKind::Memory32, BarKind::Memory64];
    assert_eq!([1, 2, 3].map(|n| m.host.decodes(n).unwrap()), kinds);
    assert_eq!((m.host.decodes(0), m.host.decodes(4)), (None, None));
    m.write(bdf, 4, Size::B1, 5);
    assert_eq!(m.mapped(), [(2, None), (3, None)]);
    m.host.reset();
    assert_eq!(m.mapped(), [(1, None)]);
    assert_eq!(m.host.windows().len(), 4);
}

#[test]
fn a_modern_driver_reads_a_sector_by_msix() {
    let mut m = Machine::new();
    m.blk(None, None, Interface::Modern).unwrap();
    let bdf = 1 << 3;
    assert_eq!((m.read(bdf, 0, Size::B4), m.read(bdf, 8, Size::B1)), (0x1042_1af4, 1));
    m.write(bdf, 4, Size::B2, 6);
    let capabilities = m.capabilities(bdf);
    assert_eq!(capabilities.iter().map(|c| c.1).collect::<Vec<_>>(), [0x11, 9, 9, 9, 9, 9]);
    let mut structures = [0; 6];
    for (at, _) in capabilities.iter().skip(1) {
        let kind = m.read(bdf, at + 3, Size::B1) as usize;
        assert_eq!(m.read(bdf, at + 4, Size::B1), if kind == 5 { 0 } else { 4 });
        structures[kind] = m.read(bdf, at + 8, Size::B4);
    }
    let [_, common, notify, _, device, _] = structures;
    let msix = capabilities[0].0;
    assert_eq!(m.read(bdf, msix + 2, Size::B2), 2, "two queues and the configuration");
    m.write(bdf, msix + 2, Size::B2, 0x8000);
    // Windows: 1 is the table, 2 the structures.
    for vector in 0..3 {
        m.host.write(1, 16 * vector, Size::B8, 0x2800_0000);
        m.host.write(1, 16 * vector + 8, Size::B4, 0x40 + vector);
        m.host.write(1, 16 * vector + 12, Size::B4, 0);
    }
    let h = &mut m.host;
    h.write(2, common + 0x14, Size::B1, 0);
    h.write(2, common + 0x14, Size::B1, 3);
    for word in 0..2 {
        h.write(2, common, Size::B4, word);
        let offered = h.read(2, common + 4, Size::B4);
        h.write(2, common + 8, Size::B4, word);
        h.write(2, common + 0xc, Size::B4, offered);
    }
    h.write(2, common + 0x14, Size::B1, 11);
    assert_eq!(h.read(2, common + 0x14, Size::B1), 11);
    assert_eq!(h.read(2, common + 0x12, Size::B2), 2);
    h.write(2, common + 0x10, Size::B2, 0);
    h.write(2, common + 0x16, Size::B2, 1);
    h.write(2, common + 0x18, Size::B2, 16);
    h.write(2, common + 0x1a, Size::B2, 77);
    assert_eq!(h.read(2, common + 0x1a, Size::B2), 0xffff, "there is no such vector");
    h.write(2, common + 0x1a, Size::B2, 2);
    for (at, area) in [(0x20, RAM), (0x28, RAM + 0x800), (0x30, RAM + 0x1000)] {
        h.write(2, common + at, Size::B4, area & 0xffff_ffff);
        h.write(2, common + at + 4, Size::B4, area >> 32);
    }
    h.write(2, common + 0x1c, Size::B2, 1);
    h.write(2, common + 0x14, Size::B1, 15);
    assert_eq!(h.read(2, device, Size::B8), 128);
    build_request(&m.dma);
    m.dma.write(RAM + 0x802, &[1, 0]).unwrap();
    let off = m.host.read(2, common + 0x1e, Size::B2);
    m.host.write(2, notify + 4 * off, Size::B2, 1);
    assert_eq!(m.bench.signals(), [Signal::Message { addr: 0x2800_0000, data: 0x42 }]);
    assert_eq!(m.dma.array::<1>(RAM + 0x4000).unwrap(), [0]);
    // Masked, it waits; unmasked, it comes.
    m.host.write(1, 16 * 2 + 12, Size::B4, 1);
    m.dma.write(RAM + 0x802, &[2, 0]).unwrap();
    m.dma.write(RAM + 0x806, &[0, 0]).unwrap();
    m.dma.write(RAM + 0x800 + 4 + 32, &[1, 0]).unwrap();
    m.host.write(2, notify + 4 * off, Size::B2, 1);
    assert_eq!((m.bench.signals(), m.host.read(1, 0x8000, Size::B8)), (vec![], 4));
    let saved = m.host.save().unwrap();
    m.host.load(&saved).unwrap();
    assert_eq!(m.host.save().unwrap(), saved);
    m.host.write(1, 16 * 2 + 12, Size::B4, 0);
    assert_eq!(m.bench.signals(), [Signal::Message { addr: 0x2800_0000, data: 0x42 }]);
    // Without bus mastering, nothing moves.
    m.write(bdf, 4, Size::B2, 2);
    let before = m.bench.guest_errors();
    m.host.write(2, notify + 4 * off, Size::B2, 1);
    assert_eq!(m.bench.guest_errors(), before + 1);
    assert_eq!(before, 0);
}

#[test]
fn a_legacy_driver_reads_a_sector_by_its_pin() {
    let mut m = Machine::new();
    m.blk(None, Some((3, 0)), Interface::Transitional).unwrap();
    let bdf = 3 << 3;
    m.write(bdf, 4, Size::B2, 7);
    let h = &mut m.host;
    h.write(1, 18, Size::B1, 0);
    h.write(1, 18, Size::B1, 3);
    let offered = h.read(1, 0, Size::B4);
    h.write(1, 4, Size::B4, offered & !(1 << 29));
    h.write(1, 14, Size::B2, 0);
    assert_eq!(h.read(1, 12, Size::B2), 256);
    h.write(1, 8, Size::B4, RAM >> 12);
    h.write(1, 18, Size::B1, 7);
    assert_eq!((h.read(1, 8, Size::B4), h.read(1, 20, Size::B4)), (RAM >> 12, 128));
    // 256 descriptors fill the first page; the request is moved out of the rings' way.
    build_request(&m.dma);
    for (n, page) in [(0, 5), (1, 6), (2, 7)] {
        m.dma.write(RAM + 16 * n, &(RAM + 0x1000 * page).to_le_bytes()).unwrap();
    }
    m.dma.write(RAM + 0x5000, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    m.dma.write(RAM + 0x1002, &[1, 0]).unwrap();
    m.host.write(1, 16, Size::B2, 0);
    assert_eq!(m.dma.array::<12>(RAM + 0x2000).unwrap(), [0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 0, 0]);
    // Device 3, INTA: line 3.
    let line = |level| Signal::Level(Sink::Cpu { cpu: 0, line: 3 }, level);
    assert_eq!(m.bench.signals(), [line(true)]);
    assert_eq!(m.read(bdf, 6, Size::B2) & 8, 8);
    m.write(bdf, 4, Size::B2, 0x407);
    assert_eq!(m.bench.signals(), [line(false)], "disabled in the command register");
    m.write(bdf, 4, Size::B2, 7);
    assert_eq!(m.host.read(1, 19, Size::B1), 1);
    assert_eq!(m.bench.signals(), [line(true), line(false)]);
    assert_eq!(m.bench.guest_errors(), 0);
}

#[test]
fn structures_are_reached_through_configuration_space_too() {
    let mut m = Machine::new();
    m.blk(None, None, Interface::Modern).unwrap();
    let bdf = 1 << 3;
    let (window, _) = *m.capabilities(bdf).last().unwrap();
    m.write(bdf, window + 4, Size::B1, 4);
    m.write(bdf, window + 8, Size::B4, 0x14);
    m.write(bdf, window + 12, Size::B4, 1);
    m.write(bdf, window + 16, Size::B4, 3);
    assert_eq!((m.host.read(2, 0x14, Size::B1), m.read(bdf, window + 16, Size::B4)), (3, 3));
    m.write(bdf, window + 8, Size::B4, 0x3fff);
    m.write(bdf, window + 12, Size::B4, 4);
    let before = m.bench.guest_errors();
    m.read(bdf, window + 16, Size::B4);
    assert_eq!(m.bench.guest_errors(), before + 1);
}

#[test]
fn bridges_pass_on_what_they_are_told_to() {
    let mut m = Machine::new();
    let port = m.port(Some((2, 0)));
    let inner = m.host.add(Some(port), None, quiet(), |kit| Box::new(Header::pci_bridge(kit))).unwrap();
    assert_eq!(m.blk(Some(port), None, Interface::Modern), Err(PciError::Full));
    m.blk(Some(inner), Some((5, 0)), Interface::Modern).unwrap();
    m.blk(Some(inner), Some((5, 1)), Interface::Modern).unwrap();
    // Buses are found as the numbers are given out.
    let (root, below, far) = (2 << 3, 1 << 8, 2 << 8 | 5 << 3);
    assert_eq!(m.read(below, 0, Size::B4), 0xffff_ffff);
    m.write(root, 0x18, Size::B4, 0xff_01_00);
    assert_eq!(m.read(below, 0, Size::B4), 0x0001_1b36);
    m.write(below, 0x18, Size::B4, 0x02_02_01);
    assert_eq!((m.read(far, 0, Size::B4), m.read(far | 1, 0, Size::B4)), (0x1042_1af4, 0x1042_1af4));
    assert_eq!(m.read(far, 0xe, Size::B1), 0x80, "several functions");
    assert_eq!(m.read(3 << 8 | 5 << 3, 0, Size::B4), 0xffff_ffff);
    // A window that loops back is no way.
    m.write(below, 0x18, Size::B4, 0x05_00_01);
    assert_eq!(m.read(far, 0, Size::B4), 0xffff_ffff);
    m.write(below, 0x18, Size::B4, 0x02_02_01);
    // Decoding needs every bridge on the way.
    m.write(far, 0x14, Size::B4, 0x4010_0000);
    m.write(far, 4, Size::B2, 6);
    assert_eq!(m.mapped(), []);
    for bridge in [root, below] {
        m.write(bridge, 0x20, Size::B4, 0x4010_4010);
        m.write(bridge, 4, Size::B2, 7);
    }
    assert_eq!(m.mapped(), [(1, Some(0x4010_0000))]);
    m.write(root, 0x20, Size::B4, 0x4020_4020);
    assert_eq!(m.mapped(), [(1, None)]);
    // INTA of device 5 is B at the inner bridge (device 0), B at the port, D at the root: (0 + 5 + 0 + 2) mod 4.
    let config = m.capabilities(root);
    assert_eq!(config.iter().map(|c| c.1).collect::<Vec<_>>(), [0x10, 0x05]);
    // A device that breaks asks for the interrupt of changed configurations.
    m.write(root, 0x20, Size::B4, 0x4010_4010);
    let h = &mut m.host;
    for status in [3, 11] {
        h.write(2, 0x14, Size::B1, status);
        h.write(2, 8, Size::B4, 1);
        h.write(2, 0xc, Size::B4, 1);
    }
    h.write(2, 0x14, Size::B1, 15);
    h.write(2, 0x1c, Size::B2, 1);
    h.write(2, 0x3000, Size::B2, 0);
    assert_eq!(m.bench.signals(), [Signal::Level(Sink::Cpu { cpu: 0, line: 3 }, true)]);
}

#[test]
fn saved_bridges_are_checked() {
    let mut m = Machine::new();
    m.blk(None, None, Interface::Modern).unwrap();
    let bdf = 1 << 3;
    m.write(bdf, 0x14, Size::B4, 0x4000_0000);
    m.write(bdf, 4, Size::B2, 6);
    let saved = m.host.save().unwrap();
    let mut other = Machine::new();
    assert!(other.host.load(&saved).is_err(), "another number of functions");
    other.blk(None, None, Interface::Transitional).unwrap();
    let before = other.host.save().unwrap();
    assert!(other.host.load(&saved).is_err(), "another interface");
    assert_eq!(other.host.save().unwrap(), before);
    let mut other = Machine::new();
    other.blk(None, None, Interface::Modern).unwrap();
    other.host.load(&saved).unwrap();
    assert_eq!(other.host.save().unwrap(), saved);
    assert_eq!(other.mapped(), [], "the map comes back by itself");
    other.host.reset();
    assert_eq!(other.mapped(), [(1, None)]);
}

mod hotplug;
