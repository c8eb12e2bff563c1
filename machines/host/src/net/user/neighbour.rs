//! Neighbours on the cable: ARP (RFC 826), and IPv6's discovery of neighbours, router and name server (RFC 4861, 8106).

use super::packet::Packet;
use super::wire::{HOST_LINK_LOCAL, MTU, Wire};
use core::net::{IpAddr, Ipv6Addr};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, Icmpv6Packet, IpProtocol, NdiscNeighborFlags, NdiscRepr,
};

/// How long the announced router, prefix and name server are good, in seconds.
const LIFETIME: u32 = 1800;
/// All nodes of the link (RFC 4291).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// ICMPv6 types of neighbour discovery.
const ROUTER_SOLICIT: u8 = 133;
const NEIGHBOUR_SOLICIT: u8 = 135;
const NEIGHBOUR_ADVERT: u8 = 136;

/// Takes an ARP packet.
pub(super) fn arp(wire: &mut Wire, bytes: &[u8]) {
    let repr = ArpPacket::new_checked(bytes).and_then(|p| ArpRepr::parse(&p));
    let Ok(ArpRepr::EthernetIpv4 {
        operation, source_hardware_addr, source_protocol_addr, target_protocol_addr, ..
    }) = repr
    else {
        wire.counts.malformed += 1;
        return;
    };
    if wire.is_guest(source_protocol_addr.into()) {
        wire.learn(source_protocol_addr.into(), source_hardware_addr);
    }
    // Other addresses are not ours: a guest that asks whether its own is free must hear nothing.
    if operation != ArpOperation::Request || !wire.is_ours(target_protocol_addr.into()) {
        return;
    }
    let answer = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: wire.mac_of(target_protocol_addr.into()),
        source_protocol_addr: target_protocol_addr,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    wire.arp(&answer, source_hardware_addr);
}

/// Takes an ICMPv6 packet of neighbour discovery; false if it is none.
pub(super) fn discovery(wire: &mut Wire, mac: EthernetAddress, ip: &Packet<'_>) -> bool {
    let (IpAddr::V6(from), Some(&kind)) = (ip.from, ip.payload.first()) else { return false };
    match kind {
        ROUTER_SOLICIT => advertise(wire, from),
        NEIGHBOUR_SOLICIT => solicited(wire, mac, from, ip.payload),
        NEIGHBOUR_ADVERT => {}
        _ => return false,
    }
    true
}

/// Somebody asks where an address is.
fn solicited(wire: &mut Wire, mac: EthernetAddress, from: Ipv6Addr, payload: &[u8]) {
    let Some(target) = payload.get(8..24).and_then(|t| <[u8; 16]>::try_from(t).ok()) else {
        wire.counts.malformed += 1;
        return;
    };
    let target = Ipv6Addr::from(target);
    if !wire.is_ours(target.into()) {
        return;
    }
    // From nowhere: somebody tests whether the address is free (RFC 4862). All shall know that it is not.
    let solicited = !from.is_unspecified();
    let flag = if solicited { NdiscNeighborFlags::SOLICITED } else { NdiscNeighborFlags::empty() };
    let answer = NdiscRepr::NeighborAdvert {
        flags: flag | NdiscNeighborFlags::ROUTER | NdiscNeighborFlags::OVERRIDE,
        target_addr: target,
        lladdr: Some(wire.mac_of(target.into()).into()),
    };
    if solicited && wire.is_guest(from.into()) {
        wire.learn(from.into(), mac);
    }
    wire.ndisc(target, if solicited { from } else { ALL_NODES }, &answer);
}

/// Announces the router, the prefix and the name server.
pub(super) fn advertise(wire: &mut Wire, to: Ipv6Addr) {
    let Some(net) = wire.options.v6 else { return };
    let to = if to.is_unspecified() { ALL_NODES } else { to };
    // A guest that may not leave gets addresses and no default route.
    let router = if wire.options.restrict { 0 } else { LIFETIME as u16 };
    let mut bytes = vec![134, 0, 0, 0, 64, 0];
    bytes.extend(router.to_be_bytes());
    bytes.extend([0; 8]);
    // Source link-layer address.
    bytes.extend([1, 1]);
    bytes.extend(wire.mac_of(HOST_LINK_LOCAL.into()).0);
    // MTU.
    bytes.extend([5, 1, 0, 0]);
    bytes.extend((MTU as u32).to_be_bytes());
    // The prefix: on the link, good for addresses.
    bytes.extend([3, 4, 64, 0xc0]);
    bytes.extend(LIFETIME.to_be_bytes());
    bytes.extend(LIFETIME.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(net.net.octets());
    if !wire.options.restrict {
        // The name server (RFC 8106, section 5.1).
        bytes.extend([25, 3, 0, 0]);
        bytes.extend(LIFETIME.to_be_bytes());
        bytes.extend(net.dns.octets());
    }
    wire.ip((HOST_LINK_LOCAL.into(), to.into()), IpProtocol::Icmpv6, bytes.len(), 255, |payload| {
        payload.copy_from_slice(&bytes);
        Icmpv6Packet::new_unchecked(payload).fill_checksum(&HOST_LINK_LOCAL, &to);
    });
}
