#!/usr/bin/env bash
# QEMU's TCG takes a guest's INVD for WBINVD where it asks whether SVM intercepts it: with the intercept of INVD alone it does
# not exit, and with that of WBINVD it exits with WBINVD's code.
# Why it matters: what hypervisors under TCG see of INVD is not what AMD's processors show; ours intercepts both and answers
# alike.
# Source: target/i386/tcg/translate.c, 0f 08 and 0f 09; AMD APM volume 2, section 15.9 and appendix C (0x76 INVD, 0x89 WBINVD).
. "$(dirname "$0")/support.bash"
unpack_qemu
# Each guest: INVD, then VMMCALL (0x81), which exits in any case.
seen=$(run_kernel -accel tcg,thread=single -cpu EPYC,+svm <<'ASM'
    .macro set offset, value
    movl $\value, vmcb + \offset
    .endm
    .macro segment offset, selector_and_attributes
    set \offset, \selector_and_attributes
    set \offset + 4, 0xffffffff
    .endm
    .macro run misc1, misc2
    set 0x00c, \misc1
    set 0x010, \misc2
    set 0x578, guest
    mov $vmcb, %eax
    vmrun
    mov vmcb + 0x70, %eax
    call print
    .endm
    mov $0xc0000080, %ecx
    rdmsr
    or $0x1000, %eax            # EFER.SVME
    wrmsr
    mov $0xc0010117, %ecx       # VM_HSAVE_PA
    mov $host_save, %eax
    xor %edx, %edx
    wrmsr
    set 0x058, 1                # ASID
    segment 0x400, 0x0c930018
    segment 0x410, 0x0c9b0010
    segment 0x420, 0x0c930018
    segment 0x430, 0x0c930018
    set 0x4d0, 0x1000
    set 0x558, 0x11             # CR0: PE, ET
    set 0x560, 0x400
    set 0x568, 0xffff0ff0
    set 0x570, 2
    run 1 << 22, 3              # INVD, VMRUN and VMMCALL
    run 0, 3 | 1 << 9           # WBINVD, the same
    jmp end
guest:
    invd
    vmmcall
    .bss
    .balign 4096
vmcb: .skip 4096
host_save: .skip 4096
    .text
ASM
)
verdict "00000076 00000081" "${seen//$'\n'/ }" "00000081 00000089"
