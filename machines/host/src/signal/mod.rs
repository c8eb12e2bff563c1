//! Signals of tern's own process, as values.
//!
//! A caught signal is copied into a fixed lock-free queue by a handler that does nothing else, and [`flag`] becomes
//! true. The run loop looks at the flag at safe points and takes the signals out with [`take`]. Handlers are installed
//! without `SA_RESTART`, so a system call that is under way returns `EINTR`.
//!
//! # The lost wake-up
//!
//! "Look at the flag, then make a blocking call" can sleep for ever when the signal comes in between. There are two ways
//! out, and every call that may block takes one of them:
//!
//! * **An atomic mask.** Inside [`with_blocked`] no handler runs, so the flag cannot change; `ppoll`, `epoll_wait` and
//!   `sigsuspend` then unblock signals and wait in one step. This is the way for calls that have a mask, among them
//!   the guest's own `ppoll`, `pselect` and `epoll_pwait`.
//! * **[`blocking`]** for every other call (`read`, `accept`, `wait4`, a futex, `F_SETLKW`, a sleep). While it is in
//!   force, a handler also arms a timer of its thread that signals again after 1 ms and every 10 ms until `blocking`
//!   returns. If the signal hit between the look and the call, the call is interrupted a millisecond late instead of
//!   never. In the common case the signal interrupts the call itself and the timer is disarmed before it expires.
//!   No assembly is needed to know where the program counter was, and no call costs more than two stores unless a
//!   signal hits it.
//!
//! A signal to the process runs its handler on any thread that does not block it. With several host threads, either all
//! but one block signals, or the thread that took a signal for another one wakes it with `tgkill`; a thread that waits in
//! a [`Poller`](crate::wait::Poller) is woken in any case, since the handler writes to the newest poller's eventfd.
//!
//! The timer signals with `SIGURG`, whose default action is to be ignored; its expiries carry a mark, so the guest can
//! use `SIGURG` as any other signal. In return `SIGURG` stays unblocked: [`set_mask`] leaves it out.
//!
//! # Faults
//!
//! Guest faults never come from host signals. A synchronous `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE` or `SIGTRAP` of the
//! host (a file that was truncated under a shared mapping, or a bug of ours) ends tern by that signal after one line on
//! standard error, whether or not the guest catches the signal; see [`last_resort`].
#![allow(unsafe_code, reason = "signal handlers and masks; every block names its proof")]
#![allow(clippy::unnecessary_cast, reason = "the widths of C types differ between hosts")]

mod info;
pub mod inherited;
mod kick;
mod queue;

pub use info::SigInfo;

use crate::sys::{Errno, Fd, KSigset, Time};
use core::ffi::{c_int, c_long, c_void};
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Does the guest catch `SIGURG`? Our handler for it is there in any case.
static URG_CAUGHT: AtomicBool = AtomicBool::new(false);

/// What happens when a signal comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// The default action.
    Default,
    /// Nothing.
    Ignore,
    /// It is caught, by [`catch`] or by another part of the process.
    Handler,
}

/// A caught signal is waiting for [`take`]. The run loop may read it as often as it likes.
#[must_use]
pub fn flag() -> &'static AtomicBool {
    queue::flag()
}

/// Is a caught signal waiting for [`take`]?
#[must_use]
pub fn pending() -> bool {
    flag().load(Ordering::SeqCst)
}

/// Takes the oldest caught signal.
#[must_use]
pub fn take() -> Option<SigInfo> {
    queue::take()
}

/// Catches a signal from now on.
///
/// # Errors
/// `EINVAL` for a number that is none, for `SIGKILL` and `SIGSTOP`, and for those that the C library keeps (32, 33).
pub fn catch(signo: i32) -> Result<(), Errno> {
    if signo == libc::SIGURG {
        URG_CAUGHT.store(true, Ordering::SeqCst);
    }
    install(signo, handler as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize)
}

