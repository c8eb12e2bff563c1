//! Rows: file notification.

use crate::abi::io_flags::{Inotify, InotifyInit};
use crate::args::{Fd, Flags, Int, Num, Path};
use crate::sys;

crate::syscalls! {
    inotify_init1(flags: Flags<InotifyInit>) -> Num = sys::notify::inotify_init1;
    inotify_add_watch(fd: Fd, path: Path, mask: Flags<Inotify>) -> Num = sys::notify::inotify_add_watch;
    inotify_rm_watch(fd: Fd, watch: Int) -> Num = sys::notify::inotify_rm_watch;
}
