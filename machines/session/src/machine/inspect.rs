//! What control surfaces do to a machine between runs: memory, devices, lines, time, registers.

use super::Machine;
use std::any::Any;
use tern_core::device::{Bus as _, Device};
use tern_core::frontend::HelperCx;
use tern_core::mem::{Access, GuestMemory, MemFault, PAGE_MASK, PAGE_SIZE, Size};
use tern_core::state::State;
use tern_core::system::{Flush, System, Virtual};
use tern_core::time::Owner;

/// An input pin of the watched device has a new level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineEvent {
    /// The pin.
    pub pin: u32,
    /// Its level.
    pub level: bool,
}

/// Physical memory of a machine, devices included.
pub struct Physical<'a>(&'a mut Machine);

impl Physical<'_> {
    /// A load as by a CPU; 0 where nothing is, or `None`.
    pub fn load(&mut self, addr: u64, size: Size) -> Option<u64> {
        let machine = &mut *self.0;
        if !matches!(machine.tape, super::Tape::None) {
            // A look at a device's register may change it, and no log has that.
            return None;
        }
        machine.fabric.now(machine.fabric.position.base);
        let value = machine.fabric.load(addr, size).ok();
        machine.settle();
        value
    }

    /// A store as by a CPU; false where nothing is.
    pub fn store(&mut self, addr: u64, size: Size, value: u64) -> bool {
        let machine = &mut *self.0;
        if !matches!(machine.tape, super::Tape::None) {
            return false;
        }
        machine.fabric.now(machine.fabric.position.base);
        let done = machine.fabric.store(addr, size, value).is_ok();
        machine.settle();
        done
    }

    /// Copies out; devices are read in the widest aligned accesses, at most 4 bytes wide.
    pub fn read(&mut self, addr: u64, buf: &mut [u8]) -> bool {
        let mut whole = true;
        self.pieces(addr, buf.len(), |memory, at, from, len| {
            let piece = &mut buf[from..from + len];
            if memory.0.fabric.space.read(at, piece).is_ok() {
                return;
            }
            let mut done = 0;
            while done < len {
                let size = widest(at + done as u64, len - done);
                let n = size.bytes() as usize;
                let value = memory.load(at + done as u64, size);
                whole &= value.is_some();
                piece[done..done + n].copy_from_slice(&value.unwrap_or(0).to_le_bytes()[..n]);
                done += n;
            }
        });
        whole
    }

    /// Copies in, likewise.
    pub fn write(&mut self, addr: u64, bytes: &[u8]) -> bool {
        let mut whole = true;
        self.pieces(addr, bytes.len(), |memory, at, from, len| {
            let piece = &bytes[from..from + len];
            if memory.0.fabric.space.write(at, piece).is_ok() {
                return;
            }
            let mut done = 0;
            while done < len {
                let size = widest(at + done as u64, len - done);
                let n = size.bytes() as usize;
                let mut value = [0; 8];
                value[..n].copy_from_slice(&piece[done..done + n]);
                whole &= memory.store(at + done as u64, size, u64::from_le_bytes(value));
                done += n;
            }
        });
        whole
    }

    /// Calls `f` for each page's piece of a range: address, offset in the range, length.
    fn pieces(&mut self, addr: u64, len: usize, mut f: impl FnMut(&mut Self, u64, usize, usize)) {
        let mut done = 0;
        while done < len {
            let at = addr.wrapping_add(done as u64);
            let n = ((PAGE_SIZE - (at & PAGE_MASK)) as usize).min(len - done);
            f(self, at, done, n);
            done += n;
        }
    }
}

/// The widest aligned access of at most 4 bytes at an address.
fn widest(addr: u64, len: usize) -> Size {
    match (addr & 3, len) {
        (0, 4..) => Size::B4,
        (0 | 2, 2..) => Size::B2,
        _ => Size::B1,
    }
}

impl Machine {
    /// Delivers what devices have signalled, and shows CPUs their inputs.
    pub fn settle(&mut self) {
        self.fabric.settle();
        self.apply();
    }

    /// Takes what a device has asked for of the whole machine.
    pub fn request(&mut self) -> Option<super::Ended> {
        self.requested()
    }

