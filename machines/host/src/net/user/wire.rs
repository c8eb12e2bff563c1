//! The cable: frames for the guest, who is where on it, and what addresses of the guest's network stand for.

use super::options::{Resolver, UserOptions};
use crate::net::Counts;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Packet, IpProtocol,
    IpRepr, Ipv4Packet, Ipv4Repr, NdiscRepr,
};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of an Ethernet header.
pub(super) const HEADER: usize = 14;
/// The longest IP packet for the guest, in bytes.
pub(super) const MTU: usize = 1500;
/// Frames that wait for the guest, before senders are told to wait.
const QUEUE: usize = 512;
/// Frames that wait for the guest at most: answers that nobody can delay go beyond [`QUEUE`].
const QUEUE_MAX: usize = 2 * QUEUE;
/// Stations on the cable that are remembered.
const NEIGHBOURS: usize = 64;
/// Frames that wait for a station's hardware address.
const HELD: usize = 32;
/// Time between two questions for a hardware address, and how long a frame waits for the answer, in nanoseconds.
const ASK_AGAIN: u64 = 1_000_000_000;
/// Time between two looks at `resolv.conf`, in nanoseconds.
const RESOLVER_AGE: u64 = 5_000_000_000;

/// `02` marks a locally administered address; the rest is QEMU's habit.
const HOST_MAC: [u8; 4] = [0x52, 0x55, 0x0a, 0x00];

/// The link-local address of the gateway.
pub(super) const HOST_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

/// A frame that waits for a station's hardware address.
struct Held {
    to: IpAddr,
    frame: Vec<u8>,
    until: u64,
}

/// The cable.
pub(super) struct Wire {
    pub(super) options: UserOptions,
    pub(super) counts: Counts,
    /// Host's monotonic time of the last poll, in nanoseconds.
    pub(super) now: u64,
    /// Somebody was refused a frame since the queue was full.
    pub(super) starved: bool,
    /// A station has become known.
    pub(super) learned: bool,
    queue: VecDeque<Vec<u8>>,
    neighbours: BTreeMap<IpAddr, EthernetAddress>,
    asked: BTreeMap<IpAddr, u64>,
    held: VecDeque<Held>,
    resolver: Option<(u64, Option<IpAddr>)>,
    /// Of the packet that was sent in parts last.
    ident: u16,
}

impl Wire {
    pub(super) fn new(options: UserOptions) -> Wire {
        Wire {
            options,
            counts: Counts::default(),
            now: 0,
            starved: false,
            learned: false,
            queue: VecDeque::new(),
            neighbours: BTreeMap::new(),
            asked: BTreeMap::new(),
            held: VecDeque::new(),
            resolver: None,
            ident: 0,
        }
    }

    /// The hardware address that a packet from `source` bears.
    pub(super) fn mac_of(&self, source: IpAddr) -> EthernetAddress {
        let [a, b, c, d] = HOST_MAC;
        let v4_dns = self.options.v4.is_some_and(|n| source == IpAddr::V4(n.dns));
        let v6_dns = self.options.v6.is_some_and(|n| source == IpAddr::V6(n.dns));
        EthernetAddress([a, b, c, d, 2, if v4_dns || v6_dns { 3 } else { 2 }])
    }

    /// Is this address one of ours on the cable?
    pub(super) fn is_ours(&self, addr: IpAddr) -> bool {
        match addr {
            IpAddr::V4(a) => self.options.v4.is_some_and(|n| a == n.host || a == n.dns),
            IpAddr::V6(a) => self.options.v6.is_some_and(|n| a == n.host || a == n.dns || a == HOST_LINK_LOCAL),
        }
    }

    /// May a guest send from this address?
    pub(super) fn is_guest(&self, addr: IpAddr) -> bool {
        if self.is_ours(addr) {
            return false;
        }
        match addr {
            IpAddr::V4(a) => self.options.v4.is_some_and(|n| n.contains(a) && a != n.net && a != n.broadcast()),
            IpAddr::V6(a) => self.options.v6.is_some_and(|n| n.contains(a) && a != n.net || a.is_unicast_link_local()),
        }
    }

    /// Where a packet of the guest's goes on the host; none if it may or can not leave.
    pub(super) fn real(&mut self, to: SocketAddr) -> Option<SocketAddr> {
        if self.options.restrict {
            self.counts.refused += 1;
            return None;
        }
        let real = match to.ip() {
            IpAddr::V4(a) => self.real_v4(a, to.port()),
            IpAddr::V6(a) => self.real_v6(a, to.port()),
        };
        if real.is_none() {
            self.counts.unserved += 1;
        }
        real
    }

    fn real_v4(&mut self, a: Ipv4Addr, port: u16) -> Option<SocketAddr> {
        let net = self.options.v4?;
        if a == net.host {
            return Some((Ipv4Addr::LOCALHOST, port).into());
        }
        if a == net.dns {
            return self.name_server(port);
        }
        let leaves = !net.contains(a)
            && !a.is_loopback()
            && !a.is_unspecified()
            && !a.is_multicast()
            && !a.is_broadcast()
            && a.octets()[0] != 0;
        leaves.then(|| (a, port).into())
    }

