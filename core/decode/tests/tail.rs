//! Tail operands by themselves: rows that mix them with other operands, and what the round trip finds in broken hooks.

use std::fmt::{self, Write};
use tern_decode::{AsmReason, Assembler, Base, ByteOrder, Code, Disassembler, Encoding, Family, Plain, Problem};
use tern_decode::{Site, TailBits, TailKind, Value, insns, kinds, roundtrip};

struct Isa;

impl Family for Isa {
    type Tr<'a> = Vec<i64>;
    type Ret = ();
    const KINDS: &'static [tern_decode::Kind] = KINDS;
}

/// A byte behind the key, and what is wrong with its hook.
#[derive(Debug, PartialEq)]
enum Byte {
    Sound,
    /// `parse` loses the top bit.
    Lossy,
    /// `measure` wants a byte more than there is.
    Long,
    /// `show` prints a word that `parse` does not know.
    Mute,
    /// `random` gives two bytes where one is read.
    Double,
}

impl TailKind for Byte {
    fn measure(&self, _site: &Site<'_>, tail: &[u8]) -> Option<usize> {
        let len = if *self == Byte::Long { 2 } else { 1 };
        (tail.len() >= len).then_some(len)
    }

    fn show(&self, _site: &Site<'_>, bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
        if *self == Byte::Mute { out.write_str("byte") } else { write!(out, "{}", bytes[0]) }
    }

    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        let value = encoding.value(text)?.either(8)? as u8;
        Ok(TailBits { raw: 0, bytes: vec![if *self == Byte::Lossy { value & 0x7f } else { value }] })
    }

    fn random(&self, _site: &Site<'_>, random: &mut dyn FnMut() -> u64) -> TailBits {
        let count = if *self == Byte::Double { 2 } else { 1 };
        TailBits { raw: 0, bytes: random().to_le_bytes()[..count].to_vec() }
    }
}

/// A distance of as many bytes as its two bits of the key say, plus one, from the instruction's end.
#[derive(Debug)]
struct Far;

fn sign_extended(bytes: &[u8]) -> i64 {
    let unsigned = bytes.iter().rev().fold(0, |n: i64, &b| n << 8 | i64::from(b));
    let unused = 64 - 8 * bytes.len() as u32;
    unsigned << unused >> unused
}

impl TailKind for Far {
    fn measure(&self, site: &Site<'_>, tail: &[u8]) -> Option<usize> {
        Some(site.raw as usize + 1).filter(|&n| n <= tail.len())
    }

    fn show(&self, site: &Site<'_>, bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
        write!(out, "{:#x}", site.from_end(sign_extended(bytes)))
    }

    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        let distance = encoding.distance(text, Base::End)?;
        let count = (1..4).find(|n| distance.fits(8 * n)).unwrap_or(4);
        let bytes = distance.signed(8 * count)?.to_le_bytes()[..count as usize].to_vec();
        Ok(TailBits { raw: u64::from(count) - 1, bytes })
    }

    fn random(&self, _site: &Site<'_>, random: &mut dyn FnMut() -> u64) -> TailBits {
        // Far from where the number of bytes changes: there `parse` finds the shorter form.
        let raw = random() & 3;
        let value = (random() as i8 / 2) as i64 + (0x40 << (8 * raw)) - 0x40;
        TailBits { raw, bytes: value.to_le_bytes()[..raw as usize + 1].to_vec() }
    }
}

kinds! { KINDS;
    r     = reg(2) names "r0..r3";
    byte  = tail(0) by(&Byte::Sound);
    lossy = tail(0) by(&Byte::Lossy);
    long  = tail(0) by(&Byte::Long);
    mute  = tail(0) by(&Byte::Mute);
    twice = tail(0) by(&Byte::Double);
    far   = tail(2) by(&Far);
}

insns! { static SOUND: Group<Isa>, "sound", width 8;
    mix "0000 rr ff : j f i" asm "{i:byte}, {r:r}, {f:far}, {j:byte}" => |t, r, f| t.extend([r, f]);
    load "0001 rr .." asm "{r:r}, {i:byte}" => |t, r| t.push(r);
}

insns! { static BROKEN: Group<Isa>, "broken", width 8;
    fine  "0000 0000" asm "{i:byte}" => |_t| ();
    lossy "0000 0001" asm "{i:lossy}" => |_t| ();
    long  "0000 0010" asm "{i:long}" => |_t| ();
    mute  "0000 0011" asm "{i:mute}" => |_t| ();
    twice "0000 0100" asm "{i:twice}" => |_t| ();
}

