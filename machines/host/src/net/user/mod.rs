//! User-mode networking: a NAT that needs no privilege (QEMU's `-netdev user`).
//!
//! The guest sees a small network: a gateway (10.0.2.2, fec0::2) that stands for the host's loopback, a name server
//! (10.0.2.3, fec0::3) that stands for the host's, DHCP, IPv6 router advertisements. Its TCP connections end here, in a
//! smoltcp socket each (`conn`), and go on in sockets of the host; datagrams and echo requests go through sockets of
//! the host too (`flow`). No threads, no timers: [`Link::poll`] does it all.
//!
//! Not here: TFTP, SMB, guestfwd (said when asked for), the guest's IP fragments and IPv6 extension headers (dropped
//! and counted), stateless DHCPv6 (the router's advertisements name the server).

mod conn;
mod dhcp;
mod flow;
mod icmp;
mod neighbour;
mod options;
mod packet;
mod resolver;
mod table;
mod tcp;
mod wire;

pub use options::{Forward, Resolver, Transport, UserOptions, V4, V6};

use crate::net::{Counts, Forwarding, Link, MAX_FRAME, NetError, ready};
use crate::wait::Interest;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use dhcp::Leases;
use flow::Flows;
use packet::{Bad, Packet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, UdpPacket, UdpRepr};
use tcp::Tcp;
use wire::Wire;

/// Shortest time between router advertisements that nobody asked for, in nanoseconds: half of what they are good for.
const ADVERTISE: u64 = 900_000_000_000;

/// The NAT.
pub struct UserNet {
    wire: Wire,
    tcp: Tcp,
    flows: Flows,
    leases: Leases,
    forwards: Vec<SocketAddr>,
    /// When the router announces itself next.
    advertise: u64,
}

impl UserNet {
    /// A network with these options.
    ///
    /// # Errors
    /// A port that cannot be forwarded, or a host without random numbers.
    pub fn new(options: UserOptions) -> Result<UserNet, NetError> {
        let mut seed = [0; 8];
        crate::entropy::fill(&mut seed).map_err(|e| NetError::new(format!("netdev user: no random numbers: {e}")))?;
        let mut net = UserNet {
            wire: Wire::new(options),
            tcp: Tcp::new(u64::from_le_bytes(seed)),
            flows: Flows::new(),
            leases: Leases::default(),
            forwards: Vec::new(),
            advertise: 0,
        };
        net.wire.now = crate::clock::monotonic_ns();
        net.advertise = net.wire.now.saturating_add(ADVERTISE);
        for rule in net.wire.options.forwards.clone() {
            net.forward(&rule)?;
        }
        Ok(net)
    }

    /// Follows a rule from now on.
    fn forward(&mut self, rule: &Forward) -> Result<(), NetError> {
        let v4 = self.wire.options.v4.ok_or_else(|| NetError::new(format!("hostfwd {rule}: ipv4 is off")))?;
        let guest = rule.guest.0.unwrap_or(v4.dhcp_start);
        if !self.wire.is_guest(guest.into()) {
            return Err(NetError::new(format!("hostfwd {rule}: {guest} is no guest's address")));
        }
        self.forwards.push(match rule.transport {
            Transport::Tcp => self.tcp.forward(rule, guest)?,
            Transport::Udp => self.flows.forward(rule, guest)?,
        });
        Ok(())
    }

    /// Where the host listens, in the order of [`UserOptions::forwards`]; port 0 of a rule has become a real one.
    #[must_use]
    pub fn forwards(&self) -> &[SocketAddr] {
        &self.forwards
    }

    /// Connections and ports of guests that are in use: TCP, datagrams.
    #[must_use]
    pub fn in_use(&self) -> (usize, usize) {
        (self.tcp.len(), self.flows.len())
    }

    fn frame(&mut self, bytes: &[u8]) {
        let Ok(frame) = EthernetFrame::new_checked(bytes) else {
            self.wire.counts.malformed += 1;
            return;
        };
        let mac = frame.src_addr();
        match frame.ethertype() {
            EthernetProtocol::Arp if self.wire.options.v4.is_some() => neighbour::arp(&mut self.wire, frame.payload()),
            EthernetProtocol::Ipv4 if self.wire.options.v4.is_some() => self.ip(mac, frame.payload()),
            EthernetProtocol::Ipv6 if self.wire.options.v6.is_some() => self.ip(mac, frame.payload()),
            _ => self.wire.counts.unserved += 1,
        }
    }

    fn ip(&mut self, mac: EthernetAddress, bytes: &[u8]) {
        let ip = match Packet::read(bytes) {
            Ok(ip) => ip,
            Err(Bad::Malformed) => {
                self.wire.counts.malformed += 1;
                return;
            }
            Err(Bad::Fragment) => {
                self.wire.counts.fragments += 1;
                return;
            }
        };
        if self.wire.is_guest(ip.from) {
            self.wire.learn(ip.from, mac);
        } else if !nobody(ip.from) {
            self.wire.counts.unserved += 1;
            return;
        }
        match ip.protocol {
            IpProtocol::Udp => self.udp(&ip),
            IpProtocol::Icmpv6 if neighbour::discovery(&mut self.wire, mac, &ip) => {}
            // What follows answers, and somebody without an address cannot be answered.
            _ if nobody(ip.from) => self.wire.counts.unserved += 1,
            IpProtocol::Tcp => self.tcp.input(&mut self.wire, &ip),
            IpProtocol::Icmp if ip.from.is_ipv4() => self.echo(&ip),
            IpProtocol::Icmpv6 if ip.from.is_ipv6() => self.echo(&ip),
            _ => self.wire.counts.unserved += 1,
        }
    }

