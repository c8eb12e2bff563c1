//! AES and SM4 steps of the cryptography extensions (scalar cryptography manual, chapter 3; vector cryptography manual,
//! "Zvkned" and "Zvksed").
//!
//! S-boxes are computed from their algebra: inversion in GF(2^8) and an affine map (FIPS 197 section 5.1.1;
//! GB/T 32907-2016, whose S-box has the structure found by Liu et al., "Analysis of the SMS4 Block Cipher", 2007).

/// Product in GF(2^8) modulo `x^8 + poly`.
const fn multiply(a: u8, b: u8, poly: u8) -> u8 {
    let (mut a, mut b, mut product) = (a, b, 0);
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = if a & 0x80 != 0 { a << 1 ^ poly } else { a << 1 };
        b >>= 1;
    }
    product
}

/// Inverse, 0 for 0: the 254th power.
const fn invert(a: u8, poly: u8) -> u8 {
    let (mut result, mut power, mut n) = (1, a, 254);
    while n != 0 {
        if n & 1 != 0 {
            result = multiply(result, power, poly);
        }
        power = multiply(power, power, poly);
        n >>= 1;
    }
    result
}

const AES_POLY: u8 = 0x1b;
const SM4_POLY: u8 = 0xf5;

const AES: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let v = invert(i as u8, AES_POLY);
        table[i] = v ^ v.rotate_left(1) ^ v.rotate_left(2) ^ v.rotate_left(3) ^ v.rotate_left(4) ^ 0x63;
        i += 1;
    }
    table
};

const AES_INVERSE: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[AES[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// The affine map of SM4's S-box: row `i` of the circulant matrix is 0xa7 turned left `i` times.
const fn sm4_affine(v: u8) -> u8 {
    let (mut out, mut i) = (0, 0);
    while i < 8 {
        let row = 0xa7u8.rotate_left(i);
        out |= (((row & v).count_ones() & 1) as u8) << i;
        i += 1;
    }
    out ^ 0xd3
}

const SM4: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = sm4_affine(invert(sm4_affine(i as u8), SM4_POLY));
        i += 1;
    }
    table
};

/// The bytes of `v`, each multiplied by x.
fn double(v: u32) -> u32 {
    let carries = v >> 7 & 0x0101_0101;
    ((v & 0x7f7f_7f7f) << 1) ^ (carries * u32::from(AES_POLY))
}

/// MixColumns of one column, row 0 in the low byte (FIPS 197, section 5.1.3): row `i` becomes `2 a[i] + 3 a[i+1] + a[i+2] +
/// a[i+3]`.
fn mix(v: u32) -> u32 {
    let next = v.rotate_right(8);
    double(v ^ next) ^ next ^ v.rotate_right(16) ^ v.rotate_right(24)
}

/// InvMixColumns of one column (section 5.3.3): its polynomial is that of MixColumns times `4 x^2 + 5`.
fn unmix(v: u32) -> u32 {
    mix(v ^ double(double(v ^ v.rotate_right(16))))
}

/// `aes32esi`, `aes32esmi`, `aes32dsi`, `aes32dsmi`: byte `select` of `b` through the S-box, mixed or not, into `a`.
pub(crate) fn aes32(a: u64, b: u64, select: u32, decrypt: bool, middle: bool) -> u64 {
    let byte = b as u32 >> (8 * (select & 3)) & 0xff;
    let v = if decrypt { AES_INVERSE[byte as usize] } else { AES[byte as usize] };
    let word = match (middle, decrypt) {
        (false, _) => u32::from(v),
        (true, false) => mix(u32::from(v)),
        (true, true) => unmix(u32::from(v)),
    };
    u64::from(a as u32 ^ word.rotate_left(8 * (select & 3)))
}

