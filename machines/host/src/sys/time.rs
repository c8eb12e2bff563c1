//! Clocks, sleeping, interval timers and timer descriptors.

use super::kernel::{KItimerspec, KItimerval, KTimespec, nr};
use super::{Errno, Fd, In, InOpt, Out, OutOpt, Time, syscalls};

syscalls! {
    fn raw_gettime(clock: i32, time: Out<'_, KTimespec>) -> () = nr::CLOCK_GETTIME;
    fn raw_settime(clock: i32, time: In<'_, KTimespec>) -> () = nr::CLOCK_SETTIME;
    fn raw_getres(clock: i32, time: Out<'_, KTimespec>) -> () = nr::CLOCK_GETRES;
    fn raw_nanosleep(clock: i32, flags: i32, time: In<'_, KTimespec>, left: Out<'_, KTimespec>) -> () = nr::CLOCK_NANOSLEEP;
    fn raw_setitimer(which: i32, new: In<'_, KItimerval>, old: Out<'_, KItimerval>) -> () = libc::SYS_setitimer;
    fn raw_getitimer(which: i32, now: Out<'_, KItimerval>) -> () = libc::SYS_getitimer;
    fn raw_timerfd_settime(fd: Fd, flags: i32, new: In<'_, KItimerspec>, old: OutOpt<'_, KItimerspec>) -> () = nr::TIMERFD_SETTIME;
    fn raw_timerfd_gettime(fd: Fd, now: Out<'_, KItimerspec>) -> () = nr::TIMERFD_GETTIME;
    fn raw_utimensat(dir: Fd, path: Option<&core::ffi::CStr>, times: InOpt<'_, [KTimespec; 2]>, flags: i32) -> () = nr::UTIMENSAT;
    /// `timerfd_create(2)`.
    pub fn timerfd_create(clock: i32, flags: i32) -> Fd = libc::SYS_timerfd_create;
}

/// An interval timer: the time to the next expiry and the period, zero for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interval {
    /// Period after the next expiry.
    pub interval: Time,
    /// Time to (or of) the next expiry; zero when disarmed.
    pub value: Time,
}

impl From<Interval> for KItimerspec {
    fn from(i: Interval) -> KItimerspec {
        KItimerspec { interval: i.interval.into(), value: i.value.into() }
    }
}

impl From<KItimerspec> for Interval {
    fn from(i: KItimerspec) -> Interval {
        Interval { interval: i.interval.into(), value: i.value.into() }
    }
}

impl From<KItimerval> for Interval {
    fn from(i: KItimerval) -> Interval {
        Interval { interval: i.interval.into(), value: i.value.into() }
    }
}

/// `clock_gettime(2)`.
///
/// # Errors
/// `EINVAL` for an unknown clock.
pub fn clock_gettime(clock: i32) -> Result<Time, Errno> {
    let mut t = KTimespec::default();
    raw_gettime(clock, Out(&mut t))?;
    Ok(t.into())
}

/// `clock_settime(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn clock_settime(clock: i32, time: Time) -> Result<(), Errno> {
    raw_settime(clock, In(&time.into()))
}

/// `clock_getres(2)`.
///
/// # Errors
/// `EINVAL` for an unknown clock.
pub fn clock_getres(clock: i32) -> Result<Time, Errno> {
    let mut t = KTimespec::default();
    raw_getres(clock, Out(&mut t))?;
    Ok(t.into())
}

/// `clock_nanosleep(2)`, relative or until `time` with `absolute`. An interrupted relative sleep also returns what is
/// left of it.
///
/// # Errors
/// `EINTR` and the time left (zero for absolute sleeps), or another errno and zero.
pub fn clock_nanosleep(clock: i32, absolute: bool, time: Time) -> Result<(), (Errno, Time)> {
    let mut left = KTimespec::default();
    let flags = if absolute { libc::TIMER_ABSTIME } else { 0 };
    raw_nanosleep(clock, flags, In(&time.into()), Out(&mut left)).map_err(|e| (e, left.into()))
}

/// `setitimer(2)`: returns the previous setting. Precision is a microsecond.
///
/// # Errors
/// `EINVAL` for an unknown timer or bad time.
pub fn setitimer(which: i32, new: Interval) -> Result<Interval, Errno> {
    let mut old = KItimerval::default();
    let new = KItimerval { interval: new.interval.into(), value: new.value.into() };
    raw_setitimer(which, In(&new), Out(&mut old))?;
    Ok(old.into())
}

/// `getitimer(2)`.
///
/// # Errors
/// `EINVAL` for an unknown timer.
pub fn getitimer(which: i32) -> Result<Interval, Errno> {
    let mut now = KItimerval::default();
    raw_getitimer(which, Out(&mut now))?;
    Ok(now.into())
}

/// `timerfd_settime(2)`: returns the previous setting.
///
/// # Errors
/// The kernel's errno.
pub fn timerfd_settime(fd: Fd, flags: i32, new: Interval) -> Result<Interval, Errno> {
    let mut old = KItimerspec::default();
    raw_timerfd_settime(fd, flags, In(&new.into()), OutOpt(Some(&mut old)))?;
    Ok(old.into())
}

/// `timerfd_gettime(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn timerfd_gettime(fd: Fd) -> Result<Interval, Errno> {
    let mut now = KItimerspec::default();
    raw_timerfd_gettime(fd, Out(&mut now))?;
    Ok(now.into())
}

/// `utimensat(2)`: access and modification time, `None` for now; a time's `nsec` may be [`super::host::UTIME_NOW`] or
/// [`super::host::UTIME_OMIT`]. Without a path it acts on `dir` itself.
///
/// # Errors
/// The kernel's errno.
pub fn utimensat(dir: Fd, path: Option<&core::ffi::CStr>, times: Option<[Time; 2]>, flags: i32) -> Result<(), Errno> {
    let times = times.map(|[a, m]| [a.into(), m.into()]);
    raw_utimensat(dir, path, InOpt(times.as_ref()), flags)
}
