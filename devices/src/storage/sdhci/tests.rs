//! A driver's view of the controller, and a bad driver's.

use super::*;
use crate::bench::{Bench, BenchBackends, RAM};
use crate::model::{Value, find};
use crate::pci::config::reg;
use tern_core::device::Dma;

const DATA: u64 = RAM + 0x1_0000;

struct Driver {
    bench: Bench,
    host: Sdhci,
    rca: u32,
}

fn card(bench: &Bench) -> Card {
    let mut props = find("sd-card").unwrap().defaults();
    props.set("drive", Value::Text("x".into()));
    let mut backends = BenchBackends::new(bench);
    match find("sd-card").unwrap().model.build {
        Build::Child(_, build) => build(&mut Wants::new(&props, &mut backends)).unwrap().take().unwrap(),
        _ => unreachable!(),
    }
}

fn empty(version: u64) -> Driver {
    let mut bench = Bench::new();
    let mut props = find(NAME).unwrap().defaults();
    props.set("sd-spec-version", Value::Number(version));
    if version == 3 {
        props.set("capareg", Value::Number(CAPABILITIES | 1 << 28));
    }
    let mut backends = BenchBackends::new(&bench);
    let mut host = Sdhci::build(bench.kit(NAME), &mut Wants::new(&props, &mut backends)).unwrap();
    host.write_config(reg::COMMAND, Size::B2, 6);
    Driver { bench, host, rca: 0 }
}

impl Driver {
    /// A controller with a card in the transfer state.
    fn new(version: u64) -> Driver {
        let mut d = empty(version);
        let card = card(&d.bench);
        d.host.plug(&Props::default(), Child::new(card)).unwrap();
        d.start();
        d
    }

    fn start(&mut self) {
        self.set(0x34, Size::B4, 0xffff_ffff);
        self.set(0x38, Size::B4, 0xffff_ffff);
        self.set(0x29, Size::B1, 0x0f);
        self.set(0x2c, Size::B2, 1);
        assert_eq!(self.get(0x2c, Size::B2), 3);
        self.set(0x2c, Size::B2, 5);
        self.command(0, 0, 0);
        assert_eq!(self.command(8, 0x1aa, 2), 0x1aa);
        self.command(55, 0, 2);
        assert_eq!(self.command(41, 0x40ff_8000, 2) >> 31, 1);
        self.command(2, 0, 1);
        assert_eq!(self.get(0x1c, Size::B4), 0x00aa_5859);
        self.rca = self.command(3, 0, 2) & 0xffff_0000;
        self.command(7, self.rca, 3);
    }

    fn get(&mut self, at: u64, size: Size) -> u32 {
        self.host.read(0, at, size) as u32
    }

    fn set(&mut self, at: u64, size: Size, value: u32) {
        self.host.write(0, at, size, u64::from(value));
    }

    /// Takes the interrupts.
    fn take(&mut self) -> u32 {
        let bits = self.get(0x30, Size::B4);
        assert_eq!(self.host.config().intx().is_some(), bits != 0);
        self.set(0x30, Size::B4, bits);
        bits
    }

    fn issue(&mut self, index: u32, argument: u32, flags: u32) {
        self.set(0x08, Size::B4, argument);
        self.set(0x0e, Size::B2, index << 8 | flags);
    }

    fn command(&mut self, index: u32, argument: u32, flags: u32) -> u32 {
        self.issue(index, argument, flags);
        let expected = if flags & 3 == 3 { 3 } else { 1 };
        assert_eq!(self.take(), expected, "CMD{index}");
        self.get(0x10, Size::B4)
    }

    /// Starts a transfer of `count` blocks at block `lba`.
    fn blocks(&mut self, write: bool, lba: u32, count: u32, dma: u32, select: u32) {
        self.set(0x28, Size::B1, select << 3);
        self.set(0x04, Size::B4, count << 16 | 512);
        let mode = dma | if write { 0 } else { 0x10 } | if count > 1 { 0x26 } else { 0 };
        self.set(0x0c, Size::B2, mode);
        let index = if write { 24 } else { 17 } + u32::from(count > 1);
        self.issue(index, lba * 512, 0x3a);
    }

    fn dma(&self) -> Dma {
        self.bench.dma()
    }

