//! Runs a whole machine: one description, whichever command line it came from.

use crate::daemon::Daemon;
use crate::failure::{Failure, plain};
use crate::{logfile, tape};
use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tern_board::host::Host;
use tern_board::{BoardConfig, Plan};
use tern_control::run::{RunOptions, TapeOption};
use tern_control::surface::Control;
use tern_control::vm::Vm;
use tern_control::vm::save::{read_snapshot, writable};
use tern_core::backend::Entropy;
use tern_host::entropy::{Host as HostEntropy, Seeded};
use tern_session::machine::Settings;
use tern_session::{Items, Log};

/// Runs the machine; the status is the one that the guest switches it off with.
pub(crate) fn run(config: &BoardConfig, options: &RunOptions) -> anyhow::Result<u8> {
    start(config, options).map_err(|text| Failure::bare(1, format!("{}: {}", options.name, plain(&text))).into())
}

/// A file of the host that cannot be used, in one line.
fn file_error(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {}", path.display(), plain(&error.to_string()))
}

fn start(config: &BoardConfig, options: &RunOptions) -> Result<u8, String> {
    // Before there are threads, signals and descriptors that a child would not have.
    let daemon = if options.daemonize { Some(Daemon::split()?) } else { None };
    let Some(mut made) = make(config, options)? else { return Ok(0) };
    let control = Control::new(made.vm.take().ok_or("the machine is gone")?)?;
    if let Some(daemon) = daemon {
        daemon.ready()?;
    }
    control.run()
}

/// A machine that is about to run, and what has to stay as long as it does.
pub(crate) struct Made {
    pub(crate) vm: Option<Vm>,
    _session: tape::Session,
    _pid: Option<PidFile>,
}

/// Makes the machine; `None`: the options want only its device tree.
pub(crate) fn make(config: &BoardConfig, options: &RunOptions) -> Result<Option<Made>, String> {
    let mut config = config.clone();
    let session = tape::Session::open(&mut config, options)?;
    let config = &config;
    // Device tree and devices draw from sequences of their own.
    let mut entropy: Box<dyn Entropy> = match config.seed {
        Some(seed) => Box::new(Seeded::new(!seed)),
        None => Box::new(HostEntropy),
    };
    progress(options, "loading");
    let plan = Plan::new(config, &mut *entropy).map_err(|e| e.to_string())?;
    if let Some(path) = &config.dump_dtb {
        fs::write(path, plan.dtb()).map_err(|e| file_error(path, &e))?;
        return Ok(None);
    }
    // Before anything takes the signals: the file may be a pipe that nobody writes to.
    let snapshot = options.load.as_deref().map(|path| read_snapshot(path, config.memory)).transpose()?;
    if let Some(save) = &options.save {
        writable(&save.file)?;
    }
    let pid = options.pid_file.as_deref().map(PidFile::write).transpose()?;
    let (name, timestamps) = (options.name.clone(), options.timestamps);
    let make = if options.incoming.is_some() { Host::incoming } else { Host::new };
    let mut host = make(config, Rc::new(move |text| tell(&name, &stamped(text, timestamps))))?;
    let tape = session.begin(&host)?;
    host.set_tape(tape.clone(), session.is_packed());
    let board = tern_board::build(plan, config, settings(options)?, &mut host).map_err(|e| e.to_string())?;
    let mut vm = Vm::new(board, host.clone(), config.clone(), options.clone());
    vm.board.machine.set_outside(Box::new(host));
    vm.board.machine.set_tape(tape);
    for note in core::mem::take(&mut vm.board.notes) {
        tell(&options.name, &note);
    }
    vm.board.power_on().map_err(|e| e.to_string())?;
    if let (Some(path), Some(bytes)) = (&options.load, snapshot) {
        progress(options, "restoring the snapshot");
        vm.board.machine.load(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    if let Some(tag) = &options.loadvm {
        progress(options, "restoring the snapshot");
        vm.begin_with_image(tag)?;
    }
    vm.begin_incoming()?;
    if let TapeOption::Replay { checkpoints: Some(budget), .. } = &options.tape {
        vm.begin_timeline(*budget)?;
    }
    Ok(Some(Made { vm: Some(vm), _session: session, _pid: pid }))
}

fn settings(options: &RunOptions) -> Result<Settings, String> {
    let log = match options.items == Items::NONE {
        true => None,
        false => {
            let file = options.log_file.as_ref().map(|p| p.as_os_str());
            Some(Log::new(options.items, logfile::open(file, true).map_err(|e| format!("{e:#}"))?))
        }
    };
    let engine = tern_session::Options { log: log.clone(), ..options.engine.clone() };
    Ok(Settings { paced: options.paced, engine, log, ..Settings::default() })
}

/// A line for the user.  The terminal may be in raw mode, where a new line does not begin at its left edge.
fn tell(name: &str, text: &str) {
    let end = if stderr().is_terminal() { "\r\n" } else { "\n" };
    // There is nobody to tell if that fails.
    let _ = stderr().write_all(format!("{name}: {text}{end}").as_bytes());
}

/// A message with the time in front, if that is wanted.
fn stamped(text: &str, timestamps: bool) -> String {
    if !timestamps {
        return text.to_owned();
    }
    let micros = tern_host::clock::realtime_ns() / 1000;
    format!("{}.{:06}: {text}", micros / 1_000_000, micros % 1_000_000)
}

/// What takes a while, for people who wait.
fn progress(options: &RunOptions, what: &str) {
    if stderr().is_terminal() {
        tell(&options.name, &format!("{what} ..."));
    }
}

/// A file with tern's process number, as long as this lives.
struct PidFile(PathBuf);

impl PidFile {
    fn write(path: &Path) -> Result<PidFile, String> {
        fs::write(path, format!("{}\n", std::process::id())).map_err(|e| file_error(path, &e))?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have removed it.
        let _ = fs::remove_file(&self.0);
    }
}
