//! Making, changing and removing mappings: mmap, munmap, mprotect, mremap, brk.

use super::vma::{Backing, FileId, HiddenFd, Name, Perm, Traits, Vma};
use super::{MMAP_MIN_ADDR, STACK_GUARD_GAP, Space, page_down, page_up};
use crate::abi::Errno;
use crate::abi::flags::{Map, Mremap};
use core::cell::RefCell;
use std::ffi::CString;
use std::rc::Rc;
use tern_core::mem::PAGE_MASK;
use tern_host::map::{HostMap, page_size};
use tern_host::sys;

/// Most mappings of a process (`vm.max_map_count`).
const MAX_MAPS: usize = 65530;
/// The brk area's host memory is taken in pieces of at least this size.
const HEAP_CHUNK: u64 = 1 << 20;
/// First number of descriptors that belong to tern.
pub const HIDDEN_FD_MIN: i32 = 960;

/// What to map.
#[derive(Clone, Debug)]
pub struct Request {
    /// Hint or fixed address.
    pub addr: u64,
    /// Length in bytes; rounded up to pages.
    pub len: u64,
    /// What the guest may do.
    pub perm: Perm,
    /// `MAP_*` without the kind.
    pub flags: u64,
    /// `MAP_SHARED`?
    pub shared: bool,
    /// The file and the position in it.
    pub file: Option<FileSource>,
    /// What it is called if it is not a file.
    pub name: Name,
}

/// A file to map.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// Its descriptor.
    pub fd: i32,
    /// Position of the first byte.
    pub offset: u64,
    /// Was it opened for writing?
    pub writable: bool,
    /// Its identity.
    pub id: Rc<FileId>,
    /// Its size in bytes, if it has one (a device has none).
    pub size: Option<u64>,
}

/// Zeroed host memory for `len` bytes.
///
/// # Errors
/// `ENOMEM`.
pub fn anon(len: u64, shared: bool) -> Result<Backing, Errno> {
    let len = usize::try_from(len).map_err(|_| Errno::ENOMEM)?;
    let map = if shared { HostMap::anon_shared(len) } else { HostMap::anon(len) }.map_err(|_| Errno::ENOMEM)?;
    Ok(Backing::Host { map: Rc::new(RefCell::new(map)), offset: 0 })
}

/// A descriptor of tern's own for the same file.
///
/// # Errors
/// `EMFILE` and what else the host says.
pub fn hide(fd: i32) -> Result<HiddenFd, Errno> {
    let dup = |min| sys::file::fcntl(fd, sys::host::F_DUPFD_CLOEXEC, min);
    Ok(HiddenFd(dup(HIDDEN_FD_MIN).or_else(|_| dup(3))?))
}

/// Host memory with a copy of a part of a file, where the host cannot map it (its pages are larger than the guest's).
fn copy_file(source: &FileSource, len: u64) -> Result<Backing, Errno> {
    let backing = anon(len, false)?;
    let Backing::Host { map, .. } = &backing else { return Err(Errno::ENOMEM) };
    let span = map.borrow().span();
    let mut buf = vec![0; 1 << 16];
    let mut done = 0u64;
    while done < len {
        let want = buf.len().min((len - done) as usize);
        let pos = i64::try_from(source.offset + done).map_err(|_| Errno::EOVERFLOW)?;
        let n = sys::file::pread(source.fd, &mut buf[..want], pos)?;
        if n == 0 || !span.write(done as usize, &buf[..n]) {
            break;
        }
        done += n as u64;
    }
    Ok(backing)
}

/// The parts of a file mapping of `len` bytes: what the file has, and what lies behind its end.  In a replay nothing is
/// shared with the file.
pub(crate) fn file_parts(
    source: &FileSource,
    len: u64,
    shared: bool,
    replaying: bool,
) -> Result<Vec<(u64, Backing)>, Errno> {
    let grows = shared && !replaying;
    let there = match source.size {
        Some(size) => page_up(size.saturating_sub(source.offset)).unwrap_or(len).min(len),
        None => len,
    };
    let mut parts = Vec::new();
    if there > 0 {
        let host_len = usize::try_from(there).map_err(|_| Errno::ENOMEM)?;
        let aligned = source.offset.is_multiple_of(page_size() as u64);
        let backing = if aligned {
            let writable = !grows || source.writable;
            let map = HostMap::file(source.fd, source.offset, host_len, grows, writable).map_err(map_errno)?;
            Backing::Host { map: Rc::new(RefCell::new(map)), offset: 0 }
        } else if grows {
            return Err(Errno::EINVAL);
        } else {
            copy_file(source, there)?
        };
        parts.push((there, backing));
    }
    if there < len {
        let fd = if grows { Some(Rc::new(hide(source.fd)?)) } else { None };
        parts.push((len - there, Backing::Beyond(fd)));
    }
    Ok(parts)
}