    fn real_v6(&mut self, a: Ipv6Addr, port: u16) -> Option<SocketAddr> {
        let net = self.options.v6?;
        if a == net.host || a == HOST_LINK_LOCAL {
            return Some((Ipv6Addr::LOCALHOST, port).into());
        }
        if a == net.dns {
            return self.name_server(port);
        }
        let leaves = !net.contains(a)
            && !a.is_loopback()
            && !a.is_unspecified()
            && !a.is_multicast()
            && !a.is_unicast_link_local()
            && a.to_ipv4_mapped().is_none();
        leaves.then(|| (a, port).into())
    }

    /// What a peer on the host's side is called on the cable, for a guest of the given family.
    pub(super) fn virtual_name(&self, real: SocketAddr, guest: IpAddr) -> Option<SocketAddr> {
        let gateway = match guest {
            IpAddr::V4(_) => IpAddr::V4(self.options.v4?.host),
            IpAddr::V6(_) => IpAddr::V6(self.options.v6?.host),
        };
        let same_family = real.is_ipv4() == guest.is_ipv4();
        let ip = if real.ip().is_loopback() || !same_family { gateway } else { real.ip() };
        Some(SocketAddr::new(ip, real.port()))
    }

    fn name_server(&mut self, port: u16) -> Option<SocketAddr> {
        let path = match &self.options.resolver {
            Resolver::Fixed(addr) => return Some(*addr),
            Resolver::File(path) => path,
        };
        let fresh = |(when, _): &(u64, _)| self.now.saturating_sub(*when) < RESOLVER_AGE;
        let (_, server) = *match self.resolver.take().filter(fresh) {
            Some(known) => self.resolver.insert(known),
            None => self.resolver.insert((self.now, super::resolver::first(path))),
        };
        Some((server?, port).into())
    }

    /// Remembers where a station is and sends what waited for it.
    pub(super) fn learn(&mut self, ip: IpAddr, mac: EthernetAddress) {
        if !mac.is_unicast() || self.neighbours.get(&ip) == Some(&mac) {
            return;
        }
        if !self.neighbours.contains_key(&ip) && self.neighbours.len() >= NEIGHBOURS {
            self.neighbours.pop_first();
        }
        self.neighbours.insert(ip, mac);
        self.asked.remove(&ip);
        self.learned = true;
        for mut held in core::mem::take(&mut self.held) {
            if held.to == ip {
                held.frame[..6].copy_from_slice(mac.as_bytes());
                self.push(held.frame);
            } else {
                self.held.push_back(held);
            }
        }
    }

    /// Drops what has waited too long for a station.
    pub(super) fn expire(&mut self) {
        let (now, before) = (self.now, self.held.len());
        self.held.retain(|h| h.until > now);
        self.counts.overflow += (before - self.held.len()) as u64;
    }

