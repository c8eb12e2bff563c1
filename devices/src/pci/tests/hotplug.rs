//! Functions that come and go behind a port, with a guest that does what Linux's `pciehp` does.

use super::*;

/// The port's function, the function in its slot, and the port's PCI Express capability.
const PORT: u64 = 2 << 3;
const CARD: u64 = 1 << 8;
const EXPRESS: usize = 0x40;
const CONTROL: usize = EXPRESS + 0x18;
const STATUS: usize = EXPRESS + 0x1a;
/// Power controller off, power light on, blinking, off.
const OFF: u64 = 0x400;
const LIGHT: [u64; 3] = [0x100, 0x200, 0x300];
/// What `pciehp` enables with an attention button: button, interrupts, command completed, link.
const ENABLES: u64 = 0x1031;
const BUTTON: u64 = 1;
const PRESENCE: u64 = 8;
const COMMAND: u64 = 0x10;
const PRESENT: u64 = 0x40;
const LINK: u64 = 0x100;

/// A machine with a port whose bus is 1, and its number.
fn machine() -> (Machine, usize) {
    let mut m = Machine::new();
    let port = m.port(Some((2, 0)));
    m.host.reset();
    m.number_buses();
    (m, port)
}

impl Machine {
    fn number_buses(&mut self) {
        self.write(PORT, 0x18, Size::B4, 0x01_01_00);
        self.write(PORT, 0x20, Size::B4, 0x4010_4010);
        self.write(PORT, 4, Size::B2, 7);
    }

    fn plug(&mut self, port: usize, place: Option<(u8, u8)>) -> Result<usize, PciError> {
        let blk = Box::new(Blk::new(self.bench.disk(1 << 16), Config::default()));
        let modern = Interface::Modern;
        self.host
            .hot_add(port, place, quiet(), |kit| Ok(Box::new(VirtioPci::new(kit, blk, Options::default(), modern))))
    }

    fn status(&mut self) -> u64 {
        self.read(PORT, STATUS, Size::B2)
    }

    fn link(&mut self) -> bool {
        self.read(PORT, EXPRESS + 0x12, Size::B2) & 0x2000 != 0
    }

    /// Reads the events and clears them.
    fn events(&mut self) -> u64 {
        let events = self.status() & 0x119;
        self.write(PORT, STATUS, Size::B2, events);
        assert_eq!(self.status() & 0x119, 0);
        events
    }

    /// A command, with its completion.
    fn command(&mut self, control: u64) -> u64 {
        self.write(PORT, CONTROL, Size::B2, control);
        let events = self.events();
        assert_eq!(events & COMMAND, COMMAND);
        events & !COMMAND
    }

    /// Switches the slot on, as after an attention button.
    fn switch_on(&mut self) {
        assert_eq!(self.command(ENABLES | OFF | LIGHT[1]), 0);
        assert_eq!(self.command(ENABLES | LIGHT[1]), LINK, "the link is up");
        assert!(self.link());
        assert_eq!(self.command(ENABLES | LIGHT[0]), 0);
    }

    fn take(&mut self) -> Vec<Signal> {
        self.bench.signals().into_iter().filter(|s| !matches!(s, Signal::Request(_))).collect()
    }
}

fn pin(level: bool) -> Signal {
    Signal::Level(Sink::Cpu { cpu: 0, line: 2 }, level)
}

#[test]
fn an_empty_slot_is_off() {
    let (mut m, port) = machine();
    assert_eq!(m.capabilities(PORT)[0], (EXPRESS, 0x10));
    assert_eq!(m.read(PORT, EXPRESS + 2, Size::B2), 0x142, "a root port with a slot");
    assert_eq!(m.read(PORT, EXPRESS + 0x14, Size::B4), 5 << 19 | 0x5b);
    assert_eq!(m.read(PORT, CONTROL, Size::B2), 0x7c0);
    assert_eq!((m.status(), m.link()), (0, false));
    assert!(m.host.takes_hotplug(port));
    assert!(!m.host.takes_hotplug(0));
    m.write(PORT, CONTROL, Size::B2, 0xffff);
    assert_eq!(m.read(PORT, CONTROL, Size::B2), 0x17f9);
    // Nothing is in it, and nothing goes.
    assert_eq!((m.host.take_ejected(), m.status()), (vec![], COMMAND));
}

