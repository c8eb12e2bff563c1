//! Operand kinds: how the raw bits of a field become a value, are printed, and are read back.

use crate::names::Names;
use crate::pattern::ones;
use crate::tail::TailKind;
use core::fmt;

/// Most pieces a scattered immediate may be made of.
const MAX_PIECES: usize = 12;

/// The broad class of an operand kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Only named values exist: registers, rounding modes, conditions. A value without name is no encoding.
    Named,
    /// A two's complement number.
    Signed,
    /// An unsigned number.
    Unsigned,
    /// Bits of the key word and bytes behind it, left to the kind's [`TailKind`].
    Tail,
}

/// One row of a [`kinds!`](crate::kinds) table. Built by the const methods below, in any order after the class.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Name used in templates: `{d:x}` uses kind `x`.
    pub name: &'static str,
    /// How values are read and printed.
    pub class: Class,
    /// Bits in the field.
    pub bits: u8,
    /// Names of values, if any.
    pub names: Names,
    /// Further names the assembler accepts.
    pub aliases: Names,
    /// Whether the value is an offset from the instruction's address, shown as the absolute target.
    pub pc_relative: bool,
    plus: i64,
    pc_plus: i64,
    pc_align: u8,
    hexadecimal: bool,
    pieces: [(u8, u8); MAX_PIECES],
    piece_count: u8,
    map: Option<Map>,
    legal: u64,
    pub(crate) hook: Option<&'static dyn TailKind>,
}

/// A pair of functions for values that no list of bits describes.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// Raw field to value.
    pub decode: fn(u64) -> i64,
    /// Value to raw field; `None` when there is no encoding.
    pub encode: fn(i64) -> Option<u64>,
}

/// Why a value cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeError {
    /// The value.
    pub value: i64,
    /// Whether the kind is signed.
    pub signed: bool,
    /// Bits of the value, including implied zero bits at the bottom.
    pub bits: u8,
    /// The value must be a multiple of this.
    pub multiple: u64,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.signed { "signed" } else { "unsigned" };
        write!(f, "immediate {} does not fit {sign} {}", self.value, self.bits)?;
        if self.multiple > 1 { write!(f, ", a multiple of {}", self.multiple) } else { Ok(()) }
    }
}

impl core::error::Error for RangeError {}

impl Kind {
    const fn new(name: &'static str, class: Class) -> Kind {
        Kind {
            name,
            class,
            bits: 0,
            names: Names::NONE,
            aliases: Names::NONE,
            pc_relative: false,
            plus: 0,
            pc_plus: 0,
            pc_align: 0,
            hexadecimal: false,
            pieces: [(0, 0); MAX_PIECES],
            piece_count: 0,
            map: None,
            legal: u64::MAX,
            hook: None,
        }
    }

    /// A register file or any other closed set of names: a value without a name is an illegal encoding.
    #[must_use]
    pub const fn reg(name: &'static str) -> Kind {
        Kind::new(name, Class::Named)
    }

    /// Another word for [`Kind::reg`], for conditions, rounding modes, suffixes.
    #[must_use]
    pub const fn named(name: &'static str) -> Kind {
        Kind::new(name, Class::Named)
    }

    /// A two's complement number.
    #[must_use]
    pub const fn signed(name: &'static str) -> Kind {
        Kind::new(name, Class::Signed)
    }

    /// An unsigned number; where a name is known for a value it is printed and accepted.
    #[must_use]
    pub const fn unsigned(name: &'static str) -> Kind {
        Kind::new(name, Class::Unsigned)
    }

    /// An operand that has `width` bits of the key word, perhaps none, and bytes behind it; see [`Kind::by`].
    #[must_use]
    pub const fn tail(name: &'static str) -> Kind {
        Kind::new(name, Class::Tail)
    }

    /// The hook that prints, reads and measures a tail operand.
    #[must_use]
    pub const fn by(mut self, hook: &'static dyn TailKind) -> Kind {
        assert!(matches!(self.class, Class::Tail), "only a tail kind has a hook");
        self.hook = Some(hook);
        self
    }

    /// Only raw values `v` with bit `v` set in `set` are legal encodings; for kinds of at most 6 bits.
    #[must_use]
    pub const fn legal(mut self, set: u64) -> Kind {
        self.legal = set;
        self
    }

    /// The field is the value: `bits` wide; 0 only for a tail kind.
    #[must_use]
    pub const fn width(mut self, bits: u8) -> Kind {
        assert!((bits >= 1 || matches!(self.class, Class::Tail)) && bits <= 64, "a kind has 1 to 64 bits");
        assert!(self.piece_count == 0, "a kind has either a width or a list of bits");
        self.bits = bits;
        self
    }

