// What the decoders of guest instructions share: bytes in order, prefixes, and a memory operand, in 64-bit
// mode. The bytes are the guest's, which may change them at any time: they are read once. Pure, no state.
// Source: AMD64 APM vol. 3, chapter 1 (instruction encoding).
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

  // The address in its segment. gpr(n) gives general register n; next_rip is where the next instruction
  // begins.
  template <class Gpr>
  [[nodiscard]] u64 offset(u64 next_rip, Gpr gpr) const {
    u64 address = static_cast<u64>(displacement);
    if (rip_relative) address += next_rip;
    if (base != kNone) address += gpr(base);
    if (index != kNone) address += gpr(index) << scale_shift;
    return address_32bit ? address & 0xffff'ffff : address;
  }
};

// Reads bytes in order, at most kMaxInstructionBytes; after the end everything reads zero and ok() is false.
class InstructionBytes {
 public:
  explicit InstructionBytes(std::span<const u8> code)
      : code_(code.first(code.size() < kMaxInstructionBytes ? code.size() : kMaxInstructionBytes)) {}
  u8 next() {
    if (at_ >= code_.size()) {
      ok_ = false;
      return 0;
    }
    return code_[at_++];
  }
  // Little endian.
  i64 next_signed(unsigned bytes) {
    u64 value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= u64{next()} << (8 * i);
    const unsigned unused = 64 - 8 * bytes;
    return static_cast<i64>(value << unused) >> unused;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  // How many were read.
  [[nodiscard]] u8 position() const { return static_cast<u8>(at_); }

 private:
  std::span<const u8> code_;
  u64 at_ = 0;
  bool ok_ = true;
};

struct Prefixes {
  u8 rex = 0;  // 0 when there is none
  MemoryOperand::Segment segment = MemoryOperand::Segment::kFlat;
  bool address_32bit = false;
  bool lock = false;
  bool repeat = false;  // F2, F3
  bool operand_16bit = false;
  u8 opcode = 0;  // the first byte that is no prefix

  [[nodiscard]] bool wide() const { return rex & 8; }
  // Numbers of registers from the three bits in ModRM and SIB.
  [[nodiscard]] u8 reg(u8 bits) const { return static_cast<u8>((bits & 7) | (rex & 4 ? 8 : 0)); }
  [[nodiscard]] u8 index(u8 bits) const { return static_cast<u8>((bits & 7) | (rex & 2 ? 8 : 0)); }
  [[nodiscard]] u8 base(u8 bits) const { return static_cast<u8>((bits & 7) | (rex & 1 ? 8 : 0)); }
};

// Reads up to the opcode.
Prefixes read_prefixes(InstructionBytes& in);

// What follows ModRM. Precondition: modrm names memory, not a register.
MemoryOperand read_memory_operand(InstructionBytes& in, u8 modrm, const Prefixes& prefixes);

}  // namespace nopte::hv
