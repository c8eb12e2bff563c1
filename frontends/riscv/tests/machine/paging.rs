//! Page tables and physical memory protection, walk by walk.

use crate::hart::{Hart, RAM};
use tern_core::frontend::Frontend;
use tern_core::mem::{Access, FaultKind};
use tern_core::system::{Flush, Mapping};
use tern_riscv::Features;

const ROOT: u64 = RAM + 0x1000;
const MIDDLE: u64 = RAM + 0x2000;
const LAST: u64 = RAM + 0x3000;
const PAGE: u64 = RAM + 0x5000;

/// Bits of an entry.
const V: u64 = 1;
const RWX: u64 = 0xe;
const R: u64 = 2;
const X: u64 = 8;
const U: u64 = 16;
const AD: u64 = 0xc0;

fn set(hart: &mut Hart, name: &str, value: u64) {
    let slot = hart.cpu.layout().by_name(name).unwrap_or_else(|| panic!("no {name}")).slot;
    hart.state.set(slot, value);
}

fn pte(to: u64, bits: u64) -> u64 {
    to >> 12 << 10 | bits
}

/// S-mode with Sv39: address 0 is `entry`.
fn sv39(spec: &str, entry: u64) -> Hart {
    let mut hart = Hart::new(&Features::for_machine(spec).unwrap_or_else(|e| panic!("{e}")), 16);
    hart.write(ROOT, &pte(MIDDLE, V).to_le_bytes());
    hart.write(MIDDLE, &pte(LAST, V).to_le_bytes());
    hart.write(LAST, &entry.to_le_bytes());
    set(&mut hart, "priv", 1);
    set(&mut hart, "satp", 8 << 60 | ROOT >> 12);
    set(&mut hart, "pmpaddr0", u64::MAX >> 10);
    set(&mut hart, "pmpcfg0", 0x1f);
    hart
}

fn walk(hart: &mut Hart, addr: u64, access: Access) -> Result<Mapping, u32> {
    let system = hart.cpu.system().expect("a machine");
    system.walk(&hart.state, &mut hart.board, addr, access, 0).map_err(|fault| {
        assert_eq!((fault.addr, fault.access), (addr, access));
        match fault.kind {
            FaultKind::Arch(cause) => cause,
            other => panic!("{other:?}"),
        }
    })
}

fn phys(hart: &mut Hart, addr: u64, access: Access) -> Result<u64, u32> {
    walk(hart, addr, access).map(|m| m.phys)
}

const ALL: [Access; 3] = [Access::Load, Access::Store, Access::Fetch];

/// What all three accesses give.
fn three(hart: &mut Hart, addr: u64) -> [Result<u64, u32>; 3] {
    ALL.map(|access| phys(hart, addr, access))
}

#[test]
fn permissions_decide() {
    let good = Ok(PAGE + 0x123);
    let try_ = |bits: u64| three(&mut sv39("rv64,svade=on", pte(PAGE, bits)), 0x123);
    assert_eq!(try_(V | RWX | AD), [good; 3]);
    assert_eq!(try_(V | R | AD), [good, Err(15), Err(12)]);
    assert_eq!(try_(V | X | AD), [Err(13), Err(15), good]);
    assert_eq!(try_(RWX | AD), [Err(13), Err(15), Err(12)]);
    assert_eq!(try_(V | 4 | AD), [Err(13), Err(15), Err(12)], "W without R");
    assert_eq!(try_(V | RWX | AD | U), [Err(13), Err(15), Err(12)]);
    assert_eq!(try_(V | RWX | 0x40), [good, Err(15), good], "D is clear");
    assert_eq!(try_(V | RWX), [Err(13), Err(15), Err(12)], "A is clear");
    assert_eq!(try_(V | RWX | AD | 1 << 54), [Err(13), Err(15), Err(12)], "reserved");
    assert_eq!(try_(V | RWX | AD | 1 << 63), [Err(13), Err(15), Err(12)], "no Svnapot");
    assert_eq!(try_(V | RWX | AD | 1 << 61), [Err(13), Err(15), Err(12)], "no Svpbmt");
    assert_eq!(try_(V), [Err(13), Err(15), Err(12)], "a table where no table can be");
}

