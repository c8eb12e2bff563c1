//! The connection to a vhost-user process: requests, answers, descriptors.

use super::wire::{self, HEADER, Request};
use crate::sys::host;
use crate::sys::socket::{Control, recvfrom, sendmsg};
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long an answer may take; one that does not come ends the connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection.
pub(super) struct Link(UnixStream);

impl Link {
    /// Over a connected local socket.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Link> {
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Link(stream))
    }

    /// Its descriptor.
    pub(super) fn fd(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Is the process gone?  Nothing comes without being asked for, so that whatever can be read without is wrong too.
    pub(super) fn is_over(&self) -> bool {
        recvfrom(self.fd(), &mut [0], host::MSG_PEEK | host::MSG_DONTWAIT).map_or_else(
            |e| !matches!(io::Error::from(e).kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
            |_| true,
        )
    }

    /// Sends a request without an answer.
    pub(super) fn tell(&mut self, request: Request, payload: &[u8], fds: &[i32]) -> Result<(), String> {
        self.send(request, false, payload, fds)
    }

    /// Sends a request; what it is answered with.
    pub(super) fn ask(&mut self, request: Request, payload: &[u8]) -> Result<Vec<u8>, String> {
        self.send(request, false, payload, &[])?;
        self.answer(request)
    }

    /// Asks for a number.
    pub(super) fn number(&mut self, request: Request) -> Result<u64, String> {
        wire::long(&self.ask(request, &[])?).ok_or_else(|| format!("{request:?}: the answer is too short"))
    }

    /// Sends a request and waits until it has been done.
    pub(super) fn confirm(&mut self, request: Request, payload: &[u8], fds: &[i32]) -> Result<(), String> {
        self.send(request, true, payload, fds)?;
        match wire::long(&self.answer(request)?) {
            Some(0) => Ok(()),
            other => Err(format!("{request:?} failed: {other:?}")),
        }
    }

    fn send(&mut self, request: Request, answer: bool, payload: &[u8], fds: &[i32]) -> Result<(), String> {
        let failed = |e: &dyn core::fmt::Display| format!("{request:?}: {e}");
        let message = wire::message(request, answer, payload);
        let control = if fds.is_empty() { Vec::new() } else { vec![Control::Rights(fds.to_vec())] };
        let mut done = 0;
        while done < message.len() {
            // Descriptors go with the first bytes.
            let control = if done == 0 { &control[..] } else { &[] };
            match sendmsg(self.fd(), None, &[IoSlice::new(&message[done..])], control, host::MSG_NOSIGNAL) {
                Ok(0) => return Err(failed(&"nothing can be sent")),
                Ok(n) => done += n,
                Err(e) if io::Error::from(e).kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(&io::Error::from(e))),
            }
        }
        Ok(())
    }

    fn answer(&mut self, request: Request) -> Result<Vec<u8>, String> {
        let failed = |e: io::Error| format!("{request:?}: no answer: {e}");
        let mut header = [0; HEADER];
        self.0.read_exact(&mut header).map_err(failed)?;
        let mut payload = vec![0; wire::answer(request, &header)?];
        self.0.read_exact(&mut payload).map_err(failed)?;
        Ok(payload)
    }
}
