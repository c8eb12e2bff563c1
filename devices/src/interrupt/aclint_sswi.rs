//! RISC-V ACLINT, supervisor-level software interrupt device (SSWI; ACLINT specification 1.0-rc4, chapter 4).

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use tern_core::device::{Device, IrqLine, Kit, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "aclint-sswi",
    aliases: &[],
    class: Class::Interrupt,
    about: "RISC-V ACLINT SSWI: supervisor-level software interrupt of each hart",
    sample: |bench: &mut Bench| {
        let lines = vec![bench.line(), bench.line()];
        Box::new(AclintSswi::new(bench.kit("aclint-sswi"), lines))
    },
};

/// Size of the window in bytes.
pub const SIZE: u64 = 0x4000;

registers! {
    static REGS: AclintSswi, "aclint-sswi", sizes [4];
    0x0000 [4095; 4] SETSSIP 4 rw reset 0, "4.2", read |d, i| d.get(i), write |d, i, v| d.set(i, v);
}

/// The device.  It holds nothing: the bit that it sets, SSIP, lies in the hart's `mip`, where software clears it.
pub struct AclintSswi {
    kit: Kit,
    lines: Vec<IrqLine>,
}

impl AclintSswi {
    /// A new one; a rising edge of line n sets SSIP in the `mip` of the hart with the nth register.
    #[must_use]
    pub fn new(kit: Kit, lines: Vec<IrqLine>) -> AclintSswi {
        AclintSswi { kit, lines }
    }

    fn line(&self, hart: u64) -> Option<&IrqLine> {
        let line = self.lines.get(usize::try_from(hart).ok()?);
        if line.is_none() {
            self.kit.report.guest_error(format_args!("SETSSIP of hart {hart}, which is not there"));
        }
        line
    }

    fn get(&self, hart: u64) -> u64 {
        self.line(hart).map_or(0, |_| 0)
    }

    fn set(&self, hart: u64, value: u64) {
        if let Some(line) = self.line(hart).filter(|_| value & 1 != 0) {
            line.pulse();
        }
    }
}

impl Device for AclintSswi {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "riscv.aclint.sswi".into(), size: SIZE }]
    }

    fn read(&mut self, _window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn reset(&mut self) {}

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        snapshot::load(PART.name, 1, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_core::device::{Signal, Sink};

    #[test]
    fn writing_one_sends_an_edge_and_zero_does_nothing() {
        let mut bench = Bench::new();
        let mut d = (PART.sample)(&mut bench);
        let level = |level| Signal::Level(Sink::Cpu { cpu: 0, line: 1 }, level);
        d.write(0, 4, Size::B4, 1);
        assert_eq!((d.read(0, 4, Size::B4), bench.signals()), (0, vec![level(true), level(false)]));
        d.write(0, 4, Size::B4, 0xffff_fffe);
        assert_eq!((bench.signals(), bench.guest_errors()), (vec![], 0));
        d.write(0, 8, Size::B4, 1);
        assert_eq!((d.read(0, 8, Size::B4), bench.guest_errors()), (0, 2));
    }
}
