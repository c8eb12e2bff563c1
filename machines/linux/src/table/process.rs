//! Rows: processes, waiting, programs.

use crate::abi::flags::At;
use crate::abi::process_flags::{IdType, Kcmp, Pidfd, WaitFlags};
use crate::abi::process_structs::SiginfoBytes;
use crate::abi::structs::Rusage;
use crate::args::{Const, DirFd, Fd, Flags, Num, OutOpt, Path, Pid, Ptr, Size, Slong, Strings, Uint};
use crate::sys;

crate::syscalls! {
    wait4(pid: Pid, status: OutOpt<i32>, options: Flags<WaitFlags>, usage: OutOpt<Rusage>) -> Num = sys::wait::wait4;
    waitid(kind: Const<IdType>, id: Pid, info: OutOpt<SiginfoBytes>, options: Flags<WaitFlags>, usage: OutOpt<Rusage>) -> Num = sys::wait::waitid;
    execve(path: Path, argv: Strings, envp: Strings) -> Num = sys::process::execve, run;
    execveat(dir: DirFd, path: Path, argv: Strings, envp: Strings, flags: Flags<At>) -> Num = sys::process::execveat, run;
    getpgid(pid: Pid) -> Num = sys::process::getpgid;
    setpgid(pid: Pid, group: Pid) -> Num = sys::process::setpgid;
    getsid(pid: Pid) -> Num = sys::process::getsid;
    setsid() -> Num = sys::process::setsid;
    pidfd_open(pid: Pid, flags: Flags<Pidfd>) -> Num = sys::process::pidfd_open;
    ptrace(request: Slong, pid: Pid, addr: Ptr, data: Ptr) -> Num = sys::process::ptrace;
    kcmp(a: Pid, b: Pid, kind: Const<Kcmp>, x: Size, y: Size) -> Num = sys::process::kcmp;
    setns(fd: Fd, kind: Uint) -> Num = sys::process::setns;
}
