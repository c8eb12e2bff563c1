//! madvise, msync, mlock, mincore, and what a fork does to memory.

use super::vma::{Backing, Vma};
use super::{Space, page_up};
use crate::abi::Errno;
use crate::abi::flags::{Madvise, Msync};
use tern_core::mem::{PAGE_MASK, PAGE_SIZE};
use tern_host::map::{Advice, Sync, page_size};

/// Applies `call` to the whole host pages of a mapping and says which guest ranges it could not reach.
fn host_pages(vma: &Vma, call: impl FnOnce(core::ops::Range<usize>) -> bool) -> Vec<(u64, u64)> {
    let Backing::Host { offset, .. } = &vma.backing else { return Vec::new() };
    let host = page_size() as u64;
    let end = offset + vma.len();
    let (from, to) = (offset.next_multiple_of(host), end / host * host);
    if from >= to || !call(from as usize..to as usize) {
        return vec![(vma.start, vma.end)];
    }
    let mut left = Vec::new();
    if *offset < from {
        left.push((vma.start, vma.start + (from - offset)));
    }
    if to < end {
        left.push((vma.start + (to - offset), vma.end));
    }
    left
}

/// Makes private anonymous memory zero.
fn wipe(vma: &Vma) {
    let Backing::Host { map, .. } = &vma.backing else { return };
    for (start, end) in host_pages(vma, |range| map.borrow_mut().discard(range).is_ok()) {
        for at in (start..end).step_by(PAGE_SIZE as usize) {
            // A page of a mapping with host memory always has a span.
            let _ = vma.span(at).is_some_and(|span| span.write(0, &[0; PAGE_SIZE as usize]));
        }
    }
}

/// Advice that Linux 6.12 takes without `CONFIG_MEMORY_FAILURE`.
fn known(advice: u64) -> bool {
    matches!(advice, Madvise::MADV_NORMAL..=Madvise::MADV_DONTNEED | Madvise::MADV_FREE..=Madvise::MADV_COLLAPSE)
}

impl Space {
    /// Checks the range arguments that madvise, msync and mincore share; `None` for an empty range.
    fn range(&self, addr: u64, len: u64) -> Result<Option<(u64, u64)>, Errno> {
        if addr & PAGE_MASK != 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_up(len).ok_or(Errno::EINVAL)?;
        let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
        Ok((len > 0).then_some((addr, end)))
    }

    /// The mappings of a range, cut at its edges for the look (the map itself is not changed), and whether it has holes.
    pub(super) fn parts(&self, start: u64, end: u64) -> (Vec<Vma>, bool) {
        let mut at = start;
        let mut holes = false;
        let mut parts = Vec::new();
        while at < end {
            match self.find(at) {
                Some(v) => {
                    let mut v = v.clone();
                    if v.start < at {
                        v = v.split_off(at);
                    }
                    if v.end > end {
                        let _ = v.split_off(end);
                    }
                    at = v.end;
                    parts.push(v);
                }
                None => {
                    holes = true;
                    at = self.vmas.range(at..).next().map_or(end, |(_, v)| v.start.min(end));
                }
            }
        }
        (parts, holes)
    }

