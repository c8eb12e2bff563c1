//! Rows: fork, exec, wait, exit, credentials, sessions.

crate::syscalls! {}
