//! The command line of QEMU's system emulators (`qemu-system-riscv64 [options] [disk image]`), so that scripts written for
//! them keep working (QEMU documentation, "System Emulation", "Invocation").
//!
//! Options are rows of `table`; a row's handler fills the board's configuration or notes what refers to something that may
//! come later on the line; `finish` puts the references together.  What is not supported is refused in one line.
//!
//! To add an option: a row.  To add a device: a row in `device`.

pub mod block;
pub mod chars;
pub mod device;
mod finish;
mod machine;
pub mod net;
mod readconfig;
mod table;
#[cfg(test)]
mod tests;

use crate::run::{MonitorMode, RunOptions, TapeOption};
use std::ffi::OsString;
use std::path::PathBuf;
use tern_board::BoardConfig;
use tern_board::config::{ClockMode, DeviceConfig};
use tern_session::{Isa, isa};

/// The version of QEMU whose command line this is.
pub const LIKE: &str = "10.0.0";

/// The options that are taken: name, and what the help calls the argument (empty if there is none).
pub fn options() -> impl Iterator<Item = (&'static str, &'static str)> {
    table::ROWS.iter().filter(|row| row.is_taken()).map(|row| (row.name, row.arg))
}

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run this machine.
    Run(Box<BoardConfig>, Box<RunOptions>),
    /// Print this and succeed.
    Print(String),
}

/// Why a line is not taken on: one line, the emulator's name first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal(pub String);

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Refusal {}

/// Why the reading of a line ends early.
enum Stop {
    /// Print this and succeed.
    Print(String),
    /// Refuse, with this reason.
    Refuse(String),
}

impl From<String> for Stop {
    fn from(reason: String) -> Stop {
        Stop::Refuse(reason)
    }
}

/// Something with the option that said it, for messages.
struct At<T> {
    place: String,
    value: T,
}

/// What the options add up to.
struct Line {
    isa: &'static Isa,
    config: BoardConfig,
    run: RunOptions,
    /// The option that is being read.
    place: String,
    accels: Vec<String>,
    icount: bool,
    /// `-rtc clock=host`.
    rtc_host: Option<At<()>>,
    nodefaults: bool,
    /// `-nographic`, and whether anything was said about displays.
    nographic: bool,
    display: bool,
    snapshot: bool,
    dirs: Vec<PathBuf>,
    /// `-serial`, `-monitor` and `-qmp` in their order, and `-mon`.
    serials: Vec<At<String>>,
    monitors: Vec<At<(String, Option<MonitorMode>)>>,
    /// `-snapshot` does not reach these drives: they say so themselves.
    settled: Vec<String>,
    /// Drives that are devices too.
    disks: Vec<String>,
    dumps: Vec<At<(String, PathBuf)>>,
    devices: Vec<At<DeviceConfig>>,
    /// `-set`.
    sets: Vec<At<String>>,
    memory_given: bool,
    /// There has been a `-numa node`.
    numa: bool,
}

impl Line {
    fn new(name: &str, isa: &'static Isa) -> Line {
        let mut config = BoardConfig::new(format!("{}/spike", isa.name));
        // As in QEMU, guest time is the host's unless -icount is given.
        config.clock = ClockMode::Host;
        config.options.legacy_virtio = true;
        Line {
            isa,
            config,
            run: RunOptions::new(name),
            place: String::new(),
            accels: Vec::new(),
            icount: false,
            rtc_host: None,
            nodefaults: false,
            nographic: false,
            display: false,
            snapshot: false,
            dirs: Vec::new(),
            serials: Vec::new(),
            monitors: Vec::new(),
            settled: Vec::new(),
            disks: Vec::new(),
            dumps: Vec::new(),
            devices: Vec::new(),
            sets: Vec::new(),
            memory_given: false,
            numa: false,
        }
    }

    /// With the option that is being read.
    fn here<T>(&self, value: T) -> At<T> {
        At { place: self.place.clone(), value }
    }

    /// Reads one option; its argument comes from `args`.
    fn option<'a>(&mut self, name: &str, args: &mut impl Iterator<Item = &'a OsString>) -> Result<(), Stop> {
        self.place = format!("-{name}");
        let row = table::ROWS.iter().find(|r| r.name == name || r.alias == name);
        let row = row.ok_or_else(|| "invalid option".to_owned())?;
        let mut value = "";
        if !row.arg.is_empty() {
            let arg = args.next().ok_or_else(|| "requires an argument".to_owned())?;
            value = arg.to_str().ok_or_else(|| "the argument is not UTF-8".to_owned())?;
            self.place = format!("-{name} {value}");
        }
        (row.set)(self, value)
    }

    fn read(&mut self, args: &[OsString]) -> Result<(), Stop> {
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let text = arg.to_str().ok_or_else(|| "an argument is not UTF-8".to_owned())?;
            match text.strip_prefix("--").or_else(|| text.strip_prefix('-')).filter(|name| !name.is_empty()) {
                Some(name) => self.option(name, &mut args)?,
                None => {
                    self.place = text.to_owned();
                    block::image(self, text)?;
                }
            }
        }
        self.place.clear();
        Ok(())
    }
}

/// Reads the arguments of the emulator called `name` (`qemu-system-riscv64`).
///
/// # Errors
/// What is wrong or not supported.
pub fn parse(name: &str, args: &[OsString]) -> Result<Command, Refusal> {
    let guest = name.trim_start_matches("qemu-system-");
    let isa =
        isa::by_name(guest).ok_or_else(|| Refusal(format!("{name}: this tern has machines of {}", isa::names())))?;
    let mut line = Line::new(name, isa);
    match line.read(args).and_then(|()| finish::finish(&mut line)) {
        Ok(()) => {
            if let TapeOption::Record { words, .. } = &mut line.run.tape {
                let all = core::iter::once(name.to_owned());
                *words = all.chain(args.iter().map(|arg| arg.to_string_lossy().into_owned())).collect();
            }
            Ok(Command::Run(Box::new(line.config), Box::new(line.run)))
        }
        Err(Stop::Print(text)) => Ok(Command::Print(text)),
        Err(Stop::Refuse(reason)) if line.place.is_empty() => Err(Refusal(format!("{name}: {reason}"))),
        Err(Stop::Refuse(reason)) => Err(Refusal(format!("{name}: {}: {reason}", line.place))),
    }
}
