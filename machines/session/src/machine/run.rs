//! The run loop.

use super::debug::DebugStop;
use super::fabric::LineChange;
use super::tape::Data;
use super::{ClockMode, Control, CpuState, Machine};
use crate::engine::{CpuId, Engine};
use crate::firmware::FirmwareHost;
use crate::machine::Hart;
use crate::machine::fabric::Fabric;
use std::rc::Rc;
use tern_core::device::{Bus, Request};
use tern_core::engine::Stop;
use tern_core::frontend::Frontend;
use tern_core::mem::{Access, FaultKind, GuestMemory, MemFault, PAGE_MASK, Size};
use tern_core::state::State;
use tern_core::system::{Flush, Reset, System, Virtual};
use tern_core::time::Owner;

/// Instructions between looks at the outside.
pub(super) const POLL: u64 = 500_000;
/// Instructions of one turn when guest time follows the host: how late an event may be.
const HOST_TURN: u64 = 200_000;
/// How long an instruction takes by which a CPU tells that it spins.
const STALL_NS: u64 = 250;
/// Traps one after the other, with no instruction that retires between them, after which a turn ends; each counts as an
/// instruction then.
const TRAPS: u64 = 4096;
/// Longest wait for the outside, so that signals are noticed.
const LONGEST_WAIT_NS: u64 = 1_000_000_000;

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The wanted number of instructions has retired.
    Limit,
    /// The guest switched the machine off, with this status.
    PowerOff(i32),
    /// The guest wants a reset.  [`Machine::power_on`] does it.
    Reset,
    /// The guest reports that it crashed.
    Panic,
    /// The guest reports that it crashed and goes on: so may the run.
    CrashLoaded,
    /// The guest shuts down, as its paravirtual notifier says.
    Shutdown,
    /// A watchdog has run out.
    Watchdog,
    /// Somebody outside ended it.
    Quit,
    /// Somebody outside holds it.
    Pause,
    /// Somebody outside wants something of the caller.
    Attend,
    /// A CPU has stopped for whoever debugs it: [`Machine::take_debug_stop`] says why.
    Debug,
    /// No CPU has anything to do, and nothing will ever come.
    Dead,
    /// Somebody reset the recorded machine here.  [`Machine::power_on`] does it.
    RecordedReset,
    /// The log that is replayed ends here.
    Replayed,
    /// A replay is not the recorded run, or a recording cannot go on: see the machine's [`super::Tape`].
    Trouble,
}

impl Machine {
    /// Runs until all CPUs together have retired `until` instructions (counted from power-on), or something ends it before.
    pub fn run(&mut self, until: u64) -> Ended {
        loop {
            if let Some(ended) = self.between(until) {
                return ended;
            }
            match self.next_cpu() {
                Some((cpu, turn)) => self.slice(cpu, turn, until),
                None => {
                    if let Some(ended) = self.idle() {
                        return ended;
                    }
                }
            }
        }
    }

    /// What happens between slices: requests, the outside, events that are due.
    fn between(&mut self, until: u64) -> Option<Ended> {
        if self.debug.stop.is_some() {
            return Some(Ended::Debug);
        }
        if let Some(ended) = self.requested() {
            return Some(ended);
        }
        let retired = self.fabric.position.retired;
        if retired.wrapping_sub(self.polled) >= POLL {
            self.polled = retired;
            self.fabric.outside.poll();
            self.take_in();
            self.light_digest();
            if let Some(control) = self.fabric.outside.control() {
                return Some(match control {
                    Control::Quit => Ended::Quit,
                    Control::Reset => self.reset_from_outside(),
                    Control::Pause => Ended::Pause,
                    Control::Attend => Ended::Attend,
                });
            }
        }
        if let Some(ended) = self.tape_says() {
            return Some(ended);
        }
        self.events();
        self.apply();
        (retired >= until).then_some(Ended::Limit)
    }

    pub(super) fn requested(&mut self) -> Option<Ended> {
        if self.fabric.requests.is_empty() {
            return None;
        }
        Some(match self.fabric.requests.remove(0) {
            Request::Reset => Ended::Reset,
            Request::PowerOff(status) => Ended::PowerOff(status),
            Request::Panic => Ended::Panic,
            Request::CrashLoaded => Ended::CrashLoaded,
            Request::Shutdown => Ended::Shutdown,
            Request::Watchdog => Ended::Watchdog,
            Request::Attend => Ended::Attend,
        })
    }

