//! The tree of regions.

use super::RamBlock;
use core::fmt;

/// A region of an [`super::AddressSpace`]; only the space that made it knows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Region(pub(super) u32);

/// Why the tree cannot be built as asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SpaceError {
    /// A region of no bytes, or a part that is not inside of what it is a part of.
    Size {
        /// The region.
        name: String,
    },
    /// The host does not have that much memory.
    NoMemory {
        /// The block.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// The region lies in another one already.
    Placed {
        /// The region.
        name: String,
    },
    /// The region would come to lie in itself.
    Cycle {
        /// The region.
        name: String,
    },
    /// Nothing can be put into an alias.
    Alias {
        /// The alias.
        name: String,
    },
    /// Two blocks of RAM, or two windows of a device, under one name.
    Twice {
        /// The name.
        name: String,
    },
}

impl fmt::Display for SpaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpaceError::Size { name } => write!(f, "memory region {name}: bad size"),
            SpaceError::NoMemory { name, size } => write!(f, "memory region {name}: the host has no {size} bytes"),
            SpaceError::Placed { name } => write!(f, "memory region {name} has its place already"),
            SpaceError::Cycle { name } => write!(f, "memory region {name} would lie in itself"),
            SpaceError::Alias { name } => write!(f, "memory region {name} is an alias; nothing can be put into it"),
            SpaceError::Twice { name } => write!(f, "memory region {name} is there already"),
        }
    }
}

impl core::error::Error for SpaceError {}

/// What answers at a region, where none of its children does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Nothing.
    Container,
    /// Part of another region.
    Alias { target: Region, offset: u64 },
    /// Memory.
    Ram { block: RamBlock, readonly: bool },
    /// A bus on which nobody answers: loads see ones, stores are lost.
    Open,
    /// A window of a device.
    Device { device: u32, window: u32 },
    /// Memory that is read directly if `direct`; a window of a device for everything else.
    RomDevice { block: RamBlock, device: u32, window: u32, direct: bool },
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    /// Its size less one.
    pub(super) last: u64,
    pub(super) kind: Kind,
    pub(super) enabled: bool,
    pub(super) parent: Option<Region>,
    /// Where it begins in its parent.
    pub(super) offset: u64,
    pub(super) priority: i32,
    /// When it was added: the latest comes first among equals.
    pub(super) order: u64,
    /// First come, first served.
    pub(super) children: Vec<Region>,
}

/// All regions; a [`Region`] is an index.
#[derive(Clone, Default, Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// How many were added to a parent so far.
    pub(super) added: u64,
}

impl Tree {
    /// A new region; it has no place yet.
    pub(super) fn insert(&mut self, name: &str, last: u64, kind: Kind) -> Region {
        let region = Region(self.nodes.len() as u32);
        let name = name.to_owned();
        let (enabled, parent, offset, priority, order) = (true, None, 0, 0, 0);
        self.nodes.push(Node { name, last, kind, enabled, parent, offset, priority, order, children: Vec::new() });
        region
    }

    pub(super) fn get(&self, region: Region) -> &Node {
        &self.nodes[region.0 as usize]
    }

    pub(super) fn get_mut(&mut self, region: Region) -> &mut Node {
        &mut self.nodes[region.0 as usize]
    }

    /// Puts `child` into `parent`.
    pub(super) fn add(&mut self, parent: Region, child: Region, offset: u64, priority: i32) -> Result<(), SpaceError> {
        let name = || self.get(child).name.clone();
        if let Kind::Alias { .. } = self.get(parent).kind {
            return Err(SpaceError::Alias { name: self.get(parent).name.clone() });
        }
        if self.get(child).parent.is_some() {
            return Err(SpaceError::Placed { name: name() });
        }
        if self.reaches(child, parent) {
            return Err(SpaceError::Cycle { name: name() });
        }
        self.place(parent, child, offset, priority);
        Ok(())
    }

    /// The same for a child that is known to have no place and not to reach its parent.
    fn place(&mut self, parent: Region, child: Region, offset: u64, priority: i32) {
        self.added += 1;
        let order = self.added;
        let node = self.get_mut(child);
        (node.parent, node.offset, node.priority, node.order) = (Some(parent), offset, priority, order);
        self.get_mut(parent).children.push(child);
        self.sort(parent);
    }

    /// Takes `child` out of its parent; true if it was in one.
    pub(super) fn remove(&mut self, child: Region) -> bool {
        let Some(parent) = self.get_mut(child).parent.take() else { return false };
        self.get_mut(parent).children.retain(|c| *c != child);
        true
    }

    /// Moves `child` within its parent, where it counts as added last; true if that changes anything.
    pub(super) fn set_offset(&mut self, child: Region, offset: u64) -> bool {
        let node = self.get(child);
        let (Some(parent), priority) = (node.parent, node.priority) else { return false };
        if node.offset == offset {
            return false;
        }
        self.remove(child);
        self.place(parent, child, offset, priority);
        true
    }

    /// Brings the children of `parent` into their order again.
    pub(super) fn sort(&mut self, parent: Region) {
        let mut children = core::mem::take(&mut self.get_mut(parent).children);
        children.sort_by_key(|c| {
            let node = self.get(*c);
            core::cmp::Reverse((node.priority, node.order))
        });
        self.get_mut(parent).children = children;
    }

    /// Is `to` part of what `from` shows?
    fn reaches(&self, from: Region, to: Region) -> bool {
        let (mut open, mut seen) = (vec![from], vec![false; self.nodes.len()]);
        while let Some(region) = open.pop() {
            if region == to {
                return true;
            }
            if !core::mem::replace(&mut seen[region.0 as usize], true) {
                let node = self.get(region);
                open.extend(&node.children);
                if let Kind::Alias { target, .. } = node.kind {
                    open.push(target);
                }
            }
        }
        false
    }
}
