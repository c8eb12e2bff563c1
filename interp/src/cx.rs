//! The context of one virtual CPU: what handlers reach through their first argument.

use crate::word::Word;
use tern_core::engine::Platform;
use tern_core::frontend::Helper;
use tern_core::mem::MemFault;
use tern_core::state::State;
use tern_softfloat::Style;

/// Entries of each TLB.  512, with 1024 jump-cache entries, cost python3 9 % more user time.
pub(crate) const TLB_SIZE: usize = 2048;
/// Entries of the jump cache.
pub(crate) const JUMPS: usize = 4096;
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
    /// The store at word `pc` would change the code of this very block; nothing is done yet.
    OwnCode,
}

/// Context.  The state comes first, so that slot n is word n.
#[repr(C)]
pub(crate) struct Cx {
    pub(crate) state: State,
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
    /// The platform of the current run; null outside.
    pub(crate) platform: Option<*mut (dyn Platform + 'static)>,
    /// The cache that the current run works on; null outside.
    pub(crate) cache: *mut crate::cache::Cache,
    /// Counts words, if wanted.
    pub(crate) profile: Option<Box<crate::profile::Profile>>,
}

impl Cx {
    pub(crate) fn new(state: State, styles: [Style; 4], helpers: &'static [Helper]) -> Box<Cx> {
        let jump = JumpEntry { pc: u64::MAX, word: core::ptr::null() };
        let page = TlbEntry { tag: 0, host: core::ptr::null_mut() };
        let mut cx = Box::new(Cx {
            state,
            tlb_load: [page; TLB_SIZE],
            tlb_store: [page; TLB_SIZE],
            jumps: [jump; JUMPS],
            returns: [jump; RETURNS],
            top: 0,
            horizon: 0,
            addr: 0,
            value: 0,
            leave: Leave::Budget,
            pc: core::ptr::null(),
            budget: 0,
            target: 0,
            exit: 0,
            fault: None,
            trap: (0, 0),
            dirty_code: Vec::new(),
            styles,
            helpers,
            generation: u64::MAX,
            platform: None,
            cache: core::ptr::null_mut(),
            profile: None,
        });
        cx.flush_tlb();
        cx.flush_jumps();
        cx
    }

    /// Forgets all pages.
    pub(crate) fn flush_tlb(&mut self) {
        forget(&mut self.tlb_load);
        forget(&mut self.tlb_store);
    }

    /// Forgets all pages for stores.
    pub(crate) fn flush_tlb_store(&mut self) {
        forget(&mut self.tlb_store);
    }

    /// Forgets where indirect jumps and returns went.
    pub(crate) fn flush_jumps(&mut self) {
        // An address that is looked up elsewhere: 0 in entry 0, 2 in entry 1.
        const { assert!(jump_index(0) == 0 && jump_index(2) == 1) };
        self.jumps.fill(JumpEntry { pc: 0, word: core::ptr::null() });
        self.jumps[0].pc = 2;
        self.returns.fill(JumpEntry { pc: u64::MAX, word: core::ptr::null() });
    }
}

/// Empties a TLB: each entry gets an address of a neighbouring set, which no address of its own set is within a page of.
fn forget(tlb: &mut [TlbEntry; TLB_SIZE]) {
    for (i, e) in tlb.iter_mut().enumerate() {
        e.tag = ((i as u64) ^ 2) << tern_core::mem::PAGE_SHIFT;
    }
}

/// The set of an address.
#[inline(always)]
pub(crate) const fn tlb_index(addr: u64) -> usize {
    (addr >> tern_core::mem::PAGE_SHIFT) as usize & (TLB_SIZE - 1)
}

/// The place of a jump target.
#[inline(always)]
pub(crate) const fn jump_index(pc: u64) -> usize {
    ((pc >> 1) ^ (pc >> 12)) as usize & (JUMPS - 1)
}
