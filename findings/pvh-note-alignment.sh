#!/usr/bin/env bash
# QEMU finds a PVH note in a segment whose alignment is 4. Where that is 8, though the note in it is the same byte for byte, it
# takes the entry's address from behind the note and begins there without a word.
# Why it matters: a note of the compiler's (.note.gnu.property, aligned to 8) that the linker puts into the same segment makes
# its alignment 8; tests/gates/pvh_note.py has the build fail then.
# Source: include/hw/elf_ops.h, get_elf_note_type, and read_pvh_start_addr: the name's length is rounded up to the segment's
# alignment, as the ELF specification has it for notes that are aligned so; those of both kinds end in one segment.
. "$(dirname "$0")/support.bash"
unpack_qemu
begins_at() {
  run_kernel <<ASM
    mov \$'E', %al
    out %al, \$0xe9
    jmp end
behind:
    mov \$'B', %al
    out %al, \$0xe9
    jmp end
    .section .note.Xen, "a", @note
    .long behind
    .balign $1
    .text
ASM
}
verdict "4: E, 8: E (the entry)" "4: $(begins_at 4), 8: $(begins_at 8)" "4: E, 8: B"
