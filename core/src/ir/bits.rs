//! Bit tricks that op rows call.

/// Carry-less product.
#[must_use]
pub fn clmul(a: u64, b: u64) -> u128 {
    let mut product = 0;
    let mut rest = b;
    while rest != 0 {
        product ^= u128::from(a) << rest.trailing_zeros();
        rest &= rest - 1;
    }
    product
}

/// Look-up of `lane`-bit elements: each element of `index` selects one of `table`; out of range gives 0.
#[must_use]
pub fn xperm(table: u64, index: u64, lane: u32, width: u32) -> u64 {
    let mask = (1u64 << lane) - 1;
    let mut out = 0;
    for at in (0..width).step_by(lane as usize) {
        let from = (index >> at & mask) * u64::from(lane);
        if from < u64::from(width) {
            out |= (table >> from & mask) << at;
        }
    }
    out
}

/// Every non-zero byte becomes 0xff.
#[must_use]
pub fn orcb(a: u64) -> u64 {
    const LOW7: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let nonzero = (((a & LOW7) + LOW7) | a) & !LOW7;
    (nonzero >> 7) * 0xff
}

/// Packs the position and length of a bit field as `Extractu` and `Extracts` take it.
#[must_use]
pub const fn field(position: u32, length: u32) -> u64 {
    (position & 63) as u64 | ((length & 127) as u64) << 8
}

/// The bit field `position | length << 8` of `a`, zero-extended; length 0 gives 0, 64 and more give the whole rest.
#[must_use]
pub fn extract(a: u64, field: u64) -> u64 {
    let length = (field >> 8 & 127) as u32;
    let rest = a >> (field & 63);
    if length >= 64 { rest } else { rest & ((1u64 << length) - 1) }
}

/// The same, sign-extended from the field's top bit.
#[must_use]
pub fn extract_signed(a: u64, field: u64) -> u64 {
    let length = (field >> 8 & 127) as u32;
    if length == 0 {
        return 0;
    }
    let shift = 64 - length.min(64);
    ((extract(a, field) << shift) as i64 >> shift) as u64
}
