//! A driver's view of the controller, and a bad driver's.

use super::*;
use crate::bench::{Bench, BenchBackends, RAM};
use crate::model::{Value, find};
use crate::pci::config::reg;
use tern_core::device::Signal;

const ASQ: u64 = RAM + 0x1000;
const ACQ: u64 = RAM + 0x2000;
const SQ: u64 = RAM + 0x3000;
const CQ: u64 = RAM + 0x4000;
const DATA: u64 = RAM + 0x1_0000;
const ENTRIES: u32 = 16;

/// A controller and its driver, which waits for each command.
struct Driver {
    bench: Bench,
    nvme: Nvme,
    /// Tail, head and phase, by queue.
    at: [(u32, u32, bool); 2],
    cid: u16,
}

/// Opcode, namespace, PRPs, dwords 10 to 15.
#[derive(Clone, Copy, Default)]
struct Entry {
    op: u8,
    psdt: u8,
    nsid: u32,
    prp: (u64, u64),
    dwords: [u32; 6],
}

impl Entry {
    fn bytes(&self, cid: u16) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[0] = self.op;
        bytes[1] = self.psdt << 6;
        bytes[2..4].copy_from_slice(&cid.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.nsid.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.prp.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.prp.1.to_le_bytes());
        for (n, dword) in self.dwords.iter().enumerate() {
            bytes[40 + 4 * n..44 + 4 * n].copy_from_slice(&dword.to_le_bytes());
        }
        bytes
    }
}

fn build(bench: &mut Bench, more: &[(&str, Value)]) -> Result<Nvme, String> {
    let mut props = find("nvme").unwrap().defaults();
    props.set("serial", Value::Text("foo".into()));
    props.set("drive", Value::Text("drv0".into()));
    for (name, value) in more {
        props.set(name, value.clone());
    }
    let mut backends = BenchBackends::new(bench);
    Nvme::build(bench.kit("nvme"), &mut Wants::new(&props, &mut backends))
}

impl Driver {
    /// A controller that is on, with one pair of I/O queues.
    fn new(more: &[(&str, Value)]) -> Driver {
        let mut bench = Bench::new();
        let nvme = build(&mut bench, more).unwrap();
        let mut d = Driver { bench, nvme, at: [(0, 0, true); 2], cid: 0 };
        d.nvme.write_config(reg::COMMAND, Size::B2, 6);
        d.start();
        d.queues();
        d
    }

    fn start(&mut self) {
        self.at = [(0, 0, true); 2];
        for queue in [ACQ, CQ] {
            self.bench.dma().write(queue, &[0; 16 * ENTRIES as usize]).unwrap();
        }
        self.set(0x24, (ENTRIES - 1) << 16 | (ENTRIES - 1));
        self.nvme.write(0, 0x28, Size::B8, ASQ);
        self.nvme.write(0, 0x30, Size::B8, ACQ);
        self.set(0x14, 0x46_0001);
        assert_eq!(self.get(0x1c), 1);
    }

    /// Creates the I/O queues, with vector 0.
    fn queues(&mut self) {
        let size = (ENTRIES - 1) << 16 | 1;
        let create = Entry { op: 5, prp: (CQ, 0), dwords: [size, 3, 0, 0, 0, 0], ..Entry::default() };
        assert_eq!(self.admin(create), (0, 0));
        let create = Entry { op: 1, prp: (SQ, 0), dwords: [size, 1 << 16 | 1, 0, 0, 0, 0], ..Entry::default() };
        assert_eq!(self.admin(create), (0, 0));
    }

    fn get(&mut self, at: u64) -> u32 {
        self.nvme.read(0, at, Size::B4) as u32
    }

    fn set(&mut self, at: u64, value: u32) {
        self.nvme.write(0, at, Size::B4, u64::from(value));
    }

    fn put(&mut self, queue: usize, entry: Entry) -> u16 {
        self.cid += 1;
        let base = [ASQ, SQ][queue];
        let (tail, ..) = &mut self.at[queue];
        self.bench.dma().write(base + 64 * u64::from(*tail), &entry.bytes(self.cid)).unwrap();
        *tail = (*tail + 1) % ENTRIES;
        let tail = *tail;
        self.set(0x1000 + 8 * queue as u64, tail);
        self.cid
    }

