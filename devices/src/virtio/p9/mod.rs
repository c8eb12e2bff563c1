//! virtio-9p: a folder of the host, by the protocol 9P2000.L.
//!
//! The transport is virtio 1.2, 5.x (device ID 9) and Linux' `include/net/9p`; the messages are those of 9P2000 (Plan 9's
//! manual, section 5) and of its dialect `.L` (the diod project's `protocol.md`). A request is served when it is taken from
//! the queue, unless the backend cannot do it now (`EINTR`): it then waits, is tried again every millisecond, and may be
//! flushed.
//!
//! A *fid* is the guest's number for a file; the backend knows open ones by the same number. Locks are kept here, among the
//! users of this device: other processes of the host do not see them.

mod data;
mod files;
mod locks;
#[cfg(test)]
mod tests;
mod wire;

use super::{Broken, Chain, Cx, VirtioDevice};
use crate::model::{Prop, PropKind};
use locks::Locks;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tern_core::backend::fs::{Attr, FileSystem, FsError, Node, Open, mode};
use tern_core::snapshot::{self, StateError, check};
use tern_core::time::Clock;
use wire::{Reader, Writer};

crate::virtio_part! {
    9, "virtio-9p", [], Storage, class 0x01_8000, legacy 0x1009,
    "virtio 9P: shares a folder of the host (9P2000.L)",
    [
        Prop::new("fsdev", PropKind::Link("fsdev"), "the folder"),
        Prop::new("mount_tag", PropKind::Text(""), "the name by which the guest mounts it"),
    ],
    None, |wants| {
        let tag = wants.props.text("mount_tag").to_owned();
        if tag.len() > 32 {
            return Err("mount_tag must have 1 to 32 bytes".to_owned());
        }
        Ok(Box::new(P9::new(wants.folder("fsdev")?, &tag)))
    }
}

/// Feature: the configuration space has a mount tag.
const MOUNT_TAG: u64 = 1;
/// Entries of the queue.
const QUEUE: u16 = 128;
/// Largest message in bytes that is agreed to.
const MAX_MSIZE: u32 = 1 << 20;
/// Smallest one: a header, a longest name, some data.
const MIN_MSIZE: u32 = 4096;
/// Length of a message's head: size, type, tag.
const HEAD: usize = 7;
/// What a reply to a read or a write has besides its data.
const IO_HEAD: u32 = 24;
/// Most fids.
const MAX_FIDS: usize = 1 << 18;
/// Longest path in bytes that any fid may have (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// Longest path of a client that has few fids: clients go down name by name, and host folders know no limit.
const DEEP_PATH: usize = 1 << 17;
/// What few is.
const FEW_FIDS: usize = 4096;
/// After how many nanoseconds a request is tried again.
const AGAIN_AFTER: u64 = 1_000_000;
/// Token of the event for that.
const AGAIN: u32 = 0;
/// No fid, no tag, no user.
const NOBODY: u32 = u32::MAX;

/// Message types; the reply's is one more.
mod message {
    pub(super) const RLERROR: u8 = 7;
    pub(super) const STATFS: u8 = 8;
    pub(super) const LOPEN: u8 = 12;
    pub(super) const LCREATE: u8 = 14;
    pub(super) const SYMLINK: u8 = 16;
    pub(super) const MKNOD: u8 = 18;
    pub(super) const RENAME: u8 = 20;
    pub(super) const READLINK: u8 = 22;
    pub(super) const GETATTR: u8 = 24;
    pub(super) const SETATTR: u8 = 26;
    pub(super) const XATTRWALK: u8 = 30;
    pub(super) const XATTRCREATE: u8 = 32;
    pub(super) const READDIR: u8 = 40;
    pub(super) const FSYNC: u8 = 50;
    pub(super) const LOCK: u8 = 52;
    pub(super) const GETLOCK: u8 = 54;
    pub(super) const LINK: u8 = 70;
    pub(super) const MKDIR: u8 = 72;
    pub(super) const RENAMEAT: u8 = 74;
    pub(super) const UNLINKAT: u8 = 76;
    pub(super) const VERSION: u8 = 100;
    pub(super) const AUTH: u8 = 102;
    pub(super) const ATTACH: u8 = 104;
    pub(super) const FLUSH: u8 = 108;
    pub(super) const WALK: u8 = 110;
    pub(super) const READ: u8 = 116;
    pub(super) const WRITE: u8 = 118;
    pub(super) const CLUNK: u8 = 120;
    pub(super) const REMOVE: u8 = 122;
}

