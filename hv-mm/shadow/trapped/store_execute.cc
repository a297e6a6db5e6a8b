#include "hv-mm/shadow/trapped/store_execute.h"

#include <bit>

namespace nopte::hv {
namespace {

constexpr u64 kCarry = 1 << 0;
constexpr u64 kParity = 1 << 2;
constexpr u64 kAdjust = 1 << 4;
constexpr u64 kZero = 1 << 6;
constexpr u64 kSign = 1 << 7;
constexpr u64 kOverflow = 1 << 11;
constexpr u64 kArithmetic = kCarry | kParity | kAdjust | kZero | kSign | kOverflow;

struct Width {
  u64 mask;
  u64 sign;
};

constexpr Width width_of(u8 bytes) {
  return bytes == 8 ? Width{~u64{0}, u64{1} << 63} : Width{0xffff'ffff, u64{1} << 31};
}

// Zero, sign and parity of a result.
u64 result_flags(u64 result, Width width) {
  u64 flags = 0;
  if (result == 0) flags |= kZero;
  if (result & width.sign) flags |= kSign;
  if (std::popcount(result & 0xff) % 2 == 0) flags |= kParity;
  return flags;
}

u64 add_flags(u64 a, u64 b, Width width) {
  const u64 result = (a + b) & width.mask;
  u64 flags = result_flags(result, width);
  if (result < a) flags |= kCarry;
  if ((a ^ result) & (b ^ result) & width.sign) flags |= kOverflow;
  if ((a ^ b ^ result) & 0x10) flags |= kAdjust;
  return flags;
}

u64 subtract_flags(u64 a, u64 b, Width width) {
  const u64 result = (a - b) & width.mask;
  u64 flags = result_flags(result, width);
  if (a < b) flags |= kCarry;
  if ((a ^ b) & (a ^ result) & width.sign) flags |= kOverflow;
  if ((a ^ b ^ result) & 0x10) flags |= kAdjust;
  return flags;
}

}  // namespace

StoreEffect execute_store(const StoreInstruction& store, u64 memory_before, u64 source, u64 rax, u64 rflags) {
  const Width width = width_of(store.operand_bytes);
  const u64 old = memory_before & width.mask;
  const u64 operand = (store.has_immediate ? store.immediate : source) & width.mask;
  const u64 bit = u64{1} << (operand & (store.operand_bytes * 8u - 1));

  StoreEffect effect{.memory = old, .rflags = rflags};
  const auto set_flags = [&](u64 flags) { effect.rflags = (rflags & ~kArithmetic) | flags; };
  const auto load_register = [&](u8 index, u64 value) {
    effect.loads_register = true;
    effect.register_index = index;
    effect.register_value = value;
  };

  switch (store.op) {
    case StoreOp::kMov:
      effect.memory = operand;
      break;
    case StoreOp::kXchg:
      effect.memory = operand;
      load_register(store.register_index, old);
      break;
    case StoreOp::kCmpxchg:
      set_flags(subtract_flags(rax & width.mask, old, width));
      if ((rax & width.mask) == old) {
        effect.memory = operand;
      } else {
        load_register(0, old);
      }
      break;
    case StoreOp::kXadd:
      effect.memory = (old + operand) & width.mask;
      set_flags(add_flags(old, operand, width));
      load_register(store.register_index, old);
      break;
    case StoreOp::kAdd:
      effect.memory = (old + operand) & width.mask;
      set_flags(add_flags(old, operand, width));
      break;
    case StoreOp::kSub:
      effect.memory = (old - operand) & width.mask;
      set_flags(subtract_flags(old, operand, width));
      break;
    case StoreOp::kOr:
      effect.memory = old | operand;
      set_flags(result_flags(effect.memory, width));
      break;
    case StoreOp::kAnd:
      effect.memory = old & operand;
      set_flags(result_flags(effect.memory, width));
      break;
    case StoreOp::kXor:
      effect.memory = old ^ operand;
      set_flags(result_flags(effect.memory, width));
      break;
    case StoreOp::kBts:
    case StoreOp::kBtr:
    case StoreOp::kBtc:
      effect.memory = store.op == StoreOp::kBts   ? old | bit
                      : store.op == StoreOp::kBtr ? old & ~bit
                                                  : old ^ bit;
      effect.rflags = (rflags & ~kCarry) | (old & bit ? kCarry : 0);
      break;
  }
  return effect;
}

}  // namespace nopte::hv
