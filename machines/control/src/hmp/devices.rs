//! Devices, objects, character devices, networks.

use super::{Args, Result, qmp, quiet};
use crate::grammar::Keys;
use crate::qemu::{chars, device, net};
use crate::vm::Vm;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// `device_add`.
pub(super) fn device_add(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let text = args.rest.trim_matches('"');
    let mut keys = Keys::parse(text, Some("driver"))?;
    let mut look = keys.clone();
    let driver = look.need("driver")?;
    if driver == "help" || driver == "?" {
        return Ok(device::list());
    }
    if look.take("help").is_some() || look.take("?").is_some() {
        let all = crate::vm::qom::device_properties(vm.isa(), &driver);
        return match (tern_devices::model::find(&driver), all) {
            (Some(kind), _) => Ok(device::help(&kind)),
            (None, Some(_)) => Ok(format!("There are no options for {driver}.\n")),
            (None, None) => Err(format!("'{driver}' is not a valid device model name")),
        };
    }
    let config = device::read(core::mem::take(&mut keys))?;
    vm.device_add(&config).map(|()| String::new())
}

pub(super) fn device_del(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let id = args.need(0, "a device")?.to_owned();
    vm.device_del(&id).map(|()| String::new()).map_err(|e| e.to_string())
}

pub(super) fn netdev_add(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let netdev = net::read_netdev(Keys::parse(args.rest, Some("type"))?)?;
    vm.netdev_add(&netdev).map(|()| String::new())
}

pub(super) fn netdev_del(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let id = args.need(0, "an id")?.to_owned();
    vm.netdev_del(&id).map(|()| String::new())
}

pub(super) fn object_add(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let object = net::read_object(Keys::parse(args.rest, Some("qom-type"))?)?;
    vm.object_add(object).map(|()| String::new())
}

pub(super) fn object_del(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let id = args.need(0, "an id")?.to_owned();
    vm.object_del(&id).map(|()| String::new())
}

pub(super) fn chardev_add(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let chardev = chars::read_chardev(Keys::parse(args.rest, Some("backend"))?)?;
    let note = vm.chardev_add(&chardev)?;
    Ok(note.map_or_else(String::new, |note| note + "\n"))
}

pub(super) fn chardev_change(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let id = args.need(0, "an id")?.to_owned();
    let rest = args.rest.strip_prefix(&id).unwrap_or_default().trim();
    let text = format!("{rest},id={id}");
    let chardev = chars::read_chardev(Keys::parse(&text, Some("backend"))?)?;
    vm.chardev_remove(&id)?;
    vm.chardev_add(&chardev).map(|_| String::new())
}

pub(super) fn chardev_remove(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let id = args.need(0, "an id")?.to_owned();
    vm.chardev_remove(&id).map(|()| String::new())
}

pub(super) fn chardev_send_break(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    quiet(vm, "chardev-send-break", json!({ "id": args.need(0, "an id")? }))
}

/// `hostfwd_add` and `hostfwd_remove`: the network, and the rule.
fn forward<'a>(vm: &Vm, args: &'a Args<'_>) -> Result<(String, &'a str)> {
    let users = || -> Vec<String> {
        let world = vm.host.world();
        world.nets.cables().filter(|(_, c)| c.kind() == "user").map(|(id, _)| id.to_owned()).collect()
    };
    match (args.get(0), args.get(1)) {
        (Some(id), Some(rule)) => Ok((id.to_owned(), rule)),
        (Some(rule), None) => Ok((users().into_iter().next().ok_or("no user mode network stack in use")?, rule)),
        _ => Err("a rule is missing".to_owned()),
    }
}

pub(super) fn hostfwd_add(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let (id, rule) = forward(vm, args)?;
    let world = vm.host.world();
    let cable = world.nets.find(&id).ok_or_else(|| format!("unrecognized netdev id '{id}'"))?;
    let mut link = cable.link().link();
    let forwarding = link.forwarding().ok_or_else(|| format!("'{id}' is no user mode network"))?;
    forwarding.add_forward(rule).map(|()| String::new()).map_err(|e| e.to_string())
}

pub(super) fn hostfwd_remove(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let (id, rule) = forward(vm, args)?;
    let world = vm.host.world();
    let cable = world.nets.find(&id).ok_or_else(|| format!("unrecognized netdev id '{id}'"))?;
    let mut link = cable.link().link();
    let forwarding = link.forwarding().ok_or_else(|| format!("'{id}' is no user mode network"))?;
    let found = forwarding.remove_forward(rule).map_err(|e| e.to_string())?;
    Ok(format!("host forwarding rule for {rule} {}\n", if found { "removed" } else { "not found" }))
}

pub(super) fn set_link(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let (name, on) = (args.need(0, "a name")?, args.need(1, "on or off")?);
    let up = tern_core::text::switch(on).ok_or_else(|| "on or off is wanted".to_owned())?;
    quiet(vm, "set_link", json!({ "name": name, "up": up }))
}

pub(super) fn announce_self(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    quiet(vm, "announce-self", json!({}))
}

pub(super) fn balloon(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let size = args.need(0, "a size")?;
    let bytes = tern_core::text::size(size, 20).ok_or_else(|| format!("'{size}' is no size"))?;
    quiet(vm, "balloon", json!({ "value": bytes }))
}

