//! `sendmsg`, `recvmsg` and their vectors.

use crate::abi::io_flags::Msg;
use crate::abi::io_structs::{Mmsghdr, Msghdr};
use crate::abi::structs::{Timespec, Timespec64};
use crate::abi::{Errno, GuestPtr};
use crate::args::{Arg, Fd, Flags, InOpt, Uint};
use crate::cx::{Cx, Outcome, SysResult};
use crate::strace::Show;
use crate::sys::socket::{Outgoing, receive, send};
use crate::sys::vector::{Vector, show_iovecs};
use crate::sys::{control, sockaddr};

/// Most messages of one call (`UIO_MAXIOV`).
const MESSAGES_MAX: u32 = 1024;

/// A `struct msghdr`, printed with what it points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<const OUT: bool>(pub u64);

fn show_message(s: &mut Show<'_>, m: &Msghdr, bytes: u64) {
    s.put(format_args!("{{msg_name="));
    sockaddr::show(s, m.name, u64::try_from(m.namelen).unwrap_or(0));
    s.put(format_args!(", msg_namelen={}, msg_iov=", m.namelen));
    show_iovecs(s, m.iov, m.iovlen, bytes);
    s.put(format_args!(", msg_iovlen={}, msg_controllen={}, msg_flags=", m.iovlen, m.controllen));
    s.flags::<Msg>(u64::from(m.flags));
    s.put(format_args!("}}"));
}

impl<const OUT: bool> Arg for Message<OUT> {
    const OUT: bool = OUT;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Message(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        let addr = s.abi.word_of(raw);
        let bytes = if OUT { s.result().unwrap_or(0) } else { u64::MAX };
        match s.read::<Msghdr>(addr) {
            Some(m) if !OUT || s.result().is_some() => show_message(s, &m, bytes),
            _ => s.addr(addr),
        }
    }
}

/// An array of `struct mmsghdr`; with a result, as many as it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Messages<const OUT: bool>(pub u64);

impl<const OUT: bool> Arg for Messages<OUT> {
    const OUT: bool = OUT;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Messages(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let (addr, abi) = (s.abi.word_of(raw), s.abi);
        let count = if OUT { s.result() } else { len };
        let Some(count) = count else { return s.addr(addr) };
        s.put(format_args!("["));
        for i in 0..count.min(8) {
            let Some(m) = s.read::<Mmsghdr>(GuestPtr::<Mmsghdr>::new(addr).at(i, abi).addr) else { break };
            s.put(format_args!("{}{{msg_hdr=", if i > 0 { ", " } else { "" }));
            show_message(s, &m.hdr, if OUT { u64::from(m.len) } else { u64::MAX });
            s.put(format_args!(", msg_len={}}}", m.len));
        }
        s.put(format_args!("]"));
    }
}

fn data(cx: &mut Cx<'_>, m: &Msghdr) -> Result<Vector, Errno> {
    Vector::fetch(cx, m.iov, m.iovlen).map_err(|e| if e == Errno::EINVAL { Errno::EMSGSIZE } else { e })
}

fn send_one(cx: &mut Cx<'_>, fd: i32, m: &Msghdr, flags: u64) -> SysResult {
    let addr = match (m.name, m.namelen) {
        (0, _) | (_, 0) => None,
        (at, len) => Some(sockaddr::get(cx, at, len)?),
    };
    let control = if m.control == 0 { Vec::new() } else { control::get(cx, m.control, m.controllen)? };
    let message = Outgoing { addr, data: data(cx, m)?, control };
    send(cx, fd, &message, flags)
}

/// Receives into `m`, whose lengths and flags change.
fn receive_one(cx: &mut Cx<'_>, fd: i32, m: &mut Msghdr, flags: u64) -> SysResult {
    let room = u64::try_from(m.namelen).map_err(|_| Errno::EINVAL)?;
    let controls = if m.control == 0 { 0 } else { m.controllen };
    let data = data(cx, m)?;
    let received = receive(cx, fd, &data, control::host_room(controls), flags)?;
    if m.name != 0 {
        m.namelen = sockaddr::put(cx, m.name, room, received.addr.as_ref())?;
    }
    let (used, cut) = control::put(cx, m.control, controls, &received.control)?;
    m.controllen = used;
    m.flags = received.flags as u32 | cut as u32;
    Ok(received.len as u64)
}

