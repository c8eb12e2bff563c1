# The hart waits for timers: time goes on, instructions do not.
        li s0, 0x2004000
        li s1, 0x200bff8
        li t0, 0x80
        csrw mie, t0
        li s3, 20
wait:   ld s2, 0(s1)
        li t1, 100000
        add t0, s2, t1
        sd t0, 0(s0)
        wfi
        ld t2, 0(s1)
        bltu t2, t0, fail
        csrr t3, mip
        andi t3, t3, 0x80
        beqz t3, fail
        addi s3, s3, -1
        bnez s3, wait
        csrr t0, mcycle
        li t1, 100000
        bgeu t0, t1, fail
        j pass
