//! Traps, delegation, interrupts, timers, and the units that status registers switch off.

use crate::hart::{DONE, Hart, RAM};
use tern_core::engine::Stop;
use tern_core::frontend::Frontend;
use tern_core::ir::{BlockKey, Builder, Exit, Op};
use tern_riscv::Features;
use tern_riscv::privileged::irq;

fn hart(spec: &str) -> Hart {
    Hart::new(&Features::for_machine(spec).unwrap_or_else(|e| panic!("{e}")), 16)
}

/// Opens memory to S and U, and goes to `user` in mode `mpp`; handlers are `machine` and `supervisor`.
fn prologue(mpp: u64, medeleg: u64) -> String {
    format!(
        "la t0, machine\n csrw mtvec, t0\n la t0, supervisor\n csrw stvec, t0\n li t0, -1\n csrw pmpaddr0, t0\n li t0, 31\n \
         csrw pmpcfg0, t0\n li t0, {medeleg}\n csrw medeleg, t0\n li t0, {}\n csrw mstatus, t0\n la t0, user\n csrw mepc, t0\n mret\n",
        mpp << 11
    )
}

const REPORT: &str = "\nmachine: li a0, 3\n csrr a1, mcause\n csrr a2, mepc\n csrr a3, mtval\n j report\n\
    .align 2\nsupervisor: li a0, 1\n csrr a1, scause\n csrr a2, sepc\n csrr a3, stval\n csrr a4, sstatus\nreport: li t6, 0x80008000\n \
    sd a0, 0(t6)\nstop: j stop\n";

/// Who handled what `code` did in mode `mpp`: privilege, cause, value.
fn outcome(spec: &str, mpp: u64, medeleg: u64, code: &str) -> (u64, u64, u64) {
    let mut hart = hart(spec);
    let source = format!(
        "{}.align 2\nuser: {code}\n li t6, 0x80008000\n li a0, 99\n sd a0, 0(t6)\nhalt: j halt\n.align 2{REPORT}",
        prologue(mpp, medeleg)
    );
    let who = hart.run(&source);
    (who, hart.get("a1"), hart.get("a3"))
}

#[test]
fn exceptions_go_where_they_are_delegated() {
    assert_eq!(outcome("rv64", 0, 0, "ecall"), (3, 8, 0));
    assert_eq!(outcome("rv64", 0, 1 << 8, "ecall"), (1, 8, 0));
    assert_eq!(outcome("rv64", 1, 1 << 8, "ecall"), (3, 9, 0));
    assert_eq!(outcome("rv64", 1, 1 << 9, "ecall"), (1, 9, 0));
    assert_eq!(outcome("rv64", 3, 0xffff, "ecall"), (3, 11, 0));
    assert_eq!(outcome("rv64", 1, 1 << 3, "ebreak").0, 1);
    assert_eq!(outcome("rv64", 0, 1 << 2, ".4byte 0"), (1, 2, 0));
}

#[test]
fn what_privilege_forbids_is_illegal() {
    let illegal = |mpp, code: &str| {
        let (who, cause, value) = outcome("rv64,smaia=on", mpp, 0, code);
        (who == 3 && cause == 2, value)
    };
    for (mpp, code) in [
        (0, "csrr a0, sstatus"),
        (0, "csrr a0, mstatus"),
        (1, "csrr a0, mstatus"),
        (1, "csrw mscratch, a0"),
        (3, "csrw mhartid, a0"),
        (3, "csrw cycle, a0"),
        (0, "mret"),
        (1, "mret"),
        (0, "sret"),
        (0, "wfi"),
        (0, "sfence.vma"),
        (0, "csrr a0, cycle"),
        (1, "csrr a0, time"),
        (1, "csrr a0, stimecmp"),
        (0, "cbo.zero (sp)"),
        (1, "cbo.inval (sp)"),
        (1, "cbo.flush (sp)"),
        (0, "fadd.s fa0, fa0, fa0"),
        (0, "frflags a0"),
        (0, "hfence.gvma"),
        (0, "hlv.w a0, (a0)"),
    ] {
        let (trapped, value) = illegal(mpp, code);
        assert!(trapped && value != 0, "{code} in {mpp}");
    }
    for (mpp, code) in [(1, "csrr a0, sstatus"), (1, "sfence.vma"), (3, "csrr a0, stimecmp"), (3, "csrr a0, time")] {
        assert_eq!(outcome("rv64", mpp, 0, code).0, 99, "{code} in {mpp}");
    }
}

