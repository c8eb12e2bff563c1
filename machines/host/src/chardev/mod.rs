//! What a guest's serial port is connected to, as QEMU's `-serial` and `-chardev` spell it.
//!
//! | `-serial` | `-chardev` | what it is |
//! |---|---|---|
//! | `null`, `none` | `null` | nothing |
//! | `stdio` | `stdio[,signal=off]` | the terminal; Ctrl-C ends tern, or is the guest's |
//! | `mon:stdio` | `stdio,mux=on,signal=off` | the terminal with escape keys; Ctrl-C is the guest's |
//! | `file:PATH[,append=on]` | `file,path=PATH[,append=on][,input-path=PATH]` | a file for output, and one for input |
//! | `pipe:PATH` | `pipe,path=PATH` | named pipes `PATH.in` and `PATH.out` (Linux) |
//! | `pty[:LINK]` | `pty[,path=LINK]` | a new pseudo-terminal (Linux) |
//! | `/dev/PORT` | `serial,path=PATH` | a serial port of the host (Linux) |
//! | `tcp:HOST:PORT`, `telnet:HOST:PORT` | `socket,host=HOST,port=PORT[,telnet=on]` | a TCP connection |
//! | `unix:PATH` | `socket,path=PATH[,abstract=on]` | a connection to a local socket |
//! | | `socket,fd=N` | a connection that somebody else has made, or a socket that listens |
//! | `udp:[HOST]:PORT[@[ADDR]:PORT]` | `udp,port=PORT[,host=,localaddr=,localport=]` | datagrams |
//! | `ringbuf` | `ringbuf[,size=SIZE]` | the last bytes of the output, for QMP's `ringbuf-read` |
//!
//! Sockets take `server=on`, `wait=off` (a server is open when the first client is there, unless it does not wait) and
//! `reconnect-ms=N`; `server` and `nowait` are old spellings.  All take `logfile=PATH[,logappend=on]`.  Output while nobody
//! is connected is lost, and so is what a client leaves unread beyond a mebibyte: a guest does not stand still because
//! somebody does not look.
//!
//! To add a kind, write its `Backend`, its row in `setup::build` and in [`Spec::open_with`].

mod plain;
mod setup;
mod shell;
#[cfg(unix)]
mod stream;
#[cfg(unix)]
mod telnet;
#[cfg(unix)]
mod udp;
#[cfg(target_os = "linux")]
mod wires;

pub use crate::net::{Address, Descriptor, Descriptors, Inet};
pub use setup::{Log, Setup};
pub use shell::{Change, Handle, LineSettings};

use crate::console::{self, Console, ConsoleEvent};
use core::fmt;
use shell::chardev;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tern_core::backend::CharSink;

/// When to try again, in nanoseconds: with output that waits, and with a pseudo-terminal that nobody has open.
const WAITING: u64 = 2_000_000;
#[cfg(target_os = "linux")]
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

    /// Connections that have come about or ended since the last call, in order, what [`Handle::is_open`] said at the
    /// beginning apart.  The bytes of the last [`Source::poll`] come before the last change if that is
    /// [`Change::Closed`], else after all of them.
    fn changes(&mut self) -> Vec<Change> {
        Vec::new()
    }

    /// Descriptors that a local peer has sent along with the bytes of the last [`Source::poll`] (for QMP's `getfd`).
    /// Those that nobody takes are closed when others come.
    fn take_fds(&mut self) -> Vec<Descriptor> {
        Vec::new()
    }
}

/// The ends of a character device.
pub struct Chardev {
    /// For output.
    pub sink: Box<dyn CharSink>,
    /// For input.
    pub source: Box<dyn Source>,
    /// What the user should know: the name of a new pseudo-terminal.
    pub note: Option<String>,
    /// For whoever manages it.
    pub handle: Handle,
}

impl Chardev {
    /// As [`Handle::info`].
    #[must_use]
    pub fn info(&self) -> String {
        self.handle.info()
    }

    /// As [`Handle::is_open`].
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.handle.is_open()
    }

    /// As [`Handle::send_break`].
    pub fn send_break(&self) {
        self.handle.send_break();
    }

    /// As [`Handle::add_client`].
    ///
    /// # Errors
    /// As [`Handle::add_client`].
    pub fn add_client(&self, client: Descriptor) -> Result<(), ChardevError> {
        self.handle.add_client(client)
    }
}

/// A connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketSpec {
    /// Its address.  An empty descriptor of a server listens nowhere: clients come by [`Handle::add_client`].
    pub address: Address,
    /// Others connect to us.
    pub server: bool,
    /// Wait for the first of them.
    pub wait: bool,
    /// Speak telnet.
    pub telnet: bool,
    /// Milliseconds between attempts of a client to find its server; with 0 a lost server is lost.
    pub reconnect_ms: u64,
}

