//! The card driven as Linux's vmxnet3 does it.

use super::*;
use crate::bench::RAM;
use crate::network::testing::{MAC, Rig, frame};
use crate::virtio::net::offload::{self, TCP};
use Size::{B2, B4};

const R: u32 = RAM as u32;
/// Shared area, table of queues, rings: transmit and its completions, received heads, bodies and completions.
const TABLE_AT: u64 = 0x1000;
const TX: u64 = 0x2000;
const TX_DONE: u64 = 0x2800;
const HEADS: u64 = 0x3000;
const BODIES: u64 = 0x3800;
const RX_DONE: u64 = 0x4000;

/// One queue each, rings of four; what the interrupts are is the caller's.
fn started(auto_mask: u32) -> Rig {
    let mut r = Rig::new(NAME);
    r.put(0, &[MAGIC]);
    // Features: checksums and tags; the table; 4 pieces at most, one queue each; events at interrupt 2.
    r.put(24, &[5, 0, 0, 0, R + TABLE_AT as u32, 0]);
    r.put(60, &[0x0101_0004]);
    r.put(80, &[auto_mask | 2 << 16]);
    r.put(120, &[mode::UNICAST | mode::BROADCAST | mode::MULTICAST, 6, R + 0x900, 0]);
    r.fill(0x900, &[1, 0, 0x5e, 0, 0, 1]);
    r.put(TABLE_AT + 16, &[R + TX as u32, 0, 0, 0, R + TX_DONE as u32, 0]);
    r.put(TABLE_AT + 56, &[4, 0, 4, 0, 0]);
    let rx = TABLE_AT + 256;
    r.put(rx + 16, &[R + HEADS as u32, 0, R + BODIES as u32, 0, R + RX_DONE as u32, 0]);
    r.put(rx + 56, &[4, 4, 8, 0, 1]);
    for n in 0..4u32 {
        r.put(HEADS + 16 * u64::from(n), &[R + 0x8000 + 0x800 * n, 0, 1 << 31 | 128, 0]);
        r.put(BODIES + 16 * u64::from(n), &[R + 0xc000 + 0x800 * n, 0, 1 << 31 | 1 << 14 | 2048, 0]);
    }
    assert_eq!((r.read(2, 0, B4), r.read(2, 0x28, B4)), (1, 0x1200_5452));
    r.write(2, 0x10, B4, RAM);
    r.write(2, 0x18, B4, 0);
    assert_eq!(command(&mut r, cmd::ACTIVATE), 0);
    r
}

fn command(r: &mut Rig, command: u32) -> u64 {
    r.write(2, 0x20, B4, command.into());
    r.read(2, 0x20, B4)
}

#[test]
fn frames_go_out_with_their_offloads() {
    let mut r = started(0);
    r.write(1, 0, B4, 0);
    let generation = 1 << 14;
    let end = 3 << 12;
    let mut tcp = offload::sample(TCP, &[7; 250]);
    r.fill(0x6000, &tcp);
    let len = tcp.len() as u32;
    // Plain in two buffers; a large segment with a tag.
    r.put(TX, &[R + 0x6000, 0, generation | 100, 0, R + 0x6064, 0, generation | (len - 100), end]);
    r.put(TX + 32, &[R + 0x6000, 0, 100 << 18 | generation | len, 5 << 16 | 1 << 15 | end | 3 << 10 | 54]);
    r.write(1, 0x600, B4, 3);
    let sent = r.sent();
    assert_eq!(sent[0], tcp);
    assert_eq!(sent[1..].iter().map(Vec::len).collect::<Vec<_>>(), [158, 158, 108]);
    assert!(sent[1..].iter().all(|f| offload::checksum_is_valid(f) && f[12..16] == [0x81, 0, 0, 5]));
    assert_eq!(r.get::<8>(TX_DONE), [1, 0, 0, 1 << 31, 2, 0, 0, 1 << 31]);
    assert!(r.irq());
    assert_eq!((r.read(2, 0x38, B4), r.read(2, 0x38, B4)), (1, 0));
    assert!(!r.irq());
    // A checksum that the driver has begun with the pseudo header's sum; the ring's generation turns.
    let pseudo = [10u32 << 8, 2 << 8 | 15, 10 << 8, 2 << 8 | 2, 6, 270].iter().sum::<u32>();
    tcp[50..52].copy_from_slice(&(pseudo as u16).to_be_bytes());
    r.fill(0x6000, &tcp);
    r.put(TX + 48, &[R + 0x6000, 0, 50 << 18 | generation | len, end | 2 << 10 | 34]);
    r.put(TX, &[R + 0x6000, 0, 64, end, R + 0x6000, 0, generation | 64, end]);
    r.write(1, 0x600, B4, 0);
    let sent = r.sent();
    assert_eq!(sent.len(), 2);
    assert!(offload::checksum_is_valid(&sent[0]) && sent[1].len() == 64);
    command(&mut r, cmd::GET_STATS);
    assert_eq!((r.get::<1>(TABLE_AT + 88), r.get::<1>(TABLE_AT + 88 + 16)), ([3], [4]));
}

