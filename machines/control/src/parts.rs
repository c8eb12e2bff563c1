//! What every command line says in the same words: a board's own options, what stands behind a serial port.

use crate::grammar::{Keys, number};
use tern_board::config::{Aia, BoardOptions, Setup};

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

/// What stands behind a serial port, as `-serial` says it; with `mon:` in front, behind a monitor too.
///
/// # Errors
/// Anything else, in one line.
pub fn serial(text: &str) -> Result<Setup, String> {
    let plain = text.strip_prefix("mon:").filter(|rest| *rest != "stdio");
    let mut setup = Setup::parse(plain.unwrap_or(text)).map_err(|e| e.to_string())?;
    setup.mux |= text.starts_with("mon:");
    Ok(setup)
}