#[test]
fn sum_and_mxr_widen() {
    let mut hart = sv39("rv64", pte(PAGE, V | RWX | AD | U));
    set(&mut hart, "mstatus", 1 << 18);
    assert_eq!(three(&mut hart, 0), [Ok(PAGE), Ok(PAGE), Err(12)], "SUM");
    set(&mut hart, "priv", 0);
    assert_eq!(three(&mut hart, 0), [Ok(PAGE); 3], "U");
    let mut hart = sv39("rv64", pte(PAGE, V | X | AD));
    set(&mut hart, "mstatus", 1 << 19);
    assert_eq!(three(&mut hart, 0), [Ok(PAGE), Err(15), Ok(PAGE)], "MXR");
    set(&mut hart, "priv", 0);
    assert_eq!(three(&mut hart, 0), [Err(13), Err(15), Err(12)], "a page of S");
    // M-mode is not translated, unless its loads and stores are S's.
    set(&mut hart, "priv", 3);
    set(&mut hart, "mstatus", 0);
    assert_eq!(phys(&mut hart, RAM, Access::Load), Ok(RAM));
    set(&mut hart, "mstatus", 1 << 17 | 1 << 11);
    assert_eq!([phys(&mut hart, RAM, Access::Fetch), phys(&mut hart, 0, Access::Load)], [Ok(RAM), Err(13)]);
}

#[test]
fn addresses_are_sign_extended() {
    let mut hart = sv39("rv64", pte(PAGE, V | RWX | AD));
    assert_eq!(phys(&mut hart, 1 << 38, Access::Load), Err(13));
    assert_eq!(phys(&mut hart, 1 << 63, Access::Load), Err(13));
    hart.write(ROOT + 511 * 8, &pte(0x8000_0000, V | RWX | AD).to_le_bytes());
    assert_eq!(phys(&mut hart, 0xffff_ffff_c012_3456, Access::Load), Ok(0x8012_3456), "a page of 1 GiB");
    hart.write(ROOT + 511 * 8, &pte(0x8020_0000, V | RWX | AD).to_le_bytes());
    assert_eq!(phys(&mut hart, 0xffff_ffff_c012_3456, Access::Load), Err(13), "misaligned");
    hart.write(MIDDLE + 8, &pte(0x8020_0000, V | RWX | AD).to_le_bytes());
    assert_eq!(phys(&mut hart, 0x21_2345, Access::Load), Ok(0x8021_2345), "a page of 2 MiB");
}

#[test]
fn fences_of_large_pages_reach_all_of_them() {
    let mut hart = sv39("rv64", pte(PAGE, V | RWX | AD));
    hart.write(MIDDLE + 8, &pte(0x8020_0000, V | RWX | AD).to_le_bytes());
    let forget = |hart: &Hart, addr| hart.cpu.system().expect("a machine").forget(&hart.state, addr);
    assert_eq!(phys(&mut hart, 0, Access::Load), Ok(PAGE));
    assert_eq!(forget(&hart, Some(0x20_0000)), Flush::Page(0x20_0000));
    assert_eq!(phys(&mut hart, 0x2f_2345, Access::Load), Ok(0x802f_2345));
    assert_eq!(forget(&hart, Some(0)), Flush::Page(0));
    assert_eq!(forget(&hart, Some(0x20_0000)), Flush::All);
    assert_eq!(forget(&hart, Some(0x20_0000)), Flush::Page(0x20_0000), "nothing is left of it");
    assert_eq!(forget(&hart, None), Flush::All);
}

#[test]
fn deeper_tables_work() {
    for (mode, levels) in [(9, 4), (10, 5)] {
        let mut hart = sv39("rv64", 0);
        for level in 0..levels {
            let (at, to) = (ROOT + level * 0x1000, ROOT + (level + 1) * 0x1000);
            let bits = if level + 1 == levels { V | RWX | AD } else { V };
            hart.write(at, &pte(to, bits).to_le_bytes());
        }
        set(&mut hart, "satp", mode << 60 | ROOT >> 12);
        assert_eq!(phys(&mut hart, 0x10, Access::Store), Ok(ROOT + levels * 0x1000 + 0x10), "mode {mode}");
    }
}

