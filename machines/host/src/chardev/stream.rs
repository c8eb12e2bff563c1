//! Character devices that are streams: sockets, pseudo-terminals.

use super::{Address, Chardev, ChardevError, NOBODY, Source, WAITING};
use crate::console::ConsoleEvent;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::rc::Rc;
use tern_core::backend::CharSink;

/// Most bytes that wait for a client.
const BACKLOG: usize = 1 << 20;
/// Bytes read at once.
const INPUT: usize = 4096;

/// An open stream that never waits.
trait Stream: Read + Write + AsRawFd {}
impl<T: Read + Write + AsRawFd> Stream for T {}

/// A place where clients come in.
trait Listener: AsRawFd {
    /// The next client, with or without waiting for it.
    fn accept(&self, wait: bool) -> io::Result<Box<dyn Stream>>;
}

impl Listener for TcpListener {
    fn accept(&self, wait: bool) -> io::Result<Box<dyn Stream>> {
        self.set_nonblocking(!wait)?;
        let (stream, _) = TcpListener::accept(self)?;
        prepared(stream)
    }
}

impl Listener for UnixListener {
    fn accept(&self, wait: bool) -> io::Result<Box<dyn Stream>> {
        self.set_nonblocking(!wait)?;
        let (stream, _) = UnixListener::accept(self)?;
        stream.set_nonblocking(true)?;
        Ok(Box::new(stream))
    }
}