/// How a file is open, saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct How {
    read: bool,
    write: bool,
    append: bool,
    directory: bool,
    sync: bool,
}

impl From<Open> for How {
    fn from(how: Open) -> How {
        let Open { read, write, append, directory, sync, .. } = how;
        How { read, write, append, directory, sync }
    }
}

impl From<How> for Open {
    fn from(how: How) -> Open {
        let How { read, write, append, directory, sync } = how;
        Open { read, write, append, directory, sync, ..Open::default() }
    }
}

/// What a fid is used for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Use {
    /// It names a file.
    Named,
    /// The file is open.
    Opened(How),
    /// It reads the value of an attribute, or the list of attributes.
    Attribute(Vec<u8>),
    /// It writes the value of an attribute, which takes effect when the fid is given back.
    NewAttribute { name: Vec<u8>, flags: u32, size: u32, value: Vec<u8> },
}

/// A fid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Fid {
    path: Vec<Vec<u8>>,
    /// The user that it acts for.
    uid: u32,
    usage: Use,
}

/// A request that the backend could not do yet.
#[derive(Clone, Serialize, Deserialize)]
struct Waiting {
    tag: u16,
    /// As it was taken from the queue.
    chain: Chain,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    /// 0: no version was agreed on.
    msize: u32,
    fids: BTreeMap<u32, Fid>,
    locks: Locks,
    waiting: Vec<Waiting>,
}

/// Why there is no proper reply.
enum Fail {
    /// The answer is this error.
    Errno(FsError),
    /// None yet: the request waits.
    Later,
    /// The message is shorter than its type says.
    Short,
}

impl From<FsError> for Fail {
    fn from(e: FsError) -> Fail {
        Fail::Errno(e)
    }
}

type Reply = Result<Writer, Fail>;

/// The device.
pub struct P9 {
    fs: Box<dyn FileSystem>,
    tag: Vec<u8>,
    state: State,
    /// How many fids hold attributes.
    attributes: usize,
    /// A state was loaded: the numbers that the backend has open from before, to be replaced by those of the state.
    stale: Option<Vec<u32>>,
}

impl P9 {
    /// Shares `fs`; guests mount it by `tag`, of which 65535 bytes count.
    #[must_use]
    pub fn new(fs: Box<dyn FileSystem>, tag: &str) -> P9 {
        let tag = tag.bytes().take(usize::from(u16::MAX)).collect();
        P9 { fs, tag, state: State::default(), attributes: 0, stale: None }
    }

