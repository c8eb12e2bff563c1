//! What firmware starts: kernels and other programs, as files that show by their content what they are.
//!
//! ELF files, Linux images (raw, with an EFI stub, gzip-compressed, EFI zboot), legacy U-Boot images, and anything else
//! as raw bytes.  Nothing that a file says is believed: all that is loaded lies in RAM, and nothing is bigger than it.

mod elf;
mod linux;
mod uimage;

use core::fmt;
use core::ops::Range;
use flate2::read::GzDecoder;
use std::io::Read;
use tern_core::device::{Bus, BusError};

pub use elf::{ELF, Symbols};

/// Most bytes of a kernel or firmware, packed or not.
const MAX_PROGRAM: u64 = 1 << 30;

/// Where images may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// `e_machine` of ELF files.
    pub elf_machine: u16,
    /// Architecture number of U-Boot images.
    pub uimage_arch: u8,
    /// Is it a 64-bit CPU?
    pub is64: bool,
    /// First address of RAM.
    pub ram_base: u64,
    /// Size of RAM in bytes.
    pub ram_size: u64,
    /// Where an image goes that does not say.
    pub free: u64,
}

impl Target {
    /// Does this stretch lie in RAM?
    #[must_use]
    pub fn holds(&self, addr: u64, len: u64) -> bool {
        let offset = addr.checked_sub(self.ram_base).filter(|o| *o <= self.ram_size);
        offset.is_some_and(|o| len <= self.ram_size - o)
    }

    /// Most bytes that are read of a program: it lies in RAM, and RAM of the guest may be far bigger than the host's.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.ram_size.min(MAX_PROGRAM)
    }

    fn check(&self, what: &'static str, addr: u64, len: u64) -> Result<(), LoadError> {
        if self.holds(addr, len) { Ok(()) } else { Err(LoadError::Outside { what, addr, len, target: *self }) }
    }
}

/// What is wrong with an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoadError {
    /// There is nothing in it.
    Empty,
    /// A part of it lies outside of RAM.
    Outside {
        /// Which part.
        what: &'static str,
        /// Where it would go.
        addr: u64,
        /// Its length in memory.
        len: u64,
        /// Where RAM is.
        target: Target,
    },
    /// Unpacked, it is bigger than RAM, or than any program: so many bytes.
    TooBig(u64),
    /// It cannot be unpacked.
    Packed(String),
    /// It is for another machine; what it is for.
    Foreign(String),
    /// The named thing in it is broken.
    Broken(&'static str),
    /// It uses something that tern has not built.
    Unsupported(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Empty => f.write_str("the file is empty"),
            LoadError::Outside { what, addr, len, target } => {
                let end = target.ram_base.wrapping_add(target.ram_size);
                write!(
                    f,
                    "{what} at {addr:#x}, {len:#x} bytes, lies outside of RAM ({:#x} to {end:#x})",
                    target.ram_base
                )
            }
            LoadError::TooBig(limit) => write!(f, "unpacked it is bigger than {limit} bytes"),
            LoadError::Packed(why) => write!(f, "cannot be unpacked: {why}"),
            LoadError::Foreign(what) => write!(f, "is for another machine: {what}"),
            LoadError::Broken(what) => write!(f, "broken file: {what}"),
            LoadError::Unsupported(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for LoadError {}

/// A stretch of memory that an image fills.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its first address.
    pub addr: u64,
    /// Which of the image's bytes it begins with.
    pub bytes: Range<usize>,
    /// Its length; what the bytes do not fill is zero.
    pub len: u64,
}

/// An image that is ready to be put into memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// What it is, for people.
    pub kind: &'static str,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// What goes where.
    pub parts: Vec<Part>,
    /// Lowest address that it uses.
    pub low: u64,
    /// The address after the highest one that it uses.
    pub high: u64,
    /// Its first instruction.
    pub entry: u64,
    /// Addresses of symbols that boards ask for.
    pub symbols: Symbols,
}

impl Image {
    /// One stretch of memory.
    fn flat(kind: &'static str, addr: u64, payload: Vec<u8>, len: u64) -> Image {
        let high = addr + len;
        let parts = vec![Part { addr, bytes: 0..payload.len(), len }];
        Image { kind, payload, parts, low: addr, high, entry: addr, symbols: Symbols::default() }
    }

    /// Puts it into memory.
    ///
    /// # Errors
    /// An address without memory: the target was not what it said.
    pub fn store(&self, memory: &dyn Bus) -> Result<(), BusError> {
        const ZEROES: [u8; 4096] = [0; 4096];
        for part in &self.parts {
            let bytes = &self.payload[part.bytes.clone()];
            put(memory, part.addr, bytes)?;
            let mut at = bytes.len() as u64;
            while at < part.len {
                let n = (part.len - at).min(ZEROES.len() as u64);
                put(memory, part.addr + at, &ZEROES[..n as usize])?;
                at += n;
            }
        }
        Ok(())
    }
}

/// Writes memory.  Registers may lie in the middle of a program, as those of the host-target interface do, whose place is its
/// own section: they take nothing, so the program must have zeros there.
fn put(memory: &dyn Bus, addr: u64, bytes: &[u8]) -> Result<(), BusError> {
    let mut done = 0;
    while let Err(e) = memory.write(addr + done as u64, &bytes[done..]) {
        let at = usize::try_from(e.addr.wrapping_sub(addr)).ok().filter(|at| *at >= done);
        match at.filter(|at| bytes.get(*at) == Some(&0)) {
            Some(at) => done = at + 1,
            None => return Err(e),
        }
    }
    Ok(())
}

/// A program for `target`: a kernel, or firmware.
///
/// # Errors
/// [`LoadError`].
pub fn program(bytes: Vec<u8>, target: &Target) -> Result<Image, LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if bytes.starts_with(&elf::MAGIC) {
        return elf::load(bytes, target);
    }
    if bytes.starts_with(&uimage::MAGIC) {
        return uimage::kernel(&bytes, target);
    }
    if let Some(packed) = linux::zboot(&bytes)? {
        return unpacked(gunzip(packed, target.limit())?, target);
    }
    if bytes.starts_with(&GZIP) {
        let inner = gunzip(&bytes, target.limit())?;
        return unpacked(inner, target);
    }
    raw(bytes, target)
}