fn prepared(stream: TcpStream) -> io::Result<Box<dyn Stream>> {
    stream.set_nonblocking(true)?;
    // Keys should not wait for each other.
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

/// What sink and source share.
struct Line {
    stream: Option<Box<dyn Stream>>,
    waiting: VecDeque<u8>,
    /// An end of the stream is not for good: it is a pseudo-terminal.
    lasting: bool,
    /// Nobody has the pseudo-terminal open.
    hung: bool,
}

impl Line {
    fn send(&mut self) {
        while !self.hung
            && let (Some(stream), false) = (&mut self.stream, self.waiting.is_empty())
        {
            match stream.write(self.waiting.as_slices().0) {
                Ok(n) if n > 0 => drop(self.waiting.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                _ if self.lasting => self.hung = true,
                _ => self.stream = None,
            }
        }
        if self.stream.is_none() || self.hung {
            self.waiting.clear();
        }
    }

    /// What there is to read; `None` at the end of the stream.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buf = [0; INPUT];
        let Some(stream) = &mut self.stream else { return Some(Vec::new()) };
        loop {
            let read = stream.read(&mut buf);
            self.hung = false;
            return match read {
                Ok(n) if n > 0 => Some(buf[..n].to_vec()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Some(Vec::new()),
                // A pseudo-terminal without a user gives EIO.
                _ if self.lasting => {
                    self.hung = true;
                    Some(Vec::new())
                }
                _ => {
                    self.stream = None;
                    None
                }
            };
        }
    }
}

struct Sink(Rc<RefCell<Line>>);

impl CharSink for Sink {
    fn write(&mut self, bytes: &[u8]) {
        let mut line = self.0.borrow_mut();
        if line.stream.is_some() && !line.hung {
            let room = BACKLOG.saturating_sub(line.waiting.len());
            line.waiting.extend(&bytes[..bytes.len().min(room)]);
            line.send();
        }
    }
}

struct Input {
    line: Rc<RefCell<Line>>,
    listener: Option<Box<dyn Listener>>,
    /// A socket's name, to be removed at the end.
    name: Option<PathBuf>,
    /// Nothing will come any more, and that has been said.
    closed: bool,
}

impl Source for Input {
    fn fds(&self) -> Vec<i32> {
        let line = self.line.borrow();
        match (&line.stream, &self.listener) {
            // It would say all the time that nobody is there.
            (Some(_), _) if line.hung => Vec::new(),
            // One client at a time; others wait.
            (Some(stream), _) => vec![stream.as_raw_fd()],
            (None, Some(listener)) => vec![listener.as_raw_fd()],
            (None, None) => Vec::new(),
        }
    }

    fn again(&self) -> Option<u64> {
        let line = self.line.borrow();
        if line.hung { Some(NOBODY) } else { (!line.waiting.is_empty()).then_some(WAITING) }
    }

    fn poll(&mut self) -> Vec<ConsoleEvent> {
        let mut line = self.line.borrow_mut();
        line.send();
        if let (None, Some(listener)) = (&line.stream, &self.listener) {
            // No client, or one that has gone already: later.
            line.stream = listener.accept(false).ok();
        }
        let mut events = Vec::new();
        match line.receive() {
            Some(bytes) if !bytes.is_empty() => events.push(ConsoleEvent::Bytes(bytes)),
            Some(_) => {}
            None => line.waiting.clear(),
        }
        if line.stream.is_none() && self.listener.is_none() && !self.closed {
            self.closed = true;
            events.push(ConsoleEvent::Closed);
        }
        events
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Somebody else may have removed it.
            let _ = std::fs::remove_file(name);
        }
    }
}

fn chardev(
    stream: Option<Box<dyn Stream>>,
    listener: Option<Box<dyn Listener>>,
    name: Option<PathBuf>,
    note: Option<String>,
) -> Chardev {
    let lasting = note.is_some();
    let line = Rc::new(RefCell::new(Line { stream, waiting: VecDeque::new(), lasting, hung: false }));
    let source = Input { line: Rc::clone(&line), listener, name, closed: false };
    Chardev { sink: Box::new(Sink(line)), source: Box::new(source), note }
}

pub(super) fn socket(address: &Address, server: bool, wait: bool) -> Result<Chardev, ChardevError> {
    let text = match address {
        Address::Tcp(host, port) => format!("tcp:{host}:{port}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    let result = if server { listen(address, wait) } else { connect(address) };
    result.map_err(|e| ChardevError::Io(text, e))
}

fn connect(address: &Address) -> io::Result<Chardev> {
    let stream: Box<dyn Stream> = match address {
        Address::Tcp(host, port) => {
            let host = if host.is_empty() { "localhost" } else { host };
            prepared(TcpStream::connect((host, *port))?)?
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_nonblocking(true)?;
            Box::new(stream)
        }
    };
    Ok(chardev(Some(stream), None, None, None))
}

fn listen(address: &Address, wait: bool) -> io::Result<Chardev> {
    let (listener, name): (Box<dyn Listener>, _) = match address {
        Address::Tcp(host, port) => {
            let host = if host.is_empty() { "0.0.0.0" } else { host };
            let all: Vec<_> = (host, *port).to_socket_addrs()?.collect();
            (Box::new(TcpListener::bind(&all[..])?), None)
        }
        Address::Unix(path) => {
            // What an earlier run has left is in the way; anything else is not ours.
            if std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
                std::fs::remove_file(path)?;
            }
            (Box::new(UnixListener::bind(path)?), Some(path.clone()))
        }
    };
    let first = if wait { Some(listener.accept(true)?) } else { None };
    Ok(chardev(first, Some(listener), name, None))
}

/// A new pseudo-terminal in raw mode.
#[cfg(target_os = "linux")]
pub(super) fn pty() -> Result<Chardev, ChardevError> {
    use crate::sys::termios::{When, get, make_raw, open_pty, set};
    let open = || {
        let (main, number) = open_pty()?;
        set(main.as_raw_fd(), When::Now, &make_raw(get(main.as_raw_fd())?))?;
        Ok((main, format!("char device redirected to /dev/pts/{number}")))
    };
    let (main, note) = open().map_err(|e: io::Error| ChardevError::Io("pty".to_owned(), e))?;
    Ok(chardev(Some(Box::new(main)), None, None, Some(note)))
}
