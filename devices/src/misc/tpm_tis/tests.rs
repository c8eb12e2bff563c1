//! The interface, driven as Linux' `tpm_tis` does it.

use super::*;
use crate::bench::Bench;
use std::cell::RefCell;
use std::rc::Rc;

/// What the TPM has been asked to do.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Asked {
    Start,
    Submit(u8, Vec<u8>),
    Cancel,
    ResetEstablished(u8),
}

/// A TPM that writes down what it is asked.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<Asked>>>);

impl Log {
    fn take(&self) -> Vec<Asked> {
        self.0.take()
    }
}

impl Tpm for Log {
    fn version(&self) -> TpmVersion {
        TpmVersion::V2_0
    }

    fn buffer_size(&self) -> usize {
        3968
    }

    fn start(&mut self) {
        self.0.borrow_mut().push(Asked::Start);
    }

    fn established(&mut self) -> bool {
        false
    }

    fn reset_established(&mut self, locality: u8) {
        self.0.borrow_mut().push(Asked::ResetEstablished(locality));
    }

    fn submit(&mut self, locality: u8, command: &[u8]) {
        self.0.borrow_mut().push(Asked::Submit(locality, command.to_vec()));
    }

    fn cancel(&mut self) {
        self.0.borrow_mut().push(Asked::Cancel);
    }
}

fn tis(bench: &mut Bench) -> (Tis, Log) {
    let log = Log::default();
    let d = Tis::new(bench.kit(NAME), bench.line(), Box::new(log.clone()), 5);
    assert_eq!(log.take(), [Asked::Start]);
    (d, log)
}

fn get(d: &mut Tis, locality: u64, at: u64) -> u64 {
    d.read(0, locality << 12 | at, Size::B4)
}

fn access(d: &mut Tis, locality: u64) -> u64 {
    d.read(0, locality << 12, Size::B1)
}

fn set(d: &mut Tis, locality: u64, at: u64, value: u64) {
    d.write(0, locality << 12 | at, Size::B1, value);
}

/// TPM2_SelfTest, and its response.
const COMMAND: [u8; 11] = [0x80, 0x01, 0, 0, 0, 11, 0, 0, 0x01, 0x43, 1];
const RESPONSE: [u8; 10] = [0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0];

/// Locality `n` writes the command, and lets it run.
fn command(d: &mut Tis, n: u64) {
    set(d, n, 0x18, 0x40);
    assert_eq!(get(d, n, 0x18) & 0xfb, 0x40);
    for (i, byte) in COMMAND.iter().enumerate() {
        set(d, n, 0x24, u64::from(*byte));
        assert_eq!(get(d, n, 0x18) & 0xfb, if i < 10 { 0x88 } else { 0x80 });
    }
    set(d, n, 0x18, 0x20);
}

#[test]
fn a_command_goes_there_and_its_response_comes_back() {
    let mut bench = Bench::new();
    let (mut d, log) = tis(&mut bench);
    assert_eq!((get(&mut d, 0, 0xf00), get(&mut d, 0, 0x14), get(&mut d, 0, 0x30)), (0x11014, 0x3000_0697, 0x2100));
    assert_eq!((access(&mut d, 0), get(&mut d, 0, 0x18)), (0x81, 0xffff_ffff));
    set(&mut d, 0, 0, 2);
    assert_eq!((access(&mut d, 0), get(&mut d, 0, 0x18)), (0xa1, 1 << 26 | 3968 << 8));
    d.write(0, 0x08, Size::B4, 0x8000_0083);
    command(&mut d, 0);
    assert!(d.line.level());
    d.write(0, 0x10, Size::B4, 0x80);
    assert_eq!((log.take(), d.line.level()), (vec![Asked::Submit(0, COMMAND.to_vec())], false));
    assert_eq!((d.room(0), d.room(1)), (10, 0));
    d.receive(0, &RESPONSE[..7]);
    assert_eq!((d.room(0), d.line.level()), (3, false));
    d.receive(0, &RESPONSE[7..]);
    assert_eq!((d.room(0), d.line.level(), get(&mut d, 0, 0x10)), (0, true, 3));
    assert_eq!(get(&mut d, 0, 0x18), 1 << 26 | 10 << 8 | 0x94);
    assert_eq!(d.read(0, 0x80, Size::B4), 0x0000_0180);
    let rest: Vec<u8> = (4..10).map(|_| d.read(0, 0x24, Size::B1) as u8).collect();
    assert_eq!((&rest[..], get(&mut d, 0, 0x18) & 0xff), (&RESPONSE[4..], 0x84));
    assert_eq!(d.read(0, 0x24, Size::B2), 0xffff);
    set(&mut d, 0, 0x18, 2);
    assert_eq!((get(&mut d, 0, 0x18) & 0xff, d.read(0, 0x24, Size::B1)), (0x94, 0x80));
    set(&mut d, 0, 0x18, 0x40);
    set(&mut d, 0, 0, 0x20);
    assert_eq!((access(&mut d, 0), bench.guest_errors()), (0x81, 0));
    d.reset();
    assert_eq!((log.take(), d.line.level()), (vec![Asked::Start], false));
}

