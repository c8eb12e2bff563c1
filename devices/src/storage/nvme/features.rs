//! Features (NVM Express 1.4, 5.21): what the host sets of the controller's behaviour.

use super::admin::BROADCAST;
use super::command::Command;
use super::reach::Way;
use super::status::{Answer, OK, Status};
use super::{Nvme, log};
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{StateError, check};

/// Feature identifiers (figure 271).
mod id {
    pub(super) const ARBITRATION: u8 = 0x01;
    pub(super) const POWER: u8 = 0x02;
    pub(super) const TEMPERATURE: u8 = 0x04;
    pub(super) const RECOVERY: u8 = 0x05;
    pub(super) const WRITE_CACHE: u8 = 0x06;
    pub(super) const QUEUES: u8 = 0x07;
    pub(super) const COALESCING: u8 = 0x08;
    pub(super) const VECTOR: u8 = 0x09;
    pub(super) const ATOMICITY: u8 = 0x0a;
    pub(super) const EVENTS: u8 = 0x0b;
    pub(super) const TIMESTAMP: u8 = 0x0e;
}

/// Asynchronous event configuration: notices of namespaces.
pub(super) const NOTICE_NAMESPACE: u32 = 1 << 8;

/// What is set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Features {
    arbitration: u32,
    pub(super) over: u16,
    pub(super) under: u16,
    pub(super) write_cache: bool,
    coalescing: u32,
    /// By queue: does its vector not wait for more entries?
    direct: Vec<bool>,
    atomicity: bool,
    events: u32,
    /// Milliseconds since 1970 when the host set the timestamp, and guest time in ms then.
    timestamp: Option<(u64, u64)>,
}

impl Features {
    /// As after reset, for so many queues.
    pub(super) fn new(queues: usize) -> Features {
        Features {
            arbitration: 0,
            over: log::WARNING,
            under: 0,
            write_cache: true,
            coalescing: 0,
            direct: vec![false; queues],
            atomicity: false,
            events: 0,
            timestamp: None,
        }
    }

    /// Does the host want to hear of these events?
    pub(super) fn wants(&self, events: u32) -> bool {
        self.events & events != 0
    }

    pub(super) fn check(&self, queues: usize) -> Result<(), StateError> {
        let saved = self.direct.len();
        check(saved == queues, "vectors", || format!("{saved}, not {queues}"))
    }
}

impl Nvme {
    pub(super) fn set_features(&mut self, c: &Command) -> Result<Answer, Status> {
        let value = c.dword(11);
        if c.dword(10) & 0x8000_0000 != 0 {
            return Err(Status::NOT_SAVEABLE);
        }
        let feature = c.dword(10) as u8;
        if feature != id::RECOVERY && !matches!(c.nsid(), 0 | BROADCAST) {
            self.active(c.nsid())?;
            return Err(Status::NOT_OF_NAMESPACE);
        }
        match feature {
            id::ARBITRATION => self.features.arbitration = value & 0xffff_ff07,
            // There is one power state.
            id::POWER if value & 0x1f != 0 => return Err(Status::INVALID_FIELD),
            id::POWER => {}
            id::TEMPERATURE => self.set_temperature(value)?,
            id::RECOVERY => self.set_recovery(c.nsid(), value)?,
            id::WRITE_CACHE => self.set_write_cache(value & 1 != 0)?,
            id::QUEUES if value & 0xffff == 0xffff || value >> 16 == 0xffff => return Err(Status::INVALID_FIELD),
            id::QUEUES => return Ok(Answer::Done(self.queues())),
            id::COALESCING => self.features.coalescing = value & 0xffff,
            id::VECTOR => {
                let direct = self.features.direct.get_mut((value & 0xffff) as usize);
                *direct.ok_or(Status::INVALID_FIELD)? = value & 0x1_0000 != 0;
            }
            id::ATOMICITY => self.features.atomicity = value & 1 != 0,
            id::EVENTS => self.features.events = value & (0xff | NOTICE_NAMESPACE),
            id::TIMESTAMP => self.set_timestamp(c)?,
            _ => return Err(Status::INVALID_FIELD),
        }
        OK
    }

