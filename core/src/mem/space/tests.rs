//! Tests of address spaces.

use super::*;
use crate::device::{Bus, BusError, Dma, Mapper};
use crate::mem::Size;
use crate::snapshot::StateError;

fn space() -> AddressSpace {
    AddressSpace::new("memory", "system", Reporter::new("memory", |_, _| {}))
}

/// A space with RAM of `pages` pages at 0x8000_0000.
fn with_ram(pages: u64) -> (AddressSpace, RamBlock) {
    let s = space();
    let block = s.block("ram", pages * PAGE_SIZE).unwrap();
    s.add(s.root(), s.ram(&block), RAM, 0).unwrap();
    (s, block)
}

const RAM: u64 = 0x8000_0000;

fn taken(space: &AddressSpace) -> Vec<u64> {
    let mut pages = Vec::new();
    space.take_invalidated(&mut pages);
    pages
}

/// The flat view: first, last and name.
fn flat(space: &AddressSpace) -> Vec<(u64, u64, String)> {
    let name = |r: &Range| space.shared.tree.borrow().get(r.region).name.clone();
    space.flat().ranges().iter().map(|r| (r.first, r.last, name(r))).collect()
}

fn put(space: &AddressSpace, parent: Region, name: &str, (at, size): (u64, u64), priority: i32) -> Region {
    let region = space.device(name, size, 0, 0).unwrap();
    space.add(parent, region, at, priority).unwrap();
    region
}

#[test]
fn higher_priorities_show_and_containers_have_holes() {
    // The example of QEMU's docs/devel/memory.rst.
    let s = space();
    let a = s.container("A", 0x8000).unwrap();
    s.add(s.root(), a, 0, 0).unwrap();
    put(&s, a, "C", (0, 0x6000), 1);
    let b = s.container("B", 0x4000).unwrap();
    s.add(a, b, 0x2000, 2).unwrap();
    put(&s, b, "D", (0, 0x1000), 0);
    put(&s, b, "E", (0x2000, 0x1000), 0);
    let expected = [(0, 0x1fff, "C"), (0x2000, 0x2fff, "D"), (0x3000, 0x3fff, "C"), (0x4000, 0x4fff, "E")];
    let mut expected: Vec<_> = expected.map(|(f, l, n)| (f, l, n.to_owned())).into();
    expected.push((0x5000, 0x5fff, "C".to_owned()));
    assert_eq!(flat(&s), expected);
    assert_eq!(s.target(0x3004, 4, Access::Load), (Target::Device { device: 0, window: 0, offset: 0x3004 }, 4));
    s.set_enabled(b, false);
    assert_eq!(flat(&s), [(0, 0x5fff, "C".to_owned())]);
    s.set_enabled(b, true);
    // A region with children is what shows in its holes.
    let own = s.device("B2", 0x4000, 1, 0).unwrap();
    s.add(a, own, 0x2000, 3).unwrap();
    put(&s, own, "F", (0x1000, 0x1000), -5);
    let names: Vec<_> = flat(&s).into_iter().map(|r| r.2).collect();
    assert_eq!(names, ["C", "B2", "F", "B2"]);
}

#[test]
fn the_latest_among_equals_shows() {
    let s = space();
    let first = put(&s, s.root(), "first", (0, 0x20), 0);
    put(&s, s.root(), "second", (0x10, 0x20), 0);
    let two = |s: &AddressSpace| flat(s).into_iter().map(|r| (r.0, r.2)).collect::<Vec<_>>();
    assert_eq!(two(&s), [(0, "first".to_owned()), (0x10, "second".to_owned())]);
    s.set_offset(first, 8);
    assert_eq!(two(&s), [(8, "first".to_owned()), (0x28, "second".to_owned())]);
    s.remove(first);
    assert_eq!(two(&s), [(0x10, "second".to_owned())]);
}