    /// Hands over what the outside, or the log, has for devices that have room.
    pub(super) fn take_in(&mut self) {
        if self.tape.player().is_some() {
            return self.replay_input();
        }
        let mut taken = Vec::new();
        while let Some(data) = self.queued.pop_front() {
            self.hand_over(&data);
            taken.push(data);
        }
        for (device, port) in self.ports.clone() {
            loop {
                let fabric = &mut self.fabric;
                let room = fabric.device(device).map_or(0, |d| d.room(port));
                if room == 0 {
                    break;
                }
                let Some(bytes) = fabric.outside.take(device, port, room) else { break };
                let data = Data { device, port, bytes };
                self.hand_over(&data);
                if self.tape.recorder().is_some() {
                    taken.push(data);
                }
            }
        }
        self.record_input(taken);
    }

    /// Hands over one input.
    pub(super) fn hand_over(&mut self, data: &Data) {
        let fabric = &mut self.fabric;
        self.inputs += 1;
        fabric.now(fabric.position.base);
        if let Some(device) = fabric.device(data.device) {
            device.receive(data.port, &data.bytes);
        }
        fabric.settle();
    }

    /// Lets everything happen that is due.
    pub(super) fn events(&mut self) {
        let fabric = &mut self.fabric;
        let now = fabric.now(fabric.position.base);
        while let Some(due) = fabric.queue.pop(now) {
            match due.owner {
                Owner::Device(number) => {
                    if let Some(device) = fabric.device(number) {
                        device.event(due.token);
                    }
                    fabric.settle();
                }
                Owner::Cpu(cpu) => fabric.changes.push(LineChange { cpu, line: due.token, level: true }),
            }
        }
    }

    /// Shows CPUs their interrupt inputs; those that waited for one go on.
    pub(super) fn apply(&mut self) {
        if self.fabric.changes.is_empty() {
            return;
        }
        let system = self.frontend.system().expect("looked at when the machine was made");
        for change in self.fabric.changes.drain(..) {
            let Some(hart) = self.harts.get_mut(change.cpu as usize) else { continue };
            let state = self.engine.state_mut(hart.cpu);
            system.set_line(state, change.line, change.level);
            if hart.state == CpuState::Waiting && system.wakes(state) {
                hart.state = CpuState::Running;
            }
        }
    }

    /// The CPU whose turn it is, and for how many instructions.
    fn next_cpu(&mut self) -> Option<(usize, u64)> {
        if let Some((cpu, left)) = self.unfinished.take() {
            return Some((cpu, left));
        }
        let n = self.harts.len();
        let next = (0..n).map(|i| (self.turn + i) % n).find(|i| self.harts[*i].state == CpuState::Running)?;
        self.turn = next + 1;
        let turn = match (self.settings.clock, n) {
            (ClockMode::Host, _) => HOST_TURN,
            (_, 1) => POLL,
            _ => self.settings.turn,
        };
        Some((next, turn))
    }

    /// Instructions until the next event is due, at most `most`.
    fn distance(fabric: &Fabric, icount: u64, most: u64) -> u64 {
        let ClockMode::Instructions { shift } = fabric.position.mode else { return most };
        let (Some(at), Some(now)) = (fabric.queue.next(), fabric.position.ns(icount)) else { return most };
        let insns = (at.saturating_sub(now) + ((1 << shift) - 1)) >> shift;
        insns.min(most)
    }

