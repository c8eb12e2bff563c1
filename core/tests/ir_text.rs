//! The text form: printing and reading are inverse; errors name the line.
#![forbid(unsafe_code)]

mod common;

use bumpalo::Bump;
use common::{KEY, plan};
use tern_core::bare::BareGuest;
use tern_core::frontend::Frontend;
use tern_core::ir::parse::parse_block;
use tern_core::ir::verify::{Context, verify_in};
use tern_core::ir::{Op, Ty, random};

#[test]
fn random_blocks_verify_and_survive_print_and_parse() {
    let guest = BareGuest::new();
    let layout = Some(guest.layout());
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..2000 {
        let arena = Bump::new();
        let block = random::block(&arena, &plan(&guest, seed & 1 == 0), KEY, &mut random::splitmix(seed));
        verify_in(&block, Context { layout, helpers: Some(guest.helpers().len()) })
            .unwrap_or_else(|e| panic!("seed {seed}: {e}\n{block}"));
        seen.extend(block.insts.iter().map(|i| i.op.name()));
        for names in [None, layout] {
            let text = block.text(names).to_string();
            let again = parse_block(&arena, &text, names).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
            assert_eq!(block, again, "seed {seed}\n{text}\n{}", again.text(names));
            assert_eq!(text, again.text(names).to_string());
        }
    }
    for op in [Op::BINARY, Op::COMPARE, Op::UNARY, Op::CONVERT, Op::OTHER].into_iter().flatten() {
        assert!(seen.contains(op.name()), "the generator never makes {}", op.name());
        assert_eq!(Op::by_name(op.name()), Some(*op));
    }
}

#[test]
fn text_is_stable() {
    let guest = BareGuest::new();
    let text = "\
block pc=0x1000 mode=0x0 locals=1 labels=1 pages=0x1 {
  insn 0x1000
  v1:i64 = get x5
  v3:i64 = add v1, 8
  v5:bool = ltu.i64 v3, -1
  v6:i64 = load.s4.be.al [v3+16]
  v9:bool = eq.i32 0xdeadbeef, 5
  set_local t0, v6
  br_if v5 -> L0
  v12:i32 = const 0x80000000
  set w0, v12
  store.u4.a32.m3 [v3-8], v12
  v16:i64 = rmw.maxu.u8 [0x10000], v6
  v19:i32 = cas.u4.al [v3], 1, 2
  bind L0
  v21:i64 = get_local t0
  set x6, v21
  v24:i64 = helper 0(7:i32) payload 0x10
  v25:i64 = fadd.f64.rup.e1 v21, v24
  v26:i32 = fcvt.f64.f32 v25
  v27:bool = feq.f32 v26, v26
  v28:i64 = ftos64.f64.k1.rtz v25
  exit_if v27 -> 0x1040
  trap_if v27 -> 2, v28
  fence
  set b0, 1:bool
} branch v27 -> 0x1010, 0x1004
";
    let arena = Bump::new();
    let block = parse_block(&arena, text, Some(guest.layout())).unwrap();
    // `v7` and `v8` are the constants that stand in the line of `v9`.
    assert_eq!(block.text(Some(guest.layout())).to_string(), text);
    assert_eq!(block.insts[9].ty, Ty::I32);
}

#[test]
fn names_comments_and_blank_lines_are_free() {
    let guest = BareGuest::new();
    let text =
        "; a comment\n\nblock pc=4_096 mode=0 { \n insn 0x1000 ; begins\n old:i64 = get x1\n set x2, old\n} halt 8";
    let arena = Bump::new();
    let block = parse_block(&arena, text, Some(guest.layout())).unwrap();
    assert_eq!((block.key.pc, block.insts.len(), block.insns), (0x1000, 3, 1));
}

