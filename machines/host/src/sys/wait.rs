//! Waiting for descriptors: poll and epoll. `select` is expressed through [`ppoll`].

use super::kernel::{KTimespec, nr, unified};
use super::{Errno, Fd, InOpt, KSigset, Time, cvt0, syscalls};

/// One descriptor to wait for; events are `POLL*`, the classic ones equal on every architecture.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PollFd {
    /// The descriptor; negative ones are skipped.
    pub fd: Fd,
    /// What to wait for.
    pub events: i16,
    /// What is there.
    pub revents: i16,
}

syscalls! {
    fn raw_ppoll(fds: &mut [PollFd], timeout: InOpt<'_, KTimespec>, mask: InOpt<'_, KSigset>, size: usize) -> usize = nr::PPOLL;
    /// `epoll_create1(2)`.
    pub fn epoll_create1(flags: i32) -> Fd = libc::SYS_epoll_create1;
    fn raw_epoll_pwait2(fd: Fd, events: EventBuf<'_>, timeout: InOpt<'_, KTimespec>, mask: InOpt<'_, KSigset>, size: usize) -> usize = unified(441);
    fn raw_epoll_pwait(fd: Fd, events: EventBuf<'_>, timeout: i32, mask: InOpt<'_, KSigset>, size: usize) -> usize = libc::SYS_epoll_pwait;
    fn raw_sigsuspend(mask: InOpt<'_, KSigset>, size: usize) -> () = libc::SYS_rt_sigsuspend;
}

/// `ppoll(2)`: waits until a descriptor is ready, the timeout is over (zero if so), or a signal that `mask` leaves
/// unblocked comes. The mask (bit `n` blocks signal `n + 1`) is installed together with the check for pending signals,
/// and the old one is back when the call returns.
///
/// # Errors
/// `EINTR`, `EINVAL`, `ENOMEM`.
pub fn ppoll(fds: &mut [PollFd], timeout: Option<Time>, mask: Option<u64>) -> Result<usize, Errno> {
    let timeout = timeout.map(KTimespec::from);
    let mask = mask.map(KSigset::from);
    raw_ppoll(fds, InOpt(timeout.as_ref()), InOpt(mask.as_ref()), KSigset::SIZE)
}

/// An event of an epoll descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EpollEvent {
    /// `EPOLL*`, equal on every architecture.
    pub events: u32,
    /// The caller's own.
    pub data: u64,
}

/// Room for events as the kernel lays them out.
struct EventBuf<'a>(&'a mut [libc::epoll_event]);

impl super::Arg for EventBuf<'_> {
    fn push(self, args: &mut super::Args) {
        args.push(self.0.as_mut_ptr() as core::ffi::c_long);
        args.push(self.0.len() as core::ffi::c_long);
    }
}

/// `epoll_ctl(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn epoll_ctl(epoll: Fd, op: i32, fd: Fd, event: EpollEvent) -> Result<(), Errno> {
    let mut raw = libc::epoll_event { events: event.events, u64: event.data };
    // SAFETY: a live structure of the type that the call reads.
    cvt0(unsafe { libc::epoll_ctl(epoll, op, fd, &raw mut raw) })
}

/// `epoll_pwait2(2)`, or `epoll_pwait(2)` before Linux 5.11 (milliseconds, rounded up): how many events were written.
/// The mask is as in [`ppoll`].
///
/// # Errors
/// `EINTR`, `EBADF`, `EINVAL` (also for no room).
pub fn epoll_wait(
    epoll: Fd,
    events: &mut [EpollEvent],
    timeout: Option<Time>,
    mask: Option<u64>,
) -> Result<usize, Errno> {
    let mut raw = vec![libc::epoll_event { events: 0, u64: 0 }; events.len().min(4096)];
    let mask = mask.map(KSigset::from);
    let span = timeout.map(KTimespec::from);
    let count =
        match raw_epoll_pwait2(epoll, EventBuf(&mut raw), InOpt(span.as_ref()), InOpt(mask.as_ref()), KSigset::SIZE) {
            Err(Errno::ENOSYS) => {
                let ms = timeout.map_or(-1, millis);
                raw_epoll_pwait(epoll, EventBuf(&mut raw), ms, InOpt(mask.as_ref()), KSigset::SIZE)?
            }
            other => other?,
        };
    for (event, raw) in events.iter_mut().zip(&raw[..count]) {
        *event = EpollEvent { events: raw.events, data: raw.u64 };
    }
    Ok(count)
}

/// Milliseconds, rounded up, at most what fits.
fn millis(t: Time) -> i32 {
    let ms = t.sec.saturating_mul(1000).saturating_add(t.nsec.saturating_add(999_999) / 1_000_000);
    i32::try_from(ms).unwrap_or(i32::MAX)
}

/// `rt_sigsuspend(2)`: waits for a signal that `mask` leaves unblocked.
///
/// # Errors
/// Always: `EINTR`.
pub fn sigsuspend(mask: u64) -> Result<(), Errno> {
    raw_sigsuspend(InOpt(Some(&mask.into())), KSigset::SIZE)
}
