// MmOps over hypercalls: what the kernel's calls are as linked. The hypervisor keeps its own list of what is
// promised, so the views that other backends ask are not used.
#include "pvops/base/panic.h"
#include "pvops/guest/hypercall_backend.h"
#include "pvops/guest/hypercalls.h"
#include "pvops/guest/region_queue.h"

namespace nopte {
namespace {

using pv::call;
using pv::call_void;
using pv::HypercallResult;

Result<SpaceId> to_space(HypercallResult result) {
  if (result.status != Status::kOk) {
    return Fail(result.status);
  }
  const auto space = SpaceId(static_cast<u32>(result.value));
  pv::want_queue(space);
  return space;
}

// Until the hypervisor's block is known: nothing is promised.
constinit const abi::ViolationBlock g_nothing_promised{static_cast<u32>(ViolationReason::kNoRegion), 0, 0};
constinit const abi::ViolationBlock* g_violation_block = &g_nothing_promised;

constinit u64 g_features = 0;

}  // namespace

Result<SpaceId> MmCalls::space_create(const RegionSource&) {
  return to_space(call(abi::space_create_args{}));
}

Result<SpaceId> MmCalls::space_clone(SpaceId parent, const RegionSource&) {
  return to_space(call(abi::space_clone_args{parent}));
}

void MmCalls::space_destroy(SpaceId space) { NOPTE_ASSERT(call_void(abi::space_destroy_args{space})); }
void MmCalls::space_activate(SpaceId space) { NOPTE_ASSERT(call_void(abi::space_activate_args{space})); }
void MmCalls::space_switch(SpaceId space, SpaceId gone) {
  if ((g_features & abi::kFeatureSpaceSwitch) != 0) [[likely]] {
    NOPTE_ASSERT(call_void(abi::space_switch_args{space, gone}));
  } else {
    space_activate(space);
    space_destroy(gone);
  }
}

Result<Populated> MmCalls::region_map(SpaceId space, const RegionSpec& region, u32 map_flags) {
  static_assert(kMapReplace << 4 == abi::kRegionReplace && kMapPopulate << 4 == abi::kRegionPopulate);
  u64 flags = region.perm.bits() | (region.sharing == Sharing::kShared ? abi::kRegionShared : 0);
  if (region.usage != Usage() && (g_features & abi::kFeatureUsage) != 0) [[unlikely]]
    flags |= u64{region.usage.bits()} << abi::kRegionUsageShift;
  if (map_flags != 0) {
    if (g_features & abi::kFeatureMapFlags) {
      flags |= u64{map_flags} << 4;
    } else if (map_flags & kMapReplace) {
      NOPTE_TRY(region_unmap(space, region.range));
    }
  } else if (pv::queue_map(space, region, flags)) {
    return Populated::kNo;
  }
  const auto result = call(abi::region_map_args{space, region.range.begin, region.range.pages(), flags,
                                                region.object, region.object_page});
  if (result.status != Status::kOk) {
    return Fail(result.status);
  }
  if (!(flags & abi::kRegionPopulate)) return Populated::kNo;
  if (result.value == region.range.pages()) return Populated::kYes;
  take_interrupts();  // it stopped for one
  return Populated::kNo;
}

Result<void> MmCalls::region_unmap(SpaceId space, VaRange range) {
  if (pv::queue_unmap(space, range)) return {};
  return call_void(abi::region_unmap_args{space, range.begin, range.pages()});
}

Result<void> MmCalls::region_protect(SpaceId space, VaRange range, Perm perm, RightsChange change) {
  if (change == RightsChange::kFromNone && pv::queue_protect(space, range, perm)) return {};
  return call_void(abi::region_protect_args{space, range.begin, range.pages(), perm.bits()});
}

Result<void> MmCalls::region_move(SpaceId space, VaRange from, Gva to) {
  return call_void(abi::region_move_args{space, from.begin, from.pages(), to});
}

Result<void> MmCalls::region_advise(SpaceId space, VaRange range, Advice advice) {
  if ((g_features & abi::kFeatureUsage) == 0 && usage_change(advice).mask != 0) [[unlikely]]
    return Fail(Status::kUnsupported);
  return call_void(abi::region_advise_args{space, range.begin, range.pages(), static_cast<u32>(advice)});
}

Result<u64> MmCalls::region_resident(SpaceId space, VaRange range) {
  // What was promised is there when it is touched.
  if ((g_features & abi::kFeatureResident) == 0) return ~u64{0};
  const auto result = call(abi::region_resident_args{space, range.begin, range.pages()});
  if (result.status != Status::kOk) {
    return Fail(result.status);
  }
  return result.value;
}

Result<InstalledPages> MmCalls::region_installed(SpaceId space, VaRange range) {
  if ((g_features & abi::kFeatureInstalled) == 0) return InstalledPages{range.pages(), 0};
  InstalledPages all;
  do {
    const u64 pages = range.pages() < abi::kMostCounted ? range.pages() : abi::kMostCounted;
    const auto result = call(abi::region_installed_args{space, range.begin, pages});
    if (result.status != Status::kOk) return Fail(result.status);
    const auto some = abi::CountedPages::of(result.value);
    all = {all.pages + some.pages, all.large + some.large};
    range.begin += pages_to_bytes(some.counted);
  } while (!range.empty());
  return all;
}

Result<ObjectId> MmCalls::object_create(u64 pages, const ObjectMappings&) {
  const auto result = call(abi::object_create_args{pages});
  if (result.status != Status::kOk) {
    return Fail(result.status);
  }
  return ObjectId(static_cast<u32>(result.value));
}

Result<void> MmCalls::object_resize(ObjectId object, u64 pages) {
  return call_void(abi::object_resize_args{object, pages});
}

Result<void> MmCalls::object_destroy(ObjectId object) { return call_void(abi::object_destroy_args{object}); }

Result<Gva> MmCalls::kmem_alloc(u64 pages) {
  const auto result = call(abi::kmem_alloc_args{pages});
  if (result.status != Status::kOk) {
    return Fail(result.status);
  }
  return Gva(result.value);
}

void MmCalls::kmem_free(Gva base, u64 pages) { NOPTE_ASSERT(call_void(abi::kmem_free_args{base, pages})); }

MemoryInfo MmCalls::memory_info() {
  return {call(abi::memory_info_args{0}).value, call(abi::memory_info_args{1}).value};
}

extern "C" ViolationReason resolve_fault(u64, u64) {
  const auto reason =
      static_cast<ViolationReason>(static_cast<const volatile u32&>(g_violation_block->reason));
  return reason == ViolationReason::kNone ? ViolationReason::kNoRegion : reason;
}

namespace pv {

constexpr MmOps kOps{
    "vma",
#define NOPTE_OP(result, name, parameters, arguments) &MmCalls::name,
#include "pvops/mm_ops.def"
};

const MmOps& hypercall_mm_ops() { return kOps; }

void use_memory_features(u64 features) {
  g_features = features;
  use_region_queues((features & abi::kFeatureRegionQueue) != 0,
                    (features & abi::kFeatureUntouchedWords) != 0);
}

void set_violation_block(const abi::ViolationBlock* block) { g_violation_block = block; }

}  // namespace pv
}  // namespace nopte
