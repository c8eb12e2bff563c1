//! Arrays of bits, one for each interrupt source, in the 32-bit words in which guests see them.

/// One bit per source.
pub(super) type Bits = Vec<u32>;

/// Bit `n`; one that is not there is zero.
pub(super) fn bit(bits: &[u32], n: u32) -> bool {
    bits.get(n as usize / 32).is_some_and(|word| word >> (n % 32) & 1 != 0)
}

/// Sets bit `n`, if it is there.
pub(super) fn set_bit(bits: &mut [u32], n: u32, value: bool) {
    if let Some(word) = bits.get_mut(n as usize / 32) {
        *word = *word & !(1 << (n % 32)) | u32::from(value) << (n % 32);
    }
}
