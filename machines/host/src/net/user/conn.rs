//! One TCP connection: the guest's half ends in a smoltcp socket, the host's half is a socket of the system, and bytes
//! are carried over as fast as the slower side takes them.

use super::table::Row;
use super::wire::{MTU, Wire};
use core::net::{IpAddr, SocketAddr};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;

/// Bytes of each direction's buffer: 200 MB/s at a millisecond per round trip.
pub(super) const BUFFER: usize = 256 << 10;
/// Free bytes of the buffer for the guest that make a read worth its system call.
const READ_FROM: usize = BUFFER / 4;
/// How long a connection into the guest may take, in seconds (75 s in BSD and slirp).
const CONNECT_SECONDS: u64 = 75;
/// When to try again what a station that is not known made impossible, in nanoseconds.
const RETRY: u64 = 100_000_000;

/// The two ends of a connection as the guest sees them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) guest: SocketAddr,
    pub(super) peer: SocketAddr,
}

/// A connection.
pub(super) struct Conn {
    iface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    /// None when both of its directions are closed.
    host: Option<TcpStream>,
    /// The host has sent everything.
    host_done: bool,
    /// The guest has sent everything that it will.
    guest_fin: bool,
    /// The host has it all, and was told.
    guest_done: bool,
    /// The host's socket took less than we had.
    congested: bool,
    /// When smoltcp wants to run, in nanoseconds.
    wake: Option<u64>,
    /// When bytes last moved, in nanoseconds.
    pub(super) active: u64,
    /// It is in the list of those to be served.
    pub(super) listed: bool,
    /// A rule let it in.
    incoming: bool,
}

impl Conn {
    /// A connection that the guest begins: the host's half is there, the guest's first segment follows by
    /// [`Conn::input`].
    pub(super) fn accept(wire: &mut Wire, key: Key, host: TcpStream, seed: u64) -> Option<Conn> {
        let mut conn = Conn::new(wire, key, host, seed);
        conn.socket().listen((IpAddress::from(key.peer.ip()), key.peer.port())).ok()?;
        Some(conn)
    }

    /// A connection into the guest.
    pub(super) fn connect(wire: &mut Wire, key: Key, host: TcpStream, seed: u64) -> Option<Conn> {
        let mut conn = Conn::new(wire, key, host, seed);
        conn.incoming = true;
        let socket = conn.sockets.get_mut::<tcp::Socket<'_>>(conn.handle);
        let remote = (IpAddress::from(key.guest.ip()), key.guest.port());
        let local = (IpAddress::from(key.peer.ip()), key.peer.port());
        socket.connect(conn.iface.context(), remote, local).ok()?;
        socket.set_timeout(Some(Duration::from_secs(CONNECT_SECONDS)));
        Some(conn)
    }

    fn new(wire: &mut Wire, key: Key, host: TcpStream, seed: u64) -> Conn {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let now = wire.now;
        let mut plug = Plug { wire, key, input: None, refused: false };
        let mut iface = Interface::new(config, &mut plug, instant(now));
        let bits = if key.peer.is_ipv4() { 32 } else { 128 };
        iface.update_ip_addrs(|list| {
            // One of the default's two places.
            let _ = list.push(IpCidr::new(key.peer.ip().into(), bits));
        });
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        // What one of our ends gathers, the other need not gather again; a socket without it is only slower.
        let _ = host.set_nodelay(true);
        Conn {
            iface,
            sockets,
            handle,
            host: Some(host),
            host_done: false,
            guest_fin: false,
            guest_done: false,
            congested: false,
            wake: None,
            active: now,
            listed: false,
            incoming: false,
        }
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    fn peek(&self) -> &tcp::Socket<'static> {
        self.sockets.get(self.handle)
    }

    /// Takes an IP packet of the guest's that belongs to this connection.
    pub(super) fn input(&mut self, wire: &mut Wire, key: Key, packet: &[u8]) {
        let now = wire.now;
        self.active = now;
        let mut plug = Plug { wire, key, input: Some(packet), refused: false };
        self.iface.poll_ingress_single(instant(now), &mut plug, &mut self.sockets);
    }

    /// Moves bytes both ways. False when the connection is over.
    pub(super) fn serve(&mut self, wire: &mut Wire, key: Key) -> bool {
        self.carry_out();
        self.carry_in();
        self.output(wire, key);
        let state = self.peek().state();
        match state {
            // The guest is done, and the host has still to read.
            tcp::State::Closed if self.congested => true,
            // A connection that the guest gave up before it stood listens again.
            tcp::State::Closed | tcp::State::Listen => {
                self.drop_host();
                false
            }
            tcp::State::TimeWait => {
                if self.guest_done {
                    self.host = None;
                }
                true
            }
            tcp::State::SynSent | tcp::State::SynReceived => true,
            _ => {
                // The guest may stand still in a debugger for as long as it likes.
                self.socket().set_timeout(None);
                true
            }
        }
    }

    fn carry_out(&mut self) {
        let Some(host) = &mut self.host else { return };
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        use tcp::State::{CloseWait, Closing, LastAck, TimeWait};
        self.guest_fin |= matches!(socket.state(), CloseWait | LastAck | Closing | TimeWait);
        self.congested = false;
        while socket.can_recv() {
            let written = socket.recv(|bytes| match host.write(bytes) {
                Ok(n) => (n, Ok(n)),
                Err(e) => (0, Err(e)),
            });
            match written {
                Ok(Ok(n)) if n > 0 => {}
                Ok(Err(e)) if e.kind() == ErrorKind::Interrupted => {}
                Ok(Err(e)) if e.kind() == ErrorKind::WouldBlock => {
                    self.congested = true;
                    return;
                }
                _ => {
                    self.guest_fin = false;
                    return socket.abort();
                }
            }
        }
        if self.guest_fin && !self.guest_done {
            self.guest_done = true;
            // The peer may have gone already, which reading will tell.
            let _ = host.shutdown(Shutdown::Write);
        }
    }