    /// Serves one request, or lets it wait.
    fn request(&mut self, cx: &mut Cx<'_>, mut chain: Chain) -> Result<(), Broken> {
        let taken = chain.clone();
        let len = chain.readable().min(u64::from(MAX_MSIZE) + 1) as usize;
        let mut bytes = vec![0; len];
        let len = cx.read(&mut chain, &mut bytes)?;
        let Some((head, body)) = bytes[..len].split_first_chunk::<HEAD>() else {
            return Err(cx.broken(format_args!("message of {len} bytes")));
        };
        let [s0, s1, s2, s3, kind, t0, t1] = *head;
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let limit = if self.state.msize == 0 { MAX_MSIZE } else { self.state.msize };
        let room = chain.writable().min(u64::from(limit)) as usize;
        let reply = match size.checked_sub(HEAD).and_then(|n| body.get(..n)) {
            Some(body) if size <= limit as usize => {
                self.abandon(cx, kind, body);
                self.serve(cx, kind, &mut Reader::new(body), room.saturating_sub(HEAD))
            }
            _ => {
                cx.kit.report.guest_error(format_args!("message of {len} bytes says that it has {size}"));
                Err(FsError::EPROTO.into())
            }
        };
        let reply = reply.and_then(|reply| {
            // A reply that the guest has no room for must not reach it cut off.
            if reply.len() + HEAD <= room { Ok((kind.wrapping_add(1), reply)) } else { Err(FsError::ERANGE.into()) }
        });
        let errno = match reply {
            Ok((kind, body)) => return P9::answer(cx, &mut chain, [kind, t0, t1], &body),
            Err(Fail::Later) if self.state.waiting.len() < usize::from(QUEUE) => {
                self.state.waiting.push(Waiting { tag: u16::from_le_bytes([t0, t1]), chain: taken });
                cx.kit.clock.schedule(AGAIN, cx.kit.clock.now().saturating_add(AGAIN_AFTER));
                return Ok(());
            }
            Err(Fail::Later) => FsError::EINTR,
            Err(Fail::Errno(e)) => e,
            Err(Fail::Short) => {
                cx.kit.report.guest_error(format_args!("message {kind} of {size} bytes is too short"));
                FsError::EPROTO
            }
        };
        let mut error = Writer::default();
        error.u32(u32::from(errno.0));
        P9::answer(cx, &mut chain, [message::RLERROR, t0, t1], &error)
    }

    /// Sends a reply: type and tag, and its body.
    fn answer(cx: &mut Cx<'_>, chain: &mut Chain, [kind, t0, t1]: [u8; 3], body: &Writer) -> Result<(), Broken> {
        let total = (body.len() + HEAD) as u64;
        if total > chain.writable() {
            return Err(cx.broken(format_args!("no room for a reply of {total} bytes")));
        }
        let [l0, l1, l2, l3] = (total as u32).to_le_bytes();
        cx.write(chain, &[l0, l1, l2, l3, kind, t0, t1])?;
        cx.write(chain, body.bytes())?;
        cx.push(0, chain);
        Ok(())
    }

    /// Gives up requests that wait, if the message asks for it: of one tag, or all at the start of a session.  Their buffers
    /// go back before the answer, and without one.
    fn abandon(&mut self, cx: &mut Cx<'_>, kind: u8, body: &[u8]) {
        let tag = body.first_chunk::<2>().map(|tag| u16::from_le_bytes(*tag));
        let all = kind == message::VERSION;
        if !all && kind != message::FLUSH {
            return;
        }
        self.state.waiting.retain(|w| {
            let go = all || Some(w.tag) == tag;
            if go {
                cx.push(0, &w.chain);
            }
            !go
        });
    }

    /// The body of the reply, at most `room` bytes if it is data.
    fn serve(&mut self, cx: &mut Cx<'_>, kind: u8, r: &mut Reader<'_>, room: usize) -> Reply {
        self.restore();
        if self.state.msize == 0 && kind != message::VERSION {
            cx.kit.report.guest_error(format_args!("message {kind} before a version was agreed on"));
            return Err(FsError::EPROTO.into());
        }
        match kind {
            message::VERSION => self.version(r),
            message::AUTH => Err(FsError::EOPNOTSUPP.into()),
            message::ATTACH => self.attach(r),
            // What it wants to see flushed has been answered or given up.
            message::FLUSH => r.u16().map(|_| Writer::default()),
            message::WALK => self.walk(r),
            message::LOPEN => self.open(r),
            message::LCREATE => self.create(r),
            message::SYMLINK => self.symlink(r),
            message::MKNOD => self.mknod(r),
            message::MKDIR => self.mkdir(r),
            message::LINK => self.link(r),
            message::RENAME => self.rename(r),
            message::RENAMEAT => self.rename_at(r),
            message::UNLINKAT => self.unlink_at(r),
            message::REMOVE => self.remove(r),
            message::CLUNK => self.clunk(r),
            message::READLINK => self.read_link(r),
            message::GETATTR => self.get_attr(r),
            message::SETATTR => self.set_attr(r),
            message::STATFS => self.stat_fs(r),
            message::READ => self.read(r, room).map_err(later),
            message::WRITE => self.write(r).map_err(later),
            message::READDIR => self.read_dir(r, room),
            message::FSYNC => self.fsync(r),
            message::LOCK => self.lock(r),
            message::GETLOCK => self.get_lock(r),
            message::XATTRWALK => self.xattr_walk(r),
            message::XATTRCREATE => self.xattr_create(r),
            other => {
                cx.kit.report.unimplemented(format_args!("message type {other}"));
                Err(FsError::EOPNOTSUPP.into())
            }
        }
    }

