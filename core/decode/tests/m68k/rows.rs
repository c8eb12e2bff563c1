//! The rows, as a frontend would have them. The key is the operation word.
//!
//! Letters: `s` is the operand size (0 byte, 1 word, 2 long), `z` the same in `move` (1, 3, 2), `l` one bit of it (0 word,
//! 1 long); `e` an effective address (mode, register), `D` that of a destination in `move` (register, mode). The kinds are
//! named by the manual's addressing categories (M68000PRM, table 2-4).

use crate::operands::{DESTINATION, EA, LIST, REL_16, REL_32, REVERSED_LIST};
use tern_decode::{Family, insns, kinds};

pub(crate) struct M68k;

/// Logs what bodies were called with. A real translator also holds the extension words.
pub(crate) struct Tr {
    pub(crate) log: Vec<(&'static str, Vec<i64>)>,
}

impl Tr {
    fn note(&mut self, what: &'static str, operands: &[i64]) {
        self.log.push((what, operands.to_vec()));
    }
}

impl Family for M68k {
    type Tr<'a> = Tr;
    type Ret = ();
    const KINDS: &'static [tern_decode::Kind] = KINDS;
}

/// Sets of mode-and-register values: eight registers for each of modes 0 to 6, then mode 7's forms.
const ABSOLUTE: u64 = 0b11 << 56;
const PC_RELATIVE: u64 = 0b1100 << 56;
const IMMEDIATE: u64 = 0b1_0000 << 56;
const DISPLACED: u64 = mode(5) | mode(6) | ABSOLUTE;
const ALL: u64 = mode(0) | mode(1) | DATA_MEMORY;
const DATA_MEMORY: u64 = MEMORY_ALTERABLE | PC_RELATIVE | IMMEDIATE;
const MEMORY_ALTERABLE: u64 = mode(2) | mode(3) | mode(4) | DISPLACED;
const CONTROL: u64 = mode(2) | DISPLACED | PC_RELATIVE;
const CONTROL_ALTERABLE: u64 = mode(2) | DISPLACED;

const fn mode(n: u32) -> u64 {
    0xff << (8 * n)
}

/// The set with mode and register exchanged.
const fn exchanged(set: u64) -> u64 {
    let (mut out, mut v) = (0, 0);
    while v < 64 {
        out |= (set >> v & 1) << (v % 8 * 8 + v / 8);
        v += 1;
    }
    out
}

kinds! { pub(crate) KINDS;
    dn    = reg(3) names "d0..d7";
    an    = reg(3) names "a0..a6 a7" alias "fp=6 sp";
    size  = named(2) names ".b .w .l -";
    msize = named(2) names "- .b .l .w";
    masize = named(2) names "- - .l .w";
    wl    = named(1) names ".w .l";
    quick = signed(8);
    rel8  = signed(8) pcplus 2;
    rel16 = tail(0) by(&REL_16);
    rel32 = tail(0) by(&REL_32);
    ea    = tail(6) by(&EA) legal(ALL);
    mea   = tail(6) by(&EA) legal(MEMORY_ALTERABLE);
    cea   = tail(6) by(&EA) legal(CONTROL);
    caea  = tail(6) by(&EA) legal(CONTROL_ALTERABLE);
    clea  = tail(6) by(&EA) legal(CONTROL | mode(3));
    dea   = tail(6) by(&DESTINATION) legal(exchanged(mode(0) | MEMORY_ALTERABLE));
    list  = tail(0) by(&LIST);
    rlist = tail(0) by(&REVERSED_LIST);
}

/// Address registers have no bytes.
const fn no_address_byte(word: u64, byte: bool) -> bool {
    !byte || word >> 3 & 7 != 1
}

insns! { pub(crate) static INTEGER: Group<M68k>, "68000", width 16;
    move_: "move{z:msize}" "00 zz DDDDDD eeeeee" asm "{e:ea}, {D:dea}" if |w| no_address_byte(w, w >> 12 == 1)
        => |t, z: msize, e, D| t.note("move", &[z, e, D]);
    movea: "movea{z:masize}" "00 zz aaa 001 eeeeee" asm "{e:ea}, {a:an}" => |t, z: msize, a, e| t.note("movea", &[z, a, e]);
    moveq "0111 ddd 0 iiiiiiii" asm "#{i:quick}, {d:dn}" => |t, d, i| t.note("moveq", &[d, i]);
    add: "add{s:size}" "1101 ddd 0 ss eeeeee" asm "{e:ea}, {d:dn}" if |w| no_address_byte(w, w >> 6 & 3 == 0)
        => |t, d, s, e| t.note("add", &[d, s, e]);
    add_to: "add{s:size}" "1101 ddd 1 ss eeeeee" asm "{d:dn}, {e:mea}" => |t, d, s, e| t.note("add_to", &[d, s, e]);
    lea "0100 aaa 111 eeeeee" asm "{e:cea}, {a:an}" => |t, a, e| t.note("lea", &[a, e]);
    bra_s: "bra.s" "01100000 dddddddd" asm "{d:rel8}" where d != [0, 255] => |t, d| t.note("bra_s", &[d]);
    bra_w: "bra.w" "01100000 00000000" asm "{d:rel16}" => |t| t.note("bra_w", &[]);
    /// 68020 and later.
    bra_l: "bra.l" "01100000 11111111" asm "{d:rel32}" => |t| t.note("bra_l", &[]);
    movem_store: "movem{l:wl}" "0100 1000 1l eeeeee" asm "{m:list}, {e:caea}" => |t, l, e| t.note("movem_store", &[l, e]);
    movem_push: "movem{l:wl}" "0100 1000 1l 100 aaa" asm "{m:rlist}, -({a:an})" => |t, l, a| t.note("movem_push", &[l, a]);
    /// The mask is the first extension word, though the text shows it last.
    movem_load: "movem{l:wl}" "0100 1100 1l eeeeee : m e" asm "{e:clea}, {m:list}" => |t, l, e| t.note("movem_load", &[l, e]);
    bra "{target}" = "bra.w {target}";
}
