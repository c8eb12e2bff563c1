//! Character devices that are connections: TCP and local sockets, telnet.

use super::shell::{Backend, Change, Inbox};
use super::telnet::Telnet;
use super::{Address, ChardevError, Descriptor, Descriptors, SocketSpec, WAITING};
use crate::clock;
use crate::console::ConsoleEvent;
use crate::net::endpoint::Endpoint;
use crate::wait::Interest;
use socket2::Socket;
use std::collections::VecDeque;
use std::io::{self, Write};

/// Most bytes that wait for a client.
const BACKLOG: usize = 1 << 20;
/// Bytes read at once.
const INPUT: usize = 4096;
/// When to look again at a connection that is being made, in nanoseconds.
const CONNECTING: u64 = 10_000_000;

/// A connection.
pub(super) struct Line {
    end: Endpoint,
    spec: SocketSpec,
    telnet: Option<Telnet>,
    waiting: VecDeque<u8>,
    /// The peer takes nothing any more; what it has sent may still come.
    deaf: bool,
    /// Descriptors that came with the last bytes.
    passed: Vec<Descriptor>,
    /// Nothing will come any more, and that has been said.
    ended: bool,
    /// Somebody else reads.
    lent: bool,
}

impl Line {
    pub(super) fn open(spec: &SocketSpec, fds: &mut Descriptors) -> Result<Line, ChardevError> {
        let failed = |e: io::Error| ChardevError::Io(spec.address.to_string(), e);
        let again = (spec.reconnect_ms > 0).then(|| spec.reconnect_ms.saturating_mul(1_000_000));
        let end = if spec.server {
            Endpoint::listen(&spec.address, fds)
        } else {
            Endpoint::connect(&spec.address, again, fds)
        };
        let mut line = Line {
            end: end.map_err(failed)?,
            spec: spec.clone(),
            telnet: None,
            waiting: VecDeque::new(),
            deaf: false,
            passed: Vec::new(),
            ended: false,
            lent: false,
        };
        if spec.server && spec.wait {
            line.end.await_peer().map_err(failed)?;
        }
        if line.end.socket().is_some() {
            line.greet();
        }
        Ok(line)
    }

    /// A peer has come.
    fn greet(&mut self) {
        if self.spec.telnet {
            self.telnet = Some(Telnet::default());
            if self.spec.server {
                self.waiting.extend(Telnet::greeting());
                self.send();
            }
        }
    }

    fn send(&mut self) {
        let Some(mut socket) = self.end.socket() else { return };
        while !self.waiting.is_empty() && !self.deaf {
            match socket.write(self.waiting.as_slices().0) {
                Ok(n) if n > 0 => drop(self.waiting.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                _ => {
                    self.deaf = true;
                    self.waiting.clear();
                }
            }
        }
    }

    fn lose(&mut self, changes: &mut Vec<Change>) {
        self.end.lose(clock::monotonic_ns());
        self.waiting.clear();
        self.deaf = false;
        self.telnet = None;
        self.passed.clear();
        changes.push(Change::Closed);
    }

    /// What there is to read; `None` at the end of the connection.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buf = [0; INPUT];
        let Some(socket) = self.end.socket() else { return Some(Vec::new()) };
        loop {
            match receive(socket, &mut buf) {
                Ok((n, passed)) if n > 0 => {
                    if !passed.is_empty() {
                        // Those of an earlier message that nobody wanted are closed.
                        self.passed = passed;
                    }
                    return Some(buf[..n].to_vec());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Some(Vec::new()),
                _ => return None,
            }
        }
    }

    /// The address without a connection.
    fn idle_info(&self) -> String {
        let protocol = if self.spec.telnet { "telnet" } else { "tcp" };
        let listening = self.end.listens_at();
        let server = if self.spec.server { ",server=on" } else { "" };
        if let Some(at) = listening.and_then(|at| at.as_socket()) {
            return format!("{protocol}:{}:{}{server}", at.ip(), at.port());
        }
        match &self.spec.address {
            Address::Inet(inet) => format!("{protocol}:{}:{}{server}", inet.host, inet.port),
            Address::Unix { path, abstract_name: true, tight } => {
                let tight = if *tight { ",tight=on" } else { "" };
                format!("unix:{},abstract=on{tight}{server}", path.display())
            }
            other => format!("{other}{server}"),
        }
    }
}

#[cfg(target_os = "linux")]
fn receive(socket: &Socket, buf: &mut [u8]) -> io::Result<(usize, Vec<Descriptor>)> {
    Ok(crate::sys::socket::receive(std::os::fd::AsRawFd::as_raw_fd(socket), buf)?)
}

#[cfg(not(target_os = "linux"))]
fn receive(socket: &Socket, buf: &mut [u8]) -> io::Result<(usize, Vec<Descriptor>)> {
    let mut socket = socket;
    Ok((io::Read::read(&mut socket, buf)?, Vec::new()))
}

impl Backend for Line {
    fn write(&mut self, bytes: &[u8], _: &mut Vec<Change>) {
        if self.end.socket().is_none() || self.deaf {
            return;
        }
        let room = BACKLOG.saturating_sub(self.waiting.len());
        let bytes = &bytes[..bytes.len().min(room)];
        if self.telnet.is_some() {
            self.waiting.extend(Telnet::encode(bytes));
        } else {
            self.waiting.extend(bytes);
        }
        self.send();
    }

