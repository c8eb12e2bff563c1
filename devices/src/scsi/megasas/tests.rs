//! Tests of the MegaRAID controllers, as their driver uses them.

use super::*;
use crate::bench::{Bench, MemoryDisk, RAM};
use crate::scsi::Unit;
use crate::scsi::disk::{self, Disk};
use tern_core::device::{Dma, Signal};

/// Where the driver keeps its frame, its buffers, the queues' description, the queue, its indices, and sense data.
const FRAME_AT: u64 = RAM + 0x1000;
const BUFFER: u64 = RAM + 0x2000;
const QUEUES: u64 = RAM + 0x1_0000;
const REPLIES: u64 = RAM + 0x1_1000;
const PRODUCER: u64 = RAM + 0x1_2000;
const SENSE: u64 = RAM + 0x1_3000;

fn unit() -> Box<dyn Unit> {
    let bytes = (0..1 << 18).map(|n| (n / 512 + n) as u8).collect();
    Box::new(Disk::new(Some(Box::new(MemoryDisk { bytes, read_only: false })), disk::Config::default()))
}

/// A driver and its controller.
struct Driver {
    bench: Bench,
    hba: Megasas,
    dma: Dma,
    seen: u32,
}

impl Driver {
    fn new(kind: &'static Kind, jbod: bool, targets: &[i32]) -> Driver {
        let mut bench = Bench::new();
        let setup = Setup {
            kind,
            max_sge: 80,
            max_cmds: 8,
            serial: "S".into(),
            sas_address: 1,
            jbod,
            msi: true,
            msix: true,
            epoch: 951_827_696,
        };
        let mut hba = Megasas::new(bench.kit(kind.name), setup);
        for target in targets {
            hba.bus.add(unit(), 0, *target, 0).unwrap();
        }
        hba.bus.clear_attentions();
        hba.write_config(4, Size::B2, 7);
        let dma = bench.dma();
        Driver { bench, hba, dma, seen: 0 }
    }

    fn set(&mut self, at: u64, value: u64) {
        self.hba.write(self.hba.setup.kind.memory_bar, at, Size::B4, value);
    }

    fn get(&mut self, at: u64) -> u64 {
        self.hba.read(self.hba.setup.kind.memory_bar, at, Size::B4)
    }

    /// Sends a frame; its status.
    fn send(&mut self, frame: &[(usize, &[u8])]) -> u8 {
        self.send_at(FRAME_AT, frame)
    }

    fn send_at(&mut self, addr: u64, frame: &[(usize, &[u8])]) -> u8 {
        let mut bytes = [0; 128];
        bytes[2] = 0xff;
        for (at, field) in frame {
            bytes[*at..at + field.len()].copy_from_slice(field);
        }
        self.dma.write(addr, &bytes).unwrap();
        self.set(0x40, addr | 1);
        self.status(addr)
    }

    fn status(&self, addr: u64) -> u8 {
        self.dma.array::<3>(addr).unwrap()[2]
    }

    /// INIT, with a queue of 8 replies.
    fn start(&mut self) {
        let mut info = Vec::new();
        for field in [0, 8, REPLIES as u32, 0, PRODUCER as u32, 0, PRODUCER as u32 + 4, 0] {
            info.extend(field.to_le_bytes());
        }
        self.dma.write(QUEUES, &info).unwrap();
        assert_eq!(self.send(&[(16, &[1, 0]), (24, &(QUEUES as u32).to_le_bytes())]), 0);
        assert_eq!(self.get(0xb0) & 0xf000_0000, u64::from(firmware::OPERATIONAL));
    }

    /// The contexts that have come back.
    fn replies(&mut self) -> Vec<u32> {
        let head = u32::from_le_bytes(self.dma.array(PRODUCER).unwrap());
        let mut list = Vec::new();
        while self.seen != head {
            list.push(u32::from_le_bytes(self.dma.array(REPLIES + 4 * u64::from(self.seen)).unwrap()));
            self.seen = (self.seen + 1) % 8;
        }
        list
    }

