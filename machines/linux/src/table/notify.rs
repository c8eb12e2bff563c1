//! Rows: inotify, eventfd, timerfd, signalfd.

crate::syscalls! {}
