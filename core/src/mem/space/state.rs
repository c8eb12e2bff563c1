//! Saved states of address spaces: the map as it was changed at run time, and the contents of RAM.

use super::AddressSpace;
use super::tree::{Kind, Tree};
use super::{RamBlock, Region};
use crate::mem::{PAGE_SHIFT, PAGE_SIZE};
use crate::snapshot::{self, StateError, check};
use serde::{Deserialize, Serialize};

const KIND: &str = "memory map";
const VERSION: u32 = 1;

/// What may change about a region.
#[derive(Serialize, Deserialize)]
struct SavedRegion {
    name: String,
    enabled: bool,
    /// Parent, offset, priority, order.
    place: Option<(u32, u64, i32, u64)>,
    /// Of an alias.
    alias_offset: u64,
    /// Of a ROM device.
    direct: bool,
}

#[derive(Serialize, Deserialize)]
struct SavedMap {
    added: u64,
    regions: Vec<SavedRegion>,
}

/// Name and size of a block: contents can only be restored where the blocks are the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockLayout {
    /// The block's name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A page that is not all zeros.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SavedPage {
    /// Index of its block in [`AddressSpace::layout`].
    pub block: u32,
    /// Which page of the block.
    pub page: u64,
    /// Its bytes; the last page of a block may be short.
    pub bytes: Vec<u8>,
}

/// The pages of all blocks that are not all zeros, in order: see [`AddressSpace::saved_pages`].
pub struct SavedPages {
    blocks: Vec<RamBlock>,
    block: usize,
    page: u64,
}

impl Iterator for SavedPages {
    type Item = SavedPage;

    fn next(&mut self) -> Option<SavedPage> {
        let mut buf = [0; PAGE_SIZE as usize];
        while let Some(block) = self.blocks.get(self.block) {
            while self.page < block.pages() {
                let page = self.page;
                self.page += 1;
                if let Some(bytes) = contents(block, page, &mut buf) {
                    return Some(SavedPage { block: self.block as u32, page, bytes: bytes.to_vec() });
                }
            }
            (self.block, self.page) = (self.block + 1, 0);
        }
        None
    }
}

/// The bytes of a page, unless they are all zeros.  Pages that nobody has written are not looked at.
fn contents<'a>(block: &RamBlock, page: u64, buf: &'a mut [u8; PAGE_SIZE as usize]) -> Option<&'a [u8]> {
    if !block.touched(page) {
        return None;
    }
    let offset = page << PAGE_SHIFT;
    let bytes = &mut buf[..(block.size() - offset).min(PAGE_SIZE) as usize];
    let zero = !block.read(offset, bytes) || bytes.iter().fold(0, |all, byte| all | byte) == 0;
    (!zero).then_some(bytes)
}

/// A digest that changes whenever a single word does.
struct Digest(u64);

impl Digest {
    fn word(&mut self, word: u64) {
        // FNV-1a by words: 0x100_0000_01b3 is its prime.  The shift brings the high bits down, which multiplying does not.
        let mixed = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = mixed ^ mixed >> 29;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self.word(bytes.len() as u64);
    }
}

impl AddressSpace {
    /// The map: places of all regions, what is enabled, what aliases show, where ROM devices are read.
    ///
    /// # Errors
    /// A state that cannot be encoded.
    pub fn save_map(&self) -> Result<Vec<u8>, StateError> {
        let tree = self.shared.tree.borrow();
        let regions = tree.nodes.iter().map(|node| SavedRegion {
            name: node.name.clone(),
            enabled: node.enabled,
            place: node.parent.map(|p| (p.0, node.offset, node.priority, node.order)),
            alias_offset: if let Kind::Alias { offset, .. } = node.kind { offset } else { 0 },
            direct: matches!(node.kind, Kind::RomDevice { direct: true, .. }),
        });
        snapshot::save(KIND, VERSION, &SavedMap { added: tree.added, regions: regions.collect() })
    }

