//! The translation cache: words, blocks, links, pages.
//!
//! Words live in one area of fixed size, so that pointers into it hold.  Blocks are laid down in order; when the area is
//! full everything goes and translation starts over (the guest's working set comes back in a few milliseconds, and no
//! bookkeeping burdens the hot path).  A block whose code is written to loses its links and its place in the map, a cold
//! block that became hot hands them on; the words of both stay until the next flush, since a CPU may be inside.

use crate::lower::Lowered;
use crate::word::Word;
use hashbrown::HashMap;
use smallvec::SmallVec;
use tern_core::ir::BlockKey;
use tern_core::mem::GuestMemory;

/// A place in a block where the state can be observed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Word, from the block's start.
    pub(crate) word: u32,
    /// Guest address of the instruction.
    pub(crate) pc: u64,
    /// Instructions retired before it in this block.
    pub(crate) n: u16,
}

/// What goes with a trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TrapValue {
    Const(u64),
    Slot(u8),
}

/// What an exit does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExitKind {
    /// Goes on at a block, and is linked to it.
    Goto,
    Syscall,
    Resync,
    Halt,
    Yield,
    Trap(u32, TrapValue),
}

/// An exit.  Word positions are relative to the block while it is lowered, to the area afterwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExitRec {
    pub(crate) kind: ExitKind,
    pub(crate) pc: u64,
    /// Instructions that the engine charges.
    pub(crate) n: u8,
    /// It stays on the page that its block begins in, or pages do not move: it may be linked.
    pub(crate) near: bool,
    /// The word that goes here.
    pub(crate) branch: u32,
    /// The stub that leaves.
    pub(crate) stub: u32,
    /// The next exit that is linked to the same block.
    next: u32,
}

/// No exit: the end of a list of them.
const NO_EXIT: u32 = u32::MAX;

impl ExitRec {
    pub(crate) fn new(kind: ExitKind, pc: u64, n: u8, near: bool) -> ExitRec {
        ExitRec { kind, pc, n, near, branch: 0, stub: 0, next: NO_EXIT }
    }
}

/// Where a block is found: its key and, where pages may move, the physical page of its first instruction (else 0).
pub(crate) type Place = (BlockKey, u64);

/// A block in the cache.
pub(crate) struct BlockInfo {
    pub(crate) key: BlockKey,
    phys: u64,
    pub(crate) start: u32,
    pub(crate) end: u32,
    live: bool,
    /// Cold blocks: how often it runs before it is translated again.  It begins with a word that counts.
    pub(crate) count: Option<u32>,
    pub(crate) pages: SmallVec<[u64; 2]>,
    /// Its first point; they end where those of the next block begin.
    points: u32,
    /// The first exit that is linked to it.
    incoming: u32,
}

/// The cache of one address space.
pub(crate) struct Cache {
    words: Vec<Word>,
    capacity: usize,
    pub(crate) blocks: Vec<BlockInfo>,
    points: Vec<Point>,
    map: HashMap<Place, u32>,
    by_page: HashMap<u64, Vec<u32>>,
    pub(crate) exits: Vec<ExitRec>,
    /// Counts changes after which remembered words may be stale.
    pub(crate) epoch: u64,
    /// Counts pages that began to hold code: store TLBs may still know them as plain.
    pub(crate) code_epoch: u64,
    pub(crate) flushes: u64,
    pub(crate) invalidations: u64,
}

impl Cache {
    /// An empty cache of `capacity` words (at most 2^23, what branches reach).
    pub(crate) fn new(capacity: usize) -> Cache {
        let capacity = capacity.clamp(1 << 12, 1 << 23);
        Cache {
            words: Vec::with_capacity(capacity),
            capacity,
            blocks: Vec::new(),
            points: Vec::new(),
            map: HashMap::new(),
            by_page: HashMap::new(),
            exits: Vec::new(),
            epoch: 0,
            code_epoch: 0,
            flushes: 0,
            invalidations: 0,
        }
    }

    /// The block of a place.
    pub(crate) fn find(&self, place: Place) -> Option<u32> {
        self.map.get(&place).copied()
    }

