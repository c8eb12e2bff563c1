//! One end of a stream connection: a server that has one peer at a time, or a client that comes back.

use super::address::{self, Address, SocketFile, name_of, resolve};
use super::descriptors::Descriptors;
use crate::wait::Interest;
use core::time::Duration;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;

/// How long opening a client waits for its server.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the peer is found.
enum Role {
    /// Peers come to a listening socket; without one, they are given to us.
    Server { listener: Option<Socket>, _file: Option<SocketFile> },
    /// We go to the peer, trying its addresses in turn.
    Client {
        to: Vec<SockAddr>,
        next: usize,
        /// Nanoseconds between attempts; none if a lost peer is lost.
        again: Option<u64>,
    },
}

/// The peer.
enum Peer {
    /// None; a client tries again at this time.
    Away(u64),
    Connecting(Socket),
    Here(Socket),
}

/// One end.
pub(crate) struct Endpoint {
    role: Role,
    peer: Peer,
    keep_alive: bool,
}

impl Endpoint {
    /// Waits for peers.  An empty `fd` listens nowhere: peers come by [`Endpoint::adopt`].
    pub(crate) fn listen(at: &Address, fds: &mut Descriptors) -> io::Result<Endpoint> {
        let mut end = match at {
            Address::Fd(text) if text.is_empty() => Endpoint::server(None, None),
            Address::Fd(text) => {
                let socket = Socket::from(fds.take(text).map_err(io::Error::other)?);
                socket.listen(1)?;
                socket.set_nonblocking(true)?;
                Endpoint::server(Some(socket), None)
            }
            _ => {
                let mut list = resolve(at, true)?;
                if let Address::Inet(address::Inet { port, to: Some(to), .. }) = at {
                    let wider = (port.saturating_add(1)..=*to)
                        .flat_map(|p| list.iter().filter_map(move |a| a.as_socket()).map(move |a| (a.ip(), p)));
                    let wider: Vec<SockAddr> = wider.map(|a| core::net::SocketAddr::from(a).into()).collect();
                    list.extend(wider);
                }
                Endpoint::listen_at(&list)?
            }
        };
        end.keep_alive = matches!(at, Address::Inet(inet) if inet.keep_alive);
        Ok(end)
    }

