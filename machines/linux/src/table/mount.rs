//! Rows: mounts.

use crate::abi::io_flags::{Mount, Umount};
use crate::args::{Flags, Num, Path, PathOpt, Ptr};
use crate::sys;

crate::syscalls! {
    mount(source: PathOpt, target: Path, kind: PathOpt, flags: Flags<Mount>, data: Ptr) -> Num = sys::mount::mount;
    umount2(target: Path, flags: Flags<Umount>) -> Num = sys::mount::umount2;
    pivot_root(new: Path, put_old: Path) -> Num = sys::mount::pivot_root;
}
