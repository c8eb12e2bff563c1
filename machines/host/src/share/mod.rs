//! A folder of the host for a guest ([`FileSystem`]).
//!
//! Every path is resolved from the folder's descriptor, name by name or by `openat2(2)`, and no symbolic link is followed on
//! the way: whatever the guest or others on the host do to the folder, nothing outside of it is reached. Links are the
//! guest's to follow. Only files and folders are opened; special files of the host are not.

mod attr;
mod owner;

pub use owner::Security;

use crate::sys::file::{Dirents, Owned};
use crate::sys::{CWD, Errno, Fd, file, fs, host};
use owner::Owners;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::PathBuf;
use tern_core::backend::fs::{
    Attr, Entry, FileSystem, FsError, FsResult, Make, New, Node, Open, Path, SetAttr, StatFs, XATTR_LIMIT, mode,
};

/// What a folder is shared by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The folder.
    pub root: PathBuf,
    /// How owners and permissions are kept.
    pub security: Security,
    /// The guest may not change anything.
    pub read_only: bool,
}

/// A shared folder.
pub struct Share {
    root: Owned,
    owners: Owners,
    read_only: bool,
    handles: BTreeMap<u32, Handle>,
    /// The file systems met so far, the root's first: inode numbers of the others get its index in their high bits.
    devices: Vec<(u32, u32)>,
    xattr_limit: Option<u32>,
}

/// An open file.
struct Handle {
    fd: Owned,
    root: bool,
}

/// `openat2(2)` (linux/openat2.h): beneath the folder, no links of any kind.
const RESOLVE: u64 = 0x02 | 0x04 | 0x08;
/// Where inode numbers of other file systems have their mark.
const MARK: u32 = 48;

/// A file as `*at` calls name it.
struct Place {
    dir: Option<Owned>,
    root: Fd,
    name: CString,
    /// `name` is a link of `/proc` to an open file.
    follow: bool,
}

impl Place {
    fn dir(&self) -> Fd {
        self.dir.as_ref().map_or(self.root, |d| d.0)
    }

    fn flags(&self) -> i32 {
        if self.follow { 0 } else { host::AT_SYMLINK_NOFOLLOW }
    }

    /// A path for calls that have no `*at` form; these must not follow its last name unless `follow` says so.
    fn proc(&self) -> CString {
        if self.dir() == CWD {
            return self.name.clone();
        }
        let mut path = format!("/proc/self/fd/{}/", self.dir()).into_bytes();
        path.extend(self.name.as_bytes());
        CString::new(path).unwrap_or_default()
    }

    fn open(&self, flags: i32, mode: u32) -> Result<Owned, Errno> {
        let follow = if self.follow { 0 } else { host::O_NOFOLLOW };
        retry(|| file::openat(self.dir(), &self.name, flags | follow | host::O_CLOEXEC | host::O_NOCTTY, mode))
            .map(Owned)
    }

    fn stat(&self) -> Result<fs::Stat, Errno> {
        fs::fstatat(self.dir(), &self.name, self.flags())
    }
}

/// A call again when a signal has interrupted it.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// An error of the host in Linux' common numbers.
fn error(e: Errno) -> FsError {
    let named = e.name().and_then(|name| FsError::NAMED.iter().find(|(n, _)| *n == name));
    named.map_or(FsError::EIO, |(_, e)| *e)
}

/// A name as the kernel takes it, if it is one.
fn name(bytes: &[u8]) -> FsResult<CString> {
    let plain = !bytes.is_empty() && bytes != b"." && bytes != b".." && !bytes.contains(&b'/');
    if !plain {
        return Err(FsError::EINVAL);
    }
    CString::new(bytes).map_err(|_| FsError::EINVAL)
}

