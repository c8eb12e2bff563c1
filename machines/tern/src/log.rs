//! `tern log`: what a log has, one line for each event, and figures.

use crate::{log_process, replay_process};
use std::path::PathBuf;

/// Options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The log
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// A line of JSON for each event
    #[arg(long)]
    json: bool,
}

/// Lists the log.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    if replay_process::is_one(&args.log) {
        return log_process::run(&args.log, args.json);
    }
    Err(log_process::refuse(&args.log).into())
}
