//! SiFive's core-local interruptor: software interrupts and the timer of each hart in one window (ACLINT specification
//! 1.0, section 1.1: an MSWI at 0 and an MTIMER at 0x4000; SiFive FU540-C000 manual, chapter 9).

use super::mtime::{Mtime, MtimeState, TIMEBASE};
use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use crate::interrupt::aclint_mswi::{Msip, MsipState};
use core::num::NonZero;
use serde::{Deserialize, Serialize};
use tern_core::device::{Device, IrqLine, Kit, Reporter, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "sifive-clint",
    aliases: &["riscv.sifive.clint"],
    class: Class::Timer,
    about: "SiFive CLINT: machine-level software interrupt and timer of each hart",
    sample: |bench: &mut Bench| {
        let soft = vec![bench.line(), bench.line()];
        let timer = vec![bench.line(), bench.line()];
        Box::new(SifiveClint::new(bench.kit("sifive-clint"), TIMEBASE, soft, timer))
    },
};

/// Size of the window in bytes.
pub const SIZE: u64 = 0x1_0000;

registers! {
    static REGS: SifiveClint, "sifive-clint", sizes [4, 8];
    0x0000 [4095; 4] MSIP 4 rw reset 0, "FU540 9.2", read |d, i| d.soft.get(i), write |d, i, v| d.soft.set(i, v);
    0x4000 [4095; 8] MTIMECMP 8 rw, "FU540 9.3", read |d, i| d.time.compare(i), write |d, i, v| d.time.set_compare(i, v);
    0xbff8 MTIME 8 rw reset 0, "FU540 9.3", read |d, _| d.time.time(), write |d, _, v| d.time.set_time(v);
}

/// The device.
pub struct SifiveClint {
    report: Reporter,
    soft: Msip,
    time: Mtime,
}

#[derive(Serialize, Deserialize)]
struct State {
    soft: MsipState,
    time: MtimeState,
}

impl SifiveClint {
    /// A new one, counting at `frequency` Hz; the nth lines are hart n's MSIP and MTIP.
    #[must_use]
    pub fn new(kit: Kit, frequency: NonZero<u32>, soft: Vec<IrqLine>, timer: Vec<IrqLine>) -> SifiveClint {
        let report = kit.report.clone();
        SifiveClint { soft: Msip::new(report.clone(), soft), time: Mtime::new(kit, frequency, timer), report }
    }
}

impl Device for SifiveClint {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "riscv.sifive.clint".into(), size: SIZE }]
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
        self.soft.reset();
        self.time.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &State { soft: self.soft.state().clone(), time: self.time.state().clone() })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(PART.name, 1, bytes)?;
        self.soft.check(&state.soft)?;
        self.time.check(&state.time)?;
        self.soft.restore(state.soft);
        self.time.restore(state.time);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_core::device::{Signal, Sink};

    #[test]
    fn registers_are_where_the_clint_has_them() {
        let mut bench = Bench::new();
        let mut d = (PART.sample)(&mut bench);
        let level = |line, level| Signal::Level(Sink::Cpu { cpu: 0, line }, level);
        d.write(0, 4, Size::B4, u64::MAX);
        assert_eq!((d.read(0, 4, Size::B4), bench.signals()), (1, vec![level(1, true)]));
        d.write(0, 4, Size::B4, 2);
        assert_eq!((d.read(0, 4, Size::B4), bench.signals()), (0, vec![level(1, false)]));
        d.write(0, 0x4008, Size::B8, 5);
        bench.advance(&mut *d, 0, 500);
        assert_eq!((d.read(0, 0xbff8, Size::B8), bench.signals()), (5, vec![level(3, true)]));
        assert_eq!((d.read(0, 0x4000, Size::B8), d.read(0, 0x4008, Size::B4)), (u64::MAX, 5));
        assert_eq!(bench.guest_errors(), 0);
        d.write(0, 8, Size::B4, 1);
        d.write(0, 0, Size::B8, 1);
        assert_eq!((d.read(0, 0x4010, Size::B8), bench.guest_errors(), bench.signals()), (0, 3, vec![]));
    }
}
