//! Futex calls; see [`crate::futex`].

use crate::abi::flags::Names;
use crate::abi::process_flags::{ClockId, Futex2, FutexOp};
use crate::abi::process_structs::FutexWaitv;
use crate::abi::structs::{Timespec, Timespec64};
use crate::abi::{Errno, GuestPtr};
use crate::args::{Const, Flags, Hex, InArr, InOpt, Ptr, Size, Uint};
use crate::cx::{Cx, Outcome, SysResult};
use crate::futex::{self, ANY, OWNER_DIED, Place, Role, TID_MASK, WAITERS, Waiter};
use crate::sched::{Interrupted, Wait};
use tern_core::mem::Endian;
use tern_host::sys;

/// Most entries of `futex_waitv`.
const WAITV_MAX: u32 = 128;
/// First and longest pause of a thread that looks at a word that other processes may change.
const PAUSES: (u64, u64) = (200_000, 5_000_000);

/// When a wait gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Timeout {
    Never,
    /// After so many nanoseconds.
    After(u64),
    /// At this monotonic time.
    At(u64),
    /// At this time of the realtime clock.
    AtRealtime(u64),
}

impl Timeout {
    fn absolute(ns: Option<u64>, realtime: bool) -> Timeout {
        match ns {
            None => Timeout::Never,
            Some(ns) if realtime => Timeout::AtRealtime(ns),
            Some(ns) => Timeout::At(ns),
        }
    }

    /// By the monotonic clock.
    fn deadline(self, now: u64) -> Option<u64> {
        match self {
            Timeout::Never => None,
            Timeout::After(ns) => Some(now.saturating_add(ns)),
            Timeout::At(ns) => Some(ns),
            Timeout::AtRealtime(ns) => {
                let real = u64::try_from(tern_host::clock::realtime_ns()).unwrap_or(0);
                Some(now.saturating_add(ns.saturating_sub(real)))
            }
        }
    }
}

/// One `futex` call.
struct Args {
    addr: u64,
    val: u32,
    /// The fourth argument as a number.
    val2: u32,
    timeout: Option<u64>,
    addr2: u64,
    val3: u32,
    private: bool,
    realtime: bool,
}

/// `futex(2)`.
pub fn futex(
    cx: &mut Cx<'_>,
    addr: Ptr,
    op: Flags<FutexOp>,
    val: Uint,
    timeout: Ptr,
    addr2: Ptr,
    val3: Hex,
) -> SysResult {
    let span = |cx: &mut Cx<'_>| {
        let t = cx.read::<Timespec>(GuestPtr::new(timeout.0))?;
        super::time::span(t.sec, t.nsec)
    };
    call(cx, (addr, op, val, timeout, addr2, val3), span)
}

/// `futex(2)` with 64-bit times.
pub fn futex_time64(
    cx: &mut Cx<'_>,
    addr: Ptr,
    op: Flags<FutexOp>,
    val: Uint,
    timeout: Ptr,
    addr2: Ptr,
    val3: Hex,
) -> SysResult {
    let span = |cx: &mut Cx<'_>| {
        let t = cx.read::<Timespec64>(GuestPtr::new(timeout.0))?;
        super::time::span(t.sec, t.nsec)
    };
    call(cx, (addr, op, val, timeout, addr2, val3), span)
}

type Raw = (Ptr, Flags<FutexOp>, Uint, Ptr, Ptr, Hex);

fn call(cx: &mut Cx<'_>, raw: Raw, span: impl FnOnce(&mut Cx<'_>) -> Result<u64, Errno>) -> SysResult {
    let (addr, op, val, fourth, addr2, val3) = raw;
    let code = op.0 & FutexOp::FIELD;
    let timed = matches!(
        code,
        FutexOp::FUTEX_WAIT
            | FutexOp::FUTEX_LOCK_PI
            | FutexOp::FUTEX_LOCK_PI2
            | FutexOp::FUTEX_WAIT_BITSET
            | FutexOp::FUTEX_WAIT_REQUEUE_PI
    );
    let timeout = if timed && fourth.0 != 0 { Some(span(cx)?) } else { None };
    let a = Args {
        addr: addr.0,
        val: val.0,
        val2: fourth.0 as u32,
        timeout,
        addr2: addr2.0,
        val3: val3.0,
        private: op.0 & FutexOp::FUTEX_PRIVATE_FLAG != 0,
        realtime: op.0 & FutexOp::FUTEX_CLOCK_REALTIME != 0,
    };
    let clock_ok =
        matches!(code, FutexOp::FUTEX_WAIT_BITSET | FutexOp::FUTEX_WAIT_REQUEUE_PI | FutexOp::FUTEX_LOCK_PI2);
    if a.realtime && !clock_ok {
        return Err(Errno::ENOSYS.into());
    }
    dispatch(cx, code, &a)
}

