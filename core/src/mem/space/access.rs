//! Accesses that do not go through a tier's pages: by devices (DMA), and to devices.

use super::flat::Range;
use super::{AddressSpace, RamBlock};
use crate::backend::SharedRange;
use crate::device::{Bus, BusError};
use crate::mem::{Access, FaultKind, HostSpan, MemFault, Size};

/// What answers to an access at some address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A window of a device.
    Device {
        /// The device's number.
        device: u32,
        /// Index of its window.
        window: u32,
        /// Bytes from the window's start.
        offset: u64,
    },
    /// Memory.
    Memory,
    /// Memory that ignores stores.
    Rom,
    /// A bus on which nobody answers: loads see ones, stores are lost.
    Open,
    /// Nothing: a fault.
    Nothing,
}

/// An access that a device is to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceAccess {
    /// The device's number.
    pub device: u32,
    /// Index of its window.
    pub window: u32,
    /// Bytes from the window's start.
    pub offset: u64,
    /// Bytes moved.
    pub size: Size,
}

/// Part of an access, and what answers to it.
struct Piece {
    at: u64,
    /// Its first byte, counted from the start of the access.
    done: u64,
    len: u64,
    target: Target,
}

/// What answers to `access` at `addr`, which is in `range`.
fn target(range: &Range, addr: u64, access: Access) -> Target {
    let offset = range.offset + (addr - range.first);
    let direct = range.memory.as_ref().map(|m| if access == Access::Store { m.write } else { m.read });
    match (direct, range.device) {
        (Some(true), _) => Target::Memory,
        (_, Some((device, window))) => Target::Device { device, window, offset },
        (Some(false), None) => Target::Rom,
        (None, None) => Target::Open,
    }
}

impl AddressSpace {
    /// What answers to `access` at `addr`, and to how many bytes from there on (at most `len`, which is at least 1).
    #[must_use]
    pub fn target(&self, addr: u64, len: u64, access: Access) -> (Target, u64) {
        let flat = self.flat();
        match flat.find(addr) {
            Some(range) => (target(range, addr, access), (range.last - addr).min(len - 1) + 1),
            None => {
                let ranges = flat.ranges();
                let next = ranges.get(ranges.partition_point(|r| r.last < addr)).map_or(u64::MAX, |r| r.first);
                (Target::Nothing, (next - addr).clamp(1, len))
            }
        }
    }

    /// The piece of the access `addr..addr + size` that begins after `done` bytes.  Addresses go round at 2^64.
    fn piece(&self, addr: u64, size: Size, done: u64, access: Access) -> Piece {
        let at = addr.wrapping_add(done);
        let (target, len) = self.target(at, size.bytes() - done, access);
        // What is cut off is moved in aligned pieces, as a bus would.
        let len = if len == size.bytes() { len } else { (1 << len.ilog2()).min(1 << at.trailing_zeros().min(3)) };
        Piece { at, done, len, target }
    }

    /// The fault of an access of which some byte is nowhere, before any of it is done.
    fn check(&self, addr: u64, size: Size, access: Access) -> Result<(), MemFault> {
        let mut done = 0;
        while done < size.bytes() {
            let piece = self.piece(addr, size, done, access);
            if piece.target == Target::Nothing {
                return Err(MemFault { addr: piece.at, access, kind: FaultKind::Unmapped });
            }
            done += piece.len;
        }
        Ok(())
    }

    /// Loads `size` bytes as a little-endian number from memory and devices; `device` answers for the latter.
    ///
    /// # Errors
    /// Nothing answers to some byte; then nobody was asked.
    pub fn load(&self, addr: u64, size: Size, device: &mut dyn FnMut(DeviceAccess) -> u64) -> Result<u64, MemFault> {
        self.check(addr, size, Access::Load)?;
        let (mut value, mut done) = (0, 0);
        while done < size.bytes() {
            let piece = self.piece(addr, size, done, Access::Load);
            let part = Size::from_log2(piece.len.ilog2() as u8);
            let bits = match piece.target {
                Target::Device { device: number, window, offset } => {
                    device(DeviceAccess { device: number, window, offset, size: part }) & part.mask()
                }
                Target::Open => part.mask(),
                _ => {
                    let mut bytes = [0; 8];
                    // A device that was asked for an earlier piece may have taken the memory away: then it reads as zero.
                    let _ = self.read(piece.at, &mut bytes[..piece.len as usize]);
                    u64::from_le_bytes(bytes)
                }
            };
            value |= bits << (8 * piece.done);
            done += piece.len;
        }
        Ok(value)
    }

