//! Messages about contents and status: reading, writing, folders, attributes, locks.

use super::locks::{Kind, Range};
use super::wire::{Reader, Writer};
use super::{Fail, Fid, P9, Reply, Use};
use tern_core::backend::fs::{Attr, FsError, Node, SetAttr, SetTime, Stamp};

/// Largest value of an extended attribute in bytes (`XATTR_SIZE_MAX`).
pub(super) const MAX_XATTR: u32 = 1 << 16;
/// Flags of a new attribute: it must not exist yet, it must exist.
const XATTR_CREATE: u32 = 1;
const XATTR_REPLACE: u32 = 2;
/// What Tgetattr's mask calls the fields of `stat(2)`.
const BASIC: u64 = 0x7ff;
/// Bytes of an entry of a folder besides its name: qid, place, type, length of the name.
const ENTRY: usize = 13 + 8 + 1 + 2;

/// Bits of Tsetattr's mask.
mod set {
    pub(super) const MODE: u32 = 1;
    pub(super) const UID: u32 = 2;
    pub(super) const GID: u32 = 4;
    pub(super) const SIZE: u32 = 8;
    pub(super) const ATIME: u32 = 0x10;
    pub(super) const MTIME: u32 = 0x20;
    pub(super) const ATIME_SET: u32 = 0x80;
    pub(super) const MTIME_SET: u32 = 0x100;
}

/// A device number as Linux' `new_encode_dev` has it.
fn dev((major, minor): (u32, u32)) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

fn put_attr(w: &mut Writer, mask: u64, attr: &Attr) {
    w.u64(mask & BASIC);
    w.qid(attr);
    for field in [attr.mode, attr.uid, attr.gid] {
        w.u32(field);
    }
    for field in [attr.nlink, dev(attr.rdev), attr.size, attr.blksize, attr.blocks] {
        w.u64(field);
    }
    for time in [attr.atime, attr.mtime, attr.ctime] {
        w.u64(time.sec.cast_unsigned());
        w.u64(u64::from(time.nsec));
    }
    // Not in the mask: time of birth, generation, version of the data.
    for _ in 0..4 {
        w.u64(0);
    }
}

impl P9 {
    pub(super) fn read_link(&mut self, r: &mut Reader<'_>) -> Reply {
        let number = r.u32()?;
        let path = &self.state.fids.get(&number).ok_or(FsError::ENOENT)?.path;
        let mut w = Writer::default();
        w.text(&self.fs.read_link(path)?);
        Ok(w)
    }

