//! Extended attributes.

use super::{Fd, syscalls};
use core::ffi::CStr;

syscalls! {
    /// `setxattr(2)`.
    pub fn setxattr(path: &CStr, name: &CStr, value: &[u8], flags: i32) -> () = libc::SYS_setxattr;
    /// `lsetxattr(2)`.
    pub fn lsetxattr(path: &CStr, name: &CStr, value: &[u8], flags: i32) -> () = libc::SYS_lsetxattr;
    /// `fsetxattr(2)`.
    pub fn fsetxattr(fd: Fd, name: &CStr, value: &[u8], flags: i32) -> () = libc::SYS_fsetxattr;
    /// `getxattr(2)`: the length; an empty buffer only asks for it.
    pub fn getxattr(path: &CStr, name: &CStr, value: &mut [u8]) -> usize = libc::SYS_getxattr;
    /// `lgetxattr(2)`.
    pub fn lgetxattr(path: &CStr, name: &CStr, value: &mut [u8]) -> usize = libc::SYS_lgetxattr;
    /// `fgetxattr(2)`.
    pub fn fgetxattr(fd: Fd, name: &CStr, value: &mut [u8]) -> usize = libc::SYS_fgetxattr;
    /// `listxattr(2)`: NUL-terminated names; an empty buffer only asks for the length.
    pub fn listxattr(path: &CStr, names: &mut [u8]) -> usize = libc::SYS_listxattr;
    /// `llistxattr(2)`.
    pub fn llistxattr(path: &CStr, names: &mut [u8]) -> usize = libc::SYS_llistxattr;
    /// `flistxattr(2)`.
    pub fn flistxattr(fd: Fd, names: &mut [u8]) -> usize = libc::SYS_flistxattr;
    /// `removexattr(2)`.
    pub fn removexattr(path: &CStr, name: &CStr) -> () = libc::SYS_removexattr;
    /// `lremovexattr(2)`.
    pub fn lremovexattr(path: &CStr, name: &CStr) -> () = libc::SYS_lremovexattr;
    /// `fremovexattr(2)`.
    pub fn fremovexattr(fd: Fd, name: &CStr) -> () = libc::SYS_fremovexattr;
}
