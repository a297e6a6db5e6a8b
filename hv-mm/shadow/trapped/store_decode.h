// Decoding of the instructions with which a guest writes a page-table entry: what the shadow MMU executes
// itself when the target is a write-protected table.
//
// Pure functions, no state. Source: AMD64 APM vol. 3, chapter 1 (instruction encoding), 64-bit mode.
#pragma once

#include <optional>

#include "hv-mm/container/instruction.h"

namespace nopte::hv {

enum class StoreOp : u8 {
  kMov,
  kXchg,
  kCmpxchg,
  kXadd,
  kAdd,
  kOr,
  kAnd,
  kSub,
  kXor,
  kBts,
  kBtr,
  kBtc,
};

// One store to memory. The source is `immediate` when has_immediate is set, else general register
// `register_index` (rax = 0 ... r15 = 15, the encoding's order).
struct StoreInstruction {
  StoreOp op = StoreOp::kMov;
  u8 operand_bytes = 0;  // 4 or 8
  u8 length_bytes = 0;
  u8 register_index = 0;
  bool has_immediate = false;
  u64 immediate = 0;  // sign-extended
  MemoryOperand memory;

  // Where the operand begins in its segment, of the instruction at rip. gpr(n) gives general register n. Bit
  // numbers in a register reach beyond the operand that is named.
  template <class Gpr>
  [[nodiscard]] u64 offset(u64 rip, Gpr gpr) const {
    u64 at = memory.offset(rip + length_bytes, gpr);
    if (!has_immediate && (op == StoreOp::kBts || op == StoreOp::kBtr || op == StoreOp::kBtc)) {
      const i64 bit =
          operand_bytes == 8 ? static_cast<i64>(gpr(register_index)) : static_cast<i32>(gpr(register_index));
      at += static_cast<u64>(bit >> 3 & -i64{operand_bytes});
    }
    return memory.address_32bit ? at & 0xffff'ffff : at;
  }
};

// Nothing when the instruction is not one of the forms above with a 4 or 8 byte memory operand, or is cut
// off: the caller then lets the processor execute it.
[[nodiscard]] std::optional<StoreInstruction> decode_store(const InstructionBytes& code);

}  // namespace nopte::hv
