//! Interrupters and their event rings (xHCI 1.1, 4.9.4, 4.17 and 5.5.2).

use super::regs::{cmd, status};
use super::ring::{LEN, code, kind};
use super::{Xhci, token};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tern_core::device::BusError;
use tern_core::snapshot::{StateError, check};

/// Management: an interrupt is pending; interrupts are enabled.
const PENDING: u32 = 1;
const ENABLE: u32 = 2;
/// Dequeue pointer: the handler is busy.
const BUSY: u64 = 8;
/// Moderation after reset: a millisecond.
const MODERATION: u32 = 4000;
/// Unit of the moderation interval in nanoseconds.
const MODERATION_NS: u64 = 250;
/// Most segments of a ring, and least blocks of one.
const MOST_SEGMENTS: u32 = 16;
const LEAST_BLOCKS: u32 = 16;
/// Most events that wait for room in a ring; transfers and commands stop as soon as one does.
const MOST_WAITING: usize = 4096;

/// An event without its cycle bit.
pub(super) type Event = [u32; 4];

/// An interrupter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Interrupter {
    pub(super) management: u32,
    pub(super) moderation: u32,
    pub(super) segments: u32,
    pub(super) table: u64,
    pub(super) dequeue: u64,
    /// Where the next event goes.
    segment: u32,
    index: u32,
    cycle: bool,
    /// An event has come that wants an interrupt.
    wants: bool,
    /// When there may be the next interrupt.
    ready: u64,
    waiting: VecDeque<Event>,
}

impl Interrupter {
    pub(super) fn new() -> Interrupter {
        Interrupter {
            management: 0,
            moderation: MODERATION,
            segments: 0,
            table: 0,
            dequeue: 0,
            segment: 0,
            index: 0,
            cycle: true,
            wants: false,
            ready: 0,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), StateError> {
        let Interrupter { segment, index, .. } = self;
        check(*segment < MOST_SEGMENTS && *index < 1 << 16, "segment", || format!("{segment}, block {index}"))?;
        check(self.waiting.len() <= MOST_WAITING, "waiting", || format!("{} events", self.waiting.len()))
    }

    /// Another table: the ring begins afresh.
    pub(super) fn set_table(&mut self, table: u64) {
        self.table = table & !0x3f;
        (self.segment, self.index, self.cycle) = (0, 0, true);
        self.waiting.clear();
    }
}

impl Xhci {
    pub(super) fn interrupter(&mut self, n: u64, f: impl Fn(&Interrupter) -> u64) -> u64 {
        match self.state.interrupters.get(n as usize) {
            Some(own) => f(own),
            None => {
                self.kit.report.guest_error(format_args!("interrupter {n} is not there"));
                0
            }
        }
    }

    pub(super) fn set_interrupter(&mut self, n: u64, f: impl FnOnce(&mut Interrupter)) {
        match self.state.interrupters.get_mut(n as usize) {
            Some(own) => f(own),
            None => self.kit.report.guest_error(format_args!("interrupter {n} is not there")),
        }
    }

    pub(super) fn set_management(&mut self, n: usize, value: u32) {
        self.set_interrupter(n as u64, |r| {
            r.management = r.management & !(value & PENDING) & PENDING | value & ENABLE;
        });
        self.deliver(n);
        self.pin();
    }

    pub(super) fn set_dequeue(&mut self, n: usize, value: u32) {
        self.set_interrupter(n as u64, |r| {
            let busy = r.dequeue & BUSY & !u64::from(value);
            r.dequeue = r.dequeue >> 32 << 32 | u64::from(value) & !BUSY | busy;
        });
        self.dequeued(n, u64::from(value) & BUSY != 0);
    }

    pub(super) fn set_dequeue_high(&mut self, n: usize, value: u64) {
        self.set_interrupter(n as u64, |r| r.dequeue = r.dequeue & 0xffff_ffff | value << 32);
        self.dequeued(n, false);
    }

    /// The driver has taken events: there may be room for those that wait, and it hears of those that it has not seen.
    fn dequeued(&mut self, n: usize, done: bool) {
        if n >= self.state.interrupters.len() || !self.running() {
            return;
        }
        let clogged = self.clogged();
        let flushed = self.flush(n);
        self.guard(flushed);
        let left = self.place(n).ok().flatten().is_some_and(|at| at != self.state.interrupters[n].dequeue & !0xf);
        if done && left && self.running() {
            self.state.interrupters[n].wants = true;
        }
        self.interrupt(n);
        if clogged && !self.clogged() {
            self.work();
        }
    }

    /// Do events wait for room?
    pub(super) fn clogged(&self) -> bool {
        self.state.interrupters.iter().any(|r| !r.waiting.is_empty())
    }

    /// Base and number of blocks of a segment.
    fn segment(&self, n: usize, segment: u32) -> Result<Option<(u64, u32)>, BusError> {
        let [low, high, size, _] = self.words(self.state.interrupters[n].table.wrapping_add(LEN * u64::from(segment)))?;
        let base = u64::from(high) << 32 | u64::from(low & !0x3f);
        let size = size & 0xffff;
        if size < LEAST_BLOCKS {
            self.kit.report.guest_error(format_args!("a segment of an event ring with {size} blocks"));
            return Ok(None);
        }
        Ok(Some((base, size)))
    }

