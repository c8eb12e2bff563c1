//! tern-board: boards as part lists.
//!
//! * [`config`]: what a machine is made of, as plain data.
//! * [`boot`]: what is in memory at power-on; [`bios`]: where firmware is.
//! * [`part`]: parts; [`virt`], [`spike`]: the boards' lists of them; [`tree`]: the device tree of such a list.
//! * [`load`]: kernels and other programs; [`fdt`]: device trees; [`sbi`]: the firmware that tern itself is.
#![forbid(unsafe_code)]

pub mod bios;
pub mod boot;
pub mod config;
mod error;
pub mod fdt;
pub mod load;
pub mod part;
pub mod sbi;
pub mod spike;
pub mod tree;
pub mod virt;

pub use config::BoardConfig;
pub use error::BoardError;
