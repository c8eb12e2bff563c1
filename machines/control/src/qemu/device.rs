//! `-device`: what the models' rows say, as text; and devices as an option names them.

use super::{Line, Stop};
use crate::grammar::Keys;
use std::fmt::Write as _;
use tern_board::config::DeviceConfig;
use tern_devices::model::{self, Prop, PropKind, Type, Via};

/// Reads the argument of `-device` or `device_add`.
///
/// # Errors
/// In one line.
pub fn read(mut keys: Keys) -> Result<DeviceConfig, String> {
    let driver = keys.need("driver")?;
    let (id, bus) = (keys.take("id"), keys.take("bus"));
    Ok(DeviceConfig { driver, id, bus, props: keys.rest() })
}

/// `-device`: read now, added when all that it may refer to is known.
pub(super) fn device(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("driver"))?;
    let mut look = keys.clone();
    let driver = look.take("driver").ok_or_else(|| "Parameter 'driver' is missing".to_owned())?;
    if driver == "help" || driver == "?" {
        return Err(Stop::Print(list()));
    }
    let kind = find(&driver)?;
    if look.take("help").is_some() || look.take("?").is_some() {
        return Err(Stop::Print(help(&kind)));
    }
    let id = look.take("id");
    let taken = |d: &DeviceConfig| id.is_some() && d.id == id;
    if line.devices.iter().any(|d| taken(&d.value)) {
        return Err(format!("Duplicate device ID '{}'", id.unwrap_or_default()).into());
    }
    // What does not depend on others can be looked at now.
    look.take("bus");
    for (name, text) in core::mem::take(&mut look).rest() {
        let prop = kind.props().find(|p| p.name == name);
        prop.ok_or_else(|| format!("Property '{}.{name}' not found", kind.name()))?.parse(&text)?;
    }
    let device = read(core::mem::take(&mut keys))?;
    line.devices.push(line.here(device));
    Ok(())
}

/// The type with this name.
pub(super) fn find(driver: &str) -> Result<Type, String> {
    model::find(driver).ok_or_else(|| {
        match tern_devices::catalogue().find(|p| p.name == driver || p.aliases.contains(&driver)) {
            Some(_) => format!("'{driver}' belongs to a board and cannot be added"),
            None => format!("'{driver}' is not a valid device model name"),
        }
    })
}

/// The list of `-device help`, by class.
#[must_use]
pub fn list() -> String {
    let mut out = String::new();
    let mut types: Vec<Type> = model::types().collect();
    types.sort_by_key(|t| (t.model.class, t.name()));
    let mut class = None;
    // Writing to a string cannot fail.
    for kind in types {
        if class.replace(kind.model.class) != Some(kind.model.class) {
            let _ = writeln!(out, "{}{:?} devices:", if out.is_empty() { "" } else { "\n" }, kind.model.class);
        }
        let alias = match (kind.via, kind.model.aliases.first()) {
            (Via::Pci, _) => format!(", alias \"{}\"", kind.model.name),
            (_, Some(alias)) => format!(", alias \"{alias}\""),
            _ => String::new(),
        };
        let (name, bus, about) = (kind.name(), kind.bus().name(), kind.model.about);
        let _ = writeln!(out, "name \"{name}\", bus {bus}{alias}, desc \"{about}\"");
    }
    out
}

/// The name of a property's type, as QEMU's users know it.
#[must_use]
pub fn type_name(prop: &Prop) -> String {
    match prop.kind {
        PropKind::Bool(_) => "bool".to_owned(),
        PropKind::Number(bits, _) => format!("uint{}", [8, 16, 32, 64].into_iter().find(|n| *n >= bits).unwrap_or(64)),
        PropKind::Signed(_) => "int32".to_owned(),
        PropKind::Size(_) => "size".to_owned(),
        PropKind::Link(kind) => format!("link<{kind}>"),
        PropKind::Only(values) if values.iter().all(|v| tern_core::text::switch(v).is_some()) => "bool".to_owned(),
        _ => "str".to_owned(),
    }
}

/// The list of `-device TYPE,help`.
#[must_use]
pub fn help(kind: &Type) -> String {
    let mut props: Vec<&Prop> = kind.props().collect();
    props.sort_by_key(|p| p.name);
    let mut out = format!("{} options:\n", kind.name());
    for prop in props {
        let about = match prop.kind {
            PropKind::Only(values) => format!("only {}", values.join(", ")),
            PropKind::Choice(values) => format!("{} ({})", prop.about, values.join("/")),
            _ => prop.about.to_owned(),
        };
        let left = format!("{}=<{}>", prop.name, type_name(prop));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", format!("  {left:<22} - {about}").trim_end());
    }
    out
}
