//! Parts of boards.  A board is a list of them: the address space, the devices, their wires and the device tree all derive
//! from that list.

use crate::config::Aia;

/// A stretch of the physical address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First address.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
}

impl Range {
    /// From `base` on.
    #[must_use]
    pub const fn new(base: u64, size: u64) -> Range {
        Range { base, size }
    }

    /// The address after the last one.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.base + self.size
    }
}

/// What a part is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// RAM.
    Ram,
    /// ROM with the first instructions.
    Rom,
    /// SiFive's test finisher.
    Test,
    /// Goldfish real-time clock.
    Rtc,
    /// SiFive's CLINT.
    Clint,
    /// ACLINT: machine-level software interrupts.
    Mswi,
    /// ACLINT: machine-level timers.
    Mtimer,
    /// ACLINT: supervisor-level software interrupts.
    Sswi,
    /// SiFive's PLIC.
    Plic,
    /// APLIC: a machine-level domain and a supervisor-level one.
    Aplic,
    /// Interrupt files, machine-level.
    ImsicM,
    /// Interrupt files, supervisor-level.
    ImsicS,
    /// 16550 serial port.
    Uart,
    /// A slot for a virtio device.
    Virtio(u32),
    /// QEMU's firmware configuration.
    FwCfg,
    /// Two banks of CFI flash.
    Flash,
    /// PCI Express host bridge: configuration space, I/O ports, memory below and above 4 GiB.
    Pcie,
    /// A bus for devices that are added; empty.
    PlatformBus,
    /// Host-target interface, at addresses that the program has or the board gives.
    Htif,
}

/// A part in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Where it is; most parts have one window.
    pub at: Vec<Range>,
    /// Its inputs of the board's interrupt controller.
    pub irqs: Vec<u32>,
}

impl Part {
    /// A part with one window and no interrupt.
    #[must_use]
    pub fn new(kind: Kind, at: Range) -> Part {
        Part { kind, at: vec![at], irqs: Vec::new() }
    }

    /// With an interrupt.
    #[must_use]
    pub fn irq(mut self, irq: u32) -> Part {
        self.irqs.push(irq);
        self
    }

    /// Its first window.
    #[must_use]
    pub fn range(&self) -> Range {
        self.at[0]
    }
}

/// The list of a board's parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts {
    /// All of them.
    pub list: Vec<Part>,
    /// Which interrupt controllers they make.
    pub aia: Aia,
    /// Sources of the wired interrupt controller, from 1 on.
    pub sources: u32,
    /// Identities of an interrupt file.
    pub msi_ids: u32,
    /// Guest interrupt files of a hart.
    pub guests: u32,
}

impl Parts {
    /// The first part of a kind.
    #[must_use]
    pub fn find(&self, kind: Kind) -> Option<&Part> {
        self.list.iter().find(|p| p.kind == kind)
    }

    /// Where a part is that every board has, or that this list has been seen to have.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn range(&self, kind: Kind) -> Range {
        self.find(kind).unwrap_or_else(|| panic!("the board has a {kind:?}")).range()
    }
}

/// Ticks of `time` in a second, on all boards.
pub const TIMEBASE_HZ: u32 = 10_000_000;
/// Nanoseconds of a tick.
pub const TICK_NS: u64 = 1_000_000_000 / TIMEBASE_HZ as u64;
