//! What the controller reaches of memory: the machine's, and its own behind base addresses 2 and 4; and lists of pages or
//! descriptors that say where a command's data is (NVM Express 1.4, 4.3 and 4.4).

use super::command::Command;
use super::status::Status;
use std::rc::Rc;
use tern_core::backend::Memory;
use tern_core::device::Dma;

/// Most SGL descriptors of a command.
const MAX_DESCRIPTORS: usize = 4096;
/// Length of an SGL descriptor.
const DESCRIPTOR: usize = 16;

/// A stretch of memory that a command's data goes to or comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// Where; `None`: what would go there is dropped.
    pub(super) addr: Option<u64>,
    /// How many bytes.
    pub(super) len: usize,
}

/// Which way data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    FromHost,
    ToHost,
}

/// Memory as the controller sees it.
pub(super) struct Reach {
    dma: Dma,
    /// The controller memory buffer.
    pub(super) cmb: Vec<u8>,
    /// Where commands find it.
    pub(super) cmb_at: Option<u64>,
    /// The persistent memory region.
    pub(super) pmr: Option<Rc<dyn Memory>>,
    /// Where commands find it.
    pub(super) pmr_at: Option<u64>,
}

impl Reach {
    pub(super) fn new(dma: Dma, cmb: usize, pmr: Option<Rc<dyn Memory>>) -> Reach {
        Reach { dma, cmb: vec![0; cmb], cmb_at: None, pmr, pmr_at: None }
    }

    /// The offset of `addr..addr + len` in a window of `size` bytes at `base`, if it is wholly inside.
    fn inside(base: Option<u64>, size: u64, addr: u64, len: usize) -> Option<u64> {
        let offset = addr.checked_sub(base?)?;
        (offset.checked_add(len as u64)? <= size).then_some(offset)
    }

