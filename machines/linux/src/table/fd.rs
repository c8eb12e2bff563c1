//! Rows: descriptors: dup, fcntl, pipes, locks.

use crate::abi::Arr;
use crate::abi::flags::{CloseRange, Fcntl, FlockOp, Open};
use crate::args::{Const, Fd, Flags, Num, Out, Ptr, Uint};
use crate::sys;

crate::syscalls! {
    dup(fd: Fd) -> Num = sys::fd::dup;
    dup3(old: Fd, new: Fd, flags: Flags<Open>) -> Num = sys::fd::dup3;
    fcntl(fd: Fd, cmd: Const<Fcntl>, arg: Ptr) -> Num = sys::fd::fcntl;
    fcntl64(fd: Fd, cmd: Const<Fcntl>, arg: Ptr) -> Num = sys::fd::fcntl;
    pipe2(fds: Out<Arr<i32, 2>>, flags: Flags<Open>) -> Num = sys::fd::pipe2;
    close_range(first: Uint, last: Uint, flags: Flags<CloseRange>) -> Num = sys::fd::close_range;
    flock(fd: Fd, op: Flags<FlockOp>) -> Num = sys::fd::flock;
}
