//! Datagrams: UDP and echo requests through sockets of the host, one per port of the guest, and the UDP ports that lead
//! into the guest.

use super::icmp;
use super::options::Forward;
use super::packet::Packet;
use super::table::Row;
use super::wire::Wire;
use crate::net::NetError;
use crate::wait::Interest;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, UdpPacket, UdpRepr};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};

/// Ports of guests at once.
const MOST: usize = 256;
/// Peers of one port whose names on the cable are remembered.
const PEERS: usize = 64;
/// How long a port is kept without traffic, in nanoseconds: as in slirp, 4 minutes, and 10 seconds for questions for names.
const IDLE: u64 = 240_000_000_000;
const IDLE_DNS: u64 = 10_000_000_000;
/// How long the answer to an echo request may take, in nanoseconds.
const IDLE_ECHO: u64 = 10_000_000_000;
/// Datagrams that one look at a socket takes.
const BURST: usize = 64;

/// What a socket speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Udp,
    Echo,
}

/// Who on the cable a socket works for.  The port of an echo request is its identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Owner {
    kind: Kind,
    guest: SocketAddr,
    /// The family of the host's socket; questions for names may change it.
    v4: bool,
}

/// A socket of the host.
struct Flow {
    socket: UdpSocket,
    /// Names on the cable and on the host, of those the guest spoke to or was spoken to by.
    peers: Vec<(SocketAddr, SocketAddr)>,
    /// When it is closed, in nanoseconds; a forwarded port never is.
    until: Option<u64>,
}

impl Flow {
    fn remember(&mut self, name: SocketAddr, real: SocketAddr) {
        if self.peers.iter().any(|p| p.0 == name && p.1 == real) {
            return;
        }
        self.peers.retain(|p| p.0 != name);
        if self.peers.len() >= PEERS {
            self.peers.remove(0);
        }
        self.peers.push((name, real));
    }
}

/// All sockets for datagrams.
pub(super) struct Flows {
    table: BTreeMap<Owner, Flow>,
    /// Forwarded ports of the host, and where they lead.
    forwards: Vec<(SocketAddr, Flow)>,
    buffer: Vec<u8>,
}

impl Flows {
    pub(super) fn new() -> Flows {
        Flows { table: BTreeMap::new(), forwards: Vec::new(), buffer: vec![0; 1 << 16] }
    }

    /// Takes datagrams for the guest at a port of the host; returns where.
    pub(super) fn forward(&mut self, rule: &Forward, guest: Ipv4Addr) -> Result<SocketAddr, NetError> {
        let error = |e: io::Error| NetError::new(format!("hostfwd {rule}: {e}"));
        let socket = UdpSocket::bind(rule.host).map_err(error)?;
        socket.set_nonblocking(true).map_err(error)?;
        let addr = socket.local_addr().map_err(error)?;
        self.forwards.push(((guest, rule.guest.1).into(), Flow { socket, peers: Vec::new(), until: None }));
        Ok(addr)
    }

    /// Closes a forwarded port of the host; false if it is none.
    pub(super) fn forget(&mut self, host: SocketAddr) -> bool {
        let before = self.forwards.len();
        self.forwards.retain(|f| f.1.socket.local_addr().ok() != Some(host));
        self.forwards.len() != before
    }

    /// The table of rules and ports in use.
    pub(super) fn rows(&self, now: u64, rows: &mut Vec<Row>) {
        for (guest, flow) in &self.forwards {
            if let Ok(at) = flow.socket.local_addr() {
                let (what, fd) = ("UDP[HOST_FORWARD]".to_owned(), flow.socket.as_raw_fd());
                rows.push(Row { what, fd, from: at, to: *guest, queued: (0, 0), bare: false });
            }
        }
        for (owner, flow) in &self.table {
            let seconds = flow.until.map_or(0, |at| at.saturating_sub(now) / 1_000_000_000);
            let (name, bare) = match owner.kind {
                Kind::Udp => ("UDP", false),
                Kind::Echo => ("ICMP", true),
            };
            let Some((to, _)) = flow.peers.last() else { continue };
            let (what, fd) = (format!("{name}[{seconds} sec]"), flow.socket.as_raw_fd());
            rows.push(Row { what, fd, from: owner.guest, to: *to, queued: (0, 0), bare });
        }
    }

    /// Takes a UDP packet of the guest's that is not for DHCP.
    pub(super) fn udp(&mut self, wire: &mut Wire, ip: &Packet<'_>, repr: &UdpRepr, data: &[u8]) {
        let guest = SocketAddr::new(ip.from, repr.src_port);
        let name = SocketAddr::new(ip.to, repr.dst_port);
        // An answer of a forwarded port leaves where the question came from, even when the guest is restricted.
        let forward = self.forwards.iter().find_map(|(owner, flow)| {
            let peer = flow.peers.iter().find(|p| *owner == guest && p.0 == name)?;
            Some((flow, peer.1))
        });
        if let Some((flow, real)) = forward {
            if flow.socket.send_to(data, real).is_err() {
                wire.counts.refused += 1;
            }
            return;
        }
        let Some(real) = wire.real(name) else { return };
        let idle = if repr.dst_port == 53 { IDLE_DNS } else { IDLE };
        self.send(wire, Kind::Udp, (guest, name, real), idle, ip, data);
    }

