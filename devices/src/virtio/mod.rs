//! Virtio devices: the trait that a device implements, and what it works with.  (OASIS virtio 1.2)
//!
//! A device knows its queues, its features and its configuration space.  A transport (memory-mapped or PCI) owns it together
//! with the queues' rings, calls it, and interrupts the driver afterwards where the driver wants to hear of it.

pub mod chain;
pub mod context;
pub mod mmio;
pub mod pci;
pub mod queue;
mod transport;

pub use chain::{Buffer, Chain};
pub use context::{Broken, Cx};
pub use mmio::VirtioMmio;
pub use pci::{Interface, VirtioPci};
pub use queue::Queue;
pub use transport::Options;

use crate::model::{Child, Props, Value};
use std::rc::Rc;
use tern_core::device::Iommu;
use tern_core::snapshot::StateError;

/// Feature bits of every device (virtio 1.2, 6).
pub mod feature {
    /// Legacy: the driver cuts requests into buffers as it likes.
    pub const ANY_LAYOUT: u64 = 1 << 27;
    /// A descriptor may name a table of descriptors.
    pub const INDIRECT_DESC: u64 = 1 << 28;
    /// Both sides say at which index they want to hear of the other.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// Not a legacy device.
    pub const VERSION_1: u64 = 1 << 32;
    /// Addresses are those of the platform: they pass through an IOMMU.
    pub const ACCESS_PLATFORM: u64 = 1 << 33;
    /// Packed rings.
    pub const RING_PACKED: u64 = 1 << 34;
    /// Single queues can be reset.
    pub const RING_RESET: u64 = 1 << 40;
}

/// Declares a kind of virtio device: `KIND`, and its row in the list of models.
///
/// `ID, "name" (, mmio "NAME" where it is not the name with `-device`), [aliases], Class, class PCI_CLASS, legacy PCI_ID, "about", [properties], bus, |wants| ...`; for the numbers
/// see [`Kind`]; `bus` is [`Model::bus`](crate::model::Model::bus), and the rest is its `build`.
#[macro_export]
macro_rules! virtio_part {
    ($id:literal, $name:literal, [$($alias:literal),*], $($rest:tt)*) => {
        $crate::virtio_part! { $id, $name, mmio concat!($name, "-device"), [$($alias),*], $($rest)* }
    };
    ($id:literal, $name:literal, mmio $mmio:expr, [$($alias:literal),*], $class:ident, class $code:literal, legacy $legacy:literal,
        $about:literal, [$($prop:expr),* $(,)?], $bus:expr, $build:expr) => {
        /// What it is called.
        pub static KIND: $crate::virtio::Kind = $crate::virtio::Kind {
            id: $id,
            mmio: $mmio,
            pci: concat!($name, "-pci"),
            class: $code,
            legacy_id: $legacy,
        };

        /// Its row in the list of models.
        pub static MODELS: &[$crate::model::Model] = &[$crate::model::Model {
            name: $name,
            aliases: &[$($alias),*],
            class: $crate::Class::$class,
            about: $about,
            parents: &[],
            props: &[$($prop),*],
            bus: $bus,
            build: $crate::model::Build::Virtio(&KIND, $build),
        }];
    };
}

/// The memory-mapped transport is a part of boards.
pub(crate) static PARTS: &[&crate::Part] = &[&mmio::PART];

crate::models! {
    /// Memory that the guest gives up.
    balloon,
    /// A disk.
    blk,
    /// Consoles and named serial ports.
    console,
    /// Keyboards, mice, tablets.
    input,
    /// An IOMMU.
    iommu,
    /// A network card.
    net,
    /// Random bytes.
    rng,
    /// A folder of the host.
    p9,
    /// A SCSI host bus adapter.
    scsi,
    /// Ports of consoles.
    ports,
    /// A disk of another process.
    vhost_blk,
    /// A folder of another process.
    vhost_fs,
    /// Pins of another process.
    vhost_gpio,
}

mod vhost;

