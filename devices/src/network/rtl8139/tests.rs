//! The card driven as 8139too and 8139cp do it.

use crate::network::testing::{MAC, Rig, frame};
use super::*;
use crate::bench::RAM;
use Size::{B1, B2, B4};

/// In C mode: ring of 8 KiB at 0x1000, buffers at 0x8000.
fn started() -> Rig {
    let mut r = Rig::new(NAME);
    r.write(1, 0x37, B1, 0x10);
    assert_eq!(r.read(1, 0x37, B1), 1);
    r.write(1, 0x30, B4, RAM + 0x1000);
    r.write(1, 0x37, B1, 0x0c);
    r.write(1, 0x44, B4, 0x8e);
    r.write(1, 0x3c, B2, 0x803f);
    r
}

#[test]
fn the_driver_reads_the_eeprom_bit_by_bit() {
    let mut r = Rig::new(NAME);
    let mut word = |at: u64| {
        r.write(2, 0x50, B1, 0x80);
        let mut out = 0;
        for n in (0..25).rev() {
            let bit = (0b110 << 6 | at) << 16 >> n & 1;
            r.write(2, 0x50, B1, 0x88 | bit << 1);
            r.write(2, 0x50, B1, 0x8c | bit << 1);
            out = out << 1 | r.read(2, 0x50, B1) & 1;
        }
        r.write(2, 0x50, B1, 0);
        out & 0xffff
    };
    assert_eq!([0, 7, 8, 9].map(&mut word), [0x8129, 0x5452, 0x1200, 0x5634]);
    assert_eq!((r.read(1, 0, B4), r.read(2, 4, B2)), (0x1200_5452, 0x5634));
    assert_eq!(r.read(1, 0x64, B2), 0x782d);
    r.card.receive(u32::from(0xffu8), &[0]);
    assert_eq!((r.read(1, 0x64, B2), r.read(1, 0x58, B1), r.read(1, 0x3e, B2)), (0x7829, 0xd4, 0x20));
}

#[test]
fn four_descriptors_send_and_the_ring_receives() {
    let mut r = started();
    let out = frame([9; 6], 100);
    for n in 0..4 {
        r.fill(0x8000, &out);
        r.write(1, 0x20 + 4 * n, B4, RAM + 0x8000);
        r.write(1, 0x10 + 4 * n, B4, 100);
        assert_eq!(r.sent(), std::slice::from_ref(&out));
        assert_eq!(r.read(1, 0x10 + 4 * n, B4), 0xa064);
    }
    assert!(r.irq());
    r.write(1, 0x3e, B2, 4);
    assert!(!r.irq());
    let input = frame(MAC, 61);
    assert!(r.receive(&input) && r.receive(&frame([8; 6], 61)) && r.receive(&frame([1; 6], 61)) && r.irq());
    assert_eq!((r.read(1, 0x3a, B2), r.read(1, 0x37, B1)), (72, 0x0c), "only the frame to the card");
    assert_eq!(r.get::<1>(0x1000), [65 << 16 | 0x4001]);
    assert_eq!(r.bytes(0x1004, 61), input);
    assert_eq!(r.bytes(0x1041, 4), (!crc(&input)).to_le_bytes());
    r.write(1, 0x38, B2, 72 - 16);
    assert_eq!(r.read(1, 0x37, B1), 0x0d);
    // The ring fills up, and the rest waits.
    let count = (0..100).take_while(|_| r.receive(&frame([0xff; 6], 1000))).count();
    assert_eq!(count, 7);
    assert_eq!(r.get::<1>(0x1000 + 72), [1004 << 16 | 0x2001]);
}

