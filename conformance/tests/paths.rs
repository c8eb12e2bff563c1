//! Random programs with branches, loops, calls and stores into code: whatever the engine translates, however often, along
//! whichever path, the evaluator's state must come out, at every position.
#![forbid(unsafe_code)]

use std::rc::Rc;
use tern_core::bare::BareMachine;
use tern_core::engine::Stop;
use tern_core::frontend::Frontend;
use tern_core::ir::random::splitmix;
use tern_core::mem::{Access, GuestMemory, PAGE_SIZE};
use tern_core::state::State;
use tern_interp::{CpuId, Dispatch, Engine, Options, Stats};
use tern_riscv::{Features, Riscv};

/// Where code begins, and the page after it, which holds data.
const CODE: u64 = 0x1_0000;
const DATA: u64 = CODE + PAGE_SIZE;
/// Parts of a program, each with a label.
const PARTS: u64 = 24;
/// A run of at most so many instructions is left to the evaluator.
const EVALUATED: u64 = 64;

/// A program: s0 counts parts down, s1 is the data page, s2 an address in the code.
fn program(seed: u64) -> String {
    let mut next = splitmix(seed);
    let mut text = format!("lui s1, {:#x}; auipc s2, 0; li s0, 3000\n", DATA >> 12);
    let stores = seed.is_multiple_of(3);
    for part in 0..PARTS {
        text += &format!("{}: addi s0, s0, -1; beqz s0, 100f\n", part + 1);
        for _ in 0..next() % 5 {
            let (d, a, b) = (next() % 4, next() % 4, next() % 4);
            text += &match next() % 8 {
                0 => format!("add a{d}, a{a}, a{b}\n"),
                1 => format!("xori a{d}, a{a}, {}\n", next() % 2048),
                2 => format!("sraiw a{d}, a{a}, {}\n", next() % 32),
                3 => format!("ld a{d}, {}(s1)\n", next() % 256 * 8),
                4 => format!("sd a{a}, {}(s1)\n", next() % 256 * 8),
                5 => format!("addi a{d}, a{d}, {}\n", next() % 64),
                6 => format!("mul a{d}, a{a}, a{b}\n"),
                // A word of the code is moved: most are instructions, and some are not.
                _ if stores => format!("lw a4, {}(s2); sw a4, {}(s2)\n", next() % 64 * 4, 160 + next() % 32 * 4),
                _ => format!("c.addi a{d}, {}\n", next() % 31 + 1),
            };
        }
        let to = next() % PARTS + 1;
        let to = format!("{to}{}", if to > part + 1 { 'f' } else { 'b' });
        text += &match next() % 8 {
            0 => format!("andi t1, a0, {}; beqz t1, {to}\n", 1 << (next() % 4)),
            1 => format!("andi t1, a1, {}; bnez t1, {to}\n", (1 << (next() % 4)) - 1),
            2 => format!("bltu a2, a3, {to}\n"),
            3 => format!("bge a1, a3, {to}\n"),
            4 => format!("j {to}\n"),
            5 => format!("jal {to}\n"),
            6 => "mv t1, ra; beqz t1, .+8; ret\n".to_owned(),
            _ => String::new(),
        };
    }
    text + "100: ecall\n"
}

/// What a run leaves behind.
#[derive(PartialEq, Debug)]
struct Outcome {
    stop: Stop,
    icount: u64,
    pc: u64,
    slots: Vec<u64>,
    memory: Vec<u8>,
}

fn run(frontend: &Rc<dyn Frontend>, code: &[u8], options: Options, mut chunk: impl FnMut() -> u64) -> (Outcome, Stats) {
    let mut board = BareMachine::new(CODE, 2);
    let memory: &mut dyn GuestMemory = &mut board;
    memory.write(CODE, code, 0).expect("the program fits");
    let mut engine = Engine::new(Rc::clone(frontend), options);
    let cpu: CpuId = engine.add_cpu();
    engine.state_mut(cpu).set_pc(CODE);
    let limit = 60_000;
    let stop = loop {
        let left = limit - engine.icount(cpu);
        match engine.run(cpu, &mut board, chunk().min(left)) {
            Stop::Limit if left == 0 => break Stop::Limit,
            Stop::Limit | Stop::Resync => {}
            other => break other,
        }
    };
    let state: &State = engine.state(cpu);
    let slots = frontend.layout().rows().iter().map(|r| state.get(r.slot)).collect();
    let mut bytes = vec![0; 2 * PAGE_SIZE as usize];
    let memory: &mut dyn GuestMemory = &mut board;
    memory.read(CODE, &mut bytes, Access::Load, 0).expect("RAM is there");
    let outcome = Outcome { stop, icount: engine.icount(cpu), pc: state.pc(), slots, memory: bytes };
    (outcome, engine.stats())
}

