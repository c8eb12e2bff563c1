//! tern-decode: the instruction-table language. One row per instruction gives decoder, disassembler, assembler, random
//! encoder and coverage.
//!
//! Two complete small tables for documentation are the tests `x86` and `m68k`.
//!
//! # A table
//!
//! ```
//! use tern_decode::{Decoder, Family, insns, kinds};
//!
//! /// The translator row bodies work on. It may borrow whatever it needs.
//! pub struct Tr<'a> {
//!     out: &'a mut Vec<String>,
//! }
//!
//! /// Names the ISA and ties its tables together.
//! pub struct Rv;
//!
//! impl Family for Rv {
//!     type Tr<'a> = Tr<'a>;
//!     type Ret = ();
//!     const KINDS: &'static [tern_decode::Kind] = KINDS;
//! }
//!
//! kinds! { pub KINDS;
//!     x    = reg(5) names "zero ra sp gp tp t0..t2 s0 s1 a0..a7 s2..s11 t3..t6" alias "x0..x31";
//!     simm = signed(12);
//!     bimm = signed bits "12|10:5|4:1|11" pcrel;
//! }
//!
//! insns! { pub static RV_I: Group<Rv>, "I", width 32;
//!     /// Add immediate.
//!     addi "iiiiiiiiiiii aaaaa 000 ddddd 0010011" asm "{d:x}, {a:x}, {i:simm}"
//!         => |t, d, a, i| t.out.push(format!("x{d} = x{a} + {i}"));
//!     beq  "iiiiiii bbbbb aaaaa 000 iiiii 1100011" asm "{a:x}, {b:x}, {i:bimm}"
//!         => |t, a, b, i| { t.out.push(format!("if x{a} == x{b} goto pc{i:+}")) };
//!     mv   "{d}, {a}" = "addi {d}, {a}, 0";
//! }
//!
//! let decoder = Decoder::new(&[&RV_I]);
//! let row = decoder.decode(0x00b5_0863).unwrap();
//! assert_eq!(row.disasm(0x00b5_0863, 0x10068).to_string(), "beq a0, a1, 0x10078");
//! let mut out = Vec::new();
//! row.translate(&mut Tr { out: &mut out }, 0x00b5_0863);
//! assert_eq!(out, ["if x10 == x11 goto pc+16"]);
//! ```
//!
//! # Rows
//!
//! ```text
//! insns! { [attributes] pub static NAME: Group<FamilyType>, "ISA-string name"[, width 32];
//!     [/// docs]
//!     id[: "mnemonic"] "pattern" asm "operands"
//!         [where clause, ...] [if |word| bool-expression]
//!         => |t, a, b, i: kind ...| body;                      // an instruction
//!     id[: "mnemonic"] "operands" = "expansion";               // a pseudo-instruction, preferred when disassembling
//!     id[: "mnemonic"] "operands" -> "expansion[; expansion]"; // a pseudo-instruction for the assembler only
//! }
//! ```
//!
//! - **id** is an identifier (keywords too). It is the mnemonic unless a string follows. A mnemonic may hold
//!   `{letter:kind}` suffixes: `amoadd_w: "amoadd.w{q:aqrl}"`.
//! - **pattern**: most significant bit first, as the manual prints it. `0` `1` fixed; a letter is a field, upper and
//!   lower case differ, and one letter in several places is one field, its bits in order of appearance; `.` is ignored
//!   when decoding and encoded as 0; `-` is ignored when decoding and random in the random encoder. Up to 64 bits; with
//!   `width` in the header every row must have that many.
//!   After the bits may stand `: letters`, the order of the bytes of [tail operands](#tail-operands).
//! - **asm** is the operand syntax, `""` for none. `{d:x}` prints field `d` as kind `x`; `{p}` prints the raw unsigned
//!   field. Everything else is literal; blanks do not matter when reading.
//! - **where** tests raw (unsigned, undecoded) fields: `d != 0`, `d != [0, 2]`, `d == 3`, `d == [2, 4]`, `a != b`,
//!   `a == b`, separated by commas. What they cannot say goes into `if |w| ...`, a function of the whole `u64` word.
//! - **parameters** after the translator are field letters. Each is bound, as `i64`, to the value that the letter's kind
//!   in the template gives it (register number, sign-extended and scaled immediate, offset from the pc), or to the raw
//!   field if the template does not show it; `i: kind` names another kind.
//! - **body** is an expression of type `Family::Ret`; `t` is `&mut Family::Tr<'_>`. Each row is a function item.
//! - **pseudo-instructions** rewrite text, so they need no kinds: `{d}` stands for any operand.
//!
//! Where encodings overlap, the row whose fixed bits include the other's wins, and with the same fixed bits the row with
//! constraints (so `c.nop` and the hint space need no order). Any other overlap is an error: at compile time within a
//! group of up to 400 rows, in [`ambiguous`] for the whole table of an ISA. A named kind makes values
//! without a name (`-` in its list) illegal encodings by itself.
//!
//! # Kinds
//!
//! `name = class(bits) modifiers;` where the class is `reg` or `named` (only named values exist, at most 6 bits), `signed`,
//! `unsigned` or `tail` (see below). Modifiers, in any order:
//!
//! | modifier | meaning |
//! |---|---|
//! | `bits "12\|10:5\|4:1\|11"` | instead of `(bits)`: the field's bits, first to last, are these bits of the value |
//! | `names "a b c"`, `names(CONST)` | names of the values from 0 on, notation in [`Names`]: runs `x0..x31`, holes `-`, `frm=2`, or separated by `\|` |
//! | `alias "..."` | more names the assembler takes |
//! | `plus 8` | value = field + 8 |
//! | `pcrel`, `pcplus 8`, `pcalign 12` | offset from the pc, pc + 8, pc with 12 low bits cleared; printed as the target |
//! | `hex` | numbers print in hexadecimal |
//! | `map(decode, encode)` | value by functions `fn(u64) -> i64`, `fn(i64) -> Option<u64>` |
//! | `legal(SET)` | of raw values `v`, only those with bit `v` in `SET: u64` exist; at most 6 bits |
//! | `by(&HOOK)` | the hook of a `tail` kind |
//!
//! # Tail operands
//!
//! What does not fit the key word lies behind it: x86's SIB byte, displacements and immediates, 68k's extension words, VAX
//! operand specifiers. Such an operand is of a class `tail(n)`: `n` bits in the key word, perhaps 0, and any number of bytes
//! in the tail, both left to a [`TailKind`] that all rows share.
//!
//! ```text
//! kinds! { pub KINDS;
//!     size = named(2) names ".b .w .l -";
//!     ea   = tail(6) by(&EA) legal(ALL);      // static EA: Ea; impl TailKind for Ea
//!     cea  = tail(6) by(&EA) legal(CONTROL);  // the same hook, fewer modes
//!     list = tail(0) by(&LIST);               // nothing in the key: the letter is not in the pattern
//! }
//! insns! { pub static INTEGER: Group<M68k>, "68000", width 16;
//!     add: "add{s:size}" "1101 ddd 0 ss eeeeee" asm "{e:ea}, {d:dn}" => |t, d, s, e| ...;
//!     movem_load: "movem{l:wl}" "0100 1100 1l eeeeee : m e" asm "{e:cea}, {m:list}" => |t, l, e| ...;
//! }
//! ```
//!
//! - The bytes of the operands follow each other as the template shows them; where that is wrong, the pattern ends in
//!   `: letters` in the order of the bytes, as for `movem` above, whose mask word comes first.
//! - A body's parameter is the operand's raw key bits; the body reads the bytes through `t`. A letter that is not in the
//!   pattern cannot be a parameter.
//! - [`TailKind::measure`] tells the length, [`TailKind::show`] prints, [`TailKind::parse`] reads, [`TailKind::random`]
//!   invents. They see the row's other fields by letter ([`Site::field`], [`Encoding::field`]), so the letter of the operand
//!   size, say, means the same in all rows of a family.
//! - What several operands imply, as x86 register names imply the operand size, is a field that no template shows:
//!   `parse` calls [`Encoding::settle`], and operands that disagree are refused.
//! - A hook takes a short form only if [`Value::fits`], so that both passes of the assembler choose alike. If the choice is
//!   between rows (`jcc` with 8 and 32 bits), the hook of the short one refuses, and the next row of that mnemonic is tried.
//! - Distances count from the operand ([`Site::from_operand`], [`Base::Operand`]) or the instruction's end
//!   ([`Site::from_end`], [`Base::End`]); the assembler encodes a row again until the lengths agree.
//! - Redundant encodings (x86's two forms of `add eax, ebx`) are kept apart by kinds: one row's hook refuses to read, and does
//!   not invent, what the other row encodes.
//!
//! The frontend cuts the bytes of an instruction into [`Code`]: key word, number of leading bytes, tail. Then
//! [`Shape::tail_len`] tells the length, [`Shape::disasm_with`], [`Disassembler::disasm_with`], [`Assembler::instruction_with`]
//! and [`Decoder::random_with`] are what their namesakes are without tails. [`Assembler::assemble`] writes the key
//! word in its byte order and the tail behind it, unless [`Dialect::bytes`] makes the bytes. [`roundtrip`] covers tails. Rows
//! without tail operands know nothing of all this.
//!
//! # Adding an instruction
//!
//! Write its row into the chapter's table. Nothing else changes: the family's tests find it.
//!
//! A new kind of operand is one line in the family's `kinds!`; what the assembler needs beyond rows (`%hi`, `li` of wide
//! constants, the comment sign) is the family's [`Dialect`].
//!
//! # Tests each family has
//!
//! [`ambiguous`], [`pseudo_errors`] and [`roundtrip`] over the groups of each of its CPUs must be empty.
//! [`Decoder::random`] makes words for comparing tiers, [`Coverage`] tells which rows a run has reached, and
//! [`Assembler`] lets tests be written as assembly.
//!
//! # Odd decoders
//!
//! The language needs a key word of at most 64 bits per instruction; how a frontend assembles that word is its own
//! business, and the number of bytes consumed need not be the row's width.
//!
//! - *Variable length with parcels* (RVC, Thumb-2, MIPS16, Xtensa density): fetch the first parcel, decide the length, and
//!   decode with the table of that length. RISC-V may use one decoder for all, since its length bits are low.
//! - *68k*: the key is the operation word, `width 16`, or operation and extension word, `width 32`, where the latter
//!   holds opcode bits (`mulu.l`, 68020 bit fields). Effective-address extension words are tail operands. See `tests/m68k`.
//! - *x86*: the key is made of opcode map, mandatory prefix, operand size, REX, opcode and ModRM; SIB, displacement and
//!   immediates are tail operands. See `tests/x86`. VEX and EVEX payload bits are further fields of the key.
//! - *VAX*: the key is the opcode; each operand specifier is a `tail(0)` whose hook is told its data type by its kind.
//! - *Thumb IT, delay slots*: context belongs to the translator; the rows stay plain.
//! - *Hexagon*: the frontend splits packets (parse bits are a `-` or a field), decodes each word with the table, and the
//!   translator commits the packet.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod asm;
mod check;
mod coverage;
mod decoder;
mod disasm;
mod kind;
mod moves;
mod names;
mod pattern;
mod random;
mod shape;
mod table;
mod tail;

pub use asm::{Argument, AsmError, AsmReason, Assembler, Base, ByteOrder, Dialect, Encoded, Encoding, Image};
pub use asm::{MAX_OUTPUT, Plain, Value};
pub use check::{Failure, Problem, ambiguous, pseudo_errors, roundtrip};
pub use coverage::{Coverage, CoverageReport, RowCoverage};
pub use decoder::Decoder;
pub use disasm::{Disasm, Disassembler};
pub use kind::{Class, Kind, Map, RangeError};
pub use names::{Name, Names};
pub use pattern::{Field, MAX_FIELDS, Pattern, TableError, gather, ones, scatter};
pub use shape::{Constraint, MAX_OPERANDS, Piece, Shape, Spec, Test, pieces};
#[doc(hidden)]
pub use table::{__first, __pseudos, __row_count, __rows, Item};
pub use table::{Body, Family, Group, Pseudo, Row};
pub use tail::{Code, Site, TailBits, TailKind};
