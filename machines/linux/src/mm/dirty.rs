//! Which bytes were written since a moment: for a child of `vfork`, whose parent is to see them.

use super::Space;
use std::collections::BTreeMap;
use tern_core::mem::{HostSpan, PAGE_SHIFT, PAGE_SIZE};

/// Equal bytes between two changes that are sent along rather than starting a new record.
const GAP: usize = 16;

/// Pages as they were before they were written, by number.
pub(super) type Dirty = BTreeMap<u64, Vec<u8>>;

impl Space {
    /// From now on notes every page of private memory before it is written.
    pub fn track_writes(&mut self) {
        self.dirty = Some(Dirty::new());
        // Tiers ask again for every page.
        self.bump();
    }

    /// Notes a page that is about to be written.
    pub(super) fn note_write(&mut self, addr: u64, span: HostSpan) {
        let Some(dirty) = &mut self.dirty else { return };
        dirty.entry(addr >> PAGE_SHIFT).or_insert_with(|| {
            let mut copy = vec![0; PAGE_SIZE as usize];
            let _ = span.read(0, &mut copy);
            copy
        });
    }

    /// What has changed since writes are tracked, or since the last time: addresses and bytes.
    pub fn written(&mut self) -> Vec<(u64, Vec<u8>)> {
        let Some(mut dirty) = self.dirty.take() else { return Vec::new() };
        let mut out = Vec::new();
        for (page, old) in &mut dirty {
            let addr = *page << PAGE_SHIFT;
            let Some(span) = self.find(addr).and_then(|v| v.span(addr)) else { continue };
            let mut new = vec![0; PAGE_SIZE as usize];
            if span.read(0, &mut new) {
                changes(addr, old, &new, &mut out);
                *old = new;
            }
        }
        self.dirty = Some(dirty);
        out
    }
}

/// The stretches in which two pages differ.
fn changes(addr: u64, old: &[u8], new: &[u8], out: &mut Vec<(u64, Vec<u8>)>) {
    let mut at = 0;
    while let Some(start) = (at..new.len()).find(|i| old[*i] != new[*i]) {
        let mut end = start + 1;
        while let Some(next) = (end..new.len().min(end + GAP)).find(|i| old[*i] != new[*i]) {
            end = next + 1;
        }
        out.push((addr + start as u64, new[start..end].to_vec()));
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_stretches_are_found() {
        let (old, mut new) = (vec![0; 64], vec![0; 64]);
        (new[3], new[10], new[50], new[63]) = (1, 2, 3, 4);
        let mut out = Vec::new();
        changes(0x1000, &old, &new, &mut out);
        let expected = vec![(0x1003, vec![1, 0, 0, 0, 0, 0, 0, 2]), (0x1032, new[50..].to_vec())];
        assert_eq!(out, expected);
    }
}
