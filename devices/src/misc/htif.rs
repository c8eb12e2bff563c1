//! Berkeley host-target interface (HTIF), which RISC-V conformance programs and proxy kernels use on Spike: two 64-bit
//! words, `tohost` and `fromhost`, where programs define symbols of these names.
//!
//! A command in `tohost` has a device in bits 63:56, a command in bits 55:48, and a payload.  Device 0 is the front-end
//! server: an odd payload ends the program (status in bits 47:1), an even one is the address of a system call's eight
//! words, of which `write` to the console and `exit` are done and others fail with ENOSYS.  Device 1 is the console:
//! command 0 reads a byte, which arrives in `fromhost` as `0x100 | byte`, command 1 writes one.  The host answers in
//! `fromhost` with the same device and command, once the program has taken the answer before.

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tern_core::backend::CharSink;
use tern_core::device::{BusError, Device, Kit, Request, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "htif",
    aliases: &["ucb,htif0"],
    class: Class::Misc,
    about: "Berkeley host-target interface: exit status, console",
    sample: |bench: &mut Bench| {
        let console = bench.chars();
        Box::new(Htif::new(bench.kit("htif"), console))
    },
};

/// Size of each of the two windows in bytes: 0 is `tohost`, 1 is `fromhost`.
pub const SIZE: u64 = 8;

/// How long half a `tohost` stands before it is taken for a whole one, in ns.
const PATIENCE: u64 = 1000;
/// The event of that.
const HALF: u32 = 0;
/// Most answers that wait for the program to take one.
const ANSWERS: usize = 16;
/// Most bytes of one `write`.
const MOST: u64 = 1 << 16;

/// Linux's numbers for RISC-V, which the proxy uses.
const SYS_WRITE: u64 = 64;
const SYS_EXIT: u64 = 93;
const ENOSYS: i64 = 38;
const EFAULT: i64 = 14;
const EBADF: i64 = 9;

registers! {
    static TOHOST: Htif, "htif", sizes [4, 8];
    0x0 area 8 TOHOST, "tohost", read |d, at, _| d.state.tohost >> (8 * at), write |d, at, size, v| d.command(at, size, v);
}

registers! {
    static FROMHOST: Htif, "htif", sizes [4, 8];
    0x0 area 8 FROMHOST, "fromhost", read |d, at, _| d.state.fromhost >> (8 * at),
        write |d, at, size, v| d.answer_taken(at, size, v);
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    tohost: u64,
    fromhost: u64,
    /// The program waits for a byte.
    reading: bool,
    /// Answers that wait until `fromhost` is zero.
    answers: VecDeque<u64>,
}

/// The device.
pub struct Htif {
    kit: Kit,
    console: Box<dyn CharSink>,
    state: State,
}

/// Replaces the bytes at `at` of a word.
fn merge(old: u64, at: u64, size: Size, value: u64) -> u64 {
    let mask = size.mask() << (8 * at);
    old & !mask | value << (8 * at) & mask
}

impl Htif {
    /// A new one.
    #[must_use]
    pub fn new(kit: Kit, console: Box<dyn CharSink>) -> Htif {
        Htif { kit, console, state: State::default() }
    }

    /// A program writes `tohost`.  A 32-bit one does that in halves, and may leave one out.
    fn command(&mut self, at: u64, size: Size, value: u64) {
        if at != 0 && at != 4 {
            return self.kit.report.guest_error(format_args!("misaligned write to tohost"));
        }
        self.state.tohost = merge(self.state.tohost, at, size, value);
        let low = self.state.tohost & 0xffff_ffff;
        if size == Size::B8 || (at == 4 && low != 0) {
            self.kit.clock.cancel(HALF);
            self.run();
        } else {
            self.kit.clock.schedule(HALF, self.kit.clock.now().saturating_add(PATIENCE));
        }
    }

    fn answer_taken(&mut self, at: u64, size: Size, value: u64) {
        if at != 0 && at != 4 {
            return self.kit.report.guest_error(format_args!("misaligned write to fromhost"));
        }
        self.state.fromhost = merge(self.state.fromhost, at, size, value);
        self.show();
    }

