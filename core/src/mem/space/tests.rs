//! Tests of address spaces.

use super::*;
use crate::device::Bus;
use crate::mem::Size;

fn space() -> AddressSpace {
    AddressSpace::new("memory", "system", Reporter::new("memory", |_, _| {}))
}

fn pages(space: &AddressSpace) -> Vec<u64> {
    let mut pages = Vec::new();
    space.take_invalidated(&mut pages);
    pages
}

#[test]
fn code_written_by_devices_is_given_up() {
    let s = space();
    let block = s.block("ram", 4 * PAGE_SIZE).unwrap();
    s.add(s.root(), s.ram(&block), 0x8000_0000, 0).unwrap();
    let page = s.page(0x8000_1004, Access::Fetch).unwrap();
    s.set_code(page.phys, true);
    assert!(s.page(0x8000_1000, Access::Store).unwrap().flags.has(PageFlags::CODE));
    let generation = s.generation();
    s.write(0x8000_0000, &[1; 4096]).unwrap();
    assert_eq!((s.generation(), pages(&s)), (generation, vec![]), "another page");
    s.write(0x8000_0ffe, &[1; 4]).unwrap();
    assert_ne!(s.generation(), generation);
    assert_eq!(pages(&s), [page.phys]);
    assert!(!s.page(0x8000_1000, Access::Store).unwrap().flags.has(PageFlags::CODE));
    assert_eq!(s.load(0x8000_0ffe, Size::B4, &mut |_| 0), Ok(0x0101_0101));
}
