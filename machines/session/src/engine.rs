//! The execution engine of one guest, with its log.

use crate::log::{Items, Log};
use std::rc::Rc;
use tern_core::engine::{Platform, Stop};
use tern_core::frontend::Frontend;
use tern_core::state::State;
use tern_core::stops::Stops;
use tern_core::system::Flush;
use tern_interp::{Count, Dispatch, LogItem, Stats};

/// A CPU of an engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CpuId(pub u32);

/// How an engine works; none of it changes a result.
#[derive(Clone, Debug)]
pub struct Options {
    /// The dispatcher of the interpreter.
    pub dispatch: Dispatch,
    /// Size of the translation cache in 64-bit words.
    pub cache_words: usize,
    /// Every block is one instruction.
    pub one_insn: bool,
    /// Runs that make a block hot; 0: all are from the start.
    pub hot: u32,
    /// What is counted; slow.
    pub count: Count,
    /// The log.
    pub log: Option<Log>,
}

impl Default for Options {
    fn default() -> Options {
        let interp = tern_interp::Options::default();
        Options {
            dispatch: interp.dispatch,
            cache_words: interp.cache_words,
            one_insn: false,
            hot: interp.hot.unwrap_or(0),
            count: Count::Nothing,
            log: None,
        }
    }
}

/// Runs the CPUs of one guest.
pub struct Engine {
    interp: tern_interp::Engine,
    cpus: Vec<Option<tern_interp::CpuId>>,
    /// Instructions of CPUs that are gone.
    retired: u64,
    /// What was counted on them.
    counted: u64,
    log: Option<Log>,
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine").field("cpus", &self.cpus).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine without CPUs.
    #[must_use]
    pub fn new(frontend: Rc<dyn Frontend>, options: Options) -> Engine {
        let defaults = tern_interp::Options::default();
        let interp = tern_interp::Options {
            dispatch: options.dispatch,
            cache_words: options.cache_words,
            block_insns: if options.one_insn { 1 } else { defaults.block_insns },
            hot: Some(options.hot),
            chain: !options.log.as_ref().is_some_and(|l| l.wants(Items::NOCHAIN)),
            log: options.log.clone().and_then(for_interp),
            count: options.count,
        };
        let interp = tern_interp::Engine::new(frontend, interp);
        Engine { interp, cpus: Vec::new(), retired: 0, counted: 0, log: options.log }
    }

