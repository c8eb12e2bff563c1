//! The code of irregular system calls, one file per chapter.

pub mod control;
pub mod cred;
pub mod dir;
pub mod fd;
pub mod file;
pub mod futex;
pub mod hwprobe;
pub mod info;
pub mod io;
pub mod mem;
pub mod message;
pub mod mount;
pub mod notify;
pub mod poll;
pub mod prctl;
pub mod process;
pub mod rw;
pub mod sched;
pub mod signal;
pub mod signalfd;
pub mod sockaddr;
pub mod socket;
#[cfg(test)]
mod socket_tests;
pub mod sockopt;
pub mod thread;
pub mod time;
pub mod timer;
pub mod tty;
pub mod vector;
pub mod wait;
pub mod xattr;

use crate::cx::Cx;
use crate::paths::Last;
use std::ffi::{CStr, CString};

/// The host path that a look-up of `path` relative to `dir` ends at: `/proc/self/exe` is the guest's program, absolute
/// paths are looked up in the sysroot first.
pub fn locate(cx: &Cx<'_>, dir: i32, path: &CStr, last: Last) -> CString {
    if last == Last::Follow
        && let Some(crate::procfs::View::Exe) = crate::procfs::view(cx.process, dir, path)
    {
        return CString::new(cx.process.image.exe.as_slice()).unwrap_or_default();
    }
    cx.process.paths.lookup(path, last)
}