#[test]
fn accessed_and_dirty_bits_are_set_where_software_allows_it() {
    let entry = pte(PAGE, V | RWX);
    let mut hart = sv39("rv64", entry);
    assert_eq!(phys(&mut hart, 0, Access::Load), Ok(PAGE));
    assert_eq!(hart.read(LAST), entry | 0x40);
    assert_eq!(phys(&mut hart, 0, Access::Store), Ok(PAGE));
    assert_eq!(hart.read(LAST), entry | 0xc0);
    // With both, menvcfg.ADUE decides; it is clear after reset.
    let mut hart = sv39("rv64,svade=on", entry);
    assert_eq!(phys(&mut hart, 0, Access::Load), Err(13));
    assert_eq!(hart.read(LAST), entry);
    set(&mut hart, "menvcfg", 1 << 61);
    assert_eq!(phys(&mut hart, 0, Access::Load), Ok(PAGE));
}

#[test]
fn napot_pages_and_memory_types() {
    let mut hart = sv39("max", pte(RAM, V | RWX | AD | 1 << 63) | 8 << 10);
    assert_eq!(phys(&mut hart, 0x45, Access::Load), Ok(RAM + 0x45));
    hart.write(LAST + 5 * 8, &(pte(RAM, V | RWX | AD | 1 << 63) | 8 << 10).to_le_bytes());
    assert_eq!(phys(&mut hart, 0x5045, Access::Load), Ok(RAM + 0x5045));
    hart.write(LAST, &(pte(RAM, V | RWX | AD | 1 << 63) | 4 << 10).to_le_bytes());
    assert_eq!(phys(&mut hart, 0, Access::Load), Err(13), "no such size");
    hart.write(LAST, &pte(PAGE, V | RWX | AD | 1 << 61).to_le_bytes());
    assert_eq!(phys(&mut hart, 0, Access::Load), Err(13));
    set(&mut hart, "menvcfg", 1 << 62);
    assert_eq!(phys(&mut hart, 0, Access::Load), Ok(PAGE));
    hart.write(LAST, &pte(PAGE, V | RWX | AD | 3 << 61).to_le_bytes());
    assert_eq!(phys(&mut hart, 0, Access::Load), Err(13), "a reserved type");
}

#[test]
fn sv32_has_two_levels() {
    let mut hart = Hart::new(&Features::for_machine("rv32").expect("a model"), 16);
    hart.write(ROOT, &(pte(MIDDLE, V) as u32).to_le_bytes());
    hart.write(MIDDLE + 4, &(pte(PAGE, V | RWX | AD) as u32).to_le_bytes());
    hart.write(ROOT + 0x3ff * 4, &(pte(0x8000_0000, V | RWX | AD) as u32).to_le_bytes());
    for (name, value) in [("priv", 1), ("satp", 1 << 31 | ROOT >> 12), ("pmpaddr0", 0x3fff_ffff), ("pmpcfg0", 0x1f)] {
        set(&mut hart, name, value);
    }
    assert_eq!(phys(&mut hart, 0x1234, Access::Load), Ok(PAGE + 0x234));
    assert_eq!(phys(&mut hart, 0xffc0_1234, Access::Load), Ok(0x8000_1234), "a page of 4 MiB");
    assert_eq!(phys(&mut hart, 0x2234, Access::Load), Err(13));
}

#[test]
fn tables_that_are_not_there_are_access_faults() {
    let mut hart = sv39("rv64", 0);
    hart.write(ROOT, &pte(0x1000, V).to_le_bytes());
    assert_eq!(three(&mut hart, 0), [Err(5), Err(7), Err(1)]);
}

