//! Streams of bytes between processes that nobody waits for: sockets, pipes, commands, files.  What migrations go through.

use crate::net::Address;
use std::path::PathBuf;

#[cfg(target_os = "linux")]
pub use linux::Channel;
#[cfg(not(target_os = "linux"))]
pub use without::Channel;

/// Where a stream goes, or comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A socket, or a descriptor.
    Address(Address),
    /// A command's standard input or output: the command and its arguments.
    Command(Vec<String>),
    /// A file, from this byte on.
    File(PathBuf, u64),
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Place;
    use crate::file::{read_at, write_at};
    use crate::net::address::{SocketFile, name_of, resolve};
    use crate::net::endpoint::{bind, connect_now, prepare};
    use crate::net::{Address, Descriptors};
    use crate::sys::file::fcntl;
    use crate::wait::Interest;
    use socket2::{SockAddr, Socket};
    use std::fs::File;
    use std::io::{self, ErrorKind, Read, Write};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{Receiver, TryRecvError, channel};

    enum End {
        /// The file is removed with it.
        Listening {
            socket: Socket,
            _file: Option<SocketFile>,
        },
        /// A thread looks for the peer.
        Connecting(Receiver<io::Result<Socket>>),
        Socket(Socket),
        Pipe(File),
        Child(Child, Option<File>),
        File(File, u64),
    }

    /// A stream.  No call waits; the command behind one is ended with it.
    pub struct Channel {
        end: End,
        /// What messages call it.
        name: String,
    }

    /// So many bytes, or none now.
    fn some(result: io::Result<usize>) -> io::Result<Option<usize>> {
        match result {
            Ok(n) => Ok(Some(n)),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn never_wait(fd: &impl AsRawFd) -> io::Result<()> {
        let flags = fcntl(fd.as_raw_fd(), libc::F_GETFL, 0)?;
        fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK)?;
        Ok(())
    }

    fn given(fd: OwnedFd) -> io::Result<End> {
        let socket = Socket::from(fd);
        if socket.r#type().is_ok() {
            prepare(&socket, false)?;
            return Ok(End::Socket(socket));
        }
        let file = File::from(OwnedFd::from(socket));
        never_wait(&file)?;
        Ok(End::Pipe(file))
    }

    fn connect(to: Vec<SockAddr>) -> io::Result<Socket> {
        let mut result = Err(ErrorKind::AddrNotAvailable.into());
        for address in to {
            result = connect_now(&address);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    impl Channel {
        /// A stream that goes there.
        ///
        /// # Errors
        /// In one line.
        pub fn outgoing(place: &Place, fds: &mut Descriptors) -> Result<Channel, String> {
            let name = name(place);
            let failed = |e: io::Error| format!("{name}: {e}");
            let end = match place {
                Place::Address(Address::Fd(text)) => given(fds.take(text)?).map_err(failed)?,
                Place::Address(address) => {
                    let (send, receive) = channel();
                    let address = address.clone();
                    // Names are looked up and peers waited for elsewhere; nobody is there to hear of it if this is dropped.
                    std::thread::spawn(move || {
                        let _ = send.send(resolve(&address, false).and_then(connect));
                    });
                    End::Connecting(receive)
                }
                Place::Command(words) => {
                    let mut child = command(words).stdin(Stdio::piped()).spawn().map_err(failed)?;
                    let pipe = child.stdin.take().map(|pipe| File::from(OwnedFd::from(pipe)));
                    pipe.as_ref().map_or(Ok(()), never_wait).map_err(failed)?;
                    End::Child(child, pipe)
                }
                Place::File(path, offset) => {
                    let open = File::options().write(true).create(true).truncate(false).open(path);
                    let file = open.map_err(failed)?;
                    file.set_len(*offset).map_err(failed)?;
                    End::File(file, *offset)
                }
            };
            Ok(Channel { end, name })
        }

        /// A stream that comes from there.
        ///
        /// # Errors
        /// In one line.
        pub fn incoming(place: &Place, fds: &mut Descriptors) -> Result<Channel, String> {
            let name = name(place);
            let failed = |e: io::Error| format!("{name}: {e}");
            let end = match place {
                Place::Address(Address::Fd(text)) => given(fds.take(text)?).map_err(failed)?,
                Place::Address(address) => {
                    let mut result = Err(ErrorKind::AddrNotAvailable.into());
                    for at in resolve(address, true).map_err(failed)? {
                        result = bind(&at);
                        if result.is_ok() {
                            break;
                        }
                    }
                    let (socket, file) = result.map_err(failed)?;
                    End::Listening { socket, _file: file }
                }
                Place::Command(words) => {
                    let mut child = command(words).stdout(Stdio::piped()).spawn().map_err(failed)?;
                    let pipe = child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe)));
                    pipe.as_ref().map_or(Ok(()), never_wait).map_err(failed)?;
                    End::Child(child, pipe)
                }
                Place::File(path, offset) => End::File(File::open(path).map_err(failed)?, *offset),
            };
            Ok(Channel { end, name })
        }

        fn failed<T>(&self, e: &io::Error) -> Result<T, String> {
            Err(format!("{}: {e}", self.name))
        }

        /// Is the other side there?
        ///
        /// # Errors
        /// It cannot be reached; in one line.
        pub fn ready(&mut self) -> Result<bool, String> {
            let found = match &self.end {
                End::Listening { socket, .. } => match socket.accept() {
                    Ok((peer, _)) => Ok(peer),
                    // Nobody yet, or somebody who has gone again.
                    Err(_) => return Ok(false),
                },
                End::Connecting(receive) => match receive.try_recv() {
                    Ok(result) => result,
                    Err(TryRecvError::Empty) => return Ok(false),
                    Err(TryRecvError::Disconnected) => Err(ErrorKind::NotConnected.into()),
                },
                _ => return Ok(true),
            };
            match found.and_then(|socket| prepare(&socket, false).map(|()| socket)) {
                Ok(socket) => self.end = End::Socket(socket),
                Err(e) => return Err(format!("Failed to connect to '{}': {e}", self.name)),
            }
            Ok(true)
        }

        /// Can both sides speak?
        #[must_use]
        pub fn answers(&self) -> bool {
            matches!(self.end, End::Socket(_) | End::Listening { .. } | End::Connecting(_))
        }

        /// What comes: so many bytes; 0: that was all; none: nothing now.
        ///
        /// # Errors
        /// In one line.
        pub fn read(&mut self, buf: &mut [u8]) -> Result<Option<usize>, String> {
            let result = match &mut self.end {
                End::Socket(socket) => some(socket.read(buf)),
                End::Pipe(pipe) | End::Child(_, Some(pipe)) => some(pipe.read(buf)),
                End::File(file, at) => read_at(file, buf, *at).map(|n| {
                    *at += n as u64;
                    Some(n)
                }),
                End::Listening { .. } | End::Connecting(_) | End::Child(_, None) => Ok(None),
            };
            result.or_else(|e| self.failed(&e))
        }

        /// Sends as much as there is room for; how many bytes that was.
        ///
        /// # Errors
        /// The other side takes nothing any more; in one line.
        pub fn write(&mut self, bytes: &[u8]) -> Result<usize, String> {
            let result = match &mut self.end {
                End::Socket(socket) => some(socket.write(bytes)),
                End::Pipe(pipe) | End::Child(_, Some(pipe)) => some(pipe.write(bytes)),
                End::File(file, at) => write_at(file, bytes, *at).map(|()| {
                    *at += bytes.len() as u64;
                    Some(bytes.len())
                }),
                End::Listening { .. } | End::Connecting(_) | End::Child(_, None) => Ok(None),
            };
            result.map(|n| n.unwrap_or(0)).or_else(|e| self.failed(&e))
        }

        /// Nothing more will be sent; true when the other side has dealt with it, as far as one can tell.
        ///
        /// # Errors
        /// A command that fails, a file that cannot be written; in one line.
        pub fn finish(&mut self) -> Result<bool, String> {
            match &mut self.end {
                End::Child(child, pipe) => {
                    *pipe = None;
                    match child.try_wait() {
                        Ok(None) => Ok(false),
                        Ok(Some(status)) if status.success() => Ok(true),
                        Ok(Some(status)) => Err(format!("{}: {status}", self.name)),
                        Err(e) => self.failed(&e),
                    }
                }
                End::File(file, _) => match file.sync_all() {
                    Ok(()) => Ok(true),
                    Err(e) => self.failed(&e),
                },
                _ => Ok(true),
            }
        }

        /// What to wait for: the other side, or that it sends something or takes something.
        #[must_use]
        pub fn watch(&self, interest: Interest) -> Option<(i32, Interest)> {
            match &self.end {
                End::Listening { socket, .. } => Some((socket.as_raw_fd(), Interest::READ)),
                End::Socket(socket) => Some((socket.as_raw_fd(), interest)),
                End::Pipe(pipe) | End::Child(_, Some(pipe)) => Some((pipe.as_raw_fd(), interest)),
                End::Connecting(_) | End::Child(_, None) | End::File(..) => None,
            }
        }

        /// Where it listens.
        #[must_use]
        pub fn listens_at(&self) -> Option<Address> {
            match &self.end {
                End::Listening { socket, .. } => name_of(&socket.local_addr().ok()?),
                _ => None,
            }
        }
    }

    impl Drop for Channel {
        fn drop(&mut self) {
            if let End::Child(child, pipe) = &mut self.end {
                *pipe = None;
                // It may have ended by itself.
                if !matches!(child.try_wait(), Ok(Some(_))) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        }
    }

    fn command(words: &[String]) -> Command {
        let mut words = words.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command.args(words);
        command
    }

    fn name(place: &Place) -> String {
        match place {
            Place::Address(Address::Inet(inet)) => format!("{}:{}", inet.host, inet.port),
            Place::Address(Address::Unix { path, .. }) => path.display().to_string(),
            Place::Address(Address::Fd(text)) => format!("fd:{text}"),
            Place::Command(words) => words.last().cloned().unwrap_or_default(),
            Place::File(path, _) => path.display().to_string(),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod without {
    use super::Place;
    use crate::net::{Address, Descriptors};
    use crate::wait::Interest;

    /// A stream; there are none on this host.
    pub enum Channel {}

    const NONE: &str = "streams between processes need Linux";

    #[allow(clippy::missing_errors_doc, missing_docs, reason = "see the other hosts; nobody can have one")]
    impl Channel {
        pub fn outgoing(_: &Place, _: &mut Descriptors) -> Result<Channel, String> {
            Err(NONE.to_owned())
        }

        pub fn incoming(_: &Place, _: &mut Descriptors) -> Result<Channel, String> {
            Err(NONE.to_owned())
        }

        pub fn ready(&mut self) -> Result<bool, String> {
            match *self {}
        }

        #[must_use]
        pub fn answers(&self) -> bool {
            match *self {}
        }

        pub fn read(&mut self, _: &mut [u8]) -> Result<Option<usize>, String> {
            match *self {}
        }

        pub fn write(&mut self, _: &[u8]) -> Result<usize, String> {
            match *self {}
        }

        pub fn finish(&mut self) -> Result<bool, String> {
            match *self {}
        }

        #[must_use]
        pub fn watch(&self, _: Interest) -> Option<(i32, Interest)> {
            match *self {}
        }

        #[must_use]
        pub fn listens_at(&self) -> Option<Address> {
            match *self {}
        }
    }
}
