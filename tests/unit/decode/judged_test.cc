// The decoders of guest instructions against Zydis, on every form that the hypervisor executes and on
// millions of encodings by chance: the same length and operands, or ours refuses what it does not execute.
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iomanip>
#include <optional>
#include <random>
#include <sstream>
#include <vector>

#include "hv-mm/container/decode.h"
#include "hv-mm/shadow/trapped/store_decode.h"

namespace nopte::hv {
namespace {

using Code = std::array<u8, kMaxInstructionBytes + 1>;

struct Judged {
  ZyanStatus status = ZYAN_STATUS_FAILED;
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  [[nodiscard]] bool valid() const { return ZYAN_SUCCESS(status); }
};

class DecodeJudged : public ::testing::Test {
 protected:
  DecodeJudged() { ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); }

  // Both decoders on these bytes.
  void judge(const Code& code) {
    const Judged judged = zydis(code);
    judge_store(code, judged);
    judge_instruction(code, judged);
    if (HasFailure()) FAIL() << text(code);
  }
  u64 stores = 0, system = 0;  // that both decoded

 private:
  Judged zydis(const Code& code) const {
    Judged judged;
    judged.status = ZydisDecoderDecodeFull(&decoder_, code.data(), kMaxInstructionBytes, &judged.instruction,
                                           judged.operands);
    return judged;
  }
  static std::string text(const Code& code) {
    std::ostringstream out;
    for (const u8 byte : code) out << std::hex << std::setw(2) << std::setfill('0') << unsigned{byte} << ' ';
    return out.str();
  }

  static std::optional<StoreOp> store_op(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
      case ZYDIS_MNEMONIC_MOV:
      case ZYDIS_MNEMONIC_MOVNTI:
        return StoreOp::kMov;
      case ZYDIS_MNEMONIC_XCHG:
        return StoreOp::kXchg;
      case ZYDIS_MNEMONIC_CMPXCHG:
        return StoreOp::kCmpxchg;
      case ZYDIS_MNEMONIC_XADD:
        return StoreOp::kXadd;
      case ZYDIS_MNEMONIC_ADD:
        return StoreOp::kAdd;
      case ZYDIS_MNEMONIC_OR:
        return StoreOp::kOr;
      case ZYDIS_MNEMONIC_AND:
        return StoreOp::kAnd;
      case ZYDIS_MNEMONIC_SUB:
        return StoreOp::kSub;
      case ZYDIS_MNEMONIC_XOR:
        return StoreOp::kXor;
      case ZYDIS_MNEMONIC_BTS:
        return StoreOp::kBts;
      case ZYDIS_MNEMONIC_BTR:
        return StoreOp::kBtr;
      case ZYDIS_MNEMONIC_BTC:
        return StoreOp::kBtc;
      default:
        return {};
    }
  }

  // What the hypervisor executes when its target is a table: these operations with 4 or 8 bytes of memory as
  // their first operand, without a repeat prefix; but no store of a segment register, none to an address in
  // the code.
  static std::optional<StoreOp> executed(const Judged& judged) {
    const ZydisDecodedInstruction& i = judged.instruction;
    const auto op = judged.valid() ? store_op(i.mnemonic) : std::nullopt;
    const ZydisDecodedOperand& to = judged.operands[0];
    constexpr u8 kMovOffset = 0xa3, kMovSegment = 0x8c;
    const bool left_out =
        i.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (i.opcode == kMovOffset || i.opcode == kMovSegment);
    if (!op || left_out || to.type != ZYDIS_OPERAND_TYPE_MEMORY || (to.size != 32 && to.size != 64))
      return {};
    for (u8 at = 0; at < i.raw.prefix_count; ++at) {
      if (i.raw.prefixes[at].value == 0xf2 || i.raw.prefixes[at].value == 0xf3) return {};
    }
    return op;
  }

  static u8 number(ZydisRegister reg) { return static_cast<u8>(ZydisRegisterGetId(reg)); }

