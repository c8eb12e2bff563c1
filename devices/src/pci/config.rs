//! The configuration space of a PCI function: header, base addresses, capabilities (PCI Local Bus 3.0, chapter 6).

use serde::{Deserialize, Serialize};
use tern_core::mem::Size;
use tern_core::snapshot::{StateError, check};

/// Length of the configuration space in bytes.
pub const LEN: usize = 4096;

/// Offsets in the header.
pub mod reg {
    #![allow(missing_docs, reason = "the specification's names")]
    pub const COMMAND: usize = 0x04;
    pub const STATUS: usize = 0x06;
    pub const HEADER_TYPE: usize = 0x0e;
    pub const BAR0: usize = 0x10;
    pub const PRIMARY: usize = 0x18;
    pub const SECONDARY: usize = 0x19;
    pub const SUBORDINATE: usize = 0x1a;
    pub const IO_BASE: usize = 0x1c;
    pub const MEMORY_BASE: usize = 0x20;
    pub const PREFETCH_BASE: usize = 0x24;
    pub const PREFETCH_BASE_HIGH: usize = 0x28;
    pub const PREFETCH_LIMIT_HIGH: usize = 0x2c;
    pub const IO_BASE_HIGH: usize = 0x30;
    pub const CAPABILITIES: usize = 0x34;
    pub const INTERRUPT_LINE: usize = 0x3c;
    pub const INTERRUPT_PIN: usize = 0x3d;
    pub const BRIDGE_CONTROL: usize = 0x3e;
}

/// Bits of the command register.
pub mod command {
    #![allow(missing_docs, reason = "the specification's names")]
    pub const IO: u16 = 1;
    pub const MEMORY: u16 = 2;
    pub const MASTER: u16 = 4;
    pub const PARITY: u16 = 0x40;
    pub const SERR: u16 = 0x100;
    pub const INTX_DISABLE: u16 = 0x400;
}

/// Status: an interrupt is asserted.
const STATUS_INTX: u8 = 8;
/// Status: there are capabilities.
const STATUS_CAPABILITIES: u8 = 0x10;
/// Where the first capability goes.
const FIRST_CAPABILITY: usize = 0x40;
/// Where extended capabilities begin.
const FIRST_EXTENDED: usize = 0x100;
/// Capability ID of PCI Express.
pub(super) const ID_EXPRESS: u8 = 0x10;

/// What a base address register decodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarKind {
    /// Ports.
    Io,
    /// Memory below 4 GiB.
    Memory32,
    /// Memory anywhere, prefetchable; takes two registers.
    Memory64,
}

/// A base address register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// Its number, 0 to 5.
    pub number: u8,
    /// What it decodes.
    pub kind: BarKind,
    /// How much, in bytes: a power of two.
    pub size: u64,
}

/// What a function says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Revision ID.
    pub revision: u8,
    /// Class code: base class, sub-class, programming interface in bits 23 to 0.
    pub class: u32,
    /// Subsystem vendor ID and subsystem ID; a bridge has none.
    pub subsystem: Option<(u16, u16)>,
}

/// What is saved of a configuration space.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigState {
    bytes: Vec<u8>,
    intx: bool,
}

/// A configuration space: bytes, which of their bits are written, and which are cleared by writing ones.
pub struct Config {
    bytes: Vec<u8>,
    new: Vec<u8>,
    write: Vec<u8>,
    clear: Vec<u8>,
    /// Bits that the function itself changes.
    volatile: Vec<u8>,
    bars: Vec<Bar>,
    free: usize,
    last: usize,
    free_extended: usize,
    last_extended: Option<usize>,
    intx: bool,
}

