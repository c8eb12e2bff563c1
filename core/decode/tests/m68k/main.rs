//! A 68k-like ISA: the operation word is the key; extension words are tail operands. Big-endian.

mod operands;
mod rows;

use operands::Motorola;
use rows::{INTEGER, M68k, Tr};
use tern_decode::{AsmReason, Assembler, ByteOrder, Code, Disassembler, Group, ambiguous, pseudo_errors, roundtrip};

const GROUPS: [&Group<M68k>; 1] = [&INTEGER];
const PC: u64 = 0x1000;

fn assembler() -> Assembler {
    Assembler::new(&GROUPS).order(ByteOrder::Big).dialect(&Motorola).address_bits(32)
}

fn disassembler() -> Disassembler<M68k> {
    Disassembler::new(&GROUPS).address_bits(32)
}

/// The front half: the operation word.
fn cut(bytes: &[u8]) -> Option<Code<'_>> {
    let (word, tail) = bytes.split_first_chunk()?;
    Some(Code { word: u64::from(u16::from_be_bytes(*word)), lead: 2, tail })
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

/// Encodings at address 0x1000, by the M68000 Programmer's Reference Manual.
const ENCODINGS: [(&[u16], &str); 33] = [
    (&[0x1001], "move.b d1, d0"),
    (&[0x3001], "move.w d1, d0"),
    (&[0x2001], "move.l d1, d0"),
    (&[0x2009], "move.l a1, d0"),
    (&[0x20d9], "move.l (a1)+, (a0)+"),
    (&[0x3f00], "move.w d0, -(a7)"),
    (&[0x103c, 0x00ff], "move.b #-1, d0"),
    (&[0x303c, 0x1234], "move.w #4660, d0"),
    (&[0x203c, 0x1234, 0x5678], "move.l #305419896, d0"),
    (&[0x2f7c, 0, 5, 0x0008], "move.l #5, (8,a7)"),
    (&[0x2169, 0xfffc, 0x0010], "move.l (-4,a1), (16,a0)"),
    (&[0x23f8, 0x1234, 0x0001, 0x0000], "move.l (0x1234).w, (0x10000).l"),
    (&[0x3038, 0x8000], "move.w (0xffff8000).w, d0"),
    (&[0x11b1, 0x2404, 0x98fe], "move.b (4,a1,d2.w*4), (-2,a0,a1.l)"),
    (&[0x303a, 0x00fe], "move.w (0x1100,pc), d0"),
    (&[0x103b, 0x0efe], "move.b (0x1000,pc,d0.l*8), d0"),
    (&[0x33fa, 0x000e, 0x0000, 0x2000], "move.w (0x1010,pc), (0x2000).l"),
    (&[0x3240], "movea.w d0, a1"),
    (&[0x327c, 0x0010], "movea.w #16, a1"),
    (&[0x227c, 0x0001, 0x0000], "movea.l #65536, a1"),
    (&[0x70ff], "moveq #-1, d0"),
    (&[0xd441], "add.w d1, d2"),
    (&[0xd0ad, 0x000c], "add.l (12,a5), d0"),
    (&[0xd610], "add.b (a0), d3"),
    (&[0xd39f], "add.l d1, (a7)+"),
    (&[0x41ef, 0x0010], "lea (16,a7), a0"),
    (&[0x43fa, 0xfffe], "lea (0x1000,pc), a1"),
    (&[0x60fe], "bra.s 0x1000"),
    (&[0x6000, 0x00fe], "bra 0x1100"),
    (&[0x60ff, 0x0001, 0x0000], "bra.l 0x11002"),
    (&[0x48e7, 0xc0c0], "movem.l d0-d1/a0-a1, -(a7)"),
    (&[0x4cdf, 0x0303], "movem.l (a7)+, d0-d1/a0-a1"),
    (&[0x4cae, 0x8081, 0xfff0], "movem.w (-16,a6), d0/d7/a7"),
];

