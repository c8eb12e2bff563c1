//! The hypervisor extension and the advanced interrupt architecture.

use crate::hart::{Hart, RAM};
use tern_core::frontend::Frontend;
use tern_core::mem::{Access, FaultKind};
use tern_riscv::Features;
use tern_riscv::privileged::irq;

const VS_ROOT: u64 = 0x1000;
const VS_MIDDLE: u64 = 0x2000;
const VS_LAST: u64 = 0x3000;
const G_ROOT: u64 = RAM + 0x4000;
const G_MIDDLE: u64 = RAM + 0x8000;
const G_LAST: u64 = RAM + 0x9000;

fn set(hart: &mut Hart, name: &str, value: u64) {
    let slot = hart.cpu.layout().by_name(name).unwrap_or_else(|| panic!("no {name}")).slot;
    hart.state.set(slot, value);
}

fn pte(to: u64, bits: u64) -> [u8; 8] {
    (to >> 12 << 10 | bits).to_le_bytes()
}

/// VS-mode: guest physical page n is page n of RAM for n below 16, guest virtual page 0 is guest physical page 10.
fn guest() -> Hart {
    let mut hart = Hart::new(&Features::for_machine("rv64,smaia=on").expect("a model"), 32);
    hart.write(G_ROOT, &pte(G_MIDDLE, 1));
    hart.write(G_MIDDLE, &pte(G_LAST, 1));
    for n in 0..16 {
        hart.write(G_LAST + n * 8, &pte(RAM + n * 0x1000, 0xdf));
    }
    hart.write(RAM + VS_ROOT, &pte(VS_MIDDLE, 1));
    hart.write(RAM + VS_MIDDLE, &pte(VS_LAST, 1));
    hart.write(RAM + VS_LAST, &pte(0xa000, 0xcf));
    for (name, value) in [
        ("priv", 1),
        ("virt", 1),
        ("vsatp", 8 << 60 | VS_ROOT >> 12),
        ("hgatp", 8 << 60 | G_ROOT >> 12),
        ("pmpaddr0", u64::MAX >> 10),
        ("pmpcfg0", 0x1f),
        ("medeleg", 0xf0_b5ff),
        ("stvec", RAM + 0xf000),
        ("vstvec", 0xe000),
    ] {
        set(&mut hart, name, value);
    }
    hart
}

fn walk(hart: &mut Hart, addr: u64, access: Access, mode: u8) -> Result<u64, u32> {
    let system = hart.cpu.system().expect("a machine");
    system.walk(&hart.state, &mut hart.board, addr, access, mode).map(|m| m.phys).map_err(|f| match f.kind {
        FaultKind::Arch(cause) => cause & 0xff,
        other => panic!("{other:?}"),
    })
}

#[test]
fn two_stages_translate() {
    let mut hart = guest();
    assert_eq!(walk(&mut hart, 0x123, Access::Store, 0), Ok(RAM + 0xa123));
    assert_eq!(walk(&mut hart, 0x1000, Access::Load, 0), Err(13), "the guest's fault");
    hart.write(RAM + VS_LAST, &pte(0x1_0000, 0xcf));
    assert_eq!(walk(&mut hart, 0, Access::Load, 0), Err(21), "the hypervisor's");
    assert_eq!(walk(&mut hart, 0, Access::Store, 0), Err(23));
    assert_eq!(walk(&mut hart, 0, Access::Fetch, 0), Err(20));
    set(&mut hart, "vsatp", 0);
    assert_eq!(walk(&mut hart, 0x5000, Access::Load, 0), Ok(RAM + 0x5000), "one stage");
    // Two more bits than the first stage, and no sign extension.
    assert_eq!(walk(&mut hart, 1 << 41, Access::Load, 0), Err(21));
    assert_eq!(walk(&mut hart, u64::MAX, Access::Load, 0), Err(21));
    hart.write(G_LAST + 5 * 8, &pte(RAM + 0x5000, 0xcf));
    assert_eq!(walk(&mut hart, 0x5000, Access::Load, 0), Err(21), "second-stage pages are U's");
    // From outside by hlv.
    set(&mut hart, "virt", 0);
    set(&mut hart, "hstatus", 1 << 8);
    assert_eq!(walk(&mut hart, 0x6000, Access::Load, 1), Ok(RAM + 0x6000));
}

