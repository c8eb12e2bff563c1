//! Device trees of part lists, with the bindings that QEMU's boards use (Linux, Documentation/devicetree/bindings; RISC-V
//! trees of QEMU by `-machine dumpdtb`).

mod iommu;

pub use iommu::Iommu;

use crate::config::{Aia, Smp};
use crate::fdt::{Node, Tree};
use crate::part::{Kind, Part, Parts, Range, TIMEBASE_HZ};
use crate::platform::Place;
use std::collections::BTreeMap;

/// Offset of `mtime` in the ACLINT's MTIMER.
const MTIME: u64 = 0x7ff8;
/// Interrupt inputs of a hart (The RISC-V Instruction Set Manual, volume II, section 3.1.9).
const SSI: u32 = 1;
const MSI: u32 = 3;
const MTI: u32 = 7;
const SEI: u32 = 9;
const MEI: u32 = 11;
/// An interrupt that is level-triggered, active high (Linux, include/dt-bindings/interrupt-controller/irq.h).
const LEVEL_HIGH: u32 = 4;
/// An interrupt of the node that goes nowhere: firmware has it.
const NOBODY: u32 = u32::MAX;

/// What a tree says beside its parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// `model` and `compatible` of the root.
    pub names: [&'static str; 2],
    /// CPUs.
    pub smp: Smp,
    /// Extensions of the harts as the ISA writes them.
    pub isa: String,
    /// `mmu-type`: `riscv,sv48`.
    pub mmu: Option<&'static str>,
    /// Block sizes of `cbo.clean`, prefetches and `cbo.zero` in bytes; 0: there are none.
    pub cache_blocks: [u32; 3],
    /// Machine mode is not the guest's: what belongs to it is not shown.
    pub supervised: bool,
    /// Seed for the kernel's entropy.
    pub seed: [u8; 32],
    /// What translates for PCI functions.
    pub iommu: Option<Iommu>,
    /// Devices of the platform bus.
    pub platform: Vec<Place>,
}

/// What is being described.
struct Writer<'a> {
    facts: &'a Facts,
    parts: &'a Parts,
    handles: BTreeMap<String, u32>,
}

/// The tree of a board.
#[must_use]
pub fn tree(parts: &Parts, facts: &Facts) -> Tree {
    let mut root = Node::default();
    root.cells("#address-cells", &[2]).cells("#size-cells", &[2]);
    root.string("model", facts.names[0]).string("compatible", facts.names[1]);
    root.child("chosen").set("rng-seed", facts.seed);
    let mut writer = Writer { facts, parts, handles: BTreeMap::new() };
    writer.cpus(&mut root);
    root.child("soc").cells("#address-cells", &[2]).cells("#size-cells", &[2]).string("compatible", "simple-bus");
    root.child("soc").flag("ranges");
    for part in &parts.list {
        writer.part(part, &mut root);
    }
    Tree { root, ..Tree::default() }
}

/// A node named after an address.
fn at(name: &str, range: Range) -> Node {
    let mut node = Node::new(format!("{name}@{:x}", range.base));
    node.wide("reg", &[range.base, range.size]);
    node
}

