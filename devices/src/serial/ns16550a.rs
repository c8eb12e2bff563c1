//! NS16550A: the UART of PCs and of most boards since (National Semiconductor PC16550D data sheet, June 1995).
//!
//! The line is as fast as its backend: a character that is written has left at once, and received ones arrive as they come.
//! Only the character timeout of the receiver FIFO takes the programmed baud rate from the clock.  The word length counts
//! for that timeout and masks no character: both ends of an emulated line agree on eight bits.

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tern_core::backend::CharSink;
use tern_core::device::{Device, IrqLine, Kit, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "ns16550a",
    aliases: &["serial", "serial-mm", "isa-serial"],
    class: Class::Serial,
    about: "NS16550A UART: 16-byte FIFOs (PC16550D data sheet)",
    sample: |bench: &mut Bench| {
        let (kit, irq, chars) = (bench.kit("ns16550a"), bench.line(), bench.chars());
        Box::new(Ns16550a::new(kit, Options::default(), irq, chars))
    },
};

const FIFO: usize = 16;

/// Interrupt enable bits, IER.
mod ier {
    pub(super) const RECEIVED: u8 = 1;
    pub(super) const THR_EMPTY: u8 = 2;
    pub(super) const LINE: u8 = 4;
    pub(super) const MODEM: u8 = 8;
}

/// Interrupt identities, IIR, from the least urgent to the most.
mod iir {
    pub(super) const NONE: u8 = 1;
    pub(super) const MODEM: u8 = 0;
    pub(super) const THR_EMPTY: u8 = 2;
    pub(super) const RECEIVED: u8 = 4;
    pub(super) const TIMEOUT: u8 = 0xc;
    pub(super) const LINE: u8 = 6;
    pub(super) const FIFOS: u8 = 0xc0;
}

mod fcr {
    pub(super) const ENABLE: u8 = 1;
    pub(super) const CLEAR_RECEIVER: u8 = 2;
    pub(super) const CLEAR_TRANSMITTER: u8 = 4;
    /// What stays of a write: enable, DMA mode, trigger level.
    pub(super) const KEPT: u8 = 0xc9;
}

mod lcr {
    pub(super) const LENGTH: u8 = 3;
    pub(super) const TWO_STOPS: u8 = 4;
    pub(super) const PARITY: u8 = 8;
    pub(super) const BREAK: u8 = 0x40;
    pub(super) const DLAB: u8 = 0x80;
}

mod mcr {
    pub(super) const DTR: u8 = 1;
    pub(super) const RTS: u8 = 2;
    pub(super) const OUT1: u8 = 4;
    pub(super) const OUT2: u8 = 8;
    pub(super) const LOOP: u8 = 0x10;
    pub(super) const ALL: u8 = 0x1f;
}

mod lsr {
    pub(super) const DATA: u8 = 1;
    pub(super) const OVERRUN: u8 = 2;
    pub(super) const FRAMING: u8 = 8;
    pub(super) const BREAK: u8 = 0x10;
    pub(super) const THR_EMPTY: u8 = 0x20;
    pub(super) const EMPTY: u8 = 0x40;
    pub(super) const FIFO_ERROR: u8 = 0x80;
    /// The bits that a character brings along, and overrun.
    pub(super) const ERRORS: u8 = 0x1e;
}

mod msr {
    pub(super) const DCTS: u8 = 1;
    pub(super) const DDSR: u8 = 2;
    pub(super) const TERI: u8 = 4;
    pub(super) const DDCD: u8 = 8;
    pub(super) const DELTAS: u8 = 0xf;
    pub(super) const CTS: u8 = 0x10;
    pub(super) const DSR: u8 = 0x20;
    pub(super) const RI: u8 = 0x40;
    pub(super) const DCD: u8 = 0x80;
    /// What a backend that is always there shows.
    pub(super) const CONNECTED: u8 = CTS | DSR | DCD;
}

/// The pin by which the machine tells that the other end holds the line in break.
pub const PIN_BREAK: u32 = 0;
/// The only event: nobody has touched the receiver FIFO for four characters.
const TIMEOUT: u32 = 0;

