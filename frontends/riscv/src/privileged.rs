//! The privileged architecture of one CPU: what it has, and the bits of its status registers.

/// What is built into a machine's CPU, one bit each; bits 0 to 25 are the letters of `misa`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unit(u64);

impl Unit {
    /// Machine mode, and with it this whole chapter; clear on CPUs that only run programs.
    pub const MACHINE: u64 = 1 << 63;
    /// XLEN is 32.
    pub const RV32: u64 = 1 << 26;
    /// Supervisor timer compare.
    pub const SSTC: u64 = 1 << 27;
    /// Accessed and dirty bits are set by the CPU where software allows it.
    pub const SVADU: u64 = 1 << 28;
    /// Accessed and dirty bits that are clear fault.
    pub const SVADE: u64 = 1 << 29;
    /// 64 KiB pages.
    pub const SVNAPOT: u64 = 1 << 30;
    /// Memory types in page tables.
    pub const SVPBMT: u64 = 1 << 31;
    /// State enables.
    pub const SMSTATEEN: u64 = 1 << 32;
    /// Advanced interrupts of machine mode.
    pub const SMAIA: u64 = 1 << 33;
    /// Advanced interrupts of supervisor mode.
    pub const SSAIA: u64 = 1 << 34;
    /// Three-level tables.
    pub const SV39: u64 = 1 << 35;
    /// Four-level tables.
    pub const SV48: u64 = 1 << 36;
    /// Five-level tables.
    pub const SV57: u64 = 1 << 37;
    /// RV32's tables.
    pub const SV32: u64 = 1 << 38;
    /// PMP with more rules for machine mode.
    pub const SMEPMP: u64 = 1 << 39;
    /// Cache-block management.
    pub const ZICBOM: u64 = 1 << 40;
    /// Cache-block zeroing.
    pub const ZICBOZ: u64 = 1 << 41;
    /// Cycle, time and instruction counters.
    pub const ZICNTR: u64 = 1 << 42;
    /// Hardware performance counters.
    pub const ZIHPM: u64 = 1 << 43;
    /// Instructions may begin at any even address.
    pub const IALIGN16: u64 = 1 << 44;
    /// Counting by privilege.
    pub const SMCNTRPMF: u64 = 1 << 45;
    /// Where the number of PMP entries is.
    const PMP_SHIFT: u32 = 48;
    /// Where log2 of the vector registers' width is; 0: there are none.
    const VLEN_SHIFT: u32 = 56;

    /// With these bits, PMP entries (0 to 64) and vector registers of `vlen` bits.
    #[must_use]
    pub const fn new(bits: u64, pmp: u32, vlen: u32) -> Unit {
        let log = if vlen == 0 { 0 } else { vlen.trailing_zeros() };
        Unit(bits | (pmp as u64) << Unit::PMP_SHIFT | (log as u64) << Unit::VLEN_SHIFT)
    }

    /// As a constant argument of helpers.
    #[must_use]
    pub const fn pack(self) -> u64 {
        self.0
    }

    /// The inverse of [`Unit::pack`].
    #[must_use]
    pub const fn unpack(bits: u64) -> Unit {
        Unit(bits)
    }

    /// Are all of these there?
    #[must_use]
    pub const fn has(self, bits: u64) -> bool {
        self.0 & bits == bits
    }

