//! Processes, identities, clocks and the system's own description.
#![cfg(target_os = "linux")]

use std::ffi::CString;
use tern_host::sys::{Errno, Time, cred, file, fs, host, proc, sched, time};

/// Runs `body` in a child, which exits with its result.
fn child(body: impl FnOnce() -> i32) -> i32 {
    match proc::fork().unwrap() {
        0 => {
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
            proc::exit_group(status)
        }
        pid => pid,
    }
}

fn exit_status(pid: i32) -> i32 {
    let waited = proc::wait4(pid, 0).unwrap();
    assert_eq!(waited.pid, pid);
    assert_eq!(waited.status & 0x7f, 0, "ended by a signal: {:#x}", waited.status);
    waited.status >> 8
}

#[test]
fn fork_and_wait() {
    let me = proc::getpid().unwrap();
    assert_eq!(me, std::process::id() as i32);
    let pid = child(|| if proc::getppid() == Ok(me) { 42 } else { 1 });
    assert_eq!(exit_status(pid), 42);
    assert_eq!(proc::wait4(pid, 0), Err(Errno::ECHILD));

    let pid = child(|| 7);
    let info = proc::waitid(host::P_PID, pid, host::WEXITED).unwrap();
    assert_eq!((info.pid, info.status, info.code), (pid, 7, 1));
    assert_eq!(info.uid, cred::getresuid().unwrap().real);

    let pid = child(|| {
        let _ = time::clock_nanosleep(host::CLOCK_MONOTONIC, false, Time { sec: 100, nsec: 0 });
        0
    });
    let none = proc::waitid(host::P_PID, pid, host::WEXITED | host::WNOHANG).unwrap();
    assert_eq!((none.pid, none.code), (0, 0));
    proc::kill(pid, host::SIGKILL).unwrap();
    let waited = proc::wait4(pid, 0).unwrap();
    assert_eq!((waited.pid, waited.status), (pid, host::SIGKILL));
}

#[test]
fn usage_of_a_child() {
    let pid = child(|| {
        let mut x = 1u64;
        while proc::getrusage(host::RUSAGE_SELF).unwrap().utime < Time::from_nanos(20_000_000) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        0
    });
    let waited = proc::wait4(pid, 0).unwrap();
    assert_eq!(waited.status, 0);
    assert!(waited.usage.utime >= Time::from_nanos(20_000_000), "{:?}", waited.usage);
    assert!(waited.usage.maxrss > 100, "{:?}", waited.usage);
    let pid = child(|| 0);
    let info = proc::waitid(host::P_PID, pid, host::WEXITED).unwrap();
    assert!(info.usage.maxrss > 100 && info.usage.minflt > 0, "{:?}", info.usage);
}

#[test]
fn groups_sessions_and_directories() {
    let pid = child(|| {
        let me = proc::getpid().unwrap();
        assert_eq!(proc::setpgid(0, 0), Ok(()));
        assert_eq!(proc::getpgid(0), Ok(me));
        assert_eq!(proc::setsid(), Err(Errno::EPERM), "a group leader cannot");
        fs::chdir(c"/proc").unwrap();
        let mut buf = [0; 64];
        let n = fs::getcwd(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"/proc\0");
        let root = file::openat(tern_host::sys::CWD, c"/", host::O_DIRECTORY, 0).unwrap();
        fs::fchdir(root).unwrap();
        assert_eq!(fs::getcwd(&mut buf), Ok(2));
        fs::umask(0o27).unwrap();
        assert_eq!(fs::umask(0), Ok(0o27));
        let other = child(|| i32::from(proc::setsid() != proc::getpid() || proc::getsid(0) != proc::getpid()));
        exit_status(other)
    });
    assert_eq!(exit_status(pid), 0);
}

#[test]
fn execution() {
    let (r, w) = file::pipe2(host::O_CLOEXEC).unwrap();
    let argv = [c"sh", c"-c", c"echo $X; exit 3"].map(CString::from);
    let envp = [CString::from(c"X=from tern")];
    let pid = child(|| {
        file::dup3(w, 1, 0).unwrap();
        i32::from(proc::execve(c"/bin/sh", &argv, &envp) == Errno::ENOENT) + 100
    });
    file::close(w).unwrap();
    let mut buf = [0; 64];
    assert_eq!(file::read(r, &mut buf), Ok(10));
    assert_eq!(&buf[..10], b"from tern\n");
    assert_eq!(exit_status(pid), 3);
    file::close(r).unwrap();
    assert_eq!(proc::execve(c"/nonexistent", &argv, &envp), Errno::ENOENT);
    assert_eq!(proc::execve(c"/dev/null", &argv, &envp), Errno::EACCES);
}

