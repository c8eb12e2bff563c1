pass:   li t0, 0x100000
        li t1, 0x5555
        sw t1, 0(t0)
over:   j over
.align 2
fail:   li t0, 0x100000
        li t1, 0x13333
        sw t1, 0(t0)
lost:   j lost
