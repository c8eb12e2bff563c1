//! Random trees against a model that looks up one byte at a time, by the rules and not by rendering.

use super::*;
use crate::device::{Bus, BusError};
use crate::ir::random::splitmix;
use crate::mem::Size;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Container,
    Open,
    Alias(usize, u64),
    Ram(usize),
    Rom(usize),
    Device(u32),
    RomDevice(usize, u32, bool),
}

struct Place {
    child: usize,
    offset: u64,
    priority: i32,
    order: u64,
}

struct Node {
    region: Region,
    size: u64,
    what: What,
    enabled: bool,
    children: Vec<Place>,
}

/// What answers to one byte: a leaf and the place in it.
type Answer = Option<(usize, u64)>;

struct Model {
    space: AddressSpace,
    nodes: Vec<Node>,
    /// Blocks and what they hold.
    blocks: Vec<(RamBlock, Vec<u8>)>,
    order: u64,
    /// All offsets and sizes are multiples of it.
    unit: u64,
}

/// Units that a space is looked at.
const UNITS: u64 = 48;

impl Model {
    fn new(unit: u64) -> Model {
        let space = AddressSpace::new("memory", "system", Reporter::new("memory", |_, _| {}));
        let root = Node {
            region: space.root(),
            size: UNITS * unit,
            what: What::Container,
            enabled: true,
            children: Vec::new(),
        };
        Model { space, nodes: vec![root], blocks: Vec::new(), order: 0, unit }
    }

    /// The rules of DESIGN section 6 for one byte.
    fn look(&self, node: usize, at: u64) -> Answer {
        let n = &self.nodes[node];
        if !n.enabled || (at >= n.size && node != 0) {
            return None;
        }
        if let What::Alias(target, offset) = n.what {
            return self.look(target, at + offset);
        }
        let mut order: Vec<&Place> = n.children.iter().collect();
        order.sort_by_key(|p| (-i64::from(p.priority), u64::MAX - p.order));
        for place in order {
            let inside = at.checked_sub(place.offset);
            if let Some(found) = inside.and_then(|at| self.look(place.child, at)) {
                return Some(found);
            }
        }
        (n.what != What::Container).then_some((node, at))
    }

    fn target(&self, addr: u64, access: Access) -> Target {
        let Some((node, offset)) = self.look(0, addr) else { return Target::Nothing };
        let device = |device| Target::Device { device, window: 0, offset };
        match self.nodes[node].what {
            What::Open => Target::Open,
            What::Ram(_) => Target::Memory,
            What::Rom(_) if access == Access::Store => Target::Rom,
            What::RomDevice(_, _, true) if access != Access::Store => Target::Memory,
            What::Rom(_) => Target::Memory,
            What::Device(n) | What::RomDevice(_, n, _) => device(n),
            What::Container | What::Alias(..) => unreachable!("no leaf"),
        }
    }

    /// Block and offset of the memory at an address.
    fn memory(&self, addr: u64, access: Access) -> Option<(usize, u64)> {
        let (node, offset) = self.look(0, addr)?;
        match self.nodes[node].what {
            What::Ram(block) => Some((block, offset)),
            What::Rom(block) | What::RomDevice(block, _, true) if access != Access::Store => Some((block, offset)),
            _ => None,
        }
    }

    fn insert(&mut self, rng: &mut impl FnMut() -> u64) {
        let n = self.nodes.len();
        let mut size = (1 + rng() % 20) * self.unit;
        let name = format!("r{n}");
        let s = self.space.clone();
        let (region, what) = match rng() % 8 {
            0 | 1 => (s.container(&name, size).unwrap(), What::Container),
            2 => (s.device(&name, size, n as u32, 0).unwrap(), What::Device(n as u32)),
            3 => (s.open_bus(&name, size).unwrap(), What::Open),
            4 if n > 1 => {
                let target = 1 + rng() as usize % (n - 1);
                let units = self.nodes[target].size / self.unit;
                let offset = rng() % units;
                size = (1 + rng() % (units - offset)) * self.unit;
                let offset = offset * self.unit;
                let alias = s.alias(&name, self.nodes[target].region, offset, size).unwrap();
                (alias, What::Alias(target, offset))
            }
            kind => {
                let block = s.block(&name, size).unwrap();
                let index = self.blocks.len();
                self.blocks.push((block.clone(), vec![0; size as usize]));
                match kind {
                    5 => (s.rom(&block), What::Rom(index)),
                    6 => (s.rom_device(&block, n as u32, 0), What::RomDevice(index, n as u32, true)),
                    _ => (s.ram(&block), What::Ram(index)),
                }
            }
        };
        self.nodes.push(Node { region, size, what, enabled: true, children: Vec::new() });
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        let n = &self.nodes[from];
        from == to
            || n.children.iter().any(|p| self.reaches(p.child, to))
            || matches!(n.what, What::Alias(target, _) if self.reaches(target, to))
    }