#[test]
fn aliases_of_aliases() {
    let s = space();
    let block = s.block("ram", 8 * PAGE_SIZE).unwrap();
    let ram = s.ram(&block);
    let inner = s.alias("inner", ram, 2 * PAGE_SIZE, 6 * PAGE_SIZE).unwrap();
    let outer = s.alias("outer", inner, PAGE_SIZE, 2 * PAGE_SIZE).unwrap();
    s.add(s.root(), outer, 0x10_0000, 0).unwrap();
    s.add(s.root(), ram, 0x20_0000, 0).unwrap();
    let (a, b) = (s.page(0x10_1000, Access::Store).unwrap(), s.page(0x20_4000, Access::Store).unwrap());
    assert_eq!((a.phys, a.span.as_ptr()), (b.phys, b.span.as_ptr()), "one page, one identity");
    assert_eq!(s.page(0x10_2000, Access::Load).unwrap_err().kind, FaultKind::Unmapped);
    // Code that was found through one is given up when it is written through the other.
    s.set_code(a.phys, true);
    s.write(0x20_4123, &[1]).unwrap();
    assert_eq!(taken(&s), [a.phys]);
    s.set_alias_offset(outer, 0).unwrap();
    assert_eq!(s.page(0x10_2000 - PAGE_SIZE, Access::Load).unwrap().phys, a.phys - 1);
    assert!(s.set_alias_offset(outer, 5 * PAGE_SIZE).is_err());
    assert!(s.alias("beyond", inner, PAGE_SIZE, 6 * PAGE_SIZE).is_err());
    assert!(s.alias("round", inner, u64::MAX, 2).is_err());
}

#[test]
fn a_tree_stays_a_tree() {
    let s = space();
    let (a, b) = (s.container("a", 0x1000).unwrap(), s.container("b", 0x1000).unwrap());
    s.add(s.root(), a, 0, 0).unwrap();
    s.add(a, b, 0, 0).unwrap();
    assert_eq!(s.add(s.root(), b, 0, 0), Err(SpaceError::Placed { name: "b".into() }));
    assert_eq!(s.add(b, s.root(), 0, 0), Err(SpaceError::Cycle { name: "system".into() }));
    let alias = s.alias("alias", a, 0, 16).unwrap();
    assert_eq!(s.add(b, alias, 0, 0), Err(SpaceError::Cycle { name: "alias".into() }));
    assert_eq!(s.add(alias, s.container("c", 1).unwrap(), 0, 0), Err(SpaceError::Alias { name: "alias".into() }));
    assert!(matches!(s.container("none", 0), Err(SpaceError::Size { .. })));
    assert!(matches!(s.block("none", 0), Err(SpaceError::Size { .. })));
    assert!(matches!(s.block("huge", u64::MAX), Err(SpaceError::NoMemory { .. })));
    s.block("ram", 1).unwrap();
    assert_eq!(s.block("ram", 1).unwrap_err(), SpaceError::Twice { name: "ram".into() });
}

#[test]
fn the_last_addresses() {
    let s = space();
    let block = s.block("top", PAGE_SIZE).unwrap();
    s.add(s.root(), s.ram(&block), 0u64.wrapping_sub(PAGE_SIZE), 0).unwrap();
    let low = s.block("low", PAGE_SIZE).unwrap();
    s.add(s.root(), s.ram(&low), 0, 0).unwrap();
    assert!(s.page(u64::MAX, Access::Store).is_ok());
    assert_eq!(s.target(u64::MAX, 8, Access::Load), (Target::Memory, 1));
    s.write(u64::MAX - 1, &[1, 2]).unwrap();
    assert_eq!(s.write(u64::MAX, &[3, 4]), Err(BusError { addr: 0 }), "devices' transfers do not go round");
    assert_eq!(s.span(u64::MAX - 3, u64::MAX, false).unwrap().len(), 4);
    s.write(0, &[5]).unwrap();
    assert_eq!(s.load(u64::MAX, Size::B2, &mut |_| 0), Ok(0x0503), "addresses of CPUs do");
    // Regions that reach beyond the end are cut.
    let far = put(&s, s.root(), "far", (u64::MAX - 1, 0x100), 1);
    assert_eq!(flat(&s).last(), Some(&(u64::MAX - 1, u64::MAX, "far".to_owned())));
    s.set_offset(far, u64::MAX);
    assert_eq!(s.target(u64::MAX, 1, Access::Load).0, Target::Device { device: 0, window: 0, offset: 0 });
    // All 2^64 addresses once more, shifted.
    let all = s.container_of_all("all");
    put(&s, all, "end", (u64::MAX, 1), 0);
    let shifted = s.alias("shifted", all, 1, u64::MAX).unwrap();
    s.add(s.root(), shifted, 1, 2).unwrap();
    assert_eq!(flat(&s).last(), Some(&(u64::MAX, u64::MAX, "end".to_owned())));
}

