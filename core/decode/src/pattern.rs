//! Encoding patterns: the bit strings the manuals print, and the errors a table can have.

use core::fmt;

/// Most fields one row may have.
pub const MAX_FIELDS: usize = 10;

/// A named field of an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The letter that names the field in the pattern.
    pub letter: u8,
    /// The bits of the word that belong to the field; its value is those bits, closed up.
    pub mask: u64,
    /// For fields of at most 6 bits, bit `v` says whether the raw value `v` is a legal encoding; else all ones.
    pub allowed: u64,
}

impl Field {
    pub(crate) const NONE: Field = Field { letter: 0, mask: 0, allowed: u64::MAX };

    /// Number of bits in the field.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.mask.count_ones()
    }

    /// The raw unsigned value of the field in `word`.
    #[must_use]
    pub const fn get(&self, word: u64) -> u64 {
        gather(word, self.mask)
    }
}

/// What is wrong with a table. Raised as a panic at compile time by [`insns!`](crate::insns), returned by
/// [`Pattern::parse`] and [`Shape::new`](crate::Shape::new) at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// A pattern holds a character that is no bit, field letter or space.
    BadCharacter(u8),
    /// A pattern has more than 64 bits.
    TooWide,
    /// A pattern has no bits.
    Empty,
    /// A pattern has more than [`MAX_FIELDS`] different letters.
    TooManyFields,
    /// The pattern's length differs from the group's `width`.
    WrongWidth,
    /// The assembly template or the mnemonic has an unclosed or empty `{}`.
    BadTemplate,
    /// More operands or parameters than a row can hold.
    TooManyOperands,
    /// A template, parameter or constraint names a letter that the pattern does not have.
    NoSuchField(u8),
    /// The letter is given a kind that the family's table does not have.
    NoSuchKind(u8),
    /// The `reg` or `named` kind of this field has no names, or more than 6 bits.
    KindNames(u8),
    /// The kind's width differs from the width of the field with this letter.
    KindWidth(u8),
    /// A parameter or constraint is not a single letter.
    NotALetter,
    /// A constraint leaves no legal value for the field.
    NoLegalValue(u8),
    /// A constraint compares with a value the field cannot hold.
    ConstraintRange(u8),
    /// Two fields are compared that differ in width.
    FieldWidths(u8),
    /// The kind limits its legal values, but has more than 6 bits.
    KindLegal(u8),
    /// The tail kind of this operand has no hook.
    KindHook(u8),
    /// The letters behind `:` are not those of the tail operands, each once.
    TailOrder,
}

impl TableError {
    /// The message and the letter it is about, 0 where there is none.
    #[must_use]
    pub const fn text(self) -> (&'static str, u8) {
        match self {
            TableError::BadCharacter(c) => ("this character is no bit, field letter or space", c),
            TableError::TooWide => ("the pattern has more than 64 bits", 0),
            TableError::Empty => ("the pattern has no bits", 0),
            TableError::TooManyFields => ("the pattern has too many fields", 0),
            TableError::WrongWidth => ("the pattern's length is not the group's width", 0),
            TableError::BadTemplate => ("the template has a malformed {letter:kind}", 0),
            TableError::TooManyOperands => ("too many operands or parameters", 0),
            TableError::NoSuchField(c) => ("the pattern has no such field", c),
            TableError::NoSuchKind(c) => ("the kind given to this field is not in the family's table", c),
            TableError::KindNames(c) => ("a reg or named kind needs names and at most 6 bits", c),
            TableError::KindWidth(c) => ("the kind's width is not the width of this field", c),
            TableError::NotALetter => ("a parameter or constraint must be a single field letter", 0),
            TableError::NoLegalValue(c) => ("constraints leave no legal value for this field", c),
            TableError::ConstraintRange(c) => ("a constraint's value does not fit this field", c),
            TableError::FieldWidths(c) => ("this field is compared with one of another width", c),
            TableError::KindLegal(c) => ("a kind with a set of legal values has at most 6 bits", c),
            TableError::KindHook(c) => ("the tail kind given to this operand has no hook", c),
            TableError::TailOrder => ("the letters behind `:` must be those of the tail operands, each once", 0),
        }
    }

    /// Panics with a message that names the row; how compile-time checks report.
    pub const fn raise(self, row: &str) -> ! {
        let (text, letter) = self.text();
        let mut buffer = [0u8; 192];
        let mut at = append(&mut buffer, 0, b"row `");
        at = append(&mut buffer, at, row.as_bytes());
        at = append(&mut buffer, at, b"`: ");
        at = append(&mut buffer, at, text.as_bytes());
        if letter != 0 {
            at = append(&mut buffer, at, b": `");
            at = append(&mut buffer, at, &[letter]);
            at = append(&mut buffer, at, b"`");
        }
        match core::str::from_utf8(buffer.split_at(at).0) {
            Ok(message) => panic!("{}", message),
            Err(_) => panic!("{}", text),
        }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, letter) = self.text();
        f.write_str(text)?;
        if letter != 0 { write!(f, ": `{}`", char::from(letter)) } else { Ok(()) }
    }
}

