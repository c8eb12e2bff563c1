//! Helpers: what is too rare or too large to be IR.

use crate::crypto;
use tern_core::frontend::{Helper, HelperCx, HelperExit, HelperFn};
use tern_core::mem::Access;

/// Ticks of the time base per second; boards announce it in `timebase-frequency`, Linux in `riscv_hwprobe`.
pub const TIMEBASE_HZ: u64 = 10_000_000;
/// Nanoseconds per tick.
const TICK_NS: u64 = 1_000_000_000 / TIMEBASE_HZ;

/// One row per helper: the index that IR uses, its name, whether it may fault, its code.  None reads or writes slots.
macro_rules! helpers {
    ($($(#[$doc:meta])* $index:literal $const:ident $name:literal $faults:literal $code:expr;)*) => {
        $($(#[$doc])* pub(crate) const $const: u16 = $index;)*
        /// All helpers, by index.
        pub(crate) static HELPERS: &[Helper] = &[
            $(Helper { name: $name, call: $code as HelperFn, reads: false, writes: false, faults: $faults }),*
        ];
    };
}

helpers! {
    /// The time base.
    0 TIME "time" false |cx, _, _| Ok(cx.platform.time_ns(cx.icount) / TICK_NS);
    /// Faults unless the address may be loaded or stored.
    1 CBO_CHECK "cbo_check" true cbo_check;
    /// Part of a final AES encryption round.
    2 AES32_ESI "aes32esi" false |_, [a, b, _], s| Ok(crypto::aes32(a, b, s as u32, false, false));
    /// Part of a middle AES encryption round.
    3 AES32_ESMI "aes32esmi" false |_, [a, b, _], s| Ok(crypto::aes32(a, b, s as u32, false, true));
    /// Part of a final AES decryption round.
    4 AES32_DSI "aes32dsi" false |_, [a, b, _], s| Ok(crypto::aes32(a, b, s as u32, true, false));
    /// Part of a middle AES decryption round.
    5 AES32_DSMI "aes32dsmi" false |_, [a, b, _], s| Ok(crypto::aes32(a, b, s as u32, true, true));
    /// Half of a final AES encryption round.
    6 AES64_ES "aes64es" false |_, [a, b, _], _| Ok(crypto::aes64(a, b, false, false));
    /// Half of a middle AES encryption round.
    7 AES64_ESM "aes64esm" false |_, [a, b, _], _| Ok(crypto::aes64(a, b, false, true));
    /// Half of a final AES decryption round.
    8 AES64_DS "aes64ds" false |_, [a, b, _], _| Ok(crypto::aes64(a, b, true, false));
    /// Half of a middle AES decryption round.
    9 AES64_DSM "aes64dsm" false |_, [a, b, _], _| Ok(crypto::aes64(a, b, true, true));
    /// Inverse MixColumns of two columns.
    10 AES64_IM "aes64im" false |_, [a, ..], _| Ok(crypto::aes64_unmix(a));
    /// First step of the AES key schedule.
    11 AES64_KS1 "aes64ks1i" false |_, [a, ..], round| Ok(crypto::aes64_key(a, round as u32));
    /// Part of an SM4 round.
    12 SM4_ED "sm4ed" false |_, [a, b, _], s| Ok(crypto::sm4(a, b, s as u32, false));
    /// Part of an SM4 key schedule round.
    13 SM4_KS "sm4ks" false |_, [a, b, _], s| Ok(crypto::sm4(a, b, s as u32, true));
}

/// Cache-block management needs a block that may be loaded or stored; else it faults as a store does (CMO manual,
/// "Address translation and protection").
fn cbo_check(cx: &mut HelperCx<'_>, args: [u64; 3], _: u64) -> Result<u64, HelperExit> {
    if cx.platform.page(args[0], Access::Load, 0).is_ok() {
        return Ok(0);
    }
    cx.platform.page(args[0], Access::Store, 0).map(|_| 0).map_err(HelperExit::Fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_places() {
        assert_eq!(HELPERS[usize::from(TIME)].name, "time");
        assert_eq!(HELPERS[usize::from(SM4_KS)].name, "sm4ks");
    }
}
