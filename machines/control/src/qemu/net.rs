//! `-netdev`, `-nic`, `-net`, `-object`, `-fsdev`: what devices are connected to.

use super::{At, Line, Stop};
use crate::grammar::{Keys, mac as mac_of};
use tern_board::config::{DeviceConfig, Folder, Fsdev, Netdev, Object};
use tern_board::host::objects::KINDS as KINDS_OF_OBJECTS;
use tern_devices::model::{self, PropKind};

/// The kinds of network backends.
pub static KINDS: &[&str] = &["dgram", "hubport", "socket", "stream", "tap", "user", "vhost-user"];

/// Reads the argument of `-netdev`.
///
/// # Errors
/// In one line.
pub fn read_netdev(mut keys: Keys) -> Result<Netdev, String> {
    let kind = keys.need("type")?;
    let id = keys.need("id")?;
    Ok(Netdev { id, spec: spec(&kind, keys)?, dump: None })
}

/// `-netdev`.
pub(super) fn netdev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let keys = Keys::parse(text, Some("type"))?;
    if matches!(keys.clone().take("type").as_deref(), Some("help" | "?")) {
        return Err(Stop::Print(format!("Available netdev backend types:\n{}\n", KINDS.join("\n"))));
    }
    add(line, read_netdev(keys)?)
}

fn add(line: &mut Line, netdev: Netdev) -> Result<(), Stop> {
    if line.config.netdevs.iter().any(|n| n.id == netdev.id) {
        return Err(format!("Duplicate ID '{}' for netdev", netdev.id).into());
    }
    line.config.netdevs.push(netdev);
    Ok(())
}

/// A backend with its options; the host room reads them.
fn spec(kind: &str, mut keys: Keys) -> Result<String, String> {
    if !KINDS.contains(&kind) {
        return Err(format!("netdev '{kind}' is not supported, only {}", KINDS.join(", ")));
    }
    if kind == "tap" {
        // Interfaces are configured by whoever made them; QEMU's default would be a script.
        for key in ["script", "downscript"] {
            keys.fixed(key, &["no", ""])?;
        }
        keys.fixed("vhost", &["off"])?;
        keys.fixed("vnet_hdr", &["off"])?;
        keys.fixed("queues", &["1"])?;
    }
    if kind == "vhost-user" {
        // It is used in any case, whatever the card is.
        keys.switch("vhostforce")?;
    }
    let mut words = vec![kind.to_owned()];
    words.extend(options(keys));
    Ok(words.join(","))
}

/// Options as text, a comma in a value doubled.  JSON has forwards as lists of objects: `hostfwd.0.str`.
fn options(keys: Keys) -> Vec<String> {
    let name = |key: String| match key.strip_suffix(".str").and_then(|k| k.rsplit_once('.')) {
        Some((list, n)) if n.bytes().all(|b| b.is_ascii_digit()) => list.to_owned(),
        _ => key,
    };
    keys.rest().into_iter().map(|(key, value)| format!("{}={}", name(key), value.replace(',', ",,"))).collect()
}

/// The models of network cards: those with a `netdev`.
fn models() -> Vec<&'static str> {
    let types = model::types().filter(|t| t.props().any(|p| p.kind == PropKind::Netdev));
    types.map(|t| t.name()).collect()
}

/// `-nic`: backend and device in one.
pub(super) fn nic(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("type"))?;
    let kind = keys.need("type")?;
    if kind == "none" {
        return Ok(keys.done()?);
    }
    let model = match keys.take("model").as_deref() {
        Some("help") => return Err(Stop::Print(format!("Available NIC models:\n{}\n", models().join("\n")))),
        None | Some("virtio") => "virtio-net-pci",
        Some(name) => {
            let found = model::find(name).map(|t| t.name()).filter(|name| models().contains(name));
            found.ok_or_else(|| format!("model '{name}' is not supported"))?
        }
    };
    let mac = keys.take("mac").or(keys.take("macaddr"));
    let id = keys.take("id").unwrap_or_else(|| format!("#net{}", line.config.netdevs.len()));
    add(line, Netdev { id: id.clone(), spec: spec(&kind, keys)?, dump: None })?;
    let mut device = DeviceConfig::new(model).with("netdev", id);
    if let Some(text) = mac {
        mac_of(&text)?;
        device = device.with("mac", text);
    }
    line.devices.push(line.here(device));
    Ok(())
}

/// `-net`: `none` switches the network off; `nic` and a backend beside it are the old way to say `-nic`.
pub(super) fn net(_: &mut Line, text: &str) -> Result<(), Stop> {
    match text {
        "none" => Ok(()),
        _ => Err("only none is supported: -nic and -netdev have taken the place of -net".to_owned().into()),
    }
}

