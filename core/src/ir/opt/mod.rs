//! Passes over a finished block.  Each is linear; the verifier runs between them in debug builds.
//!
//! Constants, copies, address sums and algebraic identities are folded by the builder already.

mod dead;
mod idiom;

use super::Block;
use super::verify::verify;

/// Runs all passes.
///
/// # Panics
/// In debug builds, if a pass or the builder of the block broke an invariant of [`verify`].
pub fn run(block: &mut Block<'_>) {
    check(block, "the builder");
    let uses = dead::code(block);
    check(block, "dead code");
    idiom::run(block, &uses);
    check(block, "idioms");
}

fn check(block: &Block<'_>, after: &str) {
    if cfg!(debug_assertions)
        && let Err(error) = verify(block, None)
    {
        panic!("after {after}: {error}\n{block}");
    }
}
