//! A namespace: a medium, cut into logical blocks (NVM Express 1.4, 6.1); and the device `nvme-ns`.

use super::status::Status;
use crate::model::{Props, Wants};
use serde::{Deserialize, Serialize};
use tern_core::backend::Block;
use tern_core::snapshot::{StateError, check};

/// Most namespaces of a controller.
pub(super) const MAX: u32 = 256;
/// Exponents of the block sizes of the formats.
pub(super) const FORMATS: [u8; 2] = [9, 12];
/// Most bytes zeroed, verified or compared at once.
const CHUNK: usize = 256 << 10;

/// What is saved of a namespace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct NsState {
    pub(super) nsid: u32,
    /// Its format: an index in [`FORMATS`].
    pub(super) format: u8,
    /// Size of the medium in bytes, as last seen.
    pub(super) bytes: u64,
    /// Feature error recovery (5.21.1.5).
    pub(super) recovery: u32,
}

/// A namespace.
pub(super) struct Namespace {
    disk: Box<dyn Block>,
    pub(super) uuid: Option<[u8; 16]>,
    pub(super) nguid: [u8; 16],
    pub(super) eui64: u64,
    pub(super) state: NsState,
}

impl Namespace {
    /// What the properties of `nvme-ns`, or of a controller with a medium of its own, describe.
    pub(super) fn new(disk: Box<dyn Block>, props: &Props) -> Result<Namespace, String> {
        let size = props.number("logical_block_size");
        let format = FORMATS.iter().position(|f| 1 << f == size);
        let format = format.ok_or("logical_block_size property must be 512 or 4096")? as u8;
        let bytes = disk.size();
        let state = NsState { nsid: 0, format, bytes, recovery: 0 };
        Ok(Namespace { disk, uuid: None, nguid: [0; 16], eui64: 0, state })
    }

    /// A namespace on the bus of a controller.
    pub(super) fn child(wants: &mut Wants<'_>) -> Result<Namespace, String> {
        let props = wants.props;
        let disk = wants.drive("drive", 0)?;
        let mut ns = Namespace::new(disk, props)?;
        ns.uuid = match props.text("uuid") {
            "" => None,
            text => Some(hex(text).ok_or_else(|| format!("uuid property: {text} is not a UUID"))?),
        };
        ns.nguid = match props.text("nguid") {
            "" => [0; 16],
            text => hex(text).ok_or_else(|| format!("nguid property: {text} is not 16 bytes in hexadecimal"))?,
        };
        ns.eui64 = props.number("eui64");
        Ok(ns)
    }

    /// As after power-on; the medium keeps what is on it, and its format.
    pub(super) fn reset(&mut self) {
        self.state.bytes = self.disk.size();
        self.state.recovery = 0;
    }

    /// Can this be its state?
    pub(super) fn check(&self, state: &NsState) -> Result<(), StateError> {
        let (here, saved) = (self.state.nsid, state.nsid);
        check(here == saved, "namespace", || format!("{saved}, not {here}"))?;
        let format = state.format;
        check(usize::from(format) < FORMATS.len(), "format", || format!("there is no format {format}"))?;
        check(state.recovery >> 16 == 0, "error recovery", || format!("{:#x}", state.recovery))
    }

    /// The exponent of its block size.
    pub(super) fn shift(&self) -> u32 {
        u32::from(FORMATS[usize::from(self.state.format) % FORMATS.len()])
    }

    /// Its size in blocks.
    pub(super) fn blocks(&self) -> u64 {
        self.state.bytes >> self.shift()
    }

    /// Looks whether the medium has another size now.
    pub(super) fn look(&mut self) -> bool {
        let before = core::mem::replace(&mut self.state.bytes, self.disk.size());
        before != self.state.bytes
    }

    pub(super) fn read_only(&self) -> bool {
        self.disk.read_only()
    }

    /// Offset and length in bytes of a range of blocks.
    pub(super) fn range(&self, lba: u64, blocks: u64) -> Result<(u64, u64), Status> {
        let end = lba.checked_add(blocks).filter(|end| *end <= self.blocks());
        end.map(|_| (lba << self.shift(), blocks << self.shift())).ok_or(Status::LBA_RANGE)
    }

    pub(super) fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), Status> {
        self.disk.read(offset, buf).map_err(|e| Status::of_read(&e))
    }

    pub(super) fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), Status> {
        if self.read_only() {
            return Err(Status::WRITE_PROTECTED);
        }
        self.disk.write(offset, buf).map_err(|e| Status::of_write(&e))
    }

    pub(super) fn flush(&mut self) -> Result<(), Status> {
        self.disk.flush().map_err(|e| Status::of_write(&e))
    }

    pub(super) fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), Status> {
        if self.read_only() {
            return Err(Status::WRITE_PROTECTED);
        }
        self.disk.write_zeroes(offset, len, unmap).map_err(|e| Status::of_write(&e))
    }

    /// Gives a range up; a medium that cannot do that keeps it, which is allowed.
    pub(super) fn discard(&mut self, offset: u64, len: u64) -> Result<(), Status> {
        if self.read_only() {
            return Err(Status::WRITE_PROTECTED);
        }
        match self.disk.discard(offset, len) {
            Err(tern_core::backend::BlockError::Unsupported) => Ok(()),
            result => result.map_err(|e| Status::of_write(&e)),
        }
    }

    /// Reads a range and drops it.
    pub(super) fn verify(&mut self, offset: u64, len: u64) -> Result<(), Status> {
        let mut buf = vec![0; CHUNK.min(len as usize)];
        let mut done = 0;
        while done < len {
            let n = (len - done).min(CHUNK as u64);
            self.read(offset + done, &mut buf[..n as usize])?;
            done += n;
        }
        Ok(())
    }

    /// Formats it anew: everything is zero.
    pub(super) fn format(&mut self, format: u8) -> Result<(), Status> {
        self.write_zeroes(0, self.state.bytes, true)?;
        self.state.format = format;
        Ok(())
    }
}

/// 16 bytes in hexadecimal, with or without dashes.
fn hex(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u32> = text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
    if digits.len() == 32 { bytes.try_into().ok() } else { None }
}
