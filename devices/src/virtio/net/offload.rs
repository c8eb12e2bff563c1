//! What a network device does in the driver's place: checksums, and cutting large segments into frames (virtio 1.2,
//! 5.1.6.2; the formats are those of RFC 791, 768, 9293, 8200).

use super::header::{GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, Header};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const FIN: u8 = 1;
const PSH: u8 = 8;
const CWR: u8 = 0x80;
/// Longest IP packet.
const IP_MOST: usize = 0xffff;

/// Where the parts of a TCP or UDP frame are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layers {
    /// Offset of the IP header.
    ip: usize,
    v6: bool,
    /// TCP or UDP.
    protocol: u8,
    /// Offset of the TCP or UDP header.
    l4: usize,
    /// Where the IP packet ends; the frame may go on with padding.
    end: usize,
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Protocol and place of what a frame carries: the EtherType behind all VLAN tags.
fn network(frame: &[u8]) -> Option<(u16, usize)> {
    let mut at = 12;
    loop {
        let kind = be16(frame, at)?;
        if kind != ETHERTYPE_VLAN && kind != ETHERTYPE_QINQ {
            return Some((kind, at + 2));
        }
        at += 4;
    }
}

impl Layers {
    /// Of a frame with a whole TCP or UDP packet that is no fragment.  With `large`, the length fields of the IP header
    /// mean nothing: the packet ends with the frame.
    pub(super) fn of(frame: &[u8], large: bool) -> Option<Layers> {
        let (kind, ip) = network(frame)?;
        let (v6, protocol, l4, len) = match kind {
            ETHERTYPE_IPV4 => {
                let first = *frame.get(ip)?;
                let header = usize::from(first & 0xf) * 4;
                let fragment = be16(frame, ip + 6)? & 0x3fff != 0;
                if first >> 4 != 4 || header < 20 || fragment {
                    return None;
                }
                (false, *frame.get(ip + 9)?, ip + header, usize::from(be16(frame, ip + 2)?))
            }
            ETHERTYPE_IPV6 if *frame.get(ip)? >> 4 == 6 => {
                (true, *frame.get(ip + 6)?, ip + 40, 40 + usize::from(be16(frame, ip + 4)?))
            }
            _ => return None,
        };
        let end = if large { frame.len() } else { ip + len };
        let least = match protocol {
            TCP => 20,
            UDP => 8,
            _ => return None,
        };
        (l4 + least <= end && end <= frame.len()).then_some(Layers { ip, v6, protocol, l4, end })
    }

    /// The sum of the pseudo header of a packet whose TCP or UDP part has `len` bytes.
    fn pseudo(&self, frame: &[u8], len: usize) -> u64 {
        let addresses = if self.v6 { self.ip + 8..self.ip + 40 } else { self.ip + 12..self.ip + 20 };
        sum(&frame[addresses]) + u64::from(self.protocol) + len as u64
    }

    /// A number that both directions of a flow have in common.
    fn flow(&self, frame: &[u8]) -> u64 {
        let addresses = if self.v6 { self.ip + 8..self.ip + 40 } else { self.ip + 12..self.ip + 20 };
        let ports = [0, 2].map(|at| u64::from(be16(frame, self.l4 + at).unwrap_or(0)));
        sum(&frame[addresses]) + ports[0] + ports[1] + u64::from(self.protocol)
    }
}

/// Sum of big-endian 16-bit words, not folded; an odd byte counts as followed by zero.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    // 2^16 = 1 modulo 0xffff, so 32-bit words may be added as they are.
    let whole: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    whole + u64::from(u32::from_be_bytes(last))
}

/// The Internet checksum of what added up to `sum` (RFC 1071).
pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Is the checksum of the TCP or UDP packet in `frame` there and right?
pub(crate) fn checksum_is_valid(frame: &[u8]) -> bool {
    let Some(layers) = Layers::of(frame, false) else { return false };
    let absent = layers.protocol == UDP && be16(frame, layers.l4 + 6) == Some(0);
    let packet = &frame[layers.l4..layers.end];
    !absent && fold(layers.pseudo(frame, packet.len()) + sum(packet)) == 0
}

