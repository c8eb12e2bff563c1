//! `tern replay` of a recorded Linux program.

use crate::engine::ProcessEngine;
use crate::failure::{Failure, complain, plain};
use crate::signals;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tern_host::clock::monotonic_ns;
use tern_linux::record::item::{KIND, Setup};
use tern_linux::record::replay::{Log, Replay, Stopped, setup};
use tern_linux::{CpuModel, ExitStatus};
use tern_session::{Dispatch, Engine, isa};

/// Most ancestors of a process; a log that names more is not good.
const ANCESTORS: usize = 1000;

/// What is wanted.
pub(crate) struct Options {
    pub(crate) log: PathBuf,
    pub(crate) until: Option<u64>,
    pub(crate) quiet: bool,
    pub(crate) stats: bool,
    pub(crate) digest_every: Option<u64>,
    pub(crate) dispatch: Option<Dispatch>,
}

pub(crate) fn failed(path: &Path, why: impl core::fmt::Display) -> Failure {
    Failure::new(1, format!("{}: {}", path.display(), plain(&why.to_string())))
}

/// Opens a log.
pub(crate) fn open(path: &Path) -> Result<Log, Failure> {
    let file = File::open(path).map_err(|e| failed(path, e))?;
    Log::new(Box::new(BufReader::new(file))).map_err(|e| failed(path, e))
}

/// Is it the log of a process?
pub(crate) fn is_one(path: &Path) -> bool {
    open(path).is_ok_and(|log| log.header().kind == KIND)
}

/// A log and those of its ancestors, the child's first.
pub(crate) fn open_all(path: &Path) -> Result<Vec<Log>, Failure> {
    let mut path = path.to_owned();
    let mut logs = Vec::new();
    loop {
        let log = open(&path)?;
        let parent = setup(&log).map_err(|e| failed(&path, e))?.parent;
        logs.push(log);
        let Some(parent) = parent else { return Ok(logs) };
        if logs.len() > ANCESTORS || parent.log.contains(&b'/') {
            return Err(failed(&path, "its header names no sensible parent"));
        }
        path.set_file_name(OsStr::from_bytes(&parent.log));
    }
}

/// The CPU and the engine of a log.
pub(crate) fn make(setup: &Setup, dispatch: Option<Dispatch>) -> Result<(CpuModel, Engine), String> {
    let isa =
        isa::by_name(&setup.isa).ok_or_else(|| format!("{} programs: this tern runs {}", setup.isa, isa::names()))?;
    let cpu = isa.cpu(setup.cpu.as_deref()).map_err(|e| e.to_string())?;
    let model = CpuModel {
        layout: cpu.frontend.layout().clone(),
        isa_string: cpu.isa_string,
        hwcap: cpu.hwcap,
        probe: cpu.probe,
    };
    let defaults = tern_session::Options::default();
    let options = tern_session::Options { dispatch: dispatch.unwrap_or(defaults.dispatch), ..defaults };
    Ok((model, Engine::new(cpu.frontend, options)))
}

/// Replays; the status is the guest's, or 1 if it was another run.
pub(crate) fn run(options: &Options) -> anyhow::Result<u8> {
    let path = &options.log;
    let logs = open_all(path)?;
    let mut make = |setup: &Setup| {
        let (model, engine) = make(setup, options.dispatch)?;
        Ok((model, Box::new(ProcessEngine(engine)) as Box<dyn tern_linux::Engine>))
    };
    let mut replay = Replay::new(logs, &mut make).map_err(|e| failed(path, e))?;
    if !options.quiet {
        replay.set_sink(Some(Box::new(|stream, bytes| {
            // There is nobody to tell.
            let _ = if stream == 1 { std::io::stdout().write_all(bytes) } else { std::io::stderr().write_all(bytes) };
        })));
    }
    let begin = monotonic_ns();
    let stopped = go(&mut replay, options).map_err(|e| failed(path, e));
    let _ = std::io::stdout().flush();
    let stopped = stopped?;
    if options.stats {
        let seconds = monotonic_ns().saturating_sub(begin) as f64 / 1e9;
        complain(&format!("{} guest instructions in {seconds:.3} s", replay.position()));
    }
    if !options.quiet && replay.unseen_output() > 0 {
        complain(&format!(
            "{} bytes of output went past the guest's memory and are not in the log",
            replay.unseen_output()
        ));
    }
    // The process ends: its memory need not be taken apart first.
    let at = replay.position();
    core::mem::forget(replay);
    Ok(match stopped {
        Stopped::Limit => 0,
        Stopped::Exit(ExitStatus::Code(code)) => code,
        Stopped::Exit(ExitStatus::Signal(signo)) => {
            if !signals::silent(signo) {
                complain(&format!("{}: {}", path.display(), signals::text(signo)));
            }
            128_u8.wrapping_add(signo as u8)
        }
        Stopped::Left(what) => {
            complain(&format!("{}: the process went on as {what}, which is not recorded", path.display()));
            0
        }
        Stopped::Cut => {
            complain(&format!("{}: the log ends at position {at}, where the recorder was killed", path.display()));
            1
        }
    })
}

/// Runs to the end or the wanted position, with digests on the way if they are wanted.
fn go(replay: &mut Replay, options: &Options) -> Result<Stopped, tern_linux::record::replay::ReplayError> {
    let until = options.until.unwrap_or(u64::MAX);
    let print = |replay: &mut Replay| {
        let (registers, memory) = replay.digest();
        let line = format!("{} {registers:016x} {memory:016x}\n", replay.position());
        let _ = std::io::stdout().write_all(line.as_bytes());
    };
    let Some(every) = options.digest_every else { return replay.run(until) };
    loop {
        let next = replay.position().saturating_add(every).min(until);
        let stopped = replay.run(next)?;
        print(replay);
        if stopped != Stopped::Limit || next == until {
            return Ok(stopped);
        }
    }
}
