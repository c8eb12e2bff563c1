//! USB: devices, the bus that they are on, and host controllers.  (USB 2.0, USB 3.2)
//!
//! A controller has a [`Bus`] and moves packets with it: [`Bus::setup`], [`Bus::input`], [`Bus::output`].  The bus finds the
//! device behind its hubs, runs the default control pipe, and answers the standard requests from the device's table of
//! descriptors; devices answer what is their own.
//!
//! # Adding a device
//! Implement [`UsbDevice`] around a table of [`Descriptors`], and build it as
//! `Build::Child(BusKind::Usb, |wants| Ok(Child::new(Box::new(device) as Box<dyn UsbDevice>)))`.

pub mod bus;
mod control;
pub mod descriptor;

pub use bus::{Bus, BusState};
pub use control::Setup;
pub use descriptor::{Descriptors, Endpoint, Interface, Shape};

use hub::Hub;
use serde::{Deserialize, Serialize};
use tern_core::snapshot::StateError;

crate::models! {
    /// Keyboards, mice, tablets.
    hid,
    /// Hubs.
    hub,
    /// Disks.
    storage,
    /// Serial ports.
    serial,
    /// xHCI controllers.
    xhci,
    /// OHCI controllers.
    ohci,
}

/// How fast a device is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Speed {
    /// 1.5 Mbit/s.
    Low,
    /// 12 Mbit/s.
    Full,
    /// 480 Mbit/s.
    High,
    /// 5 Gbit/s.
    Super,
}

/// What a device answers to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// So many bytes were moved.
    Done(usize),
    /// Not now.
    Nak,
    /// The endpoint is halted, or the request is not one of the device's.
    Stall,
    /// More than there is room for.
    Babble,
    /// Nobody.
    Gone,
}

/// A request that a device does not know, or not so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stall;

/// A USB device.  The bus keeps its address, its configuration and its halted endpoints.
pub trait UsbDevice {
    /// The type's name, as in `tern list devices`.
    fn kind(&self) -> &'static str;

    /// What it says it is.
    fn descriptors(&self) -> &Descriptors;

    /// A request that is not a standard one, or a standard one that the table of descriptors does not answer.  For one that
    /// reads, `data` is empty and gets the answer (the bus cuts it); else it holds what came with it.
    ///
    /// # Errors
    /// It does not know the request.
    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>) -> Result<(), Stall> {
        let _ = (setup, data);
        Err(Stall)
    }

    /// Fills `buf` from endpoint `endpoint` (1 to 15) at guest time `now`.  A buffer of more than a packet may be filled by
    /// several; less than it holds ends with a short packet.
    fn input(&mut self, now: u64, endpoint: u8, buf: &mut [u8]) -> Reply;

    /// Takes data for endpoint `endpoint` (1 to 15): one packet or several.
    fn output(&mut self, endpoint: u8, data: &[u8]) -> Reply {
        let _ = (endpoint, data);
        Reply::Stall
    }

    /// The hub in it, if it is one.
    fn hub(&self) -> Option<&Hub> {
        None
    }

    /// The hub in it, if it is one.
    fn hub_mut(&mut self) -> Option<&mut Hub> {
        None
    }

    /// How many bytes its backend may hand over now; no side effects.
    fn room(&self) -> usize {
        0
    }

    /// Its backend hands over bytes.
    fn receive(&mut self, data: &[u8]) {
        let _ = data;
    }

    /// Something about its backend has changed.
    fn changed(&mut self) {}

    /// Back to the state of a new device, as a bus reset does too.
    fn reset(&mut self);

    /// Its state.
    ///
    /// # Errors
    /// A state that cannot be encoded.
    fn save(&self) -> Result<Vec<u8>, StateError>;

    /// Takes a saved state on.
    ///
    /// # Errors
    /// A state that is not one of this device; it is then as before.
    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError>;
}

#[cfg(test)]
mod tests;
