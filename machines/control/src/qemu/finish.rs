//! Puts together what the options of a line refer to.

use super::{At, Line, Stop, chars, device, machine, net};
use tern_board::config::{Bios, ClockMode, DeviceConfig, Medium};
use tern_devices::model::PropKind;

/// After the last option.
pub(super) fn finish(line: &mut Line) -> Result<(), Stop> {
    // The first that works.
    match line.accels.iter().find(|a| ["tcg", "qtest"].contains(&a.as_str())) {
        Some(name) => line.run.qtest_only = name == "qtest",
        None if line.accels.is_empty() => {}
        None => return Err(format!("invalid accelerator {}", line.accels[0]).into()),
    }
    if let Some(At { place, .. }) = line.rtc_host.take().filter(|_| line.icount) {
        line.place = place;
        return Err("clock=host and -icount are not supported together, only clock=vm".to_owned().into());
    }
    let needs = [("-initrd", line.config.initrd.is_some()), ("-append", !line.config.append.is_empty())];
    if let Some((option, _)) = needs.iter().find(|(_, given)| *given && line.config.kernel.is_none()) {
        return Err(format!("{option} only allowed with -kernel option").into());
    }
    machine::find_firmware(line);
    if line.run.qtest_only && !line.icount {
        // Time stands unless it is moved.
        line.config.clock = ClockMode::Instructions { shift: Some(0) };
    }
    if line.run.qtest_only && line.config.bios == Bios::Default {
        // No CPU runs it.
        line.config.bios = Bios::None;
    }
    net::dumps(line)?;
    line.place.clear();
    for At { place, value } in core::mem::take(&mut line.sets) {
        line.place = place;
        set(line, &value)?;
    }
    for At { place, value } in core::mem::take(&mut line.devices) {
        line.place = place;
        check(line, &value)?;
        line.config.devices.push(value);
    }
    line.place.clear();
    // Drives without a device of their own come after the devices, as in QEMU.
    for id in core::mem::take(&mut line.disks) {
        line.config.devices.push(DeviceConfig::new("virtio-blk-pci").with("drive", id));
    }
    if line.snapshot {
        for medium in line.config.drives.iter_mut().filter(|m| !m.id.is_empty() && !line.settled.contains(&m.id)) {
            medium.drive.iter_mut().for_each(|drive| drive.snapshot = true);
        }
    }
    for bank in line.config.flash.iter().flatten() {
        let there = |m: &Medium| m.id == *bank || m.node == *bank;
        if !line.config.drives.iter().any(there) {
            return Err(format!("there is no drive '{bank}'").into());
        }
    }
    if line.config.board.ends_with("/none") && !line.memory_given {
        line.config.memory = 0;
    }
    chars::check_tpmdevs(line)?;
    chars::serials(line)?;
    chars::monitors(line)?;
    default_serial(line)
}

/// `-set device.ID.PROPERTY=VALUE`; of several values of a netdev's option the last one counts.
fn set(line: &mut Line, text: &str) -> Result<(), String> {
    let wrong = || format!("invalid format: {text}");
    let (path, value) = text.split_once('=').ok_or_else(wrong)?;
    let mut parts = path.splitn(3, '.');
    let (Some(group), Some(id), Some(name)) = (parts.next(), parts.next(), parts.next()) else { return Err(wrong()) };
    let props = match group {
        "device" => {
            let device = line.devices.iter_mut().find(|d| d.value.id.as_deref() == Some(id));
            &mut device.ok_or_else(|| format!("there is no device \"{id}\" defined"))?.value.props
        }
        "object" => {
            let object = line.config.objects.iter_mut().find(|o| o.id == id);
            &mut object.ok_or_else(|| format!("there is no object \"{id}\" defined"))?.props
        }
        "netdev" => {
            let netdev = line.config.netdevs.iter_mut().find(|n| n.id == id);
            let netdev = netdev.ok_or_else(|| format!("there is no netdev \"{id}\" defined"))?;
            netdev.spec += &format!(",{name}={}", value.replace(',', ",,"));
            return Ok(());
        }
        _ => return Err(format!("-set of group '{group}' is not supported, only device, netdev, object")),
    };
    props.retain(|(n, _)| n != name);
    props.push((name.to_owned(), value.to_owned()));
    Ok(())
}

/// What a device refers to is there.
fn check(line: &Line, device: &DeviceConfig) -> Result<(), String> {
    let kind = device::find(&device.driver)?;
    let config = &line.config;
    for (name, text) in &device.props {
        let Some(prop) = kind.props().find(|p| p.name == *name) else { continue };
        let (what, there) = match prop.kind {
            PropKind::Drive => ("drive", config.drives.iter().any(|m| m.id == *text || m.node == *text)),
            PropKind::Netdev => ("netdev", config.netdevs.iter().any(|n| n.id == *text)),
            PropKind::Chardev => ("chardev", config.chardevs.iter().any(|c| c.id == *text)),
            PropKind::Link("fsdev") => ("fsdev", config.fsdevs.iter().any(|f| f.id == *text)),
            PropKind::Link(_) => ("object", config.objects.iter().any(|o| o.id == *text)),
            _ => continue,
        };
        if !there {
            return Err(format!("there is no {what} '{text}'"));
        }
        let again = |d: &&DeviceConfig| {
            let same = d.props.iter().any(|(n, t)| n == name && t == text);
            same && matches!(prop.kind, PropKind::Drive | PropKind::Netdev)
        };
        if config.devices.iter().find(again).is_some() {
            return Err(match prop.kind {
                PropKind::Drive => format!("Drive '{text}' is already in use by another device"),
                _ => format!("netdev '{text}' is already in use"),
            });
        }
    }
    Ok(())
}

/// The first serial port, if nothing was said about it: with `-nographic`, or if nothing was said about displays either,
/// since there is none, the terminal; with a monitor behind the escape key.
fn default_serial(line: &mut Line) -> Result<(), Stop> {
    if !line.config.serials.is_empty() {
        return Ok(());
    }
    let terminal = !line.nodefaults && (line.nographic || !line.display);
    let taken = chars::has_stdio(line);
    if terminal && taken && line.nographic {
        return Err("cannot use stdio by multiple character devices (-nographic takes it too)".to_owned().into());
    }
    let port = match terminal && !taken {
        true => Some(chars::named(line, "mon:stdio", "serial0")?),
        false => None,
    };
    line.config.serials.push(port);
    Ok(())
}
