//! Media and drives.

use super::{Args, Result, quiet};
use crate::qemu::block::read_drive;
use crate::vm::Vm;
use serde_json::json;
use std::fmt::Write as _;
use tern_board::config::{Content, Drive};

/// `drive_add`: a drive for a device that comes later.
pub(super) fn drive_add(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let options = args.words.iter().find(|w| w.contains('=')).ok_or_else(|| "options are missing".to_owned())?;
    if options.split(',').any(|part| part == "format=help") {
        return Ok("Supported formats: null-co qcow2 raw\n".to_owned());
    }
    let n = vm.host.world().blocks.backends().len();
    let wanted = read_drive(options, n)?;
    if wanted.interface != "none" {
        return Err(format!("if={} is not supported here, only none", wanted.interface));
    }
    vm.blockdev_add(&wanted.medium).map(|()| "OK\n".to_owned())
}

pub(super) fn drive_del(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let id = args.need(0, "a drive")?.to_owned();
    vm.host.world().blocks.remove(&id).map(|()| String::new())
}

pub(super) fn eject(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let force = args.words.iter().any(|w| w == "-f");
    let name = args.words.iter().find(|w| !w.starts_with('-')).ok_or_else(|| "a device is missing".to_owned())?;
    quiet(vm, "eject", json!({ "device": name, "force": force }))
}

/// `change`: another medium.
pub(super) fn change(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let words: Vec<&String> = args.words.iter().filter(|w| *w != "-f").collect();
    let (Some(name), Some(file)) = (words.first(), words.get(1)) else {
        return Err("a device and a file are wanted".to_owned());
    };
    let mut drive = Drive::new(file.as_str());
    drive.format = words.get(2).map(|f| (*f).clone());
    drive.read_only = words.get(3).is_some_and(|mode| *mode == "read-only");
    let node = vm.host.world().blocks.add_node("", &drive)?;
    vm.change_medium(name, None)?;
    vm.change_medium(name, Some(&node)).map(|()| String::new())
}

pub(super) fn block_resize(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let (name, text) = (args.need(0, "a device")?.to_owned(), args.need(1, "a size")?);
    let size = tern_core::text::size(text, 20).ok_or_else(|| format!("'{text}' is no size"))?;
    vm.block_resize(&name, size).map(|()| String::new())
}

/// `commit`: only drives with `snapshot=on` hold anything back, and that is lost in the end.
pub(super) fn commit(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let name = args.need(0, "a device or all")?;
    let world = vm.host.world();
    if name != "all" && world.blocks.find(name).is_none() {
        return Err(format!("Device '{name}' not found"));
    }
    let held = world.blocks.nodes().any(|(_, n)| n.drive.snapshot);
    if held {
        Err("what drives with snapshot=on hold back cannot be committed yet".to_owned())
    } else {
        Ok(String::new())
    }
}

fn content(drive: &Drive) -> String {
    match &drive.content {
        Content::File(path) => path.display().to_string(),
        Content::Null(_) => "null-co://".to_owned(),
    }
}

/// `info block`.
pub(super) fn block(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let world = vm.host.world();
    let mut out = String::new();
    for backend in world.blocks.backends() {
        let name = if backend.id.is_empty() { backend.user.as_ref().map_or("", |u| &u.path) } else { &backend.id };
        let node = backend.node.as_deref().and_then(|n| world.blocks.node(n).map(|node| (n, node)));
        // Writing to a string cannot fail.
        let _ = match node {
            None => writeln!(out, "{name}: [not inserted]"),
            Some((n, node)) => {
                let read_only = if node.drive.read_only { ", read-only" } else { "" };
                writeln!(out, "{name} ({n}): {} ({}{read_only})", content(&node.drive), node.driver())
            }
        };
        if let Some(user) = &backend.user {
            let _ = writeln!(out, "    Attached to:      {}", user.path);
        }
        let (open, locked) = backend.tray();
        if open || locked {
            let _ = writeln!(
                out,
                "    Removable device: {}, tray {}",
                if locked { "locked" } else { "not locked" },
                if open { "open" } else { "closed" }
            );
        }
        let cache = node.and_then(|(_, n)| n.drive.cache.clone()).unwrap_or_else(|| "writeback".to_owned());
        let _ = writeln!(out, "    Cache mode:       {cache}");
    }
    Ok(out)
}

/// `info blockstats`.
pub(super) fn blockstats(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let world = vm.host.world();
    let mut out = String::new();
    for backend in world.blocks.backends() {
        let name = if backend.id.is_empty() { backend.user.as_ref().map_or("", |u| &u.path) } else { &backend.id };
        let c = backend.counts();
        let _ = writeln!(
            out,
            "{name}: rd_bytes={} wr_bytes={} rd_operations={} wr_operations={} flush_operations={} unmap_bytes={} unmap_operations={} failed_operations={}",
            c.read_bytes, c.write_bytes, c.reads, c.writes, c.flushes, c.discard_bytes, c.discards, c.failed
        );
    }
    Ok(out)
}
