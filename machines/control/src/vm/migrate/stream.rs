//! The stream of a migration.
//!
//! First [`MAGIC`] and the version (4 bytes), then frames: kind (1 byte), number (4, counted from 0), length (4), payload,
//! CRC-32 of all that (4); numbers are little-endian.  One machine sends
//!
//! | frame | payload |
//! |---|---|
//! | `Config` | what the machine is made of |
//! | `Pages` | contents of memory: see [`Page`] |
//! | `State` | the next part of the state of everything but memory |
//! | `End` | length of that state (8 bytes): all is sent, and the disks are free |
//! | `Go` | the other machine may run: this one never will |
//!
//! and, where the channel has two directions, hears `Ready` (all is understood, the disks are taken) or `Failed` and why.
//! Whoever reads trusts nothing: a frame that is damaged, missing, too long or out of place ends the migration.

use tern_core::codec;
use tern_core::mem::{PAGE_SHIFT, PAGE_SIZE};

const MAGIC: [u8; 8] = *b"ternmigr";
const VERSION: u32 = 1;
/// Bytes in front of the frames.
const HEAD: usize = 12;
/// Bytes around a payload.
const BEFORE: usize = 9;
const AFTER: usize = 4;
/// Most bytes of a payload.
pub(super) const LARGEST: usize = 1 << 20;
/// Pages of a frame.
pub(super) const PAGES: usize = 64;

/// Kinds of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Config = 1,
    Pages = 2,
    State = 3,
    End = 4,
    Ready = 5,
    Go = 6,
    Failed = 7,
}

impl Kind {
    fn of(n: u8) -> Option<Kind> {
        use Kind as K;
        [K::Config, K::Pages, K::State, K::End, K::Ready, K::Go, K::Failed].into_iter().find(|k| *k as u8 == n)
    }
}

/// The table of CRC-32 (IEEE 802.3, reflected).
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut crc, mut bit) = (n as u32, 0);
        while bit < 8 {
            crc = if crc & 1 != 0 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
};

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| crc >> 8 ^ CRC[usize::from(crc as u8 ^ byte)])
}

/// Writes frames.
#[derive(Default)]
pub(super) struct Writer {
    number: u32,
}

impl Writer {
    /// Appends a frame, and before the first one the head.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
        if self.number == 0 {
            out.extend_from_slice(&MAGIC);
            out.extend_from_slice(&VERSION.to_le_bytes());
        }
        let begin = out.len();
        out.push(kind as u8);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(payload);
        let crc = crc32(&out[begin..]);
        out.extend_from_slice(&crc.to_le_bytes());
        self.number = self.number.wrapping_add(1);
    }
}

/// Reads frames.
#[derive(Default)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    at: usize,
    begun: bool,
    number: u32,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.iter().skip(at).take(4).rev().fold(0, |n, b| n << 8 | u32::from(*b))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

impl Reader {
    /// These have come.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, if it is there.
    pub(super) fn next(&mut self) -> Result<Option<(Kind, Vec<u8>)>, String> {
        if !self.begun {
            let Some(head) = self.bytes.get(..HEAD) else { return Ok(None) };
            if head[..8] != MAGIC {
                return Err("Not a migration stream".to_owned());
            }
            let version = word(head, 8);
            if version != VERSION {
                return Err(format!("Unsupported migration stream version {version}"));
            }
            (self.begun, self.at) = (true, HEAD);
        }
        let left = &self.bytes[self.at..];
        let Some(head) = left.get(..BEFORE) else { return Ok(None) };
        let (kind, number, len) = (head[0], word(head, 1), word(head, 5) as usize);
        if len > LARGEST {
            return Err(format!("frame {}: {len} bytes are too many", self.number));
        }
        let Some(frame) = left.get(..BEFORE + len + AFTER) else { return Ok(None) };
        if crc32(&frame[..BEFORE + len]) != word(frame, BEFORE + len) {
            return Err(format!("frame {}: it is damaged", self.number));
        }
        if number != self.number {
            return Err(format!("frame {number} is where frame {} should be", self.number));
        }
        let kind = Kind::of(kind).ok_or_else(|| format!("frame {number}: unknown kind {kind}"))?;
        let payload = frame[BEFORE..BEFORE + len].to_vec();
        self.at += BEFORE + len + AFTER;
        self.number = self.number.wrapping_add(1);
        Ok(Some((kind, payload)))
    }
}

/// What a machine is made of: board, CPUs, bytes of memory, parts, devices, blocks of memory with their sizes; and whether
/// it waits for an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Config {
    pub(super) board: String,
    pub(super) cpus: u32,
    pub(super) memory: u64,
    pub(super) parts: Vec<String>,
    pub(super) devices: Vec<String>,
    pub(super) blocks: Vec<(String, u64)>,
    pub(super) answer: bool,
}

type Plain = (String, u32, u64, Vec<String>, Vec<String>, Vec<(String, u64)>, bool);

