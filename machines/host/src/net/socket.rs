//! Links over streams of bytes, as QEMU's `-netdev stream` and the older `-netdev socket`: two emulators, or one and a
//! switch.  Each frame follows its length, four bytes, big-endian.

use super::address::{Address, name_of};
use super::descriptors::Descriptors;
use super::dgram::Datagrams;
use super::endpoint::Endpoint;
use super::options::{number, switch};
use super::{Counts, Link, LinkEvent, MAX_FRAME, NetError, Options};
use crate::wait::Interest;
use core::net::SocketAddr;
use socket2::{SockAddr, Socket, Type};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

/// Frames that wait for the guest.
const QUEUE: usize = 256;
/// Bytes that wait for the peer; more frames are dropped.
const BACKLOG: usize = 1 << 20;
/// Bytes that one read takes, and reads that one look takes.
const CHUNK: usize = 64 << 10;
const READS: usize = 16;
/// Events that wait for somebody to take them; older ones are forgotten.
const EVENTS: usize = 64;

/// Opens `socket,` with one of `fd=N`, `listen=[HOST]:PORT`, `connect=HOST:PORT`, `mcast=ADDR:PORT[,localaddr=ADDR]`,
/// `udp=HOST:PORT,localaddr=HOST:PORT`.
///
/// # Errors
/// A wrong option, or what the host says.
pub fn open_socket(options: &Options, fds: &mut Descriptors) -> Result<Box<dyn Link>, NetError> {
    const WAYS: [&str; 5] = ["fd", "listen", "connect", "mcast", "udp"];
    options.only(&["fd", "listen", "connect", "mcast", "udp", "localaddr"])?;
    let mut ways = WAYS.iter().filter_map(|name| options.get(name).map(|value| (*name, value)));
    let (Some((way, value)), None) = (ways.next(), ways.next()) else {
        return Err(NetError::new("netdev socket: wants exactly one of fd=, listen=, connect=, mcast=, udp="));
    };
    let local = options.get("localaddr");
    if local.is_some() && !matches!(way, "mcast" | "udp") {
        return Err(options.error("localaddr", "is only valid with mcast= or udp="));
    }
    let at = |name: &str, text: &str| Address::host_port(text).map_err(|why| options.error(name, why));
    let failed = |e: io::Error| options.error(way, &format!("{value}: {e}"));
    match way {
        "fd" => {
            let socket = Socket::from(fds.take(value).map_err(|e| options.error(way, &e))?);
            match socket.r#type().map_err(failed)? {
                Type::STREAM => {
                    let end = Endpoint::given(socket).map_err(failed)?;
                    Ok(Box::new(Stream::new(end, Style::Socket(format!("socket: fd={value}")))))
                }
                Type::DGRAM => Ok(Box::new(Datagrams::given(socket, &format!("socket: fd={value}")).map_err(failed)?)),
                _ => Err(options.error(way, "is a socket neither for a stream nor for datagrams")),
            }
        }
        "listen" => {
            let end = Endpoint::listen(&at(way, value)?, &mut Descriptors::default()).map_err(failed)?;
            Ok(Box::new(Stream::new(end, Style::Socket(String::new()))))
        }
        "connect" => {
            let end = Endpoint::connect(&at(way, value)?, None, &mut Descriptors::default())
                .map_err(|e| options.error(way, &format!("cannot connect to {value}: {e}")))?;
            let name = end.socket().and_then(|s| s.peer_addr().ok()?.as_socket());
            let info = name.map_or_else(String::new, |name| format!("socket: connect to {name}"));
            Ok(Box::new(Stream::new(end, Style::Socket(info))))
        }
        "mcast" => Ok(Box::new(Datagrams::multicast(&at(way, value)?, local, "socket: mcast=").map_err(failed)?)),
        _ => {
            let local = local.ok_or_else(|| options.error(way, "wants localaddr=HOST:PORT too"))?;
            let (local, remote) = (at("localaddr", local)?, at(way, value)?);
            let mut link = Datagrams::pair(&local, &remote).map_err(failed)?;
            if let Some(to) = link.destination() {
                link.set_info(format!("socket: udp={to}"));
            }
            Ok(Box::new(link))
        }
    }
}

/// Opens `stream,` with `addr.type=inet,addr.host=H,addr.port=P` (and `addr.to`, `addr.ipv4`, `addr.ipv6`),
/// `addr.type=unix,addr.path=P` (and `addr.abstract`, `addr.tight`) or `addr.type=fd,addr.str=N`, and `server=on|off` or
/// `reconnect-ms=N`.
///
/// # Errors
/// A wrong option, or what the host says.
pub fn open_stream(options: &Options, fds: &mut Descriptors) -> Result<Box<dyn Link>, NetError> {
    options.only(&["server", "addr.", "reconnect", "reconnect-ms"])?;
    let addr = Address::from_options(options, "addr")?.ok_or_else(|| options.error("addr.type", "is missing"))?;
    let server = options.get("server").map_or(Ok(false), |v| switch(options, "server", v))?;
    let again = match (number(options, "reconnect-ms")?, number(options, "reconnect")?) {
        (Some(_), Some(_)) => return Err(options.error("reconnect", "and reconnect-ms are mutually exclusive")),
        (Some(_), _) | (_, Some(_)) if server => {
            return Err(options.error("reconnect-ms", "is incompatible with a socket in server mode"));
        }
        (ms, seconds) => ms.or(seconds.map(|s| s.saturating_mul(1000))).filter(|ms| *ms > 0),
    };
    let again = again.map(|ms| ms.saturating_mul(1_000_000));
    if again.is_some() && matches!(addr, Address::Fd(_)) {
        return Err(options.error("reconnect-ms", "is incompatible with a file descriptor"));
    }
    if server {
        let end = Endpoint::listen(&addr, fds)
            .map_err(|e| NetError::new(format!("netdev stream: cannot listen at {addr}: {e}")))?;
        return Ok(Box::new(Stream::new(end, Style::Stream)));
    }
    let end = Endpoint::connect(&addr, again, fds)
        .map_err(|e| NetError::new(format!("netdev stream: cannot connect to {addr}: {e}")))?;
    Ok(Box::new(Stream::new(end, Style::Stream)))
}

