//! The disassembler: prints a word by its row's template, then by the preferred pseudo-instruction.

use crate::asm::matching::{Template, substitute, without_blanks};
use crate::decoder::Decoder;
use crate::shape::{Piece, Shape, pieces};
use crate::table::{Family, Group, Pseudo, Row};
use crate::tail::{Code, Site, TailKind};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A word in the syntax of its row: `addi a0, a1, 1`. Implements [`fmt::Display`].
#[derive(Clone, Copy, Debug)]
pub struct Disasm<'a> {
    shape: &'a Shape,
    word: u64,
    pc: u64,
    address_bits: u32,
    /// Number of leading bytes, and the tail, for rows that have one.
    lead: usize,
    tail: &'a [u8],
}

impl Shape {
    /// The text of `word`, an instruction of this row at address `pc`. Tail operands, not being in the word, are
    /// printed as `?`: rows that have them want [`Shape::disasm_with`].
    #[must_use]
    pub const fn disasm(&self, word: u64, pc: u64) -> Disasm<'_> {
        Disasm { shape: self, word, pc, address_bits: 64, lead: 0, tail: &[] }
    }

    /// The text of an instruction of this row at address `pc`, its tail operands included; `None` if the tail is too
    /// short or no operand. [`Disasm::tail_len`] tells how much of the tail belongs to it.
    #[must_use]
    pub fn disasm_with<'a>(&'a self, code: Code<'a>, pc: u64) -> Option<Disasm<'a>> {
        let len = self.tail_len(code.word, code.tail)?;
        let tail = code.tail.get(..len)?;
        Some(Disasm { shape: self, word: code.word, pc, address_bits: 64, lead: code.lead, tail })
    }
}

impl Disasm<'_> {
    /// Branch targets wrap at this many bits; 64 unless set.
    #[must_use]
    pub const fn address_bits(mut self, bits: u32) -> Self {
        self.address_bits = bits;
        self
    }

    /// Number of tail bytes that belong to the instruction.
    #[must_use]
    pub const fn tail_len(&self) -> usize {
        self.tail.len()
    }

    fn show_tail(&self, index: usize, mask: u64, hook: &dyn TailKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = self.shape.layout(self.word, self.tail);
        let bytes = layout.as_ref().and_then(|l| self.tail.get(l.spans[index].clone()).zip(Some(l)));
        let Some((bytes, layout)) = bytes else { return f.write_str("?") };
        let start = self.lead + layout.spans[index].start;
        let site = Site {
            pc: self.pc,
            lead: self.lead,
            end: self.lead + layout.len,
            address_bits: self.address_bits,
            ..self.shape.site(self.word, mask, start)
        };
        hook.show(&site, bytes, f)
    }
}

impl fmt::Display for Disasm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut operands = self.shape.operands().enumerate();
        let gap = if self.shape.asm().is_empty() { "" } else { " " };
        for piece in pieces(self.shape.mnemonic()).chain([Piece::Text(gap)]).chain(pieces(self.shape.asm())) {
            if let Piece::Text(text) = piece {
                f.write_str(text)?;
                continue;
            }
            let Some((index, (field, kind))) = operands.next() else { return Err(fmt::Error) };
            if let Some(hook) = kind.and_then(|k| k.hook()) {
                self.show_tail(index, field.mask, hook, f)?;
                continue;
            }
            let raw = field.get(self.word);
            match kind {
                Some(kind) => kind.print(kind.decode(raw), self.pc, self.address_bits, f)?,
                None => write!(f, "{raw}")?,
            }
        }
        Ok(())
    }
}

/// Disassembles the instructions of a set of groups, preferring pseudo-instructions.
pub struct Disassembler<F: Family> {
    decoder: Decoder<F>,
    /// Preferred pseudo-instructions by the mnemonic they expand to.
    pseudos: BTreeMap<&'static str, Vec<Pseudo>>,
    address_bits: u32,
}

impl<F: Family> Disassembler<F> {
    /// A disassembler for these groups.
    #[must_use]
    pub fn new(groups: &[&'static Group<F>]) -> Disassembler<F> {
        let mut pseudos: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for pseudo in groups.iter().flat_map(|g| g.pseudos).filter(|p| p.preferred) {
            let base = pseudo.expansion.split(' ').next().unwrap_or("");
            pseudos.entry(base).or_default().push(*pseudo);
        }
        Disassembler { decoder: Decoder::new(groups), pseudos, address_bits: 64 }
    }

    /// Branch targets wrap at this many bits; 64 unless set.
    #[must_use]
    pub fn address_bits(mut self, bits: u32) -> Disassembler<F> {
        self.address_bits = bits;
        self
    }

    /// The decoder inside.
    #[must_use]
    pub fn decoder(&self) -> &Decoder<F> {
        &self.decoder
    }

    /// The text of the instruction `word` at address `pc`, and its row; `None` if it is none.
    #[must_use]
    pub fn disasm(&self, word: u64, pc: u64) -> Option<(String, &'static Row<F>)> {
        let row = self.decoder.decode(word)?;
        Some((self.prefer(&row.disasm(word, pc).address_bits(self.address_bits).to_string()), row))
    }

    /// The text of an instruction at address `pc` whose row may have tail operands, its row, and the number of tail
    /// bytes that belong to it; `None` if it is none or the tail is too short.
    #[must_use]
    pub fn disasm_with(&self, code: Code<'_>, pc: u64) -> Option<(String, &'static Row<F>, usize)> {
        let row = self.decoder.decode(code.word)?;
        let found = row.disasm_with(code, pc)?.address_bits(self.address_bits);
        Some((self.prefer(&found.to_string()), row, found.tail_len()))
    }

    /// The first pseudo-instruction whose expansion is `text`, else `text`.
    #[must_use]
    pub fn prefer(&self, text: &str) -> String {
        let (mnemonic, operands) = text.split_once(' ').unwrap_or((text, ""));
        let stripped = without_blanks(operands);
        for pseudo in self.pseudos.get(mnemonic).into_iter().flatten() {
            let expansion = pseudo.expansion.split_once(' ').map_or("", |e| e.1);
            let template = Template::new(&[expansion], core::iter::empty());
            let operands = template.captures(&stripped, true).and_then(|c| substitute(pseudo.operands, &template, &c));
            match operands.as_deref() {
                Some("") => return pseudo.mnemonic.to_string(),
                Some(operands) => return [pseudo.mnemonic, " ", operands].concat(),
                None => {}
            }
        }
        text.to_string()
    }
}
