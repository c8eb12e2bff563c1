//! SiFive's test finisher, by which RISC-V boards are switched off, reset, or made to fail (Linux binding
//! `sifive,test1`; the values are those of the `syscon-poweroff` and `syscon-reboot` nodes of QEMU's `virt`).

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use tern_core::device::{Device, Kit, Request, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "sifive-test",
    aliases: &["riscv.sifive.test"],
    class: Class::Misc,
    about: "SiFive test finisher: power-off, reset, exit status",
    sample: |bench: &mut Bench| Box::new(SifiveTest::new(bench.kit("sifive-test"))),
};

/// Low half of a write: the test failed with the status in the high half.
const FAIL: u64 = 0x3333;
/// Low half of a write: the test passed.
const PASS: u64 = 0x5555;
/// Low half of a write: reset.
const RESET: u64 = 0x7777;

registers! {
    static REGS: SifiveTest, "sifive-test", sizes [2, 4];
    0x00 FINISHER 4 wo, "binding sifive,test1", write |d, _, v| d.finish(v);
}

/// The device.
pub struct SifiveTest {
    kit: Kit,
}

impl SifiveTest {
    /// A new one.
    #[must_use]
    pub fn new(kit: Kit) -> SifiveTest {
        SifiveTest { kit }
    }

    fn finish(&mut self, value: u64) {
        let request = match value & 0xffff {
            PASS => Request::PowerOff(0),
            FAIL => Request::PowerOff((value >> 16 & 0xffff) as i32),
            RESET => Request::Reset,
            _ => return self.kit.report.guest_error(format_args!("unknown command {value:#x}")),
        };
        self.kit.messenger.request(request);
    }
}

impl Device for SifiveTest {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "riscv.sifive.test".into(), size: 0x1000 }]
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
    use tern_core::device::Signal;

    #[test]
    fn writes_become_requests() {
        let mut bench = Bench::new();
        let mut d = SifiveTest::new(bench.kit("sifive-test"));
        d.write(0, 0, Size::B4, 0x5555);
        d.write(0, 0, Size::B2, 0x7777);
        d.write(0, 0, Size::B4, 0x0007_3333);
        d.write(0, 0, Size::B4, 1);
        let requests = [Request::PowerOff(0), Request::Reset, Request::PowerOff(7)];
        assert_eq!(bench.signals(), requests.map(Signal::Request));
        assert_eq!(bench.guest_errors(), 1);
    }
}
