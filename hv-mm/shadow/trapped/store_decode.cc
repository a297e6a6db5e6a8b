#include "hv-mm/shadow/trapped/store_decode.h"

namespace nopte::hv {
namespace {

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

constexpr u8 kMovnti = 0xc3;

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
    case kMovnti:
      return Form{StoreOp::kMov, Source::kRegister};
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

std::optional<StoreInstruction> decode_store(const InstructionBytes& code) {
  InstructionReader in(code);
  const Prefixes prefixes = read_prefixes(in);
  // A 66 prefix is ignored under REX.W; without it the operand has 2 bytes, which no table store has.
  const bool wide = prefixes.wide();
  if (prefixes.repeat || (prefixes.operand_16bit && !wide)) return {};

  const bool two_byte = prefixes.opcode == 0x0f;
  const u8 opcode = two_byte ? in.next() : prefixes.opcode;
  const u8 modrm = in.next();
  if (modrm >> 6 == 3) return {};
  const u8 digit = modrm >> 3 & 7;
  if (two_byte && opcode == kMovnti && prefixes.operand_16bit) return {};  // none, under REX.W too
  const auto form = two_byte ? two_byte_form(opcode, digit) : one_byte_form(opcode, digit);
  if (!form || (prefixes.lock && form->op == StoreOp::kMov)) return {};  // LOCK MOV is none

  std::optional<StoreInstruction> store(std::in_place);
  store->op = form->op;
  store->operand_bytes = wide ? 8 : 4;
  store->register_index = prefixes.reg(digit);
  store->memory = read_memory_operand(in, modrm, prefixes);
  if (form->source != Source::kRegister) {
    store->has_immediate = true;
    store->immediate =
        static_cast<u64>(form->source == Source::kImmediate8 ? in.next_signed8() : in.next_signed32());
  }
  store->length_bytes = in.position();
  if (!in.ok()) store.reset();
  return store;
}

}  // namespace nopte::hv
