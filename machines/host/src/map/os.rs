//! Mappings by the Linux kernel.
#![allow(unsafe_code, reason = "owns mapped memory; every block names its proof")]

use super::{Advice, MapError, Sync, aligned, check, whole_pages};
use crate::sys::{Errno, Fd};
use core::ffi::c_void;
use core::ops::Range;
use core::ptr::NonNull;
use std::sync::OnceLock;
use tern_core::mem::HostSpan;

/// Bytes per page of the host.
#[must_use]
pub fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    // SAFETY: no pointers.
    *SIZE.get_or_init(|| usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096))
}

/// Mapped pages, unmapped on drop. May be empty after [`HostMap::unmap_part`].
#[derive(Debug)]
pub struct HostMap {
    /// The start; dangling if `len` is zero.
    ptr: NonNull<u8>,
    /// Whole host pages that we own: mapped by us, described by no other `HostMap`.
    len: usize,
    writable: bool,
    shared: bool,
}

// SAFETY: the map is the only owner of its pages and is tied to no thread. Spans are values of their own with their own
// promise (see the room's text) and do not travel with it.
unsafe impl Send for HostMap {}

fn os<T>(call: &'static str) -> Result<T, MapError> {
    Err(MapError::Os { call, errno: Errno::last().0 })
}

impl HostMap {
    /// Zeroed private memory; untouched pages cost nothing.
    ///
    /// # Errors
    /// A bad length, or no memory.
    pub fn anon(len: usize) -> Result<HostMap, MapError> {
        Self::map(len, true, false, libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, (-1, 0))
    }

    /// Zeroed memory that children of a fork share.
    ///
    /// # Errors
    /// A bad length, or no memory.
    pub fn anon_shared(len: usize) -> Result<HostMap, MapError> {
        Self::map(len, true, true, libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, (-1, 0))
    }

    /// A part of a file. Bytes behind the file's end read as zero up to the end of its last page; pages behind that
    /// end tern by `SIGBUS` when touched (see `signal::last_resort`), so the caller maps no more than there is.
    ///
    /// # Errors
    /// A bad length or offset, or what the system says (`EACCES` for a shared writable map of a read-only descriptor).
    pub fn file(fd: Fd, offset: u64, len: usize, shared: bool, writable: bool) -> Result<HostMap, MapError> {
        aligned(offset)?;
        let offset = i64::try_from(offset).map_err(|_| MapError::Length(offset))?;
        Self::map(len, writable, shared, if shared { 0 } else { libc::MAP_NORESERVE }, (fd, offset))
    }

    fn map(len: usize, writable: bool, shared: bool, flags: i32, file: (Fd, i64)) -> Result<HostMap, MapError> {
        let len = whole_pages(len)?;
        let prot = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        let flags = flags | if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        // SAFETY: without MAP_FIXED the kernel chooses a place where nothing is mapped.
        let ptr = unsafe { libc::mmap64(core::ptr::null_mut(), len, prot, flags, file.0, file.1) };
        if ptr == libc::MAP_FAILED {
            return os("mmap");
        }
        match NonNull::new(ptr.cast::<u8>()) {
            Some(ptr) => Ok(HostMap { ptr, len, writable, shared }),
            None => Err(MapError::Length(len as u64)),
        }
    }

    /// Length in bytes: whole host pages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is nothing left?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// May the pages be written?
    #[must_use]
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Do other processes see what is written?
    #[must_use]
    pub fn shared(&self) -> bool {
        self.shared
    }

    /// The memory, for page tables. See the room's text for how long it may be used.
    #[must_use]
    pub fn span(&self) -> HostSpan {
        // SAFETY: `ptr..ptr + len` is mapped readable, and writable if `writable`, which the caller's page flags respect.
        // It stays so until this map is changed or dropped; the room's text makes the caller retire spans first. No
        // reference to the bytes is ever made.
        unsafe { HostSpan::new(self.ptr, self.len) }
    }

    /// Splits the map in two without touching memory: `self` keeps the bytes before `at`.
    ///
    /// # Errors
    /// A place that is outside or unaligned.
    pub fn split_off(&mut self, at: usize) -> Result<HostMap, MapError> {
        check(&(at..self.len), self.len)?;
        // SAFETY: `at <= len`, so the sum is inside the mapping or at its end.
        let ptr = unsafe { self.ptr.add(at) };
        let tail = HostMap { ptr, len: self.len - at, ..*self };
        self.len = at;
        Ok(tail)
    }

