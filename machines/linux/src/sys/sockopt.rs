//! Socket options: values between guest memory and the host.

use crate::abi::io_flags::{SockLevel, SockOpt};
use crate::abi::io_structs::Timeval64;
use crate::abi::structs::Timeval;
use crate::abi::{Abi, Errno, Field, GuestPtr};
use crate::args::{Arg, Const, Fd, Int};
use crate::cx::{Cx, SysResult};
use crate::strace::Show;
use crate::sys::control::reorder;
use crate::sys::sockaddr::LenPtr;
use tern_core::mem::Endian;
use tern_host::sys;
use tern_host::sys::host;

/// A number that the host's kernel wrote as an `int`.
#[must_use]
pub fn host_int(bytes: [u8; 4]) -> i32 {
    if cfg!(target_endian = "big") { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) }
}

/// An `int` for the host's kernel.
#[must_use]
pub fn to_host_int(value: i32) -> [u8; 4] {
    if cfg!(target_endian = "big") { value.to_be_bytes() } else { value.to_le_bytes() }
}

/// The type of a socket (`SOCK_*` of the host).
///
/// # Errors
/// `ENOTSOCK`, `EBADF`.
pub fn socket_type(fd: i32) -> Result<i32, Errno> {
    let mut value = [0; 4];
    sys::socket::getsockopt(fd, host::SOL_SOCKET, host::SO_TYPE, &mut value)?;
    Ok(host_int(value))
}

/// The longest value.
const VALUE_MAX: i32 = 1 << 16;

/// How a value is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// Numbers of 32 bits, or a single byte.
    Ints,
    /// Bytes without numbers of the machine's order.
    Bytes,
    /// 32-bit numbers at the places after this one.
    From(usize),
    /// `struct timeval` of words.
    Time,
    /// `struct timeval` of 64 bits.
    Time64,
    /// An error number.
    Error,
    /// `SOCK_*`.
    Type,
    /// A structure that is only right if both have the same byte order.
    Opaque,
}

/// The shape of an option of the guest.
fn shape(level: i32, name: i32) -> Shape {
    let level = level as u64;
    match (level, name as u64) {
        (SockLevel::SOL_SOCKET, SockOpt::SO_RCVTIMEO_OLD | SockOpt::SO_SNDTIMEO_OLD) => Shape::Time,
        (SockLevel::SOL_SOCKET, SockOpt::SO_RCVTIMEO_NEW | SockOpt::SO_SNDTIMEO_NEW) => Shape::Time64,
        (SockLevel::SOL_SOCKET, SockOpt::SO_ERROR) => Shape::Error,
        (SockLevel::SOL_SOCKET, SockOpt::SO_TYPE) => Shape::Type,
        (SockLevel::SOL_SOCKET, SockOpt::SO_BINDTODEVICE | SockOpt::SO_PEERSEC) => Shape::Bytes,
        (SockLevel::SOL_SOCKET, SockOpt::SO_COOKIE | SockOpt::SO_MAX_PACING_RATE | SockOpt::SO_PEERNAME) => {
            Shape::Opaque
        }
        // IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_MULTICAST_IF: addresses, then an interface's number.
        (SockLevel::SOL_IP, 32 | 35 | 36) => Shape::From(8),
        // IP_ADD_SOURCE_MEMBERSHIP and its kin: addresses.
        (SockLevel::SOL_IP, 37..=40) => Shape::Bytes,
        // Group requests hold socket addresses.
        (SockLevel::SOL_IP, 42..=48) | (SockLevel::SOL_IPV6, 42..=48) => Shape::Opaque,
        // IPV6_ADD_MEMBERSHIP, IPV6_DROP_MEMBERSHIP, IPV6_JOIN_ANYCAST, IPV6_LEAVE_ANYCAST.
        (SockLevel::SOL_IPV6, 20 | 21 | 27 | 28) => Shape::From(16),
        // TCP_INFO, TCP_MD5SIG, TCP_REPAIR_OPTIONS.
        (SockLevel::SOL_TCP, 11 | 14 | 22) => Shape::Opaque,
        // TCP_CONGESTION, TCP_ULP, TCP_FASTOPEN_KEY.
        (SockLevel::SOL_TCP, 13 | 31 | 33) => Shape::Bytes,
        _ => Shape::Ints,
    }
}

