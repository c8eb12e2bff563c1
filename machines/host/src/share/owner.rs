//! Owners, permissions and special files of a shared folder: QEMU's security models.

use super::{Place, attr, error, retry};
use crate::sys::{file, fs, host, xattr};
use std::ffi::{CStr, CString};
use tern_core::backend::fs::{Attr, FsError, FsResult, Make, New, mode};

/// How owners and permissions are kept (`security_model=`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// As the guest gives them; tern must be allowed to (as root).
    Passthrough,
    /// As the guest gives them where tern may, else tern's own.
    None,
    /// In extended attributes `user.virtfs.*`; on the host files are tern's, and links and special files are plain files.
    MappedXattr,
}

impl Security {
    /// The model with this name on QEMU's command line.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Security> {
        Some(match name {
            "passthrough" => Security::Passthrough,
            "none" => Security::None,
            "mapped" | "mapped-xattr" => Security::MappedXattr,
            _ => return None,
        })
    }
}

/// Where mapped attributes are; values are little-endian numbers, as QEMU writes them.
const UID: &CStr = c"user.virtfs.uid";
const GID: &CStr = c"user.virtfs.gid";
const MODE: &CStr = c"user.virtfs.mode";
const RDEV: &CStr = c"user.virtfs.rdev";
const OURS: &[u8] = b"user.virtfs.";
/// Longest value of an extended attribute (`XATTR_SIZE_MAX`), and longest list.
const MAX_XATTR: usize = 1 << 16;
/// Longest text of a symbolic link, with its terminator (`PATH_MAX`).
const MAX_LINK: usize = 4096;

/// A security model at work.
pub(super) struct Owners(Security);

fn number(place: &Place, name: &CStr) -> Option<u64> {
    let mut buf = [0; 8];
    let path = place.proc();
    let got =
        if place.follow { xattr::getxattr(&path, name, &mut buf) } else { xattr::lgetxattr(&path, name, &mut buf) };
    matches!(got, Ok(4 | 8)).then(|| u64::from_le_bytes(buf))
}

fn set_bytes(place: &Place, name: &CStr, value: &[u8], flags: i32) -> FsResult<()> {
    let path = place.proc();
    let done = if place.follow {
        xattr::setxattr(&path, name, value, flags)
    } else {
        xattr::lsetxattr(&path, name, value, flags)
    };
    done.map_err(error)
}

fn set_number(place: &Place, name: &CStr, value: u32) -> FsResult<()> {
    set_bytes(place, name, &value.to_le_bytes(), 0)
}

impl Owners {
    pub(super) fn new(model: Security) -> Owners {
        Owners(model)
    }

    pub(super) fn maps(&self) -> bool {
        self.0 == Security::MappedXattr
    }

    /// The permissions that a new file has on the host until [`Owners::give`].
    pub(super) fn file_mode(&self, mode: u32) -> u32 {
        if self.maps() { 0o600 } else { mode & 0o777 }
    }

    /// Replaces what is mapped.
    pub(super) fn read(&self, place: &Place, attr: &mut Attr) {
        if !self.maps() {
            return;
        }
        let word = |name| number(place, name).map(|n| n as u32);
        attr.uid = word(UID).unwrap_or(attr.uid);
        attr.gid = word(GID).unwrap_or(attr.gid);
        attr.mode = word(MODE).unwrap_or(attr.mode);
        if let Some(dev) = number(place, RDEV) {
            // As glibc's `makedev`: 12 + 20 bits of the major number, 8 + 24 of the minor.
            let major = (dev >> 8 & 0xfff) | (dev >> 32 & !0xfff);
            let minor = (dev & 0xff) | (dev >> 12 & !0xff);
            attr.rdev = (major as u32, minor as u32);
        }
    }

    /// Makes a new file the guest's.
    pub(super) fn give(&self, place: &Place, kind: u32, rdev: (u32, u32), new: New) -> FsResult<()> {
        let perm = new.mode & 0o7777;
        if self.maps() {
            // All bits set is nobody: the file stays tern's.
            for (name, id) in [(UID, new.uid), (GID, new.gid)].into_iter().filter(|(_, id)| *id != u32::MAX) {
                set_number(place, name, id)?;
            }
            set_number(place, MODE, kind | perm)?;
            if matches!(kind, mode::CHARACTER | mode::BLOCK) {
                let (major, minor) = (u64::from(rdev.0), u64::from(rdev.1));
                let dev = minor & 0xff | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32;
                set_bytes(place, RDEV, &dev.to_le_bytes(), 0)?;
            }
            return Ok(());
        }
        let owned = fs::fchownat(place.dir(), &place.name, new.uid, new.gid, host::AT_SYMLINK_NOFOLLOW).map_err(error);
        if self.0 == Security::Passthrough {
            owned?;
        }
        if kind == mode::SYMLINK { Ok(()) } else { attr::chmod(place, perm) }
    }

