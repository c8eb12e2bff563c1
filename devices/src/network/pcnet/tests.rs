//! The card driven as pcnet32 does it.

use crate::network::testing::{MAC, Rig, frame};
use super::*;
use crate::bench::RAM;
use Size::{B1, B2, B4};

struct Words(Rig);

impl Words {
    fn csr(&mut self, n: u64, value: u64) {
        self.0.write(1, 0x12, B2, n);
        self.0.write(1, 0x10, B2, value);
    }

    fn get(&mut self, n: u64) -> u64 {
        self.0.write(1, 0x12, B2, n);
        self.0.read(1, 0x10, B2)
    }
}

/// As pcnet32 does it: reset, probe, style 2, initialisation block at 0, rings of 4 at 0x100 (receive) and 0x200.
fn started(mode: u32) -> Words {
    let mut w = Words(Rig::new(NAME));
    w.0.read(1, 0x14, B2);
    assert_eq!((w.get(0), w.get(88), w.get(89)), (4, 0x1003, 0x0262));
    assert_eq!((w.0.read(1, 0, B4), w.0.read(1, 14, B2), w.0.read(1, 5, B1)), (0x1200_5452, 0x5757, 0x56));
    w.0.write(1, 0x12, B2, 20);
    w.0.write(1, 0x16, B2, 2);
    let ram = RAM as u32;
    w.0.put(0, &[0x2020_0000 | mode, 0x1200_5452, 0x5634, 0, 0, ram + 0x100, ram + 0x200]);
    for n in 0..4u32 {
        let rx = 0x100 + 16 * u64::from(n);
        w.0.put(rx, &[ram + 0x1000 + 0x800 * n, 0x8000_f000 | (4096 - 600), 0, 0]);
        w.0.put(rx + 0x100, &[0, 0, 0, 0]);
    }
    w.csr(1, RAM & 0xffff);
    w.csr(2, RAM >> 16);
    w.csr(4, 0x0915);
    w.csr(0, 1);
    assert_eq!(w.get(0) & 0x0100, 0x0100);
    w.csr(0, 0x0142);
    assert_eq!(w.get(0), 0x0073);
    w
}

#[test]
fn frames_go_out_and_come_in_as_pcnet32_does_it() {
    let mut w = started(0);
    let out = frame([9; 6], 200);
    w.0.fill(0x4000, &out);
    w.0.put(0x200, &[RAM as u32 + 0x4000, 0x8200_0000 | (4096 - 150), 0]);
    w.0.put(0x210, &[RAM as u32 + 0x4000 + 150, 0x8100_0000 | (4096 - 50), 0]);
    w.csr(0, 0x0048);
    assert_eq!(w.0.sent(), [out]);
    assert!(w.0.irq());
    assert_eq!((w.get(0), w.0.get::<2>(0x210)[1] >> 24), (0x02f3, 0x01));
    w.csr(0, 0x0240);
    assert!(!w.0.irq());
    let long = frame(MAC, 1000);
    assert!(w.0.receive(&long) && w.0.receive(&frame([8; 6], 60)) && w.0.receive(&frame([0xff; 6], 60)));
    assert!(w.0.irq());
    let status: Vec<u32> = (0..4).map(|n| w.0.get::<2>(0x100 + 16 * n)[1] >> 16).collect();
    assert_eq!(status, [0x0200, 0x0140, 0x0310, 0x8000]);
    assert_eq!((w.0.get::<1>(0x118), w.0.bytes(0x1000, 600)), ([1004], long[..600].to_vec()));
    assert!(w.0.receive(&frame(MAC, 60)) && !w.0.receive(&frame(MAC, 60)), "no descriptor");
    // Without a link, nothing goes out.
    w.0.card.receive(0xff, &[0]);
    w.0.put(0x220, &[RAM as u32 + 0x4000, 0x8300_0000 | (4096 - 150), 0]);
    w.0.wait(3_000_000);
    assert_eq!((w.0.sent().len(), w.0.get::<3>(0x220)[2]), (0, md::TX_LCAR));
    w.0.write(1, 0x12, B2, 4);
    assert_eq!(w.0.read(1, 0x16, B2), 0x00c0);
}

#[test]
fn sixteen_bit_blocks_double_words_and_loopback_work() {
    let mut r = Rig::new(NAME);
    r.write(2, 0x10, B4, 0);
    let csr = |r: &mut Rig, n: u64, v: u64| {
        r.write(2, 0x14, B4, n);
        r.write(2, 0x10, B4, v);
    };
    // Mode: internal loopback; the upper address byte is in CSR2.
    r.put(0x00, &[0x5452_0044, 0x5634_1200, 0, 0, 0x0000_0100, 0x0000_0200]);
    r.put(0x100, &[0x8000_1000, 0xf000 | (4096 - 128)]);
    r.put(0x200, &[0x8300_2000, 0xf000 | (4096 - 64)]);
    let out = frame(MAC, 64);
    r.fill(0x2000, &out);
    csr(&mut r, 1, 0);
    csr(&mut r, 2, RAM >> 16);
    csr(&mut r, 0, 0x4b);
    assert!(r.irq() && r.sent().is_empty());
    assert_eq!((r.get::<2>(0x100), r.get::<1>(0x200)[0] >> 24), ([0x0300_1000, 68 << 16 | 0xf000 | (4096 - 128)], 3));
    assert_eq!(r.bytes(0x1000, 64), out);
    assert!(r.read(2, 0x12, B2) == 0xffff && r.bench.guest_errors() == 1);
}

#[test]
fn rings_in_nowhere_are_memory_errors() {
    let mut w = started(0);
    w.csr(0, 4);
    w.0.put(0, &[0xf0f0_8000, 0, 0, 0, 0, 0xffff_fff0, 0xffff_fff0]);
    w.csr(0, 3);
    w.csr(0, 0x48);
    assert_eq!(w.get(0) & 0x8800, 0x8800);
    assert!(w.0.receive(&frame(MAC, 1514)));
    w.csr(1, 0xffff);
    w.csr(2, 0xffff);
    w.csr(0, 4);
    w.csr(0, 1);
    assert_eq!(w.get(0) & 0x0900, 0x0800);
}
