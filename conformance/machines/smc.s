# Code that is changed through one virtual mapping and runs through two.
        li t0, -1
        csrw pmpaddr0, t0
        li t0, 0x1f
        csrw pmpcfg0, t0
        la t0, fail
        csrw mtvec, t0
        li s0, 0x80100000
        li t0, 0xcf
        sd t0, 0(s0)
        li t0, 0x20040401
        sd t0, 8(s0)
        li t0, 0x200000cf
        sd t0, 16(s0)
        li t1, 0x80101000
        li t0, 0x20040801
        sd t0, 0(t1)
        li s1, 0x80102000
        la t0, code
        srli t0, t0, 12
        slli t0, t0, 10
        addi t0, t0, 0xcf
        sd t0, 0(s1)
        sd t0, 8(s1)
        li t0, 1
        slli t0, t0, 63
        li t1, 0x80100
        or t0, t0, t1
        csrw satp, t0
        sfence.vma
        li t0, 0x1800
        csrc mstatus, t0
        li t0, 0x800
        csrs mstatus, t0
        la t0, super
        csrw mepc, t0
        mret
super:  li s0, 0x40000000
        li s1, 0x40001000
        li s2, 0x00050513
        li s4, 1
        slli s4, s4, 20
next:   jalr s0
        sw s2, 0(s1)
        fence.i
        jalr s0
        jalr s1
        add s2, s2, s4
        addi s3, s3, 1
        li t0, 100
        bne s3, t0, next
# Changed from 0 to 99: run before the change (i - 1), and twice after it (i); the first time it is 0.
        li t0, 14751
        bne a0, t0, fail
        j pass
.align 12
code:   addi a0, a0, 0
        ret
