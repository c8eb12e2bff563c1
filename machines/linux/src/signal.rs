//! Signals of the guest: what is pending, and what happens before a thread returns to guest code.
//!
//! The scheduler calls [`collect`] between slices, [`interrupts`] to see whether a blocked thread must run, [`deliver`]
//! before guest code runs, and [`force`] for a fault.  Handlers (`rt_sigaction`), masks and frames belong to
//! `sys/signal.rs` and to this file.

use crate::cx::Cx;
use crate::process::{ExitStatus, Process};
use crate::thread::Thread;
use std::collections::VecDeque;

/// What the guest learns about a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SigInfo {
    /// Number.
    pub signo: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_errno`.
    pub errno: i32,
    /// `si_addr` of a fault.
    pub addr: u64,
    /// Sender.
    pub pid: i32,
    /// Sender's user.
    pub uid: u32,
    /// `si_status` or `si_int`.
    pub status: i32,
    /// `si_value` as a pointer.
    pub value: u64,
}

/// Signals of one thread.
#[derive(Debug, Default)]
pub struct ThreadSignals {
    /// Blocked signals: bit n for signal n + 1.
    pub mask: u64,
    /// Sent to this thread and not delivered yet.
    pub pending: VecDeque<SigInfo>,
}

/// Signals of the process.
#[derive(Debug, Default)]
pub struct ProcessSignals {
    /// Sent to the process and not delivered yet.
    pub pending: VecDeque<SigInfo>,
}

/// What a signal does without a handler (signal(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// Ends the process.
    Terminate,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// Continues a stopped process.
    Continue,
}

/// The default action of a signal.
#[must_use]
pub fn default_action(signo: i32) -> DefaultAction {
    match signo {
        17 | 23 | 28 => DefaultAction::Ignore,
        18 => DefaultAction::Continue,
        19..=22 => DefaultAction::Stop,
        _ => DefaultAction::Terminate,
    }
}

/// Moves the signals that tern caught from the host to the process.
pub fn collect(process: &mut Process) {
    while let Some(info) = tern_host::signal::take() {
        if info.signo == tern_host::sys::host::SIGCHLD {
            process.child_events += 1;
        }
    }
}

/// Must a blocked thread run because of a signal?
#[must_use]
pub fn interrupts(process: &Process, thread: &Thread) -> bool {
    process.signals.pending.iter().chain(&thread.signals.pending).any(|s| thread.signals.mask & bit(s.signo) == 0)
}

/// The mask bit of a signal.
#[must_use]
pub fn bit(signo: i32) -> u64 {
    if (1..=64).contains(&signo) { 1 << (signo - 1) } else { 0 }
}

/// Delivers what is pending before the thread returns to guest code.
pub fn deliver(cx: &mut Cx<'_>) {
    let mask = cx.thread().signals.mask;
    let take = |queue: &mut VecDeque<SigInfo>| {
        let at = queue.iter().position(|s| mask & bit(s.signo) == 0)?;
        queue.remove(at)
    };
    let process = &mut *cx.process;
    let thread = process.threads.get_mut(&cx.tid);
    let info = thread.and_then(|t| take(&mut t.signals.pending)).or_else(|| take(&mut process.signals.pending));
    if let Some(info) = info
        && default_action(info.signo) == DefaultAction::Terminate
    {
        cx.process.exit = Some(ExitStatus::Signal(info.signo));
    }
}

/// Raises a signal that the thread itself caused and cannot ignore.
pub fn force(cx: &mut Cx<'_>, info: SigInfo) {
    cx.thread().signals.mask &= !bit(info.signo);
    cx.thread().signals.pending.push_front(info);
}