/// Opens the file behind a mapping again, by the path that the host knows it by.
fn reopen(id: &Rc<FileId>, offset: u64, writable: bool) -> Result<(FileSource, HiddenFd), Errno> {
    let path = CString::new(id.path.as_slice()).map_err(|_| Errno::ENOMEM)?;
    let mode = if writable { sys::host::O_RDWR } else { sys::host::O_RDONLY };
    let flags = mode | sys::host::O_CLOEXEC | sys::host::O_NONBLOCK | sys::host::O_NOCTTY;
    let fd = HiddenFd(sys::file::openat(sys::CWD, &path, flags, 0).map_err(|_| Errno::ENOMEM)?);
    let stat = sys::fs::fstat(fd.0).map_err(|_| Errno::ENOMEM)?;
    if (stat.dev, stat.ino) != (id.dev, id.ino) {
        return Err(Errno::ENOMEM);
    }
    let source = FileSource { fd: fd.0, offset, writable, id: Rc::clone(id), size: Some(stat.size) };
    Ok((source, fd))
}

fn map_errno(e: tern_host::map::MapError) -> Errno {
    match e {
        tern_host::map::MapError::Os { errno, .. } => Errno::from(sys::Errno(errno)),
        tern_host::map::MapError::Unsupported => Errno::ENODEV,
        _ => Errno::ENOMEM,
    }
}

impl Space {
    /// Puts a mapping into the map; its range must be free, so nobody holds a page of it.
    pub(super) fn insert(&mut self, mut vma: Vma) {
        let before = self.vmas.range(..vma.start).next_back().filter(|(_, b)| b.continues_in(&vma)).map(|(s, _)| *s);
        if let Some(mut b) = before.and_then(|s| self.vmas.remove(&s)) {
            b.end = vma.end;
            vma = b;
        }
        if let Some(next) = self.vmas.get(&vma.end).filter(|n| vma.continues_in(n)) {
            let end = next.end;
            self.vmas.remove(&vma.end);
            vma.end = end;
        }
        self.vmas.insert(vma.start, vma);
    }

    /// Cuts the mapping that holds `at` in two there.
    pub(super) fn split_at(&mut self, at: u64) {
        if let Some((_, vma)) = self.vmas.range_mut(..at).next_back()
            && at < vma.end
        {
            let tail = vma.split_off(at);
            self.vmas.insert(at, tail);
        }
    }

    /// Takes every mapping of the range out, cutting those at the edges.
    pub(super) fn take_range(&mut self, start: u64, end: u64) -> Vec<Vma> {
        self.split_at(start);
        self.split_at(end);
        let keys: Vec<u64> = self.vmas.range(start..end).map(|(k, _)| *k).collect();
        if !keys.is_empty() {
            self.bump();
            self.invalidate(start, end);
        }
        keys.iter().filter_map(|k| self.vmas.remove(k)).collect()
    }

    /// Gives the memory of removed mappings back as far as other mappings do not use it.
    fn release(removed: Vec<Vma>) {
        for vma in removed {
            if let Backing::Host { map, offset } = vma.backing
                && Rc::strong_count(&map) > 1
                && !vma.traits.shared
            {
                let host = page_size() as u64;
                let (from, to) = (offset.next_multiple_of(host), (offset + (vma.end - vma.start)) / host * host);
                if from < to {
                    // An error leaves the pages allocated until the last part of the host mapping goes.
                    let _ = map.borrow_mut().discard(from as usize..to as usize);
                }
            }
        }
    }

    /// Takes the mappings of a range away, with what is known of their pages.
    fn drop_range(&mut self, start: u64, end: u64) {
        Self::release(self.take_range(start, end));
        self.forget_pages(start, end);
    }

