//! Rows: copying between descriptors, space, caches, file locks.

use crate::abi::flags::FlockOp;
use crate::abi::io_flags::{Fadvise, Falloc, Splice, SyncRange};
use crate::args::{Const, Fd, Flags, Num, Off, Ptr, Size, Uint};
use crate::sys;
use crate::sys::vector::IovIn;

crate::syscalls! {
    sendfile(out: Fd, input: Fd, at: Ptr, count: Size) -> Num = sys::io::sendfile;
    sendfile64(out: Fd, input: Fd, at: Ptr, count: Size) -> Num = sys::io::sendfile64;
    splice(from: Fd, from_at: Ptr, to: Fd, to_at: Ptr, len: Size, flags: Flags<Splice>) -> Num = sys::io::splice;
    tee(from: Fd, to: Fd, len: Size, flags: Flags<Splice>) -> Num = sys::io::tee;
    vmsplice(fd: Fd, iov: IovIn[count], count: Size, flags: Flags<Splice>) -> Num = sys::io::vmsplice;
    copy_file_range(from: Fd, from_at: Ptr, to: Fd, to_at: Ptr, len: Size, flags: Uint) -> Num = sys::io::copy_file_range;
    fallocate(fd: Fd, mode: Flags<Falloc>, at: Off, len: Off) -> Num = sys::io::fallocate;
    fadvise64(fd: Fd, at: Off, len: Size, advice: Const<Fadvise>) -> Num = sys::io::fadvise64;
    fadvise64_64(fd: Fd, at: Off, len: Off, advice: Const<Fadvise>) -> Num = sys::io::fadvise64_64;
    readahead(fd: Fd, at: Off, count: Size) -> Num = sys::io::readahead;
    fsync(fd: Fd) -> Num = sys::io::fsync;
    fdatasync(fd: Fd) -> Num = sys::io::fdatasync;
    syncfs(fd: Fd) -> Num = sys::io::syncfs;
    sync() -> Num = sys::io::sync;
    sync_file_range(fd: Fd, at: Off, len: Off, flags: Flags<SyncRange>) -> Num = sys::io::sync_file_range;
    flock(fd: Fd, op: Flags<FlockOp>) -> Num = sys::io::flock;
}
