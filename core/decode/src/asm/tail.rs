//! Assembling rows with tail operands.

use super::expr::{Scope, evaluate};
use super::{AsmReason, Assembler};
use crate::kind::{Kind, RangeError};
use crate::pattern::{gather, ones, scatter};
use crate::shape::{MAX_OPERANDS, Shape};
use crate::tail::{Layout, TailBits};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Attempts to find a layout that the operands agree with; each follows from the lengths of the one before.
const MAX_LAYOUTS: u32 = 8;
/// Attempts after which distances are no longer trusted to a few bytes: a longer form may bring its target so near that
/// the shorter one seems to fit, and so on.
const EXACT_LAYOUTS: u32 = 4;
/// More than lengths change from attempt to attempt.
const SLACK: i64 = 32;

/// An assembled instruction.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The key word.
    pub word: u64,
    /// The bytes of the tail operands.
    pub tail: Vec<u8>,
    /// The row.
    pub shape: &'static Shape,
}

/// The value of an expression in an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The number; `None` while it is not known, which is before the second pass for labels further down and, for
    /// distances, before the instruction's length is known. Any number then does for which the length is the same.
    pub number: Option<i64>,
    /// Whether lengths may depend on the number, since the first pass knows it too.
    pub settled: bool,
    /// How much the number may still change.
    slack: i64,
}

impl Value {
    /// A constant.
    #[must_use]
    pub const fn constant(number: i64) -> Value {
        Value { number: Some(number), settled: true, slack: 0 }
    }

    /// The value with another number, as soon as there is one.
    #[must_use]
    pub fn map(self, f: impl FnOnce(i64) -> i64) -> Value {
        Value { number: self.number.map(f), ..self }
    }

    /// Whether a short form with a signed number of `bits` bits may be taken.
    #[must_use]
    pub fn fits(&self, bits: u32) -> bool {
        let near = |slack: i64| self.map(|n| n.saturating_add(slack)).signed(bits).is_ok();
        self.settled && near(0) && near(self.slack) && near(-self.slack)
    }

    /// The number for a signed field of `bits` bits, 0 while it is not known.
    ///
    /// # Errors
    /// [`AsmReason::Range`].
    pub fn signed(&self, bits: u32) -> Result<i64, AsmReason> {
        let value = self.number.unwrap_or(0);
        let unused = 64 - bits.clamp(1, 64);
        if value << unused >> unused == value { Ok(value) } else { Err(misfit(value, true, bits)) }
    }

    /// The number for a field of `bits` bits that may be seen as signed or unsigned, 0 while it is not known.
    ///
    /// # Errors
    /// [`AsmReason::Range`].
    pub fn either(&self, bits: u32) -> Result<i64, AsmReason> {
        let value = self.number.unwrap_or(0);
        if value.cast_unsigned() <= ones(bits) { Ok(value) } else { self.signed(bits) }
    }
}

fn misfit(value: i64, signed: bool, bits: u32) -> AsmReason {
    AsmReason::Range(RangeError { value, signed, bits: u8::try_from(bits).unwrap_or(64), multiple: 1 })
}

/// What a distance is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The place of the operand's bytes.
    Operand,
    /// The end of the instruction.
    End,
}

/// An instruction that is being encoded, as the hook of a tail kind sees it.
pub struct Encoding<'a> {
    shape: &'static Shape,
    scope: &'a Scope<'a>,
    word: u64,
    /// Bits of the word that are settled.
    filled: u64,
    /// Start of the operand and end of the instruction, counted from its start, once known.
    place: Option<(usize, usize)>,
    unknown: bool,
    slack: i64,
}

