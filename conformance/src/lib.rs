//! tern-conformance: suites that every tier runs, and the test of the house rules.
//!
//! * [`case`](mod@case): files of IR tests (`conformance/ir/*.ir`); [`tier`]: what runs them; [`run`]: runs and compares.
//! * [`expect`]: the lists of known failures.
//! * [`house`]: the rules of DESIGN section 3 and of the style, checked over the workspace.
//!
//! **To add an IR test**, add a block and its expectations to a file in `conformance/ir`; the format is at the head of
//! [`case`](mod@case).
//!
//! **To add a tier**, implement [`tier::Tier`] and add it to [`tier::all`]; files that say `run: all` run it from then on.
//!
//! **Known failures** are lines of `conformance/expect/<suite>.txt`: tier, case, and the reason.  A listed case must fail:
//! if it passes, the line has to go, and the run says so by failing; so does a line that names no case or no tier.
#![forbid(unsafe_code)]

pub mod case;
pub mod expect;
pub mod house;
pub mod run;
pub mod tier;

use std::path::PathBuf;

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}
