//! Device slots and endpoints, and their contexts in memory (xHCI 1.1, 4.5, 4.8 and 6.2).

use super::Xhci;
use serde::{Deserialize, Serialize};
use tern_core::device::BusError;
use tern_core::snapshot::{StateError, check};

/// Length of a context in bytes.
pub(super) const CONTEXT: u64 = 32;
/// Number of endpoint contexts of a slot, and that of the slot itself.
pub(super) const ENDPOINTS: usize = 32;
/// The default control endpoint.
pub(super) const DEFAULT: usize = 1;

/// States of slots (6.2.2).
pub(super) mod slot_state {
    pub(in super::super) const DISABLED: u8 = 0;
    pub(in super::super) const DEFAULT: u8 = 1;
    pub(in super::super) const ADDRESSED: u8 = 2;
    pub(in super::super) const CONFIGURED: u8 = 3;
}

/// States of endpoints (6.2.3).
pub(super) mod endpoint_state {
    pub(in super::super) const RUNNING: u8 = 1;
    pub(in super::super) const HALTED: u8 = 2;
    pub(in super::super) const STOPPED: u8 = 3;
    pub(in super::super) const ERROR: u8 = 4;
}

/// Types of endpoints (6.2.3).
pub(super) mod endpoint_kind {
    pub(in super::super) const ISOCH_OUT: u8 = 1;
    pub(in super::super) const INTERRUPT_OUT: u8 = 3;
    pub(in super::super) const CONTROL: u8 = 4;
    pub(in super::super) const ISOCH_IN: u8 = 5;
    pub(in super::super) const INTERRUPT_IN: u8 = 7;
}

/// An endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Endpoint {
    pub(super) kind: u8,
    pub(super) packet: u16,
    /// How long it rests when the device has nothing to say, in nanoseconds.
    pub(super) interval: u64,
    pub(super) state: u8,
    /// What is executed next, and its cycle bit.
    pub(super) ring: u64,
    pub(super) cycle: bool,
    /// Bytes that the transfer descriptor there has moved.
    pub(super) done: u32,
    /// It has begun, and the device has nothing to say.
    pub(super) busy: bool,
    /// When it is looked at again.
    pub(super) due: Option<u64>,
}

/// Intervals between two looks at an endpoint, in nanoseconds.
const LEAST_NS: u64 = 1_000_000;
const MICROFRAME_NS: u64 = 125_000;
/// Largest exponent of an interval.
const MOST_INTERVAL: u32 = 15;

impl Endpoint {
    /// From its context; what it has that is not built.
    pub(super) fn parse(words: [u32; 8]) -> Result<Endpoint, &'static str> {
        let kind = (words[1] >> 3 & 7) as u8;
        if matches!(kind, endpoint_kind::ISOCH_IN | endpoint_kind::ISOCH_OUT) {
            return Err("isochronous endpoints are not built");
        }
        if words[0] >> 10 & 0x1f != 0 {
            return Err("streams are not built");
        }
        let periodic = matches!(kind, endpoint_kind::INTERRUPT_IN | endpoint_kind::INTERRUPT_OUT);
        let exponent = if periodic { (words[0] >> 16 & 0xff).min(MOST_INTERVAL) } else { 0 };
        Ok(Endpoint {
            kind,
            packet: (words[1] >> 16) as u16,
            interval: (MICROFRAME_NS << exponent).max(LEAST_NS),
            state: endpoint_state::RUNNING,
            ring: u64::from(words[3]) << 32 | u64::from(words[2] & !0xf),
            cycle: words[2] & 1 != 0,
            done: 0,
            busy: false,
            due: None,
        })
    }
}

/// A slot.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) used: bool,
    pub(super) state: u8,
    /// The port of the root hub, from 0.
    pub(super) port: u8,
    /// Where the device is: the root port of the bus, then ports of hubs.
    pub(super) path: Vec<u8>,
    /// Its device context in memory.
    pub(super) context: u64,
    /// By device context index.
    pub(super) endpoints: Vec<(u8, Endpoint)>,
}

impl Slot {
    pub(super) fn check(&self) -> Result<(), StateError> {
        check(self.state <= slot_state::CONFIGURED, "state", || self.state.to_string())?;
        check(self.path.len() <= 6, "path", || format!("{} ports", self.path.len()))?;
        let (state, len) = (self.state, self.path.len());
        check((state == slot_state::DISABLED) == (len == 0), "path", || format!("{len} ports in state {state}"))?;
        let good = self.endpoints.iter().all(|(n, e)| {
            let sane = (LEAST_NS..=MICROFRAME_NS << MOST_INTERVAL).contains(&e.interval);
            (1..ENDPOINTS as u8).contains(n) && (1..=endpoint_state::ERROR).contains(&e.state) && e.kind < 8 && sane
        });
        check(self.used || self.endpoints.is_empty(), "endpoints", || "of a slot that is free".to_owned())?;
        check(good, "endpoints", || "one that cannot be".to_owned())?;
        let sorted = self.endpoints.windows(2).all(|pair| pair[0].0 < pair[1].0);
        check(sorted, "endpoints", || "one is there twice".to_owned())
    }

    pub(super) fn endpoint(&mut self, n: usize) -> Option<&mut Endpoint> {
        self.endpoints.iter_mut().find(|(own, _)| usize::from(*own) == n).map(|(_, e)| e)
    }

    pub(super) fn remove(&mut self, n: usize) {
        self.endpoints.retain(|(own, _)| usize::from(*own) != n);
    }

    pub(super) fn insert(&mut self, n: usize, endpoint: Endpoint) {
        self.remove(n);
        let at = self.endpoints.partition_point(|(own, _)| usize::from(*own) < n);
        self.endpoints.insert(at, (n as u8, endpoint));
    }
}

impl Xhci {
    /// A slot that is in use, by its number, which counts from 1.
    pub(super) fn slot(&mut self, number: usize) -> Option<&mut Slot> {
        self.state.slots.get_mut(number.checked_sub(1)?).filter(|slot| slot.used)
    }

    /// The device of a slot, if packets reach it.
    pub(super) fn device(&mut self, number: usize) -> Option<usize> {
        let slot = self.slot(number)?;
        let (port, path) = (usize::from(slot.port), slot.path.clone());
        if path.is_empty() || !self.passes(port) || self.root(port) != path[0] {
            return None;
        }
        self.bus.find(&path)
    }

    /// Brings the state and the dequeue pointer of an endpoint into its context.
    pub(super) fn write_endpoint(&mut self, number: usize, n: usize) -> Result<(), BusError> {
        let Some(slot) = self.slot(number) else { return Ok(()) };
        let at = slot.context.wrapping_add(CONTEXT * n as u64);
        let found = slot.endpoint(n).map(|e| (e.state, e.ring, e.cycle));
        let [first, second] = self.words(at)?;
        let Some((state, ring, cycle)) = found else { return self.write_words(at, &[first & !7]) };
        let low = ring as u32 & !0xf | u32::from(cycle);
        self.write_words(at, &[first & !7 | u32::from(state), second, low, (ring >> 32) as u32])
    }

    /// Brings the state and the address of a slot into its context.
    pub(super) fn write_slot(&mut self, number: usize) -> Result<(), BusError> {
        let Some(slot) = self.slot(number) else { return Ok(()) };
        let (at, state) = (slot.context, slot.state);
        let address = if state >= slot_state::ADDRESSED { number as u32 } else { 0 };
        self.write_words(at.wrapping_add(12), &[u32::from(state) << 27 | address])
    }
}