    /// Takes a saved map on.
    ///
    /// # Errors
    /// A map of other regions, or one that cannot be; then nothing has changed.
    pub fn load_map(&self, bytes: &[u8]) -> Result<(), StateError> {
        let saved: SavedMap = snapshot::load(KIND, VERSION, bytes)?;
        let tree = restored(&self.shared.tree.borrow(), &saved)?;
        self.shared.tree.replace(tree);
        self.changed();
        Ok(())
    }

    /// Names and sizes of the blocks.
    #[must_use]
    pub fn layout(&self) -> Vec<BlockLayout> {
        let blocks = self.shared.blocks.borrow();
        blocks.iter().map(|b| BlockLayout { name: b.name().to_owned(), size: b.size() }).collect()
    }

    /// The contents of RAM.  Memory must not be written meanwhile.
    #[must_use]
    pub fn saved_pages(&self) -> SavedPages {
        SavedPages { blocks: self.blocks(), block: 0, page: 0 }
    }

    /// Begins to restore contents that were saved from blocks laid out as `layout`: all memory becomes zero.
    ///
    /// # Errors
    /// Other blocks; then nothing has changed.
    pub fn begin_restore(&self, layout: &[BlockLayout]) -> Result<(), StateError> {
        let here = self.layout();
        check(here == layout, "blocks", || format!("saved from {layout:?}, here are {here:?}"))?;
        for block in self.blocks() {
            block.zero(0, block.size());
        }
        Ok(())
    }

    /// Restores a page.
    ///
    /// # Errors
    /// A page that is not there.
    pub fn restore_page(&self, saved: &SavedPage) -> Result<(), StateError> {
        let block = self.shared.blocks.borrow().get(saved.block as usize).cloned();
        let block = block.ok_or_else(|| StateError::Field("block", format!("there is no block {}", saved.block)))?;
        let inside = saved.page < block.pages();
        check(inside, "page", || format!("block {} has no page {}", block.name(), saved.page))?;
        let offset = saved.page << PAGE_SHIFT;
        let (len, want) = (saved.bytes.len() as u64, (block.size() - offset).min(PAGE_SIZE));
        check(len == want, "bytes", || format!("{len} for a page of {want}"))?;
        let written = block.write(offset, &saved.bytes);
        check(written, "page", || format!("block {} cannot be written", block.name()))
    }

    /// A digest of all memory: the same for the same contents, on every host.
    #[must_use]
    pub fn digest(&self) -> u64 {
        // The offset basis of FNV-1a.
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        let mut buf = [0; PAGE_SIZE as usize];
        for block in self.blocks() {
            digest.bytes(block.name().as_bytes());
            digest.word(block.size());
            for page in 0..block.pages() {
                if let Some(bytes) = contents(&block, page, &mut buf) {
                    digest.word(page);
                    digest.bytes(bytes);
                }
            }
        }
        digest.0
    }
}

