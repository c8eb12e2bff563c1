//! What backends have to tell of themselves, as events.

use super::Vm;
use serde_json::{Value, json};
use tern_host::net::{Address, LinkEvent};

impl Vm {
    /// Makes events of what backends have to tell.
    pub fn hear(&mut self) {
        let links = self.host.world().nets.take_events();
        for (id, event) in links {
            match event {
                LinkEvent::Connected(address) => {
                    let data = json!({ "netdev-id": id, "addr": socket_address(&address) });
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
            let id = path.rsplit('/').next().unwrap_or_default();
            self.emit("DEVICE_TRAY_MOVED", json!({ "device": device, "id": id, "tray-open": open }));
        }
    }
}

/// An address as QMP's `SocketAddress`.
fn socket_address(address: &Address) -> Value {
    match address {
        Address::Inet(inet) => json!({ "type": "inet", "host": inet.host, "port": inet.port.to_string() }),
        Address::Unix { path, abstract_name: false, .. } => json!({ "type": "unix", "path": path.to_string_lossy() }),
        Address::Unix { path, tight, .. } => {
            json!({ "type": "unix", "path": path.to_string_lossy(), "abstract": true, "tight": tight })
        }
        Address::Fd(text) => json!({ "type": "fd", "str": text }),
    }
}
