#include "experiments/walks/instruction.h"

#include "experiments/plugins/code.h"

namespace walks {
namespace {

constexpr uint8_t kTwoByte = 0x0f;

}  // namespace

// Encodings: APM vol. 3, appendix A. 0F 22 /r: MOV to a control register; 0F 01 /7 with memory: INVLPG; 0F 01
// D8 to DF: VMRUN, VMMCALL, VMLOAD, VMSAVE, STGI, CLGI, SKINIT, INVLPGA.
Special classify(std::span<const uint8_t> bytes) {
  bool extends_reg = false;  // REX.R
  while (!bytes.empty() && plugins::is_prefix(bytes.front())) {
    extends_reg = (bytes.front() & 0xf4) == 0x44;
    bytes = bytes.subspan(1);
  }
  if (bytes.size() < 3 || bytes[0] != kTwoByte) return Special::kNone;
  const uint8_t modrm = bytes[2];
  const unsigned reg = modrm >> 3 & 7;
  if (bytes[1] == 0x22) {
    if (extends_reg) return Special::kNone;  // CR8 and above
    if (reg == 3) return Special::kWriteCr3;
    return reg == 0 || reg == 4 ? Special::kWriteCr0OrCr4 : Special::kNone;
  }
  if (bytes[1] != 0x01) return Special::kNone;
  switch (modrm) {
    case 0xd8:
      return Special::kVmrun;
    case 0xda:
    case 0xdb:
      return Special::kVmloadOrVmsave;
    case 0xdf:
      return Special::kInvlpga;
    default:
      return modrm < 0xc0 && reg == 7 ? Special::kInvlpg : Special::kNone;
  }
}

}  // namespace walks