/// What a kind of virtio device is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Device ID (virtio 1.2, 5).
    pub id: u16,
    /// Name behind a memory-mapped transport, as `virtio-blk-device`.
    pub mmio: &'static str,
    /// Name behind a PCI transport, as `virtio-blk-pci`.
    pub pci: &'static str,
    /// PCI class code: base class, sub-class, programming interface in bits 23 to 0.
    pub class: u32,
    /// PCI device ID of a transitional device (4.1.2.1); 0: there never was a legacy one.
    pub legacy_id: u16,
}

/// The port of [`VirtioDevice::changed`] by which a device hears that a child has come or gone.
pub const CHILDREN_PORT: u32 = 0xf1;

/// A virtio device.  Configuration space is little-endian, and so are all structures in buffers.
///
/// Methods that return [`Broken`] pass on what methods of [`Cx`] have found: it is counted, and the driver sees that the
/// device needs a reset; until then its queues are silent.
pub trait VirtioDevice {
    /// What it is.
    fn kind(&self) -> &'static Kind;

    /// The features of its own type that it offers: bits 0 to 23 and 50 to 127 of the specification's, here 0 to 63.
    fn features(&self) -> u64;

    /// The features of rings and transports that work with it: all, unless another process runs its queues.
    fn ring_features(&self) -> u64 {
        u64::MAX
    }

    /// The largest size of each queue.
    fn queues(&self) -> Vec<u16>;

    /// Its configuration space.
    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The driver wrote `data` at `offset` of the configuration space, inside of it.
    fn write_config(&mut self, cx: &mut Cx<'_>, offset: u32, data: &[u8]) {
        cx.kit.report.guest_error(format_args!("write of {data:02x?} to read-only configuration at {offset:#x}"));
    }

    /// The driver is ready; [`Cx::features`] are settled, and queues may be used from now on.
    fn activate(&mut self, cx: &mut Cx<'_>) {
        let _ = cx;
    }

    /// The driver has put buffers into queue `queue`.
    ///
    /// # Errors
    /// See the trait.
    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken>;

    /// The driver has reset queue `queue`: what the device held of it is gone.
    fn queue_reset(&mut self, queue: u16) {
        let _ = queue;
    }

    /// Event `token` is due; the device scheduled it by [`Cx`]'s clock.  Tokens are below 0x8000.
    ///
    /// # Errors
    /// See the trait.
    fn event(&mut self, cx: &mut Cx<'_>, token: u32) -> Result<(), Broken> {
        let _ = (cx, token);
        Ok(())
    }

    /// See [`tern_core::device::Device::room`]; [`Cx::peek`] tells without a trace.
    ///
    /// # Errors
    /// See the trait.
    fn room(&mut self, cx: &mut Cx<'_>, port: u32) -> Result<usize, Broken> {
        let _ = (cx, port);
        Ok(0)
    }

    /// See [`tern_core::device::Device::receive`].
    ///
    /// # Errors
    /// See the trait.
    fn receive(&mut self, cx: &mut Cx<'_>, port: u32, data: &[u8]) -> Result<(), Broken> {
        let _ = (cx, port, data);
        Ok(())
    }

    /// See [`tern_core::device::Device::changed`].
    fn changed(&mut self, cx: &mut Cx<'_>, port: u32) {
        let _ = (cx, port);
    }

    /// Takes a child onto its bus, where the child's properties say; the child's number there (below 0xf0), for
    /// [`VirtioDevice::unplug`].  Input for the child's backend enters at the port of that number.  After it `changed` is
    /// called with [`CHILDREN_PORT`].
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

    /// Children have come or gone while the device was in use: the driver may be told.
    ///
    /// # Errors
    /// See the trait.
    fn plugged(&mut self, cx: &mut Cx<'_>) -> Result<(), Broken> {
        self.changed(cx, CHILDREN_PORT);
        Ok(())
    }

    /// It is an IOMMU: see [`crate::pci::PciFunction::iommu`].
    fn iommu(&self) -> Option<Rc<dyn Iommu>> {
        None
    }

    /// The value that a property of the running device has, if it is one that the device itself changes.
    fn get(&self, property: &str) -> Option<Value> {
        let _ = property;
        None
    }

    /// Back to the state of a new device.  Its events have been cancelled with [`Cx`]'s clock by itself, its queues by the
    /// transport.
    fn reset(&mut self, clock: &tern_core::time::Clock);

    /// Its own state; features, queues and status are the transport's.
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
mod nonsense;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
