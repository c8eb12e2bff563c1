//! What all cards have in common: filters, statistics, offloads of received frames, EEPROM, PHY, and a clock.

use super::eeprom::{Eeprom, Words};
use super::filter::{Filter, TABLE};
use super::kept::{Kept, Row};
use super::packet::{Network, Packet, SHORTEST, TCP, UDP};
use super::phy::{Model, Phy};
use super::segment::insert_tag;
use super::stats::{Stats, WORDS};
use crate::virtio::net::offload::{fold, sum};
use serde::{Deserialize, Serialize};
use tern_core::registers;
use tern_core::snapshot::{StateError, check};

/// Transmit control (8254x manual, 13.4.33): short packets are padded.
const TCTL_PSP: u32 = 1 << 3;

/// What a card is like.
pub(super) struct Spec {
    pub(super) phy: &'static Model,
    /// Words of the EEPROM, and their contents.
    pub(super) eeprom: (usize, Words),
    pub(super) kept: &'static [Row],
    /// Receive addresses.
    pub(super) addresses: usize,
    /// Bits of the upper half of a receive address that can be written.
    pub(super) address_mask: u32,
    /// Receive checksum control after reset.
    pub(super) rxcsum: u32,
    /// The period of the clock for time stamps, in nanoseconds.
    pub(super) tick: u64,
}

/// Device control (8254x manual, 13.4.1).
mod ctrl {
    pub(super) const FD: u32 = 1;
    pub(super) const MASTER_DISABLE: u32 = 1 << 2;
    pub(super) const SPEED: u32 = 3 << 8;
    pub(super) const FRCSPD: u32 = 1 << 11;
    pub(super) const FRCDPX: u32 = 1 << 12;
}

/// Device status (8254x manual, 13.4.2).
mod status {
    pub(super) const FD: u32 = 1;
    pub(super) const LU: u32 = 1 << 1;
    pub(super) const SPEED_1000: u32 = 2 << 6;
    pub(super) const ASDV_1000: u32 = 2 << 8;
    pub(super) const MASTER: u32 = 1 << 19;
}

/// Receive control (8254x manual, 13.4.22).
pub(super) mod rctl {
    pub(in super::super) const EN: u32 = 1 << 1;
    pub(in super::super) const SBP: u32 = 1 << 2;
    pub(in super::super) const LPE: u32 = 1 << 5;
    pub(in super::super) const LBM: u32 = 3 << 6;
    pub(in super::super) const SECRC: u32 = 1 << 26;
    /// Bits that can be written.
    pub(super) const MASK: u32 = 0x7edf_f7fe;
}

/// Receive checksum control (8254x manual, 13.5.5).
mod rxcsum {
    pub(super) const IP: u32 = 1 << 8;
    pub(super) const L4: u32 = 1 << 9;
    pub(super) const NO_PACKET_SUM: u32 = 1 << 13;
}

/// Receive filter control (82574 datasheet, 10.2.5.16).
pub(super) mod rfctl {
    pub(in super::super) const IPV6_DIS: u32 = 1 << 10;
    pub(super) const IPV6_XSUM_DIS: u32 = 1 << 11;
    pub(in super::super) const EXTEN: u32 = 1 << 15;
    pub(super) const IPV6_EX_DIS: u32 = 1 << 16;
}

/// Bits of a received frame's status and errors that all descriptors have (8254x manual, 3.2.3), errors in the upper byte.
pub(super) mod rx {
    pub(in super::super) const DD: u32 = 1;
    pub(in super::super) const EOP: u32 = 1 << 1;
    pub(super) const IXSM: u32 = 1 << 2;
    pub(in super::super) const VP: u32 = 1 << 3;
    pub(super) const UDPCS: u32 = 1 << 4;
    pub(super) const TCPCS: u32 = 1 << 5;
    pub(super) const IPCS: u32 = 1 << 6;
    pub(super) const TCPE: u32 = 1 << 29;
    pub(super) const IPE: u32 = 1 << 30;
}

