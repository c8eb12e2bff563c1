//! One guest thread: its CPU, what it is doing, and what the kernel keeps for it.
//!
//! # Thread numbers
//! The main thread has the host's number of the process, below 2^22 (`PID_MAX_LIMIT`).  Thread n of process p has the number
//! n * 2^22 + p, n from 1 to 255, so that numbers are unique among the processes on a host and do not meet the host's;
//! they fit the 30 bits that futex words have for them.  A process with more threads than that borrows the low part from
//! numbers that no process has at the moment.

use crate::abi::process_structs::RobustListHead;
use crate::abi::{Errno, GuestPtr, ULong};
use crate::args::RawArgs;
use crate::engine::CpuId;
use crate::futex::{self, Place};
use crate::process::Process;
use crate::sched::{FutexKey, Interrupted, Wait};
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
    /// It is issued again because of a signal: if it cannot finish, it will be interrupted.
    pub signalled: bool,
    /// It stands in a futex's queue.
    pub queued: bool,
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
    /// The child that the thread waits for in `vfork`.
    pub vfork: Option<crate::vfork::Parent>,
    /// Instructions that it has retired.
    pub retired: u64,
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
            vfork: None,
            retired: 0,
            name: Vec::new(),
        }
    }
}

/// Bits of a process number.
const PID_BITS: u32 = 22;
/// Threads of one process besides the main one, before it has to borrow numbers.
const INDEX_MAX: i32 = 255;
/// How many numbers of missing processes are tried before there are too many threads.
const BORROWED_MAX: i32 = 256;

/// The process that a thread's number belongs to.
#[must_use]
pub fn process_of(tid: Tid) -> Tid {
    tid & ((1 << PID_BITS) - 1)
}

/// A number for a new thread; `None` if there are too many.
#[must_use]
pub fn new_tid(process: &mut Process) -> Option<Tid> {
    let pid = process.pid;
    for step in 1..=INDEX_MAX {
        // Going round, so that a number is not given out again soon.
        let index = (process.last_thread + step - 1) % INDEX_MAX + 1;
        let tid = index << PID_BITS | pid;
        if !process.threads.contains_key(&tid) {
            process.last_thread = index;
            return Some(tid);
        }
    }
    let missing = |p: &Tid| *p > 1 && tern_host::sys::proc::kill(*p, 0) == Err(tern_host::sys::Errno::ESRCH);
    let others = (1..=BORROWED_MAX).map(|n| process_of(pid + n)).filter(missing);
    let mut free = others.flat_map(|p| (1..=INDEX_MAX).map(move |n| n << PID_BITS | p));
    free.find(|tid| !process.threads.contains_key(tid))
}

/// Entries of a robust list that are followed (`ROBUST_LIST_LIMIT`).
const ROBUST_MAX: usize = 2048;

/// A thread ends: its robust mutexes are marked, the PI futexes that it owns go to who waits for them.
pub fn release_futexes(process: &mut Process, tid: Tid) {
    futex::forget(process, tid);
    // A list that cannot be read to its end ends there, as on Linux.
    let _ = walk_robust_list(process, tid);
    let abi = process.isa.abi;
    for (key, addr) in process.futexes.owned_words() {
        let owned = futex::load(&mut process.mem, addr, abi).is_ok_and(|word| word & futex::TID_MASK == tid as u32);
        if owned {
            let _ = futex::hand_over(process, &Place { key, addr, shared: None }, futex::OWNER_DIED);
        }
    }
}

fn walk_robust_list(process: &mut Process, tid: Tid) -> Result<(), Errno> {
    let abi = process.isa.abi;
    let Some(thread) = process.threads.get_mut(&tid) else { return Ok(()) };
    let (head, _) = core::mem::take(&mut thread.robust_list);
    if head == 0 {
        return Ok(());
    }
    let list = process.mem.get::<RobustListHead>(GuestPtr::new(head), abi)?;
    let word = |entry: u64| abi.word_of((entry & !1).wrapping_add(list.futex_offset as u64));
    let mut entry = list.next;
    for _ in 0..ROBUST_MAX {
        if entry & !1 == head {
            break;
        }
        let next = process.mem.get::<ULong>(GuestPtr::new(entry & !1), abi);
        if entry & !1 != list.pending & !1 {
            owner_died(process, tid, word(entry), entry & 1 != 0, false)?;
        }
        entry = next?;
    }
    if list.pending != 0 {
        owner_died(process, tid, word(list.pending), list.pending & 1 != 0, true)?;
    }
    Ok(())
}

/// Marks one robust mutex whose owner ends (`handle_futex_death`).
fn owner_died(process: &mut Process, tid: Tid, addr: u64, pi: bool, pending: bool) -> Result<(), Errno> {
    let abi = process.isa.abi;
    let place = futex::place(&mut process.mem, addr, false)?;
    let private = Place { key: FutexKey::Private(addr), shared: None, ..place };
    let word = futex::load(&mut process.mem, addr, abi)?;
    if pending && !pi && word == 0 {
        // It was being unlocked: whoever waits must look again.
        futex::wake(process, &place, 1, futex::ANY)?;
        futex::wake(process, &private, 1, futex::ANY)?;
        return Ok(());
    }
    if word & futex::TID_MASK != tid as u32 {
        return Ok(());
    }
    let contended = [place.key, private.key].into_iter().find(|k| process.futexes.queue(*k).next().is_some());
    if let (true, Some(key)) = (pi, contended) {
        return futex::hand_over(process, &Place { key, ..place }, futex::OWNER_DIED);
    }
    let old = futex::update(&mut process.mem, addr, abi, |old| {
        (old & futex::TID_MASK == tid as u32).then_some(old & futex::WAITERS | futex::OWNER_DIED)
    })?;
    if !pi && old & futex::WAITERS != 0 {
        let woken = futex::wake(process, &private, 1, futex::ANY)?;
        if woken == 0 || place.key != private.key {
            futex::wake(process, &place, 1, futex::ANY)?;
        }
    }
    Ok(())
}

/// A thread ends while others live: besides, whoever joins it is told.
pub fn ends(process: &mut Process, tid: Tid) {
    release_futexes(process, tid);
    let abi = process.isa.abi;
    let Some(thread) = process.threads.get(&tid) else { return };
    let addr = thread.clear_child_tid;
    if addr != 0 && process.mem.put::<u32>(GuestPtr::new(addr), &0, abi).is_ok() {
        for private in [false, true] {
            if let Ok(place) = futex::place(&mut process.mem, addr, private) {
                let _ = futex::wake(process, &place, 1, futex::ANY);
            }
        }
    }
}

/// The process ends, in whatever way.
pub fn process_ends(process: &mut Process) {
    let tids: Vec<Tid> = process.threads.keys().copied().collect();
    for tid in tids {
        release_futexes(process, tid);
    }
    crate::vfork::report(process);
}
