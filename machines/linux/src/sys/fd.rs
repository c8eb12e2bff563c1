//! Descriptors: dup, fcntl, pipes, locks.

use crate::abi::flags::{CloseRange, Fcntl, FlockOp, OPEN_ROWS, Open, from_host, to_host};
use crate::abi::structs::{FOwnerEx, Flock, Flock64};
use crate::abi::{Arr, Errno, GuestPtr};
use crate::args::{Const, Fd, Flags, Out, Ptr, Uint};
use crate::cx::{Cx, Outcome, SysResult};
use crate::sched::Wait;
use tern_host::sys;
use tern_host::sys::file::{Lock, LockOp};
use tern_host::sys::host;

/// How often a lock that others hold is tried again.
const LOCK_RETRY_NS: u64 = 10_000_000;

/// `dup(2)`.
pub fn dup(_cx: &mut Cx<'_>, fd: Fd) -> SysResult {
    Ok(sys::file::dup(fd.0)? as u64)
}

/// `dup3(2)`.
pub fn dup3(_cx: &mut Cx<'_>, old: Fd, new: Fd, flags: Flags<Open>) -> SysResult {
    if flags.0 & !Open::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(sys::file::dup3(old.0, new.0, to_host(OPEN_ROWS, flags.0).0)? as u64)
}

/// `pipe2(2)`.
pub fn pipe2(cx: &mut Cx<'_>, fds: Out<Arr<i32, 2>>, flags: Flags<Open>) -> SysResult {
    if flags.0 & !(Open::O_CLOEXEC | Open::O_NONBLOCK | Open::O_DIRECT) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (r, w) = sys::file::pipe2(to_host(OPEN_ROWS, flags.0).0)?;
    if let Err(e) = cx.write(fds.0, &[r, w]) {
        sys::file::close(r)?;
        sys::file::close(w)?;
        return Err(e.into());
    }
    Ok(0)
}

/// `close_range(2)`.
pub fn close_range(_cx: &mut Cx<'_>, first: Uint, last: Uint, flags: Flags<CloseRange>) -> SysResult {
    sys::file::close_range(first.0, last.0, flags.0 as u32)?;
    Ok(0)
}

/// Makes a thread wait for a lock that somebody else holds: descriptors do not tell when it is free.
fn retry(cx: &Cx<'_>) -> Outcome {
    Outcome::Block(Wait::until(Some(cx.process.now_ns() + LOCK_RETRY_NS)))
}

/// `flock(2)`.
pub fn flock(cx: &mut Cx<'_>, fd: Fd, op: Flags<FlockOp>) -> SysResult {
    let wait = op.0 & FlockOp::LOCK_NB == 0;
    match sys::file::flock(fd.0, op.0 as i32 | FlockOp::LOCK_NB as i32) {
        Err(sys::Errno::EAGAIN) if wait => Err(retry(cx)),
        other => Ok(other.map(|()| 0)?),
    }
}

/// `fcntl(2)` and `fcntl64(2)`.
pub fn fcntl(cx: &mut Cx<'_>, fd: Fd, cmd: Const<Fcntl>, arg: Ptr) -> SysResult {
    let number = arg.0 as i32;
    let host_cmd = match u64::from(cmd.0) {
        Fcntl::F_DUPFD => host::F_DUPFD,
        Fcntl::F_DUPFD_CLOEXEC => host::F_DUPFD_CLOEXEC,
        Fcntl::F_GETFD => host::F_GETFD,
        Fcntl::F_SETFD => host::F_SETFD,
        Fcntl::F_GETFL => return get_flags(fd.0),
        Fcntl::F_SETFL => return set_flags(fd.0, arg.0),
        Fcntl::F_SETOWN => host::F_SETOWN,
        Fcntl::F_GETOWN => host::F_GETOWN,
        Fcntl::F_SETSIG => host::F_SETSIG,
        Fcntl::F_GETSIG => host::F_GETSIG,
        Fcntl::F_SETOWN_EX | Fcntl::F_GETOWN_EX => return owner(cx, fd.0, u64::from(cmd.0), arg.0),
        Fcntl::F_SETLEASE => host::F_SETLEASE,
        Fcntl::F_GETLEASE => host::F_GETLEASE,
        Fcntl::F_NOTIFY => host::F_NOTIFY,
        Fcntl::F_SETPIPE_SZ => host::F_SETPIPE_SZ,
        Fcntl::F_GETPIPE_SZ => host::F_GETPIPE_SZ,
        Fcntl::F_ADD_SEALS => host::F_ADD_SEALS,
        Fcntl::F_GET_SEALS => host::F_GET_SEALS,
        other => return lock(cx, fd.0, other, arg.0),
    };
    Ok(sys::file::fcntl(fd.0, host_cmd, number)? as u64)
}

fn get_flags(fd: i32) -> SysResult {
    let flags = sys::file::fcntl(fd, host::F_GETFL, 0)?;
    Ok(from_host(OPEN_ROWS, flags))
}

fn set_flags(fd: i32, guest: u64) -> SysResult {
    let settable = Open::O_APPEND | Open::O_NONBLOCK | Open::O_ASYNC | Open::O_DIRECT | Open::O_NOATIME;
    let (flags, _) = to_host(OPEN_ROWS, guest & settable);
    sys::file::fcntl(fd, host::F_SETFL, flags)?;
    Ok(0)
}