    /// A CPU's turn: until its instructions are used up, it waits, or something happens to the whole machine.
    fn slice(&mut self, cpu: usize, turn: u64, until: u64) {
        let id = self.harts[cpu].cpu;
        let fabric = &mut self.fabric;
        fabric.current = cpu as u32;
        fabric.position.base = self.engine.icount(id);
        let begin = fabric.position.base;
        let end = begin + turn.min(until.saturating_sub(fabric.position.retired));
        let mut traps = core::mem::take(&mut self.debug.traps);
        while self.harts[cpu].state == CpuState::Running && self.fabric.requests.is_empty() {
            let entered = self.take_interrupt(id);
            let icount = self.engine.icount(id);
            let mut insns = Self::distance(&self.fabric, icount, end.saturating_sub(icount));
            let steps = self.debug.step == Some(cpu);
            if steps && entered && self.debug.stop.is_none() {
                self.debug.stop = Some(DebugStop::Step { cpu });
            }
            if insns == 0 || self.debug.stop.is_some() {
                // Where a run ends must not change whose turn it is.
                let left = turn - (icount - begin);
                let due = Self::distance(&self.fabric, icount, 1) == 0;
                self.unfinished = (left > 0 && !due).then_some((cpu, left));
                self.debug.traps = if self.unfinished.is_some() { traps } else { 0 };
                break;
            }
            if steps {
                insns = 1;
            }
            let stop = self.engine.run(id, &mut self.fabric, insns);
            self.stopped(cpu, stop);
            self.debug.stop = match stop {
                Stop::Breakpoint => Some(DebugStop::Breakpoint { cpu }),
                Stop::Watch(touched) => Some(DebugStop::Watch { cpu, touched }),
                _ => steps.then_some(DebugStop::Step { cpu }),
            };
            if stop == Stop::Breakpoint || (matches!(stop, Stop::Watch(_)) && self.engine.icount(id) == icount) {
                // Nothing has been done that could be a trap.
                continue;
            }
            // Traps retire nothing: a CPU that does nothing else must let time pass, and others run.
            traps = if self.engine.icount(id) == icount { traps + 1 } else { 0 };
            if traps == TRAPS {
                self.fabric.position.retired += TRAPS;
                break;
            }
            // A wait that is over at once is a loop around it.
            if matches!(stop, Stop::Yield | Stop::Halt) {
                if self.others_run(cpu) {
                    break;
                }
                self.stall(id);
            }
            if !self.fabric.changes.is_empty() {
                let others = self.fabric.changes.iter().any(|c| c.cpu != cpu as u32);
                self.apply();
                // Whoever signals another CPU lets it have its turn: it will wait for the answer.
                if others {
                    break;
                }
            }
        }
        let icount = self.engine.icount(id);
        let position = &mut self.fabric.position;
        position.retired += icount - position.base;
        position.base = icount;
    }

    /// Has another CPU something to do?
    fn others_run(&self, cpu: usize) -> bool {
        self.harts.iter().enumerate().any(|(i, h)| i != cpu && h.state == CpuState::Running)
    }

    /// The CPU spins, and nobody but time can end that: the instruction takes a while, as it does on hardware.
    fn stall(&mut self, id: CpuId) {
        let fabric = &mut self.fabric;
        let Some(now) = fabric.position.ns(self.engine.icount(id)) else { return };
        let gap = fabric.queue.next().map_or(STALL_NS, |at| at.saturating_sub(now));
        fabric.position.skip(gap.min(STALL_NS));
    }

    /// Lets a CPU enter the handler of an interrupt, if one is due; was it?
    fn take_interrupt(&mut self, id: CpuId) -> bool {
        let system = self.frontend.system().expect("looked at when the machine was made");
        let cause = system.interrupt(self.engine.state_mut(id));
        if let Some(cause) = cause {
            self.engine.log_interrupt(id, cause);
        }
        cause.is_some()
    }

    /// Deals with a CPU that stopped.
    fn stopped(&mut self, cpu: usize, stop: Stop) {
        let id = self.harts[cpu].cpu;
        // What only cuts a run short is not the guest's doing.
        let cut = matches!(stop, Stop::Limit | Stop::Resync | Stop::Breakpoint | Stop::Watch(_));
        self.stops += u64::from(!cut);
        match stop {
            Stop::Limit | Stop::Resync | Stop::Yield | Stop::Breakpoint | Stop::Watch(_) => {}
            Stop::Halt => {
                let system = self.frontend.system().expect("looked at when the machine was made");
                if !system.wakes(self.engine.state(id)) {
                    self.harts[cpu].state = CpuState::Waiting;
                }
            }
            Stop::Syscall | Stop::Trap { .. } | Stop::Fault(_) => {
                if !self.firmware_deals(cpu, stop) {
                    let system = self.frontend.system().expect("looked at when the machine was made");
                    system.exception(self.engine.state_mut(id), &mut self.fabric, stop);
                }
            }
        }
    }

    fn firmware_deals(&mut self, cpu: usize, stop: Stop) -> bool {
        let Some(mut firmware) = self.firmware.take() else { return false };
        let dealt = firmware.trap(&mut self.host(), cpu, stop);
        self.firmware = Some(firmware);
        dealt
    }

