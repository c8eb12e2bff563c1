//! Disk images: raw files and block devices, qcow2 with backing files, and what can be stacked on them.
//!
//! [`open`] gives a [`Block`] for a path and [`Options`]; [`create`] makes an image. An image is locked as QEMU locks it
//! ([`lock`]), so that nobody, QEMU included, writes one that another machine uses.
//!
//! | layer | what it does |
//! |---|---|
//! | [`raw`] | a file or block device, byte for byte |
//! | [`qcow2`] | QEMU's format, by the crate `imago`; [`header`] checks what it is given |
//! | [`snapshots`] | snapshots inside of qcow2 images |
//! | [`memory`] | a sparse disk in memory |
//! | [`overlay`] | writes go to another disk, the lower one stays as it is (`-snapshot`) |
//! | [`wrap`] | statistics, write-protection, write-through |
//!
//! A layer that has reported a failed flush goes on failing: the system drops what it could not write, and a later flush
//! that succeeds would acknowledge data that are lost.

pub mod header;
pub mod lock;
pub mod memory;
pub mod overlay;
pub mod qcow2;
pub mod raw;
pub mod snapshots;
pub mod wrap;

use crate::file;
use core::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use tern_core::backend::{Block, BlockError};

/// Bytes of a sector: sizes of disks are whole numbers of them.
pub const SECTOR: u64 = 512;

/// The format of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The disk's bytes and nothing else.
    Raw,
    /// QEMU's copy-on-write format, versions 2 and 3.
    Qcow2,
}

impl Format {
    /// Its name on command lines and in image headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
        }
    }

    /// The format with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Format> {
        [Format::Raw, Format::Qcow2].into_iter().find(|f| f.name() == name)
    }
}

/// How the host caches an image: QEMU's `cache=` modes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cache {
    /// Writes are safe after a flush.
    #[default]
    WriteBack,
    /// As `WriteBack`, past the host's page cache.
    None,
    /// Each write is safe when it is done.
    WriteThrough,
    /// As `WriteThrough`, past the host's page cache.
    DirectSync,
    /// Flushes do nothing; for disks that may be lost.
    Unsafe,
}

impl Cache {
    /// The mode with this name on QEMU's command line.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Cache> {
        Some(match name {
            "writeback" => Cache::WriteBack,
            "none" | "off" => Cache::None,
            "writethrough" => Cache::WriteThrough,
            "directsync" => Cache::DirectSync,
            "unsafe" => Cache::Unsafe,
            _ => return None,
        })
    }

    fn direct(self) -> bool {
        matches!(self, Cache::None | Cache::DirectSync)
    }

    fn write_through(self) -> bool {
        matches!(self, Cache::WriteThrough | Cache::DirectSync)
    }
}

/// Where the writes of a snapshot run go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Snapshot {
    /// To a file without a name in the system's folder for temporary files.
    File,
    /// To memory.
    Memory,
}

/// How to open an image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Its format; without, it is probed. Probing lets a guest that writes a qcow2 header to a raw disk choose the format
    /// of the next run: give the format for disks of guests that are not trusted.
    pub format: Option<Format>,
    /// Nothing may be written.
    pub read_only: bool,
    /// Give discarded space back to the host; else discards are accepted and ignored.
    pub discard: bool,
    /// Caching on the host.
    pub cache: Cache,
    /// Keep the image as it is and forget all writes at the end.
    pub snapshot: Option<Snapshot>,
    /// Open it although another process has locked it.
    pub unlocked: bool,
}

