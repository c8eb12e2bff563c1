//! Registers that only keep what is written: thresholds, timers of the wire, lights, wake-up and management, which mean
//! nothing where there is no wire.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One such register, or several in a row: its offset, the bits that can be written, and its value after reset.
pub(super) struct Row {
    pub(super) offset: u32,
    pub(super) mask: u32,
    pub(super) reset: u32,
}

/// What they hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Kept(BTreeMap<u32, u32>);

impl Kept {
    /// As after reset.
    pub(super) fn new(rows: &[Row]) -> Kept {
        Kept(rows.iter().map(|row| (row.offset, row.reset)).collect())
    }

    /// The register at `offset`; 0 if there is none.
    pub(super) fn get(&self, offset: u32) -> u32 {
        self.0.get(&offset).copied().unwrap_or(0)
    }

    /// Writes the bits in `mask`.
    pub(super) fn set(&mut self, offset: u32, value: u32, mask: u32) {
        if let Some(word) = self.0.get_mut(&offset) {
            *word = *word & !mask | value & mask;
        }
    }

    /// Can it be so?
    pub(super) fn fits(&self, rows: &[Row]) -> bool {
        let fixed = |row: &Row| self.0.get(&row.offset).is_some_and(|word| (word ^ row.reset) & !row.mask == 0);
        self.0.len() == rows.len() && rows.iter().all(fixed)
    }
}

/// Declares a set of such registers: offset, name, bits that can be written, value after reset, section.
macro_rules! kept {
    ($(#[$doc:meta])* $set:ident, $list:ident, $name:literal;
        $($offset:literal $reg:ident mask $mask:literal reset $reset:literal, $section:literal;)*) => {
        tern_core::registers! {
            $(#[$doc])*
            pub(in super::super) static $set: $crate::network::intel::kept::Kept, $name, sizes [4];
            $($offset $reg 4 rw reset $reset, $section, read |d, _| u64::from(d.get($offset)),
                write |d, _, v| d.set($offset, v as u32, $mask);)*
        }
        /// The same, for reset and restoring.
        pub(in super::super) static $list: &[$crate::network::intel::kept::Row] =
            &[$($crate::network::intel::kept::Row { offset: $offset, mask: $mask, reset: $reset }),*];
    };
}
pub(in super::super) use kept;
