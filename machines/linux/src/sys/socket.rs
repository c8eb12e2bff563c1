//! Sockets.
//!
//! Sending and receiving never wait in the host: `MSG_DONTWAIT` goes along, and what is not ready waits in the scheduler,
//! for as long as `SO_RCVTIMEO` and `SO_SNDTIMEO` permit.  Names of `AF_UNIX` sockets are the host's.

use crate::abi::io_flags::{AcceptFlags, Family, Msg, Shut, SockType};
use crate::abi::{Arr, Errno};
use crate::args::{Const, Data, Fd, Flags, Int, Out, OutBuf, Size};
use crate::cx::{Cx, Outcome, SysResult};
use crate::sched::{self, Wait};
use crate::sys::sockaddr::{self, LenPtr, Room, SockaddrIn, SockaddrOut};
use crate::sys::sockopt::{self, socket_type};
use crate::sys::vector::Vector;
use std::io::{IoSlice, IoSliceMut};
use tern_core::mem::Endian;
use tern_host::sys;
use tern_host::sys::host::{self, POLLIN, POLLOUT};
use tern_host::sys::socket::{Control, Received, SockAddr};

/// Bytes of a stream that one host call moves.
const CHUNK: u64 = 1 << 20;
/// The largest message: no socket has a buffer as large.
const MESSAGE_MAX: u64 = 16 << 20;

/// Types of sockets by guest number; mips swaps the first two.
const TYPES: [(u64, i32); 4] = [
    (SockType::SOCK_STREAM, host::SOCK_STREAM),
    (SockType::SOCK_DGRAM, host::SOCK_DGRAM),
    (SockType::SOCK_RAW, host::SOCK_RAW),
    (SockType::SOCK_SEQPACKET, host::SOCK_SEQPACKET),
];

/// A socket's type in the guest's number.
#[must_use]
pub fn type_from_host(kind: i32) -> i32 {
    TYPES.iter().find(|(_, h)| *h == kind).map_or(kind, |(g, _)| *g as i32)
}

fn type_to_host(kind: u64) -> Result<i32, Errno> {
    let flags = SockType::SOCK_NONBLOCK | SockType::SOCK_CLOEXEC;
    let base = kind & 0xf;
    if kind & 0xffff_ffff & !(flags | 0xf) != 0 {
        return Err(Errno::EINVAL);
    }
    let base = TYPES.iter().find(|(g, _)| *g == base).map_or(base as i32, |(_, h)| *h);
    Ok(base | made_with(kind))
}

fn made_with(flags: u64) -> i32 {
    let nonblock = if flags & SockType::SOCK_NONBLOCK != 0 { host::SOCK_NONBLOCK } else { 0 };
    nonblock | if flags & SockType::SOCK_CLOEXEC != 0 { host::SOCK_CLOEXEC } else { 0 }
}

/// Kernel messages of netlink hold numbers in the machine's order.
fn check_family(cx: &mut Cx<'_>, family: u32) -> Result<(), Errno> {
    let same = (cx.abi().endian == Endian::Big) == cfg!(target_endian = "big");
    if u64::from(family) == Family::AF_NETLINK && !same {
        cx.unimplemented(format_args!("netlink for a guest of the other byte order"));
        return Err(Errno::EAFNOSUPPORT);
    }
    Ok(())
}

/// `socket(2)`.
pub fn socket(cx: &mut Cx<'_>, family: Const<Family>, kind: Flags<SockType>, protocol: Int) -> SysResult {
    check_family(cx, family.0)?;
    Ok(sys::socket::socket(family.0 as i32, type_to_host(kind.0)?, protocol.0)? as u64)
}

/// `socketpair(2)`.
pub fn socketpair(
    cx: &mut Cx<'_>,
    family: Const<Family>,
    kind: Flags<SockType>,
    protocol: Int,
    pair: Out<Arr<i32, 2>>,
) -> SysResult {
    check_family(cx, family.0)?;
    let ends = sys::socket::socketpair(family.0 as i32, type_to_host(kind.0)?, protocol.0)?;
    super::fd::put_pair(cx, pair, ends)
}

