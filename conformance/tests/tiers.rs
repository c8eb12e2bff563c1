//! Random blocks: every tier must do what the evaluator does, to the bit.
#![forbid(unsafe_code)]

use bumpalo::Bump;
use std::panic::AssertUnwindSafe;
use tern_conformance::case::{BASE, PAGES};
use tern_conformance::run;
use tern_conformance::tier::{self, End, Tier};
use tern_core::bare::{BareGuest, BareMachine, HELPERS};
use tern_core::frontend::Frontend;
use tern_core::ir::random::{self, Plan};
use tern_core::ir::verify::verify;
use tern_core::ir::{Block, BlockKey, Inst, Op, Ref, Ty};
use tern_core::mem::GuestMemory;
use tern_core::state::State;

fn outcome(tier: &dyn Tier, block: &Block<'_>, guest: &BareGuest, seed: u64) -> (End, State, Vec<u8>) {
    let mut next = random::splitmix(seed);
    let mut state = random::state(guest.layout(), &mut next);
    let mut machine = BareMachine::new(BASE, PAGES);
    let bytes: Vec<u8> = (0..PAGES * 512).flat_map(|_| next().to_le_bytes()).collect();
    let memory: &mut dyn GuestMemory = &mut machine.memory;
    memory.write(BASE, &bytes, 0).expect("RAM is there");
    if next() & 3 == 0 {
        machine.memory.protect(BASE + 4096, true);
    }
    let end = tier.run(block, &mut state, &mut machine);
    (end, state, machine.contents())
}

/// Does the block go on at its own beginning?  A tier that follows jumps then never comes back to be compared.
fn repeats(end: &(End, State, Vec<u8>), block: &Block<'_>) -> bool {
    end.0.stop.is_none() && end.1.pc() == block.key.pc
}

/// What a tier does otherwise than the evaluator.  A panic is a failure like a wrong answer.
fn wrong(tier: &dyn Tier, block: &Block<'_>, guest: &BareGuest, seed: u64) -> Vec<String> {
    let reference = tier::by_name("eval").expect("the evaluator is a tier");
    let want = outcome(&*reference, block, guest, seed);
    if repeats(&want, block) {
        return Vec::new();
    }
    match std::panic::catch_unwind(AssertUnwindSafe(|| outcome(tier, block, guest, seed))) {
        Ok(got) => run::differences((got.0, &got.1, &got.2), (want.0, &want.1, &want.2), guest),
        Err(_) => vec!["panics".to_owned()],
    }
}

/// Replaces operations by constants as long as the tier stays wrong, so that a report shows what matters.
fn shrink(tier: &dyn Tier, block: &mut Block<'_>, guest: &BareGuest, seed: u64) {
    let mut again = true;
    while again {
        again = false;
        for at in (0..block.insts.len()).rev() {
            let old = block.insts[at];
            let zero = Inst { op: Op::Const, ty: old.result().unwrap_or(Ty::I64), args: [Ref::NONE; 3], imm: 0 };
            if old.op == Op::Const || matches!(old.op, Op::Insn | Op::Bind | Op::Br | Op::BrIf) {
                continue;
            }
            block.insts[at] = zero;
            if verify(block, Some(guest.layout())).is_ok() && !wrong(tier, block, guest, seed).is_empty() {
                again = true;
            } else {
                block.insts[at] = old;
            }
        }
    }
}

#[test]
fn random_blocks_agree_with_the_evaluator() {
    let guest = BareGuest::new();
    let tiers = tier::all();
    let seeds = if cfg!(miri) { 20 } else { 10_000 };
    let (mut failures, mut repeated) = (Vec::new(), 0);
    let reference = tier::by_name("eval").expect("the evaluator is a tier");
    for seed in 0..seeds {
        let plan = Plan {
            layout: guest.layout(),
            helpers: &HELPERS,
            base: BASE,
            len: 4096,
            ops: 10 + (seed % 50) as usize,
            faults: seed & 1 == 0,
            fp: seed & 2 == 0,
            control: seed & 4 == 0,
        };
        let arena = Bump::new();
        let key = BlockKey { pc: 0x1000, mode: 0 };
        let mut block = random::block(&arena, &plan, key, &mut random::splitmix(seed));
        repeated += u64::from(repeats(&outcome(&*reference, &block, &guest, seed), &block));
        for tier in tiers.iter().filter(|t| t.missing().is_none()) {
            if !wrong(&**tier, &block, &guest, seed).is_empty() {
                shrink(&**tier, &mut block, &guest, seed);
                let wrong = wrong(&**tier, &block, &guest, seed);
                failures.push(format!(
                    "seed {seed}, {}: {wrong:#?}\n{}",
                    tier.name(),
                    block.text(Some(guest.layout()))
                ));
            }
        }
    }
    assert!(repeated * 1000 < seeds, "{repeated} blocks were not compared");
    failures.sort_by_key(String::len);
    let shown = failures.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {seeds} seeds differ; the shortest:\n{shown}", failures.len());
}
