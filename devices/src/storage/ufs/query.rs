//! What can be asked of a UFS device: descriptors, attributes, flags (JESD220F, 10.7.8 and 14).

use super::request::{Request, big, ocs};
use super::unit::SHIFT;
use super::{MAX_UNITS, Ufs};
use serde::{Deserialize, Serialize};

/// Functions: standard read and write request.
const READ: u8 = 0x01;
const WRITE: u8 = 0x81;

/// Results (10.7.9.1).
mod result {
    pub(super) const NOT_READABLE: u8 = 0xf6;
    pub(super) const NOT_WRITEABLE: u8 = 0xf7;
    pub(super) const INVALID_VALUE: u8 = 0xfa;
    pub(super) const INVALID_SELECTOR: u8 = 0xfb;
    pub(super) const INVALID_INDEX: u8 = 0xfc;
    pub(super) const INVALID_IDN: u8 = 0xfd;
    pub(super) const INVALID_OPCODE: u8 = 0xfe;
    pub(super) const GENERAL_FAILURE: u8 = 0xff;
}

/// Highest numbers of flags and attributes.
const LAST_FLAG: u8 = 0x12;
const LAST_ATTRIBUTE: u8 = 0x2e;
/// Flags: the device's initialization, which is complete at once; those that are set and cleared; those that are read only,
/// and the one of these that is set.
const DEVICE_INIT: u8 = 0x01;
const FLAGS: [u8; 2] = [0x04, 0x05];
const FIXED_FLAGS: [u8; 9] = [0x02, 0x03, 0x08, 0x09, NO_UPDATE, 0x0e, 0x0f, 0x10, DEVICE_INIT];
const NO_UPDATE: u8 = 0x0b;

/// Attributes that the host sets, with their first and largest values: active ICC level, sizes of data, clock, RTTs,
/// exception events, seconds (write only), production state.
const ATTRIBUTES: [(u8, u32, u32); 9] = [
    (0x03, 0, 0x0f),
    (0x07, 0x08, 0xff),
    (0x08, 0x08, 0xff),
    (0x0a, 1, 0xff),
    (0x0c, 2, 0xff),
    (EVENTS, 0, 0xffff),
    (SECONDS, 0, u32::MAX),
    (0x15, 0, 0xff),
    (0x16, 0, u32::MAX),
];
const EVENTS: u8 = 0x0d;
const SECONDS: u8 = 0x0f;
/// Attributes that are read only: the configuration is locked; temperatures, in degrees above -80.
const FIXED_ATTRIBUTES: [(u8, u32); 19] = [
    (0x00, 0),
    (0x02, 0),
    (0x04, 0),
    (0x05, 0),
    (0x06, 0),
    (0x09, 0),
    (0x0b, 1),
    (0x0e, 0),
    (0x10, 0),
    (0x14, 0),
    (0x17, 0),
    (0x19, 160),
    (0x1a, 60),
    (0x1b, 0),
    (0x1c, 0),
    (0x1d, 0),
    (0x1e, 0),
    (0x1f, 0),
    (0x2c, 0),
];
/// Refresh frequency and unit.
const REFRESH: [u8; 2] = [0x2d, 0x2e];
/// The temperature, which is told while the host wants to hear of its events.
const TEMPERATURE: u8 = 0x18;
const DEGREES: u32 = 120;
const TEMPERATURE_EVENTS: u32 = 3 << 3;

/// The well-known unit of replay protected memory, which there is not.
const RPMB: u8 = 0xc4;

/// What the host has set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Device {
    flags: [bool; FLAGS.len()],
    attributes: [u32; ATTRIBUTES.len()],
}

impl Default for Device {
    fn default() -> Device {
        Device { flags: [false; FLAGS.len()], attributes: ATTRIBUTES.map(|(_, first, _)| first) }
    }
}

