//! Which pages were ever written, and what they hold: for digests, and for checkpoints that share pages that have not
//! changed.  And the journal: which bytes a system call writes.
//!
//! A page of private memory that was never written holds what its mapping says, zeros or the file's bytes, so only the others
//! count.  Which pages were written is a property of the run and the same in its replay: guest code's stores are noted
//! when they look their page up; those of system calls by what the calls have written in the end, since how
//! they go about it (they look at memory that they do not write after all) differs between a run and its replay.
//! Shared writable memory is left out: others write it too.

use super::Space;
use super::vma::{Backing, Vma};
use crate::digest::Digest;
use std::collections::BTreeMap;
use std::rc::Rc;
use tern_core::mem::{Access, PAGE_SHIFT, PAGE_SIZE};
use tern_host::map::page_size;

/// The contents of a page.
pub type PageBytes = Rc<[u8]>;

/// What is known of a page.  Both are gone when it is written.
#[derive(Default)]
struct Page {
    hash: Option<u64>,
    copy: Option<PageBytes>,
}

/// Pages that were written, by number.
#[derive(Default)]
pub(super) struct Pages {
    list: BTreeMap<u64, Page>,
    /// Those whose hash is not known.
    unhashed: Vec<u64>,
    /// The sum of the hashes that are known.
    sum: u64,
}

/// What a system call has done to memory so far.
#[derive(Debug, Default)]
pub struct Journal {
    /// Address and length of what was written, in order.
    pub writes: Vec<(u64, u64)>,
    /// Addresses at which a stack grew.
    pub grown: Vec<u64>,
}

impl Pages {
    fn note(&mut self, number: u64) {
        let page = self.list.entry(number).or_insert_with(|| {
            self.unhashed.push(number);
            Page::default()
        });
        if let Some(hash) = page.hash.take() {
            self.sum = self.sum.wrapping_sub(hash);
            self.unhashed.push(number);
        }
        page.copy = None;
    }

    /// Would noting the page change nothing?
    fn is_noted(&self, number: u64) -> bool {
        self.list.get(&number).is_some_and(|page| page.hash.is_none() && page.copy.is_none())
    }

    /// Takes the pages of a range out.
    fn take(&mut self, first: u64, end: u64) -> Vec<u64> {
        let numbers: Vec<u64> = self.list.range(first..end).map(|(n, _)| *n).collect();
        for number in &numbers {
            let hash = self.list.remove(number).and_then(|page| page.hash);
            self.sum = self.sum.wrapping_sub(hash.unwrap_or(0));
        }
        numbers
    }
}

/// The part of the digest that a page is; one of zeros is none.
fn page_hash(number: u64, bytes: &[u8]) -> u64 {
    if bytes.iter().all(|b| *b == 0) {
        return 0;
    }
    let mut digest = Digest::new();
    digest.word(number);
    digest.bytes(bytes);
    digest.finish()
}

impl Space {
    /// From now on notes which pages are written.
    pub fn track_pages(&mut self) {
        self.pages = Some(Pages::default());
        self.bump();
    }

    /// Says that this is a replay.
    pub fn set_replaying(&mut self) {
        self.replaying = true;
    }

