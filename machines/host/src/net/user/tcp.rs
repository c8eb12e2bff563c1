//! The table of TCP connections: who asks for one, the host's answer, and the ports that lead into the guest.

use super::conn::{Conn, Key};
use super::options::{Forward, Transport};
use super::packet::Packet;
use super::table::Row;
use super::wire::Wire;
use crate::entropy::Seeded;
use crate::net::NetError;
use crate::wait::Interest;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

/// Connections at once.  Each has two buffers (`conn`): this bounds memory.
pub(super) const MOST: usize = 512;
/// Connections that one look at a listener accepts.
const ACCEPTS: usize = 32;
/// The ports that connections into the guest come from where the peer's own is taken (RFC 6335).
const EPHEMERAL: core::ops::Range<u16> = 49_152..65_535;

/// Where a connection stands.
enum Entry {
    /// The host connects; the guest's first packet waits.
    Connecting { host: TcpStream, syn: Vec<u8>, since: u64 },
    /// Bytes may flow.
    Open(Box<Conn>),
}

/// A port of the host that leads into the guest.
struct Listener {
    socket: TcpListener,
    guest: (IpAddr, u16),
}

/// All connections.
pub(super) struct Tcp {
    table: BTreeMap<Key, Entry>,
    /// Those with work, once each.
    busy: Vec<Key>,
    listeners: Vec<Listener>,
    next_port: u16,
    /// The generator of initial sequence numbers.
    seeds: Seeded,
}

impl Tcp {
    pub(super) fn new(seed: u64) -> Tcp {
        Tcp {
            table: BTreeMap::new(),
            busy: Vec::new(),
            listeners: Vec::new(),
            next_port: EPHEMERAL.start,
            seeds: Seeded::new(seed),
        }
    }

    /// Listens for connections into the guest; returns where.
    pub(super) fn forward(&mut self, rule: &Forward, guest: Ipv4Addr) -> Result<SocketAddr, NetError> {
        let error = |e: io::Error| NetError::new(format!("hostfwd {rule}: {e}"));
        debug_assert_eq!(rule.transport, Transport::Tcp);
        let socket = TcpListener::bind(rule.host).map_err(error)?;
        socket.set_nonblocking(true).map_err(error)?;
        let addr = socket.local_addr().map_err(error)?;
        self.listeners.push(Listener { socket, guest: (guest.into(), rule.guest.1) });
        Ok(addr)
    }

    /// Stops listening at an address of the host; false if nobody does.
    pub(super) fn forget(&mut self, host: SocketAddr) -> bool {
        let before = self.listeners.len();
        self.listeners.retain(|l| l.socket.local_addr().ok() != Some(host));
        self.listeners.len() != before
    }

    /// The table of rules and connections.
    pub(super) fn rows(&self, rows: &mut Vec<Row>) {
        let row = |what: &str, fd, from, to| Row { what: what.to_owned(), fd, from, to, queued: (0, 0), bare: false };
        for (key, entry) in &self.table {
            rows.push(match entry {
                Entry::Open(conn) => conn.row(key),
                Entry::Connecting { host, .. } => row("TCP[SYN_SENT]", host.as_raw_fd(), key.guest, key.peer),
            });
        }
        for listener in &self.listeners {
            if let Ok(at) = listener.socket.local_addr() {
                rows.push(row("TCP[HOST_FORWARD]", listener.socket.as_raw_fd(), at, listener.guest.into()));
            }
        }
    }

    /// Takes a TCP packet of the guest's.
    pub(super) fn input(&mut self, wire: &mut Wire, ip: &Packet<'_>) {
        let Ok(segment) = TcpPacket::new_checked(ip.payload) else {
            wire.counts.malformed += 1;
            return;
        };
        let (from, to) = (segment.src_port(), segment.dst_port());
        if from == 0 || to == 0 {
            wire.counts.malformed += 1;
            return;
        }
        let key = Key { guest: (ip.from, from).into(), peer: (ip.to, to).into() };
        match self.table.get_mut(&key) {
            Some(Entry::Open(conn)) if !(conn.lingers() && segment.syn() && !segment.ack()) => {
                conn.input(wire, key, ip.whole);
                list(&mut self.busy, conn, key);
                return;
            }
            Some(Entry::Open(_)) => {
                // The guest uses the ports of a connection that is over again.
                self.table.remove(&key);
            }
            Some(Entry::Connecting { .. }) => {
                if segment.rst() {
                    self.table.remove(&key);
                }
                return;
            }
            None => {}
        }
        let caps = ChecksumCapabilities::default();
        let Ok(repr) = TcpRepr::parse(&segment, &ip.from.into(), &ip.to.into(), &caps) else {
            wire.counts.malformed += 1;
            return;
        };
        if repr.control == TcpControl::Syn && repr.ack_number.is_none() {
            self.begin(wire, key, ip);
        } else if repr.control != TcpControl::Rst {
            reset(wire, key, &repr);
        }
    }