    fn udp(&mut self, ip: &Packet<'_>) {
        let parsed = UdpPacket::new_checked(ip.payload).and_then(|packet| {
            let repr = UdpRepr::parse(&packet, &ip.from.into(), &ip.to.into(), &ChecksumCapabilities::default())?;
            Ok((repr, packet.payload()))
        });
        let Ok((repr, data)) = parsed else {
            self.wire.counts.malformed += 1;
            return;
        };
        let to_server = match (ip.to, self.wire.options.v4) {
            (IpAddr::V4(to), Some(net)) => repr.dst_port == dhcp::SERVER && (to.is_broadcast() || to == net.host),
            _ => false,
        };
        if to_server {
            self.leases.input(&mut self.wire, data);
        } else if nobody(ip.from) || repr.src_port == 0 {
            self.wire.counts.unserved += 1;
        } else {
            self.flows.udp(&mut self.wire, ip, &repr, data);
        }
    }

    fn echo(&mut self, ip: &Packet<'_>) {
        let Some(echo) = icmp::echo(&mut self.wire, ip) else { return };
        if self.wire.is_ours(ip.to) {
            icmp::answer(&mut self.wire, ip);
        } else {
            self.flows.echo(&mut self.wire, ip, echo.ident);
        }
    }

    /// Lets connections work that have something to do.
    fn serve(&mut self) {
        if core::mem::take(&mut self.wire.learned) {
            self.tcp.wake_all();
        }
        self.tcp.serve(&mut self.wire);
    }
}

/// Is it the address of a station that has none yet?
fn nobody(addr: IpAddr) -> bool {
    addr.is_unspecified()
}

impl Forwarding for UserNet {
    fn add_forward(&mut self, rule: &str) -> Result<(), NetError> {
        let parsed =
            Forward::parse(rule).map_err(|e| NetError::new(format!("Invalid host forwarding rule '{rule}' ({e})")))?;
        self.forward(&parsed).map_err(|e| NetError::new(format!("Could not set up host forwarding rule '{rule}': {e}")))
    }

    fn remove_forward(&mut self, rule: &str) -> Result<bool, NetError> {
        let (transport, host) = Forward::parse_name(rule)?;
        let found = match transport {
            Transport::Tcp => self.tcp.forget(host),
            Transport::Udp => self.flows.forget(host),
        };
        if found && let Some(at) = self.forwards.iter().position(|addr| *addr == host) {
            self.forwards.remove(at);
        }
        Ok(found)
    }

    fn connections(&self) -> String {
        let mut rows = Vec::new();
        self.tcp.rows(&mut rows);
        self.flows.rows(self.wire.now, &mut rows);
        table::print(&rows)
    }
}

impl Link for UserNet {
    fn send(&mut self, frame: &[u8]) {
        self.wire.counts.from_guest += 1;
        if frame.len() > MAX_FRAME {
            self.wire.counts.malformed += 1;
        } else {
            self.frame(frame);
        }
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        if self.wire.starved && self.wire.drained() {
            self.wire.starved = false;
            self.tcp.wake_all();
            self.serve();
        }
        if let Some(frame) = self.wire.pop() {
            return Some(frame);
        }
        if self.tcp.is_busy() {
            self.serve();
        }
        self.wire.pop()
    }

    fn poll(&mut self, now_ns: u64) {
        self.wire.now = self.wire.now.max(now_ns);
        let mut list = Vec::new();
        self.poll_fds(&mut list);
        let ready = ready(&list);
        self.tcp.poll(&mut self.wire, &ready);
        self.flows.poll(&mut self.wire, &ready);
        self.wire.expire();
        if self.wire.options.v6.is_some() && self.wire.now >= self.advertise {
            self.advertise = self.wire.now.saturating_add(ADVERTISE);
            neighbour::advertise(&mut self.wire, Ipv6Addr::UNSPECIFIED);
        }
        self.serve();
    }

    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        self.tcp.poll_fds(list);
        if self.wire.room() {
            self.flows.poll_fds(list);
        }
    }

    fn deadline(&self) -> Option<u64> {
        if self.tcp.is_busy() {
            return Some(self.wire.now);
        }
        let advertise = self.wire.options.v6.map(|_| self.advertise);
        [self.tcp.deadline(), self.flows.deadline(), self.wire.deadline(), advertise].into_iter().flatten().min()
    }

    fn counts(&self) -> Counts {
        self.wire.counts
    }

    fn info(&self) -> String {
        let options = &self.wire.options;
        let net = options.v4.map_or_else(|| "0.0.0.0".to_owned(), |v4| v4.net.to_string());
        format!("net={net},restrict={}", if options.restrict { "on" } else { "off" })
    }

    fn forwarding(&mut self) -> Option<&mut dyn Forwarding> {
        Some(self)
    }
}
