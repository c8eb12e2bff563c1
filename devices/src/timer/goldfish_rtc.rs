//! Goldfish real-time clock: nanoseconds since 1970, and an alarm (Android emulator, `GOLDFISH-VIRTUAL-HARDWARE.TXT`,
//! section IV, "Goldfish real-time clock"; the registers that set the time are QEMU's and Linux's additions).

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use serde::{Deserialize, Serialize};
use tern_core::device::{Device, IrqLine, Kit, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "goldfish-rtc",
    aliases: &["goldfish_rtc"],
    class: Class::Timer,
    about: "Goldfish real-time clock: nanoseconds since 1970, alarm",
    sample: |bench: &mut Bench| {
        let irq = bench.line();
        Box::new(GoldfishRtc::new(bench.kit("goldfish-rtc"), irq, 1_700_000_000_123_456_789))
    },
};

/// Size of the window in bytes.
pub const SIZE: u64 = 0x24;

const ALARM: u32 = 0;

registers! {
    static REGS: GoldfishRtc, "goldfish-rtc", sizes [4];
    0x00 TIME_LOW 4 rw, "IV", read |d, _| d.read_time(), write |d, _, v| d.set_time(low(d.time(), v));
    0x04 TIME_HIGH 4 rw, "IV", read |d, _| u64::from(d.state.high), write |d, _, v| d.set_time(high(d.time(), v));
    0x08 ALARM_LOW 4 rw reset 0, "IV", read |d, _| d.state.alarm & 0xffff_ffff, write |d, _, v| d.set_alarm(v);
    0x0c ALARM_HIGH 4 rw reset 0, "IV", read |d, _| d.state.alarm >> 32,
        write |d, _, v| d.state.alarm = high(d.state.alarm, v);
    0x10 IRQ_ENABLED 4 rw reset 0, "IV", read |d, _| u64::from(d.state.enabled), write |d, _, v| d.enable(v & 1 != 0);
    0x14 CLEAR_ALARM 4 wo, "IV", write |d, _, _| d.clear_alarm();
    0x18 ALARM_STATUS 4 ro reset 0, "IV", read |d, _| u64::from(d.state.running);
    0x1c CLEAR_INTERRUPT 4 wo, "IV", write |d, _, _| d.clear_interrupt();
}

fn low(old: u64, value: u64) -> u64 {
    old & !0xffff_ffff | value & 0xffff_ffff
}

fn high(old: u64, value: u64) -> u64 {
    old & 0xffff_ffff | value << 32
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    /// The clock minus guest time, in ns modulo 2^64.
    offset: u64,
    /// When the alarm is, in ns since 1970.
    alarm: u64,
    /// The high half that belongs to the low half that was read last.
    high: u32,
    running: bool,
    pending: bool,
    enabled: bool,
}

/// The device.
pub struct GoldfishRtc {
    kit: Kit,
    irq: IrqLine,
    base: u64,
    state: State,
}

fn initial(base: u64) -> State {
    State { offset: base, alarm: 0, high: 0, running: false, pending: false, enabled: false }
}

impl GoldfishRtc {
    /// A new one.  `base` is its time, in ns since 1970, at guest time 0 (an input of the machine, like all that comes from
    /// the host); a reset brings it back to that.
    #[must_use]
    pub fn new(kit: Kit, irq: IrqLine, base: u64) -> GoldfishRtc {
        GoldfishRtc { kit, irq, base, state: initial(base) }
    }

    fn time(&self) -> u64 {
        self.kit.clock.now().wrapping_add(self.state.offset)
    }

    fn read_time(&mut self) -> u64 {
        let time = self.time();
        self.state.high = (time >> 32) as u32;
        time & 0xffff_ffff
    }

    fn set_time(&mut self, time: u64) {
        self.state.offset = time.wrapping_sub(self.kit.clock.now());
        if self.state.running {
            self.arm();
        }
    }

    /// The low half is written last, and starts the alarm.
    fn set_alarm(&mut self, value: u64) {
        self.state.alarm = low(self.state.alarm, value);
        self.arm();
    }

    /// Waits for the alarm, or gives it at once if its time has come.
    fn arm(&mut self) {
        let wait = self.state.alarm.saturating_sub(self.time());
        self.state.running = wait != 0;
        if wait == 0 {
            self.kit.clock.cancel(ALARM);
            self.state.pending = true;
            self.drive();
        } else if let Some(at) = self.kit.clock.now().checked_add(wait) {
            self.kit.clock.schedule(ALARM, at);
        } else {
            // Guest time ends before.
            self.kit.clock.cancel(ALARM);
        }
    }