    fn placed(&self, child: usize) -> bool {
        self.nodes.iter().any(|n| n.children.iter().any(|p| p.child == child))
    }

    fn add(&mut self, parent: usize, child: usize, offset: u64, priority: i32) {
        let (p, c) = (self.nodes[parent].region, self.nodes[child].region);
        let result = self.space.add(p, c, offset, priority);
        let name = format!("r{child}");
        if let What::Alias(..) = self.nodes[parent].what {
            assert_eq!(result, Err(SpaceError::Alias { name: format!("r{parent}") }));
        } else if self.placed(child) {
            assert_eq!(result, Err(SpaceError::Placed { name }));
        } else if self.reaches(child, parent) {
            assert!(matches!(result, Err(SpaceError::Cycle { .. })), "{parent} {child}");
        } else {
            assert_eq!(result, Ok(()));
            self.order += 1;
            self.nodes[parent].children.push(Place { child, offset, priority, order: self.order });
        }
    }

    /// Something happens.
    fn step(&mut self, rng: &mut impl FnMut() -> u64) {
        let node = 1 + rng() as usize % (self.nodes.len() - 1);
        let offset = rng() % UNITS * self.unit;
        let region = self.nodes[node].region;
        match rng() % 8 {
            0 => {
                self.space.remove(region);
                self.nodes.iter_mut().for_each(|n| n.children.retain(|p| p.child != node));
            }
            1 | 2 => {
                self.space.set_offset(region, offset);
                let order = self.order + 1;
                for place in self.nodes.iter_mut().flat_map(|n| &mut n.children).filter(|p| p.child == node) {
                    if place.offset != offset {
                        (place.offset, place.order) = (offset, order);
                        self.order = order;
                    }
                }
            }
            3 => {
                let on = !rng().is_multiple_of(3);
                self.space.set_enabled(region, on);
                self.nodes[node].enabled = on;
            }
            4 => {
                let on = rng() & 1 == 0;
                self.space.set_direct(region, on);
                if let What::RomDevice(_, _, direct) = &mut self.nodes[node].what {
                    *direct = on;
                }
            }
            5 => {
                let to = offset / 4 / self.unit * self.unit;
                let result = self.space.set_alias_offset(region, to);
                let size = self.nodes[node].size;
                let what = self.nodes[node].what;
                match what {
                    What::Alias(target, _) if to + size <= self.nodes[target].size => {
                        assert_eq!(result, Ok(()));
                        self.nodes[node].what = What::Alias(target, to);
                    }
                    _ => assert!(result.is_err()),
                }
            }
            _ => {
                let parent = rng() as usize % self.nodes.len();
                self.add(parent, node, offset, (rng() % 4) as i32 - 1);
            }
        }
    }

    /// Every unit's first and last byte answers as the model says.
    fn compare(&self) {
        let s = &self.space;
        for addr in (0..UNITS + 8).flat_map(|u| [u * self.unit, (u + 1) * self.unit - 1]) {
            for access in [Access::Load, Access::Store, Access::Fetch] {
                let (found, len) = s.target(addr, self.unit, access);
                assert_eq!(found, self.target(addr, access), "{addr:#x} {access:?}\n{}", s.tree_text(true));
                assert!(len >= 1 && addr + len <= (addr / self.unit + 2) * self.unit);
            }
            let mut byte = [0];
            let expected = self.memory(addr, Access::Load).map(|(block, at)| self.blocks[block].1[at as usize]);
            let read = s.read(addr, &mut byte).ok().map(|()| byte[0]);
            assert_eq!(read, expected, "{addr:#x}");
        }
        let flat = s.flat();
        assert!(flat.ranges().iter().all(|r| r.first <= r.last));
        assert!(flat.ranges().windows(2).all(|w| w[0].last < w[1].first));
    }

    /// Writes by a device, and by CPUs.
    fn write(&mut self, rng: &mut impl FnMut() -> u64) {
        let addr = rng() % (UNITS * self.unit);
        let bytes: Vec<u8> = (0..rng() % (3 * self.unit).min(64)).map(|_| rng() as u8).collect();
        let answers: Vec<_> = (0..bytes.len() as u64).map(|i| self.memory(addr + i, Access::Store)).collect();
        let good = answers.iter().position(Option::is_none).unwrap_or(bytes.len());
        let expected = if good == bytes.len() { Ok(()) } else { Err(BusError { addr: addr + good as u64 }) };
        assert_eq!(self.space.write(addr, &bytes), expected);
        for (byte, (block, at)) in bytes[..good].iter().zip(answers.iter().flatten()) {
            self.blocks[*block].1[*at as usize] = *byte;
        }
    }

