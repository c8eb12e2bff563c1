//! The hooks: registers whose names depend on the operand size, ModRM/SIB/displacement, immediates, branch targets.

use std::fmt::{self, Write};
use tern_decode::{AsmReason, Base, Encoding, Site, TailBits, TailKind, Value};

type Random<'a> = &'a mut dyn FnMut() -> u64;

/// What registers an operand names, and the size of the memory operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// By the fields `w`, if there is one, and `s`.
    Operand,
    Byte,
    Word,
    /// None: the operand is the address itself.
    Address,
    /// An xmm register or 8 bytes.
    Xmm64,
}

const LEGACY: [&str; 8] = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const HIGH_BYTES: [&str; 4] = ["ah", "ch", "dh", "bh"];
const KEYWORDS: [(&str, u32); 4] = [("byteptr", 8), ("wordptr", 16), ("dwordptr", 32), ("qwordptr", 64)];

/// The size in bits by the raw fields `w` and `s`.
fn operand_bits(w: Option<u64>, s: Option<u64>) -> u32 {
    match (w, s) {
        (Some(0), _) => 8,
        (_, Some(1)) => 16,
        (_, Some(2)) => 64,
        _ => 32,
    }
}

fn register_name(number: u64, bits: u32, rex: bool) -> String {
    let legacy = LEGACY.get(number as usize);
    match (bits, legacy) {
        (8, Some(_)) if !rex && number >= 4 => HIGH_BYTES[number as usize - 4].into(),
        (8, Some(name)) if number < 4 => format!("{}l", &name[..1]),
        (8, Some(name)) => format!("{name}l"),
        (16, Some(name)) => (*name).into(),
        (32, Some(name)) => format!("e{name}"),
        (_, Some(name)) => format!("r{name}"),
        (8, None) => format!("r{number}b"),
        (16, None) => format!("r{number}w"),
        (32, None) => format!("r{number}d"),
        (_, None) => format!("r{number}"),
    }
}

/// Number, bits, and whether the name demands (`Some(true)`) or forbids a REX prefix.
fn register(name: &str) -> Option<(u64, u32, Option<bool>)> {
    let all = [8, 16, 32, 64].into_iter().flat_map(|bits| (0..16).map(move |n| (n, bits)));
    let mut all = all.flat_map(|(n, bits)| [false, true].map(|rex| (n, bits, rex)));
    let (number, bits, rex) = all.find(|&(n, bits, rex)| register_name(n, bits, rex) == name)?;
    let legacy_byte = bits == 8 && (4..8).contains(&number);
    Some((
        number,
        bits,
        if legacy_byte {
            Some(rex)
        } else if number >= 8 {
            Some(true)
        } else {
            None
        },
    ))
}

fn syntax<T>(text: &str) -> Result<T, AsmReason> {
    Err(AsmReason::Syntax(text.into()))
}

/// Settles the fields that hold the operand size.
fn settle_size(bits: u32, encoding: &mut Encoding<'_>) -> Result<(), AsmReason> {
    if bits == 8 || encoding.has('w') {
        encoding.settle('w', u64::from(bits != 8))?;
    }
    match bits {
        8 => Ok(()),
        16 => encoding.settle('s', 1),
        32 => encoding.settle('s', 0),
        _ => encoding.settle('s', 2),
    }
}

/// Notes what a register demands of the REX prefix, where the row's byte registers make that matter.
fn settle_rex(rex: Option<bool>, encoding: &mut Encoding<'_>) -> Result<(), AsmReason> {
    match rex.filter(|_| encoding.has('P')) {
        Some(rex) => encoding.settle('P', u64::from(rex)),
        None => Ok(()),
    }
}

impl Size {
    fn bits(self, site: &Site<'_>) -> u32 {
        match self {
            Size::Operand => operand_bits(site.field('w'), site.field('s')),
            Size::Byte => 8,
            Size::Word => 16,
            Size::Address | Size::Xmm64 => 64,
        }
    }

    fn settle(self, bits: u32, text: &str, encoding: &mut Encoding<'_>) -> Result<(), AsmReason> {
        match (self, bits) {
            (Size::Operand, _) => settle_size(bits, encoding),
            (Size::Byte, 8) | (Size::Word, 16) | (Size::Xmm64, 64) => Ok(()),
            _ => syntax(text),
        }
    }

    fn register_name(self, number: u64, site: &Site<'_>) -> String {
        match self {
            Size::Xmm64 => format!("xmm{number}"),
            // A qword's REX.W is a REX prefix too.
            _ => register_name(number, self.bits(site), site.field('P') == Some(1) || site.field('s') == Some(2)),
        }
    }

