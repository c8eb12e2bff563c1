//! What stands between functions of a bus and memory: translation of the addresses that they use.

use super::BusError;

/// Where an address leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// The physical address.
    pub addr: u64,
    /// How many bytes from there on belong together, at least 1.
    pub len: u64,
}

/// An IOMMU as the host bridge asks it.  Requesters are bus (8 bits), device (5) and function (3).
///
/// It may not call devices: what it finds wrong it keeps, and the bridge calls the IOMMU's own function when that wants to
/// say something ([`Iommu::wants_attention`]).
pub trait Iommu {
    /// Where an access of `requester` at `addr` goes.
    ///
    /// # Errors
    /// It goes nowhere; that has been noted.
    fn translate(&self, requester: u16, addr: u64, write: bool) -> Result<Stretch, BusError>;

    /// Where a message-signalled interrupt goes, and with which data; `None`: nowhere.
    fn message(&self, requester: u16, addr: u64, data: u32) -> Option<(u64, u32)> {
        self.translate(requester, addr, true).ok().map(|to| (to.addr, data))
    }

    /// These functions are behind it now.
    fn requesters(&self, requesters: &[u16]) {
        let _ = requesters;
    }

    /// Has it something to tell its driver?
    fn wants_attention(&self) -> bool;
}
