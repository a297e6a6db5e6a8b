#!/usr/bin/env bash
# QEMU's debug console (isa-debugcon, port 0xe9) takes bytes. A 16- or 32-bit write to it writes nothing at all, not its
# low byte.
# Why it matters: counters leave the guest by that port, and `rep outsl` would have made a quarter of the exits.
# Source: hw/char/debugcon.c, debugcon_ops: valid sizes 1 to 1.
. "$(dirname "$0")/support.bash"
unpack_qemu
seen=$(run_kernel <<'ASM'
    mov $0x44434241, %eax
    out %al, $0xe9
    out %ax, $0xe9
    out %eax, $0xe9
    mov $'Z', %al
    out %al, $0xe9
ASM
)
verdict "AABABCDZ, as bytes one after the other; or AAAZ, the low byte of each" "$seen" AZ
