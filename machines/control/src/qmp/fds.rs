//! Descriptors that clients send along with their commands (QEMU QMP Reference Manual, `getfd`, `add-fd`).

use super::command::Error;
use super::commands::misc::{AddedFd, FdInfo, FdsetInfo};
use std::collections::{BTreeMap, VecDeque};
use tern_host::chardev::Descriptor;

/// Most descriptors that wait for a command that takes them.
const WAITING: usize = 64;

/// A descriptor of a set, with what its sender says of it.
struct Member {
    fd: Descriptor,
    opaque: Option<String>,
}

/// Descriptors: those that have come and wait for a command that takes them, and those in sets.
#[derive(Default)]
pub struct Fds {
    waiting: VecDeque<Descriptor>,
    sets: BTreeMap<i64, Vec<Member>>,
}

/// The descriptor's number.
#[cfg(unix)]
fn number(fd: &Descriptor) -> i64 {
    std::os::fd::AsRawFd::as_raw_fd(fd).into()
}

#[cfg(not(unix))]
fn number(fd: &Descriptor) -> i64 {
    match *fd {}
}

impl Fds {
    /// These have come; the oldest of too many are closed.
    pub fn receive(&mut self, fds: Vec<Descriptor>) {
        self.waiting.extend(fds);
        let more = self.waiting.len().saturating_sub(WAITING);
        self.waiting.drain(..more);
    }

    /// The one that came with a command.
    ///
    /// # Errors
    /// None came.
    pub fn take(&mut self) -> Result<Descriptor, Error> {
        self.waiting.pop_front().ok_or_else(|| Error::new("No file descriptor supplied via SCM_RIGHTS"))
    }

    /// Puts the one that came with a command into a set: this one, or a new one.
    ///
    /// # Errors
    /// None came, or the set's number is none.
    pub fn add(&mut self, set: Option<i64>, opaque: Option<String>) -> Result<AddedFd, Error> {
        let fd = self.take()?;
        if set.is_some_and(|set| set < 0) {
            return Err(Error::new("Parameter 'fdset-id' expects a non-negative value"));
        }
        let set = set.or_else(|| (0..).find(|n| !self.sets.contains_key(n))).unwrap_or(0);
        let added = AddedFd { fdset_id: set, fd: number(&fd) };
        self.sets.entry(set).or_default().push(Member { fd, opaque });
        Ok(added)
    }

    /// Takes a descriptor out of a set and closes it, or all of them.
    ///
    /// # Errors
    /// There is none of this number.
    pub fn remove(&mut self, set: i64, fd: Option<i64>) -> Result<(), Error> {
        let members = self.sets.get_mut(&set);
        let before = members.as_ref().map_or(0, |m| m.len());
        if let Some(members) = members {
            members.retain(|m| fd.is_some_and(|fd| fd != number(&m.fd)));
            if members.len() < before {
                self.sets.retain(|_, members| !members.is_empty());
                return Ok(());
            }
        }
        let fd = fd.map_or(String::new(), |fd| format!(", fd:{fd}"));
        Err(Error::new(format!("File descriptor named 'fdset-id:{set}{fd}' not found")))
    }

    /// The sets.
    #[must_use]
    pub fn list(&self) -> Vec<FdsetInfo> {
        let info = |m: &Member| FdInfo { fd: number(&m.fd), opaque: m.opaque.clone() };
        let sets = self.sets.iter();
        sets.map(|(id, members)| FdsetInfo { fdset_id: *id, fds: members.iter().map(info).collect() }).collect()
    }

    /// What opens the first descriptor of the set that a name means (`/dev/fdset/3`).
    #[must_use]
    pub fn path(&self, name: &str) -> Option<String> {
        let set: i64 = name.strip_prefix("/dev/fdset/")?.parse().ok()?;
        Some(format!("/dev/fd/{}", number(&self.sets.get(&set)?.first()?.fd)))
    }
}
