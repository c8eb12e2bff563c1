//! Safe wrappers over Linux system calls, one file per chapter.
//!
//! Most calls are one row of a `syscalls!` table: the row's Rust types are the kernel's argument list. A byte slice
//! stands for the two arguments *pointer, length*, so a row cannot state a wrong length.
#![allow(unsafe_code, reason = "system calls; the macro and every block outside it name their proof")]
#![allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "the widths of C types and of libc's constants differ between hosts"
)]

use core::ffi::{CStr, c_int, c_long};
use std::io::{IoSlice, IoSliceMut};

pub mod cred;
mod errno;
pub mod file;
pub mod fs;
pub mod futex;
pub mod host;
pub mod ioctl;
mod kernel;
pub mod proc;
pub mod sched;
pub mod socket;
pub mod termios;
pub mod time;
mod timer;
pub mod wait;
pub mod xattr;

pub use errno::{ERRNOS, Errno};
pub(crate) use kernel::{KSigset, native};
pub(crate) use timer::{arm_timer, create_timer, delete_timer, sigtimedwait};

/// A file descriptor of tern's process. Descriptors belong to the guest, so they are numbers, not owners.
pub type Fd = i32;

/// The directory descriptor that stands for the current directory (`AT_FDCWD`).
pub const CWD: Fd = libc::AT_FDCWD;

/// A point in time or a span of time: seconds and 0..1_000_000_000 nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Time {
    /// Whole seconds.
    pub sec: i64,
    /// Nanoseconds (a few calls take marker values here, such as `UTIME_NOW`).
    pub nsec: i64,
}

impl Time {
    /// A time from nanoseconds.
    #[must_use]
    pub const fn from_nanos(ns: i64) -> Time {
        Time { sec: ns.div_euclid(1_000_000_000), nsec: ns.rem_euclid(1_000_000_000) }
    }

    /// As nanoseconds, saturating.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.sec.saturating_mul(1_000_000_000).saturating_add(self.nsec)
    }
}

/// The argument registers of one system call.
#[derive(Default)]
struct Args {
    list: [c_long; 6],
    len: usize,
}

impl Args {
    fn push(&mut self, value: c_long) {
        assert!(self.len < 6, "a row of syscalls! has more than six kernel arguments");
        self.list[self.len] = value;
        self.len += 1;
    }

    /// Enters the kernel.
    ///
    /// # Safety
    /// What the kernel does with the arguments of call `nr` must be sound: every pointer must be valid for what it
    /// reads or writes there.
    unsafe fn call(&self, nr: c_long) -> c_long {
        let [a, b, c, d, e, f] = self.list;
        // SAFETY: forwarded to the caller.
        unsafe { libc::syscall(nr, a, b, c, d, e, f) }
    }
}

/// A Rust value that stands for one or two kernel arguments.
trait Arg {
    fn push(self, args: &mut Args);
}

/// A structure that the kernel reads.
struct In<'a, T>(&'a T);
/// A structure that the kernel may read.
struct InOpt<'a, T>(Option<&'a T>);
/// A structure that the kernel writes.
struct Out<'a, T>(&'a mut T);
/// A structure that the kernel may write.
struct OutOpt<'a, T>(Option<&'a mut T>);
/// A file position in two registers, low half first, as `preadv` and friends take it on every host.
struct Pos(i64);

macro_rules! plain_args {
    ($($ty:ty),*) => {$(
        impl Arg for $ty {
            fn push(self, args: &mut Args) {
                args.push(self as c_long);
            }
        }
    )*};
}
plain_args!(i32, u32, usize, isize);

macro_rules! pointer_args {
    ($($ty:ty => |$it:ident| $ptr:expr;)*) => {$(
        impl Arg for $ty {
            fn push(self, args: &mut Args) {
                let $it = self;
                args.push($ptr as c_long);
            }
        }
    )*};
}
pointer_args! {
    &CStr => |s| s.as_ptr();
    Option<&CStr> => |s| s.map_or(core::ptr::null(), CStr::as_ptr);
}

macro_rules! struct_args {
    ($($ty:ident => |$it:ident| $ptr:expr;)*) => {$(
        impl<T> Arg for $ty<'_, T> {
            fn push(self, args: &mut Args) {
                let $it = self.0;
                args.push($ptr as c_long);
            }
        }
    )*};
}
struct_args! {
    In => |r| core::ptr::from_ref(r);
    InOpt => |r| r.map_or(core::ptr::null(), core::ptr::from_ref);
    Out => |r| core::ptr::from_mut(r);
    OutOpt => |r| r.map_or(core::ptr::null_mut(), core::ptr::from_mut);
}

macro_rules! slice_args {
    ($($ty:ty => $ptr:ident;)*) => {$(
        impl Arg for $ty {
            fn push(self, args: &mut Args) {
                let len = self.len();
                args.push(self.$ptr() as c_long);
                args.push(len as c_long);
            }
        }
    )*};
}
slice_args! {
    &[u8] => as_ptr;
    &mut [u8] => as_mut_ptr;
    &[file::Stretch] => as_ptr;
    &[IoSlice<'_>] => as_ptr;
    &mut [IoSliceMut<'_>] => as_mut_ptr;
    &mut [wait::PollFd] => as_mut_ptr;
}

impl Arg for Pos {
    fn push(self, args: &mut Args) {
        args.push(self.0 as c_long);
        args.push((self.0 >> 32) as c_long);
    }
}

/// What a system call returns when it succeeds.
trait Ret {
    fn from_raw(value: c_long) -> Self;
}

impl Ret for () {
    fn from_raw(_: c_long) {}
}

macro_rules! rets {
    ($($ty:ty),*) => {$(
        impl Ret for $ty {
            fn from_raw(value: c_long) -> $ty {
                value as $ty
            }
        }
    )*};
}
rets!(i32, u32, usize);

/// Declares system calls: `fn name(arg: type, ...) -> result = number;`, see the module's text.
macro_rules! syscalls {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty = $nr:expr;)*) => {$(
        $(#[$meta])*
        #[doc = "\n\n# Errors\nThe kernel's errno."]
        $vis fn $name($($arg: $ty),*) -> Result<$ret, $crate::sys::Errno> {
            #[allow(unused_mut, reason = "rows without arguments")]
            let mut args = $crate::sys::Args::default();
            $($crate::sys::Arg::push($arg, &mut args);)*
            // SAFETY: every pointer was pushed by an `Arg` from a reference that lives as long as this call: to a
            // NUL-terminated string, to a slice followed by its length, or to a `#[repr(C)]` structure that is the one
            // this call is defined with. The kernel accesses no other memory of ours through these calls, but for the
            // memory that a `HostSpan` vouches for in `Stretch`es.
            let ret = unsafe { args.call($nr as core::ffi::c_long) };
            if ret == -1 {
                return Err($crate::sys::Errno::last());
            }
            Ok(<$ret as $crate::sys::Ret>::from_raw(ret))
        }
    )*};
}
use syscalls;

/// The result of a C library function that returns -1 for an error.
fn cvt<T: PartialEq + From<i8>>(value: T) -> Result<T, Errno> {
    if value == T::from(-1i8) { Err(Errno::last()) } else { Ok(value) }
}

/// As [`cvt`] for functions that return only success.
fn cvt0(value: c_int) -> Result<(), Errno> {
    cvt(value).map(|_| ())
}

/// As [`cvt`] for byte counts.
fn cvt_len(value: isize) -> Result<usize, Errno> {
    usize::try_from(value).map_err(|_| Errno::last())
}
