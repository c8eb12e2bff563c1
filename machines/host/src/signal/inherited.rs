//! What this process inherited and std changes before `main`: Rust programs ignore `SIGPIPE` from their start.

use core::sync::atomic::{AtomicBool, Ordering};

static IGNORED: AtomicBool = AtomicBool::new(false);

/// Called by the C runtime before std's start.
extern "C" fn note() {
    let mut old = core::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks for the disposition; `old` is large enough, and zeroed it is a valid value.
    let old = unsafe {
        libc::sigaction(libc::SIGPIPE, core::ptr::null(), old.as_mut_ptr());
        old.assume_init()
    };
    IGNORED.store(old.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
}

// SAFETY: the section holds pointers to functions without arguments that are called once, before any thread exists; extra
// arguments that some C libraries pass are in registers or on the caller's stack and do no harm.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn() = note;

/// Did the process that started this one have it ignore `SIGPIPE`?
#[must_use]
pub fn sigpipe_ignored() -> bool {
    IGNORED.load(Ordering::Relaxed)
}
