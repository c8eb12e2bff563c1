//! Files that a recorded process maps or executes.
//!
//! A file that nobody is likely to change is in the log by its path, size and hash: a regular file, opened for reading only,
//! at the end of its own path, not changed since the recording began.  Of any other the log has the contents, and the
//! process itself gets a copy, so that later changes are not seen in one and missing in the other.

use super::item::{Contents, FileRef, Item};
use crate::abi::Errno;
use crate::mm::vma::HiddenFd;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::rc::Rc;
use tern_host::sys;
use tern_session::record::{Hash, Hasher, LogError, Writer};

/// Bytes of a blob, at most.
const PIECE: u64 = 64 << 10;
/// The file system's clock may be this much behind ours.
const CLOCK_GRAIN_NS: i64 = 20_000_000;

/// What tells one state of a file from another.
type State = ((u32, u32), u64, u64, i64);

/// What is to be mapped.
pub struct Wanted<'a> {
    /// A descriptor of the file.
    pub fd: i32,
    /// Path as the host knows it.
    pub path: &'a [u8],
    /// The part that is mapped.
    pub range: (u64, u64),
    /// It was opened for writing.
    pub writable: bool,
    /// The mapping is shared.
    pub shared: bool,
}

/// Why a file cannot be referred to.
pub enum FileError {
    /// The host's error.
    Os(Errno),
    /// The log cannot be written.
    Log(LogError),
}

impl From<Errno> for FileError {
    fn from(e: Errno) -> FileError {
        FileError::Os(e)
    }
}

impl From<sys::Errno> for FileError {
    fn from(e: sys::Errno) -> FileError {
        FileError::Os(e.into())
    }
}

impl From<LogError> for FileError {
    fn from(e: LogError) -> FileError {
        FileError::Log(e)
    }
}

/// Hashes of files.
pub struct Files {
    known: BTreeMap<State, Hash>,
    began_ns: i64,
}

fn nanos(time: sys::Time) -> i64 {
    time.sec.saturating_mul(1_000_000_000).saturating_add(time.nsec)
}

/// The hash of a whole file.
///
/// # Errors
/// It cannot be read.
pub fn hash_of(fd: i32) -> Result<Hash, Errno> {
    let mut hasher = Hasher::new();
    let mut buf = vec![0; 1 << 18];
    let mut at = 0;
    loop {
        let n = sys::file::pread(fd, &mut buf, at)?;
        if n == 0 {
            return Ok(hasher.value());
        }
        hasher.update(&buf[..n]);
        at += n as i64;
    }
}

/// An empty file that is nowhere.
///
/// # Errors
/// Those of `memfd_create`.
pub fn scratch() -> Result<HiddenFd, Errno> {
    /// `MFD_CLOEXEC`.
    const CLOEXEC: u32 = 1;
    let fd = HiddenFd(sys::file::memfd_create(c"tern", CLOEXEC)?);
    crate::mm::map::hide(fd.0)
}

