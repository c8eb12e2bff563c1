//! Checks over whole tables, for the tests of each frontend.

use crate::asm::{AsmReason, Assembler, Dialect};
use crate::disasm::Disassembler;
use crate::shape::{Piece, Shape, pieces};
use crate::table::{Family, Group, Pseudo, Row};
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
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: ", self.group, self.id)?;
        if let Some(word) = self.word {
            write!(f, "{word:#x} prints as `{}`, which ", self.text)?;
        }
        match &self.problem {
            Problem::Unreachable => f.write_str("no word found that decodes to this row"),
            Problem::Assembly(reason) => write!(f, "does not assemble: {reason}"),
            Problem::Word(word) => write!(f, "assembles to {word:#x}"),
        }
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
    let failure = |word, text, problem| Failure { group: row.group(), id: row.id(), word, text, problem };
    let Some(word) = disassembler.decoder().random(row, random) else {
        return Some(failure(None, String::new(), Problem::Unreachable));
    };
    let pc = random() & 0xffff_fff0;
    let canonical = row.disasm(word, pc).to_string();
    for text in [disassembler.prefer(&canonical), canonical] {
        match assembler.instruction(&text, pc) {
            Err(reason) => return Some(failure(Some(word), text, Problem::Assembly(reason))),
            Ok((again, _)) if (again ^ word) & !row.unprinted() != 0 => {
                return Some(failure(Some(word), text, Problem::Word(again)));
            }
            Ok(_) => {}
        }
    }
    None
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
