//! Rows: ioctl.

crate::syscalls! {}