#[test]
fn cold_functions_are_there_with_power() {
    let mut m = Machine::new();
    let port = m.port(Some((2, 0)));
    m.blk(Some(port), None, Interface::Modern).unwrap();
    for _ in 0..2 {
        m.number_buses();
        assert_eq!((m.status(), m.link(), m.read(PORT, CONTROL, Size::B2)), (PRESENT, true, 0x1c0));
        assert_eq!(m.read(CARD, 0, Size::B4), 0x1042_1af4);
        m.command(ENABLES);
        m.host.reset();
    }
}

#[test]
fn a_function_comes_and_the_guest_lets_it_go() {
    let (mut m, port) = machine();
    m.command(ENABLES | OFF | LIGHT[2]);
    m.take();
    let card = m.plug(port, None).unwrap();
    assert_eq!(m.take(), [pin(true)]);
    assert_eq!((m.status(), m.link()), (PRESENT | PRESENCE | BUTTON, false));
    assert_eq!(m.read(CARD, 0, Size::B4), 0xffff_ffff, "without power nobody answers");
    m.events();
    assert_eq!(m.take(), [pin(false)]);
    m.switch_on();
    assert_eq!(m.read(CARD, 0, Size::B4), 0x1042_1af4);
    m.write(CARD, 0x14, Size::B4, 0x4010_0000);
    m.write(CARD, 4, Size::B2, 6);
    assert_eq!(m.mapped().len(), 1);
    m.take();
    // It is asked to go.
    m.host.ask_to_go(card).unwrap();
    assert_eq!((m.take(), m.events()), (vec![pin(true)], BUTTON));
    assert_eq!(m.command(ENABLES | LIGHT[1]), 0);
    assert_eq!(m.host.ask_to_go(card), Err(PciError::Busy));
    assert_eq!(m.host.take_ejected(), []);
    // Without power the link is down, and what the function knew is gone; the light says that the guest is done.
    assert_eq!(m.command(ENABLES | OFF | LIGHT[1]), LINK);
    assert_eq!((m.mapped(), m.read(CARD, 0, Size::B4)), (vec![(1, None)], 0xffff_ffff));
    assert_eq!(m.host.config(card).unwrap().word(0x14), 0);
    assert_eq!(m.host.take_ejected(), []);
    assert_eq!(m.command(ENABLES | OFF | LIGHT[2]), PRESENCE);
    assert_eq!((m.host.take_ejected(), m.host.take_ejected()), (vec![card], vec![]));
    assert!(m.host.function(card).is_none());
    assert_eq!((m.status(), m.host.ask_to_go(card)), (0, Err(PciError::Gone(card))));
    // The board is to be told at once.
    let attend = Signal::Request(tern_core::device::Request::Attend);
    assert!(m.bench.wires.is_quiet() || m.bench.signals().contains(&attend));
    // The next one has another number.
    let next = m.plug(port, None).unwrap();
    assert_eq!((next, m.events()), (card + 1, PRESENCE | BUTTON));
    m.switch_on();
    assert_eq!(m.read(CARD, 0, Size::B4), 0x1042_1af4);
    assert_eq!(m.bench.guest_errors(), 0);
}

#[test]
fn a_slot_that_is_off_lets_go_at_once() {
    let (mut m, port) = machine();
    let card = m.plug(port, None).unwrap();
    m.host.ask_to_go(card).unwrap();
    assert_eq!(m.host.take_ejected(), [card]);
    assert_eq!(m.status(), PRESENCE, "nobody hears of a button");
    assert!(m.bench.signals().contains(&Signal::Request(tern_core::device::Request::Attend)));
}

#[test]
fn function_0_shows_the_others() {
    let (mut m, port) = machine();
    let other = m.plug(port, Some((0, 3))).unwrap();
    assert_eq!(m.status(), 0);
    m.host.ask_to_go(other).unwrap();
    assert_eq!((m.host.take_ejected(), m.status()), (vec![other], 0), "nobody has seen it");
    let other = m.plug(port, Some((0, 3))).unwrap();
    let first = m.plug(port, Some((0, 0))).unwrap();
    assert_eq!(m.events(), PRESENCE | BUTTON);
    assert_eq!(m.plug(port, Some((0, 1))), Err(PciError::Exposed(0, "virtio-blk-pci")));
    assert_eq!(m.plug(port, Some((0, 0))), Err(PciError::Taken(0, 0)));
    assert_eq!(m.plug(port, None), Err(PciError::Full));
    assert_eq!(m.plug(port, Some((1, 0))), Err(PciError::Place(1, 0)));
    assert_eq!(m.plug(0, None), Err(PciError::NoHotplug(0)));
    m.switch_on();
    assert_eq!((m.read(CARD, 0xe, Size::B1), m.read(CARD | 3, 0, Size::B4)), (0x80, 0x1042_1af4));
    m.command(ENABLES | OFF | LIGHT[2]);
    let mut gone = m.host.take_ejected();
    gone.sort_unstable();
    assert_eq!(gone, [other, first]);
}