/// What was inside a compressed file; it is not compressed again.
fn unpacked(bytes: Vec<u8>, target: &Target) -> Result<Image, LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if bytes.starts_with(&elf::MAGIC) { elf::load(bytes, target) } else { raw(bytes, target) }
}

/// A Linux image, or any bytes.
fn raw(bytes: Vec<u8>, target: &Target) -> Result<Image, LoadError> {
    let size = bytes.len() as u64;
    let (kind, len) = match linux::header(&bytes)? {
        Some(header) => (header.kind, header.image_size.max(size)),
        None => ("raw binary", size),
    };
    target.check(kind, target.free, len)?;
    Ok(Image { high: target.free + len, ..Image::flat(kind, target.free, bytes, size) })
}

/// The bytes of a first root file system: a file as it is, or what is inside a U-Boot image.
///
/// # Errors
/// [`LoadError`].
pub fn ramdisk(bytes: Vec<u8>, target: &Target) -> Result<Vec<u8>, LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if bytes.starts_with(&uimage::MAGIC) {
        return uimage::ramdisk(&bytes, target);
    }
    Ok(bytes)
}

/// Bytes as they are, at the target's free place.
///
/// # Errors
/// [`LoadError::Outside`].
pub fn flat(kind: &'static str, at: u64, bytes: Vec<u8>, target: &Target) -> Result<Image, LoadError> {
    let len = bytes.len() as u64;
    target.check(kind, at, len)?;
    Ok(Image::flat(kind, at, bytes, len))
}

/// How gzip files begin (RFC 1952, section 2.3.1).
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

fn gunzip(bytes: &[u8], limit: u64) -> Result<Vec<u8>, LoadError> {
    let mut out = Vec::new();
    let mut reader = GzDecoder::new(bytes).take(limit.saturating_add(1));
    reader.read_to_end(&mut out).map_err(|e| LoadError::Packed(e.to_string()))?;
    if out.len() as u64 > limit { Err(LoadError::TooBig(limit)) } else { Ok(out) }
}

/// Little- or big-endian fields of a header.
fn field<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;
