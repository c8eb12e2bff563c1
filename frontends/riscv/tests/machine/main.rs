//! The privileged architecture: programs in M, S and U mode and in guests, on the reference evaluator.

mod csrs;
mod guest;
mod hart;
mod paging;
mod traps;
