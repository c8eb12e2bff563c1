//! `-device`: the devices that can be added to a board, one row each.

use super::{Line, Stop, block, chars};
use crate::grammar::{Keys, mac};
use std::fmt::Write as _;
use tern_board::config::{Console, Disk, Link, Net, Rng, Share, Transport};

/// A property of a device.
struct Prop {
    name: &'static str,
    about: &'static str,
    /// Values that are what tern does in any case, if there are no others; `*` stands for any.
    only: &'static [&'static str],
}

const fn prop(name: &'static str, about: &'static str) -> Prop {
    Prop { name, about, only: &[] }
}

const fn only(name: &'static str, values: &'static [&'static str]) -> Prop {
    Prop { name, about: "", only: values }
}

/// A kind of device.
struct Row {
    /// Its name; what is behind virtio has the bus after it: `-device` (memory-mapped), `-pci`, or nothing (PCI).
    name: &'static str,
    virtio: bool,
    props: &'static [Prop],
    add: fn(&mut Line, &mut Device) -> Result<(), String>,
}

/// A device that is being added.
struct Device {
    keys: Keys,
    id: Option<String>,
    transport: Transport,
}

/// What every virtio device has; only what the driver may negotiate in any case.
static COMMON: &[Prop] = &[
    only("indirect_desc", &["on"]),
    only("event_idx", &["on"]),
    only("iommu_platform", &["off"]),
    only("packed", &["off"]),
    only("use-started", &["on"]),
    only("use-disabled-flag", &["on"]),
];
static PCI: &[Prop] = &[
    prop("addr", "slot of the PCI bus, hexadecimal, 1 to 1f"),
    only("romfile", &[""]),
    only("rombar", &["0"]),
    only("ats", &["off"]),
    only("multifunction", &["off"]),
    only("disable-modern", &["off"]),
    only("disable-legacy", &["off", "auto"]),
];
static MMIO: &[Prop] = &[only("force-legacy", &["on"])];

static ROWS: &[Row] = &[
    Row {
        name: "virtio-blk",
        virtio: true,
        props: &[
            prop("drive", "the medium: a -drive or -blockdev"),
            prop("serial", "what the guest reads as its serial number"),
            prop("num-queues", "request queues"),
            only("discard", &["on"]),
            only("write-zeroes", &["on"]),
            only("config-wce", &["on"]),
            only("scsi", &["off"]),
            only("share-rw", &["off"]),
            only("logical_block_size", &["512"]),
            only("werror", &["auto", "report", "enospc"]),
            only("rerror", &["auto", "report"]),
        ],
        add: blk,
    },
    Row {
        name: "virtio-net",
        virtio: true,
        props: &[
            prop("netdev", "the backend: a -netdev"),
            prop("mac", "its address"),
            only("mq", &["off"]),
            only("status", &["on"]),
        ],
        add: net,
    },
    Row {
        name: "virtio-rng",
        virtio: true,
        props: &[prop("rng", "the source: an -object; else the host's entropy")],
        add: rng,
    },
    Row {
        name: "virtio-9p",
        virtio: true,
        props: &[prop("fsdev", "the folder: an -fsdev"), prop("mount_tag", "the name by which the guest mounts it")],
        add: folder,
    },
    Row {
        name: "virtio-serial",
        virtio: true,
        props: &[only("max_ports", &["*"])],
        add: |line, device| {
            line.buses.push((device.id.clone(), device.transport, false));
            Ok(())
        },
    },
    Row {
        name: "virtconsole",
        virtio: false,
        props: &[
            prop("chardev", "what stands behind it: a -chardev"),
            prop("bus", "the virtio-serial device that it is a port of: ID.0"),
            only("nr", &["0"]),
            only("name", &[""]),
        ],
        add: console,
    },
    Row {
        name: "virtio-balloon",
        virtio: true,
        props: &[
            only("deflate-on-oom", &["off"]),
            only("free-page-reporting", &["off"]),
            only("free-page-hint", &["off"]),
        ],
        add: |line, device| {
            line.config.balloons.push(device.transport);
            Ok(())
        },
    },
];

/// `-device`: read now, added when all that it may refer to is known.
pub(super) fn device(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("driver"))?;
    let mut look = keys.clone();
    let driver = look.take("driver").ok_or_else(|| "Parameter 'driver' is missing".to_owned())?;
    if driver == "help" || driver == "?" {
        return Err(Stop::Print(list()));
    }
    let (row, pci) = find(&driver)?;
    if look.take("help").is_some() {
        return Err(Stop::Print(help(&driver, row, pci)));
    }
    if let Some(id) = look.take("id") {
        if line.device_ids.contains(&id) {
            return Err(format!("Duplicate device ID '{id}'").into());
        }
        line.device_ids.push(id);
    }
    for prop in properties(row, pci).filter(|p| !p.only.is_empty()) {
        if !prop.only.contains(&"*") {
            keys.fixed(prop.name, prop.only)?;
        }
    }
    line.devices.push(line.here(keys));
    Ok(())
}

