//! `-drive`, `-blockdev` and what means the same: media of disks.

use super::{Line, Medium, Stop};
use crate::grammar::Keys;
use tern_board::config::Drive;
use tern_host::image::{Cache, Format};

/// `-drive`.
pub(super) fn drive(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, None)?;
    let interface = keys.take("if").unwrap_or_else(|| "virtio".to_owned());
    let bank = keys.number::<usize>("index")?;
    let bank = keys.number::<usize>("unit")?.or(bank);
    keys.fixed("media", &["disk"])?;
    let id = keys.take("id");
    let snapshot = keys.switch("snapshot")?;
    let drive = contents(&mut keys)?;
    keys.done()?;
    let medium = Medium { drive, snapshot, used: false };
    match interface.as_str() {
        "none" => {
            let id = id.unwrap_or_else(|| unnamed(line));
            add(line, id, medium)
        }
        "virtio" => {
            let id = id.unwrap_or_else(|| unnamed(line));
            line.disks.push(id.clone());
            add(line, id, medium)
        }
        "pflash" => {
            let free = line.flash.iter().position(Option::is_none);
            let bank = bank.or(free).filter(|n| line.flash.get(*n).is_some_and(Option::is_none));
            let bank = bank.ok_or_else(|| "there is no such flash bank, or it is taken".to_owned())?;
            let id = id.unwrap_or_else(|| format!("pflash{bank}"));
            line.flash[bank] = Some(line.here(id.clone()));
            add(line, id, medium)
        }
        other => Err(format!("machine type does not support if={other}").into()),
    }
}

/// A name for a drive that has none.
fn unnamed(line: &Line) -> String {
    format!("virtio{}", line.media.len())
}

fn add(line: &mut Line, id: String, medium: Medium) -> Result<(), Stop> {
    if line.media.contains_key(&id) {
        return Err(format!("Duplicate ID '{id}' for drive").into());
    }
    line.media.insert(id, medium);
    Ok(())
}

/// The file and how it is opened, as far as `-drive` says it.
fn contents(keys: &mut Keys) -> Result<Drive, String> {
    keys.fixed("file.driver", &["file"])?;
    let file = keys.take("file.filename").or(keys.take("file"));
    let mut drive = Drive::new(plain(&file.ok_or_else(|| "Parameter 'file' is missing".to_owned())?)?);
    let format = keys.take("format").or(keys.take("driver"));
    drive.format = format.map(|name| format_named(&name)).transpose()?;
    let read_only = keys.switch("read-only")?;
    drive.read_only = keys.switch("readonly")?.or(read_only).unwrap_or(false);
    options(keys, &mut drive)?;
    if let Some(name) = keys.take("cache") {
        Cache::by_name(&name).ok_or_else(|| format!("invalid cache mode '{name}'"))?;
        drive.cache = Some(name);
    }
    Ok(drive)
}

fn format_named(name: &str) -> Result<String, String> {
    Format::by_name(name).map(|f| f.name().to_owned()).ok_or_else(|| format!("format '{name}' is not supported"))
}

/// A name in the file system: other protocols have none.
fn plain(file: &str) -> Result<String, String> {
    let file = file.strip_prefix("file:").unwrap_or(file);
    let protocol = file.split_once(':').map(|(p, _)| p).filter(|p| {
        ["nbd", "http", "https", "ftp", "ssh", "json", "iscsi", "rbd", "nfs", "fat", "nvme", "gluster"].contains(p)
    });
    match protocol {
        Some(protocol) => Err(format!("protocol '{protocol}' is not supported, only files and block devices")),
        None if file.is_empty() => Err("the file has no name".to_owned()),
        None => Ok(file.to_owned()),
    }
}

