//! gdb's remote protocol over a [`Subject`].
//!
//! [`Server`] has no connection and does not run anything: bytes go in ([`Server::feed`]), bytes come out
//! ([`Server::take_output`]), and what the peer wants of the subject is a [`Wish`].  [`serve`] is the loop around it for whoever
//! has nothing else to do; a machine's control surfaces have a loop of their own.
//!
//! Most packets are taken apart and answered by the `gdbstub` crate.  It is asked about one packet at a time, and told first
//! what it should know (features, threads): it borrows its target for as long as it lives, and gives up at the first packet
//! that it does not like.  What it lacks, or has in a form that does not fit, is here: framing with its checks, `?`, threads
//! of several processes, fork, vfork and exec events, `x`, `qXfer:threads`, `qXfer:siginfo`, `QPassSignals`, bounds of `m`.
//!
//! * `frame`: packets; `target`: the subject as the crate wants it; `regs`: registers and their description; `signals`;
//!   `monitor`: `monitor` commands; `threads`, `libraries`: lists in XML; [`serve`]: the loop.

mod frame;
mod monitor;
mod packets;
mod regs;
mod serve;
mod signals;
mod stub;
mod target;
#[cfg(test)]
mod tests;
mod xml;

pub use serve::{Served, Wire, serve};

use super::{Events, Resume, Subject, Thread, Why};
use core::ops::Range;
use frame::{Framer, Item};
use regs::Registers;
use std::collections::BTreeSet;
use tern_core::stops::{Stops, Watchpoint};

/// Most breakpoints and watchpoints of one session.
const MOST_POINTS: usize = 4096;

/// What the peer wants of the subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// It is to go on, with these stops ([`Server::stops`]); [`Server::stopped`] is awaited.
    Resume(Resume),
    /// It is to go back by one instruction of a thread.
    ReverseStep(Thread),
    /// It is to go back until something would have stopped it.
    ReverseContinue,
    /// It is to go on without a debugger.
    Detach,
    /// It is to end.
    Kill,
    /// It goes on without a debugger; this child, which waits since the fork, talks to the peer from now on.
    HandOver(u64),
}

/// Breakpoints and watchpoints, by the packets' number of their kind, address and length.
#[derive(Default)]
struct Points(BTreeSet<(u8, u64, u64)>);

impl Points {
    fn add(&mut self, kind: u8, addr: u64, len: u64) -> bool {
        let fits = self.0.len() < MOST_POINTS && (kind < 2 || len > 0);
        fits && {
            self.0.insert((kind, addr, len));
            true
        }
    }

    fn remove(&mut self, kind: u8, addr: u64, len: u64) -> bool {
        self.0.remove(&(kind, addr, len))
    }

    fn has_break(&self, kind: u8, addr: u64) -> bool {
        self.0.contains(&(kind, addr, 0))
    }

    /// The kind of the watchpoint that an access touched.
    fn watch(&self, addr: u64, write: bool) -> Option<u8> {
        let holds = |&&(kind, start, len): &&(u8, u64, u64)| {
            let fits = kind == 4 || kind == if write { 2 } else { 3 };
            fits && addr >= start && addr - start < len
        };
        self.0.iter().find(holds).map(|(kind, ..)| *kind)
    }

    fn stops(&self) -> Stops {
        let breaks = self.0.iter().filter(|(kind, ..)| *kind < 2).map(|(_, addr, _)| *addr).collect();
        let watches = self.0.iter().filter(|(kind, ..)| *kind >= 2);
        let watch = |&(kind, addr, len): &(u8, u64, u64)| Watchpoint { addr, len, read: kind != 2, write: kind != 3 };
        Stops::new(breaks, watches.map(watch).collect())
    }
}

/// How a packet wants the subject to go on.
#[derive(Default)]
struct Running {
    go: bool,
    back: bool,
    step: Option<Thread>,
    range: Option<Range<u64>>,
    /// Threads that the packet names, and whether all others are to stand.
    named: Vec<Thread>,
    locked: bool,
    signals: Vec<(Thread, i32)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Stopped,
    Running,
    /// The subject has ended, or is nobody's business any more.
    Over,
}

/// A thread as packets name it: process and thread; 0 is any, `u64::MAX` all.
type Name = (Option<u64>, u64);

/// A session with one peer.
pub struct Server {
    framer: Framer,
    registers: Option<Registers>,
    points: Points,
    phase: Phase,
    wish: Option<Wish>,
    /// How the subject goes on now.
    resumed: Option<Resume>,
    /// The range that a step is to leave.
    range: Option<Range<u64>>,
    /// The peer knows processes.
    multi: bool,
    /// The peer wants to hear which kind of breakpoint it was.
    kinds: bool,
    /// The thread that packets without one mean, for registers and memory.
    general: (u64, Thread),
    /// The one for going on; `None`: all.
    resumes: Option<Thread>,
    /// The answer to `?`.
    last: Vec<u8>,
    pass: u64,
    events: Events,
    /// A child that waits to hear what becomes of it.
    child: Option<u64>,
}

impl Server {
    /// For a subject that stands still.
    #[must_use]
    pub fn new(subject: &dyn Subject) -> Server {
        Server {
            framer: Framer::new(),
            registers: Registers::new(subject.isa(), subject.frontend()),
            points: Points::default(),
            phase: Phase::Stopped,
            wish: None,
            resumed: None,
            range: None,
            multi: false,
            kinds: false,
            general: (subject.process(), subject.current()),
            resumes: None,
            last: Vec::new(),
            pass: 0,
            events: Events::default(),
            child: None,
        }
    }

