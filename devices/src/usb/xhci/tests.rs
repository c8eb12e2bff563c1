//! The controller as a driver drives it.

use super::*;
use crate::bench::{Bench, BenchBackends, RAM};
use crate::model::{self, Value};

const CONTEXTS: u64 = RAM + 0x1000;
const COMMANDS: u64 = RAM + 0x2000;
const TABLE: u64 = RAM + 0x3000;
const EVENTS: u64 = RAM + 0x4000;
const INPUT: u64 = RAM + 0x6000;
const DEVICE: u64 = RAM + 0x7000;
const RINGS: u64 = RAM + 0x1_0000;
const DATA: u64 = RAM + 0x4_0000;
const EVENT_BLOCKS: u64 = 64;

struct Driver {
    bench: Bench,
    hc: Xhci,
    /// Blocks that were put into the command ring, and events that were taken.
    commands: u64,
    events: u64,
    /// Blocks in the ring of each endpoint.
    blocks: [u64; 32],
}

fn child(bench: &Bench, name: &str) -> (Props, Child) {
    let kind = model::find(name).unwrap();
    let mut props = kind.defaults();
    if name == "usb-storage" {
        props.set("drive", Value::Text("bench".to_owned()));
    }
    let mut backends = BenchBackends::new(bench);
    let Build::Child(_, build) = kind.model.build else { panic!("{name}") };
    let child = build(&mut Wants::new(&props, &mut backends)).unwrap();
    (props, child)
}

impl Driver {
    fn new(device: &str) -> (Driver, u32) {
        let mut bench = Bench::new();
        let counts = Counts { usb2: 4, usb3: 4, interrupters: 2, slots: 8 };
        let hc = Xhci::new(bench.kit("xhci"), &QEMU, counts, false, true);
        let mut d = Driver { bench, hc, commands: 0, events: 0, blocks: [0; 32] };
        let (props, child) = child(&d.bench, device);
        let number = d.hc.plug(&props, child).unwrap();
        d.hc.config_mut().write(4, Size::B2, 6);
        d.put(TABLE, &[EVENTS as u32, (EVENTS >> 32) as u32, EVENT_BLOCKS as u32, 0]);
        for (at, value) in [(0x58, COMMANDS as u32 | 1), (0x70, CONTEXTS as u32), (0x78, 8), (0x1028, 1)] {
            d.set(at, value);
        }
        for (at, value) in [(0x1038, EVENTS as u32), (0x1030, TABLE as u32), (0x1020, 2)] {
            d.set(at, value);
        }
        d.put(CONTEXTS + 8, &[DEVICE as u32, 0]);
        d.set(0x40, 5);
        (d, number)
    }

    fn set(&mut self, at: u64, value: u32) {
        self.hc.write(0, at, Size::B4, value.into());
    }

    fn get(&mut self, at: u64) -> u32 {
        self.hc.read(0, at, Size::B4) as u32
    }

    fn put(&self, at: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.bench.dma().write(at, &bytes).unwrap();
    }