fn dispatch(cx: &mut Cx<'_>, code: u64, a: &Args) -> SysResult {
    match code {
        FutexOp::FUTEX_WAIT => wait(cx, a, ANY, a.timeout.map_or(Timeout::Never, Timeout::After)),
        FutexOp::FUTEX_WAIT_BITSET => wait(cx, a, a.val3, Timeout::absolute(a.timeout, a.realtime)),
        FutexOp::FUTEX_WAKE => wake(cx, a, ANY),
        FutexOp::FUTEX_WAKE_BITSET => wake(cx, a, a.val3),
        FutexOp::FUTEX_REQUEUE => requeue(cx, a, None),
        FutexOp::FUTEX_CMP_REQUEUE => requeue(cx, a, Some(a.val3)),
        FutexOp::FUTEX_WAKE_OP => wake_op(cx, a),
        FutexOp::FUTEX_LOCK_PI => lock_pi(cx, a, Timeout::absolute(a.timeout, true)),
        FutexOp::FUTEX_LOCK_PI2 => lock_pi(cx, a, Timeout::absolute(a.timeout, a.realtime)),
        FutexOp::FUTEX_TRYLOCK_PI => try_lock_pi(cx, a),
        FutexOp::FUTEX_UNLOCK_PI => unlock_pi(cx, a),
        FutexOp::FUTEX_WAIT_REQUEUE_PI => wait_requeue_pi(cx, a),
        FutexOp::FUTEX_CMP_REQUEUE_PI => cmp_requeue_pi(cx, a),
        _ => Err(Errno::ENOSYS.into()),
    }
}

fn place(cx: &mut Cx<'_>, addr: u64, private: bool) -> Result<Place, Errno> {
    futex::place(cx.mem(), addr, private)
}

fn load(cx: &mut Cx<'_>, addr: u64) -> Result<u32, Errno> {
    let abi = cx.abi();
    futex::load(cx.mem(), addr, abi)
}

/// The deadline of the call and how a handler changes it.
fn limits(cx: &mut Cx<'_>, timeout: Timeout) -> (Option<u64>, Interrupted) {
    let now = cx.process.now_ns();
    let deadline = cx.deadline(|| timeout.deadline(now));
    (deadline, if deadline.is_some() { Interrupted::Block } else { Interrupted::Restart })
}

/// Puts the thread into a queue.
fn enqueue(cx: &mut Cx<'_>, place: &Place, role: Role) {
    let tid = cx.tid;
    cx.process.futexes.push(place.key, Waiter { tid, addr: place.addr, role });
    cx.thread().call.queued = true;
}

/// Blocks in the queue; a thread that waits for what other processes may do comes back after a pause.
fn sleep(cx: &mut Cx<'_>, shared: bool, limits: (Option<u64>, Interrupted)) -> SysResult {
    let (mut deadline, interrupted) = limits;
    if shared {
        let call = &mut cx.thread().call;
        call.progress = (call.progress * 2).clamp(PAUSES.0, PAUSES.1);
        let pause = cx.thread().call.progress;
        let until = cx.process.now_ns() + pause;
        deadline = Some(deadline.map_or(until, |d| d.min(until)));
    }
    Err(Outcome::Block(Wait { deadline, interrupted, ..Wait::default() }))
}

fn wait(cx: &mut Cx<'_>, a: &Args, bits: u32, timeout: Timeout) -> SysResult {
    if bits == 0 {
        return Err(Errno::EINVAL.into());
    }
    let limits = limits(cx, timeout);
    if cx.thread().call.woken {
        return Ok(cx.thread().call.progress);
    }
    let place = place(cx, a.addr, a.private)?;
    let differs = load(cx, a.addr)? != a.val;
    if cx.thread().call.queued {
        // Another process may have changed the word and woken nobody here.
        if place.shared.is_some() && differs {
            return Ok(0);
        }
        if cx.expired() {
            return Err(Errno::ETIMEDOUT.into());
        }
        return sleep(cx, place.shared.is_some(), limits);
    }
    if differs {
        return Err(Errno::EAGAIN.into());
    }
    if cx.expired() {
        return Err(Errno::ETIMEDOUT.into());
    }
    if let Some(at) = place.shared
        && cx.process.threads.len() == 1
    {
        return wait_in_host(cx, at, a.val, bits, limits);
    }
    enqueue(cx, &place, Role::Plain { bits, result: 0 });
    sleep(cx, place.shared.is_some(), limits)
}

