//! What the cards read out of a frame: protocols, checksums, the hash that spreads flows over queues (82574 datasheet,
//! 7.1; 82576 datasheet, 7.1).

use crate::virtio::net::offload::{be16, fold, sum};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Most extension headers of an IPv6 packet that are looked through.
const EXTENSIONS: usize = 8;
/// Length of a frame's addresses and EtherType.
pub(super) const HEADER: usize = 14;
/// Shortest frame on a wire, without its check sequence.
pub(super) const SHORTEST: usize = 60;

/// The network protocol of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Network {
    Other,
    V4,
    V6,
}

/// Where the parts of a frame are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packet {
    pub(super) network: Network,
    /// Offset of the IP header.
    pub(super) ip: usize,
    /// Has the IPv6 header extensions?
    pub(super) extended: bool,
    pub(super) fragment: bool,
    /// TCP, UDP or another protocol; 0 if it cannot be told.
    pub(super) protocol: u8,
    /// Offset of what follows the IP header.
    pub(super) l4: usize,
    /// Offset of what follows all headers that were recognized.
    pub(super) payload: usize,
    /// Where the IP packet ends.
    pub(super) end: usize,
}

impl Packet {
    /// Of a frame; one level of VLAN tags with EtherType `vet` is looked through.
    pub(super) fn of(frame: &[u8], vet: u16) -> Packet {
        let other = Packet {
            network: Network::Other,
            ip: 0,
            extended: false,
            fragment: false,
            protocol: 0,
            l4: 0,
            payload: HEADER.min(frame.len()),
            end: frame.len(),
        };
        let mut at = 12;
        if be16(frame, at) == Some(vet) {
            at += 4;
        }
        let ip = at + 2;
        match be16(frame, at) {
            Some(ETHERTYPE_IPV4) => Packet::v4(frame, ip),
            Some(ETHERTYPE_IPV6) => Packet::v6(frame, ip),
            _ => None,
        }
        .map_or(other, |p| p.with_payload(frame))
    }

    fn v4(frame: &[u8], ip: usize) -> Option<Packet> {
        let first = *frame.get(ip)?;
        let header = usize::from(first & 0xf) * 4;
        let end = ip + usize::from(be16(frame, ip + 2)?);
        let fragment = be16(frame, ip + 6)? & 0x3fff != 0;
        let protocol = *frame.get(ip + 9)?;
        let l4 = ip + header;
        if first >> 4 != 4 || header < 20 || l4 > end || end > frame.len() {
            return None;
        }
        Some(Packet { network: Network::V4, ip, extended: false, fragment, protocol, l4, payload: l4, end })
    }

    fn v6(frame: &[u8], ip: usize) -> Option<Packet> {
        let end = ip + 40 + usize::from(be16(frame, ip + 4)?);
        if *frame.get(ip)? >> 4 != 6 || end > frame.len() {
            return None;
        }
        let (mut protocol, mut l4) = (*frame.get(ip + 6)?, ip + 40);
        let (mut extended, mut fragment) = (false, false);
        for _ in 0..EXTENSIONS {
            let len = match protocol {
                0 | 43 | 60 => 8 + 8 * usize::from(*frame.get(l4 + 1)?),
                44 => {
                    fragment = true;
                    8
                }
                _ => break,
            };
            extended = true;
            protocol = *frame.get(l4)?;
            l4 += len;
        }
        if l4 > end {
            return None;
        }
        Some(Packet { network: Network::V6, ip, extended, fragment, protocol, l4, payload: l4, end })
    }

    fn with_payload(mut self, frame: &[u8]) -> Packet {
        if self.fragment {
            return self;
        }
        let header = match self.protocol {
            TCP => frame.get(self.l4 + 12).map_or(0, |b| usize::from(b >> 4) * 4),
            UDP => 8,
            _ => 0,
        };
        let least = match self.protocol {
            TCP => 20,
            UDP => 8,
            _ => 0,
        };
        if header < least || self.l4 + header > self.end {
            // What says it is TCP or UDP has no room for its header.
            self.protocol = 0;
        } else {
            self.payload = self.l4 + header;
        }
        self
    }

    /// A whole TCP segment or UDP datagram?
    pub(super) fn has_ports(&self) -> bool {
        !self.fragment && matches!(self.protocol, TCP | UDP)
    }

    /// Is the checksum of the IP header right?  `None`: there is none.
    pub(super) fn ip_sum(&self, frame: &[u8]) -> Option<bool> {
        (self.network == Network::V4).then(|| fold(sum(&frame[self.ip..self.l4])) == 0)
    }

    /// Is the checksum of the TCP segment or UDP datagram right?  `None`: there is none.
    pub(super) fn l4_sum(&self, frame: &[u8]) -> Option<bool> {
        if !self.has_ports() || (self.protocol == UDP && be16(frame, self.l4 + 6) == Some(0)) {
            return None;
        }
        let part = &frame[self.l4..self.end];
        let pseudo = sum(self.addresses(frame)) + u64::from(self.protocol) + part.len() as u64;
        Some(fold(pseudo + sum(part)) == 0)
    }

