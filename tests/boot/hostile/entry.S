// Entry, boot tables, trap stubs, and the two ways to run a probe: at CPL 0 and at CPL 3.

#define OFFSET 0xffffffff80000000
#define PHYS(symbol) ((symbol) - OFFSET)
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_DATA 0x1b
#define USER_CODE 0x23

    .section .note.nopte, "a", @note
    .p2align 2
    .long 6, 16, 1
    .asciz "nopte"
    .p2align 2
    .quad hostile_entry, PHYS(hostile_root)

    .text
    .globl hostile_entry
hostile_entry:
    mov $stack_top, %rsp
    xor %ebp, %ebp
    call hostile_main
    ud2

    .globl trap_stubs
    .p2align 4
trap_stubs:
    .set vector, 0
    .rept 256
    .p2align 4
    .if (vector == 8) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30) || ((vector >= 10) && (vector <= 14))
    .else
    push $0
    .endif
    push $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

// Any trap ends the probe that runs, with its vector as the result; interrupts of the hypervisor's are counted
// and go on.
trap_common:
    cmpq $0x20, (%rsp)
    je 1f
    cmpq $0x21, (%rsp)
    je 1f
    mov (%rsp), %rax
    mov 8(%rsp), %rdx
    mov %rdx, trap_error
    mov 16(%rsp), %rdx
    mov %rdx, trap_rip
    mov recovery_rsp, %rsp
    test %rsp, %rsp
    jz unexpected_trap
    movq $0, recovery_rsp
    mov $KERNEL_DATA, %edx
    mov %edx, %ss
    mov %edx, %ds
    mov %edx, %es
    jmp leave_probe
1:  incq interrupts_seen
    add $16, %rsp
    iretq

unexpected_trap:
    mov $stack_top, %rsp
    mov %eax, %edi
    call hostile_unexpected
    ud2

// u32 run_probe(void (*probe)()): 0xff when it returned, else the vector of the trap that it raised.
    .globl run_probe
run_probe:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, recovery_rsp
    call *%rdi
    movq $0, recovery_rsp
    mov $0xff, %eax
leave_probe:
    cld
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pushq $2
    popfq
    ret

// u32 run_user_probe(u64 rip, u64 rsp): at CPL 3; the probe ends by a trap, int $0x80 when it came to its end.
    .globl run_user_probe
run_user_probe:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, recovery_rsp
    pushq $USER_DATA
    push %rsi
    pushq $2
    pushq $USER_CODE
    push %rdi
    iretq

    .data
    .p2align 3
recovery_rsp: .quad 0
    .globl interrupts_seen, trap_error, trap_rip
interrupts_seen: .quad 0
trap_error: .quad 0
trap_rip: .quad 0

// The low 1 GiB for CPL 3 at 0, and for CPL 0 where the image is linked (SMEP: one cannot be both).
    .p2align 12
    .globl hostile_root
hostile_root:
    .quad PHYS(low) + 0x27
    .fill 510, 8, 0
    .quad PHYS(high) + 0x23
low:
    .quad PHYS(low_pages) + 0x27
    .fill 511, 8, 0
high:
    .fill 510, 8, 0
    .quad PHYS(high_pages) + 0x23
    .quad 0
low_pages:
    .set page, 0
    .rept 512
    .quad page + 0xe7
    .set page, page + 0x200000
    .endr
high_pages:
    .set page, 0
    .rept 512
    .quad page + 0xe3
    .set page, page + 0x200000
    .endr

    .bss
    .p2align 12
    .skip 0x4000
    .globl stack_top
stack_top:
    .globl user_page
user_page:
    .skip 0x1000

    .section .note.GNU-stack, "", @progbits
