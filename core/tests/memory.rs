//! Memory operations: descriptors, byte order, atomics, accesses at the edges of pages.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use tern_core::bare::BareMachine;
use tern_core::ir::eval::{atomic, load, store};
use tern_core::ir::random::splitmix;
use tern_core::mem::{
    Access, Endian, FaultKind, FlatMemory, GuestMemory, HostSpan, MemFault, MemOp, PAGE_SIZE, PageFlags, RmwOp, Size,
};

const SIZES: [Size; 4] = [Size::B1, Size::B2, Size::B4, Size::B8];
const BASE: u64 = 0x4000;

fn all_ops() -> Vec<MemOp> {
    let mut ops = Vec::new();
    for size in SIZES {
        for bits in 0..16 {
            for mode in 0..16 {
                let endian = if bits & 2 != 0 { Endian::Big } else { Endian::Little };
                let (signed, aligned, addr32) = (bits & 1 != 0, bits & 4 != 0, bits & 8 != 0);
                ops.push(MemOp { size, signed, endian, aligned, addr32, mode });
            }
        }
    }
    ops
}

#[test]
fn descriptors_pack_into_ten_distinct_bits() {
    let mut seen = BTreeSet::new();
    for op in all_ops() {
        assert!(op.pack() < 1 << 10);
        assert!(seen.insert(op.pack()), "{op:?}");
        assert_eq!(MemOp::unpack(op.pack()), op);
    }
    assert_eq!(seen.len(), 1 << 10);
}

/// The value that `bytes` hold, by the definition of byte order.
fn value_of(bytes: &[u8], endian: Endian, signed: bool) -> u64 {
    let fold = |v: u64, b: &u8| v << 8 | u64::from(*b);
    let v = match endian {
        Endian::Big => bytes.iter().fold(0, fold),
        Endian::Little => bytes.iter().rev().fold(0, fold),
    };
    let top = 8 * bytes.len() as u32 - 1;
    if signed && top < 63 && v >> top & 1 == 1 { v | u64::MAX << top } else { v }
}

#[test]
fn loads_and_stores_follow_byte_order_and_sign() {
    let mut next = splitmix(3);
    let mut m = BareMachine::new(BASE, 2);
    for op in all_ops().into_iter().filter(|op| !op.aligned) {
        let n = op.size.bytes() as usize;
        // Inside a page, over the edge between two, and with rubbish above bit 31 where that does not count.
        for at in [BASE + 8, BASE + 3, BASE + PAGE_SIZE - 1, BASE + PAGE_SIZE - n as u64] {
            let addr = if op.addr32 { at | next() << 32 } else { at };
            let addr = op.effective(addr);
            let value = next();
            store(&mut m, op, addr, value).unwrap();
            let offset = (at - BASE) as usize;
            let bytes = m.contents()[offset..offset + n].to_vec();
            let kept = value & op.size.mask();
            assert_eq!(value_of(&bytes, op.endian, false), kept, "{op:?} at {at:#x}");
            assert_eq!(load(&mut m, op, addr), Ok(value_of(&bytes, op.endian, op.signed)), "{op:?} at {at:#x}");
            let raw = value_of(&bytes, Endian::Little, false);
            assert_eq!((op.encode(value), op.decode(raw)), (raw, value_of(&bytes, op.endian, op.signed)));
        }
    }
}

#[test]
fn stores_touch_nothing_else() {
    for size in SIZES {
        for at in [16, PAGE_SIZE - 1] {
            let mut m = BareMachine::new(BASE, 2);
            store(&mut m, MemOp::be(size), BASE + at, u64::MAX).unwrap();
            let ram = m.contents();
            let written: Vec<u64> = (0..ram.len() as u64).filter(|i| ram[*i as usize] != 0).collect();
            assert_eq!(written, (at..at + size.bytes()).collect::<Vec<u64>>());
        }
    }
}