    pub(super) fn change_owner(&self, place: &Place, uid: Option<u32>, gid: Option<u32>) -> FsResult<()> {
        if self.maps() {
            uid.map_or(Ok(()), |uid| set_number(place, UID, uid))?;
            return gid.map_or(Ok(()), |gid| set_number(place, GID, gid));
        }
        let (uid, gid) = (uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX));
        match fs::fchownat(place.dir(), &place.name, uid, gid, place.flags()).map_err(error) {
            Err(FsError::EPERM) if self.0 == Security::None => Ok(()),
            result => result,
        }
    }

    pub(super) fn change_mode(&self, place: &Place, perm: u32) -> FsResult<()> {
        if !self.maps() {
            return attr::chmod(place, perm);
        }
        let stat = place.stat().map_err(error)?;
        let kind = number(place, MODE).map_or(stat.mode, |m| m as u32) & mode::TYPE;
        set_number(place, MODE, kind | perm)
    }

    /// Makes anything but an open file.
    pub(super) fn make(&self, place: &Place, what: Make<'_>, new: New) -> FsResult<()> {
        let (dir, at) = (place.dir(), &place.name);
        let (kind, rdev) = match what {
            Make::Directory => (mode::DIRECTORY, (0, 0)),
            Make::Symlink(_) => (mode::SYMLINK, (0, 0)),
            Make::Node(kind, rdev) => (kind & mode::TYPE, rdev),
        };
        match what {
            Make::Directory => {
                fs::mkdirat(dir, at, if self.maps() { 0o700 } else { new.mode & 0o777 }).map_err(error)?;
            }
            Make::Symlink(text) if !self.maps() => {
                let text = CString::new(text).map_err(|_| FsError::EINVAL)?;
                fs::symlinkat(&text, dir, at).map_err(error)?;
            }
            Make::Node(..) if !self.maps() => {
                let known = [mode::REGULAR, mode::CHARACTER, mode::BLOCK, mode::FIFO, mode::SOCKET];
                if !known.contains(&kind) {
                    return Err(FsError::EINVAL);
                }
                fs::mknodat(dir, at, kind | new.mode & 0o777, fs::dev(rdev.0, rdev.1)).map_err(error)?;
            }
            Make::Symlink(_) | Make::Node(..) => {
                let fd = place.open(host::O_WRONLY | host::O_CREAT | host::O_EXCL, 0o600).map_err(error)?;
                if let Make::Symlink(text) = what {
                    let written = retry(|| file::pwrite(fd.0, text, 0)).map_err(error);
                    if !written.is_ok_and(|n| n == text.len()) {
                        let _ = fs::unlinkat(dir, at, 0);
                        return Err(FsError::ENOSPC);
                    }
                }
            }
        }
        self.give(place, kind, rdev, new).inspect_err(|_| {
            let _ = fs::unlinkat(dir, at, if kind == mode::DIRECTORY { host::AT_REMOVEDIR } else { 0 });
        })
    }

    pub(super) fn read_link(&self, place: &Place) -> FsResult<Vec<u8>> {
        let mut buf = vec![0; MAX_LINK];
        let mapped = self.maps() && number(place, MODE).is_some_and(|m| m as u32 & mode::TYPE == mode::SYMLINK);
        let n = if mapped {
            let fd = place.open(host::O_RDONLY | host::O_NONBLOCK, 0).map_err(error)?;
            retry(|| file::pread(fd.0, &mut buf, 0)).map_err(error)?
        } else {
            fs::readlinkat(place.dir(), &place.name, &mut buf).map_err(error)?
        };
        buf.truncate(n);
        Ok(buf)
    }

    /// May the guest use the attribute of this name?
    fn allowed(&self, attribute: &[u8]) -> FsResult<CString> {
        if attribute.starts_with(OURS) {
            return Err(FsError::EPERM);
        }
        // Mapped files are tern's, so their other attributes would be about another owner.
        if self.maps() && !attribute.starts_with(b"user.") {
            return Err(FsError::EOPNOTSUPP);
        }
        CString::new(attribute).map_err(|_| FsError::EINVAL)
    }

    pub(super) fn xattr(&self, place: &Place, attribute: &[u8]) -> FsResult<Vec<u8>> {
        let path = place.proc();
        let mut buf = vec![0; MAX_XATTR];
        if attribute.is_empty() {
            let n = xattr::llistxattr(&path, &mut buf).map_err(error)?;
            let names = buf[..n].split_inclusive(|b| *b == 0).filter(|name| {
                let name = name.strip_suffix(&[0]).unwrap_or(name);
                self.allowed(name).is_ok()
            });
            return Ok(names.flatten().copied().collect());
        }
        let attribute = self.allowed(attribute)?;
        let n = xattr::lgetxattr(&path, &attribute, &mut buf).map_err(error)?;
        buf.truncate(n);
        Ok(buf)
    }

    pub(super) fn set_xattr(&self, place: &Place, attribute: &[u8], value: &[u8], flags: u32) -> FsResult<()> {
        set_bytes(place, &self.allowed(attribute)?, value, (flags & 3).cast_signed())
    }

    pub(super) fn remove_xattr(&self, place: &Place, attribute: &[u8]) -> FsResult<()> {
        let attribute = self.allowed(attribute)?;
        xattr::lremovexattr(&place.proc(), &attribute).map_err(error)
    }
}
