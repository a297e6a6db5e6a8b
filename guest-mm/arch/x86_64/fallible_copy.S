// Copies that may fault, and loads of processor state that a program may have written. Each instruction that touches fallible memory has a row in the fault table: when its
// access is refused, the fault handler puts the ViolationReason into eax and continues at the row's landing.
// All return 0 or a ViolationReason; a prefix may have been written.

    .macro fallible landing
    .pushsection .fault_table, "a", @progbits
    .quad 9f, \landing
    .popsection
9:
    .endm

    .macro function name
    .globl \name
    .type \name, @function
\name:
    .endm

    .text

// u32 copy_or_fault(void* to, const void* from, u64 bytes): words, then an overlapping last word.
function copy_or_fault
    cld
    mov %rdx, %rcx
    shr $3, %rcx
    jz 1f
    fallible refused
    rep movsq
    and $7, %edx
    jz 2f
    fallible refused
    mov -8(%rsi,%rdx), %rax
    fallible refused
    mov %rax, -8(%rdi,%rdx)
2:  xor %eax, %eax
    ret
1:  mov %edx, %ecx
    fallible refused
    rep movsb
    xor %eax, %eax
    ret
    .size copy_or_fault, . - copy_or_fault

// u32 zero_or_fault(void* to, u64 bytes)
function zero_or_fault
    xor %eax, %eax
    mov %rsi, %rcx
    shr $3, %rcx
    fallible refused
    rep stosq
    and $7, %esi
    mov %esi, %ecx
    fallible refused
    rep stosb
    ret
    .size zero_or_fault, . - zero_or_fault

// u32 copy_string_or_fault(char* to, const char* from, u64 bytes, u64* copied): stops after a terminator;
// *copied counts what was written, the terminator included. Goes by words as long as a word neither leaves the
// page (the string may end before it) nor holds a zero byte.
function copy_string_or_fault
    push %rbx
    mov %rdi, %r8
    add %rdi, %rdx                      // the end of `to`
    movabs $0x0101010101010101, %r10
    movabs $0x8080808080808080, %r11
1:  lea 8(%rdi), %rax
    cmp %rdx, %rax
    ja 2f
    mov %esi, %eax
    and $0xfff, %eax
    cmp $0xff8, %eax
    ja 2f
    fallible string_refused
    mov (%rsi), %r9
    mov %r9, %rax
    mov %r9, %rbx
    sub %r10, %rax
    not %rbx
    and %r11, %rax
    and %rbx, %rax                      // some byte's top bit when that byte is zero
    jnz 2f
    mov %r9, (%rdi)
    add $8, %rsi
    add $8, %rdi
    jmp 1b
2:  mov $8, %ebx                        // so many bytes, then by words again
3:  cmp %rdx, %rdi
    jae 4f
    fallible string_refused
    mov (%rsi), %al
    inc %rsi
    mov %al, (%rdi)
    inc %rdi
    test %al, %al
    jz 4f
    dec %ebx
    jnz 3b
    jmp 1b
4:  xor %eax, %eax
string_refused:
    sub %r8, %rdi
    mov %rdi, (%rcx)
    pop %rbx
refused:
    ret
    .size copy_string_or_fault, . - copy_string_or_fault

// u32 load_fpu_or_fault(const u8* area, u32 components): XRSTOR, or FXRSTOR when components is 0. Not 0 when the
// area holds what the processor refuses (reserved bits).
function load_fpu_or_fault
    mov %esi, %eax
    xor %edx, %edx
    test %eax, %eax
    jz 1f
    fallible refused
    xrstor64 (%rdi)
    xor %eax, %eax
    ret
1:  fallible refused
    fxrstor64 (%rdi)
    ret
    .size load_fpu_or_fault, . - load_fpu_or_fault

    .section .note.GNU-stack, "", @progbits
