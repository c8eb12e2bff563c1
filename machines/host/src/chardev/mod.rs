//! What a guest's serial port is connected to, as QEMU's `-serial` spells it.
//!
//! | text | what it is |
//! |---|---|
//! | `null`, `none` | nothing |
//! | `stdio` | the terminal; Ctrl-C ends tern |
//! | `mon:stdio` | the terminal with escape keys; Ctrl-C is the guest's |
//! | `file:PATH[,append=on]` | a file for output |
//! | `pty` (Linux) | a new pseudo-terminal |
//! | `tcp:HOST:PORT[,server=on][,wait=off]` | a TCP connection |
//! | `unix:PATH[,server=on][,wait=off]` | a connection to a local socket |
//!
//! `server` and `nowait` are the old spellings of `server=on` and `wait=off`. A server that waits (the default) is open when
//! the first client is there. Output while nobody is connected is lost, and so is what a client leaves unread beyond a
//! mebibyte: a guest does not stand still because somebody does not look.

#[cfg(unix)]
mod stream;

use crate::console::{self, Console, ConsoleEvent};
use core::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use tern_core::backend::CharSink;

/// When to try again, in nanoseconds: with output that waits, and with a pseudo-terminal that nobody has open.
const WAITING: u64 = 2_000_000;
#[cfg(unix)]
const NOBODY: u64 = 250_000_000;

/// Where input of a serial port comes from.
pub trait Source {
    /// Descriptors that become readable when [`Source::poll`] has something to do.
    fn fds(&self) -> Vec<i32>;

    /// After how many nanoseconds [`Source::poll`] should be called although no descriptor is readable: output waits, or a
    /// user may have come whom no descriptor tells of.
    fn again(&self) -> Option<u64>;

    /// What has come; never waits.
    fn poll(&mut self) -> Vec<ConsoleEvent>;
}

impl Source for console::Input {
    fn fds(&self) -> Vec<i32> {
        self.fd().into_iter().collect()
    }

    fn again(&self) -> Option<u64> {
        self.pending().then_some(WAITING)
    }

    fn poll(&mut self) -> Vec<ConsoleEvent> {
        console::Input::poll(self)
    }
}

/// The two ends of a character device.
pub struct Chardev {
    /// For output.
    pub sink: Box<dyn CharSink>,
    /// For input.
    pub source: Box<dyn Source>,
    /// What the user should know: the name of a new pseudo-terminal.
    pub note: Option<String>,
}

/// A connection's address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Host and port.
    Tcp(String, u16),
    /// A local socket.
    Unix(PathBuf),
}

/// What a text says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spec {
    /// Nothing.
    Null,
    /// The terminal; with escape keys or not.
    Stdio {
        /// `mon:stdio`.
        escapes: bool,
    },
    /// A file for output.
    File {
        /// Its name.
        path: PathBuf,
        /// What it has stays.
        append: bool,
    },
    /// A new pseudo-terminal.
    Pty,
    /// A connection.
    Socket {
        /// Its address.
        address: Address,
        /// Others connect to us.
        server: bool,
        /// Wait for the first of them.
        wait: bool,
    },
}

/// Why there is no character device.
#[derive(Debug)]
pub enum ChardevError {
    /// The text is wrong.
    Spec(String),
    /// The system said no: to what, why.
    Io(String, io::Error),
    /// Not on this host.
    Unsupported(&'static str),
}

impl fmt::Display for ChardevError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChardevError::Spec(text) => f.write_str(text),
            ChardevError::Io(what, e) => write!(f, "{what}: {e}"),
            ChardevError::Unsupported(what) => write!(f, "{what}: not on this host"),
        }
    }
}

impl core::error::Error for ChardevError {}