impl Config {
    /// The header of a function without base addresses and capabilities.
    #[must_use]
    pub fn new(identity: Identity) -> Config {
        let mut config = Config {
            bytes: vec![0; LEN],
            new: Vec::new(),
            write: vec![0; LEN],
            clear: vec![0; LEN],
            volatile: vec![0; LEN],
            bars: Vec::new(),
            free: FIRST_CAPABILITY,
            last: reg::CAPABILITIES,
            free_extended: FIRST_EXTENDED,
            last_extended: None,
            intx: false,
        };
        config.put(0x00, &identity.vendor.to_le_bytes());
        config.put(0x02, &identity.device.to_le_bytes());
        config.put(0x08, &(identity.class << 8 | u32::from(identity.revision)).to_le_bytes());
        let writable =
            command::IO | command::MEMORY | command::MASTER | command::PARITY | command::SERR | command::INTX_DISABLE;
        config.writable(reg::COMMAND, &writable.to_le_bytes());
        config.clear[reg::STATUS + 1] = 0xf9;
        // Cache line size and latency timer mean nothing here, and drivers set them.
        config.writable(0x0c, &[0xff, 0xff]);
        config.writable(reg::INTERRUPT_LINE, &[0xff]);
        match identity.subsystem {
            Some((vendor, id)) => {
                config.put(0x2c, &vendor.to_le_bytes());
                config.put(0x2e, &id.to_le_bytes());
            }
            None => config.bridge(),
        }
        config
    }

    /// Turns the header into that of a PCI-to-PCI bridge (PCI-to-PCI Bridge 1.2, 3.2): 32-bit ports, 64-bit prefetchable
    /// memory.
    fn bridge(&mut self) {
        self.put(reg::HEADER_TYPE, &[1]);
        self.writable(reg::PRIMARY, &[0xff; 4]);
        self.put(reg::IO_BASE, &[1, 1]);
        self.writable(reg::IO_BASE, &[0xf0, 0xf0]);
        self.clear[0x1f] = 0xf9;
        self.writable(reg::MEMORY_BASE, &[0xf0, 0xff, 0xf0, 0xff]);
        self.put(reg::PREFETCH_BASE, &[1, 0, 1, 0]);
        self.writable(reg::PREFETCH_BASE, &[0xf0, 0xff, 0xf0, 0xff]);
        self.writable(reg::PREFETCH_BASE_HIGH, &[0xff; 8]);
        self.writable(reg::IO_BASE_HIGH, &[0xff; 4]);
        // Parity, SERR, ISA, VGA, VGA 16-bit, bus reset.
        self.writable(reg::BRIDGE_CONTROL, &[0x5f, 0]);
    }

    /// Sets bytes that the guest sees.
    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Lets the guest write bits.
    pub fn writable(&mut self, at: usize, mask: &[u8]) {
        self.write[at..at + mask.len()].copy_from_slice(mask);
    }

    /// Lets the guest clear bits by writing ones.
    pub fn clearable(&mut self, at: usize, mask: &[u8]) {
        self.clear[at..at + mask.len()].copy_from_slice(mask);
    }

    /// Says which bits the function changes by [`Config::put`] while it runs.
    pub fn volatile(&mut self, at: usize, mask: &[u8]) {
        self.volatile[at..at + mask.len()].copy_from_slice(mask);
    }

    /// Gives the function interrupt pin 1 (INTA) to 4 (INTD).
    pub fn set_pin(&mut self, pin: u8) {
        self.put(reg::INTERRUPT_PIN, &[pin]);
    }

    /// Says that the device has several functions.
    pub fn set_multifunction(&mut self) {
        self.bytes[reg::HEADER_TYPE] |= 0x80;
        if let Some(byte) = self.new.get_mut(reg::HEADER_TYPE) {
            *byte |= 0x80;
        }
    }

    /// Adds a base address register.
    pub fn add_bar(&mut self, bar: Bar) {
        let at = reg::BAR0 + 4 * usize::from(bar.number);
        let (flags, least) = match bar.kind {
            BarKind::Io => (1u32, 4),
            BarKind::Memory32 => (0, 16),
            BarKind::Memory64 => (0xc, 16),
        };
        let mask = !(bar.size.max(least) - 1);
        self.put(at, &flags.to_le_bytes());
        self.writable(at, &(mask as u32).to_le_bytes());
        if bar.kind == BarKind::Memory64 {
            self.writable(at + 4, &((mask >> 32) as u32).to_le_bytes());
        }
        self.bars.push(bar);
    }

