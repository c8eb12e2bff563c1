//! What frames are made of.

use core::fmt;
use serde::{Deserialize, Serialize};

/// The first bytes of every log.
pub const MAGIC: [u8; 8] = *b"ternlog\n";
/// Version of the format.
pub const VERSION: u32 = 1;
/// Length of what is before the first frame.
pub(super) const PREFIX: usize = MAGIC.len() + 4;
/// Length of what is before a frame's payload: length, kind, checksum.
pub(super) const HEAD: usize = 4 + 1 + 4;
/// Longest payload as it is in the file, and as it is when it is unpacked.
pub(super) const MOST: usize = 64 << 20;

/// Kinds of frames.
pub(super) mod kind {
    pub(in super::super) const HEADER: u8 = 0;
    pub(in super::super) const ITEMS: u8 = 1;
    pub(in super::super) const BLOB: u8 = 2;
    /// The recorder ended in order: nothing follows.
    pub(in super::super) const END: u8 = 3;
}

/// What a log is of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Tells this log from all others.
    pub id: [u8; 16],
    /// The version of tern that made it.
    pub tern: String,
    /// What was recorded: `machine`, `process`.
    pub kind: String,
    /// What people called it: a command line.
    pub title: String,
    /// When it began, in nanoseconds since 1970.
    pub date_ns: u64,
    /// The initial state, as whoever recorded encodes it.
    pub setup: Vec<u8>,
}

/// What tells contents apart (BLAKE3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }
}

/// Hashes contents that come in pieces.
#[derive(Clone, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Hasher {
        Hasher::default()
    }

    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all of them.
    #[must_use]
    pub fn value(&self) -> Hash {
        Hash(*self.0.finalize().as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// What is wrong with a log.
#[derive(Debug)]
pub enum Why {
    /// It cannot be read or written.
    Io(std::io::Error),
    /// It is something else.
    NotALog,
    /// It has this version of the format.
    Version(u32),
    /// The file ends within the frame: the recorder was killed, or the file was cut.
    Cut,
    /// The frame's checksum is another one: it is damaged, out of order, or of another log.
    Checksum,
    /// Its contents are not what they should be.
    Contents(String),
}

/// A log that is not good: where, and why.
#[derive(Debug)]
pub struct LogError {
    /// The number of the frame, from 0.
    pub frame: u64,
    /// Where it begins in the file.
    pub at: u64,
    /// What is wrong.
    pub why: Why,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogError { frame, at, why } = self;
        match why {
            Why::NotALog => return f.write_str("this is no log of tern's"),
            Why::Version(n) => return write!(f, "a log of format {n}; this tern reads format {VERSION}"),
            Why::Io(e) => write!(f, "frame {frame} (byte {at}): {e}"),
            Why::Cut => write!(f, "frame {frame} (byte {at}) is cut off"),
            Why::Checksum => write!(f, "frame {frame} (byte {at}) is damaged, out of order, or of another log"),
            Why::Contents(what) => write!(f, "frame {frame} (byte {at}): {what}"),
        }
    }
}

impl core::error::Error for LogError {}

/// The checksum of a frame.
pub(super) fn checksum(id: &[u8; 16], number: u64, kind: u8, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(id);
    crc.update(&number.to_le_bytes());
    crc.update(&[kind]);
    crc.update(payload);
    crc.finalize()
}
