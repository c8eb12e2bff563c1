//! tern-board: boards as part lists.
//!
//! * [`config`]: what a machine is made of, as plain data.
#![forbid(unsafe_code)]

pub mod config;

pub use config::BoardConfig;
