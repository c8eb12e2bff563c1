//! What pure operations mean, against formulas written independently of the op table: over mathematical integers or bit by
//! bit.
#![forbid(unsafe_code)]

use tern_core::ir::{Op, Ty, eval_convert, eval1, eval2, random};

const EDGES: [u64; 22] = [
    0,
    1,
    2,
    5,
    31,
    32,
    33,
    63,
    64,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
    0x0123_4567_89ab_cdef,
];

fn mask(bits: u32) -> u64 {
    ((1u128 << bits) - 1) as u64
}

fn signed(v: u64, bits: u32) -> i128 {
    let v = i128::from(v & mask(bits));
    if v >> (bits - 1) & 1 == 1 { v - (1i128 << bits) } else { v }
}

fn from_bits(bits: u32, bit: impl Fn(u32) -> bool) -> u64 {
    (0..bits).filter(|i| bit(*i)).fold(0, |v, i| v | 1 << i)
}

fn clmul(a: u64, b: u64, bits: u32) -> u128 {
    (0..bits).filter(|i| b >> i & 1 == 1).fold(0, |v, i| v ^ u128::from(a) << i)
}

/// Quotient and remainder truncated towards zero; `None` for a zero divisor.
fn divide(a: i128, b: i128) -> Option<(i128, i128)> {
    if b == 0 {
        return None;
    }
    let q = (a.unsigned_abs() / b.unsigned_abs()) as i128;
    let q = if (a < 0) == (b < 0) { q } else { -q };
    Some((q, a - q * b))
}

fn lanes(a: u64, b: u64, lane: u32, bits: u32) -> u64 {
    let element = |v: u64, i: u64| if i < u64::from(bits / lane) { v >> (i as u32 * lane) & mask(lane) } else { 0 };
    (0..bits / lane).fold(0, |v, i| v | element(a, element(b, u64::from(i))) << (i * lane))
}

fn field(a: u64, b: u64, sign: bool) -> u64 {
    let (position, length) = ((b & 63) as u32, (b >> 8 & 127) as u32);
    let bit = |i: u32| position + i < 64 && a >> (position + i) & 1 == 1;
    from_bits(64, |i| if i < length { bit(i) } else { sign && length > 0 && bit(length - 1) })
}

/// The meaning of a binary operation on `bits`-bit numbers, by its name.
fn binary(name: &str, a: u64, b: u64, bits: u32) -> u64 {
    let (a, b) = (a & mask(bits), b & mask(bits));
    let (ua, ub) = (i128::from(a), i128::from(b));
    let (sa, sb) = (signed(a, bits), signed(b, bits));
    let n = (b % u64::from(bits)) as u32;
    let two = |n: u32| 1i128 << n;
    let bit = |v: u64, i: u32| v >> i & 1 == 1;
    let high = |p: i128| p.div_euclid(two(bits)) as u64;
    let result = match name {
        "add" => (ua + ub) as u64,
        "sub" => (ua - ub) as u64,
        "and" => from_bits(bits, |i| bit(a, i) && bit(b, i)),
        "or" => from_bits(bits, |i| bit(a, i) || bit(b, i)),
        "xor" => from_bits(bits, |i| bit(a, i) != bit(b, i)),
        "andn" => from_bits(bits, |i| bit(a, i) && !bit(b, i)),
        "orn" => from_bits(bits, |i| bit(a, i) || !bit(b, i)),
        "xnor" => from_bits(bits, |i| bit(a, i) == bit(b, i)),
        "shl" => (u128::from(a) * (1 << n)) as u64,
        "shr" => (ua / two(n)) as u64,
        "sar" => sa.div_euclid(two(n)) as u64,
        "rotl" => from_bits(bits, |i| bit(a, (i + bits - n) % bits)),
        "rotr" => from_bits(bits, |i| bit(a, (i + n) % bits)),
        "mul" => (u128::from(a) * u128::from(b)) as u64,
        "mulhu" => (u128::from(a) * u128::from(b) / (1u128 << bits)) as u64,
        "mulhs" => high(sa * sb),
        "mulhsu" => high(sa * ub),
        "divu" => divide(ua, ub).map_or(u64::MAX, |(q, _)| q as u64),
        "divs" => divide(sa, sb).map_or(u64::MAX, |(q, _)| q as u64),
        "remu" => divide(ua, ub).map_or(a, |(_, r)| r as u64),
        "rems" => divide(sa, sb).map_or(a, |(_, r)| r as u64),
        "mins" => (if sa < sb { sa } else { sb }) as u64,
        "maxs" => (if sa > sb { sa } else { sb }) as u64,
        "minu" => (if ua < ub { ua } else { ub }) as u64,
        "maxu" => (if ua > ub { ua } else { ub }) as u64,
        "clmul" => clmul(a, b, bits) as u64,
        "clmulh" => (clmul(a, b, bits) >> bits) as u64,
        "bext" => u64::from(bit(a, n)),
        "bset" => from_bits(bits, |i| i == n || bit(a, i)),
        "bclr" => from_bits(bits, |i| i != n && bit(a, i)),
        "binv" => from_bits(bits, |i| (i == n) != bit(a, i)),
        "sh1add" => (2 * ua + ub) as u64,
        "sh2add" => (4 * ua + ub) as u64,
        "sh3add" => (8 * ua + ub) as u64,
        "xperm4" => lanes(a, b, 4, bits),
        "xperm8" => lanes(a, b, 8, bits),
        "extractu" => field(a, b, false),
        "extracts" => field(a, b, true),
        other => panic!("{other} has no formula here: write one"),
    };
    result & mask(bits)
}