impl Spec {
    /// Reads a text.
    ///
    /// # Errors
    /// A text that is none of the table's.
    pub fn parse(text: &str) -> Result<Spec, ChardevError> {
        let wrong = |why: &str| ChardevError::Spec(format!("character device {text:?}: {why}"));
        let mut parts = text.split(',');
        let head = parts.next().unwrap_or_default();
        let (mut server, mut wait, mut append) = (false, None, false);
        for option in parts {
            let (name, value) = option.split_once('=').unwrap_or((option, "on"));
            let on = match value {
                "on" | "yes" | "true" => true,
                "off" | "no" | "false" => false,
                _ => return Err(wrong(&format!("{option:?} is neither on nor off"))),
            };
            match name {
                "server" => server = on,
                "wait" => wait = Some(on),
                "nowait" => wait = Some(!on),
                "append" => append = on,
                "nodelay" => {}
                _ => return Err(wrong(&format!("unknown option {name:?}"))),
            }
        }
        let socket = |address| Spec::Socket { address, server, wait: wait.unwrap_or(server) };
        let (kind, rest) = head.split_once(':').unwrap_or((head, ""));
        Ok(match kind {
            "null" | "none" => Spec::Null,
            "stdio" => Spec::Stdio { escapes: false },
            "mon" if rest == "stdio" => Spec::Stdio { escapes: true },
            "pty" => Spec::Pty,
            "file" if !rest.is_empty() => Spec::File { path: rest.into(), append },
            "unix" if !rest.is_empty() => socket(Address::Unix(rest.into())),
            "tcp" => {
                let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong("HOST:PORT is missing"))?;
                let port = port.parse().map_err(|_| wrong(&format!("{port:?} is no port")))?;
                let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                socket(Address::Tcp(host.to_owned(), port))
            }
            _ => {
                return Err(wrong("none of null, stdio, mon:stdio, file:PATH, pty, tcp:HOST:PORT, unix:PATH"));
            }
        })
    }

    /// Opens what it says.
    ///
    /// # Errors
    /// What the system does not give.
    pub fn open(&self) -> Result<Chardev, ChardevError> {
        let plain = |sink: Box<dyn CharSink>, source: Box<dyn Source>| Chardev { sink, source, note: None };
        match self {
            Spec::Null => Ok(plain(Box::new(Nothing), Box::new(Nothing))),
            Spec::Stdio { escapes } => {
                let options = console::Options { escape: escapes.then_some(1), signals: !escapes };
                let (sink, input) = Console::new(options).map_err(|e| ChardevError::Io("stdio".into(), e))?;
                Ok(plain(sink, Box::new(input)))
            }
            Spec::File { path, append } => {
                let mut open = File::options();
                open.create(true).write(true).append(*append).truncate(!append);
                let file = open.open(path).map_err(|e| ChardevError::Io(path.display().to_string(), e))?;
                Ok(plain(Box::new(Output { file, failed: false }), Box::new(Nothing)))
            }
            #[cfg(unix)]
            Spec::Socket { address, server, wait } => stream::socket(address, *server, *wait),
            #[cfg(target_os = "linux")]
            Spec::Pty => stream::pty(),
            #[cfg(not(unix))]
            Spec::Socket { .. } => Err(ChardevError::Unsupported("sockets")),
            #[cfg(not(target_os = "linux"))]
            Spec::Pty => Err(ChardevError::Unsupported("pty")),
        }
    }
}

/// Takes everything, gives nothing.
struct Nothing;

impl CharSink for Nothing {
    fn write(&mut self, _: &[u8]) {}
}

impl Source for Nothing {
    fn fds(&self) -> Vec<i32> {
        Vec::new()
    }

    fn again(&self) -> Option<u64> {
        None
    }

    fn poll(&mut self) -> Vec<ConsoleEvent> {
        Vec::new()
    }
}

/// A file for output. When the host's disk is full, the rest is lost.
struct Output {
    file: File,
    failed: bool,
}

impl CharSink for Output {
    fn write(&mut self, bytes: &[u8]) {
        if let Err(e) = self.file.write_all(bytes) {
            if !self.failed {
                eprintln!("tern: output of a serial port is lost: {e}");
            }
            self.failed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let parse = |text| Spec::parse(text).map_err(|e| e.to_string());
        let tcp = |host: &str, port, server, wait| {
            Ok(Spec::Socket { address: Address::Tcp(host.into(), port), server, wait })
        };
        assert_eq!(parse("null"), Ok(Spec::Null));
        assert_eq!(parse("mon:stdio"), Ok(Spec::Stdio { escapes: true }));
        assert_eq!(parse("file:a:b,append=on"), Ok(Spec::File { path: "a:b".into(), append: true }));
        assert_eq!(parse("tcp:localhost:4444"), tcp("localhost", 4444, false, false));
        assert_eq!(parse("tcp:[::1]:1,server=on"), tcp("::1", 1, true, true));
        assert_eq!(parse("tcp::4444,server,nowait"), tcp("", 4444, true, false));
        let unix = Spec::Socket { address: Address::Unix("/x".into()), server: true, wait: false };
        assert_eq!(parse("unix:/x,server=on,wait=off"), Ok(unix));
        for (text, why) in [
            ("", "none of null"),
            ("vc", "none of null"),
            ("file:", "none of null"),
            ("tcp:4444", "HOST:PORT is missing"),
            ("tcp:a:99999", "is no port"),
            ("null,odd=on", "unknown option \"odd\""),
            ("unix:/x,server=maybe", "neither on nor off"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why) && error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
