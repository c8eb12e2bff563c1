//! Guest data by word size and byte order: field kinds, guest pointers, and the rows that describe guest structs.
//!
//! A guest struct is never a transmuted host struct.  [`guest_struct!`](crate::guest_struct) rows name fields and their
//! kinds; sizes, alignment and byte order follow from the [`Abi`].  To add a struct, add a row to [`super::structs`].

use core::fmt;
use core::marker::PhantomData;
use tern_core::mem::Endian;

/// Size of a C `long` and of a pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// ILP32.
    W32,
    /// LP64.
    W64,
}

/// What the layout of data depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abi {
    /// Size of `long`.
    pub word: Word,
    /// Byte order.
    pub endian: Endian,
    /// Alignment of 64-bit integers inside structs (4 on i386 and m68k, else 8).
    pub align64: u8,
}

impl Abi {
    /// Bytes in a word.
    #[must_use]
    pub const fn word_bytes(self) -> usize {
        match self.word {
            Word::W32 => 4,
            Word::W64 => 8,
        }
    }

    /// Is a word 64 bits?
    #[must_use]
    pub const fn is64(self) -> bool {
        matches!(self.word, Word::W64)
    }

    /// A register's value as an unsigned word.
    #[must_use]
    pub const fn word_of(self, raw: u64) -> u64 {
        match self.word {
            Word::W32 => raw & 0xffff_ffff,
            Word::W64 => raw,
        }
    }

    /// A register's value as a signed word.
    #[must_use]
    pub const fn long_of(self, raw: u64) -> i64 {
        match self.word {
            Word::W32 => raw as i32 as i64,
            Word::W64 => raw as i64,
        }
    }

    fn load(self, bytes: &[u8]) -> u64 {
        let fold = |acc: u64, b: &u8| acc << 8 | u64::from(*b);
        match self.endian {
            Endian::Little => bytes.iter().rev().fold(0, fold),
            Endian::Big => bytes.iter().fold(0, fold),
        }
    }

    fn store(self, value: u64, bytes: &mut [u8]) {
        let le = value.to_le_bytes();
        let n = bytes.len();
        bytes.copy_from_slice(&le[..n]);
        if self.endian == Endian::Big {
            bytes.reverse();
        }
    }
}

/// A kind of guest datum.
pub trait Field {
    /// What it is in Rust.
    type Value: Clone + fmt::Debug;

    /// Size in bytes.
    fn size(abi: Abi) -> usize;

    /// Alignment inside a struct.
    fn align(abi: Abi) -> usize;

    /// Decodes it from exactly [`Field::size`] bytes.
    fn get(bytes: &[u8], abi: Abi) -> Self::Value;

    /// Encodes it into exactly [`Field::size`] bytes.
    fn put(value: &Self::Value, bytes: &mut [u8], abi: Abi);

    /// The value whose bytes are all zero.
    #[must_use]
    fn zero(abi: Abi) -> Self::Value {
        Self::get(&vec![0; Self::size(abi)], abi)
    }

    /// Its bytes.
    #[must_use]
    fn to_bytes(value: &Self::Value, abi: Abi) -> Vec<u8> {
        let mut bytes = vec![0; Self::size(abi)];
        Self::put(value, &mut bytes, abi);
        bytes
    }
}

macro_rules! fixed_fields {
    ($($t:ty, $n:expr, $align:expr;)*) => {$(
        impl Field for $t {
            type Value = $t;
            fn size(_: Abi) -> usize { $n }
            fn align(abi: Abi) -> usize { let f: fn(Abi) -> usize = $align; f(abi) }
            fn get(bytes: &[u8], abi: Abi) -> $t { abi.load(bytes) as $t }
            fn put(value: &$t, bytes: &mut [u8], abi: Abi) { abi.store(*value as u64, bytes) }
        }
    )*};
}

fixed_fields! {
    u8, 1, |_| 1;
    i8, 1, |_| 1;
    u16, 2, |_| 2;
    i16, 2, |_| 2;
    u32, 4, |_| 4;
    i32, 4, |_| 4;
    u64, 8, |abi| usize::from(abi.align64);
    i64, 8, |abi| usize::from(abi.align64);
}

/// A C `long`; the value is sign-extended.
#[derive(Clone, Copy, Debug)]
pub struct Long;
/// A C `unsigned long`, `size_t` or pointer; the value is zero-extended.
#[derive(Clone, Copy, Debug)]
pub struct ULong;

impl Field for Long {
    type Value = i64;
    fn size(abi: Abi) -> usize {
        abi.word_bytes()
    }
    fn align(abi: Abi) -> usize {
        abi.word_bytes()
    }
    fn get(bytes: &[u8], abi: Abi) -> i64 {
        abi.long_of(abi.load(bytes))
    }
    fn put(value: &i64, bytes: &mut [u8], abi: Abi) {
        abi.store(*value as u64, bytes);
    }
}

impl Field for ULong {
    type Value = u64;
    fn size(abi: Abi) -> usize {
        abi.word_bytes()
    }
    fn align(abi: Abi) -> usize {
        abi.word_bytes()
    }
    fn get(bytes: &[u8], abi: Abi) -> u64 {
        abi.load(bytes)
    }
    fn put(value: &u64, bytes: &mut [u8], abi: Abi) {
        abi.store(*value, bytes);
    }
}

/// `N` of them.
#[derive(Clone, Copy, Debug)]
pub struct Arr<F, const N: usize>(PhantomData<F>);

