// The program that the fork+exec row runs: one page of code that exits with status 0.
        .globl  _start
        .text
_start:
        mov     $60, %eax               // exit
        xor     %edi, %edi
        syscall
        ud2
        .section .note.GNU-stack, "", @progbits
