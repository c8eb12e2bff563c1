//! Checks over whole tables, for the tests of each frontend.

use crate::asm::{AsmReason, Assembler, Dialect, Encoded};
use crate::disasm::Disassembler;
use crate::shape::{Piece, Shape, pieces};
use crate::table::{Family, Group, Pseudo, Row};
use crate::tail::Code;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The pairs of rows that claim a common word though neither is more specific, by group and identifier. Empty for a
/// sound table. Groups that are never enabled together must be checked apart.
#[must_use]
pub fn ambiguous<F: Family>(groups: &[&'static Group<F>]) -> Vec<(&'static Shape, &'static Shape)> {
    let shapes: Vec<&'static Shape> = groups.iter().flat_map(|g| g.rows).map(|r| r.shape()).collect();
    let mut pairs = Vec::new();
    for (i, &a) in shapes.iter().enumerate() {
        pairs.extend(shapes[..i].iter().filter(|b| a.ambiguous(b)).map(|&b| (b, a)));
    }
    pairs
}

/// A row that does not survive the round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The row's group.
    pub group: &'static str,
    /// The row's identifier.
    pub id: &'static str,
    /// The word that failed, if one could be made.
    pub word: Option<u64>,
    /// The bytes of its tail operands.
    pub tail: Vec<u8>,
    /// Its text.
    pub text: String,
    /// What happened.
    pub problem: Problem,
}

/// How a round trip fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The random encoder found no word that the decoder gives to this row.
    Unreachable,
    /// The text does not assemble.
    Assembly(AsmReason),
    /// The text assembles to another word.
    Word(u64),
    /// The text assembles to another tail.
    Tail(Vec<u8>),
    /// The bytes print as something that assembles, but to an instruction that prints as this.
    Text(String),
    /// A random tail is too short for its own row.
    Measure,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: ", self.group, self.id)?;
        if let Some(word) = self.word {
            write!(f, "{word:#x}{} prints as `{}`, which ", Bytes(&self.tail), self.text)?;
        }
        match &self.problem {
            Problem::Unreachable => f.write_str("no word found that decodes to this row"),
            Problem::Assembly(reason) => write!(f, "does not assemble: {reason}"),
            Problem::Word(word) => write!(f, "assembles to {word:#x}"),
            Problem::Tail(tail) => write!(f, "assembles to another tail:{}", Bytes(tail)),
            Problem::Text(text) => write!(f, "assembles to what prints as `{text}`"),
            Problem::Measure => f.write_str("has a tail that its own row refuses"),
        }
    }
}

/// Bytes in hexadecimal, each after a blank.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, " {b:02x}"))
    }
}

/// For every row: makes `count` random words, disassembles them with and without pseudo-instructions, assembles the
/// text, and compares. Bits the text does not show (`-`, fields outside the templates) are not compared. Returns the
/// first failure of each row; empty for a sound table.
#[must_use]
pub fn roundtrip<F: Family>(
    groups: &[&'static Group<F>],
    dialect: &'static dyn Dialect,
    count: u32,
    random: &mut dyn FnMut() -> u64,
) -> Vec<Failure> {
    let assembler = Assembler::new(groups).dialect(dialect);
    let disassembler = Disassembler::new(groups);
    let mut failures = Vec::new();
    for &row in disassembler.decoder().rows() {
        failures.extend((0..count.max(1)).find_map(|_| trip(row, &assembler, &disassembler, random)));
    }
    failures
}

fn trip<F: Family>(
    row: &'static Row<F>,
    assembler: &Assembler,
    disassembler: &Disassembler<F>,
    random: &mut dyn FnMut() -> u64,
) -> Option<Failure> {
    let failure = |word, tail, text, problem| Failure { group: row.group(), id: row.id(), word, tail, text, problem };
    let Some((word, tail)) = disassembler.decoder().random_with(row, random) else {
        return Some(failure(None, Vec::new(), String::new(), Problem::Unreachable));
    };
    let pc = random() & 0xffff_fff0;
    let whole = Encoded { word, tail, shape: row.shape() };
    let Some(canonical) = show(&whole, assembler, pc) else {
        return Some(failure(Some(word), whole.tail, String::new(), Problem::Measure));
    };
    for text in [disassembler.prefer(&canonical), canonical.clone()] {
        let problem = match assembler.instruction_with(&text, pc) {
            Err(reason) => Problem::Assembly(reason),
            Ok(again) => match difference(&whole, &canonical, &again, assembler, pc) {
                Some(problem) => problem,
                None => continue,
            },
        };
        return Some(failure(Some(word), whole.tail, text, problem));
    }
    None
}

fn lead(encoded: &Encoded, assembler: &Assembler) -> usize {
    assembler.bytes(encoded).len().saturating_sub(encoded.tail.len())
}

fn show(encoded: &Encoded, assembler: &Assembler, pc: u64) -> Option<String> {
    let code = Code { word: encoded.word, lead: lead(encoded, assembler), tail: &encoded.tail };
    let shown = encoded.shape.disasm_with(code, pc)?;
    (shown.tail_len() == encoded.tail.len()).then(|| shown.to_string())
}

/// How an instruction differs from what its text assembles to. Where bits that the text does not show change the number
/// of leading bytes, distances from the end differ, so that only the text can be compared.
fn difference(a: &Encoded, text: &str, b: &Encoded, assembler: &Assembler, pc: u64) -> Option<Problem> {
    if (a.word ^ b.word) & !a.shape.unprinted() != 0 {
        return Some(Problem::Word(b.word));
    }
    if !a.shape.has_tail() {
        return None;
    }
    if a.tail != b.tail && (a.tail.len() != b.tail.len() || lead(a, assembler) == lead(b, assembler)) {
        return Some(Problem::Tail(b.tail.clone()));
    }
    match show(b, assembler, pc) {
        Some(again) if again == text => None,
        Some(again) => Some(Problem::Text(again)),
        None => Some(Problem::Measure),
    }
}

/// The pseudo-instructions whose expansion uses a hole that their operands lack or, for preferred ones, the other way
/// round, or whose expansion starts with a mnemonic that is neither a row nor a pseudo-instruction of these groups.
#[must_use]
pub fn pseudo_errors<F: Family>(groups: &[&'static Group<F>]) -> Vec<&'static Pseudo> {
    let known = |mnemonic: &str| {
        groups.iter().any(|g| {
            g.rows.iter().any(|r| r.mnemonic() == mnemonic) || g.pseudos.iter().any(|p| p.mnemonic == mnemonic)
        })
    };
    let holes = |text: &'static str| pieces(text).filter(|p| matches!(p, Piece::Hole(_)));
    let sound = |p: &Pseudo| {
        let inside = |a: &'static str, b: &'static str| holes(a).all(|h| holes(b).any(|o| o == h));
        p.expansion.split(';').all(|line| known(line.split_whitespace().next().unwrap_or("")))
            && inside(p.expansion, p.operands)
            && (!p.preferred || (inside(p.operands, p.expansion) && !p.expansion.contains(';')))
    };
    groups.iter().flat_map(|g| g.pseudos).filter(|p| !sound(p)).collect()
}
