//! Files of IR tests.
//!
//! ```text
//! run: all                              ; or the names of tiers
//!
//! block pc=0x1000 mode=0 {              ; as core's ir::parse reads it, with the slots of core's BareGuest
//!   insn 0x1000
//!   v1:i64 = get x1
//!   v2:i64 = load.u4 [v1]
//!   set x2, v2
//! } goto 0x1004
//! ; x1=0x10000, [0x10000]=78563412 => x2=0x12345678
//! ; x1=0x5000 => fault load unmapped 0x5000, pc=0x1000, retired=0
//! ```
//!
//! A file holds any number of blocks; the expectations of each follow it.  An expectation is a comment line with `=>`.
//! Before the arrow: `slot=number`, `[address]=bytes in hexadecimal`, `readonly address` (its page).  After it, likewise,
//! what has changed, and how the run ended: `fault load|store|fetch unmapped|permission|bus|misaligned address`,
//! `trap cause value`, `syscall`, `halt`, `resync`, or nothing; `pc=`, `retired=`.
//!
//! Slots start at 0 and memory, [`PAGES`] pages at [`BASE`], as zeros.  What the right side does not name must be as it
//! was.  `pc` and `retired` may be left out where the block runs to its `goto`.

use std::collections::BTreeMap;
use tern_core::bare::BareGuest;
use tern_core::engine::Stop;
use tern_core::frontend::Frontend;
use tern_core::ir::parse::{number, parse_block};
use tern_core::ir::{Block, Exit};
use tern_core::mem::{Access, FaultKind, MemFault};
use tern_core::state::Slot;

/// Where the memory of a test starts.
pub const BASE: u64 = 0x10000;
/// How many pages it has.
pub const PAGES: usize = 2;

/// Slots and memory, before or after.
#[derive(Clone, Default, Debug)]
pub struct Values {
    /// Slots and their values.
    pub slots: BTreeMap<Slot, u64>,
    /// Addresses and the bytes there.
    pub memory: BTreeMap<u64, Vec<u8>>,
    /// Addresses whose pages are read-only.
    pub readonly: Vec<u64>,
}

/// One expectation.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its line.
    pub line: usize,
    /// Before the run.
    pub given: Values,
    /// What changes.
    pub want: Values,
    /// How the run ends.
    pub stop: Option<Stop>,
    /// Program counter afterwards.
    pub pc: u64,
    /// Instructions retired.
    pub retired: u32,
}

/// A block and what is expected of it.
#[derive(Clone, Debug)]
pub struct Test {
    /// The line where the block begins.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// Its expectations.
    pub cases: Vec<Case>,
}

/// A file of tests.
#[derive(Clone, Debug)]
pub struct File {
    /// Tiers that run it; empty: all of them.
    pub tiers: Vec<String>,
    /// Its tests.
    pub tests: Vec<Test>,
}

/// Reads a file.
///
/// # Errors
/// Line and reason.
pub fn read(text: &str) -> Result<File, String> {
    let guest = BareGuest::new();
    let mut tiers = None;
    let mut tests: Vec<Test> = Vec::new();
    let mut open: Option<Test> = None;
    for (i, raw) in text.lines().enumerate() {
        let line = i + 1;
        let fail = |reason: String| format!("line {line}: {reason}");
        let code = raw.split(';').next().unwrap_or_default().trim();
        if let Some(mut test) = open.take() {
            test.text.push_str(raw);
            test.text.push('\n');
            if code.starts_with('}') {
                check(&test, &guest)?;
                tests.push(test);
            } else {
                open = Some(test);
            }
        } else if code.starts_with("block ") {
            closed(tests.last())?;
            open = Some(Test { line, text: format!("{raw}\n"), cases: Vec::new() });
        } else if let Some(names) = code.strip_prefix("run:") {
            if tiers.is_some() {
                return Err(fail("a second run line".into()));
            }
            tiers = Some(names.split_whitespace().filter(|n| *n != "all").map(str::to_owned).collect());
            if names.trim().is_empty() {
                return Err(fail("run by whom?".into()));
            }
        } else if !code.is_empty() {
            return Err(fail(format!("\"{code}\" stands outside of a block")));
        } else if raw.contains("=>") {
            let test = tests.last_mut().ok_or_else(|| fail("no block before this expectation".into()))?;
            let arena = bumpalo::Bump::new();
            let block = parse_block(&arena, &test.text, Some(guest.layout())).map_err(|e| fail(e.to_string()))?;
            test.cases.push(expectation(raw.trim_start_matches([' ', ';']), line, &block, &guest).map_err(fail)?);
        }
    }
    if let Some(test) = open {
        return Err(format!("line {}: the block does not end", test.line));
    }
    closed(tests.last())?;
    if tests.is_empty() {
        return Err("there is no test".into());
    }
    Ok(File { tiers: tiers.ok_or("there is no run line")?, tests })
}

fn check(test: &Test, guest: &BareGuest) -> Result<(), String> {
    let arena = bumpalo::Bump::new();
    match parse_block(&arena, &test.text, Some(guest.layout())) {
        Ok(_) => Ok(()),
        Err(e) => Err(format!("line {}: {}", test.line + e.line - 1, e.reason)),
    }
}

fn closed(test: Option<&Test>) -> Result<(), String> {
    match test {
        Some(t) if t.cases.is_empty() => Err(format!("line {}: nothing is expected of this block", t.line)),
        _ => Ok(()),
    }
}