impl Encoding<'_> {
    /// Whether the row has a field with this letter.
    #[must_use]
    pub fn has(&self, letter: char) -> bool {
        self.shape.mask(letter).is_some()
    }

    /// The raw field with this letter, if the row has one and an operand further left has settled it.
    #[must_use]
    pub fn field(&self, letter: char) -> Option<u64> {
        let mask = self.shape.mask(letter).filter(|m| m & !self.filled == 0)?;
        Some(gather(self.word, mask))
    }

    /// Settles a field that this operand shares with others, such as the operand size that a register's name implies.
    /// Fields that nobody settles are 0.
    ///
    /// # Errors
    /// [`AsmReason::Forbidden`] if the row has no such field or another operand has settled it otherwise.
    pub fn settle(&mut self, letter: char, value: u64) -> Result<(), AsmReason> {
        let mask = self.shape.mask(letter).filter(|m| value <= ones(m.count_ones()));
        match mask {
            Some(mask) if self.put(mask, value) => Ok(()),
            Some(_) | None => Err(AsmReason::Forbidden(form(self.shape))),
        }
    }

    fn put(&mut self, mask: u64, raw: u64) -> bool {
        let bits = scatter(raw, mask);
        let agrees = (self.word ^ bits) & mask & self.filled == 0;
        self.word |= bits;
        self.filled |= mask;
        agrees
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// The expression's mistakes, symbols that are not defined.
    pub fn value(&mut self, text: &str) -> Result<Value, AsmReason> {
        let number = evaluate(text, self.scope)?;
        self.unknown |= number.is_none();
        let settled = evaluate(text, &self.scope.settled()).is_ok_and(|v| v.is_some());
        Ok(Value { number, settled, slack: 0 })
    }

    /// The distance from `base` to the address that `text` gives.
    ///
    /// # Errors
    /// Those of [`Encoding::value`].
    pub fn distance(&mut self, text: &str, base: Base) -> Result<Value, AsmReason> {
        let target = self.value(text)?;
        let unused = 64 - self.scope.address_bits;
        let from = self.place.map(|(start, end)| {
            let offset = if base == Base::Operand { start } else { end };
            self.scope.pc.wrapping_add(offset as u64).cast_signed()
        });
        let number = target.number.zip(from).map(|(t, f)| t.wrapping_sub(f) << unused >> unused);
        Ok(Value { number, slack: self.slack, ..target })
    }
}

impl Assembler {
    /// Encodes a row that has tail operands from the text of its operands. A distance depends on the length of the
    /// instruction, which depends on the operands: hence at least twice.
    pub(super) fn encode_tail(
        &self,
        shape: &'static Shape,
        texts: &[&str],
        scope: &Scope<'_>,
    ) -> Result<Encoded, AsmReason> {
        let mut known: Option<(usize, Layout)> = None;
        for i in 0..MAX_LAYOUTS {
            let slack = if i < EXACT_LAYOUTS { 0 } else { SLACK };
            let p = shape.pattern();
            let mut encoding =
                Encoding { shape, scope, word: p.value, filled: p.mask, place: None, unknown: false, slack };
            let (tail, layout) = encoding.attempt(texts, known.as_ref())?;
            let (encoded, unknown) = (Encoded { word: encoding.word, tail, shape }, encoding.unknown);
            let end = self.bytes(&encoded).len();
            let found = Some((end - encoded.tail.len().min(end), layout));
            if found == known {
                let sound = unknown || shape.matches(encoded.word);
                return if sound { Ok(encoded) } else { Err(AsmReason::Forbidden(form(shape))) };
            }
            known = found;
        }
        Err(AsmReason::Phase)
    }
}

impl Encoding<'_> {
    /// Encodes the operands, giving the tail and where each lies in it; `known` is the number of leading bytes and the
    /// layout of the attempt before.
    fn attempt(&mut self, texts: &[&str], known: Option<&(usize, Layout)>) -> Result<(Vec<u8>, Layout), AsmReason> {
        let mut parts: [Vec<u8>; MAX_OPERANDS] = Default::default();
        for (i, ((field, kind), text)) in self.shape.operands().zip(texts).enumerate() {
            let raw = if let Some(hook) = kind.and_then(|k| k.hook()) {
                self.place = known.map(|(lead, layout)| (lead + layout.spans[i].start, lead + layout.len));
                let TailBits { raw, bytes } = hook.parse(text, self)?;
                parts[i] = bytes;
                raw
            } else {
                self.plain(text, kind)?
            };
            if raw > ones(field.width()) || !self.put(field.mask, raw) {
                return Err(misfit(raw.cast_signed(), false, field.width()));
            }
        }
        let mut layout = Layout::default();
        let mut tail = Vec::new();
        for &index in self.shape.tail_order() {
            let part = &parts[usize::from(index)];
            layout.spans[usize::from(index)] = tail.len()..tail.len() + part.len();
            tail.extend_from_slice(part);
        }
        layout.len = tail.len();
        Ok((tail, layout))
    }

    /// The raw bits of an operand that is all in the key word.
    fn plain(&mut self, text: &str, kind: Option<&'static Kind>) -> Result<u64, AsmReason> {
        let value = super::pass::operand_value(text, kind, self.scope)?;
        self.unknown |= value.is_none();
        // What is not known is taken as something that fits.
        let value = value.or_else(|| Some(kind?.decode(0))).unwrap_or(0);
        kind.map_or(Ok(value.cast_unsigned()), |k| k.encode(value).map_err(AsmReason::Range))
    }
}

/// The row's form, for messages.
pub(super) fn form(shape: &Shape) -> String {
    format!("{} {}", shape.mnemonic(), shape.asm())
}
