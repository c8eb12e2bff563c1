//! The family driven as e100 does it.

use crate::network::testing::{MAC, Rig, frame};
use super::*;
use crate::bench::RAM;
use Size::{B1, B2, B4};

const R: u32 = RAM as u32;

fn command(r: &mut Rig, value: u64, pointer: u64) {
    r.write(1, 4, B4, pointer);
    r.write(1, 2, B1, value);
    assert_eq!(r.read(1, 2, B1), 0);
}

/// As e100 does it: reset, self-test, bases, configure, address; receive descriptors at 0x1000 and 0x2000, the last
/// without room.
fn started(name: &str) -> Rig {
    let mut r = Rig::new(name);
    r.write(1, 8, B4, 2);
    r.write(1, 8, B4, 0);
    r.write(1, 8, B4, RAM | 1);
    assert_eq!(r.get::<2>(0), [0xffff_ffff, 0]);
    command(&mut r, 0x60, 0);
    command(&mut r, 0x06, 0);
    // Configure with TCO statistics and extended blocks, then the address.
    r.put(0x100, &[0x0002_0000, R + 0x140, 0, 0, 0, 0, 0, 0]);
    r.fill(0x108, &[22, 8, 0, 0, 0, 0, 0x26]);
    r.put(0x140, &[0x4001_0000, R + 0x180]);
    r.fill(0x148, &MAC);
    command(&mut r, 0x10, RAM + 0x100);
    assert_eq!((r.get::<1>(0x100), r.get::<1>(0x140), r.read(1, 0, B2)), ([0x2_a000], [0x4001_a000], 0x2040));
    r.write(1, 1, B1, 0xff);
    r.put(0x1000, &[0, R + 0x2000, 0, 1518 << 16]);
    r.put(0x2000, &[0x8000_0000, R + 0x1000, 0, 0]);
    command(&mut r, 0x01, RAM + 0x1000);
    r
}

#[test]
fn frames_go_out_and_come_in_as_e100_does_it() {
    for (name, words) in [("i82559c", 20), ("i82551", 20), ("i82557b", 16), ("i82558b", 19)] {
        let mut r = started(name);
        let out = frame([9; 6], 300);
        r.fill(0x3000, &out);
        // Flexible, one buffer in the block; then a simplified one that ends the list.
        r.put(0x180, &[0x200c_0000, R + 0x1c0, R + 0x190, 0x0100_0000, R + 0x3000, 300]);
        r.put(0x1c0, &[0xc004_0000, 0, 0xffff_ffff, 0x8000 | 64]);
        r.fill(0x1d0, &out[..64]);
        command(&mut r, 0x20, 0);
        assert_eq!(r.sent(), [out.clone(), out[..64].to_vec()]);
        assert!(r.irq());
        assert_eq!((r.read(1, 0, B2), r.get::<1>(0x1c0)), (0xa010, [0xc004_a000]));
        r.write(1, 1, B1, 0xa0);
        assert!(!r.irq());
        let input = frame(MAC, 700);
        assert!(r.receive(&frame([2; 6], 700)) && !r.irq());
        assert!(r.receive(&input) && r.irq());
        assert_eq!((r.get::<1>(0x1000), r.get::<1>(0x100c)), ([0xa000], [1518 << 16 | 0xc000 | 700]));
        assert_eq!((r.bytes(0x1010, 700), r.read(1, 0, B2)), (input, 0x5008));
        assert!(!r.receive(&frame(MAC, 60)), "no resources");
        r.put(0x2000, &[0, R + 0x1000, 0, 30 << 16]);
        command(&mut r, 0x01, RAM + 0x2000);
        assert!(r.receive(&frame([0xff; 6], 60)));
        assert_eq!(r.get::<4>(0x2000), [0x8202, R + 0x1000, 0, 30 << 16 | 0xc000 | 30]);
        // Statistics are as long as the driver of this revision expects them.
        command(&mut r, 0x40, RAM + 0x5000);
        command(&mut r, 0x70, 0);
        let all = r.get::<21>(0x5000);
        assert_eq!((all[0], all[9], all[words]), (2, 2, 0xa007), "{name}");
    }
}

#[test]
fn eeprom_and_phy_are_read() {
    let mut r = Rig::new("i82550");
    let mut word = |at: u64| {
        let mut out = 0;
        r.write(1, 0xe, B1, 2);
        for n in (0..25).rev() {
            let bit = (0b110 << 6 | at) << 16 >> n & 1;
            r.write(1, 0xe, B1, 2 | bit << 2);
            r.write(1, 0xe, B1, 3 | bit << 2);
            out = out << 1 | r.read(1, 0xe, B1) >> 3 & 1;
        }
        r.write(1, 0xe, B1, 0);
        out & 0xffff
    };
    let words: Vec<u64> = (0..64).map(&mut word).collect();
    assert_eq!((words[0], words[2], words.iter().sum::<u64>() & 0xffff), (0x5452, 0x5634, 0xbaba));
    let mut mdi = |value: u64| {
        r.write(2, 0x10, B4, value);
        r.read(2, 0x10, B4)
    };
    assert_eq!(mdi(0x0821_0000), 0x1821_782d);
    assert_eq!(mdi(0x0841_0000) & 0xffff, 0xffff);
    mdi(0x0424_0101);
    assert_eq!(mdi(0x0824_0000) & 0xffff, 0x0101);
    r.card.receive(0xff, &[0]);
    r.write(2, 0x12, B2, 0x0821);
    assert_eq!((r.read(2, 0x10, B4), r.read(2, 0x1d, B1)), (0x1821_7829, 6));
}

#[test]
fn endless_lists_and_missing_memory_do_no_harm() {
    let mut r = started("i82801");
    r.put(0x180, &[0, R + 0x180]);
    command(&mut r, 0x20, 0);
    assert_eq!(r.read(1, 0, B1) >> 6, 2);
    r.wait(1_000_000);
    assert_eq!(r.read(1, 0, B1) >> 6, 2);
    r.put(0x180, &[0x8006_0000, 0, 0xffff_ff00]);
    r.wait(100_000);
    assert_eq!((r.read(1, 0, B1) >> 6, r.get::<1>(0x180)), (0, [0x8006_8000]));
    command(&mut r, 0x11, 0xffff_fff8);
    assert!(r.receive(&frame(MAC, 1514)) && r.read(1, 0, B2) & 0x20c0 == 0x2000);
}
