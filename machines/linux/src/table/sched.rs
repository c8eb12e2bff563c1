//! Rows: scheduling parameters, affinity, priorities.

crate::syscalls! {}
