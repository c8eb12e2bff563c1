//! `-chardev`, `-serial`, `-monitor`: character devices.

use super::{Line, Named, Stop};
use crate::grammar::Keys;
use crate::parts;
use tern_board::config::Char;

/// `-chardev`.
pub(super) fn chardev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("backend"))?;
    let backend = keys.need("backend")?;
    if backend == "help" {
        return Err(Stop::Print(
            "Available chardev backend types:\n  file\n  null\n  pty\n  socket\n  stdio\n".to_owned(),
        ));
    }
    let id = keys.need("id")?;
    // Nothing else shares a character device, so there is nothing to switch between.
    let mux = keys.switch("mux")?.unwrap_or(false);
    if keys.take("logfile").is_some() {
        return Err("logfile= is not supported".to_owned().into());
    }
    let what = match backend.as_str() {
        "null" => Char::Null,
        "stdio" => {
            keys.switch("signal")?;
            Char::Stdio(mux)
        }
        "file" => {
            keys.fixed("append", &["off"])?;
            Char::File(keys.need("path")?.into())
        }
        "pty" => Char::Other("pty".to_owned()),
        "socket" => socket(&mut keys)?,
        other => {
            return Err(format!(
                "'{other}' is not supported as a character device, only file, null, pty, socket, stdio"
            )
            .into());
        }
    };
    keys.done()?;
    if line.chardevs.contains_key(&id) {
        return Err(format!("Duplicate ID '{id}' for chardev").into());
    }
    line.chardevs.insert(id, Named { what, used: false });
    Ok(())
}

/// A socket as `-serial` spells it.
fn socket(keys: &mut Keys) -> Result<Char, String> {
    keys.fixed("telnet", &["off"])?;
    keys.fixed("websocket", &["off"])?;
    keys.fixed("reconnect", &["0"])?;
    let mut tail = String::new();
    for key in ["server", "wait", "nodelay"] {
        if let Some(on) = keys.switch(key)? {
            tail += &format!(",{key}={}", if on { "on" } else { "off" });
        }
    }
    let escaped = |s: String| s.replace(',', ",,");
    let head = match keys.take("path") {
        Some(path) => format!("unix:{}", escaped(path)),
        None => format!("tcp:{}:{}", escaped(keys.take("host").unwrap_or_default()), escaped(keys.need("port")?)),
    };
    Ok(Char::Other(head + &tail))
}

/// `-serial` in its place: what stands behind a port.
pub(super) fn serial(line: &mut Line, text: &str) -> Result<Char, String> {
    if let Some(id) = text.strip_prefix("chardev:") {
        return take(line, id);
    }
    match parts::serial(text)? {
        Char::Stdio(mux) => stdio(line, mux),
        other => Ok(other),
    }
}

/// The terminal, once.
fn stdio(line: &mut Line, mux: bool) -> Result<Char, String> {
    if line.stdio {
        return Err("cannot use stdio by multiple character devices".to_owned());
    }
    line.stdio = true;
    Ok(Char::Stdio(mux))
}

/// Gives a character device to a device.
pub(super) fn take(line: &mut Line, id: &str) -> Result<Char, String> {
    let named = line.chardevs.get_mut(id).ok_or_else(|| format!("there is no chardev '{id}'"))?;
    if core::mem::replace(&mut named.used, true) {
        return Err(format!("chardev '{id}' is already in use"));
    }
    match named.what.clone() {
        Char::Stdio(mux) => stdio(line, mux),
        other => Ok(other),
    }
}

/// `-monitor`.
pub(super) fn monitor(_: &mut Line, text: &str) -> Result<(), Stop> {
    match text {
        "none" | "null" => Ok(()),
        _ => Err("the monitor is not built yet, only none is taken".to_owned().into()),
    }
}
