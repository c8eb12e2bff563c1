//! virtio-input: keyboards, mice and tablets (virtio 1.2, 5.8; event codes of Linux' `input-event-codes.h`).
//!
//! Events enter at port `EVENTS`, eight bytes each as they go to the guest: type, code (16 bits), value (32 bits), all
//! little-endian; a report ends with `EV_SYN`.  They wait for buffers, so none is lost while there is room.

use super::{Broken, Cx, Kind, VirtioDevice};
use crate::catalogue::Class;
use crate::model::{Build, Model, Prop, PropKind, Wants};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tern_core::snapshot::{self, StateError, check};
use tern_core::time::Clock;

/// The port that takes events.
pub const EVENTS: u32 = 0xf0;
/// Length of an event in bytes.
const EVENT: usize = 8;
/// Most events that wait.
const MOST: usize = 1024;

const EVENT_QUEUE: u16 = 0;
const STATUS_QUEUE: u16 = 1;
const QUEUE_SIZE: u16 = 64;

/// What the driver selects in the configuration space (5.8.4).
mod select {
    pub(super) const NAME: u8 = 1;
    pub(super) const SERIAL: u8 = 2;
    pub(super) const IDS: u8 = 3;
    pub(super) const EVENTS: u8 = 0x11;
    pub(super) const ABS_INFO: u8 = 0x12;
}

/// Types of events.
mod ev {
    pub(super) const KEY: u8 = 1;
    pub(super) const REL: u8 = 2;
    pub(super) const ABS: u8 = 3;
    pub(super) const LED: u8 = 0x11;
    pub(super) const REP: u8 = 0x14;
}

/// Length of the configuration space's data, and where it begins.
const DATA: usize = 128;
const DATA_AT: usize = 8;
/// The largest coordinate of a tablet.
const ABS_MAX: u32 = 0x7fff;

/// What a device of this family is.
struct Profile {
    kind: Kind,
    name: &'static str,
    /// Product and version.
    ids: (u16, u16),
    /// Which codes of which types of events it has: ranges, inclusive.
    events: &'static [(u8, &'static [(u16, u16)])],
}

/// Left, right, middle, side and extra button; the wheel's two.
const BUTTONS: &[(u16, u16)] = &[(0x110, 0x114), (0x150, 0x151)];
/// The same, and touch.
const TABLET_BUTTONS: &[(u16, u16)] = &[(0x110, 0x114), (0x14a, 0x14a), (0x150, 0x151)];

static KEYBOARD: Profile = Profile {
    kind: kind("virtio-keyboard-device", "virtio-keyboard-pci", 0x09_0000),
    name: "QEMU Virtio Keyboard",
    ids: (1, 1),
    // Every key up to KEY_MICMUTE; the lamps Num, Caps and Scroll; and repetition, which is the driver's.
    events: &[(ev::KEY, &[(1, 248)]), (ev::LED, &[(0, 2)]), (ev::REP, &[(0, 1)])],
};

static MOUSE: Profile = Profile {
    kind: kind("virtio-mouse-device", "virtio-mouse-pci", 0x09_0200),
    name: "QEMU Virtio Mouse",
    ids: (2, 2),
    // X, Y and wheel.
    events: &[(ev::KEY, BUTTONS), (ev::REL, &[(0, 1), (8, 8)])],
};

static TABLET: Profile = Profile {
    kind: kind("virtio-tablet-device", "virtio-tablet-pci", 0x09_8000),
    name: "QEMU Virtio Tablet",
    ids: (3, 2),
    events: &[(ev::KEY, TABLET_BUTTONS), (ev::REL, &[(8, 8)]), (ev::ABS, &[(0, 1)])],
};

const fn kind(mmio: &'static str, pci: &'static str, class: u32) -> Kind {
    Kind { id: 18, mmio, pci, class, legacy_id: 0 }
}

static PROPS: &[Prop] = &[
    Prop::new("serial", PropKind::Text(""), "what the guest reads as its serial number"),
    Prop::only("display", &[""]),
    Prop::only("head", &["0"]),
];
static POINTER_PROPS: &[Prop] = &[PROPS[0], PROPS[1], PROPS[2], Prop::only("wheel-axis", &["on"])];

fn build(wants: &mut Wants<'_>, profile: &'static Profile) -> Result<Box<dyn VirtioDevice>, String> {
    Ok(Box::new(Input::new(profile, wants.props.text("serial"))))
}

const fn model(
    name: &'static str,
    about: &'static str,
    profile: &'static Profile,
    props: &'static [Prop],
    build: fn(&mut Wants<'_>) -> Result<Box<dyn VirtioDevice>, String>,
) -> Model {
    let (aliases, parents) = (&[], &[]);
    Model { name, aliases, class: Class::Misc, about, parents, props, bus: None, build: Build::Virtio(&profile.kind, build) }
}

/// The family.
pub static MODELS: &[Model] = &[
    model("virtio-keyboard", "virtio keyboard", &KEYBOARD, PROPS, |w| build(w, &KEYBOARD)),
    model("virtio-mouse", "virtio mouse with a wheel", &MOUSE, POINTER_PROPS, |w| build(w, &MOUSE)),
    model("virtio-tablet", "virtio tablet: absolute positions", &TABLET, POINTER_PROPS, |w| build(w, &TABLET)),
];

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    select: u8,
    subsel: u8,
    /// The driver is ready.
    active: bool,
    /// Events that wait for buffers.
    waiting: VecDeque<[u8; EVENT]>,
}

