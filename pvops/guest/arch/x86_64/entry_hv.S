// The 64-bit entry under the hypervisor (pvops/abi/boot_block.h): rdi = the boot block, no stack. The low 1 GiB
// is identity-mapped when the block's address is physical, so it is read in place in both kinds.
    .section .note.nopte, "a", @note
    .p2align 2
    .long 6, 16, 1
    .asciz "nopte"
    .p2align 2
    .quad entry_hv
    .quad boot_root - 0xffffffff80000000

    .section .text.entry_hv, "ax", @progbits
    .globl entry_hv
    .type entry_hv, @function
entry_hv:
    mov $entry_hv_stack_top, %rsp
    xor %ebp, %ebp
    cld
    call start_guest
    ud2
    .size entry_hv, . - entry_hv

    .section .bss.entry_hv_stack, "aw", @nobits
    .p2align 12
    .skip 0x4000
entry_hv_stack_top:

    .section .note.GNU-stack, "", @progbits
