//! All commands, by the chapters of the QEMU QMP Reference Manual.

pub mod absent;
pub mod block;
pub mod chardev;
pub mod control;
pub mod dump;
pub mod input;
pub mod job;
pub mod machine;
pub mod media;
pub mod memory;
pub mod migration;
pub mod misc;
pub mod net;
pub mod pci;
pub mod qom;
pub mod run;
#[cfg(all(test, feature = "riscv64"))]
mod tests;
pub mod tpm;

use super::command::{Command, Error};
use crate::grammar::Keys;
use crate::vm::Vm;
use serde_json::{Map, Value};

/// All commands.
pub static ALL: &[&[Command<Vm>]] = &[
    run::COMMANDS,
    job::COMMANDS,
    block::COMMANDS,
    media::COMMANDS,
    chardev::COMMANDS,
    dump::COMMANDS,
    net::COMMANDS,
    absent::COMMANDS,
    input::COMMANDS,
    migration::COMMANDS,
    control::COMMANDS,
    qom::COMMANDS,
    machine::COMMANDS,
    memory::COMMANDS,
    misc::COMMANDS,
    pci::COMMANDS,
    tpm::COMMANDS,
];

/// Members as the command line has them, with those that have been taken out by name.
fn keys(rest: Map<String, Value>, known: &[(&str, Option<&str>)]) -> Result<Keys, Error> {
    let mut all = rest;
    for (name, value) in known {
        if let Some(value) = value {
            all.insert((*name).to_owned(), Value::String((*value).to_owned()));
        }
    }
    Keys::of(all).map_err(Error::new)
}
