//! The assembler: two passes over a source text, instructions by the rows' templates.
//!
//! A statement is `label:`, a directive or an instruction; statements end at the line's end or at `;`. Comments start
//! with `//` or the dialect's comment sign. Labels may be numbers, referred to as `1b` and `1f`. Directives: `.byte`,
//! `.half` `.short` `.hword` `.2byte`, `.word` `.long` `.4byte`, `.dword` `.quad` `.8byte`, `.ascii`, `.asciz`
//! `.string`, `.align` `.p2align` (power of two) and `.balign`, `.zero` `.space` `.skip`, `.org`, `.equ` `.set`; those
//! that only concern a linker (`.globl`, `.global`, `.local`, `.type`, `.size`, `.text`) are accepted. Padding is
//! zero bytes. `.` is the address of the instruction or datum. All arithmetic is on 64 bits and wraps.

mod directive;
mod expr;
pub(crate) mod matching;
mod pass;
mod tail;

pub use tail::{Base, Encoded, Encoding, Value};

use crate::kind::RangeError;
use crate::shape::{Piece, Shape, pieces};
use crate::table::{Family, Group, Pseudo};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Most bytes one source may assemble to.
pub const MAX_OUTPUT: usize = 1 << 26;

/// The order of bytes in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
    /// Data and 16-bit parcels are little-endian, instructions have their most significant parcel first (Thumb).
    LittleParcels,
}

/// What an ISA adds to the assembler beyond its rows.
pub trait Dialect: Sync {
    /// Starts a comment that runs to the end of the line.
    fn comment(&self) -> &'static str {
        "#"
    }

    /// The value of `%name(...)`; `None` if there is no such function.
    fn function(&self, name: &str, argument: Argument) -> Option<i64> {
        let _ = (name, argument);
        None
    }

    /// The lines that `mnemonic operands` stands for, if it needs more than a pseudo row: `li` of a wide constant.
    /// `value` evaluates an operand, `None` while it depends on a label further down.
    fn expand(&self, mnemonic: &str, operands: &[&str], value: &dyn Fn(&str) -> Option<i64>) -> Option<Vec<String>> {
        let _ = (mnemonic, operands, value);
        None
    }

    /// The bytes of an instruction where they are not the key word in memory order with the tail behind it: x86 makes
    /// prefixes, opcode and ModRM from the key. The tail must come last and as it is.
    fn bytes(&self, word: u64, tail: &[u8]) -> Option<Vec<u8>> {
        let _ = (word, tail);
        None
    }
}

/// The dialect that adds nothing.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Dialect for Plain {}

/// The argument of a `%name(...)` function.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// The value between the parentheses.
    pub value: i64,
    /// The address of the instruction.
    pub pc: u64,
    /// The argument that the instruction at address `value` gave to such a function: what `%pcrel_lo(label)` needs.
    /// `None` where there is none, and while it is not known yet.
    pub earlier: Option<i64>,
}

/// Why a statement cannot be assembled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsmReason {
    /// No enabled row or pseudo-instruction has this mnemonic.
    UnknownMnemonic(String),
    /// The operands have another form than the given templates.
    Operands(String),
    /// A value does not fit its field.
    Range(RangeError),
    /// The operands are individually right, but the encoding forbids them: this row's constraints.
    Forbidden(String),
    /// No such directive.
    UnknownDirective(String),
    /// An expression, string or name is malformed.
    Syntax(String),
    /// A symbol, local label or `%function` is not defined.
    Undefined(String),
    /// A label is defined twice.
    Duplicate(String),
    /// A datum does not fit its directive.
    DataRange(i64),
    /// The statement had another size or address in the first pass.
    Phase,
    /// `.org` goes back, or more than [`MAX_OUTPUT`] bytes are produced.
    Size,
    /// Expressions or expansions are nested too deeply, or a line is too long.
    TooDeep,
}

impl fmt::Display for AsmReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AsmReason::UnknownMnemonic(m) => write!(f, "unknown mnemonic `{m}`"),
            AsmReason::Operands(form) => write!(f, "the operands do not have the form `{form}`"),
            AsmReason::Range(e) => write!(f, "{e}"),
            AsmReason::Forbidden(form) => write!(f, "`{form}` does not allow these operands"),
            AsmReason::UnknownDirective(d) => write!(f, "unknown directive `{d}`"),
            AsmReason::Syntax(text) => write!(f, "malformed: `{text}`"),
            AsmReason::Undefined(name) => write!(f, "`{name}` is not defined"),
            AsmReason::Duplicate(name) => write!(f, "label `{name}` is defined twice"),
            AsmReason::DataRange(value) => write!(f, "{value} does not fit the directive's size"),
            AsmReason::Phase => f.write_str("size or address differs between the passes"),
            AsmReason::Size => f.write_str("the output would be too large or go backwards"),
            AsmReason::TooDeep => f.write_str("too deeply nested or too long"),
        }
    }
}

