//! File notification.

use crate::abi::Errno;
use crate::abi::flags::Open;
use crate::abi::io_flags::{Inotify, InotifyInit};
use crate::args::{Fd, Flags, Int, Path};
use crate::cx::{Cx, SysResult};
use crate::paths::Last;
use tern_host::sys;
use tern_host::sys::host;

/// `inotify_init1(2)`.  What is read from the descriptor is the host's, which only differs in byte order.
pub fn inotify_init1(cx: &mut Cx<'_>, flags: Flags<InotifyInit>) -> SysResult {
    if flags.0 & !(Open::O_NONBLOCK | Open::O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL.into());
    }
    if (cx.abi().endian == tern_core::mem::Endian::Big) != cfg!(target_endian = "big") {
        cx.unimplemented(format_args!("inotify_init1 for a guest of the other byte order"));
        return Err(Errno::ENOSYS.into());
    }
    let cloexec = if flags.0 & Open::O_CLOEXEC != 0 { host::IN_CLOEXEC } else { 0 };
    let nonblock = if flags.0 & Open::O_NONBLOCK != 0 { host::IN_NONBLOCK } else { 0 };
    Ok(sys::file::inotify_init1(cloexec | nonblock)? as u64)
}

/// `inotify_add_watch(2)`; the mask is the same on every architecture.
pub fn inotify_add_watch(cx: &mut Cx<'_>, fd: Fd, path: Path, mask: Flags<Inotify>) -> SysResult {
    let last = if mask.0 & Inotify::IN_DONT_FOLLOW != 0 { Last::Keep } else { Last::Follow };
    let path = cx.process.paths.lookup(&path.0, last);
    Ok(sys::file::inotify_add_watch(fd.0, &path, mask.0 as u32)? as u64)
}

/// `inotify_rm_watch(2)`.
pub fn inotify_rm_watch(_cx: &mut Cx<'_>, fd: Fd, watch: Int) -> SysResult {
    sys::file::inotify_rm_watch(fd.0, watch.0)?;
    Ok(0)
}
