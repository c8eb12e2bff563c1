//! The entry point: loads a program and runs it.

use crate::config::{Config, CpuModel, DEFAULT_RELEASE};
use crate::elf::loader::{self, LoadedProgram};
use crate::elf::stack::{self, StackRequest};
use crate::elf::{LoadError, Reason, vdso};
use crate::engine::Engine;
use crate::events::LogHook;
use crate::exec::{self, Guest, Target};
use crate::isa::Isa;
use crate::mm::{Layout, MemLimits, Space, UNLIMITED};
use crate::paths::Paths;
use crate::process::{ExitStatus, Image, MemRlimits, Process, Rlimit};
use crate::sched::{self, RegisterSlots};
use crate::signal::ProcessSignals;
use crate::table::Table;
use crate::thread::Thread;
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
        let Prepared { config, paths, guest } = self;
        let isa = guest.headers.isa;
        let path = guest.path.clone();
        let fail = |reason| LoadError::new(&path, reason);
        let registers = RegisterSlots::new(isa, &model.layout).ok_or_else(|| fail(Reason::CpuModel))?;
        let rlimits = limits(&config);
        let layout = layout(isa, config.reserved_va);
        let mut mem = Space::new(layout, mem_limits(&rlimits));
        mem.clock = config.clock;
        let os = |e: sys::Errno| fail(Reason::Os(e.into()));
        tern_host::signal::last_resort().map_err(os)?;
        let loaded = loader::load(&mut mem, &paths, &guest.program, &guest.headers)?;
        let (vdso, trampoline) = vdso::map(&mut mem, isa).map_err(|e| fail(Reason::Os(e)))?;
        let mut random = [0; 16];
        tern_host::entropy::fill(&mut random).map_err(|e| fail(Reason::Os(e.into())))?;
        let request = StackRequest {
            isa,
            model: &model,
            loaded: &loaded,
            vdso,
            execfn: &config.program,
            argv: &guest.argv,
            env: &config.env,
            uid: sys::cred::getresuid().map_err(os)?,
            gid: sys::cred::getresgid().map_err(os)?,
            random,
        };
        let stack = stack::build(&mut mem, &request)?;
        let pid = sys::proc::getpid().map_err(os)?;
        let cpu = engine.add_cpu();
        let mut thread = Thread::new(pid, cpu);
        thread.name = comm(&config.program);
        let state = engine.state_mut(cpu);
        state.set(registers.sp, stack.sp);
        state.set_pc(entry(&loaded));
        let image = image(&guest, &loaded, stack, trampoline);
        Ok(Process {
            isa,
            registers,
            model,
            mem,
            threads: BTreeMap::from([(pid, thread)]),
            pid,
            table: Rc::new(Table::new(isa)),
            config: Rc::new(config),
            paths,
            image,
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
            exit: None,
        })
    }
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
