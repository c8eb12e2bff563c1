//! What every instruction does, by the reference evaluator.
//!
//! The cases are in `cases/*.txt`.  A line is `INSTRUCTIONS | BEFORE | AFTER`: assembly separated by `;`, and assignments
//! `name=value` to slots or to doublewords of memory (`[0x11000]=...`).  What is not named after must be as before.
//! AFTER may say how the run ends: `trap=CAUSE:VALUE`, `fault=KIND:ADDRESS`; else it ends at an `ecall` that the harness
//! appends.  A line `cpu SPEC` chooses the CPU for the lines below it.

mod common;

use common::{CODE, Machine};
use std::collections::BTreeSet;
use tern_core::engine::Stop;
use tern_core::frontend::{Frontend, Limits};
use tern_core::state::{Role, Slot, State};
use tern_riscv::{Features, state};

const FILES: &[(&str, &str)] = &[
    ("base.txt", include_str!("cases/base.txt")),
    ("muldiv.txt", include_str!("cases/muldiv.txt")),
    ("atomics.txt", include_str!("cases/atomics.txt")),
    ("compressed.txt", include_str!("cases/compressed.txt")),
    ("bits.txt", include_str!("cases/bits.txt")),
    ("crypto.txt", include_str!("cases/crypto.txt")),
    ("fp.txt", include_str!("cases/fp.txt")),
    ("half.txt", include_str!("cases/half.txt")),
    ("misc.txt", include_str!("cases/misc.txt")),
    ("vector.txt", include_str!("cases/vector.txt")),
    ("vector_crypto.txt", include_str!("cases/vector_crypto.txt")),
];

/// The layout's names of what cases call by the manual's.
fn slot_name(name: &str) -> &str {
    match name {
        "fflags" => "fpflags0",
        "frm" => "fpcontrol0",
        other => other,
    }
}

fn number(text: &str) -> u64 {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(&hex.replace('_', ""), 16),
        None => digits.parse(),
    };
    let value = value.unwrap_or_else(|e| panic!("{text}: {e}"));
    if negative { value.wrapping_neg() } else { value }
}

struct Case<'a> {
    code: &'a str,
    before: Vec<(&'a str, u64)>,
    after: Vec<(&'a str, u64)>,
    end: Option<&'a str>,
}

/// Assignments, and how the run ends if they say so.
fn assignments(part: &str) -> (Vec<(&str, u64)>, Option<&str>) {
    let (ends, pairs): (Vec<_>, Vec<_>) =
        part.split_whitespace().partition(|w| w.starts_with("trap=") || w.starts_with("fault="));
    let pair = |word: &'_ str| word.split_once('=').map(|(name, _)| name.len());
    let pairs = pairs
        .into_iter()
        .map(|w| {
            let at = pair(w).unwrap_or_else(|| panic!("`{w}` is no assignment"));
            (&w[..at], number(&w[at + 1..]))
        })
        .collect();
    (pairs, ends.first().copied())
}

fn parse(line: &str) -> Case<'_> {
    let mut parts = line.split('|').map(str::trim);
    let mut part = || parts.next().unwrap_or("");
    let code = part();
    let (before, _) = assignments(part());
    let (after, end) = assignments(part());
    Case { code, before, after, end }
}

/// How a run ended, as cases write it.
fn describe(stop: Stop) -> String {
    match stop {
        Stop::Trap { cause, value } => format!("trap={cause}:{value:#x}"),
        Stop::Fault(f) => format!("fault={:?}:{:?}:{:#x}", f.access, f.kind, f.addr).to_lowercase(),
        Stop::Syscall => "ecall".into(),
        other => format!("{other:?}"),
    }
}

/// Address in `[0x11000]`.
fn memory_address(name: &str) -> Option<u64> {
    Some(number(name.strip_prefix('[')?.strip_suffix(']')?))
}

fn set(machine: &mut Machine, name: &str, value: u64) {
    if let Some(addr) = memory_address(name) {
        return machine.write(addr, &value.to_le_bytes());
    }
    let row = machine.cpu.layout().by_name(slot_name(name)).unwrap_or_else(|| panic!("no register {name}"));
    let slot = row.slot;
    machine.state.set(slot, value);
}

