//! Rows: sockets.

use crate::abi::Arr;
use crate::abi::io_flags::{AcceptFlags, Family, Msg, Shut, SockLevel, SockType};
use crate::abi::structs::{Timespec, Timespec64};
use crate::args::{Const, Data, Fd, Flags, InOpt, Int, Num, Out, OutBuf, Size, Uint};
use crate::sys;
use crate::sys::message::{Message, Messages};
use crate::sys::sockaddr::{LenPtr, SockaddrIn, SockaddrOut};
use crate::sys::sockopt::{OptIn, OptName, OptOut};

crate::syscalls! {
    socket(family: Const<Family>, kind: Flags<SockType>, protocol: Int) -> Num = sys::socket::socket;
    socketpair(family: Const<Family>, kind: Flags<SockType>, protocol: Int, pair: Out<Arr<i32, 2>>) -> Num = sys::socket::socketpair;
    bind(fd: Fd, addr: SockaddrIn[len], len: Int) -> Num = sys::socket::bind;
    listen(fd: Fd, backlog: Int) -> Num = sys::socket::listen;
    connect(fd: Fd, addr: SockaddrIn[len], len: Int) -> Num = sys::socket::connect;
    accept(fd: Fd, addr: SockaddrOut[len], len: LenPtr) -> Num = sys::socket::accept;
    accept4(fd: Fd, addr: SockaddrOut[len], len: LenPtr, flags: Flags<AcceptFlags>) -> Num = sys::socket::accept4;
    getsockname(fd: Fd, addr: SockaddrOut[len], len: LenPtr) -> Num = sys::socket::getsockname;
    getpeername(fd: Fd, addr: SockaddrOut[len], len: LenPtr) -> Num = sys::socket::getpeername;
    shutdown(fd: Fd, how: Const<Shut>) -> Num = sys::socket::shutdown;
    sendto(fd: Fd, buf: Data[len], len: Size, flags: Flags<Msg>, addr: SockaddrIn[addr_len], addr_len: Int) -> Num = sys::socket::sendto;
    recvfrom(fd: Fd, buf: OutBuf[len], len: Size, flags: Flags<Msg>, addr: SockaddrOut[addr_len], addr_len: LenPtr) -> Num = sys::socket::recvfrom;
    sendmsg(fd: Fd, message: Message<false>, flags: Flags<Msg>) -> Num = sys::message::sendmsg;
    recvmsg(fd: Fd, message: Message<true>, flags: Flags<Msg>) -> Num = sys::message::recvmsg;
    sendmmsg(fd: Fd, list: Messages<false>[count], count: Uint, flags: Flags<Msg>) -> Num = sys::message::sendmmsg;
    recvmmsg(fd: Fd, list: Messages<true>[count], count: Uint, flags: Flags<Msg>, timeout: InOpt<Timespec>) -> Num = sys::message::recvmmsg;
    recvmmsg_time64(fd: Fd, list: Messages<true>[count], count: Uint, flags: Flags<Msg>, timeout: InOpt<Timespec64>) -> Num = sys::message::recvmmsg_time64;
    setsockopt(fd: Fd, level: Const<SockLevel>, name: OptName[level], value: OptIn[len], len: Int) -> Num = sys::sockopt::setsockopt;
    getsockopt(fd: Fd, level: Const<SockLevel>, name: OptName[level], value: OptOut[len], len: LenPtr) -> Num = sys::sockopt::getsockopt;
}
