//! What the system and the process are: uname, sysinfo, limits, prctl, random bytes.

use crate::abi::Errno;
use crate::abi::flags::{Getrandom, Resource};
use crate::abi::structs::{Rlimit, Rlimit64, Rusage, Sysinfo, Timeval, Tms, Utsname};
use crate::args::{Const, Data, Flags, Hex, In, InOpt, Int, Out, OutBuf, OutOpt, Pid, Ptr, RawArgs, Size};
use crate::cx::{Cx, MAX_RW, Outcome, SysResult};
use crate::process::Process;
use tern_host::sys;

/// `uname(2)`: the host's names, the guest's machine, the release that this room follows.
pub fn uname(cx: &mut Cx<'_>, buf: Out<Utsname>) -> SysResult {
    let host = sys::proc::uname()?;
    let field = |text: &[u8]| {
        let mut out = [0; 65];
        let n = text.len().min(64);
        out[..n].copy_from_slice(&text[..n]);
        out
    };
    let names = Utsname {
        sysname: field(b"Linux"),
        nodename: field(&host.nodename),
        release: field(crate::start::release(&cx.process.config)),
        version: field(&host.version),
        machine: field(cx.isa().uname_machine.as_bytes()),
        domainname: field(&host.domainname),
    };
    cx.write(buf.0, &names)?;
    Ok(0)
}

/// `getpid(2)`.
pub fn getpid(cx: &mut Cx<'_>) -> SysResult {
    Ok(cx.process.pid as u64)
}

/// `getppid(2)`.
pub fn getppid(_cx: &mut Cx<'_>) -> SysResult {
    Ok(sys::proc::getppid()? as u64)
}

/// A name of at most 64 bytes.
fn short_name(cx: &mut Cx<'_>, name: Data, len: Size) -> Result<Vec<u8>, Errno> {
    let len = i32::try_from(len.0 as u32).ok().filter(|n| *n <= 64).ok_or(Errno::EINVAL)?;
    cx.bytes(name.0, len as u64)
}

/// `sethostname(2)`.
pub fn sethostname(cx: &mut Cx<'_>, name: Data, len: Size) -> SysResult {
    sys::proc::sethostname(&short_name(cx, name, len)?)?;
    Ok(0)
}

/// `setdomainname(2)`.
pub fn setdomainname(cx: &mut Cx<'_>, name: Data, len: Size) -> SysResult {
    sys::proc::setdomainname(&short_name(cx, name, len)?)?;
    Ok(0)
}

/// `sysinfo(2)`; the unit grows until sizes fit the guest's words.
pub fn sysinfo(cx: &mut Cx<'_>, info: Out<Sysinfo>) -> SysResult {
    let s = sys::proc::sysinfo()?;
    let abi = cx.abi();
    let largest = s.totalram.max(s.totalswap);
    let shift = (0..32).find(|n| abi.word_of(largest >> n) == largest >> n).unwrap_or(32);
    let value = Sysinfo {
        uptime: s.uptime,
        loads: s.loads,
        totalram: s.totalram >> shift,
        freeram: s.freeram >> shift,
        sharedram: s.sharedram >> shift,
        bufferram: s.bufferram >> shift,
        totalswap: s.totalswap >> shift,
        freeswap: s.freeswap >> shift,
        procs: s.procs,
        pad: 0,
        totalhigh: 0,
        freehigh: 0,
        mem_unit: 1 << shift,
    };
    cx.write(info.0, &value)?;
    Ok(0)
}

