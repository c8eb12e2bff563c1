//! Passes over a finished block.  Each is linear; the verifier runs between them in debug builds.
//!
//! Constants, copies, address sums and algebraic identities are folded by the builder already.

mod dead;

use super::Block;

/// Runs all passes.
pub fn run(block: &mut Block<'_>) {
    dead::stores(block);
    dead::values(block);
}