fn big_endian(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

#[test]
fn bytes_print_and_assemble_to_themselves() {
    let (assembler, disassembler) = (assembler(), disassembler());
    for (words, text) in ENCODINGS {
        let bytes = big_endian(words);
        let longer = [bytes.as_slice(), &[0x4e, 0x71]].concat();
        let code = cut(&longer).unwrap();
        let (shown, row, len) = disassembler.disasm_with(code, PC).unwrap_or_else(|| panic!("{text}"));
        assert_eq!((shown.as_str(), code.lead + len), (text, bytes.len()), "{}", row.id());
        assert_eq!(row.tail_len(code.word, code.tail), Some(len));
        let again = assembler.assemble(text, PC).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(again, bytes, "{text}");
        for len in 0..bytes.len() {
            let found = cut(&bytes[..len]).and_then(|code| disassembler.disasm_with(code, PC));
            assert!(found.is_none(), "{text} of {len} bytes");
        }
    }
}

#[test]
fn every_row_survives_the_round_trip() {
    assert!(ambiguous(&GROUPS).is_empty() && pseudo_errors(&GROUPS).is_empty());
    let failures = roundtrip(&GROUPS, &Motorola, 1000, &mut generator(1));
    assert!(failures.is_empty(), "{}", failures.iter().map(|f| format!("{f}\n")).collect::<String>());
}

#[test]
fn random_instructions_assemble_to_themselves() {
    let (assembler, disassembler) = (assembler(), disassembler());
    let mut random = generator(2);
    let mut tails = 0;
    for &row in disassembler.decoder().rows() {
        for _ in 0..300 {
            let (word, tail) = disassembler.decoder().random_with(row, &mut random).unwrap();
            let (text, found, len) = disassembler.disasm_with(Code { word, lead: 2, tail: &tail }, PC).unwrap();
            assert_eq!((found.id(), len), (row.id(), tail.len()), "{text}");
            let bytes = [&(word as u16).to_be_bytes()[..], &tail].concat();
            assert_eq!(assembler.assemble(&text, PC), Ok(bytes), "{text}");
            tails += usize::from(len > 0);
        }
    }
    assert!(tails > 1000, "{tails}");
}

#[test]
fn reserved_addresses_are_no_instructions() {
    let disassembler = disassembler();
    for (word, why) in [
        (0x203d, "move.l with mode 7, register 5"),
        (0x1009, "move.b from an address register"),
        (0x25c0, "move.l to mode 7, register 2"),
        (0x43d8, "lea of a postincrement"),
        (0xd5ba, "add to a pc-relative address"),
        (0x4cba, "the mask of movem, then a pc-relative address"),
    ] {
        let bytes = big_endian(&[word, 0, 0, 0]);
        let found = disassembler.disasm_with(cut(&bytes).unwrap(), PC);
        assert_eq!(found.map(|f| f.0).as_deref(), (word == 0x4cba).then_some("movem.w (0x1004,pc), #0"), "{why}");
    }
    let full = big_endian(&[0x2030, 0x0170, 0, 0]);
    assert!(disassembler.disasm_with(cut(&full).unwrap(), PC).is_none(), "the full format");
}

#[test]
fn labels_and_sizes() {
    let source = "start: move.w (table,pc), d0 | a comment\n lea (table,pc,d0.w), a0\n bra.w 1f\n move.l #table-start, d1\n\
                  1: bra start\n table: .short 0x1234";
    let words = [0x303a, 0x0014, 0x41fb, 0x0010, 0x6000, 0x0008, 0x223c, 0, 0x0016, 0x6000, 0xffec, 0x1234];
    assert_eq!(assembler().assemble(source, PC).unwrap(), big_endian(&words));
}

#[test]
fn wrong_operands_are_refused() {
    let assembler = assembler();
    let reason = |text: &str| assembler.assemble(text, PC).unwrap_err().reason;
    assert!(matches!(reason("move.b a0, d0"), AsmReason::Forbidden(_)));
    assert!(matches!(reason("lea (a0)+, a1"), AsmReason::Forbidden(_)));
    assert!(matches!(reason("move.b #256, d0"), AsmReason::Range(_)));
    assert!(matches!(reason("move.w (32768,a0), d0"), AsmReason::Range(_)));
    assert!(matches!(reason("move.w (4,a0,d1.x), d0"), AsmReason::Syntax(_)));
    assert!(matches!(reason("movem.l d3-d1, (a0)"), AsmReason::Syntax(_)));
    assert!(matches!(reason("move.w (nowhere,pc), d0"), AsmReason::Undefined(_)));
    assert!(matches!(reason("add.q d0, d1"), AsmReason::UnknownMnemonic(_)));
}

#[test]
fn bodies_see_raw_key_bits() {
    let disassembler = disassembler();
    let mut tr = Tr { log: Vec::new() };
    // add.l (12,a5), d0: mode 5, register 5.
    disassembler.decoder().decode(0xd0ad).unwrap().translate(&mut tr, 0xd0ad);
    assert_eq!(tr.log, [("add", vec![0, 2, 0o55])]);
}