/// The process's only thread waits in the host's futex.
fn wait_in_host(
    cx: &mut Cx<'_>,
    (span, offset): (tern_core::mem::HostSpan, usize),
    value: u32,
    bits: u32,
    (deadline, interrupted): (Option<u64>, Interrupted),
) -> SysResult {
    let again = Wait { deadline: Some(0), interrupted, ..Wait::default() };
    if cx.signalled() {
        return Err(Outcome::Block(again));
    }
    let expected = match cx.abi().endian {
        Endian::Little => value.to_le_bytes(),
        Endian::Big => value.to_be_bytes(),
    };
    let timer = crate::timers::next_deadline(cx.process);
    let until = deadline.into_iter().chain(timer).min();
    let until = until.map(|ns| sys::Time::from_nanos(i64::try_from(ns).unwrap_or(i64::MAX)));
    let how = sys::futex::Wait { deadline: until, realtime: false, private: false, bits };
    let result = tern_host::signal::blocking(|| sys::futex::wait(span, offset, expected, how));
    match result.map_err(Errno::from) {
        Ok(()) => Ok(0),
        Err(Errno::ETIMEDOUT) if cx.expired() => Err(Errno::ETIMEDOUT.into()),
        // A signal or a timer: the scheduler looks, then the call goes on.
        Err(Errno::ETIMEDOUT | Errno::EINTR) => Err(Outcome::Block(again)),
        Err(e) => Err(e.into()),
    }
}

fn wake(cx: &mut Cx<'_>, a: &Args, bits: u32) -> SysResult {
    if bits == 0 {
        return Err(Errno::EINVAL.into());
    }
    let place = place(cx, a.addr, a.private)?;
    // A count of zero or less wakes one.
    let count = if (a.val as i32) < 1 { 1 } else { a.val };
    Ok(u64::from(futex::wake(cx.process, &place, count, bits)?))
}

fn requeue(cx: &mut Cx<'_>, a: &Args, expected: Option<u32>) -> SysResult {
    if (a.val as i32) < 0 || (a.val2 as i32) < 0 {
        return Err(Errno::EINVAL.into());
    }
    let from = place(cx, a.addr, a.private)?;
    let to = place(cx, a.addr2, a.private)?;
    if let Some(value) = expected
        && load(cx, a.addr)? != value
    {
        return Err(Errno::EAGAIN.into());
    }
    let woken = futex::wake(cx.process, &from, a.val, ANY)?;
    let mut moved = 0;
    while moved < a.val2 {
        let plain = |w: &Waiter| matches!(w.role, Role::Plain { .. });
        let Some(waiter) = cx.process.futexes.pop(from.key, plain) else { break };
        cx.process.futexes.push(to.key, Waiter { addr: to.addr, ..waiter });
        moved += 1;
    }
    if let (Some(f), Some(t)) = (from.shared, to.shared)
        && moved < a.val2
    {
        let how = sys::futex::Requeue { wake: 0, requeue: a.val2 - moved, expected: None, private: false };
        moved += sys::futex::requeue(f, t, how)?;
    }
    Ok(u64::from(woken + moved))
}

fn wake_op(cx: &mut Cx<'_>, a: &Args) -> SysResult {
    let first = place(cx, a.addr, a.private)?;
    let second = place(cx, a.addr2, a.private)?;
    let signed12 = |v: u32| ((v << 20) as i32) >> 20;
    let mut arg = signed12(a.val3 >> 12) as u32;
    if a.val3 >> 31 != 0 {
        arg = 1 << (arg & 31);
    }
    let (op, cmp, cmp_arg) = (a.val3 >> 28 & 7, a.val3 >> 24 & 15, signed12(a.val3));
    if op > 4 || cmp > 5 {
        return Err(Errno::ENOSYS.into());
    }
    let abi = cx.abi();
    let old = futex::update(cx.mem(), a.addr2, abi, |old| {
        Some(match op {
            0 => arg,
            1 => old.wrapping_add(arg),
            2 => old | arg,
            3 => old & !arg,
            _ => old ^ arg,
        })
    })? as i32;
    let holds = match cmp {
        0 => old == cmp_arg,
        1 => old != cmp_arg,
        2 => old < cmp_arg,
        3 => old <= cmp_arg,
        4 => old > cmp_arg,
        _ => old >= cmp_arg,
    };
    let mut woken = futex::wake(cx.process, &first, a.val.max(1), ANY)?;
    if holds {
        woken += futex::wake(cx.process, &second, a.val2.max(1), ANY)?;
    }
    Ok(u64::from(woken))
}

