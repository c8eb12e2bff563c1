//! Reading and writing: bytes between guest memory and descriptors.
//!
//! The host's kernel reads and writes guest memory itself.  The only thread of a process waits in it; with several threads
//! a descriptor is asked whether it is ready before a call that could block, so that the others run meanwhile.

use crate::abi::io_flags::Rwf;
use crate::abi::structs::Iovec;
use crate::abi::{Errno, Field, GuestPtr};
use crate::args::{Data, Fd, Flags, Off, OutBuf, Size, Slong};
use crate::cx::{Cx, MAX_RW, Outcome, SysResult};
use crate::mm::Spans;
use crate::record::recorder::Way;
use crate::sched::Wait;
use crate::signal::SigInfo;
use crate::sys::vector::{IovIn, IovOut, Vector};
use tern_core::mem::{Access, HostSpan};
use tern_host::sys;
use tern_host::sys::host;

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

/// Host memory behind the bytes `from..from + len` of the parts, up to the first that does not allow `access`.
struct Reach {
    spans: Spans,
    total: u64,
    /// Translated code is among them.
    code: bool,
}

/// # Errors
/// `EFAULT` if that is nothing of something.
fn reach(cx: &mut Cx<'_>, parts: &[(u64, u64)], from: u64, len: u64, access: Access) -> Result<Reach, Errno> {
    let mut reach = Reach { spans: Spans::new(), total: 0, code: false };
    for (addr, n) in stretch(parts, from, len) {
        let (good, code) = cx.mem().spans(addr, n, access, &mut reach.spans);
        reach.total += good;
        reach.code |= code;
        if good < n {
            if reach.total == 0 {
                return Err(Errno::EFAULT);
            }
            break;
        }
    }
    Ok(reach)
}

/// The stretch `from..from + len` of the concatenated parts.
fn stretch(parts: &[(u64, u64)], from: u64, len: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
    let (mut skip, mut left) = (from, len);
    parts.iter().filter_map(move |(addr, n)| {
        let cut = skip.min(*n);
        skip -= cut;
        let take = (n - cut).min(left);
        left -= take;
        (take > 0).then_some((addr.wrapping_add(cut), take))
    })
}

/// A bad descriptor is reported before a bad buffer.
fn bad_buffer(fd: i32, e: Errno) -> Outcome {
    match sys::file::fcntl(fd, host::F_GETFD, 0) {
        Ok(_) => e.into(),
        Err(bad) => bad.into(),
    }
}

fn transfer_in(cx: &mut Cx<'_>, fd: i32, parts: &[(u64, u64)], at: At) -> SysResult {
    if at.pos < -1 || (at.pos == -1 && at != OWN && at.flags == 0) {
        return Err(Errno::EINVAL.into());
    }
    let reach = reach(cx, parts, 0, MAX_RW, Access::Store).map_err(|e| bad_buffer(fd, e))?;
    let read = || sys::file::read_guest(fd, &reach.spans, at.pos, at.flags);
    let way = if at.pos == -1 { cx.way(fd) } else { Way::AtOnce };
    let tried = if way == Way::Try { try_in(cx, fd, &reach.spans) } else { None };
    let result = if let Some(n) = tried {
        Ok(n)
    } else if way == Way::AtOnce {
        read().map_err(|e| again(fd, e, host::POLLIN, at))
    } else if cx.waits_in_kernel() {
        match tern_host::signal::blocking(read) {
            Err(sys::Errno::EINTR) => return Err(interrupted(cx, fd, host::POLLIN)),
            result => result.map_err(Outcome::from),
        }
    } else {
        cx.wait_fd(fd, host::POLLIN)?;
        read().map_err(|e| again(fd, e, host::POLLIN, at))
    };
    let n = result? as u64;
    for (addr, len) in stretch(parts, 0, n) {
        cx.mem().wrote(addr, len, reach.code);
    }
    Ok(n)
}

/// Reads what is there at once; `None`: the usual way finds out why that is nothing.
fn try_in(cx: &mut Cx<'_>, fd: i32, spans: &Spans) -> Option<usize> {
    match sys::file::read_guest(fd, spans, -1, Rwf::RWF_NOWAIT as i32) {
        Ok(n) => return Some(n),
        Err(sys::Errno::EAGAIN | sys::Errno::EINTR) => {}
        Err(_) => cannot_try(cx, fd),
    }
    None
}

