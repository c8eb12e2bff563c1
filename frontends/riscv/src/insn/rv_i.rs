//! RV32I and RV64I: the base integer instructions, and `fence.i`.

use super::{Rv, xlen2, xlen2i};
use crate::privileged::S;
use crate::translate::Tr;
use crate::trap;
use tern_core::ir::{Bool, Builder, Exit, Val};
use tern_core::mem::Size;
use tern_decode::insns;

/// Compares registers and branches.
pub(super) fn branch<'a>(
    t: &mut Tr<'a>,
    a: i64,
    b: i64,
    i: i64,
    test: impl FnOnce(&mut Builder<'a>, crate::translate::X, crate::translate::X) -> Val<Bool>,
) {
    let (a, b) = (t.x(a), t.x(b));
    let cond = test(&mut t.b, a, b);
    t.branch(cond, i);
}

/// A system call of a program, a trap on a machine.
fn ecall(t: &mut Tr<'_>) {
    if !t.cpu.privileged.machine() {
        let next = t.next;
        return t.b.exit(Exit::Syscall(next));
    }
    let cause = match (t.mode.privilege(), t.mode.guest()) {
        (S, true) => trap::ECALL_VS,
        (privilege, _) => trap::ECALL_U + privilege as u32,
    };
    t.trap(cause, 0);
}

