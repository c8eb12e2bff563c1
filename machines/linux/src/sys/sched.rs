//! Scheduling: what the host says of tern's process holds for every thread of the guest.

use crate::abi::process_flags::{Policy, PrioWhich};
use crate::abi::process_structs::{SchedAttr, SchedParam};
use crate::abi::structs::{Timespec, Timespec64};
use crate::abi::{Errno, Field, GuestPtr, ULong};
use crate::args::{Const, Flags, In, Int, Out, Pid, Ptr, Uint};
use crate::cx::{Cx, SysResult};
use tern_host::sys;

/// The host's number for a guest's process or thread.
fn host_pid(cx: &Cx<'_>, pid: i32) -> i32 {
    if pid > 0 && cx.process.threads.contains_key(&pid) { 0 } else { pid }
}

/// `sched_yield(2)`.
pub fn sched_yield(cx: &mut Cx<'_>) -> SysResult {
    if cx.process.threads.len() == 1 {
        sys::sched::sched_yield()?;
    }
    cx.thread().yielded = true;
    Ok(0)
}

/// `sched_getscheduler(2)`.
pub fn sched_getscheduler(cx: &mut Cx<'_>, pid: Pid) -> SysResult {
    Ok(sys::sched::sched_getscheduler(host_pid(cx, pid.0))? as u64)
}

/// `sched_setscheduler(2)`.
pub fn sched_setscheduler(cx: &mut Cx<'_>, pid: Pid, policy: Flags<Policy>, param: In<SchedParam>) -> SysResult {
    sys::sched::sched_setscheduler(host_pid(cx, pid.0), policy.0 as i32, param.0.priority)?;
    Ok(0)
}

/// `sched_getparam(2)`.
pub fn sched_getparam(cx: &mut Cx<'_>, pid: Pid, param: Out<SchedParam>) -> SysResult {
    let priority = sys::sched::sched_getparam(host_pid(cx, pid.0))?;
    cx.write(param.0, &SchedParam { priority })?;
    Ok(0)
}

/// `sched_setparam(2)`.
pub fn sched_setparam(cx: &mut Cx<'_>, pid: Pid, param: In<SchedParam>) -> SysResult {
    sys::sched::sched_setparam(host_pid(cx, pid.0), param.0.priority)?;
    Ok(0)
}

/// `sched_get_priority_max(2)`.
pub fn sched_get_priority_max(_cx: &mut Cx<'_>, policy: Flags<Policy>) -> SysResult {
    Ok(sys::sched::sched_get_priority_max(policy.0 as i32)? as u64)
}

/// `sched_get_priority_min(2)`.
pub fn sched_get_priority_min(_cx: &mut Cx<'_>, policy: Flags<Policy>) -> SysResult {
    Ok(sys::sched::sched_get_priority_min(policy.0 as i32)? as u64)
}

/// `sched_rr_get_interval(2)`.
pub fn sched_rr_get_interval(cx: &mut Cx<'_>, pid: Pid, time: Out<Timespec>) -> SysResult {
    let t = sys::sched::sched_rr_get_interval(host_pid(cx, pid.0))?;
    cx.write(time.0, &Timespec { sec: t.sec, nsec: t.nsec })?;
    Ok(0)
}

/// `sched_rr_get_interval(2)` with 64-bit times.
pub fn sched_rr_get_interval_time64(cx: &mut Cx<'_>, pid: Pid, time: Out<Timespec64>) -> SysResult {
    let t = sys::sched::sched_rr_get_interval(host_pid(cx, pid.0))?;
    cx.write(time.0, &Timespec64 { sec: t.sec, nsec: t.nsec })?;
    Ok(0)
}

/// `sched_getaffinity(2)`: bytes that were written.
pub fn sched_getaffinity(cx: &mut Cx<'_>, pid: Pid, len: Uint, mask: Ptr) -> SysResult {
    let (abi, word) = (cx.abi(), cx.abi().word_bytes());
    let words = sys::sched::sched_getaffinity(host_pid(cx, pid.0))?;
    // As long as the highest processor needs, in whole words of the guest.
    let cpus = words.iter().rposition(|w| *w != 0).map_or(1, |i| i * 64 + 64 - words[i].leading_zeros() as usize);
    let needed = cpus.div_ceil(8).next_multiple_of(word);
    if !(len.0 as usize).is_multiple_of(word) || (len.0 as usize) < needed {
        return Err(Errno::EINVAL.into());
    }
    let per = 64 / (8 * word);
    for n in 0..needed / word {
        let value = words[n / per] >> (n % per * 8 * word);
        cx.write::<ULong>(GuestPtr::new(mask.0).at(n as u64, abi), &abi.word_of(value))?;
    }
    Ok(needed as u64)
}

