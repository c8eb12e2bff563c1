//! Networks (QEMU QMP Reference Manual, "Net devices").

use super::keys;
use crate::qemu::net::read_netdev;
use crate::qmp::command::{Class, Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;
use tern_host::net::Address;

qapi! {
    /// An address of the internet.
    struct InetAddress {
        host: String, port: String, numeric: Option<bool>, to: Option<u16>, ipv4: Option<bool>, ipv6: Option<bool>,
        keep_alive: Option<bool>,
    }
    /// A path of the file system.
    struct UnixAddress { path: String, r#abstract: Option<bool>, tight: Option<bool> }
    /// An address between machines and their host.
    struct VsockAddress { cid: String, port: String }
    /// An open descriptor.
    struct FdAddress { str: String }
    /// An address of a socket.
    union SocketAddress {
        ; by "type" as SocketAddressKind;
        Inet(InetAddress), Unix(UnixAddress), Vsock(VsockAddress), Fd(FdAddress),
    }
    /// A link up or down.
    struct SetLink { name: String, up: bool }
    /// A network backend; what it takes is looked at where it is made.
    open Netdev { id: String, r#type: String }
    /// Something by its name.
    struct Id { id: String }
    /// Of which device.
    struct FilterArgs { name: Option<String> }
    /// What frames a filter lets through.
    enum FilterState { Normal, None, All }
    /// The receive filter of a network device.
    struct RxFilter {
        name: String, promiscuous: bool, multicast: FilterState, unicast: FilterState, vlan: FilterState,
        broadcast_allowed: bool, multicast_overflow: bool, unicast_overflow: bool, main_mac: String,
        vlan_table: Vec<i64>, unicast_table: Vec<String>, multicast_table: Vec<String>,
    }
    /// How a network is told where its devices are, in milliseconds.
    struct Announce {
        initial: i64, max: i64, rounds: i64, step: i64, interfaces: Option<Vec<String>>, id: Option<String>,
    }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "netdev_add" [preconfig] (Netdev) -> Empty = |vm, args| {
        let netdev = read_netdev(keys(args.rest, &[("type", Some(&args.r#type)), ("id", Some(&args.id))])?)?;
        vm.netdev_add(&netdev)?;
        Ok(Empty {})
    };
    "netdev_del" [preconfig] (Id) -> Empty = |vm, args| {
        if vm.host.world().nets.find(&args.id).is_none() {
            return Err(no_device(&args.id));
        }
        vm.netdev_del(&args.id)?;
        Ok(Empty {})
    };
    "set_link" (SetLink) -> Empty = |vm, args| {
        vm.set_link(&args.name, args.up).map_err(|_| no_device(&args.name))?;
        Ok(Empty {})
    };
    "query-rx-filter" (FilterArgs) -> Vec<RxFilter> = |vm, args| match args.name {
        None => Ok(Vec::new()),
        Some(name) if is_client(vm, &name) => {
            Err(Error::new(format!("net client({name}) doesn't support rx-filter querying")))
        }
        Some(name) => Err(Error::new(format!("invalid net client name: {name}"))),
    };
    "announce-self" (Announce) -> Empty = |vm, args| {
        vm.announce(&args.interfaces.unwrap_or_default());
        Ok(Empty {})
    };
};

fn no_device(name: &str) -> Error {
    Error::of(Class::DeviceNotFound, format!("Device '{name}' not found"))
}

/// Is it a network backend, or a device that is plugged into one?
fn is_client(vm: &Vm, name: &str) -> bool {
    let world = vm.host.world();
    let path = vm.board.find(name).map(|p| p.path.as_str());
    world.nets.find(name).is_some()
        || path.is_some() && world.nets.cables().any(|(_, c)| c.user.as_ref().map(|u| u.path.as_str()) == path)
}

/// An address as clients see it.
#[must_use]
pub fn address_of(address: &Address) -> SocketAddress {
    let kind = match address {
        Address::Inet(inet) => {
            let six = inet.host.contains(':');
            SocketAddressKind::Inet(InetAddress {
                host: inet.host.clone(),
                port: inet.port.to_string(),
                numeric: None,
                to: None,
                ipv4: (!six).then_some(true),
                ipv6: six.then_some(true),
                keep_alive: None,
            })
        }
        Address::Unix { path, abstract_name, tight } => SocketAddressKind::Unix(UnixAddress {
            path: path.display().to_string(),
            r#abstract: abstract_name.then_some(true),
            tight: abstract_name.then_some(*tight),
        }),
        Address::Fd(text) => SocketAddressKind::Fd(FdAddress { str: text.clone() }),
    };
    SocketAddress { kind }
}
