# A virtio disk driven by hand: its sectors are read over code that has run before.
        la t0, fail
        csrw mtvec, t0
        li s0, 0x10001000
        li t3, 0x1000
        li t4, 0x10009000
find:   lw t0, 8(s0)
        li t1, 2
        beq t0, t1, found
        add s0, s0, t3
        bltu s0, t4, find
        j fail
found:  sw zero, 0x70(s0)
        li t0, 1
        sw t0, 0x70(s0)
        li t0, 3
        sw t0, 0x70(s0)
        li t0, 1
        sw t0, 0x24(s0)
        sw t0, 0x20(s0)
        sw zero, 0x24(s0)
        sw zero, 0x20(s0)
        li t0, 11
        sw t0, 0x70(s0)
        lw t0, 0x70(s0)
        andi t0, t0, 8
        beqz t0, fail
        sw zero, 0x30(s0)
        li t0, 8
        sw t0, 0x38(s0)
        la s1, desc
        sw s1, 0x80(s0)
        sw zero, 0x84(s0)
        la s2, avail
        sw s2, 0x90(s0)
        sw zero, 0x94(s0)
        la s3, used
        sw s3, 0xa0(s0)
        sw zero, 0xa4(s0)
        li t0, 1
        sw t0, 0x44(s0)
        li t0, 15
        sw t0, 0x70(s0)
        la s4, head
        la s5, code
        la s6, status
# Descriptors: the head, the data, the status.
        sd s4, 0(s1)
        li t0, 16
        sw t0, 8(s1)
        li t0, 0x10001
        sw t0, 12(s1)
        sd s5, 16(s1)
        li t0, 512
        sw t0, 24(s1)
        li t0, 0x20003
        sw t0, 28(s1)
        sd s6, 32(s1)
        li t0, 1
        sw t0, 40(s1)
        li t0, 2
        sw t0, 44(s1)
        li s7, 0
        li a0, 0
next:   li s8, 20
run:    jalr s5
        addi s8, s8, -1
        bnez s8, run
        sd s7, 8(s4)
        li t0, -1
        sb t0, 0(s6)
        addi s7, s7, 1
        fence
        sh s7, 2(s2)
        fence
        sw zero, 0x50(s0)
poll:   lhu t0, 2(s3)
        bne t0, s7, poll
        lbu t0, 0(s6)
        bnez t0, fail
        lw t0, 0x60(s0)
        sw t0, 0x64(s0)
        fence.i
        li t0, 16
        bne s7, t0, next
# Twenty times 7 first, then sector n adds n + 1: 20 * (7 + 1 + ... + 15).
        li t0, 2540
        bne a0, t0, fail
        j pass
.align 6
code:   addi a0, a0, 7
        ret
.zero 504
head:   .dword 0, 0
status: .dword 0
.align 6
desc:   .zero 128
avail:  .zero 64
used:   .zero 128
