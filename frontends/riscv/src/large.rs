//! Which virtual pages were translated by entries for more than 4 KiB.
//!
//! Engines cache translations by pages of 4 KiB, and `sfence.vma` with an address concerns the whole page that the entry
//! maps, whose size nobody knows any more when it has been changed.  A filter of hashes remembers enough: it may say that
//! a page was large when it was not, and then everything is forgotten, which is always right.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// Words of a filter.
const WORDS: usize = 256;
/// log2 of the sizes that are told apart: 2 MiB (which stands for 64 KiB and 4 MiB too: see [`granules`]) and 1 GiB.
const SMALL: u32 = 21;
const GREAT: u32 = 30;

/// One hart's filter.
#[derive(Clone, Debug)]
struct Filter {
    bits: [u64; WORDS],
    /// Something larger than 1 GiB was there.
    all: bool,
}

/// Where a granule's bit is.
fn place(granule: u64, size: u32) -> (usize, u64) {
    let hash = (granule ^ u64::from(size) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
    ((hash >> 6) as usize % WORDS, 1 << (hash & 63))
}

/// The granules of a page of `1 << span` bytes that holds `addr`.
fn granules(addr: u64, span: u32) -> (u32, u64, u64) {
    let size = if span > 22 { GREAT } else { SMALL };
    let base = addr >> span << span;
    (size, base >> size, (base | ((1 << span) - 1)) >> size)
}

/// The filters of all harts of one model, by hart ID.
#[derive(Clone, Debug, Default)]
pub(crate) struct LargePages(RefCell<BTreeMap<u64, Filter>>);

impl LargePages {
    /// `addr` lies in a page of `1 << span` bytes, more than 4 KiB.
    pub(crate) fn note(&self, hart: u64, addr: u64, span: u32) {
        let mut filters = self.0.borrow_mut();
        let filter = filters.entry(hart).or_insert(Filter { bits: [0; WORDS], all: false });
        if span > GREAT {
            filter.all = true;
            return;
        }
        let (size, first, last) = granules(addr, span);
        for granule in first..=last {
            let (word, bit) = place(granule, size);
            filter.bits[word] |= bit;
        }
    }

    /// May `addr` have been in such a page since the hart forgot everything?
    pub(crate) fn may_hold(&self, hart: u64, addr: u64) -> bool {
        let filters = self.0.borrow();
        let Some(filter) = filters.get(&hart) else { return false };
        let has = |size: u32| {
            let (word, bit) = place(addr >> size, size);
            filter.bits[word] & bit != 0
        };
        filter.all || has(SMALL) || has(GREAT)
    }

    /// The hart forgets everything.
    pub(crate) fn clear(&self, hart: u64) {
        self.0.borrow_mut().remove(&hart);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_large_page_is_remembered() {
        let pages = LargePages::default();
        for (addr, span) in [(0x12_3456, 21), (0x4000_0000, 30), (0x90_0000_1234, 16), (0xc0c0_0000, 22)] {
            pages.note(1, addr, span);
            let base = addr >> span << span;
            for at in [base, base + 0x1000, base + (1 << span) - 1] {
                assert!(pages.may_hold(1, at), "{at:#x} of {addr:#x}");
                assert!(!pages.may_hold(0, at), "another hart");
            }
        }
        assert!(!pages.may_hold(1, 0xffff_0000_0000_0000));
        pages.clear(1);
        assert!(!pages.may_hold(1, 0x12_3456));
        pages.note(1, 0, 39);
        assert!(pages.may_hold(1, 0xffff_0000_0000_0000));
    }
}
