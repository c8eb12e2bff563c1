//! PCI: functions with their configuration spaces, bridges, and the host bridge that owns them all.
//!
//! # Adding a function
//! Implement [`PciFunction`] around a [`Config`]: the header, base addresses and capabilities are declared when it is
//! built, and the [`host`] bridge does everything that follows from them: routing, decoding, interrupt pins.

pub mod config;
pub mod msi;
mod upstream;

pub use config::{Bar, BarKind, Config, Identity};
pub use host::PciHost;
pub use msi::{Msi, Msix};

use crate::model::{Child, Props, Value};
use std::rc::Rc;
use tern_core::device::Iommu;
use tern_core::mem::Size;
use tern_core::snapshot::StateError;

crate::devices! {
    /// The generic ECAM host bridge.
    host,
}

crate::models! {
    /// Bridges.
    bridge,
    /// Root ports and their slots.
    port,
    /// The RISC-V IOMMU.
    riscv_iommu,
}

/// The port of [`PciFunction::changed`] by which the bridge tells an IOMMU that it wants attention.
pub const ATTENTION: u32 = 0xf2;

/// A function of a PCI device.
pub trait PciFunction {
    /// The type's name, as in `tern list devices`.
    fn kind(&self) -> &'static str;

    /// The virtio device in it, if it holds one.
    fn virtio(&self) -> Option<&dyn crate::virtio::VirtioDevice> {
        None
    }

    /// Its configuration space.
    fn config(&self) -> &Config;

    /// Its configuration space.
    fn config_mut(&mut self) -> &mut Config;

    /// A load from the configuration space.
    fn read_config(&mut self, at: usize, size: Size) -> u64 {
        self.config().read(at, size)
    }

    /// A store to the configuration space.
    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.config_mut().write(at, size, value);
    }

    /// A load behind base address register `bar`.
    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64;

    /// A store behind base address register `bar`.
    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64);

    /// Event `token` (below 65536) of its clock is due.
    fn event(&mut self, token: u32) {
        let _ = token;
    }

    /// See [`tern_core::device::Device::room`].
    fn room(&mut self, port: u32) -> usize {
        let _ = port;
        0
    }

    /// See [`tern_core::device::Device::receive`].
    fn receive(&mut self, port: u32, data: &[u8]) {
        let _ = (port, data);
    }

    /// See [`tern_core::device::Device::changed`].
    fn changed(&mut self, port: u32) {
        let _ = port;
    }

    /// Takes a child onto its bus, where the child's properties say; the child's number there (below 0xf0), for
    /// [`PciFunction::unplug`].  Input for the child's backend enters at the port of that number.
    ///
    /// # Errors
    /// It has no bus, the child does not fit, or the place is taken.
    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let _ = (props, child);
        Err("it has no bus".to_owned())
    }

    /// A child is taken off its bus.
    ///
    /// # Errors
    /// There is no such child, or it cannot go.
    fn unplug(&mut self, child: u32) -> Result<(), String> {
        let _ = child;
        Err("it has no bus".to_owned())
    }

    /// What a child on its bus looks like there: port, speed, name.
    fn describe(&self, child: u32) -> Option<String> {
        let _ = child;
        None
    }

    /// Do its accesses to memory pass through an IOMMU, if there is one?  Its messages do in any case.
    fn behind_iommu(&self) -> bool {
        true
    }

    /// It is an IOMMU: accesses of all other functions pass through this.
    fn iommu(&self) -> Option<Rc<dyn Iommu>> {
        None
    }

    /// It is a port with a slot: this is how functions come and go there.
    fn slot(&self) -> Option<port::Slot> {
        None
    }

    /// The value that a property of the running device has, if it is one that the device itself changes.
    fn get(&self, property: &str) -> Option<Value> {
        let _ = property;
        None
    }

    /// Back to the state of a new function.
    fn reset(&mut self);

    /// Its state, the configuration space included.
    ///
    /// # Errors
    /// A state that cannot be encoded.
    fn save(&self) -> Result<Vec<u8>, StateError>;

    /// Takes a saved state on.
    ///
    /// # Errors
    /// A state that is not one of this function; it is then as before.
    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError>;
}

#[cfg(test)]
mod tests;
