//! Moving data: vectors, positions, between descriptors; space, caches, locks of whole files.

use crate::abi::flags::FlockOp;
use crate::abi::io_flags::{Fadvise, Falloc, Splice, SyncRange};
use crate::abi::{Errno, GuestPtr, Long};
use crate::args::{Const, Fd, Flags, Off, Ptr, Size, Uint};
use crate::cx::{Cx, MAX_RW, Outcome, SysResult};
use crate::sched::{self, Wait};
use crate::sys::rw;
use crate::sys::vector::{IovIn, IovOut};
use tern_host::sys;
use tern_host::sys::host::{POLLIN, POLLOUT};

/// Bytes that `sendfile` and `splice` move at once.
const PART: u64 = 64 << 10;

fn not_negative(pos: i64) -> Result<i64, Errno> {
    if pos < 0 { Err(Errno::EINVAL) } else { Ok(pos) }
}

/// Reads a position that the caller may have given.
fn offset(cx: &mut Cx<'_>, at: Option<GuestPtr<i64>>) -> Result<Option<i64>, Errno> {
    at.map(|at| cx.read(at).and_then(not_negative)).transpose()
}

fn pointer<T>(at: Ptr) -> Option<GuestPtr<T>> {
    (at.0 != 0).then(|| GuestPtr::new(at.0))
}

/// `sendfile(2)` of 64-bit guests, whose position is a `long`.
pub fn sendfile(cx: &mut Cx<'_>, out: Fd, input: Fd, at: Ptr, count: Size) -> SysResult {
    let at = pointer::<Long>(at);
    let pos = at.map(|at| cx.read(at).and_then(not_negative)).transpose()?;
    let (result, pos) = send(cx, out.0, input.0, pos, count.0);
    if let (Some(at), Some(pos), Ok(_)) = (at, pos, &result) {
        cx.write(at, &pos)?;
    }
    result
}

/// `sendfile64(2)`.
pub fn sendfile64(cx: &mut Cx<'_>, out: Fd, input: Fd, at: Ptr, count: Size) -> SysResult {
    let at = pointer::<i64>(at);
    let pos = offset(cx, at)?;
    let (result, pos) = send(cx, out.0, input.0, pos, count.0);
    if let (Some(at), Some(pos), Ok(_)) = (at, pos, &result) {
        cx.write(at, &pos)?;
    }
    result
}

/// Sends in parts for which there is room; a part that was sent ends the call rather than that it waits, which
/// `sendfile(2)` permits.
fn send(cx: &mut Cx<'_>, out: i32, input: i32, mut pos: Option<i64>, count: u64) -> (SysResult, Option<i64>) {
    let mut done = 0;
    let count = count.min(MAX_RW);
    loop {
        let wait = cx.wait_fd(out, POLLOUT).and_then(|()| cx.wait_fd(input, POLLIN));
        if let Err(wait) = wait {
            return if done > 0 { (Ok(done), pos) } else { (Err(wait), pos) };
        }
        let len = (count - done).min(PART) as usize;
        match tern_host::signal::blocking(|| sys::file::sendfile(out, input, pos.as_mut(), len)) {
            Ok(n) => {
                done += n as u64;
                if n == 0 || done >= count {
                    return (Ok(done), pos);
                }
            }
            Err(_) if done > 0 => return (Ok(done), pos),
            Err(sys::Errno::EINTR) => return (Err(Outcome::Restart), pos),
            Err(e) => {
                if e == sys::Errno::EPIPE {
                    rw::broken_pipe(cx);
                }
                return (Err(e.into()), pos);
            }
        }
    }
}

/// `SPLICE_F_*` are the same on every architecture.
fn splice_flags(flags: Flags<Splice>) -> Result<(u32, bool), Errno> {
    let value = flags.0 & 0xffff_ffff;
    if value & !0xf != 0 {
        return Err(Errno::EINVAL);
    }
    Ok((value as u32 | Splice::SPLICE_F_NONBLOCK as u32, value & Splice::SPLICE_F_NONBLOCK == 0))
}

fn wait_both(cx: &mut Cx<'_>, from: i32, to: i32, waits: bool) -> Result<(), Outcome> {
    if waits {
        cx.wait_fd(from, POLLIN)?;
        cx.wait_fd(to, POLLOUT)?;
    }
    Ok(())
}

