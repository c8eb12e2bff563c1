//! tern-core: the vocabulary that every other room speaks.
//!
//! * [`ir`]: the typed intermediate representation, its one op table, builder, passes, text form and reference evaluator.
//! * [`state`]: state layouts (which slots a CPU has) and the state itself.
//! * [`mem`]: guest memory: page flags, host spans, the [`mem::GuestMemory`] trait.
//! * [`frontend`]: what a guest ISA provides, [`system`]: its privileged side; [`engine`]: what an execution tier provides.
//! * [`device`]: device traits, registers, wires; [`time`]: clocks and events; [`backend`]: what stands behind devices;
//!   [`snapshot`]: saved states of parts.
//! * [`bare`]: a guest without instructions, for IR that comes as text.
//! * [`codec`]: the one place where bytes on disk are defined (I4).
//!
//! `core` knows no guest, no OS and no device. To add a pure IR operation, add one row to [`ir::ops`]; the folder, the
//! evaluator, every bytecode variant, the text form and the random tests follow from it.

pub mod backend;
pub mod bare;
pub mod codec;
pub mod device;
pub mod engine;
pub mod frontend;
pub mod ir;
pub mod mem;
pub mod snapshot;
pub mod state;
pub mod stops;
pub mod system;
pub mod text;
pub mod time;
