//! What a 21143 finds beside it: the serial ROM (Digital Semiconductor 21X4 Serial ROM Format 4.05) and a PHY behind MII.

use super::crc;
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{StateError, check};

/// Subsystem vendor and ID of the card.
pub(super) const SUBSYSTEM: (u16, u16) = (0x103c, 0x104f);
/// What both ends of the cable can do.
const ABILITIES: u16 = 0x01e1;
/// The same as the partner's page says it, acknowledged.
pub(super) const PARTNER: u16 = 0x41e1;
/// The PHY's address.
const PHY: u8 = 1;
/// The PHY's control, status, identifiers, ability registers, expansion.
const REGISTERS: [u16; 7] = [0x3100, 0x7829, 0x7810, 0x0000, ABILITIES, PARTNER, 0x0001];

/// The ROM's words: identification, address, one leaf with one block for MII.
pub(super) fn words(mac: [u8; 6]) -> Vec<u16> {
    let mut rom = [0u8; 128];
    rom[0..2].copy_from_slice(&SUBSYSTEM.0.to_le_bytes());
    rom[2..4].copy_from_slice(&SUBSYSTEM.1.to_le_bytes());
    // Format 4, one controller, its address; device 0 with its leaf at 30.
    rom[18..20].copy_from_slice(&[4, 1]);
    rom[20..26].copy_from_slice(&mac);
    rom[27] = 30;
    // The leaf: the medium is found by itself, one block.
    rom[30..33].copy_from_slice(&[0x00, 0x08, 1]);
    // The block: extended, 13 bytes, kind 3 (MII); capabilities, advertisement, full duplex, threshold.
    rom[33..35].copy_from_slice(&[0x80 | 13, 3]);
    for (at, word) in [(38, 0x7800), (40, ABILITIES), (42, 0x5000), (44, 0x1800u16)] {
        rom[at..at + 2].copy_from_slice(&word.to_le_bytes());
    }
    rom[16] = identification_crc(&rom);
    let sum = !crc(&rom[..126]) as u16;
    rom[126..].copy_from_slice(&sum.to_le_bytes());
    rom.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect()
}

/// CRC of the identification block: the words from the first on, their upper bytes first, without its own byte.
fn identification_crc(rom: &[u8; 128]) -> u8 {
    (0..17).map(|n| rom[n ^ 1]).fold(0xff, |crc: u8, byte| {
        (0..8).fold(crc ^ byte, |crc, _| crc << 1 ^ if crc & 0x80 != 0 { 7 } else { 0 })
    })
}

/// The PHY, and what has come over its two wires (IEEE 802.3, 22.2.4).
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Mii {
    registers: [u16; 32],
    clock: bool,
    /// Bits of the frame that is under way.
    count: u8,
    word: u32,
    /// Ones in a row: 32 begin anew.
    ones: u8,
    data: u16,
    out: bool,
}

impl Default for Mii {
    fn default() -> Mii {
        let mut registers = [0; 32];
        registers[..7].copy_from_slice(&REGISTERS);
        Mii { registers, clock: false, count: 0, word: 0, ones: 0, data: 0, out: true }
    }
}

impl Mii {
    /// Can it be so?
    pub(super) fn check(&self) -> Result<(), StateError> {
        check(self.count < 32 && self.ones < 32, "MII", || "too many bits".into())
    }

    /// What the PHY gives out; pulled up.
    pub(super) fn output(&self) -> bool {
        self.out
    }

    /// Drives clock and data.
    pub(super) fn drive(&mut self, clock: bool, data: bool, link: bool) {
        let rising = clock && !self.clock;
        self.clock = clock;
        if rising {
            self.shift(data, link);
        }
    }

    fn shift(&mut self, bit: bool, link: bool) {
        self.ones = if bit { self.ones + 1 } else { 0 };
        let reading = self.count >= 14 && self.word >> (self.count - 14) & 0x0c00 == 0x0800;
        if self.ones == 32 {
            (self.ones, self.count) = (0, 0);
        }
        // A frame begins with 01.
        if self.count == 0 || self.count == 1 && !bit {
            (self.count, self.word, self.out) = (u8::from(!bit), 0, true);
            return;
        }
        self.word = self.word << 1 | u32::from(bit);
        self.count += 1;
        match self.count {
            14 => self.data = self.read(link),
            // The second bit of the turnaround is a zero, then comes the word.
            16 if reading && self.addressed(2) => self.out = false,
            17..=31 if reading && self.addressed(self.count - 14) => self.shift_out(),
            32 => {
                if reading {
                    self.shift_out();
                } else if self.word >> 28 == 0b0101 && self.addressed(18) {
                    self.write((self.word >> 18 & 0x1f) as usize, self.word as u16);
                }
                self.count = 0;
            }
            _ => {}
        }
    }

    fn shift_out(&mut self) {
        self.out = self.data >> 15 != 0;
        self.data = self.data << 1 | 1;
    }

    /// Is the frame, with `more` bits behind the register's number, for this PHY?
    fn addressed(&self, more: u8) -> bool {
        (self.word >> (more + 5) & 0x1f) as u8 == PHY
    }

    fn read(&self, link: bool) -> u16 {
        if !self.addressed(0) {
            return 0xffff;
        }
        match (self.word & 0x1f, link) {
            (1, true) => self.registers[1] | 4,
            (5, false) => 0,
            (n, _) => self.registers[n as usize],
        }
    }

    fn write(&mut self, n: usize, value: u16) {
        match n {
            0 if value & 0x8000 != 0 => self.registers[..7].copy_from_slice(&REGISTERS),
            // Negotiation begins and ends at once.
            0 => self.registers[0] = value & !0x0200,
            1..=3 | 5 | 6 => {}
            _ => self.registers[n] = value,
        }
    }
}
