//! Record locks among the users of the device, as `fcntl(2)` has them: a process's locks of a file never conflict with each
//! other, and a new one replaces what it covers.

use serde::{Deserialize, Serialize};
use tern_core::backend::fs::FsError;
use tern_core::snapshot::{StateError, check};

/// Most locks.
const MOST: usize = 1 << 16;

/// A lock's kind, as messages number them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Kind {
    /// Others may read too.
    Read = 0,
    /// Nobody else.
    Write = 1,
    /// None.
    Unlock = 2,
}

impl Kind {
    pub(super) fn from_wire(kind: u8) -> Option<Kind> {
        [Kind::Read, Kind::Write, Kind::Unlock].into_iter().find(|k| *k as u8 == kind)
    }
}

/// Bytes of a file, from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Range {
    first: u64,
    last: u64,
}

impl Range {
    /// From messages: length 0 reaches to the end of all files.
    pub(super) fn new(start: u64, len: u64) -> Range {
        let last = if len == 0 { u64::MAX } else { start.saturating_add(len - 1) };
        Range { first: start, last }
    }

    /// Start and length.
    pub(super) fn wire(self) -> (u64, u64) {
        let len = if self.last == u64::MAX { 0 } else { self.last - self.first + 1 };
        (self.first, len)
    }

    fn meets(self, other: Range) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// A process: its number, and its machine's name.
pub(super) type Owner = (u32, Vec<u8>);

/// A lock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Lock {
    fid: u32,
    file: u64,
    pub(super) kind: Kind,
    pub(super) range: Range,
    pub(super) owner: Owner,
}

/// The answer to a request for a lock, as messages number them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// Granted.
    Success = 0,
    /// Somebody else has it; ask again.
    Blocked = 1,
}

/// All locks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Locks(Vec<Lock>);

impl Locks {
    /// A lock of somebody else that forbids this one.
    pub(super) fn conflict(&self, file: u64, kind: Kind, range: Range, owner: &Owner) -> Option<&Lock> {
        self.0.iter().find(|l| {
            let both_read = l.kind == Kind::Read && kind == Kind::Read;
            l.file == file && l.owner != *owner && l.range.meets(range) && !both_read && kind != Kind::Unlock
        })
    }

    /// Sets or clears a lock.
    ///
    /// # Errors
    /// `ENOLCK`: there are too many.
    pub(super) fn set(&mut self, fid: u32, file: u64, kind: Kind, range: Range, owner: Owner) -> Result<Answer, FsError> {
        if self.conflict(file, kind, range, &owner).is_some() {
            return Ok(Answer::Blocked);
        }
        if self.0.len() + 2 > MOST {
            return Err(FsError::ENOLCK);
        }
        let mut kept = Vec::with_capacity(self.0.len() + 2);
        for lock in self.0.drain(..) {
            if lock.file != file || lock.owner != owner || !lock.range.meets(range) {
                kept.push(lock);
                continue;
            }
            // What stands out on either side stays.
            if lock.range.first < range.first {
                let left = Range { first: lock.range.first, last: range.first - 1 };
                kept.push(Lock { range: left, ..lock.clone() });
            }
            if lock.range.last > range.last {
                let right = Range { first: range.last + 1, last: lock.range.last };
                kept.push(Lock { range: right, ..lock });
            }
        }
        if kind != Kind::Unlock {
            kept.push(Lock { fid, file, kind, range, owner });
        }
        self.0 = kept;
        Ok(Answer::Success)
    }

    /// Forgets the locks that were made through a fid.
    pub(super) fn drop_fid(&mut self, fid: u32) {
        self.0.retain(|l| l.fid != fid);
    }

    /// Are they what locks can be?
    pub(super) fn check(&self) -> Result<(), StateError> {
        let right = self.0.iter().all(|l| l.kind != Kind::Unlock && l.range.first <= l.range.last);
        check(right && self.0.len() <= MOST, "locks", || format!("{} locks", self.0.len()))
    }
}
