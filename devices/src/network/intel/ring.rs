//! Rings of descriptors (8254x manual, 3.2.6 and 3.4).

use serde::{Deserialize, Serialize};

/// Length of a descriptor in bytes.
pub(super) const DESCRIPTOR: u32 = 16;
/// What the length register can hold: a multiple of 128 bytes, up to 1 MiB.
const LENGTHS: u32 = 0xf_ff80;

/// A ring.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ring {
    pub(super) base: u64,
    /// In bytes.
    len: u32,
    pub(super) head: u32,
    pub(super) tail: u32,
}

impl Ring {
    /// Length in bytes.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn set_len(&mut self, value: u64) {
        self.len = value as u32 & LENGTHS;
    }

    /// The lower half of the address, aligned by `align`.
    pub(super) fn set_low(&mut self, value: u64, align: u64) {
        self.base = self.base & !0xffff_ffff | value & 0xffff_ffff & !(align - 1);
    }

    pub(super) fn set_high(&mut self, value: u64) {
        self.base = self.base & 0xffff_ffff | value << 32;
    }

    /// Descriptors that it has.
    pub(super) fn count(&self) -> u32 {
        self.len / DESCRIPTOR
    }

    /// Descriptors that the driver has handed over; none if head or tail are outside of the ring.
    pub(super) fn ready(&self) -> u32 {
        let count = self.count();
        if self.head >= count || self.tail >= count {
            return 0;
        }
        (self.tail + count - self.head) % count
    }

    /// Head or tail outside of the ring?
    pub(super) fn is_broken(&self) -> bool {
        self.head != self.tail && (self.head >= self.count() || self.tail >= self.count())
    }

    /// Address of the descriptor at the head.
    pub(super) fn at_head(&self) -> u64 {
        self.base.wrapping_add(u64::from(self.head * DESCRIPTOR))
    }

    /// Moves the head by `n`.
    pub(super) fn advance(&mut self, n: u32) {
        let count = self.count().max(1);
        self.head = (self.head + n) % count;
    }

    /// Can it be so?
    pub(super) fn fits(&self) -> bool {
        self.len & !LENGTHS == 0 && self.head <= 0xffff && self.tail <= 0xffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_go_round_and_nonsense_is_empty() {
        let mut r = Ring { head: 6, tail: 2, ..Ring::default() };
        assert_eq!((r.ready(), r.is_broken()), (0, true));
        r.set_len(128);
        assert_eq!((r.count(), r.ready(), r.is_broken()), (8, 4, false));
        r.advance(3);
        assert_eq!((r.head, r.ready()), (1, 1));
        r.tail = 8;
        assert_eq!((r.ready(), r.is_broken()), (0, true));
        r.set_len(u64::MAX);
        assert_eq!((r.len(), r.fits()), (0xf_ff80, true));
        r.set_low(0x1234_5678, 16);
        r.set_high(9);
        assert_eq!(r.base, 0x9_1234_5670);
    }
}