impl<F: Field, const N: usize> Field for Arr<F, N> {
    type Value = [F::Value; N];
    fn size(abi: Abi) -> usize {
        F::size(abi) * N
    }
    fn align(abi: Abi) -> usize {
        F::align(abi)
    }
    fn get(bytes: &[u8], abi: Abi) -> [F::Value; N] {
        let n = F::size(abi);
        core::array::from_fn(|i| F::get(&bytes[i * n..(i + 1) * n], abi))
    }
    fn put(value: &[F::Value; N], bytes: &mut [u8], abi: Abi) {
        for (v, b) in value.iter().zip(bytes.chunks_exact_mut(F::size(abi))) {
            F::put(v, b, abi);
        }
    }
}

/// Walks the fields of a struct as a C compiler lays them out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    at: usize,
    align: usize,
}

impl Cursor {
    /// Where the next field of kind `F` lies.
    pub fn field<F: Field>(&mut self, abi: Abi) -> core::ops::Range<usize> {
        let align = F::align(abi).max(1);
        let start = self.at.next_multiple_of(align);
        self.at = start + F::size(abi);
        self.align = self.align.max(align);
        start..self.at
    }

    /// Size of the struct whose fields have been walked.
    #[must_use]
    pub fn size(self) -> usize {
        self.at.next_multiple_of(self.align.max(1))
    }

    /// Its alignment.
    #[must_use]
    pub fn align(self) -> usize {
        self.align.max(1)
    }
}

/// Declares guest structs: Rust structs of values plus their [`Field`] description.
#[macro_export]
macro_rules! guest_struct {
    ($($(#[$m:meta])* $name:ident { $($(#[$fm:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$m])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, unreachable_pub, reason = "the fields carry the kernel's names; tests declare private ones")]
        pub struct $name { $($(#[$fm])* pub $field: <$ty as $crate::abi::Field>::Value,)* }

        impl $crate::abi::Field for $name {
            type Value = $name;
            fn size(abi: $crate::abi::Abi) -> usize {
                let mut c = $crate::abi::Cursor::default();
                $(let _ = c.field::<$ty>(abi);)*
                c.size()
            }
            fn align(abi: $crate::abi::Abi) -> usize {
                let mut c = $crate::abi::Cursor::default();
                $(let _ = c.field::<$ty>(abi);)*
                c.align()
            }
            fn get(bytes: &[u8], abi: $crate::abi::Abi) -> $name {
                let mut c = $crate::abi::Cursor::default();
                $name { $($field: <$ty as $crate::abi::Field>::get(&bytes[c.field::<$ty>(abi)], abi),)* }
            }
            fn put(value: &$name, bytes: &mut [u8], abi: $crate::abi::Abi) {
                let mut c = $crate::abi::Cursor::default();
                $(<$ty as $crate::abi::Field>::put(&value.$field, &mut bytes[c.field::<$ty>(abi)], abi);)*
            }
        }
    )*};
}

/// A typed guest address.
pub struct GuestPtr<T> {
    /// The address.
    pub addr: u64,
    kind: PhantomData<fn() -> T>,
}

impl<T> GuestPtr<T> {
    /// A pointer to `addr`.
    #[must_use]
    pub const fn new(addr: u64) -> GuestPtr<T> {
        GuestPtr { addr, kind: PhantomData }
    }

    /// Is it null?
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.addr == 0
    }

    /// The same address as a pointer to something else.
    #[must_use]
    pub const fn cast<U>(self) -> GuestPtr<U> {
        GuestPtr::new(self.addr)
    }
}

impl<T: Field> GuestPtr<T> {
    /// The `n`th element of the array that it points to.
    #[must_use]
    pub fn at(self, n: u64, abi: Abi) -> GuestPtr<T> {
        GuestPtr::new(self.addr.wrapping_add(n.wrapping_mul(T::size(abi) as u64)))
    }
}

impl<T> Clone for GuestPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for GuestPtr<T> {}
impl<T> PartialEq for GuestPtr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.addr == other.addr
    }
}
impl<T> Eq for GuestPtr<T> {}
impl<T> fmt::Debug for GuestPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    guest_struct! {
        /// One of each.
        Mixed { a: u8, b: Long, c: u16, d: u64, e: Arr<u8, 3>, }
    }

    const LE64: Abi = Abi { word: Word::W64, endian: Endian::Little, align64: 8 };
    const BE32: Abi = Abi { word: Word::W32, endian: Endian::Big, align64: 8 };
    const I386: Abi = Abi { word: Word::W32, endian: Endian::Little, align64: 4 };

    #[test]
    fn layout_follows_the_abi() {
        assert_eq!((Mixed::size(LE64), Mixed::align(LE64)), (40, 8));
        assert_eq!((Mixed::size(BE32), Mixed::align(BE32)), (32, 8));
        assert_eq!((Mixed::size(I386), Mixed::align(I386)), (24, 4));
    }

    #[test]
    fn values_survive_the_round_trip_in_both_byte_orders() {
        let v = Mixed { a: 1, b: -2, c: 0x1234, d: 0x0102_0304_0506_0708, e: [7, 8, 9] };
        for abi in [LE64, BE32, I386] {
            let bytes = Mixed::to_bytes(&v, abi);
            assert_eq!(Mixed::get(&bytes, abi), v);
        }
        let be = Mixed::to_bytes(&v, BE32);
        assert_eq!(be[4..8], [0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(be[16..24], [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
