//! Blocks of RAM: host memory with a name and what is known about each of its pages.

use super::SpaceError;
use crate::mem::ram::HostRam;
use crate::mem::{HostSpan, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use core::fmt;
use core::ops::Range;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Who wants to know which pages were written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DirtyClient {
    /// Sends pages again that were written after they had been sent.
    Migration = 1,
    /// Redraws what was drawn.
    Display = 2,
    /// Keeps what differs from the checkpoint before.
    Checkpoint = 4,
    /// Tests and tools.
    Inspect = 8,
}

/// All of [`DirtyClient`].
const CLIENTS: u8 = 15;
/// The page holds code that has been translated.
const CODE: u8 = 1 << 6;
/// The page may hold something else than zeros.
const TOUCHED: u8 = 1 << 7;
/// What a write sets.
const WRITTEN: u8 = CLIENTS | TOUCHED;

/// Host memory for a block, and who keeps it.
pub trait HostMemory {
    /// The bytes, always the same.  The promise to [`HostSpan::new`] holds as long as `self` lives.
    fn span(&self) -> HostSpan;

    /// Is all of it zero when it becomes a block?  It then need not be looked at to find that out.
    fn zeroed(&self) -> bool {
        false
    }

    /// Gives `offset..offset + len` back to the host, so that it reads as zeros until it is written again; false: the host
    /// cannot do that, and nothing has changed.
    fn discard(&self, offset: usize, len: usize) -> bool {
        let _ = (offset, len);
        false
    }

    /// The file whose contents these are from an offset on, if other processes can map it: a descriptor of the host.
    fn file(&self) -> Option<(i32, u64)> {
        None
    }
}

/// Memory of the allocator.
impl HostMemory for HostRam {
    fn span(&self) -> HostSpan {
        HostRam::span(self)
    }

    fn zeroed(&self) -> bool {
        true
    }
}

/// What address spaces tell the tiers: see [`crate::mem::GuestMemory`].
#[derive(Default)]
pub(super) struct Tracker {
    generation: Cell<u64>,
    invalidated: RefCell<Vec<u64>>,
}

impl Tracker {
    pub(super) fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// Earlier page references no longer hold.
    pub(super) fn bump(&self) {
        self.generation.set(self.generation.get().wrapping_add(1));
    }

    /// Moves out the pages whose code is gone.
    pub(super) fn take(&self, pages: &mut Vec<u64>) {
        pages.append(&mut self.invalidated.borrow_mut());
    }
}

struct Block {
    name: String,
    span: HostSpan,
    /// Number of its first page among the pages of all blocks.
    base: u64,
    marks: Box<[Cell<u8>]>,
    tracker: Rc<Tracker>,
    memory: Rc<dyn HostMemory>,
}

/// A block of RAM: named host memory.  Clones are handles to the same one; it lives as long as its address space.
///
/// Pages are counted from the block's start; the last one may be short.
#[derive(Clone)]
pub struct RamBlock(Rc<Block>);

impl PartialEq for RamBlock {
    fn eq(&self, other: &RamBlock) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for RamBlock {}

impl fmt::Debug for RamBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RamBlock({}, {:#x})", self.0.name, self.size())
    }
}

impl RamBlock {
    /// Zeroed memory.
    pub(super) fn zeroed(name: &str, size: u64, base: u64, tracker: &Rc<Tracker>) -> Result<RamBlock, SpaceError> {
        let no_memory = || SpaceError::NoMemory { name: name.to_owned(), size };
        let ram = HostRam::new(size).ok_or_else(no_memory)?;
        RamBlock::over(name, (ram.span(), ram.zeroed()), Rc::new(ram), base, tracker)
    }

    /// Over memory that is there: its span, and whether it is zeroed.
    pub(super) fn over(
        name: &str,
        (span, zeroed): (HostSpan, bool),
        memory: Rc<dyn HostMemory>,
        base: u64,
        tracker: &Rc<Tracker>,
    ) -> Result<RamBlock, SpaceError> {
        if span.is_empty() {
            return Err(SpaceError::Size { name: name.to_owned() });
        }
        let mark = Cell::new(if zeroed { 0 } else { TOUCHED });
        let marks = vec![mark; span.len().div_ceil(PAGE_SIZE as usize)].into_boxed_slice();
        let (name, tracker) = (name.to_owned(), tracker.clone());
        Ok(RamBlock(Rc::new(Block { name, span, base, marks, tracker, memory })))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.span.len() as u64
    }

    /// Its pages.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.0.marks.len() as u64
    }

    /// Copies bytes out; false, and nothing copied, if they are not all inside.
    #[must_use]
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> bool {
        usize::try_from(offset).is_ok_and(|at| self.0.span.read(at, buf))
    }

    /// Copies bytes in, marks them written, gives up translations of code there; false, and nothing done, if they are not
    /// all inside.
    #[must_use]
    pub fn write(&self, offset: u64, bytes: &[u8]) -> bool {
        let done = usize::try_from(offset).is_ok_and(|at| self.0.span.write(at, bytes));
        if done {
            self.written(offset, bytes.len() as u64);
        }
        done
    }

    /// The memory behind it, and who keeps it.
    #[must_use]
    pub fn memory(&self) -> Rc<dyn HostMemory> {
        self.0.memory.clone()
    }

    /// The host memory of `offset..offset + len`, marked written if it is going to be; `None` if it is not all inside.
    #[must_use]
    pub fn span(&self, offset: u64, len: u64, write: bool) -> Option<HostSpan> {
        let span = self.0.span.sub(usize::try_from(offset).ok()?, usize::try_from(len).ok()?)?;
        if write {
            self.written(offset, len);
        }
        Some(span)
    }

    /// Zeroes `offset..offset + len` as far as it is inside; what was never written stays uncommitted.
    pub fn zero(&self, offset: u64, len: u64) {
        let end = offset.saturating_add(len).min(self.size());
        let mut at = offset;
        while at < end {
            let next = (at | PAGE_MASK).saturating_add(1).min(end);
            if self.touched(at >> PAGE_SHIFT) {
                let n = (next - at) as usize;
                let _ = self.write(at, &[0; PAGE_SIZE as usize][..n]);
            }
            at = next;
        }
    }

    /// Zeroes `offset..offset + len` as far as it is inside, and gives whole pages back to the host if it takes them.
    pub fn discard(&self, offset: u64, len: u64) {
        let end = offset.saturating_add(len).min(self.size());
        let first = offset.checked_next_multiple_of(PAGE_SIZE).unwrap_or(end).min(end);
        let last = if end == self.size() { end } else { (end & !PAGE_MASK).max(first) };
        self.zero(offset, first.saturating_sub(offset));
        self.zero(last, end.saturating_sub(last));
        if first < last {
            if self.0.memory.discard(first as usize, (last - first) as usize) {
                // The pages stay marked as touched: whoever may store to them would not be asked again.
                self.written(first, last - first);
            } else {
                self.zero(first, last - first);
            }
        }
    }

    /// Which pages were written, or could have been, since `client` asked last (or since the block is there), in order.
    /// Tiers have to ask again for pages that they store to.
    #[must_use]
    pub fn take_dirty(&self, client: DirtyClient) -> Vec<u64> {
        let mut pages = Vec::new();
        for (mark, page) in self.0.marks.iter().zip(0..) {
            if mark.get() & client as u8 != 0 {
                mark.set(mark.get() & !(client as u8));
                pages.push(page);
            }
        }
        if !pages.is_empty() {
            self.0.tracker.bump();
        }
        pages
    }

    /// May page `page` hold something else than zeros?
    #[must_use]
    pub fn touched(&self, page: u64) -> bool {
        self.mark(page).is_some_and(|mark| mark.get() & TOUCHED != 0)
    }

    /// Number of page `page` among the pages of all blocks.
    pub(super) fn number(&self, page: u64) -> u64 {
        self.0.base + page
    }

    /// The page of this block with number `number`.
    pub(super) fn page_of(&self, number: u64) -> Option<u64> {
        number.checked_sub(self.0.base).filter(|page| *page < self.pages())
    }

    /// Does page `page` hold code?
    pub(super) fn code(&self, page: u64) -> bool {
        self.mark(page).is_some_and(|mark| mark.get() & CODE != 0)
    }

    pub(super) fn set_code(&self, page: u64, code: bool) {
        if let Some(mark) = self.mark(page) {
            mark.set(if code { mark.get() | CODE } else { mark.get() & !CODE });
        }
    }

    /// A tier has resolved page `page` for stores.
    pub(super) fn resolved(&self, page: u64) {
        if let Some(mark) = self.mark(page) {
            mark.set(mark.get() | WRITTEN);
        }
    }

    /// Bytes were written, or will be, behind the tiers' back.
    fn written(&self, offset: u64, len: u64) {
        let mut code = false;
        let pages = self.pages_of(offset, len);
        for mark in &self.0.marks[pages.start as usize..pages.end as usize] {
            code |= mark.get() & CODE != 0;
            mark.set(mark.get() | WRITTEN);
        }
        if code {
            self.give_up(pages);
        }
    }

    /// Reports the code in these bytes as gone.
    pub(super) fn invalidate(&self, offset: u64, len: u64) {
        self.give_up(self.pages_of(offset, len));
    }

    fn give_up(&self, pages: Range<u64>) {
        let code: Vec<u64> = pages.filter(|page| self.code(*page)).collect();
        for page in &code {
            self.set_code(*page, false);
        }
        if !code.is_empty() {
            self.0.tracker.invalidated.borrow_mut().extend(code.iter().map(|page| self.number(*page)));
            self.0.tracker.bump();
        }
    }

    /// The pages that these bytes are on, as far as they are inside.
    fn pages_of(&self, offset: u64, len: u64) -> Range<u64> {
        let end = offset.saturating_add(len).min(self.size());
        if offset >= end { 0..0 } else { offset >> PAGE_SHIFT..end.div_ceil(PAGE_SIZE) }
    }

    fn mark(&self, page: u64) -> Option<&Cell<u8>> {
        self.0.marks.get(usize::try_from(page).ok()?)
    }
}
