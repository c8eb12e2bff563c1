//! Domains and mappings of virtio-iommu, shared by the device and the ways of functions to memory.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use tern_core::device::BusError;
use tern_core::device::iommu::{Iommu, Stretch};
use tern_core::snapshot::{StateError, check};

/// Most mappings of all domains.
const MOST_MAPPINGS: usize = 1 << 20;
/// Most faults that wait for buffers; the driver does not hear of more (5.13.6.9.1).
const MOST_FAULTS: usize = 256;

/// How a request ends (5.13.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    Ok = 0,
    Unsupported = 2,
    DeviceError = 3,
    Invalid = 4,
    Range = 5,
    NoEntry = 6,
    NoMemory = 8,
}

/// Flags of a mapping (5.13.6.5).
pub(super) const MAP_READ: u32 = 1;
pub(super) const MAP_WRITE: u32 = 2;
pub(super) const MAP_MMIO: u32 = 4;

/// Flags of a fault (5.13.6.9).
const FAULT_READ: u32 = 1;
const FAULT_WRITE: u32 = 2;
const FAULT_ADDRESS: u32 = 0x100;

/// Why an access goes nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Reason {
    Domain = 1,
    Mapping = 2,
}

/// A fault, as the driver hears of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Fault {
    reason: Reason,
    write: bool,
    endpoint: u16,
    addr: u64,
}

impl Fault {
    pub(super) fn bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let flags = FAULT_ADDRESS | if self.write { FAULT_WRITE } else { FAULT_READ };
        bytes[0] = self.reason as u8;
        bytes[4..8].copy_from_slice(&flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&u32::from(self.endpoint).to_le_bytes());
        bytes[16..].copy_from_slice(&self.addr.to_le_bytes());
        bytes
    }
}

/// A mapping: the last address, where it leads, and what may be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Mapping {
    last: u64,
    to: u64,
    flags: u32,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Domain {
    /// Its endpoints reach memory as it is.
    bypass: bool,
    mappings: BTreeMap<u64, Mapping>,
}

impl Domain {
    /// The mappings that meet `first..=last`, each with its first address.
    fn meeting(&self, first: u64, last: u64) -> impl DoubleEndedIterator<Item = (u64, Mapping)> + '_ {
        // Mappings do not overlap, so of those that begin before only the nearest can reach in.
        let before = self.mappings.range(..first).next_back().filter(|(_, m)| m.last >= first);
        before.into_iter().chain(self.mappings.range(first..=last)).map(|(first, m)| (*first, *m))
    }
}

/// A region that no mapping concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reserved {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Messages pass; else nothing does.
    pub(super) msi: bool,
}

/// What is saved.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Endpoints of no domain reach memory as it is.
    pub(super) bypass: bool,
    domains: BTreeMap<u32, Domain>,
    /// Endpoints and their domains.
    endpoints: BTreeMap<u16, u32>,
    pub(super) faults: VecDeque<Fault>,
}

impl State {
    /// Nothing is attached.
    pub(super) fn new(bypass: bool) -> State {
        State { bypass, ..State::default() }
    }

    pub(super) fn check(&self) -> Result<(), StateError> {
        let apart = |d: &Domain| {
            let all = d.mappings.iter().all(|(first, m)| *first <= m.last);
            all && d.mappings.iter().zip(d.mappings.iter().skip(1)).all(|((_, a), (first, _))| a.last < *first)
        };
        check(self.domains.values().all(apart), "mappings", || "overlap".into())?;
        check(self.mappings() <= MOST_MAPPINGS, "mappings", || format!("{}", self.mappings()))?;
        let used = self.endpoints.values().all(|d| self.domains.contains_key(d));
        let users = self.domains.keys().all(|d| self.endpoints.values().any(|e| e == d));
        check(used && users, "domains", || "not those of the endpoints".into())?;
        check(self.faults.len() <= MOST_FAULTS, "faults", || format!("{}", self.faults.len()))
    }

    fn mappings(&self) -> usize {
        self.domains.values().map(|d| d.mappings.len()).sum()
    }

    /// An endpoint leaves its domain, which ends with its last one.
    fn leave(&mut self, endpoint: u16) {
        let Some(domain) = self.endpoints.remove(&endpoint) else { return };
        if !self.endpoints.values().any(|d| *d == domain) {
            self.domains.remove(&domain);
        }
    }
}

/// Domains, mappings, and who is there.
pub(super) struct Table {
    pub(super) state: RefCell<State>,
    pub(super) reserved: Vec<Reserved>,
    /// Largest address that endpoints use.
    pub(super) last: u64,
    present: RefCell<Vec<u16>>,
}