/// What `-drive` and `-blockdev` share.
fn options(keys: &mut Keys, drive: &mut Drive) -> Result<(), String> {
    match keys.take("discard").as_deref() {
        None | Some("ignore" | "off") => {}
        Some("unmap" | "on") => drive.discard = true,
        Some(_) => return Err("discard expects ignore or unmap".to_owned()),
    }
    // How the host waits for its disks is tern's own affair.
    for key in ["aio", "file.aio"] {
        let way = keys.take(key);
        if way.is_some_and(|way| !["threads", "native", "io_uring"].contains(&way.as_str())) {
            return Err("aio expects threads, native or io_uring".to_owned());
        }
    }
    keys.fixed("detect-zeroes", &["off"])?;
    keys.fixed("copy-on-read", &["off"])?;
    keys.fixed("auto-read-only", &["off"])?;
    keys.fixed("locking", &["auto", "on"])?;
    keys.fixed("werror", &["report", "enospc"])?;
    keys.fixed("rerror", &["report"])?;
    cache(keys, drive)
}

/// `cache.direct` and `cache.no-flush`: the two sides of the modes.
fn cache(keys: &mut Keys, drive: &mut Drive) -> Result<(), String> {
    let direct = keys.switch("cache.direct")?.unwrap_or(false);
    let no_flush = keys.switch("cache.no-flush")?.unwrap_or(false);
    let write_back = keys.switch("cache.writeback")?.unwrap_or(true);
    let mode = match (direct, no_flush, write_back) {
        (false, false, true) => return Ok(()),
        (true, false, true) => "none",
        (false, true, true) => "unsafe",
        (false, false, false) => "writethrough",
        (true, false, false) => "directsync",
        _ => return Err("this combination of cache options is not supported".to_owned()),
    };
    drive.cache = Some(mode.to_owned());
    Ok(())
}

/// `-blockdev`: a node; one of a format has its file as another node or as options of its own.
pub(super) fn blockdev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("driver"))?;
    let driver = keys.need("driver")?;
    let name = keys.need("node-name")?;
    let mut drive = match driver.as_str() {
        "file" | "host_device" => {
            let mut drive = Drive::new(plain(&keys.need("filename")?)?);
            drive.format = Some("raw".to_owned());
            drive
        }
        "raw" | "qcow2" => {
            let mut drive = match keys.take("file") {
                Some(node) => {
                    let below = line.media.get_mut(&node).filter(|m| !m.used);
                    let below = below.ok_or_else(|| format!("Cannot find node '{node}', or it is in use"))?;
                    below.used = true;
                    below.drive.clone()
                }
                None => {
                    keys.fixed("file.driver", &["file", "host_device"])?;
                    let mut drive = Drive::new(plain(&keys.need("file.filename")?)?);
                    drive.read_only = keys.switch("file.read-only")?.unwrap_or(false);
                    drive
                }
            };
            keys.fixed("file.locking", &["auto", "on"])?;
            keys.switch("file.auto-read-only")?;
            drive.format = Some(driver.clone());
            drive
        }
        other => return Err(format!("driver '{other}' is not supported, only file, host_device, raw, qcow2").into()),
    };
    drive.read_only |= keys.switch("read-only")?.unwrap_or(false);
    options(&mut keys, &mut drive)?;
    keys.done()?;
    // A node is opened as it says, whatever -snapshot says.
    add(line, name, Medium { drive, snapshot: Some(false), used: false })
}

/// An image without an option, or `-hda`: the first disk, and so on.
pub(super) fn image(line: &mut Line, file: &str) -> Result<(), Stop> {
    let id = unnamed(line);
    line.disks.push(id.clone());
    let drive = Drive::new(plain(file)?);
    add(line, id, Medium { drive, snapshot: None, used: false })
}

/// `-pflash`.
pub(super) fn pflash(line: &mut Line, file: &str) -> Result<(), Stop> {
    drive(line, &format!("if=pflash,file={}", file.replace(',', ",,")))
}

/// Gives a medium to a device.
pub(super) fn take(line: &mut Line, id: &str) -> Result<Drive, String> {
    let all = line.snapshot;
    let medium = line.media.get_mut(id).ok_or_else(|| format!("there is no drive '{id}'"))?;
    if medium.used {
        return Err(format!("Drive '{id}' is already in use by another device"));
    }
    medium.used = true;
    let mut drive = medium.drive.clone();
    drive.snapshot = medium.snapshot.unwrap_or(all);
    Ok(drive)
}
