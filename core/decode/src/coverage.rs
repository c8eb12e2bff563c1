//! Counters of which rows were decoded and translated. Owned by whoever counts.

use crate::decoder::Decoder;
use crate::shape::Shape;
use crate::table::Family;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Counts per row of one [`Decoder`], by the index of [`Decoder::decode_indexed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    decoded: Vec<u64>,
    translated: Vec<u64>,
}

impl Coverage {
    /// Counters at zero for the decoder's rows.
    #[must_use]
    pub fn new<F: Family>(decoder: &Decoder<F>) -> Coverage {
        let zeros = vec![0; decoder.rows().len()];
        Coverage { decoded: zeros.clone(), translated: zeros }
    }

    /// Counts a decoding of row `index`; indices of another decoder are ignored.
    pub fn count_decoded(&mut self, index: usize) {
        if let Some(count) = self.decoded.get_mut(index) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts a translation of row `index`; indices of another decoder are ignored.
    pub fn count_translated(&mut self, index: usize) {
        if let Some(count) = self.translated.get_mut(index) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds the counts of another run with the same decoder.
    pub fn merge(&mut self, other: &Coverage) {
        for (mine, theirs) in [(&mut self.decoded, &other.decoded), (&mut self.translated, &other.translated)] {
            mine.iter_mut().zip(theirs).for_each(|(m, t)| *m = m.saturating_add(*t));
        }
    }

    /// The counts with the rows they belong to.
    #[must_use]
    pub fn report<F: Family>(&self, decoder: &Decoder<F>) -> CoverageReport {
        let counts = self.decoded.iter().zip(&self.translated);
        let rows = decoder.rows().iter().zip(counts).map(|(row, (&decoded, &translated))| RowCoverage {
            shape: row.shape(),
            decoded,
            translated,
        });
        CoverageReport { rows: rows.collect() }
    }
}

/// The counts of one row.
#[derive(Clone, Copy, Debug)]
pub struct RowCoverage {
    /// The row.
    pub shape: &'static Shape,
    /// How often a word was decoded as this row.
    pub decoded: u64,
    /// How often its body ran.
    pub translated: u64,
}

/// Coverage of a whole table; prints as one line per group, with the rows that were not reached.
#[derive(Clone, Debug)]
pub struct CoverageReport {
    /// All rows in table order.
    pub rows: Vec<RowCoverage>,
}

impl CoverageReport {
    /// The rows that were never translated.
    pub fn missed(&self) -> impl Iterator<Item = &RowCoverage> {
        self.rows.iter().filter(|r| r.translated == 0)
    }
}

impl fmt::Display for CoverageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.rows.chunk_by(|a, b| a.shape.group() == b.shape.group()) {
            let [first, ..] = group else { continue };
            let reached = group.iter().filter(|r| r.translated > 0).count();
            write!(f, "{}: {reached} of {}", first.shape.group(), group.len())?;
            let mut sign = ", not reached: ";
            for row in group.iter().filter(|r| r.translated == 0) {
                write!(f, "{sign}{}", row.shape.id())?;
                sign = " ";
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
