//! Media that come and go (QEMU QMP Reference Manual, "Additional block stuff").

use super::block::removable;
use crate::qmp::command::{Class, Command, Empty, Error, commands};
use crate::qmp::events::TrayMoved;
use crate::qmp::qapi::qapi;
use crate::qmp::schema::Type as _;
use crate::vm::{Vm, device_name};
use tern_board::config::Drive;

qapi! {
    /// A drive by its name or its device's.
    struct Tray { device: Option<String>, id: Option<String>, force: Option<bool> }
    /// The same, without force.
    struct CloseTray { device: Option<String>, id: Option<String> }
    /// A drive by its device's name.
    struct DeviceId { id: String }
    /// A node for a drive.
    struct InsertMedium { id: String, node_name: String }
    /// Whether a new medium may be written.
    enum ReadOnlyMode { Retain, ReadOnly, ReadWrite }
    /// A file for a drive.
    struct ChangeMedium {
        device: Option<String>, id: Option<String>, filename: String, format: Option<String>, force: Option<bool>,
        read_only_mode: Option<ReadOnlyMode>,
    }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "eject" (Tray) -> Empty = |vm, args| {
        let name = named(args.device, args.id)?;
        open(vm, &name, args.force.unwrap_or(false))?;
        remove(vm, &name)
    };
    "blockdev-open-tray" (Tray) -> Empty = |vm, args| {
        open(vm, &named(args.device, args.id)?, args.force.unwrap_or(false))?;
        Ok(Empty {})
    };
    "blockdev-close-tray" (CloseTray) -> Empty = |vm, args| close(vm, &named(args.device, args.id)?);
    "blockdev-remove-medium" (DeviceId) -> Empty = |vm, args| remove(vm, &args.id);
    "blockdev-insert-medium" (InsertMedium) -> Empty = |vm, args| insert(vm, &args.id, &args.node_name);
    "blockdev-change-medium" (ChangeMedium) -> Empty = change;
};

pub(super) fn no_device(name: &str) -> Error {
    Error::of(Class::DeviceNotFound, format!("Device '{name}' not found"))
}

fn named(device: Option<String>, id: Option<String>) -> Result<String, Error> {
    match (device, id) {
        (Some(name), None) | (None, Some(name)) => Ok(name),
        _ => Err(Error::new("Need exactly one of 'device' and 'id'")),
    }
}

/// What a drive is like.
struct Look {
    removable: bool,
    has_tray: bool,
    open: bool,
    locked: bool,
    node: Option<String>,
    id: String,
    path: String,
}

fn look(vm: &Vm, name: &str) -> Result<Look, Error> {
    let world = vm.host.world();
    let backend = world.blocks.drive_of(name).ok_or_else(|| no_device(name))?;
    let (removable, has_tray) = removable(vm, backend);
    let (open, locked) = backend.tray();
    let path = backend.user.as_ref().map_or(String::new(), |u| u.path.clone());
    Ok(Look { removable, has_tray, open, locked, node: backend.node.clone(), id: backend.id.clone(), path })
}

fn move_tray(vm: &mut Vm, name: &str, look: &Look, open: bool) {
    if let Some(backend) = vm.host.world().blocks.drive_of(name) {
        backend.set_tray(open);
    }
    let moved = TrayMoved { device: look.id.clone(), id: device_name(&look.path).to_owned(), tray_open: open };
    vm.emit("DEVICE_TRAY_MOVED", moved.encode());
}

fn open(vm: &mut Vm, name: &str, force: bool) -> Result<(), Error> {
    let look = look(vm, name)?;
    if !look.removable {
        return Err(Error::new(format!("Device '{name}' is not removable")));
    }
    if look.locked {
        // The guest may let it go.
        vm.request_eject(name, force)?;
    }
    if look.locked && !force {
        let hint = "Device is locked and force was not specified, wait for tray to open and try again";
        return Err(Error::new(format!("Device '{name}' is locked: {hint}")));
    }
    if look.has_tray && !look.open {
        move_tray(vm, name, &look, true);
    }
    Ok(())
}

fn close(vm: &mut Vm, name: &str) -> Result<Empty, Error> {
    let look = look(vm, name)?;
    if !look.removable {
        return Err(Error::new(format!("Device '{name}' is not removable")));
    }
    if look.has_tray && look.open {
        move_tray(vm, name, &look, false);
    }
    Ok(Empty {})
}

fn remove(vm: &mut Vm, name: &str) -> Result<Empty, Error> {
    let look = look(vm, name)?;
    if !look.removable {
        return Err(Error::new(format!("Device '{name}' is not removable")));
    }
    if look.has_tray && !look.open {
        return Err(Error::new(format!("Tray of device '{name}' is not open")));
    }
    if look.node.is_some() {
        vm.change_medium(name, None)?;
        // Nodes that nobody named go with the medium.
        if let Some(node) = look.node.filter(|n| n.starts_with('#')) {
            vm.blockdev_del(&node)?;
        }
    }
    Ok(Empty {})
}

fn insert(vm: &mut Vm, name: &str, node: &str) -> Result<Empty, Error> {
    if vm.host.world().blocks.node(node).is_none() {
        return Err(Error::new(format!("Node '{node}' not found")));
    }
    let look = look(vm, name)?;
    if !look.removable {
        return Err(Error::new(format!("Device '{name}' is not removable")));
    }
    if look.has_tray && !look.open {
        return Err(Error::new(format!("Tray of device '{name}' is not open")));
    }
    if look.node.is_some() {
        return Err(Error::new(format!("There already is a medium in device '{name}'")));
    }
    vm.change_medium(name, Some(node))?;
    Ok(Empty {})
}

fn change(vm: &mut Vm, args: ChangeMedium) -> Result<Empty, Error> {
    let name = named(args.device, args.id)?;
    let was = look(vm, &name)?;
    let before = was.node.as_deref().and_then(|n| Some(vm.host.world().blocks.node(n)?.drive.read_only));
    let mut drive = Drive::new(args.filename);
    drive.format = args.format;
    drive.read_only = match args.read_only_mode.unwrap_or(ReadOnlyMode::Retain) {
        ReadOnlyMode::Retain => before.unwrap_or(was.has_tray),
        ReadOnlyMode::ReadOnly => true,
        ReadOnlyMode::ReadWrite => false,
    };
    // The new medium is opened before the old one goes.
    let node = vm.host.world().blocks.add_node("", &drive)?;
    let mut go = || {
        open(vm, &name, args.force.unwrap_or(false))?;
        remove(vm, &name)?;
        insert(vm, &name, &node)?;
        close(vm, &name)
    };
    let result = go();
    if result.is_err() {
        vm.blockdev_del(&node)?;
    }
    result
}
