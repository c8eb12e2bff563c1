//! Registers of a card (SD Physical Layer 3.01, 5).

use super::STANDARD;

/// CRC of commands and registers (4.5): x^7 + x^3 + 1.
fn crc7(bytes: &[u8]) -> u8 {
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    bits.fold(0, |crc, bit| {
        let carry = crc >> 6 & 1 ^ bit;
        (crc << 1 & 0x7f) ^ (carry * 0x09)
    })
}

/// With the CRC in the last byte.
pub(super) fn sealed(mut register: [u8; 16]) -> [u8; 16] {
    register[15] = crc7(&register[..15]) << 1 | 1;
    register
}

/// Identification: as QEMU's cards call themselves.
pub(super) fn cid() -> [u8; 16] {
    // Manufacturer; application; product; revision 0.1; serial number; February 2006.
    sealed([0xaa, b'X', b'Y', b'Q', b'E', b'M', b'U', b'!', 0x01, 0xde, 0xad, 0xbe, 0xef, 0x00, 0x62, 0])
}

/// Card-specific data of a card of `bytes` bytes (5.3).  Command classes: basic, reading, writing, erasure, protection by
/// groups (standard capacity), application-specific, switch; not locking.
pub(super) fn csd(bytes: u64) -> [u8; 16] {
    if bytes > STANDARD {
        let size = ((bytes >> 19).saturating_sub(1) as u32).to_be_bytes();
        let [_, high, middle, low] = size;
        return sealed([
            0x40, 0x0e, 0x00, 0x32, 0x53, 0x59, 0x00, high & 0x3f, middle, low, 0x7f, 0x80, 0x0a, 0x40, 0x00, 0,
        ]);
    }
    // Blocks of 512 bytes, 1024 for 2 GiB; units of 512 blocks; sectors of 32 blocks for erasure, groups of 128 sectors.
    let shift = if bytes == STANDARD { 10 } else { 9 };
    let size = (bytes >> (9 + shift)).saturating_sub(1) as u32;
    sealed([
        0x00,
        0x26,
        0x00,
        0x32,
        0x57,
        0x50 | shift,
        0xe0 | (size >> 10 & 3) as u8,
        (size >> 2) as u8,
        0x3f | (size << 6) as u8,
        0xff,
        0xdf,
        0xff,
        0x90 | shift >> 2,
        0x20 | shift << 6,
        0x00,
        0,
    ])
}

/// Configuration (5.6): versions, security by capacity, 1 and 4 bit buses, block counts.
pub(super) fn scr(version: u8, bytes: u64) -> [u8; 8] {
    let security: u8 = match bytes {
        0..=STANDARD => 2,
        0x8000_0001..=0x8_0000_0000 => 3,
        _ => 4,
    };
    let third = version == 3;
    [version.min(2), security << 4 | 0x05, u8::from(third) << 7, u8::from(third) << 1, 0, 0, 0, 0]
}

/// Status of the card as a medium (4.10.2): width of the bus; allocation units of 4 MiB.
pub(super) fn sd_status(wide: bool) -> [u8; 64] {
    let mut status = [0; 64];
    status[0] = if wide { 0x80 } else { 0 };
    status[10] = 0x90;
    status
}

/// Answer to the switch command (4.3.10.4): what there is, and what is chosen of each group.
pub(super) fn functions(chosen: [u8; 6]) -> [u8; 64] {
    let mut status = [0; 64];
    // 1 mA; function 0 of every group, and 1 of the first.  Bit 15: no influence.
    status[..2].copy_from_slice(&[0, 1]);
    for group in 0..6 {
        let known: u16 = if group == 0 { 0x8003 } else { 0x8001 };
        let at = 12 - 2 * group;
        status[at..at + 2].copy_from_slice(&known.to_be_bytes());
        status[16 - group / 2] |= chosen[group] << (4 * (group % 2));
    }
    status
}