#[test]
fn localities_request_and_seize() {
    let mut bench = Bench::new();
    let (mut d, _) = tis(&mut bench);
    set(&mut d, 0, 0, 2);
    set(&mut d, 1, 0, 2);
    set(&mut d, 2, 0, 2);
    assert_eq!([0, 1, 2, 3].map(|n| access(&mut d, n)), [0xa5, 0x87, 0x87, 0x85]);
    // Given up: the highest that waits.
    set(&mut d, 0, 0, 0x20);
    assert_eq!([0, 1, 2].map(|n| access(&mut d, n)), [0x85, 0x83, 0xa5]);
    // No longer wanted.
    set(&mut d, 1, 0, 0x20);
    // A lower one cannot seize; a higher one can.
    set(&mut d, 1, 0, 8);
    assert_eq!([1, 2].map(|n| access(&mut d, n)), [0x81, 0xa1]);
    set(&mut d, 3, 0, 8);
    assert_eq!([2, 3].map(|n| access(&mut d, n)), [0x91, 0xa1]);
    set(&mut d, 2, 0, 0x10);
    assert_eq!(access(&mut d, 2), 0x81);
    assert_eq!(bench.guest_errors(), 0);
    set(&mut d, 4, 0, 8);
    assert_eq!((access(&mut d, 4), bench.guest_errors()), (0x81, 1));
}

#[test]
fn commands_are_cancelled_and_aborted() {
    let mut bench = Bench::new();
    let (mut d, log) = tis(&mut bench);
    set(&mut d, 0, 0, 2);
    command(&mut d, 0);
    log.take();
    set(&mut d, 0, 0x1b, 1);
    assert_eq!(log.take(), [Asked::Cancel]);
    // The same locality gives it up: ready as soon as the response is there.
    set(&mut d, 0, 0x18, 0x40);
    assert_eq!((log.take(), get(&mut d, 0, 0x18) & 0xc0), (vec![Asked::Cancel], 0x80));
    d.receive(0, &RESPONSE);
    assert_eq!(get(&mut d, 0, 0x18) & 0xff, 0x44);
    // A higher one takes it.
    command(&mut d, 0);
    set(&mut d, 3, 0, 8);
    assert_eq!(access(&mut d, 0) & 0x20, 0x20);
    d.receive(0, &RESPONSE);
    assert_eq!([0, 3].map(|n| access(&mut d, n)), [0x91, 0xa1]);
    assert_eq!((get(&mut d, 3, 0x18) & 0xff, d.room(0)), (4, 0));
    log.take();
    set(&mut d, 3, 0x1b, 2);
    assert_eq!(log.take(), [Asked::ResetEstablished(3)]);
}

#[test]
fn bad_lengths_are_harmless() {
    let mut bench = Bench::new();
    let (mut d, log) = tis(&mut bench);
    set(&mut d, 0, 0, 2);
    set(&mut d, 0, 0x24, 1);
    assert_eq!(bench.guest_errors(), 1);
    set(&mut d, 0, 0x18, 0x40);
    for _ in 0..2000 {
        d.write(0, 0x24, Size::B4, 0xffff_ffff);
    }
    assert_eq!(get(&mut d, 0, 0x18) & 0xff, 0x80);
    set(&mut d, 0, 0x18, 0x20);
    assert!(matches!(&log.take()[..], [Asked::Submit(0, bytes)] if bytes.len() == 3968));
    let mut left = 5000;
    while d.room(0) > 0 && left > 0 {
        let n = d.room(0).min(left);
        d.receive(0, &vec![0xff; n]);
        left -= n;
    }
    assert_eq!((left, get(&mut d, 0, 0x18) & 0xff), (5000 - 3968, 0x90));
    for _ in 0..4000 {
        assert_eq!(d.read(0, 0x24, Size::B1), 0xff);
    }
    // A response that is shorter than any.
    command(&mut d, 0);
    d.receive(0, &[0; 40]);
    assert_eq!(get(&mut d, 0, 0x18) >> 8 & 0xffff, 10);
}
