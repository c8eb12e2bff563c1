//! Rows: files: opening, reading, writing, positions, status.

use crate::abi::flags::{Access, At, Open, Whence};
use crate::abi::io_flags::Rwf;
use crate::abi::structs::{OpenHow, Stat, Statfs, Statfs64, Statx};
use crate::args::{Const, Data, DirFd, Fd, Flags, Hex, Int, Mode, Num, Off, Out, OutBuf, Path, Size, Slong};
use crate::sys;
use crate::sys::vector::{IovIn, IovOut};

crate::syscalls! {
    openat(dir: DirFd, path: Path, flags: Flags<Open>, mode: Mode) -> Num = sys::file::openat;
    openat2(dir: DirFd, path: Path, how: crate::args::In<OpenHow>, size: Size) -> Num = sys::file::openat2;
    close(fd: Fd) -> Num = sys::file::close;
    read(fd: Fd, buf: OutBuf[len], len: Size) -> Num = sys::rw::read;
    write(fd: Fd, buf: Data[len], len: Size) -> Num = sys::rw::write;
    pread64(fd: Fd, buf: OutBuf[len], len: Size, pos: Off) -> Num = sys::rw::pread64;
    pwrite64(fd: Fd, buf: Data[len], len: Size, pos: Off) -> Num = sys::rw::pwrite64;
    readv(fd: Fd, iov: IovOut[count], count: Size) -> Num = sys::rw::readv;
    writev(fd: Fd, iov: IovIn[count], count: Size) -> Num = sys::rw::writev;
    preadv(fd: Fd, iov: IovOut[count], count: Size, low: Slong, high: Slong) -> Num = sys::rw::preadv;
    pwritev(fd: Fd, iov: IovIn[count], count: Size, low: Slong, high: Slong) -> Num = sys::rw::pwritev;
    preadv2(fd: Fd, iov: IovOut[count], count: Size, low: Slong, high: Slong, flags: Flags<Rwf>) -> Num = sys::rw::preadv2;
    pwritev2(fd: Fd, iov: IovIn[count], count: Size, low: Slong, high: Slong, flags: Flags<Rwf>) -> Num = sys::rw::pwritev2;
    lseek(fd: Fd, offset: Slong, whence: Const<Whence>) -> Num = sys::file::lseek;
    llseek(fd: Fd, high: Size, low: Size, result: Out<i64>, whence: Const<Whence>) -> Num = sys::file::llseek;
    fstat(fd: Fd, stat: Out<Stat>) -> Num = sys::file::fstat;
    newfstatat(dir: DirFd, path: Path, stat: Out<Stat>, flags: Flags<At>) -> Num = sys::file::newfstatat;
    statx(dir: DirFd, path: Path, flags: Flags<At>, mask: Hex, stat: Out<Statx>) -> Num = sys::file::statx;
    statfs(path: Path, buf: Out<Statfs>) -> Num = sys::file::statfs;
    fstatfs(fd: Fd, buf: Out<Statfs>) -> Num = sys::file::fstatfs;
    statfs64(path: Path, size: Size, buf: Out<Statfs64>) -> Num = sys::file::statfs64;
    fstatfs64(fd: Fd, size: Size, buf: Out<Statfs64>) -> Num = sys::file::fstatfs64;
    faccessat(dir: DirFd, path: Path, mode: Flags<Access>) -> Num = sys::file::faccessat;
    faccessat2(dir: DirFd, path: Path, mode: Flags<Access>, flags: Int) -> Num = sys::file::faccessat2;
    truncate(path: Path, len: Slong) -> Num = sys::file::truncate;
    ftruncate(fd: Fd, len: Slong) -> Num = sys::file::ftruncate;
    truncate64(path: Path, len: Off) -> Num = sys::file::truncate64;
    ftruncate64(fd: Fd, len: Off) -> Num = sys::file::ftruncate64;
}
