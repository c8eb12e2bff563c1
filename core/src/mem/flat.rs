//! A memory for tests, the evaluator and conformance vectors: one stretch of RAM, all of it accessible.
#![allow(unsafe_code, reason = "hands out spans of its own boxed bytes; every block names its proof")]

use super::{Access, FaultKind, GuestMemory, HostSpan, MemFault, PAGE_SHIFT, PAGE_SIZE, PageFlags, PageRef};
use core::ptr::NonNull;

/// `pages` pages of RAM from `base` on; everything else is unmapped.
pub struct FlatMemory {
    base: u64,
    ram: NonNull<u8>,
    len: usize,
    code: Vec<bool>,
    readonly: Vec<bool>,
    generation: u64,
}

impl FlatMemory {
    /// Zeroed RAM of `pages` pages at `base` (a multiple of the page size).
    #[must_use]
    pub fn new(base: u64, pages: usize) -> FlatMemory {
        let len = pages * PAGE_SIZE as usize;
        let ram = Box::leak(vec![0u64; len / 8].into_boxed_slice());
        let ram = NonNull::from(ram).cast();
        FlatMemory { base, ram, len, code: vec![false; pages], readonly: vec![false; pages], generation: 0 }
    }

    /// Makes the page that holds `addr` read-only or writable.
    pub fn protect(&mut self, addr: u64, readonly: bool) {
        let index = ((addr.wrapping_sub(self.base)) >> PAGE_SHIFT) as usize;
        if let Some(flag) = self.readonly.get_mut(index) {
            *flag = readonly;
            self.generation += 1;
        }
    }

    /// Where it starts and how long it is, in bytes.
    #[must_use]
    pub fn extent(&self) -> (u64, u64) {
        (self.base, self.len as u64)
    }
}

impl Drop for FlatMemory {
    fn drop(&mut self) {
        // SAFETY: `ram` came from a leaked box of exactly len/8 u64 in `new` and is dropped once; spans are dead by the
        // contract of `GuestMemory` (nobody runs on a memory that is gone).
        drop(unsafe {
            Box::from_raw(core::ptr::slice_from_raw_parts_mut(self.ram.as_ptr().cast::<u64>(), self.len / 8))
        });
    }
}

impl GuestMemory for FlatMemory {
    fn page(&mut self, addr: u64, access: Access, _mode: u8) -> Result<PageRef, MemFault> {
        let offset = addr.wrapping_sub(self.base);
        if offset >= self.len as u64 {
            return Err(MemFault { addr, access, kind: FaultKind::Unmapped });
        }
        let index = (offset >> PAGE_SHIFT) as usize;
        if access == Access::Store && self.readonly[index] {
            return Err(MemFault { addr, access, kind: FaultKind::Permission });
        }
        // SAFETY: index is inside `ram`, which lives as long as self.
        let span = unsafe { HostSpan::new(self.ram.add(index << PAGE_SHIFT), PAGE_SIZE as usize) };
        let flags = if self.code[index] { PageFlags::CODE } else { PageFlags::default() };
        Ok(PageRef { span, phys: addr >> PAGE_SHIFT, flags })
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn set_code(&mut self, phys: u64, code: bool) {
        let index = phys.wrapping_sub(self.base >> PAGE_SHIFT) as usize;
        if let Some(flag) = self.code.get_mut(index) {
            *flag = code;
        }
    }

    fn take_invalidated(&mut self, _pages: &mut Vec<u64>) {}
}
