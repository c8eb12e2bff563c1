//! The memory of a process: mappings, pages, and the guest's data in them.
//!
//! [`Space`] is the [`GuestMemory`] and [`Platform`] that engines run on.  Guest permissions live in our own map; host
//! mappings are readable, writable where they can be, and never executable.  Every change of a mapping bumps the
//! generation; pages whose code has been replaced are reported through `take_invalidated`.
//!
//! [`vma`]: one mapping; `recent`: pages found a moment ago; [`pages`]: which pages were written; [`map`]: mmap, munmap, mprotect, mremap, brk; [`advice`]: madvise, msync, mlock, mincore.

pub mod advice;
mod dirty;
pub mod map;
pub mod pages;
mod peek;
mod recent;
pub mod vma;

#[cfg(test)]
mod tests;

use crate::abi::{Abi, Errno, Field, GuestPtr};
use crate::events::Events;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use tern_core::engine::{Event, Platform};
use tern_core::mem::{
    Access, FaultKind, GuestMemory, HostSpan, MemFault, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, PageFlags, PageRef,
};
use vma::{Backing, Name, Vma};

/// Unmapped space that the kernel keeps below a mapping that grows down (`stack_guard_gap`, 256 pages).
pub const STACK_GUARD_GAP: u64 = 256 * PAGE_SIZE;
/// Lowest address that a mapping may have (`vm.mmap_min_addr`).
pub const MMAP_MIN_ADDR: u64 = 0x10000;
/// No limit.
pub const UNLIMITED: u64 = u64::MAX;

/// Where things go in a guest's address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// End of user space (`TASK_SIZE`).
    pub task_size: u64,
    /// Where position-independent programs are loaded (`ELF_ET_DYN_BASE`).
    pub pie_base: u64,
}

/// Limits on memory, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemLimits {
    /// `RLIMIT_AS`.
    pub address_space: u64,
    /// `RLIMIT_DATA`.
    pub data: u64,
    /// `RLIMIT_STACK`.
    pub stack: u64,
    /// `RLIMIT_MEMLOCK`.
    pub locked: u64,
}

/// Where guest time comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The host's monotonic clock.
    Host,
    /// Retired instructions, shifted left.
    Icount {
        /// log2 of nanoseconds per instruction.
        shift: u8,
    },
}

/// The memory of a process.
pub struct Space {
    vmas: BTreeMap<u64, Vma>,
    layout: Layout,
    /// First address that top-down placement stays below.
    mmap_top: u64,
    brk_start: u64,
    brk: u64,
    code: BTreeSet<u64>,
    invalidated: Vec<u64>,
    generation: u64,
    recent: recent::Recent,
    /// Pages before they were written, in a child of `vfork`.
    dirty: Option<dirty::Dirty>,
    /// Pages that were ever written, if anybody wants to know.
    pages: Option<pages::Pages>,
    /// What the system call that runs writes, if anybody wants to know.
    journal: Option<pages::Journal>,
    /// The run is a replay: nothing is shared with the host's files or other processes.
    replaying: bool,
    /// In a replay: the file that the call maps.
    pub recorded_file: Option<map::FileSource>,
    /// The file that `mremap` has opened again, for whoever records.
    pub reopened: Option<(map::FileSource, vma::HiddenFd)>,
    /// What is added to a CPU's own count of instructions to get the process's, for [`Clock::Icount`].
    pub icount_base: u64,
    /// `mlockall(MCL_FUTURE)`.
    lock_future: bool,
    /// Limits in force.
    pub limits: MemLimits,
    /// Where guest time comes from.
    pub clock: Clock,
    /// Counted guest errors and missing parts.
    pub events: Events,
}

/// Host memory behind guest memory, page by page; it holds until the generation changes.
pub type Spans = SmallVec<[HostSpan; 4]>;

/// The next multiple of the page size, if it fits.
#[must_use]
pub fn page_up(addr: u64) -> Option<u64> {
    addr.checked_add(PAGE_MASK).map(|a| a & !PAGE_MASK)
}

/// The page that holds `addr`.
#[must_use]
pub const fn page_down(addr: u64) -> u64 {
    addr & !PAGE_MASK
}

