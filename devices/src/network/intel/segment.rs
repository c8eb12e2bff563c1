//! What the cards do to frames that drivers send: checksums, large segments, VLAN tags (8254x manual, 3.3 to 3.5).

use crate::virtio::net::offload::{be16, fold, put16, sum};

/// Flags of a TCP header that end something: they go with the last piece.
const FIN_PSH: u8 = 0x09;
/// Reduced congestion window: goes with the first.
const CWR: u8 = 0x80;

/// A checksum to be inserted: over the bytes from `start` to `end` (0: the frame's end; else the last byte), at `at`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sum {
    pub(super) start: usize,
    pub(super) at: usize,
    pub(super) end: usize,
}

impl Sum {
    /// Inserts it; what the driver has left in its place counts too.  False: that is not in the frame.
    #[must_use]
    pub(super) fn insert(&self, frame: &mut [u8]) -> bool {
        let end = if self.end == 0 { frame.len() } else { frame.len().min(self.end + 1) };
        if self.start > end || self.at + 2 > frame.len() {
            return false;
        }
        let value = match fold(sum(&frame[self.start..end])) {
            // UDP has no checksum if it is zero; to the others both zeros are the same.
            0 => 0xffff,
            value => value,
        };
        put16(frame, self.at, value);
        true
    }
}

/// A large segment: where its headers are, and into what it is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Large {
    /// Offset of the IP header.
    pub(super) ip: usize,
    pub(super) v6: bool,
    /// Offset of the TCP or UDP header.
    pub(super) l4: usize,
    pub(super) tcp: bool,
    /// Length of all headers.
    pub(super) header: usize,
    /// Most bytes behind the headers of each piece.
    pub(super) mss: usize,
    pub(super) ip_sum: Option<Sum>,
    pub(super) l4_sum: Option<Sum>,
}

/// Cuts the large segment in `frame` into pieces, completes them, and hands each to `send`, in order; how many there were.
/// The driver has left the sum of the pseudo header without its length where the TCP checksum goes.
pub(super) fn cut(frame: &[u8], large: &Large, mut send: impl FnMut(&mut Vec<u8>)) -> Result<usize, &'static str> {
    let l4_header = if large.tcp { 20 } else { 8 };
    if large.mss == 0 || large.header > frame.len() {
        return Err("no segment size, or no header");
    }
    if large.ip + 8 > large.header || large.l4 + l4_header > large.header || large.l4 <= large.ip {
        return Err("headers outside of the header");
    }
    let (head, data) = frame.split_at(large.header);
    let count = data.len().div_ceil(large.mss).max(1);
    for n in 0..count {
        let from = n * large.mss;
        let part = &data[from..data.len().min(from + large.mss)];
        let mut piece = Vec::with_capacity(large.header + part.len() + 4);
        piece.extend_from_slice(head);
        piece.extend_from_slice(part);
        finish(&mut piece, large, n, from, n + 1 == count)?;
        send(&mut piece);
    }
    Ok(count)
}

/// Makes piece `n`, which begins `from` bytes into the payload, a packet of its own.
fn finish(piece: &mut [u8], large: &Large, n: usize, from: usize, last: bool) -> Result<(), &'static str> {
    let (ip, l4) = (large.ip, large.l4);
    let len = piece.len() - l4;
    if large.v6 {
        put16(piece, ip + 4, (piece.len() - ip).saturating_sub(40) as u16);
    } else {
        let id = be16(piece, ip + 4).unwrap_or(0).wrapping_add(n as u16);
        put16(piece, ip + 2, (piece.len() - ip) as u16);
        put16(piece, ip + 4, id);
    }
    if large.tcp {
        let [a, b, c, d] = [4, 5, 6, 7].map(|at| piece[l4 + at]);
        let sequence = u32::from_be_bytes([a, b, c, d]).wrapping_add(from as u32);
        piece[l4 + 4..l4 + 8].copy_from_slice(&sequence.to_be_bytes());
        let drop = if last { 0 } else { FIN_PSH } | if n == 0 { 0 } else { CWR };
        piece[l4 + 13] &= !drop;
    } else {
        put16(piece, l4 + 4, len as u16);
    }
    if let Some(sum) = large.l4_sum {
        let partial = u64::from(be16(piece, sum.at).ok_or("checksum outside of the frame")?) + len as u64;
        put16(piece, sum.at, !fold(partial));
        if !sum.insert(piece) {
            return Err("checksum outside of the frame");
        }
    }
    if let Some(sum) = large.ip_sum {
        put16(piece, sum.at, 0);
        if !sum.insert(piece) {
            return Err("checksum outside of the frame");
        }
    }
    Ok(())
}

