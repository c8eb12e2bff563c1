//! An IP packet of the guest's: what the other parts need of its header.

use core::net::IpAddr;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet};

/// A packet that is as long as its header says and no fragment.
pub(super) struct Packet<'a> {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) protocol: IpProtocol,
    pub(super) payload: &'a [u8],
    /// With its header.
    pub(super) whole: &'a [u8],
}

/// Why a packet is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bad {
    /// Its header is wrong.
    Malformed,
    /// It is a part of one.
    Fragment,
}

impl<'a> Packet<'a> {
    /// Reads a packet; none if it is malformed or a fragment.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        Packet::read(bytes).ok()
    }

    /// Reads a packet.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Packet<'a>, Bad> {
        match bytes.first().map(|b| b >> 4) {
            Some(4) => Packet::v4(bytes),
            Some(6) => Packet::v6(bytes),
            _ => Err(Bad::Malformed),
        }
    }

    fn v4(bytes: &'a [u8]) -> Result<Packet<'a>, Bad> {
        let packet = Ipv4Packet::new_checked(bytes).map_err(|_| Bad::Malformed)?;
        if !packet.verify_checksum() {
            return Err(Bad::Malformed);
        }
        if packet.more_frags() || packet.frag_offset() != 0 {
            return Err(Bad::Fragment);
        }
        let (head, len) = (usize::from(packet.header_len()), usize::from(packet.total_len()));
        let whole = bytes.get(..len).ok_or(Bad::Malformed)?;
        Ok(Packet {
            from: packet.src_addr().into(),
            to: packet.dst_addr().into(),
            protocol: packet.next_header(),
            payload: whole.get(head..).ok_or(Bad::Malformed)?,
            whole,
        })
    }

    /// Extension headers are not looked through: a packet with one is of a protocol that nobody serves.
    fn v6(bytes: &'a [u8]) -> Result<Packet<'a>, Bad> {
        let packet = Ipv6Packet::new_checked(bytes).map_err(|_| Bad::Malformed)?;
        if packet.next_header() == IpProtocol::Ipv6Frag {
            return Err(Bad::Fragment);
        }
        let whole = bytes.get(..packet.total_len()).ok_or(Bad::Malformed)?;
        Ok(Packet {
            from: packet.src_addr().into(),
            to: packet.dst_addr().into(),
            protocol: packet.next_header(),
            payload: whole.get(40..).ok_or(Bad::Malformed)?,
            whole,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bad, Packet};

    #[test]
    fn lengths() {
        let mut p = vec![0x45, 0, 0, 24, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2, 1, 2, 3, 4, 9, 9];
        smoltcp::wire::Ipv4Packet::new_unchecked(&mut p[..]).fill_checksum();
        let packet = Packet::read(&p).unwrap();
        assert_eq!((packet.payload, packet.whole.len()), (&[1, 2, 3, 4][..], 24), "padding is no payload");
        for len in 0..24 {
            assert_eq!(Packet::read(&p[..len]).err(), Some(Bad::Malformed));
        }
        p[10] ^= 1;
        assert_eq!(Packet::read(&p).err(), Some(Bad::Malformed), "checksum");
        p[6] = 0x20;
        smoltcp::wire::Ipv4Packet::new_unchecked(&mut p[..]).fill_checksum();
        assert_eq!(Packet::read(&p).err(), Some(Bad::Fragment));
        let mut six = vec![0x60, 0, 0, 0, 0, 2, 17, 64];
        six.resize(42, 0);
        assert_eq!(Packet::read(&six).unwrap().payload.len(), 2);
        assert_eq!(Packet::read(&six[..41]).err(), Some(Bad::Malformed));
    }
}
