//! A small RISC-V-like ISA that exercises every part of the table language.

use tern_decode::{Family, insns, kinds};

pub(crate) struct Rv;

/// Records what bodies were called with.
pub(crate) struct Tr<'a> {
    pub(crate) log: &'a mut Vec<(&'static str, Vec<i64>)>,
}

impl Family for Rv {
    type Tr<'a> = Tr<'a>;
    type Ret = bool;
    const KINDS: &'static [tern_decode::Kind] = KINDS;
}

const X: &str = "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6";

kinds! { pub(crate) KINDS;
    x      = reg(5) names(X) alias "x0..x31";
    xc     = reg(3) names(X) alias "x0..x31" plus 8;
    rm     = reg(3) names ", rne|, rtz|, rdn|, rup|, rmm|-|-|";
    aqrl   = reg(2) names "|.rl|.aq|.aqrl";
    simm   = signed(12);
    store  = signed bits "11:5|4:0";
    bimm   = signed bits "12|10:5|4:1|11" pcrel;
    jimm   = signed bits "20|10:1|11|19:12" pcrel;
    uimm20 = unsigned(20) hex;
    csr    = unsigned(12) names "fflags=1 frm fcsr cycle=0xc00 time" hex;
    clwsp  = unsigned bits "5|4:2|7:6";
    cimm   = signed bits "5|4:0";
    sp16   = signed bits "9|4|6|8:7|5";
    shamt  = unsigned(5);
    nzlog  = unsigned(3) map(|r| 1 << r, |v| if v > 0 && v.count_ones() == 1 { Some(u64::from(v.trailing_zeros())) } else { None });
}

insns! { pub(crate) static RV_I: Group<Rv>, "I", width 32;
    /// Add immediate.
    addi "iiiiiiiiiiii aaaaa 000 ddddd 0010011" asm "{d:x}, {a:x}, {i:simm}"
        => |t, d, a, i| { t.log.push(("addi", vec![d, a, i])); false };
    slli "0000000 sssss aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {s:shamt}"
        => |t, d, a, s| { t.log.push(("slli", vec![d, a, s])); false };
    add  "0000000 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| { t.log.push(("add", vec![d, a, b])); false };
    sub  "0100000 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| { t.log.push(("sub", vec![d, a, b])); false };
    lui  "iiiiiiiiiiiiiiiiiiii ddddd 0110111" asm "{d:x}, {i:uimm20}"
        => |t, d, i| { t.log.push(("lui", vec![d, i])); false };
    auipc "iiiiiiiiiiiiiiiiiiii ddddd 0010111" asm "{d:x}, {i:uimm20}"
        => |t, d, i| { t.log.push(("auipc", vec![d, i])); false };
    beq  "iiiiiii bbbbb aaaaa 000 iiiii 1100011" asm "{a:x}, {b:x}, {i:bimm}"
        => |t, a, b, i| { t.log.push(("beq", vec![a, b, i])); true };
    blt  "iiiiiii bbbbb aaaaa 100 iiiii 1100011" asm "{a:x}, {b:x}, {i:bimm}"
        => |t, a, b, i| { t.log.push(("blt", vec![a, b, i])); true };
    jal  "iiiiiiiiiiiiiiiiiiii ddddd 1101111" asm "{d:x}, {i:jimm}"
        => |t, d, i| { t.log.push(("jal", vec![d, i])); true };
    jalr "iiiiiiiiiiii aaaaa 000 ddddd 1100111" asm "{d:x}, {i:simm}({a:x})"
        => |t, d, a, i| { t.log.push(("jalr", vec![d, a, i])); true };
    lw   "iiiiiiiiiiii aaaaa 010 ddddd 0000011" asm "{d:x}, {i:simm}({a:x})"
        => |t, d, a, i| { t.log.push(("lw", vec![d, a, i])); false };
    sw   "iiiiiii bbbbb aaaaa 010 iiiii 0100011" asm "{b:x}, {i:store}({a:x})"
        => |t, b, a, i| { t.log.push(("sw", vec![b, a, i])); false };
    fence "---- pppp ssss ..... 000 ..... 0001111" asm "{p}, {s}"
        => |t, p, s| { t.log.push(("fence", vec![p, s])); false };
    fence_tso: "fence.tso" "1000 0011 0011 ..... 000 ..... 0001111" asm "" => |_t| false;
    ecall "000000000000 00000 000 00000 1110011" asm "" => |_t| true;
    csrrw "cccccccccccc aaaaa 001 ddddd 1110011" asm "{d:x}, {c:csr}, {a:x}"
        => |t, d, c, a| { t.log.push(("csrrw", vec![d, c, a])); false };
    amoadd_w: "amoadd.w{q:aqrl}" "00000 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b, q| { t.log.push(("amoadd.w", vec![d, a, b, q])); false };
    fadd_s: "fadd.s" "0000000 bbbbb aaaaa rrr ddddd 1010011" asm "{d:x}, {a:x}, {b:x}{r:rm}"
        => |t, d, a, b, r| { t.log.push(("fadd.s", vec![d, a, b, r])); false };
    pair "0000001 bbbbb aaaaa 111 ddddd 0001011" asm "{d:x}, {a:x}, {b:x}" where a != b, d == [2, 4, 6]
        => |t, d, a: shamt, b| { t.log.push(("pair", vec![d, a, b])); false };
    odd  "0000010 bbbbb aaaaa 111 ddddd 0001011" asm "{d:x}, {a:x}, {b:x}" if |w| w.count_ones() % 2 == 1
        => |t, d, a, b| { t.log.push(("odd", vec![d, a, b])); false };
    align "0000011 00000 00nnn 111 ddddd 0001011" asm "{d:x}, {n:nzlog}"
        => |t, d, n| { t.log.push(("align", vec![d, n])); false };
    Upper "000010 H bbbbb aaaaa 111 ddddd 0001011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b, H| { t.log.push(("Upper", vec![d, a, b, H])); false };

    nop  "" = "addi zero, zero, 0";
    li   "{d}, {i}" = "addi {d}, zero, {i}";
    mv   "{d}, {a}" = "addi {d}, {a}, 0";
    neg  "{d}, {a}" = "sub {d}, zero, {a}";
    beqz "{a}, {i}" = "beq {a}, zero, {i}";
    bgt  "{a}, {b}, {i}" -> "blt {b}, {a}, {i}";
    ret  "" = "jalr zero, 0(ra)";
    j    "{i}" = "jal zero, {i}";
    la   "{d}, {s}" -> "auipc {d}, %pcrel_hi({s}); addi {d}, {d}, %pcrel_lo(.-4)";
}