pub(super) fn qom_list(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let Some(path) = args.get(0) else { return Ok("/\n".to_owned()) };
    let props = vm.qom_list(path)?;
    Ok(props.into_iter().map(|p| format!("{} ({})\n", p.name, p.kind)).collect())
}

pub(super) fn qom_get(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let value = vm.qom_get(args.need(0, "a path")?, args.need(1, "a property")?)?;
    Ok(format!("{value:#}\n"))
}

pub(super) fn qom_set(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let json_form = args.get(0) == Some("-j");
    let first = usize::from(json_form);
    let (path, name) = (args.need(first, "a path")?.to_owned(), args.need(first + 1, "a property")?.to_owned());
    let text = args.words.get(first + 2..).unwrap_or_default().join(" ");
    let value = match json_form {
        true => serde_json::from_str(&text).map_err(|e| e.to_string())?,
        false => Value::String(text),
    };
    vm.qom_set(&path, &name, &value).map(|()| String::new())
}

/// `info network`: backends and the devices that have them.
pub(super) fn network(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let mut out = String::new();
    let world = vm.host.world();
    let one = |id: &str, cable: &tern_board::host::nets::Cable| {
        let info = cable.link().link().info();
        let comma = if info.is_empty() { "" } else { "," };
        format!("{id}: index=0,type={}{comma}{info}", cable.kind())
    };
    for p in vm.board.plugged() {
        let Some(netdev) = p.props.iter().find(|(prop, _)| prop.kind == tern_devices::model::PropKind::Netdev) else {
            continue;
        };
        let name = p.config.id.clone().unwrap_or_else(|| format!("{}.{}", p.name, p.serial));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name}: index=0,type=nic,model={}", p.name);
        if let Some(tern_devices::model::Value::Text(id)) = netdev.1
            && let Some(cable) = world.nets.find(id)
        {
            let _ = writeln!(out, " \\ {}", one(id, cable));
        }
    }
    for (id, cable) in world.nets.cables().filter(|(_, c)| c.user.is_none()) {
        let _ = writeln!(out, "{}", one(id, cable));
    }
    Ok(out)
}

/// `info usernet`.
pub(super) fn usernet(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let world = vm.host.world();
    let mut out = String::new();
    for (id, cable) in world.nets.cables() {
        if let Some(forwarding) = cable.link().link().forwarding() {
            let _ = write!(out, "Hub -1 ({id}):\n{}", forwarding.connections());
        }
    }
    Ok(out)
}

/// `info chardev`.
pub(super) fn chardev(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let world = vm.host.world();
    Ok(world.chars.nodes().map(|(id, node)| format!("{id}: filename={}\n", node.shown())).collect())
}

/// `info qtree`: buses and devices.
pub(super) fn qtree(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let mut out = "bus: main-system-bus\n  type System\n".to_owned();
    for (_, name, device) in vm.board.machine.devices() {
        let _ = writeln!(out, "  dev: {}, id \"{name}\"", device.kind());
    }
    for p in vm.board.plugged() {
        let id = p.config.id.clone().unwrap_or_default();
        let bus = p.kind().map_or("", |k| k.bus().name());
        let _ = writeln!(out, "  dev: {}, id \"{id}\", bus {bus}", p.name);
        for (prop, value) in p.props.iter() {
            let text = value.map_or_else(|| "\"\"".to_owned(), |v| crate::vm::qom::json_of(prop, v).to_string());
            let _ = writeln!(out, "    {} = {text}", prop.name);
        }
        if let Some((kind, name)) = p.bus() {
            let _ = writeln!(out, "    bus: {name}\n      type {}", kind.name());
        }
    }
    Ok(out)
}

/// `info pci`.
pub(super) fn pci(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let buses = qmp(vm, "query-pci", Value::Null)?;
    let mut out = String::new();
    for bus in buses.as_array().into_iter().flatten() {
        functions(&mut out, bus["devices"].as_array());
    }
    Ok(out)
}

fn functions(out: &mut String, list: Option<&Vec<Value>>) {
    for f in list.into_iter().flatten() {
        let number = |v: &Value| v.as_u64().unwrap_or(0);
        let _ = writeln!(out, "  Bus {:2}, device {:3}, function {}:", f["bus"], f["slot"], f["function"]);
        let class = f["class_info"]["desc"]
            .as_str()
            .map_or_else(|| format!("Class {:04x}", number(&f["class_info"]["class"])), str::to_owned);
        let (vendor, device) = (number(&f["id"]["vendor"]), number(&f["id"]["device"]));
        let _ = writeln!(out, "    {class}: PCI device {vendor:04x}:{device:04x}");
        for bar in f["regions"].as_array().into_iter().flatten() {
            let (at, size) = (number(&bar["address"]), number(&bar["size"]));
            let kind = if bar["type"] == "io" { "I/O" } else { "memory" };
            let end = at.wrapping_add(size).wrapping_sub(1);
            let _ = writeln!(out, "      BAR{}: {kind} at {at:#x} [{end:#x}].", bar["bar"]);
        }
        let _ = writeln!(out, "      id {}", f["qdev_id"]);
        functions(out, f["pci_bridge"]["devices"].as_array());
    }
}
