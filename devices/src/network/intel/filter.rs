//! Which frames the cards receive: addresses, multicast hashes, VLANs (8254x manual, 3.2.1 and 13.5).

use serde::{Deserialize, Serialize};

/// Words of the multicast and the VLAN table.
pub(super) const TABLE: usize = 128;
/// Receive control: all unicast frames, all multicast frames, all broadcast frames, VLANs of the table only.
pub(super) const UPE: u32 = 1 << 3;
pub(super) const MPE: u32 = 1 << 4;
pub(super) const BAM: u32 = 1 << 15;
pub(super) const VFE: u32 = 1 << 18;
/// Receive control: which bits of an address are its hash.
const MO_SHIFT: u32 = 12;
/// Upper half of a receive address: it is valid.
pub(super) const AV: u32 = 1 << 31;

/// The tables.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Filter {
    /// Receive addresses, two words each.
    pub(super) addresses: Vec<u32>,
    pub(super) multicast: Vec<u32>,
    pub(super) vlans: Vec<u32>,
}

/// To whom a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cast {
    Unicast,
    Multicast,
    Broadcast,
}

/// To whom a frame goes; frames have at least an address.
pub(super) fn cast(frame: &[u8]) -> Cast {
    match frame.get(..6) {
        Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => Cast::Broadcast,
        Some([first, ..]) if first & 1 != 0 => Cast::Multicast,
        _ => Cast::Unicast,
    }
}

impl Filter {
    /// With `addresses` receive addresses, the first of which is `mac`.
    pub(super) fn new(mac: [u8; 6], addresses: usize) -> Filter {
        let mut filter =
            Filter { addresses: vec![0; 2 * addresses], multicast: vec![0; TABLE], vlans: vec![0; TABLE] };
        let [a, b, c, d, e, f] = mac;
        filter.addresses[0] = u32::from_le_bytes([a, b, c, d]);
        filter.addresses[1] = u32::from_le_bytes([e, f, 0, 0]) | AV;
        filter
    }

    /// Is the frame for one of the receive addresses, or in the multicast table, or let through by the receive control
    /// register `rctl`?
    pub(super) fn takes(&self, frame: &[u8], rctl: u32) -> bool {
        let [a, b, c, d, e, f, ..] = *frame else { return false };
        let all = match cast(frame) {
            Cast::Unicast => UPE,
            Cast::Multicast => MPE,
            Cast::Broadcast => BAM,
        };
        let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from(u16::from_le_bytes([e, f])));
        let listed = |pair: &[u32]| pair[1] & AV != 0 && pair[0] == low && pair[1] & 0xffff == high;
        if rctl & all != 0 || self.addresses.chunks_exact(2).any(listed) {
            return true;
        }
        let shift = [4, 3, 2, 0][(rctl >> MO_SHIFT & 3) as usize];
        let hash = (u16::from_be_bytes([f, e]) >> shift & 0xfff) as usize;
        a & 1 != 0 && self.multicast[hash / 32] >> (hash % 32) & 1 != 0
    }

    /// Is the frame's VLAN in the table?
    pub(super) fn takes_vlan(&self, tag: u16) -> bool {
        let vlan = usize::from(tag & 0xfff);
        self.vlans[vlan / 32] >> (vlan % 32) & 1 != 0
    }

    /// Do the tables have the sizes of `like`?
    pub(super) fn fits(&self, like: &Filter) -> bool {
        (self.addresses.len(), self.multicast.len(), self.vlans.len())
            == (like.addresses.len(), like.multicast.len(), like.vlans.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_modes_decide() {
        let mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
        let (other, group) = ([2, 0, 0, 0, 0, 9], [1, 0, 0x5e, 0, 0, 0xfb]);
        let mut f = Filter::new(mac, 16);
        let all = |f: &Filter, rctl| [mac, other, group, [0xff; 6]].map(|to| f.takes(&to, rctl));
        assert_eq!(all(&f, 0), [true, false, false, false]);
        assert_eq!(all(&f, UPE), [true, true, false, false]);
        assert_eq!(all(&f, MPE | BAM), [true, false, true, true]);
        // Hash of 01:00:5e:00:00:fb with offset 0: 0xfb0.
        f.multicast[0xfb0 / 32] = 1 << (0xfb0 % 32);
        assert_eq!(all(&f, 0), [true, false, true, false]);
        assert_eq!(all(&f, 3 << MO_SHIFT), [true, false, false, false]);
        f.addresses[1] &= !AV;
        assert!(!f.takes(&mac, 0) && !f.takes(&[1, 2], u32::MAX));
        f.vlans[1] = 1 << 5;
        assert!(f.takes_vlan(0x2025) && !f.takes_vlan(0x26));
    }
}