    fn cpu(&mut self, rng: &mut impl FnMut() -> u64) {
        let addr = rng() % (UNITS * self.unit);
        let (size, value) = (Size::from_log2(rng() as u8), rng());
        let n = size.bytes();
        let hole = |access| (addr..addr + n).find(|a| self.target(*a, access) == Target::Nothing);
        let fault = |access| hole(access).map(|addr| MemFault { addr, access, kind: FaultKind::Unmapped });
        let mut asked = Vec::new();
        let loaded = self.space.load(addr, size, &mut |a| {
            asked.push(a);
            0x0807_0605_0403_0201_u64.wrapping_mul(u64::from(a.device) + 1).rotate_left(8 * (a.offset as u32 & 7))
        });
        match fault(Access::Load) {
            Some(fault) => assert_eq!((loaded, asked.len()), (Err(fault), 0)),
            None => {
                let of_devices = |a: &u64| matches!(self.target(*a, Access::Load), Target::Device { .. });
                let bytes = (addr..addr + n).filter(of_devices).count() as u64;
                assert_eq!(asked.iter().map(|a| a.size.bytes()).sum::<u64>(), bytes, "asked once for each byte");
                for i in 0..n {
                    let byte = (loaded.unwrap() >> (8 * i)) as u8;
                    match self.target(addr + i, Access::Load) {
                        Target::Memory => {
                            let (block, at) = self.memory(addr + i, Access::Load).unwrap();
                            assert_eq!(byte, self.blocks[block].1[at as usize]);
                        }
                        Target::Device { device, offset, .. } => {
                            let here = |a: &&DeviceAccess| {
                                a.device == device && (a.offset..a.offset + a.size.bytes()).contains(&offset)
                            };
                            assert!(asked.iter().any(|a| here(&a)), "asked for each byte");
                        }
                        other => assert_eq!((other, byte), (Target::Open, 0xff)),
                    }
                }
            }
        }
        let mut told: Vec<(u32, u64, u8)> = Vec::new();
        let stored = self.space.store(addr, size, value, &mut |a, value| {
            told.extend((0..a.size.bytes()).map(|i| (a.device, a.offset + i, (value >> (8 * i)) as u8)));
        });
        match fault(Access::Store) {
            Some(fault) => assert_eq!((stored, told.len()), (Err(fault), 0)),
            None => {
                assert_eq!(stored, Ok(()));
                for i in 0..n {
                    let byte = (value >> (8 * i)) as u8;
                    match self.target(addr + i, Access::Store) {
                        Target::Memory => {
                            let (block, at) = self.memory(addr + i, Access::Store).unwrap();
                            self.blocks[block].1[at as usize] = byte;
                        }
                        Target::Device { device, offset, .. } => assert!(told.contains(&(device, offset, byte))),
                        other => assert!(matches!(other, Target::Open | Target::Rom)),
                    }
                }
            }
        }
    }

    /// Where each page of the space is, if a tier may fetch from it.
    fn fetches(&self) -> Vec<Option<u64>> {
        let pages = (UNITS * self.unit).div_ceil(PAGE_SIZE);
        (0..pages).map(|p| self.space.page(p * PAGE_SIZE, Access::Fetch).ok().map(|page| page.phys)).collect()
    }

    /// A page reference is handed out exactly for pages that are whole pages of one block.
    fn compare_pages(&self) {
        for (addr, access) in
            (0..UNITS).flat_map(|u| [Access::Load, Access::Store, Access::Fetch].map(|a| (u * self.unit, a)))
        {
            let page = addr & !PAGE_MASK;
            let start = self.memory(page, access);
            let whole = start.is_some_and(|(block, at)| {
                at % PAGE_SIZE == 0
                    && (0..PAGE_SIZE).step_by(self.unit as usize).all(|i| {
                        self.memory(page + i, access) == Some((block, at + i)) && self.same_leaf(page, page + i)
                    })
            });
            let found = self.space.page(addr, access);
            match start {
                Some((block, at)) if whole => {
                    let page = found.unwrap();
                    assert!(!page.flags.has(PageFlags::DEVICE));
                    assert_eq!(page.span.len() as u64, PAGE_SIZE);
                    assert_eq!(page.phys, self.blocks[block].0.number(at / PAGE_SIZE));
                    let mut bytes = vec![0; PAGE_SIZE as usize];
                    assert!(page.span.read(0, &mut bytes));
                    assert_eq!(bytes, self.blocks[block].1[at as usize..][..PAGE_SIZE as usize]);
                }
                _ if self.look(0, addr).is_none() => {
                    assert_eq!(found.unwrap_err(), MemFault { addr, access, kind: FaultKind::Unmapped });
                }
                _ if access == Access::Fetch => assert_eq!(found.unwrap_err().kind, FaultKind::Bus),
                _ => {
                    let page = found.unwrap();
                    assert!(page.flags.has(PageFlags::DEVICE) && page.span.is_empty());
                }
            }
        }
    }