#[test]
fn a_page_of_several_things_is_served_piece_by_piece() {
    let s = space();
    let block = s.block("ram", 0x800).unwrap();
    s.add(s.root(), s.ram(&block), 0x1000, 0).unwrap();
    put(&s, s.root(), "regs", (0x1803, 0x10), 0);
    assert!(s.page(0x1000, Access::Load).unwrap().flags.has(PageFlags::DEVICE));
    assert_eq!(s.page(0x1000, Access::Fetch).unwrap_err().kind, FaultKind::Bus);
    assert_eq!(s.page(0x1802, Access::Load).unwrap_err().kind, FaultKind::Unmapped);
    s.store(0x17f8, Size::B8, 0x1122_3344_5566_7788, &mut |_, _| panic!("no device")).unwrap();
    let mut bytes = [0; 8];
    s.read(0x17f8, &mut bytes).unwrap();
    assert_eq!(bytes, 0x1122_3344_5566_7788_u64.to_le_bytes());
    let fault = MemFault { addr: 0x1800, access: Access::Load, kind: FaultKind::Unmapped };
    assert_eq!(s.load(0x17fc, Size::B8, &mut |_| panic!("faults come first")), Err(fault));
    // Bytes 1803 to 1808 of the device: one, then four, then one.
    let mut asked = Vec::new();
    let open = s.open_bus("open", 0x2000).unwrap();
    s.add(s.root(), open, 0x1000, -1).unwrap();
    let value = s.load(0x1801, Size::B8, &mut |a| {
        asked.push((a.offset, a.size));
        0xffff_ff00 | (0x10 * (a.offset + 1))
    });
    assert_eq!(asked, [(0, Size::B1), (1, Size::B4), (5, Size::B1)]);
    assert_eq!(value, Ok(0x60ff_ffff_2010_ffff));
    assert_eq!(s.load(0x1809, Size::B4, &mut |a| a.offset), Ok(6), "whole accesses are the device's own affair");
}

#[test]
fn read_only_memory() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let (lines, again) = (log.clone(), Rc::new(RefCell::new(None::<AddressSpace>)));
    let inner = again.clone();
    let report = Reporter::new("memory", move |_, text| {
        lines.borrow_mut().push(text.to_string());
        // A reporter may look at, and even change, the space that calls it.
        if let Some(space) = &*inner.borrow() {
            let _ = space.flat_text();
            space.set_offset(space.root(), 0);
        }
    });
    let s = AddressSpace::new("memory", "system", report.clone());
    again.replace(Some(s.clone()));
    let block = s.block("rom", PAGE_SIZE).unwrap();
    assert!(block.write(0, b"boot"));
    let rom = s.rom(&block);
    s.add(s.root(), rom, 0x1000, 0).unwrap();
    assert!(!s.page(0x1000, Access::Fetch).unwrap().flags.has(PageFlags::DEVICE));
    assert!(s.page(0x1000, Access::Store).unwrap().flags.has(PageFlags::DEVICE));
    assert_eq!(s.target(0x1000, 4, Access::Store), (Target::Rom, 4));
    assert_eq!(s.store(0x1000, Size::B4, 0, &mut |_, _| {}), Ok(()));
    assert_eq!(report.counts(), (1, 0));
    assert_eq!(*log.borrow(), ["memory: store to read-only memory at 0x1000"]);
    assert_eq!(s.write(0x1000, &[0]), Err(BusError { addr: 0x1000 }));
    assert_eq!(s.load(0x1000, Size::B4, &mut |_| 0), Ok(u64::from(u32::from_le_bytes(*b"boot"))));
    again.replace(None);
}

