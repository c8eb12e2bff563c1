//! QEMU's educational device: factorials, DMA, interrupts (QEMU, docs/specs/edu.rst).

use crate::catalogue::Class;
use crate::model::{Build, Model, Prop, PropKind};
use crate::pci::config::{ConfigState, command};
use crate::pci::{Bar, BarKind, Config, Identity, Msi, PciFunction};
use serde::{Deserialize, Serialize};
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "edu";

/// The device's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Misc,
    about: "educational device: factorials, DMA, interrupts (QEMU edu.rst)",
    parents: &[],
    props: &[Prop::new("dma_mask", PropKind::Number(64, 0x0fff_ffff), "address bits that DMA has")],
    bus: None,
    build: Build::Pci(|kit, wants| Ok(Box::new(Edu::new(kit, wants.props.number("dma_mask"))))),
}];

/// Identification: version 1.0.
const ID: u64 = 0x0100_00ed;
/// Status: a factorial is being computed.
const COMPUTING: u32 = 0x01;
/// Status: an interrupt follows.
const STATUS_INTERRUPT: u32 = 0x80;
/// Interrupt reasons.
const REASON_FACTORIAL: u32 = 0x001;
const REASON_DMA: u32 = 0x100;
/// DMA commands.
const DMA_RUN: u64 = 1;
const DMA_TO_RAM: u64 = 2;
const DMA_INTERRUPT: u64 = 4;
/// The device's own memory, as its DMA engine addresses it.
const BUFFER: u64 = 0x4_0000;
const BUFFER_SIZE: usize = 4096;
/// How long a factorial and a transfer take.
const FACTORIAL_NS: u64 = 10_000;
const DMA_NS: u64 = 100_000_000;
/// Events.
const EVENT_FACTORIAL: u32 = 0;
const EVENT_DMA: u32 = 1;

registers! {
    static REGS: Edu, "edu", sizes [4, 8];
    0x00 IDENTIFICATION 4 ro reset 0x0100_00ed, "edu.rst MMIO", read |_, _| ID;
    0x04 LIVENESS 4 rw reset 0, "edu.rst MMIO", read |d, _| u64::from(d.state.liveness),
        write |d, _, v| d.state.liveness = !(v as u32);
    0x08 FACTORIAL 4 rw reset 0, "edu.rst MMIO", read |d, _| u64::from(d.state.factorial),
        write |d, _, v| d.compute(v as u32);
    0x20 STATUS 4 rw reset 0, "edu.rst MMIO", read |d, _| u64::from(d.state.status),
        write |d, _, v| d.state.status = d.state.status & COMPUTING | v as u32 & STATUS_INTERRUPT;
    0x24 INTERRUPT_STATUS 4 ro reset 0, "edu.rst MMIO", read |d, _| u64::from(d.state.reasons);
    0x60 RAISE 4 wo, "edu.rst MMIO", write |d, _, v| d.raise(v as u32);
    0x64 ACKNOWLEDGE 4 wo, "edu.rst MMIO", write |d, _, v| d.acknowledge(v as u32);
    0x80 DMA_SOURCE 8 rw reset 0, "edu.rst MMIO", read |d, _| d.state.source, write |d, _, v| d.set(|s| s.source = v);
    0x88 DMA_DESTINATION 8 rw reset 0, "edu.rst MMIO", read |d, _| d.state.destination,
        write |d, _, v| d.set(|s| s.destination = v);
    0x90 DMA_COUNT 8 rw reset 0, "edu.rst MMIO", read |d, _| d.state.count, write |d, _, v| d.set(|s| s.count = v);
    0x98 DMA_COMMAND 8 rw reset 0, "edu.rst MMIO", read |d, _| d.state.command, write |d, _, v| d.command(v);
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    liveness: u32,
    factorial: u32,
    status: u32,
    reasons: u32,
    source: u64,
    destination: u64,
    count: u64,
    command: u64,
    buffer: Vec<u8>,
}

impl State {
    fn new() -> State {
        State {
            liveness: 0,
            factorial: 0,
            status: 0,
            reasons: 0,
            source: 0,
            destination: 0,
            count: 0,
            command: 0,
            buffer: vec![0; BUFFER_SIZE],
        }
    }
}

/// The device.
pub struct Edu {
    kit: Kit,
    config: Config,
    msi: Msi,
    dma_mask: u64,
    state: State,
}