    fn same_leaf(&self, a: u64, b: u64) -> bool {
        self.look(0, a).map(|f| f.0) == self.look(0, b).map(|f| f.0)
    }
}

/// How much of it the interpreter of undefined behaviour can bear.
const fn rounds(seeds: u64) -> u64 {
    if cfg!(miri) { 1 } else { seeds }
}

/// Steps per seed.
const STEPS: u64 = if cfg!(miri) { 3 } else { 40 };

fn grown(unit: u64, seed: u64) -> (Model, impl FnMut() -> u64) {
    let mut rng = splitmix(seed);
    let mut m = Model::new(unit);
    for _ in 0..3 + rng() % 16 {
        m.insert(&mut rng);
    }
    for _ in 0..30 {
        let node = 1 + rng() as usize % (m.nodes.len() - 1);
        let parent = if rng() & 1 == 0 { 0 } else { rng() as usize % m.nodes.len() };
        m.add(parent, node, rng() % UNITS * unit, (rng() % 4) as i32 - 1);
    }
    (m, rng)
}

#[test]
fn bytes_answer_as_the_rules_say() {
    let seeds = rounds(400);
    for seed in 0..seeds {
        let (mut m, mut rng) = grown(1, seed);
        m.compare();
        for _ in 0..STEPS {
            m.step(&mut rng);
            m.write(&mut rng);
            m.cpu(&mut rng);
            m.compare();
        }
    }
}

#[test]
fn pages_are_handed_out_only_whole() {
    let seeds = rounds(150);
    for seed in 0..seeds {
        let (mut m, mut rng) = grown(PAGE_SIZE / 2, 1000 + seed);
        for _ in 0..STEPS {
            m.step(&mut rng);
            m.write(&mut rng);
            m.cpu(&mut rng);
            m.compare();
            m.compare_pages();
        }
    }
}

#[test]
fn code_that_leaves_the_map_is_reported() {
    let seeds = rounds(300);
    let mut reported = 0;
    for seed in 0..seeds {
        let (mut m, mut rng) = grown(PAGE_SIZE, 5000 + seed);
        for _ in 0..STEPS {
            let before = m.fetches();
            for phys in before.iter().flatten().filter(|_| rng() & 1 == 0) {
                m.space.set_code(*phys, true);
            }
            let code = |phys: u64| m.blocks.iter().any(|(b, _)| b.page_of(phys).is_some_and(|p| b.code(p)));
            let marked: Vec<bool> = before.iter().map(|phys| phys.is_some_and(code)).collect();
            let generation = m.space.generation();
            m.step(&mut rng);
            if rng() & 1 == 0 {
                m.step(&mut rng);
            }
            let changed = m.space.generation() != generation;
            let mut taken = Vec::new();
            m.space.take_invalidated(&mut taken);
            let after = m.fetches();
            for ((old, new), marked) in before.iter().zip(&after).zip(marked) {
                assert!(old == new || changed, "who holds a page hears of it");
                let gone = old.filter(|_| marked && old != new);
                assert!(gone.is_none_or(|phys| taken.contains(&phys)), "{old:?} {new:?} {taken:?}");
            }
            for phys in &taken {
                let flags = m.blocks.iter().find_map(|(b, _)| b.page_of(*phys).map(|p| b.code(p)));
                assert_eq!(flags, Some(false));
            }
            reported += taken.len();
        }
    }
    assert!(reported > 0 || cfg!(miri));
}

#[test]
fn a_restored_map_is_the_saved_one() {
    let seeds = rounds(200);
    for seed in 0..seeds {
        let (mut m, mut rng) = grown(16, 9000 + seed);
        let (saved, tree, flat) = (m.space.save_map().unwrap(), m.space.tree_text(true), m.space.flat_text());
        for _ in 0..10 {
            m.step(&mut rng);
        }
        let changed = m.space.save_map().unwrap();
        m.space.load_map(&saved).unwrap();
        assert_eq!((m.space.tree_text(true), m.space.flat_text()), (tree, flat));
        assert_eq!(m.space.save_map().unwrap(), saved);
        m.space.load_map(&changed).unwrap();
        m.compare();
        // No damage goes unnoticed as a panic, or leaves half a map behind.
        for _ in 0..STEPS {
            let mut bad = saved.clone();
            let at = rng() as usize % bad.len();
            bad[at] ^= 1 << (rng() & 7);
            let before = m.space.save_map().unwrap();
            match m.space.load_map(&bad) {
                Err(_) => assert_eq!(m.space.save_map().unwrap(), before),
                Ok(()) => {
                    let _ = (m.space.tree_text(true), m.space.flat_text());
                    m.space.load_map(&before).unwrap();
                }
            }
            assert!(m.space.load_map(&saved[..at]).is_err());
        }
    }
}
