//! The command ring and its commands (xHCI 1.1, 4.6 and 6.4.3).

use super::ring::{Found, LEN, Trb, code, kind};
use super::slots::{CONTEXT, DEFAULT, ENDPOINTS, Endpoint, Slot, endpoint_state, slot_state};
use super::Xhci;
use tern_core::device::BusError;

/// Types of commands (table 6-91).
mod command {
    pub(super) const ENABLE_SLOT: u32 = 9;
    pub(super) const DISABLE_SLOT: u32 = 10;
    pub(super) const ADDRESS_DEVICE: u32 = 11;
    pub(super) const CONFIGURE_ENDPOINT: u32 = 12;
    pub(super) const EVALUATE_CONTEXT: u32 = 13;
    pub(super) const RESET_ENDPOINT: u32 = 14;
    pub(super) const STOP_ENDPOINT: u32 = 15;
    pub(super) const SET_DEQUEUE: u32 = 16;
    pub(super) const RESET_DEVICE: u32 = 17;
    pub(super) const NO_OP: u32 = 23;
    /// NEC's: which firmware runs; the event that answers.
    pub(super) const NEC_FIRMWARE: u32 = 49;
    pub(super) const NEC_ANSWER: u32 = 48;
}

/// Version of NEC's firmware.
const FIRMWARE: u32 = 0x3021;
/// Most commands at once; what is left is done a little later.
const MOST: usize = 64;

/// A command's flag: do not send the request, deconfigure, keep the transfer state.
fn flag(trb: &Trb) -> bool {
    trb.control & 0x200 != 0
}

impl Xhci {
    /// Executes commands; may there be more?
    pub(super) fn run_commands(&mut self) -> Result<bool, BusError> {
        for _ in 0..MOST {
            if !self.state.fetching || !self.running() || self.clogged() {
                return Ok(false);
            }
            let td = match self.fetch((self.state.ring, self.state.cycle))? {
                Found::Nothing => return Ok(false),
                Found::Endless => {
                    self.kit.report.guest_error(format_args!("a command ring without an end"));
                    self.state.fetching = false;
                    return Ok(false);
                }
                Found::Td(td) => td,
            };
            // Commands are not chained; whatever bits say so are another's.
            let Some((at, trb)) = td.blocks.first().copied() else { return Ok(false) };
            let link = td.blocks.len() == 1;
            (self.state.ring, self.state.cycle) = if link { td.next } else { (at.wrapping_add(LEN), trb.cycle()) };
            self.command(at, &trb)?;
        }
        Ok(true)
    }

    fn command(&mut self, at: u64, trb: &Trb) -> Result<(), BusError> {
        let number = (trb.control >> 24) as usize;
        if trb.kind() == command::NEC_FIRMWARE && self.profile.nec {
            let event = [at as u32, (at >> 32) as u32, code::SUCCESS << 24 | FIRMWARE, command::NEC_ANSWER << 10];
            return self.post(0, event, false);
        }
        let (code, slot) = match trb.kind() {
            command::NO_OP => (code::SUCCESS, 0),
            command::ENABLE_SLOT => self.enable_slot(),
            command::DISABLE_SLOT
            | command::ADDRESS_DEVICE
            | command::CONFIGURE_ENDPOINT
            | command::EVALUATE_CONTEXT
            | command::RESET_ENDPOINT
            | command::STOP_ENDPOINT
            | command::SET_DEQUEUE
            | command::RESET_DEVICE => {
                let code = if self.slot(number).is_some() { self.slot_command(number, trb)? } else { code::NO_SLOT };
                (code, number as u32)
            }
            other => {
                self.kit.report.unimplemented(format_args!("command of type {other}"));
                (code::TRB, 0)
            }
        };
        self.tell_command(at, code, slot, kind::COMMAND)
    }

    fn enable_slot(&mut self) -> (u32, u32) {
        let most = (self.state.configure as usize).min(self.state.slots.len());
        let Some(n) = self.state.slots.iter().take(most).position(|slot| !slot.used) else {
            return (code::NO_SLOTS, 0);
        };
        self.state.slots[n] = Slot { used: true, ..Slot::default() };
        (code::SUCCESS, n as u32 + 1)
    }

    /// A command to a slot that is in use.
    fn slot_command(&mut self, number: usize, trb: &Trb) -> Result<u32, BusError> {
        let endpoint = (trb.control >> 16 & 0x1f) as usize;
        match trb.kind() {
            command::DISABLE_SLOT => self.disable_slot(number),
            command::ADDRESS_DEVICE => self.address_device(number, trb),
            command::CONFIGURE_ENDPOINT if flag(trb) => self.deconfigure(number),
            command::CONFIGURE_ENDPOINT => self.configure(number, trb.parameter & !0xf),
            command::EVALUATE_CONTEXT => self.evaluate(number, trb.parameter & !0xf),
            command::RESET_ENDPOINT => self.reset_endpoint(number, endpoint, flag(trb)),
            command::STOP_ENDPOINT => self.stop_endpoint(number, endpoint),
            command::SET_DEQUEUE => self.set_endpoint_ring(number, endpoint, trb),
            _ => self.reset_device(number),
        }
    }