    fn word(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.bench.dma().array(at).unwrap())
    }

    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.bench.dma().read(at, &mut bytes).unwrap();
        bytes
    }

    /// The next event, if there is one; the driver takes it.
    fn event(&mut self) -> Option<[u32; 4]> {
        let at = EVENTS + 16 * (self.events % EVENT_BLOCKS);
        let event = [0, 4, 8, 12].map(|n| self.word(at + n));
        let cycle = (self.events / EVENT_BLOCKS).is_multiple_of(2);
        if (event[3] & 1 != 0) != cycle {
            return None;
        }
        self.events += 1;
        let next = EVENTS + 16 * (self.events % EVENT_BLOCKS);
        self.set(0x1038, next as u32 | 8);
        Some(event)
    }

    /// Executes a command; its completion code and slot.
    fn command(&mut self, parameter: u64, control: u32) -> (u32, u32) {
        let at = COMMANDS + 16 * self.commands;
        self.put(at, &[parameter as u32, (parameter >> 32) as u32, 0, control | 1]);
        self.commands += 1;
        self.set(0x2000, 0);
        let [low, _, status, control] = self.event().expect("a command completes");
        assert_eq!((low, control >> 10 & 0x3f), (at as u32, 33));
        (status >> 24, control >> 24)
    }

    fn block(&mut self, n: usize, parameter: u64, status: u32, control: u32) {
        let at = RINGS + 0x1000 * n as u64 + 16 * self.blocks[n];
        self.put(at, &[parameter as u32, (parameter >> 32) as u32, status, control | 1]);
        self.blocks[n] += 1;
    }

    /// Resets port `port`, and gives its device an address.
    fn address(&mut self, port: u32, speed: u32) {
        while self.event().is_some() {}
        let at = 0x440 + 16 * u64::from(port - 1);
        self.set(at, 0x210);
        assert_eq!(self.event().map(|e| (e[0], e[3] >> 10)), Some((port << 24, 34)));
        assert_eq!(self.get(at) & 0x20_0003, 0x20_0003, "reset, enabled, connected");
        self.set(at, 0x200 | 0x7f << 17);
        assert_eq!(self.command(0, 9 << 10), (1, 1));
        self.put(INPUT, &[0, 3, 0, 0, 0, 0, 0, 0]);
        self.put(INPUT + 32, &[1 << 27 | speed << 20, port << 16, 0, 0, 0, 0, 0, 0]);
        let ring = (RINGS + 0x1000) as u32;
        self.put(INPUT + 64, &[0, 4 << 3 | 64 << 16, ring | 1, 0, 8, 0, 0, 0]);
        assert_eq!(self.command(INPUT, 11 << 10 | 1 << 24), (1, 1));
        assert_eq!((self.word(DEVICE + 12), self.word(DEVICE + 32) & 7), (2 << 27 | 1, 1));
    }

    /// A control transfer that reads: the completion code of its last event, and the data.
    fn read(&mut self, setup: [u8; 8], len: u32) -> (u32, Vec<u8>) {
        self.block(1, u64::from_le_bytes(setup), 8, 2 << 10 | 0x40 | 3 << 16);
        self.block(1, DATA, len, 3 << 10 | 4 | 1 << 16);
        self.block(1, 0, 0, 4 << 10 | 0x20);
        self.set(0x2004, 1);
        let (mut code, mut got) = (0, len);
        while let Some(event) = self.event() {
            assert_eq!(event[3] >> 10 & 0x3f, 32);
            code = event[2] >> 24;
            if code == 13 {
                got = len - (event[2] & 0xff_ffff);
            }
        }
        (code, self.bytes(DATA, got as usize))
    }

    /// A control transfer without data.
    fn request(&mut self, setup: [u8; 8]) -> u32 {
        self.block(1, u64::from_le_bytes(setup), 8, 2 << 10 | 0x40);
        self.block(1, 0, 0, 4 << 10 | 0x20 | 1 << 16);
        self.set(0x2004, 1);
        self.event().map_or(0, |event| event[2] >> 24)
    }

    /// Configures the device, with endpoints of these contexts: index, type, packet.
    fn configure(&mut self, endpoints: &[(usize, u32, u32)]) {
        assert_eq!(self.request([0, 9, 1, 0, 0, 0, 0, 0]), 1);
        let add = endpoints.iter().fold(1, |add, (n, ..)| add | 1 << n);
        self.put(INPUT, &[0, add]);
        for (n, kind, packet) in endpoints {
            let ring = (RINGS + 0x1000 * *n as u64) as u32;
            self.put(INPUT + 32 * (*n as u64 + 1), &[6 << 16, kind << 3 | packet << 16, ring | 1, 0, 8, 0, 0, 0]);
        }
        assert_eq!(self.command(INPUT, 12 << 10 | 1 << 24), (1, 1));
        assert_eq!(self.word(DEVICE + 12) >> 27, 3);
    }
}

fn key(code: u16, down: u32) -> Vec<u8> {
    [&1u16.to_le_bytes()[..], &code.to_le_bytes(), &down.to_le_bytes()].concat()
}

