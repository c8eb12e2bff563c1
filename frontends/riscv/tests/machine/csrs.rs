//! Every CSR: what it accepts it keeps, and nothing that software does breaks the CPU.

use crate::hart::{Hart, RAM};
use tern_core::frontend::Frontend;
use tern_core::system::{Flush, Reset};
use tern_riscv::Features;
use tern_riscv::insn::csr::{TABLE, read_only};

fn everything(xlen: u8) -> Features {
    let spec = if xlen == 32 { "max32,v,smaia=on" } else { "max,v,zvfh,smaia=on" };
    Features::for_machine(spec).unwrap_or_else(|e| panic!("{e}"))
}

/// Deterministic random bits (splitmix64).
fn random(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[test]
fn the_table_is_in_order() {
    for pair in TABLE.windows(2) {
        assert!(pair[0].number <= pair[0].last && pair[0].last < pair[1].number, "{} {}", pair[0].name, pair[1].name);
    }
}

/// Registers that change by themselves, and those that a device holds.
const MOVING: &[&str] =
    &["cycle", "time", "instret", "cycleh", "timeh", "instreth", "mcycle", "minstret", "mcycleh", "minstreth"];

#[test]
fn what_is_accepted_is_kept() {
    for xlen in [32, 64] {
        let mut hart = Hart::new(&everything(xlen), 16);
        let mut random = random(u64::from(xlen));
        for row in TABLE.iter().filter(|row| !MOVING.contains(&row.name)) {
            for number in [row.number, row.last] {
                for _ in 0..20 {
                    let value = random();
                    hart.cpu
                        .system()
                        .expect("a machine")
                        .reset(&mut hart.state, Reset { id: 0, pc: RAM, args: [0; 3] });
                    let reg = hart.cpu.layout().by_name("a0").expect("there").slot;
                    hart.state.set(reg, if xlen == 32 { value as i32 as u64 } else { value });
                    let status = hart.cpu.layout().by_name("mstatus").expect("there").slot;
                    hart.state.set(status, 0x6600);
                    let write = if read_only(number) { "nop".into() } else { format!("csrw {number:#x}, a0") };
                    let again = if read_only(number) { "nop".into() } else { format!("csrw {number:#x}, a1") };
                    hart.assemble(
                        &format!("{write}\n csrr a1, {number:#x}\n {again}\n csrr a2, {number:#x}\nhalt: j halt\n"),
                        RAM,
                    );
                    hart.traps = 0;
                    for _ in 0..8 {
                        hart.step();
                    }
                    if hart.traps == 0 {
                        assert_eq!(hart.get("a1"), hart.get("a2"), "RV{xlen} {} after {value:#x}", row.name);
                    }
                }
            }
        }
    }
}

#[test]
fn no_state_and_no_instruction_is_too_much() {
    for xlen in [32, 64] {
        let mut hart = Hart::new(&everything(xlen), 16);
        let mut random = random(7 + u64::from(xlen));
        let rows = hart.cpu.decoder().rows().to_vec();
        let slots: Vec<_> = hart.cpu.layout().rows().iter().map(|r| (r.slot, r.name.clone())).collect();
        for _ in 0..1500 {
            for (slot, name) in &slots {
                let value = match name.as_str() {
                    "priv" => [0, 1, 3][(random() % 3) as usize],
                    "virt" => random() & 1,
                    "pc" => RAM + (random() & 0xfffe),
                    "vl" | "vstart" => random() & 15,
                    _ if random() & 1 == 0 => RAM + (random() & 0xfff8),
                    _ => random(),
                };
                hart.state.set(*slot, value);
            }
            let privilege = hart.cpu.layout().by_name("priv").expect("there").slot;
            let guest = hart.cpu.layout().by_name("virt").expect("there").slot;
            if hart.state.get(privilege) == 3 {
                hart.state.set(guest, 0);
            }
            let mut code = Vec::new();
            while code.len() < 64 {
                let row = rows[(random() % rows.len() as u64) as usize];
                let word = hart.cpu.decoder().random(row, &mut random).unwrap_or(0);
                code.extend(&word.to_le_bytes()[..usize::from(row.pattern().width / 8)]);
            }
            hart.write(hart.state.pc() & !63, &code[..64]);
            for _ in 0..4 {
                hart.step();
            }
        }
    }
}

/// All slots but pc and the registers that the test uses.
fn slots(hart: &Hart) -> Vec<(String, u64)> {
    let rows = hart.cpu.layout().rows().iter().filter(|row| !["pc", "a0", "a1"].contains(&&*row.name));
    rows.map(|row| (row.name.to_string(), hart.state.get(row.slot))).collect()
}

#[test]
fn access_from_outside_is_that_of_machine_mode() {
    for xlen in [32, 64] {
        let mut hart = Hart::new(&everything(xlen), 16);
        let mut random = random(3 + u64::from(xlen));
        let mask = if xlen == 32 { 0xffff_ffff } else { u64::MAX };
        let numbers = TABLE.iter().flat_map(|row| [row.number, row.last]);
        for (round, number) in numbers.flat_map(|number| [(0, number), (1, number), (2, number)]) {
            let value = random();
            hart.cpu.system().expect("a machine").reset(&mut hart.state, Reset { id: 5, pc: RAM, args: [0; 3] });
            for (name, value) in [("mstatus", 0x6600), ("a0", if xlen == 32 { value as i32 as u64 } else { value })] {
                let slot = hart.cpu.layout().by_name(name).expect("there").slot;
                hart.state.set(slot, value);
            }
            hart.retired = 1000;
            hart.traps = 0;
            let write = (round > 0).then_some(value & mask);
            let insn = if round > 0 { "csrrw a1, {}, a0" } else { "csrrs a1, {}, zero" };
            hart.assemble(&format!("{}\nhalt: j halt\n", insn.replace("{}", &format!("{number:#x}"))), RAM);
            let before = hart.state.clone();
            hart.board.timers.clear();
            let value = hart.control(number.into(), write);
            let (outside, timers) = (slots(&hart), std::mem::take(&mut hart.board.timers));
            hart.state = before;
            hart.step();
            let what = format!("RV{xlen} {number:#x}, {write:x?}");
            if hart.traps > 0 {
                assert_eq!(value, None, "{what}");
                continue;
            }
            assert_eq!(value, Some(hart.get("a1") & mask), "{what}");
            // An instruction counts itself.
            if ![0x320, 0xb00, 0xb02, 0xb80, 0xb82].contains(&number) {
                assert_eq!((outside, timers), (slots(&hart), hart.board.timers.clone()), "{what}");
            }
        }
    }
}

#[test]
fn access_from_outside_asks_no_mode() {
    let mut hart = Hart::new(&everything(64), 16);
    hart.state.set_pc(RAM + 0x40);
    let slot = |hart: &Hart, name| hart.cpu.layout().by_name(name).expect("there").slot;
    for (name, value) in [("priv", 0), ("virt", 1), ("stvec", 0x100), ("vstvec", 0x200), ("mstatus", 0)] {
        let slot = slot(&hart, name);
        hart.state.set(slot, value);
    }
    assert_eq!(hart.control(0x105, None), Some(0x100), "stvec is that of HS");
    assert_eq!(hart.control(0x205, Some(0x304)), Some(0x200));
    assert_eq!(hart.get("vstvec"), 0x304);
    // Units that are off; writing does not switch them on.
    assert_eq!([hart.control(3, Some(0x5f)), hart.control(3, None)], [Some(0), Some(0x5f)]);
    assert_eq!((hart.get("mstatus"), hart.get("priv"), hart.get("virt")), (0, 0, 1));
    assert_eq!(hart.state.pc(), RAM + 0x40);
    // Numbers that are no registers, and writes of what cannot be written.
    assert_eq!([0x5c0, 0x1000, 0x1300, u32::MAX].map(|number| hart.control(number, None)), [None; 4]);
    assert_eq!(hart.control(0xf14, Some(1)), None);
    // Registers that a device holds, and that are not there.
    hart.board.registers.insert(3 << 16 | 0x1070, 1);
    assert_eq!(hart.control(0x350, Some(0x70)), Some(0));
    assert_eq!([hart.control(0x351, Some(0)), hart.control(0x351, None)], [Some(1), Some(0)]);
    assert_eq!([hart.control(0x350, Some(0x72)), hart.control(0x351, None)], [Some(0x70), None]);
    // Counters are what they were made, until an instruction retires.
    hart.retired = 1000;
    assert_eq!([hart.control(0xb00, None), hart.control(0xc02, None)], [Some(1000); 2]);
    assert_eq!([hart.control(0xb00, Some(7)), hart.control(0xb00, None)], [Some(1000), Some(7)]);
    assert_eq!(
        [hart.control(0x320, Some(1)), hart.control(0x320, Some(0)), hart.control(0xb00, None)]
            .map(Option::unwrap_or_default),
        [0, 1, 7]
    );
    // What must be forgotten.
    assert_eq!((hart.control(0x3a0, Some(0x1f)), hart.flush), (Some(0), Flush::All));
    assert_eq!((hart.control(0x3a0, None), hart.flush), (Some(0x1f), Flush::None));
}

#[test]
fn cpus_say_what_they_are() {
    let ids = |spec: &str| {
        let mut hart = Hart::new(&Features::for_machine(spec).unwrap_or_else(|e| panic!("{spec}: {e}")), 16);
        let outside = [0xf11, 0xf12, 0xf13].map(|number| hart.control(number, None));
        hart.assemble("csrr a0, mvendorid\n csrr a1, marchid\n csrr a2, mimpid\nhalt: j halt\n", RAM);
        hart.step();
        assert_eq!(hart.traps, 0, "{spec}");
        let mask = if spec.starts_with("rv32") { 0xffff_ffff } else { u64::MAX };
        assert_eq!(["a0", "a1", "a2"].map(|name| Some(hart.get(name) & mask)), outside, "{spec}");
        outside.map(Option::unwrap_or_default)
    };
    assert_eq!(ids("rv64"), [0; 3]);
    assert_eq!(ids("veyron-v1"), [0x61f, 0x8000_0000_0001_0000, 0x111]);
    assert_eq!(ids("veyron-v1,mimpid=0x112"), [0x61f, 0x8000_0000_0001_0000, 0x112]);
    assert_eq!(ids("rv64,mvendorid=1567,marchid=0x8000000000000007"), [1567, 0x8000_0000_0000_0007, 0]);
    assert_eq!(ids("rv32,mvendorid=0xffffffff,marchid=0x80000005"), [0xffff_ffff, 0x8000_0005, 0]);
    // As QEMU's qtest has it: miselect keeps a selector that selects nothing.
    let mut hart = Hart::new(&Features::for_machine("veyron-v1").expect("a model"), 16);
    assert_eq!([hart.control(0x350, Some(0xff)), hart.control(0x350, None)], [Some(0), Some(0xff)]);
}
