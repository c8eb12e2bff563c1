//! Programs under gdb: waits for a connection, then serves it until gdb lets go of the program.

use crate::engine::ProcessEngine;
use crate::failure::{Failure, complain};
use std::ffi::{OsStr, OsString};
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use tern_core::frontend::Frontend;
use tern_linux::ExitStatus;
use tern_linux::debug::{Debugged, Peer};
use tern_linux::process::Process;
use tern_session::debug::Why;
use tern_session::debug::gdb::{Served, Server, serve};

/// Where gdb is.
#[derive(Clone, Debug)]
pub(crate) enum Gdb {
    /// It will connect to this: a port, `HOST:PORT`, or a path with a `/` in it.
    Listen {
        /// The address.
        at: OsString,
        /// The host of a port alone.
        host: &'static str,
    },
    /// It has been connected with the program before this one: descriptor and session.
    Session(String),
}

/// The connection, and the session that goes on.
pub(crate) struct Connection {
    peer: Peer,
    session: Option<String>,
}

impl Gdb {
    /// Waits for the connection.
    pub(crate) fn connect(&self, quiet: bool) -> Result<Connection, Failure> {
        match self {
            Gdb::Listen { at, host } => {
                let refuse = |e: std::io::Error| {
                    Failure::new(1, format!("gdb: {}: {}", at.to_string_lossy(), crate::failure::plain(&e.to_string())))
                };
                let fd = if at.as_encoded_bytes().contains(&b'/') {
                    unix(at, quiet)
                } else {
                    tcp(&at.to_string_lossy(), host, quiet)
                };
                let peer =
                    Peer::new(fd.map_err(refuse)?).map_err(|_| Failure::new(1, "gdb: no descriptors are left"))?;
                Ok(Connection { peer, session: None })
            }
            Gdb::Session(text) => {
                let broken = || Failure::new(1, "--gdb-session is for tern itself");
                let (fd, session) = text.split_once(',').ok_or_else(broken)?;
                let fd = fd.parse().map_err(|_| broken())?;
                let peer = Peer::inherited(fd).map_err(|_| broken())?;
                Ok(Connection { peer, session: Some(session.to_owned()) })
            }
        }
    }
}

fn waiting(at: &str, quiet: bool) {
    if !quiet {
        complain(&format!("waiting for gdb on {at}"));
    }
}

fn unix(path: &OsStr, quiet: bool) -> std::io::Result<i32> {
    let listener = UnixListener::bind(path)?;
    waiting(&path.to_string_lossy(), quiet);
    let accepted = listener.accept();
    // One gdb is served; the name is of no use to others.
    let _ = std::fs::remove_file(path);
    accepted.map(|(stream, _)| stream.into_raw_fd())
}

fn tcp(at: &str, host: &str, quiet: bool) -> std::io::Result<i32> {
    let listener = match at.strip_prefix(':').unwrap_or(at).parse::<u16>() {
        Ok(port) => TcpListener::bind((host, port))?,
        Err(_) => TcpListener::bind(at)?,
    };
    waiting(&listener.local_addr()?.to_string(), quiet);
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream.into_raw_fd())
}

/// Runs a process that has been loaded under gdb, and to its end when gdb lets go of it.
pub(crate) fn run(
    process: &mut Process,
    engine: &mut ProcessEngine,
    frontend: Rc<dyn Frontend>,
    connection: Connection,
) -> ExitStatus {
    let Connection { mut peer, session } = connection;
    let mut subject = Debugged::new(process, engine, frontend, peer.fd());
    let resumed = session.and_then(|session| Server::resumed(&subject, &session));
    let mut server = match resumed {
        Some(mut server) => {
            let why = if server.hears_exec() { subject.executed() } else { Why::Signal(subject.pid(), 5) };
            server.stopped(&mut subject, &why);
            server
        }
        None => Server::new(&subject),
    };
    let served = serve(&mut server, &mut subject, &mut peer);
    drop(peer);
    match (served, subject.ended()) {
        (Served::Killed, _) => ExitStatus::Signal(9),
        (_, Some(status)) => status,
        (Served::Detached | Served::Ended(_) | Served::HandedOver, None) => subject.go_on(),
    }
}
