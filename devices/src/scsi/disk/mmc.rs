//! Commands of CD and DVD drives (MMC-6 chapter 6).

use super::Disk;
use crate::scsi::Sense;
use crate::scsi::task::{Failure, Task};

/// Most blocks of 2048 bytes of a CD: 80 minutes.
const CD_BLOCKS: u64 = 80 * 60 * 75;
/// Blocks in front of block 0: two seconds.
const PREGAP: u64 = 150;
/// Where data begins on a DVD-ROM, in its own count of sectors.
const DVD_FIRST: u64 = 0x3_0000;
/// Profiles (MMC-6 table 94).
const PROFILE_CD: u16 = 0x0008;
const PROFILE_DVD: u16 = 0x0010;

/// Event classes (MMC-6 6.6.2), as bits.
const CLASS_POWER: u8 = 2;
const CLASS_MEDIA: u8 = 4;

/// What is in the drive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Disc {
    None,
    Cd,
    Dvd,
}

impl Disc {
    fn profile(self) -> u16 {
        match self {
            Disc::None => 0,
            Disc::Cd => PROFILE_CD,
            Disc::Dvd => PROFILE_DVD,
        }
    }
}

/// A block's address in four bytes, as number or as minutes, seconds and frames.
fn address(lba: u64, msf: bool) -> [u8; 4] {
    if !msf {
        return u32::try_from(lba).unwrap_or(u32::MAX).to_be_bytes();
    }
    let frames = lba.saturating_add(PREGAP);
    [0, (frames / (60 * 75)).min(255) as u8, (frames / 75 % 60) as u8, (frames % 75) as u8]
}

/// Puts a length in two bytes in front.
fn with_length(body: &[u8]) -> Vec<u8> {
    let mut answer = (body.len() as u16).to_be_bytes().to_vec();
    answer.extend(body);
    answer
}

impl Disk {
    fn disc(&self) -> Disc {
        let bytes = self.state.blocks.saturating_mul(u64::from(self.config.block_size));
        match self.ready() {
            false => Disc::None,
            true if bytes > CD_BLOCKS * 2048 => Disc::Dvd,
            true => Disc::Cd,
        }
    }

    /// READ TOC/PMA/ATIP (MMC-6 6.25): one session with one track of data.
    pub(super) fn read_toc(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (msf, first) = (task.cdb.byte(1) & 2 != 0, task.cdb.byte(6));
        // Old drivers have the format in the last byte.
        let format = match task.cdb.byte(2) & 0x0f {
            0 => task.cdb.byte(9) >> 6,
            format => format,
        };
        let (begin, end) = (address(0, msf), address(self.state.blocks, msf));
        let mut body = vec![1, 1];
        match format {
            0 => {
                if first > 1 && first != 0xaa {
                    return Err(Sense::INVALID_FIELD.into());
                }
                if first <= 1 {
                    body.extend([0, 0x14, 1, 0]);
                    body.extend(begin);
                }
                body.extend([0, 0x16, 0xaa, 0]);
                body.extend(end);
            }
            // The first track of the last session.
            1 => {
                body.extend([0, 0x14, 1, 0]);
                body.extend(begin);
            }
            2 => {
                // First track, last track, lead-out, the track.
                let points = [(0xa0, [0, 1, 0, 0]), (0xa1, [0, 1, 0, 0]), (0xa2, end), (1, begin)];
                for (point, place) in points {
                    body.extend([1, 0x14, 0, point, 0, 0, 0]);
                    body.extend(place);
                }
            }
            _ => return Err(Sense::INVALID_FIELD.into()),
        }
        task.answer(&with_length(&body))
    }

    /// READ DISC INFORMATION (MMC-6 6.21).
    pub(super) fn disc_information(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        if task.cdb.byte(1) & 7 != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        // Finalized, last session complete; first track, sessions, first and last track of the last; no restrictions.
        let mut body = vec![0x0e, 1, 1, 1, 1, 0x20];
        body.resize(32, 0);
        task.answer(&with_length(&body))
    }

    /// READ TRACK INFORMATION (MMC-6 6.26).
    pub(super) fn track_information(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (kind, n) = (task.cdb.byte(1) & 3, task.cdb.field(2, 4));
        let known = match kind {
            0 => n < self.state.blocks,
            1 | 2 => n == 1,
            _ => false,
        };
        if !known {
            return Err(Sense::INVALID_FIELD.into());
        }
        // Track 1 of session 1: data, mode 1, from block 0 on.
        let mut body = vec![1, 1, 0, 0x04, 0x01, 0];
        body.resize(22, 0);
        body.extend(address(self.state.blocks, false));
        body.resize(34, 0);
        task.answer(&with_length(&body))
    }