/// Options of `SOL_SOCKET` whose numbers differ between architectures, guest first.
const NAMES: &[(u64, i32)] = &[
    (SockOpt::SO_REUSEADDR, host::SO_REUSEADDR),
    (SockOpt::SO_TYPE, host::SO_TYPE),
    (SockOpt::SO_ERROR, host::SO_ERROR),
    (SockOpt::SO_DONTROUTE, host::SO_DONTROUTE),
    (SockOpt::SO_BROADCAST, host::SO_BROADCAST),
    (SockOpt::SO_SNDBUF, host::SO_SNDBUF),
    (SockOpt::SO_RCVBUF, host::SO_RCVBUF),
    (SockOpt::SO_KEEPALIVE, host::SO_KEEPALIVE),
    (SockOpt::SO_OOBINLINE, host::SO_OOBINLINE),
    (SockOpt::SO_PRIORITY, host::SO_PRIORITY),
    (SockOpt::SO_LINGER, host::SO_LINGER),
    (SockOpt::SO_REUSEPORT, host::SO_REUSEPORT),
    (SockOpt::SO_PASSCRED, host::SO_PASSCRED),
    (SockOpt::SO_PEERCRED, host::SO_PEERCRED),
    (SockOpt::SO_RCVLOWAT, host::SO_RCVLOWAT),
    (SockOpt::SO_SNDLOWAT, host::SO_SNDLOWAT),
    (SockOpt::SO_RCVTIMEO_OLD, host::SO_RCVTIMEO),
    (SockOpt::SO_SNDTIMEO_OLD, host::SO_SNDTIMEO),
    (SockOpt::SO_RCVTIMEO_NEW, host::SO_RCVTIMEO),
    (SockOpt::SO_SNDTIMEO_NEW, host::SO_SNDTIMEO),
    (SockOpt::SO_TIMESTAMP_OLD, host::SO_TIMESTAMP),
    (SockOpt::SO_ACCEPTCONN, host::SO_ACCEPTCONN),
    (SockOpt::SO_SNDBUFFORCE, host::SO_SNDBUFFORCE),
    (SockOpt::SO_RCVBUFFORCE, host::SO_RCVBUFFORCE),
    (SockOpt::SO_PROTOCOL, host::SO_PROTOCOL),
    (SockOpt::SO_DOMAIN, host::SO_DOMAIN),
];

/// Level and name on the host; levels other than `SOL_SOCKET` are protocol numbers.
fn to_host(level: i32, name: i32) -> (i32, i32) {
    if level as u64 != SockLevel::SOL_SOCKET {
        return (level, name);
    }
    let known = NAMES.iter().find(|(g, _)| *g == name as u64).map(|(_, h)| *h);
    (host::SOL_SOCKET, known.unwrap_or(name))
}

/// A number of 4 or 8 bytes that the host's kernel wrote; zero for another length.
#[must_use]
pub fn host_number(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    match bytes.len() {
        4 => i64::from(host_int([bytes[0], bytes[1], bytes[2], bytes[3]])),
        8 => {
            wide.copy_from_slice(bytes);
            if cfg!(target_endian = "big") { i64::from_be_bytes(wide) } else { i64::from_le_bytes(wide) }
        }
        _ => 0,
    }
}

/// A `long` of the host's kernel.
fn host_long(value: i64) -> Vec<u8> {
    if cfg!(target_pointer_width = "64") {
        return if cfg!(target_endian = "big") { value.to_be_bytes() } else { value.to_le_bytes() }.to_vec();
    }
    to_host_int(i32::try_from(value).unwrap_or(i32::MAX)).to_vec()
}

fn same_order(abi: Abi) -> bool {
    (abi.endian == Endian::Big) == cfg!(target_endian = "big")
}

/// Changes the numbers in a value between the guest's order and the host's.
fn convert(abi: Abi, shape: Shape, value: &mut [u8]) -> Result<(), Errno> {
    let len = value.len();
    match shape {
        Shape::Ints => reorder(abi, value, (0..len).step_by(4)),
        Shape::From(start) => reorder(abi, value, (start..len).step_by(4)),
        Shape::Opaque if !same_order(abi) => return Err(Errno::ENOPROTOOPT),
        _ => {}
    }
    Ok(())
}

/// `setsockopt(2)`.
pub fn setsockopt(
    cx: &mut Cx<'_>,
    fd: Fd,
    level: Const<SockLevel>,
    name: OptName,
    value: OptIn,
    len: Int,
) -> SysResult {
    let (level, name) = (level.0 as i32, name.0);
    let len = u64::try_from(len.0).map_err(|_| Errno::EINVAL)?.min(VALUE_MAX as u64);
    let abi = cx.abi();
    let mut bytes = cx.bytes(value.0, len)?;
    let kind = shape(level, name);
    let pair = match kind {
        Shape::Time if bytes.len() >= Timeval::size(abi) => {
            let t = Timeval::get(&bytes[..Timeval::size(abi)], abi);
            Some((t.sec, t.usec))
        }
        Shape::Time64 if bytes.len() >= 16 => {
            let t = Timeval64::get(&bytes[..16], abi);
            Some((t.sec, t.usec))
        }
        Shape::Time | Shape::Time64 => return Err(Errno::EINVAL.into()),
        _ => None,
    };
    match pair {
        Some((sec, usec)) => bytes = [host_long(sec), host_long(usec)].concat(),
        None => convert(abi, kind, &mut bytes)?,
    }
    let (host_level, host_name) = to_host(level, name);
    match sys::socket::setsockopt(fd.0, host_level, host_name, &bytes) {
        Err(sys::Errno::ENOPROTOOPT) => {
            cx.unimplemented(format_args!("setsockopt level {level} option {name}"));
            Err(Errno::ENOPROTOOPT.into())
        }
        other => Ok(other.map(|()| 0)?),
    }
}

