//! Devices on a bus, without a controller.

use super::descriptor::IN;
use super::*;
use crate::bench::{Bench, BenchBackends};
use crate::model::{self, Build, Child, Props, Value, Wants};

const FULL: &[Speed] = &[Speed::Low, Speed::Full];
const HIGH: &[Speed] = &[Speed::Full, Speed::High];

fn child(name: &str, port: &str) -> (Props, Child) {
    let kind = model::find(name).unwrap();
    let mut props = kind.defaults();
    props.set("port", Value::Text(port.to_owned()));
    if name == "usb-storage" {
        props.set("drive", Value::Text("bench".to_owned()));
    }
    let mut backends = BenchBackends::new(&Bench::new());
    let Build::Child(_, build) = kind.model.build else { panic!("{name}") };
    let child = build(&mut Wants::new(&props, &mut backends)).unwrap();
    (props, child)
}

fn plug(bus: &mut Bus, name: &str, port: &str) -> Result<u32, String> {
    let (props, child) = child(name, port);
    bus.plug(&props, child)
}

/// A control transfer that reads.
fn read(bus: &mut Bus, at: usize, setup: [u8; 8]) -> Option<Vec<u8>> {
    assert_eq!(bus.setup(at, setup), Reply::Done(8));
    let mut buf = vec![0; 1024];
    let Reply::Done(n) = bus.input(0, at, 0, &mut buf) else { return None };
    assert_eq!(bus.output(at, 0, &[]), Reply::Done(0));
    Some(buf[..n].to_vec())
}

/// A control transfer without data; did it go well?
fn ask(bus: &mut Bus, at: usize, setup: [u8; 8]) -> bool {
    assert_eq!(bus.setup(at, setup), Reply::Done(8));
    bus.input(0, at, 0, &mut []) == Reply::Done(0)
}

fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &code.to_le_bytes(), &value.to_le_bytes()].concat()
}

#[test]
fn addresses_configurations_and_halts_are_kept() {
    let mut bus = Bus::new(vec![HIGH]);
    plug(&mut bus, "usb-mouse", "1").unwrap();
    let at = bus.find(&[1]).unwrap();
    assert!(ask(&mut bus, at, [0, 5, 9, 0, 0, 0, 0, 0]));
    assert_eq!(
        (bus.addressed(9, |_| true), bus.addressed(9, |_| false), bus.addressed(0, |_| true)),
        (Some(at), None, None)
    );
    assert_eq!(bus.input(0, at, 1, &mut [0; 4]), Reply::Stall, "it is not configured");
    assert!(ask(&mut bus, at, [0, 9, 1, 0, 0, 0, 0, 0]));
    assert_eq!(read(&mut bus, at, [0x80, 8, 0, 0, 0, 0, 1, 0]), Some(vec![1]));
    assert_eq!(bus.input(0, at, 1, &mut [0; 4]), Reply::Nak);
    assert!(ask(&mut bus, at, [2, 3, 0, 0, IN | 1, 0, 0, 0]));
    assert_eq!(bus.input(0, at, 1, &mut [0; 4]), Reply::Stall);
    assert_eq!(read(&mut bus, at, [0x82, 0, 0, 0, IN | 1, 0, 2, 0]), Some(vec![1, 0]));
    assert!(ask(&mut bus, at, [2, 1, 0, 0, IN | 1, 0, 0, 0]));
    assert_eq!(bus.input(0, at, 1, &mut [0; 4]), Reply::Nak);
    assert_eq!(
        read(&mut bus, at, [0x80, 6, 2, 3, 9, 4, 255, 0]).map(|s| s[2..10].to_vec()),
        Some(b"Q\0E\0M\0U\0".to_vec())
    );
    assert_eq!(read(&mut bus, at, [0x80, 6, 0, 6, 0, 0, 10, 0]).map(|q| q[2..4].to_vec()), Some(vec![0, 1]));
    assert!(!ask(&mut bus, at, [0x40, 1, 0, 0, 0, 0, 0, 0]));
    let saved = bus.save().unwrap();
    bus.reset_port(1);
    assert_eq!(bus.addressed(9, |_| true), None);
    bus.load(saved).unwrap();
    assert_eq!(bus.addressed(9, |_| true), Some(at));
}

#[test]
fn hubs_reset_and_enable_what_is_behind_them() {
    let mut bus = Bus::new(vec![FULL, FULL]);
    plug(&mut bus, "usb-hub", "2").unwrap();
    let number = plug(&mut bus, "usb-kbd", "2.3").unwrap();
    assert!(plug(&mut bus, "usb-kbd", "2.3").is_err());
    assert!(plug(&mut bus, "usb-kbd", "1.1").is_err());
    assert!(plug(&mut bus, "usb-kbd", "2.9").is_err());
    assert_eq!((bus.find(&[2, 3]), bus.root_of(number)), (None, Some(2)));
    let hub = bus.find(&[2]).unwrap();
    assert_eq!(read(&mut bus, hub, [0xa0, 6, 0, 0x29, 0, 0, 16, 0]).map(|d| (d[0], d[2])), Some((11, 8)));
    assert!(ask(&mut bus, hub, [0, 9, 1, 0, 0, 0, 0, 0]));
    let mut changed = [0; 2];
    assert_eq!((bus.input(0, hub, 1, &mut changed), changed), (Reply::Done(2), [8, 0]));
    assert!(ask(&mut bus, hub, [0x23, 1, 16, 0, 3, 0, 0, 0]));
    assert_eq!(bus.input(0, hub, 1, &mut changed), Reply::Nak);
    assert!(ask(&mut bus, hub, [0x23, 3, 4, 0, 3, 0, 0, 0]));
    assert_eq!(read(&mut bus, hub, [0xa3, 0, 0, 0, 3, 0, 4, 0]), Some(vec![3, 1, 16, 0]));
    assert!(bus.find(&[2, 3]).is_some());
    assert!(bus.unplug(0).is_err(), "the hub is in use");
    bus.unplug(number).unwrap();
    assert_eq!(read(&mut bus, hub, [0xa3, 0, 0, 0, 3, 0, 4, 0]), Some(vec![0, 1, 19, 0]));
    bus.unplug(0).unwrap();
}

