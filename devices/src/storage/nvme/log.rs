//! Log pages (NVM Express 1.4, 5.14) and asynchronous events (5.2).

use super::admin::{self, BROADCAST};
use super::command::Command;
use super::status::{Answer, Status};
use super::{Nvme, Options, io};
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{StateError, check};

/// Entries of the error log.
pub(super) const ERRORS: usize = 16;
/// Thresholds of the temperature, and what it always is, in Kelvin.
pub(super) const WARNING: u16 = 0x157;
pub(super) const CRITICAL: u16 = 0x175;
const TEMPERATURE: u16 = 0x143;
/// The firmware's revision.
pub(super) const FIRMWARE: &str = "1.0";
/// Most namespaces in the log of changed ones.
const MAX_CHANGED: usize = 1024;
/// Units that data is counted in: thousands of 512 bytes.
const UNIT: u64 = 512 * 1000;
/// Length of an entry of the error log, and of the log of health.
const ENTRY: usize = 64;
const HEALTH: usize = 512;

/// Log identifiers (figure 192).
mod id {
    pub(super) const ERROR: u8 = 1;
    pub(super) const HEALTH: u8 = 2;
    pub(super) const FIRMWARE: u8 = 3;
    pub(super) const CHANGED: u8 = 4;
    pub(super) const EFFECTS: u8 = 5;
}

/// An asynchronous event: type, information, and the log that tells more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Event {
    kind: u8,
    info: u8,
    log: u8,
}

impl Event {
    pub(super) const BAD_DOORBELL: Event = Event { kind: 0, info: 0, log: id::ERROR };
    pub(super) const BAD_DOORBELL_VALUE: Event = Event { kind: 0, info: 1, log: id::ERROR };
    const HOT: Event = Event { kind: 1, info: 1, log: id::HEALTH };
    pub(super) const NAMESPACE: Event = Event { kind: 2, info: 0, log: id::CHANGED };
}

/// A command that has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Failure {
    count: u64,
    queue: u16,
    cid: u16,
    status: u16,
    nsid: u32,
}

/// What the controller has done for the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Work {
    pub(super) reads: u64,
    pub(super) read_bytes: u64,
    pub(super) writes: u64,
    pub(super) written_bytes: u64,
}

/// Logs, and events that wait for the host, or it for them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Logs {
    /// The newest last.
    failures: Vec<Failure>,
    failed: u64,
    media_errors: u64,
    pub(super) work: Work,
    /// Commands that wait for events.
    requests: Vec<u16>,
    /// Requests that have been aborted.
    aborted: Vec<u16>,
    events: Vec<Event>,
    /// Types of events that the host has heard of and not looked at yet.
    masked: u8,
    /// Namespaces that have changed; more than fit are written as all.
    changed: Vec<u32>,
}

impl Logs {
    /// Requests and events are gone after a reset of the controller.
    pub(super) fn controller_reset(&mut self) {
        self.requests.clear();
        self.aborted.clear();
        self.events.clear();
        self.masked = 0;
    }

    pub(super) fn check(&self, options: &Options) -> Result<(), StateError> {
        let requests = self.requests.len() + self.aborted.len();
        let good = self.failures.len() <= ERRORS
            && requests <= usize::from(options.aerl) + 1
            && self.events.len() <= options.max_queued
            && self.changed.len() <= MAX_CHANGED;
        check(good, "logs", || format!("{requests} requests, {} events", self.events.len()))?;
        let kinds = self.events.iter().all(|e| e.kind < 8);
        check(kinds, "events", || "a type that there is not".to_owned())
    }

    /// A command has failed.
    pub(super) fn failed(&mut self, queue: u16, c: &Command, status: Status) {
        self.failed = self.failed.wrapping_add(1);
        if status.0 >> 8 & 7 == 2 && status != Status::COMPARE {
            self.media_errors = self.media_errors.wrapping_add(1);
        }
        if self.failures.len() == ERRORS {
            self.failures.remove(0);
        }
        let failure = Failure { count: self.failed, queue, cid: c.cid(), status: status.0 << 1, nsid: c.nsid() };
        self.failures.push(failure);
    }

