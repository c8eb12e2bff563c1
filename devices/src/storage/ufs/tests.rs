//! A driver's view of the controller, and a bad driver's.

use super::*;
use crate::bench::{Bench, BenchBackends, RAM};
use crate::model::{Value, find};
use crate::pci::config::reg;

const LIST: u64 = RAM + 0x400;
const TASKS: u64 = RAM + 0x800;
const UCD: u64 = RAM + 0x2000;
const SQ: u64 = RAM + 0x3000;
const CQ: u64 = RAM + 0x4000;
const DATA: u64 = RAM + 0x1_0000;
/// Offsets of answer and table in a command descriptor.
const ANSWER: u64 = 1024;
const TABLE: u64 = 2048;

struct Driver {
    bench: Bench,
    ufs: Ufs,
    mcq: bool,
    tail: u32,
}

impl Driver {
    fn new(mcq: bool) -> Driver {
        let mut bench = Bench::new();
        let mut props = find(NAME).unwrap().defaults();
        props.set("mcq", Value::Bool(mcq));
        let mut backends = BenchBackends::new(&bench);
        let mut ufs = Ufs::build(bench.kit(NAME), &mut Wants::new(&props, &mut backends)).unwrap();
        for lun in [1, 0] {
            let mut props = find("ufs-lu").unwrap().defaults();
            props.set("lun", Value::Number(lun));
            assert_eq!(ufs.plug(&props, Child::new(Logical::new(bench.disk(1 << 20)))), Ok(lun as u32));
            assert!(ufs.plug(&props, Child::new(Logical::new(bench.disk(1 << 20)))).is_err());
        }
        ufs.write_config(reg::COMMAND, Size::B2, 6);
        let mut d = Driver { bench, ufs, mcq, tail: 0 };
        d.start();
        d
    }

    fn start(&mut self) {
        self.set(0x34, 1);
        assert_eq!((self.get(0x34), self.get(0x30)), (1, 8));
        self.set(0x24, u32::MAX);
        self.set(0x90, 0x16);
        assert_eq!((self.take(), self.get(0x98), self.get(0x30)), (1 << 10, 0, 0xf));
        self.set(0x50, LIST as u32);
        self.set(0x70, TASKS as u32);
        self.set(0x60, 1);
        self.set(0x80, 1);
        if self.mcq {
            self.set(0x404, SQ as u32);
            self.set(0x424, CQ as u32);
            // 32 entries of 8 words.
            self.set(0x420, 1 << 31 | 255);
            self.set(0x400, 1 << 31 | 255);
        }
    }

    fn get(&mut self, at: u64) -> u32 {
        self.ufs.read(0, at, Size::B4) as u32
    }

    fn set(&mut self, at: u64, value: u32) {
        self.ufs.write(0, at, Size::B4, u64::from(value));
    }

    /// Takes the interrupts.
    fn take(&mut self) -> u32 {
        let status = self.get(0x20);
        assert_eq!(self.ufs.config().intx().is_some(), status != 0);
        self.set(0x20, status);
        status
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        self.bench.dma().write(at, bytes).unwrap();
    }

    fn memory(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.bench.dma().read(at, &mut bytes).unwrap();
        bytes
    }

    fn descriptor(base: u64, entries: u16) -> [u8; 32] {
        let mut descriptor = [0; 32];
        descriptor[3] = 0x11;
        descriptor[8] = 0xf;
        descriptor[16..24].copy_from_slice(&base.to_le_bytes());
        descriptor[24..26].copy_from_slice(&72u16.to_le_bytes());
        descriptor[26..28].copy_from_slice(&(ANSWER as u16 / 4).to_le_bytes());
        descriptor[28..30].copy_from_slice(&entries.to_le_bytes());
        descriptor[30..32].copy_from_slice(&(TABLE as u16 / 4).to_le_bytes());
        descriptor
    }