    /// A direct command with a buffer of `room` bytes; status and answer.
    fn direct(&mut self, opcode: u32, mailbox: [u32; 2], room: u32) -> (u8, Vec<u8>) {
        let mail = [mailbox[0].to_le_bytes(), mailbox[1].to_le_bytes()].concat();
        let sge = [(BUFFER as u32).to_le_bytes(), room.to_le_bytes()].concat();
        self.dma.write(BUFFER, &vec![0; room as usize]).unwrap();
        let count = [u8::from(room > 0)];
        let frame: [(usize, &[u8]); 6] =
            [(0, &[5]), (7, &count), (8, &[0x77]), (24, &opcode.to_le_bytes()), (28, &mail), (40, &sge)];
        let status = self.send(&frame);
        let mut answer = vec![0; room as usize];
        self.dma.read(BUFFER, &mut answer).unwrap();
        (status, answer)
    }

    /// A SCSI command, with 64-bit elements of 1000 bytes; status, SCSI status, data.
    fn scsi(&mut self, command: u8, target: u8, cdb: &[u8], len: u32) -> (u8, u8) {
        let mut list = Vec::new();
        let parts = len.div_ceil(1000);
        for n in 0..parts {
            list.extend((BUFFER + 1000 * u64::from(n)).to_le_bytes());
            list.extend((len - 1000 * n).min(1000).to_le_bytes());
        }
        let lens = [cdb.len() as u8, parts as u8];
        let frame: [(usize, &[u8]); 9] = [
            (0, &[command, 18]),
            (4, &[target, 0]),
            (6, &lens),
            (8, &[0x55]),
            (16, &[2, 0]),
            (20, &len.to_le_bytes()),
            (24, &(SENSE as u32).to_le_bytes()),
            (32, cdb),
            (48, &list),
        ];
        let status = self.send(&frame);
        (status, self.dma.array::<4>(FRAME_AT).unwrap()[3])
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[test]
fn drivers_find_and_use_logical_drives() {
    for (kind, mask, osts) in [(&GEN1, 0x7fff_ffff, 0x8000_0001), (&GEN2, 0xffff_fffa, 1)] {
        let mut d = Driver::new(kind, false, &[0, 5]);
        assert_eq!(d.get(0xb0), u64::from(firmware::READY | firmware::MSIX | 80 << 16 | 8));
        d.start();
        assert!(d.replies().is_empty(), "the driver polls for the first frame");
        let (status, info) = d.direct(0x0101_0000, [0; 2], 2048);
        assert_eq!((status, half(&info, 0), half(&info, 2), half(&info, 1472)), (0, 0x1000, kind.device, 2));
        assert_eq!((half(&info, 1464), &info[1344..1356]), (8, &b"LSI MegaRAID"[..]));
        let (status, list) = d.direct(0x0301_0000, [0; 2], 8 + 64 * 16);
        assert_eq!((status, list[0], &list[8..16], &list[24..32]), (0, 2, &[0, 0, 0, 0, 3, 0, 0, 0][..], &[5, 0, 0, 0, 3, 0, 0, 0][..]));
        assert_eq!(list[16..24], 512u64.to_le_bytes());
        assert_eq!(d.direct(0x0301_0100, [0; 2], 75).1[..13], [13, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5]);
        let (status, drive) = d.direct(0x0302_0000, [5, 0], 384);
        assert_eq!((status, drive[0], drive[38], &drive[256..264]), (0, 5, 3, &512u64.to_le_bytes()[..]));
        assert_eq!(d.direct(0x0302_0000, [4, 0], 384).0, status::DEVICE_NOT_FOUND);
        let (status, config) = d.direct(0x0401_0000, [0; 2], 4096);
        assert_eq!((status, half(&config, 0), half(&config, 4), half(&config, 6)), (0, 32 + 2 * 544, 2, 288));
        assert_eq!(d.replies(), [0x77; 6]);
        // Interrupts: none while they are masked.
        assert_eq!((d.get(0x30), d.hba.config.intx()), (0, None));
        d.set(0x34, mask);
        assert_eq!((d.get(0x30), d.hba.config.intx()), (osts, Some(0)));
        d.set(0xa0, 0xffff_ffff);
        assert_eq!((d.get(0x30), d.hba.config.intx()), (0, None));
        assert_eq!(d.scsi(3, 5, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8), (0, 0));
        assert_eq!(d.dma.array::<8>(BUFFER).unwrap(), [0, 0, 1, 255, 0, 0, 2, 0]);
        assert_eq!(d.hba.config.intx(), Some(0));
        assert_eq!((d.bench.guest_errors(), d.bench.unimplemented()), (0, 0));
    }
}

#[test]
fn blocks_are_read_and_written() {
    let mut d = Driver::new(&GEN2, false, &[1]);
    d.start();
    let data: Vec<u8> = (0..2048).map(|n| (n * 5) as u8).collect();
    d.dma.write(BUFFER, &data).unwrap();
    // A write of four blocks with an IEEE list, and FUA.
    let ieee = [&BUFFER.to_le_bytes()[..], &2048u32.to_le_bytes(), &[0; 4]].concat();
    let frame: [(usize, &[u8]); 6] =
        [(0, &[2, 18]), (4, &[1, 8, 0, 1]), (16, &[0x20, 0]), (20, &[4]), (32, &[9]), (40, &ieee)];
    assert_eq!(d.send(&frame), 0);
    d.dma.write(BUFFER, &[0; 2048]).unwrap();
    let list = [(BUFFER as u32).to_le_bytes(), 1024u32.to_le_bytes(), (BUFFER as u32 + 1024).to_le_bytes(), 1024u32.to_le_bytes()].concat();
    let frame: [(usize, &[u8]); 5] = [(0, &[1, 18]), (4, &[1, 0, 0, 2]), (20, &[4]), (32, &[9]), (40, &list)];
    assert_eq!(d.send(&frame), 0);
    assert_eq!(d.dma.array::<2048>(BUFFER).unwrap()[..], data);
    assert_eq!(d.scsi(4, 1, &[0x28, 0, 0, 0, 0, 10, 0, 0, 3, 0], 1536), (0, 0));
    assert_eq!(d.dma.array::<1536>(BUFFER).unwrap()[..], data[512..]);
    // Off the medium: sense data.
    assert_eq!(d.scsi(3, 1, &[0x28, 0, 0, 1, 0, 0, 0, 0, 3, 0], 1536), (0x2d, 2));
    let sense = d.dma.array::<18>(SENSE).unwrap();
    assert_eq!((sense[0], sense[2], sense[12]), (0xf0, 5, 0x21));
    assert_eq!(d.dma.array::<2>(FRAME_AT).unwrap()[1], 18);
    assert_eq!(d.scsi(3, 9, &[0; 6], 0), (status::DEVICE_NOT_FOUND, 0));
    assert_eq!(d.scsi(3, 200, &[0; 6], 0).0, status::DEVICE_NOT_FOUND);
    assert_eq!(d.scsi(3, 1, &[0; 6], 0), (0, 0));
    // No memory behind the list.
    let frame: [(usize, &[u8]); 5] = [(0, &[1, 18]), (4, &[1, 0, 0, 1]), (20, &[4]), (24, &(SENSE as u32).to_le_bytes()), (40, &[0, 1, 0, 0, 0, 8])];
    assert_eq!(d.send(&frame), 0x2d);
    assert_eq!(d.bench.guest_errors(), 1);
}

#[test]
fn events_are_logged_waited_for_and_aborted() {
    let mut d = Driver::new(&GEN1, true, &[0]);
    d.start();
    let (_, info) = d.direct(0x0104_0100, [0; 2], 20);
    assert_eq!((info[0], info[4], info[16]), (1, 1, 1));
    let (status, list) = d.direct(0x0104_0300, [0, 0x0000_ffff], 8 + 256);
    assert_eq!((status, list[0], list[8], half(&list, 8 + 12)), (0, 1, 1, events::LOCALE_CONTROLLER));
    assert_eq!(d.direct(0x0104_0300, [2, 0xffff], 8 + 256).0, status::NOT_FOUND);
    let physical = d.direct(0x0201_0100, [5, 0], 8 + 24 * 4).1;
    assert_eq!((physical[0], physical[4], half(&physical, 8), half(&physical, 10)), (32, 1, 0, 0xffff));
    let info = d.direct(0x0202_0000, [0, 0], 512).1;
    assert_eq!((info[4], &info[12..16], half(&info, 184)), (0, &b"QEMU"[..], 0x40));
    assert_eq!(d.direct(0x0301_0000, [0; 2], 8 + 64).1[0], 0, "no logical drives");
    d.replies();
    let (at, buffer) = (RAM + 0x5000, RAM + 0x6000);
    let sge = [(buffer as u32).to_le_bytes(), 256u32.to_le_bytes()].concat();
    let wait: [(usize, &[u8]); 6] = [
        (0, &[5]),
        (7, &[1]),
        (8, &[0x99]),
        (24, &0x0104_0500u32.to_le_bytes()),
        (28, &[2, 0, 0, 0, 0xff, 0xff, 0, 0]),
        (40, &sge),
    ];
    assert_eq!(d.send_at(at, &wait), 0xff);
    assert!(d.replies().is_empty());
    let saved = d.hba.save().unwrap();
    d.hba.load(&saved).unwrap();
    // A drive comes.
    let mut props = Props::defaults(crate::model::find("scsi-hd").unwrap().props());
    props.set("scsi-id", crate::model::Value::Signed(3));
    let number = d.hba.plug(&props, Child::new(unit())).unwrap();
    assert_eq!((d.status(at), d.replies()), (0, vec![0x99]));
    let event = d.dma.array::<256>(buffer).unwrap();
    assert_eq!((event[0], event[8], event[16], event[32], &event[128..140]), (2, 0x5b, 10, 3, &b"Inserted: PD"[..]));
    // What has happened already is told at once.
    d.hba.unplug(number).unwrap();
    let mut again = wait;
    again[4].1 = &[3, 0, 0, 0, 2, 0, 0, 0];
    assert_eq!((d.send_at(at, &again), d.replies()), (0, vec![0x99]));
    again[4].1 = &[4, 0, 0, 0, 2, 0, 0, 0];
    assert_eq!(d.send_at(at, &again), 0xff);
    let abort: [(usize, &[u8]); 4] = [(0, &[6]), (8, &[0x11]), (24, &[0x98]), (32, &(at as u32).to_le_bytes())];
    assert_eq!((d.send(&abort), d.status(at)), (status::ABORT_NOT_POSSIBLE, 0xff));
    let mut right = abort;
    right[2].1 = &[0x99];
    assert_eq!((d.send(&right), d.status(at)), (0, status::SCSI_IO_FAILED));
    assert_eq!(d.replies(), [0x11, 0x99, 0x11]);
    // 29 February 2000, 12:34:56.
    let time = d.direct(0x0108_0101, [0; 2], 8).1;
    assert_eq!(time, [0xd0, 0x07, 1, 29, 12, 34, 56, 0]);
}

#[test]
fn what_drivers_get_wrong_is_counted_and_harmless() {
    let mut d = Driver::new(&GEN1, false, &[0]);
    // What once crashed another emulator: PD_GET_INFO with a buffer nowhere.
    let frame: [(usize, &[u8]); 3] = [(0, &[5; 4]), (4, &[1; 4]), (8, &[0x41; 56])];
    let mut bytes = [0x41; 128];
    frame.iter().for_each(|(at, field)| bytes[*at..at + field.len()].copy_from_slice(field));
    bytes[24..32].copy_from_slice(&[0, 0, 2, 2, 0, 0, 0, 0]);
    d.dma.write(FRAME_AT, &bytes).unwrap();
    d.set(0x40, FRAME_AT);
    assert_eq!((d.bench.guest_errors(), d.status(FRAME_AT)), (1, 0));
    d.set(0x40, 0x1000);
    assert_eq!(d.bench.guest_errors(), 2, "no memory for a frame");
    assert_eq!(d.direct(0x0303_0000, [0; 2], 8).0, status::INVALID_DCMD);
    assert_eq!(d.send(&[(0, &[7])]), status::INVALID_CMD);
    assert_eq!(d.bench.unimplemented(), 2);
    assert_eq!(d.direct(0x0101_0000, [0; 2], 2047).0, status::INVALID_PARAMETER);
    assert_eq!(d.send(&[(0, &[5]), (7, &[2])]), status::MEMORY_NOT_AVAILABLE);
    d.dma.write(QUEUES, &[0xff; 32]).unwrap();
    assert_eq!(d.send(&[(24, &(QUEUES as u32).to_le_bytes())]), status::INVALID_PARAMETER);
    d.set(0xf8, 4);
    assert_eq!(d.bench.guest_errors(), 5);
    d.start();
    for word in UNLOCK {
        d.set(0xfc, word);
    }
    d.set(0xf8, 4);
    assert_eq!((d.get(0xb0) & 0xf000_0000, d.get(0xf8)), (u64::from(firmware::READY), 0));
    d.start();
    d.set(0x20, 7);
    assert_eq!(d.get(0xb0) & 0xf000_0000, u64::from(firmware::READY));
    d.set(0x20, 0x20);
    d.set(0x40, FRAME_AT);
    assert_eq!((d.get(0xb0) & 0xf000_0000, d.bench.guest_errors()), (0xf000_0000, 6));
    // Frames of noise.
    let mut random = 0x1234_5678_9abc_def1u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    d.hba.reset();
    d.hba.write_config(4, Size::B2, 7);
    d.start();
    for _ in 0..5000 {
        let mut bytes = [0u8; 128];
        bytes.iter_mut().for_each(|byte| *byte = (next() >> (next() % 64)) as u8);
        bytes[0] %= 8;
        let opcodes = [0x0101_0000u32, 0x0104_0500, 0x0104_0300, 0x0201_0000, 0x0202_0000, 0x0301_0100, 0x0302_0000, 0x0401_0000];
        if bytes[0] == 5 {
            bytes[7] &= 1;
            bytes[24..28].copy_from_slice(&opcodes[next() as usize % 8].to_le_bytes());
            bytes[40..44].copy_from_slice(&(BUFFER as u32).to_le_bytes());
        }
        d.dma.write(FRAME_AT, &bytes).unwrap();
        d.set(0x40, FRAME_AT);
    }
}

#[test]
fn messages_take_the_place_of_the_pin() {
    let mut d = Driver::new(&GEN2, false, &[0]);
    d.start();
    d.set(0x34, 0xffff_fffa);
    for (at, value) in [(0x2000, 0x2800_0000), (0x2004, 0), (0x2008, 5), (0x200c, 0)] {
        d.set(at, value);
    }
    let capability = (0x40..0x100).step_by(4).find(|at| d.hba.config.byte_at(*at) == 0x11).unwrap();
    d.hba.write_config(capability + 2, Size::B2, 0x8000);
    d.bench.signals();
    d.direct(0x0102_0100, [0; 2], 64);
    assert_eq!(d.bench.signals(), [Signal::Message { addr: 0x2800_0000, data: 5 }]);
    assert_eq!(d.hba.config.intx(), None);
    assert_eq!((d.get(0x2008), d.get(0x3800)), (5, 0));
    // Ports are the same registers.
    assert_eq!(d.hba.read(0, 0xb0, Size::B4), d.get(0xb0));
    assert_eq!((d.hba.read(3, 0, Size::B4), d.bench.guest_errors()), (0, 1));
}
