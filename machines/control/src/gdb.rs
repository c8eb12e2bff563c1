//! The gdb server of a machine: a surface on a character device.
//!
//! The machine stands as long as gdb has stopped it; all other surfaces go on.  While it runs, gdb's stops are in the machine,
//! and its loop ends a turn with [`tern_session::machine::Ended::Debug`].

use crate::hmp;
use crate::parts;
use crate::surface::Surface;
use crate::vm::{Cause, Event, RunState, Vm};
use tern_board::config::{Chardev, Setup};
use tern_core::backend::CharSink;
use tern_core::stops::Stops;
use tern_host::chardev::Change;
use tern_session::Machine;
use tern_session::debug::gdb::{Server, Wish};
use tern_session::debug::{Cpus, Holder, Resume, Subject, Why};

/// Where the server is if nothing is said.
pub const DEFAULT: &str = "tcp::1234";

/// The character device that a text of `-gdb` describes; sockets listen, and the machine does not wait for a client.
///
/// # Errors
/// In one line.
pub fn setup(text: &str) -> Result<Setup, String> {
    let socket = text.starts_with("tcp:") || text.starts_with("unix:");
    let says = |text: &str, name: &str| text.split(',').skip(1).any(|o| o.split('=').next() == Some(name));
    let mut text = text.to_owned();
    if socket && !says(&text, "server") {
        text += ",server=on";
    }
    let listens = text.split(',').any(|o| o == "server" || o == "server=on");
    if listens && !says(&text, "wait") && !says(&text, "nowait") {
        text += ",wait=off";
    }
    parts::serial(&text)
}

/// Adds the character device of a server while the machine runs; its name.
///
/// # Errors
/// In one line.
pub fn add_chardev(vm: &mut Vm, text: &str) -> Result<String, String> {
    if let Some(id) = text.strip_prefix("chardev:") {
        return Ok(id.to_owned());
    }
    let free = |n: &u32| vm.host.world().chars.find(&format!("gdb{n}")).is_none();
    let id = format!("gdb{}", (0..u32::MAX).find(free).unwrap_or(0));
    vm.chardev_add(&Chardev { id: id.clone(), setup: setup(text)? })?;
    Ok(id)
}

/// The machine with its monitor.
struct Watched<'a>(&'a mut Vm);

impl Holder for Watched<'_> {
    fn machine(&self) -> &Machine {
        &self.0.board.machine
    }

    fn machine_mut(&mut self) -> &mut Machine {
        &mut self.0.board.machine
    }

    fn reverses(&self) -> bool {
        self.0.reverses()
    }

    fn monitor(&mut self, line: &str) -> Option<String> {
        Some(hmp::run(self.0, line))
    }
}

/// The server.
pub struct GdbServer {
    id: String,
    sink: Box<dyn CharSink>,
    session: Option<Server>,
}

impl GdbServer {
    /// On this character device.
    ///
    /// # Errors
    /// One that is not there, or in use.
    pub fn new(vm: &Vm, id: &str) -> Result<GdbServer, String> {
        let sink = vm.host.world().chars.attach_surface(id)?;
        Ok(GdbServer { id: id.to_owned(), sink, session: None })
    }

    /// Lets the machine and the character device go.
    pub fn end(mut self, vm: &mut Vm) {
        self.close(vm);
        vm.host.world().chars.release_surface(&self.id);
    }

    /// A client is there: the machine stands still.
    fn open(&mut self, vm: &mut Vm) {
        vm.stop();
        let isa = vm.isa().to_owned();
        let mut holder = Watched(vm);
        self.session = Some(Server::new(&Cpus::new(&mut holder, &isa)));
    }

    /// The client is gone: nothing stops the machine any more.
    fn close(&mut self, vm: &mut Vm) {
        if self.session.take().is_some() {
            vm.board.machine.set_stops(&Stops::default());
            vm.board.machine.set_step(None);
        }
    }

    /// Calls the session with the machine.
    fn with<T>(&mut self, vm: &mut Vm, f: impl FnOnce(&mut Server, &mut dyn Subject) -> T) -> Option<T> {
        let session = self.session.as_mut()?;
        let isa = vm.isa().to_owned();
        let mut holder = Watched(vm);
        let value = f(session, &mut Cpus::new(&mut holder, &isa));
        let output = session.take_output();
        if !output.is_empty() {
            self.sink.write(&output);
        }
        Some(value)
    }

