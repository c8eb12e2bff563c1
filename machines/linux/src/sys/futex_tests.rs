//! Futexes with threads that do not run.

use crate::abi::{Errno, GuestPtr};
use crate::cx::{Cx, Outcome};
use crate::futex::{OWNER_DIED, WAITERS};
use crate::isa::riscv::RISCV64;
use crate::testing::{Fixture, SCRATCH};
use crate::thread::{self, RunState, Thread, Tid};

const WORD: u64 = SCRATCH;
const OTHER: u64 = SCRATCH + 64;
const PRIVATE: u64 = 0x80;

fn with_threads(count: i32) -> (Fixture, Vec<Tid>) {
    let mut f = Fixture::new(&RISCV64);
    let cpu = f.cx().thread().cpu;
    let mut tids = Vec::new();
    for _ in 0..count {
        let tid = thread::new_tid(&mut f.process).expect("few threads");
        f.process.threads.insert(tid, Thread::new(tid, cpu));
        tids.push(tid);
    }
    (f, tids)
}

/// Issues `futex` as a thread; blocking leaves it blocked.
fn futex(f: &mut Fixture, tid: Tid, args: [u64; 6]) -> Option<Result<u64, Errno>> {
    let row = crate::table::row("futex").expect("a row");
    let mut cx = Cx { process: &mut f.process, engine: &mut f.engine, tid };
    match (row.run)(&mut cx, &args) {
        Ok(v) => Some(Ok(v)),
        Err(Outcome::Err(e)) => Some(Err(e)),
        Err(Outcome::Block(wait)) => {
            cx.thread().run = RunState::Blocked(wait);
            None
        }
        Err(_) => None,
    }
}

fn put(f: &mut Fixture, addr: u64, value: u32) {
    f.process.mem.put::<u32>(GuestPtr::new(addr), &value, RISCV64.abi).expect("mapped");
}

fn word(f: &mut Fixture, addr: u64) -> u32 {
    f.process.mem.get::<u32>(GuestPtr::new(addr), RISCV64.abi).expect("mapped")
}

fn is_ready(f: &Fixture, tid: Tid) -> bool {
    matches!(f.process.threads[&tid].run, RunState::Ready)
}

#[test]
fn waiters_wake_in_order_and_by_bits() {
    let (mut f, t) = with_threads(3);
    let main = f.process.pid;
    put(&mut f, WORD, 1);
    assert_eq!(futex(&mut f, t[0], [WORD, PRIVATE, 0, 0, 0, 0]), Some(Err(Errno::EAGAIN)));
    assert_eq!(futex(&mut f, t[0], [WORD, PRIVATE, 1, 0, 0, 0]), None);
    assert_eq!(futex(&mut f, t[1], [WORD, PRIVATE | 9, 1, 0, 0, 2]), None);
    assert_eq!(futex(&mut f, t[2], [WORD, PRIVATE | 9, 1, 0, 0, 4]), None);
    assert_eq!(futex(&mut f, main, [WORD, PRIVATE | 10, 9, 0, 0, 4]), Some(Ok(2)), "the one without bits has all");
    assert_eq!([is_ready(&f, t[0]), is_ready(&f, t[1]), is_ready(&f, t[2])], [true, false, true]);
    assert_eq!(futex(&mut f, t[0], [WORD, PRIVATE, 1, 0, 0, 0]), Some(Ok(0)), "issued again");
    assert_eq!(futex(&mut f, main, [WORD + 1, PRIVATE | 1, 1, 0, 0, 0]), Some(Err(Errno::EINVAL)));
    assert_eq!(futex(&mut f, main, [WORD, PRIVATE | 10, 1, 0, 0, 0]), Some(Err(Errno::EINVAL)), "no bits");
}

#[test]
fn private_memory_has_one_key_whatever_the_flag() {
    let (mut f, t) = with_threads(1);
    assert_eq!(futex(&mut f, t[0], [WORD, 0, 0, 0, 0, 0]), None);
    let main = f.process.pid;
    assert_eq!(futex(&mut f, main, [WORD, PRIVATE | 1, 1, 0, 0, 0]), Some(Ok(1)));
}

#[test]
fn a_wait_times_out() {
    let (mut f, t) = with_threads(1);
    // A timespec of zero.
    assert_eq!(futex(&mut f, t[0], [WORD, PRIVATE, 0, SCRATCH + 512, 0, 0]), Some(Err(Errno::ETIMEDOUT)));
    f.process.mem.put::<i64>(GuestPtr::new(SCRATCH + 520), &-1, RISCV64.abi).expect("mapped");
    assert_eq!(futex(&mut f, t[0], [WORD, PRIVATE, 0, SCRATCH + 512, 0, 0]), Some(Err(Errno::EINVAL)));
}

#[test]
fn requeued_waiters_wait_for_the_other_word() {
    let (mut f, t) = with_threads(3);
    let main = f.process.pid;
    for tid in &t {
        assert_eq!(futex(&mut f, *tid, [WORD, PRIVATE, 0, 0, 0, 0]), None);
    }
    assert_eq!(futex(&mut f, main, [WORD, PRIVATE | 4, 1, 1, OTHER, 7]), Some(Err(Errno::EAGAIN)));
    assert_eq!(futex(&mut f, main, [WORD, PRIVATE | 4, 1, 1, OTHER, 0]), Some(Ok(2)));
    assert!(is_ready(&f, t[0]) && !is_ready(&f, t[1]));
    assert_eq!(futex(&mut f, main, [OTHER, PRIVATE | 1, 9, 0, 0, 0]), Some(Ok(1)));
    assert!(is_ready(&f, t[1]) && !is_ready(&f, t[2]));
}

