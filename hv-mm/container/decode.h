// Decodes the few instructions whose exits TCG does not decode: moves to and from control and debug
// registers, CLTS, LMSW, SMSW and INVLPG, in 64-bit mode. The bytes are the guest's, which may change them at
// any time: they are read once, and whatever does not decode is kUnknown. Source: APM vol. 3, chapter 1 and
// appendix A.
#pragma once

#include <span>

#include "pvops/base/types.h"

namespace nopte::hv {

inline constexpr u64 kMaxInstructionBytes = 15;

struct MemoryOperand {
  static constexpr u8 kNone = 0xff;
  enum class Segment : u8 { kFlat, kFs, kGs };

  Segment segment = Segment::kFlat;
  u8 base = kNone;   // register number, kNone for none
  u8 index = kNone;  // register number
  u8 scale_shift = 0;
  bool rip_relative = false;  // to the next instruction
  bool address_32bit = false;
  i64 displacement = 0;
};

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

// `code` holds at most kMaxInstructionBytes bytes from the instruction's first on; fewer where memory ends.
DecodedInstruction decode_instruction(std::span<const u8> code);

// How many prefixes stand before the opcode; 0 when `code` ends before it.
u8 prefix_bytes(std::span<const u8> code);

}  // namespace nopte::hv
