//! Commands of the NVM command set (NVM Express 1.4, 6).

use super::Nvme;
use super::admin::BROADCAST;
use super::command::Command;
use super::namespace::Namespace;
use super::reach::{Piece, Way};
use super::status::{Answer, OK, Status};

const FLUSH: u8 = 0x00;
const WRITE: u8 = 0x01;
const READ: u8 = 0x02;
const COMPARE: u8 = 0x05;
const WRITE_ZEROES: u8 = 0x08;
const DATASET: u8 = 0x09;
const VERIFY: u8 = 0x0c;
const COPY: u8 = 0x19;

/// All commands, and whether they change contents.
pub(super) const COMMANDS: [(u8, bool); 8] = [
    (FLUSH, true),
    (WRITE, true),
    (READ, false),
    (COMPARE, false),
    (WRITE_ZEROES, true),
    (DATASET, true),
    (VERIFY, false),
    (COPY, true),
];

/// Dword 12: the data is durable when the command is complete; the blocks may be deallocated.
const FUA: u32 = 1 << 30;
const DEALLOCATE: u32 = 1 << 25;
/// Most blocks that a copy command copies.
const COPY_BLOCKS: u64 = 128;
/// Length of a range of copy and dataset management.
const COPY_RANGE: usize = 32;
const RANGE: usize = 16;

/// Dwords 10 and 11, and the lower half of dword 12, which is less one: a range of blocks.
fn range(ns: &Namespace, c: &Command) -> Result<(u64, u64), Status> {
    ns.range(c.pair(10), u64::from(c.dword(12) & 0xffff) + 1)
}

impl Nvme {
    /// Serves a command of an I/O queue.
    pub(super) fn io(&mut self, c: &Command) -> Result<Answer, Status> {
        if c.opcode() == FLUSH && c.nsid() == BROADCAST {
            self.namespaces.iter_mut().try_for_each(Namespace::flush)?;
            return OK;
        }
        let at = self.active(c.nsid())?;
        match c.opcode() {
            FLUSH => self.namespaces[at].flush()?,
            WRITE => self.write_blocks(at, c)?,
            READ => self.read_blocks(at, c)?,
            COMPARE => self.compare(at, c)?,
            WRITE_ZEROES => self.write_zeroes(at, c)?,
            DATASET => self.dataset(at, c)?,
            VERIFY => self.verify(at, c)?,
            COPY => self.copy(at, c)?,
            other => {
                self.kit.report.unimplemented(format_args!("I/O command {other:#x}"));
                return Err(Status::INVALID_OPCODE);
            }
        }
        OK
    }

    /// Offset and bytes of a command's blocks, and where in memory its data is.
    fn transfer(&self, at: usize, c: &Command, way: Way) -> Result<(u64, Vec<u8>, Vec<Piece>), Status> {
        let blocks = u64::from(c.dword(12) & 0xffff) + 1;
        if blocks << self.namespaces[at].shift() > self.options.limit() {
            return Err(Status::INVALID_FIELD);
        }
        let (offset, len) = range(&self.namespaces[at], c)?;
        let pieces = self.reach.pieces(c, len as usize, self.page(), way)?;
        Ok((offset, vec![0; len as usize], pieces))
    }

    fn read_blocks(&mut self, at: usize, c: &Command) -> Result<(), Status> {
        let (offset, mut data, pieces) = self.transfer(at, c, Way::ToHost)?;
        self.namespaces[at].read(offset, &mut data)?;
        self.reach.scatter(&pieces, &data)?;
        let work = &mut self.logs.work;
        work.reads = work.reads.wrapping_add(1);
        work.read_bytes = work.read_bytes.wrapping_add(data.len() as u64);
        Ok(())
    }

    fn write_blocks(&mut self, at: usize, c: &Command) -> Result<(), Status> {
        let (offset, mut data, pieces) = self.transfer(at, c, Way::FromHost)?;
        self.reach.gather(&pieces, &mut data)?;
        self.namespaces[at].write(offset, &data)?;
        let work = &mut self.logs.work;
        work.writes = work.writes.wrapping_add(1);
        work.written_bytes = work.written_bytes.wrapping_add(data.len() as u64);
        self.written(at, c)
    }

