//! The card, driven as Linux' `snd_ens1370` does it.

use super::*;
use crate::bench::{Bench, RAM};
use std::cell::RefCell;
use std::rc::Rc;

/// What was played on a stream.
type Played = (u32, Vec<u8>);

/// What was played; what is recorded counts up.
#[derive(Clone, Default)]
struct Tape(Rc<RefCell<Vec<Played>>>);

impl Tape {
    fn of(&self, stream: u32) -> Vec<u8> {
        self.0.borrow().iter().filter(|(n, _)| *n == stream).flat_map(|(_, bytes)| bytes.clone()).collect()
    }
}

impl Audio for Tape {
    fn play(&mut self, stream: u32, _format: AudioFormat, frames: &[u8]) {
        self.0.borrow_mut().push((stream, frames.to_vec()));
    }

    fn record(&mut self, _stream: u32, _format: AudioFormat, frames: &mut [u8]) {
        frames.iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
    }
}

fn card(bench: &mut Bench) -> (Es1370, Tape) {
    let tape = Tape::default();
    let mut d = Es1370::new(bench.kit(NAME), Box::new(tape.clone()));
    d.write_config(reg::COMMAND, Size::B2, 5);
    // Everything is heard as it is.
    for (n, value) in [(0x16, 3), (0, 0), (1, 0), (2, 6), (3, 6), (4, 6), (5, 6), (0x10, 0x60), (0x11, 0x0c)] {
        d.write(0, 0x10, Size::B2, n << 8 | value);
    }
    (d, tape)
}

/// Buffer of `words` words at RAM for a channel, and an interrupt after each `samples`.
fn prepare(d: &mut Es1370, n: u64, words: u64, samples: u64) {
    let place = BITS[n as usize].frame as u64;
    d.write(0, 0x0c, Size::B4, place / 4);
    d.write(0, 0x30 + 4 * (place % 4), Size::B4, RAM);
    d.write(0, 0x34 + 4 * (place % 4), Size::B4, words - 1);
    d.write(0, 0x24 + 4 * n, Size::B4, samples - 1);
}

fn wait(bench: &mut Bench, d: &mut Es1370, ns: u64) {
    let end = bench.queue.now() + ns;
    let mut events = 0;
    while let Some(due) = bench.queue.pop(end) {
        events += 1;
        assert!(events < 100_000, "too many events");
        bench.queue.set_now(due.at);
        d.event(due.token);
    }
    bench.queue.set_now(end);
}

#[test]
fn dac2_loops_over_its_buffer_and_interrupts() {
    let mut bench = Bench::new();
    let (mut d, tape) = card(&mut bench);
    let sound: Vec<u8> = (0..4096u32).map(|n| (n / 3) as u8).collect();
    bench.dma().write(RAM, &sound).unwrap();
    // 16 bits, stereo, 44100 Hz; 1024 frames, an interrupt for each half.
    prepare(&mut d, 1, 1024, 512);
    d.write(0, 0x20, Size::B4, 0x0c | 0x200);
    d.write(0, 0x00, Size::B4, 30 << 16 | 0x20 | 3);
    assert_eq!((d.read(0, 0x04, Size::B4), d.config.intx()), (0x60, None));
    let frames = |n: u64| (n * 1_000_000_000).div_ceil(44_100);
    wait(&mut bench, &mut d, frames(512));
    assert_eq!((d.read(0, 0x04, Size::B4), d.config.intx()), (0x8000_0062, Some(0)));
    assert_eq!((d.read(0, 0x3c, Size::B4), d.read(0, 0x28, Size::B4)), (0x0200_03ff, 0x01ff_01ff));
    // The driver's way to acknowledge.
    d.write(0, 0x20, Size::B4, 0x0c);
    d.write(0, 0x20, Size::B4, 0x0c | 0x200);
    assert_eq!(d.config.intx(), None);
    let rest = frames(1124) - bench.queue.now();
    wait(&mut bench, &mut d, rest);
    assert_eq!((d.read(0, 0x3c, Size::B4) >> 16, d.read(0, 0x28, Size::B4) >> 16), (100, 511 - 100));
    assert_eq!(tape.of(1), [&sound[..], &sound[..400]].concat());
    assert_eq!((bench.guest_errors(), bench.unimplemented()), (0, 0));
}

#[test]
fn dac1_stops_where_it_is_told_to_and_volumes_count() {
    let mut bench = Bench::new();
    let (mut d, tape) = card(&mut bench);
    bench.dma().write(RAM, &[0xc0; 64]).unwrap();
    prepare(&mut d, 0, 16, 40);
    d.write(0, 0x10, Size::B2, 0x0400 | 9);
    // 8 bits, mono, 22050 Hz, and no more after 40 samples.
    d.write(0, 0x20, Size::B4, 0x100 | 0x2000);
    d.write(0, 0x00, Size::B4, 2 << 12 | 0x40 | 3);
    wait(&mut bench, &mut d, 1_000_000_000);
    assert_eq!((tape.of(0), d.read(0, 4, Size::B4) & 7), (vec![0x80 + 32; 40], 4));
    d.write(0, 0x24, Size::B4, 9);
    wait(&mut bench, &mut d, 1_000_000_000);
    assert_eq!(tape.of(0).len(), 50);
    d.write(0, 0x10, Size::B2, 0x1600);
    d.write(0, 0x24, Size::B4, 0);
    wait(&mut bench, &mut d, 1_000_000_000);
    assert_eq!(tape.of(0)[50..], [0x80]);
}

#[test]
fn the_adc_records() {
    let mut bench = Bench::new();
    let (mut d, _) = card(&mut bench);
    prepare(&mut d, 2, 4, 8);
    d.write(0, 0x20, Size::B4, 0x20 | 0x400);
    d.write(0, 0x00, Size::B4, 0x10 | 0x1fff << 16);
    wait(&mut bench, &mut d, 8 * 1_000_000_000 / 172 + 1);
    assert_eq!((d.read(0, 4, Size::B4) & 7, d.read(0, 0x34, Size::B4)), (1, 3));
    assert_ne!(bench.dma().array::<16>(RAM).unwrap(), [0; 16]);
}

#[test]
fn odd_buffers_and_fast_clocks_are_bounded() {
    let mut bench = Bench::new();
    let (mut d, _) = card(&mut bench);
    for serial in [0, 0x3f | 0x700, 0x2a] {
        for n in 0..3 {
            prepare(&mut d, n, 1, 1);
        }
        d.write(0, 0x20, Size::B4, serial);
        d.write(0, 0x00, Size::B4, 0x70);
        wait(&mut bench, &mut d, 100_000_000);
        d.write(0, 0x0c, Size::B4, 0xc);
        d.write(0, 0x34, Size::B4, 0xffff_0002);
        wait(&mut bench, &mut d, 10_000_000);
    }
    d.write(0, 0x08, Size::B1, 1);
    assert_eq!((bench.guest_errors(), bench.unimplemented()), (0, 1));
}
