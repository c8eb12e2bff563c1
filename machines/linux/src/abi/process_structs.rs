//! Guest structs of signals, threads, processes, timers and scheduling.

use super::{Abi, Arr, Field, Long, ULong};
use crate::guest_struct;
use core::fmt;

/// A set of signals: bit n for signal n + 1.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalSet(pub u64);

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As strace: short names, the complement if most are in the set.
        let inverted = self.0.count_ones() > 32;
        let set = if inverted { !self.0 } else { self.0 };
        f.write_str(if inverted { "~[" } else { "[" })?;
        let mut first = true;
        for signo in (1..=64).filter(|s| set & crate::signal::bit(*s) != 0) {
            if !core::mem::take(&mut first) {
                f.write_str(" ")?;
            }
            match crate::isa::signal_name(signo) {
                Some(name) => f.write_str(name.trim_start_matches("SIG"))?,
                None => write!(f, "RT_{}", signo - 32)?,
            }
        }
        f.write_str("]")
    }
}

/// `sigset_t` of 64 signals: unsigned longs, lowest signals first.
#[derive(Clone, Copy, Debug)]
pub struct Sigset;

impl Field for Sigset {
    type Value = SignalSet;
    fn size(_: Abi) -> usize {
        8
    }
    fn align(abi: Abi) -> usize {
        abi.word_bytes()
    }
    fn get(bytes: &[u8], abi: Abi) -> SignalSet {
        if abi.is64() {
            return SignalSet(u64::get(bytes, abi));
        }
        let (low, high) = bytes.split_at(4);
        SignalSet(u64::from(u32::get(low, abi)) | u64::from(u32::get(high, abi)) << 32)
    }
    fn put(value: &SignalSet, bytes: &mut [u8], abi: Abi) {
        if abi.is64() {
            u64::put(&value.0, bytes, abi);
            return;
        }
        let (low, high) = bytes.split_at_mut(4);
        u32::put(&(value.0 as u32), low, abi);
        u32::put(&((value.0 >> 32) as u32), high, abi);
    }
}

guest_struct! {
    /// `struct sigaction` of the kernel without a restorer (asm-generic/signal.h).
    Sigaction { handler: ULong, flags: ULong, mask: Sigset, }

    /// `stack_t`.
    StackT { sp: ULong, flags: i32, size: ULong, }

    /// `siginfo_t` as bytes.
    SiginfoBytes { bytes: Arr<u8, 128>, }

    /// `struct robust_list_head`.
    RobustListHead { next: ULong, futex_offset: Long, pending: ULong, }

    /// `struct clone_args` (linux/sched.h), its first version and what was added.
    CloneArgs {
        flags: u64, pidfd: u64, child_tid: u64, parent_tid: u64, exit_signal: u64, stack: u64, stack_size: u64,
        tls: u64, set_tid: u64, set_tid_size: u64, cgroup: u64,
    }

    /// `struct futex_waitv`.
    FutexWaitv { val: u64, uaddr: u64, flags: u32, reserved: u32, }

    /// The part of `struct sigevent` that `timer_create` reads: value, signal, how, thread.
    Sigevent { value: ULong, signo: i32, notify: i32, tid: i32, }

    /// `struct __user_cap_header_struct`.
    CapHeader { version: u32, pid: i32, }

    /// `struct __user_cap_data_struct`.
    CapData { effective: u32, permitted: u32, inheritable: u32, }

    /// `struct sched_param`.
    SchedParam { priority: i32, }

    /// `struct sched_attr` (linux/sched/types.h), version 1.
    SchedAttr {
        size: u32, policy: u32, flags: u64, nice: i32, priority: u32, runtime: u64, deadline: u64, period: u64,
        util_min: u32, util_max: u32,
    }
}
