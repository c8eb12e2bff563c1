//! Functions that are only a header: the host bridge's own, PCI-to-PCI bridges.

use super::config::{Config, Identity};
use super::{PciFunction, config::ConfigState};
use crate::Class;
use crate::model::{Build, BusKind, Model, Prop, PropKind};
use tern_core::device::{Kit, Reporter};
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError};

/// Vendor ID of functions that only emulators have.
pub const VENDOR_EMULATED: u16 = 0x1b36;

/// Their rows in the list of models.
pub static MODELS: &[Model] = &[
    Model {
        name: "pci-bridge",
        aliases: &[],
        class: Class::Bus,
        about: "conventional PCI-to-PCI bridge (PCI-to-PCI Bridge 1.2)",
        parents: &["base-pci-bridge"],
        props: &[
            Prop::new("chassis_nr", PropKind::Number(8, 0), "chassis number"),
            Prop::only("msi", &["auto", "off"]),
            Prop::only("shpc", &["off"]),
        ],
        bus: Some(BusKind::Pci),
        build: Build::Pci(|kit, _| Ok(Box::new(Header::pci_bridge(kit)))),
    },
];

/// A function without base addresses.
pub struct Header {
    kind: &'static str,
    config: Config,
    report: Reporter,
}

impl Header {
    fn new(kit: Kit, kind: &'static str, config: Config) -> Header {
        let mut header = Header { kind, config, report: kit.report };
        header.config.seal();
        header
    }

    /// The host bridge's function, as the first device of the first bus.
    #[must_use]
    pub fn host(kit: Kit) -> Header {
        let subsystem = Some((0x1af4, 0x1100));
        let identity = Identity { vendor: VENDOR_EMULATED, device: 0x0008, revision: 0, class: 0x06_0000, subsystem };
        Header::new(kit, "gpex-root", Config::new(identity))
    }

    /// A conventional PCI-to-PCI bridge.
    #[must_use]
    pub fn pci_bridge(kit: Kit) -> Header {
        let identity =
            Identity { vendor: VENDOR_EMULATED, device: 0x0001, revision: 0, class: 0x06_0400, subsystem: None };
        Header::new(kit, "pci-bridge", Config::new(identity))
    }
}

impl PciFunction for Header {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read(&mut self, bar: u8, offset: u64, _size: Size) -> u64 {
        self.report.guest_error(format_args!("load at {offset:#x} behind base address {bar}, which is not there"));
        0
    }

    fn write(&mut self, bar: u8, offset: u64, _size: Size, _value: u64) {
        self.report.guest_error(format_args!("store at {offset:#x} behind base address {bar}, which is not there"));
    }

    fn reset(&mut self) {
        self.config.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(self.kind, 1, &self.config.save())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: ConfigState = snapshot::load(self.kind, 1, bytes)?;
        self.config.check(&state)?;
        self.config.load(state);
        Ok(())
    }
}