#[test]
fn traps_of_supervisors_can_be_asked_for() {
    let with = |bits: &str, code: &str| {
        let mut hart = hart("rv64");
        let set = format!("li t0, {bits}\n csrs mstatus, t0\n");
        let source = prologue(1, 0).replace("la t0, user", &format!("{set} la t0, user"));
        let source = format!(
            "{source}.align 2\nuser: {code}\n li t6, 0x80008000\n li a0, 99\n sd a0, 0(t6)\nhalt: j halt\n.align 2{REPORT}"
        );
        hart.run(&source);
        hart.get("a1")
    };
    for (bits, code) in
        [("0x100000", "csrr a0, satp"), ("0x100000", "sfence.vma"), ("0x200000", "wfi"), ("0x400000", "sret")]
    {
        assert_eq!(with(bits, code), 2, "{code}");
    }
}

#[test]
fn returns_restore_what_traps_saved() {
    let mut hart = hart("rv64");
    let source = format!(
        "{}.align 2\nuser: ecall\n li t6, 0x80008000\n csrr s1, sstatus\n li a0, 5\n sd a0, 0(t6)\nhalt: j halt\n\
         .align 2\nmachine: csrr s0, mstatus\n csrr t0, mepc\n addi t0, t0, 4\n csrw mepc, t0\n mret\n.align 2\nsupervisor: j supervisor\n",
        prologue(1, 0)
    );
    assert_eq!(hart.run(&source), 5);
    assert_eq!(hart.get("s0") >> 11 & 3, 1, "MPP in the handler");
    assert_eq!(hart.get("priv"), 1);
    assert_eq!(hart.get("mstatus") >> 11 & 3, 0, "MPP after mret");
}

#[test]
fn returns_count_as_instructions() {
    let mut hart = hart("rv64");
    let source = "la t0, on\n csrw mepc, t0\n li t0, 0x1800\n csrw mstatus, t0\n csrr s0, minstret\n mret\n .align 2\n on: csrr s1, minstret\n \
        li t6, 0x80008000\n li a0, 1\n sd a0, 0(t6)\nhalt: j halt\n";
    hart.run(source);
    assert_eq!(hart.get("s1") - hart.get("s0"), 2);
}

#[test]
fn counters_can_be_written_and_stopped() {
    let mut hart = hart("rv64");
    let source = "li t0, 1000\n csrw minstret, t0\n csrr s0, minstret\n csrwi mcountinhibit, 4\n csrr s1, minstret\n nop\n csrr s2, minstret\n \
        csrwi mcountinhibit, 0\n csrr s3, minstret\n li t6, 0x80008000\n li a0, 1\n sd a0, 0(t6)\nhalt: j halt\n";
    hart.run(source);
    let values = ["s0", "s1", "s2", "s3"].map(|name| hart.get(name));
    assert_eq!(values, [1000, 1001, 1001, 1001]);
}

#[test]
fn halves_of_counters_and_status_on_rv32() {
    let mut hart = hart("rv32");
    let source = "li t0, -1\n csrw minstret, t0\n csrw minstreth, zero\n csrr s1, minstret\n csrr s0, minstreth\n li t0, 0x80\n csrw mstatush, t0\n \
        csrr s2, mstatush\n csrr s3, mstatus\n csrr s4, misa\n li t0, 7\n csrw stimecmph, t0\n csrr s5, stimecmph\n csrr s6, stimecmp\n \
        li t6, 0x80008000\n li a0, 1\n sw a0, 0(t6)\nhalt: j halt\n";
    hart.run(source);
    assert_eq!([hart.get("s0"), hart.get("s1")], [1, u64::MAX]);
    assert_eq!([hart.get("s2"), hart.get("s3")], [0x80, 0]);
    assert_eq!(hart.get("s4") >> 30 & 3, 1);
    // stimecmp is all ones after reset.
    assert_eq!([hart.get("s5"), hart.get("s6")], [7, u64::MAX]);
}

fn lines(hart: &mut Hart, lines: &[u32]) {
    for line in lines {
        let system = hart.cpu.system().expect("a machine");
        system.set_line(&mut hart.state, *line, true);
    }
}

fn set(hart: &mut Hart, name: &str, value: u64) {
    let slot = hart.cpu.layout().by_name(name).unwrap_or_else(|| panic!("no {name}")).slot;
    hart.state.set(slot, value);
}

fn interrupt(hart: &mut Hart) -> Option<u64> {
    hart.cpu.system().expect("a machine").interrupt(&mut hart.state)
}