    /// Takes bytes from the peer and answers what can be answered; does nothing but keep them while the subject runs.
    pub fn feed(&mut self, subject: &mut dyn Subject, bytes: &[u8]) {
        self.framer.push(bytes);
        while self.phase != Phase::Running && self.wish.is_none() {
            match self.framer.next() {
                None => break,
                Some(Item::Again) => self.framer.again(),
                Some(Item::TooLong) => self.framer.send(b"E5a"),
                Some(Item::Packet(text)) => self.packet(subject, &text),
            }
        }
        if self.phase != Phase::Running {
            // What it would interrupt has stopped by itself.
            self.framer.take_interrupt();
        }
    }

    /// Takes bytes while the subject runs; does the peer want it to be interrupted?
    pub fn interrupts(&mut self, bytes: &[u8]) -> bool {
        self.framer.push(bytes);
        self.framer.take_interrupt()
    }

    /// What is to be sent to the peer.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.framer.take_output()
    }

    /// What the peer wants of the subject.
    pub fn take_wish(&mut self) -> Option<Wish> {
        self.wish.take()
    }

    /// Does the peer wait for the subject to stop?
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// What stops the subject.
    #[must_use]
    pub fn stops(&self) -> Stops {
        let stops = self.points.stops();
        if self.registers.as_ref().is_some_and(|r| r.before) { stops.before_access() } else { stops }
    }

    /// The subject has stopped; tells the peer, or wants it to go on at once.
    pub fn stopped(&mut self, subject: &mut dyn Subject, why: &Why) {
        if self.phase != Phase::Running {
            return;
        }
        if let (Why::Step(thread), Some(range)) = (why, &self.range) {
            let pc = subject.state(*thread).map_or(0, tern_core::state::State::pc);
            let breaks = self.points.has_break(0, pc) || self.points.has_break(1, pc);
            if range.contains(&pc) && !breaks {
                self.wish = Some(Wish::Resume(Resume { step: Some(*thread), ..self.resume() }));
                return;
            }
        }
        if let Some(resume) = self.resumed.clone().filter(|_| self.is_removed(subject, why)) {
            self.wish = Some(Wish::Resume(resume));
            return;
        }
        self.range = None;
        self.phase = match why {
            Why::Exited(_) | Why::Killed(_) => Phase::Over,
            _ => Phase::Stopped,
        };
        let thread = match why {
            Why::Breakpoint(t) | Why::Watch(t, _) | Why::Step(t) | Why::Signal(t, _) => *t,
            Why::Forked { thread, child, .. } => {
                self.child = Some(*child);
                *thread
            }
            Why::VforkDone(t) | Why::Executed(t, _) => *t,
            _ => subject.current(),
        };
        self.general = (subject.process(), thread);
        self.resumes = None;
        self.last = self.stop_text(subject, why);
        let text = self.last.clone();
        self.framer.send(&text);
    }

    /// Is it a stop for something that the peer has removed?
    fn is_removed(&self, subject: &dyn Subject, why: &Why) -> bool {
        match why {
            Why::Breakpoint(thread) => {
                let pc = subject.state(*thread).map_or(0, tern_core::state::State::pc);
                !self.points.has_break(0, pc) && !self.points.has_break(1, pc)
            }
            Why::Watch(_, touched) => self.points.watch(touched.addr, touched.write).is_none(),
            _ => false,
        }
    }

    /// How the subject goes on if the packet says nothing of it.
    fn resume(&self) -> Resume {
        let e = self.events;
        let flags = [!self.framer.acks, self.multi, self.kinds, e.fork, e.vfork, e.exec];
        let flags = flags.iter().rev().fold(0, |set, on| set << 1 | u64::from(*on));
        Resume {
            step: None,
            only: None,
            signals: Vec::new(),
            pass: self.pass,
            events: e,
            session: format!("{flags:x},{:x}", self.pass),
        }
    }

    /// A server that goes on with the session of another process, whose [`Resume::session`] this is: the peer waits for the
    /// subject to stop.
    #[must_use]
    pub fn resumed(subject: &dyn Subject, session: &str) -> Option<Server> {
        let (flags, pass) = session.split_once(',')?;
        let (flags, pass) = (frame::number(flags.as_bytes())?, frame::number(pass.as_bytes())?);
        let has = |bit: u32| flags >> bit & 1 != 0;
        let mut server = Server::new(subject);
        server.framer.acks = !has(0);
        (server.multi, server.kinds, server.pass) = (has(1), has(2), pass);
        server.events = Events { fork: has(3), vfork: has(4), exec: has(5) };
        server.phase = Phase::Running;
        Some(server)
    }

    /// Does the peer want to hear of executed programs?
    #[must_use]
    pub fn hears_exec(&self) -> bool {
        self.events.exec
    }

    /// In a child that the peer debugs from now on: what belonged to the parent is forgotten.
    pub fn is_child_now(&mut self, subject: &dyn Subject) {
        self.child = None;
        self.general = (subject.process(), subject.current());
        self.phase = Phase::Stopped;
        self.wish = None;
        self.points = Points::default();
        self.range = None;
    }

    /// Shows the user of the debugger a line.
    pub fn tell(&mut self, line: &str) {
        let text = format!("O{}", frame::hex(format!("{line}\n").as_bytes()));
        self.framer.send(text.as_bytes());
    }
}
