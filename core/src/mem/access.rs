//! Kinds of memory access, their faults, and the packed descriptor that IR and bytecode carry.

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A data read.
    Load,
    /// A data write; atomic read-modify-write operations count as stores.
    Store,
    /// An instruction fetch.
    Fetch,
}

/// Access size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum Size {
    /// One byte.
    B1 = 0,
    /// Two bytes.
    B2 = 1,
    /// Four bytes.
    B4 = 2,
    /// Eight bytes.
    B8 = 3,
}

impl Size {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self as u8
    }

    /// From its log2.
    #[must_use]
    pub const fn from_log2(n: u8) -> Size {
        match n & 3 {
            0 => Size::B1,
            1 => Size::B2,
            2 => Size::B4,
            _ => Size::B8,
        }
    }

    /// The bits that a value of this size has.
    #[must_use]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }

    /// `value`'s low bits of this size, sign-extended.
    #[must_use]
    pub const fn sext(self, value: u64) -> u64 {
        let shift = 64 - 8 * self.bytes() as u32;
        ((value << shift) as i64 >> shift) as u64
    }
}

/// Byte order of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Why an access failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Nothing is mapped there.
    Unmapped,
    /// Something is mapped, but not for this access.
    Permission,
    /// Mapped, but there is nothing behind it (end of file, a device's refusal).
    Bus,
    /// The operation demands an alignment that the address does not have.
    Misaligned,
    /// An MMU's own cause, numbered by the frontend.
    Arch(u32),
}

/// A failed access.  Small and `Copy`: it travels on hot paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemFault {
    /// The first address that failed.
    pub addr: u64,
    /// What was tried.
    pub access: Access,
    /// Why it failed.
    pub kind: FaultKind,
}

/// Everything about a memory operation but its address and value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemOp {
    /// Bytes moved.
    pub size: Size,
    /// Loads: sign-extend to the result's type (else zero-extend).
    pub signed: bool,
    /// Byte order in memory.
    pub endian: Endian,
    /// An address that is not a multiple of the size faults.
    pub aligned: bool,
    /// The address is taken modulo 2^32.
    pub addr32: bool,
    /// MMU mode (privilege, address space), declared by the frontend; user mode has only 0.
    pub mode: u8,
}

impl MemOp {
    /// A little-endian, zero-extending access that may be misaligned.
    #[must_use]
    pub const fn le(size: Size) -> MemOp {
        MemOp { size, signed: false, endian: Endian::Little, aligned: false, addr32: false, mode: 0 }
    }

    /// A big-endian, zero-extending access that may be misaligned.
    #[must_use]
    pub const fn be(size: Size) -> MemOp {
        MemOp { endian: Endian::Big, ..MemOp::le(size) }
    }

    /// The same, sign-extending.
    #[must_use]
    pub const fn signed(self) -> MemOp {
        MemOp { signed: true, ..self }
    }

    /// The same, but a misaligned address faults.
    #[must_use]
    pub const fn aligned(self) -> MemOp {
        MemOp { aligned: true, ..self }
    }

    /// The same with 32-bit addresses if `on`.
    #[must_use]
    pub const fn addr32(self, on: bool) -> MemOp {
        MemOp { addr32: on, ..self }
    }

    /// The same by MMU mode `mode` (0 to 15).
    #[must_use]
    pub const fn mode(self, mode: u8) -> MemOp {
        MemOp { mode, ..self }
    }

    /// Packs the descriptor into 10 bits: size, signed, big-endian, aligned, addr32, mode.
    #[must_use]
    pub const fn pack(self) -> u16 {
        self.size as u16
            | (self.signed as u16) << 2
            | (matches!(self.endian, Endian::Big) as u16) << 3
            | (self.aligned as u16) << 4
            | (self.addr32 as u16) << 5
            | ((self.mode & 15) as u16) << 6
    }

    /// The inverse of [`MemOp::pack`].
    #[must_use]
    pub const fn unpack(bits: u16) -> MemOp {
        MemOp {
            size: Size::from_log2(bits as u8 & 3),
            signed: bits & 4 != 0,
            endian: if bits & 8 != 0 { Endian::Big } else { Endian::Little },
            aligned: bits & 16 != 0,
            addr32: bits & 32 != 0,
            mode: (bits >> 6) as u8 & 15,
        }
    }

    /// The address that is really accessed.
    #[must_use]
    pub const fn effective(self, addr: u64) -> u64 {
        if self.addr32 { addr & 0xffff_ffff } else { addr }
    }

    /// Turns the bytes of memory, read as a little-endian number, into the loaded value.
    #[must_use]
    pub const fn decode(self, raw: u64) -> u64 {
        let v = match self.endian {
            Endian::Little => raw,
            Endian::Big => raw.swap_bytes() >> (64 - 8 * self.size.bytes()),
        };
        if self.signed { self.size.sext(v) } else { v & self.size.mask() }
    }

    /// Turns a value into the little-endian number whose bytes go to memory.
    #[must_use]
    pub const fn encode(self, value: u64) -> u64 {
        match self.endian {
            Endian::Little => value & self.size.mask(),
            Endian::Big => value.swap_bytes() >> (64 - 8 * self.size.bytes()),
        }
    }
}

/// Atomic read-modify-write operations.  Values are of the access's size; `Min`/`Max` are signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the operations")]
pub enum RmwOp {
    Swap,
    Add,
    And,
    Or,
    Xor,
    Min,
    Max,
    Minu,
    Maxu,
}

impl RmwOp {
    /// All of them, in encoding order.
    pub const ALL: [RmwOp; 9] =
        [RmwOp::Swap, RmwOp::Add, RmwOp::And, RmwOp::Or, RmwOp::Xor, RmwOp::Min, RmwOp::Max, RmwOp::Minu, RmwOp::Maxu];

    /// The new memory value.
    #[must_use]
    pub const fn apply(self, size: Size, old: u64, operand: u64) -> u64 {
        let (so, sv) = (size.sext(old) as i64, size.sext(operand) as i64);
        let (uo, uv) = (old & size.mask(), operand & size.mask());
        let new = match self {
            RmwOp::Swap => uv,
            RmwOp::Add => uo.wrapping_add(uv),
            RmwOp::And => uo & uv,
            RmwOp::Or => uo | uv,
            RmwOp::Xor => uo ^ uv,
            RmwOp::Min => {
                if so < sv {
                    uo
                } else {
                    uv
                }
            }
            RmwOp::Max => {
                if so > sv {
                    uo
                } else {
                    uv
                }
            }
            RmwOp::Minu => {
                if uo < uv {
                    uo
                } else {
                    uv
                }
            }
            RmwOp::Maxu => {
                if uo > uv {
                    uo
                } else {
                    uv
                }
            }
        };
        new & size.mask()
    }
}