/// Catches a signal from now on and says what happened until now when it came.
///
/// # Errors
/// As [`catch`].
pub fn take_over(signo: i32) -> Result<Disposition, Errno> {
    if signo == libc::SIGURG {
        let old = disposition(signo)?;
        return catch(signo).map(|()| old);
    }
    replace(signo, handler as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize)
}

/// Ignores a signal from now on. (An ignored `SIGCHLD` also reaps children.)
///
/// # Errors
/// As [`catch`].
pub fn ignore(signo: i32) -> Result<(), Errno> {
    if signo == libc::SIGURG {
        return drop_urg();
    }
    install(signo, libc::SIG_IGN)
}

/// Gives a signal its default action.
///
/// # Errors
/// As [`catch`].
pub fn default(signo: i32) -> Result<(), Errno> {
    if signo == libc::SIGURG {
        return drop_urg();
    }
    install(signo, libc::SIG_DFL)
}

/// `SIGURG` ignored and by default is the same: our handler stays and drops it.
fn drop_urg() -> Result<(), Errno> {
    URG_CAUGHT.store(false, Ordering::SeqCst);
    install(libc::SIGURG, handler as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize)
}

/// What happens now when the signal comes; tern inherits dispositions from its parent.
///
/// # Errors
/// `EINVAL` for a number that is none.
pub fn disposition(signo: i32) -> Result<Disposition, Errno> {
    if signo == libc::SIGURG && !URG_CAUGHT.load(Ordering::SeqCst) {
        return Ok(Disposition::Default);
    }
    // SAFETY: all-zero bytes are a valid `sigaction` (the default action), and the call fills a live one.
    let mut old: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: as above; a null action only asks.
    if unsafe { libc::sigaction(signo, core::ptr::null(), &raw mut old) } != 0 {
        return Err(Errno::last());
    }
    Ok(disposition_of(&old))
}

fn disposition_of(action: &libc::sigaction) -> Disposition {
    match action.sa_sigaction {
        libc::SIG_DFL => Disposition::Default,
        libc::SIG_IGN => Disposition::Ignore,
        _ => Disposition::Handler,
    }
}

/// `action` is `SIG_DFL`, `SIG_IGN` or one of the two handlers here, nothing else.
fn install(signo: c_int, action: usize) -> Result<(), Errno> {
    replace(signo, action).map(|_| ())
}

/// As [`install`]; returns what was there.
fn replace(signo: c_int, action: usize) -> Result<Disposition, Errno> {
    // SAFETY: all-zero bytes are valid `sigaction`s; both calls get live structures. The handlers have the signature that
    // SA_SIGINFO asks for and do only what is async-signal-safe: atomics, and system calls on the way to death.
    let (ret, old) = unsafe {
        let mut new: libc::sigaction = core::mem::zeroed();
        let mut old: libc::sigaction = core::mem::zeroed();
        new.sa_sigaction = action;
        new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigfillset(&raw mut new.sa_mask);
        (libc::sigaction(signo, &raw const new, &raw mut old), old)
    };
    if ret == 0 { Ok(disposition_of(&old)) } else { Err(Errno::last()) }
}

fn is_fault(signo: c_int) -> bool {
    matches!(signo, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP)
}

extern "C" fn handler(signo: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo, of 128 bytes on every architecture, aligned for words.
    let words: [u32; queue::WORDS] = unsafe { info.cast::<[u32; queue::WORDS]>().read() };
    let code = info::code(&words);
    if signo == libc::SIGURG && (kick::is_kick(&words) || !URG_CAUGHT.load(Ordering::SeqCst)) {
        return;
    }
    if is_fault(signo) && code > 0 {
        die(signo);
    }
    queue::push(&words);
    // SAFETY: the C library's errno of this thread, which the interrupted code may be about to read.
    let saved = unsafe { *libc::__errno_location() };
    kick::handler_ran();
    let wake = WAKE.load(Ordering::SeqCst);
    if wake >= 0 {
        // SAFETY: `write` is async-signal-safe; pointer and length are those of a constant.
        unsafe { libc::write(wake, WAKE_WORD.as_ptr().cast(), WAKE_WORD.len()) };
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = saved };
}

