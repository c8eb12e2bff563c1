//! What CPUs reach besides themselves: memory, devices, wires, time.

use super::ClockMode;
use tern_core::device::{Device, Messenger, Request, Signal, Sink, Wires};
use tern_core::engine::{Event, Platform};
use tern_core::mem::space::AddressSpace;
use tern_core::mem::{Access, GuestMemory, MemFault, PageRef, Size};
use tern_core::time::{EventQueue, Owner};

/// Signals that may follow from one access; more is a circle of devices.
const MOST_SIGNALS: u32 = 100_000;

/// A device in its place.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) device: Box<dyn Device>,
}

/// A change of a CPU's interrupt input that the CPU has not seen yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LineChange {
    pub(super) cpu: u32,
    pub(super) line: u32,
    pub(super) level: bool,
}

/// Where a machine is in guest time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) mode: ClockMode,
    /// Instructions that all CPUs retired before the current slice.
    pub(super) retired: u64,
    /// The running CPU's own count at the start of the slice.
    pub(super) base: u64,
    /// Nanoseconds in which no CPU had anything to do.
    pub(super) skipped: u64,
    /// Host time at guest time 0, if guest time follows it.
    pub(super) host_zero: u64,
}

impl Position {
    /// Guest time when the running CPU has retired `icount` instructions.
    pub(super) fn ns(&self, icount: u64) -> Option<u64> {
        match self.mode {
            ClockMode::Host => None,
            ClockMode::Instructions { shift } => {
                let retired = self.retired + icount.wrapping_sub(self.base);
                Some((retired << shift).wrapping_add(self.skipped))
            }
        }
    }

    /// So many nanoseconds pass with no CPU running.  Time comes to its end in 584 years, and then stands.
    pub(super) fn skip(&mut self, ns: u64) {
        self.skipped = self.skipped.saturating_add(ns);
    }
}

/// The fabric of a machine.
pub(super) struct Fabric {
    pub(super) space: AddressSpace,
    pub(super) parts: Vec<Option<Part>>,
    pub(super) queue: EventQueue,
    pub(super) wires: Wires,
    pub(super) messenger: Messenger,
    pub(super) position: Position,
    pub(super) outside: Box<dyn super::Outside>,
    /// The CPU that runs.
    pub(super) current: u32,
    pub(super) changes: Vec<LineChange>,
    /// The device whose input pins are watched, and what they did.
    pub(super) watched: Option<u32>,
    pub(super) seen: Vec<super::LineEvent>,
    pub(super) requests: Vec<Request>,
    pub(super) guest_errors: u64,
    pub(super) unimplemented: u64,
    pub(super) report: super::ReportSink,
}

impl Fabric {
    /// Guest time at the running CPU's position `icount`.
    pub(super) fn now(&mut self, icount: u64) -> u64 {
        let now = match self.position.ns(icount) {
            Some(ns) => ns,
            None => self.outside.now().saturating_sub(self.position.host_zero),
        };
        self.queue.set_now(now);
        self.queue.now()
    }

    pub(super) fn device(&mut self, number: u32) -> Option<&mut Box<dyn Device>> {
        part(&mut self.parts, number)
    }

    /// Delivers what devices have signalled.
    pub(super) fn settle(&mut self) {
        for _ in 0..MOST_SIGNALS {
            let Some(signal) = self.wires.take() else { return };
            match signal {
                Signal::Level(Sink::Open, _) => {}
                Signal::Level(Sink::Device { device, pin }, level) => {
                    if self.watched == Some(device) {
                        self.seen.push(super::LineEvent { pin, level });
                        continue;
                    }
                    if let Some(device) = self.device(device) {
                        device.pin(pin, level);
                    }
                }
                Signal::Level(Sink::Cpu { cpu, line }, level) => self.changes.push(LineChange { cpu, line, level }),
                Signal::Message { addr, data } => self.message(addr, data),
                Signal::Request(request) => self.requests.push(request),
            }
        }
        self.event(Event::GuestError, format_args!("devices signal each other in a circle; the rest is dropped"));
        while self.wires.take().is_some() {}
    }

    /// A message-signalled interrupt.
    fn message(&mut self, addr: u64, data: u32) {
        if self.store(addr, Size::B4, u64::from(data)).is_err() {
            self.event(Event::GuestError, format_args!("message {data:#x} to {addr:#x}, where nothing is"));
        }
    }

    pub(super) fn load(&mut self, addr: u64, size: Size) -> Result<u64, MemFault> {
        let Fabric { space, parts, .. } = self;
        space.load(addr, size, &mut |a| part(parts, a.device).map_or(0, |d| d.read(a.window, a.offset, a.size)))
    }

    pub(super) fn store(&mut self, addr: u64, size: Size, value: u64) -> Result<(), MemFault> {
        let Fabric { space, parts, .. } = self;
        space.store(addr, size, value, &mut |a, bits| {
            if let Some(device) = part(parts, a.device) {
                device.write(a.window, a.offset, a.size, bits);
            }
        })
    }

    fn missing(&mut self, fault: MemFault, addr: u64, size: Size) -> MemFault {
        let what = if fault.access == Access::Store { "store" } else { "load" };
        self.event(
            Event::GuestError,
            format_args!("{}-byte {what} at physical address {addr:#x}, where nothing is", size.bytes()),
        );
        fault
    }
}

/// The device in place `number`.
fn part(parts: &mut [Option<Part>], number: u32) -> Option<&mut Box<dyn Device>> {
    parts.get_mut(number as usize).and_then(Option::as_mut).map(|p| &mut p.device)
}

impl GuestMemory for Fabric {
    fn page(&mut self, addr: u64, access: Access, _mode: u8) -> Result<PageRef, MemFault> {
        self.space.page(addr, access)
    }

    fn generation(&self) -> u64 {
        self.space.generation()
    }

    fn set_code(&mut self, phys: u64, code: bool) {
        self.space.set_code(phys, code);
    }

    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        self.space.take_invalidated(pages);
    }

    fn device_load(&mut self, addr: u64, _mode: u8, size: Size) -> Result<u64, MemFault> {
        let value = self.load(addr, size);
        self.settle();
        value.map_err(|fault| self.missing(fault, addr, size))
    }

    fn device_store(&mut self, addr: u64, _mode: u8, size: Size, value: u64) -> Result<(), MemFault> {
        let done = self.store(addr, size, value);
        self.settle();
        done.map_err(|fault| self.missing(fault, addr, size))
    }
}

impl Platform for Fabric {
    fn at(&mut self, icount: u64) {
        self.now(icount);
    }

    fn time_ns(&mut self, icount: u64) -> u64 {
        self.now(icount)
    }

    fn event(&mut self, event: Event, text: core::fmt::Arguments<'_>) {
        match event {
            Event::GuestError => self.guest_errors += 1,
            Event::Unimplemented => self.unimplemented += 1,
        }
        (self.report)(event, text);
    }

    fn set_timer(&mut self, timer: u32, at_ns: Option<u64>) {
        let owner = Owner::Cpu(self.current);
        self.changes.push(LineChange { cpu: self.current, line: timer, level: false });
        match at_ns {
            Some(at) => self.queue.schedule(owner, timer, at),
            None => self.queue.cancel(owner, timer),
        }
    }

    fn cpu_register(&mut self, register: u32, write: Option<(u64, u64)>) -> Option<u64> {
        let cpu = self.current;
        let value = self.parts.iter_mut().flatten().find_map(|p| p.device.cpu_register(cpu, register, write));
        self.settle();
        value
    }
}