#[test]
fn rom_devices_switch() {
    let s = space();
    let block = s.block("flash", 2 * PAGE_SIZE).unwrap();
    let flash = s.rom_device(&block, 3, 1);
    s.add(s.root(), flash, 0x2000_0000, 0).unwrap();
    let at = 0x2000_1000;
    let device = |offset| Target::Device { device: 3, window: 1, offset };
    let page = s.page(at, Access::Fetch).unwrap();
    assert!(!page.flags.has(PageFlags::DEVICE));
    assert!(s.page(at, Access::Store).unwrap().flags.has(PageFlags::DEVICE));
    assert_eq!(s.target(at, 4, Access::Store), (device(0x1000), 4));
    s.set_code(page.phys, true);
    let generation = s.generation();
    s.set_direct(flash, false);
    assert_ne!(s.generation(), generation);
    assert_eq!(taken(&s), [page.phys], "nobody may run what is no longer read");
    assert_eq!(s.target(at, 4, Access::Load), (device(0x1000), 4));
    assert!(s.page(at, Access::Load).unwrap().flags.has(PageFlags::DEVICE));
    assert_eq!(s.read(at, &mut [0]), Err(BusError { addr: at }));
    // The device writes its array, and reads are direct again.
    assert!(block.write(0x1000, &[9]));
    s.set_direct(flash, true);
    assert_eq!(s.load(at, Size::B1, &mut |_| 0), Ok(9));
    let generation = s.generation();
    s.set_direct(flash, true);
    assert_eq!(s.generation(), generation, "nothing changed");
}

#[test]
fn devices_move_their_windows() {
    let report = Reporter::new("memory", |_, _| {});
    let s = AddressSpace::new("memory", "system", report.clone());
    let pci = s.container_of_all("pci");
    let hole = s.alias("hole", pci, 0x4000_0000, 0x4000_0000).unwrap();
    s.add(s.root(), hole, 0x4000_0000, 0).unwrap();
    let bar = s.device("bar", 0x1000, 7, 2).unwrap();
    s.window((7, 2), bar, pci, 1).unwrap();
    assert_eq!(s.window((7, 2), bar, pci, 1), Err(SpaceError::Twice { name: "bar".into() }));
    let placed = put(&s, s.root(), "placed", (0, 1), 0);
    assert_eq!(s.window((7, 3), placed, pci, 1), Err(SpaceError::Placed { name: "placed".into() }));
    let pci_alias = s.alias("loop", pci, 0, 16).unwrap();
    assert_eq!(s.window((7, 3), pci_alias, pci, 1), Err(SpaceError::Cycle { name: "loop".into() }));
    let mapper = Mapper::new(Rc::new(s.clone()), 7);
    assert_eq!(flat(&s).len(), 1);
    for at in [0x5000_0000, 0x7fff_f800, 0x4000_0000] {
        mapper.map(2, Some(at));
        let end = (at + 0xfff).min(0x7fff_ffff);
        assert_eq!(flat(&s)[1], (at, end, "bar".to_owned()));
    }
    // A guest may program any address; outside of the bridge's window nobody sees it.
    for at in [0x8000_0000, u64::MAX, 0] {
        mapper.map(2, Some(at));
        assert_eq!(flat(&s).len(), 1, "{at:#x}");
        assert!(!s.tree_text(true).is_empty());
    }
    mapper.map(2, None);
    mapper.map(2, None);
    assert_eq!(report.counts(), (0, 0));
    mapper.map(9, Some(0));
    assert_eq!(report.counts(), (0, 1));
}

#[test]
fn code_written_by_devices_is_given_up() {
    let (s, _) = with_ram(4);
    let page = s.page(RAM + 0x1004, Access::Fetch).unwrap();
    s.set_code(page.phys, true);
    assert!(s.page(RAM + 0x1000, Access::Store).unwrap().flags.has(PageFlags::CODE));
    let generation = s.generation();
    let dma = Dma::new(Rc::new(s.clone()));
    dma.write(RAM, &[1; 4096]).unwrap();
    assert_eq!((s.generation(), taken(&s)), (generation, vec![]), "another page");
    dma.write(RAM + 0xffe, &[1; 4]).unwrap();
    assert_ne!(s.generation(), generation);
    assert_eq!(taken(&s), [page.phys]);
    assert!(!s.page(RAM + 0x1000, Access::Store).unwrap().flags.has(PageFlags::CODE));
    assert_eq!(s.load(RAM + 0xffe, Size::B4, &mut |_| 0), Ok(0x0101_0101));
    for write in [false, true] {
        s.set_code(page.phys, true);
        assert_eq!(dma.span(RAM + 0x1800, 0x10_0000, write).unwrap().len(), 0x2800);
        assert_eq!(taken(&s).len(), usize::from(write));
    }
    // The guest's own stores outside of pages, too.
    s.set_code(page.phys, true);
    s.store(RAM + 0x1000, Size::B1, 0, &mut |_, _| {}).unwrap();
    assert_eq!(taken(&s), [page.phys]);
    s.set_code(u64::MAX, true);
    s.set_code(4, true);
}

