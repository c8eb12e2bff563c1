//! How blocks are cut, end and hint, and what the disassembler and assembler say.

mod common;

use bumpalo::Bump;
use common::{CODE, DATA, Machine};
use tern_core::engine::Stop;
use tern_core::frontend::{Fetch, Frontend, Limits, Side};
use tern_core::ir::{Builder, Exit, Hint};
use tern_core::mem::{Access, FaultKind, MemFault};
use tern_riscv::{Features, Riscv};

const FOLLOW: Limits = Limits { insns: 64, follow: true, one_page: false };
const PLAIN: Limits = Limits { insns: 64, follow: false, one_page: false };

/// Code at an address, with nothing after it, and the side of branches to follow.
struct Bytes<'a>(u64, &'a [u8], Side);

impl Fetch for Bytes<'_> {
    fn fetch(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemFault> {
        let from = addr.wrapping_sub(self.0) as usize;
        for (i, byte) in buf.iter_mut().enumerate() {
            let fault = MemFault { addr: addr + i as u64, access: Access::Fetch, kind: FaultKind::Unmapped };
            *byte = *self.1.get(from + i).ok_or(fault)?;
        }
        Ok(())
    }

    fn side(&mut self, _taken: u64, _next: u64) -> Side {
        self.2
    }
}

fn cpu(spec: &str) -> Riscv {
    Riscv::new(spec.parse().unwrap_or_else(|e| panic!("{e}")))
}

/// How the block at [`CODE`] ends, and how many instructions it has.
fn block(cpu: &Riscv, source: &str, limits: Limits) -> (Exit, u32) {
    block_along(cpu, source, limits, Side::Next)
}

/// The same along one side of its conditional branches.
fn block_along(cpu: &Riscv, source: &str, limits: Limits, side: Side) -> (Exit, u32) {
    let mut code = cpu.assembler().assemble(source, CODE).unwrap_or_else(|e| panic!("{e}"));
    code.resize(4096, 0);
    let arena = Bump::new();
    let state = tern_core::state::State::new(cpu.layout());
    let key = tern_core::ir::BlockKey { pc: CODE, mode: cpu.mode(&state) };
    let mut b = Builder::new(&arena, key);
    let next = cpu.translate(&mut Bytes(CODE, &code, side), &mut b, limits).unwrap();
    let block = b.finish(next);
    (block.exit, block.insns)
}

fn hint(cpu: &Riscv, source: &str) -> Hint {
    match block(cpu, source, PLAIN).0 {
        Exit::Indirect(_, hint) => hint,
        other => panic!("{source} ends with {other:?}"),
    }
}

#[test]
fn jumps_and_calls_are_followed() {
    let cpu = cpu("max");
    let jump = "j 1f; nop; 1: nop; ecall";
    assert_eq!(block(&cpu, jump, FOLLOW), (Exit::Syscall(CODE + 16), 3));
    assert_eq!(block(&cpu, jump, PLAIN), (Exit::Goto(CODE + 8), 1));
    // A loop links to its own head.
    assert_eq!(block(&cpu, "nop; j .-4", FOLLOW), (Exit::Goto(CODE), 2));
    assert_eq!(block(&cpu, "nop; bnez a0, .-4; ecall", FOLLOW), (Exit::Syscall(CODE + 12), 3));
    let call = "jal 1f; ecall; 1: addi a0, a0, 1; ret";
    assert_eq!(block(&cpu, call, FOLLOW), (Exit::Syscall(CODE + 8), 4));
    assert_eq!(block(&cpu, call, PLAIN), (Exit::Call(CODE + 8, CODE + 4), 1));
    // A far call through auipc is a call too; a recursive one is not followed for ever.
    let far = "auipc ra, 0; jalr 12(ra); ecall; ret";
    assert_eq!(block(&cpu, &far.replace("jalr 12(ra)", "jalr ra, 12(ra)"), FOLLOW), (Exit::Syscall(CODE + 12), 4));
    let (exit, insns) = block(&cpu, "nop; 1: addi a0, a0, 1; jal 1b", FOLLOW);
    assert!(matches!(exit, Exit::Call(to, back) if to == CODE + 4 && back == CODE + 12), "{exit:?}");
    assert!(insns < 64);
    assert_eq!(block(&cpu, "jal .", FOLLOW), (Exit::Call(CODE, CODE + 4), 1));
}