/// What a text says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spec {
    /// Nothing.
    Null,
    /// The terminal.
    Stdio {
        /// With escape keys.
        escapes: bool,
        /// Ctrl-C, Ctrl-\\ and Ctrl-Z are tern's, not the guest's.
        signals: bool,
    },
    /// A file for output.
    File {
        /// Its name.
        path: PathBuf,
        /// What it has stays.
        append: bool,
        /// A file for input.
        input: Option<PathBuf>,
    },
    /// Named pipes, without `.in` and `.out`.
    Pipe(PathBuf),
    /// A serial port of the host.
    Serial(PathBuf),
    /// A new pseudo-terminal.
    Pty {
        /// A symbolic link to it.
        path: Option<PathBuf>,
    },
    /// A connection.
    Socket(SocketSpec),
    /// Datagrams.
    Udp {
        /// Where they come in; the system chooses without.
        local: Option<Address>,
        /// Where they go.
        remote: Address,
    },
    /// The last bytes of the output.
    Ring {
        /// How many, a power of two.
        size: usize,
        /// By its old name, `memory`.
        memory: bool,
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
    /// Reads the text of `-serial`; what it says of a log is left out, see [`Setup::parse`].
    ///
    /// # Errors
    /// A text that is none of the table's.
    pub fn parse(text: &str) -> Result<Spec, ChardevError> {
        Setup::parse(text).map(|setup| setup.spec)
    }

    /// Opens what it says.
    ///
    /// # Errors
    /// What the system does not give.
    pub fn open(&self) -> Result<Chardev, ChardevError> {
        self.open_with(None, &mut Descriptors::default())
    }

    /// Opens what it says, with a copy of the output in a log; `fds` has the descriptors with names.
    ///
    /// # Errors
    /// What the system does not give.
    pub fn open_with(&self, log: Option<&Log>, fds: &mut Descriptors) -> Result<Chardev, ChardevError> {
        let log = log.map(|log| create(&log.path, log.append)).transpose()?;
        match self {
            Spec::Null => Ok(chardev(plain::Nothing, log, None)),
            Spec::Stdio { escapes, signals } => {
                let options = console::Options { escape: escapes.then_some(1), signals: *signals };
                let (sink, input) = Console::new(options).map_err(|e| ChardevError::Io("stdio".into(), e))?;
                Ok(chardev(plain::Stdio { sink, input }, log, None))
            }
            Spec::File { path, append, input } => {
                let failed = |path: &Path, e| ChardevError::Io(path.display().to_string(), e);
                let input = match input {
                    None => None,
                    Some(path) => Some(File::open(path).map_err(|e| failed(path, e))?),
                };
                Ok(chardev(plain::Files::new(create(path, *append)?, input), log, None))
            }
            Spec::Ring { size, memory } => {
                let name = if *memory { "memory" } else { "ringbuf" };
                Ok(chardev(plain::Ring::new(*size, name), log, None))
            }
            #[cfg(unix)]
            Spec::Socket(spec) => Ok(chardev(stream::Line::open(spec, fds)?, log, None)),
            #[cfg(unix)]
            Spec::Udp { local, remote } => Ok(chardev(udp::Udp::open(local.as_ref(), remote)?, log, None)),
            #[cfg(not(unix))]
            Spec::Socket(_) | Spec::Udp { .. } => {
                let _ = fds;
                Err(ChardevError::Unsupported("sockets"))
            }
            #[cfg(target_os = "linux")]
            Spec::Pty { path } => {
                let pty = wires::Pty::new(path.as_deref())?;
                let note = Some(pty.note());
                Ok(chardev(pty, log, note))
            }
            #[cfg(target_os = "linux")]
            Spec::Pipe(path) => Ok(chardev(wires::Wires::pipe(path)?, log, None)),
            #[cfg(target_os = "linux")]
            Spec::Serial(path) => Ok(chardev(wires::Wires::serial(path)?, log, None)),
            #[cfg(not(target_os = "linux"))]
            Spec::Pty { .. } => Err(ChardevError::Unsupported("pty")),
            #[cfg(not(target_os = "linux"))]
            Spec::Pipe(_) => Err(ChardevError::Unsupported("pipe")),
            #[cfg(not(target_os = "linux"))]
            Spec::Serial(_) => Err(ChardevError::Unsupported("serial")),
        }
    }
}

impl Setup {
    /// Opens what it says.
    ///
    /// # Errors
    /// What the system does not give.
    pub fn open(&self, fds: &mut Descriptors) -> Result<Chardev, ChardevError> {
        self.spec.open_with(self.log.as_ref(), fds)
    }
}

/// A file for output.
fn create(path: &Path, append: bool) -> Result<File, ChardevError> {
    let mut open = File::options();
    open.create(true).write(true).append(append).truncate(!append);
    open.open(path).map_err(|e| ChardevError::Io(path.display().to_string(), e))
}
