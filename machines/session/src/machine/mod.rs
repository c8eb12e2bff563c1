//! Whole machines: CPUs, memory, devices and wires, and the loop that runs them.
//!
//! A board builds a [`Machine`] from its part list: an address space, devices in numbered places, lines between them.  The
//! run loop gives CPUs their turns on one thread, lets events happen at their exact position, and takes in what comes from
//! outside between slices.

mod debug;
pub mod disk;
mod fabric;
mod inspect;
mod outside;
mod replay;
mod run;
mod snapshot;
pub mod tape;

pub use debug::DebugStop;
pub use inspect::{LineEvent, Physical};
pub use outside::{Control, Nobody, Outside};
pub use run::Ended;
pub use snapshot::SnapshotError;
pub use tape::Tape;

use crate::engine::{CpuId, Engine, Options};
use crate::firmware::Firmware;
use crate::log::{Items, Log};
use fabric::{Fabric, Part, Position};
use std::collections::VecDeque;
use std::rc::Rc;
use tape::{Data, Place as At};
use tern_core::device::{Bus, Device, Dma, IrqLine, Kit, Mapper, Reporter, Sink, Wires};
use tern_core::engine::Event;
use tern_core::frontend::Frontend;
use tern_core::mem::space::AddressSpace;
use tern_core::state::State;
use tern_core::system::{Flush, Reset};
use tern_core::time::{Clock, EventQueue, Owner};

/// Gets the lines about guest mistakes and missing features.
pub(crate) type ReportSink = Rc<dyn Fn(Event, core::fmt::Arguments<'_>)>;

/// What guest time follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockMode {
    /// Retired instructions: one takes 2^`shift` nanoseconds.
    Instructions {
        /// 0 to 10.
        shift: u8,
    },
    /// The host's clock.
    Host,
}

/// How a machine runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What guest time follows.
    pub clock: ClockMode,
    /// A machine in which every CPU waits lets as much host time pass as guest time; else it goes on at once.
    pub paced: bool,
    /// Instructions of one turn when there are several CPUs.
    pub turn: u64,
    /// The engine.
    pub engine: Options,
    /// The log.
    pub log: Option<Log>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            clock: ClockMode::Instructions { shift: 0 },
            paced: true,
            turn: 250_000,
            engine: Options::default(),
            log: None,
        }
    }
}

/// Whether a CPU has something to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuState {
    /// It runs when it is its turn.
    Running,
    /// It waits for an interrupt.
    Waiting,
    /// It is switched off until somebody starts it.
    Stopped,
}

pub(crate) struct Hart {
    pub(crate) cpu: CpuId,
    pub(crate) state: CpuState,
    pub(crate) reset: Reset,
    /// It is stopped after reset, until firmware starts it.
    pub(crate) parked: bool,
}

/// A reserved place for a device.
pub struct Place {
    /// The device's number.
    pub number: u32,
    /// What it is built with.
    pub kit: Kit,
    name: String,
}

/// What a board does to memory at power-on and reset: loads firmware, kernels, device trees.
pub type Loader = Box<dyn FnMut(&AddressSpace)>;

/// A machine.
pub struct Machine {
    engine: Engine,
    frontend: Rc<dyn Frontend>,
    harts: Vec<Hart>,
    fabric: Fabric,
    firmware: Option<Box<dyn Firmware>>,
    loader: Loader,
    settings: Settings,
    /// Whose turn is next.
    turn: usize,
    /// The CPU whose turn a run's end has cut off, and the instructions that it has left.
    unfinished: Option<(usize, u64)>,
    /// Retired instructions when the outside was polled last.
    polled: u64,
    ports: Vec<(u32, u32)>,
    inputs: u64,
    /// Stops for traps and waits so far; with the retired instructions, they tell where the machine is.
    stops: u64,
    /// Retired instructions when the log got a digest last.
    digested: u64,
    tape: Tape,
    /// Input from control surfaces for devices, which comes in with that from outside.
    queued: VecDeque<Data>,
    debug: debug::Debug,
}