impl Device {
    fn attribute(&self, idn: u8) -> Result<u32, u8> {
        let set = ATTRIBUTES.iter().position(|(known, ..)| *known == idn).map(|at| self.attributes[at]);
        let fixed = FIXED_ATTRIBUTES.iter().find(|(known, _)| *known == idn).map(|(_, value)| *value);
        match idn {
            SECONDS => Err(result::NOT_READABLE),
            TEMPERATURE => {
                let wanted = self.attribute(EVENTS).is_ok_and(|events| events & TEMPERATURE_EVENTS != 0);
                Ok(if wanted { DEGREES } else { 0 })
            }
            _ if idn > LAST_ATTRIBUTE => Err(result::INVALID_IDN),
            _ if REFRESH.contains(&idn) => Ok(0),
            _ => set.or(fixed).ok_or(result::NOT_READABLE),
        }
    }

    fn set_attribute(&mut self, idn: u8, value: u32) -> Result<u32, u8> {
        if idn > LAST_ATTRIBUTE {
            return Err(result::INVALID_IDN);
        }
        let at = ATTRIBUTES.iter().position(|(known, ..)| *known == idn).ok_or(result::NOT_WRITEABLE)?;
        if value > ATTRIBUTES[at].2 {
            return Err(result::INVALID_VALUE);
        }
        self.attributes[at] = value;
        Ok(value)
    }

    fn flag(&self, idn: u8) -> Result<u32, u8> {
        if let Some(at) = FLAGS.iter().position(|known| *known == idn) {
            return Ok(u32::from(self.flags[at]));
        }
        match idn {
            _ if idn > LAST_FLAG => Err(result::INVALID_IDN),
            _ if FIXED_FLAGS.contains(&idn) => Ok(u32::from(idn == NO_UPDATE)),
            _ => Err(result::NOT_READABLE),
        }
    }

    /// Sets, clears or toggles a flag (opcodes 6 to 8).
    fn change_flag(&mut self, idn: u8, opcode: u8) -> Result<u32, u8> {
        if idn == DEVICE_INIT && opcode == 6 {
            return Ok(0);
        }
        if idn > LAST_FLAG {
            return Err(result::INVALID_IDN);
        }
        let at = FLAGS.iter().position(|known| *known == idn).ok_or(result::NOT_WRITEABLE)?;
        self.flags[at] = match opcode {
            6 => true,
            7 => false,
            _ => !self.flags[at],
        };
        Ok(u32::from(self.flags[at]))
    }
}

/// A descriptor of `len` bytes.
fn descriptor(len: u8, idn: u8) -> Vec<u8> {
    let mut data = vec![0; usize::from(len)];
    (data[0], data[1]) = (len, idn);
    data
}

/// A text, in big-endian UTF-16, in room for `room` units.
fn text(value: &str, room: usize) -> Vec<u8> {
    let mut data = descriptor(2 + 2 * room as u8, 5);
    let units: Vec<u8> = value.encode_utf16().take(room).flat_map(u16::to_be_bytes).collect();
    data[2..2 + units.len()].copy_from_slice(&units);
    data
}

impl Ufs {
    /// A query request.
    pub(super) fn query(&mut self, request: &Request) -> (u8, Vec<u8>) {
        let [function, opcode, idn, index, selector] = [5, 12, 13, 14, 15].map(|at| request.upiu[at]);
        let value = big(&request.upiu, 20);
        let mut data = Vec::new();
        let result = match (function, opcode) {
            (READ | WRITE, 0) => Ok(0),
            (READ, 1) => self.descriptor(idn, index, selector).map(|found| {
                let most = usize::from(u16::from_be_bytes([request.upiu[18], request.upiu[19]]));
                data = found;
                data.truncate(most);
                0
            }),
            // The configuration is locked.
            (WRITE, 2) => Err(result::NOT_WRITEABLE),
            (READ, 3) => self.device.attribute(idn),
            (WRITE, 4) => self.device.set_attribute(idn, value),
            (READ, 5) => self.device.flag(idn),
            (WRITE, 6..=8) => self.device.change_flag(idn, opcode),
            (READ | WRITE, _) => Err(result::INVALID_OPCODE),
            _ => Err(result::GENERAL_FAILURE),
        };
        let mut answer = request.answer(0, result.err().unwrap_or(0), 0, &data);
        answer[12..16].copy_from_slice(&[opcode, idn, index, selector]);
        answer[18..20].copy_from_slice(&(data.len() as u16).to_be_bytes());
        answer[20..24].copy_from_slice(&result.unwrap_or(0).to_be_bytes());
        (if result.is_ok() { ocs::SUCCESS } else { ocs::INVALID_TABLE }, answer)
    }