    /// Physical memory, devices included.
    pub fn physical(&mut self) -> Physical<'_> {
        Physical(self)
    }

    /// Device number `number`, if it is a `T`; [`Machine::settle`] is to be called afterwards.
    pub fn device_as<T: Device>(&mut self, number: u32) -> Option<&mut T> {
        let device: &mut dyn Any = &mut **self.fabric.device(number)?;
        device.downcast_mut()
    }

    /// Calls device number `number`, and delivers what it signals.
    pub fn with_device<T>(&mut self, number: u32, f: impl FnOnce(&mut dyn Device) -> T) -> Option<T> {
        self.fabric.now(self.fabric.position.base);
        let value = f(&mut **self.fabric.device(number)?);
        self.settle();
        Some(value)
    }

    /// Takes device number `number` out of its place.
    pub fn remove_device(&mut self, number: u32) {
        if let Some(part) = self.fabric.parts.get_mut(number as usize) {
            *part = None;
        }
        self.fabric.queue.cancel_all(Owner::Device(number));
    }

    /// The devices in their places: number, name, device.
    pub fn devices(&self) -> impl Iterator<Item = (u32, &str, &dyn Device)> {
        let parts = (0..).zip(&self.fabric.parts);
        parts.filter_map(|(n, p)| p.as_ref().map(|p| (n, p.name.as_str(), &*p.device)))
    }

    /// The number of the device with this name.
    #[must_use]
    pub fn device_named(&self, name: &str) -> Option<u32> {
        self.devices().find(|(_, n, _)| *n == name).map(|(number, ..)| number)
    }

    /// From now on the input pins of device number `number` are not driven: what would drive them is kept for
    /// [`Machine::take_line_events`].
    pub fn watch_lines(&mut self, number: u32) {
        self.fabric.watched = Some(number);
    }

    /// What drove the watched pins.
    pub fn take_line_events(&mut self) -> Vec<LineEvent> {
        core::mem::take(&mut self.fabric.seen)
    }

    /// Drives an input pin of a device.
    pub fn set_pin(&mut self, number: u32, pin: u32, level: bool) {
        let _ = self.with_device(number, |d| d.pin(pin, level));
    }

    /// Lets guest time pass until `to` (nanoseconds) with no CPU running: events happen in their order, each at its time.
    /// Time that follows the host's clock passes by itself: nothing happens.
    pub fn pass_time(&mut self, to: u64) {
        if self.fabric.position.ns(self.fabric.position.base).is_none() {
            return;
        }
        while let Some(at) = self.fabric.queue.next().filter(|at| *at <= to) {
            self.skip_to(at);
            self.events();
            self.apply();
            if at == u64::MAX {
                // Time has come to its end; what is due then would be due for ever.
                break;
            }
        }
        self.skip_to(to);
    }

    fn skip_to(&mut self, to: u64) {
        let fabric = &mut self.fabric;
        let now = fabric.now(fabric.position.base);
        fabric.position.skip(to.saturating_sub(now));
        fabric.now(fabric.position.base);
    }

    /// When the next event is due, in nanoseconds of guest time.
    #[must_use]
    pub fn next_event(&self) -> Option<u64> {
        self.fabric.queue.next()
    }

    /// Looks at the world outside and hands over what it has; nothing else happens.
    pub fn exchange(&mut self) {
        self.fabric.outside.poll();
        // While a log is written or replayed, all input comes where the machine itself looks for it.
        if matches!(self.tape, super::Tape::None) {
            self.take_in();
        }
        self.apply();
    }

    /// Waits for the world outside, at most this many nanoseconds.
    pub fn wait(&mut self, timeout_ns: Option<u64>) {
        self.fabric.outside.wait(timeout_ns);
    }

    /// What somebody outside wants.
    pub fn control(&mut self) -> Option<super::Control> {
        self.fabric.outside.control()
    }

    /// The host's clock stood while the machine did.
    pub fn resume_clock(&mut self) {
        let elapsed = self.fabric.queue.now();
        self.fabric.position.host_zero = self.fabric.outside.now().saturating_sub(elapsed);
    }

    /// A CPU's registers, to be changed.
    pub fn state_mut(&mut self, cpu: usize) -> &mut State {
        let id = self.harts[cpu].cpu;
        self.engine.forget(id, Flush::All);
        self.engine.state_mut(id)
    }

    /// Instructions that a CPU has retired.
    #[must_use]
    pub fn icount(&self, cpu: usize) -> u64 {
        self.engine.icount(self.harts[cpu].cpu)
    }

    /// The privileged side of a CPU's model.
    #[must_use]
    pub fn privileged(&self) -> &dyn System {
        self.frontend.system().expect("looked at when the machine was made")
    }

    /// Reads or writes a control register of a CPU: see [`System::control_register`].
    pub fn control_register(&mut self, cpu: usize, number: u32, write: Option<u64>) -> Option<u64> {
        let id = self.harts[cpu].cpu;
        let icount = self.engine.icount(id);
        // As at the start of a slice of this CPU.
        (self.fabric.current, self.fabric.position.base) = (cpu as u32, icount);
        let system = self.frontend.system().expect("looked at when the machine was made");
        let (state, platform) = (self.engine.state_mut(id), &mut self.fabric);
        let mut cx = HelperCx { state, platform, system: Some(system), flush: Flush::None, icount };
        let value = system.control_register(&mut cx, number, write);
        let flush = cx.flush;
        self.engine.forget(id, flush);
        self.settle();
        value
    }

    /// The physical address of a virtual one, as a CPU's loads would translate it.
    pub fn translate(&mut self, cpu: usize, addr: u64) -> Option<u64> {
        let state = self.engine.state(self.harts[cpu].cpu);
        let system = self.frontend.system()?;
        system.walk(state, &mut self.fabric, addr, Access::Load, 0).ok().map(|m| m.phys)
    }

    /// See [`System::mappings`].
    pub fn mappings(&mut self, cpu: usize) -> Option<Vec<tern_core::system::Mapped>> {
        let state = self.engine.state(self.harts[cpu].cpu);
        self.frontend.system()?.mappings(state, &mut self.fabric)
    }

    /// Copies memory out at a virtual address of a CPU, as its loads would see it.
    ///
    /// # Errors
    /// The first address that is not mapped.
    pub fn read_virtual(&mut self, cpu: usize, addr: u64, buf: &mut [u8]) -> Result<(), MemFault> {
        let mut done = 0;
        while done < buf.len() {
            let at = addr.wrapping_add(done as u64);
            let n = ((PAGE_SIZE - (at & PAGE_MASK)) as usize).min(buf.len() - done);
            let state = self.engine.state(self.harts[cpu].cpu);
            let mut memory = Virtual { system: self.frontend.system(), state, platform: &mut self.fabric };
            let page = memory.page(at, Access::Load, 0)?;
            let part = page.span.sub((at & PAGE_MASK) as usize, n);
            if !part.is_some_and(|part| part.read(0, &mut buf[done..done + n])) {
                let fault = MemFault { addr: at, access: Access::Load, kind: tern_core::mem::FaultKind::Unmapped };
                return Err(fault);
            }
            done += n;
        }
        Ok(())
    }
}
