//! tern-board: boards as part lists.
//!
//! * [`config`]: what a machine is made of, as plain data.
//! * [`load`]: kernels and other programs; [`fdt`]: device trees; [`sbi`]: the firmware that tern itself is.
#![forbid(unsafe_code)]

pub mod config;
pub mod fdt;
pub mod load;
pub mod sbi;

pub use config::BoardConfig;
