//! The checked form of a row without its body: pattern, operands, constraints. Decoder, disassembler and assembler
//! work on shapes, so none of them is compiled once per ISA.

use crate::kind::{Class, Kind, RangeError};
use crate::moves::{Gather, Moves};
use crate::pattern::{Field, Pattern, TableError, gather, ones, scatter};

/// Most operands in a template, and most parameters of a body.
pub const MAX_OPERANDS: usize = 12;

const RAW: u8 = u8::MAX;

/// A condition on raw field values without which a word is not this instruction.
#[derive(Clone, Copy, Debug)]
pub struct Constraint {
    /// The field's letter.
    pub field: &'static str,
    /// What must hold.
    pub test: Test,
}

/// The tests a `where` clause can make.
#[derive(Clone, Copy, Debug)]
pub enum Test {
    /// `d != 0`, `d != [0, 2]`.
    NotIn(&'static [u64]),
    /// `d == 1`, `d == [1, 5]`.
    In(&'static [u64]),
    /// `a != b`.
    NotField(&'static str),
    /// `a == b`.
    SameField(&'static str),
}

#[derive(Clone, Copy, Debug)]
struct Operand {
    field: u8,
    kind: u8,
    /// For a field that is one run of bits and a kind that is a plain number: shift left, then right, then add.
    plain: bool,
    left: u8,
    right: u8,
    signed: bool,
    plus: i8,
    /// For parameters in several runs of bits.
    gather: Gather,
    letter: u8,
    tail: bool,
}

impl Operand {
    const NONE: Operand = Operand {
        field: RAW,
        kind: RAW,
        plain: false,
        left: 0,
        right: 0,
        signed: false,
        plus: 0,
        gather: Gather::NONE,
        letter: 0,
        tail: false,
    };

    /// A tail operand; `field` is `RAW` if it has no bits in the key word.
    const fn tail(letter: u8, field: usize, kind: usize) -> Operand {
        Operand { field: field as u8, kind: kind as u8, letter, tail: true, ..Operand::NONE }
    }

    const fn new(field: usize, mask: u64, kind: usize, k: Option<&Kind>) -> Operand {
        let low = mask.trailing_zeros();
        let run = mask >> low == ones(mask.count_ones());
        let (number, signed, plus) = match k {
            Some(k) => k.plain(),
            None => (true, false, 0),
        };
        let right = 64 - mask.count_ones();
        Operand {
            field: field as u8,
            kind: kind as u8,
            plain: run && number,
            left: (right - if run { low } else { 0 }) as u8,
            right: right as u8,
            signed,
            plus,
            ..Operand::NONE
        }
    }

    #[inline]
    fn plain_value(&self, word: u64) -> i64 {
        let top = word << (self.left & 63);
        let right = self.right & 63;
        let value = if self.signed { top.cast_signed() >> right } else { (top >> right).cast_signed() };
        value.wrapping_add(i64::from(self.plus))
    }
}

/// The first constraint of a row in a form the decoder can test at once: a bit of `allowed` picked by `mask` bits from
/// `shift`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstCheck {
    pub(crate) allowed: u64,
    pub(crate) shift: u8,
    pub(crate) mask: u8,
    /// Whether [`Shape::accepts`] must be asked too.
    pub(crate) more: bool,
}

/// Everything [`insns!`](crate::insns) knows about a row before it is checked.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The row's identifier.
    pub id: &'static str,
    /// The mnemonic, which may hold `{letter:kind}` suffixes.
    pub mnemonic: &'static str,
    /// The group's name.
    pub group: &'static str,
    /// The width every row of the group has, 0 if they differ.
    pub width: u8,
    /// The encoding as the manual prints it, perhaps with `: letters` of the tail operands in memory order.
    pub pattern: &'static str,
    /// The operands as the assembler reads them.
    pub asm: &'static str,
    /// Parameters of the body: letter, and kind or "".
    pub params: &'static [(&'static str, &'static str)],
    /// The `where` clause.
    pub constraints: &'static [Constraint],
    /// The `if` clause.
    pub filter: Option<fn(u64) -> bool>,
    /// Documentation.
    pub doc: &'static str,
    /// The operand kinds of the family.
    pub kinds: &'static [Kind],
}

/// A checked row without its body.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    spec: Spec,
    pattern: Pattern,
    operands: [Operand; MAX_OPERANDS],
    operand_count: u8,
    binds: [Operand; MAX_OPERANDS],
    bind_count: u8,
    moves: Moves,
    constrained: bool,
    /// Indices of the tail operands, in the order of their bytes.
    tail_order: [u8; MAX_OPERANDS],
    tail_count: u8,
}

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text as it stands.
    Text(&'a str),
    /// An operand: what stands between the braces.
    Hole(&'a str),
}

/// The pieces of a template. An unclosed brace ends the iteration; checked rows have none.
pub fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    core::iter::from_fn(move || {
        if let Some(inner) = rest.strip_prefix('{') {
            let (hole, after) = inner.split_once('}')?;
            rest = after;
            return Some(Piece::Hole(hole));
        }
        if rest.is_empty() {
            return None;
        }
        let (text, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        rest = after;
        Some(Piece::Text(text))
    })
}

impl Shape {
    /// Checks a row; usable at compile time.
    ///
    /// # Errors
    /// [`TableError`] says what is wrong with the row.
    pub const fn new(spec: Spec) -> Result<Shape, TableError> {
        let (key, order) = split_order(spec.pattern);
        let pattern = match Pattern::parse(key) {
            Ok(p) => p,
            Err(e) => return Err(e),
        };
        if spec.width != 0 && spec.width != pattern.width {
            return Err(TableError::WrongWidth);
        }
        let none = [Operand::NONE; MAX_OPERANDS];
        let constrained = spec.filter.is_some();
        let mut shape = Shape {
            spec,
            pattern,
            operands: none,
            operand_count: 0,
            binds: none,
            bind_count: 0,
            moves: Moves::NONE,
            constrained,
            tail_order: [0; MAX_OPERANDS],
            tail_count: 0,
        };
        if let Err(e) = shape.add_template(spec.mnemonic) {
            return Err(e);
        }
        if let Err(e) = shape.add_template(spec.asm) {
            return Err(e);
        }
        if let Err(e) = shape.order_tail(order.as_bytes()) {
            return Err(e);
        }
        let mut i = 0;
        while i < spec.params.len() {
            if let Err(e) = shape.add_param(spec.params[i].0, spec.params[i].1) {
                return Err(e);
            }
            i += 1;
        }
        i = 0;
        while i < spec.constraints.len() {
            if let Err(e) = shape.add_constraint(spec.constraints[i]) {
                return Err(e);
            }
            i += 1;
        }
        Ok(shape)
    }

    const fn add_template(&mut self, template: &str) -> Result<(), TableError> {
        let b = template.as_bytes();
        let mut i = 0;
        while i < b.len() {
            if b[i] == b'}' {
                return Err(TableError::BadTemplate);
            }
            if b[i] != b'{' {
                i += 1;
                continue;
            }
            let start = i + 1;
            while i < b.len() && b[i] != b'}' {
                i += 1;
            }
            if i == b.len() || i == start || (i > start + 1 && (b[start + 1] != b':' || i == start + 2)) {
                return Err(TableError::BadTemplate);
            }
            let (name_start, name_end) = if i == start + 1 { (i, i) } else { (start + 2, i) };
            let operand = match self.operand(b[start], b, name_start, name_end) {
                Ok(o) => o,
                Err(e) => return Err(e),
            };
            if self.operand_count as usize == MAX_OPERANDS {
                return Err(TableError::TooManyOperands);
            }
            if operand.tail {
                self.tail_order[self.tail_count as usize] = self.operand_count;
                self.tail_count += 1;
            }
            self.operands[self.operand_count as usize] = operand;
            self.operand_count += 1;
            i += 1;
        }
        Ok(())
    }

    /// Takes the order of the tail operands' bytes from the letters behind the pattern, if there are any.
    const fn order_tail(&mut self, letters: &[u8]) -> Result<(), TableError> {
        let (mut i, mut n) = (0, 0);
        let mut order = [0; MAX_OPERANDS];
        let mut used = 0u64;
        while i < letters.len() {
            if letters[i] != b' ' {
                let mut k = 0;
                while k < self.operand_count as usize
                    && !(self.operands[k].tail && self.operands[k].letter == letters[i] && used >> k & 1 == 0)
                {
                    k += 1;
                }
                if k == self.operand_count as usize {
                    return Err(TableError::TailOrder);
                }
                used |= 1 << k;
                order[n] = k as u8;
                n += 1;
            }
            i += 1;
        }
        if n != 0 {
            self.tail_order = order;
        }
        if n == 0 || n == self.tail_count as usize { Ok(()) } else { Err(TableError::TailOrder) }
    }

    /// Indices of the tail operands among [`Shape::operands`], in the order of their bytes.
    pub(crate) const fn tail_order(&self) -> &[u8] {
        self.tail_order.split_at(self.tail_count as usize).0
    }

    const fn add_param(&mut self, letter: &str, kind: &str) -> Result<(), TableError> {
        let field = match self.letter(letter) {
            Ok(k) => k,
            Err(e) => return Err(e),
        };
        if self.bind_count as usize == MAX_OPERANDS {
            return Err(TableError::TooManyOperands);
        }
        let mut operand = Operand::new(field, self.pattern.fields()[field].mask, RAW as usize, None);
        let mut i = 0;
        while i < self.operand_count as usize && kind.is_empty() {
            if self.operands[i].field as usize == field {
                // A tail operand's parameter is its raw bits.
                operand = if self.operands[i].tail { operand } else { self.operands[i] };
                break;
            }
            i += 1;
        }
        if !kind.is_empty() {
            operand = match self.operand(letter.as_bytes()[0], kind.as_bytes(), 0, kind.len()) {
                Ok(o) => o,
                Err(e) => return Err(e),
            };
        }
        if !operand.plain && !operand.tail {
            let mask = self.pattern.fields()[field].mask;
            operand.gather = match operand.kind {
                RAW => self.moves.add(mask, None),
                kind => self.moves.add(mask, Some(&self.spec.kinds[kind as usize])),
            };
        }
        self.binds[self.bind_count as usize] = operand;
        self.bind_count += 1;
        Ok(())
    }

    const fn letter(&self, name: &str) -> Result<usize, TableError> {
        if name.len() != 1 {
            return Err(TableError::NotALetter);
        }
        match self.pattern.find(name.as_bytes()[0]) {
            Some(k) => Ok(k),
            None => Err(TableError::NoSuchField(name.as_bytes()[0])),
        }
    }

    /// The operand `letter` with the kind named by `text[start..end]`, raw if that is empty. Takes the kind's closed
    /// set of names into the field's legal values.
    const fn operand(&mut self, letter: u8, text: &[u8], start: usize, end: usize) -> Result<Operand, TableError> {
        if start == end {
            let Some(field) = self.pattern.find(letter) else { return Err(TableError::NoSuchField(letter)) };
            return Ok(Operand::new(field, self.pattern.fields()[field].mask, RAW as usize, None));
        }
        let mut kind = 0;
        while kind < self.spec.kinds.len() && !same(self.spec.kinds[kind].name.as_bytes(), text, start, end) {
            kind += 1;
        }
        if kind == self.spec.kinds.len() || kind >= RAW as usize {
            return Err(TableError::NoSuchKind(letter));
        }
        let k = &self.spec.kinds[kind];
        let tail = matches!(k.class, Class::Tail);
        if tail && k.hook().is_none() {
            return Err(TableError::KindHook(letter));
        }
        let Some(field) = self.pattern.find(letter) else {
            let no_bits = tail && k.bits == 0;
            return if no_bits {
                Ok(Operand::tail(letter, RAW as usize, kind))
            } else {
                Err(TableError::NoSuchField(letter))
            };
        };
        if k.bits as u32 != self.pattern.fields()[field].width() {
            return Err(TableError::KindWidth(letter));
        }
        if matches!(k.class, Class::Named) && (k.names.is_empty() || k.bits > 6) {
            return Err(TableError::KindNames(letter));
        }
        let allowed = k.allowed();
        if allowed != u64::MAX && k.bits > 6 {
            return Err(TableError::KindLegal(letter));
        }
        if allowed & ones(1u32.unbounded_shl(k.bits as u32)) != ones(1u32.unbounded_shl(k.bits as u32)) {
            self.constrained = true;
        }
        if k.bits <= 6 && !self.pattern.restrict(field, allowed) {
            return Err(TableError::NoLegalValue(letter));
        }
        if tail {
            return Ok(Operand::tail(letter, field, kind));
        }
        Ok(Operand::new(field, self.pattern.fields()[field].mask, kind, Some(k)))
    }

    const fn add_constraint(&mut self, constraint: Constraint) -> Result<(), TableError> {
        let field = match self.letter(constraint.field) {
            Ok(k) => k,
            Err(e) => return Err(e),
        };
        self.constrained = true;
        let letter = constraint.field.as_bytes()[0];
        let width = self.pattern.fields()[field].width();
        match constraint.test {
            Test::NotIn(list) | Test::In(list) => {
                let mut set = 0u64;
                let mut i = 0;
                while i < list.len() {
                    if list[i] > ones(width) {
                        return Err(TableError::ConstraintRange(letter));
                    }
                    set |= 1u64.unbounded_shl(list[i] as u32);
                    i += 1;
                }
                let allowed = if matches!(constraint.test, Test::In(_)) { set } else { !set };
                if width <= 6 && !self.pattern.restrict(field, allowed) {
                    return Err(TableError::NoLegalValue(letter));
                }
                Ok(())
            }
            Test::NotField(other) | Test::SameField(other) => match self.letter(other) {
                Ok(k) if self.pattern.fields()[k].width() == width => Ok(()),
                Ok(_) => Err(TableError::FieldWidths(letter)),
                Err(e) => Err(e),
            },
        }
    }

    /// The row's identifier in the table.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.spec.id
    }

    /// The mnemonic, with its `{letter:kind}` suffixes if it has any.
    #[must_use]
    pub const fn mnemonic(&self) -> &'static str {
        self.spec.mnemonic
    }