    /// After a change: what must be durable is.
    fn written(&mut self, at: usize, c: &Command) -> Result<(), Status> {
        let durable = c.dword(12) & FUA != 0 || !self.features.write_cache;
        if durable { self.namespaces[at].flush() } else { Ok(()) }
    }

    fn compare(&mut self, at: usize, c: &Command) -> Result<(), Status> {
        let (offset, mut expected, pieces) = self.transfer(at, c, Way::FromHost)?;
        self.reach.gather(&pieces, &mut expected)?;
        let mut found = vec![0; expected.len()];
        self.namespaces[at].read(offset, &mut found)?;
        if found == expected { Ok(()) } else { Err(Status::COMPARE) }
    }

    fn write_zeroes(&mut self, at: usize, c: &Command) -> Result<(), Status> {
        let ns = &mut self.namespaces[at];
        let (offset, len) = range(ns, c)?;
        ns.write_zeroes(offset, len, c.dword(12) & DEALLOCATE != 0)?;
        self.written(at, c)
    }

    fn verify(&mut self, at: usize, c: &Command) -> Result<(), Status> {
        let ns = &mut self.namespaces[at];
        let (offset, len) = range(ns, c)?;
        if len > self.options.limit() {
            return Err(Status::INVALID_FIELD);
        }
        ns.verify(offset, len)
    }

    /// Up to 256 ranges: context attributes, length, first block (6.7).  Hints are only hints.
    fn dataset(&mut self, at: usize, c: &Command) -> Result<(), Status> {
        if c.dword(11) & 4 == 0 {
            return Ok(());
        }
        let mut data = vec![0; RANGE * ((c.dword(10) & 0xff) as usize + 1)];
        let pieces = self.reach.pieces(c, data.len(), self.page(), Way::FromHost)?;
        self.reach.gather(&pieces, &mut data)?;
        let ns = &mut self.namespaces[at];
        for [_, _, _, _, a, b, c, d, lba @ ..] in data.as_chunks::<RANGE>().0 {
            let blocks = u32::from_le_bytes([*a, *b, *c, *d]);
            let (offset, len) = ns.range(u64::from_le_bytes(*lba), u64::from(blocks))?;
            if len > 0 {
                ns.discard(offset, len)?;
            }
        }
        Ok(())
    }

    /// Ranges in the format 0: first block at 8, blocks less one at 16 (NVM Express TP 4065a).
    fn copy(&mut self, at: usize, c: &Command) -> Result<(), Status> {
        let count = (c.dword(12) & 0xff) as usize + 1;
        if c.dword(12) >> 8 & 0xf != 0 {
            return Err(Status::INVALID_FIELD);
        }
        if count > COPY_BLOCKS as usize {
            return Err(Status::COPY_LIMIT);
        }
        let mut list = vec![0; COPY_RANGE * count];
        let pieces = self.reach.pieces(c, list.len(), self.page(), Way::FromHost)?;
        self.reach.gather(&pieces, &mut list)?;
        let ns = &mut self.namespaces[at];
        let mut ranges = Vec::new();
        let mut blocks = 0;
        for entry in list.as_chunks::<COPY_RANGE>().0 {
            let [a, b, c, d, e, f, g, h, i, j, ..] = entry[8..] else { continue };
            let len = u64::from(u16::from_le_bytes([i, j])) + 1;
            blocks += len;
            if blocks > COPY_BLOCKS {
                return Err(Status::COPY_LIMIT);
            }
            ranges.push(ns.range(u64::from_le_bytes([a, b, c, d, e, f, g, h]), len)?);
        }
        let (target, _) = ns.range(c.pair(10), blocks)?;
        let mut data = Vec::new();
        for (offset, len) in ranges {
            let from = data.len();
            data.resize(from + len as usize, 0);
            ns.read(offset, &mut data[from..])?;
        }
        ns.write(target, &data)?;
        self.written(at, c)
    }
}