/// Why an image could not be opened or made.
#[derive(Debug)]
pub enum ImageError {
    /// The system said no.
    Io {
        /// The image.
        path: PathBuf,
        /// What was tried, as in "cannot open".
        what: &'static str,
        /// The reason.
        error: io::Error,
    },
    /// It is neither a file nor a block device.
    Kind {
        /// The image.
        path: PathBuf,
        /// What it is.
        is: &'static str,
    },
    /// A field of its header or a table is wrong or not supported.
    Header {
        /// The image.
        path: PathBuf,
        /// The field's name in the format's specification.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Another process uses it.
    Locked {
        /// The image.
        path: PathBuf,
        /// For what it was to be opened.
        writing: bool,
    },
    /// Its backing files are wrong.
    Backing {
        /// The image.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// This host cannot do it.
    Unsupported(&'static str),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::Io { path, what, error } => write!(f, "{}: {what}: {error}", path.display()),
            ImageError::Kind { path, is } => write!(f, "{}: {is} is no disk image", path.display()),
            ImageError::Header { path, field, why } => write!(f, "{}: qcow2 {field}: {why}", path.display()),
            ImageError::Locked { path, writing } => {
                let verb = if *writing { "write" } else { "read" };
                write!(f, "{}: another process uses this image; it is not safe to {verb} it now", path.display())
            }
            ImageError::Backing { path, why } => write!(f, "{}: backing file: {why}", path.display()),
            ImageError::Unsupported(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for ImageError {}

impl ImageError {
    fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> ImageError {
        let path = path.to_owned();
        move |error| ImageError::Io { path, what, error }
    }
}

/// Is there a file that may not be written to?
#[must_use]
pub fn denies_writing(path: &Path) -> bool {
    let why = OpenOptions::new().write(true).open(path).err().map(|e| e.kind());
    matches!(why, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem))
}

/// Opens an image.
///
/// # Errors
/// [`ImageError`], one line that names the file.
pub fn open(path: &Path, options: &Options) -> Result<Box<dyn Block>, ImageError> {
    let mut options = options.clone();
    let writable = !options.read_only;
    // Below a snapshot nothing is written.
    options.read_only |= options.snapshot.is_some();
    let file = open_file(path, &options)?;
    let format = match options.format {
        Some(format) => format,
        None => probe(path, plain(path, options.cache)?.as_ref().unwrap_or(&file))?,
    };
    let mut block: Box<dyn Block> = match format {
        Format::Raw if options.cache.direct() => qcow2::open_raw(path, file, &options)?,
        Format::Raw => Box::new(raw::Raw::new(path, file, &options)?),
        Format::Qcow2 => qcow2::open(path, file, &options)?,
    };
    if let Some(place) = options.snapshot {
        let upper: Box<dyn Block> = match place {
            Snapshot::Memory => Box::new(memory::Memory::new(block.size())),
            Snapshot::File => Box::new(raw::Raw::temporary(block.size())?),
        };
        block = Box::new(overlay::Overlay::new(block, upper));
        if !writable {
            block = Box::new(wrap::ReadOnly::new(block));
        }
    } else if options.cache.write_through() && writable {
        block = Box::new(wrap::WriteThrough::new(block));
    }
    Ok(block)
}

/// The format of an open image, by its first bytes.
fn probe(path: &Path, file: &File) -> Result<Format, ImageError> {
    let mut magic = [0; 4];
    let n = file::read_at(file, &mut magic, 0).map_err(ImageError::io(path, "cannot read"))?;
    Ok(if n == 4 && magic == header::MAGIC { Format::Qcow2 } else { Format::Raw })
}

/// Another opening of a file that is open with `O_DIRECT`, for reads of any place and length.
fn plain(path: &Path, cache: Cache) -> Result<Option<File>, ImageError> {
    let file = cache.direct().then(|| File::open(path)).transpose();
    file.map_err(ImageError::io(path, "cannot open"))
}

/// Opens and locks a file.
fn open_file(path: &Path, options: &Options) -> Result<File, ImageError> {
    let mut open = OpenOptions::new();
    open.read(true).write(!options.read_only);
    if options.cache.direct() {
        direct(&mut open)?;
    }
    // A pipe would hold the opener up until somebody writes to it, so its kind is looked at first.
    let meta = std::fs::metadata(path).map_err(ImageError::io(path, "cannot open"))?;
    kind(path, &meta)?;
    let file = open.open(path).map_err(ImageError::io(path, "cannot open"))?;
    if !options.unlocked {
        lock::acquire(&file, path, !options.read_only)?;
    }
    Ok(file)
}

#[cfg(target_os = "linux")]
fn direct(open: &mut OpenOptions) -> Result<(), ImageError> {
    use std::os::unix::fs::OpenOptionsExt;
    open.custom_flags(crate::sys::host::O_DIRECT);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn direct(_: &mut OpenOptions) -> Result<(), ImageError> {
    Err(ImageError::Unsupported("cache=none and cache=directsync need Linux"))
}

/// Is it something that an image can be?
fn kind(path: &Path, meta: &std::fs::Metadata) -> Result<(), ImageError> {
    let wrong = |is| Err(ImageError::Kind { path: path.to_owned(), is });
    if meta.is_dir() {
        return wrong("a directory");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = meta.file_type();
        if kind.is_char_device() {
            return wrong("a character device");
        }
        if kind.is_fifo() || kind.is_socket() {
            return wrong("a pipe or socket");
        }
    }
    Ok(())
}

/// The file behind a new image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backing {
    /// Its name as it goes into the image: absolute, or from the folder of the image.
    pub name: String,
    /// Its format.
    pub format: Format,
}

/// Makes an image of `size` bytes, or, if that is not given, of its backing file's size. An existing file is replaced.
///
/// # Errors
/// [`ImageError`].
pub fn create(path: &Path, format: Format, size: Option<u64>, backing: Option<&Backing>) -> Result<(), ImageError> {
    let size = match (size, backing) {
        (Some(size), _) => size,
        (None, Some(backing)) => {
            let below = beside(path, &backing.name);
            let options = Options { format: Some(backing.format), read_only: true, ..Options::default() };
            open(&below, &options)?.size()
        }
        (None, None) => {
            let why = "no size was given, and no backing file to take it from".to_owned();
            return Err(ImageError::Header { path: path.to_owned(), field: "size", why });
        }
    };
    let size = size.next_multiple_of(SECTOR);
    match format {
        Format::Raw if backing.is_some() => {
            Err(ImageError::Backing { path: path.to_owned(), why: "raw images cannot have one".to_owned() })
        }
        Format::Raw => {
            let file = new_file(path)?;
            file.set_len(size).map_err(ImageError::io(path, "cannot set its size"))
        }
        Format::Qcow2 => qcow2::create(path, new_file(path)?, size, backing),
    }
}

/// A new, empty, locked file.
fn new_file(path: &Path) -> Result<File, ImageError> {
    if let Ok(meta) = std::fs::metadata(path) {
        kind(path, &meta)?;
    }
    let mut open = OpenOptions::new();
    let file = open.read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(ImageError::io(path, "cannot create"))?;
    lock::acquire(&file, path, true)?;
    file.set_len(0).map_err(ImageError::io(path, "cannot empty"))?;
    Ok(file)
}

/// A name found in the image at `path`, from that image's folder.
fn beside(path: &Path, name: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(name)
}

/// Is the stretch inside a medium of `size` bytes?
fn inside(offset: u64, len: u64, size: u64) -> Result<(), BlockError> {
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(()),
        _ => Err(BlockError::OutOfRange),
    }
}

/// An error of the system as one of a medium.
fn block_error(path: &Path, error: &io::Error) -> BlockError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => BlockError::NoSpace,
        io::ErrorKind::ReadOnlyFilesystem => BlockError::ReadOnly,
        _ => BlockError::Io(format!("{}: {error}", path.display())),
    }
}
