//! Keys and movements (QEMU QMP Reference Manual, "Input").  They go to the keyboard, mouse or tablet (virtio or
//! USB) that came last.

use crate::qmp::command::{Answer, Command, Empty, Error, commands};
use crate::qmp::keys::{KeyCode, of_number};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;
use tern_board::Place;
use tern_devices::virtio::input::EVENTS;
use tern_host::clock::monotonic_ns;

qapi! {
    /// A mouse.
    struct MouseInfo { name: String, index: i64, current: bool, absolute: bool }
    /// A key's number on a PC's keyboard.
    struct KeyNumber { data: i64 }
    /// A key's name.
    struct KeyName { data: KeyCode }
    /// A key.
    union Key { ; by "type" as KeyKind; Number(KeyNumber), Qcode(KeyName) }
    /// Keys to be pressed together, for so many milliseconds.
    struct SendKey { keys: Vec<Key>, hold_time: Option<i64> }
    /// A key goes down or up.
    struct KeyMove { key: Key, down: bool }
    /// The same, wrapped.
    struct KeyEvent { data: KeyMove }
    /// Buttons of a mouse.
    enum Button { Left, Middle, Right, WheelUp, WheelDown, Side, Extra, WheelLeft, WheelRight, Touch }
    /// A button goes down or up.
    struct ButtonMove { button: Button, down: bool }
    /// The same, wrapped.
    struct ButtonEvent { data: ButtonMove }
    /// Directions.
    enum Axis { X, Y }
    /// By or to where: a tablet's coordinates go from 0 to 0x7fff.
    struct AxisMove { axis: Axis, value: i64 }
    /// The same, wrapped.
    struct MoveEvent { data: AxisMove }
    /// What somebody does with a keyboard, a mouse, a tablet.
    union InputEvent {
        ; by "type" as InputKind; Key(KeyEvent), Btn(ButtonEvent), Rel(MoveEvent), Abs(MoveEvent),
    }
    /// Things done at the same time.
    struct SendInput { device: Option<String>, head: Option<i64>, events: Vec<InputEvent> }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-mice" (Empty) -> Vec<MouseInfo> = |vm, _| Ok(mice(vm));
    "send-key" (SendKey) -> Answer<Vm, Empty> = send_key;
    "input-send-event" (SendInput) -> Empty = |vm, args| match args.device {
        Some(device) => Err(Error::new(format!("Device '{device}' not found"))),
        None => send_events(vm, &args.events),
    };
};

/// Types of events (Linux, `input-event-codes.h`).
mod ev {
    pub(super) const SYN: u16 = 0;
    pub(super) const KEY: u16 = 1;
    pub(super) const REL: u16 = 2;
    pub(super) const ABS: u16 = 3;
}

/// How long keys are down if nobody says, in milliseconds.
const HOLD_MS: i64 = 100;
/// The wheel of a mouse (`REL_WHEEL`, `REL_HWHEEL`).
const WHEEL: u16 = 8;
const SIDE_WHEEL: u16 = 6;

const KEYBOARD: &[&str] = &["virtio-keyboard", "usb-kbd"];
const MOUSE: &[&str] = &["virtio-mouse", "usb-mouse"];
const TABLET: &[&str] = &["virtio-tablet", "usb-tablet"];
const POINTERS: &[&str] = &["virtio-tablet", "virtio-mouse", "usb-tablet", "usb-mouse"];

/// An event as a device takes it.
type Raw = (u16, u16, i32);