/// `aes64es`, `aes64esm`, `aes64ds`, `aes64dsm`: half of a round; `a` holds the lower two columns of the state.
pub(crate) fn aes64(a: u64, b: u64, decrypt: bool, middle: bool) -> u64 {
    let mut state = [0; 16];
    state[..8].copy_from_slice(&a.to_le_bytes());
    state[8..].copy_from_slice(&b.to_le_bytes());
    let mut out = [0; 8];
    for (i, to) in out.iter_mut().enumerate() {
        // ShiftRows: row r of column c comes from column c + r, backwards when decrypting.
        let (row, col) = (i % 4, i / 4);
        let from = if decrypt { col + 4 - row } else { col + row } % 4;
        let byte = usize::from(state[4 * from + row]);
        *to = if decrypt { AES_INVERSE[byte] } else { AES[byte] };
    }
    let v = u64::from_le_bytes(out);
    match (middle, decrypt) {
        (false, _) => v,
        (true, false) => pair(v, mix),
        (true, true) => pair(v, unmix),
    }
}

fn pair(v: u64, f: fn(u32) -> u32) -> u64 {
    u64::from(f(v as u32)) | u64::from(f((v >> 32) as u32)) << 32
}

/// `aes64im`.
pub(crate) fn aes64_unmix(a: u64) -> u64 {
    pair(a, unmix)
}

/// `aes64ks1i`: S-box over the upper word, turned and with a round constant unless `round` is 10.
pub(crate) fn aes64_key(a: u64, round: u32) -> u64 {
    let word = ((a >> 32) as u32).to_le_bytes().map(|b| AES[usize::from(b)]);
    let mut word = u32::from_le_bytes(word);
    if round < 10 {
        let constant = (0..round).fold(1, |c, _| multiply(c, 2, AES_POLY));
        word = word.rotate_right(8) ^ u32::from(constant);
    }
    u64::from(word) | u64::from(word) << 32
}

/// A round without its key: the state, column 0 in the low word, through the S-box, rows shifted, and columns mixed if it
/// is a middle round of encryption.
fn aes_round(state: u128, decrypt: bool, middle: bool) -> u128 {
    let (low, high) = (state as u64, (state >> 64) as u64);
    u128::from(aes64(low, high, decrypt, middle)) | u128::from(aes64(high, low, decrypt, middle)) << 64
}

/// `vaesem`.
pub(crate) fn aes_encrypt_middle(state: u128, key: u128) -> u128 {
    aes_round(state, false, true) ^ key
}

/// `vaesef`.
pub(crate) fn aes_encrypt_last(state: u128, key: u128) -> u128 {
    aes_round(state, false, false) ^ key
}

/// `vaesdm`: the key is added before columns are mixed.
pub(crate) fn aes_decrypt_middle(state: u128, key: u128) -> u128 {
    let v = aes_round(state, true, false) ^ key;
    u128::from(aes64_unmix(v as u64)) | u128::from(aes64_unmix((v >> 64) as u64)) << 64
}

/// `vaesdf`.
pub(crate) fn aes_decrypt_last(state: u128, key: u128) -> u128 {
    aes_round(state, true, false) ^ key
}

/// Four words of a key schedule: each is the sum of the one before and of the word of `old` in its place; before the
/// first comes `first`.
fn aes_next_key(old: u128, first: u32) -> u128 {
    let mut word = first;
    block(words(old).map(|w| {
        word ^= w;
        word
    }))
}

/// `vaeskf1`: the round key after `key`; rounds outside of 1 to 10 stand for others.
pub(crate) fn aes128_key(key: u128, round: u32) -> u128 {
    let round = round & 15;
    let round = if (1..=10).contains(&round) { round } else { round ^ 8 };
    aes_next_key(key, aes64_key((key >> 64) as u64, round - 1) as u32)
}

/// `vaeskf2`: the round key after `old` and `key`; rounds outside of 2 to 14 stand for others.
pub(crate) fn aes256_key(old: u128, key: u128, round: u32) -> u128 {
    let round = round & 15;
    let round = if (2..=14).contains(&round) { round } else { round ^ 8 };
    // Odd rounds turn nothing and have no constant.
    let number = if round & 1 == 0 { round / 2 - 1 } else { 10 };
    aes_next_key(old, aes64_key((key >> 64) as u64, number) as u32)
}

