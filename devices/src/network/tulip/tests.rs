//! The card driven as Linux's tulip driver does it.

use crate::network::testing::{MAC, Rig, frame};
use super::*;
use crate::bench::RAM;
use Size::B4;

const R: u32 = RAM as u32;

fn csr(n: u64) -> u64 {
    8 * n
}

/// As Linux does it: reset, rings of four at 0x100 and 0x200, a setup frame with the card's address.
fn started() -> Rig {
    let mut r = Rig::new(NAME);
    r.write(1, csr(0), B4, 1);
    r.write(1, csr(0), B4, 0x01a0_8000);
    for n in 0..4u32 {
        let end = if n == 3 { desc::END } else { 0 };
        r.put(0x100 + 16 * u64::from(n), &[desc::OWN, end | 600, R + 0x1000 + 0x400 * n, 0]);
        r.put(0x200 + 16 * u64::from(n), &[0, end, 0, 0]);
    }
    let mut setup = [0xff; 192];
    for (n, byte) in MAC.into_iter().enumerate() {
        setup[n / 2 * 4 + n % 2] = byte;
    }
    r.fill(0x4000, &setup);
    r.put(0x200, &[desc::OWN, desc::SETUP | desc::INTERRUPT | 192, R + 0x4000]);
    r.write(1, csr(3), B4, RAM + 0x100);
    r.write(1, csr(4), B4, RAM + 0x200);
    r.write(1, csr(7), B4, 0x0801_fbff);
    r.write(1, csr(6), B4, 0x0204_2002);
    assert_eq!(r.get::<1>(0x200), [0x7fff_ffff]);
    assert!(r.irq());
    assert_eq!(r.read(1, csr(5), B4), 0xf067_0005);
    r.write(1, csr(5), B4, 0x0801_ffff);
    assert!(!r.irq());
    r
}

#[test]
fn frames_go_out_and_come_in_as_linux_does_it() {
    let mut r = started();
    let out = frame([9; 6], 400);
    r.fill(0x5000, &out);
    r.put(0x210, &[desc::OWN, desc::TX_FIRST | 100 << 11 | 200, R + 0x5000, R + 0x5000 + 200]);
    r.put(0x220, &[desc::OWN, desc::TX_LAST | desc::INTERRUPT | 100, R + 0x5000 + 300, 0]);
    r.write(1, csr(1), B4, 0);
    assert_eq!(r.sent(), [out]);
    assert!(r.irq() && r.get::<1>(0x210) == [0] && r.get::<1>(0x220) == [0]);
    r.write(1, csr(5), B4, 0x0801_ffff);
    let input = frame(MAC, 1000);
    assert!(r.receive(&frame([4; 6], 100)) && r.receive(&frame([5; 6], 100)) && !r.irq());
    assert!(r.receive(&input) && r.irq());
    assert_eq!((r.get::<1>(0x100), r.get::<1>(0x110)), ([0x0200], [1004 << 16 | 0x0120]));
    assert_eq!([r.bytes(0x1000, 600), r.bytes(0x1400, 400)].concat(), input);
    assert!(r.receive(&frame([0xff; 6], 60)) && r.receive(&frame(MAC, 60)) && !r.receive(&frame(MAC, 60)));
    assert_eq!(r.get::<1>(0x120), [64 << 16 | 0x0720]);
    // Stopping is seen at once.
    r.write(1, csr(6), B4, 0x0204_0000);
    assert_eq!(r.read(1, csr(5), B4) & 0x007e_0102, 0x0102);
}

