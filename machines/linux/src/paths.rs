//! Path look-up: absolute guest paths in the sysroot first, then on the host.
//!
//! Symbolic links are followed here while the walk is inside the sysroot, absolute targets relative to it, so that a
//! sysroot with `/lib -> /usr/lib` stays inside.  What is not in the sysroot is the host's.

use std::ffi::{CStr, CString};
use tern_host::sys;

/// Most symbolic links in one look-up (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// Path look-up of one process.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    sysroot: Option<Vec<u8>>,
}

/// Does the last component's link count, or what it points to?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last {
    /// The target.
    Follow,
    /// The link.
    Keep,
}

fn cstring(path: &[u8]) -> Option<CString> {
    CString::new(path).ok()
}

impl Paths {
    /// Look-up in `sysroot` first, if there is one.  A relative one is resolved against the current directory now, and
    /// a trailing slash does not matter.
    #[must_use]
    pub fn new(sysroot: Option<&[u8]>) -> Paths {
        let sysroot = sysroot.map(|root| {
            let mut root = absolute(root);
            while root.len() > 1 && root.last() == Some(&b'/') {
                root.pop();
            }
            root
        });
        Paths { sysroot: sysroot.filter(|r| r != b"/") }
    }

    /// The sysroot, absolute, without trailing slash.
    #[must_use]
    pub fn sysroot(&self) -> Option<&[u8]> {
        self.sysroot.as_deref()
    }

    /// The host path for a guest path that names something that exists: in the sysroot if it is there, else as it is.
    #[must_use]
    pub fn lookup(&self, path: &CStr, last: Last) -> CString {
        self.inside(path.to_bytes(), last).unwrap_or_else(|| path.to_owned())
    }

    /// The guest path of a host path: without the sysroot.
    #[must_use]
    pub fn guest_view(&self, host: &[u8]) -> Vec<u8> {
        match self.sysroot.as_deref().and_then(|root| host.strip_prefix(root)) {
            Some([]) => b"/".to_vec(),
            Some(rest) if rest[0] == b'/' => rest.to_vec(),
            _ => host.to_vec(),
        }
    }

    /// Walks an absolute path inside the sysroot; `None` if it is relative, leaves, or names nothing there.
    fn inside(&self, path: &[u8], last: Last) -> Option<CString> {
        let root = self.sysroot.as_deref()?;
        if path.first() != Some(&b'/') {
            return None;
        }
        // A path that spells the sysroot out is a host path already.
        if path.strip_prefix(root).is_some_and(|rest| rest.first().is_none_or(|b| *b == b'/')) {
            return None;
        }
        let mut todo: Vec<Vec<u8>> = components(path);
        let wants_dir = path.last() == Some(&b'/');
        let mut at: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                at.pop();
                continue;
            }
            at.push(name);
            let follow = !todo.is_empty() || last == Last::Follow || wants_dir;
            let here = join(root, &at);
            let stat = sys::fs::fstatat(sys::CWD, &cstring(&here)?, sys::host::AT_SYMLINK_NOFOLLOW).ok()?;
            if stat.mode & 0o170_000 != 0o120_000 || !follow {
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return None;
            }
            let mut target = vec![0; crate::cx::PATH_MAX];
            let n = sys::fs::readlinkat(sys::CWD, &cstring(&here)?, &mut target).ok()?;
            target.truncate(n);
            at.pop();
            if target.first() == Some(&b'/') {
                at.clear();
            }
            todo.append(&mut components(&target));
        }
        let mut full = join(root, &at);
        if wants_dir {
            full.push(b'/');
        }
        cstring(&full)
    }
}

/// The names of a path, last first; `.` and empty ones left out.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').filter(|c| !c.is_empty() && *c != b".").map(<[u8]>::to_vec).rev().collect()
}

fn join(root: &[u8], names: &[Vec<u8>]) -> Vec<u8> {
    let mut path = root.to_vec();
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}

/// The current directory of the host process.
#[must_use]
pub fn cwd() -> Vec<u8> {
    let mut buf = vec![0; crate::cx::PATH_MAX];
    match sys::fs::getcwd(&mut buf) {
        Ok(n) => {
            buf.truncate(n.saturating_sub(1));
            buf
        }
        Err(_) => b"/".to_vec(),
    }
}

/// A path made absolute by the current directory.
#[must_use]
pub fn absolute(path: &[u8]) -> Vec<u8> {
    if path.first() == Some(&b'/') {
        return path.to_vec();
    }
    let mut full = cwd();
    full.push(b'/');
    full.extend_from_slice(path);
    full
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("tern-linux-paths-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("usr/lib")).expect("temporary directory");
        std::fs::write(dir.join("usr/lib/libc.so"), b"x").expect("temporary file");
        symlink("usr/lib", dir.join("lib")).expect("link");
        symlink("/usr/lib/libc.so", dir.join("abs")).expect("link");
        symlink("loop", dir.join("loop")).expect("link");
        dir
    }

    fn look(paths: &Paths, path: &CStr, last: Last) -> String {
        paths.lookup(path, last).into_string().expect("utf-8")
    }

    #[test]
    fn links_stay_inside_the_sysroot() {
        let dir = tree("inside");
        let root = dir.to_str().expect("utf-8").to_owned();
        let paths = Paths::new(Some(format!("{root}/").as_bytes()));
        assert_eq!(look(&paths, c"/lib/libc.so", Last::Follow), format!("{root}/usr/lib/libc.so"));
        assert_eq!(look(&paths, c"/abs", Last::Follow), format!("{root}/usr/lib/libc.so"));
        assert_eq!(look(&paths, c"/abs", Last::Keep), format!("{root}/abs"));
        assert_eq!(look(&paths, c"/../../lib/../lib/./libc.so", Last::Follow), format!("{root}/usr/lib/libc.so"));
        assert_eq!(look(&paths, c"/loop", Last::Follow), "/loop", "a loop is the host's to report");
        assert_eq!(look(&paths, c"/no/such", Last::Follow), "/no/such");
        assert_eq!(look(&paths, c"lib/libc.so", Last::Follow), "lib/libc.so", "relative paths are the host's");
        let spelled = CString::new(format!("{root}/lib")).expect("no NUL");
        assert_eq!(look(&paths, &spelled, Last::Follow), format!("{root}/lib"));
        assert_eq!(paths.guest_view(format!("{root}/usr/lib").as_bytes()), b"/usr/lib");
        std::fs::remove_dir_all(dir).expect("temporary directory");
    }
}
