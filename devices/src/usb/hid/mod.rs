//! `usb-kbd`, `usb-mouse` and `usb-tablet` (HID 1.11).
//!
//! Input enters at the port that the bus has given the device, in the form of virtio-input: eight bytes an event, with type,
//! code (16 bits) and value (32 bits) of Linux' `input-event-codes.h`, all little-endian; a report ends with `EV_SYN`.

mod keys;
mod shapes;

use super::{Descriptors, Reply, Setup, Shape, Speed, Stall, UsbDevice};
use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Wants};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tern_core::snapshot::{self, StateError, check};

/// Length of an event in bytes.
const EVENT: usize = 8;
/// Most changes that wait for the host.
const MOST: usize = 256;
/// The largest coordinate of a tablet, and the farthest that a mouse goes between two reports.
const AXIS_MAX: i32 = 0x7fff;
/// Keys in a report, and what stands in all places when there are more (HID 1.11, appendix C).
const KEYS: usize = 6;
const ROLLOVER: u8 = 1;
/// Unit of the idle rate in nanoseconds.
const IDLE_NS: u64 = 4_000_000;

/// Types of events, and their codes.
mod ev {
    pub(super) const SYN: u16 = 0;
    pub(super) const KEY: u16 = 1;
    pub(super) const REL: u16 = 2;
    pub(super) const ABS: u16 = 3;
    pub(super) const WHEEL: u16 = 8;
    pub(super) const FIRST_BUTTON: u16 = 0x110;
    pub(super) const LAST_BUTTON: u16 = 0x114;
}

/// Requests of the class (7.2).
mod request {
    pub(super) const GET_REPORT: u8 = 1;
    pub(super) const GET_IDLE: u8 = 2;
    pub(super) const GET_PROTOCOL: u8 = 3;
    pub(super) const GET_DESCRIPTOR: u8 = 6;
    pub(super) const SET_REPORT: u8 = 9;
    pub(super) const SET_IDLE: u8 = 10;
    pub(super) const SET_PROTOCOL: u8 = 11;
}

/// Types of reports (7.2.1).
const INPUT: u8 = 1;
const OUTPUT: u8 = 2;

/// What a device of this family is.
#[derive(PartialEq, Eq)]
enum Sort {
    Keyboard,
    Mouse,
    Tablet,
}

struct Profile {
    kind: &'static str,
    sort: Sort,
    names: [&'static str; 2],
    serial: &'static str,
    strings: &'static [&'static str],
    hid: &'static [u8],
    report: &'static [u8],
    shapes: &'static [(Speed, Shape)],
}

static KEYBOARD: Profile = Profile {
    kind: "usb-kbd",
    sort: Sort::Keyboard,
    names: ["QEMU", "QEMU USB Keyboard"],
    serial: "68284",
    strings: &["HID Keyboard"],
    hid: &shapes::KEYBOARD_HID,
    report: &shapes::KEYBOARD,
    shapes: &shapes::KEYBOARD_SHAPES,
};

static MOUSE: Profile = Profile {
    kind: "usb-mouse",
    sort: Sort::Mouse,
    names: ["QEMU", "QEMU USB Mouse"],
    serial: "89126",
    strings: &["HID Mouse"],
    hid: &shapes::MOUSE_HID,
    report: &shapes::MOUSE,
    shapes: &shapes::MOUSE_SHAPES,
};

static TABLET: Profile = Profile {
    kind: "usb-tablet",
    sort: Sort::Tablet,
    names: ["QEMU", "QEMU USB Tablet"],
    serial: "28754",
    strings: &["HID Tablet"],
    hid: &shapes::TABLET_HID,
    report: &shapes::TABLET,
    shapes: &shapes::TABLET_SHAPES,
};

static MOUSE_PROPS: &[Prop] = &[Prop::new("usb_version", PropKind::Number(32, 2), "1: full speed only; 2: high speed")];
static PROPS: &[Prop] = &[MOUSE_PROPS[0], Prop::only("display", &[""]), Prop::only("head", &["0"])];

const fn model(
    profile: &'static Profile,
    about: &'static str,
    props: &'static [Prop],
    build: fn(&mut Wants<'_>) -> Result<Child, String>,
) -> Model {
    let (name, class) = (profile.kind, Class::Input);
    Model { name, aliases: &[], class, about, parents: &["usb-hid"], props, bus: None, build: Build::Child(BusKind::Usb, build) }
}

/// The family.
pub static MODELS: &[Model] = &[
    model(&KEYBOARD, "USB keyboard with boot protocol (HID 1.11)", PROPS, |w| build(w, &KEYBOARD)),
    model(&MOUSE, "USB mouse with a wheel and boot protocol (HID 1.11)", MOUSE_PROPS, |w| build(w, &MOUSE)),
    model(&TABLET, "USB tablet: absolute positions (HID 1.11)", PROPS, |w| build(w, &TABLET)),
];

fn build(wants: &mut Wants<'_>, profile: &'static Profile) -> Result<Child, String> {
    let speeds = match wants.props.number("usb_version") {
        1 => 1,
        2 => 2,
        other => return Err(format!("Unsupported usb version {other} for usb hid device")),
    };
    Ok(Child::new(Box::new(Hid::new(profile, speeds, wants.props.text("serial"))) as Box<dyn UsbDevice>))
}

/// Buttons and movements of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Frame {
    buttons: u8,
    x: i32,
    y: i32,
    wheel: i32,
}