#[test]
fn the_last_port_gets_a_hub() {
    let mut bus = Bus::new(vec![FULL]);
    for _ in 0..10 {
        plug(&mut bus, "usb-tablet", "").unwrap();
    }
    assert_eq!(bus.moved(), [1], "the first hub");
    assert_eq!(bus.speed(1), Some(Speed::Full));
    bus.reset();
    assert_eq!(plug(&mut bus, "usb-kbd", "1"), Err("usb port 1 (bus usb) not found (in use?)".to_owned()));
}

#[test]
fn movements_are_split_and_joined() {
    let mut bus = Bus::new(vec![HIGH]);
    let number = plug(&mut bus, "usb-mouse", "1").unwrap();
    let at = bus.find(&[1]).unwrap();
    ask(&mut bus, at, [0, 9, 1, 0, 0, 0, 0, 0]);
    let move_by = [event(2, 0, 100), event(2, 1, -1), event(0, 0, 0)].concat();
    bus.receive(number, &[move_by.clone(), move_by.clone()].concat());
    bus.receive(number, &[event(1, 0x111, 1), event(2, 8, -1), event(0, 0, 0)].concat());
    let mut report = [0; 4];
    let mut next = |bus: &mut Bus| (bus.input(0, at, 1, &mut report) == Reply::Done(4)).then_some(report);
    assert_eq!(next(&mut bus), Some([0, 127, 0xfe, 0]));
    assert_eq!(next(&mut bus), Some([0, 73, 0, 0]));
    assert_eq!(next(&mut bus), Some([2, 0, 0, 0xff]));
    assert_eq!(next(&mut bus), None);
    // The boot protocol has no wheel; a report that does not fit is too much.
    assert!(ask(&mut bus, at, [0x21, 11, 0, 0, 0, 0, 0, 0]));
    bus.receive(number, &move_by);
    assert_eq!(bus.input(0, at, 1, &mut [0; 2]), Reply::Babble);
    bus.receive(number, &event(2, 0, i32::MIN).repeat(3));
    bus.receive(number, &[1, 2, 3]);
    assert!(bus.room(number) > 0);
}

#[test]
fn unchanged_reports_are_repeated_when_the_host_wants_that() {
    let mut bus = Bus::new(vec![HIGH]);
    plug(&mut bus, "usb-kbd", "1").unwrap();
    let at = bus.find(&[1]).unwrap();
    ask(&mut bus, at, [0, 9, 1, 0, 0, 0, 0, 0]);
    assert!(ask(&mut bus, at, [0x21, 10, 0, 5, 0, 0, 0, 0]));
    let mut report = [0; 8];
    assert_eq!(bus.input(20_000_000, at, 1, &mut report), Reply::Done(8));
    assert_eq!(bus.input(39_999_999, at, 1, &mut report), Reply::Nak);
    assert_eq!(bus.input(40_000_000, at, 1, &mut report), Reply::Done(8));
}

#[test]
fn wrappers_that_are_not_valid_need_a_reset() {
    let mut bus = Bus::new(vec![HIGH]);
    plug(&mut bus, "usb-storage", "1").unwrap();
    let at = bus.find(&[1]).unwrap();
    ask(&mut bus, at, [0, 9, 1, 0, 0, 0, 0, 0]);
    assert_eq!(bus.input(0, at, 1, &mut [0; 13]), Reply::Nak);
    assert_eq!(bus.output(at, 2, b"USBC"), Reply::Stall);
    ask(&mut bus, at, [2, 1, 0, 0, 2, 0, 0, 0]);
    assert_eq!(bus.output(at, 2, &[0; 31]), Reply::Stall);
    assert!(ask(&mut bus, at, [0x21, 0xff, 0, 0, 0, 0, 0, 0]));
    ask(&mut bus, at, [2, 1, 0, 0, 2, 0, 0, 0]);
    // WRITE(10) of one block, in two pieces, after the unit attention.
    let mut wrapper = b"USBC\x01\0\0\0\x00\x02\0\0\0\0\x0a\x2a".to_vec();
    wrapper.extend([0, 0, 0, 0, 3, 0, 0, 1]);
    wrapper.resize(31, 0);
    for status in [1, 0] {
        assert_eq!(bus.output(at, 2, &wrapper), Reply::Done(31));
        assert_eq!(bus.input(0, at, 1, &mut [0; 13]), Reply::Nak);
        assert_eq!(bus.output(at, 2, &[5; 500]), Reply::Done(500));
        assert_eq!(bus.output(at, 2, &[5; 12]), Reply::Done(12));
        let mut answer = [0; 13];
        assert_eq!(bus.input(0, at, 1, &mut answer), Reply::Done(13));
        assert_eq!((&answer[..8], answer[12]), (&b"USBS\x01\0\0\0"[..], status));
    }
}