#[test]
fn pmp_matches_by_first_entry() {
    let mut hart = Hart::new(&Features::for_machine("rv64").expect("a model"), 16);
    set(&mut hart, "priv", 1);
    assert_eq!(three(&mut hart, RAM), [Err(5), Err(7), Err(1)], "no rule allows anything");
    // Entry 0: four bytes, nothing allowed.  Entry 1: top of range at RAM + 0x2000, read.  Entry 2: everything.
    set(&mut hart, "pmpaddr0", (RAM + 0x100) >> 2);
    set(&mut hart, "pmpaddr1", (RAM + 0x2000) >> 2);
    set(&mut hart, "pmpaddr2", u64::MAX >> 10);
    set(&mut hart, "pmpcfg0", 0x1f_0910);
    assert_eq!(phys(&mut hart, RAM + 0x100, Access::Load), Err(5));
    assert_eq!(walk(&mut hart, RAM + 0x104, Access::Load), Ok(Mapping { phys: RAM + 0x104, slow: true }));
    assert_eq!(walk(&mut hart, RAM + 0x1000, Access::Load), Ok(Mapping { phys: RAM + 0x1000, slow: false }));
    assert_eq!(phys(&mut hart, RAM + 0x1000, Access::Store), Err(7));
    assert_eq!(phys(&mut hart, RAM + 0x2000, Access::Store), Ok(RAM + 0x2000));
    set(&mut hart, "priv", 3);
    assert_eq!(three(&mut hart, RAM + 0x100), [Ok(RAM + 0x100); 3], "M is not held");
    set(&mut hart, "pmpcfg0", 0x1f_8910);
    assert_eq!(phys(&mut hart, RAM + 0x1000, Access::Store), Err(7), "but by locks");
    // A block of 32 KiB in the power-of-two form.
    set(&mut hart, "priv", 0);
    set(&mut hart, "pmpcfg0", 0x18 | 0x1f_0000);
    set(&mut hart, "pmpaddr0", RAM >> 2 | 0xfff);
    assert_eq!([0, 0x7fff, 0x8000].map(|at| phys(&mut hart, RAM + at, Access::Load).is_ok()), [false, false, true]);
}

#[test]
fn smepmp_turns_rules_round() {
    let mut hart = Hart::new(&Features::for_machine("max").expect("a model"), 16);
    set(&mut hart, "mseccfg", 1);
    set(&mut hart, "pmpaddr0", u64::MAX >> 10);
    for (config, machine, user) in [
        (0x1f, [false; 3], [true; 3]),
        (0x9d, [true, false, true], [false; 3]),
        (0x1a, [true, true, false], [true, false, false]),
        (0x1e, [true, true, false], [true, true, false]),
        (0x9a, [false, false, true], [false, false, true]),
        (0x9e, [true, false, true], [false, false, true]),
        (0x9f, [true, false, false], [true, false, false]),
    ] {
        set(&mut hart, "pmpcfg0", config);
        set(&mut hart, "priv", 3);
        assert_eq!(three(&mut hart, RAM).map(|r| r.is_ok()), machine, "M under {config:#x}");
        set(&mut hart, "priv", 0);
        assert_eq!(three(&mut hart, RAM).map(|r| r.is_ok()), user, "U under {config:#x}");
    }
}

#[test]
fn address_spaces_have_numbers() {
    let mut hart = sv39("rv64", 0);
    let space = |hart: &Hart| hart.cpu.system().expect("a machine").space(&hart.state);
    let one = space(&hart);
    set(&mut hart, "satp", 8 << 60 | 1 << 44 | ROOT >> 12);
    let other = space(&hart);
    set(&mut hart, "virt", 1);
    let guest = space(&hart);
    set(&mut hart, "hgatp", 8 << 60 | MIDDLE >> 12);
    let another = space(&hart);
    set(&mut hart, "virt", 0);
    set(&mut hart, "priv", 3);
    let all = [one, other, guest, another, space(&hart)];
    assert!((0..5).all(|i| (0..i).all(|j| all[i] != all[j])), "{all:x?}");
}

/// A list of mappings as [`Hart::mappings`] gives it.
fn list(rows: &[(u64, u64, u64, &str)]) -> Vec<(u64, u64, u64, String)> {
    rows.iter().map(|(virt, phys, size, rights)| (*virt, *phys, *size, (*rights).to_owned())).collect()
}