fn compare(name: &str, a: u64, b: u64, bits: u32) -> bool {
    let (sa, sb) = (signed(a, bits), signed(b, bits));
    let (ua, ub) = (a & mask(bits), b & mask(bits));
    let common = (0..bits).any(|i| ua >> i & ub >> i & 1 == 1);
    match name {
        "eq" => sa == sb,
        "ne" => sa != sb,
        "lts" => sa < sb,
        "les" => sa <= sb,
        "ltu" => ua < ub,
        "leu" => ua <= ub,
        "test_set" => common,
        "test_clear" => !common,
        other => panic!("{other} has no formula here: write one"),
    }
}

fn unary(name: &str, a: u64, bits: u32) -> u64 {
    let a = a & mask(bits);
    let bit = |i: u32| a >> i & 1 == 1;
    let bytes = bits / 8;
    let result = match name {
        "neg" => (-i128::from(a)) as u64,
        "not" => from_bits(bits, |i| !bit(i)),
        "clz" => (0..bits).take_while(|i| !bit(bits - 1 - i)).count() as u64,
        "ctz" => (0..bits).take_while(|i| !bit(*i)).count() as u64,
        "popcnt" => (0..bits).filter(|i| bit(*i)).count() as u64,
        "bswap" => from_bits(bits, |i| bit((bytes - 1 - i / 8) * 8 + i % 8)),
        "bitrev" => from_bits(bits, |i| bit(bits - 1 - i)),
        "brev8" => from_bits(bits, |i| bit(i / 8 * 8 + 7 - i % 8)),
        "orcb" => from_bits(bits, |i| (0..8).any(|j| bit(i / 8 * 8 + j))),
        "zext8" => from_bits(8, bit),
        "sext8" => signed(a, 8) as u64,
        "zext16" => from_bits(16, bit),
        "sext16" => signed(a, 16) as u64,
        other => panic!("{other} has no formula here: write one"),
    };
    result & mask(bits)
}

fn convert(name: &str, a: u64) -> u64 {
    match name {
        "zext32" | "trunc" => a % (1 << 32),
        "sext32" => signed(a, 32) as u64,
        "oext32" => from_bits(64, |i| i >= 32 || a >> i & 1 == 1),
        "unbox32" if (32..64).all(|i| a >> i & 1 == 1) => a % (1 << 32),
        "unbox32" => 0x7fc0_0000,
        other => panic!("{other} has no formula here: write one"),
    }
}

/// All pairs of edge values, and random ones.
fn pairs() -> Vec<(u64, u64)> {
    let mut next = random::splitmix(1);
    let mut all: Vec<_> = EDGES.iter().flat_map(|a| EDGES.iter().map(|b| (*a, *b))).collect();
    all.extend((0..4000).map(|_| (random::number(&mut next), random::number(&mut next))));
    all.extend((0..100).map(|_| (next() | u64::MAX << 32, next() >> 32)));
    // Fields for the extracting operations, which look at bits 0 to 5 and 8 to 14.
    all.extend((0..4000).map(|_| (next(), next() & 0x7f3f)));
    all
}

const WIDTHS: [(Ty, u32); 2] = [(Ty::I32, 32), (Ty::I64, 64)];

#[test]
fn binary_operations() {
    for op in Op::BINARY {
        for (ty, bits) in WIDTHS {
            for (a, b) in pairs() {
                let (got, want) = (eval2(*op, ty, a, b), binary(op.name(), a, b, bits));
                assert_eq!(got, want, "{}.{ty} {a:#x}, {b:#x}: {got:#x}, not {want:#x}", op.name());
            }
        }
    }
}

#[test]
fn comparisons() {
    for op in Op::COMPARE {
        for (ty, bits) in WIDTHS {
            for (a, b) in pairs() {
                let want = u64::from(compare(op.name(), a, b, bits));
                assert_eq!(eval2(*op, ty, a, b), want, "{}.{ty} {a:#x}, {b:#x}", op.name());
            }
        }
    }
}

#[test]
fn unary_operations_and_conversions() {
    for (a, b) in pairs() {
        for a in [a, b] {
            for op in Op::UNARY {
                for (ty, bits) in WIDTHS {
                    assert_eq!(eval1(*op, ty, a), unary(op.name(), a, bits), "{}.{ty} {a:#x}", op.name());
                }
            }
            for op in Op::CONVERT {
                assert_eq!(eval_convert(*op, a), convert(op.name(), a), "{} {a:#x}", op.name());
            }
        }
    }
}

/// What the builder believes about operations is what they mean.
#[test]
fn declared_properties_hold() {
    for (a, b) in pairs() {
        for (ty, _) in WIDTHS {
            for op in Op::BINARY.iter().chain(Op::COMPARE) {
                if op.commutes() {
                    assert_eq!(eval2(*op, ty, a, b), eval2(*op, ty, b, a), "{}.{ty} {a:#x}, {b:#x}", op.name());
                }
                if let Some((inverse, swap)) = op.inverse() {
                    let (x, y) = if swap { (b, a) } else { (a, b) };
                    assert_eq!(eval2(*op, ty, a, b) ^ 1, eval2(inverse, ty, x, y), "{}.{ty}", op.name());
                }
            }
        }
    }
}
