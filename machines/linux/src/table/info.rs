//! Rows: what the system and the process are.

use crate::abi::structs::Utsname;
use crate::args::{Num, Out};
use crate::sys;

crate::syscalls! {
    uname(buf: Out<Utsname>) -> Num = sys::info::uname;
    getpid() -> Num = sys::info::getpid;
    getppid() -> Num = sys::info::getppid;
}
