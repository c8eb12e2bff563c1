# Two harts: messages by software interrupts, and a counter under a lock of LR and SC.
        csrr s0, mhartid
        li s1, 0x2000000
        la s2, shared
        la t0, trap
        csrw mtvec, t0
        li t0, 8
        csrw mie, t0
        li s4, 30
        slli s5, s0, 2
        add s5, s5, s1
        xori t0, s0, 1
        slli t0, t0, 2
        add s6, s1, t0
        csrsi mstatus, 8
        bnez s0, wait
send:   li t0, 1
        sw t0, 0(s6)
wait:   csrci mstatus, 8
        bne s3, s7, woken
        wfi
woken:  csrsi mstatus, 8
        beq s3, s7, wait
        mv s7, s3
        beq s7, s4, last
        j send
last:   beqz s0, lock
        li t0, 1
        sw t0, 0(s6)
lock:   li s8, 300
take:   lr.w.aq t0, (s2)
        bnez t0, spin
        li t1, 1
        sc.w t0, t1, (s2)
        bnez t0, take
        ld t1, 8(s2)
        addi t1, t1, 1
        sd t1, 8(s2)
        amoswap.w.rl zero, zero, (s2)
        addi s8, s8, -1
        bnez s8, take
        addi t0, s2, 16
        li t1, 1
        amoadd.w zero, t1, (t0)
join:   pause
        lw t1, 16(s2)
        li t2, 2
        bne t1, t2, join
        bnez s0, stop
        ld t1, 8(s2)
        li t2, 600
        bne t1, t2, fail
        j pass
stop:   wfi
        j stop
spin:   pause
        j take
.align 2
trap:   sw zero, 0(s5)
        addi s3, s3, 1
        mret
.align 6
shared: .dword 0, 0, 0
