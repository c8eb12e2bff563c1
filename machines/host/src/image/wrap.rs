//! Thin layers: statistics, write-protection, write-through.

use std::cell::Cell;
use std::rc::Rc;
use tern_core::backend::{Block, BlockError, Snapshots};

/// What a disk did, as `query-blockstats` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Reads that succeeded.
    pub rd_operations: u64,
    /// Bytes read.
    pub rd_bytes: u64,
    /// Writes that succeeded, zeros too.
    pub wr_operations: u64,
    /// Bytes written, zeros too.
    pub wr_bytes: u64,
    /// Discards that succeeded.
    pub unmap_operations: u64,
    /// Bytes discarded.
    pub unmap_bytes: u64,
    /// Flushes that succeeded.
    pub flush_operations: u64,
    /// Reads that failed.
    pub failed_rd_operations: u64,
    /// Writes that failed, zeros too.
    pub failed_wr_operations: u64,
    /// Discards that failed.
    pub failed_unmap_operations: u64,
    /// Flushes that failed.
    pub failed_flush_operations: u64,
}

/// Counts what passes through.
pub struct Statistics {
    inner: Box<dyn Block>,
    counts: Rc<Cell<Counts>>,
}

impl Statistics {
    /// Over `inner`; the counts are read through the second value.
    #[must_use]
    pub fn new(inner: Box<dyn Block>) -> (Statistics, Rc<Cell<Counts>>) {
        let counts = Rc::new(Cell::new(Counts::default()));
        (Statistics { inner, counts: Rc::clone(&counts) }, counts)
    }

    fn count<T>(&self, result: &Result<T, BlockError>, add: impl Fn(&mut Counts, bool)) {
        let mut counts = self.counts.get();
        add(&mut counts, result.is_ok());
        self.counts.set(counts);
    }
}

/// Adds to the counter of successes and the bytes, or to the counter of failures.
fn tally(ok: bool, done: &mut u64, bytes: Option<(&mut u64, u64)>, failed: &mut u64) {
    if ok {
        *done += 1;
        if let Some((sum, n)) = bytes {
            *sum = sum.saturating_add(n);
        }
    } else {
        *failed += 1;
    }
}

impl Block for Statistics {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read_only(&self) -> bool {
        self.inner.read_only()
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        let n = buf.len() as u64;
        let result = self.inner.read(offset, buf);
        self.count(&result, |c, ok| {
            tally(ok, &mut c.rd_operations, Some((&mut c.rd_bytes, n)), &mut c.failed_rd_operations);
        });
        result
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        let result = self.inner.write(offset, buf);
        self.count(&result, |c, ok| {
            let bytes = Some((&mut c.wr_bytes, buf.len() as u64));
            tally(ok, &mut c.wr_operations, bytes, &mut c.failed_wr_operations);
        });
        result
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        let result = self.inner.flush();
        self.count(&result, |c, ok| tally(ok, &mut c.flush_operations, None, &mut c.failed_flush_operations));
        result
    }

    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        let result = self.inner.discard(offset, len);
        self.count(&result, |c, ok| {
            tally(ok, &mut c.unmap_operations, Some((&mut c.unmap_bytes, len)), &mut c.failed_unmap_operations);
        });
        result
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
        let result = self.inner.write_zeroes(offset, len, unmap);
        self.count(&result, |c, ok| {
            tally(ok, &mut c.wr_operations, Some((&mut c.wr_bytes, len)), &mut c.failed_wr_operations);
        });
        result
    }
}

/// Refuses writes.
pub struct ReadOnly(Box<dyn Block>);

impl ReadOnly {
    /// Over `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn Block>) -> ReadOnly {
        ReadOnly(inner)
    }
}

impl Block for ReadOnly {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_only(&self) -> bool {
        true
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        self.0.read(offset, buf)
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), BlockError> {
        Err(BlockError::ReadOnly)
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }

    fn discard(&mut self, _: u64, _: u64) -> Result<(), BlockError> {
        Err(BlockError::ReadOnly)
    }

    fn write_zeroes(&mut self, _: u64, _: u64, _: bool) -> Result<(), BlockError> {
        Err(BlockError::ReadOnly)
    }
}

/// Flushes after every write.
pub struct WriteThrough(Box<dyn Block>);

impl WriteThrough {
    /// Over `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn Block>) -> WriteThrough {
        WriteThrough(inner)
    }
}

impl Block for WriteThrough {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_only(&self) -> bool {
        self.0.read_only()
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        self.0.read(offset, buf)
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        self.0.write(offset, buf)?;
        self.0.flush()
    }

    fn snapshots(&mut self) -> Option<&mut dyn Snapshots> {
        self.0.snapshots()
    }

    fn resize(&mut self, size: u64) -> Result<(), BlockError> {
        self.0.resize(size)?;
        self.0.flush()
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        self.0.flush()
    }

    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.0.discard(offset, len)?;
        self.0.flush()
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
        self.0.write_zeroes(offset, len, unmap)?;
        self.0.flush()
    }
}
