//! Devices: data plus methods.  A device gets what it may touch as handles when it is built ([`Kit`], lines, backends), and
//! knows no thread, host clock or OS.
//!
//! Its registers are rows ([`regs`]); its state is one plain struct that it saves and loads.  The machine calls it for
//! accesses, pins, events and input, one call at a time, and delivers afterwards what it has signalled ([`wire`]).

pub mod dma;
pub mod iommu;
pub mod regs;
pub mod wire;

pub use dma::{Bus, BusError, Dma, Mapper};
pub use iommu::Iommu;
pub use regs::{Access, RegisterSet, Row, Widths};
pub use wire::{IrqLine, Messenger, Request, Signal, Sink, Wires};

use crate::engine::Event;
use crate::mem::Size;
use crate::snapshot::StateError;
use crate::time::Clock;
use core::fmt;
use std::cell::Cell;
use std::rc::Rc;

/// Where guest mistakes and missing features of a device are counted and logged.
#[derive(Clone)]
pub struct Reporter(Rc<Report>);

struct Report {
    part: String,
    guest_errors: Cell<u64>,
    unimplemented: Cell<u64>,
    sink: Box<dyn Fn(Event, fmt::Arguments<'_>)>,
}

impl Reporter {
    /// For the part with this name; `sink` gets whole lines.
    #[must_use]
    pub fn new(part: impl Into<String>, sink: impl Fn(Event, fmt::Arguments<'_>) + 'static) -> Reporter {
        let (guest_errors, unimplemented) = (Cell::new(0), Cell::new(0));
        Reporter(Rc::new(Report { part: part.into(), guest_errors, unimplemented, sink: Box::new(sink) }))
    }

    /// The part's name.
    #[must_use]
    pub fn part(&self) -> &str {
        &self.0.part
    }

    /// The guest did something that the device's manual forbids or leaves undefined.
    pub fn guest_error(&self, text: fmt::Arguments<'_>) {
        self.0.guest_errors.set(self.0.guest_errors.get() + 1);
        (self.0.sink)(Event::GuestError, format_args!("{}: {text}", self.0.part));
    }

    /// The guest asked for something that tern has not built.
    pub fn unimplemented(&self, text: fmt::Arguments<'_>) {
        self.0.unimplemented.set(self.0.unimplemented.get() + 1);
        (self.0.sink)(Event::Unimplemented, format_args!("{}: {text}", self.0.part));
    }

    /// How many of both were counted.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.0.guest_errors.get(), self.0.unimplemented.get())
    }
}

/// What every device is built with.
#[derive(Clone)]
pub struct Kit {
    /// Time and events.
    pub clock: Clock,
    /// Memory.
    pub dma: Dma,
    /// Message-signalled interrupts and requests to the machine.
    pub messenger: Messenger,
    /// Moves the device's own windows in the memory map (PCI bars).
    pub mapper: Mapper,
    /// Counts and logs.
    pub report: Reporter,
}

/// A window of a device in the memory map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// Its name in `info mtree`.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A device of a machine.  Values of accesses are numbers: byte n of memory is bits 8n to 8n+7, and a device whose
/// registers are big-endian says so in its register table.
pub trait Device: core::any::Any {
    /// The type's name, as in `tern list devices`.
    fn kind(&self) -> &'static str;

    /// Its windows; accesses name them by index.
    fn windows(&self) -> Vec<Window> {
        Vec::new()
    }

    /// A load of `size` at `offset` of window `window`.
    fn read(&mut self, window: u32, offset: u64, size: Size) -> u64;

    /// A store.
    fn write(&mut self, window: u32, offset: u64, size: Size, value: u64);

    /// Input pin `pin` has the new level `level`.
    fn pin(&mut self, pin: u32, level: bool) {
        let _ = (pin, level);
    }

    /// Event `token` of its [`Clock`] is due.
    fn event(&mut self, token: u32) {
        let _ = token;
    }

    /// How many bytes (a serial port) or frames (a network device, 1 if it has room for any) backend `port` may hand over
    /// now.
    fn room(&mut self, port: u32) -> usize {
        let _ = port;
        0
    }

    /// Backend `port` hands over bytes, or one frame; at most what there is room for.
    fn receive(&mut self, port: u32, data: &[u8]) {
        let _ = (port, data);
    }

    /// Something about backend `port` changed (a medium's size, a carrier); the device looks.
    fn changed(&mut self, port: u32) {
        let _ = port;
    }

    /// Access by CPU `cpu` to a register that lies in this device: see [`crate::engine::Platform::cpu_register`].
    fn cpu_register(&mut self, cpu: u32, register: u32, write: Option<(u64, u64)>) -> Option<u64> {
        let _ = (cpu, register, write);
        None
    }

    /// Back to the state of a new device; its lines too.
    fn reset(&mut self);

    /// Its state.
    ///
    /// # Errors
    /// A state that cannot be encoded.
    fn save(&self) -> Result<Vec<u8>, StateError>;

    /// Takes a saved state on.  It does not touch lines, events or backends: those are restored by their owners.
    ///
    /// # Errors
    /// A state that is not one of this device; it is then as before.
    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError>;
}