    /// The physical page that the block reaches into after its first one, if it does.
    pub(crate) fn second_page(&self, block: u32) -> Option<u64> {
        self.blocks[block as usize].pages.get(1).copied()
    }

    /// The place of the block that a word belongs to.
    pub(crate) fn place_at(&self, pc: *const Word) -> Option<Place> {
        self.block_at(pc).map(|b| (b.key, b.phys))
    }

    /// The first word of a block.
    pub(crate) fn entry(&mut self, block: u32) -> *const Word {
        let start = self.blocks[block as usize].start as usize;
        self.words.as_mut_ptr().wrapping_add(start)
    }

    /// The words of a block, for logs.
    pub(crate) fn words_of(&self, block: u32) -> &[Word] {
        let b = &self.blocks[block as usize];
        &self.words[b.start as usize..b.end as usize]
    }

    /// Position of a word pointer.
    fn position(&self, pc: *const Word) -> Option<u32> {
        let offset = (pc as usize).checked_sub(self.words.as_ptr() as usize)? / size_of::<Word>();
        (offset < self.words.len()).then_some(offset as u32)
    }

    /// The block that a word belongs to.
    pub(crate) fn block_at(&self, pc: *const Word) -> Option<&BlockInfo> {
        self.index_at(pc).map(|i| &self.blocks[i])
    }

    fn index_at(&self, pc: *const Word) -> Option<usize> {
        let at = self.position(pc)?;
        self.blocks.partition_point(|b| b.start <= at).checked_sub(1)
    }

    /// Guest address and instructions retired in the block at an observable word.
    pub(crate) fn point_at(&self, pc: *const Word) -> Option<(u64, u16)> {
        let i = self.index_at(pc)?;
        let block = &self.blocks[i];
        let word = self.position(pc)? - block.start;
        let end = self.blocks.get(i + 1).map_or(self.points.len(), |next| next.points as usize);
        let points = &self.points[block.points as usize..end];
        let point = points[points.binary_search_by_key(&word, |p| p.word).ok()?];
        Some((point.pc, point.n))
    }

    /// The guest address that a branch target stands for: a block's start or an exit stub.
    pub(crate) fn target_pc(&self, pc: *const Word) -> Option<u64> {
        let block = self.block_at(pc)?;
        let at = self.position(pc)?;
        if at == block.start {
            return Some(block.key.pc);
        }
        let word = self.words[at as usize];
        if [crate::dispatch::code::EXIT, crate::dispatch::code::FAR].contains(&word.code()) {
            return self.exits.get(word.imm32() as u32 as usize).map(|e| e.pc);
        }
        None
    }

    /// Size of the area in words.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Is there room for `words` more?
    pub(crate) fn has_room(&self, words: usize) -> bool {
        self.words.len() + words <= self.capacity
    }

    /// Is the block to be translated again?
    pub(crate) fn is_cold(&self, block: u32) -> bool {
        self.blocks[block as usize].count.is_some()
    }

    /// How often the block of a place has run; blocks that are not cold have run most often, unknown ones never.
    pub(crate) fn heat(&self, place: Place) -> u32 {
        let Some(id) = self.find(place) else { return 0 };
        let block = &self.blocks[id as usize];
        match block.count {
            Some(count) => count.wrapping_sub(self.words[block.start as usize].imm32() as u32),
            None => u32::MAX,
        }
    }

    /// Puts block `new` in the place of the cold block `old` of the same key.  Remembered words of `old` stay good: its
    /// first word goes on to `new` as long as `new` lives, and who kills that makes everybody forget both.
    pub(crate) fn replace(&mut self, old: u32, new: u32) {
        let (from, to) = (self.blocks[old as usize].start, self.blocks[new as usize].start);
        self.words[from as usize] = Word::branch(crate::dispatch::code::GOTO, 0, 0, 0, to as i32 - from as i32);
        let block = &mut self.blocks[old as usize];
        block.live = false;
        let mut exit = core::mem::replace(&mut block.incoming, NO_EXIT);
        while exit != NO_EXIT {
            let next = self.unlink(exit);
            self.link(exit, new);
            exit = next;
        }
    }