#[test]
fn branches_are_followed_to_the_side_asked_for() {
    let cpu = cpu("max");
    let hop = "bnez a0, 1f; nop; ecall; 1: c.beqz a1, 2f; ecall; 2: nop; nop; ecall";
    assert_eq!(block_along(&cpu, hop, FOLLOW, Side::Next), (Exit::Syscall(CODE + 12), 3));
    assert_eq!(block_along(&cpu, hop, FOLLOW, Side::Taken), (Exit::Syscall(CODE + 30), 5));
    let (exit, insns) = block_along(&cpu, hop, FOLLOW, Side::Neither);
    assert!(matches!(exit, Exit::Branch(_, to, next) if (to, next) == (CODE + 12, CODE + 4)) && insns == 1, "{exit:?}");
    // Neither branches nor jumps unroll a loop.
    let (exit, insns) = block_along(&cpu, "nop; 1: nop; bnez a0, 1b; ecall", FOLLOW, Side::Taken);
    assert!(matches!(exit, Exit::Branch(_, to, next) if (to, next) == (CODE + 4, CODE + 12)) && insns == 3, "{exit:?}");
    assert_eq!(block_along(&cpu, "nop; 1: nop; j 1b", FOLLOW, Side::Taken), (Exit::Goto(CODE + 4), 3));
    // A jump backward to elsewhere is followed.
    let back = "j 2f; 1: ecall; 2: nop; j 1b";
    assert_eq!(block(&cpu, back, FOLLOW), (Exit::Syscall(CODE + 8), 4));
}

#[test]
fn blocks_end_at_the_limit() {
    let cpu = cpu("max");
    let one = Limits { insns: 1, follow: true, one_page: false };
    assert_eq!(block(&cpu, "nop; nop", one), (Exit::Goto(CODE + 4), 1));
    assert_eq!(block(&cpu, "c.nop; nop", one), (Exit::Goto(CODE + 2), 1));
    assert_eq!(block(&cpu, "j .+8", one), (Exit::Goto(CODE + 8), 1));
    assert_eq!(block(&cpu, "fence.i; nop", FOLLOW), (Exit::Resync(CODE + 4), 1));
    assert_eq!(block(&cpu, "fsrm a0; nop", FOLLOW), (Exit::Resync(CODE + 4), 1));
    assert_eq!(block(&cpu, "fsrmi 1; ecall", FOLLOW), (Exit::Syscall(CODE + 8), 2));
}

#[test]
fn indirect_jumps_hint_as_the_manual_says() {
    let cpu = cpu("max");
    assert_eq!(hint(&cpu, "ret"), Hint::Return);
    assert_eq!(hint(&cpu, "jr t0"), Hint::Return);
    assert_eq!(hint(&cpu, "c.jr ra"), Hint::Return);
    assert_eq!(hint(&cpu, "jr a0"), Hint::Jump);
    assert_eq!(hint(&cpu, "jalr a0, 0(a1)"), Hint::Jump);
    assert_eq!(hint(&cpu, "jalr a0"), Hint::Call(CODE + 4));
    assert_eq!(hint(&cpu, "c.jalr a0"), Hint::Call(CODE + 2));
    assert_eq!(hint(&cpu, "jalr t0, 0(a0)"), Hint::Call(CODE + 4));
    assert_eq!(hint(&cpu, "jalr ra, 0(ra)"), Hint::Call(CODE + 4));
    assert_eq!(hint(&cpu, "jalr a0, 0(ra)"), Hint::Return);
}

