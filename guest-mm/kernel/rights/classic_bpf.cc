#include "guest-mm/kernel/rights/classic_bpf.h"

#include <cstring>

#include "guest-mm/core/heap.h"

namespace nopte::guest {

namespace {

// uapi/linux/bpf_common.h: class, then size and mode of loads, or the operation and where its operand is.
enum Code : u16 {
  kLoad = 0x00,
  kLoadX = 0x01,
  kStore = 0x02,
  kStoreX = 0x03,
  kLoadCall = 0x20,  // BPF_LD | BPF_W | BPF_ABS
  kLoadMemory = 0x60,
  kLoadXMemory = 0x61,
  kLoadLength = 0x80,
  kLoadXLength = 0x81,
  kAdd = 0x04,
  kSubtract = 0x14,
  kMultiply = 0x24,
  kDivide = 0x34,
  kOr = 0x44,
  kAnd = 0x54,
  kShiftLeft = 0x64,
  kShiftRight = 0x74,
  kNegate = 0x84,
  kXor = 0xa4,
  kJump = 0x05,
  kIfEqual = 0x15,
  kIfGreater = 0x25,
  kIfNotLess = 0x35,
  kIfSet = 0x45,
  kReturn = 0x06,
  kReturnA = 0x16,
  kToX = 0x07,
  kToA = 0x87,
};
constexpr u16 kByX = 0x08;  // the operand is X, not k
constexpr u32 kWords = 16;

bool check_one(BpfInstruction one, u32 behind) {
  switch (one.code) {
    case kLoad:
    case kLoadX:
    case kLoadLength:
    case kLoadXLength:
    case kNegate:
    case kReturn:
    case kReturnA:
    case kToX:
    case kToA:
      return true;
    case kLoadCall:
      return one.k < sizeof(CallData) && one.k % 4 == 0;
    case kStore:
    case kStoreX:
    case kLoadMemory:
    case kLoadXMemory:
      return one.k < kWords;
    case kDivide:
      return one.k != 0;
    case kShiftLeft:
    case kShiftRight:
      return one.k < 32;
    case kAdd:
    case kSubtract:
    case kMultiply:
    case kOr:
    case kAnd:
    case kXor:
    case kAdd | kByX:
    case kSubtract | kByX:
    case kMultiply | kByX:
    case kDivide | kByX:
    case kOr | kByX:
    case kAnd | kByX:
    case kXor | kByX:
    case kShiftLeft | kByX:
    case kShiftRight | kByX:
      return true;
    case kJump:
      return one.k < behind;
    case kIfEqual:
    case kIfGreater:
    case kIfNotLess:
    case kIfSet:
    case kIfEqual | kByX:
    case kIfGreater | kByX:
    case kIfNotLess | kByX:
    case kIfSet | kByX:
      return one.if_true < behind && one.if_false < behind;
    default:
      return false;
  }
}

// Whether each word that is read was written before, on every way there. written[i]: on every way to i that
// was seen so far; ways lead forward.
bool check_memory(std::span<const BpfInstruction> program, u16* written) {
  u16 now = 0;
  for (u64 at = 0; at < program.size(); ++at) {
    const BpfInstruction one = program[at];
    now &= written[at];
    const u16 bit = static_cast<u16>(1u << (one.k % kWords));
    switch (one.code) {
      case kStore:
      case kStoreX:
        now |= bit;
        break;
      case kLoadMemory:
      case kLoadXMemory:
        if ((now & bit) == 0) return false;
        break;
      case kJump:
        written[at + 1 + one.k] &= now;
        now = 0xffff;
        break;
      default:
        if ((one.code & 7) == kJump) {
          written[at + 1 + one.if_true] &= now;
          written[at + 1 + one.if_false] &= now;
          now = 0xffff;
        }
    }
  }
  return true;
}

}  // namespace

Result<void> check_bpf(std::span<const BpfInstruction> program) {
  if (program.empty() || program.size() > kMostBpfInstructions) {
    return Fail(Status::kInvalid);
  }
  for (u64 at = 0; at < program.size(); ++at) {
    if (!check_one(program[at], static_cast<u32>(program.size() - at - 1))) return Fail(Status::kInvalid);
  }
  if (program.back().code != kReturn && program.back().code != kReturnA) {
    return Fail(Status::kInvalid);
  }
  const HeapBuffer written(program.size() * sizeof(u16));
  if (!written) {
    return Fail(Status::kNoMemory);
  }
  std::memset(written.data(), 0xff, program.size() * sizeof(u16));
  return check_memory(program, reinterpret_cast<u16*>(written.data())) ? Result<void>{}
                                                                       : Fail(Status::kInvalid);
}

u32 run_bpf(std::span<const BpfInstruction> program, const CallData& data) {
  u32 a = 0, x = 0, memory[kWords];
  for (u64 at = 0;; ++at) {
    const BpfInstruction one = program[at];
    const bool computes = (one.code & 7) == kAdd || (one.code & 7) == kJump;
    const u32 operand = computes && (one.code & kByX) != 0 ? x : one.k;
    const auto branch = [&](bool condition) { at += condition ? one.if_true : one.if_false; };
    switch (computes ? one.code & ~kByX : one.code) {
      case kLoad:
        a = one.k;
        break;
      case kLoadX:
        x = one.k;
        break;
      case kLoadCall:
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + one.k, sizeof a);
        break;
      case kLoadMemory:
        a = memory[one.k];
        break;
      case kLoadXMemory:
        x = memory[one.k];
        break;
      case kLoadLength:
        a = sizeof(CallData);
        break;
      case kLoadXLength:
        x = sizeof(CallData);
        break;
      case kStore:
        memory[one.k] = a;
        break;
      case kStoreX:
        memory[one.k] = x;
        break;
      case kAdd:
        a += operand;
        break;
      case kSubtract:
        a -= operand;
        break;
      case kMultiply:
        a *= operand;
        break;
      case kDivide:
        if (operand == 0) return 0;
        a /= operand;
        break;
      case kOr:
        a |= operand;
        break;
      case kAnd:
        a &= operand;
        break;
      case kXor:
        a ^= operand;
        break;
      case kShiftLeft:
        a <<= operand & 31;
        break;
      case kShiftRight:
        a >>= operand & 31;
        break;
      case kNegate:
        a = -a;
        break;
      case kToX:
        x = a;
        break;
      case kToA:
        a = x;
        break;
      case kJump:
        at += one.k;
        break;
      case kIfEqual:
        branch(a == operand);
        break;
      case kIfGreater:
        branch(a > operand);
        break;
      case kIfNotLess:
        branch(a >= operand);
        break;
      case kIfSet:
        branch((a & operand) != 0);
        break;
      case kReturnA:
        return a;
      default:
        return one.k;
    }
  }
}

}  // namespace nopte::guest
