//! Runs IR tests on tiers and compares what comes out with what is expected.

use crate::case::{BASE, Case, File, PAGES, Test};
use crate::tier::{self, End, Tier};
use bumpalo::Bump;
use tern_core::bare::{BareGuest, BareMachine};
use tern_core::frontend::Frontend;
use tern_core::mem::GuestMemory;
use tern_core::state::{Slot, State};

/// One run of one case.
#[derive(Clone, Debug)]
pub struct Report {
    /// The tier's name.
    pub tier: &'static str,
    /// `file:line` of the expectation.
    pub case: String,
    /// What is wrong; empty: nothing.
    pub wrong: Vec<String>,
}

/// Runs a file on every tier that it names and this build has.
///
/// # Errors
/// If it names a tier that does not exist, or memory outside of the test's.
pub fn file(name: &str, file: &File) -> Result<Vec<Report>, String> {
    let tiers: Vec<Box<dyn Tier>> = if file.tiers.is_empty() {
        tier::all()
    } else {
        let find = |n: &String| tier::by_name(n).ok_or_else(|| format!("{name}: there is no tier {n}"));
        file.tiers.iter().map(find).collect::<Result<_, _>>()?
    };
    let mut reports = Vec::new();
    for test in &file.tests {
        for case in &test.cases {
            for tier in tiers.iter().filter(|t| t.missing().is_none()) {
                let wrong = one(&**tier, test, case).map_err(|e| format!("{name}:{}: {e}", case.line))?;
                reports.push(Report { tier: tier.name(), case: format!("{name}:{}", case.line), wrong });
            }
        }
    }
    Ok(reports)
}

/// Runs one case; gives what is wrong.
fn one(tier: &dyn Tier, test: &Test, case: &Case) -> Result<Vec<String>, String> {
    let arena = Bump::new();
    let block = tier::block(&arena, &test.text)?;
    let guest = BareGuest::new();
    let layout = guest.layout();
    let mut state = State::new(layout);
    let mut machine = BareMachine::new(BASE, PAGES);
    for (slot, value) in &case.given.slots {
        state.set(*slot, *value);
    }
    for (addr, bytes) in &case.given.memory {
        let memory: &mut dyn GuestMemory = &mut machine.memory;
        memory.write(*addr, bytes, 0).map_err(|f| format!("{:#x} is outside of the test's memory", f.addr))?;
    }
    for addr in &case.given.readonly {
        machine.memory.protect(*addr, true);
    }
    let mut expected = state.clone();
    let mut ram = machine.contents();
    for (slot, value) in &case.want.slots {
        expected.set(*slot, *value);
    }
    for (addr, bytes) in &case.want.memory {
        let at = addr.wrapping_sub(BASE) as usize;
        let range = at..at.saturating_add(bytes.len());
        ram.get_mut(range).ok_or_else(|| format!("{addr:#x} is outside of the test's memory"))?.copy_from_slice(bytes);
    }
    expected.set_pc(case.pc);
    let end = tier.run(&block, &mut state, &mut machine);
    let want = End { stop: case.stop, retired: u64::from(case.retired) };
    Ok(differences((end, &state, &machine.contents()), (want, &expected, &ram), &guest))
}

/// Everything that two outcomes differ in: got, wanted.
#[must_use]
pub fn differences(got: (End, &State, &[u8]), want: (End, &State, &[u8]), guest: &BareGuest) -> Vec<String> {
    let mut wrong = Vec::new();
    if got.0.stop != want.0.stop {
        wrong.push(format!("ended with {:?}, not {:?}", got.0.stop, want.0.stop));
    }
    if got.0.retired != want.0.retired {
        wrong.push(format!("retired {}, not {}", got.0.retired, want.0.retired));
    }
    for row in guest.layout().rows() {
        let (a, b) = (got.1.get(row.slot) & row.mask(), want.1.get(row.slot) & row.mask());
        if a != b {
            let name = if row.slot == Slot::PC { "pc" } else { &row.name };
            wrong.push(format!("{name} is {a:#x}, not {b:#x}"));
        }
    }
    let bytes = got.2.iter().zip(want.2).enumerate().filter(|(_, (a, b))| a != b);
    for (at, (a, b)) in bytes.take(16) {
        wrong.push(format!("byte {:#x} is {a:#04x}, not {b:#04x}", BASE + at as u64));
    }
    wrong
}
