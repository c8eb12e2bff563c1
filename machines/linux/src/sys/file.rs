//! Open files: open, close, read, write, positions, status, fcntl.

use crate::args::Fd;
use crate::cx::{Cx, SysResult};
use tern_host::sys;

/// `close(2)`.
pub fn close(_cx: &mut Cx<'_>, fd: Fd) -> SysResult {
    sys::file::close(fd.0)?;
    Ok(0)
}