    pub(super) fn get_attr(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, mask) = (r.u32()?, r.u64()?);
        let attr = self.attr(number)?;
        let mut w = Writer::default();
        put_attr(&mut w, mask, &attr);
        Ok(w)
    }

    pub(super) fn set_attr(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, valid) = (r.u32()?, r.u32()?);
        let (mode, uid, gid, size) = (r.u32()?, r.u32()?, r.u32()?, r.u64()?);
        let mut time = |bit: u32, given: u32| -> Result<Option<SetTime>, Fail> {
            let at = Stamp { sec: r.u64()?.cast_signed(), nsec: r.u64()?.min(999_999_999) as u32 };
            let set = if valid & given != 0 { SetTime::At(at) } else { SetTime::Now };
            Ok((valid & bit != 0).then_some(set))
        };
        let (atime, mtime) = (time(set::ATIME, set::ATIME_SET)?, time(set::MTIME, set::MTIME_SET)?);
        let on = |bit: u32| valid & bit != 0;
        let change = SetAttr {
            mode: on(set::MODE).then_some(mode),
            uid: on(set::UID).then_some(uid),
            gid: on(set::GID).then_some(gid),
            size: on(set::SIZE).then_some(size),
            atime,
            mtime,
        };
        let fid = self.state.fids.get(&number).ok_or(FsError::ENOENT)?;
        let node = match fid.usage {
            Use::Opened(_) => Node::Open(number),
            _ => Node::Path(&fid.path),
        };
        self.fs.set_attr(node, &change)?;
        Ok(Writer::default())
    }

    pub(super) fn stat_fs(&mut self, r: &mut Reader<'_>) -> Reply {
        let number = r.u32()?;
        let path = &self.state.fids.get(&number).ok_or(FsError::ENOENT)?.path;
        let s = self.fs.stat_fs(path)?;
        let mut w = Writer::default();
        w.u32(s.kind);
        w.u32(s.bsize);
        for field in [s.blocks, s.bfree, s.bavail, s.files, s.ffree, s.fsid] {
            w.u64(field);
        }
        w.u32(s.namelen);
        Ok(w)
    }

    pub(super) fn read(&mut self, r: &mut Reader<'_>, room: usize) -> Reply {
        let (number, offset, count) = (r.u32()?, r.u64()?, r.u32()?);
        let most = (count as usize).min(room.saturating_sub(4));
        let mut w = Writer::default();
        w.u32(0);
        let n = match &self.fid(number)?.usage {
            Use::Opened(how) if how.directory => return Err(FsError::EISDIR.into()),
            Use::Opened(_) => self.fs.read(number, offset, w.space(most))?,
            Use::Attribute(value) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(value.len());
                let part = &value[from..value.len().min(from.saturating_add(most))];
                w.put(part);
                part.len()
            }
            Use::Named | Use::NewAttribute { .. } => return Err(FsError::EBADF.into()),
        };
        w.truncate(4 + n);
        w.patch(0, n as u32);
        Ok(w)
    }

    pub(super) fn write(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, offset, count) = (r.u32()?, r.u64()?, r.u32()?);
        let bytes = r.bytes(count as usize)?;
        let fid = self.state.fids.get_mut(&number).ok_or(FsError::ENOENT)?;
        let n = match &mut fid.usage {
            Use::Opened(_) => self.fs.write(number, offset, bytes)?,
            Use::NewAttribute { size, value, .. } => {
                if offset != value.len() as u64 || value.len() + bytes.len() > *size as usize {
                    return Err(FsError::ENOSPC.into());
                }
                value.extend(bytes);
                bytes.len()
            }
            Use::Named | Use::Attribute(_) => return Err(FsError::EBADF.into()),
        };
        let mut w = Writer::default();
        w.u32(n as u32);
        Ok(w)
    }

    pub(super) fn read_dir(&mut self, r: &mut Reader<'_>, room: usize) -> Reply {
        let (number, offset, count) = (r.u32()?, r.u64()?, r.u32()?);
        let most = (count as usize).min(room.saturating_sub(4));
        match self.fid(number)?.usage {
            Use::Opened(how) if how.directory => {}
            Use::Opened(_) => return Err(FsError::ENOTDIR.into()),
            _ => return Err(FsError::EBADF.into()),
        }
        let entries = self.fs.read_dir(number, offset, most)?;
        let mut w = Writer::default();
        w.u32(0);
        for entry in &entries {
            if w.len() - 4 + ENTRY + entry.name.len() > most {
                break;
            }
            w.short_qid(entry.kind, entry.ino);
            w.u64(entry.next);
            w.u8((entry.kind >> 12) as u8);
            w.text(&entry.name);
        }
        let n = w.len() - 4;
        if n == 0 && !entries.is_empty() {
            // No room for one entry would look like the end of the folder.
            return Err(FsError::EINVAL.into());
        }
        w.patch(0, n as u32);
        Ok(w)
    }

    pub(super) fn fsync(&mut self, r: &mut Reader<'_>) -> Reply {
        let number = r.u32()?;
        // Early clients do not say.
        let data_only = !r.is_empty() && r.u32()? != 0;
        match self.fid(number)?.usage {
            Use::Opened(_) => self.fs.sync(number, data_only)?,
            _ => return Err(FsError::EBADF.into()),
        }
        Ok(Writer::default())
    }

    /// The file's number, for locks.
    fn lock_target(&mut self, number: u32) -> Result<u64, FsError> {
        match self.fid(number)?.usage {
            Use::Opened(_) => Ok(self.attr(number)?.ino),
            _ => Err(FsError::EBADF),
        }
    }

    pub(super) fn lock(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, kind, _flags) = (r.u32()?, r.u8()?, r.u32()?);
        let range = Range::new(r.u64()?, r.u64()?);
        let owner = (r.u32()?, r.text()?.to_vec());
        let kind = Kind::from_wire(kind).ok_or(FsError::EINVAL)?;
        let file = self.lock_target(number)?;
        let mut w = Writer::default();
        w.u8(self.state.locks.set(number, file, kind, range, owner)? as u8);
        Ok(w)
    }

    pub(super) fn get_lock(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, kind) = (r.u32()?, r.u8()?);
        let range = Range::new(r.u64()?, r.u64()?);
        let owner = (r.u32()?, r.text()?.to_vec());
        let wanted = Kind::from_wire(kind).ok_or(FsError::EINVAL)?;
        let file = self.lock_target(number)?;
        let mut w = Writer::default();
        let (kind, range, owner) = match self.state.locks.conflict(file, wanted, range, &owner) {
            Some(lock) => (lock.kind, lock.range, lock.owner.clone()),
            None => (Kind::Unlock, range, owner),
        };
        w.u8(kind as u8);
        let (start, len) = range.wire();
        w.u64(start);
        w.u64(len);
        w.u32(owner.0);
        w.text(&owner.1);
        Ok(w)
    }

    /// A fid that reads an attribute of a file, or for an empty name the names of all; its size.
    pub(super) fn xattr_walk(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, new, name) = (r.u32()?, r.u32()?, r.text()?);
        let fid = self.fid(number)?;
        let (path, uid) = (fid.path.clone(), fid.uid);
        if self.state.fids.contains_key(&new) {
            return Err(FsError::EINVAL.into());
        }
        let value = self.fs.xattr(&path, name)?;
        let mut w = Writer::default();
        w.u64(value.len() as u64);
        self.one_more_attribute()?;
        let inserted = self.insert(new, Fid { path, uid, usage: Use::Attribute(value) });
        if inserted.is_err() {
            self.count_attributes(self.attributes - 1);
        }
        inserted?;
        Ok(w)
    }

    /// Makes a fid one that writes an attribute.
    pub(super) fn xattr_create(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, name, size, flags) = (r.u32()?, r.text()?.to_vec(), r.u64()?, r.u32()?);
        if flags & !(XATTR_CREATE | XATTR_REPLACE) != 0 || name.is_empty() || name.contains(&0) {
            return Err(FsError::EINVAL.into());
        }
        if size > u64::from(MAX_XATTR) {
            return Err(FsError::E2BIG.into());
        }
        if self.fid(number)?.usage != Use::Named {
            return Err(FsError::EBUSY.into());
        }
        self.one_more_attribute()?;
        let usage = Use::NewAttribute { name, flags, size: size as u32, value: Vec::new() };
        self.state.fids.entry(number).and_modify(|fid| fid.usage = usage);
        Ok(Writer::default())
    }
}
