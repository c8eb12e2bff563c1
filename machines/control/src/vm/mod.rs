//! The running machine that all control surfaces act on.
//!
//! A [`Vm`] owns the board and its backends, knows whether the machine runs, and keeps what surfaces must tell others
//! ([`Event`]).  Whoever has it calls [`Vm::turn`] again and again; surfaces act between turns ([`crate::surface`]).
//!
//! * `run`: the machine runs, stops, is reset, ends. `devices`: devices and backends come and go. `qom`: all of it as a tree
//!   of objects. `save`: snapshots. `migrate`: it goes to another process.

mod devices;
mod hear;
mod look;
pub mod migrate;
pub mod qom;
mod run;
pub mod save;
mod travel;

pub use devices::DeviceError;
pub use hear::device_name;
pub use run::Stops;

use crate::run::RunOptions;
use serde_json::Value;
use std::collections::VecDeque;
use tern_board::host::Host;
use tern_board::{Board, BoardConfig};
use tern_host::clock;
use tern_session::machine::DebugStop;
use tern_session::timeline::Timeline;

/// What a machine does (QMP's `RunState`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are QEMU's")]
pub enum RunState {
    Debug,
    Inmigrate,
    InternalError,
    IoError,
    Paused,
    Postmigrate,
    Prelaunch,
    FinishMigrate,
    RestoreVm,
    Running,
    SaveVm,
    Shutdown,
    Suspended,
    Watchdog,
    GuestPanicked,
}

impl RunState {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RunState::Debug => "debug",
            RunState::Inmigrate => "inmigrate",
            RunState::InternalError => "internal-error",
            RunState::IoError => "io-error",
            RunState::Paused => "paused",
            RunState::Postmigrate => "postmigrate",
            RunState::Prelaunch => "prelaunch",
            RunState::FinishMigrate => "finish-migrate",
            RunState::RestoreVm => "restore-vm",
            RunState::Running => "running",
            RunState::SaveVm => "save-vm",
            RunState::Shutdown => "shutdown",
            RunState::Suspended => "suspended",
            RunState::Watchdog => "watchdog",
            RunState::GuestPanicked => "guest-panicked",
        }
    }
}

/// Something that happened, for whoever listens.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Its name: `SHUTDOWN`.
    pub name: &'static str,
    /// What more there is to say: an object, or null.
    pub data: Value,
    /// When, in nanoseconds since 1970 on the host.
    pub time_ns: u64,
}

/// Why a machine came to its end, or was reset (QMP's `ShutdownCause`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are QEMU's")]
pub enum Cause {
    HostError,
    HostQmpQuit,
    HostQmpSystemReset,
    HostSignal,
    HostUi,
    GuestShutdown,
    GuestReset,
    GuestPanic,
    SnapshotLoad,
}

impl Cause {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::HostError => "host-error",
            Cause::HostQmpQuit => "host-qmp-quit",
            Cause::HostQmpSystemReset => "host-qmp-system-reset",
            Cause::HostSignal => "host-signal",
            Cause::HostUi => "host-ui",
            Cause::GuestShutdown => "guest-shutdown",
            Cause::GuestReset => "guest-reset",
            Cause::GuestPanic => "guest-panic",
            Cause::SnapshotLoad => "snapshot-load",
        }
    }

    fn is_guest(self) -> bool {
        matches!(self, Cause::GuestShutdown | Cause::GuestReset | Cause::GuestPanic)
    }
}

/// The machine.
pub struct Vm {
    /// The board.
    pub board: Board,
    /// The backends.
    pub host: Host,
    /// What it was made of.
    pub config: BoardConfig,
    /// How it is run.
    pub options: RunOptions,
    /// The CPU that questions of people are about.
    pub current_cpu: usize,
    status: RunState,
    events: VecDeque<Event>,
    ended: Option<u8>,
    begin: u64,
    stops: Stops,
    patience: Option<u64>,
    migration: migrate::Migration,
    debug_stop: Option<DebugStop>,
    /// What somebody wants of the gdb server: a character device for it, or none.
    pub gdb_request: Option<Option<String>>,
    timeline: Option<Timeline>,
    /// A replay that can go back has come to its end, and nobody has been told.
    at_end: bool,
    /// What QMP keeps.
    pub qmp: crate::qmp::State,
}

impl Vm {
    /// A machine that has been switched on; it stands still if `options` says so.
    #[must_use]
    pub fn new(board: Board, host: Host, config: BoardConfig, options: RunOptions) -> Vm {
        let waits = options.paused || options.preconfig;
        let status = match (&options.incoming, waits) {
            (Some(_), _) => RunState::Inmigrate,
            (None, true) => RunState::Prelaunch,
            (None, false) => RunState::Running,
        };
        let stops = Stops::new(&options);
        Vm {
            board,
            host,
            config,
            options,
            current_cpu: 0,
            status,
            events: VecDeque::new(),
            ended: None,
            begin: clock::monotonic_ns(),
            stops,
            patience: None,
            migration: migrate::Migration::default(),
            debug_stop: None,
            gdb_request: None,
            timeline: None,
            at_end: false,
            qmp: crate::qmp::State::default(),
        }
    }

    /// What it does.
    #[must_use]
    pub fn status(&self) -> RunState {
        self.status
    }

    /// Do its CPUs run?
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status == RunState::Running
    }

    /// The status that tern is to end with, once the machine has come to its end.
    #[must_use]
    pub fn ended(&self) -> Option<u8> {
        self.ended
    }

    /// Why a CPU has stopped for its debugger, if one has since the last call.
    pub fn take_debug_stop(&mut self) -> Option<DebugStop> {
        self.debug_stop.take()
    }

    /// Tells whoever listens.
    pub fn emit(&mut self, name: &'static str, data: Value) {
        let time_ns = u64::try_from(clock::realtime_ns()).unwrap_or(0);
        self.events.push_back(Event { name, data, time_ns });
    }

    /// Takes what has happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Gives the user a line.
    pub fn tell(&mut self, text: &str) {
        self.host.world().tell(text);
    }

    /// The ISA's name: `riscv64`.
    #[must_use]
    pub fn isa(&self) -> &str {
        self.config.board.split('/').next().unwrap_or_default()
    }

    /// The board's name: `virt`.
    #[must_use]
    pub fn machine_name(&self) -> &str {
        self.config.board.rsplit('/').next().unwrap_or_default()
    }
}
