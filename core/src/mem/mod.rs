//! Guest memory: one mechanism, page flags plus a host span, decides everything exceptional about an access.

mod access;
mod flat;
mod ram;
pub mod space;
mod span;

pub use access::{Access, Endian, FaultKind, MemFault, MemOp, RmwOp, Size};
pub use flat::FlatMemory;
pub use span::HostSpan;

/// log2 of the guest page size that page flags are kept for.
pub const PAGE_SHIFT: u32 = 12;
/// Guest page size in bytes.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// Mask of the offset within a page.
pub const PAGE_MASK: u64 = PAGE_SIZE - 1;

/// What is exceptional about a page.  Zero means that plain loads and stores may go straight to the span.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageFlags(pub u32);

impl PageFlags {
    /// The page holds code that has been translated: a store must invalidate the translations first.
    pub const CODE: PageFlags = PageFlags(1);
    /// Every access must take the slow path (watchpoints, dirty tracking, checkpoint copy on write).
    pub const SLOW: PageFlags = PageFlags(2);
    /// Not memory: accesses go to [`GuestMemory::device_load`] and [`GuestMemory::device_store`].
    pub const DEVICE: PageFlags = PageFlags(4);
    /// The span is shared with other host processes or threads.
    pub const SHARED: PageFlags = PageFlags(8);

    /// Are all bits of `other` set?
    #[must_use]
    pub const fn has(self, other: PageFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The union of both.
    #[must_use]
    pub const fn with(self, other: PageFlags) -> PageFlags {
        PageFlags(self.0 | other.0)
    }

    /// May an access that was resolved with these flags be repeated without asking again?
    #[must_use]
    pub const fn cacheable(self, access: Access) -> bool {
        let blocking = match access {
            Access::Store => Self::CODE.0 | Self::SLOW.0 | Self::DEVICE.0,
            Access::Load | Access::Fetch => Self::SLOW.0 | Self::DEVICE.0,
        };
        self.0 & blocking == 0
    }
}

/// A resolved page.
#[derive(Clone, Copy, Debug)]
pub struct PageRef {
    /// The page's bytes: exactly [`PAGE_SIZE`] of them (empty for a device page).
    pub span: HostSpan,
    /// The page's identity for translated code.  Memory that is mapped twice has one identity, so it is not an address
    /// (user mode: the page's number in the process's space).
    pub phys: u64,
    /// What is exceptional about it.
    pub flags: PageFlags,
}

/// The memory of one guest as an execution tier sees it.
///
/// A [`PageRef`] stays valid until [`GuestMemory::generation`] changes; the generation may change only between calls of
/// an engine's `run` or inside [`GuestMemory`] and [`crate::frontend::Helper`] calls, after which tiers compare it.
pub trait GuestMemory {
    /// Resolves the page that holds `addr` for one kind of access by MMU mode `mode`.
    ///
    /// # Errors
    /// The fault that the guest sees: nothing mapped, no permission, bus error.
    fn page(&mut self, addr: u64, access: Access, mode: u8) -> Result<PageRef, MemFault>;

    /// A number that changes whenever an earlier [`PageRef`] may no longer hold.
    fn generation(&self) -> u64;

    /// Sets or clears [`PageFlags::CODE`] on the physical page `phys`.
    fn set_code(&mut self, phys: u64, code: bool);

    /// Moves out the physical pages whose contents were replaced behind the tiers' back since the last call
    /// (unmapped, mapped over, made unexecutable) while they were marked as code.
    fn take_invalidated(&mut self, pages: &mut Vec<u64>);

    /// An instruction is about to access `size` bytes at the virtual address `addr`; everything that could fault has been
    /// looked at.  For tiers that watch memory, and leave before the access.
    ///
    /// # Errors
    /// A fault that no guest sees: the access must not be made now.
    fn touch(&mut self, addr: u64, size: u64, access: Access) -> Result<(), MemFault> {
        let _ = (addr, size, access);
        Ok(())
    }

    /// Reads `size` bytes from a device page; the value is in guest byte order already decoded as little-endian.
    ///
    /// # Errors
    /// The fault that the device raises.
    fn device_load(&mut self, addr: u64, mode: u8, size: Size) -> Result<u64, MemFault> {
        let _ = (mode, size);
        Err(MemFault { addr, access: Access::Load, kind: FaultKind::Bus })
    }

    /// Writes to a device page.
    ///
    /// # Errors
    /// The fault that the device raises.
    fn device_store(&mut self, addr: u64, mode: u8, size: Size, value: u64) -> Result<(), MemFault> {
        let _ = (mode, size, value);
        Err(MemFault { addr, access: Access::Store, kind: FaultKind::Bus })
    }
}

impl dyn GuestMemory + '_ {
    /// Copies guest memory into `buf`, page by page.
    ///
    /// # Errors
    /// The first fault; bytes before it have been copied.
    pub fn read(&mut self, addr: u64, buf: &mut [u8], access: Access, mode: u8) -> Result<(), MemFault> {
        let mut done = 0;
        while done < buf.len() {
            let at = addr.wrapping_add(done as u64);
            let n = chunk(at, buf.len() - done);
            let page = self.page(at, access, mode)?;
            if !page.span.read((at & PAGE_MASK) as usize, &mut buf[done..done + n]) {
                return Err(MemFault { addr: at, access, kind: FaultKind::Bus });
            }
            done += n;
        }
        Ok(())
    }

    /// Copies `buf` to guest memory, page by page.  The caller invalidates translated code ([`PageFlags::CODE`]).
    ///
    /// # Errors
    /// The first fault; bytes before it have been copied.
    pub fn write(&mut self, addr: u64, buf: &[u8], mode: u8) -> Result<(), MemFault> {
        let mut done = 0;
        while done < buf.len() {
            let at = addr.wrapping_add(done as u64);
            let n = chunk(at, buf.len() - done);
            let page = self.page(at, Access::Store, mode)?;
            if !page.span.write((at & PAGE_MASK) as usize, &buf[done..done + n]) {
                return Err(MemFault { addr: at, access: Access::Store, kind: FaultKind::Bus });
            }
            done += n;
        }
        Ok(())
    }
}

/// How many of `left` bytes from `addr` on lie in one page.
fn chunk(addr: u64, left: usize) -> usize {
    left.min((PAGE_SIZE - (addr & PAGE_MASK)) as usize)
}
