//! C: compressed instructions (Zca, Zcf, Zcd).  HINT encodings execute as what they spell and change nothing.

use super::fp::{self, D, S};
use super::rv_i::branch;
use super::{Rv, xlen2, xlen2i};
use crate::trap;
use tern_core::ir::Builder;
use tern_core::mem::Size;
use tern_decode::insns;

/// The stack pointer.
const SP: i64 = 2;
/// The link register of `c.jal` and `c.jalr`.
const RA: i64 = 1;

insns! {
    /// Zca, common to RV32 and RV64.
    pub static ZCA: Group<Rv>, "zca", width 16;
    /// Add immediate to the stack pointer.
    c_addi4spn: "c.addi4spn" "000 iiiiiiii ddd 00" asm "{d:xc}, sp, {i:ci4spn}" where i != 0
        => |t, d, i| xlen2i!(t, d, SP, i, add);
    /// Load word.
    c_lw: "c.lw" "010 iii aaa ii ddd 00" asm "{d:xc}, {i:clw}({a:xc})" => |t, d, a, i| t.load(d, a, i, Size::B4, true);
    /// Store word.
    c_sw: "c.sw" "110 iii aaa ii bbb 00" asm "{b:xc}, {i:clw}({a:xc})" => |t, b, a, i| t.store(b, a, i, Size::B4);
    /// No operation.
    c_nop: "c.nop" "000 0 00000 00000 01" asm "" => |_t| {};
    /// Hint.
    c_nop_hint: "c.nop" "000 i 00000 iiiii 01" asm "{i:ci}" where i != 0 => |_t| {};
    /// Add immediate.
    c_addi: "c.addi" "000 i ddddd iiiii 01" asm "{d:x}, {i:ci}" where d != 0 => |t, d, i| xlen2i!(t, d, d, i, add);
    /// Load immediate.
    c_li: "c.li" "010 i ddddd iiiii 01" asm "{d:x}, {i:ci}" => |t, d, i| { let v = t.b.sconst(i); t.put_x(d, v) };
    /// Adjust the stack pointer.
    c_addi16sp: "c.addi16sp" "011 i 00010 iiiii 01" asm "sp, {i:ci16sp}" where i != 0
        => |t, i| xlen2i!(t, SP, SP, i, add);
    /// Load upper immediate.
    c_lui: "c.lui" "011 i ddddd iiiii 01" asm "{d:x}, {i:clui}" where d != 2, i != 0
        => |t, d, i| { let v = t.b.sconst(i64::from((i << 12) as i32)); t.put_x(d, v) };
    /// And immediate.
    c_andi: "c.andi" "100 i 10 ddd iiiii 01" asm "{d:xc}, {i:ci}" => |t, d, i| t.op2i(d, d, i, Builder::and);
    /// Subtract.
    c_sub: "c.sub" "100 0 11 ddd 00 bbb 01" asm "{d:xc}, {b:xc}" => |t, d, b| xlen2!(t, d, d, b, sub);
    /// Exclusive or.
    c_xor: "c.xor" "100 0 11 ddd 01 bbb 01" asm "{d:xc}, {b:xc}" => |t, d, b| t.op2(d, d, b, Builder::xor);
    /// Or.
    c_or: "c.or" "100 0 11 ddd 10 bbb 01" asm "{d:xc}, {b:xc}" => |t, d, b| t.op2(d, d, b, Builder::or);
    /// And.
    c_and: "c.and" "100 0 11 ddd 11 bbb 01" asm "{d:xc}, {b:xc}" => |t, d, b| t.op2(d, d, b, Builder::and);
    /// Jump.
    c_j: "c.j" "101 iiiiiiiiiii 01" asm "{i:cj}" => |t, i| { let to = t.target(i); t.jump(0, to) };
    /// Branch if zero.
    c_beqz: "c.beqz" "110 iii aaa iiiii 01" asm "{a:xc}, {i:cb}" => |t, a, i| branch(t, a, 0, i, Builder::eq);
    /// Branch if not zero.
    c_bnez: "c.bnez" "111 iii aaa iiiii 01" asm "{a:xc}, {i:cb}" => |t, a, i| branch(t, a, 0, i, Builder::ne);
    /// Load word from the stack.
    c_lwsp: "c.lwsp" "010 i ddddd iiiii 10" asm "{d:x}, {i:clwsp}(sp)" where d != 0
        => |t, d, i| t.load(d, SP, i, Size::B4, true);
    /// Jump to register.
    c_jr: "c.jr" "1000 aaaaa 00000 10" asm "{a:x}" where a != 0 => |t, a| t.jump_register(0, a, 0);
    /// Move.
    c_mv: "c.mv" "1000 ddddd bbbbb 10" asm "{d:x}, {b:x}" where b != 0 => |t, d, b| { let v = t.x(b); t.put_x(d, v) };
    /// Breakpoint.
    c_ebreak: "c.ebreak" "1001 00000 00000 10" asm "" => |t| { let pc = t.pc; t.trap(trap::BREAKPOINT, pc) };
    /// Jump to register and link.
    c_jalr: "c.jalr" "1001 aaaaa 00000 10" asm "{a:x}" where a != 0 => |t, a| t.jump_register(RA, a, 0);
    /// Add.
    c_add: "c.add" "1001 ddddd bbbbb 10" asm "{d:x}, {b:x}" where b != 0 => |t, d, b| xlen2!(t, d, d, b, add);
    /// Store word to the stack.
    c_swsp: "c.swsp" "110 iiiiii bbbbb 10" asm "{b:x}, {i:cswsp}(sp)" => |t, b, i| t.store(b, SP, i, Size::B4);
}

