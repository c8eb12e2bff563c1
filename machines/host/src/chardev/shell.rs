//! What every character device has, whatever is behind it: two ends and a handle, a log, breaks, changes.

use super::{Chardev, ChardevError, Descriptor, Source};
use crate::console::ConsoleEvent;
use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::rc::Rc;
#[cfg(unix)]
use std::time::{Duration, Instant};
use tern_core::backend::CharSink;

/// How long somebody who needs a peer waits for one that is to come.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_secs(60);
/// Between looks meanwhile.
#[cfg(unix)]
const LOOK: Duration = Duration::from_millis(10);

/// A connection has come about, or is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Somebody is there.
    Opened,
    /// Nobody is there any more.
    Closed,
}

/// What one look at a device brings.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) events: Vec<ConsoleEvent>,
    /// In order; bytes among the events come before the last of them if that is [`Change::Closed`], else after all.
    pub(super) changes: Vec<Change>,
}

/// The framing of a serial line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineSettings {
    /// Bits per second.
    pub baud: u32,
    /// None, or whether the number of ones is made odd.
    pub odd_parity: Option<bool>,
    /// 5 to 8.
    pub data_bits: u8,
    /// 1 or 2.
    pub stop_bits: u8,
}

/// What is behind a character device.
pub(super) trait Backend {
    /// Takes output; never waits for a peer.
    fn write(&mut self, bytes: &[u8], changes: &mut Vec<Change>);

    /// As [`Source::fds`].
    fn fds(&self) -> Vec<i32> {
        Vec::new()
    }

    /// As [`Source::again`].
    fn again(&self) -> Option<u64> {
        None
    }

    /// Looks what has come; never waits.
    fn poll(&mut self, _inbox: &mut Inbox) {}

    /// As [`Handle::info`].
    fn info(&self) -> String;

    /// Is somebody, or something, there?
    fn is_open(&self) -> bool {
        true
    }

    /// As [`Source::take_fds`].
    fn take_fds(&mut self) -> Vec<Descriptor> {
        Vec::new()
    }

    /// As [`Handle::add_client`].
    fn add_client(&mut self, _client: Descriptor, _changes: &mut Vec<Change>) -> Result<(), ChardevError> {
        Err(ChardevError::Spec(format!("{}: takes no clients", self.info())))
    }

    /// As [`Handle::lend`].
    fn lend(&mut self) -> bool {
        false
    }

    /// As [`Handle::seek`].
    fn seek(&mut self, _changes: &mut Vec<Change>) {}

    /// As [`Handle::may_come`].
    fn may_come(&self) -> bool {
        false
    }

    /// As [`Handle::connection`].
    fn connection(&self) -> Option<Descriptor> {
        None
    }

    /// As [`Handle::disconnect`].
    fn disconnect(&mut self, _changes: &mut Vec<Change>) {}

    /// The ring, if it is one.
    fn ring(&mut self) -> Option<&mut super::plain::Ring> {
        None
    }

    /// As [`Handle::set_line`].
    fn set_line(&mut self, _settings: LineSettings) {}

    /// As [`Handle::set_break`].
    fn set_break(&mut self, _on: bool) {}
}

/// A device that all its ends share.
pub(super) struct Shell {
    backend: Box<dyn Backend>,
    log: Option<File>,
    /// Breaks that wait for the guest.
    breaks: u32,
    changes: Vec<Change>,
}

/// Changes that wait for somebody to take them; older ones are forgotten, two at a time.
const CHANGES: usize = 64;

impl Shell {
    fn trim(&mut self) {
        while self.changes.len() > CHANGES {
            self.changes.drain(..2);
        }
    }
}

/// A character device with its ends.
pub(super) fn chardev(backend: impl Backend + 'static, log: Option<File>, note: Option<String>) -> Chardev {
    let shell = Shell { backend: Box::new(backend), log, breaks: 0, changes: Vec::new() };
    let handle = Handle(Rc::new(RefCell::new(shell)));
    Chardev { sink: handle.sink(), source: Box::new(Input(handle.clone())), note, handle }
}

/// Whoever manages a character device has this.  It does what it says as long as the device's source lives.
#[derive(Clone)]
pub struct Handle(Rc<RefCell<Shell>>);

impl Handle {
    /// What it is and what it is connected to, as `query-chardev` shows it (`filename`).
    #[must_use]
    pub fn info(&self) -> String {
        self.0.borrow().backend.info()
    }