impl Share {
    /// Shares a folder.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn new(options: &Options) -> std::io::Result<Share> {
        use std::os::unix::ffi::OsStrExt;
        let path = CString::new(options.root.as_os_str().as_bytes())?;
        let flags = host::O_PATH | host::O_DIRECTORY | host::O_CLOEXEC;
        let root = Owned(retry(|| file::openat(CWD, &path, flags, 0))?);
        let dev = fs::fstat(root.0)?.dev;
        Ok(Share {
            root,
            owners: Owners::new(options.security),
            read_only: options.read_only,
            handles: BTreeMap::new(),
            devices: vec![dev],
            xattr_limit: Some(XATTR_LIMIT),
        })
    }

    /// The same, where servers keep at most `limit` attributes in transfer; `None`: as many as clients want.
    #[must_use]
    pub fn limit_xattrs(self, limit: Option<u32>) -> Share {
        Share { xattr_limit: limit, ..self }
    }

    /// The folder at `path`, as a descriptor that only names it.
    fn folder(&self, path: &Path) -> FsResult<Owned> {
        let flags = host::O_PATH | host::O_DIRECTORY | host::O_NOFOLLOW | host::O_CLOEXEC;
        let mut joined = Vec::new();
        for part in path {
            joined.extend(name(part)?.as_bytes());
            joined.push(b'/');
        }
        let joined = CString::new(joined).map_err(|_| FsError::EINVAL)?;
        match retry(|| file::openat2(self.root.0, &joined, flags as u64, 0, RESOLVE)) {
            Ok(fd) => return Ok(Owned(fd)),
            // No such call before Linux 5.6; a path that is too long for one call; a race that the kernel gave up.
            Err(Errno::ENOSYS | Errno::EPERM | Errno::ENAMETOOLONG | Errno::EAGAIN) => {}
            Err(e) => return Err(error(e)),
        }
        let mut here: Option<Owned> = None;
        for part in path {
            let dir = here.as_ref().map_or(self.root.0, |d| d.0);
            let part = name(part)?;
            here = Some(Owned(retry(|| file::openat(dir, &part, flags, 0)).map_err(error)?));
        }
        here.ok_or(FsError::EINVAL)
    }

    fn place(&self, path: &Path) -> FsResult<Place> {
        let root = self.root.0;
        let Some((last, parents)) = path.split_last() else {
            return Ok(Place { dir: None, root, name: c".".to_owned(), follow: false });
        };
        let dir = if parents.is_empty() { None } else { Some(self.folder(parents)?) };
        Ok(Place { dir, root, name: name(last)?, follow: false })
    }

    fn node(&self, node: Node<'_>) -> FsResult<Place> {
        match node {
            Node::Path(path) => self.place(path),
            Node::Open(handle) => {
                let fd = self.handle(handle)?;
                let name = CString::new(format!("/proc/self/fd/{fd}")).map_err(|_| FsError::EINVAL)?;
                Ok(Place { dir: None, root: CWD, name, follow: true })
            }
        }
    }

    fn handle(&self, handle: u32) -> FsResult<Fd> {
        self.handles.get(&handle).map(|h| h.fd.0).ok_or(FsError::EBADF)
    }

    fn may_write(&self) -> FsResult<()> {
        if self.read_only { Err(FsError::EROFS) } else { Ok(()) }
    }

    /// The number of an inode among those of all file systems in the folder.
    fn ino(&mut self, dev: (u32, u32), ino: u64) -> u64 {
        let index = match self.devices.iter().position(|d| *d == dev) {
            Some(index) => index,
            None => {
                self.devices.push(dev);
                self.devices.len() - 1
            }
        };
        ino ^ (index as u64) << MARK
    }

    fn attr(&mut self, place: &Place) -> FsResult<Attr> {
        let stat = place.stat().map_err(error)?;
        let ino = self.ino(stat.dev, stat.ino);
        let mut attr = attr::from_stat(&stat, ino);
        self.owners.read(place, &mut attr);
        Ok(attr)
    }

    /// Takes an open file in under its number, if it is one that may be open.
    fn keep(&mut self, handle: u32, fd: Owned, root: bool) -> FsResult<()> {
        let kind = fs::fstat(fd.0).map_err(error)?.mode & mode::TYPE;
        if kind != mode::REGULAR && kind != mode::DIRECTORY {
            return Err(FsError::ENXIO);
        }
        self.handles.insert(handle, Handle { fd, root });
        Ok(())
    }

    fn flags(how: Open) -> i32 {
        let access = match (how.read, how.write) {
            (_, false) => host::O_RDONLY,
            (false, true) => host::O_WRONLY,
            (true, true) => host::O_RDWR,
        };
        let bits = [
            (how.append, host::O_APPEND),
            (how.truncate, host::O_TRUNC),
            (how.directory, host::O_DIRECTORY),
            (how.sync, host::O_SYNC),
        ];
        // A pipe must not hold us up before it is refused.
        bits.iter().filter(|(on, _)| *on).fold(access | host::O_NONBLOCK, |f, (_, bit)| f | bit)
    }

    fn entry(&mut self, handle: u32, at: &file::Dirent<'_>) -> FsResult<Entry> {
        let (fd, root) = self.handles.get(&handle).map(|h| (h.fd.0, h.root)).ok_or(FsError::EBADF)?;
        let up = at.name == b"..";
        let entry_name = if up && root { b".".as_slice() } else { at.name };
        let place =
            Place { dir: None, root: fd, name: CString::new(entry_name).map_err(|_| FsError::EIO)?, follow: false };
        // What the entry itself says will do where nothing is mapped; a file that has gone since keeps it too.
        let looked = (at.kind == 0 || up || self.owners.maps()).then(|| self.attr(&place)).and_then(Result::ok);
        let (ino, kind) = match looked {
            Some(attr) => (attr.ino, attr.mode & mode::TYPE),
            None => {
                let dev = fs::fstat(fd).map_err(error)?.dev;
                (self.ino(dev, at.ino), u32::from(at.kind) << 12)
            }
        };
        Ok(Entry { ino, kind, next: at.off.cast_unsigned(), name: at.name.to_vec() })
    }
}

