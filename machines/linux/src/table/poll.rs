//! Rows: waiting for descriptors: poll, select, epoll.

use crate::abi::io_flags::{EpollCreate, EpollOp};
use crate::abi::structs::{Timespec, Timespec64};
use crate::args::{Const, Fd, Flags, InOpt, Int, Num, OutOpt, Size, Uint};
use crate::sys;
use crate::sys::poll::{Events, FdSet, Pollfds, SigmaskPtr, SigsetPtr};

crate::syscalls! {
    ppoll(fds: Pollfds[count], count: Uint, timeout: OutOpt<Timespec>, mask: SigsetPtr, size: Size) -> Num = sys::poll::ppoll;
    ppoll_time64(fds: Pollfds[count], count: Uint, timeout: OutOpt<Timespec64>, mask: SigsetPtr, size: Size) -> Num = sys::poll::ppoll_time64;
    pselect6(count: Int, read: FdSet[count], write: FdSet[count], except: FdSet[count], timeout: OutOpt<Timespec>, mask: SigmaskPtr) -> Num = sys::poll::pselect6;
    pselect6_time64(count: Int, read: FdSet[count], write: FdSet[count], except: FdSet[count], timeout: OutOpt<Timespec64>, mask: SigmaskPtr) -> Num = sys::poll::pselect6_time64;
    epoll_create1(flags: Flags<EpollCreate>) -> Num = sys::poll::epoll_create1;
    epoll_ctl(epoll: Fd, op: Const<EpollOp>, fd: Fd, event: Events<false>) -> Num = sys::poll::epoll_ctl;
    epoll_pwait(epoll: Fd, events: Events<true>, count: Int, timeout: Int, mask: SigsetPtr, size: Size) -> Num = sys::poll::epoll_pwait;
    epoll_pwait2(epoll: Fd, events: Events<true>, count: Int, timeout: InOpt<Timespec64>, mask: SigsetPtr, size: Size) -> Num = sys::poll::epoll_pwait2;
}