#[test]
fn second_stage_faults_tell_the_guest_physical_address() {
    let mut hart = guest();
    hart.write(RAM + VS_LAST, &pte(0x1_0000, 0xcf));
    hart.write(RAM + 0xa000, &[0x13, 0, 0, 0]);
    hart.state.set_pc(0x128);
    hart.step();
    assert_eq!([hart.get("priv"), hart.get("virt"), hart.get("scause")], [1, 0, 20]);
    assert_eq!([hart.get("stval"), hart.get("htval"), hart.get("htinst")], [0x128, 0x1_0128 >> 2, 0]);
    assert_eq!(hart.get("hstatus") & 0x1c0, 0x1c0, "GVA, SPV, SPVP");
    // The guest's table itself is not there.
    let mut hart = guest();
    hart.write(G_LAST + (VS_LAST >> 12) * 8, &[0; 8]);
    hart.state.set_pc(0x128);
    hart.step();
    assert_eq!([hart.get("scause"), hart.get("htval"), hart.get("htinst")], [20, VS_LAST >> 2, 0x3000]);
}

/// Runs one instruction of the guest; the cause that HS or VS saw, and V afterwards.
fn one(prepare: &[(&str, u64)], code: &str) -> (u64, u64, u64) {
    let mut hart = guest();
    for (name, value) in prepare {
        set(&mut hart, name, *value);
    }
    hart.assemble(code, RAM + 0xa000);
    hart.state.set_pc(0);
    hart.limits.insns = 1;
    hart.step();
    (hart.get("scause"), hart.get("vscause"), hart.get("virt"))
}

#[test]
fn hypervisors_see_what_their_guests_may_not_do() {
    for code in ["csrr a0, hstatus", "csrr a0, vsstatus", "hfence.gvma", "hlv.w a0, (a0)", "hfence.vvma"] {
        assert_eq!(one(&[], code), (22, 0, 0), "{code}");
    }
    assert_eq!(one(&[], "csrr a0, mstatus"), (2, 0, 0));
    assert_eq!(one(&[("mcounteren", 7)], "rdtime a0"), (22, 0, 0));
    assert_eq!(one(&[("mcounteren", 7), ("hcounteren", 7)], "rdtime a0"), (0, 0, 1));
    assert_eq!(one(&[("hstatus", 1 << 20)], "csrr a0, satp"), (22, 0, 0));
    assert_eq!(one(&[("hstatus", 1 << 21)], "wfi"), (22, 0, 0));
    assert_eq!(one(&[("hstatus", 1 << 22)], "sret"), (22, 0, 0));
    assert_eq!(one(&[], "csrw sscratch, a0"), (0, 0, 1));
    assert_eq!(one(&[], "ecall"), (10, 0, 0));
    assert_eq!(one(&[("hedeleg", 1 << 2)], ".4byte 0xffffffff"), (0, 2, 1));
    assert_eq!(one(&[("priv", 0)], "csrr a0, sstatus"), (12, 0, 0), "the page is VS's");
}

#[test]
fn the_guests_registers_are_its_own() {
    let mut hart = guest();
    hart.assemble("li a0, 77\n csrw sscratch, a0\n csrw sepc, a0\n csrsi sstatus, 2\n ecall\n", RAM + 0xa000);
    hart.state.set_pc(0);
    while hart.traps == 0 {
        hart.step();
    }
    assert_eq!([hart.get("vsscratch"), hart.get("sscratch"), hart.get("vsepc")], [77, 0, 76]);
    assert_eq!([hart.get("vsstatus") & 2, hart.get("mstatus") & 2], [2, 0]);
}