/// `bind(2)`.
pub fn bind(cx: &mut Cx<'_>, fd: Fd, addr: SockaddrIn, len: Int) -> SysResult {
    let addr = sockaddr::get(cx, addr.0, len.0)?;
    sys::socket::bind(fd.0, &addr)?;
    Ok(0)
}

/// `listen(2)`.
pub fn listen(_cx: &mut Cx<'_>, fd: Fd, backlog: Int) -> SysResult {
    sys::socket::listen(fd.0, backlog.0)?;
    Ok(0)
}

/// Waits for a descriptor, a socket only until its time limit (`SO_RCVTIMEO`, `SO_SNDTIMEO`); what the call returns then
/// is `late`.
pub fn block(cx: &mut Cx<'_>, fd: i32, events: i16, late: Errno) -> Outcome {
    let now = cx.process.now_ns();
    let deadline = cx.deadline(|| sockopt::timeout(fd, events == POLLOUT).map(|span| now.saturating_add(span)));
    if cx.expired() {
        return late.into();
    }
    Outcome::Block(Wait { deadline, ..Wait::fd(fd, events) })
}

/// `connect(2)`: a blocking socket is made non-blocking for the moment of the host's call; issued again while the
/// connection is being made, the call answers how far it is.
pub fn connect(cx: &mut Cx<'_>, fd: Fd, addr: SockaddrIn, len: Int) -> SysResult {
    let addr = sockaddr::get(cx, addr.0, len.0)?;
    let flags = sys::file::fcntl(fd.0, host::F_GETFL, 0)?;
    if flags & host::O_NONBLOCK != 0 {
        sys::socket::connect(fd.0, &addr)?;
        return Ok(0);
    }
    sys::file::fcntl(fd.0, host::F_SETFL, flags | host::O_NONBLOCK)?;
    let result = sys::socket::connect(fd.0, &addr);
    sys::file::fcntl(fd.0, host::F_SETFL, flags)?;
    match result {
        Ok(()) => Ok(0),
        Err(sys::Errno::EINPROGRESS | sys::Errno::EALREADY) => {
            cx.thread().call.progress = 1;
            Err(block(cx, fd.0, POLLOUT, Errno::EINPROGRESS))
        }
        // Made while we waited.
        Err(sys::Errno::EISCONN) if cx.thread().call.progress == 1 => Ok(0),
        // A listener of AF_UNIX whose queue is full: no descriptor tells when there is room.
        Err(sys::Errno::EAGAIN) if u64::from(addr.family) == Family::AF_UNIX => Err(super::io::retry_later(cx)),
        Err(e) => Err(e.into()),
    }
}

/// `accept(2)`.
pub fn accept(cx: &mut Cx<'_>, fd: Fd, addr: SockaddrOut, len: LenPtr) -> SysResult {
    accept_with(cx, fd.0, addr, len, 0)
}

/// `accept4(2)`.
pub fn accept4(cx: &mut Cx<'_>, fd: Fd, addr: SockaddrOut, len: LenPtr, flags: Flags<AcceptFlags>) -> SysResult {
    if flags.0 & 0xffff_ffff & !(AcceptFlags::SOCK_NONBLOCK | AcceptFlags::SOCK_CLOEXEC) != 0 {
        return Err(Errno::EINVAL.into());
    }
    accept_with(cx, fd.0, addr, len, made_with(flags.0))
}

fn accept_with(cx: &mut Cx<'_>, fd: i32, addr: SockaddrOut, len: LenPtr, flags: i32) -> SysResult {
    if !sched::ready(fd, POLLIN) && sched::can_block(fd, POLLIN) && accepts(fd) {
        return Err(block(cx, fd, POLLIN, Errno::EAGAIN));
    }
    let room = Room::new(cx, addr, len)?;
    // Another process may have taken the connection; then this waits in the host.
    let (new, peer) = match tern_host::signal::blocking(|| sys::socket::accept4(fd, flags)) {
        Err(sys::Errno::EINTR) => return Err(block(cx, fd, POLLIN, Errno::EAGAIN)),
        other => other?,
    };
    if let Some(room) = room
        && let Err(e) = room.put(cx, peer.as_ref())
    {
        // Nobody has seen it.
        let _ = sys::file::close(new);
        return Err(e.into());
    }
    Ok(new as u64)
}

