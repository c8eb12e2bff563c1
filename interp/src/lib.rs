//! tern-interp: IR to bytecode, the interpreter, the translation cache.
//!
//! * [`Engine`] owns one address space's translations and its virtual CPUs.
//! * `lower` turns a block of IR into words: it gives values homes in slots, picks operand variants, fuses.
//! * `body` says what each word does; `dispatch` makes the portable loop and the tail dispatcher from it.
//! * `cache` keeps blocks, links and pages.
//!
//! To add a pure operation: nothing here; it comes from `tern_core::ir::ops`.  To add another kind of word: a body, a code
//! in `dispatch/table.rs`, its emission in `lower`.

#![allow(unsafe_code, reason = "dispatch and the memory fast path; every block names its proof")]

mod body;
mod cache;
mod context;
mod cx;
mod dispatch;
mod engine;
mod fused;
mod lower;
mod profile;
mod word;

pub use dispatch::Dispatch;
pub use engine::{CpuId, Engine, LogItem, LogSink, Options, Stats};
pub use profile::Count;
