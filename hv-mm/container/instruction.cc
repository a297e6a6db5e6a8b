#include "hv-mm/container/instruction.h"

namespace nopte::hv {

Prefixes read_prefixes(InstructionBytes& in) {
  Prefixes prefixes;
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
      case 0xf2:
      case 0xf3:
        prefixes.repeat = true;
        break;
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
        break;
      default:
        prefixes.opcode = byte;
        return prefixes;
    }
    prefixes.rex = 0;  // a REX that is not directly before the opcode is ignored
  }
}

MemoryOperand read_memory_operand(InstructionBytes& in, u8 modrm, const Prefixes& prefixes) {
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
      operand.displacement = in.next_signed(4);
    } else {
      operand.base = prefixes.base(sib);
    }
  } else if (rm == 5 && mod == 0) {
    operand.rip_relative = true;
    operand.displacement = in.next_signed(4);
  } else {
    operand.base = prefixes.base(rm);
  }
  if (mod == 1) {
    operand.displacement = in.next_signed(1);
  } else if (mod == 2) {
    operand.displacement = in.next_signed(4);
  }
  return operand;
}

}  // namespace nopte::hv