    /// Sends a UPIU, and returns the overall status and the answer.
    fn send(&mut self, upiu: &[u8; 32], entries: u16) -> (u8, Vec<u8>) {
        self.put(UCD, upiu);
        self.put(UCD + ANSWER, &[0; 288]);
        let descriptor = Driver::descriptor(UCD, entries);
        if self.mcq {
            self.put(SQ + u64::from(self.tail), &descriptor);
            let at = CQ + u64::from(self.tail);
            self.tail = (self.tail + 32) % 1024;
            self.set(0x1004, self.tail);
            assert_eq!((self.take(), self.get(0x1020)), (1 << 20, self.tail));
            let entry = self.memory(at, 32);
            assert_eq!(entry[..8], UCD.to_le_bytes());
            self.set(0x101c, self.tail);
            return (entry[16], self.memory(UCD + ANSWER, 288));
        }
        self.put(LIST + 32 * 3, &descriptor);
        self.set(0x58, 8);
        assert_eq!((self.take(), self.get(0x58), self.get(0x64)), (1, 0, 8));
        self.set(0x64, 8);
        (self.memory(LIST + 32 * 3 + 8, 1)[0], self.memory(UCD + ANSWER, 288))
    }

    fn query(&mut self, function: u8, opcode: u8, idn: u8, index: u8, value: u32) -> (u8, u8, Vec<u8>) {
        let mut upiu = [0; 32];
        (upiu[0], upiu[3], upiu[5]) = (0x16, 3, function);
        upiu[12..15].copy_from_slice(&[opcode, idn, index]);
        upiu[18..20].copy_from_slice(&255u16.to_be_bytes());
        upiu[20..24].copy_from_slice(&value.to_be_bytes());
        let (status, answer) = self.send(&upiu, 0);
        assert_eq!((answer[0], answer[3], answer[12], answer[13]), (0x36, 3, opcode, idn));
        (status, answer[6], answer)
    }

    /// A command with its data in two pieces; status and sense key.
    fn command(&mut self, lun: u8, cdb: &[u8], write: &[u8], read: usize) -> (u8, u8, Vec<u8>) {
        let len = write.len().max(read);
        let mut upiu = [0; 32];
        (upiu[0], upiu[2], upiu[3]) = (1, lun, 5);
        upiu[1] = if read > 0 { 0x40 } else { u8::from(!write.is_empty()) << 5 };
        upiu[12..16].copy_from_slice(&(len as u32).to_be_bytes());
        upiu[16..16 + cdb.len()].copy_from_slice(cdb);
        let first = len.min(512);
        for (n, (at, len)) in [(DATA, first), (DATA + 0x2000, len - first)].into_iter().enumerate() {
            let mut entry = [0; 16];
            entry[..8].copy_from_slice(&at.to_le_bytes());
            entry[12..].copy_from_slice(&(len.max(1) as u32 - 1).to_le_bytes());
            self.put(UCD + TABLE + 16 * n as u64, &entry);
        }
        self.put(DATA, &write[..write.len().min(first)]);
        self.put(DATA + 0x2000, &write[write.len().min(first)..]);
        let entries = u16::from(len > 0) + u16::from(len > first);
        let (status, answer) = self.send(&upiu, entries);
        assert_eq!((status, answer[0]), (0, 0x21));
        let data = [self.memory(DATA, first), self.memory(DATA + 0x2000, read.saturating_sub(first))].concat();
        (answer[7], answer[36], data)
    }
}

