//! `vfork` and `CLONE_VM | CLONE_VFORK`: the parent's thread waits until the child has executed a program or ended, and
//! what the child wrote to their common memory arrives in the parent.
//!
//! The child is a fork of the host, so it has a copy.  Its memory notes each page before it is first written
//! ([`crate::mm::Space::track_writes`]); before the child executes a program, and when it ends, the bytes that have changed
//! go to the parent through a pipe, whose end of file also says that the child is gone.  This is how `posix_spawn` learns
//! why it failed.  Mappings that the child makes or removes stay its own.

use crate::abi::Errno;
use crate::mm::map::hide;
use crate::mm::vma::HiddenFd;
use crate::process::Process;
use crate::thread::Tid;
use tern_host::sys;

/// The child's side.
#[derive(Debug)]
pub struct Child {
    pipe: HiddenFd,
}

/// The parent's side.
#[derive(Debug)]
pub struct Parent {
    /// The child.
    pub pid: Tid,
    pipe: HiddenFd,
    received: Vec<u8>,
}

/// Bytes of a record before its data: address and length, little-endian.
const RECORD: usize = 12;

/// A pipe between parent and child, both ends out of the guest's way.
///
/// # Errors
/// Those of `pipe2`.
pub fn pipe() -> Result<(HiddenFd, HiddenFd), Errno> {
    let (read, write) = sys::file::pipe2(sys::host::O_CLOEXEC)?;
    let (read, write) = (HiddenFd(read), HiddenFd(write));
    let hidden = (hide(read.0)?, hide(write.0)?);
    sys::file::fcntl(hidden.0.0, sys::host::F_SETFL, sys::host::O_NONBLOCK)?;
    Ok(hidden)
}

impl Child {
    /// From its end of the pipe.
    #[must_use]
    pub fn new(pipe: HiddenFd) -> Child {
        Child { pipe }
    }

    /// The descriptor, which the guest must not close.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.pipe.0
    }
}

/// In the child: sends what has changed in the common memory since the last time.
pub fn report(process: &mut Process) {
    let Some(child) = &process.vfork else { return };
    let mut bytes = Vec::new();
    for (addr, data) in process.mem.written() {
        bytes.extend(addr.to_le_bytes());
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        match tern_host::signal::with_blocked(|_| sys::file::write(child.pipe.0, rest)) {
            Ok(n) => rest = &rest[n..],
            Err(sys::Errno::EINTR) => {}
            // The parent is gone.
            Err(_) => return,
        }
    }
}

impl Parent {
    /// From its end of the pipe.
    #[must_use]
    pub fn new(pid: Tid, pipe: HiddenFd) -> Parent {
        Parent { pid, pipe, received: Vec::new() }
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.pipe.0
    }

    /// Reads what is there; `true` when the child has executed a program or ended.
    pub fn receive(&mut self) -> bool {
        let mut buf = [0; 4096];
        loop {
            match sys::file::read(self.pipe.0, &mut buf) {
                Ok(0) => return true,
                Ok(n) => self.received.extend_from_slice(&buf[..n]),
                Err(sys::Errno::EINTR) => {}
                Err(sys::Errno::EAGAIN) => return false,
                Err(_) => return true,
            }
        }
    }

    /// Does to memory what the child did.
    pub fn apply(&self, process: &mut Process) {
        let mut rest = &self.received[..];
        while let Some((head, tail)) = rest.split_at_checked(RECORD) {
            let (addr, len) = head.split_at(8);
            let addr = addr.iter().rev().fold(0, |acc, b| acc << 8 | u64::from(*b));
            let len = len.iter().rev().fold(0, |acc, b| acc << 8 | usize::from(*b));
            let Some((data, tail)) = tail.split_at_checked(len) else { return };
            // Another thread may have unmapped it meanwhile.
            let _ = process.mem.put_bytes(addr, data);
            rest = tail;
        }
    }
}
