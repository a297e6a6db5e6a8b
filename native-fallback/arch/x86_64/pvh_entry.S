// PVH entry of both images: 32-bit protected mode without paging -> long mode on the boot tables -> boot_main.
// At entry ebx = physical address of hvm_start_info; segments are flat. CR0, CR4 and EFER get the entry
// constants of pvops/abi/boot_block.h, less the CR4 bits that CPUID does not offer.

#define IMAGE_OFFSET 0xffffffff80000000
#define PHYS(symbol) ((symbol) - IMAGE_OFFSET)

#define CR0_ENTRY 0x80010033
#define CR4_BASE 0x6a0          /* PAE PGE OSFXSR OSXMMEXCPT */
#define CR4_OSXSAVE (1 << 18)
#define CR4_FSGSBASE (1 << 16)
#define CR4_SMEP (1 << 20)
#define EFER_MSR 0xc0000080
#define EFER_ENTRY 0x901        /* SCE LME NXE */
#define CODE_SELECTOR 0x10
#define DATA_SELECTOR 0x18

    .section .note.xen.pvh, "a", @note
    .p2align 2
    .long 4, 8, 18
    .asciz "Xen"
    .quad PHYS(pvh_entry)

    .section .text.pvh_entry, "ax", @progbits
    .code32
    .globl pvh_entry
    .type pvh_entry, @function
pvh_entry:
    cli
    cld
    mov %ebx, %ebp                      // cpuid takes ebx
    mov $PHYS(boot_stack_top), %esp

    mov $CR4_BASE, %edi
    mov $1, %eax
    cpuid
    test $(1 << 26), %ecx               // XSAVE
    jz 1f
    or $CR4_OSXSAVE, %edi
1:  xor %eax, %eax
    cpuid
    cmp $7, %eax
    jb 3f
    mov $7, %eax
    xor %ecx, %ecx
    cpuid
    test $(1 << 0), %ebx                // FSGSBASE
    jz 2f
    or $CR4_FSGSBASE, %edi
2:  test $(1 << 7), %ebx                // SMEP
    jz 3f
    or $CR4_SMEP, %edi
3:  mov %edi, %cr4

    mov $PHYS(boot_root), %eax
    mov %eax, %cr3
    mov $EFER_MSR, %ecx
    mov $EFER_ENTRY, %eax
    xor %edx, %edx
    wrmsr
    mov $CR0_ENTRY, %eax
    mov %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmp $CODE_SELECTOR, $PHYS(long_mode)
    .size pvh_entry, . - pvh_entry

    .code64
long_mode:
    mov $DATA_SELECTOR, %eax
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov $high_half, %rax                // sign-extended: leaves the identity mapping
    jmp *%rax
high_half:
    lgdt boot_gdt_pointer_high
    mov $boot_stack_top, %rsp
    mov %ebp, %edi
    xor %ebp, %ebp                      // ends the chain of frames
    call boot_main
    ud2

    .section .rodata.boot, "a", @progbits
    .p2align 3
boot_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff            // 0x10: code, 64-bit
    .quad 0x00cf93000000ffff            // 0x18: data
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .quad PHYS(boot_gdt)
boot_gdt_pointer_high:
    .word boot_gdt_end - boot_gdt - 1
    .quad boot_gdt

// The boot tables: the low 1 GiB at 0 and at IMAGE_OFFSET, and at 0 on to 8 GiB, for an engine that fills its
// first tables before there is a direct map. 2 MiB pages, writable and executable. Static, so that a hypervisor
// can start the image with CR3 = boot_root. Accessed and dirty are preset: they stay as built.
#define BOOT_GIB 8
    .section .data.boot_tables, "aw", @progbits
    .p2align 12
    .globl boot_root
boot_root:
    .quad PHYS(boot_low) + 0x23
    .fill 510, 8, 0
    .quad PHYS(boot_high) + 0x23
boot_low:
    .set table, 0
    .rept BOOT_GIB
    .quad PHYS(boot_pages) + table + 0x23
    .set table, table + 0x1000
    .endr
    .fill 512 - BOOT_GIB, 8, 0
boot_high:
    .fill 510, 8, 0
    .quad PHYS(boot_pages) + 0x23
    .quad 0
boot_pages:
    .set page, 0
    .rept 512 * BOOT_GIB
    .quad page + 0xe3
    .set page, page + 0x200000
    .endr

    .section .bss.boot_stack, "aw", @nobits
    .p2align 12
boot_stack:
    .skip 0x4000
    .globl boot_stack_top
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
