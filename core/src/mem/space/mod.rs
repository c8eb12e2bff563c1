//! Physical memory: trees of regions, rendered flat.
//!
//! A region is RAM, ROM, an open bus, a window of a device, memory whose stores go to a device (flash), an alias of a part of another
//! region, or a container. Regions lie in others at an offset with a priority: where they overlap the higher priority
//! answers, the later one among equals; containers and aliases leave holes through which lower ones show. A region may
//! also have children of its own, which lie above it. An [`AddressSpace`] is what a CPU or a bus master sees from one
//! region on; several spaces may look at the same regions.
//!
//! Everything may be moved, enabled and switched at run time; the flat view is rendered when it is next asked for.
//!
//! No call keeps anything borrowed while it calls out, so devices and reporters may use the space they are reached through.

mod access;
mod block;
mod flat;
#[cfg(test)]
mod model;
mod state;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod text_tests;
mod tree;

pub use access::{DeviceAccess, Target};
pub use block::{DirtyClient, HostMemory, RamBlock};
pub use state::{BlockLayout, SavedPage, SavedPages};
pub use tree::{Region, SpaceError};

use super::{Access, FaultKind, GuestMemory, HostSpan, MemFault, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, PageFlags, PageRef};
use crate::device::Reporter;
use block::Tracker;
use flat::{Flat, Range};
use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tree::{Kind, Tree};

/// Where a device's window goes when the device moves it.
#[derive(Clone, Copy)]
struct Slot {
    region: Region,
    container: Region,
    priority: i32,
}

/// What all spaces over the same regions have in common.
struct Shared {
    tree: RefCell<Tree>,
    blocks: RefCell<Vec<RamBlock>>,
    tracker: Rc<Tracker>,
    windows: RefCell<BTreeMap<(u32, u32), Slot>>,
    views: RefCell<Vec<Rc<View>>>,
    report: Reporter,
}

struct View {
    name: String,
    root: Region,
    flat: RefCell<Flat>,
    stale: Cell<bool>,
}

/// Memory as a CPU or a device sees it from one region on.  Clones are handles to the same one.
#[derive(Clone)]
pub struct AddressSpace {
    shared: Rc<Shared>,
    view: Rc<View>,
}

impl AddressSpace {
    /// A space with nothing in it: its root, called `root`, is a container of all 2^64 addresses.  Guest mistakes are
    /// counted by `report`.
    #[must_use]
    pub fn new(name: &str, root: &str, report: Reporter) -> AddressSpace {
        let mut tree = Tree::default();
        let root = tree.insert(root, u64::MAX, Kind::Container);
        let shared = Rc::new(Shared {
            tree: RefCell::new(tree),
            blocks: RefCell::default(),
            tracker: Rc::default(),
            windows: RefCell::default(),
            views: RefCell::default(),
            report,
        });
        AddressSpace::over(shared, name, root)
    }

    /// Another space over the same regions that sees `root` only.
    #[must_use]
    pub fn view(&self, name: &str, root: Region) -> AddressSpace {
        AddressSpace::over(self.shared.clone(), name, root)
    }

    fn over(shared: Rc<Shared>, name: &str, root: Region) -> AddressSpace {
        let (flat, stale) = (RefCell::default(), Cell::new(true));
        let view = Rc::new(View { name: name.to_owned(), root, flat, stale });
        shared.views.borrow_mut().push(view.clone());
        AddressSpace { shared, view }
    }

    /// The region that this space begins from.
    #[must_use]
    pub fn root(&self) -> Region {
        self.view.root
    }

    fn insert(&self, name: &str, size: u64, kind: Kind) -> Result<Region, SpaceError> {
        let last = size.checked_sub(1).ok_or_else(|| SpaceError::Size { name: name.to_owned() })?;
        Ok(self.shared.tree.borrow_mut().insert(name, last, kind))
    }

    /// A container of `size` bytes.
    ///
    /// # Errors
    /// No bytes.
    pub fn container(&self, name: &str, size: u64) -> Result<Region, SpaceError> {
        self.insert(name, size, Kind::Container)
    }