    /// Is any of these there?
    #[must_use]
    pub const fn any(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// Is this there at all?
    #[must_use]
    pub const fn machine(self) -> bool {
        self.has(Unit::MACHINE)
    }

    /// Is XLEN 32?
    #[must_use]
    pub const fn rv32(self) -> bool {
        self.has(Unit::RV32)
    }

    /// Is the hypervisor extension there?
    #[must_use]
    pub const fn hypervisor(self) -> bool {
        self.has(letter('h'))
    }

    /// The letters.
    #[must_use]
    pub const fn letters(self) -> u64 {
        self.0 & 0x3ff_ffff
    }

    /// PMP entries.
    #[must_use]
    pub const fn pmp(self) -> u32 {
        (self.0 >> Unit::PMP_SHIFT & 0x7f) as u32
    }

    /// Width of vector registers in bits.
    #[must_use]
    pub const fn vlen(self) -> u32 {
        match self.0 >> Unit::VLEN_SHIFT & 31 {
            0 => 0,
            log => 1 << log,
        }
    }

    /// An address or register value of XLEN bits as slots hold it.
    #[must_use]
    pub const fn xlen(self, v: u64) -> u64 {
        if self.rv32() { v as i32 as u64 } else { v }
    }

    /// The bits of an address that an instruction may begin at.
    #[must_use]
    pub const fn pc_mask(self) -> u64 {
        let low = if self.has(Unit::IALIGN16) { !1 } else { !3 };
        if self.rv32() { low & 0xffff_ffff } else { low }
    }
}

/// The bit of `misa` for a letter.
#[must_use]
pub const fn letter(c: char) -> u64 {
    1 << (c as u64 - 'a' as u64)
}

/// User mode.
pub const U: u64 = 0;
/// Supervisor mode.
pub const S: u64 = 1;
/// Machine mode.
pub const M: u64 = 3;

/// Bits of `mstatus` and `sstatus` (privileged manual, "Machine Status Registers").
pub mod status {
    /// Supervisor interrupts are on.
    pub const SIE: u64 = 1 << 1;
    /// Machine interrupts are on.
    pub const MIE: u64 = 1 << 3;
    /// What SIE was before the trap.
    pub const SPIE: u64 = 1 << 5;
    /// What MIE was before the trap.
    pub const MPIE: u64 = 1 << 7;
    /// Privilege before the trap.
    pub const SPP: u64 = 1 << 8;
    /// State of the vector unit.
    pub const VS: u64 = 3 << VS_SHIFT;
    /// Its place.
    pub const VS_SHIFT: u32 = 9;
    /// Privilege before the trap.
    pub const MPP: u64 = 3 << MPP_SHIFT;
    /// Its place.
    pub const MPP_SHIFT: u32 = 11;
    /// State of the floating-point unit.
    pub const FS: u64 = 3 << FS_SHIFT;
    /// Its place.
    pub const FS_SHIFT: u32 = 13;
    /// Loads and stores by the privilege in MPP.
    pub const MPRV: u64 = 1 << 17;
    /// S may use pages of U.
    pub const SUM: u64 = 1 << 18;
    /// Executable pages may be read.
    pub const MXR: u64 = 1 << 19;
    /// S may not touch translation.
    pub const TVM: u64 = 1 << 20;
    /// S may not wait.
    pub const TW: u64 = 1 << 21;
    /// S may not return.
    pub const TSR: u64 = 1 << 22;
    /// XLEN of U and S, which cannot change: 64.
    pub const XLENS: u64 = 0xa << 32;
    /// XLEN of U: 64.
    pub const UXL: u64 = 2 << 32;
    /// The trap's value is a guest virtual address.
    pub const GVA: u64 = 1 << 38;
    /// Virtualization mode before the trap.
    pub const MPV: u64 = 1 << 39;
}

/// Bits of `hstatus`.
pub mod hstatus {
    /// The trap's value is a guest virtual address.
    pub const GVA: u64 = 1 << 6;
    /// Virtualization mode before the trap.
    pub const SPV: u64 = 1 << 7;
    /// Privilege of the guest before the trap.
    pub const SPVP: u64 = 1 << 8;
    /// U may use `hlv` and its like.
    pub const HU: u64 = 1 << 9;
    /// The guest's external interrupt file.
    pub const VGEIN_SHIFT: u32 = 12;
    /// VS may not touch translation.
    pub const VTVM: u64 = 1 << 20;
    /// VS may not wait.
    pub const VTW: u64 = 1 << 21;
    /// VS may not return.
    pub const VTSR: u64 = 1 << 22;
    /// XLEN of VS, which cannot change: 64.
    pub const VSXL: u64 = 2 << 32;
    /// Files that `VGEIN` can name.
    pub const GEILEN: u64 = 63;
}

/// Bits of `menvcfg`, `henvcfg` and `senvcfg`.
pub mod envcfg {
    /// `fence` orders memory accesses too where it orders I/O.
    pub const FIOM: u64 = 1;
    /// What `cbo.inval` does: 0 trap, 1 flush, 3 invalidate.
    pub const CBIE: u64 = 3 << 4;
    /// `cbo.clean` and `cbo.flush` work.
    pub const CBCFE: u64 = 1 << 6;
    /// `cbo.zero` works.
    pub const CBZE: u64 = 1 << 7;
    /// The CPU sets accessed and dirty bits.
    pub const ADUE: u64 = 1 << 61;
    /// Memory types in page tables.
    pub const PBMTE: u64 = 1 << 62;
    /// `stimecmp` works.
    pub const STCE: u64 = 1 << 63;
}

/// Bits of `mstateen0` and its like.
pub mod stateen {
    /// `henvcfg`, `senvcfg`.
    pub const ENVCFG: u64 = 1 << 62;
    /// `siselect`, `sireg`.
    pub const CSRIND: u64 = 1 << 60;
    /// The other registers of Ssaia.
    pub const AIA: u64 = 1 << 59;
    /// `stopei`, guest interrupt files.
    pub const IMSIC: u64 = 1 << 58;
    /// `hstateen0`, `sstateen0`.
    pub const SE: u64 = 1 << 63;
}

/// Interrupts by bit of `mip`, which are the numbers of a CPU's lines.
pub mod irq {
    /// Supervisor software.
    pub const SSI: u32 = 1;
    /// Virtual supervisor software.
    pub const VSSI: u32 = 2;
    /// Machine software.
    pub const MSI: u32 = 3;
    /// Supervisor timer.
    pub const STI: u32 = 5;
    /// Virtual supervisor timer.
    pub const VSTI: u32 = 6;
    /// Machine timer.
    pub const MTI: u32 = 7;
    /// Supervisor external.
    pub const SEI: u32 = 9;
    /// Virtual supervisor external.
    pub const VSEI: u32 = 10;
    /// Machine external.
    pub const MEI: u32 = 11;
    /// Guest external: some file of `hgeip` that `hgeie` selects.
    pub const SGEI: u32 = 12;
    /// Line 64 + n is bit n of `hgeip`, 1 to 63.
    pub const GUEST_FILE: u32 = 64;

    /// Those of S.
    pub const S_MASK: u64 = 1 << SSI | 1 << STI | 1 << SEI;
    /// Those of M.
    pub const M_MASK: u64 = 1 << MSI | 1 << MTI | 1 << MEI;
    /// Those of VS.
    pub const VS_MASK: u64 = 1 << VSSI | 1 << VSTI | 1 << VSEI;
    /// Those of the hypervisor extension.
    pub const H_MASK: u64 = VS_MASK | 1 << SGEI;
}