    /// When [`Wire::expire`] has work.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.held.iter().map(|h| h.until).min()
    }

    /// Is there room for frames of senders that can wait?
    pub(super) fn room(&self) -> bool {
        self.queue.len() < QUEUE
    }

    /// May refused senders try again?
    pub(super) fn drained(&self) -> bool {
        self.queue.len() < QUEUE / 2
    }

    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front()
    }

    fn push(&mut self, frame: Vec<u8>) {
        if self.queue.len() >= QUEUE_MAX {
            self.counts.overflow += 1;
        } else {
            self.counts.to_guest += 1;
            self.queue.push_back(frame);
        }
    }

    /// Where a station is; if it is not known, it is asked.
    pub(super) fn locate(&mut self, ip: IpAddr) -> Option<EthernetAddress> {
        match ip {
            IpAddr::V4(a) if a.is_broadcast() => return Some(EthernetAddress::BROADCAST),
            IpAddr::V6(a) if a.is_multicast() => {
                let [.., a, b, c, d] = a.octets();
                return Some(EthernetAddress([0x33, 0x33, a, b, c, d]));
            }
            _ => {}
        }
        if let Some(mac) = self.neighbours.get(&ip) {
            return Some(*mac);
        }
        let due = self.asked.get(&ip).is_none_or(|when| self.now.saturating_sub(*when) >= ASK_AGAIN);
        if due {
            if self.asked.len() >= NEIGHBOURS {
                self.asked.clear();
            }
            self.asked.insert(ip, self.now);
            self.ask(ip);
        }
        None
    }

    fn ask(&mut self, ip: IpAddr) {
        match (ip, self.options.v4, self.options.v6) {
            (IpAddr::V4(target), Some(net), _) => {
                let ask = ArpRepr::EthernetIpv4 {
                    operation: ArpOperation::Request,
                    source_hardware_addr: self.mac_of(net.host.into()),
                    source_protocol_addr: net.host,
                    target_hardware_addr: EthernetAddress([0; 6]),
                    target_protocol_addr: target,
                };
                self.arp(&ask, EthernetAddress::BROADCAST);
            }
            (IpAddr::V6(target), _, Some(_)) => {
                let source = HOST_LINK_LOCAL;
                let lladdr = Some(self.mac_of(source.into()).into());
                let ask = NdiscRepr::NeighborSolicit { target_addr: target, lladdr };
                let bits = target.to_bits() & 0xff_ffff;
                let group = Ipv6Addr::from_bits(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).to_bits() | bits);
                self.ndisc(source, group, &ask);
            }
            _ => {}
        }
    }

    /// Queues an ARP packet.
    pub(super) fn arp(&mut self, repr: &ArpRepr, to: EthernetAddress) {
        let ArpRepr::EthernetIpv4 { source_hardware_addr, .. } = *repr else { return };
        let mut frame = ethernet(source_hardware_addr, to, EthernetProtocol::Arp, repr.buffer_len());
        repr.emit(&mut ArpPacket::new_unchecked(&mut frame[HEADER..]));
        self.push(frame);
    }

    /// Queues a packet of neighbour discovery (RFC 4861).
    pub(super) fn ndisc(&mut self, from: Ipv6Addr, to: Ipv6Addr, repr: &NdiscRepr<'_>) {
        self.ip((from.into(), to.into()), IpProtocol::Icmpv6, repr.buffer_len(), 255, |payload| {
            let mut packet = Icmpv6Packet::new_unchecked(payload);
            repr.emit(&mut packet);
            packet.fill_checksum(&from, &to);
        });
    }

    /// Queues an IP packet whose payload of `len` bytes is written by `fill`.
    pub(super) fn ip(
        &mut self,
        (from, to): (IpAddr, IpAddr),
        protocol: IpProtocol,
        len: usize,
        hop_limit: u8,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let repr = IpRepr::new(from.into(), to.into(), protocol, len, hop_limit);
        if repr.buffer_len() > MTU {
            return match repr {
                IpRepr::Ipv4(repr) if repr.buffer_len() + len <= usize::from(u16::MAX) => self.fragments(repr, fill),
                // IPv6's fragments are an extension of their own; nobody who sends over UDP counts on them.
                _ => self.counts.overflow += 1,
            };
        }
        let kind = if from.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
        let mac = self.locate(to);
        let mut frame = ethernet(self.mac_of(from), mac.unwrap_or(EthernetAddress::BROADCAST), kind, repr.buffer_len());
        repr.emit(&mut frame[HEADER..], &smoltcp::phy::ChecksumCapabilities::default());
        fill(&mut frame[HEADER + repr.header_len()..]);
        if mac.is_some() {
            return self.push(frame);
        }
        if self.held.len() >= HELD {
            self.held.pop_front();
            self.counts.overflow += 1;
        }
        self.held.push_back(Held { to, frame, until: self.now.saturating_add(ASK_AGAIN) });
    }

    /// Queues an IP packet that is longer than the cable allows, in parts (RFC 791).
    fn fragments(&mut self, mut repr: Ipv4Repr, fill: impl FnOnce(&mut [u8])) {
        // Offsets are in units of 8 bytes.
        const PART: usize = (MTU - 20) / 8 * 8;
        let Some(mac) = self.locate(repr.dst_addr.into()) else {
            self.counts.overflow += 1;
            return;
        };
        let mut payload = vec![0; repr.payload_len];
        fill(&mut payload);
        self.ident = self.ident.wrapping_add(1);
        let (ident, len) = (self.ident, payload.len());
        for (n, part) in payload.chunks(PART).enumerate() {
            repr.payload_len = part.len();
            self.packet(repr.src_addr.into(), mac, repr.buffer_len() + part.len(), |bytes| {
                let mut packet = Ipv4Packet::new_unchecked(bytes);
                repr.emit(&mut packet, &smoltcp::phy::ChecksumCapabilities::ignored());
                packet.set_dont_frag(false);
                packet.set_ident(ident);
                packet.set_frag_offset((n * PART) as u16);
                packet.set_more_frags(n * PART + part.len() < len);
                packet.payload_mut().copy_from_slice(part);
                packet.fill_checksum();
            });
        }
    }

    /// Queues an IP packet of `len` bytes that `fill` writes whole, from `from` to the station at `mac`.
    pub(super) fn packet<R>(
        &mut self,
        from: IpAddr,
        mac: EthernetAddress,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let kind = if from.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
        let mut frame = ethernet(self.mac_of(from), mac, kind, len);
        let result = fill(&mut frame[HEADER..]);
        self.push(frame);
        result
    }
}

/// A frame with its header and room for `len` bytes.
fn ethernet(from: EthernetAddress, to: EthernetAddress, kind: EthernetProtocol, len: usize) -> Vec<u8> {
    let mut frame = vec![0; HEADER + len];
    let mut head = EthernetFrame::new_unchecked(&mut frame[..]);
    head.set_src_addr(from);
    head.set_dst_addr(to);
    head.set_ethertype(kind);
    frame
}