    /// The machine as firmware sees it.
    pub(super) fn host(&mut self) -> Host<'_> {
        let icount = self.harts.get(self.fabric.current as usize).map_or(0, |h| self.engine.icount(h.cpu));
        Host {
            engine: &mut self.engine,
            harts: &mut self.harts,
            fabric: &mut self.fabric,
            frontend: &self.frontend,
            icount,
        }
    }

    /// No CPU has anything to do: time passes until the next event or input.
    fn idle(&mut self) -> Option<Ended> {
        let next = self.fabric.queue.next();
        let now = self.fabric.now(self.fabric.position.base);
        let gap = next.map(|at| at.saturating_sub(now));
        self.polled = self.fabric.position.retired.wrapping_sub(POLL);
        let paced = self.settings.paced || self.settings.clock == ClockMode::Host;
        if gap == Some(0) {
            return None;
        }
        if let Some(player) = self.tape.player().cloned() {
            return self.replay_idle(&player);
        }
        if !self.fabric.outside.alive() && gap.is_none() {
            return Some(Ended::Dead);
        }
        if !paced {
            match gap {
                Some(gap) => {
                    self.record_idle(gap);
                    self.fabric.position.skip(gap);
                }
                None => self.fabric.outside.wait(Some(LONGEST_WAIT_NS)),
            }
            return None;
        }
        let before = self.fabric.outside.now();
        self.fabric.outside.wait(Some(gap.unwrap_or(LONGEST_WAIT_NS).min(LONGEST_WAIT_NS)));
        let waited = self.fabric.outside.now().saturating_sub(before);
        if matches!(self.settings.clock, ClockMode::Instructions { .. }) {
            let ns = waited.min(gap.unwrap_or(waited));
            self.record_idle(ns);
            self.fabric.position.skip(ns);
        }
        None
    }
}

/// See [`FirmwareHost`].
pub(super) struct Host<'a> {
    engine: &'a mut Engine,
    harts: &'a mut Vec<Hart>,
    fabric: &'a mut Fabric,
    frontend: &'a Rc<dyn Frontend>,
    icount: u64,
}

impl Host<'_> {
    fn system(&self) -> &dyn System {
        self.frontend.system().expect("looked at when the machine was made")
    }
}

impl FirmwareHost for Host<'_> {
    fn cpus(&self) -> usize {
        self.harts.len()
    }

    fn state(&mut self, cpu: usize) -> &mut State {
        self.engine.state_mut(self.harts[cpu].cpu)
    }

    fn cpu_state(&self, cpu: usize) -> CpuState {
        self.harts.get(cpu).map_or(CpuState::Stopped, |h| h.state)
    }

    fn stop_cpu(&mut self, cpu: usize) {
        self.harts[cpu].state = CpuState::Stopped;
    }

    fn wait_cpu(&mut self, cpu: usize) {
        if !self.system().wakes(self.engine.state(self.harts[cpu].cpu)) {
            self.harts[cpu].state = CpuState::Waiting;
        }
    }

    fn start_cpu(&mut self, cpu: usize, reset: Reset) {
        let id = self.harts[cpu].cpu;
        super::reset_cpu(&**self.frontend, self.engine.state_mut(id), reset);
        self.engine.forget(id, Flush::All);
        self.harts[cpu].state = CpuState::Running;
    }

    fn set_line(&mut self, cpu: usize, line: u32, level: bool) {
        self.fabric.changes.push(LineChange { cpu: cpu as u32, line, level });
    }

    fn set_timer(&mut self, cpu: usize, line: u32, at_ns: Option<u64>) {
        self.set_line(cpu, line, false);
        match at_ns {
            Some(at) => self.fabric.queue.schedule(Owner::Cpu(cpu as u32), line, at),
            None => self.fabric.queue.cancel(Owner::Cpu(cpu as u32), line),
        }
    }

    fn time_ns(&mut self) -> u64 {
        self.fabric.now(self.icount)
    }

    fn flush(&mut self, cpu: usize, flush: Flush) {
        self.engine.forget(self.harts[cpu].cpu, flush);
    }

    fn memory(&self) -> &dyn Bus {
        &self.fabric.space
    }

    fn load_virtual(&mut self, cpu: usize, addr: u64, size: Size) -> Result<u64, MemFault> {
        let state = self.engine.state(self.harts[cpu].cpu);
        let mut memory = Virtual { system: self.frontend.system(), state, platform: self.fabric };
        let page = memory.page(addr, Access::Load, 0)?;
        let fault = MemFault { addr, access: Access::Load, kind: FaultKind::Misaligned };
        page.span.load((addr & PAGE_MASK) as usize, size).ok_or(fault)
    }

    fn load(&mut self, addr: u64, size: Size) -> Option<u64> {
        self.fabric.now(self.icount);
        self.fabric.device_load(addr, 0, size).ok()
    }

    fn store(&mut self, addr: u64, size: Size, value: u64) -> bool {
        self.fabric.now(self.icount);
        self.fabric.device_store(addr, 0, size, value).is_ok()
    }

    fn request(&mut self, request: Request) {
        self.fabric.requests.push(request);
    }
}
