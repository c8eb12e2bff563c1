//! Descriptors: copies, flags, record locks, pipes, memory files, event counters, timers.

use crate::abi::flags::{CloseRange, Fcntl, Memfd, OPEN_ROWS, Open, from_host, to_host};
use crate::abi::io_flags::{Clock, Eventfd, PipeFlags, TimerfdCreate, TimerfdSet};
use crate::abi::structs::{FOwnerEx, Flock, Flock64, Itimerspec, Itimerspec64, Timespec, Timespec64};
use crate::abi::{Arr, Errno, GuestPtr};
use crate::args::{Arg, Const, Fd, Flags, In, Out, OutOpt, Path, Uint};
use crate::cx::{Cx, Outcome, SysResult};
use crate::mm::map::HIDDEN_FD_MIN;
use crate::sched::Wait;
use crate::strace::Show;
use tern_host::sys;
use tern_host::sys::file::{Lock, LockOp};
use tern_host::sys::host;

fn fd_result(fd: Result<i32, sys::Errno>) -> SysResult {
    Ok(fd? as u64)
}

/// `dup(2)`.
pub fn dup(_cx: &mut Cx<'_>, fd: Fd) -> SysResult {
    fd_result(sys::file::dup(fd.0))
}

/// `dup3(2)`.
pub fn dup3(_cx: &mut Cx<'_>, old: Fd, new: Fd, flags: Flags<PipeFlags>) -> SysResult {
    if flags.0 & !Open::O_CLOEXEC != 0 || old.0 == new.0 {
        return Err(Errno::EINVAL.into());
    }
    if new.0 >= HIDDEN_FD_MIN {
        return Err(Errno::EBADF.into());
    }
    fd_result(sys::file::dup3(old.0, new.0, to_host(OPEN_ROWS, flags.0).0))
}

