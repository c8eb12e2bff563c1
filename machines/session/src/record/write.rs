//! Writing.

use super::frame::{HEAD, Hash, Header, LogError, MAGIC, MOST, VERSION, Why, checksum, kind};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;
use tern_core::codec;

/// Items are written when they have this many bytes.
const FULL: usize = 32 << 10;

/// Writes a log of items `T`.
pub struct Writer<T> {
    out: Box<dyn Write>,
    id: [u8; 16],
    number: u64,
    /// Bytes written so far.
    at: u64,
    /// Encoded items that are not written yet, and how many they are.
    waiting: Vec<u8>,
    items: u64,
    blobs: BTreeSet<Hash>,
    of: core::marker::PhantomData<fn(&T)>,
}

impl<T: Serialize> Writer<T> {
    /// Begins a log.  Each frame is one `write`, so `out` needs no buffer.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(out: Box<dyn Write>, header: &Header) -> Result<Writer<T>, LogError> {
        let mut writer = Writer {
            out,
            id: [0; 16],
            number: 0,
            at: 0,
            waiting: Vec::new(),
            items: 0,
            blobs: BTreeSet::new(),
            of: core::marker::PhantomData,
        };
        let payload = codec::encode(header).map_err(|e| writer.error(Why::Contents(e.to_string())))?;
        let mut prefix = MAGIC.to_vec();
        prefix.extend(VERSION.to_le_bytes());
        writer.put(prefix, kind::HEADER, &payload)?;
        writer.id = header.id;
        Ok(writer)
    }

    fn error(&self, why: Why) -> LogError {
        LogError { frame: self.number, at: self.at, why }
    }

    fn put(&mut self, mut bytes: Vec<u8>, kind: u8, payload: &[u8]) -> Result<(), LogError> {
        if payload.len() > MOST {
            return Err(self.error(Why::Contents(format!("{} bytes are too many for a frame", payload.len()))));
        }
        bytes.reserve(HEAD + payload.len());
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.push(kind);
        bytes.extend(checksum(&self.id, self.number, kind, payload).to_le_bytes());
        bytes.extend(payload);
        self.out.write_all(&bytes).map_err(|e| self.error(Why::Io(e)))?;
        self.at += bytes.len() as u64;
        self.number += 1;
        Ok(())
    }

    /// Appends an item; it is in the file after the next [`Writer::flush`], or when there are many.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn push(&mut self, item: &T) -> Result<(), LogError> {
        let had = self.waiting.len();
        if let Err(e) = codec::append_compact(item, &mut self.waiting) {
            self.waiting.truncate(had);
            return Err(self.error(Why::Contents(e.to_string())));
        }
        self.items += 1;
        if self.waiting.len() >= FULL { self.flush() } else { Ok(()) }
    }

    /// Writes what waits, as a frame.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&mut self) -> Result<(), LogError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let payload = lz4_flex::compress_prepend_size(&core::mem::take(&mut self.waiting));
        self.put(Vec::new(), kind::ITEMS, &payload)
    }

    /// Keeps contents that items may refer to by the hash that this returns; what is there already is not written again.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn blob(&mut self, contents: &[u8]) -> Result<Hash, LogError> {
        let hash = Hash::of(contents);
        if self.blobs.insert(hash) {
            // Items that were before it in time are before it in the file.
            self.flush()?;
            let mut payload = hash.0.to_vec();
            payload.extend(lz4_flex::compress_prepend_size(contents));
            self.put(Vec::new(), kind::BLOB, &payload)?;
        }
        Ok(hash)
    }

    /// Ends the log in order.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(&mut self) -> Result<(), LogError> {
        self.flush()?;
        self.put(Vec::new(), kind::END, &[])?;
        self.out.flush().map_err(|e| self.error(Why::Io(e)))
    }

    /// Bytes in the file, and items appended so far.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        (self.at, self.items)
    }
}
