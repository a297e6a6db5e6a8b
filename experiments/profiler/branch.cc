#include "experiments/profiler/branch.h"

#include "experiments/plugins/code.h"

namespace profiler {

// Encodings: APM vol. 3, appendix A.
Branch classify(std::span<const uint8_t> bytes) {
  while (!bytes.empty() && plugins::is_prefix(bytes.front())) bytes = bytes.subspan(1);
  if (bytes.empty()) return Branch::kNone;
  const uint8_t second = bytes.size() > 1 ? bytes[1] : 0;
  const uint8_t third = bytes.size() > 2 ? bytes[2] : 0;
  switch (bytes[0]) {
    case 0xe8:
      return Branch::kCall;
    case 0xff:  // group 5: /2 and /3 are calls
      return (second >> 3 & 7) == 2 || (second >> 3 & 7) == 3 ? Branch::kCall : Branch::kNone;
    case 0xc2:
    case 0xc3:
      return Branch::kReturn;
    case 0xcf:
      return Branch::kLeaveKernel;
    case 0x0f:
      if (second == 0x05) return Branch::kSystemCall;
      if (second == 0x07) return Branch::kLeaveKernel;
      if (second == 0x31 || (second == 0x01 && third == 0xf9)) return Branch::kReadTicks;
      return second == 0x01 && third == 0xd8 ? Branch::kVmrun : Branch::kNone;
    default:
      return Branch::kNone;
  }
}

}  // namespace profiler
