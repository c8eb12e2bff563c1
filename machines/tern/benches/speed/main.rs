//! speed: how fast tern is, alone and beside its peers.
//!
//! `cargo bench --bench speed -- --help` tells the options.  Three parts: *micro* (the interpreter's engine without an
//! operating system), *kernels* (the programs of the shared `bench` folder, compiled by the Debian cross compiler), *start*
//! (start-up and cold code).  What a part needs and does not find is said in one line; the rest runs.  It lives with the
//! binary because Cargo builds the binary for it, in the same profile.  An output that differs makes the exit status 1.
#![forbid(unsafe_code)]

mod cases;
mod engines;
mod figures;
mod micro;
mod process;
mod programs;

use anyhow::Context;
use clap::Parser;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures tern, and its peers in the same run.
#[derive(Parser)]
#[command(name = "cargo bench --bench speed --")]
struct Args {
    /// Runs of each measurement; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..1000))]
    runs: u32,
    /// Only these kernels, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    kernels: Vec<String>,
    /// Only these parts, separated by commas: micro, kernels, start
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = ["micro", "kernels", "start"])]
    parts: Vec<String>,
    /// Another emulator: its command, to which the program's path is appended
    #[arg(long = "peer", value_name = "NAME=CMD")]
    peers: Vec<String>,
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

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let mut report = Map::new();
    let mut wrong = 0;
    if args.wants("micro") {
        report.insert("micro".into(), micro::run(args.runs)?);
    }
    if args.wants("kernels") || args.wants("start") {
        let engines = engines::find(&args.peers)?;
        let limits = process::Limits { runs: args.runs, seconds: args.limit };
        if args.wants("kernels") {
            let table = cases::kernels(&args.kernels, &engines, limits)?;
            wrong += table.wrong();
            report.insert("kernels".into(), table.json());
        }
        if args.wants("start") {
            let table = cases::start(&engines, limits)?;
            wrong += table.wrong();
            report.insert("start".into(), table.json());
        }
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&json!({ "runs": args.runs, "parts": Value::Object(report) }))?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    if wrong > 0 {
        println!("{wrong} programs failed or printed something else");
    }
    Ok(ExitCode::from(u8::from(wrong > 0)))
}