#[test]
fn a_store_over_an_edge_is_all_or_nothing() {
    // Behind the last page nothing is mapped; the second page may be read-only.
    for (readonly, addr, fault_addr, kind) in [
        (false, BASE + 2 * PAGE_SIZE - 3, BASE + 2 * PAGE_SIZE, FaultKind::Unmapped),
        (true, BASE + PAGE_SIZE - 3, BASE + PAGE_SIZE, FaultKind::Permission),
    ] {
        let mut m = BareMachine::new(BASE, 2);
        m.memory.protect(BASE + PAGE_SIZE, readonly);
        let fault = MemFault { addr: fault_addr, access: Access::Store, kind };
        assert_eq!(store(&mut m, MemOp::le(Size::B8), addr, u64::MAX), Err(fault));
        assert!(m.contents().iter().all(|b| *b == 0), "bytes before the fault were written");
    }
    let mut m = BareMachine::new(BASE, 1);
    let fault = |addr, access, kind| Err(MemFault { addr, access, kind });
    let end = BASE + PAGE_SIZE;
    assert_eq!(load(&mut m, MemOp::le(Size::B4), end - 2), fault(end, Access::Load, FaultKind::Unmapped));
    assert_eq!(load(&mut m, MemOp::le(Size::B4), BASE - 2), fault(BASE - 2, Access::Load, FaultKind::Unmapped));
    let strict = MemOp::le(Size::B4).aligned();
    assert_eq!(load(&mut m, strict, end - 2), fault(end - 2, Access::Load, FaultKind::Misaligned));
    let misaligned = MemFault { addr: BASE + 1, access: Access::Store, kind: FaultKind::Misaligned };
    assert_eq!(store(&mut m, strict, BASE + 1, 0), Err(misaligned));
}

#[test]
fn addresses_wrap_where_the_space_ends() {
    let mut m = BareMachine::new(0, 1);
    let op = MemOp::le(Size::B4).addr32(true);
    // The access begins on the last page of the 32-bit space, which is unmapped, and would go on at zero.
    let fault = MemFault { addr: 0xffff_fffe, access: Access::Load, kind: FaultKind::Unmapped };
    assert_eq!(load(&mut m, op, 0xffff_fffe), Err(fault));
    let mut top = BareMachine::new(0xffff_f000, 1);
    let fault = MemFault { addr: 0, access: Access::Load, kind: FaultKind::Unmapped };
    assert_eq!(load(&mut top, op, 0xffff_fffe), Err(fault));
    let fault = MemFault { addr: 0, access: Access::Store, kind: FaultKind::Unmapped };
    assert_eq!(store(&mut top, op, 0xffff_fffe, 1), Err(fault));
}

#[test]
fn read_modify_write_operations() {
    let mut next = splitmix(9);
    for size in SIZES {
        let bits = 8 * size.bytes() as u32;
        let modulus = 1u128 << bits;
        let sign = |v: u64| if u128::from(v) >= modulus / 2 { i128::from(v) - modulus as i128 } else { i128::from(v) };
        for _ in 0..200 {
            let (old, operand) = (next() & size.mask(), next() & size.mask());
            // Bits above the size do not count.
            let (dirty_old, dirty) = (old | next() & !size.mask(), operand | next() & !size.mask());
            for op in RmwOp::ALL {
                let want = match op {
                    RmwOp::Swap => operand,
                    RmwOp::Add => ((u128::from(old) + u128::from(operand)) % modulus) as u64,
                    RmwOp::And => old & operand,
                    RmwOp::Or => old | operand,
                    RmwOp::Xor => old ^ operand,
                    RmwOp::Min if sign(old) < sign(operand) => old,
                    RmwOp::Max if sign(old) > sign(operand) => old,
                    RmwOp::Minu => old.min(operand),
                    RmwOp::Maxu => old.max(operand),
                    RmwOp::Min | RmwOp::Max => operand,
                };
                assert_eq!(op.apply(size, dirty_old, dirty), want, "{op:?} {size:?} {old:#x} {operand:#x}");
            }
        }
    }
    for (i, op) in RmwOp::ALL.into_iter().enumerate() {
        assert_eq!(op as usize, i, "encoding order");
    }
}