#[test]
fn a_fetch_fault_shows_only_when_it_is_reached() {
    let features = Features::default_for(64);
    let mut machine = Machine::new(&features);
    // The last two instructions before the unmapped page: the second one straddles its edge.
    machine.board.0.protect(DATA + 0x2000, false);
    let edge = DATA + 0x3000;
    machine.write(edge - 6, &[0x13, 0x05, 0x15, 0x00, 0x13, 0x05]);
    machine.state.set_pc(edge - 6);
    let fault = MemFault { addr: edge, access: Access::Fetch, kind: FaultKind::Unmapped };
    assert_eq!(machine.run(FOLLOW, true), Stop::Fault(fault));
    assert_eq!((machine.state.pc(), machine.retired), (edge - 2, 1));
    machine.state.set_pc(edge);
    assert_eq!(machine.run(FOLLOW, true), Stop::Fault(fault));
}

#[test]
fn addresses_of_rv32_wrap() {
    let cpu = cpu("rv32i");
    let arena = Bump::new();
    let mut b = Builder::new(&arena, tern_core::ir::BlockKey { pc: 0xffff_fffc, mode: 0 });
    let code = 0x0000_0013u32.to_le_bytes();
    assert_eq!(
        cpu.translate(
            &mut Bytes(0xffff_fffc, &code, Side::Next),
            &mut b,
            Limits { insns: 1, follow: true, one_page: false }
        ),
        Ok(0)
    );
}

#[test]
fn disassembly_prefers_pseudo_instructions() {
    let cpu = cpu("max");
    let text = |word: u32| cpu.disassemble(&word.to_le_bytes(), 0x10000, 0);
    let line = |text: &str, len| Some((text.to_string(), len));
    assert_eq!(text(0x0000_8067), line("ret", 4));
    assert_eq!(text(0x0000_0513), line("li a0, 0", 4));
    assert_eq!(text(0x00b5_0863), line("beq a0, a1, 0x10010", 4));
    assert_eq!(text(0x8082_8082), line("c.jr ra", 2));
    assert_eq!(text(0xc010_2573), line("csrr a0, time", 4));
    assert_eq!(text(0xffff_ffff), line(".4byte 0xffffffff", 4));
    assert_eq!(text(0xabcd_0000), line(".2byte 0x0000", 2));
    assert_eq!(cpu.disassemble(&[0x13, 0x05, 0x15], 0, 0), None);
    assert_eq!(cpu.disassemble(&[0x13], 0, 0), None);
}

#[test]
fn constants_of_any_width_can_be_loaded() {
    let numbers = [0x800, -0x801, 0x7fff_ffff, 0x8000_0000, i64::MIN, i64::MAX, 0x1234_5678_9abc_def0, -0x7fff_f801];
    for xlen in [32, 64] {
        let features = Features::default_for(xlen);
        for n in numbers {
            let mut machine = Machine::new(&features);
            machine.assemble(&format!("li a0, {n}\necall"));
            assert_eq!(machine.run(FOLLOW, true), Stop::Syscall);
            let slot = machine.cpu.layout().by_name("a0").expect("every CPU has a0").slot;
            let want = if xlen == 32 { n as i32 as u64 } else { n as u64 };
            assert_eq!(machine.state.get(slot), want, "RV{xlen} {n:#x}");
        }
    }
}

#[test]
fn addresses_are_made_with_relocation_functions() {
    let mut machine = Machine::new(&Features::default_for(64));
    machine.assemble("1: auipc a0, %pcrel_hi(data)\naddi a0, a0, %pcrel_lo(1b)\nlui a1, %hi(data)\naddi a1, a1, %lo(data)\necall\ndata: .word 7");
    assert_eq!(machine.run(FOLLOW, true), Stop::Syscall);
    for name in ["a0", "a1"] {
        let slot = machine.cpu.layout().by_name(name).expect("every CPU has it").slot;
        assert_eq!(machine.state.get(slot), CODE + 20, "{name}");
    }
    assert_eq!(machine.read(CODE + 20), 7);
}
