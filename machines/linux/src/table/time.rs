//! Rows: clocks, sleeping, timers.

use crate::abi::process_flags::{Itimer, TimerFlags};
use crate::abi::process_structs::Sigevent;
use crate::abi::structs::{Itimerspec, Itimerspec64, Itimerval, Timespec, Timespec64, Timeval, Timezone};
use crate::args::{Const, Flags, In, InOpt, Int, Num, Out, OutOpt};
use crate::sys;
use crate::sys::time::ClockArg;

crate::syscalls! {
    clock_gettime(clock: ClockArg, time: Out<Timespec>) -> Num = sys::time::clock_gettime;
    clock_gettime64(clock: ClockArg, time: Out<Timespec64>) -> Num = sys::time::clock_gettime64;
    clock_getres(clock: ClockArg, time: OutOpt<Timespec>) -> Num = sys::time::clock_getres;
    clock_getres_time64(clock: ClockArg, time: OutOpt<Timespec64>) -> Num = sys::time::clock_getres_time64;
    clock_settime(clock: ClockArg, time: In<Timespec>) -> Num = sys::time::clock_settime;
    clock_settime64(clock: ClockArg, time: In<Timespec64>) -> Num = sys::time::clock_settime64;
    nanosleep(time: In<Timespec>, left: OutOpt<Timespec>) -> Num = sys::time::nanosleep;
    clock_nanosleep(clock: ClockArg, flags: Flags<TimerFlags>, time: In<Timespec>, left: OutOpt<Timespec>) -> Num = sys::time::clock_nanosleep;
    clock_nanosleep_time64(clock: ClockArg, flags: Flags<TimerFlags>, time: In<Timespec64>, left: OutOpt<Timespec64>) -> Num = sys::time::clock_nanosleep_time64;
    gettimeofday(time: OutOpt<Timeval>, zone: OutOpt<Timezone>) -> Num = sys::time::gettimeofday;
    settimeofday(time: InOpt<Timeval>, zone: InOpt<Timezone>) -> Num = sys::time::settimeofday;
    getitimer(which: Const<Itimer>, now: Out<Itimerval>) -> Num = sys::time::getitimer;
    setitimer(which: Const<Itimer>, new: InOpt<Itimerval>, old: OutOpt<Itimerval>) -> Num = sys::time::setitimer;
    timer_create(clock: ClockArg, event: InOpt<Sigevent>, id: Out<i32>) -> Num = sys::timer::timer_create;
    timer_settime(id: Int, flags: Flags<TimerFlags>, new: In<Itimerspec>, old: OutOpt<Itimerspec>) -> Num = sys::timer::timer_settime;
    timer_settime64(id: Int, flags: Flags<TimerFlags>, new: In<Itimerspec64>, old: OutOpt<Itimerspec64>) -> Num = sys::timer::timer_settime64;
    timer_gettime(id: Int, now: Out<Itimerspec>) -> Num = sys::timer::timer_gettime;
    timer_gettime64(id: Int, now: Out<Itimerspec64>) -> Num = sys::timer::timer_gettime64;
    timer_getoverrun(id: Int) -> Num = sys::timer::timer_getoverrun;
    timer_delete(id: Int) -> Num = sys::timer::timer_delete;
}