#[test]
fn a_driver_starts_it_and_asks() {
    for mcq in [false, true] {
        let mut d = Driver::new(mcq);
        assert_eq!(d.get(0) & 0x4107_001f, 0x0107_001f | u32::from(mcq) << 30);
        let (status, answer) = d.send(&[0; 32], 0);
        assert_eq!((status, answer[0]), (0, 0x20));
        // Initialization; flags; attributes.
        assert_eq!(d.query(0x81, 6, 1, 0, 0).0, 0);
        assert_eq!(d.query(1, 5, 1, 0, 0).2[20..24], [0; 4]);
        for (opcode, value) in [(6, 1), (7, 0), (8, 1), (8, 0)] {
            assert_eq!(d.query(0x81, opcode, 5, 0, 0).2[23], value);
        }
        assert_eq!(d.query(1, 5, 6, 0, 0).1, 0xf6);
        assert_eq!(d.query(0x81, 6, 9, 0, 0).1, 0xf7);
        assert_eq!((d.query(0x81, 4, 3, 0, 3).1, d.query(1, 3, 3, 0, 0).2[23]), (0, 3));
        assert_eq!((d.query(0x81, 4, 3, 0, 0x10).1, d.query(1, 3, 3, 0, 0).2[23]), (0xfa, 3));
        assert_eq!((d.query(1, 3, 0xf, 0, 0).1, d.query(0x81, 4, 2, 0, 1).1), (0xf6, 0xf7));
        assert_eq!((d.query(1, 3, 0x19, 0, 0).2[23], d.query(1, 3, 0x18, 0, 0).2[23]), (160, 0));
        // Descriptors say how long they are.
        for (idn, index, len) in [
            (0, 0, 0x59), (2, 0, 0x2d), (2, 1, 0x2d), (2, 0xc4, 0x23), (4, 0, 6), (5, 0, 0x12), (5, 1, 0x22),
            (5, 4, 0x0a), (7, 0, 0x57), (8, 0, 0x62), (9, 0, 0x2d),
        ] {
            let (status, result, answer) = d.query(1, 1, idn, index, 0);
            assert_eq!((status, result, answer[32], answer[33], answer[19]), (0, 0, len, idn, len), "{idn} {index}");
        }
        assert_eq!((d.query(1, 1, 2, 4, 0).1, d.query(1, 1, 5, 5, 0).1, d.query(1, 1, 1, 0, 0).1), (0xfc, 0xfc, 0xfd));
        assert_eq!((d.query(1, 9, 0, 0, 0).1, d.query(7, 1, 0, 0, 0).1), (0xfe, 0xff));
        assert_eq!(d.bench.guest_errors(), 0);
    }
}

#[test]
fn blocks_are_written_and_read() {
    for mcq in [false, true] {
        let mut d = Driver::new(mcq);
        let (status, _, luns) = d.command(0, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 16, 0], &[], 4096);
        assert_eq!((status, luns[3], luns[9], luns[17]), (0, 16, 0, 1));
        // The attention comes once.
        assert_eq!(d.command(1, &[3], &[], 0).0, 2);
        assert_eq!(d.command(1, &[0], &[], 0).0, 0);
        let capacity = d.command(1, &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0], &[], 4096).2;
        assert_eq!(capacity[..12], [0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 16, 0]);
        let data: Vec<u8> = (0..4096).map(|n| (n * 3 + (n >> 8)) as u8).collect();
        assert_eq!(d.command(1, &[0x2a, 0, 0, 0, 0, 9, 0, 0, 1], &data, 0).0, 0);
        assert_eq!(d.command(1, &[0x28, 0, 0, 0, 0, 9, 0, 0, 1], &[], 4096).2, data);
        assert_eq!(d.command(1, &[0x2f, 2, 0, 0, 0, 9, 0, 0, 1], &data, 0).0, 0);
        assert_eq!(d.command(1, &[0x2f, 2, 0, 0, 0, 8, 0, 0, 1], &data, 0).0, 2);
        assert_eq!(d.command(1, &[0x35], &[], 0).0, 0);
        let inquiry = d.command(1, &[0x12, 0, 0, 0, 36], &[], 36).2;
        assert_eq!((inquiry[0], &inquiry[8..24]), (0, &b"QEMU    QEMU UFS"[..]));
        assert_eq!(d.command(0xd0, &[0x12, 0, 0, 0, 36], &[], 36).2[0], 0x1e);
        // The cache is turned off.
        let page = d.command(1, &[0x5a, 8, 8, 0, 0, 0, 0, 0, 64], &[], 64).2;
        assert_eq!((page[8], page[10]), (8, 4));
        let off = [&[0; 8][..], &[8, 18], &[0; 18]].concat();
        assert_eq!(d.command(1, &[0x55, 0x10, 0, 0, 0, 0, 0, 0, 28], &off, 0).0, 0);
        assert_eq!(d.command(1, &[0x5a, 8, 8, 0, 0, 0, 0, 0, 64], &[], 64).2[10], 0);
        // Unmapped, and beyond the end.
        let unmap = |lba: u8| [&[0, 22, 0, 16, 0, 0, 0, 0][..], &[0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, 4, 0, 0, 0, 0]].concat();
        assert_eq!(d.command(1, &[0x42, 0, 0, 0, 0, 0, 0, 0, 24], &unmap(9), 0).0, 0);
        assert_eq!(d.command(1, &[0x42, 0, 0, 0, 0, 0, 0, 0, 24], &unmap(253), 0).0, 2);
        assert_eq!(d.command(1, &[0x28, 0, 0, 0, 0, 255, 0, 0, 2], &[], 4096).0, 2);
        assert_eq!((d.command(7, &[0], &[], 0).0, d.command(1, &[0xff], &[], 0).0), (2, 2));
    }
}

