//! `-drive`, `-blockdev` and what means the same: media of disks.

use super::{Line, Stop};
use crate::grammar::{Keys, size};
use tern_board::config::{Content, Drive, Medium};
use tern_host::image::{self, Cache, Format};

/// What `-drive` says.
pub struct Wanted {
    /// The medium.
    pub medium: Medium,
    /// `if=`.
    pub interface: String,
    /// The bank of a flash.
    bank: Option<usize>,
    /// Was `snapshot=` given?
    settled: bool,
}

/// Reads the argument of `-drive`; `n` counts drives without a name.
///
/// # Errors
/// In one line.
pub fn read_drive(text: &str, n: usize) -> Result<Wanted, String> {
    let mut keys = Keys::parse(text, None)?;
    let interface = keys.take("if").unwrap_or_else(|| "virtio".to_owned());
    let bank = keys.number::<usize>("index")?;
    let bank = keys.number::<usize>("unit")?.or(bank);
    let cdrom = match keys.take("media").as_deref() {
        None | Some("disk") => false,
        Some("cdrom") => true,
        Some(_) => return Err("'media' invalid".to_owned()),
    };
    let id = keys.take("id").unwrap_or_else(|| format!("{interface}{n}"));
    let node = keys.take("node-name").unwrap_or_default();
    let snapshot = keys.switch("snapshot")?;
    let mut drive = contents(&mut keys)?;
    keys.done()?;
    if let Some(drive) = &mut drive {
        drive.read_only |= cdrom;
        drive.snapshot = snapshot.unwrap_or(false);
    }
    Ok(Wanted { medium: Medium { id, node, drive }, interface, bank, settled: snapshot.is_some() })
}

/// `-drive`.
pub(super) fn drive(line: &mut Line, text: &str) -> Result<(), Stop> {
    if text.split(',').any(|part| part == "format=help") {
        return Err(Stop::Print("Supported formats: null-co qcow2 raw\n".to_owned()));
    }
    let wanted = read_drive(text, line.config.drives.len())?;
    let id = wanted.medium.id.clone();
    if wanted.settled {
        line.settled.push(id.clone());
    }
    add(line, wanted.medium)?;
    match wanted.interface.as_str() {
        "none" => Ok(()),
        "virtio" => {
            line.disks.push(id);
            Ok(())
        }
        "pflash" => {
            let free = line.config.flash.iter().position(Option::is_none);
            let bank = wanted.bank.or(free);
            let bank = bank.filter(|n| line.config.flash.get(*n).is_some_and(Option::is_none));
            let bank = bank.ok_or_else(|| "there is no such flash bank, or it is taken".to_owned())?;
            line.config.flash[bank] = Some(id);
            Ok(())
        }
        other => Err(format!("machine type does not support if={other}").into()),
    }
}

/// A name for a drive that has none.
fn unnamed(line: &Line) -> String {
    format!("virtio{}", line.config.drives.len())
}

fn add(line: &mut Line, medium: Medium) -> Result<(), Stop> {
    let drives = &line.config.drives;
    if !medium.id.is_empty() && drives.iter().any(|m| m.id == medium.id) {
        return Err(format!("Duplicate ID '{}' for drive", medium.id).into());
    }
    if !medium.node.is_empty() && drives.iter().any(|m| m.node == medium.node || m.id == medium.node) {
        return Err(format!("Duplicate nodes with node-name='{}'", medium.node).into());
    }
    line.config.drives.push(medium);
    Ok(())
}

/// The image and how it is opened, as far as `-drive` says it; `None`: there is no medium.
fn contents(keys: &mut Keys) -> Result<Option<Drive>, String> {
    let format = keys.take("format").or(keys.take("driver"));
    let below = keys.take("file.driver");
    let file = keys.take("file.filename").or(keys.take("file"));
    let null = |name: Option<&str>| matches!(name, Some("null-co" | "null-aio"));
    let mut drive = if null(format.as_deref()) || null(below.as_deref()) {
        null_drive(keys)?
    } else {
        if below.as_deref().is_some_and(|d| !["file", "host_device"].contains(&d)) {
            return Err(format!("driver '{}' is not supported", below.unwrap_or_default()));
        }
        let Some(file) = file else {
            if format.is_some() {
                return Err("Parameter 'file' is missing".to_owned());
            }
            options(keys, &mut Drive::of(Content::Null(0)))?;
            return Ok(None);
        };
        // Without rules it is its image.
        let faultless = file.strip_prefix("blkdebug::");
        if faultless.is_some() {
            keys.take("file.align");
            keys.switch("file.image.read-zeroes")?;
        }
        match faultless.unwrap_or(&file).strip_prefix("null-co://") {
            Some(_) => null_drive(keys)?,
            None => {
                let mut drive = Drive::new(plain(&file)?);
                drive.format = format.map(|name| format_named(&name)).transpose()?;
                drive
            }
        }
    };
    let read_only = keys.switch("read-only")?;
    drive.read_only |= keys.switch("readonly")?.or(read_only).unwrap_or(false);
    options(keys, &mut drive)?;
    if let Some(name) = keys.take("cache") {
        Cache::by_name(&name).ok_or_else(|| format!("invalid cache mode '{name}'"))?;
        drive.cache = Some(name);
    }
    Ok(Some(drive))
}