    /// How many commands wait for events.
    pub(super) fn requests(&self) -> usize {
        self.requests.len() + self.aborted.len()
    }

    pub(super) fn request(&mut self, cid: u16) {
        self.requests.push(cid);
    }

    /// Aborts a request; was it there?
    pub(super) fn abort_request(&mut self, cid: u16) -> bool {
        let at = self.requests.iter().position(|r| *r == cid);
        if let Some(at) = at {
            self.aborted.push(self.requests.remove(at));
        }
        at.is_some()
    }

    pub(super) fn namespace_changed(&mut self, nsid: u32) {
        if !self.changed.contains(&nsid) && self.changed.len() < MAX_CHANGED {
            self.changed.push(nsid);
            self.changed.sort_unstable();
        }
    }

    /// The next event that may be told, with the request that it answers.
    fn next(&mut self) -> Option<(u16, Event)> {
        let at = self.events.iter().position(|e| self.masked & 1 << e.kind == 0)?;
        if self.requests.is_empty() {
            return None;
        }
        let event = self.events.remove(at);
        self.masked |= 1 << event.kind;
        Some((self.requests.remove(0), event))
    }

    /// The newest error first (figure 193).
    fn errors(&self) -> Vec<u8> {
        let mut data = vec![0; ENTRY * ERRORS];
        for (entry, failure) in data.as_chunks_mut::<ENTRY>().0.iter_mut().zip(self.failures.iter().rev()) {
            entry[0..8].copy_from_slice(&failure.count.to_le_bytes());
            entry[8..10].copy_from_slice(&failure.queue.to_le_bytes());
            entry[10..12].copy_from_slice(&failure.cid.to_le_bytes());
            entry[12..14].copy_from_slice(&failure.status.to_le_bytes());
            // Where in the command the error is, is not said.
            entry[14..16].copy_from_slice(&[0xff, 0xff]);
            entry[24..28].copy_from_slice(&failure.nsid.to_le_bytes());
        }
        data
    }
}

impl Nvme {
    /// An event has happened: it is told when the host asks, or kept, unless too many are.
    pub(super) fn event_happened(&mut self, event: Event) {
        let logs = &mut self.logs;
        if logs.events.len() < self.options.max_queued && !logs.events.contains(&event) {
            logs.events.push(event);
        }
    }

    /// Completes requests for events, as far as there are both, and room.
    pub(super) fn tell_events(&mut self, told: &mut [bool]) {
        while self.is_ready() && self.is_master() && self.has_room(0) {
            if let Some(cid) = self.logs.aborted.pop() {
                self.complete(0, cid, Err(Status::ABORTED), told);
                continue;
            }
            let Some((cid, Event { kind, info, log })) = self.logs.next() else { break };
            let result = u32::from(kind) | u32::from(info) << 8 | u32::from(log) << 16;
            self.complete(0, cid, Ok(result), told);
        }
    }

    /// Is the temperature beyond the host's thresholds?
    fn is_warm(&self) -> bool {
        TEMPERATURE >= self.features.over || TEMPERATURE <= self.features.under
    }

    /// A threshold has been set.
    pub(super) fn temperature_changed(&mut self) {
        // Critical warning 1 is the temperature's bit in the host's event configuration.
        if self.is_warm() && self.features.wants(1 << 1) {
            self.event_happened(Event::HOT);
        }
    }

