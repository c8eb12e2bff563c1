//! A guest process: memory, threads, tables, and what the kernel keeps for it.

use crate::config::{Config, CpuModel};
use crate::isa::Isa;
use crate::mm::Space;
use crate::paths::Paths;
use crate::sched::RegisterSlots;
use crate::signal::ProcessSignals;
use crate::table::Table;
use crate::thread::{Thread, Tid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ExitStatus {
    /// By `exit_group`, with the low 8 bits that the parent sees.
    Code(u8),
    /// By a signal (asm-generic number).
    Signal(i32),
}

/// A resource limit; all bits set is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rlimit {
    /// In force.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// What the loader put into memory, for `/proc` and signal delivery.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Image {
    /// Absolute host path of the program.
    pub exe: Vec<u8>,
    /// `argv` of the guest.
    pub argv: Vec<Vec<u8>>,
    /// The auxiliary vector as it lies on the stack.
    pub auxv: Vec<u8>,
    /// Where the arguments' strings lie: start and end.
    pub args: (u64, u64),
    /// Where the environment's strings lie: start and end.
    pub envs: (u64, u64),
    /// Code: start and end.
    pub code: (u64, u64),
    /// Data: start and end.
    pub data: (u64, u64),
    /// Where the first thread starts.
    pub entry: u64,
    /// Its stack pointer at the start.
    pub stack: u64,
    /// The signal trampoline.
    pub trampoline: u64,
}

/// A guest process.
pub struct Process {
    /// Its ISA.
    pub isa: &'static Isa,
    /// The CPU model.
    pub model: CpuModel,
    /// The slots of the registers that the kernel looks at.
    pub registers: RegisterSlots,
    /// Memory.
    pub mem: Space,
    /// Threads by number.
    pub threads: BTreeMap<Tid, Thread>,
    /// The process's number: the host's.
    pub pid: Tid,
    /// Syscalls.
    pub table: Rc<Table>,
    /// What the user asked for.
    pub config: Rc<Config>,
    /// Path look-up.
    pub paths: Paths,
    /// What the loader made.
    pub image: Image,
    /// Signals.
    pub signals: ProcessSignals,
    /// Threads that wait for futexes.
    pub futexes: crate::futex::Futexes,
    /// POSIX timers.
    pub timers: crate::timers::Timers,
    /// Children that do not tell of their end by `SIGCHLD`: number and signal (zero for none).
    pub children: BTreeMap<Tid, i32>,
    /// The main thread has ended before the others: its status.
    pub main_status: Option<u8>,
    /// In a child of `vfork` that shares its parent's memory: how the parent gets what is written here.
    pub vfork: Option<crate::vfork::Child>,
    /// What the last thread number was made from.
    pub last_thread: i32,
    /// Descriptors from which signals are read.
    pub signalfds: crate::sys::signalfd::Signalfds,
    /// How often a child was seen to change its state.
    pub child_events: u64,
    /// Limits that tern itself keeps (memory); the others are the host's.
    pub rlimits: MemRlimits,
    /// Its debugger, if it has one.
    pub debug: Option<Box<crate::debug::Debug>>,
    /// A call of its only thread may wait in the host's kernel rather than in the scheduler.
    pub waits_in_kernel: bool,
    /// Instructions that all its threads have retired: the position.
    pub retired: u64,
    /// Whose turn it is next, and for how long.
    pub turns: crate::turns::Turns,
    /// The run is recorded.
    pub recorder: Option<Box<crate::record::Recorder>>,
    /// Why the recording of a forked process could not begin.
    pub lost_recording: Option<String>,
    /// The run is a replay: what the log says about the call that is being replayed.
    pub script: Option<Box<crate::record::Script>>,
    /// How it ended, once it has.
    pub exit: Option<ExitStatus>,
}

/// The limits that apply to guest memory and not to tern's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemRlimits {
    /// `RLIMIT_AS`.
    pub address_space: Rlimit,
    /// `RLIMIT_DATA`.
    pub data: Rlimit,
    /// `RLIMIT_STACK`.
    pub stack: Rlimit,
    /// `RLIMIT_MEMLOCK`.
    pub locked: Rlimit,
}

impl Process {
    /// Nanoseconds of the host's monotonic clock, which deadlines are in.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        tern_host::clock::monotonic_ns()
    }

    /// Hands the limits on memory to the address space.
    pub fn apply_limits(&mut self) {
        let l = &self.rlimits;
        self.mem.limits = crate::mm::MemLimits {
            address_space: l.address_space.soft,
            data: l.data.soft,
            stack: l.stack.soft,
            locked: l.locked.soft,
        };
    }
}
