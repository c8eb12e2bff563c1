//! Rows: memory.

use crate::abi::flags::{Madvise, Map, Mlock2, Mlockall, Mremap, Msync, Prot};
use crate::args::{Address, Const, Flags, Int, Num, OutBuf, Ptr, Size};
use crate::sys;

crate::syscalls! {
    brk(addr: Ptr) -> Address = sys::mem::brk, run;
    mmap(addr: Ptr, len: Size, prot: Flags<Prot>, flags: Flags<Map>, fd: Int, offset: Size) -> Address = sys::mem::mmap, run;
    mmap2(addr: Ptr, len: Size, prot: Flags<Prot>, flags: Flags<Map>, fd: Int, pages: Size) -> Address = sys::mem::mmap2, run;
    munmap(addr: Ptr, len: Size) -> Num = sys::mem::munmap, run;
    mprotect(addr: Ptr, len: Size, prot: Flags<Prot>) -> Num = sys::mem::mprotect, run;
    pkey_mprotect(addr: Ptr, len: Size, prot: Flags<Prot>, key: Int) -> Num = sys::mem::pkey_mprotect, run;
    mremap(addr: Ptr, old: Size, new: Size, flags: Flags<Mremap>, to: Ptr) -> Address = sys::mem::mremap, run;
    madvise(addr: Ptr, len: Size, advice: Const<Madvise>) -> Num = sys::mem::madvise, run;
    msync(addr: Ptr, len: Size, flags: Flags<Msync>) -> Num = sys::mem::msync;
    mincore(addr: Ptr, len: Size, vec: OutBuf) -> Num = sys::mem::mincore;
    mlock(addr: Ptr, len: Size) -> Num = sys::mem::mlock, run;
    mlock2(addr: Ptr, len: Size, flags: Flags<Mlock2>) -> Num = sys::mem::mlock2, run;
    munlock(addr: Ptr, len: Size) -> Num = sys::mem::munlock, run;
    mlockall(flags: Flags<Mlockall>) -> Num = sys::mem::mlockall, run;
    munlockall() -> Num = sys::mem::munlockall, run;
    riscv_flush_icache(start: Ptr, end: Ptr, flags: Size) -> Num = sys::mem::flush_icache;
}
