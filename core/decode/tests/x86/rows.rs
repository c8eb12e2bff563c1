//! The rows, as a frontend would have them: the family, its kinds and a chapter.
//!
//! The key is `map(3) pp(2) size(2) P(1) RXB(3) opcode(8) mod(2) reg(3) rm(3)`: opcode map (0 one byte, 1 `0F`),
//! mandatory prefix as in VEX (0 none, 1 `66`, 2 `F3`, 3 `F2`), operand size (0 dword, 1 word, 2 qword), whether there is a
//! REX prefix, its R, X and B, opcode, ModRM (0 if the opcode has none). Letters: `s` size, `w` the opcode's bit that is 0
//! for bytes, `P` as above, `r` R and reg, `e` X, B, mod and rm.

use crate::operands::{EA, EA_8, EA_16, EA_ADDRESS, EA_MEM, EA_XMM, GPR, IMM, IMM_8, IMM_64, REL_8, REL_32};
use tern_decode::{Family, insns, kinds};

pub(crate) struct X86;

/// Logs what bodies were called with. A real translator also holds the tail.
pub(crate) struct Tr {
    pub(crate) log: Vec<(&'static str, Vec<i64>)>,
}

impl Tr {
    fn note(&mut self, what: &'static str, operands: &[i64]) {
        self.log.push((what, operands.to_vec()));
    }
}

impl Family for X86 {
    type Tr<'a> = Tr;
    type Ret = ();
    const KINDS: &'static [tern_decode::Kind] = KINDS;
}

const fn memory(word: u64) -> bool {
    word >> 6 & 3 != 3
}

kinds! { pub(crate) KINDS;
    size  = named(2) names "dword word qword -";
    cond  = named(4) names "o no b ae e ne be a s ns p np l ge le g" alias "c=2 nc z nz nae=2 nb=3 na=6 nbe=7 pe=10 po nge nl ng nle";
    gpr64 = reg(4) names "rax rcx rdx rbx rsp rbp rsi rdi r8..r15";
    xmm   = reg(4) names "xmm0..xmm15";
    gpr   = tail(4) by(&GPR);
    ea    = tail(7) by(&EA);
    em    = tail(7) by(&EA_MEM);
    addr  = tail(7) by(&EA_ADDRESS);
    ea8   = tail(7) by(&EA_8);
    ea16  = tail(7) by(&EA_16);
    eaxmm = tail(7) by(&EA_XMM);
    imm   = tail(0) by(&IMM);
    imm8  = tail(0) by(&IMM_8);
    imm64 = tail(0) by(&IMM_64);
    rel8  = tail(0) by(&REL_8);
    rel32 = tail(0) by(&REL_32);
}

insns! { pub(crate) static ALU: Group<X86>, "base", width 27;
    add_rm_r: "add" "000 .. ss P ree 0000000w eerrreee" asm "{e:ea}, {r:gpr}"
        => |t, s: size, w, e, r| t.note("add_rm_r", &[s, w, e, r]);
    /// The form of the manuals' `add r, r/m`; assemblers use it for memory only.
    add_r_rm: "add" "000 .. ss P ree 0000001w eerrreee" asm "{r:gpr}, {e:em}"
        => |t, s: size, w, e, r| t.note("add_r_rm", &[s, w, e, r]);
    add_rm_i8: "add" "000 .. ss . .ee 10000011 ee000eee" asm "{e:ea}, {i:imm8}"
        => |t, s: size, e| t.note("add_rm_i8", &[s, e]);
    add_rm_i: "add" "000 .. ss P .ee 1000000w ee000eee" asm "{e:ea}, {i:imm}"
        => |t, s: size, w, e| t.note("add_rm_i", &[s, w, e]);
    sub_rm_r: "sub" "000 .. ss P ree 0010100w eerrreee" asm "{e:ea}, {r:gpr}"
        => |t, s: size, w, e, r| t.note("sub_rm_r", &[s, w, e, r]);
    sub_r_rm: "sub" "000 .. ss P ree 0010101w eerrreee" asm "{r:gpr}, {e:em}"
        => |t, s: size, w, e, r| t.note("sub_r_rm", &[s, w, e, r]);
    sub_rm_i8: "sub" "000 .. ss . .ee 10000011 ee101eee" asm "{e:ea}, {i:imm8}"
        => |t, s: size, e| t.note("sub_rm_i8", &[s, e]);
    sub_rm_i: "sub" "000 .. ss P .ee 1000000w ee101eee" asm "{e:ea}, {i:imm}"
        => |t, s: size, w, e| t.note("sub_rm_i", &[s, w, e]);
    imul_r_rm_i8: "imul" "000 .. ss . ree 01101011 eerrreee" asm "{r:gpr}, {e:ea}, {i:imm8}"
        => |t, s: size, r, e| t.note("imul_r_rm_i8", &[s, r, e]);
    imul_r_rm_i: "imul" "000 .. ss . ree 01101001 eerrreee" asm "{r:gpr}, {e:ea}, {i:imm}"
        => |t, s: size, r, e| t.note("imul_r_rm_i", &[s, r, e]);
}

insns! { pub(crate) static MOVE: Group<X86>, "base", width 27;
    mov_rm_r: "mov" "000 .. ss P ree 1000100w eerrreee" asm "{e:ea}, {r:gpr}"
        => |t, s: size, w, e, r| t.note("mov_rm_r", &[s, w, e, r]);
    mov_r_rm: "mov" "000 .. ss P ree 1000101w eerrreee" asm "{r:gpr}, {e:em}"
        => |t, s: size, w, e, r| t.note("mov_r_rm", &[s, w, e, r]);
    /// With a sign-extended immediate: shorter than `movabs`.
    mov_r64_i: "mov" "000 .. 10 . ..e 11000111 11000eee" asm "{e:gpr64}, {i:imm}"
        => |t, e| t.note("mov_r64_i", &[e]);
    mov_rm_i: "mov" "000 .. ss P .ee 1100011w ee000eee" asm "{e:em}, {i:imm}"
        => |t, s: size, w, e| t.note("mov_rm_i", &[s, w, e]);
    mov_r_i: "mov" "000 .. ss P ..r 1011wrrr ........" asm "{r:gpr}, {i:imm}" where s != 2
        => |t, s: size, w, r| t.note("mov_r_i", &[s, w, r]);
    mov_r64_i64: "movabs" "000 .. 10 . ..r 10111rrr ........" asm "{r:gpr64}, {i:imm64}"
        => |t, r| t.note("mov_r64_i64", &[r]);
    lea "000 .. ss . ree 10001101 eerrreee" asm "{r:gpr}, {e:addr}" if |w| memory(w)
        => |t, s: size, r, e| t.note("lea", &[s, r, e]);
    movzx_r_rm8: "movzx" "001 .. ss P ree 10110110 eerrreee" asm "{r:gpr}, {e:ea8}"
        => |t, s: size, r, e| t.note("movzx_r_rm8", &[s, r, e]);
    movzx_r_rm16: "movzx" "001 .. ss . ree 10110111 eerrreee" asm "{r:gpr}, {e:ea16}"
        => |t, s: size, r, e| t.note("movzx_r_rm16", &[s, r, e]);
    push_r: "push" "000 .. .. . ..r 01010rrr ........" asm "{r:gpr64}"
        => |t, r| t.note("push_r", &[r]);
    push_i8: "push" "000 .. .. . ... 01101010 ........" asm "{i:imm8}"
        => |t| t.note("push_i8", &[]);
    push_i: "push" "000 .. 00 . ... 01101000 ........" asm "{i:imm}"
        => |t| t.note("push_i", &[]);
}

insns! { pub(crate) static JUMP: Group<X86>, "base", width 27;
    jcc_rel8: "j{c:cond}" "000 .. .. . ... 0111cccc ........" asm "{i:rel8}"
        => |t, c| t.note("jcc_rel8", &[c]);
    jcc_rel32: "j{c:cond}" "001 .. .. . ... 1000cccc ........" asm "{i:rel32}"
        => |t, c| t.note("jcc_rel32", &[c]);
}

insns! { pub(crate) static SSE2: Group<X86>, "sse2", width 27;
    addsd "001 11 .. . ree 01011000 eerrreee" asm "{r:xmm}, {e:eaxmm}"
        => |t, r, e| t.note("addsd", &[r, e]);
}