    /// The next completion, if there is one: CID, status and dword 0.
    fn take(&mut self, queue: usize) -> Option<(u16, u16, u32)> {
        let (_, head, phase) = &mut self.at[queue];
        let entry: [u8; 16] = self.bench.dma().array([ACQ, CQ][queue] + 16 * u64::from(*head)).unwrap();
        let status = u16::from_le_bytes([entry[14], entry[15]]);
        if (status & 1 != 0) != *phase {
            return None;
        }
        *head = (*head + 1) % ENTRIES;
        *phase ^= *head == 0;
        let head = *head;
        self.set(0x1004 + 8 * queue as u64, head);
        let dword = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
        Some((u16::from_le_bytes([entry[12], entry[13]]), status >> 1 & 0x7ff, dword))
    }

    fn run(&mut self, queue: usize, entry: Entry) -> (u16, u32) {
        let cid = self.put(queue, entry);
        let (of, status, dword) = self.take(queue).expect("it is complete");
        assert_eq!(of, cid);
        (status, dword)
    }

    fn admin(&mut self, entry: Entry) -> (u16, u32) {
        self.run(0, entry)
    }

    fn io(&mut self, entry: Entry) -> u16 {
        self.run(1, entry).0
    }

    fn identify(&mut self, cns: u32, nsid: u32) -> Vec<u8> {
        let dwords = [cns, 0, 0, 0, 0, 0];
        assert_eq!(self.admin(Entry { op: 6, nsid, prp: (DATA, 0), dwords, ..Entry::default() }), (0, 0));
        self.memory(DATA, 4096)
    }

    fn memory(&self, addr: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.bench.dma().read(addr, &mut bytes).unwrap();
        bytes
    }

    fn fill(&self, addr: u64, bytes: &[u8]) {
        self.bench.dma().write(addr, bytes).unwrap();
    }
}

/// A transfer: opcode, first block, blocks.
fn blocks(op: u8, lba: u32, count: u32, prp: (u64, u64)) -> Entry {
    Entry { op, nsid: 1, prp, dwords: [lba, 0, count - 1, 0, 0, 0], ..Entry::default() }
}

fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|n| (n as u8).wrapping_mul(31).wrapping_add((n >> 8) as u8) ^ seed).collect()
}