/// `pipe2(2)`.
pub fn pipe2(cx: &mut Cx<'_>, ends: Out<Arr<i32, 2>>, flags: Flags<PipeFlags>) -> SysResult {
    // O_EXCL makes a notification queue.
    if flags.0 & !(Open::O_CLOEXEC | Open::O_DIRECT | Open::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (reader, writer) = sys::file::pipe2(to_host(OPEN_ROWS, flags.0).0)?;
    put_pair(cx, ends, (reader, writer))
}

/// Hands over two new descriptors, or closes them.
pub fn put_pair(cx: &mut Cx<'_>, to: Out<Arr<i32, 2>>, pair: (i32, i32)) -> SysResult {
    let result = cx.write(to.0, &[pair.0, pair.1]);
    if result.is_err() {
        // They are ours and nobody has seen them.
        let _ = (sys::file::close(pair.0), sys::file::close(pair.1));
    }
    result?;
    Ok(0)
}

/// `close_range(2)`; tern's own descriptors stay.
pub fn close_range(cx: &mut Cx<'_>, first: Uint, last: Uint, flags: Flags<CloseRange>) -> SysResult {
    let known = CloseRange::CLOSE_RANGE_UNSHARE | CloseRange::CLOSE_RANGE_CLOEXEC;
    if flags.0 & !known != 0 || first.0 > last.0 {
        return Err(Errno::EINVAL.into());
    }
    if flags.0 & CloseRange::CLOSE_RANGE_UNSHARE != 0 && cx.process.threads.len() > 1 {
        cx.unimplemented(format_args!("close_range with CLOSE_RANGE_UNSHARE in a process with threads"));
        return Err(Errno::ENOMEM.into());
    }
    let end = last.0.min(HIDDEN_FD_MIN as u32 - 1);
    if first.0 <= end {
        // The flag has the same value on every architecture.
        sys::file::close_range(first.0, end, (flags.0 & CloseRange::CLOSE_RANGE_CLOEXEC) as u32)?;
    }
    Ok(0)
}

/// The argument of `fcntl`, whose meaning depends on the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FcntlArg(pub u64);

impl Arg for FcntlArg {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(FcntlArg(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let addr = s.abi.word_of(raw);
        match len.unwrap_or(0) & 0xffff_ffff {
            Fcntl::F_SETFL => s.flags::<Open>(raw & 0xffff_ffff),
            Fcntl::F_SETFD if raw as u32 == 1 => s.put(format_args!("FD_CLOEXEC")),
            Fcntl::F_GETLK | Fcntl::F_SETLK | Fcntl::F_SETLKW => s.datum::<Flock>(addr),
            Fcntl::F_GETLK64
            | Fcntl::F_SETLK64
            | Fcntl::F_SETLKW64
            | Fcntl::F_OFD_GETLK
            | Fcntl::F_OFD_SETLK
            | Fcntl::F_OFD_SETLKW => s.datum::<Flock64>(addr),
            Fcntl::F_SETOWN_EX => s.datum::<FOwnerEx>(addr),
            Fcntl::F_GETOWN_EX => s.addr(addr),
            _ => s.put(format_args!("{}", raw as i32)),
        }
    }
}

/// `fcntl(2)`.
pub fn fcntl(cx: &mut Cx<'_>, fd: Fd, cmd: Const<Fcntl>, arg: FcntlArg) -> SysResult {
    let int = |cmd| fd_result(sys::file::fcntl(fd.0, cmd, arg.0 as i32));
    match u64::from(cmd.0) {
        Fcntl::F_DUPFD => int(host::F_DUPFD),
        Fcntl::F_DUPFD_CLOEXEC => int(host::F_DUPFD_CLOEXEC),
        Fcntl::F_GETFD => int(host::F_GETFD),
        Fcntl::F_SETFD => int(host::F_SETFD),
        Fcntl::F_GETFL => {
            let flags = sys::file::fcntl(fd.0, host::F_GETFL, 0)?;
            Ok(from_host(OPEN_ROWS, flags))
        }
        Fcntl::F_SETFL => {
            let flags = to_host(OPEN_ROWS, arg.0 & 0xffff_ffff).0;
            fd_result(sys::file::fcntl(fd.0, host::F_SETFL, flags))
        }
        Fcntl::F_SETOWN => int(host::F_SETOWN),
        Fcntl::F_GETOWN => int(host::F_GETOWN),
        Fcntl::F_SETSIG => int(host::F_SETSIG),
        Fcntl::F_GETSIG => int(host::F_GETSIG),
        Fcntl::F_NOTIFY => int(host::F_NOTIFY),
        Fcntl::F_SETPIPE_SZ => int(host::F_SETPIPE_SZ),
        Fcntl::F_GETPIPE_SZ => int(host::F_GETPIPE_SZ),
        Fcntl::F_ADD_SEALS => int(host::F_ADD_SEALS),
        Fcntl::F_GET_SEALS => int(host::F_GET_SEALS),
        Fcntl::F_SETLEASE => {
            let kind = lock_to_host(arg.0 as i16)?;
            fd_result(sys::file::fcntl(fd.0, host::F_SETLEASE, i32::from(kind)))
        }
        Fcntl::F_GETLEASE => Ok(lock_from_host(sys::file::fcntl(fd.0, host::F_GETLEASE, 0)? as i16) as u64),
        Fcntl::F_SETOWN_EX | Fcntl::F_GETOWN_EX => owner(cx, fd.0, u64::from(cmd.0), GuestPtr::new(arg.0)),
        other => match lock_op(other) {
            Some((op, wide)) if wide || !cx.abi().is64() || other < Fcntl::F_GETLK64 => lock(cx, fd.0, op, wide, arg.0),
            _ => {
                sys::file::fcntl(fd.0, host::F_GETFD, 0)?;
                cx.unimplemented(format_args!("fcntl command {other}"));
                Err(Errno::EINVAL.into())
            }
        },
    }
}

/// A lock command: what it does, and whether it has `struct flock64` on 32-bit guests.
fn lock_op(cmd: u64) -> Option<(LockOp, bool)> {
    Some(match cmd {
        Fcntl::F_GETLK => (LockOp::Get, false),
        Fcntl::F_SETLK => (LockOp::Set, false),
        Fcntl::F_SETLKW => (LockOp::SetWait, false),
        Fcntl::F_GETLK64 => (LockOp::Get, true),
        Fcntl::F_SETLK64 => (LockOp::Set, true),
        Fcntl::F_SETLKW64 => (LockOp::SetWait, true),
        Fcntl::F_OFD_GETLK => (LockOp::OfdGet, true),
        Fcntl::F_OFD_SETLK => (LockOp::OfdSet, true),
        Fcntl::F_OFD_SETLKW => (LockOp::OfdSetWait, true),
        _ => return None,
    })
}

/// Kinds of locks: `F_RDLCK`, `F_WRLCK`, `F_UNLCK` of asm-generic by position.
fn lock_kinds() -> [i16; 3] {
    [host::F_RDLCK, host::F_WRLCK, host::F_UNLCK]
}

fn lock_to_host(kind: i16) -> Result<i16, Errno> {
    usize::try_from(kind).ok().and_then(|k| lock_kinds().get(k).copied()).ok_or(Errno::EINVAL)
}

fn lock_from_host(kind: i16) -> i16 {
    lock_kinds().iter().position(|k| *k == kind).map_or(2, |k| k as i16)
}

fn lock(cx: &mut Cx<'_>, fd: i32, op: LockOp, wide: bool, addr: u64) -> SysResult {
    let f = if wide || cx.abi().is64() {
        cx.read::<Flock64>(GuestPtr::new(addr))?
    } else {
        let f = cx.read::<Flock>(GuestPtr::new(addr))?;
        Flock64 { kind: f.kind, whence: f.whence, start: f.start, len: f.len, pid: f.pid }
    };
    let kind = lock_to_host(f.kind)?;
    let mut lock = Lock { kind, whence: f.whence, start: f.start, len: f.len, pid: f.pid };
    match op {
        LockOp::Get | LockOp::OfdGet => {
            sys::file::lock(fd, op, &mut lock)?;
            put_lock(cx, wide, addr, &lock)?;
        }
        LockOp::Set | LockOp::OfdSet => sys::file::lock(fd, op, &mut lock)?,
        LockOp::SetWait | LockOp::OfdSetWait if cx.process.threads.len() == 1 => {
            match tern_host::signal::blocking(|| sys::file::lock(fd, op, &mut lock)) {
                Err(sys::Errno::EINTR) => return Err(Outcome::Block(Wait::until(Some(cx.process.now_ns())))),
                other => other?,
            }
        }
        LockOp::SetWait | LockOp::OfdSetWait => {
            let op = if op == LockOp::SetWait { LockOp::Set } else { LockOp::OfdSet };
            match sys::file::lock(fd, op, &mut lock) {
                Err(sys::Errno::EAGAIN | sys::Errno::EACCES) => return Err(super::io::retry_later(cx)),
                other => other?,
            }
        }
    }
    Ok(0)
}

fn put_lock(cx: &mut Cx<'_>, wide: bool, addr: u64, lock: &Lock) -> Result<(), Errno> {
    let (kind, whence, pid) = (lock_from_host(lock.kind), lock.whence, lock.pid);
    if wide || cx.abi().is64() {
        let f = Flock64 { kind, whence, start: lock.start, len: lock.len, pid };
        return cx.write::<Flock64>(GuestPtr::new(addr), &f);
    }
    if i32::try_from(lock.start).is_err() || i32::try_from(lock.len).is_err() {
        return Err(Errno::EOVERFLOW);
    }
    cx.write::<Flock>(GuestPtr::new(addr), &Flock { kind, whence, start: lock.start, len: lock.len, pid })
}

/// `F_SETOWN_EX`, `F_GETOWN_EX`; owners are `F_OWNER_TID` 0, `F_OWNER_PID` 1, `F_OWNER_PGRP` 2.
fn owner(cx: &mut Cx<'_>, fd: i32, cmd: u64, ptr: GuestPtr<FOwnerEx>) -> SysResult {
    if cmd == Fcntl::F_GETOWN_EX {
        let owner = sys::file::fcntl(fd, host::F_GETOWN, 0)?;
        let kind = if owner < 0 { 2 } else { 1 };
        cx.write(ptr, &FOwnerEx { kind, pid: owner.abs() })?;
        return Ok(0);
    }
    let owner = cx.read(ptr)?;
    let who = match owner.kind {
        // Threads of the guest are one for the host.
        0 | 1 => owner.pid,
        2 => owner.pid.checked_neg().ok_or(Errno::EINVAL)?,
        _ => return Err(Errno::EINVAL.into()),
    };
    fd_result(sys::file::fcntl(fd, host::F_SETOWN, who))
}

/// `memfd_create(2)`.
pub fn memfd_create(cx: &mut Cx<'_>, name: Path, flags: Flags<Memfd>) -> SysResult {
    let known = Memfd::MFD_CLOEXEC | Memfd::MFD_ALLOW_SEALING | Memfd::MFD_NOEXEC_SEAL | Memfd::MFD_EXEC;
    if flags.0 & Memfd::MFD_HUGETLB != 0 {
        cx.unimplemented(format_args!("memfd_create with MFD_HUGETLB"));
    }
    if flags.0 & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    // The flags are the same on every architecture.
    fd_result(sys::file::memfd_create(&name.0, flags.0 as u32))
}

/// Flags that descriptors are made with: close-on-exec and non-blocking have the values of `open`.
fn made_with(flags: u64, others: u64) -> Result<(i32, i32), Errno> {
    if flags & !(others | Open::O_CLOEXEC | Open::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let cloexec = if flags & Open::O_CLOEXEC != 0 { host::O_CLOEXEC } else { 0 };
    Ok((cloexec, if flags & Open::O_NONBLOCK != 0 { host::O_NONBLOCK } else { 0 }))
}

/// `eventfd2(2)`.
pub fn eventfd2(_cx: &mut Cx<'_>, value: Uint, flags: Flags<Eventfd>) -> SysResult {
    let (cloexec, nonblock) = made_with(flags.0, Eventfd::EFD_SEMAPHORE)?;
    let semaphore = if flags.0 & Eventfd::EFD_SEMAPHORE != 0 { host::EFD_SEMAPHORE } else { 0 };
    fd_result(sys::file::eventfd2(value.0, cloexec | nonblock | semaphore))
}

/// `timerfd_create(2)`; clocks have the same numbers on every architecture.
pub fn timerfd_create(_cx: &mut Cx<'_>, clock: Const<Clock>, flags: Flags<TimerfdCreate>) -> SysResult {
    let (cloexec, nonblock) = made_with(flags.0, 0)?;
    fd_result(sys::time::timerfd_create(clock.0 as i32, cloexec | nonblock))
}

fn set_timer(fd: i32, flags: u64, new: Itimerspec64) -> Result<Itimerspec64, Outcome> {
    let known = TimerfdSet::TFD_TIMER_ABSTIME | TimerfdSet::TFD_TIMER_CANCEL_ON_SET;
    if flags & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    let time = |t: Timespec64| sys::Time { sec: t.sec, nsec: t.nsec };
    let new = sys::time::Interval { value: time(new.value), interval: time(new.interval) };
    // The flags are the same on every architecture.
    Ok(neutral(sys::time::timerfd_settime(fd, flags as i32, new)?))
}

fn neutral(i: sys::time::Interval) -> Itimerspec64 {
    let time = |t: sys::Time| Timespec64 { sec: t.sec, nsec: t.nsec };
    Itimerspec64 { interval: time(i.interval), value: time(i.value) }
}

fn words(i: &Itimerspec64) -> Itimerspec {
    let time = |t: &Timespec64| Timespec { sec: t.sec, nsec: t.nsec };
    Itimerspec { interval: time(&i.interval), value: time(&i.value) }
}

/// `timerfd_settime(2)` with words.
pub fn timerfd_settime(
    cx: &mut Cx<'_>,
    fd: Fd,
    flags: Flags<TimerfdSet>,
    new: In<Itimerspec>,
    old: OutOpt<Itimerspec>,
) -> SysResult {
    let time = |t: &Timespec| Timespec64 { sec: t.sec, nsec: t.nsec };
    let was = set_timer(fd.0, flags.0, Itimerspec64 { interval: time(&new.0.interval), value: time(&new.0.value) })?;
    cx.write_opt(old.0, &words(&was))?;
    Ok(0)
}

/// `timerfd_settime64`.
pub fn timerfd_settime64(
    cx: &mut Cx<'_>,
    fd: Fd,
    flags: Flags<TimerfdSet>,
    new: In<Itimerspec64>,
    old: OutOpt<Itimerspec64>,
) -> SysResult {
    let was = set_timer(fd.0, flags.0, new.0)?;
    cx.write_opt(old.0, &was)?;
    Ok(0)
}

/// `timerfd_gettime(2)` with words.
pub fn timerfd_gettime(cx: &mut Cx<'_>, fd: Fd, now: Out<Itimerspec>) -> SysResult {
    let value = neutral(sys::time::timerfd_gettime(fd.0)?);
    cx.write(now.0, &words(&value))?;
    Ok(0)
}

/// `timerfd_gettime64`.
pub fn timerfd_gettime64(cx: &mut Cx<'_>, fd: Fd, now: Out<Itimerspec64>) -> SysResult {
    let value = neutral(sys::time::timerfd_gettime(fd.0)?);
    cx.write(now.0, &value)?;
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
