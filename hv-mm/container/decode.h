// Decodes the few instructions whose exits TCG does not decode: moves to and from control and debug
// registers, CLTS, LMSW, SMSW and INVLPG, in 64-bit mode. Whatever does not decode is kUnknown. Source: APM
// vol. 3, appendix A.
#pragma once

#include "hv-mm/container/instruction.h"

namespace nopte::hv {

struct DecodedInstruction {
  enum class Kind : u8 { kUnknown, kCrRead, kCrWrite, kDrRead, kDrWrite, kClts, kLmsw, kSmsw, kInvlpg };

  Kind kind = Kind::kUnknown;
  u8 bytes = 0;             // length
  u8 system_register = 0;   // CRn or DRn
  u8 general_register = 0;  // the other side of a move
  bool operand_16bit = false;
  bool has_memory = false;
  MemoryOperand memory;  // kInvlpg; kLmsw and kSmsw when has_memory
};

DecodedInstruction decode_instruction(const InstructionBytes& code);

// How many prefixes stand before the opcode; 0 when the bytes end before it.
u8 prefix_bytes(const InstructionBytes& code);

}  // namespace nopte::hv
