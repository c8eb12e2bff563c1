//! The DHCP server (RFC 2131, 2132).

use super::flow::deliver;
use super::options::V4;
use super::wire::Wire;
use core::net::Ipv4Addr;
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};
use std::collections::BTreeMap;

/// The ports of server and client.
pub(super) const SERVER: u16 = 67;
const CLIENT: u16 = 68;
/// Clients that have an address (16 in slirp).
const MOST: u32 = 16;
/// How long a lease is good, in seconds: a day.
const LEASE: u32 = 86_400;
/// Shortest message that every client takes (RFC 1542, section 2.1: BOOTP's 300 bytes).
const SHORTEST: usize = 300;

/// Codes of options (RFC 2132, RFC 3397).
const HOST_NAME: u8 = 12;
const DOMAIN_NAME: u8 = 15;
const DOMAIN_SEARCH: u8 = 119;

/// Who has which address.
#[derive(Default)]
pub(super) struct Leases(BTreeMap<Ipv4Addr, EthernetAddress>);

impl Leases {
    /// The address for a client: its own, else the one it wishes for, else the first that is free.
    fn address(&self, net: &V4, mac: EthernetAddress, wish: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        let start = net.dhcp_start.to_bits();
        let pool = (start..start.saturating_add(MOST)).map(Ipv4Addr::from_bits);
        let mut pool = pool.filter(|a| net.contains(*a) && *a != net.broadcast() && *a != net.host && *a != net.dns);
        let may = |a: &Ipv4Addr| self.0.get(a).is_none_or(|m| *m == mac);
        if let Some(wish) = wish.filter(|w| may(w) && pool.clone().any(|a| a == *w)) {
            return Some(wish);
        }
        let own = self.0.iter().find(|(_, m)| **m == mac).map(|(a, _)| *a);
        own.or_else(|| pool.find(|a| !self.0.contains_key(a)))
    }

    /// Takes a message of a client.
    pub(super) fn input(&mut self, wire: &mut Wire, data: &[u8]) {
        let Some(net) = wire.options.v4 else { return };
        let Ok(packet) = DhcpPacket::new_checked(data) else {
            wire.counts.malformed += 1;
            return;
        };
        let Ok(ask) = DhcpRepr::parse(&packet) else {
            wire.counts.malformed += 1;
            return;
        };
        let mac = ask.client_hardware_address;
        let given = ask.client_ip;
        let renews = (!given.is_unspecified()).then_some(given);
        let wish = ask.requested_ip.or(renews);
        // A request that answers another server's offer is not for us.
        let ours = ask.server_identifier.is_none_or(|id| id == net.host);
        match ask.message_type {
            DhcpMessageType::Discover => match self.address(&net, mac, wish) {
                Some(addr) => answer(wire, &net, &ask, DhcpMessageType::Offer, addr),
                None => wire.counts.overflow += 1,
            },
            DhcpMessageType::Request if ours => {
                let addr = self.address(&net, mac, wish);
                match addr.filter(|a| wish.is_none_or(|w| w == *a)) {
                    Some(addr) => {
                        self.0.retain(|_, m| *m != mac);
                        self.0.insert(addr, mac);
                        wire.learn(addr.into(), mac);
                        answer(wire, &net, &ask, DhcpMessageType::Ack, addr);
                    }
                    None => answer(wire, &net, &ask, DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED),
                }
            }
            // The client has an address and asks for the rest.
            DhcpMessageType::Inform => answer(wire, &net, &ask, DhcpMessageType::Ack, Ipv4Addr::UNSPECIFIED),
            DhcpMessageType::Release => self.0.retain(|a, m| !(*a == given && *m == mac)),
            _ => wire.counts.unserved += 1,
        }
    }
}

/// Sends an answer to all: the client has no address yet, or does not need to be found.
fn answer(wire: &mut Wire, net: &V4, ask: &DhcpRepr<'_>, kind: DhcpMessageType, addr: Ipv4Addr) {
    let nak = kind == DhcpMessageType::Nak;
    let informs = ask.message_type == DhcpMessageType::Inform;
    let open = !nak && !wire.options.restrict;
    let search = search_list(&wire.options.dnssearch);
    let mut extra: Vec<DhcpOption<'_>> = Vec::new();
    if !nak {
        let host = wire.options.hostname.as_deref().map(|n| (HOST_NAME, n.as_bytes()));
        let domain = wire.options.domainname.as_deref().map(|n| (DOMAIN_NAME, n.as_bytes()));
        let search = search.as_deref().map(|s| (DOMAIN_SEARCH, s));
        let list = [host, domain, search].into_iter().flatten();
        extra.extend(list.filter(|(_, d)| (1..=255).contains(&d.len())).map(|(kind, data)| DhcpOption { kind, data }));
    }
    let lease = (!nak && !informs).then_some(LEASE);
    let repr = DhcpRepr {
        message_type: kind,
        transaction_id: ask.transaction_id,
        secs: 0,
        client_hardware_address: ask.client_hardware_address,
        client_ip: if nak { Ipv4Addr::UNSPECIFIED } else { ask.client_ip },
        your_ip: addr,
        server_ip: net.host,
        router: open.then_some(net.host),
        subnet_mask: (!nak).then(|| net.mask()),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: true,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(net.host),
        parameter_request_list: None,
        dns_servers: open.then(|| [net.dns].into_iter().collect()),
        max_size: None,
        lease_duration: lease,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &extra,
    };
    let mut data = vec![0; repr.buffer_len().max(SHORTEST)];
    if repr.emit(&mut DhcpPacket::new_unchecked(&mut data[..])).is_err() {
        wire.counts.overflow += 1;
        return;
    }
    deliver(wire, (net.host, SERVER).into(), (Ipv4Addr::BROADCAST, CLIENT).into(), &data);
}

/// The search list as DNS writes names, without compression; what is no name is left out.
fn search_list(domains: &[String]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for domain in domains {
        let labels: Vec<&str> = domain.trim_end_matches('.').split('.').collect();
        if labels.iter().any(|l| !(1..=63).contains(&l.len())) || bytes.len() + domain.len() + 2 > 255 {
            continue;
        }
        for label in labels {
            bytes.push(label.len() as u8);
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Leases, search_list};
    use crate::net::user::UserOptions;
    use core::net::Ipv4Addr;
    use smoltcp::wire::EthernetAddress;

    #[test]
    fn pool() {
        let net = UserOptions::default().v4.unwrap();
        let mac = |n: u8| EthernetAddress([2, 0, 0, 0, 0, n]);
        let at = |n: u8| Ipv4Addr::new(10, 0, 2, n);
        let mut leases = Leases::default();
        assert_eq!(leases.address(&net, mac(1), None), Some(at(15)));
        assert_eq!(leases.address(&net, mac(1), Some(at(20))), Some(at(20)));
        assert_eq!(leases.address(&net, mac(1), Some(at(2))), Some(at(15)), "the gateway's is not to be had");
        for n in 0..16 {
            leases.0.insert(at(15 + n), mac(n));
        }
        assert_eq!(leases.address(&net, mac(3), Some(at(15))), Some(at(18)), "another's is not to be had");
        assert_eq!(leases.address(&net, mac(77), None), None);
    }

    #[test]
    fn names() {
        let list = |names: &[&str]| search_list(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!(list(&["a.bc.", "", "x..y"]).as_deref(), Some(&b"\x01a\x02bc\0"[..]));
        assert_eq!(list(&[]), None);
    }
}
