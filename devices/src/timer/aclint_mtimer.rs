//! RISC-V ACLINT, machine-level timer device (MTIMER; ACLINT specification 1.0, chapter 2).

use super::mtime::{Mtime, MtimeState, TIMEBASE};
use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use core::num::NonZero;
use tern_core::device::{Device, IrqLine, Kit, Reporter, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "aclint-mtimer",
    aliases: &["riscv.aclint.mtimer"],
    class: Class::Timer,
    about: "RISC-V ACLINT MTIMER: machine-level timer of each hart",
    sample: |bench: &mut Bench| {
        let lines = vec![bench.line(), bench.line()];
        Box::new(AclintMtimer::new(bench.kit("aclint-mtimer"), TIMEBASE, lines))
    },
};

/// Size of the window in bytes.
pub const SIZE: u64 = 0x8000;

registers! {
    static REGS: AclintMtimer, "aclint-mtimer", sizes [4, 8];
    0x0000 [4095; 8] MTIMECMP 8 rw, "2.3", read |d, i| d.time.compare(i), write |d, i, v| d.time.set_compare(i, v);
    0x7ff8 MTIME 8 rw reset 0, "2.2", read |d, _| d.time.time(), write |d, _, v| d.time.set_time(v);
}

/// The device.
pub struct AclintMtimer {
    report: Reporter,
    time: Mtime,
}

impl AclintMtimer {
    /// A new one, counting at `frequency` Hz; line n is MTIP of the hart with the nth compare register.
    #[must_use]
    pub fn new(kit: Kit, frequency: NonZero<u32>, lines: Vec<IrqLine>) -> AclintMtimer {
        AclintMtimer { report: kit.report.clone(), time: Mtime::new(kit, frequency, lines) }
    }
}

impl Device for AclintMtimer {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "riscv.aclint.mtimer".into(), size: SIZE }]
    }

    fn read(&mut self, _window: u32, offset: u64, size: Size) -> u64 {
        let report = self.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _window: u32, offset: u64, size: Size, value: u64) {
        let report = self.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn event(&mut self, token: u32) {
        self.time.event(token);
    }

    fn reset(&mut self) {
        self.time.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, self.time.state())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: MtimeState = snapshot::load(PART.name, 1, bytes)?;
        self.time.check(&state)?;
        self.time.restore(state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_core::device::{Signal, Sink};

    const MTIME: u64 = 0x7ff8;

    fn device(bench: &mut Bench, frequency: u32) -> AclintMtimer {
        let lines = vec![bench.line(), bench.line()];
        AclintMtimer::new(bench.kit("aclint-mtimer"), NonZero::new(frequency).unwrap(), lines)
    }

    fn level(line: u32, level: bool) -> Signal {
        Signal::Level(Sink::Cpu { cpu: 0, line }, level)
    }

    #[test]
    fn time_counts_at_its_frequency_and_can_be_set() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench, 10_000_000);
        bench.advance(&mut d, 0, 1_999);
        assert_eq!(d.read(0, MTIME, Size::B8), 19);
        d.write(0, MTIME, Size::B8, 0x1_0000_0000);
        bench.advance(&mut d, 0, 2_100);
        assert_eq!((d.read(0, MTIME, Size::B4), d.read(0, MTIME + 4, Size::B4)), (2, 1));
        d.write(0, MTIME + 4, Size::B4, 7);
        assert_eq!(d.read(0, MTIME, Size::B8), 0x7_0000_0002);
    }

    #[test]
    fn interrupts_rise_exactly_when_time_reaches_compare() {
        let mut bench = Bench::new();
        // 3 Hz: ticks begin at 0, 333333334 (rounded up), 666666667 ns.
        let mut d = device(&mut bench, 3);
        d.write(0, 8, Size::B8, 2);
        assert_eq!(bench.queue.next(), Some(666_666_667));
        bench.advance(&mut d, 0, 666_666_666);
        assert_eq!((bench.signals(), d.read(0, MTIME, Size::B8)), (vec![], 1));
        bench.advance(&mut d, 0, 666_666_667);
        assert_eq!((bench.signals(), d.read(0, MTIME, Size::B8)), (vec![level(1, true)], 2));
        d.write(0, 8, Size::B4, 3);
        assert_eq!(bench.signals(), [level(1, false)]);
        d.write(0, 8, Size::B4, 0);
        assert_eq!((bench.signals(), bench.queue.next()), (vec![level(1, true)], None));
        d.write(0, 12, Size::B4, 1);
        assert_eq!((bench.signals(), d.read(0, 8, Size::B8)), (vec![level(1, false)], 1 << 32));
    }

    #[test]
    fn setting_time_moves_interrupts_and_wrapping_takes_them_back() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench, 10_000_000);
        d.write(0, 0, Size::B8, u64::MAX - 5);
        d.write(0, MTIME, Size::B8, u64::MAX - 7);
        assert_eq!(bench.queue.next(), Some(200));
        bench.advance(&mut d, 0, 200);
        // Hart 1 compares with the greatest number, which comes next.
        assert_eq!((bench.signals(), bench.queue.next()), (vec![level(0, true)], Some(700)));
        bench.advance(&mut d, 0, 700);
        assert_eq!((bench.signals(), bench.queue.next()), (vec![level(1, true)], Some(800)));
        bench.advance(&mut d, 0, 800);
        assert_eq!((d.read(0, MTIME, Size::B8), bench.queue.next()), (0, None));
        assert_eq!(bench.signals(), [level(0, false), level(1, false)]);
    }

    #[test]
    fn other_harts_are_guest_errors() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench, 10_000_000);
        d.write(0, 16, Size::B8, 0);
        assert_eq!((d.read(0, 16, Size::B8), bench.guest_errors(), bench.signals()), (0, 2, vec![]));
    }
}
