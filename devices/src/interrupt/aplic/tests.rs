//! Tests of the APLIC.

use super::*;
use tern_core::device::{Signal, Sink};

const DOMAINCFG: u64 = 0;
const SETIPNUM: u64 = 0x1cdc;
const CLRIPNUM: u64 = 0x1ddc;
const SETIENUM: u64 = 0x1edc;
const DETACHED: u64 = 1;
const EDGE1: u64 = 4;
const EDGE0: u64 = 5;
const LEVEL1: u64 = 6;
const LEVEL0: u64 = 7;
const TO_CHILD: u64 = 1 << 10;

fn sourcecfg(n: u64) -> u64 {
    4 * n
}

fn target(n: u64) -> u64 {
    0x3000 + 4 * n
}

fn idc(hart: u64, register: u64) -> u64 {
    IDC_BASE + hart * IDC_STRIDE + register
}

const IDELIVERY: u64 = 0;
const IFORCE: u64 = 4;
const ITHRESHOLD: u64 = 8;
const TOPI: u64 = 0x18;
const CLAIMI: u64 = 0x1c;

fn set(d: &mut Aplic, window: u32, offset: u64, value: u64) {
    d.write(window, offset, Size::B4, value);
}

fn get(d: &mut Aplic, window: u32, offset: u64) -> u64 {
    d.read(window, offset, Size::B4)
}

/// A machine-level root (lines 0, 1) and a supervisor-level child (lines 2, 3), both enabled.
fn device(bench: &mut Bench, msi: bool) -> Aplic {
    let machine = DomainConfig::machine((0..2).map(|_| bench.line()).collect());
    let supervisor = DomainConfig::supervisor(0, (0..2).map(|_| bench.line()).collect());
    let config = AplicConfig { msi, domains: vec![machine, supervisor], ..AplicConfig::default() };
    let mut d = Aplic::new(bench.kit("aplic"), config);
    for window in 0..2 {
        set(&mut d, window, DOMAINCFG, 1 << 8);
        if !msi {
            (0..2).for_each(|hart| set(&mut d, window, idc(hart, IDELIVERY), 1));
        }
    }
    d
}

/// Makes a source active and enabled in a domain.
fn activate(d: &mut Aplic, window: u32, source: u64, mode: u64, to: u64) {
    set(d, window, sourcecfg(source), mode);
    set(d, window, target(source), to);
    set(d, window, SETIENUM, source);
}

fn level(line: u32, level: bool) -> Signal {
    Signal::Level(Sink::Cpu { cpu: 0, line }, level)
}

fn message(addr: u64, data: u32) -> Signal {
    Signal::Message { addr, data }
}

#[test]
fn registers_hold_what_exists() {
    let mut bench = Bench::new();
    let mut d = device(&mut bench, false);
    assert_eq!(get(&mut d, 0, DOMAINCFG), 0x8000_0100);
    set(&mut d, 0, DOMAINCFG, 0xffff_feff);
    assert_eq!(get(&mut d, 0, DOMAINCFG), 0x8000_0000);
    // Reserved modes, children that a leaf has not, sources that do not exist.
    for (source, value, want) in [(1, 2, 0), (1, LEVEL1, LEVEL1), (1, 0x3fe, LEVEL1), (97, LEVEL1, 0)] {
        set(&mut d, 0, sourcecfg(source), value);
        assert_eq!(get(&mut d, 0, sourcecfg(source)), want, "{source} {value:#x}");
    }
    set(&mut d, 0, sourcecfg(2), TO_CHILD | 0xffff_f800);
    assert_eq!(get(&mut d, 0, sourcecfg(2)), TO_CHILD);
    set(&mut d, 1, sourcecfg(2), TO_CHILD);
    assert_eq!(get(&mut d, 1, sourcecfg(2)), 0);
    // A target is zero until its source is active, and then has a priority that is not zero.
    set(&mut d, 0, target(3), 7);
    assert_eq!((get(&mut d, 0, target(3)), get(&mut d, 0, target(1))), (0, 1));
    set(&mut d, 0, sourcecfg(3), DETACHED);
    assert_eq!(get(&mut d, 0, target(3)), 7);
    set(&mut d, 0, target(1), 0xffff_fff8);
    assert_eq!(get(&mut d, 0, target(1)), 0xfffc_0001);
    for offset in [0x1bc0, 0x1bc4, 0x1bc8, 0x1bcc, 0x3000] {
        set(&mut d, 0, offset, 0xffff_ffff);
        assert_eq!(get(&mut d, 0, offset), 0, "{offset:#x}");
    }
    set(&mut d, 0, idc(1, ITHRESHOLD), 0xff);
    set(&mut d, 0, idc(1, IDELIVERY), 2);
    assert_eq!((get(&mut d, 0, idc(1, ITHRESHOLD)), get(&mut d, 0, idc(1, IDELIVERY))), (7, 0));
    assert_eq!(bench.guest_errors(), 0);
    set(&mut d, 0, idc(2, IDELIVERY), 1);
    assert_eq!((get(&mut d, 0, idc(2, CLAIMI)), bench.guest_errors()), (0, 2));
}

