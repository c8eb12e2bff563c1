//! Submission and completion queues (NVM Express 1.4, 4.1), doorbells (3.1.24, 3.1.25), and how commands are taken from the
//! ones and completions put into the others.

use super::command::{self, Command};
use super::log::Event;
use super::status::{Answer, Status};
use super::{EVENT_WORK, Nvme};
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{StateError, check};

/// Length of a completion queue entry in bytes.
const ENTRY: usize = 16;
/// Most commands served at a time; the others wait until the guest has run on for [`PAUSE`] ns.
const BATCH: u32 = 64;
const PAUSE: u64 = 1000;

/// A submission queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Submission {
    base: u64,
    size: u32,
    pub(super) head: u32,
    tail: u32,
    /// Where its completions go.
    pub(super) cq: u16,
}

impl Submission {
    /// An empty one of `size` entries, which is at least 2.
    pub(super) fn new(base: u64, size: u32, cq: u16) -> Submission {
        Submission { base, size, head: 0, tail: 0, cq }
    }

    pub(super) fn check(&self) -> Result<(), StateError> {
        let good = (2..=0x1_0000).contains(&self.size) && self.head < self.size && self.tail < self.size;
        check(good, "submission queue", || format!("{self:?}"))
    }
}

/// A completion queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Completion {
    base: u64,
    size: u32,
    pub(super) head: u32,
    pub(super) tail: u32,
    /// The phase tag of this round.
    phase: bool,
    pub(super) vector: u16,
    pub(super) interrupts: bool,
}

impl Completion {
    /// An empty one of `size` entries, which is at least 2; with the vector that tells of its entries.
    pub(super) fn new(base: u64, size: u32, vector: Option<u16>) -> Completion {
        let interrupts = vector.is_some();
        Completion { base, size, head: 0, tail: 0, phase: true, vector: vector.unwrap_or(0), interrupts }
    }

    pub(super) fn check(&self, vectors: u16) -> Result<(), StateError> {
        let good = (2..=0x1_0000).contains(&self.size) && self.head < self.size && self.tail < self.size;
        check(good && self.vector < vectors, "completion queue", || format!("{self:?}"))
    }

    fn is_full(&self) -> bool {
        (self.tail + 1) % self.size == self.head
    }
}

impl Nvme {
    /// The host writes doorbell `n`: tails of submission and heads of completion queues take turns.
    pub(super) fn doorbell(&mut self, n: u64, value: u32) {
        let id = (n / 2) as u16;
        let event = if n.is_multiple_of(2) { self.tail(id, value) } else { self.head(id, value) };
        if let Some(event) = event {
            self.kit.report.guest_error(format_args!("doorbell {n} written with {value:#x}"));
            self.event_happened(event);
        }
        self.work();
    }

    fn tail(&mut self, id: u16, value: u32) -> Option<Event> {
        let Some(sq) = self.submissions.get_mut(usize::from(id)).and_then(Option::as_mut) else {
            return Some(Event::BAD_DOORBELL);
        };
        if value >= sq.size {
            return Some(Event::BAD_DOORBELL_VALUE);
        }
        sq.tail = value;
        None
    }

    fn head(&mut self, id: u16, value: u32) -> Option<Event> {
        let Some(cq) = self.completions.get_mut(usize::from(id)).and_then(Option::as_mut) else {
            return Some(Event::BAD_DOORBELL);
        };
        if value >= cq.size {
            return Some(Event::BAD_DOORBELL_VALUE);
        }
        // Only what has been put there can be taken.
        let ahead = (value + cq.size - cq.head) % cq.size;
        if ahead > (cq.tail + cq.size - cq.head) % cq.size {
            return Some(Event::BAD_DOORBELL_VALUE);
        }
        cq.head = value;
        self.update_pin();
        None
    }

    /// Is there a command in this submission queue, and room for its completion?
    fn has_work(&self, id: usize) -> bool {
        let Some(sq) = self.submissions.get(id).copied().flatten() else { return false };
        let cq = self.completions.get(usize::from(sq.cq)).copied().flatten();
        sq.head != sq.tail && cq.is_some_and(|cq| !cq.is_full())
    }