/// A machine cannot be built like that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSystem;

impl core::fmt::Display for NoSystem {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("this CPU runs programs only; a machine needs its privileged side")
    }
}

impl core::error::Error for NoSystem {}

impl Machine {
    /// A machine with memory and no CPUs or devices yet.
    ///
    /// # Errors
    /// A CPU without a privileged side.
    pub fn new(frontend: Rc<dyn Frontend>, space: AddressSpace, settings: Settings) -> Result<Machine, NoSystem> {
        if frontend.system().is_none() {
            return Err(NoSystem);
        }
        let wires = Wires::new();
        let log = settings.log.clone();
        let report: ReportSink = Rc::new(move |event, text| {
            let item = if event == Event::GuestError { Items::GUEST_ERRORS } else { Items::UNIMP };
            if let Some(log) = &log {
                log.write(item, text);
            }
        });
        let fabric = Fabric {
            space,
            parts: Vec::new(),
            queue: EventQueue::new(),
            messenger: wires.messenger(),
            wires,
            position: Position { mode: settings.clock, retired: 0, base: 0, skipped: 0, host_zero: 0 },
            outside: Box::new(Nobody),
            current: 0,
            changes: Vec::new(),
            watched: None,
            seen: Vec::new(),
            requests: Vec::new(),
            guest_errors: 0,
            unimplemented: 0,
            report,
        };
        Ok(Machine {
            engine: Engine::new(frontend.clone(), settings.engine.clone()),
            frontend,
            harts: Vec::new(),
            fabric,
            firmware: None,
            loader: Box::new(|_| {}),
            settings,
            turn: 0,
            unfinished: None,
            polled: 0,
            ports: Vec::new(),
            inputs: 0,
            stops: 0,
            digested: 0,
            tape: Tape::None,
            queued: VecDeque::new(),
            debug: debug::Debug::default(),
        })
    }

    /// Adds a CPU that begins as `reset` says; a parked one stays off until firmware starts it.
    pub fn add_cpu(&mut self, reset: Reset, parked: bool) {
        let cpu = self.engine.add_cpu();
        self.harts.push(Hart { cpu, state: CpuState::Running, reset, parked });
    }

    /// Changes where CPUs begin at the next reset.
    pub fn set_reset(&mut self, cpu: usize, reset: Reset) {
        if let Some(hart) = self.harts.get_mut(cpu) {
            hart.reset = reset;
        }
    }

    /// Reserves a place for a device named `name` (`uart0`).
    pub fn place(&mut self, name: &str) -> Place {
        let number = self.fabric.parts.len() as u32;
        self.fabric.parts.push(None);
        let bus: Rc<dyn Bus> = Rc::new(self.fabric.space.clone());
        let report = self.fabric.report.clone();
        let kit = Kit {
            clock: Clock::new(self.fabric.queue.clone(), Owner::Device(number)),
            dma: Dma::new(bus.clone()),
            messenger: self.fabric.messenger.clone(),
            mapper: Mapper::new(bus, number),
            report: Reporter::new(name, move |event, text| report(event, text)),
        };
        Place { number, kit, name: name.to_owned() }
    }

    /// Puts a device into its place.
    pub fn install(&mut self, number: u32, name: &str, device: Box<dyn Device>) {
        if let Some(part) = self.fabric.parts.get_mut(number as usize) {
            *part = Some(Part { name: name.to_owned(), device });
        }
    }

    /// A new line to `sink`.
    #[must_use]
    pub fn line(&self, sink: Sink) -> IrqLine {
        self.fabric.wires.line(sink)
    }

    /// What happens to memory at power-on and reset.
    pub fn set_loader(&mut self, loader: Loader) {
        self.loader = loader;
    }

    /// What stands in for the guest's most privileged software.
    pub fn set_firmware(&mut self, firmware: Box<dyn Firmware>) {
        self.firmware = Some(firmware);
    }

