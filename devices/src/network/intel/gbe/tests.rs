//! Tests of the 8254x and the 82574: what drivers do, and what they should not.

use super::super::{CONTROL_PORT, E1000, E1000E};
use super::*;
use crate::bench::{Bench, BenchBackends, RAM};
use crate::model::find;
use crate::virtio::net::offload::sample;
use tern_core::device::Signal;

const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const TX: u64 = RAM + 0x1000;
const RX: u64 = RAM + 0x3000;
const DATA: u64 = RAM + 0x1_0000;
const BUFFERS: u64 = RAM + 0x2_0000;

struct Driver {
    bench: Bench,
    card: Gbe,
}

impl Driver {
    fn new(kind: &'static Kind) -> Driver {
        let mut bench = Bench::new();
        let props = find(kind.name).unwrap().defaults();
        let mut backends = BenchBackends::new(&bench);
        let kit = bench.kit(kind.name);
        let link = bench.net();
        let mut card = Gbe::build(kind, kit, &mut Wants::new(&props, &mut backends), (0, 0)).unwrap();
        card.link = link;
        card.write_config(4, Size::B2, 7);
        Driver { bench, card }
    }

    fn get(&mut self, at: u64) -> u32 {
        self.card.read(0, at, Size::B4) as u32
    }

    fn set(&mut self, at: u64, value: u32) {
        self.card.write(0, at, Size::B4, value.into());
    }

    /// Rings of 8 descriptors, both directions on, all unicast frames.
    fn start(&mut self) {
        for (at, base) in [(0x3800, TX), (0x2800, RX)] {
            self.set(at, base as u32);
            self.set(at + 4, 0);
            self.set(at + 8, 128);
        }
        self.set(0x400, 2);
        self.set(0x100, 2 | 1 << 26 | 1 << 15);
    }

    fn poke(&self, at: u64, bytes: &[u8]) {
        self.bench.dma().write(at, bytes).unwrap();
    }

    fn peek<const N: usize>(&self, at: u64) -> [u8; N] {
        self.bench.dma().array::<N>(at).unwrap()
    }

    /// Hands descriptors over, from the ring's place `from` on.
    fn transmit(&mut self, from: u32, descriptors: &[[u32; 4]]) {
        for (n, words) in descriptors.iter().enumerate() {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            self.poke(TX + 16 * (u64::from(from) + n as u64), &bytes);
        }
        self.set(0x3818, from + descriptors.len() as u32);
    }

    /// Lends `count` buffers of 2048 bytes.
    fn lend(&mut self, count: u32) {
        for n in 0..u64::from(count) {
            self.poke(RX + 16 * n, &(BUFFERS + 2048 * n).to_le_bytes());
        }
        self.set(0x2818, count);
    }

    fn frames(&self) -> Vec<Vec<u8>> {
        self.bench.frames.take()
    }

    fn wait(&mut self, until: u64) {
        while let Some(due) = self.bench.queue.pop(until) {
            self.bench.queue.set_now(due.at);
            self.card.event(due.token);
        }
        self.bench.queue.set_now(until);
    }

    fn pin(&self) -> bool {
        self.card.config.intx() == Some(0)
    }

    /// Data of the messages that were sent.
    fn messages(&mut self) -> Vec<u32> {
        let data = |signal| match signal {
            Signal::Message { data, .. } => Some(data),
            _ => None,
        };
        self.bench.signals().into_iter().filter_map(data).collect()
    }

    /// MSI-X on: vector n sends n.
    fn msix_on(&mut self) {
        for n in 0..5u64 {
            self.card.write(3, 16 * n, Size::B4, 0x2800_0000);
            self.card.write(3, 16 * n + 8, Size::B4, n);
            self.card.write(3, 16 * n + 12, Size::B4, 0);
        }
        let at = self.card.config.bars().len();
        assert_eq!(at, 4);
        let cap = (0x40..0x100).step_by(4).find(|at| self.card.config.byte_at(*at) == 0x11).unwrap();
        self.card.write_config(cap + 2, Size::B2, 0x8000);
    }
}

fn cmd(len: usize, bits: u32) -> u32 {
    len as u32 | bits
}

const EOP: u32 = 1 << 24;
const RS: u32 = 1 << 27;
const DEXT: u32 = 1 << 29;
const VLE: u32 = 1 << 30;