    /// A new CPU in its reset state.
    pub fn add_cpu(&mut self) -> CpuId {
        let inner = Some(self.interp.add_cpu());
        let free = self.cpus.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.cpus.push(None);
            self.cpus.len() - 1
        });
        self.cpus[index] = inner;
        CpuId(index as u32)
    }

    /// Takes a CPU away; its number may be given out again.
    pub fn remove_cpu(&mut self, id: CpuId) {
        if let Some(inner) = self.cpus.get_mut(id.0 as usize).and_then(Option::take) {
            self.retired += self.interp.icount(inner);
            self.counted += self.interp.counted(inner);
            self.interp.remove_cpu(inner);
        }
    }

    fn inner(&self, id: CpuId) -> tern_interp::CpuId {
        self.cpus.get(id.0 as usize).copied().flatten().expect("a CpuId is used only while its CPU is there")
    }

    /// A CPU's slots.
    #[must_use]
    pub fn state(&self, id: CpuId) -> &State {
        self.interp.state(self.inner(id))
    }

    /// A CPU's slots, to change between runs.
    pub fn state_mut(&mut self, id: CpuId) -> &mut State {
        let inner = self.inner(id);
        self.interp.state_mut(inner)
    }

    /// Runs a CPU for exactly `insns` instructions unless something stops it before.
    pub fn run(&mut self, id: CpuId, platform: &mut dyn Platform, insns: u64) -> Stop {
        let inner = self.inner(id);
        let stop = self.interp.run(inner, platform, insns);
        if let Some(log) = &self.log {
            self.log_stop(log, id, stop);
        }
        stop
    }

    fn log_stop(&self, log: &Log, id: CpuId, stop: Stop) {
        let pc = self.state(id).pc();
        match stop {
            Stop::Trap { cause, value } => {
                log.write(Items::INT, format_args!("cpu {} trap {cause} at {pc:#x}, value {value:#x}", id.0));
            }
            Stop::Fault(f) => {
                let (access, kind, addr) = (f.access, f.kind, f.addr);
                log.write(Items::INT, format_args!("cpu {} fault at {pc:#x}: {access:?} {addr:#x}, {kind:?}", id.0));
            }
            Stop::Syscall => log.write(Items::INT, format_args!("cpu {} syscall before {pc:#x}", id.0)),
            Stop::Limit | Stop::Halt | Stop::Yield | Stop::Resync | Stop::Breakpoint | Stop::Watch(_) => {}
        }
    }

    /// From now on these stop the CPUs.
    pub fn set_stops(&mut self, stops: &Stops) {
        self.interp.set_stops(stops);
    }

    /// A breakpoint where the CPU stands does not stop it this time.
    pub fn pass(&mut self, id: CpuId) {
        let inner = self.inner(id);
        self.interp.pass(inner);
    }

    /// Sets the number of instructions that a CPU has retired: it goes on from a saved state.
    pub fn set_icount(&mut self, id: CpuId, icount: u64) {
        let inner = self.inner(id);
        self.interp.set_icount(inner, icount);
    }

    /// Lets a CPU forget about address translation.
    pub fn forget(&mut self, id: CpuId, flush: Flush) {
        let inner = self.inner(id);
        self.interp.forget_later(inner, flush);
    }

    /// Logs an interrupt that a CPU takes.
    pub(crate) fn log_interrupt(&self, id: CpuId, cause: u64) {
        if let Some(log) = &self.log {
            log.write(Items::INT, format_args!("cpu {} interrupt {cause:#x}", id.0));
        }
    }

    /// Instructions that a CPU has retired.
    #[must_use]
    pub fn icount(&self, id: CpuId) -> u64 {
        self.interp.icount(self.inner(id))
    }

    /// Instructions that all CPUs have retired, those that are gone too.
    #[must_use]
    pub fn total_icount(&self) -> u64 {
        self.cpus.iter().flatten().fold(self.retired, |sum, &id| sum + self.interp.icount(id))
    }

    /// The ISA.
    #[must_use]
    pub fn frontend(&self) -> &Rc<dyn Frontend> {
        self.interp.frontend()
    }

    /// What [`Options::count`] wants, of all CPUs, those that are gone too.
    #[must_use]
    pub fn total_counted(&self) -> u64 {
        self.cpus.iter().flatten().fold(self.counted, |sum, &id| sum + self.interp.counted(id))
    }

    /// With [`Count::Sequences`]: sequences of the words run by the CPUs that are there, with their counts.
    #[must_use]
    pub fn sequences(&self) -> Vec<(Vec<&'static str>, u64)> {
        self.cpus.iter().flatten().flat_map(|id| self.interp.sequences(*id)).collect()
    }

    /// Counters so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.interp.stats()
    }
}

/// The interpreter's items that are wanted, and a sink that hands them to the log.
fn for_interp(log: Log) -> Option<(u32, tern_interp::LogSink)> {
    const PAIRS: [(Items, LogItem); 5] = [
        (Items::IN_ASM, LogItem::InAsm),
        (Items::IR, LogItem::Ir),
        (Items::BYTECODE, LogItem::Bytecode),
        (Items::EXEC, LogItem::Exec),
        (Items::CPU, LogItem::Cpu),
    ];
    let wanted = PAIRS.iter().filter(|(item, _)| log.wants(*item)).fold(0, |bits, (_, inner)| bits | *inner as u32);
    let sink = move |inner: LogItem, text: core::fmt::Arguments<'_>| {
        if let Some((item, _)) = PAIRS.iter().find(|(_, i)| *i == inner) {
            log.write(*item, text);
        }
    };
    (wanted != 0).then(|| (wanted, Rc::new(sink) as tern_interp::LogSink))
}
