//! Trap causes: the exception codes of the privileged manual, "Machine Cause Register".

/// Jump to an address that is not a multiple of the instruction alignment; value: the target.
pub const INSN_MISALIGNED: u32 = 0;
/// Illegal instruction; value: its bits.
pub const ILLEGAL: u32 = 2;
/// `ebreak`; value: its address.
pub const BREAKPOINT: u32 = 3;
/// Misaligned store or atomic; value: the address.
pub const STORE_MISALIGNED: u32 = 6;