#[test]
fn hash_filters_pass_what_they_hold() {
    let mut r = started();
    let mut setup = [0; 192];
    let group = [1, 0, 0x5e, 0, 0, 0xfb];
    let n = crc(&group) as usize & 0x1ff;
    setup[n / 16 * 4 + n % 16 / 8] = 1 << (n % 8);
    for (n, byte) in MAC.into_iter().enumerate() {
        setup[156 + n / 2 * 4 + n % 2] = byte;
    }
    r.fill(0x4000, &setup);
    r.put(0x210, &[desc::OWN, desc::SETUP | 1 << 22 | 192, R + 0x4000]);
    r.write(1, csr(1), B4, 0);
    let status = |r: &mut Rig, to| {
        r.write(1, csr(3), B4, RAM + 0x100);
        r.put(0x100, &[desc::OWN]);
        r.receive(&frame(to, 60));
        r.get::<1>(0x100)[0]
    };
    assert_eq!((status(&mut r, group), status(&mut r, MAC)), (0x0040_0720, 0x0040_0320));
    assert_eq!((status(&mut r, [1, 0, 0x5e, 0, 0, 0xfc]), status(&mut r, [2; 6])), (desc::OWN, desc::OWN));
    r.write(1, csr(6), B4, 0x0204_2042);
    assert_eq!(status(&mut r, [2; 6]), 0x4040_0320);
}

#[test]
fn rom_and_phy_are_read_bit_by_bit() {
    let mut r = Rig::new(NAME);
    let mut word = |at: u64| {
        let mut out = 0;
        r.write(2, csr(9), B4, 0x4801);
        for n in (0..25).rev() {
            let bit = (0b110 << 6 | at) << 16 >> n & 1;
            r.write(2, csr(9), B4, 0x4801 | bit << 2);
            r.write(2, csr(9), B4, 0x4803 | bit << 2);
            out = out << 1 | r.read(2, csr(9), B4) >> 3 & 1;
        }
        r.write(2, csr(9), B4, 0);
        out as u16
    };
    let rom: Vec<u8> = (0..64).flat_map(|n| word(n).to_le_bytes()).collect();
    assert_eq!((&rom[..4], &rom[20..26]), (&[0x3c, 0x10, 0x4f, 0x10][..], &MAC[..]));
    assert_eq!(rom[126..], (!crc(&rom[..126]) as u16).to_le_bytes());
    // As Linux reads register 1 of PHY 1.
    let mut clock = |value: u64| {
        r.write(2, csr(9), B4, value);
        let data = r.read(2, csr(9), B4) >> 19 & 1;
        r.write(2, csr(9), B4, value | 1 << 16);
        data
    };
    for bit in (0..32).map(|_| 1).chain((0..16).rev().map(|n| (0xf6 << 10 | 1 << 5 | 1) >> n & 1)) {
        clock(bit << 17);
    }
    let value = (0..20).fold(0, |value, _| value << 1 | clock(1 << 18)) >> 1 & 0xffff;
    assert_eq!(value, 0x782d);
}

#[test]
fn rings_in_nowhere_are_bus_errors() {
    let mut r = started();
    r.write(1, csr(4), B4, 0xffff_fff0);
    r.write(1, csr(1), B4, 0);
    assert_eq!(r.read(1, csr(5), B4) & 0x007e_2000, 0x2000);
    // QEMU's test of large frames: no first descriptor, 4094 bytes; then a ring of one that never ends.
    r.put(0x800, &[desc::OWN, 0x003f_ffff, R + 0x5000, R + 0x5000]);
    r.write(1, csr(4), B4, RAM + 0x800);
    r.write(1, csr(6), B4, 0x2000);
    assert_eq!((r.sent().len(), r.bench.guest_errors()), (0, 1));
    r.put(0x900, &[desc::OWN, desc::TX_FIRST | desc::TX_LAST | desc::END | 2047, 0xffff_ff00, 0]);
    r.write(1, csr(4), B4, RAM + 0x900);
    r.write(1, csr(1), B4, 0);
    assert_eq!(r.read(1, csr(5), B4) & 0x2000, 0x2000);
    r.put(0xa00, &[desc::OWN, desc::CHAINED, 0, R + 0xa00]);
    r.write(1, csr(3), B4, RAM + 0xa00);
    r.write(1, csr(6), B4, 0x42);
    assert!(r.receive(&frame(MAC, 1514)));
    assert_eq!(r.read(1, csr(8), B4), 1);
}