    /// The name of the group the row belongs to.
    #[must_use]
    pub const fn group(&self) -> &'static str {
        self.spec.group
    }

    /// The operand template.
    #[must_use]
    pub const fn asm(&self) -> &'static str {
        self.spec.asm
    }

    /// The row's documentation.
    #[must_use]
    pub const fn doc(&self) -> &'static str {
        self.spec.doc
    }

    /// The encoding.
    #[must_use]
    pub const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Length of the instruction, or of its key word, in bits.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.pattern.width as u32
    }

    /// Length of the instruction, or of its key word, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.width().div_ceil(8)
    }

    /// Whether fixed bits alone do not decide.
    #[must_use]
    pub const fn constrained(&self) -> bool {
        self.constrained
    }

    /// Bits that the assembly text does not determine: `-` bits and fields that no template shows.
    #[must_use]
    pub fn unprinted(&self) -> u64 {
        let shown = self.operands().fold(0, |m, (f, _)| m | f.mask);
        self.pattern.fields().iter().fold(self.pattern.loose, |m, f| m | (f.mask & !shown))
    }

    /// The operands in template order, mnemonic first: field, and kind unless raw.
    pub fn operands(&self) -> impl Iterator<Item = (&Field, Option<&'static Kind>)> {
        self.operands[..usize::from(self.operand_count)].iter().map(|o| self.resolve(o))
    }

    fn resolve(&self, o: &Operand) -> (&Field, Option<&'static Kind>) {
        const NO_BITS: &Field = &Field::NONE;
        (self.pattern.fields().get(usize::from(o.field)).unwrap_or(NO_BITS), self.spec.kinds.get(usize::from(o.kind)))
    }

    /// The values of the body's parameters. `N` is their number; the macro sees to that.
    #[must_use]
    #[inline]
    pub fn bind<const N: usize>(&self, word: u64) -> [i64; N] {
        let mut values = [0; N];
        for (value, o) in values.iter_mut().zip(&self.binds) {
            *value = if o.plain {
                o.plain_value(word)
            } else if o.gather.is_some() {
                self.moves.value(&o.gather, word)
            } else {
                self.value(o, word)
            };
        }
        values
    }

    fn value(&self, o: &Operand, word: u64) -> i64 {
        let (field, kind) = self.resolve(o);
        let raw = field.get(word);
        kind.map_or(raw.cast_signed(), |k| k.decode(raw))
    }

    /// Whether `word` is this instruction, other rows aside.
    #[must_use]
    pub fn matches(&self, word: u64) -> bool {
        word & self.pattern.mask == self.pattern.value && self.accepts(word)
    }

    /// Whether a word whose fixed bits match meets the constraints.
    #[must_use]
    pub fn accepts(&self, word: u64) -> bool {
        if !self.constrained {
            return true;
        }
        let legal = |f: &Field| f.allowed == u64::MAX || f.allowed >> (f.get(word) & 63) & 1 != 0;
        self.pattern.fields().iter().all(legal)
            && self.spec.constraints.iter().all(|c| !self.is_wide(c) || self.holds(c, word))
            && self.spec.filter.is_none_or(|f| f(word))
    }

    pub(crate) fn first_check(&self) -> FirstCheck {
        let none = FirstCheck { allowed: u64::MAX, shift: 0, mask: 0, more: self.constrained };
        let restricted = |f: &&Field| f.allowed & ones(1 << f.width().min(6)) != ones(1 << f.width().min(6));
        let mut fields = self.pattern.fields().iter().filter(|f| f.allowed != u64::MAX).filter(restricted);
        let first = fields.next();
        let more = self.filter_or_wide() || fields.next().is_some();
        first.map_or(FirstCheck { more, ..none }, |f| {
            let shift = f.mask.trailing_zeros() as u8;
            let run = f.mask >> shift == ones(f.width());
            if run { FirstCheck { allowed: f.allowed, shift, mask: ones(f.width()) as u8, more } } else { none }
        })
    }

    /// Whether some condition is not expressed by the fields' legal values.
    fn filter_or_wide(&self) -> bool {
        self.spec.filter.is_some() || self.spec.constraints.iter().any(|c| self.is_wide(c))
    }

    fn is_wide(&self, c: &Constraint) -> bool {
        matches!(c.test, Test::NotField(_) | Test::SameField(_)) || self.mask_of(c.field).count_ones() > 6
    }

    fn holds(&self, c: &Constraint, word: u64) -> bool {
        let raw = |letter: &str| gather(word, self.mask_of(letter));
        let value = raw(c.field);
        match c.test {
            Test::NotIn(list) => !list.contains(&value),
            Test::In(list) => list.contains(&value),
            Test::NotField(other) => value != raw(other),
            Test::SameField(other) => value == raw(other),
        }
    }

    const fn mask_of(&self, letter: &str) -> u64 {
        match self.letter(letter) {
            Ok(k) => self.pattern.fields()[k].mask,
            Err(_) => 0,
        }
    }

    /// The word with these operand values, in template order.
    ///
    /// # Errors
    /// The range error of the first operand that does not fit, and its index.
    pub fn encode(&self, values: &[i64]) -> Result<u64, (usize, RangeError)> {
        let mut word = self.pattern.value;
        let mut filled = 0;
        for (i, ((field, kind), &value)) in self.operands().zip(values).enumerate() {
            let bits = u8::try_from(field.width()).unwrap_or(64);
            let misfit = RangeError { value, signed: false, bits, multiple: 1 };
            let raw = match kind {
                Some(k) => k.encode(value).map_err(|e| (i, e))?,
                None if value.cast_unsigned() <= ones(field.width()) => value.cast_unsigned(),
                None => return Err((i, misfit)),
            };
            let bits = scatter(raw, field.mask);
            // A field shown twice must get the same value twice.
            if filled & field.mask != 0 && word & field.mask != bits {
                return Err((i, misfit));
            }
            word |= bits;
            filled |= field.mask;
        }
        Ok(word)
    }

    /// Whether a word exists that both rows claim though neither is the more specific one: an error in the table.
    /// The more specific row is the one whose fixed bits include the other's or, with the same fixed bits, the one
    /// with constraints.
    #[must_use]
    pub const fn ambiguous(&self, other: &Shape) -> bool {
        let (a, b) = (&self.pattern, &other.pattern);
        let common = a.mask & b.mask;
        if (a.value ^ b.value) & common != 0 {
            return false;
        }
        if a.mask != b.mask && (common == a.mask || common == b.mask) {
            return false;
        }
        if a.mask == b.mask && self.constrained != other.constrained {
            return false;
        }
        !(self.excludes(other) || other.excludes(self))
    }

    /// Whether a constraint of `self` rules out every word of `other`, as far as fixed bits and legal values tell.
    const fn excludes(&self, other: &Shape) -> bool {
        if !self.constrained {
            return false;
        }
        let fields = self.pattern.fields();
        let mut i = 0;
        while i < fields.len() {
            let f = &fields[i];
            if f.allowed != u64::MAX && !other.reaches(f) {
                return true;
            }
            i += 1;
        }
        i = 0;
        while i < self.spec.constraints.len() {
            let c = &self.spec.constraints[i];
            let mask = self.mask_of(c.field);
            if mask & !other.pattern.mask == 0
                && !constant_holds(&c.test, gather(other.pattern.value, mask), self, other)
            {
                return true;
            }
            i += 1;
        }
        false
    }

    /// Whether some word of this row has a legal value in the other row's field `f`, which has at most 6 bits.
    const fn reaches(&self, f: &Field) -> bool {
        let mut mine = u64::MAX;
        let mut i = 0;
        while i < self.pattern.fields().len() {
            if self.pattern.fields()[i].mask == f.mask {
                mine = self.pattern.fields()[i].allowed;
            }
            i += 1;
        }
        let fixed = gather(self.pattern.mask, f.mask);
        let value = gather(self.pattern.value, f.mask);
        let mut v = 0;
        while v < 1u64 << f.width() {
            if f.allowed & mine & (1 << v) != 0 && v & fixed == value {
                return true;
            }
            v += 1;
        }
        false
    }
}

const fn constant_holds(test: &Test, value: u64, row: &Shape, other: &Shape) -> bool {
    match test {
        Test::NotIn(list) | Test::In(list) => {
            let mut i = 0;
            while i < list.len() && list[i] != value {
                i += 1;
            }
            (i < list.len()) == matches!(test, Test::In(_))
        }
        Test::NotField(field) | Test::SameField(field) => {
            let mask = row.mask_of(field);
            let known = mask & !other.pattern.mask == 0;
            let equal = gather(other.pattern.value, mask) == value;
            !known || equal == matches!(test, Test::SameField(_))
        }
    }
}

/// The key's pattern, and the letters of the tail operands behind `:`.
const fn split_order(pattern: &str) -> (&str, &str) {
    let mut i = 0;
    while i < pattern.len() {
        if pattern.as_bytes()[i] == b':' {
            let (key, rest) = pattern.split_at(i);
            return (key, rest.split_at(1).1);
        }
        i += 1;
    }
    (pattern, "")
}

const fn same(name: &[u8], text: &[u8], start: usize, end: usize) -> bool {
    if name.len() != end - start {
        return false;
    }
    let mut i = 0;
    while i < name.len() && name[i] == text[start + i] {
        i += 1;
    }
    i == name.len()
}
