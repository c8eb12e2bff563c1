//! RAM of machines: a private map that gives pages back when the guest says that it does not need them.

use super::{HostMap, MapError};
use core::cell::RefCell;
use tern_core::mem::HostSpan;
use tern_core::mem::space::HostMemory;

/// Zeroed memory for a block of RAM.  Pages that the guest has not written take no memory of the host.
pub struct GuestRam {
    map: RefCell<HostMap>,
    len: usize,
}

impl GuestRam {
    /// `len` bytes.
    ///
    /// # Errors
    /// A length of zero, or one that the host does not have.
    pub fn new(len: u64) -> Result<GuestRam, MapError> {
        let len = usize::try_from(len).map_err(|_| MapError::Length(len))?;
        Ok(GuestRam { map: RefCell::new(HostMap::anon(len)?), len })
    }
}

impl HostMemory for GuestRam {
    fn span(&self) -> HostSpan {
        let span = self.map.borrow().span();
        span.sub(0, self.len).unwrap_or(HostSpan::EMPTY)
    }

    fn zeroed(&self) -> bool {
        true
    }

    fn discard(&self, offset: usize, len: usize) -> bool {
        let Some(end) = offset.checked_add(len).filter(|end| *end <= self.len) else { return false };
        let mut map = self.map.borrow_mut();
        // The map goes on to the end of the host's page; nothing is behind the RAM's end.
        let end = if end == self.len { map.len() } else { end };
        map.discard(offset..end).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::page_size;

    #[test]
    fn discarded_pages_are_zero() {
        let page = page_size();
        let ram = GuestRam::new(4 * page as u64 - 7).unwrap();
        let span = ram.span();
        assert_eq!(span.len(), 4 * page - 7);
        assert!(span.write(0, &vec![1; span.len()]));
        assert!(ram.discard(page, page));
        assert!(!ram.discard(1, page) && !ram.discard(page, 1) && !ram.discard(0, 4 * page));
        assert!(!ram.discard(usize::MAX, 2));
        assert!(ram.discard(3 * page, page - 7));
        let mut bytes = vec![2; span.len()];
        assert!(span.read(0, &mut bytes));
        let expected: Vec<u8> = (0..4 * page - 7).map(|at| u8::from((at / page).is_multiple_of(2))).collect();
        assert_eq!(bytes, expected);
        assert!(GuestRam::new(0).is_err() && GuestRam::new(u64::MAX).is_err());
    }
}
