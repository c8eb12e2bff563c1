//! Scalar cryptography: Zknd, Zkne (AES), Zknh (SHA-2), Zksed (SM4), Zksh (SM3).
//!
//! Hashes are plain IR; ciphers look tables up and are helpers (`crypto`).

use super::Rv;
use crate::helper;
use crate::translate::{Tr, X};
use tern_core::ir::{Builder, I32, I64, IntTy, Val};
use tern_decode::insns;

/// A rotation or logical shift to the right.
#[derive(Clone, Copy)]
enum Turn {
    Rotate(u32),
    Shift(u32),
}
use Turn::{Rotate, Shift};

/// Exclusive or of three turns of `v`.
fn mix<T: IntTy>(b: &mut Builder<'_>, v: Val<T>, turns: [Turn; 3]) -> Val<T> {
    let [x, y, z] = turns.map(|turn| match turn {
        Rotate(n) => {
            let n = b.iconst(u64::from(n));
            b.rotr(v, n)
        }
        Shift(n) => b.shri(v, n),
    });
    let xy = b.xor(x, y);
    b.xor(xy, z)
}

fn mix_word(t: &mut Tr<'_>, d: i64, a: i64, turns: [Turn; 3]) {
    t.op1w(d, a, |b, v| mix(b, v, turns));
}

fn mix_long(t: &mut Tr<'_>, d: i64, a: i64, turns: [Turn; 3]) {
    t.op1(d, a, |b, v| mix(b, v, turns));
}

/// SM3's permutations: `v ^ rotl(v, x) ^ rotl(v, y)`.
fn permute(t: &mut Tr<'_>, d: i64, a: i64, x: u32, y: u32) {
    t.op1w(d, a, |b, v| {
        let (nx, ny) = (b.iconst(u64::from(x)), b.iconst(u64::from(y)));
        let (rx, ry) = (b.rotl(v, nx), b.rotl(v, ny));
        let v = b.xor(v, rx);
        b.xor(v, ry)
    });
}

/// SHA-512 on RV32: one half of a turned pair is the exclusive or of shifted halves.  Positive: right, negative: left.
fn mix_halves(t: &mut Tr<'_>, d: i64, a: i64, b: i64, of_a: &[i32], of_b: &[i32]) {
    t.op2w(d, a, b, |m, a, b| {
        let mut sum: Val<I32> = m.iconst(0);
        for (v, shifts) in [(a, of_a), (b, of_b)] {
            for &n in shifts {
                let part = if n < 0 { m.shli(v, n.unsigned_abs()) } else { m.shri(v, n.unsigned_abs()) };
                sum = m.xor(sum, part);
            }
        }
        sum
    });
}

/// Calls a pure helper on two registers.
fn call(t: &mut Tr<'_>, index: u16, payload: i64, a: i64, b: i64) -> X {
    let (a, b) = (t.x(a), t.x(b));
    t.b.helper::<I64>(index, payload as u64, &[a.raw(), b.raw()], false)
}

/// A helper whose 32-bit result is sign-extended.
fn call_word(t: &mut Tr<'_>, index: u16, payload: i64, [d, a, b]: [i64; 3]) {
    let v = call(t, index, payload, a, b);
    let v = t.b.trunc(v);
    t.set_w(d, v);
}

fn call_long(t: &mut Tr<'_>, index: u16, payload: i64, [d, a, b]: [i64; 3]) {
    let v = call(t, index, payload, a, b);
    t.put_x(d, v);
}

insns! {
    /// SHA-256.
    pub static ZKNH: Group<Rv>, "zknh", width 32;
    /// Sum 0.
    sha256sum0 "0001000 00000 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| mix_word(t, d, a, [Rotate(2), Rotate(13), Rotate(22)]);
    /// Sum 1.
    sha256sum1 "0001000 00001 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| mix_word(t, d, a, [Rotate(6), Rotate(11), Rotate(25)]);
    /// Sigma 0.
    sha256sig0 "0001000 00010 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| mix_word(t, d, a, [Rotate(7), Rotate(18), Shift(3)]);
    /// Sigma 1.
    sha256sig1 "0001000 00011 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| mix_word(t, d, a, [Rotate(17), Rotate(19), Shift(10)]);
}

insns! {
    /// SHA-512 on RV64.
    pub static ZKNH64: Group<Rv>, "zknh", width 32;
    /// Sum 0.
    sha512sum0 "0001000 00100 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| mix_long(t, d, a, [Rotate(28), Rotate(34), Rotate(39)]);
    /// Sum 1.
    sha512sum1 "0001000 00101 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| mix_long(t, d, a, [Rotate(14), Rotate(18), Rotate(41)]);
    /// Sigma 0.
    sha512sig0 "0001000 00110 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| mix_long(t, d, a, [Rotate(1), Rotate(8), Shift(7)]);
    /// Sigma 1.
    sha512sig1 "0001000 00111 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| mix_long(t, d, a, [Rotate(19), Rotate(61), Shift(6)]);
}

