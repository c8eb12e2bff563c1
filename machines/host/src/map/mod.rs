//! Host memory behind guest pages.
//!
//! A [`HostMap`] owns mapped pages; [`HostMap::span`] describes them to the guest's memory. Mappings are readable, and
//! writable when asked for, and never executable: what the guest may do is decided by its page flags, not by the host.
//! Map private files writable even for a read-only guest mapping, which can be made writable later.
//!
//! Ranges are in bytes from the start of the map and must be aligned to [`page_size`], which may be larger than the
//! guest's pages; a caller that cannot meet it copies instead.
//!
//! A span does not keep its map alive. Who drops, unmaps or remaps first sees to it that no holder of a span uses it
//! afterwards (`GuestMemory::generation`); this is the promise behind [`tern_core::mem::HostSpan::new`].

#[cfg(any(not(target_os = "linux"), miri))]
mod heap;
#[cfg(all(target_os = "linux", not(miri)))]
mod os;
mod ram;
#[cfg(all(target_os = "linux", not(miri)))]
mod shared;

#[cfg(any(not(target_os = "linux"), miri))]
pub use heap::{HostMap, page_size};
#[cfg(all(target_os = "linux", not(miri)))]
pub use os::{HostMap, page_size};
pub use ram::GuestRam;
#[cfg(all(target_os = "linux", not(miri)))]
pub use shared::{FileSpec, SharedRam};

use core::ops::Range;

/// Why a mapping could not be made or changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// The system said no to a call.
    Os {
        /// The call.
        call: &'static str,
        /// The host's errno.
        errno: i32,
    },
    /// A length of zero, or one that does not fit the host.
    Length(u64),
    /// An offset or end that is not a multiple of the host's page size.
    Unaligned(u64),
    /// A range outside the map.
    Range {
        /// First byte.
        start: usize,
        /// End.
        end: usize,
        /// Length of the map.
        len: usize,
    },
    /// This host has no such mappings.
    Unsupported,
}

impl core::fmt::Display for MapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            MapError::Os { call, errno } => write!(f, "{call}: {}", std::io::Error::from_raw_os_error(*errno)),
            MapError::Length(len) => write!(f, "cannot map {len:#x} bytes"),
            MapError::Unaligned(at) => write!(f, "{at:#x} is not aligned to the host's pages of {} bytes", page_size()),
            MapError::Range { start, end, len } => {
                write!(f, "{start:#x}..{end:#x} is outside the map of {len:#x} bytes")
            }
            MapError::Unsupported => f.write_str("this host does not support such mappings"),
        }
    }
}

impl core::error::Error for MapError {}

/// How memory is going to be used (`madvise(2)`); advice never changes contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Nothing special.
    Normal,
    /// From front to back.
    Sequential,
    /// Here and there.
    Random,
    /// Soon.
    WillNeed,
    /// Large pages are welcome.
    HugePage,
    /// Large pages are not welcome.
    NoHugePage,
    /// Equal pages may be merged.
    Mergeable,
    /// Equal pages may not be merged.
    Unmergeable,
}

/// How [`HostMap::sync`] writes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sync {
    /// Starts writing.
    Start,
    /// Waits until it is written.
    Wait,
}

/// Checks a range against a map of `len` bytes.
fn check(range: &Range<usize>, len: usize) -> Result<(), MapError> {
    if range.start > range.end || range.end > len {
        return Err(MapError::Range { start: range.start, end: range.end, len });
    }
    for at in [range.start, range.end] {
        aligned(at as u64)?;
    }
    Ok(())
}

fn aligned(at: u64) -> Result<(), MapError> {
    if at.is_multiple_of(page_size() as u64) { Ok(()) } else { Err(MapError::Unaligned(at)) }
}

/// `len` rounded up to whole pages of the host.
fn whole_pages(len: usize) -> Result<usize, MapError> {
    let error = MapError::Length(len as u64);
    let whole = len.checked_next_multiple_of(page_size()).ok_or(error)?;
    if whole == 0 || isize::try_from(whole).is_err() { Err(error) } else { Ok(whole) }
}