fn expectation(text: &str, line: usize, block: &Block<'_>, guest: &BareGuest) -> Result<Case, String> {
    let (left, right) = text.split_once("=>").ok_or("no arrow")?;
    let mut given = Values::default();
    for item in items(left) {
        value(item, &mut given, guest)?;
    }
    let mut want = Values::default();
    let (mut stop, mut pc, mut retired) = (None, None, None);
    for item in items(right) {
        match item.split_once('=') {
            Some(("pc", n)) => pc = Some(number(n)?),
            Some(("retired", n)) => retired = Some(number(n)? as u32),
            Some(_) => value(item, &mut want, guest)?,
            None if item.starts_with("readonly ") => return Err("readonly belongs before the arrow".into()),
            None => stop = Some(ending(item)?),
        }
    }
    let ends = match (stop, block.exit) {
        (None, Exit::Goto(target)) => Some((target, block.insns)),
        _ => None,
    };
    let (pc, retired) = (pc.or(ends.map(|e| e.0)), retired.or(ends.map(|e| e.1)));
    let (Some(pc), Some(retired)) = (pc, retired) else {
        return Err("an end like this needs pc= and retired=".into());
    };
    Ok(Case { line, given, want, stop, pc, retired })
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn value(item: &str, values: &mut Values, guest: &BareGuest) -> Result<(), String> {
    if let Some(addr) = item.strip_prefix("readonly ") {
        values.readonly.push(number(addr.trim())?);
        return Ok(());
    }
    let (name, text) = item.split_once('=').ok_or_else(|| format!("\"{item}\" says nothing"))?;
    let twice = || format!("{name} twice");
    if let Some(addr) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        let old = values.memory.insert(number(addr)?, bytes(text)?);
        return old.map_or(Ok(()), |_| Err(twice()));
    }
    let row = guest.layout().by_name(name).filter(|r| r.slot != Slot::PC).ok_or_else(|| format!("no slot {name}"))?;
    let number = number(text)?;
    let signed = number as i64 >> (u32::from(row.bits) - 1);
    if number & !row.mask() != 0 && signed != -1 {
        return Err(format!("{text} does not fit {name}"));
    }
    values.slots.insert(row.slot, number & row.mask()).map_or(Ok(()), |_| Err(twice()))
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    if digits.len() != text.len() || !digits.len().is_multiple_of(2) || digits.is_empty() {
        return Err(format!("\"{text}\" is not bytes in hexadecimal"));
    }
    Ok(digits.chunks(2).map(|d| (d[0] << 4 | d[1]) as u8).collect())
}

fn ending(item: &str) -> Result<Stop, String> {
    let words: Vec<&str> = item.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["syscall"] => Stop::Syscall,
        ["halt"] => Stop::Halt,
        ["yield"] => Stop::Yield,
        ["resync"] => Stop::Resync,
        ["trap", cause, value] => Stop::Trap { cause: number(cause)? as u32, value: number(value)? },
        ["fault", access, kind, addr] => {
            let access = match *access {
                "load" => Access::Load,
                "store" => Access::Store,
                "fetch" => Access::Fetch,
                other => return Err(format!("there is no access {other}")),
            };
            let kind = match *kind {
                "unmapped" => FaultKind::Unmapped,
                "permission" => FaultKind::Permission,
                "bus" => FaultKind::Bus,
                "misaligned" => FaultKind::Misaligned,
                other => return Err(format!("there is no fault {other}")),
            };
            Stop::Fault(MemFault { addr: number(addr)?, access, kind })
        }
        _ => return Err(format!("\"{item}\" is no end")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "block pc=0 mode=0 {\ninsn 0\n} goto 4\n";

    #[test]
    fn bad_files_are_refused() {
        let good = format!("run: all\n{BLOCK}; =>\n");
        assert_eq!(read(&good).map(|f| f.tests.len()), Ok(1));
        for (text, reason) in [
            (String::new(), "there is no test"),
            (format!("{BLOCK}; =>"), "there is no run line"),
            (format!("run:\n{BLOCK}; =>"), "line 1: run by whom?"),
            (format!("run: all\nrun: all\n{BLOCK}; =>"), "line 2: a second run line"),
            (format!("run: all\n{BLOCK}"), "line 2: nothing is expected of this block"),
            (format!("run: all\n{BLOCK}{BLOCK}; =>"), "line 2: nothing is expected of this block"),
            ("run: all\n; =>".into(), "line 2: no block before this expectation"),
            ("run: all\nblock pc=0 mode=0 {\n".into(), "line 2: the block does not end"),
            ("run: all\nblock pc=0 mode=0 {\nfrob\n} goto 0".into(), "line 3: there is no operation frob"),
            (format!("run: all\n{BLOCK}x1=1"), "line 5: \"x1=1\" stands outside of a block"),
            (format!("run: all\n{BLOCK}; q=1 =>"), "line 5: no slot q"),
            (format!("run: all\n{BLOCK}; pc=1 =>"), "line 5: no slot pc"),
            (format!("run: all\n{BLOCK}; x1=1, x1=1 =>"), "line 5: x1 twice"),
            (format!("run: all\n{BLOCK}; w1=0x100000000 =>"), "line 5: 0x100000000 does not fit w1"),
            (format!("run: all\n{BLOCK}; => [0]=1"), "line 5: \"1\" is not bytes in hexadecimal"),
            (format!("run: all\n{BLOCK}; => halt"), "line 5: an end like this needs pc= and retired="),
            (format!("run: all\n{BLOCK}; => stop"), "line 5: \"stop\" is no end"),
            (format!("run: all\n{BLOCK}; => readonly 0"), "line 5: readonly belongs before the arrow"),
        ] {
            assert_eq!(read(&text).map(|_| ()), Err(reason.to_owned()), "{text}");
        }
    }
}