#[test]
fn dirty_pages_are_told_once() {
    let (s, block) = with_ram(8);
    assert!(block.take_dirty(DirtyClient::Migration).is_empty());
    s.page(RAM + 0x2000, Access::Store).unwrap();
    s.page(RAM + 0x3000, Access::Load).unwrap();
    s.write(RAM + 0x4fff, &[0; 2]).unwrap();
    let generation = s.generation();
    assert_eq!(block.take_dirty(DirtyClient::Migration), [2, 4, 5]);
    assert_ne!(s.generation(), generation, "tiers ask again");
    let generation = s.generation();
    assert!(block.take_dirty(DirtyClient::Migration).is_empty());
    assert_eq!(s.generation(), generation);
    s.page(RAM + 0x2000, Access::Store).unwrap();
    s.span(RAM + 0x7000, 1, true).unwrap();
    assert_eq!(block.take_dirty(DirtyClient::Migration), [2, 7]);
    assert_eq!(block.take_dirty(DirtyClient::Checkpoint), [2, 4, 5, 7], "clients do not take from each other");
}

#[test]
fn contents_are_saved_restored_and_digested() {
    let make = || {
        let (s, ram) = with_ram(64);
        let odd = s.block("odd", PAGE_SIZE + 5).unwrap();
        (s, ram, odd)
    };
    let (s, ram, odd) = make();
    let empty = s.digest();
    assert_eq!(s.saved_pages().count(), 0);
    s.page(RAM, Access::Store).unwrap();
    assert!(ram.write(7 * PAGE_SIZE, &[0; 64]));
    assert_eq!((s.saved_pages().count(), s.digest()), (0, empty), "zeros are zeros, written or not");
    assert!(ram.write(9 * PAGE_SIZE - 1, &[1, 2]) && odd.write(PAGE_SIZE + 4, &[3]));
    assert!(!odd.write(PAGE_SIZE + 4, &[3, 4]) && !odd.write(u64::MAX, &[1]) && !odd.read(PAGE_SIZE + 5, &mut [0]));
    let digest = s.digest();
    assert_ne!(digest, empty);
    let pages: Vec<SavedPage> = s.saved_pages().collect();
    let places: Vec<_> = pages.iter().map(|p| (p.block, p.page, p.bytes.len())).collect();
    assert_eq!(places, [(0, 8, 4096), (0, 9, 4096), (1, 1, 5)]);

    let (t, other, _) = make();
    assert!(other.write(20 * PAGE_SIZE, &[1; 9]));
    let phys = t.page(RAM + 20 * PAGE_SIZE, Access::Fetch).unwrap().phys;
    t.set_code(phys, true);
    t.begin_restore(&s.layout()).unwrap();
    assert_eq!(taken(&t), [phys]);
    for page in &pages {
        t.restore_page(page).unwrap();
    }
    assert_eq!((t.digest(), t.saved_pages().collect::<Vec<_>>()), (digest, pages.clone()));
    for flip in 0..PAGE_SIZE {
        let offset = 8 * PAGE_SIZE + flip;
        let mut byte = [0];
        assert!(ram.read(offset, &mut byte) && ram.write(offset, &[byte[0] ^ 0x80]));
        assert_ne!(s.digest(), digest);
        assert!(ram.write(offset, &byte));
        if cfg!(miri) && flip > 8 {
            break;
        }
    }

    // What was not saved from here is refused.
    let bad = |page: SavedPage| matches!(t.restore_page(&page), Err(StateError::Field(..)));
    let page = pages[2].clone();
    assert!(bad(SavedPage { block: 2, ..page.clone() }));
    assert!(bad(SavedPage { page: 2, ..page.clone() }));
    assert!(bad(SavedPage { page: u64::MAX, ..page.clone() }));
    assert!(bad(SavedPage { page: 0, ..page.clone() }));
    assert!(bad(SavedPage { bytes: vec![1; 6], ..page }));
    let mut layout = s.layout();
    layout[1].size += 1;
    assert!(t.begin_restore(&layout).is_err() && t.begin_restore(&layout[..1]).is_err());
    assert_eq!(t.digest(), digest, "nothing changed");
    t.begin_restore(&s.layout()).unwrap();
    assert_eq!(t.digest(), empty);
}