/// Kinds of packets whose flows are spread (82574 datasheet, 7.1.8.2): how they are marked, the bit that switches them on,
/// network, protocol (0: any).
const RSS_TYPES: [(u32, u32, Network, u8); 7] = [
    (1, 16, Network::V4, TCP),
    (7, 22, Network::V4, UDP),
    (2, 17, Network::V4, 0),
    (3, 18, Network::V6, TCP),
    (8, 23, Network::V6, UDP),
    (4, 19, Network::V6, 0),
    (5, 20, Network::V6, 0),
];

/// What receive-side scaling says of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Flow {
    pub(super) kind: u32,
    pub(super) hash: u32,
    /// The entry of the redirection table.
    pub(super) entry: u8,
}

/// The clock for time stamps (82574 datasheet, 7.3; 82576 datasheet, 7.9): it counts in units that the driver chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Time {
    /// The increment and how often it is added.
    pub(super) increment: u32,
    value: u64,
    since: u64,
    /// The upper half as of the last read of the lower one.
    pub(super) latched: u32,
    /// The lower half of an adjustment.
    pub(super) adjust: u32,
}

impl Time {
    fn value(&self, now: u64, tick: u64) -> u64 {
        let period = u64::from(self.increment >> 24).max(1) * tick;
        let added = u128::from(now.saturating_sub(self.since)) * u128::from(self.increment & 0xff_ffff);
        self.value.wrapping_add((added / u128::from(period)) as u64)
    }

    /// Reads the lower half, and keeps the upper one.
    pub(super) fn read_low(&mut self, now: u64, tick: u64) -> u64 {
        let value = self.value(now, tick);
        self.latched = (value >> 32) as u32;
        value & 0xffff_ffff
    }

    pub(super) fn set_increment(&mut self, now: u64, tick: u64, increment: u32) {
        *self = Time { value: self.value(now, tick), since: now, increment, ..*self };
    }

    /// Sets one half of the time.
    pub(super) fn set(&mut self, now: u64, tick: u64, upper: bool, half: u32) {
        let value = self.value(now, tick);
        let half = u64::from(half);
        self.value = if upper { value & 0xffff_ffff | half << 32 } else { value & !0xffff_ffff | half };
        self.since = now;
    }

    /// Adds what the adjustment registers say; the sign is the highest bit.
    pub(super) fn adjust(&mut self, upper: u32) {
        let by = u64::from(upper & 0x7fff_ffff) << 32 | u64::from(self.adjust);
        self.value = if upper >> 31 == 0 { self.value.wrapping_add(by) } else { self.value.wrapping_sub(by) };
    }
}

/// The state.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Mac {
    pub(super) ctrl: u32,
    pub(super) ctrl_ext: u32,
    pub(super) rctl: u32,
    pub(super) tctl: u32,
    vet: u32,
    pub(super) rxcsum: u32,
    pub(super) rfctl: u32,
    pub(super) mrqc: u32,
    reta: Vec<u32>,
    key: Vec<u32>,
    swsm: u32,
    address_mask: u32,
    /// Is the cable plugged in?
    pub(super) cable: bool,
    pub(super) filter: Filter,
    pub(super) stats: Stats,
    pub(super) kept: Kept,
    pub(super) eeprom: Eeprom,
    pub(super) phy: Phy,
    pub(super) time: Time,
    /// What the address register of the ports names.
    pub(super) port: u32,
}

registers! {
    /// Registers that all cards have at the same place.
    pub(super) static COMMON: Mac, "mac", sizes [4];
    0x0038 VET 4 rw reset 0x8100, "8254x 13.4.12", read |d, _| u64::from(d.vet), write |d, _, v| d.vet = v as u32;
    0x0100 RCTL 4 rw reset 0, "8254x 13.4.22", read |d, _| u64::from(d.rctl),
        write |d, _, v| d.rctl = v as u32 & rctl::MASK;
    0x4000 [WORDS as u64; 4] STATISTICS 4 ro reset 0, "8254x 13.7", read |d, i| d.stats.take(i);
    0x5000 RXCSUM 4 rw, "8254x 13.5.5", read |d, _| u64::from(d.rxcsum), write |d, _, v| d.rxcsum = v as u32;
    0x5200 [TABLE as u64; 4] MTA 4 rw reset 0, "8254x 13.5.1", read |d, i| u64::from(d.filter.multicast[i as usize]),
        write |d, i, v| d.filter.multicast[i as usize] = v as u32;
    0x5400 [32; 4] RA 4 rw, "8254x 13.5.2", read |d, i| u64::from(d.filter.addresses[i as usize]),
        write |d, i, v| d.set_address(i as usize, v as u32);
    0x5600 [TABLE as u64; 4] VFTA 4 rw reset 0, "8254x 13.5.3", read |d, i| u64::from(d.filter.vlans[i as usize]),
        write |d, i, v| d.filter.vlans[i as usize] = v as u32;
}