    /// Forgets everything that the guest has.
    fn forget(&mut self) {
        let mut handles = self.stale.take().unwrap_or_default();
        handles.extend(self.opened());
        handles.into_iter().for_each(|handle| self.fs.close(handle));
        self.state = State::default();
        self.count_attributes(0);
    }

    /// This many fids hold attributes now.
    fn count_attributes(&mut self, count: usize) {
        self.attributes = count;
        self.fs.xattrs_in_transfer(count);
    }

    /// One more fid holds an attribute, if it may.
    fn one_more_attribute(&mut self) -> Result<(), FsError> {
        if self.fs.xattr_limit().is_some_and(|most| self.attributes >= most as usize) {
            return Err(FsError::ENOSPC);
        }
        self.count_attributes(self.attributes + 1);
        Ok(())
    }

    /// The fids of open files.
    fn opened(&self) -> impl Iterator<Item = u32> + '_ {
        self.state.fids.iter().filter(|(_, f)| matches!(f.usage, Use::Opened(_))).map(|(n, _)| *n)
    }

    /// Opens the files of a loaded state. One that is gone by now fails when it is used.
    fn restore(&mut self) {
        let Some(stale) = self.stale.take() else { return };
        for handle in stale {
            self.fs.close(handle);
        }
        self.fs.xattrs_in_transfer(self.attributes);
        for (number, fid) in &self.state.fids {
            if let Use::Opened(how) = fid.usage {
                let _ = self.fs.open(*number, &fid.path, how.into());
            }
        }
    }

    fn version(&mut self, r: &mut Reader<'_>) -> Reply {
        let (msize, version) = (r.u32()?, r.text()?);
        self.forget();
        let mut w = Writer::default();
        if msize < MIN_MSIZE {
            return Err(FsError::EINVAL.into());
        }
        let msize = msize.min(MAX_MSIZE);
        w.u32(msize);
        if version == b"9P2000.L" {
            self.state.msize = msize;
            w.text(version);
        } else {
            w.text(b"unknown");
        }
        Ok(w)
    }

    /// A new fid for the root.
    fn attach(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, afid) = (r.u32()?, r.u32()?);
        // There is one tree, whatever the guest calls it.
        let (_user, _tree) = (r.text()?, r.text()?);
        let uid = r.u32()?;
        if afid != NOBODY {
            return Err(FsError::EINVAL.into());
        }
        let attr = self.fs.stat(Node::Path(&[]))?;
        self.insert(number, Fid { path: Vec::new(), uid, usage: Use::Named })?;
        let mut w = Writer::default();
        w.qid(&attr);
        Ok(w)
    }

    fn insert(&mut self, number: u32, fid: Fid) -> Result<(), FsError> {
        if number == NOBODY || self.state.fids.contains_key(&number) {
            return Err(FsError::EINVAL);
        }
        if self.state.fids.len() >= MAX_FIDS {
            return Err(FsError::ENFILE);
        }
        self.check_path(&fid.path)?;
        self.state.fids.insert(number, fid);
        Ok(())
    }

    /// May a fid have this path?
    fn check_path(&self, path: &[Vec<u8>]) -> Result<(), FsError> {
        let few = self.state.fids.len() < FEW_FIDS;
        if few || length(path) < MAX_PATH { Ok(()) } else { Err(FsError::ENAMETOOLONG) }
    }

    /// A fid; one that the client does not have is `ENOENT`, as in QEMU's server.
    fn fid(&self, number: u32) -> Result<&Fid, FsError> {
        self.state.fids.get(&number).ok_or(FsError::ENOENT)
    }

    fn attr(&mut self, number: u32) -> Result<Attr, FsError> {
        let fid = self.state.fids.get(&number).ok_or(FsError::ENOENT)?;
        match fid.usage {
            Use::Opened(_) => self.fs.stat(Node::Open(number)),
            _ => self.fs.stat(Node::Path(&fid.path)),
        }
    }
}

