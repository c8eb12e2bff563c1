//! Clocks, sleeping, interval timers.

use crate::abi::flags::Names;
use crate::abi::process_flags::{ClockId, Itimer, TimerFlags};
use crate::abi::structs::{Itimerval, Timespec, Timespec64, Timeval, Timezone};
use crate::abi::{Errno, GuestPtr};
use crate::args::{Arg, Const, Flags, In, InOpt, Out, OutOpt};
use crate::cx::{Cx, Outcome, SysResult};
use crate::sched::{Interrupted, Wait};
use crate::strace::Show;
use tern_host::sys;
use tern_host::sys::Time;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
/// How often a sleeper looks at a clock of processor time.
const CPU_LOOK: u64 = 10_000_000;

/// A span of time that the guest gave, in nanoseconds; longer ones than 584 years are cut.
///
/// # Errors
/// `EINVAL` for negative times and nanoseconds that are none.
pub fn span(sec: i64, nsec: i64) -> Result<u64, Errno> {
    let (sec, nsec) = (u64::try_from(sec), u64::try_from(nsec));
    match (sec, nsec) {
        (Ok(sec), Ok(nsec)) if nsec < SECOND => Ok(sec.saturating_mul(SECOND).saturating_add(nsec)),
        _ => Err(Errno::EINVAL),
    }
}

/// A clock's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockArg(pub i32);

impl Arg for ClockArg {
    fn fetch(_cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(ClockArg(raw as i32))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        match ClockId::NAMES.iter().find(|(v, _)| *v == u64::from(raw as u32)) {
            Some((_, name)) => s.put(format_args!("{name}")),
            None => s.put(format_args!("{:#x}", raw as i32)),
        }
    }
}

/// The bits of a processor time clock's number below the complement of the process's (`CPUCLOCK_*`).
const CPU_CLOCK_BITS: u32 = 3;
/// `CPUCLOCK_PERTHREAD_MASK`.
const PER_THREAD: i32 = 4;
/// The kind that is a descriptor's clock (`CLOCKFD`).
const CLOCK_FD: i32 = 3;

/// The host's clock for a guest's.
pub fn host_clock(cx: &Cx<'_>, clock: ClockArg) -> i32 {
    let id = clock.0;
    if id >= 0 || id & 7 == CLOCK_FD {
        return id;
    }
    let number = !(id >> CPU_CLOCK_BITS);
    let own = number == 0 || number == cx.process.pid || cx.process.threads.contains_key(&number);
    match (own, id & PER_THREAD != 0) {
        // All threads of the guest run on one of the host.
        (true, true) => sys::host::CLOCK_THREAD_CPUTIME_ID,
        (true, false) => sys::host::CLOCK_PROCESS_CPUTIME_ID,
        (false, _) => !crate::thread::process_of(number) << CPU_CLOCK_BITS | id & 7,
    }
}

fn get(cx: &mut Cx<'_>, clock: ClockArg) -> Result<Time, Errno> {
    Ok(sys::time::clock_gettime(host_clock(cx, clock))?)
}

/// `clock_gettime(2)`.
pub fn clock_gettime(cx: &mut Cx<'_>, clock: ClockArg, time: Out<Timespec>) -> SysResult {
    let t = get(cx, clock)?;
    cx.write(time.0, &Timespec { sec: t.sec, nsec: t.nsec })?;
    Ok(0)
}

/// `clock_gettime(2)` with 64-bit times.
pub fn clock_gettime64(cx: &mut Cx<'_>, clock: ClockArg, time: Out<Timespec64>) -> SysResult {
    let t = get(cx, clock)?;
    cx.write(time.0, &Timespec64 { sec: t.sec, nsec: t.nsec })?;
    Ok(0)
}

/// `clock_getres(2)`.
pub fn clock_getres(cx: &mut Cx<'_>, clock: ClockArg, time: OutOpt<Timespec>) -> SysResult {
    let t = sys::time::clock_getres(host_clock(cx, clock))?;
    cx.write_opt(time.0, &Timespec { sec: t.sec, nsec: t.nsec })?;
    Ok(0)
}

