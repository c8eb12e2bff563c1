//! tern-control: control surfaces of machines.
//!
//! * [`qemu`]: the command line of QEMU's system emulators.
//! * [`qmp`]: the QEMU Machine Protocol.
//! * [`grammar`]: how its arguments are written: `name,key=value`, sizes, JSON.
//! * [`parts`]: what every command line says in the same words.
//! * [`hmp`]: the monitor for people.
//! * [`qtest`]: devices driven from outside.
//! * [`surface`]: the loop that serves them all; [`vm`]: the machine that they act on.
//! * [`run`]: how a machine is run, whichever command line says so.
#![forbid(unsafe_code)]

pub mod gdb;
pub mod grammar;
pub mod hmp;
pub mod parts;
pub mod qemu;
pub mod qmp;
pub mod qtest;
pub mod record;
pub mod run;
pub mod surface;
pub mod vm;