insns! {
    /// SHA-512 on RV32: `a` is the half that the result replaces, `b` the other one.
    pub static ZKNH32: Group<Rv>, "zknh", width 32;
    /// Sum 0.
    sha512sum0r "0101000 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| mix_halves(t, d, a, b, &[-25, -30, 28], &[7, 2, -4]);
    /// Sum 1.
    sha512sum1r "0101001 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| mix_halves(t, d, a, b, &[-23, 14, 18], &[9, -18, -14]);
    /// Sigma 0, lower half.
    sha512sig0l "0101010 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| mix_halves(t, d, a, b, &[1, 7, 8], &[-31, -25, -24]);
    /// Sigma 1, lower half.
    sha512sig1l "0101011 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| mix_halves(t, d, a, b, &[-3, 6, 19], &[29, -26, -13]);
    /// Sigma 0, upper half.
    sha512sig0h "0101110 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| mix_halves(t, d, a, b, &[1, 7, 8], &[-31, -24]);
    /// Sigma 1, upper half.
    sha512sig1h "0101111 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| mix_halves(t, d, a, b, &[-3, 6, 19], &[29, -13]);
}

insns! {
    /// SM3.
    pub static ZKSH: Group<Rv>, "zksh", width 32;
    /// Permutation P0.
    sm3p0 "0001000 01000 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| permute(t, d, a, 9, 17);
    /// Permutation P1.
    sm3p1 "0001000 01001 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| permute(t, d, a, 15, 23);
}

insns! {
    /// SM4.
    pub static ZKSED: Group<Rv>, "zksed", width 32;
    /// Part of a round.
    sm4ed "ss 11000 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}, {s}"
        => |t, d, a, b, s| call_word(t, helper::SM4_ED, s, [d, a, b]);
    /// Part of a key schedule round.
    sm4ks "ss 11010 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}, {s}"
        => |t, d, a, b, s| call_word(t, helper::SM4_KS, s, [d, a, b]);
}

insns! {
    /// AES encryption on RV32.
    pub static ZKNE32: Group<Rv>, "zkne", width 32;
    /// Part of a final round.
    aes32esi "ss 10001 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}, {s}"
        => |t, d, a, b, s| call_word(t, helper::AES32_ESI, s, [d, a, b]);
    /// Part of a middle round.
    aes32esmi "ss 10011 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}, {s}"
        => |t, d, a, b, s| call_word(t, helper::AES32_ESMI, s, [d, a, b]);
}

insns! {
    /// AES decryption on RV32.
    pub static ZKND32: Group<Rv>, "zknd", width 32;
    /// Part of a final round.
    aes32dsi "ss 10101 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}, {s}"
        => |t, d, a, b, s| call_word(t, helper::AES32_DSI, s, [d, a, b]);
    /// Part of a middle round.
    aes32dsmi "ss 10111 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}, {s}"
        => |t, d, a, b, s| call_word(t, helper::AES32_DSMI, s, [d, a, b]);
}

insns! {
    /// AES encryption on RV64.
    pub static ZKNE64: Group<Rv>, "zkne", width 32;
    /// Final round.
    aes64es "0011001 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| call_long(t, helper::AES64_ES, 0, [d, a, b]);
    /// Middle round.
    aes64esm "0011011 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| call_long(t, helper::AES64_ESM, 0, [d, a, b]);
}

insns! {
    /// AES decryption on RV64.
    pub static ZKND64: Group<Rv>, "zknd", width 32;
    /// Final round.
    aes64ds "0011101 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| call_long(t, helper::AES64_DS, 0, [d, a, b]);
    /// Middle round.
    aes64dsm "0011111 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| call_long(t, helper::AES64_DSM, 0, [d, a, b]);
    /// Inverse MixColumns.
    aes64im "0011000 00000 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}"
        => |t, d, a| call_long(t, helper::AES64_IM, 0, [d, a, 0]);
}

insns! {
    /// AES key schedule on RV64, in Zkne and Zknd.
    pub static ZKNE_ZKND64: Group<Rv>, "zkne|zknd", width 32;
    /// First step; round constants are numbered 0 to 10.
    aes64ks1i "0011000 1 rrrr aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {r:rnum}"
        => |t, d, a, r| call_long(t, helper::AES64_KS1, r, [d, a, 0]);
    /// Second step.
    aes64ks2 "0111111 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| {
            let (a, b) = (t.x(a), t.x(b));
            let (high, low) = (t.b.shri(a, 32), t.b.zext_low(b));
            let low = t.b.xor(high, low);
            let upper = t.b.shri(b, 32);
            let upper = t.b.xor(low, upper);
            let (low, upper) = (t.b.zext_low(low), t.b.shli(upper, 32));
            let v = t.b.or(low, upper);
            t.put_x(d, v)
        };
}
