//! Users, groups, capabilities.
//!
//! The setters act on the whole process, as the C library's do (POSIX), not on the calling thread.

use super::{Errno, In, Out, cvt, cvt0, syscalls};

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAP_V3: u32 = 0x2008_0522;

syscalls! {
    fn raw_capget(head: Out<'_, CapHeader>, data: Out<'_, [u32; 6]>) -> () = libc::SYS_capget;
    fn raw_capset(head: Out<'_, CapHeader>, data: In<'_, [u32; 6]>) -> () = libc::SYS_capset;
}

/// Real, effective and saved identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ids {
    /// Real.
    pub real: u32,
    /// Effective.
    pub effective: u32,
    /// Saved.
    pub saved: u32,
}

macro_rules! ids {
    ($($name:ident: $get:ident, $set:ident, $doc:literal;)*) => {$(
        #[doc = concat!("`", $doc, "`: the identities of this process.\n\n# Errors\nThe kernel's errno.")]
        pub fn $get() -> Result<Ids, Errno> {
            let mut ids = Ids::default();
            // SAFETY: three live integers of the type that the function fills.
            cvt0(unsafe { libc::$get(&mut ids.real, &mut ids.effective, &mut ids.saved) })?;
            Ok(ids)
        }

        #[doc = concat!("`", stringify!($set), "(2)`; all bits set leaves one as it is.\n\n# Errors\nThe kernel's errno.")]
        pub fn $set(ids: Ids) -> Result<(), Errno> {
            // SAFETY: no pointers.
            cvt0(unsafe { libc::$set(ids.real, ids.effective, ids.saved) })
        }
    )*};
}
ids! {
    users: getresuid, setresuid, "getresuid(2)";
    groups: getresgid, setresgid, "getresgid(2)";
}

macro_rules! id_calls {
    ($($name:ident($($arg:ident),*);)*) => {$(
        #[doc = concat!("`", stringify!($name), "(2)`.\n\n# Errors\nThe kernel's errno.")]
        pub fn $name($($arg: u32),*) -> Result<(), Errno> {
            // SAFETY: no pointers.
            cvt0(unsafe { libc::$name($($arg),*) })
        }
    )*};
}
id_calls! {
    setuid(uid);
    setgid(gid);
    setreuid(real, effective);
    setregid(real, effective);
}

/// `setfsuid(2)` of the calling thread: the previous one.
#[must_use]
pub fn setfsuid(uid: u32) -> u32 {
    // SAFETY: no pointers.
    unsafe { libc::setfsuid(uid) as u32 }
}

/// `setfsgid(2)` of the calling thread: the previous one.
#[must_use]
pub fn setfsgid(gid: u32) -> u32 {
    // SAFETY: no pointers.
    unsafe { libc::setfsgid(gid) as u32 }
}

/// `getgroups(2)`: the supplementary groups.
///
/// # Errors
/// The kernel's errno.
pub fn getgroups() -> Result<Vec<u32>, Errno> {
    // SAFETY: a count of zero only asks for the number.
    let count = cvt(unsafe { libc::getgroups(0, core::ptr::null_mut()) })?;
    let mut list = vec![0u32; count as usize];
    // SAFETY: room for `count` groups.
    let count = cvt(unsafe { libc::getgroups(count, list.as_mut_ptr()) })?;
    list.truncate(count as usize);
    Ok(list)
}

/// `setgroups(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn setgroups(list: &[u32]) -> Result<(), Errno> {
    // SAFETY: pointer and length are those of `list`.
    cvt0(unsafe { libc::setgroups(list.len() as _, list.as_ptr()) })
}

/// The capability sets of a thread, bit `n` for capability `n`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Caps {
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
}

/// `capget(2)` for a thread, zero for the caller.
///
/// # Errors
/// The kernel's errno.
pub fn capget(pid: i32) -> Result<Caps, Errno> {
    let mut d = [0; 6];
    raw_capget(Out(&mut CapHeader { version: CAP_V3, pid }), Out(&mut d))?;
    let wide = |i: usize| u64::from(d[i]) | u64::from(d[i + 3]) << 32;
    Ok(Caps { effective: wide(0), permitted: wide(1), inheritable: wide(2) })
}

/// `capset(2)` for the calling thread.
///
/// # Errors
/// The kernel's errno.
pub fn capset(caps: Caps) -> Result<(), Errno> {
    let list = [caps.effective, caps.permitted, caps.inheritable];
    let low = list.map(|c| c as u32);
    let high = list.map(|c| (c >> 32) as u32);
    let data = [low[0], low[1], low[2], high[0], high[1], high[2]];
    raw_capset(Out(&mut CapHeader { version: CAP_V3, pid: 0 }), In(&data))
}
