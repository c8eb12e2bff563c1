//! Transfers (xHCI 1.1, 4.10 and 4.11).

use super::ring::{Found, Td, Trb, code, kind};
use super::slots::{endpoint_kind, endpoint_state};
use super::{Xhci, token};
use crate::usb::Reply;
use tern_core::device::BusError;

/// Most transfer descriptors of an endpoint at once; what is left is done a little later.
const MOST: usize = 64;
const LATER_NS: u64 = 125_000;
/// Most bytes that go to or come from a device at once.
const PIECE: usize = 64 << 10;

/// How far a transfer descriptor has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Done,
    Short,
    Waits,
    Failed(u32),
}

/// What a device's refusal is for the driver.
fn failure(reply: Reply) -> Outcome {
    match reply {
        Reply::Nak => Outcome::Waits,
        Reply::Stall => Outcome::Failed(code::STALL),
        Reply::Babble => Outcome::Failed(code::BABBLE),
        Reply::Gone | Reply::Done(_) => Outcome::Failed(code::TRANSACTION),
    }
}

impl Xhci {
    /// The doorbell of an endpoint.
    pub(super) fn ring_endpoint(&mut self, number: usize, n: usize) {
        let now = self.kit.clock.now();
        let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) else {
            return self.kit.report.guest_error(format_args!("doorbell of endpoint {n} of slot {number}"));
        };
        match endpoint.state {
            endpoint_state::RUNNING => {}
            endpoint_state::STOPPED => {
                endpoint.state = endpoint_state::RUNNING;
                let done = self.write_endpoint(number, n);
                self.guard(done);
            }
            _ => return,
        }
        if let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) {
            endpoint.due = Some(now);
        }
        self.work();
    }

    /// Endpoints whose devices had nothing to say are asked again.
    pub(super) fn ask_again(&mut self) {
        let now = self.kit.clock.now();
        let all = self.state.slots.iter_mut().flat_map(|slot| &mut slot.endpoints);
        all.filter(|(_, e)| e.busy && e.state == endpoint_state::RUNNING).for_each(|(_, e)| e.due = Some(now));
        self.work();
    }

    /// Does what is due, and arranges for what will be.
    pub(super) fn work(&mut self) {
        if !self.running() {
            return;
        }
        if !self.master() {
            return self.kit.report.guest_error(format_args!("it runs without bus mastering"));
        }
        let now = self.kit.clock.now();
        self.kit.clock.cancel(token::WORK);
        let commands = self.run_commands();
        let more = matches!(commands, Ok(true));
        self.guard(commands.map(|_| ()));
        for number in 1..=self.state.slots.len() {
            let slot = &self.state.slots[number - 1];
            let due = slot.endpoints.iter().filter(|(_, e)| e.due.is_some_and(|at| at <= now));
            for n in due.map(|(n, _)| usize::from(*n)).collect::<Vec<_>>() {
                let done = self.run_endpoint(number, n);
                self.guard(done);
            }
        }
        self.arrange(more.then(|| now.saturating_add(LATER_NS)));
    }

    /// The clock calls when the next endpoint is due, or at `commands`.  While events wait for room, the driver does.
    fn arrange(&mut self, commands: Option<u64>) {
        if !self.running() || self.clogged() {
            return;
        }
        let all = self.state.slots.iter().flat_map(|slot| &slot.endpoints);
        if let Some(at) = all.filter_map(|(_, e)| e.due).chain(commands).min() {
            self.kit.clock.schedule(token::WORK, at.max(self.kit.clock.now().saturating_add(1)));
        }
    }

    /// Executes transfer descriptors of an endpoint, as far as they and the device go.
    fn run_endpoint(&mut self, number: usize, n: usize) -> Result<(), BusError> {
        let now = self.kit.clock.now();
        for _ in 0..MOST {
            if !self.running() || self.clogged() {
                return Ok(());
            }
            let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) else { return Ok(()) };
            if endpoint.state != endpoint_state::RUNNING {
                endpoint.due = None;
                return Ok(());
            }
            let place = (endpoint.ring, endpoint.cycle);
            let td = match self.fetch(place)? {
                Found::Td(td) => td,
                Found::Nothing => {
                    self.rest(number, n, None, false);
                    return Ok(());
                }
                Found::Endless => {
                    self.kit.report.guest_error(format_args!("a transfer descriptor without an end"));
                    return self.halt(number, n, endpoint_state::ERROR);
                }
            };
            let outcome = self.execute(number, n, &td)?;
            if outcome == Outcome::Waits {
                let interval = self.slot(number).and_then(|slot| slot.endpoint(n)).map_or(LATER_NS, |e| e.interval);
                self.rest(number, n, Some(now.saturating_add(interval)), true);
                return Ok(());
            }
            self.complete(number, n, &td, outcome)?;
        }
        self.rest(number, n, Some(now.saturating_add(LATER_NS)), false);
        Ok(())
    }

    fn rest(&mut self, number: usize, n: usize, due: Option<u64>, busy: bool) {
        if let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) {
            (endpoint.due, endpoint.busy) = (due, busy);
        }
    }

    fn halt(&mut self, number: usize, n: usize, state: u8) -> Result<(), BusError> {
        if let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) {
            endpoint.state = state;
            (endpoint.due, endpoint.busy) = (None, false);
        }
        self.write_endpoint(number, n)
    }

    fn execute(&mut self, number: usize, n: usize, td: &Td) -> Result<Outcome, BusError> {
        let Some(device) = self.device(number) else { return Ok(Outcome::Failed(code::TRANSACTION)) };
        let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) else { return Ok(Outcome::Waits) };
        let control = endpoint.kind == endpoint_kind::CONTROL;
        let Some((_, first)) = td.blocks.first() else { return Ok(Outcome::Done) };
        match first.kind() {
            kind::NO_OP | kind::EVENT_DATA => Ok(Outcome::Done),
            kind::SETUP if control => match self.bus.setup(device, first.parameter.to_le_bytes()) {
                Reply::Done(_) => Ok(Outcome::Done),
                other => Ok(failure(other)),
            },
            kind::STATUS if control => {
                let now = self.kit.clock.now();
                let reply = match first.reads() {
                    true => self.bus.input(now, device, 0, &mut []),
                    false => self.bus.output(device, 0, &[]),
                };
                Ok(if reply == Reply::Done(0) { Outcome::Done } else { failure(reply) })
            }
            kind::DATA if control => self.transfer(number, n, device, td, first.reads()),
            kind::NORMAL if !control => self.transfer(number, n, device, td, n & 1 != 0),
            kind::ISOCH => {
                self.kit.report.unimplemented(format_args!("isochronous transfers are not built"));
                Ok(Outcome::Failed(code::TRB))
            }
            other => {
                self.kit.report.guest_error(format_args!("block of type {other} for endpoint {n}"));
                Ok(Outcome::Failed(code::TRB))
            }
        }
    }

    /// Moves data from where the transfer descriptor has come to.
    fn transfer(
        &mut self,
        number: usize,
        n: usize,
        device: usize,
        td: &Td,
        reads: bool,
    ) -> Result<Outcome, BusError> {
        let now = self.kit.clock.now();
        let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) else { return Ok(Outcome::Waits) };
        let packet = usize::from(endpoint.packet.max(1));
        let periodic = matches!(endpoint.kind, endpoint_kind::INTERRUPT_IN | endpoint_kind::INTERRUPT_OUT);
        let piece = if periodic { packet } else { (PIECE / packet).max(1) * packet };
        let (total, mut done) = (td.total(), endpoint.done);
        let mut buf = Vec::new();
        loop {
            let want = piece.min(total.saturating_sub(done) as usize);
            buf.resize(want, 0);
            let reply = if reads {
                self.bus.input(now, device, (n / 2) as u8, &mut buf)
            } else {
                self.gather(td, done, &mut buf)?;
                self.bus.output(device, (n / 2) as u8, &buf)
            };
            let Reply::Done(moved) = reply else { return Ok(failure(reply)) };
            if reads {
                self.scatter(td, done, &buf[..moved.min(want)])?;
            }
            done += moved.min(want) as u32;
            if let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) {
                endpoint.done = done;
            }
            if done >= total {
                return Ok(Outcome::Done);
            }
            if moved < want {
                return Ok(if reads { Outcome::Short } else { Outcome::Failed(code::TRANSACTION) });
            }
        }
    }

    fn gather(&self, td: &Td, at: u32, buf: &mut [u8]) -> Result<(), BusError> {
        td.parts(at, buf.len(), |addr, trb, inside, range| match addr {
            Some(addr) => self.kit.dma.read(addr, &mut buf[range]),
            None => {
                // Immediate data are at most eight bytes; what is said to be more is zero.
                let bytes = trb.parameter.to_le_bytes();
                let from = bytes.iter().copied().skip(inside).chain(core::iter::repeat(0));
                buf[range].iter_mut().zip(from).for_each(|(to, byte)| *to = byte);
                Ok(())
            }
        })
    }

    fn scatter(&self, td: &Td, at: u32, buf: &[u8]) -> Result<(), BusError> {
        td.parts(at, buf.len(), |addr, _, _, range| match addr {
            Some(addr) => self.kit.dma.write(addr, &buf[range]),
            None => {
                self.kit.report.guest_error(format_args!("immediate data that the device should send"));
                Ok(())
            }
        })
    }

    /// A transfer descriptor is over: the driver hears of it where it asked for that, and of failures in any case.
    fn complete(&mut self, number: usize, n: usize, td: &Td, outcome: Outcome) -> Result<(), BusError> {
        let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) else { return Ok(()) };
        let done = core::mem::take(&mut endpoint.done);
        endpoint.busy = false;
        let failed = match outcome {
            Outcome::Failed(code) => Some(code),
            _ => None,
        };
        if failed.is_none() {
            (endpoint.ring, endpoint.cycle) = td.next;
        } else {
            // The failing block is where it stands.
            let (at, _) = stands(td, done);
            let cycle = td.blocks.iter().find(|(own, _)| *own == at).is_some_and(|(_, trb)| trb.cycle());
            (endpoint.ring, endpoint.cycle) = (at, cycle);
        }
        if let Some(code) = failed {
            let (at, left) = stands(td, done);
            let state = if code == code::TRB { endpoint_state::ERROR } else { endpoint_state::HALTED };
            self.halt(number, n, state)?;
            let trb = td.blocks.iter().find(|(own, _)| *own == at).map(|(_, trb)| *trb);
            return trb.map_or(Ok(()), |trb| self.tell(number, n, at, &trb, (code, left)));
        }
        let mut start = 0;
        let mut told = false;
        for (at, trb) in &td.blocks {
            let end = start + trb.len();
            let last = end == td.total() && !trb.chained();
            let short = outcome == Outcome::Short && end > done && trb.len() > 0 && !told;
            if trb.kind() == kind::EVENT_DATA {
                let code = if outcome == Outcome::Short { code::SHORT } else { code::SUCCESS };
                if trb.on_completion() {
                    self.tell(number, n, trb.parameter, trb, (code, done))?;
                }
            } else if short && (trb.on_completion() || trb.on_short()) {
                self.tell(number, n, *at, trb, (code::SHORT, end - done.max(start)))?;
                told = true;
            } else if outcome == Outcome::Short && last && trb.on_completion() && !told {
                self.tell(number, n, *at, trb, (code::SHORT, trb.len()))?;
            } else if trb.on_completion() && (outcome == Outcome::Done || end <= done) {
                self.tell(number, n, *at, trb, (code::SUCCESS, 0))?;
            }
            start = end;
        }
        Ok(())
    }

    /// A transfer event: about the block at `at` (or with the number in an event data block), with its completion code and
    /// length.
    fn tell(&mut self, number: usize, n: usize, at: u64, trb: &Trb, result: (u32, u32)) -> Result<(), BusError> {
        let data = if trb.kind() == kind::EVENT_DATA { 4 } else { 0 };
        let control = (number as u32) << 24 | (n as u32) << 16 | kind::TRANSFER << 10 | data;
        let status = result.0 << 24 | result.1 & 0xff_ffff;
        self.post(trb.interrupter(), [at as u32, (at >> 32) as u32, status, control], trb.quiet())
    }

    /// The transfer descriptor that an endpoint was at has been stopped.
    pub(super) fn tell_stopped(&mut self, number: usize, n: usize) -> Result<(), BusError> {
        let Some(endpoint) = self.slot(number).and_then(|slot| slot.endpoint(n)) else { return Ok(()) };
        let (place, done) = ((endpoint.ring, endpoint.cycle), endpoint.done);
        let Found::Td(td) = self.fetch(place)? else { return Ok(()) };
        let (at, left) = stands(&td, done);
        let trb = td.blocks.iter().find(|(own, _)| *own == at).map(|(_, trb)| *trb);
        trb.map_or(Ok(()), |trb| self.tell(number, n, at, &trb, (code::STOPPED, left)))
    }
}

/// The block of a transfer descriptor that `done` bytes end in, and how much of it is left.
fn stands(td: &Td, done: u32) -> (u64, u32) {
    let mut end = 0;
    for (at, trb) in &td.blocks {
        end += trb.len();
        if end > done {
            return (*at, end - done);
        }
    }
    td.blocks.last().map_or((0, 0), |(at, _)| (*at, 0))
}