#[test]
fn a_driver_finds_controller_and_namespace() {
    let mut d = Driver::new(&[]);
    assert_eq!((d.nvme.read(0, 0, Size::B8) & 0xffff, d.get(8)), (0x7ff, 0x1_0400));
    assert_eq!(d.nvme.read(0, 0, Size::B8) >> 52 & 0xf, 4);
    let id = d.identify(1, 0);
    assert_eq!((&id[..4], &id[4..8], &id[24..38]), (&[0x36, 0x1b, 0xf4, 0x1a][..], &b"foo "[..], &b"QEMU NVMe Ctrl"[..]));
    assert_eq!((id[77], id[512], id[513]), (7, 0x66, 0x44));
    assert_eq!(d.identify(2, 0)[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    let ns = d.identify(0, 1);
    assert_eq!(u64::from_le_bytes(ns[0..8].try_into().unwrap()), 2048);
    assert_eq!((ns[25], ns[26], ns[130], ns[134]), (1, 0, 9, 12));
    assert_eq!(d.identify(0, 7), vec![0; 4096]);
    assert_eq!(d.identify(3, 1)[..5], [4, 1, 0, 0, 0]);
    // Number of queues.
    let dwords = [7, 0x003f_003f, 0, 0, 0, 0];
    assert_eq!(d.admin(Entry { op: 9, dwords, ..Entry::default() }), (0, 0x003f_003f));
    assert_eq!((d.bench.guest_errors(), d.bench.unimplemented()), (0, 0));
}

#[test]
fn data_goes_through_every_kind_of_page_list() {
    let mut d = Driver::new(&[]);
    let list = RAM + 0x8000;
    // Pages in disorder; first page with an offset.
    let pages: Vec<u64> = (0..64).map(|n| DATA + 0x1000 * ((n * 37) % 64)).collect();
    for (first, count, at) in [(0, 1, 0), (0x200, 1, 0), (0, 8, 0), (0xe00, 8, 0), (0, 16, 0), (0x200, 200, 0),
        (0, 256, 0xf80), (0x400, 256, 0xff8), (0x1fc, 100, 0xff0)] {
        let len = 512 * count as usize;
        let mut offset = first;
        let data = pattern(count as u8, len);
        let (mut done, mut used) = (0, vec![]);
        while done < len {
            let page = pages[used.len()];
            let n = (0x1000 - offset).min(len - done);
            d.fill(page + offset as u64, &data[done..done + n]);
            used.push(page);
            (done, offset) = (done + n, 0);
        }
        let prp2 = match &used[1..] {
            [] => 0,
            [one] => *one,
            rest => {
                // The list begins at `at`; where its page ends, the next page has the rest.
                let (mut slot, mut rest) = (list + at, rest);
                while let [page, after @ ..] = rest {
                    if slot & 0xfff == 0xff8 && !after.is_empty() {
                        let next = (slot & !0xfff) + 0x1000;
                        d.fill(slot, &next.to_le_bytes());
                        slot = next;
                    }
                    d.fill(slot, &page.to_le_bytes());
                    (slot, rest) = (slot + 8, after);
                }
                list + at
            }
        };
        let prp = (used[0] + first as u64, prp2);
        assert_eq!(d.io(blocks(1, 100, count, prp)), 0, "{first:#x} {count}");
        let mut found = vec![0; len];
        d.nvme.namespaces[0].read(100 * 512, &mut found).unwrap();
        assert_eq!(found, data, "{first:#x} {count}");
        for page in &used {
            d.fill(*page, &[0; 0x1000]);
        }
        assert_eq!(d.io(blocks(2, 100, count, prp)), 0);
        let mut back = d.memory(used[0] + first as u64, len.min(0x1000 - first));
        used[1..].iter().for_each(|page| back.extend(d.memory(*page, 0x1000)));
        assert_eq!(back[..len], data, "{first:#x} {count}");
        assert_eq!(d.io(blocks(5, 100, count, prp)), 0);
    }
    assert_eq!(d.bench.guest_errors(), 0);
}

#[test]
fn descriptors_reach_data_too() {
    let mut d = Driver::new(&[]);
    let data = pattern(9, 1024);
    d.fill(DATA + 3, &data[..700]);
    d.fill(DATA + 0x1001, &data[700..]);
    let descriptor = |addr: u64, len: u32, kind: u8| {
        let mut bytes = addr.to_le_bytes().to_vec();
        bytes.extend(len.to_le_bytes());
        bytes.extend([0, 0, 0, kind]);
        bytes
    };
    let (first, second) = (RAM + 0x8000, RAM + 0x9000);
    d.fill(first, &[descriptor(DATA + 3, 700, 0), descriptor(second, 16, 0x30)].concat());
    d.fill(second, &descriptor(DATA + 0x1001, 4000, 0));
    let segment = |d: &mut Driver, op, kind, len: u64| {
        let entry = Entry { psdt: 1, ..blocks(op, 5, 2, (first, len | u64::from(kind as u8) << 56)) };
        d.io(entry)
    };
    assert_eq!(segment(&mut d, 1, 0x20, 32), 0);
    let mut found = vec![0; 1024];
    d.nvme.namespaces[0].read(5 * 512, &mut found).unwrap();
    assert_eq!(found, data);
    // A bit bucket drops what is read.
    d.fill(second, &[descriptor(0, 100, 0x10), descriptor(DATA, 4000, 0)].concat());
    d.fill(first, &[descriptor(DATA + 0x2000, 700, 0), descriptor(second, 32, 0x30)].concat());
    assert_eq!(segment(&mut d, 2, 0x20, 32), 0);
    assert_eq!((d.memory(DATA + 0x2000, 700), d.memory(DATA, 224)), (data[..700].to_vec(), data[800..].to_vec()));
    // Too short; a segment that goes on to itself; one that is not whole; an unknown type.
    d.fill(second, &descriptor(DATA, 10, 0));
    d.fill(first, &[descriptor(DATA, 10, 0), descriptor(second, 16, 0x30)].concat());
    assert_eq!(segment(&mut d, 2, 0x20, 32), 0x0f);
    d.fill(first, &descriptor(first, 16, 0x20));
    assert_eq!(segment(&mut d, 2, 0x20, 16), 0x0e);
    assert_eq!(segment(&mut d, 2, 0x20, 17), 0x0d);
    d.fill(first, &descriptor(first, 16, 0x40));
    assert_eq!(segment(&mut d, 2, 0x30, 16), 0x11);
}

#[test]
fn other_commands_do_what_they_say() {
    let mut d = Driver::new(&[]);
    let data = pattern(1, 4096);
    d.fill(DATA, &data);
    assert_eq!(d.io(blocks(1, 0, 8, (DATA, 0))), 0);
    assert_eq!(d.io(Entry { nsid: u32::MAX, ..blocks(0, 0, 1, (0, 0)) }), 0);
    assert_eq!((d.io(blocks(8, 2, 2, (0, 0))), d.io(blocks(0xc, 0, 8, (0, 0)))), (0, 0));
    assert_eq!(d.io(blocks(5, 0, 8, (DATA, 0))), 0x285);
    // Copy blocks 6 and 7, and 0, to 2 and on.
    let range = |lba: u64, count: u16| [&[0; 8][..], &lba.to_le_bytes(), &(count - 1).to_le_bytes(), &[0; 14]].concat();
    d.fill(DATA + 0x1000, &[range(6, 2), range(0, 1)].concat());
    let copy = Entry { op: 0x19, nsid: 1, prp: (DATA + 0x1000, 0), dwords: [2, 0, 1, 0, 0, 0], ..Entry::default() };
    assert_eq!(d.io(copy), 0);
    assert_eq!(d.io(blocks(2, 2, 3, (DATA, 0))), 0);
    assert_eq!(d.memory(DATA, 1536), [&data[3072..], &data[..512]].concat());
    // Deallocate one good range, one beyond the end.
    let dsm = |d: &mut Driver, lba: u64| {
        d.fill(DATA, &[&[0; 4][..], &8u32.to_le_bytes(), &lba.to_le_bytes()].concat());
        d.io(Entry { op: 9, nsid: 1, prp: (DATA, 0), dwords: [0, 4, 0, 0, 0, 0], ..Entry::default() })
    };
    assert_eq!((dsm(&mut d, 16), dsm(&mut d, 2041)), (0, 0x80));
    // Formatted with large blocks, all is zero.
    let format = |format| Entry { op: 0x80, nsid: 1, dwords: [format, 0, 0, 0, 0, 0], ..Entry::default() };
    assert_eq!((d.admin(format(2)).0, d.admin(format(1)).0), (0x10a, 0));
    assert_eq!(d.identify(0, 1)[..2], [0, 1]);
    assert_eq!((d.io(blocks(2, 0, 1, (DATA, 0))), d.memory(DATA, 4096)), (0, vec![0; 4096]));
}

#[test]
fn bad_commands_fail_and_are_logged() {
    let mut d = Driver::new(&[]);
    assert_eq!(d.io(blocks(2, 2047, 2, (DATA, DATA))), 0x80);
    assert_eq!(d.io(blocks(2, 0, 2000, (DATA, DATA))), 0x02);
    assert_eq!(d.io(blocks(2, 0, 1, (DATA + 1, 0))), 0x13);
    assert_eq!(d.io(blocks(2, 0, 9, (DATA, DATA + 0x1004))), 0x13);
    assert_eq!(d.io(blocks(2, 0, 1, (0x1000, 0))), 0x04);
    assert_eq!(d.io(blocks(0x77, 0, 1, (DATA, 0))), 0x01);
    assert_eq!(d.io(Entry { nsid: 0, ..blocks(2, 0, 1, (DATA, 0)) }), 0x0b);
    assert_eq!(d.io(Entry { nsid: 2, ..blocks(2, 0, 1, (DATA, 0)) }), 0x02);
    let size = (ENTRIES - 1) << 16;
    for (op, dwords, status) in [
        (5, [size | 1, 3, 0, 0, 0, 0], 0x101),
        (5, [size, 3, 0, 0, 0, 0], 0x101),
        (5, [size | 65, 3, 0, 0, 0, 0], 0x101),
        (5, [2, 3, 0, 0, 0, 0], 0x102),
        (5, [0x800 << 16 | 2, 3, 0, 0, 0, 0], 0x102),
        (5, [size | 2, 2, 0, 0, 0, 0], 0x02),
        (5, [size | 2, 1 << 16 | 3, 0, 0, 0, 0], 0x108),
        (1, [size | 2, 2 << 16 | 1, 0, 0, 0, 0], 0x100),
        (4, [1, 0, 0, 0, 0, 0], 0x10c),
        (0, [2, 0, 0, 0, 0, 0], 0x101),
        (2, [0x77, 0, 0, 0, 0, 0], 0x109),
        (6, [0x77, 0, 0, 0, 0, 0], 0x02),
        (9, [0x77, 0, 0, 0, 0, 0], 0x02),
        (9, [0x8000_0001, 0, 0, 0, 0, 0], 0x10d),
        (0x81, [0; 6], 0x01),
    ] {
        let entry = Entry { op, prp: (CQ, 0), dwords, ..Entry::default() };
        assert_eq!(d.admin(entry).0, status, "{op:#x} {dwords:x?}");
    }
    // The newest of the error log, and the count in that of health.
    let log = |d: &mut Driver, page: u32, dwords: u32| {
        let dwords = [(dwords - 1) << 16 | page, 0, 0, 0, 0, 0];
        assert_eq!(d.admin(Entry { op: 2, nsid: u32::MAX, prp: (DATA, 0), dwords, ..Entry::default() }).0, 0);
        d.memory(DATA, 4096)
    };
    let errors = log(&mut d, 1, 256);
    assert_eq!((errors[0], errors[12], errors[64]), (23, 0x02, 22));
    assert_eq!(log(&mut d, 2, 128)[32 + 16 * 9], 23);
    assert_eq!(log(&mut d, 5, 1024)[1024 + 4], 3);
}

#[test]
fn interrupts_come_by_pin_or_message() {
    let mut d = Driver::new(&[]);
    let id = d.put(1, blocks(2, 0, 1, (DATA, 0)));
    assert_eq!(d.nvme.config().intx(), Some(0));
    d.set(0x0c, 1);
    assert_eq!(d.nvme.config().intx(), None);
    d.set(0x10, 1);
    assert_eq!(d.nvme.config().intx(), Some(0));
    assert_eq!(d.take(1), Some((id, 0, 0)));
    assert_eq!(d.nvme.config().intx(), None);
    // MSI-X: vector 0 is message 0x55.
    let table = d.nvme.layout.table;
    for (at, value) in [(0, 0x2800_0000u32), (4, 0), (8, 0x55), (12, 0)] {
        d.set(table + at, value);
    }
    let mut at = usize::from(d.nvme.config().byte_at(reg::CAPABILITIES));
    while d.nvme.config().byte_at(at) != 0x11 {
        at = usize::from(d.nvme.config().byte_at(at + 1));
    }
    d.nvme.write_config(at + 2, Size::B2, 0x8000);
    d.bench.signals();
    assert_eq!(d.io(blocks(2, 0, 1, (DATA, 0))), 0);
    assert_eq!(d.bench.signals(), [Signal::Message { addr: 0x2800_0000, data: 0x55 }]);
    assert_eq!(d.nvme.config().intx(), None);
}

#[test]
fn events_are_told_once() {
    let mut d = Driver::new(&[]);
    let dwords = [0x0b, 0x1ff, 0, 0, 0, 0];
    assert_eq!(d.admin(Entry { op: 9, dwords, ..Entry::default() }), (0, 0));
    let request = Entry { op: 0x0c, ..Entry::default() };
    let waiting: Vec<u16> = (0..4).map(|_| d.put(0, request)).collect();
    assert_eq!(d.take(0), None);
    assert_eq!(d.admin(request).0, 0x105);
    // A doorbell of no queue.
    d.set(0x1000 + 8 * 5, 1);
    assert_eq!(d.take(0), Some((waiting[0], 0, 0x1_0000)));
    d.set(0x1000 + 8 * 5, 1);
    assert_eq!((d.take(0), d.bench.guest_errors()), (None, 2));
    // An abort of a request, and one of nothing.
    let abort = |cid: u16| Entry { op: 8, dwords: [u32::from(cid) << 16, 0, 0, 0, 0, 0], ..Entry::default() };
    assert_eq!((d.admin(abort(waiting[1])), d.take(0)), ((0, 0), Some((waiting[1], 7, 0))));
    assert_eq!(d.admin(abort(77)), (0, 1));
    // A namespace appears and goes again.
    let mut backends = BenchBackends::new(&d.bench);
    let mut props = find("nvme-ns").unwrap().defaults();
    props.set("drive", Value::Text("x".into()));
    props.set("uuid", Value::Text("00112233-4455-6677-8899-aabbccddeeff".into()));
    let child = Child::new(Namespace::child(&mut Wants::new(&props, &mut backends)).unwrap());
    assert_eq!(d.nvme.plug(&props, child), Ok(2));
    assert_eq!(d.take(0), Some((waiting[2], 0, 0x04_0002)));
    assert_eq!(d.identify(3, 2)[..6], [3, 16, 0, 0, 0x00, 0x11]);
    let dwords = [1023 << 16 | 4, 0, 0, 0, 0, 0];
    assert_eq!(d.admin(Entry { op: 2, prp: (DATA, 0), dwords, ..Entry::default() }).0, 0);
    assert_eq!(d.memory(DATA, 8), [2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((d.nvme.unplug(2), d.nvme.unplug(2).is_err()), (Ok(()), true));
    assert_eq!(d.take(0), Some((waiting[3], 0, 0x04_0002)));
    props.set("nsid", Value::Number(1));
    let child = Child::new(Namespace::child(&mut Wants::new(&props, &mut backends)).unwrap());
    assert!(d.nvme.plug(&props, child).is_err());
}

#[test]
fn reset_and_shutdown_are_seen() {
    let mut d = Driver::new(&[]);
    d.set(0x14, 0x46_4001);
    assert_eq!(d.get(0x1c), 1 | 2 << 2);
    d.set(0x14, 0x46_0000);
    assert_eq!((d.get(0x1c), d.get(0x24)), (0, 0x000f_000f));
    d.start();
    d.queues();
    assert_eq!(d.io(blocks(2, 0, 1, (DATA, 0))), 0);
    // Queues that no controller has.
    d.set(0x14, 0);
    d.set(0x24, 0);
    d.set(0x14, 1);
    assert_eq!(d.get(0x1c), 2);
}

#[test]
fn full_queues_wait_and_bad_rings_stop() {
    let mut d = Driver::new(&[]);
    // 15 commands fit; their completions too; the next ones wait until the host takes some.
    for n in 0..15 {
        d.fill(SQ + 64 * n, &blocks(2, n as u32, 1, (DATA, 0)).bytes(n as u16));
    }
    d.set(0x1008, 15);
    d.set(0x1008, 5);
    assert_eq!(d.nvme.submissions[1].map(|q| q.head), Some(15));
    for n in 0..15 {
        assert_eq!(d.take(1).map(|(cid, ..)| cid), Some(n));
    }
    assert_eq!(d.nvme.submissions[1].map(|q| q.head), Some(5));
    // A head that is ahead of the tail is refused.
    let errors = d.bench.guest_errors();
    d.set(0x100c, 14);
    d.set(0x1008, ENTRIES);
    assert_eq!(d.bench.guest_errors(), errors + 2);
    // A completion queue in no memory: fatal.
    let create = Entry { op: 5, prp: (0x1000, 0), dwords: [15 << 16 | 2, 1, 0, 0, 0, 0], ..Entry::default() };
    assert_eq!(d.admin(create).0, 0);
    let create = Entry { op: 1, prp: (0x2000, 0), dwords: [15 << 16 | 2, 2 << 16 | 1, 0, 0, 0, 0], ..Entry::default() };
    assert_eq!(d.admin(create).0, 0);
    d.set(0x1010, 1);
    assert_eq!(d.get(0x1c), 3);
}

#[test]
fn a_large_queue_is_served_in_portions() {
    let mut d = Driver::new(&[]);
    let size = 255 << 16 | 2;
    let (sq, cq) = (RAM + 0x4_0000, RAM + 0x5_0000);
    let create = Entry { op: 5, prp: (cq, 0), dwords: [size, 1, 0, 0, 0, 0], ..Entry::default() };
    assert_eq!(d.admin(create).0, 0);
    let create = Entry { op: 1, prp: (sq, 0), dwords: [size, 2 << 16 | 1, 0, 0, 0, 0], ..Entry::default() };
    assert_eq!(d.admin(create).0, 0);
    for n in 0..200 {
        d.fill(sq + 64 * n, &blocks(2, n as u32, 1, (DATA, 0)).bytes(n as u16));
    }
    d.set(0x1010, 200);
    assert_eq!(d.nvme.submissions[2].map(|q| q.head), Some(64));
    for head in [128, 192, 200] {
        let due = d.bench.queue.pop(u64::MAX).expect("the rest is due");
        d.bench.queue.set_now(due.at);
        d.nvme.event(due.token);
        assert_eq!(d.nvme.submissions[2].map(|q| q.head), Some(head));
    }
    assert_eq!(d.bench.queue.pop(u64::MAX).map(|due| due.at), None);
}

#[test]
fn its_own_memories_hold_queues_and_data() {
    let mut d = Driver::new(&[("cmb_size_mb", Value::Number(2)), ("pmrdev", Value::Text("pmr0".into()))]);
    // Behind the base address, bytes are bytes.
    d.nvme.write(BAR_CMB, 0, Size::B4, 0xccbb_aa99);
    assert_eq!((d.nvme.read(BAR_CMB, 0, Size::B1), d.nvme.read(BAR_CMB, 0, Size::B2)), (0x99, 0xaa99));
    d.nvme.write(BAR_CMB, (2 << 20) - 1, Size::B1, 0x11);
    assert_eq!(d.nvme.read(BAR_CMB, (2 << 20) - 1, Size::B1), 0x11);
    d.nvme.write(BAR_CMB, (2 << 20) - 1, Size::B4, 0x4433_2211);
    assert_eq!(d.bench.guest_errors(), 1);
    // Commands name it once it has an address.
    let (base, pmr) = (0x40_0000_0000, 0x50_0000_0000);
    assert_eq!((d.get(0x3c), d.io(blocks(2, 0, 1, (base, 0)))), (0, 4));
    d.nvme.write(0, 0x50, Size::B8, base | 3);
    assert_eq!((d.get(0x38), d.get(0x3c)), (2, 2 << 12 | 2 << 8 | 0x1f));
    for n in 0..64 {
        d.nvme.write(BAR_CMB, 8 * n, Size::B8, n * 3);
    }
    assert_eq!(d.io(blocks(1, 7, 1, (base, 0))), 0);
    let mut found = [0; 512];
    d.nvme.namespaces[0].read(7 * 512, &mut found).unwrap();
    assert_eq!((found[8], found[504]), (3, 189));
    // The persistent region: off, on, and named by commands.
    let region = |d: &mut Driver| d.nvme.read(BAR_PMR, 0, Size::B4);
    d.nvme.write(BAR_PMR, 0, Size::B4, 0x4433_2211);
    assert_eq!((region(&mut d), d.get(0xe08)), (0, 0x100));
    d.set(0xe04, 1);
    d.nvme.write(BAR_PMR, 0, Size::B4, 0x4433_2211);
    assert_eq!((region(&mut d), d.get(0xe08)), (0x4433_2211, 0));
    d.set(0xe18, (pmr >> 32) as u32);
    d.set(0xe14, 2);
    assert_eq!(d.io(blocks(2, 7, 1, (pmr, 0))), 0);
    assert_eq!(d.nvme.read(BAR_PMR, 8, Size::B4), 3);
    d.set(0xe04, 0);
    assert_eq!((region(&mut d), d.io(blocks(2, 7, 1, (pmr, 0)))), (0, 4));
    // An address that wraps is none.
    d.nvme.write(0, 0x50, Size::B8, !0xfff | 3);
    assert_eq!((d.get(0x58), d.io(blocks(2, 7, 1, (base, 0)))), (1, 4));
}

#[test]
fn random_commands_end() {
    let mut random = 88_172_645_463_325_252u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for _ in 0..30 {
        let mut d = Driver::new(&[("cmb_size_mb", Value::Number(1))]);
        for _ in 0..300 {
            let mut entry = [0; 64];
            entry.as_chunks_mut::<8>().0.iter_mut().for_each(|word| *word = next().to_le_bytes());
            let queue = (next() % 2) as usize;
            entry[0] = if queue == 1 { (next() % 0x1a) as u8 } else { [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 128][(next() % 11) as usize] };
            entry[1] &= 0xc0;
            entry[4..8].copy_from_slice(&((next() % 3) as u32).to_le_bytes());
            for at in [24, 32] {
                entry[at..at + 8].copy_from_slice(&((RAM + next() % (1 << 20)) & !(next() % 0x1000)).to_le_bytes());
            }
            for at in [40, 44, 48] {
                let mask = [0xff, 0xffff, 0xffff_ffff][(next() % 3) as usize];
                entry[at..at + 4].copy_from_slice(&((next() & mask) as u32).to_le_bytes());
            }
            let (tail, ..) = d.at[queue];
            d.fill([ASQ, SQ][queue] + 64 * u64::from(tail), &entry);
            d.at[queue].0 = (tail + 1) % ENTRIES;
            d.set(0x1000 + 8 * queue as u64, (tail + 1) % ENTRIES);
            let _ = (d.take(0), d.take(1));
        }
    }
}
