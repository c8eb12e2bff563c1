//! A machine as a subject: its CPUs are the threads.

use super::{Resume, Subject, Thread, Why};
use crate::machine::{CpuState, DebugStop, Ended, Machine};
use tern_core::device::Bus as _;
use tern_core::frontend::Frontend;
use tern_core::state::{Slot, State};
use tern_core::stops::Stops;

/// Instructions between questions whether somebody wants to interrupt.
const CHUNK: u64 = 2_000_000;

/// Whoever has a machine.
pub trait Holder {
    /// The machine.
    fn machine(&self) -> &Machine;

    /// The machine.
    fn machine_mut(&mut self) -> &mut Machine;

    /// See [`Subject::reverses`].
    fn reverses(&self) -> bool {
        false
    }

    /// See [`Subject::monitor`].
    fn monitor(&mut self, line: &str) -> Option<String> {
        let _ = line;
        None
    }
}

impl Holder for Machine {
    fn machine(&self) -> &Machine {
        self
    }

    fn machine_mut(&mut self) -> &mut Machine {
        self
    }
}

/// A machine under a debugger.
pub struct Cpus<'a> {
    holder: &'a mut dyn Holder,
    isa: &'a str,
    /// How it ended while [`Subject::run`] ran it.
    ended: Option<Ended>,
}

impl<'a> Cpus<'a> {
    /// The machine that `holder` has, whose ISA is called `isa`.
    pub fn new(holder: &'a mut dyn Holder, isa: &'a str) -> Cpus<'a> {
        Cpus { holder, isa, ended: None }
    }

    /// How [`Subject::run`] ended, if the machine came to an end of its own.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Prepares a machine to go on as `resume` says.
    pub fn prepare(machine: &mut Machine, stops: &Stops, resume: &Resume) {
        // A step is one instruction, which nothing but its end stops; what stops all others may come back at once.
        if resume.step.is_none() {
            machine.set_stops(stops);
        }
        let step = resume.step.and_then(cpu);
        machine.set_step(step);
        machine.pass(machine.last_cpu());
        if let Some(step) = step {
            machine.pass(step);
        }
    }

    /// What a stop of the machine is to a debugger.
    #[must_use]
    pub fn why(stop: DebugStop) -> Why {
        match stop {
            DebugStop::Breakpoint { cpu } => Why::Breakpoint(thread(cpu)),
            DebugStop::Watch { cpu, touched } => Why::Watch(thread(cpu), touched),
            DebugStop::Step { cpu } => Why::Step(thread(cpu)),
        }
    }
}

/// The thread that a CPU is.
fn thread(cpu: usize) -> Thread {
    cpu as u64 + 1
}

/// The CPU that a thread is.
fn cpu(thread: Thread) -> Option<usize> {
    usize::try_from(thread.checked_sub(1)?).ok()
}

impl Subject for Cpus<'_> {
    fn isa(&self) -> &str {
        self.isa
    }

    fn frontend(&self) -> &dyn Frontend {
        self.holder.machine().frontend()
    }

    fn threads(&self) -> Vec<Thread> {
        (0..self.holder.machine().cpus()).map(thread).collect()
    }

    fn describe(&self, thread: Thread) -> String {
        let Some(n) = cpu(thread) else { return String::new() };
        let what = match self.holder.machine().cpu_state(n) {
            Some(CpuState::Running) => "running",
            Some(CpuState::Waiting) => "halted",
            Some(CpuState::Stopped) => "stopped",
            None => return String::new(),
        };
        format!("CPU#{n} [{what}]")
    }

    fn current(&self) -> Thread {
        thread(self.holder.machine().last_cpu())
    }

    fn state(&self, thread: Thread) -> Option<&State> {
        self.holder.machine().state(cpu(thread)?)
    }

    fn set_slot(&mut self, thread: Thread, slot: Slot, value: u64) -> bool {
        let Some(n) = cpu(thread).filter(|n| *n < self.holder.machine().cpus()) else { return false };
        self.holder.machine_mut().state_mut(n).set(slot, value);
        true
    }

    fn control(&mut self, thread: Thread, number: u32, write: Option<u64>) -> Option<u64> {
        let n = cpu(thread).filter(|n| *n < self.holder.machine().cpus())?;
        self.holder.machine_mut().control_debug(n, number, write)
    }

    fn read(&mut self, thread: Thread, addr: u64, buf: &mut [u8]) -> usize {
        cpu(thread).map_or(0, |n| self.holder.machine_mut().read_debug(n, addr, buf))
    }

    fn write(&mut self, thread: Thread, addr: u64, bytes: &[u8]) -> usize {
        cpu(thread).map_or(0, |n| self.holder.machine_mut().write_debug(n, addr, bytes))
    }

    fn read_physical(&mut self, addr: u64, buf: &mut [u8]) -> Option<usize> {
        Some(if self.holder.machine().space().read(addr, buf).is_ok() { buf.len() } else { 0 })
    }

    fn write_physical(&mut self, addr: u64, bytes: &[u8]) -> Option<usize> {
        Some(if self.holder.machine().space().write(addr, bytes).is_ok() { bytes.len() } else { 0 })
    }

    fn position(&self) -> u64 {
        self.holder.machine().retired()
    }

    fn run(&mut self, stops: &Stops, resume: &Resume, interrupt: &mut dyn FnMut() -> bool) -> Why {
        let machine = self.holder.machine_mut();
        Cpus::prepare(machine, stops, resume);
        let why = loop {
            let ended = machine.run(machine.retired().saturating_add(CHUNK));
            if let Some(stop) = machine.take_debug_stop() {
                break Cpus::why(stop);
            }
            match ended {
                Ended::Limit | Ended::Attend | Ended::Debug | Ended::CrashLoaded => {}
                Ended::Pause => break Why::Interrupted,
                ended => {
                    self.ended = Some(ended);
                    break Why::Exited(if let Ended::PowerOff(status) = ended { status as u8 } else { 0 });
                }
            }
            if interrupt() {
                break Why::Interrupted;
            }
        };
        self.holder.machine_mut().set_step(None);
        why
    }

    fn reverses(&self) -> bool {
        self.holder.reverses()
    }

    fn monitor(&mut self, line: &str) -> Option<String> {
        self.holder.monitor(line)
    }

    fn kill(&mut self) {
        self.ended = Some(Ended::Quit);
    }
}