#[test]
fn injected_interrupts_reach_the_guest_under_its_numbers() {
    let mut hart = guest();
    for (name, value) in [("hideleg", 0x444), ("mie", 0x444), ("vsstatus", 2), ("hvip", 0x40)] {
        set(&mut hart, name, value);
    }
    let system = hart.cpu.system().expect("a machine");
    system.set_line(&mut hart.state, irq::MTI, false);
    assert_eq!(system.interrupt(&mut hart.state), Some(6));
    assert_eq!([hart.get("vscause"), hart.get("virt"), hart.state.pc()], [1 << 63 | 5, 1, 0xe000]);
    // A guest interrupt file: VGEIN selects it.
    let mut hart = guest();
    for (name, value) in [("hideleg", 0x444), ("mie", 0x1444), ("hstatus", 3 << 12), ("hgeie", 1 << 4)] {
        set(&mut hart, name, value);
    }
    let system = hart.cpu.system().expect("a machine");
    system.set_line(&mut hart.state, irq::GUEST_FILE + 3, true);
    assert_eq!(hart.get("mip"), 1 << 10, "VSEIP");
    let system = hart.cpu.system().expect("a machine");
    system.set_line(&mut hart.state, irq::GUEST_FILE + 4, true);
    assert_eq!(hart.get("mip"), 1 << 10 | 1 << 12, "SGEIP too");
    assert_eq!(hart.cpu.system().expect("a machine").interrupt(&mut hart.state), Some(12));
}

#[test]
fn interrupt_files_are_reached_through_the_platform() {
    let mut hart = Hart::new(&Features::for_machine("rv64,smaia=on").expect("a model"), 16);
    hart.board.registers.extend([(0x3_1070, 1), (0x1_2000, 0x5_0005), (0x1_10c0, 0xff)]);
    let source = "li t0, 0x70\n csrw miselect, t0\n csrrwi s0, mireg, 0\n csrrw s1, stopei, zero\n li t0, 0xc0\n csrw siselect, t0\n \
        li t0, 0xf\n csrrc s2, sireg, t0\n csrr s3, sireg\n la t0, on\n csrw mtvec, t0\n csrr a0, mtopei\n.align 2\non: csrr s4, mcause\n \
        li t6, 0x80008000\n li a0, 1\n sd a0, 0(t6)\nhalt: j halt\n";
    hart.run(source);
    let values = ["s0", "s1", "s2", "s3", "s4"].map(|name| hart.get(name));
    assert_eq!(values, [1, 0x5_0005, 0xff, 0xf0, 2]);
    assert_eq!(hart.board.registers[&0x3_1070], 0);
}

#[test]
fn top_interrupts_are_told() {
    let mut hart = Hart::new(&Features::for_machine("rv64,smaia=on").expect("a model"), 16);
    set(&mut hart, "mie", 0xaaa);
    set(&mut hart, "mideleg", 0x222);
    let system = hart.cpu.system().expect("a machine");
    system.set_line(&mut hart.state, irq::MTI, true);
    system.set_line(&mut hart.state, irq::SEI, true);
    hart.run("csrr s0, mtopi\n csrr s1, stopi\n li t6, 0x80008000\n li a0, 1\n sd a0, 0(t6)\nhalt: j halt\n");
    assert_eq!([hart.get("s0"), hart.get("s1")], [7 << 16 | 1, 9 << 16 | 1]);
}

#[test]
fn a_guest_lists_its_own_tables() {
    let mut hart = guest();
    let entry = pte(RAM + (VS_LAST & !0xfff), 0x1f);
    hart.write(G_LAST + (VS_LAST >> 12) * 8, &entry);
    let own = [(0, 0xa000, 0x1000, "rwx--ad".to_owned())];
    assert_eq!(hart.mappings(), own, "guest physical addresses");
    assert_eq!(hart.read(G_LAST + (VS_LAST >> 12) * 8), u64::from_le_bytes(entry), "nothing has changed");
    hart.write(G_LAST + (VS_LAST >> 12) * 8, &[0; 8]);
    assert_eq!(hart.mappings(), [], "its last table is gone");
    hart.write(G_LAST + (VS_LAST >> 12) * 8, &pte(RAM + (VS_LAST & !0xfff), 0xdf));
    // Without tables of its own, those of its hypervisor.
    set(&mut hart, "vsatp", 0);
    assert_eq!(hart.mappings(), [(0, RAM, 0x1_0000, "rwxu-ad".to_owned())]);
}
