//! Files of the user: reading within limits, and at positions.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The system said no.
    Io(io::Error),
    /// It is longer than the limit, in bytes.
    TooLong(u64),
}

impl core::fmt::Display for ReadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ReadError::Io(e) => e.fmt(f),
            ReadError::TooLong(limit) => write!(f, "file is longer than {limit} bytes"),
        }
    }
}

impl core::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(e: io::Error) -> ReadError {
        ReadError::Io(e)
    }
}

/// Reads a whole file of at most `limit` bytes. Devices and pipes without end are cut off by the limit too.
///
/// # Errors
/// An I/O error, or a file that is longer.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(ReadError::TooLong(limit)) } else { Ok(bytes) }
}

/// Reads bytes at a position until `buf` is full or the file ends; returns how many. The file's own position is not
/// used (on Windows it moves).
///
/// # Errors
/// An I/O error.
pub fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match read_once(file, &mut buf[done..], offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

#[cfg(unix)]
fn read_once(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn read_once(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

#[cfg(not(any(unix, windows)))]
fn read_once(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::io::{Seek, SeekFrom};
    let mut file = file;
    file.seek(SeekFrom::Start(offset))?;
    file.read(buf)
}

/// Writes all of `buf` at a position. The file's own position is not used (on Windows it moves).
///
/// # Errors
/// An I/O error; any part may have been written.
pub fn write_at(file: &File, buf: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match write_once(file, &buf[done..], offset.saturating_add(done as u64)) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn write_once(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, buf, offset)
}

#[cfg(windows)]
fn write_once(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, buf, offset)
}

#[cfg(not(any(unix, windows)))]
fn write_once(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = file;
    file.seek(SeekFrom::Start(offset))?;
    file.write(buf)
}

/// Gives the space of a stretch back; it reads as zeros then. The file's length stays.
///
/// # Errors
/// `EOPNOTSUPP` where the file system cannot, and I/O errors.
pub fn punch_hole(file: &File, offset: u64, len: u64) -> io::Result<()> {
    fallocate(file, FALLOC_FL_PUNCH_HOLE, offset, len)
}

/// Makes a stretch zeros without writing them. The file's length stays.
///
/// # Errors
/// As [`punch_hole`].
pub fn zero_range(file: &File, offset: u64, len: u64) -> io::Result<()> {
    fallocate(file, FALLOC_FL_ZERO_RANGE, offset, len)
}

/// Modes of `fallocate(2)` (linux/falloc.h), equal on every architecture.
const FALLOC_FL_PUNCH_HOLE: i32 = 2;
const FALLOC_FL_ZERO_RANGE: i32 = 16;

#[cfg(target_os = "linux")]
fn fallocate(file: &File, mode: i32, offset: u64, len: u64) -> io::Result<()> {
    use crate::sys::{self, Errno};
    use std::os::fd::AsRawFd;
    const KEEP_SIZE: i32 = 1;
    let number = |n: u64| i64::try_from(n).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let (offset, len) = (number(offset)?, number(len)?);
    loop {
        match sys::file::fallocate(file.as_raw_fd(), mode | KEEP_SIZE, offset, len) {
            Err(Errno::EINTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn fallocate(_: &File, _: i32, _: u64, _: u64) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// A file in `dir` that has no name, or none any more: it is gone with the process.
///
/// # Errors
/// An I/O error.
pub fn temporary(dir: &Path) -> io::Result<File> {
    let mut open = File::options();
    open.read(true).write(true).create_new(true);
    let mut tries = 0;
    loop {
        let mut random = [0; 8];
        crate::entropy::fill(&mut random)?;
        let path = dir.join(format!("tern-{}-{:016x}", std::process::id(), u64::from_le_bytes(random)));
        match open.open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
            Err(e) => return Err(e),
        }
    }
}

/// The folders in which programs keep data that is not theirs alone, nearest first (XDG Base Directory Specification).
#[must_use]
pub fn data_folders() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let own = set("XDG_DATA_HOME").map(PathBuf::from);
    let own = own.or_else(|| set("HOME").map(|home| Path::new(&home).join(".local/share")));
    let shared = set("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    own.into_iter().chain(std::env::split_paths(&shared)).filter(|path| path.is_absolute()).collect()
}
