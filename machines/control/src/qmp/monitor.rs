//! A QMP monitor on a character device.

use super::command::{Answer, Error, Later};
use super::commands::{self, machine::version};
use super::event::{Event, Throttle};
use super::events::EVENTS;
use super::protocol::{Session, Ticket};
use super::schema::Type as _;
use crate::surface::Surface;
use crate::vm::{self, Vm};
use serde_json::Value;
use tern_core::backend::CharSink;
use tern_host::chardev::Change;
use tern_host::clock::monotonic_ns;

/// A QMP monitor on a character device.
///
/// # Errors
/// One that is not there, or in use.
pub fn monitor(vm: &Vm, id: &str, pretty: bool) -> Result<Box<dyn Surface>, String> {
    let sink = vm.host.world().chars.attach_surface(id)?;
    let mut monitor = Monitor {
        id: id.to_owned(),
        sink,
        pretty,
        session: greet(pretty),
        throttle: Throttle::new(EVENTS),
        input: Vec::new(),
        slow: None,
        answers: Vec::new(),
    };
    // Who comes later is greeted then.
    if vm.host.world().chars.find(id).is_some_and(|node| node.handle().is_open()) {
        monitor.write();
    }
    Ok(Box::new(monitor))
}

fn greet(pretty: bool) -> Session {
    Session::new(&version().encode(), pretty, true)
}

/// How often a command that takes its time is asked whether it is done, in nanoseconds.
const SLOW_NS: u64 = 5_000_000;

struct Monitor {
    id: String,
    sink: Box<dyn CharSink>,
    pretty: bool,
    session: Session,
    throttle: Throttle,
    /// What has come and cannot be taken in yet.
    input: Vec<u8>,
    /// The command that takes its time.
    slow: Option<(Ticket, Later<Vm, Value>)>,
    /// Answers that wait until what their commands led to has been told.
    answers: Vec<(Ticket, Result<Value, Error>)>,
}

impl Monitor {
    fn write(&mut self) {
        let bytes = self.session.take_output();
        if !bytes.is_empty() {
            self.sink.write(&bytes);
        }
    }

    /// Takes in what has come.  A new client begins anew; what the one before has said is lost, apart from what it said
    /// just before it went.
    fn receive(&mut self, vm: &mut Vm) {
        let world = &mut *vm.host.world();
        if let Some(Change::Opened) = world.chars.changes(&self.id).last() {
            self.session = greet(self.pretty);
            self.input.clear();
            self.slow = None;
            self.answers.clear();
        }
        if self.input.is_empty() {
            self.input = world.chars.read(&self.id);
        }
        let fds = world.chars.take_fds(&self.id);
        if !fds.is_empty() {
            vm.qmp.fds.receive(fds);
        }
        let taken = self.session.feed(&self.input);
        self.input.drain(..taken);
    }

    /// The slow command, if it is done now.
    fn ask(&mut self, vm: &mut Vm) {
        if let Some((ticket, mut later)) = self.slow.take() {
            match later(vm) {
                Some(result) => self.answers.push((ticket, result)),
                None => self.slow = Some((ticket, later)),
            }
        }
    }
}

impl Surface for Monitor {
    fn attend(&mut self, vm: &mut Vm) -> Result<(), String> {
        self.ask(vm);
        self.receive(vm);
        if let Some(call) = self.session.next(commands::ALL, vm.options.preconfig) {
            match (call.command.run)(vm, call.arguments) {
                Ok(Answer::Now(answer)) => self.answers.push((call.ticket, Ok(answer))),
                Ok(Answer::Later(later)) => self.slow = Some((call.ticket, later)),
                Err(why) => self.answers.push((call.ticket, Err(why))),
            }
        }
        for event in self.throttle.due(monotonic_ns()) {
            self.session.event(&event);
        }
        self.write();
        Ok(())
    }

    fn event(&mut self, _vm: &mut Vm, event: &vm::Event) {
        let event = Event { name: event.name.to_owned(), data: event.data.clone(), at_ns: event.time_ns };
        if let Some(event) = self.throttle.push(event, monotonic_ns()) {
            self.session.event(&event);
            self.write();
        }
    }

    fn settle(&mut self) -> bool {
        let acted = !self.answers.is_empty();
        for (ticket, result) in self.answers.drain(..) {
            self.session.answer(ticket, result);
        }
        self.write();
        acted || !self.input.is_empty() && self.session.room()
    }

    fn patience(&self) -> Option<u64> {
        let event = self.throttle.next_ns().map(|at| at.saturating_sub(monotonic_ns()));
        let slow = self.slow.as_ref().map(|_| SLOW_NS);
        event.into_iter().chain(slow).min()
    }
}
