//! How commands end: status and sense data (SAM-5 5.3, SPC-4 4.5).

use serde::{Deserialize, Serialize};

/// Status codes (SAM-5 5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum Status {
    Good = 0x00,
    CheckCondition = 0x02,
    Busy = 0x08,
    ReservationConflict = 0x18,
    TaskSetFull = 0x28,
    TaskAborted = 0x40,
}

/// Sense keys (SPC-4 4.5.6).
pub mod key {
    #![allow(missing_docs, reason = "the names are the standard's")]
    pub const NO_SENSE: u8 = 0;
    pub const NOT_READY: u8 = 2;
    pub const MEDIUM_ERROR: u8 = 3;
    pub const HARDWARE_ERROR: u8 = 4;
    pub const ILLEGAL_REQUEST: u8 = 5;
    pub const UNIT_ATTENTION: u8 = 6;
    pub const DATA_PROTECT: u8 = 7;
    pub const ABORTED_COMMAND: u8 = 11;
    pub const MISCOMPARE: u8 = 14;
}

/// Length of sense data in fixed format, in bytes.
pub const FIXED_LEN: usize = 18;

/// What went wrong, or happened (SPC-4 4.5.6 and annex F.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sense {
    /// The sense key.
    pub key: u8,
    /// The additional sense code.
    pub asc: u8,
    /// Its qualifier.
    pub ascq: u8,
    /// The block or byte that it is about.
    pub info: Option<u64>,
}

/// One of the standard's conditions.
const fn of(key: u8, asc: u8, ascq: u8) -> Sense {
    Sense { key, asc, ascq, info: None }
}

#[allow(missing_docs, reason = "the names are the standard's")]
impl Sense {
    pub const NONE: Sense = of(key::NO_SENSE, 0x00, 0x00);
    pub const NO_MEDIUM_TRAY_CLOSED: Sense = of(key::NOT_READY, 0x3a, 0x01);
    pub const NO_MEDIUM_TRAY_OPEN: Sense = of(key::NOT_READY, 0x3a, 0x02);
    pub const NOT_READY_REMOVAL_PREVENTED: Sense = of(key::NOT_READY, 0x53, 0x02);
    pub const WRITE_ERROR: Sense = of(key::MEDIUM_ERROR, 0x0c, 0x00);
    pub const READ_ERROR: Sense = of(key::MEDIUM_ERROR, 0x11, 0x00);
    pub const PARAMETER_LIST_LENGTH: Sense = of(key::ILLEGAL_REQUEST, 0x1a, 0x00);
    pub const INVALID_OPCODE: Sense = of(key::ILLEGAL_REQUEST, 0x20, 0x00);
    pub const LBA_OUT_OF_RANGE: Sense = of(key::ILLEGAL_REQUEST, 0x21, 0x00);
    pub const INVALID_FIELD: Sense = of(key::ILLEGAL_REQUEST, 0x24, 0x00);
    pub const LUN_NOT_SUPPORTED: Sense = of(key::ILLEGAL_REQUEST, 0x25, 0x00);
    pub const INVALID_PARAMETER: Sense = of(key::ILLEGAL_REQUEST, 0x26, 0x00);
    pub const INCOMPATIBLE_MEDIUM: Sense = of(key::ILLEGAL_REQUEST, 0x30, 0x00);
    pub const SAVING_NOT_SUPPORTED: Sense = of(key::ILLEGAL_REQUEST, 0x39, 0x00);
    pub const REMOVAL_PREVENTED: Sense = of(key::ILLEGAL_REQUEST, 0x53, 0x02);
    pub const MEDIUM_CHANGED: Sense = of(key::UNIT_ATTENTION, 0x28, 0x00);
    pub const RESET: Sense = of(key::UNIT_ATTENTION, 0x29, 0x00);
    pub const CAPACITY_CHANGED: Sense = of(key::UNIT_ATTENTION, 0x2a, 0x09);
    pub const MEDIUM_REMOVED: Sense = of(key::UNIT_ATTENTION, 0x3a, 0x00);
    pub const LUNS_CHANGED: Sense = of(key::UNIT_ATTENTION, 0x3f, 0x0e);
    pub const WRITE_PROTECTED: Sense = of(key::DATA_PROTECT, 0x27, 0x00);
    pub const NO_SPACE: Sense = of(key::DATA_PROTECT, 0x27, 0x07);
    pub const DATA_PHASE: Sense = of(key::ABORTED_COMMAND, 0x4b, 0x00);
    pub const MISCOMPARE: Sense = of(key::MISCOMPARE, 0x1d, 0x00);
}

impl Sense {
    /// The same, about block or byte `info`.
    #[must_use]
    pub const fn at(self, info: u64) -> Sense {
        Sense { info: Some(info), ..self }
    }

    /// In fixed format (SPC-4 4.5.3); an information field of more than 32 bits does not fit.
    #[must_use]
    pub fn fixed(self) -> [u8; FIXED_LEN] {
        let mut bytes = [0; FIXED_LEN];
        bytes[0] = 0x70;
        bytes[2] = self.key;
        if let Some(info) = self.info.and_then(|info| u32::try_from(info).ok()) {
            bytes[0] |= 0x80;
            bytes[3..7].copy_from_slice(&info.to_be_bytes());
        }
        bytes[7] = FIXED_LEN as u8 - 8;
        (bytes[12], bytes[13]) = (self.asc, self.ascq);
        bytes
    }

    /// In descriptor format (SPC-4 4.5.2).
    #[must_use]
    pub fn descriptor(self) -> Vec<u8> {
        let mut bytes = vec![0x72, self.key, self.asc, self.ascq, 0, 0, 0, 0];
        if let Some(info) = self.info {
            bytes[7] = 12;
            bytes.extend([0x00, 0x0a, 0x80, 0x00]);
            bytes.extend(info.to_be_bytes());
        }
        bytes
    }
}