    /// Is it a replay?
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.replaying
    }

    /// Notes that a page of private memory is about to be written, or was.
    pub(super) fn note_page(&mut self, number: u64) {
        if let Some(pages) = &mut self.pages {
            pages.note(number);
        }
    }

    /// Need a store to this page not be noted?
    pub(super) fn is_noted(&self, number: u64) -> bool {
        self.pages.as_ref().is_none_or(|pages| pages.is_noted(number))
    }

    /// Notes that a stack has grown to hold this address.
    pub(super) fn note_growth(&mut self, addr: u64) {
        if let Some(journal) = &mut self.journal {
            journal.grown.push(addr);
        }
    }

    /// Notes bytes that tern has written, for the journal.
    pub(super) fn note_bytes(&mut self, addr: u64, len: u64) {
        let Some(journal) = &mut self.journal else { return };
        match journal.writes.last_mut() {
            Some((start, had)) if start.wrapping_add(*had) == addr => *had += len,
            _ => journal.writes.push((addr, len)),
        }
    }

    /// The host has written bytes of guest memory.
    pub fn wrote(&mut self, addr: u64, len: u64, code: bool) {
        if len > 0 {
            self.note_bytes(addr, len);
        }
        if code {
            self.invalidate(addr, addr.saturating_add(len));
        }
    }

    /// A system call begins whose writes are wanted.
    pub fn begin_journal(&mut self) {
        self.journal = Some(Journal::default());
    }

    /// It has ended: what it has done.
    pub fn end_journal(&mut self) -> Journal {
        let journal = self.journal.take().unwrap_or_default();
        for (addr, len) in &journal.writes {
            let (first, last) = (addr >> PAGE_SHIFT, addr.saturating_add(len.saturating_sub(1)) >> PAGE_SHIFT);
            for number in first..=last {
                if !self.is_noted(number)
                    && self.find(number << PAGE_SHIFT).is_some_and(|v| !v.traits.shared || self.replaying)
                {
                    self.note_page(number);
                }
            }
        }
        journal
    }

    /// Writes bytes that a call wrote in the recording.
    ///
    /// # Errors
    /// There is no memory.
    pub fn put_recorded(&mut self, addr: u64, bytes: &[u8]) -> Result<(), crate::abi::Errno> {
        self.put_bytes(addr, bytes)
    }

    /// Lets a stack grow as it has grown in the run.
    pub fn grow_as_recorded(&mut self, addr: u64) {
        // Whether it may be read is not the question.
        let _ = self.resolve(addr, Access::Load);
    }

    /// The pages of a range are gone, or as they were when they were mapped.
    pub(super) fn forget_pages(&mut self, start: u64, end: u64) {
        if let Some(pages) = &mut self.pages {
            pages.take(start >> PAGE_SHIFT, end.div_ceil(PAGE_SIZE));
            // Whoever may store without asking has to ask again.
            self.bump();
        }
    }

    /// A range has moved, or with `keep` left zeros behind.
    pub(super) fn move_pages(&mut self, old: u64, len: u64, new: u64, keep: bool) {
        let zeros = keep && self.find(old).is_some_and(Vma::is_private_anon);
        let Some(pages) = &mut self.pages else { return };
        let (first, end) = (old >> PAGE_SHIFT, (old + len) >> PAGE_SHIFT);
        let moved = pages.take(first, end);
        for number in moved {
            pages.note(number - first + (new >> PAGE_SHIFT));
            if keep && !zeros {
                pages.note(number);
            }
        }
    }

    /// Reads a whole page.
    fn page_bytes(&self, number: u64, buf: &mut [u8]) -> bool {
        let addr = number << PAGE_SHIFT;
        self.find(addr).and_then(|v| v.span(addr)).is_some_and(|span| span.read(0, buf))
    }

    /// The digest of the map and of all private memory.
    pub fn digest(&mut self) -> u64 {
        let mut digest = Digest::new();
        self.digest_map(&mut digest);
        digest.word(self.digest_pages());
        digest.finish()
    }

    /// Mappings as the guest sees them: what is cut or not on the host's side does not count.
    fn digest_map(&self, digest: &mut Digest) {
        let mut vmas = self.vmas.values().peekable();
        while let Some(first) = vmas.next() {
            let mut last = first;
            while let Some(next) = vmas.next_if(|next| last.looks_continued_in(next)) {
                last = next;
            }
            let (p, t) = (first.perm, first.traits);
            let flags = [p.read, p.write, p.exec, t.shared, t.readonly_file, t.grows_down, t.locked];
            digest.word(first.start);
            digest.word(last.end);
            digest.word(flags.iter().fold(0, |bits, flag| bits << 1 | u64::from(*flag)));
        }
        digest.word(self.brk);
    }

    fn digest_pages(&mut self) -> u64 {
        let Some(mut pages) = self.pages.take() else { return 0 };
        let mut buf = [0; PAGE_SIZE as usize];
        let unhashed = core::mem::take(&mut pages.unhashed);
        if !unhashed.is_empty() {
            self.bump();
        }
        for number in unhashed {
            let Some(page) = pages.list.get_mut(&number).filter(|page| page.hash.is_none()) else { continue };
            let private = self.find(number << PAGE_SHIFT).is_some_and(|v| !v.traits.shared);
            let hash = if private && self.page_bytes(number, &mut buf) { page_hash(number, &buf) } else { 0 };
            page.hash = Some(hash);
            pages.sum = pages.sum.wrapping_add(hash);
        }
        let sum = pages.sum;
        self.pages = Some(pages);
        sum
    }

    /// The pages that were written, with what they hold; those that have not changed since the last time are the same.
    pub fn copy_pages(&mut self) -> BTreeMap<u64, PageBytes> {
        let Some(mut pages) = self.pages.take() else { return BTreeMap::new() };
        let mut buf = [0; PAGE_SIZE as usize];
        let mut out = BTreeMap::new();
        for (number, page) in &mut pages.list {
            let copy = match &page.copy {
                Some(copy) => Rc::clone(copy),
                None if self.page_bytes(*number, &mut buf) => PageBytes::from(&buf[..]),
                None => continue,
            };
            page.copy = Some(Rc::clone(&copy));
            out.insert(*number, copy);
        }
        self.pages = Some(pages);
        self.bump();
        out
    }

    /// Makes pages what they were when `copy_pages` gave these; the map is as it was then.
    pub fn restore_pages(&mut self, saved: &BTreeMap<u64, PageBytes>) {
        let Some(mut pages) = self.pages.take() else { return };
        let same = |page: &Page, bytes: &PageBytes| page.copy.as_ref().is_some_and(|copy| Rc::ptr_eq(copy, bytes));
        let gone: Vec<u64> = pages.list.keys().copied().filter(|n| !saved.contains_key(n)).collect();
        for number in gone {
            pages.take(number, number + 1);
            self.reset_page(number);
        }
        for (number, bytes) in saved {
            if pages.list.get(number).is_some_and(|page| same(page, bytes)) {
                continue;
            }
            pages.note(*number);
            let addr = number << PAGE_SHIFT;
            if let Some(span) = self.find(addr).and_then(|v| v.span(addr)) {
                let _ = span.write(0, bytes);
            }
            if let Some(page) = pages.list.get_mut(number) {
                page.copy = Some(Rc::clone(bytes));
            }
            self.invalidate(addr, addr + PAGE_SIZE);
        }
        self.pages = Some(pages);
        self.bump();
    }

    /// A page holds again what its mapping says.
    fn reset_page(&mut self, number: u64) {
        let addr = number << PAGE_SHIFT;
        self.invalidate(addr, addr + PAGE_SIZE);
        let Some(Vma { start, backing: Backing::Host { map, offset }, .. }) = self.find(addr) else { return };
        let at = (offset + (addr - start)) as usize;
        let _ = map.borrow_mut().discard(at..at + PAGE_SIZE as usize);
    }

    /// Can single pages of the guest be given back to what their mapping says?
    #[must_use]
    pub fn resets_pages() -> bool {
        page_size() as u64 == PAGE_SIZE
    }

    /// Is there memory that this process shares with others and may write?
    #[must_use]
    pub fn shares_memory(&self) -> bool {
        self.vmas.values().any(|v| v.traits.shared && v.perm.write)
    }

    /// An empty address space in place of this one: another program.  Whoever has translated the old one's code is told.
    pub fn renew(&mut self) {
        let mut new = Space::new(self.layout, self.limits);
        new.generation = self.generation + 1;
        new.invalidated = core::mem::take(&mut self.invalidated);
        new.invalidated.extend(core::mem::take(&mut self.code));
        new.pages = self.pages.take().map(|_| Pages::default());
        new.replaying = self.replaying;
        new.clock = self.clock;
        new.icount_base = self.icount_base;
        new.events = core::mem::take(&mut self.events);
        *self = new;
    }

    /// Sets the brk area, which is mapped.
    pub fn set_brk_area(&mut self, brk: (u64, u64)) {
        (self.brk_start, self.brk) = brk;
    }

    /// Replaces the map by another one.
    pub fn set_vmas(&mut self, vmas: Vec<Vma>) {
        let code: Vec<u64> = core::mem::take(&mut self.code).into_iter().collect();
        self.invalidated.extend(code);
        self.vmas = vmas.into_iter().map(|vma| (vma.start, vma)).collect();
        if self.pages.is_some() {
            self.pages = Some(Pages::default());
        }
        self.bump();
    }

    /// `mlockall(MCL_FUTURE)` is in force.
    #[must_use]
    pub fn locks_future(&self) -> bool {
        self.lock_future
    }

    /// Sets that.
    pub fn set_locks_future(&mut self, on: bool) {
        self.lock_future = on;
    }
}
