//! Wires: interrupt lines, messages that signal interrupts, and requests to the machine.
//!
//! A device that moves a line does not call anybody: the change is queued, and the machine delivers all changes in order
//! when the device has returned.  So devices cannot call each other in circles, and the order is the same everywhere (I1).

use crate::snapshot::{self, StateError};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Where a line ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Sink {
    /// Nowhere.
    Open,
    /// Input pin `pin` of device `device`.
    Device {
        /// The device's number in its machine.
        device: u32,
        /// The pin, numbered by the device.
        pin: u32,
    },
    /// Interrupt input `line` of CPU `cpu`, numbered by the frontend.
    Cpu {
        /// The CPU's number.
        cpu: u32,
        /// The input.
        line: u32,
    },
}

/// What is to be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A line has a new level.
    Level(Sink, bool),
    /// A message-signalled interrupt: a 32-bit little-endian store to a physical address.
    Message {
        /// Where.
        addr: u64,
        /// What.
        data: u32,
    },
    /// The guest wants something of the whole machine.
    Request(Request),
}

/// What a guest may want of the whole machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Start again from reset.
    Reset,
    /// Switch off; the number is the exit status that tern passes on.
    PowerOff(i32),
    /// Stop with an error that the guest reports: a crash.
    Panic,
    /// The guest crashed and deals with it itself; it goes on.
    CrashLoaded,
    /// The guest shuts down, says its paravirtual notifier.
    Shutdown,
    /// A watchdog has run out.
    Watchdog,
    /// Whoever has the machine is to look at it: a device has something to tell.
    Attend,
}

#[derive(Default)]
struct State {
    lines: Vec<(Sink, bool)>,
    queue: VecDeque<Signal>,
}

/// All wires of a machine; clones are handles to the same ones.
#[derive(Clone, Default)]
pub struct Wires(Rc<RefCell<State>>);

const KIND: &str = "wires";
const VERSION: u32 = 1;

impl Wires {
    /// No wires.
    #[must_use]
    pub fn new() -> Wires {
        Wires::default()
    }

    /// A new line to `sink`, low.
    #[must_use]
    pub fn line(&self, sink: Sink) -> IrqLine {
        let mut state = self.0.borrow_mut();
        state.lines.push((sink, false));
        IrqLine { wires: self.clone(), index: state.lines.len() - 1 }
    }

    /// The handle with which devices send messages and requests.
    #[must_use]
    pub fn messenger(&self) -> Messenger {
        Messenger { wires: self.clone(), route: None }
    }

    /// Takes the oldest signal that is not delivered yet.
    #[must_use]
    pub fn take(&self) -> Option<Signal> {
        self.0.borrow_mut().queue.pop_front()
    }

    /// Is nothing to be delivered?
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.borrow().queue.is_empty()
    }

    /// All lines low, nothing to be delivered.
    pub fn reset(&self) {
        let mut state = self.0.borrow_mut();
        state.queue.clear();
        state.lines.iter_mut().for_each(|line| line.1 = false);
    }

    /// The levels.  To be called when nothing is to be delivered.
    ///
    /// # Errors
    /// See [`snapshot::save`].
    pub fn save(&self) -> Result<Vec<u8>, StateError> {
        let levels: Vec<bool> = self.0.borrow().lines.iter().map(|l| l.1).collect();
        snapshot::save(KIND, VERSION, &levels)
    }

    /// Takes saved levels on, without telling anybody: the sinks have their own states.
    ///
    /// # Errors
    /// See [`snapshot::load`].
    pub fn load(&self, bytes: &[u8]) -> Result<(), StateError> {
        let levels: Vec<bool> = snapshot::load(KIND, VERSION, bytes)?;
        let mut state = self.0.borrow_mut();
        let (saved, here) = (levels.len(), state.lines.len());
        snapshot::check(saved == here, "levels", || format!("{saved} lines, this machine has {here}"))?;
        state.queue.clear();
        for (line, level) in state.lines.iter_mut().zip(levels) {
            line.1 = level;
        }
        Ok(())
    }
}

/// One end of an interrupt line.
#[derive(Clone)]
pub struct IrqLine {
    wires: Wires,
    index: usize,
}

impl IrqLine {
    /// A line that ends nowhere.
    #[must_use]
    pub fn open() -> IrqLine {
        Wires::new().line(Sink::Open)
    }

    /// Drives the line; nothing happens unless the level changes.
    pub fn set(&self, level: bool) {
        let mut state = self.wires.0.borrow_mut();
        let line = &mut state.lines[self.index];
        if line.1 != level {
            line.1 = level;
            let sink = line.0;
            state.queue.push_back(Signal::Level(sink, level));
        }
    }

    /// A rising edge and a falling one.
    pub fn pulse(&self) {
        self.set(true);
        self.set(false);
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> bool {
        self.wires.0.borrow().lines[self.index].1
    }
}

/// Where messages on their way to memory go, and with which data; `None`: nowhere.
pub type Route = Rc<dyn Fn(u64, u32) -> Option<(u64, u32)>>;

/// Sends messages and requests.
#[derive(Clone)]
pub struct Messenger {
    wires: Wires,
    route: Option<Route>,
}

impl Messenger {
    /// The same, with messages that take this route.
    #[must_use]
    pub fn through(&self, route: Route) -> Messenger {
        Messenger { wires: self.wires.clone(), route: Some(route) }
    }

    /// Sends a message-signalled interrupt.
    pub fn message(&self, addr: u64, data: u32) {
        let to = self.route.as_ref().map_or(Some((addr, data)), |route| route(addr, data));
        if let Some((addr, data)) = to {
            self.wires.0.borrow_mut().queue.push_back(Signal::Message { addr, data });
        }
    }

    /// Asks something of the machine.
    pub fn request(&self, request: Request) {
        self.wires.0.borrow_mut().queue.push_back(Signal::Request(request));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_delivered_once_and_in_order() {
        let wires = Wires::new();
        let a = wires.line(Sink::Device { device: 1, pin: 2 });
        let b = wires.line(Sink::Cpu { cpu: 0, line: 9 });
        a.set(true);
        a.set(true);
        b.pulse();
        wires.messenger().message(0x2800_0000, 5);
        let all: Vec<Signal> = core::iter::from_fn(|| wires.take()).collect();
        assert_eq!(
            all,
            [
                Signal::Level(Sink::Device { device: 1, pin: 2 }, true),
                Signal::Level(Sink::Cpu { cpu: 0, line: 9 }, true),
                Signal::Level(Sink::Cpu { cpu: 0, line: 9 }, false),
                Signal::Message { addr: 0x2800_0000, data: 5 },
            ]
        );
        let saved = wires.save().unwrap();
        wires.reset();
        assert!(!a.level());
        wires.load(&saved).unwrap();
        assert!(a.level() && !b.level() && wires.is_quiet());
        assert!(Wires::new().load(&saved).is_err());
    }
}
