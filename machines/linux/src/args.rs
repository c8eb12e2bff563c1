//! Types of syscall arguments: how each is fetched from registers and memory, and how strace prints it.
//!
//! To add a type, implement [`Arg`] for it here or beside the chapter that uses it.

use crate::abi::flags::Names;
use crate::abi::{Abi, Errno, Field, GuestPtr};
use crate::cx::Cx;
use crate::strace::Show;
use core::marker::PhantomData;
use std::ffi::CString;

/// The argument registers of a call.
pub type RawArgs = [u64; 6];

/// Hands out argument registers in order.
pub struct Regs<'a> {
    args: &'a RawArgs,
    next: usize,
    abi: Abi,
    pair_align: bool,
}

impl<'a> Regs<'a> {
    /// From the first register on.
    #[must_use]
    pub fn new(args: &'a RawArgs, abi: Abi, pair_align: bool) -> Regs<'a> {
        Regs { args, next: 0, abi, pair_align }
    }

    fn one(&mut self) -> u64 {
        let v = self.args.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        v
    }

    /// The next argument; a wide one takes two registers of a 32-bit guest.
    pub fn take(&mut self, wide: bool) -> u64 {
        if !wide || self.abi.is64() {
            return self.one();
        }
        if self.pair_align {
            self.next = self.next.next_multiple_of(2);
        }
        let (first, second) = (self.one() & 0xffff_ffff, self.one() & 0xffff_ffff);
        match self.abi.endian {
            tern_core::mem::Endian::Little => second << 32 | first,
            tern_core::mem::Endian::Big => first << 32 | second,
        }
    }
}

/// A type of argument.
pub trait Arg: Sized {
    /// 64 bits whatever the guest's word.
    const WIDE: bool = false;
    /// The call writes what it points to, so it prints after the call.
    const OUT: bool = false;

    /// From the register's value.
    ///
    /// # Errors
    /// `EFAULT` and what else the type demands.
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno>;

    /// Prints it; `len` is the argument named in brackets on the row.
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>);
}

macro_rules! plain {
    ($($(#[$m:meta])* $name:ident($t:ty) = |$abi:ident, $raw:ident| $value:expr, |$s:ident, $v:ident| $show:expr;)*) => {$(
        $(#[$m])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name(pub $t);
        impl Arg for $name {
            fn fetch(cx: &mut Cx<'_>, $raw: u64) -> Result<Self, Errno> {
                let $abi = cx.abi();
                let _ = $abi;
                Ok($name($value))
            }
            fn show($s: &mut Show<'_>, $raw: u64, _len: Option<u64>) {
                let $abi = $s.abi;
                let _ = $abi;
                let $v: $t = $value;
                $show
            }
        }
    )*};
}

plain! {
    /// A file descriptor.
    Fd(i32) = |abi, raw| raw as i32, |s, v| s.put(format_args!("{v}"));
    /// A directory's descriptor or `AT_FDCWD`.
    DirFd(i32) = |abi, raw| raw as i32, |s, v| s.dirfd(v);
    /// An `int`.
    Int(i32) = |abi, raw| raw as i32, |s, v| s.put(format_args!("{v}"));
    /// An `unsigned int`.
    Uint(u32) = |abi, raw| raw as u32, |s, v| s.put(format_args!("{v}"));
    /// An `unsigned int` printed in hexadecimal.
    Hex(u32) = |abi, raw| raw as u32, |s, v| s.put(format_args!("{v:#x}"));
    /// A process or thread number.
    Pid(i32) = |abi, raw| raw as i32, |s, v| s.put(format_args!("{v}"));
    /// A `long`.
    Slong(i64) = |abi, raw| abi.long_of(raw), |s, v| s.put(format_args!("{v}"));
    /// A `size_t` or `unsigned long`.
    Size(u64) = |abi, raw| abi.word_of(raw), |s, v| s.put(format_args!("{v}"));
    /// An address that the call does not read or write by itself, or that its code handles.
    Ptr(u64) = |abi, raw| abi.word_of(raw), |s, v| s.addr(v);
    /// Permission bits.
    Mode(u32) = |abi, raw| raw as u32, |s, v| s.put(format_args!("{v:#05o}"));
    /// A signal number.
    Sig(i32) = |abi, raw| raw as i32, |s, v| s.signal(v);
    /// Bytes that the call reads; their number is named on the row.
    InBuf(u64) = |abi, raw| abi.word_of(raw), |s, v| s.addr(v);
    /// A user or group; all bits set means none.
    Id(u32) = |abi, raw| raw as u32, |s, v| s.put(format_args!("{}", v as i32));
}

impl InBuf {
    /// Prints the bytes.
    pub(crate) fn show_bytes(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        s.bytes(raw, len.unwrap_or(0));
    }
}

/// Bytes that the call reads, printed as a string; their number is named on the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data(pub u64);

impl Arg for Data {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Data(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        InBuf::show_bytes(s, s.abi.word_of(raw), len);
    }
}

/// Room for bytes that the call writes; its size is named on the row, the result says how many were written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutBuf(pub u64);

impl Arg for OutBuf {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(OutBuf(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let addr = s.abi.word_of(raw);
        match s.result() {
            Some(n) => s.bytes(addr, len.map_or(n, |len| n.min(len))),
            None => s.addr(addr),
        }
    }
}

/// A file position: 64 bits in every guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Off(pub i64);

impl Arg for Off {
    const WIDE: bool = true;
    fn fetch(_cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Off(raw as i64))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        s.put(format_args!("{}", raw as i64));
    }
}

/// A path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path(pub CString);

impl Arg for Path {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        let addr = cx.abi().word_of(raw);
        cx.path(addr).map(Path)
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        s.cstr(s.abi.word_of(raw));
    }
}

/// A path that may be null.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathOpt(pub Option<CString>);

impl Arg for PathOpt {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        if cx.abi().word_of(raw) == 0 { Ok(PathOpt(None)) } else { Path::fetch(cx, raw).map(|p| PathOpt(Some(p.0))) }
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        Path::show(s, raw, len);
    }
}