/// `F_SETOWN_EX` and `F_GETOWN_EX` for processes and groups, in terms of `F_SETOWN`.
fn owner(cx: &mut Cx<'_>, fd: i32, cmd: u64, addr: u64) -> SysResult {
    const F_OWNER_PID: i32 = 1;
    const F_OWNER_PGRP: i32 = 2;
    let ptr = GuestPtr::<FOwnerEx>::new(addr);
    if cmd == Fcntl::F_GETOWN_EX {
        let pid = sys::file::fcntl(fd, host::F_GETOWN, 0)?;
        let kind = if pid < 0 { F_OWNER_PGRP } else { F_OWNER_PID };
        cx.write(ptr, &FOwnerEx { kind, pid: pid.abs() })?;
        return Ok(0);
    }
    let owner = cx.read(ptr)?;
    let pid = match owner.kind {
        // A thread's own number is the process's for the main thread; others have no number on the host.
        0 if owner.pid != cx.process.pid => {
            cx.unimplemented(format_args!("fcntl F_SETOWN_EX for a thread"));
            return Err(Errno::EINVAL.into());
        }
        0 | F_OWNER_PID => owner.pid,
        F_OWNER_PGRP => owner.pid.checked_neg().ok_or(Errno::EINVAL)?,
        _ => return Err(Errno::EINVAL.into()),
    };
    sys::file::fcntl(fd, host::F_SETOWN, pid)?;
    Ok(0)
}

/// Record locks.
fn lock(cx: &mut Cx<'_>, fd: i32, cmd: u64, addr: u64) -> SysResult {
    let is64 = cx.abi().is64();
    let wide = |op| Ok::<_, Errno>((op, true));
    let (op, wide) = match cmd {
        Fcntl::F_GETLK => (LockOp::Get, is64),
        Fcntl::F_SETLK => (LockOp::Set, is64),
        Fcntl::F_SETLKW => (LockOp::SetWait, is64),
        Fcntl::F_GETLK64 if !is64 => wide(LockOp::Get)?,
        Fcntl::F_SETLK64 if !is64 => wide(LockOp::Set)?,
        Fcntl::F_SETLKW64 if !is64 => wide(LockOp::SetWait)?,
        Fcntl::F_OFD_GETLK => wide(LockOp::OfdGet)?,
        Fcntl::F_OFD_SETLK => wide(LockOp::OfdSet)?,
        Fcntl::F_OFD_SETLKW => wide(LockOp::OfdSetWait)?,
        _ => return Err(Errno::EINVAL.into()),
    };
    let raw = if wide {
        cx.read(GuestPtr::<Flock64>::new(addr))?
    } else {
        let f = cx.read(GuestPtr::<Flock>::new(addr))?;
        Flock64 { kind: f.kind, whence: f.whence, start: f.start, len: f.len, pid: f.pid }
    };
    let kinds = [host::F_RDLCK, host::F_WRLCK, host::F_UNLCK];
    let kind = usize::try_from(raw.kind).ok().and_then(|k| kinds.get(k)).ok_or(Errno::EINVAL)?;
    let mut l = Lock { kind: *kind, whence: raw.whence, start: raw.start, len: raw.len, pid: raw.pid };
    let (attempt, waits) = match op {
        LockOp::SetWait => (LockOp::Set, true),
        LockOp::OfdSetWait => (LockOp::OfdSet, true),
        op => (op, false),
    };
    match sys::file::lock(fd, attempt, &mut l) {
        Err(sys::Errno::EAGAIN | sys::Errno::EACCES) if waits => return Err(retry(cx)),
        other => other?,
    }
    if matches!(op, LockOp::Get | LockOp::OfdGet) {
        let kind = kinds.iter().position(|k| *k == l.kind).unwrap_or(2) as i16;
        if wide {
            let f = Flock64 { kind, whence: l.whence, start: l.start, len: l.len, pid: l.pid };
            cx.write(GuestPtr::<Flock64>::new(addr), &f)?;
        } else {
            let f = Flock { kind, whence: l.whence, start: l.start, len: l.len, pid: l.pid };
            cx.write(GuestPtr::<Flock>::new(addr), &f)?;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::abi::Errno;
    use crate::isa::riscv::RISCV64;
    use crate::testing::{Fixture, SCRATCH};

    #[test]
    fn pipes_and_their_flags() {
        let mut f = Fixture::new(&RISCV64);
        assert_eq!(f.call("pipe2", [SCRATCH, 0o2004000, 0, 0, 0, 0]), Some(Ok(0)));
        let raw = f.cx().bytes(SCRATCH, 8).expect("written");
        let fd = |i: usize| u64::from(u32::from_le_bytes([raw[i], raw[i + 1], raw[i + 2], raw[i + 3]]));
        let (r, w) = (fd(0), fd(4));
        assert_eq!(f.call("fcntl", [r, 3, 0, 0, 0, 0]), Some(Ok(0o4000)), "O_NONBLOCK");
        assert_eq!(f.call("fcntl", [w, 3, 0, 0, 0, 0]), Some(Ok(0o4001)));
        assert_eq!(f.call("fcntl", [r, 1, 0, 0, 0, 0]), Some(Ok(1)), "FD_CLOEXEC");
        assert_eq!(f.call("read", [r, SCRATCH, 1, 0, 0, 0]), Some(Err(Errno::EAGAIN)));
        assert_eq!(f.call("fcntl", [r, 4, 0, 0, 0, 0]), Some(Ok(0)));
        assert_eq!(f.call("fcntl", [r, 3, 0, 0, 0, 0]), Some(Ok(0)));
        let copy = f.call("fcntl", [r, 0, 100, 0, 0, 0]).expect("no wait").expect("dup");
        assert!(copy >= 100);
        assert_eq!(f.call("fcntl", [r, 77, 0, 0, 0, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!(f.call("pipe2", [SCRATCH, 1, 0, 0, 0, 0]), Some(Err(Errno::EINVAL)));
        for fd in [r, w, copy] {
            assert_eq!(f.call("close", [fd, 0, 0, 0, 0, 0]), Some(Ok(0)));
        }
    }
}