impl core::error::Error for TableError {}

/// Appends as much of `text` as fits and returns the new length.
pub(crate) const fn append(buffer: &mut [u8], mut at: usize, text: &[u8]) -> usize {
    let mut i = 0;
    while i < text.len() && at < buffer.len() {
        buffer[at] = text[i];
        at += 1;
        i += 1;
    }
    at
}

/// `bits` ones at the bottom of a word.
#[must_use]
pub const fn ones(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// Collects the bits of `word` under `mask` into the low bits of the result, order kept.
#[must_use]
pub const fn gather(word: u64, mut mask: u64) -> u64 {
    let (mut out, mut at) = (0, 0);
    while mask != 0 {
        let low = mask.trailing_zeros();
        let run = (mask >> low).trailing_ones();
        out |= ((word >> low) & ones(run)) << at;
        at += run;
        mask &= !(ones(run) << low);
    }
    out
}

/// Spreads the low bits of `value` over the bits of `mask`: the inverse of [`gather`].
#[must_use]
pub const fn scatter(value: u64, mut mask: u64) -> u64 {
    let (mut out, mut at) = (0, 0);
    while mask != 0 {
        let low = mask.trailing_zeros();
        let run = (mask >> low).trailing_ones();
        out |= ((value >> at) & ones(run)) << low;
        at += run;
        mask &= !(ones(run) << low);
    }
    out
}

/// A parsed encoding pattern. `0` and `1` are fixed bits, letters are fields, `.` is ignored by the decoder and
/// encoded as 0, `-` is ignored by the decoder and random in the random encoder; spaces separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Length in bits.
    pub width: u8,
    /// Bits that are fixed.
    pub mask: u64,
    /// Values of the fixed bits.
    pub value: u64,
    /// Bits written `-`.
    pub loose: u64,
    fields: [Field; MAX_FIELDS],
    count: u8,
}

impl Pattern {
    /// Parses a pattern; usable at compile time.
    ///
    /// # Errors
    /// A [`TableError`] for characters that mean nothing, more than 64 bits or [`MAX_FIELDS`] fields, or no bits.
    pub const fn parse(text: &str) -> Result<Pattern, TableError> {
        let bytes = text.as_bytes();
        let mut p = Pattern { width: 0, mask: 0, value: 0, loose: 0, fields: [Field::NONE; MAX_FIELDS], count: 0 };
        let mut i = bytes.len();
        while i > 0 {
            i -= 1;
            let c = bytes[i];
            if c == b' ' {
                continue;
            }
            if p.width == 64 {
                return Err(TableError::TooWide);
            }
            let bit = 1u64 << p.width;
            match c {
                b'0' => p.mask |= bit,
                b'1' => {
                    p.mask |= bit;
                    p.value |= bit;
                }
                b'.' => {}
                b'-' => p.loose |= bit,
                b'a'..=b'z' | b'A'..=b'Z' => {
                    let mut k = 0;
                    while k < p.count as usize && p.fields[k].letter != c {
                        k += 1;
                    }
                    if k == MAX_FIELDS {
                        return Err(TableError::TooManyFields);
                    }
                    if k == p.count as usize {
                        p.count += 1;
                        p.fields[k].letter = c;
                    }
                    p.fields[k].mask |= bit;
                }
                _ => return Err(TableError::BadCharacter(c)),
            }
            p.width += 1;
        }
        if p.width == 0 { Err(TableError::Empty) } else { Ok(p) }
    }

    /// The fields, rightmost first.
    #[must_use]
    pub const fn fields(&self) -> &[Field] {
        self.fields.split_at(self.count as usize).0
    }

    /// Index in [`Pattern::fields`] of the field with this letter.
    #[must_use]
    pub const fn find(&self, letter: u8) -> Option<usize> {
        let mut k = 0;
        while k < self.count as usize {
            if self.fields[k].letter == letter {
                return Some(k);
            }
            k += 1;
        }
        None
    }

    /// Removes legal values from a field of at most 6 bits; false when none is left.
    pub(crate) const fn restrict(&mut self, field: usize, allowed: u64) -> bool {
        let f = &mut self.fields[field];
        f.allowed &= allowed;
        f.allowed & ones(1 << f.mask.count_ones()) != 0
    }
}