insns! {
    /// Common to RV32 and RV64.
    pub static RV_I: Group<Rv>, "i", width 32;
    /// Load upper immediate.
    lui "iiiiiiiiiiiiiiiiiiii ddddd 0110111" asm "{d:x}, {i:uimm20}"
        => |t, d, i| { let v = t.b.sconst(i64::from((i << 12) as i32)); t.put_x(d, v) };
    /// Add upper immediate to pc.
    auipc "iiiiiiiiiiiiiiiiiiii ddddd 0010111" asm "{d:x}, {i:uimm20}"
        => |t, d, i| t.set_pcrel(d, i64::from((i << 12) as i32));
    /// Jump and link.
    jal "iiiiiiiiiiiiiiiiiiii ddddd 1101111" asm "{d:x}, {i:jimm}" => |t, d, i| { let to = t.target(i); t.jump(d, to) };
    /// Jump and link register.
    jalr "iiiiiiiiiiii aaaaa 000 ddddd 1100111" asm "{d:x}, {i:simm}({a:x})" => |t, d, a, i| t.jump_register(d, a, i);

    /// Branch if equal.
    beq "iiiiiii bbbbb aaaaa 000 iiiii 1100011" asm "{a:x}, {b:x}, {i:bimm}"
        => |t, a, b, i| branch(t, a, b, i, Builder::eq);
    /// Branch if not equal.
    bne "iiiiiii bbbbb aaaaa 001 iiiii 1100011" asm "{a:x}, {b:x}, {i:bimm}"
        => |t, a, b, i| branch(t, a, b, i, Builder::ne);
    /// Branch if less than, signed.
    blt "iiiiiii bbbbb aaaaa 100 iiiii 1100011" asm "{a:x}, {b:x}, {i:bimm}"
        => |t, a, b, i| branch(t, a, b, i, Builder::lts);
    /// Branch if greater or equal, signed.
    bge "iiiiiii bbbbb aaaaa 101 iiiii 1100011" asm "{a:x}, {b:x}, {i:bimm}"
        => |t, a, b, i| branch(t, b, a, i, Builder::les);
    /// Branch if less than, unsigned.
    bltu "iiiiiii bbbbb aaaaa 110 iiiii 1100011" asm "{a:x}, {b:x}, {i:bimm}"
        => |t, a, b, i| branch(t, a, b, i, Builder::ltu);
    /// Branch if greater or equal, unsigned.
    bgeu "iiiiiii bbbbb aaaaa 111 iiiii 1100011" asm "{a:x}, {b:x}, {i:bimm}"
        => |t, a, b, i| branch(t, b, a, i, Builder::leu);

    /// Load byte.
    lb "iiiiiiiiiiii aaaaa 000 ddddd 0000011" asm "{d:x}, {i:simm}({a:x})"
        => |t, d, a, i| t.load(d, a, i, Size::B1, true);
    /// Load halfword.
    lh "iiiiiiiiiiii aaaaa 001 ddddd 0000011" asm "{d:x}, {i:simm}({a:x})"
        => |t, d, a, i| t.load(d, a, i, Size::B2, true);
    /// Load word.
    lw "iiiiiiiiiiii aaaaa 010 ddddd 0000011" asm "{d:x}, {i:simm}({a:x})"
        => |t, d, a, i| t.load(d, a, i, Size::B4, true);
    /// Load byte, unsigned.
    lbu "iiiiiiiiiiii aaaaa 100 ddddd 0000011" asm "{d:x}, {i:simm}({a:x})"
        => |t, d, a, i| t.load(d, a, i, Size::B1, false);
    /// Load halfword, unsigned.
    lhu "iiiiiiiiiiii aaaaa 101 ddddd 0000011" asm "{d:x}, {i:simm}({a:x})"
        => |t, d, a, i| t.load(d, a, i, Size::B2, false);
    /// Store byte.
    sb "iiiiiii bbbbb aaaaa 000 iiiii 0100011" asm "{b:x}, {i:store}({a:x})"
        => |t, b, a, i| t.store(b, a, i, Size::B1);
    /// Store halfword.
    sh "iiiiiii bbbbb aaaaa 001 iiiii 0100011" asm "{b:x}, {i:store}({a:x})"
        => |t, b, a, i| t.store(b, a, i, Size::B2);
    /// Store word.
    sw "iiiiiii bbbbb aaaaa 010 iiiii 0100011" asm "{b:x}, {i:store}({a:x})"
        => |t, b, a, i| t.store(b, a, i, Size::B4);

    /// Add immediate.
    addi "iiiiiiiiiiii aaaaa 000 ddddd 0010011" asm "{d:x}, {a:x}, {i:simm}" => |t, d, a, i| xlen2i!(t, d, a, i, add);
    /// Set if less than immediate, signed.
    slti "iiiiiiiiiiii aaaaa 010 ddddd 0010011" asm "{d:x}, {a:x}, {i:simm}"
        => |t, d, a, i| t.test2i(d, a, i, Builder::lts);
    /// Set if less than immediate, unsigned.
    sltiu "iiiiiiiiiiii aaaaa 011 ddddd 0010011" asm "{d:x}, {a:x}, {i:simm}"
        => |t, d, a, i| t.test2i(d, a, i, Builder::ltu);
    /// Exclusive or immediate.
    xori "iiiiiiiiiiii aaaaa 100 ddddd 0010011" asm "{d:x}, {a:x}, {i:simm}"
        => |t, d, a, i| t.op2i(d, a, i, Builder::xor);
    /// Or immediate.
    ori "iiiiiiiiiiii aaaaa 110 ddddd 0010011" asm "{d:x}, {a:x}, {i:simm}"
        => |t, d, a, i| t.op2i(d, a, i, Builder::or);
    /// And immediate.
    andi "iiiiiiiiiiii aaaaa 111 ddddd 0010011" asm "{d:x}, {a:x}, {i:simm}"
        => |t, d, a, i| t.op2i(d, a, i, Builder::and);

    /// Add.
    add "0000000 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, add);
    /// Subtract.
    sub "0100000 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, sub);
    /// Shift left logical.
    sll "0000000 bbbbb aaaaa 001 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, shl);
    /// Set if less than, signed.
    slt "0000000 bbbbb aaaaa 010 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.test2(d, a, b, Builder::lts);
    /// Set if less than, unsigned.
    sltu "0000000 bbbbb aaaaa 011 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.test2(d, a, b, Builder::ltu);
    /// Exclusive or.
    xor "0000000 bbbbb aaaaa 100 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2(d, a, b, Builder::xor);
    /// Shift right logical.
    srl "0000000 bbbbb aaaaa 101 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, shr);
    /// Shift right arithmetic.
    sra "0100000 bbbbb aaaaa 101 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, sar);
    /// Or.
    or "0000000 bbbbb aaaaa 110 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2(d, a, b, Builder::or);
    /// And.
    and "0000000 bbbbb aaaaa 111 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2(d, a, b, Builder::and);

    /// Order memory accesses.  Reserved modes order everything, as the manual demands.
    fence ".... pppp ssss ..... 000 ..... 0001111" asm "{p:fence}, {s:fence}" => |t| t.b.fence();
    /// Total store order fence.
    fence_tso: "fence.tso" "1000 0011 0011 ..... 000 ..... 0001111" asm "" => |t| t.b.fence();
    /// Environment call.
    ecall "000000000000 00000 000 00000 1110011" asm "" => |t| ecall(t);
    /// Breakpoint.
    ebreak "000000000001 00000 000 00000 1110011" asm "" => |t| { let pc = t.pc; t.trap(trap::BREAKPOINT, pc) };

    nop   "" = "addi zero, zero, 0";
    li    "{d}, {i}" = "addi {d}, zero, {i}";
    mv    "{d}, {a}" = "addi {d}, {a}, 0";
    not   "{d}, {a}" = "xori {d}, {a}, -1";
    neg   "{d}, {a}" = "sub {d}, zero, {a}";
    seqz  "{d}, {a}" = "sltiu {d}, {a}, 1";
    snez  "{d}, {a}" = "sltu {d}, zero, {a}";
    sltz  "{d}, {a}" = "slt {d}, {a}, zero";
    sgtz  "{d}, {a}" = "slt {d}, zero, {a}";
    beqz  "{a}, {i}" = "beq {a}, zero, {i}";
    bnez  "{a}, {i}" = "bne {a}, zero, {i}";
    blez  "{a}, {i}" = "bge zero, {a}, {i}";
    bgez  "{a}, {i}" = "bge {a}, zero, {i}";
    bltz  "{a}, {i}" = "blt {a}, zero, {i}";
    bgtz  "{a}, {i}" = "blt zero, {a}, {i}";
    bgt   "{a}, {b}, {i}" -> "blt {b}, {a}, {i}";
    ble   "{a}, {b}, {i}" -> "bge {b}, {a}, {i}";
    bgtu  "{a}, {b}, {i}" -> "bltu {b}, {a}, {i}";
    bleu  "{a}, {b}, {i}" -> "bgeu {b}, {a}, {i}";
    j     "{i}" = "jal zero, {i}";
    jal_: "jal" "{i}" = "jal ra, {i}";
    ret   "" = "jalr zero, 0(ra)";
    jr    "{a}" = "jalr zero, 0({a})";
    jalr_: "jalr" "{a}" = "jalr ra, 0({a})";
    fence_all: "fence" "" = "fence iorw, iorw";
    la    "{d}, {s}" -> "auipc {d}, %pcrel_hi({s}); addi {d}, {d}, %pcrel_lo(.-4)";
    lla   "{d}, {s}" -> "auipc {d}, %pcrel_hi({s}); addi {d}, {d}, %pcrel_lo(.-4)";
    call  "{s}" -> "auipc ra, %pcrel_hi({s}); jalr ra, %pcrel_lo(.-4)(ra)";
    tail  "{s}" -> "auipc t1, %pcrel_hi({s}); jalr zero, %pcrel_lo(.-4)(t1)";
}