#[test]
fn full_completion_queues_wait() {
    let mut d = Driver::new(true);
    d.put(UCD, &[0; 32]);
    for n in 0..32 {
        d.put(SQ + 32 * n, &Driver::descriptor(UCD, 0));
    }
    d.set(0x1004, 31 * 32);
    while let Some(due) = d.bench.queue.pop(u64::MAX) {
        d.bench.queue.set_now(due.at);
        d.ufs.event(due.token);
    }
    d.set(0x1004, 0);
    assert_eq!((d.get(0x1000), d.get(0x1020)), (31 * 32, 31 * 32));
    d.set(0x101c, 31 * 32);
    assert_eq!((d.get(0x1000), d.get(0x1020)), (0, 0));
    // A stopped queue stands still.
    d.set(0x1008, 1);
    d.set(0x1004, 32);
    assert_eq!((d.get(0x1010), d.get(0x1000)), (1, 0));
    d.set(0x1008, 0);
    assert_eq!(d.get(0x1000), 32);
    // Pointers that are none; a queue that there is not.
    let errors = d.bench.guest_errors();
    d.set(0x1004, 33);
    d.set(0x101c, 1024);
    d.set(0x404 + 0x40 * 5, 1);
    assert_eq!(d.bench.guest_errors(), errors + 3);
}

#[test]
fn tasks_links_and_lost_memory() {
    let mut d = Driver::new(false);
    d.command(0, &[0], &[], 0);
    let mut task = [0; 80];
    (task[16], task[18], task[21]) = (4, 0, 8);
    d.put(TASKS + 80, &task);
    d.set(0x78, 2);
    assert_eq!(d.take(), 1 << 9);
    let answer = d.memory(TASKS + 80, 80);
    assert_eq!((answer[48], answer[63], d.command(0, &[0], &[], 0).0), (0x24, 0, 2));
    // Attributes of the link; a change of the power mode is heard of.
    d.set(0x94, 0x1581 << 16);
    d.set(0x90, 1);
    assert_eq!((d.take(), d.get(0x98), d.get(0x9c)), (1 << 10, 0, 2));
    d.set(0x94, 0x1571 << 16);
    d.set(0x9c, 0x11);
    d.set(0x90, 2);
    assert_eq!((d.take(), d.get(0x30)), (1 << 10 | 1 << 4, 0x10f));
    d.set(0x94, 0x7777 << 16);
    d.set(0x90, 1);
    assert_eq!((d.take(), d.get(0x98)), (1 << 10, 1));
    // Lists, UPIUs and data in no memory.
    d.put(LIST, &Driver::descriptor(0x1000, 0));
    d.set(0x58, 1);
    assert_eq!((d.take(), d.memory(LIST + 8, 1)), (1, vec![7]));
    d.set(0x64, 1);
    let mut upiu = [0; 32];
    (upiu[0], upiu[1], upiu[15], upiu[16], upiu[24]) = (1, 0x20, 0xff, 0x2a, 1);
    d.put(UCD + TABLE, &[0; 16]);
    assert_eq!(d.send(&upiu, 1).0, 2);
    d.set(0x50, 0x1000);
    d.set(0x58, 1);
    assert_eq!(d.take(), 1 << 17);
    // Off, and on again.
    d.set(0x34, 0);
    assert_eq!((d.get(0x30), d.get(0x50)), (0, 0));
    d.start();
    assert_eq!(d.send(&[0; 32], 0).0, 0);
}