/// Writes at once, if it is so little that a pipe takes it as a whole.
fn try_out(cx: &mut Cx<'_>, fd: i32, parts: &[(u64, u64)], total: u64) -> Result<Option<u64>, Outcome> {
    if total > PIPE_BUF {
        return Ok(None);
    }
    let spans = reach(cx, parts, 0, total, Access::Load)?.spans;
    match sys::file::write_guest(fd, &spans, -1, Rwf::RWF_NOWAIT as i32) {
        Ok(n) if n as u64 == total => return Ok(Some(total)),
        Ok(n) => cx.thread().call.done = n as u64,
        Err(sys::Errno::EAGAIN | sys::Errno::EINTR) => {}
        Err(sys::Errno::EPIPE) => {
            broken_pipe(cx);
            return Err(Errno::EPIPE.into());
        }
        Err(_) => cannot_try(cx, fd),
    }
    Ok(None)
}

fn cannot_try(cx: &mut Cx<'_>, fd: i32) {
    if let Some(recorder) = &mut cx.process.recorder {
        recorder.cannot_try(fd);
    }
}

/// A signal came while a call waited in the host's kernel: the call waits on in the scheduler, which knows what to do with
/// the signal.
fn interrupted(cx: &mut Cx<'_>, fd: i32, events: i16) -> Outcome {
    cx.wait_fd(fd, events).err().unwrap_or(Outcome::Restart)
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
    let way = cx.way(fd);
    let in_kernel = cx.waits_in_kernel() || way == Way::AtOnce;
    let total = reach(cx, parts, 0, MAX_RW, Access::Load).map_err(|e| bad_buffer(fd, e))?.total;
    if way == Way::Try
        && at == OWN
        && cx.thread().call.done == 0
        && let Some(n) = try_out(cx, fd, parts, total)?
    {
        return Ok(n);
    }
    let kind = if total > PIPE_BUF && !in_kernel { kind(fd) } else { Kind::Stream };
    loop {
        let done = cx.thread().call.done;
        if at.pos == -1 && kind != Kind::File && !in_kernel {
            match cx.wait_fd(fd, host::POLLOUT) {
                Err(Outcome::Err(_)) if done > 0 => return Ok(done),
                other => other?,
            }
        }
        let alone = cx.process.threads.len() == 1;
        let piece = if kind == Kind::Stream && !alone { PIPE_BUF } else { MAX_RW };
        let want = (total - done).min(piece);
        let spans = reach(cx, parts, done, want, Access::Load)?.spans;
        let pos = if at.pos == -1 { at.pos } else { at.pos.saturating_add(done as i64) };
        let result = match kind {
            Kind::Socket if at == OWN => {
                let buf = gather(&spans);
                sys::socket::sendto(fd, &buf, host::MSG_DONTWAIT | host::MSG_NOSIGNAL, None)
            }
            Kind::Stream => tern_host::signal::blocking(|| sys::file::write_guest(fd, &spans, pos, at.flags)),
            Kind::File | Kind::Socket => sys::file::write_guest(fd, &spans, pos, at.flags),
        };
        match result {
            Ok(n) => {
                cx.thread().call.done += n as u64;
                let done = cx.thread().call.done;
                let cut = (n as u64) < want;
                // What the kernel cut short without a signal it would have cut short for the guest.
                let ends = cut && if in_kernel { !tern_host::signal::pending() } else { crate::sched::nonblocking(fd) };
                if done == total || n == 0 || ends {
                    return Ok(done);
                }
            }
            Err(sys::Errno::EPIPE) => {
                broken_pipe(cx);
                return if done > 0 { Ok(done) } else { Err(Errno::EPIPE.into()) };
            }
            Err(sys::Errno::EINTR) if in_kernel => return Err(interrupted(cx, fd, host::POLLOUT)),
            Err(sys::Errno::EAGAIN) if !in_kernel && !crate::sched::nonblocking(fd) => {
                return Err(Outcome::Block(Wait::fd(fd, host::POLLOUT)));
            }
            Err(_) if done > 0 => return Ok(done),
            Err(e) if in_kernel => return Err(e.into()),
            Err(e) => return Err(again(fd, e, host::POLLOUT, at)),
        }
    }
}

/// A copy of guest memory.
fn gather(spans: &[HostSpan]) -> Vec<u8> {
    let mut buf = vec![0; spans.iter().map(|s| s.len()).sum()];
    let mut rest = &mut buf[..];
    for span in spans {
        let (head, tail) = rest.split_at_mut(span.len());
        let _ = span.read(0, head);
        rest = tail;
    }
    buf
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
    if super::signalfd::any(cx) {
        let vector = Vector::single(buf.0, len(size.0));
        if let Some(result) = super::signalfd::read(cx, fd.0, &vector) {
            return result;
        }
    }
    transfer_in(cx, fd.0, &[(buf.0, len(size.0))], OWN)
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
    if super::signalfd::any(cx) {
        let vector = Vector::fetch(cx, iov.0, count.0)?;
        if let Some(result) = super::signalfd::read(cx, fd.0, &vector) {
            return result;
        }
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
