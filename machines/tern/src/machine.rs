//! Runs a whole machine: one description, whichever command line it came from.

use crate::failure::{Failure, plain};
use crate::logfile;
use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use tern_board::host::HostBackends;
use tern_board::{Board, BoardConfig, Plan};
use tern_control::run::RunOptions;
use tern_core::backend::Entropy;
use tern_host::clock::monotonic_ns;
use tern_host::entropy::{Host, Seeded};
use tern_host::file::read_limited;
use tern_session::machine::{Ended, Settings};
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
    // Device tree and devices draw from sequences of their own.
    let mut entropy: Box<dyn Entropy> = match config.seed {
        Some(seed) => Box::new(Seeded::new(!seed)),
        None => Box::new(Host),
    };
    progress(options, "loading");
    let plan = Plan::new(config, &mut *entropy).map_err(|e| e.to_string())?;
    if let Some(path) = &config.dump_dtb {
        fs::write(path, plan.dtb()).map_err(|e| file_error(path, &e))?;
        return Ok(0);
    }
    // Before anything takes the signals: the file may be a pipe that nobody writes to.
    let snapshot = options.load.as_deref().map(|path| read_snapshot(path, config.memory)).transpose()?;
    if let Some(save) = &options.save {
        writable(&save.file)?;
    }
    let _pid = options.pid_file.as_deref().map(PidFile::write).transpose()?;
    let name = options.name.clone();
    let backends = HostBackends::new(config.seed, Box::new(move |text| tell(&name, text)));
    let mut backends = backends.map_err(|e| plain(&e.to_string()))?;
    let board = tern_board::build(plan, config, settings(options)?, &mut backends).map_err(|e| e.to_string())?;
    let mut run = Run { board, options, no_reboot: config.no_reboot, begin: monotonic_ns() };
    run.board.machine.set_outside(Box::new(backends.into_world()));
    for note in core::mem::take(&mut run.board.notes) {
        tell(&options.name, &note);
    }
    run.board.power_on().map_err(|e| e.to_string())?;
    if let (Some(path), Some(bytes)) = (&options.load, snapshot) {
        progress(options, "restoring the snapshot");
        run.board.machine.load(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    run.go_on()
}

/// Room for all of a snapshot but the RAM, in bytes: device state, flash, translations of names.
const SNAPSHOT_EXTRA: u64 = 1 << 30;

/// A snapshot of a machine with so much RAM, in bytes.
fn read_snapshot(path: &Path, ram: u64) -> Result<Vec<u8>, String> {
    let limit = ram.saturating_add(ram / 8).saturating_add(SNAPSHOT_EXTRA);
    read_limited(path, limit).map_err(|e| format!("{}: {}", path.display(), plain(&e.to_string())))
}

/// Sees that a snapshot can be written, while nothing is lost yet if it cannot.
fn writable(path: &Path) -> Result<(), String> {
    let part = partial(path);
    fs::File::create(&part).map_err(|e| file_error(path, &e))?;
    fs::remove_file(&part).map_err(|e| file_error(path, &e))
}

/// The file that becomes this one when it is whole.
fn partial(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    PathBuf::from(part)
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

/// A machine that runs.
struct Run<'a> {
    board: Board,
    options: &'a RunOptions,
    no_reboot: bool,
    begin: u64,
}

impl Run<'_> {
    /// Where to stop next: at a snapshot, a digest, the end.
    fn stop(&self) -> u64 {
        let retired = self.board.machine.retired();
        let save = self.options.save.as_ref().and_then(|s| s.at).filter(|at| *at > retired);
        let digest = self.options.digest_every.map(|n| (retired / n + 1).saturating_mul(n));
        [save, digest, self.options.until].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    /// Runs until something ends the machine; the status that tern ends with.
    fn go_on(&mut self) -> Result<u8, String> {
        let status = loop {
            match self.board.machine.run(self.stop()) {
                Ended::Limit => {
                    if self.limit()? {
                        break 0;
                    }
                }
                // There is nothing yet that would let a held machine go on.
                Ended::Pause => {}
                Ended::Reset | Ended::Watchdog if !self.no_reboot => {
                    self.board.power_on().map_err(|e| e.to_string())?;
                }
                Ended::Reset | Ended::Watchdog | Ended::Shutdown | Ended::Quit => break 0,
                Ended::PowerOff(status) => break status as u8,
                Ended::CrashLoaded => {
                    tell(&self.options.name, "the guest reports that it has crashed, and goes on");
                }
                Ended::Panic => {
                    tell(&self.options.name, "the guest reports that it has crashed");
                    break 1;
                }
                Ended::Dead => {
                    tell(&self.options.name, "every CPU waits, and nothing will ever wake one");
                    break 1;
                }
            }
        };
        self.end()?;
        Ok(status)
    }

    /// Does what is to be done after so many instructions; true if that was the last.
    fn limit(&self) -> Result<bool, String> {
        let retired = self.board.machine.retired();
        let last = self.options.until.is_some_and(|until| retired >= until);
        if !last && self.options.digest_every.is_some_and(|n| retired.is_multiple_of(n)) {
            self.digest()?;
        }
        if let Some(save) = self.options.save.as_ref().filter(|s| s.at == Some(retired)) {
            self.save(&save.file)?;
        }
        Ok(last)
    }

    fn digest(&self) -> Result<(), String> {
        let digest = self.board.machine.digest().map_err(|e| e.to_string())?;
        tell(&self.options.name, &format!("digest {} {digest:016x}", self.board.machine.retired()));
        Ok(())
    }

    /// Writes a snapshot; a file of that name stays as it is until the new one is whole.
    fn save(&self, path: &Path) -> Result<(), String> {
        progress(self.options, "writing the snapshot");
        let bytes = self.board.machine.save().map_err(|e| e.to_string())?;
        let part = partial(path);
        fs::write(&part, bytes).map_err(|e| file_error(&part, &e))?;
        fs::rename(&part, path).map_err(|e| file_error(path, &e))
    }

    fn end(&self) -> Result<(), String> {
        if self.options.digest_every.is_some() {
            self.digest()?;
        }
        if let Some(save) = self.options.save.as_ref().filter(|s| s.at.is_none()) {
            self.save(&save.file)?;
        }
        if self.options.stats {
            self.figures();
        }
        Ok(())
    }

    fn figures(&self) {
        let machine = &self.board.machine;
        let seconds = monotonic_ns().saturating_sub(self.begin) as f64 / 1e9;
        let (insns, guest) = (machine.retired(), machine.time() as f64 / 1e9);
        let rate = insns as f64 / 1e6 / seconds.max(1e-9);
        let (errors, missing) = machine.counts();
        let s = machine.stats();
        for line in [
            format!("{insns} guest instructions in {seconds:.3} s: {rate:.0} million per second"),
            format!("guest time {guest:.3} s; {} inputs", machine.inputs()),
            format!("{errors} guest errors, {missing} uses of what is not built (--log guest_errors,unimp says which)"),
            format!(
                "blocks {}, of {} instructions, {} words; flushes {}, invalidations {}, evaluated {}",
                s.blocks, s.insns, s.words, s.flushes, s.invalidations, s.evaluated
            ),
        ] {
            tell(&self.options.name, &line);
        }
    }
}
