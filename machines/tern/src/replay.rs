//! `tern replay`: runs a recorded program or machine again, and sees that it is the same run.

use crate::failure::Failure;
use crate::{machine, replay_process, run, tape};
use std::path::PathBuf;
use tern_control::run::TapeOption;
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
    if replay_process::is_one(&file) {
        return replay_process::run(&replay_process::Options {
            log: file,
            until: args.until,
            quiet: args.quiet || args.check,
            stats: args.stats,
            digest_every: args.digest_every,
            dispatch: args.dispatch,
        });
    }
    let log = tape::Log::open(&file).map_err(|text| Failure::bare(1, text))?;
    let (config, recorded) = log.machine().map_err(|text| Failure::bare(1, text))?;
    let mut options = tern_control::run::RunOptions::new("tern");
    options.actions = recorded.actions;
    options.engine.dispatch = args.dispatch.unwrap_or(options.engine.dispatch);
    (options.until, options.digest_every, options.stats) = (args.until, args.digest_every, args.stats);
    options.tape = TapeOption::Replay { file, output: !(args.quiet || args.check) };
    machine::run(&config, &options)
}