    /// Unmaps a range. `self` keeps what is before it; what is behind it is returned, if there is any.
    ///
    /// # Errors
    /// A range that is outside or unaligned.
    pub fn unmap_part(&mut self, range: Range<usize>) -> Result<Option<HostMap>, MapError> {
        check(&range, self.len)?;
        if range.is_empty() {
            return Ok(None);
        }
        let tail = self.split_off(range.end)?;
        drop(self.split_off(range.start)?);
        Ok(if tail.is_empty() { None } else { Some(tail) })
    }

    /// Drops the contents of a range (`MADV_DONTNEED`): private anonymous pages read as zero afterwards, private pages of
    /// a file as the file, shared pages are unchanged.
    ///
    /// # Errors
    /// A range that is outside or unaligned.
    pub fn discard(&mut self, range: Range<usize>) -> Result<(), MapError> {
        self.madvise(range, libc::MADV_DONTNEED)
    }

    /// Gives advice about a range.
    ///
    /// # Errors
    /// A range that is outside or unaligned; what the system says.
    pub fn advise(&mut self, range: Range<usize>, advice: Advice) -> Result<(), MapError> {
        let advice = match advice {
            Advice::Normal => libc::MADV_NORMAL,
            Advice::Sequential => libc::MADV_SEQUENTIAL,
            Advice::Random => libc::MADV_RANDOM,
            Advice::WillNeed => libc::MADV_WILLNEED,
            Advice::HugePage => libc::MADV_HUGEPAGE,
            Advice::NoHugePage => libc::MADV_NOHUGEPAGE,
            Advice::Mergeable => libc::MADV_MERGEABLE,
            Advice::Unmergeable => libc::MADV_UNMERGEABLE,
        };
        self.madvise(range, advice)
    }

    fn madvise(&mut self, range: Range<usize>, advice: i32) -> Result<(), MapError> {
        let ptr = self.part(&range)?;
        // SAFETY: our own pages; nothing borrows their contents, and no advice given here unmaps them.
        if unsafe { libc::madvise(ptr, range.len(), advice) } == 0 { Ok(()) } else { os("madvise") }
    }

    /// Writes a shared mapping of a file back (`msync(2)`).
    ///
    /// # Errors
    /// A range that is outside or unaligned; an I/O error.
    pub fn sync(&self, range: Range<usize>, how: Sync) -> Result<(), MapError> {
        let ptr = self.part(&range)?;
        let flags = match how {
            Sync::Start => libc::MS_ASYNC,
            Sync::Wait => libc::MS_SYNC,
        };
        // SAFETY: our own pages; contents do not change.
        if unsafe { libc::msync(ptr, range.len(), flags) } == 0 { Ok(()) } else { os("msync") }
    }

    /// Grows or shrinks the map, which may move (`mremap(2)`); new pages are zero, or continue the file.
    ///
    /// # Errors
    /// A bad length; no memory.
    pub fn remap(&mut self, new_len: usize) -> Result<(), MapError> {
        let new_len = whole_pages(new_len)?;
        if self.len == 0 {
            return Err(MapError::Length(0));
        }
        // SAFETY: our own pages, which no other map describes; the old place is not used afterwards.
        let ptr = unsafe { libc::mremap(self.ptr.as_ptr().cast(), self.len, new_len, libc::MREMAP_MAYMOVE) };
        if ptr == libc::MAP_FAILED {
            return os("mremap");
        }
        self.ptr = NonNull::new(ptr.cast::<u8>()).ok_or(MapError::Length(new_len as u64))?;
        self.len = new_len;
        Ok(())
    }

    fn part(&self, range: &Range<usize>) -> Result<*mut c_void, MapError> {
        check(range, self.len)?;
        // SAFETY: `check` has seen that the start is inside.
        Ok(unsafe { self.ptr.add(range.start) }.as_ptr().cast())
    }
}

impl Drop for HostMap {
    fn drop(&mut self) {
        if self.len != 0 {
            // SAFETY: our own pages, which no other map describes. It cannot fail for a range that is mapped, except for
            // want of memory to split a mapping; then the pages stay, which leaks and harms nobody.
            unsafe { libc::munmap(self.ptr.as_ptr().cast(), self.len) };
        }
    }
}
