//! A driver for tests: the guest's side of virtio-mmio, split and packed rings, on the test bench.

use super::{Options, VirtioDevice, VirtioMmio, feature};
use crate::bench::{Bench, RAM, RAM_SIZE};
use tern_core::device::{Device, Dma, Signal};
use tern_core::mem::Size;

/// Where buffers are taken from; below lie the rings.
const HEAP: u64 = RAM + 0x4_0000;
/// From one queue's rings to the next one's.
const RING_STRIDE: u64 = 0x2000;

/// A chain that the device has returned.
#[derive(Debug)]
pub(crate) struct Done {
    /// What the device says it wrote.
    pub(crate) len: u32,
    /// The writable buffers, one after the other.
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, Default)]
struct Ring {
    base: u64,
    size: u16,
    next: u16,
    wrap: bool,
    free: u16,
    seen: u16,
    seen_wrap: bool,
    /// By id: the writable buffers, and the places taken.
    lent: Vec<(Vec<(u64, usize)>, u16)>,
}

/// The driver and its machine.
pub(crate) struct Driver {
    pub(crate) bench: Bench,
    pub(crate) device: Box<VirtioMmio>,
    pub(crate) dma: Dma,
    pub(crate) features: u64,
    rings: Vec<Ring>,
    heap: u64,
}

impl Driver {
    /// A driver that has set up `device` with all of `wanted` that is offered.
    pub(crate) fn new(
        wanted: u64,
        options: Options,
        device: impl FnOnce(&mut Bench) -> Box<dyn VirtioDevice>,
    ) -> Driver {
        let mut bench = Bench::new();
        let device = device(&mut bench);
        let (kit, line) = (bench.kit(device.kind().mmio), bench.line());
        let device = Box::new(VirtioMmio::new(kit, line, device, options, false));
        let dma = bench.dma();
        let mut driver = Driver { bench, device, dma, features: 0, rings: Vec::new(), heap: HEAP };
        driver.start(wanted);
        driver
    }

    /// Split rings with indirect descriptors and event indices.
    pub(crate) fn split(wanted: u64, device: impl FnOnce(&mut Bench) -> Box<dyn VirtioDevice>) -> Driver {
        let common = feature::VERSION_1 | feature::INDIRECT_DESC | feature::EVENT_IDX;
        Driver::new(wanted | common, Options::default(), device)
    }

    /// Packed rings with indirect descriptors and event indices.
    pub(crate) fn packed(wanted: u64, device: impl FnOnce(&mut Bench) -> Box<dyn VirtioDevice>) -> Driver {
        let common = feature::VERSION_1 | feature::INDIRECT_DESC | feature::EVENT_IDX | feature::RING_PACKED;
        Driver::new(wanted | common, Options { packed: true, ..Options::default() }, device)
    }

    pub(crate) fn get(&mut self, at: u64) -> u64 {
        self.device.read(0, at, Size::B4)
    }

    pub(crate) fn set(&mut self, at: u64, value: u64) {
        self.device.write(0, at, Size::B4, value);
    }

    /// Resets the device and sets it up.
    pub(crate) fn start(&mut self, wanted: u64) {
        self.set(0x70, 0);
        self.set(0x70, 1);
        self.set(0x70, 3);
        let mut offered = 0;
        for word in 0..2 {
            self.set(0x14, word);
            offered |= self.get(0x10) << (32 * word);
        }
        self.features = offered & wanted;
        for word in 0..2 {
            self.set(0x24, word);
            self.set(0x20, self.features >> (32 * word) & 0xffff_ffff);
        }
        self.set(0x70, 11);
        assert_eq!(self.get(0x70), 11, "features were refused");
        self.rings.clear();
        for n in 0..16 {
            self.set(0x30, n);
            let size = self.get(0x34).min(64);
            if size == 0 {
                break;
            }
            let base = RAM + RING_STRIDE * n;
            self.dma.write(base, &[0; RING_STRIDE as usize]).unwrap();
            self.set(0x38, size);
            for (register, area) in [(0x80, base), (0x90, base + 0x800), (0xa0, base + 0x1000)] {
                self.set(register, area & 0xffff_ffff);
                self.set(register + 4, area >> 32);
            }
            self.set(0x44, 1);
            self.rings.push(Ring {
                base,
                size: size as u16,
                wrap: true,
                free: size as u16,
                seen_wrap: true,
                lent: vec![(Vec::new(), 0); size as usize],
                ..Ring::default()
            });
        }
        self.set(0x70, 15);
    }