registers! {
    /// Registers of the cards that spread flows over queues.
    pub(super) static SCALING: Mac, "mac", sizes [4];
    0x5008 RFCTL 4 rw reset 0, "82574 10.2.5.16", read |d, _| u64::from(d.rfctl), write |d, _, v| d.rfctl = v as u32;
    0x5818 MRQC 4 rw reset 0, "82574 10.2.5.17", read |d, _| u64::from(d.mrqc), write |d, _, v| d.mrqc = v as u32;
    0x5b50 SWSM 4 rw, "82574 10.2.8.14", read |d, _| d.take_semaphore(), write |d, _, v| d.swsm = v as u32 & 0xf;
    0x5c00 [32; 4] RETA 4 rw reset 0, "82574 10.2.5.18", read |d, i| u64::from(d.reta[i as usize]),
        write |d, i, v| d.reta[i as usize] = v as u32;
    0x5c80 [10; 4] RSSRK 4 rw reset 0, "82574 10.2.5.19", read |d, i| u64::from(d.key[i as usize]),
        write |d, i, v| d.key[i as usize] = v as u32;
}

impl Mac {
    /// A new one, or after reset with the cable plugged in or not.
    pub(super) fn new(spec: &Spec, mac: [u8; 6], cable: bool) -> Mac {
        Mac {
            ctrl: 0,
            ctrl_ext: 0,
            rctl: 0,
            tctl: 0,
            vet: 0x8100,
            rxcsum: spec.rxcsum,
            rfctl: 0,
            mrqc: 0,
            reta: vec![0; 32],
            key: vec![0; 10],
            swsm: 0,
            address_mask: spec.address_mask,
            cable,
            filter: Filter::new(mac, spec.addresses),
            stats: Stats::new(),
            kept: Kept::new(spec.kept),
            eeprom: Eeprom::new(mac, spec.eeprom.0, spec.eeprom.1),
            phy: Phy::new(spec.phy, cable),
            time: Time::default(),
            port: 0,
        }
    }

    /// Makes of a frame what goes on the wire: with its tag, and no shorter than frames may be; it is counted.  Its length.
    pub(super) fn finish(&mut self, frame: &mut Vec<u8>, tag: Option<u16>) -> usize {
        if let Some(tag) = tag {
            insert_tag(frame, self.vet(), tag);
        }
        if self.tctl & TCTL_PSP != 0 && frame.len() < SHORTEST {
            frame.resize(SHORTEST, 0);
        }
        if !frame.is_empty() {
            self.stats.sent(frame);
        }
        frame.len()
    }

    /// EtherType of VLAN tags.
    pub(super) fn vet(&self) -> u16 {
        self.vet as u16
    }

    /// What the status register says of the link and the bus.
    pub(super) fn status(&self) -> u32 {
        let full = self.ctrl & ctrl::FRCDPX == 0 || self.ctrl & ctrl::FD != 0;
        let forced = self.ctrl & ctrl::FRCSPD != 0;
        let some = |on: bool, bits: u32| if on { bits } else { 0 };
        status::ASDV_1000
            | if forced { (self.ctrl & ctrl::SPEED) >> 2 } else { status::SPEED_1000 }
            | some(full, status::FD)
            | some(self.phy.link(), status::LU)
            | some(self.ctrl & ctrl::MASTER_DISABLE == 0, status::MASTER)
    }

    /// Writes half of a receive address.
    pub(super) fn set_address(&mut self, at: usize, value: u32) {
        self.filter.addresses[at] = value & if at.is_multiple_of(2) { u32::MAX } else { self.address_mask };
    }

    /// Reading the semaphore takes it.
    fn take_semaphore(&mut self) -> u64 {
        let value = self.swsm;
        self.swsm |= 1;
        u64::from(value)
    }

