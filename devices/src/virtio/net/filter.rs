//! Which frames a network device passes on (virtio 1.2, 5.1.6.5).

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most addresses kept per table; with more, all addresses of their kind pass.
pub(super) const ADDRESSES: usize = 64;
const BROADCAST: [u8; 6] = [0xff; 6];
const VLANS: u16 = 4096;

/// Modes that the driver switches (5.1.6.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Modes {
    pub(super) promiscuous: bool,
    pub(super) all_multicast: bool,
    pub(super) all_unicast: bool,
    pub(super) no_multicast: bool,
    pub(super) no_unicast: bool,
    pub(super) no_broadcast: bool,
}

/// The filter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Filter {
    pub(super) modes: Modes,
    /// `None`: more than fit.
    pub(super) unicast: Option<BTreeSet<[u8; 6]>>,
    pub(super) multicast: Option<BTreeSet<[u8; 6]>>,
    pub(super) vlans: BTreeSet<u16>,
}

impl Filter {
    /// What a device that was not told anything does: everything passes.
    pub(super) fn new() -> Filter {
        let modes = Modes {
            promiscuous: true,
            all_multicast: false,
            all_unicast: false,
            no_multicast: false,
            no_unicast: false,
            no_broadcast: false,
        };
        Filter { modes, unicast: Some(BTreeSet::new()), multicast: Some(BTreeSet::new()), vlans: BTreeSet::new() }
    }

    /// Does the driver want this frame?  `vlans`: it has said which VLANs it wants.
    pub(super) fn passes(&self, frame: &[u8], mac: [u8; 6], vlans: bool) -> bool {
        let modes = &self.modes;
        if modes.promiscuous {
            return true;
        }
        let [a, b, c, d, e, f, ..] = *frame else { return false };
        let to = [a, b, c, d, e, f];
        if vlans
            && let Some([0x81, 0x00, high, low]) = frame.get(12..16)
            && !self.vlans.contains(&(u16::from_be_bytes([*high, *low]) % VLANS))
        {
            return false;
        }
        let listed = |table: &Option<BTreeSet<[u8; 6]>>| table.as_ref().is_none_or(|list| list.contains(&to));
        if to == BROADCAST {
            !modes.no_broadcast
        } else if to[0] & 1 != 0 {
            !modes.no_multicast && (modes.all_multicast || listed(&self.multicast))
        } else {
            !modes.no_unicast && (modes.all_unicast || to == mac || listed(&self.unicast))
        }
    }

    /// Can a filter be like this?
    pub(super) fn is_possible(&self) -> bool {
        let few = |table: &Option<BTreeSet<[u8; 6]>>| table.as_ref().is_none_or(|list| list.len() <= ADDRESSES);
        few(&self.unicast) && few(&self.multicast) && self.vlans.iter().all(|vlan| *vlan < VLANS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_tables_decide() {
        let mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
        let other = [2, 0, 0, 0, 0, 9];
        let group = [1, 0, 0x5e, 0, 0, 1];
        let frame = |to: [u8; 6]| [&to[..], &[0; 10]].concat();
        let mut f = Filter::new();
        assert!(f.passes(&frame(other), mac, true));
        f.modes.promiscuous = false;
        let all = |f: &Filter| [BROADCAST, mac, other, group].map(|to| f.passes(&frame(to), mac, true));
        assert_eq!(all(&f), [true, true, false, false]);
        f.unicast = Some([other].into());
        f.multicast = None;
        assert_eq!(all(&f), [true, true, true, true]);
        f.modes = Modes { no_multicast: true, no_unicast: true, no_broadcast: true, ..f.modes };
        assert_eq!(all(&f), [false; 4]);
        f = Filter { modes: Modes { all_unicast: true, all_multicast: true, ..f.modes }, ..Filter::new() };
        f.modes = Modes { no_multicast: false, no_unicast: false, ..f.modes };
        assert_eq!(all(&f), [false, true, true, true]);
        let tagged = [&mac[..], &[0; 6], &[0x81, 0, 0x20, 5]].concat();
        assert!(!f.passes(&tagged, mac, true) && f.passes(&tagged, mac, false));
        f.vlans.insert(5);
        assert!(f.passes(&tagged, mac, true) && !f.passes(&tagged[..5], mac, true));
    }
}