    /// The guest wants a connection.
    fn begin(&mut self, wire: &mut Wire, key: Key, ip: &Packet<'_>) {
        let Some(real) = wire.real(key.peer) else {
            return refuse(wire, key, ip.whole);
        };
        if self.table.len() >= MOST {
            self.evict(wire);
        }
        match dial(real) {
            Ok(host) => {
                let entry = Entry::Connecting { host, syn: ip.whole.to_vec(), since: wire.now };
                self.table.insert(key, entry);
            }
            Err(_) => {
                wire.counts.refused += 1;
                refuse(wire, key, ip.whole);
            }
        }
    }

    /// Makes room: ends a connection that is over, else the one that has been idle longest.
    fn evict(&mut self, wire: &mut Wire) {
        let age = |entry: &Entry| match entry {
            Entry::Open(conn) => (!conn.lingers(), conn.active),
            Entry::Connecting { since, .. } => (true, *since),
        };
        let Some(key) = self.table.iter().min_by_key(|(_, e)| age(e)).map(|(k, _)| *k) else { return };
        wire.counts.overflow += 1;
        match self.table.remove(&key) {
            Some(Entry::Open(mut conn)) => conn.abort(wire, key),
            Some(Entry::Connecting { syn, .. }) => refuse(wire, key, &syn),
            None => {}
        }
    }

    /// Looks at the host's sockets that are `ready` (sorted) and at the clock.
    pub(super) fn poll(&mut self, wire: &mut Wire, ready: &[RawFd]) {
        let is_ready = |fd: RawFd| ready.binary_search(&fd).is_ok();
        let mut decided = Vec::new();
        for (key, entry) in &mut self.table {
            match entry {
                Entry::Open(conn) => {
                    let due = conn.wake().is_some_and(|at| at <= wire.now);
                    if due || conn.interest().is_some_and(|(host, ..)| is_ready(host.as_raw_fd())) {
                        list(&mut self.busy, conn, *key);
                    }
                }
                Entry::Connecting { host, .. } => {
                    if is_ready(host.as_raw_fd()) {
                        decided.push(*key);
                    }
                }
            }
        }
        for key in decided {
            self.decide(wire, key);
        }
        for i in 0..self.listeners.len() {
            if is_ready(self.listeners[i].socket.as_raw_fd()) {
                self.accept(wire, i);
            }
        }
    }

    /// The host's connection stands, or it never will.
    fn decide(&mut self, wire: &mut Wire, key: Key) {
        let Some(Entry::Connecting { host, syn, since }) = self.table.remove(&key) else { return };
        let failed = host.take_error().unwrap_or_else(Some);
        if failed.is_some() {
            wire.counts.refused += 1;
            return refuse(wire, key, &syn);
        }
        match host.peer_addr() {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotConnected => {
                self.table.insert(key, Entry::Connecting { host, syn, since });
                return;
            }
            Err(_) => return refuse(wire, key, &syn),
        }
        let seed = self.seeds.next_u64();
        match Conn::accept(wire, key, host, seed) {
            Some(mut conn) => {
                conn.input(wire, key, &syn);
                list(&mut self.busy, &mut conn, key);
                self.table.insert(key, Entry::Open(Box::new(conn)));
            }
            None => refuse(wire, key, &syn),
        }
    }