#[test]
fn the_address_is_in_the_eeprom_and_the_filter() {
    for kind in [&E1000, &E1000E] {
        let mut d = Driver::new(kind);
        assert_eq!((d.get(0x5400), d.get(0x5404)), (0x1200_5452, 0x8000_5634));
        let mut sum = 0u16;
        for n in 0..64 {
            let (shift, done) = if kind.queues > 1 { (2, 2) } else { (8, 0x10) };
            d.set(0x14, n << shift | 1);
            let value = d.get(0x14);
            assert_eq!(value & done, done);
            sum = sum.wrapping_add((value >> 16) as u16);
        }
        assert_eq!(sum, 0xbaba);
        assert_eq!(d.get(8) & 0x283, 0x283);
        assert_eq!(d.bench.guest_errors(), 0);
    }
}

#[test]
fn legacy_descriptors_send_frames_from_several_buffers() {
    for kind in [&E1000, &E1000E] {
        let mut d = Driver::new(kind);
        d.start();
        d.set(0xd0, 3);
        let frame = sample(17, b"some data that is long enough to be sent");
        d.poke(DATA, &frame);
        d.transmit(0, &[[DATA as u32, 0, cmd(20, 0), 0], [DATA as u32 + 20, 0, cmd(frame.len() - 20, EOP | RS), 0]]);
        assert_eq!(d.frames(), std::slice::from_ref(&frame));
        assert_eq!((d.get(0x3810), d.peek::<1>(TX + 12), d.peek::<1>(TX + 28)), (2, [0], [1]));
        assert!(d.pin());
        assert_eq!((d.get(0xc0) & 0xffff, d.get(0xc0), d.pin()), (3, 0, false));
        assert_eq!((d.get(0x4080), d.get(0x4080)), (1, 0));
    }
}

#[test]
fn checksums_tags_and_segments_are_made() {
    for kind in [&E1000, &E1000E] {
        let mut d = Driver::new(kind);
        d.start();
        d.set(0, kind.ctrl | VME);
        let data: Vec<u8> = (0..3000).map(|n| n as u8).collect();
        let mut frame = sample(6, &data);
        frame[16..18].fill(0);
        frame[24..26].fill(0);
        // Sum of the pseudo header without its length.
        let sum = frame[26..34].chunks(2).fold(6u32, |s, w| s + u32::from(w[0]) * 256 + u32::from(w[1]));
        frame[50..52].copy_from_slice(&((sum & 0xffff) + (sum >> 16)).to_be_bytes()[2..]);
        d.poke(DATA, &frame);
        let context = [
            14 | 24 << 8 | 33 << 16,
            34 | 50 << 8,
            cmd(3000, DEXT | 1 << 24 | 1 << 25 | 1 << 26),
            54 << 8 | 1000 << 16,
        ];
        let data = DEXT | 1 << 20 | 1 << 26 | EOP | RS | VLE;
        d.transmit(0, &[context, [DATA as u32, 0, cmd(frame.len(), data), 0x0300 | 7 << 16]]);
        let frames = d.frames();
        assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [1058; 3]);
        for frame in &frames {
            let p = super::super::packet::Packet::of(frame, 0x8100);
            assert_eq!((&frame[12..16], p.ip_sum(frame), p.l4_sum(frame)), (&[0x81, 0, 0, 7][..], Some(true), Some(true)));
        }
        assert_eq!((d.peek::<1>(TX + 28), d.bench.guest_errors()), ([1], 0));
    }
}

#[test]
fn frames_are_received_by_legacy_descriptors() {
    for kind in [&E1000, &E1000E] {
        let mut d = Driver::new(kind);
        assert_eq!(d.card.room(0), 0);
        d.start();
        assert_eq!(d.card.room(0), 0);
        d.lend(4);
        assert_eq!(d.card.room(0), 1);
        d.set(0xd0, 0x80);
        d.set(0x5000, 0x300);
        let mut frame = sample(17, b"hello");
        d.card.receive(0, &frame);
        frame.resize(60, 0);
        assert_eq!(d.peek::<60>(BUFFERS), frame[..60]);
        let desc = d.peek::<16>(RX);
        assert_eq!((desc[8], desc[12] & 0x43, desc[13] & 0x60), (60, 0x43, 0x00));
        assert!(d.pin() && d.get(0xc0) & 0x80 != 0 && !d.pin());
        // For somebody else.
        frame[0] = 2;
        d.card.receive(0, &frame);
        assert_eq!((d.get(0x2810), d.get(0x4074)), (1, 1));
        d.set(0x100, d.card.s.mac.rctl | 8);
        d.card.receive(0, &frame);
        assert_eq!(d.get(0x2810), 2);
        // Long ones need two buffers, and the leave to be long.
        let long = [&frame[..14], &[5; 3000]].concat();
        d.card.receive(0, &long);
        assert_eq!((d.get(0x2810), d.get(0x40ac)), (2, 1));
        d.set(0x100, d.card.s.mac.rctl | 0x20);
        d.card.receive(0, &long);
        assert_eq!((d.get(0x2810), d.card.room(0)), (4, 0));
        assert_eq!((d.peek::<1>(RX + 2 * 16 + 12)[0] & 3, d.peek::<1>(RX + 3 * 16 + 12)[0] & 3), (1, 3));
        d.card.receive(0, &frame);
        assert_eq!((d.get(0x4010), d.get(0x40a0), d.get(0xc0) & 0x40), (1, 1, 0x40));
    }
}