/// An error and the line it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsmError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: AsmReason,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl core::error::Error for AsmError {}

/// What a source assembles to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The bytes, from the base address on.
    pub bytes: Vec<u8>,
    /// Labels and `.equ` symbols.
    pub symbols: BTreeMap<String, i64>,
}

/// Assembles the instructions of a set of groups.
pub struct Assembler {
    /// Rows by the literal start of their mnemonic.
    rows: BTreeMap<&'static str, Vec<&'static Shape>>,
    pseudos: BTreeMap<&'static str, Vec<Pseudo>>,
    order: ByteOrder,
    dialect: &'static dyn Dialect,
    address_bits: u32,
}

impl Assembler {
    /// An assembler for little-endian memory without a dialect.
    #[must_use]
    pub fn new<F: Family>(groups: &[&'static Group<F>]) -> Assembler {
        let mut asm = Assembler {
            rows: BTreeMap::new(),
            pseudos: BTreeMap::new(),
            order: ByteOrder::Little,
            dialect: &Plain,
            address_bits: 64,
        };
        for row in groups.iter().flat_map(|g| g.rows) {
            let start = match pieces(row.mnemonic()).next() {
                Some(Piece::Text(text)) => text,
                Some(Piece::Hole(_)) | None => "",
            };
            asm.rows.entry(start).or_default().push(row.shape());
        }
        for pseudo in groups.iter().flat_map(|g| g.pseudos) {
            asm.pseudos.entry(pseudo.mnemonic).or_default().push(*pseudo);
        }
        asm
    }

    /// Sets the byte order.
    #[must_use]
    pub fn order(mut self, order: ByteOrder) -> Assembler {
        self.order = order;
        self
    }

    /// Distances to branch targets wrap at this many bits, 1 to 64; 64 unless set.
    #[must_use]
    pub fn address_bits(mut self, bits: u32) -> Assembler {
        self.address_bits = bits.clamp(1, 64);
        self
    }

    /// Sets the dialect.
    #[must_use]
    pub fn dialect(mut self, dialect: &'static dyn Dialect) -> Assembler {
        self.dialect = dialect;
        self
    }

    /// Assembles a source whose first byte is at address `base`.
    ///
    /// # Errors
    /// The first error in the source, with its line.
    pub fn assemble(&self, source: &str, base: u64) -> Result<Vec<u8>, AsmError> {
        self.assemble_image(source, base, &BTreeMap::new()).map(|image| image.bytes)
    }

    /// Like [`Assembler::assemble`], with predefined symbols, returning those of the source too.
    ///
    /// # Errors
    /// The first error in the source, with its line.
    pub fn assemble_image(&self, source: &str, base: u64, symbols: &BTreeMap<String, i64>) -> Result<Image, AsmError> {
        pass::assemble(self, source, base, symbols)
    }

    /// Assembles one line at address `pc`.
    ///
    /// # Errors
    /// The reason; the line number is 1.
    pub fn assemble_line(&self, line: &str, pc: u64, symbols: &BTreeMap<String, i64>) -> Result<Vec<u8>, AsmError> {
        self.assemble_image(line, pc, symbols).map(|image| image.bytes)
    }

    /// The word and the row of one instruction that is no multi-instruction expansion.
    ///
    /// # Errors
    /// The reason.
    pub fn instruction(&self, text: &str, pc: u64) -> Result<(u64, &'static Shape), AsmReason> {
        self.instruction_with(text, pc).map(|e| (e.word, e.shape))
    }

    /// Like [`Assembler::instruction`], with the bytes of tail operands.
    ///
    /// # Errors
    /// The reason.
    pub fn instruction_with(&self, text: &str, pc: u64) -> Result<Encoded, AsmReason> {
        pass::instruction(self, text, pc)
    }

    /// The bytes of an instruction in memory order.
    #[must_use]
    pub fn bytes(&self, encoded: &Encoded) -> Vec<u8> {
        let Encoded { word, tail, shape } = encoded;
        if let Some(bytes) = self.dialect.bytes(*word, tail) {
            return bytes;
        }
        let len = shape.bytes() as usize;
        let mut bytes = word.to_le_bytes()[..len].to_vec();
        match self.order {
            ByteOrder::Little => {}
            ByteOrder::Big => bytes.reverse(),
            ByteOrder::LittleParcels => bytes = bytes.rchunks(2).flatten().copied().collect(),
        }
        bytes.extend_from_slice(tail);
        bytes
    }
}
