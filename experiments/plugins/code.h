// Bytes of instructions: what both plugins look at when code is translated.
#pragma once

#include <cstddef>
#include <cstdint>

struct qemu_plugin_insn;

namespace plugins {

inline constexpr size_t kInstructionBytes = 16;  // room for one; the longest has 15
inline constexpr size_t kVmrunBytes = 3;

// Operand and address size, segments, repetition, lock, REX (APM vol. 3, 1.2).
constexpr bool is_prefix(uint8_t byte) {
  return byte == 0x66 || byte == 0x67 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x26 ||
         byte == 0x64 || byte == 0x65 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3 ||
         (byte & 0xf0) == 0x40;
}

// The version of QEMU's interface, from what it exports: it is asked for before anything of a plugin is
// called.
int version_of_this_qemu();

// What QEMU offers (qemu_info_t): from version 3 on bytes of instructions are read in another way. Set at
// install.
inline int interface_version = 1;

// Copies an instruction's bytes to `bytes`, which has room for kInstructionBytes; answers with how many.
size_t copy_instruction(const qemu_plugin_insn* instruction, uint8_t* bytes);

}  // namespace plugins