#[test]
fn extended_descriptors_tell_flow_and_tag() {
    let mut d = Driver::new(&E1000E);
    d.start();
    d.lend(4);
    d.set(0x5008, 1 << 15);
    d.set(0, E1000E.ctrl | VME);
    d.set(0x5000, 0x2300);
    d.set(0x5818, 1 | 1 << 16 | 1 << 17);
    (0..10).for_each(|n| d.set(0x5c80 + 4 * n, 0x0102_0304));
    let mut frame = sample(6, b"x");
    frame.splice(12..12, [0x81, 0, 0x20, 9]);
    d.card.receive(0, &frame);
    let desc = d.peek::<16>(RX);
    assert_eq!((desc[0], &desc[12..16], desc[8] & 0x0b), (1, &[56, 0, 9, 0x20][..], 0x0b));
    assert_ne!(desc[4..8], [0; 4]);
    // All flows to the second queue, which has no buffers.
    (0..32).for_each(|n| d.set(0x5c00 + 4 * n, 0x8080_8080));
    d.card.receive(0, &frame);
    assert_eq!((d.get(0x2810), d.get(0x4010)), (1, 1));
    d.set(0x2900, RX as u32 + 0x800);
    d.set(0x2908, 128);
    d.poke(RX + 0x800, &(BUFFERS + 0x8000).to_le_bytes());
    d.set(0x2918, 1);
    d.card.receive(0, &frame);
    assert_eq!((d.get(0x2910), d.peek::<16>(RX + 0x800)[0..2].to_vec()), (1, vec![1, 1]));
}