    fn disable_slot(&mut self, number: usize) -> Result<u32, BusError> {
        let mut written = Ok(());
        if let Some(slot) = self.slot(number) {
            slot.state = slot_state::DISABLED;
            if slot.context != 0 {
                written = self.write_slot(number);
            }
        }
        // It is free, also when memory did not answer.
        self.state.slots[number - 1] = Slot::default();
        written.map(|()| code::SUCCESS)
    }

    /// Where the device of a slot context is: the port, from 0, and the path on the bus.
    fn locate(&self, slot: &[u32; 8]) -> Option<(u8, Vec<u8>)> {
        let port = (slot[1] >> 16 & 0xff).checked_sub(1)? as usize;
        if port >= self.state.ports.len() {
            return None;
        }
        let tiers = (0..5).map(|tier| (slot[0] >> (4 * tier) & 0xf) as u8).take_while(|port| *port != 0);
        Some((port as u8, core::iter::once(self.root(port)).chain(tiers).collect()))
    }

    fn address_device(&mut self, number: usize, trb: &Trb) -> Result<u32, BusError> {
        let input = trb.parameter & !0xf;
        let [drop, add] = self.words(input)?;
        let mut context: [u32; 8] = self.words(input.wrapping_add(CONTEXT))?;
        let mut control: [u32; 8] = self.words(input.wrapping_add(2 * CONTEXT))?;
        let before = self.state.slots[number - 1].state;
        if add & 3 != 3 || drop & 3 != 0 {
            return Ok(code::TRB);
        }
        let allowed = if flag(trb) { before == slot_state::DISABLED } else { before <= slot_state::DEFAULT };
        if !allowed {
            return Ok(code::STATE);
        }
        let (Some((port, path)), Ok(endpoint)) = (self.locate(&context), Endpoint::parse(control)) else {
            return Ok(code::PARAMETER);
        };
        let taken = |(n, slot): (usize, &Slot)| n + 1 != number && slot.used && slot.path == path;
        if self.state.slots.iter().enumerate().any(taken) {
            return Ok(code::TRB);
        }
        let pointer: [u32; 2] = self.words(self.state.contexts.wrapping_add(8 * number as u64))?;
        let at = (u64::from(pointer[1]) << 32 | u64::from(pointer[0])) & !0x3f;
        let slot = &mut self.state.slots[number - 1];
        let old = slot.clone();
        (slot.port, slot.path, slot.context) = (port, path, at);
        let Some(device) = self.device(number) else {
            self.state.slots[number - 1] = old;
            return Ok(code::TRANSACTION);
        };
        let state = if flag(trb) { slot_state::DEFAULT } else { slot_state::ADDRESSED };
        if state == slot_state::ADDRESSED {
            self.bus.set_address(device, number as u8);
        }
        let slot = &mut self.state.slots[number - 1];
        slot.state = state;
        slot.endpoints.clear();
        slot.insert(DEFAULT, endpoint);
        context[3] = 0;
        control[0] = control[0] & !7 | u32::from(endpoint_state::RUNNING);
        self.write_words(at, &context)?;
        self.write_words(at.wrapping_add(CONTEXT), &control)?;
        self.write_slot(number)?;
        Ok(code::SUCCESS)
    }

    fn deconfigure(&mut self, number: usize) -> Result<u32, BusError> {
        let slot = &mut self.state.slots[number - 1];
        if slot.state < slot_state::ADDRESSED {
            return Ok(code::STATE);
        }
        slot.state = slot_state::ADDRESSED;
        self.drop_endpoints(number)?;
        self.write_slot(number)?;
        Ok(code::SUCCESS)
    }

    /// All endpoints but the default one go.
    fn drop_endpoints(&mut self, number: usize) -> Result<(), BusError> {
        for n in DEFAULT + 1..ENDPOINTS {
            let slot = &mut self.state.slots[number - 1];
            if slot.endpoint(n).is_some() {
                slot.remove(n);
                self.write_endpoint(number, n)?;
            }
        }
        Ok(())
    }