impl Edu {
    /// A new one whose DMA reaches the addresses in `dma_mask`.
    #[must_use]
    pub fn new(kit: Kit, dma_mask: u64) -> Edu {
        let subsystem = Some((0x1af4, 0x1100));
        let mut config =
            Config::new(Identity { vendor: 0x1234, device: 0x11e8, revision: 0x10, class: 0x00_ff00, subsystem });
        config.set_pin(1);
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: 1 << 20 });
        let msi = Msi::new(&mut config);
        config.seal();
        Edu { kit, config, msi, dma_mask, state: State::new() }
    }

    fn compute(&mut self, n: u32) {
        if self.state.status & COMPUTING == 0 {
            self.state.factorial = n;
            self.state.status |= COMPUTING;
            self.kit.clock.schedule(EVENT_FACTORIAL, self.kit.clock.now().saturating_add(FACTORIAL_NS));
        }
    }

    /// The factorial modulo 2^32, which is 0 from 34 on.
    fn computed(&mut self) {
        if self.state.status & COMPUTING == 0 {
            return;
        }
        self.state.factorial = (1..=self.state.factorial.min(34)).fold(1, u32::wrapping_mul);
        self.state.status &= !COMPUTING;
        if self.state.status & STATUS_INTERRUPT != 0 {
            self.raise(REASON_FACTORIAL);
        }
    }

    fn raise(&mut self, reasons: u32) {
        self.state.reasons |= reasons;
        if self.state.reasons != 0 && self.msi.enabled(&self.config) {
            self.msi.notify(&mut self.config, &self.kit.messenger);
        }
        self.pin();
    }

    fn acknowledge(&mut self, reasons: u32) {
        self.state.reasons &= !reasons;
        self.pin();
    }

    fn pin(&mut self) {
        let level = self.state.reasons != 0 && !self.msi.enabled(&self.config);
        self.config.set_intx(level);
    }

    /// Sets a register of the DMA engine, unless it is at work.
    fn set(&mut self, f: impl FnOnce(&mut State)) {
        if self.state.command & DMA_RUN == 0 {
            f(&mut self.state);
        }
    }

    fn command(&mut self, command: u64) {
        if self.state.command & DMA_RUN == 0 && command & DMA_RUN != 0 {
            self.state.command = command;
            self.kit.clock.schedule(EVENT_DMA, self.kit.clock.now().saturating_add(DMA_NS));
        }
    }

    /// The part of the buffer from an address of the DMA engine on.
    fn part(&self, at: u64) -> Option<core::ops::Range<usize>> {
        let from = at.checked_sub(BUFFER)?;
        let end = from.checked_add(self.state.count).filter(|end| *end <= BUFFER_SIZE as u64)?;
        Some(from as usize..end as usize)
    }

    fn transfer(&mut self) {
        let to_ram = self.state.command & DMA_TO_RAM != 0;
        let (inside, outside) = if to_ram {
            (self.state.source, self.state.destination)
        } else {
            (self.state.destination, self.state.source)
        };
        let report = &self.kit.report;
        let Some(part) = self.part(inside) else {
            return report.guest_error(format_args!("DMA of {:#x} bytes at {inside:#x} misses the buffer", self.state.count));
        };
        if !self.config.enabled(command::MASTER) {
            return report.guest_error(format_args!("DMA without bus mastering"));
        }
        let address = outside & self.dma_mask;
        if address != outside {
            report.guest_error(format_args!("DMA address {outside:#x} is cut to {address:#x}"));
        }
        let buffer = &mut self.state.buffer[part];
        let done = if to_ram { self.kit.dma.write(address, buffer) } else { self.kit.dma.read(address, buffer) };
        if let Err(error) = done {
            report.guest_error(format_args!("DMA: {error}"));
        }
    }

    fn transferred(&mut self) {
        if self.state.command & DMA_RUN == 0 {
            return;
        }
        self.transfer();
        self.state.command &= !DMA_RUN;
        if self.state.command & DMA_INTERRUPT != 0 {
            self.raise(REASON_DMA);
        }
    }
}

impl PciFunction for Edu {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.config.write(at, size, value);
        self.msi.written(&mut self.config, &self.kit.messenger);
        self.pin();
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn event(&mut self, token: u32) {
        match token {
            EVENT_FACTORIAL => self.computed(),
            _ => self.transferred(),
        }
    }