    fn memory(&self, addr: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.dma().read(addr, &mut bytes).unwrap();
        bytes
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 5 + (n >> 8)) as u8).collect()
}

#[test]
fn registers_are_as_the_specification_has_them() {
    let mut d = empty(2);
    assert_eq!((d.host.read(0, 0x40, Size::B8), d.get(0xfe, Size::B2)), (CAPABILITIES, 0x2401));
    assert_eq!(d.get(0x24, Size::B4), 0x01fa_0000);
    d.host.write(0, 0x40, Size::B8, 0x0123_4567_89ab_cdef);
    assert_eq!((d.host.read(0, 0x40, Size::B8), d.bench.guest_errors()), (CAPABILITIES, 1));
    assert_eq!(d.host.config().word(0x40), 0);
    // A card comes: the host hears of it once it has enabled that.
    d.set(0x34, Size::B2, 0xff);
    d.set(0x38, Size::B2, 0xc0);
    let card = card(&d.bench);
    d.host.plug(&Props::default(), Child::new(card)).unwrap();
    assert_eq!((d.get(0x24, Size::B4), d.take()), (0x01ff_0000, 0x40));
    assert_eq!((d.host.unplug(0), d.take(), d.get(0x24, Size::B4)), (Ok(()), 0x80, 0x01fa_0000));
    d.start_fails();
}

impl Driver {
    /// Without a card there is no power, and no command.
    fn start_fails(&mut self) {
        self.set(0x28, Size::B4, 0x0f00);
        assert_eq!(self.get(0x29, Size::B1), 0x0e);
        self.set(0x2c, Size::B2, 5);
        let errors = self.bench.guest_errors();
        self.issue(0, 0, 0);
        assert_eq!((self.take(), self.bench.guest_errors()), (0, errors + 1));
    }
}

#[test]
fn the_buffer_moves_blocks() {
    let mut d = Driver::new(2);
    let data = pattern(1536);
    d.blocks(true, 3, 3, 0, 0);
    for block in data.as_chunks::<512>().0 {
        assert_eq!(d.take() & !1, 0x10);
        assert_eq!(d.get(0x24, Size::B4) & 0xfff, 0x506);
        for word in block.as_chunks::<4>().0 {
            d.set(0x20, Size::B4, u32::from_le_bytes(*word));
        }
    }
    assert_eq!((d.take(), d.get(0x24, Size::B4) & 0xfff, d.get(0x06, Size::B2)), (2, 0, 0));
    // The automatic CMD12 has stopped the card, which was receiving.
    assert_eq!(d.get(0x1c, Size::B4), 0xd00);
    d.blocks(false, 3, 3, 0, 0);
    let mut back = Vec::new();
    for _ in 0..3 {
        assert_eq!(d.take() & !1, 0x20);
        for size in [Size::B1, Size::B1, Size::B2].into_iter().chain([Size::B4; 127]) {
            back.extend(&d.get(0x20, size).to_le_bytes()[..size.bytes() as usize]);
        }
    }
    assert_eq!((back, d.take()), (data, 2));
    assert_eq!((d.get(0x20, Size::B4), d.bench.guest_errors()), (0, 1));
    // CMD12 of the host ends an endless read.
    d.blocks(false, 0, 2, 0, 0);
    d.set(0x2f, Size::B1, 4);
    assert_eq!(d.command(12, 0, 0xc3), 0xb00);
}

#[test]
fn sdma_asks_at_boundaries() {
    let mut d = Driver::new(2);
    let data = pattern(0x3000);
    d.dma().write(DATA + 0xf00, &data).unwrap();
    d.set(0x00, Size::B4, (DATA + 0xf00) as u32);
    d.blocks(true, 8, 24, 1, 0);
    for n in 1..=3 {
        assert_eq!(d.take() & !1, 8);
        let next = d.get(0x00, Size::B4);
        assert_eq!(u64::from(next), DATA + 0x1000 * n);
        d.set(0x00, Size::B4, next);
    }
    assert_eq!(d.take(), 2);
    d.dma().write(DATA, &[0; 0x4000]).unwrap();
    d.set(0x00, Size::B4, DATA as u32);
    d.blocks(false, 8, 24, 1, 0);
    for n in 1..=2 {
        assert_eq!(d.take() & !1, 8);
        d.set(0x00, Size::B4, (DATA + 0x1000 * n) as u32);
    }
    assert_eq!((d.take(), d.memory(DATA, 0x3000) == data), (2, true));
    // No memory.
    d.set(0x00, Size::B4, 0x1000);
    d.blocks(false, 8, 1, 1, 0);
    assert_eq!(d.take(), 0x10_8001);
}