impl Table {
    pub(super) fn new(bypass: bool, last: u64, reserved: Vec<Reserved>) -> Table {
        Table { state: RefCell::new(State::new(bypass)), reserved, last, present: RefCell::default() }
    }

    /// The endpoint with this number, if there is one.
    pub(super) fn endpoint(&self, number: u32) -> Option<u16> {
        u16::try_from(number).ok().filter(|n| self.present.borrow().contains(n))
    }

    pub(super) fn attach(&self, domain: u32, endpoint: u32, bypass: bool) -> Status {
        let Some(endpoint) = self.endpoint(endpoint) else { return Status::NoEntry };
        let mut state = self.state.borrow_mut();
        state.leave(endpoint);
        let entry = state.domains.entry(domain).or_insert_with(|| Domain { bypass, ..Domain::default() });
        if entry.bypass != bypass {
            return Status::Invalid;
        }
        state.endpoints.insert(endpoint, domain);
        Status::Ok
    }

    pub(super) fn detach(&self, domain: u32, endpoint: u32) -> Status {
        let mut state = self.state.borrow_mut();
        let Some(endpoint) = u16::try_from(endpoint).ok().filter(|e| state.endpoints.contains_key(e)) else {
            return Status::NoEntry;
        };
        if state.endpoints.get(&endpoint) != Some(&domain) {
            return Status::Invalid;
        }
        state.leave(endpoint);
        Status::Ok
    }

    pub(super) fn map(&self, domain: u32, (first, last): (u64, u64), to: u64, flags: u32) -> Status {
        let mut state = self.state.borrow_mut();
        let full = state.mappings() >= MOST_MAPPINGS;
        let Some(domain) = state.domains.get_mut(&domain) else { return Status::NoEntry };
        let known = MAP_READ | MAP_WRITE | MAP_MMIO;
        if flags & !known != 0 || domain.bypass || first > last || domain.meeting(first, last).next().is_some() {
            return Status::Invalid;
        }
        if last > self.last || to.checked_add(last - first).is_none() {
            return Status::Range;
        }
        if full {
            return Status::NoMemory;
        }
        domain.mappings.insert(first, Mapping { last, to, flags });
        Status::Ok
    }

    /// Removes the mappings in `first..=last`, all or, if one reaches out of it, none.
    pub(super) fn unmap(&self, domain: u32, first: u64, last: u64) -> Status {
        let mut state = self.state.borrow_mut();
        let Some(domain) = state.domains.get_mut(&domain) else { return Status::NoEntry };
        if domain.bypass || first > last {
            return Status::Invalid;
        }
        let inside: Vec<(u64, Mapping)> = domain.meeting(first, last).collect();
        if inside.iter().any(|(begin, m)| *begin < first || m.last > last) {
            return Status::Range;
        }
        for (begin, _) in inside {
            domain.mappings.remove(&begin);
        }
        Status::Ok
    }

    /// Where an access goes, or why it goes nowhere.
    fn find(&self, requester: u16, addr: u64, write: bool) -> Result<Stretch, Reason> {
        let state = self.state.borrow();
        let plain = |last: u64| Stretch { addr, len: (last - addr).saturating_add(1) };
        let whole = plain(u64::MAX);
        let Some(domain) = state.endpoints.get(&requester).and_then(|d| state.domains.get(d)) else {
            return if state.bypass { Ok(whole) } else { Err(Reason::Domain) };
        };
        if domain.bypass {
            return Ok(whole);
        }
        if let Some(region) = self.reserved.iter().find(|r| (r.first..=r.last).contains(&addr)) {
            return if region.msi && write { Ok(plain(region.last)) } else { Err(Reason::Mapping) };
        }
        let wanted = if write { MAP_WRITE } else { MAP_READ };
        let (first, m) = domain.meeting(addr, addr).next().ok_or(Reason::Mapping)?;
        if m.flags & wanted == 0 {
            return Err(Reason::Mapping);
        }
        Ok(Stretch { addr: m.to.wrapping_add(addr - first), len: (m.last - addr).saturating_add(1) })
    }
}

impl Iommu for Table {
    fn translate(&self, requester: u16, addr: u64, write: bool) -> Result<Stretch, BusError> {
        self.find(requester, addr, write).map_err(|reason| {
            let faults = &mut self.state.borrow_mut().faults;
            if faults.len() < MOST_FAULTS {
                faults.push_back(Fault { reason, write, endpoint: requester, addr });
            }
            BusError { addr }
        })
    }

    fn requesters(&self, requesters: &[u16]) {
        *self.present.borrow_mut() = requesters.to_vec();
    }

    fn wants_attention(&self) -> bool {
        !self.state.borrow().faults.is_empty()
    }
}
