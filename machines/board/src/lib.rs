//! tern-board: boards as part lists.
//!
//! * [`config`]: what a machine is made of, as plain data.
//! * [`Plan`]: the machine as it will be; [`build()`]: the machine.
//! * [`boot`]: what is in memory at power-on; [`bios`]: where firmware is.
//! * [`part`]: parts; [`platform`]: the bus for devices that users add; [`virt`], [`spike`]: the boards' lists of them; [`tree`]: the device tree of such a list.
//! * [`load`]: kernels and other programs; [`fdt`]: device trees; [`sbi`]: the firmware that tern itself is.
#![forbid(unsafe_code)]

pub mod backends;
pub mod bios;
mod boards;
pub mod boot;
pub mod build;
pub mod config;
mod error;
pub mod fdt;
pub mod host;
pub mod load;
pub mod none;
pub mod part;
pub mod plan;
pub mod platform;
pub mod sbi;
pub mod spike;
pub mod tree;
pub mod virt;

pub use backends::{Backends, Port, User};
pub use boards::{BOARDS, BoardRow};
pub use build::{Board, Place, Plugged, build};
pub use config::BoardConfig;
pub use error::BoardError;
pub use plan::Plan;
