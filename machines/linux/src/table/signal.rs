//! Rows: signals.

crate::syscalls! {}
