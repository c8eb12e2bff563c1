//! Fused sequences: one handler for the bodies of consecutive words.
//!
//! A row names bodies; its code replaces that of the first word only, so faults and jumps into the middle find every
//! word as it was.  The list comes from profiles of real programs (`tern run --log fuse`), most frequent first.

use crate::body::flow::Fuse;
use crate::dispatch::{Table, code};

/// Number of fused sequences.
pub(crate) const FUSED_COUNT: usize = 0;

/// Puts the fused handlers into the table.
pub(crate) const fn fill(_t: &mut Table) {}
