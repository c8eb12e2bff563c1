//! Checks over whole tables, for the tests of each frontend.

use crate::shape::Shape;
use crate::table::{Family, Group};
use alloc::vec::Vec;

/// The pairs of rows that claim a common word though neither is more specific, by group and identifier. Empty for a
/// sound table. Groups that are never enabled together must be checked apart.
#[must_use]
pub fn ambiguous<F: Family>(groups: &[&'static Group<F>]) -> Vec<(&'static Shape, &'static Shape)> {
    let shapes: Vec<&'static Shape> = groups.iter().flat_map(|g| g.rows).map(|r| r.shape()).collect();
    let mut pairs = Vec::new();
    for (i, &a) in shapes.iter().enumerate() {
        pairs.extend(shapes[..i].iter().filter(|b| a.ambiguous(b)).map(|&b| (b, a)));
    }
    pairs
}
