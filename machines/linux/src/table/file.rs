//! Rows: descriptors, files, directories.

use crate::args::{Fd, Num};
use crate::sys;

crate::syscalls! {
    close(fd: Fd) -> Num = sys::file::close;
}