#[test]
fn rings_of_descriptors_send_and_receive_with_offloads() {
    let mut r = Rig::new(NAME);
    r.write(2, 0xe0, B2, 0x63);
    r.write(2, 0xe4, B4, RAM + 0x100);
    r.write(2, 0x20, B4, RAM + 0x200);
    r.write(2, 0x37, B1, 0x0c);
    r.write(2, 0x44, B4, 0x0e);
    r.write(2, 0x3c, B2, 0x5);
    assert!(!r.receive(&frame(MAC, 60)), "no descriptor");
    r.put(0x100, &[desc::OWN | 40, 0, RAM as u32 + 0x1000, 0, desc::OWN | desc::END | 1536, 0, RAM as u32 + 0x2000, 0]);
    let mut tagged = frame(MAC, 64);
    tagged[12..16].copy_from_slice(&[0x81, 0, 0x12, 0x34]);
    assert!(r.receive(&tagged) && r.irq());
    let [first, tag, _, _, second] = r.get::<5>(0x100);
    assert_eq!((first, second), (desc::FIRST | desc::MINE | 40, desc::END | desc::LAST | desc::MINE | 64));
    assert_eq!((tag, r.bytes(0x1000, 12)), (desc::TAGGED | 0x3412, MAC.into_iter().chain([2, 0, 0, 0, 0, 1]).collect()));
    // Two frames with checksums, of which one is large; then the counters.
    let mut tcp = offload::sample(TCP, &[7; 250]);
    r.fill(0x3000, &tcp);
    let len = tcp.len() as u32;
    let flags = desc::OWN | desc::LAST | desc::TCP | desc::IP;
    r.put(0x200, &[desc::OWN | desc::FIRST | 20, 0, RAM as u32 + 0x3000, 0]);
    r.put(0x210, &[flags | (len - 20), 0, RAM as u32 + 0x3014, 0]);
    let large = desc::OWN | desc::FIRST | desc::LAST | desc::END | desc::LARGE | 100 << 16 | len;
    r.put(0x220, &[large, desc::TAG | 0x3412, RAM as u32 + 0x3000, 0]);
    r.write(2, 0xd9, B1, 0x40);
    let sent = r.sent();
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [304, 158, 158, 108]);
    assert!(sent.iter().all(|f| offload::checksum_is_valid(f)));
    assert_eq!(sent[1][12..16], [0x81, 0, 0x12, 0x34]);
    assert!(offload::fill_checksum(&mut tcp, TCP));
    assert_eq!(sent[0], tcp);
    assert_eq!(r.get::<1>(0x220)[0] & desc::OWN, 0);
    r.write(2, 0x14, B4, 0);
    r.write(2, 0x10, B4, (RAM + 0x4000) | 8);
    assert_eq!((r.get::<3>(0x4000), r.read(2, 0x10, B4)), ([4, 0, 1], RAM + 0x4000));
}

#[test]
fn the_timer_counts_and_interrupts() {
    let mut r = Rig::new(NAME);
    r.write(1, 0x3c, B2, 0x4000);
    r.wait(1_000_000_000);
    assert_eq!(r.read(1, 0x48, B4), 33_333_333);
    r.write(1, 0x54, B4, 1);
    r.write(1, 0x48, B4, 0);
    r.wait(40);
    assert!(r.irq());
    r.write(1, 0x3e, B2, 0x4000);
    assert!(!r.irq());
    r.wait(TICK << 32);
    assert!(r.irq());
}

#[test]
fn rings_in_nowhere_do_no_harm() {
    let mut r = started();
    r.write(1, 0x30, B4, 0xffff_fff0);
    assert!(r.receive(&frame(MAC, 1514)));
    assert_eq!(r.read(1, 0x3e, B2) & 0x8000, 0x8000);
    r.write(1, 0x10, B4, 0x1fff);
    assert_eq!(r.read(1, 0x10, B4) & u64::from(tsd::ABORTED), u64::from(tsd::ABORTED));
    r.write(1, 0xe0, B2, 3);
    r.write(1, 0x20, B4, 0xffff_ffff);
    r.write(1, 0xd9, B1, 0xc0);
    assert!(!r.receive(&frame(MAC, 60)) || r.sent().is_empty());
    assert_eq!(r.bench.unimplemented(), 1);
}
