//! Lowering: a block of IR becomes words.
//!
//! `plan` finds out, in one backward pass, which values are aliases, which operations fold into their user, how long
//! values live.  `emit` then goes through the block once, gives each value a home (the slot it is set to, if it may be
//! computed there directly; a temporary otherwise) and picks the operand variants.  A value that was just computed is in
//! the accumulator as well as in its home.

mod control;
mod emit;
mod plan;

use crate::cache::{ExitKind, ExitRec, Point};
use crate::word::Word;
use plan::Value;
use tern_core::ir::{Block, Ref};
use tern_core::mem::PAGE_SHIFT;
use tern_core::state::{NEAR, StateLayout};
use tern_softfloat::DenormalFlag;

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Home {
    /// Nowhere yet: a constant, or folded into its user.
    None,
    /// In an architectural slot.
    Slot(u8),
    /// In a temporary slot.
    Temp(u8),
}

impl Home {
    fn slot(self) -> Option<u8> {
        match self {
            Home::None => None,
            Home::Slot(s) | Home::Temp(s) => Some(s),
        }
    }
}

/// Position "never".
pub(crate) const NEVER: u32 = u32::MAX;

/// Why a block could not be lowered: it needs more temporaries than there are.  Translate fewer instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooComplex;

/// A lowered block: words relative to its start.
#[derive(Default)]
pub(crate) struct Lowered {
    pub(crate) words: Vec<Word>,
    pub(crate) points: Vec<Point>,
    pub(crate) exits: Vec<ExitRec>,
}

/// Working memory, kept between blocks.
#[derive(Default)]
pub(crate) struct Lowerer {
    pub(crate) out: Lowered,
    values: Vec<Value>,
    /// The first slot that is a temporary, the first temporary that no value has had yet, those that are free again.
    first_temp: u32,
    fresh: u32,
    free: Vec<u8>,
    /// Until when some value lives in each slot.
    busy: Vec<u32>,
    locals: Vec<u8>,
    acc: Option<Ref>,
    /// The value before the last, as the last one's predecessor in the accumulator.
    before: Option<Ref>,
    /// Constants that have a temporary now.
    consts: Vec<Ref>,
    literals: Vec<(u32, u64)>,
    /// Branch words and the exit that each goes to.
    stubs: Vec<(u32, u32)>,
    /// Branch words and the label that each goes to.
    jumps: Vec<(u32, u64)>,
    labels: Vec<u32>,
    /// Call words and their return addresses.
    returns: Vec<(u32, u64)>,
    /// Words that are literals inside the code.
    inline: Vec<u32>,
    choices: Vec<crate::fused::Choice>,
    /// Fuse sequences?
    fuse: bool,
    /// Exits are linked only inside of the page that the block begins in.
    paged: bool,
    /// Where the block begins.
    start: u64,
    pc: u64,
    begun: u32,
    /// Environments whose style flushes, or flags denormal operands, which host arithmetic does not tell.
    softfloat: [bool; 4],
    /// Does the host have an instruction for fused products?
    fma: bool,
}

impl Lowerer {
    /// Fusing sequences or not; for guests whose pages may move under a running block, or not.
    pub(crate) fn new(fuse: bool, paged: bool) -> Lowerer {
        Lowerer { fuse, paged, fma: crate::body::float::has_fma(), ..Lowerer::default() }
    }

    /// May pages move under a running block?
    pub(crate) fn paged(&self) -> bool {
        self.paged
    }

    /// Lowers a block into `self.out`.  With a `count` it is a cold block, which leaves when it has run so often.
    pub(crate) fn lower(
        &mut self,
        block: &Block<'_>,
        layout: &StateLayout,
        count: Option<u32>,
    ) -> Result<(), TooComplex> {
        self.out.words.clear();
        self.out.points.clear();
        self.out.exits.clear();
        self.literals.clear();
        self.stubs.clear();
        self.jumps.clear();
        self.consts.clear();
        self.returns.clear();
        self.inline.clear();
        self.labels.clear();
        self.labels.resize(block.labels as usize, NEVER);
        self.acc = None;
        self.before = None;
        self.start = block.key.pc;
        self.pc = block.key.pc;
        self.begun = 0;
        self.softfloat = layout.styles().map(|s| s.ftz || s.daz || s.denormal == DenormalFlag::WhenUsed);
        self.free.clear();
        self.first_temp = layout.near_used();
        self.fresh = self.first_temp;
        self.busy.clear();
        self.busy.resize(NEAR, 0);
        self.plan(block);
        self.locals.clear();
        for _ in 0..block.locals {
            let slot = self.alloc()?;
            self.locals.push(slot);
        }
        if let Some(n) = count {
            self.push(Word::imm(crate::dispatch::code::COUNT, 0, 0, n as i32));
        }
        for (at, inst) in block.insts.iter().enumerate() {
            self.inst(block, at as u32, inst)?;
        }
        self.exit(block)?;
        if self.fuse && count.is_none() {
            crate::fused::fuse(&mut self.out.words, &self.inline, &mut self.choices);
        }
        self.finish();
        Ok(())
    }

    /// Notes that the word just pushed leaves this value as the last result.
    fn note(&mut self, value: Ref) {
        self.before = self.acc;
        self.acc = Some(value);
    }

    fn push(&mut self, word: Word) -> u32 {
        self.out.words.push(word);
        self.out.words.len() as u32 - 1
    }

    /// A literal among the words.
    fn push_literal(&mut self, value: u64) {
        let at = self.push(Word::literal(value));
        self.inline.push(at);
    }

    /// Notes that the word to come can fault or leave in mid-block.
    fn point(&mut self) {
        let word = self.out.words.len() as u32;
        self.out.points.push(Point { word, pc: self.pc, n: self.begun.saturating_sub(1) as u16 });
    }

    fn new_exit(&mut self, kind: ExitKind, pc: u64, n: u32) -> u32 {
        let near = !self.paged || (pc ^ self.start) >> PAGE_SHIFT == 0;
        self.out.exits.push(ExitRec::new(kind, pc, n as u8, near));
        self.out.exits.len() as u32 - 1
    }

    /// Resolves labels, writes stubs and literals.
    fn finish(&mut self) {
        self.finish_returns();
        for (word, label) in self.jumps.drain(..) {
            let to = self.labels[label as usize];
            let w = &mut self.out.words[word as usize];
            *w = w.with_rel(to as i32 - word as i32);
        }
        for (word, exit) in self.stubs.drain(..) {
            let stub = self.out.words.len() as u32;
            let pc = self.out.exits[exit as usize].pc;
            let far = self.paged && self.out.exits[exit as usize].kind == ExitKind::Goto;
            let code = if far { crate::dispatch::code::FAR } else { crate::dispatch::code::EXIT };
            self.out.words.push(Word::imm(code, 0, 0, exit as i32));
            if far {
                self.out.words.push(Word::literal(pc));
            }
            let w = &mut self.out.words[word as usize];
            *w = w.with_rel(stub as i32 - word as i32);
            let rec = &mut self.out.exits[exit as usize];
            rec.branch = word;
            rec.stub = stub;
        }
        for (word, value) in self.literals.drain(..) {
            let at = self.out.words.len() as u32;
            self.out.words.push(Word::literal(value));
            let w = self.out.words[word as usize];
            self.out.words[word as usize] = Word::imm(w.code(), w.d(), w.a(), at as i32 - word as i32);
        }
    }
}