/// Does a socket listen?  One that does not has an error to report instead of a wait.
fn accepts(fd: i32) -> bool {
    let mut value = [0; 4];
    sys::socket::getsockopt(fd, host::SOL_SOCKET, host::SO_ACCEPTCONN, &mut value).is_ok() && value != [0; 4]
}

/// `getsockname(2)`.
pub fn getsockname(cx: &mut Cx<'_>, fd: Fd, addr: SockaddrOut, len: LenPtr) -> SysResult {
    name(cx, addr, len, sys::socket::getsockname(fd.0)?)
}

/// `getpeername(2)`.
pub fn getpeername(cx: &mut Cx<'_>, fd: Fd, addr: SockaddrOut, len: LenPtr) -> SysResult {
    name(cx, addr, len, sys::socket::getpeername(fd.0)?)
}

fn name(cx: &mut Cx<'_>, addr: SockaddrOut, len: LenPtr, value: Option<SockAddr>) -> SysResult {
    let room = Room::new(cx, addr, len)?.ok_or(Errno::EFAULT)?;
    room.put(cx, value.as_ref())?;
    Ok(0)
}

/// `shutdown(2)`.
pub fn shutdown(_cx: &mut Cx<'_>, fd: Fd, how: Const<Shut>) -> SysResult {
    sys::socket::shutdown(fd.0, how.0 as i32)?;
    Ok(0)
}

/// One message to send.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// To whom.
    pub addr: Option<SockAddr>,
    /// The data.
    pub data: Vector,
    /// Control messages.
    pub control: Vec<Control>,
}