/// Runs one case in one translation mode; gives what is wrong.
fn check(features: &Features, case: &Case<'_>, limits: Limits, passes: bool) -> Option<String> {
    let mut machine = Machine::new(features);
    machine.assemble(&format!("{}\necall", case.code.replace(';', "\n")));
    for (i, row) in machine.cpu.layout().rows().to_vec().iter().enumerate() {
        // Something recognisable everywhere, so that stray writes show; RV32 registers are sign-extended.
        let value = if features.xlen() == 32 { 0x5a00 + i as u64 } else { 0x5a5a_0000_5a00 + i as u64 };
        if matches!(row.role, Role::Gpr(_) | Role::Fpr(_)) {
            machine.state.set(row.slot, value);
        }
    }
    for (name, value) in &case.before {
        set(&mut machine, name, *value);
    }
    let mut expected: State = machine.state.clone();
    let mut memory = Vec::new();
    for (name, value) in &case.after {
        match (memory_address(name), machine.cpu.layout().by_name(slot_name(name))) {
            (Some(addr), _) => memory.push((addr, *value)),
            (None, Some(row)) => expected.set(row.slot, *value),
            (None, None) => panic!("no register {name}"),
        }
    }
    let end = describe(machine.run(limits, passes));
    if end != case.end.unwrap_or("ecall") {
        return Some(format!("ends with {end} at {:#x}", machine.state.pc()));
    }
    for row in machine.cpu.layout().rows() {
        let named = case.after.iter().any(|(name, _)| slot_name(name) == row.name);
        let hidden = !named && [Slot::PC, state::RES_ADDR, state::RES_VAL].contains(&row.slot);
        let (is, want) = (machine.state.get(row.slot), expected.get(row.slot));
        if !hidden && is != want {
            return Some(format!("{} is {is:#x}, not {want:#x}", row.name));
        }
    }
    memory.iter().find_map(|&(addr, want)| {
        let is = machine.read(addr);
        (is != want).then(|| format!("[{addr:#x}] is {is:#x}, not {want:#x}"))
    })
}

/// The cases of all files with their CPUs.
fn cases() -> Vec<(String, Features, Case<'static>)> {
    let mut all = Vec::new();
    for (file, text) in FILES {
        let mut features = None;
        for (n, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or("").trim();
            if let Some(spec) = line.strip_prefix("cpu ") {
                features = Some(spec.parse::<Features>().unwrap_or_else(|e| panic!("{file}:{n}: {e}")));
            } else if !line.is_empty() {
                let features = features.clone().unwrap_or_else(|| panic!("{file}:{n}: no cpu yet"));
                all.push((format!("{file}:{n}: {line}"), features, parse(line)));
            }
        }
    }
    all
}

#[test]
fn instructions_do_what_the_manual_says() {
    let ways = [
        (Limits { insns: 64, follow: true, one_page: false }, true),
        (Limits { insns: 1, follow: false, one_page: false }, false),
    ];
    let mut wrong = Vec::new();
    for (name, features, case) in cases() {
        wrong.extend(ways.iter().filter_map(|w| Some(format!("{name}\n    {}", check(&features, &case, w.0, w.1)?))));
    }
    assert!(wrong.is_empty(), "{} cases fail:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_row_has_a_case() {
    let mut seen = BTreeSet::new();
    for (_, features, case) in cases() {
        let mut machine = Machine::new(&features);
        let code = case.code.replace(';', "\n");
        machine.assemble(&code);
        let len = machine.cpu.assembler().assemble(&code, CODE).map_or(0, |b| b.len() as u64);
        let mut at = 0;
        while at < len {
            let word = machine.read(CODE + at) & 0xffff_ffff;
            let word = if word & 3 == 3 { word } else { word & 0xffff };
            let row = machine.cpu.decoder().decode(word);
            seen.extend(row.map(|r| (features.xlen(), r.group(), r.id())));
            at += if word & 3 == 3 { 4 } else { 2 };
        }
    }
    let mut missing = Vec::new();
    for xlen in [32, 64] {
        let other = 96 - xlen;
        for group in Features::default_for(xlen).groups() {
            let shared = Features::default_for(other).groups().iter().any(|g| core::ptr::eq(*g, group));
            for row in group.rows {
                let has = |x| seen.contains(&(x, row.group(), row.id()));
                if !(has(xlen) || shared && has(other)) {
                    missing.push(format!("rv{xlen} {}/{}", row.group(), row.id()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{} rows without a case:\n{}", missing.len(), missing.join("\n"));
}