insns! {
    /// Shifts whose amount has five bits.
    pub static RV32_I: Group<Rv>, "i", width 32;
    /// Shift left logical immediate.
    slli "0000000 sssss aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh5}" => |t, d, a, s| xlen2i!(t, d, a, s, shl);
    /// Shift right logical immediate.
    srli "0000000 sssss aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh5}" => |t, d, a, s| xlen2i!(t, d, a, s, shr);
    /// Shift right arithmetic immediate.
    srai "0100000 sssss aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh5}" => |t, d, a, s| xlen2i!(t, d, a, s, sar);
}

insns! {
    /// Only on RV64.
    pub static RV64_I: Group<Rv>, "i", width 32;
    /// Load doubleword.
    ld "iiiiiiiiiiii aaaaa 011 ddddd 0000011" asm "{d:x}, {i:simm}({a:x})"
        => |t, d, a, i| t.load(d, a, i, Size::B8, false);
    /// Load word, unsigned.
    lwu "iiiiiiiiiiii aaaaa 110 ddddd 0000011" asm "{d:x}, {i:simm}({a:x})"
        => |t, d, a, i| t.load(d, a, i, Size::B4, false);
    /// Store doubleword.
    sd "iiiiiii bbbbb aaaaa 011 iiiii 0100011" asm "{b:x}, {i:store}({a:x})"
        => |t, b, a, i| t.store(b, a, i, Size::B8);
    /// Shift left logical immediate.
    slli "000000 ssssss aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh6}"
        => |t, d, a, s| t.op2i(d, a, s, Builder::shl);
    /// Shift right logical immediate.
    srli "000000 ssssss aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh6}"
        => |t, d, a, s| t.op2i(d, a, s, Builder::shr);
    /// Shift right arithmetic immediate.
    srai "010000 ssssss aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh6}"
        => |t, d, a, s| t.op2i(d, a, s, Builder::sar);
    /// Add immediate, 32 bits.
    addiw "iiiiiiiiiiii aaaaa 000 ddddd 0011011" asm "{d:x}, {a:x}, {i:simm}"
        => |t, d, a, i| t.op2iw(d, a, i, Builder::add);
    /// Shift left logical immediate, 32 bits.
    slliw "0000000 sssss aaaaa 001 ddddd 0011011" asm "{d:x}, {a:x}, {s:sh5}"
        => |t, d, a, s| t.op2iw(d, a, s, Builder::shl);
    /// Shift right logical immediate, 32 bits.
    srliw "0000000 sssss aaaaa 101 ddddd 0011011" asm "{d:x}, {a:x}, {s:sh5}"
        => |t, d, a, s| t.op2iw(d, a, s, Builder::shr);
    /// Shift right arithmetic immediate, 32 bits.
    sraiw "0100000 sssss aaaaa 101 ddddd 0011011" asm "{d:x}, {a:x}, {s:sh5}"
        => |t, d, a, s| t.op2iw(d, a, s, Builder::sar);
    /// Add, 32 bits.
    addw "0000000 bbbbb aaaaa 000 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2w(d, a, b, Builder::add);
    /// Subtract, 32 bits.
    subw "0100000 bbbbb aaaaa 000 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2w(d, a, b, Builder::sub);
    /// Shift left logical, 32 bits.
    sllw "0000000 bbbbb aaaaa 001 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2w(d, a, b, Builder::shl);
    /// Shift right logical, 32 bits.
    srlw "0000000 bbbbb aaaaa 101 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2w(d, a, b, Builder::shr);
    /// Shift right arithmetic, 32 bits.
    sraw "0100000 bbbbb aaaaa 101 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2w(d, a, b, Builder::sar);

    sext_w: "sext.w" "{d}, {a}" = "addiw {d}, {a}, 0";
    negw  "{d}, {a}" = "subw {d}, zero, {a}";
}

insns! {
    /// Zifencei.
    pub static ZIFENCEI: Group<Rv>, "zifencei", width 32;
    /// Order instruction fetches after earlier stores.
    fence_i: "fence.i" "............ ..... 001 ..... 0001111" asm "" => |t| t.resync();
}
