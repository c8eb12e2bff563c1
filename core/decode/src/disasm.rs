//! The disassembler: prints a word by its row's template, then by the preferred pseudo-instruction.

use crate::shape::{Piece, Shape, pieces};
use core::fmt::{self, Write};

/// A word in the syntax of its row: `addi a0, a1, 1`. Implements [`fmt::Display`].
#[derive(Clone, Copy, Debug)]
pub struct Disasm<'a> {
    shape: &'a Shape,
    word: u64,
    pc: u64,
}

impl Shape {
    /// The text of `word`, an instruction of this row at address `pc`.
    #[must_use]
    pub const fn disasm(&self, word: u64, pc: u64) -> Disasm<'_> {
        Disasm { shape: self, word, pc }
    }
}

impl fmt::Display for Disasm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut operands = self.shape.operands();
        for template in [self.shape.mnemonic(), self.shape.asm()] {
            for piece in pieces(template) {
                match (piece, operands.size_hint()) {
                    (Piece::Text(text), _) => f.write_str(text)?,
                    (Piece::Hole(_), _) => {
                        let Some((field, kind)) = operands.next() else { return Err(fmt::Error) };
                        let raw = field.get(self.word);
                        match kind {
                            Some(kind) => kind.print(kind.decode(raw), self.pc, f)?,
                            None => write!(f, "{raw}")?,
                        }
                    }
                }
            }
            if template == self.shape.mnemonic() && !self.shape.asm().is_empty() {
                f.write_char(' ')?;
            }
        }
        Ok(())
    }
}
