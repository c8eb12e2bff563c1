//! Rows: users, groups, capabilities.

use crate::abi::process_structs::{CapData, CapHeader};
use crate::args::{Id, InArr, Int, Num, Out, Ptr};
use crate::sys;

crate::syscalls! {
    getuid() -> Num = sys::cred::getuid;
    geteuid() -> Num = sys::cred::geteuid;
    getgid() -> Num = sys::cred::getgid;
    getegid() -> Num = sys::cred::getegid;
    getresuid(real: Out<u32>, effective: Out<u32>, saved: Out<u32>) -> Num = sys::cred::getresuid;
    getresgid(real: Out<u32>, effective: Out<u32>, saved: Out<u32>) -> Num = sys::cred::getresgid;
    setuid(uid: Id) -> Num = sys::cred::setuid;
    setgid(gid: Id) -> Num = sys::cred::setgid;
    setreuid(real: Id, effective: Id) -> Num = sys::cred::setreuid;
    setregid(real: Id, effective: Id) -> Num = sys::cred::setregid;
    setresuid(real: Id, effective: Id, saved: Id) -> Num = sys::cred::setresuid;
    setresgid(real: Id, effective: Id, saved: Id) -> Num = sys::cred::setresgid;
    setfsuid(uid: Id) -> Num = sys::cred::setfsuid;
    setfsgid(gid: Id) -> Num = sys::cred::setfsgid;
    getgroups(count: Int, list: Ptr) -> Num = sys::cred::getgroups;
    setgroups(count: Int, list: InArr<u32>[count]) -> Num = sys::cred::setgroups;
    capget(head: Out<CapHeader>, data: Ptr) -> Num = sys::cred::capget;
    capset(head: Out<CapHeader>, data: InArr<CapData>) -> Num = sys::cred::capset;
}