#[test]
fn pidfds() {
    let pid = child(|| {
        let _ = time::clock_nanosleep(host::CLOCK_MONOTONIC, false, Time { sec: 100, nsec: 0 });
        0
    });
    match proc::pidfd_open(pid, 0) {
        Ok(fd) => {
            proc::pidfd_send_signal(fd, host::SIGTERM).unwrap();
            file::close(fd).unwrap();
        }
        Err(e) => {
            assert_eq!(e, Errno::ENOSYS);
            proc::kill(pid, host::SIGTERM).unwrap();
        }
    }
    assert_eq!(proc::wait4(pid, 0).unwrap().status, host::SIGTERM);
}

#[test]
fn identities() {
    let users = cred::getresuid().unwrap();
    let groups = cred::getresgid().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ids = |key: &str| -> Vec<u32> {
        let line = status.lines().find(|l| l.starts_with(key)).unwrap();
        line.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect()
    };
    assert_eq!(ids("Uid:")[..3], [users.real, users.effective, users.saved]);
    assert_eq!(ids("Gid:")[..3], [groups.real, groups.effective, groups.saved]);
    assert_eq!(ids("Groups:"), cred::getgroups().unwrap());
    let caps = cred::capget(0).unwrap();
    let line = status.lines().find(|l| l.starts_with("CapEff:")).unwrap();
    assert_eq!(u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16), Ok(caps.effective));
    let pid = child(|| {
        let keep = cred::Ids { real: u32::MAX, effective: u32::MAX, saved: u32::MAX };
        cred::setresuid(keep).unwrap();
        cred::setresgid(keep).unwrap();
        cred::capset(cred::Caps { effective: 0, ..caps }).unwrap();
        assert_eq!(cred::capget(0).unwrap().effective, 0);
        assert_eq!(cred::setgroups(&[1, 2]), Err(Errno::EPERM));
        if users.effective == 0 {
            cred::capset(caps).unwrap();
            cred::setgroups(&[70_000, 2]).unwrap();
            let mut now = cred::getgroups().unwrap();
            now.sort_unstable();
            assert_eq!(now, [2, 70_000]);
            cred::setresgid(cred::Ids { real: 3, effective: 4, saved: 5 }).unwrap();
            assert_eq!(cred::getresgid().unwrap(), cred::Ids { real: 3, effective: 4, saved: 5 });
            assert_eq!(cred::setfsuid(70_000), 0);
            assert_eq!(cred::setfsuid(0), 70_000);
            cred::setresuid(cred::Ids { real: 70_000, effective: 70_000, saved: 70_000 }).unwrap();
            assert_eq!(cred::setuid(0), Err(Errno::EPERM));
        }
        0
    });
    assert_eq!(exit_status(pid), 0);
}

#[test]
fn limits_and_names() {
    let pid = child(|| {
        let before = proc::prlimit(0, host::RLIMIT_NOFILE, None).unwrap();
        let less = proc::Limit { soft: 64, hard: before.hard };
        assert_eq!(proc::prlimit(0, host::RLIMIT_NOFILE, Some(less)), Ok(before));
        assert_eq!(proc::prlimit(0, host::RLIMIT_NOFILE, None), Ok(less));
        proc::set_thread_name(b"a name that is too long").unwrap();
        assert_eq!(&proc::thread_name().unwrap(), b"a name that is \0");
        assert_eq!(proc::prctl(libc::PR_SET_NO_NEW_PRIVS, [1, 0, 0, 0]), Ok(0));
        assert_eq!(proc::prctl(libc::PR_GET_NO_NEW_PRIVS, [0; 4]), Ok(1));
        assert_eq!(proc::prctl(libc::PR_SET_MM, [1, 2, 3, 4]), Err(Errno::EINVAL));
        assert_eq!(proc::prctl(libc::PR_SET_PDEATHSIG, [9, 0, 0, 0]), Ok(0));
        assert_eq!(proc::prctl_get(libc::PR_GET_PDEATHSIG), Ok(9));
        assert_eq!(proc::personality(u32::MAX).map(|p| p & 0xff), Ok(0));
        0
    });
    assert_eq!(exit_status(pid), 0);
    let names = proc::uname().unwrap();
    assert_eq!(names.sysname, b"Linux");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(names.release, release.trim_end().as_bytes());
    let info = proc::sysinfo().unwrap();
    assert!(info.totalram > 1 << 24 && info.freeram < info.totalram && info.uptime > 0 && info.procs > 0);
    assert_eq!(proc::clock_ticks(), 100);
    assert!(proc::times().elapsed > 0);
}

