//! The hooks: effective addresses, register lists, branch displacements. M68000PRM, chapter 2; the full extension word
//! format of the 68020 is refused.

use std::fmt::{self, Write};
use tern_decode::{AsmReason, Base, Dialect, Encoding, Site, TailBits, TailKind};

type Random<'a> = &'a mut dyn FnMut() -> u64;

fn syntax<T>(text: &str) -> Result<T, AsmReason> {
    Err(AsmReason::Syntax(text.into()))
}

fn no_bytes(raw: u64) -> TailBits {
    TailBits { raw, bytes: Vec::new() }
}

/// Motorola's syntax has `#` for immediates.
#[derive(Debug)]
pub(crate) struct Motorola;

impl Dialect for Motorola {
    fn comment(&self) -> &'static str {
        "|"
    }
}

/// The operand size in bytes by the rows' fields; `None` for rows without one.
fn size(s: Option<u64>, z: Option<u64>) -> Option<usize> {
    match (s, z) {
        (Some(0), _) | (_, Some(1)) => Some(1),
        (Some(1), _) | (_, Some(3)) => Some(2),
        (Some(2), _) | (_, Some(2)) => Some(4),
        _ => None,
    }
}

fn site_size(site: &Site<'_>) -> Option<usize> {
    size(site.field('s'), site.field('z'))
}

/// Data registers 0 to 7, address registers 8 to 15.
fn register_name(n: u64) -> String {
    format!("{}{}", if n < 8 { 'd' } else { 'a' }, n & 7)
}

fn register(text: &str) -> Option<u64> {
    match text {
        "sp" => Some(15),
        "fp" => Some(14),
        _ => (0..16).find(|&n| register_name(n) == text),
    }
}

fn address_register(text: &str) -> Option<u64> {
    register(text).filter(|&n| n >= 8).map(|n| n & 7)
}

/// A big-endian two's complement number.
fn number(bytes: &[u8]) -> i64 {
    let unsigned = bytes.iter().fold(0, |n: i64, &b| n << 8 | i64::from(b));
    let unused = 64 - 8 * bytes.len() as u32;
    unsigned.checked_shl(unused).map_or(0, |n| n >> unused)
}

/// The value's low bytes, most significant first.
fn big_endian(value: i64, size: usize) -> Vec<u8> {
    value.to_be_bytes()[8 - size..].to_vec()
}

/// An effective address; `exchanged` has the register in the upper bits.
#[derive(Debug)]
pub(crate) struct Ea {
    exchanged: bool,
}
pub(crate) static EA: Ea = Ea { exchanged: false };
pub(crate) static DESTINATION: Ea = Ea { exchanged: true };

impl Ea {
    /// Raw bits to mode and register, and the other way.
    fn exchange(&self, raw: u64) -> u64 {
        if self.exchanged { (raw & 7) << 3 | raw >> 3 } else { raw }
    }
}

/// The index register and displacement of a brief extension word.
fn index(word: &[u8]) -> (String, i64) {
    let width = if word[0] & 8 != 0 { 'l' } else { 'w' };
    let scale = match word[0] >> 1 & 3 {
        0 => String::new(),
        n => format!("*{}", 1 << n),
    };
    (format!("{}.{width}{scale}", register_name(u64::from(word[0] >> 4))), i64::from(word[1].cast_signed()))
}

/// A brief extension word: `text` is `d1.w*4`.
fn brief(text: &str, displacement: i64) -> Option<Vec<u8>> {
    let (name, rest) = text.split_once('.')?;
    let (width, scale) = rest.split_once('*').unwrap_or((rest, "1"));
    let long = ["w", "l"].iter().position(|w| *w == width)?;
    let scale = ["1", "2", "4", "8"].iter().position(|s| *s == scale)?;
    let high = register(name)? << 4 | (long << 3 | scale << 1) as u64;
    Some(vec![high as u8, displacement as u8])
}

