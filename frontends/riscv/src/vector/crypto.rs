//! Vector cryptography: instructions on element groups (vector cryptography manual, "Element Groups" and "Instruction
//! Constraints").

use super::{Group, R, V, Whole, family, whole};
use crate::crypto;
use crate::hash::{self, SHA256, SHA512, Sha2};
use core::ops::Range;

family! {
    /// Instructions on element groups.
    Crypto int V_CRYPTO (Whole) by whole;
    /// A middle round of AES encryption; each block has a key.
    AesEncryptMiddle = |v| blocks(v, |d, a, _| crypto::aes_encrypt_middle(d, a));
    /// All blocks have one key.
    AesEncryptMiddleOne = |v| blocks_by_one(v, crypto::aes_encrypt_middle);
    AesEncryptLast = |v| blocks(v, |d, a, _| crypto::aes_encrypt_last(d, a));
    AesEncryptLastOne = |v| blocks_by_one(v, crypto::aes_encrypt_last);
    AesDecryptMiddle = |v| blocks(v, |d, a, _| crypto::aes_decrypt_middle(d, a));
    AesDecryptMiddleOne = |v| blocks_by_one(v, crypto::aes_decrypt_middle);
    AesDecryptLast = |v| blocks(v, |d, a, _| crypto::aes_decrypt_last(d, a));
    AesDecryptLastOne = |v| blocks_by_one(v, crypto::aes_decrypt_last);
    AesFirstOne = |v| blocks_by_one(v, |d, a| d ^ a);
    Aes128Key = |v| blocks(v, |_, a, round| crypto::aes128_key(a, round));
    Aes256Key = |v| blocks(v, crypto::aes256_key);
    Ghash = ghash;
    GhashProduct = |v| blocks(v, |d, a, _| hash::ghash_product(d, a));
    Sha2Schedule = |v| sha2(v, Sha2::schedule);
    Sha2Low = |v| sha2(v, Sha2::compress_low);
    Sha2High = |v| sha2(v, Sha2::compress_high);
    Sm3Expand = sm3_expand;
    Sm3Compress = sm3_compress;
    Sm4Rounds = |v| blocks(v, |d, a, _| crypto::sm4_encrypt(d, a));
    Sm4RoundsOne = |v| blocks_by_one(v, crypto::sm4_encrypt);
    Sm4Keys = |v| blocks(v, |_, a, group| crypto::sm4_keys(a, group));
}

/// The element groups of the body, of `size` elements each.  A group must fit, and none may be cut.
fn groups(v: &V<'_, '_>, size: u64) -> R<Range<u64>> {
    v.configured()?;
    v.require(v.vlmax() >= size)?;
    v.require(v.vl.is_multiple_of(size) && v.vstart.is_multiple_of(size))?;
    Ok(v.vstart / size..v.vl / size)
}

/// The same of 32-bit elements, with the groups at `vd` and `vs2`.
fn groups32(v: &V<'_, '_>, size: u64) -> R<(Range<u64>, Group, Group)> {
    let all = groups(v, size)?;
    v.require(v.sew == 32)?;
    Ok((all, v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?))
}

/// Block `i` of 128 bits, its first element in the low bits.
fn block(v: &V<'_, '_>, reg: u32, i: u64) -> u128 {
    u128::from(v.get(reg, 2 * i, 64)) | u128::from(v.get(reg, 2 * i + 1, 64)) << 64
}

fn set_block(v: &mut V<'_, '_>, reg: u32, i: u64, value: u128) {
    v.set(reg, 2 * i, 64, value as u64);
    v.set(reg, 2 * i + 1, 64, (value >> 64) as u64);
}

/// Computes the blocks of `vd` from their old values, those of `vs2`, and the constant.
fn blocks(v: &mut V<'_, '_>, f: fn(u128, u128, u32) -> u128) -> R<u64> {
    let (all, d, a) = groups32(v, 4)?;
    for i in all {
        let value = f(block(v, d.reg, i), block(v, a.reg, i), v.scalar as u32);
        set_block(v, d.reg, i, value);
    }
    v.complete(0)
}

