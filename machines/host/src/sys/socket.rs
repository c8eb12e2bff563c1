//! Sockets. Addresses and control messages are neutral: numbers in them that the kernel keeps in the host's byte order
//! are little-endian here.

use super::{Errno, Fd, cvt, cvt_len, cvt0, native};
use core::ffi::{c_int, c_void};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// The longest address that Linux accepts (`struct sockaddr_storage`).
const ADDR_MAX: usize = 128;

/// A socket address: the family and what follows it. Ports and IP addresses are in network order as always; the scope
/// of `AF_INET6` and the numbers of `AF_NETLINK` and `AF_PACKET` are little-endian on every host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SockAddr {
    /// `AF_*`, equal on every architecture.
    pub family: u16,
    /// The bytes after the family.
    pub data: Vec<u8>,
}

/// Where an address of a family holds numbers of the host's order: offset in [`SockAddr::data`] and size.
fn host_numbers(family: u16) -> &'static [(usize, usize)] {
    match c_int::from(family) {
        libc::AF_INET6 => &[(22, 4)],
        libc::AF_NETLINK => &[(2, 4), (6, 4)],
        libc::AF_PACKET => &[(2, 4), (6, 2)],
        libc::AF_VSOCK => &[(2, 4), (6, 4)],
        _ => &[],
    }
}

/// Swaps the host's numbers between host and little-endian order, which is its own inverse.
fn swap(family: u16, data: &mut [u8]) {
    if cfg!(target_endian = "big") {
        for (at, len) in host_numbers(family) {
            if let Some(bytes) = data.get_mut(*at..at + len) {
                bytes.reverse();
            }
        }
    }
}

/// An address as the kernel has it.
#[repr(C, align(8))]
struct RawAddr {
    bytes: [u8; ADDR_MAX],
    len: libc::socklen_t,
}

impl RawAddr {
    fn room() -> RawAddr {
        RawAddr { bytes: [0; ADDR_MAX], len: ADDR_MAX as libc::socklen_t }
    }

    fn new(addr: &SockAddr) -> Result<RawAddr, Errno> {
        let len = addr.data.len() + 2;
        if len > ADDR_MAX {
            return Err(Errno::EINVAL);
        }
        let mut raw = RawAddr { bytes: [0; ADDR_MAX], len: len as libc::socklen_t };
        let head = if cfg!(target_endian = "big") { addr.family.to_be_bytes() } else { addr.family.to_le_bytes() };
        raw.bytes[..2].copy_from_slice(&head);
        raw.bytes[2..len].copy_from_slice(&addr.data);
        swap(addr.family, &mut raw.bytes[2..len]);
        Ok(raw)
    }

    fn ptr(&self) -> *const libc::sockaddr {
        self.bytes.as_ptr().cast()
    }

    fn mut_ptr(&mut self) -> *mut libc::sockaddr {
        self.bytes.as_mut_ptr().cast()
    }

    /// The address; none if the kernel wrote none.
    fn neutral(&self) -> Option<SockAddr> {
        let len = (self.len as usize).min(ADDR_MAX);
        if len < 2 {
            return None;
        }
        let family = native::u16(&self.bytes, 0);
        let mut data = self.bytes[2..len].to_vec();
        swap(family, &mut data);
        Some(SockAddr { family, data })
    }
}

/// `socket(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn socket(domain: i32, kind: i32, protocol: i32) -> Result<Fd, Errno> {
    // SAFETY: no pointers.
    cvt(unsafe { libc::socket(domain, kind, protocol) })
}

/// `socketpair(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn socketpair(domain: i32, kind: i32, protocol: i32) -> Result<(Fd, Fd), Errno> {
    let mut pair = [0; 2];
    // SAFETY: room for two descriptors.
    cvt0(unsafe { libc::socketpair(domain, kind, protocol, pair.as_mut_ptr()) })?;
    Ok((pair[0], pair[1]))
}

/// `bind(2)`.
///
/// # Errors
/// The kernel's errno; `EINVAL` for an address that is too long.
pub fn bind(fd: Fd, addr: &SockAddr) -> Result<(), Errno> {
    let raw = RawAddr::new(addr)?;
    // SAFETY: `raw` holds `len` bytes.
    cvt0(unsafe { libc::bind(fd, raw.ptr(), raw.len) })
}

