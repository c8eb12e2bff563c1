//! Bytecode words: 64 bits, host-neutral numbers.
//!
//! | bits | 0..16 | 16..24 | 24..32 | 32..40 | 40..48 | 48..64 |
//! |---|---|---|---|---|---|---|
//! | three slots | code | d | a | b | c | x16 |
//! | immediate | code | d | a | imm32 (32..64) | | |
//! | branch | code | a (in d) | b (in a) | n | rel24 (40..64) | |
//!
//! `n` is the number of guest instructions retired when the branch is taken; `rel` counts words from the branch itself.
//! Literal words (wide constants, helper payloads) hold a plain number and are never dispatched to.

/// One word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    pub(crate) const fn rrr(code: u16, d: u8, a: u8, b: u8) -> Word {
        Word(code as u64 | (d as u64) << 16 | (a as u64) << 24 | (b as u64) << 32)
    }

    pub(crate) const fn rrrr(code: u16, d: u8, a: u8, b: u8, c: u8, x: u16) -> Word {
        Word(Word::rrr(code, d, a, b).0 | (c as u64) << 40 | (x as u64) << 48)
    }

    pub(crate) const fn imm(code: u16, d: u8, a: u8, imm: i32) -> Word {
        Word(code as u64 | (d as u64) << 16 | (a as u64) << 24 | (imm as u32 as u64) << 32)
    }

    pub(crate) const fn branch(code: u16, a: u8, b: u8, n: u8, rel: i32) -> Word {
        Word(code as u64 | (a as u64) << 16 | (b as u64) << 24 | (n as u64) << 32).with_rel(rel)
    }

    pub(crate) const fn with_rel(self, rel: i32) -> Word {
        Word(self.0 & 0xff_ffff_ffff | (rel as u32 as u64) << 40)
    }

    pub(crate) const fn with_code(self, code: u16) -> Word {
        Word(self.0 & !0xffff | code as u64)
    }

    #[inline(always)]
    pub(crate) const fn code(self) -> u16 {
        self.0 as u16
    }

    #[inline(always)]
    pub(crate) const fn d(self) -> u8 {
        (self.0 >> 16) as u8
    }

    #[inline(always)]
    pub(crate) const fn a(self) -> u8 {
        (self.0 >> 24) as u8
    }

    #[inline(always)]
    pub(crate) const fn b(self) -> u8 {
        (self.0 >> 32) as u8
    }

    #[inline(always)]
    pub(crate) const fn c(self) -> u8 {
        (self.0 >> 40) as u8
    }

    #[inline(always)]
    pub(crate) const fn x16(self) -> u16 {
        (self.0 >> 48) as u16
    }

    #[inline(always)]
    pub(crate) const fn imm32(self) -> u64 {
        ((self.0 as i64) >> 32) as u64
    }

    #[inline(always)]
    pub(crate) const fn n(self) -> i64 {
        (self.0 >> 32) as u8 as i64
    }

    #[inline(always)]
    pub(crate) const fn rel(self) -> isize {
        (self.0 as i64 >> 40) as isize
    }
}
