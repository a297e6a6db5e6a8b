// The paravirtual platform: console, timer, idle, power-off and marks by hypercall; time by the TSC, which
// the hypervisor never intercepts.
#include <cstring>

#include "pvops/arch/x86_64/clock.h"
#include "pvops/arch/x86_64/interrupt_window.h"
#include "pvops/at_mark.h"
#include "pvops/guest/hypercall_backend.h"
#include "pvops/guest/hypercalls.h"

namespace nopte {
namespace {

using pv::call;

constexpr u64 kTextBytes = 40;
TscClock g_clock;
u64 g_boot_wall_ns = 0;

// Text of at most kTextBytes in five registers.
template <class Args>
void send_text(std::string_view text) {
  u64 words[kTextBytes / 8] = {};
  std::memcpy(words, text.data(), text.size());
  (void)call(Args{text.size(), words[0], words[1], words[2], words[3], words[4]});
}

}  // namespace

void PlatformCalls::console_write(std::string_view text) {
  while (!text.empty()) {
    const auto part = std::string_view(text.data(), text.size() < kTextBytes ? text.size() : kTextBytes);
    send_text<abi::console_write_args>(part);
    text.remove_prefix(part.size());
  }
}

std::optional<u8> PlatformCalls::console_read() {
  constexpr u64 kThereWasOne = 0x100;
  const u64 value = call(abi::console_read_args{}).value;
  if ((value & kThereWasOne) == 0) {
    return {};
  }
  return static_cast<u8>(value);
}

u64 PlatformCalls::now_ns() { return g_clock.ns(cpu::rdtsc()); }

void PlatformCalls::timer_set(u64 deadline_ns) { (void)call(abi::timer_set_args{deadline_ns}); }
void PlatformCalls::timer_cancel() { (void)call(abi::timer_cancel_args{}); }

// Virtual interrupts are done when they are taken.
void PlatformCalls::interrupt_done(u8) {}

// The call returns when an interrupt is pending; it is taken in the open window.
void PlatformCalls::idle() {
  (void)call(abi::idle_args{});
  take_interrupts();
}

void PlatformCalls::power_off(u8 status) {
  for (;;) {
    (void)call(abi::power_off_args{status});
    cpu::cli();
    cpu::hlt();  // a hypervisor that does not know the call sees this as the end
  }
}

void PlatformCalls::mark(std::string_view name) {
  if (!name.empty()) {
    send_text<abi::mark_args>(name.substr(0, name.size() < kTextBytes ? name.size() : kTextBytes));
    if (g_at_mark != nullptr) [[unlikely]]
      g_at_mark();
  }
}

u64 PlatformCalls::boot_wall_ns() { return g_boot_wall_ns; }

namespace pv {

constexpr PlatformOps kPlatform{
    "paravirtual",
#define NOPTE_OP(result, name, parameters, arguments) &PlatformCalls::name,
#include "pvops/platform_ops.def"
};

bool hypervisor_present() {
  constexpr u32 kHypervisorBit = u32{1} << 31;
  if ((cpu::cpuid(1).ecx & kHypervisorBit) == 0) {
    return false;
  }
  const auto leaf = cpu::cpuid(abi::kCpuidSignatureLeaf);
  return leaf.ebx == abi::kCpuidSignature[0] && leaf.ecx == abi::kCpuidSignature[1] &&
         leaf.edx == abi::kCpuidSignature[2] && leaf.eax >= abi::kCpuidFeatureLeaf;
}

u32 hypervisor_version() { return cpu::cpuid(abi::kCpuidFeatureLeaf).eax; }

u64 common_features() {
  const auto result = call(abi::query_args{1});
  return result.status == Status::kOk
             ? result.value & (abi::kMemoryFeatures | abi::kFeaturePlatform | abi::kFeatureInterfaces)
             : 0;
}

const PlatformOps& init_platform(const abi::BootBlock& block) {
  g_clock = TscClock(block.tsc_hz);
  g_boot_wall_ns = block.boot_wall_ns;
  return kPlatform;
}

}  // namespace pv
}  // namespace nopte