/// `tree` with everything placed and switched as saved.
fn restored(tree: &Tree, saved: &SavedMap) -> Result<Tree, StateError> {
    let (here, there) = (tree.nodes.len(), saved.regions.len());
    // Regions at the end that hang on nothing of the others are those of devices that have gone, here or there.
    let alone_there =
        saved.regions.iter().skip(here).all(|r| r.place.is_none_or(|(parent, ..)| parent as usize >= here));
    let alone_here = tree.nodes.iter().skip(there).all(|n| n.parent.is_none_or(|parent| parent.0 as usize >= there));
    check(alone_there && alone_here, "regions", || format!("{there} saved, {here} here"))?;
    let mut new = tree.clone();
    for (node, saved) in new.nodes.iter_mut().zip(&saved.regions) {
        check(node.name == saved.name, "name", || format!("{} saved for {}", saved.name, node.name))?;
        node.displace();
        node.children.clear();
        node.enabled = saved.enabled;
        match &mut node.kind {
            Kind::Alias { target, offset } => {
                let end = saved.alias_offset.checked_add(node.last);
                let inside = end.is_some_and(|end| end <= tree.get(*target).last);
                check(inside, "alias_offset", || format!("{:#x} of {}", saved.alias_offset, node.name))?;
                *offset = saved.alias_offset;
            }
            Kind::RomDevice { direct, .. } => *direct = saved.direct,
            Kind::Container | Kind::Open | Kind::Ram { .. } | Kind::Device { .. } => {}
        }
    }
    let places = saved.regions.iter().take(here).zip(0..).filter_map(|(r, i)| r.place.map(|place| (Region(i), place)));
    let mut places: Vec<_> = places.collect();
    places.sort_by_key(|(_, (.., order))| *order);
    let mut before = 0;
    for (region, (parent, offset, priority, order)) in places {
        let name = || new.get(region).name.clone();
        check((parent as usize) < here, "parent", || format!("{parent} of {}", name()))?;
        check(before < order && order <= saved.added, "order", || format!("{order} of {}", name()))?;
        before = order;
        let added = new.add(Region(parent), region, offset, priority);
        added.map_err(|e| StateError::Field("parent", e.to_string()))?;
        new.get_mut(region).order = order;
    }
    new.added = saved.added;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Reporter;

    type Damage = fn(&mut SavedMap);

    #[test]
    fn maps_that_cannot_be_are_refused() {
        let s = AddressSpace::new("memory", "system", Reporter::new("memory", |_, _| {}));
        let a = s.container("a", 0x1000).unwrap();
        let b = s.alias("b", s.container("c", 0x100).unwrap(), 0, 0x80).unwrap();
        s.add(s.root(), a, 0, 0).unwrap();
        s.add(a, b, 0x10, 0).unwrap();
        let good = s.save_map().unwrap();
        let damages: [(&str, Damage); 9] = [
            ("regions", |m| m.regions.truncate(3)),
            ("name", |m| m.regions[1].name.push('x')),
            ("alias_offset", |m| m.regions[3].alias_offset = 0x81),
            ("alias_offset", |m| m.regions[3].alias_offset = u64::MAX),
            ("parent", |m| m.regions[3].place = Some((4, 0, 0, 2))),
            ("parent", |m| m.regions[3].place = Some((3, 0, 0, 2))),
            ("parent", |m| (m.regions[1].place, m.regions[2].place) = (Some((2, 0, 0, 1)), Some((1, 0, 0, 3)))),
            ("order", |m| m.regions[3].place = Some((1, 0, 0, 1))),
            ("order", |m| m.added = 1),
        ];
        for (field, damage) in damages {
            let mut map: SavedMap = snapshot::load(KIND, VERSION, &good).unwrap();
            damage(&mut map);
            let result = s.load_map(&snapshot::save(KIND, VERSION, &map).unwrap());
            assert!(matches!(&result, Err(StateError::Field(f, _)) if *f == field), "{field}: {result:?}");
            assert_eq!(s.save_map().unwrap(), good);
        }
        s.load_map(&good).unwrap();
    }

    #[test]
    fn regions_of_devices_that_are_gone_come_and_go() {
        let space = || {
            let s = AddressSpace::new("memory", "system", Reporter::new("memory", |_, _| {}));
            let a = s.container("a", 0x1000).unwrap();
            s.add(s.root(), a, 0, 0).unwrap();
            (s, a)
        };
        let ((old, _), (new, a)) = (space(), space());
        let short = old.save_map().unwrap();
        let bar = new.container("bar", 0x100).unwrap();
        new.add(bar, new.container("part", 0x10).unwrap(), 0, 0).unwrap();
        let long = new.save_map().unwrap();
        old.load_map(&long).unwrap();
        let regions = |s: &AddressSpace| {
            let map: SavedMap = snapshot::load(KIND, VERSION, &s.save_map().unwrap()).unwrap();
            map.regions.into_iter().map(|r| r.name).collect::<Vec<_>>()
        };
        assert_eq!(regions(&old), ["system", "a"]);
        new.load_map(&short).unwrap();
        // While it hangs on something, it is missed.
        new.add(a, bar, 0, 0).unwrap();
        let there = new.save_map().unwrap();
        for (map, state) in [(&old, &there), (&new, &short)] {
            assert!(matches!(map.load_map(state), Err(StateError::Field("regions", _))));
        }
    }
}
