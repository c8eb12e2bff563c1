//! tern, the command: one file per verb.
//!
//! [`launch`] runs a guest program for the verbs `run` and `demo` and for [`qemu`], the command line of QEMU's user-mode
//! emulators, which is chosen by the name tern is called by or as a verb.  [`machine`] runs a whole machine for the verb
//! `boot` and for [`qemu_system`], the command line of QEMU's system emulators.  [`failure`] maps errors to exit statuses.
#![forbid(unsafe_code)]

mod asm;
mod boot;
mod daemon;
mod debug;
mod demo;
mod disasm;
mod engine;
mod failure;
mod gdb;
mod launch;
mod list;
mod log;
mod log_process;
mod logfile;
mod machine;
mod pack;
mod pack_process;
mod qemu;
mod qemu_system;
mod record;
mod record_process;
mod replay;
mod replay_process;
mod run;
mod signals;
mod tape;

use clap::{Parser, Subcommand};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// Runs programs of other machines.
#[derive(Parser)]
#[command(
    name = "tern",
    version,
    disable_help_subcommand = true,
    after_help = "Called as qemu-riscv64, or as `tern qemu-riscv64`, tern takes QEMU's user-mode options; called as\n\
                  qemu-system-riscv64 likewise those of QEMU's machines.\n\
                  Try `tern demo`, and `tern VERB --help` for the options of a verb."
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a Linux program of another architecture
    Run(Box<run::Args>),
    /// Run a whole machine
    Boot(Box<boot::Args>),
    /// Run a machine and write a log from which the run can be replayed
    Record(record::Args),
    /// Run a recorded machine again, and see that it is the same run
    Replay(replay::Args),
    /// Look at a recorded machine, forwards and back
    Debug(debug::Args),
    /// Print what is in a log
    Log(log::Args),
    /// Put a log and all that it needs into one file
    Pack(pack::Args),
    /// Run the guest program that is built into tern
    Demo(demo::Args),
    /// Print a program or raw code as assembly
    Disasm(disasm::Args),
    /// Assemble a source file
    Asm(asm::Args),
    /// List what tern knows: isas, cpus, boards, devices, syscalls, log items
    List(list::Args),
}

const SHORT_HELP: &str = "\
tern runs programs of other machines, and the machines.

  tern demo                          run the built-in guest program
  tern run PROG ARGS...              run a static Linux program (riscv64, riscv32)
  tern run --sysroot DIR PROG ...    run a dynamic one with the libraries in DIR
  tern boot --kernel K --initrd I    run a whole machine (tern boot --help: its disks, networks, ...)
  tern disasm FILE                   print a program as assembly
  tern asm --isa ISA FILE -o OUT     assemble a source file
  tern list isas|cpus|boards|...     what tern knows

tern --help and tern VERB --help say more.
";

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        let text = info.payload_as_str().unwrap_or("no message");
        failure::complain(&format!("internal error{place}: {text} (please report this)"));
    }));
    let args: Vec<OsString> = std::env::args_os().collect();
    let result = match qemu_call(&args) {
        Some((name, rest)) if name.starts_with("qemu-system-") => qemu_system::run(&name, rest),
        Some((name, rest)) => qemu::run(&name, rest),
        None if args.len() <= 1 => failure::print(SHORT_HELP),
        None => match Cli::try_parse_from(&args) {
            Ok(cli) => verb(cli),
            Err(error) => failure::usage(&error),
        },
    };
    failure::status(result)
}

fn verb(cli: Cli) -> anyhow::Result<u8> {
    match cli.verb {
        Some(Verb::Run(args)) => run::run(*args),
        Some(Verb::Boot(args)) => boot::run(*args),
        Some(Verb::Record(args)) => record::run(args),
        Some(Verb::Replay(args)) => replay::run(args),
        Some(Verb::Debug(args)) => debug::run(args),
        Some(Verb::Log(args)) => log::run(&args),
        Some(Verb::Pack(args)) => pack::run(&args),
        Some(Verb::Demo(args)) => demo::run(&args),
        Some(Verb::Disasm(args)) => disasm::run(&args),
        Some(Verb::Asm(args)) => asm::run(&args),
        Some(Verb::List(args)) => list::run(&args),
        None => failure::print(SHORT_HELP),
    }
}

/// The name and arguments of a call as one of QEMU's emulators: by tern's own name, or by the verb.
fn qemu_call(args: &[OsString]) -> Option<(String, &[OsString])> {
    let name = |arg: &OsString| {
        let name = Path::new(arg).file_name().and_then(OsStr::to_str)?;
        name.starts_with("qemu-").then(|| name.to_owned())
    };
    let (first, rest) = args.split_first()?;
    if let Some(name) = name(first) {
        return Some((name, rest));
    }
    let (verb, rest) = rest.split_first()?;
    (!verb.as_encoded_bytes().contains(&b'/')).then(|| name(verb)).flatten().map(|name| (name, rest))
}