    /// Memory for `len` bytes.
    pub(crate) fn alloc(&mut self, len: usize) -> u64 {
        if self.heap + len as u64 > RAM + RAM_SIZE {
            self.heap = HEAP;
        }
        let at = self.heap;
        self.heap += (len as u64).next_multiple_of(16).max(16);
        at
    }

    fn is_packed(&self) -> bool {
        self.features & feature::RING_PACKED != 0
    }

    /// Lends `out` to be read and buffers of lengths `back` to be written, by an indirect table if asked.
    pub(crate) fn add(&mut self, queue: u16, out: &[&[u8]], back: &[usize], indirect: bool) {
        let mut list = Vec::new();
        for bytes in out {
            let at = self.alloc(bytes.len());
            self.dma.write(at, bytes).unwrap();
            list.push((at, bytes.len(), false));
        }
        for len in back {
            let at = self.alloc(*len);
            list.push((at, *len, true));
        }
        self.add_raw(queue, &list, indirect);
    }

    /// Lends any (address, length, writable).
    pub(crate) fn add_raw(&mut self, queue: u16, list: &[(u64, usize, bool)], indirect: bool) {
        let packed = self.is_packed();
        let lent = list.iter().filter(|b| b.2).map(|b| (b.0, b.1)).collect();
        let indirect = indirect.then(|| self.alloc(16 * list.len()));
        let dma = self.dma.clone();
        let ring = &mut self.rings[usize::from(queue)];
        let slots = if indirect.is_some() { 1 } else { list.len() as u16 };
        assert!(ring.free >= slots, "the ring is full");
        ring.free -= slots;
        let put = |at: u64, addr: u64, len: usize, third: u16, fourth: u16| {
            let mut d = addr.to_le_bytes().to_vec();
            d.extend((len as u32).to_le_bytes());
            d.extend(third.to_le_bytes());
            d.extend(fourth.to_le_bytes());
            dma.write(at, &d).unwrap();
        };
        if let Some(table) = indirect {
            for (n, (addr, len, write)) in list.iter().enumerate() {
                let next = if n + 1 < list.len() && !packed { 1 } else { 0 };
                let flags = (u16::from(*write) * 2) | next;
                let (third, fourth) = if packed { (0, flags) } else { (flags, n as u16 + 1) };
                put(table + 16 * n as u64, *addr, *len, third, fourth);
            }
        }
        let direct: Vec<(u64, usize, u16)> = match indirect {
            Some(table) => vec![(table, 16 * list.len(), 4)],
            None => list.iter().map(|(addr, len, write)| (*addr, *len, u16::from(*write) * 2)).collect(),
        };
        let head = ring.next;
        ring.lent[usize::from(head % ring.size)] = (lent, slots);
        if packed {
            let mut first = None;
            for (n, (addr, len, flags)) in direct.iter().enumerate() {
                let at = ring.base + 16 * u64::from(ring.next);
                let next = u16::from(n + 1 < direct.len());
                let available = if ring.wrap { 1 << 7 } else { 1 << 15 };
                put(at, *addr, *len, head, flags | next | if n == 0 { available ^ 0x8080 } else { available });
                first = first.or(Some((at + 14, flags | next | available)));
                ring.next += 1;
                if ring.next == ring.size {
                    (ring.next, ring.wrap) = (0, !ring.wrap);
                }
            }
            let (at, flags) = first.unwrap();
            dma.write(at, &flags.to_le_bytes()).unwrap();
        } else {
            let at = |n: u16| head.wrapping_add(n) % ring.size;
            for (n, (addr, len, flags)) in direct.iter().enumerate() {
                let next = u16::from(n + 1 < direct.len());
                put(ring.base + 16 * u64::from(at(n as u16)), *addr, *len, flags | next, at(n as u16 + 1));
            }
            ring.next = ring.next.wrapping_add(slots);
            let idx = u16::from_le_bytes(dma.array(ring.base + 0x802).unwrap());
            dma.write(ring.base + 0x804 + 2 * u64::from(idx % ring.size), &at(0).to_le_bytes()).unwrap();
            dma.write(ring.base + 0x802, &idx.wrapping_add(1).to_le_bytes()).unwrap();
        }
    }

