//! What is counted on request: words that run, and the sequences of them that run most.

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
    /// Words, none of them fused, and the sequences of consecutive ones: the evidence for the list of fused sequences.
    Sequences,
}

/// Longest sequence that is counted.
const LONGEST: usize = 5;

/// The counts.
#[derive(Default)]
pub(crate) struct Profile {
    sequences: bool,
    /// Of runs of consecutive words, by their codes.
    counts: HashMap<[u16; LONGEST], u64>,
    recent: Vec<(usize, u16)>,
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
            self.note_sequences(pc, code);
        }
    }

    fn note_sequences(&mut self, pc: *const Word, code: u16) {
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

    /// Words run, or dispatches.
    pub(crate) fn words(&self) -> u64 {
        self.words
    }

    /// Sequences with their counts.
    pub(crate) fn sequences(&self) -> Vec<(Vec<&'static str>, u64)> {
        let name = |codes: &[u16; LONGEST]| {
            codes.iter().filter(|c| **c != u16::MAX).map(|c| TABLE.names[usize::from(*c)]).collect()
        };
        self.counts.iter().map(|(codes, n)| (name(codes), *n)).collect()
    }
}
