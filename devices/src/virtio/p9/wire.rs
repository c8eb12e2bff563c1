//! The numbers and texts of 9P messages, little-endian.

use super::Fail;
use tern_core::backend::fs::{Attr, mode};

/// Reads a message's body.
pub(super) struct Reader<'a>(&'a [u8]);

macro_rules! numbers {
    ($($name:ident)*) => {
        impl Reader<'_> {
            $(pub(super) fn $name(&mut self) -> Result<$name, Fail> {
                let (head, rest) = self.0.split_first_chunk().ok_or(Fail::Short)?;
                self.0 = rest;
                Ok($name::from_le_bytes(*head))
            })*
        }

        impl Writer {
            $(pub(super) fn $name(&mut self, value: $name) {
                self.0.extend(value.to_le_bytes());
            })*
        }
    };
}
numbers! { u8 u16 u32 u64 }

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Reader<'a> {
        Reader(body)
    }

    /// The next `len` bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Fail> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Fail::Short)?;
        self.0 = rest;
        Ok(head)
    }

    /// A text: its length in 16 bits, and its bytes.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Fail> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Writes a message's body.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

/// The type of a file in a qid.
fn qid_type(kind: u32) -> u8 {
    match kind & mode::TYPE {
        mode::DIRECTORY => 0x80,
        mode::SYMLINK => 0x02,
        _ => 0,
    }
}

impl Writer {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        // Texts of a backend are names and links, which are shorter.
        let text = &text[..text.len().min(usize::from(u16::MAX))];
        self.u16(text.len() as u16);
        self.0.extend(text);
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// `len` zeros, to be filled.
    pub(super) fn space(&mut self, len: usize) -> &mut [u8] {
        let at = self.0.len();
        self.0.resize(at + len, 0);
        &mut self.0[at..]
    }

    /// Ends after `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Puts a number over four bytes that are there.
    pub(super) fn patch(&mut self, at: usize, value: u32) {
        if let Some(bytes) = self.0.get_mut(at..at + 4) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// A file's identity: type, version, number. The version changes with its contents.
    pub(super) fn qid(&mut self, attr: &Attr) {
        self.u8(qid_type(attr.mode));
        let time = attr.mtime.sec as u32 ^ attr.mtime.nsec;
        self.u32(time ^ (attr.size << 8) as u32);
        self.u64(attr.ino);
    }

    /// A file's identity, of which a folder's entry knows type and number.
    pub(super) fn short_qid(&mut self, kind: u32, ino: u64) {
        self.u8(qid_type(kind));
        self.u32(0);
        self.u64(ino);
    }
}
