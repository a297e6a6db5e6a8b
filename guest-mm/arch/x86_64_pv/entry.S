// Every way into a kernel at ring 3 on Xen, and out of it; the rest is arch/x86_64/entry.S, which is entered behind
// what differs. Xen pushes rcx and r11 below what the processor would have pushed; the frame's code segment says who
// was interrupted, as elsewhere. Events are masked throughout, which is looked at where that costs no call or
// resolved fault anything. Source: Xen's arch-x86/xen-x86_64.h.

#define XEN_CS 0xe033
#define XEN_SS 0xe02b
#define XEN_IRET 23
#define IN_SYSCALL 256                  // VGCF_in_syscall: rcx and r11 as SYSRET leaves them
#define UPCALL_MASK_AT 1                // abi::xen_pv::VcpuInfo::upcall_mask
#define CR2_AT 16                       // abi::xen_pv::VcpuInfo::cr2

#define R_ORIG_RAX 120
#define R_CS 136

#define handle_syscall _ZN5nopte5guest14handle_syscallERNS0_13UserRegistersE
#define leave_kernel _ZN5nopte5guest12leave_kernelERNS0_13UserRegistersE

#include "guest-mm/arch/x86_64/entry_macros.inc"

    .macro events_are_masked
    cmpb $1, xen_shared_page + UPCALL_MASK_AT
    jne events_not_masked
    .endm

    .section .text.entry_ring3, "ax", @progbits

function ring3_syscall_entry
    pop %rcx
    pop %r11
    push %rax
    push_scratch
    push_preserved
    cld                                 // Xen leaves the flag as the program has it
    mov %rsp, %rdi
    call handle_syscall
    mov %rsp, %rdi
    call leave_kernel
    cmpq $-1, R_ORIG_RAX(%rsp)
    je 1f
    add $48, %rsp
    pop_scratch
    movq $IN_SYSCALL, (%rsp)            // in the place of orig_rax
    jmp to_user
1:  mov %rsp, %rdi
    jmp resume_registers
    .size ring3_syscall_entry, . - ring3_syscall_entry

function ring3_page_fault
    pop %rcx
    pop %r11
    push_scratch
    cld
    mov xen_shared_page + CR2_AT, %rdi
    mov 72(%rsp), %rsi
    call resolve_fault
    test %eax, %eax
    jnz 1f
    pop_scratch
    add $8, %rsp
    jmp ring3_return
1:  events_are_masked
    push_preserved
    mov %rsp, %rdi
    mov %eax, %esi
    mov xen_shared_page + CR2_AT, %rdx
    call handle_refused_access
    jmp return_from_trap
    .size ring3_page_fault, . - ring3_page_fault

// The callback: of user mode, and of the call that waits.
function ring3_events
    pop %rcx
    pop %r11
    push $-1
    push_scratch
    push_preserved
    cld
    mov R_CS(%rsp), %edi
    call take_xen_callback
    jmp return_from_trap
    .size ring3_events, . - ring3_events

// Xen could not load what the kernel returned to user mode with: a program's own doing (sigreturn).
function ring3_failsafe
    pop %rcx
    pop %r11
    add $32, %rsp                       // four selectors
    push $0
    jmp *vector_entries + 8 * 13
    .size ring3_failsafe, . - ring3_failsafe

// In the place of the last instruction of arch/x86_64/entry.S's way out: rip, cs, rflags, rsp, ss are on the stack.
function ring3_return
    testb $3, 8(%rsp)
    jz 1f
    movq $XEN_CS, 8(%rsp)
    movq $XEN_SS, 32(%rsp)
    push $0
to_user:
    push %rcx
    push %r11
    push %rax
    mov $XEN_IRET, %eax
    syscall
1:  movq $XEN_CS, 8(%rsp)               // as Xen pushed it, it cannot be loaded
    iretq
    .size ring3_return, . - ring3_return

    .macro exception_stub vector
exception_stub_\vector:
    pop %rcx
    pop %r11
    events_are_masked
    jmp *vector_entries + 8 * \vector
    .endm

    .irp vector, 0, 1, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 19, 20, 21
    exception_stub \vector
    .endr

// What each vector leads to; 0: nothing.
    .section .rodata.entry_ring3, "a", @progbits
    .p2align 3
    .globl ring3_vectors
ring3_vectors:
    .quad exception_stub_0, exception_stub_1, 0, exception_stub_3, exception_stub_4, exception_stub_5
    .quad exception_stub_6, exception_stub_7, 0, exception_stub_9, exception_stub_10, exception_stub_11
    .quad exception_stub_12, exception_stub_13, ring3_page_fault, exception_stub_15, exception_stub_16
    .quad exception_stub_17, 0, exception_stub_19, exception_stub_20, exception_stub_21

    .section .note.GNU-stack, "", @progbits
