//! Mappings: one stretch of guest addresses with one protection and one backing.

use core::cell::RefCell;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use tern_core::mem::{HostSpan, PAGE_SIZE};
use tern_host::map::HostMap;

/// What the guest may do with a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Perm {
    /// Loads.
    pub read: bool,
    /// Stores (and loads: no architecture has write-only pages).
    pub write: bool,
    /// Instruction fetches.
    pub exec: bool,
}

impl Perm {
    /// No access.
    pub const NONE: Perm = Perm { read: false, write: false, exec: false };
    /// Loads only.
    pub const R: Perm = Perm { read: true, write: false, exec: false };
    /// Loads and stores.
    pub const RW: Perm = Perm { read: true, write: true, exec: false };
    /// Loads and fetches.
    pub const RX: Perm = Perm { read: true, write: false, exec: true };

    /// From `PROT_*` bits; others are the caller's to check.
    #[must_use]
    pub const fn from_prot(prot: u64) -> Perm {
        Perm { read: prot & 1 != 0, write: prot & 2 != 0, exec: prot & 4 != 0 }
    }
}

/// Properties of a mapping besides its protection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Traits {
    /// `MAP_SHARED`: writes reach the file and other processes.
    pub shared: bool,
    /// It may not be made writable: shared, of a file that was opened for reading.
    pub readonly_file: bool,
    /// It grows towards lower addresses when touched just below.
    pub grows_down: bool,
    /// `mlock`.
    pub locked: bool,
    /// `MADV_DONTFORK`: a child does not get it.
    pub dont_fork: bool,
    /// `MADV_WIPEONFORK`: a child gets zeros.
    pub wipe_on_fork: bool,
    /// `MADV_DONTDUMP`: not part of a core file.
    pub dont_dump: bool,
    /// `MAP_NORESERVE`.
    pub no_reserve: bool,
}

/// The file behind a mapping, for `/proc/self/maps`.
#[derive(Clone, Eq, Debug)]
pub struct FileId {
    /// Path as the host knows it.
    pub path: Vec<u8>,
    /// Device, major and minor.
    pub dev: (u32, u32),
    /// Inode.
    pub ino: u64,
    /// In a replay: its number among the recorded files, which may be one file at different times.  It does not make a
    /// difference to the guest.
    pub recorded: u32,
}

impl PartialEq for FileId {
    fn eq(&self, other: &FileId) -> bool {
        (self.ino, self.dev, &self.path) == (other.ino, other.dev, &other.path)
    }
}

/// What a mapping is called in `/proc/self/maps`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Name {
    /// Nothing.
    Anon,
    /// The brk area.
    Heap,
    /// The main thread's stack.
    Stack,
    /// The page with the signal trampoline.
    Vdso,
    /// A file.
    File(Rc<FileId>),
    /// Anonymous memory with a name from `PR_SET_VMA_ANON_NAME`.
    Named(Rc<Vec<u8>>),
    /// A System V segment, by identifier.
    SysV(i32),
}

/// Where a mapping's bytes are.
#[derive(Clone, Debug)]
pub enum Backing {
    /// In a host mapping, from this offset on.
    Host {
        /// The host mapping; several guest mappings may be parts of it.
        map: Rc<RefCell<HostMap>>,
        /// Where the guest mapping starts in it, in bytes.
        offset: u64,
    },
    /// Nowhere: behind the end of its file.  Accesses are bus errors until the file, whose descriptor is kept for shared
    /// mappings, has grown.
    Beyond(Option<Rc<HiddenFd>>),
}

/// A descriptor of tern's own, out of the guest's way; closed when dropped.
#[derive(Debug)]
pub struct HiddenFd(pub i32);

impl Drop for HiddenFd {
    fn drop(&mut self) {
        // The guest may have closed it (close_range up to the last number); there is nothing to do about an error then.
        let _ = tern_host::sys::file::close(self.0);
    }
}

/// A mapping.
#[derive(Clone, Debug)]
pub struct Vma {
    /// First address, a multiple of the page size.
    pub start: u64,
    /// End, a multiple of the page size.
    pub end: u64,
    /// What the guest may do.
    pub perm: Perm,
    /// Its properties.
    pub traits: Traits,
    /// Where its bytes are.
    pub backing: Backing,
    /// What it is called.
    pub name: Name,
    /// Position of `start` in the file, in bytes; zero for anonymous memory.
    pub file_offset: u64,
}

impl Vma {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Is it empty?  A mapping in the map never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Is it private memory of no file?
    #[must_use]
    pub fn is_private_anon(&self) -> bool {
        !self.traits.shared && !matches!(self.name, Name::File(_) | Name::SysV(_))
    }

    /// Does it count as data (`RLIMIT_DATA`): private, writable, no stack?
    #[must_use]
    pub fn is_data(&self) -> bool {
        self.perm.write && !self.traits.shared && !self.traits.grows_down
    }

    /// The page of host memory behind the page at `addr`, if there is any.
    #[must_use]
    pub fn span(&self, addr: u64) -> Option<HostSpan> {
        match &self.backing {
            Backing::Host { map, offset } => {
                let at = usize::try_from(offset + (addr - self.start)).ok()?;
                map.borrow().span().sub(at, PAGE_SIZE as usize)
            }
            Backing::Beyond(_) => None,
        }
    }

    /// The part from `at` (inside) on; `self` keeps what is before it.
    #[must_use]
    pub fn split_off(&mut self, at: u64) -> Vma {
        let delta = at - self.start;
        let mut tail = self.clone();
        tail.start = at;
        if matches!(self.name, Name::File(_) | Name::SysV(_)) {
            tail.file_offset += delta;
        }
        if let Backing::Host { offset, .. } = &mut tail.backing {
            *offset += delta;
        }
        self.end = at;
        tail
    }

    /// Does `next` continue this mapping in every respect, so that both may be one?
    #[must_use]
    pub fn continues_in(&self, next: &Vma) -> bool {
        let backing = match (&self.backing, &next.backing) {
            (Backing::Host { map: a, offset: x }, Backing::Host { map: b, offset: y }) => {
                Rc::ptr_eq(a, b) && x + self.len() == *y
            }
            (Backing::Beyond(a), Backing::Beyond(b)) => match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => Rc::ptr_eq(a, b),
                _ => false,
            },
            _ => false,
        };
        backing && self.looks_continued_in(next)
    }

    /// As [`Vma::continues_in`] as far as the guest can tell.
    #[must_use]
    pub fn looks_continued_in(&self, next: &Vma) -> bool {
        let offsets = match self.name {
            Name::File(_) | Name::SysV(_) => self.file_offset + self.len() == next.file_offset,
            _ => true,
        };
        let growth = Traits { grows_down: next.traits.grows_down, ..self.traits };
        self.end == next.start && self.perm == next.perm && growth == next.traits && self.name == next.name && offsets
    }
}
