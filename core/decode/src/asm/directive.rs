//! Directives.

use super::expr::{escape, is_symbol};
use super::matching::split_operands;
use super::pass::Pass;
use super::{AsmReason, ByteOrder, MAX_OUTPUT};
use alloc::borrow::ToOwned;
use alloc::vec::Vec;

impl Pass<'_> {
    /// Carries out a directive; `name` includes the dot.
    pub(super) fn directive(&mut self, name: &str, rest: &str) -> Result<(), AsmReason> {
        match name {
            ".byte" => self.data(rest, 1),
            ".half" | ".short" | ".hword" | ".2byte" => self.data(rest, 2),
            ".word" | ".long" | ".4byte" => self.data(rest, 4),
            ".dword" | ".quad" | ".8byte" => self.data(rest, 8),
            ".ascii" => self.strings(rest, false),
            ".asciz" | ".string" => self.strings(rest, true),
            ".align" | ".p2align" => {
                let power = self.known(rest)?;
                let power = u32::try_from(power).ok().filter(|&p| p < 32).ok_or(AsmReason::DataRange(power))?;
                self.pad_to(1 << power)
            }
            ".balign" => {
                let bytes = self.known(rest)?;
                let bytes = u64::try_from(bytes).ok().filter(|b| b.is_power_of_two());
                self.pad_to(bytes.ok_or_else(|| AsmReason::Syntax(rest.to_owned()))?)
            }
            ".zero" | ".space" | ".skip" => {
                let count = self.known(rest)?;
                self.zeros(u64::try_from(count).map_err(|_| AsmReason::DataRange(count))?)
            }
            ".org" => {
                let target = self.known(rest)?.cast_unsigned();
                self.zeros(target.checked_sub(self.pc).ok_or(AsmReason::Size)?)
            }
            ".equ" | ".set" => {
                let Some((symbol, value)) = rest.split_once(',') else {
                    return Err(AsmReason::Syntax(rest.to_owned()));
                };
                let symbol = symbol.trim();
                if !is_symbol(symbol) || symbol == "." {
                    return Err(AsmReason::Syntax(symbol.to_owned()));
                }
                if let Some(value) = self.evaluate(value)? {
                    self.define(symbol, value);
                }
                Ok(())
            }
            ".globl" | ".global" | ".local" | ".type" | ".size" | ".text" => Ok(()),
            _ => Err(AsmReason::UnknownDirective(name.to_owned())),
        }
    }

    /// A value that decides sizes, so it must be known in the first pass.
    fn known(&self, text: &str) -> Result<i64, AsmReason> {
        self.evaluate(text)?.ok_or_else(|| AsmReason::Undefined(text.trim().to_owned()))
    }

    fn pad_to(&mut self, alignment: u64) -> Result<(), AsmReason> {
        self.zeros(self.pc.wrapping_neg() & (alignment - 1))
    }

    fn zeros(&mut self, count: u64) -> Result<(), AsmReason> {
        let count = usize::try_from(count).ok().filter(|&c| c <= MAX_OUTPUT - self.bytes.len());
        let count = count.ok_or(AsmReason::Size)?;
        self.bytes.resize(self.bytes.len() + count, 0);
        self.pc = self.pc.wrapping_add(count as u64);
        Ok(())
    }

    fn data(&mut self, rest: &str, size: usize) -> Result<(), AsmReason> {
        for text in split_operands(rest) {
            let value = self.evaluate(text)?.unwrap_or(0);
            let unused = 64 - 8 * size as u32;
            let signed = value << unused >> unused == value;
            let unsigned = value.cast_unsigned() << unused >> unused == value.cast_unsigned();
            if !signed && !unsigned {
                return Err(AsmReason::DataRange(value));
            }
            let mut bytes = value.to_le_bytes();
            let bytes = &mut bytes[..size];
            if self.asm.order == ByteOrder::Big {
                bytes.reverse();
            }
            self.emit(bytes)?;
        }
        Ok(())
    }

    fn strings(&mut self, rest: &str, terminated: bool) -> Result<(), AsmReason> {
        for text in split_operands(rest) {
            let mut bytes = string(text).ok_or_else(|| AsmReason::Syntax(text.to_owned()))?;
            if terminated {
                bytes.push(0);
            }
            self.emit(&bytes)?;
        }
        Ok(())
    }
}

/// The bytes of a quoted string.
fn string(text: &str) -> Option<Vec<u8>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => bytes.push(escape(chars.next()?)?),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(bytes)
}