/// `clock_getres(2)` with 64-bit times.
pub fn clock_getres_time64(cx: &mut Cx<'_>, clock: ClockArg, time: OutOpt<Timespec64>) -> SysResult {
    let t = sys::time::clock_getres(host_clock(cx, clock))?;
    cx.write_opt(time.0, &Timespec64 { sec: t.sec, nsec: t.nsec })?;
    Ok(0)
}

/// `clock_settime(2)`.
pub fn clock_settime(cx: &mut Cx<'_>, clock: ClockArg, time: In<Timespec>) -> SysResult {
    span(time.0.sec, time.0.nsec)?;
    sys::time::clock_settime(host_clock(cx, clock), Time { sec: time.0.sec, nsec: time.0.nsec })?;
    Ok(0)
}

/// `clock_settime(2)` with 64-bit times.
pub fn clock_settime64(cx: &mut Cx<'_>, clock: ClockArg, time: In<Timespec64>) -> SysResult {
    span(time.0.sec, time.0.nsec)?;
    sys::time::clock_settime(host_clock(cx, clock), Time { sec: time.0.sec, nsec: time.0.nsec })?;
    Ok(0)
}

/// `nanosleep(2)`.
pub fn nanosleep(cx: &mut Cx<'_>, time: In<Timespec>, left: OutOpt<Timespec>) -> SysResult {
    let want = span(time.0.sec, time.0.nsec)?;
    let clock = ClockArg(sys::host::CLOCK_MONOTONIC);
    sleep(cx, clock, false, want, |cx, t| cx.write_opt(left.0, &Timespec { sec: t.sec, nsec: t.nsec }))
}

/// `clock_nanosleep(2)`.
pub fn clock_nanosleep(
    cx: &mut Cx<'_>,
    clock: ClockArg,
    flags: Flags<TimerFlags>,
    time: In<Timespec>,
    left: OutOpt<Timespec>,
) -> SysResult {
    let want = span(time.0.sec, time.0.nsec)?;
    let absolute = flags.0 & TimerFlags::TIMER_ABSTIME != 0;
    sleep(cx, clock, absolute, want, |cx, t| cx.write_opt(left.0, &Timespec { sec: t.sec, nsec: t.nsec }))
}

/// `clock_nanosleep(2)` with 64-bit times.
pub fn clock_nanosleep_time64(
    cx: &mut Cx<'_>,
    clock: ClockArg,
    flags: Flags<TimerFlags>,
    time: In<Timespec64>,
    left: OutOpt<Timespec64>,
) -> SysResult {
    let want = span(time.0.sec, time.0.nsec)?;
    let absolute = flags.0 & TimerFlags::TIMER_ABSTIME != 0;
    sleep(cx, clock, absolute, want, |cx, t| cx.write_opt(left.0, &Timespec64 { sec: t.sec, nsec: t.nsec }))
}

