#include "hv-mm/counters.h"

#include <algorithm>
#include <span>

namespace nopte::hv {
namespace {

struct SlotName {
  u32 slot;
  std::string_view name;
};

constexpr SlotName kExitNames[] = {
    {0x00, "cr0_read"},
    {0x03, "cr3_read"},
    {0x04, "cr4_read"},
    {0x08, "cr8_read"},
    {0x10, "cr0_write"},
    {0x13, "cr3_write"},
    {0x14, "cr4_write"},
    {0x18, "cr8_write"},
    {0x41, "debug"},
    {0x4e, "page_fault"},
    {0x51, "alignment_check"},
    {0x52, "machine_check"},
    {0x60, "interrupt"},
    {0x61, "nmi"},
    {0x62, "smi"},
    {0x63, "init"},
    {0x64, "interrupt_window"},
    {0x6f, "rdpmc"},
    {0x72, "cpuid"},
    {0x76, "invd"},
    {0x78, "hlt"},
    {0x79, "invlpg"},
    {0x7a, "invlpga"},
    {0x7b, "io"},
    {0x7c, "msr"},
    {0x7d, "task_switch"},
    {0x7f, "shutdown"},
    {0x80, "vmrun"},

    {0x82, "vmload"},
    {0x83, "vmsave"},
    {0x84, "stgi"},
    {0x85, "clgi"},
    {0x86, "skinit"},
    {0x89, "wbinvd"},
    {0x8a, "monitor"},
    {0x8b, "mwait"},
    {0x8d, "xsetbv"},
    {Counters::kNestedFaultSlot, "nested_page_fault"},
    {Counters::kInvalidSlot, "invalid"},
};

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
         slot == exit_code::kCrRead0 + 3 || slot == exit_code::kCrWrite0 + 3;
}
constexpr bool is_platform_exit(u32 slot) {
  return slot == exit_code::kIntr || slot == exit_code::kNmi || slot == exit_code::kVintr ||
         slot == exit_code::kHlt;
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