    /// Adds a capability with this body (what follows ID and next); its offset.  A function has room for 192 bytes.
    pub fn add_capability(&mut self, id: u8, body: &[u8]) -> usize {
        let at = self.free;
        self.free = (at + 2 + body.len()).next_multiple_of(4);
        self.put(at, &[id, 0]);
        self.put(at + 2, body);
        self.put(self.last, &[at as u8]);
        self.last = at + 1;
        self.bytes[reg::STATUS] |= STATUS_CAPABILITIES;
        at
    }

    /// Keeps capabilities out of what is before `at`: the function has registers of its own there.
    pub fn reserve(&mut self, at: usize) {
        self.free = self.free.max(at.next_multiple_of(4));
    }

    /// Adds the PCI Express capability of an endpoint (PCI Express Base 4.0, 7.5.3); its offset.
    pub fn add_express(&mut self) -> usize {
        let mut body = [0; 58];
        // Version 2, endpoint.
        body[0] = 0x02;
        // Device capabilities: role-based errors, function-level reset is not there.
        body[2..6].copy_from_slice(&0x8000u32.to_le_bytes());
        // Link capabilities and status: 2.5 GT/s, one lane.
        body[10..14].copy_from_slice(&0x11u32.to_le_bytes());
        body[16..18].copy_from_slice(&0x11u16.to_le_bytes());
        let at = self.add_capability(ID_EXPRESS, &body);
        self.writable(at + 8, &[0xff, 0x7f]);
        self.clear[at + 10] = 0x0f;
        self.writable(at + 16, &[0xfb, 0x0f]);
        at
    }

    /// Adds an extended capability (PCI Express Base 4.0, 7.6.3) with this body (what follows its header word); its offset.
    ///
    /// # Panics
    /// If there is no room left.
    pub fn add_extended(&mut self, id: u16, version: u8, body: &[u8]) -> usize {
        let at = self.free_extended;
        self.free_extended = (at + 4 + body.len()).next_multiple_of(4);
        self.put(at, &(u32::from(id) | u32::from(version) << 16).to_le_bytes());
        self.put(at + 4, body);
        if let Some(last) = self.last_extended.replace(at) {
            let word = u32::from(self.bytes[last + 2] & 0x0f) | (at as u32) << 4;
            self.put(last + 2, &(word as u16).to_le_bytes());
        }
        at
    }

    /// The function is complete: this is how it looks after reset.
    pub fn seal(&mut self) {
        self.new = self.bytes.clone();
    }

    /// As after reset.
    pub fn reset(&mut self) {
        self.bytes.clone_from(&self.new);
        self.intx = false;
    }

    /// Its base address registers.
    #[must_use]
    pub fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// A load; bytes beyond the end are ones.
    #[must_use]
    pub fn read(&self, at: usize, size: Size) -> u64 {
        (0..size.bytes() as usize).rev().fold(0, |value, n| value << 8 | u64::from(self.byte(at + n)))
    }

    fn byte(&self, at: usize) -> u8 {
        let byte = self.bytes.get(at).copied().unwrap_or(0xff);
        if at == reg::STATUS && self.intx { byte | STATUS_INTX } else { byte }
    }

    /// A store, to the bits that are writable.
    pub fn write(&mut self, at: usize, size: Size, value: u64) {
        for (n, new) in value.to_le_bytes().iter().take(size.bytes() as usize).enumerate() {
            let Some(byte) = self.bytes.get_mut(at + n) else { break };
            let (write, clear) = (self.write[at + n], self.clear[at + n]);
            *byte = (*byte & !write | new & write) & !(new & clear);
        }
    }

    /// One byte.
    #[must_use]
    pub fn byte_at(&self, at: usize) -> u8 {
        self.byte(at)
    }

    /// Two bytes.
    #[must_use]
    pub fn half(&self, at: usize) -> u16 {
        self.read(at, Size::B2) as u16
    }

    /// Four bytes.
    #[must_use]
    pub fn word(&self, at: usize) -> u32 {
        self.read(at, Size::B4) as u32
    }

