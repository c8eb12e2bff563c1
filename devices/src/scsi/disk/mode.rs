//! Mode pages (SPC-4 7.5, SBC-3 6.5, MMC-6 7).

use super::Disk;
use crate::scsi::Sense;
use crate::scsi::task::{Failure, Task};

/// Page codes.
mod page {
    pub(super) const RECOVERY: u8 = 0x01;
    pub(super) const GEOMETRY: u8 = 0x04;
    pub(super) const FLEXIBLE: u8 = 0x05;
    pub(super) const CACHING: u8 = 0x08;
    pub(super) const CONTROL: u8 = 0x0a;
    pub(super) const AUDIO: u8 = 0x0e;
    pub(super) const CAPABILITIES: u8 = 0x2a;
    pub(super) const ALL: u8 = 0x3f;
}

/// Write cache enable, in the caching page.
const WCE: u8 = 4;
/// Data of 2048-byte sectors a second at single speed, in kB/s as drives count.
const SPEED: u16 = 176;

/// Which values MODE SENSE asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Values {
    Current,
    Changeable,
    Default,
}

impl Disk {
    fn pages(&self) -> &'static [u8] {
        if self.config.cd {
            &[page::RECOVERY, page::CACHING, page::AUDIO, page::CAPABILITIES]
        } else {
            &[page::RECOVERY, page::GEOMETRY, page::FLEXIBLE, page::CACHING, page::CONTROL]
        }
    }

    /// A page behind its code and length.
    fn page(&self, code: u8, values: Values) -> Option<Vec<u8>> {
        if !self.pages().contains(&code) {
            return None;
        }
        let mut body = match code {
            // Automatic write reallocation; a drive's read retries.
            page::RECOVERY if self.config.cd => vec![0x80, 0x20, 0, 0, 0, 0, 0, 0, 0, 0],
            page::RECOVERY => vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            page::GEOMETRY => self.rigid(),
            page::FLEXIBLE => self.flexible(),
            page::CACHING => {
                let on = match values {
                    Values::Current => self.state.write_cache,
                    Values::Changeable => true,
                    Values::Default => self.config.write_cache,
                };
                let mut body = vec![0; 18];
                body[0] = if on { WCE } else { 0 };
                return Some(body);
            }
            // Commands are reordered as the unit likes.
            page::CONTROL => vec![0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0],
            page::AUDIO => vec![0; 14],
            _ => self.capabilities(),
        };
        if values == Values::Changeable {
            body.fill(0);
            if code == page::RECOVERY && self.config.cd {
                body[0] = 0x80;
            }
        }
        Some(body)
    }

    /// Does a block descriptor leave the size of blocks as it is?
    fn keeps(&self, size: &[u8]) -> bool {
        let size = size.iter().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
        size == 0 || size == self.config.block_size
    }

    /// Cylinders, heads and sectors of a track.
    fn geometry(&self) -> [u32; 3] {
        let [cylinders, heads, sectors] = self.config.geometry;
        if cylinders != 0 {
            return [cylinders, heads, sectors];
        }
        let bytes = self.state.blocks.saturating_mul(u64::from(self.config.block_size));
        [(bytes / 512 / (16 * 63)).clamp(2, 16383) as u32, 16, 63]
    }

    /// Rigid disk geometry (SCSI-2 9.3.3.7).
    fn rigid(&self) -> Vec<u8> {
        let [cylinders, heads, _] = self.geometry();
        let [_, c2, c1, c0] = cylinders.to_be_bytes();
        let mut body = vec![c2, c1, c0, heads as u8];
        // Write precompensation and reduced current begin behind the last cylinder; step rate; landing zone.
        body.extend([c2, c1, c0, c2, c1, c0, 0, 200, 0xff, 0xff, 0xff]);
        body.resize(18, 0);
        body.extend(5400u16.to_be_bytes());
        body.resize(22, 0);
        body
    }

    /// Flexible disk geometry (SCSI-2 9.3.3.5), which old systems ask of any disk.
    fn flexible(&self) -> Vec<u8> {
        let [cylinders, heads, sectors] = self.geometry();
        let cylinders = u16::try_from(cylinders).unwrap_or(u16::MAX).to_be_bytes();
        let mut body = 5000u16.to_be_bytes().to_vec();
        body.extend([heads as u8, sectors as u8]);
        body.extend((self.config.block_size as u16).to_be_bytes());
        // Three times the last cylinder; then step rate and width, settling, motor on and off.
        (0..3).for_each(|_| body.extend(cylinders));
        body.extend([0, 1, 1, 0, 1, 1, 1]);
        body.resize(26, 0);
        body.extend(5400u16.to_be_bytes());
        body.resize(30, 0);
        body
    }

    /// CD/DVD capabilities and mechanical status (MMC-3 5.5.10).
    fn capabilities(&self) -> Vec<u8> {
        let half = |body: &mut Vec<u8>, n: u16| body.extend(n.to_be_bytes());
        // Reads CD-R, CD-RW, DVD-ROM; writes nothing; mode 2 and sessions; no audio.
        let mut body = vec![0x0b, 0x00, 0x70, 0x00];
        // A tray that can be locked and ejects, and is not locked at first.
        body.extend([0x29 | if self.state.locked { 2 } else { 0 }, 0]);
        half(&mut body, 50 * SPEED);
        half(&mut body, 0);
        // Buffer in KiB, current speed.
        half(&mut body, 2048);
        half(&mut body, 50 * SPEED);
        body.resize(20, 0);
        body
    }

    /// MODE SENSE (SPC-4 6.13 and 6.14).
    pub(super) fn mode_sense(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (short, code) = (task.cdb.op() == 0x1a, task.cdb.byte(2) & 0x3f);
        let subpage = task.cdb.byte(3);
        let values = match task.cdb.byte(2) >> 6 {
            0 => Values::Current,
            1 => Values::Changeable,
            2 => Values::Default,
            _ => return Err(Sense::SAVING_NOT_SUPPORTED.into()),
        };
        if subpage != 0 && !(code == page::ALL && subpage == 0xff) {
            return Err(Sense::INVALID_FIELD.into());
        }
        let mut pages = Vec::new();
        for known in self.pages().iter().filter(|known| code == page::ALL || code == **known) {
            let body = self.page(*known, values).unwrap_or_default();
            pages.extend([*known, body.len() as u8]);
            pages.extend(body);
        }
        if pages.is_empty() {
            return Err(Sense::INVALID_FIELD.into());
        }
        // Drives for CDs have neither device-specific bits nor block descriptors (MMC-6 7.2).
        let mut specific = 0;
        let mut descriptor = Vec::new();
        if !self.config.cd {
            specific = if self.read_only() { 0x80 } else { 0 } | if self.config.dpofua { 0x10 } else { 0 };
            if task.cdb.byte(1) & 8 == 0 && self.state.blocks > 0 {
                let blocks = if self.state.blocks > 0xff_ffff { 0 } else { self.state.blocks as u32 };
                descriptor.extend(blocks.to_be_bytes());
                descriptor.extend(self.config.block_size.to_be_bytes());
            }
        }
        let mut answer = if short {
            let len = 3 + descriptor.len() + pages.len();
            vec![u8::try_from(len).unwrap_or(u8::MAX), 0, specific, descriptor.len() as u8]
        } else {
            let len = 6 + descriptor.len() + pages.len();
            let [high, low] = (len as u16).to_be_bytes();
            vec![high, low, 0, specific, 0, 0, 0, descriptor.len() as u8]
        };
        answer.extend(descriptor);
        answer.extend(pages);
        task.answer(&answer)
    }

    /// MODE SELECT (SPC-4 6.10 and 6.11): all of it, or nothing.
    pub(super) fn mode_select(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        // Only pages as they are standardized, and no saved ones.
        if task.cdb.byte(1) & 0x11 != 0x10 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let list = task.parameters()?;
        if list.is_empty() {
            return Ok(());
        }
        let short = task.cdb.op() == 0x15;
        let (header, descriptors) = match &list[..] {
            [_, _, _, len, ..] if short => (4, usize::from(*len)),
            [_, _, _, _, _, _, high, low, ..] if !short => (8, usize::from(u16::from_be_bytes([*high, *low]))),
            _ => return Err(Sense::PARAMETER_LIST_LENGTH.into()),
        };
        let Some((descriptor, mut rest)) = list[header..].split_at_checked(descriptors) else {
            return Err(Sense::PARAMETER_LIST_LENGTH.into());
        };
        match descriptor {
            [] => {}
            // The size of blocks stays as it is; that of the medium cannot be chosen.
            [_, _, _, _, _, size @ ..] if size.len() == 3 && self.keeps(size) => {}
            _ => return Err(Sense::INVALID_PARAMETER.into()),
        }
        let mut write_cache = self.state.write_cache;
        while !rest.is_empty() {
            let [code, len, more @ ..] = rest else { return Err(Sense::PARAMETER_LIST_LENGTH.into()) };
            let Some((body, after)) = more.split_at_checked(usize::from(*len)) else {
                return Err(Sense::PARAMETER_LIST_LENGTH.into());
            };
            rest = after;
            // Bit 6 announces a subpage; there are none.
            let current = self.page(code & 0x7f, Values::Current).ok_or(Sense::INVALID_PARAMETER)?;
            let changeable = self.page(code & 0x7f, Values::Changeable).ok_or(Sense::INVALID_PARAMETER)?;
            let allowed = |n: usize, byte: u8| match (current.get(n), changeable.get(n)) {
                (Some(current), Some(mask)) => (current ^ byte) & !mask == 0,
                _ => false,
            };
            if !body.iter().enumerate().all(|(n, byte)| allowed(n, *byte)) {
                return Err(Sense::INVALID_PARAMETER.into());
            }
            if let (page::CACHING, [flags, ..]) = (code & 0x7f, body) {
                write_cache = flags & WCE != 0;
            }
        }
        let ends = self.state.write_cache && !write_cache;
        self.state.write_cache = write_cache;
        if ends && let Ok(medium) = self.medium() {
            // What was written under the old rule is made durable under the new one.
            medium.flush().map_err(|_| Sense::WRITE_ERROR)?;
        }
        Ok(())
    }
}
