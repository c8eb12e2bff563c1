//! A folder of the host as a guest sees it: what a 9P2000.L (or virtiofs) server needs of one.
//!
//! Files are named by their path from the folder's root, never by numbers of the host, so that a server's state can be saved
//! and taken on elsewhere. Open files have numbers that the *server* chooses.

use core::fmt;

/// An error number of Linux, as asm-generic numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FsError(pub u16);

macro_rules! errors {
    ($($name:ident = $number:literal;)*) => {
        impl FsError {
            $(#[doc = concat!("`", stringify!($name), "`.")] pub const $name: FsError = FsError($number);)*

            /// The symbol (`"ENOENT"`) of those that have one here.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                FsError::NAMED.iter().find(|(_, e)| *e == self).map(|(name, _)| *name)
            }

            /// Those that have a name here.
            pub const NAMED: &[(&str, FsError)] = &[$((stringify!($name), FsError::$name)),*];
        }
    };
}
errors! {
    EPERM = 1; ENOENT = 2; EINTR = 4; EIO = 5; ENXIO = 6; E2BIG = 7; EBADF = 9; EAGAIN = 11; ENOMEM = 12; EACCES = 13; EBUSY = 16;
    EEXIST = 17; EXDEV = 18; ENODEV = 19; ENOTDIR = 20; EISDIR = 21; EINVAL = 22; ENFILE = 23; EMFILE = 24; ETXTBSY = 26;
    EFBIG = 27; ENOSPC = 28; ESPIPE = 29; EROFS = 30; EMLINK = 31; ERANGE = 34; EDEADLK = 35; ENAMETOOLONG = 36;
    ENOLCK = 37; ENOSYS = 38; ENOTEMPTY = 39; ELOOP = 40; ENODATA = 61; EPROTO = 71; EOVERFLOW = 75; EOPNOTSUPP = 95;
    ESTALE = 116; EDQUOT = 122;
}

impl fmt::Debug for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "FsError({})", self.0),
        }
    }
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl core::error::Error for FsError {}

/// A point in time: seconds since 1970 and nanoseconds below 1_000_000_000.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    /// Seconds.
    pub sec: i64,
    /// Nanoseconds.
    pub nsec: u32,
}

/// Type bits of a mode (`S_IFMT`) and the types.
pub mod mode {
    /// `S_IFMT`.
    pub const TYPE: u32 = 0o170000;
    /// `S_IFDIR`.
    pub const DIRECTORY: u32 = 0o040000;
    /// `S_IFREG`.
    pub const REGULAR: u32 = 0o100000;
    /// `S_IFLNK`.
    pub const SYMLINK: u32 = 0o120000;
    /// `S_IFCHR`.
    pub const CHARACTER: u32 = 0o020000;
    /// `S_IFBLK`.
    pub const BLOCK: u32 = 0o060000;
    /// `S_IFIFO`.
    pub const FIFO: u32 = 0o010000;
    /// `S_IFSOCK`.
    pub const SOCKET: u32 = 0o140000;
}

/// A file's status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attr {
    /// A number that no other file of the folder has.
    pub ino: u64,
    /// Type and permissions ([`mode`]).
    pub mode: u32,
    /// Links.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device file: major and minor number.
    pub rdev: (u32, u32),
    /// Size in bytes.
    pub size: u64,
    /// Preferred block size in bytes.
    pub blksize: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub atime: Stamp,
    /// Last modification of the contents.
    pub mtime: Stamp,
    /// Last change of the status.
    pub ctime: Stamp,
}

/// A time to set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// The host's time.
    Now,
    /// This time.
    At(Stamp),
}

/// What to change of a status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttr {
    /// Permissions.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<SetTime>,
    /// Last modification.
    pub mtime: Option<SetTime>,
}

/// How to open a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Open {
    /// To read.
    pub read: bool,
    /// To write.
    pub write: bool,
    /// Writes go to its end.
    pub append: bool,
    /// Its contents are dropped.
    pub truncate: bool,
    /// It must be a folder.
    pub directory: bool,
    /// It must not exist (when it is made).
    pub exclusive: bool,
    /// Writes are safe when they are done.
    pub sync: bool,
}

/// Whose a new file is, and its permissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct New {
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A new file that is not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Make<'a> {
    /// A folder.
    Directory,
    /// A symbolic link to this text.
    Symlink(&'a [u8]),
    /// A file of the type (`S_IFMT`) with device numbers.
    Node(u32, (u32, u32)),
}

