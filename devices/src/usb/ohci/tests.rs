//! The controller as a driver drives it.

use super::*;
use crate::bench::{Bench, BenchBackends, RAM};
use crate::model::{self, Wants};

const AREA: u32 = RAM as u32 + 0x1000;
const ENDPOINT: u32 = RAM as u32 + 0x2000;
const TRANSFERS: u32 = RAM as u32 + 0x3000;
const DATA: u32 = RAM as u32 + 0x4000;

struct Driver {
    bench: Bench,
    hc: Ohci,
}

fn child(bench: &Bench, name: &str) -> (Props, Child) {
    let kind = model::find(name).unwrap();
    let props = kind.defaults();
    let mut backends = BenchBackends::new(bench);
    let Build::Child(_, build) = kind.model.build else { panic!("{name}") };
    let child = build(&mut Wants::new(&props, &mut backends)).unwrap();
    (props, child)
}

impl Driver {
    fn new() -> Driver {
        let mut bench = Bench::new();
        let mut hc = Ohci::new(bench.kit("ohci"), 3);
        hc.config_mut().write(4, Size::B2, 6);
        let mut d = Driver { bench, hc };
        d.set(0x18, AREA);
        d.set(0x04, 2 << 6 | 0x34);
        d.set(0x10, 1 << 31 | 0x42);
        d
    }

    fn set(&mut self, at: u64, value: u32) {
        self.hc.write(0, at, Size::B4, value.into());
    }

    fn get(&mut self, at: u64) -> u32 {
        self.hc.read(0, at, Size::B4) as u32
    }

    fn put(&self, at: u32, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.bench.dma().write(at.into(), &bytes).unwrap();
    }

    fn word(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bench.dma().array(at.into()).unwrap())
    }

    fn frames(&mut self, n: u64) {
        let end = self.bench.queue.now() + n * FRAME_NS;
        while let Some(due) = self.bench.queue.pop(end) {
            self.bench.queue.set_now(due.at);
            self.hc.event(due.token);
        }
        self.bench.queue.set_now(end);
    }

    /// Puts transfers (control word, bytes) into the list of an endpoint.
    fn fill(&self, endpoint: u32, transfers: &[(u32, u32)]) {
        for (n, (control, len)) in (0..).zip(transfers) {
            let (at, buffer) = (TRANSFERS + 16 * n, DATA + 0x100 * n);
            let first = if *len == 0 { 0 } else { buffer };
            self.put(at, &[*control, first, at + 16, buffer + len.max(&1) - 1]);
        }
        self.put(ENDPOINT, &[endpoint, TRANSFERS + 16 * transfers.len() as u32, TRANSFERS, 0]);
    }
}

#[test]
fn a_tablet_is_found_and_moves() {
    let mut d = Driver::new();
    let (props, tablet) = child(&d.bench, "usb-tablet");
    let number = d.hc.plug(&props, tablet).unwrap();
    assert_eq!((d.get(0x54), d.hc.config().intx()), (0x1_0101, Some(0)));
    d.set(0x54, 0x10);
    assert_eq!(d.get(0x54) & 0x10_0003, 0x10_0003);
    d.set(0x54, 0x1f << 16);
    d.set(0x0c, 0x7f);
    assert_eq!((d.get(0x54), d.hc.config().intx()), (0x103, None));
    // Its device descriptor, in packets of eight bytes.
    d.put(DATA, &[0x0100_0680, 0x0012_0000]);
    d.fill(8 << 16, &[(0xe2 << 20, 8), (0x11 << 20 | 0x4 << 16 | 3 << 24, 18), (0x08 << 16 | 3 << 24, 0)]);
    d.set(0x20, ENDPOINT);
    d.set(0x08, 2);
    d.frames(2);
    assert_eq!(d.word(DATA + 0x100), 0x0100_0112);
    assert_eq!(d.word(ENDPOINT + 8) & !2, TRANSFERS + 48, "all are done");
    assert_eq!((d.word(AREA + 0x84) & !1, d.get(0x0c) & 2), (TRANSFERS + 32, 2));
    assert_eq!((0..3).map(|n| d.word(TRANSFERS + 16 * n) >> 28).sum::<u32>(), 0);
    // SET_CONFIGURATION.
    d.set(0x0c, 2);
    d.put(DATA, &[0x0001_0900, 0]);
    d.fill(8 << 16, &[(0x02 << 24, 8), (0x10 << 16 | 3 << 24, 0)]);
    d.set(0x08, 2);
    d.frames(2);
    assert_eq!(d.word(ENDPOINT + 8) & 1, 0);
    // Its reports, in the periodic list.
    d.fill(1 << 7 | 8 << 16 | 2 << 11, &[(0x04 << 16, 8)]);
    (0..32).for_each(|n| d.put(AREA + 4 * n, &[ENDPOINT]));
    d.frames(3);
    assert_eq!(d.word(ENDPOINT + 8), TRANSFERS, "nothing has moved");
    let events: Vec<u8> = [(3u16, 0u16, 0x1234u32), (1, 0x110, 1), (0, 0, 0)]
        .iter()
        .flat_map(|(kind, code, value)| [&kind.to_le_bytes()[..], &code.to_le_bytes(), &value.to_le_bytes()].concat())
        .collect();
    d.hc.receive(number, &events);
    d.frames(2);
    assert_eq!((d.word(DATA), d.word(DATA + 4) & 0xffff), (0x0012_3401, 0));
    assert_eq!((d.bench.guest_errors(), d.bench.unimplemented()), (0, 0));
    d.hc.unplug(number).unwrap();
    assert_eq!(d.get(0x54) & 0x3_0003, 0x3_0000);
}

#[test]
fn requests_that_fail_halt_their_endpoint() {
    let mut d = Driver::new();
    let (props, mouse) = child(&d.bench, "usb-mouse");
    d.hc.plug(&props, mouse).unwrap();
    d.set(0x54, 0x10);
    d.put(DATA, &[0x7700_0680, 0x0012_0000]);
    d.fill(8 << 16, &[(2 << 24, 8), (0x10 << 16 | 3 << 24, 18)]);
    d.set(0x20, ENDPOINT);
    d.set(0x08, 2);
    d.frames(2);
    assert_eq!((d.word(ENDPOINT + 8) & 1, d.word(TRANSFERS + 16) >> 28), (1, 4));
    // Nobody has address 5.
    d.fill(8 << 16 | 5, &[(2 << 24, 8)]);
    d.set(0x08, 2);
    d.frames(2);
    assert_eq!((d.word(ENDPOINT + 8) & 1, d.word(TRANSFERS) >> 28), (1, 5));
}

#[test]
fn lists_without_an_end_end() {
    let mut d = Driver::new();
    d.fill(8 << 16, &[(2 << 24, 8)]);
    d.put(ENDPOINT + 12, &[ENDPOINT]);
    d.set(0x28, ENDPOINT);
    d.set(0x08, 4);
    d.frames(3);
    assert_eq!((d.word(ENDPOINT + 8) & 1, d.bench.guest_errors()), (1, 0));
    d.put(AREA, &[0]);
    d.set(0x18, 0x1000);
    d.frames(2);
    assert_eq!((d.get(0x04) >> 6 & 3, d.get(0x0c) & 0x10), (3, 0x10));
}