    /// Does the frame pass size limit, VLANs and addresses?
    pub(super) fn passes(&mut self, frame: &[u8], longest: usize) -> bool {
        let tag = match frame.get(12..16) {
            Some([a, b, c, d]) if u16::from_be_bytes([*a, *b]) == self.vet() => Some(u16::from_be_bytes([*c, *d])),
            _ => None,
        };
        if frame.len() > longest && self.rctl & rctl::SBP == 0 {
            self.stats.count(super::stats::at::ROC);
            return false;
        }
        if self.rctl & super::filter::VFE != 0 && tag.is_some_and(|tag| !self.filter.takes_vlan(tag)) {
            return false;
        }
        self.filter.takes(frame, self.rctl)
    }

    /// Size of a receive buffer by the receive control register.
    pub(super) fn buffer(&self) -> usize {
        match (self.rctl >> 25 & 1, self.rctl >> 16 & 3) {
            (1, 1) => 16384,
            (1, 2) => 8192,
            (1, 3) => 4096,
            (_, 1) => 1024,
            (_, 2) => 512,
            (_, 3) => 256,
            _ => 2048,
        }
    }

    /// What the status of a received frame says of its checksums.
    pub(super) fn sums(&self, frame: &[u8], p: &Packet) -> u32 {
        let silent = p.network == Network::V6 && self.rfctl & rfctl::IPV6_XSUM_DIS != 0;
        let ip = p.ip_sum(frame).filter(|_| self.rxcsum & rxcsum::IP != 0 && !silent);
        let l4 = p.l4_sum(frame).filter(|_| self.rxcsum & rxcsum::L4 != 0 && !silent);
        let mut status = if ip.is_none() && l4.is_none() { rx::IXSM } else { 0 };
        if let Some(good) = ip {
            status |= rx::IPCS | if good { 0 } else { rx::IPE };
        }
        if let Some(good) = l4 {
            status |= rx::TCPCS | if p.protocol == UDP { rx::UDPCS } else { 0 } | if good { 0 } else { rx::TCPE };
        }
        status
    }

    /// Does a descriptor hold the flow's hash rather than the packet's checksum?
    pub(super) fn hash_wanted(&self) -> bool {
        self.rxcsum & rxcsum::NO_PACKET_SUM != 0
    }

    /// The packet's checksum, from the byte on that the driver has named.
    pub(super) fn packet_sum(&self, frame: &[u8]) -> u16 {
        let from = (self.rxcsum & 0xff) as usize;
        if self.hash_wanted() { 0 } else { frame.get(from..).map_or(0, |part| fold(sum(part))) }
    }

    /// The flow of a frame.
    pub(super) fn flow(&self, frame: &[u8], p: &Packet) -> Flow {
        let plain = !p.extended || self.rfctl & rfctl::IPV6_EX_DIS == 0;
        let found = RSS_TYPES.iter().find(|(kind, bit, network, protocol)| {
            let ports = *protocol == 0 || p.has_ports() && p.protocol == *protocol;
            self.mrqc >> bit & 1 != 0 && *network == p.network && ports && (plain || *kind == 5)
        });
        let Some((kind, _, _, protocol)) = found else { return Flow::default() };
        let key: Vec<u8> = self.key.iter().flat_map(|word| word.to_le_bytes()).collect();
        let hash = p.hash(frame, *protocol != 0, &key);
        let at = (hash & 0x7f) as usize;
        Flow { kind: *kind, hash, entry: self.reta[at / 4].to_le_bytes()[at % 4] }
    }

    /// Can it be so?
    pub(super) fn check(&self, spec: &Spec, state: &Mac) -> Result<(), StateError> {
        let same = state.filter.fits(&self.filter) && state.stats.fits() && state.kept.fits(spec.kept);
        check(same, "registers", || "of another card".to_owned())?;
        let lists = (state.reta.len(), state.key.len(), state.address_mask) == (32, 10, self.address_mask);
        check(lists, "flows", || "of another card".to_owned())?;
        let chips = state.eeprom.fits(&self.eeprom) && state.phy.fits(&self.phy);
        check(chips, "EEPROM or PHY", || "of another card".to_owned())
    }
}
