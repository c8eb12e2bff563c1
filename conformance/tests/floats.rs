//! Floating-point words against the evaluator, which is softfloat: every operation with a form on host arithmetic, in
//! every format and operand variant, on special and random operands, in several environments.
#![forbid(unsafe_code)]

use bumpalo::Bump;
use tern_conformance::case::{BASE, PAGES};
use tern_conformance::run;
use tern_conformance::tier::{self, End, Tier};
use tern_core::bare::{BareGuest, BareMachine};
use tern_core::frontend::Frontend;
use tern_core::ir::{Block, random};
use tern_core::state::{FP_DAZ, FP_FTZ, Slot, State};

/// How an operand comes to the operation.
const SHAPES: [&str; 3] = ["f64", "f32", "boxed"];

/// Operations: name with kind, number of operands, type of the result where it is not the format's, format that it is
/// restricted to.
const OPS: [(&str, usize, &str, &str); 28] = [
    ("fadd.F", 2, "", ""),
    ("fsub.F", 2, "", ""),
    ("fmul.F", 2, "", ""),
    ("fdiv.F", 2, "", ""),
    ("fadd.F.rne", 2, "", ""),
    ("fmul.F.rtz", 2, "", ""),
    ("fmin.F", 2, "", ""),
    ("fmax.F", 2, "", ""),
    ("fsqrt.F", 1, "", ""),
    ("frint.F", 1, "", ""),
    ("fmuladd.F", 3, "", ""),
    ("fmuladd.F.k1", 3, "", ""),
    ("fmuladd.F.k2", 3, "", ""),
    ("fmuladd.F.k3", 3, "", ""),
    ("feq.F", 2, "bool", ""),
    ("flt.F", 2, "bool", ""),
    ("fle.F", 2, "bool", ""),
    ("fltq.F", 2, "bool", ""),
    ("fleq.F", 2, "bool", ""),
    ("fcvt.F.f32", 1, "i32", "f64"),
    ("fcvt.F.f64", 1, "i64", "f32"),
    ("ftos32.F.rtz", 1, "i32", ""),
    ("ftou32.F.rtz", 1, "i32", ""),
    ("ftos64.F.rtz", 1, "i64", ""),
    ("ftos64.F", 1, "i64", ""),
    ("ffroms32.F", 1, "", ""),
    ("ffromu32.F", 1, "", ""),
    ("ffroms64.F", 1, "", ""),
];

