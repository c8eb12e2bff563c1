//! tern-session: what boards and processes have in common.
//!
//! * [`isa`]: the list of guest ISAs.  To add one: a crate under `frontends/`, a cargo feature here, one row there.
//! * [`Engine`]: the execution engine with its log.
//! * [`log`]: log items and where their lines go.
//! * [`ident`]: what an ELF file says it is; [`image`]: a small ELF file from assembled code.
#![forbid(unsafe_code)]

mod engine;
pub mod ident;
pub mod image;
pub mod isa;
pub mod log;

pub use engine::{CpuId, Engine, Options};
pub use isa::{CpuError, Isa};
pub use log::{Items, Log};
pub use tern_interp::{Count, Dispatch, Stats};
