//! A folder in memory.

use std::collections::BTreeMap;
use tern_core::backend::fs::{
    Attr, Entry, FileSystem, FsError, FsResult, Make, New, Node, Open, Path, SetAttr, SetTime, Stamp, StatFs, mode,
};

type Names = Vec<Vec<u8>>;

#[derive(Clone, Default)]
struct File {
    attr: Attr,
    /// Contents, or a link's text.
    data: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A folder in memory, for tests of what serves folders. Its clock stands still.
pub struct Folder {
    files: BTreeMap<u64, File>,
    names: BTreeMap<Names, u64>,
    handles: BTreeMap<u32, (u64, Names)>,
    next: u64,
}

impl Default for Folder {
    fn default() -> Folder {
        Folder::new()
    }
}

impl Folder {
    /// An empty one.
    #[must_use]
    pub fn new() -> Folder {
        let mut folder = Folder { files: BTreeMap::new(), names: BTreeMap::new(), handles: BTreeMap::new(), next: 1 };
        folder.add(Vec::new(), mode::DIRECTORY, New { mode: 0o755, ..New::default() });
        folder
    }

    /// How many files are open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.handles.len()
    }

    fn add(&mut self, path: Names, kind: u32, new: New) -> u64 {
        let ino = self.next;
        self.next += 1;
        let attr = Attr {
            ino,
            mode: kind | new.mode & 0o7777,
            nlink: 1,
            uid: new.uid,
            gid: new.gid,
            blksize: 4096,
            ..Attr::default()
        };
        self.files.insert(ino, File { attr, ..File::default() });
        self.names.insert(path, ino);
        ino
    }

    fn ino(&self, path: &Path) -> FsResult<u64> {
        self.names.get(path).copied().ok_or(FsError::ENOENT)
    }

    fn find(&mut self, node: Node<'_>) -> FsResult<&mut File> {
        let ino = match node {
            Node::Path(path) => self.ino(path)?,
            Node::Open(handle) => self.handles.get(&handle).ok_or(FsError::EBADF)?.0,
        };
        self.files.get_mut(&ino).ok_or(FsError::EIO)
    }

    /// May `path` be made?
    fn free(&self, path: &Path) -> FsResult<()> {
        let (_, parent) = path.split_last().ok_or(FsError::EEXIST)?;
        let parent = self.ino(parent)?;
        if self.files.get(&parent).is_none_or(|f| f.attr.mode & mode::TYPE != mode::DIRECTORY) {
            return Err(FsError::ENOTDIR);
        }
        if self.names.contains_key(path) { Err(FsError::EEXIST) } else { Ok(()) }
    }
}

impl FileSystem for Folder {
    fn stat(&mut self, node: Node<'_>) -> FsResult<Attr> {
        let file = self.find(node)?;
        let size = file.data.len() as u64;
        Ok(Attr { size, blocks: size.div_ceil(512), ..file.attr })
    }

    fn set_attr(&mut self, node: Node<'_>, set: &SetAttr) -> FsResult<()> {
        let file = self.find(node)?;
        if let Some(size) = set.size {
            if size > 1 << 20 {
                return Err(FsError::EFBIG);
            }
            file.data.resize(size as usize, 0);
        }
        let attr = &mut file.attr;
        attr.mode = set.mode.map_or(attr.mode, |m| attr.mode & mode::TYPE | m & 0o7777);
        attr.uid = set.uid.unwrap_or(attr.uid);
        attr.gid = set.gid.unwrap_or(attr.gid);
        let time = |old: Stamp, new: Option<SetTime>| match new {
            None => old,
            Some(SetTime::Now) => Stamp::default(),
            Some(SetTime::At(at)) => at,
        };
        (attr.atime, attr.mtime) = (time(attr.atime, set.atime), time(attr.mtime, set.mtime));
        Ok(())
    }

    fn read_link(&mut self, path: &Path) -> FsResult<Vec<u8>> {
        let file = self.find(Node::Path(path))?;
        if file.attr.mode & mode::TYPE == mode::SYMLINK { Ok(file.data.clone()) } else { Err(FsError::EINVAL) }
    }

    fn open(&mut self, handle: u32, path: &Path, how: Open) -> FsResult<()> {
        let ino = self.ino(path)?;
        let file = self.files.get_mut(&ino).ok_or(FsError::EIO)?;
        match file.attr.mode & mode::TYPE {
            mode::DIRECTORY if how.write => return Err(FsError::EISDIR),
            mode::DIRECTORY => {}
            mode::REGULAR if how.directory => return Err(FsError::ENOTDIR),
            mode::REGULAR => {}
            mode::SYMLINK => return Err(FsError::ELOOP),
            _ => return Err(FsError::ENXIO),
        }
        if how.truncate {
            file.data.clear();
        }
        self.handles.insert(handle, (ino, path.to_vec()));
        Ok(())
    }

    fn create(&mut self, handle: u32, path: &Path, how: Open, new: New) -> FsResult<()> {
        match self.free(path) {
            Err(FsError::EEXIST) if !how.exclusive => return self.open(handle, path, how),
            free => free?,
        }
        let ino = self.add(path.to_vec(), mode::REGULAR, new);
        self.handles.insert(handle, (ino, path.to_vec()));
        Ok(())
    }