/// Writes all bytes at a position.
///
/// # Errors
/// Those of `pwrite`.
pub fn write_at(fd: i32, bytes: &[u8], at: u64) -> Result<(), Errno> {
    let mut done = 0;
    while done < bytes.len() {
        let pos = i64::try_from(at + done as u64).map_err(|_| Errno::EFBIG)?;
        match sys::file::pwrite(fd, &bytes[done..], pos) {
            Ok(0) => return Err(Errno::EIO),
            Ok(n) => done += n,
            Err(sys::Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

impl Files {
    /// None are known; the recording begins now.
    #[must_use]
    pub fn new() -> Files {
        Files { known: BTreeMap::new(), began_ns: tern_host::clock::realtime_ns().saturating_sub(CLOCK_GRAIN_NS) }
    }

    /// Does the file stay as it is, as far as one can tell?
    fn stays(&self, of: &Wanted<'_>, stat: &sys::fs::Stat) -> bool {
        if of.writable || stat.mode & 0o170_000 != 0o100_000 || nanos(stat.mtime) >= self.began_ns {
            return false;
        }
        let Ok(path) = CString::new(of.path) else { return false };
        let there = sys::fs::fstatat(sys::CWD, &path, 0);
        !of.path.is_empty() && there.is_ok_and(|there| (there.dev, there.ino) == (stat.dev, stat.ino))
    }

    /// A reference to a file that is mapped, and a copy of its part to map instead, if it could change.
    ///
    /// # Errors
    /// It cannot be read, or the log cannot be written.
    pub fn refer(
        &mut self,
        of: &Wanted<'_>,
        writer: &mut Writer<Item>,
    ) -> Result<(FileRef, Option<HiddenFd>), FileError> {
        let stat = sys::fs::fstat(of.fd)?;
        let size = (stat.mode & 0o170_000 == 0o100_000).then_some(stat.size);
        // A device has no end; what is mapped of it is all there is.
        let size = Some(size.unwrap_or(of.range.1));
        let refer = |contents| FileRef {
            path: of.path.to_vec(),
            dev: stat.dev,
            ino: stat.ino,
            size,
            writable: of.writable,
            contents,
        };
        if self.stays(of, &stat) {
            let state = (stat.dev, stat.ino, stat.size, nanos(stat.mtime));
            let hash = match self.known.get(&state) {
                Some(hash) => *hash,
                None => hash_of(of.fd)?,
            };
            self.known.insert(state, hash);
            return Ok((refer(Contents::Whole(hash)), None));
        }
        let copy = if of.shared { None } else { Some(scratch()?) };
        let (mut at, end) = of.range;
        let end = size.map_or(end, |size| end.min(size));
        if let (Some(copy), Some(size)) = (&copy, size) {
            sys::file::ftruncate(copy.0, i64::try_from(size).map_err(|_| Errno::EFBIG)?)?;
        }
        let mut pieces = Vec::new();
        while at < end {
            let mut buf = vec![0; (end - at).min(PIECE) as usize];
            let n = sys::file::pread(of.fd, &mut buf, i64::try_from(at).map_err(|_| Errno::EFBIG)?)?;
            if n == 0 {
                break;
            }
            if let Some(copy) = &copy {
                write_at(copy.0, &buf[..n], at)?;
            }
            pieces.push((at, writer.blob(&buf[..n])?));
            at += n as u64;
        }
        Ok((refer(Contents::Pieces(pieces)), copy))
    }
}

impl Default for Files {
    fn default() -> Files {
        Files::new()
    }
}

/// What is wrong with a file that a replay needs.
#[derive(Debug)]
pub enum Changed {
    /// It is not there or cannot be read.
    Os(Errno),
    /// It has changed since the recording.
    Contents,
    /// The log lacks contents that it refers to.
    Missing,
    /// The log is not good.
    Log(LogError),
}

/// Finds blobs of the log.
pub type Blobs<'a> = &'a mut dyn FnMut(&Hash) -> Result<Option<Vec<u8>>, LogError>;

/// Files that a replay has opened.
#[derive(Default)]
pub struct Opened {
    whole: BTreeMap<(Vec<u8>, Hash), Rc<HiddenFd>>,
    pieces: BTreeMap<Vec<(u64, Hash)>, Rc<HiddenFd>>,
}

impl Opened {
    /// A descriptor of a file with the contents that were recorded.
    ///
    /// # Errors
    /// They are not there any more.
    pub fn open(&mut self, file: &FileRef, blobs: Blobs<'_>) -> Result<Rc<HiddenFd>, Changed> {
        match &file.contents {
            Contents::Whole(hash) => {
                let key = (file.path.clone(), *hash);
                if let Some(fd) = self.whole.get(&key) {
                    return Ok(Rc::clone(fd));
                }
                let fd = Rc::new(match blobs(hash).map_err(Changed::Log)? {
                    // A packed log brings the file with it.
                    Some(bytes) if file.size == Some(bytes.len() as u64) => from_pieces(file.size, [(0, bytes)])?,
                    Some(_) => return Err(Changed::Contents),
                    None => from_host(file, *hash)?,
                });
                self.whole.insert(key, Rc::clone(&fd));
                Ok(fd)
            }
            Contents::Pieces(pieces) => {
                if let Some(fd) = self.pieces.get(pieces) {
                    return Ok(Rc::clone(fd));
                }
                let mut list = Vec::new();
                for (at, hash) in pieces {
                    list.push((*at, blobs(hash).map_err(Changed::Log)?.ok_or(Changed::Missing)?));
                }
                let fd = Rc::new(from_pieces(file.size, list)?);
                self.pieces.insert(pieces.clone(), Rc::clone(&fd));
                Ok(fd)
            }
        }
    }
}

fn from_host(file: &FileRef, hash: Hash) -> Result<HiddenFd, Changed> {
    let os = |e: sys::Errno| Changed::Os(e.into());
    let path = CString::new(file.path.as_slice()).map_err(|_| Changed::Os(Errno::ENOENT))?;
    let flags = sys::host::O_RDONLY | sys::host::O_CLOEXEC | sys::host::O_NOCTTY | sys::host::O_NONBLOCK;
    let fd = HiddenFd(sys::file::openat(sys::CWD, &path, flags, 0).map_err(os)?);
    let stat = sys::fs::fstat(fd.0).map_err(os)?;
    if stat.mode & 0o170_000 != 0o100_000 || Some(stat.size) != file.size {
        return Err(Changed::Contents);
    }
    if hash_of(fd.0).map_err(Changed::Os)? != hash {
        return Err(Changed::Contents);
    }
    Ok(fd)
}

fn from_pieces(size: Option<u64>, pieces: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Result<HiddenFd, Changed> {
    let fd = scratch().map_err(Changed::Os)?;
    let mut end = 0;
    for (at, bytes) in pieces {
        write_at(fd.0, &bytes, at).map_err(Changed::Os)?;
        end = end.max(at.saturating_add(bytes.len() as u64));
    }
    let size = i64::try_from(size.unwrap_or(end).max(end)).map_err(|_| Changed::Os(Errno::EFBIG))?;
    sys::file::ftruncate(fd.0, size).map_err(|e| Changed::Os(e.into()))?;
    Ok(fd)
}
