//! A fake engine and a process for unit tests of handlers.

use crate::config::{Config, CpuModel};
use crate::cx::Cx;
use crate::engine::{CpuId, Engine};
use crate::isa::Isa;
use crate::mm::vma::{Name, Perm};
use crate::mm::{MemLimits, Space, UNLIMITED};
use crate::paths::Paths;
use crate::process::{Image, MemRlimits, Process, Rlimit};
use crate::sched::RegisterSlots;
use crate::signal::ProcessSignals;
use crate::table::Table;
use crate::thread::Thread;
use std::collections::BTreeMap;
use std::rc::Rc;
use tern_core::engine::{Platform, Stop};
use tern_core::ir::Ty;
use tern_core::state::{LayoutBuilder, Role, State, StateLayout};

/// CPUs that only have state; a run answers from a script.
pub(crate) struct FakeEngine {
    layout: StateLayout,
    cpus: BTreeMap<CpuId, State>,
    /// What the next runs report, last first.
    pub(crate) stops: Vec<Stop>,
    icount: u64,
}

impl Engine for FakeEngine {
    fn add_cpu(&mut self) -> CpuId {
        let id = CpuId(self.cpus.keys().last().map_or(0, |c| c.0 + 1));
        self.cpus.insert(id, State::new(&self.layout));
        id
    }
    fn remove_cpu(&mut self, id: CpuId) {
        self.cpus.remove(&id);
    }
    fn state(&self, id: CpuId) -> &State {
        &self.cpus[&id]
    }
    fn state_mut(&mut self, id: CpuId) -> &mut State {
        self.cpus.get_mut(&id).expect("the CPU was added")
    }
    fn run(&mut self, _id: CpuId, _platform: &mut dyn Platform, insns: u64) -> Stop {
        let stop = self.stops.pop().unwrap_or(Stop::Limit);
        self.icount += if stop == Stop::Limit { insns } else { 1 };
        stop
    }
    fn icount(&self, _id: CpuId) -> u64 {
        self.icount
    }
}

/// A layout with 32 general registers and 32 floating-point ones.
pub(crate) fn layout() -> StateLayout {
    let mut b = LayoutBuilder::new(64, &[]);
    for n in 1..32 {
        let _ = b.near(format!("x{n}"), Ty::I64, 64, Role::Gpr(n));
    }
    for n in 0..32 {
        let _ = b.near(format!("f{n}"), Ty::I64, 64, Role::Fpr(n));
    }
    b.finish()
}

/// The CPU model of the tests.
pub(crate) fn model() -> CpuModel {
    let probe = vec![(3, 1), (4, 0b10_1011), (9, 3)];
    CpuModel { layout: layout(), isa_string: "rv64imafdc".into(), hwcap: [0x112d, 0], probe }
}

/// Where [`Fixture`] has two pages of scratch memory; the page after them is not mapped.
pub(crate) const SCRATCH: u64 = 0x10_0000;

/// A process with one thread and some scratch memory.
pub(crate) struct Fixture {
    pub(crate) process: Process,
    pub(crate) engine: FakeEngine,
}

impl Fixture {
    pub(crate) fn new(isa: &'static Isa) -> Fixture {
        let layout = layout();
        let mut engine = FakeEngine { layout: layout.clone(), cpus: BTreeMap::new(), stops: Vec::new(), icount: 0 };
        let cpu = engine.add_cpu();
        let none = Rlimit { soft: UNLIMITED, hard: UNLIMITED };
        let stack = Rlimit { soft: 8 << 20, hard: UNLIMITED };
        let limits = MemLimits { address_space: UNLIMITED, data: UNLIMITED, stack: 8 << 20, locked: UNLIMITED };
        let mut mem = Space::new(isa.layout, limits);
        let request = crate::mm::map::Request {
            addr: SCRATCH,
            len: 0x2000,
            perm: Perm::RW,
            flags: crate::abi::flags::Map::MAP_FIXED,
            shared: false,
            file: None,
            name: Name::Anon,
        };
        assert_eq!(mem.mmap(&request), Ok(SCRATCH));
        let pid = tern_host::sys::proc::getpid().expect("a process has a number");
        let process = Process {
            isa,
            registers: RegisterSlots::new(isa, &layout).expect("the layout has the roles"),
            model: model(),
            mem,
            threads: BTreeMap::from([(pid, Thread::new(pid, cpu))]),
            pid,
            table: Rc::new(Table::new(isa)),
            config: Rc::new(Config::new(b"prog".to_vec(), vec![b"prog".to_vec()], Vec::new())),
            paths: Paths::default(),
            image: Image::default(),
            signals: ProcessSignals::default(),
            futexes: crate::futex::Futexes::default(),
            timers: crate::timers::Timers::default(),
            children: BTreeMap::new(),
            main_status: None,
            vfork: None,
            last_thread: 0,
            signalfds: crate::sys::signalfd::Signalfds::default(),
            child_events: 0,
            rlimits: MemRlimits { address_space: none, data: none, stack, locked: none },
            debug: None,
            waits_in_kernel: false,
            retired: 0,
            turns: crate::turns::Turns::default(),
            recorder: None,
            lost_recording: None,
            script: None,
            exit: None,
        };
        Fixture { process, engine }
    }

    pub(crate) fn cx(&mut self) -> Cx<'_> {
        let tid = self.process.pid;
        Cx { process: &mut self.process, engine: &mut self.engine, tid }
    }

    /// Issues a call by name and returns its result: a value or an errno; `None` if it blocks or does not return.
    pub(crate) fn call(&mut self, name: &str, args: [u64; 6]) -> Option<Result<u64, crate::abi::Errno>> {
        let row = crate::table::row(name).unwrap_or_else(|| panic!("no row {name}"));
        match (row.run)(&mut self.cx(), &args) {
            Ok(v) => Some(Ok(v)),
            Err(crate::cx::Outcome::Err(e)) => Some(Err(e)),
            Err(_) => None,
        }
    }
}
