// What the last instruction of a block does to the flow of control, from its bytes.
#pragma once

#include <cstdint>
#include <span>

namespace profiler {

enum class Branch : uint8_t {
  kNone,  // goes on behind it; jumps, too: where they lead is seen
  kCall,
  kReturn,
  kSystemCall,
  kLeaveKernel,  // SYSRET, IRET
  kVmrun,
  kReadTicks,  // RDTSC, RDTSCP: no branch, but the edge of a measured span
};

// `bytes`: of one instruction, in 64-bit mode.
Branch classify(std::span<const uint8_t> bytes);

}  // namespace profiler
