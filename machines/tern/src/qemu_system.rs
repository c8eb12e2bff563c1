//! The command line of QEMU's system emulators.

use crate::failure::{Failure, print};
use crate::machine;
use std::ffi::OsString;
use tern_control::qemu::{Command, parse};

/// Runs as the emulator called `name`.
pub(crate) fn run(name: &str, args: &[OsString]) -> anyhow::Result<u8> {
    match parse(name, args) {
        Ok(Command::Run(config, options)) => machine::run(&config, &options),
        Ok(Command::Print(text)) => print(&text),
        Err(refusal) => Err(Failure::bare(1, refusal.0).into()),
    }
}
