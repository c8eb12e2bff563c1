//! Socket addresses between guest memory and the host.

use crate::abi::io_flags::Family;
use crate::abi::{Abi, Errno, Field, GuestPtr};
use crate::args::Arg;
use crate::cx::Cx;
use crate::strace::Show;
use tern_core::mem::Endian;
use tern_host::sys::socket::SockAddr;

/// The longest address (`struct sockaddr_storage`).
pub const ADDR_MAX: u64 = 128;

/// Where an address holds numbers of the guest's byte order after the family: offset and size.  tern-host has these
/// little-endian.
fn numbers(family: u16) -> &'static [(usize, usize)] {
    match u64::from(family) {
        Family::AF_INET6 => &[(22, 4)],
        Family::AF_NETLINK | Family::AF_VSOCK => &[(2, 4), (6, 4)],
        Family::AF_PACKET => &[(2, 4), (6, 2)],
        _ => &[],
    }
}

fn swap(abi: Abi, family: u16, data: &mut [u8]) {
    if abi.endian == Endian::Big {
        for (at, len) in numbers(family) {
            if let Some(bytes) = data.get_mut(*at..at + len) {
                bytes.reverse();
            }
        }
    }
}

/// An address from its bytes in the guest's form.
fn decode(abi: Abi, bytes: &[u8]) -> Option<SockAddr> {
    let (head, data) = bytes.split_at_checked(2)?;
    let family = u16::get(head, abi);
    let mut data = data.to_vec();
    swap(abi, family, &mut data);
    Some(SockAddr { family, data })
}

/// Reads an address of `len` bytes.
///
/// # Errors
/// `EINVAL` for a length that none has, `EFAULT`.
pub fn get(cx: &mut Cx<'_>, addr: u64, len: i32) -> Result<SockAddr, Errno> {
    let len = u64::try_from(len).ok().filter(|len| (2..=ADDR_MAX).contains(len)).ok_or(Errno::EINVAL)?;
    let bytes = cx.bytes(addr, len)?;
    decode(cx.abi(), &bytes).ok_or(Errno::EINVAL)
}

/// Writes an address, cut to the room that the guest has, and returns its full length.
///
/// # Errors
/// `EFAULT`.
pub fn put(cx: &mut Cx<'_>, addr: u64, room: u64, value: Option<&SockAddr>) -> Result<i32, Errno> {
    let Some(value) = value else { return Ok(0) };
    let abi = cx.abi();
    let mut bytes = u16::to_bytes(&value.family, abi);
    let mut data = value.data.clone();
    swap(abi, value.family, &mut data);
    bytes.append(&mut data);
    let n = room.min(bytes.len() as u64) as usize;
    cx.put_bytes(addr, &bytes[..n])?;
    Ok(bytes.len() as i32)
}

/// Room for an address whose length is read and written through a pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    addr: u64,
    len_at: u64,
    len: u64,
}

impl Room {
    /// The room at `addr`, none if it is null.
    ///
    /// # Errors
    /// `EFAULT`; `EINVAL` for a negative length.
    pub fn new(cx: &mut Cx<'_>, addr: SockaddrOut, len: LenPtr) -> Result<Option<Room>, Errno> {
        if addr.0 == 0 {
            return Ok(None);
        }
        let bytes = cx.read::<i32>(GuestPtr::new(len.0))?;
        Ok(Some(Room { addr: addr.0, len_at: len.0, len: u64::try_from(bytes).map_err(|_| Errno::EINVAL)? }))
    }

    /// Writes address and length.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn put(self, cx: &mut Cx<'_>, value: Option<&SockAddr>) -> Result<(), Errno> {
        let len = put(cx, self.addr, self.len, value)?;
        cx.write::<i32>(GuestPtr::new(self.len_at), &len)
    }
}

/// An address that the call reads; its length is named on the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SockaddrIn(pub u64);
/// Room for an address; the pointer to its length is named on the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SockaddrOut(pub u64);
/// A pointer to a length that the call reads and writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LenPtr(pub u64);

/// Prints an address.
pub fn show(s: &mut Show<'_>, addr: u64, len: u64) {
    let abi = s.abi;
    let bytes = if addr == 0 { None } else { s.memory(addr, len.min(ADDR_MAX)) };
    let Some(value) = bytes.and_then(|b| decode(abi, &b)) else { return s.addr(addr) };
    let data = &value.data;
    s.put(format_args!("{{sa_family="));
    s.constant::<Family>(u32::from(value.family));
    let port = || data.get(..2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    let word = |at: usize| data.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    match u64::from(value.family) {
        Family::AF_UNIX if !data.is_empty() => {
            let abstract_name = data[0] == 0;
            let rest = &data[usize::from(abstract_name)..];
            let end = if abstract_name { None } else { rest.iter().position(|b| *b == 0) };
            s.put(format_args!(", sun_path={}", if abstract_name { "@" } else { "" }));
            s.quoted(&rest[..end.unwrap_or(rest.len())], false);
        }
        Family::AF_INET if data.len() >= 6 => {
            let ip = core::net::Ipv4Addr::new(data[2], data[3], data[4], data[5]);
            s.put(format_args!(", sin_port=htons({}), sin_addr=inet_addr(\"{ip}\")", port()));
        }
        Family::AF_INET6 if data.len() >= 26 => {
            let mut ip = [0; 16];
            ip.copy_from_slice(&data[6..22]);
            let ip = core::net::Ipv6Addr::from(ip);
            let scope = word(22);
            s.put(format_args!(", sin6_port=htons({}), inet_pton(AF_INET6, \"{ip}\", &sin6_addr)", port()));
            s.put(format_args!(", sin6_scope_id={scope}"));
        }
        Family::AF_NETLINK if data.len() >= 10 => {
            s.put(format_args!(", nl_pid={}, nl_groups={:#010x}", word(2), word(6)));
        }
        _ if data.is_empty() => {}
        _ => {
            s.put(format_args!(", sa_data="));
            s.quoted(data, false);
        }
    }
    s.put(format_args!("}}"));
}

impl Arg for SockaddrIn {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(SockaddrIn(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let addr = s.abi.word_of(raw);
        show(s, addr, len.unwrap_or(0) & 0xffff_ffff);
    }
}

impl Arg for SockaddrOut {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(SockaddrOut(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let (addr, len_at) = (s.abi.word_of(raw), s.abi.word_of(len.unwrap_or(0)));
        match s.read::<u32>(len_at) {
            Some(len) if s.result().is_some() => show(s, addr, u64::from(len)),
            _ => s.addr(addr),
        }
    }
}

impl Arg for LenPtr {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(LenPtr(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        let addr = s.abi.word_of(raw);
        match s.read::<i32>(addr) {
            Some(len) if addr != 0 => s.put(format_args!("[{len}]")),
            _ => s.addr(addr),
        }
    }
}
