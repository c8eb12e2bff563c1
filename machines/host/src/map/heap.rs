//! Memory from the heap, for hosts without Linux's mappings and for Miri. Files and sharing are not supported.
#![allow(unsafe_code, reason = "owns heap memory; every block names its proof")]

use super::{Advice, MapError, Sync, check, whole_pages};
use core::ops::Range;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::Arc;
use tern_core::mem::HostSpan;

/// Bytes per page.
#[must_use]
pub fn page_size() -> usize {
    4096
}

/// One allocation, freed with the last map that lies in it.
#[derive(Debug)]
struct Block {
    ptr: NonNull<u8>,
    layout: Layout,
}

// SAFETY: raw memory that is tied to no thread; access goes through the maps, which do not overlap.
unsafe impl Send for Block {}
// SAFETY: as above; a shared `Block` only says where its memory is.
unsafe impl core::marker::Sync for Block {}

impl Block {
    fn new(len: usize) -> Result<Arc<Block>, MapError> {
        let error = MapError::Length(len as u64);
        let layout = Layout::from_size_align(len, page_size()).map_err(|_| error)?;
        // SAFETY: the length is not zero (`whole_pages`).
        let ptr = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(error)?;
        Ok(Arc::new(Block { ptr, layout }))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, freed once.
        unsafe { dealloc(self.ptr.as_ptr(), self.layout) };
    }
}

/// Pages, freed on drop. May be empty after [`HostMap::unmap_part`].
#[derive(Debug)]
pub struct HostMap {
    block: Arc<Block>,
    start: usize,
    len: usize,
}

impl HostMap {
    /// Zeroed private memory.
    ///
    /// # Errors
    /// A bad length, or no memory.
    pub fn anon(len: usize) -> Result<HostMap, MapError> {
        let len = whole_pages(len)?;
        Ok(HostMap { block: Block::new(len)?, start: 0, len })
    }

    /// Not supported here.
    ///
    /// # Errors
    /// Always.
    pub fn anon_shared(_len: usize) -> Result<HostMap, MapError> {
        Err(MapError::Unsupported)
    }

    /// Not supported here.
    ///
    /// # Errors
    /// Always.
    pub fn file(_fd: i32, _offset: u64, _len: usize, _shared: bool, _writable: bool) -> Result<HostMap, MapError> {
        Err(MapError::Unsupported)
    }

    /// Length in bytes: whole pages.
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
        true
    }

    /// Do other processes see what is written?
    #[must_use]
    pub fn shared(&self) -> bool {
        false
    }

    /// The memory, for page tables. See the room's text for how long it may be used.
    #[must_use]
    pub fn span(&self) -> HostSpan {
        // SAFETY: `start..start + len` lies in the block, is readable and writable and lives as long as this map; no
        // reference to the bytes is ever made.
        unsafe { HostSpan::new(self.block.ptr.add(self.start), self.len) }
    }

    /// Splits the map in two: `self` keeps the bytes before `at`.
    ///
    /// # Errors
    /// A place that is outside or unaligned.
    pub fn split_off(&mut self, at: usize) -> Result<HostMap, MapError> {
        check(&(at..self.len), self.len)?;
        let tail = HostMap { block: Arc::clone(&self.block), start: self.start + at, len: self.len - at };
        self.len = at;
        Ok(tail)
    }

    /// Gives a range up. `self` keeps what is before it; what is behind it is returned, if there is any.
    ///
    /// # Errors
    /// A range that is outside or unaligned.
    pub fn unmap_part(&mut self, range: Range<usize>) -> Result<Option<HostMap>, MapError> {
        check(&range, self.len)?;
        if range.is_empty() {
            return Ok(None);
        }
        let tail = self.split_off(range.end)?;
        self.len = range.start;
        Ok(if tail.is_empty() { None } else { Some(tail) })
    }

    /// Zeroes a range.
    ///
    /// # Errors
    /// A range that is outside or unaligned.
    pub fn discard(&mut self, range: Range<usize>) -> Result<(), MapError> {
        check(&range, self.len)?;
        // SAFETY: inside the block (checked); this map alone describes these bytes.
        unsafe { self.block.ptr.add(self.start + range.start).as_ptr().write_bytes(0, range.len()) };
        Ok(())
    }

    /// Advice is welcome and without effect.
    ///
    /// # Errors
    /// A range that is outside or unaligned.
    pub fn advise(&mut self, range: Range<usize>, _advice: Advice) -> Result<(), MapError> {
        check(&range, self.len)
    }

    /// There is no file to write to.
    ///
    /// # Errors
    /// A range that is outside or unaligned.
    pub fn sync(&self, range: Range<usize>, _how: Sync) -> Result<(), MapError> {
        check(&range, self.len)
    }

    /// Grows or shrinks the map, which moves; new pages are zero.
    ///
    /// # Errors
    /// A bad length; no memory.
    pub fn remap(&mut self, new_len: usize) -> Result<(), MapError> {
        let new_len = whole_pages(new_len)?;
        if self.len == 0 {
            return Err(MapError::Length(0));
        }
        let new = HostMap { block: Block::new(new_len)?, start: 0, len: new_len };
        // SAFETY: both stretches are inside their blocks, which differ.
        unsafe {
            let from = self.block.ptr.add(self.start).as_ptr();
            core::ptr::copy_nonoverlapping(from, new.block.ptr.as_ptr(), self.len.min(new_len));
        }
        *self = new;
        Ok(())
    }
}
