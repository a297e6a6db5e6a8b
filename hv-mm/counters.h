// What the hypervisor counts, and its form on the counters channel: one JSON object per line. Memory exits
// are those that a memory mode causes; platform exits (console, timer, idle, interrupts, marks) are counted
// apart; the rest (CPUID, MSRs, refused instructions) is "other". Concurrency: one CPU.
#pragma once

#include <array>

#include "hv-mm/json_writer.h"
#include "hv-mm/vcpu.h"
#include "pvops/interfaces/tag.h"

namespace nopte::hv {

struct Counters {
  // Exits by code: 0-0xaf as they are, then nested fault, then anything else. VMMCALLs are not counted here:
  // they are the sum of calls and refused_calls.
  static constexpr u32 kNestedFaultSlot = 0xb0;
  static constexpr u32 kInvalidSlot = 0xb1;
  static constexpr u32 kExitSlots = 0xb2;
  static constexpr u32 kCallSlots = 128;

  std::array<u64, kExitSlots> exits{};
  // Calls of another hypervisor's interface (pvops/interfaces) share a slot: the mode counts them by number.
  static constexpr u32 kTaggedSlot = kCallSlots - 2;
  std::array<u64, kCallSlots> calls{};  // by number; unknown numbers share the last slot
  u64 refused_calls = 0;                // VMMCALL at CPL 3
  u64 idle_ticks = 0;
  u64 halts = 0;
  // Spent in writing earlier lines: reported times leave it out.
  u64 reporting_ticks = 0;

  static u32 exit_slot(u64 code) {
    return code < kNestedFaultSlot           ? static_cast<u32>(code)
           : code == exit_code::kNestedFault ? kNestedFaultSlot
                                             : kInvalidSlot;
  }
  static u32 call_slot(u64 number) {
    return number < kTaggedSlot     ? static_cast<u32>(number)
           : abi::is_tagged(number) ? kTaggedSlot
                                    : kCallSlots - 1;
  }

  struct Totals {
    u64 all, memory, platform, other;
  };
  [[nodiscard]] Totals totals() const;
};

// Instructions that an exit takes outside the two TSC readings of vmrun.S.
inline constexpr u64 kUncountedInstructionsPerExit = 11;

// Members "exits", "exits_memory", "exits_platform", "exits_other", "hv_instructions" (TSC ticks), "halts",
// and the objects "exit" and "call" with what is not zero.
void write_counters(JsonWriter& json, const Counters& counters, u64 hypervisor_ticks);

}  // namespace nopte::hv
