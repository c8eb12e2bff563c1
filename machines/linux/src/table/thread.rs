//! Rows: threads and the creation of processes.

use crate::abi::ULong;
use crate::abi::process_flags::{Clone, Membarrier};
use crate::args::{Const, Flags, Int, Num, Out, Pid, Ptr, Size, Uint};
use crate::sys;

crate::syscalls! {
    clone(flags: Flags<Clone>, stack: Ptr, parent_tid: Ptr, tls: Ptr, child_tid: Ptr) -> Num = sys::thread::clone, run;
    clone3(args: Ptr, size: Size) -> Num = sys::thread::clone3, run;
    set_tid_address(addr: Ptr) -> Num = sys::thread::set_tid_address, run;
    set_robust_list(head: Ptr, len: Size) -> Num = sys::thread::set_robust_list, run;
    get_robust_list(pid: Pid, head: Out<ULong>, len: Out<ULong>) -> Num = sys::thread::get_robust_list;
    gettid() -> Num = sys::thread::gettid;
    exit(status: Int) -> Num = sys::thread::exit, run;
    exit_group(status: Int) -> Num = sys::thread::exit_group, run;
    rseq(area: Ptr, len: Uint, flags: Uint, signature: Uint) -> Num = sys::thread::rseq;
    membarrier(command: Const<Membarrier>, flags: Uint, cpu: Int) -> Num = sys::thread::membarrier;
    unshare(flags: Flags<Clone>) -> Num = sys::thread::unshare;
}