#[test]
fn claims_go_by_priority_then_number_and_honour_the_threshold() {
    let mut bench = Bench::new();
    let mut d = device(&mut bench, false);
    for (source, priority) in [(9, 3), (5, 3), (70, 2)] {
        activate(&mut d, 0, source, DETACHED, 1 << 18 | priority);
        set(&mut d, 0, SETIPNUM, source);
    }
    assert_eq!(bench.signals(), [level(1, true)]);
    set(&mut d, 0, idc(1, ITHRESHOLD), 2);
    assert_eq!((bench.signals(), get(&mut d, 0, idc(1, TOPI))), (vec![level(1, false)], 0));
    set(&mut d, 0, idc(1, ITHRESHOLD), 3);
    assert_eq!((bench.signals(), get(&mut d, 0, idc(1, TOPI))), (vec![level(1, true)], 70 << 16 | 2));
    assert_eq!([(); 2].map(|()| get(&mut d, 0, idc(1, CLAIMI))), [70 << 16 | 2, 0]);
    set(&mut d, 0, idc(1, ITHRESHOLD), 0);
    assert_eq!([(); 3].map(|()| get(&mut d, 0, idc(1, CLAIMI))), [5 << 16 | 3, 9 << 16 | 3, 0]);
    assert_eq!(get(&mut d, 0, idc(0, CLAIMI)), 0);
    assert_eq!(bench.signals(), [level(1, false), level(1, true), level(1, false)]);
}

#[test]
fn directly_delivered_levels_are_pending_while_they_last() {
    let mut bench = Bench::new();
    let mut d = device(&mut bench, false);
    activate(&mut d, 0, 3, LEVEL1, 1);
    activate(&mut d, 0, 4, LEVEL0, 1 << 18 | 1);
    assert_eq!((bench.signals(), get(&mut d, 0, 0x1d00)), (vec![level(1, true)], 1 << 4));
    [3, 4].into_iter().for_each(|n| d.pin(n, true));
    assert_eq!(bench.signals(), [level(0, true), level(1, false)]);
    // Neither a claim nor software clears or sets them.
    assert_eq!(get(&mut d, 0, idc(0, CLAIMI)), 3 << 16 | 1);
    set(&mut d, 0, CLRIPNUM, 3);
    set(&mut d, 0, SETIPNUM, 4);
    assert_eq!((get(&mut d, 0, 0x1c00), bench.signals()), (1 << 3, vec![]));
    d.pin(3, false);
    assert_eq!((get(&mut d, 0, 0x1c00), bench.signals()), (0, vec![level(0, false)]));
}

#[test]
fn edges_are_pending_until_they_are_claimed() {
    let mut bench = Bench::new();
    let mut d = device(&mut bench, false);
    activate(&mut d, 0, 3, EDGE1, 1);
    activate(&mut d, 0, 4, EDGE0, 1);
    [3, 4].into_iter().for_each(|n| d.pin(n, true));
    assert_eq!(get(&mut d, 0, 0x1c00), 1 << 3);
    [3, 4].into_iter().for_each(|n| d.pin(n, false));
    assert_eq!((get(&mut d, 0, 0x1c00), get(&mut d, 0, 0x1d00)), (0x18, 1 << 4));
    assert_eq!([(); 3].map(|()| get(&mut d, 0, idc(0, CLAIMI)) >> 16), [3, 4, 0]);
    d.pin(3, true);
    set(&mut d, 0, 0x1d00, 1 << 3);
    assert_eq!((get(&mut d, 0, 0x1c00), get(&mut d, 0, idc(0, CLAIMI))), (0, 0));
    // Making a source inactive forgets it.
    d.pin(3, false);
    d.pin(3, true);
    set(&mut d, 0, sourcecfg(3), 0);
    assert_eq!((get(&mut d, 0, 0x1c00), get(&mut d, 0, 0x1e00)), (0, 1 << 4));
}