#[test]
fn packets_are_split() {
    let mut d = Driver::new(&E1000E);
    d.start();
    d.set(0x5008, 1 << 15);
    d.set(0x100, d.card.s.mac.rctl | 1 << 10);
    for n in 0..2u64 {
        for k in 0..4u64 {
            d.poke(RX + 32 * n + 8 * k, &(BUFFERS + 0x4000 * n + 0x1000 * k).to_le_bytes());
        }
    }
    d.set(0x2818, 4);
    let frame = sample(17, &[7; 1000]);
    d.card.receive(0, &frame);
    assert_eq!((d.get(0x2810), d.peek::<42>(BUFFERS), d.peek::<1000>(BUFFERS + 0x1000)), (
        2,
        frame[..42].try_into().unwrap(),
        [7; 1000]
    ));
    let desc = d.peek::<32>(RX);
    assert_eq!((&desc[12..14], &desc[16..20]), (&[42, 0][..], &[42, 0x80, 0xe8, 3][..]));
    // What has no ports is not split.
    let mut frame = [9; 200];
    frame[..6].copy_from_slice(&MAC);
    d.card.receive(0, &frame);
    assert_eq!(d.peek::<32>(RX + 32)[12..20], [200, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn interrupts_wait_for_delays_and_throttles() {
    for kind in [&E1000, &E1000E] {
        let mut d = Driver::new(kind);
        d.start();
        d.lend(7);
        d.set(0xd0, 0x80);
        let frame = sample(17, b"x");
        d.set(0x2820, 100);
        d.set(0x282c, 150);
        d.card.receive(0, &frame);
        assert!(!d.pin());
        d.wait(100_000);
        d.card.receive(0, &frame);
        d.wait(153_000);
        assert!(!d.pin());
        d.wait(154_000);
        assert!(d.pin());
        d.get(0xc0);
        d.set(0x2820, 0);
        d.set(0xc4, 1000);
        d.card.receive(0, &frame);
        assert!(d.pin() && d.get(0xc0) & 0x80 != 0 && !d.pin());
        d.card.receive(0, &frame);
        assert!(!d.pin());
        d.wait(154_000 + 255_999);
        assert!(!d.pin());
        d.wait(154_000 + 256_000);
        assert!(d.pin());
        // Transmit delays, if the descriptors ask for them.
        d.get(0xc0);
        d.set(0xc4, 0);
        d.set(0xd0, 1);
        d.set(0x3820, 10);
        let now = d.bench.queue.now() + 1_000_000;
        d.wait(now);
        d.poke(DATA, &frame);
        d.transmit(0, &[[DATA as u32, 0, cmd(frame.len(), EOP | RS | 1 << 31), 0]]);
        assert!(!d.pin());
        d.wait(now + 10_240);
        assert!(d.pin());
    }
}

#[test]
fn vectors_are_sent_and_masked_by_themselves() {
    let mut d = Driver::new(&E1000E);
    d.start();
    d.lend(7);
    d.msix_on();
    d.set(0xe4, 0x8 | 0x9 << 8 | 0xa << 16 | 1 << 31);
    d.set(0xdc, 0x0050_0000);
    d.set(0xd0, 0x0150_0004);
    let frame = sample(17, b"x");
    d.card.receive(0, &frame);
    d.poke(DATA, &frame);
    d.transmit(0, &[[DATA as u32, 0, cmd(frame.len(), EOP), 0]]);
    assert_eq!((d.messages(), d.get(0xd0)), (vec![0, 1], 0x0100_0004));
    d.card.receive(0, &frame);
    assert_eq!(d.messages(), []);
    d.set(0xd0, 0x0010_0000);
    assert_eq!(d.messages(), [0]);
    d.card.receive(CONTROL_PORT, &[0]);
    assert_eq!((d.messages(), d.get(0xc0) & 0x0100_0004, d.get(0xc0)), (vec![2], 0x0100_0004, 0));
    // Throttled: the second waits for the first.
    d.card.receive(CONTROL_PORT, &[1]);
    d.wait(NEGOTIATION);
    d.get(0xc0);
    d.messages();
    d.set(0xe8, 100);
    d.set(0xd0, 0x0010_0000);
    d.card.receive(0, &frame);
    d.set(0xd0, 0x0010_0000);
    d.card.receive(0, &frame);
    assert_eq!(d.messages(), [0]);
    d.wait(NEGOTIATION + 25_600);
    assert_eq!(d.messages(), [0]);
    // Masked in the table: pending, which the driver can clear.
    d.card.write(3, 12, Size::B4, 1);
    d.set(0xe8, 0);
    d.set(0xd0, 0x0010_0000);
    d.wait(2 * NEGOTIATION);
    d.card.receive(0, &frame);
    assert_eq!((d.messages(), d.card.read(3, 0x2000, Size::B4)), (vec![], 1));
    d.set(0x5b68, 1);
    assert_eq!(d.card.read(3, 0x2000, Size::B4), 0);
}

#[test]
fn links_are_negotiated_and_cables_pulled() {
    for kind in [&E1000, &E1000E] {
        let mut d = Driver::new(kind);
        d.start();
        d.lend(4);
        d.set(0xd0, 4);
        d.set(0x20, 1 << 26 | 1 << 21 | 0x1200);
        assert_eq!((d.get(8) & 2, d.card.room(0), d.pin()), (0, 0, true));
        d.get(0xc0);
        d.wait(NEGOTIATION);
        assert_eq!((d.get(8) & 2, d.card.room(0), d.pin()), (2, 1, true));
        d.set(0x20, 1 << 27 | 1 << 21 | 1 << 16);
        assert_eq!(d.get(0x20) & 0x1000_0024, 0x1000_0024);
        assert_eq!(d.card.room(CONTROL_PORT), 1);
        d.card.receive(CONTROL_PORT, &[0]);
        d.set(0x20, 1 << 26 | 1 << 21 | 0x1200);
        d.wait(2 * NEGOTIATION);
        assert_eq!(d.get(8) & 2, 0);
        d.set(0, 1 << 26);
        assert_eq!((d.get(8) & 2, d.get(0x100), d.get(0x2808)), (0, 0, 0));
        d.card.receive(CONTROL_PORT, &[1]);
        d.wait(4 * NEGOTIATION);
        assert_eq!(d.get(8) & 2, 2);
    }
}

#[test]
fn what_is_looped_comes_back() {
    let mut d = Driver::new(&E1000);
    d.start();
    d.lend(4);
    d.set(0x20, 1 << 26 | 1 << 21 | 0x4140);
    let frame = sample(17, &[3; 100]);
    d.poke(DATA, &frame);
    d.transmit(0, &[[DATA as u32, 0, cmd(frame.len(), EOP | RS), 0]]);
    assert!(d.frames().is_empty() && d.peek::<142>(BUFFERS) == frame[..]);
    assert_eq!((d.get(0x2810), d.card.room(0)), (1, 0));
}

#[test]
fn ports_and_older_places_reach_registers() {
    let mut d = Driver::new(&E1000);
    d.card.write(1, 0, Size::B4, 0x5404);
    assert_eq!(d.card.read(1, 4, Size::B4), 0x8000_5634);
    assert_eq!(d.get(0x44), 0x8000_5634);
    d.card.write(1, 0, Size::B4, 0x38);
    d.card.write(1, 4, Size::B4, 0x88a8);
    assert_eq!(d.get(0x38), 0x88a8);
    d.set(0x110, 0x1230);
    assert_eq!(d.get(0x2800), 0x1230);
}

#[test]
fn nonsense_is_counted_and_ends() {
    for kind in [&E1000, &E1000E] {
        let mut d = Driver::new(kind);
        d.start();
        // A tail outside of the ring.
        d.set(0x3818, 500);
        assert_eq!(d.bench.guest_errors(), 1);
        d.set(0x3818, 0);
        // A ring and buffers where no memory is.
        d.transmit(0, &[[0x10, 0, cmd(100, EOP | RS), 0]]);
        assert_eq!((d.bench.guest_errors(), d.get(0x3810), d.frames().len()), (2, 1, 0));
        d.set(0x3800, 0x10);
        d.set(0x3818, 3);
        assert_eq!((d.bench.guest_errors(), d.get(0x3810)), (3, 1));
        // Large segments without sense.
        d.set(0x3800, TX as u32);
        d.set(0x3810, 3);
        let data = DEXT | 1 << 20 | 1 << 26 | EOP | RS;
        d.transmit(3, &[[0, 0, DEXT | 1 << 26, 0], [DATA as u32, 0, cmd(100, data), 0x0300]]);
        let errors = d.bench.guest_errors();
        assert!(errors > 3 && d.frames().is_empty());
        d.lend(4);
        d.set(0x2800, 0x10);
        d.card.receive(0, &sample(17, b"x"));
        assert!(d.bench.guest_errors() > errors);
        // Not the master of the bus.
        d.card.write_config(4, Size::B2, 3);
        assert_eq!(d.card.room(0), 0);
        d.set(0x3818, 7);
        assert_eq!(d.get(0x3810), 5);
    }
}

#[test]
fn what_is_sent_at_once_is_bounded() {
    let mut d = Driver::new(&E1000E);
    d.set(0x3800, TX as u32);
    d.set(0x3808, 128);
    d.set(0x400, 2);
    // 64 KiB in pieces of one byte, seven times.
    let mut frame = sample(6, &[1; 100]);
    frame.resize(0xff00, 1);
    d.poke(DATA, &frame);
    d.transmit(0, &[[14 | 24 << 8, 34 | 50 << 8, DEXT | 7 << 24, 54 << 8 | 1 << 16]]);
    let data = DEXT | 1 << 20 | 1 << 26 | EOP;
    let one = [DATA as u32, 0, cmd(frame.len(), data), 0x0300];
    d.transmit(1, &[one; 4]);
    let sent = d.frames().len();
    assert!(sent > 0xff00 && sent < 3 * 0xff00, "{sent}");
    let now = d.bench.queue.now();
    d.wait(now + 10_000);
    assert_eq!((d.get(0x3810), sent + d.frames().len()), (5, 4 * (0xff00 - 54)));
}

#[test]
fn states_go_on_alike() {
    let mut d = Driver::new(&E1000E);
    d.start();
    d.poke(DATA, &sample(17, &[1; 80]));
    d.transmit(0, &[[DATA as u32, 0, cmd(60, 0), 0]]);
    let saved = d.card.save().unwrap();
    d.card.reset();
    assert_eq!(d.get(0x3808), 0);
    d.card.load(&saved).unwrap();
    d.transmit(1, &[[DATA as u32 + 60, 0, cmd(62, EOP), 0]]);
    assert_eq!(d.frames(), [sample(17, &[1; 80])]);
    assert!(Driver::new(&E1000).card.load(&saved).is_err());
}
