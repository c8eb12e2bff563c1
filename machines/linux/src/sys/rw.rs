//! Reading and writing: bytes between guest memory and descriptors.
//!
//! A descriptor is asked whether it is ready before a call that could block, so that other threads run meanwhile and no
//! signal is lost.  Bytes go through a buffer of ours; large transfers of files go piece by piece.

use crate::abi::io_flags::Rwf;
use crate::abi::structs::Iovec;
use crate::abi::{Errno, Field, GuestPtr};
use crate::args::{Data, Fd, Flags, Off, OutBuf, Size, Slong};
use crate::cx::{Cx, MAX_RW, Outcome, SysResult};
use crate::sched::Wait;
use crate::signal::SigInfo;
use crate::sys::vector::{IovIn, IovOut, Vector};
use std::io::{IoSlice, IoSliceMut};
use tern_core::mem::Access;
use tern_host::sys;
use tern_host::sys::host;

/// Most bytes that are buffered at once.
const PIECE: u64 = 1 << 20;
/// What can be written to a pipe without blocking once it is writable (`PIPE_BUF`).
const PIPE_BUF: u64 = 4096;
/// Most elements of an iovec array (`UIO_MAXIOV`).
const IOV_MAX: u64 = 1024;

/// Where a transfer happens in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct At {
    /// The position; -1 is the file's own.
    pos: i64,
    /// `RWF_*`.
    flags: i32,
}

const OWN: At = At { pos: -1, flags: 0 };

/// What kind of thing a descriptor is, as far as transfers care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A file with a position: never waits, may go piece by piece.
    File,
    /// Everything else.
    Stream,
    /// A socket: a message is never cut.
    Socket,
}

fn kind(fd: i32) -> Kind {
    match sys::fs::fstat(fd).map(|s| s.mode & 0o170_000) {
        Ok(0o100_000 | 0o060_000) => Kind::File,
        Ok(0o140_000) => Kind::Socket,
        _ => Kind::Stream,
    }
}

/// The parts of guest memory of a transfer, at most `MAX_RW` bytes.
fn parts(cx: &mut Cx<'_>, iov: GuestPtr<Iovec>, count: u64) -> Result<Vec<(u64, u64)>, Errno> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let abi = cx.abi();
    let raw = cx.bytes(iov.addr, count * Iovec::size(abi) as u64)?;
    let mut left = MAX_RW;
    let mut list = Vec::new();
    for chunk in raw.chunks_exact(Iovec::size(abi)) {
        let v = Iovec::get(chunk, abi);
        if abi.long_of(v.len) < 0 {
            return Err(Errno::EINVAL);
        }
        let len = v.len.min(left);
        left -= len;
        list.push((v.base, len));
    }
    Ok(list)
}

/// The part of the parts that allows `access`, up to the first fault; `EFAULT` if that is nothing of something.
fn clip(cx: &mut Cx<'_>, parts: &[(u64, u64)], access: Access) -> Result<Vec<(u64, u64)>, Errno> {
    let mut good = Vec::new();
    for (addr, len) in parts {
        let n = cx.mem().accessible(*addr, *len, access);
        good.push((*addr, n));
        if n < *len {
            if good.iter().all(|(_, n)| *n == 0) {
                return Err(Errno::EFAULT);
            }
            break;
        }
    }
    Ok(good)
}

/// The stretch `from..from + len` of the concatenated parts.
fn stretch(parts: &[(u64, u64)], from: u64, len: u64) -> Vec<(u64, u64)> {
    let (mut skip, mut left) = (from, len);
    let mut out = Vec::new();
    for (addr, n) in parts {
        let cut = skip.min(*n);
        skip -= cut;
        let take = (n - cut).min(left);
        if take > 0 {
            out.push((addr + cut, take));
            left -= take;
        }
    }
    out
}

fn host_read(fd: i32, buf: &mut [u8], at: At) -> Result<usize, sys::Errno> {
    match at {
        OWN => sys::file::read(fd, buf),
        At { pos, flags: 0 } => sys::file::pread(fd, buf, pos),
        At { pos, flags } => sys::file::preadv(fd, &mut [IoSliceMut::new(buf)], pos, flags),
    }
}

fn host_write(fd: i32, buf: &[u8], at: At) -> Result<usize, sys::Errno> {
    match at {
        OWN => sys::file::write(fd, buf),
        At { pos, flags: 0 } => sys::file::pwrite(fd, buf, pos),
        At { pos, flags } => sys::file::pwritev(fd, &[IoSlice::new(buf)], pos, flags),
    }
}