impl Frame {
    fn is_sane(&self) -> bool {
        [self.x, self.y, self.wheel].iter().all(|n| n.abs() <= AXIS_MAX)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    /// The report protocol, not the boot protocol.
    reports: bool,
    /// Unchanged reports are repeated so often; 0: never.
    idle: u8,
    /// When the last report went.
    last: u64,
    leds: u8,
    /// Keyboard: keys that have been pressed (true) or released.
    changes: VecDeque<(u8, bool)>,
    modifiers: u8,
    /// Usages of the other keys that are down, in the order in which they were pressed.
    down: Vec<u8>,
    /// Pointer: reports that wait, the one that is being made, and the one that went last.
    frames: VecDeque<Frame>,
    next: Frame,
    sent: Frame,
}

impl State {
    fn new() -> State {
        State {
            reports: true,
            idle: 0,
            last: 0,
            leds: 0,
            changes: VecDeque::new(),
            modifiers: 0,
            down: Vec::new(),
            frames: VecDeque::new(),
            next: Frame::default(),
            sent: Frame::default(),
        }
    }
}

/// The device.
struct Hid {
    profile: &'static Profile,
    descriptors: Descriptors,
    state: State,
}

impl Hid {
    /// With the first `speeds` of its speeds.
    fn new(profile: &'static Profile, speeds: usize, serial: &str) -> Hid {
        let serial = if serial.is_empty() { profile.serial } else { serial }.to_owned();
        let shapes = &profile.shapes[..speeds];
        let (names, strings) = (profile.names, profile.strings);
        let descriptors = Descriptors { ids: [0x0627, 1, 0], class: [0; 3], names, serial, strings, shapes };
        Hid { profile, descriptors, state: State::new() }
    }

    fn absolute(&self) -> bool {
        self.profile.sort == Sort::Tablet
    }

    fn event(&mut self, kind: u16, code: u16, value: i32) {
        let absolute = self.absolute();
        let state = &mut self.state;
        if self.profile.sort == Sort::Keyboard {
            // Repetition is the host's.
            if let Some(usage) = keys::usage(code).filter(|_| kind == ev::KEY && value < 2 && state.changes.len() < MOST) {
                state.changes.push_back((usage, value != 0));
            }
            return;
        }
        let within = |n: i32| n.clamp(-AXIS_MAX, AXIS_MAX);
        let next = &mut state.next;
        match (kind, code) {
            (ev::KEY, ev::FIRST_BUTTON..=ev::LAST_BUTTON) => {
                let bit = 1 << (code - ev::FIRST_BUTTON);
                next.buttons = next.buttons & !bit | if value != 0 { bit } else { 0 };
            }
            (ev::REL, 0) if !absolute => next.x = within(next.x.saturating_add(value)),
            (ev::REL, 1) if !absolute => next.y = within(next.y.saturating_add(value)),
            (ev::REL, ev::WHEEL) => next.wheel = within(next.wheel.saturating_add(value)),
            (ev::ABS, 0) if absolute => next.x = value.clamp(0, AXIS_MAX),
            (ev::ABS, 1) if absolute => next.y = value.clamp(0, AXIS_MAX),
            (ev::SYN, _) => self.close(),
            _ => {}
        }
    }

    /// A report of the pointer is complete.  It joins the last that waits if the buttons are the same.
    fn close(&mut self) {
        let absolute = self.absolute();
        let state = &mut self.state;
        let frame = state.next;
        if !absolute {
            (state.next.x, state.next.y) = (0, 0);
        }
        state.next.wheel = 0;
        let full = state.frames.len() >= MOST;
        let (x, y) = if absolute { (state.sent.x, state.sent.y) } else { (0, 0) };
        let sent = Frame { buttons: state.sent.buttons, x, y, wheel: 0 };
        let same = state.frames.is_empty() && frame == sent;
        match state.frames.back_mut().filter(|last| full || last.buttons == frame.buttons) {
            Some(last) => {
                let within = |n: i32| n.clamp(-AXIS_MAX, AXIS_MAX);
                let (x, y) = if absolute { (0, 0) } else { (last.x, last.y) };
                let (x, y, wheel) = (within(x + frame.x), within(y + frame.y), within(last.wheel + frame.wheel));
                *last = Frame { buttons: frame.buttons, x, y, wheel };
            }
            None if same => {}
            None => state.frames.push_back(frame),
        }
    }

