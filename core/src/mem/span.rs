//! Host memory behind guest pages: one of the rooms where `unsafe` may live (DESIGN section 3, guest-memory fast path).
#![allow(unsafe_code, reason = "raw host memory; every block names its proof")]

use super::Size;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// A stretch of host memory that backs guest pages.
///
/// The bytes may change under our feet (another process may share them), so they are only ever copied or accessed
/// atomically, never borrowed.  A span is a plain value: who makes one promises that it lives long enough, see
/// [`HostSpan::new`].
#[derive(Clone, Copy, Debug)]
pub struct HostSpan {
    ptr: NonNull<u8>,
    len: usize,
}

impl HostSpan {
    /// The empty span.
    pub const EMPTY: HostSpan = HostSpan { ptr: NonNull::dangling(), len: 0 };

    /// Describes host memory.
    ///
    /// # Safety
    /// `ptr..ptr + len` must be readable memory, and writable if it is ever reached through a page that was resolved for
    /// [`super::Access::Store`]. It must stay so until the owning [`super::GuestMemory`] changes its generation and the
    /// holders of spans have had the chance to compare it (see the trait).  No Rust reference to it may exist meanwhile.
    #[must_use]
    pub const unsafe fn new(ptr: NonNull<u8>, len: usize) -> HostSpan {
        HostSpan { ptr, len }
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len
    }

    /// Is there nothing?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Where it starts.  Dereferencing is the reader's own proof.
    #[must_use]
    pub const fn as_ptr(self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// The part `offset..offset + len`, if it is inside.
    #[must_use]
    pub fn sub(self, offset: usize, len: usize) -> Option<HostSpan> {
        let end = offset.checked_add(len)?;
        if end > self.len {
            return None;
        }
        // SAFETY: offset <= self.len, so the sum stays inside (or one past the end of) the same allocation.
        let ptr = unsafe { self.ptr.add(offset) };
        Some(HostSpan { ptr, len })
    }

    /// Copies bytes out; false if `offset..offset + buf.len()` is not inside.
    #[must_use]
    pub fn read(self, offset: usize, buf: &mut [u8]) -> bool {
        let Some(part) = self.sub(offset, buf.len()) else { return false };
        // SAFETY: `part` is inside memory that `new`'s caller vouches for; `buf` is ours alone, so they do not overlap.
        unsafe { core::ptr::copy_nonoverlapping(part.as_ptr(), buf.as_mut_ptr(), buf.len()) };
        true
    }

    /// Copies bytes in; false if `offset..offset + buf.len()` is not inside.
    #[must_use]
    pub fn write(self, offset: usize, buf: &[u8]) -> bool {
        let Some(part) = self.sub(offset, buf.len()) else { return false };
        // SAFETY: as in `read`; that the memory is writable is the promise made to `new`.
        unsafe { core::ptr::copy_nonoverlapping(buf.as_ptr(), part.as_ptr(), buf.len()) };
        true
    }

    /// Compares and swaps `size` bytes at `offset`, atomically if the host address is aligned (else plainly, as real
    /// hardware tears such accesses too).  Values are little-endian numbers.  Returns the old value, or `None` if the
    /// bytes are not inside.
    #[must_use]
    pub fn compare_exchange(self, offset: usize, size: Size, expected: u64, new: u64) -> Option<u64> {
        let part = self.sub(offset, size.bytes() as usize)?;
        let ptr = part.as_ptr();
        if !(ptr as usize).is_multiple_of(size.bytes() as usize) {
            let mut old = [0; 8];
            let n = part.len;
            let _ = part.read(0, &mut old[..n]);
            let old = u64::from_le_bytes(old);
            if old == expected & size.mask() {
                let _ = part.write(0, &new.to_le_bytes()[..n]);
            }
            return Some(old);
        }
        macro_rules! cas {
            ($atomic:ty, $int:ty) => {{
                // SAFETY: inside the span and aligned (checked above); atomics may alias other processes' accesses.
                let cell = unsafe { <$atomic>::from_ptr(ptr.cast()) };
                let (e, n) = ((expected as $int).to_le(), (new as $int).to_le());
                let (Ok(old) | Err(old)) = cell.compare_exchange(e, n, Ordering::SeqCst, Ordering::SeqCst);
                u64::from(<$int>::from_le(old))
            }};
        }
        Some(match size {
            Size::B1 => cas!(AtomicU8, u8),
            Size::B2 => cas!(AtomicU16, u16),
            Size::B4 => cas!(AtomicU32, u32),
            Size::B8 => cas!(AtomicU64, u64),
        })
    }

    /// Reads `size` bytes at `offset` as a little-endian number, atomically if aligned.
    #[must_use]
    pub fn load(self, offset: usize, size: Size) -> Option<u64> {
        let part = self.sub(offset, size.bytes() as usize)?;
        let ptr = part.as_ptr();
        if !(ptr as usize).is_multiple_of(size.bytes() as usize) {
            let mut raw = [0; 8];
            let n = part.len;
            let _ = part.read(0, &mut raw[..n]);
            return Some(u64::from_le_bytes(raw));
        }
        macro_rules! load {
            ($atomic:ty, $int:ty) => {{
                // SAFETY: inside the span and aligned (checked above).
                let cell = unsafe { <$atomic>::from_ptr(ptr.cast()) };
                u64::from(<$int>::from_le(cell.load(Ordering::SeqCst)))
            }};
        }
        Some(match size {
            Size::B1 => load!(AtomicU8, u8),
            Size::B2 => load!(AtomicU16, u16),
            Size::B4 => load!(AtomicU32, u32),
            Size::B8 => load!(AtomicU64, u64),
        })
    }
}