/// Size of a null drive that nobody gives one.
const NULL_SIZE: u64 = 1 << 30;

/// `null-co`: reads are zeros whether that is asked for or not.
fn null_drive(keys: &mut Keys) -> Result<Drive, String> {
    let read = |text: Option<String>| match text {
        None => Ok(None),
        Some(text) => size(&text, 0).map(Some).ok_or_else(|| "Parameter 'size' expects a size".to_owned()),
    };
    let bytes = read(keys.take("size"))?.or(read(keys.take("file.size"))?);
    for key in ["read-zeroes", "file.read-zeroes"] {
        keys.switch(key)?;
    }
    for key in ["latency-ns", "file.latency-ns"] {
        keys.fixed(key, &["0"])?;
    }
    Ok(Drive::of(Content::Null(bytes.unwrap_or(NULL_SIZE))))
}

fn format_named(name: &str) -> Result<String, String> {
    Format::by_name(name).map(|f| f.name().to_owned()).ok_or_else(|| format!("format '{name}' is not supported"))
}

/// A name in the file system: other protocols have none.
fn plain(file: &str) -> Result<String, String> {
    let file = file.strip_prefix("file:").unwrap_or(file);
    let protocol = file.split_once(':').map(|(p, _)| p).filter(|p| {
        ["nbd", "http", "https", "ftp", "ssh", "json", "iscsi", "rbd", "nfs", "fat", "nvme", "gluster", "blkdebug"]
            .contains(p)
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
    if keys.switch("auto-read-only")?.unwrap_or(false) {
        read_only_if_it_must(drive);
    }
    keys.fixed("locking", &["auto", "on"])?;
    keys.fixed("werror", &["report", "enospc"])?;
    keys.fixed("rerror", &["report"])?;
    cache(keys, drive)
}

/// `auto-read-only`: what cannot be written to is only read.
fn read_only_if_it_must(drive: &mut Drive) {
    if let Content::File(path) = &drive.content {
        drive.read_only |= image::denies_writing(path);
    }
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

/// Reads the description of a node; one of a format has its file as another node of `nodes` or as options of its own.
///
/// # Errors
/// In one line.
pub fn read_node(mut keys: Keys, nodes: &dyn Fn(&str) -> Option<Drive>) -> Result<Medium, String> {
    let driver = keys.need("driver")?;
    let name = keys.take("node-name").unwrap_or_default();
    let mut drive = match driver.as_str() {
        "file" | "host_device" => {
            let mut drive = Drive::new(plain(&keys.need("filename")?)?);
            drive.format = Some("raw".to_owned());
            drive
        }
        "null-co" | "null-aio" => null_drive(&mut keys)?,
        "raw" | "qcow2" => {
            let mut drive = match keys.take("file") {
                Some(node) => {
                    let below = nodes(&node);
                    let below = below.ok_or_else(|| format!("Cannot find device='' nor node-name='{node}'"))?;
                    Drive { over: Some(node), ..below }
                }
                None => {
                    keys.fixed("file.driver", &["file", "host_device"])?;
                    let mut drive = Drive::new(plain(&keys.need("file.filename")?)?);
                    drive.read_only = keys.switch("file.read-only")?.unwrap_or(false);
                    drive
                }
            };
            if let Some(node) = keys.take("backing").filter(|node| !node.is_empty()) {
                // What the image does not hold reads as zeros in any case.
                let below = nodes(&node).ok_or_else(|| format!("Cannot find device='' nor node-name='{node}'"))?;
                if !matches!(below.content, Content::Null(_)) {
                    return Err("backing=NODE is not supported, only the backing file that the image names".to_owned());
                }
            }
            keys.take("file.node-name");
            keys.fixed("file.locking", &["auto", "on"])?;
            if keys.switch("file.auto-read-only")?.unwrap_or(false) {
                read_only_if_it_must(&mut drive);
            }
            if matches!(drive.content, Content::File(_)) {
                drive.format = Some(driver.clone());
            }
            drive
        }
        other => {
            return Err(format!("driver '{other}' is not supported, only file, host_device, null-co, raw, qcow2"));
        }
    };
    drive.read_only |= keys.switch("read-only")?.unwrap_or(false);
    options(&mut keys, &mut drive)?;
    keys.done()?;
    Ok(Medium { id: String::new(), node: name, drive: Some(drive) })
}

/// `-blockdev`.
pub(super) fn blockdev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let keys = Keys::parse(text, Some("driver"))?;
    let below = |name: &str| line.config.drives.iter().find(|m| m.node == name).and_then(|m| m.drive.clone());
    let medium = read_node(keys, &below)?;
    if medium.node.is_empty() {
        return Err("'node-name' must be specified for the root node".to_owned().into());
    }
    // A node is opened as it says, whatever -snapshot says.
    add(line, medium)
}

/// An image without an option, or `-hda`: the first disk, and so on.
pub(super) fn image(line: &mut Line, file: &str) -> Result<(), Stop> {
    let id = unnamed(line);
    line.disks.push(id.clone());
    add(line, Medium { id, node: String::new(), drive: Some(Drive::new(plain(file)?)) })
}

/// `-pflash`.
pub(super) fn pflash(line: &mut Line, file: &str) -> Result<(), Stop> {
    drive(line, &format!("if=pflash,file={}", file.replace(',', ",,")))
}
