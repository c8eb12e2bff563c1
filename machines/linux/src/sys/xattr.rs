//! Extended attributes.

use crate::abi::Errno;
use crate::abi::io_flags::Xattr;
use crate::args::{Data, Fd, Flags, OutBuf, Path, Size};
use crate::cx::{Cx, SysResult};
use crate::paths::Last;
use std::ffi::CStr;
use tern_host::sys;
use tern_host::sys::xattr as host;

/// The longest value and the longest list of names (linux/limits.h).
const VALUE_MAX: u64 = 65536;

/// The value to set.
fn value(cx: &mut Cx<'_>, at: u64, len: u64) -> Result<Vec<u8>, Errno> {
    if len > VALUE_MAX {
        return Err(Errno::E2BIG);
    }
    cx.bytes(at, len)
}

/// Names have 1 to 255 bytes.
fn name(path: &Path) -> Result<&CStr, Errno> {
    if (1..=255).contains(&path.0.count_bytes()) { Ok(&path.0) } else { Err(Errno::ERANGE) }
}

/// Fills the guest's buffer by a call that takes one; no room only asks for the length.
fn fill(cx: &mut Cx<'_>, at: u64, room: u64, call: impl FnOnce(&mut [u8]) -> Result<usize, sys::Errno>) -> SysResult {
    let mut buf = vec![0; room.min(VALUE_MAX) as usize];
    let n = call(&mut buf)?;
    if room > 0 {
        let bytes = buf.get(..n).ok_or(Errno::ERANGE)?;
        cx.put_bytes(at, bytes)?;
    }
    Ok(n as u64)
}

macro_rules! by_path {
    ($($set:ident $get:ident $list:ident $remove:ident = $last:expr;)*) => {$(
        #[doc = concat!("`", stringify!($set), "(2)`; the flags are the same on every architecture.")]
        pub fn $set(cx: &mut Cx<'_>, path: Path, key: Path, data: Data, len: Size, flags: Flags<Xattr>) -> SysResult {
            let value = value(cx, data.0, len.0)?;
            let path = cx.process.paths.lookup(&path.0, $last);
            host::$set(&path, name(&key)?, &value, flags.0 as i32)?;
            Ok(0)
        }

        #[doc = concat!("`", stringify!($get), "(2)`.")]
        pub fn $get(cx: &mut Cx<'_>, path: Path, key: Path, data: OutBuf, len: Size) -> SysResult {
            let path = cx.process.paths.lookup(&path.0, $last);
            let key = name(&key)?;
            fill(cx, data.0, len.0, |buf| host::$get(&path, key, buf))
        }

        #[doc = concat!("`", stringify!($list), "(2)`.")]
        pub fn $list(cx: &mut Cx<'_>, path: Path, list: OutBuf, len: Size) -> SysResult {
            let path = cx.process.paths.lookup(&path.0, $last);
            fill(cx, list.0, len.0, |buf| host::$list(&path, buf))
        }

        #[doc = concat!("`", stringify!($remove), "(2)`.")]
        pub fn $remove(cx: &mut Cx<'_>, path: Path, key: Path) -> SysResult {
            let path = cx.process.paths.lookup(&path.0, $last);
            host::$remove(&path, name(&key)?)?;
            Ok(0)
        }
    )*};
}

by_path! {
    setxattr getxattr listxattr removexattr = Last::Follow;
    lsetxattr lgetxattr llistxattr lremovexattr = Last::Keep;
}

/// `fsetxattr(2)`.
pub fn fsetxattr(cx: &mut Cx<'_>, fd: Fd, key: Path, data: Data, len: Size, flags: Flags<Xattr>) -> SysResult {
    let value = value(cx, data.0, len.0)?;
    host::fsetxattr(fd.0, name(&key)?, &value, flags.0 as i32)?;
    Ok(0)
}

/// `fgetxattr(2)`.
pub fn fgetxattr(cx: &mut Cx<'_>, fd: Fd, key: Path, data: OutBuf, len: Size) -> SysResult {
    let key = name(&key)?;
    fill(cx, data.0, len.0, |buf| host::fgetxattr(fd.0, key, buf))
}

/// `flistxattr(2)`.
pub fn flistxattr(cx: &mut Cx<'_>, fd: Fd, list: OutBuf, len: Size) -> SysResult {
    fill(cx, list.0, len.0, |buf| host::flistxattr(fd.0, buf))
}

/// `fremovexattr(2)`.
pub fn fremovexattr(_cx: &mut Cx<'_>, fd: Fd, key: Path) -> SysResult {
    host::fremovexattr(fd.0, name(&key)?)?;
    Ok(0)
}
