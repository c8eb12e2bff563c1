//! Links over datagrams, as QEMU's `-netdev dgram` (and `-netdev socket,udp=`, `mcast=`): each datagram is a frame.

use super::address::{Address, SocketFile, resolve};
use super::descriptors::Descriptors;
use super::socket::family;
use super::{Counts, Link, MAX_FRAME, NetError, Options};
use crate::wait::Interest;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;

/// Frames that wait for the guest.
const QUEUE: usize = 256;

/// Opens `dgram,` with `local.*` and `remote.*`: two Internet addresses, two files, a descriptor alone (`local.type=fd`),
/// or a multicast address as the remote one, with the interface's address as the local one or without any.
///
/// # Errors
/// A wrong option, or what the host says.
pub fn open_dgram(options: &Options, fds: &mut Descriptors) -> Result<Box<dyn Link>, NetError> {
    options.only(&["local.", "remote."])?;
    let local = Address::from_options(options, "local")?;
    let remote = Address::from_options(options, "remote")?;
    let failed = |e: io::Error| NetError::new(format!("netdev dgram: {e}"));
    if let Some(group @ Address::Inet(_)) = &remote
        && group_of(group).is_ok()
    {
        let link = match &local {
            None => Datagrams::multicast(group, None, "mcast="),
            Some(Address::Inet(inet)) => Datagrams::multicast(group, Some(&inet.host), "mcast="),
            Some(Address::Fd(text)) => {
                // Sockets that share a port share datagrams, so this one makes room for one that hears them all.
                drop(fds.take(text).map_err(|e| options.error("local.str", &e))?);
                let link = Datagrams::multicast(group, None, "");
                link.map(|mut link| {
                    link.set_info(format!("fd={text} (cloned mcast={})", link.info));
                    link
                })
            }
            Some(Address::Unix { .. }) => return Err(options.error("local.type", "is inet or fd here")),
        };
        return Ok(Box::new(link.map_err(failed)?));
    }
    match (&local, &remote) {
        (None, _) => Err(options.error("local.type", "is missing")),
        (Some(Address::Fd(_)), Some(_)) => Err(options.error("remote.type", "makes no sense with local.type=fd")),
        (Some(Address::Fd(text)), None) => {
            let socket = Socket::from(fds.take(text).map_err(|e| options.error("local.str", &e))?);
            Ok(Box::new(Datagrams::given(socket, &format!("fd={text}")).map_err(failed)?))
        }
        (Some(_), None) => Err(options.error("remote.type", "is missing")),
        (Some(local @ Address::Inet(_)), Some(remote @ Address::Inet(_)))
        | (Some(local @ Address::Unix { .. }), Some(remote @ Address::Unix { .. })) => {
            Ok(Box::new(Datagrams::pair(local, remote).map_err(failed)?))
        }
        _ => Err(options.error("remote.type", "must be the same as local.type")),
    }
}

/// A link over datagrams.
pub struct Datagrams {
    socket: Socket,
    /// Where frames go; a connected socket knows it.
    to: Option<SockAddr>,
    _file: Option<SocketFile>,
    info: String,
    queue: VecDeque<Vec<u8>>,
    buffer: Vec<u8>,
    counts: Counts,
}

impl Datagrams {
    /// Takes frames at one address and sends them to another.
    pub(super) fn pair(local: &Address, remote: &Address) -> io::Result<Datagrams> {
        let (local, remote) = (resolve(local, true)?, resolve(remote, false)?);
        // A host may have addresses of both families; the two must be of one.
        let both = local.iter().find_map(|l| Some((l, remote.iter().find(|r| r.family() == l.family())?)));
        let (at, to) = both.ok_or_else(|| io::Error::other("the two addresses are of different families"))?;
        let socket = Socket::new(at.domain(), Type::DGRAM, None)?;
        if at.domain() != Domain::UNIX {
            socket.set_reuse_address(true)?;
        }
        SocketFile::clear(at)?;
        let name = |a: &SockAddr| match (a.as_socket(), a.as_pathname()) {
            (Some(inet), _) => inet.to_string(),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => String::new(),
        };
        socket.bind(at).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", name(at))))?;
        let slash = if at.is_unix() { ":" } else { "/" };
        let info = format!("udp={}{slash}{}", name(at), name(to));
        let mut link = Datagrams::new(socket, info)?;
        link._file = SocketFile::of(at);
        link.to = Some(to.clone());
        Ok(link)
    }