registers! {
    static REGS: Ns16550a, "ns16550a", sizes [1];
    0x00 RBR_THR_DLL 1 rw, "8.0 table II", read |d, _| d.read_data().into(), write |d, _, v| d.write_data(v as u8);
    0x01 IER_DLM 1 rw reset 0, "8.7", read |d, _| d.read_enable().into(), write |d, _, v| d.write_enable(v as u8);
    0x02 IIR_FCR 1 rw reset 1, "8.5, 8.6", read |d, _| d.read_identity().into(), write |d, _, v| d.write_fifo(v as u8);
    0x03 LCR 1 rw reset 0, "8.1", read |d, _| d.state.lcr.into(), write |d, _, v| d.state.lcr = v as u8;
    0x04 MCR 1 rw reset 0, "8.8", read |d, _| d.state.mcr.into(), write |d, _, v| d.write_modem(v as u8);
    0x05 LSR 1 ro reset 0x60, "8.4", read |d, _| d.read_line().into();
    0x06 MSR 1 ro, "8.9", read |d, _| d.read_modem().into();
    0x07 SCR 1 rw, "8.10", read |d, _| d.state.scr.into(), write |d, _, v| d.state.scr = v as u8;
}

/// How one is wired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Registers lie 2^n bytes apart (`reg-shift` of the device tree), 0 to 3.
    pub reg_shift: u32,
    /// The oscillator in Hz: 16 times the highest baud rate.
    pub clock_hz: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { reg_shift: 0, clock_hz: 3_686_400 }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    divisor: u16,
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    msr: u8,
    scr: u8,
    /// LSR's error bits, as they came with the characters that have reached the top of the FIFO.
    errors: u8,
    /// The transmitter has become empty since IIR was read.
    thr_empty: bool,
    timeout: bool,
    breaking: bool,
    /// Characters that were received and not read yet, each with its errors.
    received: VecDeque<(u8, u8)>,
}

impl State {
    fn new() -> State {
        State {
            divisor: 12,
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0,
            msr: msr::CONNECTED,
            scr: 0,
            errors: 0,
            thr_empty: false,
            timeout: false,
            breaking: false,
            received: VecDeque::new(),
        }
    }

    fn fifos(&self) -> bool {
        self.fcr & fcr::ENABLE != 0
    }

    fn loops(&self) -> bool {
        self.mcr & mcr::LOOP != 0
    }

    fn latch(&self) -> bool {
        self.lcr & lcr::DLAB != 0
    }

    fn capacity(&self) -> usize {
        if self.fifos() { FIFO } else { 1 }
    }

    /// Characters that raise the received-data interrupt.
    fn trigger(&self) -> usize {
        if self.fifos() { [1, 4, 8, 14][usize::from(self.fcr >> 6)] } else { 1 }
    }

    /// The most urgent interrupt that is enabled (table IV).
    fn identity(&self) -> u8 {
        if self.ier & ier::LINE != 0 && self.errors != 0 {
            iir::LINE
        } else if self.ier & ier::RECEIVED != 0 && self.received.len() >= self.trigger() {
            iir::RECEIVED
        } else if self.ier & ier::RECEIVED != 0 && self.timeout {
            iir::TIMEOUT
        } else if self.ier & ier::THR_EMPTY != 0 && self.thr_empty {
            iir::THR_EMPTY
        } else if self.ier & ier::MODEM != 0 && self.msr & msr::DELTAS != 0 {
            iir::MODEM
        } else {
            iir::NONE
        }
    }

    /// Four characters in nanoseconds: start, data, parity and stop bits at 16 clocks a bit.
    fn four_characters(&self, clock_hz: u32) -> u64 {
        let on = |bit| u64::from(self.lcr & bit != 0);
        let bits = 1 + 5 + u64::from(self.lcr & lcr::LENGTH) + on(lcr::PARITY) + 1 + on(lcr::TWO_STOPS);
        4 * bits * 16 * u64::from(self.divisor.max(1)) * 1_000_000_000 / u64::from(clock_hz.max(1))
    }
}

/// The device.
pub struct Ns16550a {
    kit: Kit,
    options: Options,
    irq: IrqLine,
    sink: Box<dyn CharSink>,
    state: State,
}

impl Ns16550a {
    /// A new one; what it sends goes to `sink`.
    #[must_use]
    pub fn new(kit: Kit, options: Options, irq: IrqLine, sink: Box<dyn CharSink>) -> Ns16550a {
        let options = Options { reg_shift: options.reg_shift.min(3), ..options };
        Ns16550a { kit, options, irq, sink, state: State::new() }
    }

    fn update(&self) {
        self.irq.set(self.state.identity() != iir::NONE);
    }

    /// The character timeout starts again (8.6, FIFO interrupt mode), or stops.
    fn restart_timeout(&mut self) {
        self.state.timeout = false;
        if self.state.fifos() && !self.state.received.is_empty() {
            let at = self.kit.clock.now().saturating_add(self.state.four_characters(self.options.clock_hz));
            self.kit.clock.schedule(TIMEOUT, at);
        } else {
            self.kit.clock.cancel(TIMEOUT);
        }
    }

