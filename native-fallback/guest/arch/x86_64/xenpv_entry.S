// The entry on Xen itself, at ring 3: rsi = the start info, on Xen's own boot stack and tables, events masked. The
// notes are those that Xen 4.17 needs (public/elfnote.h): the image lies at VIRT_BASE + its physical addresses.
#define IMAGE_OFFSET 0xffffffff80000000

    .macro xen_note type, description:vararg
    .p2align 2
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \description
2:  .p2align 2
    .endm

    .section .note.xen.pv, "a", @note
    xen_note 1, .quad entry_xen
    xen_note 3, .quad IMAGE_OFFSET      // VIRT_BASE
    xen_note 4, .quad 0                 // PADDR_OFFSET
    xen_note 5, .asciz "xen-3.0"
    xen_note 6, .asciz "nopte"
    xen_note 8, .asciz "generic"        // LOADER

    .section .text.entry_xen, "ax", @progbits
    .globl entry_xen
    .type entry_xen, @function
entry_xen:
    mov $boot_stack_top, %rsp
    mov %rsi, %rdi
    xor %ebp, %ebp
    cld
    call boot_on_xen
    ud2
    .size entry_xen, . - entry_xen

// Xen's calls, as the tables make them: rax = the tagged number, rdi, rsi, rdx, r10; the status in rax, the value in
// rdx, every other register preserved. Under our hypervisor that is VMMCALL; on Xen its first bytes are a jump.
    .section .text.ask_xen, "ax", @progbits
    .globl ask_xen
    .type ask_xen, @function
ask_xen:
    vmmcall
    ret
    .skip 1, 0x90                       // room for the jump
    .size ask_xen, . - ask_xen

    .globl ask_xen_itself
    .type ask_xen_itself, @function
ask_xen_itself:
    push %rcx
    push %r11
    push %rdi
    push %rsi
    push %r10
    mov %eax, %eax                      // without the tag
    push %rax
    syscall
    pop %rdi
    mov %rax, %rdx
    test %rax, %rax
    jnz 1f
    pop %r10
    pop %rsi
    pop %rdi
    pop %r11
    pop %rcx
    ret
1:  mov %rax, %rsi                      // we ask for nothing that can be refused
    call stop_refused
    .size ask_xen_itself, . - ask_xen_itself

// Xen's page shows here once it is mapped; before, and in every other mode, a page of zeros.
    .section .bss.xen_shared_page, "aw", @nobits
    .p2align 12
    .globl xen_shared_page
xen_shared_page:
    .skip 0x1000

    .section .note.GNU-stack, "", @progbits
