//! `-netdev`, `-nic`, `-net`, `-object`, `-fsdev`: what devices are connected to.

use super::{At, Cable, Line, Named, Stop};
use crate::grammar::Keys;
use tern_board::config::{Link, Share, Transport};

/// `-netdev`.
pub(super) fn netdev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("type"))?;
    let kind = keys.need("type")?;
    if kind == "help" {
        return Err(Stop::Print("Available netdev backend types:\nsocket\ntap\nuser\n".to_owned()));
    }
    let id = keys.need("id")?;
    let link = link(&kind, keys)?;
    add(line, id, link)
}

fn add(line: &mut Line, id: String, link: Link) -> Result<(), Stop> {
    if line.cables.contains_key(&id) {
        return Err(format!("Duplicate ID '{id}' for netdev").into());
    }
    line.cables.insert(id, Cable { link, dump: None, used: false });
    Ok(())
}

/// A backend; the host room reads its options.
fn link(kind: &str, mut keys: Keys) -> Result<Link, String> {
    match kind {
        "user" => Ok(Link::User(options(keys))),
        "socket" => Ok(Link::Socket(options(keys))),
        "tap" => {
            // Interfaces are configured by whoever made them; QEMU's default would be a script.
            for key in ["script", "downscript"] {
                keys.fixed(key, &["no", ""])?;
            }
            keys.fixed("vhost", &["off"])?;
            keys.fixed("vnet_hdr", &["off"])?;
            keys.fixed("queues", &["1"])?;
            let name = keys.take("ifname").unwrap_or_default();
            keys.done()?;
            Ok(Link::Tap(name))
        }
        other => Err(format!("netdev '{other}' is not supported, only socket, tap, user")),
    }
}

/// Options as text, a comma in a value doubled.  JSON has forwards as lists of objects: `hostfwd.0.str`.
fn options(keys: Keys) -> Vec<String> {
    let name = |key: String| match key.strip_suffix(".str").and_then(|k| k.rsplit_once('.')) {
        Some((list, n)) if n.bytes().all(|b| b.is_ascii_digit()) => list.to_owned(),
        _ => key,
    };
    keys.rest().into_iter().map(|(key, value)| format!("{}={}", name(key), value.replace(',', ",,"))).collect()
}

/// `-nic`: backend and device in one.
pub(super) fn nic(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("type"))?;
    let kind = keys.need("type")?;
    if kind == "none" {
        return Ok(keys.done()?);
    }
    let models = ["virtio-net-pci", "virtio-net-device"];
    let model = match keys.take("model").as_deref() {
        Some("help") => return Err(Stop::Print(format!("Available NIC models:\n{}\n", models.join("\n")))),
        None | Some("virtio" | "virtio-net") => models[0],
        Some(name) => *models.iter().find(|m| **m == name).ok_or_else(|| format!("model '{name}' is not supported"))?,
    };
    let mac = keys.take("mac").or(keys.take("macaddr"));
    let id = keys.take("id").unwrap_or_else(|| format!("#net{}", line.cables.len()));
    let link = link(&kind, keys)?;
    add(line, id.clone(), link)?;
    let mac = mac.map_or_else(String::new, |mac| format!(",mac={mac}"));
    let device = Keys::parse(&format!("{model},netdev={}{mac}", id.replace(',', ",,")), Some("driver"))?;
    line.devices.push(line.here(device));
    Ok(())
}

/// `-net`: only what switches the network off.
pub(super) fn net(_: &mut Line, text: &str) -> Result<(), Stop> {
    match text {
        "none" => Ok(()),
        _ => Err("only none is supported: -nic and -netdev have taken the place of -net".to_owned().into()),
    }
}

/// `-object`.
pub(super) fn object(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("qom-type"))?;
    let kind = keys.need("qom-type")?;
    if kind == "help" {
        return Err(Stop::Print(
            "List of user creatable objects:\n  filter-dump\n  rng-builtin\n  rng-random\n".to_owned(),
        ));
    }
    let id = keys.need("id")?;
    match kind.as_str() {
        "rng-random" | "rng-builtin" => {
            let file = match kind.as_str() {
                "rng-random" => Some(keys.take("filename").unwrap_or_else(|| "/dev/urandom".to_owned()).into()),
                _ => None,
            };
            if line.rngs.insert(id.clone(), Named { what: file, used: false }).is_some() {
                return Err(format!("Duplicate ID '{id}' for object").into());
            }
        }
        "filter-dump" => {
            let (netdev, file) = (keys.need("netdev")?, keys.take("file"));
            keys.fixed("queue", &["all"])?;
            keys.fixed("maxlen", &["65536"])?;
            let file = file.unwrap_or_else(|| "qemu-vlan0.pcap".to_owned());
            line.dumps.push(line.here((netdev, file.into())));
        }
        other => return Err(format!("object '{other}' is not supported").into()),
    }
    Ok(keys.done()?)
}

/// `-fsdev`.
pub(super) fn fsdev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("fsdriver"))?;
    let id = keys.need("id")?;
    let share = folder(&mut keys)?;
    keys.done()?;
    add_share(line, id, share)
}

fn add_share(line: &mut Line, id: String, share: Share) -> Result<(), Stop> {
    if line.shares.contains_key(&id) {
        return Err(format!("Duplicate ID '{id}' for fsdev").into());
    }
    line.shares.insert(id, Named { what: share, used: false });
    Ok(())
}

/// `-virtfs`: folder and device in one.
pub(super) fn virtfs(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("fsdriver"))?;
    let tag = keys.need("mount_tag")?;
    let id = keys.take("id").unwrap_or_else(|| tag.clone());
    let share = folder(&mut keys)?;
    keys.done()?;
    add_share(line, id.clone(), share)?;
    let escaped = |s: &str| s.replace(',', ",,");
    let device = format!("virtio-9p-pci,fsdev={},mount_tag={}", escaped(&id), escaped(&tag));
    line.devices.push(line.here(Keys::parse(&device, Some("driver"))?));
    Ok(())
}

fn folder(keys: &mut Keys) -> Result<Share, String> {
    let kind = keys.need("fsdriver")?;
    if kind != "local" {
        return Err(format!("fsdriver '{kind}' is not supported, only local"));
    }
    let path = keys.need("path")?;
    let model = keys.need("security_model")?;
    let security_model = match model.as_str() {
        "none" | "passthrough" => model,
        "mapped" | "mapped-xattr" => "mapped-xattr".to_owned(),
        _ => return Err(format!("security_model={model} is not supported, only none, passthrough, mapped-xattr")),
    };
    let read_only = keys.switch("readonly")?.unwrap_or(false);
    // Files of several file systems in one folder keep different numbers in any case.
    keys.fixed("multidevs", &["remap", "warn"])?;
    Ok(Share { path: path.into(), tag: String::new(), read_only, security_model, transport: Transport::Any })
}

/// Puts captures on the links that they name.
pub(super) fn dumps(line: &mut Line) -> Result<(), String> {
    for At { place, value: (netdev, file) } in core::mem::take(&mut line.dumps) {
        line.place = place;
        let cable = line.cables.get_mut(&netdev).ok_or_else(|| format!("there is no netdev '{netdev}'"))?;
        if cable.dump.replace(file).is_some() {
            return Err("one capture of a netdev is supported".to_owned());
        }
    }
    Ok(())
}