    /// Are these bits of the command register set?
    #[must_use]
    pub fn enabled(&self, bits: u16) -> bool {
        self.half(reg::COMMAND) & bits == bits
    }

    /// Drives the interrupt pin.
    pub fn set_intx(&mut self, level: bool) {
        self.intx = level;
    }

    /// The level of the interrupt pin, as the command register lets it out; and the pin, 0 for INTA.
    #[must_use]
    pub fn intx(&self) -> Option<u8> {
        let pin = self.bytes[reg::INTERRUPT_PIN];
        (self.intx && !self.enabled(command::INTX_DISABLE)).then(|| pin.checked_sub(1)).flatten()
    }

    /// Is it a bridge?
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        self.bytes[reg::HEADER_TYPE] & 0x7f == 1
    }

    /// Where a base address register decodes, if it does.  What reaches the end of its address space is being sized.
    #[must_use]
    pub fn address(&self, bar: &Bar) -> Option<u64> {
        let at = reg::BAR0 + 4 * usize::from(bar.number);
        let low = u64::from(self.word(at));
        let (enable, base, end) = match bar.kind {
            BarKind::Io => (command::IO, low & !3, 1 << 16),
            BarKind::Memory32 => (command::MEMORY, low & !15, u64::from(u32::MAX)),
            BarKind::Memory64 => (command::MEMORY, u64::from(self.word(at + 4)) << 32 | low & !15, u64::MAX),
        };
        let fits = base != 0 && base.checked_add(bar.size).is_some_and(|last| last <= end);
        (self.enabled(enable) && fits).then_some(base)
    }

    /// Does a bridge pass this range of the bar's kind on to its other side?  (PCI-to-PCI Bridge 1.2, chapter 4)
    #[must_use]
    pub fn forwards(&self, kind: BarKind, base: u64, size: u64) -> bool {
        let last = base.saturating_add(size - 1);
        let (low, high) = (u64::from(self.bytes[reg::IO_BASE]), u64::from(self.bytes[reg::IO_BASE + 1]));
        let io_base = low >> 4 << 12 | u64::from(self.half(reg::IO_BASE_HIGH)) << 16;
        let io_last = high >> 4 << 12 | u64::from(self.half(reg::IO_BASE_HIGH + 2)) << 16 | 0xfff;
        let span = |at: usize| {
            let (base, last) = (u64::from(self.half(at)), u64::from(self.half(at + 2)));
            (base >> 4 << 20, last >> 4 << 20 | 0xf_ffff)
        };
        let memory = span(reg::MEMORY_BASE);
        let (low, high) = span(reg::PREFETCH_BASE);
        let up = |at: usize| u64::from(self.word(at)) << 32;
        let prefetch = (low | up(reg::PREFETCH_BASE_HIGH), high | up(reg::PREFETCH_LIMIT_HIGH));
        let inside = |(from, to): (u64, u64)| from <= base && last <= to;
        match kind {
            BarKind::Io => self.enabled(command::IO) && inside((io_base, io_last)),
            _ => self.enabled(command::MEMORY) && (inside(memory) || inside(prefetch)),
        }
    }

    /// What is saved.
    #[must_use]
    pub fn save(&self) -> ConfigState {
        ConfigState { bytes: self.bytes.clone(), intx: self.intx }
    }

    /// Can this space look so?
    ///
    /// # Errors
    /// Another function's configuration space.
    pub fn check(&self, state: &ConfigState) -> Result<(), StateError> {
        check(state.bytes.len() == LEN, "configuration space", || format!("{} bytes", state.bytes.len()))?;
        for (at, (byte, saved)) in self.new.iter().zip(&state.bytes).enumerate() {
            let fixed = !(self.write[at] | self.clear[at] | self.volatile[at]);
            check((byte ^ saved) & fixed == 0, "configuration space", || format!("byte {at:#x} is {saved:#x}"))?;
        }
        Ok(())
    }

    /// Takes on what [`Config::check`] has found good.
    pub fn load(&mut self, state: ConfigState) {
        self.bytes = state.bytes;
        self.intx = state.intx;
    }
}
