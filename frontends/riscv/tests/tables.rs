//! Checks over the whole instruction table.

use tern_decode::{Group, ambiguous, pseudo_errors, roundtrip};
use tern_riscv::asm::RiscvAsm;
use tern_riscv::{Features, Rv};

fn groups(xlen: u8) -> Vec<&'static Group<Rv>> {
    Features::default_for(xlen).groups()
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