/// Gives events to the last device of these models, as one report.
fn give(vm: &mut Vm, models: &[&str], events: &[Raw]) -> Result<(), Error> {
    let fits = |p: &&tern_board::Plugged| p.kind().is_some_and(|k| models.contains(&k.model.name));
    let found = vm.board.plugged().iter().rev().find(fits);
    let port = found.and_then(|p| match p.place {
        // A USB device takes them at its own port, in the same form.
        Place::Child(_, number) => vm.board.port_of(p, number),
        _ => vm.board.port_of(p, EVENTS),
    });
    let port = port.ok_or_else(|| Error::new(format!("there is no {} that could take this", models.join(" or "))))?;
    let mut bytes = Vec::new();
    for (kind, code, value) in events.iter().chain([&(ev::SYN, 0, 0)]) {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(code.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    vm.board.machine.deliver(port.device, port.port, bytes);
    Ok(())
}

fn mice(vm: &Vm) -> Vec<MouseInfo> {
    let all = vm.board.plugged().iter().rev().filter_map(|p| {
        let absolute = TABLET.contains(&p.kind()?.model.name);
        (absolute || MOUSE.contains(&p.kind()?.model.name)).then_some((p, absolute))
    });
    let info = |(n, (p, absolute)): (i64, (&tern_board::Plugged, bool))| MouseInfo {
        name: p.config.id.clone().unwrap_or_else(|| p.name.to_owned()),
        index: n,
        current: n == 0,
        absolute,
    };
    (0..).zip(all).map(info).collect()
}

fn code(key: &Key) -> Result<u16, Error> {
    match &key.kind {
        KeyKind::Qcode(name) => Ok(name.data.code()),
        KeyKind::Number(number) => {
            of_number(number.data).ok_or_else(|| Error::new(format!("there is no key with number {}", number.data)))
        }
    }
}

/// Presses keys; the answer comes when they are up again.
fn send_key(vm: &mut Vm, args: SendKey) -> Result<Answer<Vm, Empty>, Error> {
    let codes = args.keys.iter().map(code).collect::<Result<Vec<u16>, Error>>()?;
    for code in &codes {
        give(vm, KEYBOARD, &[(ev::KEY, *code, 1)])?;
    }
    let hold = u64::try_from(args.hold_time.unwrap_or(HOLD_MS)).unwrap_or(0);
    let until = monotonic_ns().saturating_add(hold.saturating_mul(1_000_000));
    Ok(Answer::Later(Box::new(move |vm| {
        if monotonic_ns() < until {
            return None;
        }
        let mut up = || codes.iter().rev().try_for_each(|code| give(vm, KEYBOARD, &[(ev::KEY, *code, 0)]));
        Some(up().map(|()| Empty {}))
    })))
}

/// The models that an event is for, and the event.
fn raw(event: &InputEvent) -> Result<(&'static [&'static str], Raw), Error> {
    let value = |n: i64| i32::try_from(n).map_err(|_| Error::new("Parameter 'value' expects int32_t"));
    let axis = |axis: Axis| u16::from(axis == Axis::Y);
    Ok(match &event.kind {
        InputKind::Key(KeyEvent { data }) => (KEYBOARD, (ev::KEY, code(&data.key)?, i32::from(data.down))),
        InputKind::Rel(MoveEvent { data }) => (MOUSE, (ev::REL, axis(data.axis), value(data.value)?)),
        InputKind::Abs(MoveEvent { data }) => (TABLET, (ev::ABS, axis(data.axis), value(data.value)?)),
        InputKind::Btn(ButtonEvent { data }) => {
            let turn = i32::from(data.down);
            let event = match data.button {
                Button::Left => (ev::KEY, 0x110, turn),
                Button::Right => (ev::KEY, 0x111, turn),
                Button::Middle => (ev::KEY, 0x112, turn),
                Button::Side => (ev::KEY, 0x113, turn),
                Button::Extra => (ev::KEY, 0x114, turn),
                Button::Touch => (ev::KEY, 0x14a, turn),
                // A wheel turns when its button goes down.
                Button::WheelUp => (ev::REL, WHEEL, turn),
                Button::WheelDown => (ev::REL, WHEEL, -turn),
                Button::WheelRight => (ev::REL, SIDE_WHEEL, turn),
                Button::WheelLeft => (ev::REL, SIDE_WHEEL, -turn),
            };
            (POINTERS, event)
        }
    })
}

/// Events of one device are one report.
fn send_events(vm: &mut Vm, events: &[InputEvent]) -> Result<Empty, Error> {
    let all = events.iter().map(raw).collect::<Result<Vec<_>, Error>>()?;
    for group in all.chunk_by(|(a, _), (b, _)| a == b) {
        let events: Vec<Raw> = group.iter().map(|(_, event)| *event).collect();
        if let Some((models, _)) = group.first() {
            give(vm, models, &events)?;
        }
    }
    Ok(Empty {})
}
