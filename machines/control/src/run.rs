//! How a machine is run: what is no part of the machine itself.

use std::path::PathBuf;
use tern_session::{Items, Options};

/// How a machine is run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// What messages begin with: the name tern was called by.
    pub name: String,
    /// Does a machine that waits let as much host time pass as guest time?
    pub paced: bool,
    /// The engine; its log is made from `items`.
    pub engine: Options,
    /// What happens when the guest does something to the whole machine.
    pub actions: Actions,
    /// The machine waits for somebody to let it go.
    pub paused: bool,
    /// Nothing of the machine is made before somebody says so.
    pub preconfig: bool,
    /// No CPU ever runs: time is moved by qtest.
    pub qtest_only: bool,
    /// The character device of qtest.
    pub qtest: Option<String>,
    /// The character device of the gdb server.
    pub gdb: Option<String>,
    /// Monitors.
    pub monitors: Vec<MonitorConfig>,
    /// Go on in the background once the machine is made.
    pub daemonize: bool,
    /// Messages begin with the time.
    pub timestamps: bool,
    /// The machine's name.
    pub guest_name: Option<String>,
    /// The machine's state comes from there (`-incoming`).
    pub incoming: Option<String>,
    /// A snapshot in the images to begin with (`-loadvm`).
    pub loadvm: Option<String>,
    /// What is logged.
    pub items: Items,
    /// Where the log goes; `None`: standard error.
    pub log_file: Option<PathBuf>,
    /// A file that holds tern's process number while the machine runs.
    pub pid_file: Option<PathBuf>,
    /// Begin with this snapshot.
    pub load: Option<PathBuf>,
    /// Write a snapshot when this many instructions have retired, or at the end.
    pub save: Option<Save>,
    /// End after this many instructions, counted from power-on.
    pub until: Option<u64>,
    /// Print position and digest whenever this many instructions have retired, and at the end.
    pub digest_every: Option<u64>,
    /// Print figures at the end.
    pub stats: bool,
    /// What is recorded or replayed.
    pub tape: TapeOption,
}

/// What is recorded or replayed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum TapeOption {
    /// Nothing.
    #[default]
    None,
    /// The run is recorded.
    Record {
        /// In this file.
        file: PathBuf,
        /// The command line that made the machine, for the log.
        words: Vec<String>,
    },
    /// A recorded run is replayed.
    Replay {
        /// Its log.
        file: PathBuf,
        /// Does what the guest prints on the terminal appear?
        output: bool,
        /// Bytes for checkpoints, from which the replay can go back; `None`: it cannot.
        checkpoints: Option<usize>,
    },
}

/// Bytes for checkpoints, if nobody says.
pub const CHECKPOINTS: usize = 512 << 20;

/// What happens when the guest does something to the whole machine (`-action`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Actions {
    /// A reset ends the run.
    pub reboot_ends: bool,
    /// A machine that is switched off stays, stopped.
    pub shutdown_pauses: bool,
    /// What a crash of the guest does.
    pub panic: OnPanic,
    /// What a watchdog does.
    pub watchdog: OnWatchdog,
}

/// What a crash of the guest does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnPanic {
    /// Nothing: the guest goes on.
    None,
    /// The machine is stopped.
    Pause,
    /// The run ends with status 0.
    Shutdown,
    /// The run ends with status 1.
    #[default]
    ExitFailure,
}

/// What a watchdog does that is not fed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "the names are QEMU's")]
pub enum OnWatchdog {
    #[default]
    Reset,
    Shutdown,
    Poweroff,
    Pause,
    Debug,
    None,
    InjectNmi,
}

impl OnPanic {
    /// By QEMU's name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<OnPanic> {
        Some(match name {
            "none" => OnPanic::None,
            "pause" => OnPanic::Pause,
            "shutdown" => OnPanic::Shutdown,
            "exit-failure" => OnPanic::ExitFailure,
            _ => return None,
        })
    }
}

impl OnWatchdog {
    /// QEMU's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            OnWatchdog::Reset => "reset",
            OnWatchdog::Shutdown => "shutdown",
            OnWatchdog::Poweroff => "poweroff",
            OnWatchdog::Pause => "pause",
            OnWatchdog::Debug => "debug",
            OnWatchdog::None => "none",
            OnWatchdog::InjectNmi => "inject-nmi",
        }
    }

    /// By QEMU's name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<OnWatchdog> {
        Some(match name {
            "reset" => OnWatchdog::Reset,
            "shutdown" => OnWatchdog::Shutdown,
            "poweroff" => OnWatchdog::Poweroff,
            "pause" => OnWatchdog::Pause,
            "debug" => OnWatchdog::Debug,
            "none" => OnWatchdog::None,
            "inject-nmi" => OnWatchdog::InjectNmi,
            _ => return None,
        })
    }
}

/// A monitor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MonitorConfig {
    /// Its character device.
    pub chardev: String,
    /// What it speaks.
    pub mode: MonitorMode,
}

/// What a monitor speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MonitorMode {
    /// HMP, for people.
    Readline,
    /// QMP; true: replies are laid out for people.
    Control(bool),
}

/// A snapshot to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Save {
    /// When, in retired instructions; `None`: when the run ends.
    pub at: Option<u64>,
    /// Where to.
    pub file: PathBuf,
}

/// Words of a machine's translation cache: with four times as many Debian boots 9 % faster, and tern takes 195 MiB for itself
/// in place of 57.
const CACHE_WORDS: usize = 1 << 20;

impl RunOptions {
    /// A plain run.
    #[must_use]
    pub fn new(name: impl Into<String>) -> RunOptions {
        RunOptions {
            name: name.into(),
            paced: true,
            engine: Options { cache_words: CACHE_WORDS, ..Options::default() },
            actions: Actions::default(),
            paused: false,
            preconfig: false,
            qtest_only: false,
            qtest: None,
            gdb: None,
            monitors: Vec::new(),
            daemonize: false,
            timestamps: false,
            guest_name: None,
            incoming: None,
            loadvm: None,
            items: Items::NONE,
            log_file: None,
            pid_file: None,
            load: None,
            save: None,
            until: None,
            digest_every: None,
            stats: false,
            tape: TapeOption::None,
        }
    }
}