#[test]
fn wake_op_changes_the_second_word_and_compares_the_old_value() {
    let (mut f, t) = with_threads(2);
    let main = f.process.pid;
    put(&mut f, OTHER, 5);
    assert_eq!(futex(&mut f, t[0], [WORD, PRIVATE, 0, 0, 0, 0]), None);
    assert_eq!(futex(&mut f, t[1], [OTHER, PRIVATE, 5, 0, 0, 0]), None);
    // ADD 3, then wake if the old value > 4.
    let code = 1 << 28 | 4 << 24 | 3 << 12 | 4;
    assert_eq!(futex(&mut f, main, [WORD, PRIVATE | 5, 1, 1, OTHER, code]), Some(Ok(2)));
    assert_eq!(word(&mut f, OTHER), 8);
    // SET to 1 << 4 (the shift flag), comparison fails.
    let code = 8 << 28 | 4 << 12 | 99;
    assert_eq!(futex(&mut f, main, [WORD, PRIVATE | 5, 1, 1, OTHER, code]), Some(Ok(0)));
    assert_eq!(word(&mut f, OTHER), 16);
}

#[test]
fn a_pi_futex_is_handed_to_who_waits() {
    let (mut f, t) = with_threads(2);
    let (a, b) = (t[0], t[1]);
    assert_eq!(futex(&mut f, a, [WORD, PRIVATE | 6, 0, 0, 0, 0]), Some(Ok(0)));
    assert_eq!(word(&mut f, WORD), a as u32);
    assert_eq!(futex(&mut f, a, [WORD, PRIVATE | 6, 0, 0, 0, 0]), Some(Err(Errno::EDEADLK)));
    assert_eq!(futex(&mut f, b, [WORD, PRIVATE | 8, 0, 0, 0, 0]), Some(Err(Errno::EAGAIN)));
    assert_eq!(futex(&mut f, b, [WORD, PRIVATE | 7, 0, 0, 0, 0]), Some(Err(Errno::EPERM)));
    assert_eq!(futex(&mut f, b, [WORD, PRIVATE | 6, 0, 0, 0, 0]), None);
    assert_eq!(word(&mut f, WORD), a as u32 | WAITERS);
    assert_eq!(futex(&mut f, a, [WORD, PRIVATE | 7, 0, 0, 0, 0]), Some(Ok(0)));
    assert_eq!(word(&mut f, WORD), b as u32);
    assert_eq!(futex(&mut f, b, [WORD, PRIVATE | 6, 0, 0, 0, 0]), Some(Ok(0)), "issued again");
}

#[test]
fn a_robust_list_is_marked_and_its_waiter_wakes() {
    let (mut f, t) = with_threads(2);
    let (dying, waiter) = (t[0], t[1]);
    let (head, entry) = (SCRATCH + 256, SCRATCH + 320);
    let abi = RISCV64.abi;
    let mut put64 = |at: u64, v: u64| f.process.mem.put::<u64>(GuestPtr::new(at), &v, abi).expect("mapped");
    put64(head, entry);
    put64(head + 8, 16);
    put64(head + 16, 0);
    put64(entry, head);
    put(&mut f, entry + 16, dying as u32 | WAITERS);
    let value = u64::from(dying as u32 | WAITERS);
    assert_eq!(futex(&mut f, waiter, [entry + 16, PRIVATE, value, 0, 0, 0]), None);
    f.process.threads.get_mut(&dying).expect("a thread").robust_list = (head, 24);
    thread::release_futexes(&mut f.process, dying);
    assert_eq!(word(&mut f, entry + 16), WAITERS | OWNER_DIED);
    assert!(is_ready(&f, waiter));
}

#[test]
fn a_hostile_robust_list_ends() {
    let (mut f, t) = with_threads(1);
    let head = SCRATCH + 256;
    // An entry that points to itself for ever.
    f.process.mem.put::<u64>(GuestPtr::new(head), &(head + 64), RISCV64.abi).expect("mapped");
    f.process.mem.put::<u64>(GuestPtr::new(head + 64), &(head + 64), RISCV64.abi).expect("mapped");
    f.process.threads.get_mut(&t[0]).expect("a thread").robust_list = (head, 24);
    thread::release_futexes(&mut f.process, t[0]);
    assert_eq!(f.process.threads[&t[0]].robust_list, (0, 0));
}

#[test]
fn thread_numbers_do_not_meet() {
    let (mut f, t) = with_threads(300);
    let distinct: std::collections::BTreeSet<_> = t.iter().collect();
    assert_eq!(distinct.len(), 300);
    assert!(t.iter().all(|tid| *tid > 1 << 22 && *tid < 1 << 30));
    assert_eq!(thread::process_of(t[0]), f.process.pid);
    assert!(thread::new_tid(&mut f.process).is_some());
}
