//! Helpers: what is too rare or too large to be IR.

use crate::crypto;
use crate::csr;
use crate::vector;
use tern_core::frontend::{Helper, HelperCx, HelperExit, HelperFn};
use tern_core::ir::eval::{load, store};
use tern_core::mem::{Access, GuestMemory, MemOp};
use tern_core::system::Flush;

/// Ticks of the time base per second; boards announce it in `timebase-frequency`, Linux in `riscv_hwprobe`.
pub const TIMEBASE_HZ: u64 = 10_000_000;
/// Nanoseconds per tick.
pub(crate) const TICK_NS: u64 = 1_000_000_000 / TIMEBASE_HZ;

/// One row per helper: the index that IR uses, its name, whether it may fault, its code.  Those
/// marked `[state]` read and write slots; none of the others does.
macro_rules! state {
    () => {
        false
    };
    (state) => {
        true
    };
}

macro_rules! helpers {
    ($($(#[$doc:meta])* $index:literal $const:ident $name:literal $([$state:ident])? $faults:literal $code:expr;)*) => {
        $($(#[$doc])* pub(crate) const $const: u16 = $index;)*
        /// All helpers, by index.
        pub(crate) static HELPERS: &[Helper] = &[
            $(Helper { name: $name, call: $code as HelperFn, reads: state!($($state)?), writes: state!($($state)?), faults: $faults }),*
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
    /// [`vector::config::Config`].
    14 V_CONFIG "v_config" [state] true vector::config::Config::call;
    /// [`vector::mem::Memory`].
    15 V_MEMORY "v_memory" [state] true vector::mem::Memory::call;
    /// [`vector::int::Binary`].
    16 V_BINARY "v_binary" [state] true vector::int::Binary::call;
    /// [`vector::int::High`].
    17 V_HIGH "v_high" [state] true vector::int::High::call;
    /// [`vector::int::Accumulate`].
    18 V_ACCUMULATE "v_accumulate" [state] true vector::int::Accumulate::call;
    /// [`vector::int::Widen`].
    19 V_WIDEN "v_widen" [state] true vector::int::Widen::call;
    /// [`vector::int::WidenFirst`].
    20 V_WIDEN_FIRST "v_widen_first" [state] true vector::int::WidenFirst::call;
    /// [`vector::int::Narrow`].
    21 V_NARROW "v_narrow" [state] true vector::int::Narrow::call;
    /// [`vector::int::Compare`].
    22 V_COMPARE "v_compare" [state] true vector::int::Compare::call;
    /// [`vector::int::Carry`].
    23 V_CARRY "v_carry" [state] true vector::int::Carry::call;
    /// [`vector::int::CarryOut`].
    24 V_CARRY_OUT "v_carry_out" [state] true vector::int::CarryOut::call;
    /// [`vector::int::Extend`].
    25 V_EXTEND "v_extend" [state] true vector::int::Extend::call;
    /// [`vector::reduce::Reduce`].
    26 V_REDUCE "v_reduce" [state] true vector::reduce::Reduce::call;
    /// [`vector::reduce::ReduceWide`].
    27 V_REDUCE_WIDE "v_reduce_wide" [state] true vector::reduce::ReduceWide::call;
    /// [`vector::reduce::ReduceFloat`].
    28 V_REDUCE_FLOAT "v_reduce_float" [state] true vector::reduce::ReduceFloat::call;
    /// [`vector::reduce::ReduceFloatWide`].
    29 V_REDUCE_FLOAT_WIDE "v_reduce_float_wide" [state] true vector::reduce::ReduceFloatWide::call;
    /// [`vector::mask::Logic`].
    30 V_MASK_LOGIC "v_mask_logic" [state] true vector::mask::Logic::call;
    /// [`vector::mask::Bits`].
    31 V_MASK_BITS "v_mask_bits" [state] true vector::mask::Bits::call;
    /// [`vector::perm::Permute`].
    32 V_PERMUTE "v_permute" [state] true vector::perm::Permute::call;
    /// [`vector::perm::PermuteFloat`].
    33 V_PERMUTE_FLOAT "v_permute_float" [state] true vector::perm::PermuteFloat::call;
    /// [`vector::fp::Binary`].
    34 V_FLOAT_BINARY "v_float_binary" [state] true vector::fp::Binary::call;
    /// [`vector::fp::Accumulate`].
    35 V_FLOAT_ACCUMULATE "v_float_accumulate" [state] true vector::fp::Accumulate::call;
    /// [`vector::fp::Widen`].
    36 V_FLOAT_WIDEN "v_float_widen" [state] true vector::fp::Widen::call;
    /// [`vector::fp::WidenFirst`].
    37 V_FLOAT_WIDEN_FIRST "v_float_widen_first" [state] true vector::fp::WidenFirst::call;
    /// [`vector::fp::Compare`].
    38 V_FLOAT_COMPARE "v_float_compare" [state] true vector::fp::Compare::call;
    /// [`vector::fp::Unary`].
    39 V_FLOAT_UNARY "v_float_unary" [state] true vector::fp::Unary::call;
    /// [`vector::fpcvt::Convert`].
    40 V_FLOAT_CONVERT "v_float_convert" [state] true vector::fpcvt::Convert::call;
    /// [`vector::int::CarryLess`].
    41 V_CARRY_LESS "v_carry_less" [state] true vector::int::CarryLess::call;
    /// [`vector::int::One`].
    42 V_ONE "v_one" [state] true vector::int::One::call;
    /// Reads or changes a CSR.
    43 CSR "csr" [state] true csr::access;
    /// Forgets translations: of the page that holds the first argument if the payload is 1, else all.
    44 FORGET "forget" [state] false forget;
    /// Loads or stores a guest's memory: the payload is the memory operation, and 1 at bit 16 to store.
    45 GUEST_ACCESS "guest_access" [state] true guest_access;
    /// [`vector::crypto::Crypto`].
    46 V_CRYPTO "v_crypto" [state] true vector::crypto::Crypto::call;
}

fn forget(cx: &mut HelperCx<'_>, [addr, ..]: [u64; 3], page: u64) -> Result<u64, HelperExit> {
    let addr = (page != 0).then_some(addr);
    cx.flush = match cx.system {
        Some(system) => system.forget(cx.state, addr),
        None => Flush::All,
    };
    Ok(0)
}

fn guest_access(cx: &mut HelperCx<'_>, [addr, value, _]: [u64; 3], payload: u64) -> Result<u64, HelperExit> {
    let op = MemOp::unpack(payload as u16);
    let addr = op.effective(addr);
    let mut memory = cx.memory();
    let result = match payload >> 16 & 1 {
        0 => load(&mut memory, op, addr),
        _ => store(&mut memory, op, addr, value).map(|()| 0),
    };
    result.map_err(HelperExit::Fault)
}

/// Cache-block management needs a block that may be loaded or stored; else it faults as a store does (CMO manual,
/// "Address translation and protection").
fn cbo_check(cx: &mut HelperCx<'_>, args: [u64; 3], _: u64) -> Result<u64, HelperExit> {
    let mut memory = cx.memory();
    if memory.page(args[0], Access::Load, 0).is_ok() {
        return Ok(0);
    }
    memory.page(args[0], Access::Store, 0).map(|_| 0).map_err(HelperExit::Fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_places() {
        assert_eq!(HELPERS[usize::from(TIME)].name, "time");
        assert_eq!(HELPERS[usize::from(SM4_KS)].name, "sm4ks");
        assert_eq!(HELPERS[usize::from(V_ONE)].name, "v_one");
    }
}
