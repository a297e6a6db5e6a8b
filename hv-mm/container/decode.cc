#include "hv-mm/container/decode.h"

namespace nopte::hv {
namespace {

// Reads bytes in order; after the end everything reads zero and ok() is false.
class Reader {
 public:
  explicit Reader(std::span<const u8> code) : code_(code) {}
  u8 next() {
    if (at_ >= code_.size()) {
      ok_ = false;
      return 0;
    }
    return code_[at_++];
  }
  i64 next_signed(unsigned bytes) {
    u64 value = 0;
    for (unsigned i = 0; i < bytes; ++i) {
      value |= u64{next()} << (8 * i);
    }
    const unsigned unused = 64 - 8 * bytes;
    return static_cast<i64>(value << unused) >> unused;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] u8 at() const { return static_cast<u8>(at_); }

 private:
  std::span<const u8> code_;
  u64 at_ = 0;
  bool ok_ = true;
};

struct Prefixes {
  u8 rex = 0;
  MemoryOperand::Segment segment = MemoryOperand::Segment::kFlat;
  bool address_32bit = false;
  bool lock = false;
  bool operand_16bit = false;
};

// Returns the first byte that is no prefix.
u8 skip_prefixes(Reader& in, Prefixes& prefixes) {
  for (;;) {
    const u8 byte = in.next();
    if ((byte & 0xf0) == 0x40) {
      prefixes.rex = byte;
      continue;  // only the last one before the opcode counts
    }
    switch (byte) {
      case 0x64:
        prefixes.segment = MemoryOperand::Segment::kFs;
        break;
      case 0x65:
        prefixes.segment = MemoryOperand::Segment::kGs;
        break;
      case 0x67:
        prefixes.address_32bit = true;
        break;
      case 0xf0:
        prefixes.lock = true;
        break;
      case 0x66:
        prefixes.operand_16bit = true;
        break;
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
      case 0xf2:
      case 0xf3:
        break;
      default:
        return byte;
    }
    prefixes.rex = 0;  // a REX that is not directly before the opcode is ignored
  }
}

MemoryOperand decode_memory(Reader& in, u8 modrm, const Prefixes& prefixes) {
  MemoryOperand operand;
  operand.segment = prefixes.segment;
  operand.address_32bit = prefixes.address_32bit;
  const u8 mod = modrm >> 6;
  const u8 rm = modrm & 7;
  const u8 rex_b = prefixes.rex & 1 ? 8 : 0;
  const u8 rex_x = prefixes.rex & 2 ? 8 : 0;
  if (rm == 4) {
    const u8 sib = in.next();
    const u8 index = static_cast<u8>((sib >> 3 & 7) | rex_x);
    operand.scale_shift = sib >> 6;
    operand.index = index == 4 ? MemoryOperand::kNone : index;
    if ((sib & 7) == 5 && mod == 0) {
      operand.displacement = in.next_signed(4);
    } else {
      operand.base = static_cast<u8>((sib & 7) | rex_b);
    }
  } else if (rm == 5 && mod == 0) {
    operand.rip_relative = true;
    operand.displacement = in.next_signed(4);
  } else {
    operand.base = static_cast<u8>(rm | rex_b);
  }
  if (mod == 1) {
    operand.displacement = in.next_signed(1);
  } else if (mod == 2) {
    operand.displacement = in.next_signed(4);
  }
  return operand;
}

}  // namespace

u8 prefix_bytes(std::span<const u8> code) {
  Reader in(code);
  Prefixes prefixes;
  skip_prefixes(in, prefixes);
  return in.ok() ? static_cast<u8>(in.at() - 1) : u8{0};
}

DecodedInstruction decode_instruction(std::span<const u8> code) {
  using Kind = DecodedInstruction::Kind;
  Reader in(code.first(code.size() < kMaxInstructionBytes ? code.size() : kMaxInstructionBytes));
  Prefixes prefixes;
  if (skip_prefixes(in, prefixes) != 0x0f || prefixes.lock) {
    return {};
  }
  DecodedInstruction result;
  result.operand_16bit = prefixes.operand_16bit && !(prefixes.rex & 8);
  const u8 opcode = in.next();
  if (opcode == 0x06) {
    result.kind = Kind::kClts;
  } else if (opcode >= 0x20 && opcode <= 0x23) {
    constexpr Kind kKinds[] = {Kind::kCrRead, Kind::kDrRead, Kind::kCrWrite, Kind::kDrWrite};
    const u8 modrm = in.next();  // mod is ignored: always a register
    result.kind = kKinds[opcode - 0x20];
    result.system_register = static_cast<u8>((modrm >> 3 & 7) | (prefixes.rex & 4 ? 8 : 0));
    result.general_register = static_cast<u8>((modrm & 7) | (prefixes.rex & 1 ? 8 : 0));
  } else if (opcode == 0x01) {
    const u8 modrm = in.next();
    const u8 extension = modrm >> 3 & 7;
    const bool is_register = (modrm >> 6) == 3;
    if (extension == 7 && !is_register) {
      result.kind = Kind::kInvlpg;
      result.has_memory = true;
      result.memory = decode_memory(in, modrm, prefixes);
    } else if ((extension == 4 || extension == 6)) {
      result.kind = extension == 4 ? Kind::kSmsw : Kind::kLmsw;
      if (is_register) {
        result.general_register = static_cast<u8>((modrm & 7) | (prefixes.rex & 1 ? 8 : 0));
      } else {
        result.has_memory = true;
        result.memory = decode_memory(in, modrm, prefixes);
      }
    } else {
      return {};
    }
  } else {
    return {};
  }
  if (!in.ok()) {
    return {};
  }
  result.bytes = in.at();
  return result;
}

}  // namespace nopte::hv
