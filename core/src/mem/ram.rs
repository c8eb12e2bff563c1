//! Zeroed host memory for guest RAM; pages that nobody has written take no memory of the host.
#![allow(unsafe_code, reason = "allocates and frees what spans point to; every block names its proof")]

use super::{HostSpan, PAGE_SIZE};
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// An allocation that begins at a multiple of the page size.
pub(super) struct HostRam {
    raw: NonNull<u8>,
    layout: Layout,
    len: usize,
}

impl HostRam {
    /// `len` zeroed bytes; `None` if the host does not have them, or for no bytes.
    pub(super) fn new(len: u64) -> Option<HostRam> {
        let len = usize::try_from(len).ok().filter(|len| *len > 0)?;
        // The standard library asks the system for zeroed pages only if the alignment is small; with a larger one it writes
        // the zeros itself.  So the start is rounded up within an allocation of one page more.
        let layout = Layout::from_size_align(len.checked_add(PAGE_SIZE as usize)?, align_of::<u64>()).ok()?;
        // SAFETY: the size is not zero.
        let raw = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(HostRam { raw, layout, len })
    }

    /// All of it.  It may be used while `self` lives.
    pub(super) fn span(&self) -> HostSpan {
        let skip = self.raw.as_ptr().align_offset(PAGE_SIZE as usize);
        // SAFETY: `skip` is less than a page, and the allocation is a page longer than `len`; it is readable and writable,
        // no reference to it exists, and the owner (`RamBlock`) keeps it as long as its address space, see `HostSpan::new`.
        unsafe { HostSpan::new(self.raw.add(skip), self.len) }
    }
}

impl Drop for HostRam {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, freed once.
        unsafe { dealloc(self.raw.as_ptr(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_zeroed_and_as_long_as_wanted() {
        for len in [1, 4095, 4096, 12345] {
            let ram = HostRam::new(len).unwrap();
            let span = ram.span();
            assert_eq!((span.len() as u64, span.as_ptr() as u64 % PAGE_SIZE), (len, 0));
            let mut bytes = vec![1; len as usize];
            assert!(span.read(0, &mut bytes) && bytes.iter().all(|b| *b == 0));
            assert!(span.write(len as usize - 1, &[7]));
        }
        assert!(HostRam::new(0).is_none());
        assert!(HostRam::new(u64::MAX).is_none());
        assert!(HostRam::new(isize::MAX as u64).is_none());
    }
}