/// `listen(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn listen(fd: Fd, backlog: i32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    cvt0(unsafe { libc::listen(fd, backlog) })
}

/// `connect(2)`.
///
/// # Errors
/// The kernel's errno; `EINVAL` for an address that is too long.
pub fn connect(fd: Fd, addr: &SockAddr) -> Result<(), Errno> {
    let raw = RawAddr::new(addr)?;
    // SAFETY: `raw` holds `len` bytes.
    cvt0(unsafe { libc::connect(fd, raw.ptr(), raw.len) })
}

/// `accept4(2)`: the connection and the peer's address, if it has one.
///
/// # Errors
/// The kernel's errno.
pub fn accept4(fd: Fd, flags: i32) -> Result<(Fd, Option<SockAddr>), Errno> {
    let mut raw = RawAddr::room();
    let mut len = raw.len;
    // SAFETY: `raw` has room for `len` bytes.
    let new = cvt(unsafe { libc::accept4(fd, raw.mut_ptr(), &raw mut len, flags) })?;
    raw.len = len;
    Ok((new, raw.neutral()))
}

macro_rules! names {
    ($($name:ident)*) => {$(
        #[doc = concat!("`", stringify!($name), "(2)`; none for a socket without an address.\n\n# Errors\nThe kernel's errno.")]
        pub fn $name(fd: Fd) -> Result<Option<SockAddr>, Errno> {
            let mut raw = RawAddr::room();
            let mut len = raw.len;
            // SAFETY: `raw` has room for `len` bytes.
            cvt0(unsafe { libc::$name(fd, raw.mut_ptr(), &raw mut len) })?;
            raw.len = len;
            Ok(raw.neutral())
        }
    )*};
}
names!(getsockname getpeername);

/// `shutdown(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn shutdown(fd: Fd, how: i32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    cvt0(unsafe { libc::shutdown(fd, how) })
}

/// `sendto(2)`, or `send(2)` without an address.
///
/// # Errors
/// The kernel's errno.
pub fn sendto(fd: Fd, buf: &[u8], flags: i32, addr: Option<&SockAddr>) -> Result<usize, Errno> {
    let raw = addr.map(RawAddr::new).transpose()?;
    let (ptr, len) = raw.as_ref().map_or((core::ptr::null(), 0), |r| (r.ptr(), r.len));
    // SAFETY: pointer and length of `buf`, and of an address or nothing.
    cvt_len(unsafe { libc::sendto(fd, buf.as_ptr().cast::<c_void>(), buf.len(), flags, ptr, len) })
}

/// `recvfrom(2)`: the length (with `MSG_TRUNC` possibly more than there is room) and the sender, if known.
///
/// # Errors
/// The kernel's errno.
pub fn recvfrom(fd: Fd, buf: &mut [u8], flags: i32) -> Result<(usize, Option<SockAddr>), Errno> {
    let mut raw = RawAddr::room();
    let mut len = raw.len;
    let data = buf.as_mut_ptr().cast::<c_void>();
    // SAFETY: pointer and length of `buf`; `raw` has room for `len` bytes.
    let got = cvt_len(unsafe { libc::recvfrom(fd, data, buf.len(), flags, raw.mut_ptr(), &raw mut len) })?;
    raw.len = if len as usize == ADDR_MAX && raw.bytes[..2] == [0, 0] { 0 } else { len };
    Ok((got, raw.neutral()))
}

/// A control message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Control {
    /// `SCM_RIGHTS`: descriptors.
    Rights(Vec<Fd>),
    /// `SCM_CREDENTIALS`.
    Credentials {
        /// Process.
        pid: i32,
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Another one, its bytes as the host's kernel lays them out.
    Other {
        /// Level of the host (`SOL_*`).
        level: i32,
        /// Type of the host.
        kind: i32,
        /// Contents.
        data: Vec<u8>,
    },
}

/// `SCM_CREDENTIALS` (linux/socket.h).
const SCM_CREDENTIALS: i32 = 2;
/// Bytes of a `struct cmsghdr` (a `size_t` and two `int`) and the alignment of messages.
const WORD: usize = size_of::<usize>();
const HEAD: usize = WORD + 8;

/// Buffers of control messages must be aligned as their headers.
fn words(bytes: usize) -> Vec<usize> {
    vec![0; bytes.div_ceil(WORD)]
}

