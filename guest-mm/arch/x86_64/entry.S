// Every way into the kernel and out of it: system calls, exceptions, interrupts, the first step of a process,
// the switch between two. Interrupts are off throughout.
//
// One CPU: the kernel finds its per-CPU data by address, and the GS base is always the program's, so no path
// needs swapgs. The register file is pushed in the order of UserRegisters (kernel/arch.h); its orig_rax slot is
// the one where the processor leaves an error code. A frame at a stack's top leaves rsp at 8 modulo 16, which is
// harmless: kernel code has no aligned vector moves.

#define USER_SS 0x2b
#define USER_CS 0x33
#define KERNEL_CS 0x10
#define KERNEL_DS 0x18

#define R_ORIG_RAX 120
#define R_CS 136
#define R_RSP 152

#define handle_syscall _ZN5nopte5guest14handle_syscallERNS0_13UserRegistersE
#define leave_kernel _ZN5nopte5guest12leave_kernelERNS0_13UserRegistersE

#include "guest-mm/arch/x86_64/entry_macros.inc"

    .macro push_registers_after_rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .section .text.entry, "ax", @progbits

// --- system calls ---------------------------------------------------------------------------------------

function syscall_entry
    mov %rsp, user_stack_at_syscall
    mov kernel_stack_top, %rsp
    push $USER_SS
    push user_stack_at_syscall
    push %r11
    push $USER_CS
    push %rcx
    push %rax
    push %rdi
    push_registers_after_rdi
    mov %rsp, %rdi
    call handle_syscall
    mov %rsp, %rdi
    call leave_kernel
    // Unless somebody changed the registers (orig_rax says so), the preserved ones hold the program's values
    // still, and rcx and r11 are as the syscall instruction left them, which is what sysret takes.
    cmpq $-1, R_ORIG_RAX(%rsp)
    je restore_registers
    add $48, %rsp
    pop_scratch
    mov R_RSP-R_ORIG_RAX(%rsp), %rsp
    sysretq
    .size syscall_entry, . - syscall_entry

// --- page faults ----------------------------------------------------------------------------------------

// The hot path keeps to the registers that a C function may change: most faults are resolved by whoever owns
// paging and change nothing else. Faults of the kernel itself (windows, user memory) come the same way, on the
// current stack. Bit 0 of the error code's slot stays untouched until the slow path.
function page_fault_entry
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    cld
    mov %cr2, %rdi
    mov 72(%rsp), %rsi
    call resolve_fault
    test %eax, %eax
    jnz 1f
    pop_scratch
    add $8, %rsp
    iretq
1:  push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    mov %eax, %esi
    mov %cr2, %rdx
    call handle_refused_access
    jmp return_from_trap
    .size page_fault_entry, . - page_fault_entry

// --- exceptions and interrupts --------------------------------------------------------------------------

    .macro exception vector, has_error=0
    .if \has_error == 0
    push $0
    .endif
    push %rdi
    mov $\vector, %edi
    jmp exception_common
    .endm

    .macro interrupt vector
    push $-1
    push %rdi
    mov $\vector, %edi
    jmp interrupt_common
    .endm

exception_0: exception 0
exception_1: exception 1
exception_2: exception 2
exception_3: exception 3
exception_4: exception 4
exception_5: exception 5
exception_6: exception 6
exception_7: exception 7
exception_8: exception 8, 1
exception_9: exception 9
exception_10: exception 10, 1
exception_11: exception 11, 1
exception_12: exception 12, 1
exception_13: exception 13, 1
exception_15: exception 15
exception_16: exception 16
exception_17: exception 17, 1
exception_18: exception 18
exception_19: exception 19
exception_20: exception 20
exception_21: exception 21, 1
exception_22: exception 22
exception_23: exception 23
exception_24: exception 24
exception_25: exception 25
exception_26: exception 26
exception_27: exception 27
exception_28: exception 28
exception_29: exception 29, 1
exception_30: exception 30, 1
exception_31: exception 31
interrupt_32: interrupt 32
interrupt_33: interrupt 33

    .type exception_common, @function
exception_common:
    push_registers_after_rdi
    cld
    mov %edi, %esi
    mov %rsp, %rdi
    call dispatch_exception
    jmp return_from_trap
    .size exception_common, . - exception_common

    .type interrupt_common, @function
interrupt_common:
    push_registers_after_rdi
    cld
    mov %edi, %esi
    mov %rsp, %rdi
    call dispatch_interrupt
    .size interrupt_common, . - interrupt_common

// To user mode through leave_kernel, to the kernel as it was.
function return_from_trap
    testb $3, R_CS(%rsp)
    jz restore_registers
    mov %rsp, %rdi
    call leave_kernel
restore_registers:
    pop_preserved
    pop_scratch
    add $8, %rsp
    // Faults when a program arranged for registers that it may not have (sigreturn): see dispatch_exception.
    .globl return_instruction
return_instruction:
    iretq
    .skip 3, 0x90                       // room for a jump in its place (x86_64_pv)
    .size return_from_trap, . - return_from_trap

function spurious_interrupt
    iretq
    .size spurious_interrupt, . - spurious_interrupt

// void resume_registers(UserRegisters*): leaves the kernel.
function resume_registers
    mov %rdi, %rsp
    jmp restore_registers
    .size resume_registers, . - resume_registers

// --- switching ------------------------------------------------------------------------------------------

// void switch_stacks(u64* save_stack_pointer, u64 load_stack_pointer)
function switch_stacks
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size switch_stacks, . - switch_stacks

// Where a context made by prepare_context starts: rbx = entry, r12 = its argument.
function context_start
    mov %r12, %rdi
    xor %ebp, %ebp
    call *%rbx
    ud2
    .size context_start, . - context_start

// void load_segments(): code and stack segments of the table that lgdt loaded.
function load_segments
    pop %rax
    push $KERNEL_CS
    push %rax
    mov $KERNEL_DS, %eax
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    lretq
    .size load_segments, . - load_segments

// [[noreturn]] void panic(const char* what, const char* file, int line): the caller's registers, whole.
function _ZN5nopte5panicEPKcS1_i
    cli
    pushf
    push %rdi
    push $KERNEL_DS                     // ss
    lea 32(%rsp), %rdi
    push %rdi                           // rsp before the call
    push 24(%rsp)                       // rflags
    push $KERNEL_CS
    push 48(%rsp)                       // rip: the return address
    push $-1
    push 48(%rsp)                       // rdi
    mov (%rsp), %rdi
    push_registers_after_rdi
    mov %rsp, %rcx
    call report_panic
    ud2
    .size _ZN5nopte5panicEPKcS1_i, . - _ZN5nopte5panicEPKcS1_i

    .section .bss.entry, "aw", @nobits
    .p2align 3
    .globl kernel_stack_top
kernel_stack_top: .skip 8
user_stack_at_syscall: .skip 8

// Entry points in vector order; 0 where the table has no gate.
    .section .rodata.entry, "a", @progbits
    .p2align 3
    .globl vector_entries
vector_entries:
    .quad exception_0, exception_1, exception_2, exception_3, exception_4, exception_5, exception_6
    .quad exception_7, exception_8, exception_9, exception_10, exception_11, exception_12, exception_13
    .quad page_fault_entry, exception_15, exception_16, exception_17, exception_18, exception_19
    .quad exception_20, exception_21, exception_22, exception_23, exception_24, exception_25, exception_26
    .quad exception_27, exception_28, exception_29, exception_30, exception_31, interrupt_32, interrupt_33

    .section .note.GNU-stack, "", @progbits
