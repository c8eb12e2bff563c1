//! A disk in memory; what was never written takes no room.

use super::inside;
use std::collections::BTreeMap;
use tern_core::backend::{Block, BlockError};

/// Bytes of a piece.
const PIECE: u64 = 1 << 16;

/// A disk in memory.
pub struct Memory {
    pieces: BTreeMap<u64, Box<[u8]>>,
    size: u64,
}

impl Memory {
    /// A disk of `size` bytes, all zeros.
    #[must_use]
    pub fn new(size: u64) -> Memory {
        Memory { pieces: BTreeMap::new(), size }
    }

    /// Bytes of memory that its data take.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.pieces.len() as u64 * PIECE
    }
}

/// The parts of a stretch by piece: number of the piece, first byte in it, first byte in the stretch, length.
fn parts(offset: u64, len: u64) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut at = offset;
    std::iter::from_fn(move || {
        let rest = offset + len - at;
        if rest == 0 {
            return None;
        }
        let n = rest.min(PIECE - at % PIECE);
        let part = (at / PIECE, (at % PIECE) as usize, (at - offset) as usize, n as usize);
        at += n;
        Some(part)
    })
}

impl Block for Memory {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        false
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        inside(offset, buf.len() as u64, self.size)?;
        for (piece, from, to, n) in parts(offset, buf.len() as u64) {
            let out = &mut buf[to..to + n];
            match self.pieces.get(&piece) {
                Some(data) => out.copy_from_slice(&data[from..from + n]),
                None => out.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        inside(offset, buf.len() as u64, self.size)?;
        for (piece, to, from, n) in parts(offset, buf.len() as u64) {
            let data = self.pieces.entry(piece).or_insert_with(|| vec![0; PIECE as usize].into_boxed_slice());
            data[to..to + n].copy_from_slice(&buf[from..from + n]);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }

    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.write_zeroes(offset, len, true)
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, _: bool) -> Result<(), BlockError> {
        inside(offset, len, self.size)?;
        // Pieces that are there, not all that could be.
        let end = offset + len;
        let touched: Vec<u64> =
            self.pieces.range(offset / PIECE..end.div_ceil(PIECE)).map(|(piece, _)| *piece).collect();
        for piece in touched {
            let base = piece * PIECE;
            let (from, to) = (offset.max(base) - base, end.min(base + PIECE) - base);
            if to - from == PIECE {
                self.pieces.remove(&piece);
            } else if let Some(data) = self.pieces.get_mut(&piece) {
                data[from as usize..to as usize].fill(0);
            }
        }
        Ok(())
    }
}
