// What the decoders of guest instructions share: bytes in order, prefixes, and a memory operand, in 64-bit
// mode. The bytes are the guest's, which may change them at any time: they are read once. Pure, no state.
// Source: AMD64 APM vol. 3, chapter 1 (instruction encoding).
#pragma once

#include <array>
#include <cstring>
#include <span>

#include "pvops/base/addr.h"
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

// The bytes from an instruction's first on, at most kMaxInstructionBytes; zeros behind them.
class InstructionBytes {
 public:
  InstructionBytes() = default;
  explicit InstructionBytes(std::span<const u8> code)
      : size_(code.size() < kMaxInstructionBytes ? code.size() : kMaxInstructionBytes) {
    for (u64 i = 0; i < size_; ++i) bytes_[i] = code[i];
  }
  // Those of the guest at rip, as far as there are any: where the page behind is missing, the beginning may
  // still decode. read(va, span) fills the span, or fails.
  template <class Read>
  [[nodiscard]] static InstructionBytes fetch(Gva rip, Read read) {
    InstructionBytes code;
    const auto room = std::span(code.bytes_).template first<kMaxInstructionBytes>();
    if (read(rip, std::span<u8>(room))) [[likely]] {
      code.size_ = kMaxInstructionBytes;
      return code;
    }
    const u64 in_page = kPageBytes - rip.page_offset();
    if (in_page < kMaxInstructionBytes && read(rip, room.first(in_page))) code.size_ = in_page;
    std::memset(code.bytes_ + code.size_, 0, kMaxInstructionBytes - code.size_);
    return code;
  }

 private:
  friend class InstructionReader;

  // Zero, which is no prefix, ends the prefixes at the latest, and what follows them is an opcode's second
  // byte, ModRM, SIB, a displacement and an immediate: nothing reads beyond.
  static constexpr u64 kMostBehind = 1 + 1 + 1 + 1 + 4 + 4;

  u64 size_ = 0;
  u8 bytes_[kMaxInstructionBytes + kMostBehind] = {};
};

// Reads them in order; behind the end everything is zero and ok() is false.
class InstructionReader {
 public:
  explicit InstructionReader(const InstructionBytes& code) : code_(code) {}

  u8 next() { return code_.bytes_[at_++]; }
  // Little endian.
  i64 next_signed8() { return static_cast<signed char>(next()); }
  i64 next_signed32() {
    const u8* const from = code_.bytes_ + at_;
    at_ += 4;
    return static_cast<i32>(u32{from[0]} | u32{from[1]} << 8 | u32{from[2]} << 16 | u32{from[3]} << 24);
  }
  [[nodiscard]] bool ok() const { return at_ <= code_.size_; }
  // How many were read.
  [[nodiscard]] u8 position() const { return static_cast<u8>(at_); }

 private:
  const InstructionBytes& code_;
  u64 at_ = 0;
};

struct Prefixes {
  u8 rex = 0;  // 0 when there is none
  MemoryOperand::Segment segment = MemoryOperand::Segment::kFlat;
  bool address_32bit = false;
  bool lock = false;
  bool repeat = false;  // F2, F3
  bool operand_16bit = false;
  u8 opcode = 0;  // the first byte that is no prefix

  constexpr void note(u8 legacy_prefix) {
    switch (legacy_prefix) {
      case 0x64:
        segment = MemoryOperand::Segment::kFs;
        break;
      case 0x65:
        segment = MemoryOperand::Segment::kGs;
        break;
      case 0x66:
        operand_16bit = true;
        break;
      case 0x67:
        address_32bit = true;
        break;
      case 0xf0:
        lock = true;
        break;
      case 0xf2:
      case 0xf3:
        repeat = true;
        break;
      default:  // segments that have no base
        break;
    }
  }

  [[nodiscard]] bool wide() const { return rex & 8; }
  // Numbers of registers from the three bits in ModRM and SIB.
  [[nodiscard]] u8 reg(u8 bits) const { return static_cast<u8>((bits & 7) | (rex & 4 ? 8 : 0)); }
  [[nodiscard]] u8 index(u8 bits) const { return static_cast<u8>((bits & 7) | (rex & 2 ? 8 : 0)); }
  [[nodiscard]] u8 base(u8 bits) const { return static_cast<u8>((bits & 7) | (rex & 1 ? 8 : 0)); }
};

// One bit for each byte that is a prefix, but REX.
inline constexpr auto kLegacyPrefixes = [] {
  std::array<u64, 4> bits{};
  for (const u8 byte : {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3}) {
    bits[byte / 64] |= u64{1} << byte % 64;
  }
  return bits;
}();

// Reads up to the opcode. Nearly every instruction has a REX at most.
inline Prefixes read_prefixes(InstructionReader& in) {
  Prefixes prefixes;
  while (true) {
    const u8 byte = in.next();
    if ((byte & 0xf0) == 0x40) {
      prefixes.rex = byte;  // only the last one before the opcode counts
    } else if (kLegacyPrefixes[byte / 64] >> byte % 64 & 1) [[unlikely]] {
      prefixes.rex = 0;  // a REX that is not directly before the opcode is ignored
      prefixes.note(byte);
    } else {
      prefixes.opcode = byte;
      return prefixes;
    }
  }
}

// What follows ModRM. Precondition: modrm names memory, not a register.
inline MemoryOperand read_memory_operand(InstructionReader& in, u8 modrm, const Prefixes& prefixes) {
  MemoryOperand operand;
  operand.segment = prefixes.segment;
  operand.address_32bit = prefixes.address_32bit;
  const u8 mod = modrm >> 6;
  const u8 rm = modrm & 7;
  if (rm == 4) {
    const u8 sib = in.next();
    const u8 index = prefixes.index(sib >> 3);
    operand.scale_shift = sib >> 6;
    operand.index = index == 4 ? MemoryOperand::kNone : index;
    if ((sib & 7) == 5 && mod == 0) {
      operand.displacement = in.next_signed32();
    } else {
      operand.base = prefixes.base(sib);
    }
  } else if (rm == 5 && mod == 0) {
    operand.rip_relative = true;
    operand.displacement = in.next_signed32();
  } else {
    operand.base = prefixes.base(rm);
  }
  if (mod == 1) {
    operand.displacement = in.next_signed8();
  } else if (mod == 2) {
    operand.displacement = in.next_signed32();
  }
  return operand;
}

}  // namespace nopte::hv