/// `sched_setaffinity(2)`.
pub fn sched_setaffinity(cx: &mut Cx<'_>, pid: Pid, len: Uint, mask: Ptr) -> SysResult {
    let (abi, word) = (cx.abi(), cx.abi().word_bytes());
    // 8192 processors are more than any kernel has.
    let mut bytes = cx.bytes(mask.0, u64::from(len.0.min(1024)))?;
    bytes.resize(bytes.len().next_multiple_of(word), 0);
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    for (n, chunk) in bytes.chunks_exact(word).enumerate() {
        words[n * word / 8] |= ULong::get(chunk, abi) << (n * word % 8 * 8);
    }
    sys::sched::sched_setaffinity(host_pid(cx, pid.0), &words)?;
    Ok(0)
}

/// Size of the first version of `struct sched_attr`.
const ATTR_SIZE: u32 = 48;

/// `sched_getattr(2)`.
pub fn sched_getattr(cx: &mut Cx<'_>, pid: Pid, attr: Out<SchedAttr>, size: Uint, flags: Uint) -> SysResult {
    if size.0 < ATTR_SIZE || size.0 > 4096 || flags.0 != 0 || pid.0 < 0 {
        return Err(Errno::EINVAL.into());
    }
    let host = host_pid(cx, pid.0);
    let policy = sys::sched::sched_getscheduler(host)?;
    let a = SchedAttr {
        size: ATTR_SIZE,
        policy: policy as u32 & 0xffff,
        flags: u64::from(policy as u64 & Policy::SCHED_RESET_ON_FORK != 0),
        nice: sys::sched::getpriority(0, host as u32)?,
        priority: sys::sched::sched_getparam(host)? as u32,
        runtime: 0,
        deadline: 0,
        period: 0,
        util_min: 0,
        util_max: 0,
    };
    let bytes = SchedAttr::to_bytes(&a, cx.abi());
    cx.put_bytes(attr.0.addr, &bytes[..ATTR_SIZE as usize])?;
    Ok(0)
}

/// `sched_setattr(2)` for the policies that need no more than a priority or a nice value.
pub fn sched_setattr(cx: &mut Cx<'_>, pid: Pid, attr: Ptr, flags: Uint) -> SysResult {
    let size = cx.read::<u32>(GuestPtr::new(attr.0))?;
    let size = if size == 0 { ATTR_SIZE } else { size };
    if flags.0 != 0 || pid.0 < 0 {
        return Err(Errno::EINVAL.into());
    }
    if !(ATTR_SIZE..=4096).contains(&size) {
        return Err(Errno::E2BIG.into());
    }
    let abi = cx.abi();
    let mut bytes = cx.bytes(attr.0, u64::from(size))?;
    bytes.resize(SchedAttr::size(abi), 0);
    let a = SchedAttr::get(&bytes, abi);
    if a.flags & !1 != 0 || !matches!(a.policy, 0 | 1 | 2 | 3 | 5) {
        cx.unimplemented(format_args!("sched_setattr of policy {}", a.policy));
        return Err(Errno::EINVAL.into());
    }
    let host = host_pid(cx, pid.0);
    let policy = a.policy as i32 | if a.flags & 1 != 0 { Policy::SCHED_RESET_ON_FORK as i32 } else { 0 };
    sys::sched::sched_setscheduler(host, policy, a.priority as i32)?;
    if matches!(a.policy, 0 | 3) {
        sys::sched::setpriority(0, host as u32, a.nice)?;
    }
    Ok(0)
}

/// Who a priority call is about, for the host.
fn who(cx: &Cx<'_>, which: Const<PrioWhich>, who: Pid) -> u32 {
    if u64::from(which.0) == PrioWhich::PRIO_PROCESS { host_pid(cx, who.0) as u32 } else { who.0 as u32 }
}

/// `getpriority(2)`: 20 less the nice value.
pub fn getpriority(cx: &mut Cx<'_>, which: Const<PrioWhich>, id: Pid) -> SysResult {
    let nice = sys::sched::getpriority(which.0 as i32, who(cx, which, id))?;
    Ok((20 - nice) as u64)
}

/// `setpriority(2)`.
pub fn setpriority(cx: &mut Cx<'_>, which: Const<PrioWhich>, id: Pid, nice: Int) -> SysResult {
    sys::sched::setpriority(which.0 as i32, who(cx, which, id), nice.0)?;
    Ok(0)
}
