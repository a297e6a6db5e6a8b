// Guest-physical memory as the shadow MMU sees it: frames 0 to `frames` - 1, contiguous in host-physical
// memory and seen by the hypervisor from `base` on, which is injected, so that tests run over ordinary
// memory.
#pragma once

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/tables/entry.h"

namespace nopte::hv {

// Guest-physical address.
using Gpa = Address<struct GpaTag>;

struct GuestMemory {
  u8* base = nullptr;  // where the hypervisor sees guest-physical 0
  pt::PhysAddr host;   // host-physical address of guest-physical 0; 2 MiB-aligned
  u64 frames = 0;      // below 2^31

  [[nodiscard]] bool contains(u64 gfn) const { return gfn < frames; }
  // Precondition: contains(gfn).
  [[nodiscard]] u8* table(u64 gfn) const { return base + pages_to_bytes(gfn); }
  [[nodiscard]] pt::Frame host_frame(u64 gfn) const { return pt::Frame(host.page() + gfn); }
  [[nodiscard]] u64 gfn_of(pt::Frame frame) const { return frame.number() - host.page(); }
};

// The processor that the guest sees: what decides which entry bits are reserved.
struct GuestProcessor {
  unsigned physical_bits = 40;  // CPUID 8000'0008h
  bool giant_pages = true;      // 1 GiB leaves, CPUID 8000'0001h
};

}  // namespace nopte::hv
