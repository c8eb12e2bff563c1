//! Every CSR: what it accepts it keeps, and nothing that software does breaks the CPU.

use crate::hart::{Hart, RAM};
use tern_core::frontend::Frontend;
use tern_core::system::Reset;
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
