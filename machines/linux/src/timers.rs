//! POSIX timers (`timer_create`): kept here, expired by the scheduler.  Interval timers (`setitimer`) are the host's.

use crate::process::Process;
use crate::signal::{self, SI_TIMER, SigInfo};
use crate::thread::Tid;
use std::collections::BTreeMap;

/// How a timer tells of its expiry (`sigev_notify`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notify {
    /// Not at all.
    None,
    /// By a signal to the process.
    Process,
    /// By a signal to a thread.
    Thread(Tid),
}

/// What a timer counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// The host's monotonic clock (also for `CLOCK_BOOTTIME`).
    Monotonic,
    /// The host's realtime clock.
    Realtime,
    /// The process's processor time.
    Cpu,
}

impl Base {
    /// Now, in nanoseconds.
    #[must_use]
    pub fn now(self) -> u64 {
        match self {
            Base::Monotonic => tern_host::clock::monotonic_ns(),
            Base::Realtime => u64::try_from(tern_host::clock::realtime_ns()).unwrap_or(0),
            Base::Cpu => tern_host::clock::cpu_ns().unwrap_or(0),
        }
    }
}

/// One timer.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    /// What it counts.
    pub base: Base,
    /// How it tells.
    pub notify: Notify,
    /// The signal.
    pub signo: i32,
    /// `sigev_value`.
    pub value: u64,
    /// The next expiry by its clock, in nanoseconds.
    pub next: Option<u64>,
    /// The period in nanoseconds; zero for none.
    pub interval: u64,
    /// Expiries that the last signal did not tell of.
    pub overrun: i32,
}

/// The timers of a process by number.
#[derive(Debug, Default)]
pub struct Timers {
    /// By number.
    pub list: BTreeMap<i32, Timer>,
    /// The number of the next one.
    pub next_id: i32,
}

/// Nanoseconds between looks at timers that count processor time.
const CPU_LOOK: u64 = 10_000_000;

/// The monotonic time at which a timer has to be looked at.
#[must_use]
pub fn next_deadline(process: &Process) -> Option<u64> {
    let deadline = |t: &Timer| {
        let at = t.next?;
        Some(match t.base {
            Base::Monotonic => at,
            Base::Realtime => Base::Monotonic.now().saturating_add(at.saturating_sub(t.base.now())),
            Base::Cpu => Base::Monotonic.now().saturating_add(at.saturating_sub(t.base.now()).max(CPU_LOOK)),
        })
    };
    process.timers.list.values().filter_map(deadline).min()
}

/// Sends the signals of timers that have expired.
pub fn expire(process: &mut Process) {
    if process.timers.list.is_empty() {
        return;
    }
    let due = |t: &Timer| t.next.is_some_and(|at| at <= t.base.now());
    let ids: Vec<i32> = process.timers.list.iter().filter(|(_, t)| due(t)).map(|(id, _)| *id).collect();
    for id in ids {
        if let Some(timer) = process.timers.list.get_mut(&id) {
            let missed = advance(timer);
            let timer = *timer;
            notify(process, id, timer, missed);
        }
    }
}

/// Moves a due timer on; says how many expiries there were besides the first.
pub fn advance(timer: &mut Timer) -> u64 {
    let Some(at) = timer.next else { return 0 };
    if timer.interval == 0 {
        timer.next = None;
        return 0;
    }
    let missed = timer.base.now().saturating_sub(at) / timer.interval;
    timer.next = Some(at.saturating_add((missed + 1).saturating_mul(timer.interval)));
    missed
}

fn notify(process: &mut Process, id: i32, timer: Timer, missed: u64) {
    let missed = i32::try_from(missed).unwrap_or(i32::MAX);
    let queue = match timer.notify {
        Notify::None => return,
        Notify::Process => Some(&mut process.signals.pending),
        Notify::Thread(tid) => process.threads.get_mut(&tid).map(|t| &mut t.signals.pending),
    };
    let Some(queue) = queue else { return };
    // A timer has one signal in the queue; further expiries are counted in it.
    let waiting = queue.iter_mut().find(|s| s.signo == timer.signo && s.code == SI_TIMER && s.timer == id);
    let overrun = match waiting {
        Some(info) => {
            info.overrun = info.overrun.saturating_add(missed).saturating_add(1);
            info.overrun
        }
        None => {
            let info = SigInfo {
                signo: timer.signo,
                code: SI_TIMER,
                value: timer.value,
                timer: id,
                overrun: missed,
                ..SigInfo::default()
            };
            match timer.notify {
                Notify::Thread(tid) => {
                    // The thread was just seen.
                    let _ = signal::send_to(process, tid, info);
                }
                _ => signal::send(process, info),
            }
            missed
        }
    };
    if let Some(timer) = process.timers.list.get_mut(&id) {
        timer.overrun = overrun;
    }
}