/// `splice(2)`.
pub fn splice(
    cx: &mut Cx<'_>,
    from: Fd,
    from_at: Ptr,
    to: Fd,
    to_at: Ptr,
    len: Size,
    flags: Flags<Splice>,
) -> SysResult {
    let (flags, waits) = splice_flags(flags)?;
    let (from_at, to_at) = (pointer(from_at), pointer(to_at));
    let (mut from_pos, mut to_pos) = (offset(cx, from_at)?, offset(cx, to_at)?);
    wait_both(cx, from.0, to.0, waits)?;
    let len = len.0.min(PART) as usize;
    let (source, target) = ((from.0, from_pos.as_mut()), (to.0, to_pos.as_mut()));
    let n = moved(cx, (from.0, to.0), waits, sys::file::splice(source, target, len, flags))?;
    put_positions(cx, [(from_at, from_pos), (to_at, to_pos)])?;
    Ok(n)
}

/// The result of a `splice` or `tee` that was asked not to wait.
fn moved(cx: &mut Cx<'_>, ends: (i32, i32), waits: bool, result: Result<usize, sys::Errno>) -> SysResult {
    match result {
        Err(sys::Errno::EAGAIN) if waits && (sched::can_block(ends.0, POLLIN) || sched::can_block(ends.1, POLLOUT)) => {
            let starved = !sched::ready(ends.0, POLLIN);
            Err(Outcome::Block(if starved { Wait::fd(ends.0, POLLIN) } else { Wait::fd(ends.1, POLLOUT) }))
        }
        Err(sys::Errno::EPIPE) => {
            rw::broken_pipe(cx);
            Err(Errno::EPIPE.into())
        }
        other => Ok(other? as u64),
    }
}

fn put_positions(cx: &mut Cx<'_>, list: [(Option<GuestPtr<i64>>, Option<i64>); 2]) -> Result<(), Errno> {
    list.into_iter().try_for_each(|(at, pos)| at.zip(pos).map_or(Ok(()), |(at, pos)| cx.write(at, &pos)))
}

/// `tee(2)`.
pub fn tee(cx: &mut Cx<'_>, from: Fd, to: Fd, len: Size, flags: Flags<Splice>) -> SysResult {
    let (flags, waits) = splice_flags(flags)?;
    wait_both(cx, from.0, to.0, waits)?;
    let result = sys::file::tee(from.0, to.0, len.0.min(PART) as usize, flags);
    moved(cx, (from.0, to.0), waits, result)
}

/// `vmsplice(2)`: copies, which nobody can tell from pages that moved.
pub fn vmsplice(cx: &mut Cx<'_>, fd: Fd, iov: IovIn, count: Size, flags: Flags<Splice>) -> SysResult {
    let (_, waits) = splice_flags(flags)?;
    if sys::fs::fstat(fd.0)?.mode & 0o170_000 != 0o010_000 {
        return Err(Errno::EBADF.into());
    }
    let writes = sys::file::fcntl(fd.0, sys::host::F_GETFL, 0)? & sys::host::O_ACCMODE != sys::host::O_RDONLY;
    if !waits && cx.thread().call.done == 0 && !sched::ready(fd.0, if writes { POLLOUT } else { POLLIN }) {
        return Err(Errno::EAGAIN.into());
    }
    if writes { rw::writev(cx, fd, iov, count) } else { rw::readv(cx, fd, IovOut(iov.0), count) }
}

/// `copy_file_range(2)`.
pub fn copy_file_range(
    cx: &mut Cx<'_>,
    from: Fd,
    from_at: Ptr,
    to: Fd,
    to_at: Ptr,
    len: Size,
    flags: Uint,
) -> SysResult {
    if flags.0 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (from_at, to_at) = (pointer(from_at), pointer(to_at));
    let (mut from_pos, mut to_pos) = (offset(cx, from_at)?, offset(cx, to_at)?);
    let (source, target) = ((from.0, from_pos.as_mut()), (to.0, to_pos.as_mut()));
    let n = sys::file::copy_file_range(source, target, len.0.min(MAX_RW) as usize, 0)?;
    put_positions(cx, [(from_at, from_pos), (to_at, to_pos)])?;
    Ok(n as u64)
}