#[test]
fn messages_tell_of_events_once() {
    let (mut m, port) = machine();
    let (msi, _) = m.capabilities(PORT).into_iter().find(|c| c.1 == 5).unwrap();
    m.write(PORT, msi + 4, Size::B4, 0x2800_0000);
    m.write(PORT, msi + 12, Size::B2, 0x33);
    m.write(PORT, msi + 2, Size::B2, 1);
    m.write(PORT, CONTROL, Size::B2, ENABLES | OFF | LIGHT[2]);
    let message = Signal::Message { addr: 0x2800_0000, data: 0x33 };
    assert_eq!(m.take(), [message]);
    // While one is not acknowledged, others bring no message.
    m.plug(port, None).unwrap();
    assert_eq!(m.take(), []);
    m.write(PORT, STATUS, Size::B2, COMMAND);
    assert_eq!((m.take(), m.status()), (vec![], PRESENT | PRESENCE | BUTTON));
    m.write(PORT, STATUS, Size::B2, BUTTON);
    assert_eq!(m.take(), [], "presence is not enabled");
    m.write(PORT, CONTROL, Size::B2, ENABLES | 8 | OFF | LIGHT[2]);
    assert_eq!(m.take(), [message]);
}

#[test]
fn a_reset_forgets_the_question() {
    let (mut m, port) = machine();
    let card = m.plug(port, None).unwrap();
    m.events();
    m.switch_on();
    m.host.ask_to_go(card).unwrap();
    m.host.reset();
    m.number_buses();
    assert_eq!((m.status(), m.link(), m.host.take_ejected()), (PRESENT, true, vec![]));
    assert_eq!(m.read(CARD, 0, Size::B4), 0x1042_1af4);
    // A disabled link is down.
    m.write(PORT, EXPRESS + 0x10, Size::B2, 0x10);
    assert_eq!((m.link(), m.events(), m.read(CARD, 0, Size::B4)), (false, LINK, 0xffff_ffff));
    m.write(PORT, EXPRESS + 0x10, Size::B2, 0);
    assert_eq!((m.link(), m.events()), (true, LINK));
}

#[test]
fn places_stay_in_snapshots() {
    // Plugged, gone, plugged again: numbers 2 and 3.
    let (mut m, port) = machine();
    let first = m.plug(port, None).unwrap();
    m.host.ask_to_go(first).unwrap();
    let second = m.plug(port, None).unwrap();
    m.events();
    m.switch_on();
    let saved = m.host.save().unwrap();
    let (mut other, port) = machine();
    assert!(other.host.load(&saved).is_err(), "the second one is not there");
    other.plug(port, None).unwrap();
    other.host.ask_to_go(first).unwrap();
    other.plug(port, None).unwrap();
    other.host.take_ejected();
    other.host.load(&saved).unwrap();
    assert_eq!((other.host.save().unwrap(), other.host.take_ejected()), (saved, vec![]));
    assert_eq!(other.read(CARD, 0, Size::B4), 0x1042_1af4);
    // The last one goes: a machine that never had it, and one that has, take that on.
    other.command(ENABLES | OFF | LIGHT[2]);
    let saved = other.host.save().unwrap();
    m.host.take_ejected();
    m.host.load(&saved).unwrap();
    assert_eq!((m.host.save().unwrap(), m.host.take_ejected()), (saved.clone(), vec![second]));
    let (mut new, port) = machine();
    new.host.load(&saved).unwrap();
    assert_eq!((new.host.save().unwrap(), new.host.next_number()), (saved, second + 1));
    let third = new.plug(port, None).unwrap();
    assert_eq!((third, new.host.windows().len()), (second + 1, m.host.windows().len() + 2));
    // A state whose slot does not know what is in it is none.
    let full = new.host.save().unwrap();
    let (mut cold, at) = machine();
    for _ in 0..2 {
        cold.plug(at, None).unwrap();
        cold.host.ask_to_go(cold.host.next_number() - 1).unwrap();
    }
    let empty = cold.host.save().unwrap();
    cold.plug(at, Some((0, 1))).unwrap();
    assert!(cold.host.load(&full).is_err());
    assert!(cold.host.load(&empty).is_err());
}
