//! The controller, driven as Linux' `snd_intel8x0` does it.

use super::*;
use crate::bench::{Bench, RAM};
use std::cell::RefCell;
use std::rc::Rc;

/// What was played; what is recorded counts up.
#[derive(Clone, Default)]
struct Tape(Rc<RefCell<Vec<u8>>>);

impl Audio for Tape {
    fn play(&mut self, stream: u32, format: AudioFormat, frames: &[u8]) {
        assert_eq!((stream, format.frame()), (1, 4));
        self.0.borrow_mut().extend_from_slice(frames);
    }

    fn record(&mut self, _stream: u32, _format: AudioFormat, frames: &mut [u8]) {
        frames.iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
    }
}

fn card(bench: &mut Bench) -> (Ac97, Tape) {
    let tape = Tape::default();
    let mut d = Ac97::new(bench.kit(NAME), Box::new(tape.clone()));
    d.write_config(reg::COMMAND, Size::B2, 5);
    // Full volume, without mutes.
    d.write(0, 0x02, Size::B2, 0);
    d.write(0, 0x18, Size::B2, 0x0808);
    d.write(0, 0x1c, Size::B2, 0);
    (d, tape)
}

/// A list of buffers of `samples` each, one after the other at RAM + 0x1000, an interrupt after each.
fn list(bench: &Bench, at: u64, samples: &[u16]) {
    let mut addr = RAM as u32 + 0x1000;
    for (n, len) in samples.iter().enumerate() {
        let entry = [&addr.to_le_bytes()[..], &len.to_le_bytes(), &0x8000u16.to_le_bytes()].concat();
        bench.dma().write(at + 8 * n as u64, &entry).unwrap();
        addr += 2 * u32::from(*len);
    }
}

fn wait(bench: &mut Bench, d: &mut Ac97, ns: u64) {
    let end = bench.queue.now() + ns;
    let mut events = 0;
    while let Some(due) = bench.queue.pop(end) {
        events += 1;
        assert!(events < 10_000, "too many events");
        bench.queue.set_now(due.at);
        d.event(due.token);
    }
    bench.queue.set_now(end);
}

fn start(d: &mut Ac97, base: u64, last: u64) {
    d.write(1, base + 0xb, Size::B1, 2);
    d.write(1, base, Size::B4, RAM);
    d.write(1, base + 5, Size::B1, last);
    d.write(1, base + 0xb, Size::B1, 0x1d);
}

#[test]
fn buffers_are_played_at_their_rate_and_interrupt() {
    let mut bench = Bench::new();
    let (mut d, tape) = card(&mut bench);
    let sound: Vec<u8> = (0..3840u32).map(|n| n as u8).collect();
    bench.dma().write(RAM + 0x1000, &sound).unwrap();
    // Two buffers of 10 ms.
    list(&bench, RAM, &[960, 960]);
    start(&mut d, 0x10, 1);
    assert_eq!((d.read(1, 0x14, Size::B1), d.read(1, 0x1a, Size::B1)), (0, 1));
    wait(&mut bench, &mut d, 5_000_000);
    assert_eq!((d.read(1, 0x18, Size::B2), d.read(1, 0x30, Size::B4)), (480, 0x100));
    assert_eq!((tape.0.borrow().len(), d.config.intx()), (960, None));
    wait(&mut bench, &mut d, 5_000_000);
    assert_eq!((d.read(1, 0x16, Size::B2), d.read(1, 0x30, Size::B4), d.config.intx()), (8, 0x140, Some(0)));
    d.write(1, 0x16, Size::B2, 8);
    assert_eq!((d.read(1, 0x14, Size::B4), d.config.intx()), (0x0101, None));
    wait(&mut bench, &mut d, 20_000_000);
    // Complete, last, halted at the last.
    assert_eq!((d.read(1, 0x16, Size::B2), d.read(1, 0x18, Size::B4)), (0xf, 0x1d02_0000));
    assert_eq!(*tape.0.borrow(), sound);
    // The driver moves the end on: the list goes on behind it.
    list(&bench, RAM, &[960, 960, 480]);
    d.write(1, 0x16, Size::B2, 0x1c);
    d.write(1, 0x15, Size::B1, 2);
    wait(&mut bench, &mut d, 5_000_000);
    assert_eq!((d.read(1, 0x14, Size::B4), tape.0.borrow().len()), (0x000f_0202, 4800));
    assert_eq!(bench.guest_errors(), 0);
}