#[test]
fn every_way_to_translate_a_program_gives_the_evaluators_state() {
    let riscv = Riscv::new(Features::default_for(64));
    let assembler = riscv.assembler();
    let programs: Vec<(u64, Vec<u8>)> = (0..if cfg!(miri) { 2 } else { 40 })
        .map(|seed| (seed, assembler.assemble(&program(seed), CODE).unwrap_or_else(|e| panic!("seed {seed}: {e}"))))
        .collect();
    let frontend: Rc<dyn Frontend> = Rc::new(riscv);
    let (mut hot, mut invalidations, mut syscalls) = (0, 0, 0);
    for (seed, code) in programs {
        let (want, stats) = run(&frontend, &code, Options::default(), || EVALUATED);
        assert_eq!(stats.blocks, 0, "the reference translates nothing");
        syscalls += u64::from(want.stop == Stop::Syscall);
        for dispatch in [Dispatch::Loop, Dispatch::Tail].into_iter().filter(|d| d.available()) {
            for heat in [None, Some(0), Some(1), Some(3), Options::default().hot] {
                for (block_insns, chain, cache_words) in
                    [(64, true, 1 << 20), (5, true, 1 << 20), (1, true, 1 << 20), (64, false, 1 << 20), (64, true, 0)]
                {
                    let options =
                        Options { dispatch, hot: heat, block_insns, chain, cache_words, ..Options::default() };
                    let mut next = splitmix(seed);
                    let chunk = || if next() & 1 == 0 { EVALUATED + 1 + next() % 300 } else { 1 << 30 };
                    let (got, stats) = run(&frontend, &code, options, chunk);
                    assert!(
                        got == want,
                        "seed {seed}, {dispatch:?}, hot {heat:?}, {block_insns} instructions, chain {chain}: {:x?}, wanted {:x?}\n{}",
                        (got.stop, got.icount, got.pc, got.slots),
                        (want.stop, want.icount, want.pc, &want.slots),
                        program(seed)
                    );
                    hot += stats.hot;
                    invalidations += stats.invalidations;
                }
            }
        }
    }
    assert!(hot > 1000 && invalidations > 1000 && syscalls > 5 || cfg!(miri), "{hot} {invalidations} {syscalls}");
}

#[test]
fn a_hot_block_is_forgotten_when_its_code_changes() {
    // A loop calls a function twice, so that the function is hot when the calls, which are linked to it, are not yet.  It
    // is on a page of its own, which changes after 30 rounds.
    let source = format!(
        "lui s1, {:#x}; li s0, 100; lw t3, 8(s1)
         1: jal .+{}; jal .+{}; addi s0, s0, -1; addi t1, s0, -70; bnez t1, 2f; sw t3, 0(s1); 2: bnez s0, 1b; ecall",
        DATA >> 12,
        PAGE_SIZE - 12,
        PAGE_SIZE - 16,
    );
    let function = "addi a0, a0, 1; ret; addi a0, a0, 2";
    let riscv = Riscv::new(Features::default_for(64));
    let assembler = riscv.assembler();
    let mut code = assembler.assemble(&source, CODE).unwrap_or_else(|e| panic!("{e}"));
    code.resize(PAGE_SIZE as usize, 0);
    code.extend(assembler.assemble(function, DATA).unwrap_or_else(|e| panic!("{e}")));
    let a0 = riscv.layout().rows().iter().position(|r| r.name == "a0").expect("there is a0");
    let frontend: Rc<dyn Frontend> = Rc::new(riscv);
    for dispatch in [Dispatch::Loop, Dispatch::Tail].into_iter().filter(|d| d.available()) {
        for hot in [None, Some(0), Some(20), Some(40), Some(50), Some(70), Some(500)] {
            let (got, _) = run(&frontend, &code, Options { dispatch, hot, ..Options::default() }, || 1 << 30);
            assert_eq!((got.stop, got.slots[a0]), (Stop::Syscall, 30 * 2 + 70 * 4), "{dispatch:?}, {hot:?}");
        }
    }
}
