//! Rows: extended attributes.

crate::syscalls! {}