    /// The field's bits, first to last, are these bits of the value, as manuals write it: `"12|10:5|4:1|11"`.
    /// Bits of the value that are not listed are zero.
    #[must_use]
    pub const fn bits(mut self, list: &str) -> Kind {
        assert!(self.bits == 0, "a kind has either a width or a list of bits");
        let b = list.as_bytes();
        let mut i = 0;
        while i < b.len() {
            let (high, after) = number(b, i);
            let (mut low, mut end) = (high, after);
            if end < b.len() && b[end] == b':' {
                (low, end) = number(b, end + 1);
            }
            assert!(high < 64 && low <= high, "a range of bits runs from high to low");
            assert!((self.piece_count as usize) < MAX_PIECES, "too many pieces in a list of bits");
            self.pieces[self.piece_count as usize] = (high, low);
            self.piece_count += 1;
            self.bits += high - low + 1;
            assert!(end == b.len() || b[end] == b'|', "pieces of a list of bits are separated by `|`");
            i = end + 1;
        }
        assert!(self.bits >= 1, "a list of bits names at least one");
        self
    }

    /// The names of the values from 0 on; see [`Names`] for the notation.
    #[must_use]
    pub const fn names(mut self, list: &'static str) -> Kind {
        self.names = Names::new(list);
        self
    }

    /// Further names the assembler accepts, in the same notation.
    #[must_use]
    pub const fn alias(mut self, list: &'static str) -> Kind {
        self.aliases = Names::new(list);
        self
    }

    /// The value is the field plus `n`: register windows, lengths stored minus one.
    #[must_use]
    pub const fn plus(mut self, n: i64) -> Kind {
        self.plus = n;
        self
    }

    /// The value is relative to the address of the instruction and is shown as the absolute target.
    #[must_use]
    pub const fn pcrel(mut self) -> Kind {
        self.pc_relative = true;
        self
    }

    /// Like [`Kind::pcrel`], relative to the instruction's address plus `n` (Arm: 8, MIPS: 4).
    #[must_use]
    pub const fn pcplus(mut self, n: i64) -> Kind {
        self.pc_plus = n;
        self.pcrel()
    }

    /// Like [`Kind::pcrel`], with the low `n` bits of the base cleared (A64 `adrp`: 12).
    #[must_use]
    pub const fn pcalign(mut self, n: u8) -> Kind {
        assert!(n < 64, "the base keeps at least one bit");
        self.pc_align = n;
        self.pcrel()
    }

    /// Numbers are printed in hexadecimal.
    #[must_use]
    pub const fn hex(mut self) -> Kind {
        self.hexadecimal = true;
        self
    }

    /// Value and field are related by two functions, for encodings such as Arm's logical immediates.
    #[must_use]
    pub const fn map(mut self, decode: fn(u64) -> i64, encode: fn(i64) -> Option<u64>) -> Kind {
        self.map = Some(Map { decode, encode });
        self
    }

    /// The legal raw values as a bit set, all ones where every value is legal.
    pub(crate) const fn allowed(&self) -> u64 {
        match self.class {
            Class::Named if self.bits <= 6 && self.plus >= 0 && self.map.is_none() => {
                self.names.present(self.plus as u64, 1 << self.bits) & self.legal
            }
            Class::Named | Class::Signed | Class::Unsigned | Class::Tail => self.legal,
        }
    }

    /// Whether the value is the field as a number plus a small constant; whether it is signed; the constant.
    pub(crate) const fn plain(&self) -> (bool, bool, i8) {
        let small = self.plus >= i8::MIN as i64 && self.plus <= i8::MAX as i64;
        let plain = self.piece_count == 0 && self.map.is_none() && small;
        (plain, matches!(self.class, Class::Signed), if small { self.plus as i8 } else { 0 })
    }

    /// For a kind that is a number made of the field's bits: how many bits above it are unused, if it is signed (else 0),
    /// and what is added.
    pub(crate) const fn number(&self) -> Option<(u8, i8)> {
        if self.map.is_some() || self.plus < i8::MIN as i64 || self.plus > i8::MAX as i64 {
            return None;
        }
        let unused = if matches!(self.class, Class::Signed) { 64 - self.value_bits() } else { 0 };
        Some((unused as u8, self.plus as i8))
    }

    /// The bit of the value that bit `bit` of the field is.
    pub(crate) const fn place(&self, mut bit: u32) -> u32 {
        let mut i = self.piece_count as usize;
        while i > 0 {
            i -= 1;
            let (high, low) = (self.pieces[i].0 as u32, self.pieces[i].1 as u32);
            if bit <= high - low {
                return low + bit;
            }
            bit -= high - low + 1;
        }
        bit
    }

