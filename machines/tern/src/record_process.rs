//! `tern record ... run`: runs a Linux program and writes a log from which the run can be replayed.

use crate::failure::{Failure, USAGE, complain, plain};
use crate::launch::{self, Recording};
use crate::run;
use clap::Parser;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use tern_linux::process::Process;
use tern_linux::record::Options;
use tern_linux::turns::{Mode, Turns};

/// How the threads of a process take turns.
#[derive(clap::Args, Default)]
pub(crate) struct Schedule {
    /// Draw the threads' turns from this seed
    #[arg(long, value_name = "N", value_parser = number)]
    schedule_seed: Option<u64>,
    /// Vary the threads' turns widely, to provoke races
    #[arg(long)]
    chaos: bool,
}

fn number(text: &str) -> Result<u64, String> {
    run::number(text).ok_or_else(|| "a number is wanted".to_owned())
}

impl Schedule {
    /// These options are not for machines.
    pub(crate) fn refuse(&self) -> Result<(), Failure> {
        match self.schedule_seed.is_some() || self.chaos {
            true => Err(Failure::new(USAGE, "--schedule-seed and --chaos are for programs (tern record ... run)")),
            false => Ok(()),
        }
    }

    /// The turns, and what the log says of them.
    fn turns(&self) -> anyhow::Result<(Turns, String)> {
        let (mode, name) = if self.chaos { (Mode::Chaos, "chaos") } else { (Mode::Seeded, "seed") };
        let seed = match (self.schedule_seed, self.chaos) {
            (None, false) => return Ok((Turns::default(), "round-robin".to_owned())),
            (Some(seed), _) => seed,
            (None, true) => {
                let mut bytes = [0; 4];
                tern_host::entropy::fill(&mut bytes)?;
                let seed = u64::from(u32::from_le_bytes(bytes));
                complain(&format!("--chaos: --schedule-seed {seed} gives these turns again"));
                seed
            }
        };
        Ok((Turns::drawn(mode, seed), format!("{name} {seed}")))
    }
}

/// The options of `tern run`, apart from tern's others.
#[derive(Parser)]
#[command(name = "tern run", no_binary_name = true)]
struct Run {
    #[command(flatten)]
    args: run::Args,
}

/// Runs and records; the status is the guest's.
pub(crate) fn run(log: PathBuf, schedule: &Schedule, words: Vec<OsString>) -> anyhow::Result<u8> {
    let text: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let title = format!("tern {}", text.join(" "));
    let args = match Run::try_parse_from(words.into_iter().skip(1)) {
        Ok(run) => run.args,
        Err(error) => return crate::failure::usage(&error),
    };
    let mut launch = run::launch(args)?;
    let (turns, schedule) = schedule.turns()?;
    // The guest may change its directory, and its children have their logs beside this one.
    let log = std::path::absolute(log)?.into_os_string().into_vec();
    let mut options = Options::new(log, title);
    options.cpu.clone_from(&launch.cpu);
    options.schedule = schedule;
    launch.record = Some(Recording { options, turns });
    launch::run(launch)
}

/// Says what a replay will not show.
pub(crate) fn warn(process: &Process) {
    if process.recorder.is_none() {
        return;
    }
    for what in process.mem.events.unimplemented_counts().keys().filter(|what| what.starts_with("recording of")) {
        complain(&format!("{what}: a replay may diverge"));
    }
}

/// Why a recording is not complete, in one line.
pub(crate) fn lost(process: &Process) -> Option<String> {
    if let Some(text) = &process.lost_recording {
        return Some(plain(text));
    }
    let recorder = process.recorder.as_ref()?;
    let name = std::ffi::OsStr::from_bytes(recorder.log()).to_string_lossy();
    recorder.failed().map(|e| format!("{name}: {}", plain(&e.to_string())))
}
