//! Rows: futexes.

crate::syscalls! {}