    /// A container of all 2^64 addresses.
    #[must_use]
    pub fn container_of_all(&self, name: &str) -> Region {
        self.shared.tree.borrow_mut().insert(name, u64::MAX, Kind::Container)
    }

    /// The `size` bytes at `offset` of `target`, once more.
    ///
    /// # Errors
    /// No bytes, or a part that is not inside.
    pub fn alias(&self, name: &str, target: Region, offset: u64, size: u64) -> Result<Region, SpaceError> {
        let last = self.shared.tree.borrow().get(target).last;
        let end = size.checked_sub(1).and_then(|n| offset.checked_add(n));
        if end.is_none_or(|end| end > last) {
            return Err(SpaceError::Size { name: name.to_owned() });
        }
        self.insert(name, size, Kind::Alias { target, offset })
    }

    /// `size` bytes of a bus on which nobody answers, as behind a PCI host bridge: loads see ones, stores are lost.
    ///
    /// # Errors
    /// No bytes.
    pub fn open_bus(&self, name: &str, size: u64) -> Result<Region, SpaceError> {
        self.insert(name, size, Kind::Open)
    }

    /// A window of `size` bytes of a device.
    ///
    /// # Errors
    /// No bytes.
    pub fn device(&self, name: &str, size: u64, device: u32, window: u32) -> Result<Region, SpaceError> {
        self.insert(name, size, Kind::Device { device, window })
    }

    /// A block of zeroed memory, which takes memory of the host as it is written.  It is in no region yet.
    ///
    /// # Errors
    /// No bytes, more than the host has, a name that another block has.
    pub fn block(&self, name: &str, size: u64) -> Result<RamBlock, SpaceError> {
        if size == 0 {
            return Err(SpaceError::Size { name: name.to_owned() });
        }
        self.keep(name, |base, tracker| RamBlock::zeroed(name, size, base, tracker))
    }

    /// A block over host memory.
    ///
    /// # Errors
    /// No bytes, a name that another block has.
    pub fn block_over(&self, name: &str, memory: Rc<dyn HostMemory>) -> Result<RamBlock, SpaceError> {
        self.keep(name, |base, tracker| RamBlock::over(name, memory, base, tracker))
    }

    fn keep(
        &self,
        name: &str,
        make: impl FnOnce(u64, &Rc<Tracker>) -> Result<RamBlock, SpaceError>,
    ) -> Result<RamBlock, SpaceError> {
        let mut blocks = self.shared.blocks.borrow_mut();
        if blocks.iter().any(|b| b.name() == name) {
            return Err(SpaceError::Twice { name: name.to_owned() });
        }
        let base = blocks.last().map_or(0, |b| b.number(b.pages()));
        let block = make(base, &self.shared.tracker)?;
        blocks.push(block.clone());
        Ok(block)
    }

    /// All blocks, in the order in which they were made.
    #[must_use]
    pub fn blocks(&self) -> Vec<RamBlock> {
        self.shared.blocks.borrow().clone()
    }

    /// A region of all of a block, which the guest may read, execute and write.
    #[must_use]
    pub fn ram(&self, block: &RamBlock) -> Region {
        self.backed(block, Kind::Ram { block: block.clone(), readonly: false })
    }

    /// The same, not to be written: stores are counted guest errors without effect.
    #[must_use]
    pub fn rom(&self, block: &RamBlock) -> Region {
        self.backed(block, Kind::Ram { block: block.clone(), readonly: true })
    }

    /// A region of all of a block that stands for a window of a device: stores go to the device, everything else to the
    /// memory.  [`AddressSpace::set_direct`] sends everything to the device.
    #[must_use]
    pub fn rom_device(&self, block: &RamBlock, device: u32, window: u32) -> Region {
        self.backed(block, Kind::RomDevice { block: block.clone(), device, window, direct: true })
    }

    fn backed(&self, block: &RamBlock, kind: Kind) -> Region {
        self.shared.tree.borrow_mut().insert(block.name(), block.size() - 1, kind)
    }

