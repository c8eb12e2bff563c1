//! Commands: descriptor blocks, the data that they move, and tables of what a unit can do (SAM-5 5.2, SPC-4 4.3).

use super::sense::Sense;
use tern_core::device::{BusError, Dma};

/// Longest command descriptor block that units take.
pub const CDB_LEN: usize = 16;
/// Most bytes of parameters or answers that are not blocks of a medium.
pub const MOST_PARAMETERS: u64 = 1 << 16;

/// Why a command did not end well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// With this sense data.
    Sense(Sense),
    /// The data could not be moved: the controller knows why.
    Fault(Fault),
}

impl From<Sense> for Failure {
    fn from(sense: Sense) -> Failure {
        Failure::Sense(sense)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::Fault(fault)
    }
}

/// The initiator's buffers cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault;

impl From<BusError> for Fault {
    fn from(_: BusError) -> Fault {
        Fault
    }
}

/// The buffers of a command: a stream of bytes to the unit (data-out), and one from it (data-in).  Units move data in pieces
/// of bounded size.
pub trait Data {
    /// Bytes of data-out that have not been read.
    fn out_left(&self) -> u64;

    /// Bytes of data-in that there is still room for.
    fn in_left(&self) -> u64;

    /// Reads the next bytes of data-out; less than `buf` holds if it ends.
    ///
    /// # Errors
    /// A buffer that is not there.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Fault>;

    /// Writes the next bytes of data-in; less than `buf` holds if there is no more room.
    ///
    /// # Errors
    /// A buffer that is not there.
    fn write(&mut self, buf: &[u8]) -> Result<usize, Fault>;
}

/// Buffers of the controller itself.
#[derive(Clone, Debug, Default)]
pub struct Local {
    out: Vec<u8>,
    read: usize,
    /// What the unit has written.
    pub answer: Vec<u8>,
    room: usize,
}

impl Local {
    /// `out` to be read, and room for `room` bytes.
    #[must_use]
    pub fn new(out: &[u8], room: usize) -> Local {
        Local { out: out.to_vec(), read: 0, answer: Vec::new(), room }
    }
}

impl Data for Local {
    fn out_left(&self) -> u64 {
        (self.out.len() - self.read) as u64
    }

    fn in_left(&self) -> u64 {
        (self.room - self.answer.len()) as u64
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Fault> {
        let n = buf.len().min(self.out.len() - self.read);
        buf[..n].copy_from_slice(&self.out[self.read..self.read + n]);
        self.read += n;
        Ok(n)
    }

    fn write(&mut self, buf: &[u8]) -> Result<usize, Fault> {
        let n = buf.len().min(self.room - self.answer.len());
        self.answer.extend_from_slice(&buf[..n]);
        Ok(n)
    }
}

/// Buffers in guest memory, listed as (address, length), that serve either direction.
pub struct Scatter<'a> {
    dma: &'a Dma,
    list: Vec<(u64, u64)>,
    out: bool,
    total: u64,
    moved: u64,
    index: usize,
    offset: u64,
}

impl<'a> Scatter<'a> {
    /// These buffers, of which at most `limit` bytes are used; they hold data-out if `out`, else they take data-in.
    #[must_use]
    pub fn new(dma: &'a Dma, list: Vec<(u64, u64)>, out: bool, limit: u64) -> Scatter<'a> {
        let total = list.iter().fold(0u64, |sum, part| sum.saturating_add(part.1)).min(limit);
        Scatter { dma, list, out, total, moved: 0, index: 0, offset: 0 }
    }

    /// Bytes moved.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Bytes there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    fn walk(
        &mut self,
        len: usize,
        mut f: impl FnMut(&Dma, u64, core::ops::Range<usize>) -> Result<(), BusError>,
    ) -> Result<usize, Fault> {
        let len = (len as u64).min(self.total - self.moved) as usize;
        let mut done = 0;
        while done < len {
            let Some((addr, size)) = self.list.get(self.index).copied() else { break };
            let n = (size - self.offset).min((len - done) as u64);
            if n > 0 {
                f(self.dma, addr.wrapping_add(self.offset), done..done + n as usize)?;
            }
            done += n as usize;
            self.moved += n;
            self.offset += n;
            if self.offset == size {
                (self.index, self.offset) = (self.index + 1, 0);
            }
        }
        Ok(done)
    }
}

impl Data for Scatter<'_> {
    fn out_left(&self) -> u64 {
        if self.out { self.total - self.moved } else { 0 }
    }

    fn in_left(&self) -> u64 {
        if self.out { 0 } else { self.total - self.moved }
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Fault> {
        if !self.out {
            return Ok(0);
        }
        self.walk(buf.len(), |dma, addr, part| dma.read(addr, &mut buf[part]))
    }

    fn write(&mut self, buf: &[u8]) -> Result<usize, Fault> {
        if self.out {
            return Ok(0);
        }
        self.walk(buf.len(), |dma, addr, part| dma.write(addr, &buf[part]))
    }
}

/// A command descriptor block (SPC-4 4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cdb {
    bytes: [u8; CDB_LEN],
    len: usize,
}

