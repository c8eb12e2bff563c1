//! Rows: extended attributes.

use crate::abi::io_flags::Xattr;
use crate::args::{Data, Fd, Flags, Num, OutBuf, Path, Size};
use crate::sys;

crate::syscalls! {
    setxattr(path: Path, key: Path, data: Data[len], len: Size, flags: Flags<Xattr>) -> Num = sys::xattr::setxattr;
    lsetxattr(path: Path, key: Path, data: Data[len], len: Size, flags: Flags<Xattr>) -> Num = sys::xattr::lsetxattr;
    fsetxattr(fd: Fd, key: Path, data: Data[len], len: Size, flags: Flags<Xattr>) -> Num = sys::xattr::fsetxattr;
    getxattr(path: Path, key: Path, data: OutBuf[len], len: Size) -> Num = sys::xattr::getxattr;
    lgetxattr(path: Path, key: Path, data: OutBuf[len], len: Size) -> Num = sys::xattr::lgetxattr;
    fgetxattr(fd: Fd, key: Path, data: OutBuf[len], len: Size) -> Num = sys::xattr::fgetxattr;
    listxattr(path: Path, list: OutBuf[len], len: Size) -> Num = sys::xattr::listxattr;
    llistxattr(path: Path, list: OutBuf[len], len: Size) -> Num = sys::xattr::llistxattr;
    flistxattr(fd: Fd, list: OutBuf[len], len: Size) -> Num = sys::xattr::flistxattr;
    removexattr(path: Path, key: Path) -> Num = sys::xattr::removexattr;
    lremovexattr(path: Path, key: Path) -> Num = sys::xattr::lremovexattr;
    fremovexattr(fd: Fd, key: Path) -> Num = sys::xattr::fremovexattr;
}
