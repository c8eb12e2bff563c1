//! Properties of whole tables: round trips, agreement of the tree with a search, random words, hostile text.

mod rv;

use rv::{RV_C, RV_I, Rv, Tr};
use tern_decode::{Assembler, Coverage, Decoder, Disassembler, Group, Plain, Row};
use tern_decode::{ambiguous, insns, pseudo_errors, roundtrip};

const GROUPS: [&Group<Rv>; 2] = [&RV_I, &RV_C];

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
fn every_row_survives_the_round_trip() {
    let failures = roundtrip(&GROUPS, &Plain, 500, &mut generator(1));
    assert!(failures.is_empty(), "{}", failures.iter().map(|f| format!("{f}\n")).collect::<String>());
}

#[test]
fn the_table_is_unambiguous_and_its_pseudos_are_sound() {
    assert!(ambiguous(&GROUPS).is_empty());
    assert!(pseudo_errors(&GROUPS).is_empty());
}

insns! { pub(crate) static BROKEN: Group<Rv>, "broken";
    wide "0000 dddd" asm "{d}" => |_t| false;
    hole "0001 dddd" asm "x" => |_t, d| d == 0;
    never "0010 dddd" asm "{d}" if |_w| false => |_t| false;
    lossy "0011 eeee" asm "{e}{e}" => |_t| false;
    gone "{a}" = "nothing {a}";
    lost "{a}" = "wide {b}";
    vain "{a}, {b}" = "wide {a}";
}

#[test]
fn the_round_trip_and_the_pseudo_check_find_what_is_broken() {
    let failures = roundtrip(&[&BROKEN], &Plain, 50, &mut generator(2));
    let found: Vec<&str> = failures.iter().map(|f| f.id).collect();
    assert_eq!(found, ["never", "lossy"], "an unprinted field is not compared");
    let pseudos: Vec<&str> = pseudo_errors(&[&BROKEN]).iter().map(|p| p.mnemonic).collect();
    assert_eq!(pseudos, ["gone", "lost", "vain"]);
}

/// What the decoder must find, by the rules of the crate documentation.
fn search(word: u64) -> Option<&'static Row<Rv>> {
    let claims = |row: &&'static Row<Rv>| row.matches(word);
    GROUPS.iter().flat_map(|g| g.rows).filter(claims).max_by_key(|r| (r.pattern().mask.count_ones(), r.constrained()))
}

#[test]
fn the_tree_agrees_with_a_search() {
    let decoder = Decoder::new(&GROUPS);
    let mut random = generator(3);
    let mut hits = 0;
    for i in 0..200_000 {
        let row = decoder.rows()[random() as usize % decoder.rows().len()];
        let word = match i % 3 {
            0 => random(),
            1 => row.pattern().value ^ (1 << (random() % 32)),
            _ => row.random(&mut random).unwrap(),
        };
        let (found, expected) = (decoder.decode(word), search(word));
        assert_eq!(found.map(|r| r.id()), expected.map(|r| r.id()), "{word:#x}");
        assert_eq!(decoder.decode_indexed(word).map(|(i, _)| decoder.rows()[i].id()), found.map(|r| r.id()));
        hits += u32::from(found.is_some());
    }
    assert!(hits > 60_000, "{hits}");
}

#[test]
fn random_words_reach_every_row_and_value() {
    let decoder = Decoder::new(&GROUPS);
    let mut random = generator(4);
    for &row in decoder.rows() {
        let mut all = row.pattern().value;
        for _ in 0..300 {
            let word = decoder.random(row, &mut random).unwrap_or_else(|| panic!("{}", row.id()));
            assert!(row.matches(word));
            all |= word;
        }
        let fields = row.pattern().fields().iter().fold(row.pattern().value, |m, f| m | f.mask);
        // Only `pair` (rd in 2, 4, 6) cannot set every field bit.
        assert_eq!(all & fields == fields, row.id() != "pair", "{}", row.id());
    }
}

#[test]
fn coverage_counts_and_reports() {
    let decoder = Decoder::new(&GROUPS);
    let mut coverage = Coverage::new(&decoder);
    let mut log = Vec::new();
    let mut other = coverage.clone();
    for word in [0x0015_0513, 0x0015_0513, 0x8082] {
        let (index, row) = decoder.decode_indexed(word).unwrap();
        coverage.count_decoded(index);
        row.translate(&mut Tr { log: &mut log }, word);
        other.count_translated(index);
    }
    coverage.count_decoded(usize::MAX);
    coverage.merge(&other);
    let report = coverage.report(&decoder);
    let seen = report.rows.iter().filter(|r| r.decoded > 0).map(|r| (r.shape.id(), r.decoded, r.translated));
    assert_eq!(seen.collect::<Vec<_>>(), [("addi", 2, 2), ("c_jr", 1, 1)]);
    assert_eq!(report.missed().count(), decoder.rows().len() - 2);
    assert!(report.to_string().contains("C: 1 of 9, not reached: c_addi c_nop c_li"), "{report}");
}

#[test]
fn arbitrary_words_never_panic() {
    let disassembler = Disassembler::new(&GROUPS);
    let mut random = generator(5);
    let mut log = Vec::new();
    for _ in 0..100_000 {
        let word = random() >> (random() % 40);
        if let Some((text, row)) = disassembler.disasm(word, random()) {
            assert!(!text.is_empty());
            row.translate(&mut Tr { log: &mut log }, word);
        }
        log.clear();
    }
}

#[test]
fn arbitrary_text_never_panics() {
    const SCRAPS: [&str; 48] = [
        "addi",
        "lw",
        "li",
        "la",
        "beq",
        "fadd.s",
        "amoadd.w",
        ".aq",
        "c.addi16sp",
        "pair",
        "j",
        "ret",
        " ",
        " ",
        ",",
        ", ",
        "a0",
        "x31",
        "sp",
        "(",
        ")",
        "((",
        "%hi(",
        "-",
        "~",
        "<<",
        "*",
        "/",
        "0",
        "1",
        "1f",
        "1b",
        "1:",
        "x:",
        "x",
        ".",
        ".word ",
        ".ascii ",
        ".equ ",
        ".align ",
        ".org ",
        "\"",
        "'",
        "\\",
        ";",
        "\n",
        "é",
        "0x8000000000000000",
    ];
    let assembler = Assembler::new(&GROUPS);
    let mut random = generator(6);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..50_000 {
        let count = random() % 14;
        let source: String = (0..count).map(|_| SCRAPS[random() as usize % SCRAPS.len()]).collect();
        match assembler.assemble(&source, random()) {
            Ok(_) => good += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                bad += 1;
            }
        }
    }
    assert!(good > 1000 && bad > 1000, "{good} {bad}");
}

#[test]
fn hostile_text_ends_soon() {
    let assembler = Assembler::new(&GROUPS);
    for piece in ["(", ",", "(a0)", "a0,", "1+", "%hi(", "'", "x:", "1:", "-", "{d}", "lw"] {
        let source = format!("lw a0, {}", piece.repeat(4000 / piece.len()));
        assert!(assembler.assemble(&source, 0).is_err(), "{piece}");
        assert!(assembler.assemble(&source.repeat(2), 0).is_err(), "{piece}");
    }
}
