//! Rows: clocks, sleeping, interval and POSIX timers.

crate::syscalls! {}
