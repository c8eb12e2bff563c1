//! Rows: signals.

use crate::abi::process_flags::SigHow;
use crate::abi::process_structs::{Sigaction, SiginfoBytes, Sigset, StackT};
use crate::abi::structs::{Timespec, Timespec64};
use crate::args::{Const, Fd, In, InOpt, Num, Out, OutOpt, Pid, Sig, Size, Uint};
use crate::sys;

crate::syscalls! {
    rt_sigaction(sig: Sig, act: InOpt<Sigaction>, old: OutOpt<Sigaction>, size: Size) -> Num = sys::signal::rt_sigaction, run;
    rt_sigprocmask(how: Const<SigHow>, set: InOpt<Sigset>, old: OutOpt<Sigset>, size: Size) -> Num = sys::signal::rt_sigprocmask, run;
    rt_sigpending(set: Out<Sigset>, size: Size) -> Num = sys::signal::rt_sigpending;
    rt_sigsuspend(set: In<Sigset>, size: Size) -> Num = sys::signal::rt_sigsuspend;
    rt_sigtimedwait(set: In<Sigset>, info: OutOpt<SiginfoBytes>, timeout: InOpt<Timespec>, size: Size) -> Num = sys::signal::rt_sigtimedwait;
    rt_sigtimedwait_time64(set: In<Sigset>, info: OutOpt<SiginfoBytes>, timeout: InOpt<Timespec64>, size: Size) -> Num = sys::signal::rt_sigtimedwait_time64;
    rt_sigqueueinfo(pid: Pid, sig: Sig, info: In<SiginfoBytes>) -> Num = sys::signal::rt_sigqueueinfo;
    rt_tgsigqueueinfo(pid: Pid, tid: Pid, sig: Sig, info: In<SiginfoBytes>) -> Num = sys::signal::rt_tgsigqueueinfo;
    rt_sigreturn() -> Num = sys::signal::rt_sigreturn, run;
    sigaltstack(stack: InOpt<StackT>, old: OutOpt<StackT>) -> Num = sys::signal::sigaltstack, run;
    kill(pid: Pid, sig: Sig) -> Num = sys::signal::kill;
    tkill(tid: Pid, sig: Sig) -> Num = sys::signal::tkill;
    tgkill(pid: Pid, tid: Pid, sig: Sig) -> Num = sys::signal::tgkill;
    pidfd_send_signal(fd: Fd, sig: Sig, info: InOpt<SiginfoBytes>, flags: Uint) -> Num = sys::signal::pidfd_send_signal;
    restart_syscall() -> Num = sys::signal::restart_syscall;
}
