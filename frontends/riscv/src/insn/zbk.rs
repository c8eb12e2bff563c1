//! Zbkb and Zbkx: bit manipulation for cryptography.  What Zbkb shares with Zbb is in `zbb`, Zbkc is in `zbc`.

use super::{Rv, xlen1, xlen2};
use crate::translate::Tr;
use tern_core::ir::{Builder, I32, Val};
use tern_decode::insns;

/// The low halves of XLEN bits: `a` below `b`.
fn pack(t: &mut Tr<'_>, d: i64, a: i64, b: i64) {
    if t.cpu.rv32 {
        return pack_words(t, d, a, b);
    }
    let (a, b) = (t.w(a), t.x(b));
    let (a, b) = (t.b.zext32(a), t.b.shli(b, 32));
    let v = t.b.or(a, b);
    t.put_x(d, v);
}

/// The low 16 bits of each, sign-extended from 32.
fn pack_words(t: &mut Tr<'_>, d: i64, a: i64, b: i64) {
    t.op2w(d, a, b, |m, a, b| {
        let (a, b) = (m.zext16(a), m.shli(b, 16));
        m.or(a, b)
    });
}

/// The low bytes, zero-extended.
fn pack_bytes(t: &mut Tr<'_>, d: i64, a: i64, b: i64) {
    t.op2(d, a, b, |m, a, b| {
        let (a, b) = (m.zext8(a), m.zext8(b));
        let b = m.shli(b, 8);
        m.or(a, b)
    });
}

/// The steps of a bit shuffle between halves and even/odd places: masks and distances (as in an inverse butterfly).
const SHUFFLE: [(u64, u32); 4] = [(0x2222_2222, 1), (0x0c0c_0c0c, 2), (0x00f0_00f0, 4), (0x0000_ff00, 8)];

/// Exchanges the bits under `mask` with those `by` places above.
fn exchange(m: &mut Builder<'_>, v: Val<I32>, (mask, by): (u64, u32)) -> Val<I32> {
    let above = m.shri(v, by);
    let differ = m.xor(v, above);
    let differ = m.andi(differ, mask);
    let up = m.shli(differ, by);
    let v = m.xor(v, differ);
    m.xor(v, up)
}

insns! {
    /// Only in Zbkb.
    pub static ZBKB: Group<Rv>, "zbkb", width 32;
    /// Pack the low halves.
    pack "0000100 bbbbb aaaaa 100 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| pack(t, d, a, b);
    /// Pack the low bytes.
    packh "0000100 bbbbb aaaaa 111 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| pack_bytes(t, d, a, b);
    /// Reverse the bits of each byte.
    brev8 "011010000111 aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}" => |t, d, a| xlen1!(t, d, a, brev8);
}

insns! {
    /// Only in Zbkb on RV32.
    pub static ZBKB32: Group<Rv>, "zbkb", width 32;
    /// Interleave the halves: the lower one goes to the even places.
    zip "000010001111 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| t.op1w(d, a, |m, v| SHUFFLE.iter().rev().fold(v, |v, s| exchange(m, v, *s)));
    /// Gather even and odd places in the halves.
    unzip "000010001111 aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| t.op1w(d, a, |m, v| SHUFFLE.iter().fold(v, |v, s| exchange(m, v, *s)));
}

insns! {
    /// Only in Zbkb on RV64.
    pub static ZBKB64: Group<Rv>, "zbkb", width 32;
    /// Pack the low halfwords.
    packw "0000100 bbbbb aaaaa 100 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| pack_words(t, d, a, b);
}

insns! {
    /// Crossbar permutations.
    pub static ZBKX: Group<Rv>, "zbkx", width 32;
    /// Look up nibbles.
    xperm4 "0010100 bbbbb aaaaa 010 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, xperm4);
    /// Look up bytes.
    xperm8 "0010100 bbbbb aaaaa 100 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, xperm8);
}