    /// Connects the world outside.
    pub fn set_outside(&mut self, outside: Box<dyn Outside>) {
        self.ports = outside.ports();
        self.fabric.outside = outside;
        let elapsed = self.fabric.queue.now();
        self.fabric.position.host_zero = self.fabric.outside.now().saturating_sub(elapsed);
    }

    /// The ports of the world outside have changed: a device has come or gone.
    pub fn refresh_ports(&mut self) {
        self.ports = self.fabric.outside.ports();
    }

    /// Inputs are noted in a log, or come from one, from now on.  To be called before the machine runs.
    pub fn set_tape(&mut self, tape: Tape) {
        self.tape = tape;
    }

    /// What is recorded or replayed.
    #[must_use]
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Where it is.
    #[must_use]
    pub fn at(&self) -> At {
        At { retired: self.fabric.position.retired, stops: self.stops }
    }

    /// Hands `bytes` to a port of a device; while a log is written, as one of the inputs at the next look at the outside.
    /// A replay has only its own.
    pub fn deliver(&mut self, device: u32, port: u32, bytes: Vec<u8>) {
        match self.tape {
            Tape::None => {
                self.with_device(device, |d| d.receive(port, &bytes));
            }
            Tape::Record(_) => self.queued.push_back(Data { device, port, bytes }),
            Tape::Replay(_) => {}
        }
    }

    /// Its memory map.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.fabric.space
    }

    /// Number of CPUs.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.harts.len()
    }

    /// The state of a CPU.
    #[must_use]
    pub fn cpu_state(&self, cpu: usize) -> Option<CpuState> {
        self.harts.get(cpu).map(|h| h.state)
    }

    /// A CPU's slots.
    #[must_use]
    pub fn state(&self, cpu: usize) -> Option<&State> {
        self.harts.get(cpu).map(|h| self.engine.state(h.cpu))
    }

    /// The ISA of its CPUs.
    #[must_use]
    pub fn frontend(&self) -> &dyn Frontend {
        &*self.frontend
    }

    /// Instructions that all CPUs have retired.
    #[must_use]
    pub fn retired(&self) -> u64 {
        self.fabric.position.retired
    }

    /// Guest time in nanoseconds.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.fabric.queue.now()
    }

    /// Guest mistakes and missing features counted so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.fabric.guest_errors, self.fabric.unimplemented)
    }

    /// What the engine did.
    #[must_use]
    pub fn stats(&self) -> crate::Stats {
        self.engine.stats()
    }

    /// Inputs taken in so far.
    #[must_use]
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Power-on: everything as new, memory loaded, CPUs at their first instruction.
    pub fn power_on(&mut self) {
        self.fabric.wires.reset();
        self.fabric.queue.clear();
        self.fabric.changes.clear();
        self.fabric.requests.clear();
        for part in self.fabric.parts.iter_mut().flatten() {
            part.device.reset();
        }
        self.fabric.settle();
        (self.loader)(&self.fabric.space);
        for hart in &mut self.harts {
            reset_cpu(&*self.frontend, self.engine.state_mut(hart.cpu), hart.reset);
            hart.state = if hart.parked { CpuState::Stopped } else { CpuState::Running };
            self.engine.forget(hart.cpu, Flush::All);
        }
        if let Some(mut firmware) = self.firmware.take() {
            firmware.reset(&mut self.host());
            self.firmware = Some(firmware);
        }
        self.turn = 0;
        self.unfinished = None;
        self.debug.traps = 0;
    }
}

/// Puts all slots of a CPU into their reset state.
fn reset_cpu(frontend: &dyn Frontend, state: &mut State, reset: Reset) {
    for row in frontend.layout().rows() {
        state.set(row.slot, row.reset);
    }
    if let Some(system) = frontend.system() {
        system.reset(state, reset);
    }
}

impl Place {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
