//! Runs a guest program: one description, whichever command line it came from.

use crate::engine::ProcessEngine;
use crate::failure::{Failure, NOT_EXECUTABLE, USAGE, complain, plain};
use crate::gdb::{self, Gdb};
use crate::{logfile, record_process, signals};
use std::ffi::{CString, OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use tern_core::mem::Endian;
use tern_host::clock::monotonic_ns;
use tern_linux::elf::Reason;
use tern_linux::process::Process;
use tern_linux::record::RecordError;
use tern_linux::turns::Turns;
use tern_linux::{Config, CpuModel, ExitStatus, LoadError, Prepared};
use tern_session::ident::Ident;
use tern_session::{Count, Dispatch, Engine, Isa, Items, Log, Options, isa};

/// A run.
pub(crate) struct Launch {
    /// The program's file.
    pub(crate) program: OsString,
    /// Arguments after `argv[0]`.
    pub(crate) args: Vec<OsString>,
    /// `argv[0]`, if it is not the program as given.
    pub(crate) argv0: Option<OsString>,
    /// The guest's environment: `KEY=VALUE`.
    env: Vec<OsString>,
    /// Where absolute guest paths are looked up first.
    pub(crate) sysroot: Option<OsString>,
    /// CPU specification.
    pub(crate) cpu: Option<String>,
    /// Size of the stack in bytes.
    pub(crate) stack: Option<u64>,
    /// End of the guest's address space.
    pub(crate) reserved_va: Option<u64>,
    /// What uname says the kernel's release is.
    pub(crate) release: Option<OsString>,
    /// The interpreter's dispatcher.
    pub(crate) dispatch: Option<Dispatch>,
    /// Size of the translation cache in words.
    pub(crate) cache_words: Option<usize>,
    /// Blocks of one instruction.
    pub(crate) one_insn: bool,
    /// Log items.
    pub(crate) items: Items,
    /// Where the log goes, else standard error.
    pub(crate) log_file: Option<OsString>,
    /// What the engine counts.
    pub(crate) count: Count,
    /// Write the sequences of bytecode words here.
    pub(crate) sequences: Option<OsString>,
    /// Print all figures when the program has ended.
    pub(crate) stats: bool,
    /// Print one line of figures on standard output when it has ended.
    pub(crate) figures: bool,
    /// A guest started this one, so its parent must see its signals.
    pub(crate) in_guest: bool,
    /// Speak as this QEMU emulator.
    pub(crate) qemu: Option<String>,
    /// Where gdb is, if the program is debugged.
    pub(crate) gdb: Option<Gdb>,
    /// Only programs of this ISA are run.
    pub(crate) isa: Option<&'static Isa>,
    /// Record the run.
    pub(crate) record: Option<Recording>,
}

/// How a run is recorded.
pub(crate) struct Recording {
    /// Where to, and what of.
    pub(crate) options: tern_linux::record::Options,
    /// How threads take turns.
    pub(crate) turns: Turns,
}

impl Launch {
    /// A run of `program` with tern's own environment.
    pub(crate) fn new(program: OsString, args: Vec<OsString>) -> Launch {
        let pair = |(key, value): (OsString, OsString)| {
            let mut pair = key;
            pair.push("=");
            pair.push(value);
            pair
        };
        Launch {
            program,
            args,
            argv0: None,
            env: std::env::vars_os().map(pair).collect(),
            sysroot: None,
            cpu: None,
            stack: None,
            reserved_va: None,
            release: None,
            dispatch: None,
            cache_words: None,
            one_insn: false,
            items: Items::NONE,
            log_file: None,
            count: Count::Nothing,
            sequences: None,
            stats: false,
            figures: false,
            in_guest: false,
            qemu: None,
            gdb: None,
            isa: None,
            record: None,
        }
    }

    /// Sets a variable of the guest from `KEY=VALUE`.
    pub(crate) fn set_env(&mut self, pair: &OsStr) -> Result<(), String> {
        let bytes = pair.as_bytes();
        let at = bytes.iter().position(|&b| b == b'=').filter(|&at| at > 0);
        let at = at.ok_or_else(|| format!("{}: KEY=VALUE is wanted", pair.to_string_lossy()))?;
        self.unset_env(OsStr::from_bytes(&bytes[..at]));
        self.env.push(pair.to_owned());
        Ok(())
    }

    /// Removes a variable of the guest.
    pub(crate) fn unset_env(&mut self, key: &OsStr) {
        let named = |pair: &OsString| {
            let rest = pair.as_bytes().strip_prefix(key.as_bytes());
            rest.is_some_and(|rest| rest.first() == Some(&b'='))
        };
        self.env.retain(|pair| !named(pair));
    }

    /// The options of `tern run` that say the same as this, for programs that the guest executes; `argv[0]`, the program
    /// and its arguments follow.  The guest may have changed its directory, so paths are absolute.
    fn again(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["tern".into(), "run".into(), "--in-guest".into()];
        let mut option = |name: &str, value: Option<OsString>| {
            if let Some(value) = value {
                let mut joined = OsString::from(format!("--{name}="));
                joined.push(value);
                args.push(joined);
            }
        };
        let number = |n: u64| n.to_string().into();
        let absolute = |path: &OsString| std::path::absolute(path).map_or_else(|_| path.clone(), Into::into);
        option("sysroot", self.sysroot.as_ref().map(absolute));
        option("cpu", self.cpu.clone().map(OsString::from));
        option("stack", self.stack.map(number));
        option("reserved-va", self.reserved_va.map(number));
        option("uname", self.release.clone());
        option("dispatch", self.dispatch.map(|d| if d == Dispatch::Loop { "loop" } else { "tail" }.into()));
        option("cache-words", self.cache_words.map(|n| number(n as u64)));
        option("log", (self.items != Items::NONE).then(|| self.items.names().into()));
        option("log-file", self.log_file.as_ref().map(absolute));
        if self.one_insn {
            args.push("--one-insn".into());
        }
        if self.stats {
            args.push("--stats".into());
        }
        match self.count {
            Count::Dispatches => args.push("--count=dispatches".into()),
            Count::Words => args.push("--count=words".into()),
            Count::Nothing | Count::Sequences => {}
        }
        args.push("--".into());
        args
    }

    fn config(&self) -> Config {
        let bytes = |s: &OsString| s.clone().into_vec();
        let argv0 = self.argv0.as_ref().unwrap_or(&self.program);
        let argv = [argv0].into_iter().chain(&self.args).map(bytes).collect();
        let mut config = Config::new(bytes(&self.program), argv, self.env.iter().map(bytes).collect());
        config.sysroot = self.sysroot.as_ref().map(bytes);
        config.strace = self.items.has(Items::STRACE);
        config.stack_size = self.stack;
        config.reserved_va = self.reserved_va;
        config.release = self.release.as_ref().map(bytes);
        config.reexec = self.again().into_iter().filter_map(|s| CString::new(s.into_vec()).ok()).collect();
        config
    }

    fn options(&self, log: Option<Log>) -> Options {
        let defaults = Options::default();
        Options {
            dispatch: self.dispatch.unwrap_or(defaults.dispatch),
            cache_words: self.cache_words.unwrap_or(defaults.cache_words),
            one_insn: self.one_insn,
            hot: defaults.hot,
            count: self.count,
            log,
        }
    }
}

/// Runs the program; the status is the guest's.
pub(crate) fn run(mut launch: Launch) -> anyhow::Result<u8> {
    let pid = std::process::id();
    let prepared = Prepared::new(launch.config()).map_err(|e| refusal(&launch, &e))?;
    let isa = wanted_isa(&launch, prepared.isa().name)?;
    let cpu = isa.cpu(launch.cpu.as_deref()).map_err(|e| Failure::new(USAGE, e.to_string()))?;
    let log = match launch.items == Items::NONE {
        true => None,
        false => Some(Log::new(launch.items, logfile::open(launch.log_file.as_deref(), !launch.in_guest)?)),
    };
    let model = CpuModel {
        layout: cpu.frontend.layout().clone(),
        isa_string: cpu.isa_string,
        hwcap: cpu.hwcap,
        probe: cpu.probe,
    };
    let frontend = cpu.frontend.clone();
    let mut engine = ProcessEngine(Engine::new(cpu.frontend, launch.options(log.clone())));
    restore_signals();
    let mut process = match launch.record.take() {
        None => prepared.load(model, &mut engine).map_err(|e| refusal(&launch, &e))?,
        Some(Recording { options, turns }) => {
            let process = prepared.record(model, &mut engine, options).map_err(|e| match e {
                RecordError::Load(e) => refusal(&launch, &e),
                e @ RecordError::Log { .. } => Failure::new(1, plain(&e.to_string())),
            });
            let mut process = process?;
            process.turns = turns;
            process
        }
    };
    if let Some(log) = log {
        log_pages(&log, &process);
        let hook = move |kind: &str, text: core::fmt::Arguments<'_>| log.write_named(kind, text);
        process.mem.events.set_log(Some(Box::new(hook)));
    }
    let connection = launch.gdb.as_ref().map(|gdb| gdb.connect(launch.qemu.is_some())).transpose()?;
    let begin = monotonic_ns();
    let status = match connection {
        Some(connection) => gdb::run(&mut process, &mut engine, frontend, connection),
        None => tern_linux::sched::run(&mut process, &mut engine),
    };
    let nanos = monotonic_ns().saturating_sub(begin);
    figures(&launch, &engine.0, nanos, &process.mem.events.summary());
    record_process::warn(&process);
    let lost = record_process::lost(&process);
    // The process ends: its memory need not be taken apart first.
    core::mem::forget((process, engine));
    if let Some(lost) = lost {
        return Err(Failure::new(1, lost).into());
    }
    // A process that the guest made has a parent that looks at signals.
    let inner = launch.in_guest || std::process::id() != pid;
    Ok(match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal(signo) => signalled(&launch, signo, inner),
    })
}