    /// Puts the next answer where the program looks.
    fn show(&mut self) {
        if self.state.fromhost == 0 {
            self.state.fromhost = self.state.answers.pop_front().unwrap_or(0);
        }
    }

    fn answer(&mut self, device: u64, command: u64, payload: u64) {
        if self.state.answers.len() == ANSWERS {
            return self.kit.report.guest_error(format_args!("answers in fromhost are not taken; one is dropped"));
        }
        self.state.answers.push_back(device << 56 | command << 48 | payload);
        self.show();
    }

    /// Does what `tohost` says.
    fn run(&mut self) {
        let value = core::mem::take(&mut self.state.tohost);
        let payload = value & 0xffff_ffff_ffff;
        match (value >> 56, value >> 48 & 0xff) {
            _ if value == 0 => {}
            (0, 0) if payload & 1 != 0 => self.kit.messenger.request(Request::PowerOff((payload >> 1) as i32)),
            (0, 0) => match self.system_call(payload) {
                Ok(()) => self.answer(0, 0, 1),
                Err(e) => self.kit.report.guest_error(format_args!("system call: {e}")),
            },
            (1, 0) => self.state.reading = true,
            (1, 1) => self.console.write(&[payload as u8]),
            (device, command) => {
                self.kit.report.unimplemented(format_args!("command {command} of device {device}"));
            }
        }
    }

    /// A system call: number and arguments are replaced by the result.
    fn system_call(&mut self, at: u64) -> Result<(), BusError> {
        let words: [u8; 32] = self.kit.dma.array(at)?;
        let [number, a, b, c] = core::array::from_fn(|n| {
            words[8 * n..8 * n + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
        });
        let result = match number {
            SYS_WRITE if a == 1 || a == 2 => self.put(b, c),
            SYS_WRITE => -EBADF,
            SYS_EXIT => {
                self.kit.messenger.request(Request::PowerOff(a as i32));
                0
            }
            _ => {
                self.kit.report.unimplemented(format_args!("system call {number} of the proxy"));
                -ENOSYS
            }
        };
        self.kit.dma.write(at, &result.to_le_bytes())
    }

    /// Bytes written, or a negative error number.
    fn put(&mut self, addr: u64, len: u64) -> i64 {
        let mut bytes = vec![0; len.min(MOST) as usize];
        match self.kit.dma.read(addr, &mut bytes) {
            Ok(()) => {
                self.console.write(&bytes);
                bytes.len() as i64
            }
            Err(_) => -EFAULT,
        }
    }
}

impl Device for Htif {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        ["htif.tohost", "htif.fromhost"].map(|name| Window { name: name.into(), size: SIZE }).into()
    }

    fn read(&mut self, window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        let registers = if window == 0 { &TOHOST } else { &FROMHOST };
        registers.read(self, &report, offset, size)
    }

    fn write(&mut self, window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        let registers = if window == 0 { &TOHOST } else { &FROMHOST };
        registers.write(self, &report, offset, size, value);
    }

    fn event(&mut self, token: u32) {
        if token == HALF {
            self.run();
        }
    }

    fn room(&mut self, _port: u32) -> usize {
        usize::from(self.state.reading)
    }

    fn receive(&mut self, _port: u32, data: &[u8]) {
        if let Some(byte) = data.first().filter(|_| self.state.reading) {
            self.state.reading = false;
            self.answer(1, 0, 0x100 | u64::from(*byte));
        }
    }

    fn reset(&mut self) {
        self.kit.clock.cancel(HALF);
        self.state = State::default();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(PART.name, 1, bytes)?;
        let answers = state.answers.len();
        snapshot::check(answers <= ANSWERS, "answers", || format!("{answers}, at most {ANSWERS}"))?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::RAM;
    use tern_core::device::Signal;

    fn device(bench: &mut Bench) -> Htif {
        let console = bench.chars();
        Htif::new(bench.kit("htif"), console)
    }

    fn off(status: i32) -> Vec<Signal> {
        vec![Signal::Request(Request::PowerOff(status))]
    }

    #[test]
    fn odd_payloads_end_the_program() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.write(0, 0, Size::B8, 1);
        assert_eq!((bench.signals(), d.read(0, 0, Size::B8)), (off(0), 0));
        d.write(0, 0, Size::B8, 1337 << 1 | 1);
        assert_eq!(bench.signals(), off(1337));
    }