impl Space {
    /// An empty address space.
    #[must_use]
    pub fn new(layout: Layout, limits: MemLimits) -> Space {
        // arch_pick_mmap_layout: room for the stack below its top, 128 MiB at least and 5/6 of the space at most.
        let gap = limits.stack.clamp(128 << 20, layout.task_size / 6 * 5);
        let mmap_top = page_down(layout.task_size - gap.min(layout.task_size / 2));
        Space {
            vmas: BTreeMap::new(),
            layout,
            mmap_top,
            brk_start: 0,
            brk: 0,
            code: BTreeSet::new(),
            invalidated: Vec::new(),
            generation: 1,
            recent: recent::Recent::default(),
            dirty: None,
            pages: None,
            journal: None,
            replaying: false,
            recorded_file: None,
            reopened: None,
            icount_base: 0,
            lock_future: false,
            limits,
            clock: Clock::Host,
            events: Events::default(),
        }
    }

    /// Where things go.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The mappings by address.
    pub fn vmas(&self) -> impl Iterator<Item = &Vma> {
        self.vmas.values()
    }

    /// The mapping that holds `addr`.
    #[must_use]
    pub fn find(&self, addr: u64) -> Option<&Vma> {
        self.vmas.range(..=addr).next_back().map(|(_, v)| v).filter(|v| addr < v.end)
    }

