//! What guest and kernel agree on: data layout, errno numbers, structs, names of constants.

pub mod errno;
pub mod flags;
pub mod io_flags;
pub mod io_structs;
pub mod process_flags;
pub mod process_structs;
pub mod structs;
mod types;

pub use errno::Errno;
pub use types::{Abi, Arr, Cursor, Field, GuestPtr, Long, ULong, Word};
