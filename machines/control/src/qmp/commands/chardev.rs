//! Character devices (QEMU QMP Reference Manual, "Character devices").

use super::net::Id;
use crate::grammar::Keys;
use crate::qemu::chars::{BACKENDS, read_chardev};
use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value};
use tern_board::config::Chardev;
use tern_host::chardev::Handle;

qapi! {
    /// A character device.
    struct ChardevInfo { label: String, filename: String, frontend_open: bool }
    /// A kind of character devices.
    struct BackendInfo { name: String }
    /// What a kind takes; it is looked at where the device is made.
    open Backend { r#type: String }
    /// A character device to be made or changed.
    struct ChardevAdd { id: String, backend: Backend }
    /// A pseudoterminal.
    struct ChardevReturn { pty: Option<String> }
    /// How bytes are written.
    enum DataFormat { Utf8, Base64 }
    /// Bytes for a ring buffer.
    struct RingWrite { device: String, data: String, format: Option<DataFormat> }
    /// How many bytes of a ring buffer.
    struct RingRead { device: String, size: i64, format: Option<DataFormat> }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-chardev" [preconfig] (Empty) -> Vec<ChardevInfo> = |vm, _| {
        let world = vm.host.world();
        let nodes = world.chars.nodes();
        let one = |label: &str, filename: &str, frontend_open| ChardevInfo {
            label: label.to_owned(),
            filename: filename.to_owned(),
            frontend_open,
        };
        Ok(nodes.map(|(id, node)| one(id, &node.shown(), node.is_used())).collect())
    };
    "query-chardev-backends" (Empty) -> Vec<BackendInfo> = |_, _| {
        Ok(BACKENDS.iter().map(|name| BackendInfo { name: (*name).to_owned() }).collect())
    };
    "chardev-add" (ChardevAdd) -> ChardevReturn = |vm, args| {
        if vm.host.world().chars.nodes().any(|(id, _)| id == args.id) {
            return Err(Error::new(format!("Chardev with id '{}' already exists", args.id)));
        }
        add(vm, &read(args)?)
    };
    "chardev-change" (ChardevAdd) -> ChardevReturn = change;
    "chardev-remove" (Id) -> Empty = |vm, args| {
        vm.chardev_remove(&args.id)?;
        Ok(Empty {})
    };
    "chardev-send-break" (Id) -> Empty = |vm, args| match vm.host.world().chars.find(&args.id) {
        Some(node) => {
            node.handle().send_break();
            Ok(Empty {})
        }
        None => Err(Error::new(format!("Chardev '{}' not found", args.id))),
    };
    "ringbuf-write" (RingWrite) -> Empty = |vm, args| {
        let data = match args.format {
            Some(DataFormat::Base64) => {
                BASE64_STANDARD.decode(&args.data).map_err(|e| Error::new(format!("Parameter 'data': {e}")))?
            }
            _ => args.data.into_bytes(),
        };
        match ring(vm, &args.device)?.ring_write(&data) {
            true => Ok(Empty {}),
            false => Err(no_ring(&args.device)),
        }
    };
    "ringbuf-read" (RingRead) -> String = |vm, args| {
        let size = usize::try_from(args.size).ok().filter(|n| *n > 0);
        let size = size.ok_or_else(|| Error::new("size must be greater than zero"))?;
        let bytes = ring(vm, &args.device)?.ring_read(size).ok_or_else(|| no_ring(&args.device))?;
        Ok(match args.format {
            Some(DataFormat::Base64) => BASE64_STANDARD.encode(&bytes),
            // What is no text is told as what it is not.
            _ => String::from_utf8_lossy(&bytes).into_owned(),
        })
    };
};

fn ring(vm: &Vm, device: &str) -> Result<Handle, Error> {
    let world = vm.host.world();
    let node = world.chars.find(device).ok_or_else(|| Error::new(format!("Device '{device}' not found")))?;
    Ok(node.handle().clone())
}

fn no_ring(device: &str) -> Error {
    Error::new(format!("{device} is not a ringbuf device"))
}

fn add(vm: &mut Vm, chardev: &Chardev) -> Result<ChardevReturn, Error> {
    let note = vm.chardev_add(chardev)?;
    // What the user is told of a pseudo-terminal ends in its name.
    let pty = note.and_then(|note| note.split_whitespace().find(|w| w.starts_with("/dev/")).map(str::to_owned));
    Ok(ChardevReturn { pty })
}

fn change(vm: &mut Vm, args: ChardevAdd) -> Result<ChardevReturn, Error> {
    let used = vm.host.world().chars.nodes().find(|(id, _)| *id == args.id).map(|(_, node)| node.is_used());
    match used {
        None => Err(Error::new(format!("Chardev '{}' does not exist", args.id))),
        Some(true) => Err(Error::new("Chardev user does not support chardev hotswap")),
        Some(false) => {
            let chardev = read(args)?;
            vm.chardev_remove(&chardev.id)?;
            add(vm, &chardev)
        }
    }
}

/// As the command line has it: there, addresses are beside the other options, and paths have other names.
fn read(args: ChardevAdd) -> Result<Chardev, Error> {
    let mut rest = args.backend.rest;
    let mut data = match rest.remove("data") {
        None => Map::new(),
        Some(Value::Object(data)) => data,
        Some(_) => return Err(Error::new("Invalid parameter type for 'backend.data', expected: object")),
    };
    if let Some(key) = rest.keys().next() {
        return Err(Error::new(format!("Parameter 'backend.{key}' is unexpected")));
    }
    let kind = args.backend.r#type;
    if kind == "file"
        && let Some(path) = data.remove("out")
    {
        data.insert("path".to_owned(), path);
    }
    if kind == "socket" {
        // A server unless it says otherwise, and one that does not wait.
        let server = data.get("server").and_then(Value::as_bool).unwrap_or(true);
        data.insert("server".to_owned(), Value::Bool(server));
        if server {
            data.entry("wait").or_insert(Value::Bool(false));
        }
        match data.remove("addr") {
            Some(Value::Object(mut addr)) => {
                let kind = addr.remove("type");
                let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                if let Some(Value::Object(inner)) = addr.remove("data") {
                    addr = inner;
                }
                match kind.as_str() {
                    "inet" | "unix" => data.extend(addr),
                    "fd" => data.extend(addr.remove("str").map(|fd| ("fd".to_owned(), fd))),
                    other => return Err(Error::new(format!("addresses of type '{other}' are not supported"))),
                }
            }
            _ => return Err(Error::new("Parameter 'backend.data.addr' is missing")),
        }
    }
    data.insert("backend".to_owned(), Value::String(kind));
    data.insert("id".to_owned(), Value::String(args.id));
    Ok(read_chardev(Keys::of(data)?)?)
}