/// Inserts a VLAN tag with EtherType `vet` behind the addresses.
pub(super) fn insert_tag(frame: &mut Vec<u8>, vet: u16, tag: u16) {
    if frame.len() >= 12 {
        let ([a, b], [c, d]) = (vet.to_be_bytes(), tag.to_be_bytes());
        frame.splice(12..12, [a, b, c, d]);
    }
}

/// Takes the VLAN tag with EtherType `vet` out of a frame that has one; the tag.
pub(super) fn strip_tag(frame: &mut Vec<u8>, vet: u16) -> Option<u16> {
    let tag = be16(frame, 14).filter(|_| be16(frame, 12) == Some(vet))?;
    frame.drain(12..16);
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Packet, TCP};
    use super::*;
    use crate::virtio::net::offload::sample;

    /// As a driver leaves it: lengths and the IP checksum are zero, the TCP checksum is that of the pseudo header.
    fn prepared(payload: &[u8]) -> (Vec<u8>, Large) {
        let mut frame = sample(TCP, payload);
        put16(&mut frame, 16, 0);
        put16(&mut frame, 24, 0);
        let partial = !fold(sum(&frame[26..34]) + 6);
        put16(&mut frame, 50, partial);
        let large = Large {
            ip: 14,
            v6: false,
            l4: 34,
            tcp: true,
            header: 54,
            mss: 100,
            ip_sum: Some(Sum { start: 14, at: 24, end: 33 }),
            l4_sum: Some(Sum { start: 34, at: 50, end: 0 }),
        };
        (frame, large)
    }

    #[test]
    fn pieces_are_packets() {
        let data: Vec<u8> = (0..250).map(|n| n as u8).collect();
        let (frame, large) = prepared(&data);
        let mut pieces = Vec::new();
        assert_eq!(cut(&frame, &large, |piece| pieces.push(piece.clone())), Ok(3));
        assert_eq!(pieces.iter().flat_map(|p| p[54..].to_vec()).collect::<Vec<_>>(), data);
        for piece in &pieces {
            let p = Packet::of(piece, 0x8100);
            assert_eq!((p.ip_sum(piece), p.l4_sum(piece)), (Some(true), Some(true)));
        }
        let fields: Vec<_> = pieces.iter().map(|p| (be16(p, 18).unwrap(), be16(p, 40).unwrap(), p[47])).collect();
        assert_eq!(fields, [(0x1234, 0xfff0, 0x90), (0x1235, 0x54, 0x10), (0x1236, 0xb8, 0x19)]);
    }

    #[test]
    fn nonsense_is_refused() {
        let (frame, large) = prepared(b"some data");
        let bad = |large: Large| cut(&frame, &large, |_| {}).is_err();
        assert!(bad(Large { mss: 0, ..large }) && bad(Large { header: 5000, ..large }));
        assert!(bad(Large { ip: 60, ..large }) && bad(Large { l4: 40, ..large }) && bad(Large { l4: 14, ..large }));
        assert!(bad(Large { l4_sum: Some(Sum { start: 0, at: 9000, end: 0 }), ..large }));
        assert!(bad(Large { ip_sum: Some(Sum { start: 255, at: 0, end: 1 }), ..large }));
        let mut short = vec![0; 20];
        assert!(!Sum { start: 30, at: 0, end: 0 }.insert(&mut short) && !Sum { start: 0, at: 19, end: 0 }.insert(&mut short));
        assert!(Sum { start: 0, at: 18, end: 0xffff }.insert(&mut short));
    }

    #[test]
    fn tags_come_and_go() {
        let mut frame = sample(TCP, b"x");
        let plain = frame.clone();
        insert_tag(&mut frame, 0x8100, 0x2005);
        assert_eq!((be16(&frame, 12), be16(&frame, 14), frame.len()), (Some(0x8100), Some(0x2005), plain.len() + 4));
        assert_eq!((strip_tag(&mut frame, 0x8100), frame == plain), (Some(0x2005), true));
        assert_eq!(strip_tag(&mut frame, 0x8100), None);
    }
}