/// The session's row of the program's ISA, if this launch may run it.
fn wanted_isa(launch: &Launch, name: &str) -> Result<&'static Isa, Failure> {
    let file = launch.program.to_string_lossy();
    match (isa::by_name(name), launch.isa, &launch.qemu) {
        (Some(isa), None, _) => Ok(isa),
        (Some(isa), Some(only), _) if core::ptr::eq(only, isa) => Ok(isa),
        (_, _, Some(qemu)) => {
            Err(Failure::bare(255, format!("{qemu}: {file}: Invalid ELF image for this architecture")))
        }
        _ => Err(Failure::new(NOT_EXECUTABLE, format!("{file}: {name} program; this tern runs {}", isa::names()))),
    }
}

/// Gives the guest the dispositions that tern was started with; std ignores `SIGPIPE`.
fn restore_signals() {
    if !tern_host::signal::inherited::sigpipe_ignored() {
        // Only an unknown signal could be refused.
        let _ = tern_host::signal::default(tern_host::sys::host::SIGPIPE);
    }
}

/// Logs the memory map.
fn log_pages(log: &Log, process: &Process) {
    log.write(Items::PAGE, format_args!("start            end              size             prot"));
    for vma in process.mem.vmas() {
        let flag = |on: bool, c: char| if on { c } else { '-' };
        let (p, size) = (vma.perm, vma.end - vma.start);
        let prot: String = [flag(p.read, 'r'), flag(p.write, 'w'), flag(p.exec, 'x')].iter().collect();
        log.write(Items::PAGE, format_args!("{:016x}-{:016x} {size:016x} {prot}", vma.start, vma.end));
    }
}

