//! tern-linux: Linux processes as guests.
//!
//! * [`config`], [`start`]: the entry point, [`Prepared`].  [`process`], [`thread`], [`sched`], [`signal`]: a running process; all its
//!   threads are green threads on one host thread, run round-robin, so a schedule is deterministic and fork is safe.
//! * [`mm`]: the address space.  [`elf`]: loader, initial stack, vDSO.
//! * [`table`]: syscalls as rows; [`args`]: their argument types; [`sys`]: the code of irregular ones; [`strace`].
//! * [`abi`]: data layout by word size and byte order, structs, errno, flags.  [`isa`]: what differs between guests.
//! * [`debug`]: a process under a debugger.
//! * [`record`]: recording and replaying; [`digest`]; [`turns`]: which thread runs next, and for how long.
//! * [`paths`], [`procfs`], [`exec`]: names, views of `/proc`, programs.
//!
//! # Adding a syscall
//! A row in its chapter under `table/`, and code in `sys/<chapter>.rs` if the call is irregular.  A handler gets
//! [`cx::Cx`] and typed arguments and returns [`cx::SysResult`].  To wait, it returns [`cx::Outcome::Block`] with a
//! [`sched::Wait`]; it is issued again with the same arguments when the condition may hold, so it checks before it acts,
//! and keeps what it must remember in [`thread::Call`] ([`cx::Cx::deadline`], `progress`).
//!
//! # Adding a guest ISA
//! One file under [`isa`] and a line in [`isa::ALL`].
#![forbid(unsafe_code)]

pub mod abi;
pub mod args;
pub mod config;
pub mod cx;
pub mod debug;
pub mod digest;
pub mod elf;
pub mod engine;
pub mod events;
pub mod exec;
pub mod futex;
pub mod isa;
pub mod mm;
pub mod paths;
pub mod process;
pub mod procfs;
pub mod record;
pub mod sched;
pub mod signal;
pub mod start;
pub mod strace;
pub mod sys;
pub mod table;
pub mod thread;
pub mod timers;
pub mod turns;
pub mod vfork;

#[cfg(test)]
mod testing;

pub use config::{Config, CpuModel};
pub use elf::LoadError;
pub use engine::{CpuId, Engine};
pub use process::ExitStatus;
pub use start::{Finished, Prepared};