  static void same_memory(const MemoryOperand& ours, const ZydisDecodedOperand& operand,
                          const ZydisDecodedInstruction& i) {
    ASSERT_EQ(operand.type, ZYDIS_OPERAND_TYPE_MEMORY);
    const ZydisDecodedOperandMem& theirs = operand.mem;
    // Zydis 4.0.0 forgets for addresses of 32 bits that a base of 5 without displacement is none under REX.B
    // too.
    if (i.address_width == 32 && theirs.base == ZYDIS_REGISTER_R13D && i.raw.modrm.mod == 0) return;
    const bool rip = theirs.base == ZYDIS_REGISTER_RIP || theirs.base == ZYDIS_REGISTER_EIP;
    EXPECT_EQ(ours.rip_relative, rip);
    EXPECT_EQ(ours.address_32bit, i.address_width == 32);
    EXPECT_EQ(ours.base,
              rip || theirs.base == ZYDIS_REGISTER_NONE ? MemoryOperand::kNone : number(theirs.base));
    EXPECT_EQ(ours.index, theirs.index == ZYDIS_REGISTER_NONE ? MemoryOperand::kNone : number(theirs.index));
    if (theirs.index != ZYDIS_REGISTER_NONE) {
      EXPECT_EQ(1u << ours.scale_shift, theirs.scale);
    }
    EXPECT_EQ(ours.displacement, theirs.disp.has_displacement ? theirs.disp.value : 0);
    EXPECT_EQ(ours.segment == MemoryOperand::Segment::kFs, theirs.segment == ZYDIS_REGISTER_FS);
    EXPECT_EQ(ours.segment == MemoryOperand::Segment::kGs, theirs.segment == ZYDIS_REGISTER_GS);
  }

  void judge_store(const Code& code, const Judged& judged) {
    const auto ours = decode_store(InstructionBytes(code));
    const auto op = executed(judged);
    ASSERT_EQ(ours.has_value(), op.has_value());
    if (!ours) return;
    ++stores;
    EXPECT_EQ(ours->op, *op);
    EXPECT_EQ(ours->length_bytes, judged.instruction.length);
    EXPECT_EQ(ours->operand_bytes * 8, judged.operands[0].size);
    same_memory(ours->memory, judged.operands[0], judged.instruction);
    const ZydisDecodedOperand& from = judged.operands[1];
    EXPECT_EQ(ours->has_immediate, from.type == ZYDIS_OPERAND_TYPE_IMMEDIATE);
    if (!ours->has_immediate) {
      ASSERT_EQ(from.type, ZYDIS_OPERAND_TYPE_REGISTER);
      EXPECT_EQ(ours->register_index, number(from.reg.value));
      return;
    }
    // A bit number has 8 bits, of which the operand's size takes some.
    const bool bit = *op == StoreOp::kBts || *op == StoreOp::kBtr || *op == StoreOp::kBtc;
    const u64 mask = bit ? 0xff : ours->operand_bytes == 4 ? 0xffff'ffff : ~u64{0};
    EXPECT_EQ(ours->immediate & mask, from.imm.value.u & mask);
  }

  void judge_instruction(const Code& code, const Judged& judged) {
    using Kind = DecodedInstruction::Kind;
    const DecodedInstruction ours = decode_instruction(InstructionBytes(code));
    const ZydisDecodedInstruction& i = judged.instruction;
    const ZydisDecodedOperand* const operand = judged.operands;
    const auto of_class = [&](unsigned at, ZydisRegisterClass wanted) {
      return operand[at].type == ZYDIS_OPERAND_TYPE_REGISTER &&
             ZydisRegisterGetClass(operand[at].reg.value) == wanted;
    };
    Kind kind = Kind::kUnknown;
    if (judged.valid()) {
      switch (i.mnemonic) {
        case ZYDIS_MNEMONIC_MOV:
          kind = of_class(0, ZYDIS_REGCLASS_CONTROL)   ? Kind::kCrWrite
                 : of_class(1, ZYDIS_REGCLASS_CONTROL) ? Kind::kCrRead
                 : of_class(0, ZYDIS_REGCLASS_DEBUG)   ? Kind::kDrWrite
                 : of_class(1, ZYDIS_REGCLASS_DEBUG)   ? Kind::kDrRead
                                                       : Kind::kUnknown;
          break;
        case ZYDIS_MNEMONIC_CLTS:
          kind = Kind::kClts;
          break;
        case ZYDIS_MNEMONIC_LMSW:
          kind = Kind::kLmsw;
          break;
        case ZYDIS_MNEMONIC_SMSW:
          kind = Kind::kSmsw;
          break;
        case ZYDIS_MNEMONIC_INVLPG:
          kind = Kind::kInvlpg;
          break;
        default:
          break;
      }
    }
    const bool cr = ours.kind == Kind::kCrRead || ours.kind == Kind::kCrWrite;
    const bool dr = ours.kind == Kind::kDrRead || ours.kind == Kind::kDrWrite;
    // Moves of registers that are none: whoever executes them says so.
    if (!judged.valid() && judged.status == ZYDIS_STATUS_BAD_REGISTER && (cr || dr)) return;
    ASSERT_EQ(ours.kind, kind);
    if (kind == Kind::kUnknown) return;
    ++system;
    EXPECT_EQ(ours.bytes, i.length);
    EXPECT_EQ(prefix_bytes(InstructionBytes(code)), i.raw.prefix_count);
    if (cr || dr) {
      const bool write = ours.kind == Kind::kCrWrite || ours.kind == Kind::kDrWrite;
      EXPECT_EQ(ours.system_register, number(operand[write ? 0 : 1].reg.value));
      EXPECT_EQ(ours.general_register, number(operand[write ? 1 : 0].reg.value));
    } else if (kind != Kind::kClts) {
      EXPECT_EQ(ours.has_memory, operand[0].type == ZYDIS_OPERAND_TYPE_MEMORY);
      if (ours.has_memory) {
        same_memory(ours.memory, operand[0], i);
      } else {
        EXPECT_EQ(ours.general_register, number(operand[0].reg.value));
        if (kind == Kind::kSmsw) {
          EXPECT_EQ(ours.operand_16bit, operand[0].size == 16);
        }
      }
    }
  }

