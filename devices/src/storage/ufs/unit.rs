//! Logical units of a UFS device: SCSI disks with blocks of 4 KiB (JESD220F, 11), and the well-known units.

use super::request::MOST;
use crate::scsi::disk::{self, Disk};
use crate::scsi::{Cdb, Data, Failure, Sense, Unit};
use serde::{Deserialize, Serialize};
use tern_core::backend::Block;
use tern_core::snapshot::StateError;

/// Exponent of the block size.
pub(super) const SHIFT: u32 = 12;
/// Peripheral device type of well-known units.
const WELL_KNOWN: u8 = 0x1e;
/// Well-known units: reports, device, boot, protected memory.
const WELL_KNOWN_UNITS: [u8; 4] = [0x81, 0xd0, 0xb0, 0xc4];
/// What units call themselves: vendor, product, revision.
const NAMES: [&str; 3] = ["QEMU", "QEMU UFS", "0001"];

/// Operation codes that are not the disk's own affair.
mod op {
    pub(super) const TEST_UNIT_READY: u8 = 0x00;
    pub(super) const REQUEST_SENSE: u8 = 0x03;
    pub(super) const INQUIRY: u8 = 0x12;
    pub(super) const START_STOP: u8 = 0x1b;
}

/// Hands over an answer, of which the initiator wants so much.
fn give(data: &mut dyn Data, answer: &[u8], most: u64) -> Result<(), Failure> {
    let len = answer.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    data.write(&answer[..len])?;
    Ok(())
}

/// REPORT LUNS: logical units, well-known ones, or both (SPC-4 6.33).
pub(super) fn report_luns(cdb: &Cdb, luns: &[u8], data: &mut dyn Data) -> Result<(), Failure> {
    let (select, most) = (cdb.byte(2), cdb.field(6, 4));
    if most < 16 || select > 2 {
        return Err(Sense::INVALID_FIELD.into());
    }
    let mut answer = vec![0; 8];
    if select != 1 {
        luns.iter().for_each(|lun| answer.extend([0, *lun, 0, 0, 0, 0, 0, 0]));
    }
    if select != 0 {
        WELL_KNOWN_UNITS.iter().for_each(|lun| answer.extend([0xc1, lun & 0x7f, 0, 0, 0, 0, 0, 0]));
    }
    let len = answer.len() as u32 - 8;
    answer[..4].copy_from_slice(&len.to_be_bytes());
    give(data, &answer, most)
}

/// A command to a well-known unit, or to none.
pub(super) fn well_known(lun: u8, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure> {
    if !WELL_KNOWN_UNITS.contains(&lun) {
        return Err(Sense::LUN_NOT_SUPPORTED.into());
    }
    match (cdb.op(), cdb.byte(1) & 1, cdb.byte(2)) {
        (op::TEST_UNIT_READY | op::START_STOP, ..) => Ok(()),
        (op::REQUEST_SENSE, ..) => give(data, &Sense::NONE.fixed(), cdb.field(4, 1)),
        (op::INQUIRY, 0, 0) => {
            // SPC-4, 36 bytes, commands can be queued.
            let mut answer = vec![WELL_KNOWN, 0, 6, 2, 31, 0, 0, 2];
            for (name, len) in NAMES.iter().zip([8, 16, 4]) {
                answer.extend(name.bytes().chain(core::iter::repeat(b' ')).take(len));
            }
            give(data, &answer, cdb.field(3, 2))
        }
        (op::INQUIRY, 1, 0) => give(data, &[WELL_KNOWN, 0, 0, 1, 0], cdb.field(3, 2)),
        (op::INQUIRY, ..) => Err(Sense::INVALID_FIELD.into()),
        _ => Err(Sense::INVALID_OPCODE.into()),
    }
}

/// What is saved of a unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct LogicalState {
    attention: Option<Sense>,
    unit: Vec<u8>,
}

/// A logical unit.
pub(super) struct Logical {
    unit: Box<dyn Unit>,
    /// What the next command hears instead of an answer.
    attention: Option<Sense>,
}

impl Logical {
    pub(super) fn new(disk: Box<dyn Block>) -> Logical {
        let config = disk::Config {
            block_size: 1 << SHIFT,
            physical_block_size: 1 << SHIFT,
            names: NAMES.map(str::to_owned),
            version: 6,
            dpofua: true,
            max_io: MOST,
            rotation_rate: 1,
            ..disk::Config::default()
        };
        Logical { unit: Box::new(Disk::new(Some(disk), config)), attention: Some(Sense::RESET) }
    }

    /// As after power-on.
    pub(super) fn reset(&mut self) {
        self.unit.reset();
        self.attention = Some(Sense::RESET);
    }

    /// It has been reset by a task management request.
    pub(super) fn attention(&mut self) {
        self.attention = Some(Sense::RESET);
    }

    /// Looks whether the medium is another one.
    pub(super) fn look(&mut self) {
        self.attention = self.unit.changed().last().copied().or(self.attention);
    }

    pub(super) fn blocks(&self) -> u64 {
        self.unit.blocks()
    }

    pub(super) fn save(&self) -> Result<LogicalState, StateError> {
        Ok(LogicalState { attention: self.attention, unit: self.unit.save()? })
    }

    pub(super) fn load(&mut self, state: &LogicalState) -> Result<(), StateError> {
        self.unit.load(&state.unit)?;
        self.attention = state.attention;
        Ok(())
    }

    /// Executes a command.
    pub(super) fn execute(&mut self, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure> {
        // REQUEST SENSE ends with an attention, as it does in QEMU, whose drivers clear them so; INQUIRY does not.
        if cdb.op() != op::INQUIRY
            && let Some(sense) = self.attention.take()
        {
            return Err(sense.into());
        }
        match cdb.op() {
            op::REQUEST_SENSE => give(data, &Sense::NONE.fixed(), cdb.field(4, 1)),
            _ => self.unit.execute(cdb, data),
        }
    }
}
