//! `tern replay`: runs a recorded machine again, and sees that it is the same run.

use crate::failure::Failure;
use crate::{machine, run, tape};
use std::path::PathBuf;
use tern_board::config::Chardev;
use tern_control::run::{CHECKPOINTS, TapeOption};
use tern_session::Dispatch;

/// Options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The log
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// End when this many instructions have retired
    #[arg(long, value_name = "POS")]
    until: Option<u64>,
    /// Only see whether the run is the same: what the guest prints does not appear
    #[arg(long)]
    check: bool,
    /// What the guest prints does not appear
    #[arg(long)]
    quiet: bool,
    /// Wait for gdb, which can go forwards and back: tcp::PORT, unix:PATH
    #[arg(long, value_name = "WHERE")]
    gdb: Option<String>,
    /// MiB for checkpoints, from which gdb goes back
    #[arg(long, value_name = "MIB", default_value_t = CHECKPOINTS >> 20)]
    checkpoints: usize,
    /// Print figures about the run at its end
    #[arg(long)]
    stats: bool,
    /// Print position and digest of the whole state every N instructions and at the end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    digest_every: Option<u64>,
    /// The interpreter's dispatcher
    #[arg(long, value_name = "loop|tail", value_parser = run::dispatch)]
    dispatch: Option<Dispatch>,
}

/// Replays; the status is the guest's, or 1 if it was another run.
pub(crate) fn run(args: Args) -> anyhow::Result<u8> {
    // The machine's own names of files are relative to another folder.
    let file = std::path::absolute(&args.log)?;
    let log = tape::Log::open(&file).map_err(|text| Failure::bare(1, text))?;
    let (mut config, recorded) = log.machine().map_err(|text| Failure::bare(1, text))?;
    let mut options = tern_control::run::RunOptions::new("tern");
    options.actions = recorded.actions;
    options.engine.dispatch = args.dispatch.unwrap_or(options.engine.dispatch);
    (options.until, options.digest_every, options.stats) = (args.until, args.digest_every, args.stats);
    if let Some(gdb) = &args.gdb {
        let setup = tern_control::gdb::setup(gdb).map_err(|text| Failure::bare(2, format!("--gdb: {text}")))?;
        config.chardevs.push(Chardev { id: "gdb".to_owned(), setup });
        options.gdb = Some("gdb".to_owned());
        options.paused = true;
    }
    let checkpoints = args.gdb.is_some().then_some(args.checkpoints << 20);
    options.tape = TapeOption::Replay { file, output: !(args.quiet || args.check), checkpoints };
    machine::run(&config, &options)
}