#[test]
fn errors_name_line_and_reason() {
    let cases = [
        ("insn 0x1000\n frob v1", 3, "there is no operation frob"),
        ("insn 0x1000\n set x1, v9", 3, "v9 is not defined"),
        ("insn 0x1000\n set x99, 9", 3, "there is no slot x99"),
        ("insn 0x1000\n set %200, 9:i64", 3, "operation 2: the layout has no slot 200"),
        ("insn 0x1000\n set w0, 9:i64", 3, "operation 2: slot 25 has another type"),
        ("insn 0x1000\n v1:i64 = add 1", 3, "expected , before \"\""),
        ("insn 0x1000\n v1:i64 = add 1, 2, 3", 3, "\", 3\" is too much"),
        ("insn 0x1000\n v1:i32 = add 1, 0x100000000", 3, "0x100000000 does not fit i32"),
        ("insn 0x1000\n v1:i32 = const -2147483649", 3, "-2147483649 does not fit i32"),
        ("insn 0x1000\n v1:bool = const 2", 3, "2 does not fit bool"),
        ("insn 0x1000\n v1:i65 = const 2", 3, "there is no type i65"),
        ("insn 0x1000\n v1:i64 = ltu.i64 1, 2", 3, "its result is of type bool"),
        ("insn 0x1000\n v1:bool = ltu 1, 2", 3, "a comparison names the type of its operands"),
        ("insn 0x1000\n v1:bool = ltu.bool 1, 0", 3, "operation 3: it does not exist in this type"),
        ("insn 0x1000\n v1:bool = add 1, 0", 3, "operation 3: it does not exist in this type"),
        ("insn 0x1000\n v1:i32 = load.u8 [0]", 3, "operation 2: the access is wider than the value"),
        ("insn 0x1000\n v1:i32 = load.u3 [0]", 3, "there is no memory attribute u3"),
        ("insn 0x1000\n v1:i32 = load [0]", 3, "an access has a sign and a size, such as .u4"),
        ("insn 0x1000\n v1:i32 = load.u4.m16 [0]", 3, "there is no memory attribute m16"),
        ("insn 0x1000\n v1:i32 = load.u4 [0+0x80000000]", 3, "a displacement has 32 bits"),
        ("insn 0x1000\n v1:i32 = rmw.nand.u4 [0], 1", 3, "there is no atomic operation nand"),
        ("insn 0x1000\n v1:i32 = rmw.add.u4 [0+4], 1", 3, "operation 3: bad constant part"),
        ("insn 0x1000\n v1:i64 = fadd.f32 1, 2", 3, "operation 3: it does not exist in this type"),
        ("insn 0x1000\n v1:i32 = fadd.f80 1, 2", 3, "there is no format f80"),
        ("insn 0x1000\n v1:i32 = fmin.f32.k4 1, 2", 3, "operation 3: bad constant part"),
        ("insn 0x1000\n v1:i32 = fadd.f32.e4 1, 2", 3, "there is no floating-point attribute e4"),
        ("insn 0x1000\n br -> L0", 4, "operation 2: label 0 is never bound"),
        ("insn 0x1000\n bind L0\n br -> L0", 4, "operation 2: label 0 is behind"),
        ("insn 0x1000\n bind L0\n bind L0", 4, "operation 2: label 0 is bound twice"),
        ("insn 0x1000\n bind 7", 3, "expected L and a number, not \"7\""),
        ("insn 0x1000\n v1:i64 = get_local t0", 3, "operation 1: local 0 is not set on every path"),
        ("exit_if 1 -> 4", 2, "operation 1: no guest instruction has begun"),
        ("insn 0x1000\n fence 3", 3, "\"3\" is too much"),
        ("insn 0x1000\n fence.u4", 3, "fence has no attribute u4"),
        ("insn 0x1000\n v1:i64 = insn 3", 3, "it has no result"),
        ("insn 0x1000\n add 1:i64, 2", 3, "its result, of type i64, needs a name"),
        ("insn 0x1000\n v1:i64 = icount\n v1:i64 = icount", 4, "v1 is defined twice"),
        ("insn 0x1000\n 7:i64 = icount", 3, "\"7\" is not a name"),
        ("insn 0x1000\n v1:i64 = helper 70000()", 3, "a helper's number has 16 bits"),
        ("insn 0x1000\n v1:i64 = helper 0(1)", 3, "the constant 1 needs a type"),
        ("insn 0x1000\n v1:i64 = helper 0() payload 0x1000000000000", 3, "a payload has 48 bits"),
        ("insn zzz", 2, "zzz is not a number of 64 bits"),
        ("insn 0x10000000000000000", 2, "0x10000000000000000 is not a number of 64 bits"),
    ];
    let guest = BareGuest::new();
    for (body, line, reason) in cases {
        let text = format!("block pc=0x1000 mode=0 {{\n {body}\n}} goto 0x1004\n");
        let arena = Bump::new();
        match parse_block(&arena, &text, Some(guest.layout())) {
            Ok(block) => panic!("accepted: {body}\n{block}"),
            Err(e) => assert_eq!((e.line, e.reason.as_str()), (line, reason), "{body}"),
        }
    }
    for (text, line, reason) in [
        ("", 1, "there is no block"),
        ("block pc=0 mode=0 {\n insn 0", 2, "the block has no exit"),
        ("block pc=0 {\n", 1, "expected: block pc=N mode=N {"),
        ("block pc=0 mode=0 color=1 {\n", 1, "a block has no color"),
        ("block pc=0 mode=0 labels=4294967295 {\n", 1, "4294967295 is more than 65536"),
        ("block pc=0 mode=0 {\n insn 0\n} fly 3", 3, "there is no exit \"fly\""),
        ("block pc=0 mode=0 {\n insn 0\n} goto 3\nmore", 4, "something follows the exit"),
        ("block pc=0 mode=0 {\n} goto 3", 2, "operation 0: no guest instruction has begun"),
    ] {
        let arena = Bump::new();
        let e = parse_block(&arena, text, None).unwrap_err();
        assert_eq!((e.line, e.reason.as_str()), (line, reason), "{text}");
    }
}

/// Whatever the text, the parser answers.
#[test]
fn damaged_texts_never_panic() {
    let guest = BareGuest::new();
    let mut next = random::splitmix(7);
    for seed in 0..400 {
        let arena = Bump::new();
        let block = random::block(&arena, &plan(&guest, true), KEY, &mut random::splitmix(seed));
        let mut text = block.text(Some(guest.layout())).to_string().into_bytes();
        for _ in 0..1 + next() % 4 {
            let at = (next() % text.len() as u64) as usize;
            match next() % 3 {
                0 => text[at] = b" 0123456789abcxLtv%.,:[]+->={}\n-"[(next() % 32) as usize],
                1 if text.len() > 1 => drop(text.remove(at)),
                _ => text.truncate(at.max(1)),
            }
        }
        let text = String::from_utf8(text).expect("ASCII stays ASCII");
        if let Ok(block) = parse_block(&arena, &text, Some(guest.layout())) {
            let _ = block.to_string();
        }
    }
}
