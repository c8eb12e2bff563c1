//! Messages about names: walking, opening, making, renaming, removing.

use super::wire::{Reader, Writer};
use super::{DEEP_PATH, FEW_FIDS, Fail, Fid, IO_HEAD, MAX_PATH, P9, Reply, Use, child, is_directory, length};
use tern_core::backend::fs::{Attr, FsError, Make, New, Node, Open};

/// Most names of a walk (`P9_MAXWELEM`).
const MAX_WALK: u16 = 16;
/// Of the flags of `open(2)`, as asm-generic numbers them.
const O_ACCMODE: u32 = 0o3;
const O_WRONLY: u32 = 0o1;
const O_RDWR: u32 = 0o2;
const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
const O_APPEND: u32 = 0o2000;
const O_DSYNC: u32 = 0o10000;
const O_DIRECTORY: u32 = 0o200000;
const O_SYNC: u32 = 0o4000000;
/// `unlinkat(2)`: a folder.
const AT_REMOVEDIR: u32 = 0x200;

fn how(flags: u32) -> Open {
    let on = |bit| flags & bit != 0;
    Open {
        read: matches!(flags & O_ACCMODE, 0 | O_RDWR),
        write: matches!(flags & O_ACCMODE, O_WRONLY | O_RDWR),
        append: on(O_APPEND),
        truncate: on(O_TRUNC),
        directory: on(O_DIRECTORY),
        exclusive: on(O_EXCL),
        sync: on(O_DSYNC | O_SYNC),
    }
}