#[test]
fn frames_come_in_as_heads_and_bodies() {
    let mut r = started(0);
    r.write(1, 8, B4, 0);
    let tcp = offload::sample(TCP, &[1; 200]);
    let mut good = tcp.clone();
    assert!(offload::fill_checksum(&mut good, TCP));
    good.splice(12..12, [0x81, 0, 0, 9]);
    assert!(r.receive(&good));
    assert!(!r.irq(), "the tag's network is not the card's");
    r.put(136, &[1 << 9]);
    command(&mut r, cmd::VLAN_FILTERS);
    assert!(r.receive(&good) && r.irq());
    let tail = 1 << 16 | 1 << 14;
    let checked = 1 << 23 | 1 << 21 | 1 << 19 | 1 << 18 | 1 << 16 | 3 << 24;
    let words = r.get::<8>(RX_DONE);
    assert_eq!(words[..4], [1 << 15, 0, 128, 1 << 31 | 3 << 24]);
    assert_eq!(words[4..], [tail, 0, 9 << 16 | 1 << 15 | (tcp.len() as u32 - 128), 1 << 31 | checked]);
    good.drain(12..16);
    assert_eq!([r.bytes(0x8000, 128), r.bytes(0xc000, good.len() - 128)].concat(), good);
    assert!(r.receive(&frame([1, 0, 0x5e, 0, 0, 1], 60)) && r.receive(&frame([1, 0, 0x5e, 0, 0, 2], 60)));
    assert_eq!(r.get::<4>(RX_DONE + 32), [1 << 30 | 3 << 14 | 1, 0, 60, 1 << 31 | 3 << 24]);
    // Too long for the bodies that are left; then no head is left.
    assert!(r.receive(&frame(MAC, 9000)) && r.receive(&frame([0xff; 6], 60)) && r.receive(&frame(MAC, 60)));
    assert!(!r.receive(&frame(MAC, 60)));
    command(&mut r, cmd::GET_STATS);
    let counters = r.get::<20>(TABLE_AT + 256 + 88);
    assert_eq!([4, 8, 12, 16].map(|n| counters[n]), [2, 1, 1, 1]);
    r.card.receive(0xff, &[0]);
    assert_eq!((r.get::<1>(696), command(&mut r, cmd::GET_LINK)), ([4], 1000 << 16));
    r.write(2, 0x40, B4, 4);
    assert_eq!(r.get::<1>(696), [0]);
}

#[test]
fn messages_are_masked_by_themselves() {
    let mut r = started(1);
    // MSI-X is the last capability: on, with vector 1.
    let mut at = r.read(0, 0x34, Size::B1);
    while r.read(0, at, Size::B1) != 0x11 {
        at = r.read(0, at + 1, Size::B1);
    }
    r.write(0, at + 2, B2, 0x8000);
    for (n, value) in [(0x10, 0x2800_0000), (0x18, 7), (0x1c, 0)] {
        r.write(3, n, B4, value);
    }
    r.write(1, 8, B4, 0);
    assert!(r.receive(&frame(MAC, 60)) && r.receive(&frame(MAC, 60)));
    let message = tern_core::device::Signal::Message { addr: 0x2800_0000, data: 7 };
    assert_eq!(r.bench.signals(), [message], "masked after the first");
    assert_eq!(r.read(1, 8, B4), 1);
    r.write(1, 8, B4, 0);
    assert_eq!(r.bench.signals(), [message], "the second was pending");
}

#[test]
fn bad_areas_are_refused() {
    let mut r = started(0);
    assert_eq!(command(&mut r, cmd::RESET), 0);
    assert_eq!(command(&mut r, cmd::ACTIVATE), 1);
    for (at, word) in [(60, 0x0900_0004), (60, 0x0101_0004), (44, 0xffff_ffff)] {
        r.put(at, &[word]);
        r.put(TABLE_AT + 256 + 72, &[200]);
        r.write(2, 0x10, B4, RAM);
        r.write(2, 0x18, B4, 0);
        assert_eq!(command(&mut r, cmd::ACTIVATE), 1);
    }
    assert!(r.bench.guest_errors() >= 4 && r.receive(&frame(MAC, 60)));
}
