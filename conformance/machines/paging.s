# Supervisor and user mode with Sv39: the supervisor exchanges the user's page, sets accessed and dirty bits on faults.
        li t0, -1
        csrw pmpaddr0, t0
        li t0, 0x1f
        csrw pmpcfg0, t0
        la t0, fail
        csrw mtvec, t0
        li t0, 1
        slli t0, t0, 61
        csrc menvcfg, t0
        li t0, 0xb100
        csrw medeleg, t0
        la t0, trap
        csrw stvec, t0
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
        la t0, user
        srli t0, t0, 12
        slli t0, t0, 10
        addi t0, t0, 0x5b
        sd t0, 0(s1)
        li s2, 0x20040c17
        li s3, 0x20041017
        sd s2, 8(s1)
        li t0, 1
        slli t0, t0, 63
        li t1, 0x80100
        or t0, t0, t1
        csrw satp, t0
        sfence.vma
        li t0, 0x1800
        csrc mstatus, t0
        li t0, 0x40000000
        csrw mepc, t0
        mret
.align 2
trap:   csrr t0, scause
        li t1, 8
        beq t0, t1, call
        addi s5, s5, 1
        ld t0, 8(s1)
        ori t0, t0, 0xc0
        sd t0, 8(s1)
        li t1, 0x40001000
        sfence.vma t1
        sret
call:   csrr t0, sepc
        addi t0, t0, 4
        csrw sepc, t0
        addi s6, s6, 1
        li t0, 40
        beq s6, t0, check
        ld t0, 8(s1)
        sd s3, 8(s1)
        mv s4, s2
        mv s2, s3
        mv s3, s4
        sfence.vma
        sret
check:  li t0, 0x80103000
        lw t1, 0(t0)
        li t2, 0x80104000
        lw t3, 0(t2)
        add t1, t1, t3
        li t3, 40
        bne t1, t3, fail
        li t3, 40
        bne s5, t3, fail
        j pass
.align 12
user:   lui a1, 0x40001
again:  lw a0, 0(a1)
        addi a0, a0, 1
        sw a0, 0(a1)
        ecall
        j again
