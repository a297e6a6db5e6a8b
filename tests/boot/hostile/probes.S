// Instructions that a guest has no right to, one probe each, with the result at CPL 0 in modes nested, shadow and
// vma, and at CPL 3. A probe may use any register and returns; at CPL 3 it is a copy that is followed by int $0x80.
// One for each row of the intercept table comes first, and then what deserves more.

#define OK 0xff
#define DB 1
#define UD 6
#define GP 13

    .macro PROBE name, nested, shadow, vma, user, code
    .ifnb \code
    .pushsection .rodata.names, "a"
.Lname\@: .asciz "\name"
    .popsection
    .text
    .p2align 4
.Lbegin\@:
    \code
.Lend\@:
    ret
    .pushsection .probes, "a"
    .quad .Lname\@, .Lbegin\@, .Lend\@
    .byte \nested, \shadow, \vma, \user, 0, 0, 0, 0
    .popsection
    .endif
    .endm

#define NOPTE_INTERCEPT(word, bit, name, scope, answer, kernel, user, code) \
    PROBE #name, kernel, kernel, kernel, user, code
#include "hv-mm/container/intercepts.def"

// --- SVM and relatives ---------------------------------------------------------------------------------------
    PROBE "vmcall",  UD, UD, UD, UD, "vmcall"
    PROBE "rsm",     UD, UD, UD, UD, "rsm"

// --- caches, counters, state ---------------------------------------------------------------------------------
    PROBE "xsetbv without x87", GP, GP, GP, GP, "xor %ecx,%ecx; xor %edx,%edx; mov $6,%eax; xsetbv"
    PROBE "xsetbv avx without sse", GP, GP, GP, GP, "xor %ecx,%ecx; xor %edx,%edx; mov $5,%eax; xsetbv"
    PROBE "xsetbv unknown bits", GP, GP, GP, GP, "xor %ecx,%ecx; mov $-1,%edx; mov $7,%eax; xsetbv"
    PROBE "xsetbv register 1",  GP, GP, GP, GP, "mov $1,%ecx; xor %edx,%edx; mov $7,%eax; xsetbv"
    PROBE "cpuid with a prefix", OK, OK, OK, OK, "xor %eax,%eax; xor %ecx,%ecx; .byte 0x48; cpuid"
    PROBE "wbinvd with a prefix", OK, OK, OK, GP, ".byte 0x2e; wbinvd"
    PROBE "rdmsr with a prefix", OK, OK, OK, GP, "mov $0xc0000080,%ecx; .byte 0x67; rdmsr"
    PROBE "cpuid of a leaf that is none", OK, OK, OK, OK, "mov $0xffffffff,%eax; mov %eax,%ecx; cpuid"