/// xorshift64*, seeded.
fn generator(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[test]
fn bytes_follow_in_the_given_order() {
    let assembler = Assembler::new(&[&SOUND]).order(ByteOrder::Big);
    // The distance is from the end: 1 + 1 + 2 + 1 bytes.
    let bytes = assembler.assemble("mix 17, r2, 0x1100, 34", 0x1000).unwrap();
    assert_eq!(bytes, [0b0000_1001, 34, 0xfb, 0x00, 17]);
    let disassembler = Disassembler::new(&[&SOUND]);
    let code = Code { word: 9, lead: 1, tail: &bytes[1..] };
    let (text, row, len) = disassembler.disasm_with(code, 0x1000).unwrap();
    assert_eq!((text.as_str(), row.id(), len), ("mix 17, r2, 0x1100, 34", "mix", 4));
    assert_eq!(disassembler.disasm(9, 0).unwrap().0, "mix ?, r2, ?, ?", "without the tail");
    let mut seen = Vec::new();
    row.translate(&mut seen, 9);
    assert_eq!(seen, [2, 1], "raw bits");
    let encoded = assembler.instruction_with("load r1, 255", 0).unwrap();
    assert_eq!((encoded.word, encoded.tail.as_slice(), encoded.shape.id()), (0x14, &[255][..], "load"));
    assert_eq!(assembler.instruction("load r1, 255", 0).unwrap().0, 0x14);
}

#[test]
fn lengths_that_depend_on_distances_settle() {
    let assembler = Assembler::new(&[&SOUND]);
    for (distance, len) in [(127, 1), (128, 2), (-128, 1), (-130, 2), (32767, 2), (32768, 3), (1 << 23, 4)] {
        let target = 0x10_0000 + i64::from(distance) + 3 + len;
        let bytes = assembler.assemble(&format!("mix 0, r0, {target}, 0"), 0x10_0000).unwrap();
        assert_eq!((bytes.len() as i64, sign_extended(&bytes[2..2 + len as usize])), (3 + len, distance.into()));
    }
    // With one byte the distance is 128, with two it is 127.
    let edge = assembler.assemble("mix 0, r0, 0x84, 0", 0).unwrap();
    assert_eq!(edge, [1, 0, 127, 0, 0]);
    let ahead = assembler.assemble("mix 0, r0, x, 0\n x: mix 0, r0, x, 0", 0).unwrap();
    assert_eq!(ahead, [3, 0, 0, 0, 0, 0, 0, 0, 0, 0xfc, 0], "four bytes where the first pass does not know");
    let constant = "mix 0, r0, x, 0\n .equ x, 4";
    assert_eq!(assembler.assemble(constant, 0).unwrap(), [3, 0, 0xfd, 0xff, 0xff, 0xff, 0]);
}

#[test]
fn values_know_their_range() {
    let value = Value::constant;
    assert!(value(127).fits(8) && !value(128).fits(8) && value(-128).fits(8));
    assert!(!value(127).map(|n| n + 1).fits(8));
    assert_eq!((value(255).either(8), value(-128).either(8)), (Ok(255), Ok(-128)));
    assert!(value(256).either(8).is_err() && value(-129).either(8).is_err() && value(i64::MIN).signed(64).is_ok());
}

#[test]
fn the_round_trip_finds_broken_hooks() {
    let sound = roundtrip(&[&SOUND], &Plain, 500, &mut generator(1));
    assert!(sound.is_empty(), "{}", sound.iter().map(|f| format!("{f}\n")).collect::<String>());
    let failures = roundtrip(&[&BROKEN], &Plain, 50, &mut generator(2));
    let found: Vec<_> = failures.iter().map(|f| f.id).collect();
    assert_eq!(found, ["lossy", "long", "mute", "twice"]);
    assert!(matches!(failures[0].problem, Problem::Tail(_)), "{}", failures[0]);
    assert!(matches!(failures[1].problem, Problem::Measure), "{}", failures[1]);
    assert!(matches!(failures[2].problem, Problem::Assembly(_)), "{}", failures[2]);
    assert!(matches!(failures[3].problem, Problem::Measure), "{}", failures[3]);
}
