// The processor's own execution of the stores that hv-mm/shadow emulates: what the emulation is compared
// with.
#pragma once

#include "pvops/base/types.h"

namespace nopte::testing {

struct Executed {
  u64 memory, source, rax, rflags;
};

// Executes INSTRUCTION with operands (memory at rdi, source rsi of this width) with rflags loaded before and
// read after.
#define NOPTE_EXECUTE(name, instruction)                                  \
  inline Executed name(u64 memory, u64 source, u64 rax, u64 rflags) {     \
    Executed r{memory, source, rax, rflags};                              \
    asm volatile("lea -128(%%rsp), %%rsp; push %[f]; popfq; " instruction \
                 "; pushfq; pop %[f]; lea 128(%%rsp), %%rsp"              \
                 : [f] "+r"(r.rflags), "+a"(r.rax), "+S"(r.source)        \
                 : "D"(&r.memory)                                         \
                 : "cc", "memory");                                       \
    return r;                                                             \
  }
#define NOPTE_EXECUTE_BOTH(name, mnemonic)             \
  NOPTE_EXECUTE(name##_64, mnemonic " %%rsi, (%%rdi)") \
  NOPTE_EXECUTE(name##_32, mnemonic " %%esi, (%%rdi)")

NOPTE_EXECUTE_BOTH(mov, "mov")
NOPTE_EXECUTE_BOTH(xchg, "xchg")
NOPTE_EXECUTE_BOTH(cmpxchg, "lock cmpxchg")
NOPTE_EXECUTE_BOTH(xadd, "lock xadd")
NOPTE_EXECUTE_BOTH(add, "add")
NOPTE_EXECUTE_BOTH(or_, "or")
NOPTE_EXECUTE_BOTH(and_, "and")
NOPTE_EXECUTE_BOTH(sub, "sub")
NOPTE_EXECUTE_BOTH(xor_, "xor")
// Bit numbers inside the operand only: beyond it these address other memory.
NOPTE_EXECUTE_BOTH(bts, "lock bts")
NOPTE_EXECUTE_BOTH(btr, "lock btr")
NOPTE_EXECUTE_BOTH(btc, "lock btc")

#undef NOPTE_EXECUTE_BOTH
#undef NOPTE_EXECUTE

}  // namespace nopte::testing