/// The words of a block, first in the low bits.
fn words(v: u128) -> [u32; 4] {
    [0, 32, 64, 96].map(|shift| (v >> shift) as u32)
}

/// The inverse of [`words`].
fn block(words: [u32; 4]) -> u128 {
    words.iter().rev().fold(0, |all, &w| all << 32 | u128::from(w))
}

/// SM4's linear maps: of rounds, or (`key`) of the key schedule.
fn sm4_spread(v: u32, key: bool) -> u32 {
    if key {
        v ^ v.rotate_left(13) ^ v.rotate_left(23)
    } else {
        v ^ v.rotate_left(2) ^ v.rotate_left(10) ^ v.rotate_left(18) ^ v.rotate_left(24)
    }
}

/// `sm4ed` (`key` false) and `sm4ks`: byte `select` of `b` through S-box and linear map, into `a`.
pub(crate) fn sm4(a: u64, b: u64, select: u32, key: bool) -> u64 {
    let byte = b as u32 >> (8 * (select & 3)) & 0xff;
    // SM4 numbers bytes from the top.
    let word = sm4_spread(u32::from(SM4[byte as usize]) << 24, key);
    u64::from(a as u32 ^ word.swap_bytes().rotate_left(8 * (select & 3)))
}

/// Four rounds: each word takes up the other three and a key.
fn sm4_rounds(state: [u32; 4], keys: [u32; 4], key: bool) -> [u32; 4] {
    let mut x = state;
    for (i, k) in keys.iter().enumerate() {
        let sum = x[(i + 1) % 4] ^ x[(i + 2) % 4] ^ x[(i + 3) % 4] ^ k;
        let v = u32::from_le_bytes(sum.to_le_bytes().map(|b| SM4[usize::from(b)]));
        x[i] ^= sm4_spread(v, key);
    }
    x
}

/// `vsm4r`.
pub(crate) fn sm4_encrypt(state: u128, keys: u128) -> u128 {
    block(sm4_rounds(words(state), words(keys), false))
}

/// `vsm4k`: the four round keys after `keys`; `group` counts from 0 to 7.
pub(crate) fn sm4_keys(keys: u128, group: u32) -> u128 {
    // Byte j of constant i is 7 (4 i + j), bytes numbered from the top (GB/T 32907-2016, section 7.3.2).
    let first = 16 * (group & 7);
    let constant = |i: u32| u32::from_be_bytes([0, 1, 2, 3].map(|j| (7 * (first + 4 * i + j)) as u8));
    block(sm4_rounds(words(keys), [0, 1, 2, 3].map(constant), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_begin_as_the_standards_print_them() {
        assert_eq!(AES[..8], [0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5]);
        assert_eq!(AES_INVERSE[..4], [0x52, 0x09, 0x6a, 0xd5]);
        assert_eq!(SM4[..8], [0xd6, 0x90, 0xe9, 0xfe, 0xcc, 0xe1, 0x3d, 0xb7]);
    }

    /// MixColumns as the standard has it: products of matrices (FIPS 197, sections 5.1.3 and 5.3.3).
    #[test]
    fn columns_are_mixed_as_by_the_matrices() {
        let by_matrix = |v: u32, row: [u8; 4]| {
            let v = v.to_le_bytes();
            let sum = |i: usize| (0..4).fold(0, |sum, j| sum ^ multiply(v[j], row[(j + 4 - i) % 4], AES_POLY));
            u32::from_le_bytes([0, 1, 2, 3].map(sum))
        };
        let mut v = 1u32;
        for _ in 0..2000 {
            v = v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            assert_eq!(mix(v), by_matrix(v, [2, 3, 1, 1]), "{v:#x}");
            assert_eq!(unmix(v), by_matrix(v, [14, 11, 13, 9]), "{v:#x}");
        }
    }
}
