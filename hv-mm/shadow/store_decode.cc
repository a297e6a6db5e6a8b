#include "hv-mm/shadow/store_decode.h"

namespace nopte::hv {
namespace {

class Reader {
 public:
  explicit Reader(std::span<const u8> bytes)
      : bytes_(bytes.first(std::min<u64>(bytes.size(), kMaxInstructionBytes))) {}

  // The next byte; 0 and !ok() past the end.
  u8 next() {
    if (at_ >= bytes_.size()) {
      ok_ = false;
      return 0;
    }
    return bytes_[at_++];
  }
  void skip(u64 count) {
    for (u64 i = 0; i < count; ++i) (void)next();
  }
  // Little endian, sign-extended.
  u64 signed_value(u64 count) {
    u64 value = 0;
    for (u64 i = 0; i < count; ++i) value |= u64{next()} << (8 * i);
    const u64 unused_bits = 64 - 8 * count;
    return static_cast<u64>(static_cast<i64>(value << unused_bits) >> unused_bits);
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] u8 position() const { return static_cast<u8>(at_); }

 private:
  std::span<const u8> bytes_;
  u64 at_ = 0;
  bool ok_ = true;
};

struct Prefixes {
  bool word = false;    // 66
  bool repeat = false;  // F2, F3
  u8 rex = 0;
  u8 opcode = 0;  // the first byte that is no prefix
};

Prefixes read_prefixes(Reader& reader) {
  Prefixes prefixes;
  while (reader.ok()) {
    const u8 byte = reader.next();
    switch (byte) {
      case 0x66:
        prefixes.word = true;
        break;
      case 0xf2:
      case 0xf3:
        prefixes.repeat = true;
        break;
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
      case 0x64:
      case 0x65:
      case 0x67:
      case 0xf0:
        break;
      default:
        if ((byte & 0xf0) == 0x40) {
          prefixes.rex = byte;
          prefixes.opcode = reader.next();
        } else {
          prefixes.opcode = byte;
        }
        return prefixes;
    }
    prefixes.rex = 0;  // REX counts only directly before the opcode
  }
  return prefixes;
}

struct ModRm {
  bool memory = false;
  u8 reg = 0;  // without REX.R
};

ModRm read_modrm(Reader& reader) {
  const u8 modrm = reader.next();
  const u8 mod = modrm >> 6;
  const u8 rm = modrm & 7;
  if (mod != 3) {
    bool displacement32 = mod == 2 || (mod == 0 && rm == 5);
    if (rm == 4) {
      const u8 sib = reader.next();
      displacement32 = displacement32 || (mod == 0 && (sib & 7) == 5);
    }
    reader.skip(displacement32 ? 4 : mod == 1 ? 1 : 0);
  }
  return {.memory = mod != 3, .reg = static_cast<u8>(modrm >> 3 & 7)};
}

// How the source follows ModRM.
enum class Source : u8 { kRegister, kImmediate8, kImmediate32 };

struct Form {
  StoreOp op;
  Source source;
};

// The /digit groups 80h family and 0F BA.
std::optional<StoreOp> arithmetic_group(u8 digit) {
  switch (digit) {
    case 0:
      return StoreOp::kAdd;
    case 1:
      return StoreOp::kOr;
    case 4:
      return StoreOp::kAnd;
    case 5:
      return StoreOp::kSub;
    case 6:
      return StoreOp::kXor;
    default:
      return {};  // adc, sbb, cmp
  }
}

std::optional<Form> one_byte_form(u8 opcode, u8 digit) {
  switch (opcode) {
    case 0x01:
      return Form{StoreOp::kAdd, Source::kRegister};
    case 0x09:
      return Form{StoreOp::kOr, Source::kRegister};
    case 0x21:
      return Form{StoreOp::kAnd, Source::kRegister};
    case 0x29:
      return Form{StoreOp::kSub, Source::kRegister};
    case 0x31:
      return Form{StoreOp::kXor, Source::kRegister};
    case 0x87:
      return Form{StoreOp::kXchg, Source::kRegister};
    case 0x89:
      return Form{StoreOp::kMov, Source::kRegister};
    case 0x81:
    case 0x83:
      if (const auto op = arithmetic_group(digit)) {
        return Form{*op, opcode == 0x81 ? Source::kImmediate32 : Source::kImmediate8};
      }
      return {};
    case 0xc7:
      if (digit == 0) return Form{StoreOp::kMov, Source::kImmediate32};
      return {};
    default:
      return {};
  }
}

std::optional<Form> two_byte_form(u8 opcode, u8 digit) {
  switch (opcode) {
    case 0xab:
      return Form{StoreOp::kBts, Source::kRegister};
    case 0xb1:
      return Form{StoreOp::kCmpxchg, Source::kRegister};
    case 0xb3:
      return Form{StoreOp::kBtr, Source::kRegister};
    case 0xbb:
      return Form{StoreOp::kBtc, Source::kRegister};
    case 0xc1:
      return Form{StoreOp::kXadd, Source::kRegister};
    case 0xc3:
      return Form{StoreOp::kMov, Source::kRegister};  // movnti
    case 0xba:
      switch (digit) {
        case 5:
          return Form{StoreOp::kBts, Source::kImmediate8};
        case 6:
          return Form{StoreOp::kBtr, Source::kImmediate8};
        case 7:
          return Form{StoreOp::kBtc, Source::kImmediate8};
        default:
          return {};
      }
    default:
      return {};
  }
}

}  // namespace

std::optional<StoreInstruction> decode_store(std::span<const u8> bytes) {
  Reader reader(bytes);
  const Prefixes prefixes = read_prefixes(reader);
  // A 66 prefix is ignored under REX.W; without it the operand has 2 bytes, which no table store has.
  const bool wide = prefixes.rex & 8;
  if (prefixes.repeat || (prefixes.word && !wide)) return {};

  const bool two_byte = prefixes.opcode == 0x0f;
  const u8 opcode = two_byte ? reader.next() : prefixes.opcode;
  const ModRm modrm = read_modrm(reader);
  if (!reader.ok() || !modrm.memory) return {};
  const auto form = two_byte ? two_byte_form(opcode, modrm.reg) : one_byte_form(opcode, modrm.reg);
  if (!form) return {};

  StoreInstruction store;
  store.op = form->op;
  store.operand_bytes = wide ? 8 : 4;
  store.register_index = static_cast<u8>(modrm.reg | (prefixes.rex & 4 ? 8 : 0));
  if (form->source != Source::kRegister) {
    store.has_immediate = true;
    store.immediate = reader.signed_value(form->source == Source::kImmediate8 ? 1 : 4);
  }
  if (!reader.ok()) return {};
  store.length_bytes = reader.position();
  return store;
}

}  // namespace nopte::hv
