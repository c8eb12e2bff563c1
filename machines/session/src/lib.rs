//! tern-session: what boards and processes have in common.
//!
//! * [`isa`]: the list of guest ISAs.  To add one: a crate under `frontends/`, a cargo feature here, one row there.
//! * [`Engine`]: the execution engine with its log.
//! * [`log`]: log items and where their lines go.
//! * [`machine`]: whole machines and their run loop; [`firmware`]: what stands in for firmware.
//! * [`record`]: logs of runs; [`timeline`]: any position of a replay.
//! * [`debug`]: what debuggers see of a machine or a process, and the gdb server.
//! * [`ident`]: what an ELF file says it is; [`image`]: a small ELF file from assembled code.
#![forbid(unsafe_code)]

pub mod debug;
mod engine;
pub mod firmware;
pub mod ident;
pub mod image;
pub mod isa;
pub mod log;
pub mod machine;
pub mod record;
pub mod timeline;

pub use engine::{CpuId, Engine, Options};
pub use isa::{CpuError, Isa};
pub use log::{Items, Log};
pub use machine::{Machine, Settings};
pub use tern_interp::{Count, Dispatch, Stats};
