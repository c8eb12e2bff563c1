//! Shifts that keep a sticky bit, and the 256-bit integer of fused multiply-add.

/// `value >> count`, with bit 0 set when any one bit was shifted out ("jamming").
#[inline]
pub(crate) fn shr_jam(value: u128, count: u32) -> u128 {
    match count {
        0 => value,
        1..=127 => value >> count | u128::from(value << (128 - count) != 0),
        _ => u128::from(value != 0),
    }
}

/// An unsigned 256-bit integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct U256 {
    pub(crate) hi: u128,
    pub(crate) lo: u128,
}

impl U256 {
    /// The full product of two 128-bit integers.
    pub(crate) fn product(a: u128, b: u128) -> U256 {
        let (a1, a0) = (a >> 64, a & u128::from(u64::MAX));
        let (b1, b0) = (b >> 64, b & u128::from(u64::MAX));
        let mid = a1 * b0 + ((a0 * b0) >> 64);
        let (mid, carry) = mid.overflowing_add(a0 * b1);
        let hi = a1 * b1 + (mid >> 64) + (u128::from(carry) << 64);
        U256 { hi, lo: a.wrapping_mul(b) }
    }

    /// `self >> count` with a sticky bit 0.
    pub(crate) fn shr_jam(self, count: u32) -> U256 {
        match count {
            0 => self,
            1..=127 => {
                let sticky = u128::from(self.lo << (128 - count) != 0);
                U256 { hi: self.hi >> count, lo: self.lo >> count | self.hi << (128 - count) | sticky }
            }
            _ => U256 { hi: 0, lo: shr_jam(self.hi, count - 128) | u128::from(self.lo != 0) },
        }
    }

    /// Sum; the callers keep the top bits clear so that it does not wrap.
    pub(crate) fn add(self, other: U256) -> U256 {
        let (lo, carry) = self.lo.overflowing_add(other.lo);
        U256 { hi: self.hi + other.hi + u128::from(carry), lo }
    }

    /// Difference of `self >= other`.
    pub(crate) fn sub(self, other: U256) -> U256 {
        let (lo, borrow) = self.lo.overflowing_sub(other.lo);
        U256 { hi: self.hi - other.hi - u128::from(borrow), lo }
    }

    /// The top 128 bits after normalising so that the top bit is set, jammed, and the shift that did it. `self` is not
    /// zero.
    pub(crate) fn normalise(self) -> (u128, u32) {
        let zeros = if self.hi != 0 { self.hi.leading_zeros() } else { 128 + self.lo.leading_zeros() };
        let top = match zeros {
            0 => self.hi | u128::from(self.lo != 0),
            1..=127 => self.hi << zeros | self.lo >> (128 - zeros) | u128::from(self.lo << zeros != 0),
            _ => self.lo << (zeros - 128),
        };
        (top, zeros)
    }
}
