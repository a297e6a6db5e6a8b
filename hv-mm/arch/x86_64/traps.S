// The hypervisor's exceptions and interrupts: 256 stubs that make one TrapFrame (traps.h) and call
// handle_trap(TrapFrame&). NMI, #DF and #MC come on stacks of their own (traps.cc).

    .text
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

trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    call handle_trap
    mov %rbx, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

// void halt_unless_woken(const u64* woken): halts until an interrupt or an NMI, unless *woken is set. Interrupts are
// off here and nothing of theirs is lost; an NMI that comes between the look and the HLT goes on at halt_over
// (handle_trap).
    .globl halt_unless_woken, halt_over
halt_unless_woken:
    cmpq $0, (%rdi)
    jne halt_over
    sti
    hlt
halt_over:
    cli
    ret

    .section .note.GNU-stack, "", @progbits
