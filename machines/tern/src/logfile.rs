//! Where log lines go: standard error or a file.

use crate::failure::plain;
use anyhow::{Context, anyhow};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;
use tern_session::log::Sink;

/// Opens a log.  `%d` in the name is the process's number, as in QEMU's `-D`.  Every line is written at once and at the
/// end of the file, so that processes can share one; `fresh` empties it first.
pub(crate) fn open(name: Option<&OsStr>, fresh: bool) -> anyhow::Result<Sink> {
    let Some(name) = name else {
        // A log that cannot be written must not stop the guest.
        return Ok(Rc::new(|line| drop(std::io::stderr().write_all(line.as_bytes()))));
    };
    let name = expand(name)?;
    let shown = name.to_string_lossy().into_owned();
    let mut options = OpenOptions::new();
    options.create(true);
    let opened = if fresh {
        options.write(true).truncate(true).open(&name).and_then(|_| OpenOptions::new().append(true).open(&name))
    } else {
        options.append(true).open(&name)
    };
    let file = opened.map_err(|e| anyhow!("{}", plain(&e.to_string()))).with_context(|| shown)?;
    Ok(Rc::new(move |line| drop((&file).write_all(line.as_bytes()))))
}

fn expand(name: &OsStr) -> anyhow::Result<std::ffi::OsString> {
    let bytes = name.as_bytes();
    let Some(at) = bytes.windows(2).position(|w| w == b"%d") else { return Ok(name.to_owned()) };
    anyhow::ensure!(!bytes[at + 2..].contains(&b'%'), "{}: only one %d is allowed", name.to_string_lossy());
    let pid = std::process::id().to_string();
    Ok(std::ffi::OsString::from_vec([&bytes[..at], pid.as_bytes(), &bytes[at + 2..]].concat()))
}