    fn reset(&mut self) {
        self.kit.clock.cancel(EVENT_FACTORIAL);
        self.kit.clock.cancel(EVENT_DMA);
        self.config.reset();
        self.state = State::new();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &(self.config.save(), &self.state))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (config, state): (ConfigState, State) = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&config)?;
        check(state.buffer.len() == BUFFER_SIZE, "buffer", || format!("{} bytes", state.buffer.len()))?;
        let bits = COMPUTING | STATUS_INTERRUPT;
        check(state.status & !bits == 0, "status", || format!("{:#x}", state.status))?;
        self.config.load(config);
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Bench, RAM};
    use crate::pci::config::reg;
    use tern_core::device::Signal;

    fn edu(bench: &mut Bench) -> Edu {
        let mut d = Edu::new(bench.kit(NAME), 0xffff_ffff);
        d.write_config(reg::COMMAND, Size::B2, 6);
        d
    }

    fn wait(bench: &mut Bench, d: &mut Edu, ns: u64) {
        let end = bench.queue.now() + ns;
        while let Some(due) = bench.queue.pop(end) {
            bench.queue.set_now(due.at);
            d.event(due.token);
        }
        bench.queue.set_now(end);
    }

    fn get(d: &mut Edu, at: u64) -> u64 {
        d.read(0, at, Size::B4)
    }

    #[test]
    fn factorials_take_their_time_and_interrupt() {
        let mut bench = Bench::new();
        let mut d = edu(&mut bench);
        d.write(0, 4, Size::B4, 0x1234_5678);
        assert_eq!((get(&mut d, 0), get(&mut d, 4)), (0x0100_00ed, 0xedcb_a987));
        d.write(0, 0x20, Size::B4, 0x80);
        d.write(0, 8, Size::B4, 10);
        d.write(0, 8, Size::B4, 3);
        assert_eq!((get(&mut d, 0x20), d.config.intx()), (0x81, None));
        wait(&mut bench, &mut d, FACTORIAL_NS);
        assert_eq!((get(&mut d, 0x20), get(&mut d, 8), get(&mut d, 0x24)), (0x80, 3_628_800, 1));
        assert_eq!(d.config.intx(), Some(0));
        d.write(0, 0x64, Size::B4, 1);
        assert_eq!(d.config.intx(), None);
        d.write(0, 8, Size::B4, u64::from(u32::MAX));
        wait(&mut bench, &mut d, FACTORIAL_NS);
        assert_eq!(get(&mut d, 8), 0);
    }

    #[test]
    fn dma_goes_there_and_back() {
        let mut bench = Bench::new();
        let mut d = edu(&mut bench);
        bench.dma().write(RAM, b"educational").unwrap();
        for (at, value) in [(0x80, RAM), (0x88, BUFFER + 8), (0x90, 11), (0x98, 5)] {
            d.write(0, at, Size::B8, value);
        }
        d.write(0, 0x90, Size::B8, 1);
        assert_eq!(get(&mut d, 0x98), 5);
        wait(&mut bench, &mut d, DMA_NS);
        assert_eq!((get(&mut d, 0x98), get(&mut d, 0x24)), (4, 0x100));
        for (at, value) in [(0x80, BUFFER + 8), (0x88, RAM + 0x100), (0x90, 11), (0x98, 3)] {
            d.write(0, at, Size::B8, value);
        }
        wait(&mut bench, &mut d, DMA_NS);
        assert_eq!(&bench.dma().array::<11>(RAM + 0x100).unwrap(), b"educational");
        assert_eq!(bench.guest_errors(), 0);
        // Beside the buffer, and over the end of everything.
        for (to, count) in [(BUFFER + 4090, 11), (0, 1), (BUFFER, u64::MAX), (u64::MAX, u64::MAX)] {
            for (at, value) in [(0x80, RAM), (0x88, to), (0x90, count), (0x98, 1)] {
                d.write(0, at, Size::B8, value);
            }
            wait(&mut bench, &mut d, DMA_NS);
        }
        assert_eq!((bench.guest_errors(), get(&mut d, 0x98)), (4, 0));
    }

    #[test]
    fn messages_take_the_place_of_the_pin() {
        let mut bench = Bench::new();
        let mut d = edu(&mut bench);
        let msi = usize::from(d.config.byte_at(reg::CAPABILITIES));
        d.write_config(msi + 4, Size::B4, 0x2800_0000);
        d.write_config(msi + 12, Size::B2, 7);
        d.write_config(msi + 2, Size::B2, 1);
        d.write(0, 0x60, Size::B4, 0x30);
        assert_eq!(bench.signals(), [Signal::Message { addr: 0x2800_0000, data: 7 }]);
        assert_eq!((d.config.intx(), get(&mut d, 0x24)), (None, 0x30));
    }
}