#[test]
fn forcing_makes_a_spurious_interrupt() {
    let mut bench = Bench::new();
    let mut d = device(&mut bench, false);
    set(&mut d, 1, idc(0, IFORCE), 1);
    assert_eq!((get(&mut d, 1, idc(0, TOPI)), bench.signals()), (0, vec![level(2, true)]));
    assert_eq!((get(&mut d, 1, idc(0, CLAIMI)), get(&mut d, 1, idc(0, IFORCE))), (0, 0));
    assert_eq!(bench.signals(), [level(2, false)]);
    set(&mut d, 1, idc(0, IFORCE), 1);
    set(&mut d, 1, DOMAINCFG, 0);
    set(&mut d, 1, DOMAINCFG, 1 << 8);
    set(&mut d, 1, idc(0, IDELIVERY), 0);
    assert_eq!(bench.signals(), [level(2, true), level(2, false), level(2, true), level(2, false)]);
}

#[test]
fn a_delegated_source_lives_in_the_child_only() {
    let mut bench = Bench::new();
    let mut d = device(&mut bench, false);
    activate(&mut d, 1, 3, LEVEL1, 1);
    assert_eq!((get(&mut d, 1, sourcecfg(3)), get(&mut d, 1, 0x1e00)), (0, 0));
    set(&mut d, 0, sourcecfg(3), TO_CHILD);
    assert_eq!(get(&mut d, 1, sourcecfg(3)), 0);
    activate(&mut d, 1, 3, LEVEL1, 1);
    set(&mut d, 0, SETIENUM, 3);
    d.pin(3, true);
    assert_eq!((get(&mut d, 0, 0x1c00), get(&mut d, 1, 0x1c00), bench.signals()), (0, 8, vec![level(2, true)]));
    set(&mut d, 0, sourcecfg(3), LEVEL1);
    assert_eq!((get(&mut d, 1, sourcecfg(3)), get(&mut d, 1, target(3)), get(&mut d, 1, 0x1e00)), (0, 0, 0));
    assert_eq!((get(&mut d, 0, 0x1c00), bench.signals()), (8, vec![level(2, false)]));
}

#[test]
fn pins_that_are_not_there_do_nothing() {
    let mut bench = Bench::new();
    let mut d = device(&mut bench, false);
    let before = d.save().unwrap();
    [0, 97, 1024, u32::MAX].into_iter().for_each(|n| d.pin(n, true));
    assert_eq!(d.save().unwrap(), before);
}

/// MSI addresses as QEMU's `virt` with two groups of eight harts and a guest file for each would have them.
fn msi_device(bench: &mut Bench) -> Aplic {
    let mut d = device(bench, true);
    // HHXS 0, LHXS 0, HHXW 1, LHXW 3; supervisor: LHXS 1.
    for (offset, value) in [(0x1bc0, 0x24000), (0x1bc4, 0x0001_3000), (0x1bc8, 0x28000), (0x1bcc, 1 << 20)] {
        set(&mut d, 0, offset, value);
        assert_eq!((get(&mut d, 0, offset), get(&mut d, 1, offset)), (value, 0));
    }
    d
}

#[test]
fn msis_go_to_the_address_of_the_target() {
    let mut bench = Bench::new();
    let mut d = msi_device(&mut bench);
    assert_eq!(get(&mut d, 0, DOMAINCFG), 0x8000_0104);
    activate(&mut d, 0, 3, EDGE1, 11 << 18 | 0x3f << 12 | 42);
    assert_eq!(get(&mut d, 0, target(3)), 11 << 18 | 42);
    set(&mut d, 0, sourcecfg(4), TO_CHILD);
    activate(&mut d, 1, 4, EDGE1, 10 << 18 | 1 << 12 | 0xfff);
    assert_eq!(get(&mut d, 1, target(4)), 10 << 18 | 1 << 12 | 0x7ff);
    [3, 4].into_iter().for_each(|n| d.pin(n, true));
    // Hart 11 is hart 3 of group 1, hart 10 is hart 2; a group is 2^24 bytes.
    assert_eq!(bench.signals(), [message(0x2500_3000, 42), message(0x2900_5000, 0x7ff)]);
    set(&mut d, 1, 0x3000, 9 << 18 | 0x3f << 12 | 7);
    assert_eq!((bench.signals(), get(&mut d, 1, 0x3000)), (vec![message(0x2900_2000, 7)], 9 << 18 | 7));
    // Locked.
    set(&mut d, 0, 0x1bc4, 0xffff_ffff);
    assert_eq!(get(&mut d, 0, 0x1bc4), 0x9f77_ffff);
    [0x1bc0, 0x1bc4, 0x1bc8, 0x1bcc].into_iter().for_each(|offset| set(&mut d, 0, offset, 0));
    assert_eq!((get(&mut d, 0, 0x1bc0), get(&mut d, 0, 0x1bcc)), (0x24000, 1 << 20));
    assert_eq!((get(&mut d, 0, idc(0, CLAIMI)), bench.guest_errors()), (0, 1));
}

