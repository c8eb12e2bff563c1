//! Checks over the whole instruction table.

use bumpalo::Bump;
use tern_core::frontend::{Fetch, Frontend, Limits};
use tern_core::ir::verify::verify;
use tern_core::ir::{BlockKey, Builder};
use tern_core::mem::MemFault;
use tern_decode::{Group, ambiguous, pseudo_errors, roundtrip};
use tern_riscv::asm::RiscvAsm;
use tern_riscv::{Features, Riscv, Rv};

/// All that is implemented, with the optional extensions.
fn spec(xlen: u8) -> &'static str {
    if xlen == 32 {
        "max32,v,zvfh,zvbb,zvknc,zvkng,zvksg,smaia"
    } else {
        "max,v,zvfh,zvbb,zvknc,zvkng,zvksg,smaia,xventanacondops"
    }
}

fn everything(xlen: u8) -> Features {
    spec(xlen).parse().expect("the extensions go together")
}

fn groups(xlen: u8) -> Vec<&'static Group<Rv>> {
    Features::for_machine(spec(xlen)).expect("the extensions go together").machine_groups()
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
fn no_two_rows_claim_one_word() {
    for xlen in [32, 64] {
        let pairs: Vec<_> = ambiguous(&groups(xlen)).iter().map(|(a, b)| (a.id(), b.id())).collect();
        assert_eq!(pairs, [], "RV{xlen}");
    }
}

#[test]
fn every_row_survives_the_round_trip() {
    for xlen in [32, 64] {
        let failures = roundtrip(&groups(xlen), RiscvAsm::for_xlen(xlen), 200, &mut random(u64::from(xlen)));
        let text: Vec<String> = failures.iter().map(ToString::to_string).collect();
        assert_eq!(text, [""; 0], "RV{xlen}");
    }
}

#[test]
fn pseudo_instructions_expand_to_instructions() {
    for xlen in [32, 64] {
        let bad: Vec<_> = pseudo_errors(&groups(xlen)).iter().map(|p| (p.mnemonic, p.expansion)).collect();
        assert_eq!(bad, [], "RV{xlen}");
    }
}

/// A page of code that repeats over the whole address space.
struct Page(Vec<u8>);

impl Fetch for Page {
    fn fetch(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemFault> {
        for (i, byte) in buf.iter_mut().enumerate() {
            *byte = self.0[(addr as usize).wrapping_add(i) % self.0.len()];
        }
        Ok(())
    }
}

#[test]
fn any_bytes_translate_to_sound_blocks() {
    for xlen in [32, 64] {
        let cpus = [Riscv::new(everything(xlen)), Riscv::machine(everything(xlen))];
        let rows = cpus[1].decoder().rows().to_vec();
        let mut random = random(99 + u64::from(xlen));
        for round in 0..8000 {
            let arena = Bump::new();
            // Half of the time nothing but noise, else instructions of all kinds one after the other.
            let mut code = Vec::new();
            while code.len() < 512 {
                let row = rows[(random() % rows.len() as u64) as usize];
                let word = if round % 2 == 0 { Some(random()) } else { cpus[1].decoder().random(row, &mut random) };
                code.extend(&word.unwrap_or(0).to_le_bytes()[..usize::from(row.pattern().width / 8)]);
            }
            code.truncate(512);
            let pc = [0x1000, 0x1ffe, 0xffff_fffc, 0][(random() % 4) as usize];
            let (cpu, modes) = if round % 4 < 2 { (&cpus[0], 1) } else { (&cpus[1], 0x1f_ff01) };
            let key = BlockKey { pc, mode: (random() & modes) as u32 };
            let mut b = Builder::new(&arena, key);
            let limits = Limits { insns: 64, follow: random() & 1 == 0, one_page: random() & 1 == 0 };
            let next = cpu.translate(&mut Page(code), &mut b, limits).expect("the page never faults");
            let block = b.finish(next);
            assert!((1..=64).contains(&block.insns));
            verify(&block, Some(cpu.layout())).unwrap_or_else(|e| panic!("RV{xlen} round {round}: {e}"));
        }
    }
}