/// `sendmsg(2)`.
pub fn sendmsg(cx: &mut Cx<'_>, fd: Fd, message: Message<false>, flags: Flags<Msg>) -> SysResult {
    let m = cx.read::<Msghdr>(GuestPtr::new(message.0))?;
    send_one(cx, fd.0, &m, flags.0)
}

/// `recvmsg(2)`.
pub fn recvmsg(cx: &mut Cx<'_>, fd: Fd, message: Message<true>, flags: Flags<Msg>) -> SysResult {
    let at = GuestPtr::<Msghdr>::new(message.0);
    let mut m = cx.read(at)?;
    let n = receive_one(cx, fd.0, &mut m, flags.0)?;
    cx.write(at, &m)?;
    Ok(n)
}

/// `sendmmsg(2)`: waits for room for the first message only.
pub fn sendmmsg(cx: &mut Cx<'_>, fd: Fd, list: Messages<false>, count: Uint, flags: Flags<Msg>) -> SysResult {
    let abi = cx.abi();
    let array = GuestPtr::<Mmsghdr>::new(list.0);
    for i in 0..count.0.min(MESSAGES_MAX) {
        let at = array.at(u64::from(i), abi);
        let flags = if i > 0 { flags.0 | Msg::MSG_DONTWAIT } else { flags.0 };
        let sent = cx.read(at).map_err(Outcome::from).and_then(|m| send_one(cx, fd.0, &m.hdr, flags).map(|n| (m, n)));
        match sent {
            Ok((m, n)) => cx.write(at, &Mmsghdr { len: n as u32, ..m })?,
            Err(_) if i > 0 => return Ok(u64::from(i)),
            Err(e) => return Err(e),
        }
        cx.thread().call.done = 0;
    }
    Ok(u64::from(count.0.min(MESSAGES_MAX)))
}

/// `recvmmsg(2)` with words.
pub fn recvmmsg(
    cx: &mut Cx<'_>,
    fd: Fd,
    list: Messages<true>,
    count: Uint,
    flags: Flags<Msg>,
    timeout: InOpt<Timespec>,
) -> SysResult {
    receive_many(cx, fd.0, list.0, count.0, flags.0, timeout.0.map(|t| (t.sec, t.nsec)))
}

/// `recvmmsg_time64`.
pub fn recvmmsg_time64(
    cx: &mut Cx<'_>,
    fd: Fd,
    list: Messages<true>,
    count: Uint,
    flags: Flags<Msg>,
    timeout: InOpt<Timespec64>,
) -> SysResult {
    receive_many(cx, fd.0, list.0, count.0, flags.0, timeout.0.map(|t| (t.sec, t.nsec)))
}

/// How many messages have come is remembered in `progress`.
fn receive_many(cx: &mut Cx<'_>, fd: i32, list: u64, count: u32, flags: u64, timeout: Option<(i64, i64)>) -> SysResult {
    let abi = cx.abi();
    let span = timeout.map(|(sec, nsec)| crate::sys::poll::nanos(sec, nsec)).transpose()?;
    let array = GuestPtr::<Mmsghdr>::new(list);
    let count = u64::from(count.min(MESSAGES_MAX));
    let first = cx.thread().call.progress;
    if span.is_some() {
        let now = cx.process.now_ns();
        cx.deadline(|| span.map(|s| now.saturating_add(s)));
    }
    for i in first..count {
        let at = array.at(i, abi);
        let one = flags & !(Msg::MSG_WAITFORONE | Msg::MSG_WAITALL);
        let one = if i > 0 && flags & Msg::MSG_WAITFORONE != 0 { one | Msg::MSG_DONTWAIT } else { one };
        let mut m = cx.read(at)?;
        match receive_one(cx, fd, &mut m.hdr, one) {
            Ok(n) => {
                m.len = n as u32;
                cx.write(at, &m)?;
            }
            Err(Outcome::Block(_)) if i > 0 && cx.signalled() => return Ok(i),
            Err(Outcome::Block(wait)) => {
                cx.thread().call.progress = i;
                return Err(Outcome::Block(wait));
            }
            Err(_) if i > 0 => return Ok(i),
            Err(e) => return Err(e),
        }
        if span.is_some() && cx.expired() {
            return Ok(i + 1);
        }
    }
    Ok(count)
}
