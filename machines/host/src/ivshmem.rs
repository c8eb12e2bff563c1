//! The client's side of an ivshmem server (QEMU, docs/specs/ivshmem-spec.rst, "Client-Server Protocol"): numbers of eight
//! bytes that come with descriptors, of the shared memory and of the events by which peers interrupt each other.

use crate::map::HostMap;
use crate::sys::file::{close, fcntl, read, write};
use crate::sys::fs::fstat;
use crate::sys::socket::{Control, recvmsg};
use crate::sys::{Errno, Fd};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use tern_core::backend::{Memory, Peers};

/// The version of the protocol.
const VERSION: i64 = 0;
/// The number that comes with the memory.
const MEMORY: i64 = -1;
/// How long the server may take with what it begins with.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most messages that are looked at in one go.
const MOST: usize = 1 << 16;
/// Room for the control data of one descriptor.
const CONTROL: usize = 64;

/// A descriptor of one's own.
struct Own(Fd);

impl Drop for Own {
    fn drop(&mut self) {
        // Nothing can be done about a descriptor that does not close.
        let _ = close(self.0);
    }
}

/// The shared memory.
struct Shared {
    map: HostMap,
    size: u64,
}

impl Shared {
    fn new(descriptor: &Own) -> Result<Shared, String> {
        let size = fstat(descriptor.0).map_err(|e| failed("shared memory", e))?.size;
        let len = usize::try_from(size).map_err(|_| format!("ivshmem server: {size} bytes of shared memory"))?;
        let map = HostMap::file(descriptor.0, 0, len, true, true).map_err(|e| format!("ivshmem server: {e}"))?;
        Ok(Shared { map, size })
    }

    /// How many bytes from `offset` on are there, of `len`.
    fn part(&self, offset: u64, len: usize) -> usize {
        self.size.saturating_sub(offset).min(len as u64) as usize
    }
}

impl Memory for Shared {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, buf: &mut [u8]) {
        let part = self.part(offset, buf.len());
        let (inside, outside) = buf.split_at_mut(part);
        outside.fill(0);
        if !inside.is_empty() && !self.map.span().read(offset as usize, inside) {
            inside.fill(0);
        }
    }

    fn write(&self, offset: u64, buf: &[u8]) {
        let part = self.part(offset, buf.len());
        if part > 0 {
            let done = self.map.span().write(offset as usize, &buf[..part]);
            debug_assert!(done, "the part lies inside");
        }
    }
}

fn failed(what: &str, error: Errno) -> String {
    format!("ivshmem server: {what}: {}", std::io::Error::from_raw_os_error(error.0))
}

/// The connection to a server.
struct Client {
    server: Option<UnixStream>,
    /// What has come of the next message.
    begun: Vec<u8>,
    descriptor: Option<Own>,
    id: u16,
    vectors: usize,
    /// The events of all peers, by their IDs; this client's are those that it is interrupted by.
    events: BTreeMap<u16, Vec<Own>>,
}

impl Client {
    /// The next message; `None`: it is not there yet, or the server is gone.
    fn message(&mut self) -> Result<Option<(i64, Option<Own>)>, String> {
        let Some(server) = &self.server else { return Ok(None) };
        while self.begun.len() < 8 {
            let mut bytes = [0; 8];
            let room = 8 - self.begun.len();
            let got = recvmsg(
                server.as_raw_fd(),
                &mut [IoSliceMut::new(&mut bytes[..room])],
                CONTROL,
                libc::MSG_CMSG_CLOEXEC,
            );
            match got {
                Ok(got) if got.len == 0 => {
                    self.server = None;
                    return Ok(None);
                }
                Ok(got) => {
                    self.begun.extend(&bytes[..got.len]);
                    for control in got.control {
                        if let Control::Rights(fds) = control {
                            // More than one would close themselves here.
                            fds.into_iter().map(Own).for_each(|fd| self.descriptor = Some(fd));
                        }
                    }
                }
                Err(e) if e.0 == libc::EINTR => {}
                Err(e) if e.0 == libc::EAGAIN => return Ok(None),
                Err(e) => return Err(failed("message", e)),
            }
        }
        let number = self.begun.drain(..).rev().fold(0, |value, byte| value << 8 | u64::from(byte)) as i64;
        Ok(Some((number, self.descriptor.take())))
    }

    /// A message of the first ones, which must come.
    fn expect(&mut self, what: &str) -> Result<(i64, Option<Own>), String> {
        self.message()?.ok_or_else(|| format!("ivshmem server: no {what}"))
    }

