//! Rows: descriptors: dup, fcntl, pipes, memory files, event counters, timers, signals.

use crate::abi::Arr;
use crate::abi::flags::{CloseRange, Fcntl, Memfd};
use crate::abi::io_flags::{Clock, Eventfd, PipeFlags, Signalfd, TimerfdCreate, TimerfdSet};
use crate::abi::structs::{Itimerspec, Itimerspec64};
use crate::args::{Const, Fd, Flags, In, Num, Out, OutOpt, Path, Size, Uint};
use crate::sys;
use crate::sys::fd::FcntlArg;
use crate::sys::poll::SigsetPtr;

crate::syscalls! {
    dup(fd: Fd) -> Num = sys::fd::dup;
    dup3(old: Fd, new: Fd, flags: Flags<PipeFlags>) -> Num = sys::fd::dup3;
    pipe2(ends: Out<Arr<i32, 2>>, flags: Flags<PipeFlags>) -> Num = sys::fd::pipe2;
    close_range(first: Uint, last: Uint, flags: Flags<CloseRange>) -> Num = sys::fd::close_range;
    fcntl(fd: Fd, cmd: Const<Fcntl>, arg: FcntlArg[cmd]) -> Num = sys::fd::fcntl;
    fcntl64(fd: Fd, cmd: Const<Fcntl>, arg: FcntlArg[cmd]) -> Num = sys::fd::fcntl;
    memfd_create(name: Path, flags: Flags<Memfd>) -> Num = sys::fd::memfd_create;
    eventfd2(value: Uint, flags: Flags<Eventfd>) -> Num = sys::fd::eventfd2;
    signalfd4(fd: Fd, mask: SigsetPtr, size: Size, flags: Flags<Signalfd>) -> Num = sys::signalfd::signalfd4;
    timerfd_create(clock: Const<Clock>, flags: Flags<TimerfdCreate>) -> Num = sys::fd::timerfd_create;
    timerfd_settime(fd: Fd, flags: Flags<TimerfdSet>, new: In<Itimerspec>, old: OutOpt<Itimerspec>) -> Num = sys::fd::timerfd_settime;
    timerfd_settime64(fd: Fd, flags: Flags<TimerfdSet>, new: In<Itimerspec64>, old: OutOpt<Itimerspec64>) -> Num = sys::fd::timerfd_settime64;
    timerfd_gettime(fd: Fd, now: Out<Itimerspec>) -> Num = sys::fd::timerfd_gettime;
    timerfd_gettime64(fd: Fd, now: Out<Itimerspec64>) -> Num = sys::fd::timerfd_gettime64;
}
