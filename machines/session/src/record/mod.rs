//! Logs of runs: files of frames that are only ever appended to, so that a killed recorder leaves a log that is good up to
//! its last whole frame.
//!
//! A log is `MAGIC`, the format's version, and frames: the length of a payload, its kind, a checksum, the payload.  The
//! checksum covers the log's identity, the frame's number, kind and payload, so that a frame that was damaged, moved or
//! taken from another log is noticed.  The first frame is the [`Header`]; then come items, many to a frame and compressed,
//! and blobs, which are contents that items refer to by their [`struct@Hash`].  All numbers are little-endian (I4).
//!
//! What items are is the matter of who records: [`crate::machine`] has those of machines.

mod frame;
mod read;
mod write;

pub use frame::{Hash, Hasher, Header, LogError, MAGIC, VERSION, Why};
pub use read::{Cursor, Reader};
pub use write::Writer;

#[cfg(test)]
mod tests;
