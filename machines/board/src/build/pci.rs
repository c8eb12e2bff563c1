//! The PCI host bridge of a board, and the windows of its functions.

use super::{Board, Builder, bad};
use crate::error::BoardError;
use crate::part::Part;
use tern_core::device::{Device as _, Kit, Reporter};
use tern_core::engine::Event;
use tern_core::mem::space::{AddressSpace, Region};
use tern_devices::pci::{BarKind, PciFunction, PciHost};

/// The host bridge as the board knows it.
pub(super) struct Bridge {
    /// The device's number.
    pub(super) device: u32,
    memory: Region,
    ports: Region,
    /// Windows that have a region.
    windows: u32,
}

impl Bridge {
    /// Gives new windows of the bridge their regions.
    fn windows(&mut self, space: &AddressSpace, host: &PciHost) -> Result<(), String> {
        let all = host.windows();
        for (n, window) in (0..).zip(&all).skip(self.windows as usize) {
            let Some(kind) = host.decodes(n) else { continue };
            let region = space.device(&window.name, window.size, self.device, n).map_err(|e| e.to_string())?;
            let container = if kind == BarKind::Io { self.ports } else { self.memory };
            space.window((self.device, n), region, container, 0).map_err(|e| e.to_string())?;
        }
        self.windows = all.len() as u32;
        Ok(())
    }
}

impl Builder<'_> {
    /// The PCI host bridge, still without functions of others.  Its windows lie where the guest has its functions appear:
    /// addresses of the memory space are those of CPUs, in two stretches; ports are another space.
    pub(super) fn pcie(&mut self, part: &Part) -> Result<(), BoardError> {
        let place = self.machine.place("pci");
        let device = place.number;
        let lines = [0, 1, 2, 3].map(|n| self.wire(part.irqs.get(n).copied()));
        let host = PciHost::new(place.kit, lines);
        let [ecam, pio, low, high] = [0, 1, 2, 3].map(|n| part.at[n]);
        let space = self.space.clone();
        let memory = space.container_of_all("pcie-mmio-space");
        let ports = space.container("pcie-pio", pio.size).map_err(bad)?;
        let window = &host.windows()[0];
        let region = space.device(&window.name, window.size, device, 0).map_err(bad)?;
        self.map(region, ecam)?;
        self.map(ports, pio)?;
        for (name, range) in [("pcie-mmio", low), ("pcie-mmio-high", high)] {
            let alias = space.alias(name, memory, range.base, range.size).map_err(bad)?;
            self.map(alias, range)?;
        }
        // Where nothing is mapped, the bus answers all the same.
        for (name, range) in [("pcie-open-pio", pio), ("pcie-open", low), ("pcie-open-high", high)] {
            let open = space.open_bus(name, range.size).map_err(bad)?;
            space.add(space.root(), open, range.base, -1).map_err(bad)?;
        }
        let mut bridge = Bridge { device, memory, ports, windows: 1 };
        bridge.windows(&space, &host).map_err(bad)?;
        self.bridge = Some(bridge);
        self.machine.install(device, "pci", Box::new(host));
        Ok(())
    }
}

impl Board {
    /// The host bridge, if the board has one.
    pub fn pci(&mut self) -> Option<&mut PciHost> {
        let number = self.bridge.as_ref()?.device;
        self.machine.device_as(number)
    }

    /// Adds a PCI function.
    pub(super) fn add_function(
        &mut self,
        parent: Option<usize>,
        place: Option<(u8, u8)>,
        name: &str,
        build: impl FnOnce(Kit) -> Result<Box<dyn PciFunction>, String>,
    ) -> Result<usize, String> {
        let no_bus = || "this machine has no PCI bus".to_owned();
        let number = self.bridge.as_ref().ok_or_else(no_bus)?.device;
        let host: &mut PciHost = self.machine.device_as(number).ok_or_else(no_bus)?;
        let whole = host.report();
        let own = Reporter::new(name, move |event, text| match event {
            Event::GuestError => whole.guest_error(text),
            Event::Unimplemented => whole.unimplemented(text),
        });
        let function = match parent.filter(|_| self.live) {
            Some(port) => host.hot_add(port, place, own, build)?,
            None => host.try_add(parent, place, own, build)?,
        };
        let bridge = self.bridge.as_mut().ok_or_else(no_bus)?;
        bridge.windows(&self.space, host)?;
        self.machine.settle();
        Ok(function)
    }
}