    /// Puts `child` at `offset` of `parent` (it may reach beyond the parent's end, where it is not seen).
    ///
    /// # Errors
    /// A child that has a place, a parent that is an alias or part of the child.
    pub fn add(&self, parent: Region, child: Region, offset: u64, priority: i32) -> Result<(), SpaceError> {
        self.shared.tree.borrow_mut().add(parent, child, offset, priority)?;
        self.changed();
        Ok(())
    }

    /// Takes a region out of its parent.
    pub fn remove(&self, child: Region) {
        if self.shared.tree.borrow_mut().remove(child) {
            self.changed();
        }
    }

    /// Moves a region within its parent; it then counts as the latest there.
    pub fn set_offset(&self, child: Region, offset: u64) {
        if self.shared.tree.borrow_mut().set_offset(child, offset) {
            self.changed();
        }
    }

    /// A region that is not enabled is as if it had been removed, with all that lies in it.
    pub fn set_enabled(&self, region: Region, enabled: bool) {
        let before = core::mem::replace(&mut self.shared.tree.borrow_mut().get_mut(region).enabled, enabled);
        if before != enabled {
            self.changed();
        }
    }

    /// Do loads and fetches of a [`AddressSpace::rom_device`] go to the memory?  Other regions have no such switch.
    pub fn set_direct(&self, region: Region, on: bool) {
        let before = match &mut self.shared.tree.borrow_mut().get_mut(region).kind {
            Kind::RomDevice { direct, .. } => core::mem::replace(direct, on),
            _ => return,
        };
        if before != on {
            self.changed();
        }
    }

    /// Moves the part of its target that an alias shows.
    ///
    /// # Errors
    /// A part that is not inside.
    pub fn set_alias_offset(&self, alias: Region, to: u64) -> Result<(), SpaceError> {
        let mut tree = self.shared.tree.borrow_mut();
        let (last, kind) = (tree.get(alias).last, &tree.get(alias).kind);
        let inside = match kind {
            Kind::Alias { target, .. } => to.checked_add(last).is_some_and(|end| end <= tree.get(*target).last),
            _ => false,
        };
        if !inside {
            return Err(SpaceError::Size { name: tree.get(alias).name.clone() });
        }
        if let Kind::Alias { offset, .. } = &mut tree.get_mut(alias).kind {
            *offset = to;
        }
        drop(tree);
        self.changed();
        Ok(())
    }

    /// Lets a device move its window `window`: `region` goes into `container` with `priority`, at the address (from the
    /// container's start) that the device asks for.  See [`crate::device::Mapper`].
    ///
    /// # Errors
    /// A window that has its region already, or a region that has its place in something else.
    pub fn window(
        &self,
        (device, window): (u32, u32),
        region: Region,
        container: Region,
        priority: i32,
    ) -> Result<(), SpaceError> {
        let mut tree = self.shared.tree.borrow_mut();
        let name = tree.get(region).name.clone();
        if tree.get(region).parent.is_some_and(|p| p != container) {
            return Err(SpaceError::Placed { name });
        }
        let mut windows = self.shared.windows.borrow_mut();
        if windows.contains_key(&(device, window)) {
            return Err(SpaceError::Twice { name });
        }
        if tree.get(region).parent.is_none() {
            // Whether it may lie there is found out now rather than when the guest asks for it.
            tree.add(container, region, 0, priority)?;
            tree.remove(region);
        }
        windows.insert((device, window), Slot { region, container, priority });
        Ok(())
    }

    /// Moves a registered window; false if there is none.
    fn move_window(&self, device: u32, window: u32, addr: Option<u64>) -> bool {
        let Some(slot) = self.shared.windows.borrow().get(&(device, window)).copied() else { return false };
        let mut tree = self.shared.tree.borrow_mut();
        let changed = match addr {
            None => tree.remove(slot.region),
            Some(addr) if tree.get(slot.region).parent.is_some() => tree.set_offset(slot.region, addr),
            // What could make it an error was ruled out when the window was registered.
            Some(addr) => tree.add(slot.container, slot.region, addr, slot.priority).is_ok(),
        };
        drop(tree);
        if changed {
            self.changed();
        }
        true
    }

