//! ICMP: the gateway's answers to echo requests, and errors for what the host cannot reach.

use super::packet::Packet;
use super::wire::Wire;
use core::net::IpAddr;
use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet, IpProtocol};

/// Bytes of an ICMP header.
const HEADER: usize = 8;
/// Bytes of a packet that an error quotes: enough for every header of 60 bytes and the 8 that RFC 792 asks for.
const QUOTE: usize = 68;

/// An echo request.
pub(super) struct Echo {
    /// The identifier of the one who asks.
    pub(super) ident: u16,
}

/// ICMP types of echo: request and answer.
pub(super) fn echo_types(v4: bool) -> (u8, u8) {
    if v4 { (8, 0) } else { (128, 129) }
}

/// Reads an ICMP packet. None, and counted, if it is no echo request.
pub(super) fn echo(wire: &mut Wire, ip: &Packet<'_>) -> Option<Echo> {
    let good = match (ip.from, ip.to) {
        (IpAddr::V4(_), _) => Icmpv4Packet::new_checked(ip.payload).is_ok_and(|p| p.verify_checksum()),
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            Icmpv6Packet::new_checked(ip.payload).is_ok_and(|p| p.verify_checksum(&from, &to))
        }
        _ => false,
    };
    if !good || ip.payload.len() < HEADER {
        wire.counts.malformed += 1;
        return None;
    }
    if ip.payload[0] != echo_types(ip.from.is_ipv4()).0 || ip.payload[1] != 0 {
        wire.counts.unserved += 1;
        return None;
    }
    Some(Echo { ident: u16::from_be_bytes([ip.payload[4], ip.payload[5]]) })
}

/// Answers an echo request in the gateway's or name server's name.
pub(super) fn answer(wire: &mut Wire, ip: &Packet<'_>) {
    let kind = echo_types(ip.from.is_ipv4()).1;
    emit(wire, ip.to, ip.from, ip.payload.len(), |payload| {
        payload.copy_from_slice(ip.payload);
        payload[0] = kind;
    });
}

/// Tells the guest that a packet's destination cannot be reached.
pub(super) fn unreachable(wire: &mut Wire, ip: &Packet<'_>) {
    let v4 = ip.from.is_ipv4();
    let quote = &ip.whole[..ip.whole.len().min(QUOTE)];
    let gateway = match (v4, wire.options.v4, wire.options.v6) {
        (true, Some(net), _) => net.host.into(),
        (false, _, Some(net)) => net.host.into(),
        _ => return,
    };
    // Network unreachable (RFC 792), no route to destination (RFC 4443): both are code 0.
    emit(wire, gateway, ip.from, HEADER + quote.len(), |payload| {
        payload[0] = if v4 { 3 } else { 1 };
        payload[HEADER..].copy_from_slice(quote);
    });
}

/// Queues an ICMP packet that `fill` writes but for the checksum.
pub(super) fn emit(wire: &mut Wire, from: IpAddr, to: IpAddr, len: usize, fill: impl FnOnce(&mut [u8])) {
    let protocol = if from.is_ipv4() { IpProtocol::Icmp } else { IpProtocol::Icmpv6 };
    wire.ip((from, to), protocol, len, 64, |payload| {
        fill(payload);
        match (from, to) {
            (IpAddr::V6(from), IpAddr::V6(to)) => Icmpv6Packet::new_unchecked(payload).fill_checksum(&from, &to),
            _ => Icmpv4Packet::new_unchecked(payload).fill_checksum(),
        }
    });
}