    /// A descriptor (14.1).
    fn descriptor(&self, idn: u8, index: u8, selector: u8) -> Result<Vec<u8>, u8> {
        if selector != 0 {
            return Err(result::INVALID_SELECTOR);
        }
        match idn {
            0x0 => Ok(self.device_descriptor()),
            0x2 => self.unit_descriptor(index),
            0x4 => {
                // UniPro 1.8, M-PHY 4.1.
                let mut data = descriptor(6, idn);
                data[2..6].copy_from_slice(&[0x01, 0x80, 0x04, 0x10]);
                Ok(data)
            }
            0x5 => match index {
                0 => Ok(text("REDHAT", 8)),
                1 => Ok(text("QEMU UFS", 16)),
                2 => Ok(text(&self.serial, self.serial.encode_utf16().count().min(126))),
                3 => Ok(text("", 0)),
                4 => Ok(text("0001", 4)),
                _ => Err(result::INVALID_INDEX),
            },
            0x7 => Ok(self.geometry()),
            0x8 => Ok(descriptor(98, idn)),
            0x9 => Ok(descriptor(45, idn)),
            _ => Err(result::INVALID_IDN),
        }
    }

    fn device_descriptor(&self) -> Vec<u8> {
        let mut data = descriptor(0x59, 0);
        // Embedded and not bootable; units; well-known units; active at first; all units have the same priority.
        data[4] = 1;
        data[6] = self.units.len() as u8;
        data[7] = 4;
        data[0x0a] = 1;
        data[0x0b] = 0x7f;
        // Version 4.0; texts; where and how long a unit's parameters would be in the configuration; RTTs.
        data[0x10] = 0x04;
        data[0x14..0x18].copy_from_slice(&[0, 1, 2, 3]);
        (data[0x1a], data[0x1b], data[0x1c]) = (0x16, 0x1a, 2);
        // Events of the temperature; slots; the revision's text.
        data[0x1f] = 3 << 4;
        data[0x21] = self.slots as u8;
        data[0x2a] = 4;
        data[0x52] = 3 << 4;
        data
    }

    fn unit_descriptor(&self, lun: u8) -> Result<Vec<u8>, u8> {
        if lun == RPMB {
            let mut data = descriptor(0x23, 2);
            data[2] = lun;
            return Ok(data);
        }
        let at = self.find(lun).map_err(|_| result::INVALID_INDEX)?;
        let mut data = descriptor(0x2d, 2);
        let unit = &self.units[at].1;
        (data[2], data[3], data[0x0a]) = (lun, 1, SHIFT as u8);
        data[0x0b..0x13].copy_from_slice(&unit.blocks().to_be_bytes());
        Ok(data)
    }

    fn geometry(&self) -> Vec<u8> {
        let mut data = descriptor(0x57, 7);
        let bytes: u64 = self.units.iter().map(|(_, unit)| unit.blocks() << SHIFT).fold(0, u64::saturating_add);
        data[0x04..0x0c].copy_from_slice(&(bytes >> 9).to_be_bytes());
        // 32 units; segments of 4 MiB, which are the units of allocation; blocks of 4 KiB; data in 4 KiB pieces.
        data[0x0c] = u8::from(MAX_UNITS == 32);
        data[0x0d..0x11].copy_from_slice(&0x2000u32.to_be_bytes());
        (data[0x11], data[0x12], data[0x15], data[0x16], data[0x17]) = (1, 8, 8, 8, 0x40);
        data[0x1a] = 5;
        data[0x1e..0x20].copy_from_slice(&[0x80, 0x01]);
        data
    }
}
