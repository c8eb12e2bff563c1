//! Text tables that must be accepted (`ok/`) or refused with a given message (`err/`), through the same checks that
//! `insns!` makes at compile time.
//!
//! A file holds `kind NAME reg|signed|unsigned BITS [names]`, `kind NAME tail|hookless|odd BITS` (with and without a hook,
//! with odd values only), `kind NAME bits-signed|bits-unsigned LIST`, `width N`, rows
//! `id | pattern | asm | params | where`, and in `ok/` the checks `is ID WORD` and `not ID WORD`. An `err/` file starts
//! with `error MESSAGE`.

use std::fs;
use std::path::{Path, PathBuf};
use tern_decode::{AsmReason, Constraint, Encoding, Kind, Shape, Site, Spec, TailBits, TailKind, Test};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Tables are static in real use, so the corpus leaks its few texts.
fn leak(text: &str) -> &'static str {
    String::from(text).leak()
}

/// A byte behind the key.
#[derive(Debug)]
struct Byte;

impl TailKind for Byte {
    fn measure(&self, _site: &Site<'_>, tail: &[u8]) -> Option<usize> {
        (!tail.is_empty()).then_some(1)
    }

    fn show(&self, _site: &Site<'_>, bytes: &[u8], out: &mut dyn std::fmt::Write) -> std::fmt::Result {
        write!(out, "{}", bytes[0])
    }

    fn parse(&self, text: &str, encoding: &mut Encoding<'_>) -> Result<TailBits, AsmReason> {
        let value = encoding.value(text)?.either(8)?;
        Ok(TailBits { raw: 0, bytes: vec![value as u8] })
    }

    fn random(&self, site: &Site<'_>, random: &mut dyn FnMut() -> u64) -> TailBits {
        TailBits { raw: site.raw, bytes: vec![random() as u8] }
    }
}

fn kind(line: &str) -> Kind {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().unwrap_or("");
    let (name, class, bits) = (leak(word()), word(), word());
    let width = || bits.parse().unwrap();
    match class {
        "reg" => Kind::reg(name).width(width()).names(leak(word())),
        "signed" => Kind::signed(name).width(width()),
        "unsigned" => Kind::unsigned(name).width(width()),
        "tail" => Kind::tail(name).width(width()).by(&Byte),
        "hookless" => Kind::tail(name).width(width()),
        "odd" => Kind::tail(name).width(width()).by(&Byte).legal(0xaaaa_aaaa_aaaa_aaaa),
        "bits-signed" => Kind::signed(name).bits(bits),
        "bits-unsigned" => Kind::unsigned(name).bits(bits),
        other => panic!("unknown class {other}"),
    }
}

fn constraint(text: &str) -> Constraint {
    let (field, rest) = text.trim().split_once(' ').unwrap();
    let (operator, value) = rest.split_once(' ').unwrap();
    let values = value.trim_matches(['[', ']']).split(',').map(|v| v.trim().parse::<u64>());
    let test = match (operator, values.collect::<Result<Vec<_>, _>>()) {
        ("!=", Ok(list)) => Test::NotIn(list.leak()),
        ("==", Ok(list)) => Test::In(list.leak()),
        ("!=", Err(_)) => Test::NotField(leak(value)),
        ("==", Err(_)) => Test::SameField(leak(value)),
        (other, _) => panic!("unknown operator {other}"),
    };
    Constraint { field: leak(field), test }
}

/// Splits at commas outside brackets.
fn clauses(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ',' && depth == 0
    })
    .filter(|t| !t.trim().is_empty())
    .collect()
}

fn row(line: &str, width: u8, kinds: &'static [Kind]) -> Result<Shape, String> {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let &[id, pattern, asm, params, ref rest @ ..] = columns.as_slice() else { panic!("short row: {line}") };
    let params: Vec<_> = params.split_whitespace().map(|p| (leak(p), "")).collect();
    let constraints: Vec<_> = clauses(rest.first().unwrap_or(&"")).into_iter().map(constraint).collect();
    let spec = Spec {
        id: leak(id),
        mnemonic: leak(id),
        group: "corpus",
        width,
        pattern: leak(pattern),
        asm: leak(asm),
        params: params.leak(),
        constraints: constraints.leak(),
        filter: None,
        doc: "",
        kinds,
    };
    Shape::new(spec).map_err(|e| format!("row `{id}`: {e}"))
}

/// The file's rows, or the first error; `is` and `not` lines are asserted on the way.
fn load(text: &str) -> Result<Vec<Shape>, String> {
    let lines = || text.lines().filter(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with("error "));
    let kinds: Vec<Kind> = lines().filter_map(|l| l.strip_prefix("kind ")).map(kind).collect();
    let kinds: &'static [Kind] = kinds.leak();
    let mut width = 0;
    let mut rows: Vec<Shape> = Vec::new();
    let find = |rows: &[Shape], check: &str| {
        let (id, word) = check.split_once(" 0x").unwrap();
        let word = u64::from_str_radix(word, 16).unwrap();
        rows.iter().find(|r| r.id() == id).unwrap().matches(word)
    };
    for line in lines().filter(|l| !l.starts_with("kind ")) {
        if let Some(bits) = line.strip_prefix("width ") {
            width = bits.parse().unwrap();
        } else if let Some(check) = line.strip_prefix("is ") {
            assert!(find(&rows, check), "{line}");
        } else if let Some(check) = line.strip_prefix("not ") {
            assert!(!find(&rows, check), "{line}");
        } else {
            let new = row(line, width, kinds)?;
            if let Some(old) = rows.iter().find(|old| old.ambiguous(&new)) {
                assert!(new.ambiguous(old), "ambiguity goes both ways");
                let (a, b) = (old.id(), new.id());
                return Err(format!("rows `{a}` and `{b}` overlap and neither is more specific"));
            }
            rows.push(new);
        }
    }
    Ok(rows)
}

#[test]
fn sound_tables_are_accepted() {
    for path in files("ok") {
        let rows = load(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(rows.len() >= 2, "{}", path.display());
    }
}

#[test]
fn broken_tables_are_refused_with_the_right_message() {
    for path in files("err") {
        let text = fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("error ").unwrap();
        match load(&text) {
            Ok(_) => panic!("{} was accepted", path.display()),
            Err(message) => assert_eq!(message, expected, "{}", path.display()),
        }
    }
}