#[test]
fn a_keyboard_is_found_and_types() {
    let (mut d, number) = Driver::new("usb-kbd");
    // USB 2 ports follow the USB 3 ports; the keyboard is at high speed.
    d.address(5, 3);
    let (code, descriptor) = d.read([0x80, 6, 0, 1, 0, 0, 64, 0], 64);
    assert_eq!((code, descriptor.len(), &descriptor[8..12]), (1, 18, &[0x27, 6, 1, 0][..]));
    let (_, configuration) = d.read([0x80, 6, 0, 2, 0, 0, 255, 0], 255);
    assert_eq!((configuration.len(), configuration[2], configuration[25]), (34, 34, 62));
    let (_, report) = d.read([0x81, 6, 0, 0x22, 0, 0, 64, 0], 64);
    assert_eq!(report.len(), 62);
    d.configure(&[(3, 7, 8)]);
    assert_eq!(d.request([0x21, 10, 0, 0, 0, 0, 0, 0]), 1);
    d.block(3, DATA, 8, 1 << 10 | 0x24);
    d.set(0x2004, 3);
    assert_eq!(d.event(), None, "nobody has typed");
    assert!(d.bench.queue.next().is_some(), "it is asked again");
    d.hc.receive(number, &[key(42, 1), key(30, 1)].concat());
    let event = d.event().unwrap();
    assert_eq!((event[2], event[3] >> 16), (1 << 24, 0x103));
    assert_eq!(d.bytes(DATA, 8), [2, 0, 0, 0, 0, 0, 0, 0]);
    d.block(3, DATA, 8, 1 << 10 | 0x24);
    d.set(0x2004, 3);
    assert_eq!(d.event().map(|e| e[2]), Some(1 << 24));
    assert_eq!(d.bytes(DATA, 8), [2, 0, 4, 0, 0, 0, 0, 0]);
    assert_eq!((d.bench.guest_errors(), d.bench.unimplemented()), (0, 0));
}

#[test]
fn a_disk_answers_at_super_speed() {
    let (mut d, _) = Driver::new("usb-storage");
    assert_eq!(d.get(0x440) & 0x3fff, 4 << 10 | 0x203, "it is at the USB 3 port, enabled");
    d.address(1, 4);
    d.configure(&[(3, 6, 1024), (4, 2, 1024)]);
    let ask = |d: &mut Driver, cdb: &[u8], len: u32| {
        let mut wrapper = b"USBC\x07\0\0\0".to_vec();
        wrapper.extend(len.to_le_bytes());
        wrapper.extend([0x80, 0, cdb.len() as u8]);
        wrapper.extend(cdb);
        wrapper.resize(31, 0);
        d.bench.dma().write(DATA, &wrapper).unwrap();
        d.block(4, DATA, 31, 1 << 10 | 0x20);
        d.set(0x2004, 4);
        assert_eq!(d.event().map(|e| e[2]), Some(1 << 24));
        if len > 0 {
            // In two chained parts.
            d.block(3, DATA + 0x100, 10, 1 << 10 | 0x14);
            d.block(3, DATA + 0x10a, len - 10, 1 << 10 | 0x24);
        }
        d.block(3, DATA + 0x80, 13, 1 << 10 | 0x24);
        d.set(0x2004, 3);
        let done = core::iter::from_fn(|| d.event()).filter(|e| e[2] >> 24 == 1).count();
        assert_eq!(done, if len > 0 { 2 } else { 1 });
        assert_eq!(d.bytes(DATA + 0x80, 8), b"USBS\x07\0\0\0");
        (d.bytes(DATA + 0x8c, 1)[0], d.bytes(DATA + 0x100, len as usize))
    };
    let (status, inquiry) = ask(&mut d, &[0x12, 0, 0, 0, 36, 0], 36);
    assert_eq!((status, &inquiry[8..24]), (0, &b"QEMU    QEMU HAR"[..]));
    assert_eq!(ask(&mut d, &[0, 0, 0, 0, 0, 0], 0).0, 1, "it has been reset");
    let (status, sense) = ask(&mut d, &[3, 0, 0, 0, 18, 0], 18);
    assert_eq!((status, sense[2], sense[12]), (0, 6, 0x29));
    let (status, capacity) = ask(&mut d, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 12);
    assert_eq!((status, &capacity[..8]), (0, &[0, 0, 7, 0xff, 0, 0, 2, 0][..]));
    let (status, block) = ask(&mut d, &[0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0], 512);
    assert_eq!((status, block), (0, vec![0; 512]));
    assert_eq!((d.bench.guest_errors(), d.bench.unimplemented()), (0, 0));
}

