#include "guest-mm/arch/x86_64/call_sites.h"

#include <cstring>

#include "pvops/base/panic.h"

namespace nopte::guest {
namespace {

constexpr u64 kImageBase = 0xffff'ffff'8000'0000;
constexpr u64 kMostSites = 512;

// Addresses from kImageBase on.
struct CallSite {
  u32 displacement;  // where it lies
  u32 linked;        // the function that it leads to as linked
  u32 platform;      // 0: a memory call, 1: a platform call
};

struct CallSiteTable {
  u32 count;
  u32 reserved;
  CallSite sites[kMostSites];
};

// Volatile: its contents are not the compiler's to know.
[[gnu::section(".call_sites"), gnu::used]] const volatile CallSiteTable g_call_sites{};

std::span<const CallSite> sites() {
  const auto* table = const_cast<const CallSiteTable*>(&g_call_sites);
  asm volatile("" : "+r"(table));
  return {table->sites, table->count};
}

// A displacement counts from the instruction's end, which it is the last part of.
u64 target(const CallSite& site) {
  const u64 at = kImageBase + site.displacement;
  i32 displacement;
  std::memcpy(&displacement, reinterpret_cast<const void*>(at), sizeof(displacement));
  return at + sizeof(displacement) + static_cast<u64>(i64{displacement});
}

struct Redirection {
  u64 from;
  u64 to;
};

// The processor sees its own stores to code when it next branches (AMD64 APM vol. 2, 7.6.1).
void redirect(std::span<const Redirection> redirections) {
  for (const CallSite& site : sites()) {
    for (const Redirection& r : redirections) {
      if (kImageBase + site.linked != r.from) continue;
      NOPTE_ASSERT(target(site) == r.from);
      const u64 at = kImageBase + site.displacement;
      const auto displacement = static_cast<i32>(r.to - (at + sizeof(i32)));
      std::memcpy(reinterpret_cast<void*>(at), &displacement, sizeof(displacement));
    }
  }
}

}  // namespace

void bind_calls(const MmOps& ops, FaultResolver fault) {
  const Redirection redirections[] = {
#define NOPTE_OP(result, name, parameters, arguments) \
  {reinterpret_cast<u64>(&MmCalls::name), reinterpret_cast<u64>(ops.name)},
#include "pvops/mm_ops.def"
      {reinterpret_cast<u64>(&resolve_fault), reinterpret_cast<u64>(fault)},
  };
  redirect(redirections);
}

void bind_calls(const PlatformOps& ops) {
  const Redirection redirections[] = {
#define NOPTE_OP(result, name, parameters, arguments) \
  {reinterpret_cast<u64>(&PlatformCalls::name), reinterpret_cast<u64>(ops.name)},
#include "pvops/platform_ops.def"
  };
  redirect(redirections);
}

arch::CallSites arch::call_sites() {
  CallSites found{};
  for (const CallSite& site : sites()) {
    auto& group = site.platform != 0 ? found.platform : found.memory;
    ++group.recorded;
    if (target(site) != kImageBase + site.linked) ++group.redirected;
  }
  return found;
}

}  // namespace nopte::guest