/// An entry of a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number, as in [`Attr`].
    pub ino: u64,
    /// Its type, one of [`mode`].
    pub kind: u32,
    /// Where the next entry is found: for [`FileSystem::read_dir`].
    pub next: u64,
    /// Its name; `.` and `..` are entries.
    pub name: Vec<u8>,
}

/// A file system's status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatFs {
    /// Magic number of its type.
    pub kind: u32,
    /// Block size in bytes.
    pub bsize: u32,
    /// Size in blocks.
    pub blocks: u64,
    /// Free blocks.
    pub bfree: u64,
    /// Free blocks for ordinary users.
    pub bavail: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub ffree: u64,
    /// Identity.
    pub fsid: u64,
    /// Longest name in bytes.
    pub namelen: u32,
}

/// Names from the root on; none of them is empty, `.`, `..` or contains `/` or NUL. No name at all is the root.
pub type Path = [Vec<u8>];

/// A file that is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node<'a> {
    /// By its path; symbolic links are not followed.
    Path(&'a Path),
    /// By its number as an open file, whatever its name is by now.
    Open(u32),
}

/// How many attributes are in transfer at a time unless somebody says otherwise (QEMU's `max_xattr`).
pub const XATTR_LIMIT: u32 = 1024;

/// The answer of a [`FileSystem`].
pub type FsResult<T> = Result<T, FsError>;

/// A folder of the host. Symbolic links are never followed, and nothing outside of the folder is reached.
///
/// Every method fails with [`FsError`] as the system call of that name would.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
pub trait FileSystem {
    /// A file's status.
    fn stat(&mut self, node: Node<'_>) -> FsResult<Attr>;

    /// Changes a file's status.
    fn set_attr(&mut self, node: Node<'_>, set: &SetAttr) -> FsResult<()>;

    /// The text of a symbolic link.
    fn read_link(&mut self, path: &Path) -> FsResult<Vec<u8>>;

    /// Opens a file or folder under a number that is free.
    fn open(&mut self, handle: u32, path: &Path, how: Open) -> FsResult<()>;

    /// Makes (unless it exists and may) and opens a file.
    fn create(&mut self, handle: u32, path: &Path, how: Open, new: New) -> FsResult<()>;

    /// Makes a folder, link or special file.
    fn make(&mut self, path: &Path, what: Make<'_>, new: New) -> FsResult<()>;

    /// Gives a file one more name.
    fn link(&mut self, old: &Path, new: &Path) -> FsResult<()>;

    /// Gives a file another name.
    fn rename(&mut self, old: &Path, new: &Path) -> FsResult<()>;

    /// Removes a name, of a folder or of anything else.
    fn remove(&mut self, path: &Path, directory: bool) -> FsResult<()>;

    /// Reads; less than `buf` holds only at the end of the file.  `EINTR`: not now, a server asks again until its client
    /// gives up.
    fn read(&mut self, handle: u32, offset: u64, buf: &mut [u8]) -> FsResult<usize>;

    /// Writes; how much.  `EINTR` as with [`FileSystem::read`].
    fn write(&mut self, handle: u32, offset: u64, data: &[u8]) -> FsResult<usize>;

    /// Entries of an open folder from a place on (0, or the `next` of an entry): at least one unless it is at its end, and
    /// names of about `most` bytes.
    fn read_dir(&mut self, handle: u32, from: u64, most: usize) -> FsResult<Vec<Entry>>;

    /// Returns when what was written is safe; with `data_only` times need not be.
    fn sync(&mut self, handle: u32, data_only: bool) -> FsResult<()>;

    /// Closes a file. A number that is not in use is nothing to close.
    fn close(&mut self, handle: u32);

    /// The status of the file system that the file is on.
    fn stat_fs(&mut self, path: &Path) -> FsResult<StatFs>;

    /// An extended attribute; for an empty name the names of all, each with a NUL behind it.
    fn xattr(&mut self, path: &Path, name: &[u8]) -> FsResult<Vec<u8>>;

    /// Sets an extended attribute; `flags` 1: it must be new, 2: it must exist.
    fn set_xattr(&mut self, path: &Path, name: &[u8], value: &[u8], flags: u32) -> FsResult<()>;

    /// Removes an extended attribute.
    fn remove_xattr(&mut self, path: &Path, name: &[u8]) -> FsResult<()>;

    /// How many attributes a server may keep in transfer for its clients at a time; `None`: as many as they want.
    fn xattr_limit(&self) -> Option<u32> {
        Some(XATTR_LIMIT)
    }

    /// The server keeps this many now.
    fn xattrs_in_transfer(&mut self, count: usize) {
        let _ = count;
    }
}
