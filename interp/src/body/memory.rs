//! Loads and stores: one compare on the fast path, a slow path for everything else.
//!
//! What a cleverer look-up could gain is little: loads with no check at all (guest memory in one piece) took 6 % off
//! CoreMark, 9 % off `trees`, nothing off `isort`, `sha256` and `mandel`; only `vm`, a chain of loads, gained 23 %.

use super::slow::{LoadSlow, StoreSlow};
use super::{Body, Coded, Regs, Step, set_slot, slot, slot_before};
use crate::cx::{Cx, TlbEntry, tlb_index};
use crate::dispatch::{SlowPath, code};
use core::mem::offset_of;
use tern_core::mem::PAGE_SIZE;

/// Bit layout of the `K` parameter: size log2, signed, big-endian, 32-bit address (low bits of `MemOp::pack`, with the
/// address width moved down).
pub(crate) const SIGNED: u8 = 4;
/// Big-endian.
pub(crate) const BIG: u8 = 8;
/// The address is taken modulo 2^32.
pub(crate) const ADDR32: u8 = 16;

/// Reads a value of kind `K` at a host address.
#[inline(always)]
unsafe fn read<const K: u8>(p: *const u8) -> u64 {
    macro_rules! get {
        ($u:ty, $s:ty) => {{
            // SAFETY: the caller has checked that the bytes are inside a resolved page.
            let raw: $u = unsafe { p.cast::<$u>().read_unaligned() };
            let v = if K & BIG != 0 { <$u>::from_be(raw) } else { <$u>::from_le(raw) };
            if K & SIGNED != 0 { v as $s as i64 as u64 } else { v as u64 }
        }};
    }
    match K & 3 {
        0 => get!(u8, i8),
        1 => get!(u16, i16),
        2 => get!(u32, i32),
        _ => get!(u64, i64),
    }
}

/// Writes the low bytes of a value at a host address.
#[inline(always)]
unsafe fn write<const K: u8>(p: *mut u8, v: u64) {
    macro_rules! put {
        ($u:ty) => {{
            let raw = if K & BIG != 0 { (v as $u).to_be() } else { (v as $u).to_le() };
            // SAFETY: the caller has checked that the bytes are inside a page resolved for stores.
            unsafe { p.cast::<$u>().write_unaligned(raw) }
        }};
    }
    match K & 3 {
        0 => put!(u8),
        1 => put!(u16),
        2 => put!(u32),
        _ => put!(u64),
    }
}

/// Where a base comes from.
pub(crate) mod base {
    /// A slot.
    pub(crate) const SLOT: u8 = 0;
    /// The last result.
    pub(crate) const LAST: u8 = 1;
    /// The result before the last.
    pub(crate) const BEFORE: u8 = 2;
    /// How many there are.
    pub(crate) const COUNT: u16 = 3;
}

/// The effective address of a word with base in `a` and a displacement.
#[inline(always)]
unsafe fn address<const K: u8>(cx: *mut Cx, regs: &Regs, from: u8) -> u64 {
    // SAFETY: the caller is a body.
    unsafe {
        let base = match from {
            base::LAST => regs.acc,
            base::BEFORE => slot_before(cx, regs, (*regs.pc).a()),
            _ => slot(cx, (*regs.pc).a()),
        };
        let addr = base.wrapping_add((*regs.pc).imm32());
        if K & ADDR32 != 0 { addr & 0xffff_ffff } else { addr }
    }
}

/// The entry of an address in the TLB at byte `tlb` of the context.  Written with byte offsets, since each field then
/// becomes one memory operand.
#[inline(always)]
unsafe fn entry(cx: *mut Cx, tlb: usize, addr: u64) -> TlbEntry {
    let index = tlb_index(addr) * size_of::<TlbEntry>();
    // SAFETY: `tlb` is the offset of an array of TLB_SIZE entries in the context, and the index is below that.
    unsafe {
        let tag = cx.byte_add(index).byte_add(tlb + offset_of!(TlbEntry, tag)).cast::<u64>().read();
        let host = cx.byte_add(index).byte_add(tlb + offset_of!(TlbEntry, host)).cast::<*mut u8>().read();
        TlbEntry { tag, host }
    }
}