    fn fds(&self) -> Vec<i32> {
        if self.lent && self.is_open() {
            return Vec::new();
        }
        self.end.watch(Interest::READ).filter(|(_, interest)| interest.read).map(|(fd, _)| fd).into_iter().collect()
    }

    fn again(&self) -> Option<u64> {
        if !self.waiting.is_empty() {
            return Some(WAITING);
        }
        if self.end.is_connecting() {
            return Some(CONNECTING);
        }
        Some(self.end.deadline()?.saturating_sub(clock::monotonic_ns()))
    }

    fn poll(&mut self, inbox: &mut Inbox) {
        if self.lent {
            return self.seek(&mut inbox.changes);
        }
        self.send();
        if self.end.seek(clock::monotonic_ns()) {
            inbox.changes.push(Change::Opened);
            self.greet();
        }
        match (self.receive(), &mut self.telnet) {
            (Some(bytes), _) if bytes.is_empty() => {}
            (Some(bytes), Some(telnet)) => telnet.decode(&bytes, &mut inbox.events),
            (Some(bytes), None) => inbox.events.push(ConsoleEvent::Bytes(bytes)),
            (None, _) => self.lose(&mut inbox.changes),
        }
        if self.end.socket().is_none() && !self.end.may_come() && !self.ended {
            self.ended = true;
            inbox.events.push(ConsoleEvent::Closed);
        }
    }

    fn info(&self) -> String {
        let Some(socket) = self.end.socket() else { return format!("disconnected:{}", self.idle_info()) };
        let protocol = if self.spec.telnet { "telnet" } else { "tcp" };
        let server = if self.spec.server { ",server=on" } else { "" };
        let of = |addr: io::Result<socket2::SockAddr>| addr.ok()?.as_socket();
        match (of(socket.local_addr()), of(socket.peer_addr())) {
            (Some(local), Some(peer)) => format!("{protocol}:{local}{server} <-> {peer}"),
            _ => match self.end.peer_name() {
                Some(name) => format!("{name}{server}"),
                None => "unknown".to_owned(),
            },
        }
    }

    fn is_open(&self) -> bool {
        self.end.socket().is_some()
    }

    fn take_fds(&mut self) -> Vec<Descriptor> {
        core::mem::take(&mut self.passed)
    }

    fn lend(&mut self) -> bool {
        let local = matches!(self.spec.address, Address::Unix { .. } | Address::Fd(_)) && !self.spec.telnet;
        self.lent |= local;
        local
    }

    fn seek(&mut self, changes: &mut Vec<Change>) {
        if self.end.seek(clock::monotonic_ns()) {
            changes.push(Change::Opened);
        }
    }

    fn may_come(&self) -> bool {
        self.end.may_come()
    }

    fn connection(&self) -> Option<Descriptor> {
        Some(self.end.socket()?.try_clone().ok()?.into())
    }

    fn disconnect(&mut self, changes: &mut Vec<Change>) {
        if self.is_open() {
            self.lose(changes);
        }
    }

    fn add_client(&mut self, client: Descriptor, changes: &mut Vec<Change>) -> Result<(), ChardevError> {
        let failed = |e: io::Error| ChardevError::Io("client".to_owned(), e);
        let socket = Socket::from(client);
        // A descriptor that is no connected socket is no client.
        socket.peer_addr().map_err(failed)?;
        if !self.end.adopt(socket).map_err(failed)? {
            return Err(ChardevError::Spec(format!("{}: has a client", self.info())));
        }
        self.ended = false;
        changes.push(Change::Opened);
        self.greet();
        Ok(())
    }
}
