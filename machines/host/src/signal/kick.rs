//! The timer that interrupts a blocking call again when a signal hit just before it; see the room's text.

use super::info;
use super::queue::WORDS;
use crate::sys::{Errno, arm_timer, create_timer, delete_timer};
use core::cell::Cell;
use core::sync::atomic::{Ordering, compiler_fence};

/// The mark in `si_value` that tells our expiries from the guest's signals.
const MARK: u32 = 0x7465_726e;
/// First expiry and period in nanoseconds.
const FIRST: i64 = 1_000_000;
const PERIOD: i64 = 10_000_000;

/// The timer of a thread, or none.
const NONE: i32 = -1;

// Constant-initialised cells without destructor: reaching them from a handler is a plain memory access.
thread_local! {
    static BLOCKING: Cell<bool> = const { Cell::new(false) };
    static FIRED: Cell<bool> = const { Cell::new(false) };
    static TIMER: Cell<i32> = const { Cell::new(NONE) };
    /// Never touched by a handler.
    static OWNER: Owner = const { Owner };
}

/// Deletes the timer when its thread ends.
struct Owner;

impl Drop for Owner {
    fn drop(&mut self) {
        let timer = TIMER.replace(NONE);
        if timer != NONE {
            let _ = delete_timer(timer);
        }
    }
}

/// Is this an expiry of our timer?
pub(super) fn is_kick(words: &[u32; WORDS]) -> bool {
    info::code(words) == libc::SI_TIMER && info::value_low(words) == MARK
}

/// Called at the end of the handler, on the thread that it interrupted.
pub(super) fn handler_ran() {
    if BLOCKING.get() && !FIRED.replace(true) {
        // If it fails, there is no timer: then `Armed::new` has failed too and nobody blocks.
        let _ = arm_timer(TIMER.get(), FIRST, PERIOD);
    }
}

/// While it lives, a handler that runs on this thread arms the timer.
pub(super) struct Armed {
    outer: bool,
}

impl Armed {
    pub(super) fn new() -> Result<Armed, Errno> {
        if TIMER.get() == NONE {
            // `OWNER` is initialised here so that it is dropped; threads that are going down have none and need none.
            let _ = OWNER.try_with(|_| ());
            if super::disposition(libc::SIGURG)? != super::Disposition::Handler {
                super::drop_urg()?;
            }
            super::unblock(1 << (libc::SIGURG - 1))?;
            TIMER.set(create_timer(libc::SIGURG, MARK)?);
        }
        let outer = BLOCKING.replace(true);
        compiler_fence(Ordering::SeqCst);
        Ok(Armed { outer })
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        BLOCKING.set(self.outer);
        // An expiry that is already queued is delivered before this call returns, so it interrupts nothing later.
        if !self.outer && FIRED.replace(false) {
            let _ = arm_timer(TIMER.get(), 0, 0);
        }
    }
}

/// In the child of a fork: timers are not inherited.
pub(super) fn forked() {
    TIMER.set(NONE);
    BLOCKING.set(false);
    FIRED.set(false);
}