// --- control registers ---------------------------------------------------------------------------------------
    PROBE "read cr0", OK, OK, OK, GP, "mov %cr0,%rax"
    PROBE "read cr2", OK, OK, OK, GP, "mov %cr2,%r15"
    PROBE "read cr3", OK, OK, OK, GP, "mov %cr3,%r12"
    PROBE "read cr4", OK, OK, OK, GP, "mov %cr4,%rsi"
    PROBE "write cr8 beyond 15", GP, GP, GP, GP, "mov $16,%ebx; mov %rbx,%cr8"
    PROBE "cr0 paging off", GP, GP, GP, GP, "mov %cr0,%rax; btr $31,%rax; mov %rax,%cr0"
    PROBE "cr0 protection off", GP, GP, GP, GP, "mov %cr0,%rax; btr $0,%rax; mov %rax,%cr0"
    PROBE "cr0 write protect off", OK, GP, GP, GP, "mov %cr0,%rbx; mov %rbx,%rax; btr $16,%rax; mov %rax,%cr0; mov %rbx,%cr0"
    PROBE "cr0 cache disable", GP, GP, GP, GP, "mov %cr0,%rax; bts $30,%rax; mov %rax,%cr0"
    PROBE "cr0 reserved bits", GP, GP, GP, GP, "mov %cr0,%rax; bts $40,%rax; mov %rax,%cr0"
    PROBE "cr0 task switched", OK, OK, OK, GP, "mov %cr0,%rax; bts $3,%rax; mov %rax,%cr0; clts"
    PROBE "lmsw", GP, GP, GP, GP, "mov $1,%eax; lmsw %ax"
    PROBE "smsw", OK, OK, OK, OK, "smsw %ax"
    PROBE "cr4 PAE off", GP, GP, GP, GP, "mov %cr4,%rax; btr $5,%rax; mov %rax,%cr4"
    PROBE "cr4 PGE off and on", OK, OK, GP, GP, "mov %cr4,%rbx; mov %rbx,%rax; btr $7,%rax; mov %rax,%cr4; mov %rbx,%cr4"
    PROBE "cr4 SMEP off", OK, GP, GP, GP, "mov %cr4,%rbx; mov %rbx,%rax; btr $20,%rax; mov %rax,%cr4; mov %rbx,%cr4"
    PROBE "cr4 PCIDE", GP, GP, GP, GP, "mov %cr4,%rax; bts $17,%rax; mov %rax,%cr4"
    PROBE "cr4 LA57", GP, GP, GP, GP, "mov %cr4,%rax; bts $12,%rax; mov %rax,%cr4"
    PROBE "cr4 PKE", GP, GP, GP, GP, "mov %cr4,%rax; bts $22,%rax; mov %rax,%cr4"
    PROBE "cr4 PCE", GP, GP, GP, GP, "mov %cr4,%rax; bts $8,%rax; mov %rax,%cr4"
    PROBE "cr4 VMXE", GP, GP, GP, GP, "mov %cr4,%rax; bts $13,%rax; mov %rax,%cr4"
    PROBE "cr4 all ones", GP, GP, GP, GP, "mov $-1,%rax; mov %rax,%cr4"
    PROBE "cr4 TSD", OK, OK, OK, GP, "mov %cr4,%rbx; mov %rbx,%rax; bts $2,%rax; mov %rax,%cr4; mov %rbx,%cr4"
    PROBE "cr3 as it is", OK, OK, GP, GP, "mov %cr3,%rax; mov %rax,%cr3"
    // No such register is found out in decoding, before the privilege is looked at (APM vol. 2, 8.5: #UD before #GP).
    PROBE "cr1", UD, UD, UD, UD, ".byte 0x0f,0x20,0xc8"
    PROBE "cr15", UD, UD, UD, UD, ".byte 0x44,0x0f,0x22,0xf8"
    PROBE "invlpg of the image", OK, OK, OK, GP, "invlpg stack_top"
    PROBE "invlpg by registers", OK, OK, OK, GP, "mov $0x1000,%r12d; mov $0x10,%r13d; invlpg -16(%r12,%r13,4)"
    PROBE "invlpg of no address", OK, OK, OK, GP, "mov $1,%eax; shl $63,%rax; invlpg (%rax)"

// --- debug registers -----------------------------------------------------------------------------------------
    PROBE "read dr7", OK, OK, OK, GP, "mov %dr7,%rax"

