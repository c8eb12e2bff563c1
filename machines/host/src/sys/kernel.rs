//! Structures and call numbers as the kernel defines them; nothing here leaves the crate.

use super::Time;
use core::ffi::{c_long, c_ulong};

/// The number of a system call younger than Linux 5.1 (424 and up, and the 64-bit time calls of 32-bit hosts): these
/// have one number for all architectures, plus the base of the architecture's table.
pub(crate) const fn unified(nr: c_long) -> c_long {
    const BASE: c_long = if cfg!(any(target_arch = "mips", target_arch = "mips32r6")) {
        4000
    } else if cfg!(any(target_arch = "mips64", target_arch = "mips64r6")) {
        5000
    } else {
        0
    };
    BASE + nr
}

/// Calls that pass times: 64-bit hosts have one, 32-bit hosts a second one (since Linux 5.1) that survives 2038.
pub(crate) mod nr {
    use core::ffi::c_long;

    macro_rules! time_calls {
        ($($name:ident: $wide:ident or $narrow:literal;)*) => {$(
            #[cfg(target_pointer_width = "64")]
            pub(crate) const $name: c_long = libc::$wide;
            #[cfg(not(target_pointer_width = "64"))]
            pub(crate) const $name: c_long = super::unified($narrow);
        )*};
    }
    time_calls! {
        CLOCK_GETTIME: SYS_clock_gettime or 403;
        CLOCK_SETTIME: SYS_clock_settime or 404;
        CLOCK_GETRES: SYS_clock_getres or 406;
        CLOCK_NANOSLEEP: SYS_clock_nanosleep or 407;
        TIMER_SETTIME: SYS_timer_settime or 409;
        TIMERFD_GETTIME: SYS_timerfd_gettime or 410;
        TIMERFD_SETTIME: SYS_timerfd_settime or 411;
        UTIMENSAT: SYS_utimensat or 412;
        PPOLL: SYS_ppoll or 414;
        RT_SIGTIMEDWAIT: SYS_rt_sigtimedwait or 421;
        FUTEX: SYS_futex or 422;
        SCHED_RR_GET_INTERVAL: SYS_sched_rr_get_interval or 423;
    }
}

/// `struct __kernel_timespec`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct KTimespec {
    pub(crate) sec: i64,
    pub(crate) nsec: i64,
}

impl From<Time> for KTimespec {
    fn from(t: Time) -> KTimespec {
        KTimespec { sec: t.sec, nsec: t.nsec }
    }
}

impl From<KTimespec> for Time {
    fn from(t: KTimespec) -> Time {
        Time { sec: t.sec, nsec: t.nsec }
    }
}

/// `struct __kernel_itimerspec`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct KItimerspec {
    pub(crate) interval: KTimespec,
    pub(crate) value: KTimespec,
}

#[cfg(target_arch = "sparc64")]
type Usec = i32;
#[cfg(not(target_arch = "sparc64"))]
type Usec = c_long;

/// `struct __kernel_old_timeval`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct KTimeval {
    pub(crate) sec: c_long,
    pub(crate) usec: Usec,
}

impl From<KTimeval> for Time {
    fn from(t: KTimeval) -> Time {
        Time { sec: t.sec as i64, nsec: t.usec as i64 * 1000 }
    }
}

impl From<Time> for KTimeval {
    fn from(t: Time) -> KTimeval {
        let sec = t.sec.clamp(c_long::MIN as i64, c_long::MAX as i64);
        KTimeval { sec: sec as c_long, usec: (t.nsec / 1000) as Usec }
    }
}

/// `struct __kernel_old_itimerval`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct KItimerval {
    pub(crate) interval: KTimeval,
    pub(crate) value: KTimeval,
}

/// `struct rusage`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct KRusage {
    pub(crate) utime: KTimeval,
    pub(crate) stime: KTimeval,
    pub(crate) rest: [c_long; 14],
}

const SIGNALS: usize =
    if cfg!(any(target_arch = "mips", target_arch = "mips32r6", target_arch = "mips64", target_arch = "mips64r6")) {
        128
    } else {
        64
    };
const WORD: usize = c_ulong::BITS as usize;

/// The kernel's `sigset_t`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct KSigset([c_ulong; SIGNALS / WORD]);

impl KSigset {
    /// The size that calls pass along.
    pub(crate) const SIZE: usize = SIGNALS / 8;
}

impl From<u64> for KSigset {
    fn from(mask: u64) -> KSigset {
        let mut set = KSigset::default();
        for (i, word) in set.0.iter_mut().enumerate().take(64 / WORD) {
            *word = (mask >> (i * WORD)) as c_ulong;
        }
        set
    }
}

impl From<KSigset> for u64 {
    fn from(set: KSigset) -> u64 {
        set.0.iter().take(64 / WORD).enumerate().fold(0, |mask, (i, word)| mask | (*word as u64) << (i * WORD))
    }
}

/// Numbers in byte buffers that the kernel filled, in the host's byte order. Absent bytes read as zero.
#[allow(clippy::disallowed_methods, reason = "the kernel of the host writes in the host's order; callers get numbers")]
pub(crate) mod native {
    macro_rules! readers {
        ($($ty:ident)*) => {$(
            pub(crate) fn $ty(buf: &[u8], at: usize) -> $ty {
                buf.get(at..at + size_of::<$ty>()).and_then(|b| b.try_into().ok()).map_or(0, $ty::from_ne_bytes)
            }
        )*};
    }
    readers!(u16 i32 u32 i64 u64 usize isize);
}