/// Tries to take a PI futex for a thread: `Ok(true)` if it has it now; otherwise its waiters bit is set.
fn acquire(cx: &mut Cx<'_>, place: &Place, tid: u32) -> Result<bool, Errno> {
    let abi = cx.abi();
    let contended = cx.process.futexes.queue(place.key).any(|w| w.role == Role::Owner);
    let bit = if contended { WAITERS } else { 0 };
    let old = futex::update(cx.mem(), place.addr, abi, |old| match old & TID_MASK {
        0 => Some(old & OWNER_DIED | tid | bit),
        owner if owner == tid => None,
        _ => Some(old | WAITERS),
    })?;
    match old & TID_MASK {
        0 => Ok(true),
        owner if owner == tid => Err(Errno::EDEADLK),
        owner => {
            let owner = owner as i32;
            let process = crate::thread::process_of(owner);
            let alive = cx.process.threads.contains_key(&owner)
                || (process != cx.process.pid && sys::proc::kill(process, 0) != Err(sys::Errno::ESRCH));
            if alive { Ok(false) } else { Err(Errno::ESRCH) }
        }
    }
}

fn lock_pi(cx: &mut Cx<'_>, a: &Args, timeout: Timeout) -> SysResult {
    let limits = limits(cx, timeout);
    if cx.thread().call.woken {
        return Ok(0);
    }
    let place = place(cx, a.addr, a.private)?;
    let tid = cx.tid as u32;
    // Who waits already may take it only if it came free from outside; here it is handed over.
    if !cx.thread().call.queued || place.shared.is_some() {
        futex::forget(cx.process, cx.tid);
        if acquire(cx, &place, tid)? {
            return Ok(0);
        }
        enqueue(cx, &place, Role::Owner);
    }
    if cx.expired() {
        return Err(Errno::ETIMEDOUT.into());
    }
    let limits = (limits.0, Interrupted::Always);
    sleep(cx, place.shared.is_some(), limits)
}

fn try_lock_pi(cx: &mut Cx<'_>, a: &Args) -> SysResult {
    let place = place(cx, a.addr, a.private)?;
    let tid = cx.tid as u32;
    match load(cx, a.addr)? & TID_MASK {
        0 if acquire(cx, &place, tid)? => Ok(0),
        owner if owner == tid => Err(Errno::EDEADLK.into()),
        _ => Err(Errno::EAGAIN.into()),
    }
}

fn unlock_pi(cx: &mut Cx<'_>, a: &Args) -> SysResult {
    let place = place(cx, a.addr, a.private)?;
    if load(cx, a.addr)? & TID_MASK != cx.tid as u32 {
        return Err(Errno::EPERM.into());
    }
    futex::hand_over(cx.process, &place, 0)?;
    Ok(0)
}

fn wait_requeue_pi(cx: &mut Cx<'_>, a: &Args) -> SysResult {
    if a.addr == a.addr2 || a.val3 == 0 {
        return Err(Errno::EINVAL.into());
    }
    let limits = limits(cx, Timeout::absolute(a.timeout, a.realtime));
    if cx.thread().call.woken {
        return Ok(0);
    }
    let from = place(cx, a.addr, a.private)?;
    if !cx.thread().call.queued {
        if load(cx, a.addr)? != a.val {
            return Err(Errno::EAGAIN.into());
        }
        enqueue(cx, &from, Role::Requeue { target: a.addr2 });
    }
    if cx.expired() {
        return Err(Errno::ETIMEDOUT.into());
    }
    sleep(cx, false, limits)
}

fn cmp_requeue_pi(cx: &mut Cx<'_>, a: &Args) -> SysResult {
    if a.addr == a.addr2 || a.val != 1 {
        return Err(Errno::EINVAL.into());
    }
    let from = place(cx, a.addr, a.private)?;
    let to = place(cx, a.addr2, a.private)?;
    if load(cx, a.addr)? != a.val3 {
        return Err(Errno::EAGAIN.into());
    }
    let mut moved = 0;
    while moved <= u64::from(a.val2) {
        let wanted = |w: &Waiter| w.role == Role::Requeue { target: a.addr2 };
        let Some(waiter) = cx.process.futexes.pop(from.key, wanted) else { break };
        if acquire(cx, &to, waiter.tid as u32)? {
            futex::release(cx.process, waiter.tid, 0);
        } else {
            cx.process.futexes.push(to.key, Waiter { tid: waiter.tid, addr: to.addr, role: Role::Owner });
        }
        moved += 1;
    }
    Ok(moved)
}

