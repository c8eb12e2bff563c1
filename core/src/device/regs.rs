//! Declared registers: the way to write a device.  A row says where a register is, how wide, who may touch it, what it
//! holds after reset, and which section of the manual says so; handlers are for values and side effects only.
//!
//! Whatever no row covers, and every access that a row does not allow, is a counted guest error that reads as zero and
//! writes nothing.

use super::Reporter;
use crate::mem::Size;

/// The sizes of access that a register block takes: bit n set means 2^n bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Widths(pub u8);

impl Widths {
    /// Of a list of sizes in bytes.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Widths {
        let (mut mask, mut i) = (0, 0);
        while i < bytes.len() {
            mask |= bytes[i];
            i += 1;
        }
        Widths(mask)
    }

    /// Is this size among them?
    #[must_use]
    pub const fn has(self, size: Size) -> bool {
        self.0 as u64 & size.bytes() != 0
    }
}

/// Who may touch a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read and write.
    Rw,
    /// Read only.
    Ro,
    /// Write only.
    Wo,
}

/// What a row does.
pub enum Body<D: 'static> {
    /// A register, or an array of them; the handlers get the index.
    Register {
        /// The value.
        read: fn(&mut D, u64) -> u64,
        /// Sets it.
        write: fn(&mut D, u64, u64),
    },
    /// A stretch of bytes that takes any size the block takes; the handlers get the offset in it.
    Area {
        /// The value.
        read: fn(&mut D, u64, Size) -> u64,
        /// Sets it.
        write: fn(&mut D, u64, Size, u64),
    },
}

/// One register, array of registers, or area.
pub struct Row<D: 'static> {
    /// Offset of the first in the window.
    pub offset: u64,
    /// How many there are.
    pub count: u64,
    /// From one to the next, in bytes.
    pub stride: u64,
    /// Width of one in bytes (of an area: its length).
    pub width: u64,
    /// The manual's name.
    pub name: &'static str,
    /// Who may touch it.
    pub access: Access,
    /// Its value after reset, where that is fixed.
    pub reset: Option<u64>,
    /// The manual's section.
    pub section: &'static str,
    /// What it does.
    pub body: Body<D>,
}

impl<D> Row<D> {
    /// Index and offset inside of the register that holds `offset`.
    fn place(&self, offset: u64) -> Option<(u64, u64)> {
        let from = offset.checked_sub(self.offset)?;
        let (index, inside) = (from / self.stride, from % self.stride);
        (index < self.count && inside < self.width).then_some((index, inside))
    }
}

/// The registers of one window.
pub struct RegisterSet<D: 'static> {
    /// The part's name.
    pub name: &'static str,
    /// Sizes that the window takes.
    pub sizes: Widths,
    /// The rows.
    pub rows: &'static [Row<D>],
}

impl<D> RegisterSet<D> {
    /// Is there a row at `offset`?  A device whose registers are in several sets asks which one to use.
    #[must_use]
    pub fn covers(&self, offset: u64) -> bool {
        self.rows.iter().any(|row| row.place(offset).is_some())
    }

