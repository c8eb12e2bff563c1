//! The lock-free queue between the handler and the run loop.

use super::info::{self, SigInfo};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// Words of a siginfo.
pub(super) const WORDS: usize = 32;
/// More signals than a run loop leaves waiting; see [`OVERFLOW`] for the rest.
const SLOTS: usize = 256;

const FREE: u32 = 0;
const WRITING: u32 = 1;
const FULL: u32 = 2;
const READING: u32 = 3;

struct Slot {
    state: AtomicU32,
    order: AtomicUsize,
    words: [AtomicU32; WORDS],
}

static SLOT: [Slot; SLOTS] = [const {
    Slot { state: AtomicU32::new(FREE), order: AtomicUsize::new(0), words: [const { AtomicU32::new(0) }; WORDS] }
}; SLOTS];
static NEXT: AtomicUsize = AtomicUsize::new(0);
static FLAG: AtomicBool = AtomicBool::new(false);
/// Signals that found no free slot: they still arrive, without what came with them.
static OVERFLOW: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

pub(super) fn flag() -> &'static AtomicBool {
    &FLAG
}

/// Called by handlers, on any thread. A handler never waits for anybody.
pub(super) fn push(words: &[u32; WORDS]) {
    let free =
        SLOT.iter().find(|s| s.state.compare_exchange(FREE, WRITING, Ordering::SeqCst, Ordering::SeqCst).is_ok());
    match free {
        Some(slot) => {
            slot.order.store(NEXT.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
            for (to, from) in slot.words.iter().zip(words) {
                to.store(*from, Ordering::SeqCst);
            }
            slot.state.store(FULL, Ordering::SeqCst);
        }
        None => {
            let signo = words[0] as usize;
            if let Some(word) = OVERFLOW.get(signo / 32) {
                word.fetch_or(1 << (signo % 32), Ordering::SeqCst);
            }
        }
    }
    FLAG.store(true, Ordering::SeqCst);
}

/// The oldest full slot. Order numbers wrap, so they are compared by their distance to the next one.
fn oldest() -> Option<&'static Slot> {
    let next = NEXT.load(Ordering::SeqCst);
    let full = SLOT.iter().filter(|s| s.state.load(Ordering::SeqCst) == FULL);
    full.max_by_key(|s| next.wrapping_sub(s.order.load(Ordering::SeqCst)))
}

fn take_overflow() -> Option<SigInfo> {
    for (i, word) in OVERFLOW.iter().enumerate() {
        let bits = word.load(Ordering::SeqCst);
        if bits != 0 {
            let low = bits & bits.wrapping_neg();
            if word.fetch_and(!low, Ordering::SeqCst) & low != 0 {
                return Some(SigInfo { signo: (i * 32) as i32 + low.trailing_zeros() as i32, ..SigInfo::default() });
            }
        }
    }
    None
}

/// Takes the oldest signal out.
pub(super) fn take() -> Option<SigInfo> {
    // Cleared first: a handler that runs from here on sets it again after its signal is in.
    FLAG.store(false, Ordering::SeqCst);
    let taken = loop {
        let Some(slot) = oldest() else { break take_overflow() };
        if slot.state.compare_exchange(FULL, READING, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let words = core::array::from_fn(|i| slot.words[i].load(Ordering::SeqCst));
            slot.state.store(FREE, Ordering::SeqCst);
            break Some(SigInfo::from_kernel(&info::bytes(&words)));
        }
    };
    if oldest().is_some() || OVERFLOW.iter().any(|w| w.load(Ordering::SeqCst) != 0) {
        FLAG.store(true, Ordering::SeqCst);
    }
    taken
}

/// Forgets everything, in the child of a fork.
pub(super) fn clear() {
    for slot in &SLOT {
        slot.state.store(FREE, Ordering::SeqCst);
    }
    for word in &OVERFLOW {
        word.store(0, Ordering::SeqCst);
    }
    FLAG.store(false, Ordering::SeqCst);
}
