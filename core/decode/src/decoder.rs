//! The decoder: a tree of small tables over the discriminating bits of the enabled rows.

use crate::pattern::ones;
use crate::shape::FirstCheck;
use crate::table::{Family, Group, Row};
use alloc::vec::Vec;

/// Widest table of one tree node, in bits.
const NODE_BITS: u32 = 8;
/// Lists this short are searched rather than split.
const SHORT: usize = 2;

/// A node: `mask != 0` picks one of `mask + 1` slots at `base` by the bits of the word under it from `shift`; else a leaf
/// with `count` entries at `base`.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    base: u32,
    count: u16,
    shift: u8,
    mask: u8,
}

struct Entry<F: Family> {
    mask: u64,
    value: u64,
    row: &'static Row<F>,
    check: FirstCheck,
    index: u32,
}

impl<F: Family> Entry<F> {
    #[inline]
    fn matches(&self, word: u64) -> bool {
        let c = &self.check;
        word & self.mask == self.value
            && c.allowed >> ((word >> (c.shift & 63)) & u64::from(c.mask)) & 1 != 0
            && (!c.more || self.row.accepts(word))
    }
}

impl<F: Family> Clone for Entry<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Family> Copy for Entry<F> {}

/// Finds the row an instruction word belongs to. Built from the groups that the guest CPU has.
pub struct Decoder<F: Family> {
    root: Node,
    nodes: Vec<Node>,
    leaves: Vec<Entry<F>>,
    rows: Vec<&'static Row<F>>,
}

impl<F: Family> Decoder<F> {
    /// Builds the tree. Rows of overlapping encodings are ordered by specificity; where neither row is more specific
    /// ([`ambiguous`](crate::ambiguous) lists such pairs) the one given first wins.
    #[must_use]
    pub fn new(groups: &[&'static Group<F>]) -> Decoder<F> {
        let rows: Vec<&'static Row<F>> = groups.iter().flat_map(|g| g.rows).collect();
        let mut entries: Vec<Entry<F>> = (0..)
            .zip(&rows)
            .map(|(index, &row)| {
                let p = row.pattern();
                Entry { mask: p.mask, value: p.value, row, index, check: row.first_check() }
            })
            .collect();
        entries.sort_by_key(|e| (core::cmp::Reverse(e.mask.count_ones()), !e.row.constrained(), e.index));
        let mut decoder = Decoder { root: Node::default(), nodes: Vec::new(), leaves: Vec::new(), rows };
        decoder.root = decoder.build(&entries, 0);
        decoder
    }

    /// The rows in the order of the groups; a row's place is its index for coverage counters.
    #[must_use]
    pub fn rows(&self) -> &[&'static Row<F>] {
        &self.rows
    }

    /// The row that `word` is an instruction of. Bits above the row's width are ignored, so a fetcher may pass more
    /// than one instruction's worth; the instruction stands in the low bits.
    #[inline]
    #[must_use]
    pub fn decode(&self, word: u64) -> Option<&'static Row<F>> {
        self.find(word).map(|e| e.row)
    }

    /// Like [`Decoder::decode`], with the row's index in [`Decoder::rows`].
    #[inline]
    #[must_use]
    pub fn decode_indexed(&self, word: u64) -> Option<(usize, &'static Row<F>)> {
        self.find(word).map(|e| (e.index as usize, e.row))
    }

    #[inline]
    fn find(&self, word: u64) -> Option<&Entry<F>> {
        let mut node = &self.root;
        while node.mask != 0 {
            let slot = (word >> (node.shift & 63)) & u64::from(node.mask);
            node = self.nodes.get(node.base as usize + slot as usize)?;
        }
        let base = node.base as usize;
        let leaf = self.leaves.get(base..base + usize::from(node.count))?;
        leaf.iter().find(|e| e.matches(word))
    }

    fn build(&mut self, entries: &[Entry<F>], known: u64) -> Node {
        match (entries.len() > SHORT).then(|| choose(entries, known)).flatten() {
            Some((shift, bits)) => self.split(entries, known, shift, bits),
            None => {
                let base = self.leaves.len() as u32;
                self.leaves.extend_from_slice(entries);
                Node { base, count: entries.len() as u16, shift: 0, mask: 0 }
            }
        }
    }