#[test]
fn a_stalled_pipe_halts_and_recovers() {
    let (mut d, _) = Driver::new("usb-mouse");
    d.address(5, 3);
    assert_eq!(d.read([0x80, 6, 0, 15, 0, 0, 5, 0], 5).0, 6, "it has no BOS descriptor");
    assert_eq!(d.word(DEVICE + 32) & 7, 2);
    d.set(0x2004, 1);
    assert_eq!(d.event(), None, "halted");
    assert_eq!(d.command(0, 14 << 10 | 1 << 16 | 1 << 24), (1, 1));
    let at = RINGS + 0x1000 + 16 * d.blocks[1];
    assert_eq!(d.command(at | 1, 16 << 10 | 1 << 16 | 1 << 24), (1, 1));
    assert_eq!(d.read([0x80, 6, 0, 1, 0, 0, 18, 0], 18).0, 1);
    assert_eq!(d.command(0, 14 << 10 | 1 << 16 | 1 << 24).0, 19, "it is not halted");
}

#[test]
fn devices_come_and_go_while_it_runs() {
    let (mut d, number) = Driver::new("usb-tablet");
    d.address(5, 3);
    d.hc.unplug(number).unwrap();
    assert_eq!(d.event().map(|e| (e[0], e[3] >> 10)), Some((5 << 24, 34)));
    assert_eq!(d.get(0x480) & 0x2_0003, 0x2_0000);
    d.set(0x2004, 1);
    assert_eq!(d.request([0, 9, 1, 0, 0, 0, 0, 0]), 4, "nobody answers");
    let (props, again) = child(&d.bench, "usb-kbd");
    d.set(0x480, 0x200 | 1 << 17);
    d.hc.plug(&props, again).unwrap();
    assert_eq!(d.event().map(|e| e[0]), Some(5 << 24));
}

#[test]
fn endless_rings_end_and_full_event_rings_wait() {
    let (mut d, _) = Driver::new("usb-mouse");
    d.address(5, 3);
    // Commands fill the ring of events.
    while d.event().is_some() {}
    let first = d.commands;
    for n in 0..80 {
        d.put(COMMANDS + 16 * (first + n), &[0, 0, 0, 23 << 10 | 1]);
    }
    d.set(0x2000, 0);
    let mut seen = 0;
    while d.event().is_some() {
        seen += 1;
        let now = d.bench.queue.now() + 1_000_000;
        while let Some(due) = d.bench.queue.pop(now) {
            d.bench.queue.set_now(due.at);
            d.hc.event(due.token);
        }
        d.bench.queue.set_now(now);
    }
    assert_eq!(seen, 80);
    // A command ring that is a link to itself.
    let at = COMMANDS + 16 * (first + 80);
    d.put(at, &[at as u32, 0, 0, 6 << 10 | 1]);
    let before = d.bench.guest_errors();
    d.set(0x2000, 0);
    assert_eq!((d.event(), d.bench.guest_errors()), (None, before + 1));
}

#[test]
fn memory_that_is_not_there_stops_it() {
    let (mut d, _) = Driver::new("usb-mouse");
    d.set(0x40, 0);
    d.set(0x58, 0x1001);
    d.set(0x40, 5);
    d.set(0x2000, 0);
    assert_eq!(d.get(0x44) & 5, 5);
    d.set(0x40, 2);
    assert_eq!((d.get(0x44), d.get(0x40)), (1, 0));
}