fn sleep(
    cx: &mut Cx<'_>,
    clock: ClockArg,
    absolute: bool,
    want: u64,
    put_left: impl FnOnce(&mut Cx<'_>, Time) -> Result<(), Errno>,
) -> SysResult {
    let host = host_clock(cx, clock);
    let nanos = |clock| sys::time::clock_gettime(clock).map(|t| u64::try_from(t.nanos()).unwrap_or(0));
    if host == sys::host::CLOCK_THREAD_CPUTIME_ID {
        return Err(Errno::EINVAL.into());
    }
    let now = cx.process.now_ns();
    let there = nanos(host)?;
    let ahead = if absolute { want.saturating_sub(there) } else { want };
    if host == sys::host::CLOCK_PROCESS_CPUTIME_ID || host < 0 {
        return sleep_cpu(cx, there, if absolute { want } else { there.saturating_add(want) });
    }
    // The realtime clock may be set while somebody sleeps until one of its times: then it is asked again.
    let follows = absolute && matches!(host, sys::host::CLOCK_REALTIME | TAI);
    let deadline = if follows {
        let deadline = Some(now.saturating_add(ahead));
        cx.thread().call.deadline = deadline;
        deadline
    } else {
        cx.deadline(|| Some(now.saturating_add(ahead)))
    };
    if cx.expired() {
        return Ok(0);
    }
    if cx.signalled() && !absolute {
        let left = deadline.unwrap_or(now).saturating_sub(now);
        put_left(cx, Time::from_nanos(i64::try_from(left).unwrap_or(i64::MAX)))?;
    }
    let interrupted = if absolute { Interrupted::NoHandler } else { Interrupted::Block };
    Err(Outcome::Block(Wait::until(deadline).interrupted(interrupted)))
}

/// `CLOCK_TAI`.
const TAI: i32 = 11;

/// Sleeps until a process has used so much processor time; `progress` remembers when that is.
fn sleep_cpu(cx: &mut Cx<'_>, there: u64, until: u64) -> SysResult {
    let call = &mut cx.thread().call;
    if call.progress == 0 {
        call.progress = until.max(1);
    }
    if there >= call.progress {
        return Ok(0);
    }
    let next = cx.process.now_ns() + CPU_LOOK;
    Err(Outcome::Block(Wait::until(Some(next)).interrupted(Interrupted::NoHandler)))
}

/// `gettimeofday(2)`.
pub fn gettimeofday(cx: &mut Cx<'_>, time: OutOpt<Timeval>, zone: OutOpt<Timezone>) -> SysResult {
    let t = sys::time::clock_gettime(sys::host::CLOCK_REALTIME)?;
    cx.write_opt(time.0, &Timeval { sec: t.sec, usec: t.nsec / 1000 })?;
    cx.write_opt(zone.0, &Timezone { minuteswest: 0, dsttime: 0 })?;
    Ok(0)
}

/// `settimeofday(2)`; the kernel's time zone is not for guests.
pub fn settimeofday(cx: &mut Cx<'_>, time: InOpt<Timeval>, zone: InOpt<Timezone>) -> SysResult {
    if zone.0.is_some() {
        cx.unimplemented(format_args!("settimeofday with a time zone"));
        return Err(Errno::EPERM.into());
    }
    if let Some(t) = time.0 {
        let nsec = t.usec.checked_mul(1000).ok_or(Errno::EINVAL)?;
        span(t.sec, nsec)?;
        sys::time::clock_settime(sys::host::CLOCK_REALTIME, Time { sec: t.sec, nsec })?;
    }
    Ok(0)
}

fn itimerval(i: sys::time::Interval) -> Itimerval {
    let time = |t: Time| Timeval { sec: t.sec, usec: t.nsec / 1000 };
    Itimerval { interval: time(i.interval), value: time(i.value) }
}

fn which(which: Const<Itimer>) -> Result<i32, Errno> {
    if which.0 > 2 { Err(Errno::EINVAL) } else { Ok(which.0 as i32) }
}

/// `getitimer(2)`.
pub fn getitimer(cx: &mut Cx<'_>, timer: Const<Itimer>, now: Out<Itimerval>) -> SysResult {
    let value = sys::time::getitimer(which(timer)?)?;
    cx.write(now.0, &itimerval(value))?;
    Ok(0)
}

/// `setitimer(2)`: the host's timer, whose signal comes back as any other.
pub fn setitimer(cx: &mut Cx<'_>, timer: Const<Itimer>, new: InOpt<Itimerval>, old: OutOpt<Itimerval>) -> SysResult {
    let time = |t: Timeval| -> Result<Time, Errno> {
        if t.sec < 0 || !(0..1_000_000).contains(&t.usec) {
            return Err(Errno::EINVAL);
        }
        Ok(Time { sec: t.sec, nsec: t.usec * 1000 })
    };
    let interval = match new.0 {
        Some(new) => sys::time::Interval { interval: time(new.interval)?, value: time(new.value)? },
        None => sys::time::Interval::default(),
    };
    let before = sys::time::setitimer(which(timer)?, interval)?;
    if let Some(ptr) = old.0 {
        cx.write::<Itimerval>(GuestPtr::new(ptr.addr), &itimerval(before))?;
    }
    Ok(0)
}
