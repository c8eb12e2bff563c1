//! The IOMMU among the devices of a configuration, as a device tree tells of it (Linux,
//! Documentation/devicetree/bindings/iommu/riscv,iommu.yaml, virtio/pci-iommu.yaml and pci/pci-iommu.txt).

use crate::build::address;
use crate::config::DeviceConfig;
use crate::fdt::Node;
use std::collections::BTreeSet;
use tern_devices::model::{self, BusKind};

/// An IOMMU on the first PCI bus, which all other functions are behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Iommu {
    /// Device and function number.
    function: u32,
    /// RISC-V's; else virtio's.
    riscv: bool,
}

impl Iommu {
    /// The first one of these devices.  Those without an address will be in the first free slots, in their order.
    #[must_use]
    pub fn find(devices: &[DeviceConfig]) -> Option<Iommu> {
        let mut taken = BTreeSet::from([0]);
        for device in devices {
            let kind = model::find(&device.driver).filter(|kind| kind.bus() == BusKind::Pci);
            let root = matches!(device.bus.as_deref(), None | Some("pcie.0" | "pci.0" | "pcie" | "pci"));
            let Some(kind) = kind.filter(|_| root) else { continue };
            let text = device.props.iter().rfind(|(name, _)| name == "addr").map_or("", |(_, text)| text);
            let free = || (0..32).find(|slot| !taken.contains(slot)).map(|slot| (slot, 0));
            // What is wrong with an address is found when the device is added.
            let (slot, function) = address(text).ok()?.or_else(free)?;
            taken.insert(slot);
            let riscv = kind.name() == "riscv-iommu-pci";
            if riscv || kind.name() == "virtio-iommu-pci" {
                return Some(Iommu { function: u32::from(slot) << 3 | u32::from(function), riscv });
            }
        }
        None
    }

    /// Tells of it in the host bridge's node.
    pub(super) fn describe(self, bridge: &mut Node, handle: u32) {
        let at = self.function;
        let mut node = if self.riscv {
            let mut node = Node::new(format!("iommu@{at:x}"));
            node.string("compatible", "riscv,pci-iommu");
            node
        } else {
            let mut node = Node::new(format!("virtio_iommu@{:x},{:x}", at >> 3, at & 7));
            node.strings("compatible", &["virtio,pci-iommu", "pci1af4,1057"]);
            node
        };
        node.cells("reg", &[at << 8, 0, 0, 0, 0]).cells("#iommu-cells", &[1]).cells("phandle", &[handle]);
        // All requesters but itself.
        bridge.cells("iommu-map", &[0, handle, 0, at, at + 1, handle, at + 1, 0xffff - at]);
        bridge.push(node);
    }
}
