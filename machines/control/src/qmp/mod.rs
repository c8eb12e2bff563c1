//! The QEMU Machine Protocol (QEMU documentation, "QEMU Machine Protocol Specification", "QEMU QMP Reference Manual").
//!
//! * [`json`] and [`mod@write`]: the dialect of JSON.
//! * [`protocol`]: a connection; [`mod@monitor`]: one on a character device.
//! * [`schema`]: types, declared with `qapi!`; [`introspect`]: what `query-qmp-schema` says of them.
//! * [`command`], [`event`]: rows of commands and of events; [`commands`], [`events`]: all of them.
//! * [`jobs`]: background jobs.  [`fds`]: descriptors that clients send.
//! * [`keys`]: names of keys.
//!
//! To add a command: a row and its handler in its chapter's file; types of its own beside them.

pub mod command;
pub mod commands;
pub mod event;
pub mod events;
pub mod fds;
pub mod introspect;
pub mod jobs;
pub mod json;
pub mod keys;
pub mod monitor;
pub mod protocol;
pub(crate) mod qapi;
pub mod schema;
#[cfg(test)]
mod tests;
pub mod write;

pub use monitor::monitor;

/// What the protocol keeps of a machine beyond the machine itself.
#[derive(Default)]
pub struct State {
    /// Background jobs.
    pub jobs: jobs::Jobs,
    /// The migration, and what it goes by.
    pub migration: commands::migration::Migration,
    /// Descriptors that clients have sent.
    pub fds: fds::Fds,
}
