# The program that `tern demo` runs: a greeting with what uname says, then a Mandelbrot set in double precision.
# Assembled by tern's own assembler when it is asked for; see demo.rs.

.equ SYS_write, 64
.equ SYS_exit, 93
.equ SYS_uname, 160
.equ FIELD, 65                  # bytes of a field of struct utsname
.equ COLUMNS, 78
.equ ROWS, 24

_start:
    la      s0, _data           # a line under construction; s1: where its next character goes
    mv      s1, s0
    la      a0, hello
    jal     ra, append
    la      a0, names
    li      a7, SYS_uname
    ecall
    la      s2, names
    mv      a0, s2              # sysname
    jal     ra, append
    jal     ra, blank
    addi    a0, s2, 2*FIELD     # release
    jal     ra, append
    jal     ra, blank
    addi    a0, s2, 4*FIELD     # machine
    jal     ra, append
    la      a0, greeting
    jal     ra, append
    jal     ra, flush

    la      t0, numbers
    fld     fs0, 0(t0)          # left edge
    fld     fs1, 8(t0)          # upper edge
    fld     fs2, 16(t0)         # width of a character
    fld     fs3, 24(t0)         # height of a character
    fld     fs4, 32(t0)         # 4: the square of the radius of escape
    la      s3, shades
    li      s4, ROWS
    fmv.d   fs5, fs1            # imaginary part of the row
row:
    li      s5, COLUMNS
    fmv.d   fs6, fs0            # real part of the column
column:
    fmv.d   ft0, fs6            # z = c
    fmv.d   ft1, fs5
    li      t0, 20000
iterate:
    fmul.d  ft2, ft0, ft0
    fmul.d  ft3, ft1, ft1
    fadd.d  ft4, ft2, ft3
    fle.d   t1, ft4, fs4
    beqz    t1, escaped
    fsub.d  ft2, ft2, ft3
    fadd.d  ft0, ft0, ft0
    fmadd.d ft1, ft0, ft1, fs5
    fadd.d  ft0, ft2, fs6
    addi    t0, t0, -1
    bnez    t0, iterate
    li      t2, 0               # inside
    j       shade
escaped:
    li      t1, 20000
    sub     t1, t1, t0          # after this many steps; a shade for each doubling
    li      t2, 1
doubling:
    srli    t1, t1, 1
    beqz    t1, shade
    addi    t2, t2, 1
    j       doubling
shade:
    add     t2, s3, t2
    lbu     t2, 0(t2)
    sb      t2, 0(s1)
    addi    s1, s1, 1
    fadd.d  fs6, fs6, fs2
    addi    s5, s5, -1
    bnez    s5, column
    li      t2, '\n'
    sb      t2, 0(s1)
    addi    s1, s1, 1
    jal     ra, flush
    fsub.d  fs5, fs5, fs3
    addi    s4, s4, -1
    bnez    s4, row

    li      a0, 0
    li      a7, SYS_exit
    ecall

append:                         # copies the string at a0 to the line
    lbu     t0, 0(a0)
    beqz    t0, 1f
    sb      t0, 0(s1)
    addi    a0, a0, 1
    addi    s1, s1, 1
    j       append
1:  ret

blank:
    li      t0, ' '
    sb      t0, 0(s1)
    addi    s1, s1, 1
    ret

flush:                          # writes the line and begins a new one
    mv      a1, s0
    sub     a2, s1, s0
    li      a0, 1
    li      a7, SYS_write
    ecall
    bltz    a0, broken
    add     a1, a1, a0          # what was not written yet
    beq     a1, s1, 1f
    mv      t0, s0
2:  lbu     t1, 0(a1)
    sb      t1, 0(t0)
    addi    a1, a1, 1
    addi    t0, t0, 1
    bne     a1, s1, 2b
    mv      s1, t0
    j       flush
1:  mv      s1, s0
    ret

broken:                         # nobody reads
    li      a0, 1
    li      a7, SYS_exit
    ecall

    .align 3
numbers:
    .dword  0xc003333333333333  # -2.4
    .dword  0x3ff3333333333333  # 1.2
    .dword  0x3fa47ae147ae147b  # 0.04
    .dword  0x3fb999999999999a  # 0.1
    .dword  0x4010000000000000  # 4.0
hello:
    .asciz  "Hello from "
greeting:
    .asciz  ", a guest of tern.\n\n"
shades:
    .asciz  " .,:;-=+*oO#%@@"

    .balign 4096
_data:
    .zero   512
names:
    .zero   6*FIELD