    /// `madvise`.
    ///
    /// # Errors
    /// As madvise(2): `EINVAL`, `ENOMEM` for holes (the rest is done), `EBUSY`.
    pub fn madvise(&mut self, addr: u64, len: u64, advice: u64) -> Result<(), Errno> {
        if !known(advice) {
            return Err(Errno::EINVAL);
        }
        let Some((start, end)) = self.range(addr, len)? else { return Ok(()) };
        let (parts, holes) = self.parts(start, end);
        for vma in parts {
            self.advise(&vma, advice)?;
        }
        if holes { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    fn advise(&mut self, vma: &Vma, advice: u64) -> Result<(), Errno> {
        match advice {
            Madvise::MADV_DONTNEED | Madvise::MADV_DONTNEED_LOCKED | Madvise::MADV_FREE => {
                if vma.traits.locked && advice != Madvise::MADV_DONTNEED_LOCKED {
                    return Err(Errno::EINVAL);
                }
                if advice == Madvise::MADV_FREE && !vma.is_private_anon() {
                    return Err(Errno::EINVAL);
                }
                self.drop_contents(vma);
            }
            Madvise::MADV_DONTFORK => self.retrait(vma, |t| t.dont_fork = true),
            Madvise::MADV_DOFORK => self.retrait(vma, |t| t.dont_fork = false),
            Madvise::MADV_DONTDUMP => self.retrait(vma, |t| t.dont_dump = true),
            Madvise::MADV_DODUMP => self.retrait(vma, |t| t.dont_dump = false),
            Madvise::MADV_WIPEONFORK if !vma.is_private_anon() => return Err(Errno::EINVAL),
            Madvise::MADV_WIPEONFORK => self.retrait(vma, |t| t.wipe_on_fork = true),
            Madvise::MADV_KEEPONFORK => self.retrait(vma, |t| t.wipe_on_fork = false),
            Madvise::MADV_POPULATE_READ => return self.populate(vma, tern_core::mem::Access::Load),
            Madvise::MADV_POPULATE_WRITE => return self.populate(vma, tern_core::mem::Access::Store),
            Madvise::MADV_REMOVE => return Err(Errno::EOPNOTSUPP),
            _ => self.hint(vma, advice),
        }
        Ok(())
    }

    /// Advice about future use, passed on to the host as far as it changes nothing that can be seen.
    fn hint(&self, vma: &Vma, advice: u64) {
        let advice = match advice {
            Madvise::MADV_NORMAL => Advice::Normal,
            Madvise::MADV_RANDOM => Advice::Random,
            Madvise::MADV_SEQUENTIAL => Advice::Sequential,
            Madvise::MADV_WILLNEED => Advice::WillNeed,
            Madvise::MADV_HUGEPAGE => Advice::HugePage,
            Madvise::MADV_NOHUGEPAGE => Advice::NoHugePage,
            Madvise::MADV_MERGEABLE => Advice::Mergeable,
            Madvise::MADV_UNMERGEABLE => Advice::Unmergeable,
            _ => return,
        };
        if let Backing::Host { map, .. } = &vma.backing {
            // Advice that the host does not take is advice that had no effect.
            let _ = host_pages(vma, |range| map.borrow_mut().advise(range, advice).is_ok());
        }
    }

    /// Private anonymous memory becomes zero, private file pages become the file's again, shared memory stays.
    fn drop_contents(&mut self, vma: &Vma) {
        if vma.traits.shared {
            return;
        }
        self.invalidate(vma.start, vma.end);
        self.forget_pages(vma.start, vma.end);
        if vma.is_private_anon() {
            wipe(vma);
        } else if let Backing::Host { map, .. } = &vma.backing {
            // Where the host's pages are larger than the guest's, parts of a page keep their contents.
            let _ = host_pages(vma, |range| map.borrow_mut().discard(range).is_ok());
        }
    }

    fn populate(&mut self, vma: &Vma, access: tern_core::mem::Access) -> Result<(), Errno> {
        for at in (vma.start..vma.end).step_by(PAGE_SIZE as usize) {
            match self.resolve(at, access) {
                Ok(_) => {}
                Err(f) if f.kind == tern_core::mem::FaultKind::Permission => return Err(Errno::EINVAL),
                Err(_) => return Err(Errno::EFAULT),
            }
        }
        Ok(())
    }

    /// Changes the properties of one part.
    pub(super) fn retrait(&mut self, part: &Vma, change: impl Fn(&mut super::vma::Traits)) {
        for mut vma in self.take_range(part.start, part.end) {
            change(&mut vma.traits);
            self.insert(vma);
        }
    }

    /// Names private anonymous memory (`PR_SET_VMA_ANON_NAME`); an empty name takes the name away.
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM` for holes, `EBADF` for a file mapping.
    pub fn name_anon(&mut self, addr: u64, len: u64, name: Option<Vec<u8>>) -> Result<(), Errno> {
        let Some((start, end)) = self.range(addr, len)? else { return Ok(()) };
        let (parts, holes) = self.parts(start, end);
        let name = name.map_or(super::Name::Anon, |n| super::Name::Named(std::rc::Rc::new(n)));
        for part in parts {
            if !part.is_private_anon() {
                return Err(Errno::EBADF);
            }
            for mut vma in self.take_range(part.start, part.end) {
                vma.name = name.clone();
                self.insert(vma);
            }
        }
        if holes { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// `msync`.
    ///
    /// # Errors
    /// As msync(2).
    pub fn msync(&mut self, addr: u64, len: u64, flags: u64) -> Result<(), Errno> {
        let known = Msync::MS_ASYNC | Msync::MS_INVALIDATE | Msync::MS_SYNC;
        if flags & !known != 0 || flags & (Msync::MS_ASYNC | Msync::MS_SYNC) == Msync::MS_ASYNC | Msync::MS_SYNC {
            return Err(Errno::EINVAL);
        }
        if addr & PAGE_MASK != 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_up(len).ok_or(Errno::ENOMEM)?;
        let end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
        let (parts, holes) = self.parts(addr, end);
        for vma in &parts {
            if flags & Msync::MS_INVALIDATE != 0 && vma.traits.locked {
                return Err(Errno::EBUSY);
            }
            if let (true, Backing::Host { map, offset }) = (vma.traits.shared, &vma.backing) {
                let host = page_size() as u64;
                let (from, to) = (offset / host * host, (offset + vma.len()).next_multiple_of(host));
                let to = to.min(map.borrow().len() as u64);
                let how = if flags & Msync::MS_SYNC != 0 { Sync::Wait } else { Sync::Start };
                map.borrow().sync(from as usize..to as usize, how).map_err(|_| Errno::EIO)?;
            }
        }
        if holes { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Bytes that are locked.
    #[must_use]
    pub fn locked(&self) -> u64 {
        self.vmas.values().filter(|v| v.traits.locked).map(Vma::len).sum()
    }

    /// Checks that `more` bytes may be locked.
    ///
    /// # Errors
    /// `EAGAIN` as mmap and brk say it (mlock itself says `ENOMEM`).
    pub fn check_locked(&self, more: u64) -> Result<(), Errno> {
        if self.locked().saturating_add(more) > self.limits.locked { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// `mlock` and `munlock`.  Pages count against `RLIMIT_MEMLOCK` and are marked; the host may still page tern's own
    /// memory out, which no guest can see.
    ///
    /// # Errors
    /// As mlock(2).
    pub fn mlock(&mut self, addr: u64, len: u64, lock: bool) -> Result<(), Errno> {
        let start = addr & !PAGE_MASK;
        let end = addr.checked_add(len).and_then(page_up).ok_or(Errno::EINVAL)?;
        if start == end {
            return Ok(());
        }
        let (parts, holes) = self.parts(start, end);
        if lock {
            let more: u64 = parts.iter().filter(|v| !v.traits.locked).map(Vma::len).sum();
            self.check_locked(more).map_err(|_| Errno::ENOMEM)?;
        }
        for part in &parts {
            self.retrait(part, |t| t.locked = lock);
        }
        if holes { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// `mlockall` (`Some((current, future))`) and `munlockall`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn mlockall(&mut self, lock: Option<(bool, bool)>) -> Result<(), Errno> {
        let all: Vec<Vma> = self.vmas.values().cloned().collect();
        if let Some((true, _)) = lock
            && self.total() > self.limits.locked
        {
            return Err(Errno::ENOMEM);
        }
        self.lock_future = lock.is_some_and(|(_, future)| future);
        for vma in &all {
            match lock {
                Some((true, _)) => self.retrait(vma, |t| t.locked = true),
                Some((false, _)) => {}
                None => self.retrait(vma, |t| t.locked = false),
            }
        }
        Ok(())
    }

    /// `mincore`: one byte per page, 1 if touching it needs no I/O.  Host memory counts as resident; what the host has
    /// paged out is the host's secret, as it is for files of other users since Linux 5.2.
    ///
    /// # Errors
    /// `EINVAL`; `ENOMEM` for holes.
    pub fn mincore(&self, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        if addr & PAGE_MASK != 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_up(len).ok_or(Errno::ENOMEM)?;
        let end = addr.checked_add(len).filter(|e| *e <= self.layout.task_size).ok_or(Errno::ENOMEM)?;
        if !self.covered(addr, end) {
            return Err(Errno::ENOMEM);
        }
        let (parts, _) = self.parts(addr, end);
        Ok(parts.iter().flat_map(|v| (0..v.len() / PAGE_SIZE).map(|_| u8::from(super::is_host(&v.backing)))).collect())
    }

    /// What a fork does to the child's memory: `MADV_DONTFORK` mappings go, `MADV_WIPEONFORK` ones become zero, locks
    /// are not inherited.
    pub fn forked(&mut self) {
        let special = |v: &&Vma| v.traits.dont_fork || v.traits.wipe_on_fork || v.traits.locked;
        let all: Vec<Vma> = self.vmas.values().filter(special).cloned().collect();
        self.lock_future = false;
        for vma in &all {
            if vma.traits.dont_fork {
                let _ = self.take_range(vma.start, vma.end);
                self.forget_pages(vma.start, vma.end);
            } else {
                if vma.traits.wipe_on_fork {
                    self.invalidate(vma.start, vma.end);
                    self.forget_pages(vma.start, vma.end);
                    wipe(vma);
                }
                if vma.traits.locked {
                    self.retrait(vma, |t| t.locked = false);
                }
            }
        }
    }
}