#[test]
fn neighbours_are_listed_as_one() {
    let mut hart = sv39("max", pte(RAM, V | RWX));
    let mut entry = |at: u64, value: u64| hart.write(at, &value.to_le_bytes());
    entry(LAST + 8, pte(RAM + 0x1000, V | RWX));
    entry(LAST + 16, pte(RAM + 0x2000, V | RWX | U | AD));
    entry(LAST + 24, pte(RAM + 0x4000, V | RWX | U | AD));
    // Not valid, reserved, and a table where none can be.
    for (n, value) in [pte(RAM, RWX), pte(RAM, V | 4), pte(RAM, V | RWX | 1 << 54), pte(RAM, V)].into_iter().enumerate()
    {
        entry(LAST + 32 + 8 * n as u64, value);
    }
    // 64 KiB; the last page of the table, which goes on in a page of 2 MiB.
    (16..32).for_each(|n| entry(LAST + 8 * n, pte(RAM, V | R | 0x20 | 1 << 63) | 8 << 10));
    entry(LAST + 511 * 8, pte(0x801f_f000, V | X));
    entry(MIDDLE + 8, pte(0x8020_0000, V | X));
    entry(MIDDLE + 16, pte(0x8020_1000, V | X));
    // The last GiB.
    entry(ROOT + 511 * 8, pte(0xc000_0000, V | RWX | AD));
    let expected = list(&[
        (0, RAM, 0x2000, "rwx----"),
        (0x2000, RAM + 0x2000, 0x1000, "rwxu-ad"),
        (0x3000, RAM + 0x4000, 0x1000, "rwxu-ad"),
        (0x1_0000, RAM, 0x1_0000, "r---g--"),
        (0x1f_f000, 0x801f_f000, 0x20_1000, "--x----"),
        (0xffff_ffff_c000_0000, 0xc000_0000, 0x4000_0000, "rwx--ad"),
    ]);
    assert_eq!(hart.mappings(), expected);
    assert_eq!(hart.read(LAST), pte(RAM, V | RWX), "nothing has changed");
    // M-mode is not translated, but has the tables at hand.
    set(&mut hart, "priv", 3);
    assert_eq!(hart.mappings(), expected);
    set(&mut hart, "satp", 0);
    assert_eq!(hart.mappings(), list(&[]));
}

#[test]
fn every_format_is_listed() {
    for (mode, levels) in [(9, 4), (10, 5)] {
        let mut hart = sv39("rv64", 0);
        [ROOT, MIDDLE].into_iter().for_each(|at| hart.write(at, &[0; 8]));
        for level in 0..levels {
            let (at, to) = (ROOT + level * 0x1000, ROOT + (level + 1) * 0x1000);
            let bits = if level + 1 == levels { V | RWX | AD } else { V };
            hart.write(at + 0xff8, &pte(to, bits).to_le_bytes());
        }
        set(&mut hart, "satp", mode << 60 | ROOT >> 12);
        let last = list(&[(0xffff_ffff_ffff_f000, ROOT + levels * 0x1000, 0x1000, "rwx--ad")]);
        assert_eq!(hart.mappings(), last, "mode {mode}");
    }
    let mut hart = Hart::new(&Features::for_machine("rv32").expect("a model"), 16);
    hart.write(ROOT, &(pte(MIDDLE, V) as u32).to_le_bytes());
    hart.write(MIDDLE + 4, &(pte(PAGE, V | RWX | AD) as u32).to_le_bytes());
    hart.write(ROOT + 0x3ff * 4, &(pte(0x8000_0000, V | R | U) as u32).to_le_bytes());
    for (name, value) in [("priv", 1), ("satp", 1 << 31 | ROOT >> 12), ("pmpaddr0", 0x3fff_ffff), ("pmpcfg0", 0x1f)] {
        set(&mut hart, name, value);
    }
    let expected = list(&[(0x1000, PAGE, 0x1000, "rwx--ad"), (0xffc0_0000, 0x8000_0000, 0x40_0000, "r--u---")]);
    assert_eq!(hart.mappings(), expected);
}

#[test]
fn lists_end_whatever_tables_say() {
    // Tables that lead to themselves, with and without pages; and one that is nowhere.
    let mut hart = sv39("rv64", 0);
    set(&mut hart, "satp", 10 << 60 | ROOT >> 12);
    (0..512).for_each(|n| hart.write(ROOT + 8 * n, &pte(ROOT, V).to_le_bytes()));
    assert_eq!(hart.mappings(), list(&[]));
    (0..512).step_by(2).for_each(|n| hart.write(ROOT + 8 * n, &pte(0, V | RWX).to_le_bytes()));
    assert_eq!(hart.mappings().len(), 65536);
    set(&mut hart, "satp", 8 << 60 | 0x123);
    assert_eq!(hart.mappings(), list(&[]));
}