/// `futex_waitv(2)`.
pub fn futex_waitv(
    cx: &mut Cx<'_>,
    waiters: InArr<FutexWaitv>,
    count: Uint,
    flags: Uint,
    timeout: InOpt<Timespec64>,
    clock: Const<ClockId>,
) -> SysResult {
    if flags.0 != 0 || count.0 == 0 || count.0 > WAITV_MAX {
        return Err(Errno::EINVAL.into());
    }
    let limits = limits(cx, absolute(timeout, clock)?);
    if cx.thread().call.woken {
        return Ok(cx.thread().call.progress);
    }
    let list = waiters.get(cx, u64::from(count.0))?;
    let mut places = Vec::new();
    for (index, w) in list.iter().enumerate() {
        if w.reserved != 0 || !flags_ok(u64::from(w.flags)) {
            return Err(Errno::EINVAL.into());
        }
        let place = place(cx, w.uaddr, u64::from(w.flags) & Futex2::FUTEX2_PRIVATE != 0)?;
        let differs = load(cx, w.uaddr)? != w.val as u32;
        if differs && cx.thread().call.queued && place.shared.is_some() {
            return Ok(index as u64);
        }
        if differs && !cx.thread().call.queued {
            return Err(Errno::EAGAIN.into());
        }
        places.push(place);
    }
    if !cx.thread().call.queued {
        for (index, place) in places.iter().enumerate() {
            enqueue(cx, place, Role::Plain { bits: ANY, result: index as u64 });
        }
    }
    if cx.expired() {
        return Err(Errno::ETIMEDOUT.into());
    }
    sleep(cx, places.iter().any(|p| p.shared.is_some()), limits)
}

/// Words of 32 bits, private or not, are all there is.
fn flags_ok(flags: u64) -> bool {
    flags & !(Futex2::FUTEX2_PRIVATE | 3) == 0 && flags & 3 == Futex2::FUTEX2_SIZE_U32
}

fn absolute(timeout: InOpt<Timespec64>, clock: Const<ClockId>) -> Result<Timeout, Errno> {
    let Some(t) = timeout.0 else { return Ok(Timeout::Never) };
    let realtime = match u64::from(clock.0) {
        ClockId::CLOCK_REALTIME => true,
        ClockId::CLOCK_MONOTONIC => false,
        _ => return Err(Errno::EINVAL),
    };
    Ok(Timeout::absolute(Some(super::time::span(t.sec, t.nsec)?), realtime))
}

/// `futex_wake(2)`.
pub fn futex_wake(cx: &mut Cx<'_>, addr: Ptr, mask: Size, count: Uint, flags: Flags<Futex2>) -> SysResult {
    if !flags_ok(flags.0) || mask.0 == 0 || mask.0 > u64::from(u32::MAX) {
        return Err(Errno::EINVAL.into());
    }
    let place = place(cx, addr.0, flags.0 & Futex2::FUTEX2_PRIVATE != 0)?;
    Ok(u64::from(futex::wake(cx.process, &place, count.0, mask.0 as u32)?))
}

/// `futex_wait(2)`.
pub fn futex_wait(
    cx: &mut Cx<'_>,
    addr: Ptr,
    val: Size,
    mask: Size,
    flags: Flags<Futex2>,
    timeout: InOpt<Timespec64>,
    clock: Const<ClockId>,
) -> SysResult {
    let (val, bits) = (u32::try_from(val.0), u32::try_from(mask.0));
    let (Ok(val), Ok(bits), true) = (val, bits, flags_ok(flags.0)) else { return Err(Errno::EINVAL.into()) };
    let private = flags.0 & Futex2::FUTEX2_PRIVATE != 0;
    let a = Args { addr: addr.0, val, val2: 0, timeout: None, addr2: 0, val3: 0, private, realtime: false };
    let timeout = absolute(timeout, clock)?;
    wait(cx, &a, bits, timeout)
}

#[cfg(test)]
#[path = "futex_tests.rs"]
mod tests;
