//! What backends have to tell of themselves, as events.

use super::Vm;
use crate::qmp::commands::net::address_of;
use crate::qmp::schema::Type as _;
use serde_json::json;
use tern_host::net::LinkEvent;

impl Vm {
    /// Makes events of what backends have to tell.
    pub fn hear(&mut self) {
        let mut host = self.host.clone();
        for path in self.board.take_ejected(&mut host) {
            self.device_gone(&path);
        }
        let links = self.host.world().nets.take_events();
        for (id, event) in links {
            match event {
                LinkEvent::Connected(address) => {
                    let data = json!({ "netdev-id": id, "addr": address_of(&address).encode() });
                    self.emit("NETDEV_STREAM_CONNECTED", data);
                }
                LinkEvent::Disconnected => self.emit("NETDEV_STREAM_DISCONNECTED", json!({ "netdev-id": id })),
            }
        }
        let trays: Vec<(String, String, bool)> = {
            let world = self.host.world();
            let moved = world.blocks.backends().iter().filter(|b| b.take_moved());
            moved
                .map(|b| (b.id.clone(), b.user.as_ref().map_or(String::new(), |u| u.path.clone()), b.tray().0))
                .collect()
        };
        for (device, path, open) in trays {
            let id = device_name(&path);
            self.emit("DEVICE_TRAY_MOVED", json!({ "device": device, "id": id, "tray-open": open }));
        }
    }
}

/// What clients call a device: its name, or where it is.
#[must_use]
pub fn device_name(path: &str) -> &str {
    path.strip_prefix("/machine/peripheral/").unwrap_or(path)
}
