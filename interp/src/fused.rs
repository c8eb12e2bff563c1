//! Fused sequences: one handler for the bodies of consecutive words.
//!
//! A row names bodies; its code replaces that of the first word only, so faults and jumps into the middle find every
//! word as it was.  The rows come from profiles of real programs, see [`crate::Engine::sequences`].
//!
//! Dispatches are not what bounds the hot kernels any more: from 300 rows of 4 words to 1600 of 8 they fall by 45 %, the
//! time by 5 to 10 %.

mod list;

use crate::body::Coded;
use crate::body::flow::Fuse;
use crate::dispatch::{Table, code};
use crate::word::Word;

pub(crate) use list::FUSED_COUNT;

/// The body of a sequence.
macro_rules! sequence {
    ($last:ty) => { $last };
    ($first:ty, $($rest:ty),+) => { Fuse<$first, sequence!($($rest),+)> };
}
pub(crate) use sequence;

/// Declares the rows.
macro_rules! fused {
    ($([$($body:ty),+];)*) => {
        /// The codes of each row's words.
        pub(super) const ROWS: &[&[u16]] = &[$(&[$(<$body as Coded>::CODE),+]),*];
        /// Number of rows.
        pub(crate) const FUSED_COUNT: usize = ROWS.len();
        /// Puts the rows' handlers into the table.
        pub(super) const fn fill(t: &mut Table) {
            let mut row = code::FUSED;
            $(
                t.put::<sequence!($($body),+)>(row, "");
                row += 1;
            )*
            let _ = row;
        }
    };
}
pub(crate) use fused;

/// Puts the fused handlers into the table.
pub(crate) const fn fill(t: &mut Table) {
    list::fill(t);
}

/// A step of the trie: in state `from` (0: nothing read yet) the word `code` leads to state `to`, and makes the sequence
/// with code `fused` complete (0: none).
#[derive(Clone, Copy)]
struct Step {
    from: u16,
    code: u16,
    to: u16,
    fused: u16,
}

/// Size of the hash table of steps, a power of two.
const STEPS: usize = {
    let (mut words, mut i) = (0, 0);
    while i < list::ROWS.len() {
        words += list::ROWS[i].len();
        i += 1;
    }
    (words * 2).next_power_of_two()
};

/// The rows as a trie, its steps in a hash table with linear probing; unused entries lead to state 0.
static TRIE: [Step; STEPS] = {
    let mut trie = [Step { from: 0, code: 0, to: 0, fused: 0 }; STEPS];
    let (mut states, mut i) = (0, 0);
    while i < list::ROWS.len() {
        let row = list::ROWS[i];
        let (mut state, mut n) = (0, 0);
        while n < row.len() {
            let at = find(&trie, state, row[n]);
            if trie[at].to == 0 {
                states += 1;
                trie[at] = Step { from: state, code: row[n], to: states, fused: 0 };
            }
            if n + 1 == row.len() {
                trie[at].fused = code::FUSED + i as u16;
            }
            state = trie[at].to;
            n += 1;
        }
        i += 1;
    }
    trie
};

/// The place of a step in the table, or the unused entry where it would be.
const fn find(trie: &[Step; STEPS], from: u16, code: u16) -> usize {
    let mut at = ((from as usize * 0x9e5) ^ code as usize) % STEPS;
    while trie[at].to != 0 && (trie[at].from != from || trie[at].code != code) {
        at = (at + 1) % STEPS;
    }
    at
}

/// The least number of dispatches from a word to the end, the fused code to give it (0: its own), words taken.
pub(crate) type Choice = (u32, u16, u8);

/// Gives first words of sequences their fused codes, so that the fewest dispatches remain.  `literals` says which words
/// are none (ascending).
pub(crate) fn fuse(words: &mut [Word], literals: &[u32], choices: &mut Vec<Choice>) {
    choices.clear();
    choices.resize(words.len() + 1, (0, 0, 1));
    let mut literal = literals.len();
    let mut end = words.len();
    for at in (0..words.len()).rev() {
        if literal > 0 && literals[literal - 1] as usize == at {
            literal -= 1;
            end = at;
            choices[at] = (choices[at + 1].0, 0, 1);
            continue;
        }
        let mut best = (choices[at + 1].0 + 1, 0, 1);
        let mut state = 0;
        for next in at..end {
            let step = &TRIE[find(&TRIE, state, words[next].code())];
            if step.to == 0 {
                break;
            }
            state = step.to;
            if step.fused != 0 && choices[next + 1].0 + 1 < best.0 {
                best = (choices[next + 1].0 + 1, step.fused, (next + 1 - at) as u8);
            }
        }
        choices[at] = best;
    }
    let mut at = 0;
    while at < words.len() {
        let (_, fused, n) = choices[at];
        if fused != 0 {
            words[at] = words[at].with_code(fused);
        }
        at += usize::from(n);
    }
}