    /// Bytes of memory.
    pub(super) fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), Status> {
        if let Some(at) = Reach::inside(self.cmb_at, self.cmb.len() as u64, addr, buf.len()) {
            buf.copy_from_slice(&self.cmb[at as usize..at as usize + buf.len()]);
            return Ok(());
        }
        if let Some(pmr) = &self.pmr
            && let Some(at) = Reach::inside(self.pmr_at, pmr.size(), addr, buf.len())
        {
            pmr.read(at, buf);
            return Ok(());
        }
        self.dma.read(addr, buf).map_err(|_| Status::DATA_TRANSFER)
    }

    /// Sets bytes of memory.
    pub(super) fn write(&mut self, addr: u64, buf: &[u8]) -> Result<(), Status> {
        if let Some(at) = Reach::inside(self.cmb_at, self.cmb.len() as u64, addr, buf.len()) {
            self.cmb[at as usize..at as usize + buf.len()].copy_from_slice(buf);
            return Ok(());
        }
        if let Some(pmr) = &self.pmr
            && let Some(at) = Reach::inside(self.pmr_at, pmr.size(), addr, buf.len())
        {
            pmr.write(at, buf);
            return Ok(());
        }
        self.dma.write(addr, buf).map_err(|_| Status::DATA_TRANSFER)
    }

    fn word(&self, addr: u64) -> Result<u64, Status> {
        let mut bytes = [0; 8];
        self.read(addr, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Where `len` bytes of a command's data are; `page` is the size of the host's pages.
    pub(super) fn pieces(&self, command: &Command, len: usize, page: u64, way: Way) -> Result<Vec<Piece>, Status> {
        match command.psdt() {
            0 => self.prp(command.prp1(), command.prp2(), len as u64, page),
            1 | 2 => self.sgl(command.sgl(), len, way),
            _ => Err(Status::INVALID_FIELD),
        }
    }

    /// Pages: the first may begin anywhere, the second entry is a page or the begin of a list, whose last entry is the
    /// next list where one does not suffice (4.3).
    fn prp(&self, prp1: u64, prp2: u64, len: u64, page: u64) -> Result<Vec<Piece>, Status> {
        let mut pieces = Vec::new();
        let mut left = len;
        let mut add = |addr: u64, left: &mut u64| {
            let n = (*left).min(page - (addr & (page - 1)));
            pieces.push(Piece { addr: Some(addr), len: n as usize });
            *left -= n;
        };
        if prp1 & 3 != 0 {
            return Err(Status::PRP_OFFSET);
        }
        add(prp1, &mut left);
        if left == 0 {
            return Ok(pieces);
        }
        let aligned = |addr: u64| if addr & (page - 1) == 0 { Ok(addr) } else { Err(Status::PRP_OFFSET) };
        if left <= page {
            add(aligned(prp2)?, &mut left);
            return Ok(pieces);
        }
        if prp2 & 7 != 0 {
            return Err(Status::PRP_OFFSET);
        }
        let mut at = prp2;
        while left > 0 {
            let last_of_list = at & (page - 1) == page - 8;
            let entry = aligned(self.word(at)?)?;
            if last_of_list && left > page {
                at = entry;
                // A list that is only a pointer to the next list, which begins a page, has been the first.
                add(aligned(self.word(at)?)?, &mut left);
            } else {
                add(entry, &mut left);
            }
            at = at.wrapping_add(8);
        }
        Ok(pieces)
    }

    /// Descriptors: a block of data, or a segment of descriptors whose last one may be the next segment (4.4).
    fn sgl(&self, first: [u8; DESCRIPTOR], len: usize, way: Way) -> Result<Vec<Piece>, Status> {
        let mut pieces = Vec::new();
        let mut left = len;
        let mut segment = vec![first];
        let mut seen = 1;
        let mut last_segment = false;
        loop {
            let mut next = None;
            let count = segment.len();
            for (n, descriptor) in segment.iter().enumerate() {
                let [a, b, c, d, e, f, g, h, i, j, k, l, .., kind] = *descriptor;
                let addr = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                let bytes = u32::from_le_bytes([i, j, k, l]);
                match kind {
                    0x00 => left = push(&mut pieces, Some(addr), bytes, left),
                    // For data that the host sends, a bit bucket has no length.
                    0x10 if way == Way::ToHost => left = push(&mut pieces, None, bytes, left),
                    0x10 => {}
                    0x20 | 0x30 if n + 1 == count && !last_segment => next = Some((addr, bytes, kind == 0x30)),
                    0x20 | 0x30 => return Err(Status::SGL_SEGMENT),
                    _ => return Err(Status::SGL_TYPE),
                }
            }
            let Some((addr, bytes, last)) = next.filter(|_| left > 0) else { break };
            let bytes = bytes as usize;
            if bytes == 0 || !bytes.is_multiple_of(DESCRIPTOR) {
                return Err(Status::SGL_SEGMENT);
            }
            seen += bytes / DESCRIPTOR;
            if seen > MAX_DESCRIPTORS {
                return Err(Status::SGL_COUNT);
            }
            let mut raw = vec![0; bytes];
            self.read(addr, &mut raw)?;
            segment = raw.as_chunks().0.to_vec();
            last_segment = last;
        }
        if left > 0 { Err(Status::SGL_LENGTH) } else { Ok(pieces) }
    }

    /// Copies data out of the pieces.
    pub(super) fn gather(&self, pieces: &[Piece], buf: &mut [u8]) -> Result<(), Status> {
        let mut rest = buf;
        for piece in pieces {
            let (part, after) = rest.split_at_mut(piece.len.min(rest.len()));
            if let Some(addr) = piece.addr {
                self.read(addr, part)?;
            }
            rest = after;
        }
        Ok(())
    }

    /// Copies data into the pieces.
    pub(super) fn scatter(&mut self, pieces: &[Piece], buf: &[u8]) -> Result<(), Status> {
        let mut rest = buf;
        for piece in pieces {
            let (part, after) = rest.split_at(piece.len.min(rest.len()));
            if let Some(addr) = piece.addr {
                self.write(addr, part)?;
            }
            rest = after;
        }
        Ok(())
    }
}

/// Adds what is still needed of a stretch; how much then is.
fn push(pieces: &mut Vec<Piece>, addr: Option<u64>, bytes: u32, left: usize) -> usize {
    let len = left.min(bytes as usize);
    if len > 0 {
        pieces.push(Piece { addr, len });
    }
    left - len
}
