//! Who a unit is: INQUIRY and its pages of vital product data; reservations, logs and power (SPC-4 6.6, 7.8; SBC-3 6.6).

use super::Disk;
use crate::scsi::Sense;
use crate::scsi::task::{Failure, Task};

/// Appends a designator (SPC-4 7.8.6.1): protocol and code set, association and type.
fn designator(page: &mut Vec<u8>, code_set: u8, kind: u8, value: &[u8]) {
    page.extend([code_set, kind, 0, value.len() as u8]);
    page.extend(value);
}

/// Saturates into a field of 32 bits.
fn word(n: u64) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes()
}

impl Disk {
    /// INQUIRY (SPC-4 6.6).
    pub(super) fn inquiry(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (flags, page) = (task.cdb.byte(1), task.cdb.byte(2));
        if flags & 1 != 0 {
            let body = self.vital(page).ok_or(Sense::INVALID_FIELD)?;
            let mut answer = vec![self.peripheral_byte(), page, 0, body.len() as u8];
            answer.extend(body);
            return task.answer(&answer);
        }
        if page != 0 || flags & 2 != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let mut answer = vec![self.peripheral_byte(), if self.config.removable { 0x80 } else { 0 }];
        // Hierarchical addressing, response format 2; the length of the rest; tagged commands.
        answer.extend([self.config.version, 0x12, 91, 0, 0, 0x02]);
        for (name, len) in self.config.names.iter().zip([8, 16, 4]) {
            let text: Vec<u8> = name.bytes().chain(core::iter::repeat(b' ')).take(len).collect();
            answer.extend(text);
        }
        answer.resize(96, 0);
        // Version descriptors: SAM-5, SPC-4, and SBC-3 or MMC-6 (SPC-4 annex D).
        let own: u16 = if self.config.cd { 0x04e0 } else { 0x04c0 };
        for (n, version) in [0x00a0u16, 0x0460, own].iter().enumerate() {
            answer[58 + 2 * n..60 + 2 * n].copy_from_slice(&version.to_be_bytes());
        }
        task.answer(&answer)
    }

    fn peripheral_byte(&self) -> u8 {
        use crate::scsi::Unit;
        self.peripheral()
    }

    /// A page of vital product data behind its header.
    fn vital(&self, page: u8) -> Option<Vec<u8>> {
        match page {
            0x00 => {
                let serial: &[u8] = if self.config.serial.is_empty() { &[] } else { &[0x80] };
                let own: &[u8] = if self.config.cd { &[] } else { &[0xb0, 0xb1, 0xb2] };
                Some([&[0x00], serial, &[0x83], own].concat())
            }
            0x80 if !self.config.serial.is_empty() => Some(self.config.serial.as_bytes().to_vec()),
            0x83 => Some(self.designators()),
            0xb0 if !self.config.cd => Some(self.limits()),
            0xb1 if !self.config.cd => {
                let mut page = self.config.rotation_rate.to_be_bytes().to_vec();
                page.resize(60, 0);
                Some(page)
            }
            // UNMAP, WRITE SAME(16) and (10) unmap; the provisioning type is thin if anything is unmapped.
            0xb2 if !self.config.cd => Some(match self.config.discard_granularity {
                0 => vec![0, 0, 0, 0],
                _ => vec![0, 0xe0, 2, 0],
            }),
            _ => None,
        }
    }

    /// Device identification (SPC-4 7.8.6).
    fn designators(&self) -> Vec<u8> {
        let mut page = Vec::new();
        let id = self.config.device_id.as_bytes();
        if !id.is_empty() {
            // Vendor-specific text.
            designator(&mut page, 0x02, 0x00, &id[..id.len().min(200)]);
        }
        if self.config.wwn != 0 {
            designator(&mut page, 0x01, 0x03, &self.config.wwn.to_be_bytes());
        }
        if self.config.port_wwn != 0 {
            // SAS, target port, NAA.
            designator(&mut page, 0x61, 0x93, &self.config.port_wwn.to_be_bytes());
        }
        if self.config.port_index != 0 {
            let [high, low] = self.config.port_index.to_be_bytes();
            designator(&mut page, 0x61, 0x94, &[0, 0, high, low]);
        }
        page
    }

    /// Block limits (SBC-3 6.6.3).
    fn limits(&self) -> Vec<u8> {
        let block = u64::from(self.config.block_size);
        let most = self.config.max_io / block;
        let [smallest, best] = self.config.io_sizes.map(|bytes| {
            let blocks = bytes / block;
            if most == 0 { blocks } else { blocks.min(most) }
        });
        // WRITE SAME of nothing is refused.
        let mut page = vec![1, 0];
        page.extend(u16::try_from(smallest).unwrap_or(u16::MAX).to_be_bytes());
        page.extend(word(most));
        page.extend(word(best));
        page.extend([0; 4]);
        if self.config.discard_granularity != 0 {
            page.extend(word(self.config.max_unmap / block));
            // As many descriptors as fit into 4 KiB.
            page.extend(word(255));
            page.extend(word((self.config.discard_granularity / block).max(1)));
        } else {
            page.extend([0; 12]);
        }
        page.extend([0; 4]);
        page.extend(most.to_be_bytes());
        page.resize(60, 0);
        page
    }

    /// RESERVE and RELEASE (SPC-2 7.21, 7.22): there is one initiator, and it has what it asks for.
    pub(super) fn reserve(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        // Extents and third parties are obsolete.
        let mask = if task.cdb.op() < 0x20 { 0x11 } else { 0x13 };
        if task.cdb.byte(1) & mask != 0 { Err(Sense::INVALID_FIELD.into()) } else { Ok(()) }
    }

    /// LOG SENSE (SPC-4 6.12): the only page is the list of pages.
    pub(super) fn log_sense(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        match (task.cdb.byte(2) & 0x3f, task.cdb.byte(3)) {
            (0, 0) => task.answer(&[0, 0, 0, 1, 0]),
            _ => Err(Sense::INVALID_FIELD.into()),
        }
    }

    /// START STOP UNIT (SBC-3 5.20, MMC-6 6.45).  There is no motor to stop.
    pub(super) fn start_stop(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let how = task.cdb.byte(4);
        let (start, load, condition) = (how & 1 != 0, how & 2 != 0, how >> 4);
        if condition != 0 || !self.config.removable || !load {
            return Ok(());
        }
        if !start && !self.state.tray_open && self.state.locked {
            let present = self.state.present;
            return Err(if present { Sense::REMOVAL_PREVENTED } else { Sense::NOT_READY_REMOVAL_PREVENTED }.into());
        }
        if self.state.tray_open == start {
            self.move_tray(!start, true);
            // The guest has seen to it; a medium that it loads is new to it.
            self.state.eject_request = false;
            self.state.new_medium = start && self.state.present;
        }
        Ok(())
    }

    /// PREVENT ALLOW MEDIUM REMOVAL (SBC-3 5.13, MMC-6 6.18).
    pub(super) fn prevent(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        if self.config.removable {
            self.set_lock(task.cdb.byte(4) & 1 != 0);
        }
        Ok(())
    }
}
