//! A system controller: registers that hold what is written to them, and values in them that switch the machine off or
//! reset it (Linux bindings `syscon`, `syscon-poweroff`, `syscon-reboot`).

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use tern_core::device::{Device, Kit, Request, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "syscon",
    aliases: &[],
    class: Class::Misc,
    about: "system controller: registers for syscon-poweroff and syscon-reboot",
    sample: |bench: &mut Bench| {
        let off = Action { offset: 4, mask: 0xffff, value: 0x5555, request: Request::PowerOff(0) };
        Box::new(Syscon::new(bench.kit("syscon"), 0x40, vec![off]))
    },
};

/// Greatest size of the window in bytes.
pub const MAX_SIZE: u64 = 0x1000;

/// A write to a register that asks something of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    /// Which register, in bytes.
    pub offset: u64,
    /// The bits of it that matter.
    pub mask: u32,
    /// What they are to be.
    pub value: u32,
    /// What then is asked.
    pub request: Request,
}

registers! {
    static REGS: Syscon, "syscon", sizes [1, 2, 4];
    0x00 [1024; 4] REGISTER 4 rw reset 0, "binding syscon", read |d, n| d.get(n), write |d, n, v| d.set(n, v as u32);
}

/// The device.
pub struct Syscon {
    kit: Kit,
    actions: Vec<Action>,
    words: Vec<u32>,
}

impl Syscon {
    /// A new one with `size` bytes of 32-bit registers, at most [`MAX_SIZE`].
    #[must_use]
    pub fn new(kit: Kit, size: u64, actions: Vec<Action>) -> Syscon {
        Syscon { kit, actions, words: vec![0; (size.min(MAX_SIZE) / 4) as usize] }
    }

    fn get(&self, n: u64) -> u64 {
        self.words.get(n as usize).map_or(0, |word| u64::from(*word))
    }

    fn set(&mut self, n: u64, value: u32) {
        let Some(word) = self.words.get_mut(n as usize) else { return };
        *word = value;
        let done = |action: &&Action| action.offset == 4 * n && value & action.mask == action.value;
        if let Some(action) = self.actions.iter().find(done) {
            self.kit.messenger.request(action.request);
        }
    }

    /// Is there a register at this offset?  The table has as many as there can be.
    fn here(&self, offset: u64) -> bool {
        let here = offset < 4 * self.words.len() as u64;
        if !here {
            self.kit.report.guest_error(format_args!("access to {offset:#x}, where no register is"));
        }
        here
    }
}

impl Device for Syscon {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "syscon".into(), size: 4 * self.words.len() as u64 }]
    }

    fn read(&mut self, _window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        if self.here(offset) { REGS.read(self, &report, offset, size) } else { 0 }
    }

    fn write(&mut self, _window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        if self.here(offset) {
            REGS.write(self, &report, offset, size, value);
        }
    }

    fn reset(&mut self) {
        self.words.fill(0);
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &self.words)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let words: Vec<u32> = snapshot::load(PART.name, 1, bytes)?;
        let (saved, here) = (words.len(), self.words.len());
        snapshot::check(saved == here, "words", || format!("{saved} registers, this device has {here}"))?;
        self.words = words;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_core::device::Signal;

    #[test]
    fn registers_hold_values_and_some_are_requests() {
        let mut bench = Bench::new();
        let actions = vec![
            Action { offset: 4, mask: 0xffff, value: 0x5555, request: Request::PowerOff(0) },
            Action { offset: 4, mask: 0xffff, value: 0x7777, request: Request::Reset },
        ];
        let mut d = Syscon::new(bench.kit("syscon"), 8, actions);
        d.write(0, 0, Size::B4, 0x5555);
        d.write(0, 4, Size::B4, 0xabcd_0055);
        d.write(0, 7, Size::B1, 0x12);
        assert_eq!((d.read(0, 0, Size::B4), d.read(0, 4, Size::B4)), (0x5555, 0x12cd_0055));
        assert_eq!(bench.signals(), []);
        d.write(0, 5, Size::B1, 0x55);
        d.write(0, 4, Size::B4, 0x7777);
        assert_eq!(bench.signals(), [Request::PowerOff(0), Request::Reset].map(Signal::Request));
        assert_eq!((d.read(0, 8, Size::B4), bench.guest_errors()), (0, 1));
    }
}