/// Which of QEMU's two backends it is: they say different things of themselves.
enum Style {
    /// `stream`, which tells of its connections.
    Stream,
    /// `socket`; what it says now.
    Socket(String),
}

/// A link over a stream of bytes.
pub struct Stream {
    end: Endpoint,
    style: Style,
    events: VecDeque<LinkEvent>,
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
        let end = Endpoint::listen_at(core::slice::from_ref(at))
            .map_err(|e| NetError::new(format!("netdev: cannot listen: {e}")))?;
        Ok(Stream::new(end, Style::Stream))
    }

    /// Connects to a peer. With `again`, nanoseconds, a peer that is not there or goes away is tried for again and again.
    ///
    /// # Errors
    /// What the host says, without `again`.
    pub fn connect(to: SockAddr, again: Option<u64>) -> Result<Stream, NetError> {
        let end = Endpoint::connect_to(vec![to], again, false)
            .map_err(|e| NetError::new(format!("netdev: cannot connect: {e}")))?;
        Ok(Stream::new(end, Style::Stream))
    }

    fn new(end: Endpoint, style: Style) -> Stream {
        let mut stream = Stream {
            end,
            style,
            events: VecDeque::new(),
            now: 0,
            queue: VecDeque::new(),
            input: Vec::new(),
            output: VecDeque::new(),
            counts: Counts::default(),
        };
        if stream.end.socket().is_some() {
            stream.come();
        }
        stream
    }

    /// Where a server listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.end.listens_at()?.as_socket()
    }

    fn tell(&mut self, event: LinkEvent) {
        if self.events.len() >= EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// A peer has come.
    fn come(&mut self) {
        match &mut self.style {
            Style::Stream => {
                if let Some(name) = self.end.peer_name() {
                    self.tell(LinkEvent::Connected(name));
                }
            }
            Style::Socket(info) if self.end.is_server() => {
                if let Some(name) = self.end.socket().and_then(|s| s.peer_addr().ok()?.as_socket()) {
                    *info = format!("socket: connection from {name}");
                }
            }
            Style::Socket(_) => {}
        }
    }

    fn lost(&mut self) {
        self.end.lose(self.now);
        // Half a frame of the old peer's is no beginning of one of the next.
        self.input.clear();
        self.output.clear();
        match &mut self.style {
            Style::Stream => self.tell(LinkEvent::Disconnected),
            Style::Socket(info) => info.clear(),
        }
    }

    /// Writes what waits; false when the peer is gone.
    fn flush(&mut self) -> bool {
        let Some(mut socket) = self.end.socket() else { return true };
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
        let Some(mut socket) = self.end.socket() else { return true };
        for _ in 0..READS {
            if self.queue.len() >= QUEUE {
                break;
            }
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
        rest = tail;
        if frame.is_empty() {
            counts.malformed += 1;
            continue;
        }
        queue.push_back(frame.to_vec());
        counts.to_guest += 1;
    }
    let used = input.len() - rest.len();
    input.drain(..used);
    true
}

impl Link for Stream {
    fn send(&mut self, frame: &[u8]) {
        self.counts.from_guest += 1;
        let room = self.output.len() + 4 + frame.len() <= BACKLOG && frame.len() <= MAX_FRAME;
        if !room || self.end.socket().is_none() {
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
        if self.end.seek(self.now) {
            self.come();
        }
        if !(self.flush() && self.fill()) {
            self.lost();
        }
    }

    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        let here = Interest { read: self.queue.len() < QUEUE, write: !self.output.is_empty() };
        list.extend(self.end.watch(here));
    }

    fn deadline(&self) -> Option<u64> {
        self.end.deadline()
    }

    fn carrier(&self) -> bool {
        self.end.socket().is_some()
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn info(&self) -> String {
        if let Style::Socket(info) = &self.style {
            return info.clone();
        }
        match (self.end.peer_name(), self.end.is_server()) {
            (Some(name), _) => name.to_string(),
            (None, true) => "listening".to_owned(),
            (None, false) if self.end.may_come() => "connecting".to_owned(),
            (None, false) => "disconnected".to_owned(),
        }
    }

    fn events(&mut self) -> Vec<LinkEvent> {
        self.events.drain(..).collect()
    }
}

/// The address that a socket has itself, in one word: its family.
pub(super) fn family(socket: &Socket) -> &'static str {
    match socket.local_addr().ok().as_ref().and_then(name_of) {
        Some(Address::Inet(_)) => "inet",
        Some(Address::Unix { .. }) => "unix",
        _ => "unknown",
    }
}
