//! `-chardev`, `-serial`, `-monitor`, `-qmp`, `-mon`: character devices, and monitors on them.

use super::{At, Line, Stop};
use crate::grammar::Keys;
use crate::parts;
use crate::run::{MonitorConfig, MonitorMode};
use tern_board::config::{Chardev, Setup, Spec, Tpmdev};

/// Reads the argument of `-chardev`.
///
/// # Errors
/// In one line.
pub fn read_chardev(mut keys: Keys) -> Result<Chardev, String> {
    let backend = keys.need("backend")?;
    let id = keys.need("id")?;
    let escaped = |text: String| text.replace(',', ",,");
    let options = keys.rest().into_iter().map(|(key, value)| format!(",{key}={}", escaped(value)));
    let text = backend + &options.collect::<String>();
    Ok(Chardev { id, setup: Setup::parse_chardev(&text).map_err(|e| e.to_string())? })
}

/// The kinds of character devices.
pub static BACKENDS: &[&str] =
    &["file", "memory", "null", "pipe", "pty", "ringbuf", "serial", "socket", "stdio", "udp"];

/// `-chardev`.
pub(super) fn chardev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let keys = Keys::parse(text, Some("backend"))?;
    if keys.clone().take("backend").as_deref() == Some("help") {
        let list: String = BACKENDS.iter().map(|name| format!("  {name}\n")).collect();
        return Err(Stop::Print(format!("Available chardev backend types:\n{list}")));
    }
    add(line, read_chardev(keys)?)?;
    Ok(())
}

/// `-tpmdev`.
pub(super) fn tpmdev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("type"))?;
    match keys.need("type")?.as_str() {
        "emulator" => {}
        "help" => return Err(Stop::Print("Supported TPM types (choose only one):\n    emulator\n".to_owned())),
        "passthrough" => return Err("-tpmdev passthrough is not built, only emulator".to_owned().into()),
        other => return Err(format!("Parameter 'type' does not accept value '{other}'").into()),
    }
    let (id, chardev) = (keys.need("id")?, keys.need("chardev")?);
    keys.done()?;
    if line.config.tpmdevs.iter().any(|t| t.id == id) {
        return Err(format!("Duplicate ID '{id}' for tpmdev").into());
    }
    line.config.tpmdevs.push(Tpmdev { id, chardev });
    Ok(())
}

/// The character devices of TPMs are there, whatever the order of the options.
pub(super) fn check_tpmdevs(line: &Line) -> Result<(), String> {
    let there = |t: &&Tpmdev| line.config.chardevs.iter().any(|c| c.id == t.chardev);
    match line.config.tpmdevs.iter().find(|t| !there(t)) {
        Some(Tpmdev { id, chardev }) => Err(format!("tpmdev '{id}': chardev '{chardev}' not found")),
        None => Ok(()),
    }
}

/// Adds a character device; the terminal can be had once.
fn add(line: &mut Line, chardev: Chardev) -> Result<(), String> {
    if line.config.chardevs.iter().any(|c| c.id == chardev.id) {
        return Err(format!("Duplicate ID '{}' for chardev", chardev.id));
    }
    if matches!(chardev.setup.spec, Spec::Stdio { .. }) && has_stdio(line) {
        return Err("cannot use stdio by multiple character devices".to_owned());
    }
    line.config.chardevs.push(chardev);
    Ok(())
}

/// `-gdb`.
pub(super) fn gdb(line: &mut Line, text: &str) -> Result<(), Stop> {
    const ID: &str = "gdb";
    line.config.chardevs.retain(|c| c.id != ID);
    line.run.gdb = match text {
        "none" => None,
        _ if text.starts_with("chardev:") => Some(named(line, text, ID)?),
        _ => {
            add(line, Chardev { id: ID.to_owned(), setup: crate::gdb::setup(text)? })?;
            Some(ID.to_owned())
        }
    };
    Ok(())
}

/// Has the terminal been given away?
pub(super) fn has_stdio(line: &Line) -> bool {
    line.config.chardevs.iter().any(|c| matches!(c.setup.spec, Spec::Stdio { .. }))
}

/// What `-serial`, `-monitor`, `-qmp` and `-qtest` name: a character device, made with name `id` unless it is there.
pub(super) fn named(line: &mut Line, text: &str, id: &str) -> Result<String, String> {
    if let Some(named) = text.strip_prefix("chardev:") {
        let found = line.config.chardevs.iter().find(|c| c.id == named);
        return found.map(|c| c.id.clone()).ok_or_else(|| format!("there is no chardev '{named}'"));
    }
    let setup = parts::serial(text)?;
    let mux = setup.mux;
    add(line, Chardev { id: id.to_owned(), setup })?;
    if mux {
        line.run.monitors.push(MonitorConfig { chardev: id.to_owned(), mode: MonitorMode::Readline });
    }
    Ok(id.to_owned())
}

/// `-serial`, all of them: character devices serial0, serial1, ...
pub(super) fn serials(line: &mut Line) -> Result<(), Stop> {
    for (n, At { place, value }) in core::mem::take(&mut line.serials).into_iter().enumerate() {
        line.place = place;
        let port = match value.as_str() {
            "none" => None,
            text => Some(named(line, text, &format!("serial{n}"))?),
        };
        line.config.serials.push(port);
    }
    line.place.clear();
    Ok(())
}

/// `-monitor`, `-qmp`, `-mon`.
pub(super) fn monitors(line: &mut Line) -> Result<(), Stop> {
    for (n, At { place, value: (text, mode) }) in core::mem::take(&mut line.monitors).into_iter().enumerate() {
        line.place = place;
        let config = match mode {
            Some(_) if text == "none" => continue,
            Some(mode) => MonitorConfig { chardev: named(line, &text, &format!("compat_monitor{n}"))?, mode },
            None => mon(line, &text)?,
        };
        line.run.monitors.push(config);
    }
    line.place.clear();
    Ok(())
}

/// The argument of `-mon`.
fn mon(line: &Line, text: &str) -> Result<MonitorConfig, String> {
    let mut keys = Keys::parse(text, Some("chardev"))?;
    let chardev = keys.need("chardev")?;
    let pretty = keys.switch("pretty")?.unwrap_or(false);
    let mode = match keys.take("mode").as_deref() {
        None | Some("readline") => MonitorMode::Readline,
        Some("control") => MonitorMode::Control(pretty),
        Some(other) => return Err(format!("unknown monitor mode \"{other}\"")),
    };
    keys.take("id");
    keys.done()?;
    match line.config.chardevs.iter().any(|c| c.id == chardev) {
        true => Ok(MonitorConfig { chardev, mode }),
        false => Err(format!("chardev \"{chardev}\" not found")),
    }
}
