//! Rows: moving and keeping file data: sendfile, splice, copy_file_range, fallocate, sync, fadvise, memfd.

crate::syscalls! {}
