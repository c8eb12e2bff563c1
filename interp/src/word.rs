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
//!
//! In memory a word is its fields in the host's byte order, not one number: handlers then read each field with one
//! extending load where a number would have to be shifted and masked (a sixth of all host instructions of the kernels).

/// One word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(8))]
pub(crate) struct Word {
    code: u16,
    d: u8,
    a: u8,
    rest: u32,
}

impl Word {
    const fn new(code: u16, d: u8, a: u8, rest: u32) -> Word {
        Word { code, d, a, rest }
    }

    pub(crate) const fn rrr(code: u16, d: u8, a: u8, b: u8) -> Word {
        Word::new(code, d, a, b as u32)
    }

    pub(crate) const fn rrrr(code: u16, d: u8, a: u8, b: u8, c: u8, x: u16) -> Word {
        Word::new(code, d, a, b as u32 | (c as u32) << 8 | (x as u32) << 16)
    }

    pub(crate) const fn imm(code: u16, d: u8, a: u8, imm: i32) -> Word {
        Word::new(code, d, a, imm as u32)
    }

    pub(crate) const fn branch(code: u16, a: u8, b: u8, n: u8, rel: i32) -> Word {
        Word::new(code, a, b, n as u32).with_rel(rel)
    }

    /// A literal.
    pub(crate) const fn literal(value: u64) -> Word {
        Word::new(value as u16, (value >> 16) as u8, (value >> 24) as u8, (value >> 32) as u32)
    }

    pub(crate) const fn with_rel(self, rel: i32) -> Word {
        Word { rest: self.rest & 0xff | (rel as u32) << 8, ..self }
    }

    pub(crate) const fn with_code(self, code: u16) -> Word {
        Word { code, ..self }
    }

    /// The word as a number: what a literal holds.
    #[inline(always)]
    pub(crate) const fn number(&self) -> u64 {
        self.code as u64 | (self.d as u64) << 16 | (self.a as u64) << 24 | (self.rest as u64) << 32
    }

    #[inline(always)]
    pub(crate) const fn code(&self) -> u16 {
        self.code
    }

    #[inline(always)]
    pub(crate) const fn d(&self) -> u8 {
        self.d
    }

    #[inline(always)]
    pub(crate) const fn a(&self) -> u8 {
        self.a
    }

    #[inline(always)]
    pub(crate) const fn b(&self) -> u8 {
        self.rest as u8
    }

    #[inline(always)]
    pub(crate) const fn c(&self) -> u8 {
        (self.rest >> 8) as u8
    }

    #[inline(always)]
    pub(crate) const fn x16(&self) -> u16 {
        (self.rest >> 16) as u16
    }

    #[inline(always)]
    pub(crate) const fn imm32(&self) -> u64 {
        self.rest as i32 as i64 as u64
    }

    /// Takes one from the immediate; is it below zero now?
    #[inline(always)]
    pub(crate) const fn count_down(&mut self) -> bool {
        self.rest = self.rest.wrapping_sub(1);
        (self.rest as i32) < 0
    }

    #[inline(always)]
    pub(crate) const fn n(&self) -> i64 {
        self.rest as u8 as i64
    }

    #[inline(always)]
    pub(crate) const fn rel(&self) -> isize {
        (self.rest as i32 as i64 >> 8) as isize
    }
}