/// The text of a block that does an operation twice, the second time on the first result if the types allow; `acc` are
/// the operands that are computed right before it.
fn text(op: (&str, usize, &str, &str), shape: &str, acc: u32) -> Option<String> {
    let format = if shape == "f64" { "f64" } else { "f32" };
    if !op.3.is_empty() && op.3 != format {
        return None;
    }
    let own = if format == "f64" { "i64" } else { "i32" };
    let result = if op.2.is_empty() { own } else { op.2 };
    let from_integer = op.0.starts_with("ffrom");
    let operand = match op.0 {
        name if name.starts_with("ffroms64") => "i64",
        _ if from_integer => "i32",
        _ => own,
    };
    let mut lines = vec!["insn 0x1000".to_owned(), "zero:i64 = get x9".to_owned()];
    let mut names = Vec::new();
    let early = (0..op.1).filter(|n| acc >> n & 1 == 0);
    let late = (0..op.1).filter(|n| acc >> n & 1 != 0);
    let equal = acc >> 3 & 1 != 0;
    for n in early.chain(late) {
        let source = if equal { 1 } else { n + 1 };
        lines.push(format!("g{n}:i64 = get x{source}"));
        let mut value = format!("g{n}");
        if acc >> n & 1 != 0 {
            lines.push(format!("h{n}:i64 = xor g{n}, zero"));
            value = format!("h{n}");
        }
        if operand == "i32" {
            let unbox = if shape == "boxed" && !from_integer { "unbox32" } else { "trunc" };
            lines.push(format!("v{n}:i32 = {unbox} {value}"));
            value = format!("v{n}");
        }
        names.push((n, value));
    }
    names.sort();
    if equal {
        // One value for all.
        let first = names[0].1.clone();
        names.iter_mut().for_each(|n| n.1.clone_from(&first));
    }
    let args = |first: Option<&str>| {
        let all = names.iter().enumerate().map(|(i, n)| if i == 0 { first.unwrap_or(&n.1) } else { &n.1 });
        all.collect::<Vec<_>>().join(", ")
    };
    let name = op.0.replace('F', format);
    lines.push(format!("r:{result} = {name} {}", args(None)));
    let again = result == operand && result == own;
    if again {
        lines.push(format!("s:{result} = {name} {}", args(Some("r"))));
    }
    for (value, slot) in [("r", 4), ("s", 5)].into_iter().take(1 + usize::from(again)) {
        let wide = match (result, op.0.starts_with("fto")) {
            ("i64", _) => None,
            ("bool", _) => Some("bool_int"),
            (_, true) => Some("sext32"),
            _ => Some("oext32"),
        };
        match wide {
            None => lines.push(format!("set x{slot}, {value}")),
            Some("bool_int") => {
                lines.push(format!("{value}i:i64 = bool_int {value}"));
                lines.push(format!("set x{slot}, {value}i"));
            }
            Some(wide) => {
                lines.push(format!("{value}w:i64 = {wide} {value}"));
                lines.push(format!("set x{slot}, {value}w"));
            }
        }
    }
    Some(format!("block pc=0x1000 mode=0 {{\n  {}\n}} goto 0x1004\n", lines.join("\n  ")))
}

/// Encodings that matter, as binary64.
const SPECIAL: [u64; 20] = [
    0,
    1 << 63,
    1,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x8010_0000_0000_0001,
    0x0020_0000_0000_0000,
    0x3ff0_0000_0000_0000,
    0xbff0_0000_0000_0000,
    0x3ff0_0000_0000_0001,
    0x4008_0000_0000_0000,
    0x3fe5_5555_5555_5555,
    0x41df_ffff_ffc0_0000,
    0x41e0_0000_0000_0000,
    0xc3e0_0000_0000_0000,
    0x43e0_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0x7ff0_0000_0000_0001,
];

/// An operand: special, short or random; with exponents near to each other most of the time.
fn operand(next: &mut impl FnMut() -> u64, shape: &str) -> u64 {
    let dice = next();
    let bits = next();
    let wide = match dice & 7 {
        0 | 1 => SPECIAL[(dice >> 8) as usize % SPECIAL.len()],
        2 => bits,
        3 => ((bits as i64 >> 52) as f64 * 0.25).to_bits(),
        4 => bits & 0x8000_0000_0000_0000 | (dice >> 8 & 63) << 52 | bits >> 12,
        _ => bits & 0x800f_ffff_ffff_ffff | (1000 + (dice >> 8 & 31)) << 52,
    };
    if shape == "f64" {
        return wide;
    }
    let narrow = match dice >> 16 & 7 {
        0 => bits as u32,
        1 => 1 << (dice >> 24 & 31),
        2 => (bits as u32 & 0x807f_ffff) | 0x0080_0000,
        3 => (bits as u32 & 0x8000_ffff) | 0x7f80_0000,
        _ => (f64::from_bits(wide) as f32).to_bits(),
    };
    // Now and then it is not boxed.
    let upper = if dice >> 40 & 15 == 0 { next() << 32 } else { 0xffff_ffff << 32 };
    u64::from(narrow) | upper
}

fn outcome(tier: &dyn Tier, block: &Block<'_>, state: &State) -> (End, State, Vec<u8>) {
    let mut machine = BareMachine::new(BASE, PAGES);
    let mut state = state.clone();
    let end = tier.run(block, &mut state, &mut machine);
    (end, state, machine.contents())
}

