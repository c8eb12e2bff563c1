//! Scheduling: affinity, policies, priorities.

use super::kernel::{KTimespec, nr};
use super::{Errno, In, Out, Time, syscalls};
use core::ffi::c_ulong;

syscalls! {
    /// `sched_yield(2)`.
    pub fn sched_yield() -> () = libc::SYS_sched_yield;
    /// `sched_getscheduler(2)`.
    pub fn sched_getscheduler(pid: i32) -> i32 = libc::SYS_sched_getscheduler;
    /// `sched_get_priority_max(2)`.
    pub fn sched_get_priority_max(policy: i32) -> i32 = libc::SYS_sched_get_priority_max;
    /// `sched_get_priority_min(2)`.
    pub fn sched_get_priority_min(policy: i32) -> i32 = libc::SYS_sched_get_priority_min;
    fn raw_setscheduler(pid: i32, policy: i32, priority: In<'_, i32>) -> () = libc::SYS_sched_setscheduler;
    fn raw_setparam(pid: i32, priority: In<'_, i32>) -> () = libc::SYS_sched_setparam;
    fn raw_getparam(pid: i32, priority: Out<'_, i32>) -> () = libc::SYS_sched_getparam;
    fn raw_rr_interval(pid: i32, time: Out<'_, KTimespec>) -> () = nr::SCHED_RR_GET_INTERVAL;
    fn raw_getaffinity(pid: i32, len: usize, mask: Out<'_, [c_ulong; CPU_WORDS]>) -> usize = libc::SYS_sched_getaffinity;
    fn raw_setaffinity(pid: i32, len: usize, mask: In<'_, [c_ulong; CPU_WORDS]>) -> () = libc::SYS_sched_setaffinity;
    fn raw_getpriority(which: i32, who: u32) -> i32 = libc::SYS_getpriority;
    /// `setpriority(2)`.
    pub fn setpriority(which: i32, who: u32, nice: i32) -> () = libc::SYS_setpriority;
    fn raw_getcpu(cpu: Out<'_, u32>, node: Out<'_, u32>, unused: usize) -> () = libc::SYS_getcpu;
}

/// More processors than any kernel configuration allows (8192).
const CPUS: usize = 8192;
const WORD: usize = c_ulong::BITS as usize;
const CPU_WORDS: usize = CPUS / WORD;

/// `sched_setscheduler(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn sched_setscheduler(pid: i32, policy: i32, priority: i32) -> Result<(), Errno> {
    raw_setscheduler(pid, policy, In(&priority))
}

/// `sched_setparam(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn sched_setparam(pid: i32, priority: i32) -> Result<(), Errno> {
    raw_setparam(pid, In(&priority))
}

/// `sched_getparam(2)`: the priority.
///
/// # Errors
/// The kernel's errno.
pub fn sched_getparam(pid: i32) -> Result<i32, Errno> {
    let mut priority = 0;
    raw_getparam(pid, Out(&mut priority))?;
    Ok(priority)
}

/// `sched_rr_get_interval(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn sched_rr_get_interval(pid: i32) -> Result<Time, Errno> {
    let mut t = KTimespec::default();
    raw_rr_interval(pid, Out(&mut t))?;
    Ok(t.into())
}

/// `sched_getaffinity(2)`: a mask, bit `n % 64` of word `n / 64` for CPU `n`, as long as the kernel's own mask.
///
/// # Errors
/// The kernel's errno.
pub fn sched_getaffinity(pid: i32) -> Result<Vec<u64>, Errno> {
    let mut raw = [0; CPU_WORDS];
    let bytes = raw_getaffinity(pid, size_of_val(&raw), Out(&mut raw))?;
    let mut mask = vec![0u64; bytes.div_ceil(8)];
    for (i, word) in raw.iter().enumerate().take(bytes / (WORD / 8)) {
        mask[i * WORD / 64] |= (*word as u64) << (i * WORD % 64);
    }
    Ok(mask)
}

/// `sched_setaffinity(2)` with a mask as [`sched_getaffinity`] returns it; CPUs from 8192 on are ignored.
///
/// # Errors
/// The kernel's errno.
pub fn sched_setaffinity(pid: i32, mask: &[u64]) -> Result<(), Errno> {
    let mut raw = [0; CPU_WORDS];
    for (i, word) in raw.iter_mut().enumerate() {
        *word = mask.get(i * WORD / 64).map_or(0, |m| (m >> (i * WORD % 64)) as c_ulong);
    }
    raw_setaffinity(pid, size_of_val(&raw), In(&raw))
}

/// `getpriority(2)`: the nice value, -20..=19.
///
/// # Errors
/// The kernel's errno.
pub fn getpriority(which: i32, who: u32) -> Result<i32, Errno> {
    // The kernel itself answers 20 - nice, which is never negative.
    raw_getpriority(which, who).map(|n| 20 - n)
}

/// `getcpu(2)`: the processor and the NUMA node that run the caller.
///
/// # Errors
/// The kernel's errno.
pub fn getcpu() -> Result<(u32, u32), Errno> {
    let (mut cpu, mut node) = (0, 0);
    raw_getcpu(Out(&mut cpu), Out(&mut node), 0)?;
    Ok((cpu, node))
}