    /// Goes on to the next report; is there one?
    fn step(&mut self) -> bool {
        let absolute = self.absolute();
        let state = &mut self.state;
        if let Some((usage, down)) = state.changes.pop_front() {
            if usage >= keys::MODIFIERS {
                let bit = 1u8 << ((usage - keys::MODIFIERS) & 7);
                state.modifiers = state.modifiers & !bit | if down { bit } else { 0 };
            } else {
                state.down.retain(|other| *other != usage);
                if down {
                    state.down.push(usage);
                }
            }
            return true;
        }
        let Some(frame) = state.frames.front_mut() else { return false };
        // What does not fit into a byte goes with the next report.
        let take = |n: &mut i32| {
            let part = (*n).clamp(-127, 127);
            *n -= part;
            part
        };
        let wheel = take(&mut frame.wheel);
        let (x, y) = if absolute { (frame.x, frame.y) } else { (take(&mut frame.x), take(&mut frame.y)) };
        state.sent = Frame { buttons: frame.buttons, x, y, wheel };
        if frame.wheel == 0 && (absolute || (frame.x, frame.y) == (0, 0)) {
            state.frames.pop_front();
        }
        true
    }

    /// The report as things are.
    fn report(&self) -> Vec<u8> {
        let State { reports, modifiers, down, sent, .. } = &self.state;
        let byte = |n: i32| n as i8 as u8;
        match self.profile.sort {
            Sort::Keyboard => {
                let mut bytes = vec![*modifiers, 0];
                if down.len() > KEYS {
                    bytes.extend([ROLLOVER; KEYS]);
                } else {
                    bytes.extend(down);
                }
                bytes.resize(2 + KEYS, 0);
                bytes
            }
            Sort::Mouse => {
                let bytes = vec![sent.buttons, byte(sent.x), byte(sent.y), byte(sent.wheel)];
                if *reports { bytes } else { bytes[..3].to_vec() }
            }
            Sort::Tablet => {
                let ([x0, x1, ..], [y0, y1, ..]) = (sent.x.to_le_bytes(), sent.y.to_le_bytes());
                vec![sent.buttons, x0, x1, y0, y1, byte(sent.wheel)]
            }
        }
    }
}

impl UsbDevice for Hid {
    fn kind(&self) -> &'static str {
        self.profile.kind
    }

    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>) -> Result<(), Stall> {
        let [low, high] = setup.value.to_le_bytes();
        let boot = self.profile.sort != Sort::Tablet;
        match (setup.kind, setup.request) {
            (0x81, request::GET_DESCRIPTOR) if high == shapes::DESCRIPTOR => data.extend(self.profile.hid),
            (0x81, request::GET_DESCRIPTOR) if high == shapes::REPORT => data.extend(self.profile.report),
            (0xa1, request::GET_REPORT) if high == INPUT => data.extend(self.report()),
            (0xa1, request::GET_REPORT) if high == OUTPUT && self.profile.sort == Sort::Keyboard => {
                data.push(self.state.leds);
            }
            (0x21, request::SET_REPORT) if high == OUTPUT && self.profile.sort == Sort::Keyboard => {
                self.state.leds = data.first().copied().unwrap_or(0) & 0x1f;
            }
            (0xa1, request::GET_IDLE) => data.push(self.state.idle),
            (0x21, request::SET_IDLE) => self.state.idle = high,
            (0xa1, request::GET_PROTOCOL) if boot => data.push(u8::from(self.state.reports)),
            (0x21, request::SET_PROTOCOL) if boot && low < 2 => self.state.reports = low == 1,
            _ => return Err(Stall),
        }
        Ok(())
    }

    fn input(&mut self, now: u64, _endpoint: u8, buf: &mut [u8]) -> Reply {
        let idle = u64::from(self.state.idle) * IDLE_NS;
        let repeat = idle > 0 && now.saturating_sub(self.state.last) >= idle;
        if !self.step() {
            if !repeat {
                return Reply::Nak;
            }
            // Nothing has moved since.
            self.state.sent.wheel = 0;
            if !self.absolute() {
                (self.state.sent.x, self.state.sent.y) = (0, 0);
            }
        }
        self.state.last = now;
        let report = self.report();
        if report.len() > buf.len() {
            return Reply::Babble;
        }
        buf[..report.len()].copy_from_slice(&report);
        Reply::Done(report.len())
    }

    fn room(&self) -> usize {
        let waiting = self.state.changes.len().max(self.state.frames.len());
        EVENT * (MOST - waiting)
    }

    fn receive(&mut self, data: &[u8]) {
        for [a, b, c, d, v @ ..] in data.as_chunks::<EVENT>().0 {
            self.event(u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]), i32::from_le_bytes(*v));
        }
    }

    fn reset(&mut self) {
        self.state = State::new();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(self.profile.kind, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(self.profile.kind, 1, bytes)?;
        let waiting = state.changes.len().max(state.frames.len());
        check(waiting <= MOST, "changes", || format!("{waiting} changes"))?;
        check(state.down.len() <= 256, "down", || format!("{} keys", state.down.len()))?;
        let sane = state.frames.iter().chain([&state.next, &state.sent]).all(Frame::is_sane);
        check(sane, "frames", || "a movement that is too far".to_owned())?;
        self.state = state;
        Ok(())
    }
}