/// `MSG_*` for the host: the numbers are the same on every architecture.  Copying instead of `MSG_ZEROCOPY` is allowed,
/// but then its notices do not come, so it is refused.
fn flags_to_host(cx: &mut Cx<'_>, flags: u64) -> Result<i32, Errno> {
    if flags & Msg::MSG_ZEROCOPY != 0 {
        cx.unimplemented(format_args!("MSG_ZEROCOPY"));
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(flags as u32 as i32)
}

/// Sends a message; a stream's in parts, the rest of which is remembered in `call.done`.
///
/// # Errors
/// What `sendmsg(2)` reports, or the wait for room.
pub fn send(cx: &mut Cx<'_>, fd: i32, message: &Outgoing, flags: u64) -> SysResult {
    let host_flags = flags_to_host(cx, flags)?;
    let stream = socket_type(fd)? == host::SOCK_STREAM;
    let waits = flags & Msg::MSG_DONTWAIT == 0 && sched::can_block(fd, POLLOUT);
    let total = message.data.total();
    if !stream && total > MESSAGE_MAX {
        return Err(Errno::EMSGSIZE.into());
    }
    let mut done = cx.thread().call.done;
    loop {
        let bytes = match message.data.gather(cx, done, if stream { CHUNK } else { MESSAGE_MAX }) {
            Ok(bytes) if stream || bytes.len() as u64 == total => bytes,
            _ if done > 0 => return Ok(done),
            _ => return Err(Errno::EFAULT.into()),
        };
        // Control messages go with the first byte.
        let control: &[Control] = if done == 0 { &message.control } else { &[] };
        let iov = [IoSlice::new(&bytes)];
        match sys::socket::sendmsg(
            fd,
            message.addr.as_ref(),
            &iov,
            control,
            host_flags | host::MSG_DONTWAIT | host::MSG_NOSIGNAL,
        ) {
            Ok(n) => done += n as u64,
            Err(sys::Errno::EAGAIN | sys::Errno::EINTR) if waits => {
                if done > 0 && cx.signalled() {
                    return Ok(done);
                }
                cx.thread().call.done = done;
                return match block(cx, fd, POLLOUT, Errno::EAGAIN) {
                    Outcome::Err(_) if done > 0 => Ok(done),
                    other => Err(other),
                };
            }
            Err(e) => {
                if e == sys::Errno::EPIPE && flags & Msg::MSG_NOSIGNAL == 0 {
                    super::rw::broken_pipe(cx);
                }
                return if done > 0 { Ok(done) } else { Err(e.into()) };
            }
        }
        if !stream || done >= total {
            return Ok(done);
        }
        if !waits && (bytes.len() as u64) < CHUNK {
            return Ok(done);
        }
    }
}

/// `sendto(2)`.
pub fn sendto(
    cx: &mut Cx<'_>,
    fd: Fd,
    buf: Data,
    len: Size,
    flags: Flags<Msg>,
    addr: SockaddrIn,
    addr_len: Int,
) -> SysResult {
    let addr = if addr.0 == 0 { None } else { Some(sockaddr::get(cx, addr.0, addr_len.0)?) };
    let message = Outgoing { addr, data: Vector::single(buf.0, len.0), control: Vec::new() };
    send(cx, fd.0, &message, flags.0)
}

/// Receives a message.  With `MSG_WAITALL` on a stream what has come is in guest memory and remembered in `call.done`.
///
/// # Errors
/// What `recvmsg(2)` reports, or the wait for data.
pub fn receive(cx: &mut Cx<'_>, fd: i32, data: &Vector, control_room: usize, flags: u64) -> Result<Received, Outcome> {
    let host_flags = flags_to_host(cx, flags)? & !host::MSG_WAITALL | host::MSG_DONTWAIT;
    let stream = socket_type(fd)? == host::SOCK_STREAM;
    let all = stream && flags & Msg::MSG_WAITALL != 0 && flags & Msg::MSG_PEEK == 0;
    let waits = flags & (Msg::MSG_DONTWAIT | Msg::MSG_ERRQUEUE | Msg::MSG_OOB) == 0 && sched::can_block(fd, POLLIN);
    let mut done = if all { cx.thread().call.done } else { 0 };
    loop {
        let mut room = data.room(cx, done, if stream { CHUNK } else { MESSAGE_MAX })?;
        match sys::socket::recvmsg(fd, &mut [IoSliceMut::new(&mut room)], control_room, host_flags) {
            Ok(mut received) => {
                let here = received.len.min(room.len());
                data.scatter(cx, done, &room[..here])?;
                done += here as u64;
                if !all || here == 0 || done >= data.total() {
                    received.len = if all { done as usize } else { received.len };
                    return Ok(received);
                }
            }
            Err(sys::Errno::EAGAIN | sys::Errno::EINTR) if waits => {
                let partial = Received { len: done as usize, addr: None, control: Vec::new(), flags: 0 };
                if done > 0 && cx.signalled() {
                    return Ok(partial);
                }
                if all {
                    cx.thread().call.done = done;
                }
                return match block(cx, fd, POLLIN, Errno::EAGAIN) {
                    Outcome::Err(_) if done > 0 => Ok(partial),
                    other => Err(other),
                };
            }
            Err(_) if done > 0 => {
                return Ok(Received { len: done as usize, addr: None, control: Vec::new(), flags: 0 });
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// `recvfrom(2)`.
pub fn recvfrom(
    cx: &mut Cx<'_>,
    fd: Fd,
    buf: OutBuf,
    len: Size,
    flags: Flags<Msg>,
    addr: SockaddrOut,
    addr_len: LenPtr,
) -> SysResult {
    let room = Room::new(cx, addr, addr_len)?;
    let received = receive(cx, fd.0, &Vector::single(buf.0, len.0), 0, flags.0)?;
    if let Some(room) = room {
        room.put(cx, received.addr.as_ref())?;
    }
    Ok(received.len as u64)
}