    /// Serves commands, one of each queue in turn (4.13.1), but only so many; then tells the host.
    pub(super) fn work(&mut self) {
        let mut told = vec![false; self.completions.len()];
        let mut left = BATCH;
        'batch: while self.is_ready() && self.is_master() {
            let mut served = false;
            for id in 0..self.submissions.len() {
                if !self.has_work(id) || !self.is_ready() {
                    continue;
                }
                if left == 0 {
                    self.kit.clock.schedule(EVENT_WORK, self.kit.clock.now().saturating_add(PAUSE));
                    break 'batch;
                }
                left -= 1;
                served = true;
                self.serve(id, &mut told);
            }
            if !served {
                break;
            }
        }
        self.tell_events(&mut told);
        self.interrupt(&told);
    }

    /// Sends the interrupts of queues that have new entries.
    fn interrupt(&mut self, told: &[bool]) {
        for (cq, _) in self.completions.iter().zip(told).filter(|(_, told)| **told) {
            if let Some(cq) = cq.filter(|cq| cq.interrupts) {
                self.msix.notify(&self.config, &self.kit.messenger, cq.vector);
            }
        }
        self.update_pin();
    }

    /// Takes one command from queue `id` and serves it.
    fn serve(&mut self, id: usize, told: &mut [bool]) {
        let Some(sq) = self.submissions[id].as_mut() else { return };
        let addr = sq.base.wrapping_add(u64::from(sq.head) * command::LEN as u64);
        sq.head = (sq.head + 1) % sq.size;
        let mut bytes = [0; command::LEN];
        if self.reach.read(addr, &mut bytes).is_err() {
            self.kit.report.guest_error(format_args!("no command at {addr:#x}, where queue {id} has one"));
            return self.fatal();
        }
        let command = Command(bytes);
        let answer = if command.fused() {
            self.kit.report.unimplemented(format_args!("fused operations"));
            Err(Status::INVALID_FIELD)
        } else if id == 0 {
            self.admin(&command)
        } else {
            self.io(&command)
        };
        match answer {
            Ok(Answer::Later) => {}
            Ok(Answer::Done(result)) => self.complete(id as u16, command.cid(), Ok(result), told),
            Err(status) => {
                self.logs.failed(id as u16, &command, status);
                self.complete(id as u16, command.cid(), Err(status), told);
            }
        }
    }

    /// Can an entry of queue `id` be completed now?
    pub(super) fn has_room(&self, id: u16) -> bool {
        let sq = self.submissions.get(usize::from(id)).copied().flatten();
        let cq = sq.and_then(|sq| self.completions.get(usize::from(sq.cq)).copied().flatten());
        cq.is_some_and(|cq| !cq.is_full())
    }

    /// Puts a completion of a command of submission queue `id` into its completion queue, which has room; if the command
    /// has deleted the queue, nobody waits.
    pub(super) fn complete(&mut self, id: u16, cid: u16, result: Result<u32, Status>, told: &mut [bool]) {
        let Some(sq) = self.submissions.get(usize::from(id)).copied().flatten() else { return };
        let Some(cq) = self.completions.get_mut(usize::from(sq.cq)).and_then(Option::as_mut) else { return };
        let status = result.err().map_or(0, |status| status.0);
        let mut entry = [0; ENTRY];
        entry[0..4].copy_from_slice(&result.unwrap_or(0).to_le_bytes());
        entry[8..10].copy_from_slice(&(sq.head as u16).to_le_bytes());
        entry[10..12].copy_from_slice(&id.to_le_bytes());
        entry[12..14].copy_from_slice(&cid.to_le_bytes());
        entry[14..16].copy_from_slice(&(status << 1 | u16::from(cq.phase)).to_le_bytes());
        let addr = cq.base.wrapping_add(u64::from(cq.tail) * ENTRY as u64);
        cq.tail = (cq.tail + 1) % cq.size;
        cq.phase ^= cq.tail == 0;
        if let Some(told) = told.get_mut(usize::from(sq.cq)) {
            *told = true;
        }
        if self.reach.write(addr, &entry).is_err() {
            self.kit.report.guest_error(format_args!("no memory for a completion at {addr:#x}"));
            self.fatal();
        }
    }
}