/// Load of kind `K`, base from `B`.
pub(crate) struct Load<const K: u8, const B: u8>;

impl<const K: u8, const B: u8> Load<K, B> {
    const SLOW: SlowPath = SlowPath::of::<LoadSlow<K>>();
}

impl<const K: u8, const B: u8> Coded for Load<K, B> {
    const CODE: u16 = code::load(K, B);
}

impl<const K: u8, const B: u8> Body for Load<K, B> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        // SAFETY: a TLB entry that matches describes a page that the platform resolved for loads in this generation; the
        // compare keeps the access inside it.
        unsafe {
            let addr = address::<K>(cx, regs, B);
            let TlbEntry { tag, host } = entry(cx, offset_of!(Cx, tlb_load), addr);
            let offset = addr.wrapping_sub(tag);
            if offset > PAGE_SIZE - (1 << (K & 3)) {
                (*cx).addr = addr;
                return Step::Slow(&Self::SLOW);
            }
            let value = read::<K>(host.add(offset as usize));
            set_slot(cx, (*regs.pc).d(), value);
            regs.note(value);
            Step::Next
        }
    }
}

/// Operand variants of a store: where the base and the value come from.
pub(crate) mod store_variant {
    /// Both in slots.
    pub(crate) const SS: u8 = 0;
    /// The base is the last result.
    pub(crate) const AS: u8 = 1;
    /// The value is the last result.
    pub(crate) const SA: u8 = 2;
    /// The value is zero.
    pub(crate) const SZ: u8 = 3;
    /// The base is the last result, the value zero.
    pub(crate) const AZ: u8 = 4;
    /// The base is the result before the last.
    pub(crate) const PS: u8 = 5;
    /// The value is the result before the last.
    pub(crate) const SP: u8 = 6;
    /// The base is the last result, the value the one before.
    pub(crate) const AP: u8 = 7;
    /// The base is the result before the last, the value the last.
    pub(crate) const PA: u8 = 8;
    /// The base is the result before the last, the value zero.
    pub(crate) const PZ: u8 = 9;
    /// How many there are.
    pub(crate) const COUNT: u16 = 10;
}

/// Store of kind `K` (no sign), operand variant `V`.
pub(crate) struct Store<const K: u8, const V: u8>;

impl<const K: u8, const V: u8> Store<K, V> {
    const SLOW: SlowPath = SlowPath::of::<StoreSlow<K>>();
}

impl<const K: u8, const V: u8> Coded for Store<K, V> {
    const CODE: u16 = code::store(K, V);
}

impl<const K: u8, const V: u8> Body for Store<K, V> {
    #[inline(always)]
    unsafe fn run(cx: *mut Cx, regs: &mut Regs) -> Step {
        use store_variant::{AP, AS, AZ, PA, PS, PZ, SA, SP, SZ};
        // SAFETY: as for loads; entries of the store TLB are resolved for stores.
        unsafe {
            let from = match V {
                AS | AZ | AP => base::LAST,
                PS | PA | PZ => base::BEFORE,
                _ => base::SLOT,
            };
            let addr = address::<K>(cx, regs, from);
            let value = match V {
                SA | PA => regs.acc,
                SP | AP => slot_before(cx, regs, (*regs.pc).d()),
                SZ | AZ | PZ => 0,
                _ => slot(cx, (*regs.pc).d()),
            };
            let TlbEntry { tag, host } = entry(cx, offset_of!(Cx, tlb_store), addr);
            let offset = addr.wrapping_sub(tag);
            if offset > PAGE_SIZE - (1 << (K & 3)) {
                (*cx).addr = addr;
                (*cx).value = value;
                return Step::Slow(&Self::SLOW);
            }
            write::<K>(host.add(offset as usize), value);
            Step::Next
        }
    }
}