    /// Stores the low `size` bytes of a number, little-endian, to memory and devices; `device` takes what is for the
    /// latter.  ROM ignores it, and the guest error is counted.
    ///
    /// # Errors
    /// Nothing answers to some byte; then nothing was stored.
    pub fn store(
        &self,
        addr: u64,
        size: Size,
        value: u64,
        device: &mut dyn FnMut(DeviceAccess, u64),
    ) -> Result<(), MemFault> {
        self.check(addr, size, Access::Store)?;
        let mut done = 0;
        while done < size.bytes() {
            let piece = self.piece(addr, size, done, Access::Store);
            let part = Size::from_log2(piece.len.ilog2() as u8);
            let bits = value >> (8 * piece.done) & part.mask();
            match piece.target {
                Target::Device { device: number, window, offset } => {
                    device(DeviceAccess { device: number, window, offset, size: part }, bits);
                }
                Target::Memory => {
                    let _ = self.write(piece.at, &bits.to_le_bytes()[..piece.len as usize]);
                }
                Target::Open => {}
                // Nothing: a device that got an earlier piece has changed the map.
                Target::Rom | Target::Nothing => {
                    self.shared.report.guest_error(format_args!("store to read-only memory at {:#x}", piece.at));
                }
            }
            done += piece.len;
        }
        Ok(())
    }

    /// The block behind `addr..addr + len`, the offset in it, and how many of the bytes (at least one) are there.
    fn writable(&self, addr: u64, len: u64) -> Option<(RamBlock, u64, u64)> {
        let flat = self.flat();
        let range = flat.find(addr)?;
        let memory = range.memory.as_ref().filter(|m| m.write)?;
        Some((memory.block.clone(), range.offset + (addr - range.first), (range.last - addr).min(len - 1) + 1))
    }

    /// Calls `f` for each stretch of memory behind `addr..addr + len`, with its place in it.
    fn stretches(
        &self,
        addr: u64,
        len: usize,
        write: bool,
        f: &mut dyn FnMut(HostSpan, usize),
    ) -> Result<(), BusError> {
        let mut done = 0;
        while done < len {
            let error = BusError { addr: addr.wrapping_add(done as u64) };
            let at = addr.checked_add(done as u64).ok_or(error)?;
            let span = self.span(at, (len - done) as u64, write)?;
            f(span, done);
            done += span.len();
        }
        Ok(())
    }
}

impl Bus for AddressSpace {
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError> {
        let len = buf.len();
        self.stretches(addr, len, false, &mut |span, at| {
            let _ = span.read(0, &mut buf[at..at + span.len()]);
        })
    }

    fn write(&self, addr: u64, buf: &[u8]) -> Result<(), BusError> {
        self.stretches(addr, buf.len(), true, &mut |span, at| {
            let _ = span.write(0, &buf[at..at + span.len()]);
        })
    }

    fn span(&self, addr: u64, len: u64, write: bool) -> Result<HostSpan, BusError> {
        let flat = self.flat();
        let range = flat.find(addr).ok_or(BusError { addr })?;
        let memory = range.memory.as_ref().filter(|m| if write { m.write } else { m.read }).ok_or(BusError { addr })?;
        if len == 0 {
            return Ok(HostSpan::EMPTY);
        }
        let len = (range.last - addr).min(len - 1) + 1;
        memory.block.span(range.offset + (addr - range.first), len, write).ok_or(BusError { addr })
    }

    fn discard(&self, addr: u64, len: u64) -> Result<(), BusError> {
        let mut done = 0;
        while done < len {
            let error = BusError { addr: addr.wrapping_add(done) };
            let at = addr.checked_add(done).ok_or(error)?;
            let (block, offset, n) = self.writable(at, len - done).ok_or(error)?;
            block.discard(offset, n);
            done += n;
        }
        Ok(())
    }

    fn shared(&self) -> Vec<SharedRange> {
        let mut list = Vec::new();
        for range in self.flat().ranges() {
            let Some(memory) = range.memory.as_ref().filter(|m| m.read && m.write) else { continue };
            let (memory, offset) = (memory.block.memory(), range.offset);
            if memory.file().is_some() {
                list.push(SharedRange {
                    addr: range.first,
                    size: (range.last - range.first).saturating_add(1),
                    memory,
                    offset,
                });
            }
        }
        list
    }

    fn map(&self, device: u32, window: u32, addr: Option<u64>) {
        if !self.move_window(device, window, addr) {
            let what = format_args!("device {device} moves window {window}, which the board has not registered");
            self.shared.report.unimplemented(what);
        }
    }
}
