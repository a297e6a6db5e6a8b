#include "hv-mm/container/decode.h"

namespace nopte::hv {

u8 prefix_bytes(const InstructionBytes& code) {
  InstructionReader in(code);
  static_cast<void>(read_prefixes(in));
  return in.ok() ? static_cast<u8>(in.position() - 1) : u8{0};
}

DecodedInstruction decode_instruction(const InstructionBytes& code) {
  using Kind = DecodedInstruction::Kind;
  InstructionReader in(code);
  const Prefixes prefixes = read_prefixes(in);
  if (prefixes.opcode != 0x0f || prefixes.lock) {
    return {};
  }
  DecodedInstruction result;
  result.operand_16bit = prefixes.operand_16bit && !prefixes.wide();
  const u8 opcode = in.next();
  if (opcode == 0x06) {
    result.kind = Kind::kClts;
  } else if (opcode >= 0x20 && opcode <= 0x23) {
    constexpr Kind kKinds[] = {Kind::kCrRead, Kind::kDrRead, Kind::kCrWrite, Kind::kDrWrite};
    const u8 modrm = in.next();  // mod is ignored: always a register
    result.kind = kKinds[opcode - 0x20];
    result.system_register = prefixes.reg(modrm >> 3);
    result.general_register = prefixes.base(modrm);
  } else if (opcode == 0x01) {
    const u8 modrm = in.next();
    const u8 extension = modrm >> 3 & 7;
    const bool is_register = (modrm >> 6) == 3;
    if (extension == 7 && !is_register) {
      result.kind = Kind::kInvlpg;
      result.has_memory = true;
      result.memory = read_memory_operand(in, modrm, prefixes);
    } else if ((extension == 4 || extension == 6)) {
      result.kind = extension == 4 ? Kind::kSmsw : Kind::kLmsw;
      if (is_register) {
        result.general_register = prefixes.base(modrm);
      } else {
        result.has_memory = true;
        result.memory = read_memory_operand(in, modrm, prefixes);
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
  result.bytes = in.position();
  return result;
}

}  // namespace nopte::hv
