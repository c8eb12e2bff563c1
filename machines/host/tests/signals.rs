//! Signals of the process. They and the flag are global, so the tests take turns.
#![cfg(target_os = "linux")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use tern_host::signal::{self, Disposition, SigInfo};
use tern_host::sys::{Errno, Time, cred, file, host, proc, time, wait};

static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a signal to this thread, so that no other thread of the test runs its handler.
fn raise(signo: i32) {
    proc::tgkill(proc::getpid().unwrap(), proc::gettid().unwrap(), signo).unwrap();
}

fn in_child(body: impl FnOnce() -> i32) -> i32 {
    match proc::fork().unwrap() {
        0 => {
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
            proc::exit_group(status)
        }
        pid => proc::wait4(pid, 0).unwrap().status,
    }
}

#[test]
fn caught_signals_become_values() {
    let _turn = turn();
    assert_eq!(signal::take(), None);
    signal::catch(host::SIGUSR1).unwrap();
    signal::catch(host::SIGUSR2).unwrap();
    raise(host::SIGUSR1);
    assert!(signal::pending());
    let (pid, tid) = (proc::getpid().unwrap(), proc::gettid().unwrap());
    signal::queue(pid, Some(tid), host::SIGUSR2, -1, 0xabcd).unwrap();
    let first = signal::take().unwrap();
    assert_eq!((first.signo, first.code, first.pid), (host::SIGUSR1, -6, pid));
    assert_eq!(first.uid, cred::getresuid().unwrap().real);
    let second = signal::take().unwrap();
    assert_eq!((second.signo, second.code, second.value), (host::SIGUSR2, -1, 0xabcd));
    assert!(!signal::pending());
    assert_eq!(signal::take(), None);
    signal::ignore(host::SIGUSR1).unwrap();
    assert_eq!(signal::disposition(host::SIGUSR1), Ok(Disposition::Ignore));
    raise(host::SIGUSR1);
    assert!(!signal::pending());
    signal::default(host::SIGUSR1).unwrap();
    assert_eq!(signal::disposition(host::SIGUSR1), Ok(Disposition::Default));
    assert_eq!(signal::disposition(host::SIGUSR2), Ok(Disposition::Handler));
    signal::default(host::SIGUSR2).unwrap();
    assert_eq!(signal::catch(host::SIGKILL), Err(Errno::EINVAL));
    assert_eq!(signal::catch(1000), Err(Errno::EINVAL));
}

#[test]
fn none_is_lost_when_the_queue_is_full() {
    let _turn = turn();
    signal::catch(host::SIGUSR1).unwrap();
    signal::catch(host::SIGUSR2).unwrap();
    for _ in 0..300 {
        raise(host::SIGUSR1);
    }
    raise(host::SIGUSR2);
    let mut seen = Vec::new();
    while let Some(info) = signal::take() {
        seen.push(info);
    }
    assert_eq!(seen.len(), 258, "256 slots, and one for each signal that found none");
    assert_eq!(seen[257], SigInfo { signo: host::SIGUSR2, ..SigInfo::default() });
    assert!(!signal::pending());
    signal::default(host::SIGUSR1).unwrap();
    signal::default(host::SIGUSR2).unwrap();
}

#[test]
fn masks() {
    let _turn = turn();
    signal::catch(host::SIGUSR1).unwrap();
    let usr1 = 1 << (host::SIGUSR1 - 1);
    let before = signal::block(usr1).unwrap();
    assert_eq!(signal::mask(), Ok(before | usr1));
    raise(host::SIGUSR1);
    assert!(!signal::pending());
    assert_eq!(signal::sigpending(), Ok(usr1));
    let info = signal::sigtimedwait(usr1, Some(Time::default())).unwrap();
    assert_eq!((info.signo, info.pid), (host::SIGUSR1, proc::getpid().unwrap()));
    assert_eq!(signal::sigtimedwait(usr1, Some(Time::from_nanos(1000))), Err(Errno::EAGAIN));
    raise(host::SIGUSR1);
    assert_eq!(wait::ppoll(&mut [], Some(Time { sec: 10, nsec: 0 }), Some(before)), Err(Errno::EINTR));
    assert_eq!(signal::take().map(|i| i.signo), Some(host::SIGUSR1));
    raise(host::SIGUSR1);
    assert_eq!(wait::sigsuspend(before), Err(Errno::EINTR));
    assert_eq!(signal::take().map(|i| i.signo), Some(host::SIGUSR1));
    raise(host::SIGUSR1);
    let fd = file::signalfd4(-1, usr1, host::SFD_NONBLOCK).unwrap();
    let mut info = [0; 128];
    assert_eq!(file::read(fd, &mut info), Ok(128));
    file::close(fd).unwrap();
    signal::set_mask(!0).unwrap();
    assert_eq!(signal::mask().unwrap() & 1 << (host::SIGURG - 1), 0);
    signal::set_mask(before).unwrap();
    signal::with_blocked(|old| {
        assert_eq!(old, before);
        raise(host::SIGUSR1);
        assert!(!signal::pending());
    });
    assert!(signal::pending());
    assert!(signal::take().is_some());
    signal::default(host::SIGUSR1).unwrap();
}

