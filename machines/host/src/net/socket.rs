//! Links over sockets, as QEMU's `-netdev socket` and `-netdev stream`: two emulators, or one and a switch.
//!
//! On a stream each frame follows its length, four bytes, big-endian.  On UDP each datagram is a frame.

use super::options::switch;
use super::{Counts, Link, MAX_FRAME, NetError, Options};
use crate::wait::Interest;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::fd::AsRawFd;

/// Frames that wait for the guest.
const QUEUE: usize = 256;
/// Bytes that wait for the peer; more frames are dropped.
const BACKLOG: usize = 1 << 20;
/// Bytes that one look at a stream reads.
const CHUNK: usize = 64 << 10;
/// How long opening a link waits for its peer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens `socket,listen=[HOST]:PORT`, `socket,connect=HOST:PORT` or `socket,udp=HOST:PORT,localaddr=HOST:PORT`.
///
/// # Errors
/// A wrong option, or what the host says.
pub fn open_socket(options: &Options) -> Result<Box<dyn Link>, NetError> {
    if options.iter().any(|(name, _)| matches!(name, "fd" | "mcast")) {
        return Err(options.error("fd, mcast", "tern has not built this yet"));
    }
    options.only(&["listen", "connect", "udp", "localaddr"])?;
    match (options.get("listen"), options.get("connect"), options.get("udp")) {
        (Some(at), None, None) => Ok(Box::new(Stream::listen(&inet(options, "listen", at)?.into())?)),
        (None, Some(to), None) => Ok(Box::new(Stream::connect(inet(options, "connect", to)?.into(), None)?)),
        (None, None, Some(to)) => {
            let at = options.get("localaddr").ok_or_else(|| options.error("udp", "wants localaddr=HOST:PORT too"))?;
            Ok(Box::new(Datagrams::open(inet(options, "localaddr", at)?, inet(options, "udp", to)?)?))
        }
        _ => Err(NetError::new("netdev socket: wants one of listen=, connect=, udp=")),
    }
}

/// Opens `stream,addr.type=inet,addr.host=H,addr.port=P` or `stream,addr.type=unix,addr.path=P`, with `server=on|off` and
/// `reconnect-ms=N`.
///
/// # Errors
/// A wrong option, or what the host says.
pub fn open_stream(options: &Options) -> Result<Box<dyn Link>, NetError> {
    options.only(&["server", "addr.type", "addr.host", "addr.port", "addr.path", "reconnect", "reconnect-ms"])?;
    let want = |name: &str| options.get(name).ok_or_else(|| options.error(name, "is missing"));
    let addr: SockAddr = match want("addr.type")? {
        "inet" => inet(options, "addr.host", &format!("{}:{}", want("addr.host")?, want("addr.port")?))?.into(),
        "unix" => SockAddr::unix(want("addr.path")?).map_err(|e| options.error("addr.path", &e.to_string()))?,
        _ => return Err(options.error("addr.type", "is inet or unix")),
    };
    let number = |name: &str, unit: u64| match options.get(name) {
        None => Ok(None),
        Some(text) => match text.parse::<u64>() {
            Ok(n) => Ok((n > 0).then(|| n.saturating_mul(unit))),
            Err(_) => Err(options.error(name, "wants a number")),
        },
    };
    let again = number("reconnect-ms", 1_000_000)?.or(number("reconnect", 1_000_000_000)?);
    if options.get("server").map_or(Ok(false), |v| switch(options, "server", v))? {
        return Ok(Box::new(Stream::listen(&addr)?));
    }
    Ok(Box::new(Stream::connect(addr, again)?))
}

