//! What is counted on request: words that run, and the runs of consecutive ones.

use crate::dispatch::TABLE;
use crate::word::Word;
use hashbrown::HashMap;

/// What an engine counts as it runs.  The loop dispatches then, slower.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Count {
    /// Nothing.
    #[default]
    Nothing,
    /// Dispatches: words, those that a fused sequence covers as one.
    Dispatches,
    /// Words, none of them fused.
    Words,
    /// Words, none of them fused, and the runs of consecutive ones: the evidence for the list of fused sequences.
    Sequences,
}

/// Longest run that is counted as one.
const LONGEST: usize = 32;

/// The counts.
#[derive(Default)]
pub(crate) struct Profile {
    sequences: bool,
    /// How often each run of consecutive words went to its end, by their codes.
    counts: HashMap<Box<[u16]>, u64>,
    /// The run that goes on, and the place after it.
    run: Vec<u16>,
    next: usize,
    words: u64,
}

impl Profile {
    /// Counts of zero; `None`: nothing is to be counted.
    pub(crate) fn new(count: Count) -> Option<Box<Profile>> {
        let sequences = count == Count::Sequences;
        (count != Count::Nothing).then(|| Box::new(Profile { sequences, ..Profile::default() }))
    }

    /// A word is about to run.
    pub(crate) fn note(&mut self, pc: *const Word, code: u16) {
        self.words += 1;
        if self.sequences {
            let at = pc as usize;
            if self.next != at || self.run.len() == LONGEST {
                *self.counts.entry_ref(&self.run[..]).or_default() += 1;
                self.run.clear();
            }
            self.run.push(code);
            self.next = at + size_of::<Word>();
        }
    }

    /// Words run, or dispatches.
    pub(crate) fn words(&self) -> u64 {
        self.words
    }

    /// Runs with their counts, but for the last one.
    pub(crate) fn sequences(&self) -> Vec<(Vec<&'static str>, u64)> {
        let name = |codes: &[u16]| codes.iter().map(|c| TABLE.names[usize::from(*c)]).collect();
        self.counts.iter().map(|(codes, n)| (name(codes), *n)).collect()
    }
}