impl Cdb {
    /// The block that `bytes` begins with; `None` if its length is not known or more than there is.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Cdb> {
        let len = match bytes.first()? >> 5 {
            0 => 6,
            1 | 2 => 10,
            4 => 16,
            5 => 12,
            _ => return None,
        };
        let mut cdb = [0; CDB_LEN];
        cdb[..len].copy_from_slice(bytes.get(..len)?);
        Some(Cdb { bytes: cdb, len })
    }

    /// The operation code.
    #[must_use]
    pub fn op(&self) -> u8 {
        self.bytes[0]
    }

    /// A byte; those behind its end are zero.
    #[must_use]
    pub fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// A big-endian field of `len` bytes.
    #[must_use]
    pub fn field(&self, at: usize, len: usize) -> u64 {
        (at..at + len).fold(0, |value, n| value << 8 | u64::from(self.byte(n)))
    }

    /// The logical block address, where blocks of this length have it.
    #[must_use]
    pub fn lba(&self) -> u64 {
        match self.len {
            6 => self.field(1, 3) & 0x1f_ffff,
            16 => self.field(2, 8),
            _ => self.field(2, 4),
        }
    }

    /// The number of blocks, where blocks of this length have it.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        match self.len {
            6 => match self.field(4, 1) {
                0 => 256,
                n => n,
            },
            10 => self.field(7, 2),
            12 => self.field(6, 4),
            _ => self.field(10, 4),
        }
    }
}

/// Which way data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Nowhere.
    None,
    /// To the unit.
    Out,
    /// From the unit.
    In,
}

/// What a command says that it moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expected {
    /// Which way.
    pub direction: Direction,
    /// At most so many bytes in, or so many bytes out.
    pub bytes: u64,
}

impl Expected {
    /// Nothing.
    pub const NOTHING: Expected = Expected { direction: Direction::None, bytes: 0 };
}

/// What a command moves: where its descriptor block says how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moves {
    /// Nothing.
    Nothing,
    /// So many bytes in.
    Fixed(u64),
    /// Bytes in: the allocation length is this field (offset, length).
    In(usize, usize),
    /// Bytes out: the length of the parameter list is this field.
    Out(usize, usize),
    /// Blocks in.
    BlocksIn,
    /// Blocks out.
    BlocksOut,
    /// Blocks in of this size, their number a field of the descriptor block.
    SectorsIn(usize, usize, u64),
    /// One block out, or nothing if bit 0 of byte 1 (NDOB) is set.
    Pattern,
    /// Blocks out if the byte check field says so (bits 2 and 1 of byte 1).
    Compared,
    /// The header of a list of defects, if there is one.
    Format,
}

impl Moves {
    /// How much `cdb` moves of a unit with blocks of `block` bytes.
    #[must_use]
    pub fn expected(self, cdb: &Cdb, block: u64) -> Expected {
        let (direction, bytes) = match self {
            Moves::Nothing => return Expected::NOTHING,
            Moves::Fixed(bytes) => (Direction::In, bytes),
            Moves::In(at, len) => (Direction::In, cdb.field(at, len)),
            Moves::Out(at, len) => (Direction::Out, cdb.field(at, len)),
            Moves::BlocksIn => (Direction::In, cdb.blocks().saturating_mul(block)),
            Moves::BlocksOut => (Direction::Out, cdb.blocks().saturating_mul(block)),
            Moves::SectorsIn(at, len, size) => (Direction::In, cdb.field(at, len).saturating_mul(size)),
            Moves::Pattern => (Direction::Out, if cdb.byte(1) & 1 != 0 { 0 } else { block }),
            Moves::Compared => match cdb.byte(1) >> 1 & 3 {
                1 => (Direction::Out, cdb.blocks().saturating_mul(block)),
                3 => (Direction::Out, block),
                _ => (Direction::None, 0),
            },
            Moves::Format => match cdb.byte(1) & 0x30 {
                0x10 => (Direction::Out, 4),
                0x30 => (Direction::Out, 8),
                _ => (Direction::None, 0),
            },
        };
        if bytes == 0 { Expected::NOTHING } else { Expected { direction, bytes } }
    }
}

/// A command on its way.
pub struct Task<'a> {
    /// Its descriptor block.
    pub cdb: Cdb,
    /// Its buffers.
    pub data: &'a mut dyn Data,
    /// What it says that it moves.
    pub expected: Expected,
}

impl Task<'_> {
    /// Gives back as much of `bytes` as the allocation length allows.
    ///
    /// # Errors
    /// A buffer that is not there.
    pub fn answer(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let room = usize::try_from(self.expected.bytes).unwrap_or(usize::MAX);
        self.data.write(&bytes[..bytes.len().min(room)])?;
        Ok(())
    }

    /// All parameters that come with the command.
    ///
    /// # Errors
    /// There are less than it says, or too many.
    pub fn parameters(&mut self) -> Result<Vec<u8>, Failure> {
        if self.expected.bytes > MOST_PARAMETERS {
            return Err(Sense::PARAMETER_LIST_LENGTH.into());
        }
        let mut bytes = vec![0; self.expected.bytes as usize];
        if self.data.read(&mut bytes)? < bytes.len() {
            return Err(Sense::DATA_PHASE.into());
        }
        Ok(bytes)
    }
}

/// A row of the table of what a unit can do.
pub struct Command<U: 'static> {
    /// The operation code.
    pub op: u8,
    /// The service action, if the code has several.
    pub action: Option<u8>,
    /// What it moves.
    pub moves: Moves,
    /// Does it need a medium?
    pub medium: bool,
    /// Does it.
    pub run: fn(&mut U, &mut Task<'_>) -> Result<(), Failure>,
}

impl<U> Command<U> {
    /// The row for `cdb`.
    ///
    /// # Errors
    /// There is none.
    pub fn find(rows: &'static [Command<U>], cdb: &Cdb) -> Result<&'static Command<U>, Sense> {
        let mut wrong = Sense::INVALID_OPCODE;
        for row in rows.iter().filter(|row| row.op == cdb.op()) {
            if row.action.is_none_or(|action| action == cdb.byte(1) & 0x1f) {
                return Ok(row);
            }
            wrong = Sense::INVALID_FIELD;
        }
        Err(wrong)
    }
}
