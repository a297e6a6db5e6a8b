// What the boot code, the backend and the platform of the bare machine share.
#pragma once

#include <string_view>

#include "native-fallback/guest/physical_layout.h"
#include "native-fallback/tables/counters.h"

namespace nopte::pt {

// The memory map that PVH gave; empty under a hypervisor, where memory is one range from 0.
extern PhysicalLayout g_pvh_memory;

// Switches timer and console interrupts on; the registers have been mapped at these kernel addresses.
void start_interrupts(volatile void* lapic, volatile void* io_apic);

// What a platform without a hypervisor of ours writes to the counters channel.
struct IdleTime {
  u64 ns = 0;
  u64 times = 0;
  void add(u64 more) {
    ns += more;
    ++times;
  }
};
void report_mark(std::string_view name, u64 tsc, const IdleTime& idle);
[[noreturn]] void report_power_off(u8 status, u64 tsc, const IdleTime& idle);

// The engine's, once it has booted.
inline constexpr EngineCounters kNoCounters{};
inline constinit const EngineCounters* g_engine_counters = &kNoCounters;

}  // namespace nopte::pt
