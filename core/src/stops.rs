//! What stops a CPU for whoever looks on: breakpoints and watchpoints, at virtual addresses.
//!
//! A stop changes nothing: a CPU that goes on does what it would have done, at the same positions.

use crate::mem::{Access, PAGE_MASK, PAGE_SHIFT};

/// Watched memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Watchpoint {
    /// First virtual address.
    pub addr: u64,
    /// Bytes, at least 1; a range that would go beyond the last address ends there.
    pub len: u64,
    /// Loads stop, atomic operations among them.
    pub read: bool,
    /// Stores stop, atomic operations among them.
    pub write: bool,
}

impl Watchpoint {
    /// Its last address.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.addr.saturating_add(self.len.saturating_sub(1))
    }

    /// The first of its bytes that an access of `size` bytes at `addr` touches.
    #[must_use]
    pub fn touched(&self, addr: u64, size: u64, access: Access) -> Option<u64> {
        let wanted = match access {
            Access::Load => self.read,
            Access::Store => self.write,
            Access::Fetch => false,
        };
        let end = addr.saturating_add(size.saturating_sub(1));
        (wanted && addr <= self.last() && end >= self.addr).then_some(addr.max(self.addr))
    }
}

/// Watched memory was touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Touched {
    /// The instruction that did it.
    pub pc: u64,
    /// The first watched byte of the access.
    pub addr: u64,
    /// It was written to.
    pub write: bool,
}

/// A set of breakpoints and watchpoints.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Stops {
    breakpoints: Vec<u64>,
    watchpoints: Vec<Watchpoint>,
    before: bool,
}

impl Stops {
    /// A set of these; order and repetition do not count.
    #[must_use]
    pub fn new(mut breakpoints: Vec<u64>, mut watchpoints: Vec<Watchpoint>) -> Stops {
        breakpoints.sort_unstable();
        breakpoints.dedup();
        watchpoints.retain(|w| w.len > 0 && (w.read || w.write));
        watchpoints.sort_unstable();
        watchpoints.dedup();
        Stops { breakpoints, watchpoints, before: false }
    }

    /// The same, with stops before accesses to watched memory, as some debuggers expect them of some machines, rather than
    /// after them.
    #[must_use]
    pub fn before_access(self) -> Stops {
        Stops { before: true, ..self }
    }

    /// Do CPUs stop before an instruction that touches watched memory?
    #[must_use]
    pub fn is_before_access(&self) -> bool {
        self.before
    }

    /// Addresses of the instructions before which CPUs stop, in order.
    #[must_use]
    pub fn breakpoints(&self) -> &[u64] {
        &self.breakpoints
    }

    /// Memory after whose access CPUs stop, in order.
    #[must_use]
    pub fn watchpoints(&self) -> &[Watchpoint] {
        &self.watchpoints
    }

    /// Nothing stops anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.breakpoints.is_empty() && self.watchpoints.is_empty()
    }

    /// Is there a breakpoint at `pc`?
    #[must_use]
    #[inline]
    pub fn breaks_at(&self, pc: u64) -> bool {
        !self.breakpoints.is_empty() && self.breakpoints.binary_search(&pc).is_ok()
    }

    /// The first watched byte that an access touches.
    #[must_use]
    pub fn touched(&self, addr: u64, size: u64, access: Access) -> Option<u64> {
        self.watchpoints.iter().find_map(|w| w.touched(addr, size, access))
    }

    /// Are there watched bytes in the page that holds `addr`?
    #[must_use]
    pub fn watches_page(&self, addr: u64) -> bool {
        let page = addr & !PAGE_MASK;
        self.watchpoints.iter().any(|w| w.addr >> PAGE_SHIFT <= page >> PAGE_SHIFT && w.last() >= page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(addr: u64, len: u64, read: bool, write: bool) -> Watchpoint {
        Watchpoint { addr, len, read, write }
    }

    #[test]
    fn an_access_touches_what_it_overlaps() {
        let w = watch(0x100, 4, false, true);
        assert_eq!(w.touched(0xfc, 4, Access::Store), None);
        assert_eq!(w.touched(0xfc, 5, Access::Store), Some(0x100));
        assert_eq!(w.touched(0x103, 8, Access::Store), Some(0x103));
        assert_eq!(w.touched(0x104, 8, Access::Store), None);
        assert_eq!(w.touched(0x100, 4, Access::Load), None, "only stores are watched");
    }

    #[test]
    fn ranges_at_the_end_of_memory_do_not_wrap() {
        let s = Stops::new(vec![], vec![watch(u64::MAX - 3, u64::MAX, true, true)]);
        assert_eq!(s.touched(u64::MAX, 1, Access::Load), Some(u64::MAX));
        assert_eq!(s.touched(0, 8, Access::Load), None);
        assert!(s.watches_page(u64::MAX) && !s.watches_page(0));
    }

    #[test]
    fn pages_between_the_ends_are_watched() {
        let s = Stops::new(vec![], vec![watch(0x1ffe, 0x1004, true, false)]);
        let pages = [0x0, 0x1000, 0x2123, 0x3000, 0x4000].map(|a| s.watches_page(a));
        assert_eq!(pages, [false, true, true, true, false]);
    }

    #[test]
    fn sets_are_equal_whatever_the_order() {
        let (a, b) = (watch(1, 2, true, false), watch(1, 2, false, true));
        assert_eq!(Stops::new(vec![2, 1, 2], vec![a, b]), Stops::new(vec![1, 2], vec![b, a, b]));
        assert!(Stops::new(vec![], vec![watch(1, 0, true, true), watch(1, 1, false, false)]).is_empty());
        assert!(Stops::new(vec![4, 2], vec![]).breaks_at(4));
    }
}
