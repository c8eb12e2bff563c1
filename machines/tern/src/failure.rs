//! Errors and exit statuses.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Status when a program cannot be run, as a shell gives it.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// Status when a program is not there.
pub(crate) const NOT_FOUND: u8 = 127;
/// Status of a wrong command line, as clap gives it.
pub(crate) const USAGE: u8 = 2;

/// An error that asks for a particular exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    text: String,
    bare: bool,
}

impl Failure {
    /// Ends tern with `status` and one line on standard error.
    pub(crate) fn new(status: u8, text: impl Into<String>) -> Failure {
        Failure { status, text: text.into(), bare: false }
    }

    /// The same without `tern: ` before the text.
    pub(crate) fn bare(status: u8, text: impl Into<String>) -> Failure {
        Failure { status, text: text.into(), bare: true }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// The exit status of a finished verb; an error is printed in one line.
pub(crate) fn status(result: anyhow::Result<u8>) -> ExitCode {
    let error = match result {
        Ok(status) => return ExitCode::from(status),
        Err(error) => error,
    };
    let broken_pipe = |e: &(dyn std::error::Error + 'static)| {
        e.downcast_ref().map(io::Error::kind) == Some(io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        // The reader has seen enough; as a shell reports SIGPIPE.
        return ExitCode::from(141);
    }
    let failure = error.downcast_ref::<Failure>();
    match failure.filter(|f| f.bare) {
        Some(failure) => drop(io::stderr().write_all(format!("{}\n", failure.text).as_bytes())),
        None => complain(&error.chain().map(|e| plain(&e.to_string())).collect::<Vec<_>>().join(": ")),
    }
    ExitCode::from(failure.map_or(1, |f| f.status))
}

/// What clap says: the help that was asked for, or in one line what is wrong with the command line.
pub(crate) fn usage(error: &clap::Error) -> anyhow::Result<u8> {
    if !error.use_stderr() {
        return print(&error.render().to_string());
    }
    Err(Failure::new(USAGE, one_line(&error.render().to_string())).into())
}

/// clap's text without its label, usage and pointer to the help; what it lists below each other stands in a row.
fn one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let wanted =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage: ") && !line.starts_with("For more"));
    let line = wanted.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{line} (see --help)")
}

/// Prints one line on standard error; there is nobody to tell if that fails.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().write_all(format!("tern: {text}\n").as_bytes());
}

/// Prints a text on standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<u8> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// An error's text as C programs print it, without std's number.
pub(crate) fn plain(text: &str) -> String {
    match text.rsplit_once(" (os error ") {
        Some((message, number)) if number.ends_with(')') => message.to_owned(),
        _ => text.to_owned(),
    }
}