#[test]
fn the_most_urgent_interrupt_comes_first() {
    let mut hart = hart("rv64");
    lines(&mut hart, &[irq::MTI, irq::MSI, irq::MEI, irq::SEI]);
    assert_eq!(interrupt(&mut hart), None, "nothing is enabled");
    set(&mut hart, "mie", 0xaaa);
    assert_eq!(interrupt(&mut hart), None, "MIE is clear");
    set(&mut hart, "mstatus", 8);
    set(&mut hart, "mtvec", 0x8000_1001);
    assert_eq!(interrupt(&mut hart), Some(11));
    assert_eq!(hart.state.pc(), 0x8000_1000 + 44, "vectored");
    assert_eq!(hart.get("mcause"), 1 << 63 | 11);
    assert_eq!(hart.get("mstatus"), 0x1880, "MPP, MPIE");
    assert_eq!(interrupt(&mut hart), None);
    set(&mut hart, "mie", 0x22a);
    set(&mut hart, "mstatus", 8);
    assert_eq!(interrupt(&mut hart), Some(3));
    set(&mut hart, "mie", 0x2a0);
    set(&mut hart, "mstatus", 8);
    assert_eq!(interrupt(&mut hart), Some(7));
}

#[test]
fn delegated_interrupts_wait_for_their_mode() {
    let mut hart = hart("rv64,h=off");
    lines(&mut hart, &[irq::SEI]);
    for (name, value) in [("mie", 0x200), ("mideleg", 0x222), ("mstatus", 0xa), ("stvec", 0x8000_2000)] {
        set(&mut hart, name, value);
    }
    assert_eq!(interrupt(&mut hart), None, "S's interrupts do not interrupt M");
    set(&mut hart, "priv", 1);
    set(&mut hart, "mstatus", 0);
    assert_eq!(interrupt(&mut hart), None, "SIE is clear");
    assert!(hart.cpu.system().expect("a machine").wakes(&hart.state));
    set(&mut hart, "priv", 0);
    assert_eq!(interrupt(&mut hart), Some(9));
    assert_eq!([hart.get("priv"), hart.get("scause"), hart.state.pc()], [1, 1 << 63 | 9, 0x8000_2000]);
}

#[test]
fn timers_interrupt_and_are_set_anew() {
    let mut hart = hart("rv64");
    let source = format!(
        "li t0, -1\n csrw menvcfg, t0\n csrw mcounteren, t0\n li t0, 0x20\n csrw mideleg, t0\n {}.align 2\nuser: rdtime s0\n addi s1, s0, 500\n \
         csrw stimecmp, s1\n csrr s2, sip\n li t0, 0x20\n csrs sie, t0\n csrsi sstatus, 2\nagain: wfi\n j again\n.align 2{REPORT}",
        prologue(1, 0)
    );
    assert_eq!(hart.run(&source), 1);
    assert_eq!([hart.get("a1"), hart.get("s2")], [1 << 63 | 5, 0]);
    assert!(hart.retired >= hart.get("s1"), "not before its time");
    // A time that has passed is pending at once.
    let slot = hart.cpu.layout().by_name("mip").expect("a machine").slot;
    assert_eq!(hart.state.get(slot) >> 5 & 1, 1);
}

/// How the block of `source` ends in S-mode, and how many instructions it has.
fn block(source: &str, mie: u64) -> (Exit, u32, bool) {
    let mut hart = hart("rv64");
    set(&mut hart, "priv", 1);
    set(&mut hart, "mideleg", 0x222);
    set(&mut hart, "mie", mie);
    hart.assemble(source, RAM);
    struct Bytes<'a>(&'a mut Hart);
    impl tern_core::frontend::Fetch for Bytes<'_> {
        fn fetch(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), tern_core::mem::MemFault> {
            let memory: &mut dyn tern_core::mem::GuestMemory = &mut self.0.board;
            memory.read(addr, buf, tern_core::mem::Access::Fetch, 0)
        }
    }
    let arena = bumpalo::Bump::new();
    let cpu = tern_riscv::Riscv::machine(Features::for_machine("rv64").expect("a model"));
    let key = BlockKey { pc: RAM, mode: cpu.mode(&hart.state) };
    let mut b = Builder::new(&arena, key);
    let limits = hart.limits;
    let next = cpu.translate(&mut Bytes(&mut hart), &mut b, limits).expect("memory is there");
    let block = b.finish(next);
    (block.exit, block.insns, block.insts.iter().any(|i| i.op == Op::ExitIf))
}

