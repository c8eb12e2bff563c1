//! The entry point: loads a program and runs it.

use crate::config::{Config, CpuModel, DEFAULT_RELEASE};
use crate::elf::loader::{self, LoadedProgram, Program};
use crate::elf::stack::{self, StackRequest};
use crate::elf::{LoadError, Reason, vdso};
use crate::engine::Engine;
use crate::events::LogHook;
use crate::exec::{self, Guest, Target};
use crate::isa::Isa;
use crate::mm::{Clock, Layout, MemLimits, Space, UNLIMITED};
use crate::paths::Paths;
use crate::process::{ExitStatus, Image, MemRlimits, Process, Rlimit};
use crate::record::{self, RecordError, Recorder};
use crate::sched::{self, RegisterSlots};
use crate::signal::ProcessSignals;
use crate::table::Table;
use crate::thread::{Thread, Tid};
use std::collections::BTreeMap;
use std::rc::Rc;
use tern_host::sys;
use tern_host::sys::host;

/// A program that is ready to be loaded: its ISA is known, so that a CPU can be made for it.
pub struct Prepared {
    config: Config,
    paths: Paths,
    guest: Box<Guest>,
}

/// How a run ended, and what it lacked.
#[derive(Debug)]
pub struct Finished {
    /// How the guest ended.
    pub status: ExitStatus,
    /// What was missing, one line each, as [`crate::events::Events::summary`] lists it.
    pub unimplemented: String,
}

impl Prepared {
    /// Finds the program and reads its headers.
    ///
    /// # Errors
    /// It does not exist, or it is nothing that tern runs.
    pub fn new(config: Config) -> Result<Prepared, LoadError> {
        let paths = Paths::new(config.sysroot.as_deref());
        if let Some(root) = &config.sysroot {
            let dir = std::ffi::CString::new(root.as_slice()).unwrap_or_default();
            let stat = sys::fs::fstatat(sys::CWD, &dir, 0).map_err(|e| LoadError::new(root, Reason::Os(e.into())))?;
            if stat.mode & 0o170_000 != 0o040_000 {
                return Err(LoadError::new(root, Reason::Os(crate::abi::Errno::ENOTDIR)));
            }
        }
        let argv = if config.argv.is_empty() { vec![config.program.clone()] } else { config.argv.clone() };
        match exec::resolve(&paths, &config.program, &argv)? {
            Target::Guest(guest) => Ok(Prepared { config, paths, guest }),
            Target::Host => {
                let (m, is64, big) = exec::host_machine().unwrap_or_default();
                Err(LoadError::new(&config.program, Reason::Machine(m, is64, big)))
            }
        }
    }

    /// The program's ISA.
    #[must_use]
    pub fn isa(&self) -> &'static Isa {
        self.guest.headers.isa
    }

    /// Loads the program and runs it to its end on an engine whose CPUs have `model`'s layout.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn run(self, model: CpuModel, engine: &mut dyn Engine, log: Option<LogHook>) -> Result<Finished, LoadError> {
        let mut process = self.load(model, engine)?;
        process.mem.events.set_log(log);
        let status = sched::run(&mut process, engine);
        Ok(Finished { status, unimplemented: process.mem.events.summary() })
    }

    /// Loads the program: a process with one thread, ready to run.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn load(self, model: CpuModel, engine: &mut dyn Engine) -> Result<Process, LoadError> {
        let rlimits = limits(&self.config);
        self.load_with(model, engine, rlimits, None)
    }

    /// Loads the program and begins to record it.
    ///
    /// # Errors
    /// It cannot be loaded, or the log cannot be written.
    pub fn record(
        mut self,
        model: CpuModel,
        engine: &mut dyn Engine,
        options: record::Options,
    ) -> Result<Process, RecordError> {
        let shift = match self.config.clock {
            Clock::Icount { shift } => shift,
            Clock::Host => RECORDED_SHIFT,
        };
        self.config.clock = Clock::Icount { shift };
        let rlimits = limits(&self.config);
        let fail = |e: sys::Errno| LoadError::new(&self.config.program, Reason::Os(e.into()));
        let setup = record::item::Setup {
            version: record::item::VERSION,
            isa: self.isa().name.to_owned(),
            cpu: options.cpu.clone(),
            pid: sys::proc::getpid().map_err(fail)?,
            limits: rlimits,
            reserved_va: self.config.reserved_va,
            shift,
            sysroot: self.config.sysroot.clone(),
            schedule: options.schedule.clone(),
            parent: None,
        };
        let recorder = Recorder::new(options, setup, 0)?;
        Ok(self.load_with(model, engine, rlimits, Some(Box::new(recorder)))?)
    }

    fn load_with(
        self,
        model: CpuModel,
        engine: &mut dyn Engine,
        rlimits: MemRlimits,
        mut recorder: Option<Box<Recorder>>,
    ) -> Result<Process, LoadError> {
        let Prepared { config, paths, mut guest } = self;
        let fail = |e: sys::Errno| LoadError::new(&config.program, Reason::Os(e.into()));
        tern_host::signal::last_resort().map_err(fail)?;
        let pid = sys::proc::getpid().map_err(fail)?;
        let facts = Facts::of_host(config.program.clone(), config.env.clone())?;
        let mut blank = blank(guest.headers.isa, model, &config, pid, rlimits)
            .ok_or_else(|| LoadError::new(&guest.path, Reason::CpuModel))?;
        if recorder.is_some() {
            blank.mem.track_pages();
        }
        blank.paths = paths;
        blank.config = Rc::new(config);
        let mut process = blank;
        let program = load_guest(&mut process, &mut guest, facts, recorder.as_deref_mut())?;
        if let Some(recorder) = &mut recorder {
            recorder.set_program(program);
        }
        process.recorder = recorder;
        first_thread(&mut process, engine);
        Ok(process)
    }
}