    /// Takes what waits at a listener.
    fn accept(&mut self, wire: &mut Wire, listener: usize) {
        for _ in 0..ACCEPTS {
            let Listener { socket, guest } = &self.listeners[listener];
            // Nobody there, or no descriptor left: the peer waits.
            let Ok((host, peer)) = socket.accept() else { return };
            let guest = SocketAddr::from(*guest);
            if self.table.len() >= MOST {
                self.evict(wire);
            }
            let Some(peer) = wire.virtual_name(peer, guest.ip()).filter(|_| host.set_nonblocking(true).is_ok()) else {
                continue;
            };
            let Some(key) = self.free_key(guest, peer) else { continue };
            let seed = self.seeds.next_u64();
            if let Some(mut conn) = Conn::connect(wire, key, host, seed) {
                list(&mut self.busy, &mut conn, key);
                self.table.insert(key, Entry::Open(Box::new(conn)));
            }
        }
    }

    /// A pair of ends that is not in use; the peer's own port if it can be.
    fn free_key(&mut self, guest: SocketAddr, peer: SocketAddr) -> Option<Key> {
        let mut key = Key { guest, peer };
        for _ in 0..=MOST {
            if !self.table.contains_key(&key) {
                return Some(key);
            }
            self.next_port = if self.next_port + 1 < EPHEMERAL.end { self.next_port + 1 } else { EPHEMERAL.start };
            key.peer.set_port(self.next_port);
        }
        None
    }

    /// Serves every connection that has work.
    pub(super) fn serve(&mut self, wire: &mut Wire) {
        for key in core::mem::take(&mut self.busy) {
            let Some(Entry::Open(conn)) = self.table.get_mut(&key) else { continue };
            conn.listed = false;
            if !conn.serve(wire, key) {
                self.table.remove(&key);
            }
        }
    }

    /// Everybody may have something to send: the queue has room again, or a station has become known.
    pub(super) fn wake_all(&mut self) {
        for (key, entry) in &mut self.table {
            if let Entry::Open(conn) = entry {
                list(&mut self.busy, conn, *key);
            }
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    pub(super) fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        list.extend(self.listeners.iter().map(|l| (l.socket.as_raw_fd(), Interest::READ)));
        list.extend(self.table.values().filter_map(|entry| match entry {
            Entry::Connecting { host, .. } => Some((host.as_raw_fd(), Interest { read: false, write: true })),
            Entry::Open(conn) => {
                let (host, read, write) = conn.interest()?;
                Some((host.as_raw_fd(), Interest { read, write }))
            }
        }));
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let wake = |entry: &Entry| match entry {
            Entry::Open(conn) => conn.wake(),
            Entry::Connecting { .. } => None,
        };
        self.table.values().filter_map(wake).min()
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

/// Puts a connection on the list of those with work, once.
fn list(busy: &mut Vec<Key>, conn: &mut Conn, key: Key) {
    if !conn.listed {
        conn.listed = true;
        busy.push(key);
    }
}

/// Begins a connection of the host's.
fn dial(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(e) => return Err(e),
    }
    Ok(socket.into())
}

/// Answers a packet that begins a connection with a reset.
fn refuse(wire: &mut Wire, key: Key, packet: &[u8]) {
    let caps = ChecksumCapabilities::default();
    let Some(ip) = Packet::parse(packet) else { return };
    let Ok(segment) = TcpPacket::new_checked(ip.payload) else { return };
    if let Ok(repr) = TcpRepr::parse(&segment, &ip.from.into(), &ip.to.into(), &caps) {
        reset(wire, key, &repr);
    }
}

/// Answers a segment without a connection (RFC 9293, section 3.10.7.1).
fn reset(wire: &mut Wire, key: Key, to: &TcpRepr<'_>) {
    let answer = TcpRepr {
        src_port: key.peer.port(),
        dst_port: key.guest.port(),
        control: TcpControl::Rst,
        seq_number: to.ack_number.unwrap_or(TcpSeqNumber(0)),
        ack_number: to.ack_number.is_none().then_some(to.seq_number + to.segment_len()),
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let (from, dest) = (key.peer.ip(), key.guest.ip());
    wire.ip((from, dest), IpProtocol::Tcp, answer.buffer_len(), 64, |payload| {
        let mut packet = TcpPacket::new_unchecked(payload);
        answer.emit(&mut packet, &from.into(), &dest.into(), &ChecksumCapabilities::default());
    });
}