    /// The gap that must stay free below a mapping.
    fn guard(vma: &Vma) -> u64 {
        if vma.traits.grows_down { STACK_GUARD_GAP } else { 0 }
    }

    /// The highest free range of `len` bytes below `top`.
    fn find_free(&self, len: u64, top: u64) -> Option<u64> {
        let mut end = top;
        for vma in self.vmas.range(..top).rev().map(|(_, v)| v) {
            if vma.end <= end && end - vma.end >= len {
                return Some(end - len);
            }
            end = end.min(vma.start.saturating_sub(Self::guard(vma)));
        }
        end.checked_sub(len).filter(|a| *a >= MMAP_MIN_ADDR)
    }

    fn is_free(&self, start: u64, end: u64) -> bool {
        let after = self.vmas.range(start..).next().map_or(u64::MAX, |(_, v)| v.start.saturating_sub(Self::guard(v)));
        self.find(start).is_none() && end <= after
    }

    /// Where a mapping without `MAP_FIXED` goes: the hint if it is free, else top-down below the stack, else anywhere.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn place(&self, hint: u64, len: u64) -> Result<u64, Errno> {
        let hint = page_up(hint).unwrap_or(0);
        if hint >= MMAP_MIN_ADDR
            && let Some(end) = hint.checked_add(len)
            && end <= self.layout.task_size
            && self.is_free(hint, end)
        {
            return Ok(hint);
        }
        self.find_free(len, self.mmap_top).or_else(|| self.find_free(len, self.layout.task_size)).ok_or(Errno::ENOMEM)
    }

    /// Checks that `more` bytes may be mapped.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn check_limits(&self, more: u64, data: bool) -> Result<(), Errno> {
        if self.vmas.len() >= MAX_MAPS || self.total().saturating_add(more) > self.limits.address_space {
            return Err(Errno::ENOMEM);
        }
        let used: u64 = self.vmas.values().filter(|v| v.is_data()).map(Vma::len).sum();
        if data && used.saturating_add(more) > self.limits.data {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// `mmap` with checked flags; returns the address.
    ///
    /// # Errors
    /// As mmap(2).
    pub fn mmap(&mut self, request: &Request) -> Result<u64, Errno> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_up(request.len).ok_or(Errno::ENOMEM)?;
        if len > self.layout.task_size {
            return Err(Errno::ENOMEM);
        }
        let fixed = request.flags & (Map::MAP_FIXED | Map::MAP_FIXED_NOREPLACE) != 0;
        let start = if fixed {
            if request.addr & PAGE_MASK != 0 {
                return Err(Errno::EINVAL);
            }
            let end = request.addr.checked_add(len).ok_or(Errno::ENOMEM)?;
            if end > self.layout.task_size {
                return Err(Errno::ENOMEM);
            }
            if request.addr < MMAP_MIN_ADDR {
                return Err(Errno::EPERM);
            }
            let taken = self.vmas.range(..end).next_back().is_some_and(|(_, v)| v.end > request.addr);
            if taken && request.flags & Map::MAP_FIXED_NOREPLACE != 0 {
                return Err(Errno::EEXIST);
            }
            request.addr
        } else {
            self.place(request.addr, len)?
        };
        let end = start + len;
        self.check_limits(len, request.perm.write && !request.shared)?;
        let locked = self.lock_future || request.flags & Map::MAP_LOCKED != 0;
        if locked {
            self.check_locked(len)?;
        }
        let parts = match &request.file {
            None => vec![(len, anon(len, request.shared && !self.replaying)?)],
            Some(source) => file_parts(source, len, request.shared, self.replaying)?,
        };
        self.drop_range(start, end);
        let traits = Traits {
            shared: request.shared,
            readonly_file: request.shared && request.file.as_ref().is_some_and(|f| !f.writable),
            grows_down: request.flags & Map::MAP_GROWSDOWN != 0,
            locked,
            no_reserve: request.flags & Map::MAP_NORESERVE != 0,
            ..Traits::default()
        };
        let (name, offset) = match &request.file {
            Some(f) => (Name::File(Rc::clone(&f.id)), f.offset),
            None => (request.name.clone(), 0),
        };
        let like =
            Vma { start, end, perm: request.perm, traits, backing: Backing::Beyond(None), name, file_offset: offset };
        self.insert_parts(start, &like, offset, parts);
        Ok(start)
    }

    /// Maps what a shared file has gained since it was mapped; true if the page at `addr` is there now.
    pub(super) fn extend_file(&mut self, addr: u64) -> bool {
        let Some(vma) = self.find(addr) else { return false };
        let (Backing::Beyond(Some(fd)), Name::File(id)) = (&vma.backing, &vma.name) else { return false };
        let (fd, id) = (Rc::clone(fd), Rc::clone(id));
        let Ok(stat) = sys::fs::fstat(fd.0) else { return false };
        let start = vma.start;
        let at_file = vma.file_offset;
        if stat.size <= at_file + (page_down(addr) - start) {
            return false;
        }
        let like = vma.clone();
        let source =
            FileSource { fd: fd.0, offset: at_file, writable: !like.traits.readonly_file, id, size: Some(stat.size) };
        let Ok(parts) = file_parts(&source, like.len(), true, false) else { return false };
        if self.pages.is_some() {
            self.events.unimplemented(format_args!("recording of a mapping that grows with its file"));
        }
        let _ = self.take_range(start, like.end);
        self.insert_parts(start, &like, at_file, parts);
        true
    }

    /// `munmap`.
    ///
    /// # Errors
    /// `EINVAL`; `ENOMEM` when a split would make too many mappings.
    pub fn munmap(&mut self, addr: u64, len: u64) -> Result<(), Errno> {
        let len = page_up(len).ok_or(Errno::EINVAL)?;
        let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
        if addr & PAGE_MASK != 0 || len == 0 || end > self.layout.task_size {
            return Err(Errno::EINVAL);
        }
        if self.vmas.len() >= MAX_MAPS && self.find(addr).is_some_and(|v| v.start < addr && v.end > end) {
            return Err(Errno::ENOMEM);
        }
        self.drop_range(addr, end);
        Ok(())
    }

    /// `mprotect`; mappings before the first that refuses are changed, as in the kernel.
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM` for a hole, `EACCES` for a shared mapping of a file opened for reading.
    pub fn mprotect(&mut self, addr: u64, len: u64, perm: Perm, down: bool) -> Result<(), Errno> {
        if addr & PAGE_MASK != 0 {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let len = page_up(len).ok_or(Errno::ENOMEM)?;
        let mut addr = addr;
        let end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
        if down {
            let vma = self.find(addr).ok_or(Errno::ENOMEM)?;
            if !vma.traits.grows_down {
                return Err(Errno::EINVAL);
            }
            addr = vma.start;
        }
        let mut at = addr;
        while at < end {
            let Some(vma) = self.find(at) else { return Err(Errno::ENOMEM) };
            if perm.write && vma.traits.readonly_file {
                return Err(Errno::EACCES);
            }
            let becomes_data = perm.write && !vma.perm.write && !vma.traits.shared && !vma.traits.grows_down;
            let stop = vma.end.min(end);
            if becomes_data {
                self.check_limits(0, false)?;
                let used: u64 = self.vmas.values().filter(|v| v.is_data()).map(Vma::len).sum();
                if used.saturating_add(stop - at) > self.limits.data {
                    return Err(Errno::ENOMEM);
                }
            }
            for mut vma in self.take_range(at, stop) {
                vma.perm = perm;
                self.insert(vma);
            }
            at = stop;
        }
        Ok(())
    }

    /// `mremap`; returns the new address.
    ///
    /// # Errors
    /// As mremap(2).
    pub fn mremap(&mut self, old: u64, old_len: u64, new_len: u64, flags: u64, new: u64) -> Result<u64, Errno> {
        let may_move = flags & Mremap::MREMAP_MAYMOVE != 0;
        let fixed = flags & Mremap::MREMAP_FIXED != 0;
        let keep = flags & Mremap::MREMAP_DONTUNMAP != 0;
        let known = Mremap::MREMAP_MAYMOVE | Mremap::MREMAP_FIXED | Mremap::MREMAP_DONTUNMAP;
        let old_len = page_up(old_len).ok_or(Errno::EINVAL)?;
        let new_len = page_up(new_len).ok_or(Errno::EINVAL)?;
        let bad_keep = keep && (!may_move || old_len != new_len);
        if flags & !known != 0 || (fixed && !may_move) || bad_keep || old & PAGE_MASK != 0 || new_len == 0 {
            return Err(Errno::EINVAL);
        }
        let first = self.find(old).ok_or(Errno::EFAULT)?;
        let (shared, locked) = (first.traits.shared, first.traits.locked);
        if old_len == 0 && !(shared && may_move) {
            return Err(Errno::EINVAL);
        }
        let old_end = old.checked_add(old_len).ok_or(Errno::EINVAL)?;
        if fixed {
            return self.remap_fixed((old, old_len), (new, new_len), keep);
        }
        if new_len <= old_len && !keep {
            if new_len < old_len {
                self.munmap(old + new_len, old_len - new_len)?;
            }
            return Ok(old);
        }
        let last = self.run(old, old_end)?;
        let more = new_len - old_len;
        self.check_limits(more, !shared)?;
        if locked {
            self.check_locked(more)?;
        }
        let room = old.checked_add(new_len).is_some_and(|e| e <= self.layout.task_size && self.is_free(old_end, e));
        if old_end == last.end && old_len != 0 && !keep && room {
            let tail = self.growth(&last, more)?;
            self.insert_parts(old_end, &last, last.file_offset + last.len(), tail);
            return Ok(old);
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        let to = self.place(new, new_len)?;
        self.relocate((old, old_len), (to, new_len), keep)
    }

    /// The last of the mappings that together look like one to the guest and hold `old..end`.
    fn run(&self, old: u64, end: u64) -> Result<Vma, Errno> {
        let mut vma = self.find(old).ok_or(Errno::EFAULT)?;
        while vma.end < end {
            let next = self.vmas.get(&vma.end).filter(|n| vma.looks_continued_in(n));
            vma = next.ok_or(Errno::EFAULT)?;
        }
        Ok(vma.clone())
    }

    fn remap_fixed(&mut self, from: (u64, u64), to: (u64, u64), keep: bool) -> Result<u64, Errno> {
        let (old, mut old_len) = from;
        let (new, new_len) = to;
        let new_end = new.checked_add(new_len).ok_or(Errno::EINVAL)?;
        let old_end = old.checked_add(old_len).ok_or(Errno::EINVAL)?;
        if new & PAGE_MASK != 0 || new_end > self.layout.task_size || (old_end > new && new_end > old) {
            return Err(Errno::EINVAL);
        }
        if new < MMAP_MIN_ADDR {
            return Err(Errno::EPERM);
        }
        self.munmap(new, new_len)?;
        if old_len > new_len {
            self.munmap(old + new_len, old_len - new_len)?;
            old_len = new_len;
        }
        let last = self.run(old, old + old_len)?;
        self.check_limits(new_len - old_len, !last.traits.shared)?;
        self.relocate((old, old_len), (new, new_len), keep)
    }

    /// What `more` bytes behind a mapping are backed by when it grows.
    fn growth(&mut self, last: &Vma, more: u64) -> Result<Vec<(u64, Backing)>, Errno> {
        match &last.name {
            Name::File(id) => {
                let offset = last.file_offset + last.len();
                if self.replaying {
                    let source = self.recorded_file.take().ok_or(Errno::ENOMEM)?;
                    let source = FileSource { offset, ..source };
                    return file_parts(&source, more, last.traits.shared, true);
                }
                let (source, fd) = reopen(id, offset, last.traits.shared && !last.traits.readonly_file)?;
                let parts = file_parts(&source, more, last.traits.shared, false);
                self.reopened = Some((source, fd));
                parts
            }
            _ if last.traits.shared => Ok(vec![(more, Backing::Beyond(None))]),
            _ => Ok(vec![(more, anon(more, false)?)]),
        }
    }

    /// Inserts the parts of a mapping that is otherwise like `like`, from `at` on.
    fn insert_parts(&mut self, at: u64, like: &Vma, file_offset: u64, parts: Vec<(u64, Backing)>) {
        let is_file = matches!(like.name, Name::File(_) | Name::SysV(_));
        let mut start = at;
        for (len, backing) in parts {
            let file_offset = if is_file { file_offset + (start - at) } else { 0 };
            self.insert(Vma { start, end: start + len, backing, file_offset, ..like.clone() });
            start += len;
        }
    }

    /// Moves (or for an old length of zero duplicates) a run of mappings and grows it.
    fn relocate(&mut self, from: (u64, u64), to: (u64, u64), keep: bool) -> Result<u64, Errno> {
        let (old, old_len) = from;
        let (new, new_len) = to;
        let parts = if old_len == 0 {
            let first = self.find(old).ok_or(Errno::EFAULT)?;
            self.parts(old, first.end.min(old.saturating_add(new_len))).0
        } else {
            self.parts(old, old + old_len).0
        };
        let last = parts.last().ok_or(Errno::EFAULT)?;
        let tail = match (old + new_len).checked_sub(last.end) {
            None | Some(0) => Vec::new(),
            Some(more) => self.growth(last, more)?,
        };
        let mut kept = Vec::new();
        if keep {
            for vma in &parts {
                let backing = match (&vma.backing, vma.is_private_anon()) {
                    (Backing::Host { .. }, true) => anon(vma.len(), false)?,
                    (backing, _) => backing.clone(),
                };
                kept.push(Vma { backing, ..vma.clone() });
            }
        }
        if old_len > 0 {
            let _ = self.take_range(old, old + old_len);
            self.move_pages(old, old_len, new, keep);
        }
        kept.into_iter().for_each(|vma| self.insert(vma));
        for vma in &parts {
            let start = new + (vma.start - old);
            self.insert(Vma { start, end: start + vma.len(), ..vma.clone() });
        }
        if let Some(last) = parts.last() {
            self.insert_parts(new + (last.end - old), last, last.file_offset + last.len(), tail);
        }
        Ok(new)
    }

    /// Sets where the brk area starts; it is empty.
    pub fn set_brk_start(&mut self, addr: u64) {
        self.brk_start = addr;
        self.brk = addr;
    }

    /// Start and end of the brk area.
    #[must_use]
    pub fn brk_area(&self) -> (u64, u64) {
        (self.brk_start, self.brk)
    }

    /// `brk`: the new end, or the old one if it cannot be.
    pub fn set_brk(&mut self, to: u64) -> u64 {
        let (Some(old_end), Some(new_end)) = (page_up(self.brk), page_up(to)) else { return self.brk };
        if to < self.brk_start || new_end > self.layout.task_size {
            return self.brk;
        }
        if to - self.brk_start > self.limits.data {
            return self.brk;
        }
        if new_end < old_end {
            self.drop_range(new_end, old_end);
        } else if new_end > old_end && self.grow_heap(old_end, new_end).is_err() {
            return self.brk;
        }
        self.brk = to;
        to
    }

    fn grow_heap(&mut self, start: u64, end: u64) -> Result<(), Errno> {
        if !self.is_free(start, end) {
            return Err(Errno::ENOMEM);
        }
        self.check_limits(end - start, true)?;
        if self.lock_future {
            self.check_locked(end - start)?;
        }
        let traits = Traits { locked: self.lock_future, ..Traits::default() };
        let last = self.vmas.range(..start).next_back().map(|(_, v)| v);
        let last = last.filter(|v| v.end == start && super::is_heap(v) && v.perm == Perm::RW && v.traits == traits);
        let (mut start, mut chunk) = (start, HEAP_CHUNK);
        if let Some(Vma { backing: Backing::Host { map, offset }, start: from, end: to, .. }) = last {
            let host_len = map.borrow().len() as u64;
            let room = host_len.saturating_sub(offset + (to - from));
            chunk = (host_len * 2).min(64 << 20);
            let stop = end.min(start + room);
            if stop > start {
                let (map, offset) = (Rc::clone(map), offset + (to - from));
                let backing = Backing::Host { map, offset };
                self.insert(Vma {
                    start,
                    end: stop,
                    perm: Perm::RW,
                    traits,
                    backing,
                    name: Name::Heap,
                    file_offset: 0,
                });
                start = stop;
            }
        }
        if start < end {
            let backing = anon((end - start).max(chunk), false)?;
            self.insert(Vma { start, end, perm: Perm::RW, traits, backing, name: Name::Heap, file_offset: 0 });
        }
        Ok(())
    }
}