impl Writer<'_> {
    /// The phandle of what is called `label` here.
    fn handle(&mut self, label: impl Into<String>) -> u32 {
        let next = self.handles.len() as u32 + 1;
        *self.handles.entry(label.into()).or_insert(next)
    }

    /// Inputs `lines` of every hart, as `interrupts-extended` wants them.
    fn harts(&mut self, lines: &[u32]) -> Vec<u32> {
        let mut cells = Vec::new();
        for hart in 0..self.facts.smp.cpus {
            let handle = self.handle(format!("intc{hart}"));
            cells.extend(lines.iter().flat_map(|line| [handle, *line]));
        }
        cells
    }

    /// The wired interrupt controller that devices use.
    fn controller(&mut self) -> u32 {
        let label = if self.parts.aia == Aia::None { "plic" } else { "aplic-s" };
        self.handle(label)
    }

    /// One interrupt as that controller wants it.
    fn irq(&self, irq: u32) -> Vec<u32> {
        if self.parts.aia == Aia::None { vec![irq] } else { vec![irq, LEVEL_HIGH] }
    }

    fn interrupts(&mut self, node: &mut Node, part: &Part) {
        let cells: Vec<u32> = part.irqs.iter().flat_map(|irq| self.irq(*irq)).collect();
        let parent = self.controller();
        node.cells("interrupts", &cells).cells("interrupt-parent", &[parent]);
    }

    fn part(&mut self, part: &Part, root: &mut Node) {
        let range = part.range();
        match part.kind {
            Kind::Rom => {}
            Kind::Ram => {
                root.push(at("memory", range)).children.last_mut().map(|n| n.string("device_type", "memory"));
            }
            Kind::Test => self.test(part, root),
            Kind::Rtc | Kind::Uart | Kind::Virtio(_) => self.simple(part, root),
            Kind::Clint | Kind::Mswi | Kind::Mtimer | Kind::Sswi => self.timer(part, root),
            Kind::Plic => self.plic(range, root),
            Kind::Aplic => self.aplic(part, root),
            Kind::ImsicM | Kind::ImsicS => self.imsic(part, root),
            Kind::FwCfg => {
                let mut node = at("fw-cfg", range);
                node.string("compatible", "qemu,fw-cfg-mmio").flag("dma-coherent");
                root.push(node);
            }
            Kind::Flash => {
                let mut node = at("flash", range);
                let banks: Vec<u64> = part.at.iter().flat_map(|bank| [bank.base, bank.size]).collect();
                node.wide("reg", &banks).string("compatible", "cfi-flash").cells("bank-width", &[4]);
                root.push(node);
            }
            Kind::Pcie => self.pcie(part, root),
            Kind::PlatformBus => self.platform_bus(range, root),
            Kind::Htif => {
                let mut node = Node::new("htif");
                node.string("compatible", "ucb,htif0").wide("reg", &[range.base, 0x1000]);
                root.push(node);
                root.child("chosen").string("stdout-path", "/htif");
            }
        }
    }

    fn platform_bus(&mut self, range: Range, root: &mut Node) {
        let mut node = Node::new(format!("platform-bus@{:x}", range.base));
        node.strings("compatible", &["qemu,platform", "simple-bus"]);
        node.cells("#address-cells", &[1]).cells("#size-cells", &[1]);
        node.cells("ranges", &[0, (range.base >> 32) as u32, range.base as u32, range.size as u32]);
        let parent = self.controller();
        node.cells("interrupt-parent", &[parent]);
        let facts = self.facts;
        for Place { platform, offset, irq } in &facts.platform {
            let mut device = Node::new(format!("{}@{offset:x}", platform.node));
            device.string("compatible", platform.compatible);
            device.cells("reg", &[*offset as u32, platform.window as u32]);
            let cells: Vec<u32> = (0..platform.lines).flat_map(|n| self.irq(irq + n)).collect();
            device.cells("interrupts", &cells);
            node.push(device);
        }
        root.push(node);
    }

    /// Parts with one window and one interrupt.
    fn simple(&mut self, part: &Part, root: &mut Node) {
        let (name, compatible) = match part.kind {
            Kind::Rtc => ("rtc", "google,goldfish-rtc"),
            Kind::Uart => ("serial", "ns16550a"),
            _ => ("virtio_mmio", "virtio,mmio"),
        };
        let mut node = at(name, part.range());
        node.string("compatible", compatible);
        self.interrupts(&mut node, part);
        if part.kind == Kind::Uart {
            node.cells("clock-frequency", &[3_686_400]);
            let path = format!("/soc/{}", node.name);
            root.child("chosen").string("stdout-path", &path);
            root.child("aliases").string("serial0", &path);
        }
        root.child("soc").push(node);
    }

    fn test(&mut self, part: &Part, root: &mut Node) {
        let handle = self.handle("test");
        let mut node = at("test", part.range());
        node.strings("compatible", &["sifive,test1", "sifive,test0", "syscon"]).cells("phandle", &[handle]);
        root.child("soc").push(node);
        for (name, value) in [("poweroff", 0x5555), ("reboot", 0x7777)] {
            let node = root.child(name);
            node.string("compatible", &format!("syscon-{name}")).cells("value", &[value]);
            node.cells("offset", &[0]).cells("regmap", &[handle]);
        }
    }

    /// Parts with inputs of the harts only.
    fn timer(&mut self, part: &Part, root: &mut Node) {
        let range = part.range();
        let (name, compatible, lines): (_, &[&str], &[u32]) = match part.kind {
            Kind::Clint => ("clint", &["sifive,clint0", "riscv,clint0"], &[MSI, MTI]),
            Kind::Mswi => ("mswi", &["riscv,aclint-mswi"], &[MSI]),
            Kind::Mtimer => ("mtimer", &["riscv,aclint-mtimer"], &[MTI]),
            _ => ("sswi", &["riscv,aclint-sswi"], &[SSI]),
        };
        let mut node = at(name, range);
        node.strings("compatible", compatible);
        let cells = self.harts(lines);
        node.cells("interrupts-extended", &cells);
        if part.kind == Kind::Mtimer {
            // The comparators come first; mtime has the rest of the window for itself.
            let mtime = range.base + MTIME;
            node.wide("reg", &[mtime, range.end() - mtime, range.base, MTIME]);
        }
        if matches!(part.kind, Kind::Mswi | Kind::Sswi) {
            node.flag("interrupt-controller").cells("#interrupt-cells", &[0]);
        }
        if self.facts.supervised && part.kind != Kind::Sswi {
            node.string("status", "disabled");
        }
        root.child("soc").push(node);
    }

    fn plic(&mut self, range: Range, root: &mut Node) {
        let mut node = at("plic", range);
        node.strings("compatible", &["sifive,plic-1.0.0", "riscv,plic0"]).flag("interrupt-controller");
        node.cells("#interrupt-cells", &[1]).cells("#address-cells", &[0]);
        let machine = if self.facts.supervised { NOBODY } else { MEI };
        let cells = self.harts(&[machine, SEI]);
        node.cells("interrupts-extended", &cells).cells("riscv,ndev", &[self.parts.sources - 1]);
        let handle = self.handle("plic");
        node.cells("phandle", &[handle]);
        root.child("soc").push(node);
    }

    fn aplic(&mut self, part: &Part, root: &mut Node) {
        let child = self.handle("aplic-s");
        for (n, (domain, line)) in part.at.iter().zip([MEI, SEI]).enumerate() {
            let machine = n == 0;
            let mut node = at("interrupt-controller", *domain);
            node.strings("compatible", &["qemu,aplic", "riscv,aplic"]).flag("interrupt-controller");
            node.cells("#interrupt-cells", &[2]).cells("#address-cells", &[0]);
            node.cells("riscv,num-sources", &[self.parts.sources]);
            if self.parts.aia == Aia::AplicImsic {
                let files = self.handle(if machine { "imsic-m" } else { "imsic-s" });
                node.cells("msi-parent", &[files]);
            } else {
                let cells = self.harts(&[line]);
                node.cells("interrupts-extended", &cells);
            }
            if machine {
                // The second name is the one that older firmware knows.
                let sources = [child, 1, self.parts.sources];
                node.cells("riscv,children", &[child]).cells("riscv,delegation", &sources);
                node.cells("riscv,delegate", &sources);
            }
            let handle = self.handle(if machine { "aplic-m" } else { "aplic-s" });
            node.cells("phandle", &[handle]);
            self.hide(machine, &mut node);
            root.child("soc").push(node);
        }
    }

    fn imsic(&mut self, part: &Part, root: &mut Node) {
        let machine = part.kind == Kind::ImsicM;
        let mut node = at("interrupt-controller", part.range());
        node.strings("compatible", &["qemu,imsics", "riscv,imsics"]);
        node.flag("interrupt-controller").flag("msi-controller").cells("#interrupt-cells", &[0]);
        let cells = self.harts(&[if machine { MEI } else { SEI }]);
        node.cells("interrupts-extended", &cells).cells("riscv,num-ids", &[self.parts.msi_ids]);
        let guest_bits = (self.parts.guests + 1).next_power_of_two().trailing_zeros();
        if !machine && guest_bits != 0 {
            node.cells("riscv,guest-index-bits", &[guest_bits]);
        }
        let handle = self.handle(if machine { "imsic-m" } else { "imsic-s" });
        node.cells("phandle", &[handle]);
        self.hide(machine, &mut node);
        root.child("soc").push(node);
    }

    /// What belongs to machine mode is not for a kernel whose machine mode is not the guest's.
    fn hide(&self, machine: bool, node: &mut Node) {
        if machine && self.facts.supervised {
            node.string("status", "disabled");
        }
    }

    fn pcie(&mut self, part: &Part, root: &mut Node) {
        let [ecam, pio, low, high] = [0, 1, 2, 3].map(|n| part.at[n]);
        let mut node = at("pci", ecam);
        node.string("compatible", "pci-host-ecam-generic").string("device_type", "pci").flag("dma-coherent");
        node.cells("#address-cells", &[3]).cells("#size-cells", &[2]).cells("#interrupt-cells", &[1]);
        node.cells("bus-range", &[0, (ecam.size >> 20) as u32 - 1]).cells("linux,pci-domain", &[0]);
        if self.parts.aia == Aia::AplicImsic {
            let files = self.handle("imsic-s");
            node.cells("msi-parent", &[files]);
        }
        // PCI Bus Binding to Open Firmware, section 2.2.1.1: I/O, 32-bit memory, 64-bit memory.
        let mut ranges = Vec::new();
        for (space, pci, window) in [(0x100_0000, 0, pio), (0x200_0000, low.base, low), (0x300_0000, high.base, high)] {
            ranges.push(space);
            ranges.extend([pci, window.base, window.size].iter().flat_map(|n| [(n >> 32) as u32, *n as u32]));
        }
        node.cells("ranges", &ranges);
        // Each slot begins with the pin after its neighbour's; four slots show all there is.
        let parent = self.controller();
        let mut map = Vec::new();
        for slot in 0..4u32 {
            for pin in 0..4u32 {
                map.extend([slot << 11, 0, 0, pin + 1, parent]);
                map.extend(self.irq(part.irqs[((slot + pin) % 4) as usize]));
            }
        }
        node.cells("interrupt-map", &map).cells("interrupt-map-mask", &[0x1800, 0, 0, 7]);
        if let Some(iommu) = self.facts.iommu {
            let handle = self.handle("iommu");
            iommu.describe(&mut node, handle);
        }
        root.child("soc").push(node);
    }

    fn cpus(&mut self, root: &mut Node) {
        let smp = self.facts.smp;
        let cpus = root.child("cpus");
        cpus.cells("#address-cells", &[1]).cells("#size-cells", &[0]).cells("timebase-frequency", &[TIMEBASE_HZ]);
        for hart in 0..smp.cpus {
            let node = self.cpu(hart);
            cpus.push(node);
        }
        let map = cpus.child("cpu-map");
        for hart in 0..smp.cpus {
            let handle = self.handle(format!("cpu{hart}"));
            let (core, thread) = (hart / smp.threads, hart % smp.threads);
            let (socket, core) = (core / smp.cores, core % smp.cores);
            // Linux, Documentation/devicetree/bindings/cpu/cpu-topology.txt: sockets may be left out, threads too.
            let top = if smp.sockets > 1 { map.child(&format!("socket{socket}")) } else { &mut *map };
            let core = top.child("cluster0").child(&format!("core{core}"));
            let leaf = if smp.threads > 1 { core.child(&format!("thread{thread}")) } else { core };
            leaf.cells("cpu", &[handle]);
        }
    }

    fn cpu(&mut self, hart: u32) -> Node {
        let isa = &self.facts.isa;
        let mut node = Node::new(format!("cpu@{hart:x}"));
        node.string("device_type", "cpu").cells("reg", &[hart]).string("status", "okay").string("compatible", "riscv");
        let extensions = extensions(isa);
        node.string("riscv,isa", isa).string("riscv,isa-base", &format!("{}i", isa.get(..4).unwrap_or("rv64")));
        node.strings("riscv,isa-extensions", &extensions);
        if let Some(mmu) = self.facts.mmu {
            node.string("mmu-type", mmu);
        }
        for (name, size) in ["cbom", "cbop", "cboz"].iter().zip(self.facts.cache_blocks).filter(|(_, size)| *size != 0)
        {
            node.cells(&format!("riscv,{name}-block-size"), &[size]);
        }
        let handle = self.handle(format!("cpu{hart}"));
        node.cells("phandle", &[handle]);
        let handle = self.handle(format!("intc{hart}"));
        let intc = node.child("interrupt-controller");
        intc.string("compatible", "riscv,cpu-intc").flag("interrupt-controller").cells("#interrupt-cells", &[1]);
        intc.cells("phandle", &[handle]);
        node
    }
}

/// The extensions in an ISA string, one by one.
fn extensions(isa: &str) -> Vec<String> {
    let mut parts = isa.split('_');
    let letters = parts.next().unwrap_or_default().get(4..).unwrap_or_default();
    letters.chars().map(String::from).chain(parts.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests;