  ZydisDecoder decoder_;
};

// Every opcode with every ModRM, behind what decides operands.
TEST_F(DecodeJudged, EveryForm) {
  std::mt19937_64 random(1);
  const std::vector<u8> prefixes[] = {{},           {0x48},       {0x4f},       {0x41},       {0x44},
                                      {0x66},       {0xf0},       {0xf2},       {0xf3, 0x48}, {0x66, 0x48},
                                      {0x67, 0x4a}, {0x64, 0x49}, {0xf0, 0x48}, {0x65},       {0x48, 0x2e}};
  for (const auto& before : prefixes) {
    for (unsigned map = 0; map < 2; ++map) {
      for (unsigned opcode = 0; opcode < 256; ++opcode) {
        for (unsigned modrm = 0; modrm < 256; ++modrm) {
          Code code;
          std::ranges::generate(code, [&] { return static_cast<u8>(random()); });
          auto at = std::ranges::copy(before, code.begin()).out;
          if (map == 1) *at++ = 0x0f;
          *at++ = static_cast<u8>(opcode);
          *at = static_cast<u8>(modrm);
          ASSERT_NO_FATAL_FAILURE(judge(code));
        }
      }
    }
  }
  EXPECT_GT(stores, 30'000u);
  EXPECT_GT(system, 10'000u);
}

// Prefixes in any number and order, opcodes mostly of what is executed.
TEST_F(DecodeJudged, ByChance) {
  constexpr u64 kEncodings = 2'000'000;
  constexpr u8 kPrefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x48, 0x4f};
  constexpr u8 kOne[] = {0x01, 0x09, 0x21, 0x29, 0x31, 0x81, 0x83, 0x87, 0x89, 0xc7, 0xab, 0xa5, 0xaa};
  constexpr u8 kTwo[] = {0xab, 0xb1, 0xb3, 0xbb, 0xc1, 0xc3, 0xba, 0x01, 0x06, 0x20, 0x21, 0x22, 0x23};
  std::mt19937_64 random(2007);
  for (u64 n = 0; n < kEncodings; ++n) {
    u64 dice = random();
    const auto pick = [&dice](auto& from) {
      const u64 at = dice % std::size(from);
      dice /= std::size(from);
      return from[at];
    };
    Code code;
    const u64 tail[] = {random(), random()};
    std::ranges::copy_n(reinterpret_cast<const u8*>(tail), code.size(), code.begin());
    unsigned at = 0;
    for (unsigned count = dice % 8 < 6 ? dice % 4 : dice % 15; at < count;) code[at++] = pick(kPrefixes);
    const unsigned map = dice % 4;
    if (map == 1) {
      code[at] = pick(kOne);
    } else if (map >= 2) {
      code[at++] = 0x0f;
      if (map == 2) code[at] = pick(kTwo);
    }
    ASSERT_NO_FATAL_FAILURE(judge(code));
  }
  EXPECT_GT(stores, kEncodings / 20);
  EXPECT_GT(system, kEncodings / 100);
}

}  // namespace
}  // namespace nopte::hv