    fn find(&self, offset: u64, size: Size) -> Result<(&Row<D>, u64, u64), &'static str> {
        if !self.sizes.has(size) {
            return Err("size");
        }
        let row = self.rows.iter().find_map(|row| row.place(offset).map(|(index, inside)| (row, index, inside)));
        let (row, index, inside) = row.ok_or("offset")?;
        let area = matches!(row.body, Body::Area { .. });
        if inside + size.bytes() > row.width || (!area && inside % size.bytes() != 0) {
            return Err("alignment");
        }
        Ok((row, index, inside))
    }

    /// A load of `device`'s registers.
    pub fn read(&self, device: &mut D, report: &Reporter, offset: u64, size: Size) -> u64 {
        match self.find(offset, size) {
            Ok((row, ..)) if row.access == Access::Wo => {
                report.guest_error(format_args!("read of write-only register {} at {offset:#x}", row.name));
                0
            }
            Ok((row, index, inside)) => match row.body {
                Body::Register { read, .. } => read(device, index) >> (8 * inside) & size.mask(),
                Body::Area { read, .. } => read(device, inside, size) & size.mask(),
            },
            Err(what) => {
                report.guest_error(format_args!("{}-byte read at {offset:#x}: bad {what}", size.bytes()));
                0
            }
        }
    }

    /// A store to `device`'s registers.  A store to a part of a register leaves the rest as it reads.
    pub fn write(&self, device: &mut D, report: &Reporter, offset: u64, size: Size, value: u64) {
        let value = value & size.mask();
        match self.find(offset, size) {
            Ok((row, ..)) if row.access == Access::Ro => {
                report
                    .guest_error(format_args!("write of {value:#x} to read-only register {} at {offset:#x}", row.name));
            }
            Ok((row, index, inside)) => match row.body {
                Body::Register { read, write } => {
                    let value = if size.bytes() == row.width || row.access == Access::Wo {
                        value << (8 * inside)
                    } else {
                        let mask = size.mask() << (8 * inside);
                        read(device, index) & !mask | value << (8 * inside)
                    };
                    write(device, index, value);
                }
                Body::Area { write, .. } => write(device, inside, size, value),
            },
            Err(what) => {
                let bytes = size.bytes();
                report.guest_error(format_args!("{bytes}-byte write of {value:#x} at {offset:#x}: bad {what}"));
            }
        }
    }
}