/// A descriptor that the handler writes to, or -1.
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// What makes an eventfd readable in either byte order.
pub(crate) const WAKE_WORD: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 1];

/// Has every caught signal, on whatever thread it comes, write to this eventfd from now on, which must not block.
pub(crate) fn wake_by(fd: Fd) {
    WAKE.store(fd, Ordering::SeqCst);
}

/// Ends [`wake_by`], if it still is about this descriptor.
pub(crate) fn wake_no_more(fd: Fd) {
    let _ = WAKE.compare_exchange(fd, -1, Ordering::SeqCst, Ordering::SeqCst);
}

/// Writes one line and ends the process by `signo`, from within a handler.
fn die(signo: c_int) -> ! {
    let line: &[u8] = match signo {
        libc::SIGBUS => b"tern: host fault SIGBUS: a mapped file was truncated, or its storage failed\n",
        libc::SIGSEGV => b"tern: host fault SIGSEGV: this is a bug in tern\n",
        _ => b"tern: host fault: this is a bug in tern\n",
    };
    // SAFETY: `write` is async-signal-safe; pointer and length are those of `line`.
    unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
    let _ = raise_default(signo);
    // SAFETY: `_exit` is async-signal-safe.
    unsafe { libc::_exit(128 + signo) }
}

extern "C" fn fault_handler(signo: c_int, _info: *mut libc::siginfo_t, _context: *mut c_void) {
    die(signo);
}

/// Makes a `SIGBUS` of the host (a file truncated under a shared mapping) end tern with one line that says so, instead of
/// silently. A guest that catches `SIGBUS` replaces this with [`catch`], which keeps it for faults.
///
/// # Errors
/// None in practice.
pub fn last_resort() -> Result<(), Errno> {
    install(libc::SIGBUS, fault_handler as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize)
}

/// Ends the process by a signal's default action, so that the parent sees `WIFSIGNALED`: default action, unblocked, sent
/// to this thread. Returns if the default action does not end a process. To die without a core file of tern, set
/// `RLIMIT_CORE` to zero first.
///
/// # Errors
/// `EINVAL` for a number that is none.
pub fn raise_default(signo: i32) -> Result<(), Errno> {
    install(signo, libc::SIG_DFL)?;
    change_mask(libc::SIG_UNBLOCK, bit(signo)?)?;
    crate::sys::proc::tgkill(crate::sys::proc::getpid()?, crate::sys::proc::gettid()?, signo)
}

/// The mask bit of a signal.
fn bit(signo: i32) -> Result<u64, Errno> {
    if (1..=64).contains(&signo) { Ok(1 << (signo - 1)) } else { Err(Errno::EINVAL) }
}

/// What is never blocked: `SIGURG`, see above, and the two signals that C libraries use between threads.
fn unblockable() -> u64 {
    1 << (libc::SIGURG - 1) | 1 << 31 | 1 << 32
}

fn change_mask(how: c_int, mask: u64) -> Result<u64, Errno> {
    let new = KSigset::from(mask);
    let mut old = KSigset::default();
    let (new, old_ptr) = (&raw const new, &raw mut old);
    // SAFETY: live sets of the size that is passed along.
    let ret = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how as c_long, new, old_ptr, KSigset::SIZE) };
    if ret == 0 { Ok(old.into()) } else { Err(Errno::last()) }
}

/// The signals that the calling thread blocks: bit `n` for signal `n + 1`.
///
/// # Errors
/// None in practice.
pub fn mask() -> Result<u64, Errno> {
    change_mask(libc::SIG_BLOCK, 0)
}

/// Sets the signals that the calling thread blocks (`SIGURG`, 32 and 33 stay unblocked); returns the previous ones.
///
/// # Errors
/// None in practice.
pub fn set_mask(mask: u64) -> Result<u64, Errno> {
    change_mask(libc::SIG_SETMASK, mask & !unblockable())
}

