//! Scattered fields: how the bits of a field get from the word to the value, worked out when the table is compiled.

use crate::kind::Kind;

/// Most moves of one row; fields beyond them are taken apart bit run by bit run when they are decoded.
const MAX_MOVES: usize = 16;

/// A run of bits on its way from the word to the value.
#[derive(Clone, Copy, Debug)]
struct Move {
    /// Lowest bit in the word.
    from: u8,
    /// The run's bits, at the bottom.
    mask: u32,
    /// Lowest bit in the value.
    to: u8,
}

/// The moves of a row's operands, one list after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moves {
    list: [Move; MAX_MOVES],
    count: u8,
}

/// One operand's part of [`Moves`], and what is done to the number they make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gather {
    start: u8,
    end: u8,
    /// Unused bits above a signed number; 0 for others.
    unused: u8,
    plus: i8,
}

impl Gather {
    /// Of an operand that is not gathered by moves.
    pub(crate) const NONE: Gather = Gather { start: 0, end: 0, unused: 0, plus: 0 };

    /// Whether there are moves.
    pub(crate) const fn is_some(&self) -> bool {
        self.end != 0
    }
}

impl Moves {
    pub(crate) const NONE: Moves = Moves { list: [Move { from: 0, mask: 0, to: 0 }; MAX_MOVES], count: 0 };

    /// Adds the moves of the field under `mask`; [`Gather::NONE`] if its kind is not a list of bits or there is no room.
    pub(crate) const fn add(&mut self, mask: u64, kind: Option<&Kind>) -> Gather {
        let (unused, plus) = match kind {
            None => (0, 0),
            Some(k) => match k.number() {
                Some(number) => number,
                None => return Gather::NONE,
            },
        };
        let mut moves = *self;
        let (mut rest, mut bit) = (mask, 0);
        while rest != 0 {
            let from = rest.trailing_zeros();
            let to = match kind {
                Some(k) => k.place(bit),
                None => bit,
            };
            let n = moves.count as usize;
            let joins = n > self.count as usize && {
                let last = moves.list[n - 1];
                let width = last.mask.count_ones();
                last.from as u32 + width == from && last.to as u32 + width == to && width < u32::BITS
            };
            if joins {
                moves.list[n - 1].mask = moves.list[n - 1].mask << 1 | 1;
            } else if n < MAX_MOVES {
                moves.list[n] = Move { from: from as u8, mask: 1, to: to as u8 };
                moves.count += 1;
            } else {
                return Gather::NONE;
            }
            rest &= rest - 1;
            bit += 1;
        }
        let start = self.count;
        *self = moves;
        Gather { start, end: self.count, unused, plus }
    }

    /// The operand's value in `word`.
    #[inline]
    pub(crate) fn value(&self, g: &Gather, word: u64) -> i64 {
        let moves = self.list.get(usize::from(g.start)..usize::from(g.end)).unwrap_or_default();
        let raw = moves.iter().fold(0, |v, m| v | (word >> (m.from & 63) & u64::from(m.mask)) << (m.to & 63));
        let unused = g.unused & 63;
        ((raw << unused).cast_signed() >> unused).wrapping_add(i64::from(g.plus))
    }
}