impl FileSystem for Share {
    fn stat(&mut self, node: Node<'_>) -> FsResult<Attr> {
        let place = self.node(node)?;
        self.attr(&place)
    }

    fn set_attr(&mut self, node: Node<'_>, set: &SetAttr) -> FsResult<()> {
        self.may_write()?;
        let place = self.node(node)?;
        attr::set(&place, &self.owners, set)
    }

    fn read_link(&mut self, path: &Path) -> FsResult<Vec<u8>> {
        let place = self.place(path)?;
        self.owners.read_link(&place)
    }

    fn open(&mut self, handle: u32, path: &Path, how: Open) -> FsResult<()> {
        if how.write || how.truncate {
            self.may_write()?;
        }
        let place = self.place(path)?;
        let kind = self.attr(&place)?.mode & mode::TYPE;
        match kind {
            mode::REGULAR | mode::DIRECTORY => {}
            mode::SYMLINK => return Err(FsError::ELOOP),
            _ => return Err(FsError::ENXIO),
        }
        let fd = place.open(Share::flags(how), 0).map_err(error)?;
        self.keep(handle, fd, path.is_empty())
    }

    fn create(&mut self, handle: u32, path: &Path, how: Open, new: New) -> FsResult<()> {
        self.may_write()?;
        let place = self.place(path)?;
        let flags = Share::flags(how) | host::O_CREAT;
        let made = match place.open(flags | host::O_EXCL, self.owners.file_mode(new.mode)) {
            // It is there already, which may be right.
            Err(Errno::EEXIST) if !how.exclusive => return self.open(handle, path, how),
            made => made.map_err(error)?,
        };
        self.owners.give(&place, mode::REGULAR, (0, 0), new).inspect_err(|_| {
            let _ = fs::unlinkat(place.dir(), &place.name, 0);
        })?;
        self.keep(handle, made, false)
    }