    fn register(self, text: &str, encoding: &mut Encoding<'_>) -> Result<u64, AsmReason> {
        if self == Size::Xmm64 {
            let number = text.strip_prefix("xmm").and_then(|n| n.parse().ok()).filter(|&n: &u64| n < 16);
            return number.ok_or_else(|| AsmReason::Syntax(text.into()));
        }
        let Some((number, bits, rex)) = register(text) else { return syntax(text) };
        self.settle(bits, text, encoding)?;
        settle_rex(rex, encoding)?;
        Ok(number)
    }
}

/// A general-purpose register of the operand size: R and reg, or B and the opcode's low bits.
#[derive(Debug)]
pub(crate) struct Gpr;
pub(crate) static GPR: Gpr = Gpr;

impl TailKind for Gpr {
    fn measure(&self, _site: &Site<'_>, _tail: &[u8]) -> Option<usize> {
        Some(0)
    }

    fn show(&self, site: &Site<'_>, _bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
        out.write_str(&Size::Operand.register_name(site.raw, site))
    }

    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        Ok(TailBits { raw: Size::Operand.register(text, encoding)?, bytes: Vec::new() })
    }

    fn random(&self, site: &Site<'_>, _random: Random<'_>) -> TailBits {
        TailBits { raw: if site.field('P') == Some(0) { site.raw & 7 } else { site.raw }, bytes: Vec::new() }
    }
}

/// Where the assembler takes a register for an effective address.
#[derive(Debug)]
pub(crate) struct Ea {
    size: Size,
    registers: bool,
}
pub(crate) static EA: Ea = Ea { size: Size::Operand, registers: true };
pub(crate) static EA_MEM: Ea = Ea { size: Size::Operand, registers: false };
pub(crate) static EA_ADDRESS: Ea = Ea { size: Size::Address, registers: false };
pub(crate) static EA_8: Ea = Ea { size: Size::Byte, registers: true };
pub(crate) static EA_16: Ea = Ea { size: Size::Word, registers: true };
pub(crate) static EA_XMM: Ea = Ea { size: Size::Xmm64, registers: true };

/// The fields of an effective address: X, B, mod and rm in the key; the SIB byte and displacement behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    Register(u64),
    /// Relative to the end of the instruction.
    Pc(i64),
    Memory {
        base: Option<u64>,
        index: Option<(u64, u8)>,
        displacement: i64,
    },
}

fn mode(raw: u64) -> u64 {
    raw >> 3 & 3
}

fn displacement_size(raw: u64, sib: Option<u8>) -> usize {
    match (mode(raw), raw & 7, sib) {
        (0, 5, _) => 4,
        (0, _, Some(sib)) if sib & 7 == 5 => 4,
        (1, ..) => 1,
        (2, ..) => 4,
        _ => 0,
    }
}

/// The SIB byte's presence.
fn has_sib(raw: u64) -> bool {
    mode(raw) != 3 && raw & 7 == 4
}

fn unpack(raw: u64, bytes: &[u8]) -> Address {
    let (x, b) = (raw >> 6 & 1, raw >> 5 & 1);
    let rm = b << 3 | raw & 7;
    if mode(raw) == 3 {
        return Address::Register(rm);
    }
    let (sib, rest) = bytes.split_at(usize::from(has_sib(raw)));
    let displacement = number(rest);
    let Some(&sib) = sib.first() else {
        return if mode(raw) == 0 && raw & 7 == 5 {
            Address::Pc(displacement)
        } else {
            Address::Memory { base: Some(rm), index: None, displacement }
        };
    };
    let (index, base) = (x << 3 | u64::from(sib >> 3 & 7), b << 3 | u64::from(sib & 7));
    Address::Memory {
        base: (mode(raw) != 0 || sib & 7 != 5).then_some(base),
        index: (index != 4).then_some((index, sib >> 6)),
        displacement,
    }
}

/// The shortest encoding; `long` keeps a displacement from being left out or shortened.
fn pack(address: Address, long: bool) -> TailBits {
    let (base, index, displacement) = match address {
        Address::Register(n) => return TailBits { raw: (n >> 3) << 5 | 3 << 3 | n & 7, bytes: Vec::new() },
        Address::Pc(distance) => return TailBits { raw: 5, bytes: (distance as i32).to_le_bytes().to_vec() },
        Address::Memory { base, index, displacement } => (base, index, displacement),
    };
    let mut bytes = Vec::new();
    let needs_sib = index.is_some() || base.is_none_or(|b| b & 7 == 4);
    let (x, b) = (index.map_or(0, |i| i.0 >> 3), base.map_or(0, |b| b >> 3));
    if needs_sib {
        let (index, scale) = index.unwrap_or((4, 0));
        bytes.push(scale << 6 | (index as u8 & 7) << 3 | base.map_or(5, |b| b as u8 & 7));
    }
    let mode = match (base, displacement) {
        (None, _) => 0,
        (_, d) if long || i8::try_from(d).is_err() => 2,
        (Some(b), 0) if b & 7 != 5 => 0,
        _ => 1,
    };
    match (mode, base) {
        (1, _) => bytes.push(displacement as u8),
        (0, Some(_)) => {}
        _ => bytes.extend_from_slice(&(displacement as i32).to_le_bytes()),
    }
    let rm = if needs_sib { 4 } else { base.unwrap_or(0) & 7 };
    TailBits { raw: x << 6 | b << 5 | mode << 3 | rm, bytes }
}

