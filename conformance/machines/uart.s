# The serial port's transmitter interrupts through the PLIC; the hart waits between them.
        la t0, trap
        csrw mtvec, t0
        la s0, text
        li s1, 0x10000000
        li s2, 0xc000000
        li s3, 0xc200000
        li t0, 1
        sw t0, 40(s2)
        li t1, 0xc002000
        li t0, 1024
        sw t0, 0(t1)
        sw zero, 0(s3)
        li t0, 0x800
        csrw mie, t0
        csrsi mstatus, 8
        li t0, 2
        sb t0, 1(s1)
idle:   csrci mstatus, 8
        bnez s4, woken
        wfi
woken:  csrsi mstatus, 8
        addi s5, s5, 1
        beqz s4, idle
        li t0, 26
        bne s6, t0, fail
        j pass
.align 2
trap:   addi s6, s6, 1
        lw t1, 4(s3)
        li t2, 10
        bne t1, t2, fail
        lbu t3, 2(s1)
        lbu t2, 0(s0)
        beqz t2, done
        sb t2, 0(s1)
        addi s0, s0, 1
        sw t1, 4(s3)
        mret
done:   sb zero, 1(s1)
        li s4, 1
        sw t1, 4(s3)
        mret
text:   .asciz "what the serial port says"