    pub(super) fn get_features(&mut self, c: &Command) -> Result<Answer, Status> {
        let feature = c.dword(10) as u8;
        let known = matches!(feature, id::ARBITRATION..=id::POWER | id::TEMPERATURE..=id::EVENTS | id::TIMESTAMP);
        if !known {
            return Err(Status::INVALID_FIELD);
        }
        let defaults = Features::new(self.features.direct.len());
        match c.dword(10) >> 8 & 7 {
            0 => self.feature(c, feature, None),
            // Nothing is saved: saved values are the defaults.
            1 | 2 => self.feature(c, feature, Some(&defaults)),
            // Capabilities: changeable, and whether of a namespace.
            3 => Ok(Answer::Done(1 << 2 | u32::from(feature == id::RECOVERY) << 1)),
            _ => Err(Status::INVALID_FIELD),
        }
    }

    /// A feature's value: that now, or among `defaults`.
    fn feature(&mut self, c: &Command, feature: u8, defaults: Option<&Features>) -> Result<Answer, Status> {
        let f = defaults.unwrap_or(&self.features);
        let value = match feature {
            id::ARBITRATION => f.arbitration,
            id::TEMPERATURE => {
                // The composite temperature only.
                match (c.dword(11) >> 16 & 0xf, c.dword(11) >> 20 & 3) {
                    (0, 0) => u32::from(f.over),
                    (0, 1) => u32::from(f.under),
                    _ => return Err(Status::INVALID_FIELD),
                }
            }
            id::RECOVERY => {
                let at = self.active(c.nsid())?;
                if defaults.is_some() { 0 } else { self.namespaces[at].state.recovery }
            }
            id::WRITE_CACHE => u32::from(f.write_cache),
            id::QUEUES => self.queues(),
            id::COALESCING => f.coalescing,
            id::VECTOR => {
                let vector = c.dword(11) & 0xffff;
                let direct = f.direct.get(vector as usize).ok_or(Status::INVALID_FIELD)?;
                vector | u32::from(*direct) << 16
            }
            id::ATOMICITY => u32::from(f.atomicity),
            id::EVENTS => f.events,
            id::TIMESTAMP => {
                let data = self.timestamp(f).to_le_bytes();
                return self.answer(c, &data, data.len());
            }
            _ => 0,
        };
        Ok(Answer::Done(value))
    }

    /// Numbers of queues that there are, less one: dword 0 of the feature.
    fn queues(&self) -> u32 {
        let pairs = u32::from(self.options.pairs) - 1;
        pairs << 16 | pairs
    }

    fn set_temperature(&mut self, value: u32) -> Result<(), Status> {
        // All sensors (15) are the composite one.
        let (threshold, sensor, kind) = (value as u16, value >> 16 & 0xf, value >> 20 & 3);
        match (sensor, kind) {
            (0 | 15, 0) => self.features.over = threshold,
            (0 | 15, 1) => self.features.under = threshold,
            _ => return Err(Status::INVALID_FIELD),
        }
        self.temperature_changed();
        Ok(())
    }

    fn set_recovery(&mut self, nsid: u32, value: u32) -> Result<(), Status> {
        // Errors of deallocated blocks are not reported.
        if value >> 16 & 1 != 0 {
            return Err(Status::INVALID_FIELD);
        }
        if nsid != BROADCAST {
            self.active(nsid)?;
        }
        for ns in self.namespaces.iter_mut().filter(|ns| nsid == BROADCAST || ns.state.nsid == nsid) {
            ns.state.recovery = value & 0xffff;
        }
        Ok(())
    }

    fn set_write_cache(&mut self, on: bool) -> Result<(), Status> {
        if !on && self.features.write_cache {
            self.namespaces.iter_mut().try_for_each(super::namespace::Namespace::flush)?;
        }
        self.features.write_cache = on;
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        self.kit.clock.now() / 1_000_000
    }

    fn set_timestamp(&mut self, c: &Command) -> Result<(), Status> {
        let mut data = [0; 8];
        let pieces = self.reach.pieces(c, data.len(), self.page(), Way::FromHost)?;
        self.reach.gather(&pieces, &mut data)?;
        self.features.timestamp = Some((u64::from_le_bytes(data) & 0xffff_ffff_ffff, self.now_ms()));
        Ok(())
    }

    /// 48 bits of milliseconds, and whether the host has set them (5.21.1.14).
    fn timestamp(&self, f: &Features) -> u64 {
        let (base, since, origin) = f.timestamp.map_or((0, 0, 0), |(base, since)| (base, since, 1));
        let now = base.wrapping_add(self.now_ms().saturating_sub(since)) & 0xffff_ffff_ffff;
        now | origin << 49
    }
}