/// Flags of a named set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags<N>(pub u64, PhantomData<N>);

impl<N: Names> Arg for Flags<N> {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Flags(cx.abi().word_of(raw), PhantomData))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        s.flags::<N>(raw & 0xffff_ffff);
    }
}

/// One constant of a named set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Const<N>(pub u32, PhantomData<N>);

impl<N: Names> Arg for Const<N> {
    fn fetch(_cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Const(raw as u32, PhantomData))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        s.constant::<N>(raw as u32);
    }
}

/// A structure that the call reads.
#[derive(Clone, Debug)]
pub struct In<T: Field>(pub T::Value);

impl<T: Field> Arg for In<T> {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        let addr = cx.abi().word_of(raw);
        cx.read::<T>(GuestPtr::new(addr)).map(In)
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        s.datum::<T>(s.abi.word_of(raw));
    }
}

/// A structure that the call reads unless the pointer is null.
#[derive(Clone, Debug)]
pub struct InOpt<T: Field>(pub Option<T::Value>);

impl<T: Field> Arg for InOpt<T> {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        if cx.abi().word_of(raw) == 0 { Ok(InOpt(None)) } else { In::<T>::fetch(cx, raw).map(|v| InOpt(Some(v.0))) }
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        s.datum::<T>(s.abi.word_of(raw));
    }
}

/// A structure that the call writes.
#[derive(Debug)]
pub struct Out<T>(pub GuestPtr<T>);

impl<T: Field> Arg for Out<T> {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Out(GuestPtr::new(cx.abi().word_of(raw))))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        let addr = s.abi.word_of(raw);
        if s.result().is_some() { s.datum::<T>(addr) } else { s.addr(addr) }
    }
}

/// A structure that the call writes unless the pointer is null.
#[derive(Debug)]
pub struct OutOpt<T>(pub Option<GuestPtr<T>>);

impl<T: Field> Arg for OutOpt<T> {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        let addr = cx.abi().word_of(raw);
        Ok(OutOpt((addr != 0).then(|| GuestPtr::new(addr))))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        Out::<T>::show(s, raw, len);
    }
}

/// An array that the call reads; the number of elements is named on the row.  The handler reads it with
/// [`Cx::read`] through [`GuestPtr::at`] or [`InArr::get`].
#[derive(Debug)]
pub struct InArr<T>(pub GuestPtr<T>);

impl<T: Field> InArr<T> {
    /// The first `count` elements.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn get(&self, cx: &mut Cx<'_>, count: u64) -> Result<Vec<T::Value>, Errno> {
        let abi = cx.abi();
        let size = T::size(abi);
        let bytes = cx.bytes(self.0.addr, count.saturating_mul(size as u64))?;
        Ok(bytes.chunks_exact(size).map(|c| T::get(c, abi)).collect())
    }
}

impl<T: Field> Arg for InArr<T> {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(InArr(GuestPtr::new(cx.abi().word_of(raw))))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        s.array::<T>(s.abi.word_of(raw), len.unwrap_or(0));
    }
}

/// An array that the call writes through (iovecs to fill); prints after the call.
#[derive(Debug)]
pub struct OutArr<T>(pub GuestPtr<T>);

impl<T: Field> Arg for OutArr<T> {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(OutArr(GuestPtr::new(cx.abi().word_of(raw))))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        InArr::<T>::show(s, raw, len);
    }
}

/// A null-terminated array of strings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strings(pub u64);

impl Arg for Strings {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Strings(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        s.strings(s.abi.word_of(raw));
    }
}

/// How a result prints.
pub trait Ret {
    /// Prints it.
    fn show(s: &mut Show<'_>, value: u64);
}

/// A number.
pub struct Num;
/// An address or other number best read in hexadecimal.
pub struct Address;
/// Permission bits.
pub struct Octal;

impl Ret for Num {
    fn show(s: &mut Show<'_>, value: u64) {
        let value = s.abi.long_of(value);
        s.put(format_args!("{value}"));
    }
}
impl Ret for Address {
    fn show(s: &mut Show<'_>, value: u64) {
        let value = s.abi.word_of(value);
        s.put(format_args!("{value:#x}"));
    }
}
impl Ret for Octal {
    fn show(s: &mut Show<'_>, value: u64) {
        s.put(format_args!("{value:#o}"));
    }
}