/// Blocks more signals; returns the previous mask.
///
/// # Errors
/// None in practice.
pub fn block(mask: u64) -> Result<u64, Errno> {
    change_mask(libc::SIG_BLOCK, mask & !unblockable())
}

/// Unblocks signals; returns the previous mask.
///
/// # Errors
/// None in practice.
pub fn unblock(mask: u64) -> Result<u64, Errno> {
    change_mask(libc::SIG_UNBLOCK, mask)
}

/// Runs `body` with every signal blocked, so that [`pending`] cannot change under it; `body` gets the mask that was in
/// force, to hand to a call that waits with a mask.
pub fn with_blocked<T>(body: impl FnOnce(u64) -> T) -> T {
    /// Puts the mask back, also when `body` panics.
    struct Restore(Option<u64>);
    impl Drop for Restore {
        fn drop(&mut self) {
            if let Some(mask) = self.0 {
                let _ = change_mask(libc::SIG_SETMASK, mask);
            }
        }
    }
    let restore = Restore(change_mask(libc::SIG_SETMASK, !0).ok());
    body(restore.0.unwrap_or(0))
}

/// Makes a call that may block, without losing a wake-up (see the module's text).
///
/// If a signal was caught before or during the call and nobody has taken it, the result is `EINTR` (or whatever `call`
/// had done by then). An `EINTR` for which there is no signal is not shown: `call` is made again, so its time limits
/// should be absolute.
///
/// # Errors
/// `EINTR`, what `call` returns, or `EAGAIN` if the kernel grants no timer (`RLIMIT_SIGPENDING`).
pub fn blocking<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let _armed = kick::Armed::new()?;
    loop {
        if pending() {
            return Err(Errno::EINTR);
        }
        match call() {
            Err(Errno::EINTR) if !pending() => {}
            other => return other,
        }
    }
}

/// Can [`blocking`] be used: does the kernel grant its timer?
#[must_use]
pub fn can_block() -> bool {
    kick::Armed::new().is_ok()
}

/// `rt_sigtimedwait(2)`: takes one of the signals in `mask`, which the caller has blocked, for at most `timeout`.
///
/// # Errors
/// `EAGAIN` when the time is over, `EINTR`, `EINVAL`.
pub fn sigtimedwait(mask: u64, timeout: Option<Time>) -> Result<SigInfo, Errno> {
    crate::sys::sigtimedwait(mask, timeout).map(|bytes| SigInfo::from_kernel(&bytes))
}

/// `rt_sigpending(2)`: the signals that are blocked and pending in the kernel.
///
/// # Errors
/// None in practice.
pub fn sigpending() -> Result<u64, Errno> {
    let mut set = KSigset::default();
    let ptr = &raw mut set;
    // SAFETY: a live set of the size that is passed along.
    let ret = unsafe { libc::syscall(libc::SYS_rt_sigpending, ptr, KSigset::SIZE) };
    if ret == 0 { Ok(set.into()) } else { Err(Errno::last()) }
}

/// `rt_sigqueueinfo(2)`, or `rt_tgsigqueueinfo(2)` for one thread: sends a signal with a negative `si_code` and a value,
/// in the name of this process.
///
/// # Errors
/// `EPERM`, `ESRCH`, `EAGAIN`, `EINVAL`.
pub fn queue(pid: i32, tid: Option<i32>, signo: i32, code: i32, value: u64) -> Result<(), Errno> {
    let words = info::queued(signo, code, value)?;
    let ptr = words.as_ptr();
    let (pid, signo) = (c_long::from(pid), c_long::from(signo));
    // SAFETY: the kernel reads 128 bytes, which `words` has, aligned for a siginfo.
    let ret = unsafe {
        match tid {
            None => libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signo, ptr),
            Some(tid) => libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, c_long::from(tid), signo, ptr),
        }
    };
    if ret == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// In the child of a fork, with all signals blocked: caught signals and timers are the parent's.
pub(crate) fn forked() {
    queue::clear();
    kick::forked();
}
