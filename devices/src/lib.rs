//! tern-devices: device models, by class; one file per part.
//!
//! # Adding a device
//! Write its file in the directory of its class: registers as rows (`tern_core::registers!`), its state as one plain
//! serde struct, side effects as methods.  Name it in the class's `devices!` list: that declares the module and puts the
//! part's [`Part`] row into the catalogue, from which `tern list devices` and the contract tests (DESIGN section 6) follow.
#![forbid(unsafe_code)]

pub mod bench;
mod catalogue;
pub mod firmware;
pub mod interrupt;
pub mod misc;
pub mod model;
pub mod network;
pub mod pci;
pub mod scsi;
pub mod serial;
pub mod sound;
pub mod storage;
pub mod timer;
pub mod usb;
pub mod virtio;

pub use catalogue::{Class, Part, catalogue};
pub use model::{Model, models};
