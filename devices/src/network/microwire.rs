//! Serial EEPROMs with a Microwire interface: 93C46 (64 words of 16 bits), 93C56/93C66 (256 words).

use serde::{Deserialize, Serialize};
use tern_core::snapshot::{StateError, check};

/// Opcode of a read.
const READ: u32 = 0b10;
const WRITE: u32 = 0b01;
const ERASE: u32 = 0b11;

/// What it does with the next clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Phase {
    /// Waits for the start bit.
    Idle,
    /// Takes opcode and address: so many bits are there.
    Command(u8),
    /// Gives out a word: so many bits are out.
    Reading(u8),
    /// Takes a word: so many bits are there.
    Writing(u8),
    /// Waits for the end of the selection.
    Done,
}

/// An EEPROM and its pins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Eeprom {
    words: Vec<u16>,
    select: bool,
    clock: bool,
    out: bool,
    writable: bool,
    phase: Phase,
    command: u32,
    data: u16,
}

impl Eeprom {
    /// With these 64 or 256 words.
    pub(super) fn new(words: Vec<u16>) -> Eeprom {
        let (select, clock, writable) = (false, false, false);
        Eeprom { words, select, clock, out: true, writable, phase: Phase::Idle, command: 0, data: 0 }
    }

    /// Its contents.
    pub(super) fn words(&self) -> &[u16] {
        &self.words
    }

    /// Can it be so, with this number of words?
    pub(super) fn check(&self, words: usize) -> Result<(), StateError> {
        let bits = match self.phase {
            Phase::Command(n) => n <= 10,
            Phase::Reading(n) | Phase::Writing(n) => n <= 16,
            Phase::Idle | Phase::Done => true,
        };
        check(bits && self.command < 1 << 10, "EEPROM", || "too many bits".into())?;
        check(self.words.len() == words, "EEPROM", || format!("{} words, not {words}", self.words.len()))
    }

    fn address_bits(&self) -> u32 {
        if self.words.len() > 64 { 8 } else { 6 }
    }

    /// Where the command's address is.
    fn at(&self) -> usize {
        self.command as usize & (self.words.len() - 1)
    }

    /// Level of the data output; nobody drives it, and it is pulled up, when nothing is read.
    pub(super) fn output(&self) -> bool {
        self.out
    }

    /// Drives chip select, clock and data input.
    pub(super) fn drive(&mut self, select: bool, clock: bool, input: bool) {
        let rising = clock && !self.clock;
        self.clock = clock;
        if select != self.select {
            if !select {
                self.finish();
            }
            self.select = select;
            (self.phase, self.out) = (Phase::Idle, true);
        }
        if select && rising {
            self.shift(input);
        }
    }

    fn shift(&mut self, input: bool) {
        self.phase = match self.phase {
            Phase::Idle if input => {
                self.command = 0;
                Phase::Command(0)
            }
            Phase::Command(n) => {
                self.command = self.command << 1 | u32::from(input);
                if u32::from(n) + 1 == 2 + self.address_bits() { self.begin() } else { Phase::Command(n + 1) }
            }
            Phase::Reading(n) => {
                self.out = self.data >> 15 != 0;
                self.data <<= 1;
                if n + 1 == 16 {
                    // It goes on with the next word.
                    self.command = self.command & !0xff | (self.command + 1) & 0xff;
                    self.data = self.words[self.at()];
                    Phase::Reading(0)
                } else {
                    Phase::Reading(n + 1)
                }
            }
            Phase::Writing(n) if n < 16 => {
                self.data = self.data << 1 | u16::from(input);
                Phase::Writing(n + 1)
            }
            phase => phase,
        };
    }

    /// Opcode, and for opcode 0 the upper two bits of the address.
    fn opcode(&self) -> (u32, u32) {
        let bits = self.address_bits();
        (self.command >> bits & 3, self.command >> (bits - 2) & 3)
    }

    /// The command is complete.
    fn begin(&mut self) -> Phase {
        match self.opcode() {
            (READ, _) => {
                self.data = self.words[self.at()];
                // A zero comes before the word.
                self.out = false;
                Phase::Reading(0)
            }
            (WRITE, _) | (0, 0b01) => {
                self.data = 0;
                Phase::Writing(0)
            }
            (0, more @ (0b00 | 0b11)) => {
                self.writable = more == 0b11;
                Phase::Done
            }
            _ => Phase::Done,
        }
    }

    /// The end of the selection starts what changes words.
    fn finish(&mut self) {
        if !self.writable {
            return;
        }
        let at = self.at();
        match (self.opcode(), self.phase) {
            ((WRITE, _), Phase::Writing(16)) => self.words[at] = self.data,
            ((0, 0b01), Phase::Writing(16)) => self.words.fill(self.data),
            ((ERASE, _), Phase::Done) => self.words[at] = 0xffff,
            ((0, 0b10), Phase::Done) => self.words.fill(0xffff),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clocks bits in, the most significant first; what came out.
    fn clock(e: &mut Eeprom, bits: u32, count: u32) -> u32 {
        (0..count).rev().fold(0, |seen, n| {
            let bit = bits >> n & 1 != 0;
            e.drive(true, false, bit);
            e.drive(true, true, bit);
            seen << 1 | u32::from(e.output())
        })
    }

    #[test]
    fn words_are_read_and_written() {
        let mut e = Eeprom::new((0..64).collect());
        assert_eq!(clock(&mut e, 0b110 << 6 | 5, 9) & 3, 0b10, "a zero is out after the last bit of the address");
        assert_eq!((clock(&mut e, 0, 16), clock(&mut e, 0, 16)), (5, 6));
        let mut command = |bits, count| {
            e.drive(false, false, false);
            clock(&mut e, bits, count);
            e.drive(false, false, false);
            e.words()[7]
        };
        assert_eq!(command((0b101 << 6 | 7) << 16 | 0xbeef, 25), 7, "not enabled");
        command(0b1_0011_0000, 9);
        assert_eq!(command((0b101 << 6 | 7) << 16 | 0xbeef, 24), 7, "a bit is missing");
        assert_eq!(command((0b101 << 6 | 7) << 16 | 0xbeef, 25), 0xbeef);
        assert_eq!(command(0b111 << 6 | 7, 9), 0xffff);
        assert_eq!(command(0b1_0001_0000 << 16 | 0x1234, 25), 0x1234);
        assert_eq!(command(0b1_0010_0000, 9), 0xffff);
        command(0b1_0000_0000, 9);
        assert_eq!(command((0b101 << 6 | 7) << 16 | 0xbeef, 25), 0xffff);
    }
}
