# Timer interrupts of the CLINT, then of stimecmp, at exact places in a busy loop.
        la t0, trap
        csrw mtvec, t0
        li s0, 0x2004000
        li s1, 0x200bff8
        ld t0, 0(s1)
        addi t0, t0, 5
        sd t0, 0(s0)
        li t0, 0x80
        csrw mie, t0
        csrsi mstatus, 8
        la a3, data
        li a1, 77
busy:   addi a0, a0, 1
        mul a2, a0, a1
        xor a2, a2, a0
        sd a2, 0(a3)
        ld a4, 8(a3)
        add a4, a4, a2
        sd a4, 8(a3)
        andi a5, a0, 7
        bnez a5, busy
        addi a1, a1, 2
        j busy
.align 2
trap:   csrr t1, mepc
        li t2, 31
        mul s2, s2, t2
        add s2, s2, t1
        csrr t0, mcause
        bgez t0, fail
        slli t0, t0, 1
        srli t0, t0, 1
        li t1, 7
        beq t0, t1, clint
        li t1, 5
        bne t0, t1, fail
        csrr t1, time
        addi t1, t1, 7
        csrw stimecmp, t1
        addi s4, s4, 1
        li t1, 40
        beq s4, t1, pass
        mret
clint:  ld t1, 0(s1)
        addi t1, t1, 5
        sd t1, 0(s0)
        addi s3, s3, 1
        li t2, 40
        bne s3, t2, back
        li t1, -1
        sd t1, 0(s0)
        li t1, 1
        slli t1, t1, 63
        csrs menvcfg, t1
        csrr t1, time
        addi t1, t1, 7
        csrw stimecmp, t1
        li t1, 0x20
        csrw mie, t1
back:   mret
.align 4
data:   .dword 0, 0
