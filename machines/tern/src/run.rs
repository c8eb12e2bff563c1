//! `tern run`: a Linux program of another architecture.

use crate::failure::{Failure, USAGE};
use crate::gdb::Gdb;
use crate::launch::{self, Launch};
use std::ffi::OsString;
use std::path::PathBuf;
use tern_session::{Count, Dispatch, Items};

/// Options and program.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Look absolute paths of the guest up in DIR first
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    /// CPU model or ISA string (see `tern list cpus`)
    #[arg(long, value_name = "ISA")]
    cpu: Option<String>,
    /// Set an environment variable of the guest
    #[arg(long, value_name = "KEY=VALUE")]
    env: Vec<OsString>,
    /// Remove an environment variable of the guest
    #[arg(long, value_name = "KEY")]
    unset: Vec<OsString>,
    /// Log system calls
    #[arg(long)]
    strace: bool,
    /// The guest's argv 0 (default: PROG)
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    argv0: Option<OsString>,
    /// Size of the stack: bytes, or a number with K, M or G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    stack: Option<u64>,
    /// The interpreter's dispatcher
    #[arg(long, value_name = "loop|tail", value_parser = dispatch)]
    dispatch: Option<Dispatch>,
    /// Size of the translation cache in 64-bit words
    #[arg(long, value_name = "N", value_parser = cache_words)]
    cache_words: Option<usize>,
    /// Log ITEMS, separated by commas (see `tern list log`)
    #[arg(long, value_name = "ITEMS", value_parser = items)]
    log: Option<Items>,
    /// Write the log to FILE instead of standard error; %d stands for the process's number
    #[arg(long, value_name = "FILE")]
    log_file: Option<OsString>,
    /// Count the sequences of bytecode words that run and write them to FILE (slow; for the list of fused sequences)
    #[arg(long, value_name = "FILE")]
    sequences: Option<OsString>,
    /// Print figures about the run at its end
    #[arg(long)]
    stats: bool,
    /// Count the interpreter's dispatches, or bytecode words without fusion, for --stats (slow)
    #[arg(long, value_name = "dispatches|words", value_parser = count, requires = "stats", conflicts_with = "sequences")]
    count: Option<Count>,
    /// What uname says the kernel's release is
    #[arg(long, value_name = "RELEASE")]
    uname: Option<OsString>,
    /// The guest's address space ends here
    #[arg(long, value_name = "ADDR", value_parser = size, hide = true)]
    reserved_va: Option<u64>,
    /// Blocks of one instruction
    #[arg(long, hide = true)]
    one_insn: bool,
    /// Another guest started this one: it ends as its signals say, and its argv 0 stands before PROG
    #[arg(long, hide = true)]
    in_guest: bool,
    /// Wait for gdb before the first instruction: a port, HOST:PORT, or the path of a local socket
    #[arg(long, value_name = "ADDR")]
    gdb: Option<OsString>,
    /// Go on with gdb's session of the program before this one
    #[arg(long, hide = true, conflicts_with = "gdb")]
    gdb_session: Option<String>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROG ARGS")]
    command: Vec<OsString>,
}

/// Runs the program; the status is the guest's.
pub(crate) fn run(args: Args) -> anyhow::Result<u8> {
    launch::run(launch(args)?)
}

/// The run that the options describe.
pub(crate) fn launch(args: Args) -> anyhow::Result<Launch> {
    let mut command = args.command.into_iter();
    let argv0 = if args.in_guest { command.next() } else { args.argv0 };
    let program = command.next().ok_or_else(|| Failure::new(USAGE, "no program"))?;
    let mut launch = Launch::new(program, command.collect());
    for variable in &args.env {
        launch.set_env(variable).map_err(|text| Failure::new(USAGE, text))?;
    }
    args.unset.iter().for_each(|key| launch.unset_env(key));
    launch.sysroot = args.sysroot.map(PathBuf::into_os_string);
    launch.cpu = args.cpu;
    launch.argv0 = argv0;
    launch.stack = args.stack;
    launch.dispatch = args.dispatch;
    launch.cache_words = args.cache_words;
    launch.items = args.log.unwrap_or(Items::NONE).with(if args.strace { Items::STRACE } else { Items::NONE });
    launch.log_file = args.log_file;
    launch.count = args.count.unwrap_or_default();
    if args.sequences.is_some() {
        launch.count = Count::Sequences;
    }
    launch.sequences = args.sequences;
    launch.stats = args.stats;
    launch.release = args.uname;
    launch.reserved_va = args.reserved_va;
    launch.one_insn = args.one_insn;
    launch.in_guest = args.in_guest;
    let listen = args.gdb.map(|at| Gdb::Listen { at, host: "127.0.0.1" });
    launch.gdb = listen.or(args.gdb_session.map(Gdb::Session));
    Ok(launch)
}

/// A number with a binary suffix.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number(digits)
        .filter(|n| n.leading_zeros() >= shift)
        .map(|n| n << shift)
        .ok_or_else(|| "a number with K, M or G is wanted".to_owned())
}

/// A decimal number, or a hexadecimal one after `0x`.
pub(crate) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

pub(crate) fn dispatch(text: &str) -> Result<Dispatch, String> {
    let dispatch = match text {
        "loop" => Dispatch::Loop,
        "tail" => Dispatch::Tail,
        _ => return Err("the dispatchers are loop and tail".to_owned()),
    };
    if dispatch.available() { Ok(dispatch) } else { Err("this build has only loop".to_owned()) }
}

fn count(text: &str) -> Result<Count, String> {
    match text {
        "dispatches" => Ok(Count::Dispatches),
        "words" => Ok(Count::Words),
        _ => Err("dispatches or words can be counted".to_owned()),
    }
}

/// A block of the longest kind has to fit several times.
pub(crate) fn cache_words(text: &str) -> Result<usize, String> {
    const LEAST: usize = 1 << 14;
    let n = number(text).and_then(|n| usize::try_from(n).ok()).filter(|n| (LEAST..1 << 32).contains(n));
    n.ok_or_else(|| format!("a number from {LEAST} on is wanted"))
}

pub(crate) fn items(text: &str) -> Result<Items, String> {
    Items::parse(text).map_err(|name| format!("no log item `{name}`; see `tern list log`"))
}