/// Adds a device, now that everything it may refer to is known.
pub(super) fn add(line: &mut Line, mut keys: Keys) -> Result<(), String> {
    let driver = keys.need("driver")?;
    let (row, pci) = find(&driver)?;
    for prop in properties(row, pci).filter(|p| !p.only.is_empty()) {
        keys.take(prop.name);
    }
    let id = keys.take("id");
    let transport = if row.virtio { transport(&mut keys, pci)? } else { Transport::Any };
    let mut device = Device { keys, id, transport };
    (row.add)(line, &mut device)?;
    match device.keys.rest().first() {
        None => Ok(()),
        Some((key, _)) => Err(format!("Property '{driver}.{key}' is not supported")),
    }
}

/// A driver's row, and whether it is a PCI device.
fn find(driver: &str) -> Result<(&'static Row, bool), String> {
    for row in ROWS {
        let found = match driver.strip_prefix(row.name) {
            Some("") => Some(row.virtio),
            Some("-pci") if row.virtio => Some(true),
            Some("-device") if row.virtio => Some(false),
            _ => None,
        };
        if let Some(pci) = found {
            return Ok((row, pci));
        }
    }
    Err(match tern_devices::catalogue().find(|p| p.name == driver || p.aliases.contains(&driver)) {
        Some(_) => format!("'{driver}' belongs to a board and cannot be added"),
        None => format!("'{driver}' is not supported (see -device help)"),
    })
}

fn properties(row: &'static Row, pci: bool) -> impl Iterator<Item = &'static Prop> {
    let (common, bus): (&[Prop], &[Prop]) = match (row.virtio, pci) {
        (false, _) => (&[], &[]),
        (true, true) => (COMMON, PCI),
        (true, false) => (COMMON, MMIO),
    };
    row.props.iter().chain(common).chain(bus)
}

fn list() -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    for row in ROWS {
        let _ = match row.virtio {
            true => {
                writeln!(
                    out,
                    "name \"{0}-device\", bus virtio-mmio\nname \"{0}-pci\", bus PCI, alias \"{0}\"",
                    row.name
                )
            }
            false => writeln!(out, "name \"{}\", bus virtio-serial", row.name),
        };
    }
    out
}

fn help(driver: &str, row: &'static Row, pci: bool) -> String {
    let mut out = format!("{driver} options:\n");
    for prop in properties(row, pci) {
        // Writing to a string cannot fail.
        let _ = match prop.only {
            [] => writeln!(out, "  {:22} - {}", format!("{}=<str>", prop.name), prop.about),
            values => writeln!(out, "  {:22} - only {}", format!("{}=<str>", prop.name), values.join(", ")),
        };
    }
    out
}

/// `bus=` and `addr=`.
fn transport(keys: &mut Keys, pci: bool) -> Result<Transport, String> {
    let bus = keys.take("bus");
    if !pci {
        return match bus.as_deref() {
            None => Ok(Transport::Mmio),
            Some(bus) if bus.starts_with("virtio-mmio-bus.") => {
                Err(format!("bus={bus} is not supported: slots are taken in order"))
            }
            Some(bus) => Err(format!("Bus '{bus}' not found")),
        };
    }
    if let Some(bus) = bus.filter(|bus| bus != "pcie.0") {
        return Err(format!("Bus '{bus}' not found"));
    }
    let Some(addr) = keys.take("addr") else { return Ok(Transport::Pci(None)) };
    let digits = addr.strip_prefix("0x").unwrap_or(&addr);
    let (slot, function) = digits.split_once('.').unwrap_or((digits, "0"));
    let slot = u8::from_str_radix(slot, 16).ok().filter(|n| (1..=0x1f).contains(n));
    match slot.filter(|_| function == "0") {
        Some(slot) => Ok(Transport::Pci(Some(slot))),
        None => Err(format!("addr={addr} is no slot from 1 to 1f with function 0")),
    }
}

