//! Control messages of `sendmsg` and `recvmsg` between guest memory and the host.

use crate::abi::io_flags::{Msg, SockLevel, SockOpt};
use crate::abi::io_structs::{Cmsghdr, Timeval64};
use crate::abi::structs::{Timespec, Timespec64, Timeval};
use crate::abi::{Abi, Errno, Field};
use crate::cx::Cx;
use crate::sys::sockopt;
use tern_core::mem::Endian;
use tern_host::sys;
use tern_host::sys::host;
use tern_host::sys::socket::Control;

/// `SCM_RIGHTS`.
const SCM_RIGHTS: i32 = 1;
/// `SCM_CREDENTIALS`.
const SCM_CREDENTIALS: i32 = 2;
/// Most bytes of control messages (`net.core.optmem_max` is far less).
const CONTROL_MAX: u64 = 1 << 16;

fn header(abi: Abi) -> usize {
    Cmsghdr::size(abi).next_multiple_of(abi.word_bytes())
}

/// Offsets of 32-bit numbers of the machine's byte order in messages other than those of `SOL_SOCKET`.
fn numbers(level: i32, kind: i32, len: usize) -> &'static [usize] {
    match (level as u64, kind) {
        // IP_PKTINFO: the interface.  IP_RECVERR, IPV6_RECVERR: errno, info, data of sock_extended_err.
        (SockLevel::SOL_IP, 8) => &[0],
        (SockLevel::SOL_IP, 11) | (SockLevel::SOL_IPV6, 25) => &[0, 8, 12],
        // IPV6_PKTINFO: the interface behind the address.
        (SockLevel::SOL_IPV6, 50) => &[16],
        _ if len == 4 => &[0],
        _ => &[],
    }
}

/// Changes 32-bit numbers between the guest's order and the host's.
pub fn reorder(abi: Abi, bytes: &mut [u8], offsets: impl IntoIterator<Item = usize>) {
    if (abi.endian == Endian::Big) != cfg!(target_endian = "big") {
        for at in offsets {
            if let Some(word) = bytes.get_mut(at..at + 4) {
                word.reverse();
            }
        }
    }
}

/// Reads the control messages of a message to send.
///
/// # Errors
/// `EINVAL` for lengths that do not fit, `ENOBUFS` for more than any socket takes, `EFAULT`.
pub fn get(cx: &mut Cx<'_>, addr: u64, len: u64) -> Result<Vec<Control>, Errno> {
    if len > CONTROL_MAX {
        return Err(Errno::ENOBUFS);
    }
    let abi = cx.abi();
    let bytes = cx.bytes(addr, len)?;
    let mut list = Vec::new();
    let mut rest = bytes.as_slice();
    while rest.len() >= Cmsghdr::size(abi) {
        let head = Cmsghdr::get(&rest[..Cmsghdr::size(abi)], abi);
        let len = usize::try_from(head.len).map_err(|_| Errno::EINVAL)?;
        let data = rest.get(header(abi)..len).ok_or(Errno::EINVAL)?;
        list.push(one(abi, head.level, head.kind, data)?);
        rest = rest.get(len.next_multiple_of(abi.word_bytes())..).unwrap_or_default();
    }
    Ok(list)
}

fn one(abi: Abi, level: i32, kind: i32, data: &[u8]) -> Result<Control, Errno> {
    let ints = || data.chunks_exact(4).map(|c| i32::get(c, abi)).collect::<Vec<i32>>();
    if level as u64 == SockLevel::SOL_SOCKET {
        return Ok(match (kind, ints().as_slice()) {
            (SCM_RIGHTS, fds) => Control::Rights(fds.to_vec()),
            (SCM_CREDENTIALS, [pid, uid, gid]) => {
                Control::Credentials { pid: *pid, uid: *uid as u32, gid: *gid as u32 }
            }
            (SCM_CREDENTIALS, _) => return Err(Errno::EINVAL),
            _ => Control::Other { level: host::SOL_SOCKET, kind, data: data.to_vec() },
        });
    }
    let mut data = data.to_vec();
    let offsets = numbers(level, kind, data.len());
    reorder(abi, &mut data, offsets.iter().copied());
    Ok(Control::Other { level, kind, data })
}

/// Room that the host needs for what fits into `room` bytes of the guest.
#[must_use]
pub fn host_room(room: u64) -> usize {
    if room == 0 { 0 } else { (room.min(CONTROL_MAX) * 2 + 64) as usize }
}

