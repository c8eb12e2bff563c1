//! PCI and virtio devices (QEMU QMP Reference Manual, "PCI", "Virtio devices").

use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;
use tern_devices::pci::PciHost;
use tern_devices::pci::config::{BarKind, Config};

qapi! {
    /// A virtio device.
    struct VirtioInfo { path: String, name: String }
    /// A class of PCI devices.
    struct PciClass { desc: Option<String>, class: i64 }
    /// Who made a PCI device.
    struct PciId { device: i64, vendor: i64, subsystem: Option<i64>, subsystem_vendor: Option<i64> }
    /// A range of addresses.
    struct PciRange { base: i64, limit: i64 }
    /// A BAR.
    legacy PciRegion {
        bar: i64, r#type: String, address: i64, size: i64, prefetch: Option<bool>, mem_type_64: Option<bool>,
    }
    /// Buses of a bridge, and what it passes on.
    legacy PciBus {
        number: i64, secondary: i64, subordinate: i64, io_range: PciRange, memory_range: PciRange,
        prefetchable_range: PciRange,
    }
    /// A bridge.
    struct PciBridge { bus: PciBus, devices: Option<Vec<PciDevice>> }
    /// A PCI device.
    legacy PciDevice {
        bus: i64, slot: i64, function: i64, class_info: PciClass, id: PciId, irq: Option<i64>, irq_pin: i64,
        qdev_id: String, pci_bridge: Option<Box<PciBridge>>, regions: Vec<PciRegion>,
    }
    /// A PCI bus and its devices.
    struct PciInfo { bus: i64, devices: Vec<PciDevice> }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-pci" (Empty) -> Vec<PciInfo> = |vm, _| Ok(buses(vm));
    "x-query-virtio" (Empty) -> Vec<VirtioInfo> = |vm, _| {
        let virtio = vm.board.plugged().iter().filter_map(|p| {
            let name = p.kind()?.model.name;
            name.starts_with("virtio-").then(|| VirtioInfo { path: p.path.clone(), name: name.to_owned() })
        });
        let all: Vec<VirtioInfo> = virtio.collect();
        if all.is_empty() { Err(Error::new("No virtio devices found")) } else { Ok(all) }
    };
};

/// The root bus, if there is one, and what is behind it.
fn buses(vm: &mut Vm) -> Vec<PciInfo> {
    let names: Vec<(usize, String)> = vm
        .board
        .plugged()
        .iter()
        .filter_map(|p| match p.place {
            tern_board::build::Place::Pci(function) => Some((function, p.config.id.clone().unwrap_or_default())),
            _ => None,
        })
        .collect();
    let Some(host) = vm.board.pci() else { return Vec::new() };
    vec![PciInfo { bus: 0, devices: behind(host, None, 0, &names) }]
}

fn behind(host: &PciHost, parent: Option<usize>, bus: i64, names: &[(usize, String)]) -> Vec<PciDevice> {
    let here = host.functions().filter_map(|n| Some((n, host.place_of(n)?, host.config(n)?)));
    here.filter(|(_, (of, ..), _)| *of == parent)
        .map(|(n, (_, slot, function), config)| {
            let id = names.iter().find(|(of, _)| *of == n).map_or(String::new(), |(_, id)| id.clone());
            let mut device = describe(config, bus, slot, function, id);
            if config.is_bridge() {
                let bus = bridge(config);
                let devices = behind(host, Some(n), bus.secondary, names);
                device.pci_bridge = Some(Box::new(PciBridge { bus, devices: Some(devices) }));
            }
            device
        })
        .collect()
}

/// What the registers of a function say (PCI Local Bus Specification 3.0, 6.1).
fn describe(config: &Config, bus: i64, slot: u8, function: u8, qdev_id: String) -> PciDevice {
    let half = |at| i64::from(config.half(at));
    let pin = i64::from(config.byte_at(0x3d));
    let plain = !config.is_bridge();
    PciDevice {
        bus,
        slot: slot.into(),
        function: function.into(),
        class_info: PciClass { desc: None, class: half(0x0a) },
        id: PciId {
            device: half(2),
            vendor: half(0),
            subsystem: plain.then(|| half(0x2e)),
            subsystem_vendor: plain.then(|| half(0x2c)),
        },
        irq: (pin != 0).then(|| i64::from(config.byte_at(0x3c))),
        irq_pin: pin,
        qdev_id,
        pci_bridge: None,
        regions: config
            .bars()
            .iter()
            .map(|bar| {
                let io = bar.kind == BarKind::Io;
                PciRegion {
                    bar: bar.number.into(),
                    r#type: if io { "io" } else { "memory" }.to_owned(),
                    // Where nothing is decoded QEMU says -1.
                    address: config.address(bar).map_or(-1, |at| at as i64),
                    size: bar.size as i64,
                    prefetch: (!io).then_some(bar.kind == BarKind::Memory64),
                    mem_type_64: (!io).then_some(bar.kind == BarKind::Memory64),
                }
            })
            .collect(),
    }
}

/// What a bridge passes on (PCI-to-PCI Bridge Architecture Specification 1.2, 3.2.5).
fn bridge(config: &Config) -> PciBus {
    let (half, byte, word) =
        (|at| u64::from(config.half(at)), |at| i64::from(config.byte_at(at)), |at| u64::from(config.word(at)));
    let range = |base: u64, limit: u64| PciRange { base: base as i64, limit: limit as i64 };
    let io = |at: usize, high: usize| (byte(at) as u64 & 0xf0) << 8 | half(high) << 16;
    let memory = |at| (half(at) & 0xfff0) << 16;
    PciBus {
        number: byte(0x18),
        secondary: byte(0x19),
        subordinate: byte(0x1a),
        io_range: range(io(0x1c, 0x30), io(0x1d, 0x32) | 0xfff),
        memory_range: range(memory(0x20), memory(0x22) | 0xf_ffff),
        prefetchable_range: range(memory(0x24) | word(0x28) << 32, memory(0x26) | 0xf_ffff | word(0x2c) << 32),
    }
}
