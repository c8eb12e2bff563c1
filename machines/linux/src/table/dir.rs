//! Rows: directories and names.

crate::syscalls! {}
