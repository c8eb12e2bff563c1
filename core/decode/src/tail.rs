//! Tail operands: operands whose bytes lie behind the key word, printed, read and measured by a hook of their kind.

use crate::asm::{AsmReason, Encoding};
use crate::kind::{Class, Kind};
use crate::pattern::{gather, ones};
use crate::shape::{MAX_OPERANDS, Shape};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// An instruction as a frontend's front half cuts it: the leading bytes have become the key word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code<'a> {
    /// The key word.
    pub word: u64,
    /// Number of bytes that the key word was made from: prefixes, opcode, ModRM; or the operation word's two.
    pub lead: usize,
    /// The bytes behind them, at least those of the instruction; more do no harm.
    pub tail: &'a [u8],
}

/// The hook of a `tail` kind. All rows that use the kind share it.
pub trait TailKind: Sync + fmt::Debug {
    /// How many bytes at the start of `tail` belong to the operand; `None` if `tail` is too short or the bytes are no
    /// operand. Must not depend on [`Site::pc`], [`Site::lead`] or [`Site::end`].
    fn measure(&self, site: &Site<'_>, tail: &[u8]) -> Option<usize>;

    /// Prints the operand the way [`TailKind::parse`] reads it; `bytes` are those that `measure` counted.
    ///
    /// # Errors
    /// Those of the writer.
    fn show(&self, site: &Site<'_>, bytes: &[u8], out: &mut dyn fmt::Write) -> fmt::Result;

    /// Reads the operand; `text` is without blanks. Of several encodings it takes the shortest; where that depends on
    /// a value, only if [`Value::fits`](crate::Value::fits).
    ///
    /// # Errors
    /// Why the text is no such operand; the assembler then tries the next row of the mnemonic.
    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason>;

    /// Completes a random instruction: `site.raw` is random among the legal key bits, addresses are not known. The result must be what `parse`
    /// makes of the text it shows, so it has no needlessly long displacement and no ignored bit set.
    fn random(&self, site: &Site<'_>, random: &mut dyn FnMut() -> u64) -> TailBits;
}

/// An encoded tail operand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailBits {
    /// Its bits in the key word.
    pub raw: u64,
    /// Its bytes behind the key word.
    pub bytes: Vec<u8>,
}

/// What a hook can see of the instruction that an operand is part of.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    pub(crate) shape: &'a Shape,
    /// The key word.
    pub word: u64,
    /// The operand's bits of the key word.
    pub raw: u64,
    /// Address of the instruction.
    pub pc: u64,
    /// Bytes before the tail.
    pub lead: usize,
    /// Where the operand's bytes start, counted from the start of the instruction.
    pub start: usize,
    /// Length of the instruction in bytes; not known, and 0, while measuring.
    pub end: usize,
    /// Bits of an address.
    pub address_bits: u32,
}

impl Site<'_> {
    /// The raw field with this letter, if the row has one.
    #[must_use]
    pub fn field(&self, letter: char) -> Option<u64> {
        self.shape.mask(letter).map(|mask| gather(self.word, mask))
    }

    /// The address `distance` bytes from where the operand's bytes start (68k).
    #[must_use]
    pub fn from_operand(&self, distance: i64) -> u64 {
        self.target(self.start, distance)
    }

    /// The address `distance` bytes from the end of the instruction (x86).
    #[must_use]
    pub fn from_end(&self, distance: i64) -> u64 {
        self.target(self.end, distance)
    }

    fn target(&self, offset: usize, distance: i64) -> u64 {
        self.pc.wrapping_add(offset as u64).wrapping_add(distance.cast_unsigned()) & ones(self.address_bits)
    }
}

/// Where the operands' bytes lie within the tail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// By operand in template order; empty ranges for those without bytes.
    pub(crate) spans: [Range<usize>; MAX_OPERANDS],
    /// Bytes of the whole tail.
    pub(crate) len: usize,
}

impl Shape {
    /// The mask of the field with this letter.
    pub(crate) fn mask(&self, letter: char) -> Option<u64> {
        let index = self.pattern().find(u8::try_from(letter).ok()?)?;
        Some(self.pattern().fields()[index].mask)
    }

    /// Whether some operand lies behind the key word.
    #[must_use]
    pub const fn has_tail(&self) -> bool {
        !self.tail_order().is_empty()
    }

    /// Bytes of `tail` that belong to the instruction `word`; `None` if they are too few or no instruction. 0 for rows
    /// without tail operands.
    #[must_use]
    pub fn tail_len(&self, word: u64, tail: &[u8]) -> Option<usize> {
        self.layout(word, tail).map(|l| l.len)
    }

    pub(crate) fn layout(&self, word: u64, tail: &[u8]) -> Option<Layout> {
        let mut layout = Layout::default();
        for &index in self.tail_order() {
            let (mask, kind) = self.tail_operand(index)?;
            let site = self.site(word, mask, layout.len);
            let rest = tail.get(layout.len..)?;
            let count = kind.measure(&site, rest).filter(|&n| n <= rest.len())?;
            layout.spans[usize::from(index)] = layout.len..layout.len + count;
            layout.len += count;
        }
        Some(layout)
    }

    /// A place at address 0 behind `start` bytes.
    pub(crate) fn site(&self, word: u64, mask: u64, start: usize) -> Site<'_> {
        Site { shape: self, word, raw: gather(word, mask), pc: 0, lead: 0, start, end: 0, address_bits: 64 }
    }

    /// Mask and hook of the operand with this index.
    pub(crate) fn tail_operand(&self, index: u8) -> Option<(u64, &'static dyn TailKind)> {
        let (field, kind) = self.operands().nth(usize::from(index))?;
        Some((field.mask, kind?.hook()?))
    }
}

impl Kind {
    /// The hook of a tail kind.
    #[must_use]
    pub const fn hook(&self) -> Option<&'static dyn TailKind> {
        match self.class {
            Class::Tail => self.hook,
            Class::Named | Class::Signed | Class::Unsigned => None,
        }
    }
}
