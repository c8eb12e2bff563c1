//! A disk whose writes go to another one, while the lower stays as it is.

use super::inside;
use std::collections::BTreeMap;
use tern_core::backend::{Block, BlockError};

/// Bytes of a grain: the unit that is in the upper disk or not.
const GRAIN: u64 = 4096;
/// Grains that one entry of the map describes.
const GROUP: u64 = 64;

/// Reads from the lower disk what the upper does not have; writes to the upper.
///
/// The upper disk holds nothing that must last: flushes are not passed on.
pub struct Overlay {
    lower: Box<dyn Block>,
    upper: Box<dyn Block>,
    size: u64,
    /// Which grains the upper disk has: 64 to an entry, bit n for grain n.
    map: BTreeMap<u64, u64>,
}

impl Overlay {
    /// Over `lower`. The upper disk must not be smaller; what it has before does not matter.
    #[must_use]
    pub fn new(lower: Box<dyn Block>, upper: Box<dyn Block>) -> Overlay {
        let size = lower.size().min(upper.size());
        Overlay { lower, upper, size, map: BTreeMap::new() }
    }

    fn has(&self, grain: u64) -> bool {
        self.map.get(&(grain / GROUP)).is_some_and(|bits| bits >> (grain % GROUP) & 1 != 0)
    }

    fn mark(&mut self, grain: u64) {
        *self.map.entry(grain / GROUP).or_insert(0) |= 1 << (grain % GROUP);
    }

    /// Copies a grain up if the upper disk does not have it.
    fn copy_up(&mut self, grain: u64) -> Result<(), BlockError> {
        if self.has(grain) {
            return Ok(());
        }
        let at = grain * GRAIN;
        let mut buf = vec![0; GRAIN.min(self.size - at) as usize];
        self.lower.read(at, &mut buf)?;
        self.upper.write(at, &buf)?;
        self.mark(grain);
        Ok(())
    }

    /// Makes the upper disk ready for new contents of a stretch: the grains at its ends are copied if only part of them is
    /// in it. The grains are to be marked when the contents are there.
    fn prepare(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        inside(offset, len, self.size)?;
        let end = offset + len;
        if len > 0 && !offset.is_multiple_of(GRAIN) {
            self.copy_up(offset / GRAIN)?;
        }
        if len > 0 && !end.is_multiple_of(GRAIN) && end != self.size {
            self.copy_up(end / GRAIN)?;
        }
        Ok(())
    }

    fn written(&mut self, offset: u64, len: u64) {
        if len > 0 {
            for grain in offset / GRAIN..(offset + len).div_ceil(GRAIN) {
                self.mark(grain);
            }
        }
    }
}

impl Block for Overlay {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        false
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        inside(offset, buf.len() as u64, self.size)?;
        let end = offset + buf.len() as u64;
        let mut at = offset;
        while at < end {
            // As long as the next grains are on the same disk.
            let upper = self.has(at / GRAIN);
            let mut to = (at / GRAIN + 1) * GRAIN;
            while to < end && self.has(to / GRAIN) == upper {
                to += GRAIN;
            }
            let to = to.min(end);
            let part = &mut buf[(at - offset) as usize..(to - offset) as usize];
            if upper {
                self.upper.read(at, part)?
            } else {
                self.lower.read(at, part)?
            }
            at = to;
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        self.prepare(offset, buf.len() as u64)?;
        self.upper.write(offset, buf)?;
        self.written(offset, buf.len() as u64);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }

    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        // What only the lower disk has stays; whole grains of the upper give their room back and stay marked.
        inside(offset, len, self.size)?;
        let end = offset + len;
        let mut at = offset.next_multiple_of(GRAIN);
        while at + GRAIN <= end {
            let Some((group, bits)) = self.map.range(at / GRAIN / GROUP..).next().map(|(g, b)| (*g, *b)) else { break };
            at = at.max(group * GROUP * GRAIN);
            if at + GRAIN > end {
                break;
            }
            if bits >> (at / GRAIN % GROUP) & 1 != 0 {
                self.upper.write_zeroes(at, GRAIN, true)?;
            }
            at += GRAIN;
        }
        Ok(())
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
        self.prepare(offset, len)?;
        self.upper.write_zeroes(offset, len, unmap)?;
        self.written(offset, len);
        Ok(())
    }
}
