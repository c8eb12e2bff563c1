//! Fused sequences: one handler for the bodies of consecutive words.
//!
//! A row names bodies; its code replaces that of the first word only, so faults and jumps into the middle find every
//! word as it was.  The rows come from profiles of real programs, see [`crate::Engine::sequences`].

mod list;

use crate::body::Coded;
use crate::body::flow::Fuse;
use crate::dispatch::{Table, code};
use crate::word::Word;
use hashbrown::HashMap;
use std::sync::LazyLock;

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
                t.put::<sequence!($($body),+)>(row, concat!($(stringify!($body), " + "),+));
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

/// The rows as a trie: from a state (0: nothing read yet) and a code to the next state and the fused code that ends there
/// (0: none).
static TRIE: LazyLock<HashMap<(u16, u16), (u16, u16)>> = LazyLock::new(|| {
    let mut trie = HashMap::new();
    let mut states = 1;
    for (i, row) in list::ROWS.iter().enumerate() {
        let mut state = 0;
        for (n, code) in row.iter().enumerate() {
            let node = trie.entry((state, *code)).or_insert_with(|| {
                states += 1;
                (states - 1, 0)
            });
            if n + 1 == row.len() {
                node.1 = code::FUSED + i as u16;
            }
            state = node.0;
        }
    }
    trie
});

/// The least number of dispatches from a word to the end, the fused code to give it (0: its own), words taken.
pub(crate) type Choice = (u32, u16, u8);

/// Gives first words of sequences their fused codes, so that the fewest dispatches remain.  `literals` says which words
/// are none (ascending).
pub(crate) fn fuse(words: &mut [Word], literals: &[u32], choices: &mut Vec<Choice>) {
    let trie = &*TRIE;
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
            let Some((to, fused)) = trie.get(&(state, words[next].code())) else { break };
            state = *to;
            if *fused != 0 && choices[next + 1].0 + 1 < best.0 {
                best = (choices[next + 1].0 + 1, *fused, (next + 1 - at) as u8);
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
