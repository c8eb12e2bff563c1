//! Rings and transports under honest and hostile drivers.

use super::testing::Driver;
use super::{Broken, Cx, Kind, Options, VirtioDevice, VirtioMmio, feature};
use crate::bench::{Bench, RAM, RAM_SIZE};
use tern_core::device::Device;
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError};
use tern_core::time::Clock;

static KIND: Kind = Kind { id: 42, mmio: "echo-device", pci: "echo-pci", class: 0xff_0000, legacy_id: 0 };

/// Returns what it is sent, as far as there is room, or how many chains there were so far and one; queue 1 holds chains until a byte is received.
#[derive(Default)]
struct Echo {
    served: u64,
}

impl Echo {
    fn serve(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        while let Some(mut chain) = cx.pop(queue)? {
            let mut bytes = vec![0; chain.readable().min(1 << 16) as usize];
            cx.read(&mut chain, &mut bytes)?;
            self.served += 1;
            if bytes.is_empty() {
                bytes = (self.served as u16 + 1).to_le_bytes().to_vec();
            }
            cx.write(&mut chain, &bytes)?;
            cx.push(queue, &chain);
        }
        Ok(())
    }
}

impl VirtioDevice for Echo {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn features(&self) -> u64 {
        1
    }

    fn queues(&self) -> Vec<u16> {
        vec![64, 64]
    }

    fn config(&self) -> Vec<u8> {
        vec![1, 2, 3, 4, 5]
    }

    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        if queue == 0 { self.serve(cx, queue) } else { Ok(()) }
    }

    fn room(&mut self, cx: &mut Cx<'_>, _port: u32) -> Result<usize, Broken> {
        Ok(usize::from(cx.available(1)?))
    }

    fn receive(&mut self, cx: &mut Cx<'_>, _port: u32, data: &[u8]) -> Result<(), Broken> {
        // Two chains or none, as a network device that merges buffers.
        let Some(mut first) = cx.pop(1)? else { return Ok(()) };
        let Some(mut second) = cx.pop(1)? else {
            cx.unpop(1, &first);
            return Ok(());
        };
        for chain in [&mut first, &mut second] {
            cx.write(chain, data)?;
            cx.push(1, chain);
        }
        Ok(())
    }

    fn reset(&mut self, _clock: &Clock) {
        self.served = 0;
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &self.served)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.served = snapshot::load(KIND.mmio, 1, bytes)?;
        Ok(())
    }
}

fn echo(_: &mut Bench) -> Box<dyn VirtioDevice> {
    Box::new(Echo::default())
}

fn both() -> [Driver; 2] {
    [Driver::split(1, echo), Driver::packed(1, echo)]
}

#[test]
fn bytes_come_back_however_they_are_cut() {
    for mut d in both() {
        let text: Vec<u8> = (0..=255).collect();
        for round in 0..500usize {
            let cuts = [round % 7, 3, round % 250];
            let (a, rest) = text.split_at(cuts[0]);
            let (b, c) = rest.split_at(cuts[1]);
            d.add(0, &[a, b, c], &[cuts[2], 1, 300], round % 3 == 0);
            d.kick(0);
            let done = d.done(0).unwrap();
            assert_eq!((done.len, &done.data[..256]), (256, &text[..]), "{round}");
            assert_eq!(d.interrupts(), 1, "{round}");
        }
        assert_eq!(d.bench.guest_errors(), 0);
    }
}

#[test]
fn many_chains_with_one_kick_and_one_interrupt() {
    for mut d in both() {
        for round in 0..40u8 {
            for n in 0..21 {
                d.add(0, &[&[n, round]], &[2], n % 2 == 0);
            }
            d.kick(0);
            assert_eq!(d.interrupts(), 1);
            for n in 0..21 {
                let done = d.done(0).unwrap();
                assert_eq!((done.data, done.len), (vec![n, round], 2));
            }
            assert!(d.done(0).is_none());
        }
    }
}