impl TailKind for Ea {
    fn measure(&self, site: &Site<'_>, tail: &[u8]) -> Option<usize> {
        let raw = self.exchange(site.raw);
        let len = match (raw >> 3, raw & 7) {
            (0..=4, _) => 0,
            (5, _) | (7, 0 | 2) => 2,
            (6, _) | (7, 3) => {
                if tail.first()? & 1 != 0 {
                    return None;
                }
                2
            }
            (7, 1) => 4,
            (7, 4) => site_size(site)?.max(2),
            _ => return None,
        };
        Some(len).filter(|&n| n <= tail.len())
    }

    fn show(&self, site: &Site<'_>, bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
        let raw = self.exchange(site.raw);
        let n = raw & 7;
        match (raw >> 3, n) {
            (0, _) => write!(out, "d{n}"),
            (1, _) => write!(out, "a{n}"),
            (2, _) => write!(out, "(a{n})"),
            (3, _) => write!(out, "(a{n})+"),
            (4, _) => write!(out, "-(a{n})"),
            (5, _) => write!(out, "({},a{n})", number(bytes)),
            (6, _) => {
                let (index, displacement) = index(bytes);
                write!(out, "({displacement},a{n},{index})")
            }
            (7, 0) => write!(out, "({:#x}).w", number(bytes) & 0xffff_ffff),
            (7, 1) => write!(out, "({:#x}).l", number(bytes) & 0xffff_ffff),
            (7, 2) => write!(out, "({:#x},pc)", site.from_operand(number(bytes))),
            (7, 3) => {
                let (index, displacement) = index(bytes);
                write!(out, "({:#x},pc,{index})", site.from_operand(displacement))
            }
            // A byte is the lower half of its word.
            _ => write!(out, "#{}", number(if site_size(site) == Some(1) { &bytes[1..] } else { bytes })),
        }
    }

    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        let TailBits { raw, bytes } = address(text, encoding)?;
        Ok(TailBits { raw: self.exchange(raw), bytes })
    }

    fn random(&self, site: &Site<'_>, random: Random<'_>) -> TailBits {
        let raw = self.exchange(site.raw);
        let mut bytes = match (raw >> 3, raw & 7) {
            (5 | 6, _) | (7, 0 | 2 | 3) => big_endian(random().cast_signed(), 2),
            (7, 1) => big_endian(random().cast_signed(), 4),
            (7, 4) if site_size(site) == Some(1) => vec![0, random() as u8],
            (7, 4) => big_endian(random().cast_signed(), site_size(site).unwrap_or(0)),
            _ => Vec::new(),
        };
        if raw >> 3 == 6 || raw == 0o73 {
            bytes[0] &= !1;
        }
        TailBits { raw: site.raw, bytes }
    }
}

/// Mode and register, and the extension words.
fn address(text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
    if let Some(n) = register(text) {
        return Ok(no_bytes(n));
    }
    if let Some(value) = text.strip_prefix('#') {
        // Rows without operand size, such as `lea`, take no immediates.
        let Some(size) = size(encoding.field('s'), encoding.field('z')) else { return syntax(text) };
        let value = encoding.value(value)?.either(8 * size as u32)?;
        let value = if size == 1 { value & 0xff } else { value };
        return Ok(TailBits { raw: 0o74, bytes: big_endian(value, size.max(2)) });
    }
    let inside = |prefix: &str, suffix: &str| text.strip_prefix(prefix).and_then(|t| t.strip_suffix(suffix));
    if let Some(n) = inside("-(", ")").and_then(address_register) {
        return Ok(no_bytes(4 << 3 | n));
    }
    if let Some(n) = inside("(", ")+").and_then(address_register) {
        return Ok(no_bytes(3 << 3 | n));
    }
    if let Some(value) = inside("(", ").w") {
        let value = encoding.value(value)?;
        // The address is sign-extended to 32 bits.
        let value = value.map(|v| i64::from(v as i32)).signed(16)?;
        return Ok(TailBits { raw: 0o70, bytes: big_endian(value, 2) });
    }
    if let Some(value) = inside("(", ").l") {
        return Ok(TailBits { raw: 0o71, bytes: big_endian(encoding.value(value)?.either(32)?, 4) });
    }
    let Some(inner) = inside("(", ")") else { return syntax(text) };
    let parts: Vec<&str> = inner.split(',').collect();
    match parts.as_slice() {
        [an] => match address_register(an) {
            Some(n) => Ok(no_bytes(2 << 3 | n)),
            None => syntax(text),
        },
        [target, "pc"] => {
            let distance = encoding.distance(target, Base::Operand)?.signed(16)?;
            Ok(TailBits { raw: 0o72, bytes: big_endian(distance, 2) })
        }
        [target, "pc", index] => {
            let distance = encoding.distance(target, Base::Operand)?.signed(8)?;
            indexed(0o73, index, distance)
        }
        [displacement, an] => {
            let Some(n) = address_register(an) else { return syntax(text) };
            let displacement = encoding.value(displacement)?.signed(16)?;
            Ok(TailBits { raw: 5 << 3 | n, bytes: big_endian(displacement, 2) })
        }
        [displacement, an, index] => {
            let Some(n) = address_register(an) else { return syntax(text) };
            indexed(6 << 3 | n, index, encoding.value(displacement)?.signed(8)?)
        }
        _ => syntax(text),
    }
}