#[test]
fn a_blocking_call_is_interrupted() {
    let _turn = turn();
    signal::catch(host::SIGALRM).unwrap();
    let (r, w) = file::pipe2(0).unwrap();
    let mut buf = [0; 1];
    raise(host::SIGALRM);
    assert_eq!(signal::blocking(|| file::read(r, &mut buf)), Err(Errno::EINTR), "one was there before");
    assert!(signal::take().is_some());
    let (pid, tid) = (proc::getpid().unwrap(), proc::gettid().unwrap());
    #[allow(clippy::disallowed_methods, reason = "the test needs a second thread")]
    let sender = std::thread::spawn(move || {
        time::clock_nanosleep(host::CLOCK_MONOTONIC, false, Time::from_nanos(20_000_000)).unwrap();
        proc::tgkill(pid, tid, host::SIGALRM).unwrap();
    });
    assert_eq!(signal::blocking(|| file::read(r, &mut buf)), Err(Errno::EINTR));
    sender.join().unwrap();
    assert_eq!(signal::take().map(|i| i.signo), Some(host::SIGALRM));
    file::write(w, b"x").unwrap();
    assert_eq!(signal::blocking(|| file::read(r, &mut buf)), Ok(1));
    signal::default(host::SIGALRM).unwrap();
    file::close(r).unwrap();
    file::close(w).unwrap();
}

#[test]
fn a_signal_between_look_and_call_is_not_lost() {
    let _turn = turn();
    signal::catch(host::SIGUSR1).unwrap();
    let (r, w) = file::pipe2(0).unwrap();
    let mut buf = [0; 1];
    for _ in 0..20 {
        let start = tern_host::clock::monotonic_ns();
        let result = signal::blocking(|| {
            // The worst moment: `blocking` has looked, the call has not begun.
            raise(host::SIGUSR1);
            file::read(r, &mut buf)
        });
        assert_eq!(result, Err(Errno::EINTR));
        assert!(tern_host::clock::monotonic_ns() - start < 1_000_000_000);
        assert_eq!(signal::take().map(|i| i.signo), Some(host::SIGUSR1));
        assert_eq!(signal::take(), None, "expiries are not seen");
    }
    // No expiry is left over that would interrupt other calls.
    time::clock_nanosleep(host::CLOCK_MONOTONIC, false, Time::from_nanos(30_000_000)).unwrap();
    signal::default(host::SIGUSR1).unwrap();
    file::close(r).unwrap();
    file::close(w).unwrap();
}

#[test]
fn an_interruption_without_a_signal_is_not_shown() {
    let _turn = turn();
    signal::catch(host::SIGURG).unwrap();
    signal::default(host::SIGURG).unwrap();
    let (pid, tid) = (proc::getpid().unwrap(), proc::gettid().unwrap());
    let (r, w) = file::pipe2(0).unwrap();
    let mut buf = [0; 1];
    #[allow(clippy::disallowed_methods, reason = "the test needs a second thread")]
    let sender = std::thread::spawn(move || {
        time::clock_nanosleep(host::CLOCK_MONOTONIC, false, Time::from_nanos(10_000_000)).unwrap();
        proc::tgkill(pid, tid, host::SIGURG).unwrap();
        time::clock_nanosleep(host::CLOCK_MONOTONIC, false, Time::from_nanos(10_000_000)).unwrap();
        file::write(w, b"y").unwrap();
    });
    let mut calls = 0;
    let result = signal::blocking(|| {
        calls += 1;
        file::read(r, &mut buf)
    });
    sender.join().unwrap();
    assert_eq!((result, calls), (Ok(1), 2));
    signal::catch(host::SIGURG).unwrap();
    raise(host::SIGURG);
    assert_eq!(signal::take().map(|i| i.signo), Some(host::SIGURG), "the guest may use it too");
    signal::default(host::SIGURG).unwrap();
    file::close(r).unwrap();
    file::close(w).unwrap();
}