    fn make(&mut self, path: &Path, what: Make<'_>, new: New) -> FsResult<()> {
        self.may_write()?;
        let place = self.place(path)?;
        self.owners.make(&place, what, new)
    }

    fn link(&mut self, old: &Path, new: &Path) -> FsResult<()> {
        self.may_write()?;
        let (old, new) = (self.place(old)?, self.place(new)?);
        fs::linkat(old.dir(), &old.name, new.dir(), &new.name, 0).map_err(error)
    }

    fn rename(&mut self, old: &Path, new: &Path) -> FsResult<()> {
        self.may_write()?;
        let (old, new) = (self.place(old)?, self.place(new)?);
        fs::renameat2(old.dir(), &old.name, new.dir(), &new.name, 0).map_err(error)
    }

    fn remove(&mut self, path: &Path, directory: bool) -> FsResult<()> {
        self.may_write()?;
        let place = self.place(path)?;
        fs::unlinkat(place.dir(), &place.name, if directory { host::AT_REMOVEDIR } else { 0 }).map_err(error)
    }

    fn read(&mut self, handle: u32, offset: u64, buf: &mut [u8]) -> FsResult<usize> {
        let fd = self.handle(handle)?;
        let mut done = 0;
        while done < buf.len() {
            let at = i64::try_from(offset.saturating_add(done as u64)).map_err(|_| FsError::EINVAL)?;
            match retry(|| file::pread(fd, &mut buf[done..], at)) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(_) if done > 0 => break,
                Err(e) => return Err(error(e)),
            }
        }
        Ok(done)
    }

    fn write(&mut self, handle: u32, offset: u64, data: &[u8]) -> FsResult<usize> {
        self.may_write()?;
        let fd = self.handle(handle)?;
        let at = i64::try_from(offset).map_err(|_| FsError::EFBIG)?;
        retry(|| file::pwrite(fd, data, at)).map_err(error)
    }

    fn read_dir(&mut self, handle: u32, from: u64, most: usize) -> FsResult<Vec<Entry>> {
        let fd = self.handle(handle)?;
        file::lseek(fd, from.cast_signed(), host::SEEK_SET).map_err(error)?;
        // One entry of the longest name fits.
        let mut buf = vec![0; most.clamp(1024, 1 << 16)];
        let n = retry(|| file::getdents64(fd, &mut buf)).map_err(error)?;
        Dirents::new(&buf[..n]).map(|at| self.entry(handle, &at)).collect()
    }

    fn sync(&mut self, handle: u32, data_only: bool) -> FsResult<()> {
        let fd = self.handle(handle)?;
        retry(|| if data_only { file::fdatasync(fd) } else { file::fsync(fd) }).map_err(error)
    }

    fn close(&mut self, handle: u32) {
        self.handles.remove(&handle);
    }

    fn stat_fs(&mut self, path: &Path) -> FsResult<StatFs> {
        let fd = self.place(path)?.open(host::O_PATH, 0).map_err(error)?;
        fs::fstatfs(fd.0).map(|s| attr::from_statfs(&s)).map_err(error)
    }

    fn xattr(&mut self, path: &Path, name: &[u8]) -> FsResult<Vec<u8>> {
        let place = self.place(path)?;
        self.owners.xattr(&place, name)
    }

    fn set_xattr(&mut self, path: &Path, name: &[u8], value: &[u8], flags: u32) -> FsResult<()> {
        self.may_write()?;
        let place = self.place(path)?;
        self.owners.set_xattr(&place, name, value, flags)
    }

    fn remove_xattr(&mut self, path: &Path, name: &[u8]) -> FsResult<()> {
        self.may_write()?;
        let place = self.place(path)?;
        self.owners.remove_xattr(&place, name)
    }

    fn xattr_limit(&self) -> Option<u32> {
        self.xattr_limit
    }
}
