//! The timers and waits that `crate::signal` stands on.

use super::kernel::{KItimerspec, KTimespec, nr};
use super::{Errno, In, InOpt, KSigset, Out, Time, syscalls};

/// `struct sigevent` of 64 bytes.
#[repr(C)]
struct KSigevent {
    value: usize,
    signo: i32,
    notify: i32,
    tid: i32,
    pad: [u8; 64 - size_of::<usize>() - 12],
}

/// A siginfo as the kernel writes it.
#[repr(C, align(8))]
struct Info([u8; 128]);

syscalls! {
    fn raw_create(clock: i32, event: In<'_, KSigevent>, id: Out<'_, i32>) -> () = libc::SYS_timer_create;
    fn raw_settime(id: i32, flags: i32, new: In<'_, KItimerspec>, old: usize) -> () = nr::TIMER_SETTIME;
    /// `timer_delete(2)`.
    pub(crate) fn delete_timer(id: i32) -> () = libc::SYS_timer_delete;
    fn raw_sigtimedwait(mask: In<'_, KSigset>, info: Out<'_, Info>, timeout: InOpt<'_, KTimespec>, size: usize) -> i32 = nr::RT_SIGTIMEDWAIT;
}

/// A monotonic timer that signals the calling thread.
pub(crate) fn create_timer(signo: i32, mark: u32) -> Result<i32, Errno> {
    let event = KSigevent {
        value: mark as usize,
        signo,
        notify: libc::SIGEV_THREAD_ID,
        tid: super::proc::gettid()?,
        pad: [0; 64 - size_of::<usize>() - 12],
    };
    let mut id = 0;
    raw_create(libc::CLOCK_MONOTONIC, In(&event), Out(&mut id))?;
    Ok(id)
}

/// Arms a timer (nanoseconds to the first expiry and between them), or disarms it with zeros. Async-signal-safe.
pub(crate) fn arm_timer(id: i32, first: i64, period: i64) -> Result<(), Errno> {
    let new = KItimerspec { value: Time::from_nanos(first).into(), interval: Time::from_nanos(period).into() };
    raw_settime(id, 0, In(&new), 0)
}

/// `rt_sigtimedwait(2)`.
pub(crate) fn sigtimedwait(mask: u64, timeout: Option<Time>) -> Result<[u8; 128], Errno> {
    let mut info = Info([0; 128]);
    let timeout = timeout.map(KTimespec::from);
    raw_sigtimedwait(In(&mask.into()), Out(&mut info), InOpt(timeout.as_ref()), KSigset::SIZE)?;
    Ok(info.0)
}