    fn push(&mut self, byte: u8, errors: u8) {
        let full = self.state.received.len() >= self.state.capacity();
        if full {
            self.state.errors |= lsr::OVERRUN;
            if self.state.fifos() {
                return;
            }
            // Without FIFOs the new character replaces the old one (8.4, bit 1).
            self.state.received.clear();
        }
        self.state.received.push_back((byte, errors));
        if self.state.received.len() == 1 {
            self.state.errors |= errors;
        }
    }

    fn read_data(&mut self) -> u8 {
        if self.state.latch() {
            return self.state.divisor as u8;
        }
        let byte = self.state.received.pop_front().map_or(0, |(byte, _)| byte);
        if let Some((_, errors)) = self.state.received.front() {
            self.state.errors |= errors;
        }
        self.restart_timeout();
        self.update();
        byte
    }

    fn write_data(&mut self, byte: u8) {
        if self.state.latch() {
            self.state.divisor = self.state.divisor & 0xff00 | u16::from(byte);
            return;
        }
        self.state.thr_empty = false;
        self.update();
        if self.state.loops() {
            self.push(byte, 0);
            self.restart_timeout();
        } else if self.state.lcr & lcr::BREAK == 0 {
            self.sink.write(&[byte]);
        }
        self.state.thr_empty = true;
        self.update();
    }

    fn read_enable(&self) -> u8 {
        if self.state.latch() { (self.state.divisor >> 8) as u8 } else { self.state.ier }
    }

    fn write_enable(&mut self, value: u8) {
        if self.state.latch() {
            self.state.divisor = self.state.divisor & 0xff | u16::from(value) << 8;
            return;
        }
        let risen = value & !self.state.ier;
        self.state.ier = value & 0xf;
        // An empty transmitter interrupts as soon as it may.
        if risen & ier::THR_EMPTY != 0 {
            self.state.thr_empty = true;
        }
        self.update();
    }

    fn read_identity(&mut self) -> u8 {
        let identity = self.state.identity();
        if identity == iir::THR_EMPTY {
            self.state.thr_empty = false;
            self.update();
        }
        if self.state.fifos() { identity | iir::FIFOS } else { identity }
    }

    fn clear_receiver(&mut self) {
        self.state.received.clear();
        self.state.errors &= lsr::OVERRUN;
        self.restart_timeout();
    }

    fn write_fifo(&mut self, value: u8) {
        let switched = (value ^ self.state.fcr) & fcr::ENABLE != 0;
        // Bits other than the first are programmed only while it is set (8.5).
        let on = value & fcr::ENABLE != 0;
        self.state.fcr = if on { value & fcr::KEPT } else { 0 };
        if switched || on && value & fcr::CLEAR_RECEIVER != 0 {
            self.clear_receiver();
        }
        if switched || on && value & fcr::CLEAR_TRANSMITTER != 0 {
            self.state.thr_empty = true;
        }
        self.update();
    }

    fn write_modem(&mut self, value: u8) {
        self.state.mcr = value & mcr::ALL;
        let inputs = if self.state.loops() {
            let wires = [(mcr::RTS, msr::CTS), (mcr::DTR, msr::DSR), (mcr::OUT1, msr::RI), (mcr::OUT2, msr::DCD)];
            wires.iter().filter(|(out, _)| value & out != 0).fold(0, |sum, (_, input)| sum | input)
        } else {
            msr::CONNECTED
        };
        let (old, changed) = (self.state.msr, self.state.msr ^ inputs);
        let mut deltas = old & msr::DELTAS;
        for (input, delta) in [(msr::CTS, msr::DCTS), (msr::DSR, msr::DDSR), (msr::DCD, msr::DDCD)] {
            deltas |= if changed & input != 0 { delta } else { 0 };
        }
        // The ring indicator tells of its trailing edge only.
        deltas |= if changed & old & msr::RI != 0 { msr::TERI } else { 0 };
        self.state.msr = inputs | deltas;
        self.update();
    }

    fn read_line(&mut self) -> u8 {
        let mut value = lsr::THR_EMPTY | lsr::EMPTY | self.state.errors;
        if !self.state.received.is_empty() {
            value |= lsr::DATA;
        }
        self.state.errors = 0;
        if let Some(top) = self.state.received.front_mut() {
            top.1 = 0;
        }
        let waiting = self.state.received.iter().any(|(_, errors)| *errors != 0);
        if self.state.fifos() && (waiting || value & lsr::ERRORS & !lsr::OVERRUN != 0) {
            value |= lsr::FIFO_ERROR;
        }
        self.update();
        value
    }

