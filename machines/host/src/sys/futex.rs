//! Futexes in memory that host processes or threads share.

use super::kernel::{KTimespec, native, nr};
use super::{Errno, InOpt, Time, syscalls};
use tern_core::mem::HostSpan;

/// The address of a futex word, checked to be inside a span and aligned.
struct Word(usize);

impl super::Arg for Word {
    fn push(self, args: &mut super::Args) {
        args.push(self.0 as core::ffi::c_long);
    }
}

syscalls! {
    fn raw_wait(word: Word, op: i32, value: u32, timeout: InOpt<'_, KTimespec>, unused: usize, bits: u32) -> () = nr::FUTEX;
    fn raw_wake(word: Word, op: i32, count: u32, unused: usize, unused2: usize, bits: u32) -> u32 = nr::FUTEX;
    fn raw_requeue(word: Word, op: i32, wake: u32, move_count: u32, target: Word, value: u32) -> u32 = nr::FUTEX;
}

/// How [`wait`] waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait {
    /// When to give up, as an absolute time; `None` waits for ever.
    pub deadline: Option<Time>,
    /// Measure the deadline by the realtime clock instead of the monotonic one.
    pub realtime: bool,
    /// Only threads of this process wake it; false for memory shared between processes.
    pub private: bool,
    /// Which wakers count ([`wake`]'s `bits`); zero is invalid.
    pub bits: u32,
}

fn word(span: HostSpan, offset: usize) -> Result<Word, Errno> {
    let part = span.sub(offset, 4).ok_or(Errno::EFAULT)?;
    let addr = part.as_ptr() as usize;
    if addr.is_multiple_of(4) { Ok(Word(addr)) } else { Err(Errno::EINVAL) }
}

fn op(op: i32, private: bool) -> i32 {
    op | if private { libc::FUTEX_PRIVATE_FLAG } else { 0 }
}

/// `FUTEX_WAIT_BITSET` on the four bytes at `offset`, which must be `expected` as they lie in memory.
///
/// # Errors
/// `EAGAIN` if the bytes differ, `ETIMEDOUT`, `EINTR`; `EFAULT` and `EINVAL` for a bad place.
pub fn wait(span: HostSpan, offset: usize, expected: [u8; 4], how: Wait) -> Result<(), Errno> {
    let clock = if how.realtime { libc::FUTEX_CLOCK_REALTIME } else { 0 };
    let deadline = how.deadline.map(KTimespec::from);
    let op = op(libc::FUTEX_WAIT_BITSET, how.private) | clock;
    raw_wait(word(span, offset)?, op, native::u32(&expected, 0), InOpt(deadline.as_ref()), 0, how.bits)
}

/// `FUTEX_WAKE_BITSET`: wakes up to `count` waiters whose bits meet `bits`; returns how many.
///
/// # Errors
/// `EFAULT` and `EINVAL` for a bad place or no bits.
pub fn wake(span: HostSpan, offset: usize, count: u32, bits: u32, private: bool) -> Result<u32, Errno> {
    raw_wake(word(span, offset)?, op(libc::FUTEX_WAKE_BITSET, private), count, 0, 0, bits)
}

/// One `FUTEX_REQUEUE` or `FUTEX_CMP_REQUEUE`.
#[derive(Clone, Copy, Debug)]
pub struct Requeue {
    /// Wake at most this many.
    pub wake: u32,
    /// Move at most this many of the others to the target.
    pub requeue: u32,
    /// What the four bytes must be, as they lie in memory, if that is to be checked.
    pub expected: Option<[u8; 4]>,
    /// As in [`Wait::private`].
    pub private: bool,
}

/// Wakes some waiters of the word at `from` and moves others to wait for the word at `to`; returns how many were woken
/// (with a comparison: woken or moved).
///
/// # Errors
/// `EAGAIN` if the bytes differ; `EFAULT` and `EINVAL` for a bad place.
pub fn requeue(from: (HostSpan, usize), to: (HostSpan, usize), how: Requeue) -> Result<u32, Errno> {
    let (code, value) = match how.expected {
        Some(bytes) => (libc::FUTEX_CMP_REQUEUE, native::u32(&bytes, 0)),
        None => (libc::FUTEX_REQUEUE, 0),
    };
    raw_requeue(word(from.0, from.1)?, op(code, how.private), how.wake, how.requeue, word(to.0, to.1)?, value)
}