#[allow(clippy::disallowed_methods, reason = "the kernel of the host reads these bytes")]
fn encode(messages: &[Control]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages {
        let (level, kind, data) = match message {
            Control::Rights(fds) => {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS, fds.iter().flat_map(|fd| fd.to_ne_bytes()).collect())
            }
            Control::Credentials { pid, uid, gid } => {
                let data = [*pid as u32, *uid, *gid].iter().flat_map(|v| v.to_ne_bytes()).collect();
                (libc::SOL_SOCKET, SCM_CREDENTIALS, data)
            }
            Control::Other { level, kind, data } => (*level, *kind, data.clone()),
        };
        out.extend((HEAD + data.len()).to_ne_bytes());
        out.extend(level.to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend(data);
        out.resize(out.len().next_multiple_of(WORD), 0);
    }
    out
}

fn decode(mut bytes: &[u8]) -> Vec<Control> {
    let mut list = Vec::new();
    while bytes.len() >= HEAD {
        let len = native::usize(bytes, 0);
        if len < HEAD || len > bytes.len() {
            break;
        }
        let (level, kind) = (native::i32(bytes, WORD), native::i32(bytes, WORD + 4));
        let data = &bytes[HEAD..len];
        list.push(match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                Control::Rights(data.chunks_exact(4).map(|c| native::i32(c, 0)).collect())
            }
            (libc::SOL_SOCKET, SCM_CREDENTIALS) => {
                Control::Credentials { pid: native::i32(data, 0), uid: native::u32(data, 4), gid: native::u32(data, 8) }
            }
            _ => Control::Other { level, kind, data: data.to_vec() },
        });
        bytes = bytes.get(len.next_multiple_of(WORD)..).unwrap_or_default();
    }
    list
}

/// `sendmsg(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn sendmsg(
    fd: Fd,
    addr: Option<&SockAddr>,
    iov: &[IoSlice<'_>],
    control: &[Control],
    flags: i32,
) -> Result<usize, Errno> {
    let mut raw = addr.map(RawAddr::new).transpose()?;
    let bytes = encode(control);
    let mut buf = words(bytes.len());
    // SAFETY: all-zero bytes are a valid `msghdr` (null pointers and integers).
    let mut msg: libc::msghdr = unsafe { core::mem::zeroed() };
    if let Some(raw) = &mut raw {
        msg.msg_namelen = raw.len;
        msg.msg_name = raw.mut_ptr().cast();
    }
    msg.msg_iov = iov.as_ptr().cast_mut().cast();
    msg.msg_iovlen = iov.len() as _;
    if !bytes.is_empty() {
        // SAFETY: `buf` was made with at least that many bytes.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), buf.as_mut_ptr().cast::<u8>(), bytes.len()) };
        msg.msg_control = buf.as_mut_ptr().cast();
        msg.msg_controllen = bytes.len() as _;
    }
    // SAFETY: every pointer in `msg` is null or that of a live buffer of the stated length; `IoSlice` is ABI-compatible
    // with `iovec` (std's promise), and sending only reads.
    cvt_len(unsafe { libc::sendmsg(fd, &raw const msg, flags) })
}

/// What [`recvmsg`] received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Bytes of data.
    pub len: usize,
    /// The sender, if known.
    pub addr: Option<SockAddr>,
    /// Control messages.
    pub control: Vec<Control>,
    /// `MSG_*`: what was cut and other facts.
    pub flags: i32,
}