#[test]
fn rates_and_volumes_count() {
    let mut bench = Bench::new();
    let (mut d, tape) = card(&mut bench);
    d.write(0, 0x2c, Size::B2, 8000);
    d.write(0, 0x02, Size::B2, 0x0400);
    bench.dma().write(RAM + 0x1000, &[0x00, 0x40].repeat(160)).unwrap();
    list(&bench, RAM, &[160]);
    start(&mut d, 0x10, 0);
    wait(&mut bench, &mut d, 9_999_999);
    assert_eq!((d.read(1, 0x18, Size::B2), tape.0.borrow().len()), (2, 316));
    wait(&mut bench, &mut d, 1);
    assert_eq!((tape.0.borrow().len(), &tape.0.borrow()[..4]), (320, &[0x13, 0x20, 0x00, 0x40][..]));
    d.write(0, 0x2a, Size::B2, 0);
    d.write(0, 0x2c, Size::B2, 8000);
    assert_eq!(d.read(0, 0x2c, Size::B2), 48_000);
    d.write(0, 0, Size::B2, 0);
    assert_eq!((d.read(0, 2, Size::B2), d.read(0, 0x7c, Size::B2)), (0x8000, 0x8384));
}

#[test]
fn recording_fills_buffers() {
    let mut bench = Bench::new();
    let (mut d, _) = card(&mut bench);
    list(&bench, RAM, &[8, 8]);
    for base in [0, 0x20] {
        bench.dma().write(RAM + 0x1000, &[0xee; 40]).unwrap();
        start(&mut d, base, 1);
        wait(&mut bench, &mut d, 1_000_000);
        let bytes = bench.dma().array::<40>(RAM + 0x1000).unwrap();
        assert_eq!((bytes[0], bytes[15], bytes[31], bytes[32]), (1, 16, 16, 0xee));
        assert_eq!(d.read(1, base + 6, Size::B1), 0xf);
    }
}

#[test]
fn the_semaphore_is_taken_once() {
    let mut bench = Bench::new();
    let (mut d, _) = card(&mut bench);
    assert_eq!([0; 2].map(|_| d.read(1, 0x34, Size::B1)), [0, 1]);
    let _ = d.read(0, 0x7e, Size::B2);
    assert_eq!(d.read(1, 0x34, Size::B1), 0);
    // Linux' cold reset.
    d.write(1, 0x2c, Size::B4, 2);
    d.write(1, 0x2c, Size::B4, 0);
    d.write(1, 0x2c, Size::B4, 6);
    assert_eq!((d.read(1, 0x2c, Size::B4), d.read(0, 2, Size::B2)), (2, 0x8000));
}

#[test]
fn bad_lists_and_rates_end() {
    let mut bench = Bench::new();
    let (mut d, _) = card(&mut bench);
    // Nothing but empty buffers; then no list at all; then no time that passes.
    list(&bench, RAM, &[0; 32]);
    start(&mut d, 0x10, 31);
    wait(&mut bench, &mut d, 1_000_000_000);
    assert_eq!(d.read(1, 0x14, Size::B4), 0x000f_1f1f);
    assert_eq!(bench.guest_errors(), 0);
    d.write(1, 0x1b, Size::B1, 2);
    d.write(1, 0x1b, Size::B1, 0x1d);
    wait(&mut bench, &mut d, 1_000_000_000);
    assert_eq!((d.read(1, 0x16, Size::B1), bench.guest_errors()), (0x17, 1));
    for rate in [0, 1, 0xffff] {
        d.write(0, 0x2c, Size::B2, rate);
        list(&bench, RAM, &[0xffff; 32]);
        start(&mut d, 0x10, 31);
        wait(&mut bench, &mut d, 1_000_000_000);
    }
}