    fn make(&mut self, path: &Path, what: Make<'_>, new: New) -> FsResult<()> {
        self.free(path)?;
        let kind = match what {
            Make::Directory => mode::DIRECTORY,
            Make::Symlink(_) => mode::SYMLINK,
            Make::Node(kind, _) => kind & mode::TYPE,
        };
        let ino = self.add(path.to_vec(), kind, new);
        if let Some(file) = self.files.get_mut(&ino) {
            match what {
                Make::Directory => {}
                Make::Symlink(text) => file.data = text.to_vec(),
                Make::Node(_, rdev) => file.attr.rdev = rdev,
            }
        }
        Ok(())
    }

    fn link(&mut self, old: &Path, new: &Path) -> FsResult<()> {
        self.free(new)?;
        let ino = self.ino(old)?;
        self.find(Node::Path(old))?.attr.nlink += 1;
        self.names.insert(new.to_vec(), ino);
        Ok(())
    }

    fn rename(&mut self, old: &Path, new: &Path) -> FsResult<()> {
        self.ino(old)?;
        if new.starts_with(old) {
            return if new == old { Ok(()) } else { Err(FsError::EINVAL) };
        }
        match self.free(new) {
            Err(FsError::EEXIST) => self.remove(new, false)?,
            free => free?,
        }
        let moved: Vec<Names> = self.names.keys().filter(|n| n.starts_with(old)).cloned().collect();
        for name in moved {
            if let Some(ino) = self.names.remove(&name) {
                self.names.insert(new.iter().chain(&name[old.len()..]).cloned().collect(), ino);
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path, directory: bool) -> FsResult<()> {
        let file = self.find(Node::Path(path))?;
        match (file.attr.mode & mode::TYPE == mode::DIRECTORY, directory) {
            (true, false) => return Err(FsError::EISDIR),
            (false, true) => return Err(FsError::ENOTDIR),
            _ => file.attr.nlink -= 1,
        }
        if self.names.keys().any(|n| n.len() > path.len() && n.starts_with(path)) {
            self.find(Node::Path(path))?.attr.nlink += 1;
            return Err(FsError::ENOTEMPTY);
        }
        self.names.remove(path);
        Ok(())
    }

    fn read(&mut self, handle: u32, offset: u64, buf: &mut [u8]) -> FsResult<usize> {
        let data = &self.find(Node::Open(handle))?.data;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
        let n = buf.len().min(data.len() - from);
        buf[..n].copy_from_slice(&data[from..from + n]);
        Ok(n)
    }

    fn write(&mut self, handle: u32, offset: u64, bytes: &[u8]) -> FsResult<usize> {
        let data = &mut self.find(Node::Open(handle))?.data;
        let end = usize::try_from(offset).ok().and_then(|o| o.checked_add(bytes.len())).filter(|e| *e <= 1 << 20);
        let end = end.ok_or(FsError::EFBIG)?;
        data.resize(data.len().max(end), 0);
        data[end - bytes.len()..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn read_dir(&mut self, handle: u32, from: u64, most: usize) -> FsResult<Vec<Entry>> {
        let (ino, path) = self.handles.get(&handle).ok_or(FsError::EBADF)?;
        let mut all = vec![(b".".to_vec(), *ino), (b"..".to_vec(), *ino)];
        let inside = self.names.iter().filter(|(n, _)| n.len() == path.len() + 1 && n.starts_with(path));
        all.extend(inside.filter_map(|(n, ino)| Some((n.last()?.clone(), *ino))));
        let mut room = most;
        let entries = all.into_iter().enumerate().skip(usize::try_from(from).unwrap_or(usize::MAX));
        let entries = entries.take_while(|(_, (name, _))| {
            let first = room == most;
            let fits = room >= name.len() + 24;
            room = room.saturating_sub(name.len() + 24);
            fits || first
        });
        let entries = entries.map(|(n, (name, ino))| {
            let kind = self.files.get(&ino).map_or(0, |f| f.attr.mode & mode::TYPE);
            Entry { ino, kind, next: n as u64 + 1, name }
        });
        Ok(entries.collect())
    }

    fn sync(&mut self, handle: u32, _data_only: bool) -> FsResult<()> {
        self.find(Node::Open(handle)).map(|_| ())
    }

    fn close(&mut self, handle: u32) {
        self.handles.remove(&handle);
    }

    fn stat_fs(&mut self, path: &Path) -> FsResult<StatFs> {
        self.ino(path)?;
        let files = self.files.len() as u64;
        Ok(StatFs { kind: 0x0102_1994, bsize: 4096, blocks: 256, files, namelen: 255, ..StatFs::default() })
    }

    fn xattr(&mut self, path: &Path, name: &[u8]) -> FsResult<Vec<u8>> {
        let file = self.find(Node::Path(path))?;
        if name.is_empty() {
            return Ok(file.xattrs.keys().flat_map(|n| n.iter().copied().chain([0])).collect());
        }
        file.xattrs.get(name).cloned().ok_or(FsError::ENODATA)
    }

    fn set_xattr(&mut self, path: &Path, name: &[u8], value: &[u8], flags: u32) -> FsResult<()> {
        let file = self.find(Node::Path(path))?;
        match (file.xattrs.contains_key(name), flags) {
            (true, 1) => return Err(FsError::EEXIST),
            (false, 2) => return Err(FsError::ENODATA),
            _ => file.xattrs.insert(name.to_vec(), value.to_vec()),
        };
        Ok(())
    }

    fn remove_xattr(&mut self, path: &Path, name: &[u8]) -> FsResult<()> {
        self.find(Node::Path(path))?.xattrs.remove(name).map(|_| ()).ok_or(FsError::ENODATA)
    }
}