/// A number that both directions of the frame's flow have in common.
pub(super) fn flow_hash(frame: &[u8]) -> u64 {
    let flow = Layers::of(frame, false).map_or(0, |layers| layers.flow(frame));
    // The words of one flow may differ from the next one's in any bit.
    flow.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// Completes a checksum from `start` to the frame's end, into the word `offset` behind `start`, where the driver has left
/// the sum of the pseudo header.  False: that is not in the frame.
#[must_use]
pub(crate) fn complete_checksum(frame: &mut [u8], start: usize, offset: usize) -> bool {
    if start + offset + 2 > frame.len() {
        return false;
    }
    let value = match fold(sum(&frame[start..])) {
        // UDP has no checksum if it is zero; to TCP both zeros are the same.
        0 => 0xffff,
        value => value,
    };
    put16(frame, start + offset, value);
    true
}

/// Why a large segment is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Cuts the large segment in `frame` into frames of `header.gso_size` bytes of payload, completes them, and calls `send`
/// for each, in order.
pub(super) fn segment(frame: &[u8], header: &Header, mut send: impl FnMut(&[u8])) -> Result<(), Malformed> {
    let layers = Layers::of(frame, true).ok_or(Malformed("no TCP or UDP packet"))?;
    let (v6, protocol) = match header.gso_type & !GSO_ECN {
        GSO_TCPV4 => (false, TCP),
        GSO_TCPV6 => (true, TCP),
        GSO_UDP_L4 => (layers.v6, UDP),
        _ => return Err(Malformed("unknown type")),
    };
    if (layers.v6, layers.protocol) != (v6, protocol) {
        return Err(Malformed("another protocol than its type"));
    }
    let l4_header = if protocol == TCP { usize::from(frame[layers.l4 + 12] >> 4) * 4 } else { 8 };
    let payload = layers.l4 + l4_header;
    let most = usize::from(header.gso_size);
    if most == 0 || (protocol == TCP && l4_header < 20) || payload > frame.len() {
        return Err(Malformed("no segment size, or no header"));
    }
    if payload - layers.ip + most > IP_MOST {
        return Err(Malformed("segments longer than a packet"));
    }
    let (head, data) = frame.split_at(payload);
    let mut piece = Vec::with_capacity(payload + most);
    let count = data.len().div_ceil(most).max(1);
    for n in 0..count {
        let part = &data[n * most..data.len().min((n + 1) * most)];
        piece.clear();
        piece.extend_from_slice(head);
        piece.extend_from_slice(part);
        finish_piece(&mut piece, &layers, n, n * most, n + 1 == count);
        send(&piece);
    }
    Ok(())
}

/// Makes piece `n`, which begins `offset` bytes into the payload, a packet of its own.
fn finish_piece(piece: &mut [u8], layers: &Layers, n: usize, offset: usize, last: bool) {
    let (ip, l4) = (layers.ip, layers.l4);
    let length = piece.len() - l4;
    if layers.v6 {
        put16(piece, ip + 4, (piece.len() - ip - 40) as u16);
    } else {
        let id = be16(piece, ip + 4).unwrap_or(0).wrapping_add(n as u16);
        put16(piece, ip + 2, (piece.len() - ip) as u16);
        put16(piece, ip + 4, id);
        put16(piece, ip + 10, 0);
        let value = fold(sum(&piece[ip..l4]));
        put16(piece, ip + 10, value);
    }
    let field = if layers.protocol == TCP {
        let [a, b, c, d] = [4, 5, 6, 7].map(|at| piece[l4 + at]);
        let sequence = u32::from_be_bytes([a, b, c, d]).wrapping_add(offset as u32);
        piece[l4 + 4..l4 + 8].copy_from_slice(&sequence.to_be_bytes());
        // Flags that end something go with the last piece, the one that begins something with the first.
        let drop = if last { 0 } else { FIN | PSH } | if n == 0 { 0 } else { CWR };
        piece[l4 + 13] &= !drop;
        l4 + 16
    } else {
        put16(piece, l4 + 4, length as u16);
        l4 + 6
    };
    put16(piece, field, 0);
    let value = match fold(layers.pseudo(piece, length) + sum(&piece[l4..])) {
        0 if layers.protocol == UDP => 0xffff,
        value => value,
    };
    put16(piece, field, value);
}

/// Cuts the large TCP segment in `frame` into frames of `most` bytes of payload, as [`segment`].
///
/// # Errors
/// There is no such segment.
pub(crate) fn segment_tcp(frame: &[u8], most: u16, send: impl FnMut(&[u8])) -> Result<(), Malformed> {
    let layers = Layers::of(frame, true).ok_or(Malformed("no TCP packet"))?;
    let gso_type = if layers.v6 { GSO_TCPV6 } else { GSO_TCPV4 };
    segment(frame, &Header { gso_type, gso_size: most, ..Header::default() }, send)
}

/// Computes the checksum of the whole TCP or UDP packet in `frame`.  False: there is none of this protocol.
#[must_use]
pub(crate) fn fill_checksum(frame: &mut [u8], protocol: u8) -> bool {
    let Some(layers) = Layers::of(frame, false).filter(|layers| layers.protocol == protocol) else { return false };
    let field = layers.l4 + if protocol == TCP { 16 } else { 6 };
    put16(frame, field, 0);
    let packet = layers.l4..layers.end;
    let value = match fold(layers.pseudo(frame, packet.len()) + sum(&frame[packet])) {
        0 if protocol == UDP => 0xffff,
        value => value,
    };
    put16(frame, field, value);
    true
}

/// Computes the checksum of the IPv4 header in `frame`.  False: there is none.
#[must_use]
pub(crate) fn fill_ip_checksum(frame: &mut [u8]) -> bool {
    let Some((ETHERTYPE_IPV4, ip)) = network(frame) else { return false };
    let Some(end) = frame.get(ip).map(|first| ip + usize::from(first & 0xf) * 4) else { return false };
    if end < ip + 20 || end > frame.len() {
        return false;
    }
    put16(frame, ip + 10, 0);
    let value = fold(sum(&frame[ip..end]));
    put16(frame, ip + 10, value);
    true
}

/// An Ethernet frame with an IPv4 packet, for tests.
#[cfg(test)]
pub(crate) fn sample(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = if protocol == TCP { 20 } else { 8 };
    let mut frame = vec![0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1, 8, 0];
    let total = 20 + header + payload.len();
    frame.extend_from_slice(&[0x45, 0, (total >> 8) as u8, total as u8, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0]);
    frame.extend_from_slice(&[10, 0, 2, 15, 10, 0, 2, 2]);
    let value = fold(sum(&frame[14..34]));
    put16(&mut frame, 24, value);
    frame.extend_from_slice(&[0x80, 1, 0, 80]);
    if protocol == TCP {
        frame.extend_from_slice(&[0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1, 0x50, CWR | FIN | PSH | 0x10, 2, 0, 0, 0, 0, 0]);
    } else {
        frame.extend_from_slice(&[0, (8 + payload.len()) as u8, 0, 0]);
    }
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a driver does: the pseudo header's sum is where the checksum will be.
    fn prepared(protocol: u8, payload: &[u8]) -> (Vec<u8>, usize) {
        let mut frame = sample(protocol, payload);
        let layers = Layers::of(&frame, false).unwrap();
        let value = !fold(layers.pseudo(&frame, frame.len() - layers.l4));
        let offset = if protocol == TCP { 16 } else { 6 };
        put16(&mut frame, layers.l4 + offset, value);
        (frame, offset)
    }

    #[test]
    fn checksums_are_completed_and_checked() {
        // RFC 1071, section 3.
        assert_eq!(!fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
        for protocol in [TCP, UDP] {
            for payload in [&b"even"[..], b"odd", b""] {
                let (mut frame, offset) = prepared(protocol, payload);
                assert!(!checksum_is_valid(&frame));
                assert!(complete_checksum(&mut frame, 34, offset));
                assert!(checksum_is_valid(&frame));
                frame.extend_from_slice(&[0x55; 7]);
                assert!(checksum_is_valid(&frame), "padding does not count");
                frame[40] ^= 1;
                assert!(!checksum_is_valid(&frame));
                assert!(!complete_checksum(&mut frame, 34, 100) && !complete_checksum(&mut frame, 0xffff, 0xffff));
            }
        }
    }

    #[test]
    fn frames_of_any_length_are_looked_at_without_harm() {
        let (frame, _) = prepared(TCP, &[1; 40]);
        let header = Header { gso_type: GSO_TCPV4, gso_size: 8, ..Header::default() };
        for n in 0..frame.len() {
            assert!(!checksum_is_valid(&frame[..n]));
            let _ = (flow_hash(&frame[..n]), segment(&frame[..n], &header, |_| {}));
            for value in [0, 0x4f, 0x60, 0xff] {
                let mut odd = frame.clone();
                odd[n] = value;
                let _ = (checksum_is_valid(&odd), flow_hash(&odd), segment(&odd, &header, |_| {}));
            }
        }
    }

    #[test]
    fn large_segments_become_packets() {
        let data: Vec<u8> = (0..250).map(|n| n as u8).collect();
        let header = Header { gso_type: GSO_TCPV4 | GSO_ECN, gso_size: 100, ..Header::default() };
        let mut pieces = Vec::new();
        segment(&sample(TCP, &data), &header, |piece| pieces.push(piece.to_vec())).unwrap();
        assert_eq!(pieces.iter().map(|p| p.len() - 54).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(pieces.iter().flat_map(|p| p[54..].to_vec()).collect::<Vec<_>>(), data);
        assert!(pieces.iter().all(|p| checksum_is_valid(p) && fold(sum(&p[14..34])) == 0));
        let fields: Vec<_> = pieces.iter().map(|p| (be16(p, 18).unwrap(), be16(p, 40).unwrap(), p[47])).collect();
        assert_eq!(fields, [(0x1234, 0xfff0, 0x90), (0x1235, 0x54, 0x10), (0x1236, 0xb8, 0x19)]);
        let udp = Header { gso_type: GSO_UDP_L4, gso_size: 200, ..Header::default() };
        pieces.clear();
        segment(&sample(UDP, &data[..240]), &udp, |piece| pieces.push(piece.to_vec())).unwrap();
        assert_eq!(pieces.iter().map(|p| (p.len() - 42, be16(p, 38).unwrap())).collect::<Vec<_>>(), [(200, 208), (40, 48)]);
        assert!(pieces.iter().all(|p| checksum_is_valid(p)));
        assert!(segment(&sample(UDP, b"x"), &header, |_| {}).is_err());
        assert!(segment(&sample(TCP, b"x"), &Header { gso_size: 0, ..header }, |_| {}).is_err());
        assert!(segment(&sample(TCP, b"x"), &Header { gso_size: 0xffff, ..header }, |_| {}).is_err());
        assert!(segment(b"nothing", &header, |_| {}).is_err());
    }

    #[test]
    fn ipv6_and_tags_are_understood() {
        let mut frame = vec![0; 12];
        frame.extend_from_slice(&[0x81, 0, 0, 5, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 220, TCP, 64]);
        frame.extend_from_slice(&[7; 32]);
        frame.extend_from_slice(&[1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0]);
        frame.extend_from_slice(&[9; 200]);
        let header = Header { gso_type: GSO_TCPV6, gso_size: 150, ..Header::default() };
        let mut pieces = Vec::new();
        segment(&frame, &header, |piece| pieces.push(piece.to_vec())).unwrap();
        let lengths: Vec<_> = pieces.iter().map(|p| be16(p, 22).unwrap()).collect();
        assert!(pieces.iter().all(|p| checksum_is_valid(p)) && lengths == [170, 70]);
        let mut back = pieces[1].clone();
        back[58..60].copy_from_slice(&[3, 4]);
        back[60..62].copy_from_slice(&[1, 2]);
        assert_eq!(flow_hash(&pieces[0]), flow_hash(&back));
    }
}