    /// Lets a cold block stay cold.
    pub(crate) fn keep_cold(&mut self, id: u32) {
        let start = self.blocks[id as usize].start as usize;
        self.words[start] = Word::imm(crate::dispatch::code::COUNT, 0, 0, i32::MAX);
    }

    /// Puts a lowered block in.
    pub(crate) fn insert(
        &mut self,
        (key, phys): Place,
        count: Option<u32>,
        pages: SmallVec<[u64; 2]>,
        lowered: &Lowered,
        memory: &mut dyn GuestMemory,
    ) -> u32 {
        let id = self.blocks.len() as u32;
        let start = self.words.len() as u32;
        let exit_base = self.exits.len() as u32;
        self.words.extend_from_slice(&lowered.words);
        for (i, rec) in lowered.exits.iter().enumerate() {
            let (branch, stub) = (rec.branch + start, rec.stub + start);
            let code = self.words[stub as usize].code();
            self.words[stub as usize] = Word::imm(code, 0, 0, (exit_base + i as u32) as i32);
            self.exits.push(ExitRec { branch, stub, ..*rec });
        }
        for page in &pages {
            let ids = self.by_page.entry(*page).or_default();
            if ids.is_empty() {
                self.code_epoch += 1;
                memory.set_code(*page, true);
            }
            ids.push(id);
        }
        self.blocks.push(BlockInfo {
            key,
            phys,
            start,
            end: self.words.len() as u32,
            live: true,
            count,
            pages,
            points: self.points.len() as u32,
            incoming: NO_EXIT,
        });
        self.points.extend_from_slice(&lowered.points);
        self.map.insert((key, phys), id);
        id
    }

    /// Makes exit `exit` go straight to `block`.
    pub(crate) fn link(&mut self, exit: u32, block: u32) {
        let rec = &mut self.exits[exit as usize];
        let target = &mut self.blocks[block as usize];
        let word = &mut self.words[rec.branch as usize];
        let linked = word.rel() != rec.stub as isize - rec.branch as isize;
        if linked || !target.live || rec.kind != ExitKind::Goto {
            return;
        }
        rec.next = core::mem::replace(&mut target.incoming, exit);
        *word = word.with_rel(target.start as i32 - rec.branch as i32);
    }

    /// Takes a block out of use whose second page is mapped elsewhere by now.
    pub(crate) fn retire(&mut self, id: u32) {
        self.kill(id);
        self.epoch += 1;
    }

    fn kill(&mut self, id: u32) {
        let block = &mut self.blocks[id as usize];
        if !block.live {
            return;
        }
        block.live = false;
        let place = (block.key, block.phys);
        let mut exit = core::mem::replace(&mut block.incoming, NO_EXIT);
        if self.map.get(&place) == Some(&id) {
            self.map.remove(&place);
        }
        while exit != NO_EXIT {
            exit = self.unlink(exit);
        }
    }

    /// Lets a linked exit leave to the engine; the exit that was linked to the same block before it.
    fn unlink(&mut self, exit: u32) -> u32 {
        let rec = self.exits[exit as usize];
        let word = &mut self.words[rec.branch as usize];
        *word = word.with_rel(rec.stub as i32 - rec.branch as i32);
        rec.next
    }

    /// Gives up all blocks with code on physical page `phys`.
    pub(crate) fn invalidate(&mut self, phys: u64, memory: &mut dyn GuestMemory) {
        for id in self.by_page.remove(&phys).unwrap_or_default() {
            self.kill(id);
        }
        memory.set_code(phys, false);
        self.invalidations += 1;
        self.epoch += 1;
    }

    /// Gives up everything.  No CPU may be inside.
    pub(crate) fn flush(&mut self, memory: &mut dyn GuestMemory) {
        for phys in core::mem::take(&mut self.by_page).into_keys() {
            memory.set_code(phys, false);
        }
        self.words.clear();
        self.blocks.clear();
        self.points.clear();
        self.map.clear();
        self.exits.clear();
        self.flushes += 1;
        self.epoch += 1;
    }
}
