//! Waiting for what a machine is fed by: readable descriptors, a time limit, a wake-up from elsewhere.
//!
//! On Linux it is `ppoll(2)` and an eventfd. Elsewhere descriptors cannot be watched: other systems with threads sleep
//! until the time limit or a wake-up, and where nothing can sleep (a browser) a wait returns at once.

use std::io;

#[cfg(target_os = "linux")]
pub use linux::{Poller, Waker};
#[cfg(not(target_os = "linux"))]
pub use portable::{Poller, Waker};

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest {
    /// Something can be read, or accepted.
    pub read: bool,
    /// Something can be written.
    pub write: bool,
}

impl Interest {
    /// Reading only.
    pub const READ: Interest = Interest { read: true, write: false };
    /// Both.
    pub const BOTH: Interest = Interest { read: true, write: true };
}

/// A descriptor that is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// What its owner called it.
    pub token: u64,
    /// Something can be read; at the end of a stream, its end.
    pub read: bool,
    /// Something can be written.
    pub write: bool,
    /// The other side is gone, or the descriptor is none.
    pub closed: bool,
}

/// Why a wait came to its end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wake {
    /// Descriptors that are ready.
    pub ready: Vec<Ready>,
    /// Somebody called [`Waker::wake`], or a signal was caught.
    pub woken: bool,
    /// A caught signal waits for `signal::take`.
    pub signal: bool,
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Interest, Ready, Wake, io};
    use crate::signal;
    use crate::sys::wait::{PollFd, ppoll};
    use crate::sys::{Errno, Fd, Time, file, host};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// What caught signals write to as well, as long as it is open.
    #[derive(Debug)]
    struct Eventfd(file::Owned);

    impl Drop for Eventfd {
        fn drop(&mut self) {
            signal::wake_no_more(self.0.0);
        }
    }

    /// Ends a wait, from any thread.  Caught signals end it too.
    #[derive(Clone, Debug)]
    pub struct Waker(Arc<Eventfd>);

    impl Waker {
        /// Ends the wait that is going on, or the next one.
        pub fn wake(&self) {
            // A full counter (`EAGAIN`) wakes too.
            let _ = file::write(self.0.0.0, &signal::WAKE_WORD);
        }
    }

    /// A set of descriptors to wait for.
    #[derive(Debug)]
    pub struct Poller {
        watched: BTreeMap<u64, (Fd, Interest)>,
        waker: Waker,
    }

    impl Poller {
        /// An empty set.
        ///
        /// # Errors
        /// No descriptor is left.
        pub fn new() -> io::Result<Poller> {
            let fd = file::eventfd2(0, host::EFD_CLOEXEC | host::EFD_NONBLOCK)?;
            signal::wake_by(fd);
            Ok(Poller { watched: BTreeMap::new(), waker: Waker(Arc::new(Eventfd(file::Owned(fd)))) })
        }

        /// What ends a wait.
        #[must_use]
        pub fn waker(&self) -> Waker {
            self.waker.clone()
        }

        /// Watches a descriptor, under a name of the caller's; an older one of this name is forgotten.
        pub fn watch(&mut self, token: u64, fd: Fd, interest: Interest) {
            self.watched.insert(token, (fd, interest));
        }

        /// Forgets a descriptor.
        pub fn forget(&mut self, token: u64) {
            self.watched.remove(&token);
        }

        /// Waits until something is ready, at most `timeout` nanoseconds (zero: looks only; `None`: without limit).
        ///
        /// # Errors
        /// The kernel has no memory, or no timer, left.
        pub fn wait(&mut self, timeout: Option<u64>) -> io::Result<Wake> {
            let waker = self.waker.0.0.0;
            let mut fds = vec![PollFd { fd: waker, events: host::POLLIN, revents: 0 }];
            fds.extend(self.watched.values().map(|(fd, interest)| {
                let read = if interest.read { host::POLLIN } else { 0 };
                let write = if interest.write { host::POLLOUT } else { 0 };
                PollFd { fd: *fd, events: read | write, revents: 0 }
            }));
            let limit = timeout.map(|ns| Time::from_nanos(ns.min(i64::MAX as u64).cast_signed()));
            // A signal that comes before the call leaves its mark in the eventfd, one before the poller in the queue.
            let limit = if signal::pending() { Some(Time::default()) } else { limit };
            let count = ppoll(&mut fds, limit, None);
            let mut wake = Wake { signal: signal::pending(), ..Wake::default() };
            match count {
                Ok(0) | Err(Errno::EINTR) => return Ok(wake),
                Ok(_) => {}
                Err(e) => return Err(e.into()),
            }
            if fds[0].revents != 0 {
                let _ = file::read(waker, &mut [0; 8]);
                wake.woken = true;
            }
            for (token, fd) in self.watched.keys().zip(&fds[1..]).filter(|(_, fd)| fd.revents != 0) {
                let closed = fd.revents & (host::POLLHUP | host::POLLERR | host::POLLNVAL) != 0;
                let (read, write) = (fd.revents & host::POLLIN != 0, fd.revents & host::POLLOUT != 0);
                wake.ready.push(Ready { token: *token, read, write, closed });
            }
            Ok(wake)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use super::{Interest, Wake, io};
    use std::sync::{Arc, Condvar, Mutex, PoisonError};

    /// Ends a wait, from any thread.
    #[derive(Clone, Debug, Default)]
    pub struct Waker(Arc<(Mutex<bool>, Condvar)>);

    impl Waker {
        /// Ends the wait that is going on, or the next one.
        pub fn wake(&self) {
            *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.0.1.notify_all();
        }
    }

    /// A time limit and a wake-up.
    #[derive(Debug, Default)]
    pub struct Poller {
        waker: Waker,
    }

    impl Poller {
        /// An empty set.
        ///
        /// # Errors
        /// None.
        pub fn new() -> io::Result<Poller> {
            Ok(Poller::default())
        }

        /// What ends a wait.
        #[must_use]
        pub fn waker(&self) -> Waker {
            self.waker.clone()
        }

        /// Descriptors cannot be watched here: who has one asks it after each wait.
        pub fn watch(&mut self, _: u64, _: i32, _: Interest) {}

        /// See [`Poller::watch`].
        pub fn forget(&mut self, _: u64) {}

        /// Waits for a wake-up, at most `timeout` nanoseconds, and at most 10 ms, since descriptors are not watched.
        ///
        /// # Errors
        /// None.
        pub fn wait(&mut self, timeout: Option<u64>) -> io::Result<Wake> {
            let mut woken = self.waker.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !*woken && timeout != Some(0) && !cfg!(target_family = "wasm") {
                let span = core::time::Duration::from_nanos(timeout.unwrap_or(u64::MAX).min(10_000_000));
                woken = self.waker.0.1.wait_timeout(woken, span).unwrap_or_else(PoisonError::into_inner).0;
            }
            Ok(Wake { woken: core::mem::take(&mut *woken), ..Wake::default() })
        }
    }
}