/// Reads the argument of `-object` or `object-add`.
///
/// # Errors
/// In one line.
pub fn read_object(mut keys: Keys) -> Result<Object, String> {
    let kind = keys.need("qom-type")?;
    let id = keys.need("id")?;
    Ok(Object { kind, id, props: keys.rest() })
}

/// `-object`.
pub(super) fn object(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("qom-type"))?;
    let mut look = keys.clone();
    let kind = look.need("qom-type")?;
    if kind == "help" || kind == "?" {
        let mut names: Vec<&str> = KINDS_OF_OBJECTS.iter().map(|k| k.name).chain(["filter-dump"]).collect();
        names.sort_unstable();
        let list: String = names.iter().map(|name| format!("  {name}\n")).collect();
        return Err(Stop::Print(format!("List of user creatable objects:\n{list}")));
    }
    let id = look.need("id")?;
    if kind == "filter-dump" {
        keys.take("qom-type");
        keys.take("id");
        let (netdev, file) = (keys.need("netdev")?, keys.take("file"));
        keys.fixed("queue", &["all"])?;
        keys.fixed("maxlen", &["65536"])?;
        let file = file.unwrap_or_else(|| "qemu-vlan0.pcap".to_owned());
        line.dumps.push(line.here((netdev, file.into())));
        return Ok(keys.done()?);
    }
    if !KINDS_OF_OBJECTS.iter().any(|k| k.name == kind) {
        return Err(format!("invalid object type: {kind}").into());
    }
    if line.config.objects.iter().any(|o| o.id == id) {
        return Err(format!("Duplicate ID '{id}' for object").into());
    }
    line.config.objects.push(read_object(core::mem::take(&mut keys))?);
    Ok(())
}

/// `-fsdev`.
pub(super) fn fsdev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("fsdriver"))?;
    let id = keys.need("id")?;
    let share = folder(keys, id)?;
    add_share(line, share)
}

fn add_share(line: &mut Line, fsdev: Fsdev) -> Result<(), Stop> {
    if line.config.fsdevs.iter().any(|f| f.id == fsdev.id) {
        return Err(format!("Duplicate ID '{}' for fsdev", fsdev.id).into());
    }
    line.config.fsdevs.push(fsdev);
    Ok(())
}

/// `-virtfs`: folder and device in one.
pub(super) fn virtfs(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("fsdriver"))?;
    let tag = keys.need("mount_tag")?;
    let id = keys.take("id").unwrap_or_else(|| tag.clone());
    let share = folder(keys, id.clone())?;
    add_share(line, share)?;
    let device = DeviceConfig::new("virtio-9p-pci").with("fsdev", id).with("mount_tag", tag);
    line.devices.push(line.here(device));
    Ok(())
}

fn folder(mut keys: Keys, id: String) -> Result<Fsdev, String> {
    let kind = keys.need("fsdriver")?;
    let folder = match kind.as_str() {
        "synth" => Folder::Synth,
        "local" => {
            let path = keys.need("path")?;
            let model = keys.need("security_model")?;
            let security_model = match model.as_str() {
                "none" | "passthrough" => model,
                "mapped" | "mapped-xattr" => "mapped-xattr".to_owned(),
                _ => {
                    return Err(format!(
                        "security_model={model} is not supported, only none, passthrough, mapped-xattr"
                    ));
                }
            };
            let read_only = keys.switch("readonly")?.unwrap_or(false);
            Folder::Local { path: path.into(), read_only, security_model }
        }
        _ => return Err(format!("fsdriver '{kind}' is not supported, only local, synth")),
    };
    // Files of several file systems in one folder keep different numbers in any case.
    keys.fixed("multidevs", &["remap", "warn"])?;
    let options: Vec<(String, String)> = keys.rest();
    match options.iter().find(|(name, _)| name != "max_xattr") {
        Some((name, _)) => Err(format!("Invalid parameter '{name}'")),
        None => Ok(Fsdev { id, folder, options }),
    }
}

/// Puts captures on the links that they name.
pub(super) fn dumps(line: &mut Line) -> Result<(), String> {
    for At { place, value: (netdev, file) } in core::mem::take(&mut line.dumps) {
        line.place = place;
        let cable = line.config.netdevs.iter_mut().find(|n| n.id == netdev);
        let cable = cable.ok_or_else(|| format!("there is no netdev '{netdev}'"))?;
        if cable.dump.replace(file).is_some() {
            return Err("one capture of a netdev is supported".to_owned());
        }
    }
    Ok(())
}