    fn configure(&mut self, number: usize, input: u64) -> Result<u32, BusError> {
        let [drop, add] = self.words(input)?;
        let before = self.state.slots[number - 1].state;
        if before < slot_state::ADDRESSED {
            return Ok(code::STATE);
        }
        if drop & 3 != 0 || add & 3 != 1 {
            return Ok(code::TRB);
        }
        let mut added = Vec::new();
        for n in (DEFAULT + 1..ENDPOINTS).filter(|n| add >> n & 1 != 0) {
            let words: [u32; 8] = self.words(input.wrapping_add(CONTEXT * (n as u64 + 1)))?;
            match Endpoint::parse(words) {
                Ok(endpoint) if endpoint.kind != 0 && endpoint.packet != 0 => added.push((n, endpoint, words)),
                Ok(_) => return Ok(code::PARAMETER),
                Err(what) => {
                    self.kit.report.unimplemented(format_args!("{what}"));
                    return Ok(code::RESOURCE);
                }
            }
        }
        for n in (DEFAULT + 1..ENDPOINTS).filter(|n| drop >> n & 1 != 0) {
            self.state.slots[number - 1].remove(n);
            self.write_endpoint(number, n)?;
        }
        let at = self.state.slots[number - 1].context;
        for (n, endpoint, mut words) in added {
            words[0] = words[0] & !7 | u32::from(endpoint_state::RUNNING);
            self.write_words(at.wrapping_add(CONTEXT * n as u64), &words)?;
            self.state.slots[number - 1].insert(n, endpoint);
        }
        // Of the slot context, hub, number of ports and context entries may be new.
        let wanted: [u32; 8] = self.words(input.wrapping_add(CONTEXT))?;
        let mut own: [u32; 3] = self.words(at)?;
        let changes = 0x1f << 27 | 3 << 25;
        own[0] = own[0] & !changes | wanted[0] & changes;
        own[1] = own[1] & 0x00ff_ffff | wanted[1] & 0xff00_0000;
        own[2] = own[2] & !(3 << 16) | wanted[2] & 3 << 16;
        self.write_words(at, &own)?;
        let slot = &mut self.state.slots[number - 1];
        let more = slot.endpoints.iter().any(|(n, _)| usize::from(*n) != DEFAULT);
        slot.state = if more { slot_state::CONFIGURED } else { slot_state::ADDRESSED };
        self.write_slot(number)?;
        Ok(code::SUCCESS)
    }

    fn evaluate(&mut self, number: usize, input: u64) -> Result<u32, BusError> {
        let [drop, add] = self.words(input)?;
        let (state, at) = (self.state.slots[number - 1].state, self.state.slots[number - 1].context);
        if state < slot_state::DEFAULT {
            return Ok(code::STATE);
        }
        if drop != 0 || add & !3 != 0 {
            return Ok(code::TRB);
        }
        if add & 1 != 0 {
            // Most latency of leaving low power, and the interrupter.
            let wanted: [u32; 3] = self.words(input.wrapping_add(CONTEXT))?;
            let own: [u32; 3] = self.words(at)?;
            let second = own[1] & !0xffff | wanted[1] & 0xffff;
            self.write_words(at.wrapping_add(4), &[second, own[2] & 0x003f_ffff | wanted[2] & 0xffc0_0000])?;
        }
        if add & 2 != 0 {
            let wanted: [u32; 2] = self.words(input.wrapping_add(2 * CONTEXT))?;
            let own: [u32; 2] = self.words(at.wrapping_add(CONTEXT))?;
            if let Some(endpoint) = self.state.slots[number - 1].endpoint(DEFAULT) {
                endpoint.packet = (wanted[1] >> 16) as u16;
            }
            let second = own[1] & 0xffff | wanted[1] & 0xffff_0000;
            self.write_words(at.wrapping_add(CONTEXT + 4), &[second])?;
        }
        Ok(code::SUCCESS)
    }

    fn reset_endpoint(&mut self, number: usize, n: usize, keep: bool) -> Result<u32, BusError> {
        let Some(endpoint) = self.state.slots[number - 1].endpoint(n) else { return Ok(code::NO_ENDPOINT) };
        if endpoint.state != endpoint_state::HALTED {
            return Ok(code::STATE);
        }
        endpoint.state = endpoint_state::STOPPED;
        if !keep {
            endpoint.done = 0;
        }
        self.write_endpoint(number, n)?;
        Ok(code::SUCCESS)
    }

    fn stop_endpoint(&mut self, number: usize, n: usize) -> Result<u32, BusError> {
        let Some(endpoint) = self.state.slots[number - 1].endpoint(n) else { return Ok(code::NO_ENDPOINT) };
        if endpoint.state != endpoint_state::RUNNING {
            return Ok(code::STATE);
        }
        let busy = core::mem::take(&mut endpoint.busy);
        (endpoint.state, endpoint.due) = (endpoint_state::STOPPED, None);
        if busy {
            self.tell_stopped(number, n)?;
        }
        self.write_endpoint(number, n)?;
        Ok(code::SUCCESS)
    }

    fn set_endpoint_ring(&mut self, number: usize, n: usize, trb: &Trb) -> Result<u32, BusError> {
        let Some(endpoint) = self.state.slots[number - 1].endpoint(n) else { return Ok(code::NO_ENDPOINT) };
        if !matches!(endpoint.state, endpoint_state::STOPPED | endpoint_state::ERROR) {
            return Ok(code::STATE);
        }
        (endpoint.ring, endpoint.cycle) = (trb.parameter & !0xf, trb.parameter & 1 != 0);
        (endpoint.state, endpoint.done) = (endpoint_state::STOPPED, 0);
        self.write_endpoint(number, n)?;
        Ok(code::SUCCESS)
    }

    fn reset_device(&mut self, number: usize) -> Result<u32, BusError> {
        if self.state.slots[number - 1].state < slot_state::ADDRESSED {
            return Ok(code::STATE);
        }
        self.state.slots[number - 1].state = slot_state::DEFAULT;
        self.drop_endpoints(number)?;
        self.write_slot(number)?;
        Ok(code::SUCCESS)
    }
}