#[test]
fn children() {
    let _turn = turn();
    signal::catch(host::SIGUSR1).unwrap();
    raise(host::SIGUSR1);
    let status = in_child(|| {
        assert!(!signal::pending(), "caught signals are the parent's");
        let (r, _w) = file::pipe2(0).unwrap();
        let result = signal::blocking(|| {
            raise(host::SIGUSR1);
            file::read(r, &mut [0])
        });
        assert_eq!(result, Err(Errno::EINTR), "the child has a timer of its own");
        0
    });
    assert_eq!(status, 0);
    assert!(signal::take().is_some());
    signal::default(host::SIGUSR1).unwrap();
}

#[test]
fn sigchld_says_who_and_how() {
    let _turn = turn();
    let status = in_child(|| {
        signal::catch(host::SIGCHLD).unwrap();
        let pid = proc::fork().unwrap();
        if pid == 0 {
            proc::exit_group(5);
        }
        let waited = signal::blocking(|| proc::wait4(pid, 0));
        let info = signal::take().unwrap();
        assert_eq!((info.signo, info.code, info.pid, info.status), (host::SIGCHLD, 1, pid, 5));
        assert!(waited == Err(Errno::EINTR) || waited.is_ok());
        0
    });
    assert_eq!(status, 0);
}

#[test]
fn dying_by_a_signal() {
    let _turn = turn();
    for signo in [host::SIGTERM, host::SIGKILL, host::SIGUSR1] {
        let status = in_child(|| {
            let _ = signal::catch(signo);
            let _ = signal::block(1 << (signo - 1));
            i32::from(signal::raise_default(signo).is_ok())
        });
        if signo == host::SIGKILL {
            assert_eq!(status, 0, "its disposition cannot be set, so it is refused");
        } else {
            assert_eq!(status, signo);
        }
    }
    assert_eq!(in_child(|| signal::raise_default(host::SIGCHLD).map_or(1, |()| 9)), 9 << 8);
}

#[test]
fn a_truncated_file_ends_the_process() {
    let _turn = turn();
    for guest_catches in [false, true] {
        let (r, w) = file::pipe2(0).unwrap();
        let status = in_child(|| {
            file::dup3(w, 2, 0).unwrap();
            signal::last_resort().unwrap();
            if guest_catches {
                signal::catch(host::SIGBUS).unwrap();
                raise(host::SIGBUS);
                assert!(signal::take().is_some());
            }
            let none = proc::Limit { soft: 0, hard: 0 };
            proc::prlimit(0, host::RLIMIT_CORE, Some(none)).unwrap();
            let fd = file::memfd_create(c"tern", 0).unwrap();
            file::ftruncate(fd, 4096).unwrap();
            let map = tern_host::map::HostMap::file(fd, 0, 4096, true, false).unwrap();
            let mut byte = [1];
            assert!(map.span().read(0, &mut byte));
            file::ftruncate(fd, 0).unwrap();
            i32::from(map.span().read(0, &mut byte))
        });
        assert_eq!(status, host::SIGBUS);
        let mut line = [0; 256];
        let n = file::read(r, &mut line).unwrap();
        assert!(line[..n].starts_with(b"tern: host fault SIGBUS"), "{:?}", String::from_utf8_lossy(&line[..n]));
        file::close(r).unwrap();
        file::close(w).unwrap();
    }
}

#[test]
fn interval_timers() {
    let _turn = turn();
    let status = in_child(|| {
        signal::catch(host::SIGALRM).unwrap();
        let soon = time::Interval { value: Time::from_nanos(5_000_000), ..Default::default() };
        time::setitimer(host::ITIMER_REAL, soon).unwrap();
        assert!(time::getitimer(host::ITIMER_REAL).unwrap().value <= soon.value);
        let result = signal::blocking(|| wait::ppoll(&mut [], None, None));
        assert_eq!(result, Err(Errno::EINTR));
        assert_eq!(signal::take().map(|i| (i.signo, i.code)), Some((host::SIGALRM, 0x80)));
        0
    });
    assert_eq!(status, 0);
}