/// `getsockopt(2)`.
pub fn getsockopt(
    cx: &mut Cx<'_>,
    fd: Fd,
    level: Const<SockLevel>,
    name: OptName,
    value: OptOut,
    len_at: LenPtr,
) -> SysResult {
    let (level, name) = (level.0 as i32, name.0);
    let abi = cx.abi();
    let room = cx.read::<i32>(GuestPtr::new(len_at.0))?;
    let room = usize::try_from(room.min(VALUE_MAX)).map_err(|_| Errno::EINVAL)?;
    let kind = shape(level, name);
    let (host_level, host_name) = to_host(level, name);
    let mut bytes = vec![0; if matches!(kind, Shape::Time | Shape::Time64) { 16 } else { room }];
    let n = match sys::socket::getsockopt(fd.0, host_level, host_name, &mut bytes) {
        Err(sys::Errno::ENOPROTOOPT) => {
            cx.unimplemented(format_args!("getsockopt level {level} option {name}"));
            return Err(Errno::ENOPROTOOPT.into());
        }
        other => other?,
    };
    bytes.truncate(n);
    let half = n / 2;
    let int = |bytes: &[u8]| host_number(bytes) as i32;
    let mut bytes = match kind {
        Shape::Time => {
            let t = Timeval { sec: host_number(&bytes[..half]), usec: host_number(&bytes[half..]) };
            Timeval::to_bytes(&t, abi)
        }
        Shape::Time64 => {
            let t = Timeval64 { sec: host_number(&bytes[..half]), usec: host_number(&bytes[half..]) };
            Timeval64::to_bytes(&t, abi)
        }
        Shape::Error => {
            let error = match int(&bytes) {
                0 => 0,
                e => i32::from((cx.isa().errno)(Errno::from(sys::Errno(e)))),
            };
            i32::to_bytes(&error, abi)
        }
        Shape::Type => i32::to_bytes(&super::socket::type_from_host(int(&bytes)), abi),
        _ => {
            convert(abi, kind, &mut bytes)?;
            bytes
        }
    };
    bytes.truncate(room);
    cx.put_bytes(value.0, &bytes)?;
    cx.write::<i32>(GuestPtr::new(len_at.0), &(bytes.len() as i32))?;
    Ok(0)
}

/// Nanoseconds that receiving (or sending) may take (`SO_RCVTIMEO`, `SO_SNDTIMEO`); none if there is no limit.
#[must_use]
pub fn timeout(fd: i32, sending: bool) -> Option<u64> {
    let name = if sending { host::SO_SNDTIMEO } else { host::SO_RCVTIMEO };
    let mut value = [0; 16];
    let n = sys::socket::getsockopt(fd, host::SOL_SOCKET, name, &mut value).ok()?;
    let (sec, usec) = value[..n].split_at(n / 2);
    let span = (host_number(sec) as u64).saturating_mul(1_000_000_000) + host_number(usec) as u64 * 1000;
    (span > 0).then_some(span)
}

/// An option's number, whose name depends on the level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptName(pub i32);
/// The value of an option to set; its length is named on the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptIn(pub u64);
/// Room for the value of an option; the pointer to its length is named on the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptOut(pub u64);

impl Arg for OptName {
    fn fetch(_cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(OptName(raw as i32))
    }
    fn show(s: &mut Show<'_>, raw: u64, level: Option<u64>) {
        if level.map(|l| l & 0xffff_ffff) == Some(SockLevel::SOL_SOCKET) {
            s.constant::<SockOpt>(raw as u32);
        } else {
            s.put(format_args!("{}", raw as i32));
        }
    }
}

fn show_value(s: &mut Show<'_>, addr: u64, len: u64) {
    match s.read::<i32>(addr) {
        Some(value) if len == 4 => s.put(format_args!("[{value}]")),
        _ => s.bytes(addr, len),
    }
}

impl Arg for OptIn {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(OptIn(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let addr = s.abi.word_of(raw);
        show_value(s, addr, len.unwrap_or(0) & 0xffff_ffff);
    }
}

impl Arg for OptOut {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(OptOut(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let (addr, len_at) = (s.abi.word_of(raw), s.abi.word_of(len.unwrap_or(0)));
        match s.read::<u32>(len_at) {
            Some(len) if s.result().is_some() => show_value(s, addr, u64::from(len)),
            _ => s.addr(addr),
        }
    }
}