impl P9 {
    pub(super) fn walk(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, new, count) = (r.u32()?, r.u32()?, r.u16()?);
        if count > MAX_WALK {
            return Err(FsError::EINVAL.into());
        }
        let fid = self.fid(number)?;
        let (mut path, uid) = (fid.path.clone(), fid.uid);
        if number == new && fid.usage != Use::Named {
            return Err(FsError::EBUSY.into());
        }
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(r.text()?);
        }
        let mut found: Vec<Attr> = Vec::new();
        for name in names {
            let mut step = || -> Result<Attr, FsError> {
                // Above the root is the root.
                if name == b".." {
                    path.pop();
                } else {
                    path = child(&path, name)?;
                }
                self.fs.stat(Node::Path(&path))
            };
            match step() {
                Ok(attr) => found.push(attr),
                // The guest sees how far it came; only the first name's error is one.
                Err(e) if found.is_empty() => return Err(e.into()),
                Err(_) => break,
            }
        }
        if found.len() == usize::from(count) {
            if number == new {
                self.check_path(&path)?;
                self.state.fids.entry(number).and_modify(|f| f.path = path);
            } else {
                self.insert(new, Fid { path, uid, usage: Use::Named })?;
            }
        }
        let mut w = Writer::default();
        w.u16(found.len() as u16);
        found.iter().for_each(|attr| w.qid(attr));
        Ok(w)
    }

    /// What a client may move at once; and the file's identity before.
    fn opened_reply(&self, attr: &Attr) -> Writer {
        let mut w = Writer::default();
        w.qid(attr);
        w.u32(self.state.msize - IO_HEAD);
        w
    }

    pub(super) fn open(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, flags) = (r.u32()?, r.u32()?);
        let fid = self.fid(number)?;
        if fid.usage != Use::Named {
            return Err(FsError::EBUSY.into());
        }
        let path = fid.path.clone();
        let attr = self.fs.stat(Node::Path(&path))?;
        let how = Open { directory: is_directory(&attr) || flags & O_DIRECTORY != 0, ..how(flags) };
        self.fs.close(number);
        self.fs.open(number, &path, how)?;
        self.state.fids.entry(number).and_modify(|f| f.usage = Use::Opened(how.into()));
        Ok(self.opened_reply(&attr))
    }

    pub(super) fn create(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, name, flags, mode, gid) = (r.u32()?, r.text()?, r.u32()?, r.u32()?, r.u32()?);
        let fid = self.fid(number)?;
        if fid.usage != Use::Named {
            return Err(FsError::EBUSY.into());
        }
        let (path, uid) = (child(&fid.path, name)?, fid.uid);
        let how = Open { directory: false, ..how(flags) };
        self.fs.close(number);
        self.fs.create(number, &path, how, New { mode, uid, gid })?;
        self.state.fids.insert(number, Fid { path, uid, usage: Use::Opened(how.into()) });
        let attr = self.attr(number)?;
        Ok(self.opened_reply(&attr))
    }

    /// Makes `name` in the folder of a fid; the new file's identity.
    fn make(&mut self, folder: u32, name: &[u8], what: Make<'_>, mode: u32, gid: u32) -> Reply {
        let fid = self.fid(folder)?;
        let (path, new) = (child(&fid.path, name)?, New { mode, uid: fid.uid, gid });
        self.fs.make(&path, what, new)?;
        let mut w = Writer::default();
        w.qid(&self.fs.stat(Node::Path(&path))?);
        Ok(w)
    }

    pub(super) fn symlink(&mut self, r: &mut Reader<'_>) -> Reply {
        let (folder, name, text, gid) = (r.u32()?, r.text()?, r.text()?, r.u32()?);
        self.make(folder, name, Make::Symlink(text), 0o777, gid)
    }

    pub(super) fn mknod(&mut self, r: &mut Reader<'_>) -> Reply {
        let (folder, name, mode) = (r.u32()?, r.text()?, r.u32()?);
        let (major, minor, gid) = (r.u32()?, r.u32()?, r.u32()?);
        self.make(folder, name, Make::Node(mode, (major, minor)), mode, gid)
    }

    pub(super) fn mkdir(&mut self, r: &mut Reader<'_>) -> Reply {
        let (folder, name, mode, gid) = (r.u32()?, r.text()?, r.u32()?, r.u32()?);
        self.make(folder, name, Make::Directory, mode, gid)
    }

    pub(super) fn link(&mut self, r: &mut Reader<'_>) -> Reply {
        let (folder, number, name) = (r.u32()?, r.u32()?, r.text()?);
        let (old, new) = (self.fid(number)?.path.clone(), child(&self.fid(folder)?.path, name)?);
        self.fs.link(&old, &new)?;
        Ok(Writer::default())
    }

    /// Renames, and tells the fids that are below.
    fn moved(&mut self, old: &[Vec<u8>], new: Vec<Vec<u8>>) -> Reply {
        if old.is_empty() {
            return Err(FsError::EBUSY.into());
        }
        let below = self.state.fids.values().filter_map(|fid| fid.path.strip_prefix(old));
        let longest = below.map(length).max().unwrap_or(0).saturating_add(length(&new));
        if longest > MAX_PATH && (longest > DEEP_PATH || self.state.fids.len() >= FEW_FIDS) {
            return Err(FsError::ENAMETOOLONG.into());
        }
        self.fs.rename(old, &new)?;
        for fid in self.state.fids.values_mut() {
            if let Some(rest) = fid.path.strip_prefix(old) {
                fid.path = new.iter().chain(rest).cloned().collect();
            }
        }
        Ok(Writer::default())
    }

    pub(super) fn rename(&mut self, r: &mut Reader<'_>) -> Reply {
        let (number, folder, name) = (r.u32()?, r.u32()?, r.text()?);
        let (old, new) = (self.fid(number)?.path.clone(), child(&self.fid(folder)?.path, name)?);
        self.moved(&old, new)
    }

    pub(super) fn rename_at(&mut self, r: &mut Reader<'_>) -> Reply {
        let (from, old, to, new) = (r.u32()?, r.text()?, r.u32()?, r.text()?);
        let (old, new) = (child(&self.fid(from)?.path, old)?, child(&self.fid(to)?.path, new)?);
        self.moved(&old, new)
    }

    pub(super) fn unlink_at(&mut self, r: &mut Reader<'_>) -> Reply {
        let (folder, name, flags) = (r.u32()?, r.text()?, r.u32()?);
        if flags & !AT_REMOVEDIR != 0 {
            return Err(FsError::EINVAL.into());
        }
        let path = child(&self.fid(folder)?.path, name)?;
        self.fs.remove(&path, flags & AT_REMOVEDIR != 0)?;
        Ok(Writer::default())
    }

    /// Removes the file and gives its fid back, which goes through in any case.
    pub(super) fn remove(&mut self, r: &mut Reader<'_>) -> Reply {
        let number = r.u32()?;
        let path = self.fid(number)?.path.clone();
        let removed = if path.is_empty() {
            Err(FsError::EBUSY)
        } else {
            self.fs.stat(Node::Path(&path)).and_then(|attr| self.fs.remove(&path, is_directory(&attr)))
        };
        self.give_back(number)?;
        removed?;
        Ok(Writer::default())
    }

    pub(super) fn clunk(&mut self, r: &mut Reader<'_>) -> Reply {
        let number = r.u32()?;
        self.give_back(number)?;
        Ok(Writer::default())
    }

    /// Ends a fid. What it was to write to an attribute takes effect now.
    fn give_back(&mut self, number: u32) -> Result<(), Fail> {
        let fid = self.state.fids.remove(&number).ok_or(FsError::ENOENT)?;
        self.state.locks.drop_fid(number);
        if matches!(fid.usage, Use::Attribute(_) | Use::NewAttribute { .. }) {
            self.count_attributes(self.attributes.saturating_sub(1));
        }
        match fid.usage {
            Use::Opened(_) => self.fs.close(number),
            Use::NewAttribute { name, size: 0, .. } => self.fs.remove_xattr(&fid.path, &name)?,
            Use::NewAttribute { name, flags, size, value } => {
                if value.len() != size as usize {
                    return Err(FsError::EINVAL.into());
                }
                self.fs.set_xattr(&fid.path, &name, &value, flags)?;
            }
            Use::Named | Use::Attribute(_) => {}
        }
        Ok(())
    }
}