    const fn piece_list(&self) -> &[(u8, u8)] {
        self.pieces.split_at(self.piece_count as usize).0
    }

    /// Bits of the value: one more than the highest bit listed.
    #[must_use]
    pub const fn value_bits(&self) -> u32 {
        let mut top = 0;
        let mut i = 0;
        while i < self.piece_count as usize {
            let high = self.pieces[i].0 as u32 + 1;
            top = if high > top { high } else { top };
            i += 1;
        }
        if self.piece_count == 0 { self.bits as u32 } else { top }
    }

    /// The value a raw field stands for.
    #[must_use]
    pub fn decode(&self, raw: u64) -> i64 {
        if let Some(map) = self.map {
            return (map.decode)(raw);
        }
        let mut value = raw;
        if self.piece_count != 0 {
            value = 0;
            let mut left = u32::from(self.bits);
            for &(high, low) in self.piece_list() {
                let width = u32::from(high - low) + 1;
                left -= width;
                value |= ((raw >> left) & ones(width)) << low;
            }
        }
        if self.class == Class::Signed {
            let unused = 64 - self.value_bits();
            return ((value << unused).cast_signed() >> unused).wrapping_add(self.plus);
        }
        value.cast_signed().wrapping_add(self.plus)
    }

    /// The raw field for a value.
    ///
    /// # Errors
    /// [`RangeError`] when the value has no encoding.
    pub fn encode(&self, value: i64) -> Result<u64, RangeError> {
        let raw = match self.map {
            Some(map) => (map.encode)(value),
            None => Some(self.pack(value.wrapping_sub(self.plus).cast_unsigned())),
        };
        let multiple =
            if self.piece_count == 0 { 1 } else { 1 << self.piece_list().iter().map(|p| p.1).min().unwrap_or(0) };
        let bits = u8::try_from(self.value_bits()).unwrap_or(64);
        let error = RangeError { value, signed: self.class == Class::Signed, bits, multiple };
        raw.filter(|&raw| raw <= ones(u32::from(self.bits)) && self.decode(raw) == value).ok_or(error)
    }

    fn pack(&self, value: u64) -> u64 {
        if self.piece_count == 0 {
            return value & ones(u32::from(self.bits));
        }
        self.piece_list().iter().fold(0, |raw, &(high, low)| {
            let width = u32::from(high - low) + 1;
            (raw.checked_shl(width).unwrap_or(0)) | ((value >> low) & ones(width))
        })
    }

    /// The address a pc-relative value is counted from.
    #[must_use]
    pub fn base(&self, pc: u64) -> u64 {
        pc.wrapping_add(self.pc_plus.cast_unsigned()) & !ones(u32::from(self.pc_align))
    }

    /// Prints a decoded value the way the assembler reads it; addresses wrap at `address_bits`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn print(&self, value: i64, pc: u64, address_bits: u32, out: &mut dyn fmt::Write) -> fmt::Result {
        if self.pc_relative {
            let target = self.base(pc).wrapping_add(value.cast_unsigned()) & ones(address_bits);
            return write!(out, "{target:#x}");
        }
        if let Some(name) = u64::try_from(value).ok().and_then(|v| self.names.name_of(v)) {
            return write!(out, "{name}");
        }
        match (self.hexadecimal, self.class) {
            (true, Class::Signed) if value < 0 => write!(out, "-{:#x}", value.unsigned_abs()),
            (true, _) => write!(out, "{value:#x}"),
            (false, Class::Signed) => write!(out, "{value}"),
            (false, Class::Unsigned | Class::Named | Class::Tail) => write!(out, "{}", value.cast_unsigned()),
        }
    }

    /// The value a name stands for, aliases included.
    #[must_use]
    pub fn value_of(&self, name: &str) -> Option<i64> {
        self.names.value_of(name).or_else(|| self.aliases.value_of(name)).and_then(|v| i64::try_from(v).ok())
    }
}

/// A decimal number in `b` from `at`, and where it ends.
pub(crate) const fn number(b: &[u8], at: usize) -> (u8, usize) {
    let (mut n, mut i) = (0u32, at);
    while i < b.len() && b[i] >= b'0' && b[i] <= b'9' && n < 1000 {
        n = n * 10 + (b[i] - b'0') as u32;
        i += 1;
    }
    assert!(i > at && n < 256, "a small decimal number was expected");
    (n as u8, i)
}