insns! { pub(crate) static RV_C: Group<Rv>, "C", width 16;
    c_addi: "c.addi" "000 i ddddd iiiii 01" asm "{d:x}, {i:cimm}" where d != 0, i != 0
        => |t, d, i| { t.log.push(("c.addi", vec![d, i])); false };
    c_nop: "c.nop" "000 0 00000 00000 01" asm "" => |_t| false;
    c_li: "c.li" "010 i ddddd iiiii 01" asm "{d:x}, {i:cimm}" where d != 0
        => |t, d, i| { t.log.push(("c.li", vec![d, i])); false };
    c_lui: "c.lui" "011 i ddddd iiiii 01" asm "{d:x}, {i:cimm}" where d != [0, 2], i != 0
        => |t, d, i| { t.log.push(("c.lui", vec![d, i])); false };
    c_addi16sp: "c.addi16sp" "011 i 00010 iiiii 01" asm "sp, {i:sp16}" where i != 0
        => |t, i| { t.log.push(("c.addi16sp", vec![i])); false };
    c_lwsp: "c.lwsp" "010 i ddddd iiiii 10" asm "{d:x}, {i:clwsp}(sp)" where d != 0
        => |t, d, i| { t.log.push(("c.lwsp", vec![d, i])); false };
    c_sub: "c.sub" "100 0 11 ddd 00 bbb 01" asm "{d:xc}, {b:xc}"
        => |t, d, b| { t.log.push(("c.sub", vec![d, b])); false };
    c_jr: "c.jr" "1000 aaaaa 00000 10" asm "{a:x}" where a != 0 => |t, a| { t.log.push(("c.jr", vec![a])); true };
    c_mv: "c.mv" "1000 ddddd bbbbb 10" asm "{d:x}, {b:x}" where d != 0, b != 0
        => |t, d, b| { t.log.push(("c.mv", vec![d, b])); false };
}
