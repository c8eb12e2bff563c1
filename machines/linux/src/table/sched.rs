//! Rows: scheduling.

use crate::abi::process_flags::{Policy, PrioWhich};
use crate::abi::process_structs::{SchedAttr, SchedParam};
use crate::abi::structs::{Timespec, Timespec64};
use crate::args::{Const, Flags, In, Int, Num, Out, Pid, Ptr, Uint};
use crate::sys;

crate::syscalls! {
    sched_yield() -> Num = sys::sched::sched_yield;
    sched_getscheduler(pid: Pid) -> Num = sys::sched::sched_getscheduler;
    sched_setscheduler(pid: Pid, policy: Flags<Policy>, param: In<SchedParam>) -> Num = sys::sched::sched_setscheduler;
    sched_getparam(pid: Pid, param: Out<SchedParam>) -> Num = sys::sched::sched_getparam;
    sched_setparam(pid: Pid, param: In<SchedParam>) -> Num = sys::sched::sched_setparam;
    sched_get_priority_max(policy: Flags<Policy>) -> Num = sys::sched::sched_get_priority_max;
    sched_get_priority_min(policy: Flags<Policy>) -> Num = sys::sched::sched_get_priority_min;
    sched_rr_get_interval(pid: Pid, time: Out<Timespec>) -> Num = sys::sched::sched_rr_get_interval;
    sched_rr_get_interval_time64(pid: Pid, time: Out<Timespec64>) -> Num = sys::sched::sched_rr_get_interval_time64;
    sched_getaffinity(pid: Pid, len: Uint, mask: Ptr) -> Num = sys::sched::sched_getaffinity;
    sched_setaffinity(pid: Pid, len: Uint, mask: Ptr) -> Num = sys::sched::sched_setaffinity;
    sched_getattr(pid: Pid, attr: Out<SchedAttr>, size: Uint, flags: Uint) -> Num = sys::sched::sched_getattr;
    sched_setattr(pid: Pid, attr: Ptr, flags: Uint) -> Num = sys::sched::sched_setattr;
    getpriority(which: Const<PrioWhich>, who: Pid) -> Num = sys::sched::getpriority;
    setpriority(which: Const<PrioWhich>, who: Pid, nice: Int) -> Num = sys::sched::setpriority;
}