/// The same with one block in `vs2`, which may not be overwritten.  It is in as many registers as it needs.
fn blocks_by_one(v: &mut V<'_, '_>, f: fn(u128, u128) -> u128) -> R<u64> {
    let all = groups(v, 4)?;
    v.require(v.sew == 32)?;
    let d = v.group(v.vd(), 0)?;
    let a = Group { reg: v.vs2(), emul: i32::from(v.unit.vlen < 128), eew: 32 };
    v.require(a.reg.is_multiple_of(a.registers()))?;
    v.apart(d, a)?;
    let one = block(v, a.reg, 0);
    for i in all {
        let value = f(block(v, d.reg, i), one);
        set_block(v, d.reg, i, value);
    }
    v.complete(0)
}

fn ghash(v: &mut V<'_, '_>) -> R<u64> {
    let (all, d, a) = groups32(v, 4)?;
    let b = v.group(v.vs1(), 0)?;
    for i in all {
        let sum = block(v, d.reg, i) ^ block(v, b.reg, i);
        let value = hash::ghash_product(sum, block(v, a.reg, i));
        set_block(v, d.reg, i, value);
    }
    v.complete(0)
}

/// Element group `i`.
fn elements<const N: usize>(v: &V<'_, '_>, group: Group, i: u64) -> [u64; N] {
    core::array::from_fn(|j| v.get(group.reg, N as u64 * i + j as u64, group.eew))
}

fn set_elements<const N: usize>(v: &mut V<'_, '_>, group: Group, i: u64, values: [u64; N]) {
    for (j, value) in (0..).zip(values) {
        v.set(group.reg, N as u64 * i + j, group.eew, value);
    }
}

/// From the groups of `vd`, `vs2` and `vs1`.
type Sha2Step = fn(&Sha2, [u64; 4], [u64; 4], [u64; 4]) -> [u64; 4];

fn sha2(v: &mut V<'_, '_>, f: Sha2Step) -> R<u64> {
    let all = groups(v, 4)?;
    v.require(v.sew == 32 || v.sew == 64 && v.unit.sha512)?;
    let (d, a, b) = (v.group(v.vd(), 0)?, v.group(v.vs2(), 0)?, v.group(v.vs1(), 0)?);
    v.apart(d, a)?;
    v.apart(d, b)?;
    let width = if v.sew == 32 { &SHA256 } else { &SHA512 };
    for i in all {
        let value = f(width, elements(v, d, i), elements(v, a, i), elements(v, b, i));
        set_elements(v, d, i, value);
    }
    v.complete(0)
}

/// Words of SM3: elements hold them with the most significant byte first.
fn words(v: &V<'_, '_>, group: Group, i: u64) -> [u32; 8] {
    elements(v, group, i).map(|w| (w as u32).swap_bytes())
}

fn set_words(v: &mut V<'_, '_>, group: Group, i: u64, words: [u32; 8]) {
    set_elements(v, group, i, words.map(|w| u64::from(w.swap_bytes())));
}

fn sm3_expand(v: &mut V<'_, '_>) -> R<u64> {
    let (all, d, a) = groups32(v, 8)?;
    let b = v.group(v.vs1(), 0)?;
    v.apart(d, a)?;
    for i in all {
        let value = hash::sm3_expand(words(v, b, i), words(v, a, i));
        set_words(v, d, i, value);
    }
    v.complete(0)
}

fn sm3_compress(v: &mut V<'_, '_>) -> R<u64> {
    let (all, d, a) = groups32(v, 8)?;
    v.apart(d, a)?;
    for i in all {
        let value = hash::sm3_compress(words(v, d, i), words(v, a, i), v.scalar as u32 & 31);
        set_words(v, d, i, value);
    }
    v.complete(0)
}