insns! {
    /// Zca on RV32; there shift amounts have five bits.
    pub static ZCA32: Group<Rv>, "zca", width 16;
    /// Jump and link.
    c_jal: "c.jal" "001 iiiiiiiiiii 01" asm "{i:cj}" => |t, i| { let to = t.target(i); t.jump(RA, to) };
    /// Shift right logical.
    c_srli: "c.srli" "100 0 00 ddd sssss 01" asm "{d:xc}, {s:sh5}" => |t, d, s| xlen2i!(t, d, d, s, shr);
    /// Shift right arithmetic.
    c_srai: "c.srai" "100 0 01 ddd sssss 01" asm "{d:xc}, {s:sh5}" => |t, d, s| xlen2i!(t, d, d, s, sar);
    /// Shift left logical.
    c_slli: "c.slli" "000 0 ddddd sssss 10" asm "{d:x}, {s:sh5}" => |t, d, s| xlen2i!(t, d, d, s, shl);
}

insns! {
    /// Zca on RV64.
    pub static ZCA64: Group<Rv>, "zca", width 16;
    /// Load doubleword.
    c_ld: "c.ld" "011 iii aaa ii ddd 00" asm "{d:xc}, {i:cld}({a:xc})"
        => |t, d, a, i| t.load(d, a, i, Size::B8, false);
    /// Store doubleword.
    c_sd: "c.sd" "111 iii aaa ii bbb 00" asm "{b:xc}, {i:cld}({a:xc})" => |t, b, a, i| t.store(b, a, i, Size::B8);
    /// Add immediate, 32 bits.
    c_addiw: "c.addiw" "001 i ddddd iiiii 01" asm "{d:x}, {i:ci}" where d != 0
        => |t, d, i| t.op2iw(d, d, i, Builder::add);
    /// Shift right logical.
    c_srli: "c.srli" "100 s 00 ddd sssss 01" asm "{d:xc}, {s:csh6}" => |t, d, s| t.op2i(d, d, s, Builder::shr);
    /// Shift right arithmetic.
    c_srai: "c.srai" "100 s 01 ddd sssss 01" asm "{d:xc}, {s:csh6}" => |t, d, s| t.op2i(d, d, s, Builder::sar);
    /// Subtract, 32 bits.
    c_subw: "c.subw" "100 1 11 ddd 00 bbb 01" asm "{d:xc}, {b:xc}" => |t, d, b| t.op2w(d, d, b, Builder::sub);
    /// Add, 32 bits.
    c_addw: "c.addw" "100 1 11 ddd 01 bbb 01" asm "{d:xc}, {b:xc}" => |t, d, b| t.op2w(d, d, b, Builder::add);
    /// Shift left logical.
    c_slli: "c.slli" "000 s ddddd sssss 10" asm "{d:x}, {s:csh6}" => |t, d, s| t.op2i(d, d, s, Builder::shl);
    /// Load doubleword from the stack.
    c_ldsp: "c.ldsp" "011 i ddddd iiiii 10" asm "{d:x}, {i:cldsp}(sp)" where d != 0
        => |t, d, i| t.load(d, SP, i, Size::B8, false);
    /// Store doubleword to the stack.
    c_sdsp: "c.sdsp" "111 iiiiii bbbbb 10" asm "{b:x}, {i:csdsp}(sp)" => |t, b, i| t.store(b, SP, i, Size::B8);
}

insns! {
    /// Zcf, only on RV32.
    pub static ZCF: Group<Rv>, "zcf", width 16;
    /// Load binary32.
    c_flw: "c.flw" "011 iii aaa ii ddd 00" asm "{d:fc}, {i:clw}({a:xc})" => |t, d, a, i| fp::load::<S>(t, d, a, i);
    /// Store binary32.
    c_fsw: "c.fsw" "111 iii aaa ii bbb 00" asm "{b:fc}, {i:clw}({a:xc})" => |t, b, a, i| fp::store::<S>(t, b, a, i);
    /// Load binary32 from the stack.
    c_flwsp: "c.flwsp" "011 i ddddd iiiii 10" asm "{d:f}, {i:clwsp}(sp)" => |t, d, i| fp::load::<S>(t, d, SP, i);
    /// Store binary32 to the stack.
    c_fswsp: "c.fswsp" "111 iiiiii bbbbb 10" asm "{b:f}, {i:cswsp}(sp)" => |t, b, i| fp::store::<S>(t, b, SP, i);
}

insns! {
    /// Zcd.
    pub static ZCD: Group<Rv>, "zcd", width 16;
    /// Load binary64.
    c_fld: "c.fld" "001 iii aaa ii ddd 00" asm "{d:fc}, {i:cld}({a:xc})" => |t, d, a, i| fp::load::<D>(t, d, a, i);
    /// Store binary64.
    c_fsd: "c.fsd" "101 iii aaa ii bbb 00" asm "{b:fc}, {i:cld}({a:xc})" => |t, b, a, i| fp::store::<D>(t, b, a, i);
    /// Load binary64 from the stack.
    c_fldsp: "c.fldsp" "001 i ddddd iiiii 10" asm "{d:f}, {i:cldsp}(sp)" => |t, d, i| fp::load::<D>(t, d, SP, i);
    /// Store binary64 to the stack.
    c_fsdsp: "c.fsdsp" "101 iiiiii bbbbb 10" asm "{b:f}, {i:csdsp}(sp)" => |t, b, i| fp::store::<D>(t, b, SP, i);
}