fn transfer_in(cx: &mut Cx<'_>, fd: i32, parts: &[(u64, u64)], at: At) -> SysResult {
    if at.pos < -1 || (at.pos == -1 && at != OWN && at.flags == 0) {
        return Err(Errno::EINVAL.into());
    }
    let parts = match clip(cx, parts, Access::Store) {
        Ok(parts) => parts,
        Err(e) => {
            // A bad descriptor is reported before a bad buffer.
            sys::file::fcntl(fd, host::F_GETFD, 0)?;
            return Err(e.into());
        }
    };
    let total: u64 = parts.iter().map(|p| p.1).sum();
    if at.pos == -1 {
        cx.wait_fd(fd, host::POLLIN)?;
    }
    let mut done = 0u64;
    loop {
        let want = (total - done).min(PIECE);
        let mut buf = vec![0; want as usize];
        let pos = if at.pos == -1 { at.pos } else { at.pos.saturating_add(done as i64) };
        let n = match host_read(fd, &mut buf, At { pos, ..at }) {
            Ok(n) => n,
            Err(_) if done > 0 => break,
            Err(e) => return Err(again(fd, e, host::POLLIN, at)),
        };
        let mut from = 0;
        for (addr, len) in stretch(&parts, done, n as u64) {
            cx.put_bytes(addr, &buf[from..from + len as usize])?;
            from += len as usize;
        }
        done += n as u64;
        if (n as u64) < want || done == total || kind(fd) != Kind::File {
            break;
        }
    }
    Ok(done)
}

/// What an error of a transfer that has moved nothing means.
fn again(fd: i32, e: sys::Errno, events: i16, at: At) -> Outcome {
    match e {
        sys::Errno::EINTR => Outcome::Restart,
        // Somebody else was faster, and the descriptor is one that blocks.
        sys::Errno::EAGAIN if at.pos == -1 && at.flags == 0 && !crate::sched::nonblocking(fd) => {
            Outcome::Block(Wait::fd(fd, events))
        }
        e => Outcome::Err(e.into()),
    }
}

fn transfer_out(cx: &mut Cx<'_>, fd: i32, parts: &[(u64, u64)], at: At) -> SysResult {
    if at.pos < -1 || (at.pos == -1 && at != OWN && at.flags == 0) {
        return Err(Errno::EINVAL.into());
    }
    let parts = match clip(cx, parts, Access::Load) {
        Ok(parts) => parts,
        Err(e) => {
            sys::file::fcntl(fd, host::F_GETFD, 0)?;
            return Err(e.into());
        }
    };
    let total: u64 = parts.iter().map(|p| p.1).sum();
    let alone = cx.process.threads.len() == 1;
    let kind = if total > PIPE_BUF { kind(fd) } else { Kind::Stream };
    loop {
        let done = cx.thread().call.done;
        if at.pos == -1 && kind != Kind::File {
            match cx.wait_fd(fd, host::POLLOUT) {
                Err(Outcome::Err(_)) if done > 0 => return Ok(done),
                other => other?,
            }
        }
        let piece = match kind {
            Kind::Socket => total,
            Kind::Stream if !alone => PIPE_BUF,
            Kind::File | Kind::Stream => PIECE,
        };
        let want = (total - done).min(piece);
        let mut buf = Vec::with_capacity(want as usize);
        for (addr, len) in stretch(&parts, done, want) {
            buf.extend(cx.bytes(addr, len)?);
        }
        let pos = if at.pos == -1 { at.pos } else { at.pos.saturating_add(done as i64) };
        let result = match kind {
            Kind::Socket if at == OWN => sys::socket::sendto(fd, &buf, host::MSG_DONTWAIT | host::MSG_NOSIGNAL, None),
            Kind::Stream => tern_host::signal::blocking(|| host_write(fd, &buf, At { pos, ..at })),
            Kind::File | Kind::Socket => host_write(fd, &buf, At { pos, ..at }),
        };
        match result {
            Ok(n) => {
                cx.thread().call.done += n as u64;
                let done = cx.thread().call.done;
                if done == total || n == 0 || ((n as u64) < want && crate::sched::nonblocking(fd)) {
                    return Ok(done);
                }
            }
            Err(sys::Errno::EPIPE) => {
                broken_pipe(cx);
                return if done > 0 { Ok(done) } else { Err(Errno::EPIPE.into()) };
            }
            Err(sys::Errno::EAGAIN) if !crate::sched::nonblocking(fd) => {
                return Err(Outcome::Block(Wait::fd(fd, host::POLLOUT)));
            }
            Err(_) if done > 0 => return Ok(done),
            Err(e) => return Err(again(fd, e, host::POLLOUT, at)),
        }
    }
}

/// Sends `SIGPIPE` to the calling thread.  tern itself ignores the host's, so that it comes once, and in order.
pub fn broken_pipe(cx: &mut Cx<'_>) {
    let pid = cx.process.pid;
    let info = SigInfo { signo: 13, code: 0, pid, ..SigInfo::default() };
    cx.thread().signals.pending.push_back(info);
}

