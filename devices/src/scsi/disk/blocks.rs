//! Commands that move, compare and unmap blocks (SBC-3 chapter 5).

use super::{Disk, PIECE};
use crate::scsi::Sense;
use crate::scsi::task::{Failure, Task};
use tern_core::backend::BlockError;

/// What the byte check field of VERIFY asks for (SBC-3 table 119).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verify {
    /// Can the blocks be read?
    Readable,
    /// Are they as the data?
    Same,
    /// Reserved, or not built: one block that all are compared with.
    Unknown,
}

/// The sense data for an error of the medium at block `lba`.
fn sense(e: &BlockError, writing: bool, lba: u64) -> Sense {
    match e {
        BlockError::OutOfRange => Sense::LBA_OUT_OF_RANGE.at(lba),
        BlockError::ReadOnly => Sense::WRITE_PROTECTED,
        BlockError::NoSpace => Sense::NO_SPACE,
        BlockError::Unsupported => Sense::INVALID_FIELD,
        BlockError::Io(_) if writing => Sense::WRITE_ERROR.at(lba),
        BlockError::Io(_) => Sense::READ_ERROR.at(lba),
    }
}

/// Force unit access, in commands of more than six bytes.
fn fua(task: &Task<'_>) -> bool {
    task.cdb.op() >= 0x20 && task.cdb.byte(1) & 8 != 0
}

impl Disk {
    fn block(&self) -> u64 {
        u64::from(self.config.block_size)
    }

    /// Are `count` blocks from `lba` on inside of the medium?
    fn range(&self, lba: u64, count: u64) -> Result<(), Failure> {
        let inside = lba.checked_add(count).is_some_and(|end| end <= self.state.blocks);
        if inside { Ok(()) } else { Err(Sense::LBA_OUT_OF_RANGE.at(lba).into()) }
    }

    /// The blocks that a command is about.  Protection information is not built (SBC-3 4.22).
    fn span(&self, task: &Task<'_>) -> Result<(u64, u64), Failure> {
        let protected = task.cdb.op() >= 0x20 && task.cdb.byte(1) & 0xe0 != 0;
        if protected && self.config.version > 2 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let (lba, count) = (task.cdb.lba(), task.cdb.blocks());
        self.range(lba, count)?;
        Ok((lba, count))
    }

