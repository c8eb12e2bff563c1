//! The context of one virtual CPU: what handlers reach through their first argument.

use crate::word::Word;
use tern_core::engine::Platform;
use tern_core::frontend::Helper;
use tern_core::mem::{Access, HostSpan, MemFault, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, PageRef};
use tern_core::state::{Slot, State};
use tern_core::stops::Stops;
use tern_core::system::{Flush, System};
use tern_softfloat::{Flags, Style};

/// Slot of the flags of floating-point environment 0.
pub(crate) const FP_FLAGS: usize = Slot::fp_flags(0).0 as usize;
/// Slot of the control word of floating-point environment 0.
pub(crate) const FP_CONTROL: usize = Slot::fp_control(0).0 as usize;

/// Entries of each TLB.  512, with 1024 jump-cache entries, cost python3 9 % more user time.
pub(crate) const TLB_SIZE: usize = 2048;
/// Entries of the jump cache.
pub(crate) const JUMPS: usize = 4096;
/// Entries of the table of code pages.
pub(crate) const CODE_PAGES: usize = 256;
/// Bits that tell whether pages may be in the jump cache.
const JUMP_PAGES: usize = 2048;
/// Entries of the return stack.
pub(crate) const RETURNS: usize = 16;

/// One page of the fast path: `addr - tag <= PAGE_SIZE - size` means that the access is inside it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct TlbEntry {
    /// First address of the page, or an address of another set, which nothing in this set is near to.
    pub(crate) tag: u64,
    /// Host address of the page.
    pub(crate) host: *mut u8,
}

/// Which entries of a table have been filled since it was emptied, as long as they are few: emptying it again need not
/// touch the rest (threads and processes come and go, and mappings change, after little work).
#[derive(Clone, Copy)]
pub(crate) struct Filled {
    list: [u16; Filled::MOST],
    n: usize,
}

impl Filled {
    const MOST: usize = 256;
    const NONE: Filled = Filled { list: [0; Filled::MOST], n: 0 };

    fn note(&mut self, index: usize) {
        if let Some(place) = self.list.get_mut(self.n) {
            *place = index as u16;
        }
        self.n += 1;
    }

    /// Calls `empty` for each entry that may be filled, of `all`.
    fn clear(&mut self, all: usize, empty: impl FnMut(usize)) {
        match self.list.get(..self.n) {
            Some(few) => few.iter().map(|i| usize::from(*i)).for_each(empty),
            None => (0..all).for_each(empty),
        }
        self.n = 0;
    }
}

/// Where an indirect jump went.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct JumpEntry {
    pub(crate) pc: u64,
    pub(crate) word: *const Word,
}

/// Why handlers stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Leave {
    /// The budget is used up; `pc` is the word that would run next.
    Budget,
    /// A jump to `target` that no cache knows; its instructions are charged.
    Indirect,
    /// Exit record `exit` was reached.
    Exit,
    /// `fault` at word `pc`.
    Fault,
    /// `trap` at word `pc`.
    Trap,
    /// The block at word `pc` has run often enough to be translated again; nothing of it has been done yet.
    Hot,
    /// The instruction at word `pc` must run alone, in the evaluator, and has done nothing yet: it reaches a device, or stores
    /// into the code of its own block.
    Alone,
}

