//! A tree rendered flat: sorted ranges that do not overlap.

use super::tree::{Kind, Node, Tree};
use super::{RamBlock, Region};
use core::cell::Cell;

/// Memory behind a range: regions show their blocks from the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Memory {
    pub(super) block: RamBlock,
    /// Loads and fetches go to it.
    pub(super) read: bool,
    /// Stores go to it.
    pub(super) write: bool,
}

/// What answers at the addresses `first..=last`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) region: Region,
    /// Where it begins in the region.
    pub(super) offset: u64,
    pub(super) memory: Option<Memory>,
    /// Device and window for what does not go to the memory; with neither it is an open bus.
    pub(super) device: Option<(u32, u32)>,
}

impl Range {
    /// The part `first..=last` of it.
    fn part(&self, first: u64, last: u64) -> Range {
        let skip = first - self.first;
        Range { first, last, offset: self.offset + skip, memory: self.memory.clone(), ..*self }
    }

    /// Does `next` go on where `self` ends, in address and region?
    fn continues(&self, next: &Range) -> bool {
        let len = next.first - self.first;
        self.last.checked_add(1) == Some(next.first)
            && self.region == next.region
            && self.offset.checked_add(len) == Some(next.offset)
    }
}

/// The ranges, in order.
#[derive(Default, Debug)]
pub(super) struct Flat {
    ranges: Vec<Range>,
    /// Where the last address was found.
    hit: Cell<usize>,
}

impl Flat {
    pub(super) fn render(tree: &Tree, root: Region) -> Flat {
        let mut renderer = Renderer { tree, ranges: Vec::new() };
        let last = i128::from(tree.get(root).last);
        renderer.region(root, 0, 0, last);
        let mut ranges: Vec<Range> = Vec::with_capacity(renderer.ranges.len());
        for range in renderer.ranges {
            match ranges.last_mut() {
                Some(before) if before.continues(&range) => before.last = range.last,
                _ => ranges.push(range),
            }
        }
        Flat { ranges, hit: Cell::new(0) }
    }

    pub(super) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// The range that holds `addr`.
    #[inline]
    pub(super) fn find(&self, addr: u64) -> Option<&Range> {
        let holds = |r: &&Range| r.first <= addr && addr <= r.last;
        if let Some(range) = self.ranges.get(self.hit.get()).filter(holds) {
            return Some(range);
        }
        let index = self.ranges.partition_point(|r| r.last < addr);
        let range = self.ranges.get(index).filter(holds)?;
        self.hit.set(index);
        Some(range)
    }

    /// Gives up code in memory that `new` does not show for fetching where `self` did.
    pub(super) fn give_up(&self, new: &Flat) {
        for old in &self.ranges {
            let Some(memory) = old.memory.as_ref().filter(|m| m.read) else { continue };
            let mut at = old.first;
            loop {
                let index = new.ranges.partition_point(|r| r.last < at);
                let next = new.ranges.get(index).filter(|r| r.first <= old.last);
                let last = match next {
                    Some(r) if r.first <= at => r.last.min(old.last),
                    Some(r) => r.first - 1,
                    None => old.last,
                };
                let offset = old.offset + (at - old.first);
                let same = |r: &Range| {
                    let here = |m: &Memory| m.read && m.block == memory.block;
                    r.first <= at && r.memory.as_ref().is_some_and(here) && r.offset + (at - r.first) == offset
                };
                if !next.is_some_and(same) {
                    memory.block.invalidate(offset, last - at + 1);
                }
                match last.checked_add(1) {
                    Some(next) if last < old.last => at = next,
                    _ => break,
                }
            }
        }
    }
}

struct Renderer<'a> {
    tree: &'a Tree,
    ranges: Vec<Range>,
}

impl Renderer<'_> {
    /// Renders a region that begins at `base`, as far as it lies in `first..=last` and nothing is there yet.
    fn region(&mut self, region: Region, base: i128, first: i128, last: i128) {
        let node = self.tree.get(region);
        let first = first.max(base);
        let last = last.min(base + i128::from(node.last));
        if !node.enabled || first > last {
            return;
        }
        if let Kind::Alias { target, offset } = node.kind {
            return self.region(target, base - i128::from(offset), first, last);
        }
        for child in &node.children {
            let offset = i128::from(self.tree.get(*child).offset);
            self.region(*child, base + offset, first, last);
        }
        if let Some(whole) = leaf(node, region, base, first, last) {
            self.fill(&whole);
        }
    }

    /// Puts `whole` where nothing is yet.
    fn fill(&mut self, whole: &Range) {
        let mut index = self.ranges.partition_point(|r| r.last < whole.first);
        let mut at = whole.first;
        loop {
            let next = self.ranges.get(index).filter(|r| r.first <= whole.last).map(|r| (r.first, r.last));
            let end = match next {
                Some((first, _)) if first <= at => None,
                Some((first, _)) => Some(first - 1),
                None => Some(whole.last),
            };
            if let Some(end) = end {
                self.ranges.insert(index, whole.part(at, end));
                index += 1;
            }
            match next.and_then(|(_, last)| last.checked_add(1)).filter(|next| *next <= whole.last) {
                Some(next) => (at, index) = (next, index + 1),
                None => break,
            }
        }
    }
}

/// The addresses `first..=last` of a region that begins at `base`, if something answers there.
fn leaf(node: &Node, region: Region, base: i128, first: i128, last: i128) -> Option<Range> {
    let offset = (first - base) as u64;
    let (memory, device) = match &node.kind {
        Kind::Container | Kind::Alias { .. } => return None,
        Kind::Ram { block, readonly } => (Some(Memory { block: block.clone(), read: true, write: !readonly }), None),
        Kind::Open => (None, None),
        Kind::Device { device, window } => (None, Some((*device, *window))),
        Kind::RomDevice { block, device, window, direct } => {
            let memory = Memory { block: block.clone(), read: *direct, write: false };
            (Some(memory), Some((*device, *window)))
        }
    };
    Some(Range { first: first as u64, last: last as u64, region, offset, memory, device })
}