    /// Where the next event of interrupter `n` goes.
    fn place(&self, n: usize) -> Result<Option<u64>, BusError> {
        let own = &self.state.interrupters[n];
        if own.segments == 0 {
            return Ok(None);
        }
        let found = self.segment(n, own.segment)?;
        Ok(found.map(|(base, _)| base.wrapping_add(LEN * u64::from(own.index))))
    }

    /// Puts an event into the ring; is there room for it?
    fn put(&mut self, n: usize, event: Event) -> Result<bool, BusError> {
        let own = &self.state.interrupters[n];
        let segments = own.segments.min(MOST_SEGMENTS);
        let (mut segment, mut index, mut cycle) = (own.segment, own.index, own.cycle);
        let Some((base, size)) = self.segment(n, segment)? else { return Ok(true) };
        let at = base.wrapping_add(LEN * u64::from(index));
        let mut next = at.wrapping_add(LEN);
        index += 1;
        if index >= size {
            (segment, index) = (segment + 1, 0);
            if segment >= segments {
                (segment, cycle) = (0, !cycle);
            }
            let Some((base, _)) = self.segment(n, segment)? else { return Ok(true) };
            next = base;
        }
        if next == own.dequeue & !0xf {
            return Ok(false);
        }
        let [a, b, c, control] = event;
        self.write_words(at, &[a, b, c, control & !1 | u32::from(own.cycle)])?;
        let own = &mut self.state.interrupters[n];
        (own.segment, own.index, own.cycle) = (segment, index, cycle);
        Ok(true)
    }

    /// Puts those that wait into the ring, as far as there is room.
    fn flush(&mut self, n: usize) -> Result<(), BusError> {
        while let Some(event) = self.state.interrupters[n].waiting.front().copied() {
            if !self.put(n, event)? {
                break;
            }
            let own = &mut self.state.interrupters[n];
            own.waiting.pop_front();
            own.wants = true;
        }
        Ok(())
    }

    /// Tells the driver of something.
    pub(super) fn post(&mut self, n: u32, event: Event, quiet: bool) -> Result<(), BusError> {
        let n = if (n as usize) < self.state.interrupters.len() { n as usize } else { 0 };
        if self.state.interrupters[n].segments == 0 {
            self.kit.report.guest_error(format_args!("an event for interrupter {n}, which has no ring"));
            return Ok(());
        }
        if !self.state.interrupters[n].waiting.is_empty() || !self.put(n, event)? {
            let own = &mut self.state.interrupters[n];
            if own.waiting.len() < MOST_WAITING {
                own.waiting.push_back(event);
            }
            return Ok(());
        }
        self.state.interrupters[n].wants |= !quiet;
        self.interrupt(n);
        Ok(())
    }

    /// Interrupts, if it is wanted, the handler is not busy, and the last interrupt is long enough ago.
    pub(super) fn interrupt(&mut self, n: usize) {
        let now = self.kit.clock.now();
        let Some(own) = self.state.interrupters.get_mut(n) else { return };
        if !own.wants || own.dequeue & BUSY != 0 {
            return;
        }
        if now < own.ready {
            return self.kit.clock.schedule(token::MODERATION + n as u32, own.ready);
        }
        own.wants = false;
        own.management |= PENDING;
        own.dequeue |= BUSY;
        own.ready = now.saturating_add(u64::from(own.moderation & 0xffff) * MODERATION_NS);
        self.state.status |= status::INTERRUPT;
        self.deliver(n);
        self.pin();
    }

    /// Sends the message of a pending interrupt, if it is enabled.
    pub(super) fn deliver(&mut self, n: usize) {
        let Some(own) = self.state.interrupters.get_mut(n) else { return };
        let both = PENDING | ENABLE;
        if own.management & both != both || self.state.command & cmd::INTERRUPT == 0 {
            return;
        }
        if let Some(msix) = self.msix.as_mut().filter(|msix| msix.enabled(&self.config)) {
            own.management &= !PENDING;
            msix.notify(&self.config, &self.kit.messenger, n as u16);
        } else if let Some(msi) = self.msi.as_ref().filter(|msi| msi.enabled(&self.config)) {
            own.management &= !PENDING;
            msi.notify(&mut self.config, &self.kit.messenger);
        }
    }

    /// The level of the interrupt pin, which messages replace.
    pub(super) fn pin(&mut self) {
        let both = PENDING | ENABLE;
        let pending = self.state.interrupters.iter().any(|r| r.management & both == both);
        let messages = self.msix.as_ref().is_some_and(|m| m.enabled(&self.config))
            || self.msi.as_ref().is_some_and(|m| m.enabled(&self.config));
        self.config.set_intx(pending && self.state.command & cmd::INTERRUPT != 0 && !messages);
    }

    pub(super) fn tell_port(&mut self, number: u32) {
        let done = self.post(0, [number << 24, 0, code::SUCCESS << 24, kind::PORT << 10], false);
        self.guard(done);
    }

    pub(super) fn tell_wrap(&mut self) {
        let done = self.post(0, [0, 0, code::SUCCESS << 24, kind::WRAP << 10], false);
        self.guard(done);
    }

    pub(super) fn tell_ring_stopped(&mut self) {
        let ring = self.state.ring;
        let done = self.tell_command(ring, code::RING_STOPPED, 0, kind::COMMAND);
        self.guard(done);
    }

    pub(super) fn tell_command(&mut self, at: u64, code: u32, slot: u32, kind: u32) -> Result<(), BusError> {
        self.post(0, [at as u32, (at >> 32) as u32, code << 24, kind << 10 | slot << 24], false)
    }
}