fn check(op: (&str, usize, &str, &str), rounds: u64) -> Vec<String> {
    let guest = BareGuest::new();
    let reference = tier::by_name("eval").expect("the evaluator is a tier");
    let tiers: Vec<_> = tier::all().into_iter().filter(|t| t.missing().is_none()).collect();
    let mut failures = Vec::new();
    let mut next = random::splitmix(op.0.bytes().fold(7, |h, b| h * 31 + u64::from(b)));
    for shape in SHAPES {
        for acc in [0, 1, 2, 4, 8, 9] {
            if acc < 8 && acc >> op.1 != 0 {
                continue;
            }
            let Some(text) = text(op, shape, acc) else { continue };
            let arena = Bump::new();
            let block = tier::block(&arena, &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            for _ in 0..rounds {
                let mut state = State::new(guest.layout());
                for n in 1..=3 {
                    let slot = guest.layout().by_name(&format!("x{n}")).expect("a register").slot;
                    state.set(slot, operand(&mut next, shape));
                }
                let dice = next();
                state.set(Slot::fp_flags(0), dice & 1);
                let control = [0, 0, 0, 0, 0, 1, 3, FP_FTZ | FP_DAZ];
                state.set(Slot::fp_control(0), control[(dice >> 8) as usize % control.len()]);
                let want = outcome(&*reference, &block, &state);
                for tier in &tiers {
                    let got = outcome(&**tier, &block, &state);
                    let wrong = run::differences((got.0, &got.1, &got.2), (want.0, &want.1, &want.2), &guest);
                    if !wrong.is_empty() {
                        let given: Vec<_> = state.near[..16].iter().map(|v| format!("{v:#x}")).collect();
                        failures.push(format!("{}: {wrong:?}\ngiven {given:?}\n{text}", tier.name()));
                    }
                }
            }
        }
    }
    failures
}

#[test]
fn words_agree_with_softfloat() {
    let rounds = if cfg!(miri) { 1 } else { 60 };
    let failures: Vec<_> = OPS.iter().flat_map(|op| check(*op, rounds)).collect();
    assert!(
        failures.is_empty(),
        "{} differ; the first:\n{}",
        failures.len(),
        failures[..failures.len().min(5)].join("\n")
    );
}

#[test]
fn a_changed_environment_is_noticed_at_once() {
    // Flags and rounding change between two operations of one block, which must see it.
    let text = "block pc=0x1000 mode=0 {
  insn 0x1000
  a:i64 = get x1
  b:i64 = get x2
  nought:i64 = get x9
  r:i64 = fdiv.f64 a, b
  set x4, r
  set fpflags0, nought
  s:i64 = fdiv.f64 a, b
  set x5, s
  mode:i64 = get x3
  set fpcontrol0, mode
  t:i64 = fdiv.f64 a, b
  set x6, t
} goto 0x1004
";
    let guest = BareGuest::new();
    let arena = Bump::new();
    let block = tier::block(&arena, text).expect("the text is right");
    let reference = tier::by_name("eval").expect("the evaluator is a tier");
    for mode in [0, 1, 3, FP_FTZ] {
        let mut state = State::new(guest.layout());
        let slot = |n: &str| guest.layout().by_name(n).expect("a register").slot;
        state.set(slot("x1"), 1f64.to_bits());
        state.set(slot("x2"), 3f64.to_bits());
        state.set(slot("x3"), mode);
        state.set(Slot::fp_flags(0), 1);
        let want = outcome(&*reference, &block, &state);
        assert_eq!(want.1.get(Slot::fp_flags(0)), 1, "the second division raises inexact again");
        for tier in tier::all().into_iter().filter(|t| t.missing().is_none()) {
            let got = outcome(&*tier, &block, &state);
            let wrong = run::differences((got.0, &got.1, &got.2), (want.0, &want.1, &want.2), &guest);
            assert!(wrong.is_empty(), "{}, mode {mode}: {wrong:?}", tier.name());
        }
    }
}
