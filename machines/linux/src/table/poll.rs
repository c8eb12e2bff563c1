//! Rows: poll, select, epoll.

crate::syscalls! {}
