//! Rows: terminals and devices.

use crate::args::{Fd, Num};
use crate::sys;
use crate::sys::tty::{RequestArg, RequestPtr};

crate::syscalls! {
    ioctl(fd: Fd, request: RequestArg, arg: RequestPtr[request]) -> Num = sys::tty::ioctl;
}