    /// Tells the device.
    pub(crate) fn kick(&mut self, queue: u16) {
        self.set(0x50, u64::from(queue));
    }

    /// The next chain that the device has returned; asks for an interrupt for the one after it.
    pub(crate) fn done(&mut self, queue: u16) -> Option<Done> {
        let packed = self.is_packed();
        let dma = self.dma.clone();
        let ring = &mut self.rings[usize::from(queue)];
        let (id, len) = if packed {
            let [.., l0, l1, l2, l3, i0, i1, f0, f1] = dma.array::<16>(ring.base + 16 * u64::from(ring.seen)).unwrap();
            let flags = u16::from_le_bytes([f0, f1]);
            if (flags & 0x8000 != 0) != ring.seen_wrap || (flags & 0x80 != 0) != ring.seen_wrap {
                return None;
            }
            (u16::from_le_bytes([i0, i1]), u32::from_le_bytes([l0, l1, l2, l3]))
        } else {
            if u16::from_le_bytes(dma.array(ring.base + 0x1002).unwrap()) == ring.seen {
                return None;
            }
            let at = ring.base + 0x1004 + 8 * u64::from(ring.seen % ring.size);
            let [i0, i1, _, _, l0, l1, l2, l3] = dma.array(at).unwrap();
            (u16::from_le_bytes([i0, i1]), u32::from_le_bytes([l0, l1, l2, l3]))
        };
        let (lent, slots) = core::mem::take(&mut ring.lent[usize::from(id)]);
        assert_ne!(slots, 0, "the device returned {id} twice");
        ring.free += slots;
        if packed {
            ring.seen += slots;
            if ring.seen >= ring.size {
                (ring.seen, ring.seen_wrap) = (ring.seen - ring.size, !ring.seen_wrap);
            }
        } else {
            ring.seen = ring.seen.wrapping_add(1);
            dma.write(ring.base + 0x804 + 2 * u64::from(ring.size), &ring.seen.to_le_bytes()).unwrap();
        }
        let mut data = Vec::new();
        for (addr, len) in lent {
            let from = data.len();
            data.resize(from + len, 0);
            dma.read(addr, &mut data[from..]).unwrap();
        }
        Some(Done { len, data })
    }

    /// One chain there and back.
    pub(crate) fn ask(&mut self, queue: u16, out: &[&[u8]], back: &[usize]) -> Done {
        self.add(queue, out, back, false);
        self.kick(queue);
        self.done(queue).expect("the device returns the chain")
    }

    /// Was there an interrupt?  Acknowledges it; the bits of InterruptStatus.
    pub(crate) fn interrupts(&mut self) -> u64 {
        let isr = self.get(0x60);
        self.set(0x64, isr);
        let rises = self.bench.signals().iter().any(|s| matches!(s, Signal::Level(_, true)));
        assert_eq!(rises, isr != 0);
        isr
    }

    /// Where a queue's rings are: descriptors, driver's area, device's area.
    pub(crate) fn areas(&self, queue: u16) -> [u64; 3] {
        let base = self.rings[usize::from(queue)].base;
        [base, base + 0x800, base + 0x1000]
    }

    /// The slot that the device is in.
    pub(crate) fn slot(&mut self) -> &mut VirtioMmio {
        &mut self.device
    }

    /// How many queues there are.
    pub(crate) fn queues(&self) -> usize {
        self.rings.len()
    }

    /// Does the device say that it needs a reset?
    pub(crate) fn is_broken(&mut self) -> bool {
        self.get(0x70) & 64 != 0
    }
}
