//! `tern record`: runs a machine and writes a log from which the run can be replayed.

use crate::failure::Failure;
use crate::{machine, tape};
use std::ffi::OsString;
use std::path::PathBuf;
use tern_control::run::TapeOption;

/// Options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The log; one that is there is replaced
    #[arg(short, long, value_name = "LOG")]
    output: PathBuf,
    /// What is recorded: `boot` or `qemu-system-ISA`, and their options
    #[arg(value_name = "VERB", trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    words: Vec<OsString>,
}

/// Runs what is to be recorded; the status is the guest's.
pub(crate) fn run(args: Args) -> anyhow::Result<u8> {
    let words: Result<Vec<String>, OsString> = args.words.into_iter().map(OsString::into_string).collect();
    let words = words.map_err(|word| Failure::bare(2, format!("{}: this is no text", word.display())))?;
    let (config, mut options) = tape::machine_of(&words)?;
    options.tape = TapeOption::Record { file: args.output, words };
    machine::run(&config, &options)
}
