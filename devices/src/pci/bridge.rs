//! Functions that are only a header: the host bridge's own, PCI-to-PCI bridges, PCI Express root ports without hotplug.

use super::config::{Config, ID_EXPRESS, Identity};
use super::msi::Msi;
use super::{PciFunction, config::ConfigState};
use crate::Class;
use crate::model::{Build, BusKind, Model, Prop, PropKind};
use tern_core::device::{Kit, Messenger, Reporter};
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
    Model {
        name: "pcie-root-port",
        aliases: &[],
        class: Class::Bus,
        about: "PCI Express root port (PCI Express Base 4.0, 7.5.3)",
        parents: &["pcie-root-port-base", "pcie-slot", "pcie-port", "base-pci-bridge"],
        props: &[
            Prop::new("port", PropKind::Number(8, 0), "port number"),
            Prop::new("chassis", PropKind::Number(8, 0), "chassis number"),
            Prop::new("slot", PropKind::Number(16, 0), "slot number"),
        ],
        bus: Some(BusKind::Pci),
        build: Build::Pci(|kit, wants| Ok(Box::new(Header::root_port(kit, wants.props.number("port") as u8)))),
    },
];

/// A function without base addresses.
pub struct Header {
    kind: &'static str,
    config: Config,
    msi: Option<Msi>,
    messenger: Messenger,
    report: Reporter,
}

impl Header {
    fn new(kit: Kit, kind: &'static str, config: Config, msi: Option<Msi>) -> Header {
        let mut header = Header { kind, config, msi, messenger: kit.messenger, report: kit.report };
        header.config.seal();
        header
    }

    /// The host bridge's function, as the first device of the first bus.
    #[must_use]
    pub fn host(kit: Kit) -> Header {
        let subsystem = Some((0x1af4, 0x1100));
        let identity = Identity { vendor: VENDOR_EMULATED, device: 0x0008, revision: 0, class: 0x06_0000, subsystem };
        Header::new(kit, "gpex-root", Config::new(identity), None)
    }

    /// A conventional PCI-to-PCI bridge.
    #[must_use]
    pub fn pci_bridge(kit: Kit) -> Header {
        let identity =
            Identity { vendor: VENDOR_EMULATED, device: 0x0001, revision: 0, class: 0x06_0400, subsystem: None };
        Header::new(kit, "pci-bridge", Config::new(identity), None)
    }

    /// A PCI Express root port (PCI Express Base 4.0, 7.5.3) whose slot is never empty or full: it cannot be plugged.
    #[must_use]
    pub fn root_port(kit: Kit, port: u8) -> Header {
        let identity =
            Identity { vendor: VENDOR_EMULATED, device: 0x000c, revision: 0, class: 0x06_0400, subsystem: None };
        let mut config = Config::new(identity);
        config.set_pin(1);
        let mut body = [0; 58];
        // Version 2, root port.
        body[0] = 0x42;
        // Link capabilities: 2.5 GT/s, one lane, reports the link's state; number of the port.
        body[10..14].copy_from_slice(&(0x0010_0011 | u32::from(port) << 24).to_le_bytes());
        // Link status: the same, up.
        body[16..18].copy_from_slice(&0x2011u16.to_le_bytes());
        let at = config.add_capability(ID_EXPRESS, &body);
        // Device control, link control, root control; device and root status are cleared by ones, and never set here.
        config.writable(at + 8, &[0xff, 0x7f]);
        config.writable(at + 16, &[0xfb, 0x0f]);
        config.writable(at + 28, &[0x1f]);
        let msi = Msi::new(&mut config);
        Header::new(kit, "pcie-root-port", config, Some(msi))
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

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.config.write(at, size, value);
        if let Some(msi) = &self.msi {
            msi.written(&mut self.config, &self.messenger);
        }
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