    /// Is somebody there?  Files and the like always are.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.borrow().backend.is_open()
    }

    /// Another end for output: several devices may share the character device.
    #[must_use]
    pub fn sink(&self) -> Box<dyn CharSink> {
        Box::new(Sink(self.clone()))
    }

    /// Sends the guest a break (`chardev-send-break`).
    pub fn send_break(&self) {
        let breaks = &mut self.0.borrow_mut().breaks;
        *breaks = breaks.saturating_add(1).min(16);
    }

    /// Hands a connected socket to a device that waits for peers (`add_client`).
    ///
    /// # Errors
    /// It has a peer, or never takes one; or the descriptor is no connected socket.
    pub fn add_client(&self, client: Descriptor) -> Result<(), ChardevError> {
        let shell = &mut *self.0.borrow_mut();
        shell.backend.add_client(client, &mut shell.changes)
    }

    /// Lends the connection to somebody who speaks over it himself ([`Handle::connection`]): nothing is read here any more.
    /// False if it is no local socket.
    #[must_use]
    pub fn lend(&self) -> bool {
        self.0.borrow_mut().backend.lend()
    }

    /// Looks for a peer of a connection that is lent.
    pub fn seek(&self) {
        let shell = &mut *self.0.borrow_mut();
        shell.backend.seek(&mut shell.changes);
        shell.trim();
    }

    /// Can a peer still come?
    #[must_use]
    pub fn may_come(&self) -> bool {
        self.0.borrow().backend.may_come()
    }

    /// Another descriptor of the connection that is lent, if there is one now.
    #[must_use]
    pub fn connection(&self) -> Option<Descriptor> {
        self.0.borrow().backend.connection()
    }

    /// The connection of a local socket, lent to somebody who speaks over it himself; its peer is waited for, if one can
    /// come.
    ///
    /// # Errors
    /// It is no local socket, or nobody comes.
    #[cfg(unix)]
    pub fn stream(&self) -> Result<std::os::unix::net::UnixStream, String> {
        if !self.lend() {
            return Err(format!("{}: this is no local socket", self.info()));
        }
        let begin = Instant::now();
        loop {
            self.seek();
            if let Some(descriptor) = self.connection() {
                let stream = std::os::unix::net::UnixStream::from(descriptor);
                stream.set_nonblocking(false).map_err(|e| format!("{}: {e}", self.info()))?;
                return Ok(stream);
            }
            if begin.elapsed() > PATIENCE || !self.may_come() {
                return Err(format!("{}: nobody is there", self.info()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Ends the connection that is lent; its peer may come back, if it was one that does.
    pub fn disconnect(&self) {
        let shell = &mut *self.0.borrow_mut();
        shell.backend.disconnect(&mut shell.changes);
        shell.trim();
    }

    /// Takes up to `size` of the oldest bytes out of a ring (`ringbuf-read`); none if it is no ring.
    #[must_use]
    pub fn ring_read(&self, size: usize) -> Option<Vec<u8>> {
        Some(self.0.borrow_mut().backend.ring()?.read(size))
    }

    /// Puts bytes into a ring as if the guest had written them (`ringbuf-write`); false if it is no ring.
    #[must_use]
    pub fn ring_write(&self, bytes: &[u8]) -> bool {
        match self.0.borrow_mut().backend.ring() {
            Some(ring) => {
                ring.put(bytes);
                true
            }
            None => false,
        }
    }

    /// Sets the framing of a serial line of the host's; for everything else that means nothing.
    pub fn set_line(&self, settings: LineSettings) {
        self.0.borrow_mut().backend.set_line(settings);
    }

    /// Holds a serial line of the host's in the break condition, or lets it go.
    pub fn set_break(&self, on: bool) {
        self.0.borrow_mut().backend.set_break(on);
    }
}

/// An end for output.
struct Sink(Handle);

impl CharSink for Sink {
    fn write(&mut self, bytes: &[u8]) {
        let shell = &mut *self.0.0.borrow_mut();
        if let Some(log) = &mut shell.log {
            // A log is made as far as it can be, as in QEMU.
            let _ = log.write_all(bytes);
        }
        shell.backend.write(bytes, &mut shell.changes);
        shell.trim();
    }
}

/// The end for input.  Dropping it closes what is behind the device.
struct Input(Handle);

impl Source for Input {
    fn fds(&self) -> Vec<i32> {
        self.0.0.borrow().backend.fds()
    }

    fn again(&self) -> Option<u64> {
        let shell = self.0.0.borrow();
        if shell.breaks > 0 { Some(0) } else { shell.backend.again() }
    }

    fn poll(&mut self) -> Vec<ConsoleEvent> {
        let shell = &mut *self.0.0.borrow_mut();
        let mut inbox = Inbox::default();
        for _ in 0..core::mem::take(&mut shell.breaks) {
            inbox.events.push(ConsoleEvent::Break);
        }
        shell.backend.poll(&mut inbox);
        shell.changes.append(&mut inbox.changes);
        shell.trim();
        inbox.events
    }

    fn changes(&mut self) -> Vec<Change> {
        core::mem::take(&mut self.0.0.borrow_mut().changes)
    }

    fn take_fds(&mut self) -> Vec<Descriptor> {
        self.0.0.borrow_mut().backend.take_fds()
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.0.0.borrow_mut().backend = Box::new(super::plain::Nothing);
    }
}
