//! POSIX timers; see [`crate::timers`].

use super::time::{ClockArg, SECOND, host_clock, span};
use crate::abi::Errno;
use crate::abi::process_flags::TimerFlags;
use crate::abi::process_structs::Sigevent;
use crate::abi::structs::{Itimerspec, Itimerspec64, Timespec, Timespec64};
use crate::args::{Flags, In, InOpt, Int, Out, OutOpt};
use crate::cx::{Cx, SysResult};
use crate::timers::{Base, Notify, Timer};
use tern_host::sys;

/// Timers of one process; a hostile guest must not fill our memory.
const TIMERS_MAX: usize = 4096;
/// `SIGEV_SIGNAL`, `SIGEV_NONE`, `SIGEV_THREAD`, `SIGEV_THREAD_ID`.
mod sigev {
    pub(super) const SIGNAL: i32 = 0;
    pub(super) const NONE: i32 = 1;
    pub(super) const THREAD: i32 = 2;
    pub(super) const THREAD_ID: i32 = 4;
}

fn base(clock: i32) -> Result<Base, Errno> {
    match clock {
        sys::host::CLOCK_REALTIME | 8 | 11 => Ok(Base::Realtime),
        sys::host::CLOCK_MONOTONIC | sys::host::CLOCK_BOOTTIME | 9 => Ok(Base::Monotonic),
        sys::host::CLOCK_PROCESS_CPUTIME_ID | sys::host::CLOCK_THREAD_CPUTIME_ID => Ok(Base::Cpu),
        sys::host::CLOCK_MONOTONIC_RAW | 5 | 6 => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::EINVAL),
    }
}

/// `timer_create(2)`.
pub fn timer_create(cx: &mut Cx<'_>, clock: ClockArg, event: InOpt<Sigevent>, id: Out<i32>) -> SysResult {
    let base = base(host_clock(cx, clock))?;
    if cx.process.timers.list.len() >= TIMERS_MAX {
        return Err(Errno::EAGAIN.into());
    }
    let number = cx.process.timers.next_id;
    /// `SIGALRM`.
    const ALARM: i32 = 14;
    let own = i64::from(number).cast_unsigned();
    let event = event.0.unwrap_or(Sigevent { value: own, signo: ALARM, notify: sigev::SIGNAL, tid: 0 });
    let notify = match event.notify {
        sigev::SIGNAL | sigev::THREAD => Notify::Process,
        sigev::NONE => Notify::None,
        sigev::THREAD_ID if cx.process.threads.contains_key(&event.tid) => Notify::Thread(event.tid),
        _ => return Err(Errno::EINVAL.into()),
    };
    if notify != Notify::None && !(1..=64).contains(&event.signo) {
        return Err(Errno::EINVAL.into());
    }
    cx.write(id.0, &number)?;
    cx.process.timers.next_id = number.wrapping_add(1) & i32::MAX;
    let timer = Timer { base, notify, signo: event.signo, value: event.value, next: None, interval: 0, overrun: 0 };
    cx.process.timers.list.insert(number, timer);
    Ok(0)
}

/// Time left and period.
fn remaining(timer: &Timer) -> (u64, u64) {
    let left = timer.next.map_or(0, |at| at.saturating_sub(timer.base.now()).max(1));
    (left, timer.interval)
}

/// Sets a timer; returns what was left and the period.
fn set(cx: &mut Cx<'_>, id: i32, flags: u64, value: u64, interval: u64) -> Result<(u64, u64), Errno> {
    let timer = cx.process.timers.list.get_mut(&id).ok_or(Errno::EINVAL)?;
    let before = remaining(timer);
    let absolute = flags & TimerFlags::TIMER_ABSTIME != 0;
    timer.next = match value {
        0 => None,
        at if absolute => Some(at),
        after => Some(timer.base.now().saturating_add(after)),
    };
    timer.interval = interval;
    timer.overrun = 0;
    Ok(before)
}

fn timespec(ns: u64) -> Timespec {
    Timespec { sec: (ns / SECOND) as i64, nsec: (ns % SECOND) as i64 }
}

fn timespec64(ns: u64) -> Timespec64 {
    Timespec64 { sec: (ns / SECOND) as i64, nsec: (ns % SECOND) as i64 }
}

/// `timer_settime(2)`.
pub fn timer_settime(
    cx: &mut Cx<'_>,
    id: Int,
    flags: Flags<TimerFlags>,
    new: In<Itimerspec>,
    old: OutOpt<Itimerspec>,
) -> SysResult {
    let (value, interval) = (span(new.0.value.sec, new.0.value.nsec)?, span(new.0.interval.sec, new.0.interval.nsec)?);
    let (left, period) = set(cx, id.0, flags.0, value, interval)?;
    cx.write_opt(old.0, &Itimerspec { interval: timespec(period), value: timespec(left) })?;
    Ok(0)
}

/// `timer_settime(2)` with 64-bit times.
pub fn timer_settime64(
    cx: &mut Cx<'_>,
    id: Int,
    flags: Flags<TimerFlags>,
    new: In<Itimerspec64>,
    old: OutOpt<Itimerspec64>,
) -> SysResult {
    let (value, interval) = (span(new.0.value.sec, new.0.value.nsec)?, span(new.0.interval.sec, new.0.interval.nsec)?);
    let (left, period) = set(cx, id.0, flags.0, value, interval)?;
    cx.write_opt(old.0, &Itimerspec64 { interval: timespec64(period), value: timespec64(left) })?;
    Ok(0)
}

fn get(cx: &Cx<'_>, id: i32) -> Result<(u64, u64), Errno> {
    cx.process.timers.list.get(&id).map(remaining).ok_or(Errno::EINVAL)
}

/// `timer_gettime(2)`.
pub fn timer_gettime(cx: &mut Cx<'_>, id: Int, now: Out<Itimerspec>) -> SysResult {
    let (left, period) = get(cx, id.0)?;
    cx.write(now.0, &Itimerspec { interval: timespec(period), value: timespec(left) })?;
    Ok(0)
}

/// `timer_gettime(2)` with 64-bit times.
pub fn timer_gettime64(cx: &mut Cx<'_>, id: Int, now: Out<Itimerspec64>) -> SysResult {
    let (left, period) = get(cx, id.0)?;
    cx.write(now.0, &Itimerspec64 { interval: timespec64(period), value: timespec64(left) })?;
    Ok(0)
}

/// `timer_getoverrun(2)`.
pub fn timer_getoverrun(cx: &mut Cx<'_>, id: Int) -> SysResult {
    let timer = cx.process.timers.list.get(&id.0).ok_or(Errno::EINVAL)?;
    Ok(timer.overrun as u64)
}

/// `timer_delete(2)`.
pub fn timer_delete(cx: &mut Cx<'_>, id: Int) -> SysResult {
    cx.process.timers.list.remove(&id.0).ok_or(Errno::EINVAL)?;
    Ok(0)
}