/// Prints the figures of a run as far as they are wanted.
fn figures(launch: &Launch, engine: &Engine, nanos: u64, missing: &str) {
    let insns = engine.total_icount();
    let seconds = nanos as f64 / 1e9;
    let rate = insns as f64 / 1e6 / seconds.max(1e-9);
    let line = format!("{insns} guest instructions in {seconds:.3} s: {rate:.0} million per second");
    if launch.figures {
        // The guest has printed all that matters.
        let _ = writeln!(std::io::stdout(), "\n{line}");
    }
    if let Some(file) = &launch.sequences
        && let Err(e) = std::fs::write(file, sequences(engine))
    {
        complain(&format!("{}: {e}", shown(file)));
    }
    if launch.stats {
        let s = engine.stats();
        complain(&format!(
            "{line}\n{}  blocks {}, of {} instructions, {} words; flushes {}, invalidations {}, evaluated {}\n{}",
            counted(launch.count, engine.total_counted()),
            s.blocks,
            s.insns,
            s.words,
            s.flushes,
            s.invalidations,
            s.evaluated,
            missing.lines().map(|l| format!("  {l}\n")).collect::<String>()
        ));
    }
}

/// A line that says what was counted.
fn counted(count: Count, n: u64) -> String {
    match count {
        Count::Nothing => String::new(),
        Count::Dispatches => format!("  {n} dispatches\n"),
        Count::Words | Count::Sequences => format!("  {n} words run\n"),
    }
}

