//! Devices and backends come and go while the machine runs or stands.

use super::Vm;
use serde_json::json;
use tern_board::User;
use tern_board::config::{Chardev, DeviceConfig, Medium, Netdev, Object};
use tern_board::host::Host;
use tern_devices::model::{PropKind, Value};

/// Why a device cannot come or go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceError {
    /// There is no such device (QMP's `DeviceNotFound`).
    NotFound(String),
    /// Anything else, in one line.
    Other(String),
}

impl core::fmt::Display for DeviceError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            DeviceError::NotFound(name) => write!(f, "Device '{name}' not found"),
            DeviceError::Other(why) => f.write_str(why),
        }
    }
}

impl Vm {
    /// Adds a device.
    ///
    /// # Errors
    /// In one line.
    pub fn device_add(&mut self, config: &DeviceConfig) -> Result<(), String> {
        self.may_change()?;
        let mut host: Host = self.host.clone();
        self.board.plug(config, &mut host)
    }

    /// Asks a device, by name or path, to go; where the guest has no say in it, it is gone at once, else when the guest has
    /// let it go.
    ///
    /// # Errors
    /// There is none, or its bus does not let it go.
    pub fn device_del(&mut self, name: &str) -> Result<(), DeviceError> {
        if self.board.find(name).is_none() {
            return Err(DeviceError::NotFound(name.to_owned()));
        }
        self.may_change().map_err(DeviceError::Other)?;
        let mut host: Host = self.host.clone();
        let gone = self.board.unplug(name, &mut host).map_err(DeviceError::Other)?;
        for path in gone {
            self.device_gone(&path);
        }
        Ok(())
    }

    /// Tells that a device is gone.
    pub(super) fn device_gone(&mut self, path: &str) {
        match path.strip_prefix("/machine/peripheral/") {
            Some(id) => self.emit("DEVICE_DELETED", json!({ "device": id, "path": path })),
            None => self.emit("DEVICE_DELETED", json!({ "path": path })),
        }
    }

    /// Adds a network backend.
    ///
    /// # Errors
    /// In one line.
    pub fn netdev_add(&mut self, netdev: &Netdev) -> Result<(), String> {
        self.host.world().add_netdev(netdev)
    }

    /// Removes a network backend; a device that was plugged in hears nothing any more.
    ///
    /// # Errors
    /// There is none.
    pub fn netdev_del(&mut self, id: &str) -> Result<(), String> {
        self.may_change()?;
        self.host.world().remove_netdev(id)?;
        self.board.machine.refresh_ports();
        Ok(())
    }

    /// Pulls the cable of a network backend, or of a device that is plugged into one, or plugs it in again; the device hears
    /// of it.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn set_link(&mut self, name: &str, up: bool) -> Result<(), String> {
        self.may_change()?;
        let path = self.board.find(name).map(|p| p.path.clone());
        let port = {
            let world = self.host.world();
            let of_device = |user: &Option<User>| path.is_some() && user.as_ref().map(|u| &u.path) == path.as_ref();
            let cable = world.nets.cables().find(|(id, c)| *id == name || of_device(&c.user)).map(|(_, c)| c);
            let cable = cable.ok_or_else(|| format!("Device '{name}' not found"))?;
            cable.link().set_up(up);
            cable.user.as_ref().map(|u| u.port)
        };
        if let Some(port) = port {
            let _ = self.board.machine.with_device(port.device, |d| d.changed(port.port));
        }
        Ok(())
    }

    /// Asks the device of a drive for its medium; `force`: whatever the guest's lock says.
    ///
    /// # Errors
    /// The machine may not change.
    pub fn request_eject(&mut self, drive: &str, force: bool) -> Result<(), String> {
        self.may_change()?;
        let port = {
            let world = self.host.world();
            let Some(backend) = world.blocks.drive_of(drive) else { return Ok(()) };
            backend.request_eject(force);
            backend.user.as_ref().map(|u| u.port)
        };
        if let Some(port) = port {
            let _ = self.board.machine.with_device(port.device, |d| d.changed(port.port));
        }
        Ok(())
    }

    /// Tells switches where the machine's network devices are: a RARP request from each (RFC 903), as after a migration.
    pub fn announce(&mut self, only: &[String]) {
        let world = self.host.world();
        for p in self.board.plugged() {
            let wanted = only.is_empty() || p.config.id.as_ref().is_some_and(|id| only.contains(id));
            let find = |kind: PropKind| p.props.iter().find(|(prop, _)| prop.kind == kind).and_then(|(_, v)| v);
            let (Some(Value::Mac(mac)), Some(Value::Text(netdev))) = (find(PropKind::Mac), find(PropKind::Netdev))
            else {
                continue;
            };
            if let Some(cable) = world.nets.find(netdev).filter(|_| wanted) {
                cable.link().link().send(&rarp(mac));
            }
        }
    }

    /// Adds a character device; the name of a new pseudo-terminal, where it is one.
    ///
    /// # Errors
    /// In one line.
    pub fn chardev_add(&mut self, chardev: &Chardev) -> Result<Option<String>, String> {
        self.host.world().add_chardev(chardev)
    }

    /// Removes a character device that nobody has.
    ///
    /// # Errors
    /// There is none, or somebody has it.
    pub fn chardev_remove(&mut self, id: &str) -> Result<(), String> {
        self.host.world().chars.remove(id)
    }

    /// Makes an object.
    ///
    /// # Errors
    /// In one line.
    pub fn object_add(&mut self, object: Object) -> Result<(), String> {
        self.host.world().objects.add(object)
    }

    /// Destroys an object.
    ///
    /// # Errors
    /// There is none, or it is in use.
    pub fn object_del(&mut self, id: &str) -> Result<(), String> {
        self.host.world().objects.remove(id)
    }

    /// Opens a node (`blockdev-add`).
    ///
    /// # Errors
    /// In one line.
    pub fn blockdev_add(&mut self, medium: &Medium) -> Result<(), String> {
        self.host.world().blocks.add(medium)
    }

    /// Closes a node.
    ///
    /// # Errors
    /// There is none, or it is in use.
    pub fn blockdev_del(&mut self, node: &str) -> Result<(), String> {
        self.host.world().blocks.remove_node(node)
    }

    /// Gives the medium of a drive or node another size in bytes; its device hears of it.
    ///
    /// # Errors
    /// In one line.
    pub fn block_resize(&mut self, name: &str, size: u64) -> Result<(), String> {
        self.may_change()?;
        let port = self.host.world().blocks.resize(name, size)?;
        if let Some(port) = port {
            let _ = self.board.machine.with_device(port.device, |d| d.changed(port.port));
        }
        Ok(())
    }

    /// Puts a node into a drive, or takes out what is in it; its device hears of it.
    ///
    /// # Errors
    /// In one line.
    pub fn change_medium(&mut self, drive: &str, node: Option<&str>) -> Result<(), String> {
        self.may_change()?;
        let port = self.host.world().blocks.change(drive, node)?;
        if let Some(port) = port {
            let _ = self.board.machine.with_device(port.device, |d| d.changed(port.port));
        }
        Ok(())
    }
}

/// A request for the protocol address of the card itself, padded to an Ethernet frame's least length.
fn rarp(mac: &[u8; 6]) -> Vec<u8> {
    // Destination, source, EtherType; hardware type, protocol type, lengths, operation "request reverse".
    let mut frame = vec![0xff; 6];
    frame.extend(mac);
    frame.extend([0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]);
    for _ in 0..2 {
        frame.extend(mac);
        frame.extend([0; 4]);
    }
    frame.resize(60, 0);
    frame
}
