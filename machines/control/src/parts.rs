//! What every command line says in the same words: a board's own options, what stands behind a serial port.

use crate::grammar::{Keys, number};
use tern_board::config::{Aia, BoardOptions, Char};

/// Takes `aia=`, `aia-guests=` and `aclint=`.
///
/// # Errors
/// A value that is none, in one line.
pub fn board_options(keys: &mut Keys, options: &mut BoardOptions) -> Result<(), String> {
    if let Some(aia) = keys.take("aia") {
        options.aia = match aia.as_str() {
            "none" => Aia::None,
            "aplic" => Aia::Aplic,
            "aplic-imsic" => Aia::AplicImsic,
            _ => return Err("Invalid AIA interrupt controller type (none, aplic, aplic-imsic)".to_owned()),
        };
    }
    if let Some(guests) = keys.take("aia-guests") {
        let guests = number(&guests).and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= 7);
        options.aia_guests = guests.ok_or_else(|| "Invalid number of AIA IMSIC guests (0 to 7)".to_owned())?;
    }
    if let Some(aclint) = keys.switch("aclint")? {
        options.aclint = aclint;
    }
    Ok(())
}

/// What stands behind a serial port, as `-serial` says it: `stdio`, `mon:stdio`, `null`, `none`, `file:NAME`, `pty`, `tcp:`
/// and `unix:`.
///
/// # Errors
/// Anything else, in one line.
pub fn serial(text: &str) -> Result<Char, String> {
    let (mux, text) = text.strip_prefix("mon:").map_or((false, text), |rest| (true, rest));
    let what = match (text.split_once(':').map_or(text, |(kind, _)| kind), text.split_once(':').map(|(_, rest)| rest)) {
        ("stdio", None) => return Ok(Char::Stdio(mux)),
        ("null" | "none", None) => Char::Null,
        ("vc", _) => return Err("there are no virtual consoles".to_owned()),
        ("file", Some(file)) if !file.is_empty() => Char::File(file.into()),
        ("pty", None) | ("tcp" | "unix", Some(_)) => Char::Other(text.to_owned()),
        _ => return Err(format!("'{text}' is not supported as a character device")),
    };
    Ok(what)
}