    /// The map has changed.
    fn changed(&self) {
        for view in self.shared.views.borrow().iter() {
            view.stale.set(true);
        }
        self.shared.tracker.bump();
    }

    fn flat(&self) -> Ref<'_, Flat> {
        if self.view.stale.get() {
            self.render(&self.view);
        }
        self.view.flat.borrow()
    }

    #[cold]
    fn render(&self, view: &View) {
        let new = Flat::render(&self.shared.tree.borrow(), view.root);
        view.flat.borrow().give_up(&new);
        view.flat.replace(new);
        view.stale.set(false);
    }

    /// Resolves the page that holds a physical address, see [`GuestMemory::page`].  What is no memory, or memory for a
    /// part of the page only, is a device page without a span: [`AddressSpace::load`] and [`AddressSpace::store`] serve it.
    ///
    /// # Errors
    /// Nothing answers there, or a fetch from anything but whole pages of memory.
    pub fn page(&self, addr: u64, access: Access) -> Result<PageRef, MemFault> {
        let flat = self.flat();
        let fault = |kind| MemFault { addr, access, kind };
        let range = flat.find(addr).ok_or(fault(FaultKind::Unmapped))?;
        if let Some(page) = direct_page(range, addr, access) {
            return Ok(page);
        }
        if access == Access::Fetch {
            return Err(fault(FaultKind::Bus));
        }
        Ok(PageRef { span: HostSpan::EMPTY, phys: addr >> PAGE_SHIFT, flags: PageFlags::DEVICE })
    }

    /// See [`GuestMemory::generation`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.tracker.generation()
    }

    /// See [`GuestMemory::set_code`].
    pub fn set_code(&self, phys: u64, code: bool) {
        let blocks = self.shared.blocks.borrow();
        let index = blocks.partition_point(|b| b.number(b.pages()) <= phys);
        if let Some((block, page)) = blocks.get(index).and_then(|b| Some((b, b.page_of(phys)?))) {
            block.set_code(page, code);
        }
    }

    /// See [`GuestMemory::take_invalidated`].
    pub fn take_invalidated(&self, pages: &mut Vec<u64>) {
        // Rendering finds the code that is no longer in the map.
        for view in self.shared.views.borrow().iter().filter(|v| v.stale.get()) {
            self.render(view);
        }
        self.shared.tracker.take(pages);
    }
}

/// The page that holds `addr`, if `access` goes straight to memory on all of it.
#[inline]
fn direct_page(range: &Range, addr: u64, access: Access) -> Option<PageRef> {
    let memory = range.memory.as_ref()?;
    let store = access == Access::Store;
    let allowed = if store { memory.write } else { memory.read };
    let start = addr & !PAGE_MASK;
    if !allowed || start < range.first || addr | PAGE_MASK > range.last {
        return None;
    }
    let offset = range.offset + (start - range.first);
    if offset & PAGE_MASK != 0 {
        return None;
    }
    let page = offset >> PAGE_SHIFT;
    let span = memory.block.span(offset, PAGE_SIZE, false)?;
    if store {
        memory.block.resolved(page);
    }
    let flags = if memory.block.code(page) { PageFlags::CODE } else { PageFlags::default() };
    Some(PageRef { span, phys: memory.block.number(page), flags })
}

impl GuestMemory for AddressSpace {
    fn page(&mut self, addr: u64, access: Access, _mode: u8) -> Result<PageRef, MemFault> {
        AddressSpace::page(self, addr, access)
    }

    fn generation(&self) -> u64 {
        AddressSpace::generation(self)
    }

    fn set_code(&mut self, phys: u64, code: bool) {
        AddressSpace::set_code(self, phys, code);
    }

    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        AddressSpace::take_invalidated(self, pages);
    }
}