#[test]
fn drivers_hear_of_what_they_want() {
    // Event index: an interrupt only when the index named is passed.
    let mut d = Driver::split(0, echo);
    let [_, avail, used] = d.areas(0);
    let used_event = avail + 4 + 2 * 64;
    d.ask(0, &[&[1]], &[1]);
    assert_eq!(d.interrupts(), 1);
    d.dma.write(used_event, &3u16.to_le_bytes()).unwrap();
    for expected in [0, 0, 1, 0] {
        d.add(0, &[&[1]], &[1], false);
        d.kick(0);
        assert_eq!(d.interrupts(), expected);
    }
    // The device says at which index it wants to hear of the driver.
    assert_eq!(u16::from_le_bytes(d.dma.array(used + 4 + 8 * 64).unwrap()), 5);
    // Without the feature, the flag rules.
    let mut d = Driver::new(feature::VERSION_1, Options::default(), echo);
    let [_, avail, _] = d.areas(0);
    d.dma.write(avail, &[1, 0]).unwrap();
    d.ask(0, &[&[1]], &[1]);
    assert_eq!(d.interrupts(), 0);
    d.dma.write(avail, &[0, 0]).unwrap();
    d.ask(0, &[&[1]], &[1]);
    assert_eq!(d.interrupts(), 1);
    // Packed: off, on, at an index.
    let mut d = Driver::packed(0, echo);
    let [_, driver, _] = d.areas(0);
    for (off_wrap, flags, expected) in [(0u16, 1u8, 0), (0, 0, 1), (0x8002, 2, 1), (0x8002, 2, 0), (0x8005, 2, 0)] {
        d.dma.write(driver, &[off_wrap as u8, (off_wrap >> 8) as u8, flags, 0]).unwrap();
        d.ask(0, &[&[1]], &[]);
        assert_eq!(d.interrupts(), expected, "{off_wrap:#x} {flags}");
    }
    d.ask(0, &[&[1]], &[]);
    assert_eq!(d.interrupts(), 1);
}

#[test]
fn chains_can_be_given_back() {
    for mut d in both() {
        // Around the ring's end, too.
        for round in 0..100u8 {
            assert_eq!(d.device.room(0), 0);
            d.add(1, &[], &[4, 4], false);
            d.kick(1);
            assert_eq!(d.device.room(0), 1);
            d.device.receive(0, &[round; 5]);
            assert!(d.done(1).is_none());
            d.add(1, &[], &[8], round % 2 == 0);
            d.device.receive(0, &[round; 5]);
            for _ in 0..2 {
                let done = d.done(1).unwrap();
                assert_eq!((done.len, &done.data[..5]), (5, &[round; 5][..]));
            }
        }
        assert_eq!(d.bench.guest_errors(), 0);
    }
}

#[test]
fn negotiation_follows_the_rules() {
    let mut d = Driver::split(1, echo);
    assert_eq!((d.get(0), d.get(4), d.get(8)), (0x7472_6976, 2, 42));
    assert_eq!(d.features, 1 | feature::VERSION_1 | feature::INDIRECT_DESC | feature::EVENT_IDX);
    // Features are fixed once confirmed.
    d.set(0x20, 0);
    assert_eq!(d.bench.guest_errors(), 1);
    // Not offered, and no VERSION_1: refused.
    for (low, high) in [(2, 1), (1, 0), (0, 1 | 1 << 2)] {
        d.set(0x70, 0);
        assert_eq!(d.get(0x70), 0);
        d.set(0x70, 3);
        for (word, value) in [(0, low), (1, high)] {
            d.set(0x24, word);
            d.set(0x20, value);
        }
        d.set(0x70, 11);
        assert_eq!(d.get(0x70), 3, "{low:#x} {high:#x}");
        d.set(0x70, 15);
        assert_eq!(d.get(0x70) & 12, 0);
    }
    // Configuration space, and what lies beyond.
    let before = d.bench.guest_errors();
    assert_eq!((d.get(0x100), d.device.read(0, 0x104, Size::B1), d.get(0xfc)), (0x0403_0201, 5, 0));
    assert_eq!((d.get(0x104), d.bench.guest_errors()), (0, before + 1));
    d.set(0x100, 7);
    assert_eq!(d.bench.guest_errors(), before + 2);
    // No shared memory.
    d.set(0xac, 3);
    assert_eq!((d.get(0xb0), d.get(0xbc)), (0xffff_ffff, 0xffff_ffff));
}