/// `getrandom(2)`.
pub fn getrandom(cx: &mut Cx<'_>, buf: OutBuf, len: Size, flags: Flags<Getrandom>) -> SysResult {
    let known = Getrandom::GRND_NONBLOCK | Getrandom::GRND_RANDOM | Getrandom::GRND_INSECURE;
    let both = Getrandom::GRND_RANDOM | Getrandom::GRND_INSECURE;
    if flags.0 & !known != 0 || flags.0 & both == both {
        return Err(Errno::EINVAL.into());
    }
    let want = len.0.min(MAX_RW);
    let room = cx.mem().accessible(buf.0, want, tern_core::mem::Access::Store);
    if room == 0 && want > 0 {
        return Err(Errno::EFAULT.into());
    }
    let mut done = 0;
    let mut piece = vec![0; room.min(1 << 16) as usize];
    while done < room {
        let n = piece.len().min((room - done) as usize);
        match sys::proc::getrandom(&mut piece[..n], flags.0 as u32) {
            Ok(n) => {
                cx.put_bytes(buf.0 + done, &piece[..n])?;
                done += n as u64;
            }
            Err(_) if done > 0 => break,
            Err(sys::Errno::EINTR) => return Err(Outcome::Restart),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(done)
}

/// The host's number of a guest's resource.
fn host_resource(resource: u32) -> Result<i32, Errno> {
    use tern_host::sys::host as h;
    const LIST: [i32; 16] = [
        h::RLIMIT_CPU,
        h::RLIMIT_FSIZE,
        h::RLIMIT_DATA,
        h::RLIMIT_STACK,
        h::RLIMIT_CORE,
        h::RLIMIT_RSS,
        h::RLIMIT_NPROC,
        h::RLIMIT_NOFILE,
        h::RLIMIT_MEMLOCK,
        h::RLIMIT_AS,
        h::RLIMIT_LOCKS,
        h::RLIMIT_SIGPENDING,
        h::RLIMIT_MSGQUEUE,
        h::RLIMIT_NICE,
        h::RLIMIT_RTPRIO,
        h::RLIMIT_RTTIME,
    ];
    usize::try_from(resource).ok().and_then(|n| LIST.get(n)).copied().ok_or(Errno::EINVAL)
}

/// Is a limit one of those on memory?
fn of_memory(resource: u64) -> bool {
    let own = [Resource::RLIMIT_AS, Resource::RLIMIT_DATA, Resource::RLIMIT_STACK, Resource::RLIMIT_MEMLOCK];
    own.contains(&(resource & 0xffff_ffff))
}

/// Is `prlimit64` about this process's limits on memory?
pub fn limits_memory(process: &Process, args: &RawArgs) -> bool {
    (args[0] as i32 == 0 || args[0] as i32 == process.pid) && of_memory(args[1])
}

/// Is `setrlimit` about limits on memory?
pub fn sets_memory(_process: &Process, args: &RawArgs) -> bool {
    of_memory(args[0])
}

/// Gets and sets a limit.  Limits on memory are the guest's own: tern needs memory besides the guest's, so the host must
/// not enforce them on tern.
fn limit(cx: &mut Cx<'_>, pid: i32, resource: u32, new: Option<Rlimit64>) -> Result<Rlimit64, Errno> {
    let host = host_resource(resource)?;
    let own = pid == 0 || pid == cx.process.pid;
    let l = &mut cx.process.rlimits;
    let slot = match u64::from(resource) {
        Resource::RLIMIT_AS => Some(&mut l.address_space),
        Resource::RLIMIT_DATA => Some(&mut l.data),
        Resource::RLIMIT_STACK => Some(&mut l.stack),
        Resource::RLIMIT_MEMLOCK => Some(&mut l.locked),
        _ => None,
    };
    if new.as_ref().is_some_and(|n| n.cur > n.max) {
        return Err(Errno::EINVAL);
    }
    let Some(slot) = slot.filter(|_| own) else {
        let new = new.map(|n| sys::proc::Limit { soft: n.cur, hard: n.max });
        let old = sys::proc::prlimit(pid, host, new)?;
        return Ok(Rlimit64 { cur: old.soft, max: old.hard });
    };
    let old = *slot;
    if let Some(new) = new {
        // In a replay it was allowed, or the call is not made.
        let replay = cx.process.script.is_some();
        let root = replay || sys::cred::getresuid().is_ok_and(|u| u.effective == 0);
        if new.max > old.hard && !root {
            return Err(Errno::EPERM);
        }
        *slot = crate::process::Rlimit { soft: new.cur, hard: new.max };
        cx.process.apply_limits();
    }
    Ok(Rlimit64 { cur: old.soft, max: old.hard })
}

/// `prlimit64(2)`.
pub fn prlimit64(
    cx: &mut Cx<'_>,
    pid: Pid,
    resource: Const<Resource>,
    new: InOpt<Rlimit64>,
    old: OutOpt<Rlimit64>,
) -> SysResult {
    let was = limit(cx, pid.0, resource.0, new.0)?;
    cx.write_opt(old.0, &was)?;
    Ok(0)
}

/// `getrlimit(2)`: a limit that does not fit a word is none.
pub fn getrlimit(cx: &mut Cx<'_>, resource: Const<Resource>, out: Out<Rlimit>) -> SysResult {
    let l = limit(cx, 0, resource.0, None)?;
    let none = cx.abi().word_of(u64::MAX);
    cx.write(out.0, &Rlimit { cur: l.cur.min(none), max: l.max.min(none) })?;
    Ok(0)
}

/// `setrlimit(2)`.
pub fn setrlimit(cx: &mut Cx<'_>, resource: Const<Resource>, new: In<Rlimit>) -> SysResult {
    let none = cx.abi().word_of(u64::MAX);
    let wide = |v: u64| if v == none { u64::MAX } else { v };
    limit(cx, 0, resource.0, Some(Rlimit64 { cur: wide(new.0.cur), max: wide(new.0.max) }))?;
    Ok(0)
}

/// `struct rusage` of a host usage.
#[must_use]
pub fn rusage_of(r: &sys::proc::Rusage) -> Rusage {
    let time = |t: sys::Time| Timeval { sec: t.sec, usec: t.nsec / 1000 };
    Rusage {
        utime: time(r.utime),
        stime: time(r.stime),
        maxrss: r.maxrss,
        ixrss: r.integrals[0],
        idrss: r.integrals[1],
        isrss: r.integrals[2],
        minflt: r.minflt,
        majflt: r.majflt,
        nswap: r.nswap,
        inblock: r.inblock,
        oublock: r.oublock,
        msgsnd: r.messages[0],
        msgrcv: r.messages[1],
        nsignals: r.messages[2],
        nvcsw: r.nvcsw,
        nivcsw: r.nivcsw,
    }
}

/// `getrusage(2)`.
pub fn getrusage(cx: &mut Cx<'_>, who: Int, usage: Out<Rusage>) -> SysResult {
    let r = sys::proc::getrusage(who.0)?;
    cx.write(usage.0, &rusage_of(&r))?;
    Ok(0)
}

/// `times(2)`.
pub fn times(cx: &mut Cx<'_>, buf: OutOpt<Tms>) -> SysResult {
    let t = sys::proc::times();
    let value = Tms { utime: t.utime as i64, stime: t.stime as i64, cutime: t.cutime as i64, cstime: t.cstime as i64 };
    cx.write_opt(buf.0, &value)?;
    Ok(t.elapsed)
}

/// `getcpu(2)`: all threads of a guest process run on one host thread, so wherever that is.
pub fn getcpu(cx: &mut Cx<'_>, cpu: OutOpt<u32>, node: OutOpt<u32>, _cache: Ptr) -> SysResult {
    let (c, n) = sys::sched::getcpu()?;
    cx.write_opt(cpu.0, &c)?;
    cx.write_opt(node.0, &n)?;
    Ok(0)
}

/// `personality(2)`: of the flags only those without a meaning for the loader can be set.
pub fn personality(_cx: &mut Cx<'_>, persona: Hex) -> SysResult {
    const ADDR_NO_RANDOMIZE: u32 = 0x004_0000;
    const ASK: u32 = u32::MAX;
    match persona.0 {
        ASK => Ok(u64::from(sys::proc::personality(ASK)?)),
        // Addresses are not random in any case.
        p if p & !ADDR_NO_RANDOMIZE == 0 => Ok(u64::from(sys::proc::personality(p)?)),
        _ => Err(Errno::EINVAL.into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::abi::structs::{Rlimit64, Sysinfo, Utsname};
    use crate::abi::{Errno, GuestPtr};
    use crate::isa::riscv::{RISCV32, RISCV64};
    use crate::testing::{Fixture, SCRATCH};

    #[test]
    fn uname_shows_the_guests_machine() {
        for (isa, name) in [(&RISCV64, b"riscv64\0"), (&RISCV32, b"riscv32\0")] {
            let mut f = Fixture::new(isa);
            assert_eq!(f.call("uname", [SCRATCH; 6]), Some(Ok(0)));
            let u = f.cx().read(GuestPtr::<Utsname>::new(SCRATCH)).expect("written");
            assert_eq!(&u.machine[..8], name);
            assert_eq!(&u.release[..5], b"6.12.");
        }
    }

    #[test]
    fn limits_on_memory_are_the_guests_own() {
        let mut f = Fixture::new(&RISCV64);
        let host = tern_host::sys::proc::prlimit(0, tern_host::sys::host::RLIMIT_AS, None).expect("limit");
        let new = GuestPtr::<Rlimit64>::new(SCRATCH);
        f.cx().write(new, &Rlimit64 { cur: 1 << 20, max: 1 << 21 }).expect("scratch");
        assert_eq!(f.call("prlimit64", [0, 9, SCRATCH, SCRATCH + 0x100, 0, 0]), Some(Ok(0)));
        assert_eq!(f.process.mem.limits.address_space, 1 << 20);
        assert_eq!(tern_host::sys::proc::prlimit(0, tern_host::sys::host::RLIMIT_AS, None), Ok(host));
        assert_eq!(f.call("mmap", [0, 2 << 20, 3, 0x22, u64::MAX, 0]), Some(Err(Errno::ENOMEM)));
        f.cx().write(new, &Rlimit64 { cur: 3, max: 2 }).expect("scratch");
        assert_eq!(f.call("prlimit64", [0, 9, SCRATCH, 0, 0, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!(f.call("prlimit64", [0, 99, 0, 0, 0, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!(f.call("prlimit64", [0, 7, 0, SCRATCH, 0, 0]), Some(Ok(0)), "descriptors are the host's");
    }

    #[test]
    fn sysinfo_fits_both_word_sizes() {
        for isa in [&RISCV64, &RISCV32] {
            let mut f = Fixture::new(isa);
            assert_eq!(f.call("sysinfo", [SCRATCH; 6]), Some(Ok(0)));
            let s = f.cx().read(GuestPtr::<Sysinfo>::new(SCRATCH)).expect("written");
            let total = tern_host::sys::proc::sysinfo().expect("sysinfo").totalram;
            assert_eq!(s.totalram * u64::from(s.mem_unit), total / u64::from(s.mem_unit) * u64::from(s.mem_unit));
        }
    }

    #[test]
    fn random_bytes_stop_at_the_fault() {
        let mut f = Fixture::new(&RISCV64);
        assert_eq!(f.call("getrandom", [SCRATCH + 0x1ff0, 100, 0, 0, 0, 0]), Some(Ok(16)));
        assert_ne!(f.cx().bytes(SCRATCH + 0x1ff0, 16), Ok(vec![0; 16]));
        assert_eq!(f.call("getrandom", [SCRATCH + 0x2000, 1, 0, 0, 0, 0]), Some(Err(Errno::EFAULT)));
        assert_eq!(f.call("getrandom", [SCRATCH, 1, 8, 0, 0, 0]), Some(Err(Errno::EINVAL)));
    }
}