fn indexed(raw: u64, index: &str, displacement: i64) -> Result<TailBits, AsmReason> {
    match brief(index, displacement) {
        Some(bytes) => Ok(TailBits { raw, bytes }),
        None => syntax(index),
    }
}

/// `movem`'s mask word: bit 0 is d0, or a7 if reversed.
#[derive(Debug)]
pub(crate) struct List {
    reversed: bool,
}
pub(crate) static LIST: List = List { reversed: false };
pub(crate) static REVERSED_LIST: List = List { reversed: true };

impl List {
    fn mask(&self, word: u16) -> u16 {
        if self.reversed { word.reverse_bits() } else { word }
    }
}

impl TailKind for List {
    fn measure(&self, _site: &Site<'_>, tail: &[u8]) -> Option<usize> {
        (tail.len() >= 2).then_some(2)
    }

    fn show(&self, _site: &Site<'_>, bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
        let mask = self.mask(number(bytes) as u16);
        if mask == 0 {
            return out.write_str("#0");
        }
        let has = |n: u64| n < 16 && mask >> n & 1 != 0;
        // A run stays within its register file.
        let joins = |n: u64| !n.is_multiple_of(8) && has(n - 1);
        let mut separator = "";
        for first in (0..16).filter(|&n| has(n) && !joins(n)) {
            let last = (first..16).take_while(|&n| n == first || (has(n) && joins(n))).last().unwrap_or(first);
            write!(out, "{separator}{}", register_name(first))?;
            if last != first {
                write!(out, "-{}", register_name(last))?;
            }
            separator = "/";
        }
        Ok(())
    }

    fn parse(&self, text: &str, _encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        let mut mask = 0;
        for part in text.split('/').filter(|_| text != "#0") {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (register(first), register(last)) {
                (Some(first), Some(last)) if first <= last => (first..=last).for_each(|n| mask |= 1 << n),
                _ => return syntax(text),
            }
        }
        Ok(TailBits { raw: 0, bytes: self.mask(mask).to_be_bytes().to_vec() })
    }

    fn random(&self, _site: &Site<'_>, random: Random<'_>) -> TailBits {
        TailBits { raw: 0, bytes: big_endian(random().cast_signed(), 2) }
    }
}

/// A displacement behind the operation word, relative to where it lies.
#[derive(Debug)]
pub(crate) struct Rel {
    size: usize,
}
pub(crate) static REL_16: Rel = Rel { size: 2 };
pub(crate) static REL_32: Rel = Rel { size: 4 };

impl TailKind for Rel {
    fn measure(&self, _site: &Site<'_>, tail: &[u8]) -> Option<usize> {
        (tail.len() >= self.size).then_some(self.size)
    }

    fn show(&self, site: &Site<'_>, bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
        write!(out, "{:#x}", site.from_operand(number(bytes)))
    }

    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        let distance = encoding.distance(text, Base::Operand)?.signed(8 * self.size as u32)?;
        Ok(TailBits { raw: 0, bytes: big_endian(distance, self.size) })
    }

    fn random(&self, _site: &Site<'_>, random: Random<'_>) -> TailBits {
        TailBits { raw: 0, bytes: big_endian(random().cast_signed(), self.size) }
    }
}