fn blk(line: &mut Line, device: &mut Device) -> Result<(), String> {
    let name = device.keys.take("drive").ok_or_else(|| "drive property not set".to_owned())?;
    let queues = device.keys.number("num-queues")?;
    if queues == Some(0) {
        return Err("num-queues property must be larger than 0".to_owned());
    }
    let serial = device.keys.take("serial").unwrap_or_default();
    let drive = block::take(line, &name)?;
    line.config.disks.push(Disk { drive, transport: device.transport, serial, queues });
    Ok(())
}

/// `-drive if=virtio`: QEMU makes PCI devices of them.
pub(super) fn plain_disk(line: &mut Line, id: &str) -> Result<(), String> {
    let drive = block::take(line, id)?;
    let disk = Disk { drive, transport: Transport::Pci(None), serial: String::new(), queues: None };
    line.config.disks.push(disk);
    Ok(())
}

fn net(line: &mut Line, device: &mut Device) -> Result<(), String> {
    let mac = device.keys.take("mac").map(|text| mac(&text)).transpose()?;
    let (link, dump) = match device.keys.take("netdev") {
        None => (Link::None, None),
        Some(id) => {
            let cable = line.cables.get_mut(&id).ok_or_else(|| format!("there is no netdev '{id}'"))?;
            if core::mem::replace(&mut cable.used, true) {
                return Err(format!("netdev '{id}' is already in use"));
            }
            (cable.link.clone(), cable.dump.clone())
        }
    };
    line.config.nets.push(Net { link, transport: device.transport, mac, dump });
    Ok(())
}

fn rng(line: &mut Line, device: &mut Device) -> Result<(), String> {
    let file = match device.keys.take("rng") {
        None => None,
        Some(id) => {
            let named = line.rngs.get_mut(&id).ok_or_else(|| format!("there is no object '{id}'"))?;
            if core::mem::replace(&mut named.used, true) {
                return Err(format!("object '{id}' is already in use"));
            }
            named.what.clone()
        }
    };
    line.config.rngs.push(Rng { file, transport: device.transport });
    Ok(())
}

fn folder(line: &mut Line, device: &mut Device) -> Result<(), String> {
    let id = device.keys.need("fsdev")?;
    let tag = device.keys.need("mount_tag")?;
    if tag.is_empty() || tag.len() > 32 {
        return Err("mount_tag must have 1 to 32 bytes".to_owned());
    }
    if line.config.shares.iter().any(|s| s.tag == tag) {
        return Err(format!("mount_tag '{tag}' is in use"));
    }
    let named = line.shares.get_mut(&id).ok_or_else(|| format!("there is no fsdev '{id}'"))?;
    if core::mem::replace(&mut named.used, true) {
        return Err(format!("fsdev '{id}' is already in use"));
    }
    line.config.shares.push(Share { tag, transport: device.transport, ..named.what.clone() });
    Ok(())
}

fn console(line: &mut Line, device: &mut Device) -> Result<(), String> {
    let chardev = device.keys.need("chardev")?;
    let bus = device.keys.take("bus");
    let wanted = bus.as_deref().map(|bus| bus.strip_suffix(".0").unwrap_or(bus));
    let found = line.buses.iter_mut().rev().find(|(id, ..)| wanted.is_none() || id.as_deref() == wanted);
    let (_, transport, used) = found.ok_or_else(|| match &bus {
        Some(bus) => format!("Bus '{bus}' not found"),
        None => "there is no virtio-serial device in front of it".to_owned(),
    })?;
    if core::mem::replace(used, true) {
        return Err("a virtio-serial device with more than one port is not supported".to_owned());
    }
    let transport = *transport;
    let backend = chars::take(line, &chardev)?;
    line.config.consoles.push(Console { backend, transport });
    Ok(())
}

/// Every virtio-serial device has become a console.
pub(super) fn consoles_done(line: &Line) -> Result<(), String> {
    match line.buses.iter().all(|(.., used)| *used) {
        true => Ok(()),
        false => Err("a virtio-serial device without a virtconsole is not supported".to_owned()),
    }
}