    /// Takes an echo request of the guest's for somebody outside.
    pub(super) fn echo(&mut self, wire: &mut Wire, ip: &Packet<'_>, ident: u16) {
        let name = SocketAddr::new(ip.to, 0);
        let Some(real) = wire.real(name) else { return };
        self.send(wire, Kind::Echo, (SocketAddr::new(ip.from, ident), name, real), IDLE_ECHO, ip, ip.payload);
    }

    fn send(
        &mut self,
        wire: &mut Wire,
        kind: Kind,
        (guest, name, real): (SocketAddr, SocketAddr, SocketAddr),
        idle: u64,
        ip: &Packet<'_>,
        data: &[u8],
    ) {
        let owner = Owner { kind, guest, v4: real.is_ipv4() };
        if !self.table.contains_key(&owner) {
            let socket = match open(kind, real) {
                Ok(socket) => socket,
                Err(_) => {
                    wire.counts.refused += 1;
                    return icmp::unreachable(wire, ip);
                }
            };
            if self.table.len() >= MOST {
                let first = self.table.iter().min_by_key(|(_, f)| f.until).map(|(o, _)| *o);
                first.and_then(|o| self.table.remove(&o));
                wire.counts.overflow += 1;
            }
            self.table.insert(owner, Flow { socket, peers: Vec::new(), until: None });
        }
        let Some(flow) = self.table.get_mut(&owner) else { return };
        flow.until = Some(wire.now.saturating_add(idle));
        flow.remember(name, real);
        match flow.socket.send_to(data, real) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => wire.counts.overflow += 1,
            Err(e) => {
                wire.counts.refused += 1;
                if matches!(e.kind(), ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable) {
                    icmp::unreachable(wire, ip);
                }
            }
        }
    }

    /// Looks at the host's sockets that are `ready` (sorted) and at the clock.
    pub(super) fn poll(&mut self, wire: &mut Wire, ready: &[RawFd]) {
        let is_ready = |flow: &Flow| ready.binary_search(&flow.socket.as_raw_fd()).is_ok();
        let buffer = &mut self.buffer;
        for (guest, flow) in &mut self.forwards {
            if is_ready(flow) {
                receive(wire, flow, Kind::Udp, *guest, buffer);
            }
        }
        self.table.retain(|owner, flow| {
            if is_ready(flow) {
                receive(wire, flow, owner.kind, owner.guest, buffer);
            }
            flow.until.is_none_or(|at| at > wire.now)
        });
    }

    fn all(&self) -> impl Iterator<Item = &Flow> {
        self.table.values().chain(self.forwards.iter().map(|f| &f.1))
    }

    pub(super) fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        list.extend(self.all().map(|f| (f.socket.as_raw_fd(), Interest::READ)));
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.all().filter_map(|f| f.until).min()
    }

    /// How many ports of guests there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

/// A socket that reaches `to`.
fn open(kind: Kind, to: SocketAddr) -> io::Result<UdpSocket> {
    let any = match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = match (kind, to) {
        (Kind::Udp, _) => Socket::new(Domain::for_address(to), Type::DGRAM, None)?,
        // Linux opens these to the groups of net.ipv4.ping_group_range; its answers come without an IP header.
        (Kind::Echo, _) if !cfg!(target_os = "linux") => return Err(ErrorKind::Unsupported.into()),
        (Kind::Echo, SocketAddr::V4(_)) => Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4))?,
        (Kind::Echo, SocketAddr::V6(_)) => Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::ICMPV6))?,
    };
    socket.set_nonblocking(true)?;
    socket.bind(&any.into())?;
    Ok(socket.into())
}

/// Brings the guest what a socket has for it.
fn receive(wire: &mut Wire, flow: &mut Flow, kind: Kind, guest: SocketAddr, buffer: &mut [u8]) {
    for _ in 0..BURST {
        if !wire.room() {
            return;
        }
        // An error of an earlier datagram is reported once, and is no reason to stop.
        let Ok((len, real)) = flow.socket.recv_from(buffer) else { return };
        let known = flow.peers.iter().rev().find(|p| p.1 == real).map(|p| p.0);
        let Some(name) = known.or_else(|| wire.virtual_name(real, guest.ip())) else { continue };
        let data = &buffer[..len];
        match kind {
            Kind::Udp => {
                if flow.until.is_none() {
                    flow.remember(name, real);
                }
                deliver(wire, name, guest, data);
            }
            Kind::Echo => reply(wire, name.ip(), guest, data),
        }
    }
}

/// Queues a datagram for the guest.
pub(super) fn deliver(wire: &mut Wire, from: SocketAddr, to: SocketAddr, data: &[u8]) {
    let repr = UdpRepr { src_port: from.port(), dst_port: to.port() };
    let ends = (from.ip(), to.ip());
    wire.ip(ends, IpProtocol::Udp, repr.header_len() + data.len(), 64, |payload| {
        repr.emit(
            &mut UdpPacket::new_unchecked(payload),
            &ends.0.into(),
            &ends.1.into(),
            data.len(),
            |room| room.copy_from_slice(data),
            &ChecksumCapabilities::default(),
        );
    });
}

/// Queues the answer to an echo request, with the guest's identifier instead of the host's.
fn reply(wire: &mut Wire, from: IpAddr, guest: SocketAddr, data: &[u8]) {
    if data.len() < 8 || data[0] != icmp::echo_types(from.is_ipv4()).1 {
        return;
    }
    icmp::emit(wire, from, guest.ip(), data.len(), |payload| {
        payload.copy_from_slice(data);
        payload[4..6].copy_from_slice(&guest.port().to_be_bytes());
    });
}
