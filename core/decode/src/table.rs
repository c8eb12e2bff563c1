//! Rows with bodies, groups of rows, and the macros that build them.

use crate::shape::{Shape, Spec};

/// What the tables of one guest ISA have in common.
pub trait Family: 'static {
    /// The translator that row bodies work on.
    type Tr<'a>;
    /// What a body returns, for instance whether the block ends.
    type Ret;
    /// The operand kinds, built by [`kinds!`](crate::kinds).
    const KINDS: &'static [crate::Kind];
}

/// The function item of a row.
pub type Body<F> = for<'a, 'b> fn(&'a mut <F as Family>::Tr<'b>, &'static Row<F>, u64) -> <F as Family>::Ret;

/// One instruction: its checked encoding and syntax, and its meaning.
pub struct Row<F: Family> {
    shape: Shape,
    body: Body<F>,
}

impl<F: Family> Clone for Row<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Family> Copy for Row<F> {}

impl<F: Family> Row<F> {
    /// Builds a row; [`insns!`](crate::insns) calls it at compile time.
    ///
    /// # Panics
    /// When the row is malformed; the message names it.
    #[must_use]
    pub const fn new(spec: Spec, body: Body<F>) -> Row<F> {
        match Shape::new(spec) {
            Ok(shape) => Row { shape, body },
            Err(e) => e.raise(spec.id),
        }
    }

    /// Encoding and syntax.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Runs the row's body for an instruction word that decodes to this row.
    #[inline]
    pub fn translate(&'static self, tr: &mut F::Tr<'_>, word: u64) -> F::Ret {
        (self.body)(tr, self, word)
    }
}

impl<F: Family> core::ops::Deref for Row<F> {
    type Target = Shape;

    fn deref(&self) -> &Shape {
        &self.shape
    }
}

/// A rewriting of assembly text: `mv {d}, {a}` is `addi {d}, {a}, 0`.
#[derive(Clone, Copy, Debug)]
pub struct Pseudo {
    /// The mnemonic.
    pub mnemonic: &'static str,
    /// Its operands; holes have any names.
    pub operands: &'static str,
    /// What it stands for: one line, or several separated by `;`.
    pub expansion: &'static str,
    /// Whether the disassembler prefers it to its expansion.
    pub preferred: bool,
}

/// One entry of an [`insns!`](crate::insns) table.
#[doc(hidden)]
pub enum Item<F: Family> {
    Row(&'static Row<F>),
    Pseudo(Pseudo),
}

impl<F: Family> Clone for Item<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Family> Copy for Item<F> {}

/// A set of rows that is enabled or disabled as a whole, such as an ISA extension.
pub struct Group<F: Family> {
    /// The name in ISA strings.
    pub name: &'static str,
    /// The instructions in source order.
    pub rows: &'static [Row<F>],
    /// The pseudo-instructions.
    pub pseudos: &'static [Pseudo],
}

/// Groups with more rows are left to [`ambiguous`](crate::ambiguous): the number of pairs would slow the compiler down.
const CHECKED_ROWS: usize = 400;

impl<F: Family> Group<F> {
    /// Builds a group; [`insns!`](crate::insns) calls it at compile time.
    ///
    /// # Panics
    /// When two rows claim the same word and neither is more specific.
    #[must_use]
    pub const fn new(name: &'static str, rows: &'static [Row<F>], pseudos: &'static [Pseudo]) -> Group<F> {
        let mut i = 0;
        while i < rows.len() && rows.len() <= CHECKED_ROWS {
            let mut j = 0;
            while j < i {
                if rows[i].shape.ambiguous(&rows[j].shape) {
                    raise_overlap(rows[i].shape.id(), rows[j].shape.id());
                }
                j += 1;
            }
            i += 1;
        }
        Group { name, rows, pseudos }
    }
}

const fn raise_overlap(a: &str, b: &str) -> ! {
    let mut buffer = [0u8; 192];
    let mut at = crate::pattern::append(&mut buffer, 0, b"rows `");
    at = crate::pattern::append(&mut buffer, at, a.as_bytes());
    at = crate::pattern::append(&mut buffer, at, b"` and `");
    at = crate::pattern::append(&mut buffer, at, b.as_bytes());
    at = crate::pattern::append(&mut buffer, at, b"` overlap and neither is more specific");
    match core::str::from_utf8(buffer.split_at(at).0) {
        Ok(message) => panic!("{}", message),
        Err(_) => panic!("two rows overlap and neither is more specific"),
    }
}

/// Defines the operand kinds of a family; see the crate documentation.
#[macro_export]
macro_rules! kinds {
    ($(#[$meta:meta])* $vis:vis $table:ident;
     $( $name:ident = $class:ident $(($width:literal))?
        $( $modifier:ident $($arg:literal)? $(($($value:expr),+ $(,)?))? )* ; )*) => {
        $(#[$meta])*
        $vis const $table: &[$crate::Kind] = &[$(
            $crate::Kind::$class(stringify!($name))
                $(.width($width))?
                $(.$modifier($($arg)? $($($value),+)?))*
        ),*];
    };
}

/// Defines a group of instructions; see the crate documentation. Mistakes are compile errors that name the row:
///
/// ```compile_fail
/// # use tern_decode::{Family, insns, kinds};
/// # struct Isa;
/// # impl Family for Isa { type Tr<'a> = (); type Ret = (); const KINDS: &'static [tern_decode::Kind] = KINDS; }
/// kinds! { KINDS; r = reg(4) names "r0..r15"; }
/// insns! { static TABLE: Group<Isa>, "table";
///     short "000 ddd 11" asm "{d:r}" => |_t| (); // the kind has 4 bits, the field 3
/// }
/// ```
#[macro_export]
macro_rules! insns {
    ($(#[$meta:meta])* $vis:vis static $group:ident : Group<$family:ty>, $name:literal $(, width $width:literal)?;
     $(
        $(#[doc = $doc:literal])*
        $id:ident $(: $mnemonic:literal)? $text:literal
        $( = $both:literal )?
        $( -> $expansion:literal )?
        $( asm $asm:literal
           $( where $( $wfield:ident $wop:tt $wvalue:tt ),+ )?
           $( if |$fword:pat_param| $filter:expr )?
           => |$tr:pat_param $(, $param:ident $(: $kind:ident)?)* $(,)?| $body:expr )?
     ; )*) => {
        $(#[$meta])*
        $vis static $group: $crate::Group<$family> = {
            // Bodies see these items: hence names nobody else uses.
            const __TERN_WIDTH: u8 = 0 $(+ $width)?;
            const __TERN_ITEMS: &[$crate::Item<$family>] = &[$(
                $crate::__item!(
                    $family, $name, __TERN_WIDTH, $id, [$($mnemonic)?], [$($doc)*], $text, [$(= $both)? $(-> $expansion)?]
                    $([
                        $asm,
                        [$($($crate::__constraint!($wfield $wop $wvalue)),+)?],
                        [$(|$fword| $filter)?],
                        $tr, [$($param [$($kind)?]),*], $body
                    ])?
                )
            ),*];
            static __TERN_ROWS: [$crate::Row<$family>; $crate::__row_count(__TERN_ITEMS)] =
                $crate::__rows(__TERN_ITEMS);
            static __TERN_PSEUDOS: [$crate::Pseudo; __TERN_ITEMS.len() - __TERN_ROWS.len()] =
                $crate::__pseudos(__TERN_ITEMS);
            $crate::Group::new($name, &__TERN_ROWS, &__TERN_PSEUDOS)
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __item {
    ($family:ty, $group:literal, $width:expr, $id:ident, [$($mnemonic:literal)?], [$($doc:literal)*], $text:literal, [] [
        $asm:literal, [$($constraint:expr),*], [$($filter:tt)*],
        $tr:pat_param, [$($param:ident [$($kind:ident)?]),*], $body:expr
    ]) => {{
        #[allow(non_snake_case, reason = "upper-case field letters")]
        fn translate_row(
            $tr: &mut <$family as $crate::Family>::Tr<'_>,
            row: &'static $crate::Row<$family>,
            word: u64,
        ) -> <$family as $crate::Family>::Ret {
            let [$($param),*] = row.shape().bind(word);
            $body
        }
        const __TERN_ROW: $crate::Row<$family> = $crate::Row::<$family>::new(
            $crate::Spec {
                id: stringify!($id),
                mnemonic: $crate::__first(&[$($mnemonic,)? stringify!($id)]),
                group: $group,
                width: $width,
                pattern: $text,
                asm: $asm,
                params: &[$((stringify!($param), concat!("" $(, stringify!($kind))?))),*],
                constraints: &[$($constraint),*],
                filter: $crate::__filter!($($filter)*),
                doc: concat!($($doc, "\n"),*),
                kinds: <$family as $crate::Family>::KINDS,
            },
            translate_row,
        );
        $crate::Item::Row(&__TERN_ROW)
    }};
    ($family:ty, $group:literal, $width:expr, $id:ident, [$($mnemonic:literal)?], [$($doc:literal)*], $text:literal,
     [= $expansion:literal]) => {
        $crate::__item!(@pseudo $id, [$($mnemonic)?], $text, $expansion, true)
    };
    ($family:ty, $group:literal, $width:expr, $id:ident, [$($mnemonic:literal)?], [$($doc:literal)*], $text:literal,
     [-> $expansion:literal]) => {
        $crate::__item!(@pseudo $id, [$($mnemonic)?], $text, $expansion, false)
    };
    (@pseudo $id:ident, [$($mnemonic:literal)?], $text:literal, $expansion:literal, $preferred:literal) => {
        $crate::Item::Pseudo($crate::Pseudo {
            mnemonic: $crate::__first(&[$($mnemonic,)? stringify!($id)]),
            operands: $text,
            expansion: $expansion,
            preferred: $preferred,
        })
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __constraint {
    ($field:ident != [$($value:expr),+ $(,)?]) => { $crate::__constraint!(@ $field NotIn(&[$($value),+])) };
    ($field:ident == [$($value:expr),+ $(,)?]) => { $crate::__constraint!(@ $field In(&[$($value),+])) };
    ($field:ident != $value:literal) => { $crate::__constraint!(@ $field NotIn(&[$value])) };
    ($field:ident == $value:literal) => { $crate::__constraint!(@ $field In(&[$value])) };
    ($field:ident != $other:ident) => { $crate::__constraint!(@ $field NotField(stringify!($other))) };
    ($field:ident == $other:ident) => { $crate::__constraint!(@ $field SameField(stringify!($other))) };
    (@ $field:ident $($test:tt)*) => {
        $crate::Constraint { field: stringify!($field), test: $crate::Test::$($test)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __filter {
    () => {
        None
    };
    (|$word:pat_param| $filter:expr) => {{
        fn filter($word: u64) -> bool {
            $filter
        }
        Some(filter as fn(u64) -> bool)
    }};
}

#[doc(hidden)]
#[must_use]
pub const fn __first(list: &[&'static str]) -> &'static str {
    list[0]
}

#[doc(hidden)]
#[must_use]
pub const fn __row_count<F: Family>(items: &[Item<F>]) -> usize {
    let (mut i, mut n) = (0, 0);
    while i < items.len() {
        n += matches!(items[i], Item::Row(_)) as usize;
        i += 1;
    }
    n
}

#[doc(hidden)]
#[must_use]
pub const fn __rows<F: Family, const N: usize>(items: &[Item<F>]) -> [Row<F>; N] {
    let mut first = 0;
    while first < items.len() && !matches!(items[first], Item::Row(_)) {
        first += 1;
    }
    assert!(first < items.len(), "a group has at least one instruction");
    let Item::Row(&row) = items[first] else { panic!("the loop stopped at a row") };
    let mut rows = [row; N];
    let (mut i, mut n) = (first, 0);
    while i < items.len() {
        if let Item::Row(&row) = items[i] {
            rows[n] = row;
            n += 1;
        }
        i += 1;
    }
    rows
}

#[doc(hidden)]
#[must_use]
pub const fn __pseudos<F: Family, const N: usize>(items: &[Item<F>]) -> [Pseudo; N] {
    let mut pseudos = [Pseudo { mnemonic: "", operands: "", expansion: "", preferred: false }; N];
    let (mut i, mut n) = (0, 0);
    while i < items.len() {
        if let Item::Pseudo(pseudo) = items[i] {
            pseudos[n] = pseudo;
            n += 1;
        }
        i += 1;
    }
    pseudos
}