fn len(n: u64) -> u64 {
    n.min(MAX_RW)
}

/// `read(2)`.
pub fn read(cx: &mut Cx<'_>, fd: Fd, buf: OutBuf, size: Size) -> SysResult {
    let vector = Vector::single(buf.0, len(size.0));
    match super::signalfd::read(cx, fd.0, &vector) {
        Some(result) => result,
        None => transfer_in(cx, fd.0, &[(buf.0, len(size.0))], OWN),
    }
}

/// `write(2)`.
pub fn write(cx: &mut Cx<'_>, fd: Fd, buf: Data, size: Size) -> SysResult {
    transfer_out(cx, fd.0, &[(buf.0, len(size.0))], OWN)
}

fn positioned(pos: i64) -> Result<At, Errno> {
    if pos < 0 { Err(Errno::EINVAL) } else { Ok(At { pos, flags: 0 }) }
}

/// `pread64(2)`.
pub fn pread64(cx: &mut Cx<'_>, fd: Fd, buf: OutBuf, size: Size, pos: Off) -> SysResult {
    transfer_in(cx, fd.0, &[(buf.0, len(size.0))], positioned(pos.0)?)
}

/// `pwrite64(2)`.
pub fn pwrite64(cx: &mut Cx<'_>, fd: Fd, buf: Data, size: Size, pos: Off) -> SysResult {
    transfer_out(cx, fd.0, &[(buf.0, len(size.0))], positioned(pos.0)?)
}

/// `readv(2)`.
pub fn readv(cx: &mut Cx<'_>, fd: Fd, iov: IovOut, count: Size) -> SysResult {
    let vector = Vector::fetch(cx, iov.0, count.0)?;
    if let Some(result) = super::signalfd::read(cx, fd.0, &vector) {
        return result;
    }
    let parts = parts(cx, GuestPtr::new(iov.0), count.0)?;
    transfer_in(cx, fd.0, &parts, OWN)
}

/// `writev(2)`.
pub fn writev(cx: &mut Cx<'_>, fd: Fd, iov: IovIn, count: Size) -> SysResult {
    let parts = parts(cx, GuestPtr::new(iov.0), count.0)?;
    transfer_out(cx, fd.0, &parts, OWN)
}

/// The position of the vector calls: two words, low first (fs/read_write.c, `pos_from_hilo`).
fn pos(cx: &Cx<'_>, low: Slong, high: Slong) -> i64 {
    if cx.abi().is64() { low.0 } else { high.0 << 32 | low.0 & 0xffff_ffff }
}

/// `preadv(2)`.
pub fn preadv(cx: &mut Cx<'_>, fd: Fd, iov: IovOut, count: Size, low: Slong, high: Slong) -> SysResult {
    let at = positioned(pos(cx, low, high))?;
    let parts = parts(cx, GuestPtr::new(iov.0), count.0)?;
    transfer_in(cx, fd.0, &parts, at)
}

/// `pwritev(2)`.
pub fn pwritev(cx: &mut Cx<'_>, fd: Fd, iov: IovIn, count: Size, low: Slong, high: Slong) -> SysResult {
    let at = positioned(pos(cx, low, high))?;
    let parts = parts(cx, GuestPtr::new(iov.0), count.0)?;
    transfer_out(cx, fd.0, &parts, at)
}

fn flagged(pos: i64, flags: u32) -> Result<At, Errno> {
    if pos < -1 {
        return Err(Errno::EINVAL);
    }
    Ok(At { pos, flags: flags as i32 })
}

/// `preadv2(2)`.
pub fn preadv2(
    cx: &mut Cx<'_>,
    fd: Fd,
    iov: IovOut,
    count: Size,
    low: Slong,
    high: Slong,
    flags: Flags<Rwf>,
) -> SysResult {
    let at = flagged(pos(cx, low, high), flags.0 as u32)?;
    let parts = parts(cx, GuestPtr::new(iov.0), count.0)?;
    transfer_in(cx, fd.0, &parts, at)
}

/// `pwritev2(2)`.
pub fn pwritev2(
    cx: &mut Cx<'_>,
    fd: Fd,
    iov: IovIn,
    count: Size,
    low: Slong,
    high: Slong,
    flags: Flags<Rwf>,
) -> SysResult {
    let at = flagged(pos(cx, low, high), flags.0 as u32)?;
    let parts = parts(cx, GuestPtr::new(iov.0), count.0)?;
    transfer_out(cx, fd.0, &parts, at)
}

#[cfg(test)]
mod tests {
    use crate::abi::Errno;
    use crate::isa::riscv::{RISCV32, RISCV64};
    use crate::testing::{Fixture, SCRATCH};

