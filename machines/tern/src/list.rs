//! `tern list`: what this build knows.

use crate::failure::{Failure, USAGE};
use std::fmt::Write as _;
use std::io::Write as _;
use tern_board::BOARDS;
use tern_linux::table::{Entry, Table};
use tern_session::{Isa, isa, log};

/// What to list.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// isas, cpus, boards, devices, syscalls or log
    what: What,
    /// Only of this guest ISA
    #[arg(long)]
    isa: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// Guest ISAs
    Isas,
    /// CPU models and extensions
    Cpus,
    /// Boards of whole machines
    Boards,
    /// Devices of boards
    Devices,
    /// Linux system calls: what is there and what is missing
    Syscalls,
    /// Items for --log
    Log,
}

/// Prints the list.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let isas: Vec<&Isa> = match &args.isa {
        Some(name) => vec![isa_named(name)?],
        None => isa::ALL.iter().collect(),
    };
    let mut out = String::new();
    for isa in isas {
        match args.what {
            What::Isas => isas_row(&mut out, isa),
            What::Cpus => cpus(&mut out, isa),
            What::Syscalls => syscalls(&mut out, isa),
            What::Boards => boards(&mut out, isa),
            What::Devices | What::Log => break,
        }
    }
    if matches!(args.what, What::Devices) {
        devices(&mut out);
    }
    if matches!(args.what, What::Log) {
        for item in log::ALL {
            let also = item.qemu.join(", ");
            let also = if also.is_empty() { also } else { format!(" (QEMU: {also})") };
            row(&mut out, item.name, &format!("{}{also}", item.about));
        }
    }
    std::io::stdout().write_all(out.as_bytes())?;
    Ok(0)
}

/// The ISA with this name; the error lists those that there are.
pub(crate) fn isa_named(name: &str) -> Result<&'static Isa, Failure> {
    isa::by_name(name)
        .ok_or_else(|| Failure::new(USAGE, format!("no guest ISA `{name}`; this tern has {}", isa::names())))
}

fn row(out: &mut String, name: &str, about: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{name:16} {about}");
}

fn isas_row(out: &mut String, isa: &Isa) {
    let bits = if isa.elf.is64 { 64 } else { 32 };
    let aliases = isa.aliases.join(", ");
    let about = format!("{bits}-bit, {:?}-endian, ELF machine {}; also {aliases}", isa.elf.endian, isa.elf.machine);
    row(out, isa.name, &about.replace("Little", "little").replace("Big", "big"));
}

fn cpus(out: &mut String, isa: &Isa) {
    let _ = writeln!(out, "{}: models (default {})", isa.name, isa.default_cpu);
    for (name, about) in (isa.models)() {
        row(out, &format!("  {name}"), about);
    }
    let _ = writeln!(out, "{}: extensions, switched by MODEL,EXT=on,EXT=off or named in an ISA string", isa.name);
    for (name, about) in (isa.properties)() {
        row(out, &format!("  {name}"), about);
    }
}

fn boards(out: &mut String, isa: &Isa) {
    for board in BOARDS.iter().filter(|b| b.isa == isa.name) {
        let plural = if board.max_cpus == 1 { "" } else { "s" };
        row(out, board.name, &format!("{}; up to {} CPU{plural}", board.about, board.max_cpus));
    }
}

fn devices(out: &mut String) {
    for part in tern_devices::catalogue() {
        let also = part.aliases.join(", ");
        let also = if also.is_empty() { also } else { format!(" (QEMU: {also})") };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:24} {}{also}", part.name, part.about);
    }
    for kind in tern_devices::model::types() {
        let also = kind.model.aliases.join(", ");
        let also = if also.is_empty() { also } else { format!(" (QEMU: {also})") };
        let _ = writeln!(out, "{:24} {}; on {}{also}", kind.name(), kind.model.about, kind.bus().name());
    }
}

fn syscalls(out: &mut String, isa: &Isa) {
    let Some(linux) = tern_linux::isa::by_name(isa.name) else { return };
    let table = Table::new(linux);
    let mut calls: Vec<(usize, &str)> = linux.syscalls().collect();
    calls.sort_unstable();
    let there = |nr: usize| matches!(table.get(nr as u64), Entry::Known(_));
    let count = calls.iter().filter(|(nr, _)| there(*nr)).count();
    let _ = writeln!(out, "{}: {count} of {} system calls", isa.name, calls.len());
    for (nr, name) in calls {
        let _ = writeln!(out, "  {nr:4} {name:24} {}", if there(nr) { "yes" } else { "ENOSYS" });
    }
}