/// A little-endian two's complement number.
fn number(bytes: &[u8]) -> i64 {
    let unsigned = bytes.iter().rev().fold(0, |n: i64, &b| n << 8 | i64::from(b));
    let unused = 64 - 8 * bytes.len() as u32;
    unsigned.checked_shl(unused).map_or(0, |n| n >> unused)
}

impl TailKind for Ea {
    fn measure(&self, site: &Site<'_>, tail: &[u8]) -> Option<usize> {
        if !has_sib(site.raw) {
            return Some(displacement_size(site.raw, None)).filter(|&n| n <= tail.len());
        }
        let len = 1 + displacement_size(site.raw, Some(*tail.first()?));
        Some(len).filter(|&n| n <= tail.len())
    }

    fn show(&self, site: &Site<'_>, bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
        let address = unpack(site.raw, bytes);
        if let Address::Register(n) = address {
            return out.write_str(&self.size.register_name(n, site));
        }
        let bits = self.size.bits(site);
        let keyword = ["byte", "word", "dword", "qword"][bits.trailing_zeros() as usize - 3];
        if self.size != Size::Address {
            write!(out, "{keyword} ptr ")?;
        }
        out.write_str("[")?;
        match address {
            Address::Register(_) => {}
            Address::Pc(distance) => write!(out, "rip+{:#x}", site.from_end(distance))?,
            Address::Memory { base, index, displacement } => {
                let base = base.map(|b| register_name(b, 64, false));
                let index = index.map(|(n, scale)| format!("{}*{}", register_name(n, 64, false), 1 << scale));
                let terms: Vec<String> = base.into_iter().chain(index).collect();
                out.write_str(&terms.join("+"))?;
                match (terms.is_empty(), displacement) {
                    (true, d) => write!(out, "{:#x}", d.cast_unsigned())?,
                    (false, 0) => {}
                    (false, d) if d < 0 => write!(out, "-{:#x}", d.unsigned_abs())?,
                    (false, d) => write!(out, "+{d:#x}")?,
                }
            }
        }
        out.write_str("]")
    }

    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        let Some(open) = text.find('[') else {
            if !self.registers {
                return syntax(text);
            }
            return Ok(pack(Address::Register(self.size.register(text, encoding)?), false));
        };
        let (keyword, inner) = text.split_at(open);
        let Some(inner) = inner[1..].strip_suffix(']') else { return syntax(text) };
        if let Some((_, bits)) = KEYWORDS.iter().find(|k| k.0 == keyword) {
            self.size.settle(*bits, text, encoding)?;
        } else if !keyword.is_empty() {
            return syntax(text);
        }
        if let Some(target) = inner.strip_prefix("rip+") {
            let distance = encoding.distance(target, Base::End)?.signed(32)?;
            return Ok(pack(Address::Pc(distance), false));
        }
        let (base, index, displacement) = terms(inner, encoding)?;
        for register in base.into_iter().chain(index.map(|i| i.0)).filter(|&r| r >= 8) {
            settle_rex(Some(register >= 8), encoding)?;
        }
        let long = !displacement.settled;
        let displacement = displacement.signed(32)?;
        Ok(pack(Address::Memory { base, index, displacement }, long))
    }

    fn random(&self, site: &Site<'_>, random: Random<'_>) -> TailBits {
        let bits = random();
        let rex = if site.field('P') == Some(0) { 0 } else { 8 };
        if self.registers && mode(site.raw) == 3 {
            return pack(Address::Register(bits & (7 | rex)), false);
        }
        let displacement = match bits >> 20 & 3 {
            0 => 0,
            1 => i64::from(random() as i8),
            _ => i64::from(random() as i32),
        };
        if bits >> 24 & 7 == 0 {
            return pack(Address::Pc(i64::from(random() as i16)), false);
        }
        let base = Some(bits & (7 | rex)).filter(|_| bits >> 30 & 7 != 0);
        let index = bits >> 4 & (7 | rex);
        let index = (index != 4 && bits >> 16 & 1 != 0).then_some((index, (bits >> 18 & 3) as u8));
        pack(Address::Memory { base, index, displacement }, false)
    }
}

type Terms = (Option<u64>, Option<(u64, u8)>, Value);

