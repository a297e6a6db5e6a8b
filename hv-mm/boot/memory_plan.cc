#include "hv-mm/boot/memory_plan.h"

#include "hv-mm/boot/options.h"

namespace nopte::hv {
namespace {

// Beside the module: host tables, frame metadata (at most 1% of the guest), shadow tables, heap.
u64 needed_own_bytes(u64 module_bytes, u64 guest_bytes) {
  return module_bytes + guest_bytes / 64 + (u64{8} << 20);
}

}  // namespace

std::expected<MemoryPlan, const char*> plan_memory(std::span<const PhysicalSpan> ram, PhysicalSpan image,
                                                   u64 module_bytes, u64 guest_bytes) {
  constexpr const char* kTooLittle =
      "too little memory: the machine (-m) needs memory= for the guest plus the hypervisor's own, which is "
      "the bundle, 1/64 of memory= and 8 MiB";
  constexpr const char* kNotContiguous =
      "no contiguous memory for memory=: PC machines have a gap below 4 GiB; give 3 GiB or less, or a "
      "machine "
      "(-m) with that much above 4 GiB";
  const u64 image_end = (image.begin + image.bytes + kPageMask) & ~kPageMask;
  MemoryPlan plan;
  u64 home_end = 0;
  u64 total_bytes = 0;
  for (const PhysicalSpan& span : ram) {
    const u64 end = span.begin + span.bytes;
    total_bytes += span.bytes;
    if (end > plan.physical_end) {
      plan.physical_end = end;
    }
    if (span.begin <= image.begin && image_end <= end) {
      home_end = end & ~kPageMask;
    }
  }
  if (home_end == 0) {
    return std::unexpected("the memory map does not hold the hypervisor's image");
  }
  const u64 own_bytes = needed_own_bytes(module_bytes, guest_bytes);
  for (const PhysicalSpan& span : ram) {
    const u64 end = (span.begin + span.bytes) & ~(kGuestAlignBytes - 1);
    const bool home = span.begin <= image.begin && image_end <= span.begin + span.bytes;
    const u64 begin = home ? image_end : (span.begin + kGuestAlignBytes - 1) & ~(kGuestAlignBytes - 1);
    if (end < begin || end - begin < guest_bytes) {
      continue;
    }
    const u64 guest_begin = end - guest_bytes;
    const u64 own_end = home ? guest_begin : home_end;
    if (own_end < image_end || own_end - image_end < own_bytes) {
      continue;
    }
    plan.guest = {guest_begin, guest_bytes};
    plan.own = {image_end, own_end - image_end};
    return plan;
  }
  const bool enough = guest_bytes < total_bytes && own_bytes < total_bytes - guest_bytes;
  return std::unexpected(enough ? kNotContiguous : kTooLittle);
}

}  // namespace nopte::hv
