//! The random encoder: words that are certain to be a given instruction.

use crate::decoder::Decoder;
use crate::pattern::{Field, ones, scatter};
use crate::shape::Shape;
use crate::table::{Family, Row};
use crate::tail::TailBits;
use alloc::vec::Vec;

/// Attempts to meet constraints before giving up.
const ATTEMPTS: u32 = 4096;

impl Shape {
    /// A random word of this row, its constraints met; `random` gives 64 random bits per call. More specific rows may
    /// claim the word: [`Decoder::random`] avoids that. `None` when no word was found that meets the constraints.
    pub fn random(&self, random: &mut dyn FnMut() -> u64) -> Option<u64> {
        (0..ATTEMPTS).map(|_| self.attempt(random)).find(|&word| self.accepts(word))
    }

    /// Like [`Shape::random`], with the bytes of tail operands.
    pub fn random_with(&self, random: &mut dyn FnMut() -> u64) -> Option<(u64, Vec<u8>)> {
        (0..ATTEMPTS).map(|_| self.attempt_with(random)).find(|&(word, _)| self.accepts(word))
    }

    fn attempt_with(&self, random: &mut dyn FnMut() -> u64) -> (u64, Vec<u8>) {
        let (mut word, mut tail) = (self.attempt(random), Vec::new());
        for &index in self.tail_order() {
            let Some((mask, hook)) = self.tail_operand(index) else { continue };
            let TailBits { raw, bytes } = hook.random(&self.site(word, mask, tail.len()), random);
            word = word & !mask | scatter(raw, mask);
            tail.extend_from_slice(&bytes);
        }
        (word, tail)
    }

    fn attempt(&self, random: &mut dyn FnMut() -> u64) -> u64 {
        let p = self.pattern();
        let loose = random() & p.loose;
        p.fields().iter().fold(p.value | loose, |word, f| word | scatter(raw(f, random), f.mask))
    }
}

/// A raw value of the field: mostly uniform, often an extreme one, where bugs live.
fn raw(field: &Field, random: &mut dyn FnMut() -> u64) -> u64 {
    let bits = random();
    let all = ones(field.width());
    let value = match random() % 8 {
        0 => [0, 1, all, all >> 1][(bits % 4) as usize] & all,
        _ => bits & all,
    };
    if field.width() > 6 || field.allowed >> value & 1 != 0 {
        return value;
    }
    let legal = field.allowed & ones(1 << field.width());
    let skip = bits % u64::from(legal.count_ones().max(1));
    let left = (0..skip).fold(legal, |set, _| set & set.wrapping_sub(1));
    u64::from(left.trailing_zeros()) & all
}

impl<F: Family> Decoder<F> {
    /// Like [`Decoder::random`], with the bytes of tail operands.
    pub fn random_with(&self, row: &'static Row<F>, random: &mut dyn FnMut() -> u64) -> Option<(u64, Vec<u8>)> {
        let ours = |found: &(u64, Vec<u8>)| self.decode(found.0).is_some_and(|r| core::ptr::eq(r, row));
        (0..ATTEMPTS).filter_map(|_| row.random_with(random)).find(ours)
    }

    /// A random word that this decoder gives to `row`; `None` when none was found.
    pub fn random(&self, row: &'static Row<F>, random: &mut dyn FnMut() -> u64) -> Option<u64> {
        let ours = |&word: &u64| self.decode(word).is_some_and(|r| core::ptr::eq(r, row));
        (0..ATTEMPTS).filter_map(|_| row.random(random)).find(ours)
    }
}