    /// Takes bytes from the client.
    fn feed(&mut self, vm: &mut Vm, bytes: &[u8]) -> Result<(), String> {
        if self.session.is_none() {
            // A device without connections has one client for ever.
            self.open(vm);
        }
        let running = self.session.as_ref().is_some_and(Server::is_running);
        if running {
            if self.session.as_mut().is_some_and(|s| s.interrupts(bytes)) {
                vm.stop();
                self.stopped(vm, &Why::Interrupted)?;
            }
            return Ok(());
        }
        self.with(vm, |session, subject| session.feed(subject, bytes));
        self.wishes(vm)
    }

    fn stopped(&mut self, vm: &mut Vm, why: &Why) -> Result<(), String> {
        vm.board.machine.set_step(None);
        self.with(vm, |session, subject| {
            session.stopped(subject, why);
            session.feed(subject, &[]);
        });
        self.wishes(vm)
    }

    /// Does what the client wants of the machine.
    fn wishes(&mut self, vm: &mut Vm) -> Result<(), String> {
        match self.session.as_mut().and_then(Server::take_wish) {
            Some(Wish::Resume(resume)) => self.resume(vm, &resume)?,
            Some(Wish::Detach | Wish::HandOver(_)) => {
                self.close(vm);
                // A machine that has come to its end cannot go on, and need not.
                let _ = vm.cont();
            }
            Some(Wish::Kill) => {
                self.close(vm);
                vm.quit(Cause::HostQmpQuit);
            }
            Some(Wish::ReverseStep(_)) => {
                let why = vm.reverse_step();
                self.back(vm, why)?;
            }
            Some(Wish::ReverseContinue) => {
                let stops = self.session.as_ref().map(Server::stops).unwrap_or_default();
                let why = vm.reverse_continue(&stops);
                self.back(vm, why)?;
            }
            None => {}
        }
        Ok(())
    }

    /// The machine has gone back, or could not.
    fn back(&mut self, vm: &mut Vm, why: Result<Why, String>) -> Result<(), String> {
        let why = why.unwrap_or_else(|text| {
            vm.tell(&text);
            Why::Interrupted
        });
        self.stopped(vm, &why)
    }

    fn resume(&mut self, vm: &mut Vm, resume: &Resume) -> Result<(), String> {
        let Some(session) = &self.session else { return Ok(()) };
        Cpus::prepare(&mut vm.board.machine, &session.stops(), resume);
        if let Err(why) = vm.cont() {
            vm.tell(&why);
            return self.stopped(vm, &Why::Interrupted);
        }
        Ok(())
    }
}

impl Surface for GdbServer {
    fn attend(&mut self, vm: &mut Vm) -> Result<(), String> {
        let (changes, bytes) = {
            let mut world = vm.host.world();
            (world.chars.changes(&self.id), world.chars.read(&self.id))
        };
        // What comes with the end of a connection belongs to it.
        let ends = changes.last() == Some(&Change::Closed);
        for change in &changes[..changes.len() - usize::from(ends)] {
            self.close(vm);
            if *change == Change::Opened {
                self.open(vm);
            }
        }
        if !bytes.is_empty() {
            self.feed(vm, &bytes)?;
        }
        if ends {
            self.close(vm);
        }
        let running = self.session.as_ref().is_some_and(Server::is_running);
        if let Some(stop) = vm.take_debug_stop().filter(|_| running) {
            return self.stopped(vm, &Cpus::why(stop));
        }
        if running && !vm.is_running() && vm.ended().is_none() {
            // Somebody else has stopped it.
            let why = match vm.status() {
                _ if vm.take_at_end() => Why::End,
                RunState::Shutdown => Why::Signal(1, 3),
                RunState::GuestPanicked | RunState::InternalError => Why::Signal(1, 6),
                RunState::Watchdog => Why::Signal(1, 14),
                RunState::IoError => Why::Signal(1, 19),
                _ => Why::Interrupted,
            };
            return self.stopped(vm, &why);
        }
        Ok(())
    }

    fn event(&mut self, vm: &mut Vm, _event: &Event) {
        let running = self.session.as_ref().is_some_and(Server::is_running);
        if let Some(status) = vm.ended().filter(|_| running) {
            self.with(vm, |session, subject| session.stopped(subject, &Why::Exited(status)));
        }
    }
}