#[test]
fn only_enabling_interrupts_ends_a_block() {
    let rest = "\n nop\n ebreak";
    assert_eq!(block(&format!("csrci sstatus, 2{rest}"), 0).1, 3);
    assert_eq!(block(&format!("csrrci a0, sstatus, 2{rest}"), 0).1, 3);
    assert_eq!(block(&format!("csrr a0, sstatus{rest}"), 0).1, 3);
    assert_eq!(block(&format!("csrw sscratch, a0{rest}"), 0).1, 3);
    assert_eq!(block(&format!("csrc sie, a0{rest}"), 0).1, 3);
    for enabling in ["csrsi sstatus, 2", "csrs sstatus, a0", "csrw sstatus, a0", "csrs sie, a0"] {
        let (exit, insns, linked) = block(&format!("{enabling}{rest}"), 0);
        assert_eq!((insns, linked), (1, true), "{enabling}");
        assert!(matches!(exit, Exit::Resync(pc) if pc == RAM + 4), "{enabling}: {exit:?}");
    }
    assert!(matches!(block("csrw satp, a0\n nop", 0).0, Exit::Resync(_)));
    assert!(matches!(block("sfence.vma\n nop", 0).0, Exit::Resync(_)));
    assert!(matches!(block("wfi\n nop", 0).0, Exit::Halt(pc) if pc == RAM + 4));
}

#[test]
fn floating_point_state_becomes_dirty() {
    let status = |code: &str| {
        let mut hart = hart("rv64,v=on");
        let source = format!(
            "li t0, 0x2200\n csrw mstatus, t0\n {code}\n csrr s0, mstatus\n li t6, 0x80008000\n li a0, 1\n sd a0, 0(t6)\nhalt: j halt\n"
        );
        hart.run(&source);
        (hart.get("s0") >> 13 & 3, hart.get("s0") >> 9 & 3, hart.get("s0") >> 63)
    };
    assert_eq!(status("nop"), (1, 1, 0));
    assert_eq!(status("fmv.d.x fa0, zero"), (3, 1, 1));
    assert_eq!(status("fsflags zero"), (3, 1, 1));
    assert_eq!(status("li a0, 0x80004000\n fsd fa0, 0(a0)"), (1, 1, 0));
    assert_eq!(status("li a0, 0x80004000\n c.fld fa0, 0(a0)"), (3, 1, 1));
    assert_eq!(status("frflags a0"), (1, 1, 0));
    assert_eq!(status("vsetvli a0, a0, e32, m1, ta, ma"), (1, 3, 1));
    assert_eq!(status("csrwi vxrm, 1"), (1, 3, 1));
}

#[test]
fn reservations_do_not_survive_traps() {
    let mut hart = hart("rv64");
    let source = "la t0, on\n csrw mtvec, t0\n li a0, 0x80004000\n lr.d a1, (a0)\n ecall\n .align 2\n on: sc.d s0, a0, (a0)\n \
        li t6, 0x80008000\n li a0, 1\n sd a0, 0(t6)\nhalt: j halt\n";
    hart.run(source);
    assert_eq!(hart.get("s0"), 1);
}

#[test]
fn blocks_stay_in_their_page() {
    let mut hart = hart("rv64");
    let pad = "nop\n".repeat(1021);
    // The last instruction of the page is 16 bits long, the next one reaches into the next page.
    let source = format!("{pad}c.nop\nli t6, 0x80008000\n li a0, 7\n sd a0, 0(t6)\nhalt: j halt\n");
    assert_eq!(hart.run(&source), 7);
}

#[test]
fn a_firmware_of_ones_own_leaves_supervisor_mode() {
    let mut hart = hart("rv64");
    let privileged = hart.cpu.privileged().expect("a machine").clone();
    privileged.enter_supervisor(&mut hart.state, RAM);
    assert_eq!(hart.get("priv"), 1);
    hart.assemble("rdtime a0\n csrw stimecmp, a0\n ecall\n", RAM);
    loop {
        match hart.step() {
            Some(Stop::Trap { cause: 9, .. }) => break,
            Some(Stop::Trap { .. } | Stop::Fault(_)) => panic!("mcause {}", hart.get("mcause")),
            _ => {}
        }
    }
    assert_eq!(hart.get("priv"), 3, "ecall of S is the firmware's");
    assert_eq!(DONE % 8, 0);
}
