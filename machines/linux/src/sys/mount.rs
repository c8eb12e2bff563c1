//! Mounts: tern does not change the host's.

use crate::abi::Errno;
use crate::abi::io_flags::{Mount, Umount};
use crate::args::{Flags, Path, PathOpt, Ptr};
use crate::cx::{Cx, SysResult};

/// `mount(2)`.
pub fn mount(cx: &mut Cx<'_>, _: PathOpt, _: Path, _: PathOpt, _: Flags<Mount>, _: Ptr) -> SysResult {
    cx.unimplemented(format_args!("mount"));
    Err(Errno::EPERM.into())
}

/// `umount2(2)`.
pub fn umount2(cx: &mut Cx<'_>, _: Path, _: Flags<Umount>) -> SysResult {
    cx.unimplemented(format_args!("umount2"));
    Err(Errno::EPERM.into())
}

/// `pivot_root(2)`.
pub fn pivot_root(cx: &mut Cx<'_>, _: Path, _: Path) -> SysResult {
    cx.unimplemented(format_args!("pivot_root"));
    Err(Errno::EPERM.into())
}
