//! Devices together with what is behind them, for those who do not name things: `tern boot`, tests.

use super::{BoardConfig, Chardev, DeviceConfig, Drive, Folder, Fsdev, Medium, Netdev, Object, Setup, Transport};
use std::path::PathBuf;

/// Slots for memory-mapped virtio devices, after which they go to PCI.
const SLOTS: usize = crate::virt::VIRTIO_SLOTS as usize;

/// A virtio disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Its medium.
    pub drive: Drive,
    /// How it is attached.
    pub transport: Transport,
    /// What the guest reads as its serial number (20 bytes at most).
    pub serial: String,
    /// Request queues; `None`: the device's own choice.
    pub queues: Option<u16>,
}

/// A virtio network card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Net {
    /// What it is connected to, as [`Netdev::spec`]; `None`: nothing.
    pub link: Option<String>,
    /// How it is attached.
    pub transport: Transport,
    /// Its address; `None`: 52:54:00:12:34:56 and counting.
    pub mac: Option<[u8; 6]>,
    /// Where a copy of every frame goes (pcap).
    pub dump: Option<PathBuf>,
}

/// A shared folder behind virtio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Share {
    /// The folder.
    pub path: PathBuf,
    /// The name by which the guest mounts it.
    pub tag: String,
    /// May the guest not write?
    pub read_only: bool,
    /// QEMU's security model: `none`, `mapped-xattr`, `passthrough`.
    pub security_model: String,
    /// How it is attached.
    pub transport: Transport,
}

/// A virtio entropy device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rng {
    /// The file that bytes come from; `None`: the host's entropy, or the machine's seed if there is one.
    pub file: Option<PathBuf>,
    /// How it is attached.
    pub transport: Transport,
}

impl BoardConfig {
    /// A virtio device on the transport.
    fn virtio(&self, name: &str, transport: Transport) -> DeviceConfig {
        let slotted = self.devices.iter().filter(|d| d.driver.ends_with("-device")).count();
        let mmio = match transport {
            Transport::Any => slotted < SLOTS,
            Transport::Mmio => true,
            Transport::Pci => false,
        };
        DeviceConfig::new(format!("{name}-{}", if mmio { "device" } else { "pci" }))
    }

    /// Adds a disk.
    pub fn add_disk(&mut self, disk: Disk) {
        let id = format!("disk{}", self.drives.len());
        let mut device = self.virtio("virtio-blk", disk.transport).with("drive", id.clone());
        if !disk.serial.is_empty() {
            device = device.with("serial", disk.serial);
        }
        if let Some(queues) = disk.queues {
            device = device.with("num-queues", queues.to_string());
        }
        self.devices.push(device);
        self.drives.push(Medium { node: format!("#{id}"), id, drive: Some(disk.drive) });
    }

    /// Gives a flash bank its contents.
    pub fn add_flash(&mut self, bank: usize, drive: Drive) {
        let id = format!("flash{bank}");
        self.drives.push(Medium { node: format!("#{id}"), id: id.clone(), drive: Some(drive) });
        self.flash[bank] = Some(id);
    }

    /// Adds a network card.
    pub fn add_net(&mut self, net: Net) {
        let id = format!("net{}", self.netdevs.len());
        let mut device = self.virtio("virtio-net", net.transport);
        if let Some(spec) = net.link {
            device = device.with("netdev", id.clone());
            self.netdevs.push(Netdev { id, spec, dump: net.dump });
        }
        if let Some(mac) = net.mac {
            let parts: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            device = device.with("mac", parts.join(":"));
        }
        self.devices.push(device);
    }

    /// Adds a shared folder.
    pub fn add_share(&mut self, share: Share) {
        let id = format!("fsdev{}", self.fsdevs.len());
        let device = self.virtio("virtio-9p", share.transport).with("fsdev", id.clone());
        self.devices.push(device.with("mount_tag", share.tag));
        let Share { path, read_only, security_model, .. } = share;
        self.fsdevs.push(Fsdev { id, folder: Folder::Local { path, read_only, security_model }, options: Vec::new() });
    }

    /// Adds a character device; its name.
    pub fn add_char(&mut self, setup: Setup) -> String {
        let id = format!("char{}", self.chardevs.len());
        self.chardevs.push(Chardev { id: id.clone(), setup });
        id
    }

    /// Adds a serial port.
    pub fn add_serial(&mut self, setup: Setup) {
        let id = self.add_char(setup);
        self.serials.push(Some(id));
    }

    /// Adds a virtio console.
    pub fn add_console(&mut self, setup: Setup, transport: Transport) {
        let id = self.add_char(setup);
        let bus = format!("console{}", self.devices.len());
        let mut device = self.virtio("virtio-serial", transport);
        device.id = Some(bus.clone());
        self.devices.push(device);
        let mut console = DeviceConfig::new("virtconsole").with("chardev", id);
        console.bus = Some(format!("{bus}.0"));
        self.devices.push(console);
    }

    /// Adds an entropy device.
    pub fn add_rng(&mut self, rng: Rng) {
        let mut device = self.virtio("virtio-rng", rng.transport);
        if let Some(file) = rng.file {
            let id = format!("rng{}", self.objects.len());
            device = device.with("rng", id.clone());
            let props = vec![("filename".to_owned(), file.to_string_lossy().into_owned())];
            self.objects.push(Object { kind: "rng-random".to_owned(), id, props });
        }
        self.devices.push(device);
    }
}
