//! speed: how fast tern is, alone and beside its peers.
//!
//! `cargo bench --bench speed -- --help` tells the options.  The parts: *start* (a static hello-world), *kernels* (the
//! programs of the shared `bench` folder, compiled by the Debian cross compiler), *programs* (`mixed.c`, which does what
//! CoreMark does, and programs given by `--program`), *cold* (Debian's programs, short), *counts* (words and dispatches for
//! each guest instruction), *micro* (the interpreter's engine without an operating system).  What a part needs and does
//! not find is said in one line; the rest runs.  The last table compares with the goals in `goals.rs`.  It lives with the
//! binary because Cargo builds the binary for it, in the same profile.  If tern fails or its output differs the exit
//! status is 1.
#![forbid(unsafe_code)]

mod cases;
mod counts;
mod debian;
mod engines;
mod figures;
mod goals;
mod measure;
mod micro;
mod process;
mod programs;

use anyhow::Context;
use clap::Parser;
use goals::Summary;
use measure::Table;
use process::{Limits, own_resident};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// What can be measured.
const PARTS: [&str; 6] = ["start", "kernels", "programs", "cold", "counts", "micro"];

/// Measures tern, and its peers in the same run.
#[derive(Parser)]
#[command(name = "cargo bench --bench speed --")]
struct Args {
    /// Runs of each measurement, of which the median counts; three of runs longer than four seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..1000))]
    runs: u32,
    /// Only these kernels, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    kernels: Vec<String>,
    /// Only these parts, separated by commas: start, kernels, programs, cold, counts, micro
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = PARTS)]
    parts: Vec<String>,
    /// Another emulator: its command, to which the program's path is appended
    #[arg(long = "peer", value_name = "NAME=CMD")]
    peers: Vec<String>,
    /// Another program: static, for riscv64 Linux; and the same built for this host
    #[arg(long = "program", value_name = "NAME=RISCV64_ELF[:NATIVE_ELF]")]
    programs: Vec<String>,
    /// Compare only those lines of a program's output that have TEXT in them
    #[arg(long, value_name = "NAME=TEXT")]
    lines: Vec<String>,
    /// Write the figures to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Longest time that one run of a program may take, in seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    limit: u64,
    /// Cargo says that this is a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|p| p == part)
    }
}

/// The parts measured so far.
#[derive(Default)]
struct Report {
    parts: Map<String, Value>,
    summary: Summary,
    /// Runs of tern that went wrong.
    wrong: usize,
}

impl Report {
    fn table(&mut self, part: &str, table: &Table, engines: &[engines::Engine]) {
        self.wrong += table.wrong(engines);
        self.parts.insert(part.to_owned(), table.json());
    }
}

/// Load averages: a busy machine measures badly.
fn load() -> Option<String> {
    Some(std::fs::read_to_string("/proc/loadavg").ok()?.trim().to_owned())
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let mut report = Report::default();
    let before = load();
    let engines = if args.parts == ["micro"] { Vec::new() } else { engines::find(&args.peers)? };
    outside(&args, &engines, &mut report)?;
    // Last, since programs that are started later would show this process's memory as theirs.
    if args.wants("micro") {
        println!();
        let value = micro::run(args.runs)?;
        report.summary.micro(&value);
        report.parts.insert("micro".to_owned(), value);
    }
    report.summary.print();
    if let Some(path) = &args.json {
        let all = json!({
            "runs": args.runs, "engines": engines::json(&engines), "load_averages": [before, load()],
            "parts": Value::Object(report.parts), "summary": report.summary.json(),
        });
        let text = serde_json::to_string_pretty(&all)?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    if report.wrong > 0 {
        println!("tern failed or printed something else in {} cases", report.wrong);
    }
    Ok(ExitCode::from(u8::from(report.wrong > 0)))
}

/// The parts that run other processes.
fn outside(args: &Args, engines: &[engines::Engine], report: &mut Report) -> anyhow::Result<()> {
    let limits = Limits { runs: args.runs, seconds: args.limit };
    if args.wants("start") {
        let table = measure::measure("start", &cases::hello()?, engines, limits)?;
        table.print(|c| c.wall * 1e3, "wall milliseconds");
        table.print(|c| c.resident, "MiB resident");
        if let Some(own) = own_resident() {
            println!("(the benchmark itself has {own:.1} MiB: nothing that it starts shows less)");
        }
        report.summary.start(&table);
        report.table("start", &table, engines);
    }
    let kernels = args.wants("kernels") || args.wants("counts");
    let kernels = if kernels { cases::kernels(&args.kernels)? } else { Vec::new() };
    let programs = args.wants("programs") || args.wants("counts");
    let programs = if programs { cases::programs(&args.programs, &args.lines)? } else { Vec::new() };
    if args.wants("kernels") {
        let table = cases::compiled("kernels", &kernels, engines, limits)?;
        table.means();
        report.summary.kernels(&table, engines);
        report.table("kernels", &table, engines);
    }
    if args.wants("programs") {
        let table = cases::compiled("programs", &programs, engines, limits)?;
        report.summary.programs(&table, engines);
        report.table("programs", &table, engines);
    }
    if args.wants("cold") {
        let table = measure::measure("cold", &debian::cases()?, engines, limits)?;
        table.print(|c| c.user * 1e3, "user milliseconds");
        table.print(|c| c.wall * 1e3, "wall milliseconds");
        table.print(|c| c.resident, "MiB resident");
        table.ratios();
        table.means();
        report.summary.cold(&table, engines);
        report.table("cold", &table, engines);
    }
    if args.wants("counts") {
        let all = counts::count(&[kernels, programs].concat(), args.limit)?;
        report.summary.counts(&all);
        report.parts.insert("counts".to_owned(), counts::json(&all));
    }
    Ok(())
}