/// Lines of count and bodies, most words first; the first line counts all words.
fn sequences(engine: &Engine) -> String {
    let (words, mut all) = (engine.total_counted(), engine.sequences());
    all.sort_by_key(|(bodies, n)| core::cmp::Reverse(bodies.len() as u64 * n));
    let lines = all.iter().take(20_000).map(|(bodies, n)| format!("{n}\t{}\n", bodies.join(" ;; ")));
    format!("{words}\n") + &lines.collect::<String>()
}

/// The end by a signal: the status that a shell gives, or the signal itself where a parent may look for it.
fn signalled(launch: &Launch, signo: i32, inner: bool) -> u8 {
    let text = signals::text(signo);
    if launch.qemu.is_some() {
        let line = format!("qemu: uncaught target signal {signo} ({text})\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    } else if !inner && !signals::silent(signo) {
        complain(&format!("{}: {text}", shown(&launch.program)));
    }
    if inner || launch.qemu.is_some() {
        // Tern's own memory is nobody's core file.
        let none = tern_host::sys::proc::Limit { soft: 0, hard: 0 };
        let _ = tern_host::sys::proc::prlimit(0, tern_host::sys::host::RLIMIT_CORE, Some(none));
        // Where the signal does not end the process the status says it.
        let _ = tern_host::signal::raise_default(signo);
    }
    128_u8.wrapping_add(signo as u8)
}

fn shown(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

/// A program that cannot be run, in one line, with the status that a shell or QEMU gives.
fn refusal(launch: &Launch, error: &LoadError) -> Failure {
    let path = String::from_utf8_lossy(&error.path);
    let full = error.to_string();
    let plain = plain(full.strip_prefix(&format!("{path}: ")).unwrap_or(&full));
    let reason = match &error.reason {
        Reason::Machine(machine, is64, big) => {
            let endian = if *big { Endian::Big } else { Endian::Little };
            let ident = Ident { machine: *machine, is64: *is64, endian };
            format!("{ident} program; this tern runs {}", isa::names())
        }
        Reason::Interpreter(..) if launch.sysroot.is_none() && launch.qemu.is_none() => {
            format!("{plain}; --sysroot DIR says where the guest's libraries are")
        }
        _ => plain,
    };
    if launch.qemu.is_some() {
        return qemu_refusal(launch, error, &path, &reason);
    }
    Failure::new(error.exit_status(), format!("{path}: {reason}"))
}

/// The words and statuses of linux-user/main.c and elfload.c.
fn qemu_refusal(launch: &Launch, error: &LoadError, path: &str, reason: &str) -> Failure {
    let name = launch.qemu.as_deref().unwrap_or("qemu");
    match &error.reason {
        Reason::Os(_) | Reason::NotAFile | Reason::NotExecutable => {
            Failure::bare(1, format!("Error while loading {path}: {reason}"))
        }
        Reason::NotAProgram => Failure::bare(1, format!("Error while loading {path}: Exec format error")),
        Reason::Interpreter(interpreter, e) => {
            let interpreter = String::from_utf8_lossy(interpreter);
            Failure::bare(255, format!("{name}: Could not open '{interpreter}': {e}"))
        }
        Reason::Machine(..) | Reason::OtherIsa(_) => {
            Failure::bare(255, format!("{name}: {path}: Invalid ELF image for this architecture"))
        }
        _ => Failure::bare(255, format!("{name}: {path}: {reason}")),
    }
}
