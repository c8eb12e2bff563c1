//! The guest programs of the micro-benchmarks, RV64 assembly; each ends in `ecall`.

/// Where code lies.
pub(crate) const CODE: u64 = 0x1_0000;
/// Where 64 KiB of data lie.
pub(crate) const DATA: u64 = 0x1000_0000;
/// End of the stack, in the data.
const STACK: u64 = DATA + 0x1_0000;

/// A micro-benchmark.
pub(crate) struct Program {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// What it stresses.
    pub(crate) what: &'static str,
    /// Iterations of a measured run.
    rounds: u32,
    body: &'static str,
}

impl Program {
    /// The source, with `1/shrink` of the usual rounds.
    pub(crate) fn source(&self, shrink: u32) -> String {
        let rounds = self.rounds / shrink;
        format!("    li s0, {rounds}\n    li s1, {DATA}\n    li sp, {STACK}\n{}", self.body)
    }
}

/// All of them.
pub(crate) const PROGRAMS: [Program; 7] = [
    Program {
        name: "alu",
        what: "integer arithmetic in one loop, partly a dependency chain",
        rounds: 3_000_000,
        body: "
1:  add  a2, a2, s0
    slli a3, a2, 13
    xor  a2, a2, a3
    srli a3, a2, 7
    xor  a2, a2, a3
    addi a4, a4, 3
    subw a5, a5, a4
    and  a6, a5, a2
    mul  a7, a6, a4
    addi s0, s0, -1
    bne  s0, zero, 1b
    ecall
",
    },
    Program {
        name: "memory",
        what: "loads and stores of four sizes over 32 KiB",
        rounds: 3_000,
        body: "
1:  addi t0, s1, 0
    li   t1, 1024
2:  ld   a2, 0(t0)
    add  a3, a3, a2
    lw   a4, 12(t0)
    addw a3, a3, a4
    sd   a3, 16(t0)
    lbu  a5, 24(t0)
    sh   a5, 26(t0)
    sb   a3, 25(t0)
    addi t0, t0, 32
    addi t1, t1, -1
    bne  t1, zero, 2b
    addi s0, s0, -1
    bne  s0, zero, 1b
    ecall
",
    },
    Program {
        name: "calls",
        what: "recursive calls and returns (Fibonacci)",
        rounds: 30,
        body: "
1:  addi a0, zero, 20
    jal  ra, fib
    addi s0, s0, -1
    bne  s0, zero, 1b
    ecall
fib:
    addi t0, zero, 2
    blt  a0, t0, 3f
    addi sp, sp, -32
    sd   ra, 0(sp)
    sd   a0, 8(sp)
    addi a0, a0, -1
    jal  ra, fib
    sd   a0, 16(sp)
    ld   a0, 8(sp)
    addi a0, a0, -2
    jal  ra, fib
    ld   a1, 16(sp)
    add  a0, a0, a1
    ld   ra, 0(sp)
    addi sp, sp, 32
3:  jalr zero, 0(ra)
",
    },
    Program {
        name: "indirect",
        what: "jumps to one of eight places, at random",
        rounds: 2_000_000,
        body: "
    lui  s2, %hi(places)
    addi s2, s2, %lo(places)
    addi s3, s0, 1
1:  slli t0, s3, 13
    xor  s3, s3, t0
    srli t0, s3, 7
    xor  s3, s3, t0
    slli t0, s3, 17
    xor  s3, s3, t0
    andi t0, s3, 0x70
    add  t0, s2, t0
    jalr zero, 0(t0)
2:  addi s0, s0, -1
    bne  s0, zero, 1b
    ecall
    .balign 16
places:
    addi a0, a0, 1
    jal  zero, 2b
    .balign 16
    addi a1, a1, 2
    jal  zero, 2b
    .balign 16
    add  a2, a2, a1
    jal  zero, 2b
    .balign 16
    xor  a3, a3, a0
    jal  zero, 2b
    .balign 16
    sub  a4, a4, a2
    jal  zero, 2b
    .balign 16
    slli a5, a0, 3
    jal  zero, 2b
    .balign 16
    or   a6, a6, a5
    jal  zero, 2b
    .balign 16
    addiw a7, a7, -1
    jal  zero, 2b
",
    },
    Program {
        name: "branches",
        what: "conditional branches, half of them at random",
        rounds: 3_000_000,
        body: "
    addi s3, s0, 1
1:  slli t0, s3, 13
    xor  s3, s3, t0
    srli t0, s3, 7
    xor  s3, s3, t0
    slli t0, s3, 17
    xor  s3, s3, t0
    andi t0, s3, 1
    beq  t0, zero, 2f
    addi a0, a0, 1
2:  blt  s3, zero, 3f
    addi a1, a1, 1
3:  addi s0, s0, -1
    bne  s0, zero, 1b
    ecall
",
    },
    Program {
        name: "float",
        what: "double precision: sums, products, fused, conversions",
        rounds: 2_000_000,
        body: "
    addi t0, zero, 3
    fcvt.d.l fa0, t0
    addi t0, zero, 7
    fcvt.d.l fa1, t0
    fdiv.d fa2, fa0, fa1
1:  fmadd.d fa3, fa3, fa2, fa0
    fadd.d fa4, fa4, fa3
    fmul.d fa5, fa4, fa2
    fsub.d fa6, fa5, fa0
    fcvt.l.d t1, fa3, rtz
    fcvt.d.l fa7, t1
    flt.d t2, fa6, fa7
    add  a0, a0, t2
    addi s0, s0, -1
    bne  s0, zero, 1b
    ecall
",
    },
    Program {
        name: "divide",
        what: "divisions and square roots, integer and double",
        rounds: 1_000_000,
        body: "
    li   s3, 1000000007
    addi t0, zero, 7
    fcvt.d.l fa0, t0
1:  divu t0, s3, s0
    remw t1, t0, s0
    add  a0, a0, t1
    fcvt.d.l fa1, s0
    fdiv.d fa2, fa1, fa0
    fsqrt.d fa3, fa2
    fadd.d fa4, fa4, fa3
    addi s0, s0, -1
    bne  s0, zero, 1b
    ecall
",
    },
];

/// Straight code with forward branches, as compilers write it: `insns` instructions that work anywhere.
pub(crate) fn cold(insns: u32) -> String {
    const ALU: [&str; 8] = ["add", "sub", "xor", "and", "or", "addw", "sltu", "mul"];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let mut text = String::new();
    let mut open = 0;
    for _ in 0..insns {
        let (d, a, b) = (random(7), random(7), random(7));
        let offset = random(64) * 8;
        let line = match random(16) {
            0..=4 => format!("{} a{d}, a{a}, a{b}", ALU[random(8) as usize]),
            5..=7 => format!("addi a{d}, a{a}, {}", random(512)),
            8 => format!("slli a{d}, a{a}, {}", random(63)),
            9..=11 => format!("ld a{d}, {offset}(s1)"),
            12 | 13 => format!("sd a{d}, {offset}(s1)"),
            14 if open == 0 => {
                open = 1 + random(12);
                format!("blt a{a}, a{b}, 1f")
            }
            14 => format!("lui a{d}, {}", random(1 << 19)),
            _ => format!("lbu a{d}, {offset}(s1)"),
        };
        text += "    ";
        text += &line;
        text += "\n";
        if open > 0 {
            open -= 1;
            if open == 0 {
                text += "1:\n";
            }
        }
    }
    if open > 0 {
        text += "1:\n";
    }
    text
}
