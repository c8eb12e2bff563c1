//! A character device that sends and takes datagrams.

use super::ChardevError;
use super::shell::{Backend, Change, Inbox};
use crate::console::ConsoleEvent;
use crate::net::{Address, resolve};
use socket2::{Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;

/// The longest datagram that is sent or taken, in bytes; UDP has no longer one.
const LONGEST: usize = 65_507;
/// Datagrams that one look takes.
const BURST: usize = 16;

/// A socket that is connected to its peer.
pub(super) struct Udp {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Udp {
    pub(super) fn open(local: Option<&Address>, remote: &Address) -> Result<Udp, ChardevError> {
        let connect = || -> io::Result<Socket> {
            let remote = resolve(remote, false)?;
            let local = local.map(|at| resolve(at, true)).transpose()?;
            let mut last = io::Error::other("the two addresses are of different families");
            for to in &remote {
                let at = local.as_ref().map(|list| list.iter().find(|at| at.family() == to.family()));
                if at == Some(None) {
                    continue;
                }
                let socket = Socket::new(to.domain(), Type::DGRAM, None)?;
                let made = at.flatten().map_or(Ok(()), |at| socket.bind(at)).and_then(|()| socket.connect(to));
                match made.and_then(|()| socket.set_nonblocking(true)) {
                    Ok(()) => return Ok(socket),
                    Err(e) => last = e,
                }
            }
            Err(last)
        };
        let name = remote.to_string().replace("tcp:", "udp:");
        let socket = connect().map_err(|e| ChardevError::Io(name, e))?;
        Ok(Udp { socket, buffer: vec![0; LONGEST] })
    }
}

impl Backend for Udp {
    fn write(&mut self, bytes: &[u8], _: &mut Vec<Change>) {
        for part in bytes.chunks(LONGEST) {
            // Full, or nobody there: a datagram may get lost.
            let _ = (&self.socket).write(part);
        }
    }

    fn fds(&self) -> Vec<i32> {
        vec![self.socket.as_raw_fd()]
    }

    fn poll(&mut self, inbox: &mut Inbox) {
        for _ in 0..BURST {
            match (&self.socket).read(&mut self.buffer) {
                Ok(0) => {}
                Ok(n) => inbox.events.push(ConsoleEvent::Bytes(self.buffer[..n].to_vec())),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // An error of what was sent before is reported once.
                Err(_) => {}
            }
        }
    }

    fn info(&self) -> String {
        "udp".to_owned()
    }
}
