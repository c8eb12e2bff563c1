//! Rows: what the system and the process are.

use crate::abi::flags::{Getrandom, Prctl, Resource};
use crate::abi::structs::{RiscvHwprobe, Rlimit, Rlimit64, Rusage, Sysinfo, Tms, Utsname};
use crate::args::{Const, Data, Flags, Hex, InOpt, Int, Num, Out, OutArr, OutBuf, OutOpt, Pid, Ptr, Size, Uint};
use crate::sys;

crate::syscalls! {
    uname(buf: Out<Utsname>) -> Num = sys::info::uname;
    sethostname(name: Data[len], len: Size) -> Num = sys::info::sethostname;
    setdomainname(name: Data[len], len: Size) -> Num = sys::info::setdomainname;
    getpid() -> Num = sys::info::getpid;
    getppid() -> Num = sys::info::getppid;
    sysinfo(info: Out<Sysinfo>) -> Num = sys::info::sysinfo;
    getrandom(buf: OutBuf[len], len: Size, flags: Flags<Getrandom>) -> Num = sys::info::getrandom;
    getrlimit(resource: Const<Resource>, limit: Out<Rlimit>) -> Num = sys::info::getrlimit;
    setrlimit(resource: Const<Resource>, limit: crate::args::In<Rlimit>) -> Num = sys::info::setrlimit, run_if(sys::info::sets_memory);
    prlimit64(pid: Pid, resource: Const<Resource>, new: InOpt<Rlimit64>, old: OutOpt<Rlimit64>) -> Num = sys::info::prlimit64, run_if(sys::info::limits_memory);
    getrusage(who: Int, usage: Out<Rusage>) -> Num = sys::info::getrusage;
    times(buf: OutOpt<Tms>) -> Num = sys::info::times;
    getcpu(cpu: OutOpt<u32>, node: OutOpt<u32>, cache: Ptr) -> Num = sys::info::getcpu;
    personality(persona: Hex) -> Num = sys::info::personality;
    prctl(option: Const<Prctl>, a: Ptr, b: Ptr, c: Ptr, d: Ptr) -> Num = sys::prctl::prctl, run_if(sys::prctl::is_own);
    riscv_hwprobe(pairs: OutArr<RiscvHwprobe>[count], count: Size, size: Size, cpus: Ptr, flags: Uint) -> Num = sys::hwprobe::riscv_hwprobe;
}