    fn writable(&self) -> Result<(), Failure> {
        if self.read_only() { Err(Sense::WRITE_PROTECTED.into()) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let medium = self.medium()?;
        medium.flush().map_err(|e| Failure::from(sense(&e, true, 0)))
    }

    /// What was written is durable now, if writes are not cached or `now`.
    fn written(&mut self, now: bool) -> Result<(), Failure> {
        if now || !self.state.write_cache { self.flush() } else { Ok(()) }
    }

    /// Pieces of whole blocks: (byte on the medium, bytes), for `count` blocks from `lba` on.
    fn pieces(&self, lba: u64, count: u64) -> impl Iterator<Item = (u64, usize)> + use<> {
        let block = self.block();
        let each = (PIECE as u64 / block).max(1);
        (0..count.div_ceil(each)).map(move |n| ((lba + n * each) * block, ((count - n * each).min(each) * block) as usize))
    }

    /// READ (SBC-3 5.8 to 5.11).
    pub(super) fn read(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (lba, count) = self.span(task)?;
        if fua(task) && !self.read_only() {
            self.flush()?;
        }
        self.read_blocks(task, lba, count)
    }

    /// Reads blocks as far as there is room for them.
    pub(super) fn read_blocks(&mut self, task: &mut Task<'_>, lba: u64, count: u64) -> Result<(), Failure> {
        let block = self.block();
        let mut piece = core::mem::take(&mut self.piece);
        piece.resize(PIECE, 0);
        let mut result = Ok(());
        for (at, len) in self.pieces(lba, count) {
            let part = &mut piece[..len];
            result = match self.medium() {
                Ok(medium) => medium.read(at, part).map_err(|e| sense(&e, false, at / block).into()),
                Err(e) => Err(e.into()),
            };
            match result.and_then(|()| task.data.write(part).map_err(Failure::from)) {
                Ok(n) if n == len => result = Ok(()),
                end => {
                    result = end.map(|_| ());
                    break;
                }
            }
        }
        self.piece = piece;
        result
    }

    /// WRITE, WRITE AND VERIFY (SBC-3 5.28 to 5.35).
    pub(super) fn write(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        self.writable()?;
        let (lba, count) = self.span(task)?;
        let verify = matches!(task.cdb.op(), 0x2e | 0x8e | 0xae);
        let block = self.block();
        let mut piece = core::mem::take(&mut self.piece);
        piece.resize(PIECE, 0);
        let mut result = Ok(());
        for (at, len) in self.pieces(lba, count) {
            let part = &mut piece[..len];
            result = match task.data.read(part) {
                Ok(n) if n == len => self.medium().map_err(Failure::from).and_then(|medium| {
                    medium.write(at, part).map_err(|e| sense(&e, true, at / block).into())
                }),
                Ok(_) => Err(Sense::DATA_PHASE.into()),
                Err(e) => Err(e.into()),
            };
            if result.is_err() {
                break;
            }
        }
        self.piece = piece;
        result?;
        if count > 0 { self.written(fua(task) || verify) } else { Ok(()) }
    }

    /// VERIFY (SBC-3 5.24 to 5.27).  Whether blocks can be read is found when they are: the backend keeps them.
    pub(super) fn verify_blocks(&mut self, task: &mut Task<'_>, how: Verify) -> Result<(), Failure> {
        let (lba, count) = self.span(task)?;
        match how {
            Verify::Readable => return Ok(()),
            Verify::Unknown => return Err(Sense::INVALID_FIELD.into()),
            Verify::Same => {}
        }
        let block = self.block();
        let (mut ours, mut theirs) = (vec![0; PIECE], vec![0; PIECE]);
        for (at, len) in self.pieces(lba, count) {
            let (ours, theirs) = (&mut ours[..len], &mut theirs[..len]);
            if task.data.read(theirs)? < len {
                return Err(Sense::DATA_PHASE.into());
            }
            self.medium()?.read(at, ours).map_err(|e| sense(&e, false, at / block))?;
            if let Some(n) = ours.iter().zip(theirs.iter()).position(|(a, b)| a != b) {
                return Err(Sense::MISCOMPARE.at(at - lba * block + n as u64).into());
            }
        }
        Ok(())
    }

    /// SYNCHRONIZE CACHE (SBC-3 5.22 and 5.23): all of it, whatever is asked for.
    pub(super) fn synchronize(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        self.range(task.cdb.lba(), task.cdb.blocks())?;
        self.flush()
    }

    /// SEEK (SBC-2 5.30).
    pub(super) fn seek(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        self.range(task.cdb.lba(), 1)
    }

    /// FORMAT UNIT (SBC-3 5.3): the medium is as it should be already.
    pub(super) fn format(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        self.writable()?;
        // Protection information, and lists of defects, are not built.
        let header = task.parameters()?;
        let listed = match header.len() {
            4 => header[2] != 0 || header[3] != 0,
            8 => header[4..8] != [0; 4],
            _ => false,
        };
        if task.cdb.byte(1) & 0xc0 != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        if listed { Err(Sense::INVALID_PARAMETER.into()) } else { Ok(()) }
    }

    /// UNMAP (SBC-3 5.23).
    pub(super) fn unmap(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        if task.cdb.byte(1) & 1 != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let list = task.parameters()?;
        if list.is_empty() {
            return Ok(());
        }
        let [d0, d1, b0, b1, _, _, _, _, ranges @ ..] = &list[..] else {
            return Err(Sense::PARAMETER_LIST_LENGTH.into());
        };
        let data = usize::from(u16::from_be_bytes([*d0, *d1]));
        let bytes = usize::from(u16::from_be_bytes([*b0, *b1]));
        if data + 2 > list.len() || bytes > ranges.len() || !bytes.is_multiple_of(16) {
            return Err(Sense::PARAMETER_LIST_LENGTH.into());
        }
        self.writable()?;
        let block = self.block();
        for range in ranges[..bytes].chunks_exact(16) {
            let number = |part: &[u8]| part.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
            let (lba, count) = (number(&range[..8]), number(&range[8..12]));
            self.range(lba, count)?;
            if count == 0 || self.config.discard_granularity == 0 {
                continue;
            }
            match self.medium()?.discard(lba * block, count * block) {
                // Unmapping is a hint: what cannot be unmapped stays.
                Ok(()) | Err(BlockError::Unsupported) => {}
                Err(e) => return Err(sense(&e, true, lba).into()),
            }
        }
        self.written(false)
    }

    /// WRITE SAME (SBC-3 5.42 and 5.43).
    pub(super) fn write_same(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (flags, lba, count) = (task.cdb.byte(1), task.cdb.lba(), task.cdb.blocks());
        // Anchors and blocks that hold their own addresses are not built; no blocks means too many (WSNZ).
        if flags & 0xf6 != 0 || count == 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        self.writable()?;
        self.range(lba, count)?;
        let block = self.block();
        let pattern = task.parameters()?;
        if pattern.iter().all(|byte| *byte == 0) {
            let medium = self.medium()?;
            medium.write_zeroes(lba * block, count * block, flags & 8 != 0).map_err(|e| sense(&e, true, lba))?;
            return self.written(false);
        }
        if self.config.max_io != 0 && count > self.config.max_io / block {
            return Err(Sense::INVALID_FIELD.into());
        }
        let whole = pattern.repeat(PIECE.div_ceil(pattern.len()));
        for (at, len) in self.pieces(lba, count) {
            self.medium()?.write(at, &whole[..len]).map_err(|e| sense(&e, true, at / block))?;
        }
        self.written(false)
    }

    /// READ CAPACITY(10) (SBC-3 5.15).
    pub(super) fn capacity_10(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        if task.cdb.byte(8) & 1 == 0 && task.cdb.lba() != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let last = self.state.blocks.saturating_sub(1).min(u64::from(u32::MAX)) as u32;
        let mut answer = last.to_be_bytes().to_vec();
        answer.extend(self.config.block_size.to_be_bytes());
        task.answer(&answer)
    }

    /// READ CAPACITY(16) (SBC-3 5.16).
    pub(super) fn capacity_16(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let mut answer = self.state.blocks.saturating_sub(1).to_be_bytes().to_vec();
        answer.extend(self.config.block_size.to_be_bytes());
        answer.resize(32, 0);
        answer[13] = (self.config.physical_block_size / self.config.block_size).max(1).ilog2() as u8;
        // Blocks can be unmapped; what they read as then is not said.
        answer[14] = if self.config.discard_granularity != 0 { 0x80 } else { 0 };
        task.answer(&answer)
    }
}
