//! One guest thread: its CPU, what it is doing, and what the kernel keeps for it.

use crate::args::RawArgs;
use crate::engine::CpuId;
use crate::sched::{Interrupted, Wait};
use crate::signal::ThreadSignals;

/// A thread's number as the guest sees it.
pub type Tid = i32;

/// Can it run?
#[derive(Debug)]
pub enum RunState {
    /// Yes.
    Ready,
    /// Its system call waits.
    Blocked(Wait),
}

/// The system call that a thread is in, or was in last.
#[derive(Debug, Default)]
pub struct Call {
    /// It has not finished: it is issued again when the thread runs next.
    pub active: bool,
    /// Its number.
    pub nr: u64,
    /// Its arguments; the registers may have changed since.
    pub args: RawArgs,
    /// When it gives up (nanoseconds of the host's monotonic clock), if [`Call::deadline_set`].
    pub deadline: Option<u64>,
    /// The deadline has been computed.
    pub deadline_set: bool,
    /// What the handler wants to remember between issues (bytes done, a step's number).
    pub progress: u64,
    /// Bytes that have been transferred already: an interrupted call returns them instead of `EINTR`.
    pub done: u64,
    /// What a signal handler that runs meanwhile does to the call; set when the call blocks.
    pub interrupted: Interrupted,
    /// A waker has fulfilled the wait (a futex was woken), so that issuing it again returns success.
    pub woken: bool,
    /// strace's text of the call so far.
    pub text: Option<String>,
}

/// A guest thread.
#[derive(Debug)]
pub struct Thread {
    /// Its number.
    pub tid: Tid,
    /// Its CPU.
    pub cpu: CpuId,
    /// Can it run?
    pub run: RunState,
    /// It gave up the rest of its slice (`sched_yield`).
    pub yielded: bool,
    /// Its system call.
    pub call: Call,
    /// Signals.
    pub signals: ThreadSignals,
    /// `set_tid_address`: zeroed and woken when the thread ends.
    pub clear_child_tid: u64,
    /// `set_robust_list`: head and length.
    pub robust_list: (u64, u64),
    /// `comm`, at most 15 bytes.
    pub name: Vec<u8>,
}

impl Thread {
    /// A thread that is ready to run.
    #[must_use]
    pub fn new(tid: Tid, cpu: CpuId) -> Thread {
        Thread {
            tid,
            cpu,
            run: RunState::Ready,
            yielded: false,
            call: Call::default(),
            signals: ThreadSignals::default(),
            clear_child_tid: 0,
            robust_list: (0, 0),
            name: Vec::new(),
        }
    }
}
