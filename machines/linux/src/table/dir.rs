//! Rows: directories and names.

use crate::abi::flags::{At, Rename};
use crate::abi::structs::{Timespec, Timespec64};
use crate::args::{DirFd, Fd, Flags, Hex, Id, InArr, Mode, Num, Octal, OutBuf, Path, PathOpt, Ptr, Size};
use crate::sys;

crate::syscalls! {
    getdents64(fd: Fd, buf: Ptr, len: Size) -> Num = sys::dir::getdents64;
    getcwd(buf: OutBuf[len], len: Size) -> Num = sys::dir::getcwd;
    chdir(path: Path) -> Num = sys::dir::chdir;
    fchdir(fd: Fd) -> Num = sys::dir::fchdir;
    chroot(path: Path) -> Num = sys::dir::chroot;
    readlinkat(dir: DirFd, path: Path, buf: OutBuf[len], len: Size) -> Num = sys::dir::readlinkat;
    mkdirat(dir: DirFd, path: Path, mode: Mode) -> Num = sys::dir::mkdirat;
    mknodat(dir: DirFd, path: Path, mode: Mode, dev: Hex) -> Num = sys::dir::mknodat;
    unlinkat(dir: DirFd, path: Path, flags: Flags<At>) -> Num = sys::dir::unlinkat;
    symlinkat(target: Path, dir: DirFd, path: Path) -> Num = sys::dir::symlinkat;
    linkat(olddir: DirFd, old: Path, newdir: DirFd, new: Path, flags: Flags<At>) -> Num = sys::dir::linkat;
    renameat2(olddir: DirFd, old: Path, newdir: DirFd, new: Path, flags: Flags<Rename>) -> Num = sys::dir::renameat2;
    umask(mask: Mode) -> Octal = sys::dir::umask;
    fchmod(fd: Fd, mode: Mode) -> Num = sys::dir::fchmod;
    fchmodat(dir: DirFd, path: Path, mode: Mode) -> Num = sys::dir::fchmodat;
    fchmodat2(dir: DirFd, path: Path, mode: Mode, flags: Flags<At>) -> Num = sys::dir::fchmodat2;
    fchown(fd: Fd, uid: Id, gid: Id) -> Num = sys::dir::fchown;
    fchownat(dir: DirFd, path: Path, uid: Id, gid: Id, flags: Flags<At>) -> Num = sys::dir::fchownat;
    utimensat(dir: DirFd, path: PathOpt, times: InArr<Timespec>, flags: Flags<At>) -> Num = sys::dir::utimensat;
    utimensat_time64(dir: DirFd, path: PathOpt, times: InArr<Timespec64>, flags: Flags<At>) -> Num = sys::dir::utimensat_time64;
}
