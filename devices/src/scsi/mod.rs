//! SCSI: logical units, the bus that they are on, and host bus adapters.  (SAM-5, SPC-4)
//!
//! A controller has a [`Bus`] and hands it commands with their buffers ([`Data`]); a command is done when the call returns.
//! The bus finds the unit, answers what every target answers (REPORT LUNS, REQUEST SENSE, units that are not there), and
//! keeps unit attentions.
//!
//! # Adding a unit
//! Implement [`Unit`] around a table of [`Command`] rows, and build it as
//! `Build::Child(BusKind::Scsi, |wants| Ok(Child::new(Box::new(unit) as Box<dyn Unit>)))`.

pub mod bus;
pub mod sense;
pub mod task;

pub use bus::{Address, Bus, Limits, Outcome};
pub use sense::{Sense, Status};
pub use task::{Cdb, Command, Data, Direction, Expected, Failure, Fault, Local, Moves, Scatter, Task};

use crate::model::Value;
use tern_core::snapshot::StateError;

crate::models! {
    /// Disks and drives for removable media.
    disk,
    /// MegaRAID SAS controllers.
    megasas,
}

/// Peripheral device types (SPC-4 6.6.2).
pub mod peripheral {
    #![allow(missing_docs, reason = "the names are the standard's")]
    pub const DISK: u8 = 0x00;
    pub const CD_DVD: u8 = 0x05;
    pub const NONE: u8 = 0x1f;
}

/// A logical unit.
pub trait Unit {
    /// The type's name, as in `tern list devices`.
    fn kind(&self) -> &'static str;

    /// Its peripheral device type: see [`peripheral`].
    fn peripheral(&self) -> u8;

    /// Size of a block in bytes.
    fn block_size(&self) -> u32;

    /// Blocks of the medium; 0 if there is none.
    fn blocks(&self) -> u64;

    /// What `cdb` says that it moves.  A command that the unit does not know moves nothing.
    fn expected(&self, cdb: &Cdb) -> Expected;

    /// Executes a command; it is done when this returns.  `data` is read and written in pieces of bounded size.
    ///
    /// # Errors
    /// How it ended, if not well.
    fn execute(&mut self, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure>;

    /// Something about its medium may have changed: the unit looks, and says which unit attentions follow.
    fn changed(&mut self) -> Vec<Sense>;

    /// The value of a property that the unit itself changes (`tray-open`, `locked`).
    fn get(&self, property: &str) -> Option<Value> {
        let _ = property;
        None
    }

    /// Back to the state of a new unit.
    fn reset(&mut self);

    /// Its state.
    ///
    /// # Errors
    /// A state that cannot be encoded.
    fn save(&self) -> Result<Vec<u8>, StateError>;

    /// Takes a saved state on.
    ///
    /// # Errors
    /// A state that is not one of this unit; it is then as before.
    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError>;
}
