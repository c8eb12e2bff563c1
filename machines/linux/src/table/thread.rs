//! Rows: threads: clone, exit, tids, robust lists, rseq, membarrier.

crate::syscalls! {}
