//! Futexes: who waits for which word, waking and moving waiters.
//!
//! Waiters of this process stand in queues here.  A word in memory that is shared with other processes has waiters there,
//! too, in the host's futex: a process with one thread waits there itself (`sys/futex.rs`), one with several looks at the
//! word again and again, with pauses that grow.

use crate::abi::{Abi, Errno, Field};
use crate::mm::Space;
use crate::mm::vma::Name;
use crate::process::Process;
use crate::sched::FutexKey;
use crate::thread::{RunState, Tid};
use std::collections::{BTreeMap, VecDeque};
use tern_core::mem::{Access, HostSpan, PAGE_MASK};
use tern_host::sys;

/// All bits: any waker will do.
pub const ANY: u32 = u32::MAX;
/// Bit of a robust or PI futex word: somebody waits in the kernel.
pub const WAITERS: u32 = 1 << 31;
/// Bit of a robust or PI futex word: its owner ended while holding it.
pub const OWNER_DIED: u32 = 1 << 30;
/// The owner's thread number.
pub const TID_MASK: u32 = (1 << 30) - 1;

/// How a thread waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// For a wake-up; a `futex_waitv` entry's index is what the call returns.
    Plain {
        /// Which wakers count.
        bits: u32,
        /// What the woken call returns.
        result: u64,
    },
    /// For the ownership of a PI futex.
    Owner,
    /// For a wake-up that makes it wait for the PI futex at this address (`FUTEX_WAIT_REQUEUE_PI`).
    Requeue {
        /// The PI futex.
        target: u64,
    },
}

/// A thread in a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiter {
    /// The thread.
    pub tid: Tid,
    /// Address of the word as the thread named it.
    pub addr: u64,
    /// How it waits.
    pub role: Role,
}

/// Every waiting thread of a process, by word and in order of arrival.
#[derive(Debug, Default)]
pub struct Futexes {
    queues: BTreeMap<FutexKey, VecDeque<Waiter>>,
}

/// Where a futex word is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// What it is known by.
    pub key: FutexKey,
    /// Its guest address.
    pub addr: u64,
    /// The host page that holds it, if other processes may wait for it there.
    pub shared: Option<(HostSpan, usize)>,
}

/// Finds a futex word.
///
/// # Errors
/// `EINVAL` if it is not aligned, `EFAULT`.
pub fn place(mem: &mut Space, addr: u64, private: bool) -> Result<Place, Errno> {
    if !addr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if private {
        return Ok(Place { key: FutexKey::Private(addr), addr, shared: None });
    }
    let page = mem.resolve(addr, Access::Load)?;
    let vma = mem.find(addr).ok_or(Errno::EFAULT)?;
    if !vma.traits.shared {
        return Ok(Place { key: FutexKey::Private(addr), addr, shared: None });
    }
    let offset = (addr & PAGE_MASK) as usize;
    let at = addr - vma.start;
    let key = match &vma.name {
        Name::File(id) => {
            let dev = u64::from(id.dev.0) << 32 | u64::from(id.dev.1);
            FutexKey::Shared(dev, id.ino, vma.file_offset + at)
        }
        Name::SysV(id) => FutexKey::Shared(u64::MAX - 1, u64::from(id.unsigned_abs()), vma.file_offset + at),
        // A child has inherited the mapping at the same host address.
        _ => FutexKey::Shared(u64::MAX, 0, page.span.as_ptr() as u64 + offset as u64),
    };
    Ok(Place { key, addr, shared: Some((page.span, offset)) })
}

/// Reads a futex word.
///
/// # Errors
/// `EFAULT`.
pub fn load(mem: &mut Space, addr: u64, abi: Abi) -> Result<u32, Errno> {
    let mut bytes = [0; 4];
    mem.read_into(addr, &mut bytes)?;
    Ok(u32::get(&bytes, abi))
}

/// Changes a word atomically and returns the old value; `None` from `f` leaves it.
///
/// # Errors
/// `EFAULT`.
pub fn update(mem: &mut Space, addr: u64, abi: Abi, f: impl Fn(u32) -> Option<u32>) -> Result<u32, Errno> {
    let mut old = load(mem, addr, abi)?;
    loop {
        let Some(new) = f(old) else { return Ok(old) };
        let seen = mem.cmpxchg32(addr, abi, old, new)?;
        if seen == old {
            return Ok(old);
        }
        old = seen;
    }
}