    /// Mapped bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.vmas.values().map(Vma::len).sum()
    }

    /// Are all pages of the range mapped?
    #[must_use]
    pub fn covered(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            match self.find(at) {
                Some(v) => at = v.end,
                None => return false,
            }
        }
        true
    }

    /// Notes that page references no longer hold.
    pub(super) fn bump(&mut self) {
        self.generation += 1;
    }

    /// Reports the code pages of a range as replaced.
    pub(crate) fn invalidate(&mut self, start: u64, end: u64) {
        let pages: Vec<u64> = self.code.range(start >> PAGE_SHIFT..end.div_ceil(PAGE_SIZE)).copied().collect();
        if !pages.is_empty() {
            // Engines look at the reports only when the generation has changed.
            self.bump();
        }
        for page in pages {
            self.set_code(page, false);
            self.invalidated.push(page);
        }
    }

    /// Extends the mapping above `addr` downwards if it is one that grows.
    fn grow_down(&mut self, addr: u64) -> bool {
        let Some(above) = self.vmas.range(addr..).next().map(|(_, v)| v) else { return false };
        if !above.traits.grows_down || addr < MMAP_MIN_ADDR {
            return false;
        }
        let top = self.run_end(above);
        let (perm, traits, name, limit) = (above.perm, above.traits, above.name.clone(), above.start);
        let floor = top.saturating_sub(self.limits.stack.min(top));
        if addr < floor {
            return false;
        }
        let below = self.vmas.range(..addr).next_back().map(|(_, v)| v);
        let barrier = match below {
            Some(v) if v.perm != Perm::NONE && !v.traits.grows_down => v.end.saturating_add(STACK_GUARD_GAP),
            Some(v) => v.end,
            None => MMAP_MIN_ADDR,
        };
        if addr < barrier {
            return false;
        }
        // A stack that is used is used more: take 64 KiB at a time.
        let start = page_down(addr).saturating_sub(15 * PAGE_SIZE).max(page_up(floor).unwrap_or(floor)).max(barrier);
        let start = start.min(page_down(addr));
        if self.check_limits(limit - start, false).is_err() {
            return false;
        }
        let Ok(backing) = map::anon(limit - start, false) else { return false };
        self.vmas.entry(limit).and_modify(|v| v.traits.grows_down = false);
        self.insert(Vma { start, end: limit, perm, traits, backing, name, file_offset: 0 });
        true
    }

    /// The end of the unbroken run of stack pieces that starts with `vma`.
    fn run_end(&self, vma: &Vma) -> u64 {
        let mut end = vma.end;
        while let Some(next) = self.vmas.get(&end).filter(|n| n.name == vma.name && n.perm == vma.perm) {
            end = next.end;
        }
        end
    }

    fn fault(&self, addr: u64, access: Access, kind: FaultKind) -> MemFault {
        MemFault { addr, access, kind }
    }

    /// Resolves the page that holds `addr`.
    ///
    /// # Errors
    /// The guest's fault.
    pub fn resolve(&mut self, addr: u64, access: Access) -> Result<PageRef, MemFault> {
        match self.recent.find(addr, access, self.generation) {
            Some(page) => Ok(page),
            None => self.look_up(addr, access),
        }
    }

    fn look_up(&mut self, addr: u64, access: Access) -> Result<PageRef, MemFault> {
        if self.find(addr).is_none() {
            if addr >= self.layout.task_size || !self.grow_down(addr) {
                return Err(self.fault(addr, access, FaultKind::Unmapped));
            }
            self.note_growth(addr);
        }
        let Some(vma) = self.find(addr) else {
            return Err(self.fault(addr, access, FaultKind::Unmapped));
        };
        let allowed = match access {
            Access::Load => vma.perm.read || vma.perm.write,
            Access::Store => vma.perm.write,
            Access::Fetch => vma.perm.exec,
        };
        if !allowed {
            return Err(self.fault(addr, access, FaultKind::Permission));
        }
        let (shared, perm) = (vma.traits.shared, vma.perm);
        let span = match vma.span(page_down(addr)) {
            Some(span) => Some(span),
            None if self.extend_file(addr) => self.find(addr).and_then(|v| v.span(page_down(addr))),
            None => None,
        };
        let Some(span) = span else { return Err(self.fault(addr, access, FaultKind::Bus)) };
        if access == Access::Store && !shared && self.dirty.is_some() {
            self.note_write(addr, span);
        }
        let phys = addr >> PAGE_SHIFT;
        let counts = !shared || self.replaying;
        let noted = access == Access::Store && self.journal.is_none() && counts;
        if noted {
            self.note_page(phys);
        }
        let mut flags = if self.code.contains(&phys) { PageFlags::CODE } else { PageFlags::default() };
        if shared {
            flags = flags.with(PageFlags::SHARED);
        }
        let page = PageRef { span, phys, flags };
        if self.dirty.is_none() {
            // The next store has to be noted.
            let free = noted || !counts || self.is_noted(phys);
            let perm = if free { perm } else { Perm { read: true, write: false, ..perm } };
            self.recent.keep(page, perm, self.generation);
        }
        Ok(page)
    }

    /// How many of the `len` bytes from `addr` on allow `access`.
    pub fn accessible(&mut self, addr: u64, len: u64, access: Access) -> u64 {
        let mut done = 0;
        while done < len {
            let at = addr.wrapping_add(done);
            if self.resolve(at, access).is_err() {
                break;
            }
            done += PAGE_SIZE - (at & PAGE_MASK);
        }
        done.min(len)
    }

    /// Adds the host memory behind the `len` bytes from `addr` on, as far as they allow `access`; returns how many bytes
    /// that is, and whether translated code is among them.
    pub fn spans(&mut self, addr: u64, len: u64, access: Access, spans: &mut Spans) -> (u64, bool) {
        let (mut done, mut code) = (0, false);
        while done < len {
            let at = addr.wrapping_add(done);
            let Ok(page) = self.resolve(at, access) else { break };
            let n = (PAGE_SIZE - (at & PAGE_MASK)).min(len - done);
            let Some(span) = page.span.sub((at & PAGE_MASK) as usize, n as usize) else { break };
            spans.push(span);
            code |= page.flags.has(PageFlags::CODE);
            done += n;
        }
        (done, code)
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// `EFAULT`; memory for the result grows only as guest memory is found.
    pub fn bytes(&mut self, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        let mut out = Vec::new();
        let mut done = 0u64;
        while done < len {
            let at = addr.checked_add(done).ok_or(Errno::EFAULT)?;
            let page = self.resolve(at, Access::Load)?;
            let n = (PAGE_SIZE - (at & PAGE_MASK)).min(len - done);
            let from = out.len();
            out.resize(from + n as usize, 0);
            if !page.span.read((at & PAGE_MASK) as usize, &mut out[from..]) {
                return Err(Errno::EFAULT);
            }
            done += n;
        }
        Ok(out)
    }

    /// Reads into a buffer.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read_into(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let memory: &mut dyn GuestMemory = self;
        memory.read(addr, buf, Access::Load, 0).map_err(Errno::from)
    }

    /// Writes bytes; translated code in them is reported as replaced.
    ///
    /// # Errors
    /// `EFAULT`; bytes before the fault have been written.
    pub fn put_bytes(&mut self, addr: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes.len() {
            let at = addr.wrapping_add(done as u64);
            let n = ((PAGE_SIZE - (at & PAGE_MASK)) as usize).min(bytes.len() - done);
            let page = self.resolve(at, Access::Store)?;
            if !page.span.write((at & PAGE_MASK) as usize, &bytes[done..done + n]) {
                return Err(Errno::EFAULT);
            }
            if page.flags.has(PageFlags::CODE) {
                self.invalidate(at, at + 1);
            }
            self.note_bytes(at, n as u64);
            done += n;
        }
        Ok(())
    }

    /// Reads a datum.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn get<T: Field>(&mut self, ptr: GuestPtr<T>, abi: Abi) -> Result<T::Value, Errno> {
        /// No datum of a call's arguments is larger than this but a few, which are seldom read.
        const USUAL: usize = 256;
        let mut buf = [0; USUAL];
        match buf.get_mut(..T::size(abi)) {
            Some(bytes) => {
                self.read_into(ptr.addr, bytes)?;
                Ok(T::get(bytes, abi))
            }
            None => Ok(T::get(&self.bytes(ptr.addr, T::size(abi) as u64)?, abi)),
        }
    }

    /// Writes a datum.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn put<T: Field>(&mut self, ptr: GuestPtr<T>, value: &T::Value, abi: Abi) -> Result<(), Errno> {
        self.put_bytes(ptr.addr, &T::to_bytes(value, abi))
    }

    /// Reads a NUL-terminated string of less than `max` bytes.
    ///
    /// # Errors
    /// `EFAULT`; `E2BIG` if there is no terminator in the first `max` bytes.
    pub fn cstr(&mut self, addr: u64, max: usize) -> Result<CString, Errno> {
        let mut out = Vec::new();
        while out.len() < max {
            let at = addr.checked_add(out.len() as u64).ok_or(Errno::EFAULT)?;
            let n = ((PAGE_SIZE - (at & PAGE_MASK)) as usize).min(max - out.len());
            let chunk = self.bytes(at, n as u64)?;
            match chunk.iter().position(|b| *b == 0) {
                Some(end) => {
                    out.extend_from_slice(&chunk[..end]);
                    return CString::new(out).map_err(|_| Errno::EFAULT);
                }
                None => out.extend_from_slice(&chunk),
            }
        }
        Err(Errno::E2BIG)
    }

    /// Compares and swaps a 32-bit datum atomically (futexes); returns what was there.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn cmpxchg32(&mut self, addr: u64, abi: Abi, expected: u32, new: u32) -> Result<u32, Errno> {
        let page = self.resolve(addr, Access::Store)?;
        let op = match abi.endian {
            tern_core::mem::Endian::Little => tern_core::mem::MemOp::le(tern_core::mem::Size::B4),
            tern_core::mem::Endian::Big => tern_core::mem::MemOp::be(tern_core::mem::Size::B4),
        };
        let (e, n) = (op.encode(u64::from(expected)), op.encode(u64::from(new)));
        let old = page.span.compare_exchange((addr & PAGE_MASK) as usize, op.size, e, n).ok_or(Errno::EFAULT)?;
        if old == e {
            self.note_bytes(addr, 4);
        }
        if page.flags.has(PageFlags::CODE) {
            self.invalidate(addr, addr + 4);
        }
        Ok(op.decode(old) as u32)
    }
}

use vma::Perm;

impl GuestMemory for Space {
    fn page(&mut self, addr: u64, access: Access, _mode: u8) -> Result<PageRef, MemFault> {
        self.resolve(addr, access)
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn set_code(&mut self, phys: u64, code: bool) {
        self.recent.forget(phys);
        if code {
            self.code.insert(phys);
        } else {
            self.code.remove(&phys);
        }
    }

    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        pages.append(&mut self.invalidated);
    }
}

impl Platform for Space {
    fn time_ns(&mut self, icount: u64) -> u64 {
        match self.clock {
            Clock::Host => tern_host::clock::monotonic_ns(),
            Clock::Icount { shift } => self.icount_base.wrapping_add(icount) << shift,
        }
    }

    fn event(&mut self, event: Event, text: core::fmt::Arguments<'_>) {
        match event {
            Event::GuestError => self.events.guest_error(text),
            Event::Unimplemented => self.events.unimplemented(text),
        }
    }
}

/// Is a mapping's backing host memory?
pub(super) fn is_host(backing: &Backing) -> bool {
    matches!(backing, Backing::Host { .. })
}

/// Is it the brk area?
pub(super) fn is_heap(vma: &Vma) -> bool {
    vma.name == Name::Heap
}
