//! AES and SM4 steps of the scalar cryptography extensions (scalar cryptography manual, chapter 3).
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

/// A column of MixColumns for the byte `v` in row 0: its products with `factors`.
fn column(v: u8, factors: [u8; 4]) -> u32 {
    u32::from_le_bytes(factors.map(|f| multiply(v, f, AES_POLY)))
}

/// Columns of the matrices of MixColumns and its inverse (FIPS 197, sections 5.1.3 and 5.3.3).
const MIX: [u8; 4] = [2, 1, 1, 3];
const UNMIX: [u8; 4] = [14, 9, 13, 11];

fn mix_word(v: u32, factors: [u8; 4]) -> u32 {
    (0..4).zip(v.to_le_bytes()).fold(0, |sum, (row, byte)| sum ^ column(byte, factors).rotate_left(8 * row))
}

/// `aes32esi`, `aes32esmi`, `aes32dsi`, `aes32dsmi`: byte `select` of `b` through the S-box, mixed or not, into `a`.
pub(crate) fn aes32(a: u64, b: u64, select: u32, decrypt: bool, middle: bool) -> u64 {
    let byte = b as u32 >> (8 * (select & 3)) & 0xff;
    let v = if decrypt { AES_INVERSE[byte as usize] } else { AES[byte as usize] };
    let word = match (middle, decrypt) {
        (false, _) => u32::from(v),
        (true, false) => column(v, MIX),
        (true, true) => column(v, UNMIX),
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
        (true, false) => mix_pair(v, MIX),
        (true, true) => mix_pair(v, UNMIX),
    }
}

fn mix_pair(v: u64, factors: [u8; 4]) -> u64 {
    u64::from(mix_word(v as u32, factors)) | u64::from(mix_word((v >> 32) as u32, factors)) << 32
}

/// `aes64im`.
pub(crate) fn aes64_unmix(a: u64) -> u64 {
    mix_pair(a, UNMIX)
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

/// `sm4ed` (`key` false) and `sm4ks`: byte `select` of `b` through S-box and linear map, into `a`.
pub(crate) fn sm4(a: u64, b: u64, select: u32, key: bool) -> u64 {
    let byte = b as u32 >> (8 * (select & 3)) & 0xff;
    // SM4 numbers bytes from the top.
    let v = u32::from(SM4[byte as usize]) << 24;
    let word = if key {
        v ^ v.rotate_left(13) ^ v.rotate_left(23)
    } else {
        v ^ v.rotate_left(2) ^ v.rotate_left(10) ^ v.rotate_left(18) ^ v.rotate_left(24)
    };
    u64::from(a as u32 ^ word.swap_bytes().rotate_left(8 * (select & 3)))
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
}