    /// A peer comes, event by event, or goes.
    fn notified(&mut self, number: i64, descriptor: Option<Own>) -> Result<(), String> {
        let peer = u16::try_from(number).map_err(|_| format!("ivshmem server: message {number}"))?;
        let Some(descriptor) = descriptor else {
            self.events.remove(&peer);
            return Ok(());
        };
        let events = self.events.entry(peer).or_default();
        // A peer may have more vectors than this client: those are closed.
        if events.len() < self.vectors {
            let flags = fcntl(descriptor.0, libc::F_GETFL, 0).map_err(|e| failed("event", e))?;
            fcntl(descriptor.0, libc::F_SETFL, flags | libc::O_NONBLOCK).map_err(|e| failed("event", e))?;
            events.push(descriptor);
        }
        Ok(())
    }

    /// Takes in what the server has to say; a server that says nonsense is left.
    fn listen(&mut self) {
        for _ in 0..MOST {
            let done = match self.message() {
                Ok(Some((number, descriptor))) => self.notified(number, descriptor),
                Ok(None) => return,
                Err(text) => Err(text),
            };
            if done.is_err() {
                self.server = None;
            }
        }
    }
}

/// The device's side of a connection.
struct Bell {
    client: Rc<RefCell<Client>>,
    memory: Rc<dyn Memory>,
}

impl Peers for Bell {
    fn id(&self) -> u16 {
        self.client.borrow().id
    }

    fn memory(&self) -> Rc<dyn Memory> {
        self.memory.clone()
    }

    fn ring(&mut self, peer: u16, vector: u16) {
        let mut client = self.client.borrow_mut();
        client.listen();
        if let Some(event) = client.events.get(&peer).and_then(|events| events.get(usize::from(vector))) {
            // A full event is one that has not been seen: nothing is lost.
            let _ = write(event.0, &ONE);
        }
    }
}

/// The number 1, as the host has it in memory: what rings an event.
#[allow(clippy::disallowed_methods, reason = "the kernel of the host reads these bytes")]
const ONE: [u8; 8] = 1u64.to_ne_bytes();

/// Interrupts of a connection.
pub struct Interrupts(Rc<RefCell<Client>>);

impl Interrupts {
    /// Descriptors that become readable when [`Interrupts::poll`] has something to do.
    #[must_use]
    pub fn fds(&self) -> Vec<i32> {
        let client = self.0.borrow();
        let own = client.events.get(&client.id).into_iter().flatten().map(|event| event.0);
        client.server.iter().map(AsRawFd::as_raw_fd).chain(own).collect()
    }

    /// The vectors that have been interrupted, two bytes each, the low one first; never waits.
    pub fn poll(&mut self) -> Vec<u8> {
        let mut client = self.0.borrow_mut();
        client.listen();
        let own = client.events.get(&client.id).into_iter().flatten();
        let rung = |event: &Own| read(event.0, &mut [0; 8]).is_ok_and(|n| n == 8);
        own.zip(0u16..).filter(|(event, _)| rung(event)).flat_map(|(_, vector)| vector.to_le_bytes()).collect()
    }
}

/// The server at the other end of this connection, for a device with `vectors` interrupt vectors.
///
/// # Errors
/// One line: it is not what it should be.
pub fn open(server: UnixStream, vectors: u16) -> Result<(Box<dyn Peers>, Interrupts), String> {
    let fail = |e: std::io::Error| format!("ivshmem server: {e}");
    server.set_read_timeout(Some(PATIENCE)).map_err(fail)?;
    let (begun, descriptor, events) = (Vec::new(), None, BTreeMap::new());
    let mut client = Client { server: Some(server), begun, descriptor, id: 0, vectors: usize::from(vectors), events };
    match client.expect("version")? {
        (VERSION, None) => {}
        (version, _) => return Err(format!("ivshmem server: version {version} of the protocol")),
    }
    client.id = match client.expect("ID")? {
        (id, None) => u16::try_from(id).map_err(|_| format!("ivshmem server: ID {id}"))?,
        (id, Some(_)) => return Err(format!("ivshmem server: a descriptor with ID {id}")),
    };
    let mut left = MOST;
    let memory = loop {
        match client.expect("shared memory")? {
            (MEMORY, Some(descriptor)) => break Shared::new(&descriptor)?,
            (number, descriptor) => client.notified(number, descriptor)?,
        }
        left = left.checked_sub(1).ok_or("ivshmem server: no shared memory")?;
    };
    if let Some(server) = &client.server {
        server.set_nonblocking(true).map_err(fail)?;
    }
    let client = Rc::new(RefCell::new(client));
    let bell = Bell { client: client.clone(), memory: Rc::new(memory) };
    Ok((Box::new(bell), Interrupts(client)))
}