/// log2 of nanoseconds per instruction in recorded runs.
const RECORDED_SHIFT: u8 = 1;

/// What the kernel tells a new program, besides its files.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The path as it was given.
    pub execfn: Vec<u8>,
    /// The environment.
    pub env: Vec<Vec<u8>>,
    /// 16 random bytes.
    pub random: [u8; 16],
    /// Users.
    pub uid: sys::cred::Ids,
    /// Groups.
    pub gid: sys::cred::Ids,
}

impl Facts {
    /// As the host has them now.
    ///
    /// # Errors
    /// The host does not tell.
    pub fn of_host(execfn: Vec<u8>, env: Vec<Vec<u8>>) -> Result<Facts, LoadError> {
        let fail = |e: crate::abi::Errno| LoadError::new(&execfn, Reason::Os(e));
        let mut random = [0; 16];
        tern_host::entropy::fill(&mut random).map_err(|e| fail(e.into()))?;
        let uid = sys::cred::getresuid().map_err(|e| fail(e.into()))?;
        let gid = sys::cred::getresgid().map_err(|e| fail(e.into()))?;
        Ok(Facts { execfn, env, random, uid, gid })
    }
}

/// Loads a program of the host's files into the process's empty memory; what a replay needs for it, if it is recorded.
///
/// # Errors
/// It cannot be loaded.
pub fn load_guest(
    process: &mut Process,
    guest: &mut Guest,
    facts: Facts,
    recorder: Option<&mut Recorder>,
) -> Result<record::item::Program, LoadError> {
    let mut files = Vec::new();
    let mut recorder = recorder;
    if let Some(recorder) = &mut recorder {
        files.push(guest.program.record(recorder)?);
    }
    let paths = process.paths.clone();
    let open = &mut |path: &[u8]| {
        let mut program = Program::open(&paths, path)?;
        if let Some(recorder) = &mut recorder {
            files.push(program.record(recorder)?);
        }
        Ok(program)
    };
    load_image(process, guest, &facts, open)?;
    let Facts { execfn, env, random, uid, gid } = facts;
    let (uid, gid) = ((uid.real, uid.effective), (gid.real, gid.effective));
    let (path, argv) = (guest.path.clone(), guest.argv.clone());
    Ok(record::item::Program { path, execfn, argv, env, files, random, uid, gid })
}

/// Loads a program into the process's empty memory and sets its image.
///
/// # Errors
/// It cannot be loaded.
pub fn load_image(
    process: &mut Process,
    guest: &Guest,
    facts: &Facts,
    open: loader::Opener<'_>,
) -> Result<(), LoadError> {
    let fail = |e| LoadError::new(&guest.path, Reason::Os(e));
    let (isa, mem) = (process.isa, &mut process.mem);
    let loaded = loader::load(mem, open, &guest.program, &guest.headers)?;
    let (vdso, trampoline) = vdso::map(mem, isa).map_err(fail)?;
    let request = StackRequest {
        isa,
        model: &process.model,
        loaded: &loaded,
        vdso,
        execfn: &facts.execfn,
        argv: &guest.argv,
        env: &facts.env,
        uid: facts.uid,
        gid: facts.gid,
        random: facts.random,
    };
    let stack = stack::build(mem, &request)?;
    process.image = image(guest, &loaded, stack, trampoline);
    Ok(())
}