    fn carry_in(&mut self) {
        let Some(host) = &mut self.host else { return };
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        while wants_read(socket, self.host_done) {
            let read = socket.send(|room| match host.read(room) {
                Ok(n) => (n, Ok(n)),
                Err(e) => (0, Err(e)),
            });
            match read {
                Ok(Ok(0)) => {
                    self.host_done = true;
                    socket.close();
                }
                Ok(Ok(_)) => {}
                Ok(Err(e)) if e.kind() == ErrorKind::Interrupted => {}
                Ok(Err(e)) if e.kind() == ErrorKind::WouldBlock => return,
                _ => return socket.abort(),
            }
        }
    }

    fn output(&mut self, wire: &mut Wire, key: Key) {
        let now = wire.now;
        let mut plug = Plug { wire, key, input: None, refused: false };
        while self.iface.poll_egress(instant(now), &mut plug, &mut self.sockets) == PollResult::SocketStateChanged {}
        let refused = plug.refused;
        let at = self.iface.poll_at(instant(now), &self.sockets);
        self.wake = at.map(|at| {
            let ns = u64::try_from(at.total_micros()).unwrap_or(0).saturating_mul(1000);
            if refused { ns.max(now.saturating_add(RETRY)) } else { ns.max(now) }
        });
    }

    /// Ends the connection at once, on both sides.
    pub(super) fn abort(&mut self, wire: &mut Wire, key: Key) {
        self.socket().abort();
        self.output(wire, key);
        self.drop_host();
    }

    /// Closes the host's half: with a reset, if not everything went well.
    fn drop_host(&mut self) {
        if let Some(host) = self.host.take()
            && !(self.host_done && self.guest_done)
        {
            // Without it the peer sees an end of file instead of a reset.
            let _ = socket2::SockRef::from(&host).set_linger(Some(core::time::Duration::ZERO));
        }
    }

    /// Is it only waiting for late segments?
    /// Its line in the table of connections.
    pub(super) fn row(&self, key: &Key) -> Row {
        let socket = self.peek();
        let state = match socket.state() {
            tcp::State::Closed => "CLOSED",
            tcp::State::Listen => "LISTEN",
            tcp::State::SynSent => "SYN_SENT",
            tcp::State::SynReceived => "SYN_RCVD",
            tcp::State::Established => "ESTABLISHED",
            tcp::State::FinWait1 => "FIN_WAIT_1",
            tcp::State::FinWait2 => "FIN_WAIT_2",
            tcp::State::CloseWait => "CLOSE_WAIT",
            tcp::State::Closing => "CLOSING",
            tcp::State::LastAck => "LAST_ACK",
            tcp::State::TimeWait => "TIME_WAIT",
        };
        let here = self.host.as_ref().filter(|_| self.incoming).and_then(|h| h.local_addr().ok());
        Row {
            what: format!("TCP[{state}]"),
            fd: self.host.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            from: here.unwrap_or(if self.incoming { key.peer } else { key.guest }),
            to: if self.incoming { key.guest } else { key.peer },
            queued: (socket.recv_queue(), socket.send_queue()),
            bare: false,
        }
    }

    pub(super) fn lingers(&self) -> bool {
        self.peek().state() == tcp::State::TimeWait
    }

    pub(super) fn wake(&self) -> Option<u64> {
        self.wake
    }

    /// The host's socket and whether it is to be waited for (to read, to write).
    pub(super) fn interest(&self) -> Option<(&TcpStream, bool, bool)> {
        let host = self.host.as_ref()?;
        let read = wants_read(self.peek(), self.host_done);
        (read || self.congested).then_some((host, read, self.congested))
    }
}

/// Is there room for what the host may have?
fn wants_read(socket: &tcp::Socket<'_>, host_done: bool) -> bool {
    !host_done && socket.may_send() && socket.send_capacity() - socket.send_queue() >= READ_FROM
}

/// smoltcp's clock.
pub(super) fn instant(now_ns: u64) -> Instant {
    Instant::from_micros(i64::try_from(now_ns / 1000).unwrap_or(i64::MAX))
}

/// What smoltcp sees of the cable during one call.
struct Plug<'a> {
    wire: &'a mut Wire,
    key: Key,
    input: Option<&'a [u8]>,
    refused: bool,
}

impl Device for Plug<'_> {
    type RxToken<'a>
        = Rx<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Tx<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let mac = self.wire.locate(self.key.guest.ip())?;
        let input = self.input.take()?;
        Some((Rx(input), Tx { wire: self.wire, from: self.key.peer.ip(), mac }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        if !self.wire.room() {
            self.wire.starved = true;
            self.refused = true;
            return None;
        }
        let Some(mac) = self.wire.locate(self.key.guest.ip()) else {
            self.refused = true;
            return None;
        };
        Some(Tx { wire: self.wire, from: self.key.peer.ip(), mac })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = MTU;
        caps
    }
}

/// The packet that comes in.
struct Rx<'a>(&'a [u8]);

impl RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Leave to send one packet.
struct Tx<'a> {
    wire: &'a mut Wire,
    from: IpAddr,
    mac: EthernetAddress,
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.wire.packet(self.from, self.mac, len, f)
    }
}