/// Declares a register block.  Rows:
///
/// ```text
/// 0x00 NAME 4 ro reset 0, "section", read |d, i| VALUE;
/// 0x04 NAME 4 rw, "section", read |d, i| VALUE, write |d, i, v| ...;
/// 0x08 NAME 4 wo, "section", write |d, i, v| ...;
/// 0x10 [32; 4] NAME 4 rw reset 0, "section", read ..., write ...;      32 of them, 4 bytes apart
/// 0x100 area 256 NAME, "section", read |d, at, size| VALUE, write |d, at, size, v| ...;
/// ```
///
/// Closures capture nothing; `i` is the index in an array (0 without one).
#[macro_export]
macro_rules! registers {
    ($(#[$doc:meta])* $vis:vis static $set:ident: $device:ty, $name:literal, sizes $sizes:expr; $($rows:tt)*) => {
        $(#[$doc])*
        $vis static $set: $crate::device::RegisterSet<$device> = $crate::device::RegisterSet {
            name: $name,
            sizes: $crate::device::Widths::of(&$sizes),
            rows: $crate::registers!(@rows $device, [] $($rows)*),
        };
    };
    (@rows $device:ty, [$($done:expr,)*]) => { &[$($done),*] };
    (@rows $device:ty, [$($done:expr,)*] $offset:literal area $len:literal $name:ident, $section:literal,
        read $read:expr, write $write:expr; $($rest:tt)*) => {
        $crate::registers!(@rows $device, [$($done,)* $crate::device::Row::<$device> {
            offset: $offset, count: 1, stride: $len, width: $len, name: stringify!($name),
            access: $crate::device::Access::Rw, reset: None, section: $section,
            body: $crate::device::regs::Body::Area { read: $read, write: $write },
        },] $($rest)*)
    };
    (@rows $device:ty, [$($done:expr,)*] $offset:literal $name:ident $($rest:tt)*) => {
        $crate::registers!(@one $device, [$($done,)*] $offset, 1, 8, $name $($rest)*)
    };
    (@rows $device:ty, [$($done:expr,)*] $offset:literal [$count:expr; $stride:expr] $name:ident $($rest:tt)*) => {
        $crate::registers!(@one $device, [$($done,)*] $offset, $count, $stride, $name $($rest)*)
    };
    (@one $device:ty, [$($done:expr,)*] $offset:literal, $count:expr, $stride:expr, $name:ident $width:literal ro
        $(reset $reset:expr)?, $section:literal, read $read:expr; $($rest:tt)*) => {
        $crate::registers!(@rows $device, [$($done,)* $crate::device::Row::<$device> {
            offset: $offset, count: $count, stride: $stride, width: $width, name: stringify!($name),
            access: $crate::device::Access::Ro, reset: $crate::registers!(@reset $($reset)?), section: $section,
            body: $crate::device::regs::Body::Register { read: $read, write: |_, _, _| {} },
        },] $($rest)*)
    };
    (@one $device:ty, [$($done:expr,)*] $offset:literal, $count:expr, $stride:expr, $name:ident $width:literal wo,
        $section:literal, write $write:expr; $($rest:tt)*) => {
        $crate::registers!(@rows $device, [$($done,)* $crate::device::Row::<$device> {
            offset: $offset, count: $count, stride: $stride, width: $width, name: stringify!($name),
            access: $crate::device::Access::Wo, reset: None, section: $section,
            body: $crate::device::regs::Body::Register { read: |_, _| 0, write: $write },
        },] $($rest)*)
    };
    (@one $device:ty, [$($done:expr,)*] $offset:literal, $count:expr, $stride:expr, $name:ident $width:literal rw
        $(reset $reset:expr)?, $section:literal, read $read:expr, write $write:expr; $($rest:tt)*) => {
        $crate::registers!(@rows $device, [$($done,)* $crate::device::Row::<$device> {
            offset: $offset, count: $count, stride: $stride, width: $width, name: stringify!($name),
            access: $crate::device::Access::Rw, reset: $crate::registers!(@reset $($reset)?), section: $section,
            body: $crate::device::regs::Body::Register { read: $read, write: $write },
        },] $($rest)*)
    };
    (@reset) => { None };
    (@reset $reset:expr) => { Some($reset) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Part {
        ctrl: u32,
        wide: u64,
        list: [u32; 4],
        bytes: [u8; 16],
    }

    registers! {
        static REGS: Part, "part", sizes [1, 2, 4];
        0x00 ID 4 ro reset 0x1234_5678, "1.1", read |_, _| 0x1234_5678;
        0x04 CTRL 4 rw reset 0, "1.2", read |d, _| u64::from(d.ctrl), write |d, _, v| d.ctrl = v as u32;
        0x08 WIDE 8 rw, "1.3", read |d, _| d.wide, write |d, _, v| d.wide = v;
        0x10 GO 4 wo, "1.4", write |d, _, v| d.ctrl += v as u32;
        0x20 [4; 8] LIST 4 rw, "1.5", read |d, i| u64::from(d.list[i as usize]),
            write |d, i, v| d.list[i as usize] = v as u32;
        0x100 area 16 BYTES, "1.6", read |d, at, _| u64::from(d.bytes[at as usize]),
            write |d, at, _, v| d.bytes[at as usize] = v as u8;
    }

    #[test]
    fn rows_answer_where_they_are_and_nowhere_else() {
        let report = Reporter::new("part", |_, _| {});
        let mut d = Part::default();
        let r = |d: &mut Part, at, size| REGS.read(d, &report, at, size);
        assert_eq!(r(&mut d, 0, Size::B4), 0x1234_5678);
        assert_eq!((r(&mut d, 1, Size::B1), r(&mut d, 2, Size::B2)), (0x56, 0x1234));
        REGS.write(&mut d, &report, 0x0c, Size::B4, 7);
        assert_eq!((d.wide, r(&mut d, 0xc, Size::B4)), (7 << 32, 7));
        REGS.write(&mut d, &report, 0x05, Size::B1, 0xab);
        assert_eq!(d.ctrl, 0xab00);
        REGS.write(&mut d, &report, 0x30, Size::B4, 9);
        assert_eq!(d.list, [0, 0, 9, 0]);
        REGS.write(&mut d, &report, 0x10f, Size::B1, 5);
        assert_eq!((d.bytes[15], report.counts()), (5, (0, 0)));
        assert_eq!(r(&mut d, 0x24, Size::B4) + r(&mut d, 0x40, Size::B4) + r(&mut d, 0x10, Size::B4), 0);
        assert_eq!(r(&mut d, 0, Size::B8) + r(&mut d, 1, Size::B2) + r(&mut d, 0x10e, Size::B4), 0);
        REGS.write(&mut d, &report, 0, Size::B4, 1);
        assert_eq!(report.counts(), (7, 0));
    }
}