impl Config {
    pub(super) fn encode(&self) -> Result<Vec<u8>, String> {
        let c = self.clone();
        let plain: Plain = (c.board, c.cpus, c.memory, c.parts, c.devices, c.blocks, c.answer);
        let bytes = codec::encode(&plain).map_err(|e| e.to_string())?;
        if bytes.len() > LARGEST {
            return Err("the machine has too many parts".to_owned());
        }
        Ok(bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Config, String> {
        let plain: Plain = codec::decode(bytes).map_err(|e| format!("configuration: {e}"))?;
        let (board, cpus, memory, parts, devices, blocks, answer) = plain;
        Ok(Config { board, cpus, memory, parts, devices, blocks, answer })
    }

    /// Sees that a machine made of `self` can take on one made of `other`.
    pub(super) fn check(&self, other: &Config) -> Result<(), String> {
        let differ = |what: &str, here: &dyn core::fmt::Display, there: &dyn core::fmt::Display| {
            Err(format!("the machine comes with {what} {there}, this one has {here}"))
        };
        if self.board != other.board {
            return differ("board", &self.board, &other.board);
        }
        if self.cpus != other.cpus {
            return differ("CPUs:", &self.cpus, &other.cpus);
        }
        if self.memory != other.memory {
            return differ("bytes of memory:", &self.memory, &other.memory);
        }
        if self.devices != other.devices {
            return differ("devices", &self.devices.join(" "), &other.devices.join(" "));
        }
        if self.parts != other.parts {
            return differ("parts", &self.parts.join(" "), &other.parts.join(" "));
        }
        if self.blocks != other.blocks {
            return Err("the machine comes with other blocks of memory than this one has".to_owned());
        }
        Ok(())
    }
}

/// A page: its block (4 bytes), its number in the block (8), how many bytes follow (2; 0: the page is all zeros), these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Page<'a> {
    pub(super) block: u32,
    pub(super) page: u64,
    pub(super) bytes: &'a [u8],
}

impl Page<'_> {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.block.to_le_bytes());
        out.extend_from_slice(&self.page.to_le_bytes());
        out.extend_from_slice(&(self.bytes.len() as u16).to_le_bytes());
        out.extend_from_slice(self.bytes);
    }

    /// Calls `f` for each page of a payload.
    pub(super) fn each(mut payload: &[u8], f: &mut dyn FnMut(Page<'_>) -> Result<(), String>) -> Result<(), String> {
        while !payload.is_empty() {
            let short = || "a page ends in the middle".to_owned();
            let (head, rest) = payload.split_at_checked(14).ok_or_else(short)?;
            let len = usize::from(head[12]) | usize::from(head[13]) << 8;
            let (bytes, rest) = rest.split_at_checked(len).ok_or_else(short)?;
            f(Page { block: word(head, 0), page: long(head, 4), bytes })?;
            payload = rest;
        }
        Ok(())
    }
}

/// The length that `End` says.
pub(super) fn end_of(payload: &[u8]) -> Result<u64, String> {
    if payload.len() == 8 { Ok(long(payload, 0)) } else { Err("the end is not one".to_owned()) }
}

/// Bytes of a page of a block of `size` bytes.
pub(super) fn page_len(size: u64, page: u64) -> Option<u64> {
    let at = page.checked_shl(PAGE_SHIFT).filter(|at| at >> PAGE_SHIFT == page)?;
    size.checked_sub(at).filter(|left| *left > 0).map(|left| left.min(PAGE_SIZE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let (mut out, mut writer) = (Vec::new(), Writer::default());
        writer.put(&mut out, Kind::Config, b"config");
        writer.put(&mut out, Kind::Pages, &[7; 5000]);
        writer.put(&mut out, Kind::End, &8u64.to_le_bytes());
        out
    }

    fn read(bytes: &[u8], step: usize) -> Result<Vec<(Kind, Vec<u8>)>, String> {
        let (mut reader, mut frames) = (Reader::default(), Vec::new());
        for part in bytes.chunks(step) {
            reader.feed(part);
            while let Some(frame) = reader.next()? {
                frames.push(frame);
            }
        }
        if reader.at < reader.bytes.len() { Err("cut".to_owned()) } else { Ok(frames) }
    }

    #[test]
    fn frames_come_as_they_were_sent() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        for step in [1, 7, 4096, 1 << 20] {
            let frames = read(&stream(), step).unwrap();
            assert_eq!(frames.len(), 3);
            assert_eq!(frames[1], (Kind::Pages, vec![7; 5000]));
            assert_eq!(end_of(&frames[2].1), Ok(8));
        }
    }

    #[test]
    fn damage_is_seen_wherever_it_is() {
        let good = stream();
        for at in (0..60).chain(5000..good.len()) {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let result = read(&bad, 4096);
                assert!(result.is_err(), "byte {at}, bit {bit}: {result:?}");
            }
        }
        for len in (1..good.len()).step_by(13) {
            let result = read(&good[..len], 4096);
            assert!(result.as_ref().map_or(true, |frames| frames.len() < 3), "{len}: {result:?}");
        }
        // A frame is missing: the others are whole.
        let second = HEAD + BEFORE + 6 + AFTER;
        let mut bad = good[..second].to_vec();
        bad.extend_from_slice(&good[second + BEFORE + 5000 + AFTER..]);
        assert!(read(&bad, 4096).unwrap_err().contains("frame 2 is where frame 1"));
    }

    #[test]
    fn pages_and_their_lengths() {
        let mut out = Vec::new();
        for (page, bytes) in [(1, &[5; 4096][..]), (2, &[]), (3, &[9; 10])] {
            Page { block: 2, page, bytes }.put(&mut out);
        }
        let mut seen = Vec::new();
        Page::each(&out, &mut |p| {
            seen.push((p.block, p.page, p.bytes.len()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(2, 1, 4096), (2, 2, 0), (2, 3, 10)]);
        assert!(Page::each(&out[..out.len() - 1], &mut |_| Ok(())).is_err());
        assert_eq!(page_len(4096 * 2 + 5, 2), Some(5));
        assert_eq!((page_len(4096, 1), page_len(4096, u64::MAX), page_len(4096, 1 << 52)), (None, None, None));
    }
}