    /// A member of a group; `interface` is the address of the one whose network it is in.
    pub(super) fn multicast(group: &Address, interface: Option<&str>, info: &str) -> io::Result<Datagrams> {
        let group = group_of(group).map_err(io::Error::other)?;
        let interface = match interface {
            None => None,
            Some(text) => Some(text.parse::<Ipv4Addr>().map_err(|_| {
                io::Error::new(ErrorKind::InvalidInput, format!("localaddr '{text}' is not a valid IPv4 address"))
            })?),
        };
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        // Every member on this host has the same port.
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from(group).into())?;
        socket.join_multicast_v4(group.ip(), &interface.unwrap_or(Ipv4Addr::UNSPECIFIED))?;
        socket.set_multicast_loop_v4(true)?;
        if let Some(interface) = interface {
            socket.set_multicast_if_v4(&interface)?;
        }
        let mut link = Datagrams::new(socket, format!("{info}{group}"))?;
        link.to = Some(SocketAddr::from(group).into());
        Ok(link)
    }

    /// A socket that somebody else has made; what is sent goes to whom it is connected to.
    pub(super) fn given(socket: Socket, info: &str) -> io::Result<Datagrams> {
        if socket.r#type()? != Type::DGRAM {
            return Err(io::Error::new(ErrorKind::InvalidInput, "is no socket for datagrams"));
        }
        let info = format!("{info} {}", family(&socket));
        Datagrams::new(socket, info)
    }

    fn new(socket: Socket, info: String) -> io::Result<Datagrams> {
        socket.set_nonblocking(true)?;
        let (queue, buffer) = (VecDeque::new(), vec![0; MAX_FRAME + 1]);
        Ok(Datagrams { socket, to: None, _file: None, info, queue, buffer, counts: Counts::default() })
    }

    /// Where frames go, if that is an Internet address.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.to.as_ref()?.as_socket()
    }

    pub(super) fn set_info(&mut self, info: String) {
        self.info = info;
    }
}

/// The group that an address names.
fn group_of(address: &Address) -> Result<SocketAddrV4, String> {
    let list = resolve(address, false).map_err(|e| e.to_string())?;
    let first = list.iter().find_map(SockAddr::as_socket_ipv4);
    first.filter(|a| a.ip().is_multicast()).ok_or_else(|| format!("{address} is not a multicast address"))
}

impl Link for Datagrams {
    fn send(&mut self, frame: &[u8]) {
        self.counts.from_guest += 1;
        let sent = match &self.to {
            Some(to) => self.socket.send_to(frame, to),
            None => (&self.socket).write(frame),
        };
        // Full, too long, or nobody there: a datagram may get lost.
        if sent.is_err() {
            self.counts.overflow += 1;
        }
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front()
    }

    fn poll(&mut self, _now_ns: u64) {
        // An error of what was sent before is reported by one receive, then the next one works.
        let mut odd = 0;
        while self.queue.len() < QUEUE && odd < 16 {
            match (&self.socket).read(&mut self.buffer) {
                Ok(len) if (1..=MAX_FRAME).contains(&len) => {
                    self.counts.to_guest += 1;
                    self.queue.push_back(self.buffer[..len].to_vec());
                }
                Ok(_) => {
                    self.counts.malformed += 1;
                    odd += 1;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => odd += 8,
            }
        }
    }

    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        if self.queue.len() < QUEUE {
            list.push((self.socket.as_raw_fd(), Interest::READ));
        }
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn info(&self) -> String {
        self.info.clone()
    }
}
