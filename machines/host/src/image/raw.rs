//! Raw images: a file or a block device whose bytes are the disk's.

use super::{Cache, ImageError, Options, SECTOR, block_error, inside};
use crate::file;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tern_core::backend::{Block, BlockError};

/// A raw image.
pub struct Raw {
    file: File,
    path: PathBuf,
    /// Bytes that the file had when it was opened, or that were written since.
    len: u64,
    size: u64,
    read_only: bool,
    discard: bool,
    flushes: bool,
    /// A flush failed.
    lost: bool,
    /// What the file system can do; found out by trying.
    punches: bool,
    zeroes: bool,
}

impl Raw {
    /// The image in an open file. Its size is rounded up to whole sectors; what is missing of the last reads as zeros.
    ///
    /// # Errors
    /// A file whose size is not known.
    pub fn new(path: &Path, mut file: File, options: &Options) -> Result<Raw, ImageError> {
        let len = file.seek(SeekFrom::End(0)).map_err(ImageError::io(path, "cannot find its size"))?;
        Ok(Raw {
            file,
            path: path.to_owned(),
            len,
            size: len.next_multiple_of(SECTOR),
            read_only: options.read_only,
            discard: options.discard,
            flushes: options.cache != Cache::Unsafe,
            lost: false,
            punches: true,
            zeroes: true,
        })
    }

    /// An empty disk of `size` bytes in a file that no name leads to; it is gone with the process.
    ///
    /// # Errors
    /// A folder for temporary files where none can be made.
    pub fn temporary(size: u64) -> Result<Raw, ImageError> {
        let dir = std::env::temp_dir();
        let file = file::temporary(&dir).map_err(ImageError::io(&dir, "cannot make a temporary file"))?;
        file.set_len(size).map_err(ImageError::io(&dir, "cannot make a temporary file as large as the disk"))?;
        let options = Options { discard: true, cache: Cache::Unsafe, ..Options::default() };
        Raw::new(&dir.join("(temporary file)"), file, &options)
    }

    fn failed(&self, error: &std::io::Error) -> BlockError {
        block_error(&self.path, error)
    }

    fn may_write(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        if self.read_only {
            return Err(BlockError::ReadOnly);
        }
        inside(offset, len, self.size)
    }

    /// Gives space back; `false` if the file system cannot.
    fn punch(&mut self, offset: u64, len: u64) -> Result<bool, BlockError> {
        if !self.punches {
            return Ok(false);
        }
        match file::punch_hole(&self.file, offset, len) {
            Ok(()) => Ok(true),
            Err(e) if cannot(&e) => {
                self.punches = false;
                Ok(false)
            }
            Err(e) => Err(self.failed(&e)),
        }
    }

    /// Makes zeros without writing them; `false` if the file system cannot.
    fn zero_range(&mut self, offset: u64, len: u64) -> Result<bool, BlockError> {
        if !self.zeroes {
            return Ok(false);
        }
        match file::zero_range(&self.file, offset, len) {
            Ok(()) => Ok(true),
            Err(e) if cannot(&e) => {
                self.zeroes = false;
                Ok(false)
            }
            Err(e) => Err(self.failed(&e)),
        }
    }
}

/// Does the error say that there is no such operation here? (A block device that cannot gives `EOPNOTSUPP`, an old kernel
/// `ENODEV`, one whose sectors are larger `EINVAL`.)
fn cannot(e: &std::io::Error) -> bool {
    #[cfg(target_os = "linux")]
    {
        use crate::sys::Errno;
        let never = [Errno::EOPNOTSUPP, Errno::ENOSYS, Errno::ENODEV, Errno::EINVAL, Errno::ENOTTY];
        e.raw_os_error().is_some_and(|n| never.contains(&Errno(n)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        e.kind() == std::io::ErrorKind::Unsupported
    }
}

impl Block for Raw {
    fn resize(&mut self, size: u64) -> Result<(), BlockError> {
        self.may_write(0, 0)?;
        self.file.set_len(size).map_err(|e| self.failed(&e))?;
        (self.size, self.len) = (size.next_multiple_of(SECTOR), size);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        inside(offset, buf.len() as u64, self.size)?;
        let n = file::read_at(&self.file, buf, offset).map_err(|e| self.failed(&e))?;
        if n < buf.len() {
            let end = offset + n as u64;
            if end < self.len {
                return Err(BlockError::Io(format!(
                    "{}: the file ends at byte {end}; it had {} bytes",
                    self.path.display(),
                    self.len
                )));
            }
            buf[n..].fill(0);
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        self.may_write(offset, buf.len() as u64)?;
        file::write_at(&self.file, buf, offset).map_err(|e| self.failed(&e))?;
        self.len = self.len.max(offset + buf.len() as u64);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        if self.lost {
            return Err(BlockError::Io(format!("{}: an earlier flush failed", self.path.display())));
        }
        if self.read_only || !self.flushes {
            return Ok(());
        }
        self.file.sync_data().map_err(|e| {
            self.lost = true;
            self.failed(&e)
        })
    }

    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.may_write(offset, len)?;
        if self.discard && len > 0 {
            self.punch(offset, len)?;
        }
        Ok(())
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
        self.may_write(offset, len)?;
        if len == 0 || (unmap && self.discard && self.punch(offset, len)?) || self.zero_range(offset, len)? {
            return Ok(());
        }
        let zeros = vec![0; len.min(1 << 20) as usize];
        let mut at = offset;
        while at < offset + len {
            let n = (offset + len - at).min(zeros.len() as u64);
            self.write(at, &zeros[..n as usize])?;
            at += n;
        }
        Ok(())
    }
}