/// Context.  The state comes first, so that slot n is word n.
#[repr(C)]
pub(crate) struct Cx {
    pub(crate) state: State,
    /// Floating-point environment 0 rounds to nearest even, flushes nothing and has inexact raised: then host arithmetic
    /// has nothing to find out.  [`Cx::settle_fp`] after every change of its slots.
    pub(crate) fp_ready: u64,
    pub(crate) tlb_load: [TlbEntry; TLB_SIZE],
    pub(crate) tlb_store: [TlbEntry; TLB_SIZE],
    pub(crate) jumps: [JumpEntry; JUMPS],
    pub(crate) returns: [JumpEntry; RETURNS],
    pub(crate) top: usize,
    /// Retired instructions at budget zero: position = `horizon - budget`.
    pub(crate) horizon: u64,
    /// Address and value of the access that takes the slow path.
    pub(crate) addr: u64,
    pub(crate) value: u64,
    /// Written when handlers leave.
    pub(crate) leave: Leave,
    pub(crate) pc: *const Word,
    pub(crate) budget: i64,
    pub(crate) target: u64,
    pub(crate) exit: u32,
    pub(crate) fault: Option<MemFault>,
    pub(crate) trap: (u32, u64),
    /// Physical pages with translated code that were written to and must be invalidated.
    pub(crate) dirty_code: Vec<u64>,
    pub(crate) styles: [Style; 4],
    pub(crate) helpers: &'static [Helper],
    pub(crate) generation: u64,
    /// The cache's epochs that this context has followed.
    pub(crate) epoch: u64,
    pub(crate) code_epoch: u64,
    /// What helpers want forgotten about address translation.
    pub(crate) flush: Flush,
    /// Virtual and physical numbers of pages that code was found in; see [`Cx::code_page`].
    code_pages: [(u64, u64); CODE_PAGES],
    /// Which pages may have entries in the jump cache: a bit for each, by the low bits of its number.
    jump_pages: [u64; JUMP_PAGES / 64],
    /// What has been put into the tables.
    filled_load: Filled,
    filled_store: Filled,
    filled_jumps: Filled,
    /// The platform of the current run; null outside.
    pub(crate) platform: Option<*mut (dyn Platform + 'static)>,
    /// The guest's privileged side, if it has one, for the time of a run.
    pub(crate) system: Option<*const (dyn System + 'static)>,
    /// What is watched, if anything is, for the time of a run.
    pub(crate) stops: Option<*const Stops>,
    /// The cache that the current run works on; null outside.
    pub(crate) cache: *mut crate::cache::Cache,
    /// Counts words, if wanted.
    pub(crate) profile: Option<Box<crate::profile::Profile>>,
}

impl Cx {
    pub(crate) fn new(state: State, styles: [Style; 4], helpers: &'static [Helper]) -> Box<Cx> {
        // The tables are large and begin as zeros, which memory from the system is already.
        let mut new = Box::<Cx>::new_zeroed();
        let cx = new.as_mut_ptr();
        macro_rules! set {
            ($($field:ident = $value:expr),* $(,)?) => {
                // SAFETY: fields of the allocation above, written for the first time.
                unsafe { $((&raw mut (*cx).$field).write($value);)* }
            };
        }
        set! {
            state = state,
            fp_ready = 0,
            top = 0,
            horizon = 0,
            addr = 0,
            value = 0,
            leave = Leave::Budget,
            pc = core::ptr::null(),
            budget = 0,
            target = 0,
            exit = 0,
            fault = None,
            trap = (0, 0),
            dirty_code = Vec::new(),
            styles = styles,
            helpers = helpers,
            generation = u64::MAX,
            epoch = 0,
            code_epoch = 0,
            flush = Flush::None,
            system = None,
            stops = None,
            jump_pages = [0; JUMP_PAGES / 64],
            filled_load = Filled::NONE,
            filled_store = Filled::NONE,
            filled_jumps = Filled::NONE,
            platform = None,
            cache = core::ptr::null_mut(),
            profile = None,
        }
        // SAFETY: what is not written here are tables of numbers and pointers, for which zero is a value.
        let mut cx = unsafe { new.assume_init() };
        // Zero is an address of entry 0 only.
        const { assert!(tlb_index(0) == 0 && jump_index(0) == 0) };
        empty(&mut cx.tlb_load, 0);
        empty(&mut cx.tlb_store, 0);
        empty_jump(&mut cx.jumps, 0);
        cx.flush_returns();
        cx.code_pages.fill(NO_CODE_PAGE);
        cx
    }

    /// Makes the context of a CPU that is gone one of a new CPU on the same memory and cache: what it knows of them stays.
    pub(crate) fn renew(&mut self, state: State) {
        self.state = state;
        self.fault = None;
        self.flush_returns();
    }

    /// The page that holds `addr`, if loads of `size` bytes there need not ask the platform.
    pub(crate) fn known_load(&self, addr: u64, size: u64) -> Option<HostSpan> {
        self.tlb_load[tlb_index(addr)].span(addr, size)
    }

    /// As [`Cx::known_load`] for stores.
    pub(crate) fn known_store(&self, addr: u64, size: u64) -> Option<HostSpan> {
        self.tlb_store[tlb_index(addr)].span(addr, size)
    }

    /// Remembers the page that holds `addr` for loads, if it may be.
    pub(crate) fn remember_load(&mut self, addr: u64, page: &PageRef) {
        if page.flags.cacheable(Access::Load) && page.span.len() as u64 == PAGE_SIZE {
            self.filled_load.note(tlb_index(addr));
            self.tlb_load[tlb_index(addr)] = TlbEntry { tag: addr & !PAGE_MASK, host: page.span.as_ptr() };
        }
    }

    /// As [`Cx::remember_load`] for stores.
    pub(crate) fn remember_store(&mut self, addr: u64, page: &PageRef) {
        if page.flags.cacheable(Access::Store) && page.span.len() as u64 == PAGE_SIZE {
            self.filled_store.note(tlb_index(addr));
            self.tlb_store[tlb_index(addr)] = TlbEntry { tag: addr & !PAGE_MASK, host: page.span.as_ptr() };
        }
    }

    /// Remembers where jumps to `pc` go.
    pub(crate) fn remember_jump(&mut self, pc: u64, word: *const Word) {
        self.jump_page(pc >> PAGE_SHIFT, true);
        self.jump_page(pc.wrapping_add(MAX_INSN) >> PAGE_SHIFT, true);
        self.filled_jumps.note(jump_index(pc));
        self.jumps[jump_index(pc)] = JumpEntry { pc, word };
    }

    /// Brings `fp_ready` up to date with the state.
    #[inline(always)]
    pub(crate) fn settle_fp(&mut self) {
        let (flags, control) = (self.state.near[FP_FLAGS], self.state.near[FP_CONTROL]);
        self.fp_ready = u64::from(control == 0 && flags & u64::from(Flags::NX.0) != 0);
    }

    /// The physical page number of the virtual page `vpn`, if code was found there.
    pub(crate) fn code_page(&self, vpn: u64) -> Option<u64> {
        let (known, phys) = self.code_pages[vpn as usize % CODE_PAGES];
        (known == vpn).then_some(phys)
    }

    /// Remembers it.
    pub(crate) fn remember_code_page(&mut self, vpn: u64, phys: u64) {
        self.code_pages[vpn as usize % CODE_PAGES] = (vpn, phys);
    }

    /// Forgets all pages.
    pub(crate) fn flush_tlb(&mut self) {
        self.code_pages.fill(NO_CODE_PAGE);
        self.filled_load.clear(TLB_SIZE, |i| empty(&mut self.tlb_load, i));
        self.flush_tlb_store();
    }

    /// Forgets all pages for stores.
    pub(crate) fn flush_tlb_store(&mut self) {
        self.filled_store.clear(TLB_SIZE, |i| empty(&mut self.tlb_store, i));
    }

    /// Forgets where indirect jumps and returns went.
    pub(crate) fn flush_jumps(&mut self) {
        self.filled_jumps.clear(JUMPS, |i| empty_jump(&mut self.jumps, i));
        self.jump_pages = [0; JUMP_PAGES / 64];
        self.flush_returns();
    }

    /// Forgets everything about the translation of the page that holds `addr`.
    pub(crate) fn forget_page(&mut self, addr: u64) {
        let (i, vpn) = (tlb_index(addr), addr >> PAGE_SHIFT);
        for tlb in [&mut self.tlb_load, &mut self.tlb_store] {
            if tlb[i].tag == addr & !PAGE_MASK {
                empty(tlb, i);
            }
        }
        if self.code_page(vpn).is_some() {
            self.code_pages[vpn as usize % CODE_PAGES] = NO_CODE_PAGE;
        }
        // An instruction that begins in the page before may reach into this one.
        let reaches = |pc: u64| pc >> PAGE_SHIFT == vpn || pc.wrapping_add(MAX_INSN) >> PAGE_SHIFT == vpn;
        if self.jump_page(vpn, false) {
            for i in 0..JUMPS {
                if reaches(self.jumps[i].pc) {
                    empty_jump(&mut self.jumps, i);
                }
            }
        }
        self.flush_returns();
    }

    /// Could the page be in the jump cache?  With `set` it could be from now on.
    fn jump_page(&mut self, vpn: u64, set: bool) -> bool {
        let bit = vpn as usize % JUMP_PAGES;
        let word = &mut self.jump_pages[bit / 64];
        let known = *word >> (bit % 64) & 1 != 0;
        *word |= u64::from(set) << (bit % 64);
        known
    }

    fn flush_returns(&mut self) {
        self.returns.fill(JumpEntry { pc: u64::MAX, word: core::ptr::null() });
    }
}

impl TlbEntry {
    fn span(&self, addr: u64, size: u64) -> Option<HostSpan> {
        let known = addr.wrapping_sub(self.tag) <= PAGE_SIZE - size;
        // SAFETY: an entry that is not empty is a whole page of the platform's, which holds until its generation changes;
        // then the engine forgets it.
        core::ptr::NonNull::new(self.host)
            .filter(|_| known)
            .map(|host| unsafe { HostSpan::new(host, PAGE_SIZE as usize) })
    }
}

/// Empties a TLB entry: it gets an address of a neighbouring set, which no address of its own set is within a page of.
fn empty(tlb: &mut [TlbEntry; TLB_SIZE], i: usize) {
    tlb[i].tag = ((i as u64) ^ 2) << PAGE_SHIFT;
}

/// Empties an entry of the jump cache: it gets an address that is looked up elsewhere, 0 in entry 0, 2 in entry 1.
fn empty_jump(jumps: &mut [JumpEntry; JUMPS], i: usize) {
    const { assert!(jump_index(0) == 0 && jump_index(2) == 1) };
    jumps[i] = JumpEntry { pc: if i == 0 { 2 } else { 0 }, word: core::ptr::null() };
}

/// What an empty entry of the table of code pages holds; page numbers are smaller.
const NO_CODE_PAGE: (u64, u64) = (u64::MAX, 0);
/// No instruction is longer than this many bytes and one.
const MAX_INSN: u64 = 15;

/// The set of an address.
#[inline(always)]
pub(crate) const fn tlb_index(addr: u64) -> usize {
    (addr >> PAGE_SHIFT) as usize & (TLB_SIZE - 1)
}

/// The place of a jump target.
#[inline(always)]
pub(crate) const fn jump_index(pc: u64) -> usize {
    ((pc >> 1) ^ (pc >> 12)) as usize & (JUMPS - 1)
}
