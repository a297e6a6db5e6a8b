#!/usr/bin/env bash
# Under -icount shift=0 a `rep stosb` of N bytes takes N + 1 ticks of the time-stamp counter, and one of 0 bytes takes 1.
# Why it matters: figures are executed instructions, read from that counter; zeroing and copying are most of a page fault.
# Source: target/i386/tcg/translate.c, gen_repz: each iteration is a jump back to the instruction, the last one past it.
. "$(dirname "$0")/support.bash"
unpack_qemu
seen=$(run_kernel -accel tcg,thread=single -icount shift=0,sleep=off,align=off <<'ASM'
    .macro ticks_of count
    mov $buffer, %edi
    mov $\count, %ecx
    xor %eax, %eax
    rdtsc
    mov %eax, %esi
    rep stosb
    rdtsc
    sub %esi, %eax
    sub $2, %eax        # the mov, and the first rdtsc itself
    call print
    .endm
    cld
    ticks_of 0
    ticks_of 1
    ticks_of 256
ASM
)
verdict "00000001 00000001 00000001 or 00000000 00000001 00000100" "${seen//$'\n'/ }" "00000001 00000002 00000101"
