//! tern-board: boards as part lists.
//!
//! * [`config`]: what a machine is made of, as plain data.
//! * [`load`]: kernels and other programs; [`fdt`]: device trees.
#![forbid(unsafe_code)]

pub mod config;
pub mod fdt;
pub mod load;

pub use config::BoardConfig;
