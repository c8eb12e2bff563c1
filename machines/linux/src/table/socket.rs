//! Rows: sockets.

crate::syscalls! {}