    /// Both IP addresses.
    fn addresses<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        match self.network {
            Network::V4 => &frame[self.ip + 12..self.ip + 20],
            Network::V6 => &frame[self.ip + 8..self.ip + 40],
            Network::Other => &[],
        }
    }

    /// The identification field of an IPv4 packet.
    pub(super) fn id(&self, frame: &[u8]) -> Option<u16> {
        if self.network == Network::V4 { be16(frame, self.ip + 4) } else { None }
    }

    /// A TCP segment that acknowledges?
    pub(super) fn is_ack(&self, frame: &[u8]) -> bool {
        self.has_ports() && self.protocol == TCP && frame.get(self.l4 + 13).is_some_and(|flags| flags & 0x10 != 0)
    }

    /// The hash of the addresses, and of the ports if `ports`, with `key`.
    pub(super) fn hash(&self, frame: &[u8], ports: bool, key: &[u8]) -> u32 {
        let mut input = self.addresses(frame).to_vec();
        if ports {
            input.extend(frame.get(self.l4..self.l4 + 4).unwrap_or(&[]));
        }
        toeplitz(key, &input)
    }
}

/// The hash function of receive-side scaling (82574 datasheet, 7.1.8.1): for every bit of the input that is set, the 32
/// bits of the key that begin at its position.
pub(super) fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
    let byte = |n: usize| u64::from(key.get(n).copied().unwrap_or(0));
    let mut hash = 0;
    for (n, value) in input.iter().enumerate() {
        let window = (0..5).fold(0, |w, k| w << 8 | byte(n + k));
        for bit in (0..8).filter(|bit| value << bit & 0x80 != 0) {
            hash ^= (window >> (8 - bit)) as u32;
        }
    }
    hash
}

/// The frame check sequence of Ethernet (IEEE 802.3, 3.2.9), as it follows the frame.
pub(super) fn check_sequence(frame: &[u8]) -> [u8; 4] {
    static TABLE: [u32; 256] = {
        let (mut table, mut n) = ([0; 256], 0);
        while n < 256 {
            let (mut value, mut bit) = (n as u32, 0);
            while bit < 8 {
                value = value >> 1 ^ if value & 1 != 0 { 0xedb8_8320 } else { 0 };
                bit += 1;
            }
            table[n] = value;
            n += 1;
        }
        table
    };
    let crc = frame.iter().fold(u32::MAX, |crc, byte| crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize]);
    (!crc).to_le_bytes()
}

/// The checksum of SCTP (RFC 9260, appendix A).
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc >> 1 ^ if crc & 1 != 0 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtio::net::offload::sample;

    #[test]
    fn protocols_and_checksums_are_recognized() {
        let mut frame = sample(TCP, b"hello");
        let p = Packet::of(&frame, 0x8100);
        assert_eq!((p.network, p.ip, p.l4, p.payload, p.end), (Network::V4, 14, 34, 54, 59));
        assert_eq!((p.ip_sum(&frame), p.l4_sum(&frame), p.is_ack(&frame)), (Some(true), Some(false), true));
        frame[24] ^= 1;
        assert_eq!(p.ip_sum(&frame), Some(false));
        let mut tagged = frame.clone();
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        assert_eq!(Packet::of(&tagged, 0x8100).l4, 38);
        assert_eq!(Packet::of(&tagged, 0x88a8).network, Network::Other);
        for n in 0..frame.len() {
            for value in [0, 0x45, 0x60, 44, 0xff] {
                let mut odd = frame.clone();
                odd[n] = value;
                let p = Packet::of(&odd, 0x8100);
                let _ = (p.ip_sum(&odd), p.l4_sum(&odd), p.is_ack(&odd), p.hash(&odd, true, &[1; 40]));
                let p = Packet::of(&odd[..n], 0x8100);
                let _ = (p.ip_sum(&odd[..n]), p.l4_sum(&odd[..n]), p.hash(&odd[..n], true, &[]));
            }
        }
    }

    #[test]
    fn ipv6_headers_are_walked() {
        let mut frame = vec![0; 12];
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 60, 64]);
        frame.extend([7; 32]);
        frame.extend([UDP, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        frame.extend([1, 2, 3, 4, 0, 8, 0, 1]);
        let p = Packet::of(&frame, 0x8100);
        assert_eq!((p.network, p.extended, p.protocol, p.l4, p.payload), (Network::V6, true, UDP, 70, 78));
    }

    #[test]
    fn hashes_are_the_published_ones() {
        // The verification suite of the specification of receive-side scaling.
        let key = [
            0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca,
            0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b,
            0xbe, 0xac, 0x01, 0xfa,
        ];
        let input = [66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6];
        assert_eq!((toeplitz(&key, &input[..8]), toeplitz(&key, &input)), (0x323e_8fc2, 0x51cc_c178));
        assert_eq!(u32::from_le_bytes(check_sequence(b"123456789")), 0xcbf4_3926);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