#[test]
fn queues_are_set_up_in_order_and_reset_singly() {
    let mut d = Driver::split(feature::RING_RESET, echo);
    d.set(0x30, 0);
    let before = d.bench.guest_errors();
    d.set(0x38, 32);
    d.set(0x80, 0x1000);
    d.set(0x44, 1);
    assert_eq!(d.bench.guest_errors(), before + 3, "a queue in use does not change");
    d.ask(0, &[b"a"], &[1]);
    d.set(0xc0, 1);
    assert_eq!((d.get(0xc0), d.get(0x44)), (0, 0));
    d.set(0x50, 0);
    d.set(0x38, 33);
    d.set(0x38, 128);
    assert_eq!(d.bench.guest_errors(), before + 5, "sizes");
    d.set(0x30, 77);
    assert_eq!((d.get(0x34), d.get(0x44)), (0, 0));
    d.set(0x44, 1);
    d.set(0x50, 77);
    assert_eq!(d.bench.guest_errors(), before + 7);
}

#[test]
fn legacy_drivers_find_their_way() {
    let mut bench = Bench::new();
    let (kit, line) = (bench.kit("virtio-mmio"), bench.line());
    let device = Box::new(Echo::default());
    let mut d = VirtioMmio::new(kit, line, device, Options { event_idx: false, ..Options::default() }, true);
    let mut set = |at: u64, value: u64| d.write(0, at, Size::B4, value);
    set(0x70, 0);
    set(0x70, 3);
    set(0x28, 4096);
    set(0x20, 1);
    set(0x30, 0);
    set(0x38, 8);
    set(0x3c, 4096);
    set(0x40, RAM >> 12);
    set(0x70, 7);
    let dma = bench.dma();
    let (desc, avail, used) = (RAM, RAM + 128, RAM + 4096);
    for (at, addr, flags, next) in [(desc, RAM + 0x3000, 1u16, 1u16), (desc + 16, RAM + 0x3100, 2, 0)] {
        dma.write(at, &addr.to_le_bytes()).unwrap();
        dma.write(at + 8, &[4, 0, 0, 0]).unwrap();
        dma.write(at + 12, &flags.to_le_bytes()).unwrap();
        dma.write(at + 14, &next.to_le_bytes()).unwrap();
    }
    dma.write(RAM + 0x3000, b"abcd").unwrap();
    dma.write(avail + 2, &[1, 0]).unwrap();
    set(0x50, 0);
    assert_eq!(&dma.array::<4>(RAM + 0x3100).unwrap(), b"abcd");
    assert_eq!(dma.array::<12>(used).unwrap(), [0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0]);
    let mut get = |at: u64| d.read(0, at, Size::B4);
    assert_eq!((get(4), get(0x60), get(0x40), get(0x10) >> 28 & 1), (1, 1, RAM >> 12, 1));
    assert_eq!(bench.guest_errors(), 0);
}

