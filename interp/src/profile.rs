//! Which sequences of words run most: the evidence for the list of fused sequences.

use crate::dispatch::TABLE;
use crate::word::Word;
use hashbrown::HashMap;

/// Longest sequence that is counted.
const LONGEST: usize = 5;

/// Counts of runs of consecutive words, by their codes.
#[derive(Default)]
pub(crate) struct Profile {
    counts: HashMap<[u16; LONGEST], u64>,
    recent: Vec<(usize, u16)>,
    words: u64,
}

impl Profile {
    /// A word is about to run.
    pub(crate) fn note(&mut self, pc: *const Word, code: u16) {
        self.words += 1;
        let at = pc as usize;
        if self.recent.last().is_some_and(|(last, _)| last + size_of::<Word>() != at) {
            self.recent.clear();
        }
        if self.recent.len() == LONGEST {
            self.recent.remove(0);
        }
        self.recent.push((at, code));
        for n in 2..=self.recent.len() {
            let mut key = [u16::MAX; LONGEST];
            for (to, (_, code)) in key.iter_mut().zip(&self.recent[self.recent.len() - n..]) {
                *to = *code;
            }
            *self.counts.entry(key).or_default() += 1;
        }
    }

    /// Words run, and sequences with their counts.
    pub(crate) fn report(&self) -> (u64, Vec<(Vec<&'static str>, u64)>) {
        let name = |codes: &[u16; LONGEST]| {
            codes.iter().filter(|c| **c != u16::MAX).map(|c| TABLE.names[usize::from(*c)]).collect()
        };
        (self.words, self.counts.iter().map(|(codes, n)| (name(codes), *n)).collect())
    }
}
