//! The code of irregular system calls, one file per chapter.

pub mod file;
pub mod info;
pub mod mem;