/// A way to break a split ring: what to do to it before the kick.
type Attack = (&'static str, fn(&mut Driver));

fn split_attacks() -> Vec<Attack> {
    fn descriptor(d: &mut Driver, n: u64, addr: u64, len: u32, flags: u16, next: u16) {
        let at = d.areas(0)[0] + 16 * n;
        d.dma.write(at, &addr.to_le_bytes()).unwrap();
        d.dma.write(at + 8, &len.to_le_bytes()).unwrap();
        d.dma.write(at + 12, &flags.to_le_bytes()).unwrap();
        d.dma.write(at + 14, &next.to_le_bytes()).unwrap();
    }
    fn avail(d: &mut Driver, head: u16, idx: u16) {
        let at = d.areas(0)[1];
        for n in 0..64 {
            d.dma.write(at + 4 + 2 * n, &head.to_le_bytes()).unwrap();
        }
        d.dma.write(at + 2, &idx.to_le_bytes()).unwrap();
    }
    vec![
        ("a loop", |d| {
            descriptor(d, 0, RAM, 1, 1, 1);
            descriptor(d, 1, RAM, 1, 1, 0);
            avail(d, 0, 1);
        }),
        ("a descriptor that is its own next", |d| {
            descriptor(d, 5, RAM, 0, 3, 5);
            avail(d, 5, 1);
        }),
        ("a head outside of the table", |d| avail(d, 64, 1)),
        ("a next outside of the table", |d| {
            descriptor(d, 0, RAM, 1, 1, 999);
            avail(d, 0, 1);
        }),
        ("an index that jumps", |d| avail(d, 0, 65)),
        ("an index that goes back", |d| avail(d, 0, 0xffff)),
        ("a buffer where no memory is", |d| {
            descriptor(d, 0, RAM + RAM_SIZE - 1, 2, 0, 0);
            avail(d, 0, 1);
        }),
        ("a buffer at the end of all addresses", |d| {
            descriptor(d, 0, u64::MAX - 3, u32::MAX, 0, 0);
            avail(d, 0, 1);
        }),
        ("readable behind writable", |d| {
            descriptor(d, 0, RAM, 1, 3, 1);
            descriptor(d, 1, RAM, 1, 0, 0);
            avail(d, 0, 1);
        }),
        ("an indirect table of odd length", |d| {
            descriptor(d, 0, RAM + 0x8000, 17, 4, 0);
            avail(d, 0, 1);
        }),
        ("an empty indirect table", |d| {
            descriptor(d, 0, RAM + 0x8000, 0, 4, 0);
            avail(d, 0, 1);
        }),
        ("an indirect table with a next", |d| {
            descriptor(d, 0, RAM + 0x8000, 16, 5, 0);
            avail(d, 0, 1);
        }),
        ("an indirect table in an indirect table", |d| {
            descriptor(d, 0, d.areas(0)[0] + 16, 16, 4, 0);
            descriptor(d, 1, RAM, 16, 4, 0);
            avail(d, 0, 1);
        }),
        ("an indirect table outside of memory", |d| {
            descriptor(d, 0, 0x1000, 32, 4, 0);
            avail(d, 0, 1);
        }),
        ("a huge indirect table that loops", |d| {
            descriptor(d, 0, d.areas(0)[0] + 16, u32::MAX - 15, 4, 0);
            descriptor(d, 1, RAM, 0, 1, 0);
            avail(d, 0, 1);
        }),
    ]
}

#[test]
fn broken_split_rings_are_one_error_and_need_a_reset() {
    for (name, attack) in split_attacks() {
        let mut d = Driver::split(0, echo);
        attack(&mut d);
        d.kick(0);
        assert!(d.is_broken(), "{name}");
        assert_eq!(d.bench.guest_errors(), 1, "{name}");
        assert_eq!(d.interrupts() & 2, 2, "{name}: the driver is told");
        // Silent until reset, and alive afterwards.
        d.kick(0);
        assert!(d.done(0).is_none(), "{name}");
        let features = d.features;
        d.start(features);
        assert_eq!(d.ask(0, &[b"abc"], &[3]).data, b"abc", "{name}");
    }
}

#[test]
fn broken_packed_rings_are_one_error_and_need_a_reset() {
    type Ring = (&'static str, &'static [(u64, u32, u16)]);
    let attacks: &[Ring] = &[
        ("a chain as long as the ring that goes on", &[(RAM, 1, 0x81); 64]),
        ("no memory", &[(0x1000, 1, 0x80)]),
        ("readable behind writable", &[(RAM, 1, 0x83), (RAM, 1, 0x80)]),
        ("indirect with next", &[(RAM + 0x8000, 16, 0x85)]),
        ("odd indirect", &[(RAM + 0x8000, 15, 0x84)]),
        ("huge indirect", &[(RAM, u32::MAX - 15, 0x84)]),
        ("indirect in indirect", &[(RAM + 16, 16, 0x84), (RAM, 16, 0x04)]),
    ];
    for (name, descriptors) in attacks {
        let mut d = Driver::packed(0, echo);
        let at = d.areas(0)[0];
        for (n, (addr, len, flags)) in descriptors.iter().enumerate() {
            let at = at + 16 * n as u64;
            d.dma.write(at, &addr.to_le_bytes()).unwrap();
            d.dma.write(at + 8, &len.to_le_bytes()).unwrap();
            d.dma.write(at + 14, &flags.to_le_bytes()).unwrap();
        }
        d.kick(0);
        assert!(d.is_broken(), "{name}");
        assert_eq!(d.bench.guest_errors(), 1, "{name}");
        let features = d.features;
        d.start(features);
        assert_eq!(d.ask(0, &[b"abc"], &[3]).data, b"abc", "{name}");
    }
}

#[test]
fn rings_outside_of_memory_are_errors() {
    for options in [Options::default(), Options { packed: true, ..Options::default() }] {
        let mut d = Driver::new(u64::MAX, options, echo);
        d.set(0x30, 0);
        d.set(0x44, 0);
        for register in [0x84, 0x94, 0xa4] {
            d.set(register, 0xffff_ffff);
        }
        d.set(0x44, 1);
        d.kick(0);
        assert!(d.is_broken());
        assert_eq!(d.device.room(0), 0);
    }
}

#[test]
fn work_that_never_ends_is_done_in_slices() {
    // What the device writes is its own available index: there is always one chain more.
    let mut d = Driver::split(0, echo);
    let [desc, avail, used] = d.areas(0);
    d.dma.write(desc, &(avail + 2).to_le_bytes()).unwrap();
    d.dma.write(desc + 8, &[2, 0, 0, 0, 2, 0, 0, 0]).unwrap();
    d.dma.write(avail + 2, &1u16.to_le_bytes()).unwrap();
    let done = |d: &Driver| u16::from_le_bytes(d.dma.array(used + 2).unwrap());
    d.kick(0);
    assert_eq!((done(&d), d.bench.queue.next()), (128, Some(1000)));
    d.bench.advance(&mut *d.device, 0, 10_000);
    assert_eq!((done(&d), d.bench.guest_errors()), (11 * 128, 0));
    d.set(0x70, 0);
    assert_eq!(d.bench.queue.next(), None);
}

#[test]
fn random_rings_never_break_anything_but_the_device() {
    let mut seed = 0x1234_5678_9abc_def1u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..400 {
        let mut d = if round % 2 == 0 { Driver::split(0, echo) } else { Driver::packed(0, echo) };
        let [desc, avail, _] = d.areas(0);
        for n in 0..64 {
            let addr = RAM + random() % (RAM_SIZE + 64);
            let words = [addr, random() >> (random() % 64) & 0xfff | (random() & 0x8087) << 48 | (random() % 66) << 32];
            d.dma.write(desc + 16 * n, &words[0].to_le_bytes()).unwrap();
            d.dma.write(desc + 16 * n + 8, &words[1].to_le_bytes()).unwrap();
        }
        for n in 0..64 {
            d.dma.write(avail + 4 + 2 * n, &(random() as u16 % 65).to_le_bytes()).unwrap();
        }
        d.dma.write(avail + 2, &(random() as u16 % 66).to_le_bytes()).unwrap();
        d.kick(0);
        d.kick(1);
        d.device.receive(0, &[1; 100]);
        let now = d.bench.queue.now();
        d.bench.advance(&mut *d.device, 0, now + 10_000);
        let features = d.features;
        d.start(features);
        assert_eq!(d.ask(0, &[b"abc"], &[3]).data, b"abc", "{round}");
    }
}

#[test]
fn a_saved_device_goes_on_in_mid_work() {
    for packed in [false, true] {
        let make = || if packed { Driver::packed(1, echo) } else { Driver::split(1, echo) };
        let mut d = make();
        for n in 0..70u8 {
            d.ask(0, &[&[n]], &[1]);
        }
        d.add(0, &[b"late"], &[4], false);
        d.add(1, &[], &[4], false);
        let saved = d.device.save().unwrap();
        // The same memory, another device.
        let mut bench = Bench::new();
        let (kit, line) = (bench.kit("echo-device"), bench.line());
        let kit = tern_core::device::Kit { dma: d.dma.clone(), ..kit };
        let options = Options { packed: true, ..Options::default() };
        let options = if packed { options } else { Options::default() };
        let mut other = VirtioMmio::new(kit, line, echo(&mut bench), options, false);
        other.load(&saved).unwrap();
        assert_eq!(other.save().unwrap(), saved);
        *d.device = other;
        d.kick(0);
        assert_eq!(d.done(0).unwrap().data, b"late");
        d.add(1, &[], &[4], false);
        d.device.receive(0, b"abcd");
        assert_eq!(d.done(1).unwrap().data, b"abcd");
    }
}