/// Base, index and displacement of `rax+rcx*4-8`: registers first.
fn terms(inner: &str, encoding: &mut Encoding<'_>) -> Result<Terms, AsmReason> {
    let (mut base, mut index) = (None, None);
    let mut rest = inner;
    loop {
        let end = rest.find(['+', '-']).unwrap_or(rest.len());
        let (name, scale) = rest[..end].split_once('*').map_or((&rest[..end], None), |(n, s)| (n, Some(s)));
        let Some((number, 64, _)) = register(name) else { break };
        match scale {
            Some(scale) if index.is_none() && number != 4 => {
                match ["1", "2", "4", "8"].iter().position(|s| *s == scale) {
                    Some(shift) => index = Some((number, shift as u8)),
                    None => return syntax(inner),
                }
            }
            None if base.is_none() => base = Some(number),
            _ => return syntax(inner),
        }
        rest = &rest[end..];
        if rest.is_empty() {
            return Ok((base, index, Value::constant(0)));
        }
        rest = rest.strip_prefix('+').unwrap_or(rest);
    }
    Ok((base, index, encoding.value(rest)?))
}

/// An immediate.
#[derive(Debug)]
pub(crate) enum Imm {
    /// Of the operand size, but 32 bits, sign-extended, for 64.
    Operand,
    /// 8 bits, sign-extended, where they do.
    Byte,
    Quad,
}
pub(crate) static IMM: Imm = Imm::Operand;
pub(crate) static IMM_8: Imm = Imm::Byte;
pub(crate) static IMM_64: Imm = Imm::Quad;

impl Imm {
    /// Bits of the immediate and of the value.
    fn bits(&self, w: Option<u64>, s: Option<u64>) -> (u32, u32) {
        let operand = operand_bits(w, s);
        match self {
            Imm::Operand => (operand.min(32), operand),
            Imm::Byte => (8, operand),
            Imm::Quad => (64, 64),
        }
    }
}

impl TailKind for Imm {
    fn measure(&self, site: &Site<'_>, tail: &[u8]) -> Option<usize> {
        let len = self.bits(site.field('w'), site.field('s')).0 as usize / 8;
        Some(len).filter(|&n| n <= tail.len())
    }

    fn show(&self, _site: &Site<'_>, bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
        let value = number(bytes);
        if value < 0 { write!(out, "-{:#x}", value.unsigned_abs()) } else { write!(out, "{value:#x}") }
    }

    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        let (w, s) = (encoding.field('w'), encoding.field('s'));
        if encoding.has('s') && s.is_none() && w != Some(0) {
            // `add [rax], 1`: which size?
            return Err(AsmReason::Syntax(text.into()));
        }
        let (bits, operand) = self.bits(w, s);
        let value = encoding.value(text)?;
        if matches!(self, Imm::Byte) && !value.fits(8) {
            value.signed(8)?;
            return syntax(text);
        }
        let number = if bits == operand { value.either(bits)? } else { value.signed(bits)? };
        Ok(TailBits { raw: 0, bytes: number.to_le_bytes()[..bits as usize / 8].to_vec() })
    }

    fn random(&self, site: &Site<'_>, random: Random<'_>) -> TailBits {
        let bits = self.bits(site.field('w'), site.field('s')).0;
        let value = match self {
            // What fits a byte is the business of the rows with `imm8`: the top bits are 01 or 10.
            Imm::Operand if bits > 8 => random() & !(3 << (bits - 2)) | (1 + random() % 2) << (bits - 2),
            Imm::Operand | Imm::Byte | Imm::Quad => random(),
        };
        TailBits { raw: 0, bytes: value.to_le_bytes()[..bits as usize / 8].to_vec() }
    }
}

/// A branch target, relative to the end of the instruction.
#[derive(Debug)]
pub(crate) struct Rel {
    bits: u32,
}
pub(crate) static REL_8: Rel = Rel { bits: 8 };
pub(crate) static REL_32: Rel = Rel { bits: 32 };

impl TailKind for Rel {
    fn measure(&self, _site: &Site<'_>, tail: &[u8]) -> Option<usize> {
        Some(self.bits as usize / 8).filter(|&n| n <= tail.len())
    }

    fn show(&self, site: &Site<'_>, bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
        write!(out, "{:#x}", site.from_end(number(bytes)))
    }

    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        let distance = encoding.distance(text, Base::End)?;
        if self.bits == 8 && !distance.settled {
            return syntax(text);
        }
        let number = distance.signed(self.bits)?;
        Ok(TailBits { raw: 0, bytes: number.to_le_bytes()[..self.bits as usize / 8].to_vec() })
    }

    fn random(&self, _site: &Site<'_>, random: Random<'_>) -> TailBits {
        // A short distance is not encoded in 32 bits.
        let value = if self.bits == 8 { random() } else { random() & 0x3fff_ffff | 0x4000 };
        TailBits { raw: 0, bytes: value.to_le_bytes()[..self.bits as usize / 8].to_vec() }
    }
}