/// The device.
struct Input {
    profile: &'static Profile,
    serial: String,
    state: State,
}

impl Input {
    fn new(profile: &'static Profile, serial: &str) -> Input {
        Input { profile, serial: serial.to_owned(), state: State::default() }
    }

    /// What the selected part of the configuration is; empty: there is no such part (5.8.5.1).
    fn selected(&self) -> Vec<u8> {
        let State { select, subsel, .. } = self.state;
        match (select, subsel) {
            (select::NAME, 0) => self.profile.name.as_bytes().to_vec(),
            (select::SERIAL, 0) => self.serial.bytes().take(DATA).collect(),
            (select::IDS, 0) => {
                // A virtual bus, and the vendor that QEMU uses for its input devices.
                let (product, version) = self.profile.ids;
                [6, 0x0627, product, version].iter().flat_map(|id: &u16| id.to_le_bytes()).collect()
            }
            (select::EVENTS, kind) => self.codes(kind).map_or_else(Vec::new, bitmap),
            (select::ABS_INFO, axis) => {
                let axes = self.codes(ev::ABS).unwrap_or_default();
                let has = axes.iter().any(|(first, last)| (*first..=*last).contains(&axis.into()));
                let info = if has { &[0, ABS_MAX, 0, 0, 0][..] } else { &[] };
                info.iter().flat_map(|field: &u32| field.to_le_bytes()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn codes(&self, kind: u8) -> Option<&'static [(u16, u16)]> {
        self.profile.events.iter().find(|(k, _)| *k == kind).map(|(_, codes)| *codes)
    }

    /// Hands events over as far as there are buffers.
    fn deliver(&mut self, cx: &mut Cx<'_>) -> Result<(), Broken> {
        while let Some(event) = self.state.waiting.front() {
            let Some(mut chain) = cx.pop(EVENT_QUEUE)? else { break };
            if cx.write(&mut chain, event)? < EVENT {
                cx.kit.report.guest_error(format_args!("a buffer for events of {} bytes", chain.written()));
            }
            cx.push(EVENT_QUEUE, &chain);
            self.state.waiting.pop_front();
        }
        Ok(())
    }
}

/// A bitmap of these codes, without zeros at its end.
fn bitmap(codes: &[(u16, u16)]) -> Vec<u8> {
    let mut bits = [0u8; DATA];
    let mut len = 0;
    for code in codes.iter().flat_map(|(first, last)| *first..=*last) {
        if let Some(byte) = bits.get_mut(usize::from(code / 8)) {
            *byte |= 1 << (code % 8);
            len = len.max(usize::from(code / 8) + 1);
        }
    }
    bits[..len].to_vec()
}

impl VirtioDevice for Input {
    fn kind(&self) -> &'static Kind {
        &self.profile.kind
    }

    fn features(&self) -> u64 {
        0
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; 2]
    }

    fn config(&self) -> Vec<u8> {
        let data = self.selected();
        let mut bytes = vec![self.state.select, self.state.subsel, data.len() as u8, 0, 0, 0, 0, 0];
        bytes.extend(data);
        bytes.resize(DATA_AT + DATA, 0);
        bytes
    }

    fn write_config(&mut self, cx: &mut Cx<'_>, offset: u32, data: &[u8]) {
        match (offset, data) {
            (0, [select]) => self.state.select = *select,
            (0, [select, subsel]) => (self.state.select, self.state.subsel) = (*select, *subsel),
            (1, [subsel]) => self.state.subsel = *subsel,
            _ => cx.kit.report.guest_error(format_args!("write of {data:02x?} to configuration at {offset:#x}")),
        }
    }

    fn activate(&mut self, _cx: &mut Cx<'_>) {
        self.state.active = true;
    }

    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        if queue != STATUS_QUEUE {
            return self.deliver(cx);
        }
        while let Some(mut chain) = cx.pop(STATUS_QUEUE)? {
            match cx.array::<EVENT>(&mut chain)? {
                // Lamps and repetition: there are none to see, and who sends keys decides on repeating.
                Some([kind, 0, ..]) if self.codes(kind).is_some() || kind == 0 => {}
                Some(event) => cx.kit.report.guest_error(format_args!("status event {event:02x?}")),
                None => cx.kit.report.guest_error(format_args!("a status event that is too short")),
            }
            cx.push(STATUS_QUEUE, &chain);
        }
        Ok(())
    }

    fn queue_reset(&mut self, queue: u16) {
        if queue == EVENT_QUEUE {
            self.state.waiting.clear();
        }
    }