    fn pipe() -> (u64, u64) {
        let (r, w) = tern_host::sys::file::pipe2(0).expect("a pipe");
        (r as u64, w as u64)
    }

    #[test]
    fn bytes_go_through_a_pipe() {
        let mut f = Fixture::new(&RISCV64);
        let (r, w) = pipe();
        f.cx().put_bytes(SCRATCH, b"hello").expect("scratch");
        assert_eq!(f.call("read", [r, SCRATCH, 5, 0, 0, 0]), None, "an empty pipe blocks");
        assert_eq!(f.call("write", [w, SCRATCH, 5, 0, 0, 0]), Some(Ok(5)));
        assert_eq!(f.call("read", [r, SCRATCH + 0x100, 100, 0, 0, 0]), Some(Ok(5)));
        assert_eq!(f.cx().bytes(SCRATCH + 0x100, 5), Ok(b"hello".to_vec()));
        f.cx().thread().call = Default::default();
        assert_eq!(f.call("write", [w, SCRATCH + 0x2000, 1, 0, 0, 0]), Some(Err(Errno::EFAULT)));
        assert_eq!(f.call("write", [w, SCRATCH + 0x1ffe, 10, 0, 0, 0]), Some(Ok(2)), "up to the fault");
        assert_eq!(f.call("write", [999, SCRATCH + 0x2000, 1, 0, 0, 0]), Some(Err(Errno::EBADF)));
        assert_eq!(f.call("close", [r; 6]), Some(Ok(0)));
        f.cx().thread().call = Default::default();
        assert_eq!(f.call("write", [w, SCRATCH, 1, 0, 0, 0]), Some(Err(Errno::EPIPE)));
        assert_eq!(f.cx().thread().signals.pending.front().map(|s| s.signo), Some(13));
        assert_eq!(f.call("close", [w; 6]), Some(Ok(0)));
    }

    #[test]
    fn vectors_scatter_and_gather_in_both_word_sizes() {
        for isa in [&RISCV64, &RISCV32] {
            let mut f = Fixture::new(isa);
            let (r, w) = pipe();
            let w_ = isa.abi.word_bytes() as u64;
            let mut put = |n: u64, v: u64| {
                let ptr = crate::abi::GuestPtr::<crate::abi::ULong>::new(SCRATCH + n * w_);
                f.cx().write(ptr, &v).expect("scratch");
            };
            for (n, v) in [SCRATCH + 0x800, 2, SCRATCH + 0x900, 3].into_iter().enumerate() {
                put(n as u64, v);
            }
            f.cx().put_bytes(SCRATCH + 0x800, b"ab").expect("scratch");
            f.cx().put_bytes(SCRATCH + 0x900, b"cde").expect("scratch");
            assert_eq!(f.call("writev", [w, SCRATCH, 2, 0, 0, 0]), Some(Ok(5)));
            f.cx().put_bytes(SCRATCH + 0x800, b"??").expect("scratch");
            assert_eq!(f.call("readv", [r, SCRATCH, 2, 0, 0, 0]), Some(Ok(5)));
            assert_eq!(f.cx().bytes(SCRATCH + 0x800, 2), Ok(b"ab".to_vec()));
            assert_eq!(f.cx().bytes(SCRATCH + 0x900, 3), Ok(b"cde".to_vec()));
            assert_eq!(f.call("readv", [r, SCRATCH, 1025, 0, 0, 0]), Some(Err(Errno::EINVAL)));
            assert_eq!(f.call("close", [r; 6]).and(f.call("close", [w; 6])), Some(Ok(0)));
        }
    }

    #[test]
    fn positions_take_two_registers_in_32_bit_guests() {
        let path = std::env::temp_dir().join(format!("tern-linux-rw-{}", std::process::id()));
        std::fs::write(&path, b"0123456789").expect("file");
        let file = std::fs::File::open(&path).expect("file");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file) as u64;
        let mut f = Fixture::new(&RISCV32);
        assert_eq!(f.call("pread64", [fd, SCRATCH, 3, 4, 0, 0]), Some(Ok(3)));
        assert_eq!(f.cx().bytes(SCRATCH, 3), Ok(b"456".to_vec()));
        assert_eq!(f.call("pread64", [fd, SCRATCH, 3, 4, 1, 0]), Some(Ok(0)), "4 GiB further");
        let mut g = Fixture::new(&RISCV64);
        assert_eq!(g.call("pread64", [fd, SCRATCH, 3, 8, 1, 0]), Some(Ok(2)));
        assert_eq!(g.call("pread64", [fd, SCRATCH, 3, u64::MAX, 0, 0]), Some(Err(Errno::EINVAL)));
        std::fs::remove_file(path).expect("file");
    }
}