    fn split(&mut self, entries: &[Entry<F>], known: u64, shift: u32, bits: u32) -> Node {
        let slots = 1usize << bits;
        let tested = ones(bits) << shift;
        // Counting sort into slots; rows that leave tested bits open go into every slot they can match.
        let mut start = alloc::vec![0usize; slots + 1];
        for e in entries {
            for_each_slot(e, shift, tested, |slot| start[slot + 1] += 1);
        }
        for i in 0..slots {
            start[i + 1] += start[i];
        }
        let Some(&first) = entries.first() else { return Node::default() };
        let mut fill = start.clone();
        let mut sorted = alloc::vec![first; start[slots]];
        for e in entries {
            for_each_slot(e, shift, tested, |slot| {
                sorted[fill[slot]] = *e;
                fill[slot] += 1;
            });
        }
        let base = self.nodes.len();
        self.nodes.resize(base + slots, Node::default());
        for slot in 0..slots {
            let part = &sorted[start[slot]..start[slot + 1]];
            if !part.is_empty() {
                self.nodes[base + slot] = self.build(part, known | tested);
            }
        }
        Node { base: base as u32, count: 0, shift: shift as u8, mask: ones(bits) as u8 }
    }
}

/// Calls `f` with every value of the tested bits that the entry can have.
fn for_each_slot<F: Family>(e: &Entry<F>, shift: u32, tested: u64, mut f: impl FnMut(usize)) {
    let fixed = ((e.value & tested) >> shift) as usize;
    let open = ((!e.mask & tested) >> shift) as usize;
    let mut subset = 0usize;
    loop {
        f(fixed | subset);
        subset = subset.wrapping_sub(open) & open;
        if subset == 0 {
            break;
        }
    }
}

/// The bits to test next: the longest run of bits fixed in all entries and differing between them; failing that, the
/// bit fixed in most entries.
fn choose<F: Family>(entries: &[Entry<F>], known: u64) -> Option<(u32, u32)> {
    let common = entries.iter().fold(!known, |m, e| m & e.mask);
    let (all, any) = entries.iter().fold((u64::MAX, 0), |(all, any), e| (all & e.value, any | e.value));
    let mut differ = common & (all ^ any);
    let mut best = (0, 0);
    while differ != 0 {
        let shift = differ.trailing_zeros();
        let bits = (differ >> shift).trailing_ones();
        if bits > best.1 {
            best = (shift, bits);
        }
        differ &= !(ones(bits) << shift);
    }
    if best.1 > 0 {
        return Some((best.0, best.1.min(NODE_BITS)));
    }
    // No bit is fixed in all. A bit fixed to 0 here and 1 there separates; rows that leave it open go both ways.
    let mut votes = [(0u32, 0u32); 64];
    for e in entries {
        let mut left = e.mask & !known;
        while left != 0 {
            let bit = left.trailing_zeros();
            let vote = &mut votes[bit as usize];
            if e.value >> bit & 1 == 0 {
                vote.0 += 1
            } else {
                vote.1 += 1
            }
            left &= left - 1;
        }
    }
    let gain = |bit: usize| votes[bit].0 + votes[bit].1;
    let best =
        (0..64).filter(|&b| votes[b].0 > 0 && votes[b].1 > 0).max_by_key(|&b| (gain(b), core::cmp::Reverse(b)))?;
    // Neighbours that are fixed as often belong to the same opcode field.
    let alike = |bit: usize| gain(bit) * 4 >= gain(best) * 3;
    let (mut low, mut high) = (best, best + 1);
    while high - low < NODE_BITS as usize && high < 64 && alike(high) && entries.len() >> (high - low) > 0 {
        high += 1;
    }
    while high - low < NODE_BITS as usize && low > 0 && alike(low - 1) && entries.len() >> (high - low) > 0 {
        low -= 1;
    }
    Some((low as u32, (high - low) as u32))
}
