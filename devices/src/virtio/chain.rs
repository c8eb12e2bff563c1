//! A descriptor chain: buffers in guest memory that the driver lent to the device for one request.

use serde::{Deserialize, Serialize};
use tern_core::device::{BusError, Dma};

/// A buffer in guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Buffer {
    /// Physical address.
    pub addr: u64,
    /// Length in bytes.
    pub len: u32,
}

/// How far a side of a chain has been gone through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Cursor {
    index: u32,
    offset: u32,
    left: u64,
}

/// A chain: first the buffers that the device reads, then those that it writes.  Both sides are streams of bytes; how the
/// driver cut them into buffers means nothing (virtio 1.2, 2.7.4.1).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Chain {
    /// What names it in the used ring.
    pub(super) id: u16,
    /// How many places of a packed ring it takes.
    pub(super) slots: u16,
    buffers: Vec<Buffer>,
    readable: u32,
    read: Cursor,
    write: Cursor,
    written: u64,
}

impl Chain {
    pub(super) fn new(id: u16) -> Chain {
        Chain { id, slots: 1, ..Chain::default() }
    }

    /// Appends a buffer; false if it is a readable one behind a writable one, which drivers must not do (2.7.4.2).
    #[must_use]
    pub(super) fn push(&mut self, buffer: Buffer, write: bool) -> bool {
        let in_order = write || self.buffers.len() == self.readable as usize;
        self.buffers.push(buffer);
        let side = if write { &mut self.write } else { &mut self.read };
        side.left += u64::from(buffer.len);
        if !write {
            self.readable += 1;
        }
        in_order
    }

    pub(super) fn len(&self) -> usize {
        self.buffers.len()
    }

    /// The buffers that the device reads.
    #[must_use]
    pub fn readable_buffers(&self) -> &[Buffer] {
        self.buffers.get(..self.readable as usize).unwrap_or_default()
    }

    /// The buffers that the device writes.
    #[must_use]
    pub fn writable_buffers(&self) -> &[Buffer] {
        self.buffers.get(self.readable as usize..).unwrap_or_default()
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn readable(&self) -> u64 {
        self.read.left
    }

    /// Bytes not yet written.
    #[must_use]
    pub fn writable(&self) -> u64 {
        self.write.left
    }

    /// Bytes written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Calls `f` with (address, offset in the piece, length) for up to `len` bytes from `cursor` on.
    fn walk(
        buffers: &[Buffer],
        cursor: &mut Cursor,
        len: u64,
        mut f: impl FnMut(u64, usize, usize) -> Result<(), BusError>,
    ) -> Result<usize, BusError> {
        let mut done = 0;
        while done < len {
            let Some(buffer) = buffers.get(cursor.index as usize) else { break };
            let n = u64::from(buffer.len.saturating_sub(cursor.offset)).min(len - done);
            if n > 0 {
                f(buffer.addr.wrapping_add(u64::from(cursor.offset)), done as usize, n as usize)?;
            }
            done += n;
            cursor.left = cursor.left.saturating_sub(n);
            cursor.offset += n as u32;
            if cursor.offset >= buffer.len {
                (cursor.index, cursor.offset) = (cursor.index + 1, 0);
            }
        }
        Ok(done as usize)
    }

    /// Copies the next bytes out of guest memory; less than `buf` holds if the readable side ends.
    ///
    /// # Errors
    /// The driver named an address without memory.
    pub fn read(&mut self, dma: &Dma, buf: &mut [u8]) -> Result<usize, BusError> {
        let (buffers, mut cursor) = (self.buffers.get(..self.readable as usize).unwrap_or_default(), self.read);
        let len = buf.len() as u64;
        let done = Chain::walk(buffers, &mut cursor, len, |addr, at, n| dma.read(addr, &mut buf[at..at + n]))?;
        self.read = cursor;
        Ok(done)
    }

    /// Copies the next bytes into guest memory; less than `buf` holds if the writable side ends.
    ///
    /// # Errors
    /// The driver named an address without writable memory.
    pub fn write(&mut self, dma: &Dma, buf: &[u8]) -> Result<usize, BusError> {
        let (buffers, mut cursor) = (self.buffers.get(self.readable as usize..).unwrap_or_default(), self.write);
        let done =
            Chain::walk(buffers, &mut cursor, buf.len() as u64, |addr, at, n| dma.write(addr, &buf[at..at + n]))?;
        self.write = cursor;
        self.written = self.written.saturating_add(done as u64);
        Ok(done)
    }

    /// Passes over bytes of the readable side; how many there were.
    pub fn skip(&mut self, len: u64) -> u64 {
        let (buffers, mut cursor) = (self.buffers.get(..self.readable as usize).unwrap_or_default(), self.read);
        let before = cursor.left;
        // Nothing is touched, so nothing fails.
        let _ = Chain::walk(buffers, &mut cursor, len, |_, _, _| Ok(()));
        self.read = cursor;
        before - cursor.left
    }

    /// Writes `buf` at byte `offset` of the writable side, whatever has been written; bytes behind its end are lost.
    ///
    /// # Errors
    /// As [`Chain::write`].
    pub fn write_at(&self, dma: &Dma, offset: u64, buf: &[u8]) -> Result<usize, BusError> {
        let buffers = self.writable_buffers();
        let mut cursor = Cursor::default();
        Chain::walk(buffers, &mut cursor, offset, |_, _, _| Ok(()))?;
        Chain::walk(buffers, &mut cursor, buf.len() as u64, |addr, at, n| dma.write(addr, &buf[at..at + n]))
    }

    /// Passes over bytes of the writable side that something else has written ([`Chain::writable_buffers`]).
    pub fn wrote(&mut self, len: u64) {
        let (buffers, mut cursor) = (self.buffers.get(self.readable as usize..).unwrap_or_default(), self.write);
        // Nothing is touched, so nothing fails.
        let _ = Chain::walk(buffers, &mut cursor, len, |_, _, _| Ok(()));
        self.written = self.written.saturating_add(self.write.left - cursor.left);
        self.write = cursor;
    }
}