    /// Waits for peers at the first address of a list that is free.
    pub(crate) fn listen_at(list: &[SockAddr]) -> io::Result<Endpoint> {
        let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
        for at in list {
            match bind(at) {
                Ok((socket, file)) => return Ok(Endpoint::server(Some(socket), file)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn server(listener: Option<Socket>, file: Option<SocketFile>) -> Endpoint {
        Endpoint { role: Role::Server { listener, _file: file }, peer: Peer::Away(0), keep_alive: false }
    }

    /// Connects to a peer.  With `again`, nanoseconds, a peer that is not there or goes away is tried for again and again.
    pub(crate) fn connect(to: &Address, again: Option<u64>, fds: &mut Descriptors) -> io::Result<Endpoint> {
        if let Address::Fd(text) = to {
            return Endpoint::given(Socket::from(fds.take(text).map_err(io::Error::other)?));
        }
        Endpoint::connect_to(resolve(to, false)?, again, matches!(to, Address::Inet(inet) if inet.keep_alive))
    }

    /// A connection that somebody else has made.
    pub(crate) fn given(socket: Socket) -> io::Result<Endpoint> {
        // A descriptor that is no socket, or not connected, is no peer.
        socket.peer_addr()?;
        prepare(&socket, false)?;
        let role = Role::Client { to: Vec::new(), next: 0, again: None };
        Ok(Endpoint { role, peer: Peer::Here(socket), keep_alive: false })
    }

    /// As [`Endpoint::connect`], to the first address of a list that answers.
    pub(crate) fn connect_to(to: Vec<SockAddr>, again: Option<u64>, keep_alive: bool) -> io::Result<Endpoint> {
        let mut peer = Peer::Away(0);
        if again.is_none() {
            let mut result = Err(ErrorKind::AddrNotAvailable.into());
            for addr in &to {
                result = connect_now(addr);
                if result.is_ok() {
                    break;
                }
            }
            let socket = result?;
            prepare(&socket, keep_alive)?;
            peer = Peer::Here(socket);
        }
        Ok(Endpoint { role: Role::Client { to, next: 0, again }, peer, keep_alive })
    }

    /// Takes a connected socket as the peer; false if there is one.
    pub(crate) fn adopt(&mut self, socket: Socket) -> io::Result<bool> {
        if !matches!(self.peer, Peer::Away(_)) {
            return Ok(false);
        }
        prepare(&socket, self.keep_alive)?;
        self.peer = Peer::Here(socket);
        Ok(true)
    }

    /// Waits for the first peer of a server.
    pub(crate) fn await_peer(&mut self) -> io::Result<()> {
        let Role::Server { listener: Some(listener), .. } = &self.role else { return Ok(()) };
        listener.set_nonblocking(false)?;
        let accepted = loop {
            match listener.accept() {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        listener.set_nonblocking(true)?;
        let (socket, _) = accepted?;
        self.adopt(socket).map(|_| ())
    }

    /// Looks for a peer if there is none; true when one has just come.
    pub(crate) fn seek(&mut self, now: u64) -> bool {
        match (&self.peer, &mut self.role) {
            (Peer::Away(_), Role::Server { listener: Some(listener), .. }) => {
                // No client, or one that has gone already: later.
                if let Ok((peer, _)) = listener.accept()
                    && prepare(&peer, self.keep_alive).is_ok()
                {
                    self.peer = Peer::Here(peer);
                    return true;
                }
            }
            (Peer::Away(when), Role::Client { to, next, again: Some(_) }) if now >= *when && !to.is_empty() => {
                let to = &to[*next % to.len()];
                *next = next.wrapping_add(1);
                match dial(to) {
                    Ok(socket) => {
                        self.peer = Peer::Connecting(socket);
                        return self.settle(now);
                    }
                    Err(_) => self.lose(now),
                }
            }
            (Peer::Connecting(_), _) => return self.settle(now),
            _ => {}
        }
        false
    }

    /// Has an attempt come to its end?  True when the peer is here.
    fn settle(&mut self, now: u64) -> bool {
        let Peer::Connecting(socket) = &self.peer else { return false };
        let failed = socket.take_error().unwrap_or_else(Some).is_some();
        match socket.peer_addr() {
            Ok(_) if !failed && prepare(socket, self.keep_alive).is_ok() => {
                if let Peer::Connecting(socket) = core::mem::replace(&mut self.peer, Peer::Away(0)) {
                    self.peer = Peer::Here(socket);
                }
                true
            }
            Err(e) if !failed && e.kind() == ErrorKind::NotConnected => false,
            _ => {
                self.lose(now);
                false
            }
        }
    }

    /// The peer is gone; a client that comes back does so in due time.
    pub(crate) fn lose(&mut self, now: u64) {
        let again = if let Role::Client { again: Some(ns), .. } = self.role { ns } else { 0 };
        self.peer = Peer::Away(now.saturating_add(again));
    }

    /// The connection, if there is one.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        match &self.peer {
            Peer::Here(socket) => Some(socket),
            _ => None,
        }
    }

    pub(crate) fn is_server(&self) -> bool {
        matches!(self.role, Role::Server { .. })
    }

    pub(crate) fn is_connecting(&self) -> bool {
        matches!(self.peer, Peer::Connecting(_))
    }

    /// Can a peer still come?
    pub(crate) fn may_come(&self) -> bool {
        matches!(self.role, Role::Server { .. } | Role::Client { again: Some(_), .. })
    }

    /// Where a server listens.
    pub(crate) fn listens_at(&self) -> Option<SockAddr> {
        match &self.role {
            Role::Server { listener: Some(socket), .. } => socket.local_addr().ok(),
            _ => None,
        }
    }

    /// What the connection is called: the peer's address, or ours where a peer has none.
    pub(crate) fn peer_name(&self) -> Option<Address> {
        let socket = self.socket()?;
        let local = socket.local_addr().ok()?;
        if self.is_server() && local.is_unix() {
            return name_of(&local);
        }
        name_of(&socket.peer_addr().ok()?)
    }

    /// The descriptor to wait for, and for what; `here` is what the connection is wanted for.
    pub(crate) fn watch(&self, here: Interest) -> Option<(i32, Interest)> {
        match (&self.peer, &self.role) {
            (Peer::Here(s), _) => (here.read || here.write).then(|| (s.as_raw_fd(), here)),
            (Peer::Connecting(s), _) => Some((s.as_raw_fd(), Interest { read: false, write: true })),
            (Peer::Away(_), Role::Server { listener, .. }) => Some((listener.as_ref()?.as_raw_fd(), Interest::READ)),
            (Peer::Away(_), Role::Client { .. }) => None,
        }
    }

    /// When [`Endpoint::seek`] has something to do whatever the descriptors say.
    pub(crate) fn deadline(&self) -> Option<u64> {
        match (&self.peer, &self.role) {
            (Peer::Away(when), Role::Client { again: Some(_), .. }) => Some(*when),
            _ => None,
        }
    }
}

pub(crate) fn bind(at: &SockAddr) -> io::Result<(Socket, Option<SocketFile>)> {
    let socket = Socket::new(at.domain(), Type::STREAM, None)?;
    if at.domain() != Domain::UNIX {
        socket.set_reuse_address(true)?;
    }
    if at.domain() == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    SocketFile::clear(at)?;
    socket.bind(at)?;
    let file = SocketFile::of(at);
    socket.listen(1)?;
    socket.set_nonblocking(true)?;
    Ok((socket, file))
}

/// Connects, and waits until it is done.
pub(crate) fn connect_now(to: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(to.domain(), Type::STREAM, None)?;
    if to.domain() == Domain::UNIX {
        socket.connect(to)?
    } else {
        socket.connect_timeout(to, PATIENCE)?
    }
    Ok(socket)
}

/// Begins a connection.
fn dial(to: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(to.domain(), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(to) {
        Ok(()) => Ok(socket),
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
        Err(e) => Err(e),
    }
}

/// Makes a connected socket ours.
pub(crate) fn prepare(socket: &Socket, keep_alive: bool) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    if socket.local_addr()?.as_socket().is_some() {
        socket.set_tcp_nodelay(true)?;
        if keep_alive {
            socket.set_keepalive(true)?;
        }
    }
    Ok(())
}
