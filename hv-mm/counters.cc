#include "hv-mm/counters.h"

#include <algorithm>
#include <array>
#include <span>

#include "hv-mm/container/intercepts.h"

namespace nopte::hv {
namespace {

struct SlotName {
  u32 slot;
  std::string_view name;
};

constexpr auto kExitNames = [] {
  std::array<SlotName, kIntercepts.size() + 2> names{};
  for (u32 i = 0; i < kIntercepts.size(); ++i) names[i] = {kIntercepts[i].exit_code(), kIntercepts[i].name};
  names[kIntercepts.size()] = {Counters::kNestedFaultSlot, "nested_page_fault"};
  names[kIntercepts.size() + 1] = {Counters::kInvalidSlot, "invalid"};
  return names;
}();

constexpr SlotName kCallNames[] = {
#define NOPTE_ARG(type, name, meaning)
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors) {number, #name},
#include "pvops/abi/hypercalls.def"
    {Counters::kTaggedSlot, "interface"},
    {Counters::kCallSlots - 1, "unknown"},
};

constexpr bool is_platform_call(u32 number) {
  return number == static_cast<u32>(abi::Call::query) ||
         (number >= static_cast<u32>(abi::Call::console_write) && number != Counters::kTaggedSlot);
}

constexpr bool is_memory_exit(u32 slot) {
  return slot == exit_code::kPageFault || slot == Counters::kNestedFaultSlot || slot == exit_code::kInvlpg ||
         slot == exit_code::kCr3Read || slot == exit_code::kCr3Write;
}
constexpr bool is_platform_exit(u32 slot) {
  return slot == exit_code::kIntr || slot == exit_code::kNmi || slot == exit_code::kHlt;
}

// What has no name is added up as "unnamed".
void write_slots(JsonWriter& json, std::span<const SlotName> names, std::span<const u64> counts) {
  u64 unnamed = 0;
  for (u32 slot = 0; slot < counts.size(); ++slot) {
    if (counts[slot] == 0) {
      continue;
    }
    const auto* name = std::ranges::find(names, slot, &SlotName::slot).base();
    if (name == names.data() + names.size()) {
      unnamed += counts[slot];
    } else {
      json.member(name->name, counts[slot]);
    }
  }
  if (unnamed != 0) {
    json.member("unnamed", unnamed);
  }
}

}  // namespace

Counters::Totals Counters::totals() const {
  Totals totals{};
  for (u32 slot = 0; slot < exits.size(); ++slot) {
    totals.all += exits[slot];
    if (is_memory_exit(slot)) {
      totals.memory += exits[slot];
    } else if (is_platform_exit(slot)) {
      totals.platform += exits[slot];
    }
  }
  for (u32 slot = 0; slot < calls.size(); ++slot) {
    (is_platform_call(slot) ? totals.platform : totals.memory) += calls[slot];
    totals.all += calls[slot];
  }
  totals.all += refused_calls;
  totals.other = totals.all - totals.memory - totals.platform;
  return totals;
}

void write_counters(JsonWriter& json, const Counters& counters, u64 hypervisor_ticks) {
  const Counters::Totals totals = counters.totals();
  json.member("exits_memory", totals.memory);
  json.member("exits_platform", totals.platform);
  json.member("exits_other", totals.other);
  json.member("hv_instructions", hypervisor_ticks + totals.all * kUncountedInstructionsPerExit -
                                     counters.idle_ticks - counters.reporting_ticks);
  json.member("halts", counters.halts);
  json.begin_object("exits");
  u64 calls = counters.refused_calls;
  for (const u64 count : counters.calls) {
    calls += count;
  }
  json.member("vmmcall", calls);
  write_slots(json, kExitNames, counters.exits);
  json.end_object();
  json.begin_object("calls");
  write_slots(json, kCallNames, counters.calls);
  json.end_object();
}

}  // namespace nopte::hv