/// Two times or one or three: words or 64 bits of the host, as its kernel wrote them.
fn host_numbers(data: &[u8], wide: bool) -> Vec<i64> {
    let size = if wide || cfg!(target_pointer_width = "64") { 8 } else { 4 };
    data.chunks_exact(size).map(sockopt::host_number).collect()
}

/// A message's level, type and contents in the guest's form.
fn encode(abi: Abi, message: &Control) -> (i32, i32, Vec<u8>) {
    let socket = SockLevel::SOL_SOCKET as i32;
    let ints = |list: &[i32]| list.iter().flat_map(|v| i32::to_bytes(v, abi)).collect::<Vec<u8>>();
    match message {
        Control::Rights(fds) => (socket, SCM_RIGHTS, ints(fds)),
        Control::Credentials { pid, uid, gid } => (socket, SCM_CREDENTIALS, ints(&[*pid, *uid as i32, *gid as i32])),
        Control::Other { level, kind, data } if *level == host::SOL_SOCKET => (socket, *kind, times(abi, *kind, data)),
        Control::Other { level, kind, data } => {
            let mut data = data.clone();
            let offsets = numbers(*level, *kind, data.len());
            reorder(abi, &mut data, offsets.iter().copied());
            (*level, *kind, data)
        }
    }
}

/// Messages of `SOL_SOCKET`: time stamps, of words or of 64 bits; others are numbers.
fn times(abi: Abi, kind: i32, data: &[u8]) -> Vec<u8> {
    let pairs = |wide| host_numbers(data, wide).chunks_exact(2).map(|p| (p[0], p[1])).collect::<Vec<_>>();
    let spec = |(sec, nsec)| Timespec::to_bytes(&Timespec { sec, nsec }, abi);
    let spec64 = |(sec, nsec)| Timespec64::to_bytes(&Timespec64 { sec, nsec }, abi);
    match kind as u64 {
        SockOpt::SO_TIMESTAMP_OLD => {
            let val = |(sec, usec)| Timeval::to_bytes(&Timeval { sec, usec }, abi);
            pairs(false).into_iter().flat_map(val).collect()
        }
        SockOpt::SO_TIMESTAMPNS_OLD | SockOpt::SO_TIMESTAMPING_OLD => pairs(false).into_iter().flat_map(spec).collect(),
        SockOpt::SO_TIMESTAMP_NEW => {
            let val = |(sec, usec)| Timeval64::to_bytes(&Timeval64 { sec, usec }, abi);
            pairs(true).into_iter().flat_map(val).collect()
        }
        SockOpt::SO_TIMESTAMPNS_NEW | SockOpt::SO_TIMESTAMPING_NEW => {
            pairs(true).into_iter().flat_map(spec64).collect()
        }
        _ => {
            let mut data = data.to_vec();
            let len = data.len();
            reorder(abi, &mut data, (0..len).step_by(4));
            data
        }
    }
}

/// Writes received messages into the guest's room.  Returns the bytes used and `MSG_CTRUNC` if something did not fit;
/// descriptors that did not fit are closed.
///
/// # Errors
/// `EFAULT`.
pub fn put(cx: &mut Cx<'_>, addr: u64, room: u64, list: &[Control]) -> Result<(u64, u64), Errno> {
    let abi = cx.abi();
    let head = header(abi);
    let mut out = Vec::new();
    let mut flags = 0;
    let room = room.min(CONTROL_MAX * 2) as usize;
    for message in list {
        let (level, kind, mut data) = encode(abi, message);
        let left = room.saturating_sub(out.len());
        let fits = left.saturating_sub(head);
        if fits < data.len() {
            flags = Msg::MSG_CTRUNC;
            let whole = if left < head { 0 } else { fits };
            if let Control::Rights(fds) = message {
                for fd in fds.iter().skip(whole / 4) {
                    // The guest never sees them.
                    let _ = sys::file::close(*fd);
                }
                data.truncate(whole / 4 * 4);
            } else {
                data.truncate(whole);
            }
            if left < head || data.is_empty() {
                continue;
            }
        }
        let header = Cmsghdr { len: (head + data.len()) as u64, level, kind };
        let mut bytes = Cmsghdr::to_bytes(&header, abi);
        bytes.resize(head, 0);
        bytes.append(&mut data);
        out.append(&mut bytes);
        out.resize(out.len().next_multiple_of(abi.word_bytes()).min(room), 0);
    }
    cx.put_bytes(addr, &out)?;
    Ok((out.len() as u64, flags))
}