    /// GET CONFIGURATION (MMC-6 6.5 and 5.3).
    pub(super) fn configuration(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (wanted, start) = (task.cdb.byte(1) & 3, task.cdb.field(2, 2) as u16);
        let disc = self.disc();
        let profile = |n: u16| [(n >> 8) as u8, n as u8, u8::from(disc.profile() == n), 0];
        let profiles = [profile(PROFILE_DVD), profile(PROFILE_CD)].concat();
        let block = self.config.block_size.to_be_bytes();
        let (any, cd, dvd) = (disc != Disc::None, disc == Disc::Cd, disc == Disc::Dvd);
        // Feature code, version, persistent, current, and its own data.
        let features: [(u16, u8, bool, bool, &[u8]); 7] = [
            (0x0000, 0, true, true, &profiles),
            // Core: SCSI, block events.
            (0x0001, 2, true, true, &[0, 0, 0, 1, 1, 0, 0, 0]),
            // Removable medium: tray, loads, ejects, locks.
            (0x0003, 2, true, true, &[0x39, 0, 0, 0]),
            // Random readable, in blocks.
            (0x0010, 0, false, any, &[block[0], block[1], block[2], block[3], 0, 1, 0, 0]),
            (0x001e, 2, false, cd, &[0, 0, 0, 0]),
            (0x001f, 0, false, dvd, &[]),
            // Power management.
            (0x0100, 0, true, true, &[]),
        ];
        let mut list = Vec::new();
        for (code, version, persistent, current, data) in features {
            let asked = match wanted {
                0 => code >= start,
                1 => code >= start && current,
                2 => code == start,
                _ => return Err(Sense::INVALID_FIELD.into()),
            };
            if asked {
                list.extend(code.to_be_bytes());
                list.extend([version << 2 | u8::from(persistent) << 1 | u8::from(current), data.len() as u8]);
                list.extend(data);
            }
        }
        let mut answer = (list.len() as u32 + 4).to_be_bytes().to_vec();
        answer.extend([0, 0]);
        answer.extend(disc.profile().to_be_bytes());
        answer.extend(list);
        task.answer(&answer)
    }

    /// GET EVENT STATUS NOTIFICATION (MMC-6 6.6).
    pub(super) fn event_status(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        // Only polling: nobody is told by itself.
        if task.cdb.byte(1) & 1 == 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let supported = 1 << CLASS_POWER | 1 << CLASS_MEDIA;
        let wanted = task.cdb.byte(4) & supported;
        let happened = (self.state.new_medium || self.state.eject_request) && !self.state.tray_open;
        let media = wanted & 1 << CLASS_MEDIA != 0;
        let answer = if media && (happened || wanted & 1 << CLASS_POWER == 0) {
            let status = if self.state.tray_open { 1 } else { u8::from(self.state.present) << 1 };
            // What is told here is over, if there is room to tell it.
            let room = task.expected.bytes > 4;
            let event = match (happened, self.state.new_medium) {
                (false, _) => 0,
                (true, true) => {
                    self.state.new_medium &= !room;
                    2
                }
                (true, false) => {
                    self.state.eject_request &= !room;
                    1
                }
            };
            [0, 4 + 2, CLASS_MEDIA, supported, event, status, 0, 0]
        } else if wanted != 0 {
            // No change; the drive is active.
            [0, 4 + 2, CLASS_POWER, supported, 0, 1, 0, 0]
        } else {
            return task.answer(&[0, 2, 0x80, supported]);
        };
        task.answer(&answer)
    }

    /// MECHANISM STATUS (MMC-6 6.10): no changer; is the door open?
    pub(super) fn mechanism_status(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        task.answer(&[0, u8::from(self.state.tray_open) << 4, 0, 0, 0, 0, 0, 0])
    }

    /// READ DISC STRUCTURE of DVDs (MMC-6 6.22).
    pub(super) fn dvd_structure(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        const LISTED: [(u8, u16); 3] = [(0x00, 2048 + 4), (0x01, 4 + 4), (0x04, 2048 + 4)];
        let (media, layer, format) = (task.cdb.byte(1) & 0x0f, task.cdb.byte(6), task.cdb.byte(7));
        if media != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        if format == 0xff {
            let mut body = vec![0, 0];
            for (format, len) in LISTED {
                // Readable, not writable.
                body.extend([format, 0x40]);
                body.extend(len.to_be_bytes());
            }
            return task.answer(&with_length(&body));
        }
        if self.disc() != Disc::Dvd {
            return Err(Sense::INCOMPATIBLE_MEDIUM.into());
        }
        let known = LISTED.iter().find(|row| row.0 == format).filter(|_| layer == 0);
        let mut body = vec![0; usize::from(known.ok_or(Sense::INVALID_FIELD)?.1) - 2];
        if format == 0 {
            // DVD-ROM, part version 1; 120 mm; one layer, read-only.
            body[2..6].copy_from_slice(&[0x01, 0x0f, 0x01, 0x00]);
            let last = DVD_FIRST + self.state.blocks.saturating_sub(1);
            body[6..10].copy_from_slice(&address(DVD_FIRST, false));
            body[10..14].copy_from_slice(&address(last, false));
        }
        // Formats 1 and 4: no protection, and no word of the manufacturer.
        task.answer(&with_length(&body))
    }

    /// READ CD (MMC-6 6.19): sectors of 2048 bytes of user data.  Raw sectors, headers and sub-channels are not built.
    pub(super) fn read_cd(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (lba, count) = (task.cdb.field(2, 4), task.cdb.field(6, 3));
        let kind = task.cdb.byte(1) >> 2 & 7;
        // Any type, mode 1, mode 2 form 1.
        if ![0, 2, 4].contains(&kind) || task.cdb.byte(10) & 7 != 0 || self.config.block_size != 2048 {
            return Err(Sense::INVALID_FIELD.into());
        }
        if lba + count > self.state.blocks {
            return Err(Sense::LBA_OUT_OF_RANGE.at(lba).into());
        }
        match task.cdb.byte(9) & 0xfe {
            // Nothing of the sectors.
            0x00 => Ok(()),
            0x10 => self.read_blocks(task, lba, count),
            _ => Err(Sense::INVALID_FIELD.into()),
        }
    }
}