/// Reads `[host]:port`; no host is every address of the host.
fn inet(options: &Options, name: &str, text: &str) -> Result<SocketAddr, NetError> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| options.error(name, "wants HOST:PORT"))?;
    let port: u16 = port.parse().map_err(|_| options.error(name, "bad port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    }
    let found = (host, port).to_socket_addrs().map_err(|e| options.error(name, &e.to_string()))?.next();
    found.ok_or_else(|| options.error(name, "no such host"))
}

/// How a stream's peer is found.
enum Role {
    Server(Socket),
    Client {
        to: SockAddr,
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

/// A link over a stream of bytes.
pub struct Stream {
    role: Role,
    peer: Peer,
    now: u64,
    queue: VecDeque<Vec<u8>>,
    input: Vec<u8>,
    output: VecDeque<u8>,
    counts: Counts,
}

impl Stream {
    /// Waits for a peer at an address; one at a time.
    ///
    /// # Errors
    /// What the host says.
    pub fn listen(at: &SockAddr) -> Result<Stream, NetError> {
        let bind = || -> io::Result<Socket> {
            let socket = Socket::new(at.domain(), Type::STREAM, None)?;
            if at.domain() != Domain::UNIX {
                socket.set_reuse_address(true)?;
            }
            socket.bind(at)?;
            socket.listen(1)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = bind().map_err(|e| NetError::new(format!("netdev: cannot listen: {e}")))?;
        Ok(Stream::new(Role::Server(socket), Peer::Away(0)))
    }

    /// Connects to a peer. With `again`, nanoseconds, a peer that is not there or goes away is tried for again and again.
    ///
    /// # Errors
    /// What the host says, without `again`.
    pub fn connect(to: SockAddr, again: Option<u64>) -> Result<Stream, NetError> {
        if again.is_some() {
            return Ok(Stream::new(Role::Client { to, again }, Peer::Away(0)));
        }
        let dial = || -> io::Result<Socket> {
            let socket = Socket::new(to.domain(), Type::STREAM, None)?;
            if to.domain() == Domain::UNIX {
                socket.connect(&to)?;
            } else {
                socket.connect_timeout(&to, PATIENCE)?;
            }
            prepare(&socket)?;
            Ok(socket)
        };
        let socket = dial().map_err(|e| NetError::new(format!("netdev: cannot connect: {e}")))?;
        Ok(Stream::new(Role::Client { to, again }, Peer::Here(socket)))
    }

    fn new(role: Role, peer: Peer) -> Stream {
        Stream {
            role,
            peer,
            now: 0,
            queue: VecDeque::new(),
            input: Vec::new(),
            output: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Where a server listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.role {
            Role::Server(socket) => socket.local_addr().ok()?.as_socket(),
            Role::Client { .. } => None,
        }
    }

    fn lost(&mut self) {
        let again = if let Role::Client { again: Some(ns), .. } = self.role { ns } else { 0 };
        self.peer = Peer::Away(self.now.saturating_add(again));
        // Half a frame of the old peer's is no beginning of one of the next.
        self.input.clear();
        self.output.clear();
    }

    fn seek(&mut self) {
        match (&self.peer, &self.role) {
            (Peer::Away(_), Role::Server(socket)) => {
                if let Ok((peer, _)) = socket.accept()
                    && prepare(&peer).is_ok()
                {
                    self.peer = Peer::Here(peer);
                }
            }
            (Peer::Away(when), Role::Client { to, again: Some(_) }) if self.now >= *when => match dial(to) {
                Ok(socket) => self.peer = Peer::Connecting(socket),
                Err(_) => self.lost(),
            },
            (Peer::Connecting(socket), _) => {
                let failed = socket.take_error().unwrap_or_else(Some).is_some();
                let there = socket.peer_addr();
                if failed || there.as_ref().is_err_and(|e| e.kind() != ErrorKind::NotConnected) {
                    self.lost();
                } else if there.is_ok()
                    && let Peer::Connecting(socket) = core::mem::replace(&mut self.peer, Peer::Away(0))
                {
                    self.peer = Peer::Here(socket);
                }
            }
            _ => {}
        }
    }

    /// Writes what waits; false when the peer is gone.
    fn flush(&mut self) -> bool {
        let Peer::Here(socket) = &mut self.peer else { return true };
        while !self.output.is_empty() {
            match socket.write(self.output.as_slices().0) {
                Ok(0) => return false,
                Ok(n) => drop(self.output.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Reads while there is room; false when the peer is gone.
    fn fill(&mut self) -> bool {
        let Peer::Here(socket) = &mut self.peer else { return true };
        while self.queue.len() < QUEUE {
            let have = self.input.len();
            self.input.resize(have + CHUNK, 0);
            let read = socket.read(&mut self.input[have..]);
            self.input.truncate(have + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return false,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return false,
            }
            if !cut(&mut self.input, &mut self.queue, &mut self.counts) {
                return false;
            }
        }
        true
    }
}

/// Cuts whole frames off the input; false when it is no sequence of frames.
fn cut(input: &mut Vec<u8>, queue: &mut VecDeque<Vec<u8>>, counts: &mut Counts) -> bool {
    let mut rest = &input[..];
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*head) as usize;
        if len > MAX_FRAME {
            counts.malformed += 1;
            return false;
        }
        let Some((frame, tail)) = tail.split_at_checked(len) else { break };
        queue.push_back(frame.to_vec());
        counts.to_guest += 1;
        rest = tail;
    }
    let used = input.len() - rest.len();
    input.drain(..used);
    true
}

/// Makes a connected socket ours.
fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    if socket.local_addr()?.as_socket().is_some() {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(())
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

impl Link for Stream {
    fn send(&mut self, frame: &[u8]) {
        self.counts.from_guest += 1;
        let room = self.output.len() + 4 + frame.len() <= BACKLOG && frame.len() <= MAX_FRAME;
        if !room || !matches!(self.peer, Peer::Here(_)) {
            self.counts.overflow += 1;
            return;
        }
        self.output.extend((frame.len() as u32).to_be_bytes());
        self.output.extend(frame);
        if !self.flush() {
            self.lost();
        }
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front()
    }

    fn poll(&mut self, now_ns: u64) {
        self.now = self.now.max(now_ns);
        self.seek();
        if !(self.flush() && self.fill()) {
            self.lost();
        }
    }

    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        let one = match (&self.peer, &self.role) {
            (Peer::Here(s), _) => {
                let (read, write) = (self.queue.len() < QUEUE, !self.output.is_empty());
                (read || write).then(|| (s.as_raw_fd(), Interest { read, write }))
            }
            (Peer::Connecting(s), _) => Some((s.as_raw_fd(), Interest { read: false, write: true })),
            (Peer::Away(_), Role::Server(s)) => Some((s.as_raw_fd(), Interest::READ)),
            (Peer::Away(_), Role::Client { .. }) => None,
        };
        list.extend(one);
    }

    fn deadline(&self) -> Option<u64> {
        match (&self.peer, &self.role) {
            (Peer::Away(when), Role::Client { again: Some(_), .. }) => Some(*when),
            _ => None,
        }
    }

    fn carrier(&self) -> bool {
        matches!(self.peer, Peer::Here(_))
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

/// A link over UDP.
pub struct Datagrams {
    socket: UdpSocket,
    to: SocketAddr,
    queue: VecDeque<Vec<u8>>,
    buffer: Vec<u8>,
    counts: Counts,
}

impl Datagrams {
    /// Takes frames at one address and sends them to another.
    ///
    /// # Errors
    /// What the host says.
    pub fn open(at: SocketAddr, to: SocketAddr) -> Result<Datagrams, NetError> {
        let bind = || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind(at)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = bind().map_err(|e| NetError::new(format!("netdev socket: localaddr {at}: {e}")))?;
        Ok(Datagrams { socket, to, queue: VecDeque::new(), buffer: vec![0; 1 << 16], counts: Counts::default() })
    }
}

impl Link for Datagrams {
    fn send(&mut self, frame: &[u8]) {
        self.counts.from_guest += 1;
        // Full, too long, or nobody there: a datagram may get lost.
        if self.socket.send_to(frame, self.to).is_err() {
            self.counts.overflow += 1;
        }
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front()
    }

    fn poll(&mut self, _now_ns: u64) {
        // An error of what was sent before is reported by one receive, then the next one works.
        let mut errors = 0;
        while self.queue.len() < QUEUE && errors < 2 {
            match self.socket.recv_from(&mut self.buffer) {
                Ok((len, _)) => {
                    self.counts.to_guest += 1;
                    self.queue.push_back(self.buffer[..len].to_vec());
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => errors += 1,
            }
        }
    }

    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        if self.queue.len() < QUEUE {
            list.push((self.socket.as_raw_fd(), Interest::READ));
        }
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}
