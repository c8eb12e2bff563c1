//! What devices reach of memory.

use crate::backend::SharedRange;
use crate::mem::{HostSpan, PAGE_SIZE};
use core::fmt;
use std::rc::Rc;

/// A physical address where a device found no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BusError {
    /// The first address that failed.
    pub addr: u64,
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory at physical address {:#x}", self.addr)
    }
}

impl core::error::Error for BusError {}

/// Memory as devices see it.  Only memory answers: an address of a device is a [`BusError`].
pub trait Bus {
    /// Copies memory out.
    ///
    /// # Errors
    /// The first address without memory; bytes before it have been copied.
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError>;

    /// Copies into memory, marks it dirty, and lets translations of code there be given up.
    ///
    /// # Errors
    /// The first address without writable memory; bytes before it have been copied.
    fn write(&self, addr: u64, buf: &[u8]) -> Result<(), BusError>;

    /// The stretch of host memory behind `addr..addr + len` as far as it is in one piece, at most `len` bytes.
    ///
    /// # Errors
    /// As [`Bus::read`] and, for what will be written, [`Bus::write`], with the same marks.
    fn span(&self, addr: u64, len: u64, write: bool) -> Result<HostSpan, BusError>;

    /// Zeroes memory that the guest does not use now; the host gets it back if that can be done.
    ///
    /// # Errors
    /// As [`Bus::write`]; what is before it is zero.
    fn discard(&self, addr: u64, len: u64) -> Result<(), BusError> {
        let zeros = [0; PAGE_SIZE as usize];
        let mut done = 0;
        while done < len {
            let n = (len - done).min(PAGE_SIZE);
            let at = addr.checked_add(done).ok_or(BusError { addr: addr.wrapping_add(done) })?;
            self.write(at, &zeros[..n as usize])?;
            done += n;
        }
        Ok(())
    }

    /// Memory that other processes can map, by rising addresses; none if addresses are translated on the way.
    fn shared(&self) -> Vec<SharedRange> {
        Vec::new()
    }

    /// Puts a device's window at `addr`, or takes it out of the map.
    fn map(&self, device: u32, window: u32, addr: Option<u64>);
}

/// A device's access to memory.
#[derive(Clone)]
pub struct Dma(Rc<dyn Bus>);

impl Dma {
    /// Access through `bus`.
    #[must_use]
    pub fn new(bus: Rc<dyn Bus>) -> Dma {
        Dma(bus)
    }

    /// See [`Bus::read`].
    ///
    /// # Errors
    /// See there.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError> {
        self.0.read(addr, buf)
    }

    /// See [`Bus::write`].
    ///
    /// # Errors
    /// See there.
    pub fn write(&self, addr: u64, buf: &[u8]) -> Result<(), BusError> {
        self.0.write(addr, buf)
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    /// See [`Bus::read`].
    pub fn array<const N: usize>(&self, addr: u64) -> Result<[u8; N], BusError> {
        let mut bytes = [0; N];
        self.read(addr, &mut bytes)?;
        Ok(bytes)
    }

    /// See [`Bus::span`].
    ///
    /// # Errors
    /// See there.
    pub fn span(&self, addr: u64, len: u64, write: bool) -> Result<HostSpan, BusError> {
        self.0.span(addr, len, write)
    }

    /// See [`Bus::discard`].
    ///
    /// # Errors
    /// See there.
    pub fn discard(&self, addr: u64, len: u64) -> Result<(), BusError> {
        self.0.discard(addr, len)
    }

    /// See [`Bus::shared`].
    #[must_use]
    pub fn shared(&self) -> Vec<SharedRange> {
        self.0.shared()
    }
}

/// Moves the windows of one device.
#[derive(Clone)]
pub struct Mapper {
    bus: Rc<dyn Bus>,
    device: u32,
}

impl Mapper {
    /// For the windows of device number `device`.
    #[must_use]
    pub fn new(bus: Rc<dyn Bus>, device: u32) -> Mapper {
        Mapper { bus, device }
    }

    /// Puts window `window` at physical address `addr`, or takes it out of the map.
    pub fn map(&self, window: u32, addr: Option<u64>) {
        self.bus.map(self.device, window, addr);
    }
}