impl Futexes {
    /// Adds a waiter at the end.
    pub fn push(&mut self, key: FutexKey, waiter: Waiter) {
        self.queues.entry(key).or_default().push_back(waiter);
    }

    /// The waiters of a word.
    pub fn queue(&self, key: FutexKey) -> impl Iterator<Item = &Waiter> {
        self.queues.get(&key).into_iter().flatten()
    }

    /// Does the thread stand in a queue?
    #[must_use]
    pub fn holds(&self, tid: Tid) -> bool {
        self.queues.values().flatten().any(|w| w.tid == tid)
    }

    /// Takes the first waiter that qualifies.
    pub fn pop(&mut self, key: FutexKey, wanted: impl Fn(&Waiter) -> bool) -> Option<Waiter> {
        let queue = self.queues.get_mut(&key)?;
        let at = queue.iter().position(wanted)?;
        let waiter = queue.remove(at);
        if queue.is_empty() {
            self.queues.remove(&key);
        }
        waiter
    }

    /// Words that threads wait to own, with one waiter's address each.
    #[must_use]
    pub fn owned_words(&self) -> Vec<(FutexKey, u64)> {
        let first = |(key, queue): (&FutexKey, &VecDeque<Waiter>)| {
            queue.iter().find(|w| w.role == Role::Owner).map(|w| (*key, w.addr))
        };
        self.queues.iter().filter_map(first).collect()
    }

    /// Forgets every waiter (in the child of a fork).
    pub fn clear(&mut self) {
        self.queues.clear();
    }

    fn remove(&mut self, tid: Tid) {
        self.queues.retain(|_, queue| {
            queue.retain(|w| w.tid != tid);
            !queue.is_empty()
        });
    }
}

/// Takes a thread out of every queue.
pub fn forget(process: &mut Process, tid: Tid) {
    process.futexes.remove(tid);
    if let Some(thread) = process.threads.get_mut(&tid) {
        thread.call.queued = false;
    }
}

/// Makes a thread's call succeed with `result`.
pub fn release(process: &mut Process, tid: Tid, result: u64) {
    forget(process, tid);
    if let Some(thread) = process.threads.get_mut(&tid) {
        thread.call.woken = true;
        thread.call.progress = result;
        thread.run = RunState::Ready;
    }
}

/// Wakes up to `count` waiters, here and then in other processes; returns how many.
///
/// # Errors
/// Those of the host's futex.
pub fn wake(process: &mut Process, place: &Place, count: u32, bits: u32) -> Result<u32, Errno> {
    let mut woken = 0;
    while woken < count {
        let wanted = |w: &Waiter| match w.role {
            Role::Plain { bits: b, .. } => b & bits != 0,
            Role::Owner | Role::Requeue { .. } => false,
        };
        let Some(waiter) = process.futexes.pop(place.key, wanted) else { break };
        let Role::Plain { result, .. } = waiter.role else { continue };
        release(process, waiter.tid, result);
        woken += 1;
    }
    if let Some((span, offset)) = place.shared
        && woken < count
    {
        woken += sys::futex::wake(span, offset, count - woken, bits, false)?;
    }
    Ok(woken)
}

/// Gives a PI futex to the first that waits to own it, or frees it; `died` is added to the word if the owner is dead.
///
/// # Errors
/// `EFAULT`.
pub fn hand_over(process: &mut Process, place: &Place, died: u32) -> Result<(), Errno> {
    let abi = process.isa.abi;
    let next = process.futexes.queue(place.key).find(|w| w.role == Role::Owner).copied();
    let more = process.futexes.queue(place.key).filter(|w| w.role == Role::Owner).count() > 1;
    let word = match next {
        Some(w) => w.tid as u32 | died | if more { WAITERS } else { 0 },
        None => died,
    };
    update(&mut process.mem, place.addr, abi, |_| Some(word))?;
    if let Some(w) = next {
        release(process, w.tid, 0);
    }
    Ok(())
}
