//! Scattered guest memory as one range of bytes: what `read` and `readv` fill and `write` and `writev` take.

use crate::abi::structs::Iovec;
use crate::abi::{Errno, GuestPtr};
use crate::args::{Arg, InArr};
use crate::cx::{Cx, MAX_RW};
use crate::strace::Show;
use tern_core::mem::Access;

/// Most segments (`UIO_MAXIOV`).
pub const IOV_MAX: u64 = 1024;

/// Segments of guest memory, at most [`MAX_RW`] bytes together.
#[derive(Clone, Debug, Default)]
pub struct Vector {
    /// Address and length.
    segments: Vec<(u64, u64)>,
    total: u64,
}

impl Vector {
    /// One segment, shortened to what one call moves.
    #[must_use]
    pub fn single(addr: u64, len: u64) -> Vector {
        let len = len.min(MAX_RW);
        Vector { segments: vec![(addr, len)], total: len }
    }

    /// An array of `struct iovec`.
    ///
    /// # Errors
    /// `EINVAL` for more than [`IOV_MAX`] or a length that is negative, `EFAULT`.
    pub fn fetch(cx: &mut Cx<'_>, iov: u64, count: u64) -> Result<Vector, Errno> {
        if count > IOV_MAX {
            return Err(Errno::EINVAL);
        }
        let abi = cx.abi();
        let rows = InArr::<Iovec>(GuestPtr::new(iov)).get(cx, count)?;
        if rows.iter().any(|r| abi.long_of(r.len) < 0) {
            return Err(Errno::EINVAL);
        }
        let mut vector = Vector::default();
        for row in rows {
            let len = row.len.min(MAX_RW - vector.total);
            vector.segments.push((row.base, len));
            vector.total += len;
        }
        Ok(vector)
    }

    /// Bytes in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The segments from byte `skip` on, at most `limit` bytes.
    fn part(&self, mut skip: u64, mut limit: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.segments.iter().filter_map(move |(addr, len)| {
            let step = skip.min(*len);
            skip -= step;
            let n = (len - step).min(limit);
            limit -= n;
            (n > 0).then_some((addr.wrapping_add(step), n))
        })
    }

    /// How many of the bytes from `skip` on, at most `limit`, allow the access before one that does not.
    ///
    /// # Errors
    /// `EFAULT` if there are bytes and the first does not.
    fn usable(&self, cx: &mut Cx<'_>, skip: u64, limit: u64, access: Access) -> Result<u64, Errno> {
        let mut done = 0;
        for (addr, len) in self.part(skip, limit) {
            let n = cx.mem().accessible(addr, len, access);
            done += n;
            if n < len {
                return if done == 0 { Err(Errno::EFAULT) } else { Ok(done) };
            }
        }
        Ok(done)
    }

    /// Reads the bytes from `skip` on, at most `limit`, up to a hole.
    ///
    /// # Errors
    /// `EFAULT` if the first byte cannot be read.
    pub fn gather(&self, cx: &mut Cx<'_>, skip: u64, limit: u64) -> Result<Vec<u8>, Errno> {
        let n = self.usable(cx, skip, limit, Access::Load)?;
        let mut bytes = Vec::new();
        for (addr, len) in self.part(skip, n) {
            bytes.append(&mut cx.bytes(addr, len)?);
        }
        Ok(bytes)
    }

    /// A buffer for the bytes from `skip` on, at most `limit`, up to a hole.
    ///
    /// # Errors
    /// `EFAULT` if the first byte cannot be written.
    pub fn room(&self, cx: &mut Cx<'_>, skip: u64, limit: u64) -> Result<Vec<u8>, Errno> {
        let n = self.usable(cx, skip, limit, Access::Store)?;
        Ok(vec![0; usize::try_from(n).map_err(|_| Errno::ENOMEM)?])
    }

    /// Writes bytes from `skip` on.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn scatter(&self, cx: &mut Cx<'_>, skip: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut rest = bytes;
        for (addr, len) in self.part(skip, bytes.len() as u64) {
            let (head, tail) = rest.split_at(len as usize);
            cx.put_bytes(addr, head)?;
            rest = tail;
        }
        Ok(())
    }
}

/// `struct iovec`s whose bytes the call reads; their number is named on the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IovIn(pub u64);

/// `struct iovec`s whose bytes the call writes; their number is named on the row, the result says how many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IovOut(pub u64);

/// Prints segments with at most `bytes` bytes of content.
pub fn show_iovecs(s: &mut Show<'_>, addr: u64, count: u64, mut bytes: u64) {
    const SHOWN: u64 = 16;
    let abi = s.abi;
    if addr == 0 && count == 0 {
        return s.addr(0);
    }
    s.put(format_args!("["));
    for i in 0..count.min(SHOWN) {
        let separator = if i > 0 { ", " } else { "" };
        let Some(row) = s.read::<Iovec>(GuestPtr::<Iovec>::new(addr).at(i, abi).addr) else {
            s.put(format_args!("{separator}{:#x}", GuestPtr::<Iovec>::new(addr).at(i, abi).addr));
            break;
        };
        s.put(format_args!("{separator}{{iov_base="));
        s.bytes(row.base, row.len.min(bytes));
        s.put(format_args!(", iov_len={}}}", row.len));
        bytes = bytes.saturating_sub(row.len);
    }
    s.put(format_args!("{}", if count > SHOWN { ", ...]" } else { "]" }));
}

impl Arg for IovIn {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(IovIn(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let (addr, count) = (s.abi.word_of(raw), s.abi.word_of(len.unwrap_or(0)));
        show_iovecs(s, addr, count, u64::MAX);
    }
}

impl Arg for IovOut {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(IovOut(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let (addr, count) = (s.abi.word_of(raw), s.abi.word_of(len.unwrap_or(0)));
        match s.result() {
            Some(n) => show_iovecs(s, addr, count, n),
            None => s.addr(addr),
        }
    }
}
