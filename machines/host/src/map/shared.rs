//! RAM of machines in files, which other processes can map too: anonymous ones (`memfd_create(2)`), or named ones.

use super::{HostMap, MapError};
use crate::sys::file::{Owned, fallocate, ftruncate, memfd_create};
use crate::sys::{Errno, host};
use std::fs::{File, OpenOptions, remove_file};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::Path;
use tern_core::mem::HostSpan;
use tern_core::mem::space::HostMemory;

/// `FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE` (linux/falloc.h).
const PUNCH_HOLE: i32 = 1 | 2;

/// A file for memory.
pub struct FileSpec<'a> {
    /// Its name, or that of a folder: then it is a new one there without a name.
    pub path: &'a Path,
    /// Where in it the memory begins.
    pub offset: u64,
    /// What the guest writes is in the file, and others see it.
    pub share: bool,
}

/// Memory for a block of RAM that is the contents of a file.
pub struct SharedRam {
    map: HostMap,
    len: usize,
    file: Owned,
    offset: u64,
    zeroed: bool,
}

impl SharedRam {
    /// `len` zeroed bytes of a file without a name.
    ///
    /// # Errors
    /// What the host says.
    pub fn anonymous(len: u64) -> io::Result<SharedRam> {
        let file = Owned(memfd_create(c"tern-ram", host::MFD_CLOEXEC)?);
        ftruncate(file.0, size(len)?)?;
        SharedRam::over(file, len, 0, true, true)
    }

    /// `len` bytes of a named file, which is made or made longer if need be.
    ///
    /// # Errors
    /// What the host says.
    pub fn open(spec: &FileSpec<'_>, len: u64) -> io::Result<SharedRam> {
        let new = spec.path.is_dir();
        let file = if new { nameless(spec.path)? } else { open(spec.path)? };
        let end = spec.offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        if file.metadata()?.len() < end {
            ftruncate(file.as_raw_fd(), size(end)?)?;
        }
        SharedRam::over(Owned(file.into_raw_fd()), len, spec.offset, spec.share, new)
    }

    fn over(file: Owned, len: u64, offset: u64, share: bool, zeroed: bool) -> io::Result<SharedRam> {
        let bytes = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let map = HostMap::file(file.0, offset, bytes, share, true).map_err(|e| match e {
            MapError::Os { errno, .. } => io::Error::from_raw_os_error(errno),
            other => io::Error::other(other),
        })?;
        Ok(SharedRam { map, len: bytes, file, offset, zeroed })
    }
}

fn size(len: u64) -> io::Result<i64> {
    i64::try_from(len).map_err(|_| Errno::EFBIG.into())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// A new file in a folder, without a name.
fn nameless(folder: &Path) -> io::Result<File> {
    for n in 0..1000 {
        let path = folder.join(format!("tern-ram-{}-{n}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                remove_file(&path)?;
                return Ok(file);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

impl HostMemory for SharedRam {
    fn span(&self) -> HostSpan {
        self.map.span().sub(0, self.len).unwrap_or(HostSpan::EMPTY)
    }

    fn zeroed(&self) -> bool {
        self.zeroed
    }

    /// Punches a hole, so that every process that has it mapped sees zeros.
    fn discard(&self, offset: usize, len: usize) -> bool {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        let (at, len) = ((self.offset + offset as u64).cast_signed(), (len as u64).cast_signed());
        inside && self.map.shared() && fallocate(self.file.0, PUNCH_HOLE, at, len).is_ok()
    }

    fn file(&self) -> Option<(i32, u64)> {
        self.map.shared().then_some((self.file.0, self.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::page_size;

    #[test]
    fn others_see_what_is_written() {
        let page = page_size();
        let ram = SharedRam::anonymous(4 * page as u64).unwrap();
        let (fd, offset) = ram.file().unwrap();
        let other = HostMap::file(fd, offset, 4 * page, true, true).unwrap();
        assert!(ram.span().write(page + 3, b"seen") && ram.zeroed());
        let mut bytes = [0; 4];
        assert!(other.span().read(page + 3, &mut bytes));
        assert_eq!(&bytes, b"seen");
        assert!(ram.discard(page, page) && !ram.discard(3 * page, 2 * page));
        assert!(other.span().read(page + 3, &mut bytes));
        assert_eq!(bytes, [0; 4]);
        assert!(SharedRam::anonymous(0).is_err() && SharedRam::anonymous(u64::MAX).is_err());
    }

    #[test]
    fn files() {
        let folder = std::env::temp_dir().join(format!("tern-shared-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, len) = (folder.join("ram"), page_size() as u64);
        std::fs::write(&path, b"before").unwrap();
        let ram = SharedRam::open(&FileSpec { path: &path, offset: 0, share: true }, len).unwrap();
        let private = SharedRam::open(&FileSpec { path: &path, offset: 0, share: false }, len).unwrap();
        let mut bytes = [0; 6];
        assert!(ram.span().read(0, &mut bytes) && &bytes == b"before" && !ram.zeroed());
        assert!(private.span().write(0, b"mine") && private.file().is_none() && !private.discard(0, page_size()));
        assert!(ram.span().write(0, b"after"));
        assert_eq!(std::fs::read(&path).unwrap()[..6], *b"aftere");
        let nameless = SharedRam::open(&FileSpec { path: &folder, offset: 0, share: true }, len).unwrap();
        assert!(nameless.zeroed() && std::fs::read_dir(&folder).unwrap().count() == 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
