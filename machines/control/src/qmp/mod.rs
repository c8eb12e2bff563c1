//! The QEMU Machine Protocol (QEMU documentation, "QEMU Machine Protocol Specification", "QEMU QMP Reference Manual").
//!
//! * [`json`] and [`write`]: the dialect of JSON.
//! * [`protocol`]: a connection.
//! * [`schema`]: types, declared with `qapi!`, and what `query-qmp-schema` says.
//! * [`command`], [`event`]: rows of commands and of events.
//!
//! To add a command: a row and its handler in its chapter's file; types of its own beside them.

pub mod command;
pub mod event;
pub mod json;
pub mod protocol;
pub(crate) mod qapi;
pub mod schema;
#[cfg(test)]
mod tests;
pub mod write;