// --- model-specific registers --------------------------------------------------------------------------------
    PROBE "EFER as it is", OK, OK, OK, GP, "mov $0xc0000080,%ecx; rdmsr; wrmsr"
    PROBE "EFER SVME", GP, GP, GP, GP, "mov $0xc0000080,%ecx; rdmsr; bts $12,%eax; wrmsr"
    PROBE "EFER LME off", GP, GP, GP, GP, "mov $0xc0000080,%ecx; rdmsr; btr $8,%eax; wrmsr"
    PROBE "EFER NXE off and on", OK, GP, GP, GP, "mov $0xc0000080,%ecx; rdmsr; btr $11,%eax; wrmsr; bts $11,%eax; wrmsr"
    PROBE "EFER SCE off and on", OK, OK, OK, GP, "mov $0xc0000080,%ecx; rdmsr; btr $0,%eax; wrmsr; bts $0,%eax; wrmsr"
    PROBE "EFER FFXSR", GP, GP, GP, GP, "mov $0xc0000080,%ecx; rdmsr; bts $14,%eax; wrmsr"
    PROBE "read LSTAR", OK, OK, OK, GP, "mov $0xc0000082,%ecx; rdmsr; wrmsr"
    PROBE "read KERNEL_GS base", OK, OK, OK, GP, "mov $0xc0000102,%ecx; rdmsr; wrmsr"
    PROBE "SYSENTER_EIP", OK, OK, OK, GP, "mov $0x176,%ecx; rdmsr; wrmsr"
    PROBE "read TSC by MSR", OK, OK, OK, GP, "mov $0x10,%ecx; rdmsr"
    PROBE "write TSC", GP, GP, GP, GP, "mov $0x10,%ecx; xor %eax,%eax; xor %edx,%edx; wrmsr"
    PROBE "PAT as it is", OK, OK, OK, GP, "mov $0x277,%ecx; rdmsr; wrmsr"
    PROBE "PAT another", GP, GP, GP, GP, "mov $0x277,%ecx; rdmsr; xor $1,%eax; wrmsr"
    PROBE "read APIC_BASE", GP, GP, GP, GP, "mov $0x1b,%ecx; rdmsr"
    PROBE "write APIC_BASE", GP, GP, GP, GP, "mov $0x1b,%ecx; mov $0xfee00900,%eax; xor %edx,%edx; wrmsr"
    PROBE "read VM_HSAVE_PA", GP, GP, GP, GP, "mov $0xc0010117,%ecx; rdmsr"
    PROBE "write VM_HSAVE_PA", GP, GP, GP, GP, "mov $0xc0010117,%ecx; xor %eax,%eax; xor %edx,%edx; wrmsr"
    PROBE "write VM_CR", GP, GP, GP, GP, "mov $0xc0010114,%ecx; xor %eax,%eax; xor %edx,%edx; wrmsr"
    PROBE "write SMM_BASE", GP, GP, GP, GP, "mov $0xc0010111,%ecx; xor %eax,%eax; xor %edx,%edx; wrmsr"
    PROBE "write MTRR", GP, GP, GP, GP, "mov $0x2ff,%ecx; xor %eax,%eax; xor %edx,%edx; wrmsr"
    PROBE "write DEBUGCTL", GP, GP, GP, GP, "mov $0x1d9,%ecx; mov $1,%eax; xor %edx,%edx; wrmsr"
    PROBE "write TSC_AUX", GP, GP, GP, GP, "mov $0xc0000103,%ecx; mov $1,%eax; xor %edx,%edx; wrmsr"
    PROBE "read an unknown MSR", GP, GP, GP, GP, "mov $0x12345678,%ecx; rdmsr"
    PROBE "write x2APIC", GP, GP, GP, GP, "mov $0x80b,%ecx; xor %eax,%eax; xor %edx,%edx; wrmsr"

// --- ports ---------------------------------------------------------------------------------------------------
    PROBE "in from the POST port", OK, OK, OK, GP, "in $0x80,%al"
    PROBE "word to the POST port", GP, GP, GP, GP, "out %ax,$0x80"
    PROBE "keyboard controller", GP, GP, GP, GP, "in $0x64,%al"
    PROBE "reset by the keyboard controller", GP, GP, GP, GP, "mov $0xfe,%al; out %al,$0x64"
    PROBE "COM1", GP, GP, GP, GP, "mov $0x3f8,%edx; mov $0x21,%al; out %al,%dx"
    PROBE "debug exit", GP, GP, GP, GP, "mov $0xf4,%edx; mov $3,%eax; out %eax,%dx"
    PROBE "counters channel", GP, GP, GP, GP, "mov $0xe9,%edx; mov $0x7b,%al; out %al,%dx"
    PROBE "PCI configuration", GP, GP, GP, GP, "mov $0xcf8,%edx; mov $0x80000000,%eax; out %eax,%dx"
    PROBE "PIC", GP, GP, GP, GP, "out %al,$0x20"
    PROBE "PIT", GP, GP, GP, GP, "in $0x40,%al"
    PROBE "CMOS", GP, GP, GP, GP, "mov $0,%al; out %al,$0x70"
    PROBE "system control", GP, GP, GP, GP, "in $0x92,%al; or $1,%al; out %al,$0x92"
    PROBE "ACPI power", GP, GP, GP, GP, "mov $0x604,%edx; mov $0x2000,%eax; out %ax,%dx"
    PROBE "string out", GP, GP, GP, GP, "mov $0x80,%edx; mov %rsp,%rsi; mov $1,%ecx; rep outsb"
    PROBE "string in", GP, GP, GP, GP, "mov $0x80,%edx; lea -64(%rsp),%rdi; mov $1,%ecx; rep insb"
    PROBE "the last port", GP, GP, GP, GP, "mov $0xffff,%edx; in %dx,%eax"

    .section .note.GNU-stack, "", @progbits