/// The first thread of a program that is loaded.
pub fn first_thread(process: &mut Process, engine: &mut dyn Engine) {
    let cpu = engine.add_cpu();
    let mut thread = Thread::new(process.pid, cpu);
    thread.name = comm(&process.config.program);
    process.threads.insert(process.pid, thread);
    set_start(process, engine.state_mut(cpu));
}

/// The registers that a program starts with.
pub fn set_start(process: &Process, state: &mut tern_core::state::State) {
    state.set(process.registers.sp, process.image.stack);
    state.set_pc(process.image.entry);
}

/// A process without a program; `None` if the CPU's layout lacks a register.
#[must_use]
pub fn blank(isa: &'static Isa, model: CpuModel, config: &Config, pid: Tid, rlimits: MemRlimits) -> Option<Process> {
    let registers = RegisterSlots::new(isa, &model.layout)?;
    let mut mem = Space::new(layout(isa, config.reserved_va), mem_limits(&rlimits));
    mem.clock = config.clock;
    Some(Process {
        isa,
        registers,
        model,
        mem,
        threads: BTreeMap::new(),
        pid,
        table: Rc::new(Table::new(isa)),
        config: Rc::new(config.clone()),
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
        rlimits,
        debug: None,
        waits_in_kernel: true,
        retired: 0,
        turns: crate::turns::Turns::default(),
        recorder: None,
        lost_recording: None,
        script: None,
        exit: None,
    })
}

/// The ISA's layout in an address space that ends at `reserved`, if that is smaller.
fn layout(isa: &Isa, reserved: Option<u64>) -> Layout {
    match reserved.map(crate::mm::page_down).filter(|end| *end < isa.layout.task_size) {
        None => isa.layout,
        // ELF_ET_DYN_BASE: two thirds of the space.
        Some(end) => Layout { task_size: end, pie_base: crate::mm::page_down(end / 3 * 2) },
    }
}

fn entry(loaded: &LoadedProgram) -> u64 {
    loaded.interpreter.map_or(loaded.program.entry, |i| i.entry)
}

fn image(guest: &Guest, loaded: &LoadedProgram, stack: stack::Stack, trampoline: u64) -> Image {
    Image {
        exe: guest.program.absolute(),
        argv: guest.argv.clone(),
        auxv: stack.auxv,
        args: stack.args,
        envs: stack.envs,
        code: loaded.program.code,
        data: loaded.program.data,
        entry: entry(loaded),
        stack: stack.sp,
        trampoline,
    }
}

/// The thread's name that execve gives: the last component, at most 15 bytes.
#[must_use]
pub fn comm(path: &[u8]) -> Vec<u8> {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    name[..name.len().min(15)].to_vec()
}

/// The host's limits on memory, which become the guest's own.
fn limits(config: &Config) -> MemRlimits {
    let get = |resource| match sys::proc::prlimit(0, resource, None) {
        Ok(l) => Rlimit { soft: l.soft, hard: l.hard },
        Err(_) => Rlimit { soft: UNLIMITED, hard: UNLIMITED },
    };
    let mut stack = get(host::RLIMIT_STACK);
    if let Some(size) = config.stack_size {
        stack = Rlimit { soft: size, hard: stack.hard.max(size) };
    }
    MemRlimits {
        address_space: get(host::RLIMIT_AS),
        data: get(host::RLIMIT_DATA),
        stack,
        locked: get(host::RLIMIT_MEMLOCK),
    }
}

fn mem_limits(l: &MemRlimits) -> MemLimits {
    MemLimits { address_space: l.address_space.soft, data: l.data.soft, stack: l.stack.soft, locked: l.locked.soft }
}

/// What `uname -r` says under a configuration.
#[must_use]
pub fn release(config: &Config) -> &[u8] {
    config.release.as_deref().unwrap_or(DEFAULT_RELEASE.as_bytes())
}