/// `fallocate(2)`; the modes are the same on every architecture.
pub fn fallocate(_cx: &mut Cx<'_>, fd: Fd, mode: Flags<Falloc>, at: Off, len: Off) -> SysResult {
    sys::file::fallocate(fd.0, mode.0 as i32, at.0, len.0)?;
    Ok(0)
}

/// `fadvise64(2)`; the numbers are the same on every architecture but s390x, where the host takes its own.
pub fn fadvise64(_cx: &mut Cx<'_>, fd: Fd, at: Off, len: Size, advice: Const<Fadvise>) -> SysResult {
    advise(fd.0, at.0, len.0 as i64, advice.0)
}

/// `fadvise64_64(2)`.
pub fn fadvise64_64(_cx: &mut Cx<'_>, fd: Fd, at: Off, len: Off, advice: Const<Fadvise>) -> SysResult {
    advise(fd.0, at.0, len.0, advice.0)
}

fn advise(fd: i32, at: i64, len: i64, advice: u32) -> SysResult {
    let host = match advice {
        4 | 5 if cfg!(target_arch = "s390x") => advice + 2,
        0..=5 => advice,
        _ => return Err(Errno::EINVAL.into()),
    };
    sys::file::fadvise(fd, at, len, host as i32)?;
    Ok(0)
}

/// `readahead(2)`.
pub fn readahead(_cx: &mut Cx<'_>, fd: Fd, at: Off, count: Size) -> SysResult {
    sys::file::readahead(fd.0, at.0, count.0.min(MAX_RW) as usize)?;
    Ok(0)
}

/// `fsync(2)`.
pub fn fsync(_cx: &mut Cx<'_>, fd: Fd) -> SysResult {
    sys::file::fsync(fd.0)?;
    Ok(0)
}

/// `fdatasync(2)`.
pub fn fdatasync(_cx: &mut Cx<'_>, fd: Fd) -> SysResult {
    sys::file::fdatasync(fd.0)?;
    Ok(0)
}

/// `syncfs(2)`.
pub fn syncfs(_cx: &mut Cx<'_>, fd: Fd) -> SysResult {
    sys::file::syncfs(fd.0)?;
    Ok(0)
}

/// `sync(2)`.
pub fn sync(_cx: &mut Cx<'_>) -> SysResult {
    sys::file::sync()?;
    Ok(0)
}

/// `sync_file_range(2)`.
pub fn sync_file_range(_cx: &mut Cx<'_>, fd: Fd, at: Off, len: Off, flags: Flags<SyncRange>) -> SysResult {
    sys::file::sync_file_range(fd.0, at.0, len.0, flags.0 as u32)?;
    Ok(0)
}

/// `flock(2)`: waits by asking again, since no descriptor tells when a lock is free.
pub fn flock(cx: &mut Cx<'_>, fd: Fd, op: Flags<FlockOp>) -> SysResult {
    let (kind, nonblocking) = (op.0 & !FlockOp::LOCK_NB, op.0 & FlockOp::LOCK_NB != 0);
    let host = match kind {
        FlockOp::LOCK_SH => sys::host::LOCK_SH,
        FlockOp::LOCK_EX => sys::host::LOCK_EX,
        FlockOp::LOCK_UN => sys::host::LOCK_UN,
        _ => return Err(Errno::EINVAL.into()),
    };
    match sys::file::flock(fd.0, host | sys::host::LOCK_NB) {
        Err(sys::Errno::EAGAIN) if !nonblocking => Err(retry_later(cx)),
        other => Ok(other.map(|()| 0)?),
    }
}

/// Nanoseconds until a lock is asked for again, at first and at most.
const RETRY: (u64, u64) = (1_000_000, 50_000_000);

/// Waits a while before the call is issued again, longer each time.
pub fn retry_later(cx: &mut Cx<'_>) -> Outcome {
    let now = cx.process.now_ns();
    let call = &mut cx.thread().call;
    let span = (RETRY.0 << call.progress.min(10)).min(RETRY.1);
    call.progress += 1;
    Outcome::Block(Wait::until(Some(now + span)))
}
