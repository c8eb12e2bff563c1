# kernel.S - a machine's program for conformance/gdb: traps, paging, two harts, a timer interrupt, memory to watch.
	.globl _start, after, user, handler, loop, word, spin, table
	.text
_start:
	csrr	a0, mhartid
	bnez	a0, spin
	lla	t0, handler
	csrw	mtvec, t0
	li	t0, -1
	csrw	pmpaddr0, t0
	li	t0, 0x1f
	csrw	pmpcfg0, t0
	# Sv39: gigabytes 2 (memory) and 0 (devices) as they are, and memory once more at gigabyte 5.
	lla	t0, table
	li	t1, 0xef
	sd	t1, 0(t0)
	li	t1, 0x80000 << 10 | 0xef
	sd	t1, 16(t0)
	sd	t1, 40(t0)
	srli	t0, t0, 12
	li	t1, 8 << 60
	or	t0, t0, t1
	csrw	satp, t0
	sfence.vma
	li	t0, 3 << 11
	csrc	mstatus, t0
	li	t0, 1 << 11
	csrs	mstatus, t0
	lla	t0, user
	li	t1, 0xc0000000
	add	t0, t0, t1
	csrw	mepc, t0
	mret
	# In S mode, at 0x1_4000_0000 and more.
user:
	li	s0, 0
	ecall
after:
	addi	s0, s0, 1
	lla	t0, word
	sw	s0, 0(t0)
	lw	t1, 0(t0)
	li	t2, 40
	blt	s0, t2, after
	li	a7, 93
	ecall
loop:
	j	loop
	.align	2
handler:
	csrr	t0, mepc
	addi	t0, t0, 4
	csrw	mepc, t0
	li	t0, 93
	beq	a7, t0, end
	mret
end:
	li	t0, 0x100000
	li	t1, 0x5555
	sw	t1, 0(t0)
spin:
	wfi
	j	spin
	.data
	.align	12
table:
	.zero	4096
word:
	.word	0
