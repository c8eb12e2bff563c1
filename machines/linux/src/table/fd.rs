//! Rows: descriptors: dup, fcntl, pipes, locks.

crate::syscalls! {}