#[test]
fn adma_follows_descriptors() {
    for version in [2, 3] {
        let mut d = Driver::new(version);
        let wide = version == 3;
        let put = |d: &Driver, at: u64, attributes: u16, len: u16, address: u64| {
            let mut bytes = [&attributes.to_le_bytes()[..], &len.to_le_bytes(), &address.to_le_bytes()].concat();
            bytes.truncate(if wide { 12 } else { 8 });
            d.dma().write(at, &bytes).unwrap();
            at + bytes.len() as u64
        };
        let table = |d: &Driver| {
            let next = put(d, RAM, 0x21, 700, DATA);
            let next = put(d, next, 0x01, 0, 0);
            put(d, next, 0x31, 0, RAM + 0x100);
            put(d, RAM + 0x100, 0x27, 1348, DATA + 0x1001);
        };
        table(&d);
        let data = pattern(2048);
        d.dma().write(DATA, &data[..700]).unwrap();
        d.dma().write(DATA + 0x1001, &data[700..]).unwrap();
        let select = if wide { 3 } else { 2 };
        d.host.write(0, 0x58, Size::B8, RAM);
        d.blocks(true, 1, 4, 1, select);
        assert_eq!(d.take(), 0xb);
        d.dma().write(DATA, &[0; 0x2000]).unwrap();
        d.set(0x58, Size::B4, RAM as u32);
        d.blocks(false, 1, 4, 1, select);
        assert_eq!(d.take(), 0xb);
        assert_eq!([d.memory(DATA, 700), d.memory(DATA + 0x1001, 1348)].concat(), data);
        // Descriptors for less than the blocks; a descriptor that is not valid.
        d.set(0x58, Size::B4, RAM as u32);
        d.blocks(false, 1, 5, 1, select);
        assert_eq!((d.take(), d.get(0x54, Size::B4)), (0x0200_8009, 7));
        d.command(12, 0, 0xc3);
        d.set(0x58, Size::B4, (RAM + 0x800) as u32);
        d.blocks(false, 1, 4, 1, select);
        assert_eq!((d.take(), d.get(0x54, Size::B4)), (0x0200_8001, 1));
        d.command(12, 0, 0xc3);
        // A ring of links does not end, and does not hold the guest up.
        put(&d, RAM, 0x31, 0, RAM);
        d.set(0x58, Size::B4, RAM as u32);
        d.blocks(false, 1, 4, 1, select);
        for _ in 0..10 {
            let due = d.bench.queue.pop(u64::MAX).expect("it goes on");
            d.bench.queue.set_now(due.at);
            d.host.event(due.token);
        }
        assert_eq!(d.get(0x24, Size::B4) & 6, 6);
        d.set(0x2f, Size::B1, 1);
        assert_eq!((d.get(0x24, Size::B4) & 6, d.bench.queue.pop(u64::MAX).is_none()), (0, true));
    }
}

#[test]
fn nobody_answers_is_a_timeout() {
    let mut d = Driver::new(2);
    d.issue(5, 0, 2);
    assert_eq!(d.take(), 0x1_8000);
    // Data that does not come.
    d.blocks(false, 1 << 20, 1, 0, 0);
    assert_eq!(d.take(), 0x10_8001);
    // Version 3: a count before a transfer, by itself.
    let mut d = Driver::new(3);
    d.set(0x00, Size::B4, 2);
    d.host.write(0, 0x58, Size::B8, RAM);
    d.dma().write(RAM, &[0x23, 0, 0, 4, 0, 0, 1, 0x80]).unwrap();
    d.set(0x28, Size::B1, 2 << 3);
    d.set(0x04, Size::B4, 2 << 16 | 512);
    d.set(0x0c, Size::B2, 0x3b);
    d.issue(18, 0, 0x3a);
    assert_eq!(d.take(), 3);
    assert_eq!(d.command(13, d.rca, 2), 0x900);
}