/// What the backend cannot do now waits.
fn later(fail: Fail) -> Fail {
    if matches!(fail, Fail::Errno(FsError::EINTR)) { Fail::Later } else { fail }
}

/// A path's length in bytes.
fn length(path: &[Vec<u8>]) -> usize {
    path.iter().map(|n| n.len() + 1).sum()
}

/// The path with one more name, if it is a name and the path is not too long.  What can be no file's name is not found.
fn child(path: &[Vec<u8>], name: &[u8]) -> Result<Vec<Vec<u8>>, FsError> {
    if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
        return Err(FsError::ENOENT);
    }
    if name == b"." || name == b".." {
        return Err(FsError::EINVAL);
    }
    if length(path) + name.len() >= DEEP_PATH {
        return Err(FsError::ENAMETOOLONG);
    }
    Ok(path.iter().cloned().chain([name.to_vec()]).collect())
}

impl VirtioDevice for P9 {
    fn kind(&self) -> &'static super::Kind {
        &KIND
    }

    fn features(&self) -> u64 {
        MOUNT_TAG
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE]
    }

    fn config(&self) -> Vec<u8> {
        let mut bytes = (self.tag.len() as u16).to_le_bytes().to_vec();
        bytes.extend(&self.tag);
        bytes
    }

    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        while let Some(chain) = cx.pop(queue)? {
            self.request(cx, chain)?;
        }
        Ok(())
    }

    fn queue_reset(&mut self, _queue: u16) {
        self.state.waiting.clear();
    }

    fn event(&mut self, cx: &mut Cx<'_>, _token: u32) -> Result<(), Broken> {
        core::mem::take(&mut self.state.waiting).into_iter().try_for_each(|w| self.request(cx, w.chain))
    }

    fn reset(&mut self, clock: &Clock) {
        clock.cancel(AGAIN);
        self.forget();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(KIND.mmio, 1, bytes)?;
        let msize = state.msize;
        check(msize == 0 || (MIN_MSIZE..=MAX_MSIZE).contains(&msize), "msize", || format!("{msize}"))?;
        check(state.fids.len() <= MAX_FIDS, "fids", || format!("{} of them", state.fids.len()))?;
        check(state.waiting.len() <= usize::from(QUEUE), "waiting", || format!("{} requests", state.waiting.len()))?;
        let mut attributes = 0;
        for (number, fid) in &state.fids {
            let names = fid.path.iter().try_for_each(|name| child(&[], name).map(|_| ()));
            names.map_err(|e| StateError::Field("path", format!("of fid {number}: {e}")))?;
            check(length(&fid.path) <= DEEP_PATH, "path", || format!("of fid {number}: {}", length(&fid.path)))?;
            attributes += usize::from(matches!(fid.usage, Use::Attribute(_) | Use::NewAttribute { .. }));
            check(*number != NOBODY, "fid", || format!("{number}"))?;
            if let Use::NewAttribute { size, value, .. } = &fid.usage {
                let fits = value.len() <= *size as usize && *size <= data::MAX_XATTR;
                check(fits, "attribute", || format!("{} of {size} bytes", value.len()))?;
            }
        }
        state.locks.check()?;
        // The old files are closed and the new ones opened when the guest goes on: loading touches no backend.
        let mut stale = self.stale.take().unwrap_or_default();
        stale.extend(self.opened());
        (self.state, self.attributes) = (state, attributes);
        self.stale = Some(stale);
        Ok(())
    }
}

/// Is it a folder?
fn is_directory(attr: &Attr) -> bool {
    attr.mode & mode::TYPE == mode::DIRECTORY
}
