// The run loop: enters the guest, and hands each exit to svm_handle_call, svm_handle_page_fault or
// svm_handle_exit(Vcpu*).
//
//   [[noreturn]] void svm_run(Vcpu* vcpu)
//
// The vCPU lies at the end of the stack: while the guest runs, rsp is its address, so that registers are saved
// at rsp's offsets and everything below is the handler's stack. VMRUN and #VMEXIT switch rax, rsp, rip, rflags,
// control registers and code, stack and data segments; VMSAVE and VMLOAD the rest, above all TR: by its own the
// hypervisor finds the stacks of traps.cc. Exits for VMMCALL and (but in mode shadow) #PF are hot: the registers
// that C++ preserves stay where they are. The others save them all and load them again.
//
// Interrupts: GIF is clear from boot on, outside the guest and short windows in C++ (machine.cc), so nothing is
// masked or unmasked here; rflags.IF is set, so that host interrupts end the guest's run whatever its own IF.
// The TSC is read first thing after an exit and last before an entry: the sum of the differences is what the
// hypervisor executed. The low half is enough: whoever waits says so (Vcpu::waited).

#define RDI 0
#define RSI 8
#define RDX 16
#define R10 24
#define R8 32
#define R9 40
#define RCX 48
#define R11 56
#define RBX 64
#define RBP 72
#define R12 80
#define R13 88
#define R14 96
#define R15 104
#define VMCB_PHYSICAL 112
#define VMCB 120
#define TICKS 128
#define HOT_FAULT 136
#define LEFT_AT 144

#define VMCB_EXIT_CODE 0x70
#define EXIT_VMMCALL 0x81

#define IMAGE_OFFSET 0xffffffff80000000

    .text
    .globl svm_run
    .type svm_run, @function
svm_run:
    mov %rdi, %rsp
enter_with_all:
    mov RBX(%rsp), %rbx
    mov RBP(%rsp), %rbp
    mov R12(%rsp), %r12
    mov R13(%rsp), %r13
    mov R14(%rsp), %r14
    mov R15(%rsp), %r15
    jmp enter
handle_call:
    call svm_handle_call
enter:
    mov RDI(%rsp), %rdi
    mov RSI(%rsp), %rsi
    mov R10(%rsp), %r10
    mov R8(%rsp), %r8
    mov R9(%rsp), %r9
    mov RCX(%rsp), %rcx
    mov R11(%rsp), %r11
    rdtsc
    sub LEFT_AT(%rsp), %eax
    add %rax, TICKS(%rsp)
    mov RDX(%rsp), %rdx
    mov VMCB_PHYSICAL(%rsp), %rax
    vmload %rax
    vmrun %rax
    vmsave %rax
    mov %rdx, RDX(%rsp)
    mov $(host_state - IMAGE_OFFSET), %eax
    vmload %rax
    rdtsc
    mov %eax, LEFT_AT(%rsp)
    mov %rdi, RDI(%rsp)
    mov %rsi, RSI(%rsp)
    mov %r10, R10(%rsp)
    mov %r8, R8(%rsp)
    mov %r9, R9(%rsp)
    mov %rcx, RCX(%rsp)
    mov %r11, R11(%rsp)
    mov VMCB(%rsp), %rax
    mov VMCB_EXIT_CODE(%rax), %rax
    mov %rsp, %rdi
    cmp $EXIT_VMMCALL, %rax
    je handle_call
    cmp HOT_FAULT(%rsp), %rax
    jne 1f
    call svm_handle_page_fault
    jmp enter
1:  mov %rbx, RBX(%rsp)
    mov %rbp, RBP(%rsp)
    mov %r12, R12(%rsp)
    mov %r13, R13(%rsp)
    mov %r14, R14(%rsp)
    mov %r15, R15(%rsp)
    call svm_handle_exit
    jmp enter_with_all
    .size svm_run, . - svm_run

// What VMSAVE took of the hypervisor's (boot.cc).
    .bss
    .p2align 12
    .globl host_state
host_state:
    .skip 4096

    .section .note.GNU-stack, "", @progbits
