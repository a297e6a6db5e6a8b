#!/usr/bin/env bash
# CPUID leaf 5 of QEMU's EPYC under TCG offers MWAIT's extensions (ECX bit 0) and "interrupts end the wait though they are
# off" (bit 1); MWAIT with that hint, 1 in ECX, is #GP all the same.
# Why it matters: Debian's Xen idles so when it expects to be idle for long, and panics in mwait_idle_with_hints; seconds
# without work pass unharmed before. experiments/lib/xen_host.py starts it with cpuidle=no, which idles by HLT.
# Source: target/i386/tcg/misc_helper.c, helper_mwait: "if ((uint32_t)env->regs[R_ECX] != 0) raise #GP".
. "$(dirname "$0")/support.bash"
unpack_qemu
seen=$(run_kernel -accel tcg,thread=single -cpu EPYC <<'ASM'
    mov $5, %eax
    xor %ecx, %ecx
    cpuid
    mov %ecx, %eax
    call print
    mov $refused, %eax
    mov %ax, gate
    shr $16, %eax
    mov %ax, gate + 6
    mov %cs, %eax
    mov %ax, gate + 2
    movw $0x8e00, gate + 4
    lidt idt_pointer
    mov $buffer, %eax
    xor %ecx, %ecx
    xor %edx, %edx
    monitor
    xor %eax, %eax
    mov $1, %ecx
    mwait
    mov $0, %eax
    call print
    jmp end
refused:
    mov $13, %eax
    call print
    jmp end
    .data
idt_pointer: .word 14 * 8 - 1
    .long idt
idt: .skip 13 * 8
gate: .skip 8
    .text
ASM
)
verdict "00000003 00000000" "${seen//$'\n'/ }" "00000003 0000000d"