#[test]
fn a_level_is_forwarded_once_until_software_asks_again() {
    let mut bench = Bench::new();
    let mut d = msi_device(&mut bench);
    activate(&mut d, 0, 3, LEVEL1, 5);
    d.pin(3, true);
    assert_eq!((bench.signals(), get(&mut d, 0, 0x1c00)), (vec![message(0x2400_0000, 5)], 0));
    set(&mut d, 0, SETIPNUM, 3);
    assert_eq!(bench.signals(), [message(0x2400_0000, 5)]);
    d.pin(3, false);
    set(&mut d, 0, SETIPNUM, 3);
    set(&mut d, 0, 0x1c00, 8);
    set(&mut d, 0, 0x2000, 3);
    assert_eq!(bench.signals(), []);
    // While it is not enabled it is only pending, as long as it lasts.
    set(&mut d, 0, 0x1fdc, 3);
    d.pin(3, true);
    assert_eq!(get(&mut d, 0, 0x1c00), 8);
    d.pin(3, false);
    assert_eq!(get(&mut d, 0, 0x1c00), 0);
    d.pin(3, true);
    set(&mut d, 0, 0x1e00, 8);
    assert_eq!(bench.signals(), [message(0x2400_0000, 5)]);
}

#[test]
fn a_disabled_domain_forwards_nothing_but_extempore_msis() {
    let mut bench = Bench::new();
    let mut d = msi_device(&mut bench);
    activate(&mut d, 0, 3, DETACHED, 5);
    set(&mut d, 0, DOMAINCFG, 0);
    set(&mut d, 0, 0x2000, 3);
    set(&mut d, 0, 0x3000, 1 << 18 | 9);
    assert_eq!((bench.signals(), get(&mut d, 0, 0x1c00)), (vec![message(0x2400_1000, 9)], 8));
    set(&mut d, 0, DOMAINCFG, 1 << 8);
    assert_eq!((bench.signals(), get(&mut d, 0, 0x1c00)), (vec![message(0x2400_0000, 5)], 0));
    set(&mut d, 0, 0x2004, 0x0300_0000);
    assert_eq!(bench.signals(), [message(0x2400_0000, 5)]);
}

#[test]
fn states_that_contradict_themselves_are_refused() {
    let mut bench = Bench::new();
    let mut d = device(&mut bench, false);
    let good = d.state.clone();
    let mut try_with = |change: fn(&mut State)| {
        let mut state = good.clone();
        change(&mut state);
        let bytes = snapshot::save(PART.name, 1, &state).unwrap();
        d.load(&bytes).map_err(|e| e.to_string())
    };
    assert_eq!(try_with(|_| {}), Ok(()));
    assert!(try_with(|s| s.domains[1].sourcecfg[3] = 6).unwrap_err().contains("sourcecfg"));
    assert!(try_with(|s| s.domains[0].sourcecfg[3] = 2).unwrap_err().contains("domains"));
    assert!(try_with(|s| s.domains[0].pending[0] = 8).unwrap_err().contains("domains"));
    assert!(try_with(|s| s.domains[0].idc[0].threshold = 8).unwrap_err().contains("domains"));
    assert!(try_with(|s| s.msi_config[3] = 1 << 31).unwrap_err().contains("msi_config"));
    assert!(try_with(|s| s.domains[0].target[5] = 0).unwrap_err().contains("domains"));
    assert!(try_with(|s| s.domains[0].target.truncate(5)).unwrap_err().contains("domains"));
    assert!(try_with(|s| s.input.clear()).unwrap_err().contains("input"));
}
