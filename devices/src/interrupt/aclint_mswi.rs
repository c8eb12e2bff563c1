//! RISC-V ACLINT, machine-level software interrupt device (MSWI; ACLINT specification 1.0, chapter 3).

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use tern_core::device::{Device, IrqLine, Kit, Reporter, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "aclint-mswi",
    aliases: &["riscv.aclint.swi"],
    class: Class::Interrupt,
    about: "RISC-V ACLINT MSWI: machine-level software interrupt of each hart",
    sample: |bench: &mut Bench| {
        let lines = vec![bench.line(), bench.line()];
        Box::new(AclintMswi::new(bench.kit("aclint-mswi"), lines))
    },
};

/// Size of the window in bytes.
pub const SIZE: u64 = 0x4000;

/// What is saved: the bits.
pub type MsipState = Vec<bool>;

/// The MSIP registers, one per hart; bit 0 of each is the hart's line.
pub struct Msip {
    report: Reporter,
    lines: Vec<IrqLine>,
    bits: MsipState,
}

impl Msip {
    /// New registers, zero.
    #[must_use]
    pub fn new(report: Reporter, lines: Vec<IrqLine>) -> Msip {
        Msip { report, bits: vec![false; lines.len()], lines }
    }

    fn place(&self, hart: u64) -> Option<usize> {
        let here = hart < self.lines.len() as u64;
        if !here {
            self.report.guest_error(format_args!("MSIP of hart {hart}, which is not there"));
        }
        here.then_some(hart as usize)
    }

    /// MSIP of a hart; a hart that is not there is a guest error and reads as zero.
    #[must_use]
    pub fn get(&self, hart: u64) -> u64 {
        self.place(hart).map_or(0, |n| u64::from(self.bits[n]))
    }

    /// Sets MSIP of a hart to bit 0 of `value`.
    pub fn set(&mut self, hart: u64, value: u64) {
        if let Some(n) = self.place(hart) {
            self.bits[n] = value & 1 != 0;
            self.lines[n].set(self.bits[n]);
        }
    }

    /// All zero.
    pub fn reset(&mut self) {
        self.bits.fill(false);
        self.lines.iter().for_each(|line| line.set(false));
    }

    /// The state to save.
    #[must_use]
    pub fn state(&self) -> &MsipState {
        &self.bits
    }

    /// Refuses a saved state that does not fit.
    ///
    /// # Errors
    /// [`StateError::Field`].
    pub fn check(&self, state: &MsipState) -> Result<(), StateError> {
        let (saved, here) = (state.len(), self.lines.len());
        snapshot::check(saved == here, "msip", || format!("{saved} harts, this device has {here}"))
    }

    /// Takes a saved state on that has been checked.
    pub fn restore(&mut self, state: MsipState) {
        self.bits = state;
    }
}

registers! {
    static REGS: AclintMswi, "aclint-mswi", sizes [4];
    0x0000 [4095; 4] MSIP 4 rw reset 0, "3.2", read |d, i| d.bits.get(i), write |d, i, v| d.bits.set(i, v);
}

/// The device.
pub struct AclintMswi {
    report: Reporter,
    bits: Msip,
}

impl AclintMswi {
    /// A new one; line n is MSIP of the hart with the nth register.
    #[must_use]
    pub fn new(kit: Kit, lines: Vec<IrqLine>) -> AclintMswi {
        AclintMswi { bits: Msip::new(kit.report.clone(), lines), report: kit.report }
    }
}

impl Device for AclintMswi {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "riscv.aclint.mswi".into(), size: SIZE }]
    }

    fn read(&mut self, _window: u32, offset: u64, size: Size) -> u64 {
        let report = self.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _window: u32, offset: u64, size: Size, value: u64) {
        let report = self.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn reset(&mut self) {
        self.bits.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, self.bits.state())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: MsipState = snapshot::load(PART.name, 1, bytes)?;
        self.bits.check(&state)?;
        self.bits.restore(state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_core::device::{Signal, Sink};

    #[test]
    fn bit_0_is_the_line_and_the_rest_is_tied_to_zero() {
        let mut bench = Bench::new();
        let mut d = (PART.sample)(&mut bench);
        let level = |level| Signal::Level(Sink::Cpu { cpu: 0, line: 1 }, level);
        d.write(0, 4, Size::B4, 0xffff_ffff);
        assert_eq!((d.read(0, 4, Size::B4), d.read(0, 0, Size::B4)), (1, 0));
        d.write(0, 4, Size::B4, 0xffff_fffe);
        assert_eq!((d.read(0, 4, Size::B4), bench.signals()), (0, vec![level(true), level(false)]));
        d.write(0, 4, Size::B4, 1);
        d.reset();
        assert_eq!((d.read(0, 4, Size::B4), bench.signals()), (0, vec![level(true), level(false)]));
        d.write(0, 8, Size::B4, 1);
        assert_eq!((d.read(0, 8, Size::B4), bench.guest_errors()), (0, 2));
    }
}
