//! Rows: System V shared memory, semaphores, message queues; POSIX message queues.

crate::syscalls! {}
