// What a decoded store does: the value it writes, the register it loads and the flags it sets. Exact for
// every StoreOp, so that a guest cannot tell an emulated store from an executed one.
//
// Pure functions. Source: AMD64 APM vol. 3, the instructions' pages; vol. 1, 3.1.4 (rFLAGS).
#pragma once

#include "hv-mm/shadow/trapped/store_decode.h"

namespace nopte::hv {

struct StoreEffect {
  u64 memory = 0;               // new value of the operand, operand_bytes wide (the old one when unchanged)
  bool loads_register = false;  // register_index takes register_value (already extended to 64 bits)
  u8 register_index = 0;
  u64 register_value = 0;
  u64 rflags = 0;
};

// memory_before: the operand's old value, operand_bytes wide. source: the 64-bit register named by the
// instruction (ignored with an immediate). rax: the accumulator, compared by cmpxchg.
[[nodiscard]] StoreEffect execute_store(const StoreInstruction& store, u64 memory_before, u64 source, u64 rax,
                                        u64 rflags);

}  // namespace nopte::hv