    #[test]
    fn halves_make_a_whole_and_a_lone_half_is_taken_after_a_while() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.write(0, 0, Size::B4, 7);
        assert_eq!((bench.signals(), d.read(0, 0, Size::B4)), (vec![], 7));
        d.write(0, 4, Size::B4, 0);
        assert_eq!((bench.signals(), bench.queue.next()), (off(3), None));
        d.write(0, 4, Size::B4, 0x0101_0000);
        d.write(0, 0, Size::B4, u64::from(b'x'));
        bench.advance(&mut d, 0, PATIENCE - 1);
        assert!(bench.output.borrow().is_empty());
        bench.advance(&mut d, 0, PATIENCE);
        assert_eq!((&bench.output.borrow()[..], d.read(0, 0, Size::B8)), (&b"x"[..], 0));
    }

    #[test]
    fn the_console_reads_and_writes() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        for byte in b"hi" {
            d.write(0, 0, Size::B8, 1 << 56 | 1 << 48 | u64::from(*byte));
        }
        assert_eq!((&bench.output.borrow()[..], d.room(0), d.read(1, 0, Size::B8)), (&b"hi"[..], 0, 0));
        d.receive(0, b"?");
        d.write(0, 0, Size::B8, 1 << 56);
        assert_eq!((d.room(0), d.read(1, 0, Size::B8)), (1, 0));
        d.receive(0, b"a");
        d.write(0, 0, Size::B8, 1 << 56);
        d.receive(0, b"b");
        assert_eq!((d.room(0), d.read(1, 0, Size::B8)), (0, 0x0100_0000_0000_0161));
        d.write(1, 0, Size::B8, 0);
        assert_eq!((d.read(1, 0, Size::B4), d.read(1, 4, Size::B4)), (0x162, 0x0100_0000));
        d.write(1, 0, Size::B8, 0);
        assert_eq!((d.read(1, 0, Size::B8), bench.guest_errors()), (0, 0));
    }

    #[test]
    fn system_calls_write_exit_or_fail() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        let mut call = |d: &mut Htif, words: [u64; 4]| {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            bench.dma().write(RAM, &bytes).unwrap();
            bench.dma().write(RAM + 0x100, b"hello").unwrap();
            d.write(0, 0, Size::B8, RAM);
            let answer = d.read(1, 0, Size::B8);
            d.write(1, 0, Size::B8, 0);
            (i64::from_le_bytes(bench.dma().array(RAM).unwrap()), answer, bench.signals())
        };
        assert_eq!(call(&mut d, [64, 1, RAM + 0x100, 5]), (5, 1, vec![]));
        assert_eq!(call(&mut d, [64, 7, RAM + 0x100, 5]), (-9, 1, vec![]));
        assert_eq!(call(&mut d, [64, 1, 0x10, u64::MAX]), (-14, 1, vec![]));
        assert_eq!(call(&mut d, [63, 0, RAM, 1]), (-38, 1, vec![]));
        assert_eq!(call(&mut d, [93, 4, 0, 0]), (0, 1, off(4)));
        assert_eq!((&bench.output.borrow()[..], bench.guest_errors(), bench.unimplemented()), (&b"hello"[..], 0, 1));
        d.write(0, 0, Size::B8, 0x10);
        d.write(0, 0, Size::B8, 9 << 56);
        assert_eq!((d.read(1, 0, Size::B8), bench.guest_errors(), bench.unimplemented()), (0, 1, 2));
    }

    #[test]
    fn answers_that_nobody_takes_are_bounded() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        for _ in 0..ANSWERS + 3 {
            d.write(0, 0, Size::B8, RAM);
        }
        // One is shown, 16 wait, two are dropped.
        assert_eq!((d.state.answers.len(), bench.guest_errors()), (ANSWERS, 2));
    }
}
