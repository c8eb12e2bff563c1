//! Multiple queues of a UFS host controller (UFSHCI 4.0, 5.10 to 5.12): pairs of registers, and rings of requests and
//! completions.  Pointers are offsets in bytes.

use super::Ufs;
use super::regs::INT_QUEUE;
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{StateError, check};

/// Length of an entry of either ring.
pub(super) const ENTRY: u32 = 32;
/// Attributes of both rings: enabled.
const ENABLED: u32 = 1 << 31;
/// Commands to a submission queue: stop, clean up.
const STOP: u32 = 1;
const CLEAN_UP: u32 = 2;
/// Completion interrupt status: the tail has moved.
const TAIL_MOVED: u32 = 1;

/// A pair of queues.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) sq_attr: u32,
    pub(super) sq_base: u64,
    pub(super) sq_config: u32,
    pub(super) cq_attr: u32,
    pub(super) cq_base: u64,
    pub(super) cq_config: u32,
    pub(super) sq_head: u32,
    pub(super) sq_tail: u32,
    pub(super) run_command: u32,
    pub(super) cleanup: u32,
    pub(super) sq_enable: u32,
    pub(super) cq_head: u32,
    pub(super) cq_tail: u32,
    pub(super) cq_status: u32,
    pub(super) cq_enable: u32,
    pub(super) cq_aggregation: u32,
}

/// The size of a ring in bytes: whole entries of what the attributes say, in words less one.
fn ring(attr: u32) -> u32 {
    ((attr & 0xffff) + 1) * 4 / ENTRY * ENTRY
}

impl Queue {
    pub(super) fn check(&self, queues: usize) -> Result<(), StateError> {
        let inside = |pointer: u32, attr: u32| pointer.is_multiple_of(ENTRY) && pointer < ring(attr).max(1);
        let sq = inside(self.sq_head, self.sq_attr) && inside(self.sq_tail, self.sq_attr);
        let cq = inside(self.cq_head, self.cq_attr) && inside(self.cq_tail, self.cq_attr);
        check(sq && cq, "queue", || format!("{self:?}"))?;
        check(self.sq_attr & ENABLED == 0 || self.completes_in() < queues, "queue", || format!("{self:?}"))
    }

    /// The number of the completion queue of its submission queue.
    pub(super) fn completes_in(&self) -> usize {
        (self.sq_attr >> 16 & 0xff) as usize
    }

    /// Stopped, and cleaned up.
    pub(super) fn run_status(&self) -> u32 {
        self.run_command & (STOP | CLEAN_UP)
    }

    pub(super) fn has_request(&self) -> bool {
        self.sq_attr & ENABLED != 0 && self.run_command & STOP == 0 && self.sq_head != self.sq_tail
    }

    /// Takes the next request: where it is.
    pub(super) fn take(&mut self) -> u64 {
        let at = self.sq_base.wrapping_add(u64::from(self.sq_head));
        self.sq_head = (self.sq_head + ENTRY) % ring(self.sq_attr).max(ENTRY);
        at
    }

    pub(super) fn is_usable(&self) -> bool {
        self.cq_attr & ENABLED != 0
    }

    pub(super) fn is_full(&self) -> bool {
        (self.cq_tail + ENTRY) % ring(self.cq_attr).max(ENTRY) == self.cq_head
    }

    /// Takes a place for a completion: where it is.
    pub(super) fn place(&mut self) -> u64 {
        let at = self.cq_base.wrapping_add(u64::from(self.cq_tail));
        self.cq_tail = (self.cq_tail + ENTRY) % ring(self.cq_attr).max(ENTRY);
        self.cq_status |= TAIL_MOVED;
        at
    }
}

impl Ufs {
    /// A register of queue `n`; of one that there is not, zero.
    pub(super) fn queue(&self, n: u64, f: impl FnOnce(&Queue) -> u32) -> u64 {
        self.queues.get(n as usize).map_or(0, |queue| u64::from(f(queue)))
    }

    pub(super) fn set_queue(&mut self, n: u64, f: impl FnOnce(&mut Queue)) {
        match self.queues.get_mut(n as usize) {
            Some(queue) => f(queue),
            None => self.kit.report.guest_error(format_args!("there is no queue {n}")),
        }
    }

    /// Where the operation registers of queue `n` begin.
    pub(super) fn operation(&self, n: u64, at: u64) -> u64 {
        if n < self.queues.len() as u64 { 0x1000 + 0x30 * n + at } else { 0 }
    }

    pub(super) fn set_sq_attr(&mut self, n: u64, attr: u32) {
        let target = (attr >> 16 & 0xff) as usize;
        let good = ring(attr) > 0 && self.queues.get(target).is_some_and(Queue::is_usable);
        if attr & ENABLED != 0 && !good {
            return self.kit.report.guest_error(format_args!("submission queue {n} of attributes {attr:#x}"));
        }
        self.set_queue(n, |q| {
            (q.sq_attr, q.sq_head, q.sq_tail, q.run_command) = (attr, 0, 0, 0);
        });
    }

    pub(super) fn set_cq_attr(&mut self, n: u64, attr: u32) {
        let used = self.queues.iter().any(|q| q.sq_attr & ENABLED != 0 && q.completes_in() as u64 == n);
        if used || (attr & ENABLED != 0 && ring(attr) == 0) {
            return self.kit.report.guest_error(format_args!("completion queue {n} of attributes {attr:#x}"));
        }
        self.set_queue(n, |q| (q.cq_attr, q.cq_head, q.cq_tail, q.cq_status) = (attr, 0, 0, 0));
    }

    /// The host has added requests.
    pub(super) fn set_sq_tail(&mut self, n: u64, tail: u32) {
        let report = self.kit.report.clone();
        self.set_queue(n, |q| {
            if q.sq_attr & ENABLED != 0 && tail < ring(q.sq_attr) && tail.is_multiple_of(ENTRY) {
                q.sq_tail = tail;
            } else {
                report.guest_error(format_args!("tail {tail:#x} of submission queue {n}"));
            }
        });
        self.work();
    }

    /// The host has taken completions.
    pub(super) fn set_cq_head(&mut self, n: u64, head: u32) {
        let report = self.kit.report.clone();
        self.set_queue(n, |q| {
            if q.is_usable() && head < ring(q.cq_attr) && head.is_multiple_of(ENTRY) {
                q.cq_head = head;
            } else {
                report.guest_error(format_args!("head {head:#x} of completion queue {n}"));
            }
        });
        self.work();
    }

    /// Stops a queue, lets it run, or cleans a request up: none that has been taken is not complete.
    pub(super) fn run_command(&mut self, n: u64, command: u32) {
        self.set_queue(n, |q| q.run_command = command & (STOP | CLEAN_UP));
        self.work();
    }

    /// Tells the host that there are completions.
    pub(super) fn completed(&mut self) {
        if self.queues.iter().any(|q| q.is_usable() && q.cq_head != q.cq_tail) {
            self.regs.status |= INT_QUEUE;
        }
    }
}