    fn read_modem(&mut self) -> u8 {
        let value = self.state.msr;
        self.state.msr &= !msr::DELTAS;
        self.update();
        value
    }

    /// The register that an access names; a wide access names the one at its address, as on QEMU's boards.
    fn register(&self, offset: u64) -> u64 {
        offset >> self.options.reg_shift
    }
}

impl Device for Ns16550a {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "serial".into(), size: 8 << self.options.reg_shift }]
    }

    fn read(&mut self, _window: u32, offset: u64, _size: Size) -> u64 {
        let (report, register) = (self.kit.report.clone(), self.register(offset));
        REGS.read(self, &report, register, Size::B1)
    }

    fn write(&mut self, _window: u32, offset: u64, _size: Size, value: u64) {
        let (report, register) = (self.kit.report.clone(), self.register(offset));
        REGS.write(self, &report, register, Size::B1, value);
    }

    fn pin(&mut self, pin: u32, level: bool) {
        if pin != PIN_BREAK || level == self.state.breaking {
            return;
        }
        self.state.breaking = level;
        // Only one zero character enters the FIFO, however long the break lasts (8.4, bit 4).
        if level && !self.state.loops() {
            self.push(0, lsr::BREAK | lsr::FRAMING);
            self.restart_timeout();
            self.update();
        }
    }

    fn event(&mut self, _token: u32) {
        self.state.timeout = self.state.fifos() && !self.state.received.is_empty();
        self.update();
    }

    fn room(&mut self, _port: u32) -> usize {
        if self.state.loops() { 0 } else { self.state.capacity() - self.state.received.len() }
    }

    fn receive(&mut self, _port: u32, data: &[u8]) {
        for byte in data {
            self.push(*byte, 0);
        }
        self.restart_timeout();
        self.update();
    }

    fn reset(&mut self) {
        self.state = State::new();
        self.kit.clock.cancel(TIMEOUT);
        self.irq.set(false);
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(PART.name, 1, bytes)?;
        let (held, room) = (state.received.len(), state.capacity());
        snapshot::check(held <= room, "received", || format!("{held} characters, there is room for {room}"))?;
        let flags = state.received.iter().fold(state.errors, |sum, (_, errors)| sum | errors);
        snapshot::check(flags & !lsr::ERRORS == 0, "errors", || format!("bits {flags:#x}"))?;
        snapshot::check(state.ier & !0xf == 0, "ier", || format!("bits {:#x}", state.ier))?;
        snapshot::check(state.fcr & !fcr::KEPT == 0, "fcr", || format!("bits {:#x}", state.fcr))?;
        snapshot::check(state.mcr & !mcr::ALL == 0, "mcr", || format!("bits {:#x}", state.mcr))?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RBR: u64 = 0;
    const IER: u64 = 1;
    const IIR: u64 = 2;
    const LCR: u64 = 3;
    const MCR: u64 = 4;
    const LSR: u64 = 5;
    const MSR: u64 = 6;

    fn uart(bench: &mut Bench) -> Ns16550a {
        let (kit, irq, chars) = (bench.kit("ns16550a"), bench.line(), bench.chars());
        Ns16550a::new(kit, Options::default(), irq, chars)
    }

    fn get(d: &mut Ns16550a, at: u64) -> u64 {
        d.read(0, at, Size::B1)
    }

    fn put(d: &mut Ns16550a, at: u64, value: u64) {
        d.write(0, at, Size::B1, value);
    }

    #[test]
    fn characters_go_out_and_the_transmitter_interrupts_once() {
        let mut bench = Bench::new();
        let mut d = uart(&mut bench);
        assert_eq!((get(&mut d, LSR), get(&mut d, IIR), get(&mut d, MSR)), (0x60, 1, 0xb0));
        put(&mut d, RBR, b'h'.into());
        put(&mut d, RBR, b'i'.into());
        assert_eq!(*bench.output.borrow(), b"hi");
        put(&mut d, IER, 2);
        assert!(d.irq.level());
        assert_eq!(get(&mut d, IIR), 2);
        assert!(!d.irq.level());
        assert_eq!(get(&mut d, IIR), 1);
        put(&mut d, RBR, b'!'.into());
        assert!(d.irq.level());
        put(&mut d, IER, 0);
        assert!(!d.irq.level());
    }

    #[test]
    fn the_divisor_hides_behind_its_latch_bit() {
        let mut bench = Bench::new();
        let mut d = uart(&mut bench);
        put(&mut d, LCR, 0x83);
        put(&mut d, RBR, 0x34);
        put(&mut d, IER, 0x12);
        assert_eq!((get(&mut d, RBR), get(&mut d, IER), d.state.divisor), (0x34, 0x12, 0x1234));
        put(&mut d, LCR, 0x03);
        assert_eq!((get(&mut d, IER), get(&mut d, LCR)), (0, 3));
        put(&mut d, 7, 0xa5);
        assert_eq!((get(&mut d, 7), bench.output.borrow().len()), (0xa5, 0));
    }

    #[test]
    fn received_data_interrupts_at_the_trigger_level_or_after_four_characters() {
        let mut bench = Bench::new();
        let mut d = uart(&mut bench);
        put(&mut d, LCR, 0x83);
        put(&mut d, RBR, 2);
        put(&mut d, IER, 0);
        put(&mut d, LCR, 0x03);
        put(&mut d, IER, 1);
        put(&mut d, IIR, 0x41);
        assert_eq!(d.room(0), 16);
        d.receive(0, b"abc");
        assert!(!d.irq.level());
        // 115200 baud, ten bits a character.
        bench.advance(&mut d, 0, 347_221);
        assert!(!d.irq.level());
        bench.advance(&mut d, 0, 347_223);
        assert!(d.irq.level());
        assert_eq!((get(&mut d, IIR), get(&mut d, LSR)), (0xcc, 0x61));
        assert_eq!(get(&mut d, RBR), b'a'.into());
        assert!(!d.irq.level());
        d.receive(0, b"de");
        assert_eq!((get(&mut d, IIR), d.room(0)), (0xc4, 12));
        for byte in b"bcde" {
            assert_eq!(get(&mut d, RBR), u64::from(*byte));
        }
        bench.advance(&mut d, 0, 10_000_000);
        assert_eq!((get(&mut d, IIR), get(&mut d, LSR), d.irq.level()), (0xc1, 0x60, false));
    }

    #[test]
    fn a_break_is_a_zero_with_an_error_that_waits_its_turn() {
        let mut bench = Bench::new();
        let mut d = uart(&mut bench);
        put(&mut d, IIR, 0x01);
        put(&mut d, IER, 5);
        d.receive(0, b"x");
        d.pin(PIN_BREAK, true);
        d.pin(PIN_BREAK, true);
        d.pin(PIN_BREAK, false);
        assert_eq!((get(&mut d, IIR), get(&mut d, LSR)), (0xc4, 0xe1));
        assert_eq!((get(&mut d, RBR), get(&mut d, IIR)), (b'x'.into(), 0xc6));
        assert_eq!((get(&mut d, LSR), get(&mut d, LSR), get(&mut d, RBR), get(&mut d, LSR)), (0xf9, 0x61, 0, 0x60));
        put(&mut d, LCR, 0x40);
        put(&mut d, RBR, b'-'.into());
        assert!(bench.output.borrow().is_empty());
    }

    #[test]
    fn loopback_turns_outputs_into_inputs() {
        let mut bench = Bench::new();
        let mut d = uart(&mut bench);
        put(&mut d, MCR, 0x10);
        assert_eq!((get(&mut d, MSR), get(&mut d, MSR), d.room(0)), (0x0b, 0, 0));
        put(&mut d, MCR, 0x1f);
        assert_eq!(get(&mut d, MSR), 0xfb);
        put(&mut d, MCR, 0x1b);
        assert_eq!(get(&mut d, MSR), 0xb4);
        put(&mut d, RBR, 1);
        put(&mut d, RBR, 2);
        assert_eq!((get(&mut d, LSR), get(&mut d, RBR), get(&mut d, LSR)), (0x63, 2, 0x60));
        put(&mut d, IIR, 1);
        for n in 0..17 {
            put(&mut d, RBR, n);
        }
        assert_eq!((get(&mut d, LSR), get(&mut d, RBR), bench.output.borrow().len()), (0x63, 0, 0));
    }

    #[test]
    fn registers_may_lie_apart_and_be_read_wide() {
        let mut bench = Bench::new();
        let (kit, irq, chars) = (bench.kit("ns16550a"), bench.line(), bench.chars());
        let mut d = Ns16550a::new(kit, Options { reg_shift: 2, clock_hz: 1_843_200 }, irq, chars);
        d.write(0, 0x1c, Size::B4, 0x77);
        assert_eq!((d.read(0, 0x1c, Size::B4), d.read(0, 0x14, Size::B1)), (0x77, 0x60));
        assert_eq!((d.windows()[0].size, bench.guest_errors()), (32, 0));
    }
}