    pub(super) fn get_log(&mut self, c: &Command) -> Result<Answer, Status> {
        let page = c.dword(10) as u8;
        let retain = c.dword(10) & 0x8000 != 0;
        let dwords = u64::from(c.dword(11) & 0xffff) << 16 | u64::from(c.dword(10) >> 16);
        let (offset, len) = (c.pair(12), (dwords + 1) * 4);
        if len > self.options.limit() || offset & 3 != 0 {
            return Err(Status::INVALID_FIELD);
        }
        let (kind, data) = match page {
            id::ERROR => (0, self.logs.errors()),
            id::HEALTH => (1, self.health(c.nsid())?),
            id::FIRMWARE => (8, firmware()),
            id::CHANGED => (2, self.changed()),
            id::EFFECTS if c.dword(14) >> 24 == 0 => (8, effects()),
            _ => return Err(Status::INVALID_LOG),
        };
        let from = usize::try_from(offset).ok().and_then(|offset| data.get(offset..)).ok_or(Status::INVALID_FIELD)?;
        // What is asked for behind the end is zero.
        let mut answer = vec![0; len as usize];
        answer.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        let answer = self.answer(c, &answer, answer.len())?;
        if !retain {
            self.logs.masked &= !(1u16 << kind) as u8;
            if page == id::CHANGED {
                self.logs.changed.clear();
            }
        }
        Ok(answer)
    }

    /// Figure 194; of the whole controller only.
    fn health(&self, nsid: u32) -> Result<Vec<u8>, Status> {
        if !matches!(nsid, 0 | BROADCAST) {
            self.active(nsid)?;
        }
        let mut data = vec![0; HEALTH];
        let read_only = !self.namespaces.is_empty() && self.namespaces.iter().all(|ns| ns.read_only());
        data[0] = u8::from(self.is_warm()) << 1 | u8::from(read_only) << 3;
        data[1..3].copy_from_slice(&TEMPERATURE.to_le_bytes());
        // Spare capacity and its threshold in percent.
        data[3..5].copy_from_slice(&[100, 10]);
        let Work { reads, read_bytes, writes, written_bytes } = self.logs.work;
        let hours = self.kit.clock.now() / 3_600_000_000_000;
        let numbers = [read_bytes.div_ceil(UNIT), written_bytes.div_ceil(UNIT), reads, writes, 0, 1, hours, 0];
        let numbers = numbers.into_iter().chain([self.logs.media_errors, self.logs.failed]);
        for (slot, number) in data[32..].chunks_exact_mut(16).zip(numbers) {
            slot[..8].copy_from_slice(&number.to_le_bytes());
        }
        Ok(data)
    }

    /// Namespaces that have changed since the log was read (5.14.1.4).
    fn changed(&self) -> Vec<u8> {
        let overflow = self.logs.changed.len() == MAX_CHANGED;
        let list = if overflow { &[BROADCAST][..] } else { &self.logs.changed[..] };
        let mut data: Vec<u8> = list.iter().flat_map(|n| n.to_le_bytes()).collect();
        data.resize(4 * MAX_CHANGED, 0);
        data
    }
}

/// Slot 1 is active (figure 196).
fn firmware() -> Vec<u8> {
    let mut data = vec![0; 512];
    data[0] = 1;
    data[8..16].fill(b' ');
    data[8..8 + FIRMWARE.len()].copy_from_slice(FIRMWARE.as_bytes());
    data
}

/// Which commands there are (bit 0), and which change contents (bit 1) and namespaces' capabilities (bit 2; figure 199).
fn effects() -> Vec<u8> {
    let mut data = vec![0; 4096];
    let admin = [
        admin::op::DELETE_SQ,
        admin::op::CREATE_SQ,
        admin::op::GET_LOG,
        admin::op::DELETE_CQ,
        admin::op::CREATE_CQ,
        admin::op::IDENTIFY,
        admin::op::ABORT,
        admin::op::SET_FEATURES,
        admin::op::GET_FEATURES,
        admin::op::EVENT_REQUEST,
    ];
    for op in admin {
        data[4 * usize::from(op)] = 1;
    }
    // No command of the namespace may run beside it.
    data[4 * usize::from(admin::op::FORMAT)] = 1 | 1 << 1 | 1 << 2;
    data[4 * usize::from(admin::op::FORMAT) + 2] = 1;
    for (op, writes) in io::COMMANDS {
        data[1024 + 4 * usize::from(op)] = 1 | u8::from(writes) << 1;
    }
    data
}
