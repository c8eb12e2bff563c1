//! Runs a program and says what it cost and what it printed.

use crate::figures::median;
use anyhow::Context;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
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
#[derive(Clone, Copy, Default)]
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

impl Cost {
    /// Of one run after the other.
    pub(crate) fn and(self, next: Cost) -> Cost {
        Cost {
            user: self.user + next.user,
            system: self.system + next.system,
            wall: self.wall + next.wall,
            resident: self.resident.max(next.resident),
        }
    }

    /// The medians of several runs.
    pub(crate) fn middle(costs: &[Cost]) -> Cost {
        let of = |f: fn(&Cost) -> f64| median(&mut costs.iter().map(f).collect::<Vec<f64>>());
        Cost { user: of(|c| c.user), system: of(|c| c.system), wall: of(|c| c.wall), resident: of(|c| c.resident) }
    }
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

/// Where programs may write.
pub(crate) fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Variables that would change what Debian's programs do; Cargo sets one of them.
fn strange(name: &str) -> bool {
    ["PYTHON", "GIT_", "PERL", "GCC_", "LC_", "LD_", "TERN_"].iter().any(|prefix| name.starts_with(prefix))
        || ["C_INCLUDE_PATH", "CPATH", "TMPDIR"].contains(&name)
}

fn command(line: &[String], env: &[(String, String)]) -> anyhow::Result<Command> {
    let (program, args) = line.split_first().context("an emulator's command is empty")?;
    let mut command = Command::new(program);
    let inherited = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    inherited.filter(|name| strange(name)).for_each(|name| {
        command.env_remove(name);
    });
    command.args(args).envs(env.iter().cloned()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    Ok(command)
}

/// What a run printed on standard output and standard error.
pub(crate) struct Printed {
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
}

/// Runs a command line once, with more variables.
pub(crate) fn run(
    line: &[String],
    env: &[(String, String)],
    seconds: u64,
) -> anyhow::Result<Result<(Cost, Printed), Wrong>> {
    let [out, err]: [PathBuf; 2] = ["stdout", "stderr"].map(|name| scratch().join(name));
    let create = |path: &Path| File::create(path).with_context(|| path.display().to_string());
    let mut command = command(line, env)?;
    command.stdout(create(&out)?).stderr(create(&err)?);
    let begin = monotonic_ns();
    let mut child = match command.spawn() {
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
    Ok(Ok((cost, Printed { out: std::fs::read(out)?, err: std::fs::read(err)? })))
}

/// The benchmark's own largest resident set in MiB: no program that it starts shows less.
pub(crate) fn own_resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}
