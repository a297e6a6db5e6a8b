#!/usr/bin/env bash
# CPUID of an extended leaf above the maximum that leaf 0x80000000 names is answered on `-cpu max` as if it were another
# leaf: not by zeros, as AMD's manual has it for reserved leaves.
# Why it matters: a guest that asks for leaf 0x8000001f without looking at the maximum sees features that are not there.
# Source: target/i386/cpu.c, cpu_x86_cpuid: a leaf above its range's maximum is replaced by cpuid_level ("Intel ... return
# the highest basic leaf"); AMD APM volume 3, appendix E.
. "$(dirname "$0")/support.bash"
unpack_qemu
# eax of the first leaf above the maximum; then whether that is eax of the highest basic leaf.
kernel='
    mov $0x80000000, %eax
    cpuid
    add $1, %eax
    xor %ecx, %ecx
    cpuid
    mov %eax, %esi
    call print
    mov $0, %eax
    cpuid
    xor %ecx, %ecx
    cpuid
    cmp %eax, %esi
    sete %al
    movzbl %al, %eax
    call print
'
numbers=$(run_kernel -cpu max -accel tcg <<<"$kernel")
case ${numbers//$'\n'/ } in
  "00000000 "*) seen=zeros ;;
  *" 00000001") seen="eax of the highest basic leaf" ;;
  *) seen="something else: $numbers" ;;
esac
verdict zeros "$seen" "eax of the highest basic leaf"
