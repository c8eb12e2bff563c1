//! The cards' EEPROM (8254x manual, chapter 5; 82574 datasheet, chapter 6; 82576 datasheet, chapter 6): words, the register
//! that reads one, and the four wires of a Microwire chip.

use serde::{Deserialize, Serialize};

/// What all words with the checksum add up to, and where the checksum is.
const SUM: u16 = 0xbaba;
const CHECKSUM: usize = 0x3f;

/// Words that are not as erased, by number.
pub(super) type Words = &'static [(u8, u16)];

/// Bits of the EEPROM control register (8254x manual, 13.4.3).
mod bit {
    pub(super) const SK: u32 = 1;
    pub(super) const CS: u32 = 1 << 1;
    pub(super) const DI: u32 = 1 << 2;
    pub(super) const DO: u32 = 1 << 3;
    pub(super) const FWE: u32 = 3 << 4;
    pub(super) const REQ: u32 = 1 << 6;
    pub(super) const GNT: u32 = 1 << 7;
    pub(super) const PRES: u32 = 1 << 8;
}

/// What is in it, and what is going on on its wires.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Eeprom {
    words: Vec<u16>,
    /// Bits of the control register that the driver writes.
    control: u32,
    /// Bits that came in since the chip was selected, from the start bit on.
    shifted: u32,
    count: u8,
    /// The next bit to go out, counted from the first of word 0.
    reading: Option<u32>,
    out: bool,
    writable: bool,
}

impl Eeprom {
    /// One of `len` words with the card's address.
    pub(super) fn new(mac: [u8; 6], len: usize, contents: Words) -> Eeprom {
        let mut words = vec![0xffff; len];
        for (word, pair) in words.iter_mut().zip(mac.chunks_exact(2)) {
            *word = u16::from_le_bytes([pair[0], pair[1]]);
        }
        for (at, value) in contents {
            words[usize::from(*at)] = *value;
        }
        let sum = words[..CHECKSUM].iter().fold(0u16, |sum, word| sum.wrapping_add(*word));
        words[CHECKSUM] = SUM.wrapping_sub(sum);
        Eeprom { words, control: 0, shifted: 0, count: 0, reading: None, out: true, writable: false }
    }

    /// Word `at`; none if there is none.
    pub(super) fn word(&self, at: u32) -> Option<u16> {
        self.words.get(at as usize).copied()
    }

    /// Writes word `at`, if there is one.
    pub(super) fn set_word(&mut self, at: u32, value: u16) {
        if let Some(word) = self.words.get_mut(at as usize) {
            *word = value;
        }
    }

    /// The wires go back to rest; the words stay.
    pub(super) fn reset(&mut self) {
        (self.control, self.shifted, self.count) = (0, 0, 0);
        (self.reading, self.out, self.writable) = (None, true, false);
    }

    /// The control register: `fixed` are bits that the model has besides.
    pub(super) fn control(&self, fixed: u32) -> u32 {
        let grant = if self.control & bit::REQ != 0 { bit::GNT } else { 0 };
        self.control | bit::PRES | grant | fixed | if self.out { bit::DO } else { 0 }
    }

    /// The driver writes the control register.  `wires`: a Microwire chip is behind it.
    pub(super) fn set_control(&mut self, value: u32, wires: bool) {
        let old = self.control;
        self.control = value & (bit::SK | bit::CS | bit::DI | bit::FWE | bit::REQ);
        if !wires {
            return;
        }
        if (old ^ value) & bit::CS != 0 {
            self.select(value & bit::CS != 0);
        } else if value & bit::CS != 0 && !old & value & bit::SK != 0 {
            self.clock(value & bit::DI != 0);
        }
    }

    /// A command begins or ends; one that changes the chip is done when it ends.
    fn select(&mut self, on: bool) {
        if !on && self.writable {
            let at = self.shifted >> if self.count == 25 { 16 } else { 0 } & 0x3f;
            match (self.count, self.command()) {
                (25, 5) => self.set_word(at, self.shifted as u16),
                (9, 7) => self.set_word(at, 0xffff),
                _ => {}
            }
        }
        (self.shifted, self.count, self.reading, self.out) = (0, 0, None, true);
    }

    /// Start bit and operation of the command that is in.
    fn command(&self) -> u32 {
        self.shifted >> self.count.saturating_sub(3)
    }

    /// A rising edge of the clock.
    fn clock(&mut self, bit: bool) {
        if let Some(at) = self.reading {
            let word = self.words[at as usize / 16 % self.words.len()];
            self.out = word << (at % 16) & 0x8000 != 0;
            self.reading = Some(at.wrapping_add(1));
            return;
        }
        if (self.count == 0 && !bit) || self.count >= 25 {
            return;
        }
        self.shifted = self.shifted << 1 | u32::from(bit);
        self.count += 1;
        if self.count == 9 {
            let at = self.shifted & 0x3f;
            match (self.command(), at >> 4) {
                (6, _) => {
                    self.reading = Some(16 * at);
                    self.out = false;
                }
                (4, 3) => self.writable = true,
                (4, 0) => self.writable = false,
                _ => {}
            }
        }
    }

    /// Can it be so?
    pub(super) fn fits(&self, like: &Eeprom) -> bool {
        self.words.len() == like.words.len() && self.count <= 25 && self.shifted >> self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    fn send(e: &mut Eeprom, bits: u32, count: u32) {
        for n in (0..count).rev() {
            let data = bit::CS | if bits >> n & 1 != 0 { bit::DI } else { 0 };
            e.set_control(data, true);
            e.set_control(data | bit::SK, true);
            e.set_control(data, true);
        }
    }

    fn receive(e: &mut Eeprom) -> u16 {
        (0..16).fold(0, |value, _| {
            e.set_control(bit::CS | bit::SK, true);
            let out = e.control(0) & bit::DO != 0;
            e.set_control(bit::CS, true);
            value << 1 | u16::from(out)
        })
    }

    #[test]
    fn words_add_up_and_come_out_of_the_wires() {
        let mut e = Eeprom::new(MAC, 64, &[(10, 0x400b)]);
        assert_eq!((0..64).fold(0u16, |sum, n| sum.wrapping_add(e.word(n).unwrap())), SUM);
        e.set_control(bit::CS, true);
        send(&mut e, 0b110_000001, 9);
        assert_eq!(e.control(0) & bit::DO, 0);
        assert_eq!((receive(&mut e), receive(&mut e)), (0x1200, 0x5634));
        e.set_control(0, true);
        for (bits, count) in [(0b100_110000, 9), (0b101_000111 << 16 | 0x1234, 25), (0b100_000000, 9)] {
            e.set_control(bit::CS, true);
            send(&mut e, bits, count);
            e.set_control(0, true);
        }
        e.set_control(bit::CS, true);
        send(&mut e, 0b101_000111 << 16, 25);
        e.set_control(0, true);
        assert_eq!((e.word(7), e.word(64)), (Some(0x1234), None));
    }

    #[test]
    fn access_is_granted_to_who_asks() {
        let mut e = Eeprom::new(MAC, 64, &[]);
        assert_eq!(e.control(0) & bit::GNT, 0);
        e.set_control(bit::REQ, false);
        assert_eq!(e.control(1 << 9) & (bit::GNT | bit::PRES | 1 << 9), bit::GNT | bit::PRES | 1 << 9);
    }
}