#[test]
fn atomics_on_pages() {
    for endian in [Endian::Little, Endian::Big] {
        for size in SIZES {
            // Aligned and misaligned within a page.
            for at in [BASE + 16, BASE + 17] {
                let mut m = BareMachine::new(BASE, 1);
                let op = MemOp { endian, signed: true, ..MemOp::le(size) };
                let negative = 0x8081_8283_8485_8687 >> (64 - 8 * size.bytes());
                store(&mut m, op, at, negative).unwrap();
                let seen = std::cell::Cell::new(0);
                let old = atomic(&mut m, op, at, |old| {
                    seen.set(old);
                    Some(old.wrapping_add(1))
                });
                // The function sees the number as it is, the result is extended as the descriptor says.
                assert_eq!((old, seen.get()), (Ok(size.sext(negative)), negative));
                assert_eq!(load(&mut m, MemOp { signed: false, ..op }, at), Ok(negative + 1));
                assert_eq!(atomic(&mut m, op, at, |_| None), Ok(size.sext(negative + 1)));
                assert_eq!(load(&mut m, MemOp { signed: false, ..op }, at), Ok(negative + 1));
            }
        }
    }
    let mut m = BareMachine::new(BASE, 2);
    let fault = |addr, kind| Err(MemFault { addr, access: Access::Store, kind });
    let edge = BASE + PAGE_SIZE - 2;
    let op = MemOp::le(Size::B4);
    assert_eq!(atomic(&mut m, op, edge, Some), fault(edge, FaultKind::Misaligned));
    assert_eq!(atomic(&mut m, op.aligned(), BASE + 2, Some), fault(BASE + 2, FaultKind::Misaligned));
    assert_eq!(atomic(&mut m, op, 0, Some), fault(0, FaultKind::Unmapped));
    // Atomic operations need write permission even if they write nothing.
    m.memory.protect(BASE, true);
    assert_eq!(atomic(&mut m, op, BASE, |_| None), fault(BASE, FaultKind::Permission));
}

#[test]
fn flags_decide_what_may_be_cached() {
    let plain = PageFlags::default();
    assert!(plain.cacheable(Access::Load) && plain.cacheable(Access::Store) && plain.cacheable(Access::Fetch));
    assert!(PageFlags::CODE.cacheable(Access::Load) && !PageFlags::CODE.cacheable(Access::Store));
    for flags in [PageFlags::SLOW, PageFlags::DEVICE, PageFlags::DEVICE.with(PageFlags::CODE)] {
        assert!(!flags.cacheable(Access::Load) && !flags.cacheable(Access::Store) && !flags.cacheable(Access::Fetch));
    }
    let mut m = FlatMemory::new(BASE, 1);
    m.set_code(BASE / PAGE_SIZE, true);
    assert!(m.page(BASE, Access::Load, 0).unwrap().flags.has(PageFlags::CODE));
    m.set_code(BASE / PAGE_SIZE, false);
    assert!(!m.page(BASE, Access::Load, 0).unwrap().flags.has(PageFlags::CODE));
    let before = m.generation();
    m.protect(BASE, true);
    assert_ne!(before, m.generation(), "an earlier page no longer holds");
}

#[test]
fn bulk_copies_cross_pages_and_stop_at_the_first_fault() {
    let mut m = BareMachine::new(BASE, 2);
    let memory: &mut dyn GuestMemory = &mut m.memory;
    let data: Vec<u8> = (0..100).collect();
    memory.write(BASE + PAGE_SIZE - 50, &data, 0).unwrap();
    let mut back = [0; 100];
    memory.read(BASE + PAGE_SIZE - 50, &mut back, Access::Load, 0).unwrap();
    assert_eq!(back.as_slice(), data);
    let end = BASE + 2 * PAGE_SIZE;
    let fault = memory.write(end - 10, &data, 0).unwrap_err();
    assert_eq!(fault, MemFault { addr: end, access: Access::Store, kind: FaultKind::Unmapped });
}

#[test]
fn spans_refuse_what_is_outside() {
    let mut m = FlatMemory::new(BASE, 1);
    let span = m.page(BASE, Access::Store, 0).unwrap().span;
    assert_eq!(span.len() as u64, PAGE_SIZE);
    assert!(span.sub(4096, 0).is_some() && span.sub(4096, 1).is_none() && span.sub(usize::MAX, 2).is_none());
    assert_eq!(span.load(4095, Size::B2), None);
    assert_eq!(span.compare_exchange(4089, Size::B8, 0, 1), None);
    assert!(!span.write(4095, &[1, 2]) && !span.read(4095, &mut [0, 0]));
    assert!(HostSpan::EMPTY.is_empty() && HostSpan::EMPTY.load(0, Size::B1).is_none());
}

#[test]
fn compare_exchange_ignores_what_the_size_does_not_hold() {
    for size in SIZES {
        for at in [16, 17] {
            let mut m = FlatMemory::new(BASE, 1);
            let span = m.page(BASE, Access::Store, 0).unwrap().span;
            let high = !size.mask();
            assert_eq!(span.compare_exchange(at, size, high, 5 | high), Some(0), "{size:?} at {at}");
            assert_eq!(span.load(at, size), Some(5));
            assert_eq!(span.compare_exchange(at, size, 4, 9), Some(5));
            assert_eq!(span.load(at, size), Some(5));
        }
    }
}
