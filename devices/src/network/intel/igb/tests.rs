//! Tests of the 82576: what drivers do, and what they should not.

use super::super::CONTROL_PORT;
use super::super::packet::Packet;
use super::*;
use crate::bench::{Bench, BenchBackends, RAM};
use crate::model::find;
use crate::virtio::net::offload::sample;
use tern_core::device::Signal;

const TX: u64 = RAM + 0x1000;
const RX: u64 = RAM + 0x4000;
const DATA: u64 = RAM + 0x1_0000;
const BUFFERS: u64 = RAM + 0x2_0000;

const EOP: u32 = 1 << 24;
const RS: u32 = 1 << 27;
const DEXT: u32 = 1 << 29;
const VLE: u32 = 1 << 30;
const TSE: u32 = 1 << 31;
const DATA_TYPE: u32 = DEXT | 3 << 20;
const CONTEXT_TYPE: u32 = DEXT | 2 << 20;

struct Driver {
    bench: Bench,
    card: Igb,
}

impl Driver {
    fn new() -> Driver {
        let mut bench = Bench::new();
        let props = find(NAME).unwrap().defaults();
        let mut backends = BenchBackends::new(&bench);
        let kit = bench.kit(NAME);
        let link = bench.net();
        let mut card = Igb::build(kit, &mut Wants::new(&props, &mut backends)).unwrap();
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

    /// Rings of 8 descriptors for `queues` pairs, 512 bytes apart; everything on, advanced descriptors.
    fn start(queues: u64) -> Driver {
        let mut d = Driver::new();
        for n in 0..queues {
            for (at, base, control) in [(0xe000, TX, 0xe028), (0xc000, RX, 0xc028)] {
                let at = at + 0x40 * n;
                d.set(at, (base + 512 * n) as u32);
                d.set(at + 4, 0);
                d.set(at + 8, 128);
                d.set(control + 0x40 * n, ENABLE);
            }
            d.set(0xc00c + 0x40 * n, 0x0200_0002);
        }
        d.set(0x400, 2);
        d.set(0x100, 2 | 1 << 26 | 1 << 15);
        d
    }

    fn poke(&self, at: u64, bytes: &[u8]) {
        self.bench.dma().write(at, bytes).unwrap();
    }

    fn peek<const N: usize>(&self, at: u64) -> [u8; N] {
        self.bench.dma().array::<N>(at).unwrap()
    }

    fn transmit(&mut self, queue: u64, from: u32, descriptors: &[[u32; 4]]) {
        for (n, words) in descriptors.iter().enumerate() {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            self.poke(TX + 512 * queue + 16 * (u64::from(from) + n as u64), &bytes);
        }
        self.set(0xe018 + 0x40 * queue, from + descriptors.len() as u32);
    }

    /// Lends `count` buffers, 4096 bytes apart: the header goes 2048 bytes behind the packet.
    fn lend(&mut self, queue: u64, count: u32) {
        for n in 0..u64::from(count) {
            let at = BUFFERS + 0x8000 * queue + 4096 * n;
            self.poke(RX + 512 * queue + 16 * n, &[at.to_le_bytes(), (at + 2048).to_le_bytes()].concat());
        }
        self.set(0xc018 + 0x40 * queue, count);
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

    fn messages(&mut self) -> Vec<u32> {
        let data = |signal| match signal {
            Signal::Message { data, .. } => Some(data),
            _ => None,
        };
        self.bench.signals().into_iter().filter_map(data).collect()
    }

    /// MSI-X on as Linux does it: vector n sends n, masks and causes clear themselves.
    fn msix_on(&mut self) {
        for n in 0..25u64 {
            self.card.write(3, 16 * n, Size::B4, 0x2800_0000);
            self.card.write(3, 16 * n + 8, Size::B4, n);
            self.card.write(3, 16 * n + 12, Size::B4, 0);
        }
        let cap = (0x40..0x100).step_by(4).find(|at| self.card.config.byte_at(*at) == 0x11).unwrap();
        assert_eq!(self.card.config.half(cap + 2) & 0x7ff, 24);
        self.card.write_config(cap + 2, Size::B2, 0x8000);
        self.set(0x1514, 1 << 4 | 1 << 30 | 1 << 31 | 1);
        self.set(0x152c, 7);
        self.set(0x1530, 7);
        // Queue 0 receives by vector 1 and sends by 2; queue 8 receives by 1; the rest is vector 0.
        self.set(0x1700, 0x0081_8281);
        self.set(0x1740, 0x8000);
        self.set(0x1524, 7);
        self.set(0xd0, 4);
    }
}

#[test]
fn queues_send_and_receive() {
    let mut d = Driver::start(16);
    assert_eq!((d.get(0x5400), d.get(0x5404), d.get(8) & 3), (0x1200_5452, 0x8000_5634, 3));
    for queue in [0, 5, 15] {
        let frame = sample(17, &[queue as u8; 50]);
        d.poke(DATA, &frame);
        d.transmit(queue, 0, &[[DATA as u32, 0, frame.len() as u32 | DATA_TYPE | EOP | RS, 0]]);
        assert_eq!(d.frames(), [frame]);
        assert_eq!((d.get(0xe010 + 0x40 * queue), d.peek::<1>(TX + 512 * queue + 12)), (1, [1]));
    }
    assert_eq!((d.get(0x3910), d.get(0x3810)), (0, 1));
    // All flows to queue 9.
    d.set(0x5818, 2 | 1 << 16 | 1 << 17 | 1 << 22);
    d.set(0x5000, 0x2300);
    (0..32).for_each(|n| d.set(0x5c00 + 4 * n, 0x0909_0909));
    (0..10).for_each(|n| d.set(0x5c80 + 4 * n, 0x1234_5678));
    d.lend(9, 2);
    assert_eq!(d.card.room(0), 1);
    let frame = sample(17, b"hello");
    d.card.receive(0, &frame);
    let desc = d.peek::<16>(RX + 512 * 9);
    assert_eq!((desc[0], desc[1], desc[8] & 3, &desc[12..14]), (0x17, 2, 3, &[60, 0][..]));
    assert_eq!((d.peek::<47>(BUFFERS + 0x8000 * 9), d.get(0xc010 + 0x240)), (frame[..].try_into().unwrap(), 1));
    // By EtherType to queue 3, which has no buffers.
    d.set(0x5cb0, 1 << 31 | 1 << 26 | 3 << 16 | 0x800);
    d.card.receive(0, &frame);
    assert_eq!((d.get(0xc0f0), d.get(0xc0f0), d.get(0x4010)), (1, 0, 1));
    assert_eq!(d.bench.guest_errors(), 0);
}

#[test]
fn contexts_say_how_packets_are_completed() {
    let mut d = Driver::start(1);
    let data: Vec<u8> = (0..2000).map(|n| n as u8).collect();
    let mut frame = sample(6, &data);
    frame[16..18].fill(0);
    frame[24..26].fill(0);
    let sum = frame[26..34].chunks(2).fold(6u32, |s, w| s + u32::from(w[0]) * 256 + u32::from(w[1]));
    frame[50..52].copy_from_slice(&((sum & 0xffff) + (sum >> 16)).to_be_bytes()[2..]);
    d.poke(DATA, &frame);
    let context = [20 | 14 << 9 | 9 << 16, 0, CONTEXT_TYPE | 1 << 10 | 1 << 11, 1 << 4 | 20 << 8 | 1500 << 16];
    let command = DATA_TYPE | EOP | RS | TSE | VLE;
    d.transmit(0, 0, &[context, [DATA as u32, 0, frame.len() as u32 | command, 0x310]]);
    let frames = d.frames();
    assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [1558, 558]);
    for frame in &frames {
        let p = Packet::of(frame, 0x8100);
        assert_eq!((&frame[12..16], p.ip_sum(frame), p.l4_sum(frame)), (&[0x81, 0, 0, 9][..], Some(true), Some(true)));
    }
    // A UDP checksum by the other context, with the whole pseudo header in its place.
    let mut frame = sample(17, b"some data");
    let len = frame.len() as u32 - 34;
    let sum = frame[26..34].chunks(2).fold(17 + len, |s, w| s + u32::from(w[0]) * 256 + u32::from(w[1]));
    frame[40..42].copy_from_slice(&((sum & 0xffff) + (sum >> 16)).to_be_bytes()[2..]);
    d.poke(DATA, &frame);
    let context = [20 | 14 << 9, 0, CONTEXT_TYPE | 1 << 10, 0];
    d.transmit(0, 2, &[context, [DATA as u32, 0, frame.len() as u32 | DATA_TYPE | EOP, 0x200]]);
    let frames = d.frames();
    assert_eq!(Packet::of(&frames[0], 0x8100).l4_sum(&frames[0]), Some(true));
    // SCTP.
    let context = [20 | 14 << 9, 0, CONTEXT_TYPE | 1 << 10 | 2 << 11, 0];
    d.transmit(0, 4, &[context, [DATA as u32, 0, frame.len() as u32 | DATA_TYPE | EOP, 0x200]]);
    let mut sent = d.frames().remove(0);
    let sum = u32::from_le_bytes(sent[42..46].try_into().unwrap());
    sent[42..46].fill(0);
    assert_eq!((sum, d.bench.guest_errors()), (super::super::packet::crc32c(&sent[34..]), 0));
}

#[test]
fn heads_can_be_written_back() {
    let mut d = Driver::start(1);
    d.set(0xe038, (RAM + 0x800) as u32 | 1);
    d.poke(DATA, &sample(17, &[1; 50]));
    let one = [DATA as u32, 0, 92 | DATA_TYPE | EOP | RS, 0];
    d.transmit(0, 0, &[one, one]);
    assert_eq!((d.peek::<4>(RAM + 0x800), d.peek::<1>(TX + 12)), ([2, 0, 0, 0], [0]));
}

#[test]
fn headers_are_split_off() {
    let mut d = Driver::start(1);
    d.lend(0, 6);
    let frame = sample(17, &[7; 1000]);
    d.set(0xc00c, 0x0400_0402);
    d.card.receive(0, &frame);
    let desc = d.peek::<16>(RX);
    assert_eq!((desc[2..4].to_vec(), desc[12..14].to_vec()), (vec![0x40, 0x85], vec![0xe8, 3]));
    assert_eq!((d.peek::<42>(BUFFERS + 2048), d.peek::<4>(BUFFERS)), (frame[..42].try_into().unwrap(), [7; 4]));
    // Headers that do not fit stay where they are; always splitting fills the header buffer.
    d.set(0xc00c, 0x0400_0002);
    d.card.receive(0, &frame);
    assert_eq!(d.peek::<16>(RX + 16)[12..14], [0x12, 4]);
    d.set(0xc00c, 0x0a00_0402);
    let small = [&frame[..6], &[9; 60]].concat();
    d.card.receive(0, &small);
    assert_eq!(d.peek::<16>(RX + 32)[12..14], [0, 0]);
    assert_eq!(d.peek::<66>(BUFFERS + 2 * 4096 + 2048)[..], small[..]);
    // Legacy descriptors.
    d.set(0xc00c, 2);
    d.card.receive(0, &frame);
    let desc = d.peek::<16>(RX + 48);
    assert_eq!((&desc[8..10], desc[12] & 3), (&[0x12, 4][..], 3));
    // Two buffers of 1024 bytes for a frame that is longer.
    d.set(0xc00c, 0x0200_0001);
    d.card.receive(0, &sample(17, &[7; 1400]));
    assert_eq!((d.peek::<16>(RX + 64)[8] & 3, d.peek::<16>(RX + 80)[8] & 3, d.card.room(0)), (1, 3, 0));
}

#[test]
fn vectors_are_sent_throttled_and_masked() {
    let mut d = Driver::start(1);
    d.lend(0, 7);
    d.msix_on();
    let frame = sample(17, b"x");
    d.card.receive(0, &frame);
    d.card.receive(0, &frame);
    assert_eq!((d.messages(), d.get(0x1524)), (vec![1], 5));
    d.set(0x1524, 2);
    assert_eq!((d.messages(), d.get(0x1524)), (vec![1], 5));
    d.poke(DATA, &frame);
    d.transmit(0, 0, &[[DATA as u32, 0, 43 | DATA_TYPE | EOP | RS, 0]]);
    assert_eq!(d.messages(), [2]);
    d.card.receive(CONTROL_PORT, &[0]);
    assert_eq!((d.messages(), d.get(0xc0) & 4, d.get(0xc0)), (vec![0], 4, 0));
    d.card.receive(CONTROL_PORT, &[1]);
    d.wait(NEGOTIATION);
    d.messages();
    // 100 microseconds.
    d.set(0x1684, 400);
    d.set(0x1524, 7);
    // The link has come up while its vector was masked.
    assert_eq!(d.messages(), [0]);
    d.card.receive(0, &frame);
    d.set(0x1524, 7);
    d.card.receive(0, &frame);
    assert_eq!(d.messages(), [1]);
    d.wait(NEGOTIATION + 99_999);
    assert_eq!(d.messages(), []);
    d.wait(NEGOTIATION + 100_000);
    assert_eq!(d.messages(), [1]);
}

#[test]
fn the_pin_works_without_messages() {
    let mut d = Driver::start(1);
    d.lend(0, 7);
    d.set(0xe0, 0x85);
    d.set(0xd0, 0x85);
    d.card.receive(0, &sample(17, b"x"));
    assert_eq!(d.card.config.intx(), Some(0));
    // Reading masks and clears.
    assert_eq!((d.get(0xc0) & 0x8000_0080, d.get(0xd0), d.card.config.intx()), (0x8000_0080, 0, None));
    d.set(0xd0, 0x85);
    d.set(0xc8, 4);
    assert_eq!(d.card.config.intx(), Some(0));
}

#[test]
fn the_link_goes_by_phy_and_cable() {
    let mut d = Driver::start(1);
    d.lend(0, 1);
    d.set(0, 1 << 26 | 1 << 6);
    d.set(0x20, 1 << 26 | 1 << 21 | 0x1200);
    assert_eq!(d.get(8) & 2, 0);
    d.wait(NEGOTIATION);
    assert_eq!(d.get(8) & 2, 2);
    d.card.receive(CONTROL_PORT, &[0]);
    assert_eq!((d.get(8) & 2, d.card.room(0)), (0, 0));
}

#[test]
fn the_function_resets_itself() {
    let mut d = Driver::start(1);
    let control = d.card.control.unwrap();
    d.card.write_config(control, Size::B2, 0x2810);
    assert_eq!((d.get(0x400), d.card.config.half(control)), (2, 0x2810));
    for (at, size, value) in [(control, Size::B2, 0x8000), (control - 4, Size::B8, 0x8000 << 32), (control + 1, Size::B1, 0x80)] {
        d.set(0x400, 2);
        d.card.write_config(at, size, value);
        assert_ne!(d.get(0x400), 2);
        assert_eq!((d.card.config.half(4), d.card.config.half(control)), (0, 0));
    }
}

#[test]
fn nvm_and_semaphores_are_as_drivers_want_them() {
    let mut d = Driver::new();
    let mut sum = 0u16;
    for n in 0..64 {
        d.set(0x14, n << 2 | 1);
        let value = d.get(0x14);
        assert_eq!(value & 2, 2);
        sum = sum.wrapping_add((value >> 16) as u16);
    }
    assert_eq!(sum, 0xbaba);
    assert_eq!((d.get(0x5b50), d.get(0x5b50)), (0, 1));
    d.set(0x5b50, 3);
    assert_eq!(d.get(0x5b50) & 2, 2);
    d.set(0x10, 1 << 6);
    assert_eq!(d.get(0x10) & 0x380, 0x380);
    // A clock of 16 nanoseconds that counts in 2^-19 of them.
    d.set(0xb608, 1 << 24 | 16 << 19);
    d.wait(1600);
    assert_eq!((d.get(0xb600), d.get(0xb604)), (1600 << 19, 0));
}

#[test]
fn nonsense_is_counted_and_ends() {
    let mut d = Driver::start(2);
    d.set(0xe018, 99);
    d.set(0xe018, 0);
    d.transmit(0, 0, &[[0, 0, DEXT | 7 << 20, 0], [0x10, 0, 100 | DATA_TYPE | EOP, 0], [0, 0, DATA_TYPE | EOP | TSE, 0x300]]);
    assert_eq!((d.bench.guest_errors(), d.get(0xe010), d.frames().len()), (4, 3, 0));
    d.lend(0, 4);
    d.set(0xc000, 0);
    d.card.receive(0, &sample(17, b"x"));
    assert_eq!(d.bench.guest_errors(), 5);
    d.set(0x5818, 3);
    d.card.receive(0, &sample(17, b"x"));
    assert_eq!(d.bench.unimplemented(), 1);
    let saved = d.card.save().unwrap();
    d.card.reset();
    d.card.load(&saved).unwrap();
    assert_eq!(d.card.save().unwrap(), saved);
}