/// Memory lent by a block of another space, which notes what is given back.
struct Lent(RamBlock, RefCell<Vec<(usize, usize)>>);

impl HostMemory for Lent {
    fn span(&self) -> HostSpan {
        self.0.span(0, self.0.size(), false).unwrap()
    }

    fn discard(&self, offset: usize, len: usize) -> bool {
        // Like a host with pages of 16 KiB.
        let whole = offset.is_multiple_of(0x4000) && len.is_multiple_of(0x4000);
        if whole {
            self.0.zero(offset as u64, len as u64);
            self.1.borrow_mut().push((offset, len));
        }
        whole
    }
}

#[test]
fn memory_of_others() {
    let lent = space().block("lent", 16 * PAGE_SIZE).unwrap();
    assert!(lent.write(0, &[7; 0x1_0000]));
    let lent = Rc::new(Lent(lent, RefCell::default()));
    let s = space();
    let block = s.block_over("shared", lent.clone()).unwrap();
    s.add(s.root(), s.ram(&block), 0, 0).unwrap();
    assert_eq!(s.load(PAGE_SIZE, Size::B1, &mut |_| 0), Ok(7));
    assert_eq!(s.saved_pages().count(), 16, "its contents are looked at");
    let _ = block.take_dirty(DirtyClient::Inspect);
    s.set_code(block.number(5), true);

    let zeros = || {
        let mut bytes = vec![0; 0x1_0000];
        assert!(block.read(0, &mut bytes));
        bytes.iter().enumerate().filter(|b| *b.1 == 0).map(|b| b.0).collect::<Vec<_>>()
    };
    let dma = Dma::new(Rc::new(s.clone()));
    dma.discard(0x3ffe, 0x4003).unwrap();
    assert_eq!(zeros(), (0x3ffe..0x8001).collect::<Vec<_>>());
    assert_eq!(*lent.1.borrow(), [(0x4000, 0x4000)]);
    assert_eq!(block.take_dirty(DirtyClient::Inspect), [3, 4, 5, 6, 7, 8]);
    assert_eq!(taken(&s), [block.number(5)]);
    dma.discard(0x9000, 0x1000).unwrap();
    assert_eq!(zeros().len(), 0x5003, "what the host does not take back is zeroed all the same");
    assert_eq!(dma.discard(0xff00, 0x101), Err(BusError { addr: 0x1_0000 }));
    assert_eq!(zeros().len(), 0x5103);
    assert_eq!(dma.discard(u64::MAX, 2), Err(BusError { addr: u64::MAX }));
    block.discard(0, u64::MAX);
    assert_eq!((zeros().len(), lent.1.borrow().len()), (0x1_0000, 2));

    assert_eq!(Rc::strong_count(&lent), 2);
    drop((s, block, dma));
    assert_eq!(Rc::strong_count(&lent), 1);
}

#[test]
fn views_share_regions() {
    let (s, _) = with_ram(2);
    let pci = s.container_of_all("bus master");
    let dma = s.view("device", pci);
    assert_eq!(dma.write(RAM, &[1]), Err(BusError { addr: RAM }));
    let all = s.alias("all", s.root(), 0, u64::MAX).unwrap();
    s.add(pci, all, 0, 0).unwrap();
    dma.write(RAM, &[1]).unwrap();
    assert_eq!(s.load(RAM, Size::B1, &mut |_| 0), Ok(1));
    assert_eq!(dma.root(), pci);
    // What one view loses, tiers hear of, whichever view they use.
    let phys = s.page(RAM, Access::Fetch).unwrap().phys;
    s.set_code(phys, true);
    s.remove(all);
    assert_eq!(taken(&dma), [phys]);
}