    fn room(&mut self, _cx: &mut Cx<'_>, port: u32) -> Result<usize, Broken> {
        Ok(if port == EVENTS { EVENT * (MOST - self.state.waiting.len()) } else { 0 })
    }

    fn receive(&mut self, cx: &mut Cx<'_>, port: u32, data: &[u8]) -> Result<(), Broken> {
        // Nobody looks at what is typed before the driver is there.
        if port != EVENTS || !self.state.active {
            return Ok(());
        }
        let (events, _) = data.as_chunks::<EVENT>();
        let room = MOST - self.state.waiting.len();
        self.state.waiting.extend(events.iter().take(room));
        self.deliver(cx)
    }

    fn reset(&mut self, _clock: &Clock) {
        self.state = State::default();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(self.profile.kind.mmio, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(self.profile.kind.mmio, 1, bytes)?;
        check(state.waiting.len() <= MOST, "waiting", || format!("{} events", state.waiting.len()))?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Driver;
    use super::*;
    use tern_core::device::Device as _;
    use tern_core::mem::Size;

    fn driver(profile: &'static Profile) -> Driver {
        Driver::split(0, |_| Box::new(Input::new(profile, "S1")))
    }

    fn select(driver: &mut Driver, select: u8, subsel: u8) -> Vec<u8> {
        driver.device.write(0, 0x100, Size::B1, select.into());
        driver.device.write(0, 0x101, Size::B1, subsel.into());
        let len = driver.device.read(0, 0x102, Size::B1);
        (0..len).map(|n| driver.device.read(0, 0x108 + n, Size::B1) as u8).collect()
    }

    fn event(kind: u16, code: u16, value: u32) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &code.to_le_bytes(), &value.to_le_bytes()].concat()
    }

    #[test]
    fn the_configuration_says_what_there_is() {
        let mut d = driver(&TABLET);
        assert_eq!(select(&mut d, select::NAME, 0), b"QEMU Virtio Tablet");
        assert_eq!(select(&mut d, select::SERIAL, 0), b"S1");
        assert_eq!(select(&mut d, select::IDS, 0), [6, 0, 0x27, 6, 3, 0, 2, 0]);
        assert_eq!(select(&mut d, select::EVENTS, ev::ABS), [3]);
        assert_eq!(select(&mut d, select::EVENTS, ev::REL), [0, 1]);
        assert_eq!(select(&mut d, select::ABS_INFO, 1)[4..8], [0xff, 0x7f, 0, 0]);
        assert_eq!(select(&mut d, select::ABS_INFO, 2), []);
        assert_eq!(select(&mut d, select::EVENTS, ev::LED), []);
        assert_eq!(select(&mut d, 0x77, 1), []);
        let keys = select(&mut driver(&KEYBOARD), select::EVENTS, ev::KEY);
        assert_eq!((keys.len(), keys[0], keys[31]), (32, 0xfe, 1));
        let buttons = select(&mut driver(&MOUSE), select::EVENTS, ev::KEY);
        assert_eq!((buttons.len(), buttons[34], buttons[42]), (43, 0x1f, 3));
        assert_eq!(d.bench.guest_errors(), 0);
        d.device.write(0, 0x108, Size::B1, 1);
        assert_eq!(d.bench.guest_errors(), 1);
    }

    #[test]
    fn events_reach_the_driver_in_order_and_wait_for_buffers() {
        let mut d = driver(&KEYBOARD);
        let press = [event(1, 30, 1), event(0, 0, 0)].concat();
        d.device.receive(EVENTS, &press);
        assert!(d.done(0).is_none());
        [8, 4, 8].iter().for_each(|len| d.add(0, &[], &[*len], false));
        d.kick(0);
        assert_eq!(d.done(0).map(|done| done.data), Some(event(1, 30, 1)));
        assert_eq!((d.done(0).map(|done| done.len), d.bench.guest_errors()), (Some(4), 1));
        d.device.receive(EVENTS, &event(1, 30, 0)[..7]);
        assert!(d.done(0).is_none(), "half an event is none");
        d.device.receive(EVENTS, &event(1, 30, 0));
        assert_eq!(d.done(0).map(|done| done.data), Some(event(1, 30, 0)));
        assert_eq!(d.device.room(EVENTS), MOST * EVENT);
        d.device.receive(EVENTS, &press.repeat(MOST));
        assert_eq!(d.device.room(EVENTS), 0);
        let saved = d.device.save().unwrap();
        d.device.load(&saved).unwrap();
        d.start(d.features);
        assert_eq!(d.device.room(EVENTS), MOST * EVENT, "a reset forgets them");
    }

    #[test]
    fn status_events_are_taken() {
        let mut d = driver(&KEYBOARD);
        d.ask(1, &[&event(0x11, 1, 1)], &[]);
        assert_eq!(d.bench.guest_errors(), 0);
        d.ask(1, &[&event(0x15, 0, 1)], &[]);
        d.ask(1, &[b"abc"], &[]);
        assert_eq!((d.bench.guest_errors(), d.is_broken()), (2, false));
    }
}