/// `recvmsg(2)` with room for `control_room` bytes of control messages, headers included, in the host's form.
///
/// # Errors
/// The kernel's errno.
pub fn recvmsg(fd: Fd, iov: &mut [IoSliceMut<'_>], control_room: usize, flags: i32) -> Result<Received, Errno> {
    let mut raw = RawAddr::room();
    let mut buf = words(control_room.min(1 << 16));
    // SAFETY: all-zero bytes are a valid `msghdr` (null pointers and integers).
    let mut msg: libc::msghdr = unsafe { core::mem::zeroed() };
    msg.msg_name = raw.mut_ptr().cast();
    msg.msg_namelen = raw.len;
    msg.msg_iov = iov.as_mut_ptr().cast();
    msg.msg_iovlen = iov.len() as _;
    if !buf.is_empty() {
        msg.msg_control = buf.as_mut_ptr().cast();
        msg.msg_controllen = control_room.min(buf.len() * WORD) as _;
    }
    // SAFETY: every pointer in `msg` is null or that of a live buffer of the stated length; `IoSliceMut` is
    // ABI-compatible with `iovec` (std's promise).
    let len = cvt_len(unsafe { libc::recvmsg(fd, &raw mut msg, flags) })?;
    raw.len = msg.msg_namelen;
    let filled = (msg.msg_controllen as usize).min(buf.len() * WORD);
    // SAFETY: `filled` bytes lie inside `buf`, whose every byte is initialised.
    let bytes = unsafe { core::slice::from_raw_parts(buf.as_ptr().cast::<u8>(), filled) };
    Ok(Received { len, addr: raw.neutral(), control: decode(bytes), flags: msg.msg_flags })
}

/// Descriptors that one [`receive`] takes; the kernel's own limit for a message is 253 (`SCM_MAX_FD`).
const PASSED: usize = 253;

/// As `recv(2)` with `MSG_DONTWAIT`, and the descriptors that came along (`SCM_RIGHTS`), which are the caller's.
///
/// # Errors
/// The kernel's errno; `EAGAIN` when there is nothing.
pub fn receive(fd: Fd, buf: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    let got = recvmsg(fd, &mut [IoSliceMut::new(buf)], HEAD + 4 * PASSED, flags)?;
    let mut passed = Vec::new();
    for message in got.control {
        if let Control::Rights(fds) = message {
            // SAFETY: the kernel has just made these descriptors for this message, so nobody else knows them.
            passed.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((got.len, passed))
}

/// Takes over a descriptor that tern was started with, or a copy of standard input, output or error.  It can be taken once:
/// what tern opens itself is close-on-exec, an inherited descriptor is not, and becomes so here.
///
/// # Errors
/// `EBADF` if there is no such descriptor, or it is one of tern's own.
pub fn inherit(fd: Fd) -> Result<OwnedFd, Errno> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if (0..=2).contains(&fd) {
        let copy = super::file::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3)?;
        // SAFETY: a new descriptor that nobody else knows.
        return Ok(unsafe { OwnedFd::from_raw_fd(copy) });
    }
    if super::file::fcntl(fd, libc::F_GETFD, 0)? & libc::FD_CLOEXEC != 0 {
        return Err(Errno::EBADF);
    }
    super::file::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC)?;
    // SAFETY: it is open, and nobody in this process owns it: whatever the process opens is close-on-exec from its first
    // moment on, and so is what was taken here before.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Options whose value holds a pointer, or that reach into tern's own memory otherwise, stay closed.
fn option_is_flat(level: i32, name: i32) -> bool {
    match level {
        // SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF hold a pointer.
        libc::SOL_SOCKET => name != libc::SO_ATTACH_FILTER && name != libc::SO_ATTACH_REUSEPORT_CBPF,
        // Netfilter's tables (64 and up in IPv4; 64 and 65 in IPv6) hold pointers.
        libc::IPPROTO_IP => name < 64,
        libc::IPPROTO_IPV6 => name != 64 && name != 65,
        // TCP_ZEROCOPY_RECEIVE (35) holds addresses to remap.
        libc::IPPROTO_TCP => name != 35,
        libc::IPPROTO_UDP | libc::IPPROTO_ICMPV6 | libc::IPPROTO_RAW | libc::SOL_NETLINK => true,
        _ => false,
    }
}

/// `setsockopt(2)` for options whose value holds no pointer; value in the host's form.
///
/// # Errors
/// The kernel's errno; `ENOPROTOOPT` for other options.
pub fn setsockopt(fd: Fd, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
    if !option_is_flat(level, name) {
        return Err(Errno::ENOPROTOOPT);
    }
    let len = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: pointer and length of `value`, which holds no pointer.
    cvt0(unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast::<c_void>(), len) })
}

/// `getsockopt(2)` for options whose value holds no pointer; value in the host's form. Returns its length.
///
/// # Errors
/// The kernel's errno; `ENOPROTOOPT` for other options.
pub fn getsockopt(fd: Fd, level: i32, name: i32, value: &mut [u8]) -> Result<usize, Errno> {
    if !option_is_flat(level, name) {
        return Err(Errno::ENOPROTOOPT);
    }
    let mut len = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: pointer and length of `value`, which holds no pointer.
    cvt0(unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast::<c_void>(), &raw mut len) })?;
    Ok((len as usize).min(value.len()))
}