#[test]
fn scheduling() {
    let mask = sched::sched_getaffinity(0).unwrap();
    let cpus: u32 = mask.iter().map(|w| w.count_ones()).sum();
    assert!(cpus >= 1 && u64::from(cpus) <= proc::cpus_online());
    let pid = child(|| {
        let first = mask.iter().position(|w| *w != 0).unwrap();
        let bit = mask[first].trailing_zeros();
        let mut one = vec![0; first + 1];
        one[first] = 1 << bit;
        sched::sched_setaffinity(0, &one).unwrap();
        let now = sched::sched_getaffinity(0).unwrap();
        assert_eq!(now.iter().map(|w| w.count_ones()).sum::<u32>(), 1);
        assert_eq!(sched::getcpu().unwrap().0, first as u32 * 64 + bit);
        let nice = sched::getpriority(0, 0).unwrap();
        sched::setpriority(0, 0, (nice + 3).min(19)).unwrap();
        assert_eq!(sched::getpriority(0, 0), Ok((nice + 3).min(19)));
        sched::sched_yield().unwrap();
        sched::sched_setscheduler(0, libc::SCHED_BATCH, 0).unwrap();
        assert_eq!(sched::sched_getscheduler(0), Ok(libc::SCHED_BATCH));
        assert_eq!(sched::sched_getparam(0), Ok(0));
        sched::sched_setparam(0, 0).unwrap();
        assert_eq!(sched::sched_setparam(0, 5), Err(Errno::EINVAL));
        assert!(sched::sched_rr_get_interval(0).is_ok());
        assert_eq!(sched::sched_get_priority_max(libc::SCHED_FIFO), Ok(99));
        assert_eq!(sched::sched_get_priority_min(libc::SCHED_FIFO), Ok(1));
        0
    });
    assert_eq!(exit_status(pid), 0);
}

#[test]
fn clocks() {
    let a = time::clock_gettime(host::CLOCK_MONOTONIC).unwrap();
    time::clock_nanosleep(host::CLOCK_MONOTONIC, false, Time::from_nanos(2_000_000)).unwrap();
    let b = time::clock_gettime(host::CLOCK_MONOTONIC).unwrap();
    assert!(b.nanos() - a.nanos() >= 2_000_000);
    let until = Time::from_nanos(b.nanos() + 1_000_000);
    time::clock_nanosleep(host::CLOCK_MONOTONIC, true, until).unwrap();
    assert!(time::clock_gettime(host::CLOCK_MONOTONIC).unwrap() >= until);
    assert_eq!(time::clock_gettime(9999), Err(Errno::EINVAL));
    assert!(time::clock_getres(host::CLOCK_REALTIME).unwrap().nanos() > 0);
    assert!(tern_host::clock::monotonic_ns() > b.nanos() as u64);
    assert!(tern_host::clock::boottime_ns() >= b.nanos() as u64);
    assert!(tern_host::clock::realtime_ns() > 1_600_000_000_000_000_000);
    assert!(tern_host::clock::cpu_ns().unwrap() > 0);
    assert_eq!(Time::from_nanos(-1), Time { sec: -1, nsec: 999_999_999 });
}

#[test]
fn entropy() {
    let (mut a, mut b) = ([0; 300], [0; 300]);
    tern_host::entropy::fill(&mut a).unwrap();
    tern_host::entropy::fill(&mut b).unwrap();
    assert_ne!(a, b);
    tern_host::entropy::fill(&mut []).unwrap();
}