    fn clear_alarm(&mut self) {
        self.kit.clock.cancel(ALARM);
        self.state.running = false;
    }

    fn clear_interrupt(&mut self) {
        self.state.pending = false;
        self.drive();
    }

    fn enable(&mut self, on: bool) {
        self.state.enabled = on;
        self.drive();
    }

    fn drive(&self) {
        self.irq.set(self.state.pending && self.state.enabled);
    }
}

impl Device for GoldfishRtc {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "goldfish_rtc".into(), size: SIZE }]
    }

    fn read(&mut self, _window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn event(&mut self, token: u32) {
        if token == ALARM && self.state.running {
            self.arm();
        }
    }

    fn reset(&mut self) {
        self.kit.clock.cancel(ALARM);
        self.state = initial(self.base);
        self.drive();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.state = snapshot::load(PART.name, 1, bytes)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_core::device::{Signal, Sink};

    const BASE: u64 = 0x1234_5678_ffff_ff00;

    fn device(bench: &mut Bench) -> GoldfishRtc {
        let irq = bench.line();
        GoldfishRtc::new(bench.kit("goldfish-rtc"), irq, BASE)
    }

    fn level(level: bool) -> Signal {
        Signal::Level(Sink::Cpu { cpu: 0, line: 0 }, level)
    }

    #[test]
    fn reading_the_low_half_latches_the_high_half() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        assert_eq!(d.read(0, 0, Size::B4), 0xffff_ff00);
        bench.advance(&mut d, 0, 0x100);
        assert_eq!(d.read(0, 4, Size::B4), 0x1234_5678);
        assert_eq!((d.read(0, 0, Size::B4), d.read(0, 4, Size::B4)), (0, 0x1234_5679));
    }

    #[test]
    fn the_time_can_be_set() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        bench.advance(&mut d, 0, 50);
        d.write(0, 4, Size::B4, 1);
        d.write(0, 0, Size::B4, 1000);
        bench.advance(&mut d, 0, 60);
        assert_eq!((d.read(0, 0, Size::B4), d.read(0, 4, Size::B4)), (1010, 1));
    }

    #[test]
    fn the_alarm_comes_at_its_time_when_it_is_enabled() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.write(0, 0x0c, Size::B4, 0x1234_5679);
        assert_eq!(d.read(0, 0x18, Size::B4), 0);
        d.write(0, 0x08, Size::B4, 0x10);
        d.write(0, 0x10, Size::B4, 1);
        assert_eq!((d.read(0, 0x18, Size::B4), bench.queue.next()), (1, Some(0x110)));
        bench.advance(&mut d, 0, 0x10f);
        assert!(bench.signals().is_empty());
        bench.advance(&mut d, 0, 0x110);
        assert_eq!((d.read(0, 0x18, Size::B4), bench.signals()), (0, vec![level(true)]));
        d.write(0, 0x1c, Size::B4, 1);
        assert_eq!(bench.signals(), [level(false)]);
        // An alarm in the past comes at once; without the enable bit only the pending bit is set.
        d.write(0, 0x10, Size::B4, 0);
        d.write(0, 0x08, Size::B4, 1);
        assert!(bench.signals().is_empty());
        d.write(0, 0x10, Size::B4, 1);
        assert_eq!(bench.signals(), [level(true)]);
    }

    #[test]
    fn the_alarm_can_be_cleared_and_follows_a_new_time() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.write(0, 0x10, Size::B4, 1);
        d.write(0, 0x0c, Size::B4, 0x1234_5679);
        d.write(0, 0x08, Size::B4, 0);
        d.write(0, 0x14, Size::B4, 1);
        bench.advance(&mut d, 0, 0x200);
        assert_eq!((d.read(0, 0x18, Size::B4), bench.signals()), (0, vec![]));
        d.write(0, 0x08, Size::B4, 0x1000);
        d.write(0, 0x00, Size::B4, 0xff0);
        assert_eq!(bench.queue.next(), Some(0x210));
        d.write(0, 0x04, Size::B4, 0x2000_0000);
        assert_eq!((bench.queue.next(), bench.signals()), (None, vec![level(true)]));
    }
}
