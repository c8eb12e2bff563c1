//! Runs a program and says what it cost and what it printed.

use anyhow::Context;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tern_host::clock::monotonic_ns;
use tern_host::sys::host::WNOHANG;
use tern_host::sys::proc::wait4;

/// How often, and how long at most.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Runs of each measurement.
    pub(crate) runs: u32,
    /// Wall seconds of one run.
    pub(crate) seconds: u64,
}

/// What a run cost, its children included.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Seconds in user mode.
    pub(crate) user: f64,
    /// Seconds in the kernel.
    pub(crate) system: f64,
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Largest resident set in MiB; never below the benchmark's own, which Linux hands on to its children.
    pub(crate) resident: f64,
}

/// Why a run does not count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// It could not be started.
    Start(String),
    /// It ended with another status than 0.
    Status(ExitStatus),
    /// It was ended after the limit.
    Time,
    /// It printed something else.
    Output,
}

impl core::fmt::Display for Wrong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Wrong::Start(reason) => f.write_str(reason),
            Wrong::Status(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exit {code}"),
                (None, Some(signal)) => write!(f, "signal {signal}"),
                (None, None) => write!(f, "{status}"),
            },
            Wrong::Time => f.write_str("time"),
            Wrong::Output => f.write_str("WRONG"),
        }
    }
}

/// Runs a command line once; `scratch` is a file for its output.
pub(crate) fn run(line: &[String], scratch: &Path, seconds: u64) -> anyhow::Result<Result<(Cost, Vec<u8>), Wrong>> {
    let output = File::create(scratch).with_context(|| scratch.display().to_string())?;
    let (program, args) = line.split_first().context("an emulator's command is empty")?;
    let begin = monotonic_ns();
    let child = Command::new(program).args(args).stdin(Stdio::null()).stdout(output).stderr(Stdio::null()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(e) => return Ok(Err(Wrong::Start(e.to_string()))),
    };
    let pid = i32::try_from(child.id()).context("a process number")?;
    let mut in_time = true;
    let waited = loop {
        let waited = wait4(pid, WNOHANG).map_err(|e| anyhow::anyhow!("wait4: {e:?}"))?;
        if waited.pid != 0 {
            break waited;
        }
        let elapsed = monotonic_ns() - begin;
        if in_time && elapsed > seconds.saturating_mul(1_000_000_000) {
            in_time = false;
            child.kill().context("kill")?;
        }
        // Fine enough for start-up times, rare enough to leave the processor alone.
        std::thread::sleep(Duration::from_nanos((elapsed / 50).clamp(50_000, 5_000_000)));
    };
    let wall = (monotonic_ns() - begin) as f64 / 1e9;
    let status = ExitStatus::from_raw(waited.status);
    if !in_time {
        return Ok(Err(Wrong::Time));
    }
    if !status.success() {
        return Ok(Err(Wrong::Status(status)));
    }
    let usage = waited.usage;
    let cost = Cost {
        user: usage.utime.nanos() as f64 / 1e9,
        system: usage.stime.nanos() as f64 / 1e9,
        wall,
        resident: usage.maxrss as f64 / 1024.0,
    };
    Ok(Ok((cost, std::fs::read(scratch)?)))
}
